//! F18: trust is rotated and revoked while nodes are partitioned.
//!
//! Each node runs one job and holds an order that waits behind it. Then some nodes lose the network, are stopped, or stay, and the fleet's next
//! bundle takes the operator's key, and sometimes the bridge's or the clock's, away. What waits on a node must not start once the node has
//! the bundle; every node must come to the new version by itself; and what the new key signs must run.
#![cfg(test)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use flotilla_api::trust::{GetTrustStatusRequest, NodesOfVersion, PutTrustBundleRequest};
use flotilla_protocol::envelope::{Domain, Envelope, seal};
use flotilla_protocol::trust::TrustBundle;
use flotilla_protocol::wire::{decode, encode};
use flotilla_tests::calls::shell;
use flotilla_tests::effects::Effects;
use flotilla_tests::node::Half;
use flotilla_tests::process;
use flotilla_tests::random::Random;
use flotilla_tests::tally::{Broken, Kind, Tally, trials};
use flotilla_tests::{Broker, Fleet, wait};
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Duration;

/// No measure: a machine with much else to do is slow.
const LIMIT: Duration = Duration::from_secs(90);
/// For how long nothing may start where nothing should.
const QUIET: Duration = Duration::from_secs(2);
/// Rotations of one fleet: it keeps 256 bundles.
const ROTATIONS: u64 = 60;
const NODES: usize = 2;

/// How a node is away while the trust changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Away {
    /// It is not.
    Not,
    /// Its link hears nothing, and the connection is lost then with everything on its way.
    Partitioned,
    /// Its agent is stopped.
    Stopped,
}

/// Which keys of the bridge change beside the operator's, by their index in the bundle of `init` and their name.
const OTHERS: [&[(usize, &str)]; 3] = [&[], &[(2, "bridge")], &[(3, "freshness")]];

fn secret(path: &std::path::Path, bytes: &[u8]) {
    use std::io::Write as _;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).expect("a key can be made");
    file.write_all(bytes).expect("a key can be written");
}

/// The bundle after the newest, with new keys in these places; the bridge finds them beside its own.
fn next_bundle(fleet: &Fleet, version: u32, changes: &[(usize, &str)], random: &mut Random) -> Vec<u8> {
    let newest = std::fs::read(fleet.home().bundle(version)).expect("the home has the newest bundle");
    let envelope = Envelope::parse(&newest, Domain::Trust).expect("it is an envelope");
    let mut bundle: TrustBundle = decode(envelope.body()).expect("it is a bundle");
    (bundle.version, bundle.previous) = (version + 1, flotilla_protocol::sha256(&[envelope.body()]));
    for (index, name) in changes {
        let seed = random.bytes::<32>();
        secret(&fleet.home().key(&format!("{name}.next")), &seed);
        bundle.keys[*index].public_key = SigningKey::from_bytes(&seed).verifying_key().to_bytes().into();
    }
    let root = std::fs::read(fleet.home().key("root")).expect("the quickstart has the root's key");
    let root = SigningKey::from_bytes(root.as_slice().try_into().expect("a key has 32 bytes"));
    seal(Domain::Trust, &encode(&bundle), &[&root])
}

fn fleet_of_one_job_each() -> Fleet {
    let mut fleet = Fleet::start(Broker::Embedded);
    let activation = fleet.activation(i32::try_from(NODES).expect("few nodes"));
    for _ in 0..NODES {
        let node = fleet.new_node();
        node.run_one_at_a_time();
        node.register(&activation);
        fleet.nodes.push(node);
    }
    fleet.nodes.iter_mut().for_each(flotilla_tests::node::Node::start);
    fleet.await_online();
    fleet
}

fn status(fleet: &Fleet, command: &str, node: &str) -> String {
    fleet.invocation(command, node).status.unwrap_or_default()
}

