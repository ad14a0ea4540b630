//! The role job, through its real door: the binary, a folder and signals.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod documents;
mod downloads;
mod kit;
mod reboots;
mod secrets;
mod server;
mod stopping;
mod surroundings;
mod units;

use flotilla_agent::exec::jobs::{Fate, Jobs};
use flotilla_agent::job::folder::{JobFolder, JobState};
use flotilla_agent::job::spec::CapturedFile;
use flotilla_agent::job::{ALREADY_STARTED, COULD_NOT_RUN, spec::JobSpec};
use flotilla_agent_core::Attempt;
use flotilla_protocol::capability::command::{CommandOrder, Parameter};
use flotilla_protocol::document::{Segment, Template, Value};
use flotilla_protocol::report::OutputStream::{Stderr, Stdout};
use flotilla_protocol::status::{Outcome, StepStatus};
use kit::{Job, lives, script, spec, until};

fn captured(text: &str) -> CapturedFile {
    let length = u64::try_from(text.len()).unwrap();
    CapturedFile { written_bytes: length, kept_bytes: length, sha256: flotilla_protocol::sha256(&[text.as_bytes()]) }
}

#[test]
fn a_script_runs_and_its_output_is_kept() {
    let job = Job::of(&["echo out", "echo err >&2", "cat"]);
    let report = job.run();
    assert_eq!((report.outcome, report.explanation.as_str()), (Outcome::Succeeded, ""));
    let step = &report.steps[0];
    assert_eq!((step.name.as_str(), step.status, step.exit_code), ("step0", StepStatus::Succeeded, 0));
    assert_eq!((step.stdout, step.stderr), (captured("out\n"), captured("err\n")));
    assert!(step.started_uptime_ms.unwrap() <= step.ended_uptime_ms.unwrap());
    assert_eq!((job.stdout().as_str(), job.output(0, Stderr).as_str()), ("out\n", "err\n"));
    assert_eq!(job.folder.output_lengths().unwrap(), [(0, Stdout, 4), (0, Stderr, 4)]);
    assert_eq!(job.folder.read_output(0, Stdout, 1, 2).unwrap(), b"ut");
    assert_eq!(job.folder.read_output(0, Stdout, 9, 2).unwrap(), b"");
    assert_eq!(job.folder.read_output(1, Stdout, 0, 2).unwrap(), b"");
    job.folder.remove().unwrap();
    assert_eq!(job.folder.state().unwrap(), JobState::NotStarted);
}

#[test]
fn steps_run_in_order_and_a_failure_does_not_stop_the_next() {
    let job = Job::new(&spec(vec![script(&["echo 1 > file", "exit 3"]), script(&["cat file", "kill -9 $$"]), script(&["true"])]));
    let report = job.run();
    assert_eq!(report.outcome, Outcome::Failed);
    let ends: Vec<_> = report.steps.iter().map(|step| (step.status, step.exit_code)).collect();
    assert_eq!(ends, [(StepStatus::Failed, 3), (StepStatus::Failed, 128 + 9), (StepStatus::Succeeded, 0)]);
    assert_eq!(job.output(1, Stdout), "1\n", "steps share the working folder");
    assert!(report.explanation.contains("step step1: ended by signal 9"), "{}", report.explanation);
    assert_eq!(job.folder.output_lengths().unwrap().len(), 6);
}

#[test]
fn exit_codes_168_and_169_end_the_job() {
    for (code, outcome, status) in [(168, Outcome::Succeeded, StepStatus::Succeeded), (169, Outcome::Failed, StepStatus::Failed)] {
        let job = Job::new(&spec(vec![script(&[&format!("exit {code}")]), script(&["echo never"])]));
        let report = job.run();
        assert_eq!((report.outcome, report.steps[0].status, report.steps[0].exit_code), (outcome, status, code));
        assert_eq!((report.steps[1].status, report.steps[1].exit_code), (StepStatus::Skipped, 0));
        assert_eq!(job.output(1, Stdout), "skipped: the step step0 has ended the document\n");
    }
}

