//! Whether an order may go out: who has signed it, and how many persons more must. THE ONE PLACE where the bridge asks that of the trust.
//!
//! A node judges for itself, by the same trust; what is judged here only keeps orders back that no node would take, and tells people where they
//! stand. A signature counts when its key may sign for the class under the newest bundle, and a person counts once, by whatever keys.

use flotilla_protocol::envelope::Envelope;
use flotilla_protocol::trust::{Class, Role, RoleEntry, Trust};
use std::collections::BTreeSet;

/// What a class asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// How many persons must sign.
    pub persons: usize,
    /// How many of them must be others than the requester.
    pub approvals: usize,
}

/// Where an order stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Whether a node that has this trust would take it.
    pub is_enough: bool,
    /// How many persons must sign in all.
    pub threshold: usize,
    /// How many persons more must sign.
    pub missing: usize,
    /// Persons whose signatures count.
    pub signed: BTreeSet<String>,
    /// Persons who may still sign.
    pub may_sign: BTreeSet<String>,
}

/// What the newest bundle asks for orders of a class; nothing where nobody may sign such orders. Bundles say nothing of approvals yet.
#[must_use]
pub fn asked(trust: &Trust, class: Class) -> Option<Asked> {
    entry(trust, class).map(|entry| Asked { persons: usize::from(entry.threshold), approvals: 0 })
}

/// Judges an order of `class` that `requester` asked for by the signatures in `envelope`.
#[must_use]
pub fn judge(trust: &Trust, class: Class, requester: &str, envelope: &Envelope<'_>) -> Judgement {
    let (Some(entry), Some(asked)) = (entry(trust, class), asked(trust, class)) else {
        let nobody = BTreeSet::new();
        return Judgement { is_enough: false, threshold: 1, missing: 1, signed: nobody.clone(), may_sign: nobody };
    };
    let person = |index: &u16| trust.bundle().keys.get(usize::from(*index)).map(|key| key.person.clone());
    let signed: BTreeSet<String> = entry.keys.iter().filter(|index| trust.has_signed(**index, envelope)).filter_map(person).collect();
    let may_sign = entry.keys.iter().filter_map(person).filter(|person| !signed.contains(person)).collect();
    let missing = missing(asked, requester, &signed);
    // The node's own words have the last say.
    let is_enough = missing == 0 && trust.require(Role::Operator(class), envelope).is_ok();
    Judgement { is_enough, threshold: asked.persons.max(asked.approvals), missing, signed, may_sign }
}

/// How many persons more must sign where these have.
fn missing(asked: Asked, requester: &str, signed: &BTreeSet<String>) -> usize {
    let approved = signed.iter().filter(|person| *person != requester).count();
    asked.persons.saturating_sub(signed.len()).max(asked.approvals.saturating_sub(approved))
}

/// The place of the one key of the class's role that has made the signature in `envelope`, which has no other.
#[must_use]
pub fn key_of(trust: &Trust, class: Class, envelope: &Envelope<'_>) -> Option<u16> {
    entry(trust, class)?.keys.iter().copied().find(|index| trust.has_signed(*index, envelope))
}

/// The entry of a class's role.
#[must_use]
pub fn entry(trust: &Trust, class: Class) -> Option<&RoleEntry> {
    trust.bundle().roles.iter().find(|entry| entry.role == Role::Operator(class))
}

/// The class by its name, as people read and write it.
#[must_use]
pub fn class_name(class: Class) -> &'static str {
    match class {
        Class::Inventory => "inventory",
        Class::Command => "command",
        Class::Patch => "patch",
        Class::Package => "package",
        Class::Session => "session",
        Class::SelfUpdate => "self-update",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::SigningKey;
    use flotilla_protocol::envelope::{Domain, seal};
    use flotilla_protocol::trust::{TrustBundle, TrustKey};
    use flotilla_protocol::wire::encode;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    /// Root 1; Ann has 2 and 3, Bob 4, Cleo 5, and all may sign commands; Dora has 6 and may not.
    fn trust(threshold: u8) -> Trust {
        let persons = ["root", "Ann", "Ann", "Bob", "Cleo", "Dora"];
        let keys = (1..)
            .zip(persons)
            .map(|(seed, person)| TrustKey { public_key: key(seed).verifying_key().to_bytes().into(), person: person.to_owned() });
        let bundle = TrustBundle {
            version: 1,
            previous: [0; 32],
            expires_ms: u64::MAX,
            epoch: 0,
            minimum_agent_version: [0; 3],
            keys: keys.collect(),
            roles: vec![
                RoleEntry { role: Role::Root, threshold: 1, keys: vec![0] },
                RoleEntry { role: Role::Operator(Class::Command), threshold, keys: vec![1, 2, 3, 4] },
            ],
        };
        let body = encode(&bundle);
        let sealed = seal(Domain::Trust, &body, &[&key(1)]);
        Trust::from_pinned(&flotilla_protocol::sha256(&[&body]), [sealed.as_slice()]).unwrap()
    }

    fn judged(threshold: u8, signers: &[u8]) -> Judgement {
        let keys: Vec<_> = signers.iter().map(|seed| key(*seed)).collect();
        let sealed = seal(Domain::Order, b"order", &keys.iter().collect::<Vec<_>>());
        judge(&trust(threshold), Class::Command, "Ann", &Envelope::parse(&sealed, Domain::Order).unwrap())
    }

    #[test]
    fn every_subset_of_signers_is_judged_by_its_persons() {
        for threshold in 1..=3_u8 {
            for subset in 0..64_u8 {
                let signers: Vec<u8> = (0..6).filter(|bit| subset & 1 << bit != 0).map(|bit| bit + 1).collect();
                let judgement = judged(threshold, &signers);
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
        let signed = |persons: &[&str]| persons.iter().map(|person| (*person).to_owned()).collect();
        let asked = Asked { persons: 1, approvals: 1 };
        assert_eq!(missing(asked, "Ann", &signed(&["Ann"])), 1);
        assert_eq!(missing(asked, "Ann", &signed(&["Bob"])), 0);
        assert_eq!(missing(Asked { persons: 2, approvals: 2 }, "Ann", &signed(&["Ann", "Bob"])), 1);
        assert_eq!(missing(Asked { persons: 2, approvals: 0 }, "Ann", &signed(&["Ann", "Bob"])), 0);
    }

    #[test]
    fn a_class_that_nobody_may_sign_is_never_enough() {
        let sealed = seal(Domain::Order, b"order", &[&key(2), &key(4)]);
        let envelope = Envelope::parse(&sealed, Domain::Order).unwrap();
        assert_eq!(asked(&trust(1), Class::Patch), None);
        assert!(!judge(&trust(1), Class::Patch, "Ann", &envelope).is_enough);
        assert_eq!(key_of(&trust(1), Class::Command, &envelope), Some(1));
        assert_eq!(key_of(&trust(1), Class::Patch, &envelope), None);
    }
}
