//! The orders that the node knows: the replay window, the run queue and the lanes.
//!
//! An id stays until its `not_after` lies behind the durable floor; an order whose `not_after` lies behind the floor is refused. The two are
//! one comparison ([`Orders::evict`] and [`crate::admission`] both use `not_after <= floor`), so no clock error lets an id in twice.

use crate::record::{Attempt, End, Reboot, RebootTries, Record};
use flotilla_protocol::capability::command::CommandOrder;
use flotilla_protocol::id::{BootId, OrderId};
use flotilla_protocol::status::{Outcome, RejectReason};
use std::collections::BTreeMap;

/// Most ids in the replay window; then orders are refused as `Busy`, and never is an id evicted early.
pub const MAXIMUM_ORDERS: usize = 8192;

/// Most of these that are cancelled orders which never ran: whoever can only cancel must not take the places of orders.
const MAXIMUM_TOMBSTONES: usize = 1024;

/// Most of these that are orders for other nodes: whoever can only sign for those must not take the places of orders.
const MAXIMUM_FOR_OTHERS: usize = 1024;

/// Most bytes of orders that wait or run; beyond it orders are refused as `Busy`: a node of 64 MB of memory bears it.
const MAXIMUM_BODY_BYTES: usize = 8 * 1024 * 1024;

/// Most lanes that are remembered; then orders in further lanes are refused as `Busy`.
pub(crate) const MAXIMUM_LANES: usize = 1024;

/// Where an order is.
#[derive(Debug)]
pub(crate) enum Phase {
    /// Accepted, waiting for a free place in its lane and among the jobs.
    Waiting(Box<CommandOrder>),
    /// Recorded as starting in a boot; the job runs, as far as is known.
    Running { command: Box<CommandOrder>, boot: BootId },
    /// A step has asked for the reboot that stands in [`Order::reboot`]: it goes on in another boot than the reboot's.
    Rebooting(Box<CommandOrder>),
    /// It has its outcome. `has_folder`: its output may still be needed. `end`: what was said of it; an older journal does not know it.
    Ended { has_folder: bool, end: Option<End> },
}

/// What is kept of an order as it was signed, while it is needed.
#[derive(Debug)]
pub(crate) enum Signed {
    /// Only the body: from the journal of a release that kept no signatures.
    Body(Vec<u8>),
    /// The whole envelope.
    Envelope(Vec<u8>),
    /// It has its outcome.
    Nothing,
}

impl Signed {
    /// How many bytes it has.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Body(bytes) | Self::Envelope(bytes) => bytes.len(),
            Self::Nothing => 0,
        }
    }
}

/// One known order.
#[derive(Debug)]
pub(crate) struct Order {
    /// What was signed, while a start or a snapshot needs it.
    pub(crate) signed: Signed,
    /// The node data of its delivery, as long: sealed, and proven with it.
    pub(crate) node_data: Vec<u8>,
    /// It does not start before this, in trusted milliseconds, because of the hours of its rule; 0 where nothing is known of hours.
    pub(crate) held_until_ms: u64,
    pub(crate) not_before_ms: u64,
    pub(crate) not_after_ms: u64,
    pub(crate) lane: Option<(String, u16)>,
    pub(crate) sequence: u64,
    /// Place in the run queue: the order in which orders were accepted.
    pub(crate) arrival: u64,
    /// How often it was about to start, or to go on after its last reboot, and certainly did not.
    pub(crate) tries: u32,
    /// The last reboot that it asked for.
    pub(crate) reboot: Option<Box<Rebooting>>,
    pub(crate) phase: Phase,
}

/// A reboot that an order asked for, and what came of it so far.
#[derive(Debug)]
pub(crate) struct Rebooting {
    pub(crate) asked: Reboot,
    pub(crate) tries: RebootTries,
    /// Why it is not to be: then the order goes on in any boot, with its last step alone.
    pub(crate) given_up: Option<String>,
}

impl Order {
    /// How many bytes of its delivery are held.
    pub(crate) fn bytes(&self) -> usize {
        self.signed.len() + self.node_data.len()
    }

