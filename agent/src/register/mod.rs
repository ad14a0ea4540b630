//! The command `register`: makes this device a node of a fleet.
//!
//! The activation string holds a secret code and the hash of the fleet's trust root. The device proves the code without
//! showing it, and believes an answer only when the chain of trust bundles leads from that hash to the key that signed it.
//! Until then nothing but the device's own keys is on the disk, and the marker that makes it a node is written last. The keys
//! stay, so that a claim that was answered too late is the same claim when it is made again.

pub(crate) mod claim;
pub(crate) mod exchange;
mod store;

use std::io::{self, BufRead as _, BufReader};
use std::path::PathBuf;

use flotilla_link::{AddressError, BrokerAddress, TlsError};
use flotilla_protocol::enrolment::{Activation, ClaimRefusal, InvalidActivation};
use flotilla_protocol::id::{FleetId, NodeId};
use flotilla_protocol::trust::TrustError;
use thiserror::Error;

use crate::facts;
use crate::ownership::{self, OwnershipError};
use crate::settings::Settings;
use crate::state::{Layout, StateError};
use claim::Claim;
use store::Keys;

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
    /// The state folder cannot be parted between exec and the link's user.
    #[error(transparent)]
    Ownership(#[from] OwnershipError),
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
    #[error("{address} did not answer the claim within {} s; is the bridge running, and connected to its broker?", exchange::ANSWER_LIMIT.as_secs())]
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
    ownership::establish(settings)?;
    let keys = Keys::load_or_make(&layout)?;
    let address: BrokerAddress =
        BrokerAddress { host: activation.host.clone(), port: activation.port }.to_string().parse().map_err(RegisterError::Address)?;
    let claim = Claim::new(&activation, &keys, facts::gather(&address))?;
    let answer = exchange::exchange(&address, FleetId::of_root_hash(&activation.root_hash), claim.envelope()).await?;
    let accepted = claim.accept(&answer, &activation.root_hash)?;
    store::store(&layout, &keys, &activation.root_hash, &accepted, address)?;
    Ok(Registered { node: keys.node() })
}
