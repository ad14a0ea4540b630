//! What all steps with a process of their own share: its folder, its environment, its user, and what its end means.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flotilla_protocol::status::StepStatus;
use nix::unistd::{User, chown};

use super::step_process::{StepProcess, Work};
use super::{Ending, NO_EXIT_CODE};
use crate::job::capture::Capture;
use crate::job::child::ChildEnd;
use crate::job::host::Host;
use crate::job::secrets::StepSecrets;
use crate::job::spec::JobSpec;
use crate::process::ORDER_VARIABLE;
use crate::record;

/// Variable that names the document.
const DOCUMENT_VARIABLE: &str = "FLOTILLA_DOCUMENT";
/// Exit code of a step that we have stopped: SSM's, 128 + SIGKILL.
pub(crate) const STOPPED_EXIT_CODE: i32 = 137;
/// What shells add to the number of the signal that has ended a program.
const SIGNAL_EXIT_CODE: i32 = 128;

/// A process to be started for a step.
#[derive(Debug)]
pub(crate) struct Launch {
    /// Files that are there before it starts and belong to who runs the step: path, content and mode.
    pub(crate) files: Vec<(PathBuf, Vec<u8>, u32)>,
    /// What it does.
    pub(crate) work: Work,
    /// Where it runs, from the job's own working folder on; none: that folder.
    pub(crate) working_directory: Option<PathBuf>,
    /// The document's variables and those that say what runs; the defaults of a shell come below them.
    pub(crate) environment: BTreeMap<String, String>,
    /// The secrets that it is handed; they come in no file of the job's folder.
    pub(crate) secrets: StepSecrets,
    /// How long it may run.
    pub(crate) timeout: Duration,
    /// Who runs it; none: the job's own user.
    pub(crate) user: Option<String>,
}

/// The variables by which what an order leaves running is found.
pub(crate) fn own_variables(spec: &JobSpec) -> [(String, String); 2] {
    [(ORDER_VARIABLE.to_owned(), spec.order.to_string()), (DOCUMENT_VARIABLE.to_owned(), spec.document.clone())]
}

impl Launch {
    /// Starts the process and waits for its end.
    pub(crate) async fn run(mut self, host: &mut Host<'_>, captures: [Capture; 2]) -> Ending {
        let user = match self.user.as_deref().map(find_user).transpose() {
            Ok(user) => user,
            Err(why) => return Ending::not_run(captures, why),
        };
        let timeout = self.timeout;
        let work = host.folder.work();
        if let Err(error) = make_work_folder(&work, user.as_ref()) {
            return Ending::failed(captures, "the job's working folder cannot be made", &error);
        }
        if let Some(folder) = &self.working_directory
            && !work.join(folder).is_dir()
        {
            return Ending::not_run(captures, format!("the working directory {} does not exist", folder.display()));
        }
        let secrets = std::mem::take(&mut self.secrets);
        let file = match self.prepare(work, host, user.as_ref()) {
            Ok(file) => file,
            Err(error) => return Ending::failed(captures, "the step cannot be put into the job's folder", &error),
        };
        match host.start(&file, &secrets) {
            Ok(child) => {
                let (end, captured) = host.attend(child, timeout, captures).await;
                ending(end, timeout, captured)
            }
            Err(error) => Ending::failed(captures, "the step's process cannot be started", &error),
        }
    }

    /// Writes the files, and what the role step needs to know.
    fn prepare(self, work: PathBuf, host: &Host<'_>, user: Option<&User>) -> io::Result<PathBuf> {
        for (path, content, mode) in &self.files {
            write_new(path, content, *mode, user)?;
        }
        let home = user.map_or_else(own_home, |user| user.dir.clone());
        let mut environment: BTreeMap<String, String> =
            [("PATH", host.spec.tools.search_path.clone()), ("HOME", home.display().to_string()), ("LANG", "C.UTF-8".to_owned())]
                .map(|(name, value)| (name.to_owned(), value))
                .into();
        environment.extend(self.environment);
        let process = StepProcess {
            job: std::process::id(),
            work_to_do: self.work,
            work,
            working_directory: self.working_directory,
            environment,
            user: user.map(|user| user.name.clone()),
        };
        let file = host.file("plan");
        write_new(&file, &record::encode(&process).map_err(io::Error::other)?, 0o600, None)?;
        Ok(file)
    }
}

fn find_user(name: &str) -> Result<User, String> {
    match User::from_name(name) {
        Ok(Some(user)) if nix::unistd::geteuid().is_root() || user.uid == nix::unistd::geteuid() => Ok(user),
        Ok(Some(_)) => Err(format!("the agent is not root and cannot run steps as the user {name}; see its setting job_user")),
        Ok(None) => Err(format!("there is no user {name}; see the agent's setting job_user")),
        Err(error) => Err(format!("the user {name} cannot be looked up: {error}")),
    }
}

fn make_work_folder(work: &Path, user: Option<&User>) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(work) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => own(work, user),
    }
}

fn own_home() -> PathBuf {
    let user = User::from_uid(nix::unistd::geteuid()).ok().flatten();
    user.map_or_else(|| PathBuf::from("/"), |user| user.dir)
}

fn write_new(path: &Path, bytes: &[u8], mode: u32, user: Option<&User>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    own(path, user)
}

fn own(path: &Path, user: Option<&User>) -> io::Result<()> {
    let Some(user) = user else { return Ok(()) };
    debug_assert!(fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_symlink()), "nobody else writes to a job's folder");
    Ok(chown(path, Some(user.uid), Some(user.gid))?)
}

fn ending(end: ChildEnd, limit: Duration, captures: Option<[Capture; 2]>) -> Ending {
    let (status, exit_code, explanation) = match end {
        ChildEnd::Exited(0) => (StepStatus::Succeeded, 0, None),
        ChildEnd::Exited(code) => (StepStatus::Failed, code, None),
        ChildEnd::Signalled(signal) => {
            let why = format!("ended by signal {signal}; its exit code stands for that");
            (StepStatus::Failed, SIGNAL_EXIT_CODE.saturating_add(signal), Some(why))
        }
        ChildEnd::TimedOut => {
            (StepStatus::TimedOut, STOPPED_EXIT_CODE, Some(format!("stopped because it ran longer than {} s", limit.as_secs())))
        }
        ChildEnd::Cancelled => (StepStatus::Cancelled, STOPPED_EXIT_CODE, Some("stopped by a cancel".to_owned())),
        ChildEnd::Unknown => (StepStatus::Failed, NO_EXIT_CODE, Some("the system does not say how it ended".to_owned())),
    };
    Ending { status, exit_code, explanation, captures }
}
