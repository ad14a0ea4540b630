//! The half that speaks to nodes: the broker or the connection to one, ingest, dispatch, and how they start and stop.
//!
//! The loops: the connection passes messages in and out ([`crate::platform::mqtt`]), ingest takes them up in group commits
//! ([`crate::platform::ingest`], with [`router`] to say what they mean), and dispatch sends what the database says is due
//! ([`run_command::reconcile`]). They stop in the order in which they feed one another, so that nothing committed goes
//! unanswered for want of a second.

#[cfg(test)]
mod audit_tests;
#[cfg(test)]
#[cfg(feature = "embedded-broker")]
mod live_tests;
pub mod router;
mod session;
#[cfg(test)]
mod session_tests;
#[cfg(test)]
mod stream_tests;
#[cfg(test)]
pub(crate) mod test_kit;
#[cfg(test)]
mod tests;

use crate::capability::{inventory, run_command};
use crate::fleet::activation::claim::Enrolment;
use crate::fleet::node::store as node_store;
use crate::fleet::{Fleet, FleetSettings};
use crate::platform::ingest::{self, take_batch};
use crate::platform::mosquitto::dynamic_security;
use crate::platform::mqtt::tenure::Tenure;
use crate::platform::mqtt::{Arrival, Connection, ConnectionEnd, INBOUND_MESSAGES, MqttSettings};
use crate::platform::shutdown::{Shutdown, shutdown};
use crate::settings::{BrokerMode, HomeError, Settings};
use flotilla_link::{AddressError, BrokerAddress, TlsError};
use router::Router;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// The name in the bridge's certificate.
pub const BRIDGE_CLIENT_ID: &str = "flotilla-bridge";
/// How long dispatch may take to end.
const DISPATCH_STOP: Duration = Duration::from_secs(10);

