//! The signer holds the keys that the bridge signs with, and the trust bundles that give them their roles.
//!
//! Everything is in the home: `keys/operator.key`, `keys/bridge.key` and `keys/freshness.key` (32 raw bytes each, mode 0600)
//! and `trust/<version>.bundle`. Loading proves each key against the newest bundle, so a bridge whose keys the nodes would
//! refuse does not start. The operator's key is the exception: where it is not there, or may not sign alone, orders await the signatures of
//! people ([`authority`]), and the bridge signs none. A key that is to take the place of one lies beside it, as `keys/<role>.next.key`, until
//! a bundle names it.
//!
//! A new bundle comes while the bridge runs ([`Signer::add`]). It proves itself by its signatures. A key of the bridge that it does not name
//! any more signs nothing from then on, and the error says which.

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
use flotilla_protocol::trust::{Asked, Class, Role, Trust, TrustError};
use flotilla_protocol::wire::{ByteVec, decode, encode};
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Most trust bundles that a home may hold; beyond, enrolment would not fit into one message.
pub const MAXIMUM_TRUST_BUNDLES: u32 = 256;

/// Bytes of bundles in one welcome, beside the first of them: it is one message. A node that gets fewer than there are asks again.
const MAXIMUM_BUNDLE_BYTES: usize = 40 * 1024;

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
    /// A bundle does not follow the newest one.
    #[error("the bundle does not follow trust bundle {version}; sign one that does, see `flotilla trust show`")]
    NotNext {
        /// The newest version.
        version: u32,
        /// What is wrong.
        #[source]
        source: TrustError,
    },
    /// There would be more bundles than fit into the answer to a claim.
    #[error("there are {MAXIMUM_TRUST_BUNDLES} trust bundles, and no more can be added")]
    TooMany,
    /// A bundle cannot be kept.
    #[error("cannot write {path}; is the disk full?")]
    NotKept {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Another bundle of this version lies in the home, where the bridge has not read it yet.
    #[error("{path} is another bundle of the same version; remove the one that nobody is to go by, and publish the other")]
    Conflict {
        /// The file.
        path: PathBuf,
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
    home: PathBuf,
    root_hash: [u8; 32],
    now: RwLock<Arc<Standing>>,
    /// One bundle is added at a time.
    adding: Mutex<()>,
}

/// What the newest bundle comes to.
struct Standing {
    /// Only where it may sign alone: beside people's keys, a key that is online would count for one of them.
    operator: Option<SigningKey>,
    bridge: Key,
    freshness: Key,
    /// The bundles and the trust that each made, from 1 on.
    history: Vec<(Vec<u8>, Arc<Trust>)>,
    trust: Arc<Trust>,
}

/// A key with its role, and whether the newest bundle lets it sign.
struct Key {
    role: Role,
    path: PathBuf,
    key: SigningKey,
    may_sign: bool,
}

/// An order that the bridge has signed by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedOrder {
    /// Its envelope.
    pub envelope: Vec<u8>,
    /// No rule's scope decides which nodes take it. Otherwise people may have to sign, too, for those outside.
    pub suffices_everywhere: bool,
}

