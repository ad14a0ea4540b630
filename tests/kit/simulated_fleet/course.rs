//! What the nodes see of a command: the proof that each started it at most once and that never too many had it.

use flotilla_protocol::id::OrderId;
use std::collections::BTreeMap;

/// Commands that are remembered; the oldest is forgotten first.
const MAXIMUM_COMMANDS: usize = 64;

/// A command as the nodes saw it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Course {
    /// How often each node, by its index, started it.
    pub starts: BTreeMap<usize, u32>,
    /// How many have taken it and not ended it.
    pub in_flight: usize,
    /// The most that there ever were of these.
    pub most_in_flight: usize,
    /// When the last one started it: milliseconds of the fleet's age.
    pub last_start_ms: u64,
}

impl Course {
    /// Whether no node started it twice.
    #[must_use]
    pub fn is_at_most_once(&self) -> bool {
        self.starts.values().all(|starts| *starts == 1)
    }
}

/// The courses of the newest commands; ids begin with their time.
#[derive(Debug, Default)]
pub(super) struct Courses(BTreeMap<OrderId, Course>);

impl Courses {
    pub(super) fn of(&self, order: OrderId) -> Course {
        self.0.get(&order).cloned().unwrap_or_default()
    }

    pub(super) fn accepted(&mut self, order: OrderId) {
        let course = self.0.entry(order).or_default();
        course.in_flight += 1;
        course.most_in_flight = course.most_in_flight.max(course.in_flight);
        if self.0.len() > MAXIMUM_COMMANDS {
            drop(self.0.pop_first());
        }
    }

    pub(super) fn started(&mut self, order: OrderId, node: usize, now_ms: u64) {
        let course = self.0.entry(order).or_default();
        *course.starts.entry(node).or_insert(0) += 1;
        course.last_start_ms = now_ms;
    }

    pub(super) fn ended(&mut self, order: OrderId) {
        let course = self.0.entry(order).or_default();
        course.in_flight = course.in_flight.saturating_sub(1);
    }
}
