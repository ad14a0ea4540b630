//! Every message from below, and who takes it up: verify, decode, put into the chain's order, hand to its owner.
//!
//! Nothing is decoded before the node's signature over it was verified, except a claim, which names the key that signed it. The
//! order of checks: the node is known and not removed → envelope → signature → decode → the body names the topic's node. A report that may be
//! dropped can have the MAC of a session (`super::session`) in the place of the signature.

mod chains;

use super::session::Sessions;
use crate::capability::inventory::ingest as inventory;
use crate::capability::run_command::ingest as run_command;
use crate::fleet::activation::claim::{self, Enrolment};
use crate::fleet::node::chain::Head;
use crate::fleet::node::health;
use crate::fleet::node::recent::Recent;
use crate::fleet::node::store::{self as node_store, KnownNode};
use crate::fleet::{Fleet, audit};
use crate::platform::allowance::Allowance;
use crate::platform::audit::Record;
use crate::platform::audit::counts::REPORTS;
use crate::platform::ingest::{Effects, Handler};
use crate::platform::mqtt::{Inbound, Outbound};
use crate::platform::store::{StoreError, Write};
use flotilla_protocol::capability::ReportPayload;
use flotilla_protocol::enrolment::RenewalBody;
use flotilla_protocol::envelope::{Domain, Envelope};
use flotilla_protocol::hello::{HelloBody, WelcomeBody};
use flotilla_protocol::id::{ClaimId, NodeId};
use flotilla_protocol::report::{OutputBody, OutputReceiptBody, OutputStream, ReceiptBody, ReportBody, Stream};
use flotilla_protocol::status::RejectReason;
use flotilla_protocol::topic::{DownKind, Topic, UpKind};
use flotilla_protocol::wire::{Check, decode};
use serde::de::DeserializeOwned;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// How many nodes may come back in a second when the broker has gone: with it a small fleet is back at once, and a large one does not
/// fall upon the broker with all its handshakes together.
const RECONNECTIONS_PER_S: u64 = 100;
/// Longest spread, in seconds: beyond it a node that could be back is missed.
const LONGEST_SPREAD_S: u64 = 900;
/// Hellos of one node in a minute that are answered. A node says each again until it is welcomed, five seconds apart and then more.
const HELLOS_OF_A_NODE: u32 = 20;
/// Hellos of one node in a minute to which it is asked what it holds no more: with each up to 32 orders go out.
const QUESTIONED_HELLOS_OF_A_NODE: u32 = 4;
/// Nodes that are welcomed in one minute.
const NODES_WELCOMED: usize = 1 << 20;
/// Reports of one node in a minute that the audit log tells although they moved no invocation: of orders that are not known here, of what was
/// reported before, of reboots, each of which takes two or three for each command that it interrupts: every start is to be in the log (A2). The
/// rest is counted, so that a stolen device cannot soon push out of the log what others did: for two million entries it signs for three weeks.
pub(super) const UNMOVED_REPORTS_OF_A_NODE: u32 = 60;
/// Dead letters, and notes of gaps and forks, of one node in a minute. The rest is only counted.
const KEPT_OF_A_NODE: u32 = 60;
/// Nodes of which something is written down in one minute.
const NODES_WRITTEN_DOWN: usize = 10_000;
/// For how long the number of nodes is believed, in milliseconds.
const COUNT_VALID_MS: u64 = 60_000;

/// Takes messages up for the fleet.
#[derive(Debug)]
pub struct Router {
    fleet: Arc<Fleet>,
    enrolment: Enrolment,
    /// When the nodes were last counted, and how many there were.
    counted: Mutex<(u64, u64)>,
    hellos: Allowance<NodeId>,
    questions: Allowance<NodeId>,
    letters: Allowance<NodeId>,
    events: Allowance<NodeId>,
    unmoved: Allowance<NodeId>,
    inventories: Allowance<NodeId>,
    /// Nothing where the system gave no randomness: then nodes sign everything.
    sessions: Option<Sessions>,
}

