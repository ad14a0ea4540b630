//! A slot: a preallocated file that begins with a snapshot and goes on with what came since.
//!
//! ```text
//! slot   = header | Snapshot frame… | SnapshotEnd frame | (Record | Seal) frame… | zeros, or what an earlier use has left
//! header = "FLJ1" | zeros 4 bytes | generation u64 | salt 16 bytes | capacity u64 | crc32c u32 | zeros 4 bytes
//! ```
//! A frame that is not whole ends the slot. It is a *torn tail*, which a power cut left and which was never promised to anybody, unless a
//! later frame says that the place had been on disk (`durable`): then it is *damage*. After each sync a seal is written, so that damage of
//! the last record is told from a torn tail as soon as the seal is on disk too. Within a snapshot the slot is *unfinished*; whether it may be
//! is known from the floor (see [`super`]).

use super::frame::{self, ALIGNMENT, Chain, Kind};
use flotilla_agent_core::Record;

const MAGIC: &[u8; 4] = b"FLJ1";
/// What stands before the first frame.
pub(super) const HEADER_BYTES: usize = 48;

/// How a slot is known: which use of it this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Counts the snapshots of this journal: the newest one counts.
    pub(super) generation: u64,
    /// Drawn for each use.
    pub(super) salt: [u8; 16],
    /// The file's length: a shorter file was cut.
    pub(super) capacity: u64,
}

impl Header {
    /// The header's bytes.
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([0; 4]);
        bytes.extend(self.generation.to_le_bytes());
        bytes.extend(self.salt);
        bytes.extend(self.capacity.to_le_bytes());
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        bytes.extend([0; 4]);
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let header = bytes.get(..HEADER_BYTES)?;
        let number = |at: usize| header.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
        let (generation, salt, capacity) = (number(8)?, header.get(16..32)?.try_into().ok()?, number(32)?);
        let read = Self { generation, salt, capacity };
        (read.to_bytes() == header).then_some(read)
    }

    /// Where the chain of this use begins.
    pub(super) fn first_chain(&self) -> Chain {
        let generation = self.generation.to_le_bytes();
        frame::next_chain(generation, Kind::Snapshot, &self.salt)
    }
}

/// What a slot holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Slot {
    /// It is not there, or was made and never written.
    Empty,
    /// Its header cannot be read.
    Unreadable {
        /// Whether anything stands in it: what is too short and holds nothing may have been cut off while it was made.
        was_written: bool,
    },
    /// Its snapshot is not whole: it was never finished, or it is damaged.
    Unfinished {
        /// Of this generation.
        generation: u64,
        /// Where it ends.
        at: u64,
    },
    /// Something that was on disk is not any more.
    Damaged {
        /// Of this generation.
        generation: u64,
        /// Where.
        at: u64,
    },
    /// Everything that was promised is there.
    Whole(Contents),
}

/// The records of a whole slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) generation: u64,
    pub(super) records: Vec<Record>,
}

impl Slot {
    /// The generation, where it can be known.
    pub(super) fn generation(&self) -> Option<u64> {
        match self {
            Self::Empty | Self::Unreadable { .. } => None,
            Self::Unfinished { generation, .. } | Self::Damaged { generation, .. } => Some(*generation),
            Self::Whole(contents) => Some(contents.generation),
        }
    }
}

/// Reads a slot's file.
pub(super) fn read(bytes: &[u8]) -> Slot {
    let Some(header) = Header::read(bytes) else {
        let was_written = bytes.iter().any(|byte| *byte != 0);
        let is_whole = bytes.len() >= HEADER_BYTES;
        return if is_whole && !was_written { Slot::Empty } else { Slot::Unreadable { was_written } };
    };
    let generation = header.generation;
    let place = |at: usize| u64::try_from(at).unwrap_or(u64::MAX);
    if place(bytes.len()) < header.capacity {
        return Slot::Damaged { generation, at: place(bytes.len()) };
    }
    let mut records = Vec::new();
    let (mut at, mut chain, mut is_whole) = (HEADER_BYTES, header.first_chain(), false);
    while let Some(frame) = bytes.get(at..).and_then(|rest| frame::read(&header.salt, place(at), rest)) {
        chain = frame::next_chain(chain, frame.kind, frame.bytes);
        let is_due = matches!(frame.kind, Kind::Snapshot | Kind::SnapshotEnd) != is_whole;
        if frame.chain != chain || !is_due {
            return Slot::Damaged { generation, at: place(at) };
        }
        match frame.kind {
            Kind::SnapshotEnd => is_whole = true,
            Kind::Seal => {}
            Kind::Snapshot | Kind::Record => match Record::from_bytes(frame.bytes) {
                Ok(record) => records.push(record),
                Err(_) => return Slot::Damaged { generation, at: place(at) },
            },
        }
        at += frame.length;
    }
    let later = (at.next_multiple_of(ALIGNMENT)..bytes.len()).step_by(ALIGNMENT);
    let says_otherwise = |start: usize| {
        let frame = bytes.get(start..).and_then(|rest| frame::read(&header.salt, place(start), rest));
        frame.map(|frame| frame.durable > place(at))
    };
    let was_durable = later.filter_map(says_otherwise).any(|says_otherwise| says_otherwise);
    match (was_durable, is_whole) {
        (true, _) => Slot::Damaged { generation, at: place(at) },
        (false, false) => Slot::Unfinished { generation, at: place(at) },
        (false, true) => Slot::Whole(Contents { generation, records }),
    }
}
