//! The jobs of a node: processes of their own, which live on when the agent dies and end when the power does.

use flotilla_agent_core::{Attempt, JobEnd, RebootAsked, Resume};
use flotilla_protocol::capability::command::{Captured, CommandOrder, RESULT_STDOUT_BYTES, StepResult};
use flotilla_protocol::document::{Action, Step};
use flotilla_protocol::id::OrderId;
use flotilla_protocol::status::{Outcome, StepStatus};
use flotilla_tests::random::Random;
use std::collections::BTreeMap;

/// Longest time until the processes of a cancelled job are dead, in milliseconds.
const LONGEST_STOP_MS: u64 = 8_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Running {
        ends_ms: u64,
        outcome: Outcome,
    },
    Ended(Outcome),
    /// A step asks for a reboot.
    Asked,
    /// Cut off.
    Lost,
}

#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) phase: Phase,
    pub(crate) steps: Vec<String>,
    pub(crate) started_ms: u64,
    /// Bytes of standard output at its end.
    pub(crate) output: u64,
    /// Bytes that are kept by now.
    pub(crate) kept: u64,
    /// Bytes that no power cut takes away: exec synchronises what a result speaks of.
    pub(crate) synced: u64,
    /// Which of the order's starts it is.
    pub(crate) attempt: Attempt,
    /// The first step of this run.
    pub(crate) first: u16,
    /// This run ends with a step that asks for a reboot.
    asks: bool,
    /// Each of its runs does.
    always_asks: bool,
    /// A cancel has been handed to it.
    pub(crate) cancelled: bool,
    /// Exec waits for its end.
    pub(crate) watched: bool,
    /// Told apart from a timer that was set for an earlier end.
    pub(crate) timer: u32,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Jobs {
    pub(crate) jobs: BTreeMap<OrderId, Job>,
}

/// Byte `at` of what a command writes.
pub(crate) fn byte_of_output(order: OrderId, at: u64) -> u8 {
    order.0[15] ^ at.to_le_bytes()[0] ^ at.to_le_bytes()[1]
}

pub(crate) fn output_of(order: OrderId, from: u64, to: u64) -> Vec<u8> {
    (from..to).map(|at| byte_of_output(order, at)).collect()
}

fn time_out_ms(step: &Step) -> u64 {
    match step.action() {
        Ok(Action::RunShellScript(script)) => u64::from(script.timeout_s) * 1000,
        _ => 3_600_000,
    }
}

impl Job {
    /// The step that asks, where one does.
    pub(crate) const ASKS: u16 = 1;

    pub(crate) fn begin(command: &CommandOrder, now_ms: u64, dice: &mut Random) -> Self {
        let limit_ms: u64 = command.plan.steps.iter().map(time_out_ms).sum();
        let may_ask = command.document.starts_with("reboots");
        let longest_ms = if may_ask { 20_000 } else { [500, 5_000, 60_000, 900_000, 4_000_000][dice.index(5)] };
        let wanted_ms = dice.between(20, longest_ms);
        let outcome = if wanted_ms > limit_ms {
            Outcome::TimedOut
        } else if dice.percent(15) {
            Outcome::Failed
        } else {
            Outcome::Succeeded
        };
        let output = match dice.below(10) {
            0..=5 => dice.below(200),
            6..=8 => dice.below(30_000),
            _ => dice.between(30_000, 120_000),
        };
        let ends_ms = now_ms + wanted_ms.min(limit_ms);
        let steps = command.plan.steps.iter().map(|step| step.name.clone()).collect();
        // Nothing is drawn for the others: they stay what they were.
        let always_asks = may_ask && dice.percent(15);
        let asks = may_ask && (always_asks || dice.percent(75));
        Self {
            phase: Phase::Running { ends_ms, outcome },
            steps,
            started_ms: now_ms,
            output,
            kept: 0,
            synced: 0,
            attempt: Attempt::default(),
            first: 0,
            asks,
            always_asks,
            cancelled: false,
            watched: true,
            timer: 0,
        }
    }

