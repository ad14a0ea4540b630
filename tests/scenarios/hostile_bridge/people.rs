//! The people who hold the fleet's keys, and the trust that names them. The attacker has none of these keys.

use ed25519_dalek::SigningKey;
use flotilla_protocol::envelope::{Domain, Envelope, seal};
use flotilla_protocol::id::NodeId;
use flotilla_protocol::trust::{Class, Label, NodeLabels, OperatorRule, Role, RoleEntry, TrustBundle, TrustKey, Window};
use flotilla_protocol::wire::{decode, encode};
use flotilla_tests::clock;

/// Their keys by name, in the order of the bundle. A digit at the end is a further key of the same person. Two of Rita, Rolf and Ruth are the
/// root; Ann, Bob, Cleo and Dora have commands run, two at a time who are not the one who asked. Dora's key has run out. Eva may alone, in
/// Berlin; Frank may alone, at hours that are not now; Gus may patch.
pub(crate) const NAMES: [&str; 12] = ["rita", "rita2", "rolf", "ruth", "ann", "ann2", "bob", "cleo", "dora", "eva", "frank", "gus"];

/// A person's key.
pub(crate) fn key(name: &str) -> SigningKey {
    SigningKey::from_bytes(&flotilla_protocol::sha256(&[b"drill", name.as_bytes()]))
}

/// Where a key stands in the bundles.
fn index(name: &str) -> u16 {
    u16::try_from(NAMES.iter().position(|known| *known == name).unwrap()).unwrap()
}

/// A bundle that follows another and names the people. `berlin` is the node that lies there. The keys of bridge and clock are those of before.
pub(crate) fn bundle_after(before: &[u8], berlin: NodeId) -> TrustBundle {
    let envelope = Envelope::parse(before, Domain::Trust).unwrap();
    let old: TrustBundle = decode(envelope.body()).unwrap();
    let named = |name: &&str| {
        let not_after_ms = (*name == "dora").then(|| clock::unix_ms() - 86_400_000);
        TrustKey { not_after_ms, ..TrustKey::new(key(name).verifying_key().to_bytes().into(), name.trim_end_matches('2')) }
    };
    let mut keys: Vec<TrustKey> = NAMES.iter().map(named).collect();
    let mut own = |role: Role| {
        let entry = old.roles.iter().find(|entry| entry.role == role).unwrap();
        keys.push(old.keys[usize::from(entry.keys[0])].clone());
        RoleEntry { role, threshold: 1, keys: vec![u16::try_from(keys.len() - 1).unwrap()] }
    };
    let mut roles = vec![own(Role::Freshness), own(Role::Bridge)];
    let roots: Vec<u16> = ["rita", "rita2", "rolf", "ruth"].map(index).to_vec();
    roles.extend([Role::Root, Role::Release].map(|role| RoleEntry { role, threshold: 2, keys: roots.clone() }));
    let of = |class, names: &[&str]| OperatorRule::any_of(class, names.iter().map(|name| index(name)).collect());
    let rules = vec![
        OperatorRule { threshold: 2, approvals: 2, ..of(Class::Command, &["ann", "ann2", "bob", "cleo", "dora"]) },
        OperatorRule { name: "berlin".to_owned(), scope: vec![in_berlin()], ..of(Class::Command, &["eva"]) },
        OperatorRule { name: "not now".to_owned(), hours: vec![not_now()], ..of(Class::Command, &["frank"]) },
        of(Class::Patch, &["gus"]),
    ];
    TrustBundle {
        version: old.version + 1,
        previous: flotilla_protocol::sha256(&[envelope.body()]),
        expires_ms: old.expires_ms,
        epoch: old.epoch,
        labels: vec![NodeLabels { node: berlin, labels: vec![in_berlin()] }],
        ..TrustBundle::beginning(keys, roles, rules)
    }
}

fn in_berlin() -> Label {
    Label { key: "site".to_owned(), value: "berlin".to_owned() }
}

/// One hour of one day, three days from now.
fn not_now() -> Window {
    let day = (clock::unix_ms() / 86_400_000 + 3 + 3) % 7;
    Window { days: 1 << day, from_minute: 60, to_minute: 120 }
}

/// A bundle as these people have signed it.
pub(crate) fn signed(bundle: &TrustBundle, by: &[&SigningKey]) -> Vec<u8> {
    seal(Domain::Trust, &encode(bundle), by)
}