#[test]
fn parameters_environment_and_working_directory_reach_the_script() {
    let place = tempfile::tempdir().unwrap();
    let parameters = vec![
        Parameter { name: "word".into(), value: Value::string("a  'b'") },
        Parameter { name: "place".into(), value: Value::string(place.path().to_str().unwrap()) },
    ];
    let mut script = script(&["pwd", "echo \"$WORD|$FLOTILLA_DOCUMENT|$FLOTILLA_ORDER_ID|$PATH|$FLOTILLA_TEST_LEAK\"", "umask"]);
    script.environment = [
        ("WORD".to_owned(), Template(vec![Segment::Parameter(0)])),
        ("FLOTILLA_ORDER_ID".to_owned(), Template::text("forged")),
        // Would break the start of any process that it reached before the shell.
        ("LD_PRELOAD".to_owned(), Template::text("")),
    ]
    .into();
    script.working_directory = Some(Template(vec![Segment::Parameter(1)]));
    let spec = JobSpec { parameters, ..spec(vec![script]) };
    let job = Job::new(&spec);
    assert_eq!(job.run().outcome, Outcome::Succeeded);
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let expected = format!("{}\na  'b'|Test-Document|{}|{path}|\n0022\n", place.path().display(), spec.order);
    assert_eq!(job.stdout(), expected);
}

#[test]
fn what_cannot_be_run_fails_with_a_sentence_on_standard_error() {
    let mut nowhere = script(&["echo never"]);
    nowhere.working_directory = Some(Template::text("/nowhere/at/all"));
    let mut unknown = spec(vec![nowhere, script(&["echo later"])]);
    unknown.plan.steps[1].action.kind = 999;
    let job = Job::new(&unknown);
    let report = job.run();
    assert_eq!(report.outcome, Outcome::Failed);
    assert!(report.steps.iter().all(|step| (step.status, step.exit_code) == (StepStatus::Failed, -1)));
    assert_eq!(job.output(0, Stderr), "the working directory /nowhere/at/all does not exist\n");
    assert!(job.output(1, Stderr).contains("steps of kind 999; update the agent"));
    assert!(report.explanation.contains("/nowhere/at/all"));
}

#[test]
fn output_beyond_the_limit_is_counted_and_does_not_stop_the_script() {
    let job = Job::new(&JobSpec {
        output_limit_bytes: 65_536,
        ..spec(vec![script(&["head -c 300000 /dev/zero", "head -c 65537 /dev/zero >&2", "exit 5"])])
    });
    let report = job.run();
    let step = &report.steps[0];
    assert_eq!(step.exit_code, 5, "the script was neither blocked nor killed");
    assert_eq!((step.stdout.written_bytes, step.stdout.kept_bytes), (300_000, 65_536));
    assert_eq!((step.stderr.written_bytes, step.stderr.kept_bytes), (65_537, 65_536));
    assert_eq!(step.stdout.sha256, flotilla_protocol::sha256(&[&[0; 65_536]]));
    assert_eq!(job.folder.output_lengths().unwrap(), [(0, Stdout, 65_536), (0, Stderr, 65_536)]);
}

#[test]
fn a_background_process_that_holds_the_output_does_not_hold_the_job() {
    let job = Job::of(&["sleep 1000 &", "echo $!"]);
    let report = job.run();
    assert_eq!((report.outcome, report.steps[0].exit_code), (Outcome::Succeeded, 0));
    assert!(!lives(job.pid_from_stdout()));

    // One that has let go of it is a daemon, and lives on.
    let job = Job::of(&["sleep 1000 >/dev/null 2>&1 &", "echo $!"]);
    assert_eq!(job.run().outcome, Outcome::Succeeded);
    let daemon = job.pid_from_stdout();
    assert!(lives(daemon));
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(daemon), nix::sys::signal::Signal::SIGKILL).unwrap();
}

