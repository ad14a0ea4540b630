//! Trust: older bundles, bundles that too few or the wrong keys have signed, and others' histories; by topic, and in a welcome that the stolen
//! freshness key has signed.

use super::people::{key, signed};
use super::stage::Stage;
use ed25519_dalek::SigningKey;
use flotilla_protocol::envelope::{Domain, Envelope};
use flotilla_protocol::topic::{DownKind, Topic};
use flotilla_protocol::trust::{Role, TrustBundle};
use flotilla_protocol::wire::{decode, encode};
use flotilla_tests::clock;

/// A bundle that no node may take, and for what it is refused; nothing where it is passed over as old, or as one that may come later.
type Bad = (&'static str, Vec<u8>, Option<&'static str>);

pub(crate) fn attack(stage: &mut Stage) {
    let bad = bundles(stage);
    let fleet = stage.fleet.id();
    for topic in [stage.down(0, DownKind::Trust), Topic::AllTrust { fleet }.to_string()] {
        for (what, bundle, reason) in &bad {
            stage.attack_by(
                &topic,
                0,
                &format!("{what}, on {}", if topic.contains("/all/") { "all" } else { "its own topic" }),
                bundle,
                *reason,
            );
        }
    }
    let _id = stage.works_on(0);
    let _counted = stage.hello(0);
    let freshness = stage.stolen["freshness"].clone();
    for (what, bundle, reason) in &bad {
        let hello = stage.anew(0);
        let before = reason.map(|reason| stage.said(0, reason));
        stage.welcome(&hello, clock::unix_ms(), std::slice::from_ref(bundle), &freshness);
        stage.tried(0, &format!("{what}, in a welcome"), *reason);
        let _id = stage.works_on(0);
        let after = reason.map(|reason| stage.said(0, reason));
        assert!(before.is_none() || before < after, "{what}: the node says why");
    }
    welcomes(stage);
    let hello = stage.hello(0);
    stage.welcome(&hello, clock::unix_ms(), &[], &freshness);
    let _id = stage.works_on(0);
}

fn bundles(stage: &Stage) -> Vec<Bad> {
    let of_version = |version| std::fs::read(stage.fleet.home().bundle(version)).unwrap();
    let body_of = |bytes: &[u8]| -> TrustBundle { decode(Envelope::parse(bytes, Domain::Trust).unwrap().body()).unwrap() };
    let (second, third) = (of_version(2), of_version(3));
    let hash = |bytes: &[u8]| flotilla_protocol::sha256(&[Envelope::parse(bytes, Domain::Trust).unwrap().body()]);
    // What the attacker wants: that one signature suffices, his.
    let mut wanted = TrustBundle { version: 4, previous: hash(&third), ..body_of(&third) };
    let bridge = wanted.roles.iter().find(|entry| entry.role == Role::Bridge).unwrap().keys[0];
    wanted.rules.iter_mut().for_each(|rule| (rule.keys, rule.threshold, rule.approvals) = (vec![bridge], 1, 0));
    let [rita, rita2, rolf] = ["rita", "rita2", "rolf"].map(key);
    let [bridge, freshness, old_root] = ["bridge", "freshness", "root"].map(|name| stage.stolen[name].clone());
    let by = |signers: &[&SigningKey]| signed(&wanted, signers);
    let honest = signed(&TrustBundle { version: 4, previous: hash(&third), ..body_of(&third) }, &[&rita, &rolf]);
    let mut changed = by(&[]);
    for entry in Envelope::parse(&honest, Domain::Trust).unwrap().signatures() {
        changed = Envelope::parse(&changed, Domain::Trust).unwrap().with_signature(*entry).unwrap();
    }
    // One that people once signed, in a history that the fleet did not take.
    let other = signed(&TrustBundle { expires_ms: body_of(&third).expires_ms - 1, ..body_of(&third) }, &[&rita, &rolf]);
    let of_other = signed(&TrustBundle { previous: hash(&other), ..wanted.clone() }, &[&rita, &rolf]);
    let mut ahead = wanted.clone();
    (ahead.version, ahead.previous) = (5, [5; 32]);
    vec![
        ("the bundle before", second, None),
        ("the first bundle", of_version(1), None),
        ("a bundle of this version of another history", other, None),
        ("a bundle of another history", of_other, Some("signature")),
        ("a bundle of one root", by(&[&rita]), Some("signature")),
        ("a bundle of two keys of one root", by(&[&rita, &rita2]), Some("signature")),
        ("a bundle that only the bridge signed", by(&[&bridge]), Some("signature")),
        ("a bundle of one root, the bridge and the clock", by(&[&rita, &bridge, &freshness]), Some("signature")),
        ("a bundle of the root of before", by(&[&old_root]), Some("signature")),
        ("a bundle of two operators", by(&[&key("ann"), &key("bob")]), Some("signature")),
        ("a bundle that was changed after it was signed", changed, Some("signature")),
        ("a bundle far ahead", signed(&ahead, &[&bridge]), None),
        ("no bundle", encode(&wanted), Some("malformed")),
    ]
}

/// Welcomes that are not the answer of who may answer.
fn welcomes(stage: &mut Stage) {
    let wrong = [("bridge", stage.stolen["bridge"].clone()), ("operator", stage.stolen["operator"].clone()), ("ann", key("ann"))];
    let (earlier, hello) = (stage.anew(0), stage.anew(0));
    let freshness = stage.stolen["freshness"].clone();
    for (name, signer) in wrong {
        stage.welcome(&hello, clock::unix_ms(), &[], &signer);
        stage.tried(0, &format!("a welcome signed by the key {name}"), Some("signature"));
    }
    stage.welcome(&earlier, clock::unix_ms(), &[], &freshness);
    stage.tried(0, "a welcome to an earlier hello", Some("unasked"));
    stage.welcome(&hello, clock::unix_ms(), &[], &freshness);
    stage.welcome(&hello, clock::unix_ms() + 1, &[], &freshness);
    stage.tried(0, "a second welcome to one hello", Some("unasked"));
    let _id = stage.works_on(0);
}
