//! The SQL of nodes.

use super::chain::Head;
use super::recent::Recent;
use crate::platform::store::{Store, StoreError, Write};
use crate::platform::time::{from_column, to_column};
use ed25519_dalek::VerifyingKey;
use flotilla_protocol::hello::Facts;
use flotilla_protocol::id::{BootId, NodeId};
use flotilla_protocol::report::Stream;
use sqlx::SqliteConnection;
use uuid::Uuid;

/// Most events of nodes that are kept; the oldest make place.
pub const MAXIMUM_EVENTS: i64 = 100_000;

/// What is needed to judge a node's messages.
#[derive(Debug, Clone)]
pub struct KnownNode {
    /// Its identity key; nothing where the stored bytes are no key, which refuses all that it signs.
    pub key: Option<VerifyingKey>,
    /// Whether it was removed from the fleet.
    pub deregistered: bool,
    /// Whether two devices speak under its identity, as far as its reports say.
    pub quarantined: bool,
    /// Whether it counts as connected.
    pub online: bool,
    /// The hash of the certificate authorities that it was told of last, where that is known.
    pub authorities: Option<String>,
}

/// Reads a node.
///
/// # Errors
/// What the database says.
pub async fn find(connection: &mut SqliteConnection, node: NodeId) -> Result<Option<KnownNode>, StoreError> {
    type Row = (Vec<u8>, Option<i64>, Option<i64>, i64, Option<String>);
    let sql = "SELECT identity_key, deregistered_ms, quarantined_ms, online, authorities FROM node WHERE node_id = $1";
    let row: Option<Row> = sqlx::query_as(sql).bind(node.to_string()).fetch_optional(connection).await?;
    Ok(row.map(|(key, deregistered_ms, quarantined_ms, online, authorities)| KnownNode {
        key: <[u8; 32]>::try_from(key.as_slice()).ok().and_then(|key| VerifyingKey::from_bytes(&key).ok()),
        deregistered: deregistered_ms.is_some(),
        quarantined: quarantined_ms.is_some(),
        online: online == 1,
        authorities,
    }))
}

/// The X25519 key to which things are sealed for a node; nothing where the stored bytes are none.
///
/// # Errors
/// What the database says.
pub async fn sealing_key(connection: &mut SqliteConnection, node: NodeId) -> Result<Option<[u8; 32]>, StoreError> {
    let key: Option<Vec<u8>> =
        sqlx::query_scalar("SELECT sealing_key FROM node WHERE node_id = $1").bind(node.to_string()).fetch_optional(connection).await?;
    Ok(key.and_then(|key| key.try_into().ok()))
}

/// How many nodes the fleet has, those that were removed included.
///
/// # Errors
/// What the database says.
pub async fn count(connection: &mut SqliteConnection) -> Result<u64, StoreError> {
    let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM node").fetch_one(connection).await?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// What a claim brings.
#[derive(Debug, Clone)]
pub struct Registration<'a> {
    /// The node.
    pub node: NodeId,
    /// Its ed25519 identity key.
    pub identity_key: [u8; 32],
    /// Its X25519 key.
    pub sealing_key: [u8; 32],
    /// The ed25519 key of its connection.
    pub tls_key: [u8; 32],
    /// The activation that it used.
    pub activation_id: &'a str,
    /// The name that the activation gives.
    pub name: Option<&'a str>,
    /// The role that the activation gives.
    pub iam_role: &'a str,
    /// What it says of itself.
    pub facts: &'a Facts,
}

/// Writes a node that registers, or registers again with the same key.
///
/// # Errors
/// What the database says.
pub async fn register(write: &mut Write<'_>, registration: &Registration<'_>, now_ms: u64) -> Result<(), StoreError> {
    let Registration { node, identity_key, sealing_key, tls_key, activation_id, name, iam_role, facts } = registration;
    sqlx::query(
        "INSERT INTO node (node_id, identity_key, sealing_key, tls_key, activation_id, name, iam_role, registered_ms, last_seen_ms, \
         agent_version, platform_name, platform_version, architecture, computer_name, ip_address) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9, $10, $11, $12, $13, $14) \
         ON CONFLICT (node_id) DO UPDATE SET sealing_key = excluded.sealing_key, tls_key = excluded.tls_key, \
         last_seen_ms = excluded.last_seen_ms, agent_version = excluded.agent_version, platform_name = excluded.platform_name, \
         platform_version = excluded.platform_version, architecture = excluded.architecture, \
         computer_name = excluded.computer_name, ip_address = excluded.ip_address",
    )
    .bind(node.to_string())
    .bind(identity_key.as_slice())
    .bind(sealing_key.as_slice())
    .bind(tls_key.as_slice())
    .bind(activation_id)
    .bind(name)
    .bind(iam_role)
    .bind(to_column(now_ms))
    .bind(&facts.agent_version)
    .bind(&facts.platform_name)
    .bind(&facts.platform_version)
    .bind(&facts.architecture)
    .bind(&facts.computer_name)
    .bind(&facts.ip_address)
    .execute(write.connection())
    .await?;
    Ok(())
}

