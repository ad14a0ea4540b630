//! Calls that are made again when their answer is lost, under one name, by which the bridge knows that they are one call.

use std::io;
use std::time::Duration;

use super::{CallError, Client, Failure, INVOCATION_HEADER, Post, invocation_id, json_post, unsendable};
use crate::activations::CreateActivationRequest;
use crate::commands::SendCommandRequest;
use crate::operation::Operation;

/// Most attempts of one call.
const ATTEMPTS: u32 = 4;
/// Between the first two attempts; it doubles. Signatures name whole seconds: an attempt in the same second could be taken for a replay
/// of the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(1_100);
/// Counts the attempts of a call, as SDKs do.
const ATTEMPT_HEADER: &str = "amz-sdk-request";

/// An operation that the bridge does once, however often it arrives under one `amz-sdk-invocation-id`. Add one when the bridge
/// remembers its calls.
pub trait Repeatable: Operation {}

impl Repeatable for SendCommandRequest {}
impl Repeatable for CreateActivationRequest {}

/// Why all attempts of a call gave no response.
#[derive(Debug, thiserror::Error)]
#[error("no attempt got a response")]
pub struct RepeatError {
    /// The failure of the last attempt.
    pub source: CallError,
    /// Whether one of the attempts may have reached the bridge, which may have done what was asked: to call again under another name
    /// would do it twice.
    pub may_have_arrived: bool,
}

impl CallError {
    /// Whether it may go away by itself: the bridge is not reached, is busy, or a proxy before it does not reach it.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        const BAD_GATEWAY_TO_GATEWAY_TIMEOUT: std::ops::RangeInclusive<u16> = 502..=504;
        match self {
            Self::Connect { .. } => true,
            Self::Refused { kind, status, .. } => {
                *status >= 500 || matches!(kind.as_str(), "ThrottlingException" | "TooManyRequestsException" | "RequestTimeoutException")
            }
            Self::Malformed { status, .. } => BAD_GATEWAY_TO_GATEWAY_TIMEOUT.contains(status),
            Self::Unsendable { .. } => false,
        }
    }

    /// Whether the bridge may have done what was asked all the same.
    fn may_have_arrived(&self) -> bool {
        match self {
            Self::Connect { source, .. } => !is_before_sending(source),
            // Both are said before anything is done.
            Self::Refused { kind, status, .. } => self.is_passing() && kind != "ThrottlingException" && *status != 503,
            Self::Malformed { .. } => true,
            Self::Unsendable { .. } => false,
        }
    }

    /// Whether the next attempt may fare better. What the operator must put right does not change in seconds.
    fn is_worth_another(&self) -> bool {
        match self {
            Self::Connect { source, .. } => {
                !matches!(**source, ureq::Error::HostNotFound | ureq::Error::Rustls(_) | ureq::Error::Tls(_)) && !is_certificate(source)
            }
            other => other.is_passing(),
        }
    }
}

/// Whether a failure came before the first byte of the request was sent.
fn is_before_sending(error: &ureq::Error) -> bool {
    use io::ErrorKind as Kind;
    match error {
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed | ureq::Error::Tls(_) => true,
        ureq::Error::Timeout(ureq::Timeout::Resolve | ureq::Timeout::Connect) => true,
        ureq::Error::Io(io) => {
            matches!(io.kind(), Kind::ConnectionRefused | Kind::HostUnreachable | Kind::NetworkUnreachable) || is_certificate(error)
        }
        other => is_certificate(other),
    }
}

/// Whether the other side's certificate was not accepted, which is before anything is sent.
fn is_certificate(error: &ureq::Error) -> bool {
    let cause = match error {
        ureq::Error::Rustls(cause) => Some(cause),
        ureq::Error::Io(io) => io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()),
        _ => None,
    };
    matches!(cause, Some(rustls::Error::InvalidCertificate(_)))
}

impl Client {
    /// Makes one call, in up to four attempts under one name: the bridge does what is asked at most once. Another attempt follows where
    /// the connection failed or the bridge was busy. `pause` sleeps, and says whether to go on.
    ///
    /// # Errors
    /// See [`RepeatError`]: it holds the failure of the last attempt.
    pub fn call_repeatable<Request: Repeatable>(
        &self,
        request: &Request,
        mut pause: impl FnMut(Duration) -> bool,
    ) -> Result<Request::Response, RepeatError> {
        let mut may_have_arrived = false;
        let unsent = |source| RepeatError { source, may_have_arrived: false };
        let (body, target) = json_post(request).map_err(unsent)?;
        let invocation = invocation_id().map_err(|error| unsent(unsendable::<Request>(error.to_string())))?;
        let mut attempt = 1;
        loop {
            let number = format!("attempt={attempt}; max={ATTEMPTS}");
            let headers = [
                ("content-type", crate::operation::CONTENT_TYPE),
                (crate::operation::TARGET_HEADER, target.as_str()),
                (INVOCATION_HEADER, invocation.as_str()),
                (ATTEMPT_HEADER, number.as_str()),
            ];
            let post = Post { url: self.settings.url(), service: crate::operation::SIGNING_SERVICE, headers: &headers, body: &body };
            let source = match self.attempt::<Request>(&post) {
                Ok(response) => return Ok(response),
                Err(source) => source,
            };
            may_have_arrived |= source.may_have_arrived();
            if attempt >= ATTEMPTS || !source.is_worth_another() || !pause(FIRST_PAUSE * (1 << (attempt - 1))) {
                return Err(RepeatError { source, may_have_arrived });
            }
            attempt += 1;
        }
    }

    fn attempt<Request: Operation>(&self, post: &Post<'_>) -> Result<Request::Response, CallError> {
        let answer = self.send(post).map_err(|failure: Failure| self.unanswered(Request::NAME, failure))?;
        self.understand_json::<Request>(&answer)
    }
}
