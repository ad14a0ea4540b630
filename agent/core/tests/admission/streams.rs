//! Reports that may be dropped: when they are made, when they are sent, and what frees them.

use crate::kit::{Heard, Node, START_MS, node_key, order};
use flotilla_agent_core::Record;
use flotilla_protocol::capability::ReportPayload;
use flotilla_protocol::capability::health::NodeHealth;
use flotilla_protocol::envelope::{Domain, Envelope, seal};
use flotilla_protocol::hello::Held;
use flotilla_protocol::report::{ReportBody, Stream};
use flotilla_protocol::status::RejectReason;
use flotilla_protocol::wire::{decode, encode};

const BOTH: [(Stream, u64); 2] = [(Stream::Control, 0), (Stream::Telemetry, 0)];
/// Longer than the longest pause between two reports of the kit's node.
const LATER_MS: u64 = 70_000;

fn telemetry(heard: &Heard) -> Vec<(ReportBody, [u8; 32])> {
    heard.reports.iter().filter(|(report, _)| report.stream == Stream::Telemetry).cloned().collect()
}

fn health(report: &ReportBody) -> NodeHealth {
    match ReportPayload::decode(&report.payload).unwrap() {
        ReportPayload::NodeHealth(health) => health,
        other => panic!("{other:?}"),
    }
}

/// Connects and is welcomed; returns what followed from the welcome.
fn greet(node: &mut Node) -> Heard {
    let hello = node.connect();
    node.welcome(hello.nonce, START_MS)
}

#[test]
fn telemetry_waits_until_all_of_control_is_on_its_way() {
    let mut node = Node::telling(&BOTH);
    let first = telemetry(&greet(&mut node)).remove(0);
    assert_eq!((first.0.sequence, first.0.oldest_held, health(&first.0).restarts), (1, 1, Some(3)));
    node.receipt_of(Stream::Telemetry, 1, first.1);
    // More of control than may be on its way at once.
    let reports: Vec<_> = (1..=70).flat_map(|number| node.deliver(&order(number)).reports).collect();
    assert_eq!(reports.len(), 64);
    let later = node.pass(LATER_MS);
    assert!(later.records.iter().any(|record| matches!(record, Record::Report { .. })), "it is made");
    assert!(telemetry(&later).is_empty(), "and waits");
    let (last, hash) = reports.last().unwrap();
    let after = node.receipt(last.sequence, *hash);
    let streams: Vec<Stream> = after.reports.iter().map(|(report, _)| report.stream).collect();
    assert!(streams.len() > 1 && streams.ends_with(&[Stream::Telemetry]), "control first: {streams:?}");
    assert!(streams.iter().filter(|stream| **stream == Stream::Telemetry).count() == 1);
}

#[test]
fn a_stream_that_the_bridge_does_not_take_is_neither_made_nor_sent() {
    let mut node = Node::telling(&BOTH[..1]);
    assert!(telemetry(&greet(&mut node)).is_empty());
    let later = node.pass(LATER_MS);
    assert!(telemetry(&later).is_empty() && later.records.is_empty());
    // Another bridge takes it, and then the older one is back.
    node.chains = BOTH.to_vec();
    assert_eq!(telemetry(&greet(&mut node)).len(), 1);
    node.chains.truncate(1);
    assert!(telemetry(&greet(&mut node)).is_empty());
    assert!(telemetry(&node.pass(LATER_MS)).is_empty(), "what is held waits for a bridge that takes it");
}

#[test]
fn without_a_disk_nothing_is_made_and_the_failure_is_counted() {
    let mut node = Node::telling(&BOTH);
    let first = telemetry(&greet(&mut node)).remove(0);
    assert_eq!(health(&first.0).storage_failures, 0);
    node.storage(false);
    assert!(node.pass(LATER_MS).records.is_empty());
    let after = node.storage(true);
    let second = telemetry(&after).iter().find(|(report, _)| report.sequence == 2).cloned().unwrap();
    assert_eq!((health(&second.0).storage_failures, second.0.previous), (1, first.1));
    // Nor where an order that comes now would need the room.
    node.room_left(60_000);
    assert!(node.pass(LATER_MS).records.is_empty());
}

