//! What must be refused: by the API before anything is sent, and by the node whatever a hostile broker sends it.
#![cfg(test)]

use flotilla_api::commands::{ListCommandsRequest, SendCommandRequest};
use flotilla_api::documents::{CreateDocumentRequest, ListDocumentsRequest};
use flotilla_protocol::envelope::Domain;
use flotilla_protocol::id::FleetId;
use flotilla_protocol::wire::{MAXIMUM_MESSAGE_BYTES, Payload};
use flotilla_tests::calls::{SHELL, shell, shell_on};
use flotilla_tests::hostile::{Forgery, HostileBroker, order_topic, targets_of};
use flotilla_tests::node::Half;
use flotilla_tests::{Broker, Fleet, wait};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

fn document(name: &str, format: &str, content: &str) -> CreateDocumentRequest {
    CreateDocumentRequest {
        name: name.to_owned(),
        content: content.to_owned(),
        document_type: Some("Command".to_owned()),
        document_format: Some(format.to_owned()),
        ..CreateDocumentRequest::default()
    }
}

fn step(action: &str, inputs: &str) -> String {
    format!(r#"{{"schemaVersion":"2.2","mainSteps":[{{"action":"{action}","name":"one","inputs":{inputs}}}]}}"#)
}

#[test]
fn documents_that_cannot_be_run_are_refused_by_the_api() {
    let fleet = Fleet::start(Broker::Embedded);
    let script = r#"{"runCommand":["true"]}"#;
    let good = step("aws:runShellScript", script);
    let cases = [
        ("an unknown plugin", "JSON", step("aws:makeCoffee", "{}"), "aws:makeCoffee"),
        ("a plugin without its input", "JSON", step("aws:runShellScript", "{}"), "runCommand"),
        ("an unknown input", "JSON", step("aws:runShellScript", r#"{"runCommand":["true"],"colour":"red"}"#), "colour"),
        ("a wrong type", "JSON", step("aws:runShellScript", r#"{"runCommand":{"a":1}}"#), "runCommand"),
        ("an unknown schema", "JSON", good.replace("2.2", "9.9"), "9.9"),
        ("no schema", "JSON", good.replace("\"schemaVersion\":\"2.2\",", ""), "schemaVersion"),
        ("no steps", "JSON", r#"{"schemaVersion":"2.2","mainSteps":[]}"#.to_owned(), "mainSteps"),
        ("an unknown member", "JSON", good.replace("\"mainSteps\"", "\"colour\":1,\"mainSteps\""), "colour"),
        ("no JSON", "JSON", "{".to_owned(), ""),
        ("no YAML", "YAML", "a: [".to_owned(), ""),
        (
            "an unknown type of a parameter",
            "JSON",
            good.replace("\"mainSteps\"", r#""parameters":{"p":{"type":"Colour"}},"mainSteps""#),
            "Colour",
        ),
        (
            "a bad pattern",
            "JSON",
            good.replace("\"mainSteps\"", r#""parameters":{"p":{"type":"String","allowedPattern":"("}},"mainSteps""#),
            "p",
        ),
    ];
    for (what, format, content, named) in cases {
        let (kind, message) = fleet.refusal(&document("Bad-Document", format, &content));
        assert!(
            matches!(kind.as_str(), "InvalidDocumentContent" | "InvalidDocumentSchemaVersion" | "InvalidDocument"),
            "{what}: {kind}: {message}"
        );
        assert!(message.contains(named), "{what}: {message}");
    }
    let listed = fleet.call(&ListDocumentsRequest::default()).document_identifiers.unwrap();
    assert!(!listed.iter().any(|document| document.name.as_deref() == Some("Bad-Document")), "{listed:?}");
}

#[test]
fn commands_that_cannot_be_sent_are_refused_and_nothing_is_sent() {
    let fleet = Fleet::with_nodes(Broker::Embedded, 1);
    let node = fleet.node_ids();
    let content = step("aws:runShellScript", r#"{"runCommand":["echo {{ number }} {{ word }}"]}"#).replace(
        "\"mainSteps\"",
        r#""parameters":{"number":{"type":"Integer","default":1},"word":{"type":"String","allowedValues":["a","b"]}},"mainSteps""#,
    );
    fleet.call(&document("Typed", "JSON", &content));
    let parameters = |list: &[(&str, &str)]| {
        Some(list.iter().map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()])).collect::<BTreeMap<_, _>>())
    };
    let typed = |list: &[(&str, &str)]| SendCommandRequest {
        document_name: "Typed".to_owned(),
        instance_ids: Some(node.clone()),
        parameters: parameters(list),
        ..SendCommandRequest::default()
    };
    let cases = [
        ("not an integer", typed(&[("number", "one"), ("word", "a")]), "InvalidParameters"),
        ("not an allowed value", typed(&[("word", "c")]), "InvalidParameters"),
        ("a needed parameter is missing", typed(&[("number", "2")]), "InvalidParameters"),
        ("an unknown parameter", typed(&[("word", "a"), ("other", "x")]), "InvalidParameters"),
        (
            "no such version",
            SendCommandRequest { document_version: Some("7".to_owned()), ..typed(&[("word", "a")]) },
            "InvalidDocumentVersion",
        ),
        ("a wrong hash", SendCommandRequest { document_hash: Some("00".repeat(32)), ..typed(&[("word", "a")]) }, "InvalidDocument"),
        ("no such node", shell_on("mi-00000000000000000", "true"), "InvalidInstanceId"),
        ("no targets", SendCommandRequest { instance_ids: None, ..shell(&node, "true") }, "ValidationException"),
        ("larger than a delivery", shell(&node, &"x".repeat(70_000)), "MaxDocumentSizeExceeded"),
        ("a time-out of a second", SendCommandRequest { timeout_seconds: Some(1), ..shell(&node, "true") }, "ValidationException"),
        ("a concurrency of 0", SendCommandRequest { max_concurrency: Some("0".to_owned()), ..shell(&node, "true") }, "ValidationException"),
    ];
    for (what, request, expected) in cases {
        let (kind, message) = fleet.refusal(&request);
        let general = matches!(kind.as_str(), "ValidationException" | "InvalidParameters" | "InvalidInstanceId");
        assert!(kind == expected || (expected == "MaxDocumentSizeExceeded" && general), "{what}: {kind}: {message}");
        assert!(!message.is_empty(), "{what}");
    }
    assert_eq!(fleet.call(&ListCommandsRequest::default()).commands.unwrap_or_default(), []);
    assert!(!fleet.nodes[0].state().join("exec/jobs").read_dir().unwrap().any(|_| true), "the node was sent something");
    let command = fleet.send(&typed(&[("number", "2"), ("word", "b")]));
    assert_eq!(fleet.await_end(&command, &node[0], LIMIT).standard_output_content.as_deref(), Some("2 b\n"));
    assert_eq!(fleet.call(&ListCommandsRequest::default()).commands.unwrap().len(), 1);
    assert_eq!(SHELL, "AWS-RunShellScript");
}

/// A node behind a hostile broker, which publishes what it likes onto the node's topic of orders.
struct Siege {
    fleet: Fleet,
    broker: HostileBroker,
    topic: String,
    marker: PathBuf,
}

impl Siege {
    fn begin() -> Self {
        let fleet = Fleet::with_nodes(Broker::Mosquitto, 1);
        let broker = HostileBroker::of(&fleet);
        let topic = order_topic(&fleet, &fleet.node_ids()[0]);
        let marker = fleet.folder().join("forged");
        Self { fleet, broker, topic, marker }
    }

    /// A good order, which would leave the marker.
    fn order(&self) -> Forgery {
        Forgery::good(&self.fleet, 0, &format!("touch {}", self.marker.display()))
    }

    /// Publishes, and waits until the node's log gives the reason.
    fn refused(&mut self, what: &str, payload: &[u8], reason: &str) {
        let before = count(&self.fleet.nodes[0].log(), reason);
        self.broker.publish(&self.topic, payload, false);
        wait::until_true(LIMIT, &format!("{what}: the node refuses it as {reason}"), || count(&self.fleet.nodes[0].log(), reason) > before);
    }

    /// The node still does what is right, and has not done what was forged.
    fn end(self) {
        let [node] = self.fleet.node_ids().try_into().unwrap();
        let command = self.fleet.send(&shell_on(&node, "echo alive"));
        let ended = self.fleet.await_end(&command, &node, LIMIT);
        assert_eq!(ended.standard_output_content.as_deref(), Some("alive\n"), "{ended:?}");
        assert!(!self.marker.exists(), "a forged order was run");
    }
}

/// How many lines of a log say that something was refused for a reason.
fn count(log: &str, reason: &str) -> usize {
    log.lines().filter(|line| line.contains("refused") && line.contains(reason)).count()
}

#[test]
fn a_hostile_broker_makes_the_node_run_nothing() {
    let mut siege = Siege::begin();
    let good = siege.order();
    let delivery = good.delivery();

    siege.refused("half of an order", &delivery[..delivery.len() / 2], "malformed");
    siege.refused("more than a message", &vec![0; MAXIMUM_MESSAGE_BYTES + 1], "too-large");
    let stranger = Forgery { signer: ed25519_dalek::SigningKey::from_bytes(&[9; 32]), ..siege.order() };
    siege.refused("signed by a stranger", &stranger.delivery(), "signature");
    siege.refused("a cancel's signature", &siege.order().delivery_of(Domain::Cancel), "domain");
    let mut other = siege.order();
    other.body.fleet = FleetId([1; 8]);
    siege.refused("of another fleet", &other.delivery(), "fleet");
    let mut other = siege.order();
    other.body.targets = targets_of(&[7; 32]);
    siege.refused("for another node", &other.delivery(), "target");
    let mut late = siege.order();
    late.body.not_before_ms = 1_700_000_000_000;
    late.body.not_after_ms = 1_700_000_100_000;
    siege.refused("expired", &late.delivery(), "expired");
    let mut future = siege.order();
    future.body.payload = Payload { kind: 999, body: vec![1] };
    siege.refused("of the future", &future.delivery(), "unsupported");
    siege.end();
}

#[test]
fn retained_orders_are_refused() {
    let mut siege = Siege::begin();
    // Retained, and expired for whoever is there already: the node may look at it twice, and refuses it twice.
    let mut late = siege.order();
    late.body.not_before_ms = 1_700_000_000_000;
    late.body.not_after_ms = 1_700_000_100_000;
    siege.broker.publish(&siege.topic.clone(), &late.delivery(), true);
    siege.fleet.nodes[0].kill_half(Half::Link);
    wait::until_true(LIMIT, "the node refuses what was retained", || count(&siege.fleet.nodes[0].log(), "retained") > 0);
    // Now one that nothing else is wrong with. It waits for a node that was away when it was published.
    siege.fleet.nodes[0].stop();
    let good = siege.order().delivery();
    siege.broker.publish(&siege.topic.clone(), &good, true);
    let before = count(&siege.fleet.nodes[0].log(), "retained");
    siege.fleet.nodes[0].start();
    siege.fleet.await_online();
    wait::until_true(LIMIT, "the node refuses what was retained again", || count(&siege.fleet.nodes[0].log(), "retained") > before);
    siege.broker.publish(&siege.topic.clone(), b"", true);
    siege.end();
}

#[test]
fn a_replayed_order_runs_once() {
    let mut siege = Siege::begin();
    let [node] = siege.fleet.node_ids().try_into().unwrap();
    let runs = siege.fleet.folder().join("runs");
    let command = siege.fleet.send(&shell_on(&node, &format!("echo run >> {}", runs.display())));
    let topic = siege.topic.clone();
    let (_, delivery) = siege.broker.captured(|seen| seen == topic);
    assert_eq!(siege.fleet.await_end(&command, &node, LIMIT).status.as_deref(), Some("Success"));
    for _ in 0..5 {
        siege.broker.publish(&siege.topic.clone(), &delivery, false);
    }
    // Both halves forget what they hold in memory; what is durable decides.
    siege.fleet.nodes[0].kill_half(Half::Exec);
    siege.fleet.nodes[0].stop();
    siege.fleet.nodes[0].start();
    siege.fleet.await_online();
    for _ in 0..5 {
        siege.broker.publish(&siege.topic.clone(), &delivery, false);
    }
    siege.fleet.await_online();
    assert_eq!(siege.fleet.await_end(&command, &node, LIMIT).status.as_deref(), Some("Success"));
    let text = std::fs::read_to_string(&runs).unwrap();
    siege.end();
    assert_eq!(text, "run\n");
}
