//! The node's own policy: what it lets be done to it, whoever signs. It only tightens what the trust bundle allows.

use flotilla_protocol::trust::{Class, Labels};
use std::collections::{BTreeMap, BTreeSet};

/// What the node's policy says. The default restricts nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// What the node is, for the scopes of rules; what the root says of it counts before this.
    pub labels: Labels,
    /// Orders of these classes only; nothing: of all.
    pub classes: Option<BTreeSet<Class>>,
    /// So many distinct persons must have signed an order of this class, where that is more than its rule asks for.
    pub minimum_persons: BTreeMap<Class, u8>,
}

/// The policy as it is now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyState {
    /// What it says; without meaning while there is a fault.
    pub policy: Policy,
    /// Why the policy cannot be gone by, for people. While there is a fault no order is accepted and none starts.
    pub fault: Option<String>,
    /// What holds the node still, for people: orders are accepted and wait, none starts, and the device is not rebooted.
    pub inhibited_by: Option<String>,
}

impl PolicyState {
    /// Why nothing starts now, if that is so.
    #[must_use]
    pub fn standstill(&self) -> Option<&str> {
        self.fault.as_deref().or(self.inhibited_by.as_deref())
    }
}

/// Why the policy refuses an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PolicyRefusal {
    /// For as long as the policy has a fault.
    Fault(String),
    /// As long as the policy is this one, whoever signs.
    Class(Class),
    /// More persons must sign.
    Persons { class: Class, signed: usize, minimum: u8 },
}

impl std::fmt::Display for PolicyRefusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fault(why) => f.write_str(why),
            Self::Class(class) => write!(f, "the node's policy allows no {} orders", class.as_str()),
            Self::Persons { class, signed, minimum } => {
                write!(f, "the node's policy asks for {minimum} persons to sign {} orders, and {signed} have", class.as_str())
            }
        }
    }
}

impl PolicyState {
    /// Whether an order of this class, which so many persons have signed, may run as far as the policy goes.
    pub(crate) fn check(&self, class: Class, persons: usize) -> Result<(), PolicyRefusal> {
        if let Some(fault) = &self.fault {
            return Err(PolicyRefusal::Fault(fault.clone()));
        }
        if self.policy.classes.as_ref().is_some_and(|allowed| !allowed.contains(&class)) {
            return Err(PolicyRefusal::Class(class));
        }
        match self.policy.minimum_persons.get(&class) {
            Some(minimum) if persons < usize::from(*minimum) => Err(PolicyRefusal::Persons { class, signed: persons, minimum: *minimum }),
            _ => Ok(()),
        }
    }
}