#[test]
fn of_twenty_starts_at_once_exactly_one_runs() {
    let job = Job::of(&["echo x >> ../effects", "sleep 1"]);
    let starts: Vec<_> = (0..20).map(|_| job.start()).collect();
    let mut codes: Vec<_> = starts.into_iter().map(|start| start.wait().code().unwrap()).collect();
    codes.sort_unstable();
    let already = i32::from(ALREADY_STARTED);
    assert_eq!(codes[..2], [0, already]);
    assert!(codes[1..].iter().all(|code| *code == already), "{codes:?}");
    assert_eq!(job.start().wait().code(), Some(already), "neither does a later one");
    assert_eq!(std::fs::read_to_string(job.folder.path().join("effects")).unwrap(), "x\n");
    assert_eq!(job.report().outcome, Outcome::Succeeded);
    let left = std::fs::read_dir(job.folder.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("start-"));
    assert_eq!(left.count(), 0);
}

#[test]
fn an_order_of_another_boot_or_a_damaged_one_is_reported_and_not_run() {
    let mut other_boot = spec(vec![script(&["echo x > ../effect"])]);
    other_boot.boot.0[0] ^= 1;
    let job = Job::new(&other_boot);
    let report = job.run();
    assert_eq!((report.outcome, report.steps.len()), (Outcome::Failed, 0));
    assert!(report.explanation.contains("another boot"), "{}", report.explanation);
    assert!(!job.folder.path().join("effect").exists());

    let job = Job::of(&["true"]);
    std::fs::OpenOptions::new().write(true).open(job.folder.path().join("order")).unwrap().set_len(9).unwrap();
    assert_eq!(job.run().outcome, Outcome::Failed);
}

#[test]
fn a_job_user_runs_the_steps_and_reaches_nothing_of_the_agent() {
    if !nix::unistd::geteuid().is_root() {
        let report = Job::new(&JobSpec { job_user: Some("root".into()), ..spec(vec![script(&["true"])]) }).run();
        assert!(report.explanation.contains("not root"), "{}", report.explanation);
        return;
    }
    let lines = ["id -un", "touch mine && ls", "cat ../order ../started", "echo \"$HOME\"", "cd /; ls \"$OLDPWD/..\""];
    let job = Job::new(&JobSpec { job_user: Some("nobody".into()), ..spec(vec![script(&lines)]) });
    let report = job.run();
    let home = nix::unistd::User::from_name("nobody").unwrap().unwrap().dir;
    assert_eq!(job.stdout(), format!("nobody\nmine\n{}\n", home.display()));
    assert_eq!(report.outcome, Outcome::Failed);
    assert_eq!(job.output(0, Stderr).matches("Permission denied").count(), 3, "{}", job.output(0, Stderr));

    let job = Job::new(&JobSpec { job_user: Some("no-such-user".into()), ..spec(vec![script(&["true"])]) });
    assert_eq!(job.run().outcome, Outcome::Failed);
    assert!(job.output(0, Stderr).contains("there is no user no-such-user"));
}

#[test]
fn the_shell_dies_with_its_job_and_the_rest_is_found_and_killed() {
    let job = Job::of(&["sleep 1000 &", "echo $!", "echo $$", "wait"]);
    let mut running = job.start();
    let grandchild = job.pid_from_stdout();
    let shell: i32 = until("the shell's id", || job.stdout().lines().nth(1).map(|line| line.parse().unwrap()));
    let pid = running.0.id();
    assert_eq!(job.folder.state().unwrap(), JobState::Running { pid });
    assert_eq!(job.folder.kill_leftovers().unwrap(), 0, "a job that lives has no leftovers");
    running.0.kill().unwrap();
    running.0.wait().unwrap();
    assert_eq!(job.folder.state().unwrap(), JobState::Lost { pid });
    until("the shell to die", || (!lives(shell)).then_some(()));
    assert!(lives(grandchild));
    assert_eq!(job.folder.kill_leftovers().unwrap(), 1);
    assert!(!lives(grandchild));
    assert_eq!(job.start().wait().code(), Some(i32::from(ALREADY_STARTED)), "a lost job is never run again");
    assert_eq!(job.folder.state().unwrap(), JobState::Lost { pid });
}

