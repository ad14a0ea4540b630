//! Entries are added at the end, and nowhere else.

use super::counts::{Counts, READS};
use super::read::{hash_of, mark, tail};
use super::{BRIDGE, HeadSigner, Record};
use crate::platform::allowance::Allowance;
use crate::platform::store::StoreError;
use crate::platform::time::to_column;
use flotilla_api::audit::{CHECKPOINT_EVERY, DAMAGED, Entry, Hex, KEY_BEFORE, KEY_CHANGED, NOTHING_BEFORE, SignedHead, SignedKind};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Entries written with one statement. A few sizes only, so that the database knows the statements already.
const INSERT_ROWS: [usize; 3] = [64, 8, 1];
/// Refusals of a user that are told one by one in a minute; the rest is counted.
const REFUSALS_PER_MINUTE: u32 = 60;
/// Users whose refusals are told one by one in a minute.
const REFUSED_USERS: usize = 1_000;

/// The last entry: its number and its hash.
pub(super) type Tail = (u64, Hex<32>);

/// What the process knows of the log beside the database.
#[derive(Debug)]
pub struct Chain {
    signer: RwLock<Option<Arc<HeadSigner>>>,
    /// The signer is another than that of the last entry, and the log does not tell it yet.
    has_new_signer: AtomicBool,
    /// The last entry that this process has committed, or found well signed.
    last: Mutex<Option<Tail>>,
    /// What is counted instead of told one by one.
    pub(crate) counts: Counts,
    /// Which refusals are told one by one.
    pub(super) refusals: Allowance<String>,
}

impl Default for Chain {
    fn default() -> Self {
        let refusals = Allowance::new(REFUSALS_PER_MINUTE, REFUSED_USERS);
        let (signer, has_new_signer) = (RwLock::default(), AtomicBool::new(false));
        Self { signer, has_new_signer, last: Mutex::default(), counts: Counts::default(), refusals }
    }
}

impl Chain {
    /// From now on what is committed is signed, by this signer and no other: a new trust bundle may have brought another key.
    pub fn sign_with(&self, signer: HeadSigner) {
        let mut now = self.signer.write().unwrap_or_else(PoisonError::into_inner);
        if now.as_ref().is_some_and(|before| before.key() != signer.key()) {
            self.has_new_signer.store(true, Ordering::SeqCst);
        }
        *now = Some(Arc::new(signer));
    }

    /// Who signs, once that is said.
    #[must_use]
    pub fn signer(&self) -> Option<Arc<HeadSigner>> {
        self.signer.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts a reading that is no call of an operation.
    pub fn count_read(&self, user: &str, what: &str, now_ms: u64) {
        self.counts.add(READS, user, what, false, now_ms);
    }

    /// Adds records at the end, in a transaction. Returns the new end, for [`Chain::committed`].
    pub(crate) async fn append(&self, connection: &mut SqliteConnection, mut records: Vec<Record>) -> Result<Option<Tail>, StoreError> {
        let Some(time_ms) = records.last().map(|record| record.time_ms) else { return Ok(None) };
        let end = tail(connection).await?;
        let signer = self.signer();
        if let Some(signer) = &signer {
            // In front: what was found comes before what is told now.
            records.splice(0..0, self.complaint(connection, signer, end, time_ms).await?);
        }
        let (mut sequence, mut hash) = end.unwrap_or((0, NOTHING_BEFORE));
        let mut entries = Vec::with_capacity(records.len());
        let mut reports = Vec::new();
        for Record { kind, actor, subject, detail, time_ms, signed } in records {
            let entry = Entry::chained(sequence, &hash, time_ms, [kind.to_owned(), actor, subject], detail);
            (sequence, hash) = (entry.sequence, entry.hash);
            reports.extend(signed.map(|envelope| (sequence, envelope)));
            entries.push(entry);
        }
        insert(connection, &entries).await?;
        insert_reports(connection, &reports).await?;
        if let Some(signer) = &signer {
            for entry in entries.iter().filter(|entry| entry.sequence.is_multiple_of(CHECKPOINT_EVERY)) {
                let signed = signer.sign(SignedKind::Checkpoint, entry.sequence, &entry.hash, time_ms);
                write_mark(connection, SignedKind::Checkpoint, &signed).await?;
            }
            write_mark(connection, SignedKind::Head, &signer.sign(SignedKind::Head, sequence, &hash, time_ms)).await?;
        }
        Ok(Some((sequence, hash)))
    }

    /// The transaction that made this the end has been committed.
    pub(crate) fn committed(&self, end: Tail) {
        self.has_new_signer.store(false, Ordering::SeqCst);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
    }

    /// What is wrong with the end of the log, as a record that tells it.
    async fn complaint(
        &self,
        connection: &mut SqliteConnection,
        signer: &HeadSigner,
        end: Option<Tail>,
        time_ms: u64,
    ) -> Result<Option<Record>, StoreError> {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some() && last == end && !self.has_new_signer.load(Ordering::SeqCst) {
            return Ok(None);
        }
        let head = mark(connection, SignedKind::Head).await?;
        let known = match last {
            Some((sequence, hash)) => Known::Last { sequence, is_there: hash_of(connection, sequence).await? == Some(hash) },
            None => Known::Nothing,
        };
        let found = judge(signer, known, end, head.as_ref());
        let (sequence, signed) = (end.map_or(0, |(sequence, _)| sequence), head.as_ref().map_or(0, |head| head.sequence));
        Ok(match found {
            Finding::Good => None,
            Finding::FormerKey(former) => {
                tracing::warn!(%former, "the audit log is signed with another key from here on");
                Some(Record::new(KEY_CHANGED, BRIDGE, "audit-log", time_ms).with(KEY_BEFORE, former).with("To", signer.key()))
            }
            Finding::Wrong(reason) => {
                tracing::error!(reason, last_entry = sequence, signed, "somebody has changed the audit log behind the bridge's back");
                let record = Record::new(DAMAGED, BRIDGE, "audit-log", time_ms).with("Reason", reason);
                Some(record.with("LastEntry", sequence).with("SignedEntry", signed))
            }
        })
    }
}

/// What the end of the log looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finding {
    Good,
    /// It is well signed, with a key that is not the bridge's now and was before.
    FormerKey(Hex<32>),
    Wrong(&'static str),
}

/// What this process knows of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// It has neither written nor looked at anything yet.
    Nothing,
    /// The number of the last entry, and whether the entry of that number is still the same.
    Last { sequence: u64, is_there: bool },
}

