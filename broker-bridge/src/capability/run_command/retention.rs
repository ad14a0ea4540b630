//! How long commands are kept: what ended long ago is removed with its invocations and its output.

use crate::fleet::Fleet;
use crate::platform::repeat;
use crate::platform::store::StoreError;
use crate::platform::time::to_column;

/// Most rows that one transaction removes: the writer must soon be free for what is urgent.
const BATCH: i64 = 256;
/// The pause after everything old was removed, in milliseconds.
pub const PAUSE_MS: u64 = 3_600_000;
/// How far the machine's clock may move against the time that passes and still count as right, in milliseconds.
const EVEN_MS: u64 = 300_000;

/// When old commands are removed: once the machine's clock has run evenly for [`PAUSE_MS`], and again after each further pause. A clock
/// that stands in ten years for a moment, after a boot without a battery for example, must not take the fleet's history with it.
#[derive(Debug, Default)]
pub struct Schedule {
    /// Since when the clock runs evenly: uptime and Unix time, in milliseconds.
    even_since: Option<(u64, u64)>,
}

impl Schedule {
    /// Whether it is time. `uptime_ms` counts from any moment and never jumps; `now_ms` is what the clock says.
    pub fn is_due(&mut self, uptime_ms: u64, now_ms: u64) -> bool {
        let (since_ms, began_ms) = *self.even_since.get_or_insert((uptime_ms, now_ms));
        let passed_ms = uptime_ms.saturating_sub(since_ms);
        let is_even = now_ms.abs_diff(began_ms.saturating_add(passed_ms)) <= EVEN_MS;
        let is_due = is_even && passed_ms >= PAUSE_MS;
        if is_due || !is_even {
            self.even_since = Some((uptime_ms, now_ms));
        }
        is_due
    }
}

