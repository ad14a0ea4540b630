//! F4: power cuts under the journal. What was appended and synchronised is there afterwards, in its order, and nothing else but what was
//! appended after it; a compaction that was cut has happened wholly or not at all.
#![cfg(test)]

use flotilla_agent::exec::journal::{Journal, Opened};
use flotilla_agent_core::{Floor, Record};
use flotilla_protocol::id::OrderId;
use flotilla_tests::disk::Disk;
use flotilla_tests::random::Random;
use flotilla_tests::tally::{Broken, Kind, Tally, skipped, trials};
use flotilla_tests::{clock, wait};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The cut comes after so many acknowledgements at most, none included: then it falls into the opening of the journal.
const MOST_ACKNOWLEDGEMENTS: u64 = 12;
/// After the last of them it comes within this, in microseconds.
const LATEST_CUT_US: u64 = 4_000;
/// A disk that is slower than this is cut all the same.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most bytes that a record is filled with, now and then.
const LARGE: u64 = 20_000;
/// A snapshot keeps at most so many of the last records.
const KEPT: usize = 20;
/// Of a journal that is wrong so many records are shown.
const SHOWN: usize = 5;

fn folder(disk: &Disk) -> PathBuf {
    disk.path().join("journal")
}

/// A record that says its own number, and holds bytes that follow from it.
fn record(number: u64, bytes: u64) -> Record {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    let fill = u8::try_from(number % 251).unwrap();
    Record::Refused { order: OrderId(id), not_after_ms: bytes, report: vec![fill; usize::try_from(bytes).unwrap()] }
}

/// The number of a record of ours, whole; none for what the journal adds itself.
fn number(found: &Record) -> Option<u64> {
    let Record::Refused { order, not_after_ms, .. } = found else { return None };
    let number = u64::from_be_bytes(order.0[..8].try_into().unwrap());
    assert_eq!(*found, record(number, *not_after_ms), "a record came back changed");
    Some(number)
}

/// What the journal may hold after a cut.
#[derive(Debug, Clone, Default)]
struct Model {
    /// What was appended to the file, from its snapshot on.
    appended: Vec<(u64, u64)>,
    /// How many of these are acknowledged as durable.
    acknowledged: usize,
    /// A compaction that was begun and has not returned.
    compacting: Option<Vec<(u64, u64)>>,
    next: u64,
    /// The floor's time that is acknowledged as durable, and the one that was tried last.
    floor_ms: u64,
    floor_tried_ms: u64,
}

impl Model {
    fn allows(&self, found: &[u64]) -> bool {
        let numbers = |list: &[(u64, u64)]| list.iter().map(|(number, _)| *number).collect::<Vec<_>>();
        let appended = numbers(&self.appended);
        let is_old = found.len() >= self.acknowledged && appended.starts_with(found);
        is_old || self.compacting.as_deref().is_some_and(|snapshot| numbers(snapshot) == found)
    }
}

/// Writes until the disk refuses, or has no power when it says that something is done.
fn write(disk: &Disk, model: &mut Model, random: &mut Random, acknowledged: &AtomicU64) {
    let Ok(Opened { mut journal, records, mut floor, .. }) = Journal::open(&folder(disk)) else { return };
    // What was read stays until it stands in a slot that this process has written; both hold the same.
    model.compacting = Some(model.appended.clone());
    if journal.checkpoint(&records, &floor).is_err() || !disk.has_power() {
        return;
    }
    *model = Model { acknowledged: model.appended.len(), compacting: None, ..model.clone() };
    loop {
        let bytes = if random.below(8) == 0 { random.below(LARGE) } else { random.below(300) };
        let fits = journal.fits(&record(model.next, bytes));
        if fits && journal.append(&record(model.next, bytes)).is_err() {
            // It may be there in part or, had the disk taken it in secret, whole.
            return model.appended.push((model.next, bytes));
        }
        if fits {
            model.appended.push((model.next, bytes));
            model.next += 1;
        }
        if random.below(3) > 0 {
            if journal.sync().is_err() || !disk.has_power() {
                return;
            }
            model.acknowledged = model.appended.len();
            acknowledged.fetch_add(1, Ordering::SeqCst);
        }
        if random.below(10) == 0 {
            floor.time_ms += 1 + random.below(1000);
            model.floor_tried_ms = floor.time_ms;
            if journal.raise_floor(&floor).is_err() || !disk.has_power() {
                return;
            }
            model.floor_ms = floor.time_ms;
        }
        if !fits || random.below(25) == 0 {
            let snapshot = model.appended[model.appended.len().saturating_sub(KEPT)..].to_vec();
            let records: Vec<Record> = snapshot.iter().map(|(number, bytes)| record(*number, *bytes)).collect();
            model.compacting = Some(snapshot.clone());
            if journal.checkpoint(&records, &floor).is_err() || !disk.has_power() {
                return;
            }
            *model = Model { acknowledged: snapshot.len(), appended: snapshot, compacting: None, ..model.clone() };
        }
    }
}

