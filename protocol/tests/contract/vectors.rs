//! Vectors that others have published: Wycheproof's for Ed25519, which hold what implementations have got wrong, and those of RFC 8032.
//! Each goes through the verifier of a key of a trust bundle, the way of every plain signature of this contract.

use crate::fixture::unhex;
use ed25519_dalek::{Signer as _, SigningKey};
use flotilla_protocol::signature::PublicKey;
use wycheproof::TestResult;
use wycheproof::eddsa::{TestName, TestSet};

/// As RFC 8032 has them, see the head of the file.
const RFC_8032: &str = include_str!("rfc8032.txt");

/// Whether the key may stand in a trust bundle, and the signature counts there.
fn is_accepted(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let Ok(key) = <[u8; 32]>::try_from(key) else { return false };
    PublicKey::Ed25519(key).verifier().is_ok_and(|verifier| verifier.unwrap().verifies(message, signature))
}

/// A vector of RFC 8032.
struct Vector {
    name: &'static str,
    secret: [u8; 32],
    public: [u8; 32],
    message: Vec<u8>,
    signature: [u8; 64],
}

fn rfc_8032() -> Vec<Vector> {
    let vector = |text: &'static str| {
        let (name, values) = text.split_once('\n').unwrap();
        let value = |label: &str| {
            let (_, rest) = values.split_once(&format!("{label}:\n")).unwrap();
            let lines: String = rest.lines().take_while(|line| line.starts_with("  ")).collect();
            unhex(&lines)
        };
        let short = |label| <[u8; 32]>::try_from(value(label)).unwrap();
        let (secret, public) = (short("secret"), short("public"));
        Vector { name, secret, public, message: value("message"), signature: value("signature").try_into().unwrap() }
    };
    RFC_8032.split("\n-- ").skip(1).map(vector).collect()
}

/// The cases of Wycheproof that do not come out as expected, as sentences, and how many there are of each result.
fn wycheproof() -> (Vec<String>, usize, usize) {
    let set = TestSet::load(TestName::Ed25519).unwrap();
    let (mut wrong, mut valid, mut invalid) = (Vec::new(), 0, 0);
    for group in &set.test_groups {
        for case in &group.tests {
            let accepted = is_accepted(&group.key.pk, &case.msg, &case.sig);
            let expected = match case.result {
                TestResult::Valid => true,
                // What may be refused is refused: a signature has one form here.
                TestResult::Invalid | TestResult::Acceptable => false,
            };
            *(if expected { &mut valid } else { &mut invalid }) += 1;
            if accepted != expected {
                wrong.push(format!("case {} ({}): accepted is {accepted}", case.tc_id, case.comment));
            }
        }
    }
    (wrong, valid, invalid)
}

#[test]
fn published_vectors_come_out_as_expected() {
    let (wrong, valid, invalid) = wycheproof();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(valid >= 88 && invalid >= 62, "{valid} valid and {invalid} invalid cases");

    let vectors = rfc_8032();
    for Vector { name, secret, public, message, signature } in &vectors {
        let key = SigningKey::from_bytes(secret);
        assert_eq!(key.verifying_key().as_bytes(), public, "{name}: the public key");
        assert_eq!(key.sign(message).to_bytes(), *signature, "{name}: the signature");
        assert!(is_accepted(public, message, signature), "{name}: the verdict");
    }
    let lengths: Vec<usize> = vectors.iter().map(|vector| vector.message.len()).collect();
    assert_eq!(lengths, [0, 1, 2, 1023, 64]);
    println!(
        "signatures: wycheproof {} of {0} as expected ({valid} valid, {invalid} invalid), RFC 8032 {} of {1}",
        valid + invalid,
        vectors.len()
    );
}

#[test]
fn the_vectors_of_rfc_8032_count_with_no_bit_flipped() {
    let (mut flips, mut accepted) = (0_u32, 0_u32);
    for Vector { public, message, signature, .. } in rfc_8032() {
        let whole = [public.as_slice(), &signature, &message].concat();
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let (key, rest) = flipped.split_at(32);
            let (signature, message) = rest.split_at(64);
            flips += 1;
            accepted += u32::from(is_accepted(key, message, signature));
        }
    }
    println!("signatures: {flips} single-bit flips of key, signature and message of RFC 8032's vectors, accepted {accepted}");
    assert!(flips >= 12_000, "{flips} flips");
    assert_eq!(accepted, 0);
}
