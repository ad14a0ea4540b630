//! Repeated calls: an SDK that lost an answer sends its call again, under the same `amz-sdk-invocation-id`, and what the call
//! makes must not be made twice.
//!
//! A call that makes something remembers its user, its name, the hash of its request and the id of what it made, in the
//! transaction that makes it. One more attempt is answered with that id. Calls are told apart by user, so nobody can take a
//! name in advance of another. What was refused is not remembered: the next attempt is a new one.
//!
//! To make another operation safe to repeat: [`find`] first, and once more when the writer is held; [`remember`] before the commit.

use super::http::{ApiError, Caller};
use super::store::{StoreError, Write};
use super::time::to_column;
use sqlx::SqliteConnection;

/// How long a call is remembered, in milliseconds: far longer than any SDK tries.
pub const REMEMBERED_MS: u64 = 24 * 3_600_000;
/// Most calls remembered; beyond it the oldest is forgotten before its time.
pub const MAXIMUM_CALLS: i64 = 200_000;
/// Most calls that each new one makes forgotten: more than one, so that their number falls back.
const FORGOTTEN_AT_ONCE: i64 = 4;
/// Most calls that one round of retention forgets.
const BATCH: i64 = 1_000;

/// The id of what an earlier attempt of this call has made.
///
/// # Errors
/// `ValidationException` where the call of that name asked for something else; what the database says.
pub async fn find(connection: &mut SqliteConnection, caller: &Caller, now_ms: u64) -> Result<Option<String>, ApiError> {
    let Some(call) = &caller.call else { return Ok(None) };
    let known: Option<(Vec<u8>, String)> =
        sqlx::query_as("SELECT request_sha256, result FROM answered_call WHERE user_name = $1 AND call_name = $2 AND at_ms > $3")
            .bind(&caller.user)
            .bind(&call.name)
            .bind(expired_at(now_ms))
            .fetch_optional(connection)
            .await?;
    match known {
        None => Ok(None),
        Some((request, result)) if request == call.request => Ok(Some(result)),
        // None of the operations lists IdempotentParameterMismatch among its errors.
        Some(_) => Err(ApiError::validation(format!(
            "the amz-sdk-invocation-id {} was used for another request within 24 hours; give every call its own",
            call.name
        ))),
    }
}

