//! Orders that people sign with keys of their own, two of three: with the real `aws`, the real command line and a real node; and a bridge
//! that is an attacker's, with all that lies in its home.
#![cfg(test)]

use ed25519_dalek::SigningKey;
use flotilla_api::audit::Hex;
use flotilla_api::blob::Blob;
use flotilla_api::client::CallError;
use flotilla_api::commands::SendCommandRequest;
use flotilla_api::orders::{GetPreparedOrderRequest, PutOrderSignatureRequest};
use flotilla_protocol::capability::ReportPayload;
use flotilla_protocol::capability::command::CommandResult;
use flotilla_protocol::delivery::Delivery;
use flotilla_protocol::envelope::{Domain, Envelope, seal};
use flotilla_protocol::id::{BootId, NodeId};
use flotilla_protocol::report::{ReportBody, Stream};
use flotilla_protocol::status::Outcome;
use flotilla_protocol::topic::{Topic, UpKind};
use flotilla_protocol::wire::{MAXIMUM_MESSAGE_BYTES, decode, encode};
use flotilla_tests::calls::shell_on;
use flotilla_tests::hostile::{Forgery, HostileBroker, order_topic};
use flotilla_tests::operators::People;
use flotilla_tests::python::Python;
use flotilla_tests::{Broker, Fleet, wait};
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
const PERSONS: [&str; 3] = ["ann", "bob", "cleo"];

/// Sends a command by the real `aws`, where there is one, else by our client; returns its id.
fn send_by_aws(fleet: &Fleet, node: &str, script: &str) -> String {
    let result = fleet.folder().join("command-id");
    let Some(python) = Python::find() else {
        let timeout_seconds = Some(14 * 86_400);
        return fleet.send(&SendCommandRequest { timeout_seconds, ..shell_on(node, script) });
    };
    python.run(fleet, "approvals.py", &[node, script, result.to_str().unwrap()]);
    std::fs::read_to_string(result).unwrap()
}

/// The node comes anew, and is told everything that is for it.
fn come_again(fleet: &mut Fleet) {
    fleet.nodes[0].stop();
    fleet.nodes[0].start();
    fleet.await_online();
}

fn lines(file: &Path) -> usize {
    std::fs::read_to_string(file).map_or(0, |text| text.lines().count())
}

fn status(fleet: &Fleet, command: &str, node: &str) -> String {
    fleet.invocation(command, node).status.unwrap_or_default()
}

