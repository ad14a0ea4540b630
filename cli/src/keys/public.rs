//! Public keys as text: a line of OpenSSH for keys that sign as SSH keys do, hexadecimal digits for plain ed25519.

use std::path::Path;

use flotilla_protocol::signature::{PublicKey, SSH_NAMESPACE, SshHash, security_key_signature, ssh_signature};
use ssh_key::public::{Ed25519PublicKey, KeyData, SkEd25519};
use ssh_key::{Fingerprint, HashAlg, SshSig};

use super::{KeyError, KeysFolder};
use crate::files;

/// Reads a public key: a line of OpenSSH, 64 hexadecimal digits, a file with either, or the name of a key in the folder. Besides the key
/// comes its comment, which is empty for digits.
pub(crate) fn parse_public(text: &str, folder: &KeysFolder) -> Result<(PublicKey, String), KeyError> {
    let refused = || KeyError::Public(text.chars().take(120).collect());
    if let Some(found) = of_text(text) {
        return Ok(found);
    }
    let path = Path::new(text);
    if path.is_file() {
        let bytes = files::read(path).map_err(|source| KeyError::File { action: "read", path: path.to_owned(), source })?;
        return std::str::from_utf8(&bytes).ok().and_then(of_text).ok_or_else(refused);
    }
    let named = folder.public(text).map_err(|_missing| refused())?;
    Ok((of_ssh(named.key_data()).ok_or_else(refused)?, named.comment().to_owned()))
}

fn of_text(text: &str) -> Option<(PublicKey, String)> {
    let text = text.trim();
    if let Some(bytes) = unhex(text) {
        return Some((PublicKey::Ed25519(bytes), String::new()));
    }
    let key = ssh_key::PublicKey::from_openssh(text).ok()?;
    Some((of_ssh(key.key_data())?, key.comment().to_owned()))
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

/// The key of a bundle for a key of OpenSSH; nothing for other kinds than ed25519.
pub(crate) fn of_ssh(key: &KeyData) -> Option<PublicKey> {
    match key {
        KeyData::Ed25519(key) => Some(PublicKey::Ssh(key.0)),
        KeyData::SkEd25519(key) => Some(PublicKey::SecurityKey { key: key.public_key().0, application: key.application().to_owned() }),
        _ => None,
    }
}

fn to_ssh(key: &PublicKey) -> Option<KeyData> {
    match key {
        PublicKey::Ed25519(key) | PublicKey::Ssh(key) => Some(KeyData::Ed25519(Ed25519PublicKey(*key))),
        PublicKey::SecurityKey { key, application } => {
            Some(KeyData::SkEd25519(SkEd25519::new(Ed25519PublicKey(*key), application.clone())))
        }
        PublicKey::Unknown { .. } => None,
    }
}

/// A key as [`parse_public`] reads it.
pub(crate) fn to_text(key: &PublicKey) -> String {
    let digits = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    match (key, to_ssh(key)) {
        (PublicKey::Ssh(_) | PublicKey::SecurityKey { .. }, Some(data)) => {
            ssh_key::PublicKey::new(data, "").to_openssh().unwrap_or_else(|_never| digits(key.raw())).trim().to_owned()
        }
        _ => digits(key.raw()),
    }
}

/// What people compare: the algorithm, and OpenSSH's fingerprint of the key, the same as `ssh-keygen -l` shows.
pub(crate) fn fingerprint(key: &PublicKey) -> String {
    let algorithm = match key {
        PublicKey::Ed25519(_) => "ed25519",
        PublicKey::Ssh(_) => "ssh-ed25519",
        PublicKey::SecurityKey { .. } => "sk-ssh-ed25519",
        PublicKey::Unknown { algorithm, bytes } => return format!("algorithm {algorithm}, {} bytes", bytes.len()),
    };
    let fingerprint = to_ssh(key).map(|data| data.fingerprint(HashAlg::Sha256)).as_ref().map(Fingerprint::to_string);
    format!("{algorithm} {}", fingerprint.unwrap_or_default())
}

/// The comment of a key of OpenSSH, or a word for none.
pub(crate) fn comment(key: &ssh_key::PublicKey) -> &str {
    if key.comment().is_empty() { "-" } else { key.comment() }
}

/// The signature of a file that `ssh-keygen -Y sign -n flotilla` wrote: whose it is, and how an envelope carries it. It is not verified here.
pub(crate) fn of_ssh_signature(armored: &[u8]) -> Result<(PublicKey, Vec<u8>), &'static str> {
    let signature = SshSig::from_pem(armored).map_err(|_malformed| "it is no signature of ssh-keygen, or not by an ed25519 key")?;
    if signature.namespace() != SSH_NAMESPACE {
        return Err("it was made in another namespace; sign with `ssh-keygen -Y sign -n flotilla`");
    }
    let hash = match signature.hash_alg() {
        HashAlg::Sha256 => SshHash::Sha256,
        HashAlg::Sha512 => SshHash::Sha512,
        _ => return Err("it uses another hash than sha256 or sha512"),
    };
    let key = of_ssh(signature.public_key()).ok_or("it was made by another kind of key than ed25519")?;
    let carried = carried(&key, hash, signature.signature_bytes()).ok_or("its bytes do not fit its key")?;
    Ok((key, carried))
}

/// How an envelope carries the signature that OpenSSH gives as these bytes.
pub(super) fn carried(key: &PublicKey, hash: SshHash, bytes: &[u8]) -> Option<Vec<u8>> {
    let (signature, rest) = bytes.split_first_chunk::<64>()?;
    match (key, rest) {
        (PublicKey::Ssh(_), []) => Some(ssh_signature(hash, signature)),
        (PublicKey::SecurityKey { .. }, [flags, counter @ ..]) => {
            Some(security_key_signature(hash, *flags, <[u8; 4]>::try_from(counter).ok()?, signature))
        }
        _ => None,
    }
}
