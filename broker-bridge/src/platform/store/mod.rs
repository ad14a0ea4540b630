//! The store: one SQLite database, one writer, several readers.
//!
//! What is committed here is on disk (WAL with synchronous FULL, read back at the start: INVARIANTS, "Facts"). One SQL text
//! serves SQLite and PostgreSQL: `$1`, `ON CONFLICT … RETURNING`, BIGINT, TEXT and BYTEA, times as integer milliseconds,
//! JSON as text; what cannot be shared is in `dialect`.

mod dialect;
mod migrate;

pub use migrate::Migration;

use super::audit::{self, Chain, Record};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, SqlSafeStr as _, Sqlite, Transaction};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// Connections that only read.
pub const READERS: u32 = 4;
/// How long a connection waits for a lock of another process.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a caller waits for the writer, or for a reader, before it is told that the store is busy.
pub const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(20);
/// SQLite's page cache of a connection, in KiB: with the small default, upserts at random places read pages again and again.
const CACHE_KIB: u32 = 64 * 1024;
/// Pages in the write-ahead log before it is copied back, 16 MiB: rare enough to keep bursts fast, small enough to start fast.
const CHECKPOINT_PAGES: u32 = 4096;

/// Why the store did not do it, sorted by who must act.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Others hold the lock for longer than [`ACQUIRE_TIMEOUT`]. Trying again helps.
    #[error("the database is busy")]
    Busy(#[source] sqlx::Error),
    /// The disk is full, or gave an I/O error. The machine's owner must act.
    #[error("the database cannot be written: the disk is full or failing")]
    Full(#[source] sqlx::Error),
    /// The file is damaged, or not a database. Restore it from a backup.
    #[error("the database is damaged; restore it from a backup")]
    Corrupt(#[source] sqlx::Error),
    /// The file could not be made or opened.
    #[error("cannot open the database {path}")]
    Open {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The database does not keep what it commits, or a migration does not fit.
    #[error("the database cannot be used: {0}")]
    Unusable(String),
    /// Anything else: a mistake in the program.
    #[error("the database refused a statement")]
    Other(#[source] sqlx::Error),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let code = match &error {
            sqlx::Error::PoolTimedOut => return Self::Busy(error),
            sqlx::Error::Configuration(reason) => return Self::Unusable(reason.to_string()),
            sqlx::Error::Database(database) => database.code().and_then(|code| code.parse::<i32>().ok()).map_or(0, |code| code & 0xff),
            _ => 0,
        };
        match code {
            dialect::CODE_BUSY | dialect::CODE_LOCKED => Self::Busy(error),
            dialect::CODE_FULL | dialect::CODE_IO => Self::Full(error),
            dialect::CODE_CORRUPT | dialect::CODE_NOT_A_DATABASE => Self::Corrupt(error),
            _ => Self::Other(error),
        }
    }
}

/// The database. Clones share it.
#[derive(Debug, Clone)]
pub struct Store(Arc<Pools>);

#[derive(Debug)]
struct Pools {
    /// A pool of one: who wants to write waits in a fair queue.
    writer: SqlitePool,
    readers: SqlitePool,
    /// How many callers wait for the writer.
    waiting: AtomicUsize,
    /// How many announced transactions were committed.
    announced: watch::Sender<u64>,
    /// The end of the audit log.
    audit: Chain,
}

/// A transaction that may write. Dropped without [`Write::commit`], it never happened.
#[derive(Debug)]
pub struct Write<'a> {
    transaction: Transaction<'static, Sqlite>,
    store: &'a Store,
    announced: bool,
    /// What the audit log is to tell of it.
    records: Vec<Record>,
}

impl Write<'_> {
    /// Where statements are executed.
    pub fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }

    /// Makes what was written durable: when this returns, it survives a power cut.
    ///
    /// # Errors
    /// It could not be written; nothing of it happened.
    pub async fn commit(mut self) -> Result<(), StoreError> {
        self.records.extend(audit::call::untold());
        let audit = self.store.audit();
        let end = audit.append(&mut self.transaction, self.records).await?;
        self.transaction.commit().await?;
        if let Some(end) = end {
            audit.committed(end);
            audit::call::is_told();
        }
        if self.announced {
            self.store.0.announced.send_modify(|count| *count = count.wrapping_add(1));
        }
        Ok(())
    }

    /// Has the audit log tell this, if and only if the transaction is committed.
    pub fn record(&mut self, record: Record) {
        self.records.push(record);
    }

    /// Has the commit wake whoever listens to [`Store::announcements`].
    pub fn announce(&mut self) {
        self.announced = true;
    }
}

