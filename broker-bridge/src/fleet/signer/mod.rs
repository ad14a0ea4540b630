//! The signer holds the keys that the bridge signs with, and the trust bundles that give them their roles.
//!
//! Everything is in the home: `keys/operator.key`, `keys/bridge.key` and `keys/freshness.key` (32 raw bytes each, mode 0600)
//! and `trust/<version>.bundle`. Loading proves each key against the newest bundle, so a bridge whose keys the nodes would
//! refuse does not start.

use crate::platform::audit::HeadSigner;
use crate::platform::files;
use ed25519_dalek::SigningKey;
use flotilla_protocol::enrolment::{ClaimRefusal, ClaimReplyBody, Enrolled};
use flotilla_protocol::envelope::{Domain, Envelope, seal};
use flotilla_protocol::hello::{MAXIMUM_BUNDLES, WelcomeBody};
use flotilla_protocol::id::FleetId;
use flotilla_protocol::order::{CancelBody, OrderBody};
use flotilla_protocol::report::{OutputReceiptBody, ReceiptBody};
use flotilla_protocol::tenure::TenureBody;
use flotilla_protocol::trust::{Asked, Class, Role, Trust, TrustError};
use flotilla_protocol::wire::{ByteVec, decode, encode};
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
    /// No rule lets the operator key of the home have commands run alone.
    #[error("{key} alone may have no commands run under trust bundle {version}; use the key that the bundle names")]
    Operator {
        /// The key file.
        key: PathBuf,
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
    operator: SigningKey,
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
        let trust = Trust::from_pinned(&root_hash, bundles.iter().map(Vec::as_slice)).map_err(failed)?;
        if trust.bundle().expires_ms <= now_ms {
            return Err(SignerError::Expired { version });
        }
        let signer = Self {
            operator: read_key(&operator_path)?,
            bridge: read_key(&bridge_path)?,
            freshness: read_key(&freshness_path)?,
            trust,
            root_hash,
            bundles,
        };
        signer.prove_operator(operator_path)?;
        signer.prove(&signer.bridge, Role::Bridge, bridge_path)?;
        signer.prove(&signer.freshness, Role::Freshness, freshness_path)?;
        Ok(signer)
    }

    /// Whether the operator key alone meets a rule for commands, as a node would judge it, wherever and whenever that may be.
    fn prove_operator(&self, key: PathBuf) -> Result<(), SignerError> {
        let probe = seal(Domain::Receipt, b"probe", &[&self.operator]);
        let asked = Asked { class: Class::Command, requester: "", labels: None, time_ms: None };
        let judged = Envelope::parse(&probe, Domain::Receipt).map(|envelope| self.trust.authorise(&self.trust.signers(&envelope), &asked));
        match judged {
            Ok(Ok(_)) => Ok(()),
            _ => Err(SignerError::Operator { key, version: self.trust.bundle().version }),
        }
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
        HeadSigner::new(self.fleet().0, self.bridge.clone())
    }

    /// Signs an order to run a command; returns its envelope.
    #[must_use]
    pub fn order(&self, body: &OrderBody) -> Vec<u8> {
        seal(Domain::Order, &encode(body), &[&self.operator])
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
/// must be removable when it has expired.
///
/// # Errors
/// The first bundle or the bridge's key cannot be read.
pub fn heads_of(home: &Path) -> Result<HeadSigner, SignerError> {
    let folder = home.join("trust");
    let path = folder.join("1.bundle");
    let bundle = files::read(&path).map_err(|source| SignerError::File { path, source })?;
    let failed = |source| SignerError::Trust { version: 1, folder: folder.clone(), source };
    let envelope = Envelope::parse(&bundle, Domain::Trust).map_err(|error| failed(TrustError::Envelope(error)))?;
    let root_hash = flotilla_protocol::sha256(&[envelope.body()]);
    let trust = Trust::from_pinned(&root_hash, [bundle.as_slice()]).map_err(failed)?;
    Ok(HeadSigner::new(trust.fleet().0, read_key(&home.join("keys/bridge.key"))?))
}

fn read_key(path: &Path) -> Result<SigningKey, SignerError> {
    let seed = files::read_secret(path).map_err(|source| SignerError::File { path: path.to_owned(), source })?;
    let seed = <&[u8; 32]>::try_from(seed.as_slice()).map_err(|_| SignerError::KeyLength { path: path.to_owned() })?;
    Ok(SigningKey::from_bytes(seed))
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
    use flotilla_protocol::trust::{OperatorRule, RoleEntry, TrustBundle, TrustKey};

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    /// Writes a home with keys and a first bundle, as `init` does: root 1, operator 2, bridge 3, freshness 4.
    pub(crate) fn write_home(home: &Path) {
        let keys = (1..=4).map(|seed| TrustKey::new(key(seed).verifying_key().to_bytes().into(), &format!("person {seed}")));
        let role = |role, key| RoleEntry { role, threshold: 1, keys: vec![key] };
        let roles = vec![role(Role::Root, 0), role(Role::Bridge, 2), role(Role::Freshness, 3)];
        let bundle = TrustBundle::beginning(keys.collect(), roles, vec![OperatorRule::any_of(Class::Command, vec![1])]);
        std::fs::create_dir_all(home.join("trust")).unwrap();
        std::fs::create_dir_all(home.join("keys")).unwrap();
        files::create_public(&home.join("trust/1.bundle"), &seal(Domain::Trust, &encode(&bundle), &[&key(1)])).unwrap();
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
        assert_eq!((signer.bundles_after(0).len(), signer.bundles_after(1).len(), signer.bundles_after(9).len()), (1, 0, 0));
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
