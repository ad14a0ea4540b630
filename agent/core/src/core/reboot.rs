//! Reboots that steps ask for: a record before everything, the system told once no job runs, and a new boot id as the only proof.
//!
//! A step that asks gets its reboot unless the node's rule forbids it, the order was cancelled, it asks too often, or it is too late for it:
//! then the order ends, with what was done so far; where its last step runs whatever came before, that is run first. While one waits for its reboot no job starts. The system may refuse (somebody inhibits
//! reboots) and is told again after a pause; where it obeys and nothing happens it is told once more, and then the order fails. It is told when
//! that is decided or not at all: where the disk takes no records meanwhile it is decided anew afterwards. After the
//! reboot the order goes on as soon as the node knows the time, before all that wait.

use super::Core;
use super::jobs::{bound_explanation, bound_output};
use crate::interface::{Output, RebootAsked};
use crate::orders::{Order, Phase};
use crate::record::{Reboot, RebootTries, Record, Resume};
use crate::room;
use flotilla_protocol::capability::ReportPayload;
use flotilla_protocol::capability::command::{Captured, CommandOrder, CommandRebooting, StepResult};
use flotilla_protocol::id::OrderId;
use flotilla_protocol::status::{Outcome, StepStatus};

/// Reboots that one order may ask a node for. Scripts that reboot between stages need two or three; one that asks each time that it is run
/// would reboot the device for ever.
pub const MAXIMUM_REBOOTS: u16 = 5;

/// So often the system is told to reboot for one order and does not, before that is given up.
const MAXIMUM_TOLD: u8 = 2;

/// So often the system refuses before that is given up: with the pause, ten minutes for whoever inhibits reboots to finish.
const MAXIMUM_REFUSED: u8 = 10;
/// Pause after a refusal, in milliseconds.
const REFUSAL_PAUSE_MS: u64 = 60_000;

/// So long other jobs may run on before the reboot is given up, in milliseconds; meanwhile no job starts.
const LONGEST_WAIT_MS: u64 = 3_600_000;

/// What a node says to steps that ask for a reboot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RebootRule {
    /// Whether any may have one.
    pub is_allowed: bool,
    /// After so long in the same boot, in milliseconds, the system that was told to reboot counts as not doing it.
    pub patience_ms: u64,
}

impl Default for RebootRule {
    /// Ten minutes: services may take a minute and a half each to stop.
    fn default() -> Self {
        Self { is_allowed: true, patience_ms: 600_000 }
    }
}

impl Core {
    /// Whether an order waits for a reboot of this boot.
    pub(super) fn awaits_reboot(&self) -> bool {
        self.orders.known.values().any(|order| order.awaits_reboot(self.boot))
    }

    /// A running job has come to a step that asks for a reboot.
    pub(super) fn reboot_asked(&mut self, order: OrderId, asked: RebootAsked, now: u64) {
        if !self.can_record() {
            return self.record_later(order, super::Unrecorded::RebootAsked(asked));
        }
        let Some(known) = self.orders.known.get(&order) else { return };
        let Phase::Running { command, .. } = &known.phase else { return };
        let count = known.attempt().reboots.saturating_add(1);
        let name = command.plan.steps.get(usize::from(asked.step)).map_or("", |step| &step.name);
        let refusal = self.reason_against(order, known, command, name, count, now);
        let refusal = if asked.is_cancelled { Some(Refusal::cancelled()) } else { refusal };
        let can_give_up = self.has_final_step_after(order, asked.step) && self.has_room_for_a_reboot();
        let RebootAsked { step, resume, is_cancelled: _, explanation, steps } = asked;
        let timed: Vec<StepResult> = steps.into_iter().map(|step| self.with_trusted_times(step, now)).collect();
        if let Some(Refusal { outcome, why, .. }) = refusal.as_ref().filter(|refusal| !(refusal.ends_with_final_step && can_give_up)) {
            return self.end(order, *outcome, &joined(&explanation, why), timed, now);
        }
        let (explanation, mut steps) = self.with_what_was_before_a_reboot(order, Outcome::Failed, &explanation, timed);
        steps.truncate(usize::from(step).saturating_add(1));
        bound_output(&mut steps);
        let explanation = bound_explanation(&explanation);
        let reboot = Box::new(Reboot { step, boot: self.boot, resume, count, asked_at: now, explanation, steps });
        if let Some(Refusal { why, .. }) = refusal {
            return self.give_up(order, reboot, &why);
        }
        let payload = ReportPayload::CommandRebooting(CommandRebooting { order, step, count });
        let report = Some(self.spool.make(&self.identity, self.time.at(now), &payload));
        self.record(Record::Rebooting { order, reboot, report });
    }

