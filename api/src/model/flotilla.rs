//! What the requests of Flotilla's own operations may hold; written by hand, in the order of their names.

use super::{Shape, member, number, required, structure, text, word};
use crate::audit::MAXIMUM_PAGE;
use crate::inventory::MAXIMUM_ITEMS_PAGE;
use crate::orders::{MAXIMUM_ORDERS_PAGE, MAXIMUM_REASON, MAXIMUM_TARGETS_PAGE, STATES};
use crate::trust::MAXIMUM_BUNDLE_TEXT;

static GET_AUDIT_HEAD: Shape = structure(&[]);
static GET_PREPARED_ORDER: Shape = structure(&[required("OrderId", &ORDER_ID)]);
static GET_TRUST_STATUS: Shape = structure(&[]);
static LIST_AUDIT_ENTRIES: Shape = structure(&[
    member("AfterSequence", &WHOLE_NUMBER),
    member("Kind", &NAME),
    member("Actor", &NAME),
    member("Subject", &NAME),
    member("SinceMs", &WHOLE_NUMBER),
    member("UntilMs", &WHOLE_NUMBER),
    member("MaxResults", &PAGE),
    member("NextToken", &TOKEN),
]);
static LIST_INVENTORY_ITEMS: Shape =
    structure(&[member("InstanceId", &NAME), member("TypeName", &NAME), member("MaxResults", &ITEMS_PAGE), member("NextToken", &TOKEN)]);
static LIST_PREPARED_ORDERS: Shape = structure(&[member("State", &STATE), member("MaxResults", &ORDERS_PAGE), member("NextToken", &TOKEN)]);
static LIST_PREPARED_ORDER_TARGETS: Shape =
    structure(&[required("OrderId", &ORDER_ID), member("MaxResults", &TARGETS_PAGE), member("NextToken", &TOKEN)]);
static LIST_TRUST_BUNDLES: Shape = structure(&[member("AfterVersion", &VERSION)]);
static PUT_ORDER_SIGNATURE: Shape = structure(&[
    required("OrderId", &ORDER_ID),
    required("BodySha256", &HASH),
    required("Algorithm", &ALGORITHM),
    required("KeyId", &KEY_ID),
    required("Signature", &SIGNATURE),
]);
static PUT_TRUST_BUNDLE: Shape = structure(&[required("Bundle", &BUNDLE)]);
static REJECT_PREPARED_ORDER: Shape = structure(&[required("OrderId", &ORDER_ID), required("Reason", &REASON)]);
static ALGORITHM: Shape = number(Some(1), Some(255));
static BUNDLE: Shape = text(Some(1), Some(MAXIMUM_BUNDLE_TEXT as i64));
static HASH: Shape = text(Some(64), Some(64));
static ITEMS_PAGE: Shape = number(Some(1), Some(MAXIMUM_ITEMS_PAGE as i64));
static KEY_ID: Shape = text(Some(16), Some(16));
static NAME: Shape = text(Some(1), Some(512));
static ORDERS_PAGE: Shape = number(Some(1), Some(MAXIMUM_ORDERS_PAGE as i64));
static ORDER_ID: Shape = text(Some(36), Some(36));
static PAGE: Shape = number(Some(1), Some(MAXIMUM_PAGE as i64));
static REASON: Shape = text(Some(1), Some(MAXIMUM_REASON));
// Of a signature of 1,024 bytes, the longest of an envelope.
static SIGNATURE: Shape = text(Some(1), Some(1_368));
static STATE: Shape = word(STATES);
static TARGETS_PAGE: Shape = number(Some(1), Some(MAXIMUM_TARGETS_PAGE as i64));
static TOKEN: Shape = text(None, Some(1024));
static VERSION: Shape = number(Some(0), Some(u32::MAX as i64));
static WHOLE_NUMBER: Shape = number(Some(0), None);

/// The requests of the operations, sorted by name.
pub(super) static REQUESTS: &[(&str, &Shape)] = &[
    ("GetAuditHead", &GET_AUDIT_HEAD),
    ("GetPreparedOrder", &GET_PREPARED_ORDER),
    ("GetTrustStatus", &GET_TRUST_STATUS),
    ("ListAuditEntries", &LIST_AUDIT_ENTRIES),
    ("ListInventoryItems", &LIST_INVENTORY_ITEMS),
    ("ListPreparedOrderTargets", &LIST_PREPARED_ORDER_TARGETS),
    ("ListPreparedOrders", &LIST_PREPARED_ORDERS),
    ("ListTrustBundles", &LIST_TRUST_BUNDLES),
    ("PutOrderSignature", &PUT_ORDER_SIGNATURE),
    ("PutTrustBundle", &PUT_TRUST_BUNDLE),
    ("RejectPreparedOrder", &REJECT_PREPARED_ORDER),
];
