//! A disk whose power can be cut: ext4 in a file, mounted through a loop device.
//!
//! A cut tells the kernel to forget at once what it has not written (`EXT4_IOC_SHUTDOWN` without flushing its log); then the file system is
//! unmounted and mounted again, which replays its journal as a boot would. What was never synchronised is gone, in whole or in part. What the
//! kernel did hand to the block device stays: a disk that forgets its own cache is not simulated.
//!
//! While the kernel shuts the file system down, an `fsync` that is under way may still return success for what is then not written. With
//! real power nobody would hear of it. So whoever notes what was acknowledged asks [`Disk::has_power`] after each success, and a process
//! that speaks to others is frozen first ([`crate::process::freeze`]).

use crate::process;
use nix::errno::Errno;
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// Cut without writing the file system's own log first: `EXT4_GOING_FLAGS_NOLOGFLUSH`.
const NO_LOG_FLUSH: u32 = 2;
/// A file system that is still in use for a moment is asked again so many times.
const UNMOUNT_TRIES: usize = 100;
const UNMOUNT_PAUSE: Duration = Duration::from_millis(20);

mod request {
    nix::ioctl_read!(shut_down, b'X', 125, u32);
}

/// A mounted disk; unmounted, detached and removed when it is dropped.
#[derive(Debug)]
pub struct Disk {
    folder: TempDir,
    mount: PathBuf,
    is_mounted: bool,
    has_power: AtomicBool,
}

impl Disk {
    /// A new, empty one of so many MiB, mounted.
    ///
    /// # Errors
    /// What this machine lacks, in a sentence: only root can mount, and not everywhere are there loop devices.
    ///
    /// # Panics
    /// When the image cannot be made, which every machine with room can.
    pub fn new(mebibytes: u64) -> Result<Self, String> {
        if !nix::unistd::geteuid().is_root() {
            return Err("only root can mount a disk whose power can be cut".to_owned());
        }
        let folder = tempfile::Builder::new().prefix("flotilla-disk-").tempdir().expect("a temporary folder can be made");
        let mount = folder.path().join("disk");
        std::fs::create_dir(&mount).expect("a folder can be made");
        let image = File::create(folder.path().join("image")).expect("a file can be made");
        image.set_len(mebibytes * 1024 * 1024).expect("a file may have holes");
        let mut disk = Self { folder, mount, is_mounted: false, has_power: AtomicBool::new(true) };
        let made = run("mkfs.ext4", &["-q", "-F", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1"], &[&disk.image()])?;
        if !made.status.success() {
            return Err(format!("mkfs.ext4 fails: {}", String::from_utf8_lossy(&made.stderr).trim()));
        }
        disk.mount()?;
        Ok(disk)
    }

    fn image(&self) -> PathBuf {
        self.folder.path().join("image")
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.mount
    }

    /// Whether no cut has begun. What succeeded before this was asked, and only that, has succeeded.
    #[must_use]
    pub fn has_power(&self) -> bool {
        self.has_power.load(Ordering::SeqCst)
    }

    fn mount(&mut self) -> Result<(), String> {
        let mounted = run("mount", &["-o", "loop"], &[&self.image(), &self.mount])?;
        if !mounted.status.success() {
            return Err(format!("mount fails: {}", String::from_utf8_lossy(&mounted.stderr).trim()));
        }
        self.is_mounted = true;
        Ok(())
    }

    /// Cuts the power, at once, for whoever writes at this moment: from here on every write fails. Then everything that has files open
    /// here must be ended, and [`Disk::restore`] called.
    ///
    /// # Panics
    /// When the kernel refuses.
    pub fn cut(&self) {
        let root = File::open(&self.mount).expect("the disk is mounted");
        let mut flags = NO_LOG_FLUSH;
        self.has_power.store(false, Ordering::SeqCst);
        #[expect(unsafe_code, reason = "an ioctl; it reads the four bytes that the pointer names and keeps nothing")]
        // SAFETY: the descriptor is open for as long as `root` lives, and the pointer is to a whole u32 that lives as long.
        let cut: Result<_, Errno> = unsafe { request::shut_down(root.as_raw_fd(), &raw mut flags) };
        cut.expect("the kernel cuts the power of an ext4 of ours");
    }

    /// The power is back: unmounts, and mounts again, which replays the file system's journal.
    ///
    /// # Panics
    /// When somebody still has files open here, or the file system cannot be mounted again.
    pub fn restore(&mut self) {
        for _ in 0..UNMOUNT_TRIES {
            let refused = self.unmount();
            assert!(refused.is_none(), "the disk cannot be unmounted: {refused:?}");
            self.mount().unwrap_or_else(|why| panic!("after a cut: {why}"));
            // A machine of another test that begins just then has a copy of each mount for a moment, and with it the file system that was
            // shut down: what is mounted meanwhile is that one again.
            let probe = self.mount.join(".has-power");
            let tried = std::fs::create_dir(&probe).and_then(|()| std::fs::remove_dir(&probe));
            if tried.err().and_then(|error| error.raw_os_error()) != Some(nix::libc::EIO) {
                self.has_power.store(true, Ordering::SeqCst);
                return;
            }
            std::thread::sleep(UNMOUNT_PAUSE);
        }
        panic!("after a cut: the disk takes no writes");
    }

    /// Unmounts; what the program said when it could not.
    fn unmount(&mut self) -> Option<String> {
        let mut refused = None;
        for _ in 0..UNMOUNT_TRIES {
            match run("umount", &[], &[&self.mount]) {
                Ok(output) if output.status.success() => {
                    self.is_mounted = false;
                    return None;
                }
                Ok(output) => refused = Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
                Err(why) => refused = Some(why),
            }
            std::thread::sleep(UNMOUNT_PAUSE);
        }
        refused
    }
}

fn run(program: &str, options: &[&str], paths: &[&Path]) -> Result<Output, String> {
    let mut command = process::command(Path::new(program));
    // Debian keeps mkfs there, which is not on the path of everybody.
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin")).args(options).args(paths);
    command.output().map_err(|error| format!("{program} cannot be run: {error}"))
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.is_mounted && self.unmount().is_some() {
            // Whoever still holds files here keeps them, and the loop device goes with the last of them.
            drop(run("umount", &["-l"], &[&self.mount]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally;
    use std::io::Write as _;

    #[test]
    fn a_cut_keeps_what_was_synchronised_and_drops_what_was_not() {
        let mut disk = match Disk::new(16) {
            Ok(disk) => disk,
            Err(why) => return tally::skipped("the disk whose power can be cut", &why),
        };
        let kept = disk.path().join("kept");
        let lost = disk.path().join("lost");
        let mut file = File::create(&kept).unwrap();
        file.write_all(b"synchronised").unwrap();
        file.sync_all().unwrap();
        File::open(disk.path()).unwrap().sync_all().unwrap();
        File::create(&lost).unwrap().write_all(b"not").unwrap();
        disk.cut();
        assert!(file.write_all(b"more").and_then(|()| file.sync_all()).is_err(), "nothing can be written without power");
        drop(file);
        disk.restore();
        assert_eq!(std::fs::read(&kept).unwrap(), b"synchronised");
        assert!(!lost.exists());
        let mount = disk.path().to_owned();
        drop(disk);
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        assert!(!mounts.contains(mount.to_str().unwrap()), "the disk is unmounted when it is dropped");
    }
}
