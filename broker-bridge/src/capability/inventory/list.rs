//! `GetInventory` and `ListInventoryEntries`: nodes by their inventory, and the entries of one node.

use super::find::Finder;
use super::model::{Item, entry, name};
use super::own::{INSTANCE_INFORMATION, Part, TAG, is_own};
use super::rules::Selection;
use super::{aggregate, error, schema, store};
use crate::fleet::Fleet;
use crate::fleet::node::parse_node_id;
use crate::platform::http::{ApiError, Caller};
use crate::platform::page::{TokenScope, page_size};
use crate::platform::store::StoreError;
use crate::platform::time::to_column;
use flotilla_api::inventory::{
    GetInventoryRequest, GetInventoryResult, InventoryEntry, InventoryResultEntity, InventoryResultItem, ListInventoryEntriesRequest,
    ListInventoryEntriesResult,
};
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::Semaphore;

/// Parts of the fleet that one page looks at: a page can be short, or empty, and still have a next one.
const PARTS: usize = 10;
/// A page that has so many bytes of content takes no further node.
const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Questions that look at many entries at once; others wait. Each holds some tens of megabytes at most: [`aggregate`] counts the bytes.
static QUESTIONS: Semaphore = Semaphore::const_new(2);

pub(super) async fn get_inventory(fleet: &Fleet, _caller: &Caller, request: GetInventoryRequest) -> Result<GetInventoryResult, ApiError> {
    let size = usize::try_from(page_size(request.max_results, 1..=50)?).unwrap_or(1);
    let aggregators = request.aggregators.as_deref().unwrap_or_default();
    let filters = request.filters.as_deref().unwrap_or_default();
    let types = if filters.is_empty() && aggregators.is_empty() { BTreeSet::new() } else { schema::custom_names(fleet).await? };
    let selection = Selection::read(filters, !aggregators.is_empty(), &types)?;
    let scope = TokenScope::new("GetInventory", &(&request.filters, &request.aggregators, &request.result_attributes));
    let mut after = scope.after(request.next_token.as_deref())?.unwrap_or_default();
    let type_name = request.result_attributes.as_deref().and_then(<[_]>::first).map(|attribute| attribute.type_name.as_str());
    let type_name = type_name.unwrap_or(INSTANCE_INFORMATION);
    if !schema::exists(fleet, type_name).await? {
        let words = format!("no type is named {type_name:?}; GetInventorySchema lists them");
        return Err(ApiError::new("InvalidResultAttributeException", words));
    }
    let looks_at_entries = !aggregators.is_empty() || selection.0.keys().any(|type_name| !is_own(type_name));
    let _place = if looks_at_entries { Some(QUESTIONS.acquire().await.map_err(ApiError::internal)?) } else { None };
    if !aggregators.is_empty() {
        let entities = aggregate::count(fleet, &selection, aggregators, &types).await?;
        return Ok(GetInventoryResult { entities: Some(entities), next_token: None });
    }
    let finder = Finder::new(fleet, &selection).await?;
    let (only, has_tags) = (selection.named_nodes(), finder.has_tags() || type_name == TAG);
    let (mut entities, mut bytes) = (Vec::new(), 0_usize);
    for _ in 0..PARTS {
        let part = Part::read(fleet, &after, &only, has_tags).await?;
        for node in finder.matching(fleet, &part).await? {
            if entities.len() == size || bytes >= PAGE_BYTES {
                return Ok(GetInventoryResult { entities: Some(entities), next_token: Some(scope.token(&after)) });
            }
            let item = item(fleet, &part, &node, type_name).await?;
            bytes = bytes.saturating_add(item.as_ref().map_or(0, size_of));
            after.clone_from(&node);
            let data = item.map(|item| (item.type_name.clone(), item)).into_iter().collect();
            entities.push(InventoryResultEntity { id: Some(node), data: Some(data) });
        }
        if !part.has_more {
            return Ok(GetInventoryResult { entities: Some(entities), next_token: None });
        }
        after = part.last().unwrap_or_default().to_owned();
    }
    Ok(GetInventoryResult { entities: Some(entities), next_token: Some(scope.token(&after)) })
}

fn size_of(item: &InventoryResultItem) -> usize {
    item.content.iter().flatten().map(|(name, value)| name.len() + value.len()).sum()
}

