//! What a link does with a real broker.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use flotilla_link::{Event, StopReason, Will, unverified_client};

use crate::certificates::Authority;
use crate::harness::{Link, publish, settings, within};
use crate::mosquitto::{Mosquitto, free_port};

/// A link of `name`, subscribed to `filter`.
fn link(broker: &Mosquitto, name: &str, filter: &str) -> Link {
    Link::start(settings(broker.port, broker.authority.client_config(name), name, filter))
}

#[tokio::test]
async fn a_message_reaches_the_other_side_and_is_acknowledged() {
    let Some(broker) = Mosquitto::start("") else { return };
    let (mut alice, mut bob) = (link(&broker, "alice", "open/a"), link(&broker, "bob", "open/b"));
    assert_eq!(alice.event().await, Event::Connected);
    assert_eq!(bob.event().await, Event::Connected);
    alice.send(publish(7, "open/b", "hello")).await;
    let expected = Event::Message { topic: "open/b".to_owned(), payload: Bytes::from_static(b"hello"), retained: false };
    assert_eq!(bob.event().await, expected);
    assert_eq!(alice.event().await, Event::Acknowledged { id: 7 });
}

#[tokio::test]
async fn a_retained_message_says_so() {
    let Some(broker) = Mosquitto::start("") else { return };
    let mut alice = link(&broker, "alice", "open/a");
    alice.connected().await;
    let mut kept = publish(1, "open/b", "kept");
    kept.retain = true;
    alice.send(kept).await;
    assert_eq!(alice.event().await, Event::Acknowledged { id: 1 });
    let mut bob = link(&broker, "bob", "open/b");
    bob.connected().await;
    assert!(matches!(bob.event().await, Event::Message { retained: true, .. }));
}

#[tokio::test]
async fn the_will_is_published_after_a_cut_but_not_after_a_stop() {
    let Some(broker) = Mosquitto::start("") else { return };
    let mut bob = link(&broker, "bob", "open/will/+");
    bob.connected().await;
    for (end, topic) in [("stop", "open/will/stop"), ("cut", "open/will/cut")] {
        let mut with_will = settings(broker.port, broker.authority.client_config("alice"), "alice", "open/a");
        with_will.will = Some(Will { topic: topic.to_owned(), payload: Bytes::from_static(b"gone"), retain: false });
        let mut alice = Link::start(with_will);
        alice.connected().await;
        if end == "stop" {
            assert_eq!(alice.stop().await, StopReason::PublishesClosed);
        } else {
            alice.task.abort();
        }
    }
    // The will of the first would have come before the second's.
    assert_eq!(bob.message().await, ("open/will/cut".to_owned(), Bytes::from_static(b"gone")));
}

#[tokio::test]
async fn what_was_queued_is_sent_before_a_stop() {
    let Some(broker) = Mosquitto::start("") else { return };
    let (alice, mut bob) = (link(&broker, "alice", "open/a"), link(&broker, "bob", "open/b"));
    bob.connected().await;
    let mut alice = alice;
    alice.connected().await;
    for id in 0..40 {
        alice.send(publish(id, "open/b", id.to_string())).await;
    }
    assert_eq!(alice.stop().await, StopReason::PublishesClosed);
    for id in 0..40 {
        assert_eq!(bob.message().await.1, id.to_string());
    }
}

#[tokio::test]
async fn a_link_stops_when_nobody_listens() {
    let Some(broker) = Mosquitto::start("") else { return };
    let mut alice = link(&broker, "alice", "open/a");
    alice.connected().await;
    drop(alice.events);
    assert_eq!(within("the end", alice.task).await.unwrap(), StopReason::EventsClosed);
}

