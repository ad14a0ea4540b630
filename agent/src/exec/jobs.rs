//! The jobs: started once, waited for, found again after a restart, and forgotten.
//!
//! Who may start a job is decided in the job's folder (see [`crate::job`]): whichever job process links `started` first runs it. So starting
//! one again after a crash of exec is safe in the boot in which it was first started. In a later boot only an order goes on that asked for the
//! reboot, and each of its starts has a name of its own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use flotilla_agent_core::{Attempt, JobEnd, RebootAsked, Resume};
use flotilla_protocol::capability::command::{Captured, CommandOrder, RESULT_STDERR_BYTES, RESULT_STDOUT_BYTES, StepResult};
use flotilla_protocol::id::{BootId, OrderId};
use flotilla_protocol::report::OutputStream;
use flotilla_protocol::status::{Outcome, StepStatus};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::runner::Runner;
use crate::job::folder::{FolderError, JobFolder, JobState};
use crate::job::secrets::JobSecrets;
use crate::job::spec::{self, CapturedFile, JobReport, JobSpec, JobStep};
use crate::job::tools::Tools;

/// How often a job that is not our child is looked at: one that was started before exec was.
const LOOK: Duration = Duration::from_millis(200);
/// Longest pause between two looks at a folder that cannot be used, on a full disk for example.
const LONGEST_LOOK: Duration = Duration::from_secs(10);
/// Piece in which output of a lost job is read to hash it.
const READ_BYTES: usize = 64 * 1024;
/// How often a read of it that fails is tried again, [`LOOK`] apart, for each stream.
const READ_TRIES: u32 = 50;

/// It is known what became of a job.
#[derive(Debug)]
pub struct Ended {
    /// Which.
    pub order: OrderId,
    /// What.
    pub fate: Fate,
}

/// What became of a job.
#[derive(Debug)]
pub enum Fate {
    /// It is over, and this is how.
    Over(JobEnd),
    /// It was never started, and what was there of it is gone: it may be started anew.
    NeverStarted,
    /// A step of it asks for a reboot, and everything up to there is on disk.
    RebootAsked(RebootAsked),
}

/// All jobs of this node.
#[derive(Debug)]
pub struct Jobs {
    folder: PathBuf,
    output_limit_bytes: u64,
    job_user: Option<String>,
    boot: BootId,
    tools: Tools,
    runner: Runner,
    ended: mpsc::Sender<Ended>,
    running: BTreeMap<OrderId, tokio::task::JoinHandle<()>>,
}

impl Jobs {
    /// Jobs in a folder; what ends is sent to `ended`.
    #[must_use]
    pub fn new(folder: PathBuf, output_limit_bytes: u64, job_user: Option<String>, boot: BootId, ended: mpsc::Sender<Ended>) -> Self {
        Self {
            folder,
            output_limit_bytes,
            job_user,
            boot,
            tools: Tools::default(),
            runner: Runner::default(),
            ended,
            running: BTreeMap::new(),
        }
    }

    /// The same, with what the settings say to steps.
    #[must_use]
    pub fn with_tools(self, tools: Tools) -> Self {
        Self { tools, ..self }
    }

    /// The same, with jobs that are started and held so.
    #[must_use]
    pub fn with_runner(self, runner: Runner) -> Self {
        Self { runner, ..self }
    }

