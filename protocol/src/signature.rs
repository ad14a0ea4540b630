//! Signatures: the algorithms by which a key of a trust bundle signs, and how each is verified.
//!
//! | number | algorithm | the signature of an envelope holds | what is signed |
//! |---|---|---|---|
//! | 1 | ed25519 | 64 bytes | the covered bytes |
//! | 2 | SSHSIG-ed25519 | hash u8, 64 bytes | the `SSHSIG` frame around the hash of the covered bytes |
//! | 3 | sk-ed25519 (FIDO) | hash u8, flags u8, counter u32 BE, 64 bytes | SHA-256(application) ‖ flags ‖ counter ‖ SHA-256(frame) |
//! | 4 | session MAC | 32 bytes | the covered bytes, under the key of a [`crate::session`]; no key of a bundle has it |
//!
//! The frame is `"SSHSIG" ‖ string "flotilla" ‖ string "" ‖ string hash ‖ string H(covered)` (OpenSSH `PROTOCOL.sshsig`, a string with its
//! u32 BE length before it), so `ssh-keygen -Y sign -n flotilla` and any `ssh-agent` make it. Only what varies is carried: the namespace, the
//! key and the names are rebuilt here and not read, so a signature has one encoding and another namespace is simply a wrong signature. What a
//! security key signs is in OpenSSH `PROTOCOL.u2f`. Everything goes through `verify_strict`.
//!
//! To add an algorithm: a number, a variant of [`PublicKey`], its bytes in `TryFrom<WirePublicKey>` and back, a scheme with its check in
//! [`KeyVerifier::verifies`], and golden and hostile messages. A node that does not know it skips the key and its signatures.

use crate::id::KeyId;
use crate::wire::bytes;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use ed25519_dalek::{Signature, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha512};

/// Plain ed25519 (RFC 8032) over the covered bytes.
pub const ALGORITHM_ED25519: u8 = 1;
/// ed25519 over OpenSSH's `SSHSIG` frame.
pub const ALGORITHM_SSH_ED25519: u8 = 2;
/// ed25519 by a FIDO security key over OpenSSH's `SSHSIG` frame.
pub const ALGORITHM_SK_ED25519: u8 = 3;

/// HMAC-SHA256 under the key of a [`crate::session`], for reports at a high rate and nothing else: in other domains it is skipped like any
/// number that is not known, and no key of a trust bundle may have it.
pub const ALGORITHM_SESSION_MAC: u8 = 4;

/// The namespace of every SSH signature: `ssh-keygen -Y sign -n flotilla`.
pub const SSH_NAMESPACE: &str = "flotilla";

/// Longest public key of any algorithm in a bundle, in bytes.
pub const MAXIMUM_PUBLIC_KEY_BYTES: usize = 128;
/// Longest application of a security key, in bytes; OpenSSH makes `ssh:` and what a person adds.
pub const MAXIMUM_APPLICATION_BYTES: usize = 64;
/// How the application of every security key of OpenSSH begins; others are those of web sites.
const APPLICATION_PREFIX: &str = "ssh:";

/// The user touched the key, or was otherwise there (CTAP2 authenticator data, UP).
const FLAG_USER_PRESENT: u8 = 0x01;
/// Besides presence: the user was verified (UV), and whether the key can be and is backed up (BE, BS). Attested data and extensions would
/// change what is signed, and the other bits are reserved.
const FLAGS_ALLOWED: u8 = FLAG_USER_PRESENT | 0x04 | 0x08 | 0x10;

/// The hash by which the covered bytes go into the `SSHSIG` frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum SshHash {
    /// `sha256`
    Sha256 = 1,
    /// `sha512`, what `ssh-keygen` uses unless it is told otherwise.
    Sha512 = 2,
}

impl SshHash {
    fn of_number(number: u8) -> Option<Self> {
        [Self::Sha256, Self::Sha512].into_iter().find(|hash| *hash as u8 == number)
    }

