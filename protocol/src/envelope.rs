//! The envelope: what is signed, by whom, and nothing about what it means.
//!
//! ```text
//! "FL"  version u8  domain u8  count u8  count × (algorithm u8, key id 8 bytes, length u16 LE, signature)  body
//! ```
//! A signature covers `"flotilla/" ‖ version ‖ domain ‖ 0x00 ‖ body`, so a body signed for one domain is worth nothing
//! in another. Verification reads the bytes that were received; nothing is serialised again.

use crate::id::KeyId;
use crate::signature::{ALGORITHM_ED25519, ALGORITHM_SESSION_MAC, KeyVerifier};
use crate::version;
use alloc::vec::Vec;
use core::fmt;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

/// First two bytes of every envelope.
const MAGIC: [u8; 2] = *b"FL";

/// Most signatures that an envelope may carry; beyond it nobody's quorum lies, and each costs a verification.
pub const MAXIMUM_SIGNATURES: usize = 16;

/// Longest single signature in bytes: room for an SSH or FIDO signature, far below a message.
pub const MAXIMUM_SIGNATURE_BYTES: usize = 1024;

/// What kind of body is signed: a signature for one domain never verifies in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Domain {
    /// [`crate::order::OrderBody`]
    Order = 1,
    /// [`crate::order::CancelBody`]
    Cancel = 2,
    /// [`crate::report::ReceiptBody`]
    Receipt = 3,
    /// [`crate::hello::WelcomeBody`]
    Welcome = 4,
    /// [`crate::hello::HelloBody`]
    Hello = 5,
    /// [`crate::report::ReportBody`]
    Report = 6,
    /// [`crate::report::OutputBody`]
    Output = 7,
    /// [`crate::report::OutputReceiptBody`]
    OutputReceipt = 8,
    /// [`crate::trust::TrustBundle`]
    Trust = 9,
    /// [`crate::enrolment::ClaimBody`]
    Claim = 10,
    /// [`crate::enrolment::ClaimReplyBody`]
    ClaimReply = 11,
    /// [`crate::tenure::TenureBody`]
    Tenure = 12,
    /// [`crate::enrolment::RenewalBody`]
    Renewal = 13,
}

impl Domain {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 13] = [
        Self::Order,
        Self::Cancel,
        Self::Receipt,
        Self::Welcome,
        Self::Hello,
        Self::Report,
        Self::Output,
        Self::OutputReceipt,
        Self::Trust,
        Self::Claim,
        Self::ClaimReply,
        Self::Tenure,
        Self::Renewal,
    ];
}

/// Why bytes are not an envelope of the wanted domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnvelopeError {
    /// Not `FL`, too short, or a signature that ends beyond the bytes.
    Malformed,
    /// A version that this build does not read.
    Version(u8),
    /// Another domain than the topic asks for.
    Domain(u8),
    /// More signatures, or a longer one, than allowed.
    BeyondLimit,
}

impl fmt::Display for EnvelopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("not an envelope"),
            Self::Version(version) => write!(f, "envelope version {version} is not read by this build"),
            Self::Domain(domain) => write!(f, "the envelope is of domain {domain}, which does not belong here"),
            Self::BeyondLimit => f.write_str("the envelope has too many or too long signatures"),
        }
    }
}

impl core::error::Error for EnvelopeError {}

/// One signature as it stands in the envelope. The key id is a hint, never a proof.
#[derive(Debug, Clone, Copy)]
pub struct SignatureEntry<'a> {
    /// One of the numbers of [`crate::signature`]; another is skipped.
    pub algorithm: u8,
    /// Says which key to try.
    pub key: KeyId,
    /// The signature itself, as its algorithm defines it.
    pub bytes: &'a [u8],
}

