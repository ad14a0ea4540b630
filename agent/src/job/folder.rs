//! A job's folder as exec sees it: make it, look at it, stop it, read from it, and remove it.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flotilla_agent_core::Attempt;
use flotilla_protocol::id::OrderId;
use flotilla_protocol::report::OutputStream;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, syncfs};
use serde::de::DeserializeOwned;
use thiserror::Error;

use super::spec::{JobReport, JobSpec, RebootAsked, Started};
use super::start::{self, StartError};
use crate::clock;
use crate::process::ORDER_VARIABLE;
use crate::processes;
use crate::record::{self, RecordError};

/// Largest file of ours that is read from a job's folder, in bytes: an order is below 64 KiB, a report far below.
const MAXIMUM_FILE_BYTES: u64 = 256 * 1024;
/// How often the processes of a lost job are looked for anew, because one may have started another meanwhile.
const KILL_ROUNDS: usize = 20;
/// Pause between two of these looks.
const KILL_PAUSE: Duration = Duration::from_millis(10);

/// Names in a folder that are needed before the folder has its own.
const ORDER: &str = "order";
const UNUSED_CANCEL: &str = "cancel.unused";
/// What a folder's name ends in before it is whole, and while it is removed.
const NEW: &str = "new";
const REMOVED: &str = "removed";

/// Why a job's folder cannot be used.
#[derive(Debug, Error)]
pub enum FolderError {
    /// The file system says no.
    #[error("{} cannot be used", .path.display())]
    Failed {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file holds something else.
    #[error("{} cannot be read", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        source: RecordError,
    },
}

/// What has become of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobState {
    /// Nobody has linked the start: starting it is still possible, and is the only way to take it.
    NotStarted,
    /// The start was taken so that nothing of this folder ever runs, see [`JobFolder::forbid_start`].
    Forbidden,
    /// The job lives.
    Running {
        /// Its process.
        pid: u32,
    },
    /// The job has written its report.
    Ended(JobReport),
    /// The job has come to a step that asks for a reboot.
    RebootAsked(RebootAsked),
    /// The job was started, is gone, and has left no report: its outcome cannot be known.
    Lost {
        /// The process that it was.
        pid: u32,
    },
}

/// A job's folder, and which start of its order is meant. It may or may not exist.
///
/// Each start after a reboot has its own `order`, `started` and `exit`, so that whoever links `started` owns that start and no other.
#[derive(Debug, Clone)]
pub struct JobFolder {
    path: PathBuf,
    attempt: Attempt,
}

