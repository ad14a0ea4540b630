//! The endpoints of trust bundles, but the one that lists them, which is the signer's.

use crate::fleet::node::store as node_store;
use crate::fleet::signer::SignerError;
use crate::fleet::{Fleet, audit};
use crate::platform::http::{Access, ApiError, Caller, Registry};
use crate::platform::mqtt::Outbound;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flotilla_api::audit::Hex;
use flotilla_api::trust::{GetTrustStatusRequest, GetTrustStatusResult, NodesOfVersion, PutTrustBundleRequest, PutTrustBundleResult};
use flotilla_protocol::topic::Topic;

/// Adds the endpoints.
pub fn endpoints(registry: &mut Registry<Fleet>) {
    registry.own_endpoint::<GetTrustStatusRequest>(Access::Auditor, get_trust_status);
    registry.own_change::<PutTrustBundleRequest>(Access::Admin, put_trust_bundle);
}

pub(crate) async fn put_trust_bundle(
    fleet: &Fleet,
    caller: &Caller,
    request: PutTrustBundleRequest,
) -> Result<PutTrustBundleResult, ApiError> {
    let envelope = STANDARD.decode(&request.bundle).map_err(|_| ApiError::validation("Bundle is not base64"))?;
    if fleet.publisher.stands_aside() {
        return Err(ApiError::unavailable("another bridge of this fleet has taken over from this one; call that one"));
    }
    let now_ms = fleet.clock.now_ms();
    let added = fleet.signer.add(&envelope, now_ms).map_err(refusal)?;
    if added.is_new {
        // The bridge's key may be another one, and is one that signs the log.
        fleet.store.audit().sign_with(fleet.signer.heads());
        // Where the bridge ends before this, its next start tells it.
        let mut write = fleet.store.write().await?;
        write.record(audit::trust_bundle(&caller.user, added.version, &added.hash, now_ms));
        write.commit().await?;
        tracing::info!(version = added.version, user = caller.user, "a new trust bundle counts");
    }
    // What a node has already it passes over. Who is away gets it with the next welcome.
    let topic = Topic::AllTrust { fleet: fleet.settings.fleet };
    let _who_is_away_asks = fleet.publisher.publish(Outbound { topic, payload: envelope }).await;
    // Behind the bundle: what awaits signatures is judged by it, there and here.
    fleet.nudge.dispatch.notify_one();
    Ok(PutTrustBundleResult { version: added.version, sha256: Hex(added.hash), is_new: added.is_new })
}

pub(crate) async fn get_trust_status(
    fleet: &Fleet,
    _caller: &Caller,
    _request: GetTrustStatusRequest,
) -> Result<GetTrustStatusResult, ApiError> {
    let trust = fleet.signer.trust();
    let (version, expires_ms) = (trust.bundle().version, trust.bundle().expires_ms);
    let nodes = node_store::count_by_trust(&fleet.store).await?;
    Ok(GetTrustStatusResult {
        version,
        expires_ms,
        nodes: nodes.into_iter().map(|(version, nodes, online)| NodesOfVersion { version, nodes, online }).collect(),
    })
}

fn refusal(error: SignerError) -> ApiError {
    let reason = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
    match error {
        SignerError::NotNext { .. } | SignerError::Expired { .. } | SignerError::TooMany | SignerError::Conflict { .. } => {
            ApiError::validation(format!("{error}{reason}"))
        }
        _ => ApiError::internal(error),
    }
}
