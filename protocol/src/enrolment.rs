//! Enrolment: how a device becomes a node.
//!
//! The operator hands the device an activation string: the activation's id and code, where the claim listener is, and the hash of
//! the trust root. The device sends a claim that proves the code without showing it; the bridge answers with trust bundles, a
//! certificate and the broker's address, signed by keys that the pinned root names. The server is trusted only after that.

use crate::hello::Facts;
use crate::id::{ActivationId, NodeId};
use crate::wire::{ByteVec, Check, DecodeError, bytes, bytes64, decode, encode, limit};
use crate::{hello, sha256, version};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use hmac::{KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};

/// Begins every activation string.
pub const ACTIVATION_PREFIX: &str = "fl1_";
/// Longest activation string, in characters (SSM's ActivationCode has at most 250).
pub const MAXIMUM_ACTIVATION_CHARACTERS: usize = 250;
/// Longest host name in an activation string, in bytes, so that the whole stays below its limit.
pub const MAXIMUM_HOST_BYTES: usize = 76;

/// What an operator hands to a device.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activation {
    /// Which activation.
    pub id: ActivationId,
    /// The secret: 160 random bits.
    pub code: [u8; 20],
    /// Host name or address of the claim listener.
    pub host: String,
    /// Port of the claim listener.
    pub port: u16,
    /// SHA-256 of the body of trust bundle 1.
    pub root_hash: [u8; 32],
}

impl fmt::Debug for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Activation {{ id: {}, host: {}, port: {}, code: hidden }}", self.id, self.host, self.port)
    }
}

/// A text that is not an activation string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidActivation {
    /// It does not begin with `fl1_`.
    Prefix,
    /// It was not copied whole, or a character is wrong.
    Damaged,
}

impl fmt::Display for InvalidActivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix => write!(f, "an activation string begins with {ACTIVATION_PREFIX}"),
            Self::Damaged => f.write_str("the activation string is damaged: copy it again, whole"),
        }
    }
}

impl core::error::Error for InvalidActivation {}

const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

impl Activation {
    /// The string: the prefix, then the members and four bytes of their hash in lower-case base32 (RFC 4648, no padding), which
    /// survives being read aloud and needs no quoting in a shell.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut packed = encode(self);
        let checksum = sha256(&[&packed]);
        packed.extend_from_slice(&checksum[..4]);
        let mut text = String::from(ACTIVATION_PREFIX);
        let (mut held, mut bits) = (0_u32, 0);
        for byte in packed {
            held = held << 8 | u32::from(byte);
            bits += 8;
            while bits >= 5 {
                bits -= 5;
                text.push(char::from(BASE32[(held >> bits & 31) as usize]));
            }
        }
        if bits > 0 {
            text.push(char::from(BASE32[(held << (5 - bits) & 31) as usize]));
        }
        text
    }

    /// Reads an activation string; white space around it is ignored.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence for the person who typed it.
    pub fn parse(text: &str) -> Result<Self, InvalidActivation> {
        let digits = text.trim().strip_prefix(ACTIVATION_PREFIX).ok_or(InvalidActivation::Prefix)?;
        if digits.len() > MAXIMUM_ACTIVATION_CHARACTERS {
            return Err(InvalidActivation::Damaged);
        }
        let mut packed = Vec::new();
        let (mut held, mut bits) = (0_u32, 0);
        for digit in digits.bytes() {
            let value = BASE32.iter().position(|known| *known == digit).ok_or(InvalidActivation::Damaged)?;
            held = (held << 5 | u32::try_from(value).map_err(|_| InvalidActivation::Damaged)?) & 0xfff;
            bits += 5;
            if bits >= 8 {
                bits -= 8;
                packed.push((held >> bits & 0xff) as u8);
            }
        }
        let (body, checksum) = packed.split_last_chunk::<4>().ok_or(InvalidActivation::Damaged)?;
        if sha256(&[body])[..4] != *checksum {
            return Err(InvalidActivation::Damaged);
        }
        let activation: Self = decode(body).map_err(|_| InvalidActivation::Damaged)?;
        // Only the one way to write it is read: bits left over in the last character are zero.
        if activation.to_text().strip_prefix(ACTIVATION_PREFIX) == Some(digits) { Ok(activation) } else { Err(InvalidActivation::Damaged) }
    }
}