    fn reason_against(&self, id: OrderId, order: &Order, command: &CommandOrder, step: &str, count: u16, now: u64) -> Option<Refusal> {
        let failed = |ends_with_final_step: bool, why: &str| {
            let why = format!("step {step}: it asks for a reboot (exit code 194), {why}");
            Some(Refusal { outcome: Outcome::Failed, why, ends_with_final_step })
        };
        match () {
            () if self.again.is_cancelled(id) => Some(Refusal::cancelled()),
            () if !self.reboot_rule.is_allowed => failed(true, "and this node's setting reboot is \"refuse\""),
            () if count > MAXIMUM_REBOOTS => failed(true, &format!("and a command may reboot a node at most {MAXIMUM_REBOOTS} times")),
            () if self.time.at(now).is_some_and(|time_ms| time_ms >= latest_ms(order, command)) => {
                failed(false, "and the time in which the command may run is over")
            }
            () if !self.has_room_for_a_reboot() => failed(false, "and the agent's journal has no room for that"),
            () => None,
        }
    }

    fn has_room_for_a_reboot(&self) -> bool {
        self.journal_room().is_some_and(|room| room >= room::of_reboot())
    }

    /// Whether the last step of an order comes after `step` and runs whatever came before.
    fn has_final_step_after(&self, order: OrderId, step: u16) -> bool {
        let known = self.orders.known.get(&order);
        let Some(Phase::Running { command, .. } | Phase::Rebooting(command)) = known.map(|order| &order.phase) else { return false };
        let last = command.plan.steps.len().saturating_sub(1);
        last > usize::from(step) && command.plan.steps.last().is_some_and(|step| step.control.finally)
    }

    /// There is no reboot, and the order goes on with its last step.
    fn give_up(&mut self, order: OrderId, mut reboot: Box<Reboot>, why: &str) {
        let why = bound_explanation(why);
        reboot.explanation = bound_explanation(&joined(&reboot.explanation, &why));
        // The step that asked has failed, and is not run again.
        reboot.resume = Resume::NextStep;
        self.record(Record::RebootGivenUp { order, reboot, why });
    }

    /// Gives up what has waited too long, and tells the system to reboot once no job runs.
    pub(super) fn see_to_reboots(&mut self, now: u64) {
        for (order, Refusal { outcome, why, ends_with_final_step }) in self.given_up(now) {
            let reboot = self.orders.known.get(&order).and_then(|order| order.reboot.as_ref()).map(|reboot| &reboot.asked);
            match reboot.filter(|reboot| ends_with_final_step && self.has_final_step_after(order, reboot.step)) {
                Some(reboot) => self.give_up(order, Box::new(reboot.clone()), &why),
                None => self.end(order, outcome, &why, Vec::new(), now),
            }
        }
        // Whoever holds the node still is not surprised by a reboot: it waits, for as long as one waits for other jobs.
        if self.orders.running() > 0 || self.policy.inhibited_by.is_some() {
            return;
        }
        let is_due =
            |order: &Order| order.awaits_reboot(self.boot) && order.reboot.as_ref().is_some_and(|reboot| self.may_tell(reboot.tries, now));
        let due: Vec<(OrderId, RebootTries)> = self
            .orders
            .known
            .iter()
            .filter(|(_, order)| is_due(order))
            .filter_map(|(id, order)| Some((*id, order.reboot.as_ref()?.tries)))
            .collect();
        for (order, tries) in &due {
            let tries = RebootTries { told: tries.told.saturating_add(1), is_told: true, at: now, ..*tries };
            self.record(Record::RebootTried { order: *order, tries });
        }
        if !due.is_empty() {
            self.record(Record::ToldToReboot { boot: self.boot, until: Some(now.saturating_add(self.reboot_rule.patience_ms)) });
            self.outputs.push_back(Output::Reboot);
        }
    }

