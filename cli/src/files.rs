//! Files of keys and trust: secrets 0600 in folders of 0700, written whole or not at all, and never in the place of another.
//!
//! A file is written under another name in its own folder, brought to the disk, given its name, and the folder is brought to the disk too: whoever
//! cuts the power leaves the old state or the new one, and perhaps a file `.NAME.….new` that means nothing.

use std::fs::{self, DirBuilder, File, OpenOptions};
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
    if is_there(path) {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    write_beside(path, content, mode, |beside| match fs::hard_link(beside, path) {
        Ok(()) => fs::remove_file(beside),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        // A memory stick has no links; there two that write at one moment are not told apart.
        Err(_) if !is_there(path) => fs::rename(beside, path),
        Err(error) => Err(error),
    })
}

/// Whether a name is taken, be it by a link that leads nowhere.
fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Writes a file under another name in the same folder, has `name` give it its own, and brings both to the disk.
fn write_beside(path: &Path, content: &[u8], mode: u32, name: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let file_name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let mut beside = std::ffi::OsString::from(".");
    beside.push(file_name);
    beside.push(format!(".{:016x}.new", u64::from_be_bytes(random)));
    let beside = path.with_file_name(beside);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
    let named = file.write_all(content).and_then(|()| file.sync_all()).and_then(|()| name(&beside));
    if named.is_err() {
        drop(fs::remove_file(&beside));
    }
    named?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    File::open(folder)?.sync_all()
}

/// Puts a file that everybody may read in the place of the one that is there, if one is; the old or the new one is there at any moment.
pub(crate) fn replace_public(path: &Path, content: &[u8]) -> io::Result<()> {
    write_beside(path, content, 0o644, |beside| fs::rename(beside, path))
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_made_once_or_replaced_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let (secret, public) = (folder.path().join("key"), folder.path().join("bundle"));
        create_secret(&secret, b"one").unwrap();
        assert_eq!(create_secret(&secret, b"two").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(read_secret(&secret).unwrap().as_slice(), b"one");
        create_public(&public, b"one").unwrap();
        replace_public(&public, b"two").unwrap();
        assert_eq!(read(&public).unwrap(), b"two");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&secret), mode(&public) & 0o600), (0o600, 0o600));
        // A link that leads nowhere is somebody's file too.
        std::os::unix::fs::symlink("nowhere", folder.path().join("link")).unwrap();
        assert_eq!(create_public(&folder.path().join("link"), b"x").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        // What has no place for a name leaves nothing.
        fs::create_dir(folder.path().join("taken")).unwrap();
        replace_public(&folder.path().join("taken"), b"x").unwrap_err();
        assert_eq!(names(folder.path()), ["bundle", "key", "link", "taken"]);
    }
}
