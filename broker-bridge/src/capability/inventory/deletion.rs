//! `DeleteInventory` and `DescribeInventoryDeletions`: a type of the fleet's own is removed from all nodes.
//!
//! The deletion is written down first and then done a batch at a time, so that the writer stays free for others. One that was interrupted is
//! gone on with ([`super::retention`]).

use super::model::version;
use super::store::{CustomType, custom_type};
use crate::fleet::Fleet;
use crate::platform::http::{ApiError, Caller};
use crate::platform::page::{TokenScope, cut, page_size};
use crate::platform::store::{StoreError, Write};
use crate::platform::time::to_column;
use flotilla_api::Timestamp;
use flotilla_api::inventory::{
    DeleteInventoryRequest, DeleteInventoryResult, DescribeInventoryDeletionsRequest, DescribeInventoryDeletionsResult,
    InventoryDeletionStatusItem, InventoryDeletionSummary, InventoryDeletionSummaryItem,
};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Items that one transaction removes, if they have few entries.
const BATCH: usize = 64;
/// Entries of items that one transaction removes.
const ENTRIES: u64 = 4_000;
/// Deletions that are remembered; the oldest make place.
const MAXIMUM_DELETIONS: i64 = 1_000;

#[derive(Debug, sqlx::FromRow)]
struct Deletion {
    deletion_id: String,
    type_name: String,
    schema_option: String,
    started_ms: i64,
    updated_ms: i64,
    remaining: i64,
    summary: String,
}

const COLUMNS: &str = "deletion_id, type_name, schema_option, started_ms, updated_ms, remaining, summary";

impl Deletion {
    /// By version, of the newest at first.
    fn summary(&self) -> InventoryDeletionSummary {
        let counts: BTreeMap<String, i64> = serde_json::from_str(&self.summary).unwrap_or_default();
        summary(&counts, self.remaining)
    }
}

fn summary(counts: &BTreeMap<String, i64>, remaining: i64) -> InventoryDeletionSummary {
    let number = |count: i64| Some(i32::try_from(count).unwrap_or(i32::MAX));
    let mut counts: Vec<_> = counts.iter().collect();
    counts.sort_by_key(|(text, _)| version(text));
    // What is left is not known by version: it is told of the newest.
    let mut left = remaining;
    let mut items = Vec::new();
    for (text, count) in counts.into_iter().rev() {
        let here = left.min(*count);
        left -= here;
        items.push(InventoryDeletionSummaryItem { version: Some(text.clone()), count: number(*count), remaining_count: number(here) });
    }
    let total = items.iter().filter_map(|item| item.count).map(i64::from).sum();
    InventoryDeletionSummary { total_count: number(total), remaining_count: number(remaining), summary_items: Some(items) }
}

