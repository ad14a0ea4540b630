//! The internal role step: turns this process into the shell of a step, as another user where that is asked for.
//!
//! What to run comes from a file and not from arguments or environment: those are public, and the document's variables must
//! not reach a process that is still root.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{User, geteuid, initgroups, setgid, setuid};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::process::{self, SupervisorError};
use crate::record::{self, RecordError};

/// Exit code of a step whose shell cannot be run, as shells have it.
pub const CANNOT_RUN: u8 = 126;
/// Largest plan file, in bytes: an order is below 64 KiB, and a parameter may stand in several variables.
const MAXIMUM_PLAN_BYTES: u64 = 16 * 1024 * 1024;

/// What the shell of a step is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ShellProcess {
    /// The job's process, with which the shell ends.
    pub(crate) job: u32,
    /// The program that reads the script, an absolute path.
    pub(crate) interpreter: PathBuf,
    /// Its arguments before the script.
    pub(crate) arguments: Vec<String>,
    /// The script's file.
    pub(crate) script: PathBuf,
    /// The job's working folder.
    pub(crate) work: PathBuf,
    /// Where the document wants it to run.
    pub(crate) working_directory: Option<PathBuf>,
    /// The whole environment.
    pub(crate) environment: BTreeMap<String, String>,
    /// Who runs it; none: the job's own user.
    pub(crate) user: Option<String>,
}

/// Why there is no shell.
#[derive(Debug, Error)]
pub enum ShellError {
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
    /// The shell cannot be executed.
    #[error("{} cannot be run", .interpreter.display())]
    Shell {
        /// The program.
        interpreter: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Becomes the shell of the step in a plan file. Returns only when that fails.
#[must_use]
pub fn become_shell(plan: &Path) -> ShellError {
    match try_become_shell(plan) {
        Err(error) => error,
        Ok(never) => match never {},
    }
}

fn try_become_shell(plan: &Path) -> Result<std::convert::Infallible, ShellError> {
    let step = read(plan)?;
    // Before the user changes, who can reach neither of the two through the agent's private folders.
    enter(&step.work)?;
    let script = File::open(&step.script).map_err(ShellError::Script)?;
    let path = match &step.user {
        Some(name) => {
            become_user(name)?;
            inherited(&script)?
        }
        None => step.script,
    };
    if let Some(folder) = &step.working_directory {
        enter(folder)?;
    }
    // What is usual for scripts; the agent's own 077 is for its own files.
    umask(Mode::from_bits_truncate(0o022));
    // After the change of user, which the kernel takes as a reason to forget it.
    process::die_with_parent(step.job, Signal::SIGKILL)?;
    let source = process::become_interpreter(&step.interpreter, &step.arguments, &path, &step.environment);
    Err(ShellError::Shell { interpreter: step.interpreter, source })
}

fn read(plan: &Path) -> Result<ShellProcess, ShellError> {
    let mut bytes = Vec::new();
    let file = File::open(plan).map_err(ShellError::Plan)?;
    file.take(MAXIMUM_PLAN_BYTES).read_to_end(&mut bytes).map_err(ShellError::Plan)?;
    Ok(record::decode(&bytes)?)
}

fn enter(folder: &Path) -> Result<(), ShellError> {
    std::env::set_current_dir(folder).map_err(|source| ShellError::Folder { folder: folder.to_owned(), source })
}

fn become_user(name: &str) -> Result<(), ShellError> {
    let failed = |source| ShellError::User { user: name.to_owned(), source };
    let user = User::from_name(name).map_err(failed)?.ok_or_else(|| ShellError::NoUser(name.to_owned()))?;
    if user.uid == geteuid() {
        return Ok(());
    }
    let c_name = std::ffi::CString::new(name).map_err(|_| ShellError::NoUser(name.to_owned()))?;
    initgroups(&c_name, user.gid).map_err(failed)?;
    setgid(user.gid).map_err(failed)?;
    setuid(user.uid).map_err(failed)
}

/// A path to an open file that the shell can open though it cannot walk to the file.
fn inherited(file: &File) -> Result<PathBuf, ShellError> {
    fcntl(file, FcntlArg::F_SETFD(FdFlag::empty())).map_err(|error| ShellError::Script(error.into()))?;
    Ok(PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd())))
}
