//! What the requests of Flotilla's own operations may hold; written by hand, in the order of their names.

use super::{Shape, member, number, structure, text};
use crate::audit::MAXIMUM_PAGE;

static GET_AUDIT_HEAD: Shape = structure(&[]);
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
static LIST_TRUST_BUNDLES: Shape = structure(&[member("AfterVersion", &VERSION)]);
static NAME: Shape = text(Some(1), Some(512));
static PAGE: Shape = number(Some(1), Some(MAXIMUM_PAGE as i64));
static TOKEN: Shape = text(None, Some(1024));
static VERSION: Shape = number(Some(0), Some(u32::MAX as i64));
static WHOLE_NUMBER: Shape = number(Some(0), None);

/// The requests of the operations, sorted by name.
pub(super) static REQUESTS: &[(&str, &Shape)] =
    &[("GetAuditHead", &GET_AUDIT_HEAD), ("ListAuditEntries", &LIST_AUDIT_ENTRIES), ("ListTrustBundles", &LIST_TRUST_BUNDLES)];