/// What came of a bundle that was handed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Added {
    /// Its version.
    pub version: u32,
    /// SHA-256 of its body.
    pub hash: [u8; 32],
    /// It was not known before.
    pub is_new: bool,
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
        let folder = home.join("trust");
        let bundles = read_bundles(&folder)?;
        let version = u32::try_from(bundles.len()).unwrap_or(u32::MAX);
        let failed = |source| SignerError::Trust { version, folder: folder.clone(), source };
        let first = bundles.first().ok_or_else(|| failed(TrustError::Empty))?;
        let first = Envelope::parse(first, Domain::Trust).map_err(|error| failed(TrustError::Envelope(error)))?;
        let root_hash = flotilla_protocol::sha256(&[first.body()]);
        let mut history: Vec<(Vec<u8>, Arc<Trust>)> = Vec::with_capacity(bundles.len());
        for bundle in bundles {
            let trust = match history.last() {
                None => Trust::from_pinned(&root_hash, [bundle.as_slice()]),
                Some((_, before)) => before.successor(&bundle),
            };
            history.push((bundle, Arc::new(trust.map_err(failed)?)));
        }
        let standing = Standing::new(home, history, failed)?;
        if standing.trust.is_expired(now_ms) {
            return Err(SignerError::Expired { version });
        }
        // Who may sign orders may have changed for good: people with keys of their own. What the nodes cannot do without is checked.
        standing.bridge.seal(&standing.trust, Domain::Receipt, b"probe")?;
        standing.freshness.seal(&standing.trust, Domain::Welcome, b"probe")?;
        Ok(Self { home: home.to_owned(), root_hash, now: RwLock::new(Arc::new(standing)), adding: Mutex::new(()) })
    }

    /// Takes the next bundle: it is on disk when this returns, and counts from then on. One that is known already changes nothing.
    ///
    /// # Errors
    /// It does not follow the newest one, has run out at `now_ms` (Unix time in milliseconds), or cannot be kept.
    pub fn add(&self, envelope: &[u8], now_ms: u64) -> Result<Added, SignerError> {
        let _one_at_a_time = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.standing();
        let (newest, folder) = (&before.trust, self.home.join("trust"));
        let version = newest.bundle().version;
        let not_next = |source| SignerError::NotNext { version, source };
        let parsed = Envelope::parse(envelope, Domain::Trust).map_err(|error| not_next(TrustError::Envelope(error)))?;
        let hash = flotilla_protocol::sha256(&[parsed.body()]);
        if let Some((_, known)) = before.history.iter().find(|(_, trust)| trust.hash() == hash) {
            return Ok(Added { version: known.bundle().version, hash, is_new: false });
        }
        let next = newest.successor(envelope).map_err(not_next)?;
        let version = next.bundle().version;
        if next.is_expired(now_ms) {
            return Err(SignerError::Expired { version });
        }
        if version > MAXIMUM_TRUST_BUNDLES {
            return Err(SignerError::TooMany);
        }
        keep(&folder.join(format!("{version}.bundle")), &folder, envelope)?;
        let mut history = before.history.clone();
        history.push((envelope.to_vec(), Arc::new(next)));
        let failed = |source| SignerError::Trust { version, folder: folder.clone(), source };
        let standing = Standing::new(&self.home, history, failed)?;
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(standing);
        Ok(Added { version, hash, is_new: true })
    }

    fn standing(&self) -> Arc<Standing> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The fleet that the trust root began.
    #[must_use]
    pub fn fleet(&self) -> FleetId {
        self.standing().trust.fleet()
    }

    /// The newest trust.
    #[must_use]
    pub fn trust(&self) -> Arc<Trust> {
        Arc::clone(&self.standing().trust)
    }

    /// SHA-256 of the body of trust bundle 1, which activation strings pin.
    #[must_use]
    pub fn root_hash(&self) -> [u8; 32] {
        self.root_hash
    }

    /// What signs the audit log: the bridge's key, as for receipts. What is signed there begins otherwise than everything that nodes take.
    #[must_use]
    pub fn heads(&self) -> HeadSigner {
        let now = self.standing();
        HeadSigner::new(now.trust.fleet().0, now.bridge.key.clone(), now.bridge_keys())
    }

    /// Signs an order to run a command at a Unix time in milliseconds; nothing where people must sign it.
    #[must_use]
    pub fn order(&self, body: &OrderBody, now_ms: u64) -> Option<SignedOrder> {
        let now = self.standing();
        let operator = now.operator.as_ref()?;
        let envelope = seal(Domain::Order, &encode(body), &[operator]);
        // A rule may want another than the requester, and the requester may have the name of the key; and the key may have run out.
        let signers = Envelope::parse(&envelope, Domain::Order).map(|envelope| now.trust.signers(&envelope)).ok()?;
        let judgement = authority::judge(&now.trust, Class::Command, &body.requester, &signers, now_ms);
        let suffices_everywhere = judgement.suffices_everywhere();
        judgement.is_enough.then_some(SignedOrder { envelope, suffices_everywhere })
    }

    /// Signs a cancel; returns its envelope.
    ///
    /// # Errors
    /// [`SignerError::Role`]: the newest bundle does not let the bridge's key sign it.
    pub fn cancel(&self, body: &CancelBody) -> Result<Vec<u8>, SignerError> {
        let now = self.standing();
        now.bridge.seal(&now.trust, Domain::Cancel, &encode(body))
    }

    /// Signs a receipt for reports; returns its envelope.
    ///
    /// # Errors
    /// [`SignerError::Role`]: the newest bundle does not let the bridge's key sign it.
    pub fn receipt(&self, body: &ReceiptBody) -> Result<Vec<u8>, SignerError> {
        let now = self.standing();
        now.bridge.seal(&now.trust, Domain::Receipt, &encode(body))
    }

    /// Signs a receipt for output; returns its envelope.
    ///
    /// # Errors
    /// [`SignerError::Role`]: the newest bundle does not let the bridge's key sign it.
    pub fn output_receipt(&self, body: &OutputReceiptBody) -> Result<Vec<u8>, SignerError> {
        let now = self.standing();
        now.bridge.seal(&now.trust, Domain::OutputReceipt, &encode(body))
    }

    /// Signs a nudge to ask for a new certificate; returns its envelope.
    ///
    /// # Errors
    /// [`SignerError::Role`]: the newest bundle does not let the bridge's key sign it.
    pub fn renewal(&self, body: &RenewalBody) -> Result<Vec<u8>, SignerError> {
        let now = self.standing();
        now.bridge.seal(&now.trust, Domain::Renewal, &encode(body))
    }

    /// Signs a tenure; returns its envelope. With a key that was revoked it is one that no bridge believes, this one neither.
    #[must_use]
    pub fn tenure(&self, body: &TenureBody) -> Vec<u8> {
        seal(Domain::Tenure, &encode(body), &[&self.standing().bridge.key])
    }

    /// Reads a tenure; nothing unless it is one that a bridge of this fleet has signed.
    #[must_use]
    pub fn read_tenure(&self, message: &[u8]) -> Option<TenureBody> {
        let envelope = Envelope::parse(message, Domain::Tenure).ok()?;
        self.trust().require(Role::Bridge, &envelope).ok()?;
        decode(envelope.body()).ok()
    }

    /// Signs a welcome; returns its envelope.
    ///
    /// # Errors
    /// [`SignerError::Role`]: the newest bundle does not let the bridge's key sign it.
    pub fn welcome(&self, body: &WelcomeBody) -> Result<Vec<u8>, SignerError> {
        let now = self.standing();
        now.freshness.seal(&now.trust, Domain::Welcome, &encode(body))
    }

    /// The envelopes of the bundles that follow `version`, as many as one welcome carries.
    #[must_use]
    pub fn bundles_after(&self, version: u32) -> Vec<ByteVec> {
        let skipped = usize::try_from(version).unwrap_or(usize::MAX);
        let (now, mut bytes) = (self.standing(), 0);
        let bundles = now.history.iter().skip(skipped).take(MAXIMUM_BUNDLES).map(|(bundle, _)| bundle);
        let fitting = bundles.take_while(|bundle| {
            let is_first = bytes == 0;
            bytes += bundle.len();
            is_first || bytes <= MAXIMUM_BUNDLE_BYTES
        });
        fitting.cloned().map(ByteVec).collect()
    }

    /// Whether a node that goes by bundle `version` could not verify a welcome of now: it must get the bundles before.
    #[must_use]
    pub fn is_unknown_to(&self, version: u32) -> bool {
        let now = self.standing();
        let index = usize::try_from(version).ok().and_then(|version| version.checked_sub(1));
        let trust = index.and_then(|index| now.history.get(index)).map(|(_, trust)| trust);
        // A node that says a version which is none has a newer one than this home, after a restored backup: that cannot be helped here.
        trust.map_or(version == 0, |trust| !may_sign(&now.freshness.key, trust, Role::Freshness))
    }

    /// Signs the answer to a claim, with all bundles; returns its envelope.
    ///
    /// # Errors
    /// [`SignerError::Role`]: the newest bundle does not let the bridge's key sign it.
    pub fn claim_reply(&self, nonce: [u8; 32], outcome: Result<Enrolled, ClaimRefusal>) -> Result<Vec<u8>, SignerError> {
        let now = self.standing();
        let bundles = now.history.iter().map(|(bundle, _)| ByteVec(bundle.clone())).collect();
        now.bridge.seal(&now.trust, Domain::ClaimReply, &encode(&ClaimReplyBody { nonce, bundles, outcome }))
    }
}

