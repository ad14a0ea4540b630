//! Frames between link and exec, over their local stream socket.
//!
//! ```text
//! length u32 LE (of what follows)   version u8   kind u8   body (postcard)
//! ```
//! The kind is the direction, so that a frame that comes back to its sender is refused. Both halves are of one release in
//! the end, but not during an update: the version comes first.

use flotilla_protocol::wire::{bytes, bytes64};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// The version that this build speaks.
const VERSION: u8 = 0;
/// Length in front of every frame, in bytes.
const LENGTH_BYTES: usize = 4;
/// Version and kind.
const HEADER_BYTES: usize = 2;
/// Largest frame without its length: the largest message and its topic, twice over.
pub const MAXIMUM_FRAME_BYTES: usize = 128 * 1024;
/// What is asked for in one read.
const READ_BYTES: usize = 16 * 1024;

/// From the link to exec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromLink {
    /// The broker has let the link in and has granted its subscriptions.
    Connected,
    /// There is no connection, or no more. What exec has published since the last `Connected` may be lost.
    Disconnected {
        /// Why, in one line for a person.
        reason: String,
    },
    /// A message from the broker, not looked at.
    Message {
        /// Its topic.
        topic: String,
        /// Whether the broker had kept it.
        retained: bool,
        /// Its bytes.
        #[serde(with = "bytes")]
        payload: Vec<u8>,
    },
    /// The link wants a new certificate. Exec answers with [`FromExec::RenewalTerms`].
    RenewalWanted,
    /// The key for which a certificate is wanted, and its proof over the terms. Exec answers with [`FromExec::RenewalClaim`].
    RenewalRequest {
        /// The ed25519 public key.
        tls_key: [u8; 32],
        /// Its signature over [`flotilla_protocol::enrolment::tls_proof_bytes`].
        #[serde(with = "bytes64")]
        tls_proof: [u8; 64],
    },
    /// What came as an answer to the claim, not looked at. Exec says [`FromExec::Renewed`] or [`FromExec::NotRenewed`].
    RenewalAnswer {
        /// Its bytes.
        #[serde(with = "bytes")]
        payload: Vec<u8>,
    },
}

/// From exec to the link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromExec {
    /// Publish this. While there is no connection it is dropped: exec sends again what matters once it hears `Connected`.
    Publish {
        /// The topic.
        topic: String,
        /// Whether the broker keeps it.
        retain: bool,
        /// The bytes.
        #[serde(with = "bytes")]
        payload: Vec<u8>,
    },
    /// What the bridge has asked for.
    Configure {
        /// Over how many seconds the next reconnection is spread.
        reconnect_spread_s: u32,
    },
    /// What exec knows of the time.
    Time {
        /// Unix time in milliseconds: certainly past. Earlier than what was said before where a new epoch has begun.
        unix_ms: u64,
        /// Whether it is the trusted time of this moment; otherwise it is the durable floor.
        is_now: bool,
    },
    /// The fleet's certificate authorities have this hash now.
    RenewCertificate {
        /// SHA-256 of them, one after the other.
        authorities: [u8; 32],
    },
    /// What a proof for a renewal is made of.
    RenewalTerms {
        /// The node's ed25519 public key.
        identity_key: [u8; 32],
        /// The nonce of the claim.
        nonce: [u8; 32],
    },
    /// The signed claim: to be published on the claim listener.
    RenewalClaim {
        /// Its envelope.
        #[serde(with = "bytes")]
        envelope: Vec<u8>,
    },
    /// The answer was believed.
    Renewed {
        /// The fleet's certificate authorities, DER, one after the other.
        #[serde(with = "bytes")]
        authorities: Vec<u8>,
        /// The certificate, DER.
        #[serde(with = "bytes")]
        certificate: Vec<u8>,
        /// Host name or address of the broker's listener for nodes.
        host: String,
        /// Its port.
        port: u16,
    },
    /// There is no certificate in the answer, or it is not believed.
    NotRenewed {
        /// Why, in one line for a person.
        reason: String,
        /// Whether the bridge has refused this node for good.
        is_final: bool,
    },
}

/// One direction's frames.
pub trait Frame: Serialize + DeserializeOwned {
    /// The kind byte of the direction.
    const KIND: u8;
}

impl Frame for FromLink {
    const KIND: u8 = 1;
}

impl Frame for FromExec {
    const KIND: u8 = 2;
}

/// Why the other half cannot be understood or reached. The connection is of no more use.
#[derive(Debug, Error)]
pub enum FrameError {
    /// The socket failed.
    #[error("the socket between link and exec failed")]
    Socket(#[from] std::io::Error),
    /// The other half went away within a frame.
    #[error("the socket between link and exec ended within a frame")]
    CutOff,
    /// The frame is larger than [`MAXIMUM_FRAME_BYTES`].
    #[error("a frame of {0} bytes is larger than 128 KiB")]
    TooLarge(usize),
    /// The other half is of another release.
    #[error("a frame of version {0} came; are link and exec of the same release?")]
    Version(u8),
    /// The frame is of another direction, or damaged.
    #[error("a frame that cannot be read came")]
    Malformed,
}

/// A frame as bytes.
///
/// # Errors
/// [`FrameError::TooLarge`].
pub fn encode<F: Frame>(frame: &F) -> Result<Vec<u8>, FrameError> {
    let mut bytes = vec![0; LENGTH_BYTES];
    bytes.extend([VERSION, F::KIND]);
    let mut bytes = postcard::to_extend(frame, bytes).map_err(|_| FrameError::Malformed)?;
    let length = bytes.len() - LENGTH_BYTES;
    let prefix = u32::try_from(length).ok().filter(|_| length <= MAXIMUM_FRAME_BYTES).ok_or(FrameError::TooLarge(length))?;
    for (place, byte) in bytes.iter_mut().zip(prefix.to_le_bytes()) {
        *place = byte;
    }
    Ok(bytes)
}

/// Writes a frame completely. Not to be cancelled: a frame cut in the middle ends the connection.
///
/// # Errors
/// [`FrameError::TooLarge`] before anything is written, or [`FrameError::Socket`].
pub async fn write<F: Frame>(writer: &mut (impl AsyncWrite + Unpin), frame: &F) -> Result<(), FrameError> {
    Ok(writer.write_all(&encode(frame)?).await?)
}

/// Reads frames; may be cancelled at any await, because what was read stays here.
#[derive(Debug)]
pub struct FrameReader<R> {
    reader: R,
    held: Vec<u8>,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// Reads from one half of a socket.
    pub fn new(reader: R) -> Self {
        Self { reader, held: Vec::new() }
    }

