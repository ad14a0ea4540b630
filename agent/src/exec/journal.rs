//! The journal file: records appended, checked, synchronised.
//!
//! ```text
//! file  = "FLJ0" | salt 16 bytes | frame…
//! frame = version u8 | length u32 LE | crc32c u32 LE | durable u64 LE | record
//! ```
//! The checksum covers salt, version, length, durable and record; with the salt no record can hold something that looks like a frame. `durable`
//! is how long the file certainly was on disk when the frame was written. It tells a torn tail from damage: what cannot be read at the end is a
//! tail that a power cut tore, and is dropped, unless a later frame says that it had been on disk before: then the disk has lost something,
//! and exec refuses to go on rather than forget an order.
//!
//! After each start, and whenever it has grown large, the file is replaced by a new one with a snapshot. At the start because the old file may
//! hold pages that the disk refused and the page cache still shows: what is acted on must be in a file that this process has synchronised.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use flotilla_agent_core::{Record, RecordError};
use thiserror::Error;

use crate::state::sync_folder;

const MAGIC: &[u8; 4] = b"FLJ0";
const SALT_BYTES: usize = 16;
const FILE_HEADER_BYTES: usize = MAGIC.len() + SALT_BYTES;
const VERSION: u8 = 0;
const HEADER_BYTES: usize = 1 + 4 + 4 + 8;
/// Longest record: an order or a report with its surroundings.
const MAXIMUM_RECORD_BYTES: usize = 160 * 1024;
/// The file is rewritten from a snapshot when it has grown to this and to twice its size after the last time.
const COMPACTION_BYTES: u64 = 2 * 1024 * 1024;
/// A file larger than this was not written by us: compaction keeps it far below.
const MAXIMUM_FILE_BYTES: u64 = 512 * 1024 * 1024;

/// Why the journal cannot be used.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The file system says no.
    #[error("the journal {} cannot be used", .path.display())]
    Failed {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another exec has it.
    #[error("the journal {} is in use: another agent runs with this state folder", .path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// Something that was on disk is not any more.
    #[error("the journal {} is damaged at byte {at}: move the state folder away and enrol the device anew", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        at: u64,
    },
    /// The marker says that there was one.
    #[error("the journal {} is gone, and with it what this node has run: move the state folder away and enrol the device anew", .path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The system gives no randomness.
    #[error("randomness cannot be had from the system: {0}")]
    Random(getrandom::Error),
    /// Every frame is whole, and together they make no sense.
    #[error("the journal's records do not follow from each other")]
    Inconsistent {
        /// What does not follow.
        source: RecordError,
    },
}

/// The open journal.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    path: PathBuf,
    /// Held while this process lives: the file itself is replaced now and then.
    _lock: File,
    file: File,
    salt: [u8; SALT_BYTES],
    length: u64,
    durable: u64,
    compacted: u64,
    /// A record since the last sync that outputs must wait for.
    must_sync: bool,
}

impl Journal {
    /// Opens or makes the journal in a folder and reads its records back. Call [`Journal::compact`] before acting on them.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub fn open(folder: &Path) -> Result<(Self, Vec<Record>), JournalError> {
        let (path, marker) = (folder.join("log"), folder.join("made"));
        let failed = |source| JournalError::Failed { path: path.clone(), source };
        let lock = lock(&folder.join("lock"))?;
        let mut bytes = Vec::new();
        match File::open(&path) {
            Ok(file) if file.metadata().map_err(failed)?.len() > MAXIMUM_FILE_BYTES => {
                return Err(JournalError::Damaged { path, at: MAXIMUM_FILE_BYTES });
            }
            Ok(mut file) => {
                file.read_to_end(&mut bytes).map_err(failed)?;
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            Err(_) if marker.exists() => return Err(JournalError::Missing { path }),
            Err(_) => {}
        }
        let Contents { records, dropped_bytes } = read(&bytes).map_err(|at| JournalError::Damaged { path: path.clone(), at })?;
        if dropped_bytes > 0 {
            tracing::warn!(dropped_bytes, "the journal's last write was torn; it is dropped");
        }
        let (file, salt, length) = write_new(folder, &path, &records)?;
        if !marker.exists() {
            create_marker(&marker).and_then(|()| sync_folder(folder)).map_err(failed)?;
        }
        let folder = folder.to_owned();
        Ok((Self { folder, path, _lock: lock, file, salt, length, durable: length, compacted: length, must_sync: false }, records))
    }

