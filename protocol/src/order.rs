//! Orders: what people sign and nodes run, and cancels, which only stop.

use crate::capability;
use crate::id::{FleetId, NodeId, OrderId};
use crate::wire::{Check, DecodeError, Payload, limit};
use alloc::string::String;
use serde::{Deserialize, Serialize};

/// Longest name of a requester, in bytes.
pub const MAXIMUM_REQUESTER_BYTES: usize = 128;

/// Longest time from `not_before` to `not_after`: 30 days, in milliseconds.
pub const MAXIMUM_VALIDITY_MS: u64 = 30 * 24 * 3600 * 1000;

/// The frozen set of nodes that an order is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Targets {
    /// How many targets the tree has, 1 to [`crate::target::MAXIMUM_TARGETS`].
    pub count: u32,
    /// The root of the tree.
    pub root: [u8; 32],
}

/// What a node does with an order that was cut off while it ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnCrash {
    /// Reports `Interrupted`. The only choice for commands.
    Never,
    /// Runs the order again: its steps are idempotent and converge.
    Resume,
    /// Looks at what was reached, then goes on.
    Probe,
}

/// The signed body of an order. Its class, which decides who may sign it, is derived from the payload and never stated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderBody {
    /// A UUIDv7, SSM's CommandId.
    pub id: OrderId,
    /// The fleet that the order is for.
    pub fleet: FleetId,
    /// The nodes that the order is for.
    pub targets: Targets,
    /// Who asked for it: a user's name, for people to read.
    pub requester: String,
    /// Orders of one requester in one lane other than 0 run one after the other, by sequence. Lane 0 has no order.
    pub lane: u16,
    /// Place in the lane. Gaps are normal.
    pub sequence: u64,
    /// The epoch of the trust bundle that the order was made under.
    pub epoch: u32,
    /// Unix time in milliseconds before which the order does not start.
    pub not_before_ms: u64,
    /// Unix time in milliseconds after which the order does not start; at most 30 days after `not_before_ms`.
    pub not_after_ms: u64,
    /// The node needs this version of the trust bundle or a later one.
    pub minimum_trust_version: u32,
    /// What happens when the run is cut off.
    pub on_crash: OnCrash,
    /// What to do: a kind of [`capability::OrderPayload`].
    pub payload: Payload,
}

impl OrderBody {
    /// The payload as a type.
    ///
    /// # Errors
    /// A payload of a known kind that is malformed. An unknown kind is [`capability::OrderPayload::Unsupported`].
    pub fn payload(&self) -> Result<capability::OrderPayload, DecodeError> {
        capability::OrderPayload::decode(&self.payload)
    }
}

impl Check for OrderBody {
    fn check(&self) -> Result<(), DecodeError> {
        limit(self.requester.len() <= MAXIMUM_REQUESTER_BYTES, "the requester of an order")?;
        limit((1..=crate::target::MAXIMUM_TARGETS).contains(&self.targets.count), "the number of targets of an order")?;
        let valid_for = self.not_after_ms.checked_sub(self.not_before_ms);
        limit(valid_for.is_some_and(|time| time <= MAXIMUM_VALIDITY_MS), "the validity of an order")
    }
}

/// The signed body of a cancel. It needs no trusted time and no lane, and is kept as a tombstone when its order has not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelBody {
    /// The fleet.
    pub fleet: FleetId,
    /// The node that is to stop; a cancel for several nodes is several messages.
    pub node: NodeId,
    /// The order to stop.
    pub order: OrderId,
    /// When that order expires: how long a tombstone is kept. Unix time in milliseconds.
    pub not_after_ms: u64,
}

impl Check for CancelBody {
    fn check(&self) -> Result<(), DecodeError> {
        Ok(())
    }
}
