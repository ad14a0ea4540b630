//! The check of a log by somebody who does not believe the one who keeps it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{CHECKPOINT_EVERY, Entry, Hex, NOTHING_BEFORE, SignedHead, SignedKind};

/// The kind of the entry by which a bridge says that it found the log changed behind its back.
pub const DAMAGED: &str = "log-damaged";
/// The kind of the entry by which a bridge says that it signs with another key from here on.
pub const KEY_CHANGED: &str = "bridge-key-changed";
/// The detail of such an entry that names the key before.
pub const KEY_BEFORE: &str = "From";
/// Most entries by which the bridge complains that are named in a result.
const MAXIMUM_COMPLAINTS: usize = 100;

/// A head that was seen once. Whoever keeps it notices when the log no longer goes that far, or is another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Remembered {
    /// The fleet.
    pub fleet: Hex<8>,
    /// The key that signed it.
    pub key: Hex<32>,
    /// SHA-256 of the fleet's trust bundle 1, from which its other bundles were followed then; nothing in what was written before bundles came
    /// with the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<Hex<32>>,
    /// The number of the newest entry then.
    pub sequence: u64,
    /// Its hash.
    pub hash: Hex<32>,
    /// When the bridge signed it: Unix time in milliseconds.
    pub time_ms: u64,
}

/// How a log was changed, or why it cannot be believed. Somebody must look at the bridge's machine and its database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Tampering {
    /// It is that of another fleet.
    #[error("the log is that of the fleet {found}, and the remembered head is of the fleet {expected}")]
    OtherFleet {
        /// The fleet that is remembered.
        expected: Hex<8>,
        /// The fleet of the log.
        found: Hex<8>,
    },
    /// A signature is by a key that is not the bridge's: it stands in no trust bundle of the fleet, or, of the head, not in the newest.
    #[error("the {what} at entry {sequence} is signed by the key {found}, which is not the bridge's by the fleet's trust bundles")]
    OtherKey {
        /// What was signed.
        what: &'static str,
        /// Where.
        sequence: u64,
        /// The key that signed.
        found: Hex<32>,
    },
    /// The trust bundles that came with the log name nobody whose signature could be believed.
    #[error("the trust bundles that came with the log do not hold: {reason}")]
    Trust {
        /// What is wrong with them.
        reason: String,
    },
    /// A signature does not fit what it stands for.
    #[error("the signature of the {what} at entry {sequence} does not fit")]
    Signature {
        /// What it should sign.
        what: &'static str,
        /// Where.
        sequence: u64,
    },
    /// There is no signed head at all.
    #[error("nothing is signed: the log has no head")]
    NoHead,
    /// Entries are gone from the beginning or from the middle.
    #[error("the entries {from} to {to} are missing")]
    Missing {
        /// The first that is missing.
        from: u64,
        /// The last.
        to: u64,
    },
    /// An entry stands where it does not belong.
    #[error("entry {found} stands behind entry {behind}")]
    Misplaced {
        /// Its number.
        found: u64,
        /// The number of the one before.
        behind: u64,
    },
    /// An entry, or what stood before it, is not what it was.
    #[error("entry {sequence}, or the one before it, was changed: its hash does not fit")]
    Changed {
        /// Its number.
        sequence: u64,
    },
    /// A checkpoint is not there, or is that of another entry.
    #[error("entry {sequence} has no checkpoint that fits it")]
    Checkpoint {
        /// The number of the entry.
        sequence: u64,
    },
    /// Entries are gone from the end.
    #[error("the log ends with entry {last}, and the bridge had signed entry {head}: what is between was removed")]
    Truncated {
        /// The last entry that is there.
        last: u64,
        /// The entry that the head names.
        head: u64,
    },
    /// There are entries that the bridge has not signed.
    #[error("the bridge signed the log up to entry {head}, and entries up to {last} stand in it")]
    Unsigned {
        /// The last entry that is there.
        last: u64,
        /// The entry that the head names.
        head: u64,
    },
    /// The whole log is an older one than was seen before.
    #[error(
        "the log goes up to entry {head}, and up to entry {remembered} when it was looked at last: it was cut, or an older copy of the database was \
         put in place"
    )]
    RolledBack {
        /// The number of the newest entry.
        head: u64,
        /// That of the newest entry then.
        remembered: u64,
    },
    /// The log is another one than was seen before.
    #[error("entry {sequence} is another one than when the log was looked at last: it was written anew from there or before")]
    Rewritten {
        /// The number of the entry that was remembered.
        sequence: u64,
    },
}

/// What the check of a whole log came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Verified {
    /// How many entries were removed as old, as the base says.
    pub removed: u64,
    /// How many entries were checked.
    pub entries: u64,
    /// How many signatures were checked, those of the head and the base included.
    pub signatures: u64,
    /// The number of the remembered entry that is still the same one.
    pub same_as_remembered: Option<u64>,
    /// The numbers of entries in which the bridge itself says that it found the log changed; the first hundred of them.
    pub complaints: Vec<u64>,
}

/// The keys by which a bridge signs its log, as somebody knows them who does not believe the bridge: from the fleet's trust bundles, followed
/// from their root. What the log itself says of its keys counts for nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BridgeKeys {
    present: BTreeSet<Hex<32>>,
    former: BTreeSet<Hex<32>>,
}

