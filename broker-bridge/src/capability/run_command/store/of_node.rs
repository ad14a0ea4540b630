//! What becomes of a node's rows when it comes, goes, reboots, has lost what it had taken, or is removed.

use super::{Details, Ledger, find, happen};
use crate::capability::run_command::rules::{self, Happening};
use crate::platform::store::{StoreError, Write};
use crate::platform::time::to_column;
use sqlx::{AssertSqlSafe, SqliteConnection};

/// Writes whether a command that runs waits for a reboot of its node. A reboot gives it once more as long as its steps may take, from now on,
/// with the graces of a run: the node is silent meanwhile, and that says nothing.
pub(in super::super) async fn set_rebooting(
    write: &mut Write<'_>,
    command_id: &str,
    node_id: &str,
    rebooting: bool,
    now_ms: u64,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE invocation SET rebooting = $3, give_up_ms = CASE WHEN $3 = 0 THEN give_up_ms ELSE MAX(give_up_ms, $4 + \
         COALESCE((SELECT ends_by_ms - expires_ms FROM command WHERE command.command_id = invocation.command_id), 0)) END \
         WHERE command_id = $1 AND node_id = $2 AND state = 'running' AND (rebooting <> $3 OR $3 = 1)",
    )
    .bind(command_id)
    .bind(node_id)
    .bind(i64::from(rebooting))
    .bind(to_column(now_ms.saturating_add(rules::REBOOT_GRACE_MS)))
    .execute(write.connection())
    .await?;
    Ok(())
}

/// Writes whether a connected node still holds an order that it had taken. Where it does not, the end may be on its way: it has
/// the time of an answer. A time that a clock in the far future has set is set right.
pub(in super::super) async fn set_lost(
    write: &mut Write<'_>,
    command_id: &str,
    node_id: &str,
    lost: bool,
    now_ms: u64,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE invocation SET lost = $3, give_up_ms = CASE WHEN $3 = 0 THEN give_up_ms \
         WHEN (SELECT ends_by_ms FROM command WHERE command.command_id = invocation.command_id) > $4 \
         THEN (SELECT ends_by_ms FROM command WHERE command.command_id = invocation.command_id) ELSE $4 END \
         WHERE command_id = $1 AND node_id = $2 AND state IN ('accepted', 'running') AND (lost <> $3 OR ($3 = 1 AND give_up_ms > \
         MAX($4, COALESCE((SELECT ends_by_ms FROM command WHERE command.command_id = invocation.command_id), 0))))",
    )
    .bind(command_id)
    .bind(node_id)
    .bind(i64::from(lost))
    .bind(to_column(now_ms.saturating_add(rules::ANSWER_GRACE_MS)))
    .execute(write.connection())
    .await?;
    Ok(())
}

/// Ends what is open on nodes that were removed from the fleet; returns how many invocations that were.
pub(in super::super) async fn end_removed(
    write: &mut Write<'_>,
    ledger: &mut Ledger,
    node_id: &str,
    now_ms: u64,
) -> Result<usize, StoreError> {
    let open = open_of_node(write.connection(), node_id).await?;
    for (command_id, _) in &open {
        if let Some(invocation) = find(write.connection(), command_id, node_id).await? {
            let details = Details { explanation: "the node was removed from the fleet before it said how the command ended", result: None };
            happen(write, ledger, &invocation, Happening::NodeRemoved, &details, now_ms).await?;
        }
    }
    sqlx::query("UPDATE node SET closed = 1 WHERE node_id = $1").bind(node_id).execute(write.connection()).await?;
    Ok(open.len())
}

/// The open invocations of a node: their commands and states.
pub(in super::super) async fn open_of_node(connection: &mut SqliteConnection, node_id: &str) -> Result<Vec<(String, String)>, StoreError> {
    Ok(sqlx::query_as(OPEN_OF_NODE).bind(node_id).fetch_all(connection).await?)
}

/// The `+` keeps SQLite from walking all that the node ever did for the sake of the order.
const OPEN_OF_NODE: &str = "SELECT command_id, state FROM invocation WHERE node_id = $1 AND state IN ('pending', 'sent', 'accepted', 'running') \
     ORDER BY +command_id";

