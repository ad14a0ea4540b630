//! Orders that too few, the wrong or no people have signed, orders that people have signed and somebody has changed, and good ones once more.

use super::people::key;
use super::stage::{HOUR_MS, Stage};
use ed25519_dalek::SigningKey;
use flotilla_protocol::delivery::Delivery;
use flotilla_protocol::envelope::{Domain, Envelope, seal};
use flotilla_protocol::id::FleetId;
use flotilla_protocol::order::{OrderBody, Targets};
use flotilla_protocol::status::RejectReason;
use flotilla_protocol::target::{TargetTree, leaf};
use flotilla_protocol::topic::DownKind;
use flotilla_protocol::wire::{MAXIMUM_MESSAGE_BYTES, decode, encode};
use flotilla_tests::clock;
use flotilla_tests::hostile::identity_key;

pub(crate) fn attack(stage: &mut Stage, half: &(String, Vec<u8>)) {
    too_few(stage, half);
    changed(stage);
    replayed(stage);
    out_of_its_time(stage);
    for node in 0..2 {
        let _id = stage.works_on(node);
        let hello = stage.hello(node);
        let freshness = stage.stolen["freshness"].clone();
        stage.welcome(&hello, clock::unix_ms(), &[], &freshness);
    }
}

/// Signed by whoever the attacker can get to sign, which is not who must.
fn too_few(stage: &mut Stage, half: &(String, Vec<u8>)) {
    let stolen = |stage: &Stage, name: &str| stage.stolen[name].clone();
    let own = ["bridge", "freshness", "operator", "root"].map(|name| (name, stolen(stage, name)));
    for (name, signer) in &own {
        let body = stage.order(0);
        stage.attack(0, &format!("signed by the key {name}"), &Stage::delivery(&body, &[signer]), Some("signature"));
        let body = stage.order(0);
        stage.attack(0, &format!("by Ann, and by the key {name}"), &Stage::delivery(&body, &[&key("ann"), signer]), Some("signature"));
    }
    let cases: [(&str, &str, &[&str], &'static str); 9] = [
        ("by one of two", "somebody", &["ann"], "signature"),
        ("by two keys of one person", "somebody", &["ann", "ann2"], "signature"),
        ("by who asked, who does not count as who approves", "ann", &["ann", "bob"], "signature"),
        ("by who asked with another of his keys", "Ann", &["ann2", "bob"], "signature"),
        ("by one, and one whose key has run out", "somebody", &["ann", "dora"], "signature"),
        ("by who may patch", "somebody", &["gus"], "signature"),
        ("by one, and one who may patch", "somebody", &["ann", "gus"], "signature"),
        ("by two of the root", "somebody", &["rita", "rolf"], "signature"),
        ("by who may alone, elsewhere", "somebody", &["eva"], "scope"),
    ];
    for (what, requester, signers, reason) in cases {
        let body = OrderBody { requester: requester.to_owned(), ..stage.order(0) };
        let signers: Vec<SigningKey> = signers.iter().map(|name| key(name)).collect();
        stage.attack(0, what, &Stage::delivery(&body, &signers.iter().collect::<Vec<_>>()), Some(reason));
    }
    stage.attack(0, "of the database, with one of two signatures", &Stage::delivery_of(half.1.clone()), Some("signature"));
    // Ann's signature over this, and Bob's over another.
    let (body, other) = (stage.order(0), stage.order(0));
    let by_ann = seal(Domain::Order, &encode(&body), &[&key("ann")]);
    let by_bob = seal(Domain::Order, &encode(&other), &[&key("bob")]);
    let of_bob = Envelope::parse(&by_bob, Domain::Order).unwrap().signatures()[0];
    let mixed = Envelope::parse(&by_ann, Domain::Order).unwrap().with_signature(of_bob).unwrap();
    stage.attack(0, "with an approval of another order", &Stage::delivery_of(mixed), Some("signature"));
    // One signature twice: the count is the fifth byte, and an entry has eleven bytes and the signature.
    let mut twice = by_ann.clone();
    twice[4] = 2;
    let entry = by_ann[5..5 + 11 + 64].to_vec();
    twice.splice(5..5, entry);
    stage.attack(0, "with one signature twice", &Stage::delivery_of(twice), Some("malformed"));
    // Signed by two, but as something else.
    let body = stage.order(0);
    let other = seal(Domain::Report, &encode(&body), &[&key("ann"), &key("bob")]);
    stage.attack(0, "signed as a report", &Stage::delivery_of(other.clone()), Some("domain"));
    let mut renamed = other;
    renamed[3] = Domain::Order as u8;
    stage.attack(0, "signed as a report, and named an order", &Stage::delivery_of(renamed), Some("signature"));
}

/// Signed by two, and changed on its way.
fn changed(stage: &mut Stage) {
    let body = stage.order(0);
    let good = seal(Domain::Order, &encode(&body), &[&key("bob"), &key("cleo")]);
    let replaced = |from: &[u8], to: &[u8]| {
        let at = good.windows(from.len()).position(|window| window == from).unwrap();
        let mut changed = good.clone();
        changed[at..at + to.len()].copy_from_slice(to);
        changed
    };
    stage.attack(0, "another script", &Stage::delivery_of(replaced(b"touch ", b"mkdir ")), Some("signature"));
    stage.attack(0, "another requester", &Stage::delivery_of(replaced(b"somebody", b"somebodi")), Some("signature"));
    let root = body.targets.root;
    stage.attack(0, "other targets", &Stage::delivery_of(replaced(&root, &[7; 32])), Some("signature"));
    let mut cut = Stage::delivery_of(good.clone());
    cut.truncate(cut.len() / 2);
    stage.attack(0, "half of it", &cut, Some("malformed"));
    // For node 0, given to node 1 in every way: as it is, with an invented proof, and in a tree of both that the bridge signs.
    stage.attack(1, "an added target", &Stage::delivery_of(good.clone()), Some("target"));
    let proof = |envelope: Vec<u8>, index, proof| encode(&Delivery { envelope, index, proof, node_data: Vec::new() });
    stage.attack(1, "an added target with a proof", &proof(good.clone(), 1, vec![[0; 32]]), Some("target"));
    let tree = TargetTree::new([0, 1].map(|node| leaf(&identity_key(&stage.fleet, node), b"")).to_vec());
    stage.attack(1, "an added target with a proof of another tree", &proof(good.clone(), 1, tree.proof(1).unwrap()), Some("target"));
    let wide = OrderBody { targets: Targets { count: 2, root: tree.root() }, ..body.clone() };
    let by_bridge = seal(Domain::Order, &encode(&wide), &[&stage.stolen["bridge"]]);
    stage.attack(1, "more targets, signed by the bridge", &proof(by_bridge, 1, tree.proof(1).unwrap()), Some("signature"));
    let of_two = Envelope::parse(&good, Domain::Order).unwrap();
    let mut moved = seal(Domain::Order, &encode(&wide), &[]);
    for entry in of_two.signatures() {
        moved = Envelope::parse(&moved, Domain::Order).unwrap().with_signature(*entry).unwrap();
    }
    stage.attack(1, "more targets, with the people's signatures", &proof(moved, 1, tree.proof(1).unwrap()), Some("signature"));
    let elsewhere = OrderBody { fleet: FleetId([9; 8]), ..stage.order(0) };
    stage.attack(0, "of another fleet", &Stage::delivery(&elsewhere, &[&key("bob"), &key("cleo")]), Some("fleet"));
    stage.attack(0, "more than a message", &vec![0; MAXIMUM_MESSAGE_BYTES + 1], Some("too-large"));
}

/// Good orders of the past, and what is no order.
fn replayed(stage: &mut Stage) {
    let (captured, _) = stage.captured.clone();
    for what in ["the good order of the past", "the same once more"] {
        stage.attack(0, what, &captured, None);
    }
    let mut kept: Delivery = decode(&captured).unwrap();
    kept.index = 1;
    stage.attack(0, "the same at another place of its tree", &encode(&kept), Some("target"));
    let receipts = stage.down(0, DownKind::Receipt);
    stage.attack_by(&receipts, 0, "an order where receipts come", &kept.envelope, Some("domain"));
    let cancels = stage.down(0, DownKind::Cancel);
    stage.attack_by(&cancels, 0, "an order where cancels come", &kept.envelope, Some("domain"));
    let output = stage.down(0, DownKind::OutputReceipt);
    stage.attack_by(&output, 0, "an order where receipts for output come", &kept.envelope, Some("domain"));
    // What is durable decides, when the node has forgotten everything else.
    let _id = stage.works_on(0);
    let _counted = stage.hello(0);
    let hello = stage.anew(0);
    let freshness = stage.stolen["freshness"].clone();
    stage.welcome(&hello, clock::unix_ms(), &[], &freshness);
    stage.attack(0, "the good order of the past, after a restart", &captured, None);
}

/// Signed by who may, and for another time.
fn out_of_its_time(stage: &mut Stage) {
    let now_ms = clock::unix_ms();
    let late = OrderBody { not_before_ms: now_ms - 10 * HOUR_MS, not_after_ms: now_ms - 9 * HOUR_MS, ..stage.order(0) };
    stage.attack(0, "an order that has expired", &Stage::delivery(&late, &[&key("bob"), &key("cleo")]), Some("expired"));
    let epoch = OrderBody { epoch: 7, ..stage.order(0) };
    stage.attack(0, "an order of another epoch", &Stage::delivery(&epoch, &[&key("bob"), &key("cleo")]), None);
    stage.await_answer(0, epoch.id, RejectReason::Epoch);
    // Frank may alone, at hours that are not now: that is his right, so it is taken and waits. Nothing of it may be done.
    let early = stage.order(0);
    stage.attack(0, "out of hours", &Stage::delivery(&early, &[&key("frank")]), None);
    stage.may_be_taken(early.id);
}
