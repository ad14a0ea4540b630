//! The rules over reboots that steps ask for, as far as a node's records and side effects show them, and over each step's starts.

use super::{Ask, Entry, Fact, History, Invariant, NodeHistory, Violation};
use flotilla_agent_core::MAXIMUM_REBOOTS;
use std::collections::{BTreeMap, BTreeSet};

/// In one boot a device is told so often for one order and does not refuse.
const MAXIMUM_TOLD: usize = 2;

/// What is known of an order's reboots so far.
#[derive(Debug, Default)]
struct OfOrder {
    asked: Option<Ask>,
    given_up: Option<(u16, u16)>,
    /// By the number of reboots before.
    resumed: BTreeSet<u16>,
    is_running: bool,
    is_over: bool,
    /// How often each step asked, and how often it started.
    asks: BTreeMap<u16, u16>,
    starts: BTreeMap<u16, u16>,
}

struct Walk<'a> {
    history: &'a History,
    of_node: &'a NodeHistory,
    node: &'a str,
    found: &'a mut Vec<Violation>,
    orders: BTreeMap<&'a str, OfOrder>,
    /// By boot: how often the device was told and did not refuse, and for how many orders.
    told: BTreeMap<u64, usize>,
    asked_in: BTreeMap<u64, usize>,
    last_told: Option<u64>,
}

/// Adds what is broken on this node.
pub fn check(history: &History, node: &str, of_node: &NodeHistory, found: &mut Vec<Violation>) {
    let (orders, told, asked_in) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let mut walk = Walk { history, of_node, node, found, orders, told, asked_in, last_told: None };
    of_node.entries.iter().for_each(|entry| walk.take(entry));
    for (order, count) in of_node.kept.iter().flat_map(|kept| &kept.reboots).filter(|(_, count)| **count > MAXIMUM_REBOOTS) {
        walk.broken(Invariant::R5, order, format!("the journal has its reboot number {count}, where {MAXIMUM_REBOOTS} may be"));
    }
    walk.audited();
}

impl<'a> Walk<'a> {
    fn broken(&mut self, invariant: Invariant, order: &str, why: impl Into<String>) {
        self.found.push(Violation { invariant, node: self.node.to_owned(), order: order.to_owned(), why: why.into() });
    }

    fn of(&mut self, order: &'a str) -> &mut OfOrder {
        self.orders.entry(order).or_default()
    }

    fn take(&mut self, entry: &'a Entry) {
        let order = entry.order.as_str();
        match entry.fact {
            Fact::Started { .. } => self.of(order).is_running = true,
            Fact::JobOver | Fact::CutOff => self.of(order).is_running = false,
            Fact::Ended(_) => self.of(order).is_over = true,
            Fact::RebootAsked(ask) => self.asked(order, ask),
            Fact::RebootGivenUp { step, count } => self.of(order).given_up = Some((step, count)),
            Fact::Resumed { boot, first, count } => self.resumed(order, boot, first, count),
            Fact::StepStarted(step) => self.step_started(order, step),
            Fact::ToldToReboot { boot } => self.told(order, boot),
            Fact::RebootRefused => {
                if let Some(told) = self.last_told.take().and_then(|boot| self.told.get_mut(&boot)) {
                    *told = told.saturating_sub(1);
                }
            }
            _ => {}
        }
    }

    fn asked(&mut self, order: &'a str, ask: Ask) {
        *self.asked_in.entry(ask.boot).or_default() += 1;
        let of_order = self.of(order);
        let before = of_order.asked.replace(ask).map_or(0, |before| before.count);
        *of_order.asks.entry(ask.step).or_default() += u16::from(ask.first == ask.step);
        if ask.count != before + 1 || ask.count > MAXIMUM_REBOOTS {
            let why = format!("reboot number {} after {before}, where {MAXIMUM_REBOOTS} may be", ask.count);
            self.broken(Invariant::R5, order, why);
        }
    }

