//! The checker: takes what happened on nodes and what the bridge has written, and says which numbered invariant of INVARIANTS.md
//! (commands C1 to C14, reboots R1 to R5, reports T1 to T6, the audit log's A2) broke, where, and why. Every fault test whose trials have commands calls it.
//!
//! A [`History`] is plain data. The simulator writes down everything that happens, and everything is checked; a test of real processes
//! reads what they leave ([`database::read`], [`journal::read`], [`History::effects`]), and what it cannot know is not checked: each rule
//! says what it needs. To check one more thing: add what must be known to [`history`], a rule to [`device`], [`reboots`], [`bridge`], [`journal`]
//! or [`told`], and a history that breaks it to `tests.rs`, which fails while an invariant of the list has none.

pub mod bridge;
pub mod database;
pub mod device;
pub mod history;
pub mod journal;
pub mod reboots;
#[cfg(test)]
mod tests;
pub mod told;

pub use history::{Ask, CommandHistory, Entry, Fact, History, InvocationRow, Knowledge, NodeHistory, Note, OutputRows, Seen};

use std::fmt;

macro_rules! invariants {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// An invariant by its number in INVARIANTS.md.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Invariant { $($(#[$doc])* $name),+ }
        impl Invariant {
            /// Every invariant that the checker knows.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];
        }
    };
}

invariants! {
    /// No start without a durable Starting record.
    C1,
    /// At most one start of each step, and one more for each reboot that it asked for.
    C2,
    /// One immutable signed terminal state, and bridge and device agree.
    C3,
    /// Unknown means Interrupted.
    C4,
    /// Expiry is judged by trusted time.
    C5,
    /// No order id twice; its record is durable before it is accepted.
    C6,
    /// A rejected message has no effect.
    C7,
    /// A cancel before the start prevents it; one after it kills within ten seconds.
    C8,
    /// A time-out is kept.
    C9,
    /// Output is bounded, in order and whole.
    C10,
    /// What the bridge shows as accepted the device has signed.
    C11,
    /// Each frozen target reaches one terminal state, others none, and the counts say so.
    C12,
    /// A lane starts in the order of its sequences.
    C13,
    /// Nothing is taken that was retained, or was for another topic or device.
    C14,
    /// The intent to reboot is durable before the device is told.
    R1,
    /// Only another boot proves a reboot.
    R2,
    /// It goes on at the recorded step.
    R3,
    /// No reboot under other jobs.
    R4,
    /// Reboots are bounded.
    R5,
    /// What has a receipt is in the database.
    T1,
    /// Duplicates are one row.
    T2,
    /// Gaps are explicit, and there are none without a cause.
    T3,
    /// Control reports are never dropped.
    T4,
    /// No device writes for another.
    T5,
    /// A poison message is set aside.
    T6,
    /// Every start on a device has one audit record.
    A2,
}

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// Which one.
    pub invariant: Invariant,
    /// On which node; empty where it concerns none.
    pub node: String,
    /// For which order; empty where it concerns none.
    pub order: String,
    /// What was found.
    pub why: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { invariant, node, order, why } = self;
        write!(f, "{invariant:?} is broken (node {node:?}, order {order:?}): {why}")
    }
}

/// Everything that is broken in a history, sorted; empty when all holds.
#[must_use]
pub fn check(history: &History) -> Vec<Violation> {
    let mut found = Vec::new();
    for (node, of_node) in &history.nodes {
        device::check(history, node, of_node, &mut found);
        journal::check(history, node, of_node, &mut found);
        reboots::check(history, node, of_node, &mut found);
    }
    bridge::check(history, &mut found);
    told::check(history, &mut found);
    found.sort();
    found.dedup();
    found
}

/// Fails a test when anything is broken.
///
/// # Panics
/// With every broken invariant, one a line.
pub fn assert_holds(history: &History) {
    let broken = check(history);
    assert!(broken.is_empty(), "{}", broken.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
}