/// An envelope that was taken apart and not yet believed.
#[derive(Debug)]
pub struct Envelope<'a> {
    version: u8,
    domain: Domain,
    signatures: Vec<SignatureEntry<'a>>,
    body: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Takes an envelope of `domain` apart.
    ///
    /// # Errors
    /// See [`EnvelopeError`]; the body is not looked at.
    pub fn parse(bytes: &'a [u8], domain: Domain) -> Result<Self, EnvelopeError> {
        let (header, mut rest) = bytes.split_first_chunk::<5>().ok_or(EnvelopeError::Malformed)?;
        let [magic_0, magic_1, read_version, read_domain, count] = *header;
        if [magic_0, magic_1] != MAGIC {
            return Err(EnvelopeError::Malformed);
        }
        if !(version::OLDEST_READ..=version::VERSION).contains(&read_version) {
            return Err(EnvelopeError::Version(read_version));
        }
        if read_domain != domain as u8 {
            return Err(EnvelopeError::Domain(read_domain));
        }
        if usize::from(count) > MAXIMUM_SIGNATURES {
            return Err(EnvelopeError::BeyondLimit);
        }
        let mut signatures = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            let (entry, after) = rest.split_first_chunk::<11>().ok_or(EnvelopeError::Malformed)?;
            let [algorithm, key @ .., length_0, length_1] = *entry;
            let length = usize::from(u16::from_le_bytes([length_0, length_1]));
            if length > MAXIMUM_SIGNATURE_BYTES {
                return Err(EnvelopeError::BeyondLimit);
            }
            let (bytes, after) = after.split_at_checked(length).ok_or(EnvelopeError::Malformed)?;
            // Each key signs once: repetitions would only cost verifications.
            if signatures.iter().any(|entry: &SignatureEntry<'_>| entry.key == KeyId(key) && entry.algorithm == algorithm) {
                return Err(EnvelopeError::Malformed);
            }
            signatures.push(SignatureEntry { algorithm, key: KeyId(key), bytes });
            rest = after;
        }
        Ok(Self { version: read_version, domain, signatures, body: rest })
    }

    /// The signatures as they stand, believed or not.
    #[must_use]
    pub fn signatures(&self) -> &[SignatureEntry<'a>] {
        &self.signatures
    }

    /// The bytes that the signatures cover besides version and domain. Verify before decoding them.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// What the signatures cover: version, domain and body. It is what a signer signs.
    #[must_use]
    pub fn covered(&self) -> Vec<u8> {
        covered_bytes(self.version, self.domain, self.body)
    }

    /// Whether `key` signed this envelope, by the algorithm of the key and no other.
    #[must_use]
    pub fn is_signed_by_key(&self, key: &KeyVerifier) -> bool {
        let named = |entry: &&SignatureEntry<'_>| entry.algorithm == key.algorithm() && entry.key == key.id();
        let covered = self.covered();
        self.signatures.iter().filter(named).any(|entry| key.verifies(&covered, entry.bytes))
    }

    /// This envelope with one signature more, which is not verified here.
    ///
    /// # Errors
    /// [`EnvelopeError::BeyondLimit`] when it is too long or one too many; [`EnvelopeError::Malformed`] when the key has signed by this
    /// algorithm already.
    pub fn with_signature(&self, added: SignatureEntry<'_>) -> Result<Vec<u8>, EnvelopeError> {
        if self.signatures.len() >= MAXIMUM_SIGNATURES || added.bytes.len() > MAXIMUM_SIGNATURE_BYTES {
            return Err(EnvelopeError::BeyondLimit);
        }
        if self.signatures.iter().any(|entry| entry.key == added.key && entry.algorithm == added.algorithm) {
            return Err(EnvelopeError::Malformed);
        }
        let entries: Vec<_> = self.signatures.iter().copied().chain([added]).collect();
        Ok(assemble(self.domain, self.body, &entries))
    }

    /// Whether `key` signed this envelope with plain ed25519. Uses `verify_strict` only: small-order keys and malleable signatures fail.
    #[must_use]
    pub fn is_signed_by(&self, key: &VerifyingKey) -> bool {
        let id = KeyId::of_key(key.as_bytes());
        let named = |entry: &&SignatureEntry<'_>| entry.algorithm == ALGORITHM_ED25519 && entry.key == id;
        let covered = covered_bytes(self.version, self.domain, self.body);
        self.signatures
            .iter()
            .filter(named)
            .any(|entry| Signature::from_slice(entry.bytes).is_ok_and(|signature| key.verify_strict(&covered, &signature).is_ok()))
    }
}

fn covered_bytes(version: u8, domain: Domain, body: &[u8]) -> Vec<u8> {
    let mut covered = Vec::with_capacity(12 + body.len());
    covered.extend_from_slice(b"flotilla/");
    covered.extend_from_slice(&[version, domain as u8, 0]);
    covered.extend_from_slice(body);
    covered
}

/// See [`crate::session`].
impl Envelope<'_> {
    /// The session whose MAC this report carries, believed or not. Nothing unless the MAC stands alone: beside a signature it counts for
    /// nothing, so that there is never a choice by what an envelope is judged.
    #[must_use]
    pub fn session_id(&self) -> Option<[u8; 8]> {
        match (self.domain, self.signatures.as_slice()) {
            (Domain::Report, [entry]) if entry.algorithm == ALGORITHM_SESSION_MAC => Some(entry.key.0),
            _ => None,
        }
    }

    /// Whether this is a report under the MAC of `session`.
    #[cfg(feature = "seal")]
    #[must_use]
    pub fn is_of_session(&self, session: &crate::session::SessionKey) -> bool {
        let is_named = self.session_id() == Some(session.id());
        is_named
            && self
                .signatures
                .iter()
                .all(|entry| session.verifies([&covered_bytes(self.version, self.domain, b""), self.body], entry.bytes))
    }

    /// The same report under the MAC of `session` in the place of its signatures; nothing where this is no report.
    #[cfg(feature = "seal")]
    #[must_use]
    pub fn under_session(&self, session: &crate::session::SessionKey) -> Option<Vec<u8>> {
        if self.domain != Domain::Report {
            return None;
        }
        let mac = session.mac([&covered_bytes(self.version, self.domain, b""), self.body]);
        let entry = SignatureEntry { algorithm: ALGORITHM_SESSION_MAC, key: KeyId(session.id()), bytes: &mac };
        Some(assemble(self.domain, self.body, &[entry]))
    }
}

