//! A delivery: a signed order together with the proof that it is meant for one node.

use crate::secret::SealedSecrets;
use crate::target;
use crate::wire::{Check, DecodeError, Payload, bytes, decode, encode, limit};
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
    /// What differs per node: empty, or [`NodeData`]. Hashed into the leaf.
    #[serde(with = "bytes")]
    pub node_data: Vec<u8>,
}

impl Check for Delivery {
    fn check(&self) -> Result<(), DecodeError> {
        limit(self.proof.len() <= target::MAXIMUM_PROOF, "the proof of a delivery")?;
        limit(self.node_data.len() <= MAXIMUM_NODE_DATA_BYTES, "the node data of a delivery")
    }
}

/// Most parts of node data.
const MAXIMUM_PARTS: usize = 8;
/// The kind of a part that holds [`SealedSecrets`].
const SECRETS: u16 = 1;

/// What differs per node. No bytes at all are no parts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeData {
    /// The parts, each kind at most once. A node refuses an order with a part that it does not know.
    pub parts: Vec<Payload>,
}

impl NodeData {
    /// Node data of nothing but secrets.
    #[must_use]
    pub fn of_secrets(secrets: &SealedSecrets) -> Self {
        Self { parts: alloc::vec![Payload { kind: SECRETS, body: encode(secrets) }] }
    }

    /// Reads the node data of a delivery.
    ///
    /// # Errors
    /// See [`DecodeError`].
    pub fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.is_empty() { Ok(Self::default()) } else { decode(bytes) }
    }

    /// Whether every part is of a kind that this build knows.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.parts.iter().all(|part| part.kind == SECRETS)
    }

    /// The sealed secrets, where there are some.
    ///
    /// # Errors
    /// They are malformed.
    pub fn secrets(&self) -> Result<Option<SealedSecrets>, DecodeError> {
        self.parts.iter().find(|part| part.kind == SECRETS).map(|part| decode(&part.body)).transpose()
    }
}

impl Check for NodeData {
    fn check(&self) -> Result<(), DecodeError> {
        limit((1..=MAXIMUM_PARTS).contains(&self.parts.len()), "the number of parts of node data")?;
        let is_once = self.parts.iter().enumerate().all(|(index, part)| self.parts.iter().take(index).all(|other| other.kind != part.kind));
        limit(is_once, "a kind of node data twice")
    }
}
