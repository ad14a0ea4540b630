//! Each check on its own: one message that is wrong in one thing, and what the node makes of it.

#[cfg(test)]
mod authority;
#[cfg(test)]
mod kit;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod trust;
#[cfg(test)]
mod trust_histories;

use flotilla_agent_core::{Floor, Input, Record};
use flotilla_protocol::capability::OrderPayload;
use flotilla_protocol::delivery::Delivery;
use flotilla_protocol::envelope::{Domain, seal};
use flotilla_protocol::id::{FleetId, NodeId, OrderId};
use flotilla_protocol::order::{CancelBody, OrderBody, Targets};
use flotilla_protocol::report::LossCause;
use flotilla_protocol::status::{Outcome, RejectReason};
use flotilla_protocol::target::TargetTree;
use flotilla_protocol::topic::{DownKind, Topic};
use flotilla_protocol::wire::encode;
use kit::{BRIDGE, CLOCK, HOUR_MS, Heard, Node, OPERATOR, PATCHER, START_MS, STRANGER};
use kit::{delivery, delivery_of, in_lane, key, leaf, node, order, order_id, trust};

/// What is done with a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// It is counted and nothing else: whoever sent the message may be anybody, or sends it again.
    Nothing,
    /// It is answered, once and for ever.
    Answer,
}

fn signed_by(signer: u8, order: &OrderBody) -> Vec<u8> {
    encode(&delivery_of(seal(Domain::Order, &encode(order), &[&key(signer)])))
}

/// An order does not begin after its end.
fn end_at(order: &mut OrderBody, not_after_ms: u64) {
    (order.not_before_ms, order.not_after_ms) = (not_after_ms - HOUR_MS, not_after_ms);
}

fn refused_with(heard: &Heard, reason: RejectReason, then: Then, what: &str) {
    assert_eq!(heard.refused, [reason], "{what}");
    assert_eq!((&heard.started[..], &heard.accepted()[..]), (&[][..], &[][..]), "{what}");
    let answers = if then == Then::Answer { vec![(order_id(1), reason)] } else { Vec::new() };
    assert_eq!(heard.answers(), answers, "{what}");
    assert_eq!(heard.records.len(), answers.len(), "{what}: {:?}", heard.records);
}

#[test]
fn each_check_refuses_alone() {
    use RejectReason::{Domain as OtherDomain, Epoch, Expired, Fleet, Malformed, Signature, Target, TooLarge, TrustVersion, Unsupported};
    let good = order(1);
    let heard = Node::welcomed().deliver(&good);
    assert_eq!((heard.refused, heard.started), (vec![], vec![order_id(1)]), "without a fault it is taken");

    let sealed = seal(Domain::Order, &encode(&good), &[&key(OPERATOR)]);
    let tree = TargetTree::new(vec![leaf(b""), leaf(b"of another node")]);
    let of_two = OrderBody { targets: Targets { count: 2, root: tree.root() }, ..good.clone() };
    let of_two = delivery_of(seal(Domain::Order, &encode(&of_two), &[&key(OPERATOR)]));
    let wrong_place = Delivery { index: 1, proof: tree.proof(0).unwrap(), ..of_two.clone() };
    let right_place = Delivery { index: 0, proof: tree.proof(0).unwrap(), ..of_two.clone() };
    assert_eq!(Node::welcomed().say(DownKind::Order, &encode(&right_place)).refused, []);
    let changed = |change: fn(&mut OrderBody)| {
        let mut order = good.clone();
        change(&mut order);
        delivery(&order)
    };
    let cases: [(&str, Vec<u8>, RejectReason, Then); 18] = [
        ("no delivery", vec![0xff; 40], Malformed, Then::Nothing),
        ("more than a message", vec![0; 1 << 20], TooLarge, Then::Nothing),
        ("bytes after it", [delivery(&good), vec![0]].concat(), Malformed, Then::Nothing),
        ("signed as a cancel", encode(&delivery_of(seal(Domain::Cancel, &encode(&good), &[&key(OPERATOR)]))), OtherDomain, Then::Nothing),
        ("signed by a stranger", signed_by(STRANGER, &good), Signature, Then::Nothing),
        ("signed by the bridge", signed_by(BRIDGE, &good), Signature, Then::Nothing),
        ("signed by an operator of another class", signed_by(PATCHER, &good), Signature, Then::Nothing),
        ("another fleet", changed(|order| order.fleet = FleetId([9; 8])), Fleet, Then::Nothing),
        ("another node", changed(|order| order.targets.root = leaf(b"x")), Target, Then::Nothing),
        ("another place in the tree", encode(&wrong_place), Target, Then::Nothing),
        ("no proof", encode(&of_two), Target, Then::Nothing),
        ("data of another node", encode(&Delivery { node_data: b"x".to_vec(), ..delivery_of(sealed) }), Target, Then::Nothing),
        ("behind the floor", changed(|order| end_at(order, START_MS)), Expired, Then::Nothing),
        ("behind the time", changed(|order| end_at(order, START_MS + HOUR_MS / 2)), Expired, Then::Answer),
        ("a trust to come", changed(|order| order.minimum_trust_version = 2), TrustVersion, Then::Nothing),
        ("an older epoch", changed(|order| order.epoch = 4), Epoch, Then::Answer),
        ("a later epoch", changed(|order| order.epoch = 6), Epoch, Then::Answer),
        ("a kind of later builds", changed(|order| order.payload = OrderPayload::Unsupported(999).encode()), Unsupported, Then::Answer),
    ];
    for (what, message, reason, then) in cases {
        let mut node = Node::welcomed();
        node.pass(HOUR_MS / 2);
        refused_with(&node.say(DownKind::Order, &message), reason, then, what);
    }

    let topic = Topic::Down { fleet: good.fleet, node: node(), kind: DownKind::Order }.to_string();
    let heard = Node::welcomed().handle(Input::Message { topic: &topic, retained: true, payload: &delivery(&good) });
    refused_with(&heard, RejectReason::Retained, Then::Nothing, "kept by the broker");
    let topic = Topic::Down { fleet: good.fleet, node: NodeId::of_key(&[1; 32]), kind: DownKind::Order }.to_string();
    let heard = Node::welcomed().handle(Input::Message { topic: &topic, retained: false, payload: &delivery(&good) });
    refused_with(&heard, Target, Then::Nothing, "on the topic of another node");
}

