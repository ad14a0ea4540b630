//! What operators do, and what goes wrong, when its time has come.

use crate::bridge::Kill;
use crate::disk::DiskTrouble;
use crate::fault::Fault;
use crate::node::Stop;
use crate::plan::{Action, BridgeClock, Hostile};
use crate::world::{Event, Sent, Undo, World};
use flotilla_protocol::topic::{Topic, UpKind};
use flotilla_tests::random::Random;
use serde_json::json;
use std::collections::BTreeSet;

/// A document of two steps.
const TWO_STEPS: &str = r#"{"schemaVersion":"2.2","description":"Two steps","mainSteps":[
{"action":"aws:runShellScript","name":"first","inputs":{"timeoutSeconds":"60","runCommand":["true"]}},
{"action":"aws:runShellScript","name":"second","inputs":{"timeoutSeconds":"600","runCommand":["true"]}}]}"#;

/// The document of which a step asks for reboots: three steps, and with `last` one more that runs whatever came before.
fn asks_for_reboots(last: bool) -> String {
    let step = |name: &str, finally: bool| {
        let inputs = json!({ "timeoutSeconds": "60", "runCommand": ["true"] });
        let mut step = json!({ "action": "aws:runShellScript", "name": name, "inputs": inputs });
        if finally {
            step["inputs"]["finallyStep"] = json!(true);
        }
        step
    };
    let mut steps = vec![step("before", false), step("asks", false), step("after", false)];
    if last {
        steps.push(step("last", true));
    }
    json!({ "schemaVersion": "2.2", "description": "Asks for reboots", "mainSteps": steps }).to_string()
}

impl World {
    /// What operators have done before the history begins.
    pub(crate) fn prepare(&mut self) {
        let documents =
            [("two-steps", TWO_STEPS.to_owned()), ("reboots", asks_for_reboots(false)), ("reboots-last", asks_for_reboots(true))];
        for (name, content) in documents {
            let request = json!({ "Name": name, "Content": content, "DocumentType": "Command", "DocumentFormat": "JSON" });
            let (answer, _) = self.bridge.call("CreateDocument", &request);
            assert!(answer.is_some(), "the document {name} is taken");
        }
    }

    fn send_reboot(&mut self, seed: u64) {
        let mut dice = Random::part(seed, 11);
        let count = 1 + dice.index(3);
        let mut targets = BTreeSet::new();
        while targets.len() < count {
            targets.insert(self.nodes[dice.index(self.scale.nodes)].name.clone());
        }
        let request = json!({
            "DocumentName": (["reboots", "reboots-last"][dice.index(2)]),
            "InstanceIds": targets,
            "TimeoutSeconds": ([600, 3_600][dice.index(2)]),
        });
        self.sends(&request, targets, 240_000);
    }