/// How a message proves that it is the node's.
enum Proof {
    /// By the node's signature, or, for a report that may be dropped, by the MAC of its session.
    Given,
    /// Not at all: why.
    Missing(&'static str),
    /// By the MAC of a session that is not known here any more.
    Forgotten,
}

impl Router {
    /// A router for this fleet, which enrols as `enrolment` says.
    #[must_use]
    pub fn new(fleet: Arc<Fleet>, enrolment: Enrolment) -> Self {
        let allowance = || Allowance::new(KEPT_OF_A_NODE, NODES_WRITTEN_DOWN);
        let hellos = |per_minute| Allowance::new(per_minute, NODES_WELCOMED);
        let sessions = Sessions::new(fleet.settings.fleet);
        if let Err(error) = &sessions {
            tracing::warn!(%error, "the system gives no randomness: nodes are offered no sessions and sign everything");
        }
        Self {
            fleet,
            enrolment,
            counted: Mutex::new((0, 0)),
            hellos: hellos(HELLOS_OF_A_NODE),
            questions: hellos(QUESTIONED_HELLOS_OF_A_NODE),
            letters: allowance(),
            events: allowance(),
            unmoved: Allowance::new(UNMOVED_REPORTS_OF_A_NODE, NODES_WRITTEN_DOWN),
            inventories: Allowance::new(inventory::BUDGET_OF_A_NODE, NODES_WELCOMED),
            sessions: sessions.ok(),
        }
    }

    /// How many reports came under sessions that are not known.
    #[cfg(test)]
    pub(crate) fn forgotten_sessions(&self) -> u64 {
        self.sessions.as_ref().map_or(0, Sessions::forgotten)
    }

    /// Judges by whom a message is. A MAC counts only where it stands alone, for a report of a stream that may be dropped.
    fn proof(&self, known: &KnownNode, node: NodeId, envelope: &Envelope<'_>) -> Proof {
        let Some(id) = envelope.session_id() else {
            let is_signed = known.key.as_ref().is_some_and(|key| envelope.is_signed_by(key));
            return if is_signed { Proof::Given } else { Proof::Missing("the node's signature does not fit") };
        };
        let Some(sessions) = &self.sessions else { return Proof::Forgotten };
        let Some(session) = sessions.find(id, node, self.fleet.clock.now_ms()) else {
            sessions.forget(node);
            return Proof::Forgotten;
        };
        if !envelope.is_of_session(&session) {
            return Proof::Missing("the MAC of the node's session does not fit");
        }
        // What is under a MAC is decoded here and once more: that costs a hundredth of a signature.
        match decode::<ReportBody>(envelope.body()) {
            Ok(report) if report.stream.is_droppable() => Proof::Given,
            Ok(_) | Err(_) => Proof::Missing("only a report that may be dropped needs no signature"),
        }
    }

    #[cfg(test)]
    pub(crate) fn enrolment(&self) -> &Enrolment {
        &self.enrolment
    }

    /// Writes down what a person should know of a node, unless there was too much of that.
    async fn note(
        &self,
        write: &mut Write<'_>,
        notes: &mut BatchNotes,
        node: NodeId,
        kind: &'static str,
        detail: &str,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        if self.events.takes(node, now_ms) {
            notes.noted = true;
            node_store::note(write, node, kind, detail, now_ms).await?;
        }
        Ok(())
    }

    /// Has the audit log tell of a report: always where it moved an invocation, which it can do a few times for each order.
    fn tell(&self, write: &mut Write<'_>, node: NodeId, record: Record, moved: bool, now_ms: u64) {
        if moved || self.unmoved.takes(node, now_ms) {
            write.record(record);
        } else {
            self.fleet.store.audit().counts.add(REPORTS, &node.to_string(), record.kind(), false, now_ms);
        }
    }

