//! The journal: records appended, checked, synchronised, on a disk that may fill up, fail, tear and rot (decision 8).
//!
//! Two preallocated files, the slots (`slot.rs`), are used in turn. One is live: it began with a snapshot, and records are appended to it. When it has
//! no more room, and at each start, a snapshot is written to the other one, which is live from then on. So in the steady state no call changes
//! a name, a length or a map of blocks: a commit is one `fdatasync` of blocks that exist, needs no space, and cannot fail for the want of it.
//!
//! Beside them lie two copies of the floor (`floor.rs`): what must never go back, and which generation of the journal counts. A slot of an older
//! generation has missed something and is never taken for the journal. When no slot is left that counts and is whole, the node has lost its
//! memory: the files are moved aside, and a new journal begins with [`Opened::loss`] and the floor, see [`flotilla_agent_core::Memory`].
//!
//! After any error the live slot is not written any more: Linux forgets that a page was not written, and a later sync succeeds. A new
//! snapshot in the other slot, from memory, is what mends it ([`Journal::checkpoint`]).

mod disk;
mod floor;
mod frame;
mod quarantine;
mod slot;
#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use flotilla_agent_core::{Floor, Record};
use flotilla_protocol::report::LossCause;
use thiserror::Error;

use disk::{Disk, Folder};
use floor::{Copy, Found};
use frame::{Chain, Kind};
use slot::{Contents, Header, Slot};

/// The journal's folder within exec's.
const FOLDER: &str = "journal";
const SLOTS: [&str; 2] = ["journal/log.a", "journal/log.b"];
const LOCK: &str = "journal/lock";

/// Length of a new slot: room for a few jobs and some hundred commands between two snapshots, on flash of a few megabytes.
const FIRST_CAPACITY: u64 = 256 * 1024;
/// Longest slot: more than what the core ever keeps.
const MAXIMUM_CAPACITY: u64 = 64 * 1024 * 1024;
/// A slot is made smaller when a quarter of it would do, so that it does not grow and shrink in turn.
const SHRINK_FACTOR: u64 = 4;
/// A snapshot is written in good time when this share of the slot, one in so many, is left and as much was appended.
const LEFT_SHARE: u64 = 4;

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
    /// It failed before, and was not begun anew since.
    #[error("the journal {} failed before and must be begun anew first", .path.display())]
    Broken {
        /// The folder.
        path: PathBuf,
    },
    /// The system gives no randomness.
    #[error("randomness cannot be had from the system: {0}")]
    Random(getrandom::Error),
}

impl JournalError {
    /// Whether the disk has no room: blocks, inodes or the user's share of them.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Failed { source, .. } if is_full(source))
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// What an opened journal holds.
#[derive(Debug)]
pub struct Opened {
    /// The journal. Nothing can be appended before [`Journal::checkpoint`].
    pub journal: Journal,
    /// What was recorded. Nothing after a loss.
    pub records: Vec<Record>,
    /// The floor, from its copies.
    pub floor: Floor,
    /// The journal was there and is lost.
    pub loss: Option<LossCause>,
}

/// The slot that records go to.
#[derive(Debug)]
struct Live {
    slot: usize,
    header: Header,
    chain: Chain,
    /// Where the next frame goes.
    length: u64,
    /// Where the snapshot ended.
    snapshot: u64,
    durable: u64,
    /// A record since the last sync that outputs must wait for.
    must_sync: bool,
    /// Any record since the last sync.
    has_records: bool,
}

/// The open journal.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    disk: Box<dyn Disk>,
    /// Held while this process lives.
    _lock: Option<File>,
    /// The slot with everything that was promised. It is not touched before the other one has all of that too.
    good: Option<usize>,
    live: Option<Live>,
    /// The highest that was ever used.
    generation: u64,
    /// The lengths of the slots' files.
    lengths: [u64; 2],
    first_capacity: u64,
    /// The slots that are there are no journal any more, and must be moved aside.
    must_move_aside: bool,
    /// Whether all names are on disk.
    names_are_durable: bool,
    /// The copies of the floor that the disk does not give.
    broken_copies: Vec<&'static str>,
    written_floor: Option<Floor>,
}