impl BridgeKeys {
    /// The keys that the newest bundle names for the bridge, which sign heads, and those that any bundle has named, which signed what is older.
    #[must_use]
    pub fn new(present: impl IntoIterator<Item = Hex<32>>, former: impl IntoIterator<Item = Hex<32>>) -> Self {
        Self { present: present.into_iter().collect(), former: former.into_iter().collect() }
    }

    /// The same keys, but for what is signed now: that is this one alone.
    #[must_use]
    pub fn with_present(self, key: Hex<32>) -> Self {
        Self { present: BTreeSet::from([key]), ..self }
    }

    fn may_sign(&self, kind: SignedKind, key: &Hex<32>) -> bool {
        self.present.contains(key) || (kind != SignedKind::Head && self.former.contains(key))
    }
}

/// Checks a log entry by entry, in bounded memory: [`Verifier::begin`], [`Verifier::take`] for each entry, [`Verifier::finish`].
#[derive(Debug, Clone)]
pub struct Verifier {
    fleet: Hex<8>,
    keys: BridgeKeys,
    sequence: u64,
    hash: Hex<32>,
    remembered: Option<Remembered>,
    verified: Verified,
}

impl Verifier {
    /// Begins with the base, or with entry 1 where nothing was removed. `keys` are the bridge's as somebody believes them.
    ///
    /// # Errors
    /// The base is not signed, or the log is not the remembered one.
    pub fn begin(fleet: Hex<8>, keys: BridgeKeys, base: Option<&SignedHead>, remembered: Option<&Remembered>) -> Result<Self, Tampering> {
        if let Some(expected) = remembered.map(|remembered| remembered.fleet).filter(|expected| *expected != fleet) {
            return Err(Tampering::OtherFleet { expected, found: fleet });
        }
        let mut verifier =
            Self { fleet, keys, sequence: 0, hash: NOTHING_BEFORE, remembered: remembered.cloned(), verified: Verified::default() };
        if let Some(base) = base {
            verifier.signed("base", SignedKind::Base, base)?;
            verifier.sequence = base.sequence;
            verifier.hash = base.hash;
            verifier.verified.removed = base.sequence;
            verifier.compare()?;
        }
        Ok(verifier)
    }

    /// The number of the entry that was taken last: the next one follows it.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.sequence
    }

    /// Takes the next entry.
    ///
    /// # Errors
    /// It does not follow.
    pub fn take(&mut self, entry: &Entry) -> Result<(), Tampering> {
        let expected = self.sequence.saturating_add(1);
        if entry.sequence > expected {
            return Err(Tampering::Missing { from: expected, to: entry.sequence - 1 });
        }
        if entry.sequence < expected {
            return Err(Tampering::Misplaced { found: entry.sequence, behind: self.sequence });
        }
        if entry.hash != entry.hash_after(&self.hash) {
            return Err(Tampering::Changed { sequence: entry.sequence });
        }
        self.sequence = entry.sequence;
        self.hash = entry.hash;
        self.verified.entries += 1;
        if entry.sequence.is_multiple_of(CHECKPOINT_EVERY) || entry.checkpoint.is_some() {
            let checkpoint =
                entry.checkpoint.as_ref().filter(|checkpoint| (checkpoint.sequence, checkpoint.hash) == (self.sequence, self.hash));
            let checkpoint = checkpoint.ok_or(Tampering::Checkpoint { sequence: entry.sequence })?;
            self.signed("checkpoint", SignedKind::Checkpoint, checkpoint)?;
        }
        if entry.kind == DAMAGED && self.verified.complaints.len() < MAXIMUM_COMPLAINTS {
            self.verified.complaints.push(entry.sequence);
        }
        self.compare()
    }

    /// Ends with the head.
    ///
    /// # Errors
    /// The head does not sign the last entry that was taken, or is older than the remembered one.
    pub fn finish(mut self, head: &SignedHead) -> Result<Verified, Tampering> {
        self.signed("head", SignedKind::Head, head)?;
        if head.sequence > self.sequence {
            return Err(Tampering::Truncated { last: self.sequence, head: head.sequence });
        }
        if head.sequence < self.sequence {
            return Err(Tampering::Unsigned { last: self.sequence, head: head.sequence });
        }
        if head.hash != self.hash {
            return Err(Tampering::Changed { sequence: head.sequence });
        }
        if let Some(remembered) = self.remembered.filter(|remembered| remembered.sequence > head.sequence) {
            return Err(Tampering::RolledBack { head: head.sequence, remembered: remembered.sequence });
        }
        Ok(self.verified)
    }

    /// Checks a signature, and whose it is.
    fn signed(&mut self, what: &'static str, kind: SignedKind, signed: &SignedHead) -> Result<(), Tampering> {
        if !signed.is_signed(kind, &self.fleet) {
            return Err(Tampering::Signature { what, sequence: signed.sequence });
        }
        if !self.keys.may_sign(kind, &signed.key) {
            return Err(Tampering::OtherKey { what, sequence: signed.sequence, found: signed.key });
        }
        self.verified.signatures += 1;
        Ok(())
    }

    /// Compares with what is remembered, where that stands here.
    fn compare(&mut self) -> Result<(), Tampering> {
        let Some(remembered) = self.remembered.as_ref().filter(|remembered| remembered.sequence == self.sequence) else { return Ok(()) };
        if remembered.hash != self.hash {
            return Err(Tampering::Rewritten { sequence: self.sequence });
        }
        self.verified.same_as_remembered = Some(self.sequence);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
