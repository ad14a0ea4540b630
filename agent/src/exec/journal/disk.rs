//! The few calls to the disk that the journal makes, so that tests can put a disk under it that fails or loses power at any of them.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::is_damage;
use crate::state::sync_folder;

/// Piece in which zeros are written, in bytes.
const ZEROS_BYTES: usize = 64 * 1024;
/// What the medium does not give is asked for so often: a loss of memory ends every command that was taken, and an error may pass.
const READ_TRIES: usize = 3;
/// Pause between two of these, at a start and in the way of nobody.
const READ_PAUSE: Duration = Duration::from_millis(100);

/// Files in one folder, by name. All names are constants of the journal's.
pub(super) trait Disk: Debug + Send {
    /// A whole file; nothing when there is none.
    ///
    /// # Errors
    /// Whatever the file system says; [`io::ErrorKind::FileTooLarge`] for one of more than `maximum` bytes.
    fn read(&mut self, name: &str, maximum: u64) -> io::Result<Option<Vec<u8>>>;

    /// Whether there is such a file.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn exists(&mut self, name: &str) -> io::Result<bool>;

    /// Makes a file this long and has its length on disk. What is added is written as zeros, so that later writes need no space and change
    /// no metadata.
    ///
    /// # Errors
    /// The file is then as long as before.
    fn resize(&mut self, name: &str, length: u64) -> io::Result<()>;

    /// Writes within a file.
    ///
    /// # Errors
    /// Some of it may be written then.
    fn write_at(&mut self, name: &str, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// Has everything that was written to a file on disk.
    ///
    /// # Errors
    /// What was written since the last success may never come to the disk, and later calls may succeed all the same. The file must be
    /// written anew, after [`Disk::close`].
    fn sync(&mut self, name: &str) -> io::Result<()>;

    /// Lets go of a file; the next call opens it anew.
    fn close(&mut self, name: &str);

    /// Gives a file another name, in the place of whatever has that.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file, if it is there.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn remove(&mut self, name: &str) -> io::Result<()>;

    /// Has all names on disk.
    ///
    /// # Errors
    /// Whatever the file system says.
    fn sync_names(&mut self) -> io::Result<()>;
}

/// A real folder. Names may lie one folder deeper.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    open: BTreeMap<String, File>,
}

impl Folder {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), open: BTreeMap::new() }
    }

    fn file(&mut self, name: &str) -> io::Result<&File> {
        if !self.open.contains_key(name) {
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(self.path.join(name))?;
            self.open.insert(name.to_owned(), file);
        }
        self.open.get(name).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Disk for Folder {
    fn read(&mut self, name: &str, maximum: u64) -> io::Result<Option<Vec<u8>>> {
        let path = self.path.join(name);
        tried_again(|| read_file(&path, maximum), || std::thread::sleep(READ_PAUSE))
    }

    fn exists(&mut self, name: &str) -> io::Result<bool> {
        self.path.join(name).try_exists()
    }

    fn resize(&mut self, name: &str, length: u64) -> io::Result<()> {
        let file = self.file(name)?;
        let before = file.metadata()?.len();
        let grown = grow(file, before, length).and_then(|()| file.set_len(length)).and_then(|()| file.sync_all());
        if grown.is_err() {
            // The space is given back; what cannot be cut off is written over the next time.
            file.set_len(before.min(length)).unwrap_or_else(|error| tracing::debug!(name, %error, "a file cannot be cut"));
        }
        grown
    }

    fn write_at(&mut self, name: &str, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.file(name)?.write_all_at(bytes, at)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        self.file(name)?.sync_data()
    }

    fn close(&mut self, name: &str) {
        self.open.remove(name);
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.close(from);
        self.close(to);
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.close(name);
        match std::fs::remove_file(self.path.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn sync_names(&mut self) -> io::Result<()> {
        sync_folder(&self.path.join(super::FOLDER))?;
        sync_folder(&self.path)
    }
}

/// Reads until that succeeds, fails for another reason than the medium's, or has failed [`READ_TRIES`] times.
fn tried_again<T>(mut read: impl FnMut() -> io::Result<T>, mut pause: impl FnMut()) -> io::Result<T> {
    for _ in 1..READ_TRIES {
        match read() {
            // A file that is too long stays so.
            Err(error) if is_damage(&error) && error.kind() != io::ErrorKind::FileTooLarge => pause(),
            done => return done,
        }
    }
    read()
}

fn read_file(path: &Path, maximum: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(maximum + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > maximum) {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(Some(bytes))
}

/// Zeros are written and not only asked for: blocks that are merely reserved change the file's metadata when they are first written.
fn grow(file: &File, from: u64, to: u64) -> io::Result<()> {
    let zeros = vec![0; ZEROS_BYTES];
    let mut at = from;
    while at < to {
        let count = usize::try_from(to - at).unwrap_or(ZEROS_BYTES).min(ZEROS_BYTES);
        file.write_all_at(zeros.get(..count).unwrap_or(&zeros), at)?;
        at += u64::try_from(count).unwrap_or(0);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_medium_that_passes_is_no_damage() {
        let broken = || io::Error::from(nix::Error::EIO);
        let tried = |fails: usize, error: &dyn Fn() -> io::Error| {
            let (mut tries, mut pauses) = (0, 0);
            let read = || {
                tries += 1;
                if tries <= fails { Err(error()) } else { Ok(()) }
            };
            let is_read = tried_again(read, || pauses += 1).is_ok();
            (is_read, tries, pauses)
        };
        assert_eq!(tried(0, &broken), (true, 1, 0));
        assert_eq!(tried(READ_TRIES - 1, &broken), (true, READ_TRIES, READ_TRIES - 1));
        assert_eq!(tried(READ_TRIES, &broken), (false, READ_TRIES, READ_TRIES - 1), "it stays so");
        for other in [io::ErrorKind::FileTooLarge, io::ErrorKind::PermissionDenied] {
            assert_eq!(tried(1, &|| other.into()), (false, 1, 0), "trying again says nothing more");
        }
    }
}
