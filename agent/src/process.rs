//! The only place that starts processes. All but the programs of steps are this same binary in another role.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use flotilla_agent_core::Attempt;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getppid};
use thiserror::Error;
use tokio::process::Child;

use crate::arguments::SettingsFile;
use crate::clock;
use crate::job::folder::JobFolder;
use crate::notify;

/// Variable that names the order in the environment of everything that an order starts.
pub const ORDER_VARIABLE: &str = "FLOTILLA_ORDER_ID";

/// Any of the three execute bits.
const EXECUTABLE: u32 = 0o111;

/// So long a program of the system may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(120);

/// With this code a process ends that has panicked, as Rust's own programs do.
const PANICKED: i32 = 101;

/// The supervisor is gone before its child could bind itself to it.
#[derive(Debug, Error)]
pub enum SupervisorError {
    /// Another process is the parent now.
    #[error("the supervisor is gone")]
    Gone,
    /// The kernel refuses.
    #[error("this process cannot be bound to its supervisor")]
    Refused(#[source] nix::Error),
}

/// From now on a panic anywhere ends the whole process, as a power cut would: half of it must not go on without the rest, such as exec without
/// whoever waits for a job. What was going on is found again by the next process.
#[expect(clippy::exit, reason = "nothing of this process may go on")]
pub fn end_at_any_panic() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tell(panic);
        // Not an abort: a core would have keys and secrets in it.
        std::process::exit(PANICKED);
    }));
}

/// Has the kernel stop this process, with SIGTERM, when the supervisor ends, however it ends.
///
/// # Errors
/// See [`SupervisorError`]; the process should end then.
pub fn stop_with_supervisor(supervisor: Option<u32>) -> Result<(), SupervisorError> {
    let Some(supervisor) = supervisor else { return Ok(()) };
    die_with_parent(supervisor, Signal::SIGTERM)
}

/// Has the kernel send `signal` to this process when its parent, which must be `parent`, ends.
pub(crate) fn die_with_parent(parent: u32, signal: Signal) -> Result<(), SupervisorError> {
    set_pdeathsig(signal).map_err(SupervisorError::Refused)?;
    // The parent may have ended before the call above; then nobody will be told.
    let current = u32::try_from(getppid().as_raw()).ok();
    if current == Some(parent) { Ok(()) } else { Err(SupervisorError::Gone) }
}

/// Starts a half of the agent, `link` or `exec`, under this process as its supervisor, which has started it so often before.
///
/// # Errors
/// Whatever the system says.
pub fn start_half(role: &str, settings: &SettingsFile, restarts: u32) -> io::Result<Child> {
    let mut command = own_binary(role);
    if let SettingsFile::Named(file) = settings {
        command.arg("--settings").arg(file);
    }
    command.arg("--supervised").arg(std::process::id().to_string()).stdin(Stdio::null());
    if role == "exec" {
        command.arg("--restarts").arg(restarts.to_string());
    }
    tokio::process::Command::from(command).spawn()
}

/// Starts the process of a job. It lives on when this process ends; its exit code is one of [`crate::job`]. It may be started
/// any number of times: only the first start of a folder runs anything. `input` is its standard input: its secrets, where it has some.
/// `group` is the control group that it joins.
///
/// # Errors
/// Whatever the system says; nothing was started then.
pub fn start_job(folder: &JobFolder, input: Option<File>, group: Option<&Path>) -> io::Result<Child> {
    let mut command = own_binary("job");
    command.args(job_arguments(folder, group));
    command.stdin(input.map_or_else(Stdio::null, Stdio::from)).stdout(Stdio::null()).stderr(log_of(folder)?);
    tokio::process::Command::from(command).spawn()
}

/// The command that is the process of a job, for whoever else starts it.
pub(crate) fn job_command(folder: &JobFolder) -> Vec<OsString> {
    let mut command = own_command("job");
    command.extend(job_arguments(folder, None));
    command
}

fn job_arguments(folder: &JobFolder, group: Option<&Path>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["--folder".into(), folder.path().into()];
    if folder.attempt() != Attempt::default() {
        arguments.extend(["--attempt".into(), folder.attempt().to_string().into()]);
    }
    if let Some(file) = clock::other_boot_id() {
        arguments.extend(["--boot-id-file".into(), file.into()]);
    }
    if let Some(group) = group {
        arguments.extend(["--cgroup".into(), group.into()]);
    }
    arguments
}

