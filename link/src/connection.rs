//! The life of a link: dial, hold one session, report its end, pause, and again, until it is told to stop.

use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::backoff::Backoff;
use crate::dialer::{Relay, dial};
use crate::network::NetworkChanges;
use crate::reason;
use crate::session::{self, SessionEnd};
use crate::settings::{Settings, SettingsError};

/// While one publish is already taken from the channel and waits for a connection, the channel's end cannot be awaited
/// and is looked at this often.
const CLOSED_CHECK: Duration = Duration::from_secs(1);
/// After a normal stop, the time in which the farewell must get through TLS.
const FAREWELL_LIMIT: Duration = Duration::from_secs(2);
/// After a break, the time in which the stream must have said why.
const CAUSE_LIMIT: Duration = Duration::from_millis(500);

/// A message to send with QoS 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// The caller's own number for it, repeated in [`Event::Acknowledged`] and [`Event::Refused`].
    pub id: u64,
    /// Where to; without wildcards, at most 65,535 bytes.
    pub topic: String,
    /// What.
    pub payload: Bytes,
    /// Whether the broker keeps it for later subscribers.
    pub retain: bool,
}

/// What happened on the link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The broker let us in and granted every subscription.
    Connected,
    /// An attempt to connect failed or a connection ended; a new attempt follows. Every publish that was taken from
    /// the channel and has had neither [`Event::Acknowledged`] nor [`Event::Refused`] by now is dropped: the broker may or
    /// may not have it. What still waits in the channel stays there.
    Disconnected {
        /// Why, in one line for a person.
        reason: String,
    },
    /// A message arrived. It is acknowledged to the broker when it was put into the channel of events.
    Message {
        /// Where it was published.
        topic: String,
        /// What.
        payload: Bytes,
        /// Whether the broker had kept it from before the subscription.
        retained: bool,
    },
    /// The broker has taken over this publish. It says nothing about any receiver.
    Acknowledged {
        /// The number from [`Publish::id`].
        id: u64,
    },
    /// This publish was not taken and would not be if sent again unchanged.
    Refused {
        /// The number from [`Publish::id`].
        id: u64,
        /// Why, in one line for a person.
        reason: String,
    },
}

/// Why a link stopped for good.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StopReason {
    /// Every sender of publishes is gone.
    #[error("nobody is left who sends")]
    PublishesClosed,
    /// The receiver of events is gone.
    #[error("nobody is left who listens")]
    EventsClosed,
    /// The settings are unusable; nothing was tried.
    #[error("the settings of the link are unusable")]
    Settings(#[source] SettingsError),
}

/// The caller's ends of a link, and the one publish that was taken but not sent yet.
pub(crate) struct Channels {
    pub(crate) publishes: mpsc::Receiver<Publish>,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) held: Option<Publish>,
}

