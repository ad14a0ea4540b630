//! The fleet's certificates: one authority, and what it signs.
//!
//! Every key is ed25519. A private key is always written as PKCS#8 version 1, because OpenSSL 3.0 and with it Mosquitto
//! cannot read version 2. The certificates say who speaks on a TLS connection and nothing more: what a node runs is
//! decided by the signatures inside the envelopes, so a stolen authority key lets nobody give an order.
//!
//! Times are seconds since 1970 in UTC and come in as parameters.

mod authorities;
mod certificate_fields;

pub use authorities::Authorities;
pub use certificate_fields::{InvalidCertificate, common_name};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use certificate_fields::Fields;
use flotilla_protocol::id::NodeId;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ED25519, PublicKeyData, SanType, SerialNumber, SignatureAlgorithm, date_time_ymd,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long the authority is valid. It outlives the devices; a leaf is what expires.
pub const AUTHORITY_DAYS: u32 = 20 * 365;
/// How far back `notBefore` lies, for peers whose clock is slow.
pub const BACKDATING_S: u64 = 3_600;
/// Longest common name: X.520's upper bound, which OpenSSL enforces.
pub const MAX_COMMON_NAME: usize = 64;
/// Longest fleet name, so that the authority's common name stays within [`MAX_COMMON_NAME`].
pub const MAX_FLEET_NAME: usize = 48;
/// Most names in one server certificate.
pub const MAX_SERVER_NAMES: usize = 64;

/// The most that `notBefore` lies back, as a part of the life: what is valid for a minute must not look an hour old.
const BACKDATING_PART: u64 = 24;
const DAY_S: u64 = 86_400;
/// 9999-12-31T23:59:59Z, the last moment that a certificate can name.
const LAST_MOMENT_S: u64 = 253_402_300_799;
/// Everything of a PKCS#8 version 1 ed25519 key but the 32 secret bytes (RFC 8410, section 7).
const PKCS8_PREFIX: [u8; 16] = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
/// 2.5.29.17, the names of a server, as rcgen wants it and as it stands in a certificate.
const SUBJECT_ALTERNATIVE_NAMES_OID: [u64; 4] = [2, 5, 29, 17];
const SUBJECT_ALTERNATIVE_NAMES: [u8; 3] = [0x55, 0x1d, 0x11];
/// 2.5.29.14 and 2.5.29.35: the hash of the own key, and of that of the authority.
const SUBJECT_KEY_IDENTIFIER: [u8; 3] = [0x55, 0x1d, 0x0e];
const AUTHORITY_KEY_IDENTIFIER: [u8; 3] = [0x55, 0x1d, 0x23];
const SEED_LENGTH: usize = 32;
const SERIAL_LENGTH: usize = 16;
const PEM_LINE: usize = 64;

/// Why a certificate was not made or an authority not loaded.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A common name that certificates cannot carry or that topics could misread.
    #[error("{name:?} cannot be a certificate's name: use 1 to {MAX_COMMON_NAME} of a-z, A-Z, 0-9, '.', '_' and '-'")]
    CommonName {
        /// The name as given.
        name: String,
    },
    /// A fleet name that the authority's certificate cannot carry.
    #[error("{name:?} cannot be a fleet's name: use 1 to {MAX_FLEET_NAME} of a-z, A-Z, 0-9, '.', '_' and '-'")]
    FleetName {
        /// The name as given.
        name: String,
    },
    /// A server name that is neither a DNS name nor an IP address.
    #[error("{name:?} is neither a DNS name nor an IP address; give the names by which nodes reach the broker")]
    ServerName {
        /// The name as given.
        name: String,
    },
    /// No server name, or more than [`MAX_SERVER_NAMES`].
    #[error("a server certificate needs 1 to {MAX_SERVER_NAMES} names, not {count}")]
    ServerNameCount {
        /// How many were given.
        count: usize,
    },
    /// A node's certificate was asked for under another name than a node id.
    #[error("{name:?} is not a node id, and only nodes bring their own key")]
    NotANodeId {
        /// The name as given.
        name: String,
    },
    /// The 32 bytes are no ed25519 key, or one of the few that sign nothing.
    #[error("the public key is not a usable ed25519 key")]
    PublicKey,
    /// The validity would end after the year 9999.
    #[error("the certificate would end after the year 9999; check the clock and the number of days")]
    Validity,
    /// The certificate could not be read, or is not one of a Flotilla authority.
    #[error("the authority's certificate cannot be used: {what}; restore it from the backup made at `init`")]
    Certificate {
        /// What is wrong with it.
        what: &'static str,
    },
    /// The private key could not be read.
    #[error("the authority's private key cannot be used: {what}; restore it from the backup made at `init`")]
    Key {
        /// What is wrong with it.
        what: &'static str,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: {message}")]
    Random {
        /// What it said.
        message: String,
    },
    /// The certificate could not be signed.
    #[error("the certificate could not be made")]
    Sign(#[source] rcgen::Error),
}

/// A certificate with the private key that belongs to it.
#[derive(Clone)]
pub struct IssuedCertificate {
    /// The certificate.
    pub certificate_der: Vec<u8>,
    /// The private key, PKCS#8 version 1.
    pub private_key_pkcs8_der: Zeroizing<Vec<u8>>,
}

impl IssuedCertificate {
    /// The certificate as PEM text.
    #[must_use]
    pub fn certificate_pem(&self) -> String {
        certificate_pem(&self.certificate_der)
    }

    /// The private key as PEM text. Write it only to a file of mode 0600.
    #[must_use]
    pub fn private_key_pem(&self) -> Zeroizing<String> {
        pem("PRIVATE KEY", &self.private_key_pkcs8_der)
    }
}

impl fmt::Debug for IssuedCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedCertificate").finish_non_exhaustive()
    }
}

