//! Prepared orders: what the bridge has made ready, and people must sign before any node takes it.
//!
//! Where the fleet's trust does not let the bridge sign alone, `SendCommand` *prepares* an order: its nodes and its bytes are fixed, and it
//! awaits signatures. People read it, sign those bytes on their own machines, and hand in the signatures. With enough of them the order is
//! released, and goes out. Each operation is one of Flotilla's own, see [`TARGET_PREFIX`].
//!
//! Nothing that stands beside [`GetPreparedOrderResult::envelope`] is signed: who signs reads the bytes, see `flotilla orders show`.

use serde::{Deserialize, Serialize};

use crate::audit::{Hex, TARGET_PREFIX};
use crate::blob::Blob;
use crate::operation::Operation;

/// Most orders of one page.
pub const MAXIMUM_ORDERS_PAGE: i32 = 50;
/// Most targets of one page.
pub const MAXIMUM_TARGETS_PAGE: i32 = 1_000;
/// Longest reason of a rejection, in characters.
pub const MAXIMUM_REASON: i64 = 500;

/// The states of a prepared order, in the order of their names.
pub const STATES: &[&str] = &[AWAITING, CANCELLED, EXPIRED, REJECTED, RELEASED];
/// It waits for signatures.
pub const AWAITING: &str = "AwaitingSignature";
/// Its command was cancelled before enough had signed.
pub const CANCELLED: &str = "Cancelled";
/// Its time was over before enough had signed.
pub const EXPIRED: &str = "Expired";
/// Somebody has rejected it.
pub const REJECTED: &str = "Rejected";
/// Enough have signed it for some node, and it goes out as any command. It takes further signatures until every node has taken or refused it.
pub const RELEASED: &str = "Released";

/// There is no prepared order of this id.
pub const NOT_FOUND: &str = "PreparedOrderNotFoundException";
/// The order's time is over, or it was made before the fleet began a new epoch.
pub const ORDER_EXPIRED: &str = "OrderExpiredException";
/// The order was cancelled or rejected.
pub const ORDER_CANCELLED: &str = "OrderCancelledException";
/// The order has enough signatures already, and no node of it waits for another.
pub const ORDER_RELEASED: &str = "OrderReleasedException";
/// The key may not sign orders of this class under the newest trust bundle.
pub const KEY_NOT_AUTHORISED: &str = "KeyNotAuthorisedException";
/// What was signed is not this order.
pub const OTHER_BYTES: &str = "OrderBytesMismatchException";
/// The signature does not verify.
pub const INVALID_SIGNATURE: &str = "InvalidOrderSignatureException";
/// The key, or its person by another key, has signed already.
pub const ALREADY_SIGNED: &str = "AlreadySignedException";

/// An order that was prepared, as the bridge tells of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PreparedOrder {
    /// Its id, which is its command's.
    pub order_id: String,
    /// One of [`STATES`].
    pub state: String,
    /// Who asked for it: a user.
    pub requester: String,
    /// The class that decides who may sign, for example `command`.
    pub class: String,
    /// The document that it runs.
    pub document_name: String,
    /// How many nodes it is for.
    pub target_count: u32,
    /// When it was prepared: Unix time in milliseconds.
    pub prepared_ms: u64,
    /// After this no node starts it: Unix time in milliseconds.
    pub not_after_ms: u64,
    /// SHA-256 of the bytes that are signed, without what an envelope puts before them.
    pub body_sha256: Hex<32>,
    /// Who has signed, in the order in which it came.
    pub signatures: Vec<CollectedSignature>,
    /// How many persons must sign it in all.
    pub threshold: u32,
    /// How many persons more must sign it.
    pub missing: u32,
    /// Who may still sign it: persons of the trust bundle.
    pub may_sign: Vec<String>,
    /// Why it was rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who has rejected it: a user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_by: Option<String>,
}

/// A signature that was handed in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CollectedSignature {
    /// Whose key it is, by the trust bundle of when it came.
    pub person: String,
    /// The first bytes of SHA-256 of the key, by which envelopes name it.
    pub key_id: Hex<8>,
    /// Who handed it in: a user.
    pub user: String,
    /// When: Unix time in milliseconds.
    pub signed_ms: u64,
    /// Whether it still counts under the newest trust bundle.
    pub counts: bool,
}

/// Lists prepared orders, the newest first.
///
/// # Errors
/// `ValidationException`, `InvalidNextToken`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct ListPreparedOrdersRequest {
    /// In this state only, one of [`STATES`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Most orders of the page, 1…[`MAXIMUM_ORDERS_PAGE`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_results: Option<i32>,
    /// Where the page begins: from the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

