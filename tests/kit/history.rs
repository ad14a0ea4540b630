//! What became of one command, as its requester, the bridge and the disk have it, and which promises that breaks.

use crate::effects::Effect;
use crate::tally::{Broken, Kind};
use std::collections::BTreeSet;

/// The last word on a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// It ran to its end, and its end was good.
    Succeeded,
    /// It ran and was cut off: how far it came is unknown.
    Interrupted,
    /// It was tried, and a step or its start failed.
    Failed,
    /// It was stopped.
    Cancelled,
    /// It was refused, or its time ran out: it never starts.
    NeverStarts,
}

/// One command.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Its mark among the side effects.
    pub mark: String,
    /// Whether the requester was told that it is taken, so that it must come to an end.
    pub is_acknowledged: bool,
    /// Whether the bridge knows it.
    pub is_known: bool,
    /// Every last word on it that was ever signed or shown; more than one is a breach.
    pub ends: BTreeSet<End>,
    /// What it really did.
    pub effect: Effect,
}

impl History {
    /// The promises that this history breaks, where a command may come to any end of `allowed`.
    #[must_use]
    pub fn check(&self, allowed: &[End]) -> Vec<Broken> {
        let (starts, finishes) = (self.effect.starts.len(), self.effect.ends.len());
        let ends: Vec<End> = self.ends.iter().copied().collect();
        let mut broken = Vec::new();
        let mut say = |holds: bool, kind, what: &str| {
            if !holds {
                broken.push(Broken::new(kind, format!("{}: {what} (starts {starts}, finishes {finishes}, ends {ends:?})", self.mark)));
            }
        };
        say(starts <= 1 && finishes <= 1, Kind::DoubleRun, "ran twice (C2)");
        say(ends.len() <= 1, Kind::DoubleRun, "more than one end (C3)");
        say(!self.is_acknowledged || self.is_known, Kind::Lost, "taken, and the bridge does not know it (T1)");
        say(!(self.is_acknowledged || self.is_known) || !ends.is_empty(), Kind::Lost, "no end (C3)");
        say(starts == 0 || self.is_known, Kind::Unauthorised, "ran, and the bridge does not know it (C1)");
        say(starts == 0 || !self.ends.contains(&End::NeverStarts), Kind::Unauthorised, "ran, and should never have started (C1)");
        let ran_through = (starts, finishes) == (1, 1);
        say(ran_through || !self.ends.contains(&End::Succeeded), Kind::Lost, "a success that did not run to its end (C3)");
        let unexpected = ends.iter().find(|end| !allowed.contains(end));
        say(unexpected.is_none(), Kind::Lost, &format!("an end that this fault does not excuse, which are {allowed:?} (C4)"));
        broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(ends: &[End], starts: usize, finishes: usize) -> History {
        let effect = Effect { starts: vec![1; starts], ends: vec![2; finishes] };
        History { mark: "m".into(), is_acknowledged: true, is_known: true, ends: ends.iter().copied().collect(), effect }
    }

    fn kinds(history: &History, allowed: &[End]) -> Vec<Kind> {
        history.check(allowed).into_iter().map(|broken| broken.kind).collect()
    }

    #[test]
    fn what_keeps_the_promises_breaks_nothing() {
        assert_eq!(kinds(&history(&[End::Succeeded], 1, 1), &[End::Succeeded]), []);
        assert_eq!(kinds(&history(&[End::Interrupted], 1, 0), &[End::Interrupted]), []);
        assert_eq!(kinds(&history(&[End::Failed], 0, 0), &[End::Failed]), []);
        assert_eq!(kinds(&History::default(), &[]), [], "a command that was not taken need not be there");
    }

    #[test]
    fn each_broken_promise_is_seen() {
        use Kind::{DoubleRun, Lost, Unauthorised};
        assert_eq!(kinds(&history(&[End::Interrupted], 2, 0), &[End::Interrupted]), [DoubleRun]);
        assert_eq!(kinds(&history(&[End::Failed, End::Interrupted], 1, 0), &[End::Failed, End::Interrupted]), [DoubleRun]);
        assert_eq!(kinds(&history(&[], 1, 1), &[End::Succeeded]), [Lost]);
        assert_eq!(kinds(&history(&[End::Succeeded], 1, 0), &[End::Succeeded]), [Lost]);
        assert_eq!(kinds(&history(&[End::Interrupted], 1, 1), &[End::Succeeded]), [Lost]);
        assert_eq!(kinds(&history(&[End::NeverStarts], 1, 1), &[End::NeverStarts]), [Unauthorised]);
        let unknown = History { is_acknowledged: false, is_known: false, ..history(&[], 1, 1) };
        assert_eq!(kinds(&unknown, &[]), [Unauthorised]);
        let forgotten = History { is_known: false, ..history(&[], 0, 0) };
        assert_eq!(kinds(&forgotten, &[]), [Lost, Lost]);
    }
}
