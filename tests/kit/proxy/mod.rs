//! A proxy between the clients of a broker and the broker that sees MQTT packets, and does from a seed what networks and brokers do to them.
//!
//! TLS ends in it. Towards the clients it has the broker's own certificate; towards the broker it has, for each connection, a certificate
//! that the fleet's authority has issued for the name in the client's CONNECT. So neither side knows of it, and only a test can be it.
//!
//! * drop: a QoS 1 message is acknowledged and lost, as by a broker that dies (on a TCP connection nothing else can be lost alone);
//! * duplicate: it arrives twice; reorder: the next one overtakes it; delay: it and all behind it wait;
//! * cut: half of its bytes arrive, then the connection is gone; half-open: from now on nothing arrives any more in either direction, and
//!   the connection stays.

mod frame;
mod pump;

use crate::clock;
use crate::random::Random;
use flotilla_broker_bridge::device::BRIDGE_CLIENT_ID;
use flotilla_broker_bridge::platform::pki::FleetCa;
use flotilla_broker_bridge::settings::Home;
use flotilla_link::fleet_client;
use frame::Frames;
use pump::{Lane, Shared};
use rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Handshake and first packet of a client may take so long.
const FIRST_LIMIT: Duration = Duration::from_secs(20);

/// Of so many messages a [`Plan`] speaks.
pub const OUT_OF: u64 = 100_000;

/// How often each thing happens to a message, out of [`OUT_OF`].
///
/// What stops a whole connection (delay, cut, half-open) happens on the bridge's a tenth as often: all messages pass there a second time, and a
/// fleet whose bridge is away has nothing to say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Plan {
    /// Acknowledged and lost.
    pub dropped: u64,
    /// Delivered twice.
    pub duplicated: u64,
    /// Overtaken by the next one.
    pub reordered: u64,
    /// Held back, with all behind it, for up to 50 milliseconds.
    pub delayed: u64,
    /// Cut in the middle, and the connection with it.
    pub cut: u64,
    /// The last that is seen on its connection.
    pub half_open: u64,
}

/// How often each thing has happened.
#[derive(Debug, Default)]
pub struct Counts {
    /// QoS 1 messages that came in.
    pub messages: AtomicU64,
    /// Those of them to which something could happen: while the proxy was told to break things.
    pub exposed: AtomicU64,
    /// See [`Plan`].
    pub dropped: AtomicU64,
    /// See [`Plan`].
    pub duplicated: AtomicU64,
    /// See [`Plan`].
    pub reordered: AtomicU64,
    /// See [`Plan`].
    pub delayed: AtomicU64,
    /// See [`Plan`].
    pub cut: AtomicU64,
    /// See [`Plan`].
    pub half_open: AtomicU64,
    /// Connections that came up.
    pub connections: AtomicU64,
}

impl Counts {
    /// In one line.
    #[must_use]
    pub fn line(&self) -> String {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        format!(
            "messages that came to the proxy {}, {} of them while it broke things: dropped {}, duplicated {}, reordered {}, delayed {}, cut {}, half-open {}, connections {}",
            of(&self.messages),
            of(&self.exposed),
            of(&self.dropped),
            of(&self.duplicated),
            of(&self.reordered),
            of(&self.delayed),
            of(&self.cut),
            of(&self.half_open),
            of(&self.connections)
        )
    }

    /// QoS 1 messages that came in so far while the proxy broke things.
    #[must_use]
    pub fn exposed(&self) -> u64 {
        self.exposed.load(Ordering::Relaxed)
    }
}

/// The proxy; its connections end when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

impl Proxy {
    /// Listens for clients of a fleet's broker. Faults happen only after [`Proxy::set_faulty`].
    ///
    /// # Panics
    /// When the address is taken or the home cannot be read.
    #[must_use]
    pub fn start(listen: SocketAddr, home: &Home, broker: SocketAddr, plan: Plan, seed: u64) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime can be made");
        let identity = home.read_certificate("broker").expect("the home has a certificate for the broker");
        let key = PrivatePkcs8KeyDer::from(identity.private_key_pkcs8_der.to_vec());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the build has TLS")
            .with_no_client_auth()
            .with_single_cert(vec![identity.certificate_der.into()], key.into())
            .expect("the broker's certificate is good");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let authority = Arc::new(home.read_authority().expect("the home has an authority"));
        let shared =
            Arc::new(Shared { plan, counts: Counts::default(), is_faulty: AtomicBool::new(false), random: Mutex::new(Random::new(seed)) });
        let listener = runtime.block_on(TcpListener::bind(listen)).expect("the proxy's port is ours");
        drop(runtime.spawn(accept(listener, acceptor, authority, broker, Arc::clone(&shared))));
        Self { shared, runtime: Some(runtime) }
    }

    /// Begins or ends to break things.
    pub fn set_faulty(&self, is_faulty: bool) {
        self.shared.is_faulty.store(is_faulty, Ordering::Relaxed);
    }

    /// What has happened.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.shared.counts
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, authority: Arc<FleetCa>, broker: SocketAddr, shared: Arc<Shared>) {
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        let (acceptor, authority, shared) = (acceptor.clone(), Arc::clone(&authority), Arc::clone(&shared));
        drop(tokio::spawn(async move {
            // How a connection ends is no concern of the proxy's.
            let _ended = relay(client, &acceptor, &authority, broker, &shared).await;
        }));
    }
}

async fn relay(
    client: TcpStream,
    acceptor: &TlsAcceptor,
    authority: &FleetCa,
    broker: SocketAddr,
    shared: &Arc<Shared>,
) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let first = async {
        let (reader, writer) = tokio::io::split(acceptor.accept(client).await?);
        let mut frames = Frames::new(reader);
        let connect = frames.next().await?;
        Ok::<_, std::io::Error>((frames, writer, connect))
    };
    let (from_client, to_client, connect) = tokio::time::timeout(FIRST_LIMIT, first).await??;
    let name = frame::client_id(&connect).ok_or(std::io::ErrorKind::InvalidData)?;
    let identity = authority.issue_client(&name, clock::unix_ms() / 1000, 1).map_err(std::io::Error::other)?;
    let tls = fleet_client(authority.certificate_der(), &identity.certificate_der, &identity.private_key_pkcs8_der, None);
    let server = TcpStream::connect(broker).await?;
    server.set_nodelay(true)?;
    let server_name = ServerName::from(broker.ip());
    let server = TlsConnector::from(tls.map_err(std::io::Error::other)?).connect(server_name, server).await?;
    let (reader, mut to_server) = tokio::io::split(server);
    to_server.write_all(&connect).await?;
    to_server.flush().await?;
    shared.counts.connections.fetch_add(1, Ordering::Relaxed);
    let [up, down] = Lane::pair(shared, name == BRIDGE_CLIENT_ID);
    pump::run(up, down, (from_client, to_client), (Frames::new(reader), to_server)).await;
    Ok(())
}
