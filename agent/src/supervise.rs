//! The role `run`: keeps link and exec running, and stops them.
//!
//! Jobs are no children of it and live on. On a system with a service manager the two halves may as well be two services.

use std::io;
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
    /// Signals cannot be received.
    #[error("the system gives no signal handlers")]
    Signals(#[source] io::Error),
}

/// Runs both halves until SIGTERM or SIGINT.
///
/// # Errors
/// See [`SuperviseError`]; nothing runs then.
pub async fn run(settings: &Settings, file: &SettingsFile) -> Result<(), SuperviseError> {
    ownership::establish(settings)?;
    LinkState::load(settings)?;
    let node = ExecState::load(settings)?.node;
    let mut terminate = signal(SignalKind::terminate()).map_err(SuperviseError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(SuperviseError::Signals)?;
    let (stop, stopped) = watch::channel(false);
    tracing::info!(%node, "the agent runs");
    let halves = async { tokio::join!(keep_running("exec", file, stopped.clone()), keep_running("link", file, stopped.clone())) };
    let stopping = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.send_replace(true);
    };
    tokio::join!(halves, stopping);
    tracing::info!(%node, "the agent has stopped");
    Ok(())
}

/// Starts a half again and again until it is told to stop.
async fn keep_running(role: &str, file: &SettingsFile, mut stopped: watch::Receiver<bool>) {
    let mut pause = FIRST_PAUSE;
    let mut restarts: u32 = 0;
    while !*stopped.borrow() {
        let started = Instant::now();
        match process::start_half(role, file, restarts) {
            Ok(mut child) => tokio::select! {
                ended = child.wait() => match ended {
                    Ok(status) => tracing::warn!(role, %status, "a half of the agent ended"),
                    Err(error) => tracing::error!(role, %error, "a half of the agent cannot be waited for"),
                },
                _ = stopped.wait_for(|stop| *stop) => return stop_child(role, child).await,
            },
            Err(error) => tracing::error!(role, %error, "a half of the agent cannot be started"),
        }
        let (now, next) = pauses(pause, started.elapsed());
        pause = next;
        restarts = restarts.saturating_add(1);
        tokio::select! {
            () = sleep(now) => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
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
}
