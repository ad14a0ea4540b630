//! The whole path, from an operator's program to a process on a node and back, on real parts: once with the embedded broker, once with
//! Mosquitto, by our own client and by the real `aws` and boto3.
#![cfg(test)]

use flotilla_api::commands::CancelCommandRequest;
use flotilla_api::nodes::{DescribeInstanceInformationRequest, GetConnectionStatusRequest};
use flotilla_tests::calls::shell_on;
use flotilla_tests::python::Python;
use flotilla_tests::wait;
use flotilla_tests::{Broker, Fleet};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// What the quickstart shows: an activation, a node that registers and comes online, a command and its output.
fn quickstart(fleet: &Fleet) {
    let [node] = fleet.node_ids().try_into().unwrap();
    let [known] = fleet.call(&DescribeInstanceInformationRequest::default()).instance_information_list.unwrap().try_into().unwrap();
    assert_eq!((known.instance_id.as_deref(), known.ping_status.as_deref()), (Some(node.as_str()), Some("Online")));
    assert_eq!((known.resource_type.as_deref(), known.platform_type.as_deref()), (Some("ManagedInstance"), Some("Linux")));
    assert!(known.agent_version.is_some() && known.activation_id.is_some() && known.registration_date.is_some(), "{known:?}");
    assert_eq!(fleet.call(&GetConnectionStatusRequest { target: node.clone() }).status.as_deref(), Some("connected"));

    let command = fleet.send(&shell_on(&node, "echo out; echo err >&2; exit 3"));
    // Read-after-write: an answer before the node can have done anything.
    assert_eq!(fleet.invocation(&command, &node).command_id.as_deref(), Some(command.as_str()));
    let ended = fleet.await_end(&command, &node, LIMIT);
    assert_eq!((ended.status.as_deref(), ended.response_code), (Some("Failed"), Some(3)), "{ended:?}");
    assert_eq!(ended.standard_output_content.as_deref(), Some("out\n"));
    assert!(ended.standard_error_content.as_deref().is_some_and(|text| text.starts_with("err\n")), "{ended:?}");

    let command = fleet.send(&shell_on(&node, "echo $((6 * 7)); pwd; id -u"));
    let ended = fleet.await_end(&command, &node, LIMIT);
    assert_eq!(ended.status.as_deref(), Some("Success"), "{ended:?}");
    assert!(ended.standard_output_content.as_deref().is_some_and(|text| text.starts_with("42\n")), "{ended:?}");
}

/// A cancel stops the whole process group of a running command.
fn cancel(fleet: &Fleet) {
    let [node] = fleet.node_ids().try_into().unwrap();
    let marker = fleet.folder().join("cancelled");
    let script = format!("touch {0}.started; sleep 300; touch {0}", marker.display());
    let command = fleet.send(&shell_on(&node, &script));
    wait::until_true(LIMIT, "the command has started", || marker.with_extension("started").exists());
    assert_eq!(fleet.nodes[0].jobs().len(), 1);
    fleet.call(&CancelCommandRequest { command_id: command.clone(), instance_ids: None });
    let ended = fleet.await_end(&command, &node, LIMIT);
    assert_eq!((ended.status.as_deref(), ended.status_details.as_deref()), (Some("Cancelled"), Some("Canceled")), "{ended:?}");
    wait::until_true(LIMIT, "no process of the job is left", || fleet.nodes[0].jobs().is_empty());
    assert!(!marker.exists());
}

/// More output than a result holds: cut in the API, with the end of what is shown on a character.
fn long_output(fleet: &Fleet) {
    let [node] = fleet.node_ids().try_into().unwrap();
    let script = "i=0; while [ $i -lt 5000 ]; do echo \"line $i äöü\"; i=$((i+1)); done";
    let command = fleet.send(&shell_on(&node, script));
    let ended = fleet.await_end(&command, &node, LIMIT);
    assert_eq!(ended.status.as_deref(), Some("Success"), "{ended:?}");
    let output = ended.standard_output_content.unwrap();
    assert!(output.starts_with("line 0 äöü\nline 1 äöü\n"), "{}", output.chars().take(100).collect::<String>());
    let length = output.chars().count();
    assert!((10_000..=24_000).contains(&length), "{length} characters");
}

/// The node goes offline when its agent stops, and comes back.
fn presence(fleet: &mut Fleet) {
    fleet.nodes[0].stop();
    wait::until_true(LIMIT, "the node is offline", || fleet.online().is_empty());
    fleet.nodes[0].start();
    fleet.await_online();
}

/// A bridge that is started again on its home goes on with the same fleet.
fn restart(fleet: &mut Fleet) {
    fleet.stop_bridge();
    fleet.start_bridge();
    fleet.await_online();
    quickstart_again(fleet);
}

fn quickstart_again(fleet: &Fleet) {
    let [node] = fleet.node_ids().try_into().unwrap();
    let command = fleet.send(&shell_on(&node, "echo again"));
    assert_eq!(fleet.await_end(&command, &node, LIMIT).standard_output_content.as_deref(), Some("again\n"));
}

fn spine(broker: Broker) {
    let mut fleet = Fleet::with_nodes(broker, 1);
    quickstart(&fleet);
    cancel(&fleet);
    long_output(&fleet);
    presence(&mut fleet);
    restart(&mut fleet);
    if let Some(python) = Python::find() {
        let [node] = fleet.node_ids().try_into().unwrap();
        python.run(&fleet, "spine.py", &[&node]);
    }
}

#[test]
fn with_the_embedded_broker() {
    spine(Broker::Embedded);
}

#[test]
fn with_mosquitto() {
    spine(Broker::Mosquitto);
}
