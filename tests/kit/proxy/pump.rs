//! The two directions of one connection through the proxy, and what is done to the messages in them.

use super::{Counts, OUT_OF, Plan, frame, frame::Frames};
use crate::random::Random;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

/// The longest that a message is held back.
pub(super) const LONGEST_DELAY: Duration = Duration::from_millis(50);
/// A message that is to be overtaken goes on after this, if none came.
const OVERTAKEN_WITHIN: Duration = Duration::from_millis(30);
/// A half-open connection is taken away after this at the latest: the fleet must have left it long before.
const HALF_OPEN: Duration = Duration::from_secs(120);
/// See [`Plan`].
const BRIDGE_SPARED: u64 = 10;
/// Packets that wait for a slow side.
const WAITING: usize = 64;
/// Identifiers of our own copies begin here; nobody in the fleet uses so many.
const FIRST_COPY: u16 = 0xf000;

/// What all connections share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) plan: Plan,
    pub(super) counts: Counts,
    pub(super) is_faulty: AtomicBool,
    pub(super) random: Mutex<Random>,
}

/// One direction.
#[derive(Debug)]
pub(super) struct Lane {
    shared: Arc<Shared>,
    /// Copies that were sent on this lane: their acknowledgements come on the other one and end there.
    copies: Arc<Mutex<BTreeSet<u16>>>,
    copies_of_other: Arc<Mutex<BTreeSet<u16>>>,
    next_copy: u16,
    is_half_open: Arc<AtomicBool>,
    /// By how much less than planned the whole connection is stopped.
    spared: u64,
}

/// What happens to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Forward,
    Drop,
    Duplicate,
    Overtaken,
    Delay(Duration),
    Cut,
    HalfOpen,
}

impl Lane {
    pub(super) fn pair(shared: &Arc<Shared>, is_bridge: bool) -> [Self; 2] {
        let spared = if is_bridge { BRIDGE_SPARED } else { 1 };
        let (one, other, is_half_open) = (Arc::default(), Arc::default(), Arc::default());
        let lane = |copies: &Arc<_>, copies_of_other: &Arc<_>| Self {
            shared: Arc::clone(shared),
            copies: Arc::clone(copies),
            copies_of_other: Arc::clone(copies_of_other),
            next_copy: FIRST_COPY,
            is_half_open: Arc::clone(&is_half_open),
            spared,
        };
        [lane(&one, &other), lane(&other, &one)]
    }

    fn fate(&self) -> Fate {
        let Shared { plan, counts, is_faulty, random } = self.shared.as_ref();
        counts.messages.fetch_add(1, Ordering::Relaxed);
        if !is_faulty.load(Ordering::Relaxed) {
            return Fate::Forward;
        }
        counts.exposed.fetch_add(1, Ordering::Relaxed);
        let mut random = random.lock().unwrap_or_else(PoisonError::into_inner);
        let mut dice = random.below(OUT_OF);
        let fates: [(u64, &AtomicU64, Fate); 6] = [
            (plan.dropped, &counts.dropped, Fate::Drop),
            (plan.duplicated, &counts.duplicated, Fate::Duplicate),
            (plan.reordered, &counts.reordered, Fate::Overtaken),
            (plan.delayed / self.spared, &counts.delayed, Fate::Delay(random.moment(LONGEST_DELAY))),
            (plan.cut / self.spared, &counts.cut, Fate::Cut),
            (plan.half_open / self.spared, &counts.half_open, Fate::HalfOpen),
        ];
        for (share, count, fate) in fates {
            if dice < share {
                count.fetch_add(1, Ordering::Relaxed);
                return fate;
            }
            dice -= share;
        }
        Fate::Forward
    }

    /// The same message under an identifier of our own.
    fn copy(&mut self, packet: &[u8], at: usize) -> Vec<u8> {
        let identifier = self.next_copy;
        self.next_copy = self.next_copy.checked_add(1).unwrap_or(FIRST_COPY);
        self.copies.lock().unwrap_or_else(PoisonError::into_inner).insert(identifier);
        let mut copy = packet.to_vec();
        for (place, byte) in identifier.to_be_bytes().into_iter().enumerate() {
            if let Some(there) = copy.get_mut(at + place) {
                *there = byte;
            }
        }
        copy
    }

