//! The shell around a node's core, as exec has it: records before what follows from them, jobs, the link; and how it ends between any
//! two outputs.

use crate::copy::TWIN_PATIENCE;
use crate::disk::DiskError;
use crate::fault::Fault;
use crate::jobs::{Job, Phase};
use crate::node::Stop;
use crate::reboots::boot_number;
use crate::world::{Event, Planted, World};
use flotilla_agent_core::{Attempt, Input, Output, Record, UpMessage};
use flotilla_protocol::capability::ReportPayload;
use flotilla_protocol::capability::command::{CommandOrder, CommandResult};
use flotilla_protocol::delivery::Delivery;
use flotilla_protocol::envelope::{Domain, Envelope};
use flotilla_protocol::id::OrderId;
use flotilla_protocol::order::{CancelBody, OrderBody};
use flotilla_protocol::report::{MAXIMUM_CHUNK_BYTES, OutputStream, ReceiptBody, ReportBody};
use flotilla_protocol::status::Admission;
use flotilla_protocol::topic::{DownKind, Topic, UpKind};
use flotilla_protocol::wire::decode;
use flotilla_tests::invariants::{Ask, Fact};

/// What a report says, and its sequence.
fn said(report: &[u8]) -> Option<(u64, ReportPayload)> {
    let envelope = Envelope::parse(report, Domain::Report).ok()?;
    let body: ReportBody = decode(envelope.body()).ok()?;
    Some((body.sequence, ReportPayload::decode(&body.payload).ok()?))
}

fn result_of(report: &[u8]) -> Option<CommandResult> {
    match said(report)?.1 {
        ReportPayload::CommandResult(result) => Some(result),
        _ => None,
    }
}

impl World {
    // Inputs

    pub(crate) fn wakes(&mut self, node: usize, number: u64) {
        if self.nodes[node].wake == number && self.nodes[node].core.is_some() && !self.is_frozen(node, || Event::Wake { node, number }) {
            self.handle(node, Input::Tick);
        }
    }

    /// A frozen agent gets it when it moves again.
    fn is_frozen(&mut self, node: usize, event: impl FnOnce() -> Event) -> bool {
        let until_ms = self.nodes[node].frozen_until_ms;
        let frozen = until_ms > self.now_ms;
        if frozen {
            self.at(until_ms, event());
        }
        frozen
    }

    pub(crate) fn arrives_at_node(&mut self, node: usize, link: u32, topic: &str, payload: Vec<u8>) {
        let here = &self.nodes[node];
        if here.link != link || !here.connected || here.hole || here.core.is_none() {
            return;
        }
        if self.nodes[node].frozen_until_ms > self.now_ms {
            let at_ms = self.nodes[node].frozen_until_ms;
            return self.at(at_ms, Event::ToNode { node, link, topic: topic.to_owned(), payload });
        }
        let Ok(Topic::Down { kind, .. }) = topic.parse() else { return };
        match kind {
            DownKind::Order => {
                if let Some(order) = order_in(&payload) {
                    self.fact(node, order.to_string(), Fact::Delivered { genuine: true });
                }
            }
            DownKind::Welcome => {
                let behind_ms = u64::try_from(-self.bridge.clock_error_ms).unwrap_or(0);
                let node = &mut self.nodes[node];
                node.behind_ms = node.behind_ms.max(behind_ms);
            }
            DownKind::Receipt => self.receipted(node, &payload),
            DownKind::Cancel | DownKind::OutputReceipt | DownKind::Renewal | DownKind::Trust => {}
        }
        let life = self.nodes[node].life;
        let refused = self.handle(node, Input::Message { topic, retained: false, payload: &payload });
        if kind == DownKind::Cancel && !refused && self.nodes[node].life == life && self.nodes[node].core.is_some() {
            let cancel = Envelope::parse(&payload, Domain::Cancel).ok().and_then(|envelope| decode::<CancelBody>(envelope.body()).ok());
            if let Some(cancel) = cancel {
                self.fact(node, cancel.order.to_string(), Fact::CancelTaken);
            }
        }
    }

