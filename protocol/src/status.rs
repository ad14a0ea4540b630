//! The states of an order on a node. Only forward:
//! Received → Accepted → Waiting → Starting → Running → one [`Outcome`]; besides Rejected.

use crate::id::OrderId;
use crate::wire::{Check, DecodeError};
use serde::{Deserialize, Serialize};

/// Why a node refuses a message. Each has a counter on the node; only what was signed for this node is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RejectReason {
    /// It was retained on the broker: orders never are.
    Retained,
    /// It is larger than the limit.
    TooLarge,
    /// Delivery, envelope or body cannot be read.
    Malformed,
    /// It is of another version.
    Version,
    /// Its domain does not belong to its topic.
    Domain,
    /// Too few have signed it for any rule of its class, or with keys that have run out.
    Signature,
    /// It is for another fleet.
    Fleet,
    /// It is for another node, or not proven to be for this one.
    Target,
    /// Its id was taken before.
    Replay,
    /// Its `not_after` lies behind the node's durable floor, or behind trusted time.
    Expired,
    /// It asks for something that this build does not know.
    Unsupported,
    /// It needs a later trust bundle than the node has.
    TrustVersion,
    /// It was made under an older epoch than the node's.
    Epoch,
    /// The node's own policy forbids it.
    Policy,
    /// The node holds as many orders as it can.
    Busy,
    /// A later order of its lane was taken already.
    OutOfOrder,
    /// It was cancelled before it came.
    Cancelled,
    /// It is an answer to a question that was not asked (a welcome with a strange nonce, a receipt for what was not sent).
    Unasked,
    /// The node's newest trust bundle has expired.
    TrustExpired,
    /// The agent is older than the trust bundle asks for.
    AgentVersion,
    /// The node has lost its memory, and the order may have been taken, and even run, before that. It never runs from now on; whether it
    /// did is not said by this.
    MemoryLost,
    /// The node's disk takes no records, or has no room for what the order would leave behind.
    Storage,
    /// Enough have signed, by a rule whose scope is of other nodes.
    Scope,
    /// A secret of it is missing, or does not open on this node: it was sealed to another key, or for another order or name.
    Secret,
}

impl RejectReason {
    /// A stable lower-case name, for logs and for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retained => "retained",
            Self::TooLarge => "too-large",
            Self::Malformed => "malformed",
            Self::Version => "version",
            Self::Domain => "domain",
            Self::Signature => "signature",
            Self::Fleet => "fleet",
            Self::Target => "target",
            Self::Replay => "replay",
            Self::Expired => "expired",
            Self::Unsupported => "unsupported",
            Self::TrustVersion => "trust-version",
            Self::Epoch => "epoch",
            Self::Policy => "policy",
            Self::Busy => "busy",
            Self::OutOfOrder => "out-of-order",
            Self::Cancelled => "cancelled",
            Self::Unasked => "unasked",
            Self::TrustExpired => "trust-expired",
            Self::AgentVersion => "agent-version",
            Self::MemoryLost => "memory-lost",
            Self::Storage => "storage",
            Self::Scope => "scope",
            Self::Secret => "secret",
        }
    }
}

/// A node's answer to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Admission {
    /// The order is durably recorded and will run.
    Accepted {
        /// The order.
        order: OrderId,
    },
    /// The order will never run on this node.
    Rejected {
        /// The order.
        order: OrderId,
        /// Why.
        reason: RejectReason,
    },
}

impl Check for Admission {
    fn check(&self) -> Result<(), DecodeError> {
        Ok(())
    }
}

/// How a command ended on a node: terminal and immutable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Every step succeeded or was skipped.
    Succeeded,
    /// A step failed.
    Failed,
    /// A step ran longer than it may.
    TimedOut,
    /// A cancel came before the end.
    Cancelled,
    /// The run was cut off and its outcome cannot be known.
    Interrupted,
    /// It was accepted and its time ran out before it could start.
    Expired,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StepStatus {
    /// Exit code 0.
    Succeeded,
    /// Another exit code, or it could not be run.
    Failed,
    /// It ran longer than it may and was killed.
    TimedOut,
    /// It was cancelled.
    Cancelled,
    /// It was never reached.
    NotRun,
    /// It was passed over: its precondition does not hold, or a step before it ended the document.
    Skipped,
}