impl JobFolder {
    /// The folder at a path.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        Self { path, attempt: Attempt::default() }
    }

    /// The same, for another start of the order than the first.
    #[must_use]
    pub fn of_attempt(self, attempt: Attempt) -> Self {
        Self { attempt, ..self }
    }

    /// The same, for the last start of the order that was prepared.
    ///
    /// # Errors
    /// [`FolderError::Failed`].
    pub fn of_last_attempt(self) -> Result<Self, FolderError> {
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(self),
            entries => entries.map_err(failed(&self.path))?,
        };
        let attempt = |name: &str| name.strip_prefix(ORDER)?.strip_prefix('-')?.parse().ok();
        let last = entries.filter_map(|entry| attempt(entry.ok()?.file_name().to_str()?)).max();
        Ok(self.of_attempt(last.unwrap_or_default()))
    }

    /// Which start of the order is meant.
    #[must_use]
    pub fn attempt(&self) -> Attempt {
        self.attempt
    }

    /// The folder of an order within the folder of all jobs.
    #[must_use]
    pub fn of_order(jobs: &Path, order: OrderId) -> Self {
        Self::at(jobs.join(order.to_string()))
    }

    /// The orders that have a folder; whatever else is there is passed over.
    ///
    /// # Errors
    /// [`FolderError::Failed`].
    pub fn list(jobs: &Path) -> Result<Vec<OrderId>, FolderError> {
        let entries = fs::read_dir(jobs).map_err(failed(jobs))?;
        let mut orders: Vec<OrderId> = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
        orders.sort_unstable();
        Ok(orders)
    }

    /// Makes the folder of a job that may then be started. When it is there already, from before a crash, it is completed.
    ///
    /// Nothing is synchronised to the disk: a job starts only in the boot in which its folder was made, or after a reboot
    /// that it asked for, before which everything is synchronised.
    ///
    /// # Errors
    /// [`FolderError::Failed`].
    pub fn create(jobs: &Path, spec: &JobSpec) -> Result<Self, FolderError> {
        let folder = Self::of_order(jobs, spec.order);
        let bytes = record::encode(spec).map_err(damaged(&folder.order()))?;
        folder.write_new(&bytes).map_err(failed(&folder.path))?;
        Ok(folder)
    }

    /// Prepares the start after a reboot in the folder that the job before it has left. [`JobFolder::create`] is for the first start.
    ///
    /// # Errors
    /// [`FolderError::Failed`].
    pub fn prepare(&self, spec: &JobSpec) -> Result<(), FolderError> {
        let order = self.order();
        let bytes = record::encode(spec).map_err(damaged(&order))?;
        if !self.cancel_marker().exists() {
            let path = self.unused_cancel_marker();
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(failed(&path))?;
        }
        crate::state::replace_file_for_this_boot(&order, &bytes).map_err(failed(&order))
    }

    /// What the job before the last reboot has left for this one.
    ///
    /// # Errors
    /// See [`FolderError`].
    pub fn before_reboot(&self) -> Result<RebootAsked, FolderError> {
        let path = self.reboot(self.attempt.reboots);
        read_record(&path)?.ok_or_else(|| failed(&path)(io::ErrorKind::NotFound.into()))
    }

    /// Has everything of the job on the disk, and says that it asks for a reboot.
    ///
    /// # Errors
    /// [`FolderError::Failed`]: then it does not ask.
    pub fn ask_for_reboot(&self, asked: &RebootAsked) -> Result<(), FolderError> {
        let path = self.reboot(self.attempt.reboots.saturating_add(1));
        let bytes = record::encode(asked).map_err(damaged(&path))?;
        // The working folder, too: what the steps have put there is what the later ones count on.
        let whole = File::open(&self.path).and_then(|folder| Ok(syncfs(&folder)?));
        let parent = self.path.parent().map_or(Ok(()), crate::state::sync_folder);
        whole.and(parent).map_err(failed(&self.path))?;
        crate::state::replace_file(&path, &bytes).map_err(failed(&path))
    }

    fn write_new(&self, order: &[u8]) -> io::Result<()> {
        if self.path.try_exists()? {
            return Self::fill(&self.path, order);
        }
        // A job process of an earlier exec may still look for this folder: it finds it whole.
        let unnamed = self.path.with_extension(NEW);
        DirBuilder::new().recursive(true).mode(0o700).create(&unnamed)?;
        Self::fill(&unnamed, order)?;
        fs::rename(&unnamed, &self.path)
    }

    fn fill(folder: &Path, order: &[u8]) -> io::Result<()> {
        let temporary = folder.join("order.new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(order)?;
        // Made now and renamed later: a job that fills the disk or takes the last inode can still be cancelled.
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(folder.join(UNUSED_CANCEL))?;
        fs::rename(&temporary, folder.join(ORDER))
    }

    /// The folder's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The job's own messages.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    /// The order whose folder it is; none for a folder of another name.
    #[must_use]
    pub fn order_id(&self) -> Option<OrderId> {
        self.path.file_name()?.to_str()?.parse().ok()
    }

    /// The last bytes of the log, at most `maximum`, and none of those before `from`; nothing when it cannot be read.
    #[must_use]
    pub fn log_since(&self, from: u64, maximum: usize) -> Vec<u8> {
        let maximum = u64::try_from(maximum).unwrap_or(u64::MAX);
        let read = || -> io::Result<Vec<u8>> {
            let mut file = File::open(self.log())?;
            let start = file.metadata()?.len().saturating_sub(maximum).max(from);
            file.seek(SeekFrom::Start(start))?;
            let mut bytes = Vec::new();
            file.take(maximum).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        read().unwrap_or_default()
    }

    /// What has become of the job.
    ///
    /// # Errors
    /// See [`FolderError`]; a damaged report is one.
    pub fn state(&self) -> Result<JobState, FolderError> {
        if let Some(report) = read_record(&self.report())? {
            return Ok(JobState::Ended(report));
        }
        if let Some(asked) = read_record(&self.reboot(self.attempt.reboots.saturating_add(1)))? {
            return Ok(JobState::RebootAsked(asked));
        }
        let path = self.started();
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(JobState::NotStarted),
            Err(error) => return Err(failed(&path)(error)),
        };
        let started: Started = read_record(&path)?.ok_or_else(|| damaged(&path)(RecordError::Damaged))?;
        if started.pid == start::NOBODY {
            return Ok(JobState::Forbidden);
        }
        // Shared, so that two who look do not take each other for the job. Released when the file is closed.
        match file.try_lock_shared() {
            Err(fs::TryLockError::WouldBlock) => Ok(JobState::Running { pid: started.pid }),
            Err(fs::TryLockError::Error(error)) => Err(failed(&path)(error)),
            // It may have ended since the first look.
            Ok(()) => match read_record(&self.report())? {
                Some(report) => Ok(JobState::Ended(report)),
                None => {
                    let asked = read_record(&self.reboot(self.attempt.reboots.saturating_add(1)))?;
                    Ok(asked.map_or(JobState::Lost { pid: started.pid }, JobState::RebootAsked))
                }
            },
        }
    }

    /// What the job is to run.
    ///
    /// # Errors
    /// See [`FolderError`].
    pub fn spec(&self) -> Result<JobSpec, FolderError> {
        let path = self.order();
        read_record(&path)?.ok_or_else(|| failed(&path)(io::ErrorKind::NotFound.into()))
    }

    /// Takes the start away from every job process of this folder, one that has not got so far yet included: after `true`
    /// nothing of it will ever run. `false` means that the job was started before.
    ///
    /// # Errors
    /// [`FolderError::Failed`]: the start may or may not be taken.
    pub fn forbid_start(&self) -> Result<bool, FolderError> {
        match start::forbid(self) {
            Ok(_) => Ok(true),
            Err(StartError::AlreadyStarted) => Ok(false),
            // No folder: it could not even be made, and a job process needs it before anything else.
            Err(StartError::Unrecorded { .. }) if matches!(self.path.try_exists(), Ok(false)) => Ok(true),
            Err(StartError::Unrecorded { source, .. }) => Err(failed(&self.path)(source)),
        }
    }

    /// Has the job stop: before its first step if it has not begun, else its current step is killed. It ends with a report
    /// of its own, within ten seconds.
    ///
    /// # Errors
    /// See [`FolderError`]; after one the request may be made again.
    pub fn request_cancel(&self) -> Result<(), FolderError> {
        let path = self.cancel_marker();
        let renamed = fs::rename(self.unused_cancel_marker(), &path);
        if renamed.is_err() {
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(failed(&path))?;
        }
        // The lock is held, so this number is still the job's. A job that starts just now finds the file by itself.
        if let JobState::Running { pid } = self.state()?
            && let Ok(pid) = i32::try_from(pid)
            && let Err(error) = kill(Pid::from_raw(pid), Signal::SIGTERM)
            && error != nix::Error::ESRCH
        {
            return Err(failed(&self.path)(error.into()));
        }
        Ok(())
    }

    /// Kills what a lost job has left running: the processes of its session that carry its order in their environment.
    /// Returns how many were found. A job that is not lost, or was lost in another boot, is left alone. Blocks for at most 0.2 s.
    ///
    /// # Errors
    /// See [`FolderError`].
    pub fn kill_leftovers(&self) -> Result<usize, FolderError> {
        let JobState::Lost { pid } = self.state()? else { return Ok(0) };
        let started: Option<Started> = read_record(&self.started())?;
        let boot = clock::boot_id().map_err(failed(&self.path))?;
        let (Some(order), Ok(session)) = (self.path.file_name().and_then(|name| name.to_str()), i32::try_from(pid)) else { return Ok(0) };
        if started.is_none_or(|started| started.boot != boot) {
            return Ok(0);
        }
        let mut killed = BTreeSet::new();
        for _ in 0..KILL_ROUNDS {
            let left = processes::find(|process| process.session == session && processes::has_variable(process.pid, ORDER_VARIABLE, order));
            if left.is_empty() {
                break;
            }
            processes::signal(&left, Signal::SIGKILL);
            killed.extend(left.iter().map(|process| process.pid));
            std::thread::sleep(KILL_PAUSE);
        }
        Ok(killed.len())
    }

    /// At most `maximum` bytes of a step's output from `offset` on; fewer, or none, when there are no more yet.
    ///
    /// # Errors
    /// [`FolderError::Failed`]. A step that has not begun has no output, which is no error.
    pub fn read_output(&self, step: u16, stream: OutputStream, offset: u64, maximum: usize) -> Result<Vec<u8>, FolderError> {
        let path = self.output(step, stream);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(&path)(error)),
        };
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(offset)).map_err(failed(&path))?;
        file.take(u64::try_from(maximum).unwrap_or(u64::MAX)).read_to_end(&mut bytes).map_err(failed(&path))?;
        Ok(bytes)
    }

    /// How many bytes of each stream are there by now, for the steps that have begun, in their order.
    ///
    /// # Errors
    /// [`FolderError::Failed`].
    pub fn output_lengths(&self) -> Result<Vec<(u16, OutputStream, u64)>, FolderError> {
        let mut lengths = Vec::new();
        for step in 0..u16::MAX {
            for stream in [OutputStream::Stdout, OutputStream::Stderr] {
                let path = self.output(step, stream);
                match fs::metadata(&path) {
                    Ok(metadata) => lengths.push((step, stream, metadata.len())),
                    // Both files of a step are made before it begins, and steps begin one after the other.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(lengths),
                    Err(error) => return Err(failed(&path)(error)),
                }
            }
        }
        Ok(lengths)
    }

    /// Has all output on the disk.
    ///
    /// # Errors
    /// [`FolderError::Failed`]; the output may not outlast a power cut.
    pub fn sync_output(&self) -> Result<(), FolderError> {
        for (step, stream, _) in self.output_lengths()? {
            let path = self.output(step, stream);
            File::open(&path).and_then(|file| file.sync_all()).map_err(failed(&path))?;
        }
        Ok(())
    }

    /// Removes the folder with everything in it. Only for a job that can no longer run, and whose order is remembered
    /// elsewhere: without `started` it could be started anew.
    ///
    /// # Errors
    /// [`FolderError::Failed`].
    pub fn remove(&self) -> Result<(), FolderError> {
        let gone = |done: io::Result<()>| match done {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&self.path)(error)),
            _ => Ok(()),
        };
        // First the name goes, so that nobody finds a folder whose `started` is removed and the rest is not. What an exec that was killed
        // has left under the other name goes first.
        let removed = self.unnamed();
        gone(fs::remove_dir_all(&removed))?;
        gone(fs::rename(&self.path, &removed))?;
        gone(fs::remove_dir_all(&removed))
    }

    /// Where what is removed of it has no name any more.
    #[must_use]
    pub fn unnamed(&self) -> PathBuf {
        self.path.with_extension(REMOVED)
    }

    /// Removes what an exec that was killed while it removed folders has left. What stays is returned, each time a [`FolderError::Failed`].
    #[must_use]
    pub fn remove_remains(jobs: &Path) -> Vec<FolderError> {
        let entries = match fs::read_dir(jobs) {
            Ok(entries) => entries,
            Err(error) => return vec![failed(jobs)(error)],
        };
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let remains = paths.filter(|path| path.extension().is_some_and(|extension| extension == REMOVED || extension == NEW));
        remains.filter_map(|path| fs::remove_dir_all(&path).map_err(failed(&path)).err()).collect()
    }

    pub(crate) fn order(&self) -> PathBuf {
        self.own(ORDER)
    }

    pub(crate) fn started(&self) -> PathBuf {
        self.own("started")
    }

    /// A file of this start alone.
    fn own(&self, name: &str) -> PathBuf {
        if self.attempt.reboots == 0 { self.path.join(name) } else { self.path.join(format!("{name}-{}", self.attempt)) }
    }

    /// Where a job asks for its order's reboot of this number, from 1.
    fn reboot(&self, count: u16) -> PathBuf {
        self.path.join(format!("reboot-{count}"))
    }

    pub(crate) fn cancel_marker(&self) -> PathBuf {
        self.path.join("cancel")
    }

    /// Whether the job was told to stop, by whichever exec.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancel_marker().exists()
    }

    fn unused_cancel_marker(&self) -> PathBuf {
        self.path.join(UNUSED_CANCEL)
    }

    pub(crate) fn report(&self) -> PathBuf {
        self.own("exit")
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.path.join("work")
    }

    pub(crate) fn step_file(&self, step: u16, ending: &str) -> PathBuf {
        self.path.join(format!("step-{step}.{ending}"))
    }

    pub(crate) fn output(&self, step: u16, stream: OutputStream) -> PathBuf {
        self.step_file(
            step,
            match stream {
                OutputStream::Stdout => "stdout",
                OutputStream::Stderr => "stderr",
            },
        )
    }
}

fn failed(path: &Path) -> impl Fn(io::Error) -> FolderError {
    move |source| FolderError::Failed { path: path.to_owned(), source }
}

fn damaged(path: &Path) -> impl Fn(RecordError) -> FolderError {
    move |source| FolderError::Damaged { path: path.to_owned(), source }
}

/// A record; none when there is no such file.
fn read_record<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, FolderError> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(MAXIMUM_FILE_BYTES).read_to_end(&mut bytes).map_err(failed(path))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(path)(error)),
    };
    record::decode(&bytes).map(Some).map_err(damaged(path))
}
