//! How trust lives on a node: bundles are followed one by one, are on disk before they count, and never go back.
//!
//! A bundle comes in a welcome, on the node's own topic or on the one for all; whoever brings it, it is judged by its own signatures alone.
//! One that follows is handed out as [`Output::KeepTrust`]. Until the shell has it on disk ([`Input::TrustKept`]) the node goes by the old one
//! and starts nothing. What waits is then judged once more, see [`super::authority`].
//!
//! A node that has no bundle, or only older ones than it has gone by, is in *quarantine*: its disk was damaged, or put back. It believes no
//! message and starts nothing, says the version that it has in its hello (0 for none), and takes nothing but the bundles that lead it on.
//!
//! [`Input::TrustKept`]: crate::Input::TrustKept

use super::again::Cause;
use super::{Connection, Core};
use crate::admission::envelope_reason;
use crate::interface::Output;
use crate::record::Record;
use flotilla_protocol::hello::{MAXIMUM_BUNDLES, WelcomeBody};
use flotilla_protocol::id::FleetId;
use flotilla_protocol::status::RejectReason;
use flotilla_protocol::trust::{Trust, TrustError};
use flotilla_protocol::wire::MAXIMUM_MESSAGE_BYTES;
use std::collections::{BTreeSet, VecDeque};

/// Most bundles that wait for the disk: one welcome's, and as many that came before it.
const MAXIMUM_PENDING: usize = 2 * MAXIMUM_BUNDLES;
/// Most hashes of bundles that are kept in mind, so that one that comes again is no alarm.
const MAXIMUM_SEEN: usize = 256;
/// Pause before the shell is asked once more to keep a bundle, in milliseconds.
const KEEP_AGAIN_MS: u64 = 30_000;
/// Longest time over which the nodes of a fleet spread the hello that says their new version, in milliseconds. Over how much of it they do
/// is said by the welcome, as for reconnections: only the bridge knows how many they are.
const LONGEST_HELLO_SPREAD_MS: u64 = 900_000;
/// Orders are taken for so long after the last welcome, in milliseconds: a day. Whoever holds back a revocation must hold back every
/// welcome too, and a connected node asks for one each hour.
pub(super) const FRESH_TO_TAKE_MS: u64 = 24 * 3_600_000;
/// What was taken starts for so long after the last welcome, in milliseconds: 30 days, as long as an order lives.
pub(super) const FRESH_TO_START_MS: u64 = 30 * 24 * 3_600_000;

/// The trust that a node has found on its disk.
#[derive(Debug, Clone)]
pub struct HeldTrust {
    newest: Option<Trust>,
    root_hash: [u8; 32],
    least_version: u32,
}

impl HeldTrust {
    /// What could be followed from the pinned root, if anything. `least_version` is the newest of which there is any trace: with a newer one
    /// than `newest` the node begins in quarantine.
    #[must_use]
    pub fn new(root_hash: [u8; 32], newest: Option<Trust>, least_version: u32) -> Self {
        Self { newest, root_hash, least_version }
    }

    /// The version of the newest bundle that could be followed; 0 for none.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.newest.as_ref().map_or(0, |trust| trust.bundle().version)
    }

    /// The newest version of which there is any trace.
    #[must_use]
    pub fn least_version(&self) -> u32 {
        self.least_version
    }
}

impl From<Trust> for HeldTrust {
    /// A trust of which nothing is missing.
    fn from(newest: Trust) -> Self {
        // The pinned hash matters only where there is no bundle.
        Self { least_version: newest.bundle().version, root_hash: newest.hash(), newest: Some(newest) }
    }
}