#[test]
fn each_stream_has_its_own_receipts_and_a_gap_gets_its_own_too() {
    let mut node = Node::telling(&BOTH);
    greet(&mut node);
    let mut heard = Vec::new();
    for _ in 0..12 {
        heard.extend(telemetry(&node.pass(LATER_MS)));
    }
    let gap = |report: &ReportBody| match ReportPayload::decode(&report.payload).unwrap() {
        ReportPayload::Gap(gap) => Some(gap),
        _ => None,
    };
    let (gap_report, gap) = heard.iter().rev().find_map(|(report, _)| Some((report.clone(), gap(report)?))).unwrap();
    assert_eq!((gap.from, gap_report.oldest_held, gap_report.previous), (1, 1, [0; 32]), "nothing had a receipt: it begins at the first");
    assert_eq!(node.receipt(1, gap.head).refused, [RejectReason::Unasked], "of control nothing was sent");
    assert_eq!(node.receipt_of(Stream::Unsupported(9), 1, gap.head).refused, [RejectReason::Unasked]);
    let hello = node.connect();
    let held = |hello: &flotilla_protocol::hello::HelloBody| {
        hello.droppable.iter().copied().find(|(stream, _)| *stream == Stream::Telemetry).unwrap()
    };
    assert!(matches!(held(&hello), (Stream::Telemetry, Held { oldest: 1, before: [0, ..], .. })));
    // What was dropped may have come: its receipt is late, and no stranger's.
    let (early, hash) = heard[0].clone();
    assert_eq!(node.receipt_of(Stream::Telemetry, early.sequence, hash).refused, []);
    node.welcome(hello.nonce, START_MS);
    let records = node.receipt_of(Stream::Telemetry, gap_report.sequence, gap.head).records;
    assert_eq!(records, [Record::StreamReceipted { stream: Stream::Telemetry, up_to: gap_report.sequence }]);
    let after = node.connect();
    assert_eq!((held(&after).1.oldest, held(&after).1.before), (gap_report.sequence + 1, gap.head));
}

#[test]
fn a_chain_of_which_the_node_knows_nothing_begins_above_what_the_bridge_has() {
    let mut node = Node::telling(&[(Stream::Control, 0), (Stream::Telemetry, 1 << 55)]);
    let sent = telemetry(&greet(&mut node));
    let [(anew, hash), (first, _)] = sent.as_slice() else { panic!("{sent:?}") };
    assert!(anew.sequence > 1 << 55 && anew.oldest_held == anew.sequence && anew.previous == [0; 32]);
    assert!(matches!(ReportPayload::decode(&anew.payload), Ok(ReportPayload::MemoryLost(_))));
    assert_eq!((first.sequence, first.previous), (anew.sequence + 1, *hash));
    // And it is read back as it was written.
    let records = node.core.snapshot();
    assert!(node.reads(&records));
}

#[test]
fn an_agent_of_an_earlier_release_reads_the_journal_of_a_later_one_and_leaves_its_streams_out() {
    const LATER: Stream = Stream::Unsupported(9);
    let mut node = Node::telling(&BOTH);
    let heard = greet(&mut node);
    let Some(Record::Report { report }) = heard.records.iter().find(|record| matches!(record, Record::Report { .. })) else { panic!() };
    let mut body: ReportBody = decode(Envelope::parse(report, Domain::Report).unwrap().body()).unwrap();
    body.stream = LATER;
    let later = [
        Record::StreamChain { stream: LATER, sequence: body.sequence - 1, head: body.previous, receipted: 0 },
        Record::Report { report: seal(Domain::Report, &encode(&body), &[&node_key()]) },
        Record::StreamReceipted { stream: LATER, up_to: body.sequence },
    ];
    let records = node.core.snapshot();
    let with_later: Vec<Record> = records.iter().cloned().chain(later).collect();
    assert!(node.reads(&with_later));
    let after = node.restarted(&with_later, &node.core.floor(), None);
    assert_eq!(after.core.snapshot(), records, "and none of it is kept");
    // Control has a spool of its own: such a record is nobody's.
    assert!(!node.reads(&[Record::StreamReceipted { stream: Stream::Control, up_to: 1 }]));
}
