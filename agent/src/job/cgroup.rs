//! Without systemd: a control group for each job, where the kernel has version 2 of them (cgroups(7)).
//!
//! The job joins its group before it does anything else, so everything that it starts is in it, and cannot leave it: also a program that has
//! left its process group and its session. Exec makes the group and, when the job has ended, kills what is still in it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::profile::Limits;

/// Where distributions mount the hierarchy.
pub const MOUNT: &str = "/sys/fs/cgroup";
/// Our part of it.
const OWN: &str = "flotilla";
/// What the limits need.
const CONTROLLERS: [&str; 2] = ["memory", "pids"];
/// How often a group that was killed is looked at until it is empty, and the pause between two looks.
const KILL_ROUNDS: usize = 100;
const KILL_PAUSE: Duration = Duration::from_millis(10);

/// The control groups of all jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroups {
    folder: PathBuf,
    /// The controllers that are not to be had: without them there are no limits.
    missing: Vec<&'static str>,
}

impl Cgroups {
    /// Prepares our part of the hierarchy that is mounted at `mount`.
    ///
    /// # Errors
    /// It is no version 2, or this process may not write there.
    pub fn prepare(mount: &Path) -> io::Result<Self> {
        // It is in every group of version 2, and in none of version 1.
        fs::metadata(mount.join("cgroup.controllers"))?;
        let folder = mount.join(OWN);
        match fs::create_dir(&folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let is_missing = |controller: &&str| {
            let enabled =
                [mount, &folder].into_iter().try_for_each(|group| write(&group.join("cgroup.subtree_control"), &format!("+{controller}")));
            enabled.is_err()
        };
        let missing = CONTROLLERS.into_iter().filter(is_missing).collect();
        Ok(Self { folder, missing })
    }

    /// The controllers that are not to be had.
    #[must_use]
    pub fn missing(&self) -> &[&'static str] {
        &self.missing
    }

    /// Makes the group of a job, or finds it, and says where it is.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn make(&self, job: &str, limits: &Limits) -> io::Result<PathBuf> {
        let group = self.folder.join(job);
        match fs::create_dir(&group) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        for (controller, file, limit) in [("memory", "memory.max", limits.memory_bytes), ("pids", "pids.max", limits.tasks)] {
            if !self.missing.contains(&controller) {
                write(&group.join(file), &limit.to_string())?;
            }
        }
        Ok(group)
    }

    /// Kills what is still in the group of a job, and removes it. Blocks for at most a second.
    ///
    /// # Errors
    /// Something in it does not end, or the kernel refuses. A group that is not there is no error.
    pub fn end(&self, job: &str) -> io::Result<()> {
        let group = self.folder.join(job);
        for _ in 0..KILL_ROUNDS {
            match fs::remove_dir(&group) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                // Processes are in it, or folders of groups that a step has made.
                Err(error) if matches!(error.kind(), io::ErrorKind::ResourceBusy | io::ErrorKind::DirectoryNotEmpty) => {}
                done => return done,
            }
            if write(&group.join("cgroup.kill"), "1").is_err() {
                // A kernel before 5.14.
                kill_each(&group);
            }
            remove_below(&group);
            std::thread::sleep(KILL_PAUSE);
        }
        fs::remove_dir(&group)
    }
}

/// Has this process, and all that it will start, in a group.
///
/// # Errors
/// The kernel refuses.
pub fn join(group: &Path) -> io::Result<()> {
    // 0 is whoever writes it.
    write(&group.join("cgroup.procs"), "0")
}

fn kill_each(group: &Path) {
    let processes = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    for pid in processes.lines().filter_map(|line| line.parse().ok()) {
        // One that is gone by now does not matter; one that is not is found again.
        let _gone = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

fn remove_below(group: &Path) {
    let Ok(entries) = fs::read_dir(group) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()) {
        remove_below(&path);
        // One that is not empty yet is tried again.
        let _removed = fs::remove_dir(&path);
    }
}

fn write(file: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).open(file)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Not `/`, and not where other processes live: a hierarchy as a folder, which is enough for what is written.
    #[test]
    fn limits_are_written_where_their_controllers_are() {
        let mount = tempfile::tempdir().unwrap();
        let limits = Limits { memory_bytes: 1 << 25, tasks: 64, time: Duration::from_secs(1) };
        assert!(Cgroups::prepare(mount.path()).is_err(), "version 1 has no such file");
        let file = |name: &str| {
            let path = mount.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::File::create(path).unwrap();
        };
        file("cgroup.controllers");
        let without = Cgroups::prepare(mount.path()).unwrap();
        assert_eq!(without.missing(), CONTROLLERS);
        without.make("a", &limits).unwrap();
        assert!(!mount.path().join("flotilla/a/memory.max").exists());

        for name in ["cgroup.subtree_control", "flotilla/cgroup.subtree_control", "flotilla/b/memory.max", "flotilla/b/pids.max"] {
            file(name);
        }
        let with = Cgroups::prepare(mount.path()).unwrap();
        assert!(with.missing().is_empty());
        let group = with.make("b", &limits).unwrap();
        assert_eq!(fs::read_to_string(group.join("memory.max")).unwrap(), "33554432");
        assert_eq!(fs::read_to_string(group.join("pids.max")).unwrap(), "64");
        with.end("never made").unwrap();
        with.end("a").unwrap();
        assert!(!mount.path().join("flotilla/a").exists());
    }
}
