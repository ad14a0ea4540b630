//! The rules of the journal, one by one.

use super::*;
use crate::exec::journal::{SLOTS, floor::COPIES, frame};
use flotilla_protocol::report::LossCause;

fn reopened(disk: &Simulated) -> Vec<Record> {
    let opened = open(disk).unwrap();
    assert_eq!(opened.loss, None);
    opened.records
}

#[test]
fn records_come_back_in_their_order_and_after_a_checkpoint() {
    let (disk, mut journal) = written(2, 3);
    assert_eq!(reopened(&disk), records(0..5));
    journal.checkpoint(&records(7..9), &floor(2)).unwrap();
    journal.append(&record(9)).unwrap();
    assert_eq!(reopened(&disk), records(7..10));
    assert_eq!(open(&disk).unwrap().floor, floor(2));
}

#[test]
fn a_first_start_is_no_loss_and_a_journal_that_is_gone_is() {
    let opened = open(&Simulated::default()).unwrap();
    assert_eq!((opened.loss, opened.records, opened.floor), (None, Vec::new(), Floor::default()));
    let gone = |names: &[&str]| {
        let (disk, _) = written(2, 2);
        names.iter().for_each(|name| disk.replace(name, None));
        let opened = open(&disk).unwrap();
        assert!(opened.loss.is_none() || opened.records.is_empty());
        (opened.loss, opened.floor)
    };
    let missing = Some(LossCause::Missing);
    assert_eq!(gone(&[SLOTS[0]]), (missing, floor(1)));
    assert_eq!(gone(&[SLOTS[0], COPIES[0]]), (missing, floor(1)), "the second copy is enough");
    assert_eq!(gone(&[SLOTS[0], COPIES[1]]), (missing, floor(1)), "and so is the first");
    assert_eq!(gone(&COPIES), (missing, Floor::default()), "without the floor nobody knows whether a slot is the newest");
    assert_eq!(gone(&[COPIES[0]]), (None, floor(1)));
}

#[test]
fn an_older_copy_of_a_slot_is_not_taken_for_the_journal() {
    let (disk, mut journal) = written(2, 2);
    let old = disk.content(SLOTS[0]);
    journal.checkpoint(&records(0..5), &floor(2)).unwrap();
    journal.checkpoint(&records(0..6), &floor(3)).unwrap();
    drop(journal);
    let newer = disk.content(SLOTS[0]);
    disk.replace(SLOTS[0], Some(old.clone()));
    assert_eq!(open(&disk).unwrap().loss, Some(LossCause::Missing));
    // Frames of an older use in the place of newer ones, too.
    let mut mixed = newer;
    mixed[200..600].copy_from_slice(&old[200..600]);
    disk.replace(SLOTS[0], Some(mixed));
    assert_eq!(open(&disk).unwrap().loss, Some(LossCause::Damaged));
}

#[test]
fn two_frames_that_are_swapped_are_damage() {
    let (disk, journal) = written(6, 0);
    drop(journal);
    let mut bytes = disk.content(SLOTS[0]);
    let (first, second) = (48..48 + 96, 48 + 96..48 + 192);
    let (one, other) = (bytes[first.clone()].to_vec(), bytes[second.clone()].to_vec());
    assert_ne!(one, other);
    bytes[first].copy_from_slice(&other);
    bytes[second].copy_from_slice(&one);
    disk.replace(SLOTS[0], Some(bytes));
    assert_eq!(open(&disk).unwrap().loss, Some(LossCause::Damaged));
}

#[test]
fn a_lost_journal_is_moved_aside_a_few_times_and_the_next_one_goes_on() {
    let (disk, journal) = written(2, 2);
    drop(journal);
    let mut generations = Vec::new();
    for round in 0..5 {
        for slot in SLOTS {
            if disk.names().contains(&slot.to_owned()) {
                disk.replace(slot, Some(vec![round; 4096]));
            }
        }
        let Opened { mut journal, records: found, floor, loss } = open(&disk).unwrap();
        assert!(loss.is_some() && found.is_empty());
        assert_eq!(floor.time_ms, 1);
        journal.checkpoint(&records(0..1), &floor).unwrap();
        journal.append(&record(1)).unwrap();
        journal.sync().unwrap();
        generations.push(journal.generation);
        drop(journal);
        assert_eq!(reopened(&disk), records(0..2));
    }
    assert!(generations.is_sorted_by(|one, other| one < other), "{generations:?}");
    let aside = disk.names().into_iter().filter(|name| name.contains("damaged")).count();
    assert_eq!(aside, 2, "the last two losses of the one slot that was in use: {:?}", disk.names());
}

#[test]
fn what_was_moved_aside_makes_place_when_the_disk_is_full() {
    let (disk, journal) = written(2, 2);
    drop(journal);
    disk.replace(SLOTS[0], Some(vec![1; 4096]));
    disk.set_room(Some(4096 + 1024));
    let Opened { mut journal, floor, .. } = open(&disk).unwrap();
    journal.checkpoint(&records(0..1), &floor).unwrap();
    assert_eq!(reopened(&disk), records(0..1));
}

