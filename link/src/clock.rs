//! The only place of this crate that reads the system clock; timers come from tokio.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970 by the system clock; 0 when the clock stands before that, as on a board without a battery.
#[expect(clippy::disallowed_methods, reason = "the shell's one reading of the wall clock")]
pub(crate) fn system_time_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since_epoch| since_epoch.as_secs())
}
