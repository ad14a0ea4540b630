//! Trust: which keys may sign what, and how that changes.
//!
//! A bundle names keys (each belongs to a person), roles with thresholds, and an expiry. Bundle 1 is pinned by its hash; bundle
//! v+1 counts when the root roles of v and of v+1 have both signed it. All versions are kept and applied one by one.

use crate::envelope::{Domain, Envelope, EnvelopeError};
use crate::id::FleetId;
use crate::wire::{Check, DecodeError, decode, limit};
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Serialize};

/// Most keys of a bundle.
pub const MAXIMUM_KEYS: usize = 64;
/// Most roles of a bundle.
pub const MAXIMUM_ROLES: usize = 32;
/// Longest name of a person, in bytes.
pub const MAXIMUM_PERSON_BYTES: usize = 128;

/// What an order does to a node, derived from its payload. It decides which role must have signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Class {
    /// Reads facts, changes nothing.
    Inventory,
    /// Runs documents.
    Command,
    /// Installs patches.
    Patch,
    /// Installs and removes packages.
    Package,
    /// Opens a shell.
    Session,
    /// Replaces the agent.
    SelfUpdate,
}

/// What keys are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// Signs trust bundles.
    Root,
    /// Signs releases of the agent.
    Release,
    /// Signs welcomes, which carry the time.
    Freshness,
    /// Signs receipts, cancels and answers to claims.
    Bridge,
    /// Signs orders of a class.
    Operator(Class),
}

/// A public key and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustKey {
    /// ed25519 (RFC 8032), 32 bytes.
    pub public_key: [u8; 32],
    /// The person, or the machine, that holds it. Thresholds count persons.
    pub person: String,
}

/// The keys of a role, and how many persons must have signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleEntry {
    /// The role; each at most once in a bundle.
    pub role: Role,
    /// How many distinct persons, at least 1.
    pub threshold: u8,
    /// Indices into the bundle's keys.
    pub keys: Vec<u16>,
}

/// The signed body of a trust bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustBundle {
    /// From 1 on, without gaps.
    pub version: u32,
    /// Unix time in milliseconds; only the newest bundle must not be expired.
    pub expires_ms: u64,
    /// Raised to recover nodes whose floor was pushed too far.
    pub epoch: u32,
    /// Agents older than this take no orders: major, minor, patch.
    pub minimum_agent_version: [u16; 3],
    /// The keys.
    pub keys: Vec<TrustKey>,
    /// The roles.
    pub roles: Vec<RoleEntry>,
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
    /// Too few persons of the role have signed.
    Threshold(Role),
    /// A key that must not be used: of small order, or not a point of the curve.
    WeakKey,
    /// The bundle has no root role, or a role twice, or a threshold that its keys cannot reach.
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
            Self::WeakKey => f.write_str("the trust bundle names a weak key"),
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

impl Check for TrustBundle {
    fn check(&self) -> Result<(), DecodeError> {
        limit(self.version > 0, "the version of a trust bundle")?;
        limit((1..=MAXIMUM_KEYS).contains(&self.keys.len()), "the number of keys of a trust bundle")?;
        limit((1..=MAXIMUM_ROLES).contains(&self.roles.len()), "the number of roles of a trust bundle")?;
        limit(self.keys.iter().all(|key| key.person.len() <= MAXIMUM_PERSON_BYTES), "the name of a person")?;
        limit(self.roles.iter().all(|role| role.keys.len() <= MAXIMUM_KEYS), "the number of keys of a role")
    }
}

