//! Exec: the half that owns the keys and the journal, verifies, decides and starts jobs. It has no network.
//!
//! Everything it decides is `flotilla-agent-core`'s; here is the shell around it: the [`journal`] file, the socket to the link, the [`jobs`],
//! the clock. It keeps the core's one rule: a record that is not lazy is on disk before the next output of another kind is taken. While the
//! disk takes no records, exec lives on and does what needs none, see `storage.rs`.

mod came_up;
mod inventory;
pub mod jobs;
pub mod journal;
mod peer_link;
mod reboot;
mod renewal;
pub mod runner;
mod socket;
mod storage;
mod transient;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use flotilla_agent_core::{Core, Input, JobEnd, Output, PolicyState, Record, RecordError, Recovery, Settings as CoreSettings, Telemetry};
use flotilla_protocol::document::Plan;
use flotilla_protocol::id::OrderId;
use flotilla_protocol::report::{LossCause, MAXIMUM_CHUNK_BYTES};
use flotilla_protocol::status::{Outcome, RejectReason};
use flotilla_protocol::topic::{Topic, UpKind};
use thiserror::Error;
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::frame::{FromExec, FromLink};
use crate::job::secrets::JobSecrets;
use crate::notify::Notifier;
use crate::ownership::{self, OwnershipError};
use crate::policy::PolicyWatch;
use crate::settings::Settings;
use crate::state::{ExecState, StateError};
use crate::step::software_inventory;
use crate::{clock, facts};
use inventory::{Collected, Inventory};
use jobs::{Ended, Fate, Jobs};
use journal::{Journal, JournalError, Opened};
use peer_link::PeerLink;
use reboot::Rebooter;
use renewal::Renewal;
use runner::Runner;
use storage::Storage;

/// How often the growth of running jobs' output is looked at: short commands end before the first look and cost nothing.
const OUTPUT_LOOK: Duration = Duration::from_secs(1);
/// While the node stands still and orders wait, the policy is looked at this often, in milliseconds: what stops it may go without a word.
const STANDSTILL_LOOK_MS: u64 = 5_000;
/// One log line for each reason of refusal in this time, in milliseconds.
const REFUSAL_LOG_MS: u64 = 10_000;
/// The link is told the time again when it is off by more than this, in milliseconds.
const TIME_TOLD_WITHIN_MS: u64 = 5_000;
/// Pause after a connection to the socket could not be accepted.
const PAUSE_AFTER_ACCEPT_ERROR: Duration = Duration::from_millis(500);
/// Longest sleep: a timer that is wrong for whatever reason is mended within this time.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);