    /// Whether the system may be told now: not while it was told and has time left, and not right after a refusal.
    fn may_tell(&self, tries: RebootTries, now: u64) -> bool {
        let pause_ms = if tries.is_told { self.reboot_rule.patience_ms } else { REFUSAL_PAUSE_MS };
        tries == RebootTries::default() || now >= tries.at.saturating_add(pause_ms)
    }

    fn given_up(&self, now: u64) -> Vec<(OrderId, Refusal)> {
        let time_ms = self.time.at(now);
        let judged = self.orders.known.iter().filter_map(|(id, order)| {
            let (Phase::Rebooting(command), Some(reboot)) = (&order.phase, &order.reboot) else { return None };
            let failed =
                |ends_with_final_step: bool, why: String| Some((*id, Refusal { outcome: Outcome::Failed, why, ends_with_final_step }));
            let is_over = time_ms.is_some_and(|time_ms| time_ms >= latest_ms(order, command).saturating_add(LONGEST_WAIT_MS));
            if order.may_go_on(self.boot) {
                let why = if reboot.given_up.is_some() {
                    "the time in which the command may run was over before its last step could start"
                } else {
                    "the device came back too long after the reboot that a step asked for"
                };
                return if is_over { failed(false, why.to_owned()) } else { None };
            }
            let RebootTries { told, refused, is_told, at } = reboot.tries;
            let has_waited = is_told && now >= at.saturating_add(self.reboot_rule.patience_ms);
            // It keeps the device from further tries as well.
            let held_by = self.policy.inhibited_by.as_deref().filter(|_| now >= reboot.asked_at().saturating_add(LONGEST_WAIT_MS));
            match () {
                () if has_waited && told >= MAXIMUM_TOLD => {
                    failed(true, format!("the device was told {told} times to reboot, and did not"))
                }
                () if is_told && !has_waited => None,
                () if refused >= MAXIMUM_REFUSED => {
                    failed(true, joined(&format!("the device refused {refused} times to reboot"), &self.reboot_refusal))
                }
                () if held_by.is_some() => {
                    failed(true, joined("the reboot that a step asked for was not allowed in time", held_by.unwrap_or_default()))
                }
                // Once the system was told no other command keeps the device from it: then the tries are what ends.
                () if told == 0 && refused == 0 && now >= reboot.asked_at().saturating_add(LONGEST_WAIT_MS) => {
                    failed(true, "other commands did not end in time for the reboot that a step asked for".to_owned())
                }
                () if is_over => failed(false, "the time in which the command may run was over before the device could reboot".to_owned()),
                () => None,
            }
        });
        judged.collect()
    }

    /// The system says that it will not reboot.
    pub(super) fn reboot_refused(&mut self, why: String, now: u64) {
        self.reboot_refusal = bound_explanation(&why);
        // Where nothing can be recorded it is told again when its time is over.
        if !self.can_record() {
            self.told_to_reboot_until = None;
            return;
        }
        self.record(Record::ToldToReboot { boot: self.boot, until: None });
        for (order, before) in self.told() {
            let (told, refused) = (before.told.saturating_sub(1), before.refused.saturating_add(1));
            self.record(Record::RebootTried { order, tries: RebootTries { told, refused, is_told: false, at: now } });
        }
    }

    /// The system was not told, because the disk took no records: whether it is to be told is decided anew when it takes some, as if it had
    /// not been decided before. Meanwhile orders may have been cancelled, or be over.
    pub(super) fn reboot_withheld(&mut self) {
        if !self.can_record() {
            self.is_reboot_withheld = true;
            return;
        }
        self.record(Record::ToldToReboot { boot: self.boot, until: None });
        for (order, before) in self.told() {
            let at = before.at.saturating_sub(REFUSAL_PAUSE_MS);
            self.record(Record::RebootTried {
                order,
                tries: RebootTries { told: before.told.saturating_sub(1), is_told: false, at, ..before },
            });
        }
    }

    /// The orders for which the system is being told.
    fn told(&self) -> Vec<(OrderId, RebootTries)> {
        let waiting = self.orders.known.iter().filter(|(_, order)| order.awaits_reboot(self.boot));
        waiting.filter_map(|(id, order)| Some((*id, order.reboot.as_ref()?.tries))).filter(|(_, tries)| tries.is_told).collect()
    }

