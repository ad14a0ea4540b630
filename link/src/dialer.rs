//! From a broker's address to a byte stream that the MQTT client library can use.
//!
//! The library is built without its own TLS (which would bring old, vulnerable certificate code). It connects to an
//! abstract Unix socket of this process instead; a [`Relay`] behind that socket copies bytes to and from the TLS
//! connection that [`dial`] has set up before. So a failure to dial is known with its cause before MQTT begins, and the
//! name, the clock and the certificates of TLS are ours to decide.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::TcpUserTimeout;
use rustls::ClientConfig;
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use thiserror::Error;
use tokio::net::{TcpStream, UnixListener, UnixStream, lookup_host};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::address::BrokerAddress;
use crate::farewell::Watched;

/// Long enough for a resolver that tries its second server.
const LOOKUP_LIMIT: Duration = Duration::from_secs(10);
/// Long enough for two lost SYNs on a slow radio link.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// A broker that signs a thousand handshakes after an outage is slow, but not slower than this.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(20);
/// Between the beginnings of the attempts at two addresses of one name: the first that answers wins, and one that is dead (often IPv6) costs
/// no more than this.
const NEXT_ADDRESS: Duration = Duration::from_millis(250);
/// How long bytes that were sent may stay without an acknowledgement by TCP before the kernel gives the connection up (TCP_USER_TIMEOUT,
/// RFC 5482). Without it that takes a quarter of an hour.
const UNACKNOWLEDGED_LIMIT: Duration = Duration::from_secs(20);
/// The client library connects within the same poll; only a stranger's connection can come in between.
const ACCEPT_LIMIT: Duration = Duration::from_secs(10);
/// A name with more addresses than this is tried at its first ones only.
const MOST_ADDRESSES: usize = 4;
/// Random bytes in the name of the abstract socket: nobody can be there first.
const SOCKET_NAME_BYTES: usize = 16;

/// Why there is no TLS connection to the broker.
#[derive(Debug, Error)]
pub(crate) enum DialError {
    #[error("the name \"{host}\" cannot be looked up")]
    Lookup { host: String, source: io::Error },
    #[error("the name \"{host}\" was not answered within {} s", LOOKUP_LIMIT.as_secs())]
    LookupTimeOut { host: String },
    #[error("the name \"{host}\" has no address")]
    NoAddress { host: String },
    #[error("no connection to {address}")]
    Connect { address: SocketAddr, source: io::Error },
    #[error("no answer from {address} within {} s", CONNECT_LIMIT.as_secs())]
    ConnectTimeOut { address: SocketAddr },
    #[error("\"{host}\" cannot be the name in a certificate")]
    Name { host: String, source: InvalidDnsNameError },
    #[error("the TLS handshake with {address} failed")]
    Handshake { address: SocketAddr, source: io::Error },
    #[error("the TLS handshake with {address} took longer than {} s", HANDSHAKE_LIMIT.as_secs())]
    HandshakeTimeOut { address: SocketAddr },
}

/// Looks the name up anew, connects to the first address of the broker that answers, and shakes hands there.
pub(crate) async fn dial(broker: &BrokerAddress, tls: &Arc<ClientConfig>) -> Result<TlsStream<TcpStream>, DialError> {
    let name = ServerName::try_from(broker.host.clone()).map_err(|source| DialError::Name { host: broker.host.clone(), source })?;
    let (address, tcp) = connect_to_any(&broker.host, look_up(broker).await?).await?;
    let handshake = TlsConnector::from(Arc::clone(tls)).connect(name, tcp);
    match timeout(HANDSHAKE_LIMIT, handshake).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(source)) => Err(DialError::Handshake { address, source }),
        Err(_) => Err(DialError::HandshakeTimeOut { address }),
    }
}

async fn look_up(broker: &BrokerAddress) -> Result<Vec<SocketAddr>, DialError> {
    let host = || broker.host.clone();
    match timeout(LOOKUP_LIMIT, lookup_host((broker.host.as_str(), broker.port))).await {
        Ok(Ok(addresses)) => Ok(addresses.take(MOST_ADDRESSES).collect()),
        Ok(Err(source)) => Err(DialError::Lookup { host: host(), source }),
        Err(_) => Err(DialError::LookupTimeOut { host: host() }),
    }
}