/// The trust that the node goes by, and what comes after it.
#[derive(Debug)]
pub(super) struct TrustState {
    newest: Option<Trust>,
    root_hash: [u8; 32],
    fleet: FleetId,
    /// Version and epoch of the newest trust that the node has gone by.
    least: (u32, u32),
    /// Bundles that follow and are not yet known to be on disk, with their envelopes.
    pending: VecDeque<(Trust, Vec<u8>)>,
    /// When the shell was last asked to keep them: uptime.
    asked_at: u64,
    /// A welcome that waits for the bundles that it brought: it is judged by the newest of them.
    welcome: Option<Vec<u8>>,
    /// Bundles that were followed since the start, by the hash of their bodies.
    seen: BTreeSet<[u8; 32]>,
    /// What waits is to be judged by a new trust.
    pub(super) must_judge: bool,
    /// When the hello with the new version is said: uptime.
    hello_at: Option<u64>,
    /// Over how long it is spread: what the last welcome has said.
    hello_spread_ms: u64,
}

impl TrustState {
    pub(super) fn new(held: HeldTrust) -> Self {
        let fleet = held.newest.as_ref().map_or_else(|| FleetId::of_root_hash(&held.root_hash), Trust::fleet);
        Self {
            newest: held.newest,
            root_hash: held.root_hash,
            fleet,
            least: (held.least_version, 0),
            pending: VecDeque::new(),
            asked_at: 0,
            welcome: None,
            seen: BTreeSet::new(),
            must_judge: false,
            hello_at: None,
            hello_spread_ms: 0,
        }
    }

    pub(super) fn fleet(&self) -> FleetId {
        self.fleet
    }

    /// The version of the newest bundle; 0 where there is none.
    pub(super) fn version(&self) -> u32 {
        self.newest.as_ref().map_or(0, |trust| trust.bundle().version)
    }

    /// The newest bundle that is on disk.
    pub(super) fn newest(&self) -> Option<&Trust> {
        self.newest.as_ref()
    }

    /// Version and epoch below which the node never goes.
    pub(super) fn least(&self) -> (u32, u32) {
        self.least
    }

    /// The trust by which messages are judged; nothing in quarantine.
    pub(super) fn judging(&self) -> Option<&Trust> {
        self.newest.as_ref().filter(|trust| trust.bundle().version >= self.least.0)
    }

    /// Whether a bundle that counts is not on disk yet.
    pub(super) fn is_behind(&self) -> bool {
        !self.pending.is_empty()
    }

    /// A welcome says over how many seconds the fleet spreads what all of its nodes do.
    pub(super) fn spread(&mut self, seconds: u32) {
        self.hello_spread_ms = (u64::from(seconds) * 1000).min(LONGEST_HELLO_SPREAD_MS);
    }

    /// The hello that was due was said.
    pub(super) fn hello_said(&mut self) {
        self.hello_at = None;
    }

    /// When something is due: uptime.
    pub(super) fn next_wakeup(&self) -> Option<u64> {
        let keep = self.is_behind().then(|| self.asked_at.saturating_add(KEEP_AGAIN_MS));
        keep.into_iter().chain(self.hello_at).min()
    }

    pub(super) fn disconnected(&mut self) {
        (self.welcome, self.hello_at) = (None, None);
    }

    /// The bundle in `bytes`, if it is the next one: by the newest that is known, be it on disk or not.
    fn next(&self, bytes: &[u8]) -> Result<Trust, TrustError> {
        match self.pending.back().map(|(trust, _)| trust).or(self.newest.as_ref()) {
            Some(newest) => newest.successor(bytes),
            None => Trust::from_pinned(&self.root_hash, [bytes]),
        }
    }
}

/// What came of a bundle.
enum Followed {
    /// It follows, and is to be kept.
    Next,
    /// It is an old one.
    Known,
    /// It is a later one than the next.
    Ahead,
}

impl Core {
    /// The node has gone by this trust: it never goes by an older one. With a new epoch everything that was believed of the time is void.
    pub(super) fn gone_by(&mut self, version: u32, epoch: u32) {
        if self.has_gone_by && epoch > self.trust.least.1 {
            self.time.begin_epoch();
            self.memory.barrier_ms = 0;
        }
        self.has_gone_by = true;
        self.trust.least = (self.trust.least.0.max(version), self.trust.least.1.max(epoch));
    }