/// Why exec cannot go on.
#[derive(Debug, Error)]
pub enum ExecError {
    /// The node's own state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The link has a user of its own, and what is to be that user's cannot be.
    #[error(transparent)]
    Ownership(#[from] OwnershipError),
    /// The journal cannot be read or written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The socket for the link cannot be opened.
    #[error("the socket {} cannot be opened", .path.display())]
    Socket {
        /// Where.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The system gives no boot id, no randomness or no signals.
    #[error("{what} cannot be had from the system")]
    System {
        /// What is missing.
        what: &'static str,
        /// Why.
        source: std::io::Error,
    },
}

/// Runs exec until it is told to stop. `restarts` is how often its supervisor has started it again, where it has one.
///
/// # Errors
/// See [`ExecError`]. Nothing that was promised is lost then: the journal has it.
pub async fn run(settings: Settings, restarts: Option<u32>) -> Result<(), ExecError> {
    ownership::establish(&settings)?;
    let state = ExecState::load(&settings)?;
    if let Some(file) = &settings.reboots.boot_id_file {
        clock::use_boot_id_of(file.clone());
    }
    let boot = clock::boot_id().map_err(|source| ExecError::System { what: "the boot id", source })?;
    let trust = state.held_trust();
    let core_settings = || CoreSettings {
        identity: state.identity.clone(),
        trust: trust.clone(),
        boot,
        facts: facts::gather(&state.broker),
        agent_version: agent_version(),
        maximum_jobs: settings.maximum_jobs,
        first_floor_ms: state.first_floor_ms,
    };
    let Opened { mut journal, records, floor, mut loss } = Journal::open(&state.layout.exec(""))?;
    let new_recovery = || Recovery::new(core_settings()).with_reboots(settings.reboots.rule()).with_sealing_key(state.sealing_key.clone());
    let mut recovery = replayed(new_recovery(), records).unwrap_or_else(|error| {
        tracing::error!(%error, "the journal makes no sense");
        journal.give_up();
        loss = Some(LossCause::Damaged);
        new_recovery()
    });
    if let Some(cause) = loss {
        tracing::error!(cause = cause.as_str(), "the journal is lost and is moved aside; orders of before are refused from now on");
    }
    recovery.remember(&floor, loss);
    let recovery = recovery.with_telemetry(Telemetry {
        interval_ms: settings.health_interval_s.saturating_mul(1000),
        spool_bytes: usize::try_from(settings.telemetry_spool_bytes).unwrap_or(usize::MAX),
        restarts,
    });
    let (ended, ends) = mpsc::channel(settings.maximum_jobs.max(1) * 2);
    let (refused, refusals_to_reboot) = mpsc::channel(1);
    let rebooter = Rebooter::new(settings.reboots.command.clone(), &settings.tools.search_path, refused);
    // Before anything else: what waits in the journal must not start before the policy is known.
    let mut policy = PolicyWatch::new(settings.policy.clone(), settings.job_user.as_deref());
    let first = policy.look(true).unwrap_or_default();
    log_policy(&first);
    let core = recovery.with_policy(first).finish();
    let runner = Runner::of_settings(&settings);
    let (collected, collections) = mpsc::channel(1);
    let inventory = Inventory::new(settings.inventory.clone(), &state.layout.exec("inventory"), runner.clone(), collected);
    let jobs = Jobs::new(state.layout.exec("jobs"), settings.output_limit_bytes, settings.job_user.clone(), boot, ended)
        .with_tools(settings.tools.clone())
        .with_runner(runner);
    let listener = socket::listen(&settings)?;
    let storage = Storage::new(journal);
    tracing::info!(node = %state.node, fleet = %state.fleet, trust = trust.version(), "exec is ready");
    let renewal = Renewal {
        identity: state.identity.clone(),
        sealing_key: state.sealing_key.public(),
        root_hash: state.root_hash,
        stage: renewal::Stage::default(),
    };
    let mut shell = Shell {
        core,
        storage,
        jobs,
        inventory,
        asked_inventory: BTreeMap::new(),
        rebooter,
        policy,
        state,
        renewal,
        told_time: None,
        has_come_up: false,
        link: None,
        link_user: settings.link_user.map(|user| user.uid),
        refusals: BTreeMap::new(),
        withheld: VecDeque::new(),
        is_reboot_withheld: false,
        has_begun: false,
        is_connected: false,
        notifier: Notifier::from_environment(),
    };
    shell.try_disk();
    shell.run(listener, ends, refusals_to_reboot, collections).await
}

fn replayed(mut recovery: Recovery, records: Vec<Record>) -> Result<Recovery, RecordError> {
    records.into_iter().try_for_each(|record| recovery.replay(record))?;
    Ok(recovery)
}

/// This build's version: major, minor, patch.
fn agent_version() -> [u16; 3] {
    let mut parts = env!("CARGO_PKG_VERSION").split('.').map(|part| part.parse().unwrap_or(0));
    [(); 3].map(|()| parts.next().unwrap_or(0))
}

fn log_policy(state: &PolicyState) {
    match state.standstill() {
        Some(why) => tracing::error!(why, "no order starts"),
        None => tracing::info!("orders start as the trust and the policy of the node allow"),
    }
}

struct Shell {
    core: Core,
    storage: Storage,
    jobs: Jobs,
    inventory: Inventory,
    /// The types of inventory that orders ask for whose jobs are not over.
    asked_inventory: BTreeMap<OrderId, Vec<String>>,
    rebooter: Rebooter,
    policy: PolicyWatch,
    state: ExecState,
    renewal: Renewal,
    /// What the link was last told to be now, and the uptime of that.
    told_time: Option<(u64, u64)>,
    /// Whether the guard of versions can know that this one has come up.
    has_come_up: bool,
    link: Option<PeerLink>,
    /// Who may connect to the socket besides root and the own user.
    link_user: Option<u32>,
    /// When each reason was last logged, in uptime milliseconds.
    refusals: BTreeMap<RejectReason, u64>,
    /// What must wait until the disk takes records again, in its order.
    withheld: VecDeque<Output>,
    /// The system was to be told to reboot, and was not.
    is_reboot_withheld: bool,
    /// Whether what was read from the journal is known to be on disk: only then it is acted on.
    has_begun: bool,
    /// Whether the link has a connection to the broker.
    is_connected: bool,
    notifier: Notifier,
}

impl Shell {
    async fn run(
        &mut self,
        listener: UnixListener,
        mut ends: mpsc::Receiver<Ended>,
        mut refusals_to_reboot: mpsc::Receiver<String>,
        mut collections: mpsc::Receiver<Collected>,
    ) -> Result<(), ExecError> {
        let no_signals = |source| ExecError::System { what: "signals", source };
        let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
        let mut hangup = signal(SignalKind::hangup()).map_err(no_signals)?;
        let mut look = tokio::time::interval(OUTPUT_LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.notifier.ready();
        loop {
            self.take_outputs();
            self.see_to_inventory();
            let now = clock::boottime_ms();
            self.notifier.feed(now);
            self.tell_status();
            let standstill = (self.policy.is_standing_still() && self.core.has_waiting()).then(|| now.saturating_add(STANDSTILL_LOOK_MS));
            let inventory = self.inventory.next_look(&self.core);
            let next = [self.core.next_wakeup(now), self.storage.next_try(), standstill, inventory].into_iter().flatten().min();
            let sleep = next.map_or(LONGEST_SLEEP, |at| Duration::from_millis(at.saturating_sub(now)).min(LONGEST_SLEEP));
            let sleep = self.notifier.until_feed(now).map_or(sleep, |until| sleep.min(until));
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => self.link_came(stream),
                    // Out of descriptors, most likely: the connection still waits, so trying again at once would spin.
                    Err(error) => {
                        tracing::warn!(%error, "a connection to the socket was not accepted");
                        tokio::time::sleep(PAUSE_AFTER_ACCEPT_ERROR).await;
                    }
                },
                frame = peer_link::exchange(&mut self.link), if self.link.is_some() => self.link_said(frame)?,
                ended = ends.recv() => if let Some(ended) = ended {
                    let Ended { order, fate } = ended;
                    // Before it is recorded that the command is over: after a crash at any moment it is gathered anew.
                    if matches!(fate, Fate::Over(_)) && let Some(types) = self.asked_inventory.remove(&order) {
                        self.inventory.ask(&types, clock::boottime_ms());
                    }
                    let input = match fate {
                        Fate::Over(end) => Input::JobEnded { order, end },
                        Fate::NeverStarted => Input::NeverStarted { order },
                        Fate::RebootAsked(asked) => Input::RebootAsked { order, asked },
                    };
                    self.handle(input, clock::boottime_ms());
                },
                Some(why) = refusals_to_reboot.recv() => self.handle(Input::RebootRefused { why }, clock::boottime_ms()),
                Some(collected) = collections.recv() => self.inventory.collected(collected, clock::boottime_ms()),
                () = tokio::time::sleep(sleep) => {
                    self.look_at_policy(false);
                    self.try_disk();
                    self.handle(Input::Tick, clock::boottime_ms());
                }
                _ = hangup.recv() => self.look_at_policy(true),
                _ = look.tick(), if self.jobs.any_running() => self.look_at_output(),
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
            }
        }
        self.notifier.stopping();
        self.take_outputs();
        self.storage.end();
        Ok(())
    }

    /// Has the inventory gathered when it is time for that, and says of it what has room.
    fn see_to_inventory(&mut self) {
        let now = clock::boottime_ms();
        self.inventory.look(&self.core, now);
        while self.inventory.has_more() {
            if self.inventory.is_said() {
                // What is not on disk yet counts as said when it is.
                if !self.storage.is_durable(&self.core, now) {
                    break;
                }
                self.inventory.finish(&self.core, now);
            } else if self.inventory.say(&mut self.core, now) {
                self.take_outputs();
            } else {
                break;
            }
        }
    }

    /// Has `systemctl status` show what exec does.
    fn tell_status(&mut self) {
        let running = match self.jobs.running() {
            0 => "no job runs".to_owned(),
            1 => "1 job runs".to_owned(),
            many => format!("{many} jobs run"),
        };
        let connection = if self.is_connected { "connected" } else { "not connected" };
        let standstill = if self.policy.is_standing_still() { "; no order starts" } else { "" };
        self.notifier.status(&format!("{connection}; {running}{standstill}"));
    }

    /// Tries what could not be done on the disk before, when it is time for that.
    fn try_disk(&mut self) {
        if !self.storage.try_again(&mut self.core, clock::boottime_ms()) {
            return;
        }
        if !std::mem::replace(&mut self.has_begun, true) {
            self.jobs.remove_unneeded(|order| self.core.needs_folder(order));
        }
        for output in std::mem::take(&mut self.withheld) {
            match with_the_disk_back(output) {
                Ok(output) => self.act(output),
                Err(order) => self.handle(Input::NeverStarted { order }, clock::boottime_ms()),
            }
        }
        if std::mem::take(&mut self.is_reboot_withheld) {
            self.handle(Input::RebootWithheld, clock::boottime_ms());
        }
    }

    /// Gives the core an input, by the policy of now.
    fn handle(&mut self, input: Input<'_>, now: u64) {
        self.look_at_policy(false);
        self.core.handle(input, now);
    }

    fn look_at_policy(&mut self, anew: bool) {
        let Some(state) = self.policy.look(anew) else { return };
        log_policy(&state);
        self.core.handle(Input::Policy(state), clock::boottime_ms());
    }

    fn link_came(&mut self, stream: tokio::net::UnixStream) {
        match crate::peer::check(&stream, self.link_user) {
            Ok(()) => {
                // The newest link counts: an older one is a dead one whose end is not yet seen.
                if self.link.replace(PeerLink::new(stream)).is_some() {
                    self.is_connected = false;
                    self.core.handle(Input::Disconnected, clock::boottime_ms());
                }
                (self.renewal.stage, self.told_time) = (renewal::Stage::default(), None);
                self.say(&FromExec::Time { unix_ms: self.core.floor_ms(), is_now: false });
                self.tell_time();
            }
            Err(error) => tracing::warn!(%error, "a connection to the socket was refused"),
        }
    }

    fn link_said(&mut self, frame: Option<FromLink>) -> Result<(), ExecError> {
        let now = clock::boottime_ms();
        match frame {
            Some(FromLink::Connected) => {
                self.is_connected = true;
                let mut nonce = [0; 32];
                getrandom::fill(&mut nonce)
                    .map_err(|error| ExecError::System { what: "randomness", source: std::io::Error::other(error) })?;
                self.handle(Input::Connected { nonce }, now);
            }
            Some(FromLink::Disconnected { .. }) => {
                self.is_connected = false;
                self.handle(Input::Disconnected, now);
            }
            Some(FromLink::Message { topic, retained, payload }) => {
                self.handle(Input::Message { topic: &topic, retained, payload: &payload }, now);
                self.tell_time();
            }
            Some(FromLink::RenewalWanted) => {
                let terms = self.renewal.begin();
                self.say(&terms);
            }
            Some(FromLink::RenewalRequest { tls_key, tls_proof }) => {
                let claim = self.renewal.claim(tls_key, tls_proof, facts::gather(&self.state.broker));
                self.say(&claim);
            }
            Some(FromLink::RenewalAnswer { payload }) => {
                let judged = self.renewal.judge(&payload, self.core.trust_version());
                self.say(&judged);
            }
            None => {
                (self.link, self.is_connected) = (None, false);
                self.core.handle(Input::Disconnected, now);
            }
        }
        Ok(())
    }

    fn tell_time(&mut self) {
        let now = clock::boottime_ms();
        let frame = time_to_tell(&mut self.told_time, self.core.trusted_time_ms(now), self.core.floor_ms(), now);
        if let Some(frame) = frame {
            // The time is known from a welcome, and from nothing else.
            if !self.has_come_up && matches!(frame, FromExec::Time { is_now: true, .. }) {
                self.has_come_up = came_up::note(&self.state.layout);
            }
            self.say(&frame);
        }
    }

    fn look_at_output(&mut self) {
        let now = clock::boottime_ms();
        for (order, step, stream, kept_bytes) in self.jobs.output_lengths() {
            if kept_bytes > 0 {
                self.core.handle(Input::OutputGrew { order, step, stream, kept_bytes }, now);
            }
        }
    }

    /// Does what the core wants, in its order.
    fn take_outputs(&mut self) {
        loop {
            let now = clock::boottime_ms();
            while let Some(output) = self.core.poll_output() {
                match output {
                    Output::Persist(record) => self.storage.persist(&mut self.core, &record, now),
                    output if self.storage.is_durable(&self.core, now) => self.act(output),
                    output => self.act_without_disk(output),
                }
            }
            // What it has to say may lead to more outputs.
            let Some(input) = self.storage.settle(&mut self.core, now) else { break };
            self.core.handle(input, now);
        }
    }

    fn act(&mut self, output: Output) {
        match output {
            Output::Persist(_) => {}
            Output::Publish(message) => {
                let topic = Topic::Up { fleet: self.state.fleet, node: self.core.node(), kind: message.kind };
                self.say(&FromExec::Publish { topic: topic.to_string(), retain: false, payload: message.payload });
            }
            Output::RunJob { order, command, attempt, without_reboot } => {
                let opened = self.core.open_secrets(order).map_err(|reason| format!("it is refused: {}", reason.as_str()));
                self.note_inventory(order, &command.plan);
                match opened.and_then(JobSecrets::of_order) {
                    Ok(secrets) => {
                        tracing::info!(%order, %attempt, document = %command.document, "a job starts");
                        self.jobs.start(order, *command, attempt, without_reboot, &secrets);
                    }
                    // Its admission has opened them: only what is no text comes here.
                    Err(why) => {
                        tracing::warn!(%order, why, "a job has no secrets");
                        let explanation = format!("the secrets of the command cannot be used: {why}");
                        let end = JobEnd { outcome: Outcome::Failed, explanation, steps: Vec::new() };
                        self.core.handle(Input::JobEnded { order, end }, clock::boottime_ms());
                    }
                }
            }
            Output::RecoverJob { order, command, same_boot, attempt } => {
                tracing::info!(%order, %attempt, same_boot, "a job is picked up again");
                self.note_inventory(order, &command.plan);
                self.jobs.recover(order, &command, same_boot, attempt);
            }
            Output::Reboot => self.rebooter.reboot(),
            Output::CancelJob { order } => {
                tracing::info!(%order, "a job is cancelled");
                self.jobs.cancel(order);
            }
            Output::ForgetJob { order } => self.jobs.forget(order),
            Output::ReadOutput { order, step, stream, offset } => {
                // Without an answer the core asks again after a pause.
                if let Some(bytes) = self.jobs.read_output(order, step, stream, offset, MAXIMUM_CHUNK_BYTES) {
                    self.core.handle(Input::OutputRead { order, step, stream, offset, bytes }, clock::boottime_ms());
                }
            }
            Output::KeepTrust { version, envelope } => self.keep_trust(version, &envelope),
            Output::Refused { reason, why } => self.log_refusal(reason, why.as_deref()),
            Output::RenewCertificate { authorities } => self.say(&FromExec::RenewCertificate { authorities }),
            Output::SpreadReconnect { seconds } => self.say(&FromExec::Configure { reconnect_spread_s: seconds }),
        }
    }

    /// What is gathered when the job of an order is over, whatever became of it.
    fn note_inventory(&mut self, order: OrderId, plan: &Plan) {
        if let Some(types) = software_inventory::asked_types(plan) {
            self.asked_inventory.insert(order, types);
        }
    }

    fn act_without_disk(&mut self, output: Output) {
        match without_disk(&output, &self.withheld) {
            WithoutDisk::Act => self.act(output),
            WithoutDisk::Drop => {}
            WithoutDisk::DecideAnew => self.is_reboot_withheld = true,
            // As many as there are orders, at most a few for each: the core makes no records meanwhile, and so no more of these.
            WithoutDisk::Wait => self.withheld.push_back(output),
        }
    }

    /// The core asks again for what cannot be kept now, and starts nothing meanwhile.
    fn keep_trust(&mut self, version: u32, envelope: &[u8]) {
        match self.state.store_bundle(version, envelope) {
            Ok(()) => {
                tracing::info!(version, "the node goes by a new trust bundle");
                self.handle(Input::TrustKept { version }, clock::boottime_ms());
                // A welcome may have waited for it.
                self.tell_time();
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                tracing::error!(version, "{error}: {cause}: a trust bundle cannot be kept, and nothing starts until it can");
            }
        }
    }

    fn say(&mut self, frame: &FromExec) {
        if let Some(link) = &mut self.link {
            link.say(frame);
        }
    }

    fn log_refusal(&mut self, reason: RejectReason, why: Option<&str>) {
        let now = clock::boottime_ms();
        let is_due = self.refusals.get(&reason).is_none_or(|last| now.saturating_sub(*last) >= REFUSAL_LOG_MS);
        if is_due {
            let count = self.core.refused().get(&reason).copied().unwrap_or(0);
            tracing::warn!(reason = reason.as_str(), count, why, "a message was refused");
            self.refusals.insert(reason, now);
        }
    }
}

/// What to tell the link of the time, where that is new to it: the trusted time; or, where a new epoch has begun and there is none any more, the
/// floor. `told`: what it was told last, and the uptime of that.
fn time_to_tell(told: &mut Option<(u64, u64)>, trusted_ms: Option<u64>, floor_ms: u64, now: u64) -> Option<FromExec> {
    let Some(unix_ms) = trusted_ms else { return told.take().map(|_| FromExec::Time { unix_ms: floor_ms, is_now: false }) };
    let is_known = |(told_ms, at): (u64, u64)| told_ms.saturating_add(now.saturating_sub(at)).abs_diff(unix_ms) <= TIME_TOLD_WITHIN_MS;
    if told.is_some_and(is_known) {
        return None;
    }
    *told = Some((unix_ms, now));
    Some(FromExec::Time { unix_ms, is_now: true })
}

/// What becomes of an output while the records before it are not on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WithoutDisk {
    Act,
    Drop,
    /// It is acted on when the disk is back.
    Wait,
    /// The core is told then, and decides again.
    DecideAnew,
}