/// The fleet's certificate authority with its private key.
pub struct FleetCa {
    certificate_der: Vec<u8>,
    private_key_pkcs8_der: Zeroizing<Vec<u8>>,
    issuer: Issuer<'static, KeyPair>,
}

impl fmt::Debug for FleetCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FleetCa").finish_non_exhaustive()
    }
}

impl FleetCa {
    /// Makes a new authority for the fleet with this name, valid for [`AUTHORITY_DAYS`] from `now_s` on.
    ///
    /// # Errors
    /// The name does not fit, or there were no random bytes.
    pub fn create(fleet: &str, now_s: u64) -> Result<Self, PkiError> {
        if !is_plain_name(fleet, MAX_FLEET_NAME) {
            return Err(PkiError::FleetName { name: fleet.to_owned() });
        }
        let private_key_pkcs8_der = new_private_key()?;
        let key = key_pair(&private_key_pkcs8_der)?;
        let mut parameters = authority_parameters(&format!("Flotilla fleet {fleet}"));
        set_validity(&mut parameters, now_s, life_s(AUTHORITY_DAYS)?)?;
        parameters.serial_number = Some(serial()?);
        let certificate_der = parameters.self_signed(&key).map_err(PkiError::Sign)?.der().to_vec();
        Ok(Self { certificate_der, private_key_pkcs8_der, issuer: Issuer::new(parameters, key) })
    }

    /// Takes up an authority from its certificate (PEM or DER) and its private key (PEM).
    ///
    /// # Errors
    /// One of the two cannot be read, or they do not belong together.
    pub fn load(certificate: &[u8], key_pem: &str) -> Result<Self, PkiError> {
        let certificate_der = if certificate.starts_with(b"-----") {
            let invalid = |_| PkiError::Certificate { what: "the PEM text is damaged" };
            CertificateDer::from_pem_slice(certificate).map_err(invalid)?.to_vec()
        } else {
            certificate.to_vec()
        };
        let invalid = |_| PkiError::Key { what: "it is not a PKCS#8 key in PEM" };
        let parsed = PrivatePkcs8KeyDer::from_pem_slice(key_pem.as_bytes()).map_err(invalid)?;
        let private_key_pkcs8_der = Zeroizing::new(parsed.secret_pkcs8_der().to_vec());
        let key = key_pair(&private_key_pkcs8_der)?;
        let fields = Fields::of(&certificate_der).map_err(|_| PkiError::Certificate { what: "it is not X.509" })?;
        if fields.issuer != fields.subject {
            return Err(PkiError::Certificate { what: "it is not signed by itself" });
        }
        if fields.public_key_info != key.subject_public_key_info() {
            return Err(PkiError::Key { what: "it belongs to another certificate" });
        }
        let name = fields.common_name().map_err(|_| PkiError::Certificate { what: "it has no name" })?;
        Ok(Self { issuer: Issuer::new(authority_parameters(name), key), certificate_der, private_key_pkcs8_der })
    }

    /// The authority's certificate, which nodes and the broker trust.
    #[must_use]
    pub fn certificate_der(&self) -> &[u8] {
        &self.certificate_der
    }

    /// The authority's certificate as PEM text.
    #[must_use]
    pub fn certificate_pem(&self) -> String {
        certificate_pem(&self.certificate_der)
    }

    /// The authority's private key as PEM text. Write it only to a file of mode 0600.
    #[must_use]
    pub fn key_pem(&self) -> Zeroizing<String> {
        pem("PRIVATE KEY", &self.private_key_pkcs8_der)
    }

