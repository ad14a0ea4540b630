//! What is said or tried a second time: hellos on a connection that lasts, answers to orders that are over, starts that were none.
//!
//! A bridge may have been restarted, or its database be an older copy, behind a broker that never let go of the node: nothing tells the node.
//! So it says hello again from time to time, and at once where something looks like it; and what it is asked again it answers again.

use super::{Connection, Core, MAXIMUM_HELLO_PAUSE_MS, MINIMUM_HELLO_PAUSE_MS, Unrecorded};
use crate::orders::Phase;
use crate::record::{End, Record};
use flotilla_protocol::capability::ReportPayload;
use flotilla_protocol::id::OrderId;
use flotilla_protocol::status::{Admission, Outcome};
use flotilla_protocol::topic::UpKind;
use std::collections::{BTreeMap, BTreeSet};

/// Shortest time from a hello that was welcomed to the next, in milliseconds. A hello and its welcome are about 1 kB: 24 to 32 kB a day.
const SHORTEST_PERIOD_MS: u64 = 45 * 60_000;
/// So much is added at most, in milliseconds, so that the nodes of a fleet do not speak all at once.
const PERIOD_SPREAD_MS: u64 = 30 * 60_000;

/// An order that may not start for so long lies in the future: the bridge's clock and the node's time differ, in milliseconds.
const FUTURE_MS: u64 = 60_000;

/// Pause before the answer to an order that is over is made a second time, in milliseconds: whoever keeps deliveries can send them for ever.
const ANSWER_PAUSE_MS: u64 = 600_000;
/// Orders of which it is kept in mind when they were answered again; beyond it none is answered for a while.
const MAXIMUM_ANSWERED: usize = 1024;

/// After so many starts that were none the order has failed: something ends exec each time.
const MAXIMUM_TRIES: u32 = 5;

/// What the output of an order is called when its result is said again without it.
const DELIVERED_BEFORE: &str = "said again: the whole result and its output were delivered before";

/// Why a hello is said out of turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cause {
    /// Orders are refused for the disk's sake.
    Storage,
    /// Reports get no receipt: the bridge may wait for some that it had before.
    Unanswered,
    /// An order lies in the future.
    Future,
    /// A trust bundle came that does not follow the node's own.
    Trust,
    /// The last welcome is too old to take orders.
    Stale,
}

impl Cause {
    /// Pause between two hellos for this cause, in milliseconds.
    fn pause_ms(self) -> u64 {
        match self {
            Self::Storage | Self::Trust | Self::Stale => 60_000,
            Self::Unanswered | Self::Future => 600_000,
        }
    }
}

/// Whether an order that may start at `not_before_ms` contradicts the node's time.
pub(super) fn is_of_the_future(not_before_ms: u64, time_ms: u64) -> bool {
    not_before_ms > time_ms.saturating_add(FUTURE_MS)
}

/// What is kept in mind about it, and may be forgotten at any time.
#[derive(Debug, Default)]
pub(super) struct Again {
    /// When a hello was last said for each cause.
    said_at: BTreeMap<Cause, u64>,
    /// When each order was last answered again.
    answered_at: BTreeMap<OrderId, u64>,
    /// Running orders that a cancel came for.
    cancelled: BTreeSet<OrderId>,
}

impl Again {
    pub(super) fn cancelled(&mut self, order: OrderId) {
        self.cancelled.insert(order);
    }

    pub(super) fn is_cancelled(&self, order: OrderId) -> bool {
        self.cancelled.contains(&order)
    }

    pub(super) fn ended(&mut self, order: OrderId) {
        self.cancelled.remove(&order);
    }
}

impl Connection {
    /// When the next hello is due: uptime in milliseconds.
    pub(super) fn next_hello(&self) -> u64 {
        let pause_ms = if self.is_welcomed { self.period_ms() } else { self.hello_pause_ms };
        self.hello_at.saturating_add(pause_ms)
    }

