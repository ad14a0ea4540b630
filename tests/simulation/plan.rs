//! A history before it happens: what operators do and what goes wrong, each at its time. A seed makes one, and a failing one is
//! shrunk by leaving actions out.

use flotilla_tests::random::Random;

/// How large a world is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scale {
    pub(crate) nodes: usize,
    pub(crate) hours: u64,
    pub(crate) sends: usize,
    pub(crate) faults: usize,
}

impl Scale {
    /// Small and crowded: many faults meet.
    pub(crate) const SHORT: Self = Self { nodes: 8, hours: 2, sends: 24, faults: 150 };
    /// Between the two.
    pub(crate) const MIDDLE: Self = Self { nodes: 20, hours: 8, sends: 70, faults: 500 };
    /// The fleet of F12.
    pub(crate) const LONG: Self = Self { nodes: 50, hours: 24, sends: 180, faults: 2_000 };

    /// The size that a seed has by itself: of 200 seeds one is long, nine are of the middle, and 190 are short.
    pub(crate) fn of(seed: u64) -> Self {
        match seed {
            seed if seed.is_multiple_of(200) => Self::LONG,
            seed if seed.is_multiple_of(20) => Self::MIDDLE,
            _ => Self::SHORT,
        }
    }

    /// By its name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        [("short", Self::SHORT), ("middle", Self::MIDDLE), ("long", Self::LONG)]
            .into_iter()
            .find(|(own, _)| *own == name)
            .map(|(_, scale)| scale)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hostile {
    Retained,
    Misdirected,
    BitFlip,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BridgeClock {
    Ahead,
    Behind,
    At1970,
    InTenYears,
}

/// Something that happens at its time. Numbers that name a node or a command are taken modulo how many there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    Send {
        seed: u64,
    },
    /// A command whose scripts ask for reboots.
    SendReboot {
        seed: u64,
    },
    Cancel {
        command: usize,
        node: Option<usize>,
    },
    Kill {
        node: usize,
        after_outputs: u32,
    },
    CutPower {
        node: usize,
        after_outputs: u32,
        kept: usize,
        off_ms: u64,
    },
    Reboot {
        node: usize,
        off_ms: u64,
    },
    KillJob {
        node: usize,
    },
    Freeze {
        node: usize,
        for_ms: u64,
    },
    Offline {
        node: usize,
        for_ms: u64,
    },
    BlackHole {
        node: usize,
        for_ms: u64,
    },
    NodeDisk {
        node: usize,
        full: bool,
        for_ms: u64,
    },
    BadNetwork {
        loss: u64,
        duplicates: u64,
        delays: u64,
        for_ms: u64,
    },
    OldMessage {
        pick: usize,
    },
    BrokerRestart {
        off_ms: u64,
    },
    BridgeCutOff {
        for_ms: u64,
    },
    /// At the commit after so many others: before it, or after it with so many messages already out.
    BridgeKill {
        after_commits: u32,
        published: Option<usize>,
        off_ms: u64,
    },
    BridgeDiskFull {
        for_ms: u64,
    },
    BridgeClock {
        clock: BridgeClock,
        for_ms: u64,
    },
    Backup,
    Restore {
        off_ms: u64,
    },
    Hostile {
        how: Hostile,
        pick: usize,
        node: usize,
    },
    Poison {
        node: usize,
        seed: u64,
    },
    AnothersReport {
        pick: usize,
        node: usize,
    },
    /// The device is copied with all that it knows, and both run on.
    Copy {
        node: usize,
        off_ms: u64,
    },
}

pub(crate) type Plan = Vec<(u64, Action)>;

