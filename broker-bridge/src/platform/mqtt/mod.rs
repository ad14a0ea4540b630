//! The bridge's connection to the broker: topics come in parsed, messages go out through a bounded queue.
//!
//! Nothing is remembered here. What is dropped, because the queue is full or the connection is gone, is sent again by whoever
//! holds it in the database, and a message from a node is acknowledged to the broker long before it is committed: the node
//! keeps it until it has the bridge's own receipt.
//!
//! Nothing is made to go out before this bridge is known to be the one in office ([`tenure`]); what was in the queue when a connection broke goes
//! out on the next (decision 12).

pub mod tenure;
#[cfg(test)]
mod tests;

use crate::clock::Clock;
use bytes::Bytes;
use flotilla_link::{BackoffLimits, BrokerAddress, Event, Publish, Settings, StopReason};
use flotilla_protocol::id::FleetId;
use flotilla_protocol::topic::{Topic, bridge_filters};
use flotilla_protocol::wire::MAXIMUM_MESSAGE_BYTES;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tenure::{Finding, Tenure};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

/// Messages on their way out that the broker has not taken.
///
/// A message has at most 64 KiB, so this and the two below bound bytes too: 128, 32 and 49 MiB when all are as large as they may be.
pub const OUTBOUND_MESSAGES: usize = 2_048;
/// Messages that came in and wait to be taken up, two batches; beyond, the broker is slowed down.
pub const INBOUND_MESSAGES: usize = 512;
/// Messages on their way out at which a caller of the API is asked to come again: half is left to receipts and what is sent again.
const OUTBOUND_CROWDED: usize = OUTBOUND_MESSAGES / 2;
/// Events between the link and this module: small, since it only passes them on.
const LINK_EVENTS: usize = 256;
/// The largest packet: a message of 64 KiB, its topic and the packet's head.
const MAXIMUM_PACKET_BYTES: u32 = 128 * 1024;
/// Publishes in flight in each direction. The link keeps up to three times as many events that nobody has taken.
const IN_FLIGHT: u16 = 256;
/// How often the broker is asked whether it still lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long the connection may take to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// A broker on the same machine is back soon, and no herd of bridges exists that must be spread.
const BACKOFF: BackoffLimits = BackoffLimits { minimum: Duration::from_millis(200), maximum: Duration::from_secs(10) };

/// Messages of nodes and devices that wait until this bridge is in office; what comes beyond them is dropped, and said again.
const EARLY_MESSAGES: usize = 512;
/// How often the tenure is said again while it has not come back.
const SAY_TENURE_AGAIN: Duration = Duration::from_secs(1);
/// After so many times a person is told.
const SAID_IN_VAIN: u32 = 10;

/// Where the broker is, and as whom the bridge connects.
#[derive(Debug, Clone)]
pub struct MqttSettings {
    /// The broker's listener for certificates.
    pub address: BrokerAddress,
    /// The bridge's certificate and the fleet's authority.
    pub tls: Arc<rustls::ClientConfig>,
    /// The name in the certificate, which is the client id too.
    pub client_id: String,
    /// The fleet whose topics are read.
    pub fleet: FleetId,
    /// The time.
    pub clock: Clock,
}

/// A message from below, on a topic of contract 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbound {
    /// Where it was published: of this fleet, and only topics that point up.
    pub topic: Topic,
    /// What was published, unverified; at most [`MAXIMUM_MESSAGE_BYTES`].
    pub payload: Bytes,
}

/// What comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrival {
    /// The connection stands. Retained topics follow.
    Connected,
    /// The connection is gone: who is online is unknown from here on.
    Disconnected,
    /// A message.
    Message(Inbound),
}

/// A message to go out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outbound {
    /// Where to.
    pub topic: Topic,
    /// What.
    pub payload: Vec<u8>,
}

/// What was dropped since the start, for logs and tests.
#[derive(Debug, Default)]
pub struct Dropped {
    /// Topics that are none of contract 1, are under a wrong shard, of another fleet, or point down.
    pub topic: AtomicU64,
    /// Retained messages on topics that are never retained.
    pub retained: AtomicU64,
    /// Messages beyond 64 KiB.
    pub too_large: AtomicU64,
    /// Messages out for which there was no place or no connection.
    pub outbound: AtomicU64,
}