    /// Makes a key and a certificate for a server that answers to these DNS names and IP addresses.
    ///
    /// # Errors
    /// A name is neither, there are none or too many, or the validity does not fit.
    pub fn issue_server(&self, names: &[String], now_s: u64, days: u32) -> Result<IssuedCertificate, PkiError> {
        if names.is_empty() || names.len() > MAX_SERVER_NAMES {
            return Err(PkiError::ServerNameCount { count: names.len() });
        }
        let mut parameters = leaf_parameters("flotilla-broker", ExtendedKeyUsagePurpose::ServerAuth);
        parameters.subject_alt_names = names.iter().map(|name| subject_name(name)).collect::<Result<_, _>>()?;
        self.issue(parameters, now_s, days)
    }

    /// Makes a key and a client certificate under this common name, for the bridge's own connections.
    ///
    /// # Errors
    /// The name does not fit, or the validity does not.
    pub fn issue_client(&self, name: &str, now_s: u64, days: u32) -> Result<IssuedCertificate, PkiError> {
        if !is_plain_name(name, MAX_COMMON_NAME) {
            return Err(PkiError::CommonName { name: name.to_owned() });
        }
        self.issue(leaf_parameters(name, ExtendedKeyUsagePurpose::ClientAuth), now_s, days)
    }

    /// Signs a client certificate for a node's own ed25519 key, which never leaves the node; returns the certificate's DER.
    ///
    /// The caller has made sure that the requester holds the key. The name must be a node id, so that nobody can enrol under
    /// the bridge's name.
    ///
    /// # Errors
    /// The name is no node id, the key is no usable ed25519 key, or the validity does not fit.
    pub fn certify_client_key(&self, name: &str, ed25519_public_key: &[u8; 32], now_s: u64, days: u32) -> Result<Vec<u8>, PkiError> {
        self.certify_client_key_for(name, ed25519_public_key, now_s, life_s(days)?)
    }

    /// As [`FleetCa::certify_client_key`], for so many seconds.
    ///
    /// # Errors
    /// As there.
    pub fn certify_client_key_for(&self, name: &str, ed25519_public_key: &[u8; 32], now_s: u64, life_s: u64) -> Result<Vec<u8>, PkiError> {
        if name.parse::<NodeId>().is_err() {
            return Err(PkiError::NotANodeId { name: name.to_owned() });
        }
        let key = ed25519_dalek::VerifyingKey::from_bytes(ed25519_public_key).map_err(|_| PkiError::PublicKey)?;
        if key.is_weak() {
            return Err(PkiError::PublicKey);
        }
        let parameters = leaf_parameters(name, ExtendedKeyUsagePurpose::ClientAuth);
        self.sign(parameters, &NodePublicKey(*ed25519_public_key), now_s, life_s)
    }

    /// Makes a new certificate for the key and the names of one that this fleet's authority, this or a former one, gave to its broker
    /// or its bridge; returns its DER.
    ///
    /// # Errors
    /// The old certificate cannot be read, or the validity does not fit.
    pub fn certify_again(&self, issued: &IssuedCertificate, now_s: u64, days: u32) -> Result<Vec<u8>, PkiError> {
        let unreadable = |_| PkiError::Certificate { what: "it is not X.509" };
        let fields = Fields::of(&issued.certificate_der).map_err(unreadable)?;
        let name = fields.common_name().map_err(unreadable)?;
        let names = fields.extension(&SUBJECT_ALTERNATIVE_NAMES).map_err(unreadable)?;
        let purpose = if names.is_some() { ExtendedKeyUsagePurpose::ServerAuth } else { ExtendedKeyUsagePurpose::ClientAuth };
        let mut parameters = leaf_parameters(name, purpose);
        if let Some(names) = names {
            parameters.custom_extensions = vec![CustomExtension::from_oid_content(&SUBJECT_ALTERNATIVE_NAMES_OID, names.to_vec())];
        }
        self.sign(parameters, &key_pair(&issued.private_key_pkcs8_der)?, now_s, life_s(days)?)
    }

    /// Whether this authority's key has signed the certificate, as far as the name of the key in it says.
    #[must_use]
    pub fn has_issued(&self, certificate_der: &[u8]) -> bool {
        let identifier =
            |der: &[u8], oid: &[u8]| Fields::of(der).ok().and_then(|fields| fields.extension(oid).ok().flatten().map(<[u8]>::to_vec));
        let own = identifier(&self.certificate_der, &SUBJECT_KEY_IDENTIFIER);
        let named = identifier(certificate_der, &AUTHORITY_KEY_IDENTIFIER);
        // OCTET STRING of the key here, and `[0]` of the same bytes in a SEQUENCE there.
        matches!((own, named), (Some(own), Some(named)) if own.len() > 2 && named.ends_with(own.get(2..).unwrap_or_default()))
    }

