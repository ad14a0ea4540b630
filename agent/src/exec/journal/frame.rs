//! One frame of a slot.
//!
//! ```text
//! frame = version u8 | kind u8 | zero u16 | length u32 | durable u64 | chain 8 bytes | crc32c u32 | bytes | zeros up to a multiple of 8
//! ```
//! All numbers are little-endian. The checksum covers the slot's salt, the frame's place in the slot and everything of the frame but itself:
//! what stood in this place in an earlier use of the slot, or in another place, is no frame here. `chain` is the start of SHA-256 over the
//! chain before, the kind and the bytes: a frame that is whole follows the frames before it, or the slot is damaged.
//!
//! `durable` says how far the slot certainly was on disk when the frame was written. It tells a torn tail from damage, see [`super::slot`].

use sha2::{Digest as _, Sha256};

/// The version that this build writes and reads. Not 0: what was never written is not a frame.
const VERSION: u8 = 1;
/// What stands before the bytes.
pub(super) const HEADER_BYTES: usize = 28;
/// Frames begin at multiples of this.
pub(super) const ALIGNMENT: usize = 8;
/// Longest bytes of a frame: an order or a report with its surroundings, twice over.
pub(super) const MAXIMUM_BYTES: usize = 160 * 1024;

/// The start of a SHA-256 over everything so far.
pub(super) type Chain = [u8; 8];

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A record of the snapshot with which the slot begins.
    Snapshot,
    /// The snapshot is whole.
    SnapshotEnd,
    /// A record that came since.
    Record,
    /// Holds nothing but its `durable`: what stands before it was on disk.
    Seal,
}

impl Kind {
    fn number(self) -> u8 {
        match self {
            Self::Snapshot => 1,
            Self::SnapshotEnd => 2,
            Self::Record => 3,
            Self::Seal => 4,
        }
    }

    fn of(number: u8) -> Option<Self> {
        [Self::Snapshot, Self::SnapshotEnd, Self::Record, Self::Seal].into_iter().find(|kind| kind.number() == number)
    }
}

/// A frame that is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) kind: Kind,
    pub(super) bytes: &'a [u8],
    pub(super) durable: u64,
    pub(super) chain: Chain,
    /// With everything before and after its bytes.
    pub(super) length: usize,
}

/// How long a frame with so many bytes is.
pub(super) fn length_of(bytes: usize) -> usize {
    (HEADER_BYTES + bytes).next_multiple_of(ALIGNMENT)
}

/// The chain after a frame.
pub(super) fn next_chain(before: Chain, kind: Kind, bytes: &[u8]) -> Chain {
    let hash = Sha256::new().chain_update(before).chain_update([kind.number()]).chain_update(bytes).finalize();
    let mut chain = [0; 8];
    chain.iter_mut().zip(hash).for_each(|(place, byte)| *place = byte);
    chain
}

/// Appends a frame for place `at`.
pub(super) fn write(into: &mut Vec<u8>, salt: &[u8; 16], at: u64, kind: Kind, bytes: &[u8], durable: u64, chain: Chain) {
    let start = into.len();
    into.extend([VERSION, kind.number(), 0, 0]);
    into.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    into.extend(durable.to_le_bytes());
    into.extend(chain);
    let header = into.get(start..).unwrap_or_default();
    let mut rest = bytes.to_vec();
    rest.resize(length_of(bytes.len()) - HEADER_BYTES, 0);
    let sum = checksum(salt, at, header, &rest);
    into.extend(sum.to_le_bytes());
    into.extend(rest);
}

/// The frame at place `at`, at the start of `bytes`; nothing when there is no whole one.
pub(super) fn read<'a>(salt: &[u8; 16], at: u64, bytes: &'a [u8]) -> Option<Frame<'a>> {
    let (header, after) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    let [version, kind, 0, 0, l0, l1, l2, l3, d0, d1, d2, d3, d4, d5, d6, d7, chain @ .., s0, s1, s2, s3] = *header else { return None };
    let length = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).ok()?;
    if version != VERSION || length > MAXIMUM_BYTES {
        return None;
    }
    let (kind, rest) = (Kind::of(kind)?, after.get(..length_of(length) - HEADER_BYTES)?);
    let sum = checksum(salt, at, header.get(..HEADER_BYTES - 4)?, rest);
    let durable = u64::from_le_bytes([d0, d1, d2, d3, d4, d5, d6, d7]);
    let frame = || Some(Frame { kind, bytes: rest.get(..length)?, durable, chain, length: length_of(length) });
    if sum == u32::from_le_bytes([s0, s1, s2, s3]) { frame() } else { None }
}

fn checksum(salt: &[u8; 16], at: u64, header: &[u8], rest: &[u8]) -> u32 {
    let place = crc32c::crc32c_append(crc32c::crc32c(salt), &at.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(place, header), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_one_only_in_its_place_and_its_slot() {
        let (salt, other) = ([1; 16], [2; 16]);
        for length in [0, 1, 3, 4, 5, 12, 1000] {
            let bytes = vec![7; length];
            let chain = next_chain([0; 8], Kind::Record, &bytes);
            let mut written = Vec::new();
            write(&mut written, &salt, 64, Kind::Record, &bytes, 9, chain);
            assert_eq!(written.len() % ALIGNMENT, 0);
            let frame = Frame { kind: Kind::Record, bytes: &bytes, durable: 9, chain, length: written.len() };
            assert_eq!(read(&salt, 64, &written), Some(frame));
            assert_eq!(read(&salt, 72, &written), None, "moved");
            assert_eq!(read(&other, 64, &written), None, "of another use of the slot");
            assert_eq!(read(&salt, 64, &written[..written.len() - 1]), None, "cut");
        }
        assert_eq!(read(&salt, 0, &[0; 64]), None, "what was never written");
    }
}