    /// A receipt that the bridge has signed: whether the node believes it is the core's affair, that it is true the bridge's.
    fn receipted(&mut self, node: usize, payload: &[u8]) {
        let receipt = Envelope::parse(payload, Domain::Receipt).ok().and_then(|envelope| decode::<ReceiptBody>(envelope.body()).ok());
        if let Some(receipt) = receipt {
            let Self { nodes, history, .. } = self;
            let of_node = history.nodes.get_mut(&nodes[node].history).unwrap();
            of_node.receipted_up_to = of_node.receipted_up_to.max(receipt.up_to);
        }
    }

    /// Hands a hostile message to the core, and counts what it did for it.
    pub(crate) fn hostile(&mut self, node: usize, topic: &str, retained: bool, payload: &[u8]) {
        if self.nodes[node].core.is_none() || self.nodes[node].frozen_until_ms > self.now_ms || self.nodes[node].stop.is_some() {
            return;
        }
        // What is due anyway is not the message's doing.
        self.handle(node, Input::Tick);
        let uptime = self.nodes[node].uptime(self.now_ms);
        let Some(core) = &mut self.nodes[node].core else { return };
        core.handle(Input::Message { topic, retained, payload }, uptime);
        let mut effects = 0;
        while let Some(output) = core.poll_output() {
            effects += u64::from(!matches!(output, Output::Refused { .. } | Output::Publish(_)));
        }
        let order = order_in(payload).map(|order| order.to_string()).unwrap_or_default();
        self.fact(node, order, Fact::Dropped { effects });
    }

    /// Returns whether the core has refused something.
    pub(crate) fn handle(&mut self, node: usize, input: Input<'_>) -> bool {
        let uptime = self.nodes[node].uptime(self.now_ms);
        let Some(core) = &mut self.nodes[node].core else { return false };
        core.handle(input, uptime);
        self.drain(node)
    }

    // Outputs

    /// Takes outputs as exec does, and stops where the history says.
    fn drain(&mut self, node: usize) -> bool {
        let mut refused = false;
        loop {
            if let Some((left, stop)) = &mut self.nodes[node].stop {
                if *left == 0 {
                    let stop = *stop;
                    self.nodes[node].stop = None;
                    self.stop(node, stop);
                    return refused;
                }
                *left -= 1;
            }
            let Some(output) = self.nodes[node].core.as_mut().and_then(flotilla_agent_core::Core::poll_output) else { break };
            let done = match output {
                Output::Persist(record) => self.nodes[node].disk.append(&record),
                output => {
                    refused |= matches!(output, Output::Refused { .. });
                    self.synced(node, &output).map(|()| self.does(node, output))
                }
            };
            if done.is_err() {
                self.exec_ends(node, "its disk refuses");
                return refused;
            }
        }
        if self.tidy(node).is_err() {
            self.exec_ends(node, "its disk refuses");
        }
        self.set_timer(node);
        refused
    }

    /// Has the journal on the disk before `output`, but for mistakes that are planted.
    fn synced(&mut self, node: usize, output: &Output) -> Result<(), DiskError> {
        let skipped = match self.planted {
            Planted::StartWithoutPersist => matches!(output, Output::RunJob { .. }),
            Planted::RebootWithoutPersist => matches!(output, Output::Reboot),
            Planted::PublishBeforeDurable => matches!(output, Output::Publish(_)),
            _ => false,
        };
        if skipped {
            return Ok(());
        }
        let records = self.nodes[node].disk.sync_if_needed()?;
        self.durable(node, records);
        Ok(())
    }

    fn tidy(&mut self, node: usize) -> Result<(), DiskError> {
        if self.nodes[node].disk.wants_compaction() {
            let snapshot = self.nodes[node].core.as_ref().map(flotilla_agent_core::Core::snapshot).unwrap_or_default();
            let records = self.compact(node, snapshot)?;
            self.durable(node, records);
        }
        let records = self.nodes[node].disk.sync_if_needed()?;
        self.durable(node, records);
        Ok(())
    }

    fn compact(&mut self, node: usize, mut snapshot: Vec<Record>) -> Result<Vec<Record>, DiskError> {
        if self.planted == Planted::ForgetsEndedOrders {
            snapshot.retain(|record| !matches!(record, Record::Known { .. } | Record::KnownEnd { .. }));
        }
        self.nodes[node].disk.compact(&snapshot)
    }