/// Removes one batch; `true` when there may be more.
///
/// # Errors
/// What the database says; nothing was removed then.
pub async fn prune(fleet: &Fleet) -> Result<bool, StoreError> {
    // Removed in this order, so that what an interrupted removal leaves is found again.
    const REMOVE: [&str; 4] = [
        "DELETE FROM command_output WHERE (command_id, node_id, step, stream, chunk_offset) IN \
         (SELECT command_id, node_id, step, stream, chunk_offset FROM command_output WHERE command_id = $1 LIMIT $2)",
        "DELETE FROM invocation WHERE (command_id, node_id) IN (SELECT command_id, node_id FROM invocation WHERE command_id = $1 LIMIT $2)",
        // A handful at most.
        "DELETE FROM prepared_signature WHERE command_id = $1 AND $2 > 0",
        "DELETE FROM prepared_order WHERE command_id = $1 AND $2 > 0",
    ];
    let before_ms = fleet.clock.now_ms().saturating_sub(fleet.settings.retention_ms);
    // Command ids begin with their time: the old ones are found without a look at the others.
    let before = uuid::Builder::from_unix_timestamp_millis(before_ms, &[0; 10]).into_uuid().to_string();
    let mut write = fleet.store.write().await?;
    let forgotten = repeat::forget(&mut write, fleet.clock.now_ms()).await?;
    // It has ended by ends_by_ms; what was sent by an older build has no such time.
    let command_id: Option<String> = sqlx::query_scalar(
        "SELECT command_id FROM command WHERE command_id < $1 \
         AND CASE WHEN ends_by_ms = 9223372036854775807 THEN expires_ms ELSE ends_by_ms END < $2 \
         AND count_pending + count_sent + count_active = 0 ORDER BY command_id LIMIT 1",
    )
    .bind(before)
    .bind(to_column(before_ms))
    .fetch_optional(write.connection())
    .await?;
    let Some(command_id) = command_id else {
        write.commit().await?;
        return Ok(forgotten);
    };
    let mut left = BATCH;
    for sql in REMOVE {
        let removed = sqlx::query(sql).bind(&command_id).bind(left).execute(write.connection()).await?.rows_affected();
        left = left.saturating_sub(i64::try_from(removed).unwrap_or(i64::MAX));
        if left <= 0 {
            break;
        }
    }
    if left > 0 {
        sqlx::query("DELETE FROM command WHERE command_id = $1").bind(&command_id).execute(write.connection()).await?;
        tracing::debug!(command = command_id, "a command was removed, as it ended long ago");
    }
    write.commit().await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::test_kit::Kit;
    use std::time::Duration;

    async fn run(kit: &Kit, sql: String) {
        let mut write = kit.fleet.store.write().await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(write.connection()).await.unwrap();
        write.commit().await.unwrap();
    }

    /// A command of now with so many invocations and chunks of output.
    async fn command(kit: &Kit, number: u8, invocations: u32, open: u32) -> String {
        let now_ms = kit.clock.now_ms();
        let id = uuid::Builder::from_unix_timestamp_millis(now_ms, &[number; 10]).into_uuid().to_string();
        let counts = "count_succeeded, count_failed, count_execution_timed_out, count_cancelled, count_delivery_timed_out, count_refused, \
                      count_undeliverable, count_terminated";
        run(
            kit,
            format!(
                "INSERT INTO command (command_id, envelope, requester, document_name, document_version, steps, comment, parameters, \
                 instance_ids, targets, requested_ms, expires_ms, timeout_seconds, max_concurrency, max_errors, limit_concurrency, \
                 limit_errors, status, status_details, count_pending, count_sent, count_active, {counts}) VALUES ('{id}', '', '', '', '', \
                 '[]', '', '', '', '', {now_ms}, {now_ms}, 30, '', '', 1, 1, '', '', {open}, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);"
            ),
        )
        .await;
        for node in 0..invocations {
            run(
                kit,
                format!(
                    "INSERT INTO invocation (command_id, node_id, leaf_index, proof, requested_ms, state, give_up_ms) \
                     VALUES ('{id}', 'node-{node}', 0, '', 0, 'succeeded', 0); \
                     INSERT INTO command_output (command_id, node_id, step, stream, chunk_offset, end_offset, bytes) \
                     VALUES ('{id}', 'node-{node}', 0, 0, 0, 1, 'x');"
                ),
            )
            .await;
        }
        id
    }

    #[test]
    fn a_clock_that_jumps_removes_nothing_until_it_has_run_evenly_again() {
        let (hour, ten_years) = (3_600_000, 10 * 365 * 86_400_000);
        let mut schedule = Schedule::default();
        assert!(!schedule.is_due(0, 1_000));
        assert!(!schedule.is_due(hour - 1, 1_000 + hour - 1));
        assert!(schedule.is_due(hour, 1_000 + hour + EVEN_MS), "it drifts, or is put right by a little");
        let right = |uptime_ms: u64| 1_000 + uptime_ms;
        assert!(!schedule.is_due(2 * hour, right(2 * hour) + ten_years), "in ten years");
        assert!(!schedule.is_due(2 * hour + hour / 2, right(2 * hour + hour / 2)), "and back");
        assert!(!schedule.is_due(3 * hour, right(3 * hour)));
        assert!(schedule.is_due(3 * hour + hour / 2, right(3 * hour + hour / 2)));
        assert!(!schedule.is_due(5 * hour, 0), "in 1970");
    }

    #[tokio::test]
    async fn what_ended_long_ago_is_removed_in_small_batches_and_nothing_else() {
        let kit = Kit::new().await;
        command(&kit, 1, 300, 0).await;
        let open = command(&kit, 2, 1, 1).await;
        kit.clock.advance(Duration::from_millis(kit.fleet.settings.retention_ms));
        assert!(!prune(&kit.fleet).await.unwrap(), "old, but not too old");
        kit.clock.advance(Duration::from_secs(1));
        let young = command(&kit, 3, 1, 0).await;
        assert!(prune(&kit.fleet).await.unwrap());
        assert_eq!(kit.count("SELECT COUNT(*) FROM command_output").await, 302 - BATCH);
        while prune(&kit.fleet).await.unwrap() {}
        let left: Vec<String> =
            sqlx::query_scalar("SELECT command_id FROM command ORDER BY command_id").fetch_all(kit.fleet.store.reader()).await.unwrap();
        assert_eq!(left, [open, young]);
        assert_eq!(kit.count("SELECT COUNT(*) FROM invocation").await, 2);
        assert_eq!(kit.count("SELECT COUNT(*) FROM command_output").await, 2);
    }

    #[tokio::test]
    async fn what_runs_long_is_kept_from_its_end_on() {
        let kit = Kit::new().await;
        let long = command(&kit, 1, 1, 0).await;
        let (day_ms, retention_ms) = (86_400_000, kit.fleet.settings.retention_ms);
        let ends_by_ms = kit.clock.now_ms() + 7 * day_ms;
        run(&kit, format!("UPDATE command SET ends_by_ms = {ends_by_ms} WHERE command_id = '{long}'")).await;
        kit.clock.advance(Duration::from_millis(retention_ms + 7 * day_ms));
        assert!(!prune(&kit.fleet).await.unwrap());
        assert_eq!(kit.count("SELECT COUNT(*) FROM command").await, 1);
        kit.clock.advance(Duration::from_millis(1));
        while prune(&kit.fleet).await.unwrap() {}
        assert_eq!(kit.count("SELECT COUNT(*) FROM command").await, 0);
    }
}
