//! What it costs to sign for many nodes: one signature over the tree of their leaves, with a proof for each, beside a signature for each node.
//!
//! Each trial makes both for the same nodes, and verifies a sample of both as a node would. The order itself is as long as a small command.
//!
//! Beside it, what the bridge pays for what comes up: reports that are signed, and reports under the MAC of a session.

use crate::report::Report;
use crate::statistics::Times;
use ed25519_dalek::SigningKey;
use flotilla_protocol::delivery::Delivery;
use flotilla_protocol::envelope::{Domain, Envelope, seal};
use flotilla_protocol::session::SessionKey;
use flotilla_protocol::sha256;
use flotilla_protocol::target::{TargetTree, is_proven, leaf};
use flotilla_protocol::wire::encode;
use flotilla_tests::clock;
use std::time::Duration;

/// The fan-out of the figures of the design.
const NODES: u32 = 100_000;
/// How many trials there are when nobody says.
pub(crate) const TRIALS: usize = 5;
/// Bytes of a small command's order.
const ORDER_BYTES: usize = 400;
/// One of so many nodes verifies what it gets.
const SAMPLE: usize = 100;

/// Reports that are verified in a trial, in each form.
const REPORTS: u32 = 2_000;
/// Bytes of a report of a node's health.
const REPORT_BYTES: usize = 140;

/// Measures so many trials.
pub(crate) fn run(trials: usize) -> Report {
    let key = SigningKey::from_bytes(&[7; 32]);
    let mut nodes: Vec<[u8; 32]> = (0..NODES).map(|number| sha256(&[&number.to_le_bytes()])).collect();
    nodes.sort_unstable();
    let (mut of_tree, mut of_each, mut bytes_of_tree, mut bytes_of_each) = (Vec::new(), Vec::new(), 0, 0);
    let (mut signed, mut with_mac) = (Vec::new(), Vec::new());
    for _ in 0..trials {
        let (time, bytes) = tree(&key, &nodes);
        of_tree.push(time);
        bytes_of_tree = bytes;
        let (time, bytes) = each(&key, &nodes);
        of_each.push(time);
        bytes_of_each = bytes;
        let (of_signatures, of_macs) = verifications(&key);
        signed.push(of_signatures);
        with_mac.push(of_macs);
    }
    let (signed, with_mac) = (Times::new(signed), Times::new(with_mac));
    let per_second = |times: &Times| f64::from(REPORTS) * 1000.0 / times.percentile_ms(50);
    let (of_tree, of_each) = (Times::new(of_tree), Times::new(of_each));
    let number = |value: usize| f64::from(u32::try_from(value).unwrap_or(u32::MAX));
    let per_node = |bytes: usize| number(bytes) / f64::from(NODES);
    let figures = vec![
        ("nodes".to_owned(), f64::from(NODES)),
        ("trials".to_owned(), number(trials)),
        ("one signature and proofs p50 (ms)".to_owned(), of_tree.percentile_ms(50)),
        ("one signature and proofs, slowest (ms)".to_owned(), of_tree.percentile_ms(100)),
        ("a signature for each p50 (ms)".to_owned(), of_each.percentile_ms(50)),
        ("a signature for each, slowest (ms)".to_owned(), of_each.percentile_ms(100)),
        ("bytes to a node, with its proof".to_owned(), per_node(bytes_of_tree)),
        ("bytes to a node, signed for it alone".to_owned(), per_node(bytes_of_each)),
        ("signed reports verified (1/s)".to_owned(), per_second(&signed)),
        ("reports under a MAC verified (1/s)".to_owned(), per_second(&with_mac)),
    ];
    let time = of_tree.percentile_ms(50) / of_each.percentile_ms(50);
    let ratios = vec![
        ("time, one signature / one for each".to_owned(), time),
        ("bytes, one signature / one for each".to_owned(), per_node(bytes_of_tree) / per_node(bytes_of_each)),
        ("verifications a second, under a MAC / signed".to_owned(), per_second(&with_mac) / per_second(&signed)),
    ];
    Report { name: "targets", figures, ratios, budgets: Vec::new() }
}

/// One order for all, and the delivery of each; how long that takes, and how many bytes all deliveries have.
fn tree(key: &SigningKey, nodes: &[[u8; 32]]) -> (Duration, usize) {
    let begun = clock::now();
    let leaves: Vec<[u8; 32]> = nodes.iter().map(|node| leaf(node, &[])).collect();
    let tree = TargetTree::new(leaves);
    let root = tree.root();
    let body = [root.as_slice(), &[0; ORDER_BYTES]].concat();
    let envelope = seal(Domain::Order, &body, &[key]);
    let mut bytes = 0;
    let mut sample = Vec::new();
    for (index, number) in (0..nodes.len()).zip(0..) {
        let proof = tree.proof(index).unwrap_or_default();
        let delivery = Delivery { envelope: envelope.clone(), index: number, proof, node_data: Vec::new() };
        bytes += encode(&delivery).len();
        if index % SAMPLE == 0 {
            sample.push(delivery);
        }
    }
    let time = begun.elapsed();
    for delivery in sample {
        let node = usize::try_from(delivery.index).ok().and_then(|index| nodes.get(index)).expect("a node of the list");
        assert!(is_proven(leaf(node, &[]), delivery.index, NODES, &delivery.proof, &root), "what was measured is right");
    }
    (time, bytes)
}

/// An order for each node, which names it.
fn each(key: &SigningKey, nodes: &[[u8; 32]]) -> (Duration, usize) {
    let begun = clock::now();
    let mut bytes = 0;
    for node in nodes {
        let body = [node.as_slice(), &[0; ORDER_BYTES]].concat();
        let envelope = seal(Domain::Order, &body, &[key]);
        let delivery = Delivery { envelope, index: 0, proof: Vec::new(), node_data: Vec::new() };
        bytes += encode(&delivery).len();
    }
    (begun.elapsed(), bytes)
}

/// How long it takes to verify reports as the bridge does it: signed, and under a MAC.
fn verifications(key: &SigningKey) -> (Duration, Duration) {
    let session = SessionKey::new([1; 8], [2; 32]);
    let verifying = key.verifying_key();
    let signed: Vec<Vec<u8>> =
        (0..REPORTS).map(|number| seal(Domain::Report, &[number.to_le_bytes().as_slice(), &[0; REPORT_BYTES]].concat(), &[key])).collect();
    let parsed = |bytes: &[Vec<u8>], counts: &dyn Fn(&Envelope<'_>) -> bool| {
        let begun = clock::now();
        let all = bytes.iter().all(|bytes| Envelope::parse(bytes, Domain::Report).is_ok_and(|envelope| counts(&envelope)));
        assert!(all, "what was measured is right");
        begun.elapsed()
    };
    let with_mac = |bytes: &Vec<u8>| Envelope::parse(bytes, Domain::Report).ok().and_then(|envelope| envelope.under_session(&session));
    let under_macs: Vec<Vec<u8>> = signed.iter().filter_map(with_mac).collect();
    assert_eq!(under_macs.len(), signed.len());
    (parsed(&signed, &|envelope| envelope.is_signed_by(&verifying)), parsed(&under_macs, &|envelope| envelope.is_of_session(&session)))
}
