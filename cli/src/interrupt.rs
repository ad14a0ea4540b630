//! Ctrl-C while waiting: the first ends the wait in an orderly way, the second ends the program at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

/// Exit code of a program ended by Ctrl-C, by the custom of shells.
const INTERRUPTED: i32 = 130;

/// Tells of Ctrl-C.
pub(crate) struct Interrupt {
    receiver: Receiver<()>,
    /// Nobody listens any more: the first Ctrl-C ends the program.
    ends_at_once: Arc<AtomicBool>,
}

impl Interrupt {
    /// From now on Ctrl-C is told here; to be called once.
    pub(crate) fn listen() -> Result<Self, ctrlc::Error> {
        let (sender, receiver) = sync_channel(1);
        let ends_at_once = Arc::new(AtomicBool::new(false));
        let at_once = Arc::clone(&ends_at_once);
        ctrlc::set_handler(move || {
            if at_once.load(Ordering::Acquire) || sender.try_send(()).is_err() {
                // Nobody listens, or the first one still waits to be seen, since a call hangs: end the program even inside it.
                std::process::exit(INTERRUPTED);
            }
        })?;
        Ok(Self { receiver, ends_at_once })
    }

    /// Sleeps, at most until Ctrl-C; says whether it came.
    pub(crate) fn sleep(&self, duration: Duration) -> bool {
        match self.receiver.recv_timeout(duration) {
            Ok(()) => true,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => false,
        }
    }
    /// Listens no more: from now on the first Ctrl-C ends the program. Says whether one had come that nobody has seen.
    pub(crate) fn end_at_once(&self) -> bool {
        self.ends_at_once.store(true, Ordering::Release);
        self.receiver.try_recv().is_ok()
    }
}
