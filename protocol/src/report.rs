//! Reports: what nodes sign and send up until the bridge gives a receipt for it.
//!
//! The reports of a stream form a chain: each names its sequence and the hash of the one before. Sequences count on across
//! boots, so the bridge sees a gap or a fork. A report is the same bytes each time that it is sent.

use crate::id::{BootId, NodeId, OrderId};
use crate::wire::{Check, DecodeError, Payload, bytes, limit};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Largest chunk of output, in bytes.
pub const MAXIMUM_CHUNK_BYTES: usize = 16 * 1024;

/// A chain of reports. On the wire it is its number, so that a reader that does not know a stream can still read what names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "u8", into = "u8")]
pub enum Stream {
    /// Admissions, progress and results: never dropped.
    Control,
    /// What is on the node: dropped after what it measures of itself, and then said anew as a whole.
    Inventory,
    /// How the node is: the first to be dropped where there is no room.
    Telemetry,
    /// A stream that this build does not know.
    Unsupported(u8),
}

impl Stream {
    /// THE LIST of streams by their priority: what stands first is sent first, and dropped last.
    pub const ALL: [Self; 3] = [Self::Control, Self::Inventory, Self::Telemetry];

    /// Its number on the wire and in databases; numbers are only appended.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Control => 0,
            Self::Telemetry => 1,
            Self::Inventory => 2,
            Self::Unsupported(number) => number,
        }
    }

    /// Whether reports of the stream may be dropped where there is no room. What is dropped is said in a [`Gap`].
    #[must_use]
    pub const fn is_droppable(self) -> bool {
        !matches!(self, Self::Control)
    }

    /// A stable lower-case name, for logs and for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Telemetry => "telemetry",
            Self::Inventory => "inventory",
            Self::Unsupported(_) => "unsupported",
        }
    }
}

impl From<u8> for Stream {
    fn from(number: u8) -> Self {
        Self::ALL.into_iter().find(|stream| stream.number() == number).unwrap_or(Self::Unsupported(number))
    }
}

impl From<Stream> for u8 {
    fn from(stream: Stream) -> Self {
        stream.number()
    }
}

/// The signed body of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportBody {
    /// The node.
    pub node: NodeId,
    /// The chain.
    pub stream: Stream,
    /// The boot in which the report was made.
    pub boot: BootId,
    /// Place in the chain, from 1.
    pub sequence: u64,
    /// SHA-256 of the body of the report before; zeros for the first.
    pub previous: [u8; 32],
    /// The lowest sequence that the node still held when it made this report. A bridge that misses a lower one has lost it for good.
    pub oldest_held: u64,
    /// Trusted Unix time in milliseconds, where the node has it.
    pub time_ms: Option<u64>,
    /// What it says: a kind of [`crate::capability::ReportPayload`].
    pub payload: Payload,
}

impl Check for ReportBody {
    fn check(&self) -> Result<(), DecodeError> {
        limit(self.sequence > 0, "the sequence of a report")?;
        limit(self.oldest_held <= self.sequence, "the oldest held sequence of a report")
    }
}

/// The bridge has committed all reports of a stream up to a sequence, and the node may forget them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptBody {
    /// The node.
    pub node: NodeId,
    /// The chain.
    pub stream: Stream,
    /// The boot of the report at `up_to`.
    pub boot: BootId,
    /// The last sequence that is committed.
    pub up_to: u64,
    /// SHA-256 of the body of the report at `up_to`.
    pub head: [u8; 32],
}

impl Check for ReceiptBody {
    fn check(&self) -> Result<(), DecodeError> {
        Ok(())
    }
}

/// Reports of a droppable stream that the node had to drop.
///
/// The report that carries it stands in the chain in their place: its sequence is that of the last of them, its `previous` is the hash of
/// the report before the first, and the report after it names [`Gap::head`] as the one before. So the chain has no hole that is not signed
/// for. When more is dropped before a receipt, a gap that covers all of it takes the place of the gap before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The sequence of the first that was dropped; the last is the sequence of the report that says so.
    pub from: u64,
    /// SHA-256 of the body of the last that was dropped.
    pub head: [u8; 32],
}

impl Check for Gap {
    fn check(&self) -> Result<(), DecodeError> {
        limit(self.from > 0, "the first sequence of a gap")
    }
}

/// Why a node knows nothing of its past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LossCause {
    /// Its journal held something else than was written.
    Damaged,
    /// Its journal was gone, or was an older copy.
    Missing,
}

impl LossCause {
    /// A stable lower-case name, for logs and for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Damaged => "damaged",
            Self::Missing => "missing",
        }
    }
}

/// The node has lost its memory: the first report of a chain that begins anew.
///
/// The chain goes on at a sequence far above every one before it, and this report is the lowest that the node holds: what lies between is
/// a gap. Orders of before that have no outcome yet will get none, and are interrupted; the node refuses what it may have taken before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryLost {
    /// What became of the memory.
    pub cause: LossCause,
    /// Orders that may start before this are refused from now on: Unix time in milliseconds.
    pub barrier_ms: u64,
}

impl Check for MemoryLost {
    fn check(&self) -> Result<(), DecodeError> {
        Ok(())
    }
}

/// Which of a step's streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A chunk of a step's output, signed by the node. Idempotent by order, step, stream and offset. Chunks are not chained: the signed result
/// carries the hash of the whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputBody {
    /// The node.
    pub node: NodeId,
    /// The command.
    pub order: OrderId,
    /// The step's index.
    pub step: u16,
    /// Which stream.
    pub stream: OutputStream,
    /// Where the chunk begins, in bytes from the start of the stream.
    pub offset: u64,
    /// At most [`MAXIMUM_CHUNK_BYTES`].
    #[serde(with = "bytes")]
    pub bytes: Vec<u8>,
}

impl Check for OutputBody {
    fn check(&self) -> Result<(), DecodeError> {
        limit(self.bytes.len() <= MAXIMUM_CHUNK_BYTES, "a chunk of output")
    }
}

/// The bridge has committed a step's stream up to an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputReceiptBody {
    /// The node.
    pub node: NodeId,
    /// The command.
    pub order: OrderId,
    /// The step's index.
    pub step: u16,
    /// Which stream.
    pub stream: OutputStream,
    /// Everything before this offset is committed; `u64::MAX` when the bridge wants no more of this stream.
    pub up_to: u64,
}

impl Check for OutputReceiptBody {
    fn check(&self) -> Result<(), DecodeError> {
        Ok(())
    }
}
