//! The state machine: inputs in, outputs out, records in between.
//!
//! Every change that must survive goes through [`Core::record`]: the record is queued as `Persist`, and applied by the same code that
//! applies it when the journal is read back. So a running core and a recovered one cannot differ.

mod admit;
mod again;
mod authority;
mod connection;
mod inventory;
mod jobs;
mod messages;
pub(crate) mod reboot;
mod records;
mod recovery;
mod storage;
mod streams;
mod trust;

use self::again::{Again, Cause};
use self::reboot::RebootRule;
pub use self::recovery::Recovery;
pub use self::streams::Telemetry;
use self::streams::Tellings;
pub use self::trust::HeldTrust;
use self::trust::TrustState;
use crate::interface::{Input, JobEnd, Output, RebootAsked};
use crate::memory::Memory;
use crate::orders::{Orders, Phase};
use crate::policy::PolicyState;
use crate::record::Record;
use crate::secrets;
use crate::spool::Spool;
use crate::streams::Streams;
use crate::trusted_time::TrustedTime;
use crate::upload::Uploads;
use ed25519_dalek::SigningKey;
use flotilla_protocol::hello::Facts;
use flotilla_protocol::id::{BootId, NodeId, OrderId};
use flotilla_protocol::secret::{Binding, OpenedSecret, SealingKey};
use flotilla_protocol::status::RejectReason;
use flotilla_protocol::topic::UpKind;
use std::collections::{BTreeMap, VecDeque};

/// Pause before a hello without a welcome is sent again, in milliseconds; it doubles up to [`MAXIMUM_HELLO_PAUSE_MS`].
const MINIMUM_HELLO_PAUSE_MS: u64 = 2_000;
const MAXIMUM_HELLO_PAUSE_MS: u64 = 600_000;

/// A welcome is believed for this long after its hello, in milliseconds: it bounds how wrong the time can be made by holding it back.
const WELCOME_VALID_MS: u64 = 60_000;

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
}
