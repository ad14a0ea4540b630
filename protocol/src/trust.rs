//! Trust: which keys may sign what, and how that changes.
//!
//! A bundle names keys (each belongs to a person), roles with thresholds, the rules by which operators may have orders run, labels of nodes,
//! and an expiry. Bundle 1 is pinned by its hash; bundle
//! v+1 names the bundle v that it follows, and counts when the root roles of v and of v+1 have both signed it. All versions are kept and
//! applied one by one, so a bundle of another fleet, or of another history of this one, follows nothing even where the same people sign.

mod authorise;
pub mod hours;
mod label;
mod role;
mod rule;

pub use self::authorise::{Asked, Authorised, NotAuthorised, RuleState, Signers};
pub use self::hours::Window;
pub use self::label::{Label, Labels, MAXIMUM_LABEL_KEY_BYTES, MAXIMUM_LABEL_VALUE_BYTES, MAXIMUM_LABELS, NodeLabels};
pub use self::role::{Class, Role};
pub use self::rule::{MAXIMUM_CONDITIONS, MAXIMUM_RULE_NAME_BYTES, MAXIMUM_RULES, MAXIMUM_WINDOWS, OperatorRule, RuleFault};
use crate::envelope::{Domain, Envelope, EnvelopeError};
use crate::id::FleetId;
use crate::signature::{KeyVerifier, PublicKey};
use crate::wire::{Check, DecodeError, Payload, decode, limit};
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

/// Most keys of a bundle.
pub const MAXIMUM_KEYS: usize = 64;
/// Most roles of a bundle.
pub const MAXIMUM_ROLES: usize = 32;
/// Most nodes of which a bundle says labels.
pub const MAXIMUM_LABELLED_NODES: usize = 256;
/// Most extensions of a bundle.
pub const MAXIMUM_EXTENSIONS: usize = 16;
/// Longest name of a person, in bytes.
pub const MAXIMUM_PERSON_BYTES: usize = 128;

/// A public key and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustKey {
    /// The key, and the algorithm by which it signs. No two entries hold the same key, by whatever algorithm.
    pub public_key: PublicKey,
    /// The person, or the machine, that holds it. Thresholds count persons. Not empty, without control characters and without white space
    /// around it; no two persons of a bundle differ only in letters that are large or small.
    pub person: String,
    /// From this Unix time in milliseconds on it counts for no order. Only keys of rules may have an end: what other roles sign is judged
    /// also where the time is not known.
    pub not_after_ms: Option<u64>,
}

impl TrustKey {
    /// A key without an end.
    #[must_use]
    pub fn new(public_key: PublicKey, person: &str) -> Self {
        Self { public_key, person: person.into(), not_after_ms: None }
    }
}

/// The keys of a role, and how many persons must have signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleEntry {
    /// The role; each at most once in a bundle. One that this build does not know is carried and asks for nothing.
    pub role: Role,
    /// How many distinct persons, at least 1.
    pub threshold: u8,
    /// Indices into the bundle's keys, each once.
    pub keys: Vec<u16>,
}

/// The signed body of a trust bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustBundle {
    /// From 1 on, without gaps.
    pub version: u32,
    /// SHA-256 of the body of the bundle before; zeros in bundle 1.
    pub previous: [u8; 32],
    /// Unix time in milliseconds; only the newest bundle must not be expired.
    pub expires_ms: u64,
    /// Raised to recover nodes whose floor was pushed too far; never falls.
    pub epoch: u32,
    /// Agents older than this take no orders: major, minor, patch.
    pub minimum_agent_version: [u16; 3],
    /// The keys.
    pub keys: Vec<TrustKey>,
    /// The roles.
    pub roles: Vec<RoleEntry>,
    /// The rules by which orders are allowed. Several may be of one class.
    pub rules: Vec<OperatorRule>,
    /// What the root says of nodes, in ascending order of the nodes.
    pub labels: Vec<NodeLabels>,
    /// What is not yet invented; a kind that the reader does not know is skipped, so none may take a right away. What limits rules is a
    /// condition of the rule.
    pub extensions: Vec<Payload>,
}

