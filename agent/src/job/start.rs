//! At most one start: whoever links the name `started` owns it, for ever.
//!
//! The lock is taken on the nameless file first, so that nobody ever sees `started` unlocked while its job lives.
//!
//! Nothing is synchronised to the disk here. The name only decides between processes of one boot, which share the page cache; that an order
//! was about to start is in the journal, durably, and in a later boot exec does not start it under this name, whatever the folder says
//! (decision 7). What goes on after a reboot that it asked for has another name (decision 14).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use thiserror::Error;

use super::folder::JobFolder;
use super::spec::Started;
use crate::clock;
use crate::record;

/// The process of a start that was only taken away: no process has this number.
pub const NOBODY: u32 = 0;

/// Why this process does not own the start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The name is linked: the order was started, by another process or before.
    #[error("the order was started before; nothing was run")]
    AlreadyStarted,
    /// The start cannot be recorded: nothing is run then.
    #[error("the start cannot be recorded in {}", .folder.display())]
    Unrecorded {
        /// The job's folder.
        folder: std::path::PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The ownership of a start; its lock ends with this process.
#[derive(Debug)]
pub struct Claim {
    /// Closed on exec, so that no step holds the lock.
    _locked: File,
}

/// Takes the start of a folder.
///
/// # Errors
/// See [`StartError`]. After [`StartError::Unrecorded`] the name may be linked: then the order counts as started.
pub fn claim(folder: &JobFolder) -> Result<Claim, StartError> {
    claim_for(folder, std::process::id())
}

/// Takes the start of a folder so that nothing ever runs: whoever looks sees that it was nobody's.
///
/// # Errors
/// As [`claim`].
pub fn forbid(folder: &JobFolder) -> Result<(), StartError> {
    claim_for(folder, NOBODY).map(drop)
}

fn claim_for(folder: &JobFolder, pid: u32) -> Result<Claim, StartError> {
    // The usual case of a second start, without leaving anything behind.
    if folder.started().exists() {
        return Err(StartError::AlreadyStarted);
    }
    try_claim(folder, pid).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => StartError::AlreadyStarted,
        _ => StartError::Unrecorded { folder: folder.path().to_owned(), source },
    })
}

fn try_claim(folder: &JobFolder, pid: u32) -> io::Result<Claim> {
    let started = Started { pid, boot: clock::boot_id()? };
    let temporary = folder.path().join(format!("start-{:016x}", getrandom::u64().map_err(io::Error::other)?));
    let claimed = link_locked(&temporary, &record::encode(&started).map_err(io::Error::other)?, &folder.started());
    // The name has done its work, whatever came of it.
    fs::remove_file(&temporary)?;
    Ok(Claim { _locked: claimed? })
}

fn link_locked(temporary: &Path, content: &[u8], name: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(temporary)?;
    file.try_lock()?;
    file.write_all(content)?;
    fs::hard_link(temporary, name)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_belongs_to_whoever_links_it_first() {
        let folder = tempfile::tempdir().unwrap();
        let (name, first, second) = (folder.path().join("started"), folder.path().join("a"), folder.path().join("b"));
        let locked = link_locked(&first, b"first", &name).unwrap();
        // Not even with a look at the name just before: both may have looked.
        let error = link_locked(&second, b"second", &name).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&name).unwrap(), b"first");
        assert!(File::open(&name).unwrap().try_lock().is_err(), "locked from its first moment");
        drop(locked);
        assert!(File::open(&name).unwrap().try_lock().is_ok(), "until its owner is gone");
    }
}
