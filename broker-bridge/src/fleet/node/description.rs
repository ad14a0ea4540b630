//! What is shown of a node: one row and one page of rows, for the endpoints that list nodes in a shape of their own.

use super::filter::{Filter, Words};
use crate::fleet::Fleet;
use crate::platform::http::ApiError;
use crate::platform::page::{TokenScope, cut_part, part_end};
use sqlx::QueryBuilder;

/// A node as it is shown. What is not known is empty.
#[derive(sqlx::FromRow)]
pub(super) struct Description {
    pub(super) node_id: String,
    pub(super) activation_id: String,
    pub(super) name: Option<String>,
    pub(super) iam_role: String,
    pub(super) registered_ms: i64,
    pub(super) online: i64,
    pub(super) quarantined_ms: Option<i64>,
    pub(super) last_seen_ms: i64,
    pub(super) agent_version: String,
    pub(super) platform_name: String,
    pub(super) platform_version: String,
    pub(super) architecture: String,
    pub(super) computer_name: String,
    pub(super) ip_address: String,
}

impl Description {
    pub(super) fn ping_status(&self) -> &'static str {
        match (self.quarantined_ms, self.online) {
            (Some(_), _) => "Inactive",
            (None, 1) => "Online",
            (None, _) => "ConnectionLost",
        }
    }
}

/// A member of an answer, which is absent where nothing is known.
pub(super) fn known(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// One page of the fleet's nodes that the filters leave, by id, and the token of the next.
pub(super) async fn page(
    fleet: &Fleet,
    words: &Words,
    filters: &[Filter],
    scope: &TokenScope,
    next_token: Option<&str>,
    size: i64,
) -> Result<(Vec<Description>, Option<String>), ApiError> {
    let mut query = QueryBuilder::new(
        "SELECT node_id, activation_id, name, iam_role, registered_ms, online, quarantined_ms, last_seen_ms, agent_version, platform_name, \
         platform_version, architecture, computer_name, ip_address FROM node WHERE deregistered_ms IS NULL",
    );
    words.apply(&mut query, filters, fleet).await?;
    let after = scope.after(next_token)?;
    // Ids that are asked for are found without a look at others.
    let by_id = filters.iter().any(Filter::names_nodes);
    let end = if by_id { None } else { part_end(&fleet.store, "node", "node_id", after.as_deref()).await? };
    if let Some(after) = after {
        query.push(" AND node_id > ").push_bind(after);
    }
    if let Some(end) = &end {
        query.push(" AND node_id <= ").push_bind(end.clone());
    }
    query.push(" ORDER BY node_id LIMIT ").push_bind(size + 1);
    let mut rows: Vec<Description> = query.build_query_as().fetch_all(fleet.store.reader()).await?;
    let next_token = cut_part(&mut rows, size, scope, end, |row| row.node_id.clone());
    Ok((rows, next_token))
}
