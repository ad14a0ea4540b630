//! The inventory as exec sees it: when it is gathered, and how it is said.
//!
//! A process of its own gathers ([`crate::inventory::collect`]) and leaves compressed changes. Here they are cut into pieces, and each piece is
//! given to the core when it has room for it: offline an inventory waits, and takes no other report's place. What was said is kept ([`said`]), so
//! that nothing is said where nothing has changed.

mod said;

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use flotilla_agent_core::Core;
use flotilla_protocol::capability::inventory::{InventoryReport, MAXIMUM_PIECE_BYTES, MAXIMUM_PIECES};
use flotilla_protocol::wire::Check as _;
use tokio::sync::mpsc;

use self::said::{Said, is_among};
use super::runner::Runner;
use crate::inventory::collect::{self, Changed, Done, Task, change_file, read_bounded};
use crate::record;
use crate::settings::InventorySettings;
use crate::state::{make_folder, replace_file_for_this_boot};

/// After the first welcome that offers the stream, and after a loss, the inventory is gathered within so long, in milliseconds, and not before
/// half of it: what starts with the device comes first.
const SOON_MS: u64 = 20_000;
/// A collection that failed is tried again after so long, in milliseconds, where the interval is longer.
const AFTER_FAILURE_MS: u64 = 30 * 60_000;

/// What became of a collection: its folder, or why there is nothing.
pub(super) type Collected = Result<PathBuf, String>;

/// A change that is being said.
#[derive(Debug)]
struct Saying {
    changed: Changed,
    bytes: Vec<u8>,
    piece_bytes: usize,
    pieces: u16,
    next: u16,
}

/// When the inventory is gathered, and what of it is still to be said.
#[derive(Debug)]
pub(super) struct Inventory {
    settings: InventorySettings,
    folder: PathBuf,
    runner: Runner,
    said: Said,
    /// As the core counted them when everything was last forgotten.
    losses: u64,
    /// Uptime in milliseconds; nothing before the first welcome that offers the stream.
    due_at: Option<u64>,
    is_collecting: bool,
    /// Whether a command has asked since the last collection began.
    is_asked_since: bool,
    collections: u64,
    collected: mpsc::Sender<Collected>,
    /// The collection that is being said, and what is left of it.
    from: PathBuf,
    waiting: VecDeque<Changed>,
    saying: Option<Saying>,
}

impl Inventory {
    /// `folder` is all its own. The ends of collections come to `collected`, which must have room for one.
    pub(super) fn new(settings: InventorySettings, folder: &Path, runner: Runner, collected: mpsc::Sender<Collected>) -> Self {
        let said = Said::open(folder);
        remove_collections(folder, None);
        Self {
            settings,
            folder: folder.to_owned(),
            runner,
            said,
            losses: 0,
            due_at: None,
            is_collecting: false,
            is_asked_since: false,
            collections: 0,
            collected,
            from: PathBuf::new(),
            waiting: VecDeque::new(),
            saying: None,
        }
    }

    /// When [`Inventory::look`] has something to do, in uptime milliseconds.
    pub(super) fn next_look(&self, core: &Core) -> Option<u64> {
        self.due_at.filter(|_| core.takes_inventory() && self.is_idle())
    }

    /// A command asks for these types: everything is gathered now, also where that is off otherwise, and they are said whole.
    pub(super) fn ask(&mut self, types: &[String], now: u64) {
        tracing::info!(types = types.join(", "), "a command asks for the inventory");
        if let Err(error) = self.said.ask(types) {
            tracing::warn!(%error, "that types are to be said whole cannot be kept");
        }
        // What was gathered of them before is no answer.
        self.saying.take_if(|saying| is_among(types, &saying.changed.type_name));
        self.waiting.retain(|changed| !is_among(types, &changed.type_name));
        (self.is_asked_since, self.due_at) = (true, Some(now));
    }

    /// Starts a collection when it is time for one.
    pub(super) fn look(&mut self, core: &Core, now: u64) {
        if !core.takes_inventory() {
            return;
        }
        // Without an interval only a command of before the start, whose answer is not said, has something gathered.
        if self.settings.interval_ms > 0 || (self.said.is_asked() && self.is_idle()) {
            let soon_at = self.soon(now);
            self.due_at.get_or_insert(soon_at);
        }
        let losses = core.inventory_losses();
        if std::mem::replace(&mut self.losses, losses) != losses {
            self.forget(now);
        }
        if self.is_idle() && self.due_at.is_some_and(|at| at <= now) {
            self.due_at = self.after(now, self.settings.interval_ms);
            if let Err(error) = self.start(core, now) {
                tracing::warn!(%error, "the inventory cannot be gathered");
                self.try_again(now);
            }
        }
    }