    /// Over how many seconds nodes spread their reconnection.
    async fn reconnect_spread_s(&self, write: &mut Write<'_>, now_ms: u64) -> Result<u32, StoreError> {
        let (counted_ms, mut count) = *self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if now_ms >= counted_ms.saturating_add(COUNT_VALID_MS) {
            count = node_store::count(write.connection()).await?;
            *self.counted.lock().unwrap_or_else(PoisonError::into_inner) = (now_ms, count);
        }
        Ok(u32::try_from((count / RECONNECTIONS_PER_S).clamp(1, LONGEST_SPREAD_S)).unwrap_or(1))
    }
}

/// What is known of a node while a batch lasts.
#[derive(Debug)]
struct NodeNotes {
    known: Option<KnownNode>,
    /// The head of each chain, read once and written once.
    heads: BTreeMap<Stream, Head>,
    /// The last reports of each chain that moved or was looked into, read once and written once.
    recent: BTreeMap<Stream, Recent>,
    heard: bool,
}

/// What a batch has collected.
#[derive(Debug, Default)]
pub struct BatchNotes {
    nodes: BTreeMap<NodeId, NodeNotes>,
    /// Chains whose head moved, or was asked for again.
    receipts: BTreeSet<(NodeId, Stream)>,
    output: BTreeMap<(NodeId, flotilla_protocol::id::OrderId, u16, OutputStream), u64>,
    replies: Vec<Outbound>,
    /// Something was written down about a node.
    noted: bool,
    commands: run_command::Notes,
}

/// A report that has found its place in its chain.
struct Taken<'r> {
    report: &'r ReportBody,
    /// SHA-256 of its body.
    hash: &'r [u8; 32],
    /// The envelope as it came.
    envelope: &'r [u8],
    /// How many reports its node had dropped before it, and says so in it.
    dropped: u64,
}

/// A message that is set aside: why.
type Verdict = Result<(), String>;

impl Handler for Router {
    type Notes = BatchNotes;

    async fn take(&self, write: &mut Write<'_>, notes: &mut BatchNotes, message: &Inbound) -> Result<Verdict, StoreError> {
        let (node, verdict) = match message.topic {
            Topic::ClaimUp { claim, .. } => return self.claim(write, notes, claim, &message.payload).await.map(Ok),
            Topic::Online { node, .. } => (node, self.online(write, notes, node, &message.payload).await?),
            Topic::Up { node, kind, .. } => (node, self.up(write, notes, node, kind, &message.payload).await?),
            Topic::Down { .. } | Topic::AllTrust { .. } | Topic::ClaimDown { .. } | Topic::Tenure { .. } => {
                return Ok(Err("a topic that does not come from a node".to_owned()));
            }
        };
        if verdict.is_err() && !self.letters.takes(node, self.fleet.clock.now_ms()) {
            return Ok(Ok(()));
        }
        Ok(verdict)
    }

    async fn broker_lost(&self, write: &mut Write<'_>, notes: &mut BatchNotes) -> Result<(), StoreError> {
        node_store::set_all_unknown(write).await?;
        for known in notes.nodes.values_mut().filter_map(|node| node.known.as_mut()) {
            known.online = false;
        }
        run_command::all_offline(write).await
    }

    async fn broker_found(&self, write: &mut Write<'_>, notes: &mut BatchNotes) -> Result<(), StoreError> {
        // Nodes that never left the broker do not ask: a bundle may have been added while no bridge was there.
        let newest = self.fleet.signer.trust().bundle().version;
        if newest > 1 {
            let topic = Topic::AllTrust { fleet: self.fleet.settings.fleet };
            let bundles = self.fleet.signer.bundles_after(newest - 1);
            notes.replies.extend(bundles.into_iter().map(|bundle| Outbound { topic, payload: bundle.0 }));
        }
        run_command::broker_found(write, &mut notes.commands, self.fleet.clock.now_ms()).await
    }

