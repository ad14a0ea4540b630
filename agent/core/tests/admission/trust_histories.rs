//! Histories of trust at random: bundles in and out of order, starts, cuts at any output, power cuts, damaged and exchanged copies.
//!
//! Whatever happens: the version never falls, nothing starts under a bundle that the node has and that revokes its key, and once everything
//! came again the node goes by the newest bundle and runs what it should.

use super::kit::{HOUR_MS, OPERATOR, START_MS, delivery_of, key, node, order, order_id, trust};
use super::trust::{NEXT_CLOCK, Plan, SECOND, chain, plan};
use flotilla_agent_core::{Core, Floor, HeldTrust, Input, Output, Record, Recovery, Settings};
use flotilla_protocol::envelope::{Domain, Envelope, seal};
use flotilla_protocol::hello::{Facts, HelloBody, WelcomeBody};
use flotilla_protocol::id::{BootId, OrderId};
use flotilla_protocol::order::OrderBody;
use flotilla_protocol::topic::{DownKind, Topic, UpKind};
use flotilla_protocol::trust::Trust;
use flotilla_protocol::wire::{ByteVec, decode, encode};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Bundles after the first.
const BUNDLES: usize = 6;

#[derive(Debug, Clone)]
enum Step {
    /// Bundle so many comes on the topic for all.
    Bundle(usize),
    /// An order of one of two operators, which may start so many hours from the start on.
    Order {
        second: bool,
        in_hours: u8,
    },
    Connect,
    /// The bridge answers the last hello, as one that has so many bundles.
    Answer(usize),
    Pass {
        minutes: u16,
    },
    /// The agent is killed after so many outputs of the next step.
    Kill {
        after: u8,
    },
    /// The power goes after so many outputs of the next step.
    PowerCut {
        after: u8,
    },
    /// The disk takes no bundles for now, or does again.
    Disk {
        takes: bool,
    },
    /// The agent is stopped, so many of the newest bundles are damaged in both copies, and it starts.
    Damage(usize),
    /// The agent is stopped, the bundles are those of an old backup, and it starts.
    Restore(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..BUNDLES).prop_map(Step::Bundle),
        5 => (any::<bool>(), 0..6_u8).prop_map(|(second, in_hours)| Step::Order { second, in_hours }),
        3 => Just(Step::Connect),
        5 => (0..=BUNDLES).prop_map(Step::Answer),
        3 => (0..180_u16).prop_map(|minutes| Step::Pass { minutes }),
        2 => (0..6_u8).prop_map(|after| Step::Kill { after }),
        2 => (0..6_u8).prop_map(|after| Step::PowerCut { after }),
        1 => any::<bool>().prop_map(|takes| Step::Disk { takes }),
        1 => (1..BUNDLES).prop_map(Step::Damage),
        1 => (1..BUNDLES).prop_map(Step::Restore),
    ]
}

struct World {
    core: Core,
    now: u64,
    boot: u8,
    hours: u64,
    connections: u8,
    hello: Option<HelloBody>,
    /// All bundles that there are, from 2 on.
    envelopes: Vec<Vec<u8>>,
    plans: Vec<Plan>,
    /// What the disk holds: so many bundles after the first.
    on_disk: usize,
    takes: bool,
    durable: Vec<Record>,
    written: Vec<Record>,
    floor: Floor,
    stop_after: Option<(u8, bool)>,
    /// The highest version that was ever durable.
    highest: u32,
    orders: u8,
    by_second: BTreeSet<OrderId>,
    started: BTreeSet<OrderId>,
}

fn held(envelopes: &[Vec<u8>], count: usize, least: usize) -> HeldTrust {
    let first = trust(u64::MAX);
    let newest = envelopes.iter().take(count).fold(first.clone(), |newest: Trust, envelope| newest.successor(envelope).unwrap());
    HeldTrust::new(first.hash(), Some(newest), u32::try_from(least + 1).unwrap())
}

impl World {
    fn new(plans: Vec<Plan>) -> Self {
        let envelopes = chain(&plans);
        let core = Recovery::new(settings(held(&envelopes, 0, 0), 1)).finish();
        let (durable, floor) = (core.snapshot(), core.floor());
        Self {
            core,
            now: 1000,
            boot: 1,
            hours: 0,
            connections: 0,
            hello: None,
            envelopes,
            plans,
            on_disk: 0,
            takes: true,
            durable,
            written: Vec::new(),
            floor,
            stop_after: None,
            highest: 1,
            orders: 0,
            by_second: BTreeSet::new(),
            started: BTreeSet::new(),
        }
    }