impl Journal {
    /// Opens the journal in exec's folder and reads it. Nothing is written before [`Journal::checkpoint`].
    ///
    /// # Errors
    /// See [`JournalError`]. A journal that is damaged or gone is none.
    pub fn open(folder: &Path) -> Result<Opened, JournalError> {
        // It may be gone with everything in it, and the node lives on.
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder.join(FOLDER));
        made.map_err(|source| JournalError::Failed { path: folder.join(FOLDER), source })?;
        let lock = lock(&folder.join(LOCK))?;
        Self::open_on(Box::new(Folder::new(folder)), folder, FIRST_CAPACITY, Some(lock))
    }

    fn open_on(mut disk: Box<dyn Disk>, folder: &Path, first_capacity: u64, lock: Option<File>) -> Result<Opened, JournalError> {
        let failed = |name: &str| {
            let path = folder.join(name);
            move |source| JournalError::Failed { path, source }
        };
        let (found, broken_copies) = floor::read(&mut *disk).map_err(failed(floor::COPIES[0]))?;
        let (mut slots, mut lengths) = ([Slot::Empty, Slot::Empty], [0; 2]);
        for ((name, slot), length) in SLOTS.into_iter().zip(&mut slots).zip(&mut lengths) {
            match disk.read(name, MAXIMUM_CAPACITY) {
                Ok(None) => {}
                Ok(Some(bytes)) => {
                    *length = u64::try_from(bytes.len()).unwrap_or(0);
                    *slot = slot::read(&bytes);
                }
                Err(error) if is_damage(&error) => {
                    tracing::warn!(name, %error, "a file of the journal cannot be read");
                    *slot = Slot::Unreadable { was_written: true };
                }
                Err(error) => return Err(failed(name)(error)),
            }
        }
        let mut names_are_durable = lengths.iter().all(|length| *length > 0);
        for name in floor::COPIES {
            names_are_durable &= disk.exists(name).map_err(failed(name))?;
        }
        let newest = slots.iter().filter_map(Slot::generation).max().unwrap_or(0);
        let (generation, floor) = match found {
            Found::Copy(copy) => (copy.generation, copy.floor),
            Found::None | Found::Unreadable => (0, Floor::default()),
        };
        let chosen = choose(slots, found);
        let good = chosen.as_ref().ok().and_then(|chosen| chosen.as_ref().map(|(slot, _)| *slot));
        let loss = chosen.as_ref().err().copied();
        let records = chosen.ok().flatten().map(|(_, contents)| contents.records).unwrap_or_default();
        let journal = Self {
            folder: folder.to_owned(),
            disk,
            _lock: lock,
            good,
            live: None,
            generation: generation.max(newest),
            lengths,
            first_capacity,
            must_move_aside: loss.is_some(),
            names_are_durable,
            broken_copies,
            written_floor: None,
        };
        Ok(Opened { journal, records, floor, loss })
    }

    /// What was read makes no sense together: it is no journal any more.
    pub fn give_up(&mut self) {
        (self.good, self.live, self.must_move_aside) = (None, None, true);
    }

    /// Begins anew in the other slot, with these records and nothing else, and writes the floor. Everything is on disk afterwards, and a cut
    /// at any moment leaves the slot of before or the new one.
    ///
    /// # Errors
    /// What was promised is still there; nothing can be appended until a later call succeeds.
    pub fn checkpoint(&mut self, snapshot: &[Record], floor: &Floor) -> Result<(), JournalError> {
        self.live = None;
        if self.must_move_aside {
            quarantine::move_aside(&mut *self.disk).map_err(self.failed(FOLDER))?;
            (self.lengths, self.must_move_aside, self.names_are_durable) = ([0; 2], false, false);
        }
        let slot = self.good.map_or(0, |good| 1 - good);
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(JournalError::Random)?;
        self.generation += 1;
        let mut header = Header { generation: self.generation, salt, capacity: 0 };
        let (frames, chain) = snapshot_frames(&header, snapshot);
        let length = bytes_of(slot::HEADER_BYTES + frames.len());
        header.capacity = self.make_room(slot, length)?;
        let bytes = [header.to_bytes(), frames].concat();
        let name = name_of(slot);
        // A file that has failed before is opened anew, and all of it that counts is written anew.
        self.disk.close(name);
        self.disk.write_at(name, 0, &bytes).and_then(|()| self.disk.sync(name)).map_err(self.failed(name))?;
        self.make_names_durable()?;
        self.good = Some(slot);
        self.write_floor(floor)?;
        self.make_names_durable()?;
        self.live = Some(Live { slot, header, chain, length, snapshot: length, durable: length, must_sync: false, has_records: false });
        self.seal();
        Ok(())
    }

    /// Whether a record has room in the live slot. Where it has not, a snapshot is due.
    #[must_use]
    pub fn fits(&self, record: &Record) -> bool {
        let length = bytes_of(frame::length_of(record.to_bytes().len()) + frame::length_of(0));
        self.live.as_ref().is_some_and(|live| live.length + length <= live.header.capacity)
    }

    /// Appends a record. It is durable after the next sync.
    ///
    /// # Errors
    /// The journal must be begun anew with [`Journal::checkpoint`].
    pub fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        self.write(Kind::Record, &record.to_bytes())?;
        if let Some(live) = &mut self.live {
            live.must_sync |= !record.is_lazy();
            live.has_records = true;
        }
        Ok(())
    }

    /// Makes everything durable when a record is waiting that outputs must wait for.
    ///
    /// # Errors
    /// As for [`Journal::append`].
    pub fn sync_if_needed(&mut self) -> Result<(), JournalError> {
        match &self.live {
            Some(live) if !live.must_sync => Ok(()),
            Some(_) => self.sync(),
            None => Err(self.broken()),
        }
    }

    /// Makes everything durable.
    ///
    /// # Errors
    /// As for [`Journal::append`].
    pub fn sync(&mut self) -> Result<(), JournalError> {
        let Some(live) = &mut self.live else { return Err(self.broken()) };
        if !live.has_records {
            return Ok(());
        }
        let name = name_of(live.slot);
        if let Err(source) = self.disk.sync(name) {
            self.live = None;
            return Err(self.failed(name)(source));
        }
        (live.durable, live.must_sync, live.has_records) = (live.length, false, false);
        self.seal();
        Ok(())
    }

    /// Writes the floor's copies when it has risen since. What it says must be durable in the journal before.
    ///
    /// # Errors
    /// As for [`Journal::append`].
    pub fn raise_floor(&mut self, floor: &Floor) -> Result<(), JournalError> {
        let is_risen = self.written_floor.is_none_or(|written| {
            (written.time_ms, written.trust_version, written.epoch, written.barrier_ms)
                != (floor.time_ms, floor.trust_version, floor.epoch, floor.barrier_ms)
        });
        if !is_risen {
            return Ok(());
        }
        self.write_floor(floor).inspect_err(|_| self.live = None)
    }

    /// Whether it has grown so much that a snapshot should take its place.
    #[must_use]
    pub fn wants_checkpoint(&self) -> bool {
        self.live.as_ref().is_some_and(|live| {
            let share = live.header.capacity / LEFT_SHARE;
            live.length + share > live.header.capacity && live.length - live.snapshot > share
        })
    }

    /// How many bytes a whole journal may have, be it written to one slot or to the other.
    #[must_use]
    pub fn room_bytes(&self) -> u64 {
        let around = bytes_of(slot::HEADER_BYTES + 4 * frame::length_of(0));
        self.lengths[0].min(self.lengths[1]).saturating_sub(around)
    }

    /// Has both slots as long as `need` bytes of journal ask for, with as much again for what is appended. `true` asks for a
    /// [`Journal::checkpoint`] and another call: the live slot cannot be changed.
    ///
    /// # Errors
    /// The disk has no room. What was there before is still good, and can be appended to.
    pub fn reserve(&mut self, need: u64) -> Result<bool, JournalError> {
        let Some(live) = &self.live else { return Err(self.broken()) };
        let (other, capacity) = (1 - live.slot, live.header.capacity);
        let wanted = self.capacity_for(need);
        let fits = |length: u64| length >= wanted && length <= wanted.saturating_mul(SHRINK_FACTOR);
        if !fits(self.length_of(other)) {
            self.resize(other, wanted)?;
        }
        Ok(!fits(capacity))
    }

    fn capacity_for(&self, need: u64) -> u64 {
        need.saturating_mul(2).checked_next_power_of_two().unwrap_or(MAXIMUM_CAPACITY).clamp(self.first_capacity, MAXIMUM_CAPACITY)
    }

    fn length_of(&self, slot: usize) -> u64 {
        self.lengths.get(slot).copied().unwrap_or(0)
    }

    /// The length of a slot's file, with room for `length` bytes and some more.
    fn make_room(&mut self, slot: usize, length: u64) -> Result<u64, JournalError> {
        let (there, least) = (self.length_of(slot), length + bytes_of(4 * frame::length_of(0)));
        if there >= least && there >= self.first_capacity {
            return Ok(there);
        }
        match self.resize(slot, self.capacity_for(length).max(least)) {
            Err(_) if there >= least => Ok(there),
            Err(error) => Err(error),
            Ok(()) => Ok(self.length_of(slot)),
        }
    }

    fn resize(&mut self, slot: usize, length: u64) -> Result<(), JournalError> {
        let name = name_of(slot);
        self.names_are_durable &= self.length_of(slot) > 0;
        let mut resized = self.disk.resize(name, length);
        // Journals that were moved aside are worth less than one that works.
        if resized.as_ref().is_err_and(is_full) && quarantine::remove_all(&mut *self.disk) {
            resized = self.disk.resize(name, length);
        }
        resized.map_err(self.failed(name))?;
        if let Some(place) = self.lengths.get_mut(slot) {
            *place = length;
        }
        Ok(())
    }

    fn make_names_durable(&mut self) -> Result<(), JournalError> {
        if !self.names_are_durable {
            self.disk.sync_names().map_err(self.failed(FOLDER))?;
            // The floor's copies may be new too, and are written after the first slot.
            self.names_are_durable = self.written_floor.is_some();
        }
        Ok(())
    }

    fn write_floor(&mut self, floor: &Floor) -> Result<(), JournalError> {
        self.written_floor = None;
        let copy = Copy { generation: self.generation, floor: *floor };
        let replaced = floor::replace(&mut *self.disk, &self.broken_copies, &copy);
        replaced.and_then(|()| floor::write(&mut *self.disk, &copy)).map_err(self.failed(floor::COPIES[0]))?;
        self.broken_copies.clear();
        self.written_floor = Some(*floor);
        Ok(())
    }

    /// Says that everything so far is on disk. Nothing waits for it.
    fn seal(&mut self) {
        if let Err(error) = self.write(Kind::Seal, &[]) {
            tracing::warn!(error = %error, "the journal is not sealed");
        }
    }

    fn write(&mut self, kind: Kind, bytes: &[u8]) -> Result<(), JournalError> {
        let Some(live) = &mut self.live else { return Err(self.broken()) };
        let chain = frame::next_chain(live.chain, kind, bytes);
        let mut frame = Vec::with_capacity(frame::length_of(bytes.len()));
        frame::write(&mut frame, &live.header.salt, live.length, kind, bytes, live.durable, chain);
        let name = name_of(live.slot);
        let end = live.length + bytes_of(frame.len());
        let written = match end <= live.header.capacity {
            true => self.disk.write_at(name, live.length, &frame),
            false => Err(io::ErrorKind::StorageFull.into()),
        };
        if let Err(source) = written {
            self.live = None;
            return Err(self.failed(name)(source));
        }
        (live.chain, live.length) = (chain, end);
        Ok(())
    }

    fn broken(&self) -> JournalError {
        JournalError::Broken { path: self.folder.join(FOLDER) }
    }

    fn failed(&self, name: &str) -> impl Fn(io::Error) -> JournalError + use<> {
        let path = self.folder.join(name);
        move |source| JournalError::Failed { path: path.clone(), source }
    }
}