    /// The journal is read, and the copy beside it: what the disk has of trust may be newer, or older.
    pub(super) fn compare_trust(&mut self) {
        let Some(found) = self.trust.newest.as_ref().map(|trust| (trust.bundle().version, trust.bundle().epoch)) else {
            return self.say_quarantine();
        };
        if found.0 < self.trust.least.0 {
            return self.say_quarantine();
        }
        if !self.has_gone_by {
            self.gone_by(found.0, found.1);
        } else if found > self.trust.least {
            // It was kept, and the power went before that was recorded.
            self.record(Record::Trust { version: found.0, epoch: found.1 });
        }
    }

    /// The hello says it by its version, and by this count.
    fn say_quarantine(&mut self) {
        let count = self.refused.entry(RejectReason::TrustVersion).or_insert(0);
        *count = count.saturating_add(1);
    }

    /// A trust bundle came by itself.
    pub(super) fn bundle(&mut self, retained: bool, payload: &[u8], now: u64) -> Result<(), RejectReason> {
        if retained {
            return Err(RejectReason::Retained);
        }
        if payload.len() > MAXIMUM_MESSAGE_BYTES {
            return Err(RejectReason::TooLarge);
        }
        match self.follow(payload, now) {
            Ok(Followed::Next | Followed::Known) => Ok(()),
            Ok(Followed::Ahead) => {
                self.say_hello_out_of_turn(Cause::Trust, now);
                Ok(())
            }
            Err(reason) => {
                // A later one may be signed by people whom this node does not know yet. Whoever lies gets no more than a hello a minute.
                if reason == RejectReason::Signature {
                    self.say_hello_out_of_turn(Cause::Trust, now);
                }
                Err(reason)
            }
        }
    }

    fn follow(&mut self, bytes: &[u8], now: u64) -> Result<Followed, RejectReason> {
        match self.trust.next(bytes) {
            Ok(_) if self.trust.pending.len() >= MAXIMUM_PENDING => Err(RejectReason::Busy),
            Ok(next) => {
                let version = next.bundle().version;
                if self.trust.seen.len() < MAXIMUM_SEEN {
                    self.trust.seen.insert(next.hash());
                }
                self.trust.pending.push_back((next, bytes.to_vec()));
                self.trust.asked_at = now;
                self.outputs.push_back(Output::KeepTrust { version, envelope: bytes.to_vec() });
                Ok(Followed::Next)
            }
            Err(TrustError::Version { expected, found }) => Ok(if found < expected { Followed::Known } else { Followed::Ahead }),
            Err(error) => {
                let body = flotilla_protocol::envelope::Envelope::parse(bytes, flotilla_protocol::envelope::Domain::Trust);
                let is_seen = body.is_ok_and(|envelope| self.trust.seen.contains(&flotilla_protocol::sha256(&[envelope.body()])));
                if is_seen { Ok(Followed::Known) } else { Err(reason_of(error)) }
            }
        }
    }

    /// The bundles of a welcome that is signed and asked for. `true` where the welcome waits for them, or for those after them.
    pub(super) fn bundles_of(&mut self, welcome: &WelcomeBody, payload: &[u8], now: u64) -> Result<bool, RejectReason> {
        for bundle in &welcome.bundles {
            if let Err(reason) = self.follow(&bundle.0, now) {
                self.refuse(reason);
                break;
            }
        }
        if self.trust.is_behind() {
            self.trust.welcome = Some(payload.to_vec());
            return Ok(true);
        }
        let said = self.connection.as_ref().map_or(0, |connection: &Connection| connection.trust_version);
        let has_come_on = self.trust.version() > said;
        if has_come_on && (welcome.bundles.len() >= MAXIMUM_BUNDLES || self.trust.judging().is_none()) {
            // There may be more.
            self.say_hello_anew(now);
            return Ok(true);
        }
        if self.trust.judging().is_none() { Err(RejectReason::TrustVersion) } else { Ok(false) }
    }

