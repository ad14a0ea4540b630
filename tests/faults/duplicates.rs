//! F17: two bridges of one fleet, a database that was put back to an older one, and two devices with one identity.
//!
//! A second bridge on one home ends with a sentence, and the first does not notice. Of two on copies of a home at one Mosquitto, which tells
//! nobody who took a session, the newest goes on and the other stands aside for good. A restored database takes up what nodes still hold and
//! learns the outcome of what it believes running, and nothing runs twice. Of
//! two devices neither is believed once they contradict each other: nothing more is sent to them, and no report of theirs is taken up.
#![cfg(test)]

use flotilla_api::client::Client;
use flotilla_api::commands::GetCommandInvocationRequest;
use flotilla_api::nodes::{DescribeInstanceInformationRequest, GetConnectionStatusRequest};
use flotilla_tests::calls::shell_on;
use flotilla_tests::effects::Effects;
use flotilla_tests::invariants::History;
use flotilla_tests::ports::Port;
use flotilla_tests::process::Child;
use flotilla_tests::random::Random;
use flotilla_tests::tally::{Broken, Kind, Tally, trials};
use flotilla_tests::{Broker, Fleet, verdict, wait};
use std::time::Duration;

/// No measure: a machine with much else to do is slow.
const LIMIT: Duration = Duration::from_secs(90);
/// For how long nothing may happen where nothing should.
const QUIET: Duration = Duration::from_secs(4);

fn log(fleet: &Fleet, name: &str) -> String {
    std::fs::read_to_string(fleet.logs().join(format!("{name}.log"))).unwrap_or_default()
}

/// Waits until a bridge has ended by itself, which must be a failure with this sentence.
fn ends_saying(fleet: &Fleet, bridge: &mut Child, name: &str, sentence: &str) {
    let status = wait::until(LIMIT, &format!("{name} ends"), || bridge.ended());
    let log = log(fleet, name);
    assert!(!status.success() && log.contains(sentence), "{name} ended with {status}: {log}");
}

/// What the database holds, beside the bridge or without it.
fn database(fleet: &Fleet) -> History {
    let mut history = History::default();
    verdict::look(fleet, &mut history);
    history
}

fn ping_status(client: &Client, node: &str) -> Option<String> {
    let request = DescribeInstanceInformationRequest::default();
    let list = client.call(&request).ok()?.instance_information_list?;
    list.into_iter().find(|found| found.instance_id.as_deref() == Some(node))?.ping_status
}

#[test]
fn f17_a_second_bridge_on_the_same_home_ends_at_once() {
    let random = Random::seeded("F17-home");
    let mut tally = Tally::new("F17 two bridges on one home", &random, Duration::from_secs(150));
    let mut fleet = Fleet::with_nodes(Broker::Embedded, 1);
    let node = fleet.node_ids().remove(0);
    while tally.count() < trials(3, 100) {
        tally.begin("a second bridge");
        let (port, name) = (Port::free(), format!("same-home-{}", tally.count()));
        let mut second = fleet.further_bridge(fleet.home(), port.address(), &name);
        ends_saying(&fleet, &mut second, &name, "another bridge runs on");
        let command = fleet.send(&shell_on(&node, "true"));
        assert_eq!(fleet.await_end(&command, &node, LIMIT).status.as_deref(), Some("Success"), "the first one does not notice");
        assert!(fleet.bridge_ended().is_none());
        tally.trial(Vec::new());
    }
    tally.finish();
}

/// The status of a command on a node, at another bridge than the fleet's own.
fn status_at(client: &Client, command: &str, node: &str) -> Option<String> {
    let request = GetCommandInvocationRequest { command_id: command.to_owned(), instance_id: node.to_owned(), plugin_name: None };
    client.call(&request).ok()?.status
}

