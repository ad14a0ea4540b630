//! How many orders a node is sent before it answers.
//!
//! Without a bound every order of a long queue is on its way at once, and is sent again and again until its turn comes: at a fleet that is given
//! more than it can do, the bridge would soon do little else. So a node has a window of orders that it has not answered; what comes beyond it
//! is *behind*: not due, and out of the way of dispatch. Each answer has others follow, the oldest first.

use super::ToSend;
use crate::platform::store::{StoreError, Write};
use crate::platform::time::to_column;
use flotilla_protocol::id::NodeId;
use sqlx::{QueryBuilder, Sqlite};
use std::collections::BTreeSet;

/// Orders that a node is sent before it answers the first of them. A node takes one in milliseconds, so that this is never what it waits for.
pub(in super::super) const WINDOW: i64 = 32;
/// Invocations that are looked at for those that follow: a command whose own limit keeps it back does not keep back those after it.
const LOOKED_AT: i64 = 256;

/// Orders that were sent to the node and not answered.
const UNANSWERED: &str = "SELECT COUNT(*) FROM invocation WHERE node_id = $1 AND state = 'sent'";
/// What is behind, the oldest first, and whether its command could send it.
const BEHIND: &str = "SELECT invocation.command_id, count_sent + count_active < limit_concurrency FROM invocation \
     JOIN command ON command.command_id = invocation.command_id \
     WHERE node_id = $1 AND behind = 1 ORDER BY invocation.command_id LIMIT $2";

/// Holds of a row of `node` whose window has a place that nobody waits for. The number is [`WINDOW`].
const IS_OPEN: &str = "NOT EXISTS (SELECT 1 FROM invocation WHERE invocation.node_id = node.node_id AND behind = 1) \
     AND (SELECT COUNT(*) FROM invocation WHERE invocation.node_id = node.node_id AND state = 'sent') < 32";

/// What is asked with each answer, and the index that it must use.
#[cfg(test)]
pub(in super::super) const OF_A_WINDOW: [(&str, &str); 2] = [(UNANSWERED, "invocation_unanswered_of_node"), (BEHIND, "invocation_behind")];

async fn place(write: &mut Write<'_>, node_id: &str) -> Result<i64, StoreError> {
    let unanswered: i64 = sqlx::query_scalar(UNANSWERED).bind(node_id).fetch_one(write.connection()).await?;
    Ok(WINDOW.saturating_sub(unanswered))
}

/// Whether a node may be sent one more.
pub(super) async fn has_place(write: &mut Write<'_>, node_id: &str) -> Result<bool, StoreError> {
    Ok(place(write, node_id).await? > 0)
}

/// Which of these nodes are online and have place for one more order, with none that waits for that place.
pub(in super::super) async fn ready_among(
    write: &mut Write<'_>,
    nodes: impl Iterator<Item = NodeId>,
) -> Result<BTreeSet<NodeId>, StoreError> {
    let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("SELECT node_id FROM node WHERE online = 1 AND ");
    query.push(IS_OPEN).push(" AND node_id IN (");
    let mut separated = query.separated(", ");
    for node in nodes {
        separated.push_bind(node.to_string());
    }
    query.push(")");
    let ready: Vec<String> = query.build_query_scalar().fetch_all(write.connection()).await?;
    Ok(ready.iter().filter_map(|node| node.parse().ok()).collect())
}

/// Has an invocation that was never sent wait until its node has answered others.
pub(super) async fn put_behind(write: &mut Write<'_>, invocation: &ToSend) -> Result<(), StoreError> {
    sqlx::query("UPDATE invocation SET next_send_ms = NULL, behind = 1 WHERE command_id = $1 AND node_id = $2 AND state = 'pending'")
        .bind(&invocation.command_id)
        .bind(&invocation.node_id)
        .execute(write.connection())
        .await?;
    Ok(())
}

/// A node may have place again: has what waited behind be due, as much as it has place for. Whether there was any.
pub(in super::super) async fn let_follow(write: &mut Write<'_>, node_id: &str, now_ms: u64) -> Result<bool, StoreError> {
    let mut place = place(write, node_id).await?;
    if place <= 0 {
        return Ok(false);
    }
    let behind: Vec<(String, bool)> = sqlx::query_as(BEHIND).bind(node_id).bind(LOOKED_AT).fetch_all(write.connection()).await?;
    let mut follows = BTreeSet::new();
    for (command_id, can_be_sent) in behind {
        if place <= 0 {
            break;
        }
        // What its command keeps back waits there for its place, and takes none of the node's.
        place -= i64::from(can_be_sent);
        follows.insert(command_id);
    }
    for command_id in &follows {
        sqlx::query("UPDATE invocation SET next_send_ms = $3, behind = 0 WHERE command_id = $1 AND node_id = $2 AND behind = 1")
            .bind(command_id)
            .bind(node_id)
            .bind(to_column(now_ms))
            .execute(write.connection())
            .await?;
    }
    Ok(!follows.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_in_the_text_is_the_constant() {
        assert!(IS_OPEN.ends_with(&format!("< {WINDOW}")));
    }
}
