//! Dispatch: brings down to the nodes what the database says is due, and gives up what nobody answers.
//!
//! A round reads what is due, marks it as sent in one transaction, and publishes after the commit: a crash between the two
//! costs a pause of the re-send rule, never an order. Between rounds it sleeps until the next due time or until it is nudged,
//! and an idle fleet costs nothing.

use super::prepared;
use super::retention;
use super::rules::ANSWER_GRACE_MS;
use super::store::{self, Ledger, ToSend};
use crate::fleet::Fleet;
use crate::fleet::node::store as node_store;
use crate::platform::mqtt::Outbound;
use crate::platform::shutdown::Shutdown;
use crate::platform::store::StoreError;
use crate::platform::time::from_column;
use flotilla_protocol::delivery::Delivery;
use flotilla_protocol::id::{NodeId, OrderId};
use flotilla_protocol::order::CancelBody;
use flotilla_protocol::topic::{DownKind, Topic};
use flotilla_protocol::wire::encode;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Longest sleep: the timers of tokio and the wall clock drift apart, and a changed clock is noticed by then.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
/// Shortest sleep before a due time: a due time that does not move must not become a busy loop.
const SHORTEST_SLEEP: Duration = Duration::from_millis(2);
/// The pause after a round that the database refused.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);

/// Pause between two looks at whether this bridge has come into office, in milliseconds.
const OFFICE_PAUSE_MS: u64 = 250;

/// Commands from which one round releases invocations.
const COMMANDS: usize = 64;

