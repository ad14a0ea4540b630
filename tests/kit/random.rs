//! Random numbers from a printed seed, so that a failing run can be run again.

use crate::clock;
use std::time::Duration;

/// A generator (splitmix64); good enough to choose moments.
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
        Self::part(seed, 0)
    }

    /// One of many generators of a seed. Every part of a simulated world has one of its own, so that taking an action away from a history
    /// changes as little as possible of the rest.
    #[must_use]
    pub fn part(seed: u64, part: u64) -> Self {
        let mut random = Self { seed, state: seed ^ part.wrapping_mul(0xd134_2543_de82_ef95) };
        random.number();
        random
    }

    /// The seed that it began with.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `end`, without `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.number() % end.max(1)
    }

    /// A number from `from` to `to`, without `to`.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to.saturating_sub(from))
    }

    /// A place in a list of this length.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(u64::try_from(length).unwrap_or(u64::MAX))).unwrap_or(0)
    }

    /// Yes, in so many of a hundred cases.
    pub fn percent(&mut self, of_hundred: u64) -> bool {
        self.below(100) < of_hundred
    }

    /// Random bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        [(); N].map(|()| self.number().to_le_bytes()[0])
    }

    /// One of a list.
    ///
    /// # Panics
    /// When the list is empty.
    pub fn one_of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        list.get(self.index(list.len())).expect("there is something to choose from")
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

    #[test]
    fn parts_of_a_seed_differ_and_each_is_always_the_same() {
        let numbers = |part| -> [u8; 16] { Random::part(7, part).bytes() };
        assert_eq!(numbers(1), numbers(1));
        assert_ne!(numbers(1), numbers(2));
        assert_ne!(numbers(1), Random::part(8, 1).bytes());
        assert_eq!(Random::part(7, 1).seed(), 7);
    }
}