    /// Removes the folders of orders that nobody needs any more. After a loss of memory these are the folders of all orders that were taken
    /// before. A job that still runs is left to its end, or its time-out: what it does is half done. It can still be cancelled, and its folder
    /// goes when it has ended. A job that has not begun is kept from it.
    pub fn remove_unneeded(&self, is_needed: impl Fn(OrderId) -> bool) {
        let orders = JobFolder::list(&self.folder).unwrap_or_else(|error| {
            tracing::warn!(%error, "the folder of jobs cannot be listed");
            Vec::new()
        });
        let mut unneeded = Vec::new();
        for order in orders.into_iter().filter(|order| !is_needed(*order)) {
            let folder = self.of_last(order);
            match folder.state() {
                Ok(JobState::Running { .. }) => drop(tokio::spawn(remove_when_ended(order, folder, self.runner.clone()))),
                Ok(JobState::NotStarted) => {
                    // A job process may be on its way: without the start it runs nothing, and without the folder it gets none.
                    warn_of(order, folder.forbid_start().map(|_| ()));
                    unneeded.push((order, folder, false));
                }
                Ok(JobState::Lost { .. }) => unneeded.push((order, folder, true)),
                Ok(JobState::Ended(_) | JobState::RebootAsked(_) | JobState::Forbidden) | Err(_) => unneeded.push((order, folder, false)),
            }
        }
        // Now, while no folder is being made. Only what exec may not remove is removed later.
        let remains = JobFolder::remove_remains(&self.folder);
        let runner = self.runner.clone();
        let remove = move || {
            for (order, folder, is_lost) in unneeded {
                if let Some(spec) = is_lost.then(|| folder.spec().ok()).flatten() {
                    runner.remove_downloads(&spec, &folder);
                }
                warn_of(order, runner.remove(&folder));
            }
            remains.iter().for_each(|error| runner.remove_remains(error));
        };
        if self.runner.is_slow_to_remove() { drop(tokio::task::spawn_blocking(remove)) } else { remove() }
    }

    /// Starts a job that was never started, or goes on with it after a reboot, or without the one that it asked for, and hands it its
    /// secrets.
    pub fn start(&mut self, order: OrderId, command: CommandOrder, attempt: Attempt, without_reboot: Option<String>, secrets: &JobSecrets) {
        let spec = JobSpec { without_reboot, ..self.spec_of(order, command) };
        let names = step_names(&spec);
        let folder = self.of(order).of_attempt(attempt);
        let made = if attempt.reboots == 0 { JobFolder::create(&self.folder, &spec).map(drop) } else { folder.prepare(&spec) };
        let runner = self.runner.clone();
        let begun = made
            .map_err(|error| with_causes(&error))
            .and_then(|()| secrets.to_input().map_err(|error| format!("the secrets cannot be handed to the job: {error}")))
            .and_then(|input| runner.begin(order, &folder, &spec.plan, input));
        self.watch(order, async move {
            let why_not = match begun {
                Ok(begun) => begun.ended().await,
                // A job process of an exec before us may still be on its way to the start: `end_of` takes the start from it or waits for it.
                Err(explanation) => {
                    tracing::warn!(%order, explanation, "a job cannot be started");
                    explanation
                }
            };
            end_of(&folder, &names, &runner, &why_not).await
        });
    }

    /// Finds out what became of a job that was about to start before exec did. Where it never was it is kept from it for good: whether and
    /// when it may start now is to be decided anew.
    pub fn recover(&mut self, order: OrderId, command: &CommandOrder, same_boot: bool, attempt: Attempt) {
        let folder = self.of(order).of_attempt(attempt);
        let names: Vec<String> = command.plan.steps.iter().map(|step| step.name.clone()).collect();
        if !same_boot {
            let why = "the device was restarted while the command ran";
            // Nothing in the folder was synced, what is to run included.
            let spec = self.spec_of(order, command.clone());
            let runner = self.runner.clone();
            return self.watch(order, async move { Fate::Over(interrupted(folder, names, &runner, why.to_owned(), Some(spec)).await) });
        }
        let runner = self.runner.clone();
        self.watch(order, async move { fate_of(&folder, &names, &runner).await });
    }

    /// Has a running job stop.
    pub fn cancel(&self, order: OrderId) {
        warn_of(order, self.of_last(order).request_cancel());
    }

    /// Removes a job's folder.
    pub fn forget(&mut self, order: OrderId) {
        self.running.remove(&order);
        let (folder, runner) = (self.of(order), self.runner.clone());
        // A working folder may hold a million files: nothing waits for their removal.
        drop(tokio::task::spawn_blocking(move || warn_of(order, runner.remove(&folder))));
    }

