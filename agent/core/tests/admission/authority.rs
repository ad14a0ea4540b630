//! What several persons must sign, where, when, and what the node's own policy adds: judged when an order comes, and again before it starts.

use crate::kit::{BRIDGE, CLOCK, HOUR_MS, Heard, Node, START_MS, delivery_of, key, leaf, order, order_id};
use flotilla_agent_core::{Floor, Input, Policy, PolicyState};
use flotilla_protocol::envelope::{Domain, seal};
use flotilla_protocol::order::{OrderBody, Targets};
use flotilla_protocol::status::{Outcome, RejectReason};
use flotilla_protocol::topic::{DownKind, Topic};
use flotilla_protocol::trust::{Class, Label, Labels, NodeLabels, OperatorRule, Role, RoleEntry, Trust, TrustBundle, TrustKey, Window};
use flotilla_protocol::wire::encode;

const ANN: u8 = 2;
const BOB: u8 = 5;
const CLEO: u8 = 6;
/// Her key runs out an hour after the start.
const DORA: u8 = 7;

const MINUTE_MS: u64 = 60_000;

fn label(key: &str, value: &str) -> Label {
    Label { key: key.into(), value: value.into() }
}

/// The window that begins so many minutes after the start, and lasts so many.
fn window(after: u64, minutes: u64) -> Window {
    // 1970 began on a Thursday.
    let minute_of_week = |time_ms: u64| (time_ms / MINUTE_MS + 3 * 1440) % (7 * 1440);
    let from = minute_of_week(START_MS + after * MINUTE_MS);
    let to = minute_of_week(START_MS + (after + minutes) * MINUTE_MS) % 1440;
    let minute = |minute: u64| u16::try_from(minute % 1440).unwrap();
    Window { days: 1 << (from / 1440), from_minute: minute(from), to_minute: if to == 0 { 1440 } else { minute(to) } }
}

/// Ann and Bob everywhere; Cleo in Berlin; Dora alone, while her key lasts; Ann alone in the second half hour after the start.
fn trust() -> Trust {
    let end = |seed| (seed == DORA).then_some(START_MS + HOUR_MS);
    let person = |seed| match seed {
        ANN => "Ann",
        BOB => "Bob",
        CLEO => "Cleo",
        DORA => "Dora",
        BRIDGE => "bridge",
        CLOCK => "clock",
        _ => "root",
    };
    let named = |seed: u8| TrustKey { not_after_ms: end(seed), ..TrustKey::new(key(seed).verifying_key().to_bytes().into(), person(seed)) };
    let roles = [(0, Role::Root), (2, Role::Bridge), (3, Role::Freshness)];
    let roles = roles.map(|(index, role)| RoleEntry { role, threshold: 1, keys: vec![index] }).to_vec();
    let rule = |name: &str, keys| OperatorRule { name: name.into(), ..OperatorRule::any_of(Class::Command, keys) };
    let rules = vec![
        OperatorRule { threshold: 2, approvals: 1, ..rule("two", vec![1, 4]) },
        OperatorRule { scope: vec![label("site", "berlin")], ..rule("Berlin", vec![5]) },
        rule("Dora", vec![6]),
        OperatorRule { hours: vec![window(30, 30)], ..rule("later", vec![1]) },
    ];
    let bundle = TrustBundle { epoch: 5, ..TrustBundle::beginning((1..=7).map(named).collect(), roles, rules) };
    let body = encode(&bundle);
    Trust::from_pinned(&flotilla_protocol::sha256(&[&body]), [seal(Domain::Trust, &body, &[&key(1)]).as_slice()]).unwrap()
}

/// A node of this trust that knows the time.
fn welcomed() -> Node {
    Node::trusting(trust()).online()
}

fn body(number: u8) -> OrderBody {
    OrderBody { fleet: trust().fleet(), requester: "Ann".into(), targets: Targets { count: 1, root: leaf(b"") }, ..order(number) }
}

fn sealed(order: &OrderBody, signers: &[u8]) -> Vec<u8> {
    let keys: Vec<_> = signers.iter().map(|seed| key(*seed)).collect();
    encode(&delivery_of(seal(Domain::Order, &encode(order), &keys.iter().collect::<Vec<_>>())))
}

