//! Jobs that systemd starts, with a `systemd-run` that is played: what goes wrong between exec and PID 1 loses no job and runs none twice.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use flotilla_agent::arguments::SettingsFile;
use flotilla_agent::exec::jobs::{Ended, Fate, Jobs};
use flotilla_agent::exec::runner::Runner;
use flotilla_agent::job::ALREADY_STARTED;
use flotilla_agent::job::folder::JobFolder;
use flotilla_agent::job::secrets::JobSecrets;
use flotilla_agent::settings::Settings;
use flotilla_agent_core::{Attempt, JobEnd};
use flotilla_protocol::capability::command::{CommandOrder, Parameter};
use flotilla_protocol::document::{Plan, RunShellScript, Segment, Template, Value};
use flotilla_protocol::id::{BootId, OrderId};
use flotilla_protocol::secret::OpenedSecret;
use flotilla_protocol::status::Outcome;
use tempfile::TempDir;
use tokio::sync::mpsc::{Receiver, channel};

use crate::kit::{Job, script, spec, start_in};

const SECRET: &str = "correct horse battery";

/// Programs that stand for systemd's, and folders of jobs.
pub(crate) struct Systemd {
    place: TempDir,
}

impl Systemd {
    /// `way`: what `systemd-run` does; the call's number is in `$call`, the agent's command in `"$@"`.
    pub(crate) fn new(way: &str) -> Self {
        let systemd = Self { place: tempfile::tempdir().unwrap() };
        fs::create_dir(systemd.path("jobs")).unwrap();
        fs::create_dir(systemd.path("programs")).unwrap();
        let here = systemd.place.path().display();
        let agent = env!("CARGO_BIN_EXE_flotilla-agent");
        // Exec names its own binary, which is this test's.
        let lines = [
            "#!/bin/sh".to_owned(),
            format!("cd {here}"),
            "echo call >> calls; call=$(wc -l < calls)".to_owned(),
            "{ printf '%s\\n' \"$@\"; env; } > said".to_owned(),
            // Shells give what runs in the background no other input.
            "exec 3<&0".to_owned(),
            "while [ \"$1\" != -- ]; do shift; done; shift 2".to_owned(),
            format!("set -- {agent} \"$@\""),
            way.to_owned(),
        ];
        systemd.program("systemd-run", &lines.join("\n"));
        systemd.program("systemctl", "#!/bin/sh\n");
        systemd
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.place.path().join(name)
    }

    fn program(&self, name: &str, text: &str) {
        let path = self.path("programs").join(name);
        fs::File::create(&path).and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes())).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn jobs(&self, boot: BootId, runner: Runner) -> (Jobs, Receiver<Ended>) {
        let (ended, ends) = channel(1);
        (Jobs::new(self.path("jobs"), 1 << 20, None, boot, ended).with_runner(runner), ends)
    }

    /// What exec runs jobs with.
    pub(crate) fn runner(&self) -> Runner {
        self.runner_in(&format!("{}:/usr/bin:/bin", self.path("programs").display()))
    }

    fn runner_in(&self, search_path: &str) -> Runner {
        let variables = [("FLOTILLA_AGENT__JOB_RUNNER", "systemd"), ("FLOTILLA_AGENT__SEARCH_PATH", search_path)];
        let settings = self.path("agent.toml");
        fs::File::create(&settings).unwrap();
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        Runner::of_settings(&Settings::from_sources(&SettingsFile::Named(settings), variables).unwrap())
    }

    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.path("said")).unwrap()
    }

    /// Starts a job of one script and waits for its end.
    async fn run(&self, script: RunShellScript) -> JobEnd {
        let (order, command, boot) = order(script);
        let (mut jobs, mut ends) = self.jobs(boot, self.runner());
        jobs.start(order, command, Attempt::default(), None, &secrets());
        over(ends.recv().await.unwrap().fate)
    }

    fn calls(&self) -> usize {
        lines(&self.path("calls"))
    }
}

fn over(fate: Fate) -> JobEnd {
    match fate {
        Fate::Over(end) => end,
        other => panic!("{other:?}"),
    }
}

fn order(script: RunShellScript) -> (OrderId, CommandOrder, BootId) {
    let spec = spec(vec![script]);
    let parameters = vec![Parameter { name: "key".into(), value: Value::string("") }];
    let plan: Plan = spec.plan;
    (spec.order, CommandOrder { document: spec.document, document_version: spec.document_version, parameters, plan }, spec.boot)
}

fn secrets() -> JobSecrets {
    JobSecrets::of_order(vec![OpenedSecret { parameter: 0, value: SECRET.as_bytes().to_vec().into() }]).unwrap()
}

fn lines(file: &Path) -> usize {
    fs::read_to_string(file).map_or(0, |text| text.lines().count())
}

/// A script that leaves a line outside of its job's folder each time that it runs, and says the length of its secret.
fn counted(systemd: &Systemd, more: &str) -> RunShellScript {
    let effect = systemd.path("effect");
    let mut script = script(&[&format!("echo run >> {}", effect.display()), more]);
    script.run_command.push(Template(vec![Segment::Text("wc -c < ".into()), Segment::Secret(0)]));
    script
}