#[test]
fn two_persons_sign_what_runs() {
    let mut fleet = Fleet::start(Broker::Embedded);
    let people = People::take_over(&mut fleet, &PERSONS, 2);
    fleet.add_nodes(1);
    let [node] = fleet.node_ids().try_into().unwrap();
    let runs = fleet.folder().join("runs");
    let script = format!("echo run >> {}", runs.display());

    // By aws: the operator of operator.env asks, Bob and Cleo approve.
    let order = send_by_aws(&fleet, &node, &script);
    let listed = people.flotilla("bob", &["orders", "list", "--state", "AwaitingSignature", "--output", "json"]).good().json();
    assert_eq!((listed[0]["OrderId"].as_str(), listed[0]["Missing"].as_u64()), (Some(order.as_str()), Some(2)), "{listed}");
    let shown = people.flotilla("bob", &["orders", "show", &order, "--output", "json"]).good().json();
    assert_eq!(shown["Parameters"]["commands"][0].as_str(), Some(script.as_str()), "{shown}");
    assert_eq!((shown["Nodes"][0].as_str(), shown["Threshold"].as_u64()), (Some(node.as_str()), Some(2)), "{shown}");
    let first = people.sign("bob", &order).good();
    assert!(first.out.contains(&script) && first.out.contains("1 more must sign, of: ann, cleo"), "{}", first.out);
    // One signature starts nothing, whatever the node asks for.
    come_again(&mut fleet);
    assert_eq!((status(&fleet, &order, &node).as_str(), lines(&runs)), ("Pending", 0));
    let again = people.sign("bob", &order);
    assert_eq!((again.code, again.errors.contains("AlreadySignedException")), (3, true), "{}", again.errors);
    let other_bytes = people.with_key("cleo", &["orders", "sign", &order, "--key", "cleo", "--yes", "--sha256", &"0".repeat(64)]);
    assert_eq!((other_bytes.code, other_bytes.errors.contains("another order")), (1, true), "{}", other_bytes.errors);
    let unread = people.with_key("cleo", &["orders", "sign", &order, "--key", "cleo"]);
    assert_eq!((unread.code, unread.errors.contains("nothing was signed")), (2, true), "{}", unread.errors);
    let second = people.sign("cleo", &order).good();
    assert!(second.out.contains("the bridge says: Released"), "{}", second.out);
    assert_eq!(fleet.await_end(&order, &node, LIMIT).status.as_deref(), Some("Success"));
    assert_eq!(lines(&runs), 1);

    // By our own command line: Ann asks and signs at once, Bob approves.
    let asked = ["run", "--node", &node, "--yes", "--no-wait", "--sign", "ann", "--", &script];
    let foreign = people.with_key("bob", &asked);
    assert_eq!((foreign.code, foreign.errors.contains("names \"bob\" as who asked for it")), (2, true), "{}", foreign.errors);
    let left = people.flotilla("bob", &["orders", "list", "--state", "AwaitingSignature", "--output", "json"]).good().json();
    let left = left[0]["OrderId"].as_str().unwrap().to_owned();
    let rejected = people.flotilla("ann", &["orders", "reject", &left, "--reason", "a test", "--output", "json"]).good().json();
    assert_eq!((rejected["State"].as_str(), status(&fleet, &left, &node).as_str()), (Some("Rejected"), "Cancelled"), "{rejected}");
    let late = people.sign("cleo", &left);
    assert_eq!((late.code, late.errors.contains("OrderCancelledException")), (3, true), "{}", late.errors);
    let own = people.with_key("ann", &asked).good();
    assert!(own.out.contains("1 more must sign"), "{}", own.out);
    let listed = people.flotilla("bob", &["orders", "list", "--state", "AwaitingSignature", "--output", "json"]).good().json();
    let order = listed[0]["OrderId"].as_str().unwrap().to_owned();
    drop(people.sign("bob", &order).good());
    assert_eq!(fleet.await_end(&order, &node, LIMIT).status.as_deref(), Some("Success"));
    assert_eq!(lines(&runs), 2);

    // Whoever is revoked has not signed, even before.
    drop(people.with_key("ann", &asked).good());
    let listed = people.flotilla("bob", &["orders", "list", "--state", "AwaitingSignature", "--output", "json"]).good().json();
    let order = listed[0]["OrderId"].as_str().unwrap().to_owned();
    people.revoke(&mut fleet, "ann");
    fleet.await_online();
    let shown = people.flotilla("bob", &["orders", "show", &order, "--output", "json"]).good().json();
    assert_eq!((shown["Signed"].as_array().map(Vec::len), shown["TrustVersion"].as_u64()), (Some(0), Some(3)), "{shown}");
    drop(people.sign("bob", &order).good());
    come_again(&mut fleet);
    assert_eq!((status(&fleet, &order, &node).as_str(), lines(&runs)), ("Pending", 2), "one of two counts");
    let revoked = people.sign("ann", &order);
    assert_eq!((revoked.code, revoked.errors.contains("may not sign orders of the class command")), (2, true), "{}", revoked.errors);
    drop(people.sign("cleo", &order).good());
    assert_eq!(fleet.await_end(&order, &node, LIMIT).status.as_deref(), Some("Success"));
    assert_eq!(lines(&runs), 3);
    // What was prepared, approved and signed is told, and the log holds.
    let told = |kind: &str| fleet_audit(&fleet, kind);
    assert_eq!([told("order-prepared"), told("order-approved"), told("order-rejected"), told("order-signed")], [4, 7, 1, 3]);
}

/// How many entries of a kind the audit log has.
fn fleet_audit(fleet: &Fleet, kind: &str) -> usize {
    let request = flotilla_api::audit::ListAuditEntriesRequest { kind: Some(kind.to_owned()), ..Default::default() };
    fleet.call(&request).entries.unwrap_or_default().len()
}