    /// Appends a record. It is durable after the next sync.
    ///
    /// # Errors
    /// The file cannot be written: exec must end.
    pub fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        let frame = frame(&self.salt, record, self.durable);
        self.file.write_all(&frame).map_err(|source| self.failed(source))?;
        self.length += u64::try_from(frame.len()).unwrap_or(u64::MAX);
        self.must_sync |= !record.is_lazy();
        Ok(())
    }

    /// Makes everything durable when a record is waiting that outputs must wait for.
    ///
    /// # Errors
    /// The disk does not take it: exec must end, and must not try the same file again.
    pub fn sync_if_needed(&mut self) -> Result<(), JournalError> {
        if self.must_sync { self.sync() } else { Ok(()) }
    }

    /// Makes everything durable.
    ///
    /// # Errors
    /// As for [`Journal::sync_if_needed`].
    pub fn sync(&mut self) -> Result<(), JournalError> {
        self.file.sync_data().map_err(|source| self.failed(source))?;
        self.durable = self.length;
        self.must_sync = false;
        Ok(())
    }

    /// Whether it has grown so much that a snapshot should take its place.
    #[must_use]
    pub fn wants_compaction(&self) -> bool {
        self.length > COMPACTION_BYTES && self.length / 2 > self.compacted
    }

    /// Replaces the file by one with these records. A cut at any moment leaves the old file or the new one.
    ///
    /// # Errors
    /// The new file cannot be written; the old one is still there.
    pub fn compact(&mut self, snapshot: &[Record]) -> Result<(), JournalError> {
        // What the snapshot leaves out is known to be over only once everything before it is durable.
        self.sync()?;
        let (file, salt, length) = write_new(&self.folder, &self.path, snapshot)?;
        (self.file, self.salt) = (file, salt);
        (self.length, self.durable, self.compacted) = (length, length, length);
        Ok(())
    }

    fn failed(&self, source: io::Error) -> JournalError {
        JournalError::Failed { path: self.path.clone(), source }
    }
}

/// Writes a file with these records beside the journal, has it on disk, and puts it in the journal's place.
fn write_new(folder: &Path, path: &Path, records: &[Record]) -> Result<(File, [u8; SALT_BYTES], u64), JournalError> {
    let new = folder.join("log.new");
    let failed = |source| JournalError::Failed { path: new.clone(), source };
    let mut salt = [0; SALT_BYTES];
    getrandom::fill(&mut salt).map_err(JournalError::Random)?;
    // The file takes the journal's place only when all of it is on disk, and each frame says so. A record that says nothing follows the
    // last one, so that damage to that one is told from a torn tail too.
    let end = Record::Floor { floor_ms: 0 };
    let total: usize = FILE_HEADER_BYTES + records.iter().chain([&end]).map(|record| frame(&salt, record, 0).len()).sum::<usize>();
    let total = u64::try_from(total).unwrap_or(u64::MAX);
    let mut bytes = [MAGIC.as_slice(), &salt].concat();
    for record in records.iter().chain([&end]) {
        bytes.extend(frame(&salt, record, total));
    }
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new).map_err(failed)?;
    file.write_all(&bytes).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    std::fs::rename(&new, path).map_err(failed)?;
    sync_folder(folder).map_err(failed)?;
    Ok((file, salt, total))
}

fn create_marker(marker: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(marker)?.sync_all()
}

