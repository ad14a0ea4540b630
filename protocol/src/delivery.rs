//! A delivery: a signed order together with the proof that it is meant for one node.

use crate::target;
use crate::wire::{Check, DecodeError, bytes, limit};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Most bytes of data that differs per node.
pub const MAXIMUM_NODE_DATA_BYTES: usize = 16 * 1024;

/// What is published to a node on [`crate::topic::DownKind::Order`]. The delivery itself is not signed: the order in it is, and
/// the proof binds this node and its data to that order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The envelope of an [`crate::order::OrderBody`].
    #[serde(with = "bytes")]
    pub envelope: Vec<u8>,
    /// Which leaf of the frozen targets this node is.
    pub index: u32,
    /// The siblings from that leaf up to the root.
    pub proof: Vec<[u8; 32]>,
    /// What differs per node: sealed secrets, a resolved baseline. Hashed into the leaf.
    #[serde(with = "bytes")]
    pub node_data: Vec<u8>,
}

impl Check for Delivery {
    fn check(&self) -> Result<(), DecodeError> {
        limit(self.proof.len() <= target::MAXIMUM_PROOF, "the proof of a delivery")?;
        limit(self.node_data.len() <= MAXIMUM_NODE_DATA_BYTES, "the node data of a delivery")
    }
}
