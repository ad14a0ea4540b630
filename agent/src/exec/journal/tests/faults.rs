//! A cut, or an error, at every call to the disk: of appends, of checkpoints, of a start and of a recovery from damage.

use std::io;

use super::simulated::Fault;
use super::*;
use crate::exec::journal::SLOTS;

/// Draws of what a cut leaves, for each call.
const SEEDS: u64 = 20;

/// What a history has promised: these records, in this order, are durable; those after may or may not be.
#[derive(Debug, Default)]
struct Promised {
    durable: Vec<Record>,
    maybe: Vec<Record>,
    floor_ms: u64,
}

impl Promised {
    fn check(&self, opened: &Opened, what: &str) {
        assert_eq!(opened.loss, None, "{what}");
        assert!(opened.records.starts_with(&self.durable), "{what}: {:?} is not there in {:?}", self.durable, opened.records);
        let rest = &opened.records[self.durable.len()..];
        assert!(self.maybe.starts_with(rest), "{what}: {rest:?} was never written after {:?}", self.durable);
        assert!(opened.floor.time_ms >= self.floor_ms, "{what}: the floor went back");
    }
}

/// Appends, syncs and checkpoints until a call fails. The snapshot holds everything so far, as the core's does.
fn history(journal: &mut Journal, promised: &mut Promised) -> Result<(), JournalError> {
    let mut all = promised.durable.clone();
    for round in 0..4_u8 {
        for number in 0..3 {
            let record = record(100 + round * 3 + number);
            all.push(record.clone());
            promised.maybe.push(record.clone());
            journal.append(&record)?;
            if number != 1 {
                journal.sync_if_needed()?;
                (promised.durable, promised.maybe) = (all.clone(), Vec::new());
            }
        }
        let floor_ms = 10 + u64::from(round);
        journal.raise_floor(&floor(floor_ms))?;
        promised.floor_ms = floor_ms;
        journal.checkpoint(&all, &floor(floor_ms))?;
        (promised.durable, promised.maybe) = (all.clone(), Vec::new());
    }
    Ok(())
}

fn begun() -> (Simulated, Promised) {
    let (disk, journal) = written(3, 0);
    drop(journal);
    (disk, Promised { durable: records(0..3), maybe: Vec::new(), floor_ms: 1 })
}

/// A start, and the history after it.
fn run(disk: &Simulated, promised: &mut Promised) -> Result<(), JournalError> {
    let Opened { mut journal, records, floor, loss } = open(disk)?;
    assert_eq!((loss, &records), (None, &promised.durable));
    journal.checkpoint(&records, &floor)?;
    history(&mut journal, promised)
}

#[test]
fn a_cut_at_any_call_leaves_what_was_promised() {
    let (disk, mut promised) = begun();
    disk.set(Fault::None);
    run(&disk, &mut promised).unwrap();
    let calls = disk.calls();
    let mut trials = 0;
    for call in 1..=calls {
        for seed in 0..SEEDS {
            let (disk, mut promised) = begun();
            disk.set(Fault::Cut { call, seed });
            // Only a seal may fail without an error: nothing waits for it.
            drop(run(&disk, &mut promised));
            disk.restart(seed);
            let opened = open(&disk).unwrap();
            promised.check(&opened, &format!("cut at call {call} of {calls}, seed {seed}"));
            // And the journal goes on from there.
            let mut promised = Promised { durable: opened.records.clone(), maybe: Vec::new(), floor_ms: opened.floor.time_ms };
            drop(opened);
            run(&disk, &mut promised).unwrap();
            promised.check(&open(&disk).unwrap(), "after the cut");
            trials += 1;
        }
    }
    println!("cut at every one of {calls} calls: {trials} trials, lost 0");
    assert!(trials > 1000, "{trials}");
}

#[test]
fn an_error_at_any_call_stops_the_slot_and_a_checkpoint_mends_it() {
    let (disk, mut promised) = begun();
    disk.set(Fault::None);
    run(&disk, &mut promised).unwrap();
    let calls = disk.calls();
    let mut trials = 0;
    for call in 1..=calls {
        for (calls, error) in [(1, io::ErrorKind::StorageFull), (3, io::ErrorKind::Other), (7, io::ErrorKind::ReadOnlyFilesystem)] {
            for seed in 0..4 {
                let (disk, mut promised) = begun();
                let mut journal = open(&disk).unwrap().journal;
                let fault = Fault::Fail { call, calls, error };
                disk.set(fault);
                let mut failed =
                    journal.checkpoint(&promised.durable, &floor(1)).and_then(|()| history(&mut journal, &mut promised)).is_err();
                // What the core would know: everything, durable or not. It is tried until it succeeds, as the shell does.
                let all = [promised.durable.clone(), promised.maybe.clone()].concat();
                let mut tries = 0;
                while failed {
                    assert!(journal.append(&record(1)).is_err() || journal.sync().is_ok(), "a journal that failed promises something");
                    failed = journal.checkpoint(&all, &floor(20)).is_err();
                    tries += 1;
                    assert!(tries < 20, "{fault:?}");
                    if failed && seed % 2 == 0 {
                        // A cut in the middle of the trouble.
                        disk.restart(seed);
                        promised.check(&open(&disk).unwrap(), &format!("{fault:?} and a cut"));
                        break;
                    }
                }
                if !failed && tries > 0 {
                    journal.append(&record(250)).unwrap();
                    journal.sync().unwrap();
                    drop(journal);
                    disk.restart(seed);
                    let after = Promised { durable: [all, records([250])].concat(), maybe: Vec::new(), floor_ms: 20 };
                    after.check(&open(&disk).unwrap(), &format!("{fault:?} mended"));
                }
                trials += 1;
            }
        }
    }
    println!("an error at every one of {calls} calls: {trials} trials, lost 0");
}

#[test]
fn a_cut_while_a_lost_journal_is_moved_aside_never_brings_it_back() {
    let mut trials = 0;
    for call in 1..40 {
        for seed in 0..SEEDS {
            let (disk, journal) = written(3, 3);
            drop(journal);
            let mut damaged = disk.content(SLOTS[0]);
            damaged[100] ^= 1;
            disk.replace(SLOTS[0], Some(damaged));
            let Opened { mut journal, floor, loss, .. } = open(&disk).unwrap();
            assert!(loss.is_some());
            disk.set(Fault::Cut { call, seed });
            let done = journal.checkpoint(&records(50..52), &floor);
            drop(journal);
            disk.restart(seed);
            let opened = open(&disk).unwrap();
            let is_new = opened.loss.is_none() && opened.records == records(50..52);
            assert!(is_new || (done.is_err() && opened.loss.is_some() && opened.records.is_empty()), "call {call} seed {seed}: {opened:?}");
            assert_eq!(opened.floor.time_ms, 1);
            trials += 1;
        }
    }
    println!("cut while a journal is moved aside: {trials} trials, brought back 0");
}

#[test]
fn a_cut_in_the_first_start_is_a_first_start_or_a_loss_and_never_a_journal_with_less() {
    for call in 1..20 {
        for seed in 0..SEEDS {
            let disk = Simulated::default();
            disk.set(Fault::Cut { call, seed });
            let done = open(&disk).unwrap().journal.checkpoint(&records(0..2), &floor(1));
            disk.restart(seed);
            let opened = open(&disk).unwrap();
            assert!(opened.records == records(0..2) || (done.is_err() && opened.records.is_empty()), "call {call} seed {seed}");
        }
    }
}
