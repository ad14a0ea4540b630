//! The SQL of items and entries.

use super::model::{Item, Source, entry, hash, name, row};
use super::{MAXIMUM_CUSTOM_TYPES, MAXIMUM_NODE_BYTES};
use crate::platform::store::{StoreError, Write};
use crate::platform::time::to_column;
use flotilla_protocol::capability::inventory::{MAXIMUM_ATTRIBUTES, MAXIMUM_TYPES, Table};
use sqlx::SqliteConnection;
use std::collections::{BTreeMap, BTreeSet};

const COLUMNS: &str = "place, type_name, schema_version, captured_ms, table_hash, content_hash, attributes, source, entries";

/// Why an item is not taken. The words are for whoever has sent it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// The node has too much already.
    #[error("all items of a node have at most {MAXIMUM_NODE_BYTES} bytes together")]
    TotalSize,
    /// The node has too many types already.
    #[error("a node has at most {MAXIMUM_TYPES} types")]
    Types,
    /// The fleet has too many types already.
    #[error("a fleet has at most {MAXIMUM_CUSTOM_TYPES} types of its own; delete one that is not used")]
    CustomTypes,
    /// The type got too many attributes.
    #[error("a type has at most {MAXIMUM_ATTRIBUTES} attributes over all nodes")]
    Attributes,
    /// The type is disabled up to this version.
    #[error("the type is disabled up to version {0}")]
    Disabled(String),
}

/// An item as it is to be from now on.
#[derive(Debug)]
pub(super) struct NewItem<'a> {
    pub(super) node_id: &'a str,
    pub(super) type_name: &'a str,
    pub(super) schema_version: String,
    pub(super) captured_ms: u64,
    pub(super) table: &'a Table,
    pub(super) table_hash: [u8; 32],
    pub(super) content_hash: String,
    pub(super) contents: &'a BTreeSet<String>,
    pub(super) source: Source,
}

/// An item.
pub(super) async fn find(connection: &mut SqliteConnection, node_id: &str, type_name: &str) -> Result<Option<Item>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM inventory_node WHERE node_id = $1 AND type_name = $2");
    Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(node_id).bind(type_name).fetch_optional(connection).await?)
}

/// The entries of an item with their numbers.
pub(super) async fn entries(connection: &mut SqliteConnection, place: i64) -> Result<BTreeMap<String, i64>, StoreError> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "SELECT content, inventory_entry.entry_number FROM inventory_node_entry \
         JOIN inventory_entry ON inventory_entry.entry_number = inventory_node_entry.entry_number WHERE place = $1",
    )
    .bind(place)
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().collect())
}

/// The table that an item is; nothing where what is kept makes none.
pub(super) async fn table(connection: &mut SqliteConnection, item: &Item) -> Result<Option<Table>, StoreError> {
    let attributes = item.attributes();
    let entries = entries(connection, item.place).await?;
    let rows: Vec<_> = entries.keys().map(|content| row(&attributes, content)).collect();
    Ok(Table::new(attributes, rows).ok())
}

/// Makes an item what it is to be: only entries that come and go are written.
pub(super) async fn replace(write: &mut Write<'_>, before: Option<&Item>, new: &NewItem<'_>) -> Result<Result<(), Refusal>, StoreError> {
    let bytes = new.contents.iter().map(String::len).sum::<usize>();
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    let (others, of_others): (i64, i64) =
        sqlx::query_as("SELECT COUNT(*), COALESCE(SUM(bytes), 0) FROM inventory_node WHERE node_id = $1 AND type_name <> $2")
            .bind(new.node_id)
            .bind(new.type_name)
            .fetch_one(write.connection())
            .await?;
    if bytes.saturating_add(of_others) > MAXIMUM_NODE_BYTES {
        return Ok(Err(Refusal::TotalSize));
    }
    if usize::try_from(others).is_ok_and(|others| others >= MAXIMUM_TYPES) {
        return Ok(Err(Refusal::Types));
    }
    if let Err(refusal) = register(write, new.type_name, &new.schema_version, new.table.attributes()).await? {
        return Ok(Err(refusal));
    }
    let there = match before {
        Some(item) => entries(write.connection(), item.place).await?,
        None => BTreeMap::new(),
    };
    let place = save(write, before, new, bytes).await?;
    for content in new.contents.iter().filter(|content| !there.contains_key(*content)) {
        let number = number_of(write, new.type_name, content).await?;
        sqlx::query("INSERT INTO inventory_node_entry (place, entry_number) VALUES ($1, $2) ON CONFLICT (place, entry_number) DO NOTHING")
            .bind(place)
            .bind(number)
            .execute(write.connection())
            .await?;
    }
    for (_, number) in there.iter().filter(|(content, _)| !new.contents.contains(*content)) {
        sqlx::query("DELETE FROM inventory_node_entry WHERE place = $1 AND entry_number = $2")
            .bind(place)
            .bind(number)
            .execute(write.connection())
            .await?;
        remove_orphan(write, *number).await?;
    }
    Ok(Ok(()))
}

