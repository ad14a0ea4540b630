//! The SQL of Run Command. Whatever moves an invocation keeps the counts of its command in the same transaction.

mod of_node;
mod window;

#[cfg(test)]
pub(super) use of_node::OF_A_NODE;
pub(super) use of_node::{end_removed, open_of_node, park, removed_nodes, send_at, set_lost, set_rebooting, unpark, unpark_unknown};
#[cfg(test)]
pub(super) use window::{OF_A_WINDOW, WINDOW};
pub(super) use window::{let_follow, ready_among};

use super::model::{Counts, InvocationState, Words};
use super::notification::{self, Change};
use super::prepared;
use super::rules::{self, Happening, Limits, command_words};
use crate::fleet::pace::Pace;
use crate::platform::store::{StoreError, Write};
use crate::platform::time::{from_column, to_column};
use flotilla_protocol::id::NodeId;
use sqlx::{AssertSqlSafe, QueryBuilder, Sqlite, SqliteConnection};
use std::collections::{BTreeMap, BTreeSet};

/// Most invocations that one transaction of dispatch takes up.
pub(super) const DISPATCH_BATCH: i64 = 256;
/// How often a cancel is sent to a node that is silent about an order whose time is over: it may never have had it, and then it
/// has nothing to answer. When the node is back, the cancel is sent once more.
const CANCELS_OF_A_GUESS: i64 = 8;
/// When a run that is over by the clock, and whose node is connected, is looked at again, in milliseconds.
const LOOK_AGAIN_MS: u64 = 600_000;
/// How long after a return of the broker it is waited for the word that a node is gone, in milliseconds: retained messages come at once. A time
/// to send that lies further ahead was set by a clock that was wrong.
pub(super) const PRESENCE_GRACE_MS: u64 = 30_000;
/// Longest time in which nothing is heard of a node that is connected, in milliseconds: it says hello within 75 minutes.
pub(super) const LONGEST_SILENCE_MS: u64 = 90 * 60_000;
/// Commands that one statement of a round of dispatch finds.
pub(super) const COMMAND_BATCH: i64 = 256;

/// How often one round looks for what a command may send where much of what it finds has to wait behind something else.
const LOOKS_OF_A_RELEASE: u32 = 4;

/// Invocations written with one statement: eleven values each, far below the limit of SQLite.
const INSERT_ROWS: usize = 500;

/// Changes of counts that a transaction has made and not yet written, and what is to be told of them.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    commands: BTreeMap<String, (Counts, Vec<Change>)>,
    /// Nodes that may be sent more: something that was not answered, or was not sent, is.
    answered: BTreeSet<String>,
}

impl Ledger {
    fn moved(&mut self, command_id: &str, from: InvocationState, to: InvocationState, count: i64) {
        self.commands.entry(command_id.to_owned()).or_default().0.shift(from, to, count);
    }

    fn changed(&mut self, command_id: &str, change: Option<Change>) {
        self.commands.entry(command_id.to_owned()).or_default().1.extend(change);
    }
}

/// Has the words of a command written anew although none of its counts has changed.
pub(super) fn touch(ledger: &mut Ledger, command_id: &str) {
    ledger.commands.entry(command_id.to_owned()).or_default();
}

/// What decides about an invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Invocation {
    pub(super) command_id: String,
    pub(super) node_id: String,
    pub(super) state: InvocationState,
    /// A terminal state that the bridge concluded from a silence.
    pub(super) guessed: bool,
}

/// A damaged row is a damaged database, not a reason to panic.
pub(super) fn parse_state(text: &str) -> Result<InvocationState, StoreError> {
    InvocationState::parse(text).ok_or_else(|| StoreError::Unusable(format!("an invocation is in the unknown state {text:?}")))
}

/// Reads an invocation.
pub(super) async fn find(connection: &mut SqliteConnection, command_id: &str, node_id: &str) -> Result<Option<Invocation>, StoreError> {
    let row: Option<(String, i64)> = sqlx::query_as("SELECT state, signed FROM invocation WHERE command_id = $1 AND node_id = $2")
        .bind(command_id)
        .bind(node_id)
        .fetch_optional(connection)
        .await?;
    row.map(|(state, signed)| {
        let state = parse_state(&state)?;
        let guessed = match state {
            // Even where it was never sent: so it seems to an older copy of a database that had sent it.
            InvocationState::DeliveryTimedOut | InvocationState::Interrupted => signed == 0,
            _ => false,
        };
        Ok(Invocation { command_id: command_id.to_owned(), node_id: node_id.to_owned(), state, guessed })
    })
    .transpose()
}

