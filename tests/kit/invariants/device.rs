//! The rules over what one node did, order by order.

use super::{Entry, Fact, History, Invariant, NodeHistory, Violation};
use flotilla_protocol::status::Outcome;
use std::collections::{BTreeMap, BTreeSet};

/// Within this after a cancel the processes are dead, in milliseconds (C8).
pub const CANCEL_LIMIT_MS: u64 = 10_000;
/// Within this after its time-out the run is over, in milliseconds (C9).
pub const TIME_OUT_LIMIT_MS: u64 = 10_000;

/// Adds what is broken on this node.
pub fn check(history: &History, node: &str, of_node: &NodeHistory, found: &mut Vec<Violation>) {
    let mut by_order: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in &of_node.entries {
        by_order.entry(&entry.order).or_default().push(entry);
    }
    for (order, entries) in &by_order {
        let mut walk = Walk { history, of_node, node, order, found, state: State::default() };
        for entry in entries {
            walk.take(entry);
        }
        walk.end(entries.last().map_or(0, |entry| entry.at_ms));
    }
    lanes(history, node, of_node, found);
}

/// What is known of an order so far.
#[derive(Debug, Default)]
struct State {
    delivered: bool,
    accepted: bool,
    refused: bool,
    starting: bool,
    /// How often it was recorded that it starts, how often it said so, and how often it did.
    recorded: u32,
    said_started: u32,
    starts: u32,
    started_ms: Option<u64>,
    cut_off: bool,
    over_ms: Option<u64>,
    ended: Option<Outcome>,
    said_ended: BTreeSet<&'static str>,
    /// It waits for a reboot that it asked for, or for its end.
    is_rebooting: bool,
    cancel_before_start: bool,
    cancelled_running_ms: Option<u64>,
}

struct Walk<'a> {
    history: &'a History,
    of_node: &'a NodeHistory,
    node: &'a str,
    order: &'a str,
    found: &'a mut Vec<Violation>,
    state: State,
}

fn name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "Succeeded",
        Outcome::Failed => "Failed",
        Outcome::TimedOut => "TimedOut",
        Outcome::Cancelled => "Cancelled",
        Outcome::Interrupted => "Interrupted",
        Outcome::Expired => "Expired",
    }
}