#[test]
fn an_order_runs_once_however_often_it_comes() {
    let mut node = Node::welcomed();
    assert_eq!(node.deliver(&order(1)).started, [order_id(1)]);
    let heard = node.deliver(&order(1));
    assert_eq!((heard.refused, heard.started, heard.records), (vec![RejectReason::Replay], vec![], vec![]));
    assert_eq!(node.end(order_id(1)).outcomes(), [(order_id(1), Outcome::Succeeded)]);
    let heard = node.deliver(&order(1));
    assert_eq!(heard.outcomes(), [(order_id(1), Outcome::Succeeded)], "what came of it is said again");
    assert_eq!((heard.refused.len(), heard.started), (1, vec![]));
}

#[test]
fn an_id_is_kept_until_the_floor_refuses_it() {
    let mut node = Node::welcomed();
    node.deliver(&order(1));
    let reports = node.end(order_id(1)).reports;
    let (last, head) = reports.last().unwrap();
    let heard = node.receipt(last.sequence, *head);
    assert!(heard.records.iter().any(|record| matches!(record, Record::Forgotten { .. })), "the bridge has everything: {heard:?}");
    // The floor moves while the order is valid, and the id stays.
    for _ in 0..2 {
        let heard = node.pass(HOUR_MS);
        assert!(heard.records.iter().any(|record| matches!(record, Record::Floor { .. })));
        let heard = node.deliver(&order(1));
        // Its end is said again, and an id stays for as long as the bridge has not taken that.
        let (last, head) = heard.reports.last().unwrap();
        let _heard = node.receipt(last.sequence, *head);
        assert_eq!((heard.refused, heard.started), (vec![RejectReason::Replay], vec![]));
    }
    // To the millisecond: what the floor forgets it refuses.
    let not_after_ms = order(1).not_after_ms;
    let restarted = |floor_ms: u64| {
        let mut records = node.core.snapshot();
        records.push(Record::Floor { floor_ms });
        node.restarted(&records, &Floor::default(), None).online()
    };
    for (floor_ms, reason) in [(not_after_ms - 1, RejectReason::Replay), (not_after_ms, RejectReason::Expired)] {
        let mut node = restarted(floor_ms);
        assert_eq!(node.core.floor_ms(), floor_ms);
        let heard = node.deliver(&order(1));
        assert_eq!((heard.answers(), heard.refused, heard.started), (vec![], vec![reason], vec![]), "{floor_ms}");
    }
}

