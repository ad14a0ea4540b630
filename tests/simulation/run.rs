//! One world from its beginning to its end, and what came of it; and how a failing history is made smaller.

use crate::fault::Faults;
use crate::plan::{Plan, Scale};
use crate::world::{Planted, World};
use flotilla_tests::clock;
use flotilla_tests::invariants::{Fact, check};
use flotilla_tests::tally::{Broken, Kind};
use flotilla_tests::verdict;
use std::time::{Duration, Instant};

/// What came of a world.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    pub(crate) broken: Vec<Broken>,
    pub(crate) hash: u64,
    pub(crate) lines: u64,
    pub(crate) tail: String,
    pub(crate) faults: Faults,
    pub(crate) commands: u64,
    pub(crate) invocations: u64,
    pub(crate) starts: u64,
    pub(crate) put_back: u64,
    pub(crate) resumes: u64,
    /// Outcomes that nodes have signed.
    pub(crate) ended: u64,
    pub(crate) virtual_hours: u64,
    /// Whether a device was copied and the bridge has noticed.
    pub(crate) copy_seen: bool,
}

impl Outcome {
    /// The numbers of the invariants that broke, or the first words of what else did.
    pub(crate) fn kinds(&self) -> Vec<String> {
        let mut kinds: Vec<String> = self.broken.iter().filter_map(|broken| broken.why.split(' ').next()).map(str::to_owned).collect();
        kinds.sort();
        kinds.dedup();
        kinds
    }
}

pub(crate) fn run(seed: u64, scale: Scale, plan: &Plan, planted: Planted) -> Outcome {
    let mut world = World::new(seed, scale, plan, planted);
    world.run();
    let mut broken: Vec<Broken> = std::mem::take(&mut world.broken).into_iter().map(|why| Broken::new(Kind::Lost, why)).collect();
    broken.extend(world.finish_twins().into_iter().map(verdict::broken));
    broken.extend(check(&world.history).into_iter().map(verdict::broken));
    let ended = world.history.nodes.values().flat_map(|node| &node.entries).filter(|entry| matches!(entry.fact, Fact::Ended(_)));
    Outcome {
        broken,
        hash: world.trace.hash(),
        lines: world.trace.lines(),
        tail: world.trace.tail(),
        faults: world.faults.clone(),
        commands: u64::try_from(world.sent.len()).unwrap(),
        invocations: world.sent.iter().map(|sent| u64::try_from(sent.targets.len()).unwrap()).sum(),
        starts: world.starts,
        put_back: world.put_back,
        resumes: world.resumes,
        ended: u64::try_from(ended.count()).unwrap(),
        virtual_hours: world.now_ms / 3_600_000,
        copy_seen: world.quarantined_name().is_some(),
    }
}

/// Leaves out whatever the failure does not need, until nothing more can go or the time is up.
pub(crate) fn shrink(seed: u64, scale: Scale, plan: &Plan, planted: Planted, limit: Duration) -> (Plan, Outcome) {
    let deadline: Instant = clock::now() + limit;
    let mut best = (plan.clone(), run(seed, scale, plan, planted));
    let wanted = best.1.kinds();
    let mut piece = best.0.len().div_ceil(2);
    while piece > 0 {
        let mut from = 0;
        let mut smaller = false;
        while from < best.0.len() && clock::now() < deadline {
            let mut candidate = best.0.clone();
            candidate.drain(from..(from + piece).min(candidate.len()));
            let outcome = run(seed, scale, &candidate, planted);
            if outcome.kinds().iter().any(|kind| wanted.contains(kind)) {
                best = (candidate, outcome);
                smaller = true;
            } else {
                from += piece;
            }
        }
        if clock::now() >= deadline || (piece == 1 && !smaller) {
            break;
        }
        piece = if piece == 1 { 1 } else { piece.div_ceil(2) };
    }
    best
}
