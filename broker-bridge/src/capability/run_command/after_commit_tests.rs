//! SendCommand's promise: once the command is committed, the call does not fail any more, and the command goes out sooner or later.

use super::reconcile::round;
use super::tests::{request, send};
use crate::device::test_kit::Kit;
use crate::platform::http::ApiError;
use crate::platform::mqtt::{OUTBOUND_MESSAGES, Outbound};
use flotilla_protocol::topic::{DownKind, Topic};

const SENT: &str = "SELECT COUNT(*) FROM invocation WHERE state = 'sent' AND next_send_ms IS NOT NULL";

#[tokio::test]
async fn a_command_that_cannot_go_out_after_its_commit_is_sent_all_the_same() -> Result<(), ApiError> {
    let mut kit = Kit::new().await;
    let node = kit.online_node(20).await;
    kit.published();
    kit.refuse_publishes();
    let order = send(&kit, request(&[&node])).await?;
    let one = "SELECT COUNT(*) FROM command";
    assert_eq!((kit.count(one).await, kit.count(SENT).await), (1, 1), "{order} is committed, and due again");
    assert!(kit.published().is_empty(), "nothing could go out");
    Ok(())
}

#[tokio::test]
async fn a_command_that_finds_no_place_goes_out_after_the_first_pause() -> Result<(), ApiError> {
    let mut kit = Kit::new().await;
    let node = kit.online_node(20).await;
    let topic = Topic::Down { fleet: kit.fleet.settings.fleet, node: node.id, kind: DownKind::Welcome };
    while kit.fleet.publisher.try_publish(Outbound { topic, payload: Vec::new() }) {}
    let dropped = || kit.fleet.publisher.dropped().outbound.load(std::sync::atomic::Ordering::Relaxed);
    let before = dropped();
    send(&kit, request(&[&node])).await?;
    assert_eq!(dropped(), before + 1, "the order found no place");
    assert!(kit.published_to(node.id, DownKind::Order).is_empty());
    kit.clock.advance(std::time::Duration::from_millis(kit.fleet.settings.pace.pause_ms(1)));
    round(&kit.fleet).await?;
    assert_eq!(kit.published_to(node.id, DownKind::Order).len(), 1);
    Ok(())
}

#[tokio::test]
async fn the_queue_to_the_broker_is_crowded_before_it_is_full() {
    let kit = Kit::new().await;
    let node = kit.node(20).await;
    assert!(kit.fleet.overload().is_none());
    let topic = Topic::Down { fleet: kit.fleet.settings.fleet, node: node.id, kind: DownKind::Welcome };
    for _ in 0..OUTBOUND_MESSAGES / 2 {
        assert!(!kit.fleet.publisher.is_crowded());
        assert!(kit.fleet.publisher.try_publish(Outbound { topic, payload: Vec::new() }));
    }
    let refusal = kit.fleet.overload().map(|error| error.kind);
    assert_eq!(refusal.as_deref(), Some("ThrottlingException"));
    // Whoever answers nodes still finds places.
    assert!(kit.fleet.publisher.try_publish(Outbound { topic, payload: Vec::new() }));
}
