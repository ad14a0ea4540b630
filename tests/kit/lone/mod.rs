//! A node without a broker: the real exec with its real journal and real jobs, and the test in the place of link, broker and bridge. A life
//! of a command takes a tenth of a second, so that it can be cut at every call.

pub mod bridge;
pub mod identity;

use crate::effects::Effects;
use crate::invariants::{History, journal};
use crate::process::{self, Child, binary};
use crate::strace::{self, Injection};
use crate::{clock, wait, watchdog};
use bridge::PlayedBridge;
use flotilla_agent::arguments::SettingsFile;
use flotilla_agent::exec::journal::JournalError;
use flotilla_agent::frame::{self, FrameReader, FromExec, FromLink};
use flotilla_agent::settings::Settings;
use flotilla_protocol::id::OrderId;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::runtime::Runtime;

/// How long one look for a frame takes before the process is looked at again.
const LOOK: Duration = Duration::from_millis(5);
/// How long anything may take until it is missed.
pub const LIMIT: Duration = Duration::from_secs(20);

/// How exec is started.
#[derive(Debug, Clone, Copy)]
pub enum Start<'a> {
    /// As always.
    Plain,
    /// Under strace, perhaps with a fault. Only this run is: once it has ended, exec is started as always.
    Traced(Option<&'a Injection>),
    /// As always, and the first job that it starts is under strace.
    JobTraced(Option<&'a Injection>),
}

/// Exec, and what is around it.
#[derive(Debug)]
pub struct Lone {
    /// The bridge, as the test plays it.
    pub bridge: PlayedBridge,
    /// What commands really did.
    pub effects: Effects,
    exec: Option<Child>,
    link: Option<Link>,
    /// How often exec was started.
    pub starts: u64,
    settings: Settings,
    trace: PathBuf,
    runtime: Runtime,
    folder: TempDir,
}

#[derive(Debug)]
struct Link {
    reader: FrameReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

impl Default for Lone {
    /// An enrolled node whose exec does not run yet.
    fn default() -> Self {
        let folder = tempfile::Builder::new().prefix("flotilla-lone-").tempdir().expect("a temporary folder can be made");
        let path = folder.path();
        let text = format!("state_folder = \"{}\"\nmaximum_jobs = 8\nreboot = \"refuse\"\n", path.join("state").display());
        write(&path.join("agent.toml"), &text);
        let file = SettingsFile::Named(path.join("agent.toml"));
        let settings = Settings::from_sources(&file, std::iter::empty()).expect("the settings are good");
        let bridge = PlayedBridge::default();
        bridge.identity().enrol(&settings);
        std::fs::create_dir(path.join("bin")).expect("a folder can be made");
        std::fs::copy(binary("flotilla-agent"), path.join("bin/real")).expect("the agent's binary can be copied");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
        let (effects, trace) = (Effects::new(path), path.join("trace"));
        Self { bridge, effects, exec: None, link: None, starts: 0, settings, trace, runtime, folder }
    }
}

impl Lone {
    /// The log of the calls of the last run that was traced.
    #[must_use]
    pub fn trace(&self) -> &Path {
        &self.trace
    }

    /// What exec has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Prints the end of what exec has logged.
    pub fn print_log(&self) {
        process::print_log(&self.log_path());
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Starts exec anew; one that runs is killed, and its jobs are not.
    pub fn start(&mut self, how: Start<'_>) {
        self.kill();
        let (real, named) = (self.folder.path().join("bin/real"), self.folder.path().join("bin/flotilla-agent"));
        match how {
            Start::Plain => self.run(process::command(&real)),
            Start::Traced(injection) => {
                remove(&self.trace);
                self.run(strace::command(&real, &self.trace, injection));
            }
            Start::JobTraced(injection) => {
                // Exec starts jobs from the file that it was itself started from. That name is gone by then, and what the kernel calls a
                // file whose name is gone is the name of a script of ours, so that the job is traced and exec is not.
                let (once, gone) = (self.folder.path().join("once"), self.folder.path().join("bin/flotilla-agent (deleted)"));
                drop(std::fs::remove_dir(&once));
                remove(&self.trace);
                remove(&gone);
                write(&gone, &strace::script(&real, &self.trace, &once, injection));
                std::fs::set_permissions(&gone, std::fs::Permissions::from_mode(0o700)).expect("a file of ours can be made executable");
                remove(&named);
                std::fs::hard_link(&real, &named).expect("a second name can be made");
                self.run(process::command(&named));
                remove(&named);
            }
        }
    }

    fn run(&mut self, mut command: Command) {
        command.arg("exec").arg("--settings").arg(self.folder.path().join("agent.toml"));
        self.exec = Some(Child::start("exec", command, &self.log_path()));
        self.starts += 1;
    }

    /// Kills exec with whatever traces it.
    pub fn kill(&mut self) {
        self.link = None;
        self.exec = None;
    }

    /// Says something as the link would; nothing when exec is not there.
    pub fn say(&mut self, frame: &FromLink) {
        let Some(link) = &mut self.link else { return };
        if self.runtime.block_on(frame::write(&mut link.writer, frame)).is_err() {
            self.link = None;
        }
    }

    /// Sends a new order to run a script.
    pub fn send(&mut self, id: OrderId, script: &str) {
        let frame = self.bridge.send(id, script);
        self.say(&frame);
    }

    /// Does what link and supervisor do, until `done`; whether it came to that within [`LIMIT`].
    pub fn run_until(&mut self, done: impl FnMut(&Self) -> bool) -> bool {
        self.run_for(LIMIT, done)
    }

    /// As [`Lone::run_until`], within another time.
    pub fn run_for(&mut self, limit: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        let deadline = clock::now() + limit;
        while !done(self) {
            watchdog::look();
            if clock::now() > deadline {
                return false;
            }
            self.turn(deadline);
        }
        true
    }

    fn turn(&mut self, deadline: Instant) {
        if self.exec.as_mut().is_none_or(|exec| exec.ended().is_some()) {
            self.start(Start::Plain);
        }
        if self.link.is_none() {
            self.connect();
        }
        let Some(link) = &mut self.link else { return std::thread::sleep(Duration::from_millis(1)) };
        let limit = LOOK.min(deadline.saturating_duration_since(clock::now()));
        let frame = self.runtime.block_on(async { tokio::time::timeout(limit, link.reader.next::<FromExec>()).await });
        match frame {
            Ok(Ok(Some(FromExec::Publish { topic, payload, .. }))) => {
                for answer in self.bridge.take(&topic, &payload) {
                    self.say(&answer);
                }
            }
            Ok(Ok(Some(_))) | Err(_) => {}
            Ok(Ok(None) | Err(_)) => self.link = None,
        }
    }

    fn connect(&mut self) {
        let connected = self.runtime.block_on(UnixStream::connect(&self.settings.socket));
        if let Ok(stream) = connected {
            let (reader, writer) = stream.into_split();
            self.link = Some(Link { reader: FrameReader::new(reader), writer });
            self.bridge.hello = None;
            self.say(&FromLink::Connected);
        }
    }

    /// Begins a new connection of the same link to the broker.
    pub fn reconnect(&mut self) {
        self.bridge.hello = None;
        self.say(&FromLink::Disconnected { reason: "the test".to_owned() });
        self.say(&FromLink::Connected);
    }

    /// Kills exec, and says everything that is known of the node: what it has told the bridge, what its journal holds, and what the commands
    /// did, whose order `order_of` knows by their marks. Everything must have ended.
    ///
    /// # Panics
    /// When the journal cannot be read.
    #[must_use]
    pub fn history(&mut self, order_of: impl Fn(&str) -> Option<String>) -> History {
        self.kill();
        let mut history = History { settled: true, ..History::default() };
        self.bridge.tell(&mut history);
        let node = self.bridge.identity().node().to_string();
        history.effects(&node, &self.effects.read(), order_of);
        let exec = self.settings.state_folder.join("exec");
        let kept = wait::until(LIMIT, "exec lets go of its journal", || match journal::read(&exec) {
            Err(JournalError::InUse { .. }) => None,
            read => Some(read.unwrap_or_else(|error| panic!("the journal cannot be read: {error}"))),
        });
        let of_node = history.node(&node);
        of_node.receipted_up_to = kept.receipted_up_to;
        of_node.kept = Some(kept);
        history
    }

    /// Whether the node still keeps the folder of an order's job.
    #[must_use]
    pub fn keeps_folder(&self, id: OrderId) -> bool {
        self.settings.state_folder.join("exec/jobs").join(id.to_string()).exists()
    }

    /// The folder for the test's own files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

#[expect(clippy::disallowed_methods, reason = "files of a test are not kept over a power cut")]
fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap_or_else(|error| panic!("{} cannot be written: {error}", path.display()));
}

/// Removes a file that may not be there.
fn remove(path: &Path) {
    drop(std::fs::remove_file(path));
}

impl Drop for Lone {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.print_log();
        }
        self.kill();
        process::kill_all_of(self.folder.path());
    }
}
