//! Targets say which nodes a command is for: by id, or by choice over ids, tags and resource groups. Resolving freezes them to a list.
//!
//! Several choices must all hold, of the values of one choice any. Nodes that were deregistered are never among them.

use super::Fleet;
use super::group::{self, MANAGED_INSTANCE_TYPE, Query};
use super::node::parse_node_id;
use super::tag::MANAGED_INSTANCE;
use crate::platform::http::ApiError;
use flotilla_api::commands::Target;
use flotilla_protocol::id::NodeId;
use sqlx::{QueryBuilder, Sqlite};
use std::collections::BTreeSet;

/// Most ids in a request.
pub const MAXIMUM_INSTANCE_IDS: usize = 50;
/// Most choices in a request.
pub const MAXIMUM_CHOICES: usize = 5;
/// Most values of a choice.
pub const MAXIMUM_VALUES: usize = 50;

/// Most nodes of a command. The bridge makes the whole command in memory, about 1 kB for each node, and writes it
/// in one transaction, in which a second or two pass for each 50,000: nobody else writes meanwhile.
pub const MAXIMUM_CHOSEN: usize = 100_000;

const TAG_PREFIX: &str = "tag:";
const EVERY_NODE: &str = "*";
const GROUP_NAME: &str = "resource-groups:Name";
const GROUP_TYPES: &str = "resource-groups:ResourceTypeFilters";

/// A node that a command is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetNode {
    /// Its id.
    pub id: NodeId,
    /// Its ed25519 key, which its leaf in the target tree commits to.
    pub identity_key: [u8; 32],
}

/// The nodes that a request names, by id. It is empty when choices match no node, which is no error here.
///
/// # Errors
/// `InvalidInstanceId` for an id that is no node's, `DuplicateInstanceId`, `InvalidParameters` for a choice that cannot be one (the model lists no error of its own),
/// or for more nodes than a command may have, and `ValidationException` when both forms or none are given.
pub async fn resolve(fleet: &Fleet, instance_ids: Option<&[String]>, targets: Option<&[Target]>) -> Result<Vec<TargetNode>, ApiError> {
    let (instance_ids, targets) = (instance_ids.unwrap_or_default(), targets.unwrap_or_default());
    let choices = match (instance_ids, targets) {
        ([], []) => return Err(ApiError::validation("InstanceIds or Targets must name at least one node")),
        (ids, []) => vec![Choice::of_ids(fleet, ids).await?],
        ([], targets) => Choice::of_targets(fleet, targets).await?,
        _ => return Err(ApiError::validation("InstanceIds and Targets cannot be given together")),
    };
    chosen(fleet, &choices, MAXIMUM_CHOSEN).await
}

/// What a choice asks of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Choice {
    /// Nothing: every node will do.
    Every,
    /// What no node has.
    None,
    /// To be one of these.
    Ids(BTreeSet<String>),
    /// To have one of these values under a tag's key, or, without that, one of these keys.
    Tagged { key: Option<String>, values: BTreeSet<String> },
    /// To be in one of the groups with these queries now.
    Groups(Vec<Query>),
}

impl Choice {
    /// Every id must be that of a node.
    async fn of_ids(fleet: &Fleet, ids: &[String]) -> Result<Self, ApiError> {
        if ids.len() > MAXIMUM_INSTANCE_IDS {
            return Err(ApiError::validation(format!("InstanceIds has {} entries; at most {MAXIMUM_INSTANCE_IDS} are allowed", ids.len())));
        }
        let mut wanted = BTreeSet::new();
        for id in ids {
            parse_node_id(id)?;
            if !wanted.insert(id.clone()) {
                return Err(ApiError::new("DuplicateInstanceId", format!("{id} comes twice")));
            }
        }
        let mut query = QueryBuilder::<Sqlite>::new("SELECT node_id FROM node WHERE deregistered_ms IS NULL AND node_id");
        push_in(&mut query, &wanted);
        let found: BTreeSet<String> = query.build_query_scalar().fetch_all(fleet.store.reader()).await?.into_iter().collect();
        match wanted.difference(&found).next() {
            Some(unknown) => Err(ApiError::new("InvalidInstanceId", format!("there is no node {unknown} in this fleet"))),
            None => Ok(Self::Ids(wanted)),
        }
    }