impl Standing {
    /// Reads the keys and proves them against the newest of these bundles.
    fn new(home: &Path, history: Vec<(Vec<u8>, Arc<Trust>)>, failed: impl Fn(TrustError) -> SignerError) -> Result<Self, SignerError> {
        let trust = history.last().map(|(_, trust)| Arc::clone(trust)).ok_or_else(|| failed(TrustError::Empty))?;
        let keys = home.join("keys");
        let operator = match read_current(&keys, "operator", &|key| may_order(key, &trust, ""))? {
            Some((operator, true)) => Some(operator),
            Some((_, false)) => {
                let version = trust.bundle().version;
                tracing::warn!(
                    version,
                    "keys/operator.key may not sign commands alone: they await the signatures of people; remove the file"
                );
                None
            }
            None => None,
        };
        let (bridge, freshness) = (Key::read(&keys, Role::Bridge, &trust)?, Key::read(&keys, Role::Freshness, &trust)?);
        Ok(Self { operator, bridge, freshness, history, trust })
    }

    /// Every key that a bundle has named for the bridge.
    fn bridge_keys(&self) -> BTreeSet<[u8; 32]> {
        self.history.iter().flat_map(|(_, trust)| trust.plain_keys_of(Role::Bridge)).collect()
    }
}

impl Key {
    /// The key of a role, or the one that is to take its place, when the bundle names that one and not the first.
    fn read(folder: &Path, role: Role, trust: &Trust) -> Result<Self, SignerError> {
        let (name, path) = (role.as_str(), folder.join(format!("{}.key", role.as_str())));
        let current = read_current(folder, name, &|key| may_sign(key, trust, role))?;
        let missing = || SignerError::File { path: path.clone(), source: std::io::ErrorKind::NotFound.into() };
        let (key, may_sign) = current.ok_or_else(missing)?;
        if !may_sign {
            let (version, path_text) = (trust.bundle().version, path.display());
            tracing::error!(?role, version, key = %path_text, "the trust bundle does not let this key sign alone: the bridge signs nothing with it");
        }
        Ok(Self { role, path, key, may_sign })
    }

