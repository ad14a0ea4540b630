//! The processes that the quickstart starts, and only those does it stop.
//!
//! Each is started as this same program, which binds itself to us and then becomes the wanted program. So when we are killed
//! the kernel stops our children, and no bridge stays behind with the ports of the fleet.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getppid};

use crate::clock;
use crate::error::{QuickstartError, report};
use crate::signals::{self, Signals};
use crate::story::{indented, say};

/// First argument of this program where it is to become another one.
pub(crate) const ROLE: &str = "as-child-of";
/// How often something that is waited for is looked at.
pub(crate) const LOOK_PAUSE: Duration = Duration::from_millis(25);
/// Exit code by the custom of shells: the program cannot be started.
const CANNOT_START: u8 = 127;
/// Most bytes that are read of what a short-lived program says.
const MAXIMUM_SAID_BYTES: u64 = 64 * 1024;
/// How much of a log is looked at for its last lines, in bytes.
const LOG_TAIL_BYTES: u64 = 8 * 1024;
/// How many lines of a log are shown.
const LOG_TAIL_LINES: usize = 15;
/// Variables that would change the settings of what we start, meant for another bridge or agent of this person.
const FOREIGN_SETTINGS: [&str; 2] = ["FLOTILLA_AGENT__", "FLOTILLA_BRIDGE__"];

/// What a command of [`bound`] does first: `as-child-of PID PROGRAM ARGUMENT…`.
pub(crate) fn become_program(mut words: impl Iterator<Item = OsString>) -> ExitCode {
    let parent = words.next().and_then(|word| word.to_str()?.parse().ok()).map(Pid::from_raw);
    let (Some(parent), Some(program)) = (parent, words.next()) else {
        return report(&io::Error::from(io::ErrorKind::InvalidInput), CANNOT_START);
    };
    let bound = set_pdeathsig(Signal::SIGTERM).and_then(|()| signals::unblock());
    if let Err(error) = bound {
        return report(&error, CANNOT_START);
    }
    if getppid() != parent {
        // It ended before it could be bound to: nobody wants this program any more.
        return ExitCode::from(CANNOT_START);
    }
    let mut command = command(&program);
    let error = command.args(words).exec();
    report(&QuickstartError::Start { program: program.into(), source: error }, CANNOT_START)
}

/// A process that is to go on until we stop it.
#[derive(Debug)]
pub(crate) struct Child {
    name: String,
    process: std::process::Child,
    log: PathBuf,
    /// Length of the log before the start.
    log_start: u64,
}

impl Child {
    /// Starts a program in a process group of its own, so that Ctrl-C comes to us alone and we stop things in order.
    pub(crate) fn start(name: String, program: &Path, arguments: &[&OsStr], log: PathBuf) -> Result<Self, QuickstartError> {
        let unwritable = |source| QuickstartError::Write { path: log.clone(), source };
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&log).map_err(unwritable)?;
        let log_start = file.metadata().map_err(unwritable)?.len();
        let errors = file.try_clone().map_err(unwritable)?;
        let mut command = bound(program);
        command.args(arguments).stdin(Stdio::null()).stdout(file).stderr(errors).process_group(0);
        let process = command.spawn().map_err(|source| QuickstartError::Start { program: program.to_owned(), source })?;
        Ok(Self { name, process, log, log_start })
    }

    /// An error when the process has ended.
    pub(crate) fn check(&mut self) -> Result<(), QuickstartError> {
        let Some(status) = self.ended() else { return Ok(()) };
        let last_lines = last_lines(&self.log, self.log_start);
        Err(QuickstartError::Died { name: self.name.clone(), status, log: self.log.clone(), last_lines })
    }

    /// Its status, once it has ended.
    fn ended(&mut self) -> Option<ExitStatus> {
        // It is our own child and waited for only here: the call cannot fail.
        self.process.try_wait().ok().flatten()
    }

    fn signal(&self, signal: Signal) {
        signal_process(&self.process, signal);
    }
}

/// Stops processes together: SIGTERM, and after `limit` SIGKILL. Returns when all are gone.
pub(crate) fn stop(children: &mut [Child], limit: Duration) {
    for child in &mut *children {
        if child.ended().is_none() {
            child.signal(Signal::SIGTERM);
        }
    }
    let begun = clock::now();
    let mut killed = false;
    while children.iter_mut().any(|child| child.ended().is_none()) {
        if !killed && begun.elapsed() >= limit {
            killed = true;
            for child in &mut *children {
                if child.ended().is_none() {
                    say(&format!("  {} did not stop within {} s and is killed", child.name, limit.as_secs()));
                    child.signal(Signal::SIGKILL);
                }
            }
        }
        std::thread::sleep(LOOK_PAUSE);
    }
}

