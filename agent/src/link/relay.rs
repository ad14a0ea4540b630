//! One exec's worth of relaying: events of the connection become frames, frames become publishes.

use std::pin::pin;
use std::time::Duration;

use flotilla_link::{Event, KnownTime, NetworkChanges, Publish, Settings, StopReason, TlsError};
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::ONLINE;
use super::credentials::{Connected, Credentials, Identity};
use super::renewal::{Renewal, Taken};
use crate::clock;
use crate::frame::{self, FrameReader, FromExec, FromLink};
use crate::notify::Notifier;

/// Events that wait for exec; behind them the broker is slowed down.
const EVENTS: usize = 8;
/// Publishes that wait for the connection; behind them exec is slowed down.
const PUBLISHES: usize = 8;
/// The longest spread that a bridge may ask for; beyond it the node would be missed.
const LONGEST_SPREAD: Duration = Duration::from_secs(3600);

/// Why relaying ended.
pub(super) enum Ended {
    /// Exec closed the socket, or what it says cannot be understood.
    ExecGone,
    /// The MQTT link has stopped for good.
    Stopped(StopReason),
    /// Key, certificate and authorities cannot be used.
    Unusable(TlsError),
}

/// What outlives one exec.
pub(super) struct Surroundings {
    pub(super) credentials: Credentials,
    pub(super) renewal: Renewal,
    pub(super) time: KnownTime,
    pub(super) notifier: Notifier,
}

/// How long the broker may take to hear the farewell of a connection that is made anew.
const FAREWELL_LIMIT: Duration = Duration::from_secs(4);

/// So long after a connection was made, presence is said once more. The will of the connection before it, "offline", may reach the bridge after
/// what this one has said first; the bridge would send nothing until the next hello, an hour later.
const PRESENCE_AGAIN: Duration = Duration::from_secs(60);

/// Why one run of the MQTT link ended.
enum Pass {
    Ended(Ended),
    /// The connection is lost, and the bridge wants the next one to come within this time.
    Spread(Duration),
    /// There is another key and certificate to connect with.
    Anew,
}

/// Relays until exec is gone.
pub(super) async fn run(settings: &mut Settings, exec: UnixStream, online: &str, surroundings: &mut Surroundings) -> Ended {
    let (reader, writer) = exec.into_split();
    let Surroundings { credentials, renewal, time, notifier } = surroundings;
    renewal.exec_came();
    let mut relay = Relay {
        from_exec: FrameReader::new(reader),
        to_exec: writer,
        outgoing: Vec::new(),
        pending: None,
        connected: false,
        spread: Duration::ZERO,
        next_id: 0,
        online,
        network: NetworkChanges::watch(),
        say_again_at: None,
        credentials,
        renewal,
        time,
        notifier,
    };
    loop {
        let identity = relay.credentials.in_use();
        relay.renewal.watch(identity);
        match identity.tls(relay.time) {
            Ok(tls) => (settings.tls, settings.address) = (tls, identity.broker()),
            Err(error) => return Ended::Unusable(error),
        }
        relay.notifier.status(&format!("connecting to {}", settings.address));
        let (publishes, to_publish) = mpsc::channel(PUBLISHES);
        let (to_handle, events) = mpsc::channel(EVENTS);
        let mut link = pin!(flotilla_link::run(settings.clone(), to_publish, to_handle));
        let pass = tokio::select! {
            stopped = &mut link => Pass::Ended(Ended::Stopped(stopped)),
            pass = relay.pass(publishes, events) => pass,
        };
        let pause = match pass {
            Pass::Ended(ended) => return ended,
            Pass::Anew => {
                // With a farewell, so that nobody is told that the node is away. One that is not heard ends with the connection.
                drop(timeout(FAREWELL_LIMIT, link).await);
                relay.gone("connecting anew with another certificate".to_owned());
                continue;
            }
            Pass::Spread(spread) => spread.mul_f64(fraction()),
        };
        tracing::info!(?pause, "the next connection waits, as the bridge has asked for");
        relay.notifier.status(&format!("connects again within {} s, as the bridge has asked for", pause.as_secs()));
        relay.network.forget();
        tokio::select! {
            () = sleep(pause) => {}
            ended = relay.wait_unconnected() => if let Some(ended) = ended { return ended },
        }
    }
}

struct Relay<'a> {
    from_exec: FrameReader<tokio::net::unix::OwnedReadHalf>,
    to_exec: OwnedWriteHalf,
    /// What is left of the frame that is being written to exec.
    outgoing: Vec<u8>,
    /// A publish that waits for room.
    pending: Option<Publish>,
    connected: bool,
    spread: Duration,
    next_id: u64,
    online: &'a str,
    network: NetworkChanges,
    /// When presence is said once more on this connection.
    say_again_at: Option<Instant>,
    credentials: &'a mut Credentials,
    renewal: &'a mut Renewal,
    time: &'a KnownTime,
    notifier: &'a mut Notifier,
}