    /// Records have reached the disk.
    fn durable(&mut self, node: usize, records: Vec<Record>) {
        for record in records {
            if let Some((order, _)) = record.taken() {
                self.nodes[node].open.insert(order.id);
                self.fact(node, order.id.to_string(), Fact::Accepted);
            }
            match record {
                Record::Starting { order, .. } => self.fact(node, order.to_string(), Fact::Starting),
                Record::Rebooting { order, reboot, .. } => {
                    let (step, count, first) = (reboot.step, reboot.count, u16::try_from(reboot.first_step()).unwrap());
                    let ask = Ask { boot: boot_number(reboot.boot), step, first, count };
                    self.fact(node, order.to_string(), Fact::RebootAsked(ask));
                }
                Record::RebootGivenUp { order, reboot, .. } => {
                    let (step, count) = (reboot.step, reboot.count);
                    self.fact(node, order.to_string(), Fact::RebootGivenUp { step, count });
                }
                Record::Refused { order, .. } => self.fact(node, order.to_string(), Fact::Refused),
                Record::Ended { order, report } => {
                    self.nodes[node].open.remove(&order);
                    let Some(result) = result_of(&report) else { continue };
                    self.nodes[node].ended_at.extend(said(&report).map(|(sequence, _)| (order, sequence)));
                    if let Some((step, last)) = result.steps.iter().enumerate().next_back() {
                        self.nodes[node].results.insert(order, (step, last.stdout.kept_bytes));
                    }
                    self.fact(node, order.to_string(), Fact::Ended(result.outcome));
                }
                _ => {}
            }
        }
    }

    fn does(&mut self, node: usize, output: Output) {
        match output {
            Output::Persist(_)
            | Output::Refused { .. }
            | Output::KeepTrust { .. }
            | Output::SpreadReconnect { .. }
            | Output::RenewCertificate { .. } => {}
            Output::Reboot => self.told_to_reboot(node),
            Output::Publish(message) => self.publishes(node, message),
            Output::RunJob { order, command, attempt, without_reboot } => {
                let trusted_ms = self.real_ms().saturating_sub(self.nodes[node].behind_ms);
                if attempt.reboots == 0 {
                    self.start_job(node, order, &command, attempt, trusted_ms);
                } else {
                    self.go_on_with_job(node, order, &command, attempt, without_reboot.is_some());
                }
            }
            Output::RecoverJob { order, command, same_boot, attempt } => self.recover_job(node, order, &command, same_boot, attempt),
            Output::CancelJob { order } => {
                let now_ms = self.now_ms;
                let here = &mut self.nodes[node];
                let again = here.jobs.jobs.get_mut(&order).is_some_and(|job| job.cancel(now_ms, &mut here.dice));
                if again {
                    self.set_job_timer(node, order);
                }
            }
            Output::ForgetJob { order } => drop(self.nodes[node].jobs.jobs.remove(&order)),
            Output::ReadOutput { order, step, stream, offset } => self.read_output(node, order, step, stream, offset),
        }
    }

    fn publishes(&mut self, node: usize, message: UpMessage) {
        if message.kind == UpKind::Report
            && let Some((sequence, payload)) = said(&message.payload)
            && sequence > self.nodes[node].said_up_to
        {
            self.nodes[node].said_up_to = sequence;
            self.twin_says(node, sequence, &message.payload);
            let fact = match payload {
                ReportPayload::Admission(Admission::Accepted { order }) => Some((order, Fact::SaidAccepted)),
                ReportPayload::Admission(Admission::Rejected { order, .. }) => Some((order, Fact::SaidRejected)),
                ReportPayload::CommandProgress(progress) => Some((progress.order, Fact::SaidStarted)),
                ReportPayload::CommandResult(result) => Some((result.order, Fact::SaidEnded(result.outcome))),
                ReportPayload::CommandRebooting(_)
                | ReportPayload::Gap(_)
                | ReportPayload::MemoryLost(_)
                | ReportPayload::NodeHealth(_)
                | ReportPayload::Inventory(_)
                | ReportPayload::Unsupported(_) => None,
            };
            if let Some((order, fact)) = fact {
                self.fact(node, order.to_string(), fact);
            }
        }
        let topic = Topic::Up { fleet: self.fleet, node: self.nodes[node].id, kind: message.kind };
        self.goes_up(node, topic.to_string(), message.payload);
    }

