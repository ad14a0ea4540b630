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
    #[error("a type has at most {MAXIMUM_ATTRIBUTES} attributes over all nodes for which it was put")]
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
    if let Err(refusal) = register(write, new.type_name, &new.schema_version, new.table.attributes(), new.source).await? {
        return Ok(Err(refusal));
    }
    let before = kept(write, before).await?;
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

/// What was there, unless it is about to be deleted with its type: what comes now came after that, and must not go with it.
async fn kept<'i>(write: &mut Write<'_>, before: Option<&'i Item>) -> Result<Option<&'i Item>, StoreError> {
    let Some(item) = before else { return Ok(None) };
    let done = sqlx::query(
        "DELETE FROM inventory_node WHERE place = $1 AND EXISTS \
         (SELECT 1 FROM inventory_deletion WHERE type_name = $2 AND remaining > 0 AND last_place >= $1)",
    )
    .bind(item.place)
    .bind(&item.type_name)
    .execute(write.connection())
    .await?;
    Ok(before.filter(|_| done.rows_affected() == 0))
}

/// The next number of a kind. None is given twice, whatever was removed meanwhile.
async fn next_number(write: &mut Write<'_>, kind: &str) -> Result<i64, StoreError> {
    let sql = "INSERT INTO inventory_number (kind, last) VALUES ($1, 1) \
               ON CONFLICT (kind) DO UPDATE SET last = inventory_number.last + 1 RETURNING last";
    Ok(sqlx::query_scalar(sql).bind(kind).fetch_one(write.connection()).await?)
}

