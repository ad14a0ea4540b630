//! Waiting on a level: the condition is looked at again and again until it holds or the limit has passed.

use crate::{clock, watchdog};
use std::time::Duration;

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// Waits until `look` gives something, and returns it.
///
/// # Panics
/// When the limit has passed; `what` says in the message what did not happen.
pub fn until<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = clock::now() + limit;
    loop {
        if let Some(found) = look() {
            return found;
        }
        watchdog::look();
        assert!(clock::now() < deadline, "within {limit:?} this did not happen: {what}");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Waits until `holds` is true.
///
/// # Panics
/// As [`until`].
pub fn until_true(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    until(limit, what, || holds().then_some(()));
}

/// Whether `holds` becomes true within a limit.
pub fn holds_within(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let deadline = clock::now() + limit;
    loop {
        if holds() {
            return true;
        }
        if clock::now() >= deadline {
            return false;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Lets a moment pass, to hit a running fleet at a random one. Never a wait for a result.
///
/// # Panics
/// When the suite is past its hard limit ([`watchdog::look`]).
pub fn let_pass(moment: Duration) {
    watchdog::look();
    std::thread::sleep(moment);
}
