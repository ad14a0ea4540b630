//! What is asked of the world, and what must hold at its end.

use super::World;
use super::fleet::{START_MS, TELEMETRY, VALID_MS, order_id};
use flotilla_agent_core::{Input, Record};
use flotilla_protocol::report::{OutputStream, Stream};
use flotilla_protocol::status::RejectReason;

impl World {
    /// Whether the node has told the bridge that its memory is lost, and takes orders again.
    pub(crate) fn has_regained_memory(&self) -> bool {
        self.core.floor().barrier_ms > 0
    }

    pub(crate) fn is_accepted(&self, number: u8) -> bool {
        self.bridge.accepted.contains(&order_id(number))
    }

    pub(crate) fn is_started(&self, number: u8) -> bool {
        self.starts.contains_key(&order_id(number))
    }

    /// Whether the journal says that it waits although it was about to start.
    pub(crate) fn is_recorded_as_waiting(&self, number: u8) -> bool {
        let id = order_id(number);
        self.durable.iter().chain(&self.written).any(|record| matches!(record, Record::NotStarted { order, .. } if *order == id))
    }

    pub(crate) fn has_result(&self, number: u8) -> bool {
        self.bridge.results.contains_key(&order_id(number))
    }

    pub(crate) fn is_lost(&self, number: u8) -> bool {
        self.bridge.lost.contains(&order_id(number))
    }

    /// How many messages were refused that the bridge sends again.
    pub(crate) fn refused_for_now(&self) -> u32 {
        let count = |reason| self.core.refused().get(&reason).copied().unwrap_or(0);
        count(RejectReason::Storage) + count(RejectReason::MemoryLost)
    }

    pub(super) fn is_spinning(&mut self) -> bool {
        let wants_now = |world: &Self| world.core.next_wakeup(world.now).is_some_and(|at| at <= world.now);
        (0..50).all(|_| {
            let wants = wants_now(self);
            if wants {
                self.handle(Input::Tick);
            }
            wants
        })
    }

    /// What may be dropped takes no more than it may.
    pub(super) fn check_spool_is_bounded(&self) {
        let bytes: usize = self.held(Stream::Telemetry).iter().map(|(_, bytes)| bytes).sum();
        assert!(bytes <= TELEMETRY.spool_bytes, "{bytes} bytes of telemetry are held");
    }

    /// How many reports of telemetry came, how many did not come and were said to be dropped, and in how many gaps.
    pub(crate) fn telemetry(&self) -> (u64, u64, u32) {
        let telemetry = &self.bridge.telemetry;
        (telemetry.received, telemetry.dropped, telemetry.gaps)
    }

    /// When the bridge has everything, the node keeps nothing but ids.
    pub(crate) fn check_nothing_is_left(&self) {
        for record in self.core.snapshot() {
            assert!(!matches!(record, Record::Upload { .. }), "output is kept for ever: {record:?}");
            let keeps_folder = matches!(record, Record::Known { has_folder: true, .. } | Record::KnownEnd { has_folder: true, .. });
            assert!(!keeps_folder, "a folder is kept for ever: {record:?}");
        }
        assert!(self.held(Stream::Control).is_empty(), "a report is kept for ever");
        let telemetry = &self.bridge.telemetry;
        assert!(telemetry.is_whole(), "a report is neither here nor said to be dropped: {telemetry:?}");
        let behind = self.held(Stream::Telemetry).iter().filter(|(report, _)| report.sequence <= telemetry.sequence()).count();
        assert!(behind <= 1 && self.held(Stream::Telemetry).len() <= 2, "telemetry is kept for ever");
    }

    pub(crate) fn check_everything_ended(&self) {
        for number in &self.delivered {
            let id = order_id(*number);
            let ended = self.bridge.results.contains_key(&id);
            // Behind the floor the node does not answer: the bridge knows that the time is over, and that nothing was accepted.
            let is_over = !self.bridge.accepted.contains(&id) && self.real_ms >= START_MS + VALID_MS && !self.starts.contains_key(&id);
            let is_lost = self.bridge.lost.contains(&id);
            assert!(ended || is_over || is_lost || self.bridge.rejected.contains_key(&id), "order {number} has no end");
        }
        for (id, result) in self.bridge.results.iter().filter(|(id, _)| !self.had_result_at_loss.contains(id)) {
            for (index, step) in (0_u16..).zip(&result.steps) {
                let head = u64::try_from(step.stdout.head.len()).unwrap();
                if step.stdout.kept_bytes > head {
                    let received = self.bridge.output.get(&(*id, index, OutputStream::Stdout)).copied().unwrap_or(0);
                    assert_eq!(received, step.stdout.kept_bytes, "output of {id} is not whole");
                }
            }
        }
    }

    /// Breaks the promise on purpose, for the test of this checker.
    pub(crate) fn start_again(&mut self, number: u8) {
        self.start(order_id(number));
    }
}
