//! Whether an order may go out: who has signed it, and how many persons more must. THE ONE PLACE where the bridge asks that of the trust.
//!
//! A node judges for itself, by the same trust; what is judged here only keeps orders back that no node would take, and tells people where they
//! stand. So what differs from node to node, a rule's scope, is not judged here, and a rule's hours keep nothing back: nodes wait for them. A
//! signature counts when its key stands in a rule of the class under the newest bundle and has not run out, and a person counts once in a
//! rule, by whatever keys.

use flotilla_protocol::envelope::Envelope;
use flotilla_protocol::trust::{Asked, Class, OperatorRule, RuleState, Signers, Trust};
use std::collections::BTreeSet;

/// Where an order stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Whether some node that has this trust would take it, now or in a rule's hours.
    pub is_enough: bool,
    /// How many persons must sign in all, by the rule that is nearest.
    pub threshold: usize,
    /// How many persons more must sign, by the rule that is nearest.
    pub missing: usize,
    /// Persons whose signatures count, in whichever rule.
    pub signed: BTreeSet<String>,
    /// Persons who may still sign.
    pub may_sign: BTreeSet<String>,
    /// How far it has come under each rule of its class that the bridge can judge.
    pub rules: Vec<RuleState>,
}

impl Judgement {
    /// Whether a rule without a scope is met, now or in its hours: then no label of a node decides whether it takes the order.
    #[must_use]
    pub fn suffices_everywhere(&self) -> bool {
        self.rules.iter().any(|rule| rule.missing() == 0 && !rule.is_scoped)
    }
}

/// Judges an order of `class` that `requester` asked for and these have signed, at a Unix time in milliseconds.
#[must_use]
pub fn judge(trust: &Trust, class: Class, requester: &str, signers: &Signers, now_ms: u64) -> Judgement {
    let asked = Asked { class, requester, labels: None, time_ms: Some(now_ms) };
    // The node's own words have the last say.
    let is_enough = match trust.authorise(signers, &asked) {
        Ok(_) => true,
        Err(refusal) => refusal.opens_at_ms().is_some(),
    };
    let mut rules = trust.rule_states(signers, &asked);
    rules.retain(|rule| rule.is_understood);
    let signed: BTreeSet<String> = rules.iter().flat_map(|rule| rule.signed.iter().cloned()).collect();
    let others = rules.iter().flat_map(|rule| rule.others.iter().cloned());
    let may_sign = others.filter(|person| !signed.contains(person)).collect();
    // Where there is no rule nobody can sign, and one is missing for ever.
    let nearest = rules.iter().min_by_key(|rule| rule.missing());
    let (threshold, missing) = nearest.map_or((1, 1), |rule| (rule.threshold.max(rule.approvals), rule.missing()));
    Judgement { is_enough, threshold, missing, signed, may_sign, rules }
}

/// The places of the keys that may sign orders of a class at a Unix time in milliseconds; none where nobody may.
#[must_use]
pub fn keys_of(trust: &Trust, class: Class, now_ms: u64) -> BTreeSet<u16> {
    let rules = trust.bundle().rules.iter().filter(|rule| rule.class == class && rule.is_understood());
    rules.flat_map(|rule: &OperatorRule| rule.keys.iter().copied()).filter(|index| !has_run_out(trust, *index, now_ms)).collect()
}

fn has_run_out(trust: &Trust, index: u16, now_ms: u64) -> bool {
    let key = trust.bundle().keys.get(usize::from(index));
    key.is_none_or(|key| key.not_after_ms.is_some_and(|end_ms| end_ms <= now_ms))
}

