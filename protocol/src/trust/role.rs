//! What keys are for, as numbers: a build that does not know one carries it, and gives it to nobody.

use serde::{Deserialize, Serialize};

/// Writes an enumeration whose members travel as one byte each. Numbers are never used twice.
macro_rules! numbered {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $number:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(from = "u8", into = "u8")]
        pub enum $name {
            $($(#[$doc])* $variant,)+
            /// Of a number that this build does not know: nothing that it judges is of it.
            Unknown(u8),
        }
        impl $name {
            /// All that this build knows, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
        }
        impl From<u8> for $name {
            fn from(number: u8) -> Self {
                match number {
                    $($number => Self::$variant,)+
                    number => Self::Unknown(number),
                }
            }
        }
        impl From<$name> for u8 {
            fn from(value: $name) -> Self {
                match value {
                    $($name::$variant => $number,)+
                    $name::Unknown(number) => number,
                }
            }
        }
    };
}

numbered! {
    /// What an order does to a node, derived from its payload and never stated. It decides which [`super::OperatorRule`]s may allow it.
    Class {
        /// Reads facts, changes nothing.
        Inventory = 1,
        /// Runs documents.
        Command = 2,
        /// Installs patches.
        Patch = 3,
        /// Installs and removes packages.
        Package = 4,
        /// Opens a shell.
        Session = 5,
        /// Replaces the agent.
        SelfUpdate = 6,
    }
}

impl Class {
    /// A stable lower-case name, as people write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inventory => "inventory",
            Self::Command => "command",
            Self::Patch => "patch",
            Self::Package => "package",
            Self::Session => "session",
            Self::SelfUpdate => "self-update",
            Self::Unknown(_) => "unknown",
        }
    }

    /// The class of a name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|class| class.as_str() == name)
    }
}

numbered! {
    /// What keys are for besides orders, which have rules.
    Role {
        /// Signs trust bundles.
        Root = 1,
        /// Signs releases of the agent.
        Release = 2,
        /// Signs welcomes, which carry the time.
        Freshness = 3,
        /// Signs receipts, cancels and answers to claims.
        Bridge = 4,
    }
}

impl Role {
    /// A stable lower-case name, as people write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Release => "release",
            Self::Freshness => "freshness",
            Self::Bridge => "bridge",
            Self::Unknown(_) => "unknown",
        }
    }

    /// The role of a name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|role| role.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::encode;

    #[test]
    fn a_number_of_the_future_is_carried() {
        for number in 0..=u8::MAX {
            assert_eq!(u8::from(Class::from(number)), number);
            assert_eq!(u8::from(Role::from(number)), number);
            assert_eq!(encode(&Class::from(number)), [number]);
        }
        assert_eq!(Class::from(200), Class::Unknown(200));
        assert_eq!(postcard::from_bytes::<Role>(&[200]), Ok(Role::Unknown(200)));
    }

    #[test]
    fn names_read_as_they_are_written() {
        for class in Class::ALL {
            assert_eq!(Class::of_name(class.as_str()), Some(*class));
        }
        for role in Role::ALL {
            assert_eq!(Role::of_name(role.as_str()), Some(*role));
        }
        assert_eq!((Class::of_name("unknown"), Role::of_name("")), (None, None));
    }
}
