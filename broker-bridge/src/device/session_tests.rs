//! Reports under the MAC of a session: what they may say, and what becomes of those that nobody can check.

use super::router::Router;
use super::stream_tests::{control, health, node};
use super::test_kit::{Kit, SimulatedNode, sealing_key};
use crate::fleet::activation::claim::Enrolment;
use crate::platform::pki::{Authorities, FleetCa};
use flotilla_protocol::envelope::{Domain, Envelope, SignatureEntry, seal};
use flotilla_protocol::hello::WelcomeBody;
use flotilla_protocol::id::OrderId;
use flotilla_protocol::report::{OutputStream, Stream};
use flotilla_protocol::session::{self, SessionBinding, SessionKey};
use flotilla_protocol::topic::{DownKind, Topic, UpKind};
use flotilla_protocol::wire::decode;
use std::sync::Arc;
use std::time::Duration;

type Message = (Topic, Vec<u8>);

const LETTERS: &str = "SELECT COUNT(*) FROM dead_letter";
const HEALTH: &str = "SELECT COUNT(*) FROM node_health";
const HEADS: &str = "SELECT COALESCE(SUM(sequence), 0) FROM node_stream";

fn welcome_of(kit: &mut Kit, node: &SimulatedNode) -> WelcomeBody {
    let welcome = kit.published_to(node.id, DownKind::Welcome).pop().unwrap();
    decode(Envelope::parse(&welcome, Domain::Welcome).unwrap().body()).unwrap()
}

/// Says hello and opens what is offered.
async fn session_of(kit: &mut Kit, node: &SimulatedNode, seed: u8) -> SessionKey {
    kit.published();
    kit.take([node.hello(&[])]).await;
    let welcome = welcome_of(kit, node);
    let binding = SessionBinding { fleet: kit.fleet.settings.fleet, node: node.id, nonce: welcome.nonce };
    session::open(&binding, &sealing_key(seed), &welcome.session().unwrap().unwrap()).unwrap()
}

/// The same report under a MAC.
fn under(session: &SessionKey, (topic, payload): &Message) -> Message {
    (*topic, Envelope::parse(payload, Domain::Report).unwrap().under_session(session).unwrap())
}

/// The bridge is started anew: another process, the same database.
fn restart(kit: &mut Kit) {
    let authority = FleetCa::create("test", kit.clock.now_ms() / 1000).unwrap();
    let enrolment = Enrolment::new(Authorities::one(authority), "broker.example".into(), 8883, 365 * 86_400);
    kit.router = Router::new(Arc::clone(&kit.fleet), enrolment);
}

#[tokio::test]
async fn telemetry_under_a_mac_is_taken_up_like_what_is_signed() {
    let mut kit = Kit::new().await;
    let (node, mut telemetry) = node(&kit).await;
    let session = session_of(&mut kit, &node, 20).await;
    let reports: Vec<Message> = (1..=3).map(|uptime_s| telemetry.report(&health(uptime_s))).collect();
    let gone = (Topic::Online { fleet: kit.fleet.settings.fleet, node: node.id }, b"0".to_vec());
    kit.take([gone]).await;
    kit.take([under(&session, &reports[0]), under(&session, &reports[1])]).await;
    assert_eq!(kit.receipts(node.id), [2]);
    assert_eq!(kit.count("SELECT online FROM node").await, 1, "it was heard");
    // Signed or not, it is the same report: a duplicate, and the next.
    kit.take([reports[1].clone(), under(&session, &reports[1]), reports[2].clone()]).await;
    assert_eq!(kit.receipts(node.id), [3]);
    kit.take([under(&session, &telemetry.gap(4))]).await;
    assert_eq!(kit.receipts(node.id), [7]);
    assert_eq!(kit.count("SELECT json_extract(health, '$.uptime_s') FROM node_health").await, 3);
    assert_eq!((kit.count(LETTERS).await, kit.router.forgotten_sessions()), (0, 0));
}