#[tokio::test]
async fn a_job_gets_its_secrets_through_systemd_and_nobody_is_told_them() {
    let systemd = Systemd::new("exec \"$@\"");
    let end = systemd.run(counted(&systemd, "true")).await;
    assert_eq!(end.outcome, Outcome::Succeeded, "{end:?}");
    assert_eq!(end.steps[0].stdout.head, format!("{}\n", SECRET.len()).into_bytes());
    let said = systemd.said();
    assert!(said.contains("--unit=flotilla-job-") && said.contains("--property=TasksMax=1024"), "{said}");
    for other in ["horse", "CARGO"] {
        assert!(!said.contains(other), "{other}: {said}");
    }
    assert_eq!((systemd.calls(), lines(&systemd.path("effect"))), (1, 1));
}

#[tokio::test]
async fn a_start_that_systemd_did_not_take_is_made_again() {
    let refuse = "if [ $call -lt 3 ]; then echo 'Failed to start transient service unit: Unit is there already.' >&2; exit 1; fi";
    let systemd = Systemd::new(&format!("{refuse}\nexec \"$@\""));
    let end = systemd.run(counted(&systemd, "true")).await;
    assert_eq!(end.outcome, Outcome::Succeeded, "{end:?}");
    assert_eq!(end.steps[0].stdout.head, format!("{}\n", SECRET.len()).into_bytes(), "the secret was read from its beginning");
    assert_eq!((systemd.calls(), lines(&systemd.path("effect"))), (3, 1));
}

#[tokio::test]
async fn a_job_outlives_the_program_that_had_it_started() {
    // PID 1 has taken it, slowly; the next call finds its unit there.
    let way = "if [ $call -eq 1 ]; then (sleep 1; exec setsid \"$@\") 0<&3 & kill -9 $$; fi\necho 'Unit is there already.' >&2; exit 1";
    let systemd = Systemd::new(way);
    let end = systemd.run(counted(&systemd, "sleep 1")).await;
    assert_eq!(end.outcome, Outcome::Succeeded, "{end:?}");
    assert_eq!(end.steps[0].stdout.head, format!("{}\n", SECRET.len()).into_bytes());
    assert_eq!(lines(&systemd.path("effect")), 1);
}

#[tokio::test]
async fn a_systemd_that_takes_no_job_is_the_order_s_explanation_and_takes_none_later() {
    let systemd = Systemd::new("echo 'Failed to connect to bus: Permission denied' >&2; exit 1");
    let (order, command, boot) = order(counted(&systemd, "true"));
    let (mut jobs, mut ends) = systemd.jobs(boot, systemd.runner());
    jobs.start(order, command, Attempt::default(), None, &secrets());
    let end = over(ends.recv().await.unwrap().fate);
    assert_eq!((end.outcome, end.steps.len()), (Outcome::Failed, 0));
    assert!(end.explanation.contains("systemd does not start the job") && end.explanation.contains("Permission denied"), "{end:?}");
    // One that was on its way all the while finds the start taken.
    let mut late = start_in(&JobFolder::of_order(&systemd.path("jobs"), order));
    assert_eq!(late.wait().unwrap().code(), Some(i32::from(ALREADY_STARTED)));
    assert_eq!((systemd.calls(), lines(&systemd.path("effect"))), (8, 0));
}

#[tokio::test]
async fn without_the_program_the_order_says_which_setting_to_look_at() {
    let systemd = Systemd::new("exit 1");
    let (order, command, boot) = order(counted(&systemd, "true"));
    let (mut jobs, mut ends) = systemd.jobs(boot, systemd.runner_in("/nowhere"));
    jobs.start(order, command, Attempt::default(), None, &secrets());
    let end = over(ends.recv().await.unwrap().fate);
    assert_eq!(end.explanation, "there is no program systemd-run in /nowhere; see the agent's settings search_path and job_runner");
}

#[tokio::test]
async fn what_a_lost_job_left_is_ended_as_its_unit() {
    let systemd = Systemd::new("\"$@\" 0<&3 & wait $!; exit 255");
    systemd.program("systemctl", &format!("#!/bin/sh\necho \"$@\" >> {}", systemd.path("controlled").display()));
    // The job's process is its step's parent.
    let end = systemd.run(counted(&systemd, "kill -9 $PPID")).await;
    assert_eq!(end.outcome, Outcome::Interrupted, "{end:?}");
    let controlled = fs::read_to_string(systemd.path("controlled")).unwrap();
    let calls: Vec<&str> = controlled.lines().collect();
    assert!(calls[0].contains("kill --signal=SIGKILL flotilla-job-") && calls[1].contains("stop flotilla-job-"), "{calls:?}");
    assert_eq!((calls.len(), systemd.calls()), (2, 1));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "tests start the real binary")]
fn the_role_clean_removes_a_folder_and_what_is_left_of_an_earlier_removal() {
    let job = Job::of(&["echo x > file"]);
    job.run();
    fs::create_dir_all(job.folder.unnamed().join("earlier")).unwrap();
    let clean = || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_flotilla-agent"));
        command.arg("clean").arg("--folder").arg(job.folder.path()).status().unwrap()
    };
    assert!(clean().success());
    assert!(!job.folder.path().exists() && !job.folder.unnamed().exists());
    assert!(clean().success(), "what is gone is removed");
}
