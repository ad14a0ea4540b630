//! For every invariant a history that breaks just that one, and a clean one that breaks none.

use super::{
    Ask, CommandHistory, Entry, Fact, History, Invariant, InvocationRow, Knowledge, Note, OutputRows, Seen, Violation, assert_holds, check,
    database,
};
use crate::effects::Effect;
use flotilla_broker_bridge::capability::run_command::model::{Counts, InvocationState};
use flotilla_protocol::report::Stream;
use flotilla_protocol::status::Outcome;
use std::collections::{BTreeMap, BTreeSet};

mod real;
mod restored;

const NODE: &str = "mi-1";
const OTHER: &str = "mi-2";
const ORDER: &str = "order";
const STARTED: Fact = Fact::Started { trusted_ms: Some(500) };

/// The life of a command on one node as it should be.
fn life() -> Vec<Fact> {
    vec![
        Fact::Delivered { genuine: true },
        Fact::Accepted,
        Fact::SaidAccepted,
        Fact::Starting,
        STARTED,
        Fact::SaidStarted,
        Fact::JobOver,
        Fact::Ended(Outcome::Succeeded),
        Fact::SaidEnded(Outcome::Succeeded),
    ]
}

fn with(facts: &[Fact]) -> History {
    let mut history = History { settled: true, ..History::default() };
    let counts = Counts { succeeded: 1, ..Counts::default() };
    let command = CommandHistory {
        targets: BTreeSet::from([NODE.to_owned()]),
        not_after_ms: 1_000,
        time_out_ms: Some(5_000),
        concurrency: 1,
        most_in_flight: 1,
        counts: Some(counts),
        invocations: BTreeMap::from([(NODE.to_owned(), InvocationRow::new(InvocationState::Succeeded, true))]),
        ..CommandHistory::default()
    };
    history.commands.insert(ORDER.to_owned(), command);
    let node = history.node(NODE);
    node.knowledge = Knowledge::WHOLE;
    (node.receipted_up_to, node.bridge_head) = (3, 3);
    for (at_ms, fact) in (1..).zip(facts) {
        node.add(at_ms, ORDER, *fact);
    }
    history.node(OTHER).knowledge = Knowledge::WHOLE;
    history
}

/// The clean life with a state of the bridge.
fn shown(state: InvocationState, signed: bool) -> History {
    let mut history = with(&life());
    let command = history.command(ORDER);
    command.invocations.insert(NODE.to_owned(), InvocationRow::new(state, signed));
    let mut counts = Counts::default();
    *counts.of_state(state) += 1;
    command.counts = Some(counts);
    history
}

fn changed(change: impl Fn(&mut History)) -> History {
    let mut history = with(&life());
    change(&mut history);
    history
}

fn facts(change: impl Fn(&mut Vec<Fact>)) -> History {
    let mut facts = life();
    change(&mut facts);
    with(&facts)
}

/// An order that never ran: this happened on the node, and the bridge has this.
fn never_ran(facts: &[Fact], state: InvocationState) -> History {
    let mut history = with(facts);
    let command = history.command(ORDER);
    command.invocations.insert(NODE.to_owned(), InvocationRow::new(state, true));
    let mut counts = Counts::default();
    *counts.of_state(state) += 1;
    command.counts = Some(counts);
    history
}

fn late_cancel() -> History {
    let mut history = facts(|facts| facts.insert(5, Fact::CancelTaken));
    history.node(NODE).entries.iter_mut().skip(6).for_each(|entry| entry.at_ms += 20_000);
    history.command(ORDER).time_out_ms = None;
    history
}

fn lanes() -> History {
    let mut history = with(&life());
    let mut second = history.commands[ORDER].clone();
    second.lane = Some((1, 1));
    history.command(ORDER).lane = Some((1, 2));
    history.commands.insert("second".to_owned(), second);
    let node = history.node(NODE);
    for (at_ms, fact) in (20..).zip(life()) {
        node.add(at_ms, "second", fact);
    }
    history
}

