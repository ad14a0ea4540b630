//! The audit log in the database: entries that are written in the transactions of what they tell, chained by hashes, and signed.
//!
//! A *record* is what somebody has to tell; it becomes an entry when its transaction commits ([`crate::platform::store::Write::record`]),
//! and never does where that is rolled back. The head is signed in the same transaction. What hashes and signatures cover, and how a log is
//! checked, is [`flotilla_api::audit`], which clients use too.
//!
//! Before each commit the last entry is compared with the last that was signed. Where they differ somebody wrote into the database: the
//! log goes on, and says so in an entry that nobody without the bridge's key can take out again.

mod append;
pub mod call;
pub mod counts;
pub mod keep;
mod read;

pub use append::Chain;
pub use read::{Filter, Marks, marks, newest_of, page};

use ed25519_dalek::SigningKey;
use flotilla_api::audit::{Hex, SignedHead, SignedKind};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Who the bridge is in the log. No user can have this name: it has a space.
pub const BRIDGE: &str = "the bridge";
/// Longest text in an entry, in characters; a longer one is cut.
pub const MAXIMUM_TEXT: usize = 512;
/// Most details of an entry; one more is left out.
pub const MAXIMUM_DETAILS: usize = 24;

/// What is to be told. It holds no secret: what could be one is told as a hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    kind: &'static str,
    actor: String,
    subject: String,
    detail: BTreeMap<String, String>,
    time_ms: u64,
    /// The envelope that a node has signed, where it tells of one.
    signed: Option<Vec<u8>>,
}

impl Record {
    /// A record of this kind: who did it, what it is about, and when (Unix time in milliseconds).
    #[must_use]
    pub fn new(kind: &'static str, actor: &str, subject: &str, time_ms: u64) -> Self {
        Self { kind, actor: cut(actor), subject: cut(subject), detail: BTreeMap::new(), time_ms, signed: None }
    }

    /// What kind of happening it tells.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// With one more detail; one without a text is left out.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        let value = cut(&value.to_string());
        if !value.is_empty() && self.detail.len() < MAXIMUM_DETAILS {
            self.detail.insert(name.to_owned(), value);
        }
        self
    }

    /// With the envelope that a node has signed of it: kept beside the entry while it is among the newest
    /// ([`flotilla_api::audit::KEPT_REPORTS`]). The entry must tell its hash.
    #[must_use]
    pub fn with_signed(mut self, envelope: &[u8]) -> Self {
        self.signed = Some(envelope.to_vec());
        self
    }
}

fn cut(text: &str) -> String {
    text.chars().take(MAXIMUM_TEXT).collect()
}

/// Signs heads, checkpoints and bases of one fleet's log: the bridge's key.
pub struct HeadSigner {
    fleet: Hex<8>,
    key: SigningKey,
    /// Keys that were the bridge's, as the fleet's trust bundles say.
    former: BTreeSet<Hex<32>>,
}

impl fmt::Debug for HeadSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeadSigner").field("fleet", &self.fleet).finish_non_exhaustive()
    }
}

impl HeadSigner {
    /// Signs for this fleet with this key. `former` are the keys that the fleet's trust bundles have named for the bridge: a head by another one
    /// was made by somebody who can write the database.
    #[must_use]
    pub fn new(fleet: [u8; 8], key: SigningKey, former: impl IntoIterator<Item = [u8; 32]>) -> Self {
        Self { fleet: Hex(fleet), key, former: former.into_iter().map(Hex).collect() }
    }

    /// The fleet.
    #[must_use]
    pub fn fleet(&self) -> Hex<8> {
        self.fleet
    }

    fn key(&self) -> Hex<32> {
        Hex(self.key.verifying_key().to_bytes())
    }

    fn sign(&self, kind: SignedKind, sequence: u64, hash: &Hex<32>, time_ms: u64) -> SignedHead {
        SignedHead::sign(kind, &self.fleet, sequence, hash, time_ms, &self.key)
    }
}

#[cfg(test)]
mod tests;
