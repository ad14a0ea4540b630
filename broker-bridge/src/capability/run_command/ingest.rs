//! What nodes say about commands, and what it means that they come and go.

use super::model::InvocationState;
use super::reconcile::delivery_message;
use super::rules::Happening;
use super::store::{self, Details, Ledger};
use crate::fleet::Fleet;
use crate::platform::mqtt::Outbound;
use crate::platform::store::{StoreError, Write};
use flotilla_protocol::capability::command::{CommandProgress, CommandRebooting, CommandResult};
use flotilla_protocol::hello::MAXIMUM_HELD;
use flotilla_protocol::id::{NodeId, OrderId};
use flotilla_protocol::report::{OutputBody, OutputReceiptBody, OutputStream};
use flotilla_protocol::status::Admission;
use flotilla_protocol::wire::encode;

/// Most bytes of one step's stream that are kept; then the node is told that no more is wanted.
pub const MAXIMUM_OUTPUT_BYTES: u64 = 1024 * 1024;

/// Up to so many bytes small chunks are kept as one: no more than a large one, which a download reads whole.
const JOINED_BYTES: usize = 16 * 1024;

/// What a batch of messages has done to commands and not yet written.
#[derive(Debug, Default)]
pub struct Notes {
    ledger: Ledger,
    /// Something may be due to be sent.
    wakes_dispatch: bool,
}

impl Notes {
    /// Whether dispatch should look, after the commit.
    #[must_use]
    pub fn wakes_dispatch(&self) -> bool {
        self.wakes_dispatch
    }
}

/// A node has taken an order, or refused it. Here as below: whether an invocation has moved by it.
///
/// # Errors
/// What the database says.
pub async fn admission(
    write: &mut Write<'_>,
    notes: &mut Notes,
    node: NodeId,
    admission: &Admission,
    now_ms: u64,
) -> Result<bool, StoreError> {
    match admission {
        Admission::Accepted { order } => happen(write, notes, node, *order, Happening::Accepted, &Details::default(), now_ms).await,
        Admission::Rejected { order, reason } => {
            let explanation = format!("the node refused the command: {}", reason.as_str());
            let details = Details { explanation: &explanation, result: None };
            happen(write, notes, node, *order, Happening::Rejected(*reason), &details, now_ms).await
        }
    }
}

/// A node has begun a command.
///
/// # Errors
/// What the database says.
pub async fn progress(
    write: &mut Write<'_>,
    notes: &mut Notes,
    node: NodeId,
    progress: &CommandProgress,
    now_ms: u64,
) -> Result<bool, StoreError> {
    happen(write, notes, node, progress.order, Happening::Started, &Details::default(), now_ms).await
}

/// A command that runs waits for a reboot of its node.
///
/// # Errors
/// What the database says.
pub async fn rebooting(
    write: &mut Write<'_>,
    notes: &mut Notes,
    node: NodeId,
    rebooting: &CommandRebooting,
    now_ms: u64,
) -> Result<bool, StoreError> {
    // Where silence was taken for its end, that was wrong.
    let moved = happen(write, notes, node, rebooting.order, Happening::Started, &Details::default(), now_ms).await?;
    store::set_rebooting(write, &rebooting.order.to_string(), &node.to_string(), true, now_ms).await?;
    Ok(moved)
}

/// A node has lost its memory: of what it had taken, or may have taken, and not ended nobody will know more. Orders that were made after the
/// barrier are none of these: the node takes them as ever.
///
/// # Errors
/// What the database says.
pub async fn memory_lost(write: &mut Write<'_>, notes: &mut Notes, node: NodeId, barrier_ms: u64, now_ms: u64) -> Result<bool, StoreError> {
    let mut moved = false;
    let details = Details { explanation: "the node lost its memory, and how far the command came cannot be known", result: None };
    for (command_id, _) in store::open_of_node(write.connection(), &node.to_string()).await? {
        let order: Option<OrderId> = command_id.parse().ok();
        if let Some(order) = order.filter(|order| order.made_ms().is_none_or(|made_ms| made_ms <= barrier_ms)) {
            moved |= happen(write, notes, node, order, Happening::MemoryLost, &details, now_ms).await?;
        }
    }
    Ok(moved)
}

