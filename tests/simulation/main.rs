//! The deterministic simulator (INVARIANTS.md, F12, F14 and F17's old backup): real agent cores and the bridge's real library on a real
//! database, under one seeded scheduler in virtual time, with every fault mixed in.
//!
//! One long history, 50 nodes × 24 hours (seed 0), then short and crowded ones, 8 nodes × 2 hours, from seed 1 on, several at a time;
//! after each, seven hours in which nothing goes wrong any more, so that everything must come to its end.
//!
//! | variable | what it does |
//! |---|---|
//! | `FLOTILLA_SEED=n` | runs one short history again; with `FLOTILLA_SCALE=long` a long one |
//! | `FLOTILLA_TRACE=1` | prints every line of the trace |
//! | `FLOTILLA_SIMULATION_SECONDS=n` | the time that is filled with seeds; 60 where nothing is said, and never fewer than 24 seeds |
//! | `FLOTILLA_FIRST_SEED=n` | begins there instead of at 1, to look where nobody has looked |
//! | `FLOTILLA_TIER=release` | runs 10,000 seeds |
//!
//! What is real: the agent's core; the bridge's ingest, dispatch, retention, signer, operations and SQL on SQLite. What is modelled: the
//! journal's file (the rule of what is durable when), jobs, link, broker, network, and the clock. A crash of the bridge comes before a
//! commit or after it with some of the messages out, which is all that a crash can be to others. To add a fault: a line in [`fault`],
//! an action in [`plan`], and what it does in [`act`]; the test fails while it is never injected.
//!
//! Where the check gives way, and only there: what an older copy of the database does not hold and no node can say again, see
//! `History::restored`. While the world comes to rest nobody is helped: no node is made to reconnect.
#![cfg(test)]

mod act;
mod bridge;
mod dice;
mod disk;
mod fault;
mod jobs;
mod network;
mod node;
mod plan;
mod run;
mod shell;
mod trace;
mod world;

use fault::{Fault, Faults};
use flotilla_tests::clock;
use plan::{Scale, plan};
use run::{Outcome, run, shrink};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use world::Planted;

/// Seeds of a release.
const RELEASE_SEEDS: u64 = 10_000;
/// Seeds that are run however long they take: among so many there is every fault.
const LEAST_SEEDS: u64 = 24;
/// How long a failing history is made smaller.
const SHRINK_LIMIT: Duration = Duration::from_secs(60);
/// Within so many seeds each planted mistake is found.
const PLANTED_SEEDS: u64 = 12;

pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Prints what is needed to see a failure again, and fails.
fn fail(seed: u64, scale: Scale, planted: Planted) -> ! {
    let plan = plan(seed, scale);
    let whole = run(seed, scale, &plan, planted);
    let (smaller, outcome) = shrink(seed, scale, &plan, planted, SHRINK_LIMIT);
    let actions: String = smaller.iter().map(|(at_ms, action)| format!("  {at_ms:>9} ms {action:?}\n")).collect();
    let broken = |outcome: &Outcome| outcome.broken.iter().take(10).map(|line| format!("  {line}\n")).collect::<String>();
    panic!(
        "FLOTILLA_SEED={seed} ({} nodes, {} hours) breaks:\n{}shrunk from {} to {} actions:\n{actions}which break:\n{}the end of its trace:\n{}",
        scale.nodes,
        scale.hours,
        broken(&whole),
        plan.len(),
        smaller.len(),
        broken(&outcome),
        outcome.tail
    )
}

#[derive(Default)]
struct Sum {
    seeds: u64,
    hours: u64,
    commands: u64,
    invocations: u64,
    starts: u64,
    put_back: u64,
    ended: u64,
    faults: Faults,
}

impl Sum {
    /// Runs a seed; `false` when something broke.
    fn run(&mut self, seed: u64, scale: Scale) -> bool {
        let outcome = run(seed, scale, &plan(seed, scale), Planted::Nothing);
        self.add(&outcome);
        outcome.broken.is_empty()
    }

    fn add(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        self.hours += outcome.virtual_hours;
        self.commands += outcome.commands;
        self.invocations += outcome.invocations;
        self.starts += outcome.starts;
        self.put_back += outcome.put_back;
        self.ended += outcome.ended;
        self.faults.merge(&outcome.faults);
    }

    fn report(&self, took: Duration) {
        let Self { seeds, hours, commands, invocations, starts, put_back, ended, faults } = self;
        say(&format!(
            "simulation: {seeds} seeds, {hours} virtual hours in {:.1} s ({:.0} virtual hours a second), {} faults",
            took.as_secs_f32(),
            f64::from(u32::try_from(*hours).unwrap()) / took.as_secs_f64().max(0.001),
            faults.total()
        ));
        for fault in Fault::ALL {
            say(&format!("{:>9}  {}", faults.of(*fault), fault.text()));
        }
        say(&format!(
            "{commands} commands on {invocations} targets, {starts} starts ({put_back} more were recorded and never began), {ended} outcomes, lost 0, double-run 0"
        ));
    }
}

