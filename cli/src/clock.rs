//! The one place where the command line reads a clock.

use std::time::{Duration, Instant};

/// Now, to measure how long something takes.
#[expect(clippy::disallowed_methods, reason = "the shell reads the clock; what decides gets durations")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Now, as a date.
pub(crate) fn today() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// Sleeps; there is always a next attempt after it.
pub(crate) fn sleep(pause: Duration) -> bool {
    std::thread::sleep(pause);
    true
}