    /// The run after a reboot that it asked for, or without it: then only a last step runs, and it has failed.
    pub(crate) fn go_on(self, command: &CommandOrder, attempt: Attempt, without_reboot: bool, now_ms: u64, dice: &mut Random) -> Self {
        let mut next = Self::begin(command, now_ms, dice);
        next.attempt = attempt;
        next.first = Self::ASKS + u16::from(without_reboot);
        next.asks = !without_reboot && (self.always_asks || dice.percent(30));
        next.always_asks = self.always_asks;
        next.cancelled = self.cancelled;
        if let Phase::Running { outcome, ends_ms } = &mut next.phase {
            if without_reboot {
                *outcome = Outcome::Failed;
            }
            // It finds the cancel when it begins.
            if self.cancelled {
                (*outcome, *ends_ms) = (Outcome::Cancelled, now_ms + 1);
            }
        }
        next
    }

    /// The last step that this run comes to.
    pub(crate) fn last(&self) -> u16 {
        if self.asks { Self::ASKS } else { u16::try_from(self.steps.len().saturating_sub(1)).unwrap() }
    }

    /// It comes to its end by itself. `can_ask`: what it asks for can be written down.
    pub(crate) fn comes_to_its_end(&mut self, outcome: Outcome, can_ask: bool) {
        self.phase = match (self.asks, outcome) {
            (true, Outcome::Succeeded | Outcome::Failed) if self.cancelled => Phase::Ended(Outcome::Cancelled),
            (true, Outcome::Succeeded | Outcome::Failed) if can_ask => {
                self.synced = self.kept;
                Phase::Asked
            }
            (true, Outcome::Succeeded) => Phase::Ended(Outcome::Failed),
            (_, outcome) => Phase::Ended(outcome),
        };
    }

    /// What it asks for, as exec tells it to the core.
    pub(crate) fn asked(&self) -> RebootAsked {
        let step = |(index, name): (usize, &String)| {
            let (status, exit_code) = if index == usize::from(Self::ASKS) { (StepStatus::Failed, 194) } else { (StepStatus::Succeeded, 0) };
            let nothing = Captured::default;
            StepResult { name: name.clone(), status, exit_code, started_ms: None, ended_ms: None, stdout: nothing(), stderr: nothing() }
        };
        let steps = self.steps.iter().enumerate().take(usize::from(Self::ASKS) + 1).map(step).collect();
        RebootAsked { step: Self::ASKS, resume: Resume::SameStep, is_cancelled: self.cancelled, explanation: String::new(), steps }
    }

    pub(crate) fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running { .. })
    }

    /// How much output there is at this time.
    pub(crate) fn grow(&mut self, now_ms: u64) {
        if let Phase::Running { ends_ms, .. } = self.phase {
            let lasts_ms = ends_ms.saturating_sub(self.started_ms).max(1);
            let share = now_ms.saturating_sub(self.started_ms).min(lasts_ms);
            self.kept = self.kept.max(self.output * share / lasts_ms);
        }
    }

    /// Somebody asks it to stop; returns whether its timer must be set anew.
    pub(crate) fn cancel(&mut self, now_ms: u64, dice: &mut Random) -> bool {
        self.cancelled = true;
        let Phase::Running { ends_ms, .. } = self.phase else { return false };
        let stops_ms = now_ms + dice.below(LONGEST_STOP_MS);
        if stops_ms >= ends_ms {
            return false;
        }
        self.phase = Phase::Running { ends_ms: stops_ms, outcome: Outcome::Cancelled };
        self.timer += 1;
        true
    }

    /// Its end as exec tells it to the core.
    pub(crate) fn end(&self, order: OrderId) -> JobEnd {
        let (outcome, explanation) = match self.phase {
            Phase::Ended(outcome) => (outcome, String::new()),
            Phase::Running { .. } | Phase::Asked | Phase::Lost => (Outcome::Interrupted, "cut off".to_owned()),
        };
        let last = self.steps.len().saturating_sub(1);
        let step = |(index, name): (usize, &String)| {
            let kept = if index == last { self.kept } else { 0 };
            let head = output_of(order, 0, kept.min(u64::try_from(RESULT_STDOUT_BYTES).unwrap()));
            let stdout = Captured { written_bytes: kept, kept_bytes: kept, sha256: [0; 32], head };
            let (status, exit_code) = if outcome == Outcome::Succeeded { (StepStatus::Succeeded, 0) } else { (StepStatus::Failed, 1) };
            StepResult { name: name.clone(), status, exit_code, started_ms: None, ended_ms: None, stdout, stderr: Captured::default() }
        };
        JobEnd { outcome, explanation, steps: self.steps.iter().enumerate().map(step).collect() }
    }
}
