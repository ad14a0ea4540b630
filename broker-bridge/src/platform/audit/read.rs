//! Reading the log: its ends, what is signed of it, and pages.

use super::append::{Tail, mark_column};
use crate::platform::page::PART;
use crate::platform::store::{Store, StoreError};
use crate::platform::time::{from_column, to_column};
use flotilla_api::audit::{Entry, Hex, REPORT, SignedHead, SignedKind};
use flotilla_api::blob::Blob;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};
use std::collections::BTreeMap;

/// Most bytes that nodes have signed on one page: as base64 they stay far below the longest answer that a client reads.
const MAXIMUM_REPORTS_BYTES: usize = 4 * 1024 * 1024;

/// A row of `audit_mark`.
type MarkRow = (i64, Vec<u8>, i64, Vec<u8>, Vec<u8>);
/// The columns of an entry.
type EntryRow = (i64, i64, String, String, String, String, Vec<u8>);

/// What is signed of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marks {
    /// The newest entry.
    pub head: Option<SignedHead>,
    /// The last entry that was removed as old.
    pub base: Option<SignedHead>,
}

/// Which entries are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this kind.
    pub kind: Option<String>,
    /// Of this actor.
    pub actor: Option<String>,
    /// About this subject.
    pub subject: Option<String>,
    /// Not before this Unix time in milliseconds.
    pub since_ms: Option<u64>,
    /// Before this Unix time in milliseconds.
    pub until_ms: Option<u64>,
}

/// A column that somebody changed to what never was there reads as zeros: the check of the log finds it, and nothing panics.
fn bytes<const N: usize>(column: &[u8]) -> Hex<N> {
    Hex(column.try_into().unwrap_or([0; N]))
}

fn signed((sequence, hash, time_ms, key, signature): MarkRow) -> SignedHead {
    SignedHead {
        sequence: from_column(sequence),
        hash: bytes(&hash),
        time_ms: from_column(time_ms),
        key: bytes(&key),
        signature: bytes(&signature),
    }
}

/// The last entry, or the last that was removed where none is left.
pub(super) async fn tail(connection: &mut SqliteConnection) -> Result<Option<Tail>, StoreError> {
    let last: Option<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT sequence, hash FROM audit_entry ORDER BY sequence DESC LIMIT 1").fetch_optional(&mut *connection).await?;
    if let Some((sequence, hash)) = last {
        return Ok(Some((from_column(sequence), bytes(&hash))));
    }
    Ok(mark(connection, SignedKind::Base).await?.map(|base| (base.sequence, base.hash)))
}

/// The hash of the entry of this number; nothing where it is not there, be it that it was removed as old.
pub(super) async fn hash_of(connection: &mut SqliteConnection, sequence: u64) -> Result<Option<Hex<32>>, StoreError> {
    let row: Option<Vec<u8>> =
        sqlx::query_scalar("SELECT hash FROM audit_entry WHERE sequence = $1").bind(to_column(sequence)).fetch_optional(connection).await?;
    Ok(row.map(|hash| bytes(&hash)))
}

/// The head or the base.
pub(super) async fn mark(connection: &mut SqliteConnection, kind: SignedKind) -> Result<Option<SignedHead>, StoreError> {
    let row: Option<MarkRow> =
        sqlx::query_as("SELECT sequence, hash, time_ms, signing_key, signature FROM audit_mark WHERE kind = $1 AND number = 0")
            .bind(mark_column(kind))
            .fetch_optional(connection)
            .await?;
    Ok(row.map(signed))
}

/// Head and base of one moment.
///
/// # Errors
/// What the database says.
pub async fn marks(store: &Store) -> Result<Marks, StoreError> {
    let mut reader = store.reader().begin().await?;
    let (head, base) = (mark(&mut reader, SignedKind::Head).await?, mark(&mut reader, SignedKind::Base).await?);
    Ok(Marks { head, base })
}

/// The newest entry of a kind.
///
/// # Errors
/// What the database says.
pub async fn newest_of(store: &Store, kind: &str) -> Result<Option<Entry>, StoreError> {
    let row: Option<EntryRow> = sqlx::query_as(
        "SELECT sequence, time_ms, kind, actor, subject, detail, hash FROM audit_entry WHERE kind = $1 ORDER BY sequence DESC LIMIT 1",
    )
    .bind(kind)
    .fetch_optional(store.reader())
    .await?;
    Ok(row.map(entry))
}

/// The entries behind one and up to another.
pub(super) async fn run_of_entries(connection: &mut SqliteConnection, after: u64, up_to: u64) -> Result<Vec<Entry>, StoreError> {
    let rows: Vec<EntryRow> = sqlx::query_as(
        "SELECT sequence, time_ms, kind, actor, subject, detail, hash FROM audit_entry WHERE sequence > $1 AND sequence <= $2 \
         ORDER BY sequence",
    )
    .bind(to_column(after))
    .bind(to_column(up_to))
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(entry).collect())
}