/// One rotation; what was broken.
fn rotate(fleet: &mut Fleet, number: u64, version: u32, random: &mut Random, effects: &Effects) -> Vec<Broken> {
    let ids = fleet.node_ids();
    let go = fleet.folder().join(format!("go-{number}"));
    let waits = format!("for step in $(seq 3000); do test -e {} && break; sleep 0.1; done", go.display());
    let mark = |what: &str| format!("{what}-{number}");
    let running = fleet.send(&shell(&ids, &effects.script(&mark("running"), &waits)));
    let started = |what: &str| effects.read().get(&mark(what)).map_or(0, |effect| effect.starts.len());
    wait::until_true(LIMIT, "both nodes run their job", || started("running") == NODES);
    let queued = fleet.send(&shell(&ids, &effects.script(&mark("queued"), "true")));
    // The bridge sends it at once; that the node has it is seen by its status, or it comes later and is judged then.
    wait::let_pass(random.moment(Duration::from_secs(2)));

    let away: Vec<Away> = ids.iter().map(|_| *random.one_of(&[Away::Not, Away::Partitioned, Away::Stopped])).collect();
    for (node, away) in fleet.nodes.iter_mut().zip(&away) {
        match away {
            Away::Not => {}
            Away::Partitioned => process::freeze(node.half(Half::Link)),
            Away::Stopped => node.stop(),
        }
    }
    let mut changes = vec![(1, "operator")];
    changes.extend_from_slice(OTHERS[random.index(OTHERS.len())]);
    let bundle = PutTrustBundleRequest { bundle: STANDARD.encode(next_bundle(fleet, version, &changes, random)) };
    let put = fleet.call(&bundle);
    assert_eq!((put.version, put.is_new), (version + 1, true), "the bridge takes it at once");
    assert!(!fleet.call(&bundle).is_new, "twice is once");
    if random.percent(20) {
        fleet.stop_bridge();
        fleet.start_bridge();
    }
    wait::let_pass(random.moment(Duration::from_secs(2)));
    for (node, away) in fleet.nodes.iter_mut().zip(&away) {
        match away {
            Away::Not => {}
            Away::Partitioned => node.kill_half(Half::Link),
            Away::Stopped => node.start(),
        }
    }
    let mut broken = Vec::new();
    let all_there =
        [NodesOfVersion { version: version + 1, nodes: u64::try_from(NODES).unwrap_or(0), online: u64::try_from(NODES).unwrap_or(0) }];
    let nodes = || fleet.call(&GetTrustStatusRequest {}).nodes;
    if !wait::holds_within(LIMIT, || nodes() == all_there) {
        broken.push(Broken::new(Kind::Lost, format!("{away:?}: not every node came to version {}: {:?}", version + 1, nodes())));
    }
    // Every node has the bundle. Now the place becomes free for what waits.
    drop(std::fs::File::create(&go).expect("a file can be made"));
    for id in &ids {
        if !wait::holds_within(LIMIT, || status(fleet, &running, id) == "Success") {
            broken.push(Broken::new(Kind::Lost, format!("{away:?}: what ran is {} on {id}", status(fleet, &running, id))));
        }
    }
    let after = fleet.send(&shell(&ids, &effects.script(&mark("after"), "true")));
    for id in &ids {
        if !wait::holds_within(LIMIT, || status(fleet, &after, id) == "Success") {
            broken.push(Broken::new(Kind::Lost, format!("{away:?}: what the new key signed is {} on {id}", status(fleet, &after, id))));
        }
    }
    wait::let_pass(QUIET);
    if started("queued") > 0 {
        let words: Vec<String> = ids.iter().map(|id| status(fleet, &queued, id)).collect();
        broken.push(Broken::new(
            Kind::Unauthorised,
            format!("{away:?}: a revoked key's order started {} times: {words:?}", started("queued")),
        ));
    }
    for what in ["running", "after"] {
        if started(what) > NODES {
            broken.push(Broken::new(Kind::DoubleRun, format!("{what} started {} times on {NODES} nodes", started(what))));
        }
    }
    broken
}

#[test]
fn f18_trust_rotated_and_revoked_while_nodes_are_away() {
    let mut random = Random::seeded("F18");
    let mut tally = Tally::new("F18 trust rotated and revoked while nodes are partitioned", &random, Duration::from_secs(240));
    let wanted = trials(5, 300);
    while tally.count() < wanted {
        let mut fleet = fleet_of_one_job_each();
        let effects = Effects::new(fleet.folder());
        for number in 0..ROTATIONS.min(wanted - tally.count()) {
            tally.begin("a rotation");
            let version = u32::try_from(number + 1).expect("few rotations");
            let broken = rotate(&mut fleet, number, version, &mut random, &effects);
            tally.trial(broken);
        }
    }
    tally.finish();
}