async fn save(write: &mut Write<'_>, before: Option<&Item>, new: &NewItem<'_>, bytes: i64) -> Result<i64, StoreError> {
    let place = match before {
        Some(item) => item.place,
        None => next_number(write, "place").await?,
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
    let number = next_number(write, "entry").await?;
    sqlx::query("INSERT INTO inventory_entry (entry_number, hash, type_name, name, content) VALUES ($1, $2, $3, $4, $5)")
        .bind(number)
        .bind(hash)
        .bind(type_name)
        .bind(name(&entry(content)))
        .bind(content)
        .execute(write.connection())
        .await?;
    Ok(number)
}

/// Removes what a node has said of a type. Entries that nobody has any more go later.
pub(super) async fn remove(write: &mut Write<'_>, node_id: &str, type_name: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM inventory_node WHERE node_id = $1 AND type_name = $2 AND source = 'node'")
        .bind(node_id)
        .bind(type_name)
        .execute(write.connection())
        .await?;
    Ok(())
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

/// The item is still what it was, and was looked at. It may be of another version by now.
pub(super) async fn touch(
    write: &mut Write<'_>,
    item: &Item,
    version: &str,
    captured_ms: u64,
    source: Source,
) -> Result<Result<(), Refusal>, StoreError> {
    if let Err(refusal) = register(write, &item.type_name, version, &item.attributes(), source).await? {
        return Ok(Err(refusal));
    }
    sqlx::query("UPDATE inventory_node SET captured_ms = $2, schema_version = $3, stale = 0 WHERE place = $1")
        .bind(item.place)
        .bind(to_column(captured_ms))
        .bind(version)
        .execute(write.connection())
        .await?;
    Ok(Ok(()))
}

/// The node has something else by now. Where nothing of the type is known, that is written down, too.
pub(super) async fn mark_stale(write: &mut Write<'_>, node_id: &str, type_name: &str, version: &str) -> Result<(), StoreError> {
    let done = sqlx::query("UPDATE inventory_node SET stale = 1 WHERE node_id = $1 AND type_name = $2")
        .bind(node_id)
        .bind(type_name)
        .execute(write.connection())
        .await?;
    if done.rows_affected() == 1 {
        return Ok(());
    }
    let types: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM inventory_node WHERE node_id = $1").bind(node_id).fetch_one(write.connection()).await?;
    if usize::try_from(types).is_ok_and(|types| types >= MAXIMUM_TYPES) {
        return Ok(());
    }
    let next = next_number(write, "place").await?;
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
    node_attributes: String,
    pub(super) disabled: Option<String>,
}

impl CustomType {
    /// What was put, and what nodes have reported.
    fn attributes(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let read = |text: &str| serde_json::from_str(text).unwrap_or_default();
        (read(&self.attributes), read(&self.node_attributes))
    }

    /// The attributes that are shown: those that were put before those that any device may have invented.
    pub(super) fn shown(&self) -> BTreeSet<String> {
        let (mut put, reported) = self.attributes();
        extend_to_limit(&mut put, reported);
        put
    }

    /// Whether nothing of the newest version is taken.
    pub(super) fn is_disabled(&self) -> bool {
        self.refuses(&self.schema_version)
    }

    /// Whether nothing of this version is taken.
    pub(super) fn refuses(&self, version: &str) -> bool {
        self.disabled.as_deref().is_some_and(|disabled| super::model::version(version) <= super::model::version(disabled))
    }
}

/// A type of the fleet's own.
pub(super) async fn custom_type(connection: &mut SqliteConnection, type_name: &str) -> Result<Option<CustomType>, StoreError> {
    let sql = "SELECT type_name, schema_version, attributes, node_attributes, disabled FROM inventory_type WHERE type_name = $1";
    Ok(sqlx::query_as(sql).bind(type_name).fetch_optional(connection).await?)
}

/// All types of the fleet's own.
pub(super) async fn custom_types(connection: &mut SqliteConnection) -> Result<Vec<CustomType>, StoreError> {
    let sql = "SELECT type_name, schema_version, attributes, node_attributes, disabled FROM inventory_type ORDER BY type_name";
    Ok(sqlx::query_as(sql).fetch_all(connection).await?)
}

/// Adds what is new as long as there is place for it.
fn extend_to_limit(attributes: &mut BTreeSet<String>, more: impl IntoIterator<Item = String>) {
    for attribute in more {
        if attributes.len() < MAXIMUM_ATTRIBUTES {
            attributes.insert(attribute);
        }
    }
}

/// Writes down what a type of the fleet's own is like.
///
/// What nodes report fills no place that somebody else needs: it is never refused for what others have reported, and does not count towards
/// what may be put. What there is no place for is not shown among the types; it is kept all the same.
async fn register(
    write: &mut Write<'_>,
    type_name: &str,
    version: &str,
    attributes: &[String],
    source: Source,
) -> Result<Result<(), Refusal>, StoreError> {
    if !type_name.starts_with("Custom:") {
        return Ok(Ok(()));
    }
    let known = custom_type(write.connection(), type_name).await?;
    if let Some(disabled) = known.as_ref().filter(|known| known.refuses(version)).and_then(|known| known.disabled.clone()) {
        return Ok(Err(Refusal::Disabled(disabled)));
    }
    if !has_place(write, type_name, known.as_ref(), source).await? {
        return Ok(if source == Source::Node { Ok(()) } else { Err(Refusal::CustomTypes) });
    }
    let (put, reported) = known.as_ref().map(CustomType::attributes).unwrap_or_default();
    let (mut new_put, mut new_reported) = (put.clone(), reported.clone());
    match source {
        Source::Node => extend_to_limit(&mut new_reported, attributes.iter().cloned()),
        Source::Api => new_put.extend(attributes.iter().cloned()),
    }
    if new_put.len() > MAXIMUM_ATTRIBUTES {
        return Ok(Err(Refusal::Attributes));
    }
    let newest = known.as_ref().map_or("0.0", |known| known.schema_version.as_str());
    let is_newer = super::model::version(version) > super::model::version(newest);
    if known.is_some() && (&new_put, &new_reported) == (&put, &reported) && !is_newer {
        return Ok(Ok(()));
    }
    // What is disabled stays so, up to its version.
    sqlx::query(
        "INSERT INTO inventory_type (type_name, schema_version, attributes, node_attributes) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (type_name) DO UPDATE SET schema_version = excluded.schema_version, attributes = excluded.attributes, \
         node_attributes = excluded.node_attributes",
    )
    .bind(type_name)
    .bind(if is_newer { version } else { newest })
    .bind(serde_json::to_string(&new_put).unwrap_or_default())
    .bind(serde_json::to_string(&new_reported).unwrap_or_default())
    .execute(write.connection())
    .await?;
    Ok(Ok(()))
}

/// Whether there is a place for a type: types that nobody has take none, and what only nodes have takes none from what is put.
async fn has_place(write: &mut Write<'_>, type_name: &str, known: Option<&CustomType>, source: Source) -> Result<bool, StoreError> {
    if known.is_some_and(|known| source == Source::Node || !known.attributes().0.is_empty()) {
        return Ok(true);
    }
    if source == Source::Api {
        let count: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM inventory_type WHERE type_name <> $1 AND EXISTS \
             (SELECT 1 FROM inventory_node WHERE inventory_node.type_name = inventory_type.type_name AND source = 'api')",
        )
        .bind(type_name)
        .fetch_one(write.connection())
        .await?;
        if count >= MAXIMUM_CUSTOM_TYPES {
            return Ok(false);
        }
    }
    if known.is_some() {
        return Ok(true);
    }
    let sql = "SELECT COUNT(*) FROM inventory_type WHERE disabled IS NULL";
    let count: i64 = sqlx::query_scalar(sql).fetch_one(write.connection()).await?;
    if count < 2 * MAXIMUM_CUSTOM_TYPES {
        return Ok(true);
    }
    let done = sqlx::query(
        "DELETE FROM inventory_type WHERE disabled IS NULL AND NOT EXISTS \
         (SELECT 1 FROM inventory_node WHERE inventory_node.type_name = inventory_type.type_name)",
    )
    .execute(write.connection())
    .await?;
    Ok(done.rows_affected() > 0 || source == Source::Api)
}
