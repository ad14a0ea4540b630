//! What mosquitto never says: refusals, dictated limits, faults.

use std::time::Duration;

use flotilla_link::{Event, KnownTime, SettingsError, StopReason, TlsError, fleet_client, node_client, unverified_client};
use tokio::time::{Instant, timeout};

use crate::certificates::Authority;
use crate::harness::{Link, publish, settings};
use crate::scripted::{CONNECT, DISCONNECT, GRANTED, PINGREQ, PUBACK, PUBLISH, SUBSCRIBE, ScriptedBroker, WELCOME};

fn link(broker: &ScriptedBroker) -> Link {
    Link::start(settings(broker.port, broker.authority.client_config("alice"), "alice", "f/+/d"))
}

#[tokio::test]
async fn a_refused_subscription_is_a_failed_attempt() {
    let broker = ScriptedBroker::start().await;
    let mut alice = link(&broker);
    for (code, text) in [(0x87, "not authorized"), (0x00, "granted without acknowledgements only")] {
        let _session = broker.accept_with(WELCOME, &[0x90, 4, 0, 1, 0, code]).await;
        let reason = format!("the broker refused the subscription to \"f/+/d\": {text}");
        assert_eq!(alice.event().await, Event::Disconnected { reason });
    }
    let _session = broker.accept_with(WELCOME, GRANTED).await;
    assert_eq!(alice.event().await, Event::Connected);
}

#[tokio::test]
async fn a_refused_connection_names_the_code() {
    let broker = ScriptedBroker::start().await;
    let mut alice = link(&broker);
    let mut session = broker.accept().await;
    session.expect(CONNECT).await;
    session.send(&[0x20, 3, 0, 0x87, 0]).await;
    assert_eq!(alice.disconnected().await, "the broker refused the connection: not authorized");
}

#[tokio::test]
async fn the_farewell_of_a_broker_is_quoted() {
    let broker = ScriptedBroker::start().await;
    let mut alice = link(&broker);
    let mut session = broker.accept_with(WELCOME, GRANTED).await;
    alice.connected().await;
    // DISCONNECT 0x8B with the reason string "bye".
    session.send(&[0xe0, 8, 0x8b, 6, 0x1f, 0, 3, b'b', b'y', b'e']).await;
    assert_eq!(alice.disconnected().await, "the broker disconnected: server shutting down (bye)");
}

/// MQTT lets the broker leave out the length of the properties; the library then never sees the packet.
#[tokio::test]
async fn a_farewell_without_properties_is_understood() {
    let broker = ScriptedBroker::start().await;
    let mut alice = link(&broker);
    let mut session = broker.accept_with(WELCOME, GRANTED).await;
    alice.connected().await;
    session.send(&[0xe0, 1, 0x8e]).await;
    drop(session);
    assert_eq!(alice.disconnected().await, "the broker disconnected: session taken over");
}

#[tokio::test]
async fn a_message_before_the_grant_is_told_after_connected_and_acknowledged_then() {
    let broker = ScriptedBroker::start().await;
    let mut alice = link(&broker);
    let mut session = broker.accept().await;
    session.expect(CONNECT).await;
    session.send(WELCOME).await;
    session.expect(SUBSCRIBE).await;
    session.send(&[0x32, 9, 0, 3, b'f', b'/', b'd', 0, 9, 0, b'x']).await;
    session.send(GRANTED).await;
    assert_eq!(alice.event().await, Event::Connected);
    assert!(matches!(alice.event().await, Event::Message { .. }));
    assert_eq!(session.expect(PUBACK).await, [0, 9]);
}

/// The broker allows five at once, then in the next connection two; an old table of packet identifiers would jam.
#[tokio::test]
async fn the_window_follows_the_broker_and_what_was_in_flight_is_dropped() {
    let broker = ScriptedBroker::start().await;
    let mut alice = link(&broker);
    let mut session = broker.accept_with(&[0x20, 6, 0, 0, 3, 0x21, 0, 5], GRANTED).await;
    alice.connected().await;
    for id in 0..20 {
        alice.send(publish(id, "f/x", id.to_string())).await;
    }
    for id in 0..4_u64 {
        assert!(session.expect(PUBLISH).await.ends_with(id.to_string().as_bytes()));
    }
    assert!(timeout(Duration::from_millis(300), session.packet()).await.is_err(), "a fifth publish");
    drop(session);
    alice.disconnected().await;
    let mut session = broker.accept_with(&[0x20, 6, 0, 0, 3, 0x21, 0, 2], GRANTED).await;
    alice.connected().await;
    for id in 4..20_u64 {
        let sent = session.expect(PUBLISH).await;
        assert!(sent.ends_with(id.to_string().as_bytes()), "{id}: {sent:?}");
        // After the topic with its length comes the packet identifier.
        session.send(&[0x40, 2, sent[5], sent[6]]).await;
        assert_eq!(alice.event().await, Event::Acknowledged { id });
    }
}

