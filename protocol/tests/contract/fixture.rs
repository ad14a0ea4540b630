//! Messages as text files: hexadecimal, 32 bytes a line, so that a change of one byte is a change of one line.
//!
//! With `FLOTILLA_WRITE_GOLDEN=1` a missing file is written; one that exists is never touched. To change a message of a
//! version that is not frozen, delete its file first.

use std::path::{Path, PathBuf};

/// The folder of the crate.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let line = |line: &[u8]| line.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n";
    bytes.chunks(32).map(line).collect()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

/// The content of a file, which is written now if it may be.
#[expect(clippy::disallowed_methods, reason = "a fixture is written by hand and looked at before it is committed")]
pub(crate) fn read_or_write(path: &Path, content: &str) -> String {
    if !path.exists() && std::env::var_os("FLOTILLA_WRITE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let missing = "write it with FLOTILLA_WRITE_GOLDEN=1 and look at it before you commit it";
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}; {missing}", path.display()))
}

/// All files below a folder, as paths from there, sorted.
pub(crate) fn files_below(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}
