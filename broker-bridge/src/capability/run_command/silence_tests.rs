//! Nodes that are away, that do not answer, and that are not heard of any more: what is sent again, and what ends without their word.

use super::api::cancel::cancel_command;
use super::reconcile::round;
use super::tests::{accepted, command_words, ended, pair, request, send, started, words};
use crate::device::test_kit::{Kit, NOW_MS};
use flotilla_api::commands::{CancelCommandRequest, SendCommandRequest};
use flotilla_protocol::id::FleetId;
use flotilla_protocol::status::Outcome;
use flotilla_protocol::topic::{DownKind, Topic};
use std::time::Duration;

#[tokio::test]
async fn an_offline_node_gets_its_order_with_its_hello_and_again_until_it_answers() {
    let mut kit = Kit::new().await;
    let mut node = kit.node(20).await;
    let order = send(&kit, request(&[&node])).await.unwrap();
    round(&kit.fleet).await.unwrap();
    assert!(kit.published_to(node.id, DownKind::Order).is_empty());
    kit.take([node.hello(&[])]).await;
    round(&kit.fleet).await.unwrap();
    assert_eq!(kit.published_to(node.id, DownKind::Order).len(), 1);
    let due = round(&kit.fleet).await.unwrap();
    assert_eq!(due.next_due_ms, Some(NOW_MS + 5_000), "nothing to do until the first pause is over");
    assert!(kit.published_to(node.id, DownKind::Order).is_empty());
    for pause_s in [5, 10, 20] {
        kit.clock.advance(Duration::from_secs(pause_s));
        round(&kit.fleet).await.unwrap();
        assert_eq!(kit.published_to(node.id, DownKind::Order).len(), 1, "after {pause_s} s");
    }
    // It says that it does not hold it: sent at once.
    kit.take([node.hello(&[])]).await;
    round(&kit.fleet).await.unwrap();
    assert_eq!(kit.published_to(node.id, DownKind::Order).len(), 1);
    // It holds it: its answer is on the way.
    kit.take([node.hello(&[order])]).await;
    round(&kit.fleet).await.unwrap();
    assert!(kit.published_to(node.id, DownKind::Order).is_empty());
    kit.take([node.report(&accepted(order))]).await;
    kit.clock.advance(Duration::from_secs(600));
    round(&kit.fleet).await.unwrap();
    assert!(kit.published_to(node.id, DownKind::Order).is_empty());
    // Offline, nothing is sent either.
    let other = send(&kit, request(&[&node])).await.unwrap();
    assert_eq!(kit.published_to(node.id, DownKind::Order).len(), 1, "{other}");
    kit.take([(Topic::Online { fleet: FleetId([0; 8]), node: node.id }, b"0".to_vec())]).await;
    kit.clock.advance(Duration::from_secs(60));
    round(&kit.fleet).await.unwrap();
    assert!(kit.published_to(node.id, DownKind::Order).is_empty());
}

#[tokio::test]
async fn delivery_times_out_and_only_what_the_node_signed_overrides_the_guess() {
    let mut kit = Kit::new().await;
    let mut node = kit.online_node(20).await;
    let offline = kit.node(21).await;
    let request = SendCommandRequest { timeout_seconds: Some(30), ..request(&[&node, &offline]) };
    let order = send(&kit, request).await.unwrap();
    kit.clock.advance(Duration::from_secs(30));
    round(&kit.fleet).await.unwrap();
    assert_eq!(words(&kit, order, &offline).await, pair("TimedOut", "Delivery Timed Out"), "never sent: at once");
    assert_eq!(words(&kit, order, &node).await, pair("Delayed", "Delayed"), "sent: the answer may be on its way");
    kit.clock.advance(Duration::from_secs(60));
    round(&kit.fleet).await.unwrap();
    assert_eq!(words(&kit, order, &node).await, pair("TimedOut", "Delivery Timed Out"));
    assert_eq!(command_words(&kit, order).await, pair("TimedOut", "Delivery Timed Out"));
    kit.take([node.report(&accepted(order)), node.report(&started(order))]).await;
    assert_eq!(words(&kit, order, &node).await, pair("InProgress", "In Progress"));
    assert_eq!(command_words(&kit, order).await, pair("InProgress", "In Progress"));
    assert_eq!(kit.count("SELECT COUNT(*) FROM invocation WHERE state = 'running' AND ended_ms IS NOT NULL").await, 0);
    kit.take([node.report(&ended(order, Outcome::Succeeded))]).await;
    assert_eq!(words(&kit, order, &node).await, pair("Success", "Success"));
    assert_eq!(command_words(&kit, order).await, pair("Failed", "Incomplete"));
    kit.published();
}

