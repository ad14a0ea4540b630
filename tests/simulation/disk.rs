//! A node's journal on a disk that forgets what was not synchronised, and that may refuse to write.

use flotilla_agent_core::Record;

/// The journal is written anew at so many bytes and at twice its size after the last time: less than the agent's own limit, so that it
/// happens in every history.
const COMPACTION_BYTES: usize = 32 * 1024;

/// What is wrong with the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DiskTrouble {
    /// Nothing more can be appended.
    Full,
    /// Appending works, and having it on the disk does not.
    SyncFails,
}

/// The disk said no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DiskError;

#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    /// Survives everything.
    durable: Vec<Vec<u8>>,
    /// Survives the process and not the power.
    written: Vec<Vec<u8>>,
    /// Whether a written record must be durable before anything follows from it.
    waits: bool,
    bytes: usize,
    bytes_after_compaction: usize,
    pub(crate) trouble: Option<DiskTrouble>,
}

impl Disk {
    pub(crate) fn append(&mut self, record: &Record) -> Result<(), DiskError> {
        if self.trouble == Some(DiskTrouble::Full) {
            return Err(DiskError);
        }
        let bytes = record.to_bytes();
        self.bytes += bytes.len();
        self.waits |= !record.is_lazy();
        self.written.push(bytes);
        Ok(())
    }

    /// Returns the records that have become durable.
    pub(crate) fn sync_if_needed(&mut self) -> Result<Vec<Record>, DiskError> {
        if self.waits { self.sync() } else { Ok(Vec::new()) }
    }

    pub(crate) fn sync(&mut self) -> Result<Vec<Record>, DiskError> {
        if self.trouble == Some(DiskTrouble::SyncFails) {
            return Err(DiskError);
        }
        self.waits = false;
        let records = self.written.iter().map(|bytes| Record::from_bytes(bytes).expect("it was written by us")).collect();
        self.durable.append(&mut self.written);
        Ok(records)
    }

    /// What the process that comes next reads: the page cache does not tell what is on the disk.
    pub(crate) fn read(&self) -> Vec<Record> {
        self.durable.iter().chain(&self.written).map(|bytes| Record::from_bytes(bytes).expect("it was written by us")).collect()
    }

    pub(crate) fn wants_compaction(&self) -> bool {
        self.bytes > COMPACTION_BYTES.max(2 * self.bytes_after_compaction)
    }

    /// Replaces the journal by a new one, which is durable. Returns the records that were only written and are durable with it.
    pub(crate) fn compact(&mut self, snapshot: &[Record]) -> Result<Vec<Record>, DiskError> {
        if self.trouble.is_some() {
            return Err(DiskError);
        }
        let fresh = self.sync()?;
        self.durable = snapshot.iter().map(Record::to_bytes).collect();
        self.bytes = self.durable.iter().map(Vec::len).sum();
        self.bytes_after_compaction = self.bytes;
        Ok(fresh)
    }

    /// The power is cut: of what was only written the first `kept` records are there. Returns what has become durable by that.
    pub(crate) fn cut(&mut self, kept: usize) -> Vec<Record> {
        self.written.truncate(kept);
        self.waits = false;
        let records = self.written.iter().map(|bytes| Record::from_bytes(bytes).expect("it was written by us")).collect();
        self.durable.append(&mut self.written);
        records
    }
}
