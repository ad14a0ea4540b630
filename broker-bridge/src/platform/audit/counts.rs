//! What is counted instead of told one by one: calls that only read, and refusals that anybody can cause in any number.

use super::Record;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Calls that read.
pub const READS: &str = "api-reads";
/// Calls of nobody who is known: by the reason of the refusal.
pub const UNAUTHENTICATED: &str = "api-unauthenticated";
/// Refused calls that change something, beyond those that are told one by one.
pub const REFUSALS: &str = "api-refusals";

/// Most counts of one hour; what is beyond is counted together, without user and operation.
const MAXIMUM_COUNTS: usize = 2_000;
/// What stands for all that found no place.
const OTHERS: &str = "(others)";
const HOUR_MS: u64 = 3_600_000;

/// Kind, user and operation.
type Name = (&'static str, String, String);

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    calls: u64,
    refused: u64,
    first_ms: u64,
    last_ms: u64,
}

/// Counts by user and operation.
#[derive(Debug, Default)]
pub struct Counts(Mutex<BTreeMap<Name, Count>>);

impl Counts {
    /// Counts one call, and whether it was refused.
    pub fn add(&self, kind: &'static str, user: &str, operation: &str, refused: bool, now_ms: u64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut name = (kind, user.to_owned(), operation.to_owned());
        if counts.len() >= MAXIMUM_COUNTS && !counts.contains_key(&name) {
            name = (kind, String::new(), OTHERS.to_owned());
        }
        let count = counts.entry(name).or_insert_with(|| Count { first_ms: now_ms, ..Count::default() });
        count.calls = count.calls.saturating_add(1);
        count.refused = count.refused.saturating_add(u64::from(refused));
        count.last_ms = now_ms;
    }

    /// Whether something was counted in an hour that is over.
    #[must_use]
    pub fn is_due(&self, now_ms: u64) -> bool {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.values().any(|count| count.first_ms / HOUR_MS != now_ms / HOUR_MS)
    }

    /// Takes all counts, as records.
    #[must_use]
    pub fn take(&self, now_ms: u64) -> Vec<Record> {
        let counts = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let record = |((kind, user, operation), count): (Name, Count)| {
            let record = Record::new(kind, &user, &operation, now_ms).with("Calls", count.calls).with("Refused", count.refused);
            record.with("FirstMs", count.first_ms).with("LastMs", count.last_ms)
        };
        counts.into_iter().map(record).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_the_hour_and_their_number_of_names_is_bounded() {
        let counts = Counts::default();
        counts.add(READS, "ada", "ListCommands", false, 10);
        counts.add(READS, "ada", "ListCommands", true, 20);
        assert!(!counts.is_due(HOUR_MS - 1) && counts.is_due(HOUR_MS));
        let expected =
            Record::new(READS, "ada", "ListCommands", 30).with("Calls", 2).with("Refused", 1).with("FirstMs", 10).with("LastMs", 20);
        assert_eq!(counts.take(30), [expected]);
        assert_eq!(counts.take(30), []);
        for number in 0..3 * MAXIMUM_COUNTS {
            counts.add(READS, &format!("user-{number}"), "ListCommands", false, 10);
        }
        let records = counts.take(30);
        assert_eq!(records.len(), MAXIMUM_COUNTS + 1);
        assert!(records.iter().any(|record| record.subject == OTHERS && record.detail["Calls"] == (2 * MAXIMUM_COUNTS).to_string()));
    }
}
