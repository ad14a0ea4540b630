//! F2 of a whole device: exec is killed before every call of a command's life, as the service that a package installs.
//!
//! The device is a machine with systemd as its first process, see `tests/kit/machine`. Two scenarios: a command that runs and is good, and one
//! that asks for a reboot, with the calls before the device goes down and those of the exec that the next boot starts. PID 1 starts exec again
//! each time; whatever happens, the command comes to its one end, has run once, or once more for its reboot, and everybody says so.
#![cfg(test)]

use flotilla_tests::campaign::Campaign;
use flotilla_tests::clock;
use flotilla_tests::machine::{EXEC, Installed, WITNESS};
use flotilla_tests::process;
use flotilla_tests::random::Random;
use flotilla_tests::strace::{self, Fault, Injection, Point};
use flotilla_tests::tally::{Broken, Shard, Tally, is_release, skipped, trials};
use flotilla_tests::wait;
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long strace may take to hold a process, and to let go of it.
const TRACE_LIMIT: Duration = Duration::from_secs(20);
/// After the receipt exec removes the folder of the job within this, or a later one does.
const REMOVAL_LIMIT: Duration = Duration::from_secs(2);
/// In every change so many points of a life are tried, in a release all.
const SAMPLE: u64 = 8;
/// The same of each side of a reboot, where a trial takes a boot.
const SAMPLE_AROUND_A_REBOOT: u64 = 2;
/// The agent tells the system again to reboot after so many seconds.
const PATIENCE_S: u32 = 20;
/// A bridge answers twenty hellos of a node in a minute, and each life with a boot has two: many lives need this long each.
const LIFE: Duration = Duration::from_secs(7);
/// It asks for a reboot when it is run first. The agent names the order to what it runs.
const ASKS_ONCE: &str = "once=\"/witness/asked-$FLOTILLA_ORDER_ID\"; test -e \"$once\" || { : >\"$once\"; exit 194; }";

/// The installed exec under strace, from outside of the machine.
struct Traced {
    strace: process::Child,
}

impl Traced {
    /// From now on; the calls are written to `log`.
    fn begin(installed: &Installed, log: &Path, injection: Option<&Injection>) -> Self {
        let pid = wait::until(TRACE_LIMIT, "exec runs", || installed.machine.main_process(EXEC));
        let name = log.with_extension("strace");
        let mut strace = process::Child::start("strace", strace::attach(pid, log, injection), &name);
        let is_held = || std::fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|status| !status.contains("TracerPid:\t0\n"));
        // Where the fault is at its first calls, it may have happened by now, and both have ended.
        wait::until_true(TRACE_LIMIT, "strace holds exec", || is_held() || strace.ended().is_some());
        Self { strace }
    }

    fn end(mut self) {
        // It lets go of exec, which may be gone, and ends.
        if self.strace.ended().is_none() {
            process::signal(self.strace.pid(), Signal::SIGTERM);
        }
        wait::until_true(TRACE_LIMIT, "strace lets go", || self.strace.ended().is_some());
    }
}

/// Which exec is traced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exec {
    /// The one that runs when the command comes.
    Present,
    /// The one that is started by the boot that the command has asked for, from its very first call.
    AfterReboot,
}

/// A device, and what its exec is put through.
struct Lives {
    installed: Installed,
    campaign: Campaign,
    log: PathBuf,
    /// How often strace was put in exec's place. Each has a log of its own: exec goes down with strace still holding it.
    starts: u32,
}

impl Lives {
    /// The device, or the line that says why there is none.
    fn new(name: &str) -> Option<Self> {
        let device = strace::available().and_then(|()| Installed::new());
        let installed = device.map_err(|why| skipped(name, &why)).ok()?;
        installed.lift_start_limits();
        let (campaign, log) = (installed.campaign(), installed.machine.witness().join("calls"));
        Some(Self { installed, campaign, log, starts: 0 })
    }

    /// Waits for the ends of all commands and what follows them; what broke.
    fn settle(&mut self) -> Vec<Broken> {
        let broken = self.campaign.check(&self.installed.fleet, |_| 0);
        // With the receipt exec lets go of the order and removes its folder.
        let is_removed = "test -z \"$(ls /var/lib/flotilla-agent/exec/jobs)\"";
        wait::holds_within(REMOVAL_LIMIT, || self.installed.machine.run(is_removed).status.success());
        broken.into_values().flatten().collect()
    }

    /// The calls that were made so far.
    fn points(&self) -> Vec<Point> {
        strace::points(&BTreeMap::new(), &strace::counts(&self.log))
    }

    /// A command that runs and is good, with one fault or none.
    fn plain(&mut self, injection: Option<&Injection>) -> Vec<Broken> {
        std::fs::File::create(&self.log).unwrap();
        let traced = Traced::begin(&self.installed, &self.log, injection);
        let nodes = [self.installed.node.clone()];
        assert!(self.campaign.send(&self.installed.fleet.client, &nodes, "true", || true), "the bridge takes the command");
        let broken = self.settle();
        traced.end();
        broken
    }