    async fn finish(&self, write: &mut Write<'_>, notes: &mut BatchNotes) -> Result<(), StoreError> {
        let now_ms = self.fleet.clock.now_ms();
        for (node, node_notes) in &notes.nodes {
            if node_notes.heard {
                node_store::touch(write, *node, now_ms).await?;
            }
        }
        for (node, stream) in &notes.receipts {
            if let Some(head) = notes.nodes.get(node).and_then(|notes| notes.heads.get(stream)) {
                node_store::save_head(write, *node, *stream, head).await?;
            }
            if let Some(recent) = notes.nodes.get(node).and_then(|notes| notes.recent.get(stream)) {
                node_store::save_recent(write, *node, *stream, recent).await?;
            }
        }
        if notes.noted {
            node_store::prune_notes(write).await?;
        }
        run_command::finish(write, &mut notes.commands, now_ms).await
    }

    fn effects(&self, notes: BatchNotes) -> Effects {
        let fleet = self.fleet.settings.fleet;
        let mut publishes = notes.replies;
        // Where the bridge's key was revoked nothing is signed: the log has said it, and nodes keep what they have to report.
        for (node, stream) in &notes.receipts {
            let Some(head) = notes.nodes.get(node).and_then(|notes| notes.heads.get(stream)) else { continue };
            if head.sequence == 0 {
                continue;
            }
            let body = ReceiptBody { node: *node, stream: *stream, boot: head.boot, up_to: head.sequence, head: head.hash };
            let topic = Topic::Down { fleet, node: *node, kind: DownKind::Receipt };
            publishes.extend(self.fleet.signer.receipt(&body).ok().map(|payload| Outbound { topic, payload }));
        }
        for ((node, order, step, stream), up_to) in notes.output {
            let body = OutputReceiptBody { node, order, step, stream, up_to };
            let topic = Topic::Down { fleet, node, kind: DownKind::OutputReceipt };
            publishes.extend(self.fleet.signer.output_receipt(&body).ok().map(|payload| Outbound { topic, payload }));
        }
        if notes.commands.wakes_dispatch() {
            self.fleet.nudge.dispatch.notify_one();
        }
        Effects { publishes }
    }
}

impl Router {
    async fn claim(&self, write: &mut Write<'_>, notes: &mut BatchNotes, claim: ClaimId, payload: &[u8]) -> Result<(), StoreError> {
        // Anybody can send what is no claim: nothing of it is kept.
        let Some(reply) = claim::take(&self.fleet, &self.enrolment, write, payload).await? else { return Ok(()) };
        // The node may have been unknown to this batch until now.
        notes.nodes.retain(|_, node| node.known.is_some());
        notes.replies.push(Outbound { topic: Topic::ClaimDown { fleet: self.fleet.settings.fleet, claim }, payload: reply });
        Ok(())
    }

    async fn online(&self, write: &mut Write<'_>, notes: &mut BatchNotes, node: NodeId, payload: &[u8]) -> Result<Verdict, StoreError> {
        let online = match payload {
            b"1" => true,
            b"0" => false,
            // An empty retained message is how a broker is told to forget one.
            b"" => return Ok(Ok(())),
            _ => return Ok(Err("neither 1 nor 0".to_owned())),
        };
        let known = self.node(write, notes, node).await?.known.as_mut();
        if online && known.as_ref().is_some_and(|known| known.deregistered) {
            self.fleet.revocations.revoke(node);
        }
        let Some(known) = known.filter(|known| !known.deregistered && !known.quarantined) else { return Ok(Ok(())) };
        let was_online = std::mem::replace(&mut known.online, online);
        self.set_online(write, notes, node, online, was_online).await?;
        Ok(Ok(()))
    }