/// What comes with a happening.
#[derive(Debug, Default)]
pub(super) struct Details<'a> {
    pub(super) explanation: &'a str,
    /// The encoded result, where the node sent one.
    pub(super) result: Option<&'a [u8]>,
}

/// Moves an invocation; `false` when the rules keep it where it is.
pub(super) async fn happen(
    write: &mut Write<'_>,
    ledger: &mut Ledger,
    invocation: &Invocation,
    happening: Happening,
    details: &Details<'_>,
    now_ms: u64,
) -> Result<bool, StoreError> {
    let Some(next) = rules::transition(invocation.state, invocation.guessed, happening) else { return Ok(false) };
    let now = to_column(now_ms);
    let (started, ended) = ((next == InvocationState::Running).then_some(now), next.is_terminal().then_some(now));
    let runs = matches!(next, InvocationState::Accepted | InvocationState::Running);
    // Anything that follows ends the sending of the order; an answer that is no end leaves the cancel to be sent on.
    let done = sqlx::query(
        "UPDATE invocation SET state = $4, signed = $5, rebooting = 0, next_send_ms = NULL, behind = 0, \
         next_cancel_ms = CASE WHEN $7 IS NULL THEN next_cancel_ms END, started_ms = COALESCE(started_ms, $6), \
         ended_ms = $7, explanation = $8, result = COALESCE($9, result), \
         node_data = CASE WHEN $7 IS NOT NULL AND $5 = 1 THEN '' ELSE node_data END, give_up_ms = CASE WHEN $10 = 1 THEN \
         (SELECT ends_by_ms FROM command WHERE command.command_id = invocation.command_id) ELSE give_up_ms END \
         WHERE command_id = $1 AND node_id = $2 AND state = $3",
    )
    .bind(&invocation.command_id)
    .bind(&invocation.node_id)
    .bind(invocation.state.as_str())
    .bind(next.as_str())
    .bind(i64::from(happening.is_signed()))
    .bind(started)
    .bind(ended)
    .bind(details.explanation)
    .bind(details.result)
    .bind(i64::from(runs))
    .execute(write.connection())
    .await?;
    if done.rows_affected() == 1 {
        ledger.moved(&invocation.command_id, invocation.state, next, 1);
        ledger.changed(&invocation.command_id, Change::of(&invocation.node_id, invocation.state, next));
        if matches!(invocation.state, InvocationState::Pending | InvocationState::Sent) {
            ledger.answered.insert(invocation.node_id.clone());
        }
    }
    Ok(done.rows_affected() == 1)
}

/// Everything about a command that decides about its invocations.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    pub(super) counts: Counts,
    pub(super) limits: Limits,
    pub(super) cancel_asked: bool,
    pub(super) expires_ms: u64,
    /// Nothing of it is sent: people must sign it first.
    awaits_signature: bool,
    status: String,
    notification: String,
}

async fn standing(connection: &mut SqliteConnection, command_id: &str) -> Result<Option<Standing>, StoreError> {
    use sqlx::Row as _;
    let columns = Counts::COLUMNS.join(", ");
    let sql = format!(
        "SELECT limit_concurrency, limit_errors, cancel_asked_ms, expires_ms, status, notification, awaits_signature, {columns} \
         FROM command WHERE command_id = $1"
    );
    let row = sqlx::query(AssertSqlSafe(sql)).bind(command_id).fetch_optional(connection).await?;
    let Some(row) = row else { return Ok(None) };
    let mut counts = [0; Counts::COLUMNS.len()];
    for (index, count) in counts.iter_mut().enumerate() {
        *count = row.try_get(index + 7)?;
    }
    Ok(Some(Standing {
        counts: Counts::from_array(counts),
        limits: Limits { concurrency: row.try_get(0)?, errors: row.try_get(1)? },
        cancel_asked: row.try_get::<Option<i64>, _>(2)?.is_some(),
        expires_ms: from_column(row.try_get(3)?),
        status: row.try_get(4)?,
        notification: row.try_get(5)?,
        awaits_signature: row.try_get::<i64, _>(6)? != 0,
    }))
}