    /// The record of a snapshot that says that it was taken.
    pub(crate) fn record(&self) -> Option<Record> {
        match &self.signed {
            Signed::Body(body) => Some(Record::Accepted { body: body.clone(), report: None }),
            Signed::Envelope(envelope) => {
                Some(Record::Taken { envelope: envelope.clone(), node_data: self.node_data.clone(), report: None })
            }
            Signed::Nothing => None,
        }
    }

    /// Which start is, or was, its last.
    pub(crate) fn attempt(&self) -> Attempt {
        Attempt { reboots: self.reboot.as_ref().map_or(0, |reboot| reboot.asked.count), tries: self.tries }
    }

    /// Whether it waits for a reboot that did not happen as far as `boot` shows.
    pub(crate) fn awaits_reboot(&self, boot: BootId) -> bool {
        self.is_rebooting() && self.reboot.as_ref().is_some_and(|reboot| reboot.asked.boot == boot && reboot.given_up.is_none())
    }

    /// Whether it may go on, since this is `boot`: the reboot that it waited for lies behind it, or is not to be.
    pub(crate) fn may_go_on(&self, boot: BootId) -> bool {
        self.is_rebooting() && self.reboot.as_ref().is_some_and(|reboot| reboot.given_up.is_some() || reboot.asked.boot != boot)
    }

    /// From when on it may start, as far as that is known, in trusted milliseconds.
    fn starts_ms(&self) -> u64 {
        self.not_before_ms.max(self.held_until_ms)
    }

    /// It has begun, and waits for a reboot or comes back from one.
    pub(crate) fn is_rebooting(&self) -> bool {
        matches!(self.phase, Phase::Rebooting(_))
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Lane {
    pub(crate) sequence: u64,
    pub(crate) not_after_ms: u64,
}

/// Every known order.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    pub(crate) known: BTreeMap<OrderId, Order>,
    pub(crate) lanes: BTreeMap<(String, u16), Lane>,
    arrivals: u64,
}

impl Orders {
    /// Whether an order with so many bytes of body and node data has no room.
    pub(crate) fn is_full(&self, body_bytes: usize) -> bool {
        let held: usize = self.known.values().map(Order::bytes).sum();
        self.known.len() >= MAXIMUM_ORDERS || held + body_bytes > MAXIMUM_BODY_BYTES
    }

    /// Whether no further order may be cancelled that has not come.
    pub(crate) fn is_full_of_tombstones(&self) -> bool {
        // An order that waited when it was cancelled, or may have run before a loss of memory, looks the same here: it takes a place as well.
        self.count_ended(|end| matches!(end, End::Outcome(Outcome::Cancelled | Outcome::Interrupted))) >= MAXIMUM_TOMBSTONES
    }

    /// Whether no further order may be refused for good that is for other nodes. They leave cancels their places.
    pub(crate) fn is_full_of_orders_for_others(&self) -> bool {
        self.count_ended(|end| *end == End::Rejected(RejectReason::Scope)) >= MAXIMUM_FOR_OTHERS
    }

    fn count_ended(&self, is_counted: impl Fn(&End) -> bool) -> usize {
        let counts = |order: &&Order| matches!(&order.phase, Phase::Ended { has_folder: false, end: Some(end) } if is_counted(end));
        self.known.values().filter(counts).count()
    }

    /// Adds an accepted order.
    pub(crate) fn insert(&mut self, id: OrderId, mut order: Order) {
        self.arrivals += 1;
        order.arrival = self.arrivals;
        self.known.insert(id, order);
    }

    /// An order starts: those before it in its lane can come no more.
    pub(crate) fn pass_in_lane(&mut self, id: OrderId) {
        if let Some(order) = self.known.get(&id)
            && let Some(key) = order.lane.clone()
        {
            let lane = self.lanes.entry(key).or_insert(Lane { sequence: 0, not_after_ms: 0 });
            lane.sequence = lane.sequence.max(order.sequence);
            lane.not_after_ms = lane.not_after_ms.max(order.not_after_ms);
        }
    }

