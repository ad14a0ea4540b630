//! The SQL of activations.

use super::claim::{ProvenClaim, Standing};
use crate::fleet::node::store::{Registration, register};
use crate::platform::store::{StoreError, Write};
use crate::platform::time::{from_column, to_column};
use flotilla_api::tags::Tag;
use sqlx::SqliteConnection;

/// What decides about claims, but the code.
#[derive(Debug, Clone, Copy)]
pub(super) struct StandingRow {
    expires_ms: i64,
    deleted: bool,
    left: i64,
}

impl StandingRow {
    pub(super) fn into_standing(self, code: [u8; 20]) -> Standing {
        Standing { code, expires_ms: from_column(self.expires_ms), deleted: self.deleted, left: self.left }
    }
}

/// How an activation stands, and its sealed code.
pub(super) async fn standing(connection: &mut SqliteConnection, id: &str) -> Result<Option<(StandingRow, Vec<u8>)>, StoreError> {
    let row: Option<(i64, Option<i64>, i64, Vec<u8>)> = sqlx::query_as(
        "SELECT expires_ms, deleted_ms, registration_limit - registrations_count, sealed_code FROM activation WHERE activation_id = $1",
    )
    .bind(id)
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|(expires_ms, deleted_ms, left, sealed)| (StandingRow { expires_ms, deleted: deleted_ms.is_some(), left }, sealed)))
}

/// Writes the node of a claim that was accepted by its activation: a registration is used, and the activation's tags are given to the node.
pub(super) async fn admit(write: &mut Write<'_>, id: &str, claim: &ProvenClaim, now_ms: u64) -> Result<(), StoreError> {
    let (name, iam_role, tags): (Option<String>, String, String) =
        sqlx::query_as("SELECT default_instance_name, iam_role, tags FROM activation WHERE activation_id = $1")
            .bind(id)
            .fetch_one(write.connection())
            .await?;
    let request = &claim.request;
    let registration = Registration {
        node: claim.node,
        identity_key: request.identity_key,
        sealing_key: request.sealing_key,
        tls_key: request.tls_key,
        activation_id: id,
        name: name.as_deref(),
        iam_role: &iam_role,
        facts: &request.facts,
    };
    register(write, &registration, now_ms).await?;
    sqlx::query("UPDATE activation SET registrations_count = registrations_count + 1 WHERE activation_id = $1")
        .bind(id)
        .execute(write.connection())
        .await?;
    let tags: Vec<Tag> = serde_json::from_str(&tags).unwrap_or_default();
    for tag in tags {
        sqlx::query(
            "INSERT INTO tag (resource_type, resource_id, tag_key, tag_value) VALUES ('ManagedInstance', $1, $2, $3) \
             ON CONFLICT (resource_type, resource_id, tag_key) DO UPDATE SET tag_value = excluded.tag_value",
        )
        .bind(claim.node.to_string())
        .bind(tag.key)
        .bind(tag.value)
        .execute(write.connection())
        .await?;
    }
    Ok(())
}

/// An activation to be written.
#[derive(Debug)]
pub(super) struct NewActivation<'a> {
    pub(super) id: &'a str,
    pub(super) sealed_code: &'a [u8],
    pub(super) description: Option<&'a str>,
    pub(super) default_instance_name: Option<&'a str>,
    pub(super) iam_role: &'a str,
    pub(super) registration_limit: i64,
    pub(super) expires_ms: i64,
    pub(super) tags: String,
    pub(super) registration_metadata: String,
}

/// Writes a new activation.
pub(super) async fn insert(write: &mut Write<'_>, activation: &NewActivation<'_>, now_ms: u64) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO activation (activation_id, sealed_code, description, default_instance_name, iam_role, registration_limit, \
         expires_ms, created_ms, tags, registration_metadata) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(activation.id)
    .bind(activation.sealed_code)
    .bind(activation.description)
    .bind(activation.default_instance_name)
    .bind(activation.iam_role)
    .bind(activation.registration_limit)
    .bind(activation.expires_ms)
    .bind(to_column(now_ms))
    .bind(&activation.tags)
    .bind(&activation.registration_metadata)
    .execute(write.connection())
    .await?;
    Ok(())
}

/// Marks an activation as deleted; `false` when there is none.
pub(super) async fn delete(write: &mut Write<'_>, id: &str, now_ms: u64) -> Result<bool, StoreError> {
    let done = sqlx::query("UPDATE activation SET deleted_ms = $2 WHERE activation_id = $1 AND deleted_ms IS NULL")
        .bind(id)
        .bind(to_column(now_ms))
        .execute(write.connection())
        .await?;
    Ok(done.rows_affected() == 1)
}