#[tokio::test]
async fn a_link_returns_after_the_broker_was_killed() {
    let Some(mut broker) = Mosquitto::start("") else { return };
    let mut alice = link(&broker, "alice", "open/#");
    alice.connected().await;
    for id in 1..=2 {
        broker.kill();
        let reason = alice.disconnected().await;
        // A killed broker resets the connection where it had not read all that was sent.
        let ends = ["cut by the broker", "closed the connection", "reset by peer"];
        assert!(ends.iter().any(|end| reason.contains(end)), "{reason}");
        let reason = alice.disconnected().await;
        assert!(reason.contains("Connection refused"), "{reason}");
        // It waits in the channel until there is a connection.
        alice.send(publish(id, "open/x", "after")).await;
        broker.restart();
        alice.connected().await;
        assert_eq!(alice.message().await.1, "after");
        assert_eq!(alice.event().await, Event::Acknowledged { id });
    }
}

#[tokio::test]
async fn every_one_of_a_thousand_is_acknowledged_and_arrives_in_order() {
    let Some(broker) = Mosquitto::start("") else { return };
    let (alice, mut bob) = (link(&broker, "alice", "open/a"), link(&broker, "bob", "open/b"));
    bob.connected().await;
    let mut alice = alice;
    alice.connected().await;
    let publishes = alice.publishes.clone();
    let sending = tokio::spawn(async move {
        for id in 0..1_000 {
            publishes.send(publish(id, "open/b", id.to_string())).await.unwrap();
        }
    });
    let mut acknowledged = BTreeSet::new();
    let (mut arrived, mut lost) = (0_u64, Vec::new());
    while arrived < 1_000 || acknowledged.len() < 1_000 {
        tokio::select! {
            event = alice.event(), if acknowledged.len() < 1_000 => match event {
                Event::Acknowledged { id } => assert!(acknowledged.insert(id), "{id} twice"),
                other => lost.push(other),
            },
            (_, payload) = bob.message(), if arrived < 1_000 => {
                assert_eq!(payload, arrived.to_string());
                arrived += 1;
            }
        }
    }
    assert_eq!(lost, []);
    sending.await.unwrap();
}

