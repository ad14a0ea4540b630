//! What the page shows beside the bytes of messages: keys, ids, hashes, and what signatures are over.

use super::message;
use super::trace::{Part, trace};
use crate::messages;
use flotilla_protocol::enrolment::{Activation, claim_mac, tls_proof_bytes};
use flotilla_protocol::envelope::{Domain, Envelope};
use flotilla_protocol::id::KeyId;
use flotilla_protocol::sha256;
use flotilla_protocol::signature::{SshHash, security_key_message, ssh_frame};
use flotilla_protocol::target::leaf;
use flotilla_protocol::topic::{DownKind, Topic};
use flotilla_protocol::wire::encode;

/// What each seed is the key of.
const KEYS: [(u8, &str); 12] = [
    (1, "root"),
    (2, "operator"),
    (3, "bridge"),
    (4, "freshness"),
    (5, "identity of the node"),
    (6, "another target"),
    (7, "another target"),
    (8, "TLS key of the node"),
    (9, "of the node in the hostile target that is another one's"),
    (11, "ann, an SSH key"),
    (12, "bob, a security key"),
    (99, "a stranger"),
];

/// The block of this name.
pub(crate) fn block(name: &str) -> String {
    match name {
        "keys" => keys(),
        "ids" => text(&ids()),
        "targets" => text(&targets()),
        "signed" => text(&signed()),
        "ssh" => text(&ssh()),
        "session" => text(&session()),
        "proofs" => text(&proofs()),
        "activation" => activation(),
        other => panic!("there is no block {other}"),
    }
}

fn keys() -> String {
    let line = |(seed, of): (u8, &str)| {
        let public = messages::key(seed).verifying_key().to_bytes();
        format!("| {seed} | {of} | `{}` | `{}` |\n", hex(&public), KeyId::of_key(&public))
    };
    let head = "| seed | key | public key | key id |\n|---|---|---|---|\n".to_owned();
    head + &KEYS.into_iter().map(line).collect::<String>()
}

fn ids() -> Vec<(&'static str, String)> {
    let (fleet, node) = (messages::fleet(), messages::node());
    vec![
        ("SHA-256 of the body of trust/bundle", hex(&messages::root_hash())),
        ("fleet id", fleet.to_string()),
        ("SHA-256 of the public key of seed 5", hex(&sha256(&[&messages::identity().verifying_key().to_bytes()]))),
        ("node id", node.to_string()),
        ("node id on the wire, 17 bytes", hex(&encode(&node))),
        ("SHA-256 of the text of the node id", hex(&sha256(&[node.to_string().as_bytes()]))),
        ("shard", format!("{:02x}", node.shard())),
        ("topic of its orders", Topic::Down { fleet, node, kind: DownKind::Order }.to_string()),
        ("order id", messages::order_id().to_string()),
    ]
}

fn targets() -> Vec<(&'static str, String)> {
    let mut keys = [5, 6, 7].map(|seed| (messages::key(seed).verifying_key().to_bytes(), seed));
    keys.sort_unstable();
    let leaves = keys.map(|(key, _)| leaf(&key, b""));
    let first_two = sha256(&[&[1], &leaves[0], &leaves[1]]);
    let root = sha256(&[&[1], &first_two, &leaves[2]]);
    let delivery = messages::delivery();
    assert_eq!(root, messages::order().targets.root);
    vec![
        ("seeds in the order of their public keys", format!("{:?}", keys.map(|(_, seed)| seed))),
        ("SHA-256 of no node data", hex(&sha256(&[b""]))),
        ("leaf 0 = H(00, H(key), H(node data))", hex(&leaves[0])),
        ("leaf 1", hex(&leaves[1])),
        ("leaf 2", hex(&leaves[2])),
        ("inner = H(01, leaf 0, leaf 1)", hex(&first_two)),
        ("root = H(01, inner, leaf 2)", hex(&root)),
        ("index of the node of seed 5", delivery.index.to_string()),
        ("its proof", delivery.proof.iter().map(|hash| hex(hash)).collect::<Vec<_>>().join(" ")),
    ]
}

fn signed() -> Vec<(&'static str, String)> {
    let bytes = super::golden("command/cancel");
    let envelope = Envelope::parse(&bytes, Domain::Cancel).unwrap();
    assert!(envelope.is_signed_by(&messages::bridge().verifying_key()));
    let covered = envelope.covered();
    vec![
        ("covered: prefix", hex(&covered[..9])),
        ("covered: version, domain, 0", hex(&covered[9..12])),
        ("covered: body", hex(&covered[12..])),
        ("signature by seed 3", hex(envelope.signatures()[0].bytes)),
    ]
}

fn ssh() -> Vec<(&'static str, String)> {
    let bytes = super::golden("trust/by-ssh-and-security-key");
    let covered = Envelope::parse(&bytes, Domain::Trust).unwrap().covered();
    let frame = ssh_frame(SshHash::Sha512, &covered);
    let application = sha256(&[b"ssh:flotilla"]);
    let message = security_key_message(&application, 1, 9_u32.to_be_bytes(), &frame);
    vec![
        ("SHA-256 of the covered bytes", hex(&sha256(&[&covered]))),
        ("frame with sha512: what seed 11 signs", hex(&frame)),
        ("SHA-256 of \"ssh:flotilla\"", hex(&application)),
        ("SHA-256 of the frame", hex(&sha256(&[&frame]))),
        ("with flags 01, counter 9: what seed 12 signs", hex(&message)),
        ("frame with sha256 (by-ssh-key-with-sha256)", hex(&ssh_frame(SshHash::Sha256, &covered))),
    ]
}

fn session() -> Vec<(&'static str, String)> {
    let bytes = super::golden("health/node-health-with-mac");
    let covered = Envelope::parse(&bytes, Domain::Report).unwrap().covered();
    vec![
        ("secret of the node's sealing key", hex(&[0x5e; 32])),
        ("its public key", hex(&messages::sealing_key().public())),
        ("info", hex(&messages::session_binding().info())),
        ("aad: the session's id", hex(&messages::session().id())),
        ("the session's key, opened", hex(&[0x4b; 32])),
        ("covered by the MAC of health/node-health-with-mac, begins with", hex(&covered[..12])),
        ("MAC", hex(&messages::hmac(&[0x4b; 32], &covered))),
    ]
}

fn proofs() -> Vec<(&'static str, String)> {
    let claim = messages::claim();
    let (identity, tls) = (messages::identity().verifying_key().to_bytes(), messages::key(8).verifying_key().to_bytes());
    assert_eq!(claim.mac, claim_mac(&[2; 20], &claim.request));
    vec![
        ("code (HMAC key)", hex(&[2; 20])),
        ("HMAC message, begins with", hex(b"flotilla/claim/1")),
        ("mac", hex(&claim.mac)),
        ("bytes that the TLS key signs", hex(&tls_proof_bytes(&identity, &tls, &[7; 32]))),
    ]
}

fn activation() -> String {
    let activation = messages::activation();
    let mut packed = encode(&activation);
    let mut parts = trace::<Activation>(&packed);
    packed.extend_from_slice(&sha256(&[&packed])[..4]);
    parts.push(Part::new(4, "checksum", "first bytes of the SHA-256 of all before"));
    format!("```text\n{}\n\n{}```\n", activation.to_text(), message::text(&parts, &packed))
}

fn text(lines: &[(&str, String)]) -> String {
    let lines: String = lines.iter().map(|(name, value)| format!("{name}:\n    {value}\n")).collect();
    format!("```text\n{lines}```\n")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