    fn set_timer(&mut self, node: usize) {
        let now_ms = self.now_ms;
        let here = &mut self.nodes[node];
        let uptime = here.uptime(now_ms);
        let Some(wakeup) = here.core.as_ref().and_then(|core| core.next_wakeup(uptime)) else { return };
        let at_ms = here.when(wakeup).max(now_ms + 1);
        if here.wake_at_ms.is_none_or(|set_ms| set_ms <= now_ms || at_ms < set_ms) {
            here.wake += 1;
            here.wake_at_ms = Some(at_ms);
            let number = here.wake;
            self.at(at_ms, Event::Wake { node, number });
        }
    }

    // Jobs

    /// `trusted_ms` is the least that trusted time can be.
    fn start_job(&mut self, node: usize, order: OrderId, command: &CommandOrder, attempt: Attempt, trusted_ms: u64) {
        self.starts += 1;
        self.fact(node, order.to_string(), Fact::Started { trusted_ms: Some(trusted_ms) });
        let now_ms = self.now_ms;
        let mut job = Job::begin(command, now_ms, &mut self.nodes[node].dice);
        job.attempt = attempt;
        self.job_runs(node, order, job);
    }

    pub(crate) fn job_runs(&mut self, node: usize, order: OrderId, job: Job) {
        for step in job.first..=job.last() {
            self.fact(node, order.to_string(), Fact::StepStarted(step));
        }
        let now_ms = self.now_ms;
        let here = &mut self.nodes[node];
        let Phase::Running { ends_ms, .. } = job.phase else { return };
        let grows = if job.output > 1_000 { here.dice.below(4) } else { 0 };
        here.jobs.jobs.insert(order, job);
        for _ in 0..grows {
            let at_ms = self.nodes[node].dice.between(now_ms, ends_ms);
            self.at(at_ms, Event::JobGrows { node, order });
        }
        self.set_job_timer(node, order);
    }

    fn set_job_timer(&mut self, node: usize, order: OrderId) {
        if let Some(Job { phase: Phase::Running { ends_ms, .. }, timer, .. }) = self.nodes[node].jobs.jobs.get(&order) {
            let (at_ms, timer) = (*ends_ms, *timer);
            self.at(at_ms, Event::JobTimer { node, order, timer });
        }
    }

    fn recover_job(&mut self, node: usize, order: OrderId, command: &CommandOrder, same_boot: bool, attempt: Attempt) {
        let here = &mut self.nodes[node];
        match here.jobs.jobs.get_mut(&order) {
            None if !same_boot && self.planted == Planted::RunAgainAfterReboot => self.start_job(node, order, command, attempt, 0),
            // What is there is of an earlier start, which asked for the reboot.
            Some(job) if same_boot && job.attempt != attempt => {
                self.put_back += 1;
                let uptime = self.nodes[node].uptime(self.now_ms);
                if let Some(core) = &mut self.nodes[node].core {
                    core.handle(Input::NeverStarted { order }, uptime);
                }
            }
            // Nobody has linked its start: in this boot that says that it never began, and now nobody can any more.
            None if same_boot => {
                self.put_back += 1;
                let uptime = self.nodes[node].uptime(self.now_ms);
                if let Some(core) = &mut self.nodes[node].core {
                    core.handle(Input::NeverStarted { order }, uptime);
                }
            }
            Some(job) if same_boot => {
                job.watched = true;
                if !job.is_running() {
                    self.tell_soon(node, order);
                }
            }
            Some(_) if self.planted == Planted::RunAgainAfterReboot => self.start_job(node, order, command, attempt, 0),
            Some(job) => {
                (job.watched, job.phase) = (true, Phase::Lost);
                self.tell_soon(node, order);
            }
            None => {
                let mut job = Job::begin(command, self.now_ms, &mut here.dice);
                (job.phase, job.kept) = (Phase::Lost, 0);
                here.jobs.jobs.insert(order, job);
                self.tell_soon(node, order);
            }
        }
    }

    pub(crate) fn tell_soon(&mut self, node: usize, order: OrderId) {
        let life = self.nodes[node].life;
        let pause_ms = self.nodes[node].dice.between(1, 250);
        self.after(pause_ms, Event::JobTold { node, order, life });
    }

    pub(crate) fn job_timer(&mut self, node: usize, order: OrderId, timer: u32) {
        let now_ms = self.now_ms;
        let can_ask = self.nodes[node].disk.trouble.is_none();
        let Some(job) = self.nodes[node].jobs.jobs.get_mut(&order) else { return };
        let Phase::Running { ends_ms, outcome } = job.phase else { return };
        if job.timer != timer || ends_ms != now_ms {
            return;
        }
        job.grow(now_ms);
        job.comes_to_its_end(outcome, can_ask);
        let watched = job.watched;
        self.fact(node, order.to_string(), Fact::JobOver);
        if watched {
            self.tell_soon(node, order);
        }
    }

