//! Signature Version 4: who called, and that nobody changed what they said.
//!
//! The signature is made anew with the official `aws-sigv4` over exactly the headers that the client says it signed, and
//! compared in constant time. Only signatures in headers are taken, none in the address. A signature must cover the host,
//! the time and the operation, which is a header for SSM and the address for resource groups, and its time must be within
//! [`MAXIMUM_SKEW_MS`] of ours. A signature for one service is none for the other.

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use axum::http::HeaderMap;
use flotilla_api::{groups, operation};
use std::time::{Duration, SystemTime};
use subtle::ConstantTimeEq as _;

/// How far a client's clock may be off, in milliseconds: AWS's 15 minutes.
pub const MAXIMUM_SKEW_MS: u64 = 15 * 60 * 1000;
/// Longest `Authorization` header, in bytes.
pub const MAXIMUM_AUTHORIZATION_BYTES: usize = 4096;
/// Most headers that one signature covers.
pub const MAXIMUM_SIGNED_HEADERS: usize = 64;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const TERMINATOR: &str = "aws4_request";
/// Headers that must not come twice, because two readers could take different ones.
const SINGLE: [&str; 4] = ["authorization", "host", "x-amz-date", "x-amz-target"];
/// What stands before the path when an address is signed: the host is a signed header and counts there only.
const SIGNED_HOST: &str = "https://bridge.invalid";

/// The service that a signature is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignedService {
    /// Systems Manager: the operation is a header, the address always `/`.
    Ssm,
    /// Resource groups: the operation is the address.
    ResourceGroups,
}

impl SignedService {
    /// Its name in the credential scope.
    fn name(self) -> &'static str {
        match self {
            Self::Ssm => operation::SIGNING_SERVICE,
            Self::ResourceGroups => groups::SIGNING_SERVICE,
        }
    }

    /// The headers that a signature must cover. The address and the body are always covered.
    fn required(self) -> &'static [&'static str] {
        match self {
            Self::Ssm => &["host", "x-amz-date", "x-amz-target"],
            Self::ResourceGroups => &["host", "x-amz-date"],
        }
    }
}

/// Why a signature was not accepted, in the words of AWS where it has them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is no signature.
    #[error("the request is not signed; set an access key id and a secret access key")]
    Missing,
    /// The header is there and cannot be read.
    #[error("the signature is incomplete: {0}")]
    Incomplete(&'static str),
    /// The client's clock, or ours, is wrong.
    #[error("the request was signed at {signed}, which is more than 15 minutes from the bridge's time {now}; set the clock")]
    Skew {
        /// The client's time.
        signed: String,
        /// Ours.
        now: String,
    },
    /// The signature is another than the one computed from the request and the secret.
    #[error("the signature does not fit the request and the secret access key")]
    Mismatch,
}

impl SignatureError {
    /// The error's name on the wire.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Missing => "MissingAuthenticationTokenException",
            Self::Incomplete(_) => "IncompleteSignatureException",
            Self::Skew { .. } | Self::Mismatch => "InvalidSignatureException",
        }
    }
}

/// A signature as a request presents it, read but not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentedSignature {
    service: SignedService,
    access_key_id: String,
    region: String,
    signed_headers: Vec<String>,
    signature: String,
    date: String,
    date_ms: u64,
}

impl PresentedSignature {
    /// Reads the signature of a request of SSM.
    ///
    /// # Errors
    /// It is missing, incomplete, or does not cover what it must.
    pub fn parse(headers: &HeaderMap) -> Result<Self, SignatureError> {
        Self::parse_for(headers, SignedService::Ssm)
    }

