//! `flotilla` against a real fleet: what it prints and how it exits.
#![cfg(test)]

use flotilla_tests::process::{binary, command, output};
use flotilla_tests::{Broker, Fleet};
use serde_json::Value;

struct Done {
    code: i32,
    out: String,
    errors: String,
}

/// Runs `flotilla` with the fleet's home.
fn flotilla(fleet: &Fleet, arguments: &[&str]) -> Done {
    let mut call = command(&binary("flotilla"));
    call.env_clear().arg("--home").arg(fleet.home().path()).args(arguments);
    let output = output(call);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Done { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), errors: text(&output.stderr) }
}

fn json(done: &Done) -> Value {
    serde_json::from_str(&done.out).unwrap_or_else(|error| panic!("{error}: {}\n{}", done.out, done.errors))
}

#[test]
fn the_operators_command_line() {
    let mut fleet = Fleet::start(Broker::Embedded);

    let made = flotilla(&fleet, &["activation", "create", "--limit", "2", "--tag", "site=north", "--output", "json"]);
    assert_eq!(made.code, 0, "{}", made.errors);
    let activation = json(&made)["ActivationCode"].as_str().unwrap().to_owned();
    for _ in 0..2 {
        let mut node = fleet.new_node();
        node.register(&activation);
        node.start();
        fleet.nodes.push(node);
    }
    fleet.await_online();
    let ids = fleet.node_ids();

    let nodes = flotilla(&fleet, &["nodes", "--output", "json"]);
    let listed = json(&nodes);
    assert_eq!((nodes.code, listed.as_array().map(Vec::len)), (0, Some(2)), "{listed}");
    let table = flotilla(&fleet, &["nodes", "--output", "table"]);
    assert!(ids.iter().all(|id| table.out.contains(id)) && table.out.contains("Online"), "{}", table.out);

    let run = flotilla(&fleet, &["run", "--all", "--output", "json", "--", "echo", "two words"]);
    assert_eq!(run.code, 0, "{}\n{}", run.out, run.errors);
    assert!(run.out.contains("two words"), "{}", run.out);
    let tagged = flotilla(&fleet, &["run", "--tag", "site=north", "--output", "table", "--", "echo here"]);
    assert_eq!((tagged.code, tagged.out.matches("here").count() >= 2), (0, true), "{}\n{}", tagged.out, tagged.errors);
    // The exit code tells the worst result: one of two nodes fails.
    let marker = fleet.folder().join("first");
    let script = format!("mkdir {} && exit 0; exit 9", marker.display());
    let mixed = flotilla(&fleet, &["run", "--all", "--max-errors", "5", "--", &script]);
    assert_eq!(mixed.code, 1, "{}\n{}", mixed.out, mixed.errors);

    let sent = flotilla(&fleet, &["run", "--node", &ids[0], "--no-wait", "--output", "text", "--", "sleep 300"]);
    assert_eq!(sent.code, 0, "{}", sent.errors);
    let id = sent.out.split_whitespace().next().unwrap().to_owned();
    let shown = flotilla(&fleet, &["commands", "--output", "json"]);
    assert!(shown.code == 0 && shown.out.contains(&id), "{}", shown.out);
    assert_eq!(flotilla(&fleet, &["commands", "cancel", &id]).code, 0);
    let ended = fleet.await_end(&id, &ids[0], std::time::Duration::from_secs(60));
    assert_eq!(ended.status.as_deref(), Some("Cancelled"));
    let shown = flotilla(&fleet, &["commands", "show", &id, "--output", "json"]);
    assert!(shown.code == 0 && shown.out.contains("Cancelled"), "{}", shown.out);

    // Refused by the bridge, wrong usage, no bridge.
    let refused = flotilla(&fleet, &["run", "--node", "mi-00000000000000000", "--", "true"]);
    assert_eq!(refused.code, 3, "{}", refused.errors);
    assert!(refused.errors.contains("InvalidInstanceId"), "{}", refused.errors);
    assert_eq!(flotilla(&fleet, &["run", "--all"]).code, 2);
    let late = flotilla(&fleet, &["run", "--node", &ids[0], "--wait-timeout", "1s", "--", "sleep 20"]);
    assert_eq!(late.code, 5, "{}", late.errors);
    fleet.stop_bridge();
    let away = flotilla(&fleet, &["nodes"]);
    assert_eq!(away.code, 4, "{}", away.errors);
}
