//! How a device becomes a node, and how it does not: each failure is a sentence on the device, a line on the bridge, and nothing half
//! done.
#![cfg(test)]

use flotilla_api::Timestamp;
use flotilla_api::activations::{CreateActivationRequest, DeleteActivationRequest, DescribeActivationsRequest};
use flotilla_api::nodes::{DeregisterManagedInstanceRequest, DescribeInstanceInformationRequest};
use flotilla_protocol::enrolment::{Activation, ClaimBody, ClaimReplyBody, ClaimRequest, Enrolled};
use flotilla_protocol::envelope::{Domain, Envelope, seal};
use flotilla_protocol::topic::Topic;
use flotilla_protocol::wire::{ByteVec, decode, encode};
use flotilla_tests::hostile::HostileBroker;
use flotilla_tests::node::Node;
use flotilla_tests::{Broker, Fleet, clock, wait};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

fn nodes(fleet: &Fleet) -> usize {
    fleet.call(&DescribeInstanceInformationRequest::default()).instance_information_list.unwrap_or_default().len()
}

/// Registers, which must fail with a sentence that holds `said`; nothing may be left of it on the device.
fn refused(node: &Node, activation: &str, said: &str) {
    let output = node.try_register(activation, &[]);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "it registered: {errors}");
    let sentence = errors.lines().last().unwrap_or_default();
    println!("{said:?}: {sentence}");
    assert!(sentence.starts_with("flotilla-agent: ") && sentence.contains(said), "expected {said:?}:\n{errors}");
    assert!(!errors.contains("panicked"), "{errors}");
    assert!(!node.state().join("registered").exists(), "half registered");
    let secret = Activation::parse(activation).map_or_else(|_| "none".to_owned(), |_| activation.to_owned());
    assert!(!errors.contains(&secret), "the activation string is in the log");
}

fn logged(fleet: &Fleet, said: &str) {
    wait::until_true(LIMIT, &format!("the bridge logs {said:?}"), || fleet.bridge_log().contains(said));
}

#[test]
fn a_good_code_registers_as_often_as_it_may() {
    let mut fleet = Fleet::start(Broker::Embedded);
    fleet.add_nodes(2);
    assert_eq!(nodes(&fleet), 2);
    let [activation] = fleet.call(&DescribeActivationsRequest::default()).activation_list.unwrap().try_into().unwrap();
    assert_eq!((activation.registrations_count, activation.registration_limit), (Some(2), Some(2)));
    // What the guard of versions goes by.
    for node in &fleet.nodes {
        let file = node.state().join("exec/came-up");
        let is_noted = || std::fs::read_to_string(&file).is_ok_and(|version| version.trim() == env!("CARGO_PKG_VERSION"));
        wait::until_true(LIMIT, "this version is noted as one that has come up", is_noted);
    }
}

#[test]
fn codes_that_do_not_count_are_refused() {
    let fleet = Fleet::start(Broker::Embedded);
    let device = fleet.new_node();
    let good = fleet.activation(1);

    refused(&device, "hello", "activation string");
    refused(&device, good.get(..good.len() - 1).unwrap(), "activation string");
    let mut wrong = Activation::parse(&good).unwrap();
    wrong.code[0] ^= 1;
    refused(&device, &wrong.to_text(), "its code is wrong");
    logged(&fleet, "refused");

    let deleted = fleet.activation(1);
    let activation_id = Activation::parse(&deleted).unwrap().id.to_string();
    fleet.call(&DeleteActivationRequest { activation_id });
    refused(&device, &deleted, "deleted");

    let soon = Timestamp::from_milliseconds(i64::try_from(clock::unix_ms()).unwrap() + 1_500);
    let request = CreateActivationRequest { iam_role: "none".to_owned(), expiration_date: Some(soon), ..Default::default() };
    let expiring = fleet.call(&request).activation_code.unwrap();
    wait::until_true(LIMIT, "the activation expires", || i64::try_from(clock::unix_ms()).unwrap() > soon.milliseconds());
    refused(&device, &expiring, "expired");

    let used = fleet.activation(1);
    fleet.new_node().register(&used);
    refused(&device, &used, "limit is reached");
    assert_eq!(nodes(&fleet), 1);

    // After all of that the device is as new.
    device.register(&good);
    assert_eq!(nodes(&fleet), 2);
}

