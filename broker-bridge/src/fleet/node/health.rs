//! How nodes are, as they say themselves: the last report of each, and what of their telemetry did not come.

use crate::platform::store::{StoreError, Write};
use crate::platform::time::to_column;
use flotilla_protocol::capability::health::NodeHealth;
use flotilla_protocol::id::NodeId;
use flotilla_protocol::report::Stream;
use serde_json::{Value, json};
use sqlx::SqlitePool;

/// Keeps a node's last report of how it is: one row for each node.
///
/// # Errors
/// What the database says.
pub async fn keep(write: &mut Write<'_>, node: NodeId, health: &NodeHealth, time_ms: Option<u64>, now_ms: u64) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO node_health (node_id, received_ms, made_ms, health) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (node_id) DO UPDATE SET received_ms = excluded.received_ms, made_ms = excluded.made_ms, health = excluded.health",
    )
    .bind(node.to_string())
    .bind(to_column(now_ms))
    .bind(time_ms.map(to_column))
    .bind(as_json(health).to_string())
    .execute(write.connection())
    .await?;
    Ok(())
}

/// Counts reports of a chain that will not come: those that the node says it dropped, and those that are missing without a word.
///
/// # Errors
/// What the database says.
pub async fn count(write: &mut Write<'_>, node: NodeId, stream: Stream, dropped: u64, missing: u64) -> Result<(), StoreError> {
    if dropped == 0 && missing == 0 {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO node_stream_loss (node_id, stream, dropped, missing) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (node_id, stream) DO UPDATE SET dropped = node_stream_loss.dropped + excluded.dropped, \
         missing = node_stream_loss.missing + excluded.missing",
    )
    .bind(node.to_string())
    .bind(i64::from(stream.number()))
    .bind(bounded(dropped))
    .bind(bounded(missing))
    .execute(write.connection())
    .await?;
    Ok(())
}

/// What a node last said of how it is, for people; nothing before it has said anything.
///
/// # Errors
/// What the database says.
pub async fn read(pool: &SqlitePool, node: &str) -> Result<Option<Value>, StoreError> {
    let row: Option<(i64, Option<i64>, String, i64, i64)> = sqlx::query_as(
        "SELECT received_ms, made_ms, health, \
         (SELECT COALESCE(SUM(dropped), 0) FROM node_stream_loss WHERE node_stream_loss.node_id = node_health.node_id), \
         (SELECT COALESCE(SUM(missing), 0) FROM node_stream_loss WHERE node_stream_loss.node_id = node_health.node_id) \
         FROM node_health WHERE node_id = $1",
    )
    .bind(node)
    .fetch_optional(pool)
    .await?;
    let Some((received_ms, made_ms, health, dropped, missing)) = row else { return Ok(None) };
    let Ok(Value::Object(mut health)) = serde_json::from_str(&health) else { return Ok(None) };
    health.insert("received_ms".into(), json!(received_ms));
    health.insert("made_ms".into(), json!(made_ms));
    health.insert("reports_dropped".into(), json!(dropped));
    health.insert("reports_missing".into(), json!(missing));
    Ok(Some(Value::Object(health)))
}

/// A node says how many are missing; sums of it must not overflow the column.
fn bounded(count: u64) -> i64 {
    const MOST: u64 = 1 << 40;
    to_column(count.min(MOST))
}

fn as_json(health: &NodeHealth) -> Value {
    let spool = health
        .spool
        .iter()
        .map(|state| json!({ "stream": state.stream.as_str(), "reports": state.reports, "bytes": state.bytes, "dropped": state.dropped }));
    let refused = health.refused.iter().map(|(reason, count)| (reason.as_str().to_owned(), json!(count)));
    json!({
        "uptime_s": health.uptime_s,
        "agent_uptime_s": health.agent_uptime_s,
        "restarts": health.restarts,
        "jobs_running": health.jobs_running,
        "jobs_waiting": health.jobs_waiting,
        "storage_failures": health.storage_failures,
        "journal_room_bytes": health.journal_room_bytes,
        "spool": spool.collect::<Vec<Value>>(),
        "refused": refused.collect::<serde_json::Map<String, Value>>(),
        "standstill": health.standstill,
    })
}