#[tokio::test]
async fn a_refused_publish_quotes_the_broker_and_others_go_on() {
    let broker = ScriptedBroker::start().await;
    let mut alice = link(&broker);
    let mut session = broker.accept_with(WELCOME, GRANTED).await;
    alice.connected().await;
    alice.send(publish(1, "f/x", "1")).await;
    let sent = session.expect(PUBLISH).await;
    session.send(&[0x40, 9, sent[5], sent[6], 0x97, 5, 0x1f, 0, 2, b'n', b'o']).await;
    let reason = "the broker refused it: quota exceeded (no)".to_owned();
    assert_eq!(alice.event().await, Event::Refused { id: 1, reason });
    alice.send(publish(2, "f/x", "2")).await;
    let sent = session.expect(PUBLISH).await;
    session.send(&[0x40, 4, sent[5], sent[6], 0x10, 0]).await;
    assert_eq!(alice.event().await, Event::Acknowledged { id: 2 });
}

/// Zero means that the broker does not care. The library would ping without a pause.
#[tokio::test]
async fn a_keep_alive_of_zero_from_the_broker_does_not_make_it_spin() {
    let broker = ScriptedBroker::start().await;
    let mut alice = link(&broker);
    let mut session = broker.accept_with(&[0x20, 6, 0, 0, 3, 0x13, 0, 0], GRANTED).await;
    alice.connected().await;
    let mut pings = 0;
    while let Ok((kind, _)) = timeout(Duration::from_secs(2), session.packet()).await {
        assert_eq!(kind, PINGREQ);
        session.send(&[0xd0, 0]).await;
        pings += 1;
        assert!(pings < 3, "it pings without a pause");
    }
}

#[tokio::test]
async fn a_broker_that_answers_no_ping_is_left() {
    let broker = ScriptedBroker::start().await;
    let mut alice = link(&broker);
    let _session = broker.accept_with(WELCOME, GRANTED).await;
    alice.connected().await;
    let since = Instant::now();
    assert_eq!(alice.disconnected().await, "the broker did not answer a ping");
    assert!(since.elapsed() < Duration::from_secs(12));
}

/// The peer reads nothing, so that every buffer is full and the library hangs in a write.
#[tokio::test]
async fn a_broker_that_reads_nothing_is_left() {
    let broker = ScriptedBroker::start().await;
    let mut stuck = settings(broker.port, broker.authority.client_config("alice"), "alice", "f/+/d");
    stuck.maximum_packet_bytes = 64 << 20;
    let mut alice = Link::start(stuck);
    let _session = broker.accept_with(WELCOME, GRANTED).await;
    alice.connected().await;
    alice.send(publish(1, "f/x", vec![0; 32 << 20])).await;
    assert_eq!(alice.disconnected().await, "the connection made no progress for two keep-alive intervals");
}

#[tokio::test]
async fn a_stop_says_farewell() {
    let broker = ScriptedBroker::start().await;
    let mut alice = link(&broker);
    let mut session = broker.accept_with(WELCOME, GRANTED).await;
    alice.connected().await;
    let stopping = tokio::spawn(alice.stop());
    // A normal DISCONNECT; the reason code of zero may be left out.
    let rest = session.expect(DISCONNECT).await;
    assert!(rest.iter().all(|byte| *byte == 0), "{rest:?}");
    drop(session);
    assert_eq!(stopping.await.unwrap(), StopReason::PublishesClosed);
}

#[tokio::test]
async fn what_is_not_mqtt_is_a_failed_attempt() {
    let broker = ScriptedBroker::start().await;
    let mut alice = link(&broker);
    for answer in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], &[0xff; 64], &[0x20, 0], &[0x20, 0xff, 0xff, 0xff, 0x7f]] {
        let mut session = broker.accept().await;
        session.expect(CONNECT).await;
        session.send(answer).await;
        assert!(matches!(alice.event().await, Event::Disconnected { .. }));
    }
    let _session = broker.accept_with(WELCOME, GRANTED).await;
    assert_eq!(alice.event().await, Event::Connected);
}