fn output(pieces: &[(u64, u64)], is_right: Option<bool>, wanted: Option<u64>) -> History {
    changed(|history| {
        let rows = OutputRows { node: NODE.to_owned(), pieces: pieces.to_vec(), is_right, wanted, ..OutputRows::default() };
        history.command(ORDER).output.push(rows);
    })
}

/// The life of a command whose second step asks for a reboot, on a device that was told twice.
fn rebooting() -> Vec<Fact> {
    let mut facts = life();
    let again = vec![
        Fact::StepStarted(0),
        Fact::StepStarted(1),
        Fact::JobOver,
        Fact::RebootAsked(Ask { boot: 1, step: 1, first: 1, count: 1 }),
        Fact::ToldToReboot { boot: 1 },
        Fact::ToldToReboot { boot: 1 },
        Fact::Starting,
        Fact::Resumed { boot: 2, first: 1, count: 1 },
        Fact::SaidStarted,
        Fact::StepStarted(1),
        Fact::StepStarted(2),
    ];
    drop(facts.splice(6..6, again));
    facts
}

/// The same, changed in one place.
fn rebooted(change: impl Fn(&mut Vec<Fact>)) -> History {
    let mut facts = rebooting();
    change(&mut facts);
    with(&facts)
}

/// A life with an audit log that has so many starts.
fn audited(facts: &[Fact], starts: usize) -> History {
    with(facts).tap(|history| {
        history.has_audit = true;
        history.command(ORDER).audited_starts.insert(NODE.to_owned(), starts);
    })
}

