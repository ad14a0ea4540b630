//! A node: an agent with a state folder of its own.

use crate::process::{self, Child, Found, write};
use crate::wait;
use nix::sys::signal::Signal;
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

/// How long a half of the agent may take to come back.
const HALF_LIMIT: Duration = Duration::from_secs(30);

/// A process of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// The one with the network.
    Link,
    /// The one that decides.
    Exec,
}

impl Half {
    fn word(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Exec => "exec",
        }
    }
}

/// What a suite tries is not to share the processors with what every node gathers by itself.
const NO_INVENTORY: &str = "inventory_interval_s = 0";

/// An agent, registered or not, running or not.
#[derive(Debug)]
pub struct Node {
    folder: PathBuf,
    log: PathBuf,
    child: Option<Child>,
    /// The halves, where they run without a supervisor.
    halves: Vec<Child>,
    /// Its own program, and before it nothing, or the way into a namespace.
    program: Vec<OsString>,
}

impl Node {
    /// `program` is the agent, with what stands before it.
    pub(crate) fn new(folder: &Path, log: &Path, program: Vec<OsString>) -> Self {
        std::fs::create_dir(folder).expect("the folder of a node can be made");
        let node = Self { folder: folder.to_owned(), log: log.to_owned(), child: None, halves: Vec::new(), program };
        node.set(&format!("keep_alive_s = 5\nreconnect_maximum_s = 1\n{}", node.reboots()));
        node
    }

    /// Settings by which it plays reboots and leaves the machine alone: another boot id, and exec is killed as by a reboot.
    fn reboots(&self) -> String {
        let (boot_id, script) = (self.folder.join("boot-id"), self.folder.join("reboot"));
        write(&boot_id, b"00000000-0000-4000-8000-000000000001\n");
        write(
            &script,
            format!("cat /proc/sys/kernel/random/uuid > {0}.new && mv {0}.new {0} && kill -9 $PPID\n", boot_id.display()).as_bytes(),
        );
        format!("boot_id_file = \"{}\"\nreboot_command = \"/bin/sh {}\"\n", boot_id.display(), script.display())
    }

    /// Has it do something else where it is to reboot: a shell script, whose parent is exec. To be called before the start.
    pub fn reboot_by(&self, script: &str, patience_s: u32) {
        let settings = format!("keep_alive_s = 5\nreconnect_maximum_s = 1\nreboot_patience_s = {patience_s}\n{}", self.reboots());
        self.set(&settings);
        write(&self.folder.join("reboot"), script.as_bytes());
    }

    fn set(&self, settings: &str) {
        let text = format!("state_folder = \"{}\"\nmaximum_jobs = 8\n{NO_INVENTORY}\n{settings}", self.state().display());
        write(&self.settings(), text.as_bytes());
    }

    /// Has it gather its inventory every so many seconds, with what its site says in a folder. To be called before the start.
    ///
    /// # Panics
    /// When its settings cannot be changed.
    pub fn gather(&self, interval_s: u32, custom: &Path) {
        let before = std::fs::read_to_string(self.settings()).expect("the settings of a node can be read");
        let lines = format!("inventory_interval_s = {interval_s}\ncustom_inventory_folder = \"{}\"", custom.display());
        let after = before.replace(NO_INVENTORY, &lines);
        assert_ne!(before, after, "the settings of a node say that it gathers nothing");
        write(&self.settings(), after.as_bytes());
    }

    /// Makes `other`, which was never registered, a copy of this node with everything that it knows. Stop this one before.
    ///
    /// # Panics
    /// When it cannot be copied.
    pub fn copy_to(&self, other: &Self) {
        process::copy_folder(&self.state(), &other.state());
        write(&other.folder.join("id"), self.id().as_bytes());
    }

    /// Its state folder.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// The name of its folder.
    ///
    /// # Panics
    /// Never: [`crate::Fleet::new_node`] has named it.
    #[must_use]
    pub fn name(&self) -> String {
        self.folder.file_name().expect("it has a name").to_string_lossy().into_owned()
    }

    fn settings(&self) -> PathBuf {
        self.folder.join("agent.toml")
    }

    /// Takes away what tests set to be quick: keep-alive and pauses are those of a real node. To be called before the start.
    pub fn use_defaults(&self) {
        self.set(&self.reboots());
    }

