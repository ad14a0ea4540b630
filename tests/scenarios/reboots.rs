//! Scripts that ask for a reboot with exit code 194, on the whole path and with reboots that are played: the node has another boot id and exec
//! is killed. What is run on such a node never reboots the machine that the test runs on.
#![cfg(test)]

use flotilla_api::commands::{CancelCommandRequest, CommandInvocation, SendCommandRequest};
use flotilla_api::documents::CreateDocumentRequest;
use flotilla_tests::calls::shell_on;
use flotilla_tests::effects::Effects;
use flotilla_tests::invariants::{self, Invariant};
use flotilla_tests::python::Python;
use flotilla_tests::{Broker, Fleet};
use flotilla_tests::{verdict, wait};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);

/// A node that does this instead of a reboot, and counts as not rebooting after so many seconds.
fn node_that(reboots_by: Option<&str>, patience_s: u32) -> (Fleet, String) {
    let mut fleet = Fleet::start(Broker::Embedded);
    let node = fleet.new_node();
    if let Some(script) = reboots_by {
        node.reboot_by(script, patience_s);
    }
    let id = node.register(&fleet.activation(1));
    fleet.nodes.push(node);
    fleet.nodes[0].start();
    fleet.await_online();
    (fleet, id)
}

/// A document with a step before and one after the step that runs `script`.
fn document_around(fleet: &Fleet, script: &str) -> SendCommandRequest {
    let effects = Effects::new(fleet.folder());
    let step = |name: &str, line: &str| {
        let lines = serde_json::json!([effects.start(name), line]);
        format!("  - action: aws:runShellScript\n    name: {name}\n    inputs:\n      runCommand: {lines}\n")
    };
    let steps =
        [step("before", "echo before | tee -a effects"), step("asks", script), step("after", "echo after | tee -a effects; cat effects")];
    let content = format!("schemaVersion: '2.2'\nmainSteps:\n{}", steps.concat());
    let name = "Asks-For-A-Reboot".to_owned();
    let document = CreateDocumentRequest {
        content,
        name: name.clone(),
        document_type: Some("Command".into()),
        document_format: Some("YAML".into()),
        ..CreateDocumentRequest::default()
    };
    let _made = fleet.call(&document);
    SendCommandRequest { document_name: name, instance_ids: Some(fleet.node_ids()), ..SendCommandRequest::default() }
}

/// Stops the node, and asks the checker: each step ran once, and once more for each reboot that it asked for, which are counted in `asks`.
fn check(fleet: &mut Fleet, node: &str, command: &str, steps: &[&str], asks: &[(u16, u16)]) {
    let mut history = verdict::of_bridge(fleet);
    history.command(command).asks = asks.iter().copied().collect();
    let place = |mark: &str| u16::try_from(steps.iter().position(|step| *step == mark)?).ok();
    let effects = Effects::new(fleet.folder()).read();
    assert_eq!(effects.len(), steps.len(), "{effects:?}");
    history.step_effects(node, &effects, |mark| Some((command.to_owned(), place(mark)?)));
    verdict::add_journals(fleet, &mut history);
    invariants::assert_holds(&history);
    // The same starts without the reboots that they need are too many.
    if !asks.is_empty() {
        history.command(command).asks.clear();
        assert!(invariants::check(&history).iter().any(|violation| violation.invariant == Invariant::C2));
    }
}

fn steps_of(ended: &CommandInvocation) -> Vec<(Option<&str>, Option<&str>, Option<i32>)> {
    ended.command_plugins.iter().flatten().map(|step| (step.name.as_deref(), step.status.as_deref(), step.response_code)).collect()
}

