//! F10 and F15: nodes in a network namespace whose wire is broken in every way while commands run, or is slow; and processes that stand still.
//!
//! The nodes have the settings of real ones, keep-alive and pauses included. After every trial: every command that the bridge has taken ends,
//! succeeds, and ran once; the checker of the numbered invariants finds nothing in the bridge's database; and how long after the end of the
//! fault a new command succeeds on every node is measured: 60 seconds at most.
#![cfg(test)]

use flotilla_tests::campaign::Campaign;
use flotilla_tests::namespace::{Fault, Wire};
use flotilla_tests::node::Half;
use flotilla_tests::random::Random;
use flotilla_tests::tally::{Broken, Kind, Tally, is_release, skipped, trials};
use flotilla_tests::{Broker, Fleet, clock, process, wait};
use nix::sys::signal::Signal;
use std::time::Duration;

/// Nodes behind the wire.
const NODES: usize = 2;
/// Each command runs at most this long.
const LONGEST_COMMAND: Duration = Duration::from_millis(1_500);
/// A node is back within this, once its network is.
const BACK_LIMIT: Duration = Duration::from_secs(60);
/// How often a flapping wire breaks.
const FLAPS: usize = 8;
/// How long it is broken, or good, at a time.
const LONGEST_FLAP: Duration = Duration::from_millis(900);
/// The slow link of F15, in kbit/s.
const SLOW_KBIT: u32 = 256;
/// For how long processes stand still in F15.
const STILL: Duration = Duration::from_secs(60);
/// What a command on the slow link writes: a second of the link.
const OUTPUT_BYTES: u32 = 30_000;

/// A way in which the wire is bad for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Lasting(Fault),
    Flapping,
}

const TROUBLES: [Trouble; 6] = [
    Trouble::Lasting(Fault::Unplugged),
    Trouble::Lasting(Fault::DropIncoming),
    Trouble::Lasting(Fault::DropOutgoing),
    Trouble::Lasting(Fault::Reset),
    Trouble::Lasting(Fault::BlackHole),
    Trouble::Flapping,
];

/// Nodes behind a wire, and what is sent to them.
struct Suite {
    wire: Wire,
    fleet: Fleet,
    nodes: Vec<String>,
    campaign: Campaign,
    random: Random,
}

impl Suite {
    /// Nothing where this machine has no namespaces, which is said.
    fn new(name: &str) -> Option<Self> {
        let wire = match Wire::new() {
            Ok(wire) => wire,
            Err(why) => {
                skipped(name, &why);
                return None;
            }
        };
        let mut fleet = Fleet::start_across(Broker::Embedded, wire.host(), wire.enter());
        let activation = fleet.activation(i32::try_from(NODES).unwrap());
        for _ in 0..NODES {
            let node = fleet.new_node();
            node.use_defaults();
            node.register(&activation);
            fleet.nodes.push(node);
        }
        fleet.nodes.iter_mut().for_each(flotilla_tests::node::Node::start);
        fleet.await_online();
        let (nodes, campaign) = (fleet.node_ids(), Campaign::new(&fleet));
        Some(Self { wire, fleet, nodes, campaign, random: Random::seeded(name) })
    }

    fn send(&mut self, count: usize) {
        for _ in 0..count {
            let body = format!("sleep {}", self.random.moment(LONGEST_COMMAND).as_secs_f32());
            assert!(self.campaign.send(&self.fleet.client, &self.nodes, &body, || true), "the bridge itself is well");
        }
    }

    /// The wire is bad for about this time; the commands of the trial are sent before and meanwhile.
    fn disturb(&mut self, trouble: Trouble, time: Duration) -> Result<(), String> {
        self.send(3);
        wait::let_pass(self.random.moment(LONGEST_COMMAND));
        match trouble {
            Trouble::Lasting(fault) => {
                self.wire.break_with(fault)?;
                self.send(3);
                wait::let_pass(time);
            }
            Trouble::Flapping => {
                for flap in 0..FLAPS {
                    let fault =
                        *self.random.one_of(&[Fault::Unplugged, Fault::DropIncoming, Fault::DropOutgoing, Fault::Reset, Fault::BlackHole]);
                    self.wire.break_with(fault)?;
                    self.send(usize::from(flap % 2 == 0));
                    wait::let_pass(self.random.moment(LONGEST_FLAP));
                    self.wire.heal()?;
                    wait::let_pass(self.random.moment(LONGEST_FLAP));
                }
            }
        }
        self.wire.heal()
    }

    /// How long from now until a new command has succeeded on every node.
    fn back_after(&mut self) -> Duration {
        let since = clock::now();
        let (comment, request) = self.campaign.request(&self.nodes, "true");
        let command = self.fleet.send(&request);
        self.campaign.taken(&comment, command.clone());
        for node in self.nodes.clone() {
            let ended = self.fleet.await_end(&command, &node, BACK_LIMIT * 2);
            assert_eq!(ended.status.as_deref(), Some("Success"), "{ended:?}");
        }
        since.elapsed()
    }