/// Runs seeds on every processor until `goes_on` says no or one breaks something; returns the first that did.
fn run_many(sum: &Mutex<Sum>, first: u64, goes_on: impl Fn(u64) -> bool + Sync) -> Option<(u64, Scale)> {
    let (next, broken) = (AtomicU64::new(0), Mutex::new(None));
    let worker = || loop {
        let number = next.fetch_add(1, Ordering::SeqCst);
        if broken.lock().unwrap().is_some() || (number > 0 && !goes_on(number)) {
            break;
        }
        let (seed, scale) = if number == 0 { (first - 1, Scale::LONG) } else { (first + number - 1, Scale::SHORT) };
        let outcome = run(seed, scale, &plan(seed, scale), Planted::Nothing);
        sum.lock().unwrap().add(&outcome);
        if !outcome.broken.is_empty() {
            broken.lock().unwrap().get_or_insert((seed, scale));
        }
    };
    // A world and its database's thread take turns, so one world leaves half of a processor idle.
    let workers = 2 * std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(worker);
        }
    });
    broken.into_inner().unwrap()
}

#[test]
fn a_fleet_under_every_fault_loses_nothing_and_runs_nothing_twice() {
    let began = clock::now();
    if let Some(seed) = number("FLOTILLA_SEED") {
        let scale = if std::env::var("FLOTILLA_SCALE").is_ok_and(|scale| scale == "long") { Scale::LONG } else { Scale::SHORT };
        let mut sum = Sum::default();
        if !sum.run(seed, scale) {
            fail(seed, scale, Planted::Nothing);
        }
        return sum.report(clock::now() - began);
    }
    let release = std::env::var("FLOTILLA_TIER").is_ok_and(|tier| tier == "release");
    let limit = Duration::from_secs(number("FLOTILLA_SIMULATION_SECONDS").unwrap_or(60));
    let sum = Mutex::default();
    let first = number("FLOTILLA_FIRST_SEED").unwrap_or(1);
    let broken =
        run_many(&sum, first, |ran| if release { ran <= RELEASE_SEEDS } else { ran <= LEAST_SEEDS || clock::now() - began < limit });
    if let Some((seed, scale)) = broken {
        fail(seed, scale, Planted::Nothing);
    }
    let sum = sum.into_inner().unwrap();
    sum.report(clock::now() - began);
    for fault in Fault::ALL {
        assert!(sum.faults.of(*fault) > 0, "no {} in {} seeds: more time is needed", fault.text(), sum.seeds);
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    // With nothing special, with a restored database, and with a wrong clock and a restored database.
    for seed in [1, 6, 246] {
        let [first, second] = [(); 2].map(|()| run(seed, Scale::SHORT, &plan(seed, Scale::SHORT), Planted::Nothing));
        assert_eq!((first.hash, first.lines), (second.hash, second.lines), "seed {seed}");
        assert!(first.lines > 100, "{} lines", first.lines);
    }
}

#[test]
fn planted_mistakes_are_found() {
    use Planted as P;
    for (planted, wanted) in [
        (P::StartWithoutPersist, &["C1"][..]),
        (P::PublishBeforeDurable, &["C3", "C6"]),
        (P::RunAgainAfterReboot, &["C2"]),
        (P::ForgetsEndedOrders, &["C2", "C6"]),
        // The node has let go of what the database never had: the next report shows the gap.
        (P::AnswerBeforeCommit, &["T1", "T3", "T4"]),
    ] {
        let found = (1..=PLANTED_SEEDS).find(|seed| {
            let outcome = run(*seed, Scale::SHORT, &plan(*seed, Scale::SHORT), planted);
            outcome.kinds().iter().any(|kind| wanted.contains(&kind.as_str()))
        });
        say(&format!("{planted:?} is found as {wanted:?} with seed {found:?}"));
        assert!(found.is_some(), "{planted:?} is not found within {PLANTED_SEEDS} seeds");
    }
}

#[test]
fn a_failing_history_is_made_smaller() {
    let planted = Planted::StartWithoutPersist;
    let plan = plan(1, Scale::SHORT);
    let (smaller, outcome) = shrink(1, Scale::SHORT, &plan, planted, Duration::from_secs(10));
    assert!(!outcome.broken.is_empty());
    assert!(smaller.len() * 4 < plan.len(), "{} of {} actions are left", smaller.len(), plan.len());
}