/// How many lines of a node's log say that something was refused for a reason.
fn refusals(fleet: &Fleet, index: usize, reason: &str) -> usize {
    fleet.nodes[index].log().lines().filter(|line| line.contains("refused") && line.contains(reason)).count()
}

/// Publishes to a node, which refuses it. Of each reason the first refusal is logged at once and waited for here, further ones seldom: that
/// nothing of them was done is seen at the end.
fn refused(fleet: &Fleet, broker: &mut HostileBroker, index: usize, what: &str, delivery: &[u8], reason: &str) {
    let before = refusals(fleet, index, reason);
    broker.publish(&order_topic(fleet, &fleet.node_ids()[index]), delivery, false);
    wait::until_true(LIMIT, &format!("{what}: node {index} refuses it as {reason}"), || before > 0 || refusals(fleet, index, reason) > 0);
}

fn seed(path: &Path) -> SigningKey {
    SigningKey::from_bytes(std::fs::read(path).unwrap().as_slice().try_into().unwrap())
}

#[test]
fn a_bridge_that_is_an_attackers_starts_nothing() {
    let mut fleet = Fleet::start(Broker::Mosquitto);
    let people = People::take_over(&mut fleet, &PERSONS, 2);
    fleet.add_nodes(2);
    let nodes = fleet.node_ids();
    let mut broker = HostileBroker::of(&fleet);
    let (runs, forged) = (fleet.folder().join("runs"), fleet.folder().join("forged"));
    let touch = format!("touch {}", forged.display());
    // One good order, which proves that the nodes go by the people's bundle, and which the attacker keeps.
    let good = fleet.send(&shell_on(&nodes[0], &format!("echo run >> {}", runs.display())));
    for person in ["ann", "bob"] {
        drop(people.sign(person, &good).good());
    }
    assert_eq!(fleet.await_end(&good, &nodes[0], LIMIT).status.as_deref(), Some("Success"));
    let topic = order_topic(&fleet, &nodes[0]);
    let (_, captured) = broker.captured(|seen| seen == topic);
    // One that only Ann has signed; the attacker knows her signature.
    let half = fleet.send(&shell_on(&nodes[0], &touch));
    drop(people.sign("ann", &half).good());
    let half_signed = fleet.call(&GetPreparedOrderRequest { order_id: half.clone() }).envelope.0;

    // At the API: signatures over other bytes, and by keys that are the bridge's.
    let envelope = Envelope::parse(&half_signed, Domain::Order).unwrap();
    let of_good: Delivery = decode(&captured).unwrap();
    let of_good = Envelope::parse(&of_good.envelope, Domain::Order).unwrap();
    let signature_of_bob = of_good.signatures()[1];
    let put = PutOrderSignatureRequest {
        order_id: half.clone(),
        body_sha256: Hex(flotilla_protocol::sha256(&[envelope.body()])),
        algorithm: signature_of_bob.algorithm,
        key_id: Hex(signature_of_bob.key.0),
        signature: Blob(signature_of_bob.bytes.to_vec()),
    };
    match fleet.client.call(&put) {
        Err(CallError::Refused { kind, .. }) => assert_eq!(kind, "InvalidOrderSignatureException"),
        other => panic!("another order's signature was taken: {other:?}"),
    }

    // From here on the bridge is the attacker's: its keys, its database, its connection.
    fleet.stop_bridge();
    let order = |signer: SigningKey| Forgery { signer, ..forgery(&fleet, &people, 0, &touch) };
    for (what, key) in [
        ("the bridge's key", fleet.home().key("bridge")),
        ("the key that tells the time", fleet.home().key("freshness")),
        ("the operator's key of before", people.former_operator_key()),
    ] {
        refused(&fleet, &mut broker, 0, what, &order(seed(&key)).delivery(), "signature");
    }
    let delivery = |envelope: Vec<u8>| encode(&Delivery { envelope, index: 0, proof: Vec::new(), node_data: Vec::new() });
    refused(&fleet, &mut broker, 0, "one of two signatures", &delivery(half_signed.clone()), "signature");
    let mut twice = half_signed.clone();
    twice[4] = 2;
    let entry = 11 + envelope.signatures()[0].bytes.len();
    let first = half_signed[5..5 + entry].to_vec();
    twice.splice(5..5, first);
    refused(&fleet, &mut broker, 0, "one signature twice", &delivery(twice), "malformed");
    // Bob's signature of another order beside Ann's of this one.
    let mixed = Envelope::parse(&half_signed, Domain::Order).unwrap().with_signature(signature_of_bob).unwrap();
    refused(&fleet, &mut broker, 0, "a signature of another order", &delivery(mixed), "signature");

    // The good order: another script, another node, other data, and once more.
    let kept: Delivery = decode(&captured).unwrap();
    let mut changed = kept.clone();
    let at = changed.envelope.windows(8).position(|window| window == b"echo run").unwrap();
    changed.envelope[at..at + 8].copy_from_slice(b"echo RUN");
    refused(&fleet, &mut broker, 0, "another script", &encode(&changed), "signature");
    refused(&fleet, &mut broker, 1, "an added target", &captured, "target");
    let widened = Delivery { index: 1, proof: vec![[0; 32]], ..kept.clone() };
    refused(&fleet, &mut broker, 1, "an added target with a proof", &encode(&widened), "target");
    let data = Delivery { node_data: b"evil".to_vec(), ..kept };
    refused(&fleet, &mut broker, 0, "other data for the node", &encode(&data), "target");
    for _ in 0..3 {
        broker.publish(&topic, &captured, false);
    }
    // Messages of a topic keep their order: when this one is refused, everything before it was looked at.
    for index in [0, 1] {
        refused(&fleet, &mut broker, index, "more than a message", &vec![0; MAXIMUM_MESSAGE_BYTES + 1], "too-large");
    }
    assert_eq!((lines(&runs), forged.exists()), (1, false), "something was started");
    come_again_without_a_bridge(&mut fleet);
    for _ in 0..3 {
        broker.publish(&topic, &captured, false);
    }
    // A result of an order that no node has run, signed by the bridge.
    let node: NodeId = nodes[0].parse().unwrap();
    let result = ReportPayload::CommandResult(CommandResult {
        order: half.parse().unwrap(),
        outcome: Outcome::Succeeded,
        explanation: String::new(),
        steps: Vec::new(),
    });
    let report = ReportBody {
        node,
        stream: Stream::Control,
        boot: BootId([1; 16]),
        sequence: 1_000,
        previous: [0; 32],
        oldest_held: 1_000,
        time_ms: None,
        payload: result.encode(),
    };
    let report = seal(Domain::Report, &encode(&report), &[&seed(&fleet.home().key("bridge"))]);
    // The honest bridge is back, and takes nothing of it.
    fleet.start_bridge();
    broker.publish(&Topic::Up { fleet: fleet.id(), node, kind: UpKind::Report }.to_string(), &report, false);
    fleet.await_online();
    let alive = fleet.send(&shell_on(&nodes[0], "echo alive"));
    for person in ["bob", "cleo"] {
        drop(people.sign(person, &alive).good());
    }
    assert_eq!(fleet.await_end(&alive, &nodes[0], LIMIT).status.as_deref(), Some("Success"));
    assert_eq!(status(&fleet, &half, &nodes[0]), "Pending", "a result that the node has not signed");
    assert_eq!((lines(&runs), forged.exists()), (1, false), "something was started");
}

/// An order to touch a file that nothing is wrong with but its signature.
fn forgery(fleet: &Fleet, people: &People, node: usize, script: &str) -> Forgery {
    let mut forgery = Forgery::signed_by(fleet, node, script, seed(&people.former_operator_key()));
    forgery.body.minimum_trust_version = 2;
    forgery
}

/// The node forgets what it holds in memory; what is durable decides.
fn come_again_without_a_bridge(fleet: &mut Fleet) {
    fleet.nodes[0].stop();
    fleet.nodes[0].start();
}
