//! Reports that may be dropped: made where there is room, persisted before they are sent, sent after control, and receipted by stream.
//!
//! See docs/decisions/0013. A report and the gap that stands for dropped ones are records like any other; the chain of a stream is whole on
//! the disk before anybody else sees a part of it, so no crash can make the node sign two reports for one place.
//!
//! What is recorded is signed. Where the last welcome on this connection has offered a session, a report goes out under its MAC instead
//! (docs/decisions/0022): the same body, and so the same place in the chain. The session is in memory alone. A bridge may have forgotten it
//! without a word: when a report was sent twice in vain the node forgets it too, and signs until a welcome offers another.

use super::Core;
use crate::interface::Output;
use crate::memory::Memory;
use crate::record::{Record, RecordError};
use crate::room;
use crate::spool::{Receipted, Spool};
use flotilla_protocol::capability::ReportPayload;
use flotilla_protocol::capability::health::{MAXIMUM_STANDSTILL_BYTES, NodeHealth, SpoolState};
use flotilla_protocol::envelope::{Domain, Envelope};
use flotilla_protocol::hello::WelcomeBody;
use flotilla_protocol::report::{LossCause, MemoryLost, ReceiptBody, ReportBody, Stream};
use flotilla_protocol::session::{self, SessionBinding, SessionKey};
use flotilla_protocol::status::RejectReason;
use flotilla_protocol::topic::UpKind;
use flotilla_protocol::wire::decode;
use std::collections::BTreeMap;

/// What a node tells of itself from time to time, and how much of it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Telemetry {
    /// Between two reports of the node's health, in milliseconds, at least 1; an eighth more or less, so that a fleet does not speak at
    /// once.
    pub interval_ms: u64,
    /// Most bytes of reports that may be dropped, all streams together.
    pub spool_bytes: usize,
    /// How often exec was started again by its supervisor, where it has one.
    pub restarts: Option<u32>,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { interval_ms: 60 * 60_000, spool_bytes: 64 * 1024, restarts: None }
    }
}

/// What the first report of a chain, and the gaps that make place for another, may take of the journal.
const ROOM_BYTES: usize = 1024;

/// What the core keeps in mind about it: nothing here is durable.
#[derive(Debug, Default)]
pub(super) struct Tellings {
    /// Nothing: the node makes no such reports.
    pub(super) settings: Option<Telemetry>,
    /// The streams that the bridge takes, and how far it has each chain, as the last welcome says.
    pub(super) chains: BTreeMap<Stream, u64>,
    /// What the last welcome on this connection has offered, until it is in doubt.
    session: Option<SessionKey>,
    /// When the next report of the node's health is due; nothing before the first welcome.
    health_at: Option<u64>,
    /// When the core was first given anything.
    started_at: Option<u64>,
    /// How often the disk has stopped taking records.
    pub(super) storage_failures: u32,
    /// Losses after which whole inventories are said anew, gaps apart.
    pub(super) inventory_losses: u64,
}

impl Tellings {
    /// A signed report as it goes out: under the MAC of the session, where there is one.
    fn in_session(&self, signed: Vec<u8>) -> Vec<u8> {
        let with_mac = self.session.as_ref().and_then(|session| Envelope::parse(&signed, Domain::Report).ok()?.under_session(session));
        with_mac.unwrap_or(signed)
    }
}

impl Core {
    /// The last sequence of a chain that the bridge has, as far as the node was told.
    pub(super) fn bridge_has(&self, stream: Stream) -> u64 {
        self.tellings.chains.get(&stream).copied().unwrap_or(0)
    }

    pub(super) fn streams_of_connection(&mut self) {
        self.streams.iter_mut().for_each(|(_, spool)| spool.disconnected());
        self.tellings.session = None;
    }

    /// A welcome says which streams are taken.
    pub(super) fn streams_welcomed(&mut self, welcome: &WelcomeBody, now: u64) {
        self.tellings.chains = welcome.chains.iter().copied().collect();
        self.tellings.session = self.session_of(welcome);
        for (stream, spool) in self.streams.iter_mut() {
            spool.set_pace(welcome.resend_minimum_ms, welcome.resend_maximum_ms);
            match (self.tellings.chains.contains_key(&stream), spool.is_connected()) {
                (true, false) => spool.connected(),
                (false, true) => spool.disconnected(),
                (true, true) | (false, false) => {}
            }
        }
        self.inventory_welcomed();
        if self.tellings.settings.is_some() && self.tellings.chains.contains_key(&Stream::Telemetry) {
            self.tellings.health_at.get_or_insert(now);
        }
    }