impl TrustBundle {
    /// A bundle 1 that never runs out and asks for no agent, without labels and extensions.
    #[must_use]
    pub fn beginning(keys: Vec<TrustKey>, roles: Vec<RoleEntry>, rules: Vec<OperatorRule>) -> Self {
        Self {
            version: 1,
            previous: [0; 32],
            expires_ms: u64::MAX,
            epoch: 0,
            minimum_agent_version: [0; 3],
            keys,
            roles,
            rules,
            labels: Vec::new(),
            extensions: Vec::new(),
        }
    }
}

/// Why trust was not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrustError {
    /// The envelope cannot be read.
    Envelope(EnvelopeError),
    /// The body cannot be read.
    Body(DecodeError),
    /// Bundle 1 is not the one that was pinned.
    AnotherRoot,
    /// The bundle is not the next version.
    Version {
        /// The version that was due.
        expected: u32,
        /// The version that came.
        found: u32,
    },
    /// The bundle follows another one than that which the node has: of another fleet, or of another history.
    AnotherPredecessor,
    /// The bundle would lower the epoch.
    Epoch {
        /// The epoch of the bundle before.
        least: u32,
        /// The epoch that came.
        found: u32,
    },
    /// Too few persons of the role have signed.
    Threshold(Role),
    /// A key that must not be used, see [`crate::signature::WeakKey`].
    WeakKey,
    /// A key stands twice in the bundle, so that one signature could count for two persons.
    DuplicateKey,
    /// Two persons differ only in letters that are large or small, so that one person could count for two.
    SimilarPersons,
    /// An operator rule cannot be used.
    Rule {
        /// Which, by its index from 0.
        index: usize,
        /// What is wrong with it.
        fault: RuleFault,
    },
    /// A key has an end and a role that is judged without the time.
    KeyWithAnEnd(Role),
    /// The bundle has no root role, or a role twice, or a threshold that its keys cannot reach, or a role names a key twice or one that is
    /// not there.
    Unusable,
    /// There is no bundle.
    Empty,
}

impl fmt::Display for TrustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Envelope(_) => f.write_str("the envelope cannot be read"),
            Self::Body(_) => f.write_str("the trust bundle cannot be read"),
            Self::AnotherRoot => f.write_str("the trust root is another than the one that was pinned"),
            Self::Version { expected, found } => write!(f, "trust bundle {found} came where {expected} was due"),
            Self::Threshold(role) => write!(f, "too few persons of the role {role:?} have signed"),
            Self::Rule { index, fault } => write!(f, "the operator rule at index {index} of the trust bundle cannot be used: {fault}"),
            Self::KeyWithAnEnd(role) => write!(f, "a key of the role {role:?} has an end, which only keys of operators may have"),
            Self::AnotherPredecessor => f.write_str("the trust bundle follows another one than this"),
            Self::Epoch { least, found } => write!(f, "the trust bundle lowers the epoch from {least} to {found}"),
            Self::WeakKey => f.write_str("the trust bundle names a weak key"),
            Self::DuplicateKey => f.write_str("the trust bundle names a key twice"),
            Self::SimilarPersons => f.write_str("the trust bundle names a person in two ways, who would count for two"),
            Self::Unusable => f.write_str("the trust bundle's roles cannot be used"),
            Self::Empty => f.write_str("there is no trust bundle"),
        }
    }
}

impl core::error::Error for TrustError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Envelope(source) => Some(source),
            Self::Body(source) => Some(source),
            _ => None,
        }
    }
}

/// Whether this can be the name of a person: people read it beside those of others before they sign.
fn is_person(name: &str) -> bool {
    (1..=MAXIMUM_PERSON_BYTES).contains(&name.len()) && name.trim() == name && !name.chars().any(char::is_control)
}

