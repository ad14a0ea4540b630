//! So many a minute for each sender: what is written down about a node's mistakes must not fill the disk, nor crowd out what is
//! written down about others; and what it asks for must not crowd out what others are sent.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

const MINUTE_MS: u64 = 60_000;

/// Counts per sender and minute. Everything starts anew with each minute of the clock.
#[derive(Debug)]
pub struct Allowance<Sender> {
    per_minute: u32,
    maximum_senders: usize,
    counts: Mutex<Counts<Sender>>,
}

#[derive(Debug)]
struct Counts<Sender> {
    minute: u64,
    of_sender: BTreeMap<Sender, u32>,
    refused: u64,
}

impl<Sender: Ord> Allowance<Sender> {
    /// An allowance of `per_minute` for each of at most `maximum_senders`; further senders of the same minute get nothing.
    #[must_use]
    pub fn new(per_minute: u32, maximum_senders: usize) -> Self {
        let counts = Counts { minute: 0, of_sender: BTreeMap::new(), refused: 0 };
        Self { per_minute, maximum_senders, counts: Mutex::new(counts) }
    }

    /// Whether the sender has something left, of which one is taken.
    pub fn takes(&self, sender: Sender, now_ms: u64) -> bool {
        // A poisoned lock holds counts that are as good as before.
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = now_ms / MINUTE_MS;
        if counts.minute != minute {
            if counts.refused > 0 {
                tracing::warn!(refused = counts.refused, "senders had more to say in a minute than is taken up of each");
            }
            *counts = Counts { minute, of_sender: BTreeMap::new(), refused: 0 };
        }
        let room = counts.of_sender.len() < self.maximum_senders;
        let taken = match counts.of_sender.get_mut(&sender) {
            Some(count) if *count < self.per_minute => {
                *count += 1;
                true
            }
            None if room && self.per_minute > 0 => {
                counts.of_sender.insert(sender, 1);
                true
            }
            _ => false,
        };
        counts.refused += u64::from(!taken);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sender_has_its_own_and_gets_it_anew_every_minute() {
        let allowance = Allowance::new(3, 2);
        let taken = |sender, now_ms| (0..10).filter(|_| allowance.takes(sender, now_ms)).count();
        assert_eq!((taken("a", 5), taken("b", 6), taken("c", 7), taken("a", 8)), (3, 3, 0, 0));
        assert_eq!((taken("c", 60_000), taken("a", 60_001)), (3, 3));
    }
}
