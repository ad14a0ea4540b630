//! One MQTT session on one connection, from CONNECT to its end.
//!
//! Every session has a client library of its own, made new: nothing of an old connection (packet identifiers, half-sent
//! publishes, a window that the broker has shrunk since) can leak into the next one. The library's poll is never
//! dropped before it is ready, because it would lose what it has half done; only the end of a session drops it.
//!
//! Messages are acknowledged only when the caller's channel has taken them. The broker may send as many ahead as the
//! receive maximum says, and these wait in `deliveries`; so pings go on while the caller is slow.

mod broker;

use std::collections::VecDeque;
use std::pin::pin;
use std::time::Duration;

use rumqttc::Transport;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{self as packet, LastWill};
use rumqttc::v5::{AsyncClient, ConnectionError, Event as MqttEvent, EventLoop, MqttOptions};
use tokio::sync::mpsc::error::SendError;
use tokio::time::{Instant, sleep_until};

use crate::connection::{Channels, Event, Publish, StopReason};
use crate::ledger::Ledger;
use crate::packet_size::publish_bytes;
use crate::reason;
use crate::settings::{Settings, is_topic};

/// How long the broker may take to answer CONNECT, and then SUBSCRIBE.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// How long the broker may take to acknowledge a message, besides the time that its bytes need on the way. Shorter than a keep-alive: whoever
/// has something to say notices a dead connection without waiting for the next ping.
const ACKNOWLEDGE_LIMIT: Duration = Duration::from_secs(20);
/// The slowest network on which a large message must still get through, in bytes a second.
const SLOWEST_BYTES_PER_S: u64 = 1_024;
/// How long a stop waits for the last acknowledgements, and for the caller to take the last events.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);
/// How long a stop then waits for the farewell to be written.
const FAREWELL_LIMIT: Duration = Duration::from_secs(1);
/// Deliveries kept beyond one window of messages and two of outcomes.
const SPARE_DELIVERIES: usize = 16;
/// Requests to the client library beyond one window of publishes and one of acknowledgements.
const SPARE_REQUESTS: usize = 4;

/// How a session ended.
pub(crate) enum SessionEnd {
    /// The caller wanted it.
    Stopped(StopReason),
    /// MQTT gives the reason.
    Broken(String),
    /// The stream below broke and knows why.
    StreamBroken,
}

/// What is left of a session.
pub(crate) struct Finished {
    pub(crate) ended: SessionEnd,
    pub(crate) lived: Option<Duration>,
    pub(crate) undelivered: Vec<Event>,
}

/// Speaks MQTT with the broker behind the abstract socket until the session ends.
pub(crate) async fn run(settings: &Settings, channels: &mut Channels, socket: &str) -> Finished {
    let window = usize::from(settings.in_flight);
    let (client, mut event_loop) = AsyncClient::new(options(settings, socket), 2 * window + SPARE_REQUESTS);
    let mut session = Session::new(settings, client);
    let ended = session.drive(&mut event_loop, channels).await;
    // Acknowledgements that were parsed before the error are real.
    while let Some(event) = event_loop.state.events.pop_front() {
        if session.observe(event).is_err() {
            break;
        }
    }
    Finished { ended, lived: session.connected_at.map(|since| since.elapsed()), undelivered: session.undelivered() }
}

fn options(settings: &Settings, socket: &str) -> MqttOptions {
    let mut options = MqttOptions::new(&settings.client_id, socket, settings.address.port);
    options
        .set_transport(Transport::unix())
        .set_clean_start(true)
        .set_keep_alive(settings.keep_alive)
        .set_connection_timeout(ANSWER_LIMIT.as_secs())
        .set_manual_acks(true)
        .set_max_packet_size(Some(settings.maximum_packet_bytes))
        .set_receive_maximum(Some(settings.in_flight))
        // One more than is ever used: the library stops taking acknowledgements, too, when its window is full.
        .set_outgoing_inflight_upper_limit(settings.in_flight.saturating_add(1));
    if let Some(will) = &settings.will {
        let payload = will.payload.to_vec();
        options.set_last_will(LastWill::new(&will.topic, payload, QoS::AtLeastOnce, will.retain, None));
    }
    options
}

/// What the session waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    AwaitingConnAck,
    AwaitingSubAck,
    Connected,
    /// The caller wants to stop, and the farewell comes when nothing is in flight any more.
    Draining(StopReason),
    /// The farewell was handed over.
    Leaving(StopReason),
}

/// An event for the caller, and the packet that is acknowledged once the caller has it.
struct Delivery {
    event: Event,
    acknowledges: Option<u16>,
}