/// Writes the counts that a transaction changed, ends what the error budget stops, writes the commands' new words, tells of it all, and has
/// follow what waited behind what is answered now: whether anything did.
pub(super) async fn settle(write: &mut Write<'_>, ledger: &mut Ledger, now_ms: u64) -> Result<bool, StoreError> {
    for (command_id, (delta, mut changes)) in std::mem::take(&mut ledger.commands) {
        let Some(mut standing) = standing(write.connection(), &command_id).await? else { continue };
        let (mut counts, delta) = (standing.counts.to_array(), delta.to_array());
        for (count, delta) in counts.iter_mut().zip(delta) {
            *count += delta;
        }
        standing.counts = Counts::from_array(counts);
        if standing.counts.pending > 0 && rules::is_over_budget(&standing.counts, standing.limits) {
            let stopped = end_pending(write, &command_id, InvocationState::Terminated, now_ms).await?;
            standing.counts.shift(InvocationState::Pending, InvocationState::Terminated, row_count(&stopped));
            changes.extend(changes_of(&stopped, InvocationState::Terminated));
        }
        if standing.awaits_signature && standing.counts.pending == 0 {
            let end = if standing.cancel_asked { prepared::State::Cancelled } else { prepared::State::Expired };
            prepared::close(write, &command_id, end).await?;
        }
        let words = write_standing(write, &command_id, &standing).await?;
        notification::moved(write, &command_id, &standing.notification, &standing.status, words, &changes, now_ms).await?;
    }
    let mut follows = false;
    for node_id in std::mem::take(&mut ledger.answered) {
        follows |= let_follow(write, &node_id, now_ms).await?;
    }
    Ok(follows)
}

/// Ends all invocations of a command that were never sent; returns their nodes.
async fn end_pending(write: &mut Write<'_>, command_id: &str, state: InvocationState, now_ms: u64) -> Result<Vec<String>, StoreError> {
    let ended = sqlx::query_scalar(
        "UPDATE invocation SET state = $2, ended_ms = $3, next_send_ms = NULL, behind = 0, node_data = '' WHERE command_id = $1 AND state = 'pending' \
         RETURNING node_id",
    );
    Ok(ended.bind(command_id).bind(state.as_str()).bind(to_column(now_ms)).fetch_all(write.connection()).await?)
}

/// What stays of node data when it is gone; nothing of none.
fn hash_of(node_data: &[u8]) -> Vec<u8> {
    if node_data.is_empty() { Vec::new() } else { flotilla_protocol::sha256(&[node_data]).to_vec() }
}

fn row_count(nodes: &[String]) -> i64 {
    i64::try_from(nodes.len()).unwrap_or(i64::MAX)
}

/// What is to be told of invocations that were never sent and have ended.
fn changes_of(nodes: &[String], state: InvocationState) -> impl Iterator<Item = Change> {
    nodes.iter().filter_map(move |node| Change::of(node, InvocationState::Pending, state))
}

async fn write_standing(write: &mut Write<'_>, command_id: &str, standing: &Standing) -> Result<Words, StoreError> {
    let words = command_words(&standing.counts, standing.limits, standing.cancel_asked);
    let columns: Vec<String> = Counts::COLUMNS.iter().zip(4..).map(|(column, number)| format!("{column} = ${number}")).collect();
    let sql = format!("UPDATE command SET status = $2, status_details = $3, {} WHERE command_id = $1", columns.join(", "));
    let mut query = sqlx::query(AssertSqlSafe(sql)).bind(command_id).bind(words.status).bind(words.details);
    for count in standing.counts.to_array() {
        query = query.bind(count);
    }
    query.execute(write.connection()).await?;
    Ok(words)
}

/// An invocation whose order is to be published.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct ToSend {
    pub(super) command_id: String,
    pub(super) node_id: String,
    pub(super) leaf_index: i64,
    pub(super) proof: Vec<u8>,
    pub(super) node_data: Vec<u8>,
    send_count: i64,
}

/// Commands behind one, in their order, with invocations that were never sent and whose nodes are not gone, and place for them.
pub(super) async fn due_commands(connection: &mut SqliteConnection, after: &str, now_ms: u64) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar(DUE_COMMANDS).bind(after).bind(to_column(now_ms)).bind(COMMAND_BATCH).fetch_all(connection).await?)
}

