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
use std::collections::{BTreeMap, BTreeSet};

/// Most ids in a request.
pub const MAXIMUM_INSTANCE_IDS: usize = 50;
/// Most choices in a request.
pub const MAXIMUM_CHOICES: usize = 5;
/// Most values of a choice.
pub const MAXIMUM_VALUES: usize = 50;

/// Most nodes of a command, and that one choice may match. The bridge makes the whole command in memory, about 1 kB for each node, and writes it
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
/// and `ValidationException` when both forms or none are given.
pub async fn resolve(fleet: &Fleet, instance_ids: Option<&[String]>, targets: Option<&[Target]>) -> Result<Vec<TargetNode>, ApiError> {
    let (instance_ids, targets) = (instance_ids.unwrap_or_default(), targets.unwrap_or_default());
    let keys = match (instance_ids, targets) {
        ([], []) => return Err(ApiError::validation("InstanceIds or Targets must name at least one node")),
        (ids, []) => by_id(fleet, ids).await?,
        ([], targets) => by_choice(fleet, targets).await?,
        _ => return Err(ApiError::validation("InstanceIds and Targets cannot be given together")),
    };
    keys.into_iter().map(|(id, key)| target_node(&id, &key)).collect()
}

fn target_node(id: &str, key: &[u8]) -> Result<TargetNode, ApiError> {
    let damaged = || ApiError::internal(std::io::Error::other(format!("the row of node {id} is damaged")));
    let identity_key = key.try_into().map_err(|_| damaged())?;
    Ok(TargetNode { id: id.parse().map_err(|_| damaged())?, identity_key })
}

/// Identity keys by node id.
type Keys = BTreeMap<String, Vec<u8>>;

async fn by_id(fleet: &Fleet, ids: &[String]) -> Result<Keys, ApiError> {
    if ids.len() > MAXIMUM_INSTANCE_IDS {
        return Err(ApiError::validation(format!("InstanceIds has {} entries; at most {MAXIMUM_INSTANCE_IDS} are allowed", ids.len())));
    }
    let mut wanted = BTreeSet::new();
    for id in ids {
        parse_node_id(id)?;
        if !wanted.insert(id.as_str()) {
            return Err(ApiError::new("DuplicateInstanceId", format!("{id} comes twice")));
        }
    }
    let found = live(fleet, Some(&wanted)).await?;
    match wanted.into_iter().find(|id| !found.contains_key(*id)) {
        Some(unknown) => Err(ApiError::new("InvalidInstanceId", format!("there is no node {unknown} in this fleet"))),
        None => Ok(found),
    }
}

async fn by_choice(fleet: &Fleet, targets: &[Target]) -> Result<Keys, ApiError> {
    if targets.len() > MAXIMUM_CHOICES {
        return Err(invalid_choice(format!("Targets has {} entries; at most {MAXIMUM_CHOICES} are allowed", targets.len())));
    }
    let mut kept: Option<Keys> = None;
    for target in targets {
        let chosen = choose(fleet, target).await?;
        kept = Some(match kept {
            None => chosen,
            Some(mut kept) => {
                kept.retain(|id, _| chosen.contains_key(id));
                kept
            }
        });
    }
    Ok(kept.unwrap_or_default())
}

async fn choose(fleet: &Fleet, target: &Target) -> Result<Keys, ApiError> {
    let key = target.key.as_deref().unwrap_or_default();
    let values: BTreeSet<&str> = target.values.iter().flatten().map(String::as_str).collect();
    if values.is_empty() || values.len() > MAXIMUM_VALUES {
        return Err(invalid_choice(format!("the target {key:?} has {} values; 1 to {MAXIMUM_VALUES} are allowed", values.len())));
    }
    match key {
        "InstanceIds" if values.contains(EVERY_NODE) => live(fleet, None).await,
        "InstanceIds" => by_id(fleet, &values.into_iter().map(str::to_owned).collect::<Vec<_>>()).await,
        "tag-key" => tagged(fleet, None, &values).await,
        GROUP_NAME => in_groups(fleet, &values).await,
        // All nodes are of one type, so this keeps all or none.
        GROUP_TYPES if values.contains(MANAGED_INSTANCE_TYPE) => live(fleet, None).await,
        GROUP_TYPES => Ok(Keys::new()),
        _ => match key.strip_prefix(TAG_PREFIX) {
            Some(tag) if !tag.is_empty() => tagged(fleet, Some(tag), &values).await,
            _ => Err(invalid_choice(format!(
                "{key:?} is no key of a target in this bridge; use InstanceIds, tag:<key>, tag-key or {GROUP_NAME}"
            ))),
        },
    }
}

/// The nodes of these ids, or all.
async fn live(fleet: &Fleet, ids: Option<&BTreeSet<&str>>) -> Result<Keys, ApiError> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT node_id, identity_key FROM node WHERE deregistered_ms IS NULL");
    if let Some(ids) = ids {
        query.push(" AND node_id");
        push_in(&mut query, ids);
    }
    fetch(fleet, query).await
}

/// The nodes with one of these values under a tag's key, or with one of these keys.
async fn tagged(fleet: &Fleet, key: Option<&str>, values: &BTreeSet<&str>) -> Result<Keys, ApiError> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "SELECT node_id, identity_key FROM tag JOIN node ON node_id = resource_id WHERE deregistered_ms IS NULL AND resource_type = ",
    );
    query.push_bind(MANAGED_INSTANCE);
    match key {
        Some(key) => query.push(" AND tag_key = ").push_bind(key).push(" AND tag_value"),
        None => query.push(" AND tag_key"),
    };
    push_in(&mut query, values);
    fetch(fleet, query).await
}

/// The nodes that are in one of these groups now.
async fn in_groups(fleet: &Fleet, names: &BTreeSet<&str>) -> Result<Keys, ApiError> {
    let mut found = Keys::new();
    for name in names {
        let unknown = || invalid_choice(format!("there is no resource group {name:?} in this fleet"));
        let group = group::find(&fleet.store, name).await?.ok_or_else(unknown)?;
        let mut query = QueryBuilder::<Sqlite>::new("SELECT node_id, identity_key FROM node WHERE deregistered_ms IS NULL");
        Query::parse_text(&group.query)?.push(&mut query);
        found.extend(fetch(fleet, query).await?);
        if found.len() > MAXIMUM_CHOSEN {
            return Err(too_many());
        }
    }
    Ok(found)
}

/// What a query finds, which is refused before it is all in memory where it is too much.
async fn fetch(fleet: &Fleet, mut query: QueryBuilder<Sqlite>) -> Result<Keys, ApiError> {
    query.push(" LIMIT ").push_bind(i64::try_from(MAXIMUM_CHOSEN).unwrap_or(i64::MAX).saturating_add(1));
    let rows: Vec<(String, Vec<u8>)> = query.build_query_as().fetch_all(fleet.store.reader()).await?;
    if rows.len() > MAXIMUM_CHOSEN { Err(too_many()) } else { Ok(rows.into_iter().collect()) }
}

fn too_many() -> ApiError {
    invalid_choice(format!("more than {MAXIMUM_CHOSEN} nodes match; divide them among several commands, by tags or groups for example"))
}

fn push_in(query: &mut QueryBuilder<Sqlite>, values: &BTreeSet<&str>) {
    query.push(" IN (");
    let mut separated = query.separated(", ");
    for value in values {
        separated.push_bind((*value).to_owned());
    }
    separated.push_unseparated(")");
}

fn invalid_choice(message: String) -> ApiError {
    ApiError::new("InvalidParameters", message)
}
