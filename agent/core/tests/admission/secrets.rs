//! Orders with secrets: what opens runs, what does not is refused for ever with an answer, and only sealed bytes are recorded.

use crate::kit::{Heard, Node, OPERATOR, delivery_of, key, leaf, node, order, order_id};
use flotilla_agent_core::Record;
use flotilla_protocol::capability::OrderPayload;
use flotilla_protocol::capability::command::{CommandOrder, Parameter};
use flotilla_protocol::delivery::{Delivery, NodeData};
use flotilla_protocol::document::{Action, Plan, RunShellScript, Segment, Step, Template, Value};
use flotilla_protocol::envelope::{Domain, seal as seal_envelope};
use flotilla_protocol::id::{FleetId, NodeId};
use flotilla_protocol::order::{OrderBody, Targets};
use flotilla_protocol::secret::{Binding, PlainSecret, SealingKey, seal};
use flotilla_protocol::status::RejectReason;
use flotilla_protocol::topic::DownKind;
use flotilla_protocol::wire::{Payload, encode};

const VALUE: &[u8] = b"correct horse battery";

pub(crate) fn sealing_key() -> SealingKey {
    SealingKey::new([0x5e; 32])
}

fn binding() -> Binding {
    Binding { fleet: order(1).fleet, node: node(), order: order_id(1) }
}

fn sealed(binding: &Binding, to: &SealingKey, parameter: u16, name: &str) -> Vec<u8> {
    let secrets = seal(binding, &to.public(), &[PlainSecret { parameter, name, value: VALUE }], &[4; 32]).unwrap();
    encode(&NodeData::of_secrets(&secrets))
}

fn good() -> Vec<u8> {
    sealed(&binding(), &sealing_key(), 1, "password")
}

/// An order whose script names its second parameter as a secret, signed over this node data.
fn with(node_data: Vec<u8>) -> Vec<u8> {
    with_open(node_data, "")
}

/// The same, with a value for the parameter that everybody can read.
fn with_open(node_data: Vec<u8>, value: &str) -> Vec<u8> {
    let line = Template(vec![Segment::Text("login ".into()), Segment::Secret(1)]);
    let script = RunShellScript { run_command: vec![line], working_directory: None, environment: Default::default(), timeout_s: 60 };
    let command = CommandOrder {
        document: "d".into(),
        document_version: "1".into(),
        parameters: ["host", "password"]
            .map(|name| Parameter { name: name.into(), value: Value::string(if name == "password" { value } else { "" }) })
            .into(),
        plan: Plan { steps: vec![Step::new("run", &Action::RunShellScript(script))] },
    };
    let targets = Targets { count: 1, root: leaf(&node_data) };
    let body = OrderBody { targets, payload: OrderPayload::Command(command).encode(), ..order(1) };
    let delivery = delivery_of(seal_envelope(Domain::Order, &encode(&body), &[&key(OPERATOR)]));
    encode(&Delivery { node_data, ..delivery })
}

fn take(message: &[u8]) -> (Node, Heard) {
    let mut node = Node::welcomed();
    let heard = node.say(DownKind::Order, message);
    (node, heard)
}

fn opened(node: &Node) -> Vec<(u16, Vec<u8>)> {
    node.core.open_secrets(order_id(1)).unwrap().into_iter().map(|secret| (secret.parameter, secret.value.to_vec())).collect()
}

#[test]
fn an_order_starts_with_its_secrets_and_only_sealed_bytes_are_recorded() {
    let (node, heard) = take(&with(good()));
    assert_eq!((heard.refused, &heard.started[..]), (vec![], &[order_id(1)][..]));
    assert_eq!(opened(&node), [(1, VALUE.to_vec())]);
    for records in [&heard.records, &node.core.snapshot()] {
        let data: Vec<&Vec<u8>> = records
            .iter()
            .filter_map(|record| match record {
                Record::Taken { node_data, .. } => Some(node_data),
                _ => None,
            })
            .collect();
        assert_eq!(data, [&good()]);
        assert!(!format!("{records:?}").contains(&format!("{VALUE:?}").replace(['[', ']'], "")), "in clear text in a record");
        let again = node.restarted(records, &flotilla_agent_core::Floor::default(), None);
        assert_eq!(opened(&again), [(1, VALUE.to_vec())], "after a restart");
    }
}

