//! The internal role step: turns this process into the program of a step, or downloads for it, as another user where that is asked for.
//!
//! What to run comes from a file and not from arguments or environment: those are public, and the document's variables must
//! not reach a process that is still root. A download is a role of this process and no program, and what it starts is of the
//! same process group: a cancel, a time-out and the limits of output mean the same for all.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{User, dup2_stdin, geteuid, initgroups, setgid, setuid};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::download::{self, DownloadError, DownloadTask, KeyPair};
use crate::job::secrets::StepSecrets;
use crate::process::{self, SupervisorError};
use crate::record::{self, RecordError};

/// Exit code of a step whose program cannot be run, as shells have it.
pub const CANNOT_RUN: u8 = 126;
/// Exit code of a step that could not download.
const DOWNLOAD_FAILED: u8 = 1;
/// Largest plan file, in bytes: an order is below 64 KiB, and a parameter may stand in several variables.
const MAXIMUM_PLAN_BYTES: u64 = 16 * 1024 * 1024;

/// What the process of a step is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StepProcess {
    /// The job's process, with which this one ends.
    pub(crate) job: u32,
    /// What it does.
    pub(crate) work_to_do: Work,
    /// The job's working folder.
    pub(crate) work: PathBuf,
    /// Where the document wants it to run.
    pub(crate) working_directory: Option<PathBuf>,
    /// The whole environment.
    pub(crate) environment: BTreeMap<String, String>,
    /// Who runs it; none: the job's own user.
    pub(crate) user: Option<String>,
}

/// What the process of a step does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Work {
    /// Becomes an interpreter.
    Script {
        /// The program that reads the script, an absolute path.
        interpreter: PathBuf,
        /// Its arguments before the script.
        arguments: Vec<String>,
        /// The script's file.
        script: PathBuf,
    },
    /// Becomes a program.
    Program {
        /// An absolute path.
        program: PathBuf,
        /// Its arguments.
        arguments: Vec<String>,
        /// A file that is its standard input; none: it has none.
        input: Option<PathBuf>,
    },
    /// Downloads.
    Download(Box<DownloadTask>),
}

/// Why a step's process could not do its work.
#[derive(Debug, Error)]
pub enum StepError {
    /// The plan file cannot be read.
    #[error("the step's plan cannot be read")]
    Plan(#[source] io::Error),
    /// The plan file is damaged.
    #[error("the step's plan cannot be read")]
    Damaged(#[from] RecordError),
    /// There is no such user.
    #[error("there is no user {0}; see the agent's setting job_user")]
    NoUser(String),
    /// The user cannot be taken on.
    #[error("the step cannot run as the user {user}")]
    User {
        /// The user.
        user: String,
        /// Why.
        source: nix::Error,
    },
    /// The folder cannot be entered.
    #[error("the working directory {} cannot be entered", .folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The script cannot be opened or handed on.
    #[error("the step's script cannot be opened")]
    Script(#[source] io::Error),
    /// The job is gone already.
    #[error("the job of this step cannot be followed")]
    Job(#[from] SupervisorError),
    /// What the job handed over cannot be read, or not be handed on.
    #[error("the step's secrets cannot be handed to it")]
    Secrets(#[source] io::Error),
    /// The program cannot be executed.
    #[error("{} cannot be run", .program.display())]
    Program {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It was a download, which failed.
    #[error(transparent)]
    Download(#[from] DownloadError),
}

impl StepError {
    /// The exit code that says so.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Download(_) => DOWNLOAD_FAILED,
            _ => CANNOT_RUN,
        }
    }
}

/// Does the step in a plan file. Returns only for a download, or when something is wrong.
///
/// # Errors
/// See [`StepError`].
pub fn run(plan: &Path) -> Result<(), StepError> {
    let secrets = StepSecrets::take_input().map_err(StepError::Secrets)?;
    let mut step = read(plan)?;
    secrets.put_variables(&mut step.environment);
    // Before the user changes, who can reach none of these through the agent's private folders.
    enter(&step.work)?;
    let files = Files::open(&step.work_to_do)?;
    secrets.open_files().map_err(StepError::Secrets)?;
    drop(secrets);
    if let Some(name) = &step.user {
        become_user(name)?;
    }
    if let Some(folder) = &step.working_directory {
        enter(folder)?;
    }
    // What is usual for scripts; the agent's own 077 is for its own files.
    umask(Mode::from_bits_truncate(0o022));
    // After the change of user, which the kernel takes as a reason to forget it.
    process::die_with_parent(step.job, Signal::SIGKILL)?;
    match step.work_to_do {
        Work::Script { interpreter, mut arguments, script } => {
            let script = match (&step.user, &files.script) {
                (Some(_), Some(open)) => inherited(open)?,
                _ => script,
            };
            arguments.push(script.to_string_lossy().into_owned());
            let source = process::become_program(&interpreter, &arguments, &step.environment);
            Err(StepError::Program { program: interpreter, source })
        }
        Work::Program { program, arguments, .. } => {
            if let Some(input) = &files.input {
                dup2_stdin(input).map_err(|error| StepError::Script(error.into()))?;
            }
            let source = process::become_program(&program, &arguments, &step.environment);
            Err(StepError::Program { program, source })
        }
        Work::Download(task) => Ok(download::run(&task, files.credentials.as_ref(), &step.environment)?),
    }
}

/// What is opened or read while this process may still do so.
#[derive(Default)]
struct Files {
    script: Option<File>,
    input: Option<File>,
    credentials: Option<KeyPair>,
}

impl Files {
    fn open(work: &Work) -> Result<Self, StepError> {
        let open = |path: &PathBuf| File::open(path).map_err(StepError::Script);
        Ok(match work {
            Work::Script { script, .. } => Self { script: Some(open(script)?), ..Self::default() },
            Work::Program { input, .. } => Self { input: input.as_ref().map(open).transpose()?, ..Self::default() },
            Work::Download(task) => Self { credentials: task.credentials()?, ..Self::default() },
        })
    }
}

fn read(plan: &Path) -> Result<StepProcess, StepError> {
    let mut bytes = Vec::new();
    let file = File::open(plan).map_err(StepError::Plan)?;
    file.take(MAXIMUM_PLAN_BYTES).read_to_end(&mut bytes).map_err(StepError::Plan)?;
    Ok(record::decode(&bytes)?)
}

fn enter(folder: &Path) -> Result<(), StepError> {
    std::env::set_current_dir(folder).map_err(|source| StepError::Folder { folder: folder.to_owned(), source })
}

fn become_user(name: &str) -> Result<(), StepError> {
    let failed = |source| StepError::User { user: name.to_owned(), source };
    let user = User::from_name(name).map_err(failed)?.ok_or_else(|| StepError::NoUser(name.to_owned()))?;
    if user.uid == geteuid() {
        return Ok(());
    }
    let c_name = std::ffi::CString::new(name).map_err(|_| StepError::NoUser(name.to_owned()))?;
    initgroups(&c_name, user.gid).map_err(failed)?;
    setgid(user.gid).map_err(failed)?;
    setuid(user.uid).map_err(failed)
}

/// A path to an open file that the shell can open though it cannot walk to the file.
fn inherited(file: &File) -> Result<PathBuf, StepError> {
    fcntl(file, FcntlArg::F_SETFD(FdFlag::empty())).map_err(|error| StepError::Script(error.into()))?;
    Ok(PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd())))
}
