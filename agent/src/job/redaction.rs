//! Redaction: takes the secrets of a job out of what its steps write, while they write it, before any of it is kept or leaves.
//!
//! Found are a secret as it is, in base64 (of both alphabets, wherever in the encoded bytes it begins, broken into lines or not), in
//! hexadecimal (any case, with or without separators), and URL-encoded; also where a write or a read ends in its middle. Each is replaced by
//! [`MASK`]. A secret is looked for without the white space around it, which shells take away. One of fewer than [`MINIMUM_BYTES`] is not
//! looked for: it would be found everywhere.
//!
//! What may be the beginning of a secret is held back until more is written, at most for `LONGEST_HOLD`. When that is over, or the stream
//! is, fewer than [`MINIMUM_BYTES`] are shown as they are, and more as a mask: with what comes later they could be a secret.
//!
//! This guards against accidents, such as `set -x` or a program that prints its settings. A script that means to can tell a secret in a
//! hundred other ways.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

/// What stands in the place of a secret.
pub const MASK: &[u8] = b"****";
/// Shortest secret that is looked for, in bytes.
pub const MINIMUM_BYTES: usize = 4;
/// How long the possible beginning of a secret is held back while nothing follows it.
pub(crate) const LONGEST_HOLD: Duration = Duration::from_secs(1);
/// Most characters between two of an encoding that are passed over: the end of a line and an indentation.
const MAXIMUM_SEPARATORS: usize = 3;

/// The secrets of a job as they may appear in output.
pub struct Needles {
    patterns: Vec<Pattern>,
    /// By the byte with which it may begin: indices of patterns.
    by_first: Vec<Vec<usize>>,
}

impl fmt::Debug for Needles {
    /// Without the secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Needles({})", self.patterns.len())
    }
}

/// A secret in one encoding.
enum Pattern {
    Raw(Arc<Zeroizing<Vec<u8>>>),
    Url(Arc<Zeroizing<Vec<u8>>>),
    Hex(Arc<Zeroizing<Vec<u8>>>),
    /// For each character the values that it may have: bit n stands for the value n. The first and the last may hold other bytes' bits.
    Base64(Zeroizing<Vec<u64>>),
}

/// What the bytes from a place on are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    No,
    /// As far as they go.
    SoFar,
    /// So many of them.
    Whole(usize),
}

impl Needles {
    /// The needles for these secrets; none where no secret is long enough.
    #[must_use]
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let mut patterns = Vec::new();
        for secret in secrets.into_iter().map(<[u8]>::trim_ascii).filter(|secret| secret.len() >= MINIMUM_BYTES) {
            let bytes = Arc::new(Zeroizing::new(secret.to_vec()));
            patterns.extend([Pattern::Raw(Arc::clone(&bytes)), Pattern::Url(Arc::clone(&bytes)), Pattern::Hex(bytes)]);
            patterns.extend((0..3).map(|before| Pattern::Base64(base64_values(secret, before))));
        }
        if patterns.is_empty() {
            return None;
        }
        let begins = |byte: u8| {
            let may_begin = |pattern: &Pattern| pattern.find(&[byte]) != Found::No;
            patterns.iter().enumerate().filter(|(_, pattern)| may_begin(pattern)).map(|(index, _)| index).collect()
        };
        let by_first = (0..=u8::MAX).map(begins).collect();
        Some(Self { patterns, by_first })
    }

    /// The longest secret at the beginning of `bytes`, and whether a longer one may follow from more bytes.
    fn find(&self, bytes: &[u8]) -> (Option<usize>, bool) {
        let Some(candidates) = bytes.first().and_then(|first| self.by_first.get(usize::from(*first))) else { return (None, false) };
        let (mut longest, mut may_grow) = (None, false);
        for pattern in candidates.iter().filter_map(|index| self.patterns.get(*index)) {
            match pattern.find(bytes) {
                Found::No => {}
                Found::SoFar => may_grow = true,
                Found::Whole(length) => longest = longest.max(Some(length)),
            }
        }
        (longest, may_grow)
    }
}

impl Pattern {
    /// Whether `bytes`, of which there is at least one, begin with the secret.
    fn find(&self, bytes: &[u8]) -> Found {
        match self {
            Self::Raw(secret) => find_raw(secret, bytes),
            Self::Url(secret) => find_url(secret, bytes),
            Self::Hex(secret) => find_hex(secret, bytes),
            Self::Base64(values) => find_base64(values, bytes),
        }
    }
}

fn find_raw(secret: &[u8], bytes: &[u8]) -> Found {
    match secret.iter().zip(bytes).position(|(expected, byte)| expected != byte) {
        Some(_) => Found::No,
        None if bytes.len() >= secret.len() => Found::Whole(secret.len()),
        None => Found::SoFar,
    }
}

/// Each byte as it is or as `%` and two digits, since encoders do not agree on which to encode; a space also as `+`.
fn find_url(secret: &[u8], bytes: &[u8]) -> Found {
    let mut place = 0;
    for expected in secret {
        match bytes.get(place) {
            None => return Found::SoFar,
            Some(b'%') => match (bytes.get(place + 1).map(hex_value), bytes.get(place + 2).map(hex_value)) {
                (Some(Some(high)), Some(Some(low))) if high << 4 | low == *expected => place += 3,
                (None, _) => return Found::SoFar,
                (Some(Some(high)), None) if high == expected >> 4 => return Found::SoFar,
                _ => return Found::No,
            },
            Some(byte) if byte == expected || (*byte == b'+' && *expected == b' ') => place += 1,
            Some(_) => return Found::No,
        }
    }
    Found::Whole(place)
}