/// The way out. Clones share the queue. Made before the connection, so that whoever publishes can be made before it too.
#[derive(Debug, Clone)]
pub struct Publisher(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Weak, so that the connection ends in order when its owner lets go of it while publishers are still about.
    sender: Mutex<Option<mpsc::WeakSender<Publish>>>,
    connected: watch::Sender<bool>,
    /// The broker is there, whether or not this bridge is in office.
    is_up: AtomicBool,
    /// When the connection was made: Unix time in milliseconds; it counts only while there is one.
    connected_since_ms: AtomicU64,
    next_id: AtomicU64,
    /// Another bridge has taken over: nothing goes out any more.
    stands_aside: AtomicBool,
    dropped: Dropped,
}

impl Default for Publisher {
    fn default() -> Self {
        Self::new()
    }
}

impl Publisher {
    /// A publisher that drops everything until a connection is given to it by [`Connection::start`].
    #[must_use]
    pub fn new() -> Self {
        let shared = Shared {
            sender: Mutex::new(None),
            connected: watch::Sender::new(false),
            is_up: AtomicBool::new(false),
            connected_since_ms: AtomicU64::new(0),
            next_id: AtomicU64::new(1),
            stands_aside: AtomicBool::new(false),
            dropped: Dropped::default(),
        };
        Self(Arc::new(shared))
    }

    /// A publisher that counts as connected and puts everything into a channel that the caller holds: a bridge without a broker, for
    /// tests and the simulator.
    #[must_use]
    pub fn into_channel(sender: &mpsc::Sender<Publish>) -> Self {
        let publisher = Self::new();
        *publisher.0.sender.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender.downgrade());
        publisher.0.connected.send_replace(true);
        publisher
    }

    /// Whether the broker is there and this bridge is in office.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        *self.0.connected.borrow()
    }

    /// Whether the broker is there and this bridge is not in office yet: in a moment it will be.
    #[must_use]
    pub fn awaits_office(&self) -> bool {
        self.0.is_up.load(Ordering::SeqCst) && !self.is_connected()
    }

    /// Says whether the broker is there; for the connection, and for tests of what waits for the office.
    pub(crate) fn set_up(&self, is_up: bool) {
        self.0.is_up.store(is_up, Ordering::SeqCst);
    }

    /// Since when the broker is there: Unix time in milliseconds, never later than `now_ms`; nothing while it is not. A clock that was ahead
    /// and is put right does not make the connection one of the future: it then counts from now on.
    #[must_use]
    pub fn connected_since_ms(&self, now_ms: u64) -> Option<u64> {
        self.is_connected().then(|| self.0.connected_since_ms.fetch_min(now_ms, Ordering::Relaxed).min(now_ms))
    }

    fn set_connected(&self, since_ms: Option<u64>) {
        if let Some(since_ms) = since_ms {
            self.0.connected_since_ms.store(since_ms, Ordering::Relaxed);
        }
        self.0.connected.send_replace(since_ms.is_some());
    }

    /// Lets a publisher without a broker count as connected since then (Unix time in milliseconds), or not at all; for tests and the
    /// simulator, where [`Publisher::into_channel`] made it.
    pub fn pretend_connected(&self, since_ms: Option<u64>) {
        self.set_connected(since_ms);
    }

    /// What was dropped since the start.
    #[must_use]
    pub fn dropped(&self) -> &Dropped {
        &self.0.dropped
    }

    /// From now on nothing goes out, because another bridge speaks to the nodes.
    pub fn stand_aside(&self) {
        self.0.stands_aside.store(true, Ordering::SeqCst);
    }

    /// Whether another bridge speaks to the nodes, and this one must promise nothing any more.
    #[must_use]
    pub fn stands_aside(&self) -> bool {
        self.0.stands_aside.load(Ordering::SeqCst)
    }

    /// Whether so much waits for the broker that nobody should ask for more to be sent. Without a connection nothing waits here.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        self.sender().is_some_and(|sender| sender.max_capacity() - sender.capacity() >= OUTBOUND_CROWDED)
    }

    /// Puts a message into the queue without waiting; `false` when there is no place or no connection, and it is dropped.
    pub fn try_publish(&self, message: Outbound) -> bool {
        let sent = self.sender().is_some_and(|sender| sender.try_send(self.packet(message)).is_ok());
        if !sent {
            self.0.dropped.outbound.fetch_add(1, Ordering::Relaxed);
        }
        sent
    }

    /// Puts a message for the broker itself into the queue, on one of its own topics and not on one of the fleet's; waits as
    /// [`Publisher::publish`] does. `false` when it is dropped.
    pub async fn tell_broker(&self, topic: &str, payload: Vec<u8>) -> bool {
        let Some(sender) = self.sender() else { return false };
        let id = self.0.next_id.fetch_add(1, Ordering::Relaxed);
        let packet = Publish { id, topic: topic.to_owned(), payload: payload.into(), retain: false };
        let mut connected = self.0.connected.subscribe();
        tokio::select! {
            sent = sender.send(packet) => sent.is_ok(),
            _ = connected.wait_for(|connected| !connected) => false,
        }
    }

    /// Waits until the broker is there and this bridge is in office. May be dropped at any await.
    pub async fn until_connected(&self) {
        let mut connected = self.0.connected.subscribe();
        // It fails only when the sender is gone, which is in `self`.
        drop(connected.wait_for(|connected| *connected).await);
    }

    /// Puts a message into the queue and waits for a place, as long as the connection stands; `false` when it is dropped.
    ///
    /// Never call it with a transaction open.
    pub async fn publish(&self, message: Outbound) -> bool {
        let Some(sender) = self.sender() else {
            self.0.dropped.outbound.fetch_add(1, Ordering::Relaxed);
            return false;
        };
        let packet = self.packet(message);
        let mut connected = self.0.connected.subscribe();
        let sent = tokio::select! {
            sent = sender.send(packet) => sent.is_ok(),
            _ = connected.wait_for(|connected| !connected) => false,
        };
        if !sent {
            self.0.dropped.outbound.fetch_add(1, Ordering::Relaxed);
        }
        sent
    }

    fn packet(&self, message: Outbound) -> Publish {
        let id = self.0.next_id.fetch_add(1, Ordering::Relaxed);
        Publish { id, topic: message.topic.to_string(), payload: message.payload.into(), retain: false }
    }

    fn sender(&self) -> Option<mpsc::Sender<Publish>> {
        if !self.is_connected() || self.stands_aside() {
            return None;
        }
        // A poisoned lock holds a sender that is as good as before.
        self.0.sender.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.upgrade()
    }
}