#[test]
fn a_slot_grows_and_shrinks_with_what_it_must_hold() {
    let (disk, mut journal) = written(2, 2);
    assert_eq!(journal.room_bytes(), 0, "the second slot is not there yet");
    assert!(!journal.reserve(1000).unwrap());
    let room = journal.room_bytes();
    assert!((3500..4096).contains(&room), "{room}");
    assert!(journal.reserve(5000).unwrap(), "the live slot is too short");
    journal.checkpoint(&records(0..4), &floor(1)).unwrap();
    assert!(!journal.reserve(5000).unwrap());
    assert!(journal.room_bytes() > 10_000);
    assert!(journal.reserve(100).is_ok_and(|wants| !wants), "not at once: a quarter would not do");
    assert!(journal.reserve(1000).is_ok());
    disk.set_room(Some(40_000));
    let error = journal.reserve(30_000).unwrap_err();
    assert!(error.is_full(), "{error}");
    journal.append(&record(4)).unwrap();
    journal.sync().unwrap();
    assert_eq!(reopened(&disk), records(0..5), "what was there before is still good");
}

#[test]
fn a_commit_is_one_write_one_sync_and_a_seal() {
    let (disk, mut journal) = written(2, 2);
    disk.set(simulated::Fault::None);
    journal.append(&record(4)).unwrap();
    journal.sync_if_needed().unwrap();
    journal.sync_if_needed().unwrap();
    assert_eq!(disk.calls(), 3, "write, sync, and the seal that nothing waits for");
    journal.append(&Record::Receipted { up_to: 1 }).unwrap();
    journal.sync_if_needed().unwrap();
    assert_eq!(disk.calls(), 4, "nothing waits for a lazy record");
}

#[test]
fn a_sync_that_failed_is_not_believed_when_the_next_one_succeeds() {
    let (disk, mut journal) = written(2, 2);
    journal.append(&record(4)).unwrap();
    disk.set(simulated::Fault::Fail { call: 1, calls: 1, error: std::io::ErrorKind::Other });
    assert!(journal.sync_if_needed().is_err());
    // The disk is well again, and has forgotten what it did not write.
    assert!(matches!(journal.append(&record(5)), Err(JournalError::Broken { .. })));
    assert!(matches!(journal.sync(), Err(JournalError::Broken { .. })));
    assert!(!journal.fits(&record(5)), "only a new snapshot mends it");
    journal.checkpoint(&records(0..5), &floor(2)).unwrap();
    assert_eq!(reopened(&disk), records(0..5));
}

#[test]
fn a_whole_frame_that_does_not_follow_those_before_it_is_damage() {
    let (disk, journal) = written(2, 2);
    let live = journal.live.as_ref().unwrap();
    let mut stray = Vec::new();
    frame::write(&mut stray, &live.header.salt, live.length, frame::Kind::Record, &record(4).to_bytes(), live.durable, [1; 8]);
    let mut bytes = disk.content(SLOTS[0]);
    let at = usize::try_from(live.length).unwrap();
    bytes[at..at + stray.len()].copy_from_slice(&stray);
    disk.replace(SLOTS[0], Some(bytes));
    assert_eq!(open(&disk).unwrap().loss, Some(LossCause::Damaged));
}

#[test]
fn a_full_slot_says_so_before_it_is_written() {
    let (disk, mut journal) = written(0, 0);
    let mut count = 0;
    while journal.fits(&record(count)) {
        journal.append(&record(count)).unwrap();
        journal.sync().unwrap();
        count += 1;
    }
    assert!(journal.wants_checkpoint());
    assert!(count > 25, "{count}");
    assert_eq!(reopened(&disk), records(0..count));
    assert!(journal.append(&record(200)).is_err() || journal.append(&record(201)).is_err());
}

#[test]
fn a_second_agent_is_kept_out() {
    let folder = tempfile::tempdir().unwrap();
    let first = Journal::open(folder.path()).unwrap();
    assert!(matches!(Journal::open(folder.path()), Err(JournalError::InUse { .. })));
    drop(first);
    let mut journal = Journal::open(folder.path()).unwrap().journal;
    journal.checkpoint(&records(0..2), &floor(1)).unwrap();
    journal.append(&record(2)).unwrap();
    journal.sync().unwrap();
    drop(journal);
    let opened = Journal::open(folder.path()).unwrap();
    assert_eq!((opened.records, opened.floor, opened.loss), (records(0..3), floor(1), None));
    drop(opened.journal);
    std::fs::remove_dir_all(folder.path().join("journal")).unwrap();
    let opened = Journal::open(folder.path()).unwrap();
    assert_eq!((opened.records, opened.floor, opened.loss), (Vec::new(), floor(1), Some(LossCause::Missing)), "the copy beside it tells");
}
