//! What the node knows of its own past, and what it does after it has lost it.
//!
//! A journal that is damaged or gone is moved aside, and the node goes on. What it took before is not known any more, and nothing may run
//! twice. So until the first welcome after the loss it takes nothing; with that welcome it records a *barrier*, and from then on refuses
//! every order that was made, or may start, before the barrier: each of those could have been taken, started or cancelled already.

use flotilla_protocol::id::OrderId;
use flotilla_protocol::report::LossCause;
use serde::{Deserialize, Serialize};

/// What must never go back, whatever happens to the journal: the shell keeps it in two copies beside the journal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Floor {
    /// Trusted time has reached this: Unix milliseconds.
    pub time_ms: u64,
    /// The node has gone by this version of the trust bundle.
    pub trust_version: u32,
    /// And by its epoch.
    pub epoch: u32,
    /// Orders that may start before this are refused: Unix milliseconds; 0 when memory was never lost.
    pub barrier_ms: u64,
    /// The chain of reports had reached this sequence.
    pub sequence: u64,
}

/// How far a chain can have gone on since the floor was written or the bridge committed it, in reports: the floor is written at least once
/// an hour.
const REPORTS_SINCE_FLOOR: u64 = 1 << 20;

/// Sequences that a chain that begins anew has for each millisecond: far more than reports can be made, so that the chain of a later loss
/// begins above all of this one.
const SEQUENCES_PER_MS: u64 = 1024;

/// The node's memory of the orders that it took.
#[derive(Debug, Default)]
pub struct Memory {
    /// It is lost, and no welcome came since: why, and the last sequence that is known to have been used.
    pub(crate) lost: Option<(LossCause, u64)>,
    /// Orders that were made or may start before this may have been taken before the loss.
    pub(crate) barrier_ms: u64,
}

impl Memory {
    /// Whether an order that does not start before `not_before_ms` may have been taken and forgotten.
    #[must_use]
    pub fn may_have_taken(&self, order: OrderId, not_before_ms: u64) -> bool {
        let earliest_ms = order.made_ms().map_or(not_before_ms, |made_ms| made_ms.min(not_before_ms));
        self.lost.is_some() || (self.barrier_ms > 0 && earliest_ms <= self.barrier_ms)
    }

    /// The sequence after which a chain begins anew at trusted time `time_ms`: above every one that was used before. `last_known` is the
    /// last one that the node, or the bridge's welcome, knows to have been used.
    pub(crate) fn first_sequence(last_known: u64, time_ms: u64) -> u64 {
        time_ms.saturating_mul(SEQUENCES_PER_MS).max(last_known.saturating_add(REPORTS_SINCE_FLOOR))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_could_not_start_before_the_barrier_is_taken() {
        let order = OrderId([1; 16]);
        assert!(!Memory::default().may_have_taken(order, 0));
        let lost = Memory { lost: Some((LossCause::Damaged, 0)), barrier_ms: 0 };
        assert!(lost.may_have_taken(order, u64::MAX), "nothing is known before the welcome");
        let regained = Memory { lost: None, barrier_ms: 5 };
        assert_eq!([4, 5, 6].map(|not_before| regained.may_have_taken(order, not_before)), [true, true, false]);
        let made_ms = |made_ms: u8| OrderId([0, 0, 0, 0, 0, made_ms, 0x70, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert!(regained.may_have_taken(made_ms(5), 1000), "made before, to be started later: it may have been cancelled");
        assert!(!regained.may_have_taken(made_ms(6), 1000));
    }

    #[test]
    fn a_chain_begins_above_everything_before() {
        let (now_ms, hour_ms) = (1_800_000_000_000, 3_600_000);
        let first = Memory::first_sequence(0, now_ms);
        assert!(Memory::first_sequence(0, now_ms + 1) >= first + 1024);
        // A clock that was years ahead at the first loss does not make the second chain begin below the first.
        let ahead = Memory::first_sequence(0, now_ms + 100_000 * hour_ms);
        assert!(Memory::first_sequence(ahead, now_ms) > ahead);
        assert!(i64::try_from(ahead).is_ok(), "a database keeps it");
    }
}