/// Runs a short-lived program to its end and returns what it printed. `input` reaches it by a pipe: secrets stay off its
/// command line.
pub(crate) fn run(
    what: &'static str,
    program: &Path,
    arguments: &[&OsStr],
    input: &str,
    limit: Duration,
    signals: &Signals,
) -> Result<String, QuickstartError> {
    let failed = |source| QuickstartError::Start { program: program.to_owned(), source };
    let mut command = bound(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut process = command.spawn().map_err(failed)?;
    if let Some(mut pipe) = process.stdin.take() {
        // A program that does not read its input says why by its end.
        drop(pipe.write_all(input.as_bytes()));
    }
    let begun = clock::now();
    let waited = loop {
        match process.try_wait().map_err(failed)? {
            Some(status) => break Ok(Some(status)),
            None if begun.elapsed() >= limit => break Ok(None),
            None => {}
        }
        if let Err(error) = signals.sleep(LOOK_PAUSE) {
            break Err(error);
        }
    };
    if !matches!(waited, Ok(Some(_))) {
        end(&mut process);
    }
    let output = said(process.stdout.take());
    let complaint = said(process.stderr.take());
    match waited? {
        Some(status) if status.success() => Ok(output),
        Some(status) => Err(QuickstartError::Step { what, status, said: complaint }),
        None => Err(QuickstartError::StepTimeout { what, limit, said: complaint }),
    }
}

/// Runs a program to its end on our own terminal.
pub(crate) fn run_on_terminal(mut command: Command, signals: &Signals) -> Result<ExitStatus, io::Error> {
    let mut process = command.spawn()?;
    loop {
        if let Some(status) = process.try_wait()? {
            return Ok(status);
        }
        if signals.sleep(LOOK_PAUSE).is_err() {
            end(&mut process);
            return Err(io::Error::from(io::ErrorKind::Interrupted));
        }
    }
}

/// A command that is bound to us, without the settings of others.
pub(crate) fn bound(program: &Path) -> Command {
    let mut command = command(OsStr::new("/proc/self/exe"));
    command.arg(ROLE).arg(std::process::id().to_string()).arg(program);
    for (name, _) in std::env::vars_os() {
        if FOREIGN_SETTINGS.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command
}

#[expect(clippy::disallowed_methods, reason = "the one place that starts processes")]
fn command(program: &OsStr) -> Command {
    Command::new(program)
}

/// Stops a short-lived process, which may take a second for it.
fn end(process: &mut std::process::Child) {
    signal_process(process, Signal::SIGTERM);
    let begun = clock::now();
    while matches!(process.try_wait(), Ok(None)) {
        if begun.elapsed() >= Duration::from_secs(1) {
            signal_process(process, Signal::SIGKILL);
        }
        std::thread::sleep(LOOK_PAUSE);
    }
}

/// To our own child that was not waited for: its id cannot be another process's.
fn signal_process(process: &std::process::Child, signal: Signal) {
    if let Ok(pid) = i32::try_from(process.id()) {
        // It may have ended in this moment, which is what we want.
        let _sent = kill(Pid::from_raw(pid), signal);
    }
}

fn said(pipe: Option<impl io::Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        // What was read before an error is still worth showing.
        drop(pipe.take(MAXIMUM_SAID_BYTES).read_to_end(&mut bytes));
    }
    String::from_utf8_lossy(&bytes).trim_end().to_owned()
}

/// The last lines of a log, of those after `start`.
fn last_lines(log: &Path, start: u64) -> String {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let from = file.metadata()?.len().saturating_sub(LOG_TAIL_BYTES).max(start);
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(LOG_TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let text = read().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    if lines.is_empty() {
        return "  (nothing)".to_owned();
    }
    let tail = lines.split_at(lines.len().saturating_sub(LOG_TAIL_LINES)).1;
    indented(&tail.join("\n"), "  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_those_of_this_start() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut file = File::create(&log).unwrap();
        writeln!(file, "of an earlier start").unwrap();
        let start = file.metadata().unwrap().len();
        assert_eq!(last_lines(&log, start), "  (nothing)");
        for number in 0..40 {
            writeln!(file, "line {number}").unwrap();
        }
        let shown = last_lines(&log, start);
        assert!(shown.starts_with("  line 25\n") && shown.ends_with("  line 39"), "{shown}");
        assert_eq!(last_lines(Path::new("/nowhere/log"), 0), "  (nothing)");
    }
}