    pub(crate) fn act(&mut self, action: Action) {
        if self.is_settling() {
            return;
        }
        match action {
            Action::Send { seed } => self.send(seed),
            Action::SendReboot { seed } => self.send_reboot(seed),
            Action::Cancel { command, node } => self.cancel(command, node),
            Action::Kill { node, after_outputs } => self.nodes[node].stop = Some((after_outputs, Stop::Kill)),
            Action::CutPower { node, after_outputs, kept, off_ms } => {
                self.nodes[node].stop = Some((after_outputs, Stop::Power { kept, off_ms }));
            }
            Action::Reboot { node, off_ms } => {
                if self.nodes[node].is_on {
                    self.faults.add(Fault::Reboot);
                    self.power_off(node, None, off_ms);
                }
            }
            Action::KillJob { node } => self.kill_job(node),
            Action::Freeze { node, for_ms } => {
                if self.nodes[node].core.is_some() {
                    self.faults.add(Fault::Frozen);
                    self.nodes[node].frozen_until_ms = self.now_ms + for_ms;
                    let number = self.nodes[node].wake;
                    self.after(for_ms, Event::Wake { node, number });
                }
            }
            Action::Offline { node, for_ms } => {
                self.faults.add(Fault::Offline);
                self.nodes[node].offline = true;
                self.disconnect(node);
                self.after(for_ms, Event::Undo(Undo::Offline(node)));
            }
            Action::BlackHole { node, for_ms } => {
                self.faults.add(Fault::BlackHole);
                self.nodes[node].hole = true;
                let (link, seen_ms) = (self.nodes[node].link, self.nodes[node].dice.between(30_000, 90_000));
                self.after(seen_ms, Event::HoleSeen { node, link });
                self.after(for_ms, Event::Undo(Undo::Hole(node)));
            }
            Action::NodeDisk { node, full, for_ms } => {
                self.faults.add(if full { Fault::DiskFull } else { Fault::DiskSyncFails });
                self.nodes[node].disk.trouble = Some(if full { DiskTrouble::Full } else { DiskTrouble::SyncFails });
                self.after(for_ms, Event::Undo(Undo::Disk(node)));
            }
            Action::BadNetwork { loss, duplicates, delays, for_ms } => {
                self.network.spoil(loss, duplicates, delays);
                self.after(for_ms, Event::Undo(Undo::Network));
            }
            Action::OldMessage { pick } => self.old_message(pick),
            Action::BrokerRestart { off_ms } => self.broker_dies(off_ms),
            Action::BridgeCutOff { for_ms } => {
                if self.bridge_is_connected() {
                    self.faults.add(Fault::BridgeCutOff);
                    self.bridge_disconnects();
                    self.cut_off = true;
                    self.after(for_ms, Event::Undo(Undo::CutOff));
                }
            }
            Action::BridgeKill { after_commits, published, off_ms } => {
                if self.bridge.is_alive() {
                    self.bridge.kill_at(Some(Kill { after_commits, published, off_ms }));
                }
            }
            Action::BridgeDiskFull { for_ms } => {
                self.faults.add(Fault::BridgeDiskFull);
                self.bridge.disk_is_full = true;
                self.after(for_ms, Event::Undo(Undo::BridgeDisk));
            }
            Action::BridgeClock { clock, for_ms } => self.wrong_clock(clock, for_ms),
            Action::Backup => {
                if self.bridge.is_alive() {
                    self.bridge.backup();
                }
            }
            Action::Restore { off_ms } => self.restore(off_ms),
            Action::Hostile { how, pick, node } => self.attack(how, pick, node),
            Action::Poison { node, seed } => self.poison(node, seed),
            Action::AnothersReport { pick, node } => self.anothers_report(pick, node),
            Action::Copy { node, off_ms } => self.copy_device(node, off_ms),
        }
    }

    pub(crate) fn undo(&mut self, undo: &Undo) {
        match undo {
            Undo::Offline(node) => self.nodes[*node].offline = false,
            Undo::Hole(node) => self.nodes[*node].hole = false,
            Undo::Disk(node) => self.nodes[*node].disk.trouble = None,
            Undo::Network => self.network.heal(),
            Undo::Broker => {
                if !std::mem::replace(&mut self.broker_is_up, true) && self.bridge_is_connected() {
                    self.bridge_connects();
                }
            }
            Undo::CutOff => {
                if std::mem::replace(&mut self.cut_off, false) && self.bridge_is_connected() {
                    self.bridge_connects();
                }
            }
            Undo::BridgeDisk => self.bridge.disk_is_well(),
            Undo::Clock => {
                self.clock_fault = None;
                let real_ms = self.real_ms();
                self.bridge.set_clock_error(real_ms, None, &mut self.dice);
            }
        }
    }

    // Operators

    fn send(&mut self, seed: u64) {
        let mut dice = Random::part(seed, 4);
        let count = if dice.percent(15) { self.scale.nodes.min(50) } else { 1 + dice.index(4) };
        let mut targets = BTreeSet::new();
        while targets.len() < count {
            targets.insert(self.nodes[dice.index(self.scale.nodes)].name.clone());
        }
        let step_s = [5, 60, 600, 3_600][dice.index(4)];
        let mut request = json!({
            "DocumentName": "AWS-RunShellScript",
            "InstanceIds": targets,
            "Parameters": { "commands": ["true"], "executionTimeout": [step_s.to_string()] },
            "TimeoutSeconds": ([60, 600, 3_600][dice.index(3)]),
            "MaxConcurrency": (["1", "2", "50%", "50"][dice.index(4)]),
            "MaxErrors": (["0", "1", "100%"][dice.index(3)]),
        });
        let mut time_out_ms = step_s * 1000;
        if dice.percent(25) {
            request["DocumentName"] = json!("two-steps");
            request["Parameters"] = json!({});
            time_out_ms = 660_000;
        }
        self.sends(&request, targets, time_out_ms);
    }