/// The history of a seed.
pub(crate) fn plan(seed: u64, scale: Scale) -> Plan {
    let mut dice = Random::part(seed, 1);
    let end_ms = scale.hours * 3_600_000;
    // Some histories know neither of these, so that what holds without them is checked strictly.
    let (with_clock, with_restore) = (dice.percent(35), dice.percent(25));
    let mut plan = Plan::new();
    for _ in 0..scale.sends {
        plan.push((dice.below(end_ms), Action::Send { seed: dice.number() }));
    }
    for _ in 0..scale.sends / 3 {
        let node = dice.percent(60).then(|| dice.index(scale.nodes));
        plan.push((dice.below(end_ms), Action::Cancel { command: dice.index(1_000), node }));
    }
    while plan.len() < scale.sends + scale.sends / 3 + scale.faults {
        if let Some(action) = fault(&mut dice, scale.nodes, with_clock, with_restore) {
            plan.push((dice.below(end_ms), action));
        }
    }
    // Where something is copied, it is restored sooner or later.
    if with_restore {
        plan.push((end_ms / 4, Action::Backup));
        plan.push((end_ms / 2, Action::Restore { off_ms: 5_000 }));
    }
    // One history in eight has a device that is copied. Drawn from a generator of its own: the others stay what they were.
    let mut dice = Random::part(seed, 7);
    if dice.below(8) == 0 {
        plan.push((dice.below(end_ms), Action::Copy { node: dice.index(scale.nodes), off_ms: dice.between(1_000, 120_000) }));
    }
    // One history in two has commands that ask for reboots, and what is done to those who sent them.
    let mut dice = Random::part(seed, 9);
    if dice.percent(50) {
        for _ in 0..scale.sends / 3 {
            let at_ms = dice.below(end_ms);
            plan.push((at_ms, Action::SendReboot { seed: dice.number() }));
            if dice.percent(25) {
                plan.push((at_ms + dice.below(900_000), Action::Cancel { command: 0, node: None }));
            }
        }
    }
    plan.sort_by_key(|(at_ms, _)| *at_ms);
    plan
}

fn fault(dice: &mut Random, nodes: usize, with_clock: bool, with_restore: bool) -> Option<Action> {
    let node = dice.index(nodes);
    let after_outputs = u32::try_from(dice.below(12)).unwrap();
    let minutes = |dice: &mut Random, most: u64| dice.between(1_000, most * 60_000);
    Some(match dice.below(100) {
        0..=15 => Action::Kill { node, after_outputs },
        16..=29 => Action::CutPower { node, after_outputs, kept: dice.index(5), off_ms: minutes(dice, 20) },
        30..=33 => Action::Reboot { node, off_ms: minutes(dice, 5) },
        34..=39 => Action::KillJob { node },
        40..=43 => Action::Freeze { node, for_ms: minutes(dice, 5) },
        44..=50 => Action::Offline { node, for_ms: minutes(dice, 40) },
        51..=54 => Action::BlackHole { node, for_ms: minutes(dice, 10) },
        55..=58 => Action::NodeDisk { node, full: dice.percent(50), for_ms: minutes(dice, 10) },
        59..=64 => {
            let (loss, duplicates, delays) = (dice.below(40), dice.below(40), dice.below(40));
            Action::BadNetwork { loss, duplicates, delays, for_ms: minutes(dice, 15) }
        }
        65..=70 => Action::OldMessage { pick: dice.index(10_000) },
        71 => Action::BrokerRestart { off_ms: dice.between(100, 60_000) },
        72..=73 => Action::BridgeCutOff { for_ms: minutes(dice, 10) },
        74..=81 => {
            let published = dice.percent(60).then(|| dice.index(4));
            Action::BridgeKill { after_commits: u32::try_from(dice.below(4)).unwrap(), published, off_ms: dice.between(200, 120_000) }
        }
        82..=83 => Action::BridgeDiskFull { for_ms: dice.between(1_000, 60_000) },
        84..=85 if with_clock => {
            use BridgeClock as C;
            let clock = [C::Ahead, C::Behind, C::At1970, C::InTenYears][dice.index(4)];
            // Below the hour after which a node would believe it for good.
            Action::BridgeClock { clock, for_ms: minutes(dice, 30) }
        }
        86 if with_restore => Action::Backup,
        87 if with_restore => Action::Restore { off_ms: dice.between(500, 60_000) },
        88..=95 => {
            let how = [Hostile::Retained, Hostile::Misdirected, Hostile::BitFlip][dice.index(3)];
            Action::Hostile { how, pick: dice.index(10_000), node }
        }
        96..=97 => Action::Poison { node, seed: dice.number() },
        98..=99 => Action::AnothersReport { pick: dice.index(10_000), node },
        _ => return None,
    })
}
