//! Random numbers from a printed seed, so that a failing run can be run again.

use crate::clock;
use std::time::Duration;

/// A generator (xorshift64*); good enough to choose moments.
#[derive(Debug, Clone)]
pub struct Random {
    seed: u64,
    state: u64,
}

impl Random {
    /// From the environment's `FLOTILLA_SEED`, else from the clock; says which on standard error.
    #[must_use]
    #[expect(clippy::print_stderr, reason = "whoever sees the test fail needs the seed")]
    pub fn seeded(of: &str) -> Self {
        let given = std::env::var("FLOTILLA_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(clock::unix_ms);
        eprintln!("{of}: FLOTILLA_SEED={seed}");
        Self::new(seed)
    }

    /// From this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 }
    }

    /// The seed that it began with.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// A number from 0 to `end`, without `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) % end.max(1)
    }

    /// One of a list.
    ///
    /// # Panics
    /// When the list is empty.
    pub fn one_of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        let index = usize::try_from(self.below(u64::try_from(list.len()).unwrap_or(u64::MAX))).unwrap_or(0);
        list.get(index).expect("there is something to choose from")
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
        let mut random = Random::new(1);
        let numbers: std::collections::BTreeSet<u64> = (0..100).map(|_| random.below(1000)).collect();
        assert!(numbers.len() > 50 && numbers.iter().all(|number| *number < 1000), "{numbers:?}");
    }
}
