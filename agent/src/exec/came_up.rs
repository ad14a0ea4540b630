//! The word for what watches over versions from outside: this one has come up.
//!
//! A version has come up when the bridge has welcomed it once. From then on the guard (`cross/package/guard`) does not fall back from it to the
//! version before, whatever happens.

use crate::state::{Layout, write_atomically};

/// This build's version, as packages name it.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Writes this build's version into `exec/came-up`, where another one stands, and says whether it stands there now.
pub(super) fn note(layout: &Layout) -> bool {
    let path = layout.exec("came-up");
    let text = format!("{VERSION}\n");
    // Once for a version, and not at each start: flash wears out.
    if std::fs::read(&path).is_ok_and(|there| there == text.as_bytes()) {
        return true;
    }
    match write_atomically(&path, text.as_bytes()) {
        Ok(()) => {
            tracing::info!(version = VERSION, "this version has come up");
            true
        }
        Err(error) => {
            tracing::warn!(%error, "it cannot be noted that this version has come up; until it is, failures lead back to the version before");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn the_version_is_written_once_and_over_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::in_folder(folder.path());
        assert!(!note(&layout), "there is no folder for it");
        std::fs::create_dir(folder.path().join("exec")).unwrap();
        let path = folder.path().join("exec/came-up");
        write_atomically(&path, b"0.0.1\n").unwrap();
        assert!(note(&layout));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{VERSION}\n"));
        let first = std::fs::metadata(&path).unwrap().ino();
        assert!(note(&layout));
        assert_eq!(std::fs::metadata(&path).unwrap().ino(), first, "it is not written again");
    }
}
