//! `flotilla` against a real fleet: what it prints and how it exits.
#![cfg(test)]

use flotilla_tests::process::{binary, command, output};
use flotilla_tests::wait::until_true;
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

#[test]
fn nouns_waiting_and_documents_of_a_real_fleet() {
    let mut fleet = Fleet::start(Broker::Embedded);
    let made = flotilla(&fleet, &["activation", "create", "--limit", "2", "--output", "text"]);
    let activation = made.out.trim().split('\t').nth(1).unwrap().to_owned();
    for _ in 0..2 {
        let mut node = fleet.new_node();
        node.register(&activation);
        node.start();
        fleet.nodes.push(node);
    }
    fleet.await_online();
    let ids = fleet.node_ids();
    let (first, second) = (ids[0].as_str(), ids[1].as_str());
    let out = |arguments: &[&str]| {
        let done = flotilla(&fleet, arguments);
        assert_eq!(done.code, 0, "{arguments:?}: {}\n{}", done.out, done.errors);
        done.out
    };

    // Tags, and groups of nodes by them.
    out(&["tags", "add", first, "kind=kiosk", "room=3"]);
    assert_eq!(out(&["tags", "list", first]), "kind\tkiosk\nroom\t3\n");
    out(&["tags", "remove", first, "room"]);
    out(&["groups", "create", "kiosks", "--tag", "kind=kiosk", "--tag", "kind=terminal"]);
    assert_eq!(out(&["groups"]).split('\t').next(), Some("kiosks"));
    assert!(out(&["groups", "show", "kiosks"]).contains("kind=kiosk|terminal"));
    assert_eq!(out(&["groups", "nodes", "kiosks"]), format!("{first}\tAWS::SSM::ManagedInstance\n"));
    assert_eq!(out(&["groups", "search", "--tag-key", "kind"]), format!("{first}\tAWS::SSM::ManagedInstance\n"));
    let grouped = out(&["run", "--group", "kiosks", "--", "echo grouped"]);
    assert!(grouped.contains(first) && !grouped.contains(second), "{grouped}");
    out(&["groups", "delete", "kiosks"]);
    let gone = flotilla(&fleet, &["groups", "show", "kiosks"]);
    assert_eq!(gone.code, 3, "{}", gone.errors);
    assert!(gone.errors.contains("NotFoundException"), "{}", gone.errors);

    // Nodes, by every filter that can tell one from the other.
    assert!(out(&["nodes", "--tag-key", "kind", "--status", "Online", "--platform", "Linux"]).starts_with(first));
    assert_eq!(out(&["nodes", "--node", first, "--node", second]).lines().count(), 2);
    assert_eq!(out(&["nodes", "--platform", "Windows"]), "");
    assert_eq!(out(&["nodes", "status", first]), "connected\n");
    out(&["nodes", "role", first, "kiosk"]);
    let by_role = out(&["nodes", "properties", "--filter", "IamRole=kiosk"]);
    assert!(by_role.starts_with(first) && by_role.lines().count() == 1, "{by_role}");
    assert_eq!(flotilla(&fleet, &["nodes", "properties", "--filter", "Height=3"]).code, 3);

    // Waiting for what goes on, for one node of it, and for too short.
    let sent = out(&["run", "--all", "--no-wait", "--output", "text", "--", "sleep 2; echo waited"]);
    let id = sent.trim();
    let short = flotilla(&fleet, &["wait", id, "--timeout", "0s"]);
    assert_eq!(short.code, 5, "{}\n{}", short.out, short.errors);
    let one = out(&["wait", id, "--node", second]);
    assert!(one.contains(second) && !one.contains(first) && one.contains("waited"), "{one}");
    assert_eq!(out(&["wait", id]).matches("waited").count(), 2);
    let failing = out(&["run", "--all", "--no-wait", "--output", "text", "--", "exit 3"]);
    assert_eq!(flotilla(&fleet, &["wait", failing.trim()]).code, 1);
    assert!(out(&["commands", "list", "--status", "Failed"]).contains(failing.trim()));

    // The whole output is more than a call gives, and comes by a link.
    let long = out(&["run", "--node", first, "--no-wait", "--output", "text", "--", "seq 1 20000"]);
    let cut = out(&["wait", long.trim()]);
    let show = ["commands", "show", long.trim(), "--node", first, "--whole"];
    assert!(!cut.contains("\n20000\n"), "a call cuts the output");
    // A little of it may come after the result.
    until_true(std::time::Duration::from_secs(30), "the whole output is shown", || {
        let shown = out(&show);
        shown.contains("\n1\n2\n3\n") && shown.contains("\n19999\n20000\n")
    });
    let nobody = flotilla(&fleet, &["run", "--all", "--notify", "nobody", "--", "true"]);
    assert_eq!(nobody.code, 3, "{}", nobody.errors);
    assert!(nobody.errors.contains("InvalidNotificationConfig") && nobody.errors.contains(":nobody"), "{}", nobody.errors);

    // What lint finds without a bridge is what the bridge refuses.
    let file = |name: &str, text: &str| {
        let path = fleet.folder().join(name);
        std::io::Write::write_all(&mut std::fs::File::create(&path).unwrap(), text.as_bytes()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let text = |timeout: u32| {
        format!(
            "schemaVersion: \"2.2\"\nmainSteps:\n  - action: aws:runShellScript\n    name: one\n    inputs:\n      timeoutSeconds: {timeout}\n      \
             runCommand: [\"echo {timeout}\"]\n"
        )
    };
    let (wrong, good, better) = (file("wrong.yaml", &text(1)), file("good.yaml", &text(60)), file("better.yaml", &text(61)));
    let linted = flotilla(&fleet, &["documents", "lint", &wrong]);
    let refused = flotilla(&fleet, &["documents", "create", "Wrong", &wrong]);
    assert_eq!((linted.code, refused.code), (1, 3), "{}\n{}", linted.out, refused.errors);
    assert!(linted.out.contains("wrong.yaml:6: error: mainSteps[0].inputs.timeoutSeconds: "), "{}", linted.out);
    assert!(refused.errors.contains("line 6, mainSteps[0].inputs.timeoutSeconds"), "{}", refused.errors);
    assert_eq!(out(&["documents", "lint", "--strict", &good, &better]), "");
    out(&["documents", "create", "Good", &good, "--tag", "team=a"]);
    out(&["documents", "update", "Good", &better]);
    assert!(out(&["documents", "list", "--own", "--tag", "team=a", "--keyword", "goo"]).starts_with("Good\t"));
    let described = json(&flotilla(&fleet, &["documents", "describe", "Good", "--version", "2", "--output", "json"]));
    let hash = described["Hash"].as_str().unwrap();
    let versioned = ["run", "--node", first, "--document", "Good", "--document-version", "2", "--document-hash", hash];
    assert!(out(&versioned).contains("61"));
    let other = "0".repeat(64);
    assert_eq!(flotilla(&fleet, &["run", "--node", first, "--document", "Good", "--document-hash", &other]).code, 3);
    out(&["documents", "default", "Good", "2"]);
    assert!(out(&["run", "--node", first, "--document", "Good"]).contains("61"));

    out(&["nodes", "deregister", second]);
    assert!(!out(&["nodes"]).contains(second));
}