/// Compares the end of the log with what this process knows and with what is signed.
fn judge(signer: &HeadSigner, known: Known, end: Option<Tail>, head: Option<&SignedHead>) -> Finding {
    // Another process may have added some: a user was added beside the running bridge. It changes nothing that was there, and removes nothing.
    if let Known::Last { sequence, is_there } = known {
        if end.is_none_or(|(found, _)| found < sequence) {
            return Finding::Wrong("entries at the end were removed");
        }
        if !is_there {
            return Finding::Wrong("the last entry that this bridge had written was changed");
        }
    }
    let Some(head) = head else {
        return if end.is_none() { Finding::Good } else { Finding::Wrong("the signed head was removed") };
    };
    if !head.is_signed(SignedKind::Head, &signer.fleet()) {
        return Finding::Wrong("the signature of the head does not fit");
    }
    match end {
        None => Finding::Wrong("all entries were removed"),
        Some((sequence, _)) if sequence < head.sequence => Finding::Wrong("entries at the end were removed"),
        Some((sequence, _)) if sequence > head.sequence => Finding::Wrong("entries were added that nobody signed"),
        Some((_, hash)) if hash != head.hash => Finding::Wrong("the last entry was changed"),
        Some(_) if head.key == signer.key() => Finding::Good,
        Some(_) if signer.former.contains(&head.key) => Finding::FormerKey(head.key),
        Some(_) => Finding::Wrong("the head is signed by a key that no trust bundle names for the bridge"),
    }
}

async fn insert(connection: &mut SqliteConnection, entries: &[Entry]) -> Result<(), StoreError> {
    let mut rest = entries;
    for rows in INSERT_ROWS {
        while let Some((some, others)) = rest.split_at_checked(rows) {
            let mut query: QueryBuilder<Sqlite> =
                QueryBuilder::new("INSERT INTO audit_entry (sequence, time_ms, kind, actor, subject, detail, hash) ");
            query.push_values(some, |mut row, entry| {
                row.push_bind(to_column(entry.sequence))
                    .push_bind(to_column(entry.time_ms))
                    .push_bind(entry.kind.as_str())
                    .push_bind(entry.actor.as_str())
                    .push_bind(entry.subject.as_str())
                    // A map of texts is always JSON.
                    .push_bind(serde_json::to_string(&entry.detail).unwrap_or_default())
                    .push_bind(entry.hash.0.as_slice());
            });
            query.build().execute(&mut *connection).await?;
            rest = others;
        }
    }
    Ok(())
}

/// Keeps what nodes have signed beside the entries of these numbers.
async fn insert_reports(connection: &mut SqliteConnection, reports: &[(u64, Vec<u8>)]) -> Result<(), StoreError> {
    let mut rest = reports;
    for rows in INSERT_ROWS {
        while let Some((some, others)) = rest.split_at_checked(rows) {
            let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("INSERT INTO audit_report (sequence, envelope) ");
            query.push_values(some, |mut row, (sequence, envelope)| {
                row.push_bind(to_column(*sequence)).push_bind(envelope.as_slice());
            });
            // Who has cut the end of the log may have left what stood beside it.
            query.push(" ON CONFLICT (sequence) DO UPDATE SET envelope = excluded.envelope").build().execute(&mut *connection).await?;
            rest = others;
        }
    }
    Ok(())
}

/// A kind as the database names it.
pub(super) fn mark_column(kind: SignedKind) -> &'static str {
    match kind {
        SignedKind::Head => "head",
        SignedKind::Checkpoint => "checkpoint",
        SignedKind::Base => "base",
    }
}

pub(super) async fn write_mark(connection: &mut SqliteConnection, kind: SignedKind, signed: &SignedHead) -> Result<(), StoreError> {
    let number = if kind == SignedKind::Checkpoint { signed.sequence } else { 0 };
    sqlx::query(
        "INSERT INTO audit_mark (kind, number, sequence, hash, time_ms, signing_key, signature) VALUES ($1, $2, $3, $4, $5, $6, $7) \
         ON CONFLICT (kind, number) DO UPDATE SET sequence = excluded.sequence, hash = excluded.hash, time_ms = excluded.time_ms, \
         signing_key = excluded.signing_key, signature = excluded.signature",
    )
    .bind(mark_column(kind))
    .bind(to_column(number))
    .bind(to_column(signed.sequence))
    .bind(signed.hash.0.as_slice())
    .bind(to_column(signed.time_ms))
    .bind(signed.key.0.as_slice())
    .bind(signed.signature.0.as_slice())
    .execute(connection)
    .await?;
    Ok(())
}
