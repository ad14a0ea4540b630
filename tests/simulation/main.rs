//! The deterministic simulator (INVARIANTS.md, F12, F14 and F17's old backup): real agent cores and the bridge's real library on a real
//! database, under one seeded scheduler in virtual time, with every fault mixed in.
//!
//! A seed decides the size of its history (see `Scale::of`): of 200 seeds one is long, 50 nodes × 24 hours, nine are 20 nodes × 8 hours, and
//! 190 are short and crowded, 8 nodes × 2 hours. Seed 0 is a long one, and every change runs it; a release runs 10,001 seeds: 51 long
//! ones, 450 of the middle and 9,500 short ones. After each history come seven hours in which nothing goes wrong any more, so that
//! everything must come to its end. Several worlds run at a time, each on its own thread; one of 50 seeds is run a second time, and must
//! give the same trace.
//!
//! | variable | what it does |
//! |---|---|
//! | `FLOTILLA_SEED=n` | runs one history again; with `FLOTILLA_SCALE=short`, `middle` or `long` in that size |
//! | `FLOTILLA_TRACE=1` | prints every line of the trace |
//! | `FLOTILLA_SIMULATION_SECONDS=n` | the time that is filled with seeds; 60 where nothing is said, and never fewer than 24 seeds |
//! | `FLOTILLA_FIRST_SEED=n`, `FLOTILLA_SEEDS=n` | begins there instead of at 0, and runs exactly so many |
//! | `FLOTILLA_WORKERS=n` | worlds at a time; two for each processor where nothing is said |
//! | `FLOTILLA_TIER=release` | runs 10,001 seeds, or with `FLOTILLA_SHARD=2/40` that part of them |
//!
//! F12's trials are the histories; F14's are the wrong clocks in them that the bridge has worked under, 70 at least in every change and 700
//! in a release. A history that breaks counts as broken in F14 too when there was a wrong clock in it.
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
mod copy;
mod disk;
mod fault;
mod jobs;
mod network;
mod node;
mod plan;
mod reboots;
mod run;
mod shell;
mod trace;
mod world;

use fault::{Fault, Faults, WRONG_CLOCKS};
use flotilla_tests::clock;
use flotilla_tests::random::Random;
use flotilla_tests::tally::{self, Shard, Tally};
use plan::{Scale, plan};
use run::{Outcome, run, shrink};
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use world::Planted;

/// Seeds of a release.
const RELEASE_SEEDS: u64 = 10_001;
/// Seeds that are run however long they take: among so many there is every fault.
const LEAST_SEEDS: u64 = 24;
/// Trials of F14: wrong clocks that the bridge has worked under.
const LEAST_WRONG_CLOCKS: [u64; 2] = [70, 700];
/// One of so many seeds is run twice.
const TWICE: u64 = 50;
/// What every change may take, on a machine that has much else to do.
const BUDGET: Duration = Duration::from_secs(480);
/// What runs of as many seeds as somebody asks for may take: no limit, as far as anybody waits.
const UNBOUNDED: Duration = Duration::from_secs(30 * 86_400);
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
    let broken = |outcome: &Outcome| outcome.broken.iter().take(10).map(|broken| format!("  {}\n", broken.why)).collect::<String>();
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

/// What came of all histories.
struct Sum {
    began: Instant,
    /// The histories, and the wrong clocks in them.
    histories: Tally,
    clocks: Tally,
    /// Short, middle and long ones.
    sizes: [u64; 3],
    twice: u64,
    hours: u64,
    commands: u64,
    invocations: u64,
    starts: u64,
    put_back: u64,
    resumes: u64,
    ended: u64,
    copies_seen: u64,
    faults: Faults,
    /// The first seed that broke.
    broken: Option<(u64, Scale)>,
}

impl Sum {
    fn new(first: u64, budget: Duration) -> Self {
        let [histories, clocks] = ["F12", "F14"].map(|name| Tally::new(name, &Random::new(first), budget));
        Self {
            began: clock::now(),
            histories,
            clocks,
            sizes: [0; 3],
            twice: 0,
            hours: 0,
            commands: 0,
            invocations: 0,
            starts: 0,
            put_back: 0,
            resumes: 0,
            ended: 0,
            copies_seen: 0,
            faults: Faults::default(),
            broken: None,
        }
    }