    /// At most `maximum` bytes of a step's output; an empty answer says that there are no more, and nothing that they cannot be read now (no
    /// descriptors, a disk error), which says nothing about the bytes.
    #[must_use]
    pub fn read_output(&self, order: OrderId, step: u16, stream: OutputStream, offset: u64, maximum: usize) -> Option<Vec<u8>> {
        match self.of(order).read_output(step, stream, offset, maximum) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                tracing::warn!(%order, step, error = %with_causes(&error), "output cannot be read; it is tried again");
                None
            }
        }
    }

    /// Whether any job runs.
    #[must_use]
    pub fn any_running(&self) -> bool {
        self.running.values().any(|task| !task.is_finished())
    }

    /// How many jobs run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running.values().filter(|task| !task.is_finished()).count()
    }

    /// How much output the running jobs have by now.
    #[must_use]
    pub fn output_lengths(&self) -> Vec<(OrderId, u16, OutputStream, u64)> {
        let running = self.running.iter().filter(|(_, task)| !task.is_finished()).map(|(order, _)| *order);
        let lengths = |order| {
            self.of(order).output_lengths().unwrap_or_default().into_iter().map(move |(step, stream, length)| (order, step, stream, length))
        };
        running.flat_map(lengths).collect()
    }

    fn spec_of(&self, order: OrderId, command: CommandOrder) -> JobSpec {
        JobSpec {
            order,
            document: command.document,
            document_version: command.document_version,
            parameters: command.parameters,
            plan: command.plan,
            output_limit_bytes: self.output_limit_bytes,
            job_user: self.job_user.clone(),
            boot: self.boot,
            tools: self.tools.clone(),
            without_reboot: None,
        }
    }

    fn of(&self, order: OrderId) -> JobFolder {
        JobFolder::of_order(&self.folder, order)
    }

    /// The folder for the last start of the order; for the first, where the folder cannot be read.
    fn of_last(&self, order: OrderId) -> JobFolder {
        self.of(order).of_last_attempt().unwrap_or_else(|error| {
            tracing::warn!(%order, error = %with_causes(&error), "a job's folder");
            self.of(order)
        })
    }

    fn watch(&mut self, order: OrderId, fate: impl Future<Output = Fate> + Send + 'static) {
        let ended = self.ended.clone();
        let task = tokio::spawn(async move {
            let fate = fate.await;
            // Nobody listens only when exec ends; then the next exec finds the job again.
            if ended.send(Ended { order, fate }).await.is_err() {
                tracing::debug!(%order, "a job ended after exec");
            }
        });
        self.running.insert(order, task);
    }
}

fn step_names(spec: &JobSpec) -> Vec<String> {
    spec.plan.steps.iter().map(|step| step.name.clone()).collect()
}