/// The place of the one key that may sign orders of the class and has made the signature in `envelope`, which has no other.
#[must_use]
pub fn key_of(trust: &Trust, class: Class, envelope: &Envelope<'_>, now_ms: u64) -> Option<u16> {
    keys_of(trust, class, now_ms).into_iter().find(|index| trust.has_signed(*index, envelope))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::SigningKey;
    use flotilla_protocol::envelope::{Domain, seal};
    use flotilla_protocol::trust::{Role, RoleEntry, TrustBundle, TrustKey, Window};
    use flotilla_protocol::wire::{Payload, encode};

    const NOW_MS: u64 = 1_795_219_200_000;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    /// Root 1; Ann has 2 and 3, Bob 4, Cleo 5, Dora 6.
    fn trust_with(rules: Vec<OperatorRule>, change: impl FnOnce(&mut TrustBundle)) -> Trust {
        let persons = ["root", "Ann", "Ann", "Bob", "Cleo", "Dora"];
        let keys = (1..).zip(persons).map(|(seed, person)| TrustKey::new(key(seed).verifying_key().to_bytes().into(), person));
        let mut bundle = TrustBundle::beginning(keys.collect(), vec![RoleEntry { role: Role::Root, threshold: 1, keys: vec![0] }], rules);
        change(&mut bundle);
        let body = encode(&bundle);
        let sealed = seal(Domain::Trust, &body, &[&key(1)]);
        Trust::from_pinned(&flotilla_protocol::sha256(&[&body]), [sealed.as_slice()]).unwrap()
    }

    fn rule(threshold: u8, approvals: u8, keys: &[u16]) -> OperatorRule {
        let name = format!("{threshold} and {approvals} of {keys:?}");
        OperatorRule { name, threshold, approvals, ..OperatorRule::any_of(Class::Command, keys.to_vec()) }
    }

    /// All but Dora may sign commands.
    fn trust(threshold: u8) -> Trust {
        trust_with(vec![rule(threshold, 0, &[1, 2, 3, 4])], |_| {})
    }

    fn judged(trust: &Trust, signers: &[u8]) -> Judgement {
        let keys: Vec<_> = signers.iter().map(|seed| key(*seed)).collect();
        let sealed = seal(Domain::Order, b"order", &keys.iter().collect::<Vec<_>>());
        judge(trust, Class::Command, "Ann", &trust.signers(&Envelope::parse(&sealed, Domain::Order).unwrap()), NOW_MS)
    }

    #[test]
    fn every_subset_of_signers_is_judged_by_its_persons() {
        for threshold in 1..=3_u8 {
            let trust = trust(threshold);
            for subset in 0..64_u8 {
                let signers: Vec<u8> = (0..6).filter(|bit| subset & 1 << bit != 0).map(|bit| bit + 1).collect();
                let judgement = judged(&trust, &signers);
                let has = |seeds: &[u8]| usize::from(signers.iter().any(|signer| seeds.contains(signer)));
                let persons = has(&[2, 3]) + has(&[4]) + has(&[5]);
                assert_eq!(judgement.signed.len(), persons, "{signers:?}");
                assert_eq!(judgement.missing, usize::from(threshold).saturating_sub(persons), "{signers:?} of {threshold}");
                assert_eq!(judgement.is_enough, persons >= usize::from(threshold), "{signers:?} of {threshold}");
                assert_eq!(judgement.may_sign.len(), 3 - persons);
            }
        }
    }

    #[test]
    fn the_requester_is_no_approval_of_an_own_order() {
        // Ann asked for it.
        let cases: [(u8, u8, &[u8], usize); 5] =
            [(1, 1, &[2], 1), (1, 1, &[4], 0), (2, 2, &[2, 4], 1), (2, 1, &[2, 4], 0), (2, 0, &[2, 4], 0)];
        for (threshold, approvals, signers, missing) in cases {
            let judgement = judged(&trust_with(vec![rule(threshold, approvals, &[1, 3, 4])], |_| {}), signers);
            assert_eq!(judgement.missing, missing, "{threshold} and {approvals} by {signers:?}");
            assert_eq!(judgement.is_enough, missing == 0, "{threshold} and {approvals} by {signers:?}");
        }
    }

    #[test]
    fn the_nearest_rule_counts_and_what_only_a_node_can_judge_keeps_nothing_back() {
        // Two of three, or Dora alone.
        let two_ways = trust_with(vec![rule(2, 0, &[1, 3, 4]), rule(1, 0, &[5])], |_| {});
        let judgement = judged(&two_ways, &[2]);
        assert_eq!((judgement.is_enough, judgement.threshold, judgement.missing, judgement.may_sign.len()), (false, 2, 1, 3));
        assert!(judged(&two_ways, &[6]).is_enough, "{:?}", judged(&two_ways, &[6]));
        let future = OperatorRule { conditions: vec![Payload { kind: 99, body: Vec::new() }], ..rule(1, 0, &[5]) };
        let judgement = judged(&trust_with(vec![future, rule(2, 0, &[1, 3])], |_| {}), &[6]);
        assert_eq!((judgement.is_enough, judgement.signed.len(), judgement.missing), (false, 0, 2), "a rule that nobody here understands");
        // 21 November 2026 is a Saturday: at its first minute a window of Monday is closed.
        let monday = Window { days: 1, from_minute: 0, to_minute: 60 };
        let closed = trust_with(vec![OperatorRule { hours: vec![monday], ..rule(1, 0, &[3]) }], |_| {});
        assert!(judged(&closed, &[4]).is_enough, "nodes wait for the hours");
        assert!(!judged(&closed, &[2]).is_enough);
    }

    #[test]
    fn a_key_that_has_run_out_counts_no_more() {
        let ends_at = |end_ms| trust_with(vec![rule(1, 0, &[3, 4])], |bundle: &mut TrustBundle| bundle.keys[3].not_after_ms = Some(end_ms));
        let (over, later) = (ends_at(NOW_MS), ends_at(NOW_MS + 1));
        assert_eq!((judged(&over, &[4]).is_enough, judged(&later, &[4]).is_enough), (false, true));
        assert_eq!(keys_of(&over, Class::Command, NOW_MS), BTreeSet::from([4]));
        assert_eq!(keys_of(&later, Class::Command, NOW_MS), BTreeSet::from([3, 4]));
    }

    #[test]
    fn a_class_that_nobody_may_sign_is_never_enough() {
        let sealed = seal(Domain::Order, b"order", &[&key(2), &key(4)]);
        let envelope = Envelope::parse(&sealed, Domain::Order).unwrap();
        assert_eq!(keys_of(&trust(1), Class::Patch, NOW_MS), BTreeSet::new());
        assert!(!judge(&trust(1), Class::Patch, "Ann", &trust(1).signers(&envelope), NOW_MS).is_enough);
        assert_eq!(key_of(&trust(1), Class::Command, &envelope, NOW_MS), Some(1));
        assert_eq!(key_of(&trust(1), Class::Patch, &envelope, NOW_MS), None);
    }
}
