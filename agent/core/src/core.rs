//! The state machine: inputs in, outputs out, records in between.
//!
//! Every change that must survive goes through [`Core::record`]: the record is queued as `Persist`, and applied by the same code that
//! applies it when the journal is read back. So a running core and a recovered one cannot differ.

mod again;
mod authority;
pub(crate) mod reboot;
mod records;
mod storage;
mod streams;
mod trust;

use self::again::{Again, Cause, is_of_the_future};
use self::reboot::RebootRule;
pub use self::streams::Telemetry;
use self::streams::Tellings;
pub use self::trust::HeldTrust;
use self::trust::{FRESH_TO_TAKE_MS, TrustState};
use crate::admission::{self, Admitted, Facts as AdmissionFacts, Refusal, Verdict, envelope_reason};
use crate::interface::{Input, JobEnd, Output, RebootAsked, UpMessage};
use crate::memory::{Floor, Memory};
use crate::orders::{Order, Orders, Phase};
use crate::policy::PolicyState;
use crate::record::{Record, RecordError};
use crate::room;
use crate::secrets;
use crate::spool::{Receipted, Spool};
use crate::streams::Streams;
use crate::trusted_time::TrustedTime;
use crate::upload::{StreamId, Uploads};
use ed25519_dalek::SigningKey;
use flotilla_protocol::capability::ReportPayload;
use flotilla_protocol::capability::command::{
    CommandProgress, CommandResult, MAXIMUM_EXPLANATION_BYTES, RESULT_STDERR_BYTES, RESULT_STDOUT_BYTES, StepResult,
};
use flotilla_protocol::enrolment::RenewalBody;
use flotilla_protocol::envelope::{Domain, Envelope, seal};
use flotilla_protocol::hello::{Facts, HelloBody, MAXIMUM_HELD, WelcomeBody};
use flotilla_protocol::id::{BootId, NodeId, OrderId};
use flotilla_protocol::order::{CancelBody, MAXIMUM_VALIDITY_MS};
use flotilla_protocol::report::{LossCause, OutputBody, OutputReceiptBody, ReceiptBody, Stream};
use flotilla_protocol::secret::{Binding, OpenedSecret, SealingKey};
use flotilla_protocol::status::{Admission, Outcome, RejectReason};
use flotilla_protocol::topic::{DownKind, Topic, UpKind};
use flotilla_protocol::trust::{Class, Role};
use flotilla_protocol::version;
use flotilla_protocol::wire::{Check, MAXIMUM_MESSAGE_BYTES, decode, encode};
use std::collections::{BTreeMap, VecDeque};

/// Furthest ahead that an order may end of which the node knows nothing but a cancel, in milliseconds: the validity of an order that begins
/// at most as late again.
const LONGEST_TOMBSTONE_MS: u64 = 2 * MAXIMUM_VALIDITY_MS;
/// Deliveries that wait for trusted time, at most; the bridge sends those beyond it again.
const MAXIMUM_AWAITING_TIME: usize = 16;

/// Pause before a hello without a welcome is sent again, in milliseconds; it doubles up to [`MAXIMUM_HELLO_PAUSE_MS`].
const MINIMUM_HELLO_PAUSE_MS: u64 = 2_000;
const MAXIMUM_HELLO_PAUSE_MS: u64 = 600_000;

/// A welcome is believed for this long after its hello, in milliseconds: it bounds how wrong the time can be made by holding it back.
const WELCOME_VALID_MS: u64 = 60_000;

/// Ends of jobs that wait for the disk, at most: more jobs than this never run.
const MAXIMUM_UNRECORDED_ENDS: usize = 1024;

/// What a core is built with.
#[derive(Debug)]
pub struct Settings {
    /// The node's identity; it signs the reports.
    pub identity: SigningKey,
    /// The trust bundles that the node has, followed from the pinned root.
    pub trust: HeldTrust,
    /// The kernel's id of this boot.
    pub boot: BootId,
    /// What the hello says of the node.
    pub facts: Facts,
    /// The agent's version: major, minor, patch.
    pub agent_version: [u16; 3],
    /// Most jobs at a time, at least 1.
    pub maximum_jobs: usize,
    /// The floor from enrolment: Unix milliseconds.
    pub first_floor_ms: u64,
}

#[derive(Debug)]
struct Connection {
    nonce: [u8; 32],
    /// When the hello with this nonce went out.
    hello_at: u64,
    hello_pause_ms: u64,
    is_welcomed: bool,
    /// The version of the trust bundle that the hello has said.
    trust_version: u32,
}

