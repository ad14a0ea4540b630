//! A point in time as the API writes it: epoch seconds as a JSON number, milliseconds after the point.

use std::fmt;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The largest distance from 1970 that is accepted, in milliseconds: the end of the year 9999, as far as clients'
/// calendars go. It also keeps every value exact as a floating-point number.
pub const MAXIMUM_MILLISECONDS: i64 = 253_402_300_799_999;

/// Milliseconds since 1970-01-01T00:00:00Z, within ±[`MAXIMUM_MILLISECONDS`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since 1970; what lies outside the range becomes its nearest end.
    #[must_use]
    pub fn from_milliseconds(milliseconds: i64) -> Self {
        Self(milliseconds.clamp(-MAXIMUM_MILLISECONDS, MAXIMUM_MILLISECONDS))
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn milliseconds(self) -> i64 {
        self.0
    }

    /// From seconds since 1970, rounded to milliseconds; nothing outside the range, or if it is no number.
    #[must_use]
    pub fn from_seconds(seconds: f64) -> Option<Self> {
        let milliseconds = (seconds * 1000.0).round();
        let maximum = MAXIMUM_MILLISECONDS as f64;
        if !(-maximum..=maximum).contains(&milliseconds) {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "whole and within ±2^48, as checked above")]
        Some(Self(milliseconds as i64))
    }

    /// Seconds since 1970; exact to the millisecond.
    #[must_use]
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.seconds())
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SecondsVisitor)
    }
}

struct SecondsVisitor;

impl Visitor<'_> for SecondsVisitor {
    type Value = Timestamp;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a timestamp: seconds since 1970 as a number, at most until the year 9999")
    }

    fn visit_i64<E: Error>(self, seconds: i64) -> Result<Timestamp, E> {
        self.visit_f64(seconds as f64)
    }

    fn visit_u64<E: Error>(self, seconds: u64) -> Result<Timestamp, E> {
        self.visit_f64(seconds as f64)
    }

    fn visit_f64<E: Error>(self, seconds: f64) -> Result<Timestamp, E> {
        Timestamp::from_seconds(seconds).ok_or_else(|| E::invalid_value(Unexpected::Float(seconds), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_milliseconds_both_ways() {
        for milliseconds in [0, 1, -1, 1_763_764_000_123, MAXIMUM_MILLISECONDS, -MAXIMUM_MILLISECONDS] {
            let time = Timestamp::from_milliseconds(milliseconds);
            let text = serde_json::to_string(&time).unwrap();
            assert_eq!(serde_json::from_str::<Timestamp>(&text).unwrap().milliseconds(), milliseconds, "{text}");
        }
        assert_eq!(serde_json::to_string(&Timestamp::from_milliseconds(1_763_764_000_123)).unwrap(), "1763764000.123");
    }

    #[test]
    fn reads_whole_seconds_and_refuses_what_is_no_time() {
        assert_eq!(serde_json::from_str::<Timestamp>("1763764000").unwrap().milliseconds(), 1_763_764_000_000);
        for wrong in ["1e300", "253402300801", "-253402300801", "18446744073709551615", "\"2026-01-01T00:00:00Z\"", "null"] {
            assert!(serde_json::from_str::<Timestamp>(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Timestamp::from_seconds(f64::NAN), None);
    }
}
