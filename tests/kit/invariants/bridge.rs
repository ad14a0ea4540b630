//! The rules over what the bridge's database says, and over how it agrees with the nodes.

use super::{CommandHistory, Fact, History, Invariant, InvocationRow, NodeHistory, OutputRows, Violation};
use flotilla_broker_bridge::capability::run_command::ingest::MAXIMUM_OUTPUT_BYTES;
use flotilla_broker_bridge::capability::run_command::model::{Counts, InvocationState};
use flotilla_protocol::report::Stream;
use std::collections::BTreeMap;

/// Adds what is broken.
pub fn check(history: &History, found: &mut Vec<Violation>) {
    for (order, command) in &history.commands {
        for (node, row) in &command.invocations {
            let mut of_row = OfRow { history, node, order, row, found };
            of_row.check();
        }
        targets(history, order, command, found);
        counts(order, command, found);
        for rows in &command.output {
            output(history, order, rows, found);
        }
    }
    for (node, of_node) in &history.nodes {
        // An older copy learns it with the next hello.
        if (!history.restored || history.settled) && of_node.receipted_up_to > of_node.bridge_head {
            let why = format!("the node has a receipt up to {}, the database goes up to {}", of_node.receipted_up_to, of_node.bridge_head);
            found.push(Violation { invariant: Invariant::T1, node: node.clone(), order: String::new(), why });
        }
    }
    let mut missing: BTreeMap<(&str, Stream), u64> = BTreeMap::new();
    for note in &history.notes {
        if let Some((stream, count)) = note.missing {
            let so_far = missing.entry((&note.node, stream)).or_default();
            *so_far = so_far.saturating_add(count);
            // An older copy of the database lies behind what it had given receipts for.
            let explained = history.nodes.get(&note.node).and_then(|of_node| of_node.set_back.get(&stream));
            if *so_far <= explained.copied().unwrap_or(0) {
                continue;
            }
        }
        let of = note.missing.map_or_else(String::new, |(stream, count)| format!(" of {count} reports of {}", stream.as_str()));
        let why = format!("the bridge noted a {}{of} for which there is no cause", note.kind);
        found.push(Violation { invariant: Invariant::T3, node: note.node.clone(), order: String::new(), why });
    }
    if history.poison_sent > 0 && history.dead_letters == 0 {
        let why = format!("of {} poison messages none was set aside", history.poison_sent);
        found.push(Violation { invariant: Invariant::T6, node: String::new(), order: String::new(), why });
    }
}

struct OfRow<'a> {
    history: &'a History,
    node: &'a str,
    order: &'a str,
    row: &'a InvocationRow,
    found: &'a mut Vec<Violation>,
}

impl OfRow<'_> {
    fn broken(&mut self, invariant: Invariant, why: impl Into<String>) {
        self.found.push(Violation { invariant, node: self.node.to_owned(), order: self.order.to_owned(), why: why.into() });
    }

    fn check(&mut self) {
        let now = self.row.now;
        // An older copy of the database may not know the node's word; another word it cannot have.
        let is_two = self.history.copied.contains(self.node);
        let may_be_gone = |index: usize| index < self.row.taken_back && (is_two || !(now.signed && now.state.is_terminal()));
        let fixed = self.row.before.iter().enumerate().find(|(index, seen)| {
            let is_other = seen.signed && seen.state.is_terminal() && **seen != now;
            is_other && !may_be_gone(*index)
        });
        if let Some((_, before)) = fixed {
            self.broken(Invariant::C3, format!("the signed end {:?} became {:?}", before.state, now.state));
        }
        if self.history.settled && !now.state.is_terminal() {
            self.broken(Invariant::C12, format!("after all that time it is still {:?}", now.state));
        }
        let history = self.history;
        if let Some(of_node) = history.nodes.get(self.node) {
            self.agrees(of_node);
        }
    }

    /// Compares with a node whose journal is known.
    fn agrees(&mut self, of_node: &NodeHistory) {
        let now = self.row.now;
        if !of_node.knowledge.journal {
            // Of a real node only its side effects may be known: what never began cannot have succeeded. It can have failed: to begin.
            let starts = of_node.knowledge.starts;
            let ran = matches!(now.state, InvocationState::Succeeded | InvocationState::ExecutionTimedOut);
            if starts && ran && !of_node.has(self.order, |fact| matches!(fact, Fact::Started { .. })) {
                self.broken(Invariant::C4, format!("it never started, and the bridge has {:?}", now.state));
            } else if starts && now.state == InvocationState::Succeeded && !of_node.has(self.order, |fact| *fact == Fact::JobOver) {
                self.broken(Invariant::C4, "it did not come to its end, and the bridge shows a success");
            }
            return;
        }
        let said = |fact: &Fact| matches!(fact, Fact::SaidAccepted | Fact::SaidStarted | Fact::SaidEnded(_) | Fact::SaidRejected);
        let has_said = of_node.has(self.order, said);
        if now.signed && !has_said {
            let another = self.history.nodes.iter().any(|(node, other)| node != self.node && other.has(self.order, said));
            let invariant = if another { Invariant::T5 } else { Invariant::C11 };
            self.broken(invariant, format!("the bridge has {:?} as signed, and the node never said a word", now.state));
        }
        if matches!(now.state, InvocationState::Accepted | InvocationState::Running) && !now.signed {
            self.broken(Invariant::C11, format!("the bridge shows {:?} without the node's word", now.state));
        }
        let outcome = of_node.outcome_of(self.order);
        if let Some(outcome) = outcome
            && now.signed
            && now.state.is_terminal()
            && now.state != InvocationState::of_outcome(outcome)
        {
            self.broken(Invariant::C3, format!("the node ended it as {outcome:?}, the bridge has {:?}", now.state));
        }
        // A refusal that the bridge had no more use for (it had given the order up unsent) needs no trace.
        let must_be_known = outcome.is_some() && of_node.has(self.order, |fact| *fact == Fact::Accepted);
        let may_be_lost = self.history.may_have_lost(of_node, self.order, self.row);
        if self.history.settled && !may_be_lost && must_be_known && !now.signed {
            self.broken(Invariant::T4, format!("the node ended it as {outcome:?}, and the bridge never learnt of it: {:?}", now.state));
        }
    }
}