/// Leads from one command with something to send to the next, however many invocations each has and however many commands wait for nodes that
/// are gone. Of those only the ones that may send more are looked into: see [`rules::may_send`].
pub(super) const DUE_COMMANDS: &str = "WITH RECURSIVE due (command_id) AS (\
     SELECT min(command_id) FROM invocation WHERE state = 'pending' AND next_send_ms IS NOT NULL AND command_id > $1 UNION ALL \
     SELECT (SELECT min(command_id) FROM invocation WHERE state = 'pending' AND next_send_ms IS NOT NULL AND command_id > due.command_id) \
     FROM due WHERE due.command_id IS NOT NULL) \
     SELECT command.command_id FROM due CROSS JOIN command WHERE command.command_id = due.command_id AND expires_ms > $2 AND awaits_signature = 0 \
     AND count_sent + count_active < limit_concurrency AND count_failed + count_execution_timed_out <= limit_errors LIMIT $3";

/// Whether a command has invocations of connected nodes that were never sent, and place for them.
pub(super) async fn releasable(connection: &mut SqliteConnection, command_id: &str, now_ms: u64) -> Result<i64, StoreError> {
    let Some(standing) = standing(&mut *connection, command_id).await? else { return Ok(0) };
    let place = rules::may_send(&standing.counts, standing.limits).min(DISPATCH_BATCH);
    if place == 0 || standing.awaits_signature || standing.expires_ms <= now_ms {
        return Ok(0);
    }
    let waiting: Option<i64> = sqlx::query_scalar(
        "SELECT next_send_ms FROM invocation WHERE command_id = $1 AND state = 'pending' AND next_send_ms IS NOT NULL \
         AND NOT (next_send_ms > $2 AND next_send_ms <= $3) ORDER BY next_send_ms LIMIT 1",
    )
    .bind(command_id)
    .bind(to_column(now_ms))
    .bind(to_column(now_ms.saturating_add(PRESENCE_GRACE_MS)))
    .fetch_optional(connection)
    .await?;
    Ok(if waiting.is_some() { place } else { 0 })
}

/// What a command may send now.
#[derive(Debug, Default)]
pub(super) struct Released {
    /// Marked as sent, for publishing after the commit.
    pub(super) orders: Vec<ToSend>,
    /// There may be more.
    pub(super) more: bool,
}

/// Marks as sent what a command may send now. What its node has no place for waits behind what the node is to answer first.
pub(super) async fn release(
    write: &mut Write<'_>,
    ledger: &mut Ledger,
    command_id: &str,
    pace: Pace,
    now_ms: u64,
) -> Result<Released, StoreError> {
    let (mut released, mut looked) = (Released::default(), 0);
    let standing = standing(write.connection(), command_id).await?;
    // No node would take it any more, or not yet.
    let Some(standing) = standing.filter(|standing| standing.expires_ms > now_ms && !standing.awaits_signature) else {
        return Ok(released);
    };
    let mut place = rules::may_send(&standing.counts, standing.limits).min(DISPATCH_BATCH);
    while place > 0 && !released.more {
        let waiting: Vec<ToSend> = sqlx::query_as(
            "SELECT command_id, node_id, leaf_index, proof, node_data, send_count FROM invocation \
             WHERE command_id = $1 AND state = 'pending' AND next_send_ms IS NOT NULL AND NOT (next_send_ms > $3 AND next_send_ms <= $4) \
             ORDER BY next_send_ms LIMIT $2",
        )
        .bind(command_id)
        .bind(place)
        .bind(to_column(now_ms))
        .bind(to_column(now_ms.saturating_add(PRESENCE_GRACE_MS)))
        .fetch_all(write.connection())
        .await?;
        if waiting.is_empty() {
            break;
        }
        for invocation in waiting {
            if !window::has_place(write, &invocation.node_id).await? {
                window::put_behind(write, &invocation).await?;
                continue;
            }
            sqlx::query(
                "UPDATE invocation SET state = 'sent', send_count = 1, next_send_ms = $3, give_up_ms = $4 \
                 WHERE command_id = $1 AND node_id = $2 AND state = 'pending'",
            )
            .bind(&invocation.command_id)
            .bind(&invocation.node_id)
            .bind(to_column(now_ms.saturating_add(pace.pause_ms(1))))
            .bind(to_column(rules::gives_up_at_ms(true, standing.expires_ms)))
            .execute(write.connection())
            .await?;
            ledger.moved(command_id, InvocationState::Pending, InvocationState::Sent, 1);
            released.orders.push(invocation);
            place -= 1;
        }
        // One round does not put a whole fleet behind.
        looked += 1;
        released.more = looked == LOOKS_OF_A_RELEASE;
    }
    Ok(released)
}

