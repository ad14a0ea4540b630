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
//! | `reboot-<n>` | the job, instead of `exit` | [`spec::RebootAsked`]: a step asks for the order's reboot number n |
//! | `order-<n>.<t>`, `started-<n>.<t>`, `exit-<n>.<t>` | as above | of the start after that reboot, at its try t |
//! | `log` | the job | its own messages |
//!
//! The secrets of an order are in none of these: exec hands them to the job as its standard input ([`secrets`]), each time it starts it, and
//! what the steps write is kept without them ([`redaction`]).
//!
//! `started` without `exit` and without a lock means that the job was cut off: its outcome cannot be known. A time-out, the
//! output limit and a cancel are enforced here and need nobody else. A job is its own session; a step is its own process
//! group. A program that leaves its group (`setsid`, or a shell's job control) escapes a step's kill: only cgroups can hold it.
//!
//! Exit codes: 0 the report is written; 75 the order was started before and nothing was run; 70 the job could not do its
//! work, and what there is to know of it stands in `log`.

pub mod capture;
pub mod cgroup;
pub mod child;
pub mod clean;
pub mod folder;
pub mod host;
pub mod profile;
pub mod redaction;
pub mod secrets;
pub mod spec;
pub mod start;
pub mod tools;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
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
use flotilla_agent_core::Attempt;
use folder::JobFolder;
use host::{Host, Stop};
use secrets::JobSecrets;
use spec::{JobReport, JobSpec, JobStep, Level, RebootAsked};
use start::{Claim, StartError};

/// Exit code: the order was started before (`EX_TEMPFAIL` of sysexits).
pub const ALREADY_STARTED: u8 = 75;
/// Exit code: the job could not do its work (`EX_SOFTWARE`).
pub const COULD_NOT_RUN: u8 = 70;

/// First and longest pause before a report that has no room is written again.
const FIRST_REPORT_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_REPORT_PAUSE: Duration = Duration::from_secs(10);
/// After so long on a full disk the report is given up, and the outcome is not known.
pub(crate) const REPORT_PATIENCE: Duration = Duration::from_secs(24 * 3600);

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

/// How a job's process comes to its end.
enum Finish {
    Over(JobReport),
    Reboot(RebootAsked),
}

/// Runs the job of a folder, if nobody has before: from its first step, or from the step that asked for the last reboot.
///
/// `group` is the control group that it joins: without it nothing holds what leaves its process group, and the job runs all the same.
///
/// # Errors
/// See [`JobError`]. What goes wrong within the steps is no error: it stands in the report.
pub async fn run(folder: &Path, attempt: Attempt, group: Option<&Path>) -> Result<(), JobError> {
    if let Some(Err(error)) = group.map(cgroup::join) {
        tracing::warn!(%error, "the job cannot join its control group");
    }
    // First, so that they are in nothing that others could open.
    let secrets = JobSecrets::take_input();
    let folder = JobFolder::at(std::path::absolute(folder).map_err(JobError::Process)?).of_attempt(attempt);
    let stop = become_job(&folder).map_err(JobError::Process)?;
    // From here on the lock is held until this process is gone, however it goes.
    let _claim: Claim = start::claim(&folder)?;
    let fit = |secrets| {
        let spec = folder.spec().map_err(|error| error.to_string())?;
        fit_to_run(spec, &secrets).map(|spec| (spec, secrets)).map_err(str::to_owned)
    };
    let finish = match secrets.map_err(|error| format!("the secrets of the command cannot be had: {error}")).and_then(fit) {
        Ok((spec, secrets)) => match before(&folder) {
            Ok(before) => run_steps(&folder, &spec, &secrets, stop, before).await,
            Err(explanation) => Finish::Over(JobReport { outcome: Outcome::Failed, explanation, steps: Vec::new() }),
        },
        Err(explanation) => Finish::Over(JobReport { outcome: Outcome::Failed, explanation, steps: Vec::new() }),
    };
    let report = match finish {
        Finish::Over(report) => report,
        Finish::Reboot(asked) => match folder.ask_for_reboot(&asked) {
            Ok(()) => return Ok(()),
            Err(error) => without_reboot(&spec_names(&folder), asked, &error.to_string()),
        },
    };
    let path = folder.report();
    let bytes = crate::record::encode(&report).map_err(|error| JobError::Report { path: path.clone(), source: io::Error::other(error) })?;
    write_report(&path, &bytes).await.map_err(|source| JobError::Report { path, source })
}

/// What the job before the last reboot has left; nothing where there was none.
fn before(folder: &JobFolder) -> Result<Option<RebootAsked>, String> {
    if folder.attempt().reboots == 0 {
        return Ok(None);
    }
    folder.before_reboot().map(Some).map_err(|error| format!("what the command had done before the reboot is lost: {error}"))
}

fn spec_names(folder: &JobFolder) -> Vec<String> {
    folder.spec().map_or_else(|_| Vec::new(), |spec| spec.plan.steps.into_iter().map(|step| step.name).collect())
}