#[tokio::test]
async fn a_node_that_does_not_hold_what_it_had_taken_is_asked_with_the_order() {
    let mut kit = Kit::new().await;
    let mut node = kit.online_node(20).await;
    let order = send(&kit, request(&[&node])).await.unwrap();
    kit.take([node.report(&accepted(order)), node.report(&started(order))]).await;
    let sent = kit.published_to(node.id, DownKind::Order);
    kit.take([node.hello(&[order])]).await;
    assert!(kit.published_to(node.id, DownKind::Order).is_empty(), "it runs");
    // The end was receipted by a database that is not there any more.
    kit.take([node.hello(&[])]).await;
    assert_eq!(kit.published_to(node.id, DownKind::Order), sent);
    assert_eq!(words(&kit, order, &node).await.0, "InProgress");
    kit.take([node.report(&ended(order, Outcome::Succeeded))]).await;
    assert_eq!(words(&kit, order, &node).await, pair("Success", "Success"));
    kit.take([node.hello(&[])]).await;
    assert!(kit.published_to(node.id, DownKind::Order).is_empty());
}

#[tokio::test]
async fn a_guessed_time_out_can_be_cancelled() {
    let mut kit = Kit::new().await;
    let mut node = kit.online_node(20).await;
    let order = send(&kit, SendCommandRequest { timeout_seconds: Some(30), ..request(&[&node]) }).await.unwrap();
    kit.clock.advance(Duration::from_secs(90));
    round(&kit.fleet).await.unwrap();
    assert_eq!(words(&kit, order, &node).await, pair("TimedOut", "Delivery Timed Out"));
    kit.published();
    let cancel = CancelCommandRequest { command_id: order.to_string(), instance_ids: None };
    cancel_command(&kit.fleet, &Kit::caller(), cancel).await.unwrap();
    let mut cancels = 0;
    for _ in 0..20 {
        round(&kit.fleet).await.unwrap();
        cancels += kit.published_to(node.id, DownKind::Cancel).len();
        kit.clock.advance(Duration::from_secs(3600));
    }
    assert_eq!(cancels, 8, "a node that never had the order has nothing to answer");
    kit.take([node.hello(&[order])]).await;
    round(&kit.fleet).await.unwrap();
    assert_eq!(kit.published_to(node.id, DownKind::Cancel).len(), 1, "once more when it is back");
    kit.take([node.report(&started(order))]).await;
    assert_eq!(words(&kit, order, &node).await.0, "Cancelling");
    kit.take([node.report(&ended(order, Outcome::Cancelled))]).await;
    assert_eq!(words(&kit, order, &node).await.0, "Cancelled");
}

#[tokio::test]
async fn while_the_bridge_is_cut_off_silence_ends_only_what_was_never_sent() {
    let kit = Kit::new().await;
    let node = kit.online_node(20).await;
    let offline = kit.node(21).await;
    let order = send(&kit, SendCommandRequest { timeout_seconds: Some(30), ..request(&[&node, &offline]) }).await.unwrap();
    kit.fleet.publisher.pretend_connected(None);
    kit.clock.advance(Duration::from_secs(600));
    round(&kit.fleet).await.unwrap();
    let left = round(&kit.fleet).await.unwrap();
    assert_eq!((left.more, left.next_due_ms), (false, None), "nothing to do until the broker is back");
    assert_eq!(words(&kit, order, &offline).await, pair("TimedOut", "Delivery Timed Out"));
    assert_eq!(words(&kit, order, &node).await, pair("Delayed", "Delayed"));
    kit.fleet.publisher.pretend_connected(Some(NOW_MS + 600_000));
    kit.clock.advance(Duration::from_secs(59));
    let left = round(&kit.fleet).await.unwrap();
    assert_eq!(left.next_due_ms, Some(NOW_MS + 660_000));
    assert_eq!(words(&kit, order, &node).await, pair("Delayed", "Delayed"), "its answer may be on its way");
    kit.clock.advance(Duration::from_secs(1));
    round(&kit.fleet).await.unwrap();
    assert_eq!(words(&kit, order, &node).await, pair("TimedOut", "Delivery Timed Out"));
}

#[tokio::test]
async fn what_is_due_before_the_bridge_is_in_office_goes_out_once_it_is() {
    let mut kit = Kit::new().await;
    let node = kit.online_node(20).await;
    kit.fleet.publisher.pretend_connected(None);
    send(&kit, request(&[&node])).await.unwrap();
    // The broker has said who is online, and says it once.
    kit.fleet.publisher.set_up(true);
    kit.take([(Topic::Online { fleet: FleetId([0; 8]), node: node.id }, b"1".to_vec())]).await;
    let left = round(&kit.fleet).await.unwrap();
    assert_eq!((left.more, left.next_due_ms), (false, Some(NOW_MS + 250)), "it looks again soon, and not without a pause");
    assert_eq!(kit.published_to(node.id, DownKind::Order).len(), 0);
    kit.fleet.publisher.pretend_connected(Some(NOW_MS));
    round(&kit.fleet).await.unwrap();
    assert_eq!(kit.published_to(node.id, DownKind::Order).len(), 1);
}