    /// Adds lines to its settings. To be called before the start.
    ///
    /// # Panics
    /// When they cannot be written.
    pub fn add_settings(&self, lines: &str) {
        let before = std::fs::read_to_string(self.settings()).expect("the settings of a node can be read");
        write(&self.settings(), format!("{before}{lines}").as_bytes());
    }

    /// Has it run one job at a time. To be called before the start.
    ///
    /// # Panics
    /// When its settings cannot be changed.
    pub fn run_one_at_a_time(&self) {
        let before = std::fs::read_to_string(self.settings()).expect("the settings of a node can be read");
        let after = before.replace("maximum_jobs = 8", "maximum_jobs = 1");
        assert_ne!(before, after, "the settings of a node name the number of its jobs");
        write(&self.settings(), after.as_bytes());
    }

    fn agent(&self) -> Command {
        let (first, rest) = self.program.split_first().expect("a program has a name");
        let mut command = process::command(Path::new(first));
        command.args(rest);
        command
    }

    /// What the agent has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Registers with an activation string, which goes in through standard input.
    #[must_use]
    pub fn try_register(&self, activation: &str, options: &[&str]) -> Output {
        let path = self.folder.join("activation");
        write(&path, activation.as_bytes());
        let mut command = self.agent();
        command.args(["register", "--activation", "-"]).args(options).arg("--settings").arg(self.settings());
        command.stdin(File::open(&path).expect("it was written"));
        process::output(command)
    }

    /// Registers, which must succeed; returns the node's id.
    ///
    /// # Panics
    /// When it fails.
    pub fn register(&self, activation: &str) -> String {
        let output = self.try_register(activation, &[]);
        assert!(output.status.success(), "register failed: {}", String::from_utf8_lossy(&output.stderr));
        let id = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        write(&self.folder.join("id"), id.as_bytes());
        id
    }

    /// The node's id, once it is registered.
    ///
    /// # Panics
    /// Before.
    #[must_use]
    pub fn id(&self) -> String {
        std::fs::read_to_string(self.folder.join("id")).expect("the node was registered")
    }

    /// Starts the agent.
    pub fn start(&mut self) {
        let mut command = self.agent();
        command.arg("run").arg("--settings").arg(self.settings());
        self.child = Some(Child::start("flotilla-agent", command, &self.log));
    }

    /// Starts both halves without a supervisor, as a service manager does; returns the process ids of exec and link.
    pub fn start_halves(&mut self) -> [i32; 2] {
        let [exec, link] = [Half::Exec, Half::Link].map(|half| {
            let mut command = self.agent();
            command.arg(half.word()).arg("--settings").arg(self.settings());
            Child::start(half.word(), command, &self.log)
        });
        let pids = [exec.pid(), link.pid()];
        self.halves = vec![exec, link];
        pids
    }

    /// Asks the agent to stop and waits for it. Its jobs go on.
    pub fn stop(&mut self) {
        self.halves.drain(..).rev().for_each(|mut half| half.stop());
        if let Some(mut child) = self.child.take() {
            child.stop();
        }
    }

    /// The process id of the supervisor.
    ///
    /// # Panics
    /// When the agent was not started.
    #[must_use]
    pub fn supervisor(&self) -> i32 {
        self.child.as_ref().expect("the agent was started").pid()
    }

    /// Waits until a half of the agent runs, and returns its process id.
    ///
    /// # Panics
    /// When the agent was not started or has ended, or the half does not come.
    #[must_use]
    pub fn half(&mut self, half: Half) -> i32 {
        let supervisor = self.child.as_mut().expect("the agent was started");
        let parent = supervisor.pid();
        let role = format!("flotilla-agent {} ", half.word());
        wait::until(HALF_LIMIT, &format!("{} runs", half.word()), || {
            assert!(supervisor.ended().is_none(), "the agent has ended");
            process::find(|found| found.parent == parent && found.arguments.starts_with(&role)).first().map(|found| found.pid)
        })
    }

    /// Kills a half of the agent with SIGKILL.
    pub fn kill_half(&mut self, half: Half) {
        let pid = self.half(half);
        process::signal(pid, Signal::SIGKILL);
    }

    /// The processes of jobs that run now.
    #[must_use]
    pub fn jobs(&self) -> Vec<Found> {
        let folder = self.state().join("exec/jobs").to_string_lossy().into_owned();
        process::find(|found| found.arguments.starts_with("flotilla-agent job ") && found.arguments.contains(&folder))
    }
}