/// The slot that counts and its contents, none for a node that never had one, or what became of the one that counts.
fn choose(slots: [Slot; 2], found: Found) -> Result<Option<(usize, Contents)>, LossCause> {
    let has_any = slots.iter().any(|slot| !matches!(slot, Slot::Empty | Slot::Unreadable { was_written: false }));
    let least = match found {
        // A slot without a floor: the floor's copies are gone, and with them the knowledge whether this slot is the newest.
        Found::None => return if has_any { Err(LossCause::Missing) } else { Ok(None) },
        Found::Unreadable => return Err(LossCause::Damaged),
        Found::Copy(copy) => copy.generation,
    };
    let is_damaged = |slot: &Slot| match slot {
        Slot::Damaged { generation, .. } | Slot::Unfinished { generation, .. } => *generation >= least,
        // It may be the one that counts, and matters only when there is no other.
        Slot::Unreadable { .. } => true,
        Slot::Empty | Slot::Whole(_) => false,
    };
    for slot in &slots {
        if let Slot::Damaged { generation, at } | Slot::Unfinished { generation, at } = slot {
            tracing::warn!(generation, at, least, is_damaged = is_damaged(slot), "a slot of the journal is not whole");
        }
    }
    let cause = if slots.iter().any(is_damaged) { LossCause::Damaged } else { LossCause::Missing };
    let whole = slots.into_iter().enumerate().filter_map(|(index, slot)| match slot {
        Slot::Whole(contents) if contents.generation >= least => Some((index, contents)),
        _ => None,
    });
    whole.max_by_key(|(_, contents)| contents.generation).map(Some).ok_or(cause)
}