/// The caller sends but takes nothing for longer than two keep-alive intervals; pings go on, and nothing is lost.
#[tokio::test]
async fn a_slow_listener_keeps_its_connection() {
    let Some(broker) = Mosquitto::start("") else { return };
    let quiet = settings(broker.port, broker.authority.client_config("bob"), "bob", "open/b");
    let mut bob = Link::start_with_room(quiet, 1);
    bob.connected().await;
    let mut alice = link(&broker, "alice", "open/a");
    alice.connected().await;
    for id in 0..100 {
        if id < 60 {
            bob.send(publish(id, "open/nobody", "x")).await;
        }
        alice.send(publish(id, "open/b", id.to_string())).await;
        assert_eq!(alice.event().await, Event::Acknowledged { id });
    }
    tokio::time::sleep(Duration::from_secs(12)).await;
    let (mut arrived, mut acknowledged) = (0_u64, 0);
    while arrived < 100 || acknowledged < 60 {
        match bob.event().await {
            Event::Message { payload, .. } => {
                assert_eq!(payload, arrived.to_string());
                arrived += 1;
            }
            Event::Acknowledged { id } => {
                assert_eq!(id, acknowledged);
                acknowledged += 1;
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_publish_that_is_too_large_is_refused_and_the_connection_stays() {
    let Some(broker) = Mosquitto::start("max_packet_size 2000") else { return };
    let mut alice = link(&broker, "alice", "open/a");
    alice.connected().await;
    alice.send(publish(1, "open/a", vec![0; 1_990])).await;
    match alice.event().await {
        Event::Refused { id: 1, reason } => assert!(reason.contains("the largest packet has 2000"), "{reason}"),
        other => panic!("{other:?}"),
    }
    // Two bytes of fixed header more than one, topic 6 with its length 2, packet identifier 2, properties 1.
    alice.send(publish(2, "open/a", vec![0; 2_000 - 3 - 8 - 2 - 1])).await;
    assert_eq!(alice.message().await.1.len(), 1_986);
    assert_eq!(alice.event().await, Event::Acknowledged { id: 2 });
}

#[tokio::test]
async fn a_topic_that_cannot_be_published_to_is_refused() {
    let Some(broker) = Mosquitto::start("") else { return };
    let mut alice = link(&broker, "alice", "open/a");
    alice.connected().await;
    for topic in ["", "open/+", "open/#", "nul\0"] {
        alice.send(publish(1, topic, "x")).await;
        assert!(matches!(alice.event().await, Event::Refused { id: 1, .. }), "{topic:?}");
    }
    alice.send(publish(2, "open/a", "x")).await;
    alice.message().await;
    assert_eq!(alice.event().await, Event::Acknowledged { id: 2 });
}

#[tokio::test]
async fn a_publish_that_the_acl_denies_is_refused() {
    let Some(broker) = Mosquitto::start("") else { return };
    let mut alice = link(&broker, "alice", "own/alice/#");
    alice.connected().await;
    alice.send(publish(1, "own/bob/x", "x")).await;
    let reason = "the broker refused it: not authorized".to_owned();
    assert_eq!(alice.event().await, Event::Refused { id: 1, reason });
}

/// Mosquitto with an ACL file grants every subscription and filters what it delivers instead.
#[tokio::test]
async fn a_subscription_that_the_acl_denies_is_granted_but_stays_silent() {
    let Some(broker) = Mosquitto::start("") else { return };
    let (mut alice, mut bob) = (link(&broker, "alice", "own/#"), link(&broker, "bob", "own/bob/x"));
    alice.connected().await;
    bob.connected().await;
    bob.send(publish(1, "own/bob/x", "secret")).await;
    bob.message().await;
    assert_eq!(bob.event().await, Event::Acknowledged { id: 1 });
    alice.send(publish(2, "own/alice/x", "mine")).await;
    assert_eq!(alice.message().await, ("own/alice/x".to_owned(), Bytes::from_static(b"mine")));
}

/// Mosquitto 2.0.11 only closes; another version may say why.
#[tokio::test]
async fn a_session_that_is_taken_over_ends() {
    let Some(broker) = Mosquitto::start("") else { return };
    let mut first = link(&broker, "alice", "open/a");
    first.connected().await;
    let mut second = link(&broker, "alice", "open/a");
    second.connected().await;
    let reason = first.disconnected().await;
    assert!(reason.contains("closed the connection") || reason.contains("session taken over"), "{reason}");
}

#[tokio::test]
async fn a_broker_of_another_fleet_is_refused() {
    let Some(broker) = Mosquitto::start("") else { return };
    let stranger = Authority::new().client_config("alice");
    let mut alice = Link::start(settings(broker.port, stranger, "alice", "open/a"));
    let reason = alice.disconnected().await;
    assert!(reason.starts_with("the TLS handshake with "), "{reason}");
    assert!(reason.contains("invalid peer certificate"), "{reason}");
}

#[tokio::test]
async fn a_client_without_a_certificate_is_told_by_the_broker() {
    let Some(broker) = Mosquitto::start("") else { return };
    let mut nobody = Link::start(settings(broker.port, unverified_client().unwrap(), "nobody", "open/a"));
    let reason = nobody.disconnected().await;
    assert!(reason.contains("received fatal alert: CertificateRequired"), "{reason}");
}

#[tokio::test]
async fn a_port_without_a_broker_is_named() {
    let port = free_port();
    let tls = unverified_client().unwrap();
    let mut alice = Link::start(settings(port, tls, "alice", "open/a"));
    let reason = alice.disconnected().await;
    assert!(reason.contains(&format!(":{port}: Connection refused")), "{reason}");
    assert_eq!(alice.stop().await, StopReason::PublishesClosed);
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_named() {
    let mut unknown = settings(1, unverified_client().unwrap(), "alice", "open/a");
    unknown.address.host = "broker.invalid".to_owned();
    let reason = Link::start(unknown).disconnected().await;
    assert!(reason.starts_with("the name \"broker.invalid\" cannot be looked up: "), "{reason}");
}