fn send(node: &mut Node, number: u8, signers: &[u8]) -> Heard {
    node.say(DownKind::Order, &sealed(&body(number), signers))
}

fn policy(policy: Policy) -> Input<'static> {
    Input::Policy(PolicyState { policy, ..PolicyState::default() })
}

fn labels(of: &[Label]) -> Policy {
    Policy { labels: Labels::of_policy(of.iter().cloned()), ..Policy::default() }
}

#[test]
fn too_few_signatures_are_refused_without_an_answer_and_enough_are_taken() {
    for (what, signers, reason) in [
        ("nobody", vec![], RejectReason::Signature),
        ("Bob alone", vec![BOB], RejectReason::Signature),
        ("Cleo, who is of Berlin", vec![CLEO], RejectReason::Scope),
        ("Bob and Cleo", vec![BOB, CLEO], RejectReason::Scope),
        ("the bridge", vec![BRIDGE], RejectReason::Signature),
        ("the bridge and Bob", vec![BRIDGE, BOB], RejectReason::Signature),
    ] {
        let mut node = welcomed();
        let heard = send(&mut node, 1, &signers);
        assert_eq!((heard.refused, heard.started, heard.records), (vec![reason], vec![], vec![]), "{what}");
        // What a broker has taken out of an envelope must not make the order refused for ever.
        assert_eq!(send(&mut node, 1, &[ANN, BOB]).started, [order_id(1)], "after {what}");
    }
    assert_eq!(send(&mut welcomed(), 1, &[DORA]).started, [order_id(1)]);
}

#[test]
fn the_requester_of_the_body_is_who_counts_for_nothing() {
    let by_bob = OrderBody { requester: "Bob".into(), ..body(1) };
    assert_eq!(welcomed().say(DownKind::Order, &sealed(&by_bob, &[ANN, BOB])).started, [order_id(1)]);
    assert_eq!(welcomed().say(DownKind::Order, &sealed(&by_bob, &[BOB])).refused, [RejectReason::Signature]);
}

#[test]
fn an_order_waits_for_the_hours_of_its_rule_and_starts_with_them() {
    let mut node = welcomed();
    let heard = send(&mut node, 1, &[ANN]);
    assert_eq!((heard.accepted(), heard.started, heard.refused), (vec![order_id(1)], vec![], vec![]));
    // START_MS is a whole minute: the hours begin with a minute.
    assert_eq!(START_MS % MINUTE_MS, 0);
    let due = 30 * MINUTE_MS;
    let wakeup = node.core.next_wakeup(node.now).unwrap();
    assert!(wakeup <= node.now + due, "it wakes for it");
    assert_eq!(node.pass(due - 2).started, []);
    assert_eq!(node.pass(2).started, [order_id(1)]);
}

#[test]
fn hours_are_kept_after_a_restart_and_once_they_are_over_it_waits_for_the_next() {
    let mut node = welcomed();
    let records = send(&mut node, 1, &[ANN]).records;
    node.now += HOUR_MS;
    let mut again = node.restarted(&records, &Floor::default(), None);
    let hello = again.connect();
    let heard = again.welcome(hello.nonce, START_MS + HOUR_MS);
    assert_eq!(heard.started, [], "the window has closed meanwhile");
    let mut node = node.restarted(&node.core.snapshot(), &Floor::default(), None);
    let hello = node.connect();
    let heard = node.welcome(hello.nonce, START_MS + HOUR_MS - 1);
    assert_eq!(heard.started, [order_id(1)], "within the window, from a snapshot");
}

#[test]
fn an_order_whose_hours_never_come_expires() {
    let mut node = welcomed();
    let mut order = body(1);
    (order.not_before_ms, order.not_after_ms) = (START_MS, START_MS + 20 * MINUTE_MS);
    assert_eq!(node.say(DownKind::Order, &sealed(&order, &[ANN])).accepted(), [order_id(1)]);
    assert_eq!(node.pass(20 * MINUTE_MS).outcomes(), [(order_id(1), Outcome::Expired)]);
}

