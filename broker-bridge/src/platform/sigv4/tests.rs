//! Requests that botocore signed verify, and what is no whole signature does not.

mod mutations;

use super::*;
use axum::http::{HeaderName, HeaderValue};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Vector {
    secret: String,
    time_ms: u64,
    headers: BTreeMap<String, String>,
    body: String,
}

const KEY: &str = "FLVECTORVECTORVECTOR";
const VECTORS: [&str; 4] = [
    include_str!("vectors/no_arguments.json"),
    include_str!("vectors/unicode_and_spaces.json"),
    include_str!("vectors/default_port.json"),
    include_str!("vectors/ipv6.json"),
];

fn vectors() -> Vec<Vector> {
    VECTORS.iter().map(|text| serde_json::from_str(text).unwrap()).collect()
}

fn headers(of: &BTreeMap<String, String>) -> HeaderMap {
    of.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())).collect()
}

impl Vector {
    fn verify(&self) -> Result<(), SignatureError> {
        self.verify_at(self.time_ms)
    }

    fn verify_at(&self, now_ms: u64) -> Result<(), SignatureError> {
        let headers = headers(&self.headers);
        PresentedSignature::parse(&headers)?.verify(&headers, self.body.as_bytes(), &self.secret, now_ms)
    }
}

#[test]
fn what_botocore_signed_verifies() {
    for vector in vectors() {
        assert_eq!(vector.verify(), Ok(()), "{:?}", vector.headers);
    }
}

#[test]
fn a_clock_may_be_a_quarter_of_an_hour_off() {
    for vector in vectors() {
        for good in [vector.time_ms - MAXIMUM_SKEW_MS, vector.time_ms + MAXIMUM_SKEW_MS] {
            assert_eq!(vector.verify_at(good), Ok(()));
        }
        for bad in [vector.time_ms - MAXIMUM_SKEW_MS - 1, vector.time_ms + MAXIMUM_SKEW_MS + 1, 0, u64::MAX] {
            assert!(matches!(vector.verify_at(bad), Err(SignatureError::Skew { .. })), "{bad}");
        }
    }
}

/// Each of these is refused before any secret is looked up.
#[test]
fn what_is_no_whole_signature_is_not_read() {
    let vector = vectors().remove(0);
    let authorization = vector.headers.get("authorization").unwrap().clone();
    let refused = |name: &str, value: Option<&str>| {
        let mut changed = vector.headers.clone();
        match value {
            Some(value) => changed.insert(name.to_owned(), value.to_owned()),
            None => changed.remove(name),
        };
        PresentedSignature::parse(&headers(&changed)).unwrap_err()
    };
    assert_eq!(refused("authorization", None), SignatureError::Missing);
    for date in [
        None,
        Some("20261121T222640"),
        Some("20261121T226640Z"),
        Some("2026-11-21T22:26:40Z"),
        Some("20261321T222640Z"),
        Some("20261122T222640Z"),
    ] {
        assert!(matches!(refused("x-amz-date", date), SignatureError::Incomplete(_)), "{date:?}");
    }
    for (from, to) in [
        ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"),
        ("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256"),
        ("/ssm/", "/s3/"),
        ("/local-1/", "//"),
        ("/aws4_request", ""),
        ("/aws4_request", "/aws4_request/x"),
        ("aws4_request", "aws4_requests"),
        ("host;", ""),
        ("x-amz-date;", ""),
        (";x-amz-target", ""),
        ("host;x-amz-date", "x-amz-date;host"),
        ("host;", "host;host;"),
        ("Signature=", "Signature=0"),
        ("Signature=", "signature="),
        ("SignedHeaders=", "Other=1, SignedHeaders="),
        ("SignedHeaders=", "Signature=1, SignedHeaders="),
        ("Credential=", "Credential=/"),
    ] {
        assert!(authorization.contains(from), "{from}");
        let changed = authorization.replacen(from, to, 1);
        assert!(matches!(refused("authorization", Some(&changed)), SignatureError::Incomplete(_)), "{changed}");
    }
    let long = authorization.replacen("host;", &"a;".repeat(4096), 1);
    assert!(matches!(refused("authorization", Some(&long)), SignatureError::Incomplete(_)));
}

#[test]
fn a_header_that_must_be_single_is() {
    let vector = vectors().remove(0);
    for name in SINGLE {
        let mut twice = headers(&vector.headers);
        let value = twice.get(name).unwrap().clone();
        twice.append(name, value);
        assert!(matches!(PresentedSignature::parse(&twice), Err(SignatureError::Incomplete(_))), "{name}");
    }
}

#[test]
fn a_signed_header_that_is_not_there_is_refused() {
    let mut vector = vectors().remove(0);
    vector.headers.remove("content-type");
    assert!(matches!(vector.verify(), Err(SignatureError::Incomplete(_) | SignatureError::Mismatch)));
}

proptest::proptest! {
    #[test]
    fn no_header_makes_the_reader_panic(authorization in "(AWS4-HMAC-SHA256 )?((Credential|SignedHeaders|Signature)=[ -~]{0,80},? ?){0,4}[ -~]{0,40}", date in "[0-9TZ]{0,17}") {
        let mut vector = vectors().remove(0);
        vector.headers.insert("authorization".to_owned(), authorization);
        vector.headers.insert("x-amz-date".to_owned(), date);
        proptest::prop_assert!(vector.verify().is_err());
    }
}