    async fn of_targets(fleet: &Fleet, targets: &[Target]) -> Result<Vec<Self>, ApiError> {
        if targets.len() > MAXIMUM_CHOICES {
            return Err(invalid_choice(format!("Targets has {} entries; at most {MAXIMUM_CHOICES} are allowed", targets.len())));
        }
        let mut choices = Vec::with_capacity(targets.len());
        for target in targets {
            choices.push(Self::of_target(fleet, target).await?);
        }
        Ok(choices)
    }

    async fn of_target(fleet: &Fleet, target: &Target) -> Result<Self, ApiError> {
        let key = target.key.as_deref().unwrap_or_default();
        let values: BTreeSet<String> = target.values.iter().flatten().cloned().collect();
        if values.is_empty() || values.len() > MAXIMUM_VALUES {
            return Err(invalid_choice(format!("the target {key:?} has {} values; 1 to {MAXIMUM_VALUES} are allowed", values.len())));
        }
        match key {
            "InstanceIds" if values.contains(EVERY_NODE) => Ok(Self::Every),
            "InstanceIds" => Self::of_ids(fleet, &values.into_iter().collect::<Vec<_>>()).await,
            "tag-key" => Ok(Self::Tagged { key: None, values }),
            GROUP_NAME => Self::of_groups(fleet, &values).await,
            // All nodes are of one type, so this keeps all or none.
            GROUP_TYPES if values.contains(MANAGED_INSTANCE_TYPE) => Ok(Self::Every),
            GROUP_TYPES => Ok(Self::None),
            _ => match key.strip_prefix(TAG_PREFIX) {
                Some(tag) if !tag.is_empty() => Ok(Self::Tagged { key: Some(tag.to_owned()), values }),
                _ => Err(invalid_choice(format!(
                    "{key:?} is no key of a target in this bridge; use InstanceIds, tag:<key>, tag-key or {GROUP_NAME}"
                ))),
            },
        }
    }

    async fn of_groups(fleet: &Fleet, names: &BTreeSet<String>) -> Result<Self, ApiError> {
        let mut queries = Vec::with_capacity(names.len());
        for name in names {
            let unknown = || invalid_choice(format!("there is no resource group {name:?} in this fleet"));
            let group = group::find(&fleet.store, name).await?.ok_or_else(unknown)?;
            queries.push(Query::parse_text(&group.query)?);
        }
        Ok(Self::Groups(queries))
    }

    /// Adds what it asks to a query over `node` that has a `WHERE` already.
    fn push(&self, query: &mut QueryBuilder<Sqlite>) {
        match self {
            Self::Every => {}
            Self::None => {
                query.push(" AND 1 = 0");
            }
            Self::Ids(ids) => {
                query.push(" AND node_id");
                push_in(query, ids);
            }
            Self::Tagged { key, values } => {
                query.push(" AND node_id IN (SELECT resource_id FROM tag WHERE resource_type = ").push_bind(MANAGED_INSTANCE);
                match key {
                    Some(key) => query.push(" AND tag_key = ").push_bind(key.clone()).push(" AND tag_value"),
                    None => query.push(" AND tag_key"),
                };
                push_in(query, values);
                query.push(")");
            }
            Self::Groups(groups) => {
                query.push(" AND (1 = 0");
                for group in groups {
                    query.push(" OR (1 = 1");
                    group.push(query);
                    query.push(")");
                }
                query.push(")");
            }
        }
    }
}

