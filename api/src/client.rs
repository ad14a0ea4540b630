//! A small blocking client: one signed call at a time, over HTTPS or to this machine.
//!
//! It follows no redirect and takes no proxy from the environment, since either would carry a signed request to a
//! place that the operator did not name. It repeats only what the bridge knows how to do once: see [`Client::call_repeatable`].

mod clock;
mod link;
mod repeat;
mod rest;
mod settings;
mod signature;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ureq::tls::{PemItem, RootCerts, TlsConfig};

use crate::error::ErrorBody;
use crate::groups::{self, RestOperation};
use crate::operation::{CONTENT_TYPE, Operation, SIGNING_SERVICE, TARGET_HEADER};

pub use repeat::{RepeatError, Repeatable};
pub use settings::{ClientSettings, DEFAULT_REGION, SecretAccessKey, SettingsError};

/// Longest wait for a connection, TLS included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait for a whole call. The bridge answers from its database, so a minute means that it hangs.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// Largest answer that is read, in bytes: several times the largest page of the API.
pub const ANSWER_LIMIT: u64 = 16 * 1024 * 1024;

/// Why a call gave no response, sorted by who must act.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The bridge was not reached, or did not answer in time. The operator or the network must act; trying again may help.
    #[error("cannot reach the bridge at {endpoint}: {hint}")]
    Connect {
        /// Where the call went.
        endpoint: String,
        /// What to do.
        hint: &'static str,
        /// What went wrong.
        #[source]
        source: Box<ureq::Error>,
    },
    /// The bridge understood and refused. The operator must change the request.
    #[error("the bridge refused {operation}: {kind}: {message}")]
    Refused {
        /// The operation called.
        operation: &'static str,
        /// Name of the error in the model.
        kind: String,
        /// The bridge's words.
        message: String,
        /// The HTTP status.
        status: u16,
    },
    /// What answered did not speak this API. The endpoint is wrong, or one side has a fault.
    #[error("what answers at {endpoint} does not speak the SSM API (status {status}): {reason}")]
    Malformed {
        /// Where the call went.
        endpoint: String,
        /// The HTTP status.
        status: u16,
        /// What could not be read.
        reason: String,
    },
    /// The request could not be written or signed: a fault in this program, or a key with characters that no header takes.
    #[error("cannot write the request {operation}: {reason}")]
    Unsendable {
        /// The operation called.
        operation: &'static str,
        /// What went wrong.
        reason: String,
    },
}

/// A client of one bridge with one access key. Keeps connections open between calls.
#[derive(Debug)]
pub struct Client {
    settings: ClientSettings,
    agent: ureq::Agent,
}

/// Names one call. It is signed here, so two equal calls within one second never carry the same signature, and the bridge can refuse
/// every repetition.
const INVOCATION_HEADER: &str = "amz-sdk-invocation-id";

fn invocation_id() -> Result<String, getrandom::Error> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

impl Client {
    /// A client of the bridge that the settings name; connects on the first call only.
    ///
    /// # Errors
    /// When the endpoint is no `https://` address (or `http://` to this machine), or the certificate cannot be read.
    pub fn new(settings: ClientSettings) -> Result<Self, SettingsError> {
        settings.check()?;
        let roots = match &settings.ca_certificate_pem {
            Some(pem) => RootCerts::Specific(Arc::new(certificates(pem)?)),
            None => RootCerts::WebPki,
        };
        let tls = TlsConfig::builder()
            .root_certs(roots)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(CALL_TIMEOUT))
            .tls_config(tls)
            .user_agent(concat!("flotilla/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self { settings, agent: config.new_agent() })
    }

    /// Where calls go.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.settings.endpoint
    }

