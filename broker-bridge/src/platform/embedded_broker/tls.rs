//! TLS of the two listeners, with ring and without session resumption.
//!
//! A resumed session would skip the check of the certificate; a full handshake with ed25519 costs under a millisecond.

use super::{BrokerError, EmbeddedBrokerSettings};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// TLS that asks each client for a certificate of the fleet's authority.
pub(super) fn with_client_certificates(settings: &EmbeddedBrokerSettings) -> Result<TlsAcceptor, BrokerError> {
    let mut roots = RootCertStore::empty();
    for authority in flotilla_link::certificates_in(&settings.ca_certificate_der)? {
        roots.add(CertificateDer::from(authority.to_vec())).map_err(BrokerError::Certificate)?;
    }
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let verifier = verifier.build().map_err(BrokerError::Verifier)?;
    // Whoever has a certificate of the fleet runs our link, which speaks TLS 1.3.
    acceptor(settings, provider, verifier, &[&rustls::version::TLS13])
}

/// TLS that proves the server only.
pub(super) fn anonymous(settings: &EmbeddedBrokerSettings) -> Result<TlsAcceptor, BrokerError> {
    acceptor(settings, Arc::new(ring::default_provider()), Arc::new(NoClientAuth), rustls::DEFAULT_VERSIONS)
}

fn acceptor(
    settings: &EmbeddedBrokerSettings,
    provider: Arc<CryptoProvider>,
    verifier: Arc<dyn ClientCertVerifier>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Result<TlsAcceptor, BrokerError> {
    let chain = vec![CertificateDer::from(settings.server.certificate_der.clone())];
    let key = PrivatePkcs8KeyDer::from(settings.server.private_key_pkcs8_der.to_vec());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(BrokerError::Certificate)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, PrivateKeyDer::Pkcs8(key))
        .map_err(BrokerError::Certificate)?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