/// Every case: what must be named, what was broken, and the history.
fn broken() -> Vec<(Invariant, &'static str, History)> {
    use Invariant as I;
    use InvocationState as S;
    let said = Fact::SaidEnded(Outcome::Failed);
    vec![
        (I::C1, "no Starting record", {
            let mut facts = life();
            facts.retain(|fact| !matches!(fact, Fact::Starting | Fact::SaidStarted));
            with(&facts)
        }),
        (I::C1, "Starting said before it was durable", facts(|facts| facts.swap(3, 5)).tap(|history| history.node(NODE).entries.remove(4))),
        (I::C2, "two starts", facts(|facts| facts.insert(5, STARTED))),
        (I::C3, "two outcomes are durable", facts(|facts| facts.insert(8, Fact::Ended(Outcome::Failed)))),
        (I::C3, "two outcomes are said", facts(|facts| facts.push(said))),
        (I::C3, "no outcome", facts(|facts| facts.truncate(7)).tap(|history| history.command(ORDER).invocations.clear())),
        (I::C3, "the bridge has another", shown(S::Failed, true)),
        (
            I::C3,
            "the signed end changed",
            changed(|history| {
                let row = history.command(ORDER).invocations.get_mut(NODE).unwrap();
                row.before.push(Seen { state: S::Cancelled, signed: true });
            }),
        ),
        (I::C4, "cut off and called a success", facts(|facts| facts[6] = Fact::CutOff)),
        (
            I::C4,
            "still running and called a success",
            facts(|facts| facts.swap(6, 8)).tap(|history| {
                history.node(NODE).entries.retain(|entry| !matches!(entry.fact, Fact::SaidEnded(_)));
            }),
        ),
        (I::C5, "started after it expired", facts(|facts| facts[4] = Fact::Started { trusted_ms: Some(1_000) })),
        (I::C6, "accepted twice", facts(|facts| facts.insert(3, Fact::Accepted))),
        (I::C6, "said before it was durable", facts(|facts| facts.swap(1, 2))),
        (I::C7, "a rejected message had an effect", facts(|facts| facts.push(Fact::Dropped { effects: 1 }))),
        (I::C8, "started after a cancel", facts(|facts| facts.insert(3, Fact::CancelTaken))),
        (I::C8, "ran on after a cancel", late_cancel()),
        (
            I::C9,
            "ran on after its time-out",
            facts(|_| {}).tap(|history| {
                history.node(NODE).entries.iter_mut().skip(6).for_each(|entry| entry.at_ms += 16_000);
            }),
        ),
        (I::C10, "a hole", output(&[(0, 10), (20, 30)], None, None)),
        (I::C10, "no beginning", output(&[(10, 20)], None, None)),
        (I::C10, "other bytes", output(&[(0, 10)], Some(false), None)),
        (I::C10, "not whole", output(&[(0, 10)], Some(true), Some(20))),
        (I::C10, "too much", output(&[(0, 2_000_000)], None, None)),
        (I::C11, "running without a word", {
            let mut history = shown(S::Running, false);
            history.settled = false;
            history
        }),
        (I::C11, "a signed end of a node that said nothing", never_ran(&[Fact::Delivered { genuine: true }], S::Cancelled)),
        (I::C12, "a target without an invocation", with(&life()).tap(|history| history.command(ORDER).targets.insert(OTHER.to_owned()))),
        (
            I::C12,
            "an invocation without a target",
            changed(|history| history.command(ORDER).targets.clear()).tap(|history| history.nodes.clear()),
        ),
        (
            I::C12,
            "open for ever",
            never_ran(&[Fact::Delivered { genuine: true }], S::Sent)
                .tap(|history| history.command(ORDER).invocations.get_mut(NODE).unwrap().now.signed = false),
        ),
        (I::C12, "wrong counts", changed(|history| history.command(ORDER).counts = Some(Counts::default()))),
        (I::C12, "too many at once", changed(|history| history.command(ORDER).most_in_flight = 2)),
        (
            I::C12,
            "a stranger took it",
            changed(|history| {
                let other = history.node(OTHER);
                [Fact::Delivered { genuine: true }, Fact::Accepted, Fact::Ended(Outcome::Expired)]
                    .into_iter()
                    .for_each(|fact| other.add(1, ORDER, fact));
            }),
        ),
        (I::C13, "a lane backwards", lanes()),
        (I::C14, "taken although retained", facts(|facts| facts[0] = Fact::Delivered { genuine: false })),
        (I::C1, "it went on without a record", rebooted(|facts| facts.drain(12..13).for_each(drop))),
        (I::C2, "a step ran twice", facts(|facts| facts.splice(5..5, [Fact::StepStarted(0), Fact::StepStarted(0)]).for_each(drop))),
        (I::C2, "a step that did not ask ran twice", rebooted(|facts| facts.insert(15, Fact::StepStarted(0)))),
        (I::C2, "it went on twice", rebooted(|facts| facts.insert(14, Fact::Resumed { boot: 2, first: 1, count: 1 }))),
        (
            I::C3,
            "it went on after its end",
            rebooted(|facts| facts.insert(12, Fact::Ended(Outcome::Succeeded)))
                .tap(|history| history.node(NODE).entries.retain(|entry| entry.fact != Fact::ToldToReboot { boot: 1 }))
                .tap(|history| history.node(NODE).entries.pop())
                .tap(|history| history.node(NODE).entries.pop()),
        ),
        (
            I::C4,
            "it went on after it was cut off",
            rebooted(|facts| facts[8] = Fact::CutOff)
                .tap(|history| {
                    history.node(NODE).entries.iter_mut().rev().take(2).for_each(|entry| {
                        entry.fact = match entry.fact {
                            Fact::Ended(_) => Fact::Ended(Outcome::Interrupted),
                            _ => Fact::SaidEnded(Outcome::Interrupted),
                        };
                    })
                })
                .tap(|history| history.command(ORDER).invocations.insert(NODE.to_owned(), InvocationRow::new(S::Interrupted, true))),
        ),
        (I::C8, "it went on after a cancel", rebooted(|facts| facts.insert(12, Fact::CancelTaken))),
        (I::R1, "told without a record", rebooted(|facts| facts.swap(9, 10))),
        (
            I::R1,
            "gone on without a record",
            facts(|facts| facts.splice(7..7, [Fact::Resumed { boot: 2, first: 1, count: 1 }, Fact::JobOver]).for_each(drop)),
        ),
        (I::R2, "gone on in the same boot", rebooted(|facts| facts[13] = Fact::Resumed { boot: 1, first: 1, count: 1 })),
        (I::R3, "gone on at another step", rebooted(|facts| facts[13] = Fact::Resumed { boot: 2, first: 2, count: 1 })),
        (
            I::R3,
            "run again without the reboot",
            rebooted(|facts| facts[12] = Fact::RebootGivenUp { step: 1, count: 1 })
                .tap(|history| history.node(NODE).entries.insert(13, Entry { at_ms: 13, order: ORDER.to_owned(), fact: Fact::Starting })),
        ),
        (I::R4, "told while a job ran", rebooted(|facts| facts.swap(8, 10)).tap(|history| history.node(NODE).entries.swap(8, 9))),
        (I::R5, "told once too often", rebooted(|facts| facts.insert(11, Fact::ToldToReboot { boot: 1 }))),
        (
            I::R5,
            "a reboot too many",
            rebooted(|facts| {
                facts[9] = Fact::RebootAsked(Ask { boot: 1, step: 1, first: 1, count: 6 });
                facts[13] = Fact::Resumed { boot: 2, first: 1, count: 6 };
            }),
        ),
        (I::A2, "a start that the audit log does not know", audited(&life(), 0)),
        (I::A2, "a start that the audit log has twice", audited(&life(), 2)),
        (I::A2, "it went on, and the audit log does not know it", audited(&rebooting(), 1)),
        (I::T1, "a receipt for what is not there", changed(|history| history.node(NODE).bridge_head = 2)),
        (I::T2, "a chunk twice", output(&[(0, 10), (5, 15)], None, None)),
        (
            I::T3,
            "a gap without a cause",
            changed(|history| {
                history.notes.push(Note { node: NODE.to_owned(), kind: "gap".to_owned(), missing: Some((Stream::Control, 1)) })
            }),
        ),
        (I::T4, "the outcome was lost", shown(S::DeliveryTimedOut, false)),
        (
            I::T5,
            "another's word",
            never_ran(&[Fact::Delivered { genuine: true }], S::Cancelled)
                .tap(|history| history.node(OTHER).add(1, ORDER, Fact::SaidRejected)),
        ),
        (I::T6, "poison that went nowhere", changed(|history| history.poison_sent = 1)),
    ]
}