fn warn_of(order: OrderId, done: Result<(), FolderError>) {
    if let Err(error) = done {
        tracing::warn!(%order, error = %with_causes(&error), "a job's folder");
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {}", with_causes(source)))
}

/// Finds out whether anybody has started the job in `folder`, takes the start away where nobody has, and else waits for its end.
///
/// A job process of an earlier exec may be on its way to the start all the while. One of the two gets it: either the job does, and is waited
/// for, or it finds the start taken and runs nothing. Then the folder goes, under its whole name at once. A process that looks for it later
/// finds none, or one that was made anew because the order may start now; there again only one process gets the start.
async fn fate_of(folder: &JobFolder, names: &[String], runner: &Runner) -> Fate {
    let mut pause = LOOK;
    loop {
        let done = match folder.state() {
            Ok(JobState::NotStarted) if matches!(folder.path().try_exists(), Ok(false)) => return Fate::NeverStarted,
            Ok(JobState::NotStarted) => folder.forbid_start().map(|_| ()),
            // What was done before the last reboot is still needed. The start that was taken away is never made; the next has another name.
            Ok(JobState::Forbidden) if folder.attempt().reboots > 0 => return Fate::NeverStarted,
            Ok(JobState::Forbidden) => match folder.remove() {
                Ok(()) => return Fate::NeverStarted,
                Err(error) => Err(error),
            },
            Err(error) if !matches!(error, FolderError::Damaged { .. }) => Err(error),
            Ok(_) | Err(_) => return end_of(folder, names, runner, "nobody has started it").await,
        };
        // With the start decided, the next look says what became of it.
        if let Err(error) = done {
            pause = next_look(pause, &error);
            tokio::time::sleep(pause).await;
        }
    }
}

/// Waits until the job in `folder` is over, and nothing of it runs. `why_not` is the explanation where nobody has started it: then nobody ever
/// will.
async fn end_of(folder: &JobFolder, names: &[String], runner: &Runner, why_not: &str) -> Fate {
    let fate = wait_for_end(folder, names, runner, why_not).await;
    runner.tidy(folder).await;
    fate
}

/// A folder that cannot be read for a moment (no descriptors, a disk error) is looked at again: a
/// job that may be alive is never reported as over.
async fn wait_for_end(folder: &JobFolder, names: &[String], runner: &Runner, why_not: &str) -> Fate {
    let mut pause = LOOK;
    loop {
        match folder.state() {
            Ok(JobState::Running { .. }) => pause = LOOK,
            Ok(JobState::Ended(report)) => return Fate::Over(with_output(folder.clone(), report).await),
            Ok(JobState::RebootAsked(asked)) => return reboot_asked(folder.clone(), asked).await,
            // The folder could not be made, on a full disk for example: nothing can be linked in it, and nobody else makes it.
            Ok(JobState::NotStarted) if matches!(folder.path().try_exists(), Ok(false)) => return not_started(why_not),
            Ok(JobState::NotStarted) => match folder.forbid_start() {
                Ok(true) => return not_started(why_not),
                Ok(false) => pause = LOOK,
                Err(error) => pause = next_look(pause, &error),
            },
            Ok(JobState::Forbidden) => return not_started("the start was taken away before anything was started"),
            Ok(JobState::Lost { .. }) => {
                runner.end_leftovers(folder).await;
                let why = "the job's process was killed, and how far the command came cannot be known";
                return Fate::Over(interrupted(folder.clone(), names.to_vec(), runner, why.to_owned(), None).await);
            }
            Err(error @ FolderError::Damaged { .. }) => {
                let why = format!("the job's folder is damaged: {}", with_causes(&error));
                return Fate::Over(interrupted(folder.clone(), names.to_vec(), runner, why, None).await);
            }
            Err(error) => pause = next_look(pause, &error),
        }
        tokio::time::sleep(pause).await;
    }
}

/// The pause after a failure; the first of a row is logged.
fn next_look(pause: Duration, error: &FolderError) -> Duration {
    if pause == LOOK {
        tracing::warn!(error = %with_causes(error), "a job's folder cannot be used; it is tried again");
    }
    (pause * 2).min(LONGEST_LOOK)
}

async fn remove_when_ended(order: OrderId, folder: JobFolder, runner: Runner) {
    while matches!(folder.state(), Ok(JobState::Running { .. })) {
        tokio::time::sleep(LONGEST_LOOK).await;
    }
    drop(tokio::task::spawn_blocking(move || warn_of(order, runner.remove(&folder))));
}

fn not_started(explanation: &str) -> Fate {
    Fate::Over(JobEnd { outcome: Outcome::Failed, explanation: explanation.to_owned(), steps: Vec::new() })
}

/// What the core is to know of a job that asks for a reboot. Its output is on disk with the rest.
async fn reboot_asked(folder: JobFolder, asked: spec::RebootAsked) -> Fate {
    let spec::RebootAsked { step, explanation, steps, .. } = asked;
    // The exec that was told of a cancel may not live any more, and in the journal there is none.
    let is_cancelled = folder.is_cancelled();
    let read = move || (0..).zip(steps).map(|(index, step)| step_result(&folder, index, step)).collect();
    match tokio::task::spawn_blocking(read).await {
        Ok(steps) => Fate::RebootAsked(RebootAsked { step, resume: Resume::SameStep, is_cancelled, explanation, steps }),
        Err(error) => {
            tracing::warn!(%error, "what a job left that asks for a reboot cannot be read");
            let explanation = "a step asked for a reboot, and what the steps did and wrote could not be read".to_owned();
            Fate::Over(JobEnd { outcome: Outcome::Failed, explanation, steps: Vec::new() })
        }
    }
}

/// The end that a job has told, with the output that goes with it. On a slow disk this takes long and is done aside: cancels and other jobs'
/// ends do not wait for it.
async fn with_output(folder: JobFolder, report: JobReport) -> JobEnd {
    let outcome = report.outcome;
    tokio::task::spawn_blocking(move || with_synced_output(&folder, report)).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "the output of a job cannot be read");
        JobEnd { outcome, explanation: "what the steps did and wrote could not be read".to_owned(), steps: Vec::new() }
    })
}