#[test]
fn what_was_sealed_is_forgotten_with_the_end() {
    let (mut node, _) = take(&with(good()));
    let sealed = format!("{:?}", &good()[good().len() - 40..]).replace(['[', ']'], "");
    assert!(format!("{:?}", node.core).contains(&sealed));
    node.end(order_id(1));
    assert!(!format!("{:?}", node.core).contains(&sealed), "it is still held");
    assert_eq!(node.core.open_secrets(order_id(1)), Err(RejectReason::Secret));
    assert!(!node.core.snapshot().iter().any(|record| matches!(record, Record::Taken { .. })));
}

#[test]
fn secrets_that_do_not_open_are_refused_with_an_answer() {
    let elsewhere = |change: fn(&mut Binding)| {
        let mut binding = binding();
        change(&mut binding);
        sealed(&binding, &sealing_key(), 1, "password")
    };
    let part = |kind| encode(&NodeData { parts: vec![Payload { kind, body: vec![1, 2, 3] }] });
    let mut flipped = good();
    *flipped.last_mut().unwrap() ^= 1;
    let twice = {
        let one = flotilla_protocol::wire::decode::<NodeData>(&good()).unwrap().parts.remove(0);
        encode(&NodeData { parts: vec![one.clone(), one] })
    };
    for (what, node_data, reason) in [
        ("none at all", Vec::new(), RejectReason::Secret),
        ("to another key", sealed(&binding(), &SealingKey::new([9; 32]), 1, "password"), RejectReason::Secret),
        ("for another node", elsewhere(|binding| binding.node = NodeId::of_key(&[9; 32])), RejectReason::Secret),
        ("for another order", elsewhere(|binding| binding.order = order_id(2)), RejectReason::Secret),
        ("for another fleet", elsewhere(|binding| binding.fleet = FleetId([9; 8])), RejectReason::Secret),
        ("under another name", sealed(&binding(), &sealing_key(), 1, "host"), RejectReason::Secret),
        ("for another parameter", sealed(&binding(), &sealing_key(), 0, "host"), RejectReason::Secret),
        ("for a parameter that is not there", sealed(&binding(), &sealing_key(), 2, "password"), RejectReason::Secret),
        ("changed in a bit", flipped, RejectReason::Secret),
        ("twice", twice, RejectReason::Malformed),
        ("cut", good()[..good().len() - 1].to_vec(), RejectReason::Malformed),
        ("not secrets", part(1), RejectReason::Malformed),
        ("of a kind to come", part(7), RejectReason::Unsupported),
    ] {
        let (_, heard) = take(&with(node_data));
        assert_eq!((&heard.refused[..], &heard.started[..]), (&[reason][..], &[][..]), "{what}");
        assert_eq!(heard.answers(), [(order_id(1), reason)], "{what}");
    }
}

#[test]
fn node_data_counts_as_room_in_the_journal() {
    let mut node = Node::welcomed();
    let (plain, with_secrets) = (crate::kit::delivery(&order(1)), with(good()));
    let need = |message: &[u8]| {
        let mut node = Node::welcomed();
        let before = node.core.journal_need();
        node.say(DownKind::Order, message);
        node.core.journal_need() - before
    };
    let more = need(&with_secrets) - need(&plain);
    assert!(more >= u64::try_from(good().len()).unwrap(), "{more}");
    node.room_left(100);
    assert_eq!(node.say(DownKind::Order, &with_secrets).refused, [RejectReason::Storage]);
}

#[test]
fn nothing_sealed_takes_the_place_of_a_value_that_people_have_read() {
    let (_, heard) = take(&with_open(good(), "what was read"));
    assert_eq!((heard.answers(), heard.started), (vec![(order_id(1), RejectReason::Secret)], vec![]));
}