#[test]
fn a_key_that_runs_out_before_the_start_starts_nothing() {
    let mut node = welcomed();
    let mut order = body(1);
    (order.not_before_ms, order.not_after_ms) = (START_MS + 2 * HOUR_MS, START_MS + 3 * HOUR_MS);
    assert_eq!(node.say(DownKind::Order, &sealed(&order, &[DORA])).accepted(), [order_id(1)]);
    let heard = node.pass(2 * HOUR_MS);
    assert_eq!((heard.answers(), heard.started), (vec![(order_id(1), RejectReason::Signature)], vec![]));
    assert_eq!(send(&mut node, 2, &[DORA]).refused, [RejectReason::Signature], "one that comes later is not taken");
}

#[test]
fn a_scope_is_judged_by_the_labels_of_the_policy_and_of_the_root() {
    let mut node = welcomed();
    assert_eq!(node.handle(policy(labels(&[label("site", "paris")]))).refused, []);
    assert_eq!(send(&mut node, 1, &[CLEO]).refused, [RejectReason::Scope]);
    node.handle(policy(labels(&[label("site", "berlin")])));
    assert_eq!(send(&mut node, 1, &[CLEO]).started, [order_id(1)]);
    // The root says otherwise.
    let mut bundle = trust().bundle().clone();
    bundle.labels = vec![NodeLabels { node: crate::kit::node(), labels: vec![label("site", "paris")] }];
    let body = encode(&bundle);
    let signed = seal(Domain::Trust, &body, &[&key(1)]);
    let trust = Trust::from_pinned(&flotilla_protocol::sha256(&[&body]), [signed.as_slice()]).unwrap();
    let order = OrderBody { fleet: trust.fleet(), ..self::body(1) };
    let mut node = Node::trusting(trust).online();
    node.handle(policy(labels(&[label("site", "berlin")])));
    assert_eq!(node.say(DownKind::Order, &sealed(&order, &[CLEO])).refused, [RejectReason::Scope]);
}

#[test]
fn the_policy_only_tightens() {
    // Without a policy of a class, and with one.
    let only = |class| Policy { classes: Some([class].into()), ..Policy::default() };
    let mut node = welcomed();
    node.handle(policy(only(Class::Command)));
    assert_eq!(send(&mut node, 1, &[BOB]).refused, [RejectReason::Signature], "that it is allowed here gives nobody a right");
    assert_eq!(send(&mut node, 1, &[ANN, BOB]).started, [order_id(1)]);
    node.handle(policy(only(Class::Patch)));
    let heard = send(&mut node, 2, &[ANN, BOB]);
    assert_eq!((heard.answers(), heard.started), (vec![(order_id(2), RejectReason::Policy)], vec![]));

    let minimum = |persons| Policy { minimum_persons: [(Class::Command, persons)].into(), ..Policy::default() };
    let mut node = welcomed();
    node.handle(policy(minimum(3)));
    for signers in [vec![DORA], vec![ANN, BOB], vec![ANN, DORA], vec![ANN, BOB, CLEO]] {
        let heard = send(&mut node, 1, &signers);
        assert_eq!((&heard.refused[..], heard.answers()), (&[RejectReason::Policy][..], vec![]), "{signers:?}");
    }
    assert_eq!(send(&mut node, 1, &[ANN, BOB, DORA]).started, [order_id(1)]);
    // A minimum below the rule's own is none.
    let mut node = welcomed();
    node.handle(policy(minimum(1)));
    assert_eq!(send(&mut node, 1, &[BOB]).refused, [RejectReason::Signature]);
    node.handle(policy(Policy { minimum_persons: [(Class::Patch, 9)].into(), ..Policy::default() }));
    assert_eq!(send(&mut node, 1, &[ANN, BOB]).started, [order_id(1)], "of another class");
}

#[test]
fn while_the_policy_has_a_fault_nothing_is_taken_and_nothing_starts() {
    let mut node = welcomed();
    assert_eq!(send(&mut node, 1, &[ANN]).accepted(), [order_id(1)]);
    let fault = || Input::Policy(PolicyState { fault: Some("nobody can read it".into()), ..PolicyState::default() });
    node.handle(fault());
    let heard = send(&mut node, 2, &[ANN, BOB]);
    assert_eq!((heard.refused, heard.records), (vec![RejectReason::Policy], vec![]));
    assert_eq!(node.pass(31 * MINUTE_MS).started, [], "what waits does not start");
    assert_eq!(node.handle(policy(Policy::default())).started, [order_id(1)]);
    assert_eq!(send(&mut node, 2, &[ANN, BOB]).started, [order_id(2)]);
}

