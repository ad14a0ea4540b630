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

/// Reports of nodes that changed nothing, or the same thing again and again, beyond those that are told one by one.
pub const REPORTS: &str = "node-reports";

/// Most counts of one kind in one hour; what is beyond is counted together, without user and operation.
const MAXIMUM_COUNTS: usize = 2_000;
/// What stands for all that found no place.
const OTHERS: &str = "(others)";
const HOUR_MS: u64 = 3_600_000;

/// Kind, user and operation.
type Name = (&'static str, String, String);
/// The counts of each kind, so that none takes the places of another.
type Kinds = BTreeMap<&'static str, BTreeMap<(String, String), Count>>;

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    calls: u64,
    refused: u64,
    first_ms: u64,
    last_ms: u64,
}

/// Counts by user and operation.
#[derive(Debug, Default)]
pub struct Counts(Mutex<Kinds>);

/// Counts that were taken to be written.
#[derive(Debug, Default)]
pub struct Taken(Kinds);

impl Taken {
    /// The counts as records.
    pub fn records(&self, now_ms: u64) -> impl Iterator<Item = Record> {
        let counts = self.0.iter().flat_map(|(kind, counts)| counts.iter().map(|(name, count)| (*kind, name, *count)));
        counts.map(move |(kind, (user, operation), count)| {
            let record = Record::new(kind, user, operation, now_ms).with("Calls", count.calls).with("Refused", count.refused);
            record.with("FirstMs", count.first_ms).with("LastMs", count.last_ms)
        })
    }
}

impl Counts {
    /// Counts one call, and whether it was refused.
    pub fn add(&self, kind: &'static str, user: &str, operation: &str, refused: bool, now_ms: u64) {
        let name = (kind, user.to_owned(), operation.to_owned());
        self.add_count(name, Count { calls: 1, refused: u64::from(refused), first_ms: now_ms, last_ms: now_ms });
    }

    fn add_count(&self, (kind, user, operation): Name, more: Count) {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = kinds.entry(kind).or_default();
        let mut name = (user, operation);
        if counts.len() >= MAXIMUM_COUNTS && !counts.contains_key(&name) {
            name = (String::new(), OTHERS.to_owned());
        }
        let count = counts.entry(name).or_insert(Count { calls: 0, refused: 0, ..more });
        count.calls = count.calls.saturating_add(more.calls);
        count.refused = count.refused.saturating_add(more.refused);
        count.first_ms = count.first_ms.min(more.first_ms);
        count.last_ms = count.last_ms.max(more.last_ms);
    }

    /// Whether something was counted in an hour that is over.
    #[must_use]
    pub fn is_due(&self, now_ms: u64) -> bool {
        let kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kinds.values().flat_map(BTreeMap::values).any(|count| count.first_ms / HOUR_MS != now_ms / HOUR_MS)
    }

    /// Takes all counts.
    #[must_use]
    pub fn take(&self) -> Taken {
        Taken(std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Adds counts that were taken and could not be written.
    pub fn put_back(&self, taken: Taken) {
        for (kind, counts) in taken.0 {
            for ((user, operation), count) in counts {
                self.add_count((kind, user, operation), count);
            }
        }
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
        let take = || counts.take().records(30).collect::<Vec<_>>();
        let taken = counts.take();
        assert_eq!((taken.records(30).collect::<Vec<_>>(), take()), (vec![expected], vec![]));
        // What could not be written is counted together with what came meanwhile.
        counts.add(READS, "ada", "ListCommands", false, 25);
        counts.put_back(taken);
        let expected =
            Record::new(READS, "ada", "ListCommands", 30).with("Calls", 3).with("Refused", 1).with("FirstMs", 10).with("LastMs", 25);
        assert_eq!(take(), [expected]);
        for number in 0..3 * MAXIMUM_COUNTS {
            counts.add(READS, &format!("user-{number}"), "ListCommands", false, 10);
        }
        counts.add(REPORTS, "mi-1", "order-started", false, 10);
        let records = take();
        assert_eq!(records.len(), MAXIMUM_COUNTS + 2, "one kind does not take the places of another");
        assert!(records.iter().any(|record| record.subject == OTHERS && record.detail["Calls"] == (2 * MAXIMUM_COUNTS).to_string()));
    }
}
