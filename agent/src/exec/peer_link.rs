//! The link's end of the socket: frames in, frames out, neither waiting for the other.
//!
//! Exec must never wait for the link to take a frame, because the link may at that moment wait for exec to take one. So what is said
//! goes into a buffer, and when that is full, frames are dropped: everything that matters is sent again until it has a receipt.

use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use crate::frame::{self, FrameReader, FromExec, FromLink};

/// Most bytes that wait for the link.
const MAXIMUM_WAITING_BYTES: usize = 1024 * 1024;

/// A connected link.
pub(super) struct PeerLink {
    reader: FrameReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    waiting: Vec<u8>,
}

impl PeerLink {
    pub(super) fn new(stream: UnixStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self { reader: FrameReader::new(reader), writer, waiting: Vec::new() }
    }

    /// Queues a frame, or drops it when too much waits already.
    pub(super) fn say(&mut self, frame: &FromExec) {
        match frame::encode(frame) {
            Ok(bytes) if self.waiting.len() + bytes.len() <= MAXIMUM_WAITING_BYTES => self.waiting.extend(bytes),
            Ok(_) => tracing::warn!("a message is dropped: the link does not keep up"),
            Err(error) => tracing::error!(%error, "a message cannot be framed"),
        }
    }
}

/// Writes what waits until a frame comes; `None` when the link is gone. May be dropped at any await without losing anything.
pub(super) async fn exchange(link: &mut Option<PeerLink>) -> Option<FromLink> {
    let link = link.as_mut()?;
    loop {
        tokio::select! {
            written = link.writer.write(&link.waiting), if !link.waiting.is_empty() => match written {
                Ok(count) if count > 0 => { link.waiting.drain(..count); }
                Ok(_) | Err(_) => return None,
            },
            frame = link.reader.next::<FromLink>() => return match frame {
                Ok(frame) => frame,
                Err(error) => {
                    tracing::warn!(%error, "the link said something that cannot be understood");
                    None
                }
            },
        }
    }
}