#[tokio::test]
async fn a_run_of_which_nothing_more_is_heard_is_interrupted_until_its_node_says_more() {
    let kit = Kit::new().await;
    let mut nodes = [kit.online_node(20).await, kit.online_node(21).await, kit.online_node(22).await];
    let order = send(&kit, SendCommandRequest { timeout_seconds: Some(30), ..request(&nodes.each_ref()) }).await.unwrap();
    for node in &mut nodes {
        kit.take([node.report(&accepted(order)), node.report(&started(order))]).await;
    }
    let [gone, forgetful, busy] = nodes.each_ref();
    // Delivery within 30 s, one step of at most an hour, ten minutes of grace.
    let in_time = Duration::from_secs(30 + 3600 + 600 - 1);
    kit.clock.advance(in_time);
    kit.take([(Topic::Online { fleet: FleetId([0; 8]), node: gone.id }, b"0".to_vec())]).await;
    kit.take([forgetful.hello(&[]), busy.hello(&[order])]).await;
    round(&kit.fleet).await.unwrap();
    assert_eq!(kit.count("SELECT COUNT(*) FROM invocation WHERE state = 'running'").await, 3);
    kit.clock.advance(Duration::from_secs(1));
    round(&kit.fleet).await.unwrap();
    assert_eq!(words(&kit, order, gone).await, pair("Failed", "Failed"));
    assert_eq!(words(&kit, order, forgetful).await.0, "InProgress", "the end may be on its way");
    kit.clock.advance(Duration::from_secs(59));
    round(&kit.fleet).await.unwrap();
    assert_eq!(words(&kit, order, forgetful).await, pair("Failed", "Failed"));
    assert_eq!(words(&kit, order, busy).await.0, "InProgress");
    let left = round(&kit.fleet).await.unwrap();
    assert!(!left.more && left.next_due_ms > Some(kit.clock.now_ms()), "no busy loop");
    kit.take([nodes[0].report(&ended(order, Outcome::Succeeded))]).await;
    assert_eq!(words(&kit, order, &nodes[0]).await, pair("Success", "Success"));
    assert_eq!(kit.count("SELECT count_failed FROM command").await, 1);
}

/// A message that was late has made it seem connected.
#[tokio::test]
async fn a_run_of_a_node_that_only_seems_connected_ends_too() {
    let kit = Kit::new().await;
    let mut node = kit.online_node(20).await;
    let order = send(&kit, SendCommandRequest { timeout_seconds: Some(30), ..request(&[&node]) }).await.unwrap();
    kit.take([node.report(&accepted(order)), node.report(&started(order))]).await;
    // A clock that jumps makes every node silent: it has the time to say hello before anything is concluded.
    kit.clock.advance(Duration::from_secs(24 * 3600));
    for _ in 0..2 {
        round(&kit.fleet).await.unwrap();
        assert_eq!(words(&kit, order, &node).await.0, "InProgress");
        kit.clock.advance(Duration::from_secs(75 * 60));
        kit.take([node.hello(&[order])]).await;
        kit.clock.advance(Duration::from_secs(15 * 60));
    }
    for _ in 0..20 {
        round(&kit.fleet).await.unwrap();
        kit.clock.advance(Duration::from_secs(600));
    }
    assert_eq!(words(&kit, order, &node).await, pair("Failed", "Failed"));
}

#[tokio::test]
async fn what_has_expired_is_not_sent_any_more() {
    let mut kit = Kit::new().await;
    let node = kit.online_node(20).await;
    let order = send(&kit, SendCommandRequest { timeout_seconds: Some(30), ..request(&[&node]) }).await.unwrap();
    assert_eq!(kit.published_to(node.id, DownKind::Order).len(), 1);
    kit.clock.advance(Duration::from_secs(30));
    kit.take([node.hello(&[])]).await;
    let left = round(&kit.fleet).await.unwrap();
    assert!(kit.published_to(node.id, DownKind::Order).is_empty(), "{order}");
    assert_eq!(left.next_due_ms, Some(NOW_MS + 90_000), "only the end of the wait is left");
}

#[tokio::test]
async fn what_a_node_did_long_ago_is_not_walked_through() {
    let kit = Kit::new().await;
    for (sql, index) in super::store::OF_A_NODE.into_iter().chain(super::store::OF_A_WINDOW) {
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"))).fetch_all(kit.fleet.store.reader()).await.unwrap();
        assert!(plan.iter().any(|(.., step)| step.contains(index)), "{sql}: {plan:?}");
    }
}