#[test]
fn a_lower_floor_lowers_nothing() {
    let node = Node::new();
    let first_ms = node.core.floor_ms();
    for (floor_ms, expected) in [(first_ms + 5, first_ms + 5), (first_ms - 5, first_ms)] {
        let records = [Record::Floor { floor_ms }];
        assert_eq!(node.restarted(&records, &Floor::default(), None).core.floor_ms(), expected);
        let floor = Floor { time_ms: floor_ms, ..Floor::default() };
        assert_eq!(node.restarted(&[], &floor, None).core.floor_ms(), expected);
    }
    // A clock that went back does not, either.
    let mut node = Node::welcomed();
    let before_ms = node.core.floor_ms();
    let hello = node.connect();
    node.welcome(hello.nonce, START_MS - 48 * HOUR_MS);
    node.pass(HOUR_MS);
    assert!(node.core.floor_ms() >= before_ms && before_ms >= START_MS);
}

#[test]
fn without_a_welcome_to_its_own_hello_nothing_is_taken() {
    let unasked = vec![RejectReason::Unasked];
    let mut node = Node::new();
    let hello = node.connect();
    let heard = node.deliver(&order(1));
    assert_eq!((heard.refused, heard.started, heard.records), (vec![], vec![], vec![]), "it waits");
    assert_eq!(node.welcome([0xee; 32], START_MS).refused, unasked, "an answer to another hello");
    assert_eq!(node.welcome_by(BRIDGE, hello.nonce, START_MS).refused, [RejectReason::Signature], "the bridge's key says no time");
    node.now += 60_001;
    assert_eq!(node.welcome(hello.nonce, START_MS).refused, unasked, "too late: it may have been held back");
    assert!(node.pass(0).started.is_empty());
    let hello = node.connect();
    assert_eq!(node.welcome(hello.nonce, START_MS).started, [order_id(1)], "and now what waited starts");
    assert_eq!(node.welcome(hello.nonce, START_MS + HOUR_MS).refused, unasked, "once is enough");
}

#[test]
fn a_trust_that_was_left_behind_judges_nothing() {
    let records = [Record::Trust { version: 2, epoch: 5 }];
    let floor = Floor { trust_version: 2, epoch: 5, ..Floor::default() };
    for mut node in [Node::new().restarted(&records, &Floor::default(), None), Node::new().restarted(&[], &floor, None)] {
        let hello = node.connect();
        node.welcome(hello.nonce, START_MS);
        refused_with(&node.deliver(&order(1)), RejectReason::TrustVersion, Then::Nothing, "the node has gone by version 2");
    }
}

#[test]
fn an_expired_trust_takes_nothing_and_starts_nothing() {
    let mut node = Node::trusting(trust(START_MS + HOUR_MS)).online();
    let fleet = trust(START_MS + HOUR_MS).fleet();
    let later = OrderBody { fleet, not_before_ms: START_MS + HOUR_MS, ..order(1) };
    assert_eq!(node.deliver(&later).accepted(), [order_id(1)]);
    let heard = node.pass(HOUR_MS);
    assert_eq!((heard.outcomes(), heard.started), (vec![], vec![]), "its time has come, and the trust is over");
    refused_with(&node.deliver(&OrderBody { fleet, ..order(2) }), RejectReason::TrustExpired, Then::Nothing, "after the trust");
}

#[test]
fn a_lane_runs_one_at_a_time_and_never_backwards() {
    let mut node = Node::welcomed();
    assert_eq!(node.deliver(&in_lane(1, 10)).started, [order_id(1)]);
    // Both wait for the first, and come in the wrong order.
    assert_eq!(node.deliver(&in_lane(3, 30)).started, []);
    assert_eq!(node.deliver(&in_lane(2, 20)).started, []);
    assert_eq!(node.deliver(&order(9)).started, [order_id(9)], "other orders do not wait for a lane");
    assert_eq!(node.end(order_id(1)).started, [order_id(2)]);
    assert_eq!(node.end(order_id(2)).started, [order_id(3)]);
    assert_eq!(node.deliver(&in_lane(4, 25)).answers(), [(order_id(4), RejectReason::OutOfOrder)]);
    let mut node = node.restarted(&node.core.snapshot(), &Floor::default(), None).online();
    assert_eq!(node.deliver(&in_lane(5, 29)).answers().last(), Some(&(order_id(5), RejectReason::OutOfOrder)), "after a restart, too");
}

