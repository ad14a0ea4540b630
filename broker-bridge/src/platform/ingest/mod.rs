//! Ingest: what came in is taken up in group commits, and answered after the commit.
//!
//! A batch is at most [`BATCH`] messages and one transaction. A message that cannot be taken up is set aside as a dead letter in
//! the same transaction, and the others go on. While the database is busy or cannot be written, a batch waits and is tried again
//! whole; meanwhile the broker is slowed down. When the database refuses a statement, the messages are tried one by one, so that
//! one of them cannot hold up the rest for ever; what fails even then is dropped without an answer, and whoever sent it sends it
//! again. Nobody sends again who is online: that is kept, and put before the next batch.

mod dead_letter;

use super::mqtt::{Arrival, Inbound, Outbound, Publisher};
use super::store::{Store, StoreError, Write};
use crate::clock::Clock;
pub use dead_letter::{DeadLetter, MAXIMUM_LETTERS, count as dead_letter_count};
use flotilla_protocol::id::NodeId;
use flotilla_protocol::topic::Topic;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::time::Duration;
use tokio::sync::mpsc;

/// Most messages of one transaction.
pub const BATCH: usize = 256;

/// First and longest pause before a batch is tried again for which the database was busy or could not be written.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// Nodes of which it is kept whether they are online while the database refuses to take it.
const MAXIMUM_KEPT: usize = 4 * BATCH;

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

    /// Marks that the broker is back; who is online it says next.
    fn broker_found(&self, write: &mut Write<'_>, notes: &mut Self::Notes) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Ends a batch within its transaction.
    fn finish(&self, write: &mut Write<'_>, notes: &mut Self::Notes) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// What the committed batch asks for.
    fn effects(&self, notes: Self::Notes) -> Effects;
}

/// Who is online, as far as the database has refused to take it: the last word of each node.
#[derive(Debug, Default)]
pub struct Presence {
    all_offline: bool,
    broker_found: bool,
    nodes: BTreeMap<NodeId, Inbound>,
}

impl Presence {
    /// Keeps what says who is online; anything else is let go.
    fn keep(&mut self, arrival: &Arrival) {
        match arrival {
            Arrival::Disconnected => *self = Self { all_offline: true, ..Self::default() },
            Arrival::Message(message) => {
                if let Topic::Online { node, .. } = message.topic
                    && (self.nodes.len() < MAXIMUM_KEPT || self.nodes.contains_key(&node))
                {
                    self.nodes.insert(node, message.clone());
                }
            }
            Arrival::Connected => self.broker_found = true,
        }
    }

    /// Lets go of what a later word that was taken up makes void.
    fn forget(&mut self, taken: &Arrival) {
        match taken {
            Arrival::Disconnected => *self = Self::default(),
            Arrival::Message(Inbound { topic: Topic::Online { node, .. }, .. }) => drop(self.nodes.remove(node)),
            Arrival::Connected => self.broker_found = false,
            Arrival::Message(_) => {}
        }
    }

    /// What is kept, in an order in which it can be taken up: it comes before the next batch. Nothing is kept any more.
    #[must_use]
    pub fn release(&mut self) -> Vec<Arrival> {
        let Self { all_offline, broker_found, nodes } = std::mem::take(self);
        let connection = [all_offline.then_some(Arrival::Disconnected), broker_found.then_some(Arrival::Connected)];
        connection.into_iter().flatten().chain(nodes.into_values().map(Arrival::Message)).collect()
    }
}

/// Takes up what arrives until the channel is closed and empty. `presence` is what [`take_batch`] left before.
pub async fn run<H: Handler>(
    store: Store,
    clock: Clock,
    handler: H,
    publisher: Publisher,
    mut arrivals: mpsc::Receiver<Arrival>,
    mut presence: Presence,
) {
    let mut batch = Vec::with_capacity(BATCH);
    while arrivals.recv_many(&mut batch, BATCH).await > 0 {
        let mut whole = presence.release();
        whole.append(&mut batch);
        // Once nothing more can come, the bridge ends, and a disk that is full must not keep it.
        let ingest = Ingest { store: &store, clock: &clock, handler: &handler, publisher: &publisher, may_wait: || !arrivals.is_closed() };
        presence = ingest.take(&whole).await;
    }
}

/// Takes up one batch without waiting for the database, and publishes what follows from it. Returns what was not taken up and is
/// to be put before the next batch.
pub async fn take_batch<H: Handler>(store: &Store, clock: &Clock, handler: &H, publisher: &Publisher, batch: &[Arrival]) -> Presence {
    Ingest { store, clock, handler, publisher, may_wait: || false }.take(batch).await
}

struct Ingest<'a, H, W> {
    store: &'a Store,
    clock: &'a Clock,
    handler: &'a H,
    publisher: &'a Publisher,
    /// Whether a batch may still wait for the database.
    may_wait: W,
}

