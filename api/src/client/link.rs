//! Links that answers hold, such as to the whole output of a step: fetched as they stand, without a signature of ours.

use ureq::http::Uri;

use super::settings::is_this_machine;
use super::{ANSWER_LIMIT, CallError, Client, Failure};

/// How errors name the fetching of a link.
const OPERATION: &str = "to fetch a link";
/// Longest sentence of a refusal that is shown, in bytes.
const REASON_BYTES: usize = 500;

impl Client {
    /// Fetches what a link of an answer points at: at most [`ANSWER_LIMIT`] bytes. The link may name another host than the endpoint, where
    /// a proxy stands before the bridge; no redirect is followed, and nothing but the link itself is sent.
    ///
    /// # Errors
    /// See [`CallError`]; a link that is neither `https://` nor `http://` to this machine is not followed, and an old one is refused.
    pub fn fetch_link(&self, link: &str) -> Result<Vec<u8>, CallError> {
        if !may_be_followed(link) {
            let reason = "the answer holds a link that is neither https:// nor to this machine".to_owned();
            return Err(CallError::Unsendable { operation: OPERATION, reason });
        }
        let unreachable = |error: ureq::Error| self.unanswered(OPERATION, Failure::Unreachable(Box::new(error)));
        let mut answer = self.agent.get(link).call().map_err(unreachable)?;
        let status = answer.status().as_u16();
        let body = match answer.body_mut().with_config().limit(ANSWER_LIMIT).read_to_vec() {
            Ok(body) => body,
            Err(ureq::Error::BodyExceedsLimit(limit)) => return Err(self.unanswered(OPERATION, Failure::TooLong { status, limit })),
            Err(error) => return Err(unreachable(error)),
        };
        if (200..300).contains(&status) {
            return Ok(body);
        }
        let reason = String::from_utf8_lossy(body.get(..REASON_BYTES).unwrap_or(&body)).trim().to_owned();
        Err(CallError::Refused { operation: OPERATION, kind: format!("status {status}"), message: reason, status })
    }
}

fn may_be_followed(link: &str) -> bool {
    let Ok(address) = link.parse::<Uri>() else { return false };
    match (address.scheme_str(), address.host()) {
        (Some("https"), Some(_)) => true,
        (Some("http"), Some(host)) => is_this_machine(host),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_does_not_travel_in_the_clear() {
        for (link, expected) in [
            ("https://bridge.example/output/a?user=ada@x", true),
            ("http://127.0.0.1:8474/output/a", true),
            ("http://[::1]:8474/output/a", true),
            ("http://bridge.example/output/a", false),
            ("file:///etc/passwd", false),
            ("/output/a", false),
            ("", false),
        ] {
            assert_eq!(may_be_followed(link), expected, "{link}");
        }
    }
}
