//! The fleet's trust bundles, for whoever wants to know which keys count without believing the bridge.
//!
//! A bundle is signed by the people of its root role, and each follows the one before: who knows the SHA-256 of bundle 1 can follow all of them.
//! What a bundle is and how it is followed says `flotilla-protocol`.

use serde::{Deserialize, Serialize};

use crate::audit::{HexBytes, TARGET_PREFIX};
use crate::operation::Operation;

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