    /// The name in the frame.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }
}

/// A public key of a trust bundle, with the one algorithm by which it signs.
///
/// On the wire: the algorithm's number and the key's bytes, so that a node can carry a key of an algorithm that it does not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WirePublicKey", into = "WirePublicKey")]
pub enum PublicKey {
    /// Signs by [`ALGORITHM_ED25519`]; the bytes of RFC 8032.
    Ed25519([u8; 32]),
    /// Signs by [`ALGORITHM_SSH_ED25519`]; the bytes of RFC 8032, as in OpenSSH's `ssh-ed25519`.
    Ssh([u8; 32]),
    /// Signs by [`ALGORITHM_SK_ED25519`], OpenSSH's `sk-ssh-ed25519@openssh.com`.
    SecurityKey {
        /// The bytes of RFC 8032.
        key: [u8; 32],
        /// Begins with `ssh:`, printable ASCII, at most [`MAXIMUM_APPLICATION_BYTES`].
        application: String,
    },
    /// A key of an algorithm that this build does not know. Its signatures count for nothing here.
    Unknown {
        /// Another number than those above.
        algorithm: u8,
        /// At most [`MAXIMUM_PUBLIC_KEY_BYTES`].
        bytes: Vec<u8>,
    },
}

impl PublicKey {
    /// The number of the algorithm.
    #[must_use]
    pub fn algorithm(&self) -> u8 {
        match self {
            Self::Ed25519(_) => ALGORITHM_ED25519,
            Self::Ssh(_) => ALGORITHM_SSH_ED25519,
            Self::SecurityKey { .. } => ALGORITHM_SK_ED25519,
            Self::Unknown { algorithm, .. } => *algorithm,
        }
    }

    /// The key without its algorithm, by which two entries are told apart: for every known algorithm the 32 bytes of ed25519.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        match self {
            Self::Ed25519(key) | Self::Ssh(key) | Self::SecurityKey { key, .. } => key,
            Self::Unknown { bytes, .. } => bytes,
        }
    }

    /// What verifies signatures of this key; nothing for an unknown algorithm.
    ///
    /// # Errors
    /// [`WeakKey`].
    pub fn verifier(&self) -> Result<Option<KeyVerifier>, WeakKey> {
        let (key, scheme) = match self {
            Self::Ed25519(key) => (key, Scheme::Ed25519),
            Self::Ssh(key) => (key, Scheme::Ssh),
            Self::SecurityKey { key, application } => {
                (key, Scheme::SecurityKey { application_hash: crate::sha256(&[application.as_bytes()]) })
            }
            Self::Unknown { .. } => return Ok(None),
        };
        Ok(Some(KeyVerifier { id: KeyId::of_key(key), key: strong_key(key)?, scheme }))
    }
}

impl From<[u8; 32]> for PublicKey {
    /// A plain ed25519 key.
    fn from(key: [u8; 32]) -> Self {
        Self::Ed25519(key)
    }
}

/// A key as it is written: the number of its algorithm, and what that algorithm needs.
#[derive(Serialize, Deserialize)]
struct WirePublicKey {
    algorithm: u8,
    #[serde(with = "bytes")]
    bytes: Vec<u8>,
}

impl From<PublicKey> for WirePublicKey {
    fn from(key: PublicKey) -> Self {
        let algorithm = key.algorithm();
        let mut bytes = key.raw().to_vec();
        if let PublicKey::SecurityKey { application, .. } = key {
            bytes.extend_from_slice(application.as_bytes());
        }
        Self { algorithm, bytes }
    }
}

impl TryFrom<WirePublicKey> for PublicKey {
    type Error = MalformedKey;

