//! F5: power cuts of a whole device, at random instants of running commands; and F1 against the agent as it is installed.
//!
//! The device is a machine with systemd as its first process and a disk of its own, see `tests/kit/machine`; the agent on it is a service, as a
//! package installs it. Whatever happens, every command comes to one end, none starts twice, and what the bridge shows agrees with what the
//! commands did, which stands outside of the device's disk.
#![cfg(test)]

use flotilla_tests::campaign::Campaign;
use flotilla_tests::machine::{EXEC, Installed, LINK};
use flotilla_tests::process;
use flotilla_tests::random::Random;
use flotilla_tests::tally::{Broken, Tally, skipped, trials};
use flotilla_tests::wait;
use nix::sys::signal::Signal;
use std::time::Duration;

/// Commands of a trial.
const IN_FLIGHT: usize = 8;
/// Each runs at most this long.
const LONGEST_COMMAND: Duration = Duration::from_millis(1500);
/// The cut or kill comes at most this long after the first command was sent.
const LATEST: Duration = Duration::from_millis(2500);
/// A second cut comes at most this long after the machine was switched on: while it boots, or while the agent reads its journal.
const LATEST_IN_BOOT: Duration = Duration::from_millis(4000);
/// Of a hundred cuts so many are followed by one during the boot, and so many are heard by nobody.
const CUT_AGAIN: u64 = 25;
const IN_SILENCE: u64 = 50;
/// Kills need less time between them than boots do.
const LONGEST_COMMAND_OF_KILL: Duration = Duration::from_millis(700);
const LATEST_KILL: Duration = Duration::from_millis(1200);

/// The device, or the line that says why there is none.
fn device(name: &str) -> Option<Installed> {
    match Installed::new() {
        Ok(installed) => Some(installed),
        Err(why) => {
            skipped(name, &why);
            None
        }
    }
}

/// Sends a trial's commands, each of which runs at most so long, in one thread while `strike` does its work.
fn send_while(
    installed: &mut Installed,
    campaign: &mut Campaign,
    random: &mut Random,
    longest: Duration,
    strike: impl FnOnce(&mut Installed, &mut Random),
) {
    let client = installed.fleet.another_client();
    let nodes = [installed.node.clone()];
    let bodies: Vec<String> = (0..IN_FLIGHT).map(|_| format!("sleep {}", random.moment(longest).as_secs_f32())).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for body in &bodies {
                assert!(campaign.send(&client, &nodes, body, || true), "nothing happens to the bridge, and it takes every command");
            }
        });
        strike(installed, random);
    });
}

fn judge(installed: &Installed, campaign: &mut Campaign, hits: usize, tally: &mut Tally) {
    let broken = campaign.check(&installed.fleet, |_| hits);
    tally.trial(broken.into_values().flatten().collect());
}

fn last_look(mut installed: Installed, mut campaign: Campaign, mut tally: Tally) {
    tally.begin("the last look at everything");
    let broken: Vec<Broken> = installed.check_all(&mut campaign);
    if !broken.is_empty() {
        tally.trial(broken);
    }
    tally.finish();
}

#[test]
fn f5_power_cuts_of_a_whole_device() {
    let mut random = Random::seeded("F5");
    let tally = Tally::new("F5", &random, Duration::from_secs(150));
    tally.begin("the machine is made");
    let Some(mut installed) = device("F5") else { return };
    let (mut campaign, mut tally) = (installed.campaign(), tally);
    while tally.count() < trials(8, 1_000) {
        tally.begin("a power cut");
        send_while(&mut installed, &mut campaign, &mut random, LONGEST_COMMAND, |installed, random| {
            wait::let_pass(random.moment(LATEST));
            installed.cut(random.percent(IN_SILENCE));
            if random.percent(CUT_AGAIN) {
                installed.machine.power_on();
                wait::let_pass(random.moment(LATEST_IN_BOOT));
                installed.cut(false);
            }
            installed.machine.boot();
        });
        judge(&installed, &mut campaign, IN_FLIGHT, &mut tally);
    }
    assert!(campaign.interrupted() > 0, "no cut has cut off a command");
    last_look(installed, campaign, tally);
}

#[test]
fn f1_of_each_process_of_an_installed_agent() {
    let mut random = Random::seeded("F1 installed");
    let tally = Tally::new("F1 installed", &random, Duration::from_secs(120));
    tally.begin("the machine is made");
    let Some(mut installed) = device("F1 installed") else { return };
    installed.lift_start_limits();
    let (mut campaign, mut tally) = (installed.campaign(), tally);
    while tally.count() < trials(10, 5_000) {
        tally.begin("a kill");
        let mut hits = 0;
        send_while(&mut installed, &mut campaign, &mut random, LONGEST_COMMAND_OF_KILL, |installed, random| {
            wait::let_pass(random.moment(LATEST_KILL));
            match *random.one_of(&["exec", "link", "job"]) {
                "exec" => drop(installed.kill(EXEC)),
                "link" => drop(installed.kill(LINK)),
                _ => {
                    let jobs = installed.jobs();
                    if !jobs.is_empty() {
                        process::signal(*random.one_of(&jobs), Signal::SIGKILL);
                        hits = 1;
                    }
                }
            }
        });
        judge(&installed, &mut campaign, hits, &mut tally);
    }
    last_look(installed, campaign, tally);
}