    /// Whether this acknowledges a copy of ours, of which its sender knows nothing.
    fn is_ours(&self, packet: &[u8]) -> bool {
        frame::acknowledged(packet).is_some_and(|id| self.copies_of_other.lock().unwrap_or_else(PoisonError::into_inner).remove(&id))
    }

    /// Moves packets until the connection is to end. `back` leads to where they come from. Nothing when the other side is gone.
    async fn run(mut self, mut from: Frames<impl AsyncRead + Unpin>, to: mpsc::Sender<Vec<u8>>, back: mpsc::Sender<Vec<u8>>) -> Option<()> {
        let mut held: Option<(Vec<u8>, Instant)> = None;
        loop {
            let until = held.as_ref().map_or_else(Instant::now, |(_, until)| *until);
            let packet = tokio::select! {
                packet = from.next() => packet.ok()?,
                () = sleep_until(until), if held.is_some() => {
                    let (packet, _) = held.take()?;
                    to.send(packet).await.ok()?;
                    continue;
                }
            };
            if self.is_ours(&packet) {
                continue;
            }
            let Some(at) = frame::publish_identifier(&packet) else {
                to.send(packet).await.ok()?;
                continue;
            };
            match self.fate() {
                Fate::Forward => to.send(packet).await.ok()?,
                Fate::Drop => back.send(frame::acknowledgement(frame::identifier(&packet, at)?)).await.ok()?,
                Fate::Duplicate => {
                    let copy = self.copy(&packet, at);
                    to.send(packet).await.ok()?;
                    to.send(copy).await.ok()?;
                }
                Fate::Overtaken if held.is_none() => {
                    held = Some((packet, Instant::now() + OVERTAKEN_WITHIN));
                    continue;
                }
                Fate::Overtaken => to.send(packet).await.ok()?,
                Fate::Delay(time) => {
                    sleep(time).await;
                    to.send(packet).await.ok()?;
                }
                Fate::Cut => {
                    to.send(packet.get(..packet.len() / 2)?.to_vec()).await.ok()?;
                    // Time for the half to leave.
                    sleep(LONGEST_DELAY).await;
                    return None;
                }
                Fate::HalfOpen => {
                    self.is_half_open.store(true, Ordering::Relaxed);
                    sleep(HALF_OPEN).await;
                    return None;
                }
            }
            if let Some((packet, _)) = held.take() {
                to.send(packet).await.ok()?;
            }
        }
    }
}

/// Writes what comes; swallows it once the connection is half-open.
async fn write(mut queue: mpsc::Receiver<Vec<u8>>, mut to: impl AsyncWrite + Unpin, is_half_open: Arc<AtomicBool>) -> Option<()> {
    while let Some(packet) = queue.recv().await {
        if !is_half_open.load(Ordering::Relaxed) {
            to.write_all(&packet).await.ok()?;
            to.flush().await.ok()?;
        }
    }
    None
}

/// Runs both directions until one of them ends.
pub(super) async fn run<A: AsyncRead + Unpin, B: AsyncWrite + Unpin, C: AsyncRead + Unpin, D: AsyncWrite + Unpin>(
    up: Lane,
    down: Lane,
    (from_client, to_client): (Frames<A>, B),
    (from_server, to_server): (Frames<C>, D),
) {
    let (client, for_client) = mpsc::channel(WAITING);
    let (server, for_server) = mpsc::channel(WAITING);
    let is_half_open = Arc::clone(&up.is_half_open);
    tokio::select! {
        _ = up.run(from_client, server.clone(), client.clone()) => {}
        _ = down.run(from_server, client, server) => {}
        _ = write(for_client, to_client, Arc::clone(&is_half_open)) => {}
        _ = write(for_server, to_server, is_half_open) => {}
    }
}
