//! The endpoint of the fleet's trust: the bundles as people have signed them. How the next one is handed in is in [`crate::fleet::trust`].

use crate::fleet::Fleet;
use crate::platform::http::{Access, ApiError, Caller, Registry};
use flotilla_api::audit::HexBytes;
use flotilla_api::trust::{ListTrustBundlesRequest, ListTrustBundlesResult};

/// Adds the endpoint.
pub fn endpoints(registry: &mut Registry<Fleet>) {
    registry.own_endpoint::<ListTrustBundlesRequest>(Access::Viewer, list_trust_bundles);
}

pub(crate) async fn list_trust_bundles(
    fleet: &Fleet,
    _caller: &Caller,
    request: ListTrustBundlesRequest,
) -> Result<ListTrustBundlesResult, ApiError> {
    let bundles = fleet.signer.bundles_after(request.after_version.unwrap_or(0));
    Ok(ListTrustBundlesResult { bundles: Some(bundles.into_iter().map(|bundle| HexBytes(bundle.0)).collect()) })
}
