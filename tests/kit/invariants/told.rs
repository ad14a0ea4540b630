//! The rules over what a test itself knows: what its requesters were told, which ends its faults excuse, and how many runs they hit.

use super::{CommandHistory, Fact, History, Invariant, Violation};
use flotilla_broker_bridge::capability::run_command::model::InvocationState;
use std::collections::BTreeSet;

/// Adds what is broken.
pub fn check(history: &History, found: &mut Vec<Violation>) {
    for order in history.acknowledged.iter().filter(|order| !history.has_command(order) && !history.restored) {
        let why = "its requester was told that it is taken, and the bridge does not know it".to_owned();
        found.push(Violation { invariant: Invariant::T1, node: String::new(), order: order.clone(), why });
    }
    for (order, command) in &history.commands {
        excused(history, order, command, found);
    }
    for node in history.nodes.keys() {
        runs(history, node, found);
        hits(history, node, found);
    }
}

/// Whether a run was cut off: before it began, which is a failure that did nothing, or later.
fn is_cut_off(history: &History, node: &str, order: &str, state: InvocationState) -> bool {
    let never_began = || {
        let of_node = history.nodes.get(node).filter(|of_node| of_node.knowledge.starts);
        of_node.is_some_and(|of_node| !of_node.has(order, |fact| matches!(fact, Fact::Started { .. })))
    };
    state == InvocationState::Interrupted || (state == InvocationState::Failed && never_began())
}

/// The ends that the faults of the test excuse. What may be interrupted may be hit before it begins.
fn excused(history: &History, order: &str, command: &CommandHistory, found: &mut Vec<Violation>) {
    let Some(excused) = &command.excused else { return };
    for (node, row) in command.invocations.iter().filter(|(_, row)| row.now.state.is_terminal() && !excused.contains(&row.now.state)) {
        if excused.contains(&InvocationState::Interrupted) && is_cut_off(history, node, order, row.now.state) {
            continue;
        }
        let why = format!("it ended as {:?}, and nothing that was done excuses more than {excused:?}", row.now.state);
        found.push(Violation { invariant: Invariant::C4, node: node.clone(), order: order.to_owned(), why });
    }
}

/// Side effects that the bridge cannot account for.
fn runs(history: &History, node: &str, found: &mut Vec<Violation>) {
    let Some(of_node) = history.nodes.get(node).filter(|of_node| of_node.knowledge.starts && !of_node.knowledge.journal) else { return };
    let mut broken = |invariant, order: &str, why: String| {
        found.push(Violation { invariant, node: node.to_owned(), order: order.to_owned(), why });
    };
    let mut over = BTreeSet::new();
    for entry in &of_node.entries {
        if entry.fact == Fact::JobOver && !over.insert(&entry.order) {
            broken(Invariant::C2, &entry.order, "it came to its end a second time".to_owned());
        }
    }
    let started: BTreeSet<&String> =
        of_node.entries.iter().filter(|entry| matches!(entry.fact, Fact::Started { .. })).map(|entry| &entry.order).collect();
    for order in started {
        if history.has_database && !history.restored && !history.has_command(order) {
            broken(Invariant::C12, order, "it ran, and is no command of the bridge's".to_owned());
        }
        let Some(row) = history.commands.get(order).and_then(|command| command.invocations.get(node)) else { continue };
        let never = matches!(row.now.state, InvocationState::AccessDenied | InvocationState::InvalidPlatform);
        if never && row.now.signed {
            broken(Invariant::C7, order, format!("it ran, and the bridge has the node's word for {:?}", row.now.state));
        } else if history.settled && !row.now.signed && row.now.state.is_terminal() && !history.restored {
            broken(Invariant::T4, order, format!("it ran, and the bridge never learnt of it: {:?}", row.now.state));
        }
    }
}

/// Only what is hit may be cut off.
fn hits(history: &History, node: &str, found: &mut Vec<Violation>) {
    let Some(hits) = history.nodes.get(node).and_then(|of_node| of_node.hits) else { return };
    let rows = history.commands.iter().filter_map(|(order, command)| Some((order, command.invocations.get(node)?)));
    let interrupted = rows.filter(|(order, row)| is_cut_off(history, node, order, row.now.state)).count();
    if interrupted > hits {
        let why = format!("{interrupted} commands were cut off, and {hits} at most were hit");
        found.push(Violation { invariant: Invariant::C4, node: node.to_owned(), order: String::new(), why });
    }
}