pub(super) async fn delete_inventory(
    fleet: &Fleet,
    caller: &Caller,
    request: DeleteInventoryRequest,
) -> Result<DeleteInventoryResult, ApiError> {
    let type_name = request.type_name;
    let unknown = |what: &str| ApiError::new("InvalidTypeNameException", format!("{type_name}: {what}"));
    if !type_name.starts_with("Custom:") {
        return Err(unknown("only types that begin with Custom: can be deleted; others go with their nodes"));
    }
    let option = request.schema_delete_option.unwrap_or_default();
    let now_ms = fleet.clock.now_ms();
    let mut write = fleet.store.write().await?;
    let token = request.client_token.filter(|_| request.dry_run != Some(true));
    if let Some(before) = by_token(&mut write, token.as_deref()).await? {
        if before.type_name != type_name || before.schema_option != option {
            let words = "the ClientToken was given with another TypeName or SchemaDeleteOption; make a new one for each deletion";
            return Err(ApiError::new("InvalidDeleteInventoryParametersException", words));
        }
        let deletion_summary = Some(before.summary());
        return Ok(DeleteInventoryResult { deletion_id: Some(before.deletion_id), type_name: Some(type_name), deletion_summary });
    }
    let known = custom_type(write.connection(), &type_name).await?;
    let rows: Vec<(String, i64)> =
        sqlx::query_as("SELECT schema_version, COUNT(*) FROM inventory_node WHERE type_name = $1 GROUP BY schema_version")
            .bind(&type_name)
            .fetch_all(write.connection())
            .await?;
    let counts: BTreeMap<String, i64> = rows.into_iter().collect();
    let total = counts.values().sum::<i64>();
    // Nodes may have types for which the schema had no place.
    if known.is_none() && counts.is_empty() {
        return Err(unknown("no node has this type; GetInventorySchema lists types"));
    }
    if option == "DisableSchema" && known.as_ref().is_some_and(CustomType::is_disabled) {
        return Err(ApiError::new("InvalidOptionException", format!("{type_name} is disabled already; DeleteSchema forgets it")));
    }
    let deletion_id = Uuid::now_v7().to_string();
    if request.dry_run == Some(true) {
        let deletion_summary = Some(summary(&counts, total));
        return Ok(DeleteInventoryResult { deletion_id: Some(deletion_id), type_name: Some(type_name), deletion_summary });
    }
    let open: Option<i64> = sqlx::query_scalar("SELECT 1 FROM inventory_deletion WHERE type_name = $1 AND remaining > 0 LIMIT 1")
        .bind(&type_name)
        .fetch_optional(write.connection())
        .await?;
    if open.is_some() {
        let words = format!("{type_name} is being deleted already; DescribeInventoryDeletions says how far that is");
        return Err(ApiError::new("InvalidInventoryRequestException", words));
    }
    let summary_text = serde_json::to_string(&counts).map_err(ApiError::internal)?;
    sqlx::query(
        "INSERT INTO inventory_deletion (deletion_id, type_name, schema_option, client_token, started_ms, updated_ms, last_place, remaining, \
         summary) VALUES ($1, $2, $3, $4, $5, $5, (SELECT COALESCE(MAX(last), 0) FROM inventory_number WHERE kind = 'place'), $6, $7)",
    )
    .bind(&deletion_id)
    .bind(&type_name)
    .bind(&option)
    .bind(token)
    .bind(to_column(now_ms))
    .bind(total)
    .bind(summary_text)
    .execute(write.connection())
    .await?;
    match option.as_str() {
        "DeleteSchema" => {
            sqlx::query("DELETE FROM inventory_type WHERE type_name = $1").bind(&type_name).execute(write.connection()).await?;
        }
        "DisableSchema" => {
            let newest = counts.keys().max_by_key(|text| version(text)).cloned().unwrap_or_default();
            sqlx::query(
                "INSERT INTO inventory_type (type_name, schema_version, attributes, node_attributes, disabled) VALUES ($1, $2, '[]', '[]', $2) \
                 ON CONFLICT (type_name) DO UPDATE SET disabled = inventory_type.schema_version",
            )
            .bind(&type_name)
            .bind(newest)
            .execute(write.connection())
            .await?;
        }
        _ => {}
    }
    forget_oldest(&mut write).await?;
    write.commit().await?;
    tracing::info!(type_name, user = caller.user, option, items = total, "a type of inventory is deleted");
    while go_on(fleet).await? {}
    Ok(DeleteInventoryResult {
        deletion_id: Some(deletion_id),
        type_name: Some(type_name),
        // As at AWS: what is to be removed, as it was when it began.
        deletion_summary: Some(summary(&counts, total)),
    })
}

async fn by_token(write: &mut Write<'_>, token: Option<&str>) -> Result<Option<Deletion>, StoreError> {
    let Some(token) = token else { return Ok(None) };
    let sql = format!("SELECT {COLUMNS} FROM inventory_deletion WHERE client_token = $1 ORDER BY deletion_id DESC LIMIT 1");
    Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(token).fetch_optional(write.connection()).await?)
}

async fn forget_oldest(write: &mut Write<'_>) -> Result<(), StoreError> {
    sqlx::query(
        "DELETE FROM inventory_deletion WHERE remaining = 0 AND deletion_id NOT IN \
         (SELECT deletion_id FROM inventory_deletion ORDER BY deletion_id DESC LIMIT $1)",
    )
    .bind(MAXIMUM_DELETIONS)
    .execute(write.connection())
    .await?;
    Ok(())
}