#[test]
fn an_order_is_taken_when_there_is_room_for_what_it_will_leave() {
    let mut node = Node::welcomed();
    // Its body alone has room: not the report that it was taken, nor those that it began and ended.
    node.room_left(u64::try_from(encode(&order(1)).len()).unwrap());
    refused_with(&node.deliver(&order(1)), RejectReason::Storage, Then::Nothing, "no room");
    node.room_left(4096);
    let heard = node.deliver(&order(1));
    assert_eq!((heard.accepted(), heard.started), (vec![order_id(1)], vec![]), "its result may need more");
    assert_eq!(node.room_left(1 << 20).started, [order_id(1)]);
}

fn cancel(number: u8) -> CancelBody {
    CancelBody { fleet: order(number).fleet, node: node(), order: order_id(number), not_after_ms: order(number).not_after_ms }
}

fn say_cancel(node: &mut Node, cancel: &CancelBody, signer: u8) -> Heard {
    node.say(DownKind::Cancel, &seal(Domain::Cancel, &encode(cancel), &[&key(signer)]))
}

#[test]
fn a_cancel_that_comes_before_its_order_stops_it() {
    for is_restarted in [false, true] {
        let mut node = Node::welcomed();
        let heard = say_cancel(&mut node, &cancel(1), BRIDGE);
        assert_eq!(heard.outcomes(), [(order_id(1), Outcome::Cancelled)]);
        if is_restarted {
            node = node.restarted(&node.core.snapshot(), &Floor::default(), None).online();
        }
        let heard = node.deliver(&order(1));
        assert_eq!((heard.answers(), heard.refused, heard.started), (vec![], vec![RejectReason::Replay], vec![]));
    }
}

/// The bridge's key alone signs cancels: it must not be able to shut the node for good.
#[test]
fn cancels_of_orders_that_never_come_leave_room_for_orders() {
    let mut node = Node::welcomed();
    let unknown = |number: u16, not_after_ms| {
        let mut id = [0xee; 16];
        id[..2].copy_from_slice(&number.to_be_bytes());
        CancelBody { order: OrderId(id), not_after_ms, ..cancel(1) }
    };
    let far = START_MS + 60 * 24 * HOUR_MS;
    assert_eq!(say_cancel(&mut node, &unknown(0, u64::MAX), BRIDGE).refused, [RejectReason::Malformed]);
    assert_eq!(say_cancel(&mut node, &unknown(0, far + HOUR_MS), BRIDGE).refused, [RejectReason::Malformed]);
    let mut taken = 0;
    for number in 0..1100 {
        let heard = say_cancel(&mut node, &unknown(number, far), BRIDGE);
        taken += heard.outcomes().len();
        // The results are delivered, and need no room any more.
        if let Some((report, hash)) = heard.reports.last() {
            node.receipt(report.sequence, *hash);
        }
    }
    assert_eq!(taken, 1024);
    assert_eq!(say_cancel(&mut node, &unknown(1100, far), BRIDGE).refused, [RejectReason::Busy]);
    assert_eq!(node.deliver(&order(1)).started, [order_id(1)], "orders are taken all the same");
    assert_eq!(say_cancel(&mut node, &cancel(1), BRIDGE).cancelled, [order_id(1)], "and cancelled");
}

#[test]
fn a_cancel_counts_for_its_node_and_from_whom_may_say_it() {
    let mut node = Node::welcomed();
    node.deliver(&order(1));
    let other_node = CancelBody { node: NodeId::of_key(&[1; 32]), ..cancel(1) };
    let other_fleet = CancelBody { fleet: FleetId([9; 8]), ..cancel(1) };
    for (cancel, signer, reason) in [
        (cancel(1), STRANGER, RejectReason::Signature),
        (cancel(1), CLOCK, RejectReason::Signature),
        (cancel(1), PATCHER, RejectReason::Signature),
        (other_node, BRIDGE, RejectReason::Target),
        (other_fleet, BRIDGE, RejectReason::Fleet),
    ] {
        let heard = say_cancel(&mut node, &cancel, signer);
        assert_eq!((heard.refused, heard.cancelled, heard.records), (vec![reason], vec![], vec![]), "{cancel:?} by {signer}");
    }
    for signer in [BRIDGE, OPERATOR] {
        assert_eq!(say_cancel(&mut node, &cancel(1), signer).cancelled, [order_id(1)]);
    }
}

