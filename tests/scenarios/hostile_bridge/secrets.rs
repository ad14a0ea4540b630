//! What differs for each node: sealed secrets that are another's, another order's, the attacker's own, gone or added.

use super::people::key;
use super::stage::{LIMIT, Stage};
use flotilla_protocol::capability::OrderPayload;
use flotilla_protocol::capability::command::{CommandOrder, Parameter};
use flotilla_protocol::delivery::{Delivery, NodeData};
use flotilla_protocol::document::{Action, Plan, RunShellScript, Segment, Step, Template, Value};
use flotilla_protocol::envelope::{Domain, seal as seal_envelope};
use flotilla_protocol::id::OrderId;
use flotilla_protocol::order::{OrderBody, Targets};
use flotilla_protocol::secret::{Binding, PlainSecret, SealingKey, seal};
use flotilla_protocol::status::RejectReason;
use flotilla_protocol::target::{TargetTree, leaf};
use flotilla_protocol::wire::{Payload, decode, encode};
use flotilla_tests::hostile::identity_key;
use flotilla_tests::wait;

const NAME: &str = "password";

/// An order with secrets for both nodes, signed by two.
struct Sealed {
    deliveries: [Delivery; 2],
}

/// The X25519 key to which secrets of a node are sealed.
fn sealing_key(stage: &Stage, node: usize) -> [u8; 32] {
    let secret = std::fs::read(stage.fleet.nodes[node].state().join("exec/sealing.key")).unwrap();
    SealingKey::new(secret.as_slice().try_into().unwrap()).public()
}

/// A value that is sealed to a node for an order. The randomness may be anything that is not used twice.
fn sealed(stage: &Stage, node: usize, order: OrderId, name: &str, value: &str) -> Vec<u8> {
    let binding = Binding { fleet: stage.fleet.id(), node: stage.nodes[node], order };
    let randomness = flotilla_protocol::sha256(&[&order.0, &[u8::try_from(node).unwrap()], name.as_bytes(), value.as_bytes()]);
    let secret = PlainSecret { parameter: 0, name, value: value.as_bytes() };
    encode(&NodeData::of_secrets(&seal(&binding, &sealing_key(stage, node), &[secret], &randomness).unwrap()))
}

/// An order whose script writes the hash of its secret to a file.
fn order(stage: &mut Stage, file: &str) -> OrderBody {
    let target = stage.fleet.folder().join(file);
    let line = Template(vec![
        Segment::Text("sha256sum < ".to_owned()),
        Segment::Secret(0),
        Segment::Text(format!(" | cut -c1-64 > {0}.new && mv {0}.new {0}", target.display())),
    ]);
    let script = RunShellScript { run_command: vec![line], working_directory: None, environment: Default::default(), timeout_s: 60 };
    let command = CommandOrder {
        document: "secret".to_owned(),
        document_version: "1".to_owned(),
        parameters: vec![Parameter { name: NAME.to_owned(), value: Value::string("") }],
        plan: Plan { steps: vec![Step::new("run", &Action::RunShellScript(script))] },
    };
    let payload = OrderPayload::Command(command).encode();
    OrderBody { payload, ..stage.order_to(0, &format!("secret {file}")) }
}

fn deliveries(stage: &Stage, body: &OrderBody, data: &[Vec<u8>; 2]) -> [Delivery; 2] {
    let leaves = (0..2).map(|node| leaf(&identity_key(&stage.fleet, node), &data[node])).collect();
    let tree = TargetTree::new(leaves);
    let body = OrderBody { targets: Targets { count: 2, root: tree.root() }, ..body.clone() };
    let envelope = seal_envelope(Domain::Order, &encode(&body), &[&key("bob"), &key("cleo")]);
    [0, 1].map(|node| Delivery {
        envelope: envelope.clone(),
        index: u32::try_from(node).unwrap(),
        proof: tree.proof(node).unwrap(),
        node_data: data[node].clone(),
    })
}

