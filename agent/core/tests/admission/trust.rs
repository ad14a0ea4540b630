//! How trust lives on a node: rotation, revocation, expiry, recovery, quarantine, and histories of all of these at random.

use super::kit::{BRIDGE, CLOCK, HOUR_MS, Heard, Node, OPERATOR, START_MS, STRANGER};
use super::kit::{delivery_of, key, node, order, order_id, trust};
use flotilla_agent_core::{Floor, HeldTrust, Input, Record};
use flotilla_protocol::envelope::{Domain, seal};
use flotilla_protocol::hello::WelcomeBody;
use flotilla_protocol::order::{CancelBody, OrderBody};
use flotilla_protocol::status::{Outcome, RejectReason};
use flotilla_protocol::topic::{DownKind, Topic};
use flotilla_protocol::trust::{Class, OperatorRule, Role, RoleEntry, Trust, TrustBundle, TrustKey};
use flotilla_protocol::wire::{ByteVec, encode};

/// Signs orders beside the operator.
pub(crate) const SECOND: u8 = 7;
/// Takes the place of the bridge's or the clock's key.
pub(crate) const NEXT_CLOCK: u8 = 8;
/// The other root.
const SECOND_ROOT: u8 = 9;

/// Whose keys are in a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) roots: Vec<u8>,
    pub(crate) operators: Vec<u8>,
    pub(crate) clock: u8,
    pub(crate) expires_ms: u64,
    pub(crate) epoch: u32,
    pub(crate) agent: [u16; 3],
}

pub(crate) fn plan() -> Plan {
    Plan { roots: vec![1], operators: vec![OPERATOR], clock: CLOCK, expires_ms: u64::MAX, epoch: 5, agent: [0, 1, 0] }
}

/// The envelope of the bundle after `before`, signed by these.
pub(crate) fn bundle_after(before: &Trust, plan: &Plan, signers: &[u8]) -> Vec<u8> {
    let mut holders: Vec<u8> = plan.roots.iter().chain(&plan.operators).copied().chain([BRIDGE, plan.clock]).collect();
    holders.sort_unstable();
    holders.dedup();
    let index = |holder: &u8| u16::try_from(holders.iter().position(|of| of == holder).unwrap()).unwrap();
    let role = |role, of: &[u8]| RoleEntry { role, threshold: 1, keys: of.iter().map(index).collect() };
    let keys = holders.iter().map(|seed| TrustKey::new(key(*seed).verifying_key().to_bytes().into(), &format!("{seed}"))).collect();
    let roles = vec![role(Role::Root, &plan.roots), role(Role::Bridge, &[BRIDGE]), role(Role::Freshness, &[plan.clock])];
    let bundle = TrustBundle {
        version: before.bundle().version + 1,
        previous: before.hash(),
        expires_ms: plan.expires_ms,
        epoch: plan.epoch,
        minimum_agent_version: plan.agent,
        ..TrustBundle::beginning(keys, roles, vec![OperatorRule::any_of(Class::Command, plan.operators.iter().map(index).collect())])
    };
    let keys: Vec<_> = signers.iter().map(|seed| key(*seed)).collect();
    seal(Domain::Trust, &encode(&bundle), &keys.iter().collect::<Vec<_>>())
}

/// Bundles 2, 3 and so on of these plans, each signed by the root.
pub(crate) fn chain(plans: &[Plan]) -> Vec<Vec<u8>> {
    let mut newest = trust(u64::MAX);
    let follow = |plan: &Plan| {
        let envelope = bundle_after(&newest, plan, &[1]);
        newest = newest.successor(&envelope).unwrap();
        envelope
    };
    plans.iter().map(follow).collect()
}

fn operators(of: &[u8]) -> Plan {
    Plan { operators: of.to_vec(), ..plan() }
}

fn by(signer: u8, order: &OrderBody) -> Vec<u8> {
    encode(&delivery_of(seal(Domain::Order, &encode(order), &[&key(signer)])))
}

fn later(number: u8) -> OrderBody {
    OrderBody { not_before_ms: START_MS + HOUR_MS, ..order(number) }
}

/// A bundle for all nodes comes, and the disk takes it.
pub(crate) fn for_all(node: &mut Node, envelope: &[u8]) -> Heard {
    let topic = Topic::AllTrust { fleet: trust(u64::MAX).fleet() }.to_string();
    let mut heard = node.handle(Input::Message { topic: &topic, retained: false, payload: envelope });
    for version in std::mem::take(&mut heard.kept) {
        heard.add(node.handle(Input::TrustKept { version }));
    }
    heard
}

