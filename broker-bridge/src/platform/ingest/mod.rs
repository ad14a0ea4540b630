//! Ingest: what came in is taken up in group commits, and answered after the commit.
//!
//! A batch is at most [`BATCH`] messages and one transaction. A message that cannot be taken up is set aside as a dead letter in
//! the same transaction, and the others go on. When a transaction fails, its messages are tried one by one, so that one of
//! them cannot hold up the rest for ever; what fails even then for want of the database is dropped without an answer, and
//! whoever sent it sends it again.

mod dead_letter;

use super::mqtt::{Arrival, Inbound, Outbound, Publisher};
use super::store::{Store, StoreError, Write};
use crate::clock::Clock;
pub use dead_letter::{DeadLetter, MAXIMUM_LETTERS, count as dead_letter_count};
use std::fmt;
use std::future::Future;
use tokio::sync::mpsc;

/// Most messages of one transaction.
pub const BATCH: usize = 256;

/// What is to be done after a batch is committed.
#[derive(Debug)]
pub struct Effects {
    /// Messages to publish, in this order.
    pub publishes: Vec<Outbound>,
}

/// Who knows what messages mean.
pub trait Handler: Send + Sync + 'static {
    /// Notes for one batch, so that what concerns several of its messages is done once.
    type Notes: Default + Send;

    /// Takes up one message within a transaction.
    ///
    /// Returns the reason, when the message is to be set aside as a dead letter.
    fn take(
        &self,
        write: &mut Write<'_>,
        notes: &mut Self::Notes,
        message: &Inbound,
    ) -> impl Future<Output = Result<Result<(), String>, StoreError>> + Send;

    /// Marks that the broker is gone, and with it the knowledge who is online.
    fn broker_lost(&self, write: &mut Write<'_>, notes: &mut Self::Notes) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Ends a batch within its transaction.
    fn finish(&self, write: &mut Write<'_>, notes: &mut Self::Notes) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// What the committed batch asks for.
    fn effects(&self, notes: Self::Notes) -> Effects;
}

/// Takes up what arrives until the channel is closed and empty.
pub async fn run<H: Handler>(store: Store, clock: Clock, handler: H, publisher: Publisher, mut arrivals: mpsc::Receiver<Arrival>) {
    let mut batch = Vec::with_capacity(BATCH);
    while arrivals.recv_many(&mut batch, BATCH).await > 0 {
        take_batch(&store, &clock, &handler, &publisher, &batch).await;
        batch.clear();
    }
}

/// Takes up one batch and publishes what follows from it.
pub async fn take_batch<H: Handler>(store: &Store, clock: &Clock, handler: &H, publisher: &Publisher, batch: &[Arrival]) {
    match commit(store, clock, handler, batch).await {
        Ok(effects) => publish(publisher, effects),
        Err(error) if batch.len() > 1 => {
            tracing::warn!(error = %Chain(&error), messages = batch.len(), "a batch was not committed; its messages are taken one by one");
            for arrival in batch {
                match commit(store, clock, handler, std::slice::from_ref(arrival)).await {
                    Ok(effects) => publish(publisher, effects),
                    Err(error) => refuse(store, clock, arrival, &error).await,
                }
            }
        }
        Err(error) => {
            for arrival in batch {
                refuse(store, clock, arrival, &error).await;
            }
        }
    }
}

async fn commit<H: Handler>(store: &Store, clock: &Clock, handler: &H, batch: &[Arrival]) -> Result<Effects, StoreError> {
    let mut write = store.write().await?;
    let mut notes = H::Notes::default();
    for arrival in batch {
        match arrival {
            Arrival::Connected => {}
            Arrival::Disconnected => handler.broker_lost(&mut write, &mut notes).await?,
            Arrival::Message(message) => {
                if let Err(reason) = handler.take(&mut write, &mut notes, message).await? {
                    dead_letter::keep(&mut write, clock.now_ms(), message, &reason).await?;
                }
            }
        }
    }
    handler.finish(&mut write, &mut notes).await?;
    write.commit().await?;
    Ok(handler.effects(notes))
}

fn publish(publisher: &Publisher, effects: Effects) {
    for message in effects.publishes {
        // Answers that find no place are asked for again.
        publisher.try_publish(message);
    }
}

/// Only a statement that the database refuses speaks against the message; anything else speaks against the database.
async fn refuse(store: &Store, clock: &Clock, arrival: &Arrival, error: &StoreError) {
    tracing::error!(error = %Chain(error), "a message was not committed");
    let (Arrival::Message(message), StoreError::Other(_)) = (arrival, error) else { return };
    let kept = async {
        let mut write = store.write().await?;
        dead_letter::keep(&mut write, clock.now_ms(), message, "the database refused what it says").await?;
        write.commit().await
    };
    if let Err(error) = kept.await {
        tracing::error!(error = %Chain(&error), "a dead letter was not kept");
    }
}

/// An error with its causes in one line.
struct Chain<'a>(&'a dyn std::error::Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
