//! Children: the one place of the tests that starts processes. Each has a process group and a log of its own.

use crate::clock;
use crate::wait;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use std::fs::OpenOptions;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::time::Duration;

/// How long a child may take to stop when it is asked to.
const STOP_LIMIT: Duration = Duration::from_secs(20);
/// How much of a log is shown when a test fails, in lines.
const SHOWN_LINES: usize = 80;

/// Names a folder with other binaries to test than those that cargo put beside the test, such as those of a package.
const BINARIES: &str = "FLOTILLA_BINARIES";

/// A binary of this workspace, where cargo put it or where `FLOTILLA_BINARIES` says.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("this process has a path");
    let beside = test.ancestors().skip(1).find(|folder| !folder.ends_with("deps")).expect("a path has a parent");
    let path = std::env::var_os(BINARIES).map_or_else(|| beside.to_owned(), PathBuf::from).join(name);
    assert!(path.exists(), "{} is missing; run `cargo build --workspace` first, as tests/run does", path.display());
    path
}

/// A command that can be given arguments; its process group will be its own.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the process module")]
pub fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.process_group(0).stdin(Stdio::null());
    command
}

/// Writes a file of a test, whole or not at all being of no interest.
///
/// # Panics
/// When it cannot be written.
#[expect(clippy::disallowed_methods, reason = "files of a test are not kept over a power cut")]
pub fn write(path: &Path, content: &[u8]) {
    std::fs::write(path, content).unwrap_or_else(|error| panic!("{} cannot be written: {error}", path.display()));
}

/// Copies a folder with everything in it and its modes. Only files and folders are copied.
///
/// # Panics
/// When something of it cannot be copied.
pub fn copy_folder(from: &Path, to: &Path) {
    let mut copy = command(Path::new("/bin/cp"));
    let copied = output({
        copy.arg("-a").arg(from).arg(to);
        copy
    });
    assert!(copied.status.success(), "{} cannot be copied: {}", from.display(), String::from_utf8_lossy(&copied.stderr));
}

/// Runs a command to its end and returns what it wrote.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn output(mut command: Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{:?} cannot be run: {error}", command.get_program()))
}

/// A running child, killed with its group when it is dropped.
#[derive(Debug)]
pub struct Child {
    name: String,
    child: std::process::Child,
    ended: Option<ExitStatus>,
}

impl Child {
    /// Starts a command; standard output and error are added to `log`.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(name: &str, mut command: Command, log: &Path) -> Self {
        let file = OpenOptions::new().append(true).create(true).open(log).expect("the log can be written");
        let errors = file.try_clone().expect("a descriptor is free");
        let child = command.stdout(file).stderr(errors).spawn();
        let child = child.unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        Self { name: name.to_owned(), child, ended: None }
    }

    /// Its id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("ids of processes are small")
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("a child of ours can be waited for");
        }
        self.ended
    }

    /// Kills it, and it alone, with SIGKILL.
    pub fn kill(&mut self) {
        if self.ended().is_none() {
            signal(self.pid(), Signal::SIGKILL);
            self.ended = self.child.wait().ok();
        }
    }

    /// Asks it to stop and waits for it.
    ///
    /// # Panics
    /// When it does not stop in time, or not in order.
    pub fn stop(&mut self) {
        if self.ended().is_none() {
            signal(self.pid(), Signal::SIGTERM);
        }
        let name = self.name.clone();
        let status = wait::until(STOP_LIMIT, &format!("{name} stops when asked to"), || self.ended());
        assert!(status.success() || status.signal() == Some(15), "{name} ended with {status}");
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.ended().is_none() {
            // The group first: what the child has started in it must not outlive it.
            let _gone = killpg(Pid::from_raw(self.pid()), Signal::SIGKILL);
            let _reaped = self.child.wait();
        }
    }
}

/// What a process holds in memory, in KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Now.
    pub resident_kib: u64,
    /// The most there ever was.
    pub peak_kib: u64,
}

/// The memory of a running process.
///
/// # Panics
/// When there is no such process.
#[must_use]
pub fn memory(pid: i32) -> Memory {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let value = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB")?.parse().ok());
    let value = |name: &str| value(name).expect("the kernel says so of every process");
    Memory { resident_kib: value("VmRSS:"), peak_kib: value("VmHWM:") }
}

/// What a process has taken of memory and of the processor, as the kernel counts it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Its proportional share of memory, in KiB: a page that several processes map counts in parts (`smaps_rollup`).
    pub pss_kib: u64,
    /// Of that, what no file stands behind: heap and stacks, in KiB.
    pub pss_anonymous_kib: u64,
    /// Threads.
    pub threads: u64,
    /// How often it was woken: its threads went to sleep of their own accord as often.
    pub wakeups: u64,
    /// Nanoseconds on a processor.
    pub cpu_ns: u64,
}

