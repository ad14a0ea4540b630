//! A node's surroundings in memory: a disk that forgets what was not synced, jobs that live on without the agent, and a bridge that checks
//! everything it is sent.

mod bridge;
mod checks;
mod fleet;
mod shell;
mod telemetry;

use bridge::Bridge;
use fleet::{ORDERS, START_MS, VALID_MS, delivery, key, made_ms, node, order_id, recovery, trust};
use flotilla_agent_core::{Core, Floor, Input, JobEnd, Record};
use flotilla_protocol::capability::command::{Captured, StepResult};
use flotilla_protocol::envelope::{Domain, seal};
use flotilla_protocol::id::OrderId;
use flotilla_protocol::order::CancelBody;
use flotilla_protocol::report::OutputStream;
use flotilla_protocol::status::{Outcome, StepStatus};
use flotilla_protocol::topic::{DownKind, Topic};
use flotilla_protocol::wire::encode;
use std::collections::{BTreeMap, BTreeSet};

const MUCH_OUTPUT: u64 = 40_000;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Action {
    Deliver(u8),
    FinishJob(u8),
    FinishJobWithMuchOutput(u8),
    LoseJob(u8),
    Cancel(u8),
    Connect,
    Disconnect,
    Receipt,
    PassSeconds(u8),
    PassAnHour,
    PassBeyondExpiry,
    KillAfterOutputs(u8),
    CutPowerAfterOutputs(u8, u8),
    Compact,
    LoseMessages,
    GrowOutput(u8),
    RepeatMessage(u8),
    /// The journal is gone; whether the second copy of the floor is there.
    LoseMemory(bool),
    /// The disk takes no records from now on.
    RefuseRecords,
    TakeRecords,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Job {
    Running,
    Finished { kept: u64 },
    Lost,
}

pub(crate) struct World {
    core: Core,
    now: u64,
    real_ms: u64,
    /// How wrong the bridge's clock is.
    bridge_ahead_ms: u64,
    boot: u8,
    connected: bool,
    loses_messages: bool,
    /// Outputs that the shell still takes before it stops.
    stop_after: Option<(u8, Option<u8>)>,
    durable: Vec<Record>,
    written: Vec<Record>,
    jobs: BTreeMap<OrderId, Job>,
    starts: BTreeMap<OrderId, u32>,
    recovering: BTreeSet<OrderId>,
    cancelled_before_start: BTreeSet<OrderId>,
    delivered: BTreeSet<u8>,
    bridge: Bridge,
    to_node: Vec<(DownKind, Vec<u8>)>,
    /// Everything that ever came down: a hostile broker keeps it and sends it again.
    kept_by_broker: Vec<(DownKind, Vec<u8>)>,
    /// Jobs that wrote much before they ended.
    grown: BTreeSet<OrderId>,
    /// What the shell keeps beside the journal.
    floor: Floor,
    losses: u32,
    /// Results that the bridge had at a loss: the node does not know of the rest of their output any more.
    had_result_at_loss: BTreeSet<OrderId>,
    /// Results that were said again.
    pub(crate) said_again: u32,
    pub(crate) hellos: u32,
    /// By how much the bridge's clock is behind.
    pub(crate) behind_ms: u64,
    is_writable: bool,
    tells_health: bool,
    /// Control reports that were sent on this connection.
    sent_control: BTreeSet<u64>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(true)
    }

    /// A node that reports on orders only.
    pub(crate) fn without_telemetry() -> Self {
        Self::with(false)
    }

    fn with(tells_health: bool) -> Self {
        Self {
            core: recovery(1, tells_health).finish(),
            tells_health,
            now: 1_000,
            real_ms: START_MS,
            bridge_ahead_ms: 0,
            boot: 1,
            connected: false,
            loses_messages: false,
            stop_after: None,
            durable: Vec::new(),
            written: Vec::new(),
            jobs: BTreeMap::new(),
            starts: BTreeMap::new(),
            recovering: BTreeSet::new(),
            cancelled_before_start: BTreeSet::new(),
            delivered: BTreeSet::new(),
            bridge: Bridge::default(),
            to_node: Vec::new(),
            kept_by_broker: Vec::new(),
            grown: BTreeSet::new(),
            floor: Floor::default(),
            losses: 0,
            had_result_at_loss: BTreeSet::new(),
            said_again: 0,
            hellos: 0,
            behind_ms: 0,
            is_writable: true,
            sent_control: BTreeSet::new(),
        }
    }

    pub(crate) fn act(&mut self, action: Action) {
        match action {
            Action::Deliver(number) => {
                if self.connected && self.real_ms >= made_ms(number) {
                    self.delivered.insert(number);
                    self.down(DownKind::Order, &delivery(number));
                }
            }
            Action::FinishJob(number) => self.finish(number, Job::Finished { kept: 3 }),
            Action::FinishJobWithMuchOutput(number) => self.finish(number, Job::Finished { kept: MUCH_OUTPUT }),
            Action::LoseJob(number) => self.finish(number, Job::Lost),
            Action::Cancel(number) => {
                if self.connected && self.real_ms >= made_ms(number) {
                    let comes_in_time = !self.starts.contains_key(&order_id(number)) && self.stop_after.is_none();
                    let refused_before = self.refused_for_now();
                    let (fleet, not_after_ms) = (trust().fleet(), START_MS + VALID_MS);
                    let cancel = CancelBody { fleet, node: node(), order: order_id(number), not_after_ms };
                    self.delivered.insert(number);
                    self.down(DownKind::Cancel, &seal(Domain::Cancel, &encode(&cancel), &[&key(3)]));
                    if comes_in_time && self.refused_for_now() == refused_before {
                        self.cancelled_before_start.insert(order_id(number));
                    }
                }
            }
            Action::Connect => self.connect(),
            Action::Disconnect => {
                self.connected = false;
                self.to_node.clear();
                self.handle(Input::Disconnected);
            }
            Action::Receipt => self.send_receipt(),
            Action::PassSeconds(seconds) => self.pass(u64::from(seconds) * 1000),
            Action::PassAnHour => self.pass(3_600_000),
            Action::PassBeyondExpiry => self.pass(VALID_MS + 1000),
            Action::KillAfterOutputs(outputs) => self.stop_after = Some((outputs, None)),
            Action::CutPowerAfterOutputs(outputs, kept) => self.stop_after = Some((outputs, Some(kept))),
            Action::Compact => self.compact(),
            Action::LoseMessages => self.loses_messages = !self.loses_messages,
            Action::GrowOutput(number) => {
                let order = order_id(number);
                if self.jobs.get(&order) == Some(&Job::Running) {
                    self.grown.insert(order);
                    self.handle(Input::OutputGrew { order, step: 0, stream: OutputStream::Stdout, kept_bytes: MUCH_OUTPUT });
                }
            }
            Action::LoseMemory(keeps_floor) => self.lose_memory(keeps_floor),
            Action::RefuseRecords => self.set_writable(false),
            Action::TakeRecords => self.set_writable(true),
            Action::RepeatMessage(number) => {
                let count = self.kept_by_broker.len();
                if self.connected && count > 0 {
                    let (kind, payload) = self.kept_by_broker[usize::from(number) % count].clone();
                    self.down(kind, &payload);
                }
            }
        }
        self.check_spool_is_bounded();
        assert!(!self.is_spinning(), "the core wants to be woken in the past, for ever");
    }

    pub(crate) fn set_room(&mut self, room_bytes: u64) {
        self.handle(Input::Storage { is_writable: true, room_bytes });
    }

    pub(crate) fn set_bridge_clock(&mut self, ahead_ms: u64) {
        self.bridge_ahead_ms = ahead_ms;
    }

    /// Lets the network heal and everything come to its end.
    pub(crate) fn settle(&mut self) {
        self.stop_after = None;
        self.loses_messages = false;
        self.set_writable(true);
        for round in 0..40_u8 {
            if round % 8 == 0 {
                self.connect();
            }
            for number in self.delivered.clone() {
                let id = order_id(number);
                let known = self.bridge.accepted.contains(&id) || self.bridge.rejected.contains_key(&id) || self.bridge.lost.contains(&id);
                if !known && !self.bridge.results.contains_key(&order_id(number)) {
                    self.down(DownKind::Order, &delivery(number));
                }
            }
            for number in 0..ORDERS {
                self.finish(number, Job::Finished { kept: 3 });
            }
            self.send_receipt();
            self.pass(11_000);
        }
    }

    fn pass(&mut self, ms: u64) {
        self.now += ms;
        self.real_ms += ms;
        self.handle(Input::Tick);
    }

    fn connect(&mut self) {
        self.connected = true;
        self.sent_control.clear();
        self.to_node.clear();
        let nonce = flotilla_protocol::sha256(&[&self.real_ms.to_le_bytes(), &[self.boot]]);
        self.handle(Input::Connected { nonce });
    }

    fn down(&mut self, kind: DownKind, payload: &[u8]) {
        let topic = Topic::Down { fleet: trust().fleet(), node: node(), kind }.to_string();
        self.kept_by_broker.push((kind, payload.to_vec()));
        self.handle(Input::Message { topic: &topic, retained: false, payload });
    }

    fn finish(&mut self, number: u8, how: Job) {
        let id = order_id(number);
        let has_much = self.grown.contains(&id) && matches!(how, Job::Finished { .. });
        let how = if has_much { Job::Finished { kept: MUCH_OUTPUT } } else { how };
        if self.jobs.get(&id) == Some(&Job::Running) {
            self.jobs.insert(id, how);
            self.tell_end(id);
        }
    }

    fn tell_end(&mut self, id: OrderId) {
        let end = match self.jobs.get(&id) {
            Some(Job::Finished { kept }) => {
                let head = vec![b'x'; usize::try_from(*kept).unwrap()];
                let stdout = Captured { written_bytes: *kept, kept_bytes: *kept, sha256: [0; 32], head };
                let (status, stderr) = (StepStatus::Succeeded, Captured::default());
                let step = StepResult { name: "run".into(), status, exit_code: 0, started_ms: None, ended_ms: None, stdout, stderr };
                JobEnd { outcome: Outcome::Succeeded, explanation: String::new(), steps: vec![step] }
            }
            Some(Job::Running) => return,
            Some(Job::Lost) | None => JobEnd { outcome: Outcome::Interrupted, explanation: "cut off".into(), steps: Vec::new() },
        };
        self.handle(Input::JobEnded { order: id, end });
    }
}
