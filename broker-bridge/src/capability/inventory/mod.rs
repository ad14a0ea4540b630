//! Inventory: what is on the nodes, a table a type, as they say themselves or as somebody has written through the API.
//!
//! An *item* is what one node has of one type. An *entry* is a row of it; it is kept once, however many nodes have it. An item is *stale* when
//! its node has changed something that did not fit what is here; it stands as it is until the node says all of it anew.
//! `AWS:InstanceInformation` and `AWS:Tag` are no items: they are made of the fleet's own tables when they are asked for.

mod aggregate;
pub mod api;
mod deletion;
mod error;
mod find;
pub mod ingest;
mod items;
mod list;
mod model;
mod own;
mod put;
pub mod retention;
mod rules;
mod schema;
mod store;
#[cfg(test)]
mod tests;

/// Most bytes of all items of a node, as JSON: a gateway with ten thousand packages and all its files is within it.
pub const MAXIMUM_NODE_BYTES: i64 = 8 * 1024 * 1024;
/// Most types of a fleet that are not AWS's (at AWS: 20).
pub const MAXIMUM_CUSTOM_TYPES: i64 = 100;
/// Largest item of a type that is not AWS's, as JSON, in bytes, when it is written through the API (AWS's limit).
pub const MAXIMUM_CUSTOM_BYTES: usize = 200 * 1024;
