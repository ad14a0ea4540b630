//! The journal against a disk that rots, tears, fails and loses power at any call.

mod faults;
mod rot;
mod rules;
mod simulated;

use std::path::Path;

use flotilla_agent_core::{Floor, Record};
use flotilla_protocol::id::OrderId;

use super::{Journal, JournalError, Opened};
use simulated::Simulated;

/// Slots of the tests: small, so that they are filled and tried bit by bit.
const CAPACITY: u64 = 4096;

fn record(number: u8) -> Record {
    Record::Refused { order: OrderId([number; 16]), not_after_ms: u64::from(number), report: vec![number; 40] }
}

fn records(numbers: impl IntoIterator<Item = u8>) -> Vec<Record> {
    numbers.into_iter().map(record).collect()
}

fn floor(time_ms: u64) -> Floor {
    Floor { time_ms, trust_version: 1, epoch: 0, barrier_ms: 0, sequence: time_ms }
}

fn open(disk: &Simulated) -> Result<Opened, JournalError> {
    Journal::open_on(Box::new(disk.clone()), Path::new("simulated"), CAPACITY, None)
}

/// A journal with `snapshot` records, and `appended` ones after them, each of them synced.
fn written(snapshot: u8, appended: u8) -> (Simulated, Journal) {
    let disk = Simulated::default();
    let mut journal = open(&disk).unwrap().journal;
    journal.checkpoint(&records(0..snapshot), &floor(1)).unwrap();
    for number in snapshot..snapshot + appended {
        journal.append(&record(number)).unwrap();
        journal.sync_if_needed().unwrap();
    }
    (disk, journal)
}
