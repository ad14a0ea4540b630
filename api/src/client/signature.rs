//! Signature Version 4 of one request, by the official implementation.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign as sign_request};
use aws_sigv4::sign::v4;

use super::Post;
use super::settings::ClientSettings;

#[derive(Debug, thiserror::Error)]
pub(super) enum SigningFailure {
    #[error("the signing parameters are incomplete")]
    Parameters(#[source] v4::signing_params::BuildError),
    #[error("the request cannot be signed")]
    Request(#[from] aws_sigv4::http_request::SigningError),
}

/// The headers to add to a `POST`: `x-amz-date` and `authorization`.
pub(super) fn sign(settings: &ClientSettings, post: &Post<'_>, time: SystemTime) -> Result<Vec<(String, String)>, SigningFailure> {
    let identity =
        Credentials::new(settings.access_key_id.clone(), settings.secret_access_key.expose(), None, None, "flotilla settings").into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(&settings.region)
        .name(post.service)
        .time(time)
        .settings(SigningSettings::default())
        .build()
        .map_err(SigningFailure::Parameters)?
        .into();
    let signable = SignableRequest::new("POST", &post.url, post.headers.iter().copied(), SignableBody::Bytes(post.body))?;
    let (instructions, _signature) = sign_request(signable, &parameters)?.into_parts();
    Ok(instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::client::SecretAccessKey;
    use crate::operation::{CONTENT_TYPE, SIGNING_SERVICE};

    /// The expected signature was computed by botocore's `SigV4Auth` for the same request, key and time.
    #[test]
    fn agrees_with_botocore() {
        let settings = ClientSettings {
            endpoint: "http://127.0.0.1:8080".to_owned(),
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: SecretAccessKey::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned()),
            region: "us-east-1".to_owned(),
            ca_certificate_pem: None,
        };
        let headers = [("content-type", CONTENT_TYPE), ("X-Amz-Target", "AmazonSSM.ListCommands")];
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_763_764_000);
        let post = Post { url: settings.url(), service: SIGNING_SERVICE, headers: &headers, body: br#"{"MaxResults":5}"# };
        let signed = sign(&settings, &post, time).unwrap();
        let header = |wanted: &str| signed.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.as_str());
        assert_eq!(header("x-amz-date"), Some("20251121T222640Z"));
        assert_eq!(
            header("authorization"),
            Some(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20251121/us-east-1/ssm/aws4_request, \
                 SignedHeaders=content-type;host;x-amz-date;x-amz-target, \
                 Signature=bb269a5ffbe6ba8661a96c20d104fa9cd6e5ff3028f97aaa98b502793e8e17c6"
            )
        );
    }
}
