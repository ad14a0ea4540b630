//! Reports that nodes may drop: chains of their own, gaps that are signed for, and what is kept of a node's health.

use super::test_kit::{Kit, SimulatedNode};
use flotilla_protocol::capability::ReportPayload;
use flotilla_protocol::capability::health::{NodeHealth, SpoolState};
use flotilla_protocol::envelope::{Domain, Envelope};
use flotilla_protocol::hello::{Held, WelcomeBody};
use flotilla_protocol::id::OrderId;
use flotilla_protocol::report::{Gap, Stream};
use flotilla_protocol::status::{Admission, RejectReason};
use flotilla_protocol::topic::DownKind;
use flotilla_protocol::wire::decode;

pub(super) fn health(uptime_s: u64) -> ReportPayload {
    ReportPayload::NodeHealth(NodeHealth {
        uptime_s,
        agent_uptime_s: 5,
        restarts: None,
        jobs_running: 1,
        jobs_waiting: 0,
        storage_failures: 0,
        journal_room_bytes: Some(7),
        spool: vec![SpoolState { stream: Stream::Telemetry, reports: 1, bytes: 2, dropped: 3 }],
        refused: vec![(RejectReason::Retained, 2)],
        standstill: String::new(),
    })
}

pub(super) fn control() -> ReportPayload {
    ReportPayload::Admission(Admission::Accepted { order: OrderId([1; 16]) })
}

/// The two chains of one node.
pub(super) async fn node(kit: &Kit) -> (SimulatedNode, SimulatedNode) {
    let node = kit.online_node(20).await;
    (node.clone(), SimulatedNode { stream: Stream::Telemetry, ..node })
}

const LOSS: &str = "SELECT COALESCE(SUM(dropped * 1000 + missing), 0) FROM node_stream_loss WHERE stream = 1";

#[tokio::test]
async fn each_stream_has_its_chain_and_its_receipts_and_the_last_health_is_kept() {
    let mut kit = Kit::new().await;
    let (mut node, mut telemetry) = node(&kit).await;
    kit.published();
    kit.take([node.report(&control()), telemetry.report(&health(1)), telemetry.report(&health(2)), node.report(&control())]).await;
    assert_eq!(kit.receipts(node.id), [2, 2]);
    kit.take([telemetry.report(&health(3))]).await;
    assert_eq!(kit.receipts(node.id), [3]);
    assert_eq!(kit.count("SELECT COUNT(*) FROM node_stream").await, 2);
    assert_eq!(kit.count("SELECT COUNT(*) FROM node_health").await, 1);
    assert_eq!(kit.count("SELECT json_extract(health, '$.uptime_s') FROM node_health").await, 3);
    assert_eq!(kit.count("SELECT json_extract(health, '$.spool[0].dropped') FROM node_health").await, 3);
    assert_eq!(kit.count("SELECT json_extract(health, '$.refused.retained') FROM node_health").await, 2);
    assert_eq!(kit.count("SELECT COUNT(*) FROM node_event").await, 0);
    // The welcome says how far each chain is here.
    kit.take([node.hello(&[])]).await;
    let welcome = kit.published_to(node.id, DownKind::Welcome).pop().unwrap();
    let welcome: WelcomeBody = decode(Envelope::parse(&welcome, Domain::Welcome).unwrap().body()).unwrap();
    assert_eq!(welcome.chains, [(Stream::Control, 2), (Stream::Inventory, 0), (Stream::Telemetry, 3)]);
}

#[tokio::test]
async fn what_the_node_dropped_is_counted_and_told_from_what_is_missing() {
    let mut kit = Kit::new().await;
    let (mut node, mut telemetry) = node(&kit).await;
    kit.take([telemetry.report(&health(1))]).await;
    let gap = telemetry.gap(4);
    let after = telemetry.report(&health(6));
    kit.published();
    // Without the gap what follows is not taken up: the gap is still with the node.
    telemetry.oldest_held = 2;
    kit.take([telemetry.report(&health(7))]).await;
    assert!(kit.receipts(node.id).is_empty());
    kit.take([gap.clone(), after.clone(), gap.clone()]).await;
    assert_eq!(kit.receipts(node.id), [6]);
    assert_eq!(kit.count(LOSS).await, 4000);
    assert_eq!(kit.count("SELECT COUNT(*) FROM node_event WHERE kind = 'dropped'").await, 1);
    assert_eq!(kit.count("SELECT COUNT(*) FROM node_event WHERE kind = 'gap'").await, 0);
    // Three more that are gone, and nobody has signed for them.
    (0..2).for_each(|_| drop(telemetry.report(&health(8))));
    telemetry.oldest_held = telemetry.sequence + 1;
    kit.take([telemetry.report(&health(9))]).await;
    assert_eq!(kit.count(LOSS).await, 4003);
    assert_eq!(kit.count("SELECT COUNT(*) FROM node_event WHERE kind = 'gap'").await, 1);
    assert_eq!(kit.count("SELECT COUNT(*) FROM node WHERE quarantined_ms IS NOT NULL").await, 0);
    // Control is never dropped: a node that says so has its report set aside.
    kit.take([node.report(&ReportPayload::Gap(Gap { from: 1, head: [1; 32] }))]).await;
    assert_eq!(kit.count("SELECT COUNT(*) FROM dead_letter").await, 1);
    assert_eq!(kit.count("SELECT COUNT(*) FROM node_stream_loss WHERE stream = 0").await, 0);
}