/// A command has ended on a node.
///
/// # Errors
/// What the database says.
pub async fn result(
    write: &mut Write<'_>,
    notes: &mut Notes,
    node: NodeId,
    result: &CommandResult,
    now_ms: u64,
) -> Result<bool, StoreError> {
    let encoded = encode(result);
    let details = Details { explanation: &result.explanation, result: Some(&encoded) };
    happen(write, notes, node, result.order, Happening::Ended(result.outcome), &details, now_ms).await
}

async fn happen(
    write: &mut Write<'_>,
    notes: &mut Notes,
    node: NodeId,
    order: OrderId,
    happening: Happening,
    details: &Details<'_>,
    now_ms: u64,
) -> Result<bool, StoreError> {
    // A command that this database does not know, after it was restored from a backup for example, has nothing to be moved.
    let Some(invocation) = store::find(write.connection(), &order.to_string(), &node.to_string()).await? else {
        tracing::debug!(%node, %order, ?happening, "a node reports on a command that is not known");
        return Ok(false);
    };
    let moved = store::happen(write, &mut notes.ledger, &invocation, happening, details, now_ms).await?;
    // It ran before: it goes on after a reboot.
    if !moved && happening == Happening::Started {
        store::set_rebooting(write, &invocation.command_id, &invocation.node_id, false, now_ms).await?;
    }
    // A place may have become free.
    notes.wakes_dispatch |= moved && matches!(happening, Happening::Ended(_) | Happening::Rejected(_) | Happening::MemoryLost);
    Ok(moved)
}

/// Appends a chunk of output; returns up to where the bridge has the stream, or why the chunk is set aside.
///
/// # Errors
/// What the database says.
pub async fn output(write: &mut Write<'_>, chunk: &OutputBody) -> Result<Result<OutputReceiptBody, String>, StoreError> {
    let OutputBody { node, order, step, stream, offset, bytes } = chunk;
    let receipt = |up_to| OutputReceiptBody { node: *node, order: *order, step: *step, stream: *stream, up_to };
    let Some(Known { steps, up_to: known, last }) = known_up_to(write, *node, *order, *step, *stream).await? else {
        return Ok(Ok(receipt(u64::MAX)));
    };
    if usize::from(*step) >= steps {
        return Ok(Err(format!("output of step {step} of a command that has {steps}")));
    }
    if known >= MAXIMUM_OUTPUT_BYTES {
        return Ok(Ok(receipt(u64::MAX)));
    }
    let skipped = known.checked_sub(*offset).and_then(|skipped| usize::try_from(skipped).ok());
    let Some(fresh) = skipped.and_then(|skipped| bytes.get(skipped..)).filter(|fresh| !fresh.is_empty()) else {
        return Ok(Ok(receipt(known)));
    };
    let room = usize::try_from(MAXIMUM_OUTPUT_BYTES - known).unwrap_or(usize::MAX);
    let fresh = fresh.get(..room).unwrap_or(fresh);
    let end = known + u64::try_from(fresh.len()).unwrap_or(0);
    // Small chunks are put together: what a node may store is bounded in bytes, and each row costs many more than one.
    let (offset, bytes) = match last {
        Some((offset, mut bytes)) if bytes.len() + fresh.len() <= JOINED_BYTES => {
            bytes.extend_from_slice(fresh);
            (offset, bytes)
        }
        _ => (known, fresh.to_vec()),
    };
    sqlx::query(
        "INSERT INTO command_output (command_id, node_id, step, stream, chunk_offset, end_offset, bytes) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (command_id, node_id, step, stream, chunk_offset) \
         DO UPDATE SET end_offset = excluded.end_offset, bytes = excluded.bytes",
    )
    .bind(order.to_string())
    .bind(node.to_string())
    .bind(i64::from(*step))
    .bind(stream_column(*stream))
    .bind(crate::platform::time::to_column(offset))
    .bind(crate::platform::time::to_column(end))
    .bind(bytes)
    .execute(write.connection())
    .await?;
    Ok(Ok(receipt(if end >= MAXIMUM_OUTPUT_BYTES { u64::MAX } else { end })))
}

