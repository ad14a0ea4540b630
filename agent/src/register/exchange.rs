//! One claim and its answer over the claim listener.

use std::time::Duration;

use flotilla_link::{BrokerAddress, unverified_client};
use flotilla_protocol::id::{ClaimId, FleetId};
use flotilla_protocol::topic::Topic;
use flotilla_protocol::wire::MAXIMUM_MESSAGE_BYTES;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval, timeout_at};

use super::RegisterError;

/// How long an answer is waited for, over all attempts.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// Pause between two claims on one connection.
const RESEND_PAUSE: Duration = Duration::from_secs(5);
/// So many attempts without a connection are enough to say that there is none to be had.
const MAXIMUM_ATTEMPTS: u32 = 3;
/// Ceilings of the pauses between attempts.
const BACKOFF: flotilla_link::BackoffLimits =
    flotilla_link::BackoffLimits { minimum: Duration::from_millis(500), maximum: Duration::from_secs(4) };
/// Pings are of no use within [`ANSWER_LIMIT`].
const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// The largest message, its topic, and MQTT's own bytes.
const MAXIMUM_PACKET_BYTES: usize = MAXIMUM_MESSAGE_BYTES + 1024;

/// Sends a claim until an answer comes, which is not looked at.
///
/// # Errors
/// There is no claim listener, or nobody answers.
pub(crate) async fn exchange(address: &BrokerAddress, fleet: FleetId, claim: &[u8]) -> Result<Vec<u8>, RegisterError> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(RegisterError::Randomness)?;
    let id = ClaimId(id);
    let up = Topic::ClaimUp { fleet, claim: id }.to_string();
    let link = flotilla_link::Settings {
        address: address.clone(),
        tls: unverified_client().map_err(RegisterError::Tls)?,
        client_id: id.to_string(),
        subscriptions: vec![Topic::ClaimDown { fleet, claim: id }.to_string()],
        will: None,
        keep_alive: KEEP_ALIVE,
        maximum_packet_bytes: u32::try_from(MAXIMUM_PACKET_BYTES).unwrap_or(u32::MAX),
        in_flight: 1,
        backoff: BACKOFF,
    };
    let (publishes, to_publish) = mpsc::channel(1);
    let (to_handle, events) = mpsc::channel(4);
    let mut waiting = Waiting { address, up, claim, publishes, events, connected: false, failures: 0, last_failure: None };
    let deadline = Instant::now() + ANSWER_LIMIT;
    tokio::select! {
        answer = timeout_at(deadline, waiting.answer()) => {
            if let Ok(answer) = answer { return answer }
        }
        stopped = flotilla_link::run(link, to_publish, to_handle) => waiting.last_failure = Some(stopped.to_string()),
    }
    Err(waiting.no_answer())
}

/// The wait for an answer, and what is known by now of why there is none.
struct Waiting<'a> {
    address: &'a BrokerAddress,
    up: String,
    claim: &'a [u8],
    publishes: mpsc::Sender<flotilla_link::Publish>,
    events: mpsc::Receiver<flotilla_link::Event>,
    connected: bool,
    failures: u32,
    last_failure: Option<String>,
}

impl Waiting<'_> {
    async fn answer(&mut self) -> Result<Vec<u8>, RegisterError> {
        use flotilla_link::Event;
        let mut resend = interval(RESEND_PAUSE);
        loop {
            let event = tokio::select! {
                event = self.events.recv() => event,
                _ = resend.tick(), if self.connected => {
                    self.send();
                    continue;
                }
            };
            match event {
                Some(Event::Connected) => {
                    self.connected = true;
                    resend.reset_immediately();
                }
                Some(Event::Disconnected { reason }) => {
                    self.failures += 1;
                    self.last_failure = Some(reason);
                    self.connected = false;
                    if self.failures >= MAXIMUM_ATTEMPTS {
                        return Err(self.no_answer());
                    }
                }
                // Only one topic is subscribed; an answer that a broker has kept is an answer to another claim.
                Some(Event::Message { payload, retained: false, .. }) => return Ok(payload.to_vec()),
                Some(Event::Message { .. } | Event::Acknowledged { .. }) => {}
                Some(Event::Refused { reason, .. }) => {
                    return Err(RegisterError::NotTaken { address: self.address.clone(), reason });
                }
                None => return std::future::pending().await,
            }
        }
    }

    fn send(&self) {
        let publish = flotilla_link::Publish { id: 0, topic: self.up.clone(), payload: self.claim.to_vec().into(), retain: false };
        // When the one before still waits, nothing is won by a second.
        if let Err(error) = self.publishes.try_send(publish) {
            tracing::debug!(%error, "the claim is still on its way");
        }
    }

    fn no_answer(&self) -> RegisterError {
        let address = self.address.clone();
        match &self.last_failure {
            Some(reason) if !self.connected => RegisterError::Unreachable { address, reason: reason.clone() },
            _ => RegisterError::NoAnswer { address },
        }
    }
}
