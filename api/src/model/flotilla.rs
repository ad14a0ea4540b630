//! What the requests of Flotilla's own operations may hold; written by hand, in the order of their names.

use super::{Shape, member, number, required, structure, text};
use crate::audit::MAXIMUM_PAGE;
use crate::trust::MAXIMUM_BUNDLE_TEXT;

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
static GET_TRUST_BUNDLES: Shape = structure(&[member("AfterVersion", &WHOLE_NUMBER)]);
static PUT_TRUST_BUNDLE: Shape = structure(&[required("Bundle", &BUNDLE)]);
static BUNDLE: Shape = text(Some(1), Some(MAXIMUM_BUNDLE_TEXT as i64));
static NAME: Shape = text(Some(1), Some(512));
static PAGE: Shape = number(Some(1), Some(MAXIMUM_PAGE as i64));
static TOKEN: Shape = text(None, Some(1024));
static WHOLE_NUMBER: Shape = number(Some(0), None);

/// The requests of the operations, sorted by name.
pub(super) static REQUESTS: &[(&str, &Shape)] = &[
    ("GetAuditHead", &GET_AUDIT_HEAD),
    ("GetTrustBundles", &GET_TRUST_BUNDLES),
    ("ListAuditEntries", &LIST_AUDIT_ENTRIES),
    ("PutTrustBundle", &PUT_TRUST_BUNDLE),
];