    /// The session that a welcome offers; nothing where the node cannot open it, which stops nothing: what is signed is always taken.
    fn session_of(&self, welcome: &WelcomeBody) -> Option<SessionKey> {
        let sealed = welcome.session().ok().flatten()?;
        let binding = SessionBinding { fleet: self.trust.fleet(), node: self.node, nonce: welcome.nonce };
        session::open(&binding, self.sealing_key.as_ref()?, &sealed)
    }

    /// The spool of a signed report; nothing where a later release has made it, of a stream that this build does not know.
    pub(super) fn spool_of(&mut self, report: &[u8]) -> Result<Option<&mut Spool>, RecordError> {
        let envelope = Envelope::parse(report, Domain::Report).map_err(|_| RecordError::Malformed)?;
        let body: ReportBody = decode(envelope.body()).map_err(|_| RecordError::Malformed)?;
        match body.stream {
            Stream::Control => Ok(Some(&mut self.spool)),
            stream => self.droppable_spool(stream),
        }
    }

    /// The spool of a stream whose reports may be dropped. Nothing for one that this build does not know: an agent that falls back to its
    /// previous release finds such records in its journal, and leaves them out. The later release begins that chain anew when it is back.
    pub(super) fn droppable_spool(&mut self, stream: Stream) -> Result<Option<&mut Spool>, RecordError> {
        match stream {
            Stream::Unsupported(_) => Ok(None),
            stream => self.streams.get_mut(stream).ok_or(RecordError::Malformed).map(Some),
        }
    }

    /// A receipt for a stream whose reports may be dropped.
    pub(super) fn stream_receipt(&mut self, receipt: &ReceiptBody, now: u64) -> Result<(), RejectReason> {
        let (stream, up_to) = (receipt.stream, receipt.up_to);
        match self.streams.get_mut(stream).map(|spool| spool.receipt(receipt, now)) {
            Some(Receipted::Nothing) => Ok(()),
            Some(Receipted::Freed(_)) => {
                self.outputs.push_back(Output::Persist(Record::StreamReceipted { stream, up_to }));
                Ok(())
            }
            Some(Receipted::Unasked) | None => Err(RejectReason::Unasked),
        }
    }

    /// Sends what is due, the highest priority first, and of each only when everything before it is on its way.
    pub(super) fn send_streams(&mut self, now: u64) {
        let mut due = Vec::new();
        let mut has_sent_all = self.spool.has_sent_all();
        for (_, spool) in self.streams.iter_mut() {
            if has_sent_all {
                let resends = spool.resends();
                due.extend(spool.due(now));
                // Only what is sent again: another session may just have been offered, and the receipt be on its way.
                if spool.is_unanswered() && spool.resends() > resends {
                    self.tellings.session = None;
                }
                has_sent_all = spool.has_sent_all() || !spool.is_connected();
            }
        }
        for payload in due {
            self.publish(UpKind::Report, self.tellings.in_session(payload));
        }
    }

    /// Whether some stream is sent again and again and nobody says anything.
    pub(super) fn is_unanswered(&self) -> bool {
        self.spool.is_unanswered() || self.streams.iter().any(|(_, spool)| spool.is_unanswered())
    }

    /// When something of it is to be done.
    pub(super) fn streams_wakeup(&self) -> Option<u64> {
        let resend = if self.spool.has_sent_all() { self.streams.iter().filter_map(|(_, spool)| spool.next_wakeup()).min() } else { None };
        let health = self.tellings.health_at.filter(|_| self.can_record());
        [resend, health].into_iter().flatten().min()
    }

    /// Reports how the node is, when it is time for that.
    pub(super) fn tell_health(&mut self, now: u64) {
        let started_at = *self.tellings.started_at.get_or_insert(now);
        let (Some(settings), Some(at)) = (self.tellings.settings, self.tellings.health_at) else { return };
        if at > now {
            return;
        }
        self.tellings.health_at = Some(now.saturating_add(self.health_period_ms(settings.interval_ms, now)));
        let health = self.health(&settings, started_at, now);
        self.report_droppable(Stream::Telemetry, &ReportPayload::NodeHealth(health), now);
    }

    /// From seven eighths to nine eighths of the interval, other for each node and each time.
    fn health_period_ms(&self, interval_ms: u64, now: u64) -> u64 {
        let [first, second, ..] = flotilla_protocol::sha256(&[b"health", &self.identity_key, &now.to_le_bytes()]);
        let spread_ms = (interval_ms / 4).saturating_mul(u64::from(u16::from_le_bytes([first, second]))) / u64::from(u16::MAX);
        (interval_ms - interval_ms / 8).saturating_add(spread_ms).max(1)
    }

