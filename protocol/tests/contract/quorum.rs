//! Quorum: every set of approvers of several bundles, judged by the trust and by an oracle that counts in another way.
//!
//! The oracle knows nothing of bundles, indices and sets of names: it is given, for each rule, who holds which key and what is asked for, as
//! plain tables, and goes through the persons one by one.

use crate::messages::NOW_MS;
use ed25519_dalek::SigningKey;
use flotilla_protocol::envelope::{Domain, Envelope, seal};
use flotilla_protocol::trust::{Asked, Class, Label, Labels, OperatorRule, Role, RoleEntry, Trust, TrustBundle, TrustKey, Window};
use flotilla_protocol::wire::encode;
use proptest::collection::vec;
use proptest::prelude::*;

/// A key: its seed, who holds it, and when it runs out.
type Held = (u8, &'static str, Option<u64>);
/// A rule: which seeds, the threshold, the approvals, the scope.
type Wanted = (&'static [u8], u8, u8, &'static [(&'static str, &'static str)]);

const ALWAYS: Option<u64> = None;
/// A class that no rule of these bundles has.
const NO_RULE: Class = Class::Session;

struct Case {
    keys: &'static [Held],
    rules: &'static [Wanted],
    requesters: &'static [&'static str],
}

const CASES: [Case; 4] = [
    // One of three, or two, or all, each alone.
    Case {
        keys: &[(1, "Ann", ALWAYS), (2, "Bob", ALWAYS), (3, "Cleo", ALWAYS)],
        rules: &[(&[1, 2, 3], 2, 1, &[])],
        requesters: &["Ann", "ann", "Dan", ""],
    },
    // Ann has two keys, and one of Bob's has run out.
    Case {
        keys: &[(1, "Ann", ALWAYS), (2, "Ann", ALWAYS), (3, "Bob", Some(NOW_MS)), (4, "Bob", Some(NOW_MS + 1)), (5, "Cleo", ALWAYS)],
        rules: &[(&[1, 2, 3, 4, 5], 2, 2, &[])],
        requesters: &["Ann", "Bob", "Dan"],
    },
    // Ann alone in Berlin, Ann and Bob anywhere, Cleo alone where it is a kiosk.
    Case {
        keys: &[(1, "Ann", ALWAYS), (2, "Bob", ALWAYS), (3, "Cleo", ALWAYS), (4, "Dan", ALWAYS)],
        rules: &[(&[1], 1, 0, &[("site", "berlin")]), (&[1, 2], 2, 1, &[]), (&[3, 4], 1, 0, &[("kind", "kiosk"), ("site", "berlin")])],
        requesters: &["Ann", "Cleo"],
    },
    // Somebody else must agree, whoever it is; and four of five.
    Case {
        keys: &[(1, "Ann", ALWAYS), (2, "Bob", ALWAYS), (3, "Cleo", ALWAYS), (4, "Dan", ALWAYS), (5, "Eve", Some(NOW_MS - 1))],
        rules: &[(&[1, 2], 1, 1, &[]), (&[1, 2, 3, 4, 5], 4, 3, &[])],
        requesters: &["Ann", "Bob", "Eve"],
    },
];

const PLACES: [&[(&str, &str)]; 3] = [&[], &[("site", "berlin")], &[("kind", "kiosk"), ("site", "berlin")]];