/// Each of these marks must have started once; nothing else may have.
fn ran_once(effects: &Effects, marks: &[&str]) -> Vec<Broken> {
    let ran = effects.read();
    let of = |mark: &&str| match ran.get(*mark).map_or(0, |effect| effect.starts.len()) {
        1 => None,
        0 => Some(Broken::new(Kind::Lost, format!("{mark} did not run"))),
        starts => Some(Broken::new(Kind::DoubleRun, format!("{mark} started {starts} times"))),
    };
    marks.iter().filter_map(of).collect()
}

#[test]
fn f17_of_two_bridges_one_stands_aside() {
    let random = Random::seeded("F17-bridges");
    let mut tally = Tally::new("F17 two bridges on copies of a home, at one Mosquitto", &random, Duration::from_secs(240));
    while tally.count() < trials(3, 100) {
        let mut fleet = Fleet::with_nodes(Broker::Mosquitto, 1);
        let node = fleet.node_ids().remove(0);
        let effects = Effects::new(fleet.folder());
        let first = fleet.send(&shell_on(&node, &effects.script("before", "true")));
        assert_eq!(fleet.await_end(&first, &node, LIMIT).status.as_deref(), Some("Success"));
        fleet.stop_bridge();
        let copy = fleet.copy_home("copy");
        fleet.start_bridge();
        fleet.await_online();
        // The newest goes on.
        let port = Port::free();
        let mut other = fleet.further_bridge(&copy, port.address(), "copy");
        let ended = wait::until(LIMIT, "the first bridge stands aside", || fleet.bridge_ended());
        let said = fleet.bridge_log();
        assert!(!ended.success() && said.contains("took over, so this one stands aside"), "it ended with {ended}: {said}");
        assert!(fleet.home().stood_aside().exists());
        let client = fleet.client_at(port.address());
        wait::until_true(LIMIT, "the copy has the node", || ping_status(&client, &node).as_deref() == Some("Online"));
        // Started again, as a service manager does, it does not take the session back.
        let third = Port::free();
        let mut again = fleet.further_bridge(fleet.home(), third.address(), "again");
        ends_saying(&fleet, &mut again, "again", "which therefore does not start");
        let connections = || log(&fleet, "copy").matches("connected to the broker").count();
        let before = connections();
        wait::let_pass(QUIET);
        assert!(other.ended().is_none() && connections() == before, "nobody fights any more: {}", log(&fleet, "copy"));
        let sent = client.call(&shell_on(&node, &effects.script("after", "true"))).expect("the copy takes commands");
        let after = sent.command.and_then(|command| command.command_id).expect("a command has an id");
        let mut broken = Vec::new();
        if !wait::holds_within(LIMIT, || status_at(&client, &after, &node).as_deref() == Some("Success")) {
            broken.push(Broken::new(Kind::Lost, format!("{after} is {:?}", status_at(&client, &after, &node))));
        }
        broken.extend(ran_once(&effects, &["before", "after"]));
        other.stop();
        tally.trial(broken);
    }
    tally.finish();
}