#[test]
fn while_the_node_is_held_still_orders_are_taken_and_wait() {
    let mut node = welcomed();
    let held = || Input::Policy(PolicyState { inhibited_by: Some("a file".into()), ..PolicyState::default() });
    node.handle(held());
    let heard = send(&mut node, 1, &[ANN, BOB]);
    assert_eq!((heard.accepted(), heard.started), (vec![order_id(1)], vec![]));
    assert_eq!(node.pass(HOUR_MS).started, []);
    assert_eq!(node.handle(policy(Policy::default())).started, [order_id(1)]);
    // What runs runs on, and its end is taken.
    node.handle(held());
    assert_eq!(node.end(order_id(1)).outcomes(), [(order_id(1), Outcome::Succeeded)]);
    // What waits expires as ever.
    send(&mut node, 2, &[ANN, BOB]);
    assert!(node.pass(2 * HOUR_MS).outcomes().contains(&(order_id(2), Outcome::Expired)));
}

#[test]
fn what_the_policy_forbids_meanwhile_ends_without_a_start() {
    let mut node = welcomed();
    assert_eq!(send(&mut node, 1, &[ANN]).accepted(), [order_id(1)]);
    node.handle(policy(Policy { classes: Some([Class::Patch].into()), ..Policy::default() }));
    let heard = node.pass(30 * MINUTE_MS);
    assert_eq!((heard.answers(), heard.started), (vec![(order_id(1), RejectReason::Policy)], vec![]));
}

/// Bundle 2: what is changed in bundle 1, signed by the root; it comes for all nodes, and the disk takes it.
fn follow(node: &mut Node, change: impl FnOnce(&mut TrustBundle)) -> Heard {
    let first = trust();
    let mut bundle = first.bundle().clone();
    (bundle.version, bundle.previous) = (2, first.hash());
    change(&mut bundle);
    let envelope = seal(Domain::Trust, &encode(&bundle), &[&key(1)]);
    let topic = Topic::AllTrust { fleet: first.fleet() }.to_string();
    let mut heard = node.handle(Input::Message { topic: &topic, retained: false, payload: &envelope });
    for version in std::mem::take(&mut heard.kept) {
        heard.add(node.handle(Input::TrustKept { version }));
    }
    heard
}

#[test]
fn a_new_bundle_opens_or_takes_away_what_waits_for_hours() {
    // Its rule has no hours any more.
    let mut node = welcomed();
    assert_eq!(send(&mut node, 1, &[ANN]).accepted(), [order_id(1)]);
    assert_eq!(
        follow(&mut node, |next| next.rules[3].hours.clear()).started,
        [order_id(1)],
        "it starts at once, and not with the old hours"
    );
    // Its rule has a key less: it is said at once, and not when the hours come.
    let mut node = welcomed();
    assert_eq!(send(&mut node, 1, &[ANN]).accepted(), [order_id(1)]);
    let heard = follow(&mut node, |next| next.rules[3].keys = vec![4]);
    assert_eq!((heard.answers(), heard.started), (vec![(order_id(1), RejectReason::Signature)], vec![]));
    // It is for other nodes.
    let mut node = welcomed();
    assert_eq!(send(&mut node, 1, &[ANN]).accepted(), [order_id(1)]);
    let heard = follow(&mut node, |next| next.rules[3].scope = vec![label("site", "berlin")]);
    assert_eq!((heard.answers(), heard.started), (vec![(order_id(1), RejectReason::Scope)], vec![]));
    // Its rule is as before: it waits on.
    let mut node = welcomed();
    assert_eq!(send(&mut node, 1, &[ANN]).accepted(), [order_id(1)]);
    let heard = follow(&mut node, |_| ());
    assert_eq!((heard.answers(), heard.started), (vec![], vec![]));
    assert_eq!(node.pass(30 * MINUTE_MS).started, [order_id(1)]);
}

