//! Random numbers from a printed seed, so that a failing run can be run again.

use crate::clock;
use std::time::Duration;

/// A generator (xorshift64*); good enough to choose moments.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// From the environment's `FLOTILLA_SEED`, else from the clock; says which on standard error.
    #[must_use]
    #[expect(clippy::print_stderr, reason = "whoever sees the test fail needs the seed")]
    pub fn seeded(of: &str) -> Self {
        let given = std::env::var("FLOTILLA_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(clock::unix_ms);
        eprintln!("{of}: FLOTILLA_SEED={seed}");
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number from 0 to `end`, without `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % end.max(1)
    }

    /// A time up to `longest`.
    pub fn moment(&mut self, longest: Duration) -> Duration {
        Duration::from_millis(self.below(u64::try_from(longest.as_millis()).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_below_their_end_and_differ() {
        let mut random = Random(1);
        let numbers: std::collections::BTreeSet<u64> = (0..100).map(|_| random.below(1000)).collect();
        assert!(numbers.len() > 50 && numbers.iter().all(|number| *number < 1000), "{numbers:?}");
    }
}
