//! What an older copy of the database explains, and what it does not.

use super::{NODE, ORDER, OTHER, changed, life, output, shown, with};
use crate::invariants::{History, Invariant, Note, Seen, assert_holds, check};
use flotilla_broker_bridge::capability::run_command::model::InvocationState;
use flotilla_protocol::report::Stream;

#[test]
fn after_a_restore_what_was_forgotten_is_no_mistake_and_a_lie_still_is() {
    let unlearnt = || shown(InvocationState::DeliveryTimedOut, false);
    let mut forgotten = unlearnt();
    forgotten.restored = true;
    assert_eq!(check(&forgotten)[0].invariant, Invariant::T4, "the node still held it");
    forgotten.node(NODE).handed_in.insert(ORDER.to_owned());
    assert_holds(&forgotten);
    let mut behind = changed(|history| history.node(NODE).bridge_head = 0);
    behind.restored = true;
    assert_eq!(check(&behind)[0].invariant, Invariant::T1, "a hello would have told it");
    behind.settled = false;
    assert_holds(&behind);
    let mut lie = shown(InvocationState::Failed, true);
    lie.restored = true;
    assert_eq!(check(&lie)[0].invariant, Invariant::C3);
}

/// A history in which an older copy took the database's place, and what was read from it later.
fn restored(state: InvocationState, signed: bool) -> History {
    let mut history = with(&life());
    history.node(NODE).handed_in.insert(ORDER.to_owned());
    history.restore();
    let read = shown(state, signed);
    let row = read.commands[ORDER].invocations[NODE].now;
    history.command(ORDER).counts = read.commands[ORDER].counts;
    history.command(ORDER).invocations.get_mut(NODE).unwrap().now = row;
    history
}

#[test]
fn a_restore_takes_back_a_signed_end_and_never_changes_it() {
    assert_holds(&restored(InvocationState::Succeeded, true));
    assert_holds(&restored(InvocationState::DeliveryTimedOut, false));
    assert_eq!(check(&restored(InvocationState::Failed, true))[0].invariant, Invariant::C3, "another end");
    // Where nothing of the node is known it is the database's own earlier word that counts.
    let mut of_stranger = restored(InvocationState::Failed, true);
    of_stranger.nodes.clear();
    assert_eq!(check(&of_stranger)[0].invariant, Invariant::C3);
    // What was seen after the restore stays for ever, as what is seen without any does.
    let mut later = restored(InvocationState::DeliveryTimedOut, false);
    let row = later.command(ORDER).invocations.get_mut(NODE).unwrap();
    row.before.push(Seen { state: InvocationState::Succeeded, signed: true });
    assert_eq!(check(&later)[0].invariant, Invariant::C3);
}

#[test]
fn of_two_devices_the_other_may_be_heard_after_a_restore_and_not_without_one() {
    let copied = |mut history: History| {
        history.nodes.clear();
        history.copied.insert(NODE.to_owned());
        history
    };
    assert_holds(&copied(restored(InvocationState::Failed, true)));
    let mut later = copied(restored(InvocationState::Failed, true));
    let row = later.command(ORDER).invocations.get_mut(NODE).unwrap();
    row.before.push(Seen { state: InvocationState::Succeeded, signed: true });
    assert_eq!(check(&later)[0].invariant, Invariant::C3, "what was seen since the restore stays");
}

#[test]
fn a_restore_explains_as_many_busy_nodes_as_had_begun() {
    let busy = |most| {
        let mut history = restored(InvocationState::Succeeded, true);
        history.command(ORDER).most_in_flight = most;
        history
    };
    // One may be, and one was sent it before.
    assert_holds(&busy(2));
    assert_eq!(check(&busy(3))[0].invariant, Invariant::C12);
}

#[test]
fn a_restore_explains_gaps_of_as_many_reports_as_the_bridge_had() {
    let gap = |node: &str, stream, count| Note { node: node.to_owned(), kind: "gap".to_owned(), missing: Some((stream, count)) };
    // Three of control were there.
    let with_gaps = |notes: &[Note]| {
        let mut history = restored(InvocationState::Succeeded, true);
        history.notes = notes.to_vec();
        history
    };
    assert_holds(&with_gaps(&[gap(NODE, Stream::Control, 3)]));
    assert_holds(&with_gaps(&[gap(NODE, Stream::Control, 1), gap(NODE, Stream::Control, 2)]));
    for (notes, why) in [
        ([gap(NODE, Stream::Control, 3), gap(NODE, Stream::Control, 1)].as_slice(), "more than there were"),
        (&[gap(OTHER, Stream::Control, 1)], "that node had reported nothing"),
        (&[gap(NODE, Stream::Telemetry, 1)], "that chain had no receipt"),
    ] {
        assert_eq!(check(&with_gaps(notes))[0].invariant, Invariant::T3, "{why}");
    }
    let mut of_telemetry = with_gaps(&[gap(NODE, Stream::Telemetry, 1)]);
    of_telemetry.node(NODE).set_back.insert(Stream::Telemetry, 1);
    assert_holds(&of_telemetry);
}

#[test]
fn a_restore_explains_that_output_is_gone_which_was_whole_before() {
    let with_output = |before: u64| {
        let mut history = output(&[(0, before)], None, Some(20));
        history.restore();
        let command = history.command(ORDER);
        command.invocations.get_mut(NODE).unwrap().now = Seen { state: InvocationState::Succeeded, signed: true };
        command.output.iter_mut().for_each(|rows| rows.pieces = vec![(0, 5)]);
        history
    };
    assert_holds(&with_output(20));
    assert_eq!(check(&with_output(10))[0].invariant, Invariant::C10, "the node still had it");
}