    /// Reads the signature of a request of a service.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_for(headers: &HeaderMap, service: SignedService) -> Result<Self, SignatureError> {
        if !headers.contains_key("authorization") {
            return Err(SignatureError::Missing);
        }
        for name in SINGLE {
            if headers.get_all(name).iter().count() > 1 {
                return Err(SignatureError::Incomplete("a header that must come once came twice"));
            }
        }
        let text = |name: &str, missing| headers.get(name).and_then(|value| value.to_str().ok()).ok_or(SignatureError::Incomplete(missing));
        let authorization = text("authorization", "Authorization is not text")?;
        if authorization.len() > MAXIMUM_AUTHORIZATION_BYTES {
            return Err(SignatureError::Incomplete("Authorization is too long"));
        }
        let date = text("x-amz-date", "the header X-Amz-Date is missing")?;
        let date_ms = parse_date(date).ok_or(SignatureError::Incomplete("X-Amz-Date is not of the form YYYYMMDDTHHMMSSZ"))?;
        let fields = authorization
            .strip_prefix(ALGORITHM)
            .and_then(|rest| rest.strip_prefix(' '))
            .ok_or(SignatureError::Incomplete("its algorithm is not AWS4-HMAC-SHA256"))?;
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for field in fields.split(',') {
            let (name, value) = field.trim_start_matches(' ').split_once('=').ok_or(SignatureError::Incomplete("a field has no value"))?;
            let place = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => return Err(SignatureError::Incomplete("Authorization has an unknown field")),
            };
            if place.replace(value).is_some() {
                return Err(SignatureError::Incomplete("Authorization has a field twice"));
            }
        }
        let credential = credential.ok_or(SignatureError::Incomplete("Credential is missing"))?;
        let (access_key_id, region) = parse_scope(credential, date, service)?;
        let signed_headers = parse_signed_headers(signed_headers.ok_or(SignatureError::Incomplete("SignedHeaders is missing"))?, service)?;
        let signature = signature.ok_or(SignatureError::Incomplete("Signature is missing"))?;
        let lower_hex = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
        if signature.len() != 64 || !signature.bytes().all(lower_hex) {
            return Err(SignatureError::Incomplete("Signature is not 64 lower-case hexadecimal digits"));
        }
        Ok(Self { service, access_key_id, region, signed_headers, signature: signature.to_owned(), date: date.to_owned(), date_ms })
    }

    /// The access key whose secret must have made the signature.
    #[must_use]
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// The signature: 64 hexadecimal digits.
    #[must_use]
    pub fn signature(&self) -> &str {
        &self.signature
    }

    /// When the request was signed, by the client's clock: Unix time in milliseconds.
    #[must_use]
    pub fn date_ms(&self) -> u64 {
        self.date_ms
    }

    /// Verifies that `secret` made the signature over these headers and this body at the address `/`, and recently.
    ///
    /// # Errors
    /// The clocks differ too much, or the signature does not fit.
    pub fn verify(&self, headers: &HeaderMap, body: &[u8], secret: &str, now_ms: u64) -> Result<(), SignatureError> {
        self.verify_at("/", headers, body, secret, now_ms)
    }

    /// Verifies that `secret` made the signature over this address (path and query), these headers and this body, and recently.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn verify_at(&self, address: &str, headers: &HeaderMap, body: &[u8], secret: &str, now_ms: u64) -> Result<(), SignatureError> {
        if self.date_ms.abs_diff(now_ms) > MAXIMUM_SKEW_MS {
            return Err(SignatureError::Skew { signed: self.date.clone(), now: format_date(now_ms) });
        }
        let expected = self.expected(address, headers, body, secret)?;
        if bool::from(expected.as_bytes().ct_eq(self.signature.as_bytes())) { Ok(()) } else { Err(SignatureError::Mismatch) }
    }

    fn expected(&self, address: &str, headers: &HeaderMap, body: &[u8], secret: &str) -> Result<String, SignatureError> {
        let mut signed = Vec::new();
        for name in &self.signed_headers {
            if !headers.contains_key(name) {
                return Err(SignatureError::Incomplete("a signed header is missing"));
            }
            for value in headers.get_all(name) {
                let value = value.to_str().map_err(|_| SignatureError::Incomplete("a signed header is not text"))?;
                signed.push((name.as_str(), value));
            }
        }
        let mut settings = SigningSettings::default();
        settings.excluded_headers = None;
        let identity = Credentials::new(self.access_key_id.as_str(), secret, None, None, "flotilla").into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(self.service.name())
            .time(SystemTime::UNIX_EPOCH + Duration::from_millis(self.date_ms))
            .settings(settings)
            .build()
            .map_err(|_| SignatureError::Mismatch)?
            .into();
        let request = SignableRequest::new("POST", format!("{SIGNED_HOST}{address}"), signed.into_iter(), SignableBody::Bytes(body))
            .map_err(|_| SignatureError::Mismatch)?;
        sign(request, &parameters).map(|output| output.signature().to_owned()).map_err(|_| SignatureError::Mismatch)
    }
}