    fn told(&mut self, order: &str, boot: u64) {
        self.last_told = Some(boot);
        let told = *self.told.entry(boot).and_modify(|told| *told += 1).or_insert(1);
        let waits = |of_order: &OfOrder| {
            let is_of_now = |ask: Ask| ask.boot == boot && !of_order.resumed.contains(&ask.count);
            !of_order.is_over && of_order.given_up.is_none() && of_order.asked.is_some_and(is_of_now)
        };
        if self.of_node.knowledge.journal && !self.orders.values().any(waits) {
            self.broken(Invariant::R1, order, format!("the device was told to reboot in boot {boot}, and no durable record asks for that"));
        }
        if self.of_node.knowledge.starts && self.orders.values().any(|of_order| of_order.is_running) {
            self.broken(Invariant::R4, order, "the device was told to reboot while a job ran");
        }
        let most = MAXIMUM_TOLD * self.asked_in.get(&boot).copied().unwrap_or(0);
        if self.of_node.knowledge.journal && told > most.max(1) {
            self.broken(Invariant::R5, order, format!("the device was told {told} times to reboot in boot {boot}, where {most} may be"));
        }
    }

    fn resumed(&mut self, order: &'a str, boot: u64, first: u16, count: u16) {
        let knows_journal = self.of_node.knowledge.journal;
        let of_order = self.of(order);
        of_order.is_running = true;
        let (asked, given_up) = (of_order.asked, of_order.given_up.filter(|(_, given_up)| *given_up == count));
        let is_first_time = of_order.resumed.insert(count);
        if !is_first_time {
            self.broken(Invariant::C2, order, format!("it went on twice after its reboot number {count}"));
        }
        match (given_up, asked.filter(|asked| asked.count == count)) {
            (Some((step, _)), _) if first != step + 1 => {
                self.broken(Invariant::R3, order, format!("it went on at step {first} without a reboot that step {step} asked for"));
            }
            (Some(_), _) => {}
            (None, None) if knows_journal => {
                self.broken(Invariant::R1, order, format!("it went on after a reboot number {count} that no durable record asks for"));
            }
            (None, None) => {}
            (None, Some(asked)) => {
                if asked.boot == boot {
                    self.broken(Invariant::R2, order, format!("it went on in boot {boot}, in which it had asked for a reboot"));
                }
                if asked.first != first {
                    self.broken(Invariant::R3, order, format!("it went on at step {first}, and the record says {}", asked.first));
                }
            }
        }
    }

    fn step_started(&mut self, order: &'a str, step: u16) {
        let knows_journal = self.of_node.knowledge.journal;
        let written = self.history.commands.get(order).and_then(|command| command.asks.get(&step)).copied().unwrap_or(0);
        let of_order = self.of(order);
        let starts = of_order.starts.entry(step).or_default();
        *starts += 1;
        let starts = *starts;
        let asks = if knows_journal { of_order.asks.get(&step).copied().unwrap_or(0) } else { written };
        if starts > 1 + asks {
            self.broken(Invariant::C2, order, format!("step {step} started {starts} times, and asked for a reboot {asks} times"));
        }
    }

    /// What the node has signed of its starts is in the audit log, once each. Where it is known what was recorded, a start that was recorded and
    /// never began may be there; else one.
    fn audited(&mut self) {
        let history = self.history;
        // An older copy of the database has an older log.
        if !history.has_audit || !history.settled || history.restored || !self.of_node.knowledge.starts {
            return;
        }
        let count = |order: &str, wanted: fn(&Fact) -> bool| {
            self.of_node.entries.iter().filter(|entry| entry.order == order && wanted(&entry.fact)).count()
        };
        let mut wrong = Vec::new();
        for (order, command) in &history.commands {
            let is_signed = command.invocations.get(self.node).is_some_and(|row| row.now.signed);
            let audited = command.audited_starts.get(self.node).copied().unwrap_or(0);
            let starts = count(order, |fact| matches!(fact, Fact::Started { .. } | Fact::Resumed { .. }));
            let most = if self.of_node.knowledge.journal {
                let recorded = count(order, |fact| matches!(fact, Fact::Starting)).min(1);
                recorded + count(order, |fact| matches!(fact, Fact::RebootAsked(_) | Fact::RebootGivenUp { .. }))
            } else {
                starts.max(1)
            };
            if (is_signed && audited < starts) || audited > most {
                wrong.push((order, format!("it started {starts} times, and the audit log has {audited} starts, where {most} may be")));
            }
        }
        wrong.into_iter().for_each(|(order, why)| self.broken(Invariant::A2, order, why));
    }
}
