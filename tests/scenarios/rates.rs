//! Ten nodes: how many run at once, when a command stops by itself, how it is stopped, and what happens to nodes that are away.
#![cfg(test)]

use flotilla_api::commands::{CancelCommandRequest, SendCommandRequest, Target};
use flotilla_tests::calls::shell;
use flotilla_tests::effects::Effects;
use flotilla_tests::{Broker, Fleet, wait};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

const NODES: usize = 10;
const LIMIT: Duration = Duration::from_secs(120);

/// A script whose mark is the node's own folder, so that each node leaves a mark of its own.
fn script(folder: &Path, name: &str, body: &str) -> (Effects, String) {
    let folder = folder.join(name);
    std::fs::create_dir(&folder).unwrap();
    let effects = Effects::new(&folder);
    // The shell's own process id differs from node to node.
    let script = effects.script("$$", body);
    (effects, script)
}

fn to_all(script: &str) -> SendCommandRequest {
    let all = Target { key: Some("InstanceIds".to_owned()), values: Some(vec!["*".to_owned()]) };
    SendCommandRequest { instance_ids: None, targets: Some(vec![all]), ..shell(&[], script) }
}

/// How many invocations of a command have each status and its details.
fn statuses(fleet: &Fleet, command: &str) -> BTreeMap<String, usize> {
    let mut statuses = BTreeMap::new();
    for invocation in fleet.invocations(Some(command)) {
        *statuses.entry(invocation.status_details.unwrap_or_default()).or_insert(0) += 1;
    }
    statuses
}

fn counted(list: &[(&str, usize)]) -> BTreeMap<String, usize> {
    list.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

fn concurrency(fleet: &Fleet) {
    for (name, concurrency, at_most) in [("two", "2", 2), ("share", "30%", 3)] {
        let (effects, script) = script(fleet.folder(), name, "sleep 0.2");
        let command = fleet.send(&SendCommandRequest { max_concurrency: Some(concurrency.to_owned()), ..to_all(&script) });
        let ended = fleet.await_command(&command, LIMIT);
        assert_eq!(
            (ended.status.as_deref(), ended.target_count, ended.completed_count),
            (Some("Success"), Some(10), Some(10)),
            "{ended:?}"
        );
        let effects = effects.read();
        assert_eq!(effects.len(), NODES, "{concurrency}: every node ran it");
        let most = Effects::most_at_once(&effects);
        assert!((1..=at_most).contains(&most), "{concurrency}: {most} at once");
    }
}

fn errors(fleet: &Fleet) {
    for (name, errors, started) in [("none", "0", 1), ("two-errors", "2", 3), ("errors-share", "10%", 2)] {
        let (effects, script) = script(fleet.folder(), name, "exit 1");
        let request = SendCommandRequest { max_concurrency: Some("1".to_owned()), max_errors: Some(errors.to_owned()), ..to_all(&script) };
        let command = fleet.send(&request);
        let ended = fleet.await_command(&command, LIMIT);
        assert_eq!((ended.status.as_deref(), ended.error_count), (Some("Failed"), Some(started)), "{errors}: {ended:?}");
        let started = usize::try_from(started).unwrap();
        assert_eq!(effects.read().len(), started, "MaxErrors {errors} tolerates as many and stops at the next");
        assert_eq!(statuses(fleet, &command), counted(&[("Failed", started), ("Terminated", NODES - started)]), "{errors}");
    }
}

fn cancel_of_a_half_done_command(fleet: &Fleet) {
    let (effects, script) = script(fleet.folder(), "half", "sleep 300");
    let command = fleet.send(&SendCommandRequest { max_concurrency: Some("3".to_owned()), ..to_all(&script) });
    wait::until_true(LIMIT, "three nodes run it", || effects.read().len() == 3);
    fleet.call(&CancelCommandRequest { command_id: command.clone(), instance_ids: None });
    let ended = fleet.await_command(&command, LIMIT);
    assert_eq!(ended.status.as_deref(), Some("Cancelled"), "{ended:?}");
    assert_eq!(statuses(fleet, &command), counted(&[("Canceled", NODES)]));
    assert_eq!(effects.read().len(), 3, "nobody started it after the cancel");
    assert!(effects.read().values().all(|effect| effect.ends.is_empty()), "nobody ran it to its end");
    wait::until_true(LIMIT, "no job is left", || fleet.nodes.iter().all(|node| node.jobs().is_empty()));
}

/// Of two nodes that are away, one comes back in time and one does not; a third goes away while it runs.
fn away(fleet: &mut Fleet) {
    let ids = fleet.node_ids();
    let (late, back, leaving) = (ids[0].clone(), ids[1].clone(), ids[2].clone());
    fleet.nodes[0].stop();
    fleet.nodes[1].stop();
    wait::until_true(LIMIT, "two nodes are offline", || fleet.online().len() == NODES - 2);
    let (effects, script) = script(fleet.folder(), "away", "sleep 3");
    let request = SendCommandRequest { timeout_seconds: Some(30), ..shell(&[late.clone(), back.clone(), leaving.clone()], &script) };
    let command = fleet.send(&request);
    wait::until_true(LIMIT, "the third node runs it", || effects.read().len() == 1);
    // The agent goes and its job does not: the result is there when the agent is back.
    fleet.nodes[2].stop();
    fleet.nodes[1].start();
    assert_eq!(fleet.await_end(&command, &back, LIMIT).status.as_deref(), Some("Success"));
    wait::until_true(LIMIT, "the job of the third node ends", || fleet.nodes[2].jobs().is_empty());
    fleet.nodes[2].start();
    assert_eq!(fleet.await_end(&command, &leaving, LIMIT).status.as_deref(), Some("Success"));

    let ended = fleet.await_end(&command, &late, LIMIT);
    assert_eq!((ended.status.as_deref(), ended.status_details.as_deref()), (Some("TimedOut"), Some("Delivery Timed Out")), "{ended:?}");
    fleet.nodes[0].start();
    fleet.await_online();
    assert_eq!(effects.read().len(), 2, "what was timed out does not run later");
    assert!(effects.read().values().all(|effect| (effect.starts.len(), effect.ends.len()) == (1, 1)));
    assert_eq!(fleet.command(&command).delivery_timed_out_count, Some(1));
}

#[test]
fn of_ten_nodes() {
    let mut fleet = Fleet::with_nodes(Broker::Embedded, NODES);
    concurrency(&fleet);
    errors(&fleet);
    cancel_of_a_half_done_command(&fleet);
    away(&mut fleet);
}
