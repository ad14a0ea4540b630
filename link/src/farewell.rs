//! The broker's farewell, read off the stream.
//!
//! The client library does not understand a DISCONNECT that carries a reason code and leaves out the length of its
//! properties, as MQTT 5 allows (section 3.14.2.2.1): it waits for more bytes until the stream ends, and the reason
//! ("session taken over") would be lost. So the stream is watched on its way to the library.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The packet type of DISCONNECT, in the upper half of a packet's first byte.
const DISCONNECT: u8 = 14;
/// The bit of a length byte that says that another one follows, and how many bits it carries.
const MORE: u8 = 0x80;
const LENGTH_BITS: u32 = 7;
/// A length has at most four bytes.
const LAST_SHIFT: u32 = 3 * LENGTH_BITS;

/// Follows the packets in a stream and keeps the reason code of a short DISCONNECT.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    state: State,
    reason: Option<u8>,
}

#[derive(Debug, Default, Clone, Copy)]
enum State {
    #[default]
    First,
    Length {
        kind: u8,
        length: u32,
        shift: u32,
    },
    Body {
        remaining: u32,
    },
    Reason,
    /// Not MQTT; the library says so itself.
    Lost,
}

impl Watch {
    /// The reason code of a DISCONNECT without properties, once it was seen.
    pub(crate) fn reason(&self) -> Option<u8> {
        self.reason
    }

    fn follow(&mut self, mut bytes: &[u8]) {
        while let [byte, rest @ ..] = bytes {
            bytes = rest;
            self.state = match self.state {
                State::First => State::Length { kind: byte >> 4, length: 0, shift: 0 },
                State::Length { kind, length, shift } => after_length(kind, length, shift, *byte),
                State::Body { remaining } => {
                    // This byte was the first of the rest of the packet.
                    let skipped = bytes.len().min(usize::try_from(remaining - 1).unwrap_or(usize::MAX));
                    bytes = bytes.get(skipped..).unwrap_or_default();
                    body(remaining - 1 - u32::try_from(skipped).unwrap_or(0))
                }
                State::Reason => {
                    self.reason = Some(*byte);
                    State::First
                }
                State::Lost => return,
            };
        }
    }
}

fn after_length(kind: u8, length: u32, shift: u32, byte: u8) -> State {
    let length = length | (u32::from(byte & !MORE) << shift);
    match byte & MORE {
        0 if kind == DISCONNECT && length == 1 => State::Reason,
        0 => body(length),
        _ if shift == LAST_SHIFT => State::Lost,
        _ => State::Length { kind, length, shift: shift + LENGTH_BITS },
    }
}

fn body(remaining: u32) -> State {
    if remaining == 0 { State::First } else { State::Body { remaining } }
}

/// A stream whose incoming bytes are watched.
pub(crate) struct Watched<Stream> {
    stream: Stream,
    pub(crate) watch: Watch,
}

impl<Stream> Watched<Stream> {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream, watch: Watch::default() }
    }
}

impl<Stream: AsyncRead + Unpin> AsyncRead for Watched<Stream> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, into);
        self.watch.follow(into.filled().get(before..).unwrap_or_default());
        polled
    }
}

impl<Stream: AsyncWrite + Unpin> AsyncWrite for Watched<Stream> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reason found, with the stream cut into pieces of every size.
    fn reason(stream: &[u8]) -> Option<u8> {
        let mut found = Vec::new();
        for piece in 1..=stream.len() {
            let mut watch = Watch::default();
            for bytes in stream.chunks(piece) {
                watch.follow(bytes);
            }
            found.push(watch.reason());
        }
        found.dedup();
        assert_eq!(found.len(), 1, "{found:?}");
        found.first().copied().flatten()
    }

    #[test]
    fn a_short_farewell_is_found_behind_other_packets() {
        assert_eq!(reason(&[0xe0, 1, 0x8e]), Some(0x8e));
        let mut long = vec![0x30, 0xac, 0x02];
        long.extend([0xe0; 300]);
        assert_eq!(reason(&[&[0xd0, 0], long.as_slice(), &[0xe0, 1, 0x8b]].concat()), Some(0x8b));
    }

    #[test]
    fn nothing_else_is_taken_for_one() {
        // The farewell with properties, which the library understands; one inside a message; one cut off; no MQTT.
        for stream in
            [&[0xe0, 2, 0x8e, 0][..], &[0x30, 3, 0xe0, 1, 0x8e], &[0xd0, 0, 0xe0, 1], &[0x30, 0xff, 0xff, 0xff, 0xff, 0xe0, 1, 0x8e]]
        {
            assert_eq!(reason(stream), None, "{stream:?}");
        }
    }
}
