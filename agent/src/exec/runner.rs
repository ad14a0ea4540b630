//! Who starts and holds the processes of jobs: systemd, or exec itself.
//!
//! Either way a job may be started any number of times: whichever process links `started` in its folder runs it, and the others run nothing.
//! So nothing is decided by whether `systemd-run` succeeds: it may be killed after PID 1 has taken the job, and PID 1 refuses a unit that is
//! there already. Only when the start was not taken for a while, and is then taken away for good, its error is the order's.

mod collect;

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use flotilla_agent_core::Attempt;
use flotilla_protocol::document::Plan;
use flotilla_protocol::id::OrderId;
use nix::unistd::geteuid;
use tokio::process::Child;
use tokio::time::{sleep, timeout};

use super::jobs::with_causes;
use super::transient;
use crate::job::cgroup::{self, Cgroups};
use crate::job::folder::{FolderError, JobFolder, JobState};
use crate::job::profile::{GivenLimits, Limits, device_memory_bytes};
use crate::job::secrets;
use crate::job::spec::JobSpec;
use crate::settings::{JobRunner, Settings};
use crate::{job, notify, process, record, step};

/// There while systemd is what runs the system (sd_booted(3)).
pub(super) const SYSTEMD: &str = "/run/systemd/system";
/// In the environment of everything that systemd has started (systemd.exec(5)).
const INVOCATION: &str = "INVOCATION_ID";

/// Pauses, in milliseconds, before a start is tried again that PID 1 did not take: it may be about to execute itself anew, or a unit of the
/// name may be ending.
const TRY_AGAIN_MS: [u64; 7] = [200, 400, 800, 1600, 2000, 2000, 2000];
/// So long `systemctl` may take to end what a job has left.
const END_PATIENCE: Duration = Duration::from_secs(15);
/// What is kept of why a start failed, in bytes.
const MAXIMUM_REASON_BYTES: usize = 512;
/// Exit code of `systemd-run` for what goes wrong in itself.
const STARTER_FAILED: i32 = 1;

/// How the processes of jobs are started and held.
#[derive(Debug, Clone)]
pub struct Runner {
    way: Way,
    search_path: String,
    given: GivenLimits,
    device_memory_bytes: u64,
}

#[derive(Debug, Clone)]
enum Way {
    /// As children of exec, each in a control group of its own where that can be had.
    Process(Option<Cgroups>),
    /// As transient units.
    Systemd,
}

/// A job that was begun and may be running.
#[derive(Debug)]
pub(super) struct Begun {
    runner: Runner,
    folder: JobFolder,
    order: OrderId,
    limits: Limits,
    /// Kept, because the start may have to be made once more.
    input: Option<File>,
    child: Child,
    /// How long the job's log was before.
    log_bytes: u64,
}

impl Default for Runner {
    /// As children of exec, without limits.
    fn default() -> Self {
        Self {
            way: Way::Process(None),
            search_path: job::tools::DEFAULT_SEARCH_PATH.to_owned(),
            given: GivenLimits::default(),
            device_memory_bytes: device_memory_bytes(),
        }
    }
}

impl Runner {
    /// As the settings say, on this system.
    #[must_use]
    pub fn of_settings(settings: &Settings) -> Self {
        let is_variable = |name: &str| std::env::var_os(name).is_some();
        let place = Place {
            has_systemd: Path::new(SYSTEMD).is_dir(),
            is_root: geteuid().is_root(),
            is_service: is_variable(INVOCATION) && is_variable(notify::VARIABLES[0]),
        };
        let way = if place.is_for_systemd(settings.job_runner) {
            tracing::info!("systemd runs the jobs, each as a unit of its own");
            Way::Systemd
        } else {
            Way::Process(place.cgroups())
        };
        Self { way, search_path: settings.tools.search_path.clone(), given: settings.job_limits, ..Self::default() }
    }

    /// Begins a job; more than once does no harm.
    ///
    /// # Errors
    /// Why no process could be started. One of before may be on its way all the same.
    pub(super) fn begin(&self, order: OrderId, folder: &JobFolder, plan: &Plan, input: Option<File>) -> Result<Begun, String> {
        let limits = Limits::of(plan, self.given, self.device_memory_bytes);
        let log_bytes = std::fs::metadata(folder.log()).map_or(0, |log| log.len());
        let child = self.spawn(order, folder, &limits, input.as_ref())?;
        // Only PID 1 may not have taken it; a process of our own has.
        let input = input.filter(|_| matches!(self.way, Way::Systemd));
        Ok(Begun { runner: self.clone(), folder: folder.clone(), order, limits, input, child, log_bytes })
    }