#[tokio::test]
async fn the_claim_listener_takes_any_certificate() {
    let broker = ScriptedBroker::start().await;
    let mut device = Link::start(settings(broker.port, unverified_client().unwrap(), "claim", "claim/x/d"));
    let _session = broker.accept_with(WELCOME, GRANTED).await;
    assert_eq!(device.event().await, Event::Connected);
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let broker = ScriptedBroker::start().await;
    let mut misled = settings(broker.port, broker.authority.client_config("alice"), "alice", "f/+/d");
    misled.address.host = "127.0.0.1".to_owned();
    let mut alice = Link::start(misled);
    let (reason, ()) = tokio::join!(alice.disconnected(), broker.accept_and_fail());
    assert!(reason.contains("certificate not valid for name \"127.0.0.1\""), "{reason}");
}

/// The floor is far behind the end of every certificate.
#[tokio::test]
async fn certificates_are_judged_at_the_time_floor() {
    let broker = ScriptedBroker::start().await;
    let identity = broker.authority.client("alice");
    let far_future = Some(1 << 40);
    let tls = fleet_client(&broker.authority.der, &identity.der, identity.key.serialized_der(), far_future).unwrap();
    let mut alice = Link::start(settings(broker.port, tls, "alice", "f/+/d"));
    let (reason, ()) = tokio::join!(alice.disconnected(), broker.accept_and_fail());
    assert!(reason.contains("certificate expired"), "{reason}");
}

/// Certificates of this test are valid from 1975 to 4096. The node's time may lie before that, and behind it they have run out, whatever the
/// system clock says.
#[tokio::test]
async fn a_node_judges_the_broker_by_what_it_knows_of_the_time() {
    let broker = ScriptedBroker::start().await;
    let identity = broker.authority.client("alice");
    let stranger = Authority::new();
    let link = |authority: &[u8], time: &KnownTime| {
        let tls = node_client(authority, &identity.der, identity.key.serialized_der(), time).unwrap();
        Link::start(settings(broker.port, tls, "alice", "f/+/d"))
    };
    let time = KnownTime::new(0);
    let mut in_1970 = link(&broker.authority.der, &time);
    let (session, ()) = tokio::join!(broker.accept_with(WELCOME, GRANTED), in_1970.connected());
    drop((session, in_1970));

    let mut two_authorities = link(&[stranger.der.clone(), broker.authority.der.clone()].concat(), &time);
    let (session, ()) = tokio::join!(broker.accept_with(WELCOME, GRANTED), two_authorities.connected());
    drop((session, two_authorities));

    let mut elsewhere = link(&stranger.der, &time);
    let (reason, ()) = tokio::join!(elsewhere.disconnected(), broker.accept_and_fail());
    assert!(reason.contains("certificate"), "{reason}");
    drop(elsewhere);

    let mut too_late = link(&broker.authority.der, &time);
    time.set(1 << 40);
    let (reason, ()) = tokio::join!(too_late.disconnected(), broker.accept_and_fail());
    assert!(reason.contains("certificate expired"), "{reason}");
    // The same connection goes on when the time is taken back: it was pushed.
    time.set(0);
    let (session, ()) = tokio::join!(broker.accept_with(WELCOME, GRANTED), too_late.connected());
    drop((session, too_late));
}

#[tokio::test]
async fn a_key_of_another_certificate_is_refused() {
    let authority = Authority::new();
    let (alice, bob) = (authority.client("alice"), authority.client("bob"));
    let mixed = fleet_client(&authority.der, &alice.der, bob.key.serialized_der(), None);
    assert!(matches!(mixed, Err(TlsError::Identity(_))));
}

#[tokio::test]
async fn unusable_settings_are_named_and_nothing_is_tried() {
    let mut unusable = settings(1, unverified_client().unwrap(), "alice", "f/+/d");
    unusable.in_flight = 0;
    let stopped = Link::start(unusable).stop().await;
    assert_eq!(stopped, StopReason::Settings(SettingsError::InFlight(0)));
}

/// As the broker may say it: with the length of its properties, and without.
#[tokio::test]
async fn a_farewell_is_the_reason_in_both_of_its_forms_and_the_link_comes_again() {
    let broker = ScriptedBroker::start().await;
    let mut alice = Link::start(settings(broker.port, broker.authority.client_config("alice"), "alice", "f/+/d"));
    for farewell in [&[0xe0, 2, 0x8e, 0][..], &[0xe0, 1, 0x8e]] {
        let mut session = broker.accept_with(WELCOME, GRANTED).await;
        alice.connected().await;
        session.send(farewell).await;
        drop(session);
        assert_eq!(alice.disconnected().await, "the broker disconnected: session taken over");
    }
}
