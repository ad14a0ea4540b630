//! Attacks on operator rules: an order that two persons must sign, changed field by field, and bundles whose rules would give too much.

use crate::messages::{self, NOW_MS, with_signature};
use crate::quorum::{signed, trust};
use ed25519_dalek::SigningKey;
use flotilla_protocol::capability::OrderPayload;
use flotilla_protocol::envelope::{Domain, Envelope, seal};
use flotilla_protocol::id::{FleetId, NodeId, OrderId};
use flotilla_protocol::order::{OnCrash, OrderBody, Targets};
use flotilla_protocol::trust::{
    Asked, Class, Label, Labels, MAXIMUM_RULES, NodeLabels, NotAuthorised, OperatorRule, RuleFault, Trust, TrustBundle, TrustError,
    TrustKey, Window,
};
use flotilla_protocol::wire::{DecodeError, Payload, decode, encode};

const ANN: u8 = 1;
const BOB: u8 = 2;
const MALLORY: u8 = 66;

type ChangeOfOrder = fn(&mut OrderBody);
type ChangeOfBundle<'a> = &'a dyn Fn(&mut TrustBundle);

fn secret(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn key(seed: u8, person: &str) -> TrustKey {
    TrustKey::new(secret(seed).verifying_key().to_bytes().into(), person)
}

fn label(key: &str, value: &str) -> Label {
    Label { key: key.into(), value: value.into() }
}

/// Ann and Bob together may have commands run; Bob alone may patch; Ann alone, in Berlin, may open sessions.
fn rules() -> Vec<OperatorRule> {
    vec![
        OperatorRule { threshold: 2, approvals: 1, ..OperatorRule::any_of(Class::Command, vec![0, 1]) },
        OperatorRule::any_of(Class::Patch, vec![1]),
        OperatorRule { scope: vec![label("site", "berlin")], ..OperatorRule::any_of(Class::Session, vec![0]) },
    ]
}

fn fleet() -> Trust {
    trust(vec![key(ANN, "Ann"), key(BOB, "Bob")], rules())
}

fn order() -> OrderBody {
    OrderBody { requester: "Ann".into(), ..messages::order() }
}

fn sealed(body: &OrderBody, seeds: &[u8]) -> Vec<u8> {
    let keys: Vec<_> = seeds.iter().map(|seed| secret(*seed)).collect();
    seal(Domain::Order, &encode(body), &keys.iter().collect::<Vec<_>>())
}

/// What a node does with an envelope: class and requester are what the body says, and nothing else.
fn judge(trust: &Trust, bytes: &[u8]) -> bool {
    let Ok(envelope) = Envelope::parse(bytes, Domain::Order) else { return false };
    let Ok(order) = decode::<OrderBody>(envelope.body()) else { return false };
    let Some(class) = order.payload().ok().and_then(|payload| payload.class()) else { return false };
    let asked = Asked { class, requester: &order.requester, labels: Some(&Labels::default()), time_ms: Some(NOW_MS) };
    trust.authorise(&trust.signers(&envelope), &asked).is_ok()
}

#[test]
fn every_field_of_an_order_is_covered_by_both_signatures() {
    let trust = fleet();
    let good = sealed(&order(), &[ANN, BOB]);
    assert!(judge(&trust, &good));
    let changes: [(&str, ChangeOfOrder); 12] = [
        ("id", |order| order.id = OrderId([9; 16])),
        ("fleet", |order| order.fleet = FleetId([9; 8])),
        ("targets", |order| order.targets = Targets { count: 2, ..order.targets }),
        ("root of the targets", |order| order.targets.root = [9; 32]),
        ("requester", |order| order.requester = "Dan".into()),
        ("lane", |order| order.lane += 1),
        ("sequence", |order| order.sequence += 1),
        ("epoch", |order| order.epoch += 1),
        ("begin and end", |order| {
            order.not_before_ms += 1;
            order.not_after_ms += 1;
        }),
        ("minimum trust version", |order| order.minimum_trust_version += 1),
        ("what happens after a crash", |order| order.on_crash = OnCrash::Resume),
        ("payload", |order| order.payload = OrderPayload::Unsupported(7).encode()),
    ];
    for (what, change) in changes {
        let mut changed = order();
        change(&mut changed);
        assert_ne!(changed, order(), "{what}");
        let signatures = good.len() - encode(&order()).len();
        let moved = [&good[..signatures], &encode(&changed)].concat();
        assert!(!judge(&trust, &moved), "both signatures of another {what}");
        // Ann signs the changed one herself; Bob's signature is that of the order that he has read.
        let bobs = Envelope::parse(&good, Domain::Order).unwrap().signatures()[1].bytes.to_vec();
        let half = with_signature(&sealed(&changed, &[ANN]), Domain::Order, 1, &secret(BOB), &bobs);
        assert!(!judge(&trust, &half), "one signature of another {what}");
    }
}

#[test]
fn one_person_is_never_two() {
    let trust = fleet();
    let good = sealed(&order(), &[ANN, BOB]);
    let parsed = Envelope::parse(&good, Domain::Order).unwrap();
    let (anns, bobs) = (parsed.signatures()[0].bytes.to_vec(), parsed.signatures()[1].bytes.to_vec());
    let by_ann = sealed(&order(), &[ANN]);
    for (what, envelope) in [
        ("Ann alone", by_ann.clone()),
        ("Bob alone", sealed(&order(), &[BOB])),
        ("nobody", sealed(&order(), &[])),
        ("Ann and a stranger", sealed(&order(), &[ANN, MALLORY])),
        ("Ann's signature under Bob's name", with_signature(&by_ann, Domain::Order, 1, &secret(BOB), &anns)),
        ("Bob's signature under a stranger's name", with_signature(&by_ann, Domain::Order, 1, &secret(MALLORY), &bobs)),
        ("Bob's signature by another algorithm", with_signature(&by_ann, Domain::Order, 2, &secret(BOB), &bobs)),
        ("Bob's signature as a session MAC", with_signature(&by_ann, Domain::Order, 4, &secret(BOB), &bobs)),
        ("the root and Ann", sealed(&order(), &[ANN, 100])),
    ] {
        assert!(!judge(&trust, &envelope), "{what}");
    }
    let mut twice = vec![b'F', b'L', good[2], Domain::Order as u8, 2];
    let entry = &good[5..5 + 11 + 64];
    twice.extend_from_slice(&[entry, entry, parsed.body()].concat());
    assert!(!judge(&trust, &twice), "Ann's signature twice");
}

#[test]
fn the_requester_approves_nothing_however_it_is_written() {
    let keys = || vec![key(ANN, "Ann"), key(BOB, "Bob")];
    let one_other = OperatorRule { threshold: 1, approvals: 1, ..OperatorRule::any_of(Class::Command, vec![0, 1]) };
    let trust = trust(keys(), vec![one_other]);
    for requester in ["Ann", "ann", "ANN", " Ann "] {
        let order = OrderBody { requester: requester.into(), ..order() };
        assert!(!judge(&trust, &sealed(&order, &[ANN])), "{requester:?} for herself");
        assert!(judge(&trust, &sealed(&order, &[BOB])), "{requester:?} with Bob");
    }
}

#[test]
fn the_class_is_that_of_the_payload() {
    let trust = fleet();
    // Bob alone may patch. A command that he signs alone is a command.
    assert!(!judge(&trust, &sealed(&order(), &[BOB])));
    let sealed = signed(&[BOB]);
    let signers = trust.signers(&Envelope::parse(&sealed, Domain::Order).unwrap());
    let allowed = |class| trust.authorise(&signers, &Asked { class, requester: "x", labels: None, time_ms: None }).is_ok();
    for class in Class::ALL.iter().copied().chain([Class::Unknown(0), Class::Unknown(77)]) {
        assert_eq!(allowed(class), class == Class::Patch, "{class:?}");
    }
    assert!(trust.has_operator(&signers, None) && trust.has_operator(&signers, Some(Class::Command)));
    assert!(!trust.has_operator(&signers, Some(Class::SelfUpdate)));
}

fn session(trust: &Trust, labels: &Labels) -> Result<String, NotAuthorised> {
    let sealed = signed(&[ANN]);
    let signers = trust.signers(&Envelope::parse(&sealed, Domain::Order).unwrap());
    let asked = Asked { class: Class::Session, requester: "Ann", labels: Some(labels), time_ms: Some(NOW_MS) };
    trust.authorise(&signers, &asked).map(|authorised| authorised.rule)
}

#[test]
fn a_scope_goes_by_the_nodes_policy_and_the_roots_word_and_by_nothing_else() {
    let node = NodeId::of_key(&[1; 32]);
    let other = NodeId::of_key(&[2; 32]);
    let mut bundle = fleet().bundle().clone();
    bundle.labels = vec![NodeLabels { node, labels: vec![label("site", "paris")] }];
    let own = |value: &str| Labels::of_policy([label("site", value)]);
    let allowed = |labels: &Labels| session(&fleet(), labels).is_ok();
    for (what, labels, expected) in [
        ("no label", Labels::default(), false),
        ("its own", own("berlin"), true),
        ("another value", own("Berlin"), false),
        ("another key", Labels::of_policy([label("Site", "berlin")]), false),
        ("the root's word against its own", own("berlin").signed_over(&bundle, node), false),
        ("the root's word of another node", own("berlin").signed_over(&bundle, other), true),
    ] {
        assert_eq!(allowed(&labels), expected, "{what}");
    }
    bundle.labels = vec![NodeLabels { node, labels: vec![label("site", "berlin")] }];
    assert!(allowed(&Labels::default().signed_over(&bundle, node)), "the root's word");
    assert!(allowed(&own("paris").signed_over(&bundle, node)), "the root's word before its own");
    assert!(!allowed(&Labels::default().signed_over(&bundle, other)));
}

#[test]
fn a_key_counts_until_it_runs_out() {
    let end = |not_after_ms| TrustKey { not_after_ms: Some(not_after_ms), ..key(ANN, "Ann") };
    for (not_after_ms, counts) in [(NOW_MS + 1, true), (NOW_MS, false), (NOW_MS - 1, false), (0, false), (u64::MAX, true)] {
        let trust = trust(vec![end(not_after_ms), key(BOB, "Bob")], rules());
        let verdict = session(&trust, &Labels::of_policy([label("site", "berlin")]));
        assert_eq!(verdict.is_ok(), counts, "{not_after_ms}: {verdict:?}");
        assert_eq!(judge(&trust, &sealed(&order(), &[ANN, BOB])), counts);
        if let Err(error) = verdict {
            assert!(error.to_string().contains("the keys of Ann have run out"), "{error}");
        }
    }
}

#[test]
fn signers_of_one_bundle_are_nobody_in_another() {
    let one = fleet();
    let swapped = trust(vec![key(MALLORY, "Ann"), key(BOB, "Bob")], rules());
    let sealed = signed(&[ANN, BOB]);
    let signers = one.signers(&Envelope::parse(&sealed, Domain::Order).unwrap());
    let asked = Asked { class: Class::Command, requester: "Ann", labels: None, time_ms: None };
    assert!(one.authorise(&signers, &asked).is_ok());
    assert!(swapped.authorise(&signers, &asked).is_err());
    assert!(!swapped.has_operator(&signers, None));
}

#[test]
fn a_rule_with_a_condition_of_the_future_is_never_met() {
    let conditions = vec![Payload { kind: 1, body: vec![] }];
    let trust = trust(vec![key(ANN, "Ann")], vec![OperatorRule { conditions, ..OperatorRule::any_of(Class::Command, vec![0]) }]);
    assert!(!judge(&trust, &sealed(&order(), &[ANN])));
}

#[test]
fn bundles_with_unusable_rules_are_refused() {
    let first = |change: ChangeOfBundle<'_>| {
        let mut bundle = fleet().bundle().clone();
        change(&mut bundle);
        Trust::first(&encode(&bundle)).map(|_| ())
    };
    assert_eq!(first(&|_| ()), Ok(()));
    let fault = |index, fault| Err(TrustError::Rule { index, fault });
    let beyond = |what| Err(TrustError::Body(DecodeError::BeyondLimit(what)));
    let cases: [(&str, Result<(), TrustError>, ChangeOfBundle<'_>); 24] = [
        ("nobody signs", fault(0, RuleFault::NobodySigns), &|bundle| bundle.rules[0].threshold = 0),
        ("three of two", fault(0, RuleFault::Unreachable), &|bundle| bundle.rules[0].threshold = 3),
        ("three approvals of two", fault(0, RuleFault::Unreachable), &|bundle| bundle.rules[0].approvals = 3),
        ("two of one person with two keys", fault(0, RuleFault::Unreachable), &|bundle| bundle.keys[1].person = "Ann".into()),
        ("a key twice", fault(1, RuleFault::Keys), &|bundle| bundle.rules[1].keys = vec![1, 1]),
        ("a key that is not there", fault(1, RuleFault::Keys), &|bundle| bundle.rules[1].keys = vec![3]),
        ("a name twice", fault(1, RuleFault::Name), &|bundle| bundle.rules[1].name = bundle.rules[0].name.clone()),
        ("no keys", beyond("the number of keys of a rule"), &|bundle| bundle.rules[1].keys.clear()),
        ("no name", beyond("the name of a rule"), &|bundle| bundle.rules[1].name.clear()),
        ("a long name", beyond("the name of a rule"), &|bundle| bundle.rules[1].name = "x".repeat(65)),
        ("a name of two lines", beyond("the name of a rule"), &|bundle| bundle.rules[1].name = "a\nb".into()),
        ("a label twice", beyond("the labels of a trust bundle"), &|bundle| {
            bundle.rules[2].scope.push(label("site", "paris"));
        }),
        ("labels out of order", beyond("the labels of a trust bundle"), &|bundle| bundle.rules[2].scope.push(label("kind", "kiosk"))),
        ("a label without a key", beyond("the labels of a trust bundle"), &|bundle| bundle.rules[2].scope = vec![label("", "x")]),
        ("a label without a value", beyond("the labels of a trust bundle"), &|bundle| bundle.rules[2].scope = vec![label("x", "")]),
        ("17 labels", beyond("the labels of a trust bundle"), &|bundle| {
            bundle.rules[2].scope = (0..17).map(|number| label(&format!("{number:02}"), "x")).collect();
        }),
        ("no day", beyond("the hours of a rule"), &|bundle| {
            bundle.rules[1].hours = vec![Window { days: 0, from_minute: 0, to_minute: 1 }];
        }),
        ("an eighth day", beyond("the hours of a rule"), &|bundle| {
            bundle.rules[1].hours = vec![Window { days: 128, from_minute: 0, to_minute: 1 }];
        }),
        ("15 windows", beyond("the number of windows of a rule"), &|bundle| {
            bundle.rules[1].hours = vec![Window { days: 1, from_minute: 0, to_minute: 1 }; 15];
        }),
        ("9 conditions", beyond("the number of conditions of a rule"), &|bundle| {
            bundle.rules[1].conditions = vec![Payload { kind: 1, body: vec![] }; 9];
        }),
        ("65 rules", beyond("the number of rules of a trust bundle"), &|bundle| {
            bundle.rules = (0..=MAXIMUM_RULES)
                .map(|number| OperatorRule { name: number.to_string(), ..OperatorRule::any_of(Class::Patch, vec![0]) })
                .collect();
        }),
        ("a node with labels twice", beyond("the nodes with labels of a trust bundle"), &|bundle| {
            let entry = NodeLabels { node: NodeId::of_key(&[1; 32]), labels: vec![label("site", "berlin")] };
            bundle.labels = vec![entry.clone(), entry];
        }),
        ("17 extensions", beyond("the number of extensions of a trust bundle"), &|bundle| {
            bundle.extensions = vec![Payload { kind: 1, body: vec![] }; 17];
        }),
        ("a root key with an end", Err(TrustError::KeyWithAnEnd(flotilla_protocol::trust::Role::Root)), &|bundle| {
            bundle.keys[2].not_after_ms = Some(u64::MAX);
        }),
    ];
    for (what, expected, change) in cases {
        assert_eq!(first(change), expected, "{what}");
    }
}

#[test]
fn a_person_that_is_written_in_two_ways_is_no_second_one() {
    let first = |names: [&str; 2]| {
        let mut bundle = fleet().bundle().clone();
        for (key, name) in bundle.keys.iter_mut().zip(names) {
            key.person = name.into();
        }
        Trust::first(&encode(&bundle)).map(|_| ())
    };
    assert_eq!(first(["Ann", "Bob"]), Ok(()));
    assert_eq!(first(["Ann", "Ann"]), Err(TrustError::Rule { index: 0, fault: RuleFault::Unreachable }), "two keys of one person");
    for other in ["ann", "ANN", "aNn"] {
        assert_eq!(first(["Ann", other]), Err(TrustError::SimilarPersons), "{other}");
    }
    for other in ["Ann ", " Ann", "Ann\n", "An\u{1b}[2Kn", "\u{a0}Ann", ""] {
        assert_eq!(first(["Ann", other]), Err(TrustError::Body(DecodeError::BeyondLimit("the name of a person"))), "{other:?}");
    }
}
