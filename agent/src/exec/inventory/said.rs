//! What was said of each type, on disk: the hash, the table, the version, and when it was said whole; and whether a command waits for it.
//!
//! The file `said` is the truth, and the tables beside it count only where it names their hash. Before the first piece of a change is made the
//! type is marked as being said, and only after its last piece is durable the new table takes the place of the old one. So a power cut at any
//! moment costs at most a whole table that is said once more.
//!
//! A type that is gathered no longer leaves a tombstone, the empty table: whatever has all tables said again has that said again, too. Where the
//! file is lost the tables beside it still tell which types there were.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use flotilla_protocol::capability::inventory::{MAXIMUM_TYPES, Table, is_type_name};
use flotilla_protocol::document::CUSTOM_TYPES;
use serde::{Deserialize, Serialize};

use crate::inventory::collect::{Base, Changed, MAXIMUM_RECORD_BYTES, read_bounded, table_file};
use crate::record;
use crate::state::{make_folder, replace_file, sync_folder};

/// Beyond so long a table is said whole again, in milliseconds: seven days. It mends what nobody has noticed.
const WHOLE_AGAIN_MS: u64 = 7 * 24 * 3_600_000;
/// Types that are remembered: those of now, and as many that are gone.
const MAXIMUM_REMEMBERED: usize = 2 * MAXIMUM_TYPES;
/// Of these, types that are gone and were said to be: beyond it those that have been gone longest are forgotten.
const MAXIMUM_TOMBSTONES: usize = MAXIMUM_TYPES;

/// What is known of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct SaidType {
    /// Nothing while it is being said, or after a loss.
    base: Option<Base>,
    /// When it was last said whole: Unix milliseconds.
    whole_at_ms: u64,
}

/// The file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    types: BTreeMap<String, SaidType>,
    /// Whether a command has asked for an inventory, and all of it is not said yet.
    is_asked: bool,
}

/// What was said.
#[derive(Debug)]
pub(super) struct Said {
    folder: PathBuf,
    kept: Kept,
}

impl Said {
    /// Reads it from its folder; where it is not there, or damaged, everything is to be said whole.
    pub(super) fn open(folder: &Path) -> Self {
        let read = read_bounded(&folder.join("said"), MAXIMUM_RECORD_BYTES);
        let kept = read.ok().and_then(|bytes| {
            record::decode(&bytes)
                .inspect_err(|error| tracing::warn!(%error, "what was said of the inventory is not known any more: it is said anew"))
                .ok()
        });
        let mut said = Self { folder: folder.to_owned(), kept: Kept::default() };
        said.kept = kept.unwrap_or_else(|| Kept { types: said.types_of_tables(), is_asked: false });
        said
    }

