//! What a thief of a signature could make of it: thousands of changed requests, each refused.

use super::*;

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