async fn item(fleet: &Fleet, part: &Part, node: &str, type_name: &str) -> Result<Option<InventoryResultItem>, ApiError> {
    if is_own(type_name) {
        return Ok(Some(part.item(node, type_name, to_column(fleet.clock.now_ms()))));
    }
    let mut connection = fleet.store.reader().acquire().await?;
    let Some(item) = store::find(&mut connection, node, type_name).await? else { return Ok(None) };
    let content = ordered(&mut connection, &item).await?.into_values().collect();
    Ok(Some(item.result(content)))
}

/// By which entries are ordered, and a page goes on: the beginning of their name, and the hash of what they are.
type Order = String;

async fn ordered(connection: &mut sqlx::SqliteConnection, item: &Item) -> Result<BTreeMap<Order, InventoryEntry>, ApiError> {
    let contents = store::entries(connection, item.place).await?;
    Ok(contents.keys().map(|content| in_order(&item.type_name, content)).collect())
}

fn in_order(type_name: &str, content: &str) -> (Order, InventoryEntry) {
    let entry = entry(content);
    let hash: String = super::model::hash(type_name, content).iter().map(|byte| format!("{byte:02x}")).collect();
    (format!("{}\u{0}{hash}", name(&entry)), entry)
}

pub(super) async fn list_inventory_entries(
    fleet: &Fleet,
    _caller: &Caller,
    request: ListInventoryEntriesRequest,
) -> Result<ListInventoryEntriesResult, ApiError> {
    let size = usize::try_from(page_size(request.max_results, 1..=50)?).unwrap_or(1);
    let node = known_node(fleet, &request.instance_id).await?;
    let type_name = request.type_name;
    let demand = Selection::of_type(&type_name, request.filters.as_deref().unwrap_or_default())?;
    if !schema::exists(fleet, &type_name).await? {
        return Err(error::no_type(&type_name));
    }
    let scope = TokenScope::new("ListInventoryEntries", &(&node, &type_name, &request.filters));
    let after = scope.after(request.next_token.as_deref())?;
    let mut result =
        ListInventoryEntriesResult { type_name: Some(type_name.clone()), instance_id: Some(node.clone()), ..Default::default() };
    let entries: BTreeMap<Order, InventoryEntry> = if is_own(&type_name) {
        let part = Part::read(fleet, "", std::slice::from_ref(&node), type_name == TAG).await?;
        let item = part.item(&node, &type_name, to_column(fleet.clock.now_ms()));
        (result.schema_version, result.capture_time) = (Some(item.schema_version), item.capture_time);
        let content = |entry: &InventoryEntry| serde_json::to_string(entry).unwrap_or_default();
        item.content.iter().map(|entry| in_order(&type_name, &content(entry))).collect()
    } else {
        let mut connection = fleet.store.reader().acquire().await?;
        match store::find(&mut connection, &node, &type_name).await? {
            Some(item) => {
                (result.schema_version, result.capture_time) = (Some(item.schema_version.clone()), item.result(Vec::new()).capture_time);
                ordered(&mut connection, &item).await?
            }
            None => BTreeMap::new(),
        }
    };
    let is_behind = |order: &Order| after.as_ref().is_none_or(|after| order > after);
    let mut page: Vec<_> =
        entries.into_iter().filter(|(order, entry)| is_behind(order) && demand.holds(std::slice::from_ref(entry))).take(size + 1).collect();
    if page.len() > size {
        page.truncate(size);
        result.next_token = page.last().map(|(order, _)| scope.token(order));
    }
    result.entries = Some(page.into_iter().map(|(_, entry)| entry).collect());
    Ok(result)
}

/// A node of the fleet by its id.
pub(super) async fn known_node(fleet: &Fleet, instance_id: &str) -> Result<String, ApiError> {
    let node = parse_node_id(instance_id)?.to_string();
    let mut connection = fleet.store.reader().acquire().await?;
    if is_known_node(&mut connection, &node).await? { Ok(node) } else { Err(no_node(&node)) }
}

pub(super) async fn is_known_node(connection: &mut sqlx::SqliteConnection, node: &str) -> Result<bool, StoreError> {
    let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM node WHERE node_id = $1 AND deregistered_ms IS NULL")
        .bind(node)
        .fetch_optional(connection)
        .await?;
    Ok(found.is_some())
}

pub(super) fn no_node(node: &str) -> ApiError {
    ApiError::new("InvalidInstanceId", format!("{node} is not a node of this fleet"))
}
