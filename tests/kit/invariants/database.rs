//! Reads what a bridge has written, of a simulated or a real one, into a history. Only reads: the bridge may be running.

use super::{CommandHistory, History, InvocationRow, Note, OutputRows, Seen};
use flotilla_broker_bridge::capability::run_command::model::{Counts, InvocationState};
use flotilla_protocol::capability::command::CommandResult;
use flotilla_protocol::report::Stream;
use flotilla_protocol::wire::decode;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection as _, Row as _};
use std::path::Path;

/// Command, node, state, whether it is signed, and the encoded result.
type InvocationColumns = (String, String, String, i64, Option<Vec<u8>>);

/// Opens the database file of a bridge's home, reads it into `history` and closes it again.
///
/// # Errors
/// What the database says.
///
/// # Panics
/// On a state that no bridge writes.
pub async fn read_file(path: &Path, history: &mut History) -> Result<(), sqlx::Error> {
    let options = SqliteConnectOptions::new().filename(path).pragma("query_only", "ON");
    let mut connection = SqliteConnection::connect_with(&options).await?;
    read(&mut connection, history).await?;
    connection.close().await
}

/// Reads everything. Called again, it keeps what was seen before, so that what must not change is seen to change.
///
/// # Errors
/// What the database says.
///
/// # Panics
/// On a state that no bridge writes.
pub async fn read(connection: &mut SqliteConnection, history: &mut History) -> Result<(), sqlx::Error> {
    history.has_database = true;
    history.commands.values_mut().for_each(|command| command.counts = None);
    commands(connection, history).await?;
    invocations(connection, history).await?;
    // What was seen before and is not there any more has no rows.
    for command in history.commands.values_mut().filter(|command| command.counts.is_none()) {
        command.invocations.clear();
    }
    output(connection, history).await?;
    audited(connection, history).await?;
    let heads: Vec<(String, u8, i64)> =
        sqlx::query_as("SELECT node_id, stream, sequence FROM node_stream").fetch_all(&mut *connection).await?;
    for (node, stream, sequence) in heads {
        let (of_node, head) = (history.node(&node), u64::try_from(sequence).unwrap_or(0));
        match Stream::from(stream) {
            Stream::Control => of_node.bridge_head = head,
            stream => drop(of_node.droppable_heads.insert(stream, head)),
        }
    }
    let notes: Vec<(String, String, String)> =
        sqlx::query_as("SELECT node_id, kind, detail FROM node_event ORDER BY event_id").fetch_all(&mut *connection).await?;
    history.notes = notes.into_iter().map(|(node, kind, detail)| Note { missing: missing(&kind, &detail), node, kind }).collect();
    let letters: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM dead_letter").fetch_one(connection).await?;
    history.dead_letters = u64::try_from(letters).unwrap_or(0);
    Ok(())
}

async fn commands(connection: &mut SqliteConnection, history: &mut History) -> Result<(), sqlx::Error> {
    let sql = format!("SELECT command_id, expires_ms, limit_concurrency, comment, {} FROM command", Counts::COLUMNS.join(", "));
    for row in sqlx::query(AssertSqlSafe(sql)).fetch_all(connection).await? {
        let mut counts = [0; Counts::COLUMNS.len()];
        for (index, count) in counts.iter_mut().enumerate() {
            *count = row.try_get(index + 4)?;
        }
        let counts = Counts::from_array(counts);
        let command = history.command(row.try_get(0)?);
        command.not_after_ms = u64::try_from(row.try_get::<i64, _>(1)?).unwrap_or(0);
        command.concurrency = row.try_get(2)?;
        command.comment = row.try_get(3)?;
        command.counts = Some(counts);
        command.most_in_flight = command.most_in_flight.max(counts.in_flight());
    }
    Ok(())
}

