//! One child process of a job: wait for it, and end it with its whole process group when its time is up or a cancel comes.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::getpid;
use tokio::process::Child;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::capture::Capture;
use super::host::Stop;
use crate::clock;
use crate::processes;

/// After SIGTERM, how long a group may take before SIGKILL.
const GRACE: Duration = Duration::from_secs(3);
/// After its main process has ended, how long others of a step may hold its output open.
const OUTPUT_LINGER: Duration = Duration::from_secs(2);
/// How often the boot clock is looked at: timers alone would stand still while the device sleeps.
const TICK: Duration = Duration::from_secs(1);
/// How often a group that is ending is looked at.
const GROUP_LOOK: Duration = Duration::from_millis(50);
/// SIGKILL needs no more than this, unless a process hangs in the kernel.
const KILL_LIMIT: Duration = Duration::from_secs(2);

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChildEnd {
    /// By itself, with this exit code.
    Exited(i32),
    /// By a signal that was not ours.
    Signalled(i32),
    /// Its time was up.
    TimedOut,
    /// A cancel came.
    Cancelled,
    /// The kernel does not say.
    Unknown,
}

/// Waits for a child that leads its own process group, at most until `deadline_ms` of the boot clock, and keeps its output. The
/// captures come back, so that another child may go on writing where this one ended; none when they were lost.
pub(crate) async fn attend(
    mut child: Child,
    deadline_ms: u64,
    stop: &mut Stop,
    captures: [Capture; 2],
) -> (ChildEnd, Option<[Capture; 2]>) {
    let group = child.id().and_then(|pid| i32::try_from(pid).ok()).unwrap_or(0);
    let (give_up, given_up) = watch::channel(false);
    let [stdout, stderr] = captures;
    let out = child.stdout.take().map(|pipe| tokio::spawn(stdout.drain(pipe, given_up.clone())));
    let err = child.stderr.take().map(|pipe| tokio::spawn(stderr.drain(pipe, given_up)));
    let reading = async { (finish(out).await, finish(err).await) };
    let end = wait(&mut child, group, deadline_ms, stop).await;
    let mut reading = std::pin::pin!(reading);
    let captured = match timeout(OUTPUT_LINGER, &mut reading).await {
        Ok(captured) => captured,
        Err(_) => {
            kill_group(group).await;
            give_up.send_replace(true);
            reading.await
        }
    };
    (end, captured.0.zip(captured.1).map(<[Capture; 2]>::from))
}

async fn wait(child: &mut Child, group: i32, deadline_ms: u64, stop: &mut Stop) -> ChildEnd {
    loop {
        let left = Duration::from_millis(deadline_ms.saturating_sub(clock::boottime_ms()));
        tokio::select! {
            // The end of the child comes first: what has ended cannot be cancelled.
            biased;
            ended = child.wait() => return ended.map_or(ChildEnd::Unknown, child_end),
            () = stop.wait() => {
                end_group(child, group).await;
                return ChildEnd::Cancelled;
            }
            () = sleep(left.min(TICK)) => {}
        }
        if clock::boottime_ms() >= deadline_ms {
            end_group(child, group).await;
            return ChildEnd::TimedOut;
        }
    }
}

fn child_end(status: ExitStatus) -> ChildEnd {
    match (status.code(), status.signal()) {
        (Some(code), _) => ChildEnd::Exited(code),
        (None, Some(signal)) => ChildEnd::Signalled(signal),
        (None, None) => ChildEnd::Unknown,
    }
}

/// SIGTERM to the group, then SIGKILL to whatever is left of it.
async fn end_group(child: &mut Child, group: i32) {
    processes::signal(&members(group), Signal::SIGTERM);
    let gone = async {
        // Reaped here, or it would count as a member for ever.
        if let Err(error) = child.wait().await {
            tracing::warn!(%error, "a step cannot be waited for");
        }
        group_gone(group).await;
    };
    if timeout(GRACE, gone).await.is_err() {
        kill_group(group).await;
        if timeout(KILL_LIMIT, child.wait()).await.is_err() {
            tracing::error!(group, "a step does not end though it was killed");
        }
    }
}

async fn kill_group(group: i32) {
    let killing = async {
        loop {
            let left = members(group);
            if left.is_empty() {
                return;
            }
            processes::signal(&left, Signal::SIGKILL);
            sleep(GROUP_LOOK).await;
        }
    };
    if timeout(KILL_LIMIT, killing).await.is_err() {
        tracing::error!(group, "processes of a step do not end though they were killed");
    }
}

async fn group_gone(group: i32) {
    while !members(group).is_empty() {
        sleep(GROUP_LOOK).await;
    }
}

/// The processes of a group that are of this job's session. The session tells them from strangers that have been given the
/// number of a group that is long gone.
fn members(group: i32) -> Vec<processes::Process> {
    let session = getpid().as_raw();
    processes::find(|process| process.group == group && process.session == session && process.pid != session)
}

async fn finish(task: Option<JoinHandle<Capture>>) -> Option<Capture> {
    task?.await.ok()
}
