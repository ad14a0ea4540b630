//! Randomness for ids: the one thing besides the time that makes two runs of the bridge's rules differ. So it comes in as a parameter.
//!
//! Keys, codes and nonces never come from here: they are taken from the operating system where they are needed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where the random bytes of ids come from. Clones share it.
#[derive(Debug, Clone)]
pub struct Randomness(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    Seeded { seed: u64, taken: Arc<AtomicU64> },
}

impl Randomness {
    /// The operating system's.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// The same bytes in every run with the same seed; for tests and the simulator.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Source::Seeded { seed, taken: Arc::new(AtomicU64::new(0)) })
    }

    /// So many random bytes for an id, at most 32.
    ///
    /// # Errors
    /// The system gives none.
    pub fn id_bytes<const N: usize>(&self) -> Result<[u8; N], getrandom::Error> {
        const { assert!(N <= 32) };
        let mut bytes = [0; N];
        match &self.0 {
            Source::System => getrandom::fill(&mut bytes)?,
            Source::Seeded { seed, taken } => {
                let number = taken.fetch_add(1, Ordering::SeqCst);
                let hash = flotilla_protocol::sha256(&[&seed.to_le_bytes(), &number.to_le_bytes()]);
                bytes.iter_mut().zip(hash).for_each(|(byte, random)| *byte = random);
            }
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_itself_and_the_system_does_not() {
        let three = |randomness: Randomness| [(); 3].map(|()| randomness.id_bytes::<10>().unwrap());
        assert_eq!(three(Randomness::seeded(1)), three(Randomness::seeded(1)));
        assert_ne!(three(Randomness::seeded(1)), three(Randomness::seeded(2)));
        let [first, second, third] = three(Randomness::seeded(1));
        assert!(first != second && second != third);
        assert_ne!(three(Randomness::system()), three(Randomness::system()));
    }
}