/// The end of a job whose wish for a reboot cannot be written down: then it must not have one.
fn without_reboot(names: &[String], asked: RebootAsked, why: &str) -> JobReport {
    let RebootAsked { mut explanation, mut steps, .. } = asked;
    let name = steps.last().map_or_else(String::new, |step| step.name.clone());
    explain(&mut explanation, &name, &format!("it asks for a reboot (exit code 194), which cannot be written down: {why}"));
    steps.extend(names.iter().skip(steps.len()).map(|name| JobStep::not_run(name)));
    JobReport { outcome: Outcome::Failed, explanation, steps }
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

/// Checks that the job can be run with these secrets, and tells its parameters where scripts find them.
fn fit_to_run(mut spec: JobSpec, secrets: &JobSecrets) -> Result<JobSpec, &'static str> {
    if clock::boot_id().ok() != Some(spec.boot) {
        return Err("the job was made in another boot and must not be started in this one");
    }
    if spec.plan.check(spec.parameters.len()).is_err() {
        return Err("the job's plan is malformed");
    }
    let Ok(named) = spec.plan.secrets() else { return Err("the job's plan is malformed") };
    if !named.iter().all(|parameter| secrets.has(*parameter)) {
        return Err("a secret that the command needs was not handed to its job");
    }
    secrets.put_paths(&mut spec.parameters);
    Ok(spec)
}

async fn run_steps(folder: &JobFolder, spec: &JobSpec, secrets: &JobSecrets, mut stop: Stop, before: Option<RebootAsked>) -> Finish {
    let needles = secrets.needles().map(Arc::new);
    let mut first = before.as_ref().map_or(0, |before| before.step);
    let mut ended_by = before.as_ref().and_then(|before| before.ended_by.clone());
    let Resumed { mut steps, mut explanation, mut again, mut within } = Resumed::of(before, folder.attempt());
    if let Some(why) = &spec.without_reboot
        && let Some(asked) = again.take()
    {
        add_line(&mut explanation, why);
        ended_by.get_or_insert_with(|| asked.name.clone());
        steps.push(asked);
        within.clear();
        first = first.saturating_add(1);
    }
    let mut flow = Flow::of(&spec.plan).after(usize::from(first), ended_by);
    let mut cancelled = false;
    for (index, planned) in (0_u16..).zip(&spec.plan.steps).skip(usize::from(first)) {
        cancelled = cancelled || stop.requested();
        let again = again.take();
        if cancelled {
            let as_it_is = again.map(|before| JobStep { status: StepStatus::Cancelled, ..before });
            steps.push(as_it_is.unwrap_or_else(|| JobStep::not_run(&planned.name)));
            continue;
        }
        let started_uptime_ms = clock::boottime_ms();
        let prefix = if folder.attempt().reboots == 0 { String::new() } else { format!("r{}.", folder.attempt()) };
        let within = std::mem::take(&mut within);
        let mut host =
            Host { folder, spec, secrets, needles: needles.clone(), index, stop: &mut stop, prefix, again, within, asks_reboot: None };
        let Ending { status, exit_code, explanation: why, captures } = step::run(planned, &mut flow, &mut host).await;
        let asks_reboot = host.asks_reboot.take();
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
        if let Some(within) = asks_reboot {
            return Finish::Reboot(RebootAsked { step: index, ended_by: flow.into_ended_by(), explanation, steps, within });
        }
    }
    let outcome = aggregate(steps.iter().map(|step| step.status), stop.requested());
    if outcome == Outcome::Cancelled && explanation.is_empty() {
        "cancelled before the first step ended".clone_into(&mut explanation);
    }
    Finish::Over(JobReport { outcome, explanation, steps })
}

/// Where a job goes on.
#[derive(Default)]
struct Resumed {
    steps: Vec<JobStep>,
    explanation: String,
    /// The step that asked for the reboot, as it was then.
    again: Option<JobStep>,
    within: Vec<Level>,
}

impl Resumed {
    fn of(before: Option<RebootAsked>, attempt: Attempt) -> Self {
        let Some(RebootAsked { step, explanation, mut steps, within, .. }) = before else { return Self::default() };
        tracing::info!(step, %attempt, "the job goes on after a reboot");
        // The uptimes are another boot's; exec knows the times.
        for step in &mut steps {
            (step.started_uptime_ms, step.ended_uptime_ms) = (None, None);
        }
        let again = steps.drain(usize::from(step).min(steps.len())..).next();
        Self { steps, explanation, again, within }
    }
}

/// Adds a line on a step, as far as there is room.
pub(crate) fn explain(explanation: &mut String, step: &str, why: &str) {
    add_line(explanation, &format!("step {step}: {why}"));
}

fn add_line(explanation: &mut String, line: &str) {
    if !explanation.is_empty() {
        explanation.push_str("; ");
    }
    explanation.push_str(line);
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