impl Relay<'_> {
    /// Moves everything in both directions while neither can block the other: each await is one step that can be dropped.
    async fn pass(&mut self, publishes: mpsc::Sender<Publish>, mut events: mpsc::Receiver<Event>) -> Pass {
        loop {
            let feed = self.feed();
            tokio::select! {
                event = events.recv(), if self.outgoing.is_empty() => {
                    // None: the MQTT link has stopped, and its own branch says why.
                    let Some(event) = event else { return std::future::pending().await };
                    if let Some(pass) = self.handle(event) {
                        return pass;
                    }
                }
                written = self.to_exec.write(&self.outgoing), if !self.outgoing.is_empty() => match written {
                    Ok(count) if count > 0 => { self.outgoing.drain(..count); }
                    Ok(_) | Err(_) => return Pass::Ended(Ended::ExecGone),
                },
                frame = self.from_exec.next::<FromExec>(), if self.pending.is_none() => {
                    if let Some(pass) = self.take(frame) {
                        return pass;
                    }
                }
                said = self.renewal.step(), if self.outgoing.is_empty() => self.send(&said),
                // A connection that looks well may be dead now. The broker must acknowledge this, or the link notices that it does not.
                () = self.network.changed(), if self.connected && self.pending.is_none() => {
                    self.pending = Some(self.publish(self.online.to_owned(), ONLINE.to_vec(), true));
                }
                () = sleep_until(self.say_again_at.unwrap_or_else(Instant::now)), if self.say_again_at.is_some() && self.pending.is_none() => {
                    self.say_again_at = None;
                    self.pending = Some(self.publish(self.online.to_owned(), ONLINE.to_vec(), true));
                }
                () = sleep(feed.unwrap_or_default()), if feed.is_some() => {}
                permit = publishes.reserve(), if self.pending.is_some() => {
                    let Ok(permit) = permit else { return std::future::pending().await };
                    if let Some(publish) = self.pending.take() {
                        permit.send(publish);
                    }
                }
            }
        }
    }

    /// Writes out what is left and reads what exec says, while there is no MQTT link. Nothing when the network of this machine has changed:
    /// then it is this node that was away, and nobody else comes back with it.
    async fn wait_unconnected(&mut self) -> Option<Ended> {
        loop {
            let feed = self.feed();
            tokio::select! {
                () = self.network.changed() => return None,
                () = sleep(feed.unwrap_or_default()), if feed.is_some() => {}
                written = self.to_exec.write(&self.outgoing), if !self.outgoing.is_empty() => match written {
                    Ok(count) if count > 0 => { self.outgoing.drain(..count); }
                    Ok(_) | Err(_) => return Some(Ended::ExecGone),
                },
                frame = self.from_exec.next::<FromExec>() => {
                    match self.take(frame) {
                        Some(Pass::Ended(ended)) => return Some(ended),
                        Some(Pass::Anew) => return None,
                        Some(Pass::Spread(_)) | None => {}
                    }
                }
            }
        }
    }

    /// Says that this loop turns; after so long it must turn again.
    fn feed(&mut self) -> Option<Duration> {
        let now = clock::boottime_ms();
        self.notifier.feed(now);
        self.notifier.until_feed(now)
    }

    fn handle(&mut self, event: Event) -> Option<Pass> {
        match event {
            Event::Connected => {
                tracing::info!("connected to the broker");
                self.notifier.status(&format!("connected to {}", self.credentials.in_use().broker()));
                self.connected = true;
                self.say_again_at = Some(Instant::now() + PRESENCE_AGAIN);
                self.pending = Some(self.publish(self.online.to_owned(), ONLINE.to_vec(), true));
                self.send(&FromLink::Connected);
                self.renewal.connected();
                match self.credentials.connected() {
                    Ok(Connected::AsBefore) => {}
                    Ok(Connected::Replaced) => tracing::info!("the new certificate works and has replaced the old one"),
                    Ok(Connected::Dropped) => {
                        self.renewal.failed("the broker does not take the new certificate, and still takes the old one", false);
                    }
                    // It is in use, and what is on the disk works, too.
                    Err(error) => tracing::error!(%error, "what became of the new certificate cannot be written"),
                }
            }
            Event::Disconnected { reason } => {
                tracing::warn!(%reason, "no connection to the broker");
                self.notifier.status(&format!("no connection to {}: {reason}", self.credentials.in_use().broker()));
                let was_connected = self.gone(reason);
                if was_connected && !self.spread.is_zero() {
                    return Some(Pass::Spread(self.spread));
                }
                if !was_connected {
                    self.renewal.failed_to_connect();
                    if self.credentials.failed() {
                        return Some(Pass::Anew);
                    }
                }
            }
            Event::Message { topic, payload, retained } => {
                self.send(&FromLink::Message { topic, retained, payload: payload.to_vec() });
            }
            Event::Acknowledged { .. } => {}
            Event::Refused { id, reason } => tracing::warn!(id, %reason, "the broker did not take a message"),
        }
        None
    }

    /// There is no connection; whether there was one.
    fn gone(&mut self, reason: String) -> bool {
        (self.pending, self.say_again_at) = (None, None);
        self.send(&FromLink::Disconnected { reason });
        std::mem::replace(&mut self.connected, false)
    }

    /// Behind what is not written yet: that is at most what answers one frame of exec.
    fn send(&mut self, frame: &FromLink) {
        match frame::encode(frame) {
            Ok(bytes) => self.outgoing.extend(bytes),
            // The packet limit is below the frame limit, so this is a text that a broker has made up.
            Err(error) => tracing::warn!(%error, "a message of the broker was dropped"),
        }
    }

    fn take(&mut self, frame: Result<Option<FromExec>, frame::FrameError>) -> Option<Pass> {
        match frame {
            Ok(Some(FromExec::Publish { topic, retain, payload })) if self.connected => {
                self.pending = Some(self.publish(topic, payload, retain));
            }
            Ok(Some(FromExec::Publish { .. })) => {}
            Ok(Some(FromExec::Configure { reconnect_spread_s })) => {
                self.spread = Duration::from_secs(reconnect_spread_s.into()).min(LONGEST_SPREAD);
            }
            Ok(Some(FromExec::Time { unix_ms, is_now })) => {
                take_time(self.time, self.renewal, unix_ms, is_now);
            }
            Ok(Some(FromExec::RenewCertificate { authorities })) => self.renewal.told_authorities(&authorities),
            Ok(Some(frame)) => match self.renewal.take(frame) {
                Taken::Nothing => {}
                Taken::Say(frame) => self.send(&frame),
                Taken::Renewed(identity) => return self.renewed(identity),
            },
            Ok(None) => return Some(Pass::Ended(Ended::ExecGone)),
            Err(error) => {
                tracing::warn!(%error, "exec cannot be understood");
                return Some(Pass::Ended(Ended::ExecGone));
            }
        }
        None
    }

    /// Keeps a new key and certificate, which the next connection is to prove.
    fn renewed(&mut self, identity: Identity) -> Option<Pass> {
        if let Err(error) = identity.tls(self.time) {
            self.renewal.failed(&format!("what the bridge gave cannot be used: {error}"), false);
            return None;
        }
        if let Err(error) = self.credentials.keep(identity) {
            self.renewal.failed(&error.to_string(), false);
            return None;
        }
        self.renewal.succeeded();
        tracing::info!("there is a new certificate; it is kept beside the old one until a connection with it has succeeded");
        Some(Pass::Anew)
    }

    fn publish(&mut self, topic: String, payload: Vec<u8>, retain: bool) -> Publish {
        self.next_id += 1;
        Publish { id: self.next_id, topic, payload: payload.into(), retain }
    }
}

