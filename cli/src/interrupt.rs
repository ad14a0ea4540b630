//! Ctrl-C while waiting: the first ends the wait in an orderly way, the second ends the program at once.

use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

/// Exit code of a program ended by Ctrl-C, by the custom of shells.
const INTERRUPTED: i32 = 130;

/// Tells of Ctrl-C.
pub(crate) struct Interrupt(Receiver<()>);

impl Interrupt {
    /// From now on Ctrl-C is told here; to be called once.
    pub(crate) fn listen() -> Result<Self, ctrlc::Error> {
        let (sender, receiver) = sync_channel(1);
        ctrlc::set_handler(move || {
            if sender.try_send(()).is_err() {
                // The first one still waits to be seen, since a call hangs: end the program even inside it.
                std::process::exit(INTERRUPTED);
            }
        })?;
        Ok(Self(receiver))
    }

    /// Sleeps, at most until Ctrl-C; says whether it came.
    pub(crate) fn sleep(&self, duration: Duration) -> bool {
        match self.0.recv_timeout(duration) {
            Ok(()) => true,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => false,
        }
    }
}
