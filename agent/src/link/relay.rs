//! One exec's worth of relaying: events of the connection become frames, frames become publishes.

use std::time::Duration;

use flotilla_link::{Event, NetworkChanges, Publish, Settings, StopReason};
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use super::ONLINE;
use crate::frame::{self, FrameReader, FromExec, FromLink};

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
}

/// So long after a connection was made, presence is said once more. The will of the connection before it, "offline", may reach the bridge after
/// what this one has said first; the bridge would send nothing until the next hello, an hour later.
const PRESENCE_AGAIN: Duration = Duration::from_secs(60);

/// Why one run of the MQTT link ended.
enum Pass {
    Ended(Ended),
    /// The connection is lost, and the bridge wants the next one to come within this time.
    Spread(Duration),
}

/// Relays until exec is gone.
pub(super) async fn run(settings: &mut Settings, exec: UnixStream, online: &str) -> Ended {
    let (reader, writer) = exec.into_split();
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
    };
    loop {
        let (publishes, to_publish) = mpsc::channel(PUBLISHES);
        let (to_handle, events) = mpsc::channel(EVENTS);
        let pass = tokio::select! {
            stopped = flotilla_link::run(settings.clone(), to_publish, to_handle) => Pass::Ended(Ended::Stopped(stopped)),
            pass = relay.pass(publishes, events) => pass,
        };
        let pause = match pass {
            Pass::Ended(ended) => return ended,
            Pass::Spread(spread) => spread.mul_f64(fraction()),
        };
        tracing::info!(?pause, "the next connection waits, as the bridge has asked for");
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
}

impl Relay<'_> {
    /// Moves everything in both directions while neither can block the other: each await is one step that can be dropped.
    async fn pass(&mut self, publishes: mpsc::Sender<Publish>, mut events: mpsc::Receiver<Event>) -> Pass {
        loop {
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
                    if let Some(ended) = self.take(frame) {
                        return Pass::Ended(ended);
                    }
                }
                // A connection that looks well may be dead now. The broker must acknowledge this, or the link notices that it does not.
                () = self.network.changed(), if self.connected && self.pending.is_none() => {
                    self.pending = Some(self.publish(self.online.to_owned(), ONLINE.to_vec(), true));
                }
                () = sleep_until(self.say_again_at.unwrap_or_else(Instant::now)), if self.say_again_at.is_some() && self.pending.is_none() => {
                    self.say_again_at = None;
                    self.pending = Some(self.publish(self.online.to_owned(), ONLINE.to_vec(), true));
                }
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
            tokio::select! {
                () = self.network.changed() => return None,
                written = self.to_exec.write(&self.outgoing), if !self.outgoing.is_empty() => match written {
                    Ok(count) if count > 0 => { self.outgoing.drain(..count); }
                    Ok(_) | Err(_) => return Some(Ended::ExecGone),
                },
                frame = self.from_exec.next::<FromExec>() => {
                    if let Some(ended) = self.take(frame) {
                        return Some(ended);
                    }
                }
            }
        }
    }

    fn handle(&mut self, event: Event) -> Option<Pass> {
        match event {
            Event::Connected => {
                tracing::info!("connected to the broker");
                self.connected = true;
                self.say_again_at = Some(Instant::now() + PRESENCE_AGAIN);
                self.pending = Some(self.publish(self.online.to_owned(), ONLINE.to_vec(), true));
                self.send(&FromLink::Connected);
            }
            Event::Disconnected { reason } => {
                tracing::warn!(%reason, "no connection to the broker");
                let was_connected = std::mem::replace(&mut self.connected, false);
                (self.pending, self.say_again_at) = (None, None);
                self.send(&FromLink::Disconnected { reason });
                if was_connected && !self.spread.is_zero() {
                    return Some(Pass::Spread(self.spread));
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

    fn send(&mut self, frame: &FromLink) {
        match frame::encode(frame) {
            Ok(bytes) => self.outgoing = bytes,
            // The packet limit is below the frame limit, so this is a text that a broker has made up.
            Err(error) => tracing::warn!(%error, "a message of the broker was dropped"),
        }
    }

    fn take(&mut self, frame: Result<Option<FromExec>, frame::FrameError>) -> Option<Ended> {
        match frame {
            Ok(Some(FromExec::Publish { topic, retain, payload })) if self.connected => {
                self.pending = Some(self.publish(topic, payload, retain));
            }
            Ok(Some(FromExec::Publish { .. })) => {}
            Ok(Some(FromExec::Configure { reconnect_spread_s })) => {
                self.spread = Duration::from_secs(reconnect_spread_s.into()).min(LONGEST_SPREAD);
            }
            Ok(None) => return Some(Ended::ExecGone),
            Err(error) => {
                tracing::warn!(%error, "exec cannot be understood");
                return Some(Ended::ExecGone);
            }
        }
        None
    }

    fn publish(&mut self, topic: String, payload: Vec<u8>, retain: bool) -> Publish {
        self.next_id += 1;
        Publish { id: self.next_id, topic, payload: payload.into(), retain }
    }
}

/// Evenly from 0 to 1. Without randomness there is no spread, which is better than no connection.
fn fraction() -> f64 {
    f64::from(getrandom::u32().unwrap_or(0)) / f64::from(u32::MAX)
}