/// Marks as sent once more what was not answered in time, and returns it for publishing after the commit.
pub(super) async fn send_again(write: &mut Write<'_>, pace: Pace, now_ms: u64) -> Result<Vec<ToSend>, StoreError> {
    // What has expired no node would take any more: only an answer, or the end of the wait for one, is still to come.
    sqlx::query(
        "UPDATE invocation SET next_send_ms = NULL WHERE state = 'sent' AND next_send_ms IS NOT NULL AND next_send_ms <= $1 \
         AND EXISTS (SELECT 1 FROM command WHERE command.command_id = invocation.command_id AND expires_ms <= $1)",
    )
    .bind(to_column(now_ms))
    .execute(write.connection())
    .await?;
    let due: Vec<ToSend> = sqlx::query_as(
        "SELECT command_id, node_id, leaf_index, proof, node_data, send_count FROM invocation \
         WHERE state = 'sent' AND next_send_ms IS NOT NULL AND next_send_ms <= $1 ORDER BY next_send_ms LIMIT $2",
    )
    .bind(to_column(now_ms))
    .bind(DISPATCH_BATCH)
    .fetch_all(write.connection())
    .await?;
    for invocation in &due {
        let count = invocation.send_count.saturating_add(1);
        sqlx::query("UPDATE invocation SET send_count = $3, next_send_ms = $4 WHERE command_id = $1 AND node_id = $2 AND state = 'sent'")
            .bind(&invocation.command_id)
            .bind(&invocation.node_id)
            .bind(count)
            .bind(to_column(now_ms.saturating_add(pace.pause_ms(count))))
            .execute(write.connection())
            .await?;
    }
    Ok(due)
}

/// A cancel that is to be published.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct ToCancel {
    pub(super) command_id: String,
    pub(super) node_id: String,
    pub(super) expires_ms: i64,
    cancel_count: i64,
}

/// Marks cancels as sent once more, and returns them for publishing after the commit.
pub(super) async fn cancel_again(write: &mut Write<'_>, pace: Pace, now_ms: u64) -> Result<Vec<ToCancel>, StoreError> {
    let due: Vec<ToCancel> = sqlx::query_as(
        "SELECT invocation.command_id, node_id, expires_ms, cancel_count FROM invocation \
         JOIN command ON command.command_id = invocation.command_id \
         WHERE next_cancel_ms IS NOT NULL AND next_cancel_ms <= $1 ORDER BY next_cancel_ms LIMIT $2",
    )
    .bind(to_column(now_ms))
    .bind(DISPATCH_BATCH)
    .fetch_all(write.connection())
    .await?;
    for cancel in &due {
        let count = cancel.cancel_count.saturating_add(1);
        sqlx::query(
            "UPDATE invocation SET cancel_count = $3, \
             next_cancel_ms = CASE WHEN state = 'delivery-timed-out' AND $3 >= $5 THEN NULL ELSE $4 END \
             WHERE command_id = $1 AND node_id = $2",
        )
        .bind(&cancel.command_id)
        .bind(&cancel.node_id)
        .bind(count)
        .bind(to_column(now_ms.saturating_add(pace.pause_ms(count))))
        .bind(CANCELS_OF_A_GUESS)
        .execute(write.connection())
        .await?;
    }
    Ok(due)
}