/// Writes what comes with a new certificate of a node that is one already.
///
/// # Errors
/// What the database says.
pub async fn renew(write: &mut Write<'_>, node: NodeId, sealing_key: &[u8; 32], tls_key: &[u8; 32], now_ms: u64) -> Result<(), StoreError> {
    sqlx::query("UPDATE node SET sealing_key = $2, tls_key = $3, last_seen_ms = $4 WHERE node_id = $1")
        .bind(node.to_string())
        .bind(sealing_key.as_slice())
        .bind(tls_key.as_slice())
        .bind(to_column(now_ms))
        .execute(write.connection())
        .await?;
    Ok(())
}

/// Writes which certificate authorities a node was told of: their hash.
///
/// # Errors
/// What the database says.
pub async fn set_authorities(write: &mut Write<'_>, node: NodeId, hash: &str) -> Result<(), StoreError> {
    sqlx::query("UPDATE node SET authorities = $2 WHERE node_id = $1")
        .bind(node.to_string())
        .bind(hash)
        .execute(write.connection())
        .await?;
    Ok(())
}

/// How many nodes were told of other certificate authorities than those of this hash, and some of them. Nodes that get no certificate any
/// more do not count.
///
/// # Errors
/// What the database says.
pub async fn with_other_authorities(pool: &sqlx::SqlitePool, hash: &str) -> Result<(u64, Vec<String>), StoreError> {
    const OTHERS: &str = "FROM node WHERE deregistered_ms IS NULL AND quarantined_ms IS NULL AND COALESCE(authorities, '') <> $1";
    let count: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT COUNT(*) {OTHERS}"))).bind(hash).fetch_one(pool).await?;
    let some = sqlx::AssertSqlSafe(format!("SELECT node_id {OTHERS} ORDER BY node_id LIMIT 5"));
    Ok((u64::try_from(count).unwrap_or(0), sqlx::query_scalar(some).bind(hash).fetch_all(pool).await?))
}

/// The nodes that were removed.
///
/// # Errors
/// What the database says.
pub async fn removed(pool: &sqlx::SqlitePool) -> Result<Vec<NodeId>, StoreError> {
    let removed: Vec<String> = sqlx::query_scalar("SELECT node_id FROM node WHERE deregistered_ms IS NOT NULL").fetch_all(pool).await?;
    Ok(removed.iter().filter_map(|node| node.parse().ok()).collect())
}

/// The version of the trust bundle that a node has said last; 0 before it has said any.
///
/// # Errors
/// What the database says.
pub async fn trust_version(write: &mut Write<'_>, node: NodeId) -> Result<u32, StoreError> {
    let version: Option<i64> = sqlx::query_scalar("SELECT trust_version FROM node WHERE node_id = $1")
        .bind(node.to_string())
        .fetch_optional(write.connection())
        .await?;
    Ok(version.and_then(|version| u32::try_from(version).ok()).unwrap_or(0))
}

/// How many nodes go by each version of the trust bundle, and how many of those are online; the newest version first.
///
/// # Errors
/// What the database says.
pub async fn count_by_trust(store: &Store) -> Result<Vec<(u32, u64, u64)>, StoreError> {
    let rows: Vec<(i64, i64, i64)> = sqlx::query_as(
        "SELECT trust_version, COUNT(*), COALESCE(SUM(CASE WHEN online = 1 THEN 1 ELSE 0 END), 0) FROM node \
         WHERE deregistered_ms IS NULL GROUP BY trust_version ORDER BY trust_version DESC",
    )
    .fetch_all(store.reader())
    .await?;
    let number = |count: i64| u64::try_from(count).unwrap_or(0);
    Ok(rows.into_iter().map(|(version, nodes, online)| (u32::try_from(version).unwrap_or(0), number(nodes), number(online))).collect())
}