    fn spawn(&self, order: OrderId, folder: &JobFolder, limits: &Limits, input: Option<&File>) -> Result<Child, String> {
        let failed = |error: io::Error| format!("the job's process cannot be started: {error}");
        match &self.way {
            Way::Process(cgroups) => {
                let group = cgroups.as_ref().and_then(|cgroups| {
                    let made = cgroups.make(&group_of(order, folder.attempt()), limits);
                    made.inspect_err(|error| tracing::warn!(%order, %error, "the job gets no control group")).ok()
                });
                let input = input.map(File::try_clone).transpose().map_err(failed)?;
                process::start_job(folder, input, group.as_deref()).map_err(failed)
            }
            Way::Systemd => {
                let starter = self.find(transient::STARTER)?;
                // Read from its beginning, however far an earlier process has come.
                let input = input.map(secrets::reopened).transpose().map_err(failed)?;
                let command = process::job_command(folder);
                let arguments = transient::start_arguments(order, folder.attempt(), limits, &command);
                process::start_starter(&starter, &arguments, &self.search_path, input, folder).map_err(failed)
            }
        }
    }

    fn find(&self, program: &str) -> Result<PathBuf, String> {
        process::find_program(&self.search_path, program).ok_or_else(|| {
            format!("there is no program {program} in {}; see the agent's settings search_path and job_runner", self.search_path)
        })
    }

    /// Ends what a job has left running that is lost.
    pub(super) async fn end_leftovers(&self, folder: &JobFolder) {
        match folder.kill_leftovers() {
            Ok(0) => {}
            Ok(killed) => tracing::warn!(killed, "processes of a lost job were killed"),
            Err(error) => tracing::warn!(error = %with_causes(&error), "what a lost job left running cannot be killed"),
        }
        if let (Way::Systemd, Some(order)) = (&self.way, folder.order_id()) {
            for arguments in transient::end_arguments(order, folder.attempt()) {
                // A unit that is gone is what is wanted, and an error of systemctl.
                if let Err(why) = self.control(&arguments).await {
                    tracing::warn!(%order, why, "what a lost job left running may live on");
                }
            }
        }
    }

    async fn control(&self, arguments: &[String]) -> Result<(), String> {
        let program = self.find(transient::CONTROL)?;
        let failed = |error: io::Error| format!("{} cannot be run: {error}", program.display());
        let started = process::start_system_program(&program, arguments, &self.search_path, Stdio::null(), Stdio::null());
        let mut child = started.map_err(failed)?;
        match timeout(END_PATIENCE, child.wait()).await {
            Ok(ended) => ended.map(drop).map_err(failed),
            Err(_) => {
                // It is gone by itself when that fails.
                drop(child.start_kill());
                Err(format!("{} takes longer than {} s", program.display(), END_PATIENCE.as_secs()))
            }
        }
    }

    /// What is to be done when a job is over: nothing of it may run on. systemd does that by itself.
    pub(super) async fn tidy(&self, folder: &JobFolder) {
        let (Way::Process(Some(cgroups)), Some(order)) = (&self.way, folder.order_id()) else { return };
        let (cgroups, group) = (cgroups.clone(), group_of(order, folder.attempt()));
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || cgroups.end(&group)).await {
            tracing::warn!(%order, %error, "what the job has left running cannot be ended");
        }
    }

    /// Removes a job's folder, and where exec may not do that has systemd do it. Blocks.
    ///
    /// # Errors
    /// What stands in exec's own way.
    pub(super) fn remove(&self, folder: &JobFolder) -> Result<(), FolderError> {
        loop {
            match folder.remove() {
                Err(error) if self.is_for_cleaner(&error) => {
                    if let Err(why) = self.clean(&folder.unnamed(), None) {
                        tracing::warn!(why, "systemd does not remove a job's folder either");
                        return Err(error);
                    }
                    // Once more: what was in the way may have been an earlier one's remains. Where it is not gone now it never will be.
                    if folder.unnamed().exists() {
                        return Err(error);
                    }
                }
                done => return done,
            }
        }
    }

    /// Removes remains of a job's folder that exec could not. Blocks.
    pub(super) fn remove_remains(&self, error: &FolderError) {
        let cleaned = match error {
            FolderError::Failed { path, .. } if self.is_for_cleaner(error) => self.clean(path, None),
            _ => Err("exec cannot remove it".to_owned()),
        };
        if let Err(why) = cleaned {
            tracing::warn!(error = %with_causes(error), why, "remains of jobs' folders stay");
        }
    }

    /// Whether it may take long to remove something.
    pub(super) fn is_slow_to_remove(&self) -> bool {
        matches!(self.way, Way::Systemd)
    }

    /// Removes what downloads of a job may have left that was killed. Blocks.
    pub(super) fn remove_downloads(&self, spec: &JobSpec, folder: &JobFolder) {
        if !step::has_downloads(&spec.plan) {
            return;
        }
        if matches!(self.way, Way::Systemd) {
            match self.clean(folder.path(), Some(spec)) {
                Ok(()) => return,
                Err(why) => tracing::warn!(why, "what downloads of a killed job have left may stay"),
            }
        }
        step::remove_leftovers(&spec.plan, spec, &folder.work());
    }

    fn is_for_cleaner(&self, error: &FolderError) -> bool {
        let is_refused = matches!(error, FolderError::Failed { source, .. } if source.kind() == io::ErrorKind::PermissionDenied);
        is_refused && matches!(self.way, Way::Systemd)
    }

    /// Has systemd run the role clean, and waits for its end.
    fn clean(&self, folder: &Path, downloads_of: Option<&JobSpec>) -> Result<(), String> {
        let starter = self.find(transient::STARTER)?;
        let failed = |error: io::Error| format!("{} cannot be run: {error}", starter.display());
        let input = downloads_of.map(record::encode).transpose().map_err(|error| error.to_string())?;
        let input = input.map(|bytes| secrets::in_memory(&bytes)).transpose().map_err(failed)?;
        let mut command = process::own_command("clean");
        command.extend([OsString::from("--folder"), folder.into()]);
        if downloads_of.is_some() {
            command.push("--downloads".into());
        }
        // None of before is waited for: a name of its own each time.
        let name = format!("flotilla-clean-{:016x}", getrandom::u64().map_err(|error| error.to_string())?);
        let arguments = transient::clean_arguments(&name, &command);
        let ended = process::run_starter(&starter, &arguments, &self.search_path, input).map_err(failed)?;
        if ended.success() { Ok(()) } else { Err(format!("{} ended with {ended}", starter.display())) }
    }
}