/// Keeps a session with the broker until `publishes` is closed or the receiver of `events` is gone.
///
/// * The first attempt starts at once. Every failed attempt and every ended connection yields one
///   [`Event::Disconnected`] and a pause of full jitter; a connection of ten seconds resets the back-off, and a
///   change of this machine's network (link, address, route) ends the pause within three seconds and resets it, too.
/// * Publishes are taken only while connected and only as many as fit into the window; one more may be taken ahead and
///   is kept until it can be sent. So the channel of publishes is the queue, and its capacity the caller's to choose.
/// * Nothing is sent a second time (see [`Event::Disconnected`]).
/// * A full channel of events slows the broker down, through MQTT's receive maximum, without losing the connection.
/// * When `publishes` is closed while connected, what is still in it is sent, the acknowledgements are awaited for a few
///   seconds, and the broker gets a normal farewell (no will). When there is no connection, it stops at once.
///
/// A session that another client of the same id has taken over is taken back like any other that ended. Not every broker says that it
/// took it away (reason code 0x8E), so who must not fight for it has to find that out by other means.
///
/// Dropping the future cuts the connection, and the broker publishes the will.
pub async fn run(settings: Settings, publishes: mpsc::Receiver<Publish>, events: mpsc::Sender<Event>) -> StopReason {
    if let Err(error) = settings.validate() {
        return StopReason::Settings(error);
    }
    let mut channels = Channels { publishes, events, held: None };
    let mut backoff = Backoff::new(settings.backoff);
    let mut network = NetworkChanges::watch();
    loop {
        let attempt = attempt(&settings, &mut channels).await;
        let reason = match attempt.ended {
            Ended::Stopped(stop) => return stop,
            Ended::Broken(reason) => reason,
        };
        let pause = backoff.pause(attempt.lived, random());
        tracing::debug!(%reason, ?pause, "the link is down");
        let last_words = attempt.undelivered.into_iter().chain([Event::Disconnected { reason }]);
        for event in last_words {
            if channels.events.send(event).await.is_err() {
                return StopReason::EventsClosed;
            }
        }
        tokio::select! {
            stop = channels.stopped() => return stop,
            () = sleep(pause) => {}
            () = network.changed() => backoff.forget(),
        }
    }
}

/// How an attempt ended.
enum Ended {
    /// For good.
    Stopped(StopReason),
    /// For this reason; another one follows.
    Broken(String),
}

/// One attempt to connect and what came of it.
struct Attempt {
    ended: Ended,
    /// How long it was connected, with its subscriptions; nothing if it never was.
    lived: Option<Duration>,
    /// Events that belong before the end and were not delivered yet.
    undelivered: Vec<Event>,
}

impl Attempt {
    fn failed(ended: Ended) -> Self {
        Self { ended, lived: None, undelivered: Vec::new() }
    }
}

async fn attempt(settings: &Settings, channels: &mut Channels) -> Attempt {
    let dialled = tokio::select! {
        dialled = dial(&settings.address, &settings.tls) => dialled,
        stop = channels.stopped() => return Attempt::failed(Ended::Stopped(stop)),
    };
    let tls = match dialled {
        Ok(tls) => tls,
        Err(error) => return Attempt::failed(Ended::Broken(reason::with_causes(&error))),
    };
    let relay = match Relay::start(tls) {
        Ok(relay) => relay,
        Err(error) => {
            let reason = format!("no local socket for the connection: {}", reason::with_causes(&error));
            return Attempt::failed(Ended::Broken(reason));
        }
    };
    let finished = session::run(settings, channels, relay.socket()).await;
    let ended = match finished.ended {
        SessionEnd::Stopped(stop) => {
            // The farewell is on its way through the relay; the broker answers it by closing.
            relay.finish(FAREWELL_LIMIT).await;
            Ended::Stopped(stop)
        }
        SessionEnd::Broken(reason) => Ended::Broken(reason),
        SessionEnd::StreamBroken => Ended::Broken(reason::of_stream(relay.finish(CAUSE_LIMIT).await)),
    };
    Attempt { ended, lived: finished.lived, undelivered: finished.undelivered }
}

impl Channels {
    /// Waits until one end is closed. What comes in meanwhile stays, one publish of it in `held`.
    async fn stopped(&mut self) -> StopReason {
        loop {
            let taken = tokio::select! {
                () = self.events.closed() => return StopReason::EventsClosed,
                taken = self.publishes.recv(), if self.held.is_none() => taken,
                () = sleep(CLOSED_CHECK), if self.held.is_some() => {
                    if self.publishes.is_closed() {
                        return StopReason::PublishesClosed;
                    }
                    continue;
                }
            };
            match taken {
                Some(publish) => self.held = Some(publish),
                None => return StopReason::PublishesClosed,
            }
        }
    }
}

/// Without randomness there is no jitter, which is better than no connection.
fn random() -> u64 {
    getrandom::u64().unwrap_or(u64::MAX)
}