    /// The next frame; nothing when the other half has closed between two frames.
    ///
    /// # Errors
    /// See [`FrameError`]; after one the reader is of no more use.
    pub async fn next<F: Frame>(&mut self) -> Result<Option<F>, FrameError> {
        loop {
            if let Some(frame) = self.take()? {
                return Ok(Some(frame));
            }
            self.held.reserve(READ_BYTES);
            // Bounded: as soon as the length is known, `take` refuses a frame that would not fit.
            if self.reader.read_buf(&mut self.held).await? == 0 {
                return if self.held.is_empty() { Ok(None) } else { Err(FrameError::CutOff) };
            }
        }
    }

    fn take<F: Frame>(&mut self) -> Result<Option<F>, FrameError> {
        let Some((prefix, rest)) = self.held.split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let length = usize::try_from(u32::from_le_bytes(*prefix)).unwrap_or(usize::MAX);
        if length > MAXIMUM_FRAME_BYTES {
            return Err(FrameError::TooLarge(length));
        }
        let Some(frame) = rest.get(..length) else { return Ok(None) };
        let frame = decode(frame)?;
        self.held.drain(..LENGTH_BYTES + length);
        if self.held.is_empty() && self.held.capacity() > READ_BYTES {
            // One large frame does not keep its memory for ever.
            self.held = Vec::new();
        }
        Ok(Some(frame))
    }
}

fn decode<F: Frame>(frame: &[u8]) -> Result<F, FrameError> {
    match frame.split_first_chunk::<HEADER_BYTES>() {
        Some(([VERSION, kind], body)) if *kind == F::KIND => match postcard::take_from_bytes(body) {
            Ok((frame, [])) => Ok(frame),
            _ => Err(FrameError::Malformed),
        },
        Some(([version, _], _)) if *version != VERSION => Err(FrameError::Version(*version)),
        _ => Err(FrameError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::net::UnixStream;

    fn message(bytes: usize) -> FromLink {
        FromLink::Message { topic: "t".into(), retained: true, payload: vec![7; bytes] }
    }

    #[tokio::test]
    async fn frames_arrive_as_they_were_written() {
        let (mut one, other) = UnixStream::pair().unwrap();
        let frames = [FromLink::Connected, message(65_536), FromLink::Disconnected { reason: "x".into() }, message(0)];
        let sent = frames.clone();
        let writing = tokio::spawn(async move {
            for frame in &sent {
                write(&mut one, frame).await.unwrap();
            }
        });
        let mut reader = FrameReader::new(other);
        for frame in frames {
            assert_eq!(reader.next::<FromLink>().await.unwrap(), Some(frame));
        }
        writing.await.unwrap();
        assert_eq!(reader.next::<FromLink>().await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_cancelled_read_loses_nothing() {
        let (mut one, other) = UnixStream::pair().unwrap();
        let mut reader = FrameReader::new(other);
        for byte in encode(&message(10)).unwrap() {
            let early = tokio::time::timeout(Duration::from_millis(1), reader.next::<FromLink>()).await;
            assert!(early.is_err(), "no frame before its last byte");
            one.write_all(&[byte]).await.unwrap();
        }
        assert_eq!(reader.next().await.unwrap(), Some(message(10)));
    }

    #[tokio::test]
    async fn what_is_not_a_frame_is_refused() {
        assert!(matches!(encode(&message(MAXIMUM_FRAME_BYTES)), Err(FrameError::TooLarge(_))));
        let other_direction = encode(&FromExec::Configure { reconnect_spread_s: 1 }).unwrap();
        let mut other_version = encode(&FromLink::Connected).unwrap();
        other_version[LENGTH_BYTES] = 9;
        let mut longer = encode(&FromLink::Connected).unwrap();
        longer[0] += 1;
        longer.push(0);
        let cut_off = &encode(&FromLink::Connected).unwrap()[..5];
        for (bytes, expected) in [
            (u32::MAX.to_le_bytes().as_slice(), "larger than 128 KiB"),
            (&0_u32.to_le_bytes(), "cannot be read"),
            (&other_direction, "cannot be read"),
            (&other_version, "version 9"),
            (&longer, "cannot be read"),
            (cut_off, "within a frame"),
        ] {
            let (mut one, other) = UnixStream::pair().unwrap();
            one.write_all(bytes).await.unwrap();
            drop(one);
            let error = FrameReader::new(other).next::<FromLink>().await.unwrap_err().to_string();
            assert!(error.contains(expected), "{bytes:?}: {error}");
        }
    }
}
