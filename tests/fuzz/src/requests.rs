//! What the bridge reads of a request before it knows who asks: signatures, links, tokens, and the small languages in parameters.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use flotilla_broker_bridge::capability::run_command::rules::Rate;
use flotilla_broker_bridge::platform::http::PresentedLink;
use flotilla_broker_bridge::platform::page::TokenScope;
use flotilla_broker_bridge::platform::sigv4::{PresentedSignature, SignedService};

/// Headers of one request are few.
const MAXIMUM_HEADERS: usize = 32;

/// The first byte says what it is.
pub(crate) fn request(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    match kind % 4 {
        0 => signature(rest),
        1 => text(rest, |text| {
            drop(PresentedLink::parse(text));
        }),
        2 => text(rest, |text| {
            let scope = TokenScope::new("ListCommands", &());
            if let Ok(Some(last)) = scope.after(Some(text)) {
                assert_eq!(scope.after(Some(&scope.token(&last))).ok().flatten().as_ref(), Some(&last), "a token says what it was made of");
            }
        }),
        _ => text(rest, |text| {
            for targets in [0, 1, 1_000, i64::MAX] {
                assert!(Rate::parse_concurrency(text).is_none_or(|rate| rate.concurrency(targets) >= 1), "somebody may begin");
                assert!(Rate::parse_errors(text).is_none_or(|rate| rate.errors(targets) >= 0), "there are no fewer errors than none");
            }
        }),
    }
}

/// Lines of `name: value`.
fn signature(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n').take(MAXIMUM_HEADERS) {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let (Some(name), Some(value)) = (parts.next(), parts.next()) else { continue };
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    for service in [SignedService::Ssm, SignedService::ResourceGroups] {
        if let Ok(presented) = PresentedSignature::parse_for(&headers, service) {
            assert_eq!(presented.signature().len(), 64, "a signature that was read is whole");
            assert!(!presented.access_key_id().is_empty(), "it names its key");
        }
    }
}

fn text(bytes: &[u8], read: impl Fn(&str)) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        read(text);
    }
}
