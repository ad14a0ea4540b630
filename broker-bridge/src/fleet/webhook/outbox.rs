//! The messages that wait to be posted, and the counts of what became of them.
//!
//! Bounded: when a webhook has [`MAXIMUM_WAITING`] messages waiting, the oldest are dropped and counted, and what happens goes on.

use crate::platform::store::{StoreError, Write};
use crate::platform::time::to_column;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

/// Most messages of a webhook that wait; of some 400 bytes each.
pub const MAXIMUM_WAITING: i64 = 100_000;
/// Messages written with one statement: six values each, far below the limit of SQLite.
const INSERT_ROWS: usize = 500;

/// A message to be posted.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Message {
    /// Its number among all messages that its webhook ever had.
    pub sequence: i64,
    /// Its id, the same in every attempt.
    pub message_id: String,
    /// What is posted: JSON.
    pub body: String,
    /// When it was written: Unix time in milliseconds.
    pub created_ms: i64,
    /// How often it was posted in vain.
    pub attempts: i64,
}

/// What became of messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Counts {
    /// Not yet delivered.
    pub waiting: i64,
    /// Taken by the receiver.
    pub delivered: i64,
    /// Not taken for a whole day, or refused for good.
    pub given_up: i64,
    /// Removed because too many waited.
    pub dropped: i64,
}

/// Writes messages to be posted, in this order, and has their delivery woken by the commit.
///
/// # Errors
/// What the database says, or there are no random bytes for the ids.
pub async fn enqueue(write: &mut Write<'_>, webhook: &str, bodies: &[String], now_ms: u64) -> Result<(), StoreError> {
    enqueue_within(write, webhook, bodies, now_ms, MAXIMUM_WAITING).await
}

/// With another bound.
async fn enqueue_within(write: &mut Write<'_>, webhook: &str, bodies: &[String], now_ms: u64, maximum: i64) -> Result<(), StoreError> {
    // Of more than fit, the newest would drive out the others at once.
    let fitting = usize::try_from(maximum).unwrap_or(usize::MAX);
    let (beyond, bodies) = bodies.split_at(bodies.len().saturating_sub(fitting));
    if bodies.is_empty() {
        return Ok(());
    }
    let count = |length: usize| i64::try_from(length).unwrap_or(i64::MAX);
    let (waiting, ever): (i64, i64) = sqlx::query_as(
        "INSERT INTO webhook (name, waiting, dropped) VALUES ($1, $2, $3) \
         ON CONFLICT (name) DO UPDATE SET waiting = webhook.waiting + $2, dropped = webhook.dropped + $3 \
         RETURNING waiting, waiting + delivered + given_up + dropped",
    )
    .bind(webhook)
    .bind(count(bodies.len()))
    .bind(count(beyond.len()))
    .fetch_one(write.connection())
    .await?;
    // Every message that ever was is counted somewhere, so the counts number them.
    let first = ever - count(bodies.len());
    let ids = bodies.iter().map(|_| message_id(now_ms)).collect::<Result<Vec<_>, _>>()?;
    let messages: Vec<(i64, &String, &String)> =
        (first..).zip(&ids).zip(bodies).map(|((sequence, id), body)| (sequence, id, body)).collect();
    for chunk in messages.chunks(INSERT_ROWS) {
        let mut query: QueryBuilder<Sqlite> =
            QueryBuilder::new("INSERT INTO webhook_message (webhook, sequence, message_id, body, created_ms, next_ms) ");
        query.push_values(chunk, |mut row, (sequence, id, body)| {
            row.push_bind(webhook).push_bind(*sequence).push_bind(*id).push_bind(*body);
            row.push_bind(to_column(now_ms)).push_bind(to_column(now_ms));
        });
        query.build().execute(write.connection()).await?;
    }
    let excess = waiting - maximum;
    if excess > 0 {
        let dropped = sqlx::query(
            "DELETE FROM webhook_message WHERE webhook = $1 AND sequence IN \
             (SELECT sequence FROM webhook_message WHERE webhook = $1 ORDER BY sequence LIMIT $2)",
        )
        .bind(webhook)
        .bind(excess)
        .execute(write.connection())
        .await?
        .rows_affected();
        count_removed(write, webhook, "dropped", dropped).await?;
        tracing::warn!(webhook, dropped, "too many notifications wait: the oldest were dropped");
    }
    write.announce();
    Ok(())
}

/// `msg_` and a UUIDv7.
fn message_id(now_ms: u64) -> Result<String, StoreError> {
    let mut random = [0; 10];
    getrandom::fill(&mut random).map_err(|error| StoreError::Unusable(format!("there are no random bytes: {error}")))?;
    Ok(format!("msg_{}", uuid::Builder::from_unix_timestamp_millis(now_ms, &random).into_uuid().simple()))
}

/// Messages that are due, the longest due first.
///
/// # Errors
/// What the database says.
pub async fn due(connection: &mut SqliteConnection, webhook: &str, now_ms: u64, limit: usize) -> Result<Vec<Message>, StoreError> {
    Ok(sqlx::query_as(
        "SELECT sequence, message_id, body, created_ms, attempts FROM webhook_message WHERE webhook = $1 AND next_ms <= $2 \
         ORDER BY next_ms, sequence LIMIT $3",
    )
    .bind(webhook)
    .bind(to_column(now_ms))
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(connection)
    .await?)
}

