//! What nodes report of their inventory: pieces put together, bounded, applied to what is here, and compared by hash.
//!
//! A change that does not fit leaves what is here as it is and marks the item as stale: the node says all of it anew by itself. Only what is
//! malformed is set aside.

use super::model::{Source, contents, version_text};
use super::own;
use super::store::{self, NewItem, Refusal};
use crate::platform::allowance::Allowance;
use crate::platform::store::{StoreError, Write};
use flotilla_protocol::capability::inventory::{Change, InventoryReport, MAXIMUM_TABLE_BYTES, Table};
use flotilla_protocol::id::NodeId;
use flotilla_protocol::{sha256, wire};
use miniz_oxide::inflate::decompress_to_vec_with_limit;

/// Entries, of before and of after, that cost as much as a change of its own.
const ENTRIES_OF_A_UNIT: usize = 1_000;
/// What the changes of one node may cost in a minute: the first inventory of a large node, and no more. A device that was taken over could
/// otherwise keep the writer busy for all others by having everything and nothing in turns.
pub const BUDGET_OF_A_NODE: u32 = 60;

/// What the node has left of [`BUDGET_OF_A_NODE`].
#[derive(Debug, Clone, Copy)]
pub struct Budget<'a> {
    /// Counts for all nodes.
    pub allowance: &'a Allowance<NodeId>,
    /// Now: Unix time in milliseconds.
    pub now_ms: u64,
}

impl Budget<'_> {
    /// Whether there is something left for a change of so many entries that are here. It is asked before anything is done.
    fn covers(self, node: NodeId, entries_before: i64) -> bool {
        self.allowance.takes(node, self.now_ms) && self.covers_entries(node, usize::try_from(entries_before).unwrap_or(0))
    }

    fn covers_entries(self, node: NodeId, entries: usize) -> bool {
        (0..entries / ENTRIES_OF_A_UNIT).all(|_| self.allowance.takes(node, self.now_ms))
    }
}

/// Takes a piece of a change up. `captured_ms` is when it was made.
///
/// # Errors
/// What the database says. Inside: why the report is set aside.
pub async fn report(
    write: &mut Write<'_>,
    node: NodeId,
    report: &InventoryReport,
    captured_ms: u64,
    budget: Budget<'_>,
) -> Result<Result<(), String>, StoreError> {
    let (node_id, type_name) = (node.to_string(), report.type_name.as_str());
    let version = version_text(report.schema_version);
    if own::is_own(type_name) {
        return Ok(Err("the bridge has this type of its own".to_owned()));
    }
    if report.piece == 0 {
        forget_pieces(write, &node_id).await?;
    }
    let item = store::find(write.connection(), &node_id, type_name).await?;
    let before = item.as_ref().map_or(0, |item| item.entries);
    let nothing = Table::default().hash();
    if report.hash == nothing {
        // Nothing without attributes is what a type is that is gone, whatever it was before: nothing of it is kept.
        let is_there = item.as_ref().is_some_and(|item| item.is_from(Source::Node));
        if is_there && !budget.covers(node, before) {
            return stale(write, &node_id, type_name, &version).await.map(Ok);
        }
        store::remove(write, &node_id, type_name).await?;
        return Ok(Ok(()));
    }
    if store::custom_type(write.connection(), type_name).await?.is_some_and(|known| known.refuses(&version)) {
        return Ok(Ok(()));
    }
    if let Some(item) = item.as_ref().filter(|item| item.is_table(&report.hash) && item.is_from(Source::Node)) {
        // What comes out is here already: said anew as a whole, or a piece of that.
        return store::touch(write, item, &version, captured_ms, Source::Node).await.map(|_| Ok(()));
    }
    let base = match (report.base.as_ref().filter(|base| **base != nothing), &item) {
        (None, _) => None,
        (Some(base), Some(item)) if item.is_table(base) => Some(item),
        (Some(_), _) => return stale(write, &node_id, type_name, &version).await.map(Ok),
    };
    // The last piece makes the others a change: putting together, inflating and hashing are what costs, and are paid before.
    if report.piece + 1 == report.pieces && !budget.covers(node, before) {
        return stale(write, &node_id, type_name, &version).await.map(Ok);
    }
    let Some(compressed) = assembled(write, &node_id, report).await? else {
        return Ok(Ok(()));
    };
    let Some(compressed) = compressed else {
        return stale(write, &node_id, type_name, &version).await.map(Ok);
    };
    let base = match base {
        None => Some(Table::default()),
        Some(item) => store::table(write.connection(), item).await?,
    };
    let table = match base.ok_or_else(|| "what is here makes no table".to_owned()).and_then(|base| changed(&base, &compressed, report)) {
        Ok(table) => table,
        Err(why) => {
            stale(write, &node_id, type_name, &version).await?;
            return Ok(Err(why));
        }
    };
    let contents = contents(&table);
    if !budget.covers_entries(node, contents.len()) {
        return stale(write, &node_id, type_name, &version).await.map(Ok);
    }
    let new = NewItem {
        node_id: &node_id,
        type_name,
        schema_version: version.clone(),
        captured_ms,
        table: &table,
        table_hash: report.hash,
        content_hash: hexadecimal(&report.hash),
        contents: &contents,
        source: Source::Node,
    };
    match store::replace(write, item.as_ref(), &new).await? {
        Ok(()) | Err(Refusal::Disabled(_)) => Ok(Ok(())),
        Err(refusal) => {
            stale(write, &node_id, type_name, &version).await?;
            Ok(Err(refusal.to_string()))
        }
    }
}

