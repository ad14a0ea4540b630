//! The hashes of a chain's last reports. The head tells whether the next report follows; these tell whether one that seems to have come
//! before is really the same.
//!
//! A device that was copied goes on from the same point as the other one, with reports of its own under the same numbers. The one that is
//! ahead moves the head; what the other one sends then lies behind the head, and would pass for a duplicate.

use std::collections::VecDeque;

/// Hashes that are kept: twice what a node has on its way without a receipt, so that what it sends again is always among them.
pub const KEPT: usize = 128;
/// So much of a hash tells two reports apart. Who makes two of a node's reports with one beginning has the node's key anyway.
const HASH_BYTES: usize = 8;
/// A sequence and the beginning of a hash.
const ENTRY_BYTES: usize = 8 + HASH_BYTES;

/// The last reports of a chain, by their sequence, which rises.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recent(VecDeque<(u64, [u8; HASH_BYTES])>);

impl Recent {
    /// Adds a report, above all before; the oldest makes place.
    pub fn add(&mut self, sequence: u64, hash: &[u8; 32]) {
        if self.0.len() >= KEPT {
            self.0.pop_front();
        }
        self.0.push_back((sequence, beginning(hash)));
    }

    /// Whether another report was committed under this sequence. What is too old to be known contradicts nothing.
    #[must_use]
    pub fn contradicts(&self, sequence: u64, hash: &[u8; 32]) -> bool {
        let found = self.0.binary_search_by_key(&sequence, |(sequence, _)| *sequence);
        found.ok().and_then(|place| self.0.get(place)).is_some_and(|(_, known)| *known != beginning(hash))
    }

    /// As it lies in the database.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.0.iter().flat_map(|(sequence, hash)| sequence.to_be_bytes().into_iter().chain(*hash)).collect()
    }

    /// From the database. What cannot be read is left out: it would only have told of a copy.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Self {
        let entries = bytes.as_chunks::<ENTRY_BYTES>().0;
        let entry = |entry: &[u8; ENTRY_BYTES]| {
            let (sequence, hash) = entry.split_first_chunk::<8>()?;
            Some((u64::from_be_bytes(*sequence), *hash.first_chunk::<HASH_BYTES>()?))
        };
        Self(entries.iter().rev().take(KEPT).rev().filter_map(entry).collect())
    }
}

fn beginning(hash: &[u8; 32]) -> [u8; HASH_BYTES] {
    let [a, b, c, d, e, f, g, h, ..] = *hash;
    [a, b, c, d, e, f, g, h]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_report_under_a_known_number_is_a_contradiction() {
        let mut recent = Recent::default();
        for sequence in [1, 2, 900] {
            recent.add(sequence, &[u8::try_from(sequence % 256).unwrap(); 32]);
        }
        let recent = Recent::decode(&recent.encode());
        assert!(!recent.contradicts(2, &[2; 32]));
        assert!(recent.contradicts(2, &[3; 32]));
        assert!(!recent.contradicts(3, &[3; 32]), "never committed");
    }

    #[test]
    fn the_oldest_make_place() {
        let mut recent = Recent::default();
        for sequence in 1..=200 {
            recent.add(sequence, &[1; 32]);
        }
        assert_eq!(recent.encode().len(), KEPT * ENTRY_BYTES);
        assert!(!recent.contradicts(72, &[2; 32]) && recent.contradicts(73, &[2; 32]));
        assert_eq!(Recent::decode(&[1, 2, 3]), Recent::default());
    }
}
