//! The bridge as a test plays it: it welcomes, delivers until an order is answered, checks the chain of reports, and gives receipts.

use super::identity::Identity;
use crate::clock;
use crate::invariants::{Fact, History, InvocationRow, Seen};
use crate::tally::{Broken, Kind};
use flotilla_agent::frame::FromLink;
use flotilla_broker_bridge::capability::run_command::model::InvocationState;
use flotilla_protocol::capability::ReportPayload;
use flotilla_protocol::capability::command::CommandResult;
use flotilla_protocol::envelope::{Domain, Envelope};
use flotilla_protocol::hello::{HelloBody, WelcomeBody};
use flotilla_protocol::id::OrderId;
use flotilla_protocol::report::{OutputBody, OutputReceiptBody, ReceiptBody, ReportBody};
use flotilla_protocol::status::Admission;
use flotilla_protocol::topic::{DownKind, Topic, UpKind};
use flotilla_protocol::wire::{Check, decode, encode};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// Reports without a receipt come again after this, in milliseconds.
const RESEND_MS: (u32, u32) = (100, 1000);

/// What it knows of an order.
#[derive(Debug, Default)]
pub struct Known {
    delivery: Vec<u8>,
    cancel: Option<Vec<u8>>,
    not_after_ms: u64,
    /// Whether the node has answered it.
    pub is_answered: bool,
    /// Whether the node has said that it starts.
    pub has_progress: bool,
    /// Every last word that came, as often as it came.
    pub ends: Vec<InvocationState>,
    /// What the node has signed, in its order.
    said: Vec<Fact>,
    /// How often its result was said: once, and once more for each time that it is asked for again.
    pub results: u32,
    /// The result, as it came last.
    pub result: Option<CommandResult>,
    /// How much output came in chunks.
    pub output_bytes: u64,
}

/// The bridge.
#[derive(Debug, Default)]
pub struct PlayedBridge {
    identity: Identity,
    orders: BTreeMap<OrderId, Known>,
    chain: BTreeMap<u64, [u8; 32]>,
    /// The last hello.
    pub hello: Option<HelloBody>,
    broken: Vec<Broken>,
}

impl PlayedBridge {
    /// The keys.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Takes an order to deliver; the frame delivers it for the first time.
    pub fn send(&mut self, id: OrderId, script: &str) -> FromLink {
        let (delivery, not_after_ms) = self.identity.delivery(id, script);
        self.orders.insert(id, Known { delivery: delivery.clone(), not_after_ms, ..Known::default() });
        self.down(DownKind::Order, delivery)
    }

    /// The order once more, as a broker that keeps what it has seen would send it.
    ///
    /// # Panics
    /// When it was never sent.
    #[must_use]
    pub fn again(&self, id: OrderId) -> FromLink {
        self.down(DownKind::Order, self.orders.get(&id).expect("it was sent").delivery.clone())
    }

    /// Cancels an order, now and at every hello until it has ended.
    ///
    /// # Panics
    /// When it was never sent.
    pub fn cancel(&mut self, id: OrderId) -> FromLink {
        let cancel = self.identity.cancel(id);
        self.orders.get_mut(&id).expect("it was sent").cancel = Some(cancel.clone());
        self.down(DownKind::Cancel, cancel)
    }

    /// What is known of an order.
    ///
    /// # Panics
    /// When it was never sent.
    #[must_use]
    pub fn of(&self, id: OrderId) -> &Known {
        self.orders.get(&id).expect("it was sent")
    }

    /// The broken promises that the messages showed, once.
    pub fn take_broken(&mut self) -> Vec<Broken> {
        std::mem::take(&mut self.broken)
    }

    /// Adds what it knows to a history, as a bridge's database would have it.
    pub fn tell(&self, history: &mut History) {
        let node = self.identity.node().to_string();
        for (id, known) in &self.orders {
            let order = id.to_string();
            for said in &known.said {
                history.node(&node).add(clock::unix_ms(), order.clone(), *said);
            }
            let now = known.ends.last().copied().unwrap_or(InvocationState::Sent);
            let mut row = InvocationRow::new(now, !known.ends.is_empty());
            row.before.extend(known.ends.iter().map(|state| Seen { state: *state, signed: true }));
            let command = history.command(&order);
            command.not_after_ms = known.not_after_ms;
            command.invocations.insert(node.clone(), row);
            // A node that speaks of an order which was never sent makes it up.
            if !known.delivery.is_empty() {
                command.targets.insert(node.clone());
            }
        }
        history.node(&node).bridge_head = self.chain.last_key_value().map_or(0, |(sequence, _)| *sequence);
    }

    fn down(&self, kind: DownKind, payload: Vec<u8>) -> FromLink {
        let topic = Topic::Down { fleet: self.identity.fleet(), node: self.identity.node(), kind };
        FromLink::Message { topic: topic.to_string(), retained: false, payload }
    }

    /// Takes what the node publishes and answers it.
    ///
    /// # Panics
    /// When it is nothing that a node may publish: then the node is broken in another way.
    pub fn take(&mut self, topic: &str, payload: &[u8]) -> Vec<FromLink> {
        match topic.parse() {
            Ok(Topic::Up { kind: UpKind::Hello, .. }) => self.welcome(payload),
            Ok(Topic::Up { kind: UpKind::Report, .. }) => self.report(payload),
            Ok(Topic::Up { kind: UpKind::Output, .. }) => self.output(payload),
            _ => panic!("the node publishes on {topic}"),
        }
    }

