//! A whole device: a real systemd as its first process, on a disk of its own whose power can be cut.
//!
//! A machine is this system's root, read through an overlay whose upper layer is a [`Disk`], in namespaces of its own (mounts, processes,
//! host name, IPC, control groups; the network is the one that it is given). So it boots in about two seconds, writes nothing but its own
//! disk, and its `reboot` ends its first process and nothing else. It has a new boot id at each boot, as the kernel would give it.
//!
//! [`Machine::cut`] takes its power away: all of its processes stand still, its file system forgets what it has not written, and then they
//! are gone. One folder is no part of its disk and survives: the witness, to which commands write what they did.
//!
//! What it does not have: a kernel, devices and a clock of its own, and the controllers of control groups that this system has elsewhere.

mod cgroup;
mod install;
mod installed;

pub use install::Delivery;
pub use installed::{EXEC, Installed, LINK};

use crate::disk::Disk;
use crate::process::{self, Child};
use crate::wait;
use cgroup::Cgroup;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// How long a boot may take on a busy machine until PID 1 says that it runs.
const BOOT_LIMIT: Duration = Duration::from_secs(90);
/// How long its processes may take to be gone.
const END_LIMIT: Duration = Duration::from_secs(30);
/// The size of its disk. The upper layer holds an agent and little else.
const DISK_MEBIBYTES: u64 = 192;
/// After this nothing of a machine that is told to stand still is between two of its own instructions any more.
const STANDSTILL: Duration = Duration::from_millis(2);
/// Where the witness is inside.
pub const WITNESS: &str = "/witness";

const SYSTEMD: &str = "/lib/systemd/systemd";
const UNSHARE: &str = "/usr/bin/unshare";
const NSENTER: &str = "/usr/bin/nsenter";
const SETPRIV: &str = "/usr/bin/setpriv";
/// Builds the root, from inside the namespaces.
const START: &str = include_str!("start.sh");

/// A device that boots, or does not at the moment. All of it is gone when it is dropped.
#[derive(Debug)]
pub struct Machine {
    running: Option<Child>,
    /// Its first process, by the id that it has outside.
    first: i32,
    cgroup: Cgroup,
    disk: Disk,
    witness: PathBuf,
    enter: Vec<String>,
    boots: u32,
}

impl Machine {
    /// One that was never booted, with the empty disk of a system that was just installed. `witness`: a folder outside of its disk; `enter`: what
    /// stands before a program to have it run in the machine's network; where nothing does, the machine has loopback only.
    ///
    /// # Errors
    /// What this system cannot do or does not have, for the line that says that a test is skipped.
    pub fn new(witness: &Path, enter: &[String]) -> Result<Self, String> {
        if let Some(missing) = [SYSTEMD, UNSHARE, NSENTER, SETPRIV].iter().find(|program| !Path::new(program).exists()) {
            return Err(format!("{missing} is not there (Debian: systemd, util-linux)"));
        }
        let disk = Disk::new(DISK_MEBIBYTES)?;
        for name in ["upper", "work", "root"] {
            fs::create_dir(disk.path().join(name)).map_err(|error| format!("the machine's disk cannot be written: {error}"))?;
        }
        let cgroup = Cgroup::new()?;
        let mut machine = Self { running: None, first: 0, cgroup, disk, witness: witness.to_owned(), enter: enter.to_vec(), boots: 0 };
        machine.new_boot_id();
        let made = machine.once(install::BARE);
        if !made.status.success() {
            return Err(format!("a machine cannot be made: {}", String::from_utf8_lossy(&made.stderr).trim()));
        }
        Ok(machine)
    }

    fn boot_id_file(&self) -> PathBuf {
        self.witness.join("boot-id")
    }

    fn new_boot_id(&mut self) {
        let id = fs::read("/proc/sys/kernel/random/uuid").expect("the kernel draws ids");
        process::write(&self.boot_id_file(), &id);
    }

    /// A command in new namespaces; `program` is what is run instead of systemd.
    fn start(&self, program: &[&str]) -> Command {
        let mut command = process::command(Path::new(SETPRIV));
        // Whoever started it is its power supply: nothing of it outlives the test, however that ends.
        command.args(["--pdeathsig", "KILL", "--"]).args(&self.enter);
        command.args(["/bin/sh", "-c", "echo $$ >\"$1\" && shift && exec \"$@\"", "sh"]).arg(self.cgroup.processes());
        // A machine that is given no network has one of its own, with loopback only.
        let network: &[&str] = if self.enter.is_empty() { &["--net"] } else { &[] };
        command.arg(UNSHARE).args(network);
        command.args(["--mount", "--pid", "--uts", "--ipc", "--cgroup", "--fork", "--kill-child=KILL", "--"]);
        command.args(["/bin/sh", "-c", START, "start.sh"]).arg(self.disk.path()).arg(&self.witness).arg(self.boot_id_file());
        command.args(program);
        command
    }

    /// Runs a shell script on its disk while it is not booted.
    ///
    /// # Panics
    /// When it is.
    #[must_use]
    pub fn once(&self, script: &str) -> Output {
        assert!(self.running.is_none(), "the machine is running");
        process::output(self.start(&["/bin/sh", "-euc", script]))
    }

