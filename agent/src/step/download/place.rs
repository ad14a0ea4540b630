//! Where content goes: bounded, under no name until it is complete, and then under its own.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};

use nix::fcntl::{AT_FDCWD, AtFlags, OFlag};
use nix::unistd::linkat;
use sha2::{Digest as _, Sha256};

use super::{DownloadError, MAXIMUM_ENTRIES};

/// Mode of what was downloaded, as SSM's agent sets it: scripts can be run.
const FILE_MODE: u32 = 0o700;
/// Mode of folders that are made for it.
const FOLDER_MODE: u32 = 0o700;
/// Piece in which content is taken.
const PIECE_BYTES: usize = 64 * 1024;

/// How much may still come.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: u64,
    bytes_left: u64,
    entries_left: u64,
}

impl Budget {
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit, bytes_left: limit, entries_left: MAXIMUM_ENTRIES }
    }

    /// Takes bytes away.
    pub(crate) fn take_bytes(&mut self, bytes: u64) -> Result<(), DownloadError> {
        self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or(DownloadError::TooLarge { limit: self.limit })?;
        Ok(())
    }

    /// Takes a file or folder away.
    pub(crate) fn take_entry(&mut self) -> Result<(), DownloadError> {
        self.entries_left = self.entries_left.checked_sub(1).ok_or(DownloadError::TooMany)?;
        Ok(())
    }

    /// Refuses before anything was taken.
    pub(crate) fn foresee(&self, bytes: u64) -> Result<(), DownloadError> {
        if bytes > self.bytes_left { Err(DownloadError::TooLarge { limit: self.limit }) } else { Ok(()) }
    }

    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }
}

/// The path of a file with a name of its own: in the destination if that is a folder or ends in `/`, else the destination itself.
pub(crate) fn target(destination: &str, name: &str) -> PathBuf {
    let path = Path::new(destination);
    if destination.is_empty() || destination.ends_with('/') || path.is_dir() { folder(destination).join(name) } else { path.to_owned() }
}

/// The destination as a folder.
pub(crate) fn folder(destination: &str) -> PathBuf {
    PathBuf::from(if destination.is_empty() { "." } else { destination })
}

/// A path as people read it.
pub(crate) fn shown(path: &Path) -> &Path {
    path.strip_prefix(".").ok().filter(|rest| !rest.as_os_str().is_empty()).unwrap_or(path)
}

/// A path below the destination: names, and nothing that leads elsewhere.
pub(crate) fn relative(text: &str) -> Result<PathBuf, DownloadError> {
    let path = Path::new(text);
    let sound = !text.is_empty() && !text.contains('\0') && path.components().all(|part| matches!(part, Component::Normal(_)));
    if sound { Ok(path.to_owned()) } else { Err(DownloadError::Name(text.to_owned())) }
}

/// Makes a folder with those above it.
pub(crate) fn make_folder(path: &Path) -> Result<(), DownloadError> {
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path).map_err(write_error(path))
}

pub(crate) fn write_error(path: &Path) -> impl Fn(io::Error) -> DownloadError {
    move |source| DownloadError::Write { path: path.to_owned(), source }
}

/// The folder that holds a path.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// A file that is coming. It has no name, so that nothing is left of it when this process is killed; where the file system cannot do that
/// it has the name for what is not complete.
#[derive(Debug)]
pub(crate) struct Incoming {
    path: PathBuf,
    partial: PathBuf,
    is_named: bool,
    file: File,
    hash: Sha256,
}

impl Incoming {
    /// Begins a file, with the folders above it.
    pub(crate) fn create(path: &Path, partial: &str, budget: &mut Budget) -> Result<Self, DownloadError> {
        budget.take_entry()?;
        let folder = parent(path);
        make_folder(folder)?;
        if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
            return Err(write_error(path)(io::ErrorKind::IsADirectory.into()));
        }
        let partial = folder.join(partial);
        let nameless = OpenOptions::new().write(true).mode(0o600).custom_flags(OFlag::O_TMPFILE.bits()).open(folder);
        let (file, is_named) = match nameless {
            Ok(file) => (file, false),
            Err(_) => {
                let named = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial);
                (named.map_err(write_error(&partial))?, true)
            }
        };
        Ok(Self { path: path.to_owned(), partial, is_named, file, hash: Sha256::new() })
    }

    /// Adds a piece.
    pub(crate) fn write(&mut self, piece: &[u8], budget: &mut Budget) -> Result<(), DownloadError> {
        budget.take_bytes(u64::try_from(piece.len()).unwrap_or(u64::MAX))?;
        self.hash.update(piece);
        self.file.write_all(piece).map_err(write_error(&self.path))
    }

    /// Adds everything that comes; how many bytes that was. `failed` makes an error of the reader's.
    pub(crate) fn write_all_of(
        &mut self,
        mut reader: impl Read,
        budget: &mut Budget,
        failed: impl Fn(io::Error) -> DownloadError,
    ) -> Result<u64, DownloadError> {
        let mut piece = vec![0; PIECE_BYTES];
        let mut received = 0_u64;
        loop {
            let count = match reader.read(&mut piece) {
                Ok(0) => return Ok(received),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(failed(error)),
            };
            self.write(piece.get(..count).unwrap_or_default(), budget)?;
            received = received.saturating_add(u64::try_from(count).unwrap_or(0));
        }
    }

    /// Gives the file its name, once it is on the disk and is what it should be. What had the name before is replaced.
    pub(crate) fn finish(mut self, sha256: Option<[u8; 32]>) -> Result<(), DownloadError> {
        let found: [u8; 32] = std::mem::take(&mut self.hash).finalize().into();
        if let Some(expected) = sha256.filter(|expected| *expected != found) {
            return Err(DownloadError::Sha256 { expected: hex(&expected), found: hex(&found) });
        }
        self.publish().map_err(write_error(&self.path))
    }

    fn publish(&mut self) -> io::Result<()> {
        self.file.set_permissions(Permissions::from_mode(FILE_MODE))?;
        self.file.sync_all()?;
        if !self.is_named {
            let own = PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()));
            linkat(AT_FDCWD, &own, AT_FDCWD, &self.partial, AtFlags::AT_SYMLINK_FOLLOW)?;
            self.is_named = true;
        }
        fs::rename(&self.partial, &self.path)?;
        self.is_named = false;
        File::open(parent(&self.path))?.sync_all()
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if self.is_named
            && let Err(error) = fs::remove_file(&self.partial)
        {
            tracing::warn!(path = %self.partial.display(), %error, "what is not complete cannot be removed");
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
