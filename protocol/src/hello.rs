//! Hello and welcome: how a node that connects says what it holds, and learns the time.

use crate::id::{BootId, NodeId, OrderId};
use crate::report::Stream;
use crate::session::SealedSession;
use crate::status::RejectReason;
use crate::wire::{ByteVec, Check, DecodeError, Payload, decode, encode, limit};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Most order ids that a hello lists; a node that holds more lists those that it took last.
pub const MAXIMUM_HELD: usize = 1024;
/// Longest fact, in bytes.
pub const MAXIMUM_FACT_BYTES: usize = 255;
/// Most trust bundles in one welcome; a node that is further behind asks again.
pub const MAXIMUM_BUNDLES: usize = 8;
/// Most streams in a hello or a welcome.
pub const MAXIMUM_STREAMS: usize = 16;
/// Most offers of a welcome.
pub const MAXIMUM_OFFERS: usize = 8;
/// The kind of an offer that is a [`SealedSession`].
const SESSION: u16 = 1;
/// No chain that a welcome names has come so far: beyond it there would be no room to begin anew above it.
const END_OF_CHAINS: u64 = 1 << 60;

/// What a node says of itself, for people and filters. Nothing is decided by it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The agent's version, `major.minor.patch`.
    pub agent_version: String,
    /// The distribution's name.
    pub platform_name: String,
    /// The distribution's version.
    pub platform_version: String,
    /// The processor's architecture, as in Rust's target names.
    pub architecture: String,
    /// The host name.
    pub computer_name: String,
    /// The address from which the node reaches the broker.
    pub ip_address: String,
}

impl Facts {
    /// Refuses facts that are too long.
    ///
    /// # Errors
    /// [`DecodeError::BeyondLimit`].
    pub fn check(&self) -> Result<(), DecodeError> {
        let facts =
            [&self.agent_version, &self.platform_name, &self.platform_version, &self.architecture, &self.computer_name, &self.ip_address];
        limit(facts.iter().all(|fact| fact.len() <= MAXIMUM_FACT_BYTES), "a fact of a node")
    }
}

/// Where a chain of reports stands on the node. A bridge whose database is an older one learns from it what it will not get again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The lowest sequence that the node holds; [`Held::next`] where it holds none. Everything below has had a receipt, or never was.
    pub oldest: u64,
    /// SHA-256 of the body of the report before `oldest`; zeros where the chain begins, for the first time or anew, with `oldest`.
    pub before: [u8; 32],
    /// The sequence of the next report that the node will make.
    pub next: u64,
}

/// The signed body of a hello: the first message of each connection, after the subscriptions are granted. On a connection that lasts it is
/// said again, see docs/decisions/0011.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelloBody {
    /// The node.
    pub node: NodeId,
    /// The boot that the node is in.
    pub boot: BootId,
    /// Binds the welcome to this hello.
    pub nonce: [u8; 32],
    /// Oldest version of contract 1 that the node reads.
    pub oldest_version: u8,
    /// Newest version of contract 1 that the node speaks.
    pub newest_version: u8,
    /// The node's trust bundle.
    pub trust_version: u32,
    /// The node's durable time floor, Unix time in milliseconds.
    pub floor_ms: u64,
    /// The orders that the node has taken and not yet reported the end of, or whose end has no receipt yet.
    pub held: Vec<OrderId>,
    /// The chain of control reports.
    pub control: Held,
    /// The chains of the streams whose reports may be dropped, each once. A [`crate::report::Gap`] is held like the reports that it stands
    /// for.
    pub droppable: Vec<(Stream, Held)>,
    /// What the node is.
    pub facts: Facts,
    /// How many messages the node has refused since it started, by reason; only reasons that occurred.
    pub refused: Vec<(RejectReason, u32)>,
}

impl Check for HelloBody {
    fn check(&self) -> Result<(), DecodeError> {
        limit(self.held.len() <= MAXIMUM_HELD, "the number of held orders in a hello")?;
        limit(self.refused.len() <= 64, "the number of reasons in a hello")?;
        limit(self.droppable.len() <= MAXIMUM_STREAMS, "the number of streams in a hello")?;
        let held = self.droppable.iter().map(|(_, held)| held).chain([&self.control]);
        limit(held.into_iter().all(|held| held.oldest > 0 && held.oldest <= held.next), "the sequences of a hello")?;
        self.facts.check()
    }
}

/// No welcome says this time or a later one, in Unix milliseconds: it lies in the year 2248.
const END_OF_TIME_MS: u64 = 1 << 43;

/// The signed answer to a hello, by the freshness role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WelcomeBody {
    /// The node.
    pub node: NodeId,
    /// The nonce of the hello that this answers.
    pub nonce: [u8; 32],
    /// Unix time in milliseconds when the hello arrived.
    pub time_ms: u64,
    /// Envelopes of the trust bundles after the node's own, in their order, at most [`MAXIMUM_BUNDLES`].
    pub bundles: Vec<ByteVec>,
    /// First pause before a report without a receipt is sent again, in milliseconds; it doubles up to `resend_maximum_ms`.
    pub resend_minimum_ms: u32,
    /// Longest pause before a report is sent again, in milliseconds.
    pub resend_maximum_ms: u32,
    /// Over how many seconds the node spreads what all nodes of a fleet do at once: its next reconnection, the hello that says a new trust version.
    pub reconnect_spread_s: u32,
    /// The streams that the bridge takes, and the last sequence of each of the node's chains that it has committed; 0 where it has none. A
    /// node that has lost its memory begins anew above it, and of streams that are not named here it sends nothing.
    pub chains: Vec<(Stream, u64)>,
    /// What the node may make use of, each kind at most once, at most [`MAXIMUM_OFFERS`]. A kind that the node does not know is skipped, so
    /// none may ask anything of it.
    pub offers: Vec<Payload>,
}

impl WelcomeBody {
    /// A session as an offer.
    #[must_use]
    pub fn offer_of_session(session: &SealedSession) -> Payload {
        Payload { kind: SESSION, body: encode(session) }
    }

    /// The session that is offered, if any.
    ///
    /// # Errors
    /// It is malformed.
    pub fn session(&self) -> Result<Option<SealedSession>, DecodeError> {
        self.offers.iter().find(|offer| offer.kind == SESSION).map(|offer| decode(&offer.body)).transpose()
    }
}

impl Check for WelcomeBody {
    fn check(&self) -> Result<(), DecodeError> {
        limit(self.bundles.len() <= MAXIMUM_BUNDLES, "the number of trust bundles in a welcome")?;
        limit(self.resend_minimum_ms >= 100 && self.resend_minimum_ms <= self.resend_maximum_ms, "the pace of a welcome")?;
        limit(self.time_ms < END_OF_TIME_MS, "the time of a welcome")?;
        limit(self.reconnect_spread_s <= 3600, "the spread of a welcome")?;
        limit(self.chains.len() <= MAXIMUM_STREAMS, "the number of streams in a welcome")?;
        limit(self.chains.iter().all(|(_, sequence)| *sequence < END_OF_CHAINS), "the sequences of a welcome")?;
        limit(self.offers.len() <= MAXIMUM_OFFERS, "the number of offers in a welcome")?;
        let is_once =
            self.offers.iter().enumerate().all(|(index, offer)| self.offers.iter().take(index).all(|other| other.kind != offer.kind));
        limit(is_once, "a kind of offer twice")
    }
}