    /// The next bundle is on disk: the node goes by it.
    pub(super) fn trust_kept(&mut self, version: u32, now: u64) {
        if self.trust.pending.front().is_none_or(|(trust, _)| trust.bundle().version != version) {
            return;
        }
        let Some((trust, _)) = self.trust.pending.pop_front() else { return };
        let (version, epoch) = (trust.bundle().version, trust.bundle().epoch);
        self.trust.newest = Some(trust);
        self.trust.must_judge = true;
        // It may allow sooner what is held until hours begin.
        self.orders.release_held();
        if version >= self.trust.least.0 {
            if self.can_record() {
                self.record(Record::Trust { version, epoch });
            } else {
                // The next journal begins with it.
                self.gone_by(version, epoch);
            }
        }
        if self.trust.is_behind() {
            return;
        }
        self.judge_what_waits(now);
        if let Some(payload) = self.trust.welcome.take()
            && let Err(reason) = self.welcome(false, &payload, now)
        {
            self.refuse(reason);
            self.say_hello_anew(now);
        } else if self.time.at(now).is_none() && self.connection.as_ref().is_some_and(|connection| connection.is_welcomed) {
            // A new epoch has begun, which has no time yet.
            self.say_hello_anew(now);
        }
        self.say_version_later(now);
    }

    /// Unless the last hello has said the version, a further one does, in a moment of the node's own: of what all nodes do at once each does it
    /// at another time. Before its welcome the hello is said again anyway, or the welcome comes here.
    pub(super) fn say_version_later(&mut self, now: u64) {
        let version = self.trust.version();
        let is_to_say = |connection: &&Connection| connection.is_welcomed && connection.trust_version < version;
        if let Some(connection) = self.connection.as_ref().filter(is_to_say) {
            let [_, _, first, second, ..] = connection.nonce;
            let pause_ms = self.trust.hello_spread_ms * u64::from(u16::from_le_bytes([first, second])) / u64::from(u16::MAX);
            self.trust.hello_at = Some(now.saturating_add(pause_ms));
        }
    }

    /// Whether trust lets anything start at trusted time `time_ms`.
    pub(super) fn trust_lets_start(&self, time_ms: u64, now: u64) -> bool {
        let is_valid = |trust: &Trust| !trust.is_expired(time_ms) && self.agent_version >= trust.bundle().minimum_agent_version;
        self.trust.judging().is_some_and(is_valid) && !self.trust.is_behind() && self.time.is_fresh(now, FRESH_TO_START_MS)
    }

    /// What is due about trust.
    pub(super) fn see_to_trust(&mut self, now: u64) {
        if self.trust.is_behind() && now >= self.trust.asked_at.saturating_add(KEEP_AGAIN_MS) {
            self.trust.asked_at = now;
            for (trust, envelope) in &self.trust.pending {
                self.outputs.push_back(Output::KeepTrust { version: trust.bundle().version, envelope: envelope.clone() });
            }
        }
        self.judge_what_waits(now);
        if self.trust.hello_at.is_some_and(|at| at <= now) {
            self.trust.hello_at = None;
            if self.connection.as_ref().is_some_and(|connection| connection.is_welcomed) {
                self.say_hello_anew(now);
            }
        }
    }
}

fn reason_of(error: TrustError) -> RejectReason {
    match error {
        TrustError::Envelope(error) => envelope_reason(error),
        TrustError::Threshold(_) | TrustError::AnotherRoot | TrustError::AnotherPredecessor => RejectReason::Signature,
        TrustError::Epoch { .. } => RejectReason::Epoch,
        _ => RejectReason::Malformed,
    }
}
