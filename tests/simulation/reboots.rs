//! Reboots that commands ask for: the device does as it is told, or refuses because somebody inhibits it, or does nothing; and the agent or the
//! power goes between any two outputs around it.

use crate::fault::Fault;
use crate::jobs::{Job, Phase};
use crate::node::Stop;
use crate::world::{Event, Planted, World};
use flotilla_agent_core::{Attempt, Input};
use flotilla_protocol::capability::command::CommandOrder;
use flotilla_protocol::id::{BootId, OrderId};
use flotilla_tests::invariants::Fact;

/// The number of a boot, as the nodes of the simulator count them.
pub(crate) fn boot_number(boot: BootId) -> u64 {
    let [first, second, third, fourth, ..] = boot.0;
    u64::from(u32::from_le_bytes([first, second, third, fourth]))
}

impl World {
    /// A job has ended because a step of it asks for a reboot. Of five such moments the agent or the power goes around one.
    pub(crate) fn reboot_asked(&mut self, node: usize, order: OrderId) {
        let settles = self.is_settling();
        let here = &mut self.nodes[node];
        let Some(asked) = here.jobs.jobs.get(&order).map(Job::asked) else { return };
        if !settles && here.stop.is_none() && here.dice.percent(20) {
            let stop = if here.dice.percent(50) {
                Stop::Kill
            } else {
                Stop::Power { kept: here.dice.index(5), off_ms: here.dice.between(1_000, 300_000) }
            };
            here.stop = Some((u32::try_from(here.dice.below(7)).unwrap(), stop));
            self.faults.add(Fault::StoppedAtReboot);
        }
        self.handle(node, Input::RebootAsked { order, asked });
    }

    /// Exec tells the device to reboot.
    pub(crate) fn told_to_reboot(&mut self, node: usize) {
        let boot = self.nodes[node].boot;
        self.fact(node, "", Fact::ToldToReboot { boot: boot.into() });
        let here = &mut self.nodes[node];
        let life = here.life;
        match here.dice.below(100) {
            0..=59 => {
                let (in_ms, off_ms) = (here.dice.between(1, 40_000), here.dice.between(1_000, 120_000));
                self.after(in_ms, Event::DeviceReboots { node, boot, off_ms });
            }
            60..=74 => self.faults.add(Fault::RebootNotDone),
            _ => {
                let in_ms = here.dice.between(1, 2_000);
                self.after(in_ms, Event::RebootRefused { node, life });
            }
        }
    }

    /// The device does as it was told, unless it was off meanwhile. Of what was only written a part is on the disk.
    pub(crate) fn device_reboots(&mut self, node: usize, boot: u32, off_ms: u64) {
        if self.nodes[node].boot == boot && self.nodes[node].is_on {
            self.faults.add(Fault::RebootAsked);
            let kept = self.nodes[node].dice.index(5);
            self.power_off(node, Some(kept), off_ms);
        }
    }

    pub(crate) fn reboot_refused(&mut self, node: usize, life: u32) {
        if self.nodes[node].life == life && self.nodes[node].core.is_some() {
            self.faults.add(Fault::RebootInhibited);
            self.fact(node, "", Fact::RebootRefused);
            self.handle(node, Input::RebootRefused { why: "somebody inhibits it".to_owned() });
        }
    }

    /// A job goes on with the step that asked, or without the reboot with the step after it.
    pub(crate) fn go_on_with_job(&mut self, node: usize, order: OrderId, command: &CommandOrder, attempt: Attempt, without_reboot: bool) {
        let (now_ms, forgets) = (self.now_ms, self.planted == Planted::ForgetsWhereItWas);
        let here = &mut self.nodes[node];
        // What a start finds of the order: the job that asked, or a start after that which never was one.
        let Some(before) = here.jobs.jobs.remove(&order) else {
            return self.broken.push(format!("{order} goes on, and nothing is there of what it did before"));
        };
        if before.phase != Phase::Asked {
            return self.broken.push(format!("{order} goes on, and its job did not ask for a reboot: {:?}", before.phase));
        }
        let mut job = before.go_on(command, attempt, without_reboot, now_ms, &mut here.dice);
        if forgets {
            job.first = 0;
        }
        let (boot, first) = (u64::from(here.boot), job.first);
        self.starts += 1;
        self.resumes += 1;
        self.fact(node, order.to_string(), Fact::Resumed { boot, first, count: attempt.reboots });
        self.job_runs(node, order, job);
    }
}
