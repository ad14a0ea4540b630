//! What the audit log tells of a fleet: orders that are signed, what nodes sign in answer, nodes that come, users, trust, and the bridge's own
//! starts and stops. Calls of the API tell themselves ([`crate::platform::audit::call`]).
//!
//! THE LIST of kinds is in docs/security.md. A kind, once written, keeps its meaning.

pub mod api;

use super::Fleet;
use crate::platform::audit::{self, BRIDGE, Record};
use crate::platform::store::StoreError;
use flotilla_api::audit::{Hex, REPORT, REPORT_BEFORE, REPORT_HASH, REPORT_KEY};
use flotilla_protocol::capability::ReportPayload;
use flotilla_protocol::id::NodeId;
use flotilla_protocol::order::OrderBody;
use flotilla_protocol::report::ReportBody;
use flotilla_protocol::status::Admission;
use flotilla_protocol::wire::encode;

/// Who uses `flotilla-bridge` on its machine.
pub const MACHINE: &str = "the bridge's machine";

/// An order was signed, for these nodes, with what is in it as a hash.
#[must_use]
pub fn order_signed(body: &OrderBody, class: &str, content: &str, now_ms: u64) -> Record {
    order("order-signed", body, class, content, now_ms)
}

/// An order was prepared, and awaits the signatures of people. Once enough have signed, it is told that it is signed, by whom.
#[must_use]
pub fn order_prepared(body: &OrderBody, class: &str, content: &str, now_ms: u64) -> Record {
    order("order-prepared", body, class, content, now_ms)
}

/// A user handed in a person's signature over a prepared order.
#[must_use]
pub fn order_approved(user: &str, order: &str, person: &str, key: [u8; 8], signature: &[u8], now_ms: u64) -> Record {
    Record::new("order-approved", user, order, now_ms)
        .with("Person", person)
        .with("Key", Hex(key))
        .with("SignatureSha256", Hex(flotilla_protocol::sha256(&[signature])))
}

/// A user has rejected a prepared order.
#[must_use]
pub fn order_rejected(user: &str, order: &str, reason: &str, now_ms: u64) -> Record {
    Record::new("order-rejected", user, order, now_ms).with("Reason", reason)
}

/// An order that was released goes back to awaiting signatures: under the newest trust bundle too few of them count.
#[must_use]
pub fn order_held(order: &str, missing: usize, now_ms: u64) -> Record {
    Record::new("order-held", BRIDGE, order, now_ms).with("Missing", missing)
}

fn order(kind: &'static str, body: &OrderBody, class: &str, content: &str, now_ms: u64) -> Record {
    Record::new(kind, &body.requester, &body.id.to_string(), now_ms)
        .with("BodySha256", Hex(flotilla_protocol::sha256(&[&encode(body)])))
        .with("Class", class)
        .with("Content", content)
        .with("Targets", body.targets.count)
        .with("TargetsRoot", Hex(body.targets.root))
        .with("NotAfterMs", body.not_after_ms)
}

/// A report as its node has signed it.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'r> {
    /// What it says.
    pub report: &'r ReportBody,
    /// SHA-256 of its body.
    pub hash: &'r [u8; 32],
    /// The envelope as it came.
    pub envelope: &'r [u8],
    /// The node's key.
    pub key: &'r [u8; 32],
}

