//! Attacks on trust: each has a name, changes one thing of a chain of bundles that a node would follow, and must be refused with its reason.
//!
//! The fleet: bundle 1 has the roots a, b and c, of whom two sign. Bundle 2 replaces all three by h, i and j, of whom again two sign. What a
//! node does is `Trust::from_pinned` and then `Trust::is_expired`; [`judge`] is that. To add an attack: a line in the family it belongs to.

use crate::messages::{NOW_MS, with_signature};
use ed25519_dalek::{Signer as _, SigningKey};
use flotilla_protocol::envelope::{Domain, Envelope, SignatureEntry, seal};
use flotilla_protocol::id::KeyId;
use flotilla_protocol::sha256;
use flotilla_protocol::signature::{PublicKey, SshHash, security_key_message, security_key_signature, ssh_frame, ssh_signature};
use flotilla_protocol::trust::{Class, OperatorRule, Role, RoleEntry, Trust, TrustBundle, TrustKey};
use flotilla_protocol::wire::encode;
use std::collections::BTreeSet;

/// Seeds of the keys of the fleet.
const OLD_ROOTS: [u8; 3] = [1, 2, 3];
const NEW_ROOTS: [u8; 3] = [8, 9, 10];
/// Release, freshness and bridge.
const OTHERS: [(u8, Role); 3] = [(5, Role::Release), (6, Role::Freshness), (7, Role::Bridge)];
/// May have commands run.
const OPERATOR: u8 = 4;
/// Of nobody in the fleet.
const STRANGER: u8 = 99;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Plain = 1,
    Ssh = 2,
    SecurityKey = 3,
}
const ALGORITHMS: [Algorithm; 3] = [Algorithm::Plain, Algorithm::Ssh, Algorithm::SecurityKey];

/// An attack: its name, what the node must say, and what it says.
struct Attack {
    name: String,
    expected: String,
    verdict: String,
}

