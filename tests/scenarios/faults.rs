//! SIGKILL of every process at random moments of running commands.
//!
//! Checked after every trial: no command starts twice, each ends in one state, all results arrive, and what the API says agrees with
//! what the commands really did (C1 to C4 and C11 of the invariants). Five trials each; `FLOTILLA_TIER=release` makes 50.
//! `FLOTILLA_SEED` runs a printed seed again.
#![cfg(test)]

use flotilla_api::commands::{CommandInvocation, SendCommandRequest};
use flotilla_tests::calls::{is_terminal, shell_on};
use flotilla_tests::effects::Effects;
use flotilla_tests::node::Half;
use flotilla_tests::random::Random;
use flotilla_tests::{Broker, Fleet, process, wait};
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::time::Duration;

/// Commands in flight in each trial.
const COMMANDS: u64 = 4;
/// Each command runs at most this long.
const LONGEST_COMMAND: Duration = Duration::from_millis(800);
/// The kill comes at most this long after the first command was sent: before, during and after all of them.
const LATEST_KILL: Duration = Duration::from_millis(1000);
/// Within this every command must have ended, whatever was killed.
const END_LIMIT: Duration = Duration::from_secs(90);

fn trials() -> u64 {
    if std::env::var("FLOTILLA_TIER").is_ok_and(|tier| tier == "release") { 50 } else { 5 }
}

/// What is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Link,
    Exec,
    Job,
    Bridge,
    Broker,
}

struct Trials {
    fleet: Fleet,
    node: String,
    effects: Effects,
    random: Random,
    /// What was sent, and whether the bridge said that it has it.
    sent: BTreeMap<String, bool>,
    killed_jobs: usize,
    /// Commands that were cut off, as the bridge has it.
    interrupted: usize,
}

impl Trials {
    fn new(victim: Victim, broker: Broker) -> Self {
        let fleet = Fleet::with_nodes(broker, 1);
        let node = fleet.node_ids().remove(0);
        let effects = Effects::new(fleet.folder());
        let random = Random::seeded(&format!("{victim:?}"));
        Self { fleet, node, effects, random, sent: BTreeMap::new(), killed_jobs: 0, interrupted: 0 }
    }

    /// Sends one command under a new mark. A bridge that is being killed may have taken it or not; then it counts only if it shows up.
    fn send(&mut self) {
        let mark = format!("c{}", self.sent.len());
        let seconds = self.random.moment(LONGEST_COMMAND).as_secs_f32();
        let script = self.effects.script(&mark, &format!("sleep {seconds}"));
        let request = SendCommandRequest { comment: Some(mark.clone()), ..shell_on(&self.node, &script) };
        let taken = self.fleet.client.call(&request).is_ok();
        self.sent.insert(mark, taken);
    }

    fn kill(&mut self, victim: Victim) {
        match victim {
            Victim::Link => self.fleet.nodes[0].kill_half(Half::Link),
            Victim::Exec => self.fleet.nodes[0].kill_half(Half::Exec),
            Victim::Job => {
                let jobs = self.fleet.nodes[0].jobs();
                if !jobs.is_empty() {
                    let choice = usize::try_from(self.random.below(u64::try_from(jobs.len()).unwrap())).unwrap();
                    process::signal(jobs[choice].pid, Signal::SIGKILL);
                    self.killed_jobs += 1;
                }
            }
            Victim::Bridge => {
                self.fleet.kill_bridge();
                wait::let_pass(self.random.moment(Duration::from_millis(300)));
                self.fleet.start_bridge();
            }
            Victim::Broker => {
                let pause = self.random.moment(Duration::from_millis(300));
                let mosquitto = self.fleet.mosquitto.as_mut().expect("this fleet has a Mosquitto");
                mosquitto.kill_main();
                wait::let_pass(pause);
                mosquitto.start_main();
            }
        }
    }

    fn trial(&mut self, victim: Victim) {
        for _ in 0..COMMANDS / 2 {
            self.send();
        }
        wait::let_pass(self.random.moment(LATEST_KILL));
        if victim == Victim::Job {
            // A moment without a job is no trial.
            wait::until_true(END_LIMIT, "a job runs", || {
                if self.fleet.nodes[0].jobs().is_empty() {
                    self.send();
                }
                !self.fleet.nodes[0].jobs().is_empty()
            });
        }
        self.kill(victim);
        for _ in 0..COMMANDS / 2 {
            self.send();
        }
        self.check(victim);
    }

    /// Waits until everything that the bridge knows has ended, and compares it with what really happened.
    fn check(&mut self, victim: Victim) {
        let ended = wait::until(END_LIMIT, "every command ends", || {
            let all = self.fleet.invocations(None);
            all.iter().all(|invocation| is_terminal(invocation.status.as_deref())).then_some(all)
        });
        let by_mark: BTreeMap<String, &CommandInvocation> =
            ended.iter().map(|invocation| (invocation.comment.clone().unwrap_or_default(), invocation)).collect();
        assert_eq!(by_mark.len(), ended.len(), "a command is listed twice");
        for (mark, taken) in &self.sent {
            assert!(!taken || by_mark.contains_key(mark), "{mark} was taken and is lost");
        }
        let effects = self.effects.read();
        for (mark, effect) in &effects {
            assert_eq!(effect.starts.len(), 1, "{mark} started {} times", effect.starts.len());
            assert!(effect.ends.len() <= 1, "{mark} ended {} times", effect.ends.len());
            assert!(by_mark.contains_key(mark), "{mark} ran and the bridge does not know it");
        }
        let mut failed = 0;
        for (mark, invocation) in by_mark {
            let effect = effects.get(&mark).cloned().unwrap_or_default();
            let step = invocation.command_plugins.iter().flatten().next();
            match invocation.status.as_deref() {
                Some("Success") => {
                    assert_eq!((effect.starts.len(), effect.ends.len()), (1, 1), "{mark} is a success and did not run to its end");
                    let output = step.and_then(|step| step.output.clone()).unwrap_or_default();
                    assert_eq!(output.trim(), format!("done {mark}"), "{mark}");
                }
                Some("Failed") if victim == Victim::Job => {
                    failed += 1;
                    let code = self.fleet.invocation(invocation.command_id.as_deref().unwrap_or_default(), &self.node);
                    assert_eq!(code.response_code, Some(-1), "{mark} was cut off: {code:?}");
                    assert!(code.standard_error_content.is_some_and(|text| !text.is_empty()), "{mark} does not say why");
                }
                other => panic!("{mark} ended as {other:?}: {invocation:?}"),
            }
        }
        assert!(failed <= self.killed_jobs, "{failed} failed, {} were killed", self.killed_jobs);
        self.interrupted = failed;
    }
}

fn survive(victim: Victim, broker: Broker) {
    let mut trials_of = Trials::new(victim, broker);
    for _ in 0..trials() {
        trials_of.trial(victim);
    }
    // A job that was killed at its very end has ended all the same; that all of them were would be no trial at all.
    assert!(victim != Victim::Job || trials_of.interrupted > 0, "no kill has cut off a command");
}

#[test]
fn of_the_link() {
    survive(Victim::Link, Broker::Embedded);
}

#[test]
fn of_exec() {
    survive(Victim::Exec, Broker::Embedded);
}

#[test]
fn of_a_job() {
    survive(Victim::Job, Broker::Embedded);
}

#[test]
fn of_the_bridge_with_its_broker() {
    survive(Victim::Bridge, Broker::Embedded);
}

#[test]
fn of_mosquitto() {
    survive(Victim::Broker, Broker::Mosquitto);
}
