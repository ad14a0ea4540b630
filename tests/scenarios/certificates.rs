//! The life of certificates, on real processes: renewed while connected and after they have run out, cut at each point of it, revoked, and
//! the authority replaced under nodes that are there and nodes that are away. With the embedded broker and with Mosquitto.
#![cfg(test)]

use flotilla_api::activations::{DeleteActivationRequest, DescribeActivationsRequest};
use flotilla_api::nodes::DeregisterManagedInstanceRequest;
use flotilla_link::Validity;
use flotilla_tests::calls::shell_on;
use flotilla_tests::fleet::START_LIMIT;
use flotilla_tests::node::{Half, Node};
use flotilla_tests::{Broker, Fleet, clock, process, wait};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);
const REPLACED: &str = "the new certificate works and has replaced the old one";

/// Appends the life of certificates to the settings of the bridge, which is started again.
fn set_life(fleet: &mut Fleet, seconds: u64) {
    fleet.stop_bridge();
    let path = fleet.home().settings();
    let before = fs::read_to_string(&path).unwrap();
    let kept = before.split("\n[limits]").next().unwrap();
    write(&path, format!("{kept}\n[limits]\ncertificate_life_s = {seconds}\n").as_bytes());
    fleet.start_bridge();
}

#[expect(clippy::disallowed_methods, reason = "files of a test are not kept over a power cut")]
fn write(path: &Path, content: &[u8]) {
    fs::write(path, content).unwrap();
}

fn link_file(node: &Node, name: &str) -> PathBuf {
    node.state().join("link").join(name)
}

fn runs_commands(fleet: &Fleet, node: usize) {
    let id = fleet.nodes[node].id();
    let command = fleet.send(&shell_on(&id, "echo here"));
    let ended = fleet.await_end(&command, &id, LIMIT);
    assert_eq!(ended.standard_output_content.as_deref().map(str::trim), Some("here"));
}

fn now_s() -> u64 {
    clock::unix_ms() / 1000
}

/// When the certificate that came with the registration ends.
fn registered_until(node: &Node) -> u64 {
    Validity::of(&fs::read(link_file(node, "certificate.der")).unwrap()).unwrap().not_after_s
}

fn renews_while_it_is_connected(broker: Broker) {
    let mut fleet = Fleet::start(broker);
    set_life(&mut fleet, 60);
    fleet.add_nodes(1);
    let until_s = registered_until(&fleet.nodes[0]);
    wait::until_true(LIMIT, "the certificate is renewed", || fleet.nodes[0].log().contains(REPLACED));
    assert!(now_s() < until_s, "it was renewed before it ran out");
    assert!(link_file(&fleet.nodes[0], "credentials").exists() && !link_file(&fleet.nodes[0], "credentials.next").exists());
    fleet.await_online();
    runs_commands(&fleet, 0);
    // With the first one alone it would not come back now.
    wait::until_true(LIMIT, "the first certificate has run out", || now_s() > until_s + 1);
    fleet.nodes[0].stop();
    wait::until_true(LIMIT, "the node is away", || fleet.online().is_empty());
    fleet.nodes[0].start();
    fleet.await_online();
    runs_commands(&fleet, 0);
}

#[test]
fn a_certificate_is_renewed_in_time_on_the_embedded_broker() {
    renews_while_it_is_connected(Broker::Embedded);
}

#[test]
fn a_certificate_is_renewed_in_time_on_mosquitto() {
    renews_while_it_is_connected(Broker::Mosquitto);
}

fn comes_back_after_it_has_run_out(broker: Broker) {
    let mut fleet = Fleet::start(broker);
    set_life(&mut fleet, 30);
    fleet.add_nodes(1);
    fleet.nodes[0].stop();
    // Nothing but the node's own key is left to come back with.
    for activation in fleet.call(&DescribeActivationsRequest::default()).activation_list.unwrap() {
        fleet.call(&DeleteActivationRequest { activation_id: activation.activation_id.unwrap() });
    }
    let until_s = registered_until(&fleet.nodes[0]);
    wait::until_true(LIMIT, "the certificate has run out", || now_s() > until_s + 1);
    set_life(&mut fleet, 3600);
    fleet.nodes[0].start();
    fleet.await_online();
    assert!(fleet.nodes[0].log().contains(REPLACED));
    runs_commands(&fleet, 0);
}

#[test]
fn a_node_comes_back_with_its_key_alone_on_the_embedded_broker() {
    comes_back_after_it_has_run_out(Broker::Embedded);
}

#[test]
fn a_node_comes_back_with_its_key_alone_on_mosquitto() {
    comes_back_after_it_has_run_out(Broker::Mosquitto);
}

/// What a cut can leave on the disk, each made and started from; and kills at random moments of many renewals.
#[test]
fn a_cut_at_any_point_leaves_a_certificate_that_works() {
    let mut fleet = Fleet::start(Broker::Embedded);
    set_life(&mut fleet, 20);
    fleet.add_nodes(1);
    for round in 0..12 {
        wait::let_pass(Duration::from_millis(700 + 331 * round));
        fleet.nodes[0].kill_half(if round % 3 == 2 { Half::Exec } else { Half::Link });
    }
    fleet.await_online();
    let renewed = link_file(&fleet.nodes[0], "credentials");
    wait::until_true(LIMIT, "a renewal gets through", || renewed.exists());
    let count = fleet.nodes[0].log().matches(REPLACED).count();
    set_life(&mut fleet, 3600);
    wait::until_true(LIMIT, "one with a long life", || fleet.nodes[0].log().matches(REPLACED).count() > count);

    // Written, and no connection made with it: it is tried, and takes the place of the one before.
    fleet.nodes[0].stop();
    let next = link_file(&fleet.nodes[0], "credentials.next");
    fs::rename(&renewed, &next).unwrap();
    fleet.nodes[0].start();
    fleet.await_online();
    wait::until_true(LIMIT, "it has taken the place", || renewed.exists() && !next.exists());

    // Half written, and with half of what comes beside a file that is replaced: the one in use goes on.
    fleet.nodes[0].stop();
    let whole = fs::read(&renewed).unwrap();
    for path in [&next, &link_file(&fleet.nodes[0], "credentials.next.new")] {
        write(path, &whole[..whole.len() / 2]);
    }
    fleet.nodes[0].start();
    fleet.await_online();
    runs_commands(&fleet, 0);
}

