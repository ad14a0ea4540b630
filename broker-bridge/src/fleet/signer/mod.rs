//! The signer holds the keys that the bridge signs with, and the trust bundles that give them their roles.
//!
//! Everything is in the home: `keys/operator.key`, `keys/bridge.key` and `keys/freshness.key` (32 raw bytes each, mode 0600)
//! and `trust/<version>.bundle`. Loading proves each key against the newest bundle, so a bridge whose keys the nodes would
//! refuse does not start. The operator's key is the exception: where it is not there, or may not sign alone, orders await the signatures of
//! people ([`authority`]), and the bridge signs none.

pub mod api;
pub mod authority;

use crate::platform::audit::HeadSigner;
use crate::platform::files;
use ed25519_dalek::SigningKey;
use flotilla_protocol::enrolment::{ClaimRefusal, ClaimReplyBody, Enrolled, RenewalBody};
use flotilla_protocol::envelope::{Domain, Envelope, seal};
use flotilla_protocol::hello::{MAXIMUM_BUNDLES, WelcomeBody};
use flotilla_protocol::id::FleetId;
use flotilla_protocol::order::{CancelBody, OrderBody};
use flotilla_protocol::report::{OutputReceiptBody, ReceiptBody};
use flotilla_protocol::tenure::TenureBody;
use flotilla_protocol::trust::{Class, Role, Trust, TrustError};
use flotilla_protocol::wire::{ByteVec, decode, encode};
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

/// Most trust bundles that a home may hold; beyond, enrolment would not fit into one message.
pub const MAXIMUM_TRUST_BUNDLES: u32 = 256;

/// Why the keys or the trust of the home cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// A file is missing or cannot be read.
    #[error("cannot read {path}; restore it from the backup made at `init`")]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A key file is not 32 bytes long.
    #[error("{path} is not a key of 32 bytes; restore it from the backup made at `init`")]
    KeyLength {
        /// Which file.
        path: PathBuf,
    },
    /// The chain of trust bundles does not hold.
    #[error("trust bundle {version} in {folder} cannot be trusted; restore the folder from a backup")]
    Trust {
        /// The last version that was read.
        version: u32,
        /// The folder of the bundles.
        folder: PathBuf,
        /// What is wrong.
        #[source]
        source: TrustError,
    },
    /// A key is not one that the newest bundle names for its role, or the role asks for more persons than one.
    #[error("{key} alone may not sign as {role:?} under trust bundle {version}; use the key that the bundle names")]
    Role {
        /// The key file.
        key: PathBuf,
        /// The role.
        role: Role,
        /// The version of the bundle.
        version: u32,
    },
    /// The newest bundle has expired.
    #[error("trust bundle {version} has expired; sign and add the next one")]
    Expired {
        /// The version of the bundle.
        version: u32,
    },
}

/// The bridge's keys and the fleet's trust.
pub struct Signer {
    /// Every key that a bundle has named for the bridge.
    bridge_keys: BTreeSet<[u8; 32]>,
    /// Only where it may sign alone: beside people's keys, a key that is online would count for one of them.
    operator: Option<SigningKey>,
    bridge: SigningKey,
    freshness: SigningKey,
    trust: Trust,
    root_hash: [u8; 32],
    bundles: Vec<Vec<u8>>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("fleet", &self.fleet()).finish_non_exhaustive()
    }
}

impl Signer {
    /// Loads and checks everything in `home`. `now_ms` is Unix time in milliseconds.
    ///
    /// # Errors
    /// See [`SignerError`].
    pub fn load(home: &Path, now_ms: u64) -> Result<Self, SignerError> {
        let keys = home.join("keys");
        let (operator_path, bridge_path, freshness_path) = (keys.join("operator.key"), keys.join("bridge.key"), keys.join("freshness.key"));
        let folder = home.join("trust");
        let bundles = read_bundles(&folder)?;
        let version = u32::try_from(bundles.len()).unwrap_or(u32::MAX);
        let failed = |source| SignerError::Trust { version, folder: folder.clone(), source };
        let first = bundles.first().ok_or_else(|| failed(TrustError::Empty))?;
        let first = Envelope::parse(first, Domain::Trust).map_err(|error| failed(TrustError::Envelope(error)))?;
        let root_hash = flotilla_protocol::sha256(&[first.body()]);
        let versions = Trust::versions_from_pinned(&root_hash, bundles.iter().map(Vec::as_slice)).map_err(failed)?;
        let bridge_keys = versions.iter().flat_map(|trust| trust.plain_keys_of(Role::Bridge)).collect();
        let trust = versions.into_iter().next_back().ok_or_else(|| failed(TrustError::Empty))?;
        if trust.bundle().expires_ms <= now_ms {
            return Err(SignerError::Expired { version });
        }
        let mut signer = Self {
            bridge_keys,
            operator: read_optional_key(&operator_path)?,
            bridge: read_key(&bridge_path)?,
            freshness: read_key(&freshness_path)?,
            trust,
            root_hash,
            bundles,
        };
        if let Some(operator) = &signer.operator
            && signer.prove(operator, Role::Operator(Class::Command), operator_path).is_err()
        {
            tracing::warn!(version, "keys/operator.key may not sign commands alone: they await the signatures of people; remove the file");
            signer.operator = None;
        }
        signer.prove(&signer.bridge, Role::Bridge, bridge_path)?;
        signer.prove(&signer.freshness, Role::Freshness, freshness_path)?;
        Ok(signer)
    }

