//! What the checker of the numbered invariants says of a fleet of real processes, in the words of a fault suite's account.

use crate::Fleet;
use crate::invariants::{History, Invariant, Violation, database, journal};
use crate::tally::{Broken, Kind};
use crate::wait;
use flotilla_agent::exec::journal::JournalError;
use std::path::Path;
use std::time::Duration;

/// Within this a node that was stopped has let go of its journal.
const JOURNAL_LIMIT: Duration = Duration::from_secs(20);

/// What the bridge's database holds, as a history in which everything must have ended.
///
/// # Panics
/// When the database cannot be read.
#[must_use]
pub fn of_bridge(fleet: &Fleet) -> History {
    let mut history = History { settled: true, ..History::default() };
    look(fleet, &mut history);
    history
}

/// Reads the bridge's database once more, into what is known of it.
///
/// # Panics
/// When the database cannot be read.
pub fn look(fleet: &Fleet, history: &mut History) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    runtime.block_on(database::read_file(&fleet.home().database(), history)).expect("the bridge's database can be read");
    database::trust_targets(history);
}

/// Stops the nodes, and adds what their journals hold.
///
/// # Panics
/// When a node does not stop, or its journal cannot be read.
pub fn add_journals(fleet: &mut Fleet, history: &mut History) {
    for node in &mut fleet.nodes {
        node.stop();
        let (id, exec) = (node.id(), node.state().join("exec"));
        add_journal(&id, &exec, history);
    }
}

/// Adds what the journal in the folder of exec holds, which is to end or has ended.
///
/// # Panics
/// When the node does not let go of it, or it cannot be read.
pub fn add_journal(id: &str, exec: &Path, history: &mut History) {
    let kept = wait::until(JOURNAL_LIMIT, &format!("{id} lets go of its journal"), || match journal::read(exec) {
        Err(JournalError::InUse { .. }) => None,
        read => Some(read.unwrap_or_else(|error| panic!("the journal of {id}: {error}"))),
    });
    let of_node = history.node(id);
    of_node.receipted_up_to = kept.receipted_up_to;
    of_node.kept = Some(kept);
}

/// In the account's words.
#[must_use]
pub fn broken(violation: Violation) -> Broken {
    let kind = match violation.invariant {
        Invariant::C2 | Invariant::C6 | Invariant::R3 | Invariant::T2 => Kind::DoubleRun,
        Invariant::C1
        | Invariant::R1
        | Invariant::R2
        | Invariant::R4
        | Invariant::R5
        | Invariant::C5
        | Invariant::C7
        | Invariant::C8
        | Invariant::C14
        | Invariant::T5 => Kind::Unauthorised,
        _ => Kind::Lost,
    };
    Broken::new(kind, violation.to_string())
}