struct Session<'settings> {
    settings: &'settings Settings,
    client: AsyncClient,
    phase: Phase,
    /// When the phase has lasted too long.
    deadline: Instant,
    /// When the next acknowledgement of a publish is overdue; nothing while none is in flight.
    acknowledge_by: Option<Instant>,
    connected_at: Option<Instant>,
    keep_alive: Duration,
    /// How many publishes may be in flight.
    window: usize,
    /// The largest packet that may be sent, in bytes.
    packet_limit: usize,
    retain_available: bool,
    ledger: Ledger,
    deliveries: VecDeque<Delivery>,
}

impl<'settings> Session<'settings> {
    fn new(settings: &'settings Settings, client: AsyncClient) -> Self {
        Self {
            settings,
            client,
            phase: Phase::AwaitingConnAck,
            // The library's own limit comes first and says more.
            deadline: Instant::now() + 2 * ANSWER_LIMIT,
            acknowledge_by: None,
            connected_at: None,
            keep_alive: settings.keep_alive,
            window: usize::from(settings.in_flight),
            packet_limit: usize::try_from(settings.maximum_packet_bytes).unwrap_or(usize::MAX),
            retain_available: true,
            ledger: Ledger::default(),
            deliveries: VecDeque::new(),
        }
    }

    async fn drive(&mut self, event_loop: &mut EventLoop, channels: &mut Channels) -> SessionEnd {
        loop {
            let polled = match self.wait(event_loop, channels).await {
                Ok(polled) => polled,
                Err(ended) => return ended,
            };
            let observed = match polled {
                Some(Ok(event)) => {
                    let observed = self.observe(event);
                    self.keep_alive_into(&mut event_loop.options);
                    observed
                }
                Some(Err(error)) => Err(self.ended_by(&error)),
                None => self.overdue(),
            };
            if let Err(ended) = observed {
                return ended;
            }
        }
    }

    /// Polls the library once, to its end, and meanwhile serves the caller. Nothing if the deadline came first.
    async fn wait(
        &mut self,
        event_loop: &mut EventLoop,
        channels: &mut Channels,
    ) -> Result<Option<Result<MqttEvent, ConnectionError>>, SessionEnd> {
        let mut polled = pin!(event_loop.poll());
        let mut deadline = pin!(sleep_until(self.due()));
        loop {
            self.send_held(channels)?;
            self.leave_when_drained(channels)?;
            if deadline.deadline() != self.due() {
                deadline.as_mut().reset(self.due());
            }
            let stopping = matches!(self.phase, Phase::Draining(_) | Phase::Leaving(_));
            tokio::select! {
                biased;
                () = channels.events.closed(), if !stopping => self.stop(StopReason::EventsClosed)?,
                permit = channels.events.reserve(), if self.may_deliver() => match permit {
                    Ok(permit) => if let Some(delivery) = self.deliveries.pop_front() {
                        permit.send(delivery.event);
                        self.acknowledge(delivery.acknowledges)?;
                    },
                    Err(SendError(())) => self.deliveries.clear(),
                },
                taken = channels.publishes.recv(), if channels.held.is_none() && !stopping => match taken {
                    Some(publish) => channels.held = Some(publish),
                    None => self.stop(StopReason::PublishesClosed)?,
                },
                event = &mut polled, if self.has_room() => return Ok(Some(event)),
                () = &mut deadline => return Ok(None),
            }
        }
    }

    /// Whether the library may be polled for more. It always may while the broker keeps to the receive maximum, so that
    /// pings go on however slow the caller is.
    fn has_room(&self) -> bool {
        self.deliveries.len() < 3 * usize::from(self.settings.in_flight) + SPARE_DELIVERIES
    }

    /// Whether one more publish may be sent: within the window, and only while the caller takes the outcomes. Two windows
    /// here and one of messages to come stay below the limit of `has_room`.
    fn may_send(&self) -> bool {
        let in_flight = self.ledger.in_flight();
        matches!(self.phase, Phase::Connected | Phase::Draining(_))
            && in_flight < self.window
            && in_flight + self.deliveries.len() < 2 * usize::from(self.settings.in_flight)
    }

    /// Messages may come before the answer to SUBSCRIBE, but `Connected` is the first that the caller hears.
    fn may_deliver(&self) -> bool {
        self.connected_at.is_some() && !self.deliveries.is_empty()
    }

    fn acknowledge(&self, packet: Option<u16>) -> Result<(), SessionEnd> {
        let Some(pkid) = packet else { return Ok(()) };
        let received = packet::Publish { qos: QoS::AtLeastOnce, pkid, ..packet::Publish::default() };
        self.client.try_ack(&received).map_err(|_| broken("the broker sent more messages at once than it may"))
    }

