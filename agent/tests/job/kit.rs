//! Jobs for tests: a folder of jobs, plans of shell steps, and the real binary.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use flotilla_agent::clock;
use flotilla_agent::job::folder::{JobFolder, JobState};
use flotilla_agent::job::secrets::JobSecrets;
use flotilla_agent::job::spec::{JobReport, JobSpec};
use flotilla_agent_core::Attempt;
use flotilla_protocol::document::{Action, Plan, RunShellScript, Step, Template};
use flotilla_protocol::id::OrderId;
use flotilla_protocol::report::OutputStream;
use tempfile::TempDir;

/// Longer than anything that a test waits for should take, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Job {
    // Removed when the test ends.
    _jobs: TempDir,
    pub(crate) folder: JobFolder,
}

pub(crate) fn script(lines: &[&str]) -> RunShellScript {
    RunShellScript {
        run_command: lines.iter().map(|line| Template::text(*line)).collect(),
        working_directory: None,
        environment: Default::default(),
        timeout_s: 60,
    }
}

pub(crate) fn spec(scripts: Vec<RunShellScript>) -> JobSpec {
    let step = |(index, script)| Step::new(format!("step{index}"), &Action::RunShellScript(script));
    of_plan(Plan { steps: scripts.into_iter().enumerate().map(step).collect() })
}

pub(crate) fn of_plan(plan: Plan) -> JobSpec {
    JobSpec {
        order: OrderId(rand_id()),
        document: "Test-Document".into(),
        document_version: "1".into(),
        parameters: Vec::new(),
        plan,
        output_limit_bytes: 1024 * 1024,
        job_user: None,
        boot: clock::boot_id().unwrap(),
        tools: Default::default(),
        without_reboot: None,
    }
}

fn rand_id() -> [u8; 16] {
    let mut id = [0; 16];
    getrandom::fill(&mut id).unwrap();
    id
}

impl Job {
    pub(crate) fn new(spec: &JobSpec) -> Self {
        let jobs = tempfile::tempdir().unwrap();
        let folder = JobFolder::create(jobs.path(), spec).unwrap();
        assert_eq!(folder.state().unwrap(), JobState::NotStarted);
        Self { _jobs: jobs, folder }
    }

    pub(crate) fn of(lines: &[&str]) -> Self {
        Self::new(&spec(vec![script(lines)]))
    }

    pub(crate) fn start(&self) -> Running {
        Running(start_in(&self.folder))
    }

    /// Starts the job with secrets, as exec does, and waits for its report.
    pub(crate) fn run_with(&self, secrets: &JobSecrets) -> JobReport {
        let input = secrets.to_input().unwrap().unwrap();
        assert_eq!(Running(start_with(&self.folder, input.into())).wait().code(), Some(0));
        self.report()
    }

    /// Prepares the start after a reboot, which is played: it is the same boot.
    pub(crate) fn reboot(&mut self, spec: &JobSpec) {
        let Attempt { reboots, .. } = self.folder.attempt();
        self.folder = self.folder.clone().of_attempt(Attempt { reboots: reboots + 1, tries: 0 });
        self.folder.prepare(spec).unwrap();
    }

    /// Starts the job and waits for its report.
    pub(crate) fn run(&self) -> JobReport {
        assert_eq!(self.start().wait().code(), Some(0));
        self.report()
    }

    pub(crate) fn report(&self) -> JobReport {
        match self.folder.state().unwrap() {
            JobState::Ended(report) => report,
            other => panic!("the job has no report: {other:?}"),
        }
    }

    pub(crate) fn output(&self, step: u16, stream: OutputStream) -> String {
        String::from_utf8(self.folder.read_output(step, stream, 0, usize::MAX).unwrap()).unwrap()
    }

    pub(crate) fn stdout(&self) -> String {
        self.output(0, OutputStream::Stdout)
    }

    /// A process id that the first step has written as its first line.
    pub(crate) fn pid_from_stdout(&self) -> i32 {
        until("the step to say a process id", || self.stdout().lines().next().map(|line| line.parse().unwrap()))
    }
}

pub(crate) fn start_in(folder: &JobFolder) -> Child {
    start_with(folder, Stdio::null())
}

#[expect(clippy::disallowed_methods, reason = "tests start the real binary")]
fn start_with(folder: &JobFolder, input: Stdio) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flotilla-agent"));
    command.arg("job").arg("--folder").arg(folder.path()).stdin(input).stdout(Stdio::null());
    command.arg("--attempt").arg(folder.attempt().to_string());
    command.stderr(std::fs::File::create(folder.path().with_extension("log")).unwrap()).spawn().unwrap()
}

/// A started job; killed when a test fails.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn wait(mut self) -> ExitStatus {
        until("the job to end", || self.0.try_wait().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.0.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }
}

/// Waits for a level, not for an edge.
#[expect(clippy::disallowed_methods, reason = "tests bound how long they wait")]
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(started.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub(crate) fn lives(pid: i32) -> bool {
    !flotilla_agent::processes::find(|process| process.pid == pid).is_empty()
}
