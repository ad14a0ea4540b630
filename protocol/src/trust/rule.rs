//! Operator rules: who, together, may have what done where and when.

use super::hours::Window;
use super::label::{self, Label};
use super::role::Class;
use crate::wire::{DecodeError, Payload, limit};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

/// Most rules of a bundle.
pub const MAXIMUM_RULES: usize = 64;
/// Longest name of a rule, in bytes.
pub const MAXIMUM_RULE_NAME_BYTES: usize = 64;
/// Most windows of a rule's hours.
pub const MAXIMUM_WINDOWS: usize = 14;
/// Most further conditions of a rule.
pub const MAXIMUM_CONDITIONS: usize = 8;

/// One way in which orders of a class are allowed. An order may run when any rule of its class is met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorRule {
    /// For people; each at most once in a bundle.
    pub name: String,
    /// Orders of this class only.
    pub class: Class,
    /// Indices into the bundle's keys, each once: whose signatures count here.
    pub keys: Vec<u16>,
    /// So many distinct persons must have signed, whoever asked: at least 1.
    pub threshold: u8,
    /// So many distinct persons other than the requester must have signed. They count for the threshold as well.
    ///
    /// Who the requester is stands in the order and is signed, and the bridge writes it there. Where the bridge is not believed, a threshold
    /// above 1 is what makes several persons necessary; approvals above 0 add that one's own word does not count as another's.
    pub approvals: u8,
    /// The node must have all of these labels; without any, the rule is for every node. In ascending order of their keys, each key once.
    pub scope: Vec<Label>,
    /// The order starts within one of these only; without any, at all times.
    pub hours: Vec<Window>,
    /// Conditions that are not yet invented. A rule with one of a kind that the node does not know is never met there.
    pub conditions: Vec<Payload>,
}

impl OperatorRule {
    /// One of these keys suffices, for every node and at all times.
    #[must_use]
    pub fn any_of(class: Class, keys: Vec<u16>) -> Self {
        Self {
            name: class.as_str().into(),
            class,
            keys,
            threshold: 1,
            approvals: 0,
            scope: Vec::new(),
            hours: Vec::new(),
            conditions: Vec::new(),
        }
    }

    /// Whether this build can judge every condition. It knows none beside scope and hours.
    #[must_use]
    pub fn is_understood(&self) -> bool {
        self.conditions.is_empty() && !matches!(self.class, Class::Unknown(_))
    }

    pub(super) fn check(&self) -> Result<(), DecodeError> {
        let has_name = (1..=MAXIMUM_RULE_NAME_BYTES).contains(&self.name.len()) && !self.name.chars().any(char::is_control);
        limit(has_name, "the name of a rule")?;
        limit((1..=super::MAXIMUM_KEYS).contains(&self.keys.len()), "the number of keys of a rule")?;
        limit(self.hours.len() <= MAXIMUM_WINDOWS, "the number of windows of a rule")?;
        limit(self.conditions.len() <= MAXIMUM_CONDITIONS, "the number of conditions of a rule")?;
        label::check(&self.scope)?;
        self.hours.iter().try_for_each(|window| window.check())
    }
}

/// Why a rule cannot be used, and with it the whole bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleFault {
    /// It names a key twice, or one that is not there.
    Keys,
    /// Its keys belong to fewer persons than must sign.
    Unreachable,
    /// Nobody would have to sign.
    NobodySigns,
    /// Another rule has its name.
    Name,
}

impl fmt::Display for RuleFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keys => "it names a key twice, or one that is not there",
            Self::Unreachable => "its keys belong to fewer persons than must sign",
            Self::NobodySigns => "nobody would have to sign",
            Self::Name => "another rule has its name",
        })
    }
}
