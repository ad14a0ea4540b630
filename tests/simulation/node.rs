//! A node: the real core, and the shell around it as exec has it, on a simulated disk, link and set of jobs.

use crate::disk::Disk;
use crate::jobs::Jobs;
use ed25519_dalek::SigningKey;
use flotilla_agent_core::{Core, Recovery, Settings};
use flotilla_protocol::hello::Facts;
use flotilla_protocol::id::{BootId, NodeId, OrderId};
use flotilla_protocol::trust::Trust;
use flotilla_tests::random::Random;
use std::collections::{BTreeMap, BTreeSet};

/// Jobs at a time.
const MAXIMUM_JOBS: usize = 2;
/// Uptime when the agent of a device that was switched on begins, in milliseconds.
const BOOT_MS: u64 = 4_000;

/// How the agent is to end between two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// SIGKILL.
    Kill,
    /// The power goes: of what was only written so many records are on the disk.
    Power {
        /// How many.
        kept: usize,
        /// How long it is away.
        off_ms: u64,
    },
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) name: String,
    /// Under which name its history is written: its own, or a copy's.
    pub(crate) history: String,
    key: SigningKey,
    trust: Trust,
    first_floor_ms: u64,
    pub(crate) dice: Random,
    /// While the agent runs.
    pub(crate) core: Option<Core>,
    /// Counts the agent's processes: what was meant for one is nothing to the next.
    pub(crate) life: u32,
    pub(crate) boot: u32,
    booted_ms: u64,
    /// Whether there is power.
    pub(crate) is_on: bool,
    pub(crate) disk: Disk,
    pub(crate) jobs: Jobs,
    /// Whether the link is connected; the number tells connections apart.
    pub(crate) connected: bool,
    pub(crate) link: u32,
    /// What the broker believes and keeps.
    pub(crate) broker_says_online: bool,
    pub(crate) offline: bool,
    pub(crate) hole: bool,
    pub(crate) frozen_until_ms: u64,
    /// Outputs that are still taken, and what comes then.
    pub(crate) stop: Option<(u32, Stop)>,
    /// The number of the timer that counts.
    pub(crate) wake: u64,
    pub(crate) wake_at_ms: Option<u64>,
    /// How far behind the sun the welcome of this boot may have been.
    pub(crate) behind_ms: u64,
    /// The last sequence that left the node.
    pub(crate) said_up_to: u64,
    /// Orders that it has accepted for good and not ended.
    pub(crate) open: BTreeSet<OrderId>,
    /// The sequence of the report with each order's outcome.
    pub(crate) ended_at: BTreeMap<OrderId, u64>,
    /// The last sequence for which the bridge has signed a receipt, whether it came or not.
    pub(crate) receipts_up_to: u64,
    /// How much output each finished job has, as its signed result says: the last step's.
    pub(crate) results: BTreeMap<OrderId, (usize, u64)>,
}

impl Node {
    pub(crate) fn new(number: usize, seed: u64, trust: Trust, first_floor_ms: u64) -> Self {
        let key = SigningKey::from_bytes(&flotilla_protocol::sha256(&[b"node", &number.to_le_bytes()]));
        let id = NodeId::of_key(&key.verifying_key().to_bytes());
        Self {
            id,
            name: id.to_string(),
            history: id.to_string(),
            key,
            trust,
            first_floor_ms,
            dice: Random::part(seed, 1_000 + u64::try_from(number).unwrap()),
            core: None,
            life: 0,
            boot: 1,
            booted_ms: 0,
            is_on: true,
            disk: Disk::default(),
            jobs: Jobs::default(),
            connected: false,
            link: 0,
            broker_says_online: false,
            offline: false,
            hole: false,
            frozen_until_ms: 0,
            stop: None,
            wake: 0,
            wake_at_ms: None,
            behind_ms: 0,
            said_up_to: 0,
            open: BTreeSet::new(),
            ended_at: BTreeMap::new(),
            receipts_up_to: 0,
            results: BTreeMap::new(),
        }
    }

    /// A device with the same key and the same disk, which is still off and has another boot id.
    pub(crate) fn copy_of(node: &Self, seed: u64) -> Self {
        Self {
            id: node.id,
            name: node.name.clone(),
            history: format!("{}, copied", node.name),
            key: node.key.clone(),
            dice: Random::part(seed, 8),
            boot: 1_000_000,
            is_on: false,
            disk: node.disk.clone(),
            jobs: node.jobs.clone(),
            said_up_to: node.said_up_to,
            open: node.open.clone(),
            ended_at: node.ended_at.clone(),
            receipts_up_to: node.receipts_up_to,
            results: node.results.clone(),
            ..Self::new(0, seed, node.trust.clone(), node.first_floor_ms)
        }
    }

    pub(crate) fn identity_key(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }

    pub(crate) fn uptime(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.booted_ms) + BOOT_MS
    }

    /// When uptime reaches `uptime`, by the world's clock.
    pub(crate) fn when(&self, uptime: u64) -> u64 {
        (self.booted_ms + uptime).saturating_sub(BOOT_MS)
    }

    pub(crate) fn next_boot(&mut self, now_ms: u64) {
        self.boot += 1;
        self.booted_ms = now_ms;
        self.behind_ms = 0;
    }

    /// Reads the journal back as exec does.
    pub(crate) fn recover(&self) -> Result<Recovery, String> {
        let mut boot = [0; 16];
        boot.iter_mut().zip(self.boot.to_le_bytes()).for_each(|(to, from)| *to = from);
        let mut recovery = Recovery::new(Settings {
            identity: self.key.clone(),
            trust: self.trust.clone().into(),
            boot: BootId(boot),
            facts: Facts::default(),
            agent_version: [0, 1, 0],
            maximum_jobs: MAXIMUM_JOBS,
            first_floor_ms: self.first_floor_ms,
        });
        for record in self.disk.read() {
            recovery.replay(record).map_err(|error| format!("the journal of {} does not replay: {error}", self.name))?;
        }
        Ok(recovery)
    }
}