fn targets(history: &History, order: &str, command: &CommandHistory, found: &mut Vec<Violation>) {
    let mut broken = |node: &String, why: &str| {
        found.push(Violation { invariant: Invariant::C12, node: node.clone(), order: order.to_owned(), why: why.to_owned() });
    };
    for node in command.targets.iter().filter(|node| !command.invocations.contains_key(*node)) {
        broken(node, "a target has no invocation");
    }
    for node in command.invocations.keys().filter(|node| !command.targets.contains(*node)) {
        broken(node, "an invocation of a node that is no target");
    }
    let did = |fact: &Fact| matches!(fact, Fact::Accepted | Fact::Starting | Fact::Started { .. });
    for (node, _) in history.nodes.iter().filter(|(node, of_node)| !command.targets.contains(*node) && of_node.has(order, did)) {
        broken(node, "a node that is no target took it");
    }
}

fn counts(order: &str, command: &CommandHistory, found: &mut Vec<Violation>) {
    let mut broken = |why: String| found.push(Violation { invariant: Invariant::C12, node: String::new(), order: order.to_owned(), why });
    if let Some(counts) = command.counts {
        let mut counted = Counts::default();
        for row in command.invocations.values() {
            *counted.of_state(row.now.state) += 1;
        }
        if counted != counts {
            broken(format!("the command counts {counts:?}, its invocations are {counted:?}"));
        }
    }
    if command.concurrency > 0 && command.most_in_flight > command.concurrency.saturating_add(command.begun_before) {
        broken(format!("{} nodes were busy at once, where {} may be", command.most_in_flight, command.concurrency));
    }
}

fn output(history: &History, order: &str, rows: &OutputRows, found: &mut Vec<Violation>) {
    let mut broken = |invariant, why: String| {
        let why = format!("step {} stream {}: {why}", rows.step, rows.stream);
        found.push(Violation { invariant, node: rows.node.clone(), order: order.to_owned(), why });
    };
    for (before, after) in rows.pieces.iter().zip(rows.pieces.iter().skip(1)) {
        if after.0 < before.1 {
            broken(Invariant::T2, format!("the chunks {before:?} and {after:?} overlap"));
        } else if after.0 > before.1.max(rows.head) {
            broken(Invariant::C10, format!("nothing lies between the chunks {before:?} and {after:?}"));
        }
    }
    if let Some(first) = rows.pieces.first().filter(|piece| piece.0 > rows.head) {
        broken(Invariant::C10, format!("nothing lies before the chunk {first:?}"));
    }
    let end = rows.end();
    if end > MAXIMUM_OUTPUT_BYTES {
        broken(Invariant::C10, format!("{end} bytes are kept, where {MAXIMUM_OUTPUT_BYTES} may be"));
    }
    if rows.is_right == Some(false) {
        broken(Invariant::C10, "these are not the bytes that were written".to_owned());
    }
    if let Some(wanted) = rows.wanted
        && history.settled
        // The node has let go of what was whole before an older copy took the database's place.
        && rows.taken_back < wanted.min(MAXIMUM_OUTPUT_BYTES)
        && end < wanted.min(MAXIMUM_OUTPUT_BYTES)
    {
        broken(Invariant::C10, format!("{end} bytes are there, where {wanted} were written"));
    }
}
