//! The world: virtual time, one queue of events, the nodes, the network between, and the bridge.

use crate::bridge::{Bridge, Done};
use crate::copy::Twins;
use crate::fault::{Fault, Faults};
use crate::jobs::Job;
use crate::network::Network;
use crate::node::Node;
use crate::plan::{Action, Plan, Scale};
use crate::trace::Trace;
use flotilla_broker_bridge::platform::mqtt::{Arrival, Inbound};
use flotilla_protocol::id::{FleetId, NodeId, OrderId};
use flotilla_protocol::topic::Topic;
use flotilla_tests::invariants::{Fact, History, Knowledge};
use flotilla_tests::random::Random;
use std::collections::{BTreeMap, BTreeSet};

/// 1 December 2026 by the sun, when every world begins.
const START_MS: u64 = 1_796_083_200_000;
/// After the last action everything has so long to come to its end: longer than any command may take to expire, to run, and to be given up.
const SETTLE_MS: u64 = 5 * 3_600_000;
/// What is still open then, because a clock ten years ahead has signed it, operators cancel; and that is carried out within this.
const CANCELLED_MS: u64 = 2 * 3_600_000;
/// How often what must not change is looked at.
const LOOK_MS: u64 = 30 * 60_000;
/// Dispatch looks at the clock at least this often, as in the bridge.
const LONGEST_PAUSE_MS: u64 = 60_000;
/// While the world comes to rest it looks ten times less often: every clock is right, so what is due must be known beforehand. That asks
/// more of dispatch than the bridge does, and takes a quarter of the time of a short history.
const LONGEST_PAUSE_AT_REST_MS: u64 = 600_000;

/// A mistake that is built in on purpose: the simulator must find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Planted {
    Nothing,
    /// Exec starts a job before the record of it is on the disk.
    StartWithoutPersist,
    /// Exec publishes before the record is on the disk.
    PublishBeforeDurable,
    /// After a reboot a job that had started is started again.
    RunAgainAfterReboot,
    /// A new journal leaves out the orders that have ended.
    ForgetsEndedOrders,
    /// The bridge's answers go out before its commit.
    AnswerBeforeCommit,
    /// Exec tells the device to reboot before the record of it is on the disk.
    RebootWithoutPersist,
    /// After a reboot that a step asked for the job begins anew.
    ForgetsWhereItWas,
    /// The bridge forgets whom it has quarantined.
    BelievesCopies,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Undo {
    Offline(usize),
    Hole(usize),
    Disk(usize),
    Network,
    Broker,
    CutOff,
    BridgeDisk,
    Clock,
}

#[derive(Debug)]
pub(crate) enum Event {
    Act(Action),
    Undo(Undo),
    ToNode { node: usize, link: u32, topic: String, payload: Vec<u8> },
    ToBridge { life: u64, topic: String, payload: Vec<u8> },
    Wake { node: usize, number: u64 },
    StartAgent { node: usize, life: u32 },
    PowerOn { node: usize },
    Connect { node: usize, life: u32 },
    Will { node: usize, link: u32 },
    HoleSeen { node: usize, link: u32 },
    JobTimer { node: usize, order: OrderId, timer: u32 },
    JobTold { node: usize, order: OrderId, life: u32 },
    JobGrows { node: usize, order: OrderId },
    DeviceReboots { node: usize, boot: u32, off_ms: u64 },
    RebootRefused { node: usize, life: u32 },
    Presence { node: usize, life: u64, online: bool },
    Take,
    Round { number: u64 },
    BridgeUp,
    Look,
    Settle,
    CancelOpen,
    End,
}

/// A command that the bridge took.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) order: String,
    pub(crate) targets: BTreeSet<String>,
    pub(crate) time_out_ms: u64,
}

pub(crate) struct World {
    pub(crate) now_ms: u64,
    queue: BTreeMap<(u64, u64), Event>,
    queued: u64,
    pub(crate) scale: Scale,
    pub(crate) planted: Planted,
    pub(crate) dice: Random,
    pub(crate) nodes: Vec<Node>,
    pub(crate) index: BTreeMap<NodeId, usize>,
    pub(crate) fleet: FleetId,
    pub(crate) bridge: Bridge,
    pub(crate) bridge_life: u64,
    pub(crate) broker_is_up: bool,
    pub(crate) cut_off: bool,
    take_is_queued: bool,
    round: u64,
    round_at_ms: Option<u64>,
    pub(crate) network: Network,
    pub(crate) sent: Vec<Sent>,
    pub(crate) faults: Faults,
    pub(crate) trace: Trace,
    pub(crate) history: History,
    pub(crate) starts: u64,
    /// Starts that were recorded and never began, so that their orders waited again.
    pub(crate) put_back: u64,
    /// Starts after a reboot that a step asked for, or without it.
    pub(crate) resumes: u64,
    /// Two devices with one identity.
    pub(crate) twins: Option<Twins>,
    /// What broke that no history shows.
    pub(crate) broken: Vec<String>,
    pub(crate) clock_was_wrong: bool,
    /// The wrong clock that the bridge has not looked at yet.
    pub(crate) clock_fault: Option<Fault>,
    settling: bool,
}