/// The bundle that a node goes by, with its keys ready to verify.
#[derive(Debug, Clone)]
pub struct Trust {
    bundle: TrustBundle,
    keys: Vec<VerifyingKey>,
    fleet: FleetId,
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
        let mut trust = Self::usable(first.body(), FleetId::of_root_hash(root_hash), 1)?;
        trust.require(Role::Root, &first)?;
        for bytes in envelopes {
            trust = trust.successor(bytes)?;
        }
        Ok(trust)
    }

    /// The trust after the bundle in `bytes`, which must be the next version, signed by the roots of both.
    ///
    /// # Errors
    /// Why the bundle may not follow.
    pub fn successor(&self, bytes: &[u8]) -> Result<Self, TrustError> {
        let envelope = Envelope::parse(bytes, Domain::Trust).map_err(TrustError::Envelope)?;
        self.require(Role::Root, &envelope)?;
        let next = Self::usable(envelope.body(), self.fleet, self.bundle.version.saturating_add(1))?;
        next.require(Role::Root, &envelope)?;
        Ok(next)
    }

    fn usable(body: &[u8], fleet: FleetId, expected: u32) -> Result<Self, TrustError> {
        let bundle: TrustBundle = decode(body).map_err(TrustError::Body)?;
        if bundle.version != expected {
            return Err(TrustError::Version { expected, found: bundle.version });
        }
        let mut keys = Vec::with_capacity(bundle.keys.len());
        for key in &bundle.keys {
            let key = VerifyingKey::from_bytes(&key.public_key).map_err(|_| TrustError::WeakKey)?;
            if key.is_weak() {
                return Err(TrustError::WeakKey);
            }
            keys.push(key);
        }
        let trust = Self { bundle, keys, fleet };
        let mut seen = BTreeSet::new();
        for entry in &trust.bundle.roles {
            let reachable = trust.persons(entry.keys.iter().copied()).len();
            if entry.threshold == 0 || usize::from(entry.threshold) > reachable || !seen.insert(entry.role) {
                return Err(TrustError::Unusable);
            }
        }
        if seen.contains(&Role::Root) { Ok(trust) } else { Err(TrustError::Unusable) }
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
        let signed = |index: &u16| self.keys.get(usize::from(*index)).is_some_and(|key| envelope.is_signed_by(key));
        let persons = self.persons(entry.keys.iter().copied().filter(signed));
        if persons.len() >= usize::from(entry.threshold) { Ok(()) } else { Err(failed) }
    }

    /// Whether any key of one of the roles has signed, whatever the threshold: the check that comes before decoding, and all that a cancel
    /// needs. It gives no right to run anything.
    #[must_use]
    pub fn knows_a_signer_of(&self, envelope: &Envelope<'_>, is_wanted: impl Fn(Role) -> bool) -> bool {
        let roles = self.bundle.roles.iter().filter(|entry| is_wanted(entry.role));
        let indices: BTreeSet<u16> = roles.flat_map(|entry| entry.keys.iter().copied()).collect();
        indices.into_iter().filter_map(|index| self.keys.get(usize::from(index))).any(|key| envelope.is_signed_by(key))
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
        let keys = persons
            .iter()
            .map(|(seed, person)| TrustKey { public_key: key(*seed).verifying_key().to_bytes(), person: (*person).into() })
            .collect();
        let all = (0..u16::try_from(persons.len()).unwrap()).collect();
        TrustBundle {
            version,
            expires_ms: u64::MAX,
            epoch: 0,
            minimum_agent_version: [0; 3],
            keys,
            roles: vec![RoleEntry { role: Role::Root, threshold, keys: all }],
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
        let next = encode(&bundle(2, &[(2, "b")], 1));
        assert!(trust.successor(&seal(Domain::Trust, &next, &[&key(1), &key(2)])).is_ok());
        for keys in [vec![key(1)], vec![key(2)], vec![]] {
            assert!(trust.successor(&seal(Domain::Trust, &next, &keys.iter().collect::<Vec<_>>())).is_err());
        }
        let skipped = encode(&bundle(3, &[(2, "b")], 1));
        let error = trust.successor(&seal(Domain::Trust, &skipped, &[&key(1), &key(2)])).unwrap_err();
        assert_eq!(error, TrustError::Version { expected: 2, found: 3 });
    }

    #[test]
    fn another_root_and_weak_keys_are_refused() {
        let body = encode(&bundle(1, &[(1, "a")], 1));
        let sealed = seal(Domain::Trust, &body, &[&key(1)]);
        assert_eq!(Trust::from_pinned(&[0; 32], [sealed.as_slice()]).unwrap_err(), TrustError::AnotherRoot);
        let mut weak = bundle(1, &[(1, "a"), (2, "b")], 1);
        weak.keys[1].public_key = [0; 32];
        assert_eq!(pin(&weak, &[1]).unwrap_err(), TrustError::WeakKey);
    }
}