/// Runs rounds until it is asked to stop, and removes what is old where there is nothing to send.
pub async fn run(fleet: Arc<Fleet>, mut shutdown: Shutdown) {
    let began = tokio::time::Instant::now();
    let mut retention = retention::Schedule::default();
    let (mut prunes, mut judged) = (false, None);
    while !shutdown.is_requested() {
        let pause = match judge_and_send(&fleet, &mut judged).await {
            Ok(Round { more: true, .. }) => continue,
            Ok(_) if prunes || retention.is_due(uptime_ms(began), fleet.clock.now_ms()) => {
                prunes = retention::prune(&fleet).await.unwrap_or_else(|error| {
                    tracing::error!(error = &error as &dyn std::error::Error, "old commands could not be removed");
                    false
                });
                continue;
            }
            Ok(Round { next_due_ms, .. }) => {
                let now_ms = fleet.clock.now_ms();
                let pause = next_due_ms.map_or(LONGEST_SLEEP, |due| Duration::from_millis(due.saturating_sub(now_ms)));
                pause.clamp(SHORTEST_SLEEP, LONGEST_SLEEP)
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "a round of dispatch failed");
                PAUSE_AFTER_ERROR
            }
        };
        tokio::select! {
            () = shutdown.requested() => return,
            () = fleet.nudge.dispatch.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// A round, after what people have signed was judged by the trust of now, where that is another than the one by which it was judged last.
pub(super) async fn judge_and_send(fleet: &Fleet, judged: &mut Option<[u8; 32]>) -> Result<Round, StoreError> {
    let trust = fleet.signer.trust().hash();
    if *judged != Some(trust) {
        prepared::judge_again(fleet).await?;
        *judged = Some(trust);
    }
    round(fleet).await
}

/// How long ago that was, in milliseconds.
fn uptime_ms(began: tokio::time::Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// What a round leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Round {
    /// There may be more to do at once.
    pub more: bool,
    /// When there is something to do next: Unix time in milliseconds.
    pub next_due_ms: Option<u64>,
}

/// One round: everything that is due, in bounded batches.
///
/// # Errors
/// What the database says; nothing was published then.
pub async fn round(fleet: &Fleet) -> Result<Round, StoreError> {
    let now_ms = fleet.clock.now_ms();
    let pace = fleet.settings.pace;
    let mut more = false;
    let mut reader = fleet.store.reader().acquire().await?;
    let removed = store::removed_nodes(&mut reader).await?;
    // While the bridge itself is cut off, and until the nodes have had the time to hand in what waits, silence means nothing.
    let connected_since_ms = fleet.publisher.connected_since_ms(now_ms);
    let silence_from_ms = connected_since_ms.map(|since| since.saturating_add(ANSWER_GRACE_MS));
    let silence_counts = silence_from_ms.is_some_and(|from| from <= now_ms);
    let due = store::next_due_ms(&mut reader, silence_from_ms).await?.is_some_and(|due| due <= now_ms);
    // The broker has not said of them that they are gone, and they themselves not that they are there.
    let waited_for_all = connected_since_ms.is_some_and(|since| since.saturating_add(store::LONGEST_SILENCE_MS) <= now_ms);
    let gone = waited_for_all && node_store::any_unknown(&mut reader).await?;
    let mut releasable = Vec::new();
    let mut after = String::new();
    loop {
        let due = store::due_commands(&mut reader, &after, now_ms).await?;
        for command_id in &due {
            if store::releasable(&mut reader, command_id, now_ms).await? > 0 {
                releasable.push(command_id.clone());
            }
        }
        match due.into_iter().last() {
            Some(last) if releasable.len() < COMMANDS => after = last,
            _ => break,
        }
    }
    drop(reader);
    if !removed.is_empty() || due || gone || !releasable.is_empty() {
        let mut ledger = Ledger::default();
        let mut write = fleet.store.write().await?;
        let (mut orders, mut cancels) = (Vec::new(), Vec::new());
        for node_id in &removed {
            store::end_removed(&mut write, &mut ledger, node_id, now_ms).await?;
        }
        if gone {
            for node_id in node_store::give_up_unknown(&mut write).await? {
                store::park(&mut write, Some(&node_id)).await?;
            }
        }
        let given_up = store::give_up(&mut write, &mut ledger, silence_counts, now_ms).await?;
        let interrupted = if silence_counts { store::interrupt(&mut write, &mut ledger, now_ms).await? } else { 0 };
        // What was just given up or ended must be counted before anything is released in its place.
        let follows = store::settle(&mut write, &mut ledger, now_ms).await?;
        let mut may_release_more = false;
        let connected = fleet.publisher.is_connected();
        if connected {
            cancels = store::cancel_again(&mut write, pace, now_ms).await?;
            orders = store::send_again(&mut write, pace, now_ms).await?;
            for command_id in &releasable {
                let released = store::release(&mut write, &mut ledger, command_id, pace, now_ms).await?;
                may_release_more |= released.more;
                orders.extend(released.orders);
            }
        } else if due && given_up == 0 && !fleet.publisher.awaits_office() {
            // Nothing can be sent, and what the broker says of nodes when it is back makes it due again. While this bridge is about to come into
            // office that was said already, and would not be said again.
            store::park(&mut write, None).await?;
        }
        let full = usize::try_from(store::DISPATCH_BATCH).unwrap_or(usize::MAX);
        more = !removed.is_empty() || gone || (connected && (follows || may_release_more || releasable.len() >= COMMANDS));
        more |= [given_up, interrupted, cancels.len(), orders.len()].into_iter().any(|done| done >= full);
        store::settle(&mut write, &mut ledger, now_ms).await?;
        write.commit().await?;
        for cancel in cancels {
            publish_cancel(fleet, &cancel).await;
        }
        publish_orders(fleet, &orders).await?;
    }
    let mut reader = fleet.store.reader().acquire().await?;
    if fleet.publisher.awaits_office() {
        return Ok(Round { more, next_due_ms: Some(now_ms.saturating_add(OFFICE_PAUSE_MS)) });
    }
    Ok(Round { more, next_due_ms: store::next_due_ms(&mut reader, silence_from_ms).await? })
}

/// Publishes deliveries whose sending is committed.
async fn publish_orders(fleet: &Fleet, orders: &[ToSend]) -> Result<(), StoreError> {
    let mut envelopes: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
    for order in orders {
        if !envelopes.contains_key(order.command_id.as_str()) {
            let mut reader = fleet.store.reader().acquire().await?;
            if let Some(envelope) = store::envelope(&mut reader, &order.command_id).await? {
                envelopes.insert(&order.command_id, envelope);
            }
        }
        let Some(envelope) = envelopes.get(order.command_id.as_str()) else { continue };
        let (Ok(node), Ok(index)) = (order.node_id.parse(), u32::try_from(order.leaf_index)) else { continue };
        let proof = order.proof.as_chunks::<32>().0.to_vec();
        fleet.publisher.publish(delivery_message(fleet, node, envelope, index, proof, order.node_data.clone())).await;
    }
    Ok(())
}

/// A delivery as it is published.
pub(super) fn delivery_message(
    fleet: &Fleet,
    node: NodeId,
    envelope: &[u8],
    index: u32,
    proof: Vec<[u8; 32]>,
    node_data: Vec<u8>,
) -> Outbound {
    let delivery = Delivery { envelope: envelope.to_vec(), index, proof, node_data };
    Outbound { topic: Topic::Down { fleet: fleet.settings.fleet, node, kind: DownKind::Order }, payload: encode(&delivery) }
}

async fn publish_cancel(fleet: &Fleet, cancel: &store::ToCancel) {
    let (Ok(node), Ok(order)) = (cancel.node_id.parse::<NodeId>(), cancel.command_id.parse::<OrderId>()) else { return };
    let body = CancelBody { fleet: fleet.settings.fleet, node, order, not_after_ms: from_column(cancel.expires_ms) };
    let topic = Topic::Down { fleet: fleet.settings.fleet, node, kind: DownKind::Cancel };
    match fleet.signer.cancel(&body) {
        Ok(payload) => {
            fleet.publisher.publish(Outbound { topic, payload }).await;
        }
        Err(error) => tracing::error!(%node, %order, %error, "a cancel cannot be signed"),
    }
}
