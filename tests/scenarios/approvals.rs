//! Orders that people sign with keys of their own, two of three: with the real `aws`, the real command line and a real node. What a bridge that is
//! an attacker's can do is tried in `hostile_bridge.rs`.
#![cfg(test)]

use flotilla_api::commands::SendCommandRequest;
use flotilla_tests::calls::shell_on;
use flotilla_tests::operators::People;
use flotilla_tests::python::Python;
use flotilla_tests::{Broker, Fleet};
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