    async fn set_online(
        &self,
        write: &mut Write<'_>,
        notes: &mut BatchNotes,
        node: NodeId,
        online: bool,
        was_online: bool,
    ) -> Result<(), StoreError> {
        let now_ms = self.fleet.clock.now_ms();
        node_store::set_online(write, node, online, now_ms).await?;
        if online {
            run_command::node_online(write, &mut notes.commands, node, !was_online, now_ms).await
        } else {
            run_command::node_offline(write, node).await
        }
    }

    async fn up(
        &self,
        write: &mut Write<'_>,
        notes: &mut BatchNotes,
        node: NodeId,
        kind: UpKind,
        payload: &[u8],
    ) -> Result<Verdict, StoreError> {
        let domain = match kind {
            UpKind::Hello => Domain::Hello,
            UpKind::Report => Domain::Report,
            UpKind::Output => Domain::Output,
        };
        let envelope = match Envelope::parse(payload, domain) {
            Ok(envelope) => envelope,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let node_notes = self.node(write, notes, node).await?;
        let Some(known) = &mut node_notes.known else { return Ok(Err("a node that is not known".to_owned())) };
        // A removed node is ignored without a trace: it may go on sending for ever, where the broker cannot throw it out.
        if known.deregistered {
            self.fleet.revocations.revoke(node);
            return Ok(Ok(()));
        }
        match self.proof(known, node, &envelope) {
            Proof::Given => {}
            Proof::Missing(why) => return Ok(Err(why.to_owned())),
            Proof::Forgotten => return Ok(Ok(())),
        }
        // Neither of two devices is believed, and neither is answered: both keep what they have to report.
        if known.quarantined {
            return Ok(Ok(()));
        }
        node_notes.heard = true;
        // What it has signed is a better word of it than the broker's, which can be lost, or be about a connection before this one.
        if !std::mem::replace(&mut known.online, true) {
            self.set_online(write, notes, node, true, false).await?;
        }
        match kind {
            UpKind::Hello => self.hello(write, notes, node, envelope.body()).await,
            UpKind::Report => self.report(write, notes, node, payload, envelope.body()).await,
            UpKind::Output => self.output(write, notes, node, envelope.body()).await,
        }
    }

    /// What is known of a node, read once a batch.
    async fn node<'n>(&self, write: &mut Write<'_>, notes: &'n mut BatchNotes, node: NodeId) -> Result<&'n mut NodeNotes, StoreError> {
        match notes.nodes.entry(node) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let known = node_store::find(write.connection(), node).await?;
                Ok(entry.insert(NodeNotes { known, heads: BTreeMap::new(), recent: BTreeMap::new(), heard: false }))
            }
        }
    }

    async fn hello(&self, write: &mut Write<'_>, notes: &mut BatchNotes, node: NodeId, body: &[u8]) -> Result<Verdict, StoreError> {
        let hello: HelloBody = match body_of(body, node, |hello: &HelloBody| hello.node) {
            Ok(hello) => hello,
            Err(reason) => return Ok(Err(reason)),
        };
        let now_ms = self.fleet.clock.now_ms();
        // One node must not fill the way out for all of them. What it says in a hello that is passed over, it says in the next.
        if !self.hellos.takes(node, now_ms) {
            return Ok(Ok(()));
        }
        if let Some((_, count)) = hello.refused.iter().find(|(reason, _)| *reason == RejectReason::Storage) {
            tracing::warn!(%node, count, "a node refuses orders because its disk takes no records or has no room");
        }
        let refused: BTreeMap<&str, u32> = hello.refused.iter().map(|(reason, count)| (reason.as_str(), *count)).collect();
        let refused = serde_json::to_string(&refused).unwrap_or_default();
        let before = node_store::trust_version(write, node).await?;
        if before > hello.trust_version {
            let detail = format!(
                "it goes by trust bundle {} and went by {before}: its disk was damaged or put back; it runs nothing until it has them again",
                hello.trust_version
            );
            self.note(write, notes, node, "trust-lost", &detail, now_ms).await?;
        }
        node_store::greet(write, node, &hello.facts, hello.trust_version, &refused, now_ms).await?;
        self.greet(write, notes, &hello, now_ms).await?;
        let questions = run_command::hello(&self.fleet, write, &mut notes.commands, node, &hello.held, now_ms).await?;
        if !questions.is_empty() {
            tracing::debug!(%node, count = questions.len(), "a node does not hold orders that it had accepted, and is asked");
        }
        let bundles = self.fleet.signer.bundles_after(hello.trust_version);
        let pace = self.fleet.settings.pace;
        let chains = self.chains(write, notes, node).await?;
        let welcome = WelcomeBody {
            node,
            nonce: hello.nonce,
            time_ms: now_ms,
            bundles: bundles.clone(),
            resend_minimum_ms: pace.minimum_ms,
            resend_maximum_ms: pace.maximum_ms,
            reconnect_spread_s: self.reconnect_spread_s(write, now_ms).await?,
            offers: self.offers(write, node, hello.nonce, &chains, now_ms).await?,
            chains,
        };
        let fleet = self.fleet.settings.fleet;
        // They prove themselves; the welcome's key may be one that the node learns of only by them.
        if self.fleet.signer.is_unknown_to(hello.trust_version) {
            let topic = Topic::Down { fleet, node, kind: DownKind::Trust };
            notes.replies.extend(bundles.into_iter().map(|bundle| Outbound { topic, payload: bundle.0 }));
        }
        let topic = Topic::Down { fleet, node, kind: DownKind::Welcome };
        notes.replies.extend(self.fleet.signer.welcome(&welcome).ok().map(|payload| Outbound { topic, payload }));
        let told = notes.nodes.get(&node).and_then(|notes| notes.known.as_ref()).and_then(|known| known.authorities.as_deref());
        if self.enrolment.nudges(told) {
            let nudge = RenewalBody { node, authorities: self.enrolment.authorities.hash() };
            let topic = Topic::Down { fleet, node, kind: DownKind::Renewal };
            notes.replies.extend(self.fleet.signer.renewal(&nudge).ok().map(|payload| Outbound { topic, payload }));
        }
        // After the welcome, so that the node has the time by which it may judge.
        if !questions.is_empty() && self.questions.takes(node, now_ms) {
            notes.replies.extend(questions);
        }
        Ok(Ok(()))
    }

    /// THE LIST of who takes up what nodes report.
    async fn payload(
        &self,
        write: &mut Write<'_>,
        notes: &mut BatchNotes,
        node: NodeId,
        taken: &Taken<'_>,
        now_ms: u64,
    ) -> Result<Verdict, StoreError> {
        let Taken { report, dropped, .. } = *taken;
        let payload = match ReportPayload::decode(&report.payload) {
            Ok(payload) => payload,
            Err(error) => {
                self.tell_of(write, notes, taken, None, false, now_ms).await?;
                return Ok(Err(format!("report {}: {error}", report.sequence)));
            }
        };
        let mut verdict = Ok(());
        let commands = &mut notes.commands;
        let mut moved = false;
        match &payload {
            ReportPayload::Admission(admission) => moved = run_command::admission(write, commands, node, admission, now_ms).await?,
            ReportPayload::CommandProgress(progress) => moved = run_command::progress(write, commands, node, progress, now_ms).await?,
            ReportPayload::CommandRebooting(rebooting) => moved = run_command::rebooting(write, commands, node, rebooting, now_ms).await?,
            ReportPayload::CommandResult(result) => moved = run_command::result(write, commands, node, result, now_ms).await?,
            ReportPayload::Gap(gap) if dropped > 0 => {
                let (name, last) = (report.stream.as_str(), report.sequence);
                let detail =
                    format!("the node dropped {dropped} reports of {name} up to {last}, of {} to {last}: it had no room", gap.from);
                self.note(write, notes, node, "dropped", &detail, now_ms).await?;
                health::count(write, node, report.stream, dropped, 0).await?;
                if report.stream == Stream::Inventory {
                    inventory::lost(write, node).await?;
                }
            }
            ReportPayload::Gap(_) => verdict = Err(format!("report {}: a gap where nothing may be dropped", report.sequence)),
            ReportPayload::NodeHealth(health) => health::keep(write, node, health, report.time_ms, now_ms).await?,
            ReportPayload::Inventory(said) if report.stream == Stream::Inventory => {
                let budget = inventory::Budget { allowance: &self.inventories, now_ms };
                let taken = inventory::report(write, node, said, report.time_ms.unwrap_or(now_ms), budget).await?;
                verdict = taken.map_err(|why| format!("report {} of {}: {why}", report.sequence, said.type_name));
            }
            ReportPayload::Inventory(_) => verdict = Err(format!("report {}: an inventory of another stream", report.sequence)),
            // Of control it says what became of orders; of another stream only that its chain begins anew.
            ReportPayload::MemoryLost(_) if report.stream.is_droppable() => {
                let detail = format!("its reports of {} begin anew at {}", report.stream.as_str(), report.sequence);
                self.note(write, notes, node, "stream-anew", &detail, now_ms).await?;
                if report.stream == Stream::Inventory {
                    inventory::lost(write, node).await?;
                }
            }
            ReportPayload::MemoryLost(loss) => {
                moved = run_command::memory_lost(write, commands, node, loss.barrier_ms, now_ms).await?;
                let cause = loss.cause.as_str();
                let detail =
                    format!("its journal is {cause}; it refuses orders of before {} ms, and its reports begin anew", loss.barrier_ms);
                self.note(write, notes, node, "memory-lost", &detail, now_ms).await?;
            }
            ReportPayload::Unsupported(kind) => verdict = Err(format!("report {}: kind {kind} is not known", report.sequence)),
        }
        self.tell_of(write, notes, taken, Some(&payload), moved, now_ms).await?;
        Ok(verdict)
    }

    /// Has the audit log tell of every control report, with what the node has signed: a number that is missing there was hidden.
    async fn tell_of(
        &self,
        write: &mut Write<'_>,
        notes: &mut BatchNotes,
        taken: &Taken<'_>,
        payload: Option<&ReportPayload>,
        moved: bool,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        let Taken { report, hash, envelope, .. } = *taken;
        let node = report.node;
        // Its signature was verified, so the key is there.
        let key = self.node(write, notes, node).await?.known.as_ref().and_then(|known| known.key);
        let Some(key) = key.map(|key| key.to_bytes()) else { return Ok(()) };
        if let Some(record) = audit::reported(audit::Signed { report, hash, envelope, key: &key }, payload, now_ms) {
            self.tell(write, node, record, moved, now_ms);
        }
        Ok(())
    }

    async fn output(&self, write: &mut Write<'_>, notes: &mut BatchNotes, node: NodeId, body: &[u8]) -> Result<Verdict, StoreError> {
        let chunk: OutputBody = match body_of(body, node, |chunk: &OutputBody| chunk.node) {
            Ok(chunk) => chunk,
            Err(reason) => return Ok(Err(reason)),
        };
        match run_command::output(write, &chunk).await? {
            Ok(receipt) => {
                notes.output.insert((node, receipt.order, receipt.step, receipt.stream), receipt.up_to);
                Ok(Ok(()))
            }
            Err(reason) => Ok(Err(reason)),
        }
    }
}

/// Decodes a verified body, which must name the node of its topic.
fn body_of<T: DeserializeOwned + Check>(body: &[u8], node: NodeId, named: impl Fn(&T) -> NodeId) -> Result<T, String> {
    let body: T = decode(body).map_err(|error| error.to_string())?;
    if named(&body) == node { Ok(body) } else { Err("the body names another node than the topic".to_owned()) }
}
