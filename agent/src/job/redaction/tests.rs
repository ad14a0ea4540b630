use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use proptest::prelude::*;

fn redactor(secrets: &[&[u8]]) -> Redactor {
    Redactor::new(Arc::new(Needles::new(secrets.iter().copied()).unwrap()))
}

fn redacted(secrets: &[&[u8]], chunks: &[&[u8]]) -> Vec<u8> {
    let mut redactor = redactor(secrets);
    let mut shown: Vec<u8> = chunks.iter().flat_map(|chunk| redactor.take(chunk)).collect();
    shown.extend(redactor.end());
    shown
}

fn text(secrets: &[&str], output: &str) -> String {
    let secrets: Vec<&[u8]> = secrets.iter().map(|secret| secret.as_bytes()).collect();
    let whole = redacted(&secrets, &[output.as_bytes()]);
    let bytewise: Vec<&[u8]> = output.as_bytes().chunks(1).collect();
    assert_eq!(redacted(&secrets, &bytewise), whole, "in pieces of one byte");
    String::from_utf8(whole).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn secrets_are_found_in_every_encoding() {
    let secret = "hun ter2+/?ä%";
    for (shown, expected) in [
        ("the hun ter2+/?ä% is", "the **** is"),
        ("hun ter2+/?ä%hun ter2+/?ä%", "********"),
        ("hun+ter2%2B%2F%3F%C3%A4%25.", "****."),
        ("hun%20ter2+/?%c3%a4%25.", "****."),
        ("x 68756e20746572322b2f3fc3a425 y", "x **** y"),
        ("68:75:6E:20:74:65:72:32:2B:2F:3F:C3:A4:25", "****"),
        (" 68 75 6e 20 74 65 72 32\n 2b 2f 3f c3 a4 25\n", " ****\n"),
        ("hun ter2+/?ä", "****"),
        ("hun ter2", "****"),
        ("hun", "hun"),
        ("hun ter3", "hun ter3"),
        ("nothing of it", "nothing of it"),
        ("", ""),
    ] {
        assert_eq!(text(&[secret], shown), expected, "{shown}");
    }
    for before in ["", "u", "us", "user:"] {
        for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
            for after in ["", "x", "yz"] {
                let encoded = engine.encode(format!("{before}{secret}{after}"));
                let found = text(&[secret], &format!("a: {encoded}\n"));
                assert!(found.contains("****") && found.len() <= 3 + 4 + 9 + 5, "{before} {after}: {found}");
            }
        }
    }
}

#[test]
fn lines_within_base64_and_white_space_around_a_secret_do_not_hide_it() {
    let secret = "x".repeat(40) + &"y".repeat(40);
    let encoded = STANDARD.encode(&secret);
    let (first, second) = encoded.split_at(76);
    assert_eq!(text(&[&secret], &format!("{first}\n{second}\n")), format!("****{}\n", "=".repeat(encoded.matches('=').count())));
    assert_eq!(text(&["\n hunter2\r\n"], "[hunter2]"), "[****]");
    assert_eq!(text(&["hunter2\n"], &STANDARD.encode("hunter2\n")), "****o=", "the last two hold the end of the line");
}

#[test]
fn the_longest_of_several_secrets_is_found() {
    assert_eq!(text(&["abcd", "abcdefgh"], "abcdefgh abcd abcdefgx"), "**** **** ****efgx");
    assert_eq!(text(&["abcd", "abcdefgh"], "abcdefgh abcdefg"), "**** ****", "the end of the stream cuts the longer one");
    assert_eq!(text(&["aaab"], "aaaaaaab"), "aaaa****");
    assert!(Needles::new([b"abc".as_slice(), b" ab ", b""]).is_none(), "short ones would be found everywhere");
}

#[test]
fn what_is_held_is_shown_in_time_and_what_completes_it_is_not() {
    let mut redactor = redactor(&[b"hunter2"]);
    assert_eq!((redactor.take(b"Password: hu"), redactor.holds()), (b"Password: ".to_vec(), true));
    assert_eq!((redactor.lose_patience(), redactor.holds()), (b"hu".to_vec(), false));
    assert_eq!(redactor.lose_patience(), b"", "once");
    assert_eq!(redactor.take(b"nte"), b"");
    assert_eq!(redactor.lose_patience(), MASK);
    assert_eq!(redactor.take(b"r2 ok"), b"**** ok");
    assert_eq!(redactor.take(b"hu"), b"");
    assert_eq!(redactor.lose_patience(), b"hu");
    assert_eq!(redactor.take(b"man"), b"man", "what was shown is not shown again");
    assert_eq!((redactor.take(b"h"), redactor.end()), (b"".to_vec(), b"h".to_vec()));
}

