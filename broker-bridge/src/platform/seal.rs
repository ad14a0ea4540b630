//! Secrets at rest: sealed in the database under a key that lies outside it.
//!
//! ChaCha20-Poly1305 with a random nonce, and with the table and the row as associated data, so that a sealed value moved to
//! another row does not open. What is stored: a version byte, the nonce, the ciphertext with its tag.

use super::files;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, KeyInit as _, Nonce};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

const VERSION: u8 = 0;
const NONCE_BYTES: usize = 12;
const KEY_BYTES: usize = 32;

/// Why a secret was not sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The key file cannot be read.
    #[error("cannot read the seal key {path}")]
    KeyFile {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The key file does not hold 32 bytes.
    #[error("the seal key {path} is not 32 bytes long; restore it from the backup made at `init`")]
    KeyLength {
        /// Which file.
        path: PathBuf,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: {0}")]
    Random(getrandom::Error),
    /// The value was sealed under another key or for another row, or was changed.
    #[error("a sealed secret of {table} does not open: the seal key is another one, or the row was changed")]
    Opening {
        /// The table of the row.
        table: &'static str,
    },
    /// The value is too long for the cipher.
    #[error("a secret is too long to be sealed")]
    TooLong,
}

/// Seals and opens. Clones share the key, which is wiped with the last.
#[derive(Clone)]
pub struct Sealer(Arc<Keys>);

struct Keys {
    cipher: ChaCha20Poly1305,
    /// The key itself, from which others are derived.
    key: Zeroizing<[u8; KEY_BYTES]>,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer")
    }
}

impl Sealer {
    /// A sealer under this key.
    #[must_use]
    pub fn new(key: &[u8; KEY_BYTES]) -> Self {
        Self(Arc::new(Keys { cipher: ChaCha20Poly1305::new(Key::from_slice(key)), key: Zeroizing::new(*key) }))
    }

    /// A sealer under the key in a file of mode 0600.
    ///
    /// # Errors
    /// The file cannot be read, can be read by others, or holds no key.
    pub fn load(path: &Path) -> Result<Self, SealError> {
        let key = files::read_secret(path).map_err(|source| SealError::KeyFile { path: path.to_owned(), source })?;
        let key = <&[u8; KEY_BYTES]>::try_from(key.as_slice()).map_err(|_| SealError::KeyLength { path: path.to_owned() })?;
        Ok(Self::new(key))
    }

    /// A key of its own for a purpose, which tells nothing of the seal key: HMAC-SHA256 of the purpose under it.
    #[must_use]
    pub fn derive(&self, purpose: &'static str) -> Zeroizing<[u8; KEY_BYTES]> {
        let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(self.0.key.as_slice()).expect("HMAC takes keys of any length");
        mac.update(purpose.as_bytes());
        Zeroizing::new(mac.finalize().into_bytes().into())
    }

    /// Seals a secret for one row of one table.
    ///
    /// # Errors
    /// There were no random bytes, or the secret is longer than 256 GiB.
    pub fn seal(&self, table: &'static str, row: &str, secret: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(SealError::Random)?;
        let bound = associated(table, row);
        let ciphertext =
            self.0.cipher.encrypt(Nonce::from_slice(&nonce), Payload { msg: secret, aad: &bound }).map_err(|_| SealError::TooLong)?;
        Ok([&[VERSION], nonce.as_slice(), &ciphertext].concat())
    }

    /// Opens what was sealed for this row of this table.
    ///
    /// # Errors
    /// It was sealed under another key or for another row, or was changed.
    pub fn open(&self, table: &'static str, row: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let failed = SealError::Opening { table };
        let Some((&VERSION, rest)) = sealed.split_first() else { return Err(failed) };
        let Some((nonce, ciphertext)) = rest.split_first_chunk::<NONCE_BYTES>() else { return Err(failed) };
        let bound = associated(table, row);
        self.0.cipher.decrypt(Nonce::from_slice(nonce), Payload { msg: ciphertext, aad: &bound }).map(Zeroizing::new).map_err(|_| failed)
    }
}

/// No table's name holds a zero byte, so no two pairs give the same bytes.
fn associated(table: &str, row: &str) -> Vec<u8> {
    [table.as_bytes(), &[0], row.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_in_its_row_under_its_key_and_unchanged() {
        let sealer = Sealer::new(&[1; 32]);
        let sealed = sealer.seal("access_key", "FL1", b"secret").unwrap();
        assert_eq!(sealer.open("access_key", "FL1", &sealed).unwrap().as_slice(), b"secret");
        assert!(sealer.open("access_key", "FL2", &sealed).is_err());
        assert!(sealer.open("activation", "FL1", &sealed).is_err());
        assert!(Sealer::new(&[2; 32]).open("access_key", "FL1", &sealed).is_err());
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(sealer.open("access_key", "FL1", &changed).is_err(), "byte {index}");
            assert!(sealer.open("access_key", "FL1", &sealed[..index]).is_err(), "cut at {index}");
        }
    }

    #[test]
    fn every_purpose_has_its_own_key() {
        let sealer = Sealer::new(&[1; 32]);
        assert_eq!(sealer.derive("a"), Sealer::new(&[1; 32]).derive("a"));
        assert_ne!(sealer.derive("a"), sealer.derive("b"));
        assert_ne!(sealer.derive("a"), Sealer::new(&[2; 32]).derive("a"));
    }

    #[test]
    fn the_same_secret_never_looks_the_same() {
        let sealer = Sealer::new(&[1; 32]);
        assert_ne!(sealer.seal("t", "r", b"secret").unwrap(), sealer.seal("t", "r", b"secret").unwrap());
    }

    #[test]
    fn a_key_file_must_be_private_and_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seal.key");
        assert!(matches!(Sealer::load(&path), Err(SealError::KeyFile { .. })));
        files::create_secret(&path, &[7; 31]).unwrap();
        assert!(matches!(Sealer::load(&path), Err(SealError::KeyLength { .. })));
    }
}
