//! The shell around the core: a disk that forgets what was not synced, and jobs that live on without the agent.

use super::fleet::{START_MS, VALID_MS, node, recovery, trust};
use super::{Job, MUCH_OUTPUT, World};
use flotilla_agent_core::{Floor, Input, JobEnd, Output, Record, Recovery};
use flotilla_protocol::capability::command::{Captured, StepResult};
use flotilla_protocol::id::OrderId;
use flotilla_protocol::report::LossCause;
use flotilla_protocol::status::{Outcome, StepStatus};
use flotilla_protocol::topic::Topic;
use std::collections::BTreeSet;

impl World {
    pub(super) fn handle(&mut self, input: Input<'_>) {
        self.core.handle(input, self.now);
        self.drain();
        // What the bridge answered arrives after the outputs were taken, as on a network.
        for _ in 0..200 {
            let Some((kind, payload)) = (!self.to_node.is_empty()).then(|| self.to_node.remove(0)) else { break };
            if self.connected {
                let topic = Topic::Down { fleet: trust().fleet(), node: node(), kind }.to_string();
                self.core.handle(Input::Message { topic: &topic, retained: false, payload: &payload }, self.now);
                self.drain();
            }
        }
    }

    /// The shell: takes outputs, keeps the promise about `Persist`, and stops where the history says.
    pub(super) fn drain(&mut self) {
        loop {
            if let Some((left, power)) = &mut self.stop_after {
                if *left == 0 {
                    let power = *power;
                    self.stop_after = None;
                    self.stop(power);
                    return;
                }
                *left -= 1;
            }
            let Some(output) = self.core.poll_output() else { return };
            if !matches!(output, Output::Persist(_)) && self.written.iter().any(|record| !record.is_lazy()) {
                self.make_durable();
            }
            match output {
                Output::Persist(_) if !self.is_writable => panic!("a record is made although the disk takes none"),
                Output::Persist(record) => self.written.push(Record::from_bytes(&record.to_bytes()).unwrap()),
                Output::Publish(message) => self.published(&message),
                Output::RunJob { order, .. } => self.start(order),
                Output::RecoverJob { order, same_boot, .. } => self.recover_job(order, same_boot),
                Output::CancelJob { order } => {
                    if self.jobs.get(&order) == Some(&Job::Running) {
                        self.jobs.insert(order, Job::Lost);
                    }
                    let end = JobEnd { outcome: Outcome::Cancelled, explanation: String::new(), steps: Vec::new() };
                    self.core.handle(Input::JobEnded { order, end }, self.now);
                }
                Output::ForgetJob { order } => assert!(self.bridge.results.contains_key(&order), "a folder goes before its result arrived"),
                Output::ReadOutput { order, step, stream, offset } => {
                    let kept = match self.jobs.get(&order) {
                        Some(Job::Finished { kept }) => *kept,
                        _ if self.grown.contains(&order) => MUCH_OUTPUT,
                        _ => 0,
                    };
                    let length = kept.saturating_sub(offset).min(16 * 1024);
                    let bytes = vec![b'x'; usize::try_from(length).unwrap()];
                    self.core.handle(Input::OutputRead { order, step, stream, offset, bytes }, self.now);
                }
                Output::KeepTrust { .. } => panic!("no trust bundle comes here"),
                Output::Reboot => panic!("no job here asks for a reboot"),
                Output::Refused { .. } | Output::RenewCertificate { .. } | Output::SpreadReconnect { .. } => {}
            }
        }
    }

    pub(super) fn start(&mut self, order: OrderId) {
        let recorded = self.durable.iter().any(|record| matches!(record, Record::Starting { order: of, .. } if *of == order));
        assert!(recorded, "{order} starts without a durable record (C1)");
        assert!(!self.bridge.results.contains_key(&order), "{order} starts after its end");
        assert!(self.real_ms < START_MS + VALID_MS, "{order} starts after it expired (C5)");
        assert!(!self.cancelled_before_start.contains(&order), "{order} starts although it was cancelled before (C8)");
        let starts = self.starts.entry(order).or_insert(0);
        *starts += 1;
        assert_eq!(*starts, 1, "{order} starts twice (C2)");
        self.jobs.insert(order, Job::Running);
    }

