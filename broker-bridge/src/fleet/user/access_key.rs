//! Access keys: an id that is public and a secret that signs, in the lengths that AWS's have.

use crate::platform::seal::SealError;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

/// Begins every access key id, where AWS has `AKIA`.
const PREFIX: &str = "FL";
/// Random characters of an id after the prefix: 90 bits, 20 characters in all.
const ID_DIGITS: usize = 18;
/// Random bytes of a secret: 240 bits, 40 characters.
const SECRET_BYTES: usize = 30;
const BASE32: [u8; 32] = *b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A new access key. The secret is wiped when it is dropped.
pub struct AccessKey {
    /// 20 characters.
    pub id: String,
    /// 40 characters of `A-Za-z0-9_-`, which need no quoting in a file of settings.
    pub secret: Zeroizing<String>,
}

impl std::fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl AccessKey {
    /// Makes one.
    pub(super) fn create() -> Result<Self, SealError> {
        let mut digits = [0; ID_DIGITS];
        getrandom::fill(&mut digits).map_err(SealError::Random)?;
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        getrandom::fill(secret.as_mut_slice()).map_err(SealError::Random)?;
        let digit = |byte: &u8| BASE32.get(usize::from(byte & 31)).copied().map_or('A', char::from);
        let id = PREFIX.chars().chain(digits.iter().map(digit)).collect();
        Ok(Self { id, secret: Zeroizing::new(URL_SAFE_NO_PAD.encode(secret.as_slice())) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_lengths_of_aws_and_differ() {
        let (one, two) = (AccessKey::create().unwrap(), AccessKey::create().unwrap());
        assert_eq!((one.id.len(), one.secret.len()), (20, 40));
        assert!(one.id.starts_with("FL") && one.id != two.id && *one.secret != *two.secret);
        assert!(!format!("{one:?}").contains(one.secret.as_str()));
    }
}
