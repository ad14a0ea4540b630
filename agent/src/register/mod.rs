//! The command `register`: makes this device a node of a fleet.
//!
//! The activation string holds a secret code and the hash of the fleet's trust root. The device proves the code without
//! showing it, and believes an answer only when the chain of trust bundles leads from that hash to the key that signed it.
//! Until then nothing but the device's own keys is on the disk, and the marker that makes it a node is written last. The keys
//! stay, so that a claim that was answered too late is the same claim when it is made again.

mod claim;
mod store;

use std::io::{self, BufRead as _, BufReader};
use std::path::PathBuf;
use std::time::Duration;

use flotilla_link::{AddressError, BrokerAddress, TlsError, unverified_client};
use flotilla_protocol::enrolment::{Activation, ClaimRefusal, InvalidActivation};
use flotilla_protocol::id::{ClaimId, FleetId, NodeId};
use flotilla_protocol::topic::Topic;
use flotilla_protocol::trust::TrustError;
use flotilla_protocol::wire::MAXIMUM_MESSAGE_BYTES;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval, timeout_at};

use crate::facts;
use crate::settings::Settings;
use crate::state::{Layout, StateError};
use claim::Claim;
use store::Keys;

/// How long an answer is waited for, over all attempts.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
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
/// Longest line that is read from standard input, in bytes.
const MAXIMUM_LINE_BYTES: u64 = 4096;

/// Why the device is not registered, or not anew. Nothing that counts was changed.
#[derive(Debug, Error)]
pub enum RegisterError {
    /// The activation string was not copied well.
    #[error(transparent)]
    Activation(#[from] InvalidActivation),
    /// No line came on standard input.
    #[error("the activation string cannot be read from standard input")]
    Input(#[source] io::Error),
    /// The device is a node already.
    #[error("this device is registered already, as {node}; --again registers it once more with the same key")]
    AlreadyRegistered {
        /// Its id.
        node: NodeId,
    },
    /// The device is a node of another fleet.
    #[error("this device is registered in another fleet; to move it, stop the agent and remove its state folder {} first", .folder.display())]
    OtherFleet {
        /// The state folder.
        folder: PathBuf,
    },
    /// The state folder cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes for keys")]
    Randomness(#[source] getrandom::Error),
    /// The activation names an impossible host.
    #[error("the address in the activation string cannot be used; ask the operator for a new activation string")]
    Address(#[source] AddressError),
    /// TLS cannot be used.
    #[error(transparent)]
    Tls(TlsError),
    /// No connection could be made.
    #[error(
        "{address} cannot be reached as a claim listener: {reason}; is the bridge running, does a firewall let this device through, \
         and is the activation string from this fleet?"
    )]
    Unreachable {
        /// The claim listener.
        address: BrokerAddress,
        /// Why, of the last attempt.
        reason: String,
    },
    /// A connection was made, and the claim was not answered.
    #[error("{address} did not answer the claim within {} s; is the bridge running, and connected to its broker?", ANSWER_LIMIT.as_secs())]
    NoAnswer {
        /// The claim listener.
        address: BrokerAddress,
    },
    /// The broker did not take the claim.
    #[error("{address} did not take the claim: {reason}; is it the claim listener?")]
    NotTaken {
        /// The claim listener.
        address: BrokerAddress,
        /// Why.
        reason: String,
    },
    /// The answer cannot be read.
    #[error("the answer of the bridge cannot be read; are agent and bridge of the same release?")]
    Unreadable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The answer does not lead to the pinned root.
    #[error(
        "the bridge that answered has another trust root than the activation string says: it is not the bridge of this fleet, or somebody stands in between; ask the operator"
    )]
    AnotherRoot,
    /// The answer is not signed as it must be.
    #[error("the answer of the bridge is not to be trusted; ask the operator")]
    Untrusted(#[source] TrustError),
    /// The newest trust bundle has run out.
    #[error("the fleet's trust bundle has expired; ask the operator to renew it")]
    ExpiredTrust,
    /// The answer's chain of trust is shorter than the one that is here.
    #[error("the bridge has an older trust bundle than this device; ask the operator whether it was restored from a backup")]
    OlderTrust,
    /// The answer is to another claim.
    #[error("the answer of the bridge belongs to another claim; try again")]
    OtherNonce,
    /// The bridge has refused, in a trusted answer.
    #[error("the bridge refused: {0}")]
    Refused(ClaimRefusal),
    /// The bridge has given something that cannot be used.
    #[error("the bridge has given {what} that cannot be used; ask the operator")]
    Unusable {
        /// What.
        what: &'static str,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What registering has made of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registered {
    /// The node's id.
    pub node: NodeId,
}

/// The activation string of the command line; `-` stands for the first line of the input.
///
/// # Errors
/// [`RegisterError::Input`].
pub fn activation_text(given: &str, input: impl io::Read) -> Result<String, RegisterError> {
    if given != "-" {
        return Ok(given.to_owned());
    }
    let mut line = String::new();
    BufReader::new(input.take(MAXIMUM_LINE_BYTES)).read_line(&mut line).map_err(RegisterError::Input)?;
    Ok(line)
}

/// Registers the device.
///
/// # Errors
/// See [`RegisterError`].
pub async fn register(settings: &Settings, activation: &str, again: bool) -> Result<Registered, RegisterError> {
    let activation = Activation::parse(activation)?;
    let layout = Layout::new(settings);
    store::check_earlier(settings, &layout, &activation.root_hash, again)?;
    layout.create()?;
    let keys = Keys::load_or_make(&layout)?;
    let address: BrokerAddress =
        BrokerAddress { host: activation.host.clone(), port: activation.port }.to_string().parse().map_err(RegisterError::Address)?;
    let claim = Claim::new(&activation, &keys, facts::gather(&address))?;
    let answer = exchange(&address, &activation, &claim).await?;
    let accepted = claim.accept(&answer, &activation.root_hash)?;
    store::store(&layout, &keys, &activation.root_hash, &accepted)?;
    Ok(Registered { node: keys.node() })
}

/// Sends the claim until an answer comes.
async fn exchange(address: &BrokerAddress, activation: &Activation, claim: &Claim) -> Result<Vec<u8>, RegisterError> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(RegisterError::Randomness)?;
    let id = ClaimId(id);
    let fleet = FleetId::of_root_hash(&activation.root_hash);
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
    claim: &'a Claim,
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
        let publish =
            flotilla_link::Publish { id: 0, topic: self.up.clone(), payload: self.claim.envelope().to_vec().into(), retain: false };
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
