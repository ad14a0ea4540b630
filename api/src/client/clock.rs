//! The one place where the client reads the clock: a signature names the time at which it was made.

use std::time::SystemTime;

#[expect(clippy::disallowed_methods, reason = "a signature is made with the machine's own time")]
pub(super) fn now() -> SystemTime {
    SystemTime::now()
}