    /// The region that signatures name, and that the bridge's names of things hold.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.settings.region
    }

    /// Makes one call and reads its response.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn call<Request: Operation>(&self, request: &Request) -> Result<Request::Response, CallError> {
        let (body, target) = json_post(request)?;
        let invocation = invocation_id().map_err(|error| unsendable::<Request>(error.to_string()))?;
        let headers = [("content-type", CONTENT_TYPE), (TARGET_HEADER, target.as_str()), (INVOCATION_HEADER, invocation.as_str())];
        let answer = self.send(&Post { url: self.settings.url(), service: SIGNING_SERVICE, headers: &headers, body: &body });
        let answer = answer.map_err(|failure| self.unanswered(Request::NAME, failure))?;
        self.understand_json::<Request>(&answer)
    }

    /// Makes one call of an operation with an address of its own and reads its response.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn call_rest<Request: RestOperation>(&self, request: &Request) -> Result<Request::Response, CallError> {
        let (query, body) = rest::parts(request).map_err(|error| unsendable::<Request>(error.to_string()))?;
        let url = self.settings.url_of(Request::PATH, &query);
        let invocation = invocation_id().map_err(|error| unsendable::<Request>(error.to_string()))?;
        let headers = [("content-type", groups::CONTENT_TYPE), (INVOCATION_HEADER, invocation.as_str())];
        let answer = self.send(&Post { url, service: groups::SIGNING_SERVICE, headers: &headers, body: &body });
        let answer = answer.map_err(|failure| self.unanswered(Request::NAME, failure))?;
        self.understand::<Request>(&answer, || rest::refusal(answer.error_header.as_deref()?, &answer.body))
    }

    fn send(&self, post: &Post<'_>) -> Result<Answer, Failure> {
        let signed = signature::sign(&self.settings, post, clock::now()).map_err(|error| Failure::Unsendable(error.to_string()))?;
        let mut request = self.agent.post(&post.url);
        for (name, value) in post.headers {
            request = request.header(*name, *value);
        }
        for (name, value) in &signed {
            request = request.header(name, value);
        }
        let mut answer = request.send(post.body).map_err(|error| Failure::Unreachable(Box::new(error)))?;
        let status = answer.status().as_u16();
        let error_header = answer.headers().get(groups::ERROR_HEADER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        match answer.body_mut().with_config().limit(ANSWER_LIMIT).read_to_vec() {
            Ok(body) => Ok(Answer { status, error_header, body }),
            Err(ureq::Error::BodyExceedsLimit(limit)) => Err(Failure::TooLong { status, limit }),
            Err(error) => Err(Failure::Unreachable(Box::new(error))),
        }
    }

    fn unanswered(&self, operation: &'static str, failure: Failure) -> CallError {
        match failure {
            Failure::Unsendable(reason) => CallError::Unsendable { operation, reason },
            Failure::TooLong { status, limit } => self.malformed(status, format!("the answer is longer than {limit} bytes")),
            Failure::Unreachable(source) => {
                CallError::Connect { endpoint: self.settings.endpoint.clone(), hint: connect_hint(&source), source }
            }
        }
    }

    fn understand_json<Request: Operation>(&self, answer: &Answer) -> Result<Request::Response, CallError> {
        self.understand::<Request>(answer, || {
            let error: ErrorBody = serde_json::from_slice(&answer.body).ok()?;
            Some((error.name().to_owned(), error.message))
        })
    }

    /// `refusal` finds the name and the words of an error in the answer, each protocol in its own place.
    fn understand<Request: Operation>(
        &self,
        answer: &Answer,
        refusal: impl FnOnce() -> Option<(String, String)>,
    ) -> Result<Request::Response, CallError> {
        let status = answer.status;
        if (200..300).contains(&status) {
            return serde_json::from_slice(&answer.body).map_err(|error| self.malformed(status, error.to_string()));
        }
        let (kind, message) = refusal().ok_or_else(|| self.malformed(status, "the answer is no error of this API".to_owned()))?;
        Err(CallError::Refused { operation: Request::NAME, kind, message, status })
    }

    fn malformed(&self, status: u16, reason: String) -> CallError {
        CallError::Malformed { endpoint: self.settings.endpoint.clone(), status, reason }
    }
}

/// A request on its way.
struct Post<'a> {
    url: String,
    /// The service that the signature names.
    service: &'static str,
    headers: &'a [(&'a str, &'a str)],
    body: &'a [u8],
}

struct Answer {
    status: u16,
    /// The name of the error, for services that put it into a header.
    error_header: Option<String>,
    body: Vec<u8>,
}

/// Why there is no answer.
enum Failure {
    Unsendable(String),
    Unreachable(Box<ureq::Error>),
    TooLong { status: u16, limit: u64 },
}

/// The body and the target of a call to the root.
fn json_post<Request: Operation>(request: &Request) -> Result<(Vec<u8>, String), CallError> {
    let body = serde_json::to_vec(request).map_err(|error| unsendable::<Request>(error.to_string()))?;
    Ok((body, format!("{}.{}", Request::TARGET_PREFIX, Request::NAME)))
}

fn unsendable<Request: Operation>(reason: String) -> CallError {
    CallError::Unsendable { operation: Request::NAME, reason }
}

fn connect_hint(error: &ureq::Error) -> &'static str {
    match error {
        ureq::Error::HostNotFound => "its host name is not known; check the spelling of the endpoint",
        ureq::Error::Timeout(_) => "it did not answer in time; check that it runs and that no firewall is between",
        ureq::Error::Rustls(_) | ureq::Error::Tls(_) | ureq::Error::Pem(_) => {
            "its certificate was not accepted; give the bridge's CA with --ca-certificate or AWS_CA_BUNDLE"
        }
        ureq::Error::Io(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused => "nothing listens there; start the bridge, or correct the endpoint",
            io::ErrorKind::InvalidData => "its certificate was not accepted; give the bridge's CA with --ca-certificate or AWS_CA_BUNDLE",
            _ => "the connection broke; check the network",
        },
        _ => "the connection failed; check the endpoint and the network",
    }
}

fn certificates(pem: &str) -> Result<Vec<ureq::tls::Certificate<'static>>, SettingsError> {
    let mut found = Vec::new();
    for item in ureq::tls::parse_pem(pem.as_bytes()) {
        if let PemItem::Certificate(certificate) = item.map_err(|_error| SettingsError::Certificate)? {
            found.push(certificate);
        }
    }
    if found.is_empty() { Err(SettingsError::Certificate) } else { Ok(found) }
}