    fn try_from(wire: WirePublicKey) -> Result<Self, MalformedKey> {
        let WirePublicKey { algorithm, bytes } = wire;
        let whole = || <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| MalformedKey);
        match algorithm {
            ALGORITHM_ED25519 => whole().map(Self::Ed25519),
            ALGORITHM_SSH_ED25519 => whole().map(Self::Ssh),
            ALGORITHM_SK_ED25519 => {
                let (key, application) = bytes.split_first_chunk::<32>().ok_or(MalformedKey)?;
                let application = core::str::from_utf8(application).map_err(|_| MalformedKey)?;
                let is_sound = application.starts_with(APPLICATION_PREFIX)
                    && application.len() <= MAXIMUM_APPLICATION_BYTES
                    && application.bytes().all(|byte| byte.is_ascii_graphic());
                if is_sound { Ok(Self::SecurityKey { key: *key, application: application.into() }) } else { Err(MalformedKey) }
            }
            // Whoever can check a MAC can make it: it proves nothing to a third.
            ALGORITHM_SESSION_MAC => Err(MalformedKey),
            _ if bytes.len() <= MAXIMUM_PUBLIC_KEY_BYTES => Ok(Self::Unknown { algorithm, bytes }),
            _ => Err(MalformedKey),
        }
    }
}

/// Bytes that are no key of their algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MalformedKey;

impl fmt::Display for MalformedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a public key of its algorithm")
    }
}

impl core::error::Error for MalformedKey {}

/// A key that nobody may use: no point of the curve, not written in the one way in which it is written, or with a part of small order, so
/// that one secret would have several keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeakKey;

impl fmt::Display for WeakKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a weak or malformed ed25519 key")
    }
}

impl core::error::Error for WeakKey {}

/// A public key as all of this contract wants it: a point, written in its one canonical way, without a part of small order.
///
/// # Errors
/// [`WeakKey`].
pub fn strong_key(bytes: &[u8; 32]) -> Result<VerifyingKey, WeakKey> {
    let key = VerifyingKey::from_bytes(bytes).map_err(|_| WeakKey)?;
    let point = key.to_edwards();
    if key.is_weak() || !point.is_torsion_free() || point.compress().as_bytes() != bytes {
        return Err(WeakKey);
    }
    Ok(key)
}

/// A key of a trust bundle that is ready to verify.
#[derive(Debug, Clone)]
pub struct KeyVerifier {
    id: KeyId,
    key: VerifyingKey,
    scheme: Scheme,
}

#[derive(Debug, Clone)]
enum Scheme {
    Ed25519,
    Ssh,
    SecurityKey { application_hash: [u8; 32] },
}

impl KeyVerifier {
    /// By which signatures name the key.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The number of its algorithm; a signature by another is not this key's.
    #[must_use]
    pub fn algorithm(&self) -> u8 {
        match self.scheme {
            Scheme::Ed25519 => ALGORITHM_ED25519,
            Scheme::Ssh => ALGORITHM_SSH_ED25519,
            Scheme::SecurityKey { .. } => ALGORITHM_SK_ED25519,
        }
    }

    /// Whether `signature`, as it stands in an envelope, is this key's over `covered`.
    #[must_use]
    pub fn verifies(&self, covered: &[u8], signature: &[u8]) -> bool {
        self.signed(covered, signature).is_some_and(|(message, signature)| self.key.verify_strict(&message, &signature).is_ok())
    }

    /// The bytes that the key itself signed, and its signature; nothing when the form is wrong.
    fn signed(&self, covered: &[u8], signature: &[u8]) -> Option<(Vec<u8>, Signature)> {
        match self.scheme {
            Scheme::Ed25519 => Some((covered.to_vec(), Signature::from_slice(signature).ok()?)),
            Scheme::Ssh => {
                let (hash, signature) = signature.split_first()?;
                let message = ssh_frame(SshHash::of_number(*hash)?, covered);
                Some((message, Signature::from_slice(signature).ok()?))
            }
            Scheme::SecurityKey { application_hash } => {
                let ([hash, flags, counter @ ..], signature) = signature.split_first_chunk::<6>()?;
                if flags & FLAG_USER_PRESENT == 0 || flags & !FLAGS_ALLOWED != 0 {
                    return None;
                }
                let frame = ssh_frame(SshHash::of_number(*hash)?, covered);
                let message = security_key_message(&application_hash, *flags, *counter, &frame);
                Some((message, Signature::from_slice(signature).ok()?))
            }
        }
    }
}