impl Walk<'_> {
    fn broken(&mut self, invariant: Invariant, why: impl Into<String>) {
        self.found.push(Violation { invariant, node: self.node.to_owned(), order: self.order.to_owned(), why: why.into() });
    }

    fn take(&mut self, entry: &Entry) {
        let knows_journal = self.of_node.knowledge.journal;
        match entry.fact {
            Fact::Delivered { genuine } => self.state.delivered |= genuine,
            Fact::Accepted => self.accepted(),
            Fact::Refused => self.state.refused = true,
            Fact::Starting => {
                self.state.starting = true;
                self.state.recorded += 1;
            }
            Fact::Started { trusted_ms } => self.started(entry.at_ms, trusted_ms),
            Fact::RebootAsked(_) | Fact::RebootGivenUp { .. } => {
                // Whatever goes on now needs a record of its own.
                self.state.starting = false;
                self.state.is_rebooting = true;
            }
            Fact::Resumed { .. } => self.resumed(entry.at_ms),
            Fact::StepStarted(_) | Fact::ToldToReboot { .. } | Fact::RebootRefused => {}
            Fact::JobOver => self.over(entry.at_ms),
            Fact::CutOff => {
                self.over(entry.at_ms);
                self.state.cut_off = true;
            }
            Fact::CancelTaken => {
                if !self.state.starting && (self.state.started_ms.is_none() || self.state.is_rebooting) {
                    self.state.cancel_before_start = true;
                } else if self.state.started_ms.is_some() && self.state.over_ms.is_none() {
                    self.state.cancelled_running_ms.get_or_insert(entry.at_ms);
                }
            }
            Fact::Ended(outcome) => self.ended(outcome),
            Fact::SaidAccepted if knows_journal && !self.state.accepted => {
                self.broken(Invariant::C6, "the node signed that it has accepted, and that was not durable");
            }
            Fact::SaidStarted => {
                // What it says late may be of a start before a reboot.
                self.state.said_started += 1;
                if knows_journal && self.state.said_started > self.state.recorded {
                    self.broken(Invariant::C1, "the node signed that it starts, and that was not durable");
                }
            }
            Fact::SaidEnded(outcome) => {
                self.state.said_ended.insert(name(outcome));
                if self.state.said_ended.len() > 1 {
                    self.broken(Invariant::C3, format!("the node signed the outcomes {:?}", self.state.said_ended));
                }
                if knows_journal && self.state.ended != Some(outcome) && !self.state.refused {
                    self.broken(Invariant::C3, format!("the node signed {} before that was durable", name(outcome)));
                }
            }
            Fact::SaidAccepted | Fact::SaidRejected => {}
            Fact::Dropped { effects } => {
                if effects > 0 {
                    self.broken(Invariant::C7, format!("a message that was refused had {effects} effects"));
                }
            }
        }
    }

    fn accepted(&mut self) {
        if self.of_node.knowledge.deliveries && !self.state.delivered {
            self.broken(Invariant::C14, "accepted, and never delivered as it should be");
        }
        if self.state.accepted || self.state.refused || self.state.ended.is_some() {
            self.broken(Invariant::C6, "an order id was taken a second time");
        }
        self.state.accepted = true;
    }

    fn started(&mut self, at_ms: u64, trusted_ms: Option<u64>) {
        if self.of_node.knowledge.journal && !self.state.starting {
            self.broken(Invariant::C1, "it started, and no durable record said so before");
        }
        let asked = self.history.commands.get(self.order).map_or(0, |command| command.asks.values().map(|asks| u32::from(*asks)).sum());
        self.state.starts += 1;
        if self.state.starts > 1 + asked {
            self.broken(Invariant::C2, "it started a second time");
        }
        if self.state.ended.is_some() {
            self.broken(Invariant::C3, "it started after its end was signed");
        }
        if self.state.cancel_before_start || (self.state.refused && self.of_node.knowledge.journal) {
            self.broken(Invariant::C8, "it started after it was cancelled or refused");
        }
        let not_after_ms = self.history.commands.get(self.order).map_or(u64::MAX, |command| command.not_after_ms);
        if trusted_ms.is_some_and(|trusted_ms| trusted_ms >= not_after_ms) {
            self.broken(Invariant::C5, format!("it started at {trusted_ms:?} and expired at {not_after_ms}"));
        }
        self.state.started_ms.get_or_insert(at_ms);
    }

    /// It goes on: a run of its own, with the limits of one.
    fn resumed(&mut self, at_ms: u64) {
        if self.of_node.knowledge.journal && !self.state.starting {
            self.broken(Invariant::C1, "it went on, and no durable record said so before");
        }
        if self.state.ended.is_some() {
            self.broken(Invariant::C3, "it went on after its end was signed");
        }
        if self.state.cancel_before_start {
            self.broken(Invariant::C8, "it went on after it was cancelled");
        }
        if self.state.cut_off {
            self.broken(Invariant::C4, "it went on although its run was cut off");
        }
        self.state.is_rebooting = false;
        (self.state.started_ms, self.state.over_ms, self.state.cancelled_running_ms) = (Some(at_ms), None, None);
    }

    fn over(&mut self, at_ms: u64) {
        self.state.over_ms.get_or_insert(at_ms);
        self.limits(at_ms);
    }

    /// Whether a run that is over at `at_ms`, or was still alive then, has lasted too long.
    fn limits(&mut self, at_ms: u64) {
        if let Some(cancelled_ms) = self.state.cancelled_running_ms
            && at_ms > cancelled_ms + CANCEL_LIMIT_MS
        {
            self.broken(Invariant::C8, format!("it ran on for {} ms after its cancel", at_ms - cancelled_ms));
        }
        let time_out_ms = self.history.commands.get(self.order).and_then(|command| command.time_out_ms);
        if let (Some(started_ms), Some(time_out_ms)) = (self.state.started_ms, time_out_ms)
            && at_ms > started_ms + time_out_ms + TIME_OUT_LIMIT_MS
        {
            self.broken(Invariant::C9, format!("it ran for {} ms with a time-out of {time_out_ms} ms", at_ms - started_ms));
        }
    }

    fn ended(&mut self, outcome: Outcome) {
        let ran = matches!(outcome, Outcome::Succeeded | Outcome::Failed | Outcome::TimedOut);
        match self.state.ended {
            Some(before) => self.broken(Invariant::C3, format!("it ended as {} and then as {}", name(before), name(outcome))),
            None if self.state.cut_off && outcome != Outcome::Interrupted => {
                self.broken(Invariant::C4, format!("its run was cut off, and the node says {}", name(outcome)));
            }
            None if self.of_node.knowledge.starts && ran && self.state.over_ms.is_none() => {
                self.broken(Invariant::C4, format!("its run was never over, and the node says {}", name(outcome)));
            }
            None => {}
        }
        self.state.ended.get_or_insert(outcome);
    }

    /// After the last entry, at `at_ms`.
    fn end(&mut self, at_ms: u64) {
        if self.state.started_ms.is_some() && self.state.over_ms.is_none() {
            self.limits(at_ms);
            if self.history.settled && self.of_node.knowledge.journal {
                self.broken(Invariant::C9, "it never stopped running");
            }
        }
        let taken = self.state.accepted || self.state.refused;
        if self.history.settled && self.of_node.knowledge.journal && taken && self.state.ended.is_none() && !self.state.refused {
            self.broken(Invariant::C3, "the node took it and never gave it an outcome");
        }
    }
}

fn lanes(history: &History, node: &str, of_node: &NodeHistory, found: &mut Vec<Violation>) {
    let mut last: BTreeMap<u16, u64> = BTreeMap::new();
    for entry in of_node.entries.iter().filter(|entry| matches!(entry.fact, Fact::Started { .. })) {
        let Some((lane, sequence)) = history.commands.get(&entry.order).and_then(|command| command.lane) else { continue };
        if last.get(&lane).is_some_and(|before| *before > sequence) {
            let why = format!("sequence {sequence} of lane {lane} started after {:?}", last.get(&lane));
            found.push(Violation { invariant: Invariant::C13, node: node.to_owned(), order: entry.order.clone(), why });
        }
        last.insert(lane, sequence);
    }
}