/// A running connection, which reconnects by itself.
#[derive(Debug)]
pub struct Connection {
    publishes: mpsc::Sender<Publish>,
    link: JoinHandle<StopReason>,
    pump: JoinHandle<PumpEnd>,
}

impl Connection {
    /// Begins to connect. What comes in goes to `arrivals`, a bounded channel; `publisher` is the way out from now on.
    #[must_use]
    pub fn start(settings: &MqttSettings, publisher: &Publisher, tenure: Tenure, arrivals: mpsc::Sender<Arrival>) -> Self {
        let (publishes, queue) = mpsc::channel(OUTBOUND_MESSAGES);
        let (events, happened) = mpsc::channel(LINK_EVENTS);
        *publisher.0.sender.lock().unwrap_or_else(PoisonError::into_inner) = Some(publishes.downgrade());
        let link = Settings {
            address: settings.address.clone(),
            tls: Arc::clone(&settings.tls),
            client_id: settings.client_id.clone(),
            subscriptions: bridge_filters(&settings.fleet).to_vec(),
            will: None,
            keep_alive: KEEP_ALIVE,
            maximum_packet_bytes: MAXIMUM_PACKET_BYTES,
            in_flight: IN_FLIGHT,
            backoff: BACKOFF,
        };
        let link = tokio::spawn(flotilla_link::run(link, queue, events));
        let pump = Pump::new(settings.fleet, settings.clock.clone(), publisher.clone(), tenure, arrivals);
        Self { publishes, link, pump: tokio::spawn(pump.run(happened)) }
    }

    /// Sends what is queued, says goodbye to the broker and ends; takes a few seconds at most.
    pub async fn stop(self) {
        let Self { publishes, mut link, mut pump } = self;
        drop(publishes);
        if !link.is_finished() {
            // The link may wait for the pump, and the pump for whoever takes up what comes in.
            match tokio::time::timeout(STOP_TIMEOUT, &mut link).await {
                Ok(Ok(reason)) => tracing::debug!(%reason, "the connection to the broker has ended"),
                Ok(Err(error)) => tracing::error!(%error, "the connection to the broker ended in disorder"),
                Err(_) => {
                    tracing::warn!("the connection to the broker did not end in time");
                    link.abort();
                    drop(link.await);
                }
            }
        }
        if !pump.is_finished() {
            pump.abort();
            drop((&mut pump).await);
        }
    }