    /// The nonce is random, and another one each time.
    fn period_ms(&self) -> u64 {
        let [first, second, ..] = self.nonce;
        SHORTEST_PERIOD_MS + PERIOD_SPREAD_MS * u64::from(u16::from_le_bytes([first, second])) / u64::from(u16::MAX)
    }
}

impl Core {
    /// Says hello again where there was no welcome, or where the last was long ago.
    pub(super) fn say_due_hello(&mut self, now: u64) {
        let Some(connection) = &mut self.connection else { return };
        if connection.next_hello() > now {
            return;
        }
        connection.hello_pause_ms =
            if connection.is_welcomed { MINIMUM_HELLO_PAUSE_MS } else { (connection.hello_pause_ms * 2).min(MAXIMUM_HELLO_PAUSE_MS) };
        self.say_hello_anew(now);
    }

    pub(super) fn say_hello_out_of_turn(&mut self, cause: Cause, now: u64) {
        let is_due = self.again.said_at.get(&cause).is_none_or(|at| now.saturating_sub(*at) >= cause.pause_ms());
        let Some(connection) = self.connection.as_mut().filter(|connection| is_due && connection.is_welcomed) else { return };
        connection.hello_pause_ms = MINIMUM_HELLO_PAUSE_MS;
        self.again.said_at.insert(cause, now);
        self.say_hello_anew(now);
    }

    pub(super) fn say_hello_anew(&mut self, now: u64) {
        self.trust.hello_said();
        if let Some(connection) = &mut self.connection {
            connection.nonce = flotilla_protocol::sha256(&[b"next hello", &connection.nonce]);
            (connection.hello_at, connection.is_welcomed, connection.trust_version) = (now, false, self.trust.version());
        }
        self.say_hello();
    }

    /// An order comes again, or a cancel for one that is over. What is held about it is sent again. Where nothing is held the bridge had it
    /// all and does not know it any more: its outcome is signed anew, without the output.
    pub(super) fn answer_again(&mut self, order: OrderId, now: u64) {
        if self.connection.is_none() {
            return;
        }
        let held = self.spool.about(order);
        if !held.is_empty() {
            for payload in held {
                self.publish(UpKind::Report, payload);
            }
            return;
        }
        let Some(Phase::Ended { end: Some(end), .. }) = self.orders.known.get(&order).map(|order| &order.phase) else { return };
        let (end, answered_at) = (*end, &mut self.again.answered_at);
        answered_at.retain(|_, at| now.saturating_sub(*at) < ANSWER_PAUSE_MS);
        if answered_at.contains_key(&order) || answered_at.len() >= MAXIMUM_ANSWERED || self.is_full() {
            return;
        }
        self.again.answered_at.insert(order, now);
        let report = match end {
            End::Outcome(outcome) => self.result(order, outcome, DELIVERED_BEFORE, Vec::new(), now),
            End::Rejected(reason) => {
                self.spool.make(&self.identity, self.time.at(now), &ReportPayload::Admission(Admission::Rejected { order, reason }))
            }
        };
        self.record(Record::Report { report });
    }

    /// A start that was recorded never was one: the order waits again, and is judged by the time again before it starts.
    pub(super) fn never_started(&mut self, order: OrderId, now: u64) {
        if !self.can_record() {
            return self.record_later(order, Unrecorded::NeverStarted);
        }
        let tries = match self.orders.known.get(&order) {
            Some(known) if matches!(known.phase, Phase::Running { .. }) => known.tries.saturating_add(1),
            _ => return,
        };
        self.record(Record::NotStarted { order, tries });
        if self.again.is_cancelled(order) {
            self.end(order, Outcome::Cancelled, "cancelled before it started", Vec::new(), now);
        } else if tries >= MAXIMUM_TRIES {
            self.end(order, Outcome::Failed, "the agent ended each time before it could start the command", Vec::new(), now);
        }
    }
}