    fn open<T: DeserializeOwned + Check>(&self, domain: Domain, payload: &[u8]) -> (T, [u8; 32]) {
        let envelope = Envelope::parse(payload, domain).expect("the node writes envelopes");
        assert!(envelope.is_signed_by(&self.identity.node_key().verifying_key()), "the node signs what it says");
        (decode(envelope.body()).expect("the node writes bodies"), flotilla_protocol::sha256(&[envelope.body()]))
    }

    fn welcome(&mut self, payload: &[u8]) -> Vec<FromLink> {
        let (hello, _): (HelloBody, _) = self.open(Domain::Hello, payload);
        let body = WelcomeBody {
            node: self.identity.node(),
            nonce: hello.nonce,
            time_ms: clock::unix_ms(),
            bundles: Vec::new(),
            resend_minimum_ms: RESEND_MS.0,
            resend_maximum_ms: RESEND_MS.1,
            reconnect_spread_s: 0,
            chains: Vec::new(),
            offers: Vec::new(),
        };
        self.hello = Some(hello);
        let mut down = vec![self.down(DownKind::Welcome, self.identity.signed_by_bridge(Domain::Welcome, &encode(&body)))];
        for known in self.orders.values().filter(|known| known.ends.is_empty()) {
            if !known.is_answered {
                down.push(self.down(DownKind::Order, known.delivery.clone()));
            }
            down.extend(known.cancel.clone().map(|cancel| self.down(DownKind::Cancel, cancel)));
        }
        down
    }

    fn report(&mut self, payload: &[u8]) -> Vec<FromLink> {
        let (report, hash): (ReportBody, _) = self.open(Domain::Report, payload);
        let (last, head) = self.chain.last_key_value().map_or((0, [0; 32]), |(sequence, hash)| (*sequence, *hash));
        let payload = ReportPayload::decode(&report.payload).expect("the node writes payloads");
        if let Some(known) = self.chain.get(&report.sequence) {
            self.require(*known == hash, &format!("report {} came with two contents", report.sequence));
        } else if let (ReportPayload::MemoryLost(lost), true) = (&payload, report.sequence > last) {
            // The chain goes on from there, as with a real bridge; but nothing that is done to a node without a broker excuses it.
            self.broken.push(Broken::new(Kind::Lost, format!("the node says that it has lost its memory: {lost:?}")));
            self.chain.insert(report.sequence, hash);
        } else if report.sequence == last + 1 {
            self.require(report.previous == head, &format!("report {} does not follow from the one before", report.sequence));
            self.chain.insert(report.sequence, hash);
            self.apply(payload);
        } else {
            // What lies between is still to come; without a receipt for it this one comes again.
            return Vec::new();
        }
        let (up_to, head) = self.chain.last_key_value().map(|(sequence, hash)| (*sequence, *hash)).expect("one was just taken");
        let receipt = ReceiptBody { node: report.node, stream: report.stream, boot: report.boot, up_to, head };
        vec![self.down(DownKind::Receipt, self.identity.signed_by_bridge(Domain::Receipt, &encode(&receipt)))]
    }

    fn require(&mut self, holds: bool, why: &str) {
        if !holds {
            self.broken.push(Broken::new(Kind::DoubleRun, why.to_owned()));
        }
    }

    fn apply(&mut self, payload: ReportPayload) {
        let (order, said, end, result) = match payload {
            ReportPayload::Admission(Admission::Accepted { order }) => (order, Fact::SaidAccepted, None, None),
            ReportPayload::Admission(Admission::Rejected { order, reason }) => {
                (order, Fact::SaidRejected, Some(InvocationState::of_refusal(reason)), None)
            }
            ReportPayload::CommandProgress(progress) => {
                self.orders.entry(progress.order).or_default().has_progress = true;
                (progress.order, Fact::SaidStarted, None, None)
            }
            ReportPayload::CommandResult(result) => {
                let (order, outcome) = (result.order, result.outcome);
                (order, Fact::SaidEnded(outcome), Some(InvocationState::of_outcome(outcome)), Some(result))
            }
            ReportPayload::CommandRebooting(_)
            | ReportPayload::Gap(_)
            | ReportPayload::MemoryLost(_)
            | ReportPayload::NodeHealth(_)
            | ReportPayload::Inventory(_)
            | ReportPayload::Unsupported(_) => return,
        };
        let known = self.orders.entry(order).or_default();
        known.is_answered = true;
        known.said.push(said);
        known.ends.extend(end);
        known.results += u32::from(result.is_some());
        known.result = result.or_else(|| known.result.take());
    }

    fn output(&mut self, payload: &[u8]) -> Vec<FromLink> {
        let (output, _): (OutputBody, _) = self.open(Domain::Output, payload);
        let known = self.orders.entry(output.order).or_default();
        let length = u64::try_from(output.bytes.len()).unwrap_or(0);
        if output.offset <= known.output_bytes {
            known.output_bytes = known.output_bytes.max(output.offset + length);
        }
        let OutputBody { node, order, step, stream, .. } = output;
        let receipt = OutputReceiptBody { node, order, step, stream, up_to: known.output_bytes };
        vec![self.down(DownKind::OutputReceipt, self.identity.signed_by_bridge(Domain::OutputReceipt, &encode(&receipt)))]
    }
}
