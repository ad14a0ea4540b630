//! `flotilla wait`: the same looks, results and exit codes as `run`.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::bridge::{self, Bridge};
use crate::{COMMAND_ID, bridge_with_a_command, flotilla_at, texts};

fn wait(bridge: &Bridge, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = flotilla_at(bridge, &[&["wait"], arguments].concat()).output().unwrap();
    let (out, errors) = texts(&output);
    (output.status.code(), out, errors)
}

#[test]
fn waits_until_the_command_has_ended() {
    let (bridge, sent) = bridge_with_a_command("Failed", "Failed");
    let (code, out, errors) = wait(&bridge, &[COMMAND_ID]);
    assert_eq!(code, Some(1), "{errors}");
    assert!(out.contains("== mi-1  Success") && out.contains("== mi-2  Failed  exit code 7 =="), "{out}");
    assert!(errors.starts_with(&format!("command {COMMAND_ID}\n")) && errors.contains("2 of 2 nodes ended"), "{errors}");
    assert!(sent.lock().unwrap().is_empty(), "waiting sends nothing");

    let (bridge, _) = bridge_with_a_command("Success", "Success");
    let (code, out, errors) = wait(&bridge, &[COMMAND_ID, "--output", "json"]);
    assert_eq!(code, Some(0), "{errors}");
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["Invocations"].as_array().unwrap().len(), 2);
}

#[test]
fn a_time_out_has_an_exit_code_of_its_own() {
    let (bridge, _) = bridge_with_a_command("never", "InProgress");
    let (code, out, errors) = wait(&bridge, &[COMMAND_ID, "--timeout", "1s"]);
    assert_eq!((code, out.as_str()), (Some(5), ""), "{errors}");
    assert!(errors.contains("it goes on") && errors.contains(&format!("flotilla wait {COMMAND_ID}")), "{errors}");
    let (code, _, errors) = wait(&bridge, &["no-such-command"]);
    assert_eq!(code, Some(2), "{errors}");
}

#[test]
fn the_whole_output_is_behind_links() {
    let whole = format!("begin{}end\n", "x".repeat(100_000));
    let long = whole.clone();
    let address = Arc::new(Mutex::new(String::new()));
    let own = Arc::clone(&address);
    let bridge = Bridge::start(move |operation, request| match operation {
        "ListCommands" => (200, json!({ "Commands": [{ "CommandId": COMMAND_ID, "Status": "Success", "TargetCount": 1 }] })),
        "ListCommandInvocations" => (200, json!({ "CommandInvocations": [{ "InstanceId": "mi-1", "Status": "Success" }] })),
        "GetCommandInvocation" => {
            let link = |name: &str| {
                if request["InstanceId"] == "mi-1" { format!("{}/output/{name}?signature=a", own.lock().unwrap()) } else { String::new() }
            };
            (
                200,
                json!({
                    "InstanceId": "mi-1", "Status": "Success", "StandardOutputContent": "begin", "StandardErrorContent": "",
                    "StandardOutputUrl": link("long"), "StandardErrorUrl": "",
                }),
            )
        }
        "GET /output/long?signature=a" => (200, json!(long)),
        _ => (403, json!("this link is old")),
    });
    bridge.endpoint().clone_into(&mut address.lock().unwrap());
    let show = |more: &[&str]| {
        let output = flotilla_at(&bridge, &[&["commands", "show", COMMAND_ID], more].concat()).output().unwrap();
        (output.status.code(), texts(&output))
    };
    assert_eq!(show(&[]).1.0, "== mi-1  Success ==\nbegin\n");
    assert_eq!(show(&["--node", "mi-1", "--whole"]).1.0, format!("== mi-1  Success ==\n{whole}"));
    // A link elsewhere: refused there, or not followed at all.
    address.lock().unwrap().push_str("/old");
    let (code, (_, errors)) = show(&["--whole"]);
    assert_eq!(code, Some(3));
    assert!(errors.contains("status 403: this link is old"), "{errors}");
    "http://bridge.example".clone_into(&mut address.lock().unwrap());
    let (code, (_, errors)) = show(&["--whole"]);
    assert_eq!(code, Some(2));
    assert!(errors.contains("neither https:// nor to this machine"), "{errors}");
}

