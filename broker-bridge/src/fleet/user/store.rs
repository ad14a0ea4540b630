//! Users in the database.

use super::{AccessKey, MAXIMUM_USERS, UserError, check_name};
use crate::platform::http::Access;
use crate::platform::seal::Sealer;
use crate::platform::store::{Store, StoreError, Write};
use std::collections::BTreeMap;

/// The table whose rows the sealed secrets are bound to.
pub(super) const ACCESS_KEY_TABLE: &str = "access_key";

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// The role's name.
    pub role: String,
    /// When it was made: Unix time in milliseconds.
    pub created_ms: i64,
    /// The ids of its access keys.
    pub access_key_ids: Vec<String>,
}

/// What a signature is verified with.
pub(super) struct Found {
    pub(super) user: String,
    pub(super) role: String,
    pub(super) sealed_secret: Vec<u8>,
}

/// Adds a user with one access key, whose secret is nowhere else readable.
///
/// # Errors
/// The name cannot be used or is taken, or the database refuses.
pub async fn add(write: &mut Write<'_>, sealer: &Sealer, name: &str, access: Access, now_ms: u64) -> Result<AccessKey, UserError> {
    check_name(name)?;
    let now_ms = i64::try_from(now_ms).unwrap_or(i64::MAX);
    let users: i64 = sqlx::query_scalar("SELECT count(*) FROM api_user").fetch_one(write.connection()).await?;
    if users >= MAXIMUM_USERS {
        return Err(UserError::TooMany);
    }
    let added = sqlx::query("INSERT INTO api_user (name, role, created_ms) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING")
        .bind(name)
        .bind(access.name())
        .bind(now_ms)
        .execute(write.connection())
        .await?;
    if added.rows_affected() == 0 {
        return Err(UserError::Exists { name: name.to_owned() });
    }
    let key = AccessKey::create()?;
    let sealed = sealer.seal(ACCESS_KEY_TABLE, &key.id, key.secret.as_bytes())?;
    sqlx::query("INSERT INTO access_key (access_key_id, user_name, sealed_secret, created_ms) VALUES ($1, $2, $3, $4)")
        .bind(&key.id)
        .bind(name)
        .bind(sealed)
        .bind(now_ms)
        .execute(write.connection())
        .await?;
    Ok(key)
}

/// All users by name, with their access keys.
///
/// # Errors
/// The database refuses.
pub async fn list(store: &Store) -> Result<Vec<User>, UserError> {
    let rows: Vec<(String, String, i64, Option<String>)> = sqlx::query_as(
        "SELECT u.name, u.role, u.created_ms, k.access_key_id FROM api_user u LEFT JOIN access_key k ON k.user_name = u.name \
         ORDER BY u.name, k.access_key_id",
    )
    .fetch_all(store.reader())
    .await?;
    let mut users: BTreeMap<String, User> = BTreeMap::new();
    for (name, role, created_ms, access_key_id) in rows {
        let user = User { name: name.clone(), role, created_ms, access_key_ids: Vec::new() };
        users.entry(name).or_insert(user).access_key_ids.extend(access_key_id);
    }
    Ok(users.into_values().collect())
}

/// Removes a user and its access keys: its next call is refused.
///
/// # Errors
/// There is no such user, it is the last admin, or the database refuses.
pub async fn remove(write: &mut Write<'_>, name: &str) -> Result<(), UserError> {
    let role: Option<String> =
        sqlx::query_scalar("DELETE FROM api_user WHERE name = $1 RETURNING role").bind(name).fetch_optional(write.connection()).await?;
    let role = role.ok_or_else(|| UserError::Unknown { name: name.to_owned() })?;
    let admins: i64 = sqlx::query_scalar("SELECT count(*) FROM api_user WHERE role = $1")
        .bind(Access::Admin.name())
        .fetch_one(write.connection())
        .await?;
    if role == Access::Admin.name() && admins == 0 {
        return Err(UserError::LastAdmin { name: name.to_owned() });
    }
    Ok(())
}

/// Since when there is a user of this name: Unix time in milliseconds. Nothing where there is none.
///
/// # Errors
/// The database refuses.
pub async fn since_ms(store: &Store, name: &str) -> Result<Option<i64>, StoreError> {
    Ok(sqlx::query_scalar("SELECT created_ms FROM api_user WHERE name = $1").bind(name).fetch_optional(store.reader()).await?)
}

/// Whose access key it is.
pub(super) async fn find(store: &Store, access_key_id: &str) -> Result<Option<Found>, StoreError> {
    let row: Option<(String, String, Vec<u8>)> = sqlx::query_as(
        "SELECT u.name, u.role, k.sealed_secret FROM access_key k JOIN api_user u ON u.name = k.user_name WHERE k.access_key_id = $1",
    )
    .bind(access_key_id)
    .fetch_optional(store.reader())
    .await?;
    Ok(row.map(|(user, role, sealed_secret)| Found { user, role, sealed_secret }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::MIGRATIONS;

    #[tokio::test]
    async fn users_come_and_go_and_one_admin_stays() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("fleet.db"), MIGRATIONS).await.unwrap();
        let sealer = Sealer::new(&[1; 32]);
        let mut write = store.write().await.unwrap();
        let key = add(&mut write, &sealer, "ada", Access::Admin, 1).await.unwrap();
        add(&mut write, &sealer, "otto", Access::Operator, 2).await.unwrap();
        assert!(matches!(add(&mut write, &sealer, "ada", Access::Viewer, 3).await, Err(UserError::Exists { .. })));
        for name in ["", "a b", "a/b", &"a".repeat(65)] {
            assert!(matches!(add(&mut write, &sealer, name, Access::Viewer, 3).await, Err(UserError::Name { .. })), "{name}");
        }
        write.commit().await.unwrap();
        let found = find(&store, &key.id).await.unwrap().unwrap();
        assert_eq!((found.user.as_str(), found.role.as_str()), ("ada", "admin"));
        assert_eq!(sealer.open(ACCESS_KEY_TABLE, &key.id, &found.sealed_secret).unwrap().as_slice(), key.secret.as_bytes());
        let users = list(&store).await.unwrap();
        assert_eq!(users.iter().map(|user| user.name.as_str()).collect::<Vec<_>>(), ["ada", "otto"]);
        assert_eq!(users[0].access_key_ids, std::slice::from_ref(&key.id));

        let mut write = store.write().await.unwrap();
        assert!(matches!(remove(&mut write, "ada").await, Err(UserError::LastAdmin { .. })));
        drop(write);
        let mut write = store.write().await.unwrap();
        assert!(matches!(remove(&mut write, "eve").await, Err(UserError::Unknown { .. })));
        remove(&mut write, "otto").await.unwrap();
        write.commit().await.unwrap();
        assert_eq!(list(&store).await.unwrap().len(), 1);
        let keys: i64 = sqlx::query_scalar("SELECT count(*) FROM access_key").fetch_one(store.reader()).await.unwrap();
        assert_eq!(keys, 1, "the keys go with their user");
    }
}