    fn add(&mut self, seed: u64, scale: Scale, outcome: &Outcome) {
        if !outcome.broken.is_empty() {
            self.broken.get_or_insert((seed, scale));
        }
        self.histories.trial(outcome.broken.clone());
        for clock in 0..outcome.faults.wrong_clocks() {
            self.clocks.trial(if clock == 0 { outcome.broken.clone() } else { Vec::new() });
        }
        for (size, count) in [Scale::SHORT, Scale::MIDDLE, Scale::LONG].into_iter().zip(&mut self.sizes) {
            *count += u64::from(size == scale);
        }
        self.hours += outcome.virtual_hours;
        self.commands += outcome.commands;
        self.invocations += outcome.invocations;
        self.starts += outcome.starts;
        self.put_back += outcome.put_back;
        self.resumes += outcome.resumes;
        self.ended += outcome.ended;
        self.copies_seen += u64::from(outcome.copy_seen);
        self.faults.merge(&outcome.faults);
    }

    fn report(&self) {
        let Self {
            sizes: [short, middle, long],
            twice,
            hours,
            commands,
            invocations,
            starts,
            put_back,
            resumes,
            ended,
            copies_seen,
            faults,
            ..
        } = self;
        let took = (clock::now() - self.began).as_secs_f64().max(0.001);
        for fault in Fault::ALL {
            say(&format!("{:>9}  {}", faults.of(*fault), fault.text()));
        }
        say(&format!(
            "simulation: {short} short, {middle} middle and {long} long histories, {twice} of them twice; {hours} virtual hours in {took:.1} s \
             ({:.0} a second), {} faults",
            f64::from(u32::try_from(*hours).unwrap()) / took,
            faults.total()
        ));
        say(&format!(
            "{commands} commands on {invocations} targets, {starts} starts ({resumes} of them after a reboot that a step asked for, or without it; {put_back} more were recorded and never began), {ended} outcomes; {copies_seen} of {} copies of a device \
             were noticed; the others had not contradicted each other, or the database was restored",
            faults.of(Fault::Copied)
        ));
        let kinds = WRONG_CLOCKS.map(|fault| format!("{} {}", faults.of(fault), fault.text()));
        say(&format!(
            "clocks: {}; {} jumps while a job ran; {} boots without the time and with open orders",
            kinds.join(", "),
            faults.of(Fault::ClockJumped),
            faults.of(Fault::BootWithoutTime)
        ));
    }

    /// Prints F12's and F14's lines; fails, with all that is needed to see it again, when something broke.
    fn finish(self) {
        self.report();
        if let Some((seed, scale)) = self.broken {
            say(&self.histories.line());
            say(&self.clocks.line());
            fail(seed, scale, Planted::Nothing);
        }
        self.histories.finish();
        if self.clocks.count() > 0 {
            self.clocks.finish();
        }
    }
}

/// Runs a seed, one of [`TWICE`] seeds a second time: others run beside it, and must make no difference.
fn run_seed(sum: &Mutex<Sum>, seed: u64, scale: Scale) -> bool {
    let plan = plan(seed, scale);
    let outcome = run(seed, scale, &plan, Planted::Nothing);
    let holds = outcome.broken.is_empty();
    let twice = seed % TWICE == 1;
    if twice {
        let again = run(seed, scale, &plan, Planted::Nothing);
        assert_eq!((again.hash, again.lines), (outcome.hash, outcome.lines), "seed {seed} does not give the same trace twice");
    }
    let mut sum = sum.lock().unwrap();
    sum.twice += u64::from(twice);
    sum.add(seed, scale, &outcome);
    holds
}

/// Runs seeds on every processor until `goes_on` says no or one breaks something.
fn run_many(sum: &Mutex<Sum>, seeds: Range<u64>, goes_on: impl Fn(u64) -> bool + Sync) {
    let (next, stop) = (AtomicU64::new(seeds.start), AtomicBool::new(false));
    let worker = || loop {
        let seed = next.fetch_add(1, Ordering::SeqCst);
        if stop.load(Ordering::SeqCst) || seed >= seeds.end || !goes_on(seed - seeds.start) {
            break;
        }
        if !run_seed(sum, seed, Scale::of(seed)) {
            stop.store(true, Ordering::SeqCst);
        }
    };
    // A world and its database's thread take turns, so one world leaves half of a processor idle.
    let processors = std::thread::available_parallelism().map_or(1, |count| u64::try_from(count.get()).unwrap());
    let workers = number("FLOTILLA_WORKERS").unwrap_or(2 * processors).max(1);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(worker);
        }
    });
}