/// The nodes that all choices want, counted before they are loaded: nobody has the bridge take a fleet into memory that is too large for a
/// command. One query, however many choices there are.
async fn chosen(fleet: &Fleet, choices: &[Choice], maximum: usize) -> Result<Vec<TargetNode>, ApiError> {
    let mut reader = fleet.store.reader().begin().await?;
    let mut count = select("SELECT COUNT(*) FROM (SELECT 1", choices);
    // Beyond the limit it does not matter by how much.
    count.push(" LIMIT ").push_bind(i64::try_from(maximum).unwrap_or(i64::MAX).saturating_add(1)).push(") AS chosen");
    let count: i64 = count.build_query_scalar().fetch_one(&mut *reader).await?;
    if usize::try_from(count).is_ok_and(|count| count > maximum) {
        return Err(invalid_choice(format!(
            "more than {maximum} nodes match; divide them among several commands, by tags or groups for example"
        )));
    }
    let mut nodes = select("SELECT node_id, identity_key", choices);
    let rows: Vec<(String, Vec<u8>)> = nodes.push(" ORDER BY node_id").build_query_as().fetch_all(&mut *reader).await?;
    rows.into_iter().map(|(id, key)| target_node(&id, &key)).collect()
}

/// A query over the nodes that all choices want.
fn select(what: &str, choices: &[Choice]) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(what);
    query.push(" FROM node WHERE deregistered_ms IS NULL");
    for choice in choices {
        choice.push(&mut query);
    }
    query
}

fn target_node(id: &str, key: &[u8]) -> Result<TargetNode, ApiError> {
    let damaged = || ApiError::internal(std::io::Error::other(format!("the row of node {id} is damaged")));
    let identity_key = key.try_into().map_err(|_| damaged())?;
    Ok(TargetNode { id: id.parse().map_err(|_| damaged())?, identity_key })
}

fn push_in(query: &mut QueryBuilder<Sqlite>, values: &BTreeSet<String>) {
    query.push(" IN (");
    let mut separated = query.separated(", ");
    for value in values {
        separated.push_bind(value.clone());
    }
    separated.push_unseparated(")");
}

fn invalid_choice(message: String) -> ApiError {
    ApiError::new("InvalidParameters", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::test_kit::Kit;

    fn target(key: &str, value: &str) -> Target {
        Target { key: Some(key.to_owned()), values: Some(vec![value.to_owned()]) }
    }

    #[tokio::test]
    async fn nodes_are_counted_once_for_all_choices_before_they_are_loaded() {
        let kit = Kit::new().await;
        let mut nodes = Vec::new();
        for seed in 1..=4 {
            nodes.push(kit.node(seed).await.id);
        }
        let fleet = &kit.fleet;
        let mut write = fleet.store.write().await.unwrap();
        // Who would load them would find it out.
        sqlx::query("UPDATE node SET identity_key = x'00' WHERE node_id = $1")
            .bind(nodes[3].to_string())
            .execute(write.connection())
            .await
            .unwrap();
        for node in &nodes[..2] {
            let sql = "INSERT INTO tag (resource_type, resource_id, tag_key, tag_value) VALUES ('ManagedInstance', $1, 'site', 'a')";
            sqlx::query(sql).bind(node.to_string()).execute(write.connection()).await.unwrap();
        }
        write.commit().await.unwrap();
        let every = [target("InstanceIds", "*"), target(GROUP_TYPES, MANAGED_INSTANCE_TYPE), target("InstanceIds", "*")];
        let choices = Choice::of_targets(fleet, &every).await.unwrap();
        assert_eq!(select("SELECT 1", &choices).sql(), select("SELECT 1", &[]).sql(), "the fleet is asked for once");
        let refused = chosen(fleet, &choices, 3).await.unwrap_err();
        assert_eq!(refused.kind, "InvalidParameters");
        assert!(refused.message.starts_with("more than 3 nodes match; divide"), "{}", refused.message);
        assert_eq!(chosen(fleet, &choices, 4).await.unwrap_err().kind, "InternalServerError", "now they are loaded");
        // What counts are the nodes of the command, and not those of each choice.
        let choices = Choice::of_targets(fleet, &[every[0].clone(), target("tag:site", "a")]).await.unwrap();
        let mut expected = nodes[..2].to_vec();
        expected.sort_by_key(NodeId::to_string);
        assert_eq!(chosen(fleet, &choices, 2).await.unwrap().into_iter().map(|node| node.id).collect::<Vec<_>>(), expected);
    }
}