    fn health(&self, settings: &Telemetry, started_at: u64, now: u64) -> NodeHealth {
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let state = |(stream, spool): (Stream, &Spool)| {
            let (reports, bytes) = spool.held();
            SpoolState { stream, reports: count(reports), bytes: u64::try_from(bytes).unwrap_or(u64::MAX), dropped: spool.dropped() }
        };
        NodeHealth {
            uptime_s: now / 1000,
            agent_uptime_s: now.saturating_sub(started_at) / 1000,
            restarts: settings.restarts,
            jobs_running: count(self.orders.running()),
            jobs_waiting: count(self.orders.waiting()),
            storage_failures: self.tellings.storage_failures,
            journal_room_bytes: self.journal_bytes.filter(|bytes| *bytes != u64::MAX).and_then(|_| self.journal_room()),
            spool: [(Stream::Control, &self.spool)].into_iter().chain(self.streams.iter()).map(state).collect(),
            refused: self.refused.iter().map(|(reason, count)| (*reason, *count)).collect(),
            standstill: bounded(self.policy.standstill().unwrap_or_default()),
        }
    }

    /// What the next report of the node's health would say has changed: it is said at once, where one is due at all.
    pub(super) fn tell_health_soon(&mut self, now: u64) {
        self.tellings.health_at = self.tellings.health_at.map(|at| at.min(now));
    }

    /// Makes a report of a stream that may be dropped. `false` where it was not made: the disk takes nothing, or all that is held is worth
    /// more. Nothing is lost that had a place in a chain.
    pub(super) fn report_droppable(&mut self, stream: Stream, payload: &ReportPayload, now: u64) -> bool {
        let Some(limit) = self.tellings.settings.map(|settings| settings.spool_bytes) else { return false };
        // Without a word of the bridge it is not known where the chain may begin.
        if !self.can_record() || !self.tellings.chains.contains_key(&stream) || !self.has_room_beside_orders(ROOM_BYTES) {
            return false;
        }
        self.begin_stream(stream, now);
        let time_ms = self.time.at(now);
        let Some(report) = self.streams.get(stream).map(|spool| spool.make(&self.identity, time_ms, payload)) else { return false };
        if report.len() > limit || !self.has_room_beside_orders(report.len().saturating_add(ROOM_BYTES)) {
            return false;
        }
        while self.streams.held().1.saturating_add(report.len()) > limit {
            let Some(victim) = self.streams.victim(stream) else { return false };
            let Some(gap) = self.streams.get(victim).and_then(|spool| spool.make_gap(&self.identity, time_ms)) else { return false };
            self.record(Record::Report { report: gap });
        }
        self.record(Record::Report { report });
        true
    }

    /// A chain that is not known on this node any more, and was used before, begins anew above all that was used.
    fn begin_stream(&mut self, stream: Stream, now: u64) {
        let (has_begun, bridge_has) = (self.streams.get(stream).is_none_or(|spool| spool.sequence() > 0), self.bridge_has(stream));
        let is_first = bridge_has == 0 && self.memory.barrier_ms == 0;
        let Some(time_ms) = self.time.at(now).filter(|_| !has_begun && !is_first) else { return };
        let lost = ReportPayload::MemoryLost(MemoryLost { cause: LossCause::Missing, barrier_ms: self.memory.barrier_ms });
        let after = Memory::first_sequence(bridge_has, time_ms);
        let report = self.streams.get_mut(stream).map(|spool| {
            spool.begin_anew(after);
            spool.make(&self.identity, Some(time_ms), &lost)
        });
        if let Some(report) = report {
            self.record(Record::Report { report });
            if stream == Stream::Inventory {
                self.inventory_lost();
            }
        }
    }

    /// Whether a report of this size takes nothing from what an order would need that is taken and started now.
    fn has_room_beside_orders(&self, report_bytes: usize) -> bool {
        let need = room::of_waiting_order(report_bytes).saturating_add(room::of_running_job());
        self.journal_room().is_some_and(|room| room >= need)
    }
}

/// A text for people, cut to what a report of a node's health carries.
fn bounded(text: &str) -> String {
    let mut text = text.to_owned();
    text.truncate(text.floor_char_boundary(MAXIMUM_STANDSTILL_BYTES));
    text
}