impl World {
    pub(crate) fn new(seed: u64, scale: Scale, plan: &Plan, planted: Planted) -> Self {
        let mut bridge = Bridge::new(seed, START_MS);
        bridge.answers_before_commit = planted == Planted::AnswerBeforeCommit;
        let trust = bridge.trust();
        let nodes: Vec<Node> = (0..scale.nodes).map(|number| Node::new(number, seed, trust.clone(), START_MS - 1000)).collect();
        let mut world = Self {
            now_ms: 0,
            queue: BTreeMap::new(),
            queued: 0,
            scale,
            planted,
            dice: Random::part(seed, 2),
            index: nodes.iter().enumerate().map(|(index, node)| (node.id, index)).collect(),
            nodes,
            fleet: trust.fleet(),
            bridge,
            bridge_life: 0,
            broker_is_up: true,
            cut_off: false,
            take_is_queued: false,
            round: 0,
            round_at_ms: None,
            network: Network::new(seed),
            sent: Vec::new(),
            faults: Faults::default(),
            trace: Trace::new(),
            history: History::default(),
            starts: 0,
            put_back: 0,
            resumes: 0,
            twins: None,
            broken: Vec::new(),
            clock_was_wrong: false,
            clock_fault: None,
            settling: false,
        };
        world.begin(plan);
        world
    }

    fn begin(&mut self, plan: &Plan) {
        for node in 0..self.nodes.len() {
            self.bridge.register(self.nodes[node].id, self.nodes[node].identity_key());
            let name = self.nodes[node].name.clone();
            self.history.node(&name).knowledge = Knowledge::WHOLE;
            let at_ms = self.nodes[node].dice.below(2_000);
            self.at(at_ms, Event::StartAgent { node, life: 0 });
        }
        self.prepare();
        self.bridge_came_up();
        let end_ms = self.scale.hours * 3_600_000;
        for (at_ms, action) in plan {
            self.at(3_000 + at_ms, Event::Act(action.clone()));
        }
        for look in 1..(end_ms + SETTLE_MS) / LOOK_MS {
            self.at(look * LOOK_MS, Event::Look);
        }
        self.at(end_ms, Event::Settle);
        self.at(end_ms + SETTLE_MS, Event::CancelOpen);
        self.at(end_ms + SETTLE_MS + CANCELLED_MS, Event::End);
    }

    pub(crate) fn at(&mut self, at_ms: u64, event: Event) {
        self.queued += 1;
        self.queue.insert((at_ms, self.queued), event);
    }

    pub(crate) fn after(&mut self, ms: u64, event: Event) {
        self.at(self.now_ms + ms, event);
    }

    pub(crate) fn real_ms(&self) -> u64 {
        START_MS + self.now_ms
    }

    pub(crate) fn fact(&mut self, node: usize, order: impl Into<String>, fact: Fact) {
        let order = order.into();
        if !matches!(fact, Fact::Delivered { .. } | Fact::Dropped { effects: 0 }) {
            let short = order.get(order.len().saturating_sub(6)..).unwrap_or_default();
            self.trace.line(self.now_ms, format_args!("node {node} ..{short} {fact:?}"));
        }
        let now_ms = self.now_ms;
        let Self { nodes, history, .. } = self;
        history.nodes.get_mut(&nodes[node].history).unwrap().add(now_ms, order, fact);
    }

