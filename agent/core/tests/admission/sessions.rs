//! Sessions: what goes out under a MAC, what never does, and when a session is given up.

use crate::kit::{CLOCK, HOUR_MS, Heard, Node, START_MS, key, node, node_key, order, order_id};
use crate::secrets::sealing_key;
use flotilla_agent_core::{Floor, Input};
use flotilla_protocol::envelope::{Domain, Envelope, seal};
use flotilla_protocol::hello::WelcomeBody;
use flotilla_protocol::report::{OutputStream, ReportBody, Stream};
use flotilla_protocol::secret::SealingKey;
use flotilla_protocol::session::{self, SessionBinding, SessionKey};
use flotilla_protocol::topic::DownKind;
use flotilla_protocol::wire::{Payload, decode, encode};

const BOTH: [(Stream, u64); 2] = [(Stream::Control, 0), (Stream::Telemetry, 0)];
/// Longer than the longest pause between two reports of the kit's node.
const LATER_MS: u64 = 70_000;

fn session(number: u8) -> SessionKey {
    SessionKey::new([number; 8], [number; 32])
}

/// A node whose bridge offers this session; it is not connected yet.
fn offered(number: u8) -> Node {
    let mut node = Node::telling(&BOTH);
    node.session = Some(session(number));
    node
}

fn greet(node: &mut Node) -> Heard {
    let hello = node.connect();
    node.welcome(hello.nonce, START_MS)
}

/// What was sent of a stream: sequence, and the session, or nothing where it is signed. Every envelope proves what it says.
fn sent(heard: &Heard, stream: Stream) -> Vec<(u64, Option<u8>)> {
    let mut sent = Vec::new();
    for (domain, bytes) in &heard.sent {
        let envelope = Envelope::parse(bytes, *domain).unwrap();
        let number = envelope.session_id().map(|id| id[0]);
        match number {
            Some(number) => assert!(envelope.is_of_session(&session(number))),
            None => assert!(envelope.is_signed_by(&node_key().verifying_key()), "what is no report under a MAC is signed"),
        }
        if *domain == Domain::Report {
            let report: ReportBody = decode(envelope.body()).unwrap();
            sent.extend((report.stream == stream).then_some((report.sequence, number)));
        }
    }
    sent
}

#[test]
fn telemetry_goes_out_in_the_session_and_is_recorded_signed() {
    let mut node = offered(7);
    let greeted = greet(&mut node);
    assert_eq!(sent(&greeted, Stream::Telemetry), [(1, Some(7))]);
    let (_, head) = greeted.reports[0].clone();
    assert_eq!(node.receipt_of(Stream::Telemetry, 1, head).refused, [], "its place in the chain is that of the signed one");
    let later = node.pass(LATER_MS);
    assert_eq!(sent(&later, Stream::Telemetry), [(2, Some(7))]);
    assert_eq!(later.reports[0].0.previous, head);
    // The journal has it signed, and nothing of the session.
    let records = node.core.snapshot();
    let text = format!("{records:?} {:?}", node.core);
    assert!(!text.contains(&format!("{:?}", [7_u8; 32])), "a key is told");
    let mut node = node.restarted(&records, &Floor::default(), None);
    assert_eq!(sent(&greet(&mut node), Stream::Telemetry), [(2, None)], "after a start without a session: as it was signed");
}

#[test]
fn control_output_and_hellos_are_always_signed() {
    let mut node = offered(7);
    let mut all = greet(&mut node);
    all.add(node.deliver(&order(1)));
    all.add(node.handle(Input::OutputGrew { order: order_id(1), step: 0, stream: OutputStream::Stdout, kept_bytes: 3 }));
    all.add(node.handle(Input::OutputRead {
        order: order_id(1),
        step: 0,
        stream: OutputStream::Stdout,
        offset: 0,
        bytes: b"abc".to_vec(),
    }));
    all.add(node.end(order_id(1)));
    // All of it again, and another hello.
    all.add(node.pass(6_000));
    all.add(node.pass(2 * HOUR_MS));
    let control = sent(&all, Stream::Control);
    assert!(control.len() >= 6 && control.iter().all(|(_, session)| session.is_none()), "{control:?}");
    assert!(sent(&all, Stream::Telemetry).iter().any(|(_, session)| *session == Some(7)));
    for domain in [Domain::Hello, Domain::Output] {
        assert!(all.sent.iter().any(|(of, _)| *of == domain), "{domain:?}");
    }
}

