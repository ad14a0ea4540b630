//! The broker inside the bridge, for a fleet that one machine serves.
//!
//! Two listeners. The **main** one asks for a certificate of the fleet's authority; the certificate's common name is the
//! identity, the MQTT client id must equal it, and `acl` says what it may do. The **claim** one is for devices that are not
//! yet nodes: TLS proves the server only, the client id is the claim's random id, and all that it may do is send its claim
//! and receive its answer, within tight limits.
//!
//! The engine is the crate `mqtt5`: its message router and its connection handler, without its server, so that no listener,
//! file or task exists but those made here. Nothing is written to disk, every session ends with its connection, and the only
//! retained messages are the nodes' `online` and the bridge's tenure. The queue of record is the database; what is lost here is sent again.

mod acl;
mod gatekeeper;
mod listener;
mod rate;
#[cfg(test)]
pub(crate) mod test_client;
#[cfg(test)]
pub(crate) mod tests;
mod tls;

pub use rate::Rate;

use super::pki::IssuedCertificate;
use super::revocation::Revocations;
use flotilla_protocol::id::FleetId;
use gatekeeper::{Established, OpenClaims};
use listener::{Audience, Listener, Treatment};
use mqtt5::broker::router::MessageRouter;
use mqtt5::broker::storage::QueueLimits;
use mqtt5::broker::sys_topics::BrokerStats;
use mqtt5::broker::{BrokerConfig, ResourceLimits, ResourceMonitor};
use rate::RateLimiter;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// Largest packet on the main listener: a delivery is at most 64 KiB, and the rest is room.
pub const MAX_PACKET: usize = 128 * 1024;
/// Largest packet on the claim listener.
pub const MAX_CLAIM_PACKET: usize = 16 * 1024;
/// Longest TLS handshake.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest wait for a connection to say goodbye.
const CONNECTION_GRACE: Duration = Duration::from_secs(2);
/// Largest retained message: `online` is one digit, a tenure has some 110 bytes.
const MAX_RETAINED: usize = 256;
/// Messages on their way to a node that it has not acknowledged.
const NODE_WINDOW: u16 = 64;
/// Messages on their way to a bridge that it has not acknowledged.
const BRIDGE_WINDOW: u16 = 256;
/// Messages waiting between the router and a node's connection before they go to its queue.
const NODE_CHANNEL: usize = 64;
/// The same for a bridge, which takes the reports of all nodes.
const BRIDGE_CHANNEL: usize = 1_024;
/// Subscriptions of a node: its own, the fleet's, and room.
const NODE_SUBSCRIPTIONS: usize = 16;
/// Subscriptions of a bridge: two for each of 256 shards, the claims, and room.
const BRIDGE_SUBSCRIPTIONS: usize = 1_024;
/// A claim has one subscription.
const CLAIM_SUBSCRIPTIONS: usize = 1;
/// A claim's messages a second; it sends one, and perhaps again.
const CLAIM_MESSAGES_PER_SECOND: u32 = 10;
/// How often leftovers of ended connections are swept.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// How much the broker takes.
#[derive(Debug, Clone)]
pub struct BrokerLimits {
    /// Connections on the main listener, those in their handshake included.
    pub connections: usize,
    /// Messages that a node may publish in a second; the next ones are answered with "quota exceeded".
    pub node_messages_per_second: u32,
    /// Messages that wait for a client that reads slowly; the oldest are dropped beyond.
    pub queued_messages: usize,
    /// The same in bytes.
    pub queued_bytes: usize,
    /// Retained messages: one for each node that was ever connected.
    pub retained_messages: usize,
    /// Connections on the claim listener, those in their handshake included.
    pub claim_connections: usize,
    /// Longest connection on the claim listener.
    pub claim_lifetime: Duration,
    /// Connections to the claim listener from one address.
    pub claim_rate_of_address: Rate,
    /// Connections to the claim listener in all.
    pub claim_rate: Rate,
}

impl Default for BrokerLimits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            node_messages_per_second: 2_000,
            queued_messages: 50_000,
            queued_bytes: 64 * 1024 * 1024,
            retained_messages: 100_000,
            claim_connections: 400,
            claim_lifetime: Duration::from_secs(120),
            claim_rate_of_address: Rate { burst: 60, per_second: 1 },
            claim_rate: Rate { burst: 200, per_second: 20 },
        }
    }
}

/// What the broker needs to start.
#[derive(Debug, Clone)]
pub struct EmbeddedBrokerSettings {
    /// Where nodes and bridges connect. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where devices connect to be enrolled. Port 0 takes a free one.
    pub claim_listen: SocketAddr,
    /// The fleet whose topics are served.
    pub fleet: FleetId,
    /// The server's certificate, for both listeners.
    pub server: IssuedCertificate,
    /// The authorities whose client certificates are accepted, one after the other.
    pub ca_certificate_der: Vec<u8>,
    /// How much is taken.
    pub limits: BrokerLimits,
    /// Which nodes are not let in.
    pub revocations: Arc<Revocations>,
}

/// Why the broker did not start.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The address is taken, not ours, or needs a right that we do not have.
    #[error("cannot listen on {address}; is another broker running there? Stop it or set another port")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The server's certificate, its key or the authority's certificate cannot be used.
    #[error("the broker's certificate or key cannot be used; issue it again")]
    Certificate(#[source] rustls::Error),
    /// The authorities' certificates cannot be told apart.
    #[error("the authorities' certificates cannot be read; restore them from the backup")]
    Authorities(#[from] flotilla_link::InvalidCertificate),
    /// The authority's certificate cannot be used to verify clients.
    #[error("the authority's certificate cannot verify clients; restore it from the backup made at `init`")]
    Verifier(#[source] rustls::server::VerifierBuilderError),
}

/// A running broker. Dropping it ends it at once; [`EmbeddedBroker::stop`] ends it in order.
pub struct EmbeddedBroker {
    address: SocketAddr,
    claim_address: SocketAddr,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl fmt::Debug for EmbeddedBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, claim_address, .. } = self;
        f.debug_struct("EmbeddedBroker").field("address", address).field("claim_address", claim_address).finish_non_exhaustive()
    }
}

