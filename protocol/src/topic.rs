//! Every topic of contract 1: the only place with a slash.
//!
//! ```
//! use flotilla_protocol::topic::{DownKind, Topic};
//! let fleet = "0123456789abcdef".parse().unwrap();
//! let node = "mi-66687aadf862bd776".parse().unwrap();
//! let topic = Topic::Down { fleet, node, kind: DownKind::Order };
//! let text = topic.to_string();
//! assert_eq!(text, "fl/1/0123456789abcdef/ae/mi-66687aadf862bd776/d/order");
//! assert_eq!(text.parse(), Ok(topic));
//! ```

use crate::id::{ClaimId, FleetId, NodeId};
use alloc::format;
use alloc::string::{String, ToString as _};
use core::fmt;
use core::str::FromStr;

/// First two levels of every topic: the product and the version of the topic layout.
const PREFIX: &str = "fl/1";

/// What a message down to a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DownKind {
    /// A [`crate::delivery::Delivery`] of an order.
    Order,
    /// A [`crate::order::CancelBody`].
    Cancel,
    /// A [`crate::report::ReceiptBody`].
    Receipt,
    /// A [`crate::hello::WelcomeBody`], the answer to a hello.
    Welcome,
    /// A [`crate::report::OutputReceiptBody`].
    OutputReceipt,
    /// A [`crate::enrolment::RenewalBody`].
    Renewal,
    /// The envelope of one [`crate::trust::TrustBundle`], for a node that could not verify the welcome that would carry it.
    Trust,
}

/// What a message up from a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UpKind {
    /// A [`crate::hello::HelloBody`].
    Hello,
    /// A [`crate::report::ReportBody`].
    Report,
    /// A [`crate::report::OutputBody`].
    Output,
}

macro_rules! kind_text {
    ($type:ident { $($variant:ident = $text:literal),+ $(,)? }) => {
        impl $type {
            /// Every kind, in the order of the list.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// The last level of the topic.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
        impl FromStr for $type {
            type Err = InvalidTopic;
            fn from_str(text: &str) -> Result<Self, InvalidTopic> {
                match text { $($text => Ok(Self::$variant),)+ _ => Err(InvalidTopic) }
            }
        }
    };
}
kind_text!(DownKind { Order = "order", Cancel = "cancel", Receipt = "receipt", Welcome = "welcome", OutputReceipt = "output-receipt", Renewal = "renewal", Trust = "trust" });
kind_text!(UpKind { Hello = "hello", Report = "report", Output = "output" });

/// A topic that a message is published on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// From the bridge to one node.
    Down {
        /// The fleet.
        fleet: FleetId,
        /// The node.
        node: NodeId,
        /// What the message is.
        kind: DownKind,
    },
    /// From one node to the bridge.
    Up {
        /// The fleet.
        fleet: FleetId,
        /// The node.
        node: NodeId,
        /// What the message is.
        kind: UpKind,
    },
    /// Whether a node is connected: `1` or, by its will, `0`. Retained, as only [`Topic::Tenure`] is beside it.
    Online {
        /// The fleet.
        fleet: FleetId,
        /// The node.
        node: NodeId,
    },
    /// Trust bundles for all nodes.
    AllTrust {
        /// The fleet.
        fleet: FleetId,
    },
    /// A claim of a device that is not yet a node.
    ClaimUp {
        /// The fleet.
        fleet: FleetId,
        /// The random id of this enrolment.
        claim: ClaimId,
    },
    /// The bridge's answer to a claim.
    ClaimDown {
        /// The fleet.
        fleet: FleetId,
        /// The random id of this enrolment.
        claim: ClaimId,
    },
    /// Which bridge speaks to the fleet: a [`crate::tenure::TenureBody`], retained. Bridges write it and read it, and nobody else.
    Tenure {
        /// The fleet.
        fleet: FleetId,
    },
}

/// A text that is not a topic of contract 1, or one under a wrong shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidTopic;

impl fmt::Display for InvalidTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a topic of contract 1")
    }
}

impl core::error::Error for InvalidTopic {}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down { fleet, node, kind } => write!(f, "{}/d/{}", node_prefix(fleet, node), kind.as_str()),
            Self::Up { fleet, node, kind } => write!(f, "{}/u/{}", node_prefix(fleet, node), kind.as_str()),
            Self::Online { fleet, node } => write!(f, "{}/s/online", node_prefix(fleet, node)),
            Self::AllTrust { fleet } => write!(f, "{PREFIX}/{fleet}/all/d/trust"),
            Self::ClaimUp { fleet, claim } => write!(f, "{PREFIX}/{fleet}/claim/{claim}/u"),
            Self::ClaimDown { fleet, claim } => write!(f, "{PREFIX}/{fleet}/claim/{claim}/d"),
            Self::Tenure { fleet } => write!(f, "{PREFIX}/{fleet}/bridge/s/tenure"),
        }
    }
}

