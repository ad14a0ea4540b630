//! A thousand simulated nodes and one bridge: what the API lists, pages and counts is right at every moment while commands fan out, and
//! never do more nodes have a command than it allows.
#![cfg(test)]

mod fan_out {
    pub(crate) mod pages;
    pub(crate) mod plays;
    pub(crate) mod watch;
}

use fan_out::pages;
use fan_out::plays;
use fan_out::watch::Watch;
use flotilla_api::commands::{CancelCommandRequest, Command, SendCommandRequest, Target};
use flotilla_tests::calls::{is_terminal, shell};
use flotilla_tests::process::{self, allow_descriptors};
use flotilla_tests::simulated_fleet::DESCRIPTORS_OF_A_NODE;
use flotilla_tests::{Broker, Fleet, SimulatedFleet, wait};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

const NODES: usize = 1_000;
/// The nodes have a tag that puts each into one of three rings: these are their indices.
const FIRST: Range<usize> = 0..600;
const SECOND: Range<usize> = 600..900;
const THIRD: Range<usize> = 900..NODES;
const ALL: &[&str] = &["first", "second", "third"];
/// No measure: a machine with much else to do is slow.
const LIMIT: Duration = Duration::from_secs(300);
/// Those of the nodes, of their claims and of everything else; the bridge needs fewer.
const DESCRIPTORS: u64 = 1_000 * DESCRIPTORS_OF_A_NODE + 1_000;
/// What a bridge built for debugging may hold at most with a thousand nodes and their commands.
const BRIDGE_LIMIT_KIB: u64 = 256 * 1024;
/// What the nodes may hold at most, this test with them.
const NODES_LIMIT_KIB: u64 = 512 * 1024;

/// A fleet with a thousand nodes online.
fn start() -> (Fleet, SimulatedFleet) {
    allow_descriptors(DESCRIPTORS);
    let fleet = Fleet::start(Broker::Embedded);
    let rings = [("first", FIRST), ("second", SECOND), ("third", THIRD)];
    let activations = rings.map(|(ring, nodes)| (fleet.tagged_activation(nodes.len(), "ring", ring), nodes.len()));
    let nodes = SimulatedFleet::join(&activations, Arc::new(plays::play));
    say(&nodes, &format!("{NODES} nodes are enrolled"));
    wait::until_true(LIMIT, "all nodes are online", || fleet.online().len() == NODES);
    say(&nodes, "and online");
    (fleet, nodes)
}

fn say(nodes: &SimulatedFleet, text: &str) {
    eprintln!("fan-out: {:5.1} s  {text}", nodes.age().as_secs_f64());
}

/// The request to run a play on the nodes of some rings.
fn to_rings(play: &str, rings: &[&str], concurrency: &str, errors: &str) -> SendCommandRequest {
    let values = rings.iter().map(|ring| (*ring).to_owned()).collect();
    SendCommandRequest {
        instance_ids: None,
        targets: Some(vec![Target { key: Some("tag:ring".to_owned()), values: Some(values) }]),
        max_concurrency: Some(concurrency.to_owned()),
        max_errors: Some(errors.to_owned()),
        ..shell(&[], play)
    }
}

fn completed(command: &Command) -> usize {
    usize::try_from(command.completed_count.unwrap()).unwrap()
}

/// Waits for a command's end, and checks what holds for each at rest: the counts are what the pages say, the filters part the set, and
/// the nodes saw no more than was allowed. Returns how many invocations have which details.
fn at_rest(fleet: &Fleet, nodes: &SimulatedFleet, command: &str, targets: usize, at_once: usize) -> (Command, BTreeMap<String, usize>) {
    let ended = fleet.await_command(command, LIMIT);
    let all = pages::walk(fleet, command, &[]);
    assert_eq!(all.len(), targets);
    assert!(all.values().all(|page| is_terminal(Some(&page.status))), "{command} has ended and these have not: {all:?}");
    let details = count(all.values().map(|page| page.details.clone()));
    let of = |wanted: &str| i32::try_from(details.get(wanted).copied().unwrap_or(0)).unwrap();
    assert_eq!((ended.target_count, ended.completed_count), (i32::try_from(targets).ok(), i32::try_from(targets).ok()), "{ended:?}");
    assert_eq!(ended.error_count, Some(of("Failed") + of("Execution Timed Out")), "{details:?}");
    assert_eq!(ended.delivery_timed_out_count, Some(of("Delivery Timed Out")), "{details:?}");
    pages::filters_part(fleet, command, &all);
    let course = nodes.course(command);
    assert!(course.is_at_most_once(), "a node started {command} twice");
    assert!(course.most_in_flight <= at_once, "{} nodes had {command} at once, and {at_once} may", course.most_in_flight);
    assert_eq!(course.in_flight, 0, "nodes still have {command}");
    (ended, details)
}