/// What a node has signed about an order, or whatever else its control report is about: so that whoever checks the log sees that none is left out.
/// `payload` is nothing where it cannot be read.
#[must_use]
pub fn reported(signed: Signed<'_>, payload: Option<&ReportPayload>, now_ms: u64) -> Option<Record> {
    let Signed { report, hash, envelope, key } = signed;
    let node = report.node;
    if report.stream.is_droppable() {
        // It says how the node is, and is made often; its chain is the node's own.
        return None;
    }
    let (kind, subject, detail) = match payload.unwrap_or(&ReportPayload::Unsupported(report.payload.kind)) {
        ReportPayload::Admission(Admission::Accepted { order }) => ("order-accepted", order.to_string(), None),
        ReportPayload::Admission(Admission::Rejected { order, reason }) => {
            ("order-refused", order.to_string(), Some(("Reason", reason.as_str().to_owned())))
        }
        ReportPayload::CommandProgress(progress) => ("order-started", progress.order.to_string(), None),
        ReportPayload::CommandRebooting(rebooting) => {
            ("order-rebooting", rebooting.order.to_string(), Some(("Step", rebooting.step.to_string())))
        }
        ReportPayload::CommandResult(result) => {
            ("order-ended", result.order.to_string(), Some(("Outcome", format!("{:?}", result.outcome))))
        }
        ReportPayload::MemoryLost(loss) => ("node-memory-lost", node.to_string(), Some(("Cause", loss.cause.as_str().to_owned()))),
        _ => ("node-report", node.to_string(), Some(("Payload", report.payload.kind.to_string()))),
    };
    let record = Record::new(kind, &node.to_string(), &subject, now_ms).with(REPORT_HASH, Hex(*hash));
    let record = record.with(REPORT, report.sequence).with(REPORT_BEFORE, Hex(report.previous));
    let record = record.with("Boot", Hex(report.boot.0)).with(REPORT_KEY, Hex(*key)).with_signed(envelope);
    Some(match detail {
        Some((name, value)) => record.with(name, value),
        None => record,
    })
}

/// A device became a node, or got a fresh certificate.
#[must_use]
pub fn enrolled(node: NodeId, activation: &str, is_new: bool, certificate: &[u8], now_ms: u64) -> Record {
    let kind = if is_new { "node-enrolled" } else { "node-renewed" };
    Record::new(kind, &node.to_string(), &node.to_string(), now_ms)
        .with("Activation", activation)
        .with("CertificateSha256", Hex(flotilla_protocol::sha256(&[certificate])))
}

/// Another trust bundle counts.
#[must_use]
pub fn trust_bundle(user: &str, version: u32, hash: &[u8; 32], now_ms: u64) -> Record {
    Record::new("trust-bundle", user, &version.to_string(), now_ms).with("BodySha256", Hex(*hash))
}

/// A node is not believed any more.
#[must_use]
pub fn quarantined(node: NodeId, detail: &str, now_ms: u64) -> Record {
    Record::new("node-quarantined", BRIDGE, &node.to_string(), now_ms).with("Reason", detail)
}

/// A user was added or removed on the bridge's machine.
#[must_use]
pub fn user(kind: &'static str, name: &str, now_ms: u64) -> Record {
    Record::new(kind, MACHINE, name, now_ms)
}

/// The bridge serves from now on. Where its trust is another than when that was last told, that is told too.
///
/// # Errors
/// What the database says.
pub async fn started(fleet: &Fleet) -> Result<(), StoreError> {
    let now_ms = fleet.clock.now_ms();
    let version = fleet.signer.trust().bundle().version;
    let newest = fleet.signer.bundles_after(version.saturating_sub(1));
    let newest: Vec<&[u8]> = newest.iter().map(|bundle| bundle.0.as_slice()).collect();
    let hash = Hex(flotilla_protocol::sha256(&newest)).to_string();
    // The start before says which trust it had, and is found near the end of the log.
    let before = audit::newest_of(&fleet.store, STARTED).await?;
    let is_known = before.is_some_and(|entry| entry.detail.get(BUNDLE) == Some(&hash));
    let mut write = fleet.store.write().await?;
    let started = Record::new(STARTED, BRIDGE, env!("CARGO_PKG_VERSION"), now_ms);
    write.record(started.with("TrustVersion", version).with(BUNDLE, &hash));
    if !is_known {
        write.record(Record::new("trust-bundle", BRIDGE, &version.to_string(), now_ms).with(BUNDLE, hash));
    }
    write.commit().await
}

const STARTED: &str = "bridge-started";
const BUNDLE: &str = "BundleSha256";

/// The bridge serves no longer.
///
/// # Errors
/// What the database says.
pub async fn stopped(fleet: &Fleet, reason: &str) -> Result<(), StoreError> {
    let mut write = fleet.store.write().await?;
    write.record(Record::new("bridge-stopped", BRIDGE, env!("CARGO_PKG_VERSION"), fleet.clock.now_ms()).with("Reason", reason));
    write.commit().await
}