/// Starts the process that gathers the inventory, in a process group of its own, without anything of our environment. It dies with this process.
/// `group` is the control group that it joins.
pub(crate) fn start_collector(folder: &Path, group: Option<&Path>) -> io::Result<Child> {
    let mut command = own_binary("collect");
    command.arg("--folder").arg(folder).arg("--supervised").arg(std::process::id().to_string());
    if let Some(group) = group {
        command.arg("--cgroup").arg(group);
    }
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
    tokio::process::Command::from(command).kill_on_drop(true).spawn()
}

/// As [`start_starter`], for something that writes its log where this process does.
pub(crate) fn start_starter_of_collector(program: &Path, arguments: &[OsString], search_path: &str) -> io::Result<Child> {
    tokio::process::Command::from(starter(program, arguments, search_path, None)).spawn()
}

/// Not our own standard error: its reader may go away while the job lives on.
fn log_of(folder: &JobFolder) -> io::Result<File> {
    std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(folder.log())
}

/// Starts the program that has systemd start a job; it waits for the job's end. `input` and the job's log become the job's own.
pub(crate) fn start_starter(
    program: &Path,
    arguments: &[OsString],
    search_path: &str,
    input: Option<File>,
    folder: &JobFolder,
) -> io::Result<Child> {
    let mut command = starter(program, arguments, search_path, input);
    command.stderr(log_of(folder)?);
    tokio::process::Command::from(command).spawn()
}

/// Runs the program that has systemd start something, and waits for the end of both.
pub(crate) fn run_starter(program: &Path, arguments: &[OsString], search_path: &str, input: Option<File>) -> io::Result<ExitStatus> {
    starter(program, arguments, search_path, input).status()
}

fn starter(program: &Path, arguments: &[OsString], search_path: &str, input: Option<File>) -> Command {
    let mut command = new_command(program.as_os_str());
    command.args(arguments).env_clear().env("PATH", search_path);
    command.stdin(input.map_or_else(Stdio::null, Stdio::from)).stdout(Stdio::null());
    command
}

/// Starts a program of the system that reboots it or is asked about that, without input and with what it writes where the caller says.
pub(crate) fn start_system_program(
    program: &Path,
    arguments: &[String],
    search_path: &str,
    stdout: Stdio,
    stderr: Stdio,
) -> io::Result<Child> {
    let mut command = new_command(program.as_os_str());
    command.args(arguments).env_clear().env("PATH", search_path).stdin(Stdio::null()).stdout(stdout).stderr(stderr);
    tokio::process::Command::from(command).spawn()
}

/// Starts the process of a step, in a process group of its own, with its output in pipes. `input` is its standard input: its secrets, where it
/// has some.
pub(crate) fn start_step(plan: &Path, order: &str, input: Option<File>) -> io::Result<Child> {
    let mut command = own_binary("step");
    command.arg("--plan").arg(plan).env_clear().env(ORDER_VARIABLE, order);
    let input = input.map_or_else(Stdio::null, Stdio::from);
    command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    tokio::process::Command::from(command).spawn()
}

/// Becomes a program with these arguments and exactly this environment. Returns only when that fails.
pub(crate) fn become_program<'a>(
    program: &Path,
    arguments: &[String],
    environment: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> io::Error {
    new_command(program.as_os_str()).args(arguments).env_clear().envs(environment).exec()
}

/// Runs a program in a folder, with exactly this environment, in the process group of this process, and waits for its end.
pub(crate) fn run_program(
    program: &Path,
    arguments: &[String],
    environment: &BTreeMap<String, String>,
    folder: &Path,
) -> io::Result<ExitStatus> {
    new_command(program.as_os_str()).args(arguments).env_clear().envs(environment).current_dir(folder).stdin(Stdio::null()).status()
}

/// As [`run_program`], and hands over what the program writes to its standard output while it runs. When that is refused the program is
/// killed.
pub(crate) fn read_program<E: From<io::Error>>(
    program: &Path,
    arguments: &[String],
    environment: &BTreeMap<String, String>,
    folder: &Path,
    read: impl FnOnce(ChildStdout) -> Result<(), E>,
) -> Result<ExitStatus, E> {
    let mut command = new_command(program.as_os_str());
    command.args(arguments).env_clear().envs(environment).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let done = child.stdout.take().map_or(Ok(()), read);
    if done.is_err() {
        child.kill()?;
    }
    let status = child.wait()?;
    done.map(|()| status)
}

