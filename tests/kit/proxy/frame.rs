//! MQTT 5 packets as a proxy sees them: where one ends, and the few fields that it must know (OASIS MQTT 5.0, chapters 2 and 3).

use std::io;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The largest packet that is let through.
const LARGEST: usize = 4 << 20;
/// Packet types, in the upper half of the first byte.
const CONNECT: u8 = 1;
const PUBLISH: u8 = 3;
const PUBACK: u8 = 4;

/// Packets from a stream.
#[derive(Debug)]
pub(super) struct Frames<Reader> {
    reader: Reader,
    buffer: Vec<u8>,
}

impl<Reader: AsyncRead + Unpin> Frames<Reader> {
    pub(super) fn new(reader: Reader) -> Self {
        Self { reader, buffer: Vec::new() }
    }

    /// The next whole packet. May be dropped at its await without losing anything.
    pub(super) async fn next(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(length) = length(&self.buffer)? {
                let rest = self.buffer.split_off(length);
                return Ok(std::mem::replace(&mut self.buffer, rest));
            }
            if self.reader.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// A number of MQTT's variable length at a place, and the place behind it.
fn variable(bytes: &[u8], mut at: usize) -> Option<(usize, usize)> {
    let mut value = 0;
    for shift in [0, 7, 14, 21] {
        let byte = *bytes.get(at)?;
        value |= usize::from(byte & 0x7f) << shift;
        at += 1;
        if byte & 0x80 == 0 {
            return Some((value, at));
        }
    }
    None
}

/// The length of the first packet, once all of it is there.
fn length(buffer: &[u8]) -> io::Result<Option<usize>> {
    let Some((remaining, header)) = variable(buffer, 1) else {
        return if buffer.len() > 4 { Err(io::ErrorKind::InvalidData.into()) } else { Ok(None) };
    };
    if remaining > LARGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok((buffer.len() >= header + remaining).then_some(header + remaining))
}

/// A text or number of two bytes at a place.
fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

/// The client identifier of a CONNECT.
pub(super) fn client_id(packet: &[u8]) -> Option<String> {
    if packet.first()? >> 4 != CONNECT {
        return None;
    }
    let (_, at) = variable(packet, 1)?;
    // Protocol name, version, flags, keep-alive.
    let at = at + 2 + usize::from(word(packet, at)?) + 1 + 1 + 2;
    let (properties, at) = variable(packet, at)?;
    let at = at + properties;
    let id = packet.get(at + 2..at + 2 + usize::from(word(packet, at)?))?;
    String::from_utf8(id.to_vec()).ok()
}

/// Where the packet identifier of a QoS 1 PUBLISH stands; nothing for every other packet.
pub(super) fn publish_identifier(packet: &[u8]) -> Option<usize> {
    let first = *packet.first()?;
    if first >> 4 != PUBLISH || first >> 1 & 3 != 1 {
        return None;
    }
    let (_, at) = variable(packet, 1)?;
    Some(at + 2 + usize::from(word(packet, at)?))
}

/// The packet identifier at a place.
pub(super) fn identifier(packet: &[u8], at: usize) -> Option<u16> {
    word(packet, at)
}

/// The packet identifier of a PUBACK.
pub(super) fn acknowledged(packet: &[u8]) -> Option<u16> {
    let is_one = packet.first()? >> 4 == PUBACK;
    is_one.then(|| word(packet, 2)).flatten()
}

/// A PUBACK that says success.
pub(super) fn acknowledgement(identifier: u16) -> Vec<u8> {
    let [high, low] = identifier.to_be_bytes();
    vec![PUBACK << 4, 2, high, low]
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: &[u8] = &[0x10, 16, 0, 4, b'M', b'Q', b'T', b'T', 5, 2, 0, 60, 0, 0, 3, b'm', b'i', b'1'];
    const MESSAGE: &[u8] = &[0x32, 9, 0, 3, b'f', b'/', b'd', 0, 9, 0, b'x'];

    #[tokio::test]
    async fn packets_are_found_however_they_are_cut() {
        let stream = [HELLO, MESSAGE, &[0xd0, 0]].concat();
        let mut frames = Frames::new(stream.as_slice());
        for expected in [HELLO, MESSAGE, &[0xd0, 0]] {
            assert_eq!(frames.next().await.unwrap(), expected);
        }
        assert!(frames.next().await.is_err());
        assert_eq!(length(MESSAGE.get(..5).unwrap()).unwrap(), None);
        assert!(length(&[0x30, 0xff, 0xff, 0xff, 0xff, 1]).is_err());
    }

    #[test]
    fn the_fields_are_where_mqtt_puts_them() {
        assert_eq!(client_id(HELLO).as_deref(), Some("mi1"));
        assert_eq!(client_id(MESSAGE), None);
        assert_eq!(publish_identifier(MESSAGE).and_then(|at| identifier(MESSAGE, at)), Some(9));
        assert_eq!(publish_identifier(&[0x30, 3, 0, 1, b'a']), None, "QoS 0");
        assert_eq!(acknowledged(&acknowledgement(0x1234)), Some(0x1234));
        assert_eq!(acknowledged(MESSAGE), None);
    }
}
