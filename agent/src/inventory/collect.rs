//! The role collect: a process of its own gathers the inventory, compares it with what was said before, and leaves what is to be said.
//!
//! Exec gathers nothing and compresses nothing: what package databases and programs say never comes near its keys, and what a table takes of
//! memory is given back when this process ends. In the folder that exec has made lies the [`Task`]; here come, for each type that has changed,
//! the compressed change and the whole new table, and last of all the [`Done`]. Without that nothing here counts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use flotilla_protocol::capability::inventory::{self, Change, MAXIMUM_PIECES, MAXIMUM_TABLE_BYTES, MAXIMUM_TYPES, Table};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{GatherError, Gathered, Scope, gather};
use crate::job::cgroup;
use crate::process::{SupervisorError, die_with_parent};
use crate::record::{self, RecordError};
use crate::state::replace_file;

/// What is to be done, in the folder of a collection.
pub const TASK: &str = "task";
/// What was done.
pub const DONE: &str = "done";
/// Largest of these two files, in bytes.
pub const MAXIMUM_RECORD_BYTES: u64 = 256 * 1024;
/// What is kept of the reason why a type cannot be gathered, in bytes: it may quote a file of any size.
const MAXIMUM_REASON_BYTES: usize = 500;
/// How hard changes are compressed, of 10: beyond it there is nothing to be gained.
const LEVEL: u8 = 9;

/// What is to be gathered, and what was said before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// What, and from where.
    pub scope: Scope,
    /// The types that were said before, each with what was said; without that it is said whole, or once more that it is gone.
    pub said: BTreeMap<String, Option<Base>>,
    /// The folder with the tables that were said, each in the file of its type's name: postcard of the change that makes it from an empty one.
    pub tables: PathBuf,
    /// How large a compressed change may be, in bytes, so that its pieces suffice.
    pub maximum_change_bytes: u64,
    /// How much memory the process may have, in bytes.
    pub memory_bytes: u64,
}

/// What was said of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// Hash of its table; of a type that is gone that of the empty one.
    pub hash: [u8; 32],
    /// Version of its attributes.
    pub schema_version: (u32, u32),
}

/// A type that is to be said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// Its name.
    pub type_name: String,
    /// Version of its attributes.
    pub schema_version: (u32, u32),
    /// Hash of the table that is changed; nothing where the change makes a table from an empty one.
    pub base: Option<[u8; 32]>,
    /// Hash of the table that comes out.
    pub hash: [u8; 32],
}

/// What came of a [`Task`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// What has changed. The compressed change is the file [`change_file`], the new table [`table_file`].
    pub changed: Vec<Changed>,
    /// What could not be gathered, and why, for people.
    pub failed: Vec<(String, String)>,
    /// How many types were gathered.
    pub gathered: u32,
}

