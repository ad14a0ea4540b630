//! F11: every connection of a fleet goes through a proxy that loses acknowledged messages, doubles and reorders them, holds them back, cuts
//! connections in the middle of a packet and leaves others half-open. Real sockets, a real bridge and a real Mosquitto, and simulated nodes
//! with the real link and the real core of the agent.
//!
//! After every trial: every command has ended on every node, with success; no node started one twice; and the checker of the numbered
//! invariants finds nothing in the bridge's database.
#![cfg(test)]

use flotilla_api::commands::SendCommandRequest;
use flotilla_tests::calls::{is_terminal, shell};
use flotilla_tests::proxy::{Plan, Proxy};
use flotilla_tests::random::Random;
use flotilla_tests::simulated_fleet::Play;
use flotilla_tests::tally::{Broken, Kind, Tally, is_release};
use flotilla_tests::{Broker, Fleet, SimulatedFleet, clock, verdict, wait};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

const NODES: usize = 32;
/// Twice this is the longest that a half-open connection can hide.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Commands of a trial, each for every node.
const COMMANDS: usize = 40;
/// How long trials are begun: what fits into a change, and the messages of a release.
const TIME: Duration = Duration::from_secs(45);
const MESSAGES_OF_RELEASE: u64 = 1_000_000;
/// Within this the commands of a trial must have ended once nothing breaks any more.
const END_LIMIT: Duration = Duration::from_secs(120);
/// A trial breaks things until its commands have ended in spite of it, and for so long at most after the last of them.
const FAULTY: Duration = Duration::from_secs(20);

/// Out of a thousand messages: 10 % are lost after they were acknowledged, 10 % doubled, 10 % reordered.
const PLAN: Plan = Plan { dropped: 100, duplicated: 100, reordered: 100, delayed: 50, cut: 10, half_open: 2 };

#[test]
fn f11_messages_that_are_lost_doubled_reordered_and_cut() {
    let mut random = Random::seeded("F11");
    let seed = random.seed();
    let fleet = Fleet::start_behind(Broker::Mosquitto, |home, before, behind| Proxy::start(before, home, behind, PLAN, seed));
    let activation = fleet.activation(i32::try_from(NODES).unwrap());
    let mut moments = random.clone();
    let longest_ms = 400 + moments.below(200);
    let behaviour = move |index: usize, _: &_| Play::success(Duration::from_millis(u64::try_from(index).unwrap_or(0) * 37 % longest_ms));
    let nodes = SimulatedFleet::join_with(&[(activation, NODES)], Arc::new(behaviour), KEEP_ALIVE);
    wait::until_true(END_LIMIT, "all nodes are online", || fleet.online().len() == NODES);
    let proxy = fleet.proxy.as_ref().unwrap();
    let mut tally = Tally::new("F11", &random, TIME * 4);
    let begun = clock::now();
    let is_more = |messages: u64| if is_release() { messages < MESSAGES_OF_RELEASE } else { begun.elapsed() < TIME };
    while tally.count() == 0 || is_more(proxy.counts().exposed()) {
        proxy.set_faulty(true);
        let commands: Vec<String> = (0..COMMANDS)
            .map(|_| {
                wait::let_pass(random.moment(Duration::from_millis(150)));
                fleet.send(&SendCommandRequest { max_concurrency: Some("100%".to_owned()), ..shell(nodes.ids(), "quick") })
            })
            .collect();
        let deadline = clock::now() + FAULTY;
        let has_ended = |command: &String| is_terminal(fleet.command(command).status.as_deref());
        while clock::now() < deadline && !commands.iter().all(has_ended) {
            wait::let_pass(Duration::from_millis(500));
        }
        proxy.set_faulty(false);
        let healed = clock::now();
        let mut broken = Vec::new();
        for command in &commands {
            broken.extend(look_at(&fleet, &nodes, command, healed + END_LIMIT));
        }
        println!(
            "F11: trial {}, all ended {:.1} s after the last fault; {}",
            tally.count() + 1,
            healed.elapsed().as_secs_f32(),
            proxy.counts().line()
        );
        broken.extend(flotilla_tests::invariants::check(&verdict::of_bridge(&fleet)).into_iter().map(verdict::broken));
        tally.trial(broken);
    }
    tally.finish();
}

/// What is wrong with a command when it has ended, or should have.
fn look_at(fleet: &Fleet, nodes: &SimulatedFleet, command: &str, deadline: Instant) -> Vec<Broken> {
    while !is_terminal(fleet.command(command).status.as_deref()) && clock::now() < deadline {
        wait::let_pass(Duration::from_millis(100));
    }
    let mut broken = Vec::new();
    let ends: BTreeMap<String, String> = fleet
        .invocations(Some(command))
        .into_iter()
        .map(|invocation| (invocation.instance_id.unwrap_or_default(), invocation.status.unwrap_or_default()))
        .collect();
    for node in nodes.ids() {
        if ends.get(node).map(String::as_str) != Some("Success") {
            broken.push(Broken::new(Kind::Lost, format!("{command} is {:?} on {node} (C3)", ends.get(node))));
        }
    }
    if !nodes.course(command).is_at_most_once() {
        broken.push(Broken::new(Kind::DoubleRun, format!("{command}: {:?} (C2)", nodes.course(command))));
    }
    broken
}