/// A command that goes on, on one of two nodes.
fn bridge_with_one_end() -> Bridge {
    Bridge::start(|operation, request| match operation {
        "ListCommands" => (200, json!({ "Commands": [{ "CommandId": COMMAND_ID, "Status": "InProgress", "TargetCount": 2 }] })),
        "ListCommandInvocations" => {
            let all = [json!({ "InstanceId": "mi-1", "Status": "Success" }), json!({ "InstanceId": "mi-2", "Status": "InProgress" })];
            let chosen: Vec<_> =
                all.into_iter().filter(|node| request["InstanceId"].is_null() || request["InstanceId"] == node["InstanceId"]).collect();
            (200, json!({ "CommandInvocations": chosen }))
        }
        "GetCommandInvocation" => {
            (200, json!({ "InstanceId": request["InstanceId"], "Status": "Success", "StandardOutputContent": "done\n" }))
        }
        _ => bridge::refuse("InvalidCommandId", ""),
    })
}

#[test]
fn one_node_can_be_waited_for() {
    let bridge = bridge_with_one_end();
    let (code, out, errors) = wait(&bridge, &[COMMAND_ID, "--node", "mi-1"]);
    assert_eq!((code, out.as_str()), (Some(0), "== mi-1  Success ==\ndone\n"), "{errors}");
    let (code, _, errors) = wait(&bridge, &[COMMAND_ID, "--node", "mi-2", "--timeout", "1s"]);
    assert_eq!(code, Some(5));
    assert!(errors.contains("0 of 1 node ended"), "{errors}");
    let shown = flotilla_at(&bridge, &["commands", "show", COMMAND_ID, "--node", "mi-1"]).output().unwrap();
    assert_eq!(texts(&shown).0, "== mi-1  Success ==\ndone\n");
}

#[test]
fn a_node_that_the_command_did_not_go_to_is_told() {
    let bridge = Bridge::start(|operation, _| match operation {
        "ListCommands" => (200, json!({ "Commands": [{ "CommandId": COMMAND_ID, "Status": "Success", "TargetCount": 1 }] })),
        _ => (200, json!({ "CommandInvocations": [] })),
    });
    let (code, _, errors) = wait(&bridge, &[COMMAND_ID, "--node", "mi-9"]);
    assert_eq!(code, Some(2));
    assert!(errors.contains("did not go to the node mi-9"), "{errors}");
}

#[test]
fn a_command_that_awaits_signatures_says_so_and_names_the_commands() {
    let state = |state: &'static str| {
        Bridge::start(move |operation, _| match operation {
            "SendCommand" => (200, json!({ "Command": { "CommandId": COMMAND_ID, "Status": "Pending" } })),
            "GetPreparedOrder" if state.is_empty() => bridge::refuse("PreparedOrderNotFoundException", ""),
            "GetPreparedOrder" => (
                200,
                json!({ "Order": {
                    "OrderId": COMMAND_ID, "State": state, "Requester": "Ann", "Class": "command", "DocumentName": "D", "TargetCount": 1,
                    "PreparedMs": 0, "NotAfterMs": 1, "BodySha256": "00".repeat(32), "Signatures": [], "Threshold": 2, "Missing": 2,
                    "MaySign": ["Ann", "Bob\u{1b}[2K"],
                }, "Envelope": "" }),
            ),
            other => panic!("{other}"),
        })
    };
    let run = |bridge: &Bridge| {
        let output = flotilla_at(bridge, &["run", "--all", "--no-wait", "--", "uptime"]).output().unwrap();
        (output.status.code(), texts(&output))
    };
    let (code, (out, errors)) = run(&state("AwaitingSignature"));
    assert_eq!((code, out.trim()), (Some(0), COMMAND_ID), "{errors}");
    assert!(errors.contains("no node takes it before 2 of Ann, Bob[2K have signed it"), "{errors}");
    assert!(errors.contains(&format!("flotilla orders sign {COMMAND_ID} --key NAME")), "{errors}");
    for other in ["Released", ""] {
        assert_eq!(run(&state(other)), (Some(0), (format!("{COMMAND_ID}\n"), String::new())), "{other}");
    }
}
