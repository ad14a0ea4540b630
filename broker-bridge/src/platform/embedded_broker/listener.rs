//! A listener: accepts, limits, does the TLS handshake beside the accept loop, and hands the connection to the broker.

use super::acl::Identity;
use super::gatekeeper::{Door, Established, Events, Gatekeeper, OpenClaims};
use super::rate::RateLimiter;
use super::{CONNECTION_GRACE, HANDSHAKE_TIMEOUT};
use crate::platform::pki::common_name;
use crate::platform::revocation::Revocations;
use flotilla_protocol::id::FleetId;
use mqtt5::broker::client_handler::ClientHandler;
use mqtt5::broker::router::MessageRouter;
use mqtt5::broker::sys_topics::BrokerStats;
use mqtt5::broker::tls_acceptor::TlsStreamWrapper;
use mqtt5::broker::transport::BrokerTransport;
use mqtt5::broker::{BrokerConfig, ResourceMonitor};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Pause after a failed accept, which mostly means that there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How the broker treats one kind of peer.
pub(super) struct Treatment {
    pub(super) config: BrokerConfig,
    pub(super) monitor: Arc<ResourceMonitor>,
    /// Longest life of a connection.
    pub(super) lifetime: Option<Duration>,
}

/// Whom a listener expects.
pub(super) enum Audience {
    /// Holders of a certificate: bridges and nodes.
    Certified { bridge: Box<Treatment>, node: Box<Treatment> },
    /// Devices that are not yet nodes.
    Claims { claim: Box<Treatment>, open: Arc<OpenClaims> },
}

/// What all connections of a listener share.
pub(super) struct Listener {
    pub(super) fleet: FleetId,
    pub(super) tls: TlsAcceptor,
    pub(super) audience: Audience,
    pub(super) router: Arc<MessageRouter>,
    pub(super) stats: Arc<BrokerStats>,
    /// Connections that may exist at once, handshakes included.
    pub(super) connections: Arc<Semaphore>,
    pub(super) rate: Option<RateLimiter>,
    pub(super) established: Arc<Established>,
    pub(super) revocations: Arc<Revocations>,
}

/// Accepts until `stop` changes or its sender is gone, then ends the connections and returns when they have ended.
pub(super) async fn run(socket: TcpListener, mut listener: Listener, mut stop: watch::Receiver<bool>) {
    let mut rate = listener.rate.take();
    let listener = Arc::new(listener);
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            _ = stop.changed() => break,
            Some(_) = tasks.join_next() => {}
            accepted = socket.accept() => match accepted {
                Ok((stream, peer)) => {
                    let now = started.elapsed();
                    if !rate.as_mut().is_none_or(|rate| rate.admit(peer.ip(), now)) {
                        tracing::debug!(%peer, "connection refused: too many from this address or in all");
                        continue;
                    }
                    let Ok(permit) = Arc::clone(&listener.connections).try_acquire_owned() else {
                        tracing::warn!(%peer, "connection refused: the limit of connections is reached");
                        continue;
                    };
                    tasks.spawn(serve(Arc::clone(&listener), stream, peer, permit, stop.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(socket);
    let ended = async { while tasks.join_next().await.is_some() {} };
    // Each connection ends itself within the grace; twice that is only for a machine under load.
    if timeout(2 * CONNECTION_GRACE, ended).await.is_err() {
        tasks.shutdown().await;
    }
}

async fn serve(
    listener: Arc<Listener>,
    stream: TcpStream,
    peer: SocketAddr,
    permit: OwnedSemaphorePermit,
    mut stop: watch::Receiver<bool>,
) {
    let tls = tokio::select! {
        _ = stop.changed() => return,
        done = timeout(HANDSHAKE_TIMEOUT, handshake(&listener, stream)) => done,
    };
    match tls {
        Ok(Ok(tls)) => converse(&listener, tls, peer, stop).await,
        Ok(Err(error)) => tracing::info!(%peer, %error, "TLS handshake failed"),
        Err(_) => tracing::debug!(%peer, "TLS handshake timed out"),
    }
    drop(permit);
}

async fn handshake(listener: &Listener, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
    stream.set_nodelay(true)?;
    listener.tls.accept(stream).await
}

async fn converse(listener: &Listener, tls: TlsStream<TcpStream>, peer: SocketAddr, mut stop: watch::Receiver<bool>) {
    let Some((door, treatment)) = admit(listener, &tls) else {
        tracing::info!(%peer, "connection refused: the certificate's name is neither a node's nor a bridge's");
        return;
    };
    let (end, ended) = broadcast::channel(1);
    let (established, revocations) = (Arc::clone(&listener.established), Arc::clone(&listener.revocations));
    let gatekeeper = Arc::new(Gatekeeper::new(listener.fleet, door, peer, end.clone(), established, revocations));
    let mut config = treatment.config.clone();
    config.event_handler = Some(Arc::new(Events(Arc::downgrade(&gatekeeper))));
    let handler = ClientHandler::new(
        BrokerTransport::tls(TlsStreamWrapper::new(tls)),
        peer,
        Arc::new(config),
        Arc::clone(&listener.router),
        Arc::<Gatekeeper>::clone(&gatekeeper),
        None,
        Arc::clone(&listener.stats),
        Arc::clone(&treatment.monitor),
        ended,
    );
    let mut conversation = pin!(handler.run());
    let outlived = async {
        match treatment.lifetime {
            Some(lifetime) => sleep(lifetime).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        outcome = &mut conversation => {
            if let Err(error) = outcome {
                tracing::debug!(%peer, client_id = gatekeeper.client_id(), %error, "connection ended");
            }
            return;
        }
        _ = stop.changed() => {}
        () = outlived => tracing::debug!(%peer, client_id = gatekeeper.client_id(), "connection ended: its time is over"),
    }
    // Before it has said who it is there is nobody to say goodbye to, and nothing to undo.
    let Some(client_id) = gatekeeper.client_id() else { return };
    // It fails only when the connection has ended already.
    let _ended = end.send(());
    if timeout(CONNECTION_GRACE, &mut conversation).await.is_err() {
        // The peer does not read. What the handler would have undone at its end is undone here; no newer connection can
        // have taken the id: the broker is stopping, or the id is a claim's, which stays taken until the gatekeeper goes.
        listener.router.unregister_client(client_id).await;
        treatment.monitor.unregister_connection(client_id, peer.ip()).await;
    }
}

/// Who the peer is, by its certificate, and how it is treated; `None` for a name that may do nothing.
fn admit<'a>(listener: &'a Listener, tls: &TlsStream<TcpStream>) -> Option<(Door, &'a Treatment)> {
    match &listener.audience {
        Audience::Claims { claim, open } => Some((Door::Claim(Arc::clone(open)), claim)),
        Audience::Certified { bridge, node } => {
            let certificate = tls.get_ref().1.peer_certificates()?.first()?;
            let common_name = common_name(certificate).ok()?.to_owned();
            let identity = Identity::of_common_name(&common_name)?;
            let treatment = if identity == Identity::Bridge { bridge } else { node };
            Some((Door::Certificate { common_name, identity }, treatment))
        }
    }
}