fn signed(stage: &Stage, body: &OrderBody, values: [&str; 2]) -> Sealed {
    let data = [0, 1].map(|node| sealed(stage, node, body.id, NAME, values[node]));
    Sealed { deliveries: deliveries(stage, body, &data) }
}

pub(crate) fn attack(stage: &mut Stage) {
    let body = order(stage, "secret");
    let good = signed(stage, &body, ["the first node's", "the second node's"]);
    let other_body = order(stage, "forged/other-secret");
    let other = signed(stage, &other_body, ["of another order", "of another order too"]);
    let [mine, yours] = &good.deliveries;
    let with = |node_data: Vec<u8>| Delivery { node_data, ..mine.clone() };
    let own = sealed(stage, 0, body.id, NAME, "the attacker's");
    let mut flipped = mine.node_data.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let mut parts: NodeData = decode(&mine.node_data).unwrap();
    let encapsulated = parts.parts[0].body.first_mut().unwrap();
    *encapsulated ^= 1;
    let mut more: NodeData = decode(&mine.node_data).unwrap();
    more.parts.push(Payload { kind: 7, body: vec![1] });
    let plain = stage.order(0);
    let plain: Delivery = decode(&Stage::delivery(&plain, &[&key("bob"), &key("cleo")])).unwrap();
    for (what, delivery) in [
        ("the secrets of another node", with(yours.node_data.clone())),
        ("another node's whole delivery", yours.clone()),
        ("another node's place in the tree", Delivery { node_data: mine.node_data.clone(), ..yours.clone() }),
        ("the secrets of another order", with(other.deliveries[0].node_data.clone())),
        ("secrets sealed anew by the attacker", with(own)),
        ("secrets with one bit changed", with(flipped)),
        ("secrets with another key of their own", with(encode(&parts))),
        ("secrets removed", with(Vec::new())),
        ("secrets with a part added", with(encode(&more))),
        ("no data at all but zeros", with(vec![0; 64])),
        ("secrets added to an order without", Delivery { node_data: mine.node_data.clone(), ..plain }),
        ("another order with these secrets", Delivery { node_data: mine.node_data.clone(), ..other.deliveries[0].clone() }),
    ] {
        stage.attack(0, what, &encode(&delivery), Some("target"));
    }
    // The bridge prepares what people sign, and can have them sign what does not open.
    for (number, (what, from, name)) in
        [("sealed to another node, and signed", 1, NAME), ("sealed under another name, and signed", 0, "passwort")].into_iter().enumerate()
    {
        let body = order(stage, &format!("forged/wrong-secret-{number}"));
        let wrong = sealed(stage, from, body.id, name, "a value");
        answered(stage, what, &body, wrong);
    }
    let body_of_old = order(stage, "forged/old-secret");
    let old = sealed(stage, 0, body.id, NAME, "a value");
    answered(stage, "sealed for another order, and signed", &body_of_old, old);
    let body_of_none = order(stage, "forged/no-secret");
    answered(stage, "signed without its secrets", &body_of_none, Vec::new());
    // After all of it the genuine one runs, with the genuine secret.
    let topic = flotilla_tests::hostile::order_topic(&stage.fleet, &stage.nodes[0].to_string());
    stage.let_run(body.id);
    stage.broker.publish(&topic, &encode(mine), false);
    let file = stage.fleet.folder().join("secret");
    wait::until_true(LIMIT, "the genuine order has its secret", || file.exists());
    let hash: String = flotilla_protocol::sha256(&[b"the first node's"]).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(std::fs::read_to_string(file).unwrap().trim(), hash);
    let hello = stage.hello(0);
    let freshness = stage.stolen["freshness"].clone();
    stage.welcome(&hello, flotilla_tests::clock::unix_ms(), &[], &freshness);
}

/// What two have signed with data that does not open is refused for ever, with an answer.
fn answered(stage: &mut Stage, what: &str, body: &OrderBody, data: Vec<u8>) {
    let [delivery, _] = deliveries(stage, body, &[data, Vec::new()]);
    stage.attack(0, what, &encode(&delivery), None);
    stage.await_answer(0, body.id, RejectReason::Secret);
}
