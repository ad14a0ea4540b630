//! A tag is a key with a value on a node or a document, by which operators select.
//!
//! Tags are the operators' own words: no trust and no policy hangs on them.

pub mod api;
mod rules;
mod store;

pub use rules::{MAXIMUM_TAGS, check_new};
pub use store::{all_of, clear, list, put};

/// The resource type of nodes, in the API's words and in the table.
pub const MANAGED_INSTANCE: &str = "ManagedInstance";
/// The resource type of documents, in the API's words and in the table.
pub const DOCUMENT: &str = "Document";
