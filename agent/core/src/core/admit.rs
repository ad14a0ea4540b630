//! Orders and cancels that come: what the checks say of them becomes a record, an answer, or nothing but a counter.

use super::Core;
use super::again::{Cause, is_of_the_future};
use super::trust::FRESH_TO_TAKE_MS;
use crate::admission::{self, Admitted, Facts as AdmissionFacts, Refusal, Verdict};
use crate::interface::Output;
use crate::orders::Phase;
use crate::record::Record;
use crate::room;
use flotilla_protocol::capability::ReportPayload;
use flotilla_protocol::envelope::Domain;
use flotilla_protocol::id::OrderId;
use flotilla_protocol::order::{CancelBody, MAXIMUM_VALIDITY_MS};
use flotilla_protocol::status::{Admission, Outcome, RejectReason};
use flotilla_protocol::trust::{Class, Role};
use flotilla_protocol::wire::decode;

/// Furthest ahead that an order may end of which the node knows nothing but a cancel, in milliseconds: the validity of an order that begins
/// at most as late again.
const LONGEST_TOMBSTONE_MS: u64 = 2 * MAXIMUM_VALIDITY_MS;
/// Deliveries that wait for trusted time, at most; the bridge sends those beyond it again.
const MAXIMUM_AWAITING_TIME: usize = 16;

impl Core {
    pub(super) fn order(&mut self, retained: bool, payload: &[u8], now: u64) {
        let Some(trust) = self.trust.judging() else { return self.refuse(RejectReason::TrustVersion) };
        // A newer one is known and must be on disk first. The bridge sends again.
        if self.trust.is_behind() {
            return self.refuse(RejectReason::TrustVersion);
        }
        let time_ms = self.time.at(now);
        let fresh_ms = time_ms.filter(|_| self.time.is_fresh(now, FRESH_TO_TAKE_MS));
        let facts = AdmissionFacts {
            node: self.node,
            identity_key: &self.identity_key,
            trust,
            policy: &self.policy,
            agent_version: self.agent_version,
            floor_ms: self.time.floor_ms(),
            time_ms: fresh_ms,
            is_full: self.spool.is_full(),
            memory: &self.memory,
            journal_room: self.journal_room(),
            sealing_key: self.sealing_key.as_ref(),
        };
        let verdict = admission::judge(&facts, &self.orders, retained, payload);
        if matches!(verdict, Verdict::AwaitTime) && time_ms.is_some() {
            self.say_hello_out_of_turn(Cause::Stale, now);
        }
        match verdict {
            Verdict::Accept(admitted) => self.accept(*admitted, now),
            Verdict::AwaitTime if self.awaiting_time.iter().any(|waiting| waiting == payload) => {}
            Verdict::AwaitTime if self.awaiting_time.len() < MAXIMUM_AWAITING_TIME => self.awaiting_time.push_back(payload.to_vec()),
            Verdict::AwaitTime => self.refuse(RejectReason::Busy),
            Verdict::AlreadyTaken(order) => {
                self.refuse(RejectReason::Replay);
                self.answer_again(order, now);
            }
            Verdict::Drop(Refusal { reason, why }) => {
                self.refuse_because(reason, why);
                // The counters in a hello say it, now and not only at the next connection.
                if reason == RejectReason::Storage {
                    self.say_hello_out_of_turn(Cause::Storage, now);
                }
            }
            Verdict::Answer { order, not_after_ms, refusal } => self.reject(order, not_after_ms, refusal, now),
        }
    }

    pub(super) fn accept(&mut self, admitted: Admitted, now: u64) {
        let order = admitted.order.id;
        let report = self.spool.make(&self.identity, self.time.at(now), &ReportPayload::Admission(Admission::Accepted { order }));
        self.record(Record::Taken { envelope: admitted.envelope, node_data: admitted.node_data, report: Some(report) });
        if self.time.at(now).is_some_and(|time_ms| is_of_the_future(admitted.order.not_before_ms, time_ms)) {
            self.say_hello_out_of_turn(Cause::Future, now);
        }
    }

