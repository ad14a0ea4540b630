//! What is left over is removed: entries that no node has any more, and deletions that were interrupted are gone on with.

use super::deletion;
use crate::fleet::Fleet;
use crate::platform::shutdown::Shutdown;
use crate::platform::store::StoreError;
use std::sync::Arc;
use std::time::Duration;

/// The pause between two looks.
const PAUSE: Duration = Duration::from_secs(3600);
/// The pause between two batches of one look, so that whoever else wants to write does.
const BREATH: Duration = Duration::from_millis(10);
/// Entries that one look takes into one statement.
const LOOKED_AT: i64 = 10_000;
/// Entries that one transaction removes.
const BATCH: usize = 256;

/// Removes what is left over, at the start and every hour, until it is asked to stop.
pub async fn run(fleet: Arc<Fleet>, mut shutdown: Shutdown) {
    while !shutdown.is_requested() {
        if let Err(error) = sweep(&fleet, &shutdown).await {
            tracing::error!(error = &error as &dyn std::error::Error, "what is left over of inventories could not be removed");
        }
        tokio::select! {
            () = shutdown.requested() => {}
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

async fn sweep(fleet: &Fleet, shutdown: &Shutdown) -> Result<(), StoreError> {
    while !shutdown.is_requested() && deletion::go_on(fleet).await? {
        tokio::time::sleep(BREATH).await;
    }
    let mut after = 0;
    while !shutdown.is_requested() {
        let Some(next) = orphans(fleet, after).await? else { return Ok(()) };
        after = next;
        tokio::time::sleep(BREATH).await;
    }
    Ok(())
}

/// Removes the entries behind a number that no node has, as far as one batch goes; how far that is, until the end is reached.
///
/// # Errors
/// What the database says; nothing of the batch was removed then.
pub async fn orphans(fleet: &Fleet, after: i64) -> Result<Option<i64>, StoreError> {
    // Numbers are never given twice: there are more of them than entries.
    let end: Option<i64> = sqlx::query_scalar(
        "SELECT MAX(entry_number) FROM (SELECT entry_number FROM inventory_entry WHERE entry_number > $1 ORDER BY entry_number LIMIT $2)",
    )
    .bind(after)
    .bind(LOOKED_AT)
    .fetch_one(fleet.store.reader())
    .await?;
    let Some(end) = end else { return Ok(None) };
    let orphans: Vec<i64> = sqlx::query_scalar(
        "SELECT entry_number FROM inventory_entry WHERE entry_number > $1 AND entry_number <= $2 AND NOT EXISTS \
         (SELECT 1 FROM inventory_node_entry WHERE inventory_node_entry.entry_number = inventory_entry.entry_number) ORDER BY entry_number",
    )
    .bind(after)
    .bind(end)
    .fetch_all(fleet.store.reader())
    .await?;
    let batch = orphans.get(..BATCH).unwrap_or(&orphans);
    if !batch.is_empty() {
        let mut write = fleet.store.write().await?;
        for number in batch {
            super::store::remove_orphan(&mut write, *number).await?;
        }
        write.commit().await?;
    }
    Ok(Some(if batch.len() < orphans.len() { batch.last().copied().unwrap_or(end) } else { end }))
}
