//! Requests that botocore signed verify, and with any one character changed they do not.

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

/// The text with the character at this index replaced by another of its kind.
fn changed(text: &str, index: usize) -> Option<String> {
    let replacement = match text.as_bytes().get(index)? {
        b'0' => '1',
        b'a' => 'b',
        b'A' => 'B',
        byte if byte.is_ascii_digit() => '0',
        byte if byte.is_ascii_lowercase() => 'a',
        byte if byte.is_ascii_uppercase() => 'A',
        byte if byte.is_ascii() => '~',
        _ => return None,
    };
    let (before, after) = (text.get(..index)?, text.get(index + 1..)?);
    Some(format!("{before}{replacement}{after}"))
}

#[test]
fn what_botocore_signed_verifies() {
    for vector in vectors() {
        assert_eq!(vector.verify(), Ok(()), "{:?}", vector.headers);
    }
}

/// Everything that a thief of one signature could try: all of it is refused, and counted.
#[test]
fn two_thousand_mutations_are_refused() {
    let mutations = one_changed_character_anywhere() + one_character_more_or_less() + headers_in_other_ways() + other_scopes();
    println!("sigv4: {} vectors, {mutations} mutations, 0 accepted", VECTORS.len());
    assert!(mutations >= 2_000, "{mutations}");
}

/// Each function asserts that every one of its mutations is refused, and returns how many there were.
fn one_changed_character_anywhere() -> usize {
    let mut trials = 0;
    for mut vector in vectors() {
        let signed = PresentedSignature::parse(&headers(&vector.headers)).unwrap().signed_headers;
        let names: Vec<String> = vector.headers.keys().cloned().collect();
        for name in names {
            if name != "authorization" && !signed.contains(&name) {
                continue;
            }
            let original = vector.headers.get(&name).unwrap().clone();
            for index in 0..original.len() {
                let Some(changed) = changed(&original, index) else { continue };
                vector.headers.insert(name.clone(), changed.clone());
                // The id of the access key is not signed: another id is another user, whose secret is another one.
                let presented = PresentedSignature::parse(&headers(&vector.headers));
                if !presented.is_ok_and(|presented| presented.access_key_id != KEY) {
                    assert!(vector.verify().is_err(), "{name}: {changed}");
                }
                trials += 1;
            }
            vector.headers.insert(name, original);
        }
        let original = vector.body.clone();
        for index in 0..original.len() {
            if let Some(changed) = changed(&original, index) {
                vector.body = changed;
                assert_eq!(vector.verify(), Err(SignatureError::Mismatch), "{}", vector.body);
                trials += 1;
            }
        }
        vector.body = original;
        let secret = vector.secret.clone();
        for index in 0..secret.len() {
            vector.secret = changed(&secret, index).unwrap();
            assert_eq!(vector.verify(), Err(SignatureError::Mismatch));
            trials += 1;
        }
        vector.secret = secret;
        assert_eq!(vector.verify(), Ok(()), "everything was put back");
    }
    trials
}

impl Vector {
    fn refuses(&self, headers: &HeaderMap, address: &str) {
        let verified = PresentedSignature::parse(headers)
            .and_then(|presented| presented.verify_at(address, headers, self.body.as_bytes(), &self.secret, self.time_ms));
        assert!(verified.is_err(), "{address} {headers:?} {}", self.body);
    }

    fn signed(&self) -> Vec<String> {
        PresentedSignature::parse(&headers(&self.headers)).unwrap().signed_headers
    }
}

/// The text with one character less, doubled and added, at every place.
fn longer_and_shorter(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    for (index, character) in text.char_indices() {
        let (before, rest) = text.split_at(index);
        let after = rest.get(character.len_utf8()..).unwrap();
        all.push(format!("{before}{after}"));
        all.push(format!("{before}{character}{character}{after}"));
        all.push(format!("{before}x{rest}"));
    }
    all.push(format!("{text}x"));
    all.push(String::new());
    all.retain(|changed| changed != text);
    all
}

fn one_character_more_or_less() -> usize {
    let mut trials = 0;
    for vector in vectors() {
        for body in longer_and_shorter(&vector.body) {
            let changed = Vector { body, headers: vector.headers.clone(), secret: vector.secret.clone(), ..vector };
            assert_eq!(changed.verify(), Err(SignatureError::Mismatch), "{}", changed.body);
            trials += 1;
        }
        for secret in longer_and_shorter(&vector.secret) {
            let changed = Vector { secret, headers: vector.headers.clone(), body: vector.body.clone(), ..vector };
            assert_eq!(changed.verify(), Err(SignatureError::Mismatch));
            trials += 1;
        }
        for name in vector.signed() {
            let value = vector.headers.get(&name).unwrap();
            for value in longer_and_shorter(value) {
                let mut mutated = headers(&vector.headers);
                mutated.insert(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(&value).unwrap());
                vector.refuses(&mutated, "/");
                trials += 1;
            }
        }
    }
    trials
}

