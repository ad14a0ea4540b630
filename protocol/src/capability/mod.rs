//! THE LIST of what orders can ask for and reports can say.
//!
//! To add a capability: write its file here with its payload types, add one variant and one kind to each list below that it
//! needs, name the class that may sign it, and add golden messages under `golden/`. Kinds are never used twice.

pub mod command;
pub mod health;
pub mod inventory;

use crate::trust::Class;
use crate::wire::{DecodeError, Payload, decode, encode};
use command::{CommandOrder, CommandProgress, CommandRebooting, CommandResult};

macro_rules! payload_list {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident($type:ty) = $kind:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $name {
            $($(#[$doc])* $variant($type),)+
            /// A kind that this build does not know: it is answered so and otherwise left alone.
            Unsupported(u16),
        }
        impl $name {
            /// Reads a payload by its kind.
            ///
            /// # Errors
            /// A known kind whose bytes are malformed or beyond a limit.
            pub fn decode(payload: &Payload) -> Result<Self, DecodeError> {
                match payload.kind {
                    $($kind => decode(&payload.body).map(Self::$variant),)+
                    kind => Ok(Self::Unsupported(kind)),
                }
            }
            /// Writes a payload with its kind.
            #[must_use]
            pub fn encode(&self) -> Payload {
                match self {
                    $(Self::$variant(value) => Payload { kind: $kind, body: encode(value) },)+
                    Self::Unsupported(kind) => Payload { kind: *kind, body: alloc::vec::Vec::new() },
                }
            }
        }
    };
}

payload_list! {
    /// What an order asks for.
    OrderPayload {
        /// Run a document.
        Command(CommandOrder) = 1,
    }
}

payload_list! {
    /// What a report says.
    ReportPayload {
        /// The node has taken, or refused, an order.
        Admission(crate::status::Admission) = 1,
        /// A command has begun.
        CommandProgress(CommandProgress) = 2,
        /// A command has ended: the one signed outcome.
        CommandResult(CommandResult) = 3,
        /// Reports of a stream were dropped because there was no room for them.
        Gap(crate::report::Gap) = 4,
        /// The node has lost its memory, and the chain begins anew.
        MemoryLost(crate::report::MemoryLost) = 5,
        /// A command waits for a reboot that one of its steps asked for.
        CommandRebooting(CommandRebooting) = 6,
        /// How the node is.
        NodeHealth(health::NodeHealth) = 7,
        /// A piece of what has changed in the node's inventory.
        Inventory(inventory::InventoryReport) = 8,
    }
}

impl OrderPayload {
    /// The class whose role must have signed the order; `None` for what this build does not know.
    #[must_use]
    pub fn class(&self) -> Option<Class> {
        match self {
            Self::Command(_) => Some(Class::Command),
            Self::Unsupported(_) => None,
        }
    }
}
