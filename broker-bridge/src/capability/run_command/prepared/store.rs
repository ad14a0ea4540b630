//! The SQL of prepared orders.

use super::State;
use crate::platform::store::{StoreError, Write};
use crate::platform::time::to_column;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

/// A row, with what its command says.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Prepared {
    pub(super) command_id: String,
    pub(super) state: String,
    pub(super) reason: String,
    pub(super) closed_by: String,
    pub(super) envelope: Vec<u8>,
    pub(super) document_name: String,
    pub(super) document_version: String,
    pub(super) requested_ms: i64,
}

/// A signature that was handed in.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Signature {
    pub(super) algorithm: i64,
    pub(super) key_id: Vec<u8>,
    pub(super) signature: Vec<u8>,
    pub(super) person: String,
    pub(super) user_name: String,
    pub(super) signed_ms: i64,
}

/// A node that an order is for.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Target {
    pub(super) node_id: String,
    pub(super) identity_key: Vec<u8>,
    pub(super) node_data: Vec<u8>,
    /// Empty where there never was any.
    pub(super) node_data_hash: Vec<u8>,
}

/// Writes that a command, which is written in the same transaction, awaits signatures.
pub(in super::super) async fn insert(write: &mut Write<'_>, command_id: &str, class: &str) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO prepared_order (command_id, state, class) VALUES ($1, $2, $3)")
        .bind(command_id)
        .bind(State::AwaitingSignature.as_str())
        .bind(class)
        .execute(write.connection())
        .await?;
    sqlx::query("UPDATE command SET awaits_signature = 1 WHERE command_id = $1").bind(command_id).execute(write.connection()).await?;
    Ok(())
}

/// Writes that an order awaits nothing any more, because nothing of its command is left to be sent; one that is closed stays as it is.
pub(in super::super) async fn close(write: &mut Write<'_>, command_id: &str, state: State) -> Result<(), StoreError> {
    sqlx::query("UPDATE prepared_order SET state = $2 WHERE command_id = $1 AND state = $3")
        .bind(command_id)
        .bind(state.as_str())
        .bind(State::AwaitingSignature.as_str())
        .execute(write.connection())
        .await?;
    Ok(())
}

/// Writes that somebody has rejected an order.
pub(super) async fn reject(write: &mut Write<'_>, command_id: &str, user: &str, reason: &str) -> Result<(), StoreError> {
    sqlx::query("UPDATE prepared_order SET state = $2, closed_by = $3, reason = $4 WHERE command_id = $1")
        .bind(command_id)
        .bind(State::Rejected.as_str())
        .bind(user)
        .bind(reason)
        .execute(write.connection())
        .await?;
    Ok(())
}

/// Gives a command the envelope that its nodes take, and lets it go.
pub(super) async fn release(write: &mut Write<'_>, command_id: &str, envelope: &[u8]) -> Result<(), StoreError> {
    sqlx::query("UPDATE command SET envelope = $2, awaits_signature = 0 WHERE command_id = $1")
        .bind(command_id)
        .bind(envelope)
        .execute(write.connection())
        .await?;
    set_state(write, command_id, State::Released).await
}

/// Gives a command that is released an envelope with other signatures: what was sent and not answered is sent with it, soon.
pub(super) async fn replace_envelope(write: &mut Write<'_>, command_id: &str, envelope: &[u8], now_ms: u64) -> Result<(), StoreError> {
    sqlx::query("UPDATE command SET envelope = $2 WHERE command_id = $1")
        .bind(command_id)
        .bind(envelope)
        .execute(write.connection())
        .await?;
    sqlx::query(
        "UPDATE invocation SET send_count = 1, next_send_ms = $2 \
         WHERE command_id = $1 AND state = 'sent' AND next_send_ms IS NOT NULL AND next_send_ms > $2",
    )
    .bind(command_id)
    .bind(to_column(now_ms))
    .execute(write.connection())
    .await?;
    Ok(())
}

/// Whether a node of a command may still take it and has not.
pub(super) async fn is_open(connection: &mut SqliteConnection, command_id: &str) -> Result<bool, StoreError> {
    let sql = "SELECT COUNT(*) FROM (SELECT 1 FROM invocation WHERE command_id = $1 AND state IN ('pending', 'sent') LIMIT 1) AS open";
    let open: i64 = sqlx::query_scalar(sql).bind(command_id).fetch_one(connection).await?;
    Ok(open > 0)
}