fn version_of(node: &mut Node) -> u32 {
    node.connect().trust_version
}

#[test]
fn a_bundle_counts_when_it_is_on_disk_and_nothing_starts_before() {
    let mut node = Node::welcomed();
    let next = chain(&[operators(&[OPERATOR])]).remove(0);
    let topic = Topic::AllTrust { fleet: trust(u64::MAX).fleet() }.to_string();
    let heard = node.handle(Input::Message { topic: &topic, retained: false, payload: &next });
    assert_eq!((heard.kept, heard.refused), (vec![2], vec![]));
    let heard = node.deliver(&order(1));
    assert_eq!((heard.refused, heard.started), (vec![RejectReason::TrustVersion], vec![]), "a newer one is known");
    assert_eq!(node.pass(20_000).kept, [], "not at once again");
    assert_eq!(node.pass(20_000).kept, [2], "the disk may take it by now");
    let heard = node.handle(Input::TrustKept { version: 2 });
    assert!(heard.records.contains(&Record::Trust { version: 2, epoch: 5 }), "{:?}", heard.records);
    assert_eq!(node.deliver(&order(1)).started, [order_id(1)]);
    assert_eq!(node.core.floor().trust_version, 2);
    let heard = for_all(&mut node, &next);
    assert_eq!((heard.refused, heard.kept), (vec![], vec![]), "again is nothing");
}

#[test]
fn only_bundles_that_follow_are_kept() {
    let first = trust(u64::MAX);
    let good = bundle_after(&first, &plan(), &[1]);
    let after = first.successor(&good).unwrap();
    let cases = [
        ("signed by nobody who may", bundle_after(&first, &plan(), &[STRANGER]), RejectReason::Signature),
        ("signed by the old root alone", bundle_after(&first, &Plan { roots: vec![SECOND_ROOT], ..plan() }, &[1]), RejectReason::Signature),
        ("of a lower epoch", bundle_after(&first, &Plan { epoch: 4, ..plan() }, &[1]), RejectReason::Epoch),
        ("no bundle", vec![1; 90], RejectReason::Malformed),
        ("too large", vec![0; 1 << 20], RejectReason::TooLarge),
    ];
    for (what, envelope, reason) in cases {
        let heard = for_all(&mut Node::welcomed(), &envelope);
        assert_eq!((heard.refused, heard.records), (vec![reason], vec![]), "{what}");
    }
    let mut node = Node::welcomed();
    let topic = Topic::AllTrust { fleet: first.fleet() }.to_string();
    assert_eq!(node.handle(Input::Message { topic: &topic, retained: true, payload: &good }).refused, [RejectReason::Retained]);
    let both = bundle_after(&first, &Plan { roots: vec![SECOND_ROOT], ..plan() }, &[1, SECOND_ROOT]);
    assert_eq!(for_all(&mut node, &both).refused, [], "signed by the roots of both it follows");
    // One that leaps ahead makes it ask.
    let mut node = Node::welcomed();
    let heard = for_all(&mut node, &bundle_after(&after, &plan(), &[1]));
    assert_eq!((heard.refused, heard.hello.map(|hello| hello.trust_version)), (vec![], Some(1)));
}

#[test]
fn what_a_revoked_key_has_signed_and_waits_never_starts() {
    let [both, revoked] = <[Vec<u8>; 2]>::try_from(chain(&[operators(&[OPERATOR, SECOND]), operators(&[SECOND])])).unwrap();
    let mut node = Node::welcomed();
    assert_eq!(for_all(&mut node, &both).refused, []);
    assert_eq!(node.say(DownKind::Order, &by(OPERATOR, &later(1))).accepted(), [order_id(1)]);
    assert_eq!(node.say(DownKind::Order, &by(SECOND, &later(2))).accepted(), [order_id(2)]);
    let heard = for_all(&mut node, &revoked);
    assert_eq!(heard.answers(), [(order_id(1), RejectReason::Signature)], "it is said at once, and not when its time comes");
    assert_eq!(node.pass(2 * HOUR_MS).started, [order_id(2)]);
    assert_eq!(node.say(DownKind::Order, &by(OPERATOR, &later(1))).started, []);
}

#[test]
fn a_cut_between_the_bundle_and_its_consequences_starts_nothing() {
    let envelopes = chain(&[operators(&[SECOND])]);
    let mut node = Node::welcomed();
    let mut records = node.core.snapshot();
    records.extend(node.say(DownKind::Order, &by(OPERATOR, &later(1))).records);
    // The bundle is on disk, and neither that nor the refusal is in the journal.
    let newest = trust(u64::MAX).successor(&envelopes[0]).unwrap();
    let mut node = node.restarted_with(newest.into(), &records, &Floor::default()).online();
    let heard = node.pass(2 * HOUR_MS);
    assert_eq!((heard.answers(), heard.started), (vec![(order_id(1), RejectReason::Signature)], vec![]));
}

