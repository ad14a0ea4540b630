//! The role `run`: keeps link and exec running, and stops them.
//!
//! Jobs are no children of it and live on. On a system with a service manager the two halves may as well be two services.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use thiserror::Error;
use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::arguments::SettingsFile;
use crate::ownership::{self, OwnershipError};
use crate::process;
use crate::settings::Settings;
use crate::state::{ExecState, LinkState, StateError};

/// The first pause before a half that has died is started again; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A half that lived this long was well: its next pause is the first again.
const WELL_AFTER: Duration = Duration::from_secs(10);
/// So many ends in a row of a half that was never well, and the agent ends: whoever started it starts it again, and can say so or go back to
/// another version first.
const MOST_FAILURES: u32 = 10;
/// How long a half may take to stop before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// Why the agent does not run.
#[derive(Debug, Error)]
pub enum SuperviseError {
    /// The state is missing or damaged: starting the halves over and over would not mend it.
    #[error(transparent)]
    State(#[from] StateError),
    /// The link has a user of its own, and what is to be that user's cannot be.
    #[error(transparent)]
    Ownership(#[from] OwnershipError),
    /// A half ends again and again.
    #[error(
        "the {role} half of the agent has ended {MOST_FAILURES} times in a row, last with {status}: what it logged before says why. \
         Nothing is lost; the agent can be started again at any time"
    )]
    KeepsEnding {
        /// `exec` or `link`.
        role: &'static str,
        /// How it ended last.
        status: String,
    },
    /// Signals cannot be received.
    #[error("the system gives no signal handlers")]
    Signals(#[source] io::Error),
}

/// Runs both halves until SIGTERM or SIGINT, or until one of them has ended too often.
///
/// # Errors
/// See [`SuperviseError`]; nothing runs then but jobs.
pub async fn run(settings: &Settings, file: &SettingsFile) -> Result<(), SuperviseError> {
    ownership::establish(settings)?;
    LinkState::load(settings)?;
    let node = ExecState::load(settings)?.node;
    let mut terminate = signal(SignalKind::terminate()).map_err(SuperviseError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(SuperviseError::Signals)?;
    let (stop, stopped) = watch::channel(false);
    tracing::info!(%node, "the agent runs");
    let exec = keep_running("exec", file, &stop, stopped.clone());
    let link = keep_running("link", file, &stop, stopped.clone());
    let mut told = stopped.clone();
    let stopping = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = told.wait_for(|stop| *stop) => {}
        }
        stop.send_replace(true);
    };
    let (exec, link, ()) = tokio::join!(exec, link, stopping);
    exec.and(link)?;
    tracing::info!(%node, "the agent has stopped");
    Ok(())
}

/// Starts a half again and again until it is told to stop, or has ended too often: then it tells the other one to stop.
async fn keep_running(
    role: &'static str,
    file: &SettingsFile,
    stop: &watch::Sender<bool>,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), SuperviseError> {
    let mut pause = FIRST_PAUSE;
    let mut restarts: u32 = 0;
    let mut failures: u32 = 0;
    while !*stopped.borrow() {
        let started = Instant::now();
        let (status, is_failure) = match process::start_half(role, file, restarts) {
            Ok(mut child) => tokio::select! {
                ended = child.wait() => match ended {
                    Ok(status) => {
                        tracing::warn!(role, %status, "a half of the agent ended");
                        (status.to_string(), is_failure(status))
                    }
                    Err(error) => {
                        tracing::error!(role, %error, "a half of the agent cannot be waited for");
                        (error.to_string(), true)
                    }
                },
                _ = stopped.wait_for(|stop| *stop) => {
                    stop_child(role, child).await;
                    return Ok(());
                }
            },
            Err(error) => {
                tracing::error!(role, %error, "a half of the agent cannot be started");
                (error.to_string(), true)
            }
        };
        failures = failures_after(failures, is_failure, started.elapsed());
        if failures >= MOST_FAILURES {
            stop.send_replace(true);
            return Err(SuperviseError::KeepsEnding { role, status });
        }
        let (now, next) = pauses(pause, started.elapsed());
        pause = next;
        restarts = restarts.saturating_add(1);
        tokio::select! {
            () = sleep(now) => {}
            _ = stopped.wait_for(|stop| *stop) => {}
        }
    }
    Ok(())
}

/// Whether an end speaks against the half itself. Somebody else kills, where memory runs out or a person wants it.
fn is_failure(status: ExitStatus) -> bool {
    status.signal() != Some(nix::libc::SIGKILL)
}

/// How many failures in a row there are now.
fn failures_after(before: u32, is_failure: bool, lived: Duration) -> u32 {
    match (lived >= WELL_AFTER, is_failure) {
        (true, is_failure) => u32::from(is_failure),
        (false, true) => before.saturating_add(1),
        (false, false) => before,
    }
}

/// The pause now and the one after the next failure.
fn pauses(due: Duration, lived: Duration) -> (Duration, Duration) {
    let now = if lived >= WELL_AFTER { FIRST_PAUSE } else { due };
    (now, (now * 2).min(LONGEST_PAUSE))
}

async fn stop_child(role: &str, mut child: Child) {
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok())
        && let Err(error) = kill(Pid::from_raw(pid), Signal::SIGTERM)
    {
        tracing::warn!(role, %error, "a half of the agent cannot be told to stop");
    }
    if timeout(STOP_LIMIT, child.wait()).await.is_err() {
        tracing::warn!(role, "a half of the agent did not stop in time and is killed");
        if let Err(error) = child.kill().await {
            tracing::error!(role, %error, "a half of the agent cannot be killed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_and_start_again_after_a_good_life() {
        let mut due = FIRST_PAUSE;
        let mut taken = Vec::new();
        for lived in [0, 0, 9, 0, 0, 0, 0, 10, 0] {
            let (now, next) = pauses(due, Duration::from_secs(lived));
            taken.push(now.as_millis());
            due = next;
        }
        assert_eq!(taken, [100, 200, 400, 800, 1600, 3200, 5000, 100, 200]);
    }
    #[test]
    fn failures_count_in_a_row_and_what_others_kill_does_not() {
        let mut failures = 0;
        for (is_failure, lived, expected) in
            [(true, 0, 1), (true, 3, 2), (false, 0, 2), (true, 0, 3), (true, 10, 1), (true, 1, 2), (false, 11, 0), (false, 0, 0)]
        {
            failures = failures_after(failures, is_failure, Duration::from_secs(lived));
            assert_eq!(failures, expected);
        }
        assert!(!is_failure(ExitStatus::from_raw(nix::libc::SIGKILL)));
        assert!(is_failure(ExitStatus::from_raw(nix::libc::SIGSEGV)) && is_failure(ExitStatus::from_raw(1 << 8)));
    }
}