/// When the next message is due: Unix time in milliseconds.
///
/// # Errors
/// What the database says.
pub async fn next_due_ms(connection: &mut SqliteConnection, webhook: &str) -> Result<Option<u64>, StoreError> {
    let next: Option<i64> = sqlx::query_scalar("SELECT next_ms FROM webhook_message WHERE webhook = $1 ORDER BY next_ms LIMIT 1")
        .bind(webhook)
        .fetch_optional(connection)
        .await?;
    Ok(next.map(crate::platform::time::from_column))
}

/// The receiver has taken a message.
///
/// # Errors
/// What the database says.
pub async fn delivered(write: &mut Write<'_>, webhook: &str, sequence: i64) -> Result<(), StoreError> {
    remove(write, webhook, sequence, "delivered").await
}

/// Nobody will take a message any more.
///
/// # Errors
/// What the database says.
pub async fn given_up(write: &mut Write<'_>, webhook: &str, sequence: i64) -> Result<(), StoreError> {
    remove(write, webhook, sequence, "given_up").await
}

async fn remove(write: &mut Write<'_>, webhook: &str, sequence: i64, counted_as: &'static str) -> Result<(), StoreError> {
    let sql = "DELETE FROM webhook_message WHERE webhook = $1 AND sequence = $2";
    // It may have been dropped while it was posted.
    let removed = sqlx::query(sql).bind(webhook).bind(sequence).execute(write.connection()).await?.rows_affected();
    count_removed(write, webhook, counted_as, removed).await
}

/// A message was not taken: it is due again at this time.
///
/// # Errors
/// What the database says.
pub async fn failed(write: &mut Write<'_>, webhook: &str, sequence: i64, next_ms: u64) -> Result<(), StoreError> {
    sqlx::query("UPDATE webhook_message SET attempts = attempts + 1, next_ms = $3 WHERE webhook = $1 AND sequence = $2")
        .bind(webhook)
        .bind(sequence)
        .bind(to_column(next_ms))
        .execute(write.connection())
        .await?;
    Ok(())
}

/// Makes due now what is due only beyond a time, both Unix time in milliseconds: a clock that stood ahead wrote it, and it would wait for
/// that clock. Its age counts from now on at most. Returns how many messages that were.
///
/// # Errors
/// What the database says.
pub async fn put_right(write: &mut Write<'_>, webhook: &str, beyond_ms: u64, now_ms: u64) -> Result<u64, StoreError> {
    let sql = "UPDATE webhook_message SET next_ms = $3, created_ms = MIN(created_ms, $3) WHERE webhook = $1 AND next_ms > $2";
    let query = sqlx::query(sql).bind(webhook).bind(to_column(beyond_ms)).bind(to_column(now_ms));
    Ok(query.execute(write.connection()).await?.rows_affected())
}

/// Gives up what was written before a time: Unix time in milliseconds. Returns how many messages that were.
///
/// # Errors
/// What the database says.
pub async fn give_up_before(write: &mut Write<'_>, webhook: &str, before_ms: u64) -> Result<u64, StoreError> {
    // The oldest alone is read where there is nothing to do.
    let oldest: Option<i64> = sqlx::query_scalar("SELECT created_ms FROM webhook_message WHERE webhook = $1 ORDER BY sequence LIMIT 1")
        .bind(webhook)
        .fetch_optional(write.connection())
        .await?;
    if oldest.is_none_or(|oldest| oldest >= to_column(before_ms)) {
        return Ok(0);
    }
    let removed = sqlx::query("DELETE FROM webhook_message WHERE webhook = $1 AND created_ms < $2")
        .bind(webhook)
        .bind(to_column(before_ms))
        .execute(write.connection())
        .await?
        .rows_affected();
    count_removed(write, webhook, "given_up", removed).await?;
    Ok(removed)
}

/// Gives up the messages of all webhooks but these. Returns how many messages that were.
///
/// # Errors
/// What the database says.
pub async fn give_up_others(write: &mut Write<'_>, known: &[&str]) -> Result<u64, StoreError> {
    let names: Vec<String> = sqlx::query_scalar("SELECT name FROM webhook WHERE waiting > 0").fetch_all(write.connection()).await?;
    let mut given_up = 0;
    for name in names.iter().filter(|name| !known.contains(&name.as_str())) {
        let removed =
            sqlx::query("DELETE FROM webhook_message WHERE webhook = $1").bind(name).execute(write.connection()).await?.rows_affected();
        count_removed(write, name, "given_up", removed).await?;
        given_up += removed;
    }
    Ok(given_up)
}

async fn count_removed(write: &mut Write<'_>, webhook: &str, counted_as: &'static str, removed: u64) -> Result<(), StoreError> {
    if removed == 0 {
        return Ok(());
    }
    let sql = format!("UPDATE webhook SET waiting = waiting - $2, {counted_as} = {counted_as} + $2 WHERE name = $1");
    let removed = i64::try_from(removed).unwrap_or(i64::MAX);
    sqlx::query(sqlx::AssertSqlSafe(sql)).bind(webhook).bind(removed).execute(write.connection()).await?;
    Ok(())
}

