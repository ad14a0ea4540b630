//! A fleet of fixed keys, so that bytes can be signed and reach what lies behind the signatures.

use ed25519_dalek::SigningKey;
use flotilla_agent_core::{Recovery, Settings, Telemetry};
use flotilla_protocol::envelope::{Domain, seal};
use flotilla_protocol::hello::Facts;
use flotilla_protocol::id::{BootId, NodeId};
use flotilla_protocol::trust::{Class, OperatorRule, Role, RoleEntry, Trust, TrustBundle, TrustKey};
use flotilla_protocol::wire::encode;
use std::sync::OnceLock;

/// The time at which everything happens: Unix milliseconds.
pub(crate) const NOW_MS: u64 = 1_800_000_000_000;

/// Their seeds are below it.
const KEYS_OF_FLEET: usize = 6;

/// Other keys than those of the golden messages, which nobody here has signed. They are made once: each costs as much as a signature.
fn key(seed: u8) -> SigningKey {
    static KEYS: OnceLock<[SigningKey; KEYS_OF_FLEET]> = OnceLock::new();
    let keys = KEYS.get_or_init(|| std::array::from_fn(|index| SigningKey::from_bytes(&[u8::try_from(index).unwrap_or(0) | 0x40; 32])));
    keys.get(usize::from(seed)).expect("the fleet's keys have small numbers").clone()
}

pub(crate) fn root() -> SigningKey {
    key(1)
}

pub(crate) fn identity() -> SigningKey {
    key(5)
}

pub(crate) fn node() -> NodeId {
    static NODE: OnceLock<NodeId> = OnceLock::new();
    *NODE.get_or_init(|| NodeId::of_key(&identity().verifying_key().to_bytes()))
}

/// Who signs what comes down in a domain.
pub(crate) fn signer(domain: Domain) -> SigningKey {
    match domain {
        Domain::Order => key(2),
        Domain::Welcome => key(4),
        Domain::Trust => root(),
        Domain::Hello | Domain::Report | Domain::Output | Domain::Claim => identity(),
        Domain::Cancel | Domain::Receipt | Domain::OutputReceipt | Domain::ClaimReply | Domain::Tenure | Domain::Renewal => key(3),
    }
}

fn bundle() -> Vec<u8> {
    let keys = (1..=4).map(|seed| TrustKey::new(key(seed).verifying_key().to_bytes().into(), &format!("person {seed}")));
    let one = |role, key| RoleEntry { role, threshold: 1, keys: vec![key] };
    let roles = vec![one(Role::Root, 0), one(Role::Bridge, 2), one(Role::Freshness, 3)];
    let bundle = TrustBundle::beginning(keys.collect(), roles, vec![OperatorRule::any_of(Class::Command, vec![1])]);
    encode(&bundle)
}

/// The trust of a node of the fleet.
pub(crate) fn trust() -> &'static Trust {
    static TRUST: OnceLock<Trust> = OnceLock::new();
    TRUST.get_or_init(|| {
        let body = bundle();
        let envelope = seal(Domain::Trust, &body, &[&root()]);
        Trust::from_pinned(&flotilla_protocol::sha256(&[&body]), [envelope.as_slice()]).expect("a bundle of fixed keys is sound")
    })
}

/// A node that is about to read its journal.
pub(crate) fn recovery() -> Recovery {
    Recovery::new(Settings {
        identity: identity(),
        trust: trust().clone().into(),
        boot: BootId([7; 16]),
        facts: Facts::default(),
        agent_version: [0, 1, 0],
        maximum_jobs: 2,
        first_floor_ms: NOW_MS - 1000,
    })
    .with_telemetry(Telemetry { interval_ms: 60_000, spool_bytes: 1500, restarts: None })
}
