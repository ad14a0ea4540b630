//! `ListInventoryItems`, an operation of Flotilla: which node has how much of which type, and how far that can be believed.

use super::model::capture_time;
use crate::fleet::Fleet;
use crate::platform::http::{ApiError, Caller};
use crate::platform::page::{TokenScope, cut, page_size};
use crate::platform::time::from_column;
use flotilla_api::inventory::{InventoryItemState, ListInventoryItemsRequest, ListInventoryItemsResult, MAXIMUM_ITEMS_PAGE};
use sqlx::QueryBuilder;

#[derive(sqlx::FromRow)]
struct Row {
    node_id: String,
    type_name: String,
    schema_version: String,
    captured_ms: i64,
    content_hash: String,
    entries: i64,
    bytes: i64,
    stale: i64,
    source: String,
}

pub(super) async fn list_inventory_items(
    fleet: &Fleet,
    _caller: &Caller,
    request: ListInventoryItemsRequest,
) -> Result<ListInventoryItemsResult, ApiError> {
    let size = page_size(request.max_results, 1..=MAXIMUM_ITEMS_PAGE)?;
    let scope = TokenScope::new("ListInventoryItems", &(&request.instance_id, &request.type_name));
    let after = scope.after(request.next_token.as_deref())?.unwrap_or_default();
    let (node, type_name) = after.split_once(' ').unwrap_or_default();
    let mut query = QueryBuilder::new(
        "SELECT node_id, type_name, schema_version, captured_ms, content_hash, entries, bytes, stale, source FROM inventory_node \
         WHERE node_id >= ",
    );
    query.push_bind(node.to_owned()).push(" AND (node_id > ").push_bind(node.to_owned());
    query.push(" OR type_name > ").push_bind(type_name.to_owned()).push(")");
    if let Some(node) = &request.instance_id {
        query.push(" AND node_id = ").push_bind(node.clone());
    }
    if let Some(type_name) = &request.type_name {
        query.push(" AND type_name = ").push_bind(type_name.clone());
    }
    query.push(" ORDER BY node_id, type_name LIMIT ").push_bind(size + 1);
    let mut rows: Vec<Row> = query.build_query_as().fetch_all(fleet.store.reader()).await?;
    let next_token = cut(&mut rows, size, &scope, |row| format!("{} {}", row.node_id, row.type_name));
    let state = |row: Row| InventoryItemState {
        capture_time: (row.captured_ms > 0).then(|| capture_time(row.captured_ms)),
        instance_id: row.node_id,
        type_name: row.type_name,
        schema_version: row.schema_version,
        content_hash: row.content_hash,
        entries: from_column(row.entries),
        bytes: from_column(row.bytes),
        source: row.source,
        is_stale: row.stale == 1,
    };
    Ok(ListInventoryItemsResult { items: rows.into_iter().map(state).collect(), next_token })
}
