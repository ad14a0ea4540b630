//! What the journal of a real node holds once the node stands still, and the rules over it: beside the side effects of its commands and beside
//! the bridge's database it must say the same.
//!
//! A journal is no diary: a snapshot takes the place of what was there before. So nothing is asked of the order of its records, only what it
//! knows of each order in the end.

use super::{Fact, History, Invariant, InvocationRow, NodeHistory, Violation};
use flotilla_agent::exec::journal::{Journal, JournalError, Opened};
use flotilla_agent_core::{End, Record};
use flotilla_broker_bridge::capability::run_command::model::InvocationState;
use flotilla_protocol::capability::ReportPayload;
use flotilla_protocol::envelope::{Domain, Envelope};
use flotilla_protocol::report::ReportBody;
use flotilla_protocol::status::{Admission, Outcome, RejectReason};
use flotilla_protocol::wire::decode;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What a journal knows of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It was taken, and is not over.
    Open,
    /// It has this outcome.
    Over(Outcome),
    /// It never starts, for this reason.
    Refused(RejectReason),
    /// It is over, and how is not known any more.
    Forgotten,
}

impl Kept {
    fn state(self) -> Option<InvocationState> {
        match self {
            Self::Over(outcome) => Some(InvocationState::of_outcome(outcome)),
            Self::Refused(reason) => Some(InvocationState::of_refusal(reason)),
            Self::Open | Self::Forgotten => None,
        }
    }
}

/// A node's journal, read when the node stands still.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeptJournal {
    /// By order.
    pub orders: BTreeMap<String, Kept>,
    /// Trusted time has reached this, in Unix milliseconds: what expired before may be gone.
    pub floor_ms: u64,
    /// The node has receipts up to this sequence.
    pub receipted_up_to: u64,
    /// The number of the last reboot that each order asked for which is not over.
    pub reboots: BTreeMap<String, u16>,
    /// It was there, and cannot be read any more.
    pub is_lost: bool,
}

/// Reads the journal in the folder of exec (`<state folder>/exec`), which must not run. Nothing is changed.
///
/// # Errors
/// What the agent's own reader says; [`JournalError::InUse`] while exec runs.
pub fn read(exec: &Path) -> Result<KeptJournal, JournalError> {
    let Opened { records, floor, loss, .. } = Journal::open(exec)?;
    let mut kept = KeptJournal { floor_ms: floor.time_ms, is_lost: loss.is_some(), ..KeptJournal::default() };
    records.iter().for_each(|record| kept.take(record));
    Ok(kept)
}

impl KeptJournal {
    fn take(&mut self, record: &Record) {
        match record {
            Record::Accepted { .. } | Record::Taken { .. } => {
                if let Some((order, _)) = record.taken() {
                    self.orders.insert(order.id.to_string(), Kept::Open);
                }
            }
            Record::Ended { order, report } | Record::Refused { order, report, .. } => {
                self.orders.insert(order.to_string(), said(report).unwrap_or(Kept::Forgotten));
            }
            Record::Known { order, .. } => drop(self.orders.insert(order.to_string(), Kept::Forgotten)),
            Record::KnownEnd { order, end, .. } => {
                let kept = match end {
                    End::Outcome(outcome) => Kept::Over(*outcome),
                    End::Rejected(reason) => Kept::Refused(*reason),
                };
                self.orders.insert(order.to_string(), kept);
            }
            Record::Rebooting { order, reboot, .. } => drop(self.reboots.insert(order.to_string(), reboot.count)),
            Record::Receipted { up_to } => self.receipted_up_to = self.receipted_up_to.max(*up_to),
            Record::Chain { receipted, .. } => self.receipted_up_to = self.receipted_up_to.max(*receipted),
            Record::Floor { floor_ms } => self.floor_ms = self.floor_ms.max(*floor_ms),
            // Nothing of these changes what becomes of an order.
            _ => {}
        }
    }
}

/// What a signed report of a node says of how an order is over.
fn said(report: &[u8]) -> Option<Kept> {
    let envelope = Envelope::parse(report, Domain::Report).ok()?;
    let body: ReportBody = decode(envelope.body()).ok()?;
    match ReportPayload::decode(&body.payload).ok()? {
        ReportPayload::CommandResult(result) => Some(Kept::Over(result.outcome)),
        ReportPayload::Admission(Admission::Rejected { reason, .. }) => Some(Kept::Refused(reason)),
        _ => None,
    }
}

/// Adds what is broken between a node's journal, where it was read, and everything else.
pub fn check(history: &History, node: &str, of_node: &NodeHistory, found: &mut Vec<Violation>) {
    let Some(kept) = &of_node.kept else { return };
    let mut broken = |invariant, order: &str, why: String| {
        found.push(Violation { invariant, node: node.to_owned(), order: order.to_owned(), why });
    };
    if kept.is_lost {
        broken(Invariant::C6, "", "its journal is lost, and what it took with it".to_owned());
    }
    let is_start = |fact: &Fact| matches!(fact, Fact::Started { .. });
    let started: BTreeSet<&str> = of_node.entries.iter().filter(|entry| is_start(&entry.fact)).map(|entry| entry.order.as_str()).collect();
    let has_started = |order: &str| started.contains(order);
    for (order, of_order) in &kept.orders {
        if *of_order == Kept::Open && history.settled {
            broken(Invariant::C3, order, "the node took it, and its journal has no outcome".to_owned());
        }
        if matches!(of_order, Kept::Refused(_)) && has_started(order) {
            broken(Invariant::C7, order, format!("it ran, and the journal says {of_order:?}"));
        }
    }
    for (order, command) in &history.commands {
        let Some(row) = command.invocations.get(node) else { continue };
        match kept.orders.get(order) {
            Some(of_order) => agrees(history, of_node, order, *of_order, row, &mut broken),
            // The journal lets go of what has expired.
            None if command.not_after_ms <= kept.floor_ms || kept.is_lost => {}
            None if has_started(order) => broken(Invariant::C1, order, "it ran, and its journal has no record of it".to_owned()),
            None if row.now.signed => {
                broken(Invariant::C11, order, format!("the bridge has {:?} as signed, and the journal knows nothing of it", row.now.state));
            }
            None => {}
        }
    }
}

fn agrees(
    history: &History,
    of_node: &NodeHistory,
    order: &str,
    kept: Kept,
    row: &InvocationRow,
    broken: &mut impl FnMut(Invariant, &str, String),
) {
    let Some(state) = kept.state() else { return };
    let now = row.now;
    if now.signed && now.state.is_terminal() {
        if now.state != state {
            broken(Invariant::C3, order, format!("the journal says {kept:?}, and the bridge has {:?}", now.state));
        }
    } else if matches!(kept, Kept::Over(_)) && history.settled && !history.may_have_lost(of_node, order, row) {
        broken(Invariant::T4, order, format!("the journal says {kept:?}, and the bridge never learnt of it: {:?}", now.state));
    }
}