    /// Boots it, with a new boot id, and waits until its services are there.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn boot(&mut self) {
        self.power_on();
        wait::until_true(BOOT_LIMIT, "the machine has booted", || {
            assert!(!self.has_ended(), "the machine ended while it booted");
            let state = self.run("systemctl is-system-running");
            matches!(String::from_utf8_lossy(&state.stdout).trim(), "running" | "degraded")
        });
    }

    /// Has its first process begin, with a new boot id, and waits for nothing else.
    ///
    /// # Panics
    /// When it does not begin.
    pub fn power_on(&mut self) {
        assert!(self.running.is_none(), "the machine is running");
        self.boots += 1;
        self.new_boot_id();
        let child = Child::start("machine", self.start(&[]), &self.witness.join("machine.log"));
        let parent = child.pid();
        self.running = Some(child);
        self.first = wait::until(BOOT_LIMIT, "the machine's first process is there", || {
            process::find(|found| found.parent == parent && found.arguments.starts_with(SYSTEMD)).first().map(|found| found.pid)
        });
    }

    /// How often it was booted.
    #[must_use]
    pub fn boots(&self) -> u32 {
        self.boots
    }

    /// Whether its first process is gone: it has rebooted or powered itself off, or was never booted.
    pub fn has_ended(&mut self) -> bool {
        self.running.as_mut().is_none_or(|child| child.ended().is_some())
    }

    /// Waits until it has gone down by itself, and boots it again, as the firmware of a device does.
    ///
    /// # Panics
    /// When it does not go down, or not come up.
    pub fn await_reboot(&mut self) {
        wait::until_true(END_LIMIT * 2, "the machine goes down for its reboot", || self.has_ended());
        self.clear();
        self.boot();
    }

    /// Cuts the power while everything is on its way: nobody inside can do or say anything more. Then the disk is read again, as a boot does.
    ///
    /// # Panics
    /// When its processes or its disk cannot be had back.
    pub fn cut(&mut self) {
        assert!(self.running.is_some(), "a machine without power has none to lose");
        // While the file system is shut down an fsync may lie, and whoever believed it must not act on it.
        self.cgroup.freeze();
        wait::let_pass(STANDSTILL);
        self.disk.cut();
        self.clear();
        self.disk.restore();
    }

    /// Takes away what is left of a machine that has ended or is to.
    fn clear(&mut self) {
        self.cgroup.kill();
        // Its parent, which is in the group, too, is gone by now.
        self.running = None;
        self.cgroup.clear();
    }

    /// Powers it off in order, and leaves its disk as it is then.
    ///
    /// # Panics
    /// When it does not go down.
    pub fn power_off(&mut self) {
        if self.running.is_some() {
            drop(self.run("systemctl --no-block poweroff"));
            wait::until_true(END_LIMIT * 2, "the machine goes down", || self.has_ended());
            self.clear();
        }
    }

    /// A command that runs a shell script inside the running machine.
    #[must_use]
    pub fn command(&self, script: &str) -> Command {
        let mut command = process::command(Path::new(NSENTER));
        command.args(["-t", &self.first.to_string(), "--mount", "--pid", "--uts", "--ipc", "--cgroup", "--net", "--"]);
        command.args(["/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "/bin/sh", "-c", script]);
        command
    }

    /// Runs a shell script inside the running machine.
    #[must_use]
    pub fn run(&self, script: &str) -> Output {
        process::output(self.command(script))
    }

    /// What a script prints, which must succeed.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn said(&self, script: &str) -> String {
        let output = self.run(script);
        let all = [output.stdout.as_slice(), &output.stderr].map(String::from_utf8_lossy).concat();
        assert!(output.status.success(), "{script}: {} {all}", output.status);
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Runs a script with some input, which must succeed, and returns what it prints.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn said_with_input(&self, script: &str, input: &str) -> String {
        let file = self.witness.join("input");
        process::write(&file, input.as_bytes());
        let mut command = self.command(script);
        command.stdin(Stdio::from(fs::File::open(&file).expect("it was written")));
        let output = process::output(command);
        fs::remove_file(&file).expect("it was written");
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// A property of a unit, as `systemctl show` has it.
    #[must_use]
    pub fn property(&self, unit: &str, name: &str) -> String {
        self.said(&format!("systemctl show --property={name} --value {unit}"))
    }

    /// Whether a unit is active.
    #[must_use]
    pub fn is_active(&self, unit: &str) -> bool {
        self.run(&format!("systemctl is-active --quiet {unit}")).status.success()
    }

    /// The main process of a unit, by the id that it has outside; none where it runs none.
    #[must_use]
    pub fn main_process(&self, unit: &str) -> Option<i32> {
        let inside: i32 = self.property(unit, "MainPID").parse().ok().filter(|pid| *pid > 0)?;
        self.processes().into_iter().find(|pid| id_inside(*pid) == Some(inside))
    }

    /// All processes of the machine, by the ids that they have outside.
    #[must_use]
    pub fn processes(&self) -> Vec<i32> {
        self.cgroup.members()
    }

    /// A path on its disk, for reading while it is off. Only what was written there since it was made is found.
    #[must_use]
    pub fn on_disk(&self, path: &str) -> PathBuf {
        self.disk.path().join("upper").join(path.trim_start_matches('/'))
    }

    /// The witness, as it is outside.
    #[must_use]
    pub fn witness(&self) -> &Path {
        &self.witness
    }
}

/// The last number of `NSpid` is the id that a process has in the innermost namespace.
fn id_inside(pid: i32) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("NSpid:"))?.split_ascii_whitespace().last()?.parse().ok()
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests;