impl<H: Handler, W: Fn() -> bool + Send + Sync> Ingest<'_, H, W> {
    async fn take(&self, batch: &[Arrival]) -> Presence {
        let mut presence = Presence::default();
        match self.commit_patiently(batch).await {
            Ok(effects) => publish(self.publisher, effects),
            // Only a statement that the database refuses can be the fault of one message.
            Err(StoreError::Other(error)) if batch.len() > 1 => {
                let error = StoreError::Other(error);
                tracing::warn!(error = %Chain(&error), messages = batch.len(), "a batch was not committed; its messages are taken one by one");
                for arrival in batch {
                    match self.commit_patiently(std::slice::from_ref(arrival)).await {
                        Ok(effects) => {
                            publish(self.publisher, effects);
                            presence.forget(arrival);
                        }
                        Err(error) => {
                            presence.keep(arrival);
                            refuse(self.store, self.clock, arrival, &error).await;
                        }
                    }
                }
            }
            Err(error) => {
                for arrival in batch {
                    presence.keep(arrival);
                    refuse(self.store, self.clock, arrival, &error).await;
                }
            }
        }
        presence
    }

    /// Commits a batch; waits, and tries again, for as long as it may and the database is busy or cannot be written.
    async fn commit_patiently(&self, batch: &[Arrival]) -> Result<Effects, StoreError> {
        let mut pause = PAUSE.0;
        loop {
            match commit(self.store, self.clock, self.handler, batch).await {
                Err(error @ (StoreError::Busy(_) | StoreError::Full(_))) if (self.may_wait)() => {
                    tracing::error!(error = %Chain(&error), messages = batch.len(), ?pause, "a batch waits for the database");
                }
                done => return done,
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2).min(PAUSE.1);
        }
    }
}

