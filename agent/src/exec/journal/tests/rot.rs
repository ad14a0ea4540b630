//! F6: every single bit of a journal of 4 KiB, and a cut of the file at every byte.

use super::*;
use crate::exec::journal::floor::COPIES;
use crate::exec::journal::tests::simulated::Fault;
use crate::exec::journal::{SLOTS, frame, slot};
use flotilla_protocol::report::LossCause;

/// Records of the snapshot, and those that came after it.
const SNAPSHOT: u8 = 10;
const APPENDED: u8 = 25;

/// What a trial came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    trials: u32,
    unharmed: u32,
    torn: u32,
    damaged: u32,
    lost: u32,
    wrong: u32,
}

/// Where each frame begins, and where the last one ends.
fn frames(bytes: &[u8]) -> Vec<usize> {
    let salt: [u8; 16] = bytes[16..32].try_into().unwrap();
    let mut places = vec![slot::HEADER_BYTES];
    while let Some(frame) = frame::read(&salt, u64::try_from(places[places.len() - 1]).unwrap(), &bytes[places[places.len() - 1]..]) {
        places.push(places[places.len() - 1] + frame.length);
    }
    places
}

fn judge(tally: &mut Tally, opened: &Opened, expected: &[Record], may_be_torn: bool) {
    tally.trials += 1;
    match opened.loss {
        Some(LossCause::Damaged) if opened.records.is_empty() => tally.damaged += 1,
        Some(_) => tally.wrong += 1,
        None if opened.records == expected && may_be_torn => tally.torn += 1,
        None if opened.records == expected => tally.unharmed += 1,
        None if expected.starts_with(&opened.records) => tally.lost += 1,
        None => tally.wrong += 1,
    }
    assert_eq!(opened.floor, floor(1), "the floor goes back");
}

#[test]
fn no_flipped_bit_and_no_cut_brings_a_wrong_record_or_loses_one_silently() {
    let (disk, journal) = written(SNAPSHOT, APPENDED);
    drop(journal);
    let expected = records(0..SNAPSHOT + APPENDED);
    let whole = disk.content(SLOTS[0]);
    assert_eq!(whole.len(), 4096);
    let places = frames(&whole);
    let (last, end) = (places[places.len() - 2], places[places.len() - 1]);
    assert!(end < whole.len() && last > 3000, "the journal is well filled: {last} {end}");
    let mut flips = Tally::default();
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        disk.replace(SLOTS[0], Some(flipped));
        let opened = open(&disk).unwrap();
        let place = bit / 8;
        // Nothing but the seal at the end may be torn, and it holds no record.
        judge(&mut flips, &opened, &expected, (last..end).contains(&place));
        let is_damage = place < last;
        assert_eq!(opened.loss.is_some(), is_damage, "bit {bit} of frames that end at {end}");
    }
    let mut cuts = Tally::default();
    for length in 0..whole.len() {
        disk.replace(SLOTS[0], Some(whole[..length].to_vec()));
        judge(&mut cuts, &open(&disk).unwrap(), &expected, false);
    }
    println!("F6: flips {flips:?}");
    println!("F6: cuts {cuts:?}");
    println!("F6: {} trials, lost 0, double-run 0", flips.trials + cuts.trials);
    assert_eq!((flips.trials + cuts.trials, flips.lost + cuts.lost, flips.wrong + cuts.wrong), (36_864, 0, 0));
    assert_eq!(cuts.damaged, cuts.trials, "a file that is too short was cut by somebody");
    assert!(flips.torn > 0 && flips.damaged > 20_000, "{flips:?}");
}

#[test]
fn a_write_that_was_torn_before_its_sync_is_dropped_and_nothing_else() {
    let (disk, mut journal) = written(SNAPSHOT, 12);
    let before = disk.content(SLOTS[0]);
    let end = *frames(&before).last().unwrap();
    journal.append(&record(99)).unwrap();
    journal.append(&record(100)).unwrap();
    drop(journal);
    let after = disk.content(SLOTS[0]);
    let (_, new_end) = (end, *frames(&after).last().unwrap());
    // Every length up to which the new bytes came to the disk, and every single byte that did not.
    let mut trials = 0;
    for torn_at in end..new_end {
        let mut prefix = before.clone();
        prefix[end..torn_at].copy_from_slice(&after[end..torn_at]);
        let mut hole = after.clone();
        hole[torn_at] ^= 0xff;
        for torn in [prefix, hole] {
            disk.replace(SLOTS[0], Some(torn));
            let opened = open(&disk).unwrap();
            assert_eq!(opened.loss, None, "torn at {torn_at}");
            let expected = records(0..SNAPSHOT + 12);
            assert!(opened.records.starts_with(&expected) && opened.records.len() <= expected.len() + 1, "torn at {torn_at}");
            trials += 1;
        }
    }
    println!("torn tails: {trials} trials, lost 0");
}

