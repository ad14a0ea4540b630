//! The commands that a fault suite sends to a fleet, and what must be true of all of them, whatever was killed meanwhile.

use crate::calls::{is_terminal, shell};
use crate::clock;
use crate::effects::Effects;
use crate::fleet::Fleet;
use crate::invariants::{self, History, InvocationRow, OutputRows, Seen};
use crate::tally::{Broken, Kind};
use crate::{verdict, wait};
use flotilla_api::client::Client;
use flotilla_api::commands::{CommandInvocation, GetCommandInvocationRequest, GetCommandInvocationResult, SendCommandRequest};
use flotilla_broker_bridge::capability::run_command::model::{Aside, InvocationState};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Within this every command must have ended, whatever was killed.
const END_LIMIT: Duration = Duration::from_secs(90);
/// Pause between two looks at all commands.
const LIST_PAUSE: Duration = Duration::from_millis(250);
/// Pause between two looks at one.
const PAUSE: Duration = Duration::from_millis(25);
/// The shell finds its node's name in its working folder, so that each node of a command leaves a mark of its own. On a machine of its own
/// there is none in it.
pub const NODE_NAME: &str = "node=${PWD#*/nodes/}; node=${node%%/*}; node=${node:-n0}";

/// A command as it was sent.
#[derive(Debug, Clone)]
struct Sent {
    /// Its id, when the bridge said that it has it.
    id: Option<String>,
    /// The nodes that it is for.
    nodes: Vec<String>,
    /// How often it asks for a reboot.
    asks: u16,
}

/// All commands of a suite.
#[derive(Debug)]
pub struct Campaign {
    effects: Effects,
    /// The nodes' ids, and the names by which their shells know them.
    names: BTreeMap<String, String>,
    /// By their comments.
    sent: BTreeMap<String, Sent>,
    /// Comments whose check is still to come.
    open: BTreeSet<String>,
    /// What the API has shown first as the end of an invocation, by comment and node.
    shown: BTreeMap<(String, String), InvocationState>,
    /// Whether the API has shown what a command wrote, where it succeeded.
    output: BTreeMap<(String, String), bool>,
    /// How many invocations were cut off.
    interrupted: usize,
}

impl Campaign {
    /// Of the nodes that the fleet has now.
    #[must_use]
    pub fn new(fleet: &Fleet) -> Self {
        let names = fleet.node_ids().into_iter().enumerate().map(|(number, id)| (id, format!("n{number}"))).collect();
        Self::of(names, Effects::new(fleet.folder()))
    }

    /// Of one node that is a machine of its own, with what its commands write.
    #[must_use]
    pub fn of_machine(node: &str, effects: Effects) -> Self {
        Self::of(BTreeMap::from([(node.to_owned(), "n0".to_owned())]), effects)
    }

    fn of(names: BTreeMap<String, String>, effects: Effects) -> Self {
        Self {
            effects,
            names,
            sent: BTreeMap::new(),
            open: BTreeSet::new(),
            shown: BTreeMap::new(),
            output: BTreeMap::new(),
            interrupted: 0,
        }
    }

