//! The ways in which a script may print a secret by accident: THE LIST of what redaction promises to find. To add one, add it here: jobs print
//! it, and it is looked for.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// One of them.
#[derive(Clone, Copy)]
pub struct Encoding {
    /// What it is called.
    pub name: &'static str,
    /// What is printed.
    pub encode: fn(&[u8]) -> Vec<u8>,
    /// What of it no byte before or after the secret changes.
    pub inner: fn(&[u8]) -> Vec<u8>,
}

/// All of them.
pub const ENCODINGS: &[Encoding] = &[
    Encoding { name: "raw", encode: raw, inner: raw },
    Encoding { name: "base64", encode: |secret| base64(secret, 0), inner: |secret| inner_base64(base64(secret, 0), secret, 0) },
    Encoding { name: "base64+1", encode: |secret| base64(secret, 1), inner: |secret| inner_base64(base64(secret, 1), secret, 1) },
    Encoding { name: "base64+2", encode: |secret| base64(secret, 2), inner: |secret| inner_base64(base64(secret, 2), secret, 2) },
    Encoding { name: "base64url", encode: |secret| base64url(secret, 0), inner: |secret| inner_base64(base64url(secret, 0), secret, 0) },
    Encoding { name: "base64url+1", encode: |secret| base64url(secret, 1), inner: |secret| inner_base64(base64url(secret, 1), secret, 1) },
    Encoding { name: "base64url+2", encode: |secret| base64url(secret, 2), inner: |secret| inner_base64(base64url(secret, 2), secret, 2) },
    Encoding {
        name: "base64 in lines of 76",
        encode: |secret| lines(&base64(secret, 0), 76, b"\n"),
        inner: |secret| lines(&inner_base64(base64(secret, 0), secret, 0), 76, b"\n"),
    },
    Encoding {
        name: "base64 in lines of 64",
        encode: |secret| lines(&base64(secret, 0), 64, b"\r\n"),
        inner: |secret| lines(&inner_base64(base64(secret, 0), secret, 0), 64, b"\r\n"),
    },
    Encoding { name: "hex", encode: |secret| hex(secret, "").into_bytes(), inner: |secret| hex(secret, "").into_bytes() },
    Encoding { name: "HEX", encode: upper_hex, inner: upper_hex },
    Encoding { name: "hex:", encode: |secret| hex(secret, ":").into_bytes(), inner: |secret| hex(secret, ":").into_bytes() },
    Encoding { name: "HEX-", encode: dashed_hex, inner: dashed_hex },
    Encoding { name: "od", encode: od, inner: od },
    Encoding { name: "hex in lines of 60", encode: plain_dump, inner: plain_dump },
    Encoding { name: "URL, all", encode: |secret| url(secret, |_| false, false), inner: |secret| url(secret, |_| false, false) },
    Encoding {
        name: "url, all",
        encode: |secret| url(secret, |_| false, false).to_ascii_lowercase(),
        inner: |secret| url(secret, |_| false, false).to_ascii_lowercase(),
    },
    Encoding {
        name: "URL component",
        encode: |secret| url(secret, is_unreserved, false),
        inner: |secret| url(secret, is_unreserved, false),
    },
    Encoding { name: "URL form", encode: |secret| url(secret, is_unreserved, true), inner: |secret| url(secret, is_unreserved, true) },
    Encoding { name: "URL path", encode: |secret| url(secret, is_of_path, false), inner: |secret| url(secret, is_of_path, false) },
];

fn raw(secret: &[u8]) -> Vec<u8> {
    secret.to_vec()
}

/// As a part of something longer, such as `user:secret` in an HTTP header.
fn after(before: usize, secret: &[u8]) -> Vec<u8> {
    [&b"uu"[..before], secret].concat()
}

fn base64(secret: &[u8], before: usize) -> Vec<u8> {
    STANDARD.encode(after(before, secret)).into_bytes()
}

fn base64url(secret: &[u8], before: usize) -> Vec<u8> {
    URL_SAFE_NO_PAD.encode(after(before, secret)).into_bytes()
}

/// The characters that only the secret decides.
fn inner_base64(encoded: Vec<u8>, secret: &[u8], before: usize) -> Vec<u8> {
    encoded[(before * 8).div_ceil(6)..(before + secret.len()) * 8 / 6].to_vec()
}

fn lines(encoded: &[u8], length: usize, end: &[u8]) -> Vec<u8> {
    encoded.chunks(length).collect::<Vec<_>>().join(end)
}

fn hex(secret: &[u8], separator: &str) -> String {
    secret.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(separator)
}

fn upper_hex(secret: &[u8]) -> Vec<u8> {
    hex(secret, "").to_uppercase().into_bytes()
}

fn dashed_hex(secret: &[u8]) -> Vec<u8> {
    hex(secret, "-").to_uppercase().into_bytes()
}

/// As `od -An -v -tx1`: a space before each byte, 16 bytes a line.
fn od(secret: &[u8]) -> Vec<u8> {
    let line = |bytes: &[u8]| format!(" {}", hex(bytes, " ")).into_bytes();
    let lines: Vec<Vec<u8>> = secret.chunks(16).map(line).collect();
    lines.join(b"\n".as_slice()).trim_ascii_start().to_vec()
}

/// As `xxd -p`.
fn plain_dump(secret: &[u8]) -> Vec<u8> {
    lines(hex(secret, "").as_bytes(), 60, b"\n")
}

fn url(secret: &[u8], is_kept: fn(u8) -> bool, is_form: bool) -> Vec<u8> {
    let encode = |byte: &u8| match byte {
        b' ' if is_form => b"+".to_vec(),
        byte if is_kept(*byte) => vec![*byte],
        byte => format!("%{byte:02X}").into_bytes(),
    };
    secret.iter().flat_map(encode).collect()
}

/// RFC 3986, section 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// What browsers leave as it is in a path.
fn is_of_path(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"#%<>?`{}".contains(&byte)
}