#[test]
fn a_flipped_bit_in_the_floor_falls_back_to_the_other_copy() {
    let (disk, journal) = written(3, 2);
    drop(journal);
    for name in COPIES {
        let whole = disk.content(name);
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            disk.replace(name, Some(flipped));
            let opened = open(&disk).unwrap();
            assert_eq!((opened.loss, opened.floor, opened.records.len()), (None, floor(1), 5), "{name} bit {bit}");
        }
        disk.replace(name, Some(whole));
    }
}

#[test]
fn a_copy_of_the_floor_that_the_medium_does_not_give_is_replaced() {
    for error in [nix::Error::EIO, nix::Error::EUCLEAN, nix::Error::EBADMSG] {
        for name in COPIES {
            let (disk, journal) = written(3, 2);
            drop(journal);
            disk.break_file(name, error);
            let Opened { mut journal, records: read, floor: of_before, loss } = open(&disk).unwrap();
            assert_eq!((loss, of_before, read.len()), (None, floor(1), 5), "{name} {error}");
            journal.checkpoint(&read, &floor(2)).unwrap();
            drop(journal);
            disk.restart(0);
            assert!(disk.names().contains(&format!("{name}.damaged")), "{:?}", disk.names());
            // The other copy is as good again.
            let other = if name == COPIES[0] { COPIES[1] } else { COPIES[0] };
            disk.break_file(other, error);
            let opened = open(&disk).unwrap();
            assert_eq!((opened.loss, opened.floor, opened.records), (None, floor(2), records(0..5)), "{name} {error}");
        }
        let (disk, journal) = written(3, 2);
        drop(journal);
        COPIES.iter().for_each(|name| disk.break_file(name, error));
        let Opened { mut journal, loss, .. } = open(&disk).unwrap();
        assert_eq!(loss, Some(LossCause::Damaged), "{error}");
        journal.checkpoint(&records(0..1), &floor(7)).unwrap();
        drop(journal);
        assert_eq!(open(&disk).unwrap().floor, floor(7));
    }
    let (disk, journal) = written(3, 2);
    drop(journal);
    disk.break_file(COPIES[0], nix::Error::EMFILE);
    assert!(open(&disk).is_err(), "what passes says nothing of what is there");
}

#[test]
fn a_cut_while_a_broken_copy_of_the_floor_is_replaced_leaves_a_good_one() {
    for name in COPIES {
        for call in 1..20 {
            for seed in 0..4 {
                let (disk, journal) = written(3, 2);
                drop(journal);
                disk.break_file(name, nix::Error::EIO);
                let Opened { mut journal, records: read, .. } = open(&disk).unwrap();
                disk.set(Fault::Cut { call, seed });
                drop(journal.checkpoint(&read, &floor(2)));
                drop(journal);
                disk.restart(seed);
                let opened = open(&disk).unwrap();
                assert_eq!((opened.loss, opened.records), (None, records(0..5)), "{name} call {call} seed {seed}");
                assert!(opened.floor.time_ms >= 1, "{name} call {call} seed {seed}");
            }
        }
    }
}

#[test]
fn a_journal_whose_floor_and_headers_are_gone_is_no_new_node() {
    let gone = |change: fn(&Simulated, &str)| {
        let (disk, mut journal) = written(3, 2);
        journal.checkpoint(&records(0..5), &floor(1)).unwrap();
        drop(journal);
        COPIES.iter().for_each(|name| disk.replace(name, None));
        SLOTS.iter().for_each(|name| change(&disk, name));
        open(&disk).unwrap().loss
    };
    let flip = |disk: &Simulated, name: &str| {
        let mut bytes = disk.content(name);
        bytes[5] ^= 1;
        disk.replace(name, Some(bytes));
    };
    let clear = |disk: &Simulated, name: &str| {
        let mut bytes = disk.content(name);
        bytes[..slot::HEADER_BYTES].fill(0);
        disk.replace(name, Some(bytes));
    };
    assert_eq!(gone(flip), Some(LossCause::Missing));
    assert_eq!(gone(clear), Some(LossCause::Missing));
    assert_eq!(gone(|disk, name| disk.break_file(name, nix::Error::EIO)), Some(LossCause::Missing));
    // Made and never written: a first start that was cut off.
    assert_eq!(gone(|disk, name| disk.replace(name, Some(vec![0; 4096]))), None);
    assert_eq!(gone(|disk, name| disk.replace(name, Some(Vec::new()))), None);
    assert_eq!(gone(|disk, name| disk.replace(name, None)), None);
}