    /// The bridge may not have what was said: everything is said anew, soon. What is being said counts for nothing any more.
    fn forget(&mut self, now: u64) {
        tracing::info!("the bridge may not have the inventory any more: it is said anew");
        if let Err(error) = self.said.forget() {
            tracing::warn!(%error, "that the inventory is to be said anew cannot be kept");
        }
        self.saying = None;
        self.waiting.clear();
        if self.settings.interval_ms > 0 {
            self.advance(self.soon(now));
        }
    }

    /// About so much later; nothing where only commands ask.
    fn after(&self, now: u64, interval_ms: u64) -> Option<u64> {
        (self.settings.interval_ms > 0).then(|| now.saturating_add(about(interval_ms)))
    }

    fn soon(&self, now: u64) -> u64 {
        let half_ms = (SOON_MS.min(self.settings.interval_ms) / 2).max(1);
        now.saturating_add(half_ms).saturating_add(getrandom::u64().unwrap_or(0) % half_ms)
    }

    fn is_idle(&self) -> bool {
        !self.is_collecting && self.saying.is_none() && self.waiting.is_empty()
    }

    /// After a failure: not later than what is due anyway, and without an interval only where a command waits.
    fn try_again(&mut self, now: u64) {
        match self.settings.interval_ms {
            0 if self.said.is_asked() => self.advance(now.saturating_add(about(AFTER_FAILURE_MS))),
            0 => {}
            interval_ms => self.advance(now.saturating_add(about(interval_ms.min(AFTER_FAILURE_MS)))),
        }
    }

    fn advance(&mut self, at: u64) {
        self.due_at = Some(self.due_at.map_or(at, |due_at| due_at.min(at)));
    }

    fn start(&mut self, core: &Core, now: u64) -> io::Result<()> {
        let limits = self.runner.collector_limits();
        let folder = self.prepare(core, limits.memory_bytes, now)?;
        let (runner, collected) = (self.runner.clone(), self.collected.clone());
        self.is_collecting = true;
        tokio::spawn(async move {
            let done = runner.collect(&folder, limits).await.map(|()| folder);
            // Nobody hears it only while exec ends.
            drop(collected.send(done).await);
        });
        Ok(())
    }

    /// Makes the folder of a collection, with what is to be done in it.
    fn prepare(&mut self, core: &Core, memory_bytes: u64, now: u64) -> io::Result<PathBuf> {
        self.is_asked_since = false;
        self.collections += 1;
        let folder = self.folder.join(format!("{COLLECTION}{}", self.collections));
        for folder in [&self.said.tables(), &folder] {
            make_folder(folder).map_err(io::Error::other)?;
        }
        let bytes = core.inventory_piece_bytes().saturating_mul(usize::from(MAXIMUM_PIECES));
        let task = Task {
            scope: self.settings.scope.clone(),
            said: self.said.bases(time_ms(core, now)),
            tables: self.said.tables(),
            maximum_change_bytes: u64::try_from(bytes).map_err(io::Error::other)?,
            memory_bytes,
        };
        let bytes = record::encode(&task).map_err(io::Error::other)?;
        replace_file_for_this_boot(&folder.join(collect::TASK), &bytes)?;
        Ok(folder)
    }

    /// A collection is over.
    pub(super) fn collected(&mut self, collected: Collected, now: u64) {
        self.is_collecting = false;
        let read = collected.and_then(|folder| {
            let bytes = read_bounded(&folder.join(collect::DONE), collect::MAXIMUM_RECORD_BYTES).map_err(|error| error.to_string())?;
            let done: Done = record::decode(&bytes).map_err(|error| error.to_string())?;
            Ok((folder, done))
        });
        match read {
            Ok((folder, done)) => {
                tracing::info!(
                    types = done.gathered,
                    changed = done.changed.len(),
                    failed = done.failed.len(),
                    "the inventory is gathered"
                );
                remove_collections(&self.folder, Some(&folder));
                (self.from, self.waiting) = (folder, done.changed.into());
                self.clean_up();
            }
            Err(why) => {
                tracing::warn!(why, "the inventory was not gathered");
                remove_collections(&self.folder, None);
                self.try_again(now);
            }
        }
    }

    /// Whether there is something to be said.
    pub(super) fn has_more(&self) -> bool {
        self.saying.is_some() || !self.waiting.is_empty()
    }

