//! A node whose jobs have three steps and ask for reboots, a journal that forgets what was not synced, and a bridge that hears it.

use ed25519_dalek::SigningKey;
use flotilla_agent_core::{Attempt, Core, Input, JobEnd, Output, RebootAsked, RebootRule, Record, Recovery, Resume, Settings};
use flotilla_protocol::capability::command::{Captured, CommandOrder, CommandResult, StepResult};
use flotilla_protocol::capability::{OrderPayload, ReportPayload};
use flotilla_protocol::delivery::Delivery;
use flotilla_protocol::document::{Action as StepAction, Control, Plan, RunShellScript, Step, Template};
use flotilla_protocol::envelope::{Domain, Envelope, seal};
use flotilla_protocol::hello::{Facts, HelloBody, WelcomeBody};
use flotilla_protocol::id::{BootId, NodeId, OrderId};
use flotilla_protocol::order::{CancelBody, OnCrash, OrderBody, Targets};
use flotilla_protocol::report::ReportBody;
use flotilla_protocol::status::{Outcome, StepStatus};
use flotilla_protocol::target;
use flotilla_protocol::topic::{DownKind, Topic, UpKind};
use flotilla_protocol::trust::{Class, OperatorRule, Role, RoleEntry, Trust, TrustBundle, TrustKey};
use flotilla_protocol::wire::{decode, encode};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