/// Takes the journal for this process alone. The lock goes with the process, however it ends.
fn lock(path: &Path) -> Result<File, JournalError> {
    let failed = |source| JournalError::Failed { path: path.to_owned(), source };
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(JournalError::InUse { path: path.to_owned() }),
        Err(std::fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}

fn checksum(salt: &[u8], length: [u8; 4], durable: [u8; 8], record: &[u8]) -> u32 {
    let start = crc32c::crc32c_append(crc32c::crc32c(salt), &[VERSION]);
    let start = crc32c::crc32c_append(start, &length);
    crc32c::crc32c_append(crc32c::crc32c_append(start, &durable), record)
}

fn frame(salt: &[u8], record: &Record, durable: u64) -> Vec<u8> {
    let record = record.to_bytes();
    let length = u32::try_from(record.len()).unwrap_or(u32::MAX).to_le_bytes();
    let durable = durable.to_le_bytes();
    let mut frame = Vec::with_capacity(HEADER_BYTES + record.len());
    frame.push(VERSION);
    frame.extend(length);
    frame.extend(checksum(salt, length, durable, &record).to_le_bytes());
    frame.extend(durable);
    frame.extend(record);
    frame
}

#[derive(Debug, PartialEq, Eq)]
struct Contents {
    records: Vec<Record>,
    /// What was torn off at the end.
    dropped_bytes: usize,
}

/// The frame at the start of `bytes`: its record's bytes, what was durable, and its length. None when it is not whole.
fn read_frame<'a>(salt: &[u8], bytes: &'a [u8]) -> Option<(&'a [u8], u64, usize)> {
    let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    let [version, l0, l1, l2, l3, c0, c1, c2, c3, durable @ ..] = *header;
    let length = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).ok()?;
    if version != VERSION || length > MAXIMUM_RECORD_BYTES {
        return None;
    }
    let record = rest.get(..length)?;
    let is_whole = checksum(salt, [l0, l1, l2, l3], durable, record) == u32::from_le_bytes([c0, c1, c2, c3]);
    is_whole.then(|| (record, u64::from_le_bytes(durable), HEADER_BYTES + length))
}

