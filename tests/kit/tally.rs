//! A fault suite's account: how many trials, what broke in them, and how long they took. One line at the end, and a failure unless all
//! counts are 0. What breaks is said at once, and a suite that takes far too long is ended, with what is known: see [`crate::watchdog`].

use crate::clock;
use crate::random::Random;
use crate::watchdog::Watchdog;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Of what is broken, so much is shown.
const SHOWN: usize = 20;

/// A suite is ended at this many times its budget; below what the runner of the tests allows (`.config/nextest.toml`) in any case.
const HARD_LIMIT_FACTOR: u32 = 2;
const HARD_LIMIT: Duration = Duration::from_secs(540);
/// The same, where a release makes its many trials.
const HARD_LIMIT_OF_RELEASE: Duration = Duration::from_secs(11 * 3600);

/// How a promise was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Something that was acknowledged is gone, or never came to its end.
    Lost,
    /// A command started more than once, or has more than one outcome.
    DoubleRun,
    /// A command started that must not have.
    Unauthorised,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::DoubleRun => "double-run",
            Self::Unauthorised => "unauthorised",
        }
    }
}

/// One promise that was broken in a trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// How.
    pub kind: Kind,
    /// Where and why, for a person.
    pub why: String,
}

impl Broken {
    /// Of this kind.
    #[must_use]
    pub fn new(kind: Kind, why: String) -> Self {
        Self { kind, why }
    }
}

/// Whether the suites make the many trials of a release (`FLOTILLA_TIER=release`).
#[must_use]
pub fn is_release() -> bool {
    std::env::var("FLOTILLA_TIER").is_ok_and(|tier| tier == "release")
}

/// One number for every change, another for a release, of which this process makes its [`Shard`].
#[must_use]
pub fn trials(in_ci: u64, in_release: u64) -> u64 {
    if is_release() { Shard::of_environment().share(in_release) } else { in_ci }
}

/// The part of a release's trials that this process makes, where several make them beside each other (`FLOTILLA_SHARD=2/8`, see
/// `tests/faults/release`); all of them where nothing is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// From 1 on.
    number: u64,
    /// How many there are.
    of: u64,
}

impl Shard {
    /// What the environment says.
    ///
    /// # Panics
    /// When it says something that is no part.
    #[must_use]
    pub fn of_environment() -> Self {
        let Ok(text) = std::env::var("FLOTILLA_SHARD") else { return Self { number: 1, of: 1 } };
        Self::parse(&text).unwrap_or_else(|| panic!("FLOTILLA_SHARD is {text:?}, and should be like 2/8"))
    }

    fn parse(text: &str) -> Option<Self> {
        let (number, of) = text.split_once('/')?;
        let shard = Self { number: number.parse().ok()?, of: of.parse().ok()? };
        (1..=shard.of).contains(&shard.number).then_some(shard)
    }

    /// How many of `all` are this part's; the parts together make exactly `all`.
    #[must_use]
    pub fn share(self, all: u64) -> u64 {
        all / self.of + u64::from(self.number <= all % self.of)
    }

    /// Where this part's begin among `all`: behind those of the parts before it.
    #[must_use]
    pub fn first(self, all: u64) -> u64 {
        (1..self.number).map(|number| Self { number, ..self }.share(all)).sum()
    }

    /// Whether the thing with this index, from 0 on, is this part's.
    #[must_use]
    pub fn has(self, index: usize) -> bool {
        u64::try_from(index).is_ok_and(|index| index % self.of == self.number - 1)
    }
}

/// The account of one suite.
#[derive(Debug)]
pub struct Tally {
    name: String,
    seed: u64,
    begun: Instant,
    budget: Duration,
    trials: u64,
    broken: BTreeMap<Kind, Vec<String>>,
    watchdog: Watchdog,
}

impl Tally {
    /// Begins. `budget` is what the trials of a change may take; a release may take as long as it needs. At twice the budget the suite is
    /// ended, with what broke so far and what was under way.
    #[must_use]
    pub fn new(name: &str, random: &Random, budget: Duration) -> Self {
        let limit = if is_release() { HARD_LIMIT_OF_RELEASE } else { (budget * HARD_LIMIT_FACTOR).min(HARD_LIMIT) };
        let watchdog = Watchdog::start(name, random.seed(), limit);
        Self { name: name.to_owned(), seed: random.seed(), begun: clock::now(), budget, trials: 0, broken: BTreeMap::new(), watchdog }
    }

