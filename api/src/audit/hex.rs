//! Bytes that are written as hexadecimal digits.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// `N` bytes; as text, two lower-case digits each.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hex<const N: usize>(pub [u8; N]);

impl<const N: usize> Default for Hex<N> {
    fn default() -> Self {
        Self([0; N])
    }
}

impl<const N: usize> fmt::Display for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl<const N: usize> fmt::Debug for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is no such text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write exactly {0} hexadecimal digits in lower case")]
pub struct NotHex(usize);

impl<const N: usize> FromStr for Hex<N> {
    type Err = NotHex;

    fn from_str(text: &str) -> Result<Self, NotHex> {
        let digits = text.as_bytes();
        let wrong = NotHex(2 * N);
        if digits.len() != 2 * N {
            return Err(wrong);
        }
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let mut bytes = [0; N];
        for (byte, pair) in bytes.iter_mut().zip(digits.as_chunks::<2>().0) {
            let [high, low] = *pair;
            *byte = digit(high).zip(digit(low)).map(|(high, low)| high << 4 | low).ok_or(wrong)?;
        }
        Ok(Self(bytes))
    }
}

impl<const N: usize> Serialize for Hex<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Hex<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Any number of bytes; as text, two lower-case digits each.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct HexBytes(pub Vec<u8>);

impl fmt::Display for HexBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| fmt::Display::fmt(&Hex([*byte]), f))
    }
}

impl fmt::Debug for HexBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for HexBytes {
    type Err = NotHex;

    fn from_str(text: &str) -> Result<Self, NotHex> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if !rest.is_empty() {
            return Err(NotHex(text.len() + 1));
        }
        let byte = |pair: &[u8; 2]| std::str::from_utf8(pair).ok()?.parse::<Hex<1>>().ok();
        let bytes: Option<Vec<u8>> = pairs.iter().map(|pair| byte(pair).map(|Hex([byte])| byte)).collect();
        bytes.map(Self).ok_or(NotHex(text.len()))
    }
}

impl Serialize for HexBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HexBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_go_both_ways_and_in_one_form_only() {
        let bytes = Hex([0x00, 0x9a, 0xff]);
        assert_eq!(bytes.to_string(), "009aff");
        assert_eq!("009aff".parse(), Ok(bytes));
        for wrong in ["", "009af", "009afff", "009AFF", "00 aff", "009agg"] {
            assert_eq!(wrong.parse::<Hex<3>>(), Err(NotHex(6)), "{wrong}");
        }
        let bytes = HexBytes(vec![0x00, 0x9a, 0xff]);
        assert_eq!((bytes.to_string().as_str(), "009aff".parse(), "".parse()), ("009aff", Ok(bytes.clone()), Ok(HexBytes::default())));
        for wrong in ["009af", "009AFF", "00 aff", "é"] {
            assert!(wrong.parse::<HexBytes>().is_err(), "{wrong}");
        }
    }
}