    /// How many commands were sent so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.sent.len()
    }

    /// How many invocations were cut off.
    #[must_use]
    pub fn interrupted(&self) -> usize {
        self.interrupted
    }

    /// A new command that runs `body` on nodes, with its comment; it counts as sent, and not yet as taken.
    pub fn request(&mut self, nodes: &[String], body: &str) -> (String, SendCommandRequest) {
        let comment = format!("c{:05}", self.sent.len());
        let script = format!("{NODE_NAME}\n{}", self.effects.script(&format!("{comment}-$node"), body));
        self.sent.insert(comment.clone(), Sent { id: None, nodes: nodes.to_vec(), asks: 0 });
        self.open.insert(comment.clone());
        // What is cut off on one node says nothing about the others.
        let max_errors = Some("100%".to_owned());
        let request = SendCommandRequest { comment: Some(comment.clone()), max_errors, ..shell(nodes, &script) };
        (comment, request)
    }

    /// The bridge has said that it has the command.
    ///
    /// # Panics
    /// When it was never sent.
    pub fn taken(&mut self, comment: &str, id: String) {
        self.sent.get_mut(comment).expect("it was sent").id = Some(id);
    }

    /// Sends a new command; whether the bridge said that it has it while `counts` held. A bridge that is being killed may have taken it or
    /// not; then it counts only if it shows up.
    pub fn send(&mut self, client: &Client, nodes: &[String], body: &str, counts: impl Fn() -> bool) -> bool {
        let (comment, request) = self.request(nodes, body);
        let id = client.call(&request).ok().and_then(|response| response.command?.command_id).filter(|_| counts());
        if let Some(id) = id {
            self.taken(&comment, id);
            return true;
        }
        false
    }

    /// As [`Campaign::send`] to a bridge to which nothing happens, of a command that asks for one reboot.
    ///
    /// # Panics
    /// When the bridge does not take it.
    pub fn send_rebooting(&mut self, client: &Client, nodes: &[String], body: &str) {
        let comment = format!("c{:05}", self.sent.len());
        assert!(self.send(client, nodes, body, || true), "the bridge takes the command");
        self.sent.get_mut(&comment).expect("it was sent").asks = 1;
    }

    /// Adds to what the bridge's database holds all that is known beside it, for the checker of the numbered invariants: what the requesters
    /// were told, what the API has shown, which ends are excused, and what the commands really did.
    pub fn tell(&self, history: &mut History) {
        let by_comment: BTreeMap<String, String> =
            history.commands.iter().map(|(order, command)| (command.comment.clone(), order.clone())).collect();
        history.acknowledged.extend(self.sent.values().filter_map(|sent| sent.id.clone()));
        for command in history.commands.values_mut() {
            command.excused = Some(BTreeSet::from([InvocationState::Succeeded, InvocationState::Interrupted]));
            let asks = self.sent.get(&command.comment).map_or(0, |sent| sent.asks);
            if asks > 0 {
                command.asks.insert(0, asks);
            }
        }
        for ((comment, node), state) in &self.shown {
            let row = by_comment.get(comment).and_then(|order| history.commands.get_mut(order)?.invocations.get_mut(node));
            if let Some(row) = row {
                // SSM has the same words for what was cut off and for what failed before its first step.
                let is_same_word = *state == InvocationState::Interrupted && row.now.state == InvocationState::Failed;
                row.before.push(Seen { state: if is_same_word { row.now.state } else { *state }, signed: true });
            }
        }
        for ((comment, node), is_right) in &self.output {
            if let Some(command) = by_comment.get(comment).and_then(|order| history.commands.get_mut(order)) {
                command.output.push(OutputRows { node: node.clone(), is_right: Some(*is_right), ..OutputRows::default() });
            }
        }
        let effects = self.effects.read();
        for (node, name) in &self.names {
            let of_node = effects.iter().filter(|(mark, _)| mark.rsplit_once('-').is_some_and(|(_, of)| of == name));
            // What ran and has no command goes by its mark.
            let order_of = |mark: &str| mark.rsplit_once('-').and_then(|(comment, _)| by_comment.get(comment).cloned());
            history.effects(node, of_node, |mark| Some(order_of(mark).unwrap_or_else(|| mark.to_owned())));
        }
    }

    fn mark(&self, comment: &str, node: &str) -> String {
        format!("{comment}-{}", self.names.get(node).map_or("?", String::as_str))
    }

    /// Waits for the end of every command that was taken and not checked before, and has the checker look at these. `hits` says how many of a
    /// node's commands may have been cut off. What is broken, by node; by the first where it is no node's.
    pub fn check(&mut self, fleet: &Fleet, hits: impl Fn(&str) -> usize) -> BTreeMap<String, Vec<Broken>> {
        let open: Vec<(String, String, Vec<String>)> = self.open.iter().filter_map(|comment| self.taken_one(comment)).collect();
        let mut orders = BTreeSet::new();
        for (comment, id, nodes) in open {
            for node in nodes {
                self.see(&comment, &node, await_end(fleet, &id, &node));
            }
            self.open.remove(&comment);
            orders.insert(id);
        }
        let mut history = verdict::of_bridge(fleet);
        self.tell(&mut history);
        // What was taken and not acknowledged may still run; at the very end it is looked at, too.
        history.has_database = false;
        history.acknowledged.retain(|order| orders.contains(order));
        history.commands.retain(|order, _| orders.contains(order));
        for (node, of_node) in &mut history.nodes {
            of_node.entries.retain(|entry| orders.contains(&entry.order));
            of_node.hits = Some(hits(node));
        }
        let interrupted = |row: &&InvocationRow| row.now.state == InvocationState::Interrupted;
        self.interrupted += history.commands.values().flat_map(|command| command.invocations.values()).filter(interrupted).count();
        let mut broken: BTreeMap<String, Vec<Broken>> = self.names.keys().map(|node| (node.clone(), Vec::new())).collect();
        for violation in invariants::check(&history) {
            let node = self.names.get_key_value(&violation.node).or_else(|| self.names.first_key_value());
            let node = node.map(|(node, _)| node.clone()).unwrap_or_default();
            broken.entry(node).or_default().push(verdict::broken(violation));
        }
        broken
    }

    /// Notes what the API shows of a command on a node.
    fn see(&mut self, comment: &str, node: &str, invocation: Option<GetCommandInvocationResult>) {
        let Some(invocation) = invocation else { return };
        let (key, end) = ((comment.to_owned(), node.to_owned()), end_of(&invocation));
        if end == Some(InvocationState::Succeeded) {
            let wanted = format!("done {}", self.mark(comment, node));
            let is_right = invocation.standard_output_content.unwrap_or_default().trim() == wanted;
            self.output.insert(key.clone(), is_right);
        }
        self.shown.extend(end.map(|end| (key, end)));
    }

    fn taken_one(&self, comment: &str) -> Option<(String, String, Vec<String>)> {
        let sent = self.sent.get(comment)?;
        Some((comment.to_owned(), sent.id.clone()?, sent.nodes.clone()))
    }

    /// Looks once at the newest commands that were taken, as many as `most`, and notes the ends that the bridge shows, if `counts` holds
    /// then. What it has shown must be so for ever.
    pub fn look(&mut self, client: &Client, most: usize, counts: impl Fn() -> bool) {
        let newest: Vec<_> = self.open.iter().rev().filter_map(|comment| self.taken_one(comment)).take(most).collect();
        for (comment, id, nodes) in newest {
            for node in nodes {
                let end = client.call(&get(&id, &node)).ok().and_then(|invocation| end_of(&invocation)).filter(|_| counts());
                self.shown.extend(end.map(|end| ((comment.clone(), node), end)));
            }
        }
    }

    /// Of the newest commands that were taken and not checked before, as many as `most`: what the bridge does not know any more, or shows
    /// as another end than before.
    #[must_use]
    pub fn forgotten(&self, fleet: &Fleet, most: usize) -> Vec<Broken> {
        let mut broken = Vec::new();
        for (comment, id, nodes) in self.open.iter().rev().filter_map(|comment| self.taken_one(comment)).take(most) {
            for node in nodes {
                let mark = self.mark(&comment, &node);
                let now = fleet.client.call(&get(&id, &node));
                let shown = self.shown.get(&(comment.clone(), node)).copied();
                let end = now.as_ref().ok().and_then(end_of);
                if now.is_err() || (shown.is_some() && shown != end) {
                    let now = now.map(|invocation| invocation.status);
                    broken.push(Broken::new(Kind::Lost, format!("{mark} was taken and shown as {shown:?}, and is {now:?} (T1)")));
                }
            }
        }
        broken
    }

    /// How many invocations the bridge has shown as ended.
    #[must_use]
    pub fn shown(&self) -> usize {
        self.shown.len()
    }

    /// At the very end: waits until everything that the bridge knows has ended, stops the nodes, and has the checker compare the bridge's
    /// database with all that ever ran, with what was shown before, and with the journals of the nodes.
    ///
    /// # Panics
    /// When a node does not stop, or its journal cannot be read.
    pub fn check_all(&mut self, fleet: &mut Fleet) -> Vec<Broken> {
        let broken = self.await_all(fleet);
        let mut history = verdict::of_bridge(fleet);
        verdict::add_journals(fleet, &mut history);
        self.judge(history, broken)
    }

    /// As [`Campaign::check_all`], where `add_journals` stops the node and adds what its journal holds.
    pub fn check_machine(&mut self, fleet: &Fleet, add_journals: impl FnOnce(&mut History)) -> Vec<Broken> {
        let broken = self.await_all(fleet);
        let mut history = verdict::of_bridge(fleet);
        add_journals(&mut history);
        self.judge(history, broken)
    }

    /// Waits until everything that the bridge knows has ended, and notes the ends; what nobody has sent, or sent once, is broken.
    fn await_all(&mut self, fleet: &Fleet) -> Vec<Broken> {
        let deadline = clock::now() + END_LIMIT;
        let all = loop {
            let all = fleet.invocations(None);
            if clock::now() > deadline || all.iter().all(|invocation| is_terminal(invocation.status.as_deref())) {
                break all;
            }
            wait::let_pass(LIST_PAUSE);
        };
        let mut broken = Vec::new();
        let mut listed = BTreeSet::new();
        for invocation in all {
            let key = (invocation.comment.clone().unwrap_or_default(), invocation.instance_id.clone().unwrap_or_default());
            if !self.sent.contains_key(&key.0) {
                broken.push(Broken::new(Kind::Unauthorised, format!("{key:?} was never sent")));
            }
            // What was shown before stays noted: it must be the same still.
            if let Some(end) = end_of_listed(&invocation)
                && !self.shown.contains_key(&key)
            {
                self.shown.insert(key.clone(), end);
            }
            if !listed.insert(key.clone()) {
                broken.push(Broken::new(Kind::DoubleRun, format!("{key:?} is listed twice: one call made two commands")));
            }
        }
        broken
    }

    fn judge(&self, mut history: History, mut broken: Vec<Broken>) -> Vec<Broken> {
        self.tell(&mut history);
        broken.extend(invariants::check(&history).into_iter().map(verdict::broken));
        broken
    }
}