impl Check for Activation {
    fn check(&self) -> Result<(), DecodeError> {
        limit((1..=MAXIMUM_HOST_BYTES).contains(&self.host.len()), "the host of an activation")
    }
}

/// What stands in the claim of a node that asks for a new certificate, in the place of an activation; [`ClaimBody::mac`] is zeros then.
pub const NO_ACTIVATION: ActivationId = ActivationId([0; 16]);

/// What a device asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimRequest {
    /// Which activation. A device that is a node already needs none for a new certificate and says [`NO_ACTIVATION`]: its signature counts.
    pub activation: ActivationId,
    /// The node's identity: an ed25519 public key, which also signs the claim.
    pub identity_key: [u8; 32],
    /// An X25519 public key to which secrets are sealed.
    pub sealing_key: [u8; 32],
    /// The certificate request: the ed25519 public key of the link.
    pub tls_key: [u8; 32],
    /// Signature by the TLS key over [`tls_proof_bytes`]: whoever asks for a certificate holds its key.
    #[serde(with = "bytes64")]
    pub tls_proof: [u8; 64],
    /// Binds the reply to this claim.
    pub nonce: [u8; 32],
    /// What the device is.
    pub facts: Facts,
}

impl Check for ClaimRequest {
    fn check(&self) -> Result<(), DecodeError> {
        self.facts.check()
    }
}

/// What the proofs of a claim begin with ends with the version of the contract, as a character.
const VERSION_DIGIT: u8 = b'0' + version::VERSION;

/// What the TLS key signs in a claim.
#[must_use]
pub fn tls_proof_bytes(identity_key: &[u8; 32], tls_key: &[u8; 32], nonce: &[u8; 32]) -> Vec<u8> {
    [b"flotilla/tls-proof/".as_slice(), &[VERSION_DIGIT], identity_key, tls_key, nonce].concat()
}

/// The body of a claim: signed by the identity key that its request names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimBody {
    /// A [`ClaimRequest`], encoded.
    #[serde(with = "bytes")]
    pub request: Vec<u8>,
    /// HMAC-SHA256 under the activation's code over the encoded request: the code itself never travels.
    pub mac: [u8; 32],
}

impl Check for ClaimBody {
    fn check(&self) -> Result<(), DecodeError> {
        Ok(())
    }
}

/// The HMAC of an encoded request under an activation's code.
///
/// # Panics
/// Never: HMAC takes keys of any length.
#[must_use]
pub fn claim_mac(code: &[u8; 20], request: &[u8]) -> [u8; 32] {
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(code).expect("HMAC takes keys of any length");
    mac.update(b"flotilla/claim/");
    mac.update(&[VERSION_DIGIT]);
    mac.update(request);
    mac.finalize().into_bytes().into()
}

/// Whether `body` was made by somebody who knows the code. Compares in constant time.
#[must_use]
pub fn claim_mac_matches(code: &[u8; 20], body: &ClaimBody) -> bool {
    let expected = claim_mac(code, &body.request);
    expected.iter().zip(&body.mac).fold(0, |difference, (left, right)| difference | (left ^ right)) == 0
}

/// Why a claim was refused. The words for the device's operator are in `Display`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClaimRefusal {
    /// No activation has this id, or the code is not its code: not told apart, so that ids cannot be probed.
    UnknownActivation,
    /// The activation has expired.
    Expired,
    /// The activation's registration limit is reached.
    UsedUp,
    /// The activation was deleted.
    Revoked,
    /// The claim cannot be read, or its signatures do not fit.
    Malformed,
    /// The bridge cannot answer now.
    TryAgain,
    /// The node was deregistered: its key may not come back.
    Deregistered,
    /// Two devices speak under the node's identity: neither gets a certificate.
    Quarantined,
}