#[test]
fn while_nothing_can_be_recorded_nothing_is_taken_started_or_ended() {
    let mut node = Node::welcomed();
    // Two run, and the third waits.
    (1..=3).for_each(|number| drop(node.deliver(&order(number))));
    node.storage(false);
    refused_with(&node.deliver(&order(4)), RejectReason::Storage, Then::Nothing, "a new order");
    let heard = node.end(order_id(1));
    assert_eq!((heard.started, heard.records, heard.reports.len()), (vec![], vec![], 0), "there is a free place and no record");
    assert_eq!(say_cancel(&mut node, &cancel(3), BRIDGE).refused, [RejectReason::Storage]);
    let heard = node.pass(4 * HOUR_MS);
    assert_eq!((heard.started, heard.records), (vec![], vec![]), "what expires meanwhile is not said to have");
    let mut node = Node::welcomed();
    (1..=3).for_each(|number| drop(node.deliver(&order(number))));
    node.storage(false);
    node.end(order_id(1));
    let heard = node.storage(true);
    assert_eq!((heard.outcomes(), heard.started), (vec![(order_id(1), Outcome::Succeeded)], vec![order_id(3)]));
}

#[test]
fn the_barrier_outlives_a_snapshot_and_a_second_loss() {
    let mut node = Node::new().restarted(&[], &Floor::default(), Some(LossCause::Damaged));
    let hello = node.connect();
    node.deliver(&order(1));
    let heard = node.welcome(hello.nonce, START_MS);
    assert_eq!((heard.answers(), heard.started), (vec![(order_id(1), RejectReason::MemoryLost)], vec![]), "it may have run before");
    let (snapshot, floor) = (node.core.snapshot(), node.core.floor());
    assert!(floor.barrier_ms > START_MS);
    // Either of the two is enough: the floor lies beside the journal for when the journal is lost once more.
    for (what, mut node) in [
        ("the snapshot alone", node.restarted(&snapshot, &Floor::default(), None).online()),
        ("the floor alone", node.restarted(&[], &floor, None).online()),
    ] {
        assert_eq!(node.deliver(&order(2)).answers(), [(order_id(2), RejectReason::MemoryLost)], "{what}");
        let later = OrderBody { not_before_ms: floor.barrier_ms + 1, ..order(3) };
        assert_eq!(node.deliver(&later).accepted(), [order_id(3)], "{what}");
    }
}

#[test]
fn a_report_is_kept_and_sent_again_until_its_own_receipt() {
    let mut node = Node::welcomed();
    let sent = node.deliver(&order(1)).reports;
    assert_eq!(sent.iter().map(|(report, _)| report.sequence).collect::<Vec<_>>(), [1, 2]);
    let held = |node: &Node| node.core.snapshot().iter().filter(|record| matches!(record, Record::Report { .. })).count();
    assert_eq!(held(&node), 2, "sent is not received");
    assert_eq!(node.pass(4_999).reports.len(), 0);
    assert_eq!(node.pass(1).reports, sent, "again after the pause that the welcome said");
    assert_eq!(node.receipt(2, [7; 32]).refused, [RejectReason::Unasked], "of a chain that is not ours");
    assert_eq!(node.receipt(3, sent[1].1).refused, [RejectReason::Unasked], "for what was never sent");
    assert_eq!(held(&node), 2);
    assert_eq!(node.receipt(1, sent[0].1).refused, []);
    assert_eq!(held(&node), 1);
    assert_eq!(node.pass(20_000).reports, sent[1..], "only what has no receipt");
    assert_eq!(node.receipt(1, [7; 32]).refused, [], "an old receipt says nothing");
    node.receipt(2, sent[1].1);
    assert_eq!((held(&node), node.pass(HOUR_MS).reports.len()), (0, 0));
}

#[test]
fn a_journal_whose_reports_do_not_follow_each_other_is_refused() {
    let mut node = Node::welcomed();
    let mut records = node.deliver(&order(1)).records;
    records.extend(node.end(order_id(1)).records);
    assert!(node.reads(&records), "as it was written");
    let mut without_report = records.clone();
    if let Record::Taken { report, .. } = &mut without_report[0] {
        *report = None;
    }
    assert!(!node.reads(&without_report), "a report is missing");
    // The second report of another chain, after the first of this one.
    let second = Node::welcomed().deliver(&order(2)).records.into_iter().find_map(|record| match record {
        Record::Starting { report, .. } => report,
        _ => None,
    });
    let mixed = [records[0].clone(), Record::Report { report: second.unwrap() }];
    assert!(node.reads(&mixed[..1]) && !node.reads(&mixed), "it follows another report");
}
