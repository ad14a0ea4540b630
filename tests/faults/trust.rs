//! F18: trust is rotated and revoked while nodes are partitioned.
//!
//! Each node runs one job and holds an order that waits behind it. Then some nodes lose the network, are stopped, or stay, and the fleet's next
//! bundle takes the operator's key, and sometimes the bridge's or the clock's, away. What waits on a node must not start once the node has
//! the bundle, and must end as refused; every node must come to the new version by itself; and what the new key signs must run. After the
//! last rotation of a fleet the checker of the numbered invariants sees its database, its nodes' journals, and every start that there was.
#![cfg(test)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use flotilla_api::commands::SendCommandRequest;
use flotilla_api::trust::{GetTrustStatusRequest, NodesOfVersion, PutTrustBundleRequest};
use flotilla_broker_bridge::capability::run_command::model::InvocationState;
use flotilla_protocol::envelope::{Domain, Envelope, seal};
use flotilla_protocol::trust::TrustBundle;
use flotilla_protocol::wire::{decode, encode};
use flotilla_tests::calls::{is_terminal, shell};
use flotilla_tests::campaign::NODE_NAME;
use flotilla_tests::effects::Effects;
use flotilla_tests::invariants::{self, Fact};
use flotilla_tests::node::Half;
use flotilla_tests::process;
use flotilla_tests::random::Random;
use flotilla_tests::tally::{Broken, Kind, Tally, trials};
use flotilla_tests::{Broker, Fleet, verdict, wait};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Duration;

/// No measure: a machine with much else to do is slow.
const LIMIT: Duration = Duration::from_secs(90);
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

/// The commands of a fleet: what each is called, and how it must end.
#[derive(Default)]
struct Commands(BTreeMap<String, (String, InvocationState)>);

impl Commands {
    fn send(&mut self, fleet: &Fleet, effects: &Effects, name: &str, body: &str, end: InvocationState) -> String {
        let script = format!("{NODE_NAME}\n{}", effects.script(&format!("{name}-$node"), body));
        // That one node refuses must not keep it from the other.
        let request = SendCommandRequest { max_errors: Some("100%".to_owned()), ..shell(&fleet.node_ids(), &script) };
        let id = fleet.send(&request);
        self.0.insert(id.clone(), (name.to_owned(), end));
        id
    }

    /// What the checker of the numbered invariants says, once everything has ended. The fleet is stopped then.
    fn judge(&self, fleet: &mut Fleet, effects: &Effects) -> Vec<Broken> {
        let started = effects.read();
        let names: Vec<(String, String)> = fleet.nodes.iter().map(|node| (node.id(), node.name())).collect();
        let mut history = verdict::of_bridge(fleet);
        for (id, (mark, end)) in &self.0 {
            history.acknowledged.insert(id.clone());
            history.command(id).excused = Some(BTreeSet::from([*end]));
            for (node, name) in &names {
                let of_node = history.node(node);
                of_node.knowledge.starts = true;
                let Some(effect) = started.get(&format!("{mark}-{name}")) else { continue };
                effect.starts.iter().for_each(|_| of_node.add(0, id, Fact::Started { trusted_ms: None }));
                effect.ends.iter().for_each(|_| of_node.add(0, id, Fact::JobOver));
            }
        }
        verdict::add_journals(fleet, &mut history);
        invariants::check(&history).into_iter().map(verdict::broken).collect()
    }
}

/// Waits until a command has ended on all nodes; what is broken where it has not, or otherwise than it should.
fn ends(fleet: &Fleet, command: &str, what: &str, is_success: bool) -> Vec<Broken> {
    let status = |node: &str| fleet.invocation(command, node).status.unwrap_or_default();
    let judge = |node: String| {
        let _ended = wait::holds_within(LIMIT, || is_terminal(Some(&status(&node))));
        let word = status(&node);
        let kind = match (is_terminal(Some(&word)), word == "Success") {
            (true, succeeded) if succeeded == is_success => return None,
            (true, true) => Kind::Unauthorised,
            _ => Kind::Lost,
        };
        Some(Broken::new(kind, format!("{what} is {word} on {node}")))
    };
    fleet.node_ids().into_iter().filter_map(judge).collect()
}

/// One rotation; what was broken.
fn rotate(fleet: &mut Fleet, number: u64, random: &mut Random, effects: &Effects, commands: &mut Commands) -> Vec<Broken> {
    let version = u32::try_from(number + 1).expect("few rotations");
    let go = fleet.folder().join(format!("go-{number}"));
    let waits = format!("for step in $(seq 3000); do test -e {} && break; sleep 0.1; done", go.display());
    let mark = |what: &str| format!("{what}-{number}");
    let running = commands.send(fleet, effects, &mark("running"), &waits, InvocationState::Succeeded);
    let starts = |what: &str| effects.read().keys().filter(|name| name.starts_with(&format!("{}-", mark(what)))).count();
    wait::until_true(LIMIT, "both nodes run their job", || starts("running") == NODES);
    let queued = commands.send(fleet, effects, &mark("queued"), "true", InvocationState::AccessDenied);
    // Sometimes it is on its way, in either direction, when the node goes away.
    wait::let_pass(random.moment(Duration::from_secs(2)));

    let away: Vec<Away> = fleet.nodes.iter().map(|_| *random.one_of(&[Away::Not, Away::Partitioned, Away::Stopped])).collect();
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
        broken.push(Broken::new(Kind::Lost, format!("not every node came to version {}: {:?}", version + 1, nodes())));
    }
    // Every node has the bundle. Now the place becomes free for what waits.
    drop(std::fs::File::create(&go).expect("a file can be made"));
    broken.extend(ends(fleet, &running, "what ran", true));
    let after = commands.send(fleet, effects, &mark("after"), "true", InvocationState::Succeeded);
    broken.extend(ends(fleet, &after, "what the new key signed", true));
    broken.extend(ends(fleet, &queued, "what a revoked key signed", false));
    if starts("queued") > 0 {
        broken.push(Broken::new(Kind::Unauthorised, format!("a revoked key's order started on {} nodes", starts("queued"))));
    }
    for broken in &mut broken {
        broken.why = format!("{away:?}, {changes:?}: {}", broken.why);
    }
    broken
}

#[test]
fn f18_trust_rotated_and_revoked_while_nodes_are_away() {
    let mut random = Random::seeded("F18");
    let mut tally = Tally::new("F18 trust rotated and revoked while nodes are partitioned", &random, Duration::from_secs(150));
    let wanted = trials(5, 300);
    while tally.count() < wanted {
        let mut fleet = fleet_of_one_job_each();
        let effects = Effects::new(fleet.folder());
        let (rotations, mut commands) = (ROTATIONS.min(wanted - tally.count()), Commands::default());
        for number in 0..rotations {
            tally.begin("a rotation");
            let mut broken = rotate(&mut fleet, number, &mut random, &effects, &mut commands);
            if number + 1 == rotations {
                broken.extend(commands.judge(&mut fleet, &effects));
            }
            tally.trial(broken);
        }
    }
    tally.finish();
}