#[test]
fn a_fault_of_the_policy_refuses_nothing_that_waits_for_its_scope() {
    let mut node = welcomed();
    node.handle(policy(labels(&[label("site", "berlin")])));
    let mut order = body(1);
    (order.not_before_ms, order.not_after_ms) = (START_MS + HOUR_MS, START_MS + 3 * HOUR_MS);
    assert_eq!(node.say(DownKind::Order, &sealed(&order, &[CLEO])).accepted(), [order_id(1)]);
    // Nobody knows in Berlin that it is in Berlin, and the trust changes.
    node.handle(Input::Policy(PolicyState { fault: Some("nobody can read it".into()), ..PolicyState::default() }));
    let mut heard = follow(&mut node, |_| ());
    heard.add(node.pass(2 * HOUR_MS));
    assert_eq!((heard.answers(), heard.started), (vec![], vec![]));
    assert_eq!(node.handle(policy(labels(&[label("site", "berlin")]))).started, [order_id(1)]);
}

/// A trust whose only rules for commands are for Berlin: Cleo's word there, or Ann's and Bob's.
fn only_berlin() -> Trust {
    let mut bundle = trust().bundle().clone();
    let berlin = |rule: OperatorRule| OperatorRule { scope: vec![label("site", "berlin")], hours: Vec::new(), ..rule };
    bundle.rules = bundle.rules.into_iter().take(2).map(berlin).collect();
    let body = encode(&bundle);
    Trust::from_pinned(&flotilla_protocol::sha256(&[&body]), [seal(Domain::Trust, &body, &[&key(1)]).as_slice()]).unwrap()
}

#[test]
fn an_order_that_no_rule_allows_here_and_one_allows_elsewhere_is_answered_for_good() {
    let body = |number| OrderBody { fleet: only_berlin().fleet(), ..body(number) };
    let mut node = Node::trusting(only_berlin()).online();
    let heard = node.say(DownKind::Order, &sealed(&body(1), &[CLEO]));
    assert_eq!((heard.refused.clone(), heard.answers()), (vec![RejectReason::Scope], vec![(order_id(1), RejectReason::Scope)]));
    assert_eq!(node.say(DownKind::Order, &sealed(&body(1), &[CLEO, ANN, BOB])).started, [], "its id is taken");
    // Too few for any node: a broker may have taken signatures away.
    let heard = node.say(DownKind::Order, &sealed(&body(2), &[BOB]));
    assert_eq!((heard.refused.clone(), heard.records.len()), (vec![RejectReason::Signature], 0));
    // For another target there is no answer.
    let elsewhere = OrderBody { targets: Targets { count: 1, root: [7; 32] }, ..body(3) };
    let heard = node.say(DownKind::Order, &sealed(&elsewhere, &[CLEO]));
    assert_eq!((heard.refused.clone(), heard.records.len()), (vec![RejectReason::Target], 0));
    // While nobody can say where the node is, nothing is refused for ever.
    let mut node = Node::trusting(only_berlin()).online();
    node.handle(Input::Policy(PolicyState { fault: Some("nobody can read it".into()), ..PolicyState::default() }));
    let heard = node.say(DownKind::Order, &sealed(&body(1), &[CLEO]));
    assert_eq!((heard.refused.clone(), heard.answers()), (vec![RejectReason::Policy], vec![]));
    node.handle(policy(labels(&[label("site", "berlin")])));
    assert_eq!(node.say(DownKind::Order, &sealed(&body(1), &[CLEO])).started, [order_id(1)]);
}

#[test]
fn who_signs_for_other_nodes_cannot_take_the_places_of_orders() {
    let mut node = Node::trusting(only_berlin()).online();
    let id = |number: u16| {
        let [high, low] = number.to_be_bytes();
        flotilla_protocol::id::OrderId([0xee, high, low, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13])
    };
    let (fleet, mut refused) = (only_berlin().fleet(), 0);
    for number in 0..1100 {
        let order = OrderBody { fleet, id: id(number), ..body(1) };
        let heard = node.say(DownKind::Order, &sealed(&order, &[CLEO]));
        refused += heard.records.iter().filter(|record| matches!(record, flotilla_agent_core::Record::Refused { .. })).count();
    }
    assert_eq!(refused, 1024);
}
