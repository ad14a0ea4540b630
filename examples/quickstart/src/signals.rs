//! Ctrl-C, SIGTERM and SIGHUP: told to the main thread, which stops everything in order.

use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};

use crate::error::QuickstartError;

/// The signals that ask us to stop.
const STOPPING: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// Tells of the wish to stop.
#[derive(Debug)]
pub(crate) struct Signals(Receiver<()>);

impl Signals {
    /// Blocks the signals in this thread and all that it starts, and waits for them in a thread of its own.
    pub(crate) fn block() -> Result<Self, QuickstartError> {
        let wanted: SigSet = STOPPING.into_iter().collect();
        let failed = |source: nix::Error| QuickstartError::System { what: "wait for signals", source: source.into() };
        wanted.thread_block().map_err(failed)?;
        let (sender, receiver) = sync_channel(1);
        let waiting = std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            while wanted.wait().is_ok() {
                // A second wish while the first is not yet seen adds nothing.
                let _told = sender.try_send(());
            }
        });
        waiting.map_err(|source| QuickstartError::System { what: "start a thread", source })?;
        Ok(Self(receiver))
    }

    /// Sleeps, at most until a wish to stop, which is an error.
    pub(crate) fn sleep(&self, duration: Duration) -> Result<(), QuickstartError> {
        match self.0.recv_timeout(duration) {
            Ok(()) => Err(QuickstartError::Interrupted),
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => {
                std::thread::sleep(duration);
                Ok(())
            }
        }
    }
}

/// Gives a process that is about to become another program the signals back.
pub(crate) fn unblock() -> Result<(), nix::Error> {
    STOPPING.into_iter().collect::<SigSet>().thread_unblock()
}
