//! TLS configurations: TLS 1.3 and 1.2 with ring, given explicitly and never installed process-wide.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WantsClientCert, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore, SignatureScheme, WantsVerifier};
use thiserror::Error;

use crate::certificate::{InvalidCertificate, Validity, certificates_in};
use crate::clock;

/// Tickets kept for short reconnects. One configuration talks to one broker, which sends a few tickets a connection;
/// the library's default of 256 would be memory that a device never uses.
const KEPT_TICKETS: usize = 8;

/// Why a TLS configuration could not be made.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The provider does not offer TLS 1.2 and 1.3. A fault of the build.
    #[error("this build's cryptography does not offer TLS 1.2 and 1.3")]
    Versions(#[source] rustls::Error),
    /// The fleet CA is not a usable DER certificate.
    #[error("the fleet CA is not a usable certificate; it must be X.509 in DER form")]
    Root(#[source] rustls::Error),
    /// What should be the fleet's authorities is something else.
    #[error("the fleet's certificate authorities cannot be told apart; they must be X.509 certificates in DER form, one after the other")]
    Roots(#[source] InvalidCertificate),
    /// No verifier of the broker's certificate can be made of the authorities.
    #[error("the fleet's certificate authorities cannot verify a broker")]
    Verifier(#[source] rustls::client::VerifierBuilderError),
    /// The certificate or the private key is unusable, or they do not belong together.
    #[error("the certificate and its private key cannot be used together; both must be of the same identity")]
    Identity(#[source] rustls::Error),
}

/// The configuration of a member of the fleet: it proves its own identity and accepts only brokers of the fleet.
///
/// * `ca_der`: the fleet CA in DER form, and during its rotation the former one behind it. The broker's chain must end at one of them, its
///   name must be the address that is dialled, and no other root counts.
/// * `certificate_der`: the own certificate, signed by the fleet CA, in DER form.
/// * `private_key_pkcs8_der`: its Ed25519 key as PKCS#8 version 1 (or 2) in DER form. It is copied into the
///   configuration; the caller keeps and erases its own.
/// * `time_floor_s`: seconds since 1970 that are certainly past. Certificates are judged at the later of this and the
///   system clock, so that a device without a clock of its own can connect at all.
///
/// # Errors
/// [`TlsError`] says which of the inputs is unusable.
pub fn fleet_client(
    ca_der: &[u8],
    certificate_der: &[u8],
    private_key_pkcs8_der: &[u8],
    time_floor_s: Option<u64>,
) -> Result<Arc<ClientConfig>, TlsError> {
    let builder = builder(Arc::new(FlooredClock(time_floor_s.unwrap_or(0))))?.with_root_certificates(roots(ca_der)?);
    identified(builder, certificate_der, private_key_pkcs8_der)
}

/// The configuration of a node: as [`fleet_client`], but the broker's certificate is judged by what the node knows of the time, and never by
/// its system clock, which may stand in 1970 or be set by a stranger. What the node knows may be years ago: where the certificate begins
/// later, the time is read as its beginning.
///
/// # Errors
/// As [`fleet_client`].
pub fn node_client(
    ca_der: &[u8],
    certificate_der: &[u8],
    private_key_pkcs8_der: &[u8],
    time: &KnownTime,
) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots(ca_der)?), provider).build().map_err(TlsError::Verifier)?;
    let verifier = Arc::new(ByKnownTime { verifier, time: time.clone() });
    let builder = builder(Arc::new(time.clone()))?.dangerous().with_custom_certificate_verifier(verifier);
    identified(builder, certificate_der, private_key_pkcs8_der)
}

fn roots(ca_der: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for authority in certificates_in(ca_der).map_err(TlsError::Roots)? {
        roots.add(CertificateDer::from(authority.to_vec())).map_err(TlsError::Root)?;
    }
    Ok(roots)
}

fn identified(
    builder: ConfigBuilder<ClientConfig, WantsClientCert>,
    certificate_der: &[u8],
    private_key_pkcs8_der: &[u8],
) -> Result<Arc<ClientConfig>, TlsError> {
    let chain = vec![CertificateDer::from(certificate_der.to_vec())];
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(private_key_pkcs8_der.to_vec()));
    let mut config = builder.with_client_auth_cert(chain, key).map_err(TlsError::Identity)?;
    config.resumption = Resumption::in_memory_sessions(KEPT_TICKETS);
    Ok(Arc::new(config))
}

