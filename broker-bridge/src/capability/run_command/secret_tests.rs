//! Commands with secrets: each node gets its own, sealed, and nothing else of the bridge ever holds a value.

use super::api::list::list_commands;
use super::reconcile::round;
use super::tests::{accepted, ended, request, send};
use crate::device::test_kit::{Kit, SimulatedNode, sealing_key};
use crate::fleet::document::api::create_document;
use crate::platform::http::ApiError;
use flotilla_api::commands::{ListCommandsRequest, SendCommandRequest};
use flotilla_api::documents::CreateDocumentRequest;
use flotilla_protocol::capability::OrderPayload;
use flotilla_protocol::delivery::{Delivery, NodeData};
use flotilla_protocol::envelope::{Domain, Envelope};
use flotilla_protocol::order::OrderBody;
use flotilla_protocol::secret::{Binding, SealingKey, open};
use flotilla_protocol::status::Outcome;
use flotilla_protocol::target::{is_proven, leaf};
use flotilla_protocol::topic::{DownKind, Topic};
use flotilla_protocol::wire::decode;
use std::collections::BTreeMap;
use std::time::Duration;

const VALUE: &str = "correct horse battery staple";
const DOCUMENT: &str = r#"{"schemaVersion":"2.2","parameters":{"host":{"type":"String","default":"h"},"key":{"type":"SecureString"}},
    "mainSteps":[{"action":"aws:runShellScript","name":"runShellScript","inputs":{"runCommand":["login {{ host }} {{ key }}"]}}]}"#;

async fn kit() -> Kit {
    let kit = Kit::new().await;
    let document = CreateDocumentRequest {
        name: "Login".into(),
        content: DOCUMENT.into(),
        document_type: Some("Command".into()),
        document_format: Some("JSON".into()),
        ..CreateDocumentRequest::default()
    };
    create_document(&kit.fleet, &Kit::caller(), document).await.unwrap();
    kit
}

fn login(nodes: &[&SimulatedNode], key: &str) -> SendCommandRequest {
    let parameters = Some(BTreeMap::from([("key".to_owned(), vec![key.to_owned()])]));
    SendCommandRequest { document_name: "Login".into(), parameters, ..request(nodes) }
}

/// Whether a file of the database holds the value.
fn is_on_disk(kit: &Kit) -> bool {
    let files = std::fs::read_dir(kit.folder.path()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let contents: Vec<Vec<u8>> = files.map(|path| std::fs::read(path).unwrap()).collect();
    assert!(contents.iter().any(|content| content.windows(5).any(|bytes| bytes == b"Login")), "the database is there");
    contents.iter().any(|content| content.windows(VALUE.len()).any(|bytes| bytes == VALUE.as_bytes()))
}

/// What a node opens of a delivery, which must be proven to be for it.
fn opened(node: &SimulatedNode, key: &SealingKey, payload: &[u8]) -> Option<String> {
    let delivery: Delivery = decode(payload).unwrap();
    let order: OrderBody = decode(Envelope::parse(&delivery.envelope, Domain::Order).unwrap().body()).unwrap();
    let leaf = leaf(&node.key.verifying_key().to_bytes(), &delivery.node_data);
    assert!(is_proven(leaf, delivery.index, order.targets.count, &delivery.proof, &order.targets.root));
    let OrderPayload::Command(command) = order.payload().unwrap() else { panic!("a command") };
    assert!(command.parameters.iter().all(|parameter| parameter.value.text != VALUE), "in the order");
    let sealed = NodeData::read(&delivery.node_data).unwrap().secrets().unwrap()?;
    let binding = Binding { fleet: order.fleet, node: node.id, order: order.id };
    let name_of = |index: u16| command.parameters.get(usize::from(index)).map(|parameter| parameter.name.as_str());
    let secrets = open(&binding, key, &sealed, name_of).ok()?;
    Some(String::from_utf8(secrets[0].value.to_vec()).unwrap())
}

/// The one order that was published to a node.
fn order_to(node: &SimulatedNode, published: &[(Topic, Vec<u8>)]) -> Vec<u8> {
    let is_to_node = |topic: &Topic| matches!(topic, Topic::Down { node: to, kind: DownKind::Order, .. } if *to == node.id);
    let found: Vec<&Vec<u8>> = published.iter().filter(|(topic, _)| is_to_node(topic)).map(|(_, payload)| payload).collect();
    let [payload] = found.try_into().unwrap();
    payload.clone()
}

#[tokio::test]
async fn each_node_gets_its_own_sealed_secret_and_nothing_else_holds_it() -> Result<(), ApiError> {
    let mut kit = kit().await;
    let mut nodes = [kit.online_node(20).await, kit.online_node(21).await];
    kit.published();
    let order = send(&kit, login(&nodes.each_ref(), VALUE)).await?;
    let published = kit.published();
    for (node, seed) in nodes.iter().zip([20, 21]) {
        let first = order_to(node, &published);
        assert_eq!(opened(node, &sealing_key(seed), &first).as_deref(), Some(VALUE));
        assert_eq!(opened(node, &sealing_key(41 - seed), &first), None, "with the other node's key");
        assert!(!first.windows(VALUE.len()).any(|bytes| bytes == VALUE.as_bytes()));
    }
    assert!(!is_on_disk(&kit));
    let listed = ListCommandsRequest { command_id: Some(order.to_string()), ..ListCommandsRequest::default() };
    let listed = list_commands(&kit.fleet, &Kit::caller(), listed).await?.commands.unwrap().remove(0);
    assert_eq!(listed.parameters.unwrap()["key"], ["****"]);

    kit.clock.advance(Duration::from_millis(kit.fleet.settings.pace.pause_ms(1)));
    round(&kit.fleet).await?;
    let again = order_to(&nodes[0], &kit.published());
    assert_eq!(opened(&nodes[0], &sealing_key(20), &again).as_deref(), Some(VALUE), "sent again with its node data");
    let kept = "SELECT COUNT(*) FROM invocation WHERE node_data <> ''";
    assert_eq!(kit.count(kept).await, 2);
    kit.take([nodes[0].report(&accepted(order)), nodes[0].report(&ended(order, Outcome::Succeeded))]).await;
    assert_eq!(kit.count(kept).await, 1, "what was sealed goes with the signed end");
    Ok(())
}

#[tokio::test]
async fn a_node_that_cannot_be_sealed_to_does_not_keep_a_command_from_others() -> Result<(), ApiError> {
    let mut kit = kit().await;
    let nodes = [kit.online_node(20).await, kit.online_node(21).await];
    kit.weaken_sealing_key(nodes[0].id).await;
    kit.published();
    send(&kit, login(&nodes.each_ref(), VALUE)).await?;
    let published = kit.published();
    let weak = order_to(&nodes[0], &published);
    assert_eq!(opened(&nodes[0], &sealing_key(20), &weak), None, "it will refuse");
    let good = order_to(&nodes[1], &published);
    assert_eq!(opened(&nodes[1], &sealing_key(21), &good).as_deref(), Some(VALUE));
    Ok(())
}

#[tokio::test]
async fn what_no_delivery_holds_is_refused_without_telling_it() {
    let kit = kit().await;
    let node = kit.online_node(20).await;
    let error = send(&kit, login(&[&node], &VALUE.repeat(400))).await.unwrap_err();
    assert_eq!(error.kind, "InvalidParameters");
    assert!(!error.to_string().contains("correct"), "{error}");
    assert_eq!(kit.count("SELECT COUNT(*) FROM command").await, 0);
}