/// Why nothing was gathered.
#[derive(Debug, Error)]
pub enum CollectError {
    /// A file cannot be read or written.
    #[error("{} cannot be used", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What is to be done cannot be understood, or what was done not be written.
    #[error("the task of the collection cannot be used")]
    Task(#[from] RecordError),
    /// Whoever wants it is gone.
    #[error(transparent)]
    Supervisor(#[from] SupervisorError),
    /// The limits of this process cannot be set.
    #[error("the limit of the collector's memory cannot be set")]
    Limit(#[source] nix::Error),
}

/// The file of a type's compressed change.
#[must_use]
pub fn change_file(folder: &Path, type_name: &str) -> PathBuf {
    folder.join(format!("{type_name}.change"))
}

/// The file of a type's new table.
#[must_use]
pub fn table_file(folder: &Path, type_name: &str) -> PathBuf {
    folder.join(format!("{type_name}.table"))
}

/// Reads a file that is not larger than `maximum` bytes.
///
/// # Errors
/// Whatever the system says, and a larger file.
pub fn read_bounded(path: &Path, maximum: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(maximum.saturating_add(1)).read_to_end(&mut bytes)?;
    let is_within = u64::try_from(bytes.len()).is_ok_and(|length| length <= maximum);
    if is_within { Ok(bytes) } else { Err(io::ErrorKind::FileTooLarge.into()) }
}

/// Runs the role: does what the task in `folder` says. `supervisor` is the process to die with, `group` the control group that it joins.
///
/// # Errors
/// See [`CollectError`]. A type that cannot be gathered is none: that stands in [`Done`].
pub fn run(folder: &Path, supervisor: Option<u32>, group: Option<&Path>) -> Result<(), CollectError> {
    if let Some(group) = group {
        cgroup::join(group).map_err(|source| CollectError::File { path: group.to_owned(), source })?;
    }
    if let Some(supervisor) = supervisor {
        die_with_parent(supervisor, Signal::SIGKILL)?;
    }
    let path = folder.join(TASK);
    let bytes = read_bounded(&path, MAXIMUM_RECORD_BYTES).map_err(|source| CollectError::File { path, source })?;
    let task: Task = record::decode(&bytes)?;
    // Where nothing else bounds it, this does: an allocation beyond it ends the process.
    setrlimit(Resource::RLIMIT_DATA, task.memory_bytes, task.memory_bytes).map_err(CollectError::Limit)?;
    let done = collect(&task, folder)?;
    for (type_name, why) in &done.failed {
        tracing::warn!(type_name, why, "a type of the inventory cannot be gathered");
    }
    let path = folder.join(DONE);
    replace_file(&path, &record::encode(&done)?).map_err(|source| CollectError::File { path, source })
}

/// Gathers, compares and leaves in `folder` what is to be said, but for the [`Done`].
///
/// # Errors
/// A file of the folder cannot be written.
pub fn collect(task: &Task, folder: &Path) -> Result<Done, CollectError> {
    let mut collection = Collection { task, folder, done: Done::default(), seen: BTreeSet::new(), is_custom_whole: true };
    let mut outcome = Ok(());
    gather(&task.scope, |gathered| {
        if outcome.is_ok() {
            outcome = collection.take(gathered);
        }
    });
    outcome?;
    collection.say_what_is_gone()?;
    Ok(collection.done)
}

struct Collection<'t> {
    task: &'t Task,
    folder: &'t Path,
    done: Done,
    seen: BTreeSet<String>,
    /// Whether every file of the site's own could be read: only then it is known which types are gone.
    is_custom_whole: bool,
}

impl Collection<'_> {
    fn take(&mut self, Gathered { type_name, schema_version, table }: Gathered) -> Result<(), CollectError> {
        self.seen.insert(type_name.clone());
        match table {
            Ok(_) if self.seen.len() > MAXIMUM_TYPES => self.fail(type_name, format!("a node has at most {MAXIMUM_TYPES} types")),
            Ok(table) => {
                self.done.gathered += 1;
                self.compare(type_name, schema_version, &table, false)?;
            }
            Err(error) => {
                self.is_custom_whole &= !matches!(error, GatherError::Malformed { .. }) && inventory::is_type_name(&type_name);
                self.fail(type_name, with_cause(&error));
            }
        }
        Ok(())
    }

    fn fail(&mut self, type_name: String, mut why: String) {
        why.truncate(why.floor_char_boundary(MAXIMUM_REASON_BYTES));
        self.done.failed.push((type_name, why));
    }

    /// Types that were said and are gathered no longer become empty. That is said without a base, so that it holds whatever the bridge has.
    fn say_what_is_gone(&mut self) -> Result<(), CollectError> {
        let empty = Table::default().hash();
        let is_gone = |name: &String| !self.seen.contains(name) && (self.is_custom_whole || !name.starts_with("Custom:"));
        let is_unsaid = |said: &Option<Base>| said.is_none_or(|said| said.hash != empty);
        let gone = self.task.said.iter().filter(|(name, said)| is_gone(name) && is_unsaid(said));
        let gone: Vec<String> = gone.map(|(name, _)| name.clone()).collect();
        gone.into_iter().try_for_each(|type_name| self.compare(type_name, (1, 0), &Table::default(), true))
    }

    fn compare(&mut self, type_name: String, schema_version: (u32, u32), table: &Table, is_gone: bool) -> Result<(), CollectError> {
        let (hash, whole) = (table.hash(), table.whole().to_bytes());
        let said = self.task.said.get(&type_name).copied().flatten();
        // The same table under another version of its attributes is a change without rows.
        if said == Some(Base { hash, schema_version }) {
            return Ok(());
        }
        let base =
            said.filter(|_| !is_gone).and_then(|Base { hash, .. }| Some((hash, read_table(&self.task.tables.join(&type_name), hash)?)));
        let change = base.as_ref().map_or_else(|| whole.clone(), |(_, base)| table.change_from(base).to_bytes());
        let compressed = miniz_oxide::deflate::compress_to_vec(&change, LEVEL);
        if u64::try_from(compressed.len()).is_ok_and(|length| length > self.task.maximum_change_bytes) {
            self.fail(type_name, format!("its change has {} bytes, more than {MAXIMUM_PIECES} pieces hold", compressed.len()));
            return Ok(());
        }
        for (path, bytes) in [(change_file(self.folder, &type_name), &compressed), (table_file(self.folder, &type_name), &whole)] {
            replace_file(&path, bytes).map_err(|source| CollectError::File { path, source })?;
        }
        let base = base.map(|(hash, _)| hash);
        self.done.changed.push(Changed { type_name, schema_version, base, hash });
        Ok(())
    }
}

/// The table in a file, where it is the one of this hash: a damaged file only costs that the table is said whole.
fn read_table(path: &Path, hash: [u8; 32]) -> Option<Table> {
    let bytes = read_bounded(path, u64::try_from(MAXIMUM_TABLE_BYTES).ok()?).ok()?;
    if flotilla_protocol::sha256(&[&bytes]) != hash {
        return None;
    }
    Table::default().changed_by(&Change::from_bytes(&bytes).ok()?).ok()
}

/// An error with what is behind it, on one line.
pub(super) fn with_cause(error: &GatherError) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}