/// Remembers what this call has made. Call it in the transaction that makes it.
///
/// # Errors
/// What the database says.
pub async fn remember(write: &mut Write<'_>, caller: &Caller, result: &str, now_ms: u64) -> Result<(), StoreError> {
    let Some(call) = &caller.call else { return Ok(()) };
    let newest: Option<i64> = sqlx::query_scalar("SELECT MAX(call_number) FROM answered_call").fetch_one(write.connection()).await?;
    let number = newest.unwrap_or(0).saturating_add(1);
    // A name that is there is one whose time is over.
    sqlx::query("DELETE FROM answered_call WHERE user_name = $1 AND call_name = $2")
        .bind(&caller.user)
        .bind(&call.name)
        .execute(write.connection())
        .await?;
    sqlx::query(
        "INSERT INTO answered_call (call_number, user_name, call_name, request_sha256, result, at_ms) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(number)
    .bind(&caller.user)
    .bind(&call.name)
    .bind(call.request.as_slice())
    .bind(result)
    .bind(to_column(now_ms))
    .execute(write.connection())
    .await?;
    forget_oldest(write, number.saturating_sub(MAXIMUM_CALLS), FORGOTTEN_AT_ONCE, now_ms).await?;
    Ok(())
}

/// Forgets calls whose time is over; `true` when there may be more.
///
/// # Errors
/// What the database says.
pub async fn forget(write: &mut Write<'_>, now_ms: u64) -> Result<bool, StoreError> {
    let forgotten = forget_oldest(write, i64::MIN, BATCH, now_ms).await?;
    Ok(i64::try_from(forgotten).is_ok_and(|forgotten| forgotten >= BATCH))
}

/// Of the oldest calls, forgets those up to a number and those whose time is over.
async fn forget_oldest(write: &mut Write<'_>, up_to: i64, most: i64, now_ms: u64) -> Result<u64, StoreError> {
    let done = sqlx::query(
        "DELETE FROM answered_call WHERE call_number IN (SELECT call_number FROM answered_call ORDER BY call_number LIMIT $1) \
         AND (call_number <= $2 OR at_ms <= $3)",
    )
    .bind(most)
    .bind(up_to)
    .bind(expired_at(now_ms))
    .execute(write.connection())
    .await?;
    Ok(done.rows_affected())
}

fn expired_at(now_ms: u64) -> i64 {
    to_column(now_ms).saturating_sub(to_column(REMEMBERED_MS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::test_kit::{Kit, NOW_MS};
    use crate::platform::http::{Access, CallName};

    fn caller(user: &str, name: &str, request: u8) -> Caller {
        let call = CallName { name: name.to_owned(), request: [request; 32] };
        Caller { user: user.to_owned(), access: Access::Operator, host: String::new(), call: Some(call) }
    }

    async fn remembered(kit: &Kit, caller: &Caller, result: &str, now_ms: u64) {
        let mut write = kit.fleet.store.write().await.unwrap();
        remember(&mut write, caller, result, now_ms).await.unwrap();
        write.commit().await.unwrap();
    }

    async fn found(kit: &Kit, caller: &Caller, now_ms: u64) -> Option<String> {
        find(kit.fleet.store.reader().acquire().await.unwrap().as_mut(), caller, now_ms).await.unwrap()
    }

    #[tokio::test]
    async fn a_call_is_remembered_for_a_day_and_by_user() {
        let kit = Kit::new().await;
        let call = caller("a", "one", 1);
        assert_eq!(found(&kit, &call, NOW_MS).await, None);
        remembered(&kit, &call, "first", NOW_MS).await;
        assert_eq!(found(&kit, &call, NOW_MS + REMEMBERED_MS - 1).await.as_deref(), Some("first"));
        assert_eq!(found(&kit, &call, NOW_MS - 1).await.as_deref(), Some("first"), "a clock that is set back");
        assert_eq!(found(&kit, &caller("b", "one", 1), NOW_MS).await, None);
        let mut reader = kit.fleet.store.reader().acquire().await.unwrap();
        let error = find(reader.as_mut(), &caller("a", "one", 2), NOW_MS).await.unwrap_err();
        assert_eq!(error.kind, "ValidationException");
        let later = NOW_MS + REMEMBERED_MS;
        assert_eq!(found(&kit, &call, later).await, None);
        remembered(&kit, &call, "second", later).await;
        assert_eq!(found(&kit, &call, later).await.as_deref(), Some("second"));
        assert_eq!(kit.count("SELECT COUNT(*) FROM answered_call").await, 1);
    }

    #[tokio::test]
    async fn what_is_remembered_is_bounded() {
        let kit = Kit::new().await;
        let mut write = kit.fleet.store.write().await.unwrap();
        sqlx::query(
            "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < $1) \
             INSERT INTO answered_call SELECT n, 'a', 'call-' || n, x'00', '', $2 FROM number",
        )
        .bind(MAXIMUM_CALLS)
        .bind(to_column(NOW_MS))
        .execute(write.connection())
        .await
        .unwrap();
        write.commit().await.unwrap();
        for number in 0..3 {
            remembered(&kit, &caller("a", &format!("new-{number}"), 1), "", NOW_MS).await;
        }
        assert_eq!(kit.count("SELECT COUNT(*) FROM answered_call").await, MAXIMUM_CALLS);
        assert_eq!(kit.count("SELECT MIN(call_number) FROM answered_call").await, 4, "the oldest went");
        let mut write = kit.fleet.store.write().await.unwrap();
        assert!(!forget(&mut write, NOW_MS + REMEMBERED_MS - 1).await.unwrap(), "none is old");
        assert!(forget(&mut write, NOW_MS + REMEMBERED_MS).await.unwrap());
        write.commit().await.unwrap();
        assert_eq!(kit.count("SELECT COUNT(*) FROM answered_call").await, MAXIMUM_CALLS - BATCH);
        for (name, expected) in [("used", "answered_call_by_name"), ("oldest", "sqlite_autoindex_answered_call_1")] {
            let sql = if name == "used" {
                "EXPLAIN QUERY PLAN SELECT 1 FROM answered_call WHERE user_name = 'a' AND call_name = 'b' AND at_ms > 1"
            } else {
                "EXPLAIN QUERY PLAN SELECT call_number FROM answered_call ORDER BY call_number LIMIT 4"
            };
            let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(sql).fetch_all(kit.fleet.store.reader()).await.unwrap();
            assert!(plan.iter().all(|(.., step)| step.contains(expected)), "{plan:?}");
        }
    }
}