/// A time that is certainly past, in seconds since 1970, shared by whoever learns of it and the configurations that go by it.
#[derive(Debug, Clone, Default)]
pub struct KnownTime(Arc<AtomicU64>);

impl KnownTime {
    /// Beginning with this.
    #[must_use]
    pub fn new(certainly_past_s: u64) -> Self {
        Self(Arc::new(AtomicU64::new(certainly_past_s)))
    }

    /// Raises it, where this is later: what a certificate says of its own beginning, until somebody knows better.
    pub fn raise(&self, certainly_past_s: u64) {
        self.0.fetch_max(certainly_past_s, Ordering::Relaxed);
    }

    /// From now on it is this, be it later or earlier: whoever says so answers for it. Returns what it was.
    pub fn set(&self, certainly_past_s: u64) -> u64 {
        self.0.swap(certainly_past_s, Ordering::Relaxed)
    }

    /// What it is now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl TimeProvider for KnownTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.get())))
    }
}

/// The configuration of a device that enrols: no identity yet, and any certificate of the broker is accepted.
///
/// This is safe only on the claim listener, where TLS is not what protects: the device's request is authenticated by
/// its activation code without revealing it, and the reply is accepted only with the signature of the fleet key that
/// the device was given beforehand. Whoever stands in between can hinder an enrolment, but neither read a secret nor
/// pass for the fleet. Never use it for anything else.
///
/// # Errors
/// [`TlsError::Versions`], a fault of the build.
pub fn unverified_client() -> Result<Arc<ClientConfig>, TlsError> {
    let mut config = builder(Arc::new(FlooredClock(0)))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer(ring::default_provider())))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

fn builder(time: Arc<dyn TimeProvider>) -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, TlsError> {
    ClientConfig::builder_with_details(Arc::new(ring::default_provider()), time)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(TlsError::Versions)
}

/// The later of the system clock and a time that is certainly past, in seconds since 1970.
#[derive(Debug)]
struct FlooredClock(u64);

impl TimeProvider for FlooredClock {
    fn current_time(&self) -> Option<UnixTime> {
        let now_s = clock::system_time_s().max(self.0);
        Some(UnixTime::since_unix_epoch(Duration::from_secs(now_s)))
    }
}

/// Verifies the broker's certificate as usual, at the later of what is known of the time and the certificate's own beginning.
#[derive(Debug)]
struct ByKnownTime {
    verifier: Arc<WebPkiServerVerifier>,
    time: KnownTime,
}

impl ServerCertVerifier for ByKnownTime {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        // What cannot be read here is refused below.
        let begins_s = Validity::of(end_entity).map_or(0, |validity| validity.not_before_s);
        let now = UnixTime::since_unix_epoch(Duration::from_secs(self.time.get().max(begins_s)));
        self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// Accepts every server certificate; the handshake's own signature is still checked.
#[derive(Debug)]
struct AnyServer(CryptoProvider);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_stands_before_the_floor() {
        let in_the_far_future = 1 << 40;
        let floored = FlooredClock(in_the_far_future).current_time().unwrap();
        assert_eq!(floored.as_secs(), in_the_far_future);
        let free = FlooredClock(0).current_time().unwrap();
        assert!(free.as_secs() < in_the_far_future);
    }

    #[test]
    fn what_is_not_a_certificate_is_refused() {
        assert!(matches!(fleet_client(b"no", b"no", b"no", None), Err(TlsError::Roots(_))));
        assert!(matches!(fleet_client(&[0x30, 0], b"no", b"no", None), Err(TlsError::Root(_))));
    }

    #[test]
    fn the_time_of_a_node_is_what_it_is_told_and_knows_no_clock() {
        let time = KnownTime::new(5);
        let shared = time.clone();
        assert_eq!(time.current_time().unwrap().as_secs(), 5);
        shared.raise(6);
        shared.raise(4);
        assert_eq!((shared.set(9), time.get(), time.current_time().unwrap().as_secs()), (6, 9, 9));
        assert_eq!((shared.set(7), time.get()), (9, 7), "a pushed time can be taken back");
    }
}
