//! A node is a device that registered with an activation and proved its key; its row is the fleet's memory of it.
//!
//! A node is *online* between its hello (or the broker's word that it is connected) and its will. A node that was deregistered
//! keeps its row, so that its key stays refused for ever; what it sends is ignored. A node whose reports contradict each other is
//! *quarantined*: two devices have its identity, or one was put back to an older state, and until somebody has looked nothing of it is
//! taken up and nothing is sent to it.

pub mod api;
pub mod chain;
mod description;
mod filter;
pub mod health;
mod properties;
pub mod recent;
pub mod store;
#[cfg(test)]
mod tests;

use crate::platform::page::TokenScope;
use flotilla_protocol::id::NodeId;

/// The node id in a member of a request.
///
/// # Errors
/// `InvalidInstanceId`, when it is none.
pub fn parse_node_id(text: &str) -> Result<NodeId, crate::platform::http::ApiError> {
    text.parse().map_err(|_| {
        crate::platform::http::ApiError::new(
            "InvalidInstanceId",
            format!("{text:?} is not a node id, which is mi- and 17 hexadecimal digits"),
        )
    })
}

/// The scope of the tokens of `DescribeInstanceInformation`.
fn token_scope(filters: &impl serde::Serialize) -> TokenScope {
    TokenScope::new("DescribeInstanceInformation", filters)
}