async fn invocations(connection: &mut SqliteConnection, history: &mut History) -> Result<(), sqlx::Error> {
    let rows: Vec<InvocationColumns> =
        sqlx::query_as("SELECT command_id, node_id, state, signed, result FROM invocation ORDER BY command_id, node_id")
            .fetch_all(connection)
            .await?;
    for (order, node, state, signed, result) in rows {
        let state = InvocationState::parse(&state).unwrap_or_else(|| panic!("{state:?} is no state of an invocation"));
        let now = Seen { state, signed: signed == 1 };
        let command = history.command(&order);
        heads(command, &node, result.as_deref());
        let row = command.invocations.entry(node).or_insert_with(|| InvocationRow::new(now.state, now.signed));
        if row.now != now {
            row.before.push(row.now);
            row.now = now;
        }
    }
    Ok(())
}

/// What the node's result carries of the output itself.
fn heads(command: &mut CommandHistory, node: &str, result: Option<&[u8]>) {
    let Some(Ok(result)) = result.map(decode::<CommandResult>) else { return };
    for (step, of_step) in (0..).zip(&result.steps) {
        for (stream, captured) in [(0, &of_step.stdout), (1, &of_step.stderr)] {
            rows_of(command, node, step, stream).head = u64::try_from(captured.head.len()).unwrap_or(0);
        }
    }
}

fn rows_of<'a>(command: &'a mut CommandHistory, node: &str, step: i64, stream: i64) -> &'a mut OutputRows {
    let is_same = |rows: &OutputRows| rows.node == node && rows.step == step && rows.stream == stream;
    let place = command.output.iter().position(is_same).unwrap_or_else(|| {
        command.output.push(OutputRows { node: node.to_owned(), step, stream, ..OutputRows::default() });
        command.output.len() - 1
    });
    &mut command.output[place]
}

/// The chain of which a note tells that reports are missing, and how many.
fn missing(kind: &str, detail: &str) -> Option<(Stream, u64)> {
    let (count, rest) = detail.split_once(" reports of ").filter(|_| kind == "gap")?;
    let name = rest.split(' ').next()?;
    Some((Stream::ALL.into_iter().find(|stream| stream.as_str() == name)?, count.parse().ok()?))
}

async fn output(connection: &mut SqliteConnection, history: &mut History) -> Result<(), sqlx::Error> {
    let rows: Vec<(String, String, i64, i64, i64, i64)> = sqlx::query_as(
        "SELECT command_id, node_id, step, stream, chunk_offset, end_offset FROM command_output \
         ORDER BY command_id, node_id, step, stream, chunk_offset",
    )
    .fetch_all(connection)
    .await?;
    for command in history.commands.values_mut() {
        command.output.iter_mut().for_each(|rows| rows.pieces.clear());
    }
    for (order, node, step, stream, from, to) in rows {
        let bytes = |offset: i64| u64::try_from(offset).unwrap_or(0);
        rows_of(history.command(&order), &node, step, stream).pieces.push((bytes(from), bytes(to)));
    }
    Ok(())
}

/// The starts in the audit log.
async fn audited(connection: &mut SqliteConnection, history: &mut History) -> Result<(), sqlx::Error> {
    let sql = "SELECT subject, actor, COUNT(*) FROM audit_entry WHERE kind = 'order-started' GROUP BY subject, actor";
    let rows: Vec<(String, String, i64)> = sqlx::query_as(sql).fetch_all(connection).await?;
    history.has_audit = true;
    history.commands.values_mut().for_each(|command| command.audited_starts.clear());
    for (order, node, count) in rows {
        // Of a command that retention has removed nothing is left to compare it with.
        if let Some(command) = history.commands.get_mut(&order) {
            command.audited_starts.insert(node, usize::try_from(count).unwrap_or(usize::MAX));
        }
    }
    Ok(())
}

/// Every node for which the database has an invocation is a target: for tests that do not know whom a command was for.
pub fn trust_targets(history: &mut History) {
    for command in history.commands.values_mut() {
        command.targets = command.invocations.keys().cloned().collect();
    }
}