#[tokio::test]
async fn what_came_before_it_was_dropped_does_not_count_and_a_copy_is_seen_here_too() {
    let mut kit = Kit::new().await;
    let (node, mut telemetry) = node(&kit).await;
    let mut copy = telemetry.clone();
    let (mut sent, gap) = (telemetry.clone(), telemetry.gap(5));
    let first = [sent.report(&ReportPayload::Unsupported(999)), sent.report(&ReportPayload::Unsupported(999))];
    kit.take(first.clone()).await;
    kit.take([gap]).await;
    assert_eq!(kit.receipts(node.id).last(), Some(&5));
    assert_eq!(kit.count(LOSS).await, 3000, "two of five had come");
    // What comes late of that is no contradiction; what another device signs is.
    kit.take(first).await;
    kit.take([telemetry.report(&health(6))]).await;
    assert_eq!(kit.count("SELECT COUNT(*) FROM node WHERE quarantined_ms IS NOT NULL").await, 0);
    kit.take([copy.gap(5)]).await;
    assert_eq!(kit.count("SELECT COUNT(*) FROM node WHERE quarantined_ms IS NOT NULL").await, 0, "the same five");
    drop(copy.report(&health(99)));
    kit.take([copy.gap(1), copy.report(&health(100))]).await;
    assert_eq!(kit.count("SELECT COUNT(*) FROM node WHERE quarantined_ms IS NOT NULL").await, 1);
}

#[tokio::test]
async fn a_gap_that_swallows_the_beginning_of_a_new_chain_counts_what_it_stands_for() {
    let mut kit = Kit::new().await;
    let (node, mut telemetry) = node(&kit).await;
    kit.take([telemetry.report(&health(1))]).await;
    // The node lost its memory: its chain goes on far above where it was, and what it says first is dropped with two more.
    (telemetry.sequence, telemetry.previous) = (1 << 40, [0; 32]);
    let gap = telemetry.gap(3);
    kit.published();
    kit.take([gap, telemetry.report(&health(2))]).await;
    assert_eq!(kit.receipts(node.id), [(1 << 40) + 4]);
    assert_eq!(kit.count(LOSS).await, 3000, "nothing is missing without a word");
    assert_eq!(kit.count("SELECT COUNT(*) FROM node_event WHERE kind = 'stream-anew'").await, 1);
    assert_eq!(kit.count("SELECT COUNT(*) FROM node_event WHERE kind = 'gap'").await, 0);
}

#[tokio::test]
async fn an_older_database_and_a_stream_of_the_future_stop_nothing() {
    let mut kit = Kit::new().await;
    let (mut node, mut telemetry) = node(&kit).await;
    let before = {
        (0..3).for_each(|_| drop(telemetry.report(&health(1))));
        telemetry.previous
    };
    telemetry.oldest_held = 2;
    let fourth = telemetry.report(&health(4));
    node.droppable = vec![
        (Stream::Telemetry, Held { oldest: 4, before, next: 5 }),
        (Stream::Unsupported(9), Held { oldest: 1, before: [0; 32], next: 1 }),
    ];
    kit.published();
    kit.take([node.hello(&[])]).await;
    assert_eq!(kit.count(LOSS).await, 3);
    kit.take([fourth]).await;
    assert_eq!(kit.receipts(node.id).last(), Some(&4));
    let mut future = SimulatedNode { stream: Stream::Unsupported(9), ..node.clone() };
    kit.take([future.report(&health(1)), node.report(&control())]).await;
    assert_eq!(kit.count("SELECT COUNT(*) FROM dead_letter").await, 1);
    assert_eq!(kit.receipts(node.id), [1], "of the stream that is known");
}