const START_MS: u64 = 1_800_000_000_000;
const VALID_MS: u64 = 3 * 3_600_000;
const STEPS: usize = 3;
/// The step that asks.
const ASKS: u16 = 1;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Action {
    Deliver(u8),
    /// The job comes to its second step, which asks for a reboot.
    Ask(u8),
    Finish(u8),
    Cancel(u8),
    Connect,
    Pass(u64),
    /// The device reboots, whether or not it was told to.
    Reboot,
    /// The system refuses what it was told last.
    Refuse,
    /// The disk takes no records, found out when the system was to be told.
    BreaksWhenTold,
    Kill,
    /// The agent stops after so many outputs; whether with a reboot.
    StopAfter(u8, bool),
    Compact,
    Storage(bool),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Job {
    Running,
    Asked(RebootAsked),
    Over(JobEnd),
}

pub(crate) struct World {
    core: Core,
    /// What is on the disk.
    trust: Trust,
    allows_reboots: bool,
    now: u64,
    real_ms: u64,
    boot: u8,
    connected: bool,
    welcomes: bool,
    stop_after: Option<(u8, bool)>,
    durable: Vec<Record>,
    written: Vec<Record>,
    jobs: BTreeMap<(OrderId, Attempt), Job>,
    /// In which boot each order's job was started last, and how often.
    started: BTreeMap<OrderId, (u8, u32)>,
    cancelled: BTreeSet<OrderId>,
    results: BTreeMap<OrderId, CommandResult>,
    delivered: BTreeSet<u8>,
    to_node: Vec<(DownKind, Vec<u8>)>,
    /// How often the system was told to reboot.
    pub(crate) told: u32,
    /// The orders that went on without the reboot that they asked for.
    without_reboot_of: BTreeSet<OrderId>,
    /// What the bridge heard of reboots: the step and the count.
    pub(crate) said_rebooting: Vec<(u16, u16)>,
    is_writable: bool,
    breaks_when_told: bool,
    is_withheld: bool,
    with_final_step: bool,
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn trust() -> Trust {
    static TRUST: OnceLock<Trust> = OnceLock::new();
    let make = || {
        let keys = (1..=4).map(|seed| TrustKey::new(key(seed).verifying_key().to_bytes().into(), &format!("{seed}"))).collect();
        let role = |role, index| RoleEntry { role, threshold: 1, keys: vec![index] };
        let roles = vec![role(Role::Root, 0), role(Role::Bridge, 2), role(Role::Freshness, 3)];
        let body = encode(&TrustBundle::beginning(keys, roles, vec![OperatorRule::any_of(Class::Command, vec![1])]));
        Trust::from_pinned(&flotilla_protocol::sha256(&[&body]), [seal(Domain::Trust, &body, &[&key(1)]).as_slice()]).unwrap()
    };
    TRUST.get_or_init(make).clone()
}

fn node() -> NodeId {
    NodeId::of_key(&key(100).verifying_key().to_bytes())
}

fn order_id(number: u8) -> OrderId {
    OrderId([number; 16])
}

fn delivery(number: u8, with_final_step: bool) -> Vec<u8> {
    static DELIVERIES: OnceLock<[Vec<Vec<u8>>; 2]> = OnceLock::new();
    let all = DELIVERIES
        .get_or_init(|| [false, true].map(|with_final_step| (0..3).map(|number| make_delivery(number, with_final_step)).collect()));
    all[usize::from(with_final_step)][usize::from(number)].clone()
}

fn make_delivery(number: u8, with_final_step: bool) -> Vec<u8> {
    let script =
        RunShellScript { run_command: vec![Template::text("true")], working_directory: None, environment: BTreeMap::new(), timeout_s: 60 };
    let control = |index: usize| Control { finally: with_final_step && index + 1 == STEPS, ..Control::default() };
    let step =
        |index: usize| Step { control: control(index), ..Step::new(format!("step {index}"), &StepAction::RunShellScript(script.clone())) };
    let plan = Plan { steps: (0..STEPS).map(step).collect() };
    let command = CommandOrder { document: "d".into(), document_version: "1".into(), parameters: Vec::new(), plan };
    let order = OrderBody {
        id: order_id(number),
        fleet: trust().fleet(),
        targets: Targets { count: 1, root: target::leaf(&key(100).verifying_key().to_bytes(), b"") },
        requester: "operator".into(),
        lane: 0,
        sequence: 0,
        epoch: 0,
        not_before_ms: START_MS,
        not_after_ms: START_MS + VALID_MS,
        minimum_trust_version: 1,
        on_crash: OnCrash::Never,
        payload: OrderPayload::Command(command).encode(),
    };
    let envelope = seal(Domain::Order, &encode(&order), &[&key(2)]);
    encode(&Delivery { envelope, index: 0, proof: Vec::new(), node_data: Vec::new() })
}

fn recovery(trust: &Trust, boot: u8, is_allowed: bool) -> Recovery {
    let settings = Settings {
        identity: key(100),
        trust: trust.clone().into(),
        boot: BootId([boot; 16]),
        facts: Facts::default(),
        agent_version: [0, 1, 0],
        maximum_jobs: 2,
        first_floor_ms: START_MS - 1000,
    };
    Recovery::new(settings).with_reboots(RebootRule { is_allowed, ..RebootRule::default() })
}

impl World {
    pub(crate) fn new(allows_reboots: bool) -> Self {
        Self {
            core: recovery(&trust(), 1, allows_reboots).finish(),
            trust: trust(),
            allows_reboots,
            now: 100_000,
            real_ms: START_MS,
            boot: 1,
            connected: false,
            welcomes: true,
            stop_after: None,
            durable: Vec::new(),
            written: Vec::new(),
            jobs: BTreeMap::new(),
            started: BTreeMap::new(),
            cancelled: BTreeSet::new(),
            results: BTreeMap::new(),
            delivered: BTreeSet::new(),
            to_node: Vec::new(),
            told: 0,
            without_reboot_of: BTreeSet::new(),
            said_rebooting: Vec::new(),
            is_writable: true,
            breaks_when_told: false,
            is_withheld: false,
            with_final_step: false,
        }
    }

    /// The last step of every order runs whatever came before.
    pub(crate) fn with_final_steps(self) -> Self {
        Self { with_final_step: true, ..self }
    }

    pub(crate) fn starts(&self, number: u8) -> u32 {
        self.started.get(&order_id(number)).map_or(0, |(_, starts)| *starts)
    }

    /// How many orders went on without the reboot that they asked for.
    pub(crate) fn without_reboot(&self) -> usize {
        self.without_reboot_of.len()
    }

    pub(crate) fn has_result(&self, number: u8) -> bool {
        self.results.contains_key(&order_id(number))
    }

    pub(crate) fn result(&self, number: u8) -> &CommandResult {
        &self.results[&order_id(number)]
    }

    pub(crate) fn act(&mut self, action: Action) {
        match action {
            Action::Deliver(number) => {
                if self.connected {
                    self.delivered.insert(number);
                    self.down(DownKind::Order, &delivery(number, self.with_final_step));
                }
            }
            Action::Ask(number) => self.ask(number, Resume::SameStep),
            Action::Finish(number) => self.finish(number),
            Action::Cancel(number) => self.cancel(number),
            Action::Connect => self.connect(),
            Action::Pass(ms) => {
                self.now += ms;
                self.real_ms += ms;
                self.handle(Input::Tick);
            }
            Action::Reboot => self.stop(true),
            Action::Refuse => self.handle(Input::RebootRefused { why: "somebody inhibits it".to_owned() }),
            Action::BreaksWhenTold => self.breaks_when_told = true,
            Action::Kill => self.stop(false),
            Action::StopAfter(outputs, power) => self.stop_after = Some((outputs, power)),
            Action::Compact => {
                self.drain();
                self.written.clear();
                self.durable = self.core.checkpoint();
            }
            Action::Storage(is_writable) => {
                self.is_writable = is_writable;
                if is_writable && std::mem::take(&mut self.is_withheld) {
                    self.core.handle(Input::RebootWithheld, self.now);
                }
                self.handle(Input::Storage { is_writable, room_bytes: 1 << 30 });
            }
        }
        let spins = (0..50).all(|_| {
            let wants = self.core.next_wakeup(self.now).is_some_and(|at| at <= self.now);
            if wants {
                self.handle(Input::Tick);
            }
            wants
        });
        assert!(!spins, "the core wants to be woken in the past, for ever");
    }

    /// The next bundle comes, as that of now is changed by `change`.
    pub(crate) fn follow(&mut self, change: impl FnOnce(&mut TrustBundle)) {
        let mut bundle = self.trust.bundle().clone();
        (bundle.version, bundle.previous) = (bundle.version + 1, self.trust.hash());
        change(&mut bundle);
        let envelope = seal(Domain::Trust, &encode(&bundle), &[&key(1)]);
        self.down(DownKind::Trust, &envelope);
    }

    pub(crate) fn connect_without_welcome(&mut self) {
        self.welcomes = false;
        self.connect();
        self.welcomes = true;
    }

    fn connect(&mut self) {
        self.connected = true;
        self.to_node.clear();
        self.handle(Input::Connected { nonce: flotilla_protocol::sha256(&[&self.real_ms.to_le_bytes(), &[self.boot]]) });
    }

    /// As [`Self::ask`], of a job that found a cancel which an earlier process of the agent had handed to it.
    pub(crate) fn ask_cancelled(&mut self, number: u8) {
        let first = self.first_step(number);
        let steps = (0..=usize::from(ASKS)).map(|index| self.step(index, first)).collect();
        self.come_to(
            number,
            Job::Asked(RebootAsked { step: ASKS, resume: Resume::SameStep, is_cancelled: true, explanation: String::new(), steps }),
        );
    }

    pub(crate) fn ask(&mut self, number: u8, resume: Resume) {
        let first = self.first_step(number);
        let steps = (0..=usize::from(ASKS)).map(|index| self.step(index, first)).collect();
        let asked = RebootAsked { step: ASKS, resume, is_cancelled: false, explanation: String::new(), steps };
        self.come_to(number, Job::Asked(asked));
    }

    fn finish(&mut self, number: u8) {
        let first = self.first_step(number);
        let mut steps: Vec<StepResult> = (0..STEPS).map(|index| self.step(index, first)).collect();
        steps.iter_mut().for_each(|step| (step.status, step.exit_code) = (StepStatus::Succeeded, 0));
        let outcome = if self.without_reboot_of.contains(&order_id(number)) { Outcome::Failed } else { Outcome::Succeeded };
        self.come_to(number, Job::Over(JobEnd { outcome, explanation: String::new(), steps }));
    }

    /// The step at which the running job of an order began, as the shell would know it.
    fn first_step(&self, number: u8) -> usize {
        let records = self.durable.iter().chain(&self.written);
        let of_order = records.filter_map(|record| match record {
            Record::Rebooting { order, reboot, .. } if *order == order_id(number) => Some(reboot.first_step()),
            _ => None,
        });
        of_order.fold(0, |_, first| first)
    }

    /// How a job reports a step; of what was before its first it knows no times and shows nothing of this boot.
    fn step(&self, index: usize, first: usize) -> StepResult {
        let head = format!("step {index} of boot {}", self.boot).into_bytes();
        let length = u64::try_from(head.len()).unwrap();
        let stdout = Captured { written_bytes: length, kept_bytes: length, sha256: [0; 32], head };
        let (status, exit_code) = if index == usize::from(ASKS) { (StepStatus::Failed, 194) } else { (StepStatus::Succeeded, 0) };
        let times = (index >= first).then_some((self.now - 2_000, self.now - 1_000));
        let (started_ms, ended_ms) = (times.map(|times| times.0), times.map(|times| times.1));
        StepResult { name: format!("step {index}"), status, exit_code, started_ms, ended_ms, stdout, stderr: Captured::default() }
    }

    fn come_to(&mut self, number: u8, how: Job) {
        let of_order = |(order, _): &(OrderId, Attempt)| *order == order_id(number);
        let running = self.jobs.iter().find(|(id, job)| of_order(id) && **job == Job::Running).map(|(id, _)| *id);
        if let Some(id) = running {
            self.jobs.insert(id, how.clone());
            self.tell(id.0, how);
        }
    }

    fn tell(&mut self, order: OrderId, how: Job) {
        match how {
            Job::Running => {}
            Job::Asked(asked) => self.handle(Input::RebootAsked { order, asked }),
            Job::Over(end) => self.handle(Input::JobEnded { order, end }),
        }
    }

    fn cancel(&mut self, number: u8) {
        let order = order_id(number);
        if self.connected {
            let is_taken = self.is_writable && self.stop_after.is_none();
            let was_waiting = self.durable.iter().any(|record| matches!(record, Record::Rebooting { order: of, .. } if *of == order));
            let runs = self.jobs.iter().any(|((of, _), job)| *of == order && *job == Job::Running);
            let cancel = CancelBody { fleet: trust().fleet(), node: node(), order, not_after_ms: START_MS + VALID_MS };
            self.delivered.insert(number);
            self.down(DownKind::Cancel, &seal(Domain::Cancel, &encode(&cancel), &[&key(3)]));
            if is_taken && was_waiting && !runs {
                self.cancelled.insert(order);
            }
        }
    }

    fn down(&mut self, kind: DownKind, payload: &[u8]) {
        let topic = Topic::Down { fleet: trust().fleet(), node: node(), kind }.to_string();
        self.handle(Input::Message { topic: &topic, retained: false, payload });
    }

    fn handle(&mut self, input: Input<'_>) {
        self.core.handle(input, self.now);
        self.drain();
        while !self.to_node.is_empty() {
            let (kind, payload) = self.to_node.remove(0);
            let topic = Topic::Down { fleet: trust().fleet(), node: node(), kind }.to_string();
            self.core.handle(Input::Message { topic: &topic, retained: false, payload: &payload }, self.now);
            self.drain();
        }
    }

    fn drain(&mut self) {
        loop {
            if let Some((left, power)) = &mut self.stop_after {
                if *left == 0 {
                    let power = *power;
                    return self.stop(power);
                }
                *left -= 1;
            }
            let Some(output) = self.core.poll_output() else { return };
            if !matches!(output, Output::Persist(_)) {
                self.durable.append(&mut self.written);
            }
            match output {
                Output::Persist(record) => {
                    assert!(self.is_writable, "a record is made although the disk takes none");
                    self.written.push(Record::from_bytes(&record.to_bytes()).unwrap());
                }
                Output::Publish(message) => self.published(message.kind, &message.payload),
                Output::RunJob { order, attempt, without_reboot, .. } => self.start(order, attempt, without_reboot.is_some()),
                Output::RecoverJob { order, same_boot, attempt, .. } => self.recover(order, same_boot, attempt),
                Output::CancelJob { order } => {
                    let end = JobEnd { outcome: Outcome::Cancelled, explanation: String::new(), steps: Vec::new() };
                    let running = self.jobs.iter_mut().find(|((of, _), job)| *of == order && **job == Job::Running);
                    if let Some((_, job)) = running {
                        *job = Job::Over(end.clone());
                        self.core.handle(Input::JobEnded { order, end }, self.now);
                    }
                }
                Output::Reboot if self.breaks_when_told => {
                    (self.breaks_when_told, self.is_writable, self.is_withheld) = (false, false, true);
                    self.core.handle(Input::Storage { is_writable: false, room_bytes: 0 }, self.now);
                }
                Output::Reboot => self.tell_to_reboot(),
                Output::KeepTrust { version, envelope } => {
                    self.trust = self.trust.successor(&envelope).unwrap();
                    self.core.handle(Input::TrustKept { version }, self.now);
                }
                Output::ForgetJob { .. }
                | Output::ReadOutput { .. }
                | Output::Refused { .. }
                | Output::RenewCertificate { .. }
                | Output::SpreadReconnect { .. } => {}
            }
        }
    }

    fn tell_to_reboot(&mut self) {
        let is_recorded = |record: &Record| matches!(record, Record::Rebooting { reboot, .. } if reboot.boot.0[0] == self.boot);
        assert!(self.durable.iter().any(is_recorded), "the device is told to reboot without a durable record (R1)");
        assert!(!self.jobs.values().any(|job| *job == Job::Running), "the device is told to reboot while a job runs (R4)");
        self.told += 1;
    }

    fn start(&mut self, order: OrderId, attempt: Attempt, without_reboot: bool) {
        let recorded = self.durable.iter().any(|record| matches!(record, Record::Starting { order: of, .. } if *of == order));
        assert!(recorded, "{order} starts without a durable record (C1)");
        assert!(!self.cancelled.contains(&order), "{order} goes on although it was cancelled while it waited (C8)");
        assert!(without_reboot || attempt.reboots <= flotilla_agent_core::MAXIMUM_REBOOTS, "{order} reboots for ever (R5)");
        assert!(self.jobs.insert((order, attempt), Job::Running).is_none(), "{order} makes the start {attempt} twice (C2)");
        let (boot, starts) = self.started.get(&order).copied().unwrap_or((0, 0));
        assert!(boot != self.boot || without_reboot, "{order} goes on in the boot in which it asked (R2)");
        if without_reboot {
            self.without_reboot_of.insert(order);
        }
        self.started.insert(order, (self.boot, starts + 1));
    }

    fn recover(&mut self, order: OrderId, same_boot: bool, attempt: Attempt) {
        match self.jobs.get(&(order, attempt)).cloned() {
            None if same_boot => self.core.handle(Input::NeverStarted { order }, self.now),
            Some(how) if same_boot => match how {
                Job::Running => {}
                Job::Asked(asked) => self.core.handle(Input::RebootAsked { order, asked }, self.now),
                Job::Over(end) => self.core.handle(Input::JobEnded { order, end }, self.now),
            },
            _ => {
                let end = JobEnd { outcome: Outcome::Interrupted, explanation: "cut off".into(), steps: Vec::new() };
                self.core.handle(Input::JobEnded { order, end }, self.now);
            }
        }
    }

    /// The agent ends; with `reboots` so does everything else, and what was not synced may be gone.
    fn stop(&mut self, reboots: bool) {
        self.stop_after = None;
        self.connected = false;
        self.to_node.clear();
        if reboots {
            // Records that were written and not synced: here they are lost, in a kill they are kept.
            self.written.clear();
            self.boot += 1;
            self.now = 5_000;
            let cut_off = JobEnd { outcome: Outcome::Interrupted, explanation: "cut off".into(), steps: Vec::new() };
            self.jobs.values_mut().filter(|job| **job == Job::Running).for_each(|job| *job = Job::Over(cut_off.clone()));
        }
        self.durable.append(&mut self.written);
        (self.is_writable, self.is_withheld, self.breaks_when_told) = (true, false, false);
        let mut recovery = recovery(&self.trust, self.boot, self.allows_reboots);
        for record in &self.durable {
            recovery.replay(Record::from_bytes(&record.to_bytes()).unwrap()).unwrap();
        }
        self.core = recovery.finish();
        self.drain();
    }

    fn published(&mut self, kind: UpKind, payload: &[u8]) {
        if !self.connected {
            return;
        }
        match kind {
            UpKind::Hello => {
                let envelope = Envelope::parse(payload, Domain::Hello).unwrap();
                let hello: HelloBody = decode(envelope.body()).unwrap();
                if self.welcomes {
                    let welcome = WelcomeBody {
                        node: node(),
                        nonce: hello.nonce,
                        time_ms: self.real_ms,
                        resend_minimum_ms: 5_000,
                        resend_maximum_ms: 600_000,
                        reconnect_spread_s: 0,
                        bundles: Vec::new(),
                        chains: Vec::new(),
                        offers: Vec::new(),
                    };
                    self.to_node.push((DownKind::Welcome, seal(Domain::Welcome, &encode(&welcome), &[&key(4)])));
                }
            }
            UpKind::Report => {
                let envelope = Envelope::parse(payload, Domain::Report).unwrap();
                let body: ReportBody = decode(envelope.body()).unwrap();
                match ReportPayload::decode(&body.payload).unwrap() {
                    ReportPayload::CommandRebooting(rebooting) => {
                        let said = (rebooting.step, rebooting.count);
                        if self.said_rebooting.last() != Some(&said) {
                            self.said_rebooting.push(said);
                        }
                    }
                    ReportPayload::CommandResult(result) => self.take_result(result),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn take_result(&mut self, result: CommandResult) {
        let started = self.started.contains_key(&result.order);
        assert!(started || result.outcome != Outcome::Succeeded, "{} succeeded without a start", result.order);
        let before = self.results.entry(result.order).or_insert_with(|| result.clone());
        let is_short = result.explanation.contains("delivered before");
        assert!(*before == result || (is_short && before.outcome == result.outcome), "{} ends twice (C3)", result.order);
    }

    /// Lets everything come to its end.
    pub(crate) fn settle(&mut self) {
        (self.stop_after, self.breaks_when_told) = (None, false);
        self.act(Action::Storage(true));
        for round in 0..32_u64 {
            if round % 4 == 0 {
                self.act(Action::Connect);
            }
            for number in self.delivered.clone() {
                if !self.has_result(number) && round % 4 == 0 {
                    self.act(Action::Deliver(number));
                }
                self.act(Action::Finish(number));
            }
            self.act(Action::Pass(11 * 60_000));
        }
    }

    pub(crate) fn check_everything_ended(&self) {
        for order in self.started.keys() {
            assert!(self.results.contains_key(order), "{order} has no end");
        }
        for result in self.results.values().filter(|result| result.outcome == Outcome::Succeeded) {
            assert_eq!(result.steps.len(), STEPS, "{result:?}");
            assert!(result.steps.iter().all(|step| step.status == StepStatus::Succeeded), "{result:?}");
        }
        for record in self.core.snapshot() {
            assert!(!matches!(record, Record::Rebooting { .. } | Record::RebootGivenUp { .. }), "a reboot is waited for for ever");
        }
    }
}