/// Removes one batch of the oldest deletion that is not done; `true` while there may be more.
///
/// # Errors
/// What the database says; nothing of the batch was removed then.
pub(super) async fn go_on(fleet: &Fleet) -> Result<bool, StoreError> {
    let mut write = fleet.store.write().await?;
    let open: Option<(String, String, i64)> = sqlx::query_as(
        "SELECT deletion_id, type_name, last_place FROM inventory_deletion WHERE remaining > 0 ORDER BY deletion_id LIMIT 1",
    )
    .fetch_optional(write.connection())
    .await?;
    let Some((deletion_id, type_name, last_place)) = open else { return Ok(false) };
    let places: Vec<i64> = sqlx::query_scalar("SELECT place FROM inventory_node WHERE type_name = $1 AND place <= $2 LIMIT $3")
        .bind(&type_name)
        .bind(last_place)
        .bind(i64::try_from(BATCH).unwrap_or(i64::MAX))
        .fetch_all(write.connection())
        .await?;
    let (mut left, mut removed) = (ENTRIES, 0_usize);
    for place in &places {
        let entries = remove_entries(&mut write, *place, left).await?;
        if entries == left {
            break;
        }
        left -= entries;
        sqlx::query("DELETE FROM inventory_node WHERE place = $1").bind(place).execute(write.connection()).await?;
        removed += 1;
    }
    // Items can go for other reasons meanwhile: only where no more is found, nothing is left.
    let is_done = places.len() < BATCH && removed == places.len();
    sqlx::query(
        "UPDATE inventory_deletion SET updated_ms = $2, remaining = CASE WHEN $4 = 1 THEN 0 WHEN remaining > $3 THEN remaining - $3 ELSE 1 END \
         WHERE deletion_id = $1",
    )
    .bind(deletion_id)
    .bind(to_column(fleet.clock.now_ms()))
    .bind(i64::try_from(removed).unwrap_or(i64::MAX))
    .bind(i64::from(is_done))
    .execute(write.connection())
    .await?;
    write.commit().await?;
    Ok(true)
}

/// Removes so many entries of an item at most; how many. An item of which as many are removed as may be is nothing that can be changed.
async fn remove_entries(write: &mut Write<'_>, place: i64, most: u64) -> Result<u64, StoreError> {
    let done = sqlx::query(
        "DELETE FROM inventory_node_entry WHERE place = $1 AND entry_number IN \
         (SELECT entry_number FROM inventory_node_entry WHERE place = $1 LIMIT $2)",
    )
    .bind(place)
    .bind(i64::try_from(most).unwrap_or(i64::MAX))
    .execute(write.connection())
    .await?;
    if done.rows_affected() == most {
        sqlx::query("UPDATE inventory_node SET table_hash = NULL, content_hash = '', stale = 1 WHERE place = $1")
            .bind(place)
            .execute(write.connection())
            .await?;
    }
    Ok(done.rows_affected())
}

pub(super) async fn describe_inventory_deletions(
    fleet: &Fleet,
    _caller: &Caller,
    request: DescribeInventoryDeletionsRequest,
) -> Result<DescribeInventoryDeletionsResult, ApiError> {
    let size = page_size(request.max_results, 1..=50)?;
    let scope = TokenScope::new("DescribeInventoryDeletions", &request.deletion_id);
    let after = scope.after(request.next_token.as_deref())?;
    let sql = format!(
        "SELECT {COLUMNS} FROM inventory_deletion WHERE deletion_id < $1 AND ($2 = '' OR deletion_id = $2) ORDER BY deletion_id DESC LIMIT $3"
    );
    let wanted = request.deletion_id.unwrap_or_default();
    let mut rows: Vec<Deletion> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        // No id is above this.
        .bind(after.clone().unwrap_or_else(|| "g".to_owned()))
        .bind(&wanted)
        .bind(size + 1)
        .fetch_all(fleet.store.reader())
        .await?;
    if rows.is_empty() && !wanted.is_empty() && after.is_none() {
        let words = format!("there is no deletion {wanted}; without DeletionId all are listed");
        return Err(ApiError::new("InvalidDeletionIdException", words));
    }
    let next_token = cut(&mut rows, size, &scope, |row| row.deletion_id.clone());
    let status = |row: Deletion| InventoryDeletionStatusItem {
        deletion_summary: Some(row.summary()),
        deletion_start_time: Some(Timestamp::from_milliseconds(row.started_ms)),
        last_status: Some(if row.remaining == 0 { "Complete" } else { "InProgress" }.to_owned()),
        last_status_message: Some(if row.remaining == 0 { "Deletion is complete" } else { "Deletion goes on" }.to_owned()),
        last_status_update_time: Some(Timestamp::from_milliseconds(row.updated_ms)),
        deletion_id: Some(row.deletion_id),
        type_name: Some(row.type_name),
    };
    Ok(DescribeInventoryDeletionsResult { inventory_deletions: Some(rows.into_iter().map(status).collect()), next_token })
}