    fn handle(&mut self, input: Input<'_>) {
        self.core.handle(input, self.now);
        loop {
            match self.stop_after {
                Some((0, power)) => return self.stop(power, self.on_disk),
                Some((left, power)) => self.stop_after = Some((left - 1, power)),
                None => {}
            }
            let Some(output) = self.core.poll_output() else { return };
            if !matches!(output, Output::Persist(_)) && !self.written.is_empty() {
                self.make_durable();
            }
            match output {
                Output::Persist(record) => self.written.push(record),
                Output::KeepTrust { version, envelope } => {
                    let place = usize::try_from(version).unwrap() - 2;
                    if self.takes && place <= self.on_disk {
                        assert_eq!(envelope, self.envelopes[place]);
                        self.on_disk = self.on_disk.max(place + 1);
                        self.core.handle(Input::TrustKept { version }, self.now);
                    }
                }
                Output::Publish(message) if message.kind == UpKind::Hello => {
                    let hello: HelloBody = decode(Envelope::parse(&message.payload, Domain::Hello).unwrap().body()).unwrap();
                    assert!(usize::try_from(hello.trust_version).unwrap() <= self.on_disk + 1, "it says what is not on its disk");
                    self.hello = Some(hello);
                }
                Output::RunJob { order, .. } => self.start(order),
                Output::RecoverJob { order, same_boot, .. } => {
                    let interrupted = flotilla_agent_core::JobEnd {
                        outcome: flotilla_protocol::status::Outcome::Interrupted,
                        explanation: String::new(),
                        steps: Vec::new(),
                    };
                    let input = if same_boot && !self.started.contains(&order) {
                        Input::NeverStarted { order }
                    } else {
                        Input::JobEnded { order, end: interrupted }
                    };
                    self.core.handle(input, self.now);
                }
                _ => {}
            }
        }
    }

    fn start(&mut self, order: OrderId) {
        assert!(self.started.insert(order), "it starts twice");
        // Everything that was ever on the disk counts, also what was damaged since.
        let newest = self.highest.max(u32::try_from(self.on_disk).unwrap() + 1);
        let operators =
            newest.checked_sub(2).map_or_else(|| plan().operators, |place| self.plans[usize::try_from(place).unwrap()].operators.clone());
        let signer = if self.by_second.contains(&order) { SECOND } else { OPERATOR };
        assert!(operators.contains(&signer), "{order} starts under version {newest}, which revokes its key (K4)");
    }

    fn make_durable(&mut self) {
        self.durable.append(&mut self.written);
        let floor = self.core.floor();
        assert!(floor.trust_version >= self.floor.trust_version, "the version falls (K1)");
        self.floor = floor;
        self.highest = self.highest.max(floor.trust_version);
    }

    fn stop(&mut self, power: bool, bundles: usize) {
        self.highest = self.highest.max(u32::try_from(self.on_disk).unwrap() + 1);
        let least = self.on_disk.max(bundles);
        self.start_anew(power, bundles, least);
    }

    fn start_anew(&mut self, power: bool, bundles: usize, least: usize) {
        self.stop_after = None;
        if power {
            self.written.clear();
            (self.boot, self.now) = (self.boot.wrapping_add(1), 500);
        }
        self.durable.append(&mut self.written);
        (self.on_disk, self.hello) = (bundles, None);
        let mut recovery = Recovery::new(settings(held(&self.envelopes, bundles, least), self.boot));
        for record in &self.durable {
            recovery.replay(record.clone()).unwrap();
        }
        recovery.remember(&self.floor, None);
        self.durable = recovery.snapshot();
        self.core = recovery.finish();
        assert!(self.core.floor().trust_version >= self.highest, "{} after {} (K1)", self.core.floor().trust_version, self.highest);
        self.handle(Input::Tick);
    }

    fn time_ms(&self) -> u64 {
        START_MS + self.hours * 60_000
    }

    fn down(&mut self, kind: DownKind, payload: &[u8]) {
        let topic = Topic::Down { fleet: trust(u64::MAX).fleet(), node: node(), kind }.to_string();
        self.handle(Input::Message { topic: &topic, retained: false, payload });
    }

