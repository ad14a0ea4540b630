//! How a node is: what it counts and measures of itself, for people. Nothing is decided by it.
//!
//! Counters begin with the start of the half of the agent that decides, and only rise until it ends: a report that was dropped costs
//! nothing but the moment that it was about.

use crate::report::Stream;
use crate::status::RejectReason;
use crate::wire::{Check, DecodeError, limit};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Most reasons in a report.
const MAXIMUM_REASONS: usize = 64;
/// Longest text on why no order starts, in bytes.
pub const MAXIMUM_STANDSTILL_BYTES: usize = 512;
/// Most streams in a report.
const MAXIMUM_STREAMS: usize = crate::hello::MAXIMUM_STREAMS;

/// What waits in the spool for its receipt, of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpoolState {
    /// Which.
    pub stream: Stream,
    /// Reports, a gap counted as one; this report itself is not among them.
    pub reports: u32,
    /// Their bytes.
    pub bytes: u64,
    /// Reports that were dropped for want of room since the start of the agent.
    pub dropped: u64,
}

/// How a node is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeHealth {
    /// Since the device started, in seconds, sleep included.
    pub uptime_s: u64,
    /// Since the half of the agent that decides started, in seconds.
    pub agent_uptime_s: u64,
    /// How often that half was started again by its supervisor; nothing where something else starts it.
    pub restarts: Option<u32>,
    /// Commands that run.
    pub jobs_running: u32,
    /// Commands that wait for their turn or their time.
    pub jobs_waiting: u32,
    /// How often the disk has stopped taking records.
    pub storage_failures: u32,
    /// How many bytes of the journal are not spoken for; nothing where no limit is known.
    pub journal_room_bytes: Option<u64>,
    /// What waits for its receipt, by stream.
    pub spool: Vec<SpoolState>,
    /// How many messages were refused, by reason; only reasons that occurred.
    pub refused: Vec<(RejectReason, u32)>,
    /// Why no order starts at present, for people: a fault of the node's policy, or what holds it still. Empty: they do.
    pub standstill: String,
}

impl Check for NodeHealth {
    fn check(&self) -> Result<(), DecodeError> {
        limit(self.spool.len() <= MAXIMUM_STREAMS, "the number of streams of a node's health")?;
        limit(self.standstill.len() <= MAXIMUM_STANDSTILL_BYTES, "what a node's health says of a standstill")?;
        limit(self.refused.len() <= MAXIMUM_REASONS, "the number of reasons of a node's health")
    }
}
