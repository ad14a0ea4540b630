//! What was said of each type, on disk: the hash, the table, and when it was said whole.
//!
//! The file `said` is the truth, and the tables beside it count only where it names their hash. Before the first piece of a change is made the
//! type is marked as being said, and only after its last piece is durable the new table takes the place of the old one. So a power cut at any
//! moment costs at most a whole table that is said once more.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use flotilla_protocol::capability::inventory::{MAXIMUM_TYPES, is_type_name};
use flotilla_protocol::document::CUSTOM_TYPES;
use serde::{Deserialize, Serialize};

use crate::inventory::collect::{Changed, MAXIMUM_RECORD_BYTES, read_bounded, table_file};
use crate::record;
use crate::state::{replace_file, sync_folder};

/// Beyond so long a table is said whole again, in milliseconds: seven days. It mends what nobody has noticed.
const WHOLE_AGAIN_MS: u64 = 7 * 24 * 3_600_000;
/// Types that are remembered: those of now, and as many that are gone and not yet said to be.
const MAXIMUM_REMEMBERED: usize = 2 * MAXIMUM_TYPES;

/// What is known of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct SaidType {
    /// Of the table; nothing while it is being said, or after a loss.
    hash: Option<[u8; 32]>,
    /// When it was last said whole: Unix milliseconds.
    whole_at_ms: u64,
}

/// What was said.
#[derive(Debug)]
pub(super) struct Said {
    folder: PathBuf,
    types: BTreeMap<String, SaidType>,
}

impl Said {
    /// Reads it from its folder; where it is not there, or damaged, nothing was said.
    pub(super) fn open(folder: &Path) -> Self {
        let types = match read_bounded(&folder.join("said"), MAXIMUM_RECORD_BYTES) {
            Ok(bytes) => record::decode(&bytes).unwrap_or_else(|error| {
                tracing::warn!(%error, "what was said of the inventory is not known any more: it is said anew");
                BTreeMap::new()
            }),
            Err(_) => BTreeMap::new(),
        };
        Self { folder: folder.to_owned(), types }
    }

    /// The folder of the tables.
    pub(super) fn tables(&self) -> PathBuf {
        self.folder.join("tables")
    }

    /// The types, each with the hash that the next change may begin from at this time, in Unix milliseconds; nothing where it is to be said whole.
    pub(super) fn bases(&self, now_ms: u64) -> BTreeMap<String, Option<[u8; 32]>> {
        let base = |said: &SaidType| said.hash.filter(|_| now_ms.saturating_sub(said.whole_at_ms) < WHOLE_AGAIN_MS);
        self.types.iter().map(|(name, said)| (name.clone(), base(said))).collect()
    }

    /// Everything is to be said whole.
    ///
    /// # Errors
    /// It cannot be kept; in memory it is so all the same.
    pub(super) fn forget(&mut self) -> io::Result<()> {
        self.types.values_mut().for_each(|said| said.hash = None);
        if self.types.is_empty() { Ok(()) } else { self.keep() }
    }

    /// These types are to be said whole; [`CUSTOM_TYPES`] stands for all of the site's own.
    ///
    /// # Errors
    /// As [`Said::forget`].
    pub(super) fn forget_types(&mut self, types: &[String]) -> io::Result<()> {
        let has_custom = types.iter().any(|name| name == CUSTOM_TYPES);
        for (name, said) in &mut self.types {
            if types.contains(name) || (has_custom && name.starts_with("Custom:")) {
                said.hash = None;
            }
        }
        if self.types.is_empty() { Ok(()) } else { self.keep() }
    }

    /// Marks a type as being said. `false` where the change is of another base than what was said.
    ///
    /// # Errors
    /// It cannot be kept, and nothing may be said then.
    pub(super) fn begin(&mut self, changed: &Changed) -> io::Result<bool> {
        let before = self.types.get(&changed.type_name).copied();
        let is_fit = changed.base.is_none() || before.and_then(|said| said.hash) == changed.base;
        if !is_fit || !is_type_name(&changed.type_name) || (before.is_none() && self.types.len() >= MAXIMUM_REMEMBERED) {
            return Ok(false);
        }
        let whole_at_ms = before.map_or(0, |said| said.whole_at_ms);
        self.types.insert(changed.type_name.clone(), SaidType { hash: None, whole_at_ms });
        self.keep().map(|()| true)
    }

    /// All of a change is durable: what comes out of it is what was said. `from` is the collection with the new table.
    ///
    /// # Errors
    /// It cannot be kept: the type is said whole the next time.
    pub(super) fn finish(&mut self, changed: &Changed, from: &Path, now_ms: u64) -> io::Result<()> {
        let table = self.tables().join(&changed.type_name);
        if changed.is_gone {
            self.types.remove(&changed.type_name);
            drop(std::fs::remove_file(table));
            return self.keep();
        }
        std::fs::rename(table_file(from, &changed.type_name), table)?;
        sync_folder(&self.tables())?;
        let before = self.types.get(&changed.type_name).map_or(0, |said| said.whole_at_ms);
        let whole_at_ms = if changed.base.is_none() { now_ms } else { before };
        self.types.insert(changed.type_name.clone(), SaidType { hash: Some(changed.hash), whole_at_ms });
        self.keep()
    }

    fn keep(&self) -> io::Result<()> {
        let bytes = record::encode(&self.types).map_err(io::Error::other)?;
        replace_file(&self.folder.join("said"), &bytes)
    }
}
