//! A node's surroundings in memory: a disk that forgets what was not synced, jobs that live on without the agent, and a bridge that checks
//! everything it is sent.

use ed25519_dalek::SigningKey;
use flotilla_agent_core::{Core, Floor, Input, JobEnd, Output, Record, Recovery, Settings, UpMessage};
use flotilla_protocol::capability::command::{Captured, CommandOrder, CommandResult, StepResult};
use flotilla_protocol::capability::{OrderPayload, ReportPayload};
use flotilla_protocol::delivery::Delivery;
use flotilla_protocol::document::{Action as StepAction, Plan, RunShellScript, Step, Template};
use flotilla_protocol::envelope::{Domain, Envelope, seal};
use flotilla_protocol::hello::{Facts, HelloBody, WelcomeBody};
use flotilla_protocol::id::{BootId, NodeId, OrderId};
use flotilla_protocol::order::{CancelBody, OnCrash, OrderBody, Targets};
use flotilla_protocol::report::{LossCause, OutputBody, OutputReceiptBody, OutputStream, ReceiptBody, ReportBody, Stream};
use flotilla_protocol::status::{Admission, Outcome, RejectReason, StepStatus};
use flotilla_protocol::target;
use flotilla_protocol::topic::{DownKind, Topic, UpKind};
use flotilla_protocol::trust::{Class, Role, RoleEntry, Trust, TrustBundle, TrustKey};
use flotilla_protocol::wire::{decode, encode};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

/// Orders 0 to 3 are there from the start; the later ones are made in time, so that a node that has lost its memory takes them again.
const ORDERS: u8 = 6;
const OF_THE_START: u8 = 4;
const START_MS: u64 = 1_800_000_000_000;
/// Longer than the step of the durable floor, so that the floor moves while orders are valid.
const VALID_MS: u64 = 3 * 3_600_000;
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

#[derive(Debug, Default)]
struct Bridge {
    chain: BTreeMap<u64, ([u8; 32], BootId)>,
    accepted: BTreeSet<OrderId>,
    rejected: BTreeMap<OrderId, RejectReason>,
    results: BTreeMap<OrderId, CommandResult>,
    output: BTreeMap<(OrderId, u16, OutputStream), u64>,
    /// Accepted, and then the node lost its memory.
    lost: BTreeSet<OrderId>,
    barrier_ms: u64,
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
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

/// Made once: each history would otherwise spend its time on signatures.
fn trust() -> Trust {
    static TRUST: OnceLock<Trust> = OnceLock::new();
    TRUST.get_or_init(make_trust).clone()
}

fn delivery(number: u8) -> Vec<u8> {
    static DELIVERIES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    DELIVERIES.get_or_init(|| (0..ORDERS).map(make_delivery).collect())[usize::from(number)].clone()
}

fn make_trust() -> Trust {
    let keys =
        (1..=4).map(|seed| TrustKey { public_key: key(seed).verifying_key().to_bytes().into(), person: format!("{seed}") }).collect();
    let role = |role, index| RoleEntry { role, threshold: 1, keys: vec![index] };
    let roles = vec![role(Role::Root, 0), role(Role::Operator(Class::Command), 1), role(Role::Bridge, 2), role(Role::Freshness, 3)];
    let bundle = TrustBundle { version: 1, previous: [0; 32], expires_ms: u64::MAX, epoch: 0, minimum_agent_version: [0; 3], keys, roles };
    let body = encode(&bundle);
    Trust::from_pinned(&flotilla_protocol::sha256(&[&body]), [seal(Domain::Trust, &body, &[&key(1)]).as_slice()]).unwrap()
}

fn node_key() -> SigningKey {
    key(100)
}

fn node() -> NodeId {
    NodeId::of_key(&node_key().verifying_key().to_bytes())
}

fn order_id(number: u8) -> OrderId {
    if number < OF_THE_START {
        return OrderId([number; 16]);
    }
    let [_, _, made_ms @ ..] = made_ms(number).to_be_bytes();
    let mut id = [0; 16];
    id[..6].copy_from_slice(&made_ms);
    (id[6], id[15]) = (0x70, number);
    OrderId(id)
}

fn made_ms(number: u8) -> u64 {
    if number < OF_THE_START { START_MS } else { START_MS + u64::from(number - 3) * 90_000 }
}

fn recovery(boot: u8) -> Recovery {
    Recovery::new(Settings {
        identity: node_key(),
        trust: trust(),
        boot: BootId([boot; 16]),
        facts: Facts::default(),
        agent_version: [0, 1, 0],
        maximum_jobs: 2,
        first_floor_ms: START_MS - 1000,
    })
}

fn make_delivery(number: u8) -> Vec<u8> {
    let script =
        RunShellScript { run_command: vec![Template::text("true")], working_directory: None, environment: BTreeMap::new(), timeout_s: 60 };
    let plan = Plan { steps: vec![Step::new("run", &StepAction::RunShellScript(script))] };
    let command = CommandOrder { document: "d".into(), document_version: "1".into(), parameters: Vec::new(), plan };
    let leaf = target::leaf(&node_key().verifying_key().to_bytes(), b"");
    let order = OrderBody {
        id: order_id(number),
        fleet: trust().fleet(),
        targets: Targets { count: 1, root: leaf },
        requester: "operator".into(),
        // Orders 2 and 3 share a lane.
        lane: u16::from(number == 2 || number == 3),
        sequence: u64::from(number),
        epoch: 0,
        not_before_ms: made_ms(number),
        not_after_ms: START_MS + VALID_MS,
        minimum_trust_version: 1,
        on_crash: OnCrash::Never,
        payload: OrderPayload::Command(command).encode(),
    };
    let envelope = seal(Domain::Order, &encode(&order), &[&key(2)]);
    encode(&Delivery { envelope, index: 0, proof: Vec::new(), node_data: Vec::new() })
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            core: recovery(1).finish(),
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
        assert!(!self.is_spinning(), "the core wants to be woken in the past, for ever");
    }

