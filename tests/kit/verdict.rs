//! What the checker of the numbered invariants says of a fleet of real processes, in the words of a fault suite's account.

use crate::Fleet;
use crate::campaign::Campaign;
use crate::invariants::{self, History, Invariant, Violation, database};
use crate::tally::{Broken, Kind};

/// Reads the bridge's database, which may be in use, and the side effects of the campaign, and checks both against each other. To be called
/// when every command that was taken has ended.
///
/// # Panics
/// When the database cannot be read.
#[must_use]
pub fn of_fleet(fleet: &Fleet, campaign: &Campaign) -> Vec<Broken> {
    let mut history = of_bridge(fleet);
    campaign.tell(&mut history);
    invariants::check(&history).into_iter().map(broken).collect()
}

/// What the bridge's database holds, as a history in which everything must have ended.
///
/// # Panics
/// When the database cannot be read.
#[must_use]
pub fn of_bridge(fleet: &Fleet) -> History {
    let mut history = History { settled: true, ..History::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    runtime.block_on(database::read_file(&fleet.home().database(), &mut history)).expect("the bridge's database can be read");
    database::trust_targets(&mut history);
    history
}

/// In the account's words.
#[must_use]
pub fn broken(violation: Violation) -> Broken {
    let kind = match violation.invariant {
        Invariant::C2 | Invariant::C6 | Invariant::T2 => Kind::DoubleRun,
        Invariant::C1 | Invariant::C5 | Invariant::C7 | Invariant::C8 | Invariant::C14 | Invariant::T5 => Kind::Unauthorised,
        _ => Kind::Lost,
    };
    Broken::new(kind, violation.to_string())
}
