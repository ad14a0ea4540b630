//! The commands that a fault suite sends to a fleet, and what must be true of all of them, whatever was killed meanwhile.

use crate::calls::{is_terminal, shell};
use crate::clock;
use crate::effects::Effects;
use crate::fleet::Fleet;
use crate::history::{self, End};
use crate::invariants::History;
use crate::tally::{Broken, Kind};
use crate::wait;
use flotilla_api::client::Client;
use flotilla_api::commands::{CommandInvocation, GetCommandInvocationRequest, GetCommandInvocationResult, SendCommandRequest};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Within this every command must have ended, whatever was killed.
const END_LIMIT: Duration = Duration::from_secs(90);
/// Pause between two looks at all commands.
const LIST_PAUSE: Duration = Duration::from_millis(250);
/// Pause between two looks at one.
const PAUSE: Duration = Duration::from_millis(25);
/// The shell finds its node's name in its working folder, so that each node of a command leaves a mark of its own.
const NODE_NAME: &str = "node=${PWD#*/nodes/}; node=${node%%/*}";

/// A command as it was sent.
#[derive(Debug, Clone)]
struct Sent {
    /// Its id, when the bridge said that it has it.
    id: Option<String>,
    /// The nodes that it is for.
    nodes: Vec<String>,
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
    /// What the bridge has shown as the end of an invocation.
    shown: BTreeMap<String, End>,
    /// How many invocations were cut off.
    interrupted: usize,
}

