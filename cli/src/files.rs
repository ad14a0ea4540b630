//! Files of keys and trust: secrets 0600 in folders of 0700, written whole or not at all, and never in the place of another.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use zeroize::Zeroizing;

/// Largest file that is read, in bytes: keys, bundles and signatures are far smaller.
const MAXIMUM_FILE_BYTES: u64 = 128 * 1024;

/// Makes a new file that only its owner may read.
pub(crate) fn create_secret(path: &Path, content: &[u8]) -> io::Result<()> {
    create(path, content, 0o600)
}

/// Makes a new file that everybody may read.
pub(crate) fn create_public(path: &Path, content: &[u8]) -> io::Result<()> {
    create(path, content, 0o644)
}

fn create(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    if written.is_err() {
        // Half a file would be in the way of the next attempt, and is of no use.
        drop(std::fs::remove_file(path));
    }
    written
}

/// Puts a file that everybody may read in the place of the one that is there, if one is; the old or the new one is there at any moment.
pub(crate) fn replace_public(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidFilename))?.to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let beside = path.with_file_name(name);
    create_public(&beside, content)?;
    std::fs::rename(&beside, path)
}

/// Makes a folder that only its owner may enter, with the folders above it; one that is there stays as it is.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Reads a file that is no secret.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    bounded(File::open(path)?)
}

/// Reads the standard input to its end.
pub(crate) fn read_input() -> io::Result<Vec<u8>> {
    bounded(io::stdin().lock())
}

/// Reads a secret; a file that others may read is refused, since it is none any more.
pub(crate) fn read_secret(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() && metadata.mode() & 0o077 != 0 {
        let advice = format!("others can read it; run: chmod 600 {}", path.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, advice));
    }
    bounded(file).map(Zeroizing::new)
}

fn bounded(file: impl io::Read) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.take(MAXIMUM_FILE_BYTES + 1).read_to_end(&mut content)?;
    if u64::try_from(content.len()).is_ok_and(|length| length <= MAXIMUM_FILE_BYTES) {
        Ok(content)
    } else {
        Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than any key or bundle"))
    }
}