impl EmbeddedBroker {
    /// Binds both listeners and begins to serve.
    ///
    /// # Errors
    /// An address cannot be bound, or a certificate cannot be used. Nothing is left running then.
    pub async fn start(settings: EmbeddedBrokerSettings) -> Result<Self, BrokerError> {
        let main_tls = tls::with_client_certificates(&settings)?;
        let claim_tls = tls::anonymous(&settings)?;
        let (main_socket, address) = bind(settings.listen).await?;
        let (claim_socket, claim_address) = bind(settings.claim_listen).await?;
        let limits = &settings.limits;
        let queue = QueueLimits { max_messages: limits.queued_messages, max_bytes: limits.queued_bytes };
        let router = MessageRouter::new().with_fallback_queue_limits(queue);
        let router = Arc::new(router.with_retained_limits(limits.retained_messages, MAX_RETAINED));
        let stats = Arc::new(BrokerStats::new());
        let listener = |tls, audience, connections, rate| Listener {
            fleet: settings.fleet,
            tls,
            audience,
            router: Arc::clone(&router),
            stats: Arc::clone(&stats),
            connections: Arc::new(Semaphore::new(connections)),
            rate,
            established: Arc::new(Established::default()),
            revocations: Arc::clone(&settings.revocations),
        };
        let certified = Audience::Certified { bridge: Box::new(bridge_treatment()), node: Box::new(node_treatment(limits)) };
        let claims = Audience::Claims { claim: Box::new(claim_treatment(limits)), open: Arc::new(OpenClaims::default()) };
        let rate = RateLimiter::new(limits.claim_rate_of_address, limits.claim_rate);
        let main = listener(main_tls, certified, limits.connections, None);
        let claim = listener(claim_tls, claims, limits.claim_connections, Some(rate));
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(listener::run(main_socket, main, stopped.clone()));
        tasks.spawn(listener::run(claim_socket, claim, stopped.clone()));
        tasks.spawn(sweep(router, stopped));
        Ok(Self { address, claim_address, stop, tasks })
    }

    /// Where nodes and bridges connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where devices connect to be enrolled.
    #[must_use]
    pub fn claim_address(&self) -> SocketAddr {
        self.claim_address
    }

    /// Tells every client that the server goes, ends all connections and frees both ports; takes a few seconds at most.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), BrokerError> {
    let failed = |source| BrokerError::Listen { address, source };
    let socket = TcpListener::bind(address).await.map_err(failed)?;
    let bound = socket.local_addr().map_err(failed)?;
    Ok((socket, bound))
}

async fn sweep(router: Arc<MessageRouter>, mut stop: watch::Receiver<bool>) {
    let mut ticks = interval(SWEEP_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = stop.changed() => return,
            _ = ticks.tick() => router.sweep_sessions().await,
        }
    }
}

fn bridge_treatment() -> Treatment {
    let config = BrokerConfig {
        max_subscriptions_per_client: BRIDGE_SUBSCRIPTIONS,
        client_channel_capacity: BRIDGE_CHANNEL,
        max_outbound_inflight: BRIDGE_WINDOW,
        server_receive_maximum: Some(BRIDGE_WINDOW),
        ..common_config()
    };
    Treatment { config, monitor: monitor(0), lifetime: None }
}

fn node_treatment(limits: &BrokerLimits) -> Treatment {
    let config = BrokerConfig {
        max_subscriptions_per_client: NODE_SUBSCRIPTIONS,
        client_channel_capacity: NODE_CHANNEL,
        max_outbound_inflight: NODE_WINDOW,
        server_receive_maximum: Some(NODE_WINDOW),
        ..common_config()
    };
    Treatment { config, monitor: monitor(limits.node_messages_per_second), lifetime: None }
}

fn claim_treatment(limits: &BrokerLimits) -> Treatment {
    let config = BrokerConfig {
        max_packet_size: MAX_CLAIM_PACKET,
        retain_available: false,
        wildcard_subscription_available: false,
        max_subscriptions_per_client: CLAIM_SUBSCRIPTIONS,
        client_channel_capacity: NODE_CHANNEL,
        max_outbound_inflight: NODE_WINDOW,
        server_receive_maximum: Some(NODE_WINDOW),
        ..common_config()
    };
    Treatment { config, monitor: monitor(CLAIM_MESSAGES_PER_SECOND), lifetime: Some(limits.claim_lifetime) }
}

/// What holds for every connection. No address is bound from this: only the connection handler reads it.
fn common_config() -> BrokerConfig {
    BrokerConfig {
        bind_addresses: Vec::new(),
        session_expiry_interval: Duration::ZERO,
        max_packet_size: MAX_PACKET,
        topic_alias_maximum: 0,
        maximum_qos: 1,
        shared_subscription_available: false,
        sys_topics_enabled: false,
        ..BrokerConfig::default()
    }
}

/// A counter of messages; 0 counts without a limit. Connections are limited by the listeners.
fn monitor(messages_per_second: u32) -> Arc<ResourceMonitor> {
    Arc::new(ResourceMonitor::new(ResourceLimits {
        max_message_rate_per_client: messages_per_second,
        max_bandwidth_per_client: 0,
        rate_limit_window: Duration::from_secs(1),
        ..ResourceLimits::default()
    }))
}