    /// Whether all pieces of a change are made, and it only has to be durable that they are.
    pub(super) fn is_said(&self) -> bool {
        self.saying.as_ref().is_some_and(|saying| saying.next == saying.pieces)
    }

    /// What was said is durable: the next change begins from it.
    pub(super) fn finish(&mut self, core: &Core, now: u64) {
        let Some(Saying { changed, .. }) = self.saying.take_if(|saying| saying.next == saying.pieces) else { return };
        if let Err(error) = self.said.finish(&changed, &self.from, time_ms(core, now)) {
            tracing::warn!(%error, type_name = changed.type_name, "what was said of the inventory cannot be kept: it is said anew");
        }
        self.clean_up();
    }

    /// Says the next piece, and the first of the next type. `false` where it has to wait, or nothing is left.
    pub(super) fn say(&mut self, core: &mut Core, now: u64) -> bool {
        if !core.takes_inventory() {
            return false;
        }
        if self.saying.is_none() {
            self.saying = self.next_saying(core.inventory_piece_bytes());
            self.clean_up();
        }
        let Some(saying) = self.saying.as_mut().filter(|saying| saying.next < saying.pieces) else { return false };
        let is_made = core.tell_inventory(saying.report(), now);
        saying.next += u16::from(is_made);
        is_made
    }

    /// The next type that can be said. One that cannot comes again with the next collection.
    fn next_saying(&mut self, piece_bytes: usize) -> Option<Saying> {
        while let Some(changed) = self.waiting.pop_front() {
            let name = changed.type_name.clone();
            match self.begin(changed, piece_bytes) {
                Ok(Some(saying)) => return Some(saying),
                Ok(None) => tracing::warn!(type_name = name, "a change of the inventory does not fit what was said"),
                Err(error) => tracing::warn!(%error, type_name = name, "a change of the inventory cannot be said"),
            }
        }
        None
    }

    fn begin(&mut self, changed: Changed, piece_bytes: usize) -> io::Result<Option<Saying>> {
        let maximum = u64::try_from(MAXIMUM_PIECE_BYTES).map_err(io::Error::other)?.saturating_mul(u64::from(MAXIMUM_PIECES));
        let bytes = read_bounded(&change_file(&self.from, &changed.type_name), maximum)?;
        let Ok(pieces) = u16::try_from(bytes.len().div_ceil(piece_bytes)) else { return Ok(None) };
        let saying = Saying { changed, bytes, piece_bytes, pieces, next: 0 };
        if saying.report().check().is_err() || !self.said.begin(&saying.changed)? {
            return Ok(None);
        }
        Ok(Some(saying))
    }

    /// A collection of which nothing is left to say goes.
    fn clean_up(&mut self) {
        if self.has_more() {
            return;
        }
        remove_collections(&self.folder, None);
        if self.said.is_asked() && !self.is_asked_since {
            let kept = self.said.answered();
            kept.unwrap_or_else(|error| tracing::warn!(%error, "that the inventory of a command is said cannot be kept"));
        }
    }
}

impl Saying {
    /// The next piece.
    fn report(&self) -> InventoryReport {
        let bytes = self.bytes.chunks(self.piece_bytes).nth(self.next.into()).unwrap_or_default().to_vec();
        let Changed { type_name, schema_version, base, hash, .. } = self.changed.clone();
        InventoryReport { type_name, schema_version, base, hash, piece: self.next, pieces: self.pieces, bytes }
    }
}

/// What names of folders of collections begin with.
const COLLECTION: &str = "collection-";

/// Removes what collections have left, but for one.
fn remove_collections(folder: &Path, but: Option<&Path>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let is_one = path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(COLLECTION));
        if is_one && Some(path.as_path()) != but {
            fs::remove_dir_all(&path).unwrap_or_else(|error| tracing::warn!(%error, "what a collection has left cannot be removed"));
        }
    }
}

/// What is taken for now: trusted time, or where there is none the least that it can be. Unix milliseconds.
fn time_ms(core: &Core, now: u64) -> u64 {
    core.trusted_time_ms(now).unwrap_or_else(|| core.floor_ms())
}

/// An eighth more or less, so that a fleet does not speak at once.
fn about(interval_ms: u64) -> u64 {
    let spread_ms = (interval_ms / 4).max(1);
    (interval_ms - interval_ms / 8).saturating_add(getrandom::u64().unwrap_or(0) % spread_ms).max(1)
}

#[cfg(test)]
mod tests;
