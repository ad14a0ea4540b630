//! A machine with the agent as a service, registered with a fleet that is not on it.

use super::{Delivery, Machine, WITNESS};
use crate::broker::Broker;
use crate::calls::shell_on;
use crate::campaign::Campaign;
use crate::effects::Effects;
use crate::fleet::{Fleet, START_LIMIT};
use crate::invariants::History;
use crate::namespace::{Fault, Wire};
use crate::process;
use crate::verdict;
use crate::wait;
use nix::sys::signal::Signal;
use std::path::Path;
use std::time::Duration;

/// The unit of exec.
pub const EXEC: &str = "flotilla-agent.service";
/// The unit of the link.
pub const LINK: &str = "flotilla-agent-link.service";

/// How long the agent may take to answer a command after a boot, on a busy machine.
const ANSWER_LIMIT: Duration = Duration::from_secs(120);
/// So long its parts may take to come back after they were killed.
const BACK_LIMIT: Duration = Duration::from_secs(60);

/// A device with an agent, its fleet, and the wire between them. All of it is gone when it is dropped.
#[derive(Debug)]
pub struct Installed {
    /// The device.
    pub machine: Machine,
    /// Its fleet: a bridge with the broker inside it, on this machine.
    pub fleet: Fleet,
    /// Between both.
    pub wire: Wire,
    /// The node's id.
    pub node: String,
}

impl Installed {
    /// Makes a fleet and a device, boots it, installs and registers the agent there, and waits until it is online.
    ///
    /// # Errors
    /// What this system cannot do, for the line that says that a test is skipped.
    ///
    /// # Panics
    /// When the agent does not come up.
    pub fn new() -> Result<Self, String> {
        let mut installed = Self::unregistered()?;
        installed.register();
        Ok(installed)
    }

    /// As [`Installed::new`], booted and with the agent installed, and not yet a node.
    ///
    /// # Errors
    /// As [`Installed::new`].
    pub fn unregistered() -> Result<Self, String> {
        let wire = Wire::new()?;
        let fleet = Fleet::start_across(Broker::Embedded, wire.host(), wire.enter());
        let mut machine = Machine::new(&fleet.logs(), &wire.enter())?;
        machine.install(&Delivery::of_environment());
        machine.boot();
        Ok(Self { machine, fleet, wire, node: String::new() })
    }

    /// Registers, enables and starts the agent as a person does, and waits until it is online.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn register(&mut self) {
        self.node = self.machine.register(&self.fleet.activation(1));
        self.await_online();
    }

    /// Waits until the bridge says that the node is there.
    pub fn await_online(&self) {
        wait::until_true(START_LIMIT, "the machine's agent is online", || self.fleet.online().contains(&self.node));
    }

    /// Waits until both halves run and a command has come back: whatever the bridge says, the agent works.
    ///
    /// # Panics
    /// When it does not.
    pub fn await_answer(&self) {
        let command = self.fleet.send(&shell_on(&self.node, "echo here"));
        let ended = self.fleet.await_end(&command, &self.node, ANSWER_LIMIT);
        assert_eq!(ended.standard_output_content.as_deref(), Some("here\n"), "{ended:?}");
    }

    /// Where its commands write what they do.
    #[must_use]
    pub fn effects(&self) -> Effects {
        Effects::seen_in(self.machine.witness(), Path::new(WITNESS))
    }

    /// The commands of a fault suite.
    #[must_use]
    pub fn campaign(&self) -> Campaign {
        Campaign::of_machine(&self.node, self.effects())
    }

    /// Lets a unit be killed as often as a suite wants: nothing but a suite does so that often, and the limits have a test of their own.
    pub fn lift_start_limits(&self) {
        for unit in [EXEC, LINK] {
            let folder = format!("/etc/systemd/system/{unit}.d");
            let _nothing = self.machine.said(&format!(
                "mkdir -p {folder}; printf '[Unit]\\nStartLimitIntervalSec=0\\n[Service]\\nRestartSec=50ms\\n' >{folder}/often.conf; systemctl daemon-reload; sync"
            ));
        }
    }

    /// Kills the main process of a unit with SIGKILL; which one it was. One that is just not there is waited for.
    ///
    /// # Panics
    /// When it does not come back.
    #[must_use]
    pub fn kill(&self, unit: &str) -> i32 {
        let pid = wait::until(BACK_LIMIT, &format!("{unit} runs"), || self.machine.main_process(unit));
        process::signal(pid, Signal::SIGKILL);
        pid
    }

    /// The processes of jobs that run on it now, and not those that wait for them (`systemd-run`).
    #[must_use]
    pub fn jobs(&self) -> Vec<i32> {
        let members = self.machine.processes();
        let is_job = |arguments: &str| arguments.contains("flotilla-agent job ") && !arguments.contains("--unit=");
        let jobs = process::find(|found| members.contains(&found.pid) && is_job(&found.arguments));
        jobs.into_iter().map(|found| found.pid).collect()
    }

    /// Cuts the machine's power. Where `in_silence`, nobody hears of it: no connection is closed, as by a real cut.
    ///
    /// # Panics
    /// When the machine or the wire cannot be had back.
    pub fn cut(&mut self, in_silence: bool) {
        if in_silence {
            self.wire.break_with(Fault::BlackHole).expect("a wire can be broken");
        }
        self.machine.cut();
        self.wire.heal().expect("a wire can be mended");
    }

    /// Powers it off, and adds what its journal holds.
    pub fn add_journal(machine: &mut Machine, node: &str, history: &mut History) {
        machine.power_off();
        verdict::add_journal(node, &machine.on_disk("/var/lib/flotilla-agent/exec"), history);
    }

    /// The last look of a suite at everything that its commands did.
    ///
    /// # Panics
    /// When the machine does not go down, or its journal cannot be read.
    pub fn check_all(&mut self, campaign: &mut Campaign) -> Vec<crate::tally::Broken> {
        let Self { machine, fleet, node, .. } = self;
        campaign.check_machine(fleet, |history| Self::add_journal(machine, node, history))
    }
}
