//! Tags in the database.

use crate::platform::store::{Store, StoreError, Write};
use flotilla_api::tags::Tag;
use std::collections::BTreeMap;

/// Adds tags to a resource, or gives existing keys new values.
///
/// # Errors
/// The database refuses.
pub async fn put(write: &mut Write<'_>, resource_type: &'static str, resource_id: &str, tags: &[Tag]) -> Result<(), StoreError> {
    for tag in tags {
        sqlx::query(
            "INSERT INTO tag (resource_type, resource_id, tag_key, tag_value) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (resource_type, resource_id, tag_key) DO UPDATE SET tag_value = excluded.tag_value",
        )
        .bind(resource_type)
        .bind(resource_id)
        .bind(&tag.key)
        .bind(&tag.value)
        .execute(write.connection())
        .await?;
    }
    Ok(())
}

/// How many tags a resource has.
pub(super) async fn count(write: &mut Write<'_>, resource_type: &'static str, resource_id: &str) -> Result<usize, StoreError> {
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM tag WHERE resource_type = $1 AND resource_id = $2")
        .bind(resource_type)
        .bind(resource_id)
        .fetch_one(write.connection())
        .await?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

/// Removes one tag of a resource; one that is not there is no error.
pub(super) async fn remove(write: &mut Write<'_>, resource_type: &'static str, resource_id: &str, key: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM tag WHERE resource_type = $1 AND resource_id = $2 AND tag_key = $3")
        .bind(resource_type)
        .bind(resource_id)
        .bind(key)
        .execute(write.connection())
        .await?;
    Ok(())
}

/// Removes all tags of a resource, because it is gone.
///
/// # Errors
/// The database refuses.
pub async fn clear(write: &mut Write<'_>, resource_type: &'static str, resource_id: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM tag WHERE resource_type = $1 AND resource_id = $2")
        .bind(resource_type)
        .bind(resource_id)
        .execute(write.connection())
        .await?;
    Ok(())
}

/// The tags of a resource by key.
///
/// # Errors
/// The database refuses.
pub async fn list(store: &Store, resource_type: &'static str, resource_id: &str) -> Result<Vec<Tag>, StoreError> {
    let rows: Vec<(String, String)> =
        sqlx::query_as("SELECT tag_key, tag_value FROM tag WHERE resource_type = $1 AND resource_id = $2 ORDER BY tag_key")
            .bind(resource_type)
            .bind(resource_id)
            .fetch_all(store.reader())
            .await?;
    Ok(rows.into_iter().map(|(key, value)| Tag { key, value }).collect())
}

/// The tags of all resources of a type, by their ids. For types of which there are few.
///
/// # Errors
/// The database refuses.
pub async fn all_of(store: &Store, resource_type: &'static str) -> Result<BTreeMap<String, Vec<Tag>>, StoreError> {
    let rows: Vec<(String, String, String)> =
        sqlx::query_as("SELECT resource_id, tag_key, tag_value FROM tag WHERE resource_type = $1 ORDER BY resource_id, tag_key")
            .bind(resource_type)
            .fetch_all(store.reader())
            .await?;
    let mut tags: BTreeMap<String, Vec<Tag>> = BTreeMap::new();
    for (resource_id, key, value) in rows {
        tags.entry(resource_id).or_default().push(Tag { key, value });
    }
    Ok(tags)
}
