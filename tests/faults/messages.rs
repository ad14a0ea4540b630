//! F11: every connection of a fleet goes through a proxy that loses acknowledged messages, doubles and reorders them, holds them back, cuts
//! connections in the middle of a packet and leaves others half-open. Real sockets, a real bridge and a real Mosquitto, and simulated nodes
//! with the real link and the real core of the agent.
//!
//! The proxy breaks things from the first command of a trial to the last, for 10⁵ messages; then what is still open has time to end. Printed are the
//! messages that came to the proxy, and those of them that came while it broke things: every QoS 1 message of the fleet counts on each
//! of its two ways, from its sender to the broker and from the broker to its receiver.
//!
//! After every trial: every command has ended on every node, with success; every node started each once; and the checker of the numbered
//! invariants finds nothing in the bridge's database.
#![cfg(test)]

use flotilla_api::commands::SendCommandRequest;
use flotilla_tests::calls::{is_terminal, shell};
use flotilla_tests::proxy::{Plan, Proxy};
use flotilla_tests::random::Random;
use flotilla_tests::simulated_fleet::Play;
use flotilla_tests::tally::{Broken, Kind, Shard, Tally, is_release};
use flotilla_tests::{Broker, Fleet, SimulatedFleet, clock, verdict, wait};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

const NODES: usize = 32;
/// Twice this is the longest that a half-open connection can hide.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Commands that are open at once, each for every node.
const AT_ONCE: usize = 30;
/// A trial breaks things until so many more messages were exposed, and for so long at most: a slow machine exposes fewer, and says so. A change
/// makes one trial.
const MESSAGES_OF_TRIAL: u64 = 100_000;
const FAULTY: Duration = Duration::from_secs(75);
/// A release makes trials until so many messages were exposed.
const MESSAGES_OF_RELEASE: u64 = 1_000_000;
/// Within this the commands of a trial must have ended once nothing breaks any more.
const END_LIMIT: Duration = Duration::from_secs(120);

/// Out of a hundred thousand messages: 10 % are lost after they were acknowledged, 10 % doubled, 10 % reordered.
const PLAN: Plan = Plan { dropped: 10_000, duplicated: 10_000, reordered: 10_000, delayed: 5_000, cut: 200, half_open: 20 };

#[test]
fn f11_messages_that_are_lost_doubled_reordered_and_cut() {
    let mut random = Random::seeded("F11");
    let seed = random.seed();
    let fleet = Fleet::start_behind(Broker::Mosquitto, |home, before, behind| Proxy::start(before, home, behind, PLAN, seed));
    let activation = fleet.activation(i32::try_from(NODES).unwrap());
    let longest_ms = 100 + random.below(100);
    let behaviour = move |index: usize, _: &_| Play::success(Duration::from_millis(u64::try_from(index).unwrap_or(0) * 37 % longest_ms));
    let nodes = SimulatedFleet::join_with(&[(activation, NODES)], Arc::new(behaviour), KEEP_ALIVE);
    wait::until_true(END_LIMIT, "all nodes are online", || fleet.online().len() == NODES);
    let proxy = fleet.proxy.as_ref().unwrap();
    let mut tally = Tally::new("F11", &random, FAULTY * 5);
    while tally.count() == 0 || (is_release() && proxy.counts().exposed() < Shard::of_environment().share(MESSAGES_OF_RELEASE)) {
        tally.begin("messages are lost, doubled, reordered and cut");
        proxy.set_faulty(true);
        let wanted = proxy.counts().exposed() + MESSAGES_OF_TRIAL;
        let commands = send_while(|| proxy.counts().exposed() < wanted, &fleet, &nodes, &mut random);
        proxy.set_faulty(false);
        let healed = clock::now();
        let mut broken = Vec::new();
        for command in &commands {
            broken.extend(look_at(&fleet, &nodes, command, healed + END_LIMIT));
        }
        let (trial, ended) = (tally.count() + 1, healed.elapsed().as_secs_f32());
        println!("F11: trial {trial}, {} commands, all ended {ended:.1} s after the last fault; {}", commands.len(), proxy.counts().line());
        broken.extend(started_otherwise_than_once(&nodes, &commands));
        broken.extend(flotilla_tests::invariants::check(&verdict::of_bridge(&fleet)).into_iter().map(verdict::broken));
        tally.trial(broken);
    }
    tally.finish();
}

/// Sends commands until there were enough messages or the time is up, as many as may be open at once, and returns their ids.
fn send_while(is_too_few: impl Fn() -> bool, fleet: &Fleet, nodes: &SimulatedFleet, random: &mut Random) -> Vec<String> {
    let until = clock::now() + FAULTY;
    let (mut sent, mut open) = (Vec::new(), VecDeque::new());
    while is_too_few() && clock::now() < until {
        if open.len() < AT_ONCE {
            let request = SendCommandRequest { max_concurrency: Some("100%".to_owned()), ..shell(nodes.ids(), "quick") };
            let command = fleet.send(&request);
            sent.push(command.clone());
            open.push_back(command);
        } else if let Some(command) = open.pop_front()
            && !is_terminal(fleet.command(&command).status.as_deref())
        {
            // The one that waits for a node keeps no other waiting.
            open.push_back(command);
        }
        wait::let_pass(random.moment(Duration::from_millis(50)));
    }
    sent
}

/// What is wrong with a command when it has ended, or should have.
fn look_at(fleet: &Fleet, nodes: &SimulatedFleet, command: &str, deadline: Instant) -> Vec<Broken> {
    while !is_terminal(fleet.command(command).status.as_deref()) && clock::now() < deadline {
        wait::let_pass(Duration::from_millis(100));
    }
    let invocations = fleet.invocations(Some(command)).into_iter();
    let ends: BTreeMap<String, String> =
        invocations.map(|invocation| (invocation.instance_id.unwrap_or_default(), invocation.status.unwrap_or_default())).collect();
    let lost: Vec<&String> = nodes.ids().iter().filter(|node| ends.get(*node).map(String::as_str) != Some("Success")).collect();
    let online = if lost.is_empty() { BTreeSet::new() } else { fleet.online() };
    let why = |node: &String| format!("{command} is {:?} on {node}, online: {} (C3)", ends.get(node), online.contains(node));
    lost.into_iter().map(|node| Broken::new(Kind::Lost, why(node))).collect()
}

/// Where a node has started a command twice, or not at all.
fn started_otherwise_than_once(nodes: &SimulatedFleet, commands: &[String]) -> Vec<Broken> {
    let runs = nodes.runs();
    let mut broken = Vec::new();
    for command in commands {
        for node in nodes.ids() {
            match runs.get(&(command.clone(), node.clone())).map_or(0, |run| run.starts) {
                1 => {}
                0 => broken.push(Broken::new(Kind::Lost, format!("{command} did not start on {node} (C3)"))),
                starts => broken.push(Broken::new(Kind::DoubleRun, format!("{command} started {starts} times on {node} (C2)"))),
            }
        }
    }
    broken
}
