//! F5: power cuts of a whole device, at random instants of running commands; and F1 and F2 against the agent as it is installed.
//!
//! The device is a machine with systemd as its first process and a disk of its own, see `tests/kit/machine`; the agent on it is a service, as a
//! package installs it. Whatever happens, every command comes to one end, none starts twice, and what the bridge shows agrees with what the
//! commands did, which stands outside of the device's disk.
#![cfg(test)]

use flotilla_tests::campaign::Campaign;
use flotilla_tests::machine::{EXEC, Installed, LINK};
use flotilla_tests::process;
use flotilla_tests::random::Random;
use flotilla_tests::strace::{self, Fault, Injection, Point};
use flotilla_tests::tally::{Broken, Shard, Tally, is_release, skipped, trials};
use flotilla_tests::wait;
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::path::Path;
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
/// How long strace may take to hold a process, and to let go of it.
const TRACE_LIMIT: Duration = Duration::from_secs(20);
/// In every change so many points of a life are tried, in a release all.
const SAMPLE: u64 = 8;

fn body(random: &mut Random) -> String {
    format!("sleep {}", random.moment(LONGEST_COMMAND).as_secs_f32())
}

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

/// Sends a trial's commands in one thread while `strike` does its work.
fn send_while(installed: &mut Installed, campaign: &mut Campaign, random: &mut Random, strike: impl FnOnce(&mut Installed, &mut Random)) {
    let client = installed.fleet.another_client();
    let nodes = [installed.node.clone()];
    let bodies: Vec<String> = (0..IN_FLIGHT).map(|_| body(random)).collect();
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
        send_while(&mut installed, &mut campaign, &mut random, |installed, random| {
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
        send_while(&mut installed, &mut campaign, &mut random, |installed, random| {
            wait::let_pass(random.moment(LATEST));
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

/// The installed exec under strace, from outside of the machine.
struct Traced {
    strace: process::Child,
}

impl Traced {
    /// From now on; the calls are written to `log`.
    fn begin(installed: &Installed, log: &Path, injection: Option<&Injection>) -> Self {
        let pid = wait::until(TRACE_LIMIT, "exec runs", || installed.machine.main_process(EXEC));
        let name = log.with_extension("strace");
        let mut strace = process::Child::start("strace", strace::attach(pid, log, injection), &name);
        let is_held = || std::fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|status| !status.contains("TracerPid:\t0\n"));
        // Where the fault is at its first calls, it may have happened by now, and both have ended.
        wait::until_true(TRACE_LIMIT, "strace holds exec", || is_held() || strace.ended().is_some());
        Self { strace }
    }

    fn end(mut self) {
        // It lets go of exec, which may be gone, and ends.
        process::signal(self.strace.pid(), Signal::SIGTERM);
        wait::until_true(TRACE_LIMIT, "strace lets go", || self.strace.ended().is_some());
    }
}

/// One command from its sending to its receipt, with one fault or none; the points that it went through.
fn live(installed: &Installed, campaign: &mut Campaign, log: &Path, injection: Option<&Injection>) -> (Vec<Point>, Vec<Broken>) {
    std::fs::File::create(log).unwrap();
    let traced = Traced::begin(installed, log, injection);
    let nodes = [installed.node.clone()];
    assert!(campaign.send(&installed.fleet.client, &nodes, "true", || true), "the bridge takes the command");
    let broken = campaign.check(&installed.fleet, |_| 0);
    // With the receipt exec lets go of the order and removes its folder.
    wait::holds_within(Duration::from_secs(2), || {
        installed.machine.run("test -z \"$(ls /var/lib/flotilla-agent/exec/jobs)\"").status.success()
    });
    traced.end();
    (strace::points(&BTreeMap::new(), &strace::counts(log)), broken.into_values().flatten().collect())
}

#[test]
fn f2_kill_the_installed_exec_at_calls() {
    let name = "F2 installed";
    if let Err(why) = strace::available() {
        return skipped(name, &why);
    }
    let mut random = Random::seeded(name);
    let tally = Tally::new(name, &random, Duration::from_secs(120));
    tally.begin("the machine is made");
    let Some(installed) = device(name) else { return };
    installed.lift_start_limits();
    let (mut campaign, mut tally) = (installed.campaign(), tally);
    let log = installed.machine.witness().join("calls");
    // The first life makes what later ones find.
    for what in ["a life that is not counted", "counting the calls"] {
        tally.begin(what);
        let (points, broken) = live(&installed, &mut campaign, &log, None);
        assert_eq!((broken.len(), points.len() > 10), (0, true), "without any fault: {broken:?}, {points:?}");
    }
    let mut points = strace::points(&BTreeMap::new(), &strace::counts(&log));
    let shard = Shard::of_environment();
    if is_release() {
        points = points.into_iter().enumerate().filter(|(index, _)| shard.has(*index)).map(|(_, point)| point).collect();
    }
    let wanted = usize::try_from(trials(SAMPLE, u64::MAX)).unwrap_or(usize::MAX).min(points.len());
    let (mut tried, mut happened) = (0, 0);
    while happened < wanted && !points.is_empty() {
        let point = points.swap_remove(random.index(points.len()));
        tally.begin(format!("exec is killed at {point}"));
        tried += 1;
        let injection = Injection { point, fault: Fault::Kill };
        let (_, broken) = live(&installed, &mut campaign, &log, Some(&injection));
        if strace::has_happened(&log, Fault::Kill) || !broken.is_empty() {
            happened += 1;
            tally.trial(broken);
        }
    }
    assert!(happened * 10 >= tried * 7, "only {happened} of {tried} points were reached");
    last_look(installed, campaign, tally);
}