fn secret(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn public(seed: u8, algorithm: Algorithm) -> PublicKey {
    let key = secret(seed).verifying_key().to_bytes();
    match algorithm {
        Algorithm::Plain => PublicKey::Ed25519(key),
        Algorithm::Ssh => PublicKey::Ssh(key),
        Algorithm::SecurityKey => PublicKey::SecurityKey { key, application: "ssh:".into() },
    }
}

fn named(seed: u8, algorithm: Algorithm, person: &str) -> TrustKey {
    TrustKey::new(public(seed, algorithm), person)
}

/// A bundle whose roots, of whom two sign, are of these seeds, each with a person of its own.
fn bundle(version: u32, previous: [u8; 32], roots: &[u8]) -> TrustBundle {
    let seeds = roots.iter().copied().chain(OTHERS.map(|(seed, _)| seed)).chain([OPERATOR]);
    let keys: Vec<_> = seeds.map(|seed| named(seed, Algorithm::Plain, &format!("person {seed}"))).collect();
    let count = u16::try_from(roots.len()).unwrap();
    let root = RoleEntry { role: Role::Root, threshold: 2, keys: (0..count).collect() };
    let others = (count..).zip(OTHERS).map(|(index, (_, role))| RoleEntry { role, threshold: 1, keys: vec![index] });
    let roles = [root].into_iter().chain(others).collect();
    let operator = count + u16::try_from(OTHERS.len()).unwrap();
    let rules = vec![OperatorRule::any_of(Class::Command, vec![operator])];
    let (expires_ms, epoch, minimum_agent_version) = (NOW_MS + 1000, 3, [0, 1, 0]);
    TrustBundle { version, previous, expires_ms, epoch, minimum_agent_version, ..TrustBundle::beginning(keys, roles, rules) }
}

fn hash(bundle: &TrustBundle) -> [u8; 32] {
    sha256(&[&encode(bundle)])
}

fn first() -> TrustBundle {
    bundle(1, [0; 32], &OLD_ROOTS)
}

fn second() -> TrustBundle {
    bundle(2, hash(&first()), &NEW_ROOTS)
}

fn second_with(change: impl FnOnce(&mut TrustBundle)) -> TrustBundle {
    let mut next = second();
    change(&mut next);
    next
}

/// Enough signatures for both bundles.
const ENOUGH: [u8; 4] = [1, 2, 8, 9];

fn sealed(bundle: &TrustBundle, seeds: &[u8]) -> Vec<u8> {
    sealed_body(&encode(bundle), seeds)
}

fn sealed_body(body: &[u8], seeds: &[u8]) -> Vec<u8> {
    let keys: Vec<_> = seeds.iter().map(|seed| secret(*seed)).collect();
    seal(Domain::Trust, body, &keys.iter().collect::<Vec<_>>())
}

fn signature(covered: &[u8], seed: u8, algorithm: Algorithm) -> Vec<u8> {
    let key = secret(seed);
    let frame = ssh_frame(SshHash::Sha512, covered);
    match algorithm {
        Algorithm::Plain => key.sign(covered).to_bytes().to_vec(),
        Algorithm::Ssh => ssh_signature(SshHash::Sha512, &key.sign(&frame).to_bytes()),
        Algorithm::SecurityKey => {
            let message = security_key_message(&sha256(&[b"ssh:"]), 1, [0; 4], &frame);
            security_key_signature(SshHash::Sha512, 1, [0; 4], &key.sign(&message).to_bytes())
        }
    }
}

/// An envelope with signatures by algorithm.
fn signed_by(bundle: &TrustBundle, signers: &[(u8, Algorithm)]) -> Vec<u8> {
    signers.iter().fold(sealed(bundle, &[]), |envelope, (seed, algorithm)| {
        let covered = Envelope::parse(&envelope, Domain::Trust).unwrap().covered();
        with_signature(&envelope, Domain::Trust, *algorithm as u8, &secret(*seed), &signature(&covered, *seed, *algorithm))
    })
}

/// What a node says of a chain that begins with this root, now.
fn judge(root: &TrustBundle, chain: &[Vec<u8>]) -> String {
    judge_at(root, chain, NOW_MS)
}

fn judge_at(root: &TrustBundle, chain: &[Vec<u8>], now_ms: u64) -> String {
    match Trust::from_pinned(&hash(root), chain.iter().map(Vec::as_slice)) {
        Ok(trust) if trust.is_expired(now_ms) => "Expired".into(),
        Ok(_) => "accepted".into(),
        Err(error) => format!("{error:?}"),
    }
}

/// A bundle 2 after the fleet's first.
fn successor(envelope: Vec<u8>) -> String {
    judge(&first(), &[sealed(&first(), &[1, 2]), envelope])
}

/// A bundle as the first of a fleet.
fn as_first(bundle: &TrustBundle, seeds: &[u8]) -> String {
    judge(bundle, &[sealed(bundle, seeds)])
}

fn attack(name: impl Into<String>, expected: &str, verdict: String) -> Attack {
    Attack { name: name.into(), expected: expected.into(), verdict }
}

const THRESHOLD: &str = "Threshold(Root)";
const MALFORMED: &str = "Envelope(Malformed)";

fn too_few_signatures() -> Vec<Attack> {
    let next = second();
    let mut all = Vec::new();
    for (what, seeds) in [
        ("nobody", vec![]),
        ("one old root", vec![1]),
        ("all old roots and no new one", vec![1, 2, 3]),
        ("all new roots and no old one", vec![8, 9, 10]),
        ("enough old roots and one new", vec![1, 2, 8]),
        ("all old roots and one new", vec![1, 2, 3, 10]),
        ("one old root and enough new", vec![1, 8, 9]),
        ("one old root and all new", vec![3, 8, 9, 10]),
        ("one old root and one new", vec![1, 8]),
        ("strangers", vec![STRANGER, 98]),
        ("one old root and a stranger", vec![1, STRANGER, 8, 9]),
        ("one new root and a stranger", vec![1, 2, 8, STRANGER]),
    ] {
        all.push(attack(format!("bundle 2 signed by {what}"), THRESHOLD, successor(sealed(&next, &seeds))));
    }
    for (seed, role) in OTHERS {
        all.push(attack(format!("the second old root is {role:?}"), THRESHOLD, successor(sealed(&next, &[1, seed, 8, 9]))));
        all.push(attack(format!("the second new root is {role:?}"), THRESHOLD, successor(sealed(&next, &[1, 2, 8, seed]))));
    }
    all.push(attack("the second old root is an operator", THRESHOLD, successor(sealed(&next, &[1, OPERATOR, 8, 9]))));
    all.push(attack("the second new root is an operator", THRESHOLD, successor(sealed(&next, &[1, 2, 8, OPERATOR]))));
    let everybody_else: Vec<u8> = OTHERS.iter().map(|(seed, _)| *seed).chain([OPERATOR]).collect();
    all.push(attack("everybody but the roots", THRESHOLD, successor(sealed(&next, &everybody_else))));
    for (what, seeds) in [("nobody", vec![]), ("one root", vec![1]), ("everybody but the roots", everybody_else)] {
        all.push(attack(format!("bundle 1 signed by {what}"), THRESHOLD, as_first(&first(), &seeds)));
    }
    for (algorithm, threshold) in ALGORITHMS.into_iter().flat_map(|algorithm| (2..=5_u8).map(move |threshold| (algorithm, threshold))) {
        let mut root = first();
        root.keys = (20..26).map(|seed| named(seed, algorithm, &format!("person {seed}"))).collect();
        root.roles = vec![RoleEntry { role: Role::Root, threshold, keys: (0..6).collect() }];
        root.rules.clear();
        let signers: Vec<_> = (20..20 + threshold - 1).map(|seed| (seed, algorithm)).collect();
        let verdict = judge(&root, &[signed_by(&root, &signers)]);
        all.push(attack(format!("one short of {threshold} by {algorithm:?}"), THRESHOLD, verdict));
        let lowered = TrustBundle {
            roles: vec![RoleEntry { threshold: 1, ..root.roles[0].clone() }],
            version: 2,
            previous: hash(&root),
            ..root.clone()
        };
        let all_six: Vec<_> = (20..26).map(|seed| (seed, algorithm)).collect();
        let verdict = judge(&root, &[signed_by(&root, &all_six), signed_by(&lowered, &signers)]);
        all.push(attack(format!("{} lower the threshold of {threshold} by {algorithm:?}", threshold - 1), THRESHOLD, verdict));
    }
    all
}

fn counted_twice() -> Vec<Attack> {
    let mut all = Vec::new();
    let next = second();
    all.push(attack("an old root's signature twice", MALFORMED, successor(sealed(&next, &[1, 1, 8, 9]))));
    all.push(attack("a new root's signature twice", MALFORMED, successor(sealed(&next, &[1, 2, 8, 8]))));
    for (left, right) in ALGORITHMS.into_iter().flat_map(|left| ALGORITHMS.map(|right| (left, right))) {
        let mut root = first();
        root.keys = vec![named(20, left, "ann"), named(21, right, "ann"), named(22, left, "bob")];
        root.roles = vec![RoleEntry { role: Role::Root, threshold: 2, keys: vec![0, 1, 2] }];
        root.rules.clear();
        let verdict = judge(&root, &[signed_by(&root, &[(20, left), (21, right)])]);
        all.push(attack(format!("two keys of one person, {left:?} and {right:?}"), THRESHOLD, verdict));
        // One secret, two entries, two persons.
        root.keys = vec![named(20, left, "ann"), named(20, right, "bob"), named(22, left, "cleo")];
        let mut signers = vec![(20, left)];
        signers.extend((left != right).then_some((20, right)));
        let verdict = judge(&root, &[signed_by(&root, &signers)]);
        all.push(attack(format!("one key of two persons, {left:?} and {right:?}"), "DuplicateKey", verdict));
    }
    let unknown = |person: &str| TrustKey::new(PublicKey::Unknown { algorithm: 200, bytes: vec![1] }, person);
    let twice = second_with(|next| next.keys.extend([unknown("x"), unknown("y")]));
    all.push(attack("an unknown key twice", "DuplicateKey", successor(sealed(&twice, &ENOUGH))));
    let listed_twice = second_with(|next| next.roles[0].keys = vec![0, 0, 1, 2]);
    all.push(attack("a root listed twice", "Unusable", successor(sealed(&listed_twice, &ENOUGH))));
    let other_applications = {
        let key = secret(20).verifying_key().to_bytes();
        let with = |application: &str, person| TrustKey::new(PublicKey::SecurityKey { key, application: application.into() }, person);
        second_with(|next| next.keys.extend([with("ssh:", "x"), with("ssh:y", "y")]))
    };
    all.push(attack("a security key for two applications", "DuplicateKey", successor(sealed(&other_applications, &ENOUGH))));
    all
}

fn wrong_versions() -> Vec<Attack> {
    let mut all = Vec::new();
    let chain = [sealed(&first(), &[1, 2]), sealed(&second(), &ENOUGH)];
    for version in [1, 3, 4, 100, u32::MAX] {
        let expected = format!("Version {{ expected: 2, found: {version} }}");
        let next = second_with(|next| next.version = version);
        all.push(attack(format!("version {version} where 2 is due"), &expected, successor(sealed(&next, &ENOUGH))));
    }
    let zero = second_with(|next| next.version = 0);
    let expected = "Body(BeyondLimit(\"the version of a trust bundle\"))";
    all.push(attack("version 0", expected, successor(sealed(&zero, &ENOUGH))));
    all.push(attack("rollback to bundle 1", "Threshold(Root)", judge(&first(), &[&chain[..], &chain[..1]].concat())));
    let by_all = sealed(&first(), &[1, 2, 8, 9]);
    let expected = "Version { expected: 3, found: 1 }";
    all.push(attack("rollback to bundle 1, signed by all", expected, judge(&first(), &[&chain[..], &[by_all]].concat())));
    let expected = "Version { expected: 3, found: 2 }";
    all.push(attack("bundle 2 twice", expected, judge(&first(), &[&chain[..], &chain[1..]].concat())));
    all.push(attack("bundle 2 before bundle 1", "AnotherRoot", judge(&first(), &[chain[1].clone(), chain[0].clone()])));
    all.push(attack("bundle 2 as the first", "AnotherRoot", judge(&first(), &chain[1..])));
    let expected = "Version { expected: 1, found: 2 }";
    all.push(attack("bundle 2 pinned as the first", expected, judge(&second(), &chain[1..])));
    all.push(attack("no bundle", "Empty", judge(&first(), &[])));
    for (what, epoch) in [("by one", 2), ("to zero", 0)] {
        let next = second_with(|next| next.epoch = epoch);
        let expected = format!("Epoch {{ least: 3, found: {epoch} }}");
        all.push(attack(format!("the epoch is lowered {what}"), &expected, successor(sealed(&next, &ENOUGH))));
    }
    all
}

fn frozen() -> Vec<Attack> {
    let chain = |first: &TrustBundle, second: &TrustBundle| vec![sealed(first, &[1, 2]), sealed(second, &ENOUGH)];
    let old = first();
    let mut all = vec![
        attack("the only bundle has run out", "Expired", judge_at(&old, &[sealed(&old, &[1, 2])], NOW_MS + 2000)),
        attack("the only bundle runs out now", "Expired", judge_at(&old, &[sealed(&old, &[1, 2])], NOW_MS + 1000)),
        attack("the successor is withheld until the first has run out", "Expired", judge_at(&old, &chain(&old, &second())[..1], u64::MAX)),
        attack("the newest of two has run out", "Expired", judge_at(&old, &chain(&old, &second()), NOW_MS + 1000)),
    ];
    for (what, expires_ms) in [("never counted", 0), ("has run out a moment ago", NOW_MS - 1), ("runs out now", NOW_MS)] {
        let next = second_with(|next| next.expires_ms = expires_ms);
        all.push(attack(format!("a successor that {what}"), "Expired", judge(&old, &chain(&old, &next))));
    }
    all
}

fn other_histories() -> Vec<Attack> {
    const FOREIGN: &str = "AnotherPredecessor";
    // The same people have another fleet.
    let sister = TrustBundle { epoch: 0, ..first() };
    let of_sister = bundle(2, hash(&sister), &NEW_ROOTS);
    let mut all = vec![
        attack("bundle 1 of another fleet of the same people", "AnotherRoot", judge(&first(), &[sealed(&sister, &[1, 2])])),
        attack("bundle 2 of another fleet of the same people", FOREIGN, successor(sealed(&of_sister, &ENOUGH))),
        attack("bundle 1 of strangers", "AnotherRoot", judge(&first(), &[sealed(&bundle(1, [0; 32], &[97, 98, 99]), &[97, 98])])),
        attack("bundle 2 of strangers", THRESHOLD, successor(sealed(&bundle(2, hash(&first()), &[97, 98, 99]), &[97, 98]))),
    ];
    for (what, previous) in [
        ("nothing", [0; 32]),
        ("an arbitrary hash", [7; 32]),
        ("itself, as it would be", hash(&second())),
        ("the envelope of bundle 1 and not its body", sha256(&[&sealed(&first(), &[1, 2])])),
        ("almost the right bundle", {
            let mut hash = hash(&first());
            hash[31] ^= 1;
            hash
        }),
    ] {
        let next = second_with(|next| next.previous = previous);
        all.push(attack(format!("bundle 2 follows {what}"), FOREIGN, successor(sealed(&next, &ENOUGH))));
    }
    // Both bundles 2 were signed; the node has one of them, and is sent a bundle 3 after the other.
    let fork = second_with(|next| next.minimum_agent_version = [9, 0, 0]);
    let third = bundle(3, hash(&fork), &NEW_ROOTS);
    let chain = [sealed(&first(), &[1, 2]), sealed(&second(), &ENOUGH), sealed(&third, &[8, 9])];
    all.push(attack("bundle 3 of the other side of a fork", FOREIGN, judge(&first(), &chain)));
    let after_first = bundle(3, hash(&first()), &NEW_ROOTS);
    let chain = [sealed(&first(), &[1, 2]), sealed(&second(), &ENOUGH), sealed(&after_first, &[8, 9])];
    all.push(attack("bundle 3 follows bundle 1", FOREIGN, judge(&first(), &chain)));
    let begun = TrustBundle { previous: [7; 32], ..first() };
    all.push(attack("bundle 1 follows something", FOREIGN, as_first(&begun, &[1, 2])));
    all
}

/// Chains of six bundles, in which everybody is replaced each time.
fn chains() -> Vec<Attack> {
    let roots = |version: u32| {
        let base = u8::try_from(version * 3 + 40).unwrap();
        [base, base + 1, base + 2]
    };
    let mut bundles: Vec<TrustBundle> = Vec::new();
    for version in 1..=6 {
        let previous = bundles.last().map_or([0; 32], hash);
        bundles.push(bundle(version, previous, &roots(version)));
    }
    let two = |version: u32| roots(version)[..2].to_vec();
    let envelope = |version: u32| {
        let before = if version > 1 { two(version - 1) } else { Vec::new() };
        sealed(&bundles[usize::try_from(version).unwrap() - 1], &[before, two(version)].concat())
    };
    let good: Vec<Vec<u8>> = (1..=6).map(envelope).collect();
    assert_eq!(judge(&bundles[0], &good), "accepted");
    let mut all = Vec::new();
    for version in 2..=6_u32 {
        let index = usize::try_from(version).unwrap() - 1;
        let with = |envelope: Vec<u8>| {
            let mut chain = good.clone();
            chain[index] = envelope;
            judge(&bundles[0], &chain)
        };
        let one_side = |seeds: &[u8]| with(sealed(&bundles[index], seeds));
        all.push(attack(format!("bundle {version} of a chain by its old roots only"), THRESHOLD, one_side(&two(version - 1))));
        all.push(attack(format!("bundle {version} of a chain by its new roots only"), THRESHOLD, one_side(&two(version))));
        let with_first = [two(1), two(version)].concat();
        if version > 2 {
            all.push(attack(format!("bundle {version} of a chain by the roots of bundle 1"), THRESHOLD, one_side(&with_first)));
        }
        if version < 6 {
            let mut left_out = good.clone();
            left_out.remove(index);
            all.push(attack(format!("a chain without bundle {version}"), THRESHOLD, judge(&bundles[0], &left_out)));
            let mut swapped = good.clone();
            swapped.swap(index, index + 1);
            all.push(attack(format!("bundles {version} and {} of a chain swapped", version + 1), THRESHOLD, judge(&bundles[0], &swapped)));
        }
        let expected = format!("Version {{ expected: {}, found: {version} }}", version + 1);
        let mut repeated = good.clone();
        // Its own roots and those before have signed it, so only its version tells.
        repeated.insert(index + 1, sealed(&bundles[index], &[two(version), two(version - 1)].concat()));
        all.push(attack(format!("bundle {version} of a chain twice"), &expected, judge(&bundles[0], &repeated)));
    }
    // The people of bundle 1, whose keys were stolen after they had been replaced, want their fleet back.
    let back = bundle(7, hash(&bundles[5]), &roots(1));
    let chain = [good.clone(), vec![sealed(&back, &[two(1), vec![roots(1)[2]]].concat())]].concat();
    all.push(attack("revoked roots put themselves back", THRESHOLD, judge(&bundles[0], &chain)));
    let chain = [good.clone(), vec![sealed(&back, &[two(1), vec![roots(6)[0]]].concat())]].concat();
    all.push(attack("revoked roots put themselves back with one of today's", THRESHOLD, judge(&bundles[0], &chain)));
    all
}

fn unusable_roles() -> Vec<Attack> {
    const UNUSABLE: &str = "Unusable";
    let mut all = Vec::new();
    let mut add = |name: String, change: &dyn Fn(&mut TrustBundle)| {
        all.push(attack(name, UNUSABLE, successor(sealed(&second_with(|next| change(next)), &ENOUGH))));
    };
    add("no root role".into(), &|next| drop(next.roles.remove(0)));
    add("a root threshold of 0".into(), &|next| next.roles[0].threshold = 0);
    add("a root threshold beyond the persons".into(), &|next| next.roles[0].threshold = 4);
    add("a root threshold that one person with two keys would reach".into(), &|next| {
        next.keys[1].person = next.keys[0].person.clone();
        next.roles[0].threshold = 3;
    });
    add("a root role without keys".into(), &|next| next.roles[0].keys.clear());
    add("the root role twice".into(), &|next| next.roles.push(RoleEntry { threshold: 1, ..next.roles[0].clone() }));
    add("a root key that is not there".into(), &|next| next.roles[0].keys.push(7));
    add("a root key far away".into(), &|next| next.roles[0].keys.push(u16::MAX));
    for (index, (_, role)) in (1..).zip(OTHERS) {
        add(format!("{role:?} twice"), &|next| next.roles.push(next.roles[index].clone()));
        add(format!("a threshold of 0 for {role:?}"), &|next| next.roles[index].threshold = 0);
        add(format!("a threshold of 2 for the one person of {role:?}"), &|next| next.roles[index].threshold = 2);
        add(format!("a key of {role:?} that is not there"), &|next| next.roles[index].keys = vec![0, 64]);
    }
    all
}

fn weak_keys() -> Vec<Attack> {
    use curve25519_dalek::constants::EIGHT_TORSION;
    let mut all = Vec::new();
    let mut add = |name: String, bytes: [u8; 32], algorithm: Algorithm| {
        let next = second_with(|next| {
            next.keys[2].public_key = match algorithm {
                Algorithm::Plain => PublicKey::Ed25519(bytes),
                Algorithm::Ssh => PublicKey::Ssh(bytes),
                Algorithm::SecurityKey => PublicKey::SecurityKey { key: bytes, application: "ssh:".into() },
            };
        });
        all.push(attack(name, "WeakKey", successor(sealed(&next, &ENOUGH))));
    };
    for (index, point) in EIGHT_TORSION.iter().enumerate() {
        let algorithm = ALGORITHMS[index % 3];
        add(format!("a {algorithm:?} key of small order, {index}"), point.compress().0, algorithm);
    }
    let honest = secret(10).verifying_key().to_edwards();
    for (index, point) in EIGHT_TORSION.iter().enumerate().skip(1) {
        let algorithm = ALGORITHMS[index % 3];
        add(format!("an honest {algorithm:?} key with a part of small order, {index}"), (honest + point).compress().0, algorithm);
    }
    for algorithm in ALGORITHMS {
        add(format!("a {algorithm:?} key of zeros"), [0; 32], algorithm);
        add(format!("a {algorithm:?} key beyond the field"), [0xff; 32], algorithm);
    }
    all
}

fn wrong_signatures() -> Vec<Attack> {
    let mut all = Vec::new();
    let next = second();
    // What the roots sign for another purpose is worth nothing here, with its own label and with ours.
    for domain in Domain::ALL.into_iter().filter(|domain| *domain != Domain::Trust) {
        let keys: Vec<_> = ENOUGH.iter().map(|seed| secret(*seed)).collect();
        let mut envelope = seal(domain, &encode(&next), &keys.iter().collect::<Vec<_>>());
        let expected = format!("Envelope(Domain({}))", domain as u8);
        all.push(attack(format!("signed and labelled as {domain:?}"), &expected, successor(envelope.clone())));
        envelope[3] = Domain::Trust as u8;
        all.push(attack(format!("signed as {domain:?}, labelled as trust"), THRESHOLD, successor(envelope)));
    }
    // Keys of each algorithm, signatures of each other.
    for (registered, used) in ALGORITHMS.into_iter().flat_map(|registered| ALGORITHMS.map(|used| (registered, used))) {
        if registered == used {
            continue;
        }
        let mut root = first();
        root.keys[1].public_key = public(2, registered);
        let verdict = judge(&root, &[signed_by(&root, &[(1, Algorithm::Plain), (2, used)])]);
        all.push(attack(format!("a key of {registered:?} signs by {used:?}"), THRESHOLD, verdict));
        let envelope = signed_by(&root, &[(1, Algorithm::Plain)]);
        let covered = Envelope::parse(&envelope, Domain::Trust).unwrap().covered();
        let relabelled = with_signature(&envelope, Domain::Trust, registered as u8, &secret(2), &signature(&covered, 2, used));
        all.push(attack(format!("a signature by {used:?} is called {registered:?}"), THRESHOLD, judge(&root, &[relabelled])));
    }
    let add = |envelope: &[u8], seed: u8, id: u8, algorithm: u8| {
        let parsed = Envelope::parse(envelope, Domain::Trust).unwrap();
        let bytes = signature(&parsed.covered(), seed, Algorithm::Plain);
        let key = KeyId::of_key(secret(id).verifying_key().as_bytes());
        parsed.with_signature(SignatureEntry { algorithm, key, bytes: &bytes }).unwrap()
    };
    let short = sealed(&next, &[1, 8, 9]);
    all.push(attack("a stranger's signature under a root's name", THRESHOLD, successor(add(&short, STRANGER, 2, 1))));
    all.push(attack("a root's signature under a stranger's name", THRESHOLD, successor(add(&short, 2, STRANGER, 1))));
    all.push(attack("a root's signature under another root's name", THRESHOLD, successor(add(&short, 1, 2, 1))));
    all.push(attack("a root's signature by an unknown algorithm", THRESHOLD, successor(add(&short, 2, 2, 200))));
    all.push(attack("a root's signature by algorithm 0", THRESHOLD, successor(add(&short, 2, 2, 0))));
    let of_another = sealed(&second_with(|next| next.epoch += 1), &ENOUGH);
    let signatures = of_another.len() - encode(&next).len();
    let moved = [&of_another[..signatures], &encode(&next)].concat();
    all.push(attack("the signatures of another bundle", THRESHOLD, successor(moved)));
    let body = encode(&next).len();
    let mut flipped = sealed(&next, &ENOUGH);
    let begin = flipped.len() - body;
    flipped[begin + 40] ^= 1;
    all.push(attack("a bit of the body", THRESHOLD, successor(flipped)));
    let mut zeroed = sealed(&next, &ENOUGH);
    zeroed[16..80].fill(0);
    all.push(attack("a signature of zeros", THRESHOLD, successor(zeroed)));
    let mut many = sealed(&next, &ENOUGH);
    many[4] = 17;
    all.push(attack("seventeen signatures", "Envelope(BeyondLimit)", successor(many)));
    let unknown_roots = {
        let mut next = second_with(|next| {
            for (index, key) in (0..).zip(&mut next.keys).take(3) {
                key.public_key = PublicKey::Unknown { algorithm: 200, bytes: vec![index] };
            }
        });
        next.roles[0].threshold = 2;
        next
    };
    all.push(attack("roots by an unknown algorithm", THRESHOLD, successor(sealed(&unknown_roots, &[1, 2]))));
    all
}

fn malformed() -> Vec<Attack> {
    let good = encode(&second());
    let body = |body: &[u8]| successor(sealed_body(body, &ENOUGH));
    let mut all = vec![
        attack("a byte after the body", "Body(TrailingBytes)", body(&[good.as_slice(), &[0]].concat())),
        attack("the body cut by a byte", "Body(Malformed)", body(&good[..good.len() - 1])),
        attack("an empty body", "Body(Malformed)", body(&[])),
        attack("no envelope", MALFORMED, successor(Vec::new())),
        attack("not an envelope", MALFORMED, successor(b"bundle".to_vec())),
        attack("a body of 64 KiB and more", "Body(TooLarge)", body(&vec![1; 65_537])),
        attack(
            "extensions that are not there",
            "Body(Malformed)",
            body(&{
                let mut bytes = good.clone();
                *bytes.last_mut().unwrap() = 5;
                bytes
            }),
        ),
    ];
    let mut beyond = |name: &str, what: &str, change: &dyn Fn(&mut TrustBundle)| {
        let next = second_with(|next| change(next));
        all.push(attack(name, &format!("Body(BeyondLimit(\"{what}\"))"), successor(sealed(&next, &ENOUGH))));
    };
    beyond("a person without a name", "the name of a person", &|next| next.keys[0].person.clear());
    beyond("a person with a long name", "the name of a person", &|next| next.keys[0].person = "x".repeat(129));
    beyond("no keys", "the number of keys of a trust bundle", &|next| next.keys.clear());
    beyond("no roles", "the number of roles of a trust bundle", &|next| next.roles.clear());
    beyond("65 keys", "the number of keys of a trust bundle", &|next| next.keys = vec![next.keys[0].clone(); 65]);
    beyond("33 roles", "the number of roles of a trust bundle", &|next| next.roles = vec![next.roles[0].clone(); 33]);
    beyond("a role with 65 keys", "the number of keys of a role", &|next| next.roles[0].keys = vec![0; 65]);
    all
}

fn attacks() -> Vec<Attack> {
    let families = [
        too_few_signatures(),
        counted_twice(),
        wrong_versions(),
        frozen(),
        other_histories(),
        chains(),
        unusable_roles(),
        weak_keys(),
        wrong_signatures(),
        malformed(),
    ];
    families.into_iter().flatten().collect()
}

#[test]
fn no_attack_on_trust_is_accepted() {
    let attacks = attacks();
    let wrong: Vec<String> = attacks
        .iter()
        .filter(|attack| attack.verdict != attack.expected)
        .map(|attack| format!("{}: expected {}, and the node says {}", attack.name, attack.expected, attack.verdict))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(attacks.iter().all(|attack| attack.expected != "accepted"));
    let names: BTreeSet<&str> = attacks.iter().map(|attack| attack.name.as_str()).collect();
    assert_eq!(names.len(), attacks.len(), "two attacks have one name");
    assert!(names.len() >= 120, "{} attacks", names.len());
}

#[test]
fn the_chains_without_a_fault_are_accepted() {
    assert_eq!(successor(sealed(&second(), &ENOUGH)), "accepted");
    assert_eq!(as_first(&first(), &[1, 2]), "accepted");
    assert_eq!(as_first(&first(), &[1, 2, 3]), "accepted");
    // Only the newest must not have run out, the epoch may rise, and the version of the agent may fall.
    let old = TrustBundle { expires_ms: 1, ..first() };
    let mut next = bundle(2, hash(&old), &NEW_ROOTS);
    (next.epoch, next.minimum_agent_version) = (9, [0, 0, 0]);
    assert_eq!(judge(&old, &[sealed(&old, &[1, 2]), sealed(&next, &ENOUGH)]), "accepted");
    for algorithm in ALGORITHMS {
        let mut root = first();
        root.keys[1].public_key = public(2, algorithm);
        assert_eq!(judge(&root, &[signed_by(&root, &[(1, Algorithm::Plain), (2, algorithm)])]), "accepted");
    }
    // A role of the future is carried.
    let next = second_with(|next| next.roles.push(RoleEntry { role: Role::Unknown(90), threshold: 1, keys: vec![0] }));
    assert_eq!(successor(sealed(&next, &ENOUGH)), "accepted");
    // A key of an unknown algorithm beside enough known ones changes nothing.
    let unknown = TrustKey::new(PublicKey::Unknown { algorithm: 200, bytes: vec![1] }, "future");
    let next = second_with(|next| {
        next.keys.push(unknown);
        next.roles[0].keys.push(7);
    });
    assert_eq!(successor(sealed(&next, &ENOUGH)), "accepted");
}

#[test]
fn of_all_sets_of_roots_exactly_those_with_both_thresholds_count() {
    let roots = [OLD_ROOTS, NEW_ROOTS].concat();
    let mut accepted = 0;
    for set in 0..1_u32 << roots.len() {
        let signers: Vec<u8> = roots.iter().enumerate().filter(|(index, _)| set >> index & 1 == 1).map(|(_, seed)| *seed).collect();
        let enough = |side: [u8; 3]| signers.iter().filter(|seed| side.contains(seed)).count() >= 2;
        let verdict = successor(sealed(&second(), &signers));
        assert_eq!(verdict == "accepted", enough(OLD_ROOTS) && enough(NEW_ROOTS), "{signers:?}: {verdict}");
        accepted += u32::from(verdict == "accepted");
    }
    assert_eq!(accepted, 16);
}