fn secret(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn labels(of: &[(&str, &str)]) -> Vec<Label> {
    of.iter().map(|(key, value)| Label { key: (*key).into(), value: (*value).into() }).collect()
}

fn key_of((seed, person, not_after_ms): &Held) -> TrustKey {
    TrustKey { not_after_ms: *not_after_ms, ..TrustKey::new(secret(*seed).verifying_key().to_bytes().into(), person) }
}

pub(crate) fn trust(keys: Vec<TrustKey>, rules: Vec<OperatorRule>) -> Trust {
    let root = TrustKey::new(secret(100).verifying_key().to_bytes().into(), "root");
    let index = u16::try_from(keys.len()).unwrap();
    let roles = vec![RoleEntry { role: Role::Root, threshold: 1, keys: vec![index] }];
    let keys = keys.into_iter().chain([root]).collect();
    Trust::first(&encode(&TrustBundle::beginning(keys, roles, rules))).unwrap()
}

fn trust_of(case: &Case) -> Trust {
    let index = |seed: &u8| u16::try_from(case.keys.iter().position(|(held, ..)| held == seed).unwrap()).unwrap();
    let rules = case.rules.iter().enumerate().map(|(number, (seeds, threshold, approvals, scope))| OperatorRule {
        name: format!("rule {number}"),
        threshold: *threshold,
        approvals: *approvals,
        scope: labels(scope),
        ..OperatorRule::any_of(Class::Command, seeds.iter().map(index).collect())
    });
    trust(case.keys.iter().map(key_of).collect(), rules.collect())
}

/// Signs by these seeds.
pub(crate) fn signed(seeds: &[u8]) -> Vec<u8> {
    let keys: Vec<_> = seeds.iter().map(|seed| secret(*seed)).collect();
    seal(Domain::Order, b"an order", &keys.iter().collect::<Vec<_>>())
}

/// What the oracle says: for some rule, the node is where it should be, and walking through all names there are, enough have a living key
/// of the rule among those that signed.
fn oracle(case: &Case, signers: &[u8], requester: &str, place: &[(&str, &str)]) -> bool {
    let mut everybody: Vec<&str> = Vec::new();
    for (_, person, _) in case.keys {
        if !everybody.contains(person) {
            everybody.push(person);
        }
    }
    for (seeds, threshold, approvals, scope) in case.rules {
        let mut all = 0;
        let mut others = 0;
        for person in &everybody {
            let mut counts = false;
            for (seed, holder, end) in case.keys {
                let lives = end.is_none_or(|end| end > NOW_MS);
                counts |= holder == person && lives && seeds.contains(seed) && signers.contains(seed);
            }
            all += u8::from(counts);
            others += u8::from(counts && !person.eq_ignore_ascii_case(requester));
        }
        let is_here = scope.iter().all(|label| place.contains(label));
        if is_here && all >= *threshold && others >= *approvals {
            return true;
        }
    }
    false
}

#[test]
fn every_set_of_approvers_is_judged_as_the_oracle_judges_it() {
    let (mut cases, mut accepted) = (0, 0);
    for case in &CASES {
        let trust = trust_of(case);
        for set in 0..1_u32 << case.keys.len() {
            let signers: Vec<u8> =
                case.keys.iter().enumerate().filter(|(index, _)| set >> index & 1 == 1).map(|(_, (seed, ..))| *seed).collect();
            let sealed = signed(&signers);
            let envelope = Envelope::parse(&sealed, Domain::Order).unwrap();
            let found = trust.signers(&envelope);
            for (requester, place) in case.requesters.iter().flat_map(|requester| PLACES.map(|place| (*requester, place))) {
                let here = Labels::of_policy(labels(place));
                let asked = Asked { class: Class::Command, requester, labels: Some(&here), time_ms: Some(NOW_MS) };
                let verdict = trust.authorise(&found, &asked);
                let expected = oracle(case, &signers, requester, place);
                assert_eq!(verdict.is_ok(), expected, "{signers:?} for {requester:?} in {place:?}: {verdict:?}");
                assert!(trust.authorise(&found, &Asked { class: NO_RULE, ..asked }).is_err(), "another class");
                cases += 1;
                accepted += u32::from(expected);
            }
        }
    }
    assert!(cases >= 200, "{cases} cases");
    assert!(accepted > 50 && accepted < cases - 50, "{accepted} of {cases} are allowed: both sides are tried");
}

#[test]
fn what_is_missing_is_said_in_words() {
    let trust = trust_of(&CASES[0]);
    let said = |signers: &[u8], requester: &str| {
        let sealed = signed(signers);
        let signers = trust.signers(&Envelope::parse(&sealed, Domain::Order).unwrap());
        let asked = Asked { class: Class::Command, requester, labels: None, time_ms: None };
        trust.authorise(&signers, &asked).unwrap_err().to_string()
    };
    assert_eq!(
        said(&[1], "Ann"),
        "no rule allows this command order; rule \"rule 0\": 1 of 2 have signed (Ann), 1 more must sign of Bob, Cleo, \
         1 of them must not be who asked for it"
    );
    assert_eq!(
        said(&[], "Dan"),
        "no rule allows this command order; rule \"rule 0\": 0 of 2 have signed (nobody), 2 more must sign of Ann, Bob, Cleo, \
         1 of them must not be who asked for it"
    );
    let trust = trust_of(&CASES[2]);
    let sealed = signed(&[3]);
    let signers = trust.signers(&Envelope::parse(&sealed, Domain::Order).unwrap());
    let asked = Asked { class: Class::Command, requester: "Cleo", labels: Some(&Labels::default()), time_ms: Some(NOW_MS) };
    let error = trust.authorise(&signers, &asked).unwrap_err();
    assert!(error.is_for_other_nodes() && error.opens_at_ms().is_none());
    let words = error.to_string();
    assert!(words.contains("rule \"rule 2\": it is for nodes with kind=kiosk, which this one is not"), "{words}");
    let error = trust.authorise(&signers, &Asked { class: NO_RULE, ..asked }).unwrap_err();
    assert_eq!(error.to_string(), "no rule allows this session order: there is none for its class");
}

#[test]
fn persons_of_the_class_are_counted_over_all_rules_that_are_for_the_node() {
    let trust = trust_of(&CASES[2]);
    let sealed = signed(&[1, 2, 3]);
    let signers = trust.signers(&Envelope::parse(&sealed, Domain::Order).unwrap());
    let persons = |place: &[(&str, &str)]| {
        let here = Labels::of_policy(labels(place));
        let asked = Asked { class: Class::Command, requester: "Dan", labels: Some(&here), time_ms: Some(NOW_MS) };
        trust.authorise(&signers, &asked).unwrap().persons.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(persons(PLACES[0]), ["Ann", "Bob"], "Cleo's rule is for other nodes");
    assert_eq!(persons(PLACES[2]), ["Ann", "Bob", "Cleo"]);
}

prop_compose! {
    /// A rule over six persons of whom each has two keys.
    fn rule()(chosen in prop::collection::btree_set(0_u16..12, 1..12), threshold in 1_u8..4, approvals in 0_u8..4) -> (Vec<u16>, u8, u8) {
        (chosen.into_iter().collect(), threshold, approvals)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// More signatures never take a right away, one person alone never is two, and the count of what is missing is exact.
    #[test]
    fn a_signature_more_never_hurts_and_what_is_missing_is_exact(
        rules in vec(rule(), 1..4), signers in vec(0_u8..12, 0..8), more in 0_u8..12, requester in 0_u8..7,
    ) {
        let person = |index: u8| format!("person {}", index / 2);
        let persons = |keys: &[u16]| keys.iter().map(|key| key / 2).collect::<std::collections::BTreeSet<_>>().len();
        let usable = |(keys, threshold, approvals): &(Vec<u16>, u8, u8)| persons(keys) >= usize::from(*threshold.max(approvals));
        let rules: Vec<OperatorRule> = rules.iter().filter(|rule| usable(rule)).enumerate().map(|(number, (keys, threshold, approvals))| {
            let (threshold, approvals) = (*threshold, *approvals);
            OperatorRule { name: number.to_string(), threshold, approvals, ..OperatorRule::any_of(Class::Patch, keys.clone()) }
        }).collect();
        let keys = (0..12).map(|index| TrustKey::new(secret(index + 1).verifying_key().to_bytes().into(), &person(index))).collect();
        let trust = trust(keys, rules);
        let mut seeds: Vec<u8> = signers.iter().map(|index| index + 1).collect();
        seeds.sort_unstable();
        seeds.dedup();
        let requester = person(requester * 2);
        let asked = Asked { class: Class::Patch, requester: &requester, labels: None, time_ms: None };
        let judge = |seeds: &[u8]| {
            let sealed = signed(seeds);
            trust.authorise(&trust.signers(&Envelope::parse(&sealed, Domain::Order).unwrap()), &asked)
        };
        let before = judge(&seeds);
        let mut after = seeds.clone();
        if !after.contains(&(more + 1)) {
            after.push(more + 1);
        }
        prop_assert!(before.is_err() || judge(&after).is_ok());
        if let Err(error) = before {
            for state in error.rules {
                // Whoever is not the requester and has not signed fills the gap, and one fewer does not, where enough are there.
                let others: Vec<u8> = (0..12_u8)
                    .filter(|index| state.others.contains(&person(*index)) && person(*index) != requester && index % 2 == 0)
                    .flat_map(|index| [index + 1, index + 2])
                    .collect();
                prop_assert!(state.missing() > 0);
                let with = |count: usize| judge_rule(&trust, &[seeds.as_slice(), others.get(..count * 2).unwrap_or(&others)].concat(), &asked, &state.name);
                if others.len() >= state.missing() * 2 {
                    prop_assert!(with(state.missing()), "{state:?}");
                    prop_assert!(!with(state.missing() - 1), "{state:?}");
                }
            }
        }
    }
}

/// Whether this one rule is met.
fn judge_rule(trust: &Trust, seeds: &[u8], asked: &Asked<'_>, rule: &str) -> bool {
    let mut seeds = seeds.to_vec();
    seeds.sort_unstable();
    seeds.dedup();
    let sealed = signed(&seeds);
    let signers = trust.signers(&Envelope::parse(&sealed, Domain::Order).unwrap());
    trust.rule_states(&signers, asked).iter().any(|state| state.name == rule && state.is_met())
}

#[test]
fn hours_open_and_close_to_the_millisecond() {
    // Friday, 22:00 to 04:00; 2027-01-15 08:00:00 is NOW_MS or not: what counts is the day that the calendar says.
    const DAY_MS: u64 = 86_400_000;
    const FRIDAY_MS: u64 = 1_795_392_000_000 + 4 * DAY_MS;
    let night = Window { days: 0b0001_0000, from_minute: 22 * 60, to_minute: 4 * 60 };
    let rule = OperatorRule { hours: vec![night], ..OperatorRule::any_of(Class::Command, vec![0]) };
    let trust = trust(vec![key_of(&(1, "Ann", ALWAYS))], vec![rule]);
    let sealed = signed(&[1]);
    let signers = trust.signers(&Envelope::parse(&sealed, Domain::Order).unwrap());
    let asked = |time_ms| Asked { class: Class::Command, requester: "Ann", labels: None, time_ms };
    let (opens, closes) = (FRIDAY_MS + 22 * 3_600_000, FRIDAY_MS + DAY_MS + 4 * 3_600_000);
    for (time_ms, next) in [
        (opens - 1, Some(opens)),
        (opens, None),
        (FRIDAY_MS + DAY_MS, None),
        (closes - 1, None),
        (closes, Some(opens + 7 * DAY_MS)),
        (FRIDAY_MS, Some(opens)),
    ] {
        let verdict = trust.authorise(&signers, &asked(Some(time_ms)));
        assert_eq!(verdict.as_ref().err().and_then(|error| error.opens_at_ms()), next, "{time_ms}: {verdict:?}");
        assert_eq!(verdict.is_ok(), next.is_none(), "{time_ms}");
    }
    assert!(trust.authorise(&signers, &asked(None)).is_ok(), "without the time hours are not judged");
}