/// Holds a command back.
pub(super) async fn hold(write: &mut Write<'_>, command_id: &str) -> Result<(), StoreError> {
    sqlx::query("UPDATE command SET awaits_signature = 1 WHERE command_id = $1").bind(command_id).execute(write.connection()).await?;
    set_state(write, command_id, State::AwaitingSignature).await
}

async fn set_state(write: &mut Write<'_>, command_id: &str, state: State) -> Result<(), StoreError> {
    sqlx::query("UPDATE prepared_order SET state = $2 WHERE command_id = $1")
        .bind(command_id)
        .bind(state.as_str())
        .execute(write.connection())
        .await?;
    Ok(())
}

/// Adds a signature, in the place of one of the same key that counts no more.
pub(super) async fn add_signature(write: &mut Write<'_>, command_id: &str, signature: &Signature) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO prepared_signature (command_id, algorithm, key_id, signature, person, user_name, signed_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (command_id, algorithm, key_id) DO UPDATE SET signature = excluded.signature, \
         person = excluded.person, user_name = excluded.user_name, signed_ms = excluded.signed_ms",
    )
    .bind(command_id)
    .bind(signature.algorithm)
    .bind(&signature.key_id)
    .bind(&signature.signature)
    .bind(&signature.person)
    .bind(&signature.user_name)
    .bind(signature.signed_ms)
    .execute(write.connection())
    .await?;
    Ok(())
}

const COLUMNS: &str = "SELECT prepared_order.command_id, prepared_order.state, reason, closed_by, envelope, document_name, \
    document_version, requested_ms FROM prepared_order JOIN command ON command.command_id = prepared_order.command_id ";

/// The prepared order of this id.
pub(super) async fn find(connection: &mut SqliteConnection, command_id: &str) -> Result<Option<Prepared>, StoreError> {
    let mut query: QueryBuilder<Sqlite> = QueryBuilder::new(COLUMNS);
    query.push("WHERE prepared_order.command_id = ").push_bind(command_id);
    Ok(query.build_query_as().fetch_optional(connection).await?)
}

/// The signatures of an order, in the order in which they came.
pub(super) async fn signatures(connection: &mut SqliteConnection, command_id: &str) -> Result<Vec<Signature>, StoreError> {
    let sql = "SELECT algorithm, key_id, signature, person, user_name, signed_ms FROM prepared_signature WHERE command_id = $1 \
               ORDER BY signed_ms, algorithm, key_id";
    Ok(sqlx::query_as(sql).bind(command_id).fetch_all(connection).await?)
}

/// The ids of prepared orders, the newest first, before this one; with a state of those that are written to be in it.
pub(super) async fn page(
    connection: &mut SqliteConnection,
    state: Option<State>,
    before: Option<&str>,
    now_ms: u64,
    size: i64,
) -> Result<Vec<String>, StoreError> {
    let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("SELECT prepared_order.command_id FROM prepared_order ");
    if state == Some(State::AwaitingSignature) {
        // The few whose end is not written yet are left out.
        query.push("JOIN command ON command.command_id = prepared_order.command_id AND expires_ms > ").push_bind(to_column(now_ms));
    }
    query.push(" WHERE prepared_order.command_id < ").push_bind(before.unwrap_or("~").to_owned());
    if let Some(state) = state {
        query.push(" AND prepared_order.state = ").push_bind(state.as_str());
    }
    query.push(" ORDER BY prepared_order.command_id DESC LIMIT ").push_bind(size);
    Ok(query.build_query_scalar().fetch_all(connection).await?)
}

/// Orders behind this one that await signatures, or were released and are not sent to all of their nodes.
pub(super) async fn open(connection: &mut SqliteConnection, after: &str, size: i64) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT prepared_order.command_id FROM prepared_order JOIN command ON command.command_id = prepared_order.command_id \
               WHERE prepared_order.command_id > $1 AND count_pending > 0 ORDER BY prepared_order.command_id LIMIT $2";
    Ok(sqlx::query_scalar(sql).bind(after).bind(size).fetch_all(connection).await?)
}

/// The nodes of an order behind this one, by their ids.
pub(super) async fn targets(
    connection: &mut SqliteConnection,
    command_id: &str,
    after: &str,
    size: i64,
) -> Result<Vec<Target>, StoreError> {
    let sql = "SELECT invocation.node_id, identity_key, node_data, node_data_hash FROM invocation JOIN node ON node.node_id = invocation.node_id \
               WHERE command_id = $1 AND invocation.node_id > $2 ORDER BY invocation.node_id LIMIT $3";
    Ok(sqlx::query_as(sql).bind(command_id).bind(after).bind(size).fetch_all(connection).await?)
}