    /// Signs a probe and has it judged as a node would judge it.
    fn prove(&self, key: &SigningKey, role: Role, path: PathBuf) -> Result<(), SignerError> {
        let probe = seal(Domain::Receipt, b"probe", &[key]);
        let judged = Envelope::parse(&probe, Domain::Receipt).map(|envelope| self.trust.require(role, &envelope));
        match judged {
            Ok(Ok(())) => Ok(()),
            _ => Err(SignerError::Role { key: path, role, version: self.trust.bundle().version }),
        }
    }

    /// The fleet that the trust root began.
    #[must_use]
    pub fn fleet(&self) -> FleetId {
        self.trust.fleet()
    }

    /// The newest trust.
    #[must_use]
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// SHA-256 of the body of trust bundle 1, which activation strings pin.
    #[must_use]
    pub fn root_hash(&self) -> [u8; 32] {
        self.root_hash
    }

    /// What signs the audit log: the bridge's key, as for receipts. What is signed there begins otherwise than everything that nodes take.
    #[must_use]
    pub fn heads(&self) -> HeadSigner {
        HeadSigner::new(self.fleet().0, self.bridge.clone(), self.bridge_keys.iter().copied())
    }

    /// Signs an order to run a command and returns its envelope; nothing where people must sign it.
    #[must_use]
    pub fn order(&self, body: &OrderBody) -> Option<Vec<u8>> {
        self.operator.as_ref().map(|operator| seal(Domain::Order, &encode(body), &[operator]))
    }

    /// Signs a cancel; returns its envelope.
    #[must_use]
    pub fn cancel(&self, body: &CancelBody) -> Vec<u8> {
        seal(Domain::Cancel, &encode(body), &[&self.bridge])
    }

    /// Signs a receipt for reports; returns its envelope.
    #[must_use]
    pub fn receipt(&self, body: &ReceiptBody) -> Vec<u8> {
        seal(Domain::Receipt, &encode(body), &[&self.bridge])
    }

    /// Signs a receipt for output; returns its envelope.
    #[must_use]
    pub fn output_receipt(&self, body: &OutputReceiptBody) -> Vec<u8> {
        seal(Domain::OutputReceipt, &encode(body), &[&self.bridge])
    }

    /// Signs a nudge to ask for a new certificate; returns its envelope.
    #[must_use]
    pub fn renewal(&self, body: &RenewalBody) -> Vec<u8> {
        seal(Domain::Renewal, &encode(body), &[&self.bridge])
    }

    /// Signs a tenure; returns its envelope.
    #[must_use]
    pub fn tenure(&self, body: &TenureBody) -> Vec<u8> {
        seal(Domain::Tenure, &encode(body), &[&self.bridge])
    }

    /// Reads a tenure; nothing unless it is one that a bridge of this fleet has signed.
    #[must_use]
    pub fn read_tenure(&self, message: &[u8]) -> Option<TenureBody> {
        let envelope = Envelope::parse(message, Domain::Tenure).ok()?;
        self.trust.require(Role::Bridge, &envelope).ok()?;
        decode(envelope.body()).ok()
    }

    /// Signs a welcome; returns its envelope.
    #[must_use]
    pub fn welcome(&self, body: &WelcomeBody) -> Vec<u8> {
        seal(Domain::Welcome, &encode(body), &[&self.freshness])
    }

    /// The envelopes of the bundles that follow `version`, as many as one welcome carries.
    #[must_use]
    pub fn bundles_after(&self, version: u32) -> Vec<ByteVec> {
        let skipped = usize::try_from(version).unwrap_or(usize::MAX);
        self.bundles.iter().skip(skipped).take(MAXIMUM_BUNDLES).cloned().map(ByteVec).collect()
    }

