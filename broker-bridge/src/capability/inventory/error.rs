//! Refusals that several operations share.

use crate::platform::http::ApiError;

/// Nobody has this type.
pub(super) fn no_type(name: &str) -> ApiError {
    ApiError::new("InvalidTypeNameException", format!("no type is named {name:?}; GetInventorySchema lists them"))
}

/// A filter that means nothing.
pub(super) fn filter(what: impl Into<String>) -> ApiError {
    ApiError::new("InvalidFilter", what)
}

/// What is counted means nothing.
pub(super) fn aggregator(what: impl Into<String>) -> ApiError {
    ApiError::new("InvalidAggregatorException", what)
}