impl fmt::Display for ClaimRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownActivation => "the activation is unknown or its code is wrong: ask the operator for a new activation string",
            Self::Expired => "the activation has expired: ask the operator for a new activation string",
            Self::UsedUp => "the activation's registration limit is reached: ask the operator for a new activation string",
            Self::Revoked => "the activation was deleted: ask the operator for a new activation string",
            Self::Malformed => "the bridge could not read the claim: is the agent of the same release as the bridge?",
            Self::TryAgain => "the bridge cannot enrol now: try again in a minute",
            Self::Deregistered => "this device was deregistered: remove its state folder to enrol it as a new node",
            Self::Quarantined => "two devices use this identity: remove the state folder of each to enrol them as new nodes",
        })
    }
}

/// What a device is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolled {
    /// The fleet's certificate authority, DER. While it is being replaced the former one stands behind it: whoever has this trusts both.
    #[serde(with = "bytes")]
    pub authority: Vec<u8>,
    /// The certificate for the link's key, DER, named after the node.
    #[serde(with = "bytes")]
    pub certificate: Vec<u8>,
    /// Host name or address of the broker's listener for nodes.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Unix time in milliseconds: the first floor.
    pub time_ms: u64,
}

/// The body of the answer to a claim, signed by the bridge role of the last of `bundles`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimReplyBody {
    /// The nonce of the claim.
    pub nonce: [u8; 32],
    /// The envelopes of all trust bundles from 1 on.
    pub bundles: Vec<ByteVec>,
    /// What came of it.
    pub outcome: Result<Enrolled, ClaimRefusal>,
}

impl Check for ClaimReplyBody {
    fn check(&self) -> Result<(), DecodeError> {
        limit(self.bundles.len() <= 32 * hello::MAXIMUM_BUNDLES, "the number of trust bundles in a claim's answer")
    }
}

/// Signed by the bridge role: the fleet has other certificate authorities than some nodes know, so a node whose authorities have another
/// hash asks for a new certificate. It is a nudge and nothing else: what the node then believes is the answer to its own claim, so that an old
/// one that is repeated does no more than that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewalBody {
    /// The node.
    pub node: NodeId,
    /// SHA-256 of what [`Enrolled::authority`] is now.
    pub authorities: [u8; 32],
}

impl Check for RenewalBody {
    fn check(&self) -> Result<(), DecodeError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn activation() -> Activation {
        Activation { id: ActivationId([7; 16]), code: [9; 20], host: "bridge.example.org".into(), port: 8885, root_hash: [3; 32] }
    }

    #[test]
    fn an_activation_string_reads_what_it_writes_and_fits_ssm() {
        let mut longest = activation();
        longest.host = "x".repeat(MAXIMUM_HOST_BYTES);
        longest.port = u16::MAX;
        for activation in [activation(), longest] {
            let text = activation.to_text();
            assert!(text.len() <= MAXIMUM_ACTIVATION_CHARACTERS, "{} characters", text.len());
            assert_eq!(Activation::parse(&alloc::format!("  {text}\n")), Ok(activation));
        }
    }

    #[test]
    fn every_wrong_or_missing_character_is_seen() {
        let text = activation().to_text();
        for index in ACTIVATION_PREFIX.len()..text.len() {
            let mut wrong = text.clone().into_bytes();
            wrong[index] = if wrong[index] == b'a' { b'b' } else { b'a' };
            assert!(Activation::parse(core::str::from_utf8(&wrong).unwrap()).is_err(), "character {index}");
            assert!(Activation::parse(text.get(..index).unwrap()).is_err(), "cut at {index}");
        }
    }
}