    pub(crate) fn job_told(&mut self, node: usize, order: OrderId, life: u32) {
        if self.nodes[node].life != life || self.is_frozen(node, || Event::JobTold { node, order, life }) {
            return;
        }
        if self.nodes[node].jobs.jobs.get(&order).is_some_and(|job| job.phase == Phase::Asked) {
            return self.reboot_asked(node, order);
        }
        let told = self.nodes[node].jobs.jobs.get_mut(&order).map(|job| {
            job.synced = job.kept;
            job.end(order)
        });
        if let Some(end) = told {
            self.handle(node, Input::JobEnded { order, end });
        }
    }

    pub(crate) fn job_grows(&mut self, node: usize, order: OrderId) {
        let now_ms = self.now_ms;
        let Some(job) = self.nodes[node].jobs.jobs.get_mut(&order).filter(|job| job.is_running()) else { return };
        job.grow(now_ms);
        let (kept_bytes, step) = (job.kept, u16::try_from(job.steps.len().saturating_sub(1)).unwrap());
        if kept_bytes > 0 && job.watched && self.nodes[node].frozen_until_ms <= now_ms {
            self.handle(node, Input::OutputGrew { order, step, stream: OutputStream::Stdout, kept_bytes });
        }
    }

    fn read_output(&mut self, node: usize, order: OrderId, step: u16, stream: OutputStream, offset: u64) {
        let kept = self.nodes[node].jobs.jobs.get(&order).map_or(0, |job| job.kept);
        let to = kept.min(offset + u64::try_from(MAXIMUM_CHUNK_BYTES).unwrap());
        let bytes = crate::jobs::output_of(order, offset.min(to), to);
        let uptime = self.nodes[node].uptime(self.now_ms);
        if let Some(core) = &mut self.nodes[node].core {
            core.handle(Input::OutputRead { order, step, stream, offset, bytes }, uptime);
        }
    }

    /// A run is cut off where it stands.
    pub(crate) fn cut_off(&mut self, node: usize, order: OrderId) {
        let now_ms = self.now_ms;
        if let Some(job) = self.nodes[node].jobs.jobs.get_mut(&order).filter(|job| job.is_running()) {
            job.grow(now_ms);
            job.phase = Phase::Lost;
            self.fact(node, order.to_string(), Fact::CutOff);
        }
    }

    // Life and death

    pub(crate) fn start_agent(&mut self, node: usize, life: u32) {
        if self.nodes[node].life != life || self.nodes[node].core.is_some() || !self.nodes[node].is_on {
            return;
        }
        let recovery = match self.nodes[node].recover() {
            Ok(recovery) => recovery,
            Err(why) => return self.broken.push(why),
        };
        // As exec does: what it acts on is in a file that this process has synchronised.
        match self.compact(node, recovery.snapshot()) {
            Ok(records) => self.durable(node, records),
            Err(DiskError) => return self.exec_ends(node, "its disk refuses at the start"),
        }
        self.trace.line(self.now_ms, format_args!("node {node} begins"));
        let core = recovery.finish();
        self.nodes[node].jobs.jobs.retain(|order, job| core.needs_folder(*order) || job.is_running());
        self.nodes[node].core = Some(core);
        self.drain(node);
        let pause_ms = self.nodes[node].dice.between(50, 5_000);
        let life = self.nodes[node].life;
        self.after(pause_ms, Event::Connect { node, life });
    }

    /// The process is gone, for whatever reason; the supervisor starts it again.
    fn exec_ends(&mut self, node: usize, why: &str) {
        self.gone(node);
        self.trace.line(self.now_ms, format_args!("node {node} exec ends: {why}"));
        let (life, pause_ms) = (self.nodes[node].life, self.nodes[node].dice.between(100, 8_000));
        self.after(pause_ms, Event::StartAgent { node, life });
    }

    fn gone(&mut self, node: usize) {
        let here = &mut self.nodes[node];
        here.core = None;
        here.life += 1;
        here.wake += 1;
        here.wake_at_ms = None;
        here.jobs.jobs.values_mut().for_each(|job| job.watched = false);
        self.disconnect(node);
    }

