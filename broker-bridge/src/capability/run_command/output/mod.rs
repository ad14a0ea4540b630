//! The whole output of a command, beside the truncated texts of the API: how much is kept, and links from which it is fetched.
//!
//! A link is `GET /output/<command>/<node>/<step>/<stream>`, the step by its number from 0 or `all` of them one after the other, the
//! stream `stdout` or `stderr`.

mod download;

pub use download::routes;

use super::ingest::stream_column;
use crate::fleet::{Fleet, user};
use crate::platform::http::{ApiError, Caller};
use flotilla_protocol::capability::command::Captured;
use flotilla_protocol::report::OutputStream;
use std::collections::BTreeMap;

/// A stream of a step of an invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place<'a> {
    pub(super) command_id: &'a str,
    pub(super) node_id: &'a str,
    /// Counted from 0; nothing for all of them.
    pub(super) step: Option<usize>,
    pub(super) stream: OutputStream,
}

impl Place<'_> {
    fn path(&self) -> String {
        let step = self.step.map_or_else(|| ALL_STEPS.to_owned(), |step| step.to_string());
        format!("/output/{}/{}/{step}/{}", self.command_id, self.node_id, stream_name(self.stream))
    }
}

const ALL_STEPS: &str = "all";

fn stream_name(stream: OutputStream) -> &'static str {
    match stream {
        OutputStream::Stdout => "stdout",
        OutputStream::Stderr => "stderr",
    }
}

/// Makes the links of one call.
#[derive(Debug)]
pub(super) struct OutputLinks<'a> {
    fleet: &'a Fleet,
    caller: &'a Caller,
    /// Since when the caller is a user: Unix time in milliseconds.
    since_ms: Option<i64>,
}

impl<'a> OutputLinks<'a> {
    pub(super) async fn of(fleet: &'a Fleet, caller: &'a Caller) -> Result<Self, ApiError> {
        Ok(Self { fleet, caller, since_ms: user::since_ms(&fleet.store, &caller.user).await? })
    }

    /// The link to a stream of which there are so many bytes; empty where there is nothing, or where it is not known how we are reached.
    pub(super) fn link(&self, place: &Place<'_>, kept_bytes: i64) -> String {
        let since_ms = self.since_ms.filter(|_| kept_bytes > 0);
        let Caller { user, host, .. } = self.caller;
        let link = since_ms.and_then(|since_ms| self.fleet.links.link(host, &place.path(), user, since_ms, self.fleet.clock.now_ms()));
        link.unwrap_or_default()
    }
}

/// How much of a step's stream the bridge has, in bytes: at the head of its result, and in chunks.
pub(super) async fn kept_bytes(fleet: &Fleet, place: &Place<'_>, captured: Option<&Captured>) -> Result<i64, sqlx::Error> {
    let head = captured.map_or(0, |captured| captured.head.len());
    let head_is_all = captured.is_some_and(|captured| u64::try_from(head).is_ok_and(|head| head >= captured.kept_bytes));
    let head = i64::try_from(head).unwrap_or(i64::MAX);
    if head_is_all {
        return Ok(head);
    }
    let end: Option<i64> = sqlx::query_scalar(
        "SELECT end_offset FROM command_output WHERE command_id = $1 AND node_id = $2 AND step = $3 AND stream = $4 \
         ORDER BY chunk_offset DESC LIMIT 1",
    )
    .bind(place.command_id)
    .bind(place.node_id)
    .bind(place.step.and_then(|step| i64::try_from(step).ok()).unwrap_or(i64::MAX))
    .bind(stream_column(place.stream))
    .fetch_optional(fleet.store.reader())
    .await?;
    Ok(end.unwrap_or(0).max(head))
}

/// Up to where the chunks of every stream of an invocation reach.
#[derive(Debug)]
pub(super) struct Ends(BTreeMap<(i64, i64), i64>);

impl Ends {
    /// Reads them at once: a list that shows the steps of many invocations has no time for a question for each stream.
    pub(super) async fn read(fleet: &Fleet, command_id: &str, node_id: &str, steps: usize) -> Result<Self, sqlx::Error> {
        let streams = i64::try_from(steps.saturating_mul(2)).unwrap_or(i64::MAX);
        let rows: Vec<(i64, i64, Option<i64>)> = sqlx::query_as(
            "WITH RECURSIVE streams (number) AS (SELECT 0 UNION ALL SELECT number + 1 FROM streams WHERE number + 1 < $3) \
             SELECT number / 2, number % 2, (SELECT end_offset FROM command_output WHERE command_id = $1 AND node_id = $2 \
             AND step = number / 2 AND stream = number % 2 ORDER BY chunk_offset DESC LIMIT 1) FROM streams",
        )
        .bind(command_id)
        .bind(node_id)
        .bind(streams)
        .fetch_all(fleet.store.reader())
        .await?;
        Ok(Self(rows.into_iter().filter_map(|(step, stream, end)| Some(((step, stream), end?))).collect()))
    }

    /// How much of a step's stream there is in chunks, in bytes from its beginning.
    pub(super) fn of(&self, step: usize, stream: OutputStream) -> i64 {
        let step = i64::try_from(step).unwrap_or(i64::MAX);
        self.0.get(&(step, stream_column(stream))).copied().unwrap_or(0)
    }
}
