//! F17: two bridges of one fleet, and two devices with one identity.
//!
//! A second bridge on one home ends with a sentence, and the first does not notice. Of
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
