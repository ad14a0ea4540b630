//! The control group under which all of a machine runs: of version 2, wherever this system has that mounted.

use crate::process;
use crate::wait;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// So long an empty group may take to be seen as empty.
const EMPTY_LIMIT: Duration = Duration::from_secs(10);
/// Machines of this process.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A group of our own; removed when it is dropped.
#[derive(Debug)]
pub(super) struct Cgroup(PathBuf);

impl Cgroup {
    /// A new, empty one.
    ///
    /// # Errors
    /// What this system lacks.
    pub(super) fn new() -> Result<Self, String> {
        let mounts = fs::read_to_string("/proc/self/mounts").map_err(|error| format!("/proc/self/mounts: {error}"))?;
        let mut lines = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let place = lines.find_map(|words| (words.get(2) == Some(&"cgroup2")).then(|| words.get(1).map(PathBuf::from))?);
        let place = place.ok_or("control groups of version 2 are not mounted")?;
        let path = place.join(format!("flotilla-machine-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir(&path).map_err(|error| format!("{} cannot be made: {error}", path.display()))?;
        let cgroup = Self(path);
        // Linux 5.14.
        if cgroup.0.join("cgroup.kill").exists() { Ok(cgroup) } else { Err("this kernel cannot kill a control group".to_owned()) }
    }

    /// The file by which a process joins it.
    pub(super) fn processes(&self) -> PathBuf {
        self.0.join("cgroup.procs")
    }

    /// Its processes and those of the groups in it.
    pub(super) fn members(&self) -> Vec<i32> {
        let files = folders(&self.0).into_iter().map(|folder| folder.join("cgroup.procs"));
        files
            .filter_map(|file| fs::read_to_string(file).ok())
            .flat_map(|text| text.lines().filter_map(|line| line.parse().ok()).collect::<Vec<_>>())
            .collect()
    }

    /// Has everything in it stand still, each process before its next instruction.
    pub(super) fn freeze(&self) {
        process::write(&self.0.join("cgroup.freeze"), b"1");
    }

    /// Kills everything in it, whether it stands still or not, and waits for a while until it is gone.
    pub(super) fn kill(&self) {
        process::write(&self.0.join("cgroup.kill"), b"1");
        wait::holds_within(EMPTY_LIMIT, || self.members().is_empty());
    }

    /// Removes the groups that its processes have made, which are gone by now, and lets those to come run.
    pub(super) fn clear(&self) {
        let is_clear = || {
            for folder in folders(&self.0).iter().filter(|folder| **folder != self.0) {
                // The innermost come first; one that is not empty yet is tried again.
                let _tried_again = fs::remove_dir(folder);
            }
            folders(&self.0).len() == 1
        };
        wait::holds_within(EMPTY_LIMIT, is_clear);
        process::write(&self.0.join("cgroup.freeze"), b"0");
    }
}

/// A folder and those in it, the innermost first.
fn folders(top: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(top) else { return Vec::new() };
    let inner = entries.filter_map(Result::ok).filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut all: Vec<PathBuf> = inner.flat_map(|entry| folders(&entry.path())).collect();
    all.push(top.to_owned());
    all
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        wait::holds_within(EMPTY_LIMIT, || fs::remove_dir(&self.0).is_ok() || !self.0.exists());
    }
}
