//! What a round of dispatch looks at: what is due, and not all that is open.

use super::reconcile::round;
use super::store::{DUE_COMMANDS, WINDOW, due_commands};
use super::tests::{accepted, ended, request, send};
use crate::device::test_kit::{Kit, NOW_MS, SimulatedNode};
use flotilla_api::commands::SendCommandRequest;
use flotilla_protocol::id::{FleetId, OrderId};
use flotilla_protocol::status::Outcome;
use flotilla_protocol::topic::{DownKind, Topic};
use std::time::Duration;

async fn due(kit: &Kit) -> Vec<String> {
    let mut reader = kit.fleet.store.reader().acquire().await.unwrap();
    due_commands(&mut reader, "", NOW_MS).await.unwrap()
}

fn texts(orders: &[OrderId]) -> Vec<String> {
    orders.iter().map(OrderId::to_string).collect()
}

#[tokio::test]
async fn dispatch_begins_with_what_is_due() {
    let kit = Kit::new().await;
    let sql = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {DUE_COMMANDS}"));
    let plan: Vec<(i64, i64, i64, String)> =
        sqlx::query_as(sql).bind("").bind(1_i64).bind(1_i64).fetch_all(kit.fleet.store.reader()).await.unwrap();
    let steps = |table: &str| plan.iter().map(|(.., step)| step.as_str()).filter(|step| step.contains(table)).collect::<Vec<_>>();
    let invocations = steps(" invocation ");
    assert_eq!(invocations.len(), 2, "{plan:?}");
    assert!(
        invocations.iter().all(|step| step.starts_with("SEARCH") && step.contains("COVERING INDEX invocation_due (command_id>?)")),
        "{plan:?}"
    );
    let commands = steps(" command ");
    assert!(commands.len() == 1 && commands[0].starts_with("SEARCH") && commands[0].contains("(command_id=?)"), "{plan:?}");
    // One step after the other, so that a round that has enough walks no further.
    assert!(plan.iter().any(|(.., step)| step.starts_with("CO-ROUTINE due")), "{plan:?}");
}

#[tokio::test]
async fn what_waits_for_a_node_or_a_place_is_not_looked_into() {
    let mut kit = Kit::new().await;
    let (node, other, gone) = (kit.online_node(20).await, kit.online_node(21).await, kit.node(22).await);
    // Nothing goes out by itself, so that what is due stays so.
    kit.fleet.publisher.pretend_connected(None);
    for _ in 0..3 {
        send(&kit, request(&[&gone])).await.unwrap();
    }
    assert_eq!(due(&kit).await, Vec::<String>::new(), "their node is gone");
    let narrow = SendCommandRequest { max_concurrency: Some("1".into()), ..request(&[&node, &other]) };
    // Ids sort by time.
    kit.clock.advance(Duration::from_millis(1));
    let first = send(&kit, narrow).await.unwrap();
    kit.clock.advance(Duration::from_millis(1));
    let orders = [first, send(&kit, request(&[&node, &gone])).await.unwrap()];
    assert_eq!(due(&kit).await, texts(&orders));
    kit.fleet.publisher.pretend_connected(Some(NOW_MS));
    round(&kit.fleet).await.unwrap();
    assert_eq!(due(&kit).await, Vec::<String>::new(), "one has no place, and of the other one nothing is left to send");
    // A node comes back, and what waited for it is due; a place becomes free.
    kit.published();
    kit.take([(Topic::Online { fleet: FleetId([0; 8]), node: gone.id }, b"1".to_vec())]).await;
    let mut waiting = due(&kit).await;
    assert_eq!(waiting.len(), 4, "three and one");
    assert_eq!(waiting.pop(), Some(orders[1].to_string()));
    round(&kit.fleet).await.unwrap();
    assert_eq!(kit.published_to(gone.id, DownKind::Order).len(), 4);
    assert_eq!(due(&kit).await, Vec::<String>::new());
    kit.take([node, other].map(|mut node| node.report(&ended(orders[0], Outcome::Succeeded)))).await;
    assert_eq!(kit.count("SELECT COUNT(*) FROM invocation WHERE state = 'pending'").await, 0, "one has said so before it was asked");
}

/// Whole rounds until there is nothing to do at once; how many orders each node was sent since the last look.
async fn sent<const N: usize>(kit: &mut Kit, nodes: [&SimulatedNode; N]) -> [usize; N] {
    while round(&kit.fleet).await.unwrap().more {}
    let published = kit.published();
    nodes.map(|node| {
        let is_order = |topic: &Topic| matches!(topic, Topic::Down { node: to, kind: DownKind::Order, .. } if *to == node.id);
        published.iter().filter(|(topic, _)| is_order(topic)).count()
    })
}

#[tokio::test]
async fn a_node_is_sent_no_more_than_it_answers() {
    let window = usize::try_from(WINDOW).unwrap();
    let mut kit = Kit::new().await;
    let (mut node, other) = (kit.online_node(20).await, kit.online_node(21).await);
    let mut orders = Vec::new();
    for _ in 0..window + 8 {
        kit.clock.advance(Duration::from_millis(1));
        orders.push(send(&kit, request(&[&node])).await.unwrap());
    }
    assert_eq!(sent(&mut kit, [&node, &other]).await, [window, 0]);
    let behind = "SELECT COUNT(*) FROM invocation WHERE behind = 1";
    let unanswered = "SELECT COUNT(*) FROM invocation WHERE state = 'sent'";
    assert_eq!((kit.count(unanswered).await, kit.count(behind).await), (WINDOW, 8));
    assert_eq!(due(&kit).await, Vec::<String>::new(), "what is behind is out of the way");
    // The other node has place all the time.
    kit.clock.advance(Duration::from_millis(1));
    send(&kit, request(&[&other])).await.unwrap();
    assert_eq!(sent(&mut kit, [&node, &other]).await, [0, 1]);
    // As many answers, so many follow, the oldest first.
    let answers: Vec<_> = orders.iter().take(3).map(|order| node.report(&accepted(*order))).collect();
    kit.take(answers).await;
    assert_eq!(sent(&mut kit, [&node, &other]).await, [3, 0]);
    assert_eq!((kit.count(unanswered).await, kit.count(behind).await), (WINDOW + 1, 5), "the other node's is unanswered, too");
    // A node that is gone has nothing behind: when it is back everything is due, and waits anew.
    let presence = |online: &[u8]| [(Topic::Online { fleet: FleetId([0; 8]), node: node.id }, online.to_vec())];
    kit.take(presence(b"0")).await;
    assert_eq!(kit.count(behind).await, 0);
    kit.take(presence(b"1")).await;
    while round(&kit.fleet).await.unwrap().more {}
    assert_eq!(kit.count(behind).await, 5);
    // All is answered in the end, and nothing stays behind.
    for order in &orders {
        let answer = node.report(&ended(*order, Outcome::Succeeded));
        kit.take([answer]).await;
        while round(&kit.fleet).await.unwrap().more {}
    }
    assert_eq!(kit.count(behind).await, 0);
    assert_eq!(kit.count("SELECT COUNT(*) FROM invocation WHERE state = 'pending'").await, 0);
}