    fn stop(&mut self, node: usize, stop: Stop) {
        match stop {
            Stop::Kill => {
                self.faults.add(Fault::AgentKilled);
                self.exec_ends(node, "killed");
            }
            Stop::Power { kept, off_ms } => {
                self.faults.add(Fault::PowerCut);
                self.power_off(node, Some(kept), off_ms);
            }
        }
    }

    /// The power goes, with `kept` of the unsynchronised records on the disk; without, everything was brought to an end before.
    pub(crate) fn power_off(&mut self, node: usize, kept: Option<usize>, off_ms: u64) {
        if !self.nodes[node].is_on {
            return;
        }
        let running: Vec<OrderId> =
            self.nodes[node].jobs.jobs.iter().filter(|(_, job)| job.is_running()).map(|(order, _)| *order).collect();
        for order in running {
            self.cut_off(node, order);
        }
        let records = self.nodes[node].disk.cut(kept.unwrap_or(usize::MAX));
        self.durable(node, records);
        self.gone(node);
        self.trace.line(self.now_ms, format_args!("node {node} has no power for {off_ms} ms"));
        let here = &mut self.nodes[node];
        here.is_on = false;
        here.stop = None;
        // Output that was not synchronised is there in part.
        for job in here.jobs.jobs.values_mut() {
            job.kept = here.dice.between(job.synced, job.kept + 1);
        }
        self.after(off_ms, Event::PowerOn { node });
    }

    pub(crate) fn power_on(&mut self, node: usize) {
        let now_ms = self.now_ms;
        let here = &mut self.nodes[node];
        if !std::mem::replace(&mut here.is_on, true) {
            here.next_boot(now_ms);
            let life = here.life;
            // Whatever clock the device has, nobody looks at it: until the first welcome of this boot it has no time.
            if !here.open.is_empty() {
                self.faults.add(Fault::BootWithoutTime);
            }
            self.start_agent(node, life);
        }
    }

    // The link

    pub(crate) fn connect(&mut self, node: usize, life: u32) {
        let here = &self.nodes[node];
        if here.life != life || here.connected || here.core.is_none() {
            return;
        }
        if here.offline || here.hole || !self.broker_is_up || here.frozen_until_ms > self.now_ms {
            let pause_ms = self.nodes[node].dice.between(2_000, 20_000);
            return self.after(pause_ms, Event::Connect { node, life });
        }
        // A client id has one session: whoever comes takes it over.
        if let Some(twin) = self.twin_of(node) {
            self.disconnect(twin);
        }
        let here = &mut self.nodes[node];
        self.index.insert(here.id, node);
        here.connected = true;
        here.link += 1;
        let nonce = here.dice.bytes();
        self.trace.line(self.now_ms, format_args!("node {node} connects"));
        self.presence_changed(node, true);
        self.handle(node, Input::Connected { nonce });
    }

    pub(crate) fn disconnect(&mut self, node: usize) {
        let here = &mut self.nodes[node];
        if !std::mem::replace(&mut here.connected, false) {
            return;
        }
        let (link, will_ms, life, again_ms) = (here.link, here.dice.between(50, 30_000), here.life, here.dice.between(500, 10_000));
        self.after(will_ms, Event::Will { node, link });
        if self.nodes[node].core.is_some() {
            // Two that take the session from each other for hours: that they do so every few minutes shows as much as every few seconds.
            let again_ms = if self.twin_of(node).is_some() { again_ms * TWIN_PATIENCE } else { again_ms };
            self.after(again_ms, Event::Connect { node, life });
            self.handle(node, Input::Disconnected);
        }
    }

    /// The broker has noticed that a connection is gone, unless there is another by now.
    pub(crate) fn will(&mut self, node: usize, link: u32) {
        let has_the_session = self.index.get(&self.nodes[node].id) == Some(&node);
        if self.nodes[node].link == link && !self.nodes[node].connected && has_the_session {
            self.presence_changed(node, false);
        }
    }
}

/// The order in a delivery.
pub(crate) fn order_in(payload: &[u8]) -> Option<OrderId> {
    let delivery: Delivery = decode(payload).ok()?;
    let envelope = Envelope::parse(&delivery.envelope, Domain::Order).ok()?;
    Some(decode::<OrderBody>(envelope.body()).ok()?.id)
}