fn with_synced_output(folder: &JobFolder, report: JobReport) -> JobEnd {
    // What the result cannot carry is read from the files later, and must outlast a power cut as the result does.
    let kept = |of: fn(&JobStep) -> &CapturedFile| report.steps.iter().map(|step| of(step).kept_bytes).fold(0, u64::saturating_add);
    let fits = |bytes: u64, room: usize| usize::try_from(bytes).is_ok_and(|bytes| bytes <= room);
    if !fits(kept(|step| &step.stdout), RESULT_STDOUT_BYTES) || !fits(kept(|step| &step.stderr), RESULT_STDERR_BYTES) {
        folder.sync_output().unwrap_or_else(|error| tracing::warn!(error = %with_causes(&error), "output may not outlast a power cut"));
    }
    let steps = (0..).zip(report.steps).map(|(index, step)| step_result(folder, index, step)).collect();
    JobEnd { outcome: report.outcome, explanation: report.explanation, steps }
}

fn step_result(folder: &JobFolder, index: u16, step: JobStep) -> StepResult {
    StepResult {
        name: step.name,
        status: step.status,
        exit_code: step.exit_code,
        started_ms: step.started_uptime_ms,
        ended_ms: step.ended_uptime_ms,
        stdout: captured(folder, index, OutputStream::Stdout, step.stdout),
        stderr: captured(folder, index, OutputStream::Stderr, step.stderr),
    }
}

fn captured(folder: &JobFolder, step: u16, stream: OutputStream, file: CapturedFile) -> Captured {
    let maximum = match stream {
        OutputStream::Stdout => RESULT_STDOUT_BYTES,
        OutputStream::Stderr => RESULT_STDERR_BYTES,
    };
    let head = folder.read_output(step, stream, 0, maximum).unwrap_or_default();
    Captured { written_bytes: file.written_bytes, kept_bytes: file.kept_bytes, sha256: file.sha256, head }
}

/// The end of a job whose outcome nobody can know, with the output that is there. Reading it may take long and is done aside. What its
/// downloads have left goes, passwords among it; `spec` is what it was to run, none where its folder says so.
async fn interrupted(folder: JobFolder, names: Vec<String>, runner: &Runner, explanation: String, spec: Option<JobSpec>) -> JobEnd {
    let runner = runner.clone();
    let looked = tokio::task::spawn_blocking(move || {
        if let Some(spec) = spec.or_else(|| folder.spec().ok()) {
            runner.remove_downloads(&spec, &folder);
        }
        // The result will say how much there is, so no power cut may take any of it away afterwards.
        folder.sync_output().unwrap_or_else(|error| tracing::warn!(error = %with_causes(&error), "output may not outlast a power cut"));
        steps_as_they_are(&folder, &names)
    });
    let steps = looked.await.unwrap_or_else(|error| {
        tracing::warn!(%error, "the output of an interrupted job cannot be read");
        Vec::new()
    });
    JobEnd { outcome: Outcome::Interrupted, explanation, steps }
}

