//! Jobs: they start when everything allows it, end with one signed result, and their output goes up in chunks.

use super::{Core, Unrecorded};
use crate::interface::{JobEnd, Output};
use crate::orders::Phase;
use crate::record::Record;
use crate::room;
use crate::upload::StreamId;
use flotilla_protocol::capability::ReportPayload;
use flotilla_protocol::capability::command::{
    CommandProgress, CommandResult, MAXIMUM_EXPLANATION_BYTES, RESULT_STDERR_BYTES, RESULT_STDOUT_BYTES, StepResult,
};
use flotilla_protocol::envelope::{Domain, seal};
use flotilla_protocol::id::OrderId;
use flotilla_protocol::report::{OutputBody, OutputReceiptBody};
use flotilla_protocol::status::{Outcome, RejectReason};
use flotilla_protocol::topic::UpKind;
use flotilla_protocol::trust::Role;
use flotilla_protocol::wire::encode;

/// Ends of jobs that wait for the disk, at most: more jobs than this never run.
const MAXIMUM_UNRECORDED_ENDS: usize = 1024;

impl Core {
    pub(super) fn start_waiting(&mut self, now: u64) {
        let Some(time_ms) = self.time.at(now) else { return };
        for order in self.orders.expired(time_ms) {
            self.end(order, Outcome::Expired, "its time ran out before it could start", Vec::new(), now);
        }
        // Nothing starts while the results of what ended have no room.
        let may_start = |core: &Self| {
            core.orders.running() < core.maximum_jobs
                && !core.awaits_reboot()
                && core.told_to_reboot_until.is_none_or(|until| now >= until)
                && !core.spool.is_full()
                && core.journal_room().is_some_and(|room| room >= room::of_running_job())
        };
        while may_start(self) && self.trust_lets_start(time_ms, now) {
            // What goes on after its reboot, or without it, has started: neither hours nor a standstill stop it half-way.
            let resumes = self.orders.next_to_resume(self.boot);
            let starts = || self.orders.next_to_start(time_ms).filter(|_| self.policy.standstill().is_none());
            let Some(order) = resumes.or_else(starts) else { break };
            // Trust and policy may have changed since it was taken, and the power have gone before that was acted on.
            if !self.may_start_now(order, time_ms, now) {
                continue;
            }
            // At a later try it was said before; after a reboot it is said again, once: the bridge is to know that it goes on.
            let is_first = self.orders.known.get(&order).is_some_and(|order| order.tries == 0);
            let progress = ReportPayload::CommandProgress(CommandProgress { order });
            let report = is_first.then(|| self.spool.make(&self.identity, Some(time_ms), &progress));
            self.record(Record::Starting { order, boot: self.boot, report });
            if let Some(known) = self.orders.known.get(&order)
                && let Phase::Running { command, .. } = &known.phase
            {
                let without_reboot = known.reboot.as_ref().and_then(|reboot| reboot.given_up.clone());
                self.outputs.push_back(Output::RunJob { order, command: command.clone(), attempt: known.attempt(), without_reboot });
            }
        }
    }

    pub(super) fn job_ended(&mut self, order: OrderId, end: JobEnd, now: u64) {
        if !self.can_record() {
            return self.record_later(order, Unrecorded::Over(end));
        }
        if matches!(self.orders.known.get(&order).map(|order| &order.phase), Some(Phase::Running { .. })) {
            let steps = end.steps.into_iter().map(|step| self.with_trusted_times(step, now)).collect();
            self.end(order, end.outcome, &end.explanation, steps, now);
        }
    }

    pub(super) fn record_later(&mut self, order: OrderId, end: Unrecorded) {
        if !self.unrecorded_ends.iter().any(|(of, _)| *of == order) && self.unrecorded_ends.len() < MAXIMUM_UNRECORDED_ENDS {
            self.unrecorded_ends.push((order, end));
        }
    }

    pub(super) fn with_trusted_times(&self, mut step: StepResult, now: u64) -> StepResult {
        let trusted = |uptime: Option<u64>| {
            let ago = now.saturating_sub(uptime?);
            Some(self.time.at(now)?.saturating_sub(ago))
        };
        (step.started_ms, step.ended_ms) = (trusted(step.started_ms), trusted(step.ended_ms));
        step
    }

    pub(super) fn end(&mut self, order: OrderId, outcome: Outcome, explanation: &str, steps: Vec<StepResult>, now: u64) {
        let (explanation, steps) = self.with_what_was_before_a_reboot(order, outcome, explanation, steps);
        let report = self.result(order, outcome, &explanation, steps, now);
        self.record(Record::Ended { order, report });
        self.again.ended(order);
    }

    /// The signed result, with as much of the output as a result may carry.
    pub(super) fn result(&self, order: OrderId, outcome: Outcome, explanation: &str, mut steps: Vec<StepResult>, now: u64) -> Vec<u8> {
        bound_output(&mut steps);
        let result = CommandResult { order, outcome, explanation: bound_explanation(explanation), steps };
        self.spool.make(&self.identity, self.time.at(now), &ReportPayload::CommandResult(result))
    }

    pub(super) fn output_read(&mut self, id: StreamId, offset: u64, bytes: Vec<u8>) {
        let (order, step, stream) = id;
        if bytes.is_empty() {
            self.uploads.give_up(&id);
            return self.forget_if_done(order);
        }
        let body = OutputBody { node: self.node, order, step, stream, offset, bytes };
        let sealed = seal(Domain::Output, &encode(&body), &[&self.identity]);
        self.publish(UpKind::Output, sealed);
    }

    pub(super) fn output_receipt(&mut self, retained: bool, payload: &[u8]) -> Result<(), RejectReason> {
        let receipt: OutputReceiptBody = self.signed_by(Role::Bridge, Domain::OutputReceipt, retained, payload)?;
        if receipt.node != self.node {
            return Err(RejectReason::Target);
        }
        self.uploads.receipt((receipt.order, receipt.step, receipt.stream), receipt.up_to);
        self.forget_if_done(receipt.order);
        Ok(())
    }

    /// When the bridge has an order's result and all of its output, the job's folder may go, and the id once the floor has passed it.
    pub(super) fn forget_if_done(&mut self, order: OrderId) {
        let is_ended = matches!(self.orders.known.get(&order).map(|order| &order.phase), Some(Phase::Ended { has_folder: true, .. }));
        if is_ended && self.can_record() && !self.spool.holds_result_of(order) && !self.uploads.concerns(order) {
            self.record(Record::Forgotten { order });
            self.outputs.push_back(Output::ForgetJob { order });
        }
    }

    pub(super) fn forget_what_is_done(&mut self) {
        let known: Vec<OrderId> = self.orders.known.keys().copied().collect();
        for order in known {
            self.forget_if_done(order);
        }
    }
}

/// Leaves as much of the output as all steps of a result may carry together.
pub(super) fn bound_output(steps: &mut [StepResult]) {
    let (mut stdout_left, mut stderr_left) = (RESULT_STDOUT_BYTES, RESULT_STDERR_BYTES);
    for step in steps {
        step.stdout.head.truncate(stdout_left);
        step.stderr.head.truncate(stderr_left);
        stdout_left -= step.stdout.head.len();
        stderr_left -= step.stderr.head.len();
    }
}

/// A text for people, cut to what a result carries.
pub(super) fn bound_explanation(text: &str) -> String {
    let mut text = text.to_owned();
    text.truncate(text.floor_char_boundary(MAXIMUM_EXPLANATION_BYTES));
    text
}