async fn connect_to_any(host: &str, addresses: Vec<SocketAddr>) -> Result<(SocketAddr, TcpStream), DialError> {
    let mut last = DialError::NoAddress { host: host.to_owned() };
    let mut attempts = JoinSet::new();
    for (address, place) in addresses.into_iter().zip(0_u32..) {
        drop(attempts.spawn(async move {
            sleep(NEXT_ADDRESS * place).await;
            (address, timeout(CONNECT_LIMIT, connect(address)).await)
        }));
    }
    // An attempt cannot panic. Those that are not needed any more end when the set is dropped.
    while let Some(Ok((address, attempt))) = attempts.join_next().await {
        match attempt {
            Ok(Ok(tcp)) => return Ok((address, tcp)),
            Ok(Err(source)) => last = DialError::Connect { address, source },
            Err(_) => last = DialError::ConnectTimeOut { address },
        }
    }
    Err(last)
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let tcp = TcpStream::connect(address).await?;
    // With Nagle's algorithm an acknowledgement waits for the peer's delayed one: 40 ms instead of 0.2 ms.
    tcp.set_nodelay(true)?;
    let limit_ms = u32::try_from(UNACKNOWLEDGED_LIMIT.as_millis()).unwrap_or(u32::MAX);
    if let Err(error) = setsockopt(&tcp, TcpUserTimeout, &limit_ms) {
        // The keep-alive finds a dead connection, too, only later.
        tracing::debug!(%error, "the kernel takes no limit for unacknowledged bytes");
    }
    Ok(tcp)
}

/// Copies bytes between a TLS connection and the one connection that this process makes to [`Relay::socket`].
/// Dropping it cuts both.
pub(crate) struct Relay {
    socket: String,
    copying: JoinHandle<StreamEnd>,
}

/// How the TLS connection ended.
pub(crate) struct StreamEnd {
    /// The reason code of the broker's farewell, if the client library could not read it.
    pub(crate) farewell: Option<u8>,
    /// Both directions were closed in order, or what broke them.
    pub(crate) closed: io::Result<()>,
}

impl Relay {
    /// Opens the socket and waits there for this process.
    pub(crate) fn start(tls: TlsStream<TcpStream>) -> io::Result<Self> {
        let socket = random_socket_name()?;
        let listener = UnixListener::bind(&socket)?;
        let copying = tokio::spawn(relay(listener, tls));
        Ok(Self { socket, copying })
    }

    /// The abstract socket's name, which begins with NUL.
    pub(crate) fn socket(&self) -> &str {
        &self.socket
    }

    /// Waits for the end of both directions: how the TLS connection ended, or nothing if it has not within the limit.
    pub(crate) async fn finish(mut self, limit: Duration) -> Option<StreamEnd> {
        match timeout(limit, &mut self.copying).await {
            Ok(Ok(ended)) => Some(ended),
            Ok(Err(_)) | Err(_) => None,
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.copying.abort();
    }
}

fn random_socket_name() -> io::Result<String> {
    let mut random = [0; SOCKET_NAME_BYTES];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let name = u128::from_be_bytes(random);
    Ok(format!("\0flotilla-link-{name:032x}"))
}

async fn relay(listener: UnixListener, tls: TlsStream<TcpStream>) -> StreamEnd {
    let mut tls = Watched::new(tls);
    let closed = copy(listener, &mut tls).await;
    StreamEnd { farewell: tls.watch.reason(), closed }
}

async fn copy(listener: UnixListener, tls: &mut Watched<TlsStream<TcpStream>>) -> io::Result<()> {
    let mut local = within(ACCEPT_LIMIT, accept_own(&listener)).await?;
    // Nobody else can connect from here on.
    drop(listener);
    tokio::io::copy_bidirectional(&mut local, tls).await?;
    Ok(())
}

/// Abstract sockets have no permissions and their names are public: only this very process is let in.
async fn accept_own(listener: &UnixListener) -> io::Result<UnixStream> {
    let own = i32::try_from(std::process::id()).map_err(io::Error::other)?;
    loop {
        let (stream, _) = listener.accept().await?;
        if stream.peer_cred()?.pid() == Some(own) {
            return Ok(stream);
        }
        tracing::warn!("another process connected to the socket of the link and was turned away");
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(limit, work).await.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn socket_names_are_abstract_and_never_the_same() {
        let first = random_socket_name().unwrap();
        assert!(first.starts_with('\0'));
        assert_eq!(first.len(), 1 + "flotilla-link-".len() + 2 * SOCKET_NAME_BYTES);
        assert_ne!(first, random_socket_name().unwrap());
    }

    #[tokio::test]
    async fn the_own_process_is_let_in_through_the_abstract_socket() {
        let socket = random_socket_name().unwrap();
        let listener = UnixListener::bind(&socket).unwrap();
        let (accepted, connected) = tokio::join!(accept_own(&listener), UnixStream::connect(&socket));
        accepted.unwrap();
        connected.unwrap();
    }
}