fn get(command: &str, node: &str) -> GetCommandInvocationRequest {
    GetCommandInvocationRequest { command_id: command.to_owned(), instance_id: node.to_owned(), plugin_name: None }
}

/// The invocation when it has ended, or as it is when the limit has passed; none when the bridge does not know it.
fn await_end(fleet: &Fleet, command: &str, node: &str) -> Option<GetCommandInvocationResult> {
    let deadline = clock::now() + END_LIMIT;
    loop {
        let invocation = fleet.client.call(&get(command, node)).ok();
        let has_ended = invocation.as_ref().is_none_or(|invocation| is_terminal(invocation.status.as_deref()));
        if has_ended || clock::now() > deadline {
            return invocation;
        }
        wait::let_pass(PAUSE);
    }
}

fn end_of(invocation: &GetCommandInvocationResult) -> Option<InvocationState> {
    end_of_status(invocation.status.as_deref(), invocation.status_details.as_deref(), invocation.response_code)
}

fn end_of_listed(invocation: &CommandInvocation) -> Option<InvocationState> {
    let code = invocation.command_plugins.iter().flatten().next().and_then(|step| step.response_code);
    end_of_status(invocation.status.as_deref(), invocation.status_details.as_deref(), code)
}

/// The state behind SSM's words. It has none for what was cut off: that is a failure with the code -1, as one before the first step is.
fn end_of_status(status: Option<&str>, details: Option<&str>, code: Option<i32>) -> Option<InvocationState> {
    let words_of = |state: InvocationState| state.words(Aside::Nothing);
    let is_it = |state: &InvocationState| Some(words_of(*state).status) == status && Some(words_of(*state).details) == details;
    let state = InvocationState::ALL.iter().copied().filter(|state| state.is_terminal()).find(is_it)?;
    if state == InvocationState::Failed && code == Some(-1) { Some(InvocationState::Interrupted) } else { Some(state) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_api_are_read_back() {
        for state in InvocationState::ALL {
            let words = state.words(Aside::Nothing);
            let code = if *state == InvocationState::Interrupted { -1 } else { 1 };
            let read = end_of_status(Some(words.status), Some(words.details), Some(code));
            assert_eq!(read, Some(*state).filter(|state| state.is_terminal()), "{words:?}");
        }
    }
}
