//! Messages that are too large or make no sense, in both directions: set aside once, and the connection goes on.

use std::time::Duration;

use flotilla_link::Event;
use tokio::time::timeout;

use crate::harness::{Link, publish, settings};
use crate::scripted::{GRANTED, PUBACK, PUBLISH, ScriptedBroker, WELCOME};

fn link(broker: &ScriptedBroker) -> Link {
    Link::start(settings(broker.port, broker.authority.client_config("alice"), "alice", "f/+/d"))
}

/// The broker says 100 bytes; our own limit is far above.
#[tokio::test]
async fn the_largest_packet_of_the_broker_is_kept_to_and_what_is_larger_is_refused_once() {
    let broker = ScriptedBroker::start().await;
    let mut alice = link(&broker);
    let mut session = broker.accept_with(&[0x20, 8, 0, 0, 5, 0x27, 0, 0, 0, 100], GRANTED).await;
    alice.connected().await;
    // Fixed header 2, topic 2 + 3, identifier 2, properties 1: 90 bytes are left.
    alice.send(publish(1, "f/x", vec![b'x'; 91])).await;
    alice.send(publish(2, "f/x", vec![b'x'; 90])).await;
    let Event::Refused { id: 1, reason } = alice.event().await else { panic!("the first one is too large") };
    assert_eq!(reason, "it takes 101 bytes, and the largest packet has 100");
    let sent = session.expect(PUBLISH).await;
    assert_eq!(sent.len(), 98);
    session.send(&[0x40, 2, sent[5], sent[6]]).await;
    assert_eq!(alice.event().await, Event::Acknowledged { id: 2 });
    assert!(timeout(Duration::from_millis(300), session.packet()).await.is_err(), "the refused one is not tried again");
}

/// Not UTF-8, and an empty topic: acknowledged, or the broker would send them again for ever, and dropped.
#[tokio::test]
async fn messages_without_a_readable_topic_are_acknowledged_and_dropped() {
    let broker = ScriptedBroker::start().await;
    let mut alice = link(&broker);
    let mut session = broker.accept_with(WELCOME, GRANTED).await;
    alice.connected().await;
    session.send(&[0x32, 9, 0, 3, 0xff, 0xfe, 0xfd, 0, 9, 0, b'x']).await;
    assert_eq!(session.expect(PUBACK).await, [0, 9]);
    session.send(&[0x32, 6, 0, 0, 0, 10, 0, b'x']).await;
    assert_eq!(session.expect(PUBACK).await, [0, 10]);
    session.send(&[0x32, 9, 0, 3, b'f', b'/', b'd', 0, 11, 0, b'y']).await;
    assert!(matches!(alice.event().await, Event::Message { payload, .. } if payload.as_ref() == b"y"));
    assert_eq!(session.expect(PUBACK).await, [0, 11]);
}

/// A broker that ignores the limit that it was told loses the connection, and each time the pause before the next attempt grows.
#[tokio::test]
async fn a_broker_that_sends_what_is_too_large_again_and_again_does_not_make_a_loop_without_pauses() {
    let broker = ScriptedBroker::start().await;
    let mut alice = link(&broker);
    let begun = tokio::time::Instant::now();
    for _ in 0..8 {
        let mut session = broker.accept_with(WELCOME, GRANTED).await;
        alice.connected().await;
        // The fixed header of a PUBLISH of one megabyte, of which the limit allows a quarter.
        session.send(&[0x32, 0x80, 0x80, 0x40, 0, 3, b'f', b'/', b'd', 0, 9, 0]).await;
        let reason = alice.disconnected().await;
        assert!(!reason.is_empty());
    }
    // The ceilings of the pauses are 100, 200, 400, 800, 1000, … ms, and their jitter is even: together less than half a second is next to
    // impossible, and no pause at all is what must not be.
    assert!(begun.elapsed() > Duration::from_millis(400), "{:?}", begun.elapsed());
}
