//! Time: what whoever holds the freshness key can do, and what not. It can have good orders refused, and it can start nothing that nobody signed;
//! what it has pushed ahead for ever, people recover with a bundle of a new epoch.

use super::people::{key, signed};
use super::stage::{HOUR_MS, LIMIT, Stage};
use flotilla_protocol::envelope::{Domain, Envelope};
use flotilla_protocol::order::OrderBody;
use flotilla_protocol::status::RejectReason;
use flotilla_protocol::topic::DownKind;
use flotilla_protocol::trust::TrustBundle;
use flotilla_protocol::wire::decode;
use flotilla_tests::node::Half;
use flotilla_tests::{clock, wait};
use std::fs::File;
use std::io::Write as _;

const DAY_MS: u64 = 24 * HOUR_MS;
const YEAR_MS: u64 = 365 * DAY_MS;

pub(crate) fn attack(stage: &mut Stage) {
    let freshness = stage.stolen["freshness"].clone();
    let told = |stage: &mut Stage, time_ms: u64| {
        let _counted = stage.hello(0);
        let hello = stage.anew(0);
        stage.welcome(&hello, time_ms, &[], &freshness);
        hello
    };
    let now_ms = clock::unix_ms;
    // Five years ahead, once: good orders are refused while it lasts, and it leaves nothing behind.
    told(stage, now_ms() + 5 * YEAR_MS);
    stage.tried(0, "a time of five years ahead", None);
    let body =
        OrderBody { not_before_ms: now_ms() + 5 * YEAR_MS - HOUR_MS, not_after_ms: now_ms() + 5 * YEAR_MS + HOUR_MS, ..stage.order(0) };
    stage.attack(0, "an order for that time, by one of two", &Stage::delivery(&body, &[&key("ann")]), Some("signature"));
    let body = stage.order(0);
    let bridge = stage.stolen["bridge"].clone();
    stage.attack(0, "an order of the bridge meanwhile", &Stage::delivery(&body, &[&bridge]), Some("signature"));
    refused(stage, RejectReason::Expired);
    let before = told(stage, now_ms());
    assert!(before.floor_ms < now_ms() + HOUR_MS, "one welcome has pushed the floor by years");
    let _id = stage.works_on(0);

    // Until the node is told the right time, and no longer: also where it has not been started anew.
    told(stage, now_ms() + 5 * YEAR_MS);
    stage.tried(0, "the same time once more", None);
    refused(stage, RejectReason::Expired);
    let hello = stage.hello(0);
    stage.welcome(&hello, now_ms(), &[], &freshness);
    let _id = stage.works_on(0);

    // Beyond the end of the broker's certificate: by design the node cannot connect any more, until it is started anew.
    told(stage, now_ms() + 30 * YEAR_MS);
    stage.tried(0, "a time of thirty years ahead", None);
    stage.fleet.nodes[0].kill_half(Half::Link);
    let log = || stage.fleet.nodes[0].log();
    wait::until_true(LIMIT, "the node believes the broker's certificate no more", || log().contains("certificate expired"));
    let hello = stage.anew(0);
    assert!(hello.floor_ms < now_ms() + HOUR_MS, "one welcome has pushed the floor by years");
    stage.welcome(&hello, now_ms(), &[], &freshness);
    let _id = stage.works_on(0);

    // The past: never below what the node knows already.
    told(stage, 1_000_000_000_000);
    stage.tried(0, "a time of the year 2001", None);
    let old = OrderBody { not_before_ms: 1_000_000_000_000, not_after_ms: 1_000_000_000_000 + HOUR_MS, ..stage.order(0) };
    stage.attack(0, "an order of that year", &Stage::delivery(&old, &[&key("bob"), &key("cleo")]), Some("expired"));
    let body = stage.order(0);
    stage.attack(0, "an order by one of two, in the past", &Stage::delivery(&body, &[&key("ann")]), Some("signature"));
    let _id = stage.works_on(0);

    // 29 days ahead, and 29 more: so far a welcome is believed at once, and for ever.
    for days in [29, 58] {
        let least_ms = now_ms() + (days - 1) * DAY_MS;
        told(stage, now_ms() + days * DAY_MS);
        stage.tried(0, &format!("a time of {days} days ahead"), None);
        stage.ahead_ms = 0;
        let body = stage.order(0);
        stage.attack(0, "a good order of now", &Stage::delivery(&body, &[&key("bob"), &key("cleo")]), Some("expired"));
        stage.ahead_ms = days * DAY_MS;
        let _id = stage.works_on(0);
        let hello = stage.anew(0);
        assert!(hello.floor_ms >= least_ms, "by design: the floor is pushed, and durable");
        stage.welcome(&hello, now_ms(), &[], &freshness);
    }
    stage.ahead_ms = 0;
    let body = stage.order(0);
    stage.attack(0, "a good order, to a node of the future", &Stage::delivery(&body, &[&key("bob"), &key("cleo")]), Some("expired"));
    let body = stage.order(0);
    stage.attack(0, "an order of the bridge, to a node of the future", &Stage::delivery(&body, &[&bridge]), Some("signature"));
    stage.ahead_ms = 58 * DAY_MS;
    let _id = stage.works_on(0);
    recover(stage);
}

/// A good order, which the wrong time has refused for ever: it never starts.
fn refused(stage: &mut Stage, reason: RejectReason) {
    let body = stage.order(0);
    stage.attack(0, "a good order in a wrong time", &Stage::delivery(&body, &[&key("bob"), &key("cleo")]), None);
    stage.await_answer(0, body.id, reason);
}

/// People sign a bundle of the next epoch: the node forgets the time, and refuses the orders of the epoch before.
fn recover(stage: &mut Stage) {
    let third = std::fs::read(stage.fleet.home().bundle(3)).unwrap();
    let envelope = Envelope::parse(&third, Domain::Trust).unwrap();
    let old: TrustBundle = decode(envelope.body()).unwrap();
    let next = TrustBundle { version: 4, epoch: 1, previous: flotilla_protocol::sha256(&[envelope.body()]), ..old };
    let of_bridge = signed(&next, &[&stage.stolen["bridge"]]);
    let topic = stage.down(0, DownKind::Trust);
    stage.attack_by(&topic, 0, "a new epoch that only the bridge signed", &of_bridge, Some("signature"));
    let _id = stage.works_on(0);
    let _counted = stage.hello(0);
    stage.ahead_ms = 0;
    let bundle = signed(&next, &[&key("rolf"), &key("ruth")]);
    stage.broker.publish(&topic, &bundle, false);
    File::create(stage.fleet.home().bundle(4)).unwrap().write_all(&bundle).unwrap();
    stage.trust = (4, 1);
    let freshness = stage.stolen["freshness"].clone();
    let hello = stage.hello(0);
    assert!(hello.floor_ms < clock::unix_ms(), "the new epoch has no time yet");
    stage.welcome(&hello, clock::unix_ms(), &[], &freshness);
    let _id = stage.works_on(0);
    let before = OrderBody { epoch: 0, ..stage.order(0) };
    stage.attack(0, "an order of the epoch before", &Stage::delivery(&before, &[&key("bob"), &key("cleo")]), None);
    stage.await_answer(0, before.id, RejectReason::Epoch);
}