#[test]
fn an_order_whose_signatures_were_not_kept_never_starts() {
    let node = Node::welcomed();
    let mut records = node.core.snapshot();
    records.push(Record::Accepted { body: encode(&later(1)), report: None });
    let mut node = node.restarted(&records, &Floor::default(), None).online();
    let heard = node.pass(2 * HOUR_MS);
    assert_eq!((heard.answers(), heard.started), (vec![(order_id(1), RejectReason::Signature)], vec![]));
}

#[test]
fn an_expired_bundle_starts_nothing_and_still_leads_on() {
    let at = START_MS + HOUR_MS / 2;
    let plans = [Plan { expires_ms: at, ..plan() }, plan()];
    let envelopes = chain(&plans);
    let mut node = Node::welcomed();
    assert_eq!(for_all(&mut node, &envelopes[0]).refused, []);
    assert_eq!(node.deliver(&later(1)).accepted(), [order_id(1)]);
    assert_eq!(node.deliver(&later(2)).accepted(), [order_id(2)]);
    assert_eq!(node.pass(HOUR_MS).started, [], "the bundle is over");
    assert_eq!(node.deliver(&order(3)).refused, [RejectReason::TrustExpired]);
    let cancel =
        CancelBody { fleet: trust(u64::MAX).fleet(), node: super::kit::node(), order: order_id(1), not_after_ms: START_MS + 3 * HOUR_MS };
    let heard = node.say(DownKind::Cancel, &seal(Domain::Cancel, &encode(&cancel), &[&key(BRIDGE)]));
    assert_eq!(heard.outcomes(), [(order_id(1), Outcome::Cancelled)], "cancels work");
    assert_eq!(for_all(&mut node, &envelopes[1]).started, [order_id(2)], "bundles work");
}

#[test]
fn an_agent_that_is_too_old_takes_and_starts_nothing() {
    let envelopes = chain(&[Plan { agent: [0, 2, 0], ..plan() }, plan()]);
    let mut node = Node::welcomed();
    assert_eq!(node.deliver(&later(1)).accepted(), [order_id(1)]);
    assert_eq!(for_all(&mut node, &envelopes[0]).answers(), [], "it waits for another agent");
    assert_eq!(node.pass(HOUR_MS).started, []);
    assert_eq!(node.deliver(&order(2)).refused, [RejectReason::AgentVersion]);
    assert_eq!(for_all(&mut node, &envelopes[1]).started, [order_id(1)]);
}

fn welcome(nonce: [u8; 32], time_ms: u64, bundles: &[Vec<u8>], signer: u8) -> Vec<u8> {
    let welcome = WelcomeBody {
        node: node(),
        nonce,
        time_ms,
        bundles: bundles.iter().cloned().map(ByteVec).collect(),
        resend_minimum_ms: 5_000,
        resend_maximum_ms: 10_000,
        // A hello that only says a new version does not come between.
        reconnect_spread_s: 60,
        chains: Vec::new(),
        offers: Vec::new(),
    };
    seal(Domain::Welcome, &encode(&welcome), &[&key(signer)])
}

/// A message comes, and the disk takes every bundle that it brings.
fn say(node: &mut Node, kind: DownKind, payload: &[u8]) -> Heard {
    let mut heard = node.say(kind, payload);
    for version in std::mem::take(&mut heard.kept) {
        heard.add(node.handle(Input::TrustKept { version }));
    }
    heard
}

#[test]
fn a_welcome_is_believed_by_the_trust_that_it_brings() {
    let moved = chain(&[Plan { clock: NEXT_CLOCK, ..operators(&[SECOND]) }]);
    let mut node = Node::new();
    let hello = node.connect();
    assert_eq!(node.say(DownKind::Order, &by(OPERATOR, &order(1))).refused, [], "it waits for the time");
    let heard = say(&mut node, DownKind::Welcome, &welcome(hello.nonce, START_MS, &moved, CLOCK));
    assert_eq!((heard.refused, heard.started), (vec![RejectReason::Signature], vec![]), "the key that signed the time is revoked with it");
    let next = heard.hello.expect("it asks again");
    assert_eq!((next.trust_version, next.nonce == hello.nonce), (2, false));
    let heard = say(&mut node, DownKind::Welcome, &welcome(next.nonce, START_MS, &[], NEXT_CLOCK));
    assert_eq!((heard.started, heard.refused), (vec![], vec![RejectReason::Signature]), "the order is judged by the new trust");
    assert_eq!(node.say(DownKind::Order, &by(SECOND, &order(2))).started, [order_id(2)]);
}