/// Takes what exec says of the time, which it alone judges. It falls where the trust root has begun a new epoch, or a new exec does not know it
/// yet: then what was believed of it is void.
fn take_time(time: &KnownTime, renewal: &mut Renewal, unix_ms: u64, is_now: bool) {
    let has_fallen = time.set(unix_ms / 1000) > unix_ms / 1000;
    if is_now {
        renewal.told_time(unix_ms);
    } else if has_fallen {
        renewal.forget_time();
    }
}

/// Evenly from 0 to 1. Without randomness there is no spread, which is better than no connection.
fn fraction() -> f64 {
    f64::from(getrandom::u32().unwrap_or(0)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flotilla_protocol::id::FleetId;

    #[test]
    fn a_time_that_was_pushed_too_far_is_taken_back_when_exec_says_so() {
        let (time, mut renewal) = (KnownTime::new(100), Renewal::new(None, FleetId([0; 8]), 60));
        take_time(&time, &mut renewal, 50_000_000, true);
        assert_eq!((time.get(), renewal.time.is_some()), (50_000, true));
        // A new epoch: the floor falls, and no certificate is judged by the time of before.
        take_time(&time, &mut renewal, 20_000, false);
        assert_eq!((time.get(), renewal.time), (20, None));
        take_time(&time, &mut renewal, 700_000, true);
        assert_eq!((time.get(), renewal.time.is_some()), (700, true));
        take_time(&time, &mut renewal, 800_000, false);
        assert!(time.get() == 800 && renewal.time.is_some(), "a floor that is later takes nothing back");
    }
}