impl std::iter::Sum for Load {
    fn sum<I: Iterator<Item = Self>>(loads: I) -> Self {
        loads.fold(Self::default(), |sum, one| Self {
            pss_kib: sum.pss_kib + one.pss_kib,
            pss_anonymous_kib: sum.pss_anonymous_kib + one.pss_anonymous_kib,
            threads: sum.threads + one.threads,
            wakeups: sum.wakeups + one.wakeups,
            cpu_ns: sum.cpu_ns + one.cpu_ns,
        })
    }
}

/// The load of a running process; threads that have ended are left out.
///
/// # Panics
/// When there is no such process, or this one may not look at it.
#[must_use]
pub fn load(pid: i32) -> Load {
    let smaps = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("the process runs");
    let share = |name: &str| -> u64 {
        let value = smaps.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB")?.parse().ok());
        value.expect("the kernel says so of every process")
    };
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the process runs");
    let of_threads: Load = threads.filter_map(|thread| load_of_thread(&thread.ok()?.path())).sum();
    Load { pss_kib: share("Pss:"), pss_anonymous_kib: share("Pss_Anon:"), ..of_threads }
}

fn load_of_thread(thread: &Path) -> Option<Load> {
    let status = std::fs::read_to_string(thread.join("status")).ok()?;
    let wakeups = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")?.trim().parse().ok())?;
    let cpu_ns = std::fs::read_to_string(thread.join("schedstat")).ok()?.split_ascii_whitespace().next()?.parse().ok()?;
    Some(Load { threads: 1, wakeups, cpu_ns, ..Load::default() })
}

/// Lets this process and its later children have at least so many descriptors open.
///
/// # Panics
/// When the system does not allow so many.
pub fn allow_descriptors(wanted: u64) {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("limits can be read");
    if soft < wanted {
        let set = setrlimit(Resource::RLIMIT_NOFILE, wanted, hard.max(wanted));
        set.unwrap_or_else(|error| panic!("{wanted} descriptors are needed, and {hard} are allowed (ulimit -Hn): {error}"));
    }
}

/// Sends a signal to one process; that it is gone by now does not matter.
pub fn signal(pid: i32, signal: Signal) {
    if let Err(error) = kill(Pid::from_raw(pid), signal) {
        assert_eq!(error, nix::Error::ESRCH, "process {pid} cannot be signalled");
    }
}

/// Stops all threads of a process where they are (SIGSTOP), and waits until none of them can do anything more but end the call of the
/// kernel in which it waits for a disk.
///
/// # Panics
/// When they do not stop.
pub fn freeze(pid: i32) {
    signal(pid, Signal::SIGSTOP);
    let deadline = clock::now() + STOP_LIMIT;
    while !is_frozen(pid) {
        assert!(clock::now() < deadline, "process {pid} does not stop");
        std::thread::yield_now();
    }
}

/// Whether each thread is stopped, waits for a disk, or is gone.
fn is_frozen(pid: i32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return true };
    threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("stat")).ok()).all(|stat| {
        let state = stat.rsplit_once(')').and_then(|(_, fields)| fields.split_ascii_whitespace().next().map(str::to_owned));
        matches!(state.as_deref(), Some("T" | "t" | "D" | "Z" | "X") | None)
    })
}

/// A process of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its id.
    pub pid: i32,
    /// Its parent's id.
    pub parent: i32,
    /// Its arguments, separated by spaces.
    pub arguments: String,
}

/// The processes for which `wanted` holds at this moment, zombies left out.
pub fn find(wanted: impl Fn(&Found) -> bool) -> Vec<Found> {
    let entries = std::fs::read_dir("/proc").expect("/proc can be read");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(look_at).filter(wanted).collect()
}

fn look_at(pid: i32) -> Option<Found> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let arguments = String::from_utf8_lossy(&arguments).replace('\0', " ");
    (!matches!(state, "Z" | "X")).then_some(Found { pid, parent, arguments })
}

/// Kills every process that works in `folder` or names it in its arguments: jobs, which outlive their agent by design.
pub fn kill_all_of(folder: &Path) {
    let name = folder.to_string_lossy().into_owned();
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    for process in find(|process| process.pid != own) {
        let works_there = std::fs::read_link(format!("/proc/{}/cwd", process.pid)).is_ok_and(|path| path.starts_with(folder));
        if works_there || process.arguments.contains(&name) {
            signal(process.pid, Signal::SIGKILL);
        }
    }
}

/// Prints the end of every log of a folder.
pub fn print_logs(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths.iter().for_each(|path| print_log(path));
}

/// Prints the end of a log.
#[expect(clippy::print_stderr, reason = "a failed test shows what its processes said")]
pub fn print_log(path: &Path) {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    eprintln!("---- {} ({} lines)", path.display(), lines.len());
    for line in lines.iter().skip(lines.len().saturating_sub(SHOWN_LINES)) {
        eprintln!("{line}");
    }
}