fn count(words: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for word in words {
        *counts.entry(word).or_insert(0) += 1;
    }
    counts
}

fn counted(list: &[(&str, usize)]) -> BTreeMap<String, usize> {
    list.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

/// Every node fails: once more than 2 % have, no further one begins.
fn error_budget(fleet: &Fleet, nodes: &SimulatedFleet) {
    let (tolerated, at_once) = (NODES * 2 / 100, NODES * 5 / 100);
    let command = fleet.send(&to_rings("fail", ALL, "5%", "2%"));
    let (ended, details) = at_rest(fleet, nodes, &command, NODES, at_once);
    let failed = details.get("Failed").copied().unwrap_or(0);
    assert!((tolerated + 1..=tolerated + at_once).contains(&failed), "{details:?}");
    assert_eq!(details, counted(&[("Failed", failed), ("Terminated", NODES - failed)]));
    assert_eq!((ended.status.as_deref(), ended.status_details.as_deref()), (Some("Failed"), Some("Failed")));
    assert_eq!(nodes.course(&command).starts.len(), failed, "who was not counted as failed has not begun");
    say(nodes, &format!("error budget: {failed} of {NODES} failed, {tolerated} are tolerated with {at_once} at once"));
}

/// A cancel in the middle: what has ended stays, what runs is stopped, and the rest never begins.
fn cancel_in_the_middle(fleet: &Fleet, nodes: &SimulatedFleet) {
    let at_once = NODES / 10;
    let command = fleet.send(&to_rings("quarter-for-ever", ALL, "10%", "0"));
    let before = wait::until(LIMIT, "some nodes have ended it", || {
        Some(completed(&fleet.command(&command))).filter(|completed| *completed >= NODES * 3 / 20)
    });
    fleet.call(&CancelCommandRequest { command_id: command.clone(), instance_ids: None });
    let (ended, details) = at_rest(fleet, nodes, &command, NODES, at_once);
    let (succeeded, cancelled) = (details.get("Success").copied().unwrap_or(0), details.get("Canceled").copied().unwrap_or(0));
    assert!(succeeded >= before && succeeded + cancelled == NODES, "{details:?}");
    let starts = nodes.course(&command).starts.len();
    assert!((succeeded..=succeeded + at_once).contains(&starts), "{starts} began, {succeeded} of them succeeded");
    assert!(cancelled >= NODES - starts, "{details:?}");
    say(
        nodes,
        &format!(
            "cancel: {succeeded} had succeeded, {} were stopped, {} never began; {:?}",
            starts - succeeded,
            NODES - starts,
            ended.status_details
        ),
    );
}

/// Some nodes lose their network while they run, and report when they are back.
fn network_away_while_running(fleet: &Fleet, nodes: &SimulatedFleet) {
    let command = fleet.send(&to_rings("two-seconds", &["second"], "100%", "0"));
    wait::until_true(LIMIT, "all nodes of the ring have begun", || nodes.course(&command).starts.len() == SECOND.len());
    let leaving = || SECOND.filter(|index| index % 20 == 3);
    leaving().for_each(|index| nodes.set_online(index, false));
    wait::until_true(LIMIT, "those that stayed have ended it", || completed(&fleet.command(&command)) >= SECOND.len() - leaving().count());
    leaving().for_each(|index| nodes.set_online(index, true));
    let (ended, details) = at_rest(fleet, nodes, &command, SECOND.len(), SECOND.len());
    assert_eq!((ended.status.as_deref(), details), (Some("Success"), counted(&[("Success", SECOND.len())])));
    say(nodes, &format!("network: {} nodes went away in the midst and reported later", leaving().count()));
}

/// All ends that there are, on all nodes, at most a tenth of them at once.
fn mixed(fleet: &Fleet, nodes: &SimulatedFleet) {
    let (at_once, begun) = (NODES / 10, nodes.age());
    let command = fleet.send(&to_rings("mixed", ALL, "10%", "100%"));
    let mut watch = Watch::new(fleet, &command, nodes.ids());
    watch.until(|command| is_terminal(command.status.as_deref()));
    let (took, walks) = (nodes.age() - begun, watch.walks());
    let (ended, details) = at_rest(fleet, nodes, &command, NODES, at_once);
    assert_eq!(details, count((0..NODES).map(|index| plays::details_of_mixed(index).to_owned())));
    assert_eq!((ended.status.as_deref(), ended.status_details.as_deref()), (Some("Failed"), Some("Incomplete")));
    let course = nodes.course(&command);
    assert_eq!(course.starts.len(), NODES);
    assert!(course.most_in_flight > at_once / 2, "only {} at once: this tests no limit", course.most_in_flight);
    let (took, most) = (took.as_secs_f64(), course.most_in_flight);
    say(
        nodes,
        &format!("mixed: done in {took:.1} s, at most {most} at once of {at_once} allowed; {walks} walks over all pages; {details:?}"),
    );
}

#[test]
fn to_a_thousand_nodes() {
    let (fleet, nodes) = start();
    let memory_before = fleet.bridge_memory();
    mixed(&fleet, &nodes);

    // The shortest time that a command can be given is long, so that others run meanwhile.
    plays::absent(THIRD).for_each(|index| nodes.set_online(index, false));
    let absent = plays::absent(THIRD).count();
    wait::until_true(LIMIT, "the absent nodes are offline", || fleet.online().len() == NODES - absent);
    let request = SendCommandRequest { timeout_seconds: Some(30), ..to_rings("quick", &["third"], "100%", "0") };
    let away = fleet.send(&request);
    let mut watch = Watch::new(&fleet, &away, nodes.ids().get(THIRD).unwrap());
    watch.until(|command| completed(command) == THIRD.len() - absent);
    error_budget(&fleet, &nodes);
    cancel_in_the_middle(&fleet, &nodes);
    network_away_while_running(&fleet, &nodes);
    watch.until(|command| is_terminal(command.status.as_deref()));
    let expected = counted(&[("Delivery Timed Out", absent), ("Success", THIRD.len() - absent)]);
    assert_eq!(at_rest(&fleet, &nodes, &away, THIRD.len(), THIRD.len()).1, expected);

    // What timed out does not begin later, though its nodes are back.
    plays::absent(THIRD).for_each(|index| nodes.set_online(index, true));
    wait::until_true(LIMIT, "all nodes are online again", || fleet.online().len() == NODES);
    assert_eq!(nodes.course(&away).starts.len(), THIRD.len() - absent, "who was away did not begin");
    let late = pages::walk(&fleet, &away, &[("Status", "TimedOut")]);
    assert_eq!(late.len(), absent);
    say(&nodes, &format!("away: {absent} nodes are Delivery Timed Out, and did not begin when they came back"));

    let memory = fleet.bridge_memory();
    say(
        &nodes,
        &format!(
            "the bridge held {} MiB before the commands, {} MiB after, at most {} MiB",
            memory_before.resident_kib / 1024,
            memory.resident_kib / 1024,
            memory.peak_kib / 1024,
        ),
    );
    let own = process::memory(i32::try_from(std::process::id()).unwrap());
    say(&nodes, &format!("all nodes together hold {} MiB, at most {} MiB", own.resident_kib / 1024, own.peak_kib / 1024));
    assert!(memory.peak_kib < BRIDGE_LIMIT_KIB, "{memory:?}");
    assert!(own.peak_kib < NODES_LIMIT_KIB, "{own:?}");
}
