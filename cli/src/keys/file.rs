//! Private keys in files: the format of OpenSSH, so that `ssh-add` and `ssh-keygen` take them too (docs/decisions/0016).

use std::path::Path;

use ed25519_dalek::SigningKey;
use ssh_key::private::{Ed25519Keypair, Ed25519PrivateKey, KeypairData, PrivateKey};
use ssh_key::public::Ed25519PublicKey;
use ssh_key::{Cipher, Kdf, LineEnding};
use zeroize::Zeroizing;

use super::KeyError;
use crate::files;

/// Rounds of bcrypt-pbkdf for new files: about half a second; ssh-keygen takes 16 or 24.
const ROUNDS: u32 = 64;
/// Most rounds of a file that is opened, so that a foreign file cannot keep the machine busy for hours.
const MAXIMUM_ROUNDS: u32 = 1024;
/// Bytes of salt, as OpenSSH.
const SALT_BYTES: usize = 16;

/// A key of 32 random bytes, which is how ed25519 keys are made.
pub(crate) fn of_seed(seed: &[u8; 32], comment: &str) -> Result<PrivateKey, KeyError> {
    let public = SigningKey::from_bytes(seed).verifying_key().to_bytes();
    let pair = Ed25519Keypair { public: Ed25519PublicKey(public), private: Ed25519PrivateKey::from_bytes(seed) };
    PrivateKey::new(KeypairData::Ed25519(pair), comment).map_err(KeyError::Encode)
}

/// The text of a key file under a passphrase: aes256-ctr under a key by bcrypt-pbkdf.
pub(crate) fn encrypted(key: &PrivateKey, passphrase: &str) -> Result<Zeroizing<String>, KeyError> {
    let mut salt = vec![0; SALT_BYTES];
    getrandom::fill(&mut salt).map_err(KeyError::Random)?;
    let mut check = [0; 4];
    getrandom::fill(&mut check).map_err(KeyError::Random)?;
    let kdf = Kdf::Bcrypt { salt, rounds: ROUNDS };
    let closed = key.encrypt_with(Cipher::Aes256Ctr, kdf, u32::from_be_bytes(check), passphrase).map_err(KeyError::Encode)?;
    closed.to_openssh(LineEnding::LF).map_err(KeyError::Encode)
}

/// Opens a key file; `passphrase` is asked only when there is one.
pub(crate) fn open(path: &Path, passphrase: impl FnOnce() -> Result<Zeroizing<String>, KeyError>) -> Result<PrivateKey, KeyError> {
    let bytes = files::read_secret(path).map_err(|source| KeyError::File { action: "read", path: path.to_owned(), source })?;
    let unfit = |what| KeyError::Unfit { path: path.to_owned(), what };
    let key = if let Ok(seed) = <&[u8; 32]>::try_from(bytes.as_slice()) {
        // What `flotilla-bridge init` writes.
        of_seed(seed, "")?
    } else {
        PrivateKey::from_openssh(bytes.as_slice()).map_err(|source| KeyError::Malformed { path: path.to_owned(), source })?
    };
    if matches!(key.kdf(), Kdf::Bcrypt { rounds, .. } if *rounds > MAXIMUM_ROUNDS) {
        return Err(unfit("it asks for more rounds of its passphrase than anybody needs"));
    }
    let key = if key.is_encrypted() {
        let passphrase = passphrase()?;
        key.decrypt(passphrase.as_bytes()).map_err(|_wrong| KeyError::WrongPassphrase { path: path.to_owned() })?
    } else {
        key
    };
    let pair = key.key_data().ed25519().ok_or_else(|| unfit("it is not an ed25519 key; a security key signs through ssh-agent"))?;
    // A file that somebody changed could name another public key than its own.
    if SigningKey::from_bytes(&pair.private.to_bytes()).verifying_key().to_bytes() != pair.public.0 {
        return Err(unfit("its public half is another key's"));
    }
    Ok(key)
}