    /// Signs the answer to a claim, with all bundles; returns its envelope.
    #[must_use]
    pub fn claim_reply(&self, nonce: [u8; 32], outcome: Result<Enrolled, ClaimRefusal>) -> Vec<u8> {
        let bundles = self.bundles.iter().cloned().map(ByteVec).collect();
        seal(Domain::ClaimReply, &encode(&ClaimReplyBody { nonce, bundles, outcome }), &[&self.bridge])
    }
}

/// What signs the audit log of a home, for whoever writes to its database beside the bridge. It needs no trust that is still valid: users
/// must be removable when it has expired, and where a later bundle is damaged: then only the keys of those before it count as the bridge's.
///
/// # Errors
/// The first bundle or the bridge's key cannot be read.
pub fn heads_of(home: &Path) -> Result<HeadSigner, SignerError> {
    let folder = home.join("trust");
    let bundles = read_bundles(&folder)?;
    let failed = |source| SignerError::Trust { version: 1, folder: folder.clone(), source };
    let (first, later) = bundles.split_first().ok_or_else(|| failed(TrustError::Empty))?;
    let envelope = Envelope::parse(first, Domain::Trust).map_err(|error| failed(TrustError::Envelope(error)))?;
    let root_hash = flotilla_protocol::sha256(&[envelope.body()]);
    let mut trust = Trust::from_pinned(&root_hash, [first.as_slice()]).map_err(failed)?;
    let mut former: BTreeSet<[u8; 32]> = trust.plain_keys_of(Role::Bridge).collect();
    for bundle in later {
        let Ok(next) = trust.successor(bundle) else { break };
        former.extend(next.plain_keys_of(Role::Bridge));
        trust = next;
    }
    Ok(HeadSigner::new(trust.fleet().0, read_key(&home.join("keys/bridge.key"))?, former))
}

fn read_key(path: &Path) -> Result<SigningKey, SignerError> {
    let seed = files::read_secret(path).map_err(|source| SignerError::File { path: path.to_owned(), source })?;
    let seed = <&[u8; 32]>::try_from(seed.as_slice()).map_err(|_| SignerError::KeyLength { path: path.to_owned() })?;
    Ok(SigningKey::from_bytes(seed))
}