/// Opens the journal after a cut and compares; the model goes on from what is there.
fn check(folder: &Path, model: &mut Model) -> Vec<Broken> {
    let lost = |why: String| vec![Broken::new(Kind::Lost, why)];
    let (records, floor): (Vec<Record>, Floor) = match Journal::open(folder) {
        Ok(Opened { records, floor, loss: None, .. }) => (records, floor),
        Ok(Opened { loss: Some(cause), .. }) => return lost(format!("the journal is taken for lost: {cause:?}")),
        Err(error) => return lost(format!("the journal cannot be opened: {error}")),
    };
    let (least_ms, most_ms) = (model.floor_ms, model.floor_tried_ms.max(model.floor_ms));
    if !(least_ms..=most_ms).contains(&floor.time_ms) {
        return lost(format!("the floor is {}; {least_ms} is durable and {most_ms} was tried", floor.time_ms));
    }
    let found: Vec<u64> = records.iter().filter_map(number).collect();
    let broken = if model.allows(&found) {
        Vec::new()
    } else {
        let Model { appended, acknowledged, .. } = &model;
        let last: Vec<&u64> = found.iter().rev().take(SHOWN).collect();
        lost(format!(
            "{} records are there, of {} appended and {acknowledged} acknowledged; the last: {last:?}",
            found.len(),
            appended.len()
        ))
    };
    let appended: Vec<(u64, u64)> = records
        .iter()
        .filter_map(|record| match record {
            Record::Refused { not_after_ms, .. } => Some((number(record)?, *not_after_ms)),
            _ => None,
        })
        .collect();
    // What was read after the disk came back is on it.
    let (acknowledged, next) = (appended.len(), model.next + 1);
    *model = Model { acknowledged, appended, compacting: None, next, floor_ms: floor.time_ms, floor_tried_ms: floor.time_ms };
    broken
}

#[test]
fn f4_power_cuts_under_the_journal() {
    let mut disk = match Disk::new(24) {
        Ok(disk) => disk,
        Err(why) => return skipped("F4", &why),
    };
    let mut random = Random::seeded("F4");
    let mut tally = Tally::new("F4", &random, Duration::from_secs(260));
    std::fs::create_dir(folder(&disk)).unwrap();
    std::fs::File::open(disk.path()).unwrap().sync_all().unwrap();
    let (mut model, mut with_acknowledged) = (Model::default(), 0);
    while tally.count() < trials(500, 10_000) {
        let (wanted, moment) = (random.below(MOST_ACKNOWLEDGEMENTS + 1), Duration::from_micros(random.below(LATEST_CUT_US)));
        tally.begin(format!("a cut {moment:?} after acknowledgement {wanted}"));
        let acknowledged = AtomicU64::new(0);
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| write(&disk, &mut model, &mut random, &acknowledged));
            let deadline = clock::now() + PATIENCE;
            while acknowledged.load(Ordering::SeqCst) < wanted && clock::now() < deadline {
                std::thread::yield_now();
            }
            wait::let_pass(moment);
            disk.cut();
            writer.join().unwrap();
        });
        with_acknowledged += u64::from(acknowledged.into_inner() > 0);
        disk.restore();
        tally.trial(check(&folder(&disk), &mut model));
    }
    assert!(with_acknowledged * 2 > tally.count(), "in most trials something must be acknowledged before the cut: {with_acknowledged}");
    tally.finish();
}

#[test]
fn the_model_sees_what_is_lost_and_what_is_invented() {
    let model =
        Model { appended: vec![(1, 0), (2, 0), (3, 0)], acknowledged: 2, compacting: Some(vec![(2, 0)]), next: 4, ..Model::default() };
    assert!(model.allows(&[1, 2]) && model.allows(&[1, 2, 3]) && model.allows(&[2]));
    for wrong in [&[][..], &[1], &[1, 3], &[1, 2, 3, 4], &[2, 1], &[2, 3]] {
        assert!(!model.allows(wrong), "{wrong:?}");
    }
}
