//! The two copies of what must never go back: the floor, and which generation of the journal counts.
//!
//! ```text
//! copy = "FLF1" | length u32 | record (version byte, then postcard) | crc32c u32 | zeros up to 256 bytes
//! ```
//! They lie in different folders. The first is written and synced before the second is touched, so a cut at any moment leaves one whole. The
//! files are as long from the start as they will ever be: writing them needs no space.

use flotilla_agent_core::Floor;
use serde::{Deserialize, Serialize};

use super::disk::Disk;
use super::is_damage;
use crate::record;

/// Beside the journal's slots, and beside the node's keys.
pub(super) const COPIES: [&str; 2] = ["journal/floor", "floor.copy"];
const MAGIC: &[u8; 4] = b"FLF1";
/// Longest file that is read as one, in bytes.
const MAXIMUM_BYTES: u64 = 64 * 1024;
/// Length of a copy. Far below a sector, and several times what is needed.
const COPY_BYTES: usize = 256;

/// What a copy says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Copy {
    /// The journal of this generation was begun: an older one has missed something.
    pub(super) generation: u64,
    /// What the core must not fall below.
    pub(super) floor: Floor,
}

impl Copy {
    /// The newest and highest of two copies, of which one may have been written before the other.
    fn highest(self, other: Self) -> Self {
        let (floor, than) = (self.floor, other.floor);
        let trust = (floor.trust_version, floor.epoch).max((than.trust_version, than.epoch));
        Self {
            generation: self.generation.max(other.generation),
            floor: Floor {
                time_ms: floor.time_ms.max(than.time_ms),
                trust_version: trust.0,
                epoch: trust.1,
                barrier_ms: floor.barrier_ms.max(than.barrier_ms),
                sequence: floor.sequence.max(than.sequence),
            },
        }
    }

    fn to_bytes(self) -> Option<Vec<u8>> {
        let body = record::encode(&self).ok()?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend(u32::try_from(body.len()).ok()?.to_le_bytes());
        bytes.extend(body);
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        bytes.resize(COPY_BYTES, 0);
        Some(bytes)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let length: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
        let end = usize::try_from(u32::from_le_bytes(length)).ok()?.checked_add(8)?;
        let sum: [u8; 4] = bytes.get(end..end.checked_add(4)?)?.try_into().ok()?;
        let is_whole = bytes.starts_with(MAGIC) && crc32c::crc32c(bytes.get(..end)?) == u32::from_le_bytes(sum);
        if is_whole { record::decode(bytes.get(8..end)?).ok() } else { None }
    }
}

/// What the copies say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// There is none: this node has never had a journal.
    None,
    /// At least one is there, and none can be read.
    Unreadable,
    /// The highest of what can be read.
    Copy(Copy),
}

/// Reads both copies. Also the names of those that the disk does not give: to write them would mend nothing.
///
/// # Errors
/// What may pass, and says nothing of what the disk holds.
pub(super) fn read(disk: &mut dyn Disk) -> std::io::Result<(Found, Vec<&'static str>)> {
    let (mut found, mut broken) = (Found::None, Vec::new());
    for name in COPIES {
        let bytes = match disk.read(name, MAXIMUM_BYTES) {
            Ok(None) => continue,
            Ok(Some(bytes)) => bytes,
            Err(error) if is_damage(&error) => {
                tracing::warn!(name, %error, "a copy of the floor cannot be read");
                broken.push(name);
                Vec::new()
            }
            Err(error) => return Err(error),
        };
        found = match (found, Copy::read(&bytes)) {
            (Found::Copy(one), Some(other)) => Found::Copy(one.highest(other)),
            (_, Some(copy)) => Found::Copy(copy),
            (Found::None, None) => Found::Unreadable,
            (found, None) => found,
        };
    }
    Ok((found, broken))
}

/// Puts a new file in the place of each copy that the disk does not give, and has it on disk before another one is touched.
///
/// # Errors
/// Whatever the disk says: the copies that could be read are as they were.
pub(super) fn replace(disk: &mut dyn Disk, broken: &[&str], copy: &Copy) -> std::io::Result<()> {
    let bytes = copy.to_bytes().ok_or_else(|| std::io::Error::from(std::io::ErrorKind::InvalidInput))?;
    broken.iter().try_for_each(|name| {
        if disk.exists(name)? {
            disk.rename(name, &format!("{name}.damaged"))?;
        }
        disk.write_at(name, 0, &bytes)?;
        disk.sync(name)?;
        disk.sync_names()
    })
}

/// Writes both copies, one after the other.
///
/// # Errors
/// Whatever the disk says: one of the copies is whole.
pub(super) fn write(disk: &mut dyn Disk, copy: &Copy) -> std::io::Result<()> {
    let bytes = copy.to_bytes().ok_or_else(|| std::io::Error::from(std::io::ErrorKind::InvalidInput))?;
    COPIES.into_iter().try_for_each(|name| {
        let written = disk.write_at(name, 0, &bytes).and_then(|()| disk.sync(name));
        if written.is_err() {
            disk.close(name);
        }
        written
    })
}