/// The state machine. See the crate's documentation.
#[derive(Debug)]
pub struct Core {
    node: NodeId,
    identity: SigningKey,
    identity_key: [u8; 32],
    trust: TrustState,
    boot: BootId,
    facts: Facts,
    agent_version: [u16; 3],
    maximum_jobs: usize,
    time: TrustedTime,
    orders: Orders,
    /// The chain of control.
    spool: Spool,
    /// The chains of what may be dropped.
    streams: Streams,
    tellings: Tellings,
    uploads: Uploads,
    connection: Option<Connection>,
    awaiting_time: VecDeque<Vec<u8>>,
    refused: BTreeMap<RejectReason, u32>,
    outputs: VecDeque<Output>,
    memory: Memory,
    /// The journal, or the copy beside it, has said what trust the node has gone by.
    has_gone_by: bool,
    /// How many bytes a whole journal may have; nothing while it takes no records.
    journal_bytes: Option<u64>,
    /// What became of jobs while nothing could be recorded: at most as many as run.
    unrecorded_ends: Vec<(OrderId, Unrecorded)>,
    /// The node's own policy.
    policy: PolicyState,
    /// Hellos out of turn, and answers that are given again.
    again: Again,
    reboot_rule: RebootRule,
    /// Why the system refused to reboot the last time, for people.
    reboot_refusal: String,
    /// The system was told to reboot and did not refuse: nothing starts before this, in milliseconds of uptime, also where the order that asked
    /// for it has ended meanwhile.
    told_to_reboot_until: Option<u64>,
    /// The system was not told to reboot although a record says so, and nothing could be recorded since.
    is_reboot_withheld: bool,
    /// What secrets are sealed to; without it orders with secrets are refused.
    sealing_key: Option<SealingKey>,
}

/// What became of a job while nothing could be recorded.
#[derive(Debug)]
enum Unrecorded {
    Over(JobEnd),
    NeverStarted,
    RebootAsked(RebootAsked),
}

/// A core that is reading its journal back.
#[derive(Debug)]
pub struct Recovery(Core);

impl Recovery {
    /// Begins with an empty journal.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let identity_key = settings.identity.verifying_key().to_bytes();
        let node = NodeId::of_key(&identity_key);
        Self(Core {
            node,
            identity: settings.identity,
            identity_key,
            trust: TrustState::new(settings.trust),
            boot: settings.boot,
            facts: settings.facts,
            agent_version: settings.agent_version,
            maximum_jobs: settings.maximum_jobs.max(1),
            time: TrustedTime::new(settings.first_floor_ms),
            orders: Orders::default(),
            spool: Spool::new(node, settings.boot, Stream::Control),
            streams: Streams::new(node, settings.boot, Stream::ALL.into_iter().filter(|stream| stream.is_droppable())),
            tellings: Tellings::default(),
            uploads: Uploads::default(),
            connection: None,
            awaiting_time: VecDeque::new(),
            refused: BTreeMap::new(),
            outputs: VecDeque::new(),
            memory: Memory::default(),
            has_gone_by: false,
            journal_bytes: Some(u64::MAX),
            unrecorded_ends: Vec::new(),
            policy: PolicyState::default(),
            again: Again::default(),
            reboot_rule: RebootRule::default(),
            reboot_refusal: String::new(),
            told_to_reboot_until: None,
            is_reboot_withheld: false,
            sealing_key: None,
        })
    }

    /// The same, with another rule for reboots than by default.
    #[must_use]
    pub fn with_reboots(mut self, rule: RebootRule) -> Self {
        self.0.reboot_rule = rule;
        self
    }

    /// The same, able to open secrets that are sealed to this key.
    #[must_use]
    pub fn with_sealing_key(mut self, key: SealingKey) -> Self {
        self.0.sealing_key = Some(key);
        self
    }

    /// Raises what must never go back to the copy that is kept beside the journal; with `lost`, nothing but that copy is left.
    pub fn remember(&mut self, floor: &Floor, lost: Option<LossCause>) {
        let core = &mut self.0;
        if floor.trust_version > 0 {
            core.gone_by(floor.trust_version, floor.epoch);
        }
        // What was believed of the time in an epoch before is void.
        if floor.epoch >= core.trust.least().1 {
            core.time.raise_floor(floor.time_ms);
            core.memory.barrier_ms = core.memory.barrier_ms.max(floor.barrier_ms);
        }
        if let Some(cause) = lost {
            core.memory.lost = Some((cause, floor.sequence));
        }
    }

    /// From time to time the node tells how it is. Without this it never does, and makes no report that may be dropped.
    #[must_use]
    pub fn with_telemetry(mut self, telemetry: Telemetry) -> Self {
        self.0.tellings.settings = Some(telemetry);
        self
    }

    /// The node's own policy as it is at the start. Without this there is none, and nothing is restricted.
    #[must_use]
    pub fn with_policy(mut self, policy: PolicyState) -> Self {
        self.0.policy = policy;
        self
    }

    /// Takes the next record of the journal.
    ///
    /// # Errors
    /// The record does not follow from those before it: the journal is damaged.
    pub fn replay(&mut self, record: Record) -> Result<(), RecordError> {
        self.0.apply(record)
    }

    /// The journal is read: what was about to start is handed to the shell, and the rest goes on.
    #[must_use]
    pub fn finish(self) -> Core {
        let mut core = self.0;
        let starting = core.orders.known.iter().filter_map(|(id, order)| match &order.phase {
            Phase::Running { command, boot, .. } => {
                Some(Output::RecoverJob { order: *id, command: command.clone(), same_boot: *boot == core.boot, attempt: order.attempt() })
            }
            Phase::Waiting(_) | Phase::Rebooting(_) | Phase::Ended { .. } => None,
        });
        let outputs: Vec<Output> = starting.collect();
        core.outputs.extend(outputs);
        core.streams.iter_mut().for_each(|(_, spool)| spool.start_counting());
        core.compare_trust();
        // A receipt may have been recorded and what follows from it not.
        core.forget_what_is_done();
        core
    }

    /// As [`Core::snapshot`]: with it the shell begins a new file before it acts on an old one, whose last pages the disk may have refused.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Record> {
        self.0.snapshot()
    }
}

