//! Dead letters: messages that could not be taken up, kept for a person to look at. Bounded: the oldest make place.

use crate::platform::mqtt::Inbound;
use crate::platform::store::{Store, StoreError, Write};
use flotilla_protocol::wire::MAXIMUM_MESSAGE_BYTES;
use uuid::Uuid;

/// Most dead letters that are kept.
pub const MAXIMUM_LETTERS: i64 = 10_000;
/// Longest reason that is kept, in characters.
const MAXIMUM_REASON: usize = 500;

/// A message that was set aside.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct DeadLetter {
    /// When it came: Unix time in milliseconds.
    pub at_ms: i64,
    /// Where it was published.
    pub topic: String,
    /// Why it was set aside.
    pub reason: String,
    /// The message as it came.
    pub payload: Vec<u8>,
}

/// Sets a message aside.
pub(super) async fn keep(write: &mut Write<'_>, now_ms: u64, message: &Inbound, reason: &str) -> Result<(), StoreError> {
    tracing::warn!(topic = %message.topic, reason, "a message was set aside");
    let reason: String = reason.chars().take(MAXIMUM_REASON).collect();
    let payload = message.payload.get(..MAXIMUM_MESSAGE_BYTES).unwrap_or(&message.payload);
    sqlx::query("INSERT INTO dead_letter (letter_id, at_ms, topic, reason, payload) VALUES ($1, $2, $3, $4, $5)")
        .bind(Uuid::now_v7().to_string())
        .bind(i64::try_from(now_ms).unwrap_or(i64::MAX))
        .bind(message.topic.to_string())
        .bind(reason)
        .bind(payload)
        .execute(write.connection())
        .await?;
    Ok(())
}

/// Makes place: removes the oldest beyond the limit. Once for each transaction that sets something aside.
pub(super) async fn prune(write: &mut Write<'_>) -> Result<(), StoreError> {
    let kept: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM dead_letter").fetch_one(write.connection()).await?;
    if kept > MAXIMUM_LETTERS {
        sqlx::query("DELETE FROM dead_letter WHERE letter_id IN (SELECT letter_id FROM dead_letter ORDER BY letter_id LIMIT $1)")
            .bind(kept - MAXIMUM_LETTERS)
            .execute(write.connection())
            .await?;
    }
    Ok(())
}

/// How many dead letters are kept.
///
/// # Errors
/// What the database says.
pub async fn count(store: &Store) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar("SELECT COUNT(*) FROM dead_letter").fetch_one(store.reader()).await?)
}
