//! The role job: runs the steps of one order, in a process of its own that outlives everything else of the agent.
//!
//! A job and exec share a folder (0700, named after the order, every file of ours in it 0600) and two signals, nothing else:
//!
//! | name | written by | what |
//! |---|---|---|
//! | `order` | exec, before the start | [`spec::JobSpec`] |
//! | `started` | the job, before it runs anything | [`spec::Started`]; whoever links this name owns the one start, and holds a lock on it while it lives |
//! | `cancel` | exec | empty: stop. Then exec sends SIGTERM; without this file SIGTERM means nothing |
//! | `step-<i>.stdout`, `step-<i>.stderr` | the job | what the step wrote, from the first byte up to the limit; they only grow |
//! | `step-<i>.plan`, `step-<i>.sh` | the job | what the step runs; the script belongs to the user that it runs as |
//! | `work/` | the steps | their working folder, where the document names none; it belongs to the user that they run as |
//! | `exit` | the job, at its end | [`spec::JobReport`] |
//! | `log` | the job | its own messages |
//!
//! `started` without `exit` and without a lock means that the job was cut off: its outcome cannot be known. A time-out, the
//! output limit and a cancel are enforced here and need nobody else. A job is its own session; a step is its own process
//! group. A program that leaves its group (`setsid`, or a shell's job control) escapes a step's kill: only cgroups can hold it.
//!
//! Exit codes: 0 the report is written; 75 the order was started before and nothing was run; 70 the job could not do its
//! work, and what there is to know of it stands in `log`.

pub mod capture;
pub mod child;
pub mod folder;
pub mod host;
pub mod spec;
pub mod start;
pub mod tools;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flotilla_protocol::capability::command::MAXIMUM_EXPLANATION_BYTES;
use flotilla_protocol::status::{Outcome, StepStatus};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{getpid, getsid, setsid};
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};

use crate::clock;
use crate::state;
use crate::step::control::Flow;
use crate::step::{self, Ending};
use capture::Capture;
use folder::JobFolder;
use host::{Host, Stop};
use spec::{JobReport, JobSpec, JobStep};
use start::{Claim, StartError};

/// Exit code: the order was started before (`EX_TEMPFAIL` of sysexits).
pub const ALREADY_STARTED: u8 = 75;
/// Exit code: the job could not do its work (`EX_SOFTWARE`).
pub const COULD_NOT_RUN: u8 = 70;

/// First and longest pause before a report that has no room is written again.
const FIRST_REPORT_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_REPORT_PAUSE: Duration = Duration::from_secs(10);
/// After so long on a full disk the report is given up, and the outcome is not known.
const REPORT_PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// Why a job has no report.
#[derive(Debug, Error)]
pub enum JobError {
    /// Somebody else owns the start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The process cannot be set up; nothing was started.
    #[error("the job's process cannot be set up")]
    Process(#[source] io::Error),
    /// The report cannot be written.
    #[error("the report cannot be written to {}", .path.display())]
    Report {
        /// Where it belongs.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl JobError {
    /// The exit code that says so.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Start(StartError::AlreadyStarted) => ALREADY_STARTED,
            _ => COULD_NOT_RUN,
        }
    }
}

/// Runs the job of a folder, if nobody has before.
///
/// # Errors
/// See [`JobError`]. What goes wrong within the steps is no error: it stands in the report.
pub async fn run(folder: &Path) -> Result<(), JobError> {
    let folder = JobFolder::at(std::path::absolute(folder).map_err(JobError::Process)?);
    let stop = become_job(&folder).map_err(JobError::Process)?;
    // From here on the lock is held until this process is gone, however it goes.
    let _claim: Claim = start::claim(&folder)?;
    let report = match folder.spec().map_err(|error| error.to_string()).and_then(|spec| fit_to_run(spec).map_err(str::to_owned)) {
        Ok(spec) => run_steps(&folder, &spec, stop).await,
        Err(explanation) => JobReport { outcome: Outcome::Failed, explanation, steps: Vec::new() },
    };
    let path = folder.report();
    let bytes = crate::record::encode(&report).map_err(|error| JobError::Report { path: path.clone(), source: io::Error::other(error) })?;
    write_report(&path, &bytes).await.map_err(|source| JobError::Report { path, source })
}

/// Writes the report, once there is room for it. While it is tried the lock is held, so that the job counts as running: its outcome is known
/// to this process alone.
async fn write_report(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (mut pause, mut waited) = (FIRST_REPORT_PAUSE, Duration::ZERO);
    loop {
        match state::replace_file_for_this_boot(path, bytes) {
            Err(error) if waited < REPORT_PATIENCE && is_passing(error.kind()) => {
                tokio::time::sleep(pause).await;
                waited += pause;
                pause = (pause * 2).min(LONGEST_REPORT_PAUSE);
            }
            done => return done,
        }
    }
}

fn is_passing(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::ReadOnlyFilesystem)
}

/// Leaves the session of whoever started us, and takes over the signals that could end us.
fn become_job(folder: &JobFolder) -> io::Result<Stop> {
    let terminate = signal(SignalKind::terminate())?;
    // Handled and not ignored: what is ignored would be ignored by the steps, too.
    for kind in [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::quit()] {
        drop(signal(kind)?);
    }
    if getsid(None)? != getpid() {
        setsid()?;
    }
    umask(Mode::from_bits_truncate(0o077));
    std::env::set_current_dir(folder.path())?;
    Ok(Stop::new(terminate, folder.cancel_marker()))
}