    fn send_held(&mut self, channels: &mut Channels) -> Result<(), SessionEnd> {
        if !self.may_send() {
            return Ok(());
        }
        let Some(publish) = channels.held.take() else { return Ok(()) };
        let id = publish.id;
        if let Err(reason) = self.check(&publish) {
            self.deliver(Event::Refused { id, reason });
            return Ok(());
        }
        let bytes = publish_bytes(&publish.topic, &publish.payload);
        self.client
            .try_publish(publish.topic, QoS::AtLeastOnce, publish.retain, publish.payload)
            .map_err(|_| broken("the MQTT library takes no publish"))?;
        self.ledger.hand_over(id, bytes);
        // One more publish makes the others later by its own bytes and no more, however often more come.
        let by = self.acknowledge_by.map_or_else(|| Instant::now() + acknowledge_limit(bytes), |by| by + transfer_time(bytes));
        self.acknowledge_by = Some(by);
        Ok(())
    }

    /// What is in flight has as much time again after every acknowledgement.
    fn acknowledged(&mut self) {
        let rest = self.ledger.bytes_in_flight();
        self.acknowledge_by = (self.ledger.in_flight() > 0).then(|| Instant::now() + acknowledge_limit(rest));
    }

    /// The earlier of the two deadlines.
    fn due(&self) -> Instant {
        match self.acknowledge_by {
            Some(by) if self.phase == Phase::Connected => self.deadline.min(by),
            _ => self.deadline,
        }
    }

    /// Refuses what the broker would answer by cutting the connection, because it would be sent again and again.
    fn check(&self, publish: &Publish) -> Result<(), String> {
        if !is_topic(&publish.topic) {
            return Err("its topic is empty, too long, or has wildcards or a NUL".to_owned());
        }
        if publish.retain && !self.retain_available {
            return Err("the broker keeps no retained messages".to_owned());
        }
        let size = publish_bytes(&publish.topic, &publish.payload);
        if size > self.packet_limit {
            return Err(format!("it takes {size} bytes, and the largest packet has {}", self.packet_limit));
        }
        Ok(())
    }

    fn stop(&mut self, stop: StopReason) -> Result<(), SessionEnd> {
        match (&self.phase, &stop) {
            (Phase::AwaitingConnAck, _) => return Err(SessionEnd::Stopped(stop)),
            (Phase::Connected, StopReason::PublishesClosed) => {
                self.deadline = Instant::now() + DRAIN_LIMIT;
                self.phase = Phase::Draining(stop);
            }
            _ => self.leave(stop)?,
        }
        Ok(())
    }

    fn leave_when_drained(&mut self, channels: &Channels) -> Result<(), SessionEnd> {
        let drained = self.ledger.in_flight() == 0 && channels.held.is_none() && self.deliveries.is_empty();
        match &self.phase {
            Phase::Draining(stop) if drained => self.leave(stop.clone()),
            _ => Ok(()),
        }
    }

    fn leave(&mut self, stop: StopReason) -> Result<(), SessionEnd> {
        if self.client.try_disconnect().is_err() {
            return Err(SessionEnd::Stopped(stop));
        }
        self.deadline = Instant::now() + FAREWELL_LIMIT;
        self.phase = Phase::Leaving(stop);
        Ok(())
    }

    /// The phase has lasted too long.
    fn overdue(&mut self) -> Result<(), SessionEnd> {
        match &self.phase {
            Phase::Draining(stop) => self.leave(stop.clone()),
            Phase::Leaving(stop) => Err(SessionEnd::Stopped(stop.clone())),
            Phase::AwaitingConnAck => Err(broken("the broker did not answer the MQTT connect in time")),
            Phase::AwaitingSubAck => Err(broken("the broker did not answer the subscription in time")),
            Phase::Connected if self.acknowledge_by.is_some_and(|by| by < self.deadline) => {
                Err(broken("the broker did not acknowledge a message in time"))
            }
            Phase::Connected => Err(broken("the connection made no progress for two keep-alive intervals")),
        }
    }

    fn ended_by(&self, error: &ConnectionError) -> SessionEnd {
        match (&self.phase, reason::of_mqtt(error)) {
            (Phase::Draining(stop) | Phase::Leaving(stop), _) => SessionEnd::Stopped(stop.clone()),
            (_, Some(reason)) => SessionEnd::Broken(reason),
            (_, None) => SessionEnd::StreamBroken,
        }
    }

    fn deliver(&mut self, event: Event) {
        self.deliveries.push_back(Delivery { event, acknowledges: None });
    }

    fn undelivered(self) -> Vec<Event> {
        // Before `Connected` the caller has not heard of this session at all.
        if self.connected_at.is_none() {
            return Vec::new();
        }
        self.deliveries.into_iter().map(|delivery| delivery.event).collect()
    }
}

fn transfer_time(bytes: usize) -> Duration {
    Duration::from_secs(u64::try_from(bytes).unwrap_or(u64::MAX) / SLOWEST_BYTES_PER_S)
}

fn acknowledge_limit(bytes: usize) -> Duration {
    ACKNOWLEDGE_LIMIT.saturating_add(transfer_time(bytes))
}

fn broken(reason: &str) -> SessionEnd {
    SessionEnd::Broken(reason.to_owned())
}
