//! The clock: the one place where the bridge reads the time. Everything else is given it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// Where the time comes from. Clones show the same time.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    Fixed(Arc<AtomicU64>),
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still at `now_ms` until [`Clock::advance`] moves it; for tests.
    #[must_use]
    pub fn fixed(now_ms: u64) -> Self {
        Self(Source::Fixed(Arc::new(AtomicU64::new(now_ms))))
    }

    /// Moves a fixed clock and all its clones on. The machine's clock takes no notice.
    pub fn advance(&self, by: Duration) {
        if let Source::Fixed(now_ms) = &self.0 {
            now_ms.fetch_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
        }
    }

    /// Sets a fixed clock and all its clones, forwards or backwards, as a person or a time server would. The machine's clock takes no
    /// notice.
    pub fn set(&self, to_ms: u64) {
        if let Source::Fixed(now_ms) = &self.0 {
            now_ms.store(to_ms, Ordering::SeqCst);
        }
    }

    /// Unix time in milliseconds; 0 on a machine whose clock stands before 1970.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock module")]
    pub fn now_ms(&self) -> u64 {
        match &self.0 {
            Source::System => {
                let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
            }
            Source::Fixed(now_ms) => now_ms.load(Ordering::SeqCst),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_clock_moves_with_its_clones_only_when_told() {
        let clock = Clock::fixed(1_000);
        let other = clock.clone();
        assert_eq!(other.now_ms(), 1_000);
        clock.advance(Duration::from_secs(2));
        assert_eq!(other.now_ms(), 3_000);
        clock.set(5);
        assert_eq!(other.now_ms(), 5);
    }

    #[test]
    fn the_machine_lives_after_2020() {
        assert!(Clock::system().now_ms() > 1_577_836_800_000);
    }
}