/// What an SSH key signs for `covered`: OpenSSH's `SSHSIG` frame around its hash. An `ssh-agent` is given these bytes.
#[must_use]
pub fn ssh_frame(hash: SshHash, covered: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(128);
    frame.extend_from_slice(b"SSHSIG");
    let mut string = |bytes: &[u8]| {
        // Names and hashes are far shorter than 4 GiB.
        frame.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        frame.extend_from_slice(bytes);
    };
    string(SSH_NAMESPACE.as_bytes());
    string(b"");
    string(hash.name().as_bytes());
    match hash {
        SshHash::Sha256 => string(&crate::sha256(&[covered])),
        SshHash::Sha512 => string(&Sha512::digest(covered)),
    }
    frame
}

/// What a security key signs for a frame.
#[must_use]
pub fn security_key_message(application_hash: &[u8; 32], flags: u8, counter: [u8; 4], frame: &[u8]) -> Vec<u8> {
    [application_hash.as_slice(), &[flags], &counter, &crate::sha256(&[frame])].concat()
}

/// The signature of an SSH key as an envelope carries it.
#[must_use]
pub fn ssh_signature(hash: SshHash, signature: &[u8; 64]) -> Vec<u8> {
    [&[hash as u8], signature.as_slice()].concat()
}

/// The signature of a security key as an envelope carries it.
#[must_use]
pub fn security_key_signature(hash: SshHash, flags: u8, counter: [u8; 4], signature: &[u8; 64]) -> Vec<u8> {
    [&[hash as u8, flags], counter.as_slice(), signature].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::{Signer as _, SigningKey};

    const COVERED: &[u8] = b"flotilla/ and so on";

    fn secret() -> SigningKey {
        SigningKey::from_bytes(&[1; 32])
    }

    fn verifier(key: &PublicKey) -> KeyVerifier {
        key.verifier().unwrap().unwrap()
    }

    fn ssh() -> KeyVerifier {
        verifier(&PublicKey::Ssh(secret().verifying_key().to_bytes()))
    }

    fn security_key() -> KeyVerifier {
        verifier(&PublicKey::SecurityKey { key: secret().verifying_key().to_bytes(), application: "ssh:".into() })
    }

    fn touched(application: &str, flags: u8, hash: SshHash) -> Vec<u8> {
        let counter = 7_u32.to_be_bytes();
        let message = security_key_message(&crate::sha256(&[application.as_bytes()]), flags, counter, &ssh_frame(hash, COVERED));
        security_key_signature(hash, flags, counter, &secret().sign(&message).to_bytes())
    }

    #[test]
    fn ssh_signatures_count_with_either_hash() {
        for hash in [SshHash::Sha256, SshHash::Sha512] {
            let signature = ssh_signature(hash, &secret().sign(&ssh_frame(hash, COVERED)).to_bytes());
            assert!(ssh().verifies(COVERED, &signature));
            assert!(!ssh().verifies(b"another", &signature));
            assert!(!security_key().verifies(COVERED, &signature));
        }
    }

    #[test]
    fn another_namespace_hash_or_form_does_not_count() {
        let frame = ssh_frame(SshHash::Sha512, COVERED);
        let sign = |message: &[u8]| secret().sign(message).to_bytes();
        let git: Vec<u8> = [&b"SSHSIG"[..], &[0, 0, 0, 3], b"git", &frame[6 + 4 + SSH_NAMESPACE.len()..]].concat();
        let good = ssh_signature(SshHash::Sha512, &sign(&frame));
        assert!(ssh().verifies(COVERED, &good));
        for (what, wrong) in [
            ("the namespace of git", ssh_signature(SshHash::Sha512, &sign(&git))),
            ("another hash than is said", ssh_signature(SshHash::Sha256, &sign(&frame))),
            ("a hash that is none", [&[3], good.get(1..).unwrap()].concat()),
            ("plain", sign(COVERED).to_vec()),
            ("plain, behind the number of a hash", ssh_signature(SshHash::Sha512, &sign(COVERED))),
            ("a byte more", [good.as_slice(), &[0]].concat()),
            ("a byte less", good.get(..64).unwrap().to_vec()),
            ("nothing", Vec::new()),
        ] {
            assert!(!ssh().verifies(COVERED, &wrong), "{what}");
        }
    }

    #[test]
    fn a_security_key_must_have_been_touched() {
        for flags in 0..=u8::MAX {
            let counts = security_key().verifies(COVERED, &touched("ssh:", flags, SshHash::Sha512));
            assert_eq!(counts, flags & 1 == 1 && flags & 0b1110_0010 == 0, "flags {flags:#010b}");
        }
        assert!(security_key().verifies(COVERED, &touched("ssh:", 5, SshHash::Sha256)));
        assert!(!security_key().verifies(COVERED, &touched("ssh:other", 1, SshHash::Sha512)), "another application");
        let mut counted = touched("ssh:", 1, SshHash::Sha512);
        counted[5] ^= 1;
        assert!(!security_key().verifies(COVERED, &counted), "another counter");
    }

    #[test]
    fn keys_with_a_part_of_small_order_are_refused() {
        use curve25519_dalek::constants::EIGHT_TORSION;
        let honest = secret().verifying_key().to_edwards();
        assert!(PublicKey::Ed25519(honest.compress().0).verifier().is_ok());
        for torsion in EIGHT_TORSION.get(1..).unwrap() {
            for bytes in [torsion.compress().0, (honest + torsion).compress().0] {
                assert_eq!(PublicKey::Ssh(bytes).verifier().unwrap_err(), WeakKey);
            }
        }
        // The neutral element with y = p + 1, and the largest number, which is no canonical y either.
        let mut another_form = [0xff; 32];
        (another_form[0], another_form[31]) = (0xee, 0x7f);
        assert_eq!(PublicKey::Ed25519(another_form).verifier().unwrap_err(), WeakKey);
        assert_eq!(PublicKey::Ed25519([0xff; 32]).verifier().unwrap_err(), WeakKey);
    }

    #[test]
    fn an_unknown_algorithm_is_carried_and_a_known_one_has_one_form() {
        let decoded = |bytes: &[u8]| postcard::from_bytes::<PublicKey>(bytes);
        let unknown = PublicKey::Unknown { algorithm: 200, bytes: [1, 2].into() };
        assert_eq!(decoded(&[200, 2, 1, 2]), Ok(unknown.clone()));
        assert_eq!(postcard::to_allocvec(&unknown).unwrap(), [200, 2, 1, 2]);
        assert!(unknown.verifier().unwrap().is_none());
        let wire = |algorithm: u8, tail: &[u8]| {
            let length = u8::try_from(32 + tail.len()).unwrap();
            [&[algorithm, length], [1; 32].as_slice(), tail].concat()
        };
        assert_eq!(decoded(&wire(3, b"ssh:x")), Ok(PublicKey::SecurityKey { key: [1; 32], application: "ssh:x".into() }));
        for wrong in
            [wire(1, &[0]), wire(2, &[0]), wire(3, b""), wire(3, b"web"), wire(3, b"ssh: "), wire(3, &[b's'; 65]), alloc::vec![1, 1, 1]]
        {
            assert!(decoded(&wrong).is_err(), "{wrong:?}");
        }
    }
}