fn node_prefix(fleet: &FleetId, node: &NodeId) -> String {
    format!("{PREFIX}/{fleet}/{:02x}/{node}", node.shard())
}

impl FromStr for Topic {
    type Err = InvalidTopic;
    fn from_str(text: &str) -> Result<Self, InvalidTopic> {
        let rest = text.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix('/')).ok_or(InvalidTopic)?;
        let mut levels = [""; 5];
        let mut count = 0;
        for level in rest.split('/') {
            *levels.get_mut(count).ok_or(InvalidTopic)? = level;
            count += 1;
        }
        let fleet: FleetId = levels[0].parse().map_err(|_| InvalidTopic)?;
        let claim = |text: &str| text.parse::<ClaimId>().map_err(|_| InvalidTopic);
        match levels.get(1..count).ok_or(InvalidTopic)? {
            ["all", "d", "trust"] => Ok(Self::AllTrust { fleet }),
            ["bridge", "s", "tenure"] => Ok(Self::Tenure { fleet }),
            ["claim", id, "u"] => Ok(Self::ClaimUp { fleet, claim: claim(id)? }),
            ["claim", id, "d"] => Ok(Self::ClaimDown { fleet, claim: claim(id)? }),
            [shard, node, direction, kind] => {
                let node: NodeId = node.parse().map_err(|_| InvalidTopic)?;
                if *shard != format!("{:02x}", node.shard()) {
                    return Err(InvalidTopic);
                }
                match *direction {
                    "d" => Ok(Self::Down { fleet, node, kind: kind.parse()? }),
                    "u" => Ok(Self::Up { fleet, node, kind: kind.parse()? }),
                    "s" if *kind == "online" => Ok(Self::Online { fleet, node }),
                    _ => Err(InvalidTopic),
                }
            }
            _ => Err(InvalidTopic),
        }
    }
}

/// The filters that a node subscribes to: its own messages and those for all.
#[must_use]
pub fn node_filters(fleet: &FleetId, node: &NodeId) -> [String; 2] {
    [format!("{}/d/#", node_prefix(fleet, node)), format!("{PREFIX}/{fleet}/all/d/#")]
}

/// The filters that a bridge subscribes to for one shard.
#[must_use]
pub fn shard_filters(fleet: &FleetId, shard: u8) -> [String; 2] {
    [format!("{PREFIX}/{fleet}/{shard:02x}/+/u/#"), format!("{PREFIX}/{fleet}/{shard:02x}/+/s/online")]
}

/// The filters of a bridge that owns every shard, claims included. The tenure is the first, because a broker delivers what it has retained
/// in the order of the filters.
#[must_use]
pub fn bridge_filters(fleet: &FleetId) -> [String; 4] {
    [
        Topic::Tenure { fleet: *fleet }.to_string(),
        format!("{PREFIX}/{fleet}/+/+/u/#"),
        format!("{PREFIX}/{fleet}/+/+/s/online"),
        format!("{PREFIX}/{fleet}/claim/+/u"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_reads_what_it_writes() {
        let fleet: FleetId = "0123456789abcdef".parse().unwrap();
        let node: NodeId = "mi-66687aadf862bd776".parse().unwrap();
        let claim: ClaimId = "00112233445566778899aabbccddeeff".parse().unwrap();
        let mut topics = alloc::vec![
            Topic::Online { fleet, node },
            Topic::AllTrust { fleet },
            Topic::ClaimUp { fleet, claim },
            Topic::ClaimDown { fleet, claim },
            Topic::Tenure { fleet }
        ];
        topics.extend(DownKind::ALL.iter().map(|kind| Topic::Down { fleet, node, kind: *kind }));
        topics.extend(UpKind::ALL.iter().map(|kind| Topic::Up { fleet, node, kind: *kind }));
        for topic in topics {
            let text = topic.to_string();
            assert_eq!(text.parse(), Ok(topic));
            assert!(text.matches('/').count() <= 7, "AWS IoT Core carries at most 7 slashes: {text}");
        }
    }

    #[test]
    fn a_wrong_shard_and_foreign_levels_are_refused() {
        let node: NodeId = "mi-66687aadf862bd776".parse().unwrap();
        let wrong = node.shard().wrapping_add(1);
        for text in [
            format!("fl/1/0123456789abcdef/{wrong:02x}/{node}/u/report"),
            format!("fl/1/0123456789abcdef/{:02x}/{node}/u/report/more", node.shard()),
            format!("fl/1/0123456789abcdef/{:02x}/{node}/u", node.shard()),
            format!("fl/1/0123456789abcdef/{:02x}/{node}/s/offline", node.shard()),
            "fl/1/0123456789abcdef".into(),
            "fl/2/0123456789abcdef/all/d/trust".into(),
            "fl/1//all/d/trust".into(),
            String::new(),
        ] {
            assert_eq!(text.parse::<Topic>(), Err(InvalidTopic), "{text}");
        }
    }
}
