//! Real nodes, of which the side effects of their commands and their journals are known.

use super::{NODE, ORDER, Tap as _, shown};
use crate::effects::Effect;
use crate::invariants::journal::{Kept, KeptJournal};
use crate::invariants::{History, Invariant, Seen, assert_holds};
use flotilla_broker_bridge::capability::run_command::model::InvocationState;
use flotilla_protocol::status::{Outcome, RejectReason};
use std::collections::BTreeSet;

/// A real node, of which the side effects and the journal are known, and what the bridge has.
fn real(starts: usize, ends: usize, kept: Option<Kept>, state: InvocationState) -> History {
    let mut history = shown(state, true);
    history.nodes.clear();
    history.has_database = true;
    history.acknowledged.insert(ORDER.to_owned());
    let command = history.command(ORDER);
    command.excused = Some(BTreeSet::from([InvocationState::Succeeded, InvocationState::Failed, InvocationState::AccessDenied]));
    command.comment = "c0".to_owned();
    let effect = Effect { starts: vec![1_000_000; starts], ends: vec![2_000_000; ends] };
    history.effects(NODE, [(&"c0".to_owned(), &effect)], |_| Some(ORDER.to_owned()));
    let orders = kept.map(|kept| (ORDER.to_owned(), kept)).into_iter().collect();
    history.node(NODE).kept = Some(KeptJournal { orders, floor_ms: 500, ..KeptJournal::default() });
    history
}

fn succeeded() -> History {
    real(1, 1, Some(Kept::Over(Outcome::Succeeded)), InvocationState::Succeeded)
}

/// Each way in which a real node, its requester and its bridge can disagree.
pub(super) fn broken() -> Vec<(Invariant, &'static str, History)> {
    use Invariant as I;
    use InvocationState as S;
    let over = |outcome| Some(Kept::Over(outcome));
    let unsigned = |history: &mut History| history.command(ORDER).invocations.get_mut(NODE).unwrap().now.signed = false;
    vec![
        (I::C1, "its journal does not know what ran", real(1, 1, None, S::Succeeded)),
        (I::C2, "it ran twice", real(2, 1, over(Outcome::Succeeded), S::Succeeded)),
        (I::C2, "it ended twice", real(1, 2, over(Outcome::Succeeded), S::Succeeded)),
        (I::C3, "the journal has another outcome", real(1, 1, over(Outcome::Failed), S::Succeeded)),
        (I::C3, "the journal has no outcome", real(1, 1, Some(Kept::Open), S::Succeeded)),
        (
            I::C3,
            "another end was shown before",
            succeeded().tap(|history| {
                let row = history.command(ORDER).invocations.get_mut(NODE).unwrap();
                row.before.push(Seen { state: S::Interrupted, signed: true });
            }),
        ),
        (I::C4, "a success that never started", real(0, 0, over(Outcome::Succeeded), S::Succeeded)),
        (I::C4, "a success that did not come to its end", real(1, 0, over(Outcome::Succeeded), S::Succeeded)),
        (I::C4, "an end that nothing excuses", real(1, 0, over(Outcome::Interrupted), S::Interrupted)),
        (
            I::C4,
            "more were cut off than were hit",
            real(1, 0, over(Outcome::Interrupted), S::Interrupted).tap(|history| {
                history.command(ORDER).excused = None;
                history.node(NODE).hits = Some(0);
            }),
        ),
        (
            I::C4,
            "it was cut off before it began, and was not hit",
            real(0, 0, over(Outcome::Failed), S::Failed).tap(|history| history.node(NODE).hits = Some(0)),
        ),
        (
            I::C4,
            "it ran, and failed where it may only be cut off",
            real(1, 1, over(Outcome::Failed), S::Failed).tap(|history| {
                history.command(ORDER).excused = Some(BTreeSet::from([S::Succeeded, S::Interrupted]));
            }),
        ),
        (I::C6, "its journal is lost", succeeded().tap(|history| history.node(NODE).kept.as_mut().unwrap().is_lost = true)),
        (I::C7, "it ran although it was refused", real(1, 1, Some(Kept::Refused(RejectReason::Busy)), S::AccessDenied)),
        (I::C11, "a word that its journal does not know", real(0, 0, None, S::AccessDenied)),
        (
            I::C12,
            "it ran and is no command",
            succeeded().tap(|history| {
                history.commands.clear();
                history.acknowledged.clear();
            }),
        ),
        (I::T4, "the bridge shows it as running for ever", real(1, 1, over(Outcome::Succeeded), S::Running)),
        (I::T1, "taken and forgotten", succeeded().tap(|history| history.acknowledged.insert("another".to_owned()))),
        (
            I::T4,
            "the outcome was lost",
            real(1, 1, over(Outcome::Succeeded), S::DeliveryTimedOut).tap(|history| {
                history.command(ORDER).excused = None;
                unsigned(history);
            }),
        ),
    ]
}

#[test]
fn a_real_node_that_keeps_the_promises_breaks_nothing() {
    assert_holds(&succeeded());
    assert_holds(&real(0, 0, Some(Kept::Over(Outcome::Failed)), InvocationState::Failed));
    assert_holds(&real(0, 0, Some(Kept::Refused(RejectReason::Busy)), InvocationState::AccessDenied));
    let interrupted = real(1, 0, Some(Kept::Over(Outcome::Interrupted)), InvocationState::Interrupted);
    assert_holds(&interrupted.tap(|history| {
        history.command(ORDER).excused = Some(BTreeSet::from([InvocationState::Interrupted]));
        history.node(NODE).hits = Some(1);
    }));
    let before_it_began = real(0, 0, Some(Kept::Over(Outcome::Failed)), InvocationState::Failed);
    assert_holds(&before_it_began.tap(|history| {
        history.command(ORDER).excused = Some(BTreeSet::from([InvocationState::Succeeded, InvocationState::Interrupted]));
        history.node(NODE).hits = Some(1);
    }));
    // A journal lets go of what has expired; what is not over yet may come to its end.
    assert_holds(&real(1, 1, None, InvocationState::Succeeded).tap(|history| history.node(NODE).kept.as_mut().unwrap().floor_ms = 1_000));
    assert_holds(&real(1, 1, Some(Kept::Open), InvocationState::Running).tap(|history| history.settled = false));
    assert_holds(&History { acknowledged: BTreeSet::new(), ..History::default() });
}
