//! Ids: parsed once at the edge, wrong ones cannot be held.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Serialize};

/// A text that is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidId {
    /// What it should have been, as a pattern that a person can read.
    pub expected: &'static str,
}

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not an id of the form {}", self.expected)
    }
}

impl core::error::Error for InvalidId {}

fn nibble(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

/// Lower-case hexadecimal digits into bytes; `None` for another length or digit.
fn unhex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != N * 2 {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// A managed node: `mi-` and 17 lower-case hexadecimal digits, the first of the SHA-256 of its ed25519 identity key.
///
/// Kept as the 17 digits, each 0…15. Whoever holds the key computes the id anew instead of believing it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId([u8; 17]);

impl NodeId {
    const EXPECTED: &'static str = "mi- and 17 lower-case hexadecimal digits";

    /// The id of the node whose identity key this is.
    #[must_use]
    pub fn of_key(identity_key: &[u8; 32]) -> Self {
        let hash = crate::sha256(&[identity_key]);
        let mut digits = [0; 17];
        for (index, digit) in digits.iter_mut().enumerate() {
            let byte = hash[index / 2];
            *digit = if index % 2 == 0 { byte >> 4 } else { byte & 15 };
        }
        Self(digits)
    }

    /// The shard of the node's topics: the first byte of SHA-256 of the id's text.
    #[must_use]
    pub fn shard(&self) -> u8 {
        crate::sha256(&[alloc::format!("{self}").as_bytes()])[0]
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("mi-")?;
        self.0.iter().try_for_each(|digit| write!(f, "{digit:x}"))
    }
}

impl FromStr for NodeId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = InvalidId { expected: Self::EXPECTED };
        let digits = text.strip_prefix("mi-").ok_or_else(|| invalid.clone())?;
        let mut id = [0; 17];
        if digits.len() != id.len() {
            return Err(invalid);
        }
        for (digit, byte) in id.iter_mut().zip(digits.bytes()) {
            *digit = nibble(byte).ok_or_else(|| invalid.clone())?;
        }
        Ok(Self(id))
    }
}

/// A fleet: the first 8 bytes of the SHA-256 of the body of trust bundle 1, written as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FleetId(pub [u8; 8]);

impl FleetId {
    /// The fleet that begins with the trust root whose hash this is.
    #[must_use]
    pub fn of_root_hash(hash: &[u8; 32]) -> Self {
        let mut id = [0; 8];
        id.copy_from_slice(&hash[..8]);
        Self(id)
    }
}

/// An order: a UUIDv7, at the same time SSM's CommandId.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OrderId(pub [u8; 16]);

impl OrderId {
    /// When whoever signed the order made the id: Unix time in milliseconds; nothing where it is no UUIDv7 (RFC 9562).
    #[must_use]
    pub fn made_ms(&self) -> Option<u64> {
        let [a, b, c, d, e, f, version, ..] = self.0;
        (version >> 4 == 7).then(|| u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
    }
}

/// An activation: a random UUID, SSM's ActivationId.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ActivationId(pub [u8; 16]);

/// One boot of a node: the kernel's random boot id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BootId(pub [u8; 16]);

/// The client id of one enrolment: 128 random bits, written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClaimId(pub [u8; 16]);

/// A short name of a public key: the first 8 bytes of its SHA-256. Two keys may share it; nothing is decided by it alone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyId(pub [u8; 8]);

impl KeyId {
    /// The key id of a public key.
    #[must_use]
    pub fn of_key(public_key: &[u8; 32]) -> Self {
        let mut id = [0; 8];
        id.copy_from_slice(&crate::sha256(&[public_key])[..8]);
        Self(id)
    }
}

macro_rules! hex_text {
    ($name:ident, $length:literal, $expected:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(f, &self.0)
            }
        }
        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                unhex::<$length>(text.as_bytes()).map(Self).ok_or(InvalidId { expected: $expected })
            }
        }
    };
}
hex_text!(FleetId, 8, "16 lower-case hexadecimal digits");
hex_text!(ClaimId, 16, "32 lower-case hexadecimal digits");
hex_text!(KeyId, 8, "16 lower-case hexadecimal digits");

macro_rules! uuid_text {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                for (index, byte) in self.0.iter().enumerate() {
                    if matches!(index, 4 | 6 | 8 | 10) {
                        f.write_str("-")?;
                    }
                    write!(f, "{byte:02x}")?;
                }
                Ok(())
            }
        }
        impl FromStr for $name {
            type Err = InvalidId;
            /// Takes exactly the form that `Display` writes: lower case, with four hyphens.
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let invalid = InvalidId { expected: "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx (lower-case hexadecimal)" };
                let hyphens = |index: usize| text.as_bytes().get(index) == Some(&b'-');
                if text.len() != 36 || ![8, 13, 18, 23].into_iter().all(hyphens) {
                    return Err(invalid);
                }
                let digits: String = text.chars().filter(|character| *character != '-').collect();
                unhex::<16>(digits.as_bytes()).map(Self).ok_or(invalid)
            }
        }
    };
}
uuid_text!(OrderId);
uuid_text!(ActivationId);
uuid_text!(BootId);

macro_rules! debug_as_text {
    ($($name:ident)*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}
debug_as_text!(NodeId FleetId OrderId ActivationId BootId ClaimId KeyId);

impl Serialize for NodeId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = <[u8; 17]>::deserialize(deserializer)?;
        if digits.iter().all(|digit| *digit < 16) {
            Ok(Self(digits))
        } else {
            Err(serde::de::Error::custom("a digit of a node id is above 15"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;

    #[test]
    fn a_node_id_is_the_start_of_its_keys_hash() {
        // SHA-256 of 32 zero bytes is 66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925.
        let id = NodeId::of_key(&[0; 32]);
        assert_eq!(id.to_string(), "mi-66687aadf862bd776");
        assert_eq!("mi-66687aadf862bd776".parse(), Ok(id));
    }

    #[test]
    fn texts_that_are_not_ids_are_refused() {
        for text in [
            "",
            "mi-",
            "mi-66687aadf862bd77",
            "mi-66687aadf862bd7766",
            "mi-66687AADF862BD776",
            "i-66687aadf862bd776",
            "mi-../../etc/passwd1",
        ] {
            assert!(text.parse::<NodeId>().is_err(), "{text}");
        }
        for text in [
            "",
            "01890a5d-ac96-774b-bcce-b302099a805",
            "01890a5dac96-774b-bcce-b302099a80577-",
            "01890A5D-ac96-774b-bcce-b302099a8057",
            "../../../../../../../../../../etc/pa",
        ] {
            assert!(text.parse::<OrderId>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_order_id_reads_what_it_writes() {
        let text = "01890a5d-ac96-774b-bcce-b302099a8057";
        assert_eq!(text.parse::<OrderId>().map(|id| id.to_string()), Ok(text.to_string()));
        assert_eq!(text.parse::<OrderId>().map(|id| id.made_ms()), Ok(Some(0x0189_0a5d_ac96)));
        assert_eq!(OrderId([1; 16]).made_ms(), None);
    }
}