/// Writes what a hello says; the node is online from then on.
///
/// # Errors
/// What the database says.
pub async fn greet(
    write: &mut Write<'_>,
    node: NodeId,
    facts: &Facts,
    trust_version: u32,
    refused: &str,
    now_ms: u64,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE node SET online = 1, last_seen_ms = $2, trust_version = $3, refused = $4, agent_version = $5, platform_name = $6, \
         platform_version = $7, architecture = $8, computer_name = $9, ip_address = $10 WHERE node_id = $1",
    )
    .bind(node.to_string())
    .bind(to_column(now_ms))
    .bind(i64::from(trust_version))
    .bind(refused)
    .bind(&facts.agent_version)
    .bind(&facts.platform_name)
    .bind(&facts.platform_version)
    .bind(&facts.architecture)
    .bind(&facts.computer_name)
    .bind(&facts.ip_address)
    .execute(write.connection())
    .await?;
    Ok(())
}

/// Writes whether a node is connected.
///
/// # Errors
/// What the database says.
pub async fn set_online(write: &mut Write<'_>, node: NodeId, online: bool, now_ms: u64) -> Result<(), StoreError> {
    sqlx::query("UPDATE node SET online = $2, last_seen_ms = $3 WHERE node_id = $1")
        .bind(node.to_string())
        .bind(i64::from(online))
        .bind(to_column(now_ms))
        .execute(write.connection())
        .await?;
    Ok(())
}

/// Writes that nobody is known to be connected. Who was is told apart until it is heard of, see the schema.
///
/// # Errors
/// What the database says.
pub async fn set_all_unknown(write: &mut Write<'_>) -> Result<(), StoreError> {
    sqlx::query("UPDATE node SET online = 2 WHERE online = 1").execute(write.connection()).await?;
    Ok(())
}

/// Whether there are nodes of which it is not known whether they are still connected.
///
/// # Errors
/// What the database says.
pub async fn any_unknown(connection: &mut SqliteConnection) -> Result<bool, StoreError> {
    let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM node WHERE online = 2 LIMIT 1").fetch_optional(connection).await?;
    Ok(found.is_some())
}

/// Writes that nodes of which nothing was heard are gone; returns some of them, until there are none.
///
/// # Errors
/// What the database says.
pub async fn give_up_unknown(write: &mut Write<'_>) -> Result<Vec<String>, StoreError> {
    let sql = "UPDATE node SET online = 0 WHERE node_id IN (SELECT node_id FROM node WHERE online = 2 LIMIT 64) RETURNING node_id";
    Ok(sqlx::query_scalar(sql).fetch_all(write.connection()).await?)
}

/// Writes that a node was heard of.
///
/// # Errors
/// What the database says.
pub async fn touch(write: &mut Write<'_>, node: NodeId, now_ms: u64) -> Result<(), StoreError> {
    sqlx::query("UPDATE node SET last_seen_ms = $2 WHERE node_id = $1")
        .bind(node.to_string())
        .bind(to_column(now_ms))
        .execute(write.connection())
        .await?;
    Ok(())
}