#[test]
fn a_secret_that_is_written_byte_by_byte_and_slowly_is_not_told() {
    let mut redactor = redactor(&[b"correct horse"]);
    let mut shown = Vec::new();
    for byte in b"correct horse" {
        shown.extend(redactor.take(&[*byte]));
        shown.extend(redactor.lose_patience());
    }
    shown.extend(redactor.end());
    let shown = String::from_utf8(shown).unwrap();
    assert!(shown.starts_with("cor****") && !shown.contains("rect"), "{shown}");
}

#[test]
fn memory_stays_bounded_by_the_longest_encoding() {
    let secret = vec![b'a'; 1024];
    let mut redactor = redactor(&[&secret]);
    let mut most = 0;
    for _ in 0..20 {
        drop(redactor.take(&b"a".repeat(512)));
        drop(redactor.take(b"6161\n"));
        most = most.max(redactor.held.len());
    }
    assert!(most <= 1024 * 5, "{most} bytes are held");
}

/// Every encoding in which a secret must not be found.
fn encodings(secret: &[u8], before: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let around = [before, secret, b"!"].concat();
    vec![
        ("raw", around.clone()),
        ("base64", STANDARD.encode(&around).into_bytes()),
        ("base64 for URLs", URL_SAFE_NO_PAD.encode(&around).into_bytes()),
        ("hex", hex(&around).into_bytes()),
        ("HEX", hex(&around).to_uppercase().into_bytes()),
        ("url", percent_encode(&around, NON_ALPHANUMERIC).to_string().into_bytes()),
    ]
}

/// What of an encoded secret must not be there: its inner characters, which nothing around it changes.
fn traces(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut traces = vec![secret.to_vec(), hex(secret).into_bytes(), hex(secret).to_uppercase().into_bytes()];
    traces.push(percent_encode(secret, NON_ALPHANUMERIC).to_string().into_bytes());
    for before in 0..3_usize {
        for engine in [STANDARD, URL_SAFE] {
            let encoded = engine.encode([&vec![0; before], secret].concat()).into_bytes();
            let (first, last) = ((before * 8).div_ceil(6), (before + secret.len()) * 8 / 6);
            traces.push(encoded[first..last].to_vec());
        }
    }
    traces
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn a_thousand_random_secrets_leave_no_trace() {
    let (mut seed, mut checked) = (0x5eed_u64, 0);
    let mut random = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap()
    };
    for _ in 0..1_000 {
        let length = 8 + random() % 56;
        let is_text = random() % 2 == 0;
        let secret: Vec<u8> =
            (0..length).map(|_| u8::try_from(if is_text { 33 + random() % 94 } else { random() % 256 }).unwrap()).collect();
        if secret.trim_ascii().len() < secret.len() {
            continue;
        }
        let traces = traces(&secret);
        let before: Vec<u8> = (0..random() % 5).map(|_| b'k').collect();
        for (encoding, encoded) in encodings(&secret, &before) {
            let output = [b"begin ".as_slice(), &encoded, b" end"].concat();
            assert!(traces.iter().any(|trace| contains(&output, trace)), "{encoding}: the test looks for what is there");
            let mut rest = output.as_slice();
            let mut chunks = Vec::new();
            while !rest.is_empty() {
                let (chunk, after) = rest.split_at((1 + random() % 9).min(rest.len()));
                chunks.push(chunk);
                rest = after;
            }
            let shown = redacted(&[&secret], &chunks);
            let hit = traces.iter().find(|trace| contains(&shown, trace));
            assert!(hit.is_none(), "{encoding} of {secret:?} is in {}", String::from_utf8_lossy(&shown));
            assert!(shown.starts_with(b"begin ") && shown.ends_with(b" end") && contains(&shown, MASK), "{encoding}");
            checked += 1;
        }
    }
    assert!(checked > 5_000, "{checked}");
}

proptest! {
    #[test]
    fn what_holds_no_secret_is_not_changed(chunks in proptest::collection::vec("[a-y \n=%+0-9]{0,40}", 0..20)) {
        let chunks: Vec<&[u8]> = chunks.iter().map(String::as_bytes).collect();
        let secrets: [&[u8]; 2] = [b"Zebra-Zulu-4711", b"\xff\xfe\xfd\xfc\xfb\xfa"];
        let shown = redacted(&secrets, &chunks);
        // Its last bytes may look like the beginning of an encoding.
        let whole = chunks.concat();
        prop_assert!(shown == whole || shown.ends_with(MASK), "{:?}", String::from_utf8_lossy(&shown));
    }
}