impl Begun {
    /// Waits until the job's process has ended, and starts it again while nothing has taken its start. Says why nothing may have been
    /// started, which counts only for a start that nobody has taken.
    pub(super) async fn ended(mut self) -> String {
        let order = self.order;
        let mut pauses = TRY_AGAIN_MS.into_iter();
        loop {
            let code = match self.child.wait().await {
                Ok(status) => status.code(),
                Err(error) => {
                    tracing::warn!(%order, %error, "the job's process cannot be waited for");
                    None
                }
            };
            let is_by_systemd = matches!(self.runner.way, Way::Systemd);
            if !is_by_systemd || !matches!(self.folder.state(), Ok(JobState::NotStarted)) {
                return "the job's process ended before it started anything".to_owned();
            }
            let why = self.why_not(code);
            let may_pass = matches!(code, None | Some(STARTER_FAILED));
            let Some(pause) = pauses.next().filter(|_| may_pass) else { return why };
            tracing::info!(%order, why, "systemd has not started the job; it is told again");
            sleep(Duration::from_millis(pause)).await;
            match self.runner.spawn(order, &self.folder, &self.limits, self.input.as_ref()) {
                Ok(child) => self.child = child,
                Err(why) => return why,
            }
        }
    }

    /// What stands last in the job's log since its start was first tried.
    fn why_not(&self, code: Option<i32>) -> String {
        let code = code.map_or_else(|| "a signal".to_owned(), |code| format!("code {code}"));
        let said = self.folder.log_since(self.log_bytes, MAXIMUM_REASON_BYTES);
        let said = String::from_utf8_lossy(&said);
        let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it does not say why").trim().to_owned();
        format!("systemd does not start the job: {} ended with {code}: {last}", transient::STARTER)
    }
}

fn group_of(order: OrderId, attempt: Attempt) -> String {
    if attempt == Attempt::default() { order.to_string() } else { format!("{order}-{attempt}") }
}

/// Where exec runs.
struct Place {
    has_systemd: bool,
    is_root: bool,
    /// Whether systemd has started exec itself, as a service of `Type=notify`.
    is_service: bool,
}

impl Place {
    fn is_for_systemd(&self, setting: JobRunner) -> bool {
        match setting {
            JobRunner::Process => false,
            JobRunner::Systemd => true,
            JobRunner::Auto => self.has_systemd && self.is_root && self.is_service,
        }
    }

    fn cgroups(&self) -> Option<Cgroups> {
        // Where systemd is, the hierarchy is its own.
        if !self.is_root || self.has_systemd {
            tracing::info!("jobs are held by process groups: a program that leaves its group outlives them, and jobs have no limits");
            return None;
        }
        match Cgroups::prepare(Path::new(cgroup::MOUNT)) {
            Ok(cgroups) => {
                tracing::info!(without = cgroups.missing().join(", "), "each job has a control group of its own");
                Some(cgroups)
            }
            Err(error) => {
                let place = cgroup::MOUNT;
                tracing::info!(%error, place, "no control groups of version 2: jobs are held by process groups and have no limits");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_runs_jobs_where_it_has_started_us_as_root_or_the_settings_say_so() {
        let place = |has_systemd, is_root, is_service| Place { has_systemd, is_root, is_service };
        assert!(place(true, true, true).is_for_systemd(JobRunner::Auto));
        for other in [place(false, true, true), place(true, false, true), place(true, true, false)] {
            assert!(!other.is_for_systemd(JobRunner::Auto));
            assert!(other.is_for_systemd(JobRunner::Systemd));
        }
        assert!(!place(true, true, true).is_for_systemd(JobRunner::Process));
    }
}