    fn seal(&self, trust: &Trust, domain: Domain, body: &[u8]) -> Result<Vec<u8>, SignerError> {
        if !self.may_sign {
            return Err(SignerError::Role { key: self.path.clone(), role: self.role, version: trust.bundle().version });
        }
        Ok(seal(domain, body, &[&self.key]))
    }
}

/// Signs a probe and has it judged as a node would judge what is of the role.
fn may_sign(key: &SigningKey, trust: &Trust, role: Role) -> bool {
    let probe = seal(Domain::Receipt, b"probe", &[key]);
    Envelope::parse(&probe, Domain::Receipt).is_ok_and(|envelope| trust.require(role, &envelope).is_ok())
}

/// Signs a probe and has it judged as a node would judge an order for a command, wherever and whenever that may be.
fn may_order(key: &SigningKey, trust: &Trust, requester: &str) -> bool {
    let probe = seal(Domain::Receipt, b"probe", &[key]);
    let Ok(envelope) = Envelope::parse(&probe, Domain::Receipt) else { return false };
    let asked = Asked { class: Class::Command, requester, labels: None, time_ms: None };
    trust.authorise(&trust.signers(&envelope), &asked).is_ok()
}

/// The key of this name, or the one that is to take its place, when that one may sign and not the first; and whether it may. Nothing where
/// there is none.
fn read_current(folder: &Path, name: &str, may_sign: &dyn Fn(&SigningKey) -> bool) -> Result<Option<(SigningKey, bool)>, SignerError> {
    let (path, next) = (folder.join(format!("{name}.key")), folder.join(format!("{name}.next.key")));
    let key = read_optional_key(&path)?;
    if let Some(key) = key.as_ref().filter(|key| may_sign(key)) {
        return Ok(Some((key.clone(), true)));
    }
    if let Some(key) = read_optional_key(&next)?.filter(may_sign) {
        let moved = std::fs::rename(&next, &path).and_then(|()| files::sync_folder(folder));
        moved.map_err(|source| SignerError::File { path: next, source })?;
        tracing::info!(key = name, "the bridge signs with its next key");
        return Ok(Some((key, true)));
    }
    Ok(key.map(|key| (key, false)))
}

