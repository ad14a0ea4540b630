//! The audit log: who asked the bridge for what, what it signed, and what nodes signed in answer.
//!
//! An *entry* tells one happening and never changes. Entries are numbered from 1 without a gap, and each holds a hash over itself and the
//! hash of the entry before ([`Entry::chained`]). The bridge signs the newest entry's hash with each commit: the *head*. Every
//! [`CHECKPOINT_EVERY`]th entry keeps a signature of its own: a *checkpoint*. What is removed as old is replaced by a signature over the
//! last entry that went: the *base*. The three say in what is signed which of them they are, so that none passes for another.
//!
//! Whoever has a base or the beginning, the entries and a head, checks them without the bridge: [`Verifier`]. That entries at the end are
//! missing is seen by whoever remembers a later head: [`Remembered`]. Whose signatures count is said by the fleet's trust bundles, which no
//! bridge can make, and never by the log: [`BridgeKeys`].
//!
//! The operations are Flotilla's own: `POST /` as those of SSM, with [`TARGET_PREFIX`] in the header that names the operation.

mod chain;
mod hex;
mod verify;

pub use chain::{CHECKPOINT_EVERY, NOTHING_BEFORE, SignedKind};
pub use hex::{Hex, HexBytes, NotHex};
pub use verify::{BridgeKeys, DAMAGED, KEY_BEFORE, KEY_CHANGED, Remembered, Tampering, Verified, Verifier};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::blob::Blob;
use crate::operation::Operation;

/// What stands before the name of an operation of Flotilla in the header that names it, with a dot between.
pub const TARGET_PREFIX: &str = "Flotilla";
/// The detail that names the place of a node's report in the chain of the node's control reports, from 1. An entry with it tells of a report.
pub const REPORT: &str = "Report";
/// The detail that names SHA-256 of the body of a node's report.
pub const REPORT_HASH: &str = "ReportSha256";
/// The detail that names SHA-256 of the body of the report before, as the node has signed it.
pub const REPORT_BEFORE: &str = "Previous";
/// The detail that names the key by which a node has signed its report; the node's id follows from it.
pub const REPORT_KEY: &str = "Key";
/// Of so many reports, the newest, what the node has signed is kept beside the entries that tell of them.
pub const KEPT_REPORTS: u64 = 50_000;
/// Most entries of one page.
pub const MAXIMUM_PAGE: i32 = 500;

/// Something that happened, as it is kept for ever or until it is removed as old.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Entry {
    /// Its number, from 1.
    pub sequence: u64,
    /// When, by the bridge's clock: Unix time in milliseconds.
    pub time_ms: u64,
    /// What happened, for example `api-call` or `order-signed`; docs/security.md lists them.
    pub kind: String,
    /// Who did it: a user, a node, or the bridge.
    pub actor: String,
    /// What it is about: an operation, an order, a node.
    pub subject: String,
    /// What else is told, by names.
    pub detail: BTreeMap<String, String>,
    /// SHA-256 over this entry and the hash of the one before.
    pub hash: Hex<32>,
    /// The bridge's signature over this very entry, for every [`CHECKPOINT_EVERY`]th one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<SignedHead>,
    /// What a node has signed of it, in an entry about a node's report: the envelope as it came. The hash does not cover it: the entry tells that
    /// of the report itself ([`REPORT_HASH`]), and the node's signature proves the rest. Only the newest [`KEPT_REPORTS`] are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Blob>,
}

/// A signature over an entry's number and hash, and with it over all entries before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SignedHead {
    /// The number of the entry; 0 before the first.
    pub sequence: u64,
    /// The hash of the entry; [`NOTHING_BEFORE`] before the first.
    pub hash: Hex<32>,
    /// When it was signed: Unix time in milliseconds.
    pub time_ms: u64,
    /// The ed25519 public key that signed it: the bridge's.
    pub key: Hex<32>,
    /// The signature.
    pub signature: Hex<64>,
}

/// Lists entries, the newest first, or those behind a number in their order.
///
/// # Errors
/// `ValidationException`, `InvalidNextToken`, `AccessDeniedException` for who is neither auditor nor administrator.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct ListAuditEntriesRequest {
    /// In the order of their numbers, beginning behind this one; without it the newest come first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_sequence: Option<u64>,
    /// Of this kind only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Of this actor only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// About this subject only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Not before this: Unix time in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<u64>,
    /// Before this: Unix time in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
    /// Most entries of the page, 1…[`MAXIMUM_PAGE`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_results: Option<i32>,
    /// Where the page begins: from the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

impl Operation for ListAuditEntriesRequest {
    const NAME: &'static str = "ListAuditEntries";
    const TARGET_PREFIX: &'static str = TARGET_PREFIX;
    type Response = ListAuditEntriesResult;
}

/// The answer to [`ListAuditEntriesRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListAuditEntriesResult {
    /// The entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<Vec<Entry>>,
    /// Where the next page begins; nothing after the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Reads the head and the base of the log.
///
/// # Errors
/// `AccessDeniedException` for who is neither auditor nor administrator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct GetAuditHeadRequest {}

impl Operation for GetAuditHeadRequest {
    const NAME: &'static str = "GetAuditHead";
    const TARGET_PREFIX: &'static str = TARGET_PREFIX;
    type Response = GetAuditHeadResult;
}

/// The answer to [`GetAuditHeadRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetAuditHeadResult {
    /// The fleet, which every signature covers.
    #[serde(default)]
    pub fleet: Hex<8>,
    /// The signature over the newest entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<SignedHead>,
    /// The signature over the last entry that was removed as old, where one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<SignedHead>,
}