#[tokio::test]
async fn control_output_and_hellos_under_a_mac_are_refused_and_move_nothing() {
    let mut kit = Kit::new().await;
    let (mut node, _) = node(&kit).await;
    let session = session_of(&mut kit, &node, 20).await;
    let gone = (Topic::Online { fleet: kit.fleet.settings.fleet, node: node.id }, b"0".to_vec());
    kit.take([gone]).await;
    let report = node.report(&control());
    kit.take([under(&session, &report)]).await;
    assert_eq!((kit.count(LETTERS).await, kit.count(HEADS).await), (1, 0));
    assert_eq!(kit.count("SELECT COUNT(*) FROM dead_letter WHERE reason LIKE '%may be dropped%'").await, 1);
    assert!(kit.receipts(node.id).is_empty());
    assert_eq!(kit.count("SELECT online FROM node").await, 0, "not even that it is there");
    // The same entry in messages of other domains.
    let (topic, payload) = under(&session, &report);
    let mac = Envelope::parse(&payload, Domain::Report).unwrap().signatures()[0].bytes.to_vec();
    let entry = SignatureEntry { algorithm: 4, key: flotilla_protocol::id::KeyId(session.id()), bytes: &mac };
    let Topic::Up { fleet, node: id, .. } = topic else { panic!("{topic:?}") };
    for (kind, domain, message) in [
        (UpKind::Hello, Domain::Hello, node.hello(&[]).1),
        (UpKind::Output, Domain::Output, node.output(OrderId([1; 16]), OutputStream::Stdout, 0, b"x").1),
    ] {
        let body = Envelope::parse(&message, domain).unwrap().body().to_vec();
        let unsigned = seal(domain, &body, &[]);
        let payload = Envelope::parse(&unsigned, domain).unwrap().with_signature(entry).unwrap();
        kit.take([(Topic::Up { fleet, node: id, kind }, payload)]).await;
    }
    assert_eq!((kit.count(LETTERS).await, kit.published().len()), (3, 0));
    // What is signed moves it.
    kit.take([report]).await;
    assert_eq!((kit.receipts(node.id), kit.count(HEADS).await), (vec![1], 1));
}

#[tokio::test]
async fn after_a_restart_sessions_of_before_are_dropped_without_a_word_until_the_next_hello() {
    let mut kit = Kit::new().await;
    let (node, mut telemetry) = node(&kit).await;
    let session = session_of(&mut kit, &node, 20).await;
    restart(&mut kit);
    kit.published();
    let report = telemetry.report(&health(1));
    for _ in 0..5 {
        kit.take([under(&session, &report)]).await;
    }
    assert_eq!((kit.count(LETTERS).await, kit.count(HEALTH).await, kit.published().len()), (0, 0, 0));
    assert_eq!(kit.router.forgotten_sessions(), 5);
    // Signed it is taken, and so it is in the session of now.
    kit.take([report]).await;
    assert_eq!(kit.receipts(node.id), [1]);
    let session = session_of(&mut kit, &node, 20).await;
    kit.take([under(&session, &telemetry.report(&health(2)))]).await;
    assert_eq!(kit.receipts(node.id), [2]);
    // A session that was not used for long is as unknown.
    kit.clock.advance(Duration::from_secs(8 * 3600));
    let third = telemetry.report(&health(3));
    kit.take([under(&session, &third)]).await;
    assert_eq!((kit.router.forgotten_sessions(), kit.count(LETTERS).await), (6, 0));
    assert_eq!(kit.count("SELECT json_extract(health, '$.uptime_s') FROM node_health").await, 2);
}

#[tokio::test]
async fn a_wrong_mac_is_refused_like_a_wrong_signature() {
    let mut kit = Kit::new().await;
    let (node, mut telemetry) = node(&kit).await;
    let session = session_of(&mut kit, &node, 20).await;
    let signed = telemetry.report(&health(1));
    let (topic, good) = under(&session, &signed);
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        (topic, bytes)
    };
    let cut = |length: u8| {
        with(&|bytes| {
            bytes.drain(16 + usize::from(length)..48);
            bytes[14] = length;
        })
    };
    let last = good.len() - 1;
    let long = with(&|bytes| {
        bytes.insert(48, 0);
        bytes[14] = 33;
    });
    let wrong = [
        with(&|bytes| bytes[16] ^= 1),
        with(&|bytes| bytes[47] ^= 0x80),
        with(&|bytes| bytes[last] ^= 1),
        // The hash in the id, of which the key follows.
        with(&|bytes| bytes[13] ^= 1),
        cut(31),
        cut(16),
        cut(0),
        long,
        // The key of a session that was never offered, under an id that was.
        under(&SessionKey::new(session.id(), [1; 32]), &signed),
    ];
    let count = i64::try_from(wrong.len()).unwrap();
    kit.take(wrong).await;
    assert_eq!((kit.count(LETTERS).await, kit.count(HEALTH).await), (count, 0));
    assert!(kit.receipts(node.id).is_empty());
    kit.take([(topic, good.clone())]).await;
    assert_eq!(kit.receipts(node.id), [1]);
}

