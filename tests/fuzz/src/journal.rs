//! What a node reads from its own disk.

use crate::fleet;
use flotilla_agent_core::{Input, Output, Record};

/// Records of one journal.
const MAXIMUM_RECORDS: usize = 256;
/// Outputs taken of the core that was built.
const MAXIMUM_OUTPUTS: usize = 10_000;

/// Records, each with its length in front, read back into a core that then goes on. The frames around records have checksums, which a
/// fuzzer does not get past: their bits are flipped one by one by the journal's own tests.
pub(crate) fn replay(mut bytes: &[u8]) {
    let mut recovery = fleet::recovery();
    for _ in 0..MAXIMUM_RECORDS {
        let Some((length, rest)) = bytes.split_first_chunk::<2>() else { break };
        let (data, rest) = rest.split_at(usize::from(u16::from_le_bytes(*length)).min(rest.len()));
        bytes = rest;
        let Ok(record) = Record::from_bytes(data) else { continue };
        assert_eq!(Record::from_bytes(&record.to_bytes()).as_ref(), Ok(&record), "what was read is written otherwise");
        if recovery.replay(record).is_err() {
            return;
        }
    }
    let mut core = recovery.finish();
    core.handle(Input::Connected { nonce: [1; 32] }, 1_000);
    core.handle(Input::Tick, 10_000_000);
    for _ in 0..MAXIMUM_OUTPUTS {
        match core.poll_output() {
            Some(Output::RunJob { order, .. }) => assert!(core.needs_folder(order), "a job runs without a folder"),
            Some(_) => {}
            None => return,
        }
    }
    panic!("the core does not come to rest");
}
