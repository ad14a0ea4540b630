//! A fault suite's account: how many trials, what broke in them, and how long they took. One line at the end, and a failure unless all
//! counts are 0.

use crate::clock;
use crate::random::Random;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Of what is broken, so much is shown.
const SHOWN: usize = 20;

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

/// One number for every change, another for a release.
#[must_use]
pub fn trials(in_ci: u64, in_release: u64) -> u64 {
    if is_release() { in_release } else { in_ci }
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
}

impl Tally {
    /// Begins. `budget` is what the trials of a change may take; a release may take as long as it needs.
    #[must_use]
    pub fn new(name: &str, random: &Random, budget: Duration) -> Self {
        Self { name: name.to_owned(), seed: random.seed(), begun: clock::now(), budget, trials: 0, broken: BTreeMap::new() }
    }

    /// Counts a trial and what broke in it.
    pub fn trial(&mut self, broken: Vec<Broken>) {
        self.trials += 1;
        for Broken { kind, why } in broken {
            self.broken.entry(kind).or_default().push(format!("trial {}: {why}", self.trials));
        }
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

    fn tally() -> Tally {
        Tally::new("F0", &Random::new(7), Duration::from_secs(60))
    }

    #[test]
    fn the_line_counts_by_kind() {
        let mut tally = tally();
        tally.trial(Vec::new());
        tally.trial([Kind::Lost, Kind::Lost, Kind::DoubleRun].map(|kind| Broken::new(kind, String::new())).to_vec());
        assert!(tally.line().starts_with("F0: trials 2, lost 2, double-run 1, unauthorised 0, seed 7, seconds "), "{}", tally.line());
        assert!(std::panic::catch_unwind(|| tally.finish()).is_err(), "something broke");
    }

    #[test]
    fn no_trial_is_no_success() {
        assert!(std::panic::catch_unwind(|| tally().finish()).is_err());
        let mut one = tally();
        one.trial(Vec::new());
        one.finish();
    }
}