#[test]
fn another_fleets_bridge_is_not_believed() {
    let (fleet, other) = (Fleet::start(Broker::Embedded), Fleet::start(Broker::Embedded));
    let device = fleet.new_node();
    // The address of one fleet with the root of the other: the activation exists there, and the answer is not believed.
    let mut activation = Activation::parse(&fleet.activation(1)).unwrap();
    activation.root_hash = Activation::parse(&other.activation(1)).unwrap().root_hash;
    refused(&device, &activation.to_text(), "is the activation string from this fleet?");
    // A bridge to which the activation means nothing.
    let mut elsewhere = Activation::parse(&other.activation(1)).unwrap();
    elsewhere.host = activation.host.clone();
    elsewhere.port = activation.port;
    refused(&device, &elsewhere.to_text(), "is the activation string from this fleet?");
    assert_eq!((nodes(&fleet), nodes(&other)), (0, 0));
}

/// Whoever owns the network can answer a claim, and even knows the fleet's public root. Without its keys nobody believes it.
#[test]
fn an_impostor_is_not_believed() {
    let mut fleet = Fleet::start(Broker::Mosquitto);
    let activation = fleet.activation(1);
    let device = fleet.new_node();
    let bundle = std::fs::read(fleet.home().bundle(1)).unwrap();
    fleet.stop_bridge();
    let mut impostor = HostileBroker::of(&fleet);
    std::thread::scope(|scope| {
        let registering = scope.spawn(|| refused(&device, &activation, "trust"));
        let (topic, claim) = impostor.captured(|topic| matches!(topic.parse(), Ok(Topic::ClaimUp { .. })));
        let Ok(Topic::ClaimUp { fleet, claim: id }) = topic.parse() else { panic!("{topic}") };
        let claim: ClaimBody = decode(Envelope::parse(&claim, Domain::Claim).unwrap().body()).unwrap();
        let request: ClaimRequest = decode(&claim.request).unwrap();
        let enrolled =
            Enrolled { authority: vec![0x30], certificate: vec![0x30], host: "127.0.0.1".into(), port: 1, time_ms: clock::unix_ms() };
        let reply = ClaimReplyBody { nonce: request.nonce, bundles: vec![ByteVec(bundle)], outcome: Ok(enrolled) };
        let stranger = ed25519_dalek::SigningKey::from_bytes(&[9; 32]);
        let answer = Topic::ClaimDown { fleet, claim: id }.to_string();
        impostor.publish(&answer, &seal(Domain::ClaimReply, &encode(&reply), &[&stranger]), false);
        registering.join().unwrap();
    });
    fleet.start_bridge();
    device.register(&activation);
    assert_eq!(nodes(&fleet), 1);
}

#[test]
fn a_bridge_that_is_down_is_said_so() {
    let mut fleet = Fleet::start(Broker::Embedded);
    let activation = fleet.activation(1);
    fleet.stop_bridge();
    let device = fleet.new_node();
    let [_, _, claims] = fleet.addresses();
    refused(&device, &activation, &claims.port().to_string());
    fleet.start_bridge();
    device.register(&activation);
    assert_eq!(nodes(&fleet), 1);
}

#[test]
fn the_same_key_uses_one_registration() {
    let mut fleet = Fleet::start(Broker::Embedded);
    let activation = fleet.activation(1);
    let mut device = fleet.new_node();
    let id = device.register(&activation);
    let again = device.try_register(&activation, &[]);
    assert!(!again.status.success(), "a node registers again only when it is told to");
    let again = device.try_register(&activation, &["--again"]);
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    assert_eq!(String::from_utf8_lossy(&again.stdout).trim(), id);
    let [listed] = fleet.call(&DescribeActivationsRequest::default()).activation_list.unwrap().try_into().unwrap();
    assert_eq!((listed.registrations_count, nodes(&fleet)), (Some(1), 1));
    device.start();
    fleet.nodes.push(device);
    fleet.await_online();

    // A node that was removed does not come back with its old key.
    fleet.call(&DeregisterManagedInstanceRequest { instance_id: id });
    wait::until_true(LIMIT, "the node is gone", || fleet.online().is_empty());
    let more = fleet.activation(1);
    fleet.nodes[0].stop();
    let back = fleet.nodes[0].try_register(&more, &["--again"]);
    assert!(!back.status.success() && String::from_utf8_lossy(&back.stderr).contains("deregistered"), "{back:?}");
}

#[test]
fn an_agent_that_is_no_node_does_not_run() {
    let fleet = Fleet::start(Broker::Embedded);
    let mut device = fleet.new_node();
    device.start();
    wait::until_true(LIMIT, "the agent says what to do", || device.log().contains("flotilla-agent register"));
}
