//! F1, F7 and F8: SIGKILL of every process at random moments of running commands.
//!
//! Whatever is killed: no command starts twice, each comes to one end, nothing that the bridge has taken is lost, and what the bridge shows
//! agrees with what the commands really did (C1 to C4 and C11 of the invariants). Only who kills a job may cut its command off.
#![cfg(test)]

use flotilla_tests::campaign::Campaign;
use flotilla_tests::killer::{self, Victim};
use flotilla_tests::random::Random;
use flotilla_tests::tally::{Broken, Tally, trials};
use flotilla_tests::{Broker, Fleet, wait};
use std::collections::BTreeMap;
use std::time::Duration;

/// Nodes of a fleet. Each is a trial of its own for what is killed on it.
const NODES: usize = 10;
/// Each command runs at most this long.
const LONGEST_COMMAND: Duration = Duration::from_millis(800);
/// The kill comes at most this long after the first command was sent: before, during and after most of them.
const LATEST_KILL: Duration = Duration::from_millis(1500);
/// Pause after a call that found no bridge.
const PAUSE_WITHOUT_BRIDGE: Duration = Duration::from_millis(20);

fn body(random: &mut Random) -> String {
    format!("sleep {}", random.moment(LONGEST_COMMAND).as_secs_f32())
}

/// Sends commands in one thread while this one kills.
fn send_while(fleet: &mut Fleet, campaign: &mut Campaign, commands: Vec<(Vec<String>, String)>, kill: impl FnOnce(&mut Fleet)) {
    let client = fleet.another_client();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for (nodes, body) in &commands {
                if !campaign.send(&client, nodes, body, || true) {
                    wait::let_pass(PAUSE_WITHOUT_BRIDGE);
                }
            }
        });
        kill(fleet);
    });
}

#[test]
fn f1_of_each_process_of_an_agent() {
    const IN_FLIGHT: usize = 10;
    let mut random = Random::seeded("F1");
    let mut fleet = Fleet::with_nodes(Broker::Embedded, NODES);
    let mut campaign = Campaign::new(&fleet);
    let mut tally = Tally::new("F1", &random, Duration::from_secs(180));
    let nodes = fleet.node_ids();
    while tally.count() < trials(50, 5_000) {
        tally.begin("kills on ten nodes");
        let commands = (0..IN_FLIGHT).map(|_| (nodes.clone(), body(&mut random))).collect();
        let mut killed: BTreeMap<String, usize> = BTreeMap::new();
        send_while(&mut fleet, &mut campaign, commands, |fleet| {
            let mut kills: Vec<(Duration, usize)> = (0..NODES).map(|node| (random.moment(LATEST_KILL), node)).collect();
            kills.sort_unstable();
            let mut passed = Duration::ZERO;
            for (moment, node) in kills {
                wait::let_pass(moment.saturating_sub(passed));
                passed = moment;
                let victim = *random.one_of(&[Victim::Link, Victim::Exec, Victim::Job]);
                let is_job = killer::kill_of_node(fleet, node, victim, &mut random) && victim == Victim::Job;
                killed.insert(nodes[node].clone(), usize::from(is_job));
            }
        });
        let broken = campaign.check(&fleet, |node| killed.get(node).copied().unwrap_or(0));
        broken.into_values().for_each(|of_node| tally.trial(of_node));
    }
    // A job that was killed at its very end has ended all the same; that all of them were would be no trial at all.
    assert!(campaign.interrupted() > 0, "no kill has cut off a command");
    last_look(&mut campaign, &mut fleet, tally);
}

fn last_look(campaign: &mut Campaign, fleet: &mut Fleet, mut tally: Tally) {
    tally.begin("the last look at everything");
    let broken: Vec<Broken> = campaign.check_all(fleet);
    if !broken.is_empty() {
        tally.trial(broken);
    }
    tally.finish();
}

/// Commands for one node each, by turns.
fn by_turns(nodes: &[String], count: usize, random: &mut Random) -> Vec<(Vec<String>, String)> {
    nodes.iter().cycle().take(count).map(|node| (vec![node.clone()], body(random))).collect()
}

fn kill_the_middle(name: &str, victim: Victim, broker: Broker, (nodes, commands): (usize, usize), trials: u64, budget: Duration) {
    let mut random = Random::seeded(name);
    let mut fleet = Fleet::with_nodes(broker, nodes);
    let mut campaign = Campaign::new(&fleet);
    let mut tally = Tally::new(name, &random, budget);
    let nodes = fleet.node_ids();
    while tally.count() < trials {
        tally.begin(format!("{victim:?} is killed"));
        let commands = by_turns(&nodes, commands, &mut random);
        send_while(&mut fleet, &mut campaign, commands, |fleet| {
            wait::let_pass(random.moment(LATEST_KILL));
            killer::kill_and_restart(fleet, victim, &mut random);
        });
        let broken = campaign.check(&fleet, |_| 0);
        tally.trial(broken.into_values().flatten().collect());
    }
    last_look(&mut campaign, &mut fleet, tally);
}

#[test]
fn f7_of_the_bridge() {
    // 500 commands in 5 trials; in a release 10,000 in 1,000.
    let commands = usize::try_from(trials(100, 10)).unwrap();
    kill_the_middle("F7", Victim::Bridge, Broker::Embedded, (NODES, commands), trials(5, 1_000), Duration::from_secs(180));
}

#[test]
fn f8_of_mosquitto() {
    kill_the_middle("F8", Victim::Broker, Broker::Mosquitto, (4, 12), trials(8, 500), Duration::from_secs(180));
}
