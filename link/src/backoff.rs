//! The pause between two attempts to connect: exponential, with full jitter.
//!
//! A pause is drawn evenly from zero to a ceiling that starts at the minimum and doubles with every failure up to the
//! maximum. Full jitter, because a whole fleet loses its broker in the same instant and must not return in one.

use std::time::Duration;

/// A connection that lived this long was a good one: the next failure starts from the minimum again. A shorter one
/// counts as a failure, or two agents with one identity would throw each other out without a pause.
pub(crate) const GOOD_CONNECTION: Duration = Duration::from_secs(10);

/// How far the pause between two attempts may grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackoffLimits {
    /// The ceiling of the first pause. More than zero.
    pub minimum: Duration,
    /// The ceiling that no pause exceeds. At least the minimum, at most one day.
    pub maximum: Duration,
}

impl Default for BackoffLimits {
    /// One second, growing to 30 seconds: with the longest attempt that can have begun before the network came back (a name that is
    /// not answered, a connection that is not accepted) that stays below a minute.
    fn default() -> Self {
        Self { minimum: Duration::from_secs(1), maximum: Duration::from_secs(30) }
    }
}

/// Counts failures and draws pauses.
#[derive(Debug)]
pub(crate) struct Backoff {
    limits: BackoffLimits,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(limits: BackoffLimits) -> Self {
        Self { limits, failures: 0 }
    }

    /// The pause before the next attempt, after a connection that lived for `lived` (none: it never came up).
    /// `random` is an evenly distributed number.
    pub(crate) fn pause(&mut self, lived: Option<Duration>, random: u64) -> Duration {
        if lived.is_some_and(|lived| lived >= GOOD_CONNECTION) {
            self.failures = 0;
        }
        let ceiling = self.ceiling();
        self.failures = self.failures.saturating_add(1);
        // A ceiling of a day is below 2^47 ns, so that the product stays below 2^111.
        let nanoseconds = (ceiling.as_nanos() * u128::from(random)) >> u64::BITS;
        u64::try_from(nanoseconds).map_or(ceiling, Duration::from_nanos)
    }

    /// The network of this machine has changed: what failed before says nothing any more.
    pub(crate) fn forget(&mut self) {
        self.failures = 0;
    }

    fn ceiling(&self) -> Duration {
        let factor = 2_u32.saturating_pow(self.failures);
        self.limits.minimum.saturating_mul(factor).min(self.limits.maximum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backoff() -> Backoff {
        Backoff::new(BackoffLimits { minimum: Duration::from_secs(1), maximum: Duration::from_secs(60) })
    }

    #[test]
    fn the_ceiling_doubles_up_to_the_maximum() {
        let mut backoff = backoff();
        let half: Vec<_> = (0..9).map(|_| backoff.pause(None, u64::MAX / 2 + 1).as_millis()).collect();
        assert_eq!(half, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
        for _ in 0..100 {
            assert!(backoff.pause(None, u64::MAX) < Duration::from_secs(60));
        }
    }

    #[test]
    fn the_jitter_covers_everything_down_to_zero() {
        assert_eq!(backoff().pause(None, 0), Duration::ZERO);
        assert!(backoff().pause(None, u64::MAX) > Duration::from_millis(999));
    }

    #[test]
    fn only_a_good_connection_resets_it() {
        let mut backoff = backoff();
        for _ in 0..5 {
            backoff.pause(None, 0);
        }
        let short = Some(GOOD_CONNECTION - Duration::from_millis(1));
        assert!(backoff.pause(short, u64::MAX) > Duration::from_secs(30));
        assert!(backoff.pause(Some(GOOD_CONNECTION), u64::MAX) < Duration::from_secs(1));
    }
}