#[tokio::test]
async fn another_nodes_session_is_worth_nothing() {
    let mut kit = Kit::new().await;
    let (node, mut telemetry) = node(&kit).await;
    let other = kit.online_node(21).await;
    let others = session_of(&mut kit, &other, 21).await;
    let own = session_of(&mut kit, &node, 20).await;
    let report = telemetry.report(&health(1));
    // By the other node, in the name of this one: with its own session, and with that of this one, which has an id that it may know.
    let by_id = SessionKey::new(own.id(), [1; 32]);
    kit.take([under(&others, &report), under(&by_id, &report)]).await;
    assert_eq!((kit.count(LETTERS).await, kit.count(HEALTH).await), (2, 0));
    // On the topic of the other node, as its own: the body names this one.
    let Topic::Up { fleet, kind, .. } = report.0 else { panic!("a report") };
    let (_, payload) = under(&others, &report);
    kit.take([(Topic::Up { fleet, node: other.id, kind }, payload)]).await;
    assert_eq!((kit.count(LETTERS).await, kit.count(HEALTH).await), (3, 0));
    assert!(kit.receipts(node.id).is_empty() && kit.receipts(other.id).is_empty());
}

#[tokio::test]
async fn beside_a_signature_the_signature_alone_counts() {
    let mut kit = Kit::new().await;
    let (node, mut telemetry) = node(&kit).await;
    let session = session_of(&mut kit, &node, 20).await;
    let (topic, signed) = telemetry.report(&health(1));
    let (_, with_mac) = under(&session, &(topic, signed.clone()));
    let mac = Envelope::parse(&with_mac, Domain::Report).unwrap();
    let both = Envelope::parse(&signed, Domain::Report).unwrap().with_signature(mac.signatures()[0]).unwrap();
    let mut wrong = both.clone();
    wrong[20] ^= 1;
    // A good MAC beside a signature that is none, and beside one of an algorithm that nobody knows.
    kit.take([(topic, wrong)]).await;
    let unknown = SignatureEntry { algorithm: 200, key: flotilla_protocol::id::KeyId([1; 8]), bytes: b"?" };
    kit.take([(topic, mac.with_signature(unknown).unwrap())]).await;
    assert_eq!((kit.count(LETTERS).await, kit.count(HEALTH).await), (2, 0));
    kit.take([(topic, both)]).await;
    assert_eq!((kit.count(LETTERS).await, kit.count(HEALTH).await, kit.receipts(node.id)), (2, 1, vec![1]));
}

#[tokio::test]
async fn quarantined_and_removed_nodes_get_no_more_by_a_mac_than_by_a_signature() {
    let mut kit = Kit::new().await;
    let (mut node, mut telemetry) = node(&kit).await;
    let session = session_of(&mut kit, &node, 20).await;
    // Two contradicting reports, both under the MAC: a copy is seen here too.
    let mut copy = telemetry.clone();
    kit.take([under(&session, &telemetry.report(&health(1))), under(&session, &copy.report(&health(2)))]).await;
    assert_eq!(kit.count("SELECT COUNT(*) FROM node WHERE quarantined_ms IS NOT NULL").await, 1);
    kit.published();
    kit.take([under(&session, &telemetry.report(&health(3))), node.report(&control()), node.hello(&[])]).await;
    assert_eq!((kit.count(HEADS).await, kit.count(LETTERS).await), (1, 0));
    assert!(kit.published().is_empty(), "no receipt, and no further session");
    // What is wrong is as wrong as before.
    let (topic, mut wrong) = under(&session, &telemetry.report(&health(4)));
    wrong[16] ^= 1;
    kit.take([(topic, wrong)]).await;
    assert_eq!(kit.count(LETTERS).await, 1);
    let mut write = kit.fleet.store.write().await.unwrap();
    crate::fleet::node::store::deregister(&mut write, node.id, kit.clock.now_ms()).await.unwrap();
    write.commit().await.unwrap();
    kit.take([under(&session, &telemetry.report(&health(5)))]).await;
    assert_eq!((kit.count(HEADS).await, kit.count(LETTERS).await, kit.published().len()), (1, 1, 0));
    // A stranger's node has no session at all.
    let mut unknown = SimulatedNode { stream: Stream::Telemetry, ..SimulatedNode::new(99) };
    kit.take([under(&session, &unknown.report(&health(1)))]).await;
    assert_eq!((kit.count(LETTERS).await, kit.router.forgotten_sessions()), (2, 0));
}

#[tokio::test]
async fn a_node_without_a_usable_sealing_key_is_welcomed_without_a_session() {
    let mut kit = Kit::new().await;
    let node = kit.node(20).await;
    kit.weaken_sealing_key(node.id).await;
    kit.take([node.hello(&[])]).await;
    assert_eq!(welcome_of(&mut kit, &node).offers, []);
}