#[test]
fn a_node_that_is_far_behind_asks_until_it_has_everything() {
    let envelopes = chain(&vec![plan(); 20]);
    let mut node = Node::new();
    let mut hello = node.connect();
    let mut rounds = 0;
    loop {
        rounds += 1;
        let after = usize::try_from(hello.trust_version - 1).unwrap();
        let bundles: Vec<Vec<u8>> = envelopes.iter().skip(after).take(8).cloned().collect();
        match say(&mut node, DownKind::Welcome, &welcome(hello.nonce, START_MS, &bundles, CLOCK)).hello {
            Some(next) => hello = next,
            None => break,
        }
    }
    assert_eq!((rounds, version_of(&mut node)), (3, 21));
}

#[test]
fn a_new_version_is_said_within_the_time_that_the_welcome_has_asked_for() {
    let envelopes = chain(&[plan(), plan()]);
    let mut node = Node::new();
    let hello = node.connect();
    assert_eq!(say(&mut node, DownKind::Welcome, &welcome(hello.nonce, START_MS, &[], CLOCK)).refused, []);
    assert!(for_all(&mut node, &envelopes[0]).hello.is_none(), "not all nodes at once");
    let hello = node.pass(60_000).hello.expect("its hello");
    assert_eq!(hello.trust_version, 2);
    assert_eq!(node.welcome(hello.nonce, START_MS + 60_000).refused, [], "which spreads nothing");
    assert_eq!(for_all(&mut node, &envelopes[1]).hello.map(|hello| hello.trust_version), Some(3), "so few say it at once");
}

#[test]
fn a_version_that_came_between_a_hello_and_its_welcome_is_said() {
    let envelopes = chain(&[plan()]);
    let mut node = Node::new();
    let hello = node.connect();
    assert!(for_all(&mut node, &envelopes[0]).hello.is_none());
    // The bridge has answered what the hello has said: version 1.
    let heard = node.welcome(hello.nonce, START_MS);
    assert_eq!((heard.refused, heard.hello.map(|hello| hello.trust_version)), (vec![], Some(2)));
}

#[test]
fn a_new_clock_reaches_a_node_that_cannot_verify_its_welcomes() {
    let moved = chain(&[Plan { clock: NEXT_CLOCK, ..plan() }]);
    let mut node = Node::new();
    let hello = node.connect();
    let answer = welcome(hello.nonce, START_MS, &moved, NEXT_CLOCK);
    assert_eq!(say(&mut node, DownKind::Welcome, &answer).refused, [RejectReason::Signature]);
    assert_eq!(say(&mut node, DownKind::Trust, &moved[0]).refused, []);
    assert_eq!(say(&mut node, DownKind::Welcome, &answer).refused, [], "the bundle came before it");
    assert_eq!(node.deliver(&order(1)).started, [order_id(1)]);
}

#[test]
fn a_new_epoch_recovers_a_floor_that_was_pushed_too_far() {
    let years_ms = 20 * 365 * 24 * HOUR_MS;
    let far = Floor { time_ms: START_MS + years_ms, trust_version: 1, epoch: 5, barrier_ms: START_MS + years_ms, sequence: 9 };
    let lost = Node::welcomed();
    let mut node = lost.restarted(&lost.core.snapshot(), &far, None).online();
    assert_eq!(node.deliver(&order(1)).refused, [RejectReason::Expired], "nothing can be ordered");
    let raised = chain(&[Plan { epoch: 6, ..plan() }]);
    let heard = for_all(&mut node, &raised[0]);
    assert_eq!((heard.refused.clone(), node.core.floor_ms()), (vec![], 0));
    let hello = heard.hello.expect("it has no time any more, and asks for it");
    assert_eq!(node.welcome(hello.nonce, START_MS).refused, []);
    let of_before = node.deliver(&order(1));
    assert_eq!(
        (of_before.answers(), of_before.started),
        (vec![(order_id(1), RejectReason::Epoch)], vec![]),
        "nothing of before comes back"
    );
    assert_eq!(node.deliver(&OrderBody { epoch: 6, ..order(2) }).started, [order_id(2)]);
    // The copy of the floor beside the journal may be of before.
    let newest = trust(u64::MAX).successor(&raised[0]).unwrap();
    let again = node.restarted_with(newest.into(), &node.core.snapshot(), &far);
    assert!(again.core.floor_ms() < START_MS + HOUR_MS, "{}", again.core.floor_ms());
    assert_eq!(again.core.floor().trust_version, 2);
}

