//! Trust bundles at the bridge: the next one is handed in while it runs, and it says how far the nodes have come.
//!
//! A bundle proves itself by its signatures: whoever hands it in needs the right to, and gains none by it. The operations are Flotilla's
//! own, as those of the audit log.

use serde::{Deserialize, Serialize};

use crate::audit::{Hex, TARGET_PREFIX};
use crate::operation::Operation;

/// Longest bundle, as base64.
pub const MAXIMUM_BUNDLE_TEXT: usize = 128 * 1024;

/// Hands in the next trust bundle. It counts at once and goes to every node; one that the bridge has already changes nothing, and is sent to
/// the nodes once more.
///
/// # Errors
/// `ValidationException` for one that does not follow the newest, or has run out; `AccessDeniedException` for who is no administrator.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct PutTrustBundleRequest {
    /// The bundle's envelope, in base64.
    #[serde(default)]
    pub bundle: String,
}

impl Operation for PutTrustBundleRequest {
    const NAME: &'static str = "PutTrustBundle";
    const TARGET_PREFIX: &'static str = TARGET_PREFIX;
    type Response = PutTrustBundleResult;
}

/// The answer to [`PutTrustBundleRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PutTrustBundleResult {
    /// The bundle's version.
    pub version: u32,
    /// SHA-256 of its body.
    pub sha256: Hex<32>,
    /// The bridge did not have it before.
    pub is_new: bool,
}

/// Reads the trust bundles of the bridge, and how many nodes go by each version.
///
/// # Errors
/// `ValidationException`; `AccessDeniedException` for who is neither auditor nor administrator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct GetTrustBundlesRequest {
    /// Only the bundles after this version, the first few of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_version: Option<u32>,
}

impl Operation for GetTrustBundlesRequest {
    const NAME: &'static str = "GetTrustBundles";
    const TARGET_PREFIX: &'static str = TARGET_PREFIX;
    type Response = GetTrustBundlesResult;
}

/// The answer to [`GetTrustBundlesRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetTrustBundlesResult {
    /// The newest version.
    pub version: u32,
    /// When it runs out: Unix time in milliseconds.
    pub expires_ms: u64,
    /// Envelopes of bundles in base64, in their order: the first few after the version that was asked for.
    #[serde(default)]
    pub bundles: Vec<String>,
    /// How many nodes go by which version, the newest first.
    #[serde(default)]
    pub nodes: Vec<NodesOfVersion>,
}

/// The nodes that go by one version, as each has said in its last hello.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct NodesOfVersion {
    /// The version; 0 for nodes that have none, or never said any.
    pub version: u32,
    /// How many nodes.
    pub nodes: u64,
    /// How many of them are online.
    pub online: u64,
}