/// Ends what has waited for its delivery time in vain; returns how many invocations that were. What was sent is ended only where
/// `silence_counts`: while the bridge itself is cut off, answers wait in the nodes.
pub(super) async fn give_up(write: &mut Write<'_>, ledger: &mut Ledger, silence_counts: bool, now_ms: u64) -> Result<usize, StoreError> {
    let due: Vec<(String, String)> = sqlx::query_as(
        "SELECT command_id, node_id FROM invocation WHERE state IN ('pending', 'sent') AND give_up_ms <= $1 \
         AND (state = 'pending' OR $3 = 1) ORDER BY give_up_ms LIMIT $2",
    )
    .bind(to_column(now_ms))
    .bind(DISPATCH_BATCH)
    .bind(i64::from(silence_counts))
    .fetch_all(write.connection())
    .await?;
    for (command_id, node_id) in &due {
        if let Some(invocation) = find(write.connection(), command_id, node_id).await? {
            happen(write, ledger, &invocation, Happening::DeliveryTimePassed, &Details::default(), now_ms).await?;
        }
    }
    Ok(due.len())
}

/// Ends runs that must be over by the clock and of which nothing was heard, where the node is gone or does not hold them; returns
/// how many runs were looked at. A node's signed word overrides it.
pub(super) async fn interrupt(write: &mut Write<'_>, ledger: &mut Ledger, now_ms: u64) -> Result<usize, StoreError> {
    // A message that was long on its way can make a node seem connected that is gone. So one that says nothing for longer than it may is
    // given that time once more (`lost` is 2 then): a clock that has jumped makes nodes silent that are not.
    let due: Vec<(String, String, i64, i64)> = sqlx::query_as(
        "SELECT command_id, node_id, lost, COALESCE((SELECT CASE WHEN online <> 1 THEN 2 ELSE last_seen_ms <= $3 END FROM node \
         WHERE node.node_id = invocation.node_id), 2) \
         FROM invocation WHERE state IN ('accepted', 'running') AND give_up_ms <= $1 ORDER BY give_up_ms LIMIT $2",
    )
    .bind(to_column(now_ms))
    .bind(DISPATCH_BATCH)
    .bind(to_column(now_ms.saturating_sub(LONGEST_SILENCE_MS)))
    .fetch_all(write.connection())
    .await?;
    for (command_id, node_id, lost, silent) in &due {
        let look_again = match (lost, silent) {
            (1, _) | (_, 2) | (2, 1) => None,
            (_, 0) => Some((0, LOOK_AGAIN_MS)),
            (_, _) => Some((2, LONGEST_SILENCE_MS)),
        };
        if let Some((lost, pause_ms)) = look_again {
            sqlx::query("UPDATE invocation SET give_up_ms = $3, lost = $4 WHERE command_id = $1 AND node_id = $2")
                .bind(command_id)
                .bind(node_id)
                .bind(to_column(now_ms.saturating_add(pause_ms)))
                .bind(lost)
                .execute(write.connection())
                .await?;
        } else if let Some(invocation) = find(write.connection(), command_id, node_id).await? {
            let details = Details { explanation: "the node took the command and never said how it ended", result: None };
            happen(write, ledger, &invocation, Happening::RunTimePassed, &details, now_ms).await?;
        }
    }
    Ok(due.len())
}

/// When dispatch has something to do next: Unix time in milliseconds. What waits for a place or for its node is not known here.
/// `silence_from_ms` is when silence begins to count; nothing while the bridge is cut off.
pub(super) async fn next_due_ms(connection: &mut SqliteConnection, silence_from_ms: Option<u64>) -> Result<Option<u64>, StoreError> {
    const SILENT: [&str; 2] = [
        "SELECT give_up_ms FROM invocation WHERE state IN ('pending', 'sent') AND state = 'sent' ORDER BY give_up_ms LIMIT 1",
        "SELECT give_up_ms FROM invocation WHERE state IN ('accepted', 'running') ORDER BY give_up_ms LIMIT 1",
    ];
    const DUE: [&str; 3] = [
        "SELECT next_send_ms FROM invocation WHERE state = 'sent' AND next_send_ms IS NOT NULL ORDER BY next_send_ms LIMIT 1",
        "SELECT next_cancel_ms FROM invocation WHERE next_cancel_ms IS NOT NULL ORDER BY next_cancel_ms LIMIT 1",
        "SELECT give_up_ms FROM invocation WHERE state IN ('pending', 'sent') AND state = 'pending' ORDER BY give_up_ms LIMIT 1",
    ];
    let mut next: Option<i64> = None;
    for sql in DUE {
        let due: Option<i64> = sqlx::query_scalar(sql).fetch_optional(&mut *connection).await?;
        next = [next, due].into_iter().flatten().min();
    }
    if let Some(from_ms) = silence_from_ms {
        for sql in SILENT {
            let due: Option<i64> = sqlx::query_scalar(sql).fetch_optional(&mut *connection).await?;
            next = [next, due.map(|due| due.max(to_column(from_ms)))].into_iter().flatten().min();
        }
    }
    Ok(next.map(from_column))
}