    pub(crate) fn set_room(&mut self, room_bytes: u64) {
        self.handle(Input::Storage { is_writable: true, room_bytes });
    }

    pub(crate) fn set_bridge_clock(&mut self, ahead_ms: u64) {
        self.bridge_ahead_ms = ahead_ms;
    }

    /// Whether the node has told the bridge that its memory is lost, and takes orders again.
    pub(crate) fn has_regained_memory(&self) -> bool {
        self.core.floor().barrier_ms > 0
    }

    pub(crate) fn is_accepted(&self, number: u8) -> bool {
        self.bridge.accepted.contains(&order_id(number))
    }

    pub(crate) fn is_started(&self, number: u8) -> bool {
        self.starts.contains_key(&order_id(number))
    }

    /// Whether the journal says that it waits although it was about to start.
    pub(crate) fn is_recorded_as_waiting(&self, number: u8) -> bool {
        let id = order_id(number);
        self.durable.iter().chain(&self.written).any(|record| matches!(record, Record::NotStarted { order, .. } if *order == id))
    }

    pub(crate) fn has_result(&self, number: u8) -> bool {
        self.bridge.results.contains_key(&order_id(number))
    }

    pub(crate) fn is_lost(&self, number: u8) -> bool {
        self.bridge.lost.contains(&order_id(number))
    }

    /// How many messages were refused that the bridge sends again.
    pub(crate) fn refused_for_now(&self) -> u32 {
        let count = |reason| self.core.refused().get(&reason).copied().unwrap_or(0);
        count(RejectReason::Storage) + count(RejectReason::MemoryLost)
    }

    fn is_spinning(&mut self) -> bool {
        let wants_now = |world: &Self| world.core.next_wakeup(world.now).is_some_and(|at| at <= world.now);
        (0..50).all(|_| {
            let wants = wants_now(self);
            if wants {
                self.handle(Input::Tick);
            }
            wants
        })
    }