impl Operation for ListPreparedOrdersRequest {
    const NAME: &'static str = "ListPreparedOrders";
    const TARGET_PREFIX: &'static str = TARGET_PREFIX;
    type Response = ListPreparedOrdersResult;
}

/// The answer to [`ListPreparedOrdersRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListPreparedOrdersResult {
    /// The orders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orders: Option<Vec<PreparedOrder>>,
    /// Where the next page begins; nothing after the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Reads a prepared order with the bytes that are signed.
///
/// # Errors
/// `ValidationException`, [`NOT_FOUND`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct GetPreparedOrderRequest {
    /// Its id.
    pub order_id: String,
}

impl Operation for GetPreparedOrderRequest {
    const NAME: &'static str = "GetPreparedOrder";
    const TARGET_PREFIX: &'static str = TARGET_PREFIX;
    type Response = GetPreparedOrderResult;
}

/// The answer to [`GetPreparedOrderRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetPreparedOrderResult {
    /// What the bridge says of it.
    #[serde(default)]
    pub order: PreparedOrder,
    /// The order as an envelope of the protocol, with the signatures that count so far.
    #[serde(default)]
    pub envelope: Blob,
}

/// Lists the nodes of a prepared order, by their ids.
///
/// # Errors
/// `ValidationException`, `InvalidNextToken`, [`NOT_FOUND`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct ListPreparedOrderTargetsRequest {
    /// The order's id.
    pub order_id: String,
    /// Most targets of the page, 1…[`MAXIMUM_TARGETS_PAGE`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_results: Option<i32>,
    /// Where the page begins: from the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

impl Operation for ListPreparedOrderTargetsRequest {
    const NAME: &'static str = "ListPreparedOrderTargets";
    const TARGET_PREFIX: &'static str = TARGET_PREFIX;
    type Response = ListPreparedOrderTargetsResult;
}

/// The answer to [`ListPreparedOrderTargetsRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListPreparedOrderTargetsResult {
    /// The targets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<Vec<OrderTarget>>,
    /// Where the next page begins; nothing after the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// A node that an order is for, with what its leaf of the tree of targets is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct OrderTarget {
    /// The node's id, which follows from its key.
    pub node_id: String,
    /// Its ed25519 key.
    pub identity_key: Hex<32>,
    /// What differs for this node: secrets that are sealed to it. Empty where nothing does, and when the node has signed the end.
    #[serde(default)]
    pub node_data: Blob,
    /// SHA-256 of what differed for this node, where that is gone because the node has signed the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_data_sha256: Option<Hex<32>>,
}

/// Hands in a signature over a prepared order. It is verified against the newest trust bundle; with it the order may be released.
///
/// # Errors
/// `ValidationException`, [`NOT_FOUND`], [`ORDER_EXPIRED`], [`ORDER_CANCELLED`], [`ORDER_RELEASED`], [`KEY_NOT_AUTHORISED`],
/// [`OTHER_BYTES`], [`INVALID_SIGNATURE`], [`ALREADY_SIGNED`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct PutOrderSignatureRequest {
    /// The order's id.
    pub order_id: String,
    /// SHA-256 of the body that was signed.
    pub body_sha256: Hex<32>,
    /// The number of the algorithm in an envelope.
    pub algorithm: u8,
    /// The first bytes of SHA-256 of the key, by which envelopes name it.
    pub key_id: Hex<8>,
    /// The signature as it stands in an envelope.
    pub signature: Blob,
}

impl Operation for PutOrderSignatureRequest {
    const NAME: &'static str = "PutOrderSignature";
    const TARGET_PREFIX: &'static str = TARGET_PREFIX;
    type Response = PutOrderSignatureResult;
}

/// The answer to [`PutOrderSignatureRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PutOrderSignatureResult {
    /// The order as it stands with the signature.
    #[serde(default)]
    pub order: PreparedOrder,
}

/// Rejects a prepared order: its command is cancelled, and nobody can sign it any more.
///
/// # Errors
/// `ValidationException`, [`NOT_FOUND`], [`ORDER_EXPIRED`], [`ORDER_CANCELLED`], [`ORDER_RELEASED`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct RejectPreparedOrderRequest {
    /// The order's id.
    pub order_id: String,
    /// Why, for people; at most [`MAXIMUM_REASON`] characters.
    pub reason: String,
}

impl Operation for RejectPreparedOrderRequest {
    const NAME: &'static str = "RejectPreparedOrder";
    const TARGET_PREFIX: &'static str = TARGET_PREFIX;
    type Response = RejectPreparedOrderResult;
}

/// The answer to [`RejectPreparedOrderRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RejectPreparedOrderResult {
    /// The order as it stands.
    #[serde(default)]
    pub order: PreparedOrder,
}
