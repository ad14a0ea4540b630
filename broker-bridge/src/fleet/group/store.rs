//! The SQL of groups.

use crate::platform::store::{Store, StoreError, Write};

/// Most groups of a fleet (AWS: 100 of an account unless raised).
pub(super) const MAXIMUM_GROUPS: i64 = 1_000;

/// A group as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// How much depends on it, 1…10.
    pub criticality: Option<i64>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// A name for people.
    pub display_name: Option<String>,
    /// The text of its query.
    pub query: String,
    /// Its tags, as JSON.
    pub tags: String,
}

const COLUMNS: &str = "SELECT name, description, criticality, owner, display_name, query, tags FROM resource_group";

/// The group of this name, if there is one.
///
/// # Errors
/// What the database says.
pub async fn find(store: &Store, name: &str) -> Result<Option<Group>, StoreError> {
    let mut query = sqlx::QueryBuilder::<sqlx::Sqlite>::new(COLUMNS);
    query.push(" WHERE name = ").push_bind(name);
    Ok(query.build_query_as().fetch_optional(store.reader()).await?)
}

/// All groups, by name.
pub(super) async fn all(store: &Store) -> Result<Vec<Group>, StoreError> {
    let mut query = sqlx::QueryBuilder::<sqlx::Sqlite>::new(COLUMNS);
    query.push(" ORDER BY name LIMIT ").push_bind(MAXIMUM_GROUPS);
    Ok(query.build_query_as().fetch_all(store.reader()).await?)
}

/// How many groups there are.
pub(super) async fn count(write: &mut Write<'_>) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar("SELECT COUNT(*) FROM resource_group").fetch_one(write.connection()).await?)
}

/// Writes a new group; `false` when one has its name already.
pub(super) async fn insert(write: &mut Write<'_>, group: &Group, now_ms: i64) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "INSERT INTO resource_group (name, description, criticality, owner, display_name, query, tags, created_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (name) DO NOTHING",
    )
    .bind(&group.name)
    .bind(&group.description)
    .bind(group.criticality)
    .bind(&group.owner)
    .bind(&group.display_name)
    .bind(&group.query)
    .bind(&group.tags)
    .bind(now_ms)
    .execute(write.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Removes a group.
pub(super) async fn delete(write: &mut Write<'_>, name: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM resource_group WHERE name = $1").bind(name).execute(write.connection()).await?;
    Ok(())
}
