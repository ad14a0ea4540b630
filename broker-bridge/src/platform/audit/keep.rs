//! Keeping the log: what was counted in an hour is written, and what is beyond the wanted number of entries is removed.

use super::append::write_mark;
use super::read::{mark, run_of_entries, tail};
use super::{BRIDGE, Chain, Record};
use crate::clock::Clock;
use crate::platform::shutdown::Shutdown;
use crate::platform::store::{Store, StoreError};
use crate::platform::time::to_column;
use flotilla_api::audit::{DAMAGED, Entry, Hex, KEPT_REPORTS, NOTHING_BEFORE, SignedKind};
use std::time::Duration;

/// Entries that are kept where the settings say nothing.
pub const DEFAULT_KEPT: u64 = 2_000_000;
/// Entries that one transaction removes, and how many there must be too many before it does: each removal is itself an entry.
pub const REMOVED_AT_ONCE: u64 = 1_000;
/// The pause between two looks.
const PAUSE: Duration = Duration::from_secs(60);

/// Keeps the log until it is asked to stop; writes what was counted before it ends. By the number of entries and not by their age: a clock
/// that stands in another decade for a moment must not take the log with it.
pub async fn run(store: Store, clock: Clock, kept: u64, mut shutdown: Shutdown) {
    loop {
        let stops = tokio::select! {
            () = shutdown.requested() => true,
            () = tokio::time::sleep(PAUSE) => false,
        };
        if let Err(error) = once(&store, &clock, kept, &shutdown).await {
            tracing::error!(%error, "the audit log was not tidied");
        }
        if stops {
            return;
        }
    }
}

/// One look: writes the counts of an hour that is over, or all of them where this is the last look, and removes what is too much until it is
/// asked to stop: after somebody has lowered the number of entries that may be as many as two thousand transactions.
pub(super) async fn once(store: &Store, clock: &Clock, kept: u64, shutdown: &Shutdown) -> Result<(), StoreError> {
    let now_ms = clock.now_ms();
    if shutdown.is_requested() || store.audit().counts.is_due(now_ms) {
        write_counts(store, now_ms).await?;
    }
    while !shutdown.is_requested() && remove(store, kept, now_ms).await? {}
    forget_reports(store, KEPT_REPORTS).await
}

/// Forgets what nodes have signed, but for the newest. The log goes on without it: its entries tell the hashes.
pub(super) async fn forget_reports(store: &Store, kept: u64) -> Result<(), StoreError> {
    let newest: Option<i64> = sqlx::query_scalar("SELECT sequence FROM audit_report ORDER BY sequence DESC LIMIT 1 OFFSET $1")
        .bind(to_column(kept))
        .fetch_optional(store.reader())
        .await?;
    let Some(newest) = newest else { return Ok(()) };
    let mut write = store.write().await?;
    sqlx::query("DELETE FROM audit_report WHERE sequence <= $1").bind(newest).execute(write.connection()).await?;
    write.commit().await
}

/// Writes what was counted. Where that fails it is counted still, and written with the next look.
async fn write_counts(store: &Store, now_ms: u64) -> Result<(), StoreError> {
    let chain: &Chain = store.audit();
    let mut write = store.write().await?;
    let taken = chain.counts.take();
    for record in taken.records(now_ms) {
        write.record(record);
    }
    let written = write.commit().await;
    if written.is_err() {
        chain.counts.put_back(taken);
    }
    written
}

/// Removes the oldest entries, where there are too many, and leaves a signature in their place; `true` where it did.
///
/// # Errors
/// What the database says; nothing was removed then.
pub async fn remove(store: &Store, kept: u64, now_ms: u64) -> Result<bool, StoreError> {
    let mut write = store.write().await?;
    let Some(signer) = store.audit().signer() else { return Ok(false) };
    let (base, before) = mark(write.connection(), SignedKind::Base).await?.map_or((0, NOTHING_BEFORE), |base| (base.sequence, base.hash));
    let last = tail(write.connection()).await?.map_or(0, |(sequence, _)| sequence);
    if last.saturating_sub(base) < kept.saturating_add(REMOVED_AT_ONCE) {
        return Ok(false);
    }
    let up_to = base.saturating_add(REMOVED_AT_ONCE);
    let old = run_of_entries(write.connection(), base, up_to).await?;
    // What was changed must not go unsaid because it goes.
    let holds = continues(&old, base, &before, up_to);
    let hash = old.last().map_or(NOTHING_BEFORE, |entry| entry.hash);
    let signed = signer.sign(SignedKind::Base, up_to, &hash, now_ms);
    write_mark(write.connection(), SignedKind::Base, &signed).await?;
    for sql in [
        "DELETE FROM audit_entry WHERE sequence <= $1",
        "DELETE FROM audit_report WHERE sequence <= $1",
        "DELETE FROM audit_mark WHERE kind = 'checkpoint' AND number <= $1",
    ] {
        sqlx::query(sql).bind(to_column(up_to)).execute(write.connection()).await?;
    }
    if !holds {
        tracing::error!(up_to, "somebody has changed old entries of the audit log");
        let record = Record::new(DAMAGED, BRIDGE, "audit-log", now_ms).with("Reason", "entries that went as old had been changed");
        write.record(record.with("UpTo", up_to));
    }
    write.record(Record::new("entries-removed", BRIDGE, "audit-log", now_ms).with("UpTo", up_to).with("Kept", kept));
    write.commit().await?;
    Ok(true)
}

/// Whether entries follow one another without a gap, from behind an entry up to another.
fn continues(entries: &[Entry], base: u64, before: &Hex<32>, up_to: u64) -> bool {
    let mut end = (base, *before);
    entries.iter().all(|entry| {
        let fits = entry.sequence == end.0.saturating_add(1) && entry.hash == entry.hash_after(&end.1);
        end = (entry.sequence, entry.hash);
        fits
    }) && end.0 == up_to
}