/// The envelope of a command's order.
pub(super) async fn envelope(connection: &mut SqliteConnection, command_id: &str) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(sqlx::query_scalar("SELECT envelope FROM command WHERE command_id = $1").bind(command_id).fetch_optional(connection).await?)
}

/// How an order goes to a node: its envelope, its place among the targets with the proof of it, and the node's own data.
pub(super) async fn delivery(
    connection: &mut SqliteConnection,
    command_id: &str,
    node_id: &str,
) -> Result<Option<(Vec<u8>, i64, Vec<u8>, Vec<u8>)>, StoreError> {
    let sql = "SELECT envelope, leaf_index, proof, node_data FROM invocation JOIN command ON command.command_id = invocation.command_id \
               WHERE invocation.command_id = $1 AND node_id = $2";
    Ok(sqlx::query_as(sql).bind(command_id).bind(node_id).fetch_optional(connection).await?)
}

/// What CancelCommand did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cancelled {
    pub(super) at_once: i64,
    pub(super) asked: u64,
}

/// Cancels a command on one node, or on all: never sent ends at once, the rest is asked of the nodes.
pub(super) async fn cancel(
    write: &mut Write<'_>,
    ledger: &mut Ledger,
    command_id: &str,
    nodes: &[String],
    now_ms: u64,
) -> Result<Cancelled, StoreError> {
    const ASK: &str = "UPDATE invocation SET cancel_asked_ms = $2, \
        next_cancel_ms = (SELECT CASE WHEN online <> 0 THEN $2 END FROM node WHERE node.node_id = invocation.node_id) \
        WHERE command_id = $1 AND cancel_asked_ms IS NULL AND (state IN ('sent', 'accepted', 'running') \
        OR (state = 'delivery-timed-out' AND signed = 0 AND send_count > 0))";
    let now = to_column(now_ms);
    let mut cancelled = Cancelled::default();
    if nodes.is_empty() {
        sqlx::query("UPDATE command SET cancel_asked_ms = COALESCE(cancel_asked_ms, $2) WHERE command_id = $1")
            .bind(command_id)
            .bind(now)
            .execute(write.connection())
            .await?;
        let ended = end_pending(write, command_id, InvocationState::Cancelled, now_ms).await?;
        cancelled.at_once = row_count(&ended);
        ledger.moved(command_id, InvocationState::Pending, InvocationState::Cancelled, cancelled.at_once);
        for change in changes_of(&ended, InvocationState::Cancelled) {
            ledger.changed(command_id, Some(change));
        }
        cancelled.asked = sqlx::query(ASK).bind(command_id).bind(now).execute(write.connection()).await?.rows_affected();
        return Ok(cancelled);
    }
    for node_id in nodes {
        let Some(invocation) = find(write.connection(), command_id, node_id).await? else { continue };
        if happen(write, ledger, &invocation, Happening::CancelAsked, &Details::default(), now_ms).await? {
            cancelled.at_once += 1;
        } else {
            let sql = format!("{ASK} AND node_id = $3");
            let done = sqlx::query(AssertSqlSafe(sql)).bind(command_id).bind(now).bind(node_id).execute(write.connection()).await?;
            cancelled.asked += done.rows_affected();
        }
    }
    Ok(cancelled)
}

/// A command to be written.
#[derive(Debug)]
pub(super) struct NewCommand<'a> {
    pub(super) command_id: &'a str,
    pub(super) envelope: &'a [u8],
    pub(super) requester: &'a str,
    pub(super) document_name: &'a str,
    pub(super) document_version: &'a str,
    pub(super) steps: String,
    pub(super) comment: &'a str,
    pub(super) parameters: String,
    pub(super) instance_ids: String,
    pub(super) targets: String,
    pub(super) requested_ms: i64,
    pub(super) expires_ms: i64,
    /// When silence about a run becomes its end.
    pub(super) ends_by_ms: i64,
    pub(super) timeout_seconds: i64,
    pub(super) max_concurrency: &'a str,
    pub(super) max_errors: &'a str,
    pub(super) limits: Limits,
    pub(super) words: Words,
    pub(super) counts: Counts,
    /// Whom it tells of what: the JSON of its NotificationConfig, empty for nobody.
    pub(super) notification: String,
    pub(super) service_role: &'a str,
}

