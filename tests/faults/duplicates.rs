//! F17: two bridges of one fleet, and two devices with one identity.
//!
//! Of two bridges one goes on and the other stands aside with a sentence, for good: they never take the session from each other in turns. Of
//! two devices neither is believed once they contradict each other: nothing more is sent to them, and no report of theirs is taken up.
#![cfg(test)]

use flotilla_api::client::Client;
use flotilla_api::nodes::{DescribeInstanceInformationRequest, GetConnectionStatusRequest};
use flotilla_tests::calls::shell_on;
use flotilla_tests::effects::Effects;
use flotilla_tests::invariants::History;
use flotilla_tests::ports::Port;
use flotilla_tests::process::Child;
use flotilla_tests::random::Random;
use flotilla_tests::tally::{Broken, Kind, Tally, trials};
use flotilla_tests::{Broker, Fleet, wait};
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
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    let path = fleet.home().database();
    let read = flotilla_tests::invariants::database::read_file(&path, &mut history);
    runtime.block_on(read).expect("the database can be read");
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

#[test]
#[ignore = "fails: Mosquitto ends a session that is taken over without a reason code that reaches the link, so the two still fight"]
fn f17_of_two_bridges_one_stands_aside() {
    let random = Random::seeded("F17-bridges");
    let mut tally = Tally::new("F17 two bridges", &random, Duration::from_secs(150));
    while tally.count() < trials(3, 100) {
        let mut fleet = Fleet::with_nodes(Broker::Mosquitto, 1);
        let node = fleet.node_ids().remove(0);
        let effects = Effects::new(fleet.folder());
        let mut broken = Vec::new();
        // On the same home: the second one ends at once, and the first does not notice.
        let port = Port::free();
        let mut second = fleet.further_bridge(fleet.home(), port.address(), "same-home");
        ends_saying(&fleet, &mut second, "same-home", "another bridge runs on");
        let first = fleet.send(&shell_on(&node, &effects.script("before", "true")));
        assert_eq!(fleet.await_end(&first, &node, LIMIT).status.as_deref(), Some("Success"));
        // On a copy, at the same broker: the newest goes on.
        fleet.stop_bridge();
        let copy = fleet.copy_home("copy");
        fleet.start_bridge();
        fleet.await_online();
        let mut other = fleet.further_bridge(&copy, port.address(), "copy");
        let ended = wait::until(LIMIT, "the first bridge stands aside", || fleet.bridge_ended());
        let said = fleet.bridge_log();
        assert!(!ended.success() && said.contains("took over, so this one stands aside"), "it ended with {ended}: {said}");
        let client = fleet.client_at(port.address());
        wait::until_true(LIMIT, "the copy has the node", || ping_status(&client, &node).as_deref() == Some("Online"));
        // Started again, as a service manager does, it does not take the session back.
        let third = Port::free();
        let mut again = fleet.further_bridge(fleet.home(), third.address(), "again");
        ends_saying(&fleet, &mut again, "again", "which therefore does not start");
        wait::let_pass(QUIET);
        assert!(other.ended().is_none(), "the copy goes on: {}", log(&fleet, "copy"));
        let command = client.call(&shell_on(&node, &effects.script("after", "true"))).expect("the copy takes commands");
        let command = command.command.and_then(|command| command.command_id).expect("a command has an id");
        let request = flotilla_api::commands::GetCommandInvocationRequest {
            command_id: command.clone(),
            instance_id: node.clone(),
            plugin_name: None,
        };
        wait::until_true(LIMIT, "a command of the copy ends", || {
            client.call(&request).is_ok_and(|shown| shown.status.as_deref() == Some("Success"))
        });
        for (mark, effect) in effects.read() {
            if effect.starts.len() != 1 {
                broken.push(Broken::new(Kind::DoubleRun, format!("{mark} started {} times", effect.starts.len())));
            }
        }
        if effects.read().len() != 2 {
            broken.push(Broken::new(Kind::Lost, format!("of two commands these ran: {:?}", effects.read())));
        }
        other.stop();
        tally.trial(broken);
    }
    tally.finish();
}

#[test]
fn f17_a_copied_device_is_seen_and_quarantined() {
    let random = Random::seeded("F17-device");
    let mut tally = Tally::new("F17 cloned device", &random, Duration::from_secs(150));
    while tally.count() < trials(3, 100) {
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