    /// Adds an id that has its outcome.
    pub(crate) fn insert_ended(&mut self, id: OrderId, not_after_ms: u64, has_folder: bool, end: Option<End>) {
        let phase = Phase::Ended { has_folder, end };
        let order = Order {
            signed: Signed::Nothing,
            node_data: Vec::new(),
            held_until_ms: 0,
            not_before_ms: 0,
            not_after_ms,
            lane: None,
            sequence: 0,
            arrival: 0,
            tries: 0,
            reboot: None,
            phase,
        };
        self.known.insert(id, order);
    }

    /// A waiting order does not start before this, in trusted milliseconds.
    pub(crate) fn hold(&mut self, id: OrderId, until_ms: u64) {
        if let Some(order) = self.known.get_mut(&id) {
            order.held_until_ms = until_ms;
        }
    }

    /// Whatever was held is judged anew.
    pub(crate) fn release_held(&mut self) {
        self.known.values_mut().for_each(|order| order.held_until_ms = 0);
    }

    /// How many jobs run.
    pub(crate) fn running(&self) -> usize {
        self.known.values().filter(|order| matches!(order.phase, Phase::Running { .. })).count()
    }

    /// How many wait for their turn or their time.
    pub(crate) fn waiting(&self) -> usize {
        self.known.values().filter(|order| matches!(order.phase, Phase::Waiting(_))).count()
    }

    /// The next order that may start at trusted time `time_ms`, oldest first; one of a lane waits for the one before it.
    pub(crate) fn next_to_start(&self, time_ms: u64) -> Option<OrderId> {
        let is_running = |order: &Order| matches!(order.phase, Phase::Running { .. } | Phase::Rebooting(_));
        let waiting = self.known.iter().filter(|(_, order)| matches!(order.phase, Phase::Waiting(_)) && order.starts_ms() <= time_ms);
        let free = waiting.filter(|(_, order)| {
            let earlier =
                |other: &Order| is_running(other) || (matches!(other.phase, Phase::Waiting(_)) && other.sequence < order.sequence);
            order.lane.is_none() || !self.known.values().any(|other| other.lane == order.lane && earlier(other))
        });
        free.min_by_key(|(_, order)| order.arrival).map(|(id, _)| *id)
    }

    /// The next order that goes on after the reboot that it asked for, or without it.
    pub(crate) fn next_to_resume(&self, boot: BootId) -> Option<OrderId> {
        let may = self.known.iter().filter(|(_, order)| order.may_go_on(boot));
        may.min_by_key(|(_, order)| order.arrival).map(|(id, _)| *id)
    }

    /// When a waiting order may start or expires, whichever comes first after `time_ms`, in trusted milliseconds.
    pub(crate) fn next_due(&self, time_ms: u64) -> Option<u64> {
        let waiting = self.known.values().filter(|order| matches!(order.phase, Phase::Waiting(_)));
        waiting.flat_map(|order| [order.starts_ms(), order.not_after_ms]).filter(|at| *at > time_ms).min()
    }

    /// Waiting orders whose time has run out at trusted time `time_ms`.
    pub(crate) fn expired(&self, time_ms: u64) -> Vec<OrderId> {
        let expired = |order: &Order| matches!(order.phase, Phase::Waiting(_)) && order.not_after_ms <= time_ms;
        self.known.iter().filter(|(_, order)| expired(order)).map(|(id, _)| *id).collect()
    }

    /// Forgets what lies behind the durable floor and needs nothing more.
    pub(crate) fn evict(&mut self, floor_ms: u64, is_needed: impl Fn(OrderId) -> bool) {
        self.known.retain(|id, order| {
            let is_over = matches!(order.phase, Phase::Ended { has_folder: false, .. });
            !is_over || order.not_after_ms > floor_ms || is_needed(*id)
        });
        let known = &self.known;
        self.lanes.retain(|key, lane| lane.not_after_ms > floor_ms || known.values().any(|order| order.lane.as_ref() == Some(key)));
    }
}
