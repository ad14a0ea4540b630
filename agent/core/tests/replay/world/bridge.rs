//! The bridge, which checks everything that it is sent.

use super::World;
use super::fleet::{key, made_ms, node, node_key, order_id};
use super::telemetry::Telemetry;
use flotilla_agent_core::{Record, UpMessage};
use flotilla_protocol::capability::ReportPayload;
use flotilla_protocol::capability::command::CommandResult;
use flotilla_protocol::envelope::{Domain, Envelope, seal};
use flotilla_protocol::hello::{HelloBody, WelcomeBody};
use flotilla_protocol::id::{BootId, OrderId};
use flotilla_protocol::report::{OutputBody, OutputReceiptBody, OutputStream, ReceiptBody, ReportBody, Stream};
use flotilla_protocol::status::{Admission, Outcome, RejectReason};
use flotilla_protocol::topic::{DownKind, UpKind};
use flotilla_protocol::wire::{decode, encode};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(super) struct Bridge {
    pub(super) chain: BTreeMap<u64, ([u8; 32], BootId)>,
    pub(super) accepted: BTreeSet<OrderId>,
    pub(super) rejected: BTreeMap<OrderId, RejectReason>,
    pub(super) results: BTreeMap<OrderId, CommandResult>,
    pub(super) output: BTreeMap<(OrderId, u16, OutputStream), u64>,
    /// Accepted, and then the node lost its memory.
    pub(super) lost: BTreeSet<OrderId>,
    pub(super) barrier_ms: u64,
    pub(super) telemetry: Telemetry,
}

impl World {
    pub(super) fn published(&mut self, message: &UpMessage) {
        let lost = self.loses_messages || !self.connected;
        match message.kind {
            UpKind::Report => {
                let durable = self.durable.iter().any(|record| match record {
                    Record::Taken { report: Some(report), .. }
                    | Record::Starting { report: Some(report), .. }
                    | Record::Ended { report, .. }
                    | Record::MemoryRegained { report, .. }
                    | Record::Refused { report, .. }
                    | Record::Report { report } => *report == message.payload,
                    _ => false,
                });
                assert!(durable, "a report is sent before it is durable");
                let report: ReportBody = self.signed(Domain::Report, &message.payload);
                match report.stream {
                    Stream::Control => {
                        self.sent_control.insert(report.sequence);
                        if !lost {
                            self.report(&message.payload);
                        }
                    }
                    Stream::Telemetry => {
                        self.check_control_was_sent();
                        self.bridge.telemetry.sent(&report, lost, self.losses > 0);
                    }
                    Stream::Inventory | Stream::Unsupported(_) => panic!("a report of stream {}", report.stream.number()),
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
                    chains: vec![
                        (Stream::Control, self.bridge.chain.last_key_value().map_or(0, |(sequence, _)| *sequence)),
                        (Stream::Telemetry, self.bridge.telemetry.sequence()),
                    ],
                    offers: Vec::new(),
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

    pub(super) fn signed<T: serde::de::DeserializeOwned + flotilla_protocol::wire::Check>(&self, domain: Domain, payload: &[u8]) -> T {
        let envelope = Envelope::parse(payload, domain).unwrap();
        assert!(envelope.is_signed_by(&node_key().verifying_key()));
        decode(envelope.body()).unwrap()
    }

    pub(super) fn report(&mut self, payload: &[u8]) {
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
            ReportPayload::CommandRebooting(_)
            | ReportPayload::Gap(_)
            | ReportPayload::NodeHealth(_)
            | ReportPayload::Inventory(_)
            | ReportPayload::Unsupported(_) => {
                unreachable!("control is never dropped")
            }
        }
    }

    pub(super) fn send_receipt(&mut self) {
        if let (Some(receipt), true) = (self.bridge.telemetry.receipt(), self.connected && !self.loses_messages) {
            self.down(DownKind::Receipt, &seal(Domain::Receipt, &encode(&receipt), &[&key(3)]));
        }
        let Some((up_to, (head, boot))) = self.bridge.chain.last_key_value().map(|(sequence, entry)| (*sequence, *entry)) else { return };
        if self.connected && !self.loses_messages {
            let receipt = ReceiptBody { node: node(), stream: Stream::Control, boot, up_to, head };
            self.down(DownKind::Receipt, &seal(Domain::Receipt, &encode(&receipt), &[&key(3)]));
        }
    }

    /// What may be dropped is sent when all of control is on its way, as far as that may be on its way at once.
    fn check_control_was_sent(&self) {
        let held = self.held(Stream::Control);
        let unsent = held.iter().find(|(report, _)| !self.sent_control.contains(&report.sequence));
        assert!(unsent.is_none(), "telemetry is sent before control: {unsent:?}");
    }

    /// What the node holds of a stream, with the bytes of each report.
    pub(super) fn held(&self, stream: Stream) -> Vec<(ReportBody, usize)> {
        let reports = self.core.snapshot().into_iter().filter_map(|record| match record {
            Record::Report { report } => Some((self.signed::<ReportBody>(Domain::Report, &report), report.len())),
            _ => None,
        });
        reports.filter(|(report, _)| report.stream == stream).collect()
    }
}