#[test]
fn a_document_goes_on_after_a_reboot_where_it_was() {
    let (mut fleet, node) = node_that(None, 600);
    let request = document_around(&fleet, "echo asks | tee -a effects; test -e rebooted || { touch rebooted; exit 194; }");
    let command = fleet.send(&request);
    let ended = fleet.await_end(&command, &node, LIMIT);
    assert_eq!(ended.status.as_deref(), Some("Success"), "{ended:?}");
    let listed = fleet.invocations(Some(&command)).remove(0);
    let good = |name| (Some(name), Some("Success"), Some(0));
    assert_eq!(steps_of(&listed), [good("before"), good("asks"), good("after")], "{listed:?}");
    let outputs: Vec<String> = listed.command_plugins.into_iter().flatten().map(|step| step.output.unwrap_or_default()).collect();
    assert_eq!(
        outputs,
        ["before\n", "asks\nasks\n", "after\nbefore\nasks\nasks\nafter\n"],
        "the step before ran once, and the one that asks twice"
    );
    if let Some(python) = Python::find() {
        python.run(&fleet, "reboots.py", &[&node, &command]);
    }
    check(&mut fleet, &node, &command, &["before", "asks", "after"], &[(1, 1)]);
}

#[test]
fn a_reboot_that_never_happens_fails_the_step() {
    // The system says that it reboots, twice, and does not.
    let (fleet, node) = node_that(Some("echo told >> \"$0.told\""), 1);
    let command = fleet.send(&document_around(&fleet, "echo asks; exit 194"));
    let ended = fleet.await_end(&command, &node, LIMIT);
    assert_eq!(ended.status.as_deref(), Some("Failed"), "{ended:?}");
    let listed = fleet.invocations(Some(&command)).remove(0);
    let steps: Vec<_> = steps_of(&listed);
    assert_eq!(steps[..2], [(Some("before"), Some("Success"), Some(0)), (Some("asks"), Some("Failed"), Some(194))], "{listed:?}");
    let told = std::fs::read_to_string(fleet.folder().join("nodes/n0/reboot.told")).unwrap();
    assert_eq!(told, "told\ntold\n");
    // The node is free again.
    let next = fleet.send(&shell_on(&node, "echo next"));
    assert_eq!(fleet.await_end(&next, &node, LIMIT).status.as_deref(), Some("Success"));
}

#[test]
fn a_script_that_always_asks_reboots_a_node_five_times() {
    let (mut fleet, node) = node_that(None, 600);
    let mark = Effects::new(fleet.folder()).start("run");
    let command = fleet.send(&shell_on(&node, &format!("{mark}; echo run; exit 194")));
    let ended = fleet.await_end(&command, &node, LIMIT);
    assert_eq!((ended.status.as_deref(), ended.response_code), (Some("Failed"), Some(194)), "{ended:?}");
    assert_eq!(ended.standard_output_content.as_deref(), Some("run\n".repeat(6).as_str()), "{ended:?}");
    check(&mut fleet, &node, &command, &["run"], &[(0, 5)]);
}

#[test]
fn a_command_that_is_cancelled_while_it_reboots_never_goes_on() {
    // It takes as long as the test wants.
    let play = "while ! test -e \"$0.go\"; do sleep 0.05; done\n\
        cat /proc/sys/kernel/random/uuid > \"$(dirname $0)/boot-id.new\" && mv \"$(dirname $0)/boot-id.new\" \"$(dirname $0)/boot-id\" && kill -9 $PPID\n";
    let (fleet, node) = node_that(Some(play), 600);
    let effects = fleet.folder().join("effects");
    let command = fleet.send(&shell_on(&node, &format!("echo run >> {}; exit 194", effects.display())));
    wait::until_true(LIMIT, "the bridge shows that it reboots", || {
        let shown = fleet.invocation(&command, &node);
        shown.status.as_deref() == Some("InProgress") && shown.status_details.as_deref() == Some("Rebooting")
    });
    fleet.call(&CancelCommandRequest { command_id: command.clone(), instance_ids: None });
    let ended = fleet.await_end(&command, &node, LIMIT);
    assert_eq!((ended.status.as_deref(), ended.response_code), (Some("Cancelled"), Some(194)), "{ended:?}");
    std::fs::File::create(fleet.folder().join("nodes/n0/reboot.go")).unwrap();
    let next = fleet.send(&shell_on(&node, "echo next"));
    assert_eq!(fleet.await_end(&next, &node, LIMIT).status.as_deref(), Some("Success"));
    assert_eq!(std::fs::read_to_string(effects).unwrap(), "run\n");
}