async fn save(write: &mut Write<'_>, before: Option<&Item>, new: &NewItem<'_>, bytes: i64) -> Result<i64, StoreError> {
    let place = match before {
        Some(item) => item.place,
        None => sqlx::query_scalar("SELECT COALESCE(MAX(place), 0) + 1 FROM inventory_node").fetch_one(write.connection()).await?,
    };
    sqlx::query(
        "INSERT INTO inventory_node (place, node_id, type_name, schema_version, captured_ms, table_hash, content_hash, attributes, entries, \
         bytes, stale, source) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, $11) \
         ON CONFLICT (place) DO UPDATE SET schema_version = excluded.schema_version, captured_ms = excluded.captured_ms, \
         table_hash = excluded.table_hash, content_hash = excluded.content_hash, attributes = excluded.attributes, \
         entries = excluded.entries, bytes = excluded.bytes, stale = 0, source = excluded.source",
    )
    .bind(place)
    .bind(new.node_id)
    .bind(new.type_name)
    .bind(&new.schema_version)
    .bind(to_column(new.captured_ms))
    .bind(new.table_hash.as_slice())
    .bind(&new.content_hash)
    .bind(serde_json::to_string(new.table.attributes()).unwrap_or_default())
    .bind(i64::try_from(new.contents.len()).unwrap_or(i64::MAX))
    .bind(bytes)
    .bind(new.source.as_str())
    .execute(write.connection())
    .await?;
    Ok(place)
}

/// The number of an entry, which is made where nobody has it yet.
async fn number_of(write: &mut Write<'_>, type_name: &str, content: &str) -> Result<i64, StoreError> {
    let hash = hash(type_name, content);
    let known: Option<i64> = sqlx::query_scalar("SELECT entry_number FROM inventory_entry WHERE hash = $1")
        .bind(&hash)
        .fetch_optional(write.connection())
        .await?;
    if let Some(number) = known {
        return Ok(number);
    }
    let sql = "INSERT INTO inventory_entry (entry_number, hash, type_name, name, content) \
               VALUES ((SELECT COALESCE(MAX(entry_number), 0) + 1 FROM inventory_entry), $1, $2, $3, $4) RETURNING entry_number";
    let query = sqlx::query_scalar(sql).bind(hash).bind(type_name).bind(name(&entry(content))).bind(content);
    Ok(query.fetch_one(write.connection()).await?)
}

/// Removes an entry that no node has.
pub(super) async fn remove_orphan(write: &mut Write<'_>, number: i64) -> Result<(), StoreError> {
    sqlx::query(
        "DELETE FROM inventory_entry WHERE entry_number = $1 \
         AND NOT EXISTS (SELECT 1 FROM inventory_node_entry WHERE inventory_node_entry.entry_number = $1)",
    )
    .bind(number)
    .execute(write.connection())
    .await?;
    Ok(())
}

/// The item is still what it was, and was looked at.
pub(super) async fn touch(write: &mut Write<'_>, item: &Item, captured_ms: u64) -> Result<(), StoreError> {
    sqlx::query("UPDATE inventory_node SET captured_ms = $2, stale = 0 WHERE place = $1")
        .bind(item.place)
        .bind(to_column(captured_ms))
        .execute(write.connection())
        .await?;
    Ok(())
}