/// A key that need not be there.
fn read_optional_key(path: &Path) -> Result<Option<SigningKey>, SignerError> {
    match read_key(path) {
        Ok(key) => Ok(Some(key)),
        Err(SignerError::File { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads `1.bundle`, `2.bundle` and so on up to the first that is missing.
fn read_bundles(folder: &Path) -> Result<Vec<Vec<u8>>, SignerError> {
    let mut bundles = Vec::new();
    for version in 1..=MAXIMUM_TRUST_BUNDLES {
        let path = folder.join(format!("{version}.bundle"));
        match files::read(&path) {
            Ok(bundle) => bundles.push(bundle),
            Err(error) if version > 1 && error.kind() == std::io::ErrorKind::NotFound => break,
            Err(source) => return Err(SignerError::File { path, source }),
        }
    }
    Ok(bundles)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use flotilla_protocol::trust::{RoleEntry, TrustBundle, TrustKey};

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    /// Writes a home with keys and a first bundle, as `init` does: root 1, operator 2, bridge 3, freshness 4.
    pub(crate) fn write_home(home: &Path) {
        write_home_of(home, &bundle(&[(2, "person 2")], 1));
    }

    /// Bundle 1 of a fleet whose commands these sign, so many of them each: root 1, bridge 3, freshness 4.
    pub(crate) fn bundle(operators: &[(u8, &str)], threshold: u8) -> TrustBundle {
        let named = |(seed, person): &(u8, &str)| TrustKey {
            public_key: key(*seed).verifying_key().to_bytes().into(),
            person: (*person).to_owned(),
        };
        let role = |role, key| RoleEntry { role, threshold: 1, keys: vec![key] };
        let last = 3 + u16::try_from(operators.len()).unwrap();
        let operator = RoleEntry { role: Role::Operator(Class::Command), threshold, keys: (3..last).collect() };
        TrustBundle {
            version: 1,
            previous: [0; 32],
            expires_ms: u64::MAX,
            epoch: 0,
            minimum_agent_version: [0; 3],
            keys: [(1, "person 1"), (3, "person 3"), (4, "person 4")].iter().chain(operators).map(named).collect(),
            roles: vec![role(Role::Root, 0), operator, role(Role::Bridge, 1), role(Role::Freshness, 2)],
        }
    }

    /// The trust that a first bundle begins.
    pub(crate) fn trust_of(bundle: &TrustBundle) -> Trust {
        let body = encode(bundle);
        let sealed = seal(Domain::Trust, &body, &[&key(1)]);
        Trust::from_pinned(&flotilla_protocol::sha256(&[&body]), [sealed.as_slice()]).unwrap()
    }

    /// Writes a home with the keys of `init` and this first bundle.
    pub(crate) fn write_home_of(home: &Path, bundle: &TrustBundle) {
        std::fs::create_dir_all(home.join("trust")).unwrap();
        std::fs::create_dir_all(home.join("keys")).unwrap();
        files::create_public(&home.join("trust/1.bundle"), &seal(Domain::Trust, &encode(bundle), &[&key(1)])).unwrap();
        for (name, seed) in [("operator", 2), ("bridge", 3), ("freshness", 4)] {
            files::create_secret(&home.join(format!("keys/{name}.key")), &[seed; 32]).unwrap();
        }
    }

    #[test]
    fn a_tenure_counts_with_the_signature_of_a_bridge_only() {
        let home = tempfile::tempdir().unwrap();
        write_home(home.path());
        let signer = Signer::load(home.path(), 1).unwrap();
        let tenure = TenureBody { generation: 7, instance: [1; 16] };
        assert_eq!(signer.read_tenure(&signer.tenure(&tenure)), Some(tenure));
        for (domain, seed) in [(Domain::Tenure, 2), (Domain::Tenure, 4), (Domain::Tenure, 9), (Domain::Receipt, 3)] {
            assert_eq!(signer.read_tenure(&seal(domain, &encode(&tenure), &[&key(seed)])), None, "{domain:?} by {seed}");
        }
        assert_eq!(signer.read_tenure(&encode(&tenure)), None);
    }

    #[test]
    fn what_is_signed_verifies_with_the_role_it_is_for() {
        let home = tempfile::tempdir().unwrap();
        write_home(home.path());
        let signer = Signer::load(home.path(), 1).unwrap();
        let cancel = CancelBody {
            fleet: signer.fleet(),
            node: flotilla_protocol::id::NodeId::of_key(&[1; 32]),
            order: flotilla_protocol::id::OrderId([1; 16]),
            not_after_ms: 5,
        };
        let sealed = signer.cancel(&cancel);
        let envelope = Envelope::parse(&sealed, Domain::Cancel).unwrap();
        assert_eq!(signer.trust().require(Role::Bridge, &envelope), Ok(()));
        assert!(signer.trust().require(Role::Freshness, &envelope).is_err());
        let bridge = key(3).verifying_key().to_bytes();
        assert_eq!(signer.bridge_keys, BTreeSet::from([bridge]), "by which the audit log may be signed");
        assert_eq!((signer.bundles_after(0).len(), signer.bundles_after(1).len(), signer.bundles_after(9).len()), (1, 0, 0));
    }

    #[test]
    fn without_an_operator_key_that_may_sign_alone_it_signs_no_orders_and_starts() {
        let home = tempfile::tempdir().unwrap();
        write_home(home.path());
        let operator = home.path().join("keys/operator.key");
        std::fs::remove_file(&operator).unwrap();
        assert!(Signer::load(home.path(), 1).unwrap().operator.is_none());
        files::create_secret(&operator, &[9; 32]).unwrap();
        assert!(Signer::load(home.path(), 1).unwrap().operator.is_none(), "a key that is nobody's");
        std::fs::remove_file(&operator).unwrap();
        files::create_secret(&operator, &[2; 31]).unwrap();
        assert!(matches!(Signer::load(home.path(), 1), Err(SignerError::KeyLength { .. })), "a damaged key is no missing one");
    }

    #[test]
    fn a_home_with_the_wrong_key_or_without_trust_is_refused() {
        let home = tempfile::tempdir().unwrap();
        assert!(matches!(Signer::load(home.path(), 1), Err(SignerError::File { .. })));
        write_home(home.path());
        assert!(matches!(Signer::load(home.path(), u64::MAX), Err(SignerError::Expired { version: 1 })));
        let bridge = home.path().join("keys/bridge.key");
        std::fs::remove_file(&bridge).unwrap();
        files::create_secret(&bridge, &[9; 32]).unwrap();
        assert!(matches!(Signer::load(home.path(), 1), Err(SignerError::Role { role: Role::Bridge, .. })));
        std::fs::remove_file(&bridge).unwrap();
        files::create_secret(&bridge, &[9; 31]).unwrap();
        assert!(matches!(Signer::load(home.path(), 1), Err(SignerError::KeyLength { .. })));
    }
}