    pub(super) fn recover_job(&mut self, order: OrderId, same_boot: bool) {
        let of_this_boot =
            |record: &&Record| matches!(record, Record::Starting { order: of, boot, .. } if *of == order && boot.0[0] == self.boot);
        assert_eq!(same_boot, self.durable.iter().find(of_this_boot).is_some(), "{order} is recovered as of another boot");
        match self.jobs.get(&order) {
            // The agent was killed between the record and the start: the job's own `started` file decides, and it is not there.
            None if same_boot => self.core.handle(Input::NeverStarted { order }, self.now),
            Some(Job::Running) if same_boot => {}
            _ => {
                self.recovering.insert(order);
            }
        }
        if self.recovering.remove(&order) {
            let end = JobEnd { outcome: Outcome::Interrupted, explanation: "cut off".into(), steps: Vec::new() };
            if same_boot && matches!(self.jobs.get(&order), Some(Job::Finished { .. })) {
                let kept = 3;
                self.grown.remove(&order);
                self.jobs.insert(order, Job::Finished { kept });
                let stdout = Captured { written_bytes: kept, kept_bytes: kept, sha256: [0; 32], head: vec![b'x'; 3] };
                let (status, stderr) = (StepStatus::Succeeded, Captured::default());
                let step = StepResult { name: "run".into(), status, exit_code: 0, started_ms: None, ended_ms: None, stdout, stderr };
                let end = JobEnd { outcome: Outcome::Succeeded, explanation: String::new(), steps: vec![step] };
                self.core.handle(Input::JobEnded { order, end }, self.now);
            } else {
                self.core.handle(Input::JobEnded { order, end }, self.now);
            }
        }
    }

    /// Kills the agent, or cuts the power: then of what was written and not synced only the first `kept` records are there.
    pub(super) fn stop(&mut self, power: Option<u8>) {
        if let Some(kept) = power {
            self.written.truncate(usize::from(kept));
            self.boot += 1;
            self.now = 500;
            for job in self.jobs.values_mut() {
                if *job == Job::Running {
                    *job = Job::Lost;
                }
            }
        }
        self.durable.append(&mut self.written);
        self.connected = false;
        self.to_node.clear();
        let mut recovery = recovery(self.boot, self.tells_health);
        for record in &self.durable {
            recovery.replay(record.clone()).unwrap();
        }
        recovery.remember(&self.floor, None);
        self.begin(recovery);
    }

    /// What the shell does at a start: a new journal, and the floor beside it.
    pub(super) fn begin(&mut self, recovery: Recovery) {
        self.durable = recovery.snapshot();
        self.core = recovery.finish();
        self.floor = self.core.floor();
        if !self.is_writable {
            self.core.handle(Input::Storage { is_writable: false, room_bytes: 0 }, self.now);
        }
        self.drain();
    }

    pub(super) fn make_durable(&mut self) {
        let raises = |record: &Record| matches!(record, Record::Floor { .. } | Record::Trust { .. } | Record::MemoryRegained { .. });
        let is_due = self.written.iter().any(raises);
        self.durable.append(&mut self.written);
        if is_due {
            self.floor = self.core.floor();
        }
    }

    pub(super) fn lose_memory(&mut self, keeps_floor: bool) {
        self.losses += 1;
        self.had_result_at_loss.extend(self.bridge.results.keys());
        // A second loss comes later than the first: a new chain begins where the time says.
        self.now += 10;
        self.real_ms += 10;
        self.written.clear();
        self.connected = false;
        self.to_node.clear();
        if !keeps_floor {
            self.floor = Floor::default();
        }
        let mut recovery = recovery(self.boot, self.tells_health);
        recovery.remember(&self.floor, Some(LossCause::Damaged));
        self.begin(recovery);
    }

    pub(super) fn set_writable(&mut self, is_writable: bool) {
        self.is_writable = is_writable;
        // What was written before is on disk: what cannot be written any more is the shell's to keep back.
        self.make_durable();
        self.handle(Input::Storage { is_writable, room_bytes: 1024 * 1024 });
    }

    pub(super) fn compact(&mut self) {
        self.durable.append(&mut self.written);
        let snapshot = self.core.snapshot();
        let mut recovery = recovery(self.boot, self.tells_health);
        for record in &snapshot {
            recovery.replay(record.clone()).unwrap();
        }
        self.floor = self.core.floor();
        // Their order may differ where it does not matter: among orders that have ended.
        let sorted = |records: Vec<Record>| records.iter().map(Record::to_bytes).collect::<BTreeSet<_>>();
        assert!(sorted(recovery.snapshot()) == sorted(snapshot.clone()), "a snapshot does not come to itself");
        self.durable = snapshot;
    }
}
