//! Bytes that are written as base64, as the service model writes its blobs.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes; as text, base64 with padding (RFC 4648, section 4).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Blob(pub Vec<u8>);

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Self).map_err(|_| D::Error::custom("write base64 with padding"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_go_both_ways_and_in_one_form_only() {
        for (bytes, text) in [(b"".as_slice(), "\"\""), (b"\x00\xff", "\"AP8=\""), (b"order", "\"b3JkZXI=\"")] {
            let blob = Blob(bytes.to_vec());
            assert_eq!(serde_json::to_string(&blob).unwrap(), text);
            assert_eq!(serde_json::from_str::<Blob>(text).unwrap(), blob);
        }
        for wrong in ["\"AP8\"", "\"AP9=\"", "\"A P8=\"", "\"-_==\"", "7"] {
            assert!(serde_json::from_str::<Blob>(wrong).is_err(), "{wrong}");
        }
    }
}