impl Core {
    /// The node that this core decides for.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// How many messages were refused since the start, by reason.
    #[must_use]
    pub fn refused(&self) -> &BTreeMap<RejectReason, u32> {
        &self.refused
    }

    /// The durable floor, Unix milliseconds: TLS reads certificates with it.
    #[must_use]
    pub fn floor_ms(&self) -> u64 {
        self.time.floor_ms()
    }

    /// Trusted Unix time in milliseconds at uptime `now`; nothing before this boot's first welcome.
    #[must_use]
    pub fn trusted_time_ms(&self, now: u64) -> Option<u64> {
        self.time.at(now)
    }

    /// The version of the newest trust bundle that the node has, or, in quarantine, has had.
    #[must_use]
    pub fn trust_version(&self) -> u32 {
        self.trust.version().max(self.trust.least().0)
    }

    /// Whether the job folder of an order is still needed; the shell removes the others after a restart.
    #[must_use]
    pub fn needs_folder(&self, order: OrderId) -> bool {
        self.orders.known.get(&order).is_some_and(|order| !matches!(order.phase, Phase::Ended { has_folder: false, .. }))
    }

    /// Whether orders wait for their turn, their time, a reboot, or the end of a standstill.
    #[must_use]
    pub fn has_waiting(&self) -> bool {
        self.orders.waiting() > 0 || self.awaits_reboot()
    }

    /// Opens the secrets of an order that is about to start; none for an order without.
    ///
    /// # Errors
    /// The order is none that waits or runs, or, which its admission has found otherwise, its secrets do not open.
    pub fn open_secrets(&self, order: OrderId) -> Result<Vec<OpenedSecret>, RejectReason> {
        let known = self.orders.known.get(&order).ok_or(RejectReason::Secret)?;
        let (Phase::Waiting(command) | Phase::Running { command, .. } | Phase::Rebooting(command)) = &known.phase else {
            return Err(RejectReason::Secret);
        };
        let binding = Binding { fleet: self.trust.fleet(), node: self.node, order };
        secrets::open(self.sealing_key.as_ref(), &binding, command, &known.node_data)
    }

