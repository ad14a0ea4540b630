//! What the agent reads back of its own small files: a job's order, its start, its end, and how far it was at a reboot.

use flotilla_agent::job::spec::{JobReport, JobSpec, RebootAsked, Started};
use flotilla_agent::record;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// The first byte says which file it is.
pub(crate) fn file(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    match kind % 4 {
        0 => reads_what_it_writes::<JobSpec>(rest),
        1 => reads_what_it_writes::<Started>(rest),
        2 => reads_what_it_writes::<JobReport>(rest),
        _ => reads_what_it_writes::<RebootAsked>(rest),
    }
}

fn reads_what_it_writes<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) {
    let Ok(value) = record::decode::<T>(bytes) else { return };
    let written = record::encode(&value).expect("what was read can be written");
    assert_eq!(record::decode::<T>(&written).as_ref(), Ok(&value), "what was written is read otherwise");
}