    /// Lets everything happen; returns false when something broke that stops the world.
    pub(crate) fn run(&mut self) {
        while let Some(((at_ms, _), event)) = self.queue.pop_first() {
            self.now_ms = at_ms;
            self.bridge.at(self.real_ms());
            if matches!(event, Event::End) || !self.broken.is_empty() {
                break;
            }
            self.happen(event);
        }
        self.finish();
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Act(action) => self.act(action),
            Event::Undo(undo) => self.undo(&undo),
            Event::ToNode { node, link, topic, payload } => self.arrives_at_node(node, link, &topic, payload),
            Event::ToBridge { life, topic, payload } => self.arrives_at_bridge(life, &topic, payload),
            Event::Wake { node, number } => self.wakes(node, number),
            Event::StartAgent { node, life } => self.start_agent(node, life),
            Event::PowerOn { node } => self.power_on(node),
            Event::Connect { node, life } => self.connect(node, life),
            Event::Will { node, link } => self.will(node, link),
            Event::HoleSeen { node, link } => {
                if self.nodes[node].hole && self.nodes[node].link == link {
                    self.disconnect(node);
                }
            }
            Event::JobTimer { node, order, timer } => self.job_timer(node, order, timer),
            Event::JobTold { node, order, life } => self.job_told(node, order, life),
            Event::JobGrows { node, order } => self.job_grows(node, order),
            Event::DeviceReboots { node, boot, off_ms } => self.device_reboots(node, boot, off_ms),
            Event::RebootRefused { node, life } => self.reboot_refused(node, life),
            Event::Presence { node, life, online } => {
                if life == self.bridge_life {
                    self.tell_presence(node, online);
                }
            }
            Event::Take => {
                self.take_is_queued = false;
                let done = self.bridge.take();
                self.bridge_did(done);
                if !self.bridge.inbox.is_empty() {
                    self.queue_take();
                }
            }
            Event::Round { number } if number == self.round => self.dispatch(),
            Event::Round { .. } | Event::End => {}
            Event::BridgeUp => self.bridge_up(),
            Event::Look => self.bridge.look(&mut self.history),
            Event::Settle => self.settle(),
            Event::CancelOpen => self.cancel_open(),
        }
    }

    // The bridge

    pub(crate) fn bridge_is_connected(&self) -> bool {
        self.bridge.is_alive() && self.broker_is_up && !self.cut_off
    }

    fn queue_take(&mut self) {
        if !std::mem::replace(&mut self.take_is_queued, true) {
            let pause_ms = self.dice.between(1, 5);
            self.after(pause_ms, Event::Take);
        }
    }

    fn queue_round(&mut self, in_ms: u64) {
        let at_ms = self.now_ms + in_ms;
        if self.round_at_ms.is_none_or(|queued_ms| at_ms < queued_ms || queued_ms < self.now_ms) {
            self.round += 1;
            self.round_at_ms = Some(at_ms);
            self.at(at_ms, Event::Round { number: self.round });
        }
    }

    fn dispatch(&mut self) {
        self.round_at_ms = None;
        if self.bridge.is_alive()
            && let Some(fault) = self.clock_fault.take()
        {
            self.faults.add(fault);
            if self.nodes.iter().any(|node| node.jobs.jobs.values().any(Job::is_running)) {
                self.faults.add(Fault::ClockJumped);
            }
        }
        let (done, next_ms) = self.bridge.round(self.now_ms);
        self.bridge_did(done);
        if self.bridge.is_alive() {
            let bridge_ms = self.bridge.clock.now_ms();
            let longest_ms = if self.settling { LONGEST_PAUSE_AT_REST_MS } else { LONGEST_PAUSE_MS };
            let pause_ms = next_ms.map_or(longest_ms, |next_ms| next_ms.saturating_sub(bridge_ms)).clamp(2, longest_ms);
            self.queue_round(pause_ms);
        }
    }

    pub(crate) fn bridge_did(&mut self, done: Done) {
        for (topic, payload) in done.publishes {
            self.check_silence(&topic);
            self.goes_down(topic, payload);
        }
        self.look_at_twins();
        if done.nudged {
            self.queue_round(0);
        }
        if let Some((off_ms, before)) = done.died {
            let fault = if before { Fault::BridgeBeforeCommit } else { Fault::BridgeAfterCommit };
            self.faults.add(fault);
            self.trace.line(self.now_ms, format_args!("{} for {off_ms} ms", fault.text()));
            self.bridge_died(off_ms);
        }
    }

    pub(crate) fn bridge_died(&mut self, off_ms: u64) {
        self.bridge_life += 1;
        self.after(off_ms, Event::BridgeUp);
    }

    fn bridge_up(&mut self) {
        if !self.bridge.is_alive() {
            self.bridge.start();
            self.bridge_came_up();
        }
    }

    fn bridge_came_up(&mut self) {
        self.bridge_life += 1;
        self.trace.line(self.now_ms, format_args!("the bridge is up"));
        if self.bridge_is_connected() {
            self.bridge_connects();
        }
        self.queue_take();
        self.queue_round(0);
    }

    /// The broker is there again: what it retains comes first.
    pub(crate) fn bridge_connects(&mut self) {
        self.bridge.set_connected(true);
        for node in 0..self.nodes.len() {
            if self.index.get(&self.nodes[node].id) == Some(&node) {
                let online = self.nodes[node].broker_says_online;
                self.tell_presence(node, online);
            }
        }
        self.queue_take();
    }

    pub(crate) fn bridge_disconnects(&mut self) {
        self.bridge_life += 1;
        self.bridge.set_connected(false);
        self.queue_take();
    }

    /// A node came or went, as the broker says.
    pub(crate) fn presence_changed(&mut self, node: usize, online: bool) {
        self.nodes[node].broker_says_online = online;
        match self.copies_of_presence() {
            None => self.tell_presence(node, online),
            Some(copies) => {
                let life = self.bridge_life;
                for ms in copies {
                    self.after(ms, Event::Presence { node, life, online });
                }
            }
        }
    }

    pub(crate) fn tell_presence(&mut self, node: usize, online: bool) {
        if self.bridge_is_connected() {
            let topic = Topic::Online { fleet: self.fleet, node: self.nodes[node].id };
            let payload = if online { &b"1"[..] } else { &b"0"[..] };
            self.bridge.inbox.push(Arrival::Message(Inbound { topic, payload: payload.into() }));
            self.queue_take();
        }
    }

    fn arrives_at_bridge(&mut self, life: u64, topic: &str, payload: Vec<u8>) {
        if life != self.bridge_life || !self.bridge_is_connected() {
            return;
        }
        // What is none of contract 1 does not come in: see the bridge's connection.
        if let Ok(topic) = topic.parse() {
            self.bridge.inbox.push(Arrival::Message(Inbound { topic, payload: payload.into() }));
            self.queue_take();
        }
    }

    // The end

    fn settle(&mut self) {
        self.trace.line(self.now_ms, format_args!("every fault is over"));
        self.settling = true;
        self.network.heal();
        self.bridge.kill_at(None);
        for undo in [Undo::Broker, Undo::CutOff, Undo::BridgeDisk, Undo::Clock] {
            self.undo(&undo);
        }
        for node in 0..self.nodes.len() {
            self.nodes[node].stop = None;
            self.nodes[node].frozen_until_ms = self.nodes[node].frozen_until_ms.min(self.now_ms);
            for undo in [Undo::Offline(node), Undo::Hole(node), Undo::Disk(node)] {
                self.undo(&undo);
            }
        }
        if !self.bridge.is_alive() {
            self.bridge_up();
        }
    }

    pub(crate) fn is_settling(&self) -> bool {
        self.settling
    }

    fn finish(&mut self) {
        self.bridge.look(&mut self.history);
        self.history.settled = self.broken.is_empty();
        for sent in &self.sent {
            // What an older copy of the database does not know is gone, and only what nodes did of it is left to check.
            if self.history.restored && self.history.commands.get(&sent.order).is_none_or(|command| command.counts.is_none()) {
                self.history.commands.remove(&sent.order);
                continue;
            }
            let command = self.history.command(&sent.order);
            command.targets = sent.targets.clone();
            command.time_out_ms = Some(sent.time_out_ms);
        }
        self.check_output();
    }

    fn check_output(&mut self) {
        for (place, node) in self.nodes.iter().enumerate() {
            if self.twin_of(place).is_some() {
                continue;
            }
            for (order, (step, kept)) in &node.results {
                let Some(command) = self.history.commands.get_mut(&order.to_string()) else { continue };
                let step = i64::try_from(*step).unwrap();
                let is_it =
                    |rows: &&mut flotilla_tests::invariants::OutputRows| rows.node == node.name && rows.step == step && rows.stream == 0;
                if let Some(rows) = command.output.iter_mut().find(is_it) {
                    rows.wanted = Some(*kept);
                }
            }
        }
        for (order, node, step, offset, bytes) in self.bridge.chunks() {
            let id: OrderId = order.parse().unwrap();
            let from = u64::try_from(offset).unwrap();
            let right = crate::jobs::output_of(id, from, from + u64::try_from(bytes.len()).unwrap());
            let rows =
                self.history.command(&order).output.iter_mut().find(|rows| rows.node == node && rows.step == step && rows.stream == 0);
            if let Some(rows) = rows {
                rows.is_right = Some(rows.is_right.unwrap_or(true) && right == bytes);
            }
        }
    }
}
