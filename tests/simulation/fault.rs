//! Every kind of fault, and how often each was really injected.

use std::collections::BTreeMap;

macro_rules! faults {
    ($($name:ident = $text:literal),+ $(,)?) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Fault { $($name),+ }
        impl Fault {
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name),+];
            pub(crate) fn text(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

faults! {
    Lost = "messages lost",
    Duplicated = "messages duplicated",
    Reordered = "messages delayed and overtaken",
    OldMessage = "old messages sent again",
    AgentKilled = "agent killed between two outputs",
    PowerCut = "power cut between two outputs",
    Reboot = "reboot in good order",
    RebootAsked = "reboot that a command asked for",
    RebootNotDone = "reboot that was asked for and did not happen",
    RebootInhibited = "reboot that somebody inhibited",
    StoppedAtReboot = "agent or device stopped around a reboot that was asked for",
    PresenceLost = "presence or will lost",
    PresenceLate = "presence or will late",
    PresenceDoubled = "presence or will doubled",
    JobKilled = "job killed",
    Frozen = "agent frozen",
    Offline = "node offline",
    BlackHole = "half-open connection",
    DiskFull = "node's disk full",
    DiskSyncFails = "node's disk does not sync",
    BrokerRestart = "broker restarted",
    BridgeCutOff = "bridge cut off from the broker",
    BridgeBeforeCommit = "bridge killed before a commit",
    BridgeAfterCommit = "bridge killed after a commit",
    BridgeDiskFull = "bridge's disk full",
    ClockAhead = "bridge's clock ahead",
    ClockBehind = "bridge's clock behind",
    ClockAt1970 = "bridge's clock at 1970",
    ClockInTenYears = "bridge's clock in ten years",
    ClockJumped = "bridge's clock jumped while a job ran",
    BootWithoutTime = "device with open orders booted without the time",
    Restored = "database restored from an old copy",
    Copied = "device copied with its state",
    Retained = "retained copy of a message",
    Misdirected = "message of another node",
    BitFlipped = "message with a bit flipped",
    Poison = "poison message to the bridge",
    AnothersReport = "report under another node's topic",
}

/// The wrong clocks of F14: each is counted once the bridge has worked under it.
pub(crate) const WRONG_CLOCKS: [Fault; 4] = [Fault::ClockAhead, Fault::ClockBehind, Fault::ClockAt1970, Fault::ClockInTenYears];

#[derive(Debug, Clone, Default)]
pub(crate) struct Faults(BTreeMap<Fault, u64>);

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        *self.0.entry(fault).or_insert(0) += 1;
    }

    pub(crate) fn of(&self, fault: Fault) -> u64 {
        self.0.get(&fault).copied().unwrap_or(0)
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (fault, count) in &other.0 {
            *self.0.entry(*fault).or_insert(0) += count;
        }
    }

    /// The trials of F14.
    pub(crate) fn wrong_clocks(&self) -> u64 {
        WRONG_CLOCKS.iter().map(|fault| self.of(*fault)).sum()
    }

    pub(crate) fn total(&self) -> u64 {
        self.0.values().sum()
    }
}