    /// The next thing to do, if any.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The uptime in milliseconds at which the core wants [`Input::Tick`], unless something else comes before; `None` for never.
    #[must_use]
    pub fn next_wakeup(&self, now: u64) -> Option<u64> {
        let hello = self.connection.as_ref().map(Connection::next_hello);
        let due_order = self.time.at(now).and_then(|time| self.orders.next_due(time)).and_then(|at| self.time.uptime_of(at));
        let reboot = self.next_of_reboots(now);
        let trust = self.trust.next_wakeup();
        [
            hello,
            self.next_confirmation(now),
            due_order,
            reboot,
            trust,
            self.spool.next_wakeup(),
            self.streams_wakeup(),
            self.uploads.next_wakeup(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Takes an input at uptime `now` in milliseconds (CLOCK_BOOTTIME: it goes on while the device sleeps).
    pub fn handle(&mut self, input: Input<'_>, now: u64) {
        match input {
            Input::Connected { nonce } => self.connected(nonce, now),
            Input::Disconnected => self.disconnected(),
            Input::Message { topic, retained, payload } => self.message(topic, retained, payload, now),
            Input::JobEnded { order, end } => self.job_ended(order, end, now),
            Input::NeverStarted { order } => self.never_started(order, now),
            Input::RebootAsked { order, asked } => self.reboot_asked(order, asked, now),
            Input::RebootRefused { why } => self.reboot_refused(why, now),
            Input::RebootWithheld => self.reboot_withheld(),
            Input::OutputGrew { order, step, stream, kept_bytes } => {
                if self.orders.known.get(&order).is_some_and(|order| matches!(order.phase, Phase::Running { .. })) {
                    self.uploads.grew((order, step, stream), kept_bytes, false);
                }
            }
            Input::OutputRead { order, step, stream, offset, bytes } => self.output_read((order, step, stream), offset, bytes),
            Input::TrustKept { version } => self.trust_kept(version, now),
            Input::Tick => {}
            Input::Policy(policy) => self.policy_changed(policy, now),
            Input::Storage { is_writable, room_bytes } => self.storage(is_writable.then_some(room_bytes), now),
        }
        self.go_on(now);
    }

    /// What follows from any input: hellos, expiry, starts, reports and chunks that are due.
    fn go_on(&mut self, now: u64) {
        self.say_due_hello(now);
        self.ask_for_confirmation(now);
        self.see_to_trust(now);
        if self.can_record() {
            self.regain_memory(now);
            if let Some(floor_ms) = self.time.due_floor(now) {
                self.record(Record::Floor { floor_ms });
            }
            self.see_to_reboots(now);
            self.start_waiting(now);
            self.tell_health(now);
        }
        if self.connection.is_some() {
            for payload in self.spool.due(now) {
                self.publish(UpKind::Report, payload);
            }
            self.send_streams(now);
            if self.is_unanswered() {
                self.say_hello_out_of_turn(Cause::Unanswered, now);
            }
        }
        for ((order, step, stream), offset) in self.uploads.due(now) {
            self.outputs.push_back(Output::ReadOutput { order, step, stream, offset });
        }
    }

    fn start_waiting(&mut self, now: u64) {
        let Some(time_ms) = self.time.at(now) else { return };
        for order in self.orders.expired(time_ms) {
            self.end(order, Outcome::Expired, "its time ran out before it could start", Vec::new(), now);
        }
        // Nothing starts while the results of what ended have no room.
        let may_start = |core: &Self| {
            core.orders.running() < core.maximum_jobs
                && !core.awaits_reboot()
                && core.told_to_reboot_until.is_none_or(|until| now >= until)
                && !core.spool.is_full()
                && core.journal_room().is_some_and(|room| room >= room::of_running_job())
        };
        while may_start(self) && self.trust_lets_start(time_ms, now) {
            // What goes on after its reboot, or without it, has started: neither hours nor a standstill stop it half-way.
            let resumes = self.orders.next_to_resume(self.boot);
            let starts = || self.orders.next_to_start(time_ms).filter(|_| self.policy.standstill().is_none());
            let Some(order) = resumes.or_else(starts) else { break };
            // Trust and policy may have changed since it was taken, and the power have gone before that was acted on.
            if !self.may_start_now(order, time_ms, now) {
                continue;
            }
            // At a later try it was said before; after a reboot it is said again, once: the bridge is to know that it goes on.
            let is_first = self.orders.known.get(&order).is_some_and(|order| order.tries == 0);
            let progress = ReportPayload::CommandProgress(CommandProgress { order });
            let report = is_first.then(|| self.spool.make(&self.identity, Some(time_ms), &progress));
            self.record(Record::Starting { order, boot: self.boot, report });
            if let Some(known) = self.orders.known.get(&order)
                && let Phase::Running { command, .. } = &known.phase
            {
                let without_reboot = known.reboot.as_ref().and_then(|reboot| reboot.given_up.clone());
                self.outputs.push_back(Output::RunJob { order, command: command.clone(), attempt: known.attempt(), without_reboot });
            }
        }
    }

    // Connection

    fn connected(&mut self, nonce: [u8; 32], now: u64) {
        self.connection = Some(Connection {
            nonce,
            hello_at: now,
            hello_pause_ms: MINIMUM_HELLO_PAUSE_MS,
            is_welcomed: false,
            trust_version: self.trust.version(),
        });
        self.spool.connected();
        self.streams_of_connection();
        self.uploads.set_connected(true);
        self.say_hello();
    }

    fn disconnected(&mut self) {
        self.connection = None;
        self.trust.disconnected();
        self.spool.disconnected();
        self.streams_of_connection();
        self.uploads.set_connected(false);
    }

    fn say_hello(&mut self) {
        let Some(connection) = &self.connection else { return };
        let is_open = |id: &OrderId, order: &Order| !matches!(order.phase, Phase::Ended { .. }) || self.spool.holds_result_of(*id);
        let mut held: Vec<(u64, OrderId)> =
            self.orders.known.iter().filter(|(id, order)| is_open(id, order)).map(|(id, order)| (order.arrival, *id)).collect();
        held.sort_by_key(|(arrival, _)| std::cmp::Reverse(*arrival));
        held.truncate(MAXIMUM_HELD);
        let hello = HelloBody {
            node: self.node,
            boot: self.boot,
            nonce: connection.nonce,
            oldest_version: version::OLDEST_READ,
            newest_version: version::VERSION,
            trust_version: self.trust.version(),
            floor_ms: self.time.floor_ms(),
            held: held.into_iter().map(|(_, id)| id).collect(),
            control: self.spool.state(),
            droppable: self.streams.state(),
            facts: self.facts.clone(),
            refused: self.refused.iter().map(|(reason, count)| (*reason, *count)).collect(),
        };
        let sealed = seal(Domain::Hello, &encode(&hello), &[&self.identity]);
        self.publish(UpKind::Hello, sealed);
    }

    fn publish(&mut self, kind: UpKind, payload: Vec<u8>) {
        self.outputs.push_back(Output::Publish(UpMessage { kind, payload }));
    }

    // Messages down

    fn message(&mut self, topic: &str, retained: bool, payload: &[u8], now: u64) {
        let handled = match topic.parse() {
            Ok(Topic::Down { fleet, node, kind }) if fleet == self.trust.fleet() && node == self.node => match kind {
                DownKind::Order => {
                    self.order(retained, payload, now);
                    Ok(())
                }
                DownKind::Cancel => self.cancel(retained, payload, now),
                DownKind::Receipt => self.receipt(retained, payload, now),
                DownKind::Welcome => self.welcome(retained, payload, now),
                DownKind::OutputReceipt => self.output_receipt(retained, payload),
                DownKind::Renewal => self.renewal(retained, payload),
                DownKind::Trust => self.bundle(retained, payload, now),
            },
            Ok(Topic::Down { .. }) => Err(RejectReason::Target),
            Ok(Topic::AllTrust { fleet }) if fleet == self.trust.fleet() => self.bundle(retained, payload, now),
            Ok(Topic::AllTrust { .. }) => Err(RejectReason::Fleet),
            Ok(_) | Err(_) => Err(RejectReason::Domain),
        };
        if let Err(reason) = handled {
            self.refuse(reason);
        }
    }

    fn refuse(&mut self, reason: RejectReason) {
        self.refuse_because(reason, None);
    }

    fn refuse_because(&mut self, reason: RejectReason, why: Option<String>) {
        let count = self.refused.entry(reason).or_insert(0);
        *count = count.saturating_add(1);
        self.outputs.push_back(Output::Refused { reason, why });
    }

    /// A message's envelope, when it was not retained and is not too large.
    fn envelope_of(domain: Domain, retained: bool, payload: &[u8]) -> Result<Envelope<'_>, RejectReason> {
        if retained {
            return Err(RejectReason::Retained);
        }
        if payload.len() > MAXIMUM_MESSAGE_BYTES {
            return Err(RejectReason::TooLarge);
        }
        Envelope::parse(payload, domain).map_err(envelope_reason)
    }

    /// The body of a message that must be signed by `role`, in the order of the checks: retained, size, envelope, signature, decode.
    fn signed_by<T: serde::de::DeserializeOwned + Check>(
        &self,
        role: Role,
        domain: Domain,
        retained: bool,
        payload: &[u8],
    ) -> Result<T, RejectReason> {
        let envelope = Self::envelope_of(domain, retained, payload)?;
        self.trust.judging().ok_or(RejectReason::TrustVersion)?.require(role, &envelope).map_err(|_| RejectReason::Signature)?;
        decode(envelope.body()).map_err(|_| RejectReason::Malformed)
    }

    fn order(&mut self, retained: bool, payload: &[u8], now: u64) {
        let Some(trust) = self.trust.judging() else { return self.refuse(RejectReason::TrustVersion) };
        // A newer one is known and must be on disk first. The bridge sends again.
        if self.trust.is_behind() {
            return self.refuse(RejectReason::TrustVersion);
        }
        let time_ms = self.time.at(now);
        let fresh_ms = time_ms.filter(|_| self.time.is_fresh(now, FRESH_TO_TAKE_MS));
        let facts = AdmissionFacts {
            node: self.node,
            identity_key: &self.identity_key,
            trust,
            policy: &self.policy,
            agent_version: self.agent_version,
            floor_ms: self.time.floor_ms(),
            time_ms: fresh_ms,
            is_full: self.spool.is_full(),
            memory: &self.memory,
            journal_room: self.journal_room(),
            sealing_key: self.sealing_key.as_ref(),
        };
        let verdict = admission::judge(&facts, &self.orders, retained, payload);
        if matches!(verdict, Verdict::AwaitTime) && time_ms.is_some() {
            self.say_hello_out_of_turn(Cause::Stale, now);
        }
        match verdict {
            Verdict::Accept(admitted) => self.accept(*admitted, now),
            Verdict::AwaitTime if self.awaiting_time.iter().any(|waiting| waiting == payload) => {}
            Verdict::AwaitTime if self.awaiting_time.len() < MAXIMUM_AWAITING_TIME => self.awaiting_time.push_back(payload.to_vec()),
            Verdict::AwaitTime => self.refuse(RejectReason::Busy),
            Verdict::AlreadyTaken(order) => {
                self.refuse(RejectReason::Replay);
                self.answer_again(order, now);
            }
            Verdict::Drop(Refusal { reason, why }) => {
                self.refuse_because(reason, why);
                // The counters in a hello say it, now and not only at the next connection.
                if reason == RejectReason::Storage {
                    self.say_hello_out_of_turn(Cause::Storage, now);
                }
            }
            Verdict::Answer { order, not_after_ms, refusal } => self.reject(order, not_after_ms, refusal, now),
        }
    }

    fn accept(&mut self, admitted: Admitted, now: u64) {
        let order = admitted.order.id;
        let report = self.spool.make(&self.identity, self.time.at(now), &ReportPayload::Admission(Admission::Accepted { order }));
        self.record(Record::Taken { envelope: admitted.envelope, node_data: admitted.node_data, report: Some(report) });
        if self.time.at(now).is_some_and(|time_ms| is_of_the_future(admitted.order.not_before_ms, time_ms)) {
            self.say_hello_out_of_turn(Cause::Future, now);
        }
    }

    /// Refuses an order for ever: its id is taken, so that it can neither run later nor be cancelled into a second outcome.
    fn reject(&mut self, order: OrderId, not_after_ms: u64, refusal: Refusal, now: u64) {
        let Refusal { reason, why } = refusal;
        self.refuse_because(reason, why);
        if !self.is_full() {
            let report =
                self.spool.make(&self.identity, self.time.at(now), &ReportPayload::Admission(Admission::Rejected { order, reason }));
            self.record(Record::Refused { order, not_after_ms, report });
        }
    }

    /// Whether no further id can be taken.
    fn is_full(&self) -> bool {
        let has_room = self.journal_room().is_some_and(|room| room >= room::of_waiting_order(0));
        self.orders.is_full(0) || self.spool.is_full() || !has_room
    }

    fn cancel(&mut self, retained: bool, payload: &[u8], now: u64) -> Result<(), RejectReason> {
        let envelope = Self::envelope_of(Domain::Cancel, retained, payload)?;
        // A cancel only stops: any one key that may sign commands can say it, and the bridge.
        let trust = self.trust.judging().ok_or(RejectReason::TrustVersion)?;
        let signers = trust.signers(&envelope);
        if !trust.has_operator(&signers, Some(Class::Command)) && !trust.knows_a_signer_of(Role::Bridge, &envelope) {
            return Err(RejectReason::Signature);
        }
        let cancel: CancelBody = decode(envelope.body()).map_err(|_| RejectReason::Malformed)?;
        if cancel.fleet != self.trust.fleet() {
            return Err(RejectReason::Fleet);
        }
        if cancel.node != self.node {
            return Err(RejectReason::Target);
        }
        let order = cancel.order;
        let is_full = self.is_full();
        if !self.can_record() && !matches!(self.orders.known.get(&order).map(|order| &order.phase), Some(Phase::Running { .. })) {
            return Err(RejectReason::Storage);
        }
        // What a cancel says of an order's begin is only this: its end lies at most so much later.
        let may_have_run =
            self.memory.may_have_taken(order, order.made_ms().unwrap_or_else(|| cancel.not_after_ms.saturating_sub(MAXIMUM_VALIDITY_MS)));
        match self.orders.known.get(&order).map(|order| &order.phase) {
            Some(Phase::Waiting(_)) => self.end(order, Outcome::Cancelled, "cancelled before it started", Vec::new(), now),
            // It never goes on, whether or not the device still reboots.
            Some(Phase::Rebooting(_)) => self.end(order, Outcome::Cancelled, "cancelled while it waited for a reboot", Vec::new(), now),
            // Each time, because stopping a job may fail for a while, on a full disk for example.
            Some(Phase::Running { .. }) => {
                self.again.cancelled(order);
                self.outputs.push_back(Output::CancelJob { order });
            }
            Some(Phase::Ended { .. }) => self.answer_again(order, now),
            None if cancel.not_after_ms <= self.time.floor_ms() => return Err(RejectReason::Expired),
            // A tombstone lasts as long as it says. Where there is no trusted time yet, the share below is the only bound.
            None if self.time.at(now).is_some_and(|time_ms| cancel.not_after_ms > time_ms.saturating_add(LONGEST_TOMBSTONE_MS)) => {
                return Err(RejectReason::Malformed);
            }
            None if is_full || self.orders.is_full_of_tombstones() => return Err(RejectReason::Busy),
            // A job of before the loss may still run. Its outcome is said once reports can be made again: the bridge asks again.
            None if self.memory.lost.is_some() => {
                self.outputs.push_back(Output::CancelJob { order });
                return Err(RejectReason::MemoryLost);
            }
            None if may_have_run => {
                self.outputs.push_back(Output::CancelJob { order });
                let why = "the node has lost its memory, and whether the command ran before that cannot be known";
                let report = self.result(order, Outcome::Interrupted, why, Vec::new(), now);
                self.record(Record::Refused { order, not_after_ms: cancel.not_after_ms, report });
            }
            None => {
                let report = self.result(order, Outcome::Cancelled, "cancelled before it came", Vec::new(), now);
                self.record(Record::Refused { order, not_after_ms: cancel.not_after_ms, report });
            }
        }
        Ok(())
    }

    fn receipt(&mut self, retained: bool, payload: &[u8], now: u64) -> Result<(), RejectReason> {
        let receipt: ReceiptBody = self.signed_by(Role::Bridge, Domain::Receipt, retained, payload)?;
        if receipt.node != self.node {
            return Err(RejectReason::Target);
        }
        // It comes again, because the reports are sent again.
        if !self.can_record() {
            return Ok(());
        }
        if receipt.stream != Stream::Control {
            return self.stream_receipt(&receipt, now);
        }
        match self.spool.receipt(&receipt, now) {
            Receipted::Nothing => Ok(()),
            Receipted::Unasked => Err(RejectReason::Unasked),
            Receipted::Freed(results) => {
                self.outputs.push_back(Output::Persist(Record::Receipted { up_to: receipt.up_to }));
                for order in results {
                    self.forget_if_done(order);
                }
                Ok(())
            }
        }
    }

    fn renewal(&mut self, retained: bool, payload: &[u8]) -> Result<(), RejectReason> {
        let renewal: RenewalBody = self.signed_by(Role::Bridge, Domain::Renewal, retained, payload)?;
        if renewal.node != self.node {
            return Err(RejectReason::Target);
        }
        self.outputs.push_back(Output::RenewCertificate { authorities: renewal.authorities });
        Ok(())
    }

    fn welcome(&mut self, retained: bool, payload: &[u8], now: u64) -> Result<(), RejectReason> {
        let envelope = Self::envelope_of(Domain::Welcome, retained, payload)?;
        // In quarantine too, for the bundles in it; see below.
        let trust = self.trust.newest().ok_or(RejectReason::TrustVersion)?;
        trust.require(Role::Freshness, &envelope).map_err(|_| RejectReason::Signature)?;
        let welcome: WelcomeBody = decode(envelope.body()).map_err(|_| RejectReason::Malformed)?;
        if welcome.node != self.node {
            return Err(RejectReason::Target);
        }
        let asked = |connection: &Connection| {
            connection.nonce == welcome.nonce && now <= connection.hello_at + WELCOME_VALID_MS && !connection.is_welcomed
        };
        if !self.connection.as_ref().is_some_and(asked) {
            return Err(RejectReason::Unasked);
        }
        if self.bundles_of(&welcome, payload, now)? {
            return Ok(());
        }
        let connection = self.connection.as_mut().ok_or(RejectReason::Unasked)?;
        connection.is_welcomed = true;
        let hello_at = connection.hello_at;
        self.time.learn(welcome.time_ms, hello_at);
        self.spool.set_pace(welcome.resend_minimum_ms, welcome.resend_maximum_ms);
        self.streams_welcomed(&welcome, now);
        self.trust.spread(welcome.reconnect_spread_s);
        self.say_version_later(now);
        self.outputs.push_back(Output::SpreadReconnect { seconds: welcome.reconnect_spread_s });
        self.regain_memory(now);
        for payload in std::mem::take(&mut self.awaiting_time) {
            self.order(false, &payload, now);
        }
        Ok(())
    }

    // Jobs

    fn job_ended(&mut self, order: OrderId, end: JobEnd, now: u64) {
        if !self.can_record() {
            return self.record_later(order, Unrecorded::Over(end));
        }
        if matches!(self.orders.known.get(&order).map(|order| &order.phase), Some(Phase::Running { .. })) {
            let steps = end.steps.into_iter().map(|step| self.with_trusted_times(step, now)).collect();
            self.end(order, end.outcome, &end.explanation, steps, now);
        }
    }

    fn record_later(&mut self, order: OrderId, end: Unrecorded) {
        if !self.unrecorded_ends.iter().any(|(of, _)| *of == order) && self.unrecorded_ends.len() < MAXIMUM_UNRECORDED_ENDS {
            self.unrecorded_ends.push((order, end));
        }
    }

    fn with_trusted_times(&self, mut step: StepResult, now: u64) -> StepResult {
        let trusted = |uptime: Option<u64>| {
            let ago = now.saturating_sub(uptime?);
            Some(self.time.at(now)?.saturating_sub(ago))
        };
        (step.started_ms, step.ended_ms) = (trusted(step.started_ms), trusted(step.ended_ms));
        step
    }

    fn end(&mut self, order: OrderId, outcome: Outcome, explanation: &str, steps: Vec<StepResult>, now: u64) {
        let (explanation, steps) = self.with_what_was_before_a_reboot(order, outcome, explanation, steps);
        let report = self.result(order, outcome, &explanation, steps, now);
        self.record(Record::Ended { order, report });
        self.again.ended(order);
    }

    /// The signed result, with as much of the output as a result may carry.
    fn result(&self, order: OrderId, outcome: Outcome, explanation: &str, mut steps: Vec<StepResult>, now: u64) -> Vec<u8> {
        bound_output(&mut steps);
        let result = CommandResult { order, outcome, explanation: bound_explanation(explanation), steps };
        self.spool.make(&self.identity, self.time.at(now), &ReportPayload::CommandResult(result))
    }

    // Output

    fn output_read(&mut self, id: StreamId, offset: u64, bytes: Vec<u8>) {
        let (order, step, stream) = id;
        if bytes.is_empty() {
            self.uploads.give_up(&id);
            return self.forget_if_done(order);
        }
        let body = OutputBody { node: self.node, order, step, stream, offset, bytes };
        let sealed = seal(Domain::Output, &encode(&body), &[&self.identity]);
        self.publish(UpKind::Output, sealed);
    }

    fn output_receipt(&mut self, retained: bool, payload: &[u8]) -> Result<(), RejectReason> {
        let receipt: OutputReceiptBody = self.signed_by(Role::Bridge, Domain::OutputReceipt, retained, payload)?;
        if receipt.node != self.node {
            return Err(RejectReason::Target);
        }
        self.uploads.receipt((receipt.order, receipt.step, receipt.stream), receipt.up_to);
        self.forget_if_done(receipt.order);
        Ok(())
    }

    /// When the bridge has an order's result and all of its output, the job's folder may go, and the id once the floor has passed it.
    fn forget_if_done(&mut self, order: OrderId) {
        let is_ended = matches!(self.orders.known.get(&order).map(|order| &order.phase), Some(Phase::Ended { has_folder: true, .. }));
        if is_ended && self.can_record() && !self.spool.holds_result_of(order) && !self.uploads.concerns(order) {
            self.record(Record::Forgotten { order });
            self.outputs.push_back(Output::ForgetJob { order });
        }
    }

    fn forget_what_is_done(&mut self) {
        let known: Vec<OrderId> = self.orders.known.keys().copied().collect();
        for order in known {
            self.forget_if_done(order);
        }
    }
}

/// Leaves as much of the output as all steps of a result may carry together.
fn bound_output(steps: &mut [StepResult]) {
    let (mut stdout_left, mut stderr_left) = (RESULT_STDOUT_BYTES, RESULT_STDERR_BYTES);
    for step in steps {
        step.stdout.head.truncate(stdout_left);
        step.stderr.head.truncate(stderr_left);
        stdout_left -= step.stdout.head.len();
        stderr_left -= step.stderr.head.len();
    }
}

/// A text for people, cut to what a result carries.
fn bound_explanation(text: &str) -> String {
    let mut text = text.to_owned();
    text.truncate(text.floor_char_boundary(MAXIMUM_EXPLANATION_BYTES));
    text
}