    fn sends(&mut self, request: &serde_json::Value, targets: BTreeSet<String>, time_out_ms: u64) {
        let count = targets.len();
        let (answer, done) = self.bridge.call("SendCommand", request);
        let order = answer.as_ref().and_then(|answer| answer["Command"]["CommandId"].as_str()).map(str::to_owned);
        self.trace.line(self.now_ms, format_args!("a command for {count} nodes: {order:?}"));
        if let Some(order) = order {
            // Even where the answer was lost on its way: it was taken.
            self.history.command(&order).targets = targets.clone();
            self.sent.push(Sent { order, targets, time_out_ms });
        }
        self.bridge_did(done);
    }

    fn cancel(&mut self, command: usize, node: Option<usize>) {
        let Some(sent) = self.sent.len().checked_sub(1 + command % self.sent.len().clamp(1, 6)).and_then(|at| self.sent.get(at)) else {
            return;
        };
        let mut request = json!({ "CommandId": sent.order });
        if let Some(node) = node {
            let target = sent.targets.iter().nth(node % sent.targets.len());
            request["InstanceIds"] = json!([target]);
        }
        self.trace.line(self.now_ms, format_args!("cancel {request}"));
        let (_, done) = self.bridge.call("CancelCommand", &request);
        self.bridge_did(done);
    }

    /// What a clock in the future has signed may wait for years: operators cancel it.
    pub(crate) fn cancel_open(&mut self) {
        if !self.clock_was_wrong {
            return;
        }
        // To a device that was copied no cancel goes out. They do what the bridge tells them: they remove it.
        if let Some(name) = self.quarantined_name() {
            let (_, done) = self.bridge.call("DeregisterManagedInstance", &json!({ "InstanceId": name }));
            self.bridge_did(done);
        }
        self.bridge.look(&mut self.history);
        for sent in self.sent.clone() {
            let open = |row: &flotilla_tests::invariants::InvocationRow| !row.now.state.is_terminal();
            if self.history.commands.get(&sent.order).is_some_and(|command| command.invocations.values().any(open)) {
                let (_, done) = self.bridge.call("CancelCommand", &json!({ "CommandId": sent.order }));
                self.bridge_did(done);
            }
        }
    }

    // Faults

    fn kill_job(&mut self, node: usize) {
        let running = self.nodes[node].jobs.jobs.iter().find(|(_, job)| job.is_running()).map(|(order, job)| (*order, job.watched));
        if let Some((order, watched)) = running {
            self.faults.add(Fault::JobKilled);
            self.cut_off(node, order);
            if watched {
                let (life, pause_ms) = (self.nodes[node].life, self.nodes[node].dice.between(1, 300));
                self.after(pause_ms, Event::JobTold { node, order, life });
            }
        }
    }

    fn broker_dies(&mut self, off_ms: u64) {
        self.faults.add(Fault::BrokerRestart);
        let was_connected = self.bridge_is_connected();
        if was_connected {
            self.bridge_disconnects();
        }
        self.broker_is_up = false;
        for node in 0..self.nodes.len() {
            self.nodes[node].broker_says_online = false;
            self.disconnect(node);
        }
        self.after(off_ms, Event::Undo(Undo::Broker));
    }