/// An invocation to be written with its command.
#[derive(Debug)]
pub(super) struct NewInvocation {
    pub(super) node: NodeId,
    pub(super) index: usize,
    pub(super) proof: Vec<[u8; 32]>,
    /// Empty, or what differs on this node: never a secret that is not sealed.
    pub(super) node_data: Vec<u8>,
    pub(super) state: InvocationState,
    /// Taken unless the node is gone.
    pub(super) next_send_ms: i64,
    pub(super) give_up_ms: i64,
}

/// Writes a command with all its invocations.
pub(super) async fn insert(write: &mut Write<'_>, command: &NewCommand<'_>, invocations: &[NewInvocation]) -> Result<(), StoreError> {
    let columns = Counts::COLUMNS.join(", ");
    let places: Vec<String> = (23..23 + Counts::COLUMNS.len()).map(|number| format!("${number}")).collect();
    let sql = format!(
        "INSERT INTO command (command_id, envelope, requester, document_name, document_version, steps, comment, parameters, instance_ids, \
         targets, requested_ms, expires_ms, timeout_seconds, max_concurrency, max_errors, limit_concurrency, limit_errors, status, \
         status_details, ends_by_ms, notification, service_role, {columns}) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, {})",
        places.join(", ")
    );
    let mut query = sqlx::query(AssertSqlSafe(sql))
        .bind(command.command_id)
        .bind(command.envelope)
        .bind(command.requester)
        .bind(command.document_name)
        .bind(command.document_version)
        .bind(&command.steps)
        .bind(command.comment)
        .bind(&command.parameters)
        .bind(&command.instance_ids)
        .bind(&command.targets)
        .bind(command.requested_ms)
        .bind(command.expires_ms)
        .bind(command.timeout_seconds)
        .bind(command.max_concurrency)
        .bind(command.max_errors)
        .bind(command.limits.concurrency)
        .bind(command.limits.errors)
        .bind(command.words.status)
        .bind(command.words.details)
        .bind(command.ends_by_ms)
        .bind(&command.notification)
        .bind(command.service_role);
    for count in command.counts.to_array() {
        query = query.bind(count);
    }
    query.execute(write.connection()).await?;
    for chunk in invocations.chunks(INSERT_ROWS) {
        let mut query: QueryBuilder<Sqlite> = QueryBuilder::new(
            "INSERT INTO invocation (command_id, node_id, leaf_index, proof, node_data, node_data_hash, requested_ms, state, send_count, \
             give_up_ms, next_send_ms) ",
        );
        query.push_values(chunk, |mut row, invocation| {
            row.push_bind(command.command_id)
                .push_bind(invocation.node.to_string())
                .push_bind(i64::try_from(invocation.index).unwrap_or(i64::MAX))
                .push_bind(invocation.proof.concat())
                .push_bind(invocation.node_data.as_slice())
                .push_bind(hash_of(&invocation.node_data))
                .push_bind(command.requested_ms)
                .push_bind(invocation.state.as_str())
                .push_bind(i64::from(invocation.state == InvocationState::Sent))
                .push_bind(invocation.give_up_ms)
                .push("(SELECT CASE WHEN online <> 0 THEN ")
                .push_bind_unseparated(invocation.next_send_ms)
                .push_unseparated(" END FROM node WHERE node.node_id = ")
                .push_bind_unseparated(invocation.node.to_string())
                .push_unseparated(")");
        });
        query.build().execute(write.connection()).await?;
    }
    // A node that was removed after it was chosen, and of which everything open was ended already, has something open again.
    sqlx::query(
        "UPDATE node SET closed = 0 WHERE closed = 1 AND deregistered_ms IS NOT NULL \
         AND node_id IN (SELECT node_id FROM invocation WHERE command_id = $1)",
    )
    .bind(command.command_id)
    .execute(write.connection())
    .await?;
    Ok(())
}