    /// When the bridge has everything, the node keeps nothing but ids.
    pub(crate) fn check_nothing_is_left(&self) {
        for record in self.core.snapshot() {
            assert!(!matches!(record, Record::Upload { .. }), "output is kept for ever: {record:?}");
            let keeps_folder = matches!(record, Record::Known { has_folder: true, .. } | Record::KnownEnd { has_folder: true, .. });
            assert!(!keeps_folder, "a folder is kept for ever: {record:?}");
            assert!(!matches!(record, Record::Report { .. }), "a report is kept for ever");
        }
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

    pub(crate) fn check_everything_ended(&self) {
        for number in &self.delivered {
            let id = order_id(*number);
            let ended = self.bridge.results.contains_key(&id);
            // Behind the floor the node does not answer: the bridge knows that the time is over, and that nothing was accepted.
            let is_over = !self.bridge.accepted.contains(&id) && self.real_ms >= START_MS + VALID_MS && !self.starts.contains_key(&id);
            let is_lost = self.bridge.lost.contains(&id);
            assert!(ended || is_over || is_lost || self.bridge.rejected.contains_key(&id), "order {number} has no end");
        }
        for (id, result) in self.bridge.results.iter().filter(|(id, _)| !self.had_result_at_loss.contains(id)) {
            for (index, step) in (0_u16..).zip(&result.steps) {
                let head = u64::try_from(step.stdout.head.len()).unwrap();
                if step.stdout.kept_bytes > head {
                    let received = self.bridge.output.get(&(*id, index, OutputStream::Stdout)).copied().unwrap_or(0);
                    assert_eq!(received, step.stdout.kept_bytes, "output of {id} is not whole");
                }
            }
        }
    }

    /// Breaks the promise on purpose, for the test of this checker.
    pub(crate) fn start_again(&mut self, number: u8) {
        self.start(order_id(number));
    }

    fn pass(&mut self, ms: u64) {
        self.now += ms;
        self.real_ms += ms;
        self.handle(Input::Tick);
    }

    fn connect(&mut self) {
        self.connected = true;
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

    fn handle(&mut self, input: Input<'_>) {
        self.core.handle(input, self.now);
        self.drain();
        // What the bridge answered arrives after the outputs were taken, as on a network.
        for _ in 0..200 {
            let Some((kind, payload)) = (!self.to_node.is_empty()).then(|| self.to_node.remove(0)) else { break };
            if self.connected {
                let topic = Topic::Down { fleet: trust().fleet(), node: node(), kind }.to_string();
                self.core.handle(Input::Message { topic: &topic, retained: false, payload: &payload }, self.now);
                self.drain();
            }
        }
    }

    /// The shell: takes outputs, keeps the promise about `Persist`, and stops where the history says.
    fn drain(&mut self) {
        loop {
            if let Some((left, power)) = &mut self.stop_after {
                if *left == 0 {
                    let power = *power;
                    self.stop_after = None;
                    self.stop(power);
                    return;
                }
                *left -= 1;
            }
            let Some(output) = self.core.poll_output() else { return };
            if !matches!(output, Output::Persist(_)) && self.written.iter().any(|record| !record.is_lazy()) {
                self.make_durable();
            }
            match output {
                Output::Persist(_) if !self.is_writable => panic!("a record is made although the disk takes none"),
                Output::Persist(record) => self.written.push(Record::from_bytes(&record.to_bytes()).unwrap()),
                Output::Publish(message) => self.published(&message),
                Output::RunJob { order, .. } => self.start(order),
                Output::RecoverJob { order, same_boot, .. } => self.recover_job(order, same_boot),
                Output::CancelJob { order } => {
                    if self.jobs.get(&order) == Some(&Job::Running) {
                        self.jobs.insert(order, Job::Lost);
                    }
                    let end = JobEnd { outcome: Outcome::Cancelled, explanation: String::new(), steps: Vec::new() };
                    self.core.handle(Input::JobEnded { order, end }, self.now);
                }
                Output::ForgetJob { order } => assert!(self.bridge.results.contains_key(&order), "a folder goes before its result arrived"),
                Output::ReadOutput { order, step, stream, offset } => {
                    let kept = match self.jobs.get(&order) {
                        Some(Job::Finished { kept }) => *kept,
                        _ if self.grown.contains(&order) => MUCH_OUTPUT,
                        _ => 0,
                    };
                    let length = kept.saturating_sub(offset).min(16 * 1024);
                    let bytes = vec![b'x'; usize::try_from(length).unwrap()];
                    self.core.handle(Input::OutputRead { order, step, stream, offset, bytes }, self.now);
                }
                Output::Reboot => panic!("no job here asks for a reboot"),
                Output::Refused { .. } | Output::SpreadReconnect { .. } => {}
            }
        }
    }

    fn start(&mut self, order: OrderId) {
        let recorded = self.durable.iter().any(|record| matches!(record, Record::Starting { order: of, .. } if *of == order));
        assert!(recorded, "{order} starts without a durable record (C1)");
        assert!(!self.bridge.results.contains_key(&order), "{order} starts after its end");
        assert!(self.real_ms < START_MS + VALID_MS, "{order} starts after it expired (C5)");
        assert!(!self.cancelled_before_start.contains(&order), "{order} starts although it was cancelled before (C8)");
        let starts = self.starts.entry(order).or_insert(0);
        *starts += 1;
        assert_eq!(*starts, 1, "{order} starts twice (C2)");
        self.jobs.insert(order, Job::Running);
    }

    fn recover_job(&mut self, order: OrderId, same_boot: bool) {
        let of_this_boot =
            |record: &&Record| matches!(record, Record::Starting { order: of, boot, .. } if *of == order && boot.0[0] == self.boot);
        assert_eq!(same_boot, self.durable.iter().find(of_this_boot).is_some(), "{order} is recovered as of another boot");
        match self.jobs.get(&order) {
            // The agent was killed between the record and the start: the job's own `started` file decides, and it is not there.
            None if same_boot => self.core.handle(Input::NeverStarted { order }, self.now),
            Some(Job::Running) if same_boot => {}
            _ => {
                self.recovering.insert(order);
            }
        }
        if self.recovering.remove(&order) {
            let end = JobEnd { outcome: Outcome::Interrupted, explanation: "cut off".into(), steps: Vec::new() };
            if same_boot && matches!(self.jobs.get(&order), Some(Job::Finished { .. })) {
                let kept = 3;
                self.grown.remove(&order);
                self.jobs.insert(order, Job::Finished { kept });
                let stdout = Captured { written_bytes: kept, kept_bytes: kept, sha256: [0; 32], head: vec![b'x'; 3] };
                let (status, stderr) = (StepStatus::Succeeded, Captured::default());
                let step = StepResult { name: "run".into(), status, exit_code: 0, started_ms: None, ended_ms: None, stdout, stderr };
                let end = JobEnd { outcome: Outcome::Succeeded, explanation: String::new(), steps: vec![step] };
                self.core.handle(Input::JobEnded { order, end }, self.now);
            } else {
                self.core.handle(Input::JobEnded { order, end }, self.now);
            }
        }
    }

    /// Kills the agent, or cuts the power: then of what was written and not synced only the first `kept` records are there.
    fn stop(&mut self, power: Option<u8>) {
        if let Some(kept) = power {
            self.written.truncate(usize::from(kept));
            self.boot += 1;
            self.now = 500;
            for job in self.jobs.values_mut() {
                if *job == Job::Running {
                    *job = Job::Lost;
                }
            }
        }
        self.durable.append(&mut self.written);
        self.connected = false;
        self.to_node.clear();
        let mut recovery = recovery(self.boot);
        for record in &self.durable {
            recovery.replay(record.clone()).unwrap();
        }
        recovery.remember(&self.floor, None);
        self.begin(recovery);
    }

    /// What the shell does at a start: a new journal, and the floor beside it.
    fn begin(&mut self, recovery: Recovery) {
        self.durable = recovery.snapshot();
        self.core = recovery.finish();
        self.floor = self.core.floor();
        if !self.is_writable {
            self.core.handle(Input::Storage { is_writable: false, room_bytes: 0 }, self.now);
        }
        self.drain();
    }

    fn make_durable(&mut self) {
        let raises = |record: &Record| matches!(record, Record::Floor { .. } | Record::Trust { .. } | Record::MemoryRegained { .. });
        let is_due = self.written.iter().any(raises);
        self.durable.append(&mut self.written);
        if is_due {
            self.floor = self.core.floor();
        }
    }

    fn lose_memory(&mut self, keeps_floor: bool) {
        self.losses += 1;
        self.had_result_at_loss.extend(self.bridge.results.keys());
        // A second loss comes later than the first: a new chain begins where the time says.
        self.now += 10;
        self.real_ms += 10;
        self.written.clear();
        self.connected = false;
        self.to_node.clear();
        if !keeps_floor {
            self.floor = Floor::default();
        }
        let mut recovery = recovery(self.boot);
        recovery.remember(&self.floor, Some(LossCause::Damaged));
        self.begin(recovery);
    }

    fn set_writable(&mut self, is_writable: bool) {
        self.is_writable = is_writable;
        // What was written before is on disk: what cannot be written any more is the shell's to keep back.
        self.make_durable();
        self.handle(Input::Storage { is_writable, room_bytes: 1024 * 1024 });
    }

    fn compact(&mut self) {
        self.durable.append(&mut self.written);
        let snapshot = self.core.snapshot();
        let mut recovery = recovery(self.boot);
        for record in &snapshot {
            recovery.replay(record.clone()).unwrap();
        }
        self.floor = self.core.floor();
        // Their order may differ where it does not matter: among orders that have ended.
        let sorted = |records: Vec<Record>| records.iter().map(Record::to_bytes).collect::<BTreeSet<_>>();
        assert!(sorted(recovery.snapshot()) == sorted(snapshot.clone()), "a snapshot does not come to itself");
        self.durable = snapshot;
    }

    // The bridge

    fn published(&mut self, message: &UpMessage) {
        let lost = self.loses_messages || !self.connected;
        match message.kind {
            UpKind::Report => {
                let durable = self.durable.iter().any(|record| match record {
                    Record::Accepted { report: Some(report), .. }
                    | Record::Starting { report: Some(report), .. }
                    | Record::Ended { report, .. }
                    | Record::MemoryRegained { report, .. }
                    | Record::Refused { report, .. }
                    | Record::Report { report } => *report == message.payload,
                    _ => false,
                });
                assert!(durable, "a report is sent before it is durable");
                if !lost {
                    self.report(&message.payload);
                }
            }
            UpKind::Hello if !lost => {
                let hello: HelloBody = self.signed(Domain::Hello, &message.payload);
                self.hellos += 1;
                let control = hello.control;
                if let (Some((hash, _)), true) = (self.bridge.chain.get(&(control.oldest - 1)), self.losses == 0) {
                    assert_eq!(*hash, control.before, "a hello contradicts the chain");
                }
                let welcome = WelcomeBody {
                    node: node(),
                    nonce: hello.nonce,
                    time_ms: self.real_ms + self.bridge_ahead_ms - self.behind_ms,
                    bundles: Vec::new(),
                    resend_minimum_ms: 5_000,
                    resend_maximum_ms: 10_000,
                    reconnect_spread_s: 0,
                };
                self.to_node.push((DownKind::Welcome, seal(Domain::Welcome, &encode(&welcome), &[&key(4)])));
            }
            UpKind::Output if !lost => {
                let output: OutputBody = self.signed(Domain::Output, &message.payload);
                let received = self.bridge.output.entry((output.order, output.step, output.stream)).or_insert(0);
                if output.offset == *received {
                    *received += u64::try_from(output.bytes.len()).unwrap();
                }
                let (order, step, stream, up_to) = (output.order, output.step, output.stream, *received);
                let receipt = OutputReceiptBody { node: node(), order, step, stream, up_to };
                self.to_node.push((DownKind::OutputReceipt, seal(Domain::OutputReceipt, &encode(&receipt), &[&key(3)])));
            }
            UpKind::Hello | UpKind::Output => {}
        }
    }

    fn signed<T: serde::de::DeserializeOwned + flotilla_protocol::wire::Check>(&self, domain: Domain, payload: &[u8]) -> T {
        let envelope = Envelope::parse(payload, domain).unwrap();
        assert!(envelope.is_signed_by(&node_key().verifying_key()));
        decode(envelope.body()).unwrap()
    }

    fn report(&mut self, payload: &[u8]) {
        let report: ReportBody = self.signed(Domain::Report, payload);
        let hash = flotilla_protocol::sha256(&[Envelope::parse(payload, Domain::Report).unwrap().body()]);
        if let Some((known, _)) = self.bridge.chain.get(&report.sequence) {
            assert_eq!(*known, hash, "two reports {} (fork)", report.sequence);
            return;
        }
        let head = self.bridge.chain.last_key_value().map_or((0, [0; 32]), |(sequence, (hash, _))| (*sequence, *hash));
        if report.sequence != head.0 + 1 {
            let payload = ReportPayload::decode(&report.payload).unwrap();
            let begins_anew = report.sequence > head.0 && report.oldest_held == report.sequence;
            if !(begins_anew && matches!(payload, ReportPayload::MemoryLost(_))) {
                assert!(report.oldest_held <= head.0 + 1 || self.losses > 0, "a gap after {}", head.0);
                return;
            }
        } else {
            assert_eq!(report.previous, head.1, "the chain is broken at {}", report.sequence);
        }
        self.bridge.chain.insert(report.sequence, (hash, report.boot));
        match ReportPayload::decode(&report.payload).unwrap() {
            ReportPayload::Admission(Admission::Accepted { order }) => {
                assert!(self.bridge.accepted.insert(order), "accepted twice (C6)");
                assert!(!self.bridge.lost.contains(&order), "{order} is accepted before and after a loss");
            }
            ReportPayload::Admission(Admission::Rejected { order, reason: RejectReason::MemoryLost }) => {
                assert!(self.losses > 0, "nothing was lost");
                self.bridge.lost.insert(order);
            }
            ReportPayload::MemoryLost(loss) => {
                assert!(self.losses > 0, "nothing was lost");
                assert!(loss.barrier_ms >= self.bridge.barrier_ms, "the barrier goes back");
                self.bridge.barrier_ms = loss.barrier_ms;
                // What was sent before may have been taken, and its reports are lost.
                for number in self.delivered.iter().filter(|number| made_ms(**number) <= loss.barrier_ms) {
                    let order = order_id(*number);
                    if !self.bridge.results.contains_key(&order) && !self.bridge.rejected.contains_key(&order) {
                        self.bridge.lost.insert(order);
                    }
                }
            }
            ReportPayload::CommandResult(result)
                if self.losses > 0 && result.outcome == Outcome::Interrupted && result.steps.is_empty() =>
            {
                // Of what was lost nobody knows more, and an outcome that is there already stays.
                self.bridge.results.entry(result.order).or_insert(result);
            }
            ReportPayload::Admission(Admission::Rejected { order, reason }) => {
                assert!(!self.bridge.results.contains_key(&order), "{order} ended and is refused: {reason:?}");
                // The answer to an order that came again when nothing was held about it any more.
                let before = self.bridge.rejected.insert(order, reason);
                assert!(before.is_none_or(|before| before == reason), "{order} is refused for two reasons (C3)");
            }
            ReportPayload::CommandProgress(progress) => assert!(self.bridge.accepted.contains(&progress.order)),
            ReportPayload::CommandResult(result) => {
                let started = self.starts.contains_key(&result.order);
                assert!(started || result.outcome != Outcome::Succeeded, "{} succeeded without a start", result.order);
                let order = result.order;
                assert!(!self.bridge.rejected.contains_key(&order), "{order} was refused and has an outcome");
                match self.bridge.results.get(&order) {
                    None => drop(self.bridge.results.insert(order, result)),
                    // Said again, because the order came again when nothing was held about it any more.
                    Some(before) => {
                        assert_eq!(before.outcome, result.outcome, "{order} ends twice (C3)");
                        assert!(result.steps.is_empty() && result.explanation.contains("delivered before"), "{order} ends twice (C3)");
                        self.said_again += 1;
                    }
                }
            }
            ReportPayload::CommandRebooting(_) | ReportPayload::Gap(_) | ReportPayload::Unsupported(_) => {
                unreachable!("control is never dropped")
            }
        }
    }

    fn send_receipt(&mut self) {
        let Some((up_to, (head, boot))) = self.bridge.chain.last_key_value().map(|(sequence, entry)| (*sequence, *entry)) else { return };
        if self.connected && !self.loses_messages {
            let receipt = ReceiptBody { node: node(), stream: Stream::Control, boot, up_to, head };
            self.down(DownKind::Receipt, &seal(Domain::Receipt, &encode(&receipt), &[&key(3)]));
        }
    }
}