fn find_hex(secret: &[u8], bytes: &[u8]) -> Found {
    let digits = secret.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let mut place = 0;
    for (index, expected) in digits.enumerate() {
        // Between bytes a separator, between digits the end of a line.
        let separators: &[u8] = if index % 2 == 0 { b" :-\r\n" } else { b"\r\n" };
        let passed = if index == 0 { 0 } else { separators_in(bytes.get(place..), separators) };
        match bytes.get(place + passed) {
            None => return Found::SoFar,
            Some(byte) if hex_value(byte) == Some(expected) => place += passed + 1,
            Some(_) => return Found::No,
        }
    }
    Found::Whole(place)
}

fn find_base64(values: &[u64], bytes: &[u8]) -> Found {
    let mut place = 0;
    for (index, allowed) in values.iter().enumerate() {
        let passed = if index == 0 { 0 } else { separators_in(bytes.get(place..), b"\r\n") };
        match bytes.get(place + passed) {
            None => return Found::SoFar,
            Some(byte) if base64_value(*byte).is_some_and(|value| allowed >> value & 1 == 1) => place += passed + 1,
            Some(_) => return Found::No,
        }
    }
    Found::Whole(place)
}

fn separators_in(bytes: Option<&[u8]>, separators: &[u8]) -> usize {
    bytes.unwrap_or_default().iter().take(MAXIMUM_SEPARATORS).take_while(|byte| separators.contains(byte)).count()
}

fn hex_value(byte: &u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// The value of a character in either alphabet.
fn base64_value(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

/// What characters a secret becomes when so many bytes of three stand before it, those included of which it decides a part.
fn base64_values(secret: &[u8], before: usize) -> Zeroizing<Vec<u64>> {
    let (first_bit, end_bit) = (before * 8, before * 8 + secret.len() * 8);
    let bit_at = |bit: usize| {
        let bit = bit.checked_sub(first_bit)?;
        secret.get(bit / 8).map(|byte| byte >> (7 - bit % 8) & 1)
    };
    let allowed = |character: usize| {
        let fits = |value: &u8| (0..6).all(|bit| bit_at(character * 6 + bit).is_none_or(|known| value >> (5 - bit) & 1 == known));
        (0..64_u8).filter(fits).fold(0_u64, |allowed, value| allowed | 1 << value)
    };
    // In one piece, so that nothing of it is left behind by growing.
    let mut values = Vec::with_capacity(secret.len() * 2);
    values.extend((first_bit / 6..end_bit.div_ceil(6)).map(allowed));
    Zeroizing::new(values)
}

/// Redacts one stream.
#[derive(Debug)]
pub(crate) struct Redactor {
    needles: Arc<Needles>,
    /// What may be the beginning of a secret: never longer than the longest of its encodings.
    held: Zeroizing<Vec<u8>>,
    /// How many of the bytes held were shown already, or a mask in their place.
    shown: usize,
}

impl Redactor {
    pub(crate) fn new(needles: Arc<Needles>) -> Self {
        Self { needles, held: Zeroizing::default(), shown: 0 }
    }

    /// Takes what was written, and returns what of it, and of what was held, may be shown now.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        self.go_on(false)
    }

    /// Whether something is held that was not shown.
    pub(crate) fn holds(&self) -> bool {
        self.shown < self.held.len()
    }

    /// The patience is over: shows what is held, and still knows it, so that what completes it is not shown.
    pub(crate) fn lose_patience(&mut self) -> Vec<u8> {
        let hidden = self.held.get(self.shown..).unwrap_or_default();
        let shown = if self.held.len() < MINIMUM_BYTES || hidden.is_empty() { hidden.to_vec() } else { MASK.to_vec() };
        self.shown = self.held.len();
        shown
    }

    /// The stream is over.
    pub(crate) fn end(&mut self) -> Vec<u8> {
        self.go_on(true)
    }

    fn go_on(&mut self, is_end: bool) -> Vec<u8> {
        let (mut shown, mut place) = (Vec::with_capacity(self.held.len()), 0);
        while let Some(rest) = self.held.get(place..).filter(|rest| !rest.is_empty()) {
            let (longest, may_grow) = self.needles.find(rest);
            if may_grow && !is_end {
                break;
            }
            // A secret that is whole may be the beginning of a longer one, whose rest is none the less a part of it.
            let is_beginning = may_grow && rest.len() >= MINIMUM_BYTES;
            let hidden = if is_beginning { Some(rest.len()) } else { longest };
            match hidden {
                Some(length) => {
                    place += length;
                    if place > self.shown {
                        shown.extend_from_slice(MASK);
                    }
                }
                None => {
                    shown.extend(rest.first().filter(|_| place >= self.shown));
                    place += 1;
                }
            }
        }
        let done = place.min(self.held.len());
        self.held.drain(..done);
        self.shown = self.shown.saturating_sub(place);
        shown
    }
}

#[cfg(test)]
mod tests;