/// The node has something else by now. Where nothing of the type is known, that is written down, too.
pub(super) async fn mark_stale(write: &mut Write<'_>, node_id: &str, type_name: &str, version: &str) -> Result<(), StoreError> {
    let (types, next): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT COUNT(*) FROM inventory_node WHERE node_id = $1), (SELECT COALESCE(MAX(place), 0) + 1 FROM inventory_node)",
    )
    .bind(node_id)
    .fetch_one(write.connection())
    .await?;
    let done = sqlx::query("UPDATE inventory_node SET stale = 1 WHERE node_id = $1 AND type_name = $2")
        .bind(node_id)
        .bind(type_name)
        .execute(write.connection())
        .await?;
    if done.rows_affected() == 1 || usize::try_from(types).is_ok_and(|types| types >= MAXIMUM_TYPES) {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO inventory_node (place, node_id, type_name, schema_version, captured_ms, content_hash, attributes, entries, bytes, stale, \
         source) VALUES ($1, $2, $3, $4, 0, '', '[]', 0, 0, 1, 'node')",
    )
    .bind(next)
    .bind(node_id)
    .bind(type_name)
    .bind(version)
    .execute(write.connection())
    .await?;
    Ok(())
}

/// A type of the fleet's own.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct CustomType {
    pub(super) type_name: String,
    pub(super) schema_version: String,
    attributes: String,
    pub(super) disabled: Option<String>,
}

impl CustomType {
    pub(super) fn attributes(&self) -> BTreeSet<String> {
        serde_json::from_str(&self.attributes).unwrap_or_default()
    }

    /// Whether nothing of this version is taken.
    pub(super) fn refuses(&self, version: &str) -> bool {
        self.disabled.as_deref().is_some_and(|disabled| super::model::version(version) <= super::model::version(disabled))
    }
}

/// A type of the fleet's own.
pub(super) async fn custom_type(connection: &mut SqliteConnection, type_name: &str) -> Result<Option<CustomType>, StoreError> {
    let sql = "SELECT type_name, schema_version, attributes, disabled FROM inventory_type WHERE type_name = $1";
    Ok(sqlx::query_as(sql).bind(type_name).fetch_optional(connection).await?)
}

/// All types of the fleet's own.
pub(super) async fn custom_types(connection: &mut SqliteConnection) -> Result<Vec<CustomType>, StoreError> {
    let sql = "SELECT type_name, schema_version, attributes, disabled FROM inventory_type ORDER BY type_name";
    Ok(sqlx::query_as(sql).fetch_all(connection).await?)
}

/// Writes down what a type of the fleet's own is like.
async fn register(write: &mut Write<'_>, type_name: &str, version: &str, attributes: &[String]) -> Result<Result<(), Refusal>, StoreError> {
    if !type_name.starts_with("Custom:") {
        return Ok(Ok(()));
    }
    let known = custom_type(write.connection(), type_name).await?;
    if let Some(disabled) = known.as_ref().filter(|known| known.refuses(version)).and_then(|known| known.disabled.clone()) {
        return Ok(Err(Refusal::Disabled(disabled)));
    }
    if known.is_none() {
        let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM inventory_type").fetch_one(write.connection()).await?;
        if count >= MAXIMUM_CUSTOM_TYPES {
            return Ok(Err(Refusal::CustomTypes));
        }
    }
    let before = known.as_ref().map(CustomType::attributes).unwrap_or_default();
    let mut all = before.clone();
    all.extend(attributes.iter().cloned());
    if all.len() > MAXIMUM_ATTRIBUTES {
        return Ok(Err(Refusal::Attributes));
    }
    let newest = known.as_ref().map_or("0.0", |known| known.schema_version.as_str());
    let is_newer = super::model::version(version) > super::model::version(newest);
    if known.is_some() && all == before && !is_newer && known.as_ref().is_some_and(|known| known.disabled.is_none()) {
        return Ok(Ok(()));
    }
    sqlx::query(
        "INSERT INTO inventory_type (type_name, schema_version, attributes) VALUES ($1, $2, $3) ON CONFLICT (type_name) DO UPDATE SET \
         schema_version = excluded.schema_version, attributes = excluded.attributes, disabled = NULL",
    )
    .bind(type_name)
    .bind(if is_newer { version } else { newest })
    .bind(serde_json::to_string(&all).unwrap_or_default())
    .execute(write.connection())
    .await?;
    Ok(Ok(()))
}