/// What is here of a stream.
struct Known {
    /// How many steps the command has.
    steps: usize,
    /// Up to where the stream is here, be it in chunks or at the head of the result.
    up_to: u64,
    /// Where the last chunk begins and what it holds, if the stream goes on behind it and it is small.
    last: Option<(u64, Vec<u8>)>,
}

/// What is here of a stream; nothing for an invocation that is not known.
async fn known_up_to(
    write: &mut Write<'_>,
    node: NodeId,
    order: OrderId,
    step: u16,
    stream: OutputStream,
) -> Result<Option<Known>, StoreError> {
    let (order, node) = (order.to_string(), node.to_string());
    let invocation: Option<(String, Option<Vec<u8>>)> = sqlx::query_as(
        "SELECT steps, result FROM invocation JOIN command ON command.command_id = invocation.command_id \
         WHERE invocation.command_id = $1 AND node_id = $2",
    )
    .bind(&order)
    .bind(&node)
    .fetch_optional(write.connection())
    .await?;
    let Some((steps, result)) = invocation else { return Ok(None) };
    let steps = serde_json::from_str::<Vec<serde::de::IgnoredAny>>(&steps).map_or(0, |steps| steps.len());
    let stored: Option<(i64, i64, Option<Vec<u8>>)> = sqlx::query_as(
        "SELECT chunk_offset, end_offset, CASE WHEN end_offset - chunk_offset < $5 THEN bytes END FROM command_output \
         WHERE command_id = $1 AND node_id = $2 AND step = $3 AND stream = $4 ORDER BY chunk_offset DESC LIMIT 1",
    )
    .bind(&order)
    .bind(&node)
    .bind(i64::from(step))
    .bind(stream_column(stream))
    .bind(i64::try_from(JOINED_BYTES).unwrap_or(i64::MAX))
    .fetch_optional(write.connection())
    .await?;
    let result: Option<CommandResult> = result.and_then(|result| flotilla_protocol::wire::decode(&result).ok());
    let captured = result.as_ref().and_then(|result| result.steps.get(usize::from(step))).map(|step| match stream {
        OutputStream::Stdout => &step.stdout,
        OutputStream::Stderr => &step.stderr,
    });
    let head = captured.and_then(|captured| u64::try_from(captured.head.len()).ok()).unwrap_or(0);
    let Some((begin, end, bytes)) = stored else { return Ok(Some(Known { steps, up_to: head, last: None })) };
    let (begin, end) = (crate::platform::time::from_column(begin), crate::platform::time::from_column(end));
    Ok(Some(Known { steps, up_to: end.max(head), last: bytes.filter(|_| end >= head).map(|bytes| (begin, bytes)) }))
}

/// A stream as the database names it.
pub(super) fn stream_column(stream: OutputStream) -> i64 {
    match stream {
        OutputStream::Stdout => 0,
        OutputStream::Stderr => 1,
    }
}

/// Orders that a hello has the bridge ask for at most; the next hello goes on.
const ASKED_OF_A_HELLO: usize = 32;