/// What becomes of an output that waited for the disk: it is acted on, or the start of this order was none. The order waits again then, and is
/// judged before it starts: nobody knows for how long the disk was away, and trust, policy, hours and its own time may be others by now.
fn with_the_disk_back(output: Output) -> Result<Output, OrderId> {
    match output {
        Output::RunJob { order, .. } => Err(order),
        output => Ok(output),
    }
}

/// What may be done although the records before it are not on disk: nothing that starts, forgets or promises. `withheld` is what waits.
fn without_disk(output: &Output, withheld: &VecDeque<Output>) -> WithoutDisk {
    let waits_to_start = |order: OrderId| {
        let is_its_start = |output: &Output| match output {
            Output::RunJob { order: of, .. } | Output::RecoverJob { order: of, .. } => *of == order,
            _ => false,
        };
        withheld.iter().any(is_its_start)
    };
    match output {
        // A hello speaks of no record, and chunks of output are files that are there. A report is sent again.
        Output::Publish(message) if message.kind != UpKind::Report => WithoutDisk::Act,
        Output::Publish(_) => WithoutDisk::Drop,
        // Nobody knows what is going on on the device when the disk is back, however late.
        Output::Reboot => WithoutDisk::DecideAnew,
        Output::CancelJob { order } if !waits_to_start(*order) => WithoutDisk::Act,
        // What is said of a bundle counts once the bundle itself is on disk, whatever the journal takes.
        Output::KeepTrust { .. }
        | Output::ReadOutput { .. }
        | Output::Refused { .. }
        | Output::RenewCertificate { .. }
        | Output::SpreadReconnect { .. } => WithoutDisk::Act,
        _ => WithoutDisk::Wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flotilla_agent_core::{Attempt, UpMessage};
    use flotilla_protocol::capability::command::CommandOrder;

    #[test]
    fn the_link_is_told_a_time_that_is_new_to_it_and_that_there_is_none_any_more() {
        let mut told = None;
        assert_eq!(time_to_tell(&mut told, None, 7, 100), None, "the floor was told when it came");
        assert_eq!(time_to_tell(&mut told, Some(900_000), 7, 100), Some(FromExec::Time { unix_ms: 900_000, is_now: true }));
        assert_eq!(time_to_tell(&mut told, Some(904_000), 7, 3_000), None, "near enough");
        assert_eq!(time_to_tell(&mut told, None, 0, 3_100), Some(FromExec::Time { unix_ms: 0, is_now: false }), "a new epoch");
        assert_eq!(time_to_tell(&mut told, None, 0, 3_200), None, "once");
        assert_eq!(time_to_tell(&mut told, Some(5_000), 0, 3_300), Some(FromExec::Time { unix_ms: 5_000, is_now: true }));
    }

    #[test]
    fn without_the_disk_nothing_starts_or_is_promised_and_no_reboot_waits() {
        let order = OrderId([1; 16]);
        let command = CommandOrder {
            document: String::new(),
            document_version: String::new(),
            parameters: Vec::new(),
            plan: Plan { steps: Vec::new() },
        };
        let start = Output::RunJob { order, command: Box::new(command), attempt: Attempt::default(), without_reboot: None };
        let publish = |kind| Output::Publish(UpMessage { kind, payload: Vec::new() });
        let (nothing, waiting) = (VecDeque::new(), VecDeque::from([start.clone()]));
        assert_eq!(without_disk(&start, &nothing), WithoutDisk::Wait);
        assert_eq!(without_disk(&Output::ForgetJob { order }, &nothing), WithoutDisk::Wait);
        assert_eq!(without_disk(&publish(UpKind::Hello), &nothing), WithoutDisk::Act);
        assert_eq!(without_disk(&publish(UpKind::Report), &nothing), WithoutDisk::Drop);
        assert_eq!(without_disk(&Output::CancelJob { order }, &nothing), WithoutDisk::Act);
        assert_eq!(without_disk(&Output::KeepTrust { version: 2, envelope: Vec::new() }, &waiting), WithoutDisk::Act);
        assert_eq!(without_disk(&Output::CancelJob { order }, &waiting), WithoutDisk::Wait, "it must find what it is to stop");
        assert_eq!(without_disk(&Output::Reboot, &nothing), WithoutDisk::DecideAnew);
        assert_eq!(with_the_disk_back(start), Err(order), "a start that waited is judged anew, however long it was");
        assert_eq!(with_the_disk_back(Output::CancelJob { order }), Ok(Output::CancelJob { order }));
        let command = || {
            Box::new(CommandOrder {
                document: String::new(),
                document_version: String::new(),
                parameters: Vec::new(),
                plan: Plan { steps: Vec::new() },
            })
        };
        let recover = || Output::RecoverJob { order, command: command(), same_boot: true, attempt: Attempt::default() };
        assert_eq!(with_the_disk_back(recover()), Ok(recover()), "one that may run already is picked up");
    }
}
