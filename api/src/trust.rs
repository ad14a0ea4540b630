//! Trust bundles at the bridge: whoever wants to know which keys count without believing the bridge reads them, the next one is handed in while
//! it runs, and it says how far the nodes have come.
//!
//! A bundle is signed by the people of its root role, and each follows the one before: who knows the SHA-256 of bundle 1 can follow all of them.
//! A bundle proves itself by its signatures: whoever hands it in needs the right to, and gains none by it. What a bundle is and how it is
//! followed says `flotilla-protocol`. The operations are Flotilla's own, as those of the audit log.

use serde::{Deserialize, Serialize};

use crate::audit::{Hex, HexBytes, TARGET_PREFIX};
use crate::operation::Operation;

/// Longest bundle, as base64.
pub const MAXIMUM_BUNDLE_TEXT: usize = 128 * 1024;

/// Lists the trust bundles of the fleet in the order of their versions.
///
/// # Errors
/// `ValidationException`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct ListTrustBundlesRequest {
    /// Those behind this version; without it from the first on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_version: Option<u32>,
}

impl Operation for ListTrustBundlesRequest {
    const NAME: &'static str = "ListTrustBundles";
    const TARGET_PREFIX: &'static str = TARGET_PREFIX;
    type Response = ListTrustBundlesResult;
}

/// The answer to [`ListTrustBundlesRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListTrustBundlesResult {
    /// Signed bundles, one version after the other; as many as fit. None behind the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundles: Option<Vec<HexBytes>>,
}

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

/// Reads which trust bundle is the bridge's newest, and how many nodes go by each version.
///
/// # Errors
/// `AccessDeniedException` for who is neither auditor nor administrator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct GetTrustStatusRequest {}

impl Operation for GetTrustStatusRequest {
    const NAME: &'static str = "GetTrustStatus";
    const TARGET_PREFIX: &'static str = TARGET_PREFIX;
    type Response = GetTrustStatusResult;
}

/// The answer to [`GetTrustStatusRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetTrustStatusResult {
    /// The newest version.
    pub version: u32,
    /// When it runs out: Unix time in milliseconds.
    pub expires_ms: u64,
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