    /// As a bridge that has so many bundles: those that the node lacks come before a welcome that it could not verify.
    fn answer(&mut self, has: usize) {
        let Some(hello) = self.hello.clone() else { return };
        let after = usize::try_from(hello.trust_version).unwrap().saturating_sub(1);
        let bundles: Vec<Vec<u8>> = self.envelopes.iter().take(has).skip(after).take(8).cloned().collect();
        let clock = |version: usize| version.checked_sub(1).map_or_else(|| plan().clock, |place| self.plans[place].clock);
        let signer = clock(has);
        if signer != clock(after) {
            for bundle in &bundles {
                self.down(DownKind::Trust, bundle);
            }
        }
        let welcome = WelcomeBody {
            node: node(),
            nonce: hello.nonce,
            time_ms: self.time_ms(),
            bundles: bundles.into_iter().map(ByteVec).collect(),
            resend_minimum_ms: 5_000,
            resend_maximum_ms: 10_000,
            reconnect_spread_s: 0,
            chains: Vec::new(),
            offers: Vec::new(),
        };
        self.down(DownKind::Welcome, &seal(Domain::Welcome, &encode(&welcome), &[&key(signer)]));
    }

    fn send(&mut self, second: bool, in_hours: u8) -> OrderId {
        self.orders += 1;
        let (id, at) = (order_id(self.orders), self.time_ms() + u64::from(in_hours) * HOUR_MS);
        let order = OrderBody { not_before_ms: at, not_after_ms: at + 24 * HOUR_MS, ..order(self.orders) };
        let signer = if second { SECOND } else { OPERATOR };
        if second {
            self.by_second.insert(id);
        }
        let delivery = encode(&delivery_of(seal(Domain::Order, &encode(&order), &[&key(signer)])));
        self.down(DownKind::Order, &delivery);
        id
    }

    fn connect(&mut self) {
        self.connections = self.connections.wrapping_add(1);
        self.handle(Input::Connected { nonce: [self.connections; 32] });
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Bundle(place) => {
                let topic = Topic::AllTrust { fleet: trust(u64::MAX).fleet() }.to_string();
                let payload = self.envelopes[place].clone();
                self.handle(Input::Message { topic: &topic, retained: false, payload: &payload });
            }
            Step::Order { second, in_hours } => {
                self.send(second, in_hours);
            }
            Step::Connect => self.connect(),
            Step::Answer(has) => self.answer(has),
            Step::Pass { minutes } => {
                self.hours += u64::from(minutes);
                self.now += u64::from(minutes) * 60_000;
                self.handle(Input::Tick);
            }
            Step::Kill { after } => self.stop_after = Some((after, false)),
            Step::PowerCut { after } => self.stop_after = Some((after, true)),
            Step::Disk { takes } => self.takes = takes,
            Step::Damage(count) => self.stop(false, self.on_disk.saturating_sub(count)),
            Step::Restore(count) => {
                // Nothing on the disk says that there was more: only the journal does.
                self.make_durable();
                let bundles = self.on_disk.min(count);
                // What was kept and never recorded is known to nobody; a backup that old is put back with the agent stopped.
                self.highest = self.highest.max(self.core.floor().trust_version);
                self.start_anew(false, bundles, bundles);
            }
        }
    }

    /// The network is well, the disk too, and the bridge has everything.
    fn mend(&mut self) {
        self.stop_after = None;
        self.takes = true;
        self.connect();
        for _ in 0..12 {
            self.answer(BUNDLES);
            self.now += 40_000;
            self.handle(Input::Tick);
        }
        self.now += 50_000;
        self.handle(Input::Tick);
        self.answer(BUNDLES);
    }
}

fn settings(trust: HeldTrust, boot: u8) -> Settings {
    Settings {
        identity: key(100),
        trust,
        boot: BootId([boot; 16]),
        facts: Facts::default(),
        agent_version: [0, 1, 0],
        maximum_jobs: 64,
        first_floor_ms: START_MS - HOUR_MS,
    }
}

fn plans() -> impl Strategy<Value = Vec<Plan>> {
    let any = (0..3_u8, any::<bool>()).prop_map(|(who, moved)| Plan {
        operators: [vec![OPERATOR], vec![SECOND], vec![OPERATOR, SECOND]][usize::from(who)].clone(),
        clock: if moved { NEXT_CLOCK } else { super::kit::CLOCK },
        ..plan()
    });
    proptest::collection::vec(any, BUNDLES)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn the_version_never_falls_and_nothing_starts_under_a_revoked_key(
        plans in plans(),
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let mut world = World::new(plans);
        for step in &steps {
            world.step(step);
        }
        world.mend();
        prop_assert_eq!(world.core.floor().trust_version, u32::try_from(BUNDLES).unwrap() + 1, "every node gets there");
        let operators = world.plans[BUNDLES - 1].operators.clone();
        for (second, signer) in [(false, OPERATOR), (true, SECOND)] {
            let id = world.send(second, 0);
            prop_assert_eq!(world.started.contains(&id), operators.contains(&signer), "and runs what it should");
        }
    }
}
