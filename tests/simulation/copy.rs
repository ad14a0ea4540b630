//! A device whose state folder was copied, so that two devices speak under one identity (F17). Both take the session of the broker from each
//! other. Until their reports contradict each other, both may run a command; from then on the bridge believes neither and sends nothing.
//! Each device alone keeps every promise that a device keeps, and nothing of it reaches another node.

use crate::fault::Fault;
use crate::node::Node;
use crate::world::{Event, Planted, World};
use flotilla_protocol::id::NodeId;
use flotilla_protocol::topic::{DownKind, Topic};
use flotilla_tests::invariants::{self, CommandHistory, History, Invariant, NodeHistory, Violation};
use std::collections::BTreeMap;

/// The copy begins so long after the device of which it is one, in milliseconds.
const APART_MS: u64 = 20_000;

/// How much longer than others they wait until they connect again.
pub(crate) const TWIN_PATIENCE: u64 = 60;

/// What is known of two devices with one identity.
#[derive(Debug)]
pub(crate) struct Twins {
    id: NodeId,
    name: String,
    /// The device, and the copy.
    places: [usize; 2],
    /// What each has said since: the hash of each report by its sequence.
    said: [BTreeMap<u64, [u8; 32]>; 2],
    /// Whether the bridge has quarantined them when it was last looked at.
    quarantined: bool,
}

impl World {
    /// Switches a device off, copies it, and switches both on.
    pub(crate) fn copy_device(&mut self, node: usize, off_ms: u64) {
        if self.twins.is_some() || !self.nodes[node].is_on {
            return;
        }
        self.faults.add(Fault::Copied);
        // In good order: what is copied is what is on the disk.
        self.power_off(node, None, off_ms);
        let copy = Node::copy_of(&self.nodes[node], self.dice.number());
        let Node { id, name, .. } = &self.nodes[node];
        self.trace.line(self.now_ms, format_args!("node {node} is copied as node {}", self.nodes.len()));
        let history = self.history.nodes.get(name).cloned().unwrap_or_default();
        self.history.nodes.insert(copy.history.clone(), history);
        self.history.copied.insert(name.clone());
        self.twins = Some(Twins {
            id: *id,
            name: name.clone(),
            places: [node, self.nodes.len()],
            said: [BTreeMap::new(), BTreeMap::new()],
            quarantined: false,
        });
        self.after(off_ms + APART_MS, Event::PowerOn { node: self.nodes.len() });
        self.nodes.push(copy);
    }

    /// The other device with the identity of this one.
    pub(crate) fn twin_of(&self, node: usize) -> Option<usize> {
        let [device, copy] = self.twins.as_ref()?.places;
        match node {
            node if node == device => Some(copy),
            node if node == copy => Some(device),
            _ => None,
        }
    }

    pub(crate) fn twin_says(&mut self, node: usize, sequence: u64, report: &[u8]) {
        let Some(twins) = &mut self.twins else { return };
        for (_, said) in twins.places.iter().zip(&mut twins.said).filter(|(place, _)| **place == node) {
            said.insert(sequence, flotilla_protocol::sha256(&[report]));
        }
    }

    /// Before the bridge publishes: to those that it has quarantined it must not.
    pub(crate) fn check_silence(&mut self, topic: &str) {
        let Some(twins) = &mut self.twins else { return };
        if matches!(topic.parse(), Ok(Topic::Down { node, kind: DownKind::Order, .. }) if node == twins.id) && twins.quarantined {
            self.broken.push(format!("an order for {}, which is quarantined, was published", twins.name));
        }
    }

    /// After the bridge has worked: whether it has quarantined them.
    pub(crate) fn look_at_twins(&mut self) {
        if self.planted == Planted::BelievesCopies && self.twins.is_some() {
            self.bridge.forget_quarantines();
        }
        if let Some(twins) = &mut self.twins
            && let Some(quarantined) = self.bridge.is_quarantined(&twins.name)
        {
            twins.quarantined = quarantined;
        }
    }

    /// The node that is quarantined.
    pub(crate) fn quarantined_name(&self) -> Option<String> {
        self.twins.as_ref().filter(|twins| twins.quarantined).map(|twins| twins.name.clone())
    }

    /// At the end: takes what is known of both devices out of the history, and returns what broke.
    pub(crate) fn finish_twins(&mut self) -> Vec<Violation> {
        self.look_at_twins();
        let Some(twins) = &self.twins else { return Vec::new() };
        let [of_device, of_copy] = &twins.said;
        let contradict = of_device.iter().any(|(sequence, hash)| of_copy.get(sequence).is_some_and(|other| other != hash));
        let mut found = Vec::new();
        // A database that was restored may be older than what one of them has let go of.
        if contradict && !twins.quarantined && !self.history.restored {
            let why = "two devices have contradicted each other under one identity, and are not quarantined".to_owned();
            found.push(Violation { invariant: Invariant::T3, node: twins.name.clone(), order: String::new(), why });
        }
        self.history.notes.retain(|note| note.node != twins.name);
        for place in twins.places {
            let Some(of_node) = self.history.nodes.remove(&self.nodes[place].history) else { continue };
            found.extend(check_alone(&self.history, &twins.name, of_node));
        }
        found
    }
}

/// Checks what one device did, as if there were no bridge: what the bridge has is of both.
fn check_alone(history: &History, name: &str, of_node: NodeHistory) -> Vec<Violation> {
    let of_node = NodeHistory { receipted_up_to: 0, bridge_head: 0, ..of_node };
    let command = |command: &CommandHistory| CommandHistory {
        not_after_ms: command.not_after_ms,
        time_out_ms: command.time_out_ms,
        lane: command.lane,
        ..CommandHistory::default()
    };
    let commands = history.commands.iter().map(|(order, of_order)| (order.clone(), command(of_order))).collect();
    let alone = History { nodes: BTreeMap::from([(name.to_owned(), of_node)]), commands, ..History::default() };
    let mut found = invariants::check(&alone);
    // Who was a target is not told to it.
    found.retain(|violation| violation.invariant != Invariant::C12);
    found
}