trait Tap: Sized {
    fn tap<T>(self, change: impl FnOnce(&mut Self) -> T) -> Self;
}

impl Tap for History {
    fn tap<T>(mut self, change: impl FnOnce(&mut Self) -> T) -> Self {
        drop(change(&mut self));
        self
    }
}

#[test]
fn a_clean_history_breaks_nothing() {
    assert_holds(&with(&life()));
    assert_holds(&output(&[(0, 16_384), (16_384, 50_000)], Some(true), Some(50_000)));
    let in_the_result = |rows: &mut OutputRows| rows.head = 24_000;
    let both = output(&[(0, 16_384), (24_000, 50_000)], Some(true), Some(50_000));
    assert_holds(&both.tap(|history| history.command(ORDER).output.iter_mut().for_each(in_the_result)));
    let cancelled = [Fact::CancelTaken, Fact::Refused, Fact::SaidEnded(Outcome::Cancelled)];
    assert_holds(&never_ran(&cancelled, InvocationState::Cancelled));
    let refused = [Fact::Delivered { genuine: true }, Fact::Refused, Fact::SaidRejected, Fact::Dropped { effects: 0 }];
    assert_holds(&never_ran(&refused, InvocationState::AccessDenied));
    assert_holds(&audited(&life(), 1));
    assert_holds(&audited(&rebooting(), 2));
    // The device refuses and is told again; and an order that goes on without its reboot.
    assert_holds(&rebooted(|facts| facts.splice(11..11, [Fact::RebootRefused, Fact::ToldToReboot { boot: 1 }]).for_each(drop)));
    assert_holds(&rebooted(|facts| {
        facts[12] = Fact::RebootGivenUp { step: 1, count: 1 };
        facts[13] = Fact::Starting;
        facts[14] = Fact::Resumed { boot: 1, first: 2, count: 1 };
        facts.remove(15);
    }));
}