/// Asks a program of the system something, and hands over what it writes to its standard output while it runs. Where it takes longer than
/// [`ANSWER_LIMIT`] it is killed, and the answer ends there.
///
/// # Errors
/// Whatever the system says, and a program that was killed or ends with another code than 0; the answer counts for nothing then.
pub(crate) fn ask_program<A>(
    program: &Path,
    arguments: &[&str],
    search_path: &str,
    stderr: Stdio,
    read: impl FnOnce(ChildStdout) -> A,
) -> io::Result<A> {
    let mut command = new_command(program.as_os_str());
    command
        .args(arguments)
        .env_clear()
        .env("PATH", search_path)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(stderr);
    let mut child = command.spawn()?;
    let stdout = child.stdout.take().ok_or_else(|| io::Error::other("the program has no standard output"))?;
    let pid = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    let (done, is_done) = std::sync::mpsc::channel::<()>();
    let guard = std::thread::spawn(move || {
        let is_late = is_done.recv_timeout(ANSWER_LIMIT) == Err(std::sync::mpsc::RecvTimeoutError::Timeout);
        // It is no other's number yet: nobody has waited for the child.
        is_late && kill(pid, Signal::SIGKILL).is_ok()
    });
    let answer = read(stdout);
    drop(done);
    let was_killed = guard.join().unwrap_or(false);
    let status = child.wait()?;
    if was_killed {
        return Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("{} was killed after {} s", program.display(), ANSWER_LIMIT.as_secs()),
        ));
    }
    if status.success() { Ok(answer) } else { Err(io::Error::other(format!("{} ended with {status}", program.display()))) }
}

/// A program in the folders of a search path: the first file of its name that may be executed.
pub(crate) fn find_program(search_path: &str, program: &str) -> Option<PathBuf> {
    let is_program = |path: &PathBuf| path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & EXECUTABLE != 0);
    search_path.split(':').map(|folder| Path::new(folder).join(program)).find(is_program)
}

/// This binary in another role, for whoever else starts it.
pub(crate) fn own_command(role: &str) -> Vec<OsString> {
    vec![own_path().into(), role.into()]
}

fn own_path() -> PathBuf {
    // After an update the file is another one, or gone: then the kernel still has the one that runs.
    let found = std::env::current_exe().ok().filter(|path| path.exists());
    found.unwrap_or_else(|| PathBuf::from(format!("/proc/{}/exe", std::process::id())))
}

fn own_binary(role: &str) -> Command {
    let mut command = new_command(own_path().as_os_str());
    command.arg0(OsString::from("flotilla-agent")).arg(role);
    command
}

#[expect(clippy::disallowed_methods, reason = "the one place that starts processes")]
fn new_command(program: &OsStr) -> Command {
    let mut command = Command::new(program);
    // None of them may speak to systemd in our name.
    for variable in notify::VARIABLES {
        command.env_remove(variable);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In the environment of the process that is to end.
    const IS_TO_PANIC: &str = "FLOTILLA_TEST_IS_TO_PANIC";

    #[test]
    fn no_child_can_speak_to_systemd_in_our_name() {
        let command = own_binary("job");
        for variable in notify::VARIABLES {
            assert!(command.get_envs().any(|(name, value)| name == variable && value.is_none()), "{variable}");
        }
    }

    #[test]
    fn a_panic_of_a_thread_ends_the_whole_process() {
        if std::env::var_os(IS_TO_PANIC).is_some() {
            end_at_any_panic();
            // Whoever comes past this passes, and its process ends with 0.
            assert!(std::thread::spawn(|| panic!("on purpose")).join().is_err());
            return;
        }
        let mut other = new_command(std::env::current_exe().unwrap().as_os_str());
        other.args(["--exact", "process::tests::a_panic_of_a_thread_ends_the_whole_process"]).env(IS_TO_PANIC, "1");
        let status = other.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        assert_eq!(status.code(), Some(PANICKED));
    }
}
