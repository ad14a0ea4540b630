//! Whether an order that was taken may start *now*: trust, time and policy may have changed since, and hours have to come.
//!
//! What was signed is kept with its signatures until the order ends, so the question is asked anew of the trust and the policy of now: of
//! everything that waits when a new trust counts, and of each order before it starts. One outside its hours is held until they begin; one
//! that nothing allows any more is refused, with an answer to the bridge.

use super::Core;
use crate::admission::{Again, Allowed, Objection, Refusal, judge_again};
use crate::orders::{Order, Phase};
use crate::policy::PolicyState;
use crate::record::Record;
use flotilla_protocol::capability::ReportPayload;
use flotilla_protocol::id::OrderId;
use flotilla_protocol::status::{Admission, Outcome, RejectReason};

impl Core {
    /// The policy is another one, or its state is.
    pub(super) fn policy_changed(&mut self, policy: PolicyState, now: u64) {
        self.policy = policy;
        self.orders.release_held();
        self.tell_health_soon(now);
    }

    /// A new trust counts: what waits for its turn, and is not signed by those who may sign it now, never starts.
    pub(super) fn judge_what_waits(&mut self, now: u64) {
        if !self.trust.must_judge || !self.can_record() || self.trust.judging().is_none() {
            return;
        }
        self.trust.must_judge = false;
        let time_ms = self.time.at(now);
        let waits = |phase: &Phase| matches!(phase, Phase::Waiting(_) | Phase::Rebooting(_));
        let waiting = self.orders.known.iter().filter(|(_, order)| waits(&order.phase));
        let refused: Vec<(OrderId, Refusal)> = waiting
            .filter_map(|(id, order)| match self.judge_by_trust(order, time_ms) {
                Err(Objection::Ever(refusal)) => Some((*id, refusal)),
                Err(Objection::Until(_)) | Ok(_) => None,
            })
            .collect();
        for (order, refusal) in refused {
            self.withdraw(order, refusal, now);
        }
    }

    /// Whether the order may start, or go on after its reboot, at trusted time `time_ms`. If not it is held, or has ended.
    pub(super) fn may_start_now(&mut self, order: OrderId, time_ms: u64, now: u64) -> bool {
        let Some(known) = self.orders.known.get(&order) else { return false };
        match self.judge(known, time_ms) {
            Ok(()) => return true,
            Err(Objection::Until(at)) => self.orders.hold(order, at),
            Err(Objection::Ever(refusal)) => self.withdraw(order, refusal, now),
        }
        false
    }

    fn judge(&self, order: &Order, time_ms: u64) -> Result<(), Objection> {
        let allowed = self.judge_by_trust(order, Some(time_ms))?;
        // The policy is asked before the start, and not half-way.
        if order.is_rebooting() {
            return Ok(());
        }
        let judged = self.policy.check(allowed.class, allowed.persons);
        judged.map_err(|why| Objection::Ever(Refusal::because(RejectReason::Policy, &why)))
    }

    fn judge_by_trust(&self, order: &Order, time_ms: Option<u64>) -> Result<Allowed, Objection> {
        let Some(trust) = self.trust.judging() else { return Err(Objection::Ever(RejectReason::TrustVersion.into())) };
        // Neither hours nor the end of a key stop half-way what has begun.
        let time_ms = time_ms.filter(|_| !order.is_rebooting());
        judge_again(&Again { node: self.node, trust, policy: &self.policy, time_ms }, &order.signed)
    }

    /// An order that was taken never starts, or never goes on.
    fn withdraw(&mut self, order: OrderId, refusal: Refusal, now: u64) {
        let Refusal { reason, why } = refusal;
        self.refuse_because(reason, why);
        if let Some(known) = self.orders.known.get(&order).filter(|known| known.is_rebooting()) {
            let is_given_up = known.reboot.as_ref().is_some_and(|reboot| reboot.given_up.is_some());
            let when = if is_given_up { "with its last step" } else { "after the reboot" };
            let why = format!("it does not go on {when}: the node's trust has changed ({})", reason.as_str());
            return self.end(order, Outcome::Failed, &why, Vec::new(), now);
        }
        let report = self.spool.make(&self.identity, self.time.at(now), &ReportPayload::Admission(Admission::Rejected { order, reason }));
        self.record(Record::Ended { order, report });
        self.again.ended(order);
    }
}