/// Why the device half could not start.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The database.
    #[error("the nodes that were removed cannot be read")]
    Store(#[from] crate::platform::store::StoreError),
    /// Something in the home cannot be used.
    #[error("a certificate or key of the home cannot be used")]
    Home(#[from] HomeError),
    /// The bridge's certificate cannot be used.
    #[error("the bridge's certificate cannot be used for the broker")]
    Tls(#[from] TlsError),
    /// The embedded broker did not start.
    #[cfg(feature = "embedded-broker")]
    #[error("the embedded broker did not start")]
    Broker(#[from] crate::platform::embedded_broker::BrokerError),
    /// The settings ask for a broker that this build does not have.
    #[cfg(not(feature = "embedded-broker"))]
    #[error("this build has no embedded broker; set broker.mode to \"external\"")]
    NoEmbeddedBroker,
    /// A loop that runs as long as the bridge is gone. The service manager starts the bridge again.
    #[error("{part} has ended, which it never should; the log says why")]
    Ended {
        /// Which one.
        part: &'static str,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Randomness(#[source] getrandom::Error),
    /// Another bridge has begun its tenure after this one.
    #[error("another bridge of this fleet has connected to the broker, and took over from this one")]
    TakenOver,
    /// The broker's address cannot be dialled.
    #[error("the broker's address cannot be used")]
    Address(#[from] AddressError),
}

/// How long the end of the connection is awaited when another part has ended.
const CONNECTION_END: Duration = Duration::from_secs(2);

/// The broker's listeners that are really bound, where the broker is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listeners {
    /// Where nodes and bridges connect.
    pub nodes: SocketAddr,
    /// Where devices connect to be enrolled.
    pub claims: SocketAddr,
}

#[cfg(feature = "embedded-broker")]
type Embedded = crate::platform::embedded_broker::EmbeddedBroker;
#[cfg(not(feature = "embedded-broker"))]
type Embedded = std::convert::Infallible;

/// The running device half.
#[derive(Debug)]
pub struct Device {
    broker: Option<Embedded>,
    connection: Connection,
    ingest: tokio::task::JoinHandle<()>,
    dispatch: tokio::task::JoinHandle<()>,
    stop_dispatch: crate::platform::shutdown::ShutdownSwitch,
    revoke: tokio::task::JoinHandle<()>,
}

impl Device {
    /// Starts the broker where it is ours, connects, and begins to take messages up and to send.
    ///
    /// # Errors
    /// See [`DeviceError`]. A broker elsewhere that is not there is no error: it is tried again and again.
    pub async fn start(fleet: &Arc<Fleet>, settings: &Settings) -> Result<Self, DeviceError> {
        let authorities = settings.home.read_authorities()?;
        let authority_der = authorities.der();
        for node in node_store::removed(fleet.store.reader()).await? {
            fleet.revocations.revoke(node);
        }
        let broker = match settings.broker.mode {
            BrokerMode::Embedded => Some(start_embedded(fleet, settings, authority_der.clone()).await?),
            BrokerMode::External => None,
        };
        let address = match broker.as_ref().map(listeners) {
            Some(listeners) => own_address(listeners.nodes),
            None => settings.broker.address.to_string().parse()?,
        };
        let certificate = settings.home.read_certificate("bridge")?;
        let tls = flotilla_link::fleet_client(&authority_der, &certificate.certificate_der, &certificate.private_key_pkcs8_der, None)?;
        let FleetSettings { broker_host, broker_port, .. } = &fleet.settings;
        let enrolment = Enrolment::new(authorities, broker_host.clone(), *broker_port, settings.certificate_life_s);
        let router = Router::new(Arc::clone(fleet), enrolment);
        // Who was online before this start is not known any more.
        let presence = take_batch(&fleet.store, &fleet.clock, &router, &fleet.publisher, &[Arrival::Disconnected]).await;
        let (arrivals, arrived) = mpsc::channel(INBOUND_MESSAGES);
        let mqtt =
            MqttSettings { address, tls, client_id: BRIDGE_CLIENT_ID.to_owned(), fleet: fleet.settings.fleet, clock: fleet.clock.clone() };
        let connection = Connection::start(&mqtt, &fleet.publisher, tenure(fleet)?, arrivals);
        let ingest = ingest::run(fleet.store.clone(), fleet.clock.clone(), router, fleet.publisher.clone(), arrived, presence);
        let (stop_dispatch, stopped) = shutdown();
        let throws_out = settings.broker.mode == BrokerMode::External && settings.broker.dynamic_security;
        let revoke = tokio::spawn(dynamic_security::run(Arc::clone(&fleet.revocations), fleet.publisher.clone(), throws_out));
        Ok(Self {
            broker,
            connection,
            ingest: tokio::spawn(ingest),
            dispatch: tokio::spawn(upkeep(Arc::clone(fleet), stopped)),
            stop_dispatch,
            revoke,
        })
    }

    /// Where our own broker listens; nothing for a broker elsewhere.
    #[must_use]
    pub fn listeners(&self) -> Option<Listeners> {
        self.broker.as_ref().map(listeners)
    }

    /// Returns when a part has ended by itself, which none ever should, or another bridge has taken over. [`Device::stop`] may be called
    /// afterwards.
    pub async fn ended(&mut self) -> ConnectionEnd {
        let Self { connection, ingest, dispatch, .. } = self;
        first_end(connection.ended(), ingest, dispatch).await
    }

    /// Stops in order: no more sending, then the connection, then what came in is committed, then the broker.
    pub async fn stop(mut self) {
        self.stop_dispatch.request();
        self.revoke.abort();
        // It may wait for a place on a connection that does not move; what it has not sent is due again at the next start.
        if !self.dispatch.is_finished() && tokio::time::timeout(DISPATCH_STOP, &mut self.dispatch).await.is_err() {
            tracing::warn!("dispatch did not end in time");
            self.dispatch.abort();
        }
        self.connection.stop().await;
        // With the connection gone, ingest ends when it has taken up what is left.
        if !self.ingest.is_finished() {
            drop(self.ingest.await);
        }
        #[cfg(feature = "embedded-broker")]
        if let Some(broker) = self.broker {
            broker.stop().await;
        }
    }
}

/// Sends what is due and removes what is left over, until it is asked to stop.
async fn upkeep(fleet: Arc<Fleet>, stopped: Shutdown) {
    let left_over = tokio::spawn(inventory::retention::run(Arc::clone(&fleet), stopped.clone()));
    run_command::reconcile::run(fleet, stopped).await;
    left_over.abort();
}

/// What has ended, and why. Ingest ends with the connection too, and that can be seen before the connection's own end: so that is awaited for
/// a moment, because what comes of it may be that this bridge must not start again.
async fn first_end<T>(
    connection: impl Future<Output = ConnectionEnd>,
    ingest: impl Future<Output = T>,
    dispatch: impl Future<Output = T>,
) -> ConnectionEnd {
    let mut connection = std::pin::pin!(connection);
    let part = tokio::select! {
        biased;
        end = &mut connection => return end,
        _ = ingest => "ingest",
        _ = dispatch => "dispatch",
    };
    match tokio::time::timeout(CONNECTION_END, connection).await {
        Ok(ConnectionEnd::TakenOver) => ConnectionEnd::TakenOver,
        _ => ConnectionEnd::Part(part),
    }
}

/// Speaks to nodes until it is asked to stop.
///
/// # Errors
/// It could not start, or a part of it ended by itself; see [`DeviceError`].
pub async fn run(fleet: Arc<Fleet>, settings: &Settings, mut shutdown: Shutdown) -> Result<(), DeviceError> {
    let mut device = Device::start(&fleet, settings).await?;
    if let Some(Listeners { nodes, claims }) = device.listeners() {
        tracing::info!(%nodes, %claims, "the broker listens");
    }
    let ended = tokio::select! {
        () = shutdown.requested() => Ok(()),
        end = device.ended() => Err(match end {
            ConnectionEnd::TakenOver => DeviceError::TakenOver,
            ConnectionEnd::Part(part) => DeviceError::Ended { part },
        }),
    };
    if matches!(ended, Err(DeviceError::TakenOver))
        && let Err(error) = settings.home.stand_aside(fleet.clock.now_ms())
    {
        let path = settings.home.stood_aside();
        tracing::error!(%error, path = %path.display(), "the mark that keeps this home from starting again cannot be made");
    }
    device.stop().await;
    ended
}

/// The tenure that begins with this start.
fn tenure(fleet: &Fleet) -> Result<Tenure, DeviceError> {
    let instance = fleet.randomness.id_bytes().map_err(DeviceError::Randomness)?;
    let (signer, judge) = (Arc::clone(&fleet.signer), Arc::clone(&fleet.signer));
    let (seal, open) = (Box::new(move |body: &_| signer.tenure(body)), Box::new(move |message: &[u8]| judge.read_tenure(message)));
    Ok(Tenure::new(fleet.clock.now_ms(), instance, seal, open))
}

/// How the bridge reaches its own broker: where it was bound, or by loopback, which the broker's certificate always names.
fn own_address(bound: SocketAddr) -> BrokerAddress {
    let host = match bound.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        address => address,
    };
    BrokerAddress { host: host.to_string(), port: bound.port() }
}

#[cfg(feature = "embedded-broker")]
fn listeners(broker: &Embedded) -> Listeners {
    Listeners { nodes: broker.address(), claims: broker.claim_address() }
}

#[cfg(not(feature = "embedded-broker"))]
fn listeners(broker: &Embedded) -> Listeners {
    match *broker {}
}

#[cfg(feature = "embedded-broker")]
async fn start_embedded(fleet: &Fleet, settings: &Settings, ca_certificate_der: Vec<u8>) -> Result<Embedded, DeviceError> {
    use crate::platform::embedded_broker::{BrokerLimits, EmbeddedBrokerSettings};
    let broker = EmbeddedBrokerSettings {
        listen: settings.broker.listen,
        claim_listen: settings.broker.claim_listen,
        fleet: fleet.settings.fleet,
        server: settings.home.read_certificate("broker")?,
        ca_certificate_der,
        limits: BrokerLimits::default(),
        revocations: Arc::clone(&fleet.revocations),
    };
    Ok(Embedded::start(broker).await?)
}

#[cfg(not(feature = "embedded-broker"))]
async fn start_embedded(_fleet: &Fleet, _settings: &Settings, _ca_certificate_der: Vec<u8>) -> Result<Embedded, DeviceError> {
    Err(DeviceError::NoEmbeddedBroker)
}