    /// When something is to be done about a reboot: uptime in milliseconds.
    pub(super) fn next_of_reboots(&self, now: u64) -> Option<u64> {
        if !self.can_record() {
            return None;
        }
        let due = self.orders.known.values().filter_map(|order| {
            let (Phase::Rebooting(command), Some(reboot)) = (&order.phase, &order.reboot) else { return None };
            let latest = self.time.uptime_of(latest_ms(order, command).saturating_add(LONGEST_WAIT_MS));
            let here = order.awaits_reboot(self.boot).then(|| {
                let pause_ms = if reboot.tries.is_told { self.reboot_rule.patience_ms } else { REFUSAL_PAUSE_MS };
                [reboot.tries.at.saturating_add(pause_ms), reboot.asked_at().saturating_add(LONGEST_WAIT_MS)]
            });
            here.into_iter().flatten().chain(latest).filter(|at| *at > now).min()
        });
        due.chain(self.told_to_reboot_until.filter(|until| *until > now)).min()
    }

    /// The end of an order that has asked for reboots: with the steps before the last of them, which a job of another boot has run, and with
    /// those that were never reached.
    pub(super) fn with_what_was_before_a_reboot(
        &self,
        order: OrderId,
        outcome: Outcome,
        explanation: &str,
        given: Vec<StepResult>,
    ) -> (String, Vec<StepResult>) {
        let known = self.orders.known.get(&order);
        let reboot = known.and_then(|order| order.reboot.as_ref()).map(|reboot| &reboot.asked);
        let (Some(reboot), Some(Phase::Running { command, .. } | Phase::Rebooting(command))) = (reboot, known.map(|order| &order.phase))
        else {
            return (explanation.to_owned(), given);
        };
        let first = reboot.first_step();
        let mut steps: Vec<StepResult> = reboot.steps.iter().take(first).cloned().collect();
        let explanation = if given.len() > first {
            let began_ms = reboot.steps.get(first).and_then(|step| step.started_ms);
            steps.extend(given.into_iter().skip(first));
            if let Some(step) = steps.get_mut(first) {
                step.started_ms = began_ms.or(step.started_ms);
            }
            explanation.to_owned()
        } else {
            steps.extend(reboot.steps.iter().skip(first).cloned());
            if let (Outcome::Cancelled, Some(step)) = (outcome, steps.last_mut()) {
                step.status = StepStatus::Cancelled;
            }
            joined(&reboot.explanation, explanation)
        };
        let missing = command.plan.steps.iter().skip(steps.len()).map(|step| not_run(&step.name));
        steps.extend(missing);
        (explanation, steps)
    }
}

/// Why there is no reboot.
struct Refusal {
    outcome: Outcome,
    why: String,
    /// Whether the last step is still to run where it runs whatever came before.
    ends_with_final_step: bool,
}

impl Refusal {
    /// A cancel ends everything, a last step too.
    fn cancelled() -> Self {
        let why = "cancelled before a reboot that a step asked for".to_owned();
        Self { outcome: Outcome::Cancelled, why, ends_with_final_step: false }
    }
}

impl crate::orders::Rebooting {
    fn asked_at(&self) -> u64 {
        self.asked.asked_at
    }
}

/// The latest time at which an order that began in time may still run: Unix milliseconds.
fn latest_ms(order: &Order, command: &CommandOrder) -> u64 {
    let steps_ms = command.plan.steps.iter().map(|step| u64::from(step.time_out_s()) * 1000).fold(0, u64::saturating_add);
    order.not_after_ms.saturating_add(steps_ms)
}

fn joined(first: &str, second: &str) -> String {
    match (first, second) {
        ("", text) | (text, "") => text.to_owned(),
        (first, second) => format!("{first}; {second}"),
    }
}

fn not_run(name: &str) -> StepResult {
    let nothing = || Captured { sha256: flotilla_protocol::sha256(&[]), ..Captured::default() };
    let (stdout, stderr) = (nothing(), nothing());
    StepResult { name: name.to_owned(), status: StepStatus::NotRun, exit_code: -1, started_ms: None, ended_ms: None, stdout, stderr }
}