    fn wrong_clock(&mut self, clock: BridgeClock, for_ms: u64) {
        // It counts when the bridge has worked under it.
        self.clock_fault = Some(match clock {
            BridgeClock::Ahead => Fault::ClockAhead,
            BridgeClock::Behind => Fault::ClockBehind,
            BridgeClock::At1970 => Fault::ClockAt1970,
            BridgeClock::InTenYears => Fault::ClockInTenYears,
        });
        self.clock_was_wrong = true;
        self.trace.line(self.now_ms, format_args!("the bridge's clock is wrong: {clock:?}"));
        let real_ms = self.real_ms();
        self.bridge.set_clock_error(real_ms, Some(clock), &mut self.dice);
        self.after(for_ms, Event::Undo(Undo::Clock));
    }

    fn restore(&mut self, off_ms: u64) {
        if self.bridge.is_alive() {
            self.bridge.look(&mut self.history);
            let restored = self.bridge.restore();
            if restored {
                self.faults.add(Fault::Restored);
                self.history.restore();
                for node in &self.nodes {
                    let of_node = self.history.nodes.get_mut(&node.history).unwrap();
                    let there = node.ended_at.iter().filter(|(_, sequence)| **sequence <= node.receipts_up_to);
                    of_node.handed_in.extend(there.map(|(order, _)| order.to_string()));
                }
            }
            self.trace.line(self.now_ms, format_args!("the database is an older one: {restored}"));
            self.bridge_died(off_ms);
        }
    }

    // The hostile broker

    fn old_message(&mut self, pick: usize) {
        let Some((topic, payload)) = self.network.pick(pick) else { return };
        self.faults.add(Fault::OldMessage);
        match topic.parse() {
            Ok(Topic::Down { node, .. }) => {
                if let Some(node) = self.index.get(&node).copied() {
                    let link = self.nodes[node].link;
                    self.after(1, Event::ToNode { node, link, topic, payload });
                }
            }
            _ => {
                let life = self.bridge_life;
                self.after(1, Event::ToBridge { life, topic, payload });
            }
        }
    }

    fn attack(&mut self, how: Hostile, pick: usize, other: usize) {
        let Some((topic, mut payload)) = self.network.pick(pick) else { return };
        let Ok(Topic::Down { node, kind, fleet }) = topic.parse() else { return };
        let Some(own) = self.index.get(&node).copied() else { return };
        match how {
            Hostile::Retained => {
                self.faults.add(Fault::Retained);
                self.hostile(own, &topic, true, &payload);
            }
            Hostile::Misdirected if other != own => {
                self.faults.add(Fault::Misdirected);
                // Once on the other's own topic, once as it was.
                let others = Topic::Down { fleet, node: self.nodes[other].id, kind };
                let topic = if pick.is_multiple_of(2) { others.to_string() } else { topic };
                // Commands for several nodes carry one signature, and a proof for each: only with its own may a node take it.
                self.hostile(other, &topic, false, &payload);
            }
            Hostile::Misdirected => {}
            Hostile::BitFlip => {
                self.faults.add(Fault::BitFlipped);
                let bit = Random::part(u64::try_from(pick).unwrap(), 5).index(payload.len() * 8);
                payload[bit / 8] ^= 1 << (bit % 8);
                self.hostile(own, &topic, false, &payload);
            }
        }
    }

    fn poison(&mut self, node: usize, seed: u64) {
        if !self.bridge_is_connected() {
            return;
        }
        self.faults.add(Fault::Poison);
        let mut dice = Random::part(seed, 6);
        let payload: Vec<u8> = (0..dice.below(200)).map(|_| dice.bytes::<1>()[0]).collect();
        let topic = Topic::Up { fleet: self.fleet, node: self.nodes[node].id, kind: UpKind::Report };
        let life = self.bridge_life;
        self.after(1, Event::ToBridge { life, topic: topic.to_string(), payload });
    }

    fn anothers_report(&mut self, pick: usize, other: usize) {
        let Some((topic, payload)) = self.network.pick(pick) else { return };
        let Ok(Topic::Up { node, kind, fleet }) = topic.parse() else { return };
        if node == self.nodes[other].id || !self.bridge_is_connected() {
            return;
        }
        self.faults.add(Fault::AnothersReport);
        let topic = Topic::Up { fleet, node: self.nodes[other].id, kind };
        let life = self.bridge_life;
        self.after(1, Event::ToBridge { life, topic: topic.to_string(), payload });
    }
}