/// A node said hello and holds these orders: what it was sent and does not hold is sent again. Returns what it is to be asked for at once: it
/// had taken these orders, holds them no more, and how they ended is not here. Its answer may be on the way; or this database is an older
/// copy, and the node says again what it said before, see docs/decisions/0011. It starts none of them: it knows their ids, or they have expired.
///
/// # Errors
/// What the database says.
pub async fn hello(
    fleet: &Fleet,
    write: &mut Write<'_>,
    notes: &mut Notes,
    node: NodeId,
    held: &[OrderId],
    now_ms: u64,
) -> Result<Vec<Outbound>, StoreError> {
    let node_id = node.to_string();
    let mut questions = Vec::new();
    notes.wakes_dispatch |= store::unpark(write, &node_id, now_ms).await? > 0;
    notes.wakes_dispatch |= store::let_follow(write, &node_id, now_ms).await?;
    // A node names as many as fit.
    let held_is_whole = held.len() < MAXIMUM_HELD;
    for (command_id, state) in store::open_of_node(write.connection(), &node_id).await? {
        let order: Option<OrderId> = command_id.parse().ok();
        let holds = order.is_some_and(|order| held.contains(&order));
        match store::parse_state(&state)? {
            InvocationState::Pending => notes.wakes_dispatch = true,
            // Its answer is on the way; the order is sent again only when that does not come.
            InvocationState::Sent if holds => {
                store::send_at(write, &command_id, &node_id, now_ms.saturating_add(fleet.settings.pace.pause_ms(1))).await?;
                notes.wakes_dispatch = true;
            }
            InvocationState::Sent => {
                store::send_at(write, &command_id, &node_id, now_ms).await?;
                notes.wakes_dispatch = true;
            }
            _ if !holds && held_is_whole => {
                store::set_lost(write, &command_id, &node_id, true, now_ms).await?;
                if questions.len() < ASKED_OF_A_HELLO
                    && let Some((envelope, index, proof, node_data)) = store::delivery(write.connection(), &command_id, &node_id).await?
                    && let Ok(index) = u32::try_from(index)
                {
                    questions.push(delivery_message(fleet, node, &envelope, index, proof.as_chunks::<32>().0.to_vec(), node_data));
                }
            }
            _ => {
                store::set_lost(write, &command_id, &node_id, false, now_ms).await?;
                notes.wakes_dispatch = true;
            }
        }
    }
    Ok(questions)
}

/// A node is connected: the broker says so, or its signature. `is_new` where it did not count as connected before.
///
/// # Errors
/// What the database says.
pub async fn node_online(write: &mut Write<'_>, notes: &mut Notes, node: NodeId, is_new: bool, now_ms: u64) -> Result<(), StoreError> {
    let node_id = node.to_string();
    if is_new {
        // What was put off until it is known whether the node is there is due now too.
        store::park(write, Some(&node_id)).await?;
    }
    notes.wakes_dispatch |= store::unpark(write, &node_id, now_ms).await? > 0;
    Ok(())
}

/// The broker is back, and says next who is connected. What is not said of a node that was connected before is not taken as a no: a message
/// can be lost, and a node that has nothing to say is heard of only after an hour.
///
/// # Errors
/// What the database says.
pub async fn broker_found(write: &mut Write<'_>, notes: &mut Notes, now_ms: u64) -> Result<(), StoreError> {
    notes.wakes_dispatch |= store::unpark_unknown(write, now_ms.saturating_add(store::PRESENCE_GRACE_MS)).await? > 0;
    Ok(())
}

/// The broker says that a node is gone.
///
/// # Errors
/// What the database says.
pub async fn node_offline(write: &mut Write<'_>, node: NodeId) -> Result<(), StoreError> {
    store::park(write, Some(&node.to_string())).await
}

/// Nobody is known to be connected.
///
/// # Errors
/// What the database says.
pub async fn all_offline(write: &mut Write<'_>) -> Result<(), StoreError> {
    store::park(write, None).await
}

/// Writes what the batch has collected. Call it once, at the end of the transaction.
///
/// # Errors
/// What the database says.
pub async fn finish(write: &mut Write<'_>, notes: &mut Notes, now_ms: u64) -> Result<(), StoreError> {
    notes.wakes_dispatch |= store::settle(write, &mut notes.ledger, now_ms).await?;
    Ok(())
}