/// Signed headers dropped, doubled, joined, exchanged; the list of signed headers changed; other addresses.
fn headers_in_other_ways() -> usize {
    let mut trials = 0;
    for vector in vectors() {
        let (whole, signed) = (headers(&vector.headers), vector.signed());
        let mut mutated = Vec::new();
        let authorization = vector.headers.get("authorization").unwrap();
        let with_list = |names: &[&str]| {
            let mut changed = whole.clone();
            let text = authorization.replacen(&signed.join(";"), &names.join(";"), 1);
            changed.insert("authorization", HeaderValue::from_str(&text).unwrap());
            changed
        };
        for name in &signed {
            let key = name.parse::<HeaderName>().unwrap();
            let value = whole.get(&key).unwrap().clone();
            let mut dropped = whole.clone();
            dropped.remove(&key);
            mutated.push(dropped);
            for second in [value.clone(), HeaderValue::from_static(""), HeaderValue::from_static("other")] {
                let mut doubled = whole.clone();
                doubled.append(&key, second);
                mutated.push(doubled);
            }
            for other in signed.iter().filter(|other| *other != name) {
                let other = other.parse::<HeaderName>().unwrap();
                let mut exchanged = whole.clone();
                exchanged.insert(&key, whole.get(&other).unwrap().clone());
                exchanged.insert(other, value.clone());
                mutated.push(exchanged);
            }
            let names: Vec<&str> = signed.iter().map(String::as_str).collect();
            let without: Vec<&str> = names.iter().copied().filter(|other| other != name).collect();
            mutated.push(with_list(&without));
            let index = names.iter().position(|other| other == name).unwrap();
            for extra in [name.as_str(), "", "accept", "authorization", "zzz", "HOST"] {
                let mut more = names.clone();
                more.insert(index, extra);
                mutated.push(with_list(&more));
            }
            for other in index + 1..names.len() {
                let mut reordered = names.clone();
                reordered.swap(index, other);
                mutated.push(with_list(&reordered));
            }
        }
        for more in ["amz-sdk-request", "content-length"] {
            let mut names: Vec<&str> = signed.iter().map(String::as_str).chain([more]).collect();
            names.sort_unstable();
            mutated.push(with_list(&names));
        }
        for mutated in mutated {
            vector.refuses(&mutated, "/");
            trials += 1;
        }
        // Not `//`: SigV4 signs the path in its shortest form, and whoever routes takes the written one.
        for address in ["/?a=b", "/x", "/%2f", "/groups", "/?X-Amz-Date=20261121T222640Z"] {
            vector.refuses(&whole, address);
            trials += 1;
        }
    }
    trials
}

/// Another region, service, day, moment or signer than was signed for.
fn other_scopes() -> usize {
    let mut trials = 0;
    let all = vectors();
    for vector in &all {
        let (authorization, whole) = (vector.headers.get("authorization").unwrap(), headers(&vector.headers));
        let region = PresentedSignature::parse(&whole).unwrap().region;
        let mut texts = Vec::new();
        for other in ["local-2", "us-west-2", "eu-central-2", "local", "local-1x", "LOCAL-1", "", "aws-global"] {
            texts.push(authorization.replacen(&format!("/{region}/"), &format!("/{other}/"), 1));
        }
        for other in ["s3", "sts", "resource-groups", "ssmmessages", "SSM", "ec2", ""] {
            texts.push(authorization.replacen("/ssm/", &format!("/{other}/"), 1));
        }
        for text in texts {
            let mut changed = whole.clone();
            changed.insert("authorization", HeaderValue::from_str(&text).unwrap());
            vector.refuses(&changed, "/");
            trials += 1;
        }
        // Both dates changed alike, to moments within the permitted skew and beyond it.
        for date in ["20261121T222639Z", "20261121T222641Z", "20261121T223640Z", "20261121T222000Z", "20261122T222640Z", "20251121T222640Z"]
        {
            let day = date.get(..8).unwrap();
            let mut changed = whole.clone();
            changed.insert("x-amz-date", HeaderValue::from_static(date));
            let text = authorization.replacen("/20261121/", &format!("/{day}/"), 1);
            changed.insert("authorization", HeaderValue::from_str(&text).unwrap());
            vector.refuses(&changed, "/");
            trials += 1;
        }
        // The whole signature, and each header, of another request.
        for other in all.iter().filter(|other| other.headers != vector.headers) {
            for (name, value) in other.headers.iter().filter(|(name, value)| {
                (vector.signed().contains(name) || *name == "authorization") && vector.headers.get(*name) != Some(*value)
            }) {
                let mut changed = whole.clone();
                changed.insert(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
                vector.refuses(&changed, "/");
                trials += 1;
            }
        }
    }
    trials
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