#[test]
fn in_quarantine_nothing_runs_and_only_a_chain_from_the_root_leads_out() {
    let envelopes = chain(&[operators(&[SECOND]), operators(&[SECOND])]);
    let first = trust(u64::MAX);
    let root = first.hash();
    // Everything is damaged, or all but bundle 1; version 3 was known, by files or by the journal.
    for (newest, least, known) in [(None, 3, 0), (Some(first.clone()), 3, 1), (Some(first.clone()), 1, 1)] {
        let floor = Floor { time_ms: START_MS - HOUR_MS, trust_version: 3, epoch: 5, ..Floor::default() };
        let mut node = Node::welcomed();
        let records = [node.core.snapshot(), node.say(DownKind::Order, &by(OPERATOR, &later(9))).records].concat();
        let mut node = node.restarted_with(HeldTrust::new(root, newest, least), &records, &floor);
        let hello = node.connect();
        assert_eq!((hello.trust_version, &hello.refused[..]), (known, &[(RejectReason::TrustVersion, 1)][..]), "its hello says so");
        let answer = welcome(hello.nonce, START_MS, &[], CLOCK);
        assert_eq!(node.say(DownKind::Welcome, &answer).refused, [RejectReason::TrustVersion], "the time of a revoked clock is none");
        for signer in [OPERATOR, SECOND] {
            let heard = node.say(DownKind::Order, &by(signer, &order(1)));
            assert_eq!((heard.refused, heard.started, heard.records), (vec![RejectReason::TrustVersion], vec![], vec![]));
        }
        let cancel =
            CancelBody { fleet: first.fleet(), node: super::kit::node(), order: order_id(9), not_after_ms: START_MS + 3 * HOUR_MS };
        let heard = node.say(DownKind::Cancel, &seal(Domain::Cancel, &encode(&cancel), &[&key(OPERATOR)]));
        assert_eq!(heard.refused, [RejectReason::TrustVersion], "a revoked key cancels nothing");
        assert_eq!(node.pass(2 * HOUR_MS).started, []);
        // A bundle of somebody else leads nowhere, and version 2 not far enough.
        let bundle_one = first_envelope();
        let foreign = bundle_after(&first, &plan(), &[STRANGER]);
        for (envelope, version) in [(&foreign, known), (&bundle_one, 1), (&envelopes[0], 2)] {
            drop(say(&mut node, DownKind::Trust, envelope));
            assert_eq!(version_of(&mut node), version.max(known));
            assert_eq!(node.say(DownKind::Order, &by(SECOND, &order(1))).started, []);
        }
        drop(say(&mut node, DownKind::Trust, &envelopes[1]));
        let mut node = node.online();
        assert_eq!(version_of(&mut node), 3);
        let heard = node.say(DownKind::Order, &by(SECOND, &order(2)));
        assert_eq!(heard.started, [order_id(2)], "it needed no visit: {:?}", heard.refused);
        assert_eq!(node.core.floor().trust_version, 3);
    }
}

fn first_envelope() -> Vec<u8> {
    seal(Domain::Trust, &encode(trust(u64::MAX).bundle()), &[&key(1)])
}

#[test]
fn an_old_welcome_takes_no_orders() {
    let mut node = Node::welcomed();
    let day_ms = 24 * HOUR_MS;
    let in_two_days = OrderBody { not_before_ms: START_MS + 2 * day_ms, not_after_ms: START_MS + 5 * day_ms, ..order(1) };
    assert_eq!(node.deliver(&in_two_days).accepted(), [order_id(1)]);
    let hello = node.pass(day_ms + 60_000).hello.expect("it asks, and nobody answers");
    let long = OrderBody { not_after_ms: START_MS + 5 * day_ms, ..order(2) };
    let heard = node.deliver(&long);
    assert_eq!((heard.accepted(), heard.started, heard.refused), (vec![], vec![], vec![]), "it waits for a welcome");
    let heard = node.pass(day_ms);
    assert_eq!(heard.started, [order_id(1)], "what was taken starts");
    let hello = heard.hello.unwrap_or(hello);
    let heard = node.welcome(hello.nonce, START_MS + 2 * day_ms + 60_000);
    assert_eq!((heard.refused, heard.started), (vec![], vec![order_id(2)]));
}
