//! The one place where the quickstart reads a clock.

use std::time::Instant;

/// Now, to measure how long something takes.
#[expect(clippy::disallowed_methods, reason = "this program shows people how long things take; nothing is decided by it")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