impl Store {
    /// Opens the database, makes it where it does not exist (mode 0600), and brings its schema up to date.
    ///
    /// # Errors
    /// The file cannot be opened or is damaged, or belongs to a newer bridge.
    pub async fn open(path: &Path, migrations: &[Migration]) -> Result<Self, StoreError> {
        // SQLite gives its log and index files the mode of the database, so making it first settles all three.
        let failed = |source| StoreError::Open { path: path.to_owned(), source };
        drop(OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path).map_err(failed)?);
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(false)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("cache_size", format!("-{CACHE_KIB}"))
            .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string());
        let pool = |connections| {
            SqlitePoolOptions::new()
                .min_connections(1)
                .max_connections(connections)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                .idle_timeout(None)
                .max_lifetime(None)
                .test_before_acquire(false)
        };
        // Asked of a connection of its own first: what a pool's connections are refused for is tried again and again.
        let mut first = options.connect().await?;
        assert_durable(&mut first).await?;
        first.close().await?;
        let writer = pool(1)
            .after_connect(|connection, _| Box::pin(assert_durable(connection)))
            // After a full disk or an I/O error SQLite has rolled back by itself, and the driver's count of open transactions is
            // wrong from then on: such a connection is closed, and the next one is fresh.
            .after_release(|connection, _| {
                Box::pin(async move {
                    connection.ping().await?;
                    Ok(!connection.is_in_transaction())
                })
            })
            .connect_with(options.clone())
            .await?;
        let readers = pool(READERS).connect_with(options.pragma("query_only", "ON")).await?;
        let store = Self(Arc::new(Pools {
            writer,
            readers,
            waiting: AtomicUsize::new(0),
            announced: watch::Sender::default(),
            audit: Chain::default(),
        }));
        migrate::run(&store, migrations).await?;
        Ok(store)
    }

    /// Begins a transaction that may write; waits until no other is open.
    ///
    /// # Errors
    /// The writer was not free within [`ACQUIRE_TIMEOUT`].
    pub async fn write(&self) -> Result<Write<'_>, StoreError> {
        let waits = Waits::begin(&self.0.waiting);
        let transaction = self.0.writer.begin_with(dialect::BEGIN_WRITE.into_sql_str()).await?;
        drop(waits);
        Ok(Write { transaction, store: self, announced: false, records: Vec::new() })
    }

    /// How many callers wait for the writer now.
    #[must_use]
    pub fn waiting_writers(&self) -> usize {
        self.0.waiting.load(Ordering::Relaxed)
    }

    /// Changes whenever a transaction was committed that left work for others to find.
    #[must_use]
    pub fn announcements(&self) -> watch::Receiver<u64> {
        self.0.announced.subscribe()
    }

    /// The audit log of this database.
    #[must_use]
    pub fn audit(&self) -> &Chain {
        &self.0.audit
    }

    /// Connections for reading; writing through them fails.
    #[must_use]
    pub fn reader(&self) -> &SqlitePool {
        &self.0.readers
    }

    /// Waits for what is under way and closes the database.
    pub async fn close(&self) {
        self.0.readers.close().await;
        self.0.writer.close().await;
    }
}

/// Counts one who waits, until it is dropped: also when the caller gives up.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn begin(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Refuses a connection that would not keep what it commits.
async fn assert_durable(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let journal: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *connection).await?;
    let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *connection).await?;
    let foreign_keys: i64 = sqlx::query_scalar("PRAGMA foreign_keys").fetch_one(connection).await?;
    if (journal.as_str(), synchronous, foreign_keys) == ("wal", 2, 1) {
        return Ok(());
    }
    let message = format!(
        "journal_mode is {journal}, synchronous {synchronous}, foreign_keys {foreign_keys}, where wal, 2 and 1 are needed; \
         keep it on a local file system"
    );
    Err(sqlx::Error::Configuration(message.into()))
}

#[cfg(test)]
mod tests;
