//! Webhooks as the public specification "Standard Webhooks" has them: a POST with an id that stays the same over retries, the time of
//! the attempt, and an HMAC-SHA256 of both and the body under a secret that sender and receiver share.

mod sender;

pub use sender::{RootsError, SendError, Sender};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Header of the message's id.
pub const ID_HEADER: &str = "webhook-id";
/// Header of the attempt's time: Unix time in seconds.
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";
/// Header of the signature.
pub const SIGNATURE_HEADER: &str = "webhook-signature";
/// Begins the text of a secret.
pub const SECRET_PREFIX: &str = "whsec_";
/// What a secret may have, in bytes (the specification's limits).
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// What [`WebhookSecret::create`] makes, in bytes: as many as the hash has.
const NEW_SECRET_BYTES: usize = 32;

/// The secret of a webhook, wiped when it is dropped.
pub struct WebhookSecret(Zeroizing<Vec<u8>>);

impl std::fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebhookSecret")
    }
}

impl WebhookSecret {
    /// The text of a new secret.
    ///
    /// # Errors
    /// The operating system gave no random bytes.
    pub fn create() -> Result<Zeroizing<String>, getrandom::Error> {
        let mut bytes = Zeroizing::new([0; NEW_SECRET_BYTES]);
        getrandom::fill(bytes.as_mut_slice())?;
        let encoded = Zeroizing::new(STANDARD.encode(bytes.as_slice()));
        Ok(Zeroizing::new(format!("{SECRET_PREFIX}{}", encoded.as_str())))
    }

    /// The secret of a text: `whsec_` and the base64 of 24 to 64 bytes, with or without a line end. Nothing for another text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.trim_ascii_end().strip_prefix(SECRET_PREFIX)?).map(Zeroizing::new).ok()?;
        SECRET_BYTES.contains(&bytes.len()).then_some(Self(bytes))
    }

    /// The value of the signature's header for a message at a time: Unix time in seconds.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp_s: u64, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(format!("{id}.{timestamp_s}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value was computed with another implementation: Python's hmac, hashlib and base64.
    #[test]
    fn a_signature_is_that_of_the_specification() {
        let secret = WebhookSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        let body = br#"{"test": 2432232314}"#;
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_new_secret_can_be_read_and_is_never_the_same() {
        let (one, two) = (WebhookSecret::create().unwrap(), WebhookSecret::create().unwrap());
        assert!(WebhookSecret::parse(&one).is_some_and(|secret| secret.0.len() == NEW_SECRET_BYTES));
        assert_ne!(one, two);
    }

    #[test]
    fn what_is_no_secret_is_not_taken() {
        let of = |length: usize| format!("whsec_{}", STANDARD.encode(vec![1; length]));
        assert!(WebhookSecret::parse(&of(24)).is_some() && WebhookSecret::parse(&of(64)).is_some());
        for text in ["", "whsec_", "whsec_not base64", &of(23), &of(65), of(32).trim_start_matches("whsec_")] {
            assert!(WebhookSecret::parse(text).is_none(), "{text}");
        }
    }
}