    fn issue(&self, parameters: CertificateParams, now_s: u64, days: u32) -> Result<IssuedCertificate, PkiError> {
        let private_key_pkcs8_der = new_private_key()?;
        let key = key_pair(&private_key_pkcs8_der)?;
        let certificate_der = self.sign(parameters, &key, now_s, life_s(days)?)?;
        Ok(IssuedCertificate { certificate_der, private_key_pkcs8_der })
    }

    fn sign(&self, mut parameters: CertificateParams, key: &impl PublicKeyData, now_s: u64, life_s: u64) -> Result<Vec<u8>, PkiError> {
        set_validity(&mut parameters, now_s, life_s)?;
        parameters.serial_number = Some(serial()?);
        Ok(parameters.signed_by(key, &self.issuer).map_err(PkiError::Sign)?.der().to_vec())
    }
}

/// A certificate as PEM text.
#[must_use]
pub fn certificate_pem(certificate_der: &[u8]) -> String {
    pem("CERTIFICATE", certificate_der).to_string()
}

/// A node's public key: rcgen writes it as RFC 8410 asks, `302a300506032b6570032100` and the 32 bytes.
struct NodePublicKey([u8; 32]);

impl PublicKeyData for NodePublicKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ED25519
    }
}

fn is_plain_name(name: &str, longest: usize) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !name.is_empty() && name.len() <= longest && name.bytes().all(plain)
}

fn subject_name(name: &str) -> Result<SanType, PkiError> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let invalid = || PkiError::ServerName { name: name.to_owned() };
    let label = |label: &str| is_plain_name(label, 63) && !label.starts_with('-') && !label.ends_with('-');
    if name.len() > 253 || !name.split('.').all(label) {
        return Err(invalid());
    }
    name.try_into().map(SanType::DnsName).map_err(|_| invalid())
}

fn authority_parameters(name: &str) -> CertificateParams {
    let mut parameters = parameters(name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    parameters
}

fn leaf_parameters(name: &str, purpose: ExtendedKeyUsagePurpose) -> CertificateParams {
    let mut parameters = parameters(name);
    parameters.is_ca = IsCa::ExplicitNoCa;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![purpose];
    parameters.use_authority_key_identifier_extension = true;
    parameters
}

fn parameters(name: &str) -> CertificateParams {
    let mut distinguished_name = DistinguishedName::new();
    distinguished_name.push(DnType::CommonName, name);
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = distinguished_name;
    parameters
}

fn life_s(days: u32) -> Result<u64, PkiError> {
    u64::from(days).checked_mul(DAY_S).ok_or(PkiError::Validity)
}

fn set_validity(parameters: &mut CertificateParams, now_s: u64, life_s: u64) -> Result<(), PkiError> {
    let end = now_s.checked_add(life_s).filter(|end| *end <= LAST_MOMENT_S).ok_or(PkiError::Validity)?;
    let epoch = date_time_ymd(1970, 1, 1);
    parameters.not_before = epoch + Duration::from_secs(now_s.saturating_sub(BACKDATING_S.min(life_s / BACKDATING_PART)));
    parameters.not_after = epoch + Duration::from_secs(end);
    Ok(())
}

fn fill_random(bytes: &mut [u8]) -> Result<(), PkiError> {
    getrandom::fill(bytes).map_err(|error| PkiError::Random { message: error.to_string() })
}

fn serial() -> Result<SerialNumber, PkiError> {
    let mut bytes = [0; SERIAL_LENGTH];
    fill_random(&mut bytes)?;
    // Positive, and of full length in DER.
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

fn new_private_key() -> Result<Zeroizing<Vec<u8>>, PkiError> {
    let mut seed = Zeroizing::new([0; SEED_LENGTH]);
    fill_random(seed.as_mut())?;
    // Reserved at once: a vector that grows would leave a copy of the key behind.
    let mut key = Zeroizing::new(Vec::with_capacity(PKCS8_PREFIX.len() + SEED_LENGTH));
    key.extend_from_slice(&PKCS8_PREFIX);
    key.extend_from_slice(seed.as_ref());
    Ok(key)
}

fn key_pair(pkcs8_der: &[u8]) -> Result<KeyPair, PkiError> {
    KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(pkcs8_der), &PKCS_ED25519)
        .map_err(|_| PkiError::Key { what: "it is not an ed25519 key" })
}

fn pem(label: &str, der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(STANDARD.encode(der));
    let lines = body.len().div_ceil(PEM_LINE);
    let mut text = Zeroizing::new(String::with_capacity(body.len() + lines + 2 * (label.len() + 20)));
    text.push_str("-----BEGIN ");
    text.push_str(label);
    text.push_str("-----\n");
    for (index, character) in body.chars().enumerate() {
        if index > 0 && index % PEM_LINE == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    text.push_str("\n-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}

#[cfg(test)]
mod tests;