fn snapshot_frames(header: &Header, snapshot: &[Record]) -> (Vec<u8>, Chain) {
    let (mut frames, mut chain) = (Vec::new(), header.first_chain());
    let mut add = |kind, bytes: &[u8]| {
        chain = frame::next_chain(chain, kind, bytes);
        let at = bytes_of(slot::HEADER_BYTES + frames.len());
        frame::write(&mut frames, &header.salt, at, kind, bytes, 0, chain);
    };
    snapshot.iter().for_each(|record| add(Kind::Snapshot, &record.to_bytes()));
    add(Kind::SnapshotEnd, &[]);
    (frames, chain)
}

fn name_of(slot: usize) -> &'static str {
    if slot == 0 { SLOTS[0] } else { SLOTS[1] }
}

fn bytes_of(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// Errors that say that the medium, or what the file system has on it, is broken at this place and will stay so.
fn is_damage(error: &io::Error) -> bool {
    let errors = [nix::Error::EIO, nix::Error::EUCLEAN, nix::Error::EBADMSG].map(|error| error as i32);
    error.kind() == io::ErrorKind::FileTooLarge || error.raw_os_error().is_some_and(|number| errors.contains(&number))
}

/// Takes the journal for this process alone. The lock goes with the process, however it ends. On a disk that takes no writes a lock file that
/// is there will do.
fn lock(path: &Path) -> Result<File, JournalError> {
    let failed = |source| JournalError::Failed { path: path.to_owned(), source };
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path).map_err(failed)?
        }
        opened => opened.map_err(failed)?,
    };
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(JournalError::InUse { path: path.to_owned() }),
        Err(std::fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}