fn throws_out_who_is_revoked(broker: Broker) {
    let mut fleet = Fleet::with_nodes(broker, 2);
    let id = fleet.nodes[0].id();
    let disconnected = |fleet: &Fleet| fleet.nodes[0].log().matches("no connection to the broker").count();
    let before = disconnected(&fleet);
    fleet.call(&DeregisterManagedInstanceRequest { instance_id: id });
    wait::until_true(Duration::from_secs(10), "its connection is ended", || disconnected(&fleet) > before);
    // It comes again and again, and asks for another certificate, too.
    wait::until_true(LIMIT, "it is not let in", || disconnected(&fleet) > before + 3);
    if broker == Broker::Embedded {
        wait::until_true(LIMIT, "it gets no other certificate", || fleet.nodes[0].log().contains("this device was deregistered"));
    }
    let again = fleet.nodes[0].log().matches("connected to the broker").count();
    println!("{broker:?}: {again} lines of connections, {} ended", disconnected(&fleet));
    runs_commands(&fleet, 1);
    // A bridge that starts again remembers it.
    fleet.stop_bridge();
    fleet.start_bridge();
    let before = disconnected(&fleet);
    fleet.nodes.swap(0, 1);
    let gone = fleet.nodes.pop().unwrap();
    fleet.await_online();
    runs_commands(&fleet, 0);
    wait::until_true(LIMIT, "it is not let in after a restart", || gone.log().matches("no connection to the broker").count() > before + 2);
    assert_eq!(fleet.online().len(), 1);
}

#[test]
fn a_deregistered_node_is_cut_off_from_the_embedded_broker() {
    throws_out_who_is_revoked(Broker::Embedded);
}

#[test]
fn a_deregistered_node_is_cut_off_from_mosquitto() {
    throws_out_who_is_revoked(Broker::Mosquitto);
}

/// Runs `flotilla-bridge ca`; whether it succeeded, and what it said.
fn ca(fleet: &Fleet, arguments: &[&str]) -> (bool, String) {
    let mut command = process::command(&process::binary("flotilla-bridge"));
    command.arg("ca").args(arguments).arg("--home").arg(fleet.home().path());
    let output = process::output(command);
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("ca {arguments:?}: {said}");
    (output.status.success(), said)
}

/// Runs `flotilla-bridge ca` while the bridge is stopped.
fn ca_offline(fleet: &mut Fleet, arguments: &[&str]) -> (bool, String) {
    fleet.stop_bridge();
    let done = ca(fleet, arguments);
    let home = fleet.home().clone();
    if let Some(mosquitto) = &mut fleet.mosquitto {
        mosquitto.write_certificates(&home);
        mosquitto.restart();
    }
    fleet.start_bridge();
    done
}

fn await_behind(fleet: &Fleet, count: usize) {
    let wanted = format!("Nodes that trust the former one alone: {count}");
    wait::until_true(START_LIMIT, &wanted, || ca(fleet, &["status"]).1.contains(&wanted));
}

fn replaces_the_authority(broker: Broker) {
    let mut fleet = Fleet::with_nodes(broker, 2);
    fleet.nodes[1].stop();
    assert!(!ca(&fleet, &["rotate"]).0, "the bridge runs");
    assert!(ca_offline(&mut fleet, &["rotate"]).0);
    // Who is there renews without being asked to by anybody on the spot; who is away is counted.
    await_behind(&fleet, 1);
    let (finished, said) = ca_offline(&mut fleet, &["finish"]);
    assert!(!finished && said.contains("1 nodes still trust") && said.contains(&fleet.nodes[1].id()), "{said}");
    fleet.nodes[1].start();
    fleet.await_online();
    await_behind(&fleet, 0);
    wait::until_true(LIMIT, "the new certificates are in use", || fleet.nodes.iter().all(|node| link_file(node, "credentials").exists()));
    assert!(ca_offline(&mut fleet, &["finish"]).0);
    fleet.await_online();
    (0..2).for_each(|node| runs_commands(&fleet, node));

    // Once more, and one is away until all is over: it knows an authority that nobody has any more, and comes back by its own key.
    fleet.nodes[1].stop();
    assert!(ca_offline(&mut fleet, &["rotate"]).0);
    await_behind(&fleet, 1);
    assert!(ca_offline(&mut fleet, &["finish", "--force"]).0);
    fleet.nodes[1].start();
    fleet.await_online();
    (0..2).for_each(|node| runs_commands(&fleet, node));
}

#[test]
fn an_authority_is_replaced_without_a_visit_on_the_embedded_broker() {
    replaces_the_authority(Broker::Embedded);
}

#[test]
fn an_authority_is_replaced_without_a_visit_on_mosquitto() {
    replaces_the_authority(Broker::Mosquitto);
}
