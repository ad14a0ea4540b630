//! Which publish stands behind which MQTT packet identifier, on one connection.
//!
//! The client library numbers a publish only when it writes it, and reports only the number. It takes publishes in the
//! order in which they were handed over, so that the next number written belongs to the oldest one without a number.

use std::collections::{BTreeMap, VecDeque};

/// The publishes that the broker has not acknowledged yet.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    handed_over: VecDeque<(u64, usize)>,
    written: BTreeMap<u16, (u64, usize)>,
}

impl Ledger {
    /// How many publishes are on their way.
    pub(crate) fn in_flight(&self) -> usize {
        self.handed_over.len() + self.written.len()
    }

    /// How many bytes they have together.
    pub(crate) fn bytes_in_flight(&self) -> usize {
        let sizes = self.handed_over.iter().chain(self.written.values()).map(|(_, bytes)| *bytes);
        sizes.fold(0, usize::saturating_add)
    }

    /// The publish `id` of so many bytes was handed to the client library.
    pub(crate) fn hand_over(&mut self, id: u64, bytes: usize) {
        self.handed_over.push_back((id, bytes));
    }

    /// The client library wrote a publish under this packet identifier.
    pub(crate) fn write(&mut self, packet: u16) {
        if let Some(publish) = self.handed_over.pop_front() {
            self.written.insert(packet, publish);
        }
    }

    /// The broker answered this packet identifier; returns the publish, which is then forgotten.
    pub(crate) fn settle(&mut self, packet: u16) -> Option<u64> {
        self.written.remove(&packet).map(|(id, _)| id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_given_in_order_and_used_again() {
        let mut ledger = Ledger::default();
        for id in [70, 71, 72] {
            ledger.hand_over(id, 10);
        }
        ledger.write(1);
        ledger.write(2);
        assert_eq!(ledger.in_flight(), 3);
        assert_eq!(ledger.settle(2), Some(71));
        ledger.write(2);
        assert_eq!(ledger.settle(2), Some(72));
        assert_eq!(ledger.settle(1), Some(70));
        assert_eq!(ledger.settle(1), None);
        assert_eq!(ledger.in_flight(), 0);
    }

    #[test]
    fn a_number_without_a_publish_is_ignored() {
        let mut ledger = Ledger::default();
        ledger.write(9);
        assert_eq!(ledger.settle(9), None);
    }
}