    /// Returns when a part of the connection has ended by itself. [`Connection::stop`] may be called afterwards.
    pub async fn ended(&mut self) -> ConnectionEnd {
        tokio::select! {
            biased;
            end = &mut self.pump => match end {
                Ok(PumpEnd::StandAside) => ConnectionEnd::TakenOver,
                // It ends with the link too, which is then what is missing.
                _ if self.link.is_finished() => ConnectionEnd::Part("the link to the broker"),
                _ => ConnectionEnd::Part("the pump of the link to the broker"),
            },
            reason = &mut self.link => match (reason, tokio::time::timeout(STOP_TIMEOUT, &mut self.pump).await) {
                // It has ended because the pump has.
                (Ok(StopReason::EventsClosed), Ok(Ok(PumpEnd::StandAside))) => ConnectionEnd::TakenOver,
                _ => ConnectionEnd::Part("the link to the broker"),
            },
        }
    }
}

/// How a connection has ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionEnd {
    /// Another bridge is in office.
    TakenOver,
    /// A part that runs as long as the bridge is gone; its name.
    Part(&'static str),
}

/// How a pump has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PumpEnd {
    /// Another bridge is in office.
    StandAside,
    /// The link has ended, or nobody takes what comes in.
    Closed,
}

/// Passes on what happens on the link, as long as there is somebody to take it and this bridge is the one in office.
struct Pump {
    fleet: FleetId,
    clock: Clock,
    publisher: Publisher,
    tenure: Tenure,
    arrivals: mpsc::Sender<Arrival>,
    /// Whether the broker is there.
    is_up: bool,
    /// What came before this bridge was known to be in office, and wants an answer.
    early: VecDeque<Arrival>,
    /// How often the tenure was said on this connection.
    said: u32,
}

impl Pump {
    fn new(fleet: FleetId, clock: Clock, publisher: Publisher, tenure: Tenure, arrivals: mpsc::Sender<Arrival>) -> Self {
        Self { fleet, clock, publisher, tenure, arrivals, is_up: false, early: VecDeque::new(), said: 0 }
    }

    async fn run(mut self, mut happened: mpsc::Receiver<Event>) -> PumpEnd {
        let mut again = interval(SAY_TENURE_AGAIN);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let end = loop {
            let passed = tokio::select! {
                event = happened.recv() => match event {
                    Some(event) => self.take(event).await,
                    None => Err(PumpEnd::Closed),
                },
                _ = again.tick(), if self.is_up && !self.publisher.is_connected() => {
                    self.say_tenure();
                    Ok(())
                }
            };
            if let Err(end) = passed {
                break end;
            }
        };
        if end == PumpEnd::StandAside {
            self.publisher.stand_aside();
        }
        self.publisher.set_up(false);
        self.publisher.set_connected(None);
        end
    }

    async fn take(&mut self, event: Event) -> Result<(), PumpEnd> {
        match event {
            Event::Connected => {
                tracing::info!("connected to the broker");
                (self.is_up, self.said) = (true, 0);
                self.publisher.set_up(true);
                self.say_tenure();
                self.pass_on(Arrival::Connected).await
            }
            Event::Disconnected { reason } => {
                tracing::warn!(reason, "not connected to the broker");
                // An attempt that failed changes nothing: everything was marked when the connection went.
                if !std::mem::take(&mut self.is_up) {
                    return Ok(());
                }
                self.publisher.set_up(false);
                self.publisher.set_connected(None);
                self.early.clear();
                self.pass_on(Arrival::Disconnected).await
            }
            Event::Message { topic, payload, retained } => match accept(self.fleet, &topic, payload, retained) {
                Ok(Inbound { topic: Topic::Tenure { .. }, payload }) => self.hear(&payload).await,
                Ok(message) => self.pass_on_in_time(message).await,
                Err(reason) => {
                    self.note_dropped(&topic, reason);
                    Ok(())
                }
            },
            Event::Acknowledged { .. } => Ok(()),
            Event::Refused { id, reason } => {
                tracing::warn!(id, reason, "the broker refused a message");
                Ok(())
            }
        }
    }