fn steps_as_they_are(folder: &JobFolder, names: &[String]) -> Vec<StepResult> {
    let lengths = folder.output_lengths().unwrap_or_default();
    let reached = lengths.iter().map(|(step, ..)| usize::from(*step) + 1).max().unwrap_or(0);
    let steps = (0_u16..).zip(names).take(reached).map(|(index, name)| {
        let step = JobStep {
            status: StepStatus::Failed,
            stdout: file_as_it_is(folder, index, OutputStream::Stdout),
            stderr: file_as_it_is(folder, index, OutputStream::Stderr),
            ..JobStep::not_run(name)
        };
        step_result(folder, index, step)
    });
    steps.collect()
}

fn file_as_it_is(folder: &JobFolder, step: u16, stream: OutputStream) -> CapturedFile {
    let mut hasher = Sha256::new();
    let mut length = 0;
    let mut tries = 0;
    loop {
        match folder.read_output(step, stream, length, READ_BYTES) {
            Ok(bytes) if bytes.is_empty() => break,
            Ok(bytes) => {
                hasher.update(&bytes);
                length += u64::try_from(bytes.len()).unwrap_or(0);
            }
            // What is not counted here is never handed in.
            Err(error) if tries < READ_TRIES => {
                tries += 1;
                tracing::warn!(step, error = %with_causes(&error), "output of a lost job cannot be read; it is tried again");
                std::thread::sleep(LOOK);
            }
            Err(error) => {
                tracing::error!(step, error = %with_causes(&error), "the rest of a lost job's output cannot be read and is left out");
                break;
            }
        }
    }
    CapturedFile { written_bytes: length, kept_bytes: length, sha256: hasher.finalize().into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    const ORDER: OrderId = OrderId([1; 16]);

    /// All jobs, and the path of one job's output, which is not there.
    fn jobs(place: &tempfile::TempDir) -> (Jobs, PathBuf) {
        let (ended, _) = mpsc::channel(1);
        let jobs = Jobs::new(place.path().to_owned(), 1 << 20, None, BootId([1; 16]), ended);
        let path = jobs.of(ORDER).output(0, OutputStream::Stdout);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        (jobs, path)
    }

    #[test]
    fn a_read_that_fails_does_not_say_that_there_is_no_more() {
        let place = tempfile::tempdir().unwrap();
        let (jobs, path) = jobs(&place);
        let read = |offset| jobs.read_output(ORDER, 0, OutputStream::Stdout, offset, 16);
        assert_eq!(read(0), Some(Vec::new()), "there is none");
        // It opens and cannot be read, as a file on a failing disk.
        fs::create_dir(&path).unwrap();
        assert_eq!(read(0), None);
        fs::remove_dir(&path).unwrap();
        fs::File::create_new(&path).and_then(|mut file| std::io::Write::write_all(&mut file, b"output")).unwrap();
        assert_eq!((read(0), read(4), read(6)), (Some(b"output".to_vec()), Some(b"ut".to_vec()), Some(Vec::new())));
    }

    /// A pipe without a writer cannot be opened: a disk that takes its time.
    #[tokio::test]
    async fn exec_goes_on_while_a_job_s_output_is_synced() {
        let place = tempfile::tempdir().unwrap();
        let (jobs, path) = jobs(&place);
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        fs::File::create_new(jobs.of(ORDER).output(0, OutputStream::Stderr)).unwrap();
        let is_released = Arc::new(AtomicBool::new(false));
        let releases = Arc::clone(&is_released);
        // Whoever opens it for both finds nobody to wait for, and lets in who waits.
        let disk = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(1));
            releases.store(true, Ordering::SeqCst);
            fs::OpenOptions::new().read(true).write(true).open(&path).unwrap()
        });
        let stdout = CapturedFile { written_bytes: 1 << 20, kept_bytes: 1 << 20, sha256: [0; 32] };
        let step = JobStep { stdout, ..JobStep::not_run("step") };
        let report = JobReport { outcome: Outcome::Succeeded, explanation: String::new(), steps: vec![step] };
        let end = tokio::spawn(with_output(jobs.of(ORDER), report));
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(!is_released.load(Ordering::SeqCst), "exec stood still");
        let open = disk.join().unwrap();
        assert_eq!(end.await.unwrap().steps.len(), 1);
        drop(open);
    }
}