/// `<access key id>/<YYYYMMDD>/<region>/<service>/aws4_request`
fn parse_scope(credential: &str, date: &str, wanted: SignedService) -> Result<(String, String), SignatureError> {
    let mut parts = credential.split('/');
    let mut next = || parts.next().ok_or(SignatureError::Incomplete("Credential does not have five parts"));
    let (access_key_id, day, region, service, terminator) = (next()?, next()?, next()?, next()?, next()?);
    if parts.next().is_some() {
        return Err(SignatureError::Incomplete("Credential does not have five parts"));
    }
    if !(1..=128).contains(&access_key_id.len()) || !access_key_id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(SignatureError::Incomplete("Credential does not begin with an access key id"));
    }
    if date.get(..8) != Some(day) {
        return Err(SignatureError::Incomplete("the day in Credential is not that of X-Amz-Date"));
    }
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !(1..=64).contains(&region.len()) || !region.bytes().all(plain) {
        return Err(SignatureError::Incomplete("Credential names no region"));
    }
    if service != wanted.name() {
        return Err(SignatureError::Incomplete("Credential is for another service than the one that is called"));
    }
    if terminator != TERMINATOR {
        return Err(SignatureError::Incomplete("Credential does not end in aws4_request"));
    }
    Ok((access_key_id.to_owned(), region.to_owned()))
}

fn parse_signed_headers(list: &str, service: SignedService) -> Result<Vec<String>, SignatureError> {
    let names: Vec<String> = list.split(';').map(str::to_owned).collect();
    if names.len() > MAXIMUM_SIGNED_HEADERS || !names.is_sorted_by(|left, right| left < right) {
        return Err(SignatureError::Incomplete("SignedHeaders is not sorted, or too long"));
    }
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    if names.iter().any(|name| name.is_empty() || name == "authorization" || !name.bytes().all(plain)) {
        return Err(SignatureError::Incomplete("SignedHeaders names what is no header"));
    }
    if service.required().iter().any(|required| !names.iter().any(|name| name == required)) {
        return Err(SignatureError::Incomplete("SignedHeaders must name host and x-amz-date, and x-amz-target where there is one"));
    }
    Ok(names)
}

/// `YYYYMMDDTHHMMSSZ` as Unix time in milliseconds; only the one way to write a moment is read.
fn parse_date(text: &str) -> Option<u64> {
    let digits = |byte: &u8| byte.is_ascii_digit();
    let (day, time) = text.strip_suffix('Z')?.split_once('T')?;
    if day.len() != 8 || time.len() != 6 || !day.as_bytes().iter().chain(time.as_bytes()).all(digits) {
        return None;
    }
    let moment = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    let zoned = moment.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    let date_ms = u64::try_from(zoned.timestamp().as_millisecond()).ok()?;
    (format_date(date_ms) == text).then_some(date_ms)
}

fn format_date(unix_ms: u64) -> String {
    let moment = i64::try_from(unix_ms).ok().and_then(|unix_ms| jiff::Timestamp::from_millisecond(unix_ms).ok()).unwrap_or_default();
    moment.strftime("%Y%m%dT%H%M%SZ").to_string()
}

#[cfg(test)]
mod tests;