/// What is asked whenever a node comes or goes, and the index that it must use.
#[cfg(test)]
pub(in super::super) const OF_A_NODE: [(&str, &str); 6] = [
    (OPEN_OF_NODE, "invocation_open_of_node"),
    (UNPARK[0], "invocation_open_of_node"),
    (UNPARK[1], "invocation_open_of_node"),
    (UNPARK[2], "invocation_guessed_to_cancel"),
    (PARK_NODE[0], "invocation_open_of_node"),
    (PARK_NODE[1], "invocation_guessed_to_cancel"),
];

/// Removed nodes whose invocations were not ended yet.
pub(in super::super) async fn removed_nodes(connection: &mut SqliteConnection) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar("SELECT node_id FROM node WHERE deregistered_ms IS NOT NULL AND closed = 0 LIMIT 64")
        .fetch_all(connection)
        .await?)
}

/// A node is connected: what waits for it is due now.
pub(in super::super) async fn unpark(write: &mut Write<'_>, node_id: &str, now_ms: u64) -> Result<u64, StoreError> {
    let mut due = 0;
    for sql in UNPARK {
        due += sqlx::query(sql).bind(node_id).bind(to_column(now_ms)).execute(write.connection()).await?.rows_affected();
    }
    Ok(due)
}

/// Orders, cancels, and cancels of what was given up by a guess. Each repeats the condition of its partial index to the letter:
/// without it SQLite would walk all that the node ever did.
const UNPARK: [&str; 3] = [
    "UPDATE invocation SET next_send_ms = $2 WHERE node_id = $1 AND state IN ('pending', 'sent', 'accepted', 'running') \
     AND state IN ('pending', 'sent') AND next_send_ms IS NULL AND behind = 0",
    "UPDATE invocation SET next_cancel_ms = $2 WHERE node_id = $1 AND state IN ('pending', 'sent', 'accepted', 'running') \
     AND state IN ('sent', 'accepted', 'running') AND cancel_asked_ms IS NOT NULL AND next_cancel_ms IS NULL",
    "UPDATE invocation SET next_cancel_ms = $2 WHERE node_id = $1 AND state = 'delivery-timed-out' AND cancel_asked_ms IS NOT NULL \
     AND signed = 0 AND next_cancel_ms IS NULL",
];

/// A node is gone: nothing is due for it until it is back. Without a node, all are gone.
pub(in super::super) async fn park(write: &mut Write<'_>, node_id: Option<&str>) -> Result<(), StoreError> {
    for sql in if node_id.is_some() { PARK_NODE } else { PARK_ALL } {
        let query = sqlx::query(sql);
        let query = if let Some(node_id) = node_id { query.bind(node_id) } else { query };
        query.execute(write.connection()).await?;
    }
    Ok(())
}

/// Has what waits for the nodes that were connected when the broker was lost be due at that time, and not before.
pub(in super::super) async fn unpark_unknown(write: &mut Write<'_>, at_ms: u64) -> Result<u64, StoreError> {
    let mut due = 0;
    for sql in UNPARK {
        let sql = sql.replacen("node_id = $1", "node_id IN (SELECT node_id FROM node WHERE online = $1)", 1);
        due += sqlx::query(AssertSqlSafe(sql)).bind(2).bind(to_column(at_ms)).execute(write.connection()).await?.rows_affected();
    }
    Ok(due)
}

const PARK_NODE: [&str; 2] = [
    "UPDATE invocation SET next_send_ms = NULL, behind = 0, next_cancel_ms = NULL \
     WHERE node_id = $1 AND state IN ('pending', 'sent', 'accepted', 'running')",
    "UPDATE invocation SET next_cancel_ms = NULL \
     WHERE node_id = $1 AND state = 'delivery-timed-out' AND cancel_asked_ms IS NOT NULL AND next_cancel_ms IS NOT NULL",
];
const PARK_ALL: [&str; 2] = [
    "UPDATE invocation SET next_send_ms = NULL WHERE state IN ('pending', 'sent', 'accepted', 'running') AND next_send_ms IS NOT NULL",
    "UPDATE invocation SET next_cancel_ms = NULL WHERE next_cancel_ms IS NOT NULL",
];

/// Sets when an unanswered order is sent next, and begins the doubling anew.
pub(in super::super) async fn send_at(write: &mut Write<'_>, command_id: &str, node_id: &str, at_ms: u64) -> Result<(), StoreError> {
    sqlx::query("UPDATE invocation SET next_send_ms = $3, send_count = 1 WHERE command_id = $1 AND node_id = $2 AND state = 'sent'")
        .bind(command_id)
        .bind(node_id)
        .bind(to_column(at_ms))
        .execute(write.connection())
        .await?;
    Ok(())
}
