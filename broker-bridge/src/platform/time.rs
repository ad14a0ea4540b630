//! Times as the database keeps them, and as the API writes them as text.

/// Unix time in milliseconds as a column keeps it.
#[must_use]
pub fn to_column(time_ms: u64) -> i64 {
    i64::try_from(time_ms).unwrap_or(i64::MAX)
}

/// Unix time in milliseconds from a column.
#[must_use]
pub fn from_column(time_ms: i64) -> u64 {
    u64::try_from(time_ms).unwrap_or(0)
}

/// A time in ISO 8601 with milliseconds, in UTC; empty for a time that no calendar has.
#[must_use]
pub fn iso(time_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(time_ms).map_or_else(|_| String::new(), |time| format!("{time:.3}"))
}

/// A time from ISO 8601 with a time zone, in Unix milliseconds.
#[must_use]
pub fn from_iso(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

/// A duration as ISO 8601 writes it, for example `PT1.234S`.
#[must_use]
pub fn iso_duration(duration_ms: i64) -> String {
    let duration_ms = duration_ms.max(0);
    format!("PT{}.{:03}S", duration_ms / 1000, duration_ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_and_read() {
        assert_eq!(iso(1_763_764_000_123), "2025-11-21T22:26:40.123Z");
        assert_eq!(from_iso("2025-11-21T22:26:40.123Z"), Some(1_763_764_000_123));
        assert_eq!(from_iso("2025-11-21T22:26:40Z"), Some(1_763_764_000_000));
        assert_eq!(from_iso("yesterday"), None);
        assert_eq!(iso_duration(1_234), "PT1.234S");
        assert_eq!(iso_duration(-1), "PT0.000S");
        assert_eq!(iso(i64::MAX), "");
        assert_eq!((to_column(u64::MAX), from_column(-1)), (i64::MAX, 0));
    }
}