    /// A trial begins, or several that are made at once; `what` tells it from the others, for whoever finds it slow or stuck.
    ///
    /// # Panics
    /// When the suite is past its hard limit.
    pub fn begin(&self, what: impl Into<String>) {
        self.watchdog.begin(what.into());
    }

    /// Counts a trial and what broke in it, which is said at once.
    ///
    /// # Panics
    /// When the suite is past its hard limit.
    #[expect(clippy::print_stderr, reason = "a suite that is ended from outside has said by then what broke")]
    pub fn trial(&mut self, broken: Vec<Broken>) {
        self.trials += 1;
        let mut said = Vec::with_capacity(broken.len());
        for Broken { kind, why } in broken {
            let line = format!("trial {}: {why}", self.trials);
            said.push(format!("{}: {line}", kind.word()));
            self.broken.entry(kind).or_default().push(line);
        }
        for line in &said {
            eprintln!("{} (FLOTILLA_SEED={}): {line}", self.name, self.seed);
        }
        self.watchdog.over(&said);
    }

    /// So many trials so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.trials
    }

    /// The line for the table of trials.
    #[must_use]
    pub fn line(&self) -> String {
        let [lost, double_run, unauthorised] =
            [Kind::Lost, Kind::DoubleRun, Kind::Unauthorised].map(|kind| self.broken.get(&kind).map_or(0, Vec::len));
        let Self { name, trials, seed, .. } = self;
        let seconds = self.begun.elapsed().as_secs_f32();
        format!(
            "{name}: trials {trials}, lost {lost}, double-run {double_run}, unauthorised {unauthorised}, seed {seed}, seconds {seconds:.1}"
        )
    }

    /// Prints the line.
    ///
    /// # Panics
    /// When there was no trial, when anything broke, or when it took longer than its budget.
    #[expect(clippy::print_stdout, reason = "the line is what the suite is run for")]
    pub fn finish(self) {
        println!("{}", self.line());
        let broken: Vec<&String> = self.broken.values().flatten().take(SHOWN).collect();
        assert!(broken.is_empty(), "{}: {broken:#?}", self.name);
        assert!(self.trials > 0, "{}: no trial was made", self.name);
        let taken = self.begun.elapsed();
        assert!(is_release() || taken <= self.budget, "{}: took {taken:?}, and its budget is {:?}", self.name, self.budget);
    }
}

/// Says that a suite is left out on this machine, and why.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
pub fn skipped(name: &str, why: &str) {
    println!("{name}: SKIPPED, {why}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn tally() -> Tally {
        Tally::new("F0", &Random::new(7), Duration::from_secs(60))
    }

    #[test]
    fn the_line_counts_by_kind() {
        let mut tally = tally();
        tally.trial(Vec::new());
        tally.trial([Kind::Lost, Kind::Lost, Kind::DoubleRun].map(|kind| Broken::new(kind, String::new())).to_vec());
        assert!(tally.line().starts_with("F0: trials 2, lost 2, double-run 1, unauthorised 0, seed 7, seconds "), "{}", tally.line());
        assert!(catch_unwind(AssertUnwindSafe(|| tally.finish())).is_err(), "something broke");
    }

    #[test]
    fn parts_make_the_whole() {
        for of in 1..12 {
            let shards = || (1..=of).map(|number| Shard { number, of });
            assert_eq!(shards().map(|shard| shard.share(100)).sum::<u64>(), 100);
            let all: Vec<u64> = shards().flat_map(|shard| shard.first(100)..shard.first(100) + shard.share(100)).collect();
            assert_eq!(all, (0..100).collect::<Vec<_>>());
            assert!((0..30).all(|index| shards().filter(|shard| shard.has(index)).count() == 1));
        }
        assert_eq!(Shard::parse("2/8"), Some(Shard { number: 2, of: 8 }));
        for text in ["", "0/8", "9/8", "1/0", "1", "a/b", "-1/2"] {
            assert_eq!(Shard::parse(text), None, "{text}");
        }
    }

    #[test]
    fn no_trial_is_no_success() {
        assert!(catch_unwind(AssertUnwindSafe(|| tally().finish())).is_err());
        let mut one = tally();
        one.trial(Vec::new());
        one.finish();
    }
}