    /// What the service starts from now on: exec, or strace with it once, which writes to a new log.
    fn start_by(&mut self, traced: Option<Option<&Injection>>) {
        let (program, inside) = (Path::new("/usr/bin/flotilla-agent"), Path::new(WITNESS));
        let text = match traced {
            Some(injection) => {
                self.starts += 1;
                let name = format!("calls-{}", self.starts);
                self.log = self.installed.machine.witness().join(&name);
                strace::script(program, &inside.join(name), &inside.join(format!("started-{}", self.starts)), injection)
            }
            None => format!("#!/bin/sh\nexec {} \"$@\"\n", program.display()),
        };
        let path = self.installed.machine.witness().join("exec-start");
        process::write(&path, text.as_bytes());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Has the service start what [`Lives::start_by`] says. Its sandbox forbids to trace, and to write where strace writes.
    fn make_room_for_strace(&mut self) {
        self.start_by(None);
        let unit =
            format!("[Service]\\nExecStart=\\nExecStart={WITNESS}/exec-start exec\\nSystemCallFilter=\\nReadWritePaths={WITNESS}\\n");
        let _nothing = self.installed.machine.said(&format!(
            "printf '{unit}' >/etc/systemd/system/{EXEC}.d/traced.conf
            printf 'reboot_patience_s = {PATIENCE_S}\\n' >>/etc/flotilla/agent.toml
            systemctl daemon-reload && systemctl restart {EXEC} && sync"
        ));
        let nodes = [self.installed.node.clone()];
        assert!(self.campaign.send(&self.installed.fleet.client, &nodes, "true", || true), "the bridge takes the command");
        assert_eq!(self.settle(), [], "the service starts what it is given");
    }

    /// A command that asks for a reboot and gets it, with one fault or none.
    fn around_a_reboot(&mut self, exec: Exec, injection: Option<&Injection>) -> Vec<Broken> {
        let begun = clock::now();
        let traced = match exec {
            Exec::Present => {
                std::fs::File::create(&self.log).unwrap();
                Some(Traced::begin(&self.installed, &self.log, injection))
            }
            Exec::AfterReboot => {
                self.start_by(Some(injection));
                None
            }
        };
        let nodes = [self.installed.node.clone()];
        self.campaign.send_rebooting(&self.installed.fleet.client, &nodes, ASKS_ONCE);
        self.installed.machine.await_reboot();
        let broken = self.settle();
        if let Some(traced) = traced {
            traced.end();
        }
        if is_release() {
            wait::let_pass(LIFE.saturating_sub(clock::now() - begun));
        }
        broken
    }

    /// Of these points, those of the tier and of this process, in any order: one life with each, until so many faults have happened.
    fn try_points(
        &mut self,
        mut points: Vec<Point>,
        sample: u64,
        random: &mut Random,
        tally: &mut Tally,
        what: &str,
        live: impl Fn(&mut Self, &Injection) -> Vec<Broken>,
    ) {
        assert!(points.len() > 10, "a life has more calls than {points:?}");
        let shard = Shard::of_environment();
        if is_release() {
            points = points.into_iter().enumerate().filter(|(index, _)| shard.has(*index)).map(|(_, point)| point).collect();
        }
        let wanted = usize::try_from(trials(sample, u64::MAX)).unwrap_or(usize::MAX).min(points.len());
        let (mut tried, mut happened) = (0, 0);
        while happened < wanted && !points.is_empty() {
            let point = points.swap_remove(random.index(points.len()));
            tally.begin(format!("{what} is killed at {point}"));
            tried += 1;
            let broken = live(self, &Injection { point, fault: Fault::Kill });
            if strace::has_happened(&self.log, Fault::Kill) || !broken.is_empty() {
                happened += 1;
                tally.trial(broken);
            }
        }
        // Some calls are made in one life and not in the next; of a few points all may be such.
        assert!(happened * 10 + 10 >= tried * 7, "{what}: only {happened} of {tried} points were reached");
    }

    fn last_look(self, mut tally: Tally) {
        let Self { mut installed, mut campaign, .. } = self;
        tally.begin("the last look at everything");
        let broken = installed.check_all(&mut campaign);
        if !broken.is_empty() {
            tally.trial(broken);
        }
        tally.finish();
    }
}

#[test]
fn f2_kill_the_installed_exec_at_calls() {
    let mut random = Random::seeded("F2 installed");
    let mut tally = Tally::new("F2 installed", &random, Duration::from_secs(120));
    tally.begin("the machine is made");
    let Some(mut lives) = Lives::new("F2 installed") else { return };
    // The first life makes what later ones find.
    for what in ["a life that is not counted", "counting the calls"] {
        tally.begin(what);
        assert_eq!(lives.plain(None), [], "without any fault");
    }
    let points = lives.points();
    lives.try_points(points, SAMPLE, &mut random, &mut tally, "exec", |lives, injection| lives.plain(Some(injection)));
    lives.last_look(tally);
}

#[test]
fn f2_kill_the_installed_exec_at_calls_around_a_reboot() {
    let mut random = Random::seeded("F2 reboot");
    let mut tally = Tally::new("F2 reboot", &random, Duration::from_secs(120));
    tally.begin("the machine is made");
    let Some(mut lives) = Lives::new("F2 reboot") else { return };
    lives.make_room_for_strace();
    for exec in [Exec::Present, Exec::AfterReboot] {
        // The first life of all makes what later ones find.
        let uncounted = usize::from(exec == Exec::Present);
        for number in 0..=uncounted {
            tally.begin(format!("{exec:?}: counting the calls, {number}"));
            assert_eq!(lives.around_a_reboot(exec, None), [], "without any fault");
        }
        lives.start_by(None);
        let (points, what) = (lives.points(), format!("{exec:?}"));
        let live = |lives: &mut Lives, injection: &Injection| lives.around_a_reboot(exec, Some(injection));
        lives.try_points(points, SAMPLE_AROUND_A_REBOOT, &mut random, &mut tally, &what, live);
    }
    lives.last_look(tally);
}