    fn verdict(&mut self) -> Vec<Broken> {
        self.campaign.check(&self.fleet, |_| 0).into_values().flatten().collect()
    }

    fn finish(mut self, mut tally: Tally) {
        tally.begin("the last look at everything");
        let broken = self.campaign.check_all(&mut self.fleet);
        if !broken.is_empty() {
            tally.trial(broken);
        }
        tally.finish();
    }
}

fn late(back: Duration, what: &str) -> Option<Broken> {
    (back > BACK_LIMIT).then(|| Broken::new(Kind::Lost, format!("{what}: the nodes were back after {back:?}")))
}

#[test]
fn f10_a_wire_that_breaks_in_every_way() {
    let Some(mut suite) = Suite::new("F10") else { return };
    let mut tally = Tally::new("F10", &suite.random, Duration::from_secs(180));
    let longest = if is_release() { Duration::from_secs(60) } else { Duration::from_secs(3) };
    while tally.count() < trials(8, 1_000) {
        let number = usize::try_from(tally.count()).unwrap();
        let trouble = *TROUBLES.get(number).unwrap_or_else(|| suite.random.one_of(&TROUBLES));
        // The first one is the measure of ten real seconds.
        let time = if number == 0 { Duration::from_secs(10) } else { Duration::from_millis(500) + suite.random.moment(longest) };
        tally.begin(format!("{trouble:?} for {time:?}"));
        suite.disturb(trouble, time).unwrap();
        let back = suite.back_after();
        println!("F10: {trouble:?} for {:.1} s, back after {:.1} s", time.as_secs_f32(), back.as_secs_f32());
        let mut broken = suite.verdict();
        broken.extend(late(back, &format!("{trouble:?}")));
        tally.trial(broken);
    }
    suite.finish(tally);
}

/// What stands still in a trial of F15.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Still {
    Bridge,
    /// A slow consumer: what is sent meanwhile waits in the broker and in the sockets.
    HalfOfAnAgent,
}

impl Suite {
    /// One trial of F15: the link is slow and commands write much, while something stands still.
    fn stand_still(&mut self, what: Still) -> Vec<Broken> {
        for _ in 0..4 {
            let body = format!("head -c {OUTPUT_BYTES} /dev/zero | tr '\\0' x >&2");
            assert!(self.campaign.send(&self.fleet.client, &self.nodes, &body, || true), "the bridge itself is well");
        }
        let stood_still = match what {
            Still::Bridge => {
                self.send(2);
                self.fleet.freeze_bridge();
                wait::let_pass(STILL);
                self.fleet.thaw_bridge();
                "the bridge"
            }
            Still::HalfOfAnAgent => {
                let half = *self.random.one_of(&[Half::Link, Half::Exec]);
                let pid = self.fleet.nodes[0].half(half);
                process::freeze(pid);
                self.send(10);
                wait::let_pass(STILL);
                process::signal(pid, Signal::SIGCONT);
                if half == Half::Link { "a node's link" } else { "a node's exec" }
            }
        };
        let (back, still) = (self.back_after(), STILL.as_secs());
        println!("F15: {stood_still} stood still for {still} s on {SLOW_KBIT} kbit/s, back after {:.1} s", back.as_secs_f32());
        let mut broken = self.verdict();
        broken.extend(late(back, stood_still));
        broken
    }
}

/// Two fleets beside each other, since all that a trial does is to wait: in one the bridge stands still, in the other half of an agent.
#[test]
fn f15_a_slow_wire_and_processes_that_stand_still() {
    let (Some(mut one), Some(mut other)) = (Suite::new("F15"), Suite::new("F15")) else { return };
    let mut tally = Tally::new("F15", &one.random, Duration::from_secs(240));
    [&one, &other].iter().for_each(|suite| suite.wire.limit(SLOW_KBIT).unwrap());
    while tally.count() < trials(2, 100) {
        tally.begin("the bridge of a fleet, and half of an agent of another, stand still");
        let (of_one, of_other) = std::thread::scope(|scope| {
            let of_one = scope.spawn(|| one.stand_still(Still::Bridge));
            let of_other = other.stand_still(Still::HalfOfAnAgent);
            (of_one.join().unwrap(), of_other)
        });
        tally.trial(of_one);
        tally.trial(of_other);
    }
    let mut broken = one.campaign.check_all(&mut one.fleet);
    broken.extend(other.campaign.check_all(&mut other.fleet));
    if !broken.is_empty() {
        tally.trial(broken);
    }
    tally.finish();
}