#[test]
fn f17_a_database_from_an_older_backup() {
    let random = Random::seeded("F17-backup");
    let mut tally = Tally::new("F17 database from an older backup", &random, Duration::from_secs(240));
    while tally.count() < trials(3, 100) {
        let mut fleet = Fleet::with_nodes(Broker::Embedded, 1);
        let node = fleet.node_ids().remove(0);
        let effects = Effects::new(fleet.folder());
        let success = |fleet: &Fleet, mark: &str| {
            let command = fleet.send(&shell_on(&node, &effects.script(mark, "true")));
            assert_eq!(fleet.await_end(&command, &node, LIMIT).status.as_deref(), Some("Success"), "{mark}");
            command
        };
        tally.begin("an older backup");
        success(&fleet, "before");
        // It runs while the backup is made, and ends after it.
        let go = fleet.folder().join("go");
        let waits = format!("for step in $(seq 900); do test -e {} && break; sleep 0.1; done", go.display());
        let open = fleet.send(&shell_on(&node, &effects.script("open", &waits)));
        wait::until_true(LIMIT, "it runs", || effects.read().contains_key("open"));
        let runs = || fleet.invocation(&open, &node).status.as_deref() == Some("InProgress");
        wait::until_true(LIMIT, "the bridge knows", runs);
        fleet.stop_bridge();
        let backup = fleet.copy_home("backup");
        fleet.start_bridge();
        fleet.await_online();
        let forgotten = success(&fleet, "forgotten");
        drop(std::fs::File::create(&go).expect("a file can be made"));
        assert_eq!(fleet.await_end(&open, &node, LIMIT).status.as_deref(), Some("Success"));
        fleet.stop_bridge();
        let mut history = verdict::of_bridge(&fleet);
        history.node(&node).handed_in.extend([open.clone(), forgotten]);
        history.restore();
        fleet.restore_database(&backup);
        fleet.start_bridge();
        fleet.await_online();
        let mut broken = Vec::new();
        let status = || fleet.invocation(&open, &node).status;
        if !wait::holds_within(LIMIT, || status().as_deref() == Some("Success")) {
            broken.push(Broken::new(Kind::Lost, format!("the restored database believes {open} to be {:?}", status())));
        }
        success(&fleet, "after");
        broken.extend(ran_once(&effects, &["before", "open", "forgotten", "after"]));
        verdict::look(&fleet, &mut history);
        broken.extend(flotilla_tests::invariants::check(&history).into_iter().map(verdict::broken));
        tally.trial(broken);
    }
    tally.finish();
}

#[test]
fn f17_a_copied_device_is_seen_and_quarantined() {
    let random = Random::seeded("F17-device");
    let mut tally = Tally::new("F17 cloned device", &random, Duration::from_secs(150));
    while tally.count() < trials(3, 100) {
        tally.begin("a copied device");
        let mut fleet = Fleet::with_nodes(Broker::Embedded, 1);
        let id = fleet.node_ids().remove(0);
        let effects = Effects::new(fleet.folder());
        let mut broken = Vec::new();
        let before = fleet.send(&shell_on(&id, &effects.script("before", "true")));
        assert_eq!(fleet.await_end(&before, &id, LIMIT).status.as_deref(), Some("Success"));
        // Both come to life with the same past.
        let copy = fleet.new_node();
        fleet.nodes[0].stop();
        fleet.nodes[0].copy_to(&copy);
        fleet.nodes.push(copy);
        fleet.nodes.iter_mut().for_each(flotilla_tests::node::Node::start);
        let mut number = 0;
        wait::until_true(LIMIT, "the two contradict each other", || {
            // They take the connection from each other, and either may get a command.
            fleet.send(&shell_on(&id, &effects.script(&format!("during-{number}"), "true")));
            number += 1;
            wait::let_pass(Duration::from_millis(200));
            ping_status(&fleet.client, &id).as_deref() == Some("Inactive")
        });
        let connection = fleet.call(&GetConnectionStatusRequest { target: id.clone() });
        assert_eq!(connection.status.as_deref(), Some("notconnected"));
        assert!(fleet.bridge_log().contains("a node is quarantined"), "it stands in the log");
        // Nothing goes to either of them from here on, and nothing that they say changes anything, after a restart of the bridge too.
        fleet.stop_bridge();
        let history = database(&fleet);
        assert_eq!(history.notes.iter().filter(|note| note.kind == "fork").count(), 1, "{:?}", history.notes);
        let head = history.nodes[&id].bridge_head;
        fleet.start_bridge();
        let after = fleet.send(&shell_on(&id, &effects.script("after", "true")));
        wait::let_pass(QUIET);
        assert_eq!(fleet.invocation(&after, &id).status.as_deref(), Some("Pending"), "it is not sent");
        assert_eq!(ping_status(&fleet.client, &id).as_deref(), Some("Inactive"));
        fleet.stop_bridge();
        let history = database(&fleet);
        if history.nodes[&id].bridge_head != head {
            broken.push(Broken::new(Kind::Lost, "a report of a quarantined node was taken up".to_owned()));
        }
        if effects.read().contains_key("after") {
            broken.push(Broken::new(Kind::Unauthorised, "a quarantined node got a command".to_owned()));
        }
        tally.trial(broken);
    }
    tally.finish();
}
