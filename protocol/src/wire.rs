//! Bodies as bytes: postcard, strict about what is left over.

use alloc::vec::Vec;
use serde::{Serialize, de::DeserializeOwned};

/// Largest message on any topic, in bytes: a delivery, a report or a chunk of output (DESIGN.md, "Limits").
pub const MAXIMUM_MESSAGE_BYTES: usize = 64 * 1024;

/// Why bytes are not a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodeError {
    /// The bytes end too early, hold an unknown discriminant, or are not text where text is due.
    Malformed,
    /// The body is complete, and bytes follow it.
    TrailingBytes,
    /// The bytes are more than [`MAXIMUM_MESSAGE_BYTES`].
    TooLarge,
    /// The body decodes, and a list, text or number in it is beyond its limit.
    BeyondLimit(&'static str),
}

impl core::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Malformed => f.write_str("the body is malformed"),
            Self::TrailingBytes => f.write_str("bytes follow the body"),
            Self::TooLarge => f.write_str("the message is larger than 64 KiB"),
            Self::BeyondLimit(what) => write!(f, "{what} is beyond its limit"),
        }
    }
}

impl core::error::Error for DecodeError {}

/// A body that can be refused after it was decoded, because something in it is beyond its limit.
pub trait Check {
    /// Refuses what is beyond a limit.
    ///
    /// # Errors
    /// [`DecodeError::BeyondLimit`] names the member.
    fn check(&self) -> Result<(), DecodeError>;
}

/// Returns an error that names `what` unless `within` holds.
pub(crate) fn limit(within: bool, what: &'static str) -> Result<(), DecodeError> {
    if within { Ok(()) } else { Err(DecodeError::BeyondLimit(what)) }
}

/// Encodes a body. What is signed is encoded once and never again.
///
/// # Panics
/// Never: postcard writes to a growing vector, and the types of this crate have no member that it cannot write.
#[must_use]
pub fn encode<T: Serialize>(body: &T) -> Vec<u8> {
    postcard::to_allocvec(body).expect("postcard writes every type of this crate to a vector")
}

/// Decodes a body that must fill `bytes` completely, and checks its limits.
///
/// # Errors
/// See [`DecodeError`].
pub fn decode<T: DeserializeOwned + Check>(bytes: &[u8]) -> Result<T, DecodeError> {
    if bytes.len() > MAXIMUM_MESSAGE_BYTES {
        return Err(DecodeError::TooLarge);
    }
    let (body, rest): (T, &[u8]) = postcard::take_from_bytes(bytes).map_err(|_| DecodeError::Malformed)?;
    if !rest.is_empty() {
        return Err(DecodeError::TrailingBytes);
    }
    body.check()?;
    Ok(body)
}

/// A payload whose meaning is chosen by `kind`, carried as bytes so that a reader that does not know the kind can still
/// read what surrounds it and answer `Unsupported`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Payload {
    /// Which type the bytes hold: a number from a list that is only appended to.
    pub kind: u16,
    /// The postcard form of that type.
    #[serde(with = "bytes")]
    pub body: Vec<u8>,
}

/// Serde for byte vectors: one length and one copy instead of an element at a time.
pub mod bytes {
    use alloc::vec::Vec;
    use serde::{Deserializer, Serializer, de};

    /// Writes a length and the bytes.
    ///
    /// # Errors
    /// Whatever the serializer says.
    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    /// Reads a length and the bytes.
    ///
    /// # Errors
    /// Whatever the deserializer says.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Vec<u8>;
            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
        }
        deserializer.deserialize_bytes(Visitor)
    }
}

/// Serde for arrays of 64 bytes (signatures), which serde does not know.
pub mod bytes64 {
    use serde::{Deserializer, Serializer, de};

    /// Writes the bytes.
    ///
    /// # Errors
    /// Whatever the serializer says.
    pub fn serialize<S: Serializer>(bytes: &[u8; 64], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    /// Reads exactly 64 bytes.
    ///
    /// # Errors
    /// Another length, or whatever the deserializer says.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 64], D::Error> {
        let bytes = super::bytes::deserialize(deserializer)?;
        <[u8; 64]>::try_from(bytes.as_slice()).map_err(|_| de::Error::invalid_length(bytes.len(), &"64 bytes"))
    }
}

/// Bytes inside a list, encoded with one length.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct ByteVec(#[serde(with = "bytes")] pub Vec<u8>);