impl Check for TrustBundle {
    fn check(&self) -> Result<(), DecodeError> {
        limit(self.version > 0, "the version of a trust bundle")?;
        limit((1..=MAXIMUM_KEYS).contains(&self.keys.len()), "the number of keys of a trust bundle")?;
        limit((1..=MAXIMUM_ROLES).contains(&self.roles.len()), "the number of roles of a trust bundle")?;
        limit(self.keys.iter().all(|key| is_person(&key.person)), "the name of a person")?;
        limit(self.roles.iter().all(|role| role.keys.len() <= MAXIMUM_KEYS), "the number of keys of a role")?;
        limit(self.rules.len() <= MAXIMUM_RULES, "the number of rules of a trust bundle")?;
        limit(self.extensions.len() <= MAXIMUM_EXTENSIONS, "the number of extensions of a trust bundle")?;
        let are_sorted = self.labels.iter().zip(self.labels.iter().skip(1)).all(|(one, next)| one.node < next.node);
        limit(self.labels.len() <= MAXIMUM_LABELLED_NODES && are_sorted, "the nodes with labels of a trust bundle")?;
        self.rules.iter().try_for_each(OperatorRule::check)?;
        self.labels.iter().try_for_each(|entry| label::check(&entry.labels))
    }
}

/// The bundle that a node goes by, with its keys ready to verify.
#[derive(Debug, Clone)]
pub struct Trust {
    bundle: TrustBundle,
    /// Beside the bundle's keys; nothing for one of an unknown algorithm.
    keys: Vec<Option<KeyVerifier>>,
    fleet: FleetId,
    /// SHA-256 of the bundle's body, by which its successor names it.
    hash: [u8; 32],
}