#[test]
fn a_fleet_under_every_fault_loses_nothing_and_runs_nothing_twice() {
    let began = clock::now();
    if let Some(seed) = number("FLOTILLA_SEED") {
        let scale = std::env::var("FLOTILLA_SCALE").ok().and_then(|name| Scale::named(&name)).unwrap_or_else(|| Scale::of(seed));
        let sum = Mutex::new(Sum::new(seed, BUDGET));
        run_seed(&sum, seed, scale);
        return sum.into_inner().unwrap().finish();
    }
    let shard = Shard::of_environment();
    let first = number("FLOTILLA_FIRST_SEED").unwrap_or_else(|| if tally::is_release() { shard.first(RELEASE_SEEDS) } else { 0 });
    if let Some(seeds) = number("FLOTILLA_SEEDS") {
        let sum = Mutex::new(Sum::new(first, UNBOUNDED));
        run_many(&sum, first..first + seeds, |_| true);
        return sum.into_inner().unwrap().finish();
    }
    let sum = Mutex::new(Sum::new(first, BUDGET));
    let limit = Duration::from_secs(number("FLOTILLA_SIMULATION_SECONDS").unwrap_or(60));
    let (seeds, wrong_clocks) = match (tally::is_release(), LEAST_WRONG_CLOCKS) {
        (true, [_, release]) => (shard.share(RELEASE_SEEDS), shard.share(release)),
        (false, [every, _]) => (u64::MAX - first, every),
    };
    let is_enough = || clock::now() - began >= limit && sum.lock().unwrap().clocks.count() >= wrong_clocks;
    run_many(&sum, first..first + seeds, |ran| tally::is_release() || ran < LEAST_SEEDS || !is_enough());
    let sum = sum.into_inner().unwrap();
    let (faults, clocks) = (sum.faults.clone(), sum.clocks.count());
    sum.finish();
    assert!(clocks >= wrong_clocks, "{clocks} wrong clocks, where {wrong_clocks} are wanted");
    for fault in Fault::ALL {
        assert!(faults.of(*fault) > 0, "no {}: more time is needed", fault.text());
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    // With nothing special, with a device that is copied, with a restored database, and with a wrong clock and a restored database.
    for seed in [1, 2, 6, 246] {
        let [first, second] = [(); 2].map(|()| run(seed, Scale::SHORT, &plan(seed, Scale::SHORT), Planted::Nothing));
        assert_eq!((first.hash, first.lines), (second.hash, second.lines), "seed {seed}");
        assert!(first.lines > 100, "{} lines", first.lines);
    }
}

/// A copied device was quarantined while the bridge's clock stood ten years ahead: an order that had gone out to it could neither be cancelled
/// nor expire, until the device is removed as the bridge says.
#[test]
fn an_order_for_ten_years_to_a_copied_device_ends_with_its_removal() {
    let outcome = run(124, Scale::SHORT, &plan(124, Scale::SHORT), Planted::Nothing);
    assert!(outcome.copy_seen && outcome.faults.of(Fault::ClockInTenYears) > 0, "{:?}", outcome.faults);
    assert!(outcome.broken.is_empty(), "{:?}", outcome.broken);
}

/// The bridge connected while its clock stood ten years ahead, and the clock was put right: what it waited for in vain never ended.
#[test]
fn silence_counts_again_when_a_clock_that_was_ahead_is_put_right() {
    let scale = Scale::of(331);
    let outcome = run(331, scale, &plan(331, scale), Planted::Nothing);
    assert!(outcome.faults.of(Fault::ClockInTenYears) > 0, "{:?}", outcome.faults);
    assert!(outcome.broken.is_empty(), "{:?}", outcome.broken);
}

#[test]
fn planted_mistakes_are_found() {
    use Planted as P;
    for (planted, wanted) in [
        (P::StartWithoutPersist, &["C1"][..]),
        (P::PublishBeforeDurable, &["C3", "C6"]),
        (P::RunAgainAfterReboot, &["C2"]),
        (P::RebootWithoutPersist, &["R1"]),
        (P::ForgetsWhereItWas, &["C2", "R3"]),
        (P::ForgetsEndedOrders, &["C2", "C6"]),
        // The node has let go of what the database never had: the next report shows the gap.
        (P::AnswerBeforeCommit, &["T1", "T3", "T4"]),
        (P::BelievesCopies, &["T3"]),
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
