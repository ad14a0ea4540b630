//! The head that was seen last, one file for each fleet: what makes a log that was cut, or exchanged for an older one, show.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use flotilla_api::audit::{Hex, Remembered};

use crate::error::CliError;
use crate::state;

/// A folder of remembered heads.
#[derive(Debug)]
pub(super) struct Memory(PathBuf);

impl Memory {
    /// The folder that was named, else the usual one.
    pub(super) fn open(named: Option<&Path>) -> Result<Self, CliError> {
        Ok(Self(state::folder(named)?))
    }

    fn path(&self, fleet: Hex<8>) -> PathBuf {
        self.0.join(format!("audit-head-{fleet}.json"))
    }

    /// What is remembered of a fleet. A file that cannot be read is an error and not a fleet that was never seen.
    pub(super) fn recall(&self, fleet: Hex<8>) -> Result<Option<Remembered>, CliError> {
        let path = self.path(fleet);
        let unusable = |reason: String| CliError::Usage(format!("{} cannot be used: {reason}", path.display()));
        match fs::read(&path) {
            Ok(content) => serde_json::from_slice(&content).map(Some).map_err(|error| unusable(error.to_string())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unusable(error.to_string())),
        }
    }

    /// Remembers a head in place of the one before: whole, or not at all.
    pub(super) fn remember(&self, head: &Remembered) -> Result<(), CliError> {
        let path = self.path(head.fleet);
        let content = serde_json::to_vec_pretty(head)?;
        let written = || {
            DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
            let mut new = path.clone();
            new.set_extension(format!("json.{}", std::process::id()));
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            file.write_all(&content)?;
            file.sync_all()?;
            fs::rename(&new, &path)
        };
        written().map_err(|error: io::Error| CliError::Usage(format!("{} cannot be written: {error}", path.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_remembered_for_each_fleet_and_a_broken_file_is_not_a_fresh_start() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Memory::open(Some(&folder.path().join("new/folder"))).unwrap();
        let head = |fleet: u8, sequence| Remembered {
            fleet: Hex([fleet; 8]),
            key: Hex([2; 32]),
            root: None,
            sequence,
            hash: Hex([3; 32]),
            time_ms: 4,
        };
        assert_eq!(memory.recall(Hex([1; 8])).unwrap(), None);
        memory.remember(&head(1, 5)).unwrap();
        memory.remember(&head(1, 6)).unwrap();
        memory.remember(&head(9, 7)).unwrap();
        assert_eq!(memory.recall(Hex([1; 8])).unwrap(), Some(head(1, 6)));
        let left = fs::read_dir(folder.path().join("new/folder")).unwrap().count();
        assert_eq!(left, 2, "nothing half written is left");
        OpenOptions::new().write(true).truncate(true).open(memory.path(Hex([1; 8]))).unwrap();
        assert!(memory.recall(Hex([1; 8])).is_err());
    }
}
