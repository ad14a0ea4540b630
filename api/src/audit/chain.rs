//! What is hashed and what is signed, byte by byte.

use std::collections::BTreeMap;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

use super::{Entry, Hex, SignedHead};

/// Every entry whose number this divides has a checkpoint.
pub const CHECKPOINT_EVERY: u64 = 1_000;
/// What stands for the hash of the entry before the first.
pub const NOTHING_BEFORE: Hex<32> = Hex([0; 32]);

/// What a hash of an entry begins with.
const ENTRY_DOMAIN: &[u8] = b"flotilla-audit-entry/1\0";

/// What a signature over an entry is for. No signature for one passes for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignedKind {
    /// The newest entry: nothing follows it.
    Head,
    /// An entry among others.
    Checkpoint,
    /// The last entry that was removed as old.
    Base,
}

impl SignedKind {
    /// What its signed bytes begin with: no envelope of the protocol does, whose signed bytes begin with `flotilla/`.
    fn domain(self) -> &'static [u8] {
        match self {
            Self::Head => b"flotilla-audit-head/1\0",
            Self::Checkpoint => b"flotilla-audit-checkpoint/1\0",
            Self::Base => b"flotilla-audit-base/1\0",
        }
    }

    fn covered(self, fleet: &Hex<8>, sequence: u64, hash: &Hex<32>, time_ms: u64) -> Vec<u8> {
        [self.domain(), &fleet.0, &sequence.to_be_bytes(), &time_ms.to_be_bytes(), &hash.0].concat()
    }
}

impl Entry {
    /// An entry that follows another: its number and its hash come from that one's.
    #[must_use]
    pub fn chained(
        previous_sequence: u64,
        previous_hash: &Hex<32>,
        time_ms: u64,
        [kind, actor, subject]: [String; 3],
        detail: BTreeMap<String, String>,
    ) -> Self {
        let sequence = previous_sequence.saturating_add(1);
        let mut entry = Self { sequence, time_ms, kind, actor, subject, detail, hash: NOTHING_BEFORE, checkpoint: None, report: None };
        entry.hash = entry.hash_after(previous_hash);
        entry
    }

    /// The hash that the entry must have behind an entry with this hash.
    ///
    /// SHA-256 over `flotilla-audit-entry/1`, a zero byte, the previous hash, number and time as 64 bits each, then kind, actor and subject,
    /// then the number of details as 32 bits, and name and value of each in the order of the names' bytes. Every text has its length in
    /// bytes before it, as 32 bits. Numbers are big-endian.
    #[must_use]
    pub fn hash_after(&self, previous: &Hex<32>) -> Hex<32> {
        let mut hasher = Sha256::new();
        hasher.update(ENTRY_DOMAIN);
        hasher.update(previous.0);
        hasher.update(self.sequence.to_be_bytes());
        hasher.update(self.time_ms.to_be_bytes());
        let mut text = |text: &str| {
            hasher.update(length(text.len()));
            hasher.update(text.as_bytes());
        };
        [&self.kind, &self.actor, &self.subject].into_iter().for_each(|part| text(part));
        let details = length(self.detail.len());
        hasher.update(details);
        for part in self.detail.iter().flat_map(|(name, value)| [name, value]) {
            hasher.update(length(part.len()));
            hasher.update(part.as_bytes());
        }
        Hex(hasher.finalize().into())
    }
}

/// Beyond 4 GiB every length is the same; no entry comes near it.
fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

impl SignedHead {
    /// Signs the number and the hash of an entry.
    #[must_use]
    pub fn sign(kind: SignedKind, fleet: &Hex<8>, sequence: u64, hash: &Hex<32>, time_ms: u64, key: &SigningKey) -> Self {
        let signature = key.sign(&kind.covered(fleet, sequence, hash, time_ms));
        let key = Hex(key.verifying_key().to_bytes());
        Self { sequence, hash: *hash, time_ms, key, signature: Hex(signature.to_bytes()) }
    }

    /// Whether the key that it names has signed it, as what it is looked at for. Whose key that is, is another question.
    #[must_use]
    pub fn is_signed(&self, kind: SignedKind, fleet: &Hex<8>) -> bool {
        let covered = kind.covered(fleet, self.sequence, &self.hash, self.time_ms);
        let key = VerifyingKey::from_bytes(&self.key.0).ok().filter(|key| !key.is_weak());
        key.is_some_and(|key| key.verify_strict(&covered, &Signature::from_bytes(&self.signature.0)).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        let texts = ["api-call", "ada", "SendCommand"].map(str::to_owned);
        let detail = BTreeMap::from([("Outcome".to_owned(), "Success".to_owned()), ("Source".to_owned(), "127.0.0.1".to_owned())]);
        Entry::chained(0, &NOTHING_BEFORE, 1_795_219_200_000, texts, detail)
    }

    #[test]
    fn the_hash_of_an_entry_is_for_ever() {
        // Computed once by hand with Python's hashlib from the words of `hash_after`; a change would make every log that exists a changed one.
        assert_eq!(entry().hash.to_string(), "8c52956bd4983c5a75c7281b7aee5db59e6e4d0846fd7f2e86a5ff14d33b891d");
    }

    #[test]
    fn everything_in_an_entry_is_hashed() {
        let good = entry();
        let changes: [fn(&mut Entry); 9] = [
            |entry| entry.sequence += 1,
            |entry| entry.time_ms += 1,
            |entry| entry.kind.push('x'),
            |entry| entry.actor.push('x'),
            |entry| entry.subject.push('x'),
            // A byte that moves from one text to its neighbour.
            |entry| (entry.kind, entry.actor) = ("api-cal".to_owned(), "lada".to_owned()),
            |entry| drop(entry.detail.remove("Outcome")),
            |entry| drop(entry.detail.insert("Outcome".to_owned(), "Refused".to_owned())),
            |entry| drop(entry.detail.insert("OutcomeS".to_owned(), "uccess".to_owned())),
        ];
        for (index, change) in changes.into_iter().enumerate() {
            let mut changed = good.clone();
            change(&mut changed);
            assert_ne!(changed.hash_after(&NOTHING_BEFORE), good.hash, "change {index}");
        }
        assert_ne!(good.hash_after(&Hex([1; 32])), good.hash, "what stands before it");
    }

    #[test]
    fn a_signature_is_good_for_one_thing_of_one_fleet() {
        let (key, fleet) = (SigningKey::from_bytes(&[3; 32]), Hex([7; 8]));
        let kinds = [SignedKind::Head, SignedKind::Checkpoint, SignedKind::Base];
        for made in kinds {
            let signed = SignedHead::sign(made, &fleet, 5, &Hex([1; 32]), 9, &key);
            for asked in kinds {
                assert_eq!(signed.is_signed(asked, &fleet), made == asked, "{made:?} for {asked:?}");
            }
            assert!(!signed.is_signed(made, &Hex([8; 8])), "another fleet");
            assert!(!SignedHead { sequence: 6, ..signed.clone() }.is_signed(made, &fleet));
            assert!(!SignedHead { hash: Hex([2; 32]), ..signed.clone() }.is_signed(made, &fleet));
            assert!(!SignedHead { time_ms: 8, ..signed.clone() }.is_signed(made, &fleet));
            assert!(!SignedHead { key: Hex([1; 32]), ..signed }.is_signed(made, &fleet));
        }
    }
}
