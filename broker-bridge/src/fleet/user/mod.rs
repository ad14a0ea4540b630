//! A user is a person or a program that calls the API: a name, a role, and access keys to sign with.
//!
//! Users are made on the bridge's machine (`flotilla-bridge init`, `flotilla-bridge user add`), never through the API. The
//! secret of an access key is shown once, in a file, and lies in the database sealed under the seal key.

mod access_key;
mod store;

pub use access_key::AccessKey;
pub use store::{User, add, list, remove, since_ms};

use super::Fleet;
use crate::platform::http::{Access, ApiError, Caller, Identities, Identity};
use crate::platform::seal::SealError;
use crate::platform::store::{Store, StoreError};
use zeroize::Zeroizing;

/// Longest name of a user. It travels in orders as their requester.
pub const MAXIMUM_NAME_BYTES: usize = 64;
/// Most users.
pub const MAXIMUM_USERS: i64 = 1_000;

/// Why a user was not added, removed or found.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// A name that users cannot have.
    #[error("{name:?} cannot be a user's name: use 1 to {MAXIMUM_NAME_BYTES} of a-z, A-Z, 0-9, '.', '_', '@' and '-'")]
    Name {
        /// The name as given.
        name: String,
    },
    /// The name is taken.
    #[error("there is a user {name} already; remove it first, or take another name")]
    Exists {
        /// The name.
        name: String,
    },
    /// Nobody has the name.
    #[error("there is no user {name}; `flotilla-bridge user list` shows them")]
    Unknown {
        /// The name.
        name: String,
    },
    /// Without an admin nobody could make activations any more.
    #[error("{name} is the last admin; add another one first")]
    LastAdmin {
        /// The name.
        name: String,
    },
    /// There are too many.
    #[error("there are {MAXIMUM_USERS} users already; remove some")]
    TooMany,
    /// The secret could not be sealed or opened.
    #[error("the user's secret access key cannot be used")]
    Seal(#[from] SealError),
    /// The database.
    #[error("the users cannot be read or written")]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for UserError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Checks a user's name.
pub(crate) fn check_name(name: &str) -> Result<(), UserError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'@' | b'-');
    if (1..=MAXIMUM_NAME_BYTES).contains(&name.len()) && name.bytes().all(plain) {
        return Ok(());
    }
    Err(UserError::Name { name: name.to_owned() })
}

impl Identities for Fleet {
    async fn identity(&self, access_key_id: &str) -> Result<Option<Identity>, ApiError> {
        let Some(found) = store::find(&self.store, access_key_id).await? else { return Ok(None) };
        let secret = self.sealer.open(store::ACCESS_KEY_TABLE, access_key_id, &found.sealed_secret).map_err(ApiError::internal)?;
        let secret = std::str::from_utf8(&secret).map_err(ApiError::internal)?;
        let secret = Zeroizing::new(secret.to_owned());
        // A role that this build does not know gets the least.
        let access = Access::named(&found.role).unwrap_or(Access::Viewer);
        Ok(Some(Identity { caller: Caller { user: found.user, access, host: String::new(), call: None }, secret }))
    }

    fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    fn store(&self) -> &Store {
        &self.store
    }

    fn refusal(&self) -> Option<ApiError> {
        self.overload()
    }
}