#[test]
fn a_start_that_is_forbidden_never_happens() {
    let job = Job::of(&["echo x > ../effect"]);
    assert!(job.folder.forbid_start().unwrap());
    assert!(!job.folder.forbid_start().unwrap());
    assert_eq!(job.start().wait().code(), Some(i32::from(ALREADY_STARTED)));
    assert!(!job.folder.path().join("effect").exists());
    assert_eq!(job.folder.state().unwrap(), JobState::Forbidden);
}

#[tokio::test]
async fn what_an_exec_that_died_was_about_to_start_is_kept_from_it_or_waited_for() {
    let fate = async |job: &Job| {
        let spec = job.folder.spec().unwrap();
        let (ended, mut ends) = tokio::sync::mpsc::channel(1);
        let mut jobs = Jobs::new(job.folder.path().parent().unwrap().to_owned(), 1024, None, spec.boot, ended);
        let JobSpec { order, document, document_version, parameters, plan, .. } = spec;
        jobs.recover(order, &CommandOrder { document, document_version, parameters, plan }, true, Attempt::default());
        ends.recv().await.unwrap().fate
    };
    let job = Job::of(&["echo x > ../../../effect"]);
    assert!(matches!(fate(&job).await, Fate::NeverStarted));
    assert!(!job.folder.path().exists());
    // The process of the exec that died comes late.
    assert_eq!(job.start().wait().code(), Some(i32::from(COULD_NOT_RUN)));
    assert!(!job.folder.path().parent().unwrap().join("effect").exists() && !job.folder.path().exists());
    // An exec that was killed while it kept the job from its start.
    let job = Job::of(&["true"]);
    job.folder.forbid_start().unwrap();
    assert!(matches!(fate(&job).await, Fate::NeverStarted));
    let job = Job::of(&["true"]);
    let running = job.start();
    until("the start", || (job.folder.state().unwrap() != JobState::NotStarted).then_some(()));
    assert!(matches!(fate(&job).await, Fate::Over(end) if end.outcome == Outcome::Succeeded));
    running.wait();
}

#[test]
fn a_job_whose_folder_could_not_be_made_has_not_started_and_never_will() {
    let job = Job::of(&["true"]);
    job.folder.remove().unwrap();
    assert_eq!(job.folder.state().unwrap(), JobState::NotStarted);
    assert!(job.folder.forbid_start().unwrap(), "exec would wait for this job for ever");
    assert!(!job.start().wait().success(), "a job process that comes too late finds nothing to run");
}

#[test]
fn folders_are_private_and_listed() {
    use std::os::unix::fs::PermissionsExt as _;
    let jobs = tempfile::tempdir().unwrap();
    let spec = spec(vec![script(&["true"])]);
    let folder = JobFolder::create(jobs.path(), &spec).unwrap();
    JobFolder::create(jobs.path(), &spec).unwrap();
    std::fs::create_dir(jobs.path().join("other")).unwrap();
    assert_eq!(JobFolder::list(jobs.path()).unwrap(), [spec.order]);
    assert_eq!(folder.spec().unwrap(), spec);
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(folder.path()), mode(&folder.path().join("order"))), (0o700, 0o600));
    assert_eq!(kit::Running(kit::start_in(&folder)).wait().code(), Some(0));
    for name in ["started", "exit", "step-0.stdout", "step-0.stderr", "step-0.plan"] {
        assert_eq!(mode(&folder.path().join(name)), 0o600, "{name}");
    }
}
