//! A core is built from its journal: settings, what must never go back, and the records one by one.

use super::again::Again;
use super::reboot::RebootRule;
use super::streams::Tellings;
use super::trust::TrustState;
use super::{Core, Settings, Telemetry};
use crate::interface::Output;
use crate::memory::{Floor, Memory};
use crate::orders::{Orders, Phase};
use crate::policy::PolicyState;
use crate::record::{Record, RecordError};
use crate::spool::Spool;
use crate::streams::Streams;
use crate::trusted_time::TrustedTime;
use crate::upload::Uploads;
use flotilla_protocol::id::NodeId;
use flotilla_protocol::report::{LossCause, Stream};
use flotilla_protocol::secret::SealingKey;
use std::collections::{BTreeMap, VecDeque};

/// A core that is reading its journal back.
#[derive(Debug)]
pub struct Recovery(Core);

impl Recovery {
    /// Begins with an empty journal.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let identity_key = settings.identity.verifying_key().to_bytes();
        let node = NodeId::of_key(&identity_key);
        Self(Core {
            node,
            identity: settings.identity,
            identity_key,
            trust: TrustState::new(settings.trust),
            boot: settings.boot,
            facts: settings.facts,
            agent_version: settings.agent_version,
            maximum_jobs: settings.maximum_jobs.max(1),
            time: TrustedTime::new(settings.first_floor_ms),
            orders: Orders::default(),
            spool: Spool::new(node, settings.boot, Stream::Control),
            streams: Streams::new(node, settings.boot, Stream::ALL.into_iter().filter(|stream| stream.is_droppable())),
            tellings: Tellings::default(),
            uploads: Uploads::default(),
            connection: None,
            awaiting_time: VecDeque::new(),
            refused: BTreeMap::new(),
            outputs: VecDeque::new(),
            memory: Memory::default(),
            has_gone_by: false,
            journal_bytes: Some(u64::MAX),
            unrecorded_ends: Vec::new(),
            policy: PolicyState::default(),
            again: Again::default(),
            reboot_rule: RebootRule::default(),
            reboot_refusal: String::new(),
            told_to_reboot_until: None,
            is_reboot_withheld: false,
            sealing_key: None,
        })
    }

    /// The same, with another rule for reboots than by default.
    #[must_use]
    pub fn with_reboots(mut self, rule: RebootRule) -> Self {
        self.0.reboot_rule = rule;
        self
    }

    /// The same, able to open secrets that are sealed to this key.
    #[must_use]
    pub fn with_sealing_key(mut self, key: SealingKey) -> Self {
        self.0.sealing_key = Some(key);
        self
    }

    /// Raises what must never go back to the copy that is kept beside the journal; with `lost`, nothing but that copy is left.
    pub fn remember(&mut self, floor: &Floor, lost: Option<LossCause>) {
        let core = &mut self.0;
        if floor.trust_version > 0 {
            core.gone_by(floor.trust_version, floor.epoch);
        }
        // What was believed of the time in an epoch before is void.
        if floor.epoch >= core.trust.least().1 {
            core.time.raise_floor(floor.time_ms);
            core.memory.barrier_ms = core.memory.barrier_ms.max(floor.barrier_ms);
        }
        if let Some(cause) = lost {
            core.memory.lost = Some((cause, floor.sequence));
        }
    }

    /// From time to time the node tells how it is. Without this it never does, and makes no report that may be dropped.
    #[must_use]
    pub fn with_telemetry(mut self, telemetry: Telemetry) -> Self {
        self.0.tellings.settings = Some(telemetry);
        self
    }

    /// The node's own policy as it is at the start. Without this there is none, and nothing is restricted.
    #[must_use]
    pub fn with_policy(mut self, policy: PolicyState) -> Self {
        self.0.policy = policy;
        self
    }

    /// Takes the next record of the journal.
    ///
    /// # Errors
    /// The record does not follow from those before it: the journal is damaged.
    pub fn replay(&mut self, record: Record) -> Result<(), RecordError> {
        self.0.apply(record)
    }

    /// The journal is read: what was about to start is handed to the shell, and the rest goes on.
    #[must_use]
    pub fn finish(self) -> Core {
        let mut core = self.0;
        let starting = core.orders.known.iter().filter_map(|(id, order)| match &order.phase {
            Phase::Running { command, boot, .. } => {
                Some(Output::RecoverJob { order: *id, command: command.clone(), same_boot: *boot == core.boot, attempt: order.attempt() })
            }
            Phase::Waiting(_) | Phase::Rebooting(_) | Phase::Ended { .. } => None,
        });
        let outputs: Vec<Output> = starting.collect();
        core.outputs.extend(outputs);
        core.streams.iter_mut().for_each(|(_, spool)| spool.start_counting());
        core.recover_inventory();
        core.compare_trust();
        // A receipt may have been recorded and what follows from it not.
        core.forget_what_is_done();
        core
    }

    /// As [`Core::snapshot`]: with it the shell begins a new file before it acts on an old one, whose last pages the disk may have refused.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Record> {
        self.0.snapshot()
    }
}