    /// Refuses an order for ever: its id is taken, so that it can neither run later nor be cancelled into a second outcome.
    pub(super) fn reject(&mut self, order: OrderId, not_after_ms: u64, refusal: Refusal, now: u64) {
        let Refusal { reason, why } = refusal;
        self.refuse_because(reason, why);
        if !self.is_full() {
            let report =
                self.spool.make(&self.identity, self.time.at(now), &ReportPayload::Admission(Admission::Rejected { order, reason }));
            self.record(Record::Refused { order, not_after_ms, report });
        }
    }

    /// Whether no further id can be taken.
    pub(super) fn is_full(&self) -> bool {
        let has_room = self.journal_room().is_some_and(|room| room >= room::of_waiting_order(0));
        self.orders.is_full(0) || self.spool.is_full() || !has_room
    }

    pub(super) fn cancel(&mut self, retained: bool, payload: &[u8], now: u64) -> Result<(), RejectReason> {
        let envelope = Self::envelope_of(Domain::Cancel, retained, payload)?;
        // A cancel only stops: any one key that may sign commands can say it, and the bridge.
        let trust = self.trust.judging().ok_or(RejectReason::TrustVersion)?;
        let signers = trust.signers(&envelope);
        if !trust.has_operator(&signers, Some(Class::Command)) && !trust.knows_a_signer_of(Role::Bridge, &envelope) {
            return Err(RejectReason::Signature);
        }
        let cancel: CancelBody = decode(envelope.body()).map_err(|_| RejectReason::Malformed)?;
        if cancel.fleet != self.trust.fleet() {
            return Err(RejectReason::Fleet);
        }
        if cancel.node != self.node {
            return Err(RejectReason::Target);
        }
        let order = cancel.order;
        let is_full = self.is_full();
        if !self.can_record() && !matches!(self.orders.known.get(&order).map(|order| &order.phase), Some(Phase::Running { .. })) {
            return Err(RejectReason::Storage);
        }
        // What a cancel says of an order's begin is only this: its end lies at most so much later.
        let may_have_run =
            self.memory.may_have_taken(order, order.made_ms().unwrap_or_else(|| cancel.not_after_ms.saturating_sub(MAXIMUM_VALIDITY_MS)));
        match self.orders.known.get(&order).map(|order| &order.phase) {
            Some(Phase::Waiting(_)) => self.end(order, Outcome::Cancelled, "cancelled before it started", Vec::new(), now),
            // It never goes on, whether or not the device still reboots.
            Some(Phase::Rebooting(_)) => self.end(order, Outcome::Cancelled, "cancelled while it waited for a reboot", Vec::new(), now),
            // Each time, because stopping a job may fail for a while, on a full disk for example.
            Some(Phase::Running { .. }) => {
                self.again.cancelled(order);
                self.outputs.push_back(Output::CancelJob { order });
            }
            Some(Phase::Ended { .. }) => self.answer_again(order, now),
            None if cancel.not_after_ms <= self.time.floor_ms() => return Err(RejectReason::Expired),
            // A tombstone lasts as long as it says. Where there is no trusted time yet, the share below is the only bound.
            None if self.time.at(now).is_some_and(|time_ms| cancel.not_after_ms > time_ms.saturating_add(LONGEST_TOMBSTONE_MS)) => {
                return Err(RejectReason::Malformed);
            }
            None if is_full || self.orders.is_full_of_tombstones() => return Err(RejectReason::Busy),
            // A job of before the loss may still run. Its outcome is said once reports can be made again: the bridge asks again.
            None if self.memory.lost.is_some() => {
                self.outputs.push_back(Output::CancelJob { order });
                return Err(RejectReason::MemoryLost);
            }
            None if may_have_run => {
                self.outputs.push_back(Output::CancelJob { order });
                let why = "the node has lost its memory, and whether the command ran before that cannot be known";
                let report = self.result(order, Outcome::Interrupted, why, Vec::new(), now);
                self.record(Record::Refused { order, not_after_ms: cancel.not_after_ms, report });
            }
            None => {
                let report = self.result(order, Outcome::Cancelled, "cancelled before it came", Vec::new(), now);
                self.record(Record::Refused { order, not_after_ms: cancel.not_after_ms, report });
            }
        }
        Ok(())
    }
}