/// Has a new bundle on disk; one that lies there already must be the same.
fn keep(path: &Path, folder: &Path, envelope: &[u8]) -> Result<(), SignerError> {
    let failed = |source| SignerError::NotKept { path: path.to_owned(), source };
    match files::read(path) {
        Ok(there) if there == envelope => return Ok(()),
        // `flotilla trust finish` has put one there that the bridge has not read.
        Ok(_) => return Err(SignerError::Conflict { path: path.to_owned() }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let draft = path.with_extension("bundle.new");
    match std::fs::remove_file(&draft) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    files::create_public(&draft, envelope).map_err(failed)?;
    std::fs::rename(&draft, path).and_then(|()| files::sync_folder(folder)).map_err(failed)
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
    use flotilla_protocol::trust::{OperatorRule, RoleEntry, TrustBundle, TrustKey};

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    /// Writes a home with keys and a first bundle, as `init` does: root 1, operator 2, bridge 3, freshness 4.
    pub(crate) fn write_home(home: &Path) {
        let keys = (1..=4).map(|seed| TrustKey::new(key(seed).verifying_key().to_bytes().into(), &format!("person {seed}")));
        let role = |role, key| RoleEntry { role, threshold: 1, keys: vec![key] };
        let roles = vec![role(Role::Root, 0), role(Role::Bridge, 2), role(Role::Freshness, 3)];
        write_home_of(home, &TrustBundle::beginning(keys.collect(), roles, vec![OperatorRule::any_of(Class::Command, vec![1])]));
    }

    /// Bundle 1 of a fleet whose commands these sign, so many of them each: root 1, bridge 3, freshness 4.
    pub(crate) fn bundle(operators: &[(u8, &str)], threshold: u8) -> TrustBundle {
        let named = |(seed, person): &(u8, &str)| TrustKey::new(key(*seed).verifying_key().to_bytes().into(), person);
        let role = |role, key| RoleEntry { role, threshold: 1, keys: vec![key] };
        let last = 3 + u16::try_from(operators.len()).unwrap();
        let keys = [(1, "person 1"), (3, "person 3"), (4, "person 4")].iter().chain(operators).map(named).collect();
        let roles = vec![role(Role::Root, 0), role(Role::Bridge, 1), role(Role::Freshness, 2)];
        let rule = OperatorRule { threshold, ..OperatorRule::any_of(Class::Command, (3..last).collect()) };
        TrustBundle::beginning(keys, roles, vec![rule])
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
        let sealed = signer.cancel(&cancel).unwrap();
        let envelope = Envelope::parse(&sealed, Domain::Cancel).unwrap();
        assert_eq!(signer.trust().require(Role::Bridge, &envelope), Ok(()));
        assert!(signer.trust().require(Role::Freshness, &envelope).is_err());
        let bridge = key(3).verifying_key().to_bytes();
        assert_eq!(signer.standing().bridge_keys(), BTreeSet::from([bridge]), "by which the audit log may be signed");
        assert_eq!((signer.bundles_after(0).len(), signer.bundles_after(1).len(), signer.bundles_after(9).len()), (1, 0, 0));
    }

    #[test]
    fn without_an_operator_key_that_may_sign_alone_it_signs_no_orders_and_starts() {
        let home = tempfile::tempdir().unwrap();
        write_home(home.path());
        let operator = home.path().join("keys/operator.key");
        std::fs::remove_file(&operator).unwrap();
        assert!(Signer::load(home.path(), 1).unwrap().standing().operator.is_none());
        files::create_secret(&operator, &[9; 32]).unwrap();
        assert!(Signer::load(home.path(), 1).unwrap().standing().operator.is_none(), "a key that is nobody's");
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