/// Reads the frames of a file; an error is the place of damage. An empty file is one that was never begun.
fn read(bytes: &[u8]) -> Result<Contents, u64> {
    if bytes.is_empty() {
        return Ok(Contents { records: Vec::new(), dropped_bytes: 0 });
    }
    // The header was on disk before the file took this name, so it is never torn.
    let salt = bytes.get(MAGIC.len()..FILE_HEADER_BYTES).filter(|_| bytes.starts_with(MAGIC)).ok_or(0_u64)?;
    let mut records = Vec::new();
    let mut at = FILE_HEADER_BYTES;
    while let Some((record, _, length)) = bytes.get(at..).and_then(|rest| read_frame(salt, rest)) {
        records.push(Record::from_bytes(record).map_err(|_| u64::try_from(at).unwrap_or(u64::MAX))?);
        at += length;
    }
    let torn_at = u64::try_from(at).unwrap_or(u64::MAX);
    let says_otherwise =
        |start: usize| bytes.get(start..).and_then(|rest| read_frame(salt, rest)).is_some_and(|(_, durable, _)| durable > torn_at);
    let is_damage = at == FILE_HEADER_BYTES || (at + 1..bytes.len()).any(says_otherwise);
    if is_damage { Err(torn_at) } else { Ok(Contents { records, dropped_bytes: bytes.len() - at }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flotilla_protocol::id::OrderId;

    fn record(number: u8) -> Record {
        Record::Refused { order: OrderId([number; 16]), not_after_ms: u64::from(number), report: vec![number; 40] }
    }

    fn written(count: u8) -> (tempfile::TempDir, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, records) = Journal::open(folder.path()).unwrap();
        assert!(records.is_empty());
        for number in 0..count {
            journal.append(&record(number)).unwrap();
            journal.sync_if_needed().unwrap();
        }
        let bytes = std::fs::read(folder.path().join("log")).unwrap();
        (folder, bytes)
    }

    /// What is in the file besides the mark at the end of a snapshot.
    fn told(records: Vec<Record>) -> Vec<Record> {
        records.into_iter().filter(|record| *record != Record::Floor { floor_ms: 0 }).collect()
    }

    #[test]
    fn records_come_back_in_their_order_and_after_a_compaction() {
        let (folder, _) = written(5);
        let (mut journal, records) = Journal::open(folder.path()).unwrap();
        assert_eq!(told(records), (0..5).map(record).collect::<Vec<_>>());
        journal.compact(&[record(9)]).unwrap();
        journal.append(&record(10)).unwrap();
        drop(journal);
        assert_eq!(told(Journal::open(folder.path()).unwrap().1), [record(9), record(10)]);
    }

    #[test]
    fn a_second_agent_is_kept_out() {
        let (folder, _) = written(1);
        let _first = Journal::open(folder.path()).unwrap();
        assert!(matches!(Journal::open(folder.path()), Err(JournalError::InUse { .. })));
    }

    #[test]
    fn a_journal_that_is_gone_is_never_taken_for_a_new_one() {
        let (folder, _) = written(1);
        std::fs::remove_file(folder.path().join("log")).unwrap();
        assert!(matches!(Journal::open(folder.path()), Err(JournalError::Missing { .. })));
    }

    /// Where the last frame begins.
    fn last_frame(bytes: &[u8]) -> usize {
        let salt = &bytes[MAGIC.len()..FILE_HEADER_BYTES];
        let (mut at, mut last) = (FILE_HEADER_BYTES, FILE_HEADER_BYTES);
        while let Some((_, _, length)) = read_frame(salt, &bytes[at..]) {
            (last, at) = (at, at + length);
        }
        last
    }

    fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        flipped
    }

    #[test]
    fn a_cut_at_every_byte_of_the_last_frame_drops_only_that_frame() {
        let (_, bytes) = written(4);
        for length in last_frame(&bytes)..bytes.len() {
            let contents = read(&bytes[..length]).unwrap_or_else(|at| panic!("cut at {length} looks like damage at {at}"));
            assert_eq!(told(contents.records).len(), 3, "cut at {length}");
        }
    }

    #[test]
    fn a_flipped_bit_before_the_last_frame_is_damage_and_never_forgotten() {
        let (_, bytes) = written(4);
        for bit in 0..last_frame(&bytes) * 8 {
            assert!(read(&flipped(&bytes, bit)).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_flipped_bit_in_the_last_frame_is_a_torn_tail() {
        let (_, bytes) = written(4);
        for bit in last_frame(&bytes) * 8..bytes.len() * 8 {
            let contents = read(&flipped(&bytes, bit));
            assert_eq!(contents.map(|contents| told(contents.records).len()), Ok(3), "bit {bit}");
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_in_a_snapshots_records_is_damage() {
        let (folder, _) = written(4);
        let (mut journal, records) = Journal::open(folder.path()).unwrap();
        journal.compact(&told(records)).unwrap();
        let bytes = std::fs::read(folder.path().join("log")).unwrap();
        for bit in 0..last_frame(&bytes) * 8 {
            assert!(read(&flipped(&bytes, bit)).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn output_that_looks_like_a_frame_does_not_make_a_torn_tail_damage() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(folder.path()).unwrap();
        let forged = frame(&[], &record(1), u64::MAX);
        journal.append(&Record::Refused { order: OrderId([7; 16]), not_after_ms: 0, report: forged }).unwrap();
        let bytes = std::fs::read(folder.path().join("log")).unwrap();
        let torn = flipped(&bytes, last_frame(&bytes) * 8 + 40);
        assert_eq!(read(&torn).map(|contents| told(contents.records).len()), Ok(0));
    }
}
