//! A journal in memory: what a node would read back after a restart, kept short as the real one is.

use flotilla_agent_core::{Core, Record};

/// Records after which it is written anew from a snapshot.
const COMPACT_AFTER: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Journal {
    records: Vec<Record>,
    since_compaction: usize,
}

impl Journal {
    pub(super) fn append(&mut self, record: Record) {
        self.records.push(record);
        self.since_compaction += 1;
    }

    /// Call it between two rounds of outputs: a snapshot stands for everything that was appended.
    pub(super) fn compact_if_needed(&mut self, core: &Core) {
        if self.since_compaction >= COMPACT_AFTER {
            self.records = core.snapshot();
            self.since_compaction = 0;
        }
    }
}