impl Trust {
    /// Follows a chain of bundle envelopes from the pinned root to the newest.
    ///
    /// # Errors
    /// The first bundle that may not be trusted.
    pub fn from_pinned<'a>(root_hash: &[u8; 32], envelopes: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, TrustError> {
        let mut envelopes = envelopes.into_iter();
        let first = Envelope::parse(envelopes.next().ok_or(TrustError::Empty)?, Domain::Trust).map_err(TrustError::Envelope)?;
        if crate::sha256(&[first.body()]) != *root_hash {
            return Err(TrustError::AnotherRoot);
        }
        let mut trust = Self::first(first.body())?;
        trust.require(Role::Root, &first)?;
        for bytes in envelopes {
            trust = trust.successor(bytes)?;
        }
        Ok(trust)
    }

    /// The trusts of all versions of a chain that [`Trust::from_pinned`] would follow, from the first to the newest: for those who judge what
    /// was signed before the newest.
    ///
    /// # Errors
    /// The first bundle that may not be trusted.
    pub fn versions_from_pinned<'a>(root_hash: &[u8; 32], envelopes: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Self>, TrustError> {
        let mut envelopes = envelopes.into_iter();
        let mut versions = Vec::new();
        let mut newest = Self::from_pinned(root_hash, envelopes.next())?;
        for bytes in envelopes {
            let next = newest.successor(bytes)?;
            versions.push(core::mem::replace(&mut newest, next));
        }
        versions.push(newest);
        Ok(versions)
    }

    /// The keys that sign by plain ed25519 and that the bundle names for a role.
    pub fn plain_keys_of(&self, role: Role) -> impl Iterator<Item = [u8; 32]> {
        let entries = self.bundle.roles.iter().filter(move |entry| entry.role == role);
        let keys = entries.flat_map(|entry| &entry.keys).filter_map(|index| self.bundle.keys.get(usize::from(*index)));
        keys.filter_map(|key| if let PublicKey::Ed25519(key) = &key.public_key { Some(*key) } else { None })
    }

    /// The trust that the body of a bundle 1 would begin, whoever has signed it: for those who prepare one. A node pins its root, see
    /// [`Trust::from_pinned`].
    ///
    /// # Errors
    /// Why no fleet can begin with it.
    pub fn first(body: &[u8]) -> Result<Self, TrustError> {
        Self::usable(body, FleetId::of_root_hash(&crate::sha256(&[body])), 1, &[0; 32])
    }

    /// The trust after the bundle in `bytes`, which must be the next version, signed by the roots of both.
    ///
    /// # Errors
    /// Why the bundle may not follow.
    pub fn successor(&self, bytes: &[u8]) -> Result<Self, TrustError> {
        let envelope = Envelope::parse(bytes, Domain::Trust).map_err(TrustError::Envelope)?;
        self.require(Role::Root, &envelope)?;
        let next = self.proposal(envelope.body())?;
        next.require(Role::Root, &envelope)?;
        Ok(next)
    }

    /// What [`Trust::successor`] would return for a bundle with this body, once enough persons have signed it: for those who prepare one.
    ///
    /// # Errors
    /// Why the bundle may not follow, whoever signs it.
    pub fn proposal(&self, body: &[u8]) -> Result<Self, TrustError> {
        // Nobody reaches the last version; if somebody did, it would be the last.
        let due = self.bundle.version.checked_add(1).ok_or(TrustError::Unusable)?;
        let next = Self::usable(body, self.fleet, due, &self.hash)?;
        if next.bundle.epoch < self.bundle.epoch {
            return Err(TrustError::Epoch { least: self.bundle.epoch, found: next.bundle.epoch });
        }
        Ok(next)
    }

    fn usable(body: &[u8], fleet: FleetId, expected: u32, previous: &[u8; 32]) -> Result<Self, TrustError> {
        let bundle: TrustBundle = decode(body).map_err(TrustError::Body)?;
        if bundle.version != expected {
            return Err(TrustError::Version { expected, found: bundle.version });
        }
        if bundle.previous != *previous {
            return Err(TrustError::AnotherPredecessor);
        }
        let verifiers = bundle.keys.iter().map(|key| key.public_key.verifier());
        let keys = verifiers.collect::<Result<Vec<_>, _>>().map_err(|_weak| TrustError::WeakKey)?;
        let mut seen_keys = BTreeSet::new();
        if !bundle.keys.iter().all(|key| seen_keys.insert(key.public_key.raw())) {
            return Err(TrustError::DuplicateKey);
        }
        let persons: BTreeSet<&str> = bundle.keys.iter().map(|key| key.person.as_str()).collect();
        // As it is judged who is the requester: whoever is the same person there is not two persons here.
        let folded: BTreeSet<String> = persons.iter().map(|person| authorise::folded(person)).collect();
        if folded.len() != persons.len() {
            return Err(TrustError::SimilarPersons);
        }
        let trust = Self { bundle, keys, fleet, hash: crate::sha256(&[body]) };
        trust.check_roles()?;
        trust.check_rules()?;
        Ok(trust)
    }

    fn check_roles(&self) -> Result<(), TrustError> {
        let mut seen = BTreeSet::new();
        for entry in &self.bundle.roles {
            let reachable = self.persons(entry.keys.iter().copied()).len();
            if entry.threshold == 0 || usize::from(entry.threshold) > reachable || !seen.insert(entry.role) {
                return Err(TrustError::Unusable);
            }
            if !self.has_each_once(&entry.keys) {
                return Err(TrustError::Unusable);
            }
            let mut keys = entry.keys.iter().filter_map(|index| self.bundle.keys.get(usize::from(*index)));
            if keys.any(|key| key.not_after_ms.is_some()) {
                return Err(TrustError::KeyWithAnEnd(entry.role));
            }
        }
        if seen.contains(&Role::Root) { Ok(()) } else { Err(TrustError::Unusable) }
    }

    fn check_rules(&self) -> Result<(), TrustError> {
        let mut names = BTreeSet::new();
        for (index, rule) in self.bundle.rules.iter().enumerate() {
            let reachable = self.persons(rule.keys.iter().copied()).len();
            let fault = match () {
                () if !self.has_each_once(&rule.keys) => RuleFault::Keys,
                () if rule.threshold == 0 => RuleFault::NobodySigns,
                () if usize::from(rule.threshold.max(rule.approvals)) > reachable => RuleFault::Unreachable,
                () if !names.insert(rule.name.as_str()) => RuleFault::Name,
                () => continue,
            };
            return Err(TrustError::Rule { index, fault });
        }
        Ok(())
    }

    /// Whether each of these indices is that of a key, and none stands there twice.
    fn has_each_once(&self, indices: &[u16]) -> bool {
        let named: BTreeSet<u16> = indices.iter().copied().filter(|index| usize::from(*index) < self.keys.len()).collect();
        named.len() == indices.len()
    }

    fn persons(&self, indices: impl Iterator<Item = u16>) -> BTreeSet<&str> {
        indices.filter_map(|index| self.bundle.keys.get(usize::from(index))).map(|key| key.person.as_str()).collect()
    }

    /// Requires that as many persons of `role` have signed `envelope` as the threshold asks for.
    ///
    /// # Errors
    /// [`TrustError::Threshold`].
    pub fn require(&self, role: Role, envelope: &Envelope<'_>) -> Result<(), TrustError> {
        let failed = TrustError::Threshold(role);
        let entry = self.bundle.roles.iter().find(|entry| entry.role == role).ok_or(failed)?;
        let signed = |index: &u16| self.has_signed(*index, envelope);
        let persons = self.persons(entry.keys.iter().copied().filter(signed));
        if persons.len() >= usize::from(entry.threshold) { Ok(()) } else { Err(failed) }
    }

    /// Whether any key of the role has signed, whatever the threshold: all that a cancel by the bridge needs. It gives no right to run
    /// anything.
    #[must_use]
    pub fn knows_a_signer_of(&self, role: Role, envelope: &Envelope<'_>) -> bool {
        let roles = self.bundle.roles.iter().filter(|entry| entry.role == role);
        roles.flat_map(|entry| entry.keys.iter()).any(|index| self.has_signed(*index, envelope))
    }

    /// Whether the key at `index` of the bundle has signed `envelope`; no for a key of an unknown algorithm.
    #[must_use]
    pub fn has_signed(&self, index: u16, envelope: &Envelope<'_>) -> bool {
        self.keys.get(usize::from(index)).is_some_and(|key| key.as_ref().is_some_and(|key| envelope.is_signed_by_key(key)))
    }

    /// Whether the bundle has run out at `time_ms`, Unix time in milliseconds. It still leads to its successor, and to nothing else.
    #[must_use]
    pub fn is_expired(&self, time_ms: u64) -> bool {
        self.bundle.expires_ms <= time_ms
    }

    /// SHA-256 of the bundle's body, by which its successor names it; of bundle 1 it is the root hash that nodes pin.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// The bundle.
    #[must_use]
    pub fn bundle(&self) -> &TrustBundle {
        &self.bundle
    }

    /// The fleet that the trust root began.
    #[must_use]
    pub fn fleet(&self) -> FleetId {
        self.fleet
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::seal;
    use crate::wire::encode;
    use alloc::vec;
    use ed25519_dalek::SigningKey;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn bundle(version: u32, persons: &[(u8, &str)], threshold: u8) -> TrustBundle {
        let keys = persons.iter().map(|(seed, person)| TrustKey::new(key(*seed).verifying_key().to_bytes().into(), person)).collect();
        let all = (0..u16::try_from(persons.len()).unwrap()).collect();
        TrustBundle {
            version,
            previous: [0; 32],
            expires_ms: u64::MAX,
            epoch: 0,
            minimum_agent_version: [0; 3],
            keys,
            roles: vec![RoleEntry { role: Role::Root, threshold, keys: all }],
            rules: Vec::new(),
            labels: Vec::new(),
            extensions: Vec::new(),
        }
    }

    fn pin(bundle: &TrustBundle, seeds: &[u8]) -> Result<Trust, TrustError> {
        let body = encode(bundle);
        let keys: Vec<_> = seeds.iter().map(|seed| key(*seed)).collect();
        let sealed = seal(Domain::Trust, &body, &keys.iter().collect::<Vec<_>>());
        Trust::from_pinned(&crate::sha256(&[&body]), [sealed.as_slice()])
    }

    #[test]
    fn persons_are_counted_and_not_signatures() {
        let two = bundle(1, &[(1, "a"), (2, "b"), (3, "a")], 2);
        assert!(pin(&two, &[1, 2]).is_ok());
        assert_eq!(pin(&two, &[1]).unwrap_err(), TrustError::Threshold(Role::Root));
        assert_eq!(pin(&two, &[1, 1]).unwrap_err(), TrustError::Envelope(EnvelopeError::Malformed), "one signature twice");
        assert_eq!(pin(&two, &[1, 3]).unwrap_err(), TrustError::Threshold(Role::Root), "two keys of one person");
        assert_eq!(pin(&bundle(1, &[(1, "a"), (3, "a")], 2), &[1, 3]).unwrap_err(), TrustError::Unusable);
    }

    #[test]
    fn a_successor_needs_the_roots_of_both() {
        let trust = pin(&bundle(1, &[(1, "a")], 1), &[1]).unwrap();
        let follows = |version| TrustBundle { previous: trust.hash(), ..bundle(version, &[(2, "b")], 1) };
        let next = encode(&follows(2));
        assert!(trust.successor(&seal(Domain::Trust, &next, &[&key(1), &key(2)])).is_ok());
        let first = seal(Domain::Trust, &encode(&bundle(1, &[(1, "a")], 1)), &[&key(1)]);
        let second = seal(Domain::Trust, &next, &[&key(1), &key(2)]);
        let versions = Trust::versions_from_pinned(&trust.hash(), [first.as_slice(), &second]).unwrap();
        let keys: Vec<[u8; 32]> = versions.iter().flat_map(|trust| trust.plain_keys_of(Role::Root)).collect();
        assert_eq!(keys, [1, 2].map(|seed| key(seed).verifying_key().to_bytes()));
        assert_eq!(versions.iter().flat_map(|trust| trust.plain_keys_of(Role::Bridge)).count(), 0);
        let unsigned = seal(Domain::Trust, &next, &[&key(2)]);
        assert!(Trust::versions_from_pinned(&trust.hash(), [first.as_slice(), &unsigned]).is_err());
        assert_eq!(Trust::versions_from_pinned(&trust.hash(), []).unwrap_err(), TrustError::Empty);
        for keys in [vec![key(1)], vec![key(2)], vec![]] {
            assert!(trust.successor(&seal(Domain::Trust, &next, &keys.iter().collect::<Vec<_>>())).is_err());
        }
        let skipped = encode(&follows(3));
        let error = trust.successor(&seal(Domain::Trust, &skipped, &[&key(1), &key(2)])).unwrap_err();
        assert_eq!(error, TrustError::Version { expected: 2, found: 3 });
    }

    #[test]
    fn another_root_and_weak_keys_are_refused() {
        let body = encode(&bundle(1, &[(1, "a")], 1));
        let sealed = seal(Domain::Trust, &body, &[&key(1)]);
        assert_eq!(Trust::from_pinned(&[0; 32], [sealed.as_slice()]).unwrap_err(), TrustError::AnotherRoot);
        let mut weak = bundle(1, &[(1, "a"), (2, "b")], 1);
        weak.keys[1].public_key = [0; 32].into();
        assert_eq!(pin(&weak, &[1]).unwrap_err(), TrustError::WeakKey);
    }
}