impl Campaign {
    /// Of the nodes that the fleet has now.
    #[must_use]
    pub fn new(fleet: &Fleet) -> Self {
        let names = fleet.node_ids().into_iter().enumerate().map(|(number, id)| (id, format!("n{number}"))).collect();
        let effects = Effects::new(fleet.folder());
        Self { effects, names, sent: BTreeMap::new(), open: BTreeSet::new(), shown: BTreeMap::new(), interrupted: 0 }
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
        self.sent.insert(comment.clone(), Sent { id: None, nodes: nodes.to_vec() });
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

    /// Adds what the commands really did to a history of the nodes, for the checker of the numbered invariants.
    pub fn tell(&self, history: &mut History) {
        let effects = self.effects.read();
        for (node, name) in &self.names {
            let of_node = effects.iter().filter(|(mark, _)| mark.rsplit_once('-').is_some_and(|(_, of)| of == name));
            history.effects(node, of_node, |mark| self.sent.get(mark.rsplit_once('-')?.0)?.id.clone());
        }
    }

    fn mark(&self, comment: &str, node: &str) -> String {
        format!("{comment}-{}", self.names.get(node).map_or("?", String::as_str))
    }

    /// Waits for the end of every command that was taken and not checked before, and checks it. `allowed` says which ends a node's commands
    /// may have come to, and how many of them may have been cut off.
    pub fn check(&mut self, fleet: &Fleet, allowed: impl Fn(&str) -> usize) -> BTreeMap<String, Vec<Broken>> {
        let mut broken: BTreeMap<String, Vec<Broken>> = self.names.keys().map(|node| (node.clone(), Vec::new())).collect();
        let open: Vec<(String, String, Vec<String>)> = self.open.iter().filter_map(|comment| self.taken_one(comment)).collect();
        let found: Vec<(String, String, Option<GetCommandInvocationResult>)> = open
            .into_iter()
            .flat_map(|(comment, id, nodes)| nodes.into_iter().map(move |node| (comment.clone(), id.clone(), node)))
            .map(|(comment, id, node)| {
                let invocation = await_end(fleet, &id, &node);
                (comment, node, invocation)
            })
            .collect();
        let mut effects = self.effects.read();
        let mut cut_off: BTreeMap<String, usize> = BTreeMap::new();
        for (comment, node, invocation) in found {
            self.open.remove(&comment);
            let mark = self.mark(&comment, &node);
            let effect = effects.remove(&mark).unwrap_or_default();
            let end = invocation.as_ref().and_then(end_of);
            *cut_off.entry(node.clone()).or_default() += usize::from(end == Some(End::Interrupted));
            let is_known = invocation.is_some();
            let history = history::History { mark: mark.clone(), is_acknowledged: true, is_known, ends: end.into_iter().collect(), effect };
            let of_node = broken.entry(node).or_default();
            of_node.extend(history.check(&[End::Succeeded, End::Interrupted]));
            let output = invocation.and_then(|invocation| invocation.standard_output_content).unwrap_or_default();
            if end == Some(End::Succeeded) && output.trim() != format!("done {mark}") {
                of_node.push(Broken::new(Kind::Lost, format!("{mark}: its output is {output:?}")));
            }
            self.shown.extend(end.map(|end| (mark, end)));
        }
        for (node, count) in cut_off {
            self.interrupted += count;
            let excused = allowed(&node);
            if count > excused {
                let why = format!("{count} commands of a node were cut off, and {excused} at most were hit (C4)");
                broken.entry(node).or_default().push(Broken::new(Kind::Lost, why));
            }
        }
        broken
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
                self.shown.extend(end.map(|end| (self.mark(&comment, &node), end)));
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
                let shown = self.shown.get(&mark).copied();
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

    /// At the very end: waits until everything that the bridge knows has ended, and compares all of it with all that ever ran. What was shown
    /// as an end before must be the same still.
    pub fn check_all(&mut self, fleet: &Fleet) -> Vec<Broken> {
        let deadline = clock::now() + END_LIMIT;
        let all = loop {
            let all = fleet.invocations(None);
            if clock::now() > deadline || all.iter().all(|invocation| is_terminal(invocation.status.as_deref())) {
                break all;
            }
            wait::let_pass(LIST_PAUSE);
        };
        let mut broken = Vec::new();
        let mut by_mark: BTreeMap<String, CommandInvocation> = BTreeMap::new();
        for invocation in all {
            let mark = self.mark(invocation.comment.as_deref().unwrap_or_default(), invocation.instance_id.as_deref().unwrap_or_default());
            if by_mark.insert(mark.clone(), invocation).is_some() {
                broken.push(Broken::new(Kind::DoubleRun, format!("{mark} is listed twice")));
            }
        }
        let mut effects = self.effects.read();
        for (comment, sent) in &self.sent {
            for node in &sent.nodes {
                let mark = self.mark(comment, node);
                let listed = by_mark.remove(&mark);
                let end = listed.as_ref().and_then(end_of_listed);
                let ends: BTreeSet<End> = end.into_iter().chain(self.shown.get(&mark).copied()).collect();
                let effect = effects.remove(&mark).unwrap_or_default();
                let history = history::History { mark, is_acknowledged: sent.id.is_some(), is_known: listed.is_some(), ends, effect };
                broken.extend(history.check(&[End::Succeeded, End::Interrupted]));
            }
        }
        broken.extend(effects.keys().chain(by_mark.keys()).map(|mark| Broken::new(Kind::Unauthorised, format!("{mark} was never sent"))));
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

fn end_of(invocation: &GetCommandInvocationResult) -> Option<End> {
    end_of_status(invocation.status.as_deref(), invocation.response_code)
}

fn end_of_listed(invocation: &CommandInvocation) -> Option<End> {
    let code = invocation.command_plugins.iter().flatten().next().and_then(|step| step.response_code);
    end_of_status(invocation.status.as_deref(), code)
}

/// SSM has no word for what was cut off: it is a failure with the code -1.
fn end_of_status(status: Option<&str>, code: Option<i32>) -> Option<End> {
    match status {
        Some("Success") => Some(End::Succeeded),
        Some("Failed") if code == Some(-1) => Some(End::Interrupted),
        Some("Failed") => Some(End::Failed),
        Some("Cancelled") => Some(End::Cancelled),
        Some("TimedOut") => Some(End::NeverStarts),
        _ => None,
    }
}