    /// The types that have a table: something was said of them.
    fn types_of_tables(&self) -> BTreeMap<String, SaidType> {
        let Ok(entries) = std::fs::read_dir(self.tables()) else { return BTreeMap::new() };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).filter(|name| is_type_name(name));
        names.take(MAXIMUM_REMEMBERED).map(|name| (name, SaidType { base: None, whole_at_ms: 0 })).collect()
    }

    /// Whether a command has asked for an inventory that is not said yet.
    pub(super) fn is_asked(&self) -> bool {
        self.kept.is_asked
    }

    /// What a command has asked for is said.
    ///
    /// # Errors
    /// It cannot be kept: after a restart it is gathered once more.
    pub(super) fn answered(&mut self) -> io::Result<()> {
        self.kept.is_asked = false;
        self.keep()
    }

    /// The folder of the tables.
    pub(super) fn tables(&self) -> PathBuf {
        self.folder.join("tables")
    }

    /// The types, each with what the next change may begin from at this time, in Unix milliseconds; nothing where it is to be said whole. What
    /// was said whole long after now was said by a clock that was wrong.
    pub(super) fn bases(&self, now_ms: u64) -> BTreeMap<String, Option<Base>> {
        let base = |said: &SaidType| said.base.filter(|_| now_ms.abs_diff(said.whole_at_ms) < WHOLE_AGAIN_MS);
        self.kept.types.iter().map(|(name, said)| (name.clone(), base(said))).collect()
    }

    /// Everything is to be said whole.
    ///
    /// # Errors
    /// It cannot be kept; in memory it is so all the same.
    pub(super) fn forget(&mut self) -> io::Result<()> {
        self.kept.types.values_mut().for_each(|said| said.base = None);
        if self.kept.types.is_empty() { Ok(()) } else { self.keep() }
    }

    /// A command asks for an inventory, in which these types are to be said whole.
    ///
    /// # Errors
    /// As [`Said::forget`].
    pub(super) fn ask(&mut self, types: &[String]) -> io::Result<()> {
        self.kept.is_asked = true;
        let asked = self.kept.types.iter_mut().filter(|(name, _)| is_among(types, name));
        asked.for_each(|(_, said)| said.base = None);
        // A command may come before the first collection.
        make_folder(&self.folder).map_err(io::Error::other)?;
        self.keep()
    }

    /// Marks a type as being said. `false` where the change is of another base than what was said.
    ///
    /// # Errors
    /// It cannot be kept, and nothing may be said then.
    pub(super) fn begin(&mut self, changed: &Changed) -> io::Result<bool> {
        let before = self.kept.types.get(&changed.type_name).copied();
        let is_fit = changed.base.is_none() || before.and_then(|said| said.base).map(|base| base.hash) == changed.base;
        if !is_fit || !is_type_name(&changed.type_name) {
            return Ok(false);
        }
        if before.is_none() && self.kept.types.len() >= MAXIMUM_REMEMBERED {
            let tombstones = self.tombstones().len();
            self.bury(tombstones.saturating_sub(1));
            if self.kept.types.len() >= MAXIMUM_REMEMBERED {
                return Ok(false);
            }
        }
        let whole_at_ms = before.map_or(0, |said| said.whole_at_ms);
        self.kept.types.insert(changed.type_name.clone(), SaidType { base: None, whole_at_ms });
        self.keep().map(|()| true)
    }

    /// All of a change is durable: what comes out of it is what was said. `from` is the collection with the new table.
    ///
    /// # Errors
    /// It cannot be kept: the type is said whole the next time.
    pub(super) fn finish(&mut self, changed: &Changed, from: &Path, now_ms: u64) -> io::Result<()> {
        std::fs::rename(table_file(from, &changed.type_name), self.tables().join(&changed.type_name))?;
        sync_folder(&self.tables())?;
        let before = self.kept.types.get(&changed.type_name).map_or(0, |said| said.whole_at_ms);
        let whole_at_ms = if changed.base.is_none() { now_ms } else { before };
        let base = Some(Base { hash: changed.hash, schema_version: changed.schema_version });
        self.kept.types.insert(changed.type_name.clone(), SaidType { base, whole_at_ms });
        self.bury(MAXIMUM_TOMBSTONES);
        self.keep()
    }

    /// The types that were said to be empty, as those that are gone are, each with when that was; the longest first.
    fn tombstones(&self) -> Vec<(u64, String)> {
        let empty = Table::default().hash();
        let tombstones = self.kept.types.iter().filter(|(_, said)| said.base.is_some_and(|base| base.hash == empty));
        let mut tombstones: Vec<(u64, String)> = tombstones.map(|(name, said)| (said.whole_at_ms, name.clone())).collect();
        tombstones.sort_unstable();
        tombstones
    }

    /// Forgets such types, the longest first, until there are so many.
    fn bury(&mut self, maximum: usize) {
        let tombstones = self.tombstones();
        for (_, name) in tombstones.iter().take(tombstones.len().saturating_sub(maximum)) {
            self.kept.types.remove(name);
            // Without it nobody misses anything: with a file `said` that is lost, the type is said to be gone once more.
            drop(std::fs::remove_file(self.tables().join(name)));
        }
    }

    fn keep(&self) -> io::Result<()> {
        let bytes = record::encode(&self.kept).map_err(io::Error::other)?;
        replace_file(&self.folder.join("said"), &bytes)
    }
}

/// Whether a type is among these; [`CUSTOM_TYPES`] stands for all of the site's own.
pub(super) fn is_among(types: &[String], type_name: &str) -> bool {
    types.iter().any(|name| name == type_name || (name == CUSTOM_TYPES && type_name.starts_with("Custom:")))
}