async fn commit<H: Handler>(store: &Store, clock: &Clock, handler: &H, batch: &[Arrival]) -> Result<Effects, StoreError> {
    let mut write = store.write().await?;
    let mut notes = H::Notes::default();
    let mut set_aside = false;
    for arrival in batch {
        match arrival {
            Arrival::Connected => handler.broker_found(&mut write, &mut notes).await?,
            Arrival::Disconnected => handler.broker_lost(&mut write, &mut notes).await?,
            Arrival::Message(message) => {
                if let Err(reason) = handler.take(&mut write, &mut notes, message).await? {
                    dead_letter::keep(&mut write, clock.now_ms(), message, &reason).await?;
                    set_aside = true;
                }
            }
        }
    }
    if set_aside {
        dead_letter::prune(&mut write).await?;
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
    // Who is online is tried again; there is nothing in it for a person to look at.
    if matches!(message.topic, Topic::Online { .. }) {
        return;
    }
    let kept = async {
        let mut write = store.write().await?;
        dead_letter::keep(&mut write, clock.now_ms(), message, "the database refused what it says").await?;
        dead_letter::prune(&mut write).await?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::MIGRATIONS;
    use flotilla_protocol::id::FleetId;
    use flotilla_protocol::topic::UpKind;
    use std::sync::Mutex;

    type Refusal = fn() -> Option<StoreError>;

    /// Writes down what it was given, batch by batch; fails as it is told before that.
    struct Scribe {
        failures: Mutex<Vec<Refusal>>,
        done: Mutex<Vec<Vec<String>>>,
    }

    impl Scribe {
        fn failing(failures: &[Refusal]) -> Self {
            Self { failures: Mutex::new(failures.iter().rev().copied().collect()), done: Mutex::default() }
        }

        fn done(&self) -> Vec<String> {
            self.done.lock().unwrap().iter().map(|batch| batch.join(" ")).collect()
        }
    }

    impl Handler for std::sync::Arc<Scribe> {
        type Notes = Vec<String>;

        async fn take(&self, _: &mut Write<'_>, notes: &mut Self::Notes, message: &Inbound) -> Result<Result<(), String>, StoreError> {
            notes.push(String::from_utf8(message.payload.to_vec()).unwrap());
            Ok(Ok(()))
        }

        async fn broker_lost(&self, _: &mut Write<'_>, notes: &mut Self::Notes) -> Result<(), StoreError> {
            notes.push("lost".to_owned());
            Ok(())
        }

        async fn broker_found(&self, _: &mut Write<'_>, _: &mut Self::Notes) -> Result<(), StoreError> {
            Ok(())
        }

        async fn finish(&self, _: &mut Write<'_>, _: &mut Self::Notes) -> Result<(), StoreError> {
            self.failures.lock().unwrap().pop().and_then(|failure| failure()).map_or(Ok(()), Err)
        }

        fn effects(&self, notes: Self::Notes) -> Effects {
            self.done.lock().unwrap().push(notes);
            Effects { publishes: Vec::new() }
        }
    }

    fn full() -> Option<StoreError> {
        Some(StoreError::Full(sqlx::Error::RowNotFound))
    }

    fn other() -> Option<StoreError> {
        Some(StoreError::Other(sqlx::Error::RowNotFound))
    }

    const FLEET: FleetId = FleetId([1; 8]);

    fn online(node: u8, text: &'static str) -> Arrival {
        let node = NodeId::of_key(&[node; 32]);
        Arrival::Message(Inbound { topic: Topic::Online { fleet: FLEET, node }, payload: text.into() })
    }

    fn report(text: &'static str) -> Arrival {
        let topic = Topic::Up { fleet: FLEET, node: NodeId::of_key(&[1; 32]), kind: UpKind::Report };
        Arrival::Message(Inbound { topic, payload: text.into() })
    }

    async fn store(folder: &tempfile::TempDir) -> Store {
        Store::open(&folder.path().join("fleet.db"), MIGRATIONS).await.unwrap()
    }

    #[tokio::test]
    async fn while_the_disk_is_full_a_batch_waits_and_stays_whole() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        let scribe = std::sync::Arc::new(Scribe::failing(&[full, full]));
        let (sender, arrivals) = mpsc::channel(BATCH);
        for arrival in [online(1, "1"), report("a"), Arrival::Disconnected, report("b")] {
            sender.send(arrival).await.unwrap();
        }
        let clock = Clock::fixed(1);
        let task = tokio::spawn(run(store, clock, std::sync::Arc::clone(&scribe), Publisher::new(), arrivals, Presence::default()));
        let taken = async {
            while scribe.done().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), taken).await.expect("the batch was lost");
        drop(sender);
        task.await.unwrap();
        assert_eq!(scribe.done(), ["1 a lost b"]);
    }

    #[tokio::test]
    async fn who_is_online_is_not_lost_when_the_database_refuses_it() {
        let folder = tempfile::tempdir().unwrap();
        let (store, clock, publisher) = (store(&folder).await, Clock::fixed(1), Publisher::new());
        let nothing: Refusal = || None;
        // The batch is refused, then everything in it but one report, one by one.
        let scribe = std::sync::Arc::new(Scribe::failing(&[other, other, other, nothing, other, other]));
        let batch = [online(3, "3 before"), Arrival::Disconnected, report("a"), online(1, "1 on"), online(1, "1 off")];
        let mut presence = take_batch(&store, &clock, &scribe, &publisher, &batch).await;
        assert_eq!(scribe.done(), ["a"]);
        assert_eq!(presence.release(), [Arrival::Disconnected, online(1, "1 off")]);
        assert_eq!(dead_letter_count(&store).await.unwrap(), 0);
        // A full disk, and nobody who waits for it.
        let scribe = std::sync::Arc::new(Scribe::failing(&[full]));
        let mut presence = take_batch(&store, &clock, &scribe, &publisher, &[report("a"), online(2, "2 on")]).await;
        assert_eq!((scribe.done().len(), presence.release()), (0, vec![online(2, "2 on")]));
    }

    #[tokio::test]
    async fn what_was_kept_comes_before_the_next_batch() {
        let folder = tempfile::tempdir().unwrap();
        let scribe = std::sync::Arc::new(Scribe::failing(&[]));
        let (sender, arrivals) = mpsc::channel(BATCH);
        sender.send(report("a")).await.unwrap();
        drop(sender);
        let mut presence = Presence::default();
        presence.keep(&Arrival::Disconnected);
        presence.keep(&online(1, "1 on"));
        run(store(&folder).await, Clock::fixed(1), std::sync::Arc::clone(&scribe), Publisher::new(), arrivals, presence).await;
        assert_eq!(scribe.done(), ["lost 1 on a"]);
    }
}
