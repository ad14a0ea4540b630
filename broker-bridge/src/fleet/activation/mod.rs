//! An activation is a permit: until it expires or is deleted, so many devices that know its code become nodes.
//!
//! The code never travels: a device proves it with an HMAC over its claim. In the database the code is sealed under the key
//! outside of it. A deleted activation keeps its row, so that a late claim is told what happened.

pub mod api;
pub mod claim;
mod store;

/// The table in whose name codes are sealed.
const SEAL_TABLE: &str = "activation";