fn fit_to_run(spec: JobSpec) -> Result<JobSpec, &'static str> {
    if clock::boot_id().ok() != Some(spec.boot) {
        return Err("the job was made in another boot and must not be started in this one");
    }
    if spec.plan.check(spec.parameters.len()).is_err() {
        return Err("the job's plan is malformed");
    }
    Ok(spec)
}

async fn run_steps(folder: &JobFolder, spec: &JobSpec, mut stop: Stop) -> JobReport {
    let mut steps = Vec::with_capacity(spec.plan.steps.len());
    let mut explanation = String::new();
    let (mut cancelled, mut flow) = (false, Flow::of(&spec.plan));
    for (index, planned) in (0_u16..).zip(&spec.plan.steps) {
        cancelled = cancelled || stop.requested();
        if cancelled {
            steps.push(JobStep::not_run(&planned.name));
            continue;
        }
        let started_uptime_ms = clock::boottime_ms();
        let mut host = Host { folder, spec, index, stop: &mut stop, prefix: String::new() };
        let Ending { status, exit_code, explanation: why, captures } = step::run(planned, &mut flow, &mut host).await;
        if let Some(why) = why {
            explain(&mut explanation, &planned.name, &why);
        }
        cancelled = status == StepStatus::Cancelled;
        let [stdout, stderr] = captures.map_or_else(Default::default, |captures| captures.map(Capture::finish));
        steps.push(JobStep {
            name: planned.name.clone(),
            status,
            exit_code,
            started_uptime_ms: Some(started_uptime_ms),
            ended_uptime_ms: Some(clock::boottime_ms()),
            stdout,
            stderr,
        });
    }
    let outcome = aggregate(steps.iter().map(|step| step.status), stop.requested());
    if outcome == Outcome::Cancelled && explanation.is_empty() {
        "cancelled before the first step ended".clone_into(&mut explanation);
    }
    JobReport { outcome, explanation, steps }
}

/// Adds a line on a step, as far as there is room.
pub(crate) fn explain(explanation: &mut String, step: &str, why: &str) {
    if !explanation.is_empty() {
        explanation.push_str("; ");
    }
    explanation.push_str(&format!("step {step}: {why}"));
    explanation.truncate(explanation.floor_char_boundary(MAXIMUM_EXPLANATION_BYTES));
}

/// SSM's order: Failed, then TimedOut, then Cancelled, then success, which skipped steps do not change. Steps that were not reached count only through the
/// cancel that kept them from it.
pub(crate) fn aggregate(steps: impl Iterator<Item = StepStatus>, cancelled: bool) -> Outcome {
    let mut outcome = Outcome::Succeeded;
    let mut not_reached = false;
    for status in steps {
        outcome = match (outcome, status) {
            (Outcome::Failed, _) | (_, StepStatus::Failed) => Outcome::Failed,
            (Outcome::TimedOut, _) | (_, StepStatus::TimedOut) => Outcome::TimedOut,
            (Outcome::Cancelled, _) | (_, StepStatus::Cancelled) => Outcome::Cancelled,
            (outcome, StepStatus::Succeeded | StepStatus::Skipped) => outcome,
            (outcome, StepStatus::NotRun) => {
                not_reached = true;
                outcome
            }
        };
    }
    if outcome == Outcome::Succeeded && not_reached && cancelled { Outcome::Cancelled } else { outcome }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_add_up_as_in_ssm() {
        use StepStatus::{Cancelled, Failed, NotRun, Skipped, Succeeded, TimedOut};
        for (steps, cancelled, expected) in [
            (vec![Succeeded, Succeeded], false, Outcome::Succeeded),
            (vec![Succeeded, Succeeded], true, Outcome::Succeeded),
            (vec![Succeeded, NotRun], false, Outcome::Succeeded),
            (vec![Succeeded, NotRun], true, Outcome::Cancelled),
            (vec![NotRun], true, Outcome::Cancelled),
            (vec![Skipped, Succeeded], false, Outcome::Succeeded),
            (vec![Skipped, Skipped], false, Outcome::Succeeded),
            (vec![Failed, Skipped], false, Outcome::Failed),
            (vec![TimedOut, Skipped], false, Outcome::TimedOut),
            (vec![Failed, Succeeded], false, Outcome::Failed),
            (vec![TimedOut, Failed, Succeeded], false, Outcome::Failed),
            (vec![Succeeded, TimedOut], false, Outcome::TimedOut),
            (vec![TimedOut, Cancelled, NotRun], true, Outcome::TimedOut),
            (vec![Succeeded, Cancelled, NotRun], true, Outcome::Cancelled),
        ] {
            assert_eq!(aggregate(steps.iter().copied(), cancelled), expected, "{steps:?}");
        }
    }

    #[test]
    fn an_explanation_stays_within_its_limit() {
        let mut explanation = String::new();
        for _ in 0..100 {
            explain(&mut explanation, "ä", &"ö".repeat(9));
        }
        assert!(explanation.len() <= MAXIMUM_EXPLANATION_BYTES);
        assert!(explanation.starts_with("step ä: ö"));
    }
}
