//! The types that the bridge has of its own tables: `AWS:InstanceInformation` and `AWS:Tag`. And nodes a part at a time.

use super::model::capture_time;
use crate::fleet::Fleet;
use crate::platform::http::ApiError;
use flotilla_api::inventory::{InventoryEntry, InventoryResultItem};
use sqlx::QueryBuilder;
use std::collections::BTreeMap;

/// The type that is made of the table of nodes.
pub(super) const INSTANCE_INFORMATION: &str = "AWS:InstanceInformation";
/// The type that is made of the table of tags.
pub(super) const TAG: &str = "AWS:Tag";
/// Nodes that are looked at together.
const PART: usize = 2_000;

/// Whether nobody may write a type, since the bridge has it already.
pub(super) fn is_own(type_name: &str) -> bool {
    matches!(type_name, INSTANCE_INFORMATION | TAG)
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    node_id: String,
    online: i64,
    quarantined_ms: Option<i64>,
    last_seen_ms: i64,
    agent_version: String,
    platform_name: String,
    platform_version: String,
    computer_name: String,
    ip_address: String,
}

/// Nodes that are looked at together, by id.
#[derive(Debug, Default)]
pub(super) struct Part {
    nodes: BTreeMap<String, Row>,
    tags: BTreeMap<String, Vec<InventoryEntry>>,
    /// Whether there may be nodes behind it.
    pub(super) has_more: bool,
}

impl Part {
    /// The nodes behind `after`, of `only` those where it is not empty; with their tags where those are wanted.
    pub(super) async fn read(fleet: &Fleet, after: &str, only: &[String], has_tags: bool) -> Result<Self, ApiError> {
        let mut query = QueryBuilder::new(
            "SELECT node_id, online, quarantined_ms, last_seen_ms, agent_version, platform_name, platform_version, computer_name, ip_address \
             FROM node WHERE deregistered_ms IS NULL AND node_id > ",
        );
        query.push_bind(after.to_owned());
        push_in(&mut query, " AND node_id IN (", only);
        query.push(" ORDER BY node_id LIMIT ").push_bind(i64::try_from(PART).unwrap_or(i64::MAX));
        let rows: Vec<Row> = query.build_query_as().fetch_all(fleet.store.reader()).await?;
        let has_more = rows.len() == PART;
        let nodes: BTreeMap<String, Row> = rows.into_iter().map(|row| (row.node_id.clone(), row)).collect();
        let mut part = Self { nodes, tags: BTreeMap::new(), has_more };
        if has_tags && let (Some(first), Some(last)) = (part.first(), part.last()) {
            let rows: Vec<(String, String, String)> = sqlx::query_as(
                "SELECT resource_id, tag_key, tag_value FROM tag WHERE resource_type = 'ManagedInstance' \
                 AND resource_id >= $1 AND resource_id <= $2 ORDER BY resource_id, tag_key",
            )
            .bind(first)
            .bind(last)
            .fetch_all(fleet.store.reader())
            .await?;
            for (node, key, value) in rows.into_iter().filter(|(node, ..)| part.nodes.contains_key(node)) {
                part.tags.entry(node).or_default().push(BTreeMap::from([("Key".to_owned(), key), ("Value".to_owned(), value)]));
            }
        }
        Ok(part)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = &String> {
        self.nodes.keys()
    }

    pub(super) fn first(&self) -> Option<&str> {
        self.nodes.first_key_value().map(|(node, _)| node.as_str())
    }

    pub(super) fn last(&self) -> Option<&str> {
        self.nodes.last_key_value().map(|(node, _)| node.as_str())
    }

    /// What a node has of a type that the bridge has of its own.
    pub(super) fn entries(&self, node: &str, type_name: &str) -> Vec<InventoryEntry> {
        match type_name {
            TAG => self.tags.get(node).cloned().unwrap_or_default(),
            _ => self.nodes.get(node).map(information).into_iter().collect(),
        }
    }

    /// The same as an item of an answer; `now_ms` is when tags are read.
    pub(super) fn item(&self, node: &str, type_name: &str, now_ms: i64) -> InventoryResultItem {
        let seen_ms = self.nodes.get(node).map_or(now_ms, |row| row.last_seen_ms);
        InventoryResultItem {
            type_name: type_name.to_owned(),
            schema_version: "1.0".to_owned(),
            capture_time: Some(capture_time(if type_name == TAG { now_ms } else { seen_ms })),
            content_hash: None,
            content: self.entries(node, type_name),
        }
    }
}

/// As SSM shows a node in its inventory.
fn information(row: &Row) -> InventoryEntry {
    let status = match (row.quarantined_ms, row.online) {
        (Some(_), _) => "Inactive",
        (None, 1) => "Active",
        (None, _) => "ConnectionLost",
    };
    let pairs = [
        ("AgentType", "flotilla-agent"),
        ("AgentVersion", &row.agent_version),
        ("ComputerName", &row.computer_name),
        ("InstanceId", &row.node_id),
        ("InstanceStatus", status),
        ("IpAddress", &row.ip_address),
        ("PlatformName", &row.platform_name),
        ("PlatformType", "Linux"),
        ("PlatformVersion", &row.platform_version),
        ("ResourceType", "ManagedInstance"),
    ];
    pairs.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Adds a condition `… IN (values)`, unless there are none.
pub(super) fn push_in(query: &mut QueryBuilder<sqlx::Sqlite>, beginning: &'static str, values: &[String]) {
    if values.is_empty() {
        return;
    }
    query.push(beginning);
    let mut separated = query.separated(", ");
    for value in values {
        separated.push_bind(value.clone());
    }
    query.push(")");
}