fn entry((sequence, time_ms, kind, actor, subject, detail, hash): EntryRow) -> Entry {
    // What is no map of texts was changed, and its hash does not fit.
    let detail: BTreeMap<String, String> = serde_json::from_str(&detail).unwrap_or_default();
    let (sequence, time_ms) = (from_column(sequence), from_column(time_ms));
    Entry { sequence, time_ms, kind, actor, subject, detail, hash: bytes(&hash), checkpoint: None, report: None }
}

/// One page: at most `size` entries behind a number in their order, or before a number from the newest on, and the number behind which the
/// next page begins. What a page looks at is bounded, so it can be short and still have a next one.
///
/// # Errors
/// What the database says.
pub async fn page(
    store: &Store,
    filter: &Filter,
    newest_first: bool,
    from: Option<u64>,
    size: i64,
) -> Result<(Vec<Entry>, Option<u64>), StoreError> {
    let mut reader = store.reader().begin().await?;
    let ends: (Option<i64>, Option<i64>) =
        sqlx::query_as("SELECT MIN(sequence), MAX(sequence) FROM audit_entry").fetch_one(&mut *reader).await?;
    let (Some(first), Some(last)) = ends else { return Ok((Vec::new(), None)) };
    // The part that this page looks at: both ends belong to it.
    let (low, high) = if newest_first {
        let high = from.map_or(last, |from| to_column(from).saturating_sub(1)).min(last);
        (high.saturating_sub(PART - 1).max(first), high)
    } else {
        let low = from.map_or(first, |from| to_column(from).saturating_add(1)).max(first);
        (low, low.saturating_add(PART - 1).min(last))
    };
    let mut query: QueryBuilder<Sqlite> =
        QueryBuilder::new("SELECT sequence, time_ms, kind, actor, subject, detail, hash FROM audit_entry WHERE sequence >= ");
    query.push_bind(low).push(" AND sequence <= ").push_bind(high);
    for (column, wanted) in [("kind", &filter.kind), ("actor", &filter.actor), ("subject", &filter.subject)] {
        if let Some(wanted) = wanted {
            query.push(" AND ").push(column).push(" = ").push_bind(wanted.clone());
        }
    }
    if let Some(since_ms) = filter.since_ms {
        query.push(" AND time_ms >= ").push_bind(to_column(since_ms));
    }
    if let Some(until_ms) = filter.until_ms {
        query.push(" AND time_ms < ").push_bind(to_column(until_ms));
    }
    query.push(" ORDER BY sequence").push(if newest_first { " DESC" } else { "" }).push(" LIMIT ").push_bind(size);
    let rows: Vec<EntryRow> = query.build_query_as().fetch_all(&mut *reader).await?;
    let is_full = i64::try_from(rows.len()).is_ok_and(|rows| rows >= size);
    let mut entries: Vec<Entry> = rows.into_iter().map(entry).collect();
    let is_cut = add_reports(&mut reader, &mut entries).await?;
    let is_full = is_full || is_cut;
    let reached = match entries.last() {
        Some(entry) if is_full => to_column(entry.sequence),
        _ if newest_first => low,
        _ => high,
    };
    let is_end = if newest_first { reached <= first } else { reached >= last };
    add_checkpoints(&mut reader, &mut entries).await?;
    Ok((entries, (!is_end).then(|| from_column(reached))))
}

/// Puts what nodes have signed beside the entries. `true` where it was too much for one page, and the page was cut behind what fits: at least one
/// entry is left.
async fn add_reports(connection: &mut SqliteConnection, entries: &mut Vec<Entry>) -> Result<bool, StoreError> {
    let mut bytes = 0;
    for at in 0..entries.len() {
        let Some(entry) = entries.get_mut(at).filter(|entry| entry.detail.contains_key(REPORT)) else { continue };
        let sql = "SELECT envelope FROM audit_report WHERE sequence = $1";
        let envelope: Option<Vec<u8>> = sqlx::query_scalar(sql).bind(to_column(entry.sequence)).fetch_optional(&mut *connection).await?;
        bytes += envelope.as_ref().map_or(0, Vec::len);
        entry.report = envelope.map(Blob);
        if bytes > MAXIMUM_REPORTS_BYTES && at > 0 {
            entries.truncate(at);
            return Ok(true);
        }
    }
    Ok(false)
}

async fn add_checkpoints(connection: &mut SqliteConnection, entries: &mut [Entry]) -> Result<(), StoreError> {
    let numbers = || entries.iter().map(|entry| to_column(entry.sequence));
    let (Some(low), Some(high)) = (numbers().min(), numbers().max()) else { return Ok(()) };
    let rows: Vec<MarkRow> = sqlx::query_as(
        "SELECT sequence, hash, time_ms, signing_key, signature FROM audit_mark \
         WHERE kind = 'checkpoint' AND number >= $1 AND number <= $2",
    )
    .bind(low)
    .bind(high)
    .fetch_all(connection)
    .await?;
    let mut checkpoints: BTreeMap<u64, SignedHead> = rows.into_iter().map(signed).map(|signed| (signed.sequence, signed)).collect();
    for entry in entries {
        entry.checkpoint = checkpoints.remove(&entry.sequence);
    }
    Ok(())
}