#[test]
fn every_broken_invariant_is_named_and_no_other() {
    for (invariant, what, history) in broken().into_iter().chain(real::broken()) {
        let found = check(&history);
        // A target without a row, or a row without a target, breaks the counts or the agreement with it: that is C12 as well.
        let named: BTreeSet<Invariant> =
            found.iter().map(|violation| violation.invariant).filter(|named| *named != Invariant::C12).collect();
        let all: BTreeSet<Invariant> = found.iter().map(|violation| violation.invariant).collect();
        let expected = BTreeSet::from([invariant]);
        assert!(all == expected || named == expected, "{what}: {found:#?}");
    }
}

#[test]
fn every_invariant_has_a_history_that_breaks_it() {
    let covered: BTreeSet<Invariant> = broken().into_iter().map(|(invariant, ..)| invariant).collect();
    assert_eq!(covered.into_iter().collect::<Vec<_>>(), Invariant::ALL);
}

#[test]
fn side_effects_of_real_commands_show_a_double_start() {
    let mut history = History::default();
    let effects = BTreeMap::from([
        ("c0".to_owned(), Effect { starts: vec![1_000_000], ends: vec![2_000_000] }),
        ("c1".to_owned(), Effect { starts: vec![1_000_000, 3_000_000], ends: vec![] }),
    ]);
    history.effects(NODE, &effects, |mark| Some(format!("order of {mark}")));
    let found = check(&history);
    let why = "it started a second time".to_owned();
    assert_eq!(found, [Violation { invariant: Invariant::C2, node: NODE.into(), order: "order of c1".into(), why }]);
}

#[test]
fn a_bridges_database_is_read() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fleet.db");
        let store = flotilla_broker_bridge::platform::store::Store::open(&path, flotilla_broker_bridge::schema::MIGRATIONS).await.unwrap();
        let mut write = store.write().await.unwrap();
        let sql = "INSERT INTO command (command_id, envelope, requester, document_name, document_version, steps, comment, parameters, \
             instance_ids, targets, requested_ms, expires_ms, timeout_seconds, max_concurrency, max_errors, limit_concurrency, limit_errors, \
             status, status_details, count_pending, count_sent, count_active, count_succeeded, count_failed, count_execution_timed_out, \
             count_cancelled, count_delivery_timed_out, count_refused, count_undeliverable, count_terminated) VALUES ('order', '', '', '', \
             '', '', 'note', '', '', '', 1, 2, 3, '', '', 4, 5, '', '', 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0); \
             INSERT INTO invocation (command_id, node_id, leaf_index, proof, requested_ms, state, signed, give_up_ms) \
             VALUES ('order', 'mi-1', 0, '', 1, 'succeeded', 1, 9); \
             INSERT INTO command_output VALUES ('order', 'mi-1', 0, 0, 0, 5, 'hello'); \
             INSERT INTO node_event VALUES ('e', 'mi-1', 1, 'fork', ''); INSERT INTO dead_letter VALUES ('l', 1, '', '', '');";
        sqlx::raw_sql(sql).execute(write.connection()).await.unwrap();
        write.commit().await.unwrap();
        let mut history = History::default();
        database::read_file(&path, &mut history).await.unwrap();
        database::trust_targets(&mut history);
        let command = &history.commands["order"];
        assert_eq!((command.not_after_ms, command.concurrency, command.comment.as_str()), (2, 4, "note"));
        assert_eq!(command.invocations["mi-1"].now, Seen { state: InvocationState::Succeeded, signed: true });
        assert_eq!((command.output[0].pieces.as_slice(), history.dead_letters), ([(0, 5)].as_slice(), 1));
        assert_eq!(check(&history).iter().map(|violation| violation.invariant).collect::<Vec<_>>(), [Invariant::T3]);
    });
}