/// Quarantines a node, which counts as not connected from then on; `false` where it was quarantined before.
///
/// # Errors
/// What the database says.
pub async fn quarantine(write: &mut Write<'_>, node: NodeId, now_ms: u64) -> Result<bool, StoreError> {
    let done = sqlx::query("UPDATE node SET quarantined_ms = $2, online = 0 WHERE node_id = $1 AND quarantined_ms IS NULL")
        .bind(node.to_string())
        .bind(to_column(now_ms))
        .execute(write.connection())
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Reads the hashes of a chain's last reports.
///
/// # Errors
/// What the database says.
pub async fn recent(connection: &mut SqliteConnection, node: NodeId, stream: Stream) -> Result<Recent, StoreError> {
    let row: Option<Option<Vec<u8>>> = sqlx::query_scalar("SELECT recent FROM node_stream WHERE node_id = $1 AND stream = $2")
        .bind(node.to_string())
        .bind(stream_column(stream))
        .fetch_optional(connection)
        .await?;
    Ok(row.flatten().map(|bytes| Recent::decode(&bytes)).unwrap_or_default())
}

/// Writes the hashes of a chain's last reports, where the chain has a head.
///
/// # Errors
/// What the database says.
pub async fn save_recent(write: &mut Write<'_>, node: NodeId, stream: Stream, recent: &Recent) -> Result<(), StoreError> {
    sqlx::query("UPDATE node_stream SET recent = $3 WHERE node_id = $1 AND stream = $2")
        .bind(node.to_string())
        .bind(stream_column(stream))
        .bind(recent.encode())
        .execute(write.connection())
        .await?;
    Ok(())
}

/// Marks a node as removed; `false` when there is none, or it was removed before.
///
/// # Errors
/// What the database says.
pub async fn deregister(write: &mut Write<'_>, node: NodeId, now_ms: u64) -> Result<bool, StoreError> {
    let done = sqlx::query("UPDATE node SET deregistered_ms = $2, online = 0 WHERE node_id = $1 AND deregistered_ms IS NULL")
        .bind(node.to_string())
        .bind(to_column(now_ms))
        .execute(write.connection())
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Gives a node another role; `false` when there is none, or it was removed.
///
/// # Errors
/// What the database says.
pub async fn set_role(write: &mut Write<'_>, node: NodeId, iam_role: &str) -> Result<bool, StoreError> {
    let done = sqlx::query("UPDATE node SET iam_role = $2 WHERE node_id = $1 AND deregistered_ms IS NULL")
        .bind(node.to_string())
        .bind(iam_role)
        .execute(write.connection())
        .await?;
    Ok(done.rows_affected() == 1)
}

fn stream_column(stream: Stream) -> i64 {
    i64::from(stream.number())
}

/// Reads the head of a chain.
///
/// # Errors
/// What the database says.
pub async fn head(connection: &mut SqliteConnection, node: NodeId, stream: Stream) -> Result<Head, StoreError> {
    let row: Option<(i64, Vec<u8>, Vec<u8>)> =
        sqlx::query_as("SELECT sequence, head, boot FROM node_stream WHERE node_id = $1 AND stream = $2")
            .bind(node.to_string())
            .bind(stream_column(stream))
            .fetch_optional(connection)
            .await?;
    let Some((sequence, hash, boot)) = row else { return Ok(Head::NONE) };
    let unusable = || StoreError::Unusable(format!("the head of the reports of {node} is damaged; restore it from a backup"));
    Ok(Head {
        sequence: from_column(sequence),
        hash: hash.as_slice().try_into().map_err(|_| unusable())?,
        boot: BootId(boot.as_slice().try_into().map_err(|_| unusable())?),
    })
}

/// Writes the head of a chain.
///
/// # Errors
/// What the database says.
pub async fn save_head(write: &mut Write<'_>, node: NodeId, stream: Stream, head: &Head) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO node_stream (node_id, stream, sequence, head, boot) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (node_id, stream) DO UPDATE SET sequence = excluded.sequence, head = excluded.head, boot = excluded.boot",
    )
    .bind(node.to_string())
    .bind(stream_column(stream))
    .bind(to_column(head.sequence))
    .bind(head.hash.as_slice())
    .bind(head.boot.0.as_slice())
    .execute(write.connection())
    .await?;
    Ok(())
}

/// Writes down what a person should know of a node.
///
/// # Errors
/// What the database says.
pub async fn note(write: &mut Write<'_>, node: NodeId, kind: &'static str, detail: &str, now_ms: u64) -> Result<(), StoreError> {
    tracing::warn!(%node, kind, detail, "a node needs a look");
    sqlx::query("INSERT INTO node_event (event_id, node_id, at_ms, kind, detail) VALUES ($1, $2, $3, $4, $5)")
        .bind(Uuid::now_v7().to_string())
        .bind(node.to_string())
        .bind(to_column(now_ms))
        .bind(kind)
        .bind(detail)
        .execute(write.connection())
        .await?;
    Ok(())
}

/// Removes the oldest notes beyond [`MAXIMUM_EVENTS`]. Once for each transaction that notes something.
///
/// # Errors
/// What the database says.
pub async fn prune_notes(write: &mut Write<'_>) -> Result<(), StoreError> {
    // Event ids rise with time. Looking at the entry beyond the limit costs a walk of the index only, and events are rare.
    sqlx::query("DELETE FROM node_event WHERE event_id <= (SELECT event_id FROM node_event ORDER BY event_id DESC LIMIT 1 OFFSET $1)")
        .bind(MAXIMUM_EVENTS)
        .execute(write.connection())
        .await?;
    Ok(())
}
