//! Posts messages to one address: blocking, for threads that may block.
//!
//! It follows no redirect and takes no proxy from the environment, since either would carry messages to a place that the settings
//! do not name. Every wait ends, and of an answer no more is read than lets the connection be used again.

use super::{ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, WebhookSecret};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::sync::Arc;
use std::time::Duration;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// Longest wait for a connection, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for a whole attempt, its answer included.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);
/// Most bytes of an answer that are read; they mean nothing.
const ANSWER_BYTES: u64 = 16 * 1024;
/// Most bytes of an answer's headers.
const ANSWER_HEADER_BYTES: usize = 16 * 1024;

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Nobody answered, or not in time, or not as HTTP.
    #[error("there was no answer")]
    Unanswered(#[source] Box<ureq::Error>),
    /// The answer was no success; a redirect is none.
    #[error("the answer had the status {status}")]
    Status {
        /// The HTTP status.
        status: u16,
    },
    /// The receiver wants this message never again: status 410.
    #[error("the receiver is gone for good (status 410)")]
    Gone,
}

/// Why the certificates to trust cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// The text given holds none.
    #[error("it holds no certificates in PEM")]
    Pem,
    /// The system has none where programs look for them.
    #[error("this machine has no file of trusted certificates (the package ca-certificates)")]
    System,
}

/// Posts to one address.
pub struct Sender {
    agent: ureq::Agent,
    url: String,
    secret: WebhookSecret,
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Addresses of webhooks often hold a secret themselves.
        f.write_str("Sender")
    }
}

impl Sender {
    /// A sender to an address; for HTTPS it trusts these certificates (PEM), or the system's.
    ///
    /// # Errors
    /// There are no certificates to trust.
    pub fn new(url: &str, secret: WebhookSecret, authorities: Option<&[u8]>) -> Result<Self, RootsError> {
        let roots = match authorities {
            Some(pem) => given_roots(pem)?,
            None if url.starts_with("http://") => Vec::new(),
            None => system_roots()?,
        };
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(roots)))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(ATTEMPT_TIMEOUT))
            .max_response_header_size(ANSWER_HEADER_BYTES)
            .tls_config(tls)
            .user_agent(concat!("flotilla-bridge/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self { agent: config.new_agent(), url: url.to_owned(), secret })
    }

    /// Posts a message once, signed with this time: Unix time in milliseconds. Blocks for fifteen seconds at most.
    ///
    /// # Errors
    /// It may not have been taken; see [`SendError`].
    pub fn post(&self, id: &str, now_ms: u64, body: &str) -> Result<(), SendError> {
        let timestamp_s = now_ms / 1000;
        let answer = self
            .agent
            .post(&self.url)
            .header("content-type", "application/json")
            .header(ID_HEADER, id)
            .header(TIMESTAMP_HEADER, timestamp_s.to_string())
            .header(SIGNATURE_HEADER, self.secret.sign(id, timestamp_s, body.as_bytes()))
            .send(body);
        let mut answer = answer.map_err(|error| SendError::Unanswered(Box::new(error)))?;
        let status = answer.status().as_u16();
        // What does not fit costs the connection, and nothing else: the status was said.
        drop(answer.body_mut().with_config().limit(ANSWER_BYTES).read_to_vec());
        match status {
            200..=299 => Ok(()),
            410 => Err(SendError::Gone),
            status => Err(SendError::Status { status }),
        }
    }
}

fn given_roots(pem: &[u8]) -> Result<Vec<Certificate<'static>>, RootsError> {
    let roots = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().map_err(|_| RootsError::Pem)?;
    if roots.is_empty() { Err(RootsError::Pem) } else { Ok(roots.iter().map(owned).collect()) }
}

fn system_roots() -> Result<Vec<Certificate<'static>>, RootsError> {
    // A single file that cannot be read is no reason to do without the others.
    let roots = rustls_native_certs::load_native_certs().certs;
    if roots.is_empty() { Err(RootsError::System) } else { Ok(roots.iter().map(owned).collect()) }
}

fn owned(certificate: &CertificateDer<'_>) -> Certificate<'static> {
    Certificate::from_der(certificate).to_owned()
}
