//! Files as the bridge wants them: secrets 0600, folders 0700, written whole or not at all, and durable when done.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use zeroize::Zeroizing;

/// Largest file that [`read_secret`] and [`read`] take, in bytes: keys, certificates and bundles are far smaller.
pub const MAXIMUM_FILE_BYTES: u64 = 1024 * 1024;

/// Makes a new file that only its owner may read, and has it on disk before it returns.
///
/// # Errors
/// The file exists already, or the system refuses.
pub fn create_secret(path: &Path, content: &[u8]) -> io::Result<()> {
    create(path, content, 0o600)
}

/// Makes a new file that everybody may read, and has it on disk before it returns.
///
/// # Errors
/// The file exists already, or the system refuses.
pub fn create_public(path: &Path, content: &[u8]) -> io::Result<()> {
    create(path, content, 0o644)
}

fn create(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Puts a file in the place of whatever is there: after a cut at any moment it is wholly old or wholly new, and it is on disk before this
/// returns.
///
/// # Errors
/// The system refuses; the old file is then still there.
pub fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
    let folder = path.parent().ok_or_else(invalid)?;
    let mut name = path.file_name().ok_or_else(invalid)?.to_owned();
    name.push(".new");
    let beside = folder.join(name);
    remove(&beside)?;
    create(&beside, content, mode)?;
    std::fs::rename(&beside, path)?;
    sync_folder(folder)
}

/// Removes a file where it is there, for good.
///
/// # Errors
/// The system refuses.
pub fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => path.parent().map_or(Ok(()), sync_folder),
    }
}

/// Makes a new folder that only its owner may enter.
///
/// # Errors
/// The folder exists already, or the system refuses.
pub fn create_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// Has the names in a folder on disk.
///
/// # Errors
/// What the system says.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Reads a secret.
///
/// # Errors
/// Others than the owner may read the file, it is larger than [`MAXIMUM_FILE_BYTES`], or the system refuses.
pub fn read_secret(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = File::open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("{} can be read by others; run: chmod 600 {}", path.display(), path.display()),
        ));
    }
    read_bounded(file, path).map(Zeroizing::new)
}

/// Reads a file that is no secret.
///
/// # Errors
/// The file is larger than [`MAXIMUM_FILE_BYTES`], or the system refuses.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    read_bounded(File::open(path)?, path)
}

fn read_bounded(file: File, path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.take(MAXIMUM_FILE_BYTES + 1).read_to_end(&mut content)?;
    if u64::try_from(content.len()).is_ok_and(|length| length <= MAXIMUM_FILE_BYTES) {
        Ok(content)
    } else {
        Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("{} is larger than {MAXIMUM_FILE_BYTES} bytes", path.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once_and_only_its_owner_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        create_secret(&path, b"abc").unwrap();
        assert_eq!(read_secret(&path).unwrap().as_slice(), b"abc");
        assert_eq!(create_secret(&path, b"other").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(read_secret(&path).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(read(&path).unwrap(), b"abc");
    }
}