/// Reports of a node were lost: what is here of it may be anything by now.
///
/// # Errors
/// What the database says.
pub async fn lost(write: &mut Write<'_>, node: NodeId) -> Result<(), StoreError> {
    let node_id = node.to_string();
    forget_pieces(write, &node_id).await?;
    sqlx::query("UPDATE inventory_node SET stale = 1 WHERE node_id = $1 AND source = 'node'")
        .bind(node_id)
        .execute(write.connection())
        .await?;
    Ok(())
}

async fn stale(write: &mut Write<'_>, node_id: &str, type_name: &str, version: &str) -> Result<(), StoreError> {
    forget_pieces(write, node_id).await?;
    store::mark_stale(write, node_id, type_name, version).await
}

/// The whole of a change whose last piece this is. Nothing while more is to come; nothing inside where a piece before is missing.
async fn assembled(write: &mut Write<'_>, node_id: &str, report: &InventoryReport) -> Result<Option<Option<Vec<u8>>>, StoreError> {
    if report.pieces == 1 {
        return Ok(Some(Some(report.bytes.clone())));
    }
    let change_hash = sha256(&[&wire::encode(&InventoryReport { piece: 0, bytes: vec![0], ..report.clone() })]);
    let (pieces, of_change): (i64, i64) = sqlx::query_as(
        "SELECT COUNT(*), COALESCE(SUM(CASE WHEN change_hash = $2 AND piece < $3 THEN 1 ELSE 0 END), 0) FROM inventory_piece WHERE node_id = $1",
    )
    .bind(node_id)
    .bind(change_hash.as_slice())
    .bind(i64::from(report.piece))
    .fetch_one(write.connection())
    .await?;
    if pieces != i64::from(report.piece) || of_change != pieces {
        return Ok(Some(None));
    }
    if report.piece + 1 < report.pieces {
        sqlx::query("INSERT INTO inventory_piece (node_id, piece, change_hash, bytes) VALUES ($1, $2, $3, $4)")
            .bind(node_id)
            .bind(i64::from(report.piece))
            .bind(change_hash.as_slice())
            .bind(&report.bytes)
            .execute(write.connection())
            .await?;
        return Ok(None);
    }
    let before: Vec<Vec<u8>> = sqlx::query_scalar("SELECT bytes FROM inventory_piece WHERE node_id = $1 ORDER BY piece")
        .bind(node_id)
        .fetch_all(write.connection())
        .await?;
    forget_pieces(write, node_id).await?;
    Ok(Some(Some([before.concat(), report.bytes.clone()].concat())))
}

async fn forget_pieces(write: &mut Write<'_>, node_id: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM inventory_piece WHERE node_id = $1").bind(node_id).execute(write.connection()).await?;
    Ok(())
}

/// The table that a compressed change makes of another, if it is the one that the report names.
fn changed(base: &Table, compressed: &[u8], report: &InventoryReport) -> Result<Table, String> {
    let bytes = decompress_to_vec_with_limit(compressed, MAXIMUM_TABLE_BYTES)
        .map_err(|error| format!("what is compressed in it cannot be read: {:?}", error.status))?;
    let change = Change::from_bytes(&bytes).map_err(|error| error.to_string())?;
    let table = base.changed_by(&change).map_err(|error| error.to_string())?;
    if table.hash() == report.hash { Ok(table) } else { Err("what comes out has another hash than it says".to_owned()) }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