/// The counts of a webhook.
///
/// # Errors
/// What the database says.
pub async fn counts(connection: &mut SqliteConnection, webhook: &str) -> Result<Counts, StoreError> {
    let counts = sqlx::query_as("SELECT waiting, delivered, given_up, dropped FROM webhook WHERE name = $1");
    Ok(counts.bind(webhook).fetch_optional(connection).await?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::store::Store;
    use crate::schema::MIGRATIONS;

    const NOW_MS: u64 = 1_795_219_200_000;

    async fn waiting(store: &Store) -> Vec<String> {
        let mut reader = store.reader().acquire().await.unwrap();
        due(&mut reader, "a", u64::MAX, 100).await.unwrap().into_iter().map(|message| message.body).collect()
    }

    async fn counts_of(store: &Store) -> Counts {
        counts(&mut store.reader().acquire().await.unwrap(), "a").await.unwrap()
    }

    fn bodies(numbers: std::ops::Range<u32>) -> Vec<String> {
        numbers.map(|number| number.to_string()).collect()
    }

    #[tokio::test]
    async fn at_the_bound_the_oldest_are_dropped_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("fleet.db"), MIGRATIONS).await.unwrap();
        let mut announced = store.announcements();
        let mut write = store.write().await.unwrap();
        enqueue_within(&mut write, "a", &bodies(0..3), NOW_MS, 5).await.unwrap();
        enqueue_within(&mut write, "b", &bodies(0..3), NOW_MS, 5).await.unwrap();
        assert!(!announced.has_changed().unwrap(), "not before the commit");
        write.commit().await.unwrap();
        assert!(announced.has_changed().unwrap());
        announced.mark_unchanged();
        let mut write = store.write().await.unwrap();
        enqueue_within(&mut write, "a", &bodies(3..7), NOW_MS + 1, 5).await.unwrap();
        write.commit().await.unwrap();
        assert_eq!(waiting(&store).await, ["2", "3", "4", "5", "6"], "in their order");
        assert_eq!(counts_of(&store).await, Counts { waiting: 5, dropped: 2, ..Counts::default() });
        let mut write = store.write().await.unwrap();
        enqueue_within(&mut write, "a", &bodies(7..17), NOW_MS + 2, 5).await.unwrap();
        enqueue_within(&mut write, "a", &[], NOW_MS + 2, 5).await.unwrap();
        write.commit().await.unwrap();
        assert_eq!(waiting(&store).await, ["12", "13", "14", "15", "16"]);
        assert_eq!(counts_of(&store).await, Counts { waiting: 5, dropped: 12, ..Counts::default() });
        let mut reader = store.reader().acquire().await.unwrap();
        assert_eq!(counts(&mut reader, "b").await.unwrap().waiting, 3, "each webhook has its own bound");
    }

    #[tokio::test]
    async fn what_ends_is_counted_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("fleet.db"), MIGRATIONS).await.unwrap();
        let mut write = store.write().await.unwrap();
        enqueue(&mut write, "a", &bodies(0..4), NOW_MS).await.unwrap();
        let messages = due(write.connection(), "a", NOW_MS, 10).await.unwrap();
        assert_eq!(due(write.connection(), "a", NOW_MS - 1, 10).await.unwrap(), []);
        let id = |index: usize| messages[index].sequence;
        delivered(&mut write, "a", id(0)).await.unwrap();
        delivered(&mut write, "a", id(0)).await.unwrap();
        given_up(&mut write, "a", id(1)).await.unwrap();
        failed(&mut write, "a", id(2), NOW_MS + 10).await.unwrap();
        failed(&mut write, "a", id(3), NOW_MS + 5).await.unwrap();
        assert_eq!(next_due_ms(write.connection(), "a").await.unwrap(), Some(NOW_MS + 5));
        let later = due(write.connection(), "a", NOW_MS + 10, 10).await.unwrap();
        assert_eq!(later.iter().map(|message| (message.body.as_str(), message.attempts)).collect::<Vec<_>>(), [("3", 1), ("2", 1)]);
        write.commit().await.unwrap();
        assert_eq!(counts_of(&store).await, Counts { waiting: 2, delivered: 1, given_up: 1, dropped: 0 });
        let mut write = store.write().await.unwrap();
        assert_eq!(give_up_before(&mut write, "a", NOW_MS).await.unwrap(), 0);
        assert_eq!(give_up_others(&mut write, &["a"]).await.unwrap(), 0);
        assert_eq!(give_up_before(&mut write, "a", NOW_MS + 1).await.unwrap(), 2);
        enqueue(&mut write, "a", &bodies(0..2), NOW_MS).await.unwrap();
        assert_eq!(give_up_others(&mut write, &["b"]).await.unwrap(), 2);
        write.commit().await.unwrap();
        assert_eq!(counts_of(&store).await, Counts { waiting: 0, delivered: 1, given_up: 5, dropped: 0 });
    }
}