#[test]
fn a_session_ends_with_its_connection_and_a_welcome_without_one_ends_it_too() {
    let mut node = offered(7);
    assert_eq!(sent(&greet(&mut node), Stream::Telemetry), [(1, Some(7))]);
    let holds_one = |node: &Node| format!("{:?}", node.core).contains("SessionKey");
    assert!(holds_one(&node));
    node.handle(Input::Disconnected);
    assert!(!holds_one(&node), "it is wiped at once, and not with the next welcome");
    node.session = None;
    assert_eq!(sent(&greet(&mut node), Stream::Telemetry), [(1, None)], "another connection, and no offer on it");
    node.session = Some(session(8));
    let first = greet(&mut node);
    assert_eq!(sent(&first, Stream::Telemetry), [(1, Some(8))]);
    node.receipt_of(Stream::Telemetry, 1, first.reports[0].1);
    // A hello on the same connection; until its answer the session lasts.
    let second = node.pass(2 * HOUR_MS);
    assert_eq!(sent(&second, Stream::Telemetry), [(2, Some(8))]);
    node.receipt_of(Stream::Telemetry, 2, second.reports[0].1);
    node.session = Some(session(9));
    assert_eq!(node.welcome(second.hello.unwrap().nonce, START_MS).refused, []);
    let third = node.pass(LATER_MS);
    assert_eq!(sent(&third, Stream::Telemetry), [(3, Some(9))]);
    node.receipt_of(Stream::Telemetry, 3, third.reports[0].1);
    // And an answer without an offer.
    let fourth = node.pass(2 * HOUR_MS);
    node.receipt_of(Stream::Telemetry, 4, fourth.reports[0].1);
    node.session = None;
    assert_eq!(node.welcome(fourth.hello.unwrap().nonce, START_MS).refused, []);
    assert_eq!(sent(&node.pass(LATER_MS), Stream::Telemetry), [(5, None)]);
}

#[test]
fn what_gets_no_receipt_is_signed_the_third_time_until_another_session_is_offered() {
    let mut node = offered(7);
    let mut forms = vec![sent(&greet(&mut node), Stream::Telemetry)];
    let mut hello = None;
    for _ in 0..3 {
        let heard = node.pass(10_000);
        hello = hello.or_else(|| heard.hello.clone());
        forms.push(sent(&heard, Stream::Telemetry));
    }
    assert_eq!(forms, [vec![(1, Some(7))], vec![(1, Some(7))], vec![(1, None)], vec![(1, None)]]);
    // A receipt does not bring the session back: the bridge that signs it may be another than the one that offered it.
    let head = node.pass(10_000).reports[0].1;
    node.receipt_of(Stream::Telemetry, 1, head);
    let second = node.pass(LATER_MS);
    assert_eq!(sent(&second, Stream::Telemetry), [(2, None)]);
    node.receipt_of(Stream::Telemetry, 2, second.reports[0].1);
    // The answer to the hello that it says then does.
    let hello = node.pass(2 * HOUR_MS).hello.or(hello).expect("it asks");
    node.session = Some(session(8));
    node.welcome(hello.nonce, START_MS);
    let third = sent(&node.pass(10_000), Stream::Telemetry);
    assert_eq!(third.last().map(|(_, session)| *session), Some(Some(8)), "{third:?}");
}

/// The bridge was restarted: it welcomes the node, and the receipt for what was signed comes after that.
#[test]
fn a_session_that_is_offered_while_a_receipt_is_late_lasts() {
    let mut node = offered(7);
    greet(&mut node);
    let mut last = node.pass(10_000);
    while last.hello.is_none() {
        last = node.pass(10_000);
    }
    assert_eq!(sent(&last, Stream::Telemetry), [(1, None)], "signed, and asked at once");
    node.session = Some(session(8));
    assert_eq!(node.welcome(last.hello.unwrap().nonce, START_MS).refused, []);
    node.receipt_of(Stream::Telemetry, 1, last.reports[0].1);
    assert_eq!(sent(&node.pass(LATER_MS), Stream::Telemetry), [(2, Some(8))]);
}

#[test]
fn an_offer_that_does_not_open_stops_nothing() {
    let own = sealing_key().public();
    let offer = |to: &[u8; 32], nonce| {
        let binding = SessionBinding { fleet: order(1).fleet, node: node(), nonce };
        WelcomeBody::offer_of_session(&session::seal(&binding, to, &session(7), &[9; 32]).unwrap())
    };
    for what in ["to another key", "for another hello", "cut", "of a kind of the future", "as it should be"] {
        let mut node = Node::telling(&BOTH);
        let hello = node.connect();
        let good = offer(&own, hello.nonce);
        let (offered, expected) = match what {
            "to another key" => (offer(&SealingKey::new([1; 32]).public(), hello.nonce), None),
            "for another hello" => (offer(&own, [99; 32]), None),
            "cut" => (Payload { body: good.body[..87].to_vec(), ..good }, None),
            "of a kind of the future" => (Payload { kind: 2, ..good }, None),
            _ => (good, Some(7)),
        };
        let body = WelcomeBody {
            node: hello.node,
            nonce: hello.nonce,
            time_ms: START_MS,
            bundles: Vec::new(),
            resend_minimum_ms: 5_000,
            resend_maximum_ms: 10_000,
            reconnect_spread_s: 0,
            chains: BOTH.to_vec(),
            offers: vec![offered],
        };
        let heard = node.say(DownKind::Welcome, &seal(Domain::Welcome, &encode(&body), &[&key(CLOCK)]));
        assert_eq!(heard.refused, [], "{what}");
        assert_eq!(sent(&heard, Stream::Telemetry), [(1, expected)], "{what}");
        assert_eq!(node.deliver(&order(1)).accepted(), [order_id(1)], "{what}");
    }
}
