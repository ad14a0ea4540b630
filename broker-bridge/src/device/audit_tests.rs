//! What the audit log tells of reports: all that moved an order, and little of the rest, however much of it a node signs.

use super::test_kit::{Kit, SimulatedNode};
use crate::capability::run_command::tests::{ended, request, send, started};
use crate::platform::audit::counts::REPORTS;
use crate::platform::audit::{Filter, keep, page};
use flotilla_api::audit::{Entry, Hex, REPORT, REPORT_BEFORE, REPORT_HASH, REPORT_KEY};
use flotilla_protocol::capability::ReportPayload;
use flotilla_protocol::capability::command::{CommandProgress, CommandRebooting};
use flotilla_protocol::envelope::{Domain, Envelope};
use flotilla_protocol::id::OrderId;
use flotilla_protocol::report::{LossCause, MemoryLost, Stream};
use flotilla_protocol::status::{Admission, Outcome};
use std::time::Duration;

fn accepted(order: OrderId) -> ReportPayload {
    ReportPayload::Admission(Admission::Accepted { order })
}

async fn entries(kit: &Kit) -> Vec<Entry> {
    page(&kit.fleet.store, &Filter::default(), false, Some(0), 500).await.unwrap().0
}

async fn kinds(kit: &Kit) -> Vec<String> {
    entries(kit).await.into_iter().map(|entry| entry.kind).filter(|kind| !kind.starts_with("api-") && kind != "order-signed").collect()
}

/// The node is stolen, and signs as much as it can of orders that nobody made, of one that it has ended, and of losses.
/// What the log tells of one node in a minute, though it moved nothing.
const TOLD: usize = super::router::UNMOVED_REPORTS_OF_A_NODE as usize;

#[tokio::test]
async fn a_node_cannot_push_the_log_out_with_reports_that_move_nothing() {
    let kit = Kit::new().await;
    let mut node = kit.online_node(20).await;
    let mut made = Vec::new();
    for _ in 0..30 {
        made.push(send(&kit, request(&[&node])).await.unwrap());
    }
    let real: Vec<_> = made.iter().map(|order| node.report(&accepted(*order))).collect();
    kit.take(real).await;
    assert_eq!(kinds(&kit).await.len(), 30, "what moves an order is told, however much it is");
    let loss = ReportPayload::MemoryLost(MemoryLost { cause: LossCause::Damaged, barrier_ms: 1 });
    for number in 0..=255 {
        let order = OrderId([number; 16]);
        let reports = [accepted(order), accepted(made[0]), ReportPayload::CommandProgress(CommandProgress { order }), loss.clone()];
        kit.take(reports.map(|report| node.report(&report))).await;
    }
    assert_eq!(kinds(&kit).await.len(), 30 + TOLD);
    kit.clock.advance(Duration::from_secs(60));
    kit.take([node.report(&accepted(OrderId([1; 16])))]).await;
    assert_eq!(kinds(&kit).await.len(), 30 + TOLD + 1);
    // The rest is counted, by node and kind.
    let (switch, wish) = crate::platform::shutdown::shutdown();
    switch.request();
    keep::run(kit.fleet.store.clone(), kit.clock.clone(), 1_000_000, wish).await;
    let counted: Vec<Entry> = entries(&kit).await.into_iter().filter(|entry| entry.kind == REPORTS).collect();
    let calls: u64 = counted.iter().map(|entry| entry.detail["Calls"].parse::<u64>().unwrap()).sum();
    assert_eq!((counted.len(), calls), (3, u64::try_from(4 * 256 - TOLD).unwrap()), "{counted:?}");
    assert!(counted.iter().all(|entry| entry.actor == node.id.to_string()));
}

#[tokio::test]
async fn a_reboot_for_an_order_is_told_and_a_chain_that_begins_anew_is_no_loss_of_orders() {
    let kit = Kit::new().await;
    let mut node = kit.online_node(20).await;
    let order = send(&kit, request(&[&node])).await.unwrap();
    let rebooting = ReportPayload::CommandRebooting(CommandRebooting { order, step: 0, count: 1 });
    let reports = [accepted(order), started(order), rebooting, started(order), ended(order, Outcome::Succeeded)];
    kit.take(reports.map(|report| node.report(&report))).await;
    let expected = ["order-accepted", "order-started", "order-rebooting", "order-started", "order-ended"];
    assert_eq!(kinds(&kit).await, expected);
    let mut telemetry = SimulatedNode { stream: Stream::Telemetry, ..SimulatedNode::new(20) };
    kit.take([telemetry.report(&ReportPayload::MemoryLost(MemoryLost { cause: LossCause::Damaged, barrier_ms: 1 }))]).await;
    assert_eq!(kinds(&kit).await, expected, "its journal is as it was");
    // The reboot took two of what is told in a minute.
    let loss = ReportPayload::MemoryLost(MemoryLost { cause: LossCause::Damaged, barrier_ms: 1 });
    for _ in 0..TOLD {
        kit.take([node.report(&loss)]).await;
    }
    assert_eq!(kinds(&kit).await.iter().filter(|kind| *kind == "node-memory-lost").count(), TOLD - 2);
}

#[tokio::test]
async fn every_control_report_is_told_with_what_its_node_has_signed() {
    let kit = Kit::new().await;
    let mut node = kit.online_node(20).await;
    let order = send(&kit, request(&[&node])).await.unwrap();
    let broken = flotilla_protocol::wire::Payload { kind: accepted(order).encode().kind, body: vec![255; 3] };
    let mut sent = vec![node.report(&accepted(order)), node.report(&ReportPayload::Unsupported(999)), node.raw_report(broken)];
    sent.push(node.report(&started(order)));
    sent.push(node.report(&ended(order, Outcome::Failed)));
    let mut telemetry = SimulatedNode { stream: Stream::Telemetry, ..SimulatedNode::new(20) };
    kit.take(sent.iter().cloned().chain([telemetry.report(&ReportPayload::Unsupported(999))])).await;
    let told: Vec<Entry> = entries(&kit).await.into_iter().filter(|entry| entry.detail.contains_key(REPORT)).collect();
    let of_kinds: Vec<&str> = told.iter().map(|entry| entry.kind.as_str()).collect();
    assert_eq!(of_kinds, ["order-accepted", "node-report", "node-report", "order-started", "order-ended"], "telemetry is not told");
    let mut before = Hex([0; 32]).to_string();
    for (number, (entry, (_, signed))) in (1..).zip(told.iter().zip(&sent)) {
        assert_eq!(entry.report.as_ref().map(|report| &report.0), Some(signed), "what it has signed stands beside it");
        let hash = Hex(flotilla_protocol::sha256(&[Envelope::parse(signed, Domain::Report).unwrap().body()])).to_string();
        let expected = [number.to_string(), hash.clone(), before, Hex(node.key.verifying_key().to_bytes()).to_string()];
        assert_eq!([REPORT, REPORT_HASH, REPORT_BEFORE, REPORT_KEY].map(|name| entry.detail[name].clone()), expected);
        before = hash;
    }
}
