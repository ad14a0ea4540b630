//! A resource group is a query over the tags of nodes with a name, by which commands and people select.
//!
//! A group holds no list: who is in it is asked anew each time. Groups are the operators' own words, as tags are: no trust and no policy
//! hangs on them. The only resources are nodes; a query for other types finds none.

pub mod api;
mod query;
mod store;

pub use query::{MANAGED_INSTANCE_TYPE, Query};
pub use store::{Group, find};