/// Writes an envelope. Every entry is within its limits: callers see to it.
fn assemble(domain: Domain, body: &[u8], entries: &[SignatureEntry<'_>]) -> Vec<u8> {
    let length: usize = entries.iter().map(|entry| 11 + entry.bytes.len()).sum();
    let mut bytes = Vec::with_capacity(5 + length + body.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&[version::VERSION, domain as u8, u8::try_from(entries.len()).unwrap_or(0)]);
    for entry in entries {
        bytes.push(entry.algorithm);
        bytes.extend_from_slice(&entry.key.0);
        bytes.extend_from_slice(&u16::try_from(entry.bytes.len()).unwrap_or(0).to_le_bytes());
        bytes.extend_from_slice(entry.bytes);
    }
    bytes.extend_from_slice(body);
    bytes
}

/// Signs `body` for `domain` with plain ed25519 by each of `keys`, in their order. Without keys it is an envelope that waits for its
/// signatures, see [`Envelope::with_signature`].
#[must_use]
pub fn seal(domain: Domain, body: &[u8], keys: &[&SigningKey]) -> Vec<u8> {
    let covered = covered_bytes(version::VERSION, domain, body);
    let keys = keys.iter().take(MAXIMUM_SIGNATURES);
    let signed: Vec<_> = keys.map(|key| (KeyId::of_key(key.verifying_key().as_bytes()), key.sign(&covered).to_bytes())).collect();
    let entries: Vec<_> = signed.iter().map(|(key, bytes)| SignatureEntry { algorithm: ALGORITHM_ED25519, key: *key, bytes }).collect();
    assemble(domain, body, &entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    #[test]
    fn what_was_signed_verifies_and_nothing_else_does() {
        let sealed = seal(Domain::Order, b"body", &[&key(1)]);
        let envelope = Envelope::parse(&sealed, Domain::Order).unwrap();
        assert_eq!(envelope.body(), b"body");
        assert!(envelope.is_signed_by(&key(1).verifying_key()));
        assert!(!envelope.is_signed_by(&key(2).verifying_key()));
        assert_eq!(Envelope::parse(&sealed, Domain::Cancel).unwrap_err(), EnvelopeError::Domain(1));
    }

    #[test]
    fn a_signature_for_one_domain_is_worth_nothing_in_another() {
        let mut sealed = seal(Domain::Order, b"body", &[&key(1)]);
        sealed[3] = Domain::Cancel as u8;
        assert!(!Envelope::parse(&sealed, Domain::Cancel).unwrap().is_signed_by(&key(1).verifying_key()));
    }

    #[test]
    fn no_single_bit_flip_of_a_1_kib_envelope_is_accepted() {
        let sealed = seal(Domain::Order, &[7; 1024 - 80], &[&key(1)]);
        assert_eq!(sealed.len(), 1024);
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let accepted = Envelope::parse(&flipped, Domain::Order).is_ok_and(|envelope| envelope.is_signed_by(&key(1).verifying_key()));
            assert!(!accepted, "bit {bit}");
        }
    }

    #[test]
    fn every_truncation_is_refused() {
        let sealed = seal(Domain::Order, b"body", &[&key(1), &key(2)]);
        for length in 0..sealed.len() {
            let accepted =
                Envelope::parse(&sealed[..length], Domain::Order).is_ok_and(|envelope| envelope.is_signed_by(&key(1).verifying_key()));
            assert!(!accepted, "{length} bytes");
        }
    }

    #[test]
    fn a_key_of_small_order_signs_nothing() {
        // The neutral element as a key, and R = neutral element, S = 0: the equation of RFC 8032 holds for every message.
        let neutral: [u8; 32] = core::array::from_fn(|index| u8::from(index == 0));
        let key = VerifyingKey::from_bytes(&neutral).unwrap();
        let mut forged = Vec::from(MAGIC);
        forged.extend_from_slice(&[version::VERSION, Domain::Order as u8, 1, ALGORITHM_ED25519]);
        forged.extend_from_slice(&KeyId::of_key(&neutral).0);
        forged.extend_from_slice(&64_u16.to_le_bytes());
        forged.extend_from_slice(&neutral);
        forged.extend_from_slice(&[0; 32]);
        forged.extend_from_slice(b"anything");
        assert!(!Envelope::parse(&forged, Domain::Order).unwrap().is_signed_by(&key));
    }
}