    /// Says since when this bridge is in office. Where there is no room now, it is said again.
    fn say_tenure(&mut self) {
        self.said = self.said.saturating_add(1);
        let topic = Topic::Tenure { fleet: self.fleet };
        if self.said == SAID_IN_VAIN {
            tracing::error!(%topic, "the broker does not give back what the bridge says there; its rules must let the bridge write and read it, retained");
        }
        let id = self.publisher.0.next_id.fetch_add(1, Ordering::Relaxed);
        let publish = Publish { id, topic: topic.to_string(), payload: self.tenure.message().into(), retain: true };
        let sender = self.publisher.0.sender.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(mpsc::WeakSender::upgrade);
        if sender.is_none_or(|sender| sender.try_send(publish).is_err()) {
            tracing::debug!("no room for the tenure");
        }
    }

    async fn hear(&mut self, message: &[u8]) -> Result<(), PumpEnd> {
        match self.tenure.hear(message) {
            Finding::Forged => tracing::warn!("a tenure that no bridge of this fleet has signed was ignored"),
            Finding::SayAgain => self.say_tenure(),
            Finding::StandAside => return Err(PumpEnd::StandAside),
            Finding::InOffice => {
                if !self.publisher.is_connected() {
                    self.publisher.set_connected(Some(self.clock.now_ms()));
                }
                while let Some(arrival) = self.early.pop_front() {
                    self.pass_on(arrival).await?;
                }
            }
        }
        Ok(())
    }

    /// What wants an answer waits until this bridge may give one; who is online is heard at once, because it is not said again.
    async fn pass_on_in_time(&mut self, message: Inbound) -> Result<(), PumpEnd> {
        let wants_answer = !matches!(message.topic, Topic::Online { .. });
        // What a node has signed says that it is there: taken up behind the broker's word that it is gone, it would say so of the past. The node
        // keeps it and says it again when it is back.
        if let Topic::Online { node, .. } = message.topic
            && message.payload.as_ref() == b"0"
        {
            self.early.retain(|early| !matches!(early, Arrival::Message(Inbound { topic: Topic::Up { node: of, .. }, .. }) if *of == node));
        }
        if self.publisher.is_connected() || !wants_answer {
            return self.pass_on(Arrival::Message(message)).await;
        }
        if self.early.len() < EARLY_MESSAGES {
            self.early.push_back(Arrival::Message(message));
        }
        Ok(())
    }

    async fn pass_on(&self, arrival: Arrival) -> Result<(), PumpEnd> {
        self.arrivals.send(arrival).await.map_err(|_| PumpEnd::Closed)
    }

    fn note_dropped(&self, topic: &str, reason: Refusal) {
        let dropped = self.publisher.dropped();
        let counter = match reason {
            Refusal::Topic => &dropped.topic,
            Refusal::Retained => &dropped.retained,
            Refusal::TooLarge => &dropped.too_large,
        };
        // A power of two each time: one line for the first, and few for a flood.
        if counter.fetch_add(1, Ordering::Relaxed).wrapping_add(1).is_power_of_two() {
            tracing::warn!(topic, ?reason, "a message was dropped");
        }
    }
}

/// Why a message was dropped before anybody looked into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Topic,
    Retained,
    TooLarge,
}

fn accept(fleet: FleetId, topic: &str, payload: Bytes, retained: bool) -> Result<Inbound, Refusal> {
    let topic: Topic = topic.parse().map_err(|_| Refusal::Topic)?;
    let (of_fleet, may_be_retained) = match topic {
        Topic::Up { fleet, .. } | Topic::ClaimUp { fleet, .. } => (fleet, false),
        Topic::Online { fleet, .. } | Topic::Tenure { fleet } => (fleet, true),
        Topic::Down { .. } | Topic::AllTrust { .. } | Topic::ClaimDown { .. } => return Err(Refusal::Topic),
    };
    match () {
        () if of_fleet != fleet => Err(Refusal::Topic),
        () if retained && !may_be_retained => Err(Refusal::Retained),
        () if payload.len() > MAXIMUM_MESSAGE_BYTES => Err(Refusal::TooLarge),
        () => Ok(Inbound { topic, payload }),
    }
}
