//! Listening: sockets, TLS, and the limits of connections.

use super::stalled::Stalling;
use crate::platform::files;
use crate::platform::shutdown::Shutdown;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;

/// Most open connections; one more waits in the system's queue.
const MAXIMUM_CONNECTIONS: usize = 1024;
/// Longest wait for the headers of a request, on a connection that is kept open too.
const HEADER_TIMEOUT: Duration = Duration::from_secs(75);
/// Longest TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time in which a client takes nothing of its answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// Most headers of a request.
const MAXIMUM_HEADERS: usize = 64;
/// Most bytes of the headers of a request, and of what is buffered of its body.
const MAXIMUM_HEADER_BYTES: usize = 32 * 1024;
/// How long requests under way may take when the bridge stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait when the system gives no connection, for want of descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where a connection comes from: the client, or a proxy before us.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

/// A certificate chain and its private key, both PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, then those that lead to its authority.
    pub certificate: PathBuf,
    /// The private key, a file of mode 0600.
    pub key: PathBuf,
}

/// Why the API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Requests would travel readable through a network.
    #[error("the API on {address} needs a certificate: set api.certificate and api.key, or listen on a loopback address")]
    PlainBeyondLoopback {
        /// The address of the settings.
        address: SocketAddr,
    },
    /// The address is taken, not ours, or needs a right that we do not have.
    #[error("cannot listen on {address}; is another bridge running there? Stop it or set api.listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A file of the certificate cannot be read.
    #[error("cannot read {path}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A file holds something else.
    #[error("{path} does not hold {expected} in PEM")]
    Pem {
        /// Which file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// Certificate and key do not fit each other.
    #[error("the certificate and the key of the API cannot be used together")]
    Tls(#[source] rustls::Error),
}

/// A bound socket that does not serve yet.
pub struct Listener {
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
    address: SocketAddr,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("address", &self.address).field("tls", &self.tls.is_some()).finish()
    }
}

impl Listener {
    /// Binds the address; port 0 takes a free one.
    ///
    /// # Errors
    /// The certificate cannot be used, is missing where it is needed, or the address cannot be bound.
    pub async fn bind(address: SocketAddr, files: Option<&TlsFiles>) -> Result<Self, ServeError> {
        let tls = files.map(acceptor).transpose()?;
        if tls.is_none() && !address.ip().is_loopback() {
            return Err(ServeError::PlainBeyondLoopback { address });
        }
        let failed = |source| ServeError::Listen { address, source };
        let socket = TcpListener::bind(address).await.map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self { socket, tls, address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address as clients write it.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Serves until it is asked to stop; requests under way are finished, for ten seconds at most.
    pub async fn serve(self, router: Router, mut shutdown: Shutdown) {
        let connections = Arc::new(Semaphore::new(MAXIMUM_CONNECTIONS));
        let graceful = GracefulShutdown::new();
        loop {
            // A place first, then a connection: who comes when all places are taken waits in the system's queue.
            let accepted = tokio::select! {
                accepted = accept(&connections, &self.socket) => accepted,
                () = shutdown.requested() => break,
            };
            let (permit, stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "no connection could be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let (watcher, tls) = (graceful.watcher(), self.tls.clone());
            let router = router.clone().layer(Extension(Peer(peer.ip())));
            tokio::spawn(async move {
                let _permit = permit;
                handshake_and_serve(stream, tls, router, watcher).await;
            });
        }
        drop(self.socket);
        if tokio::time::timeout(STOP_TIMEOUT, graceful.shutdown()).await.is_err() {
            tracing::warn!("some requests did not end in time");
        }
    }
}

async fn accept(connections: &Arc<Semaphore>, socket: &TcpListener) -> std::io::Result<(OwnedSemaphorePermit, TcpStream, SocketAddr)> {
    let permit = Arc::clone(connections).acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, peer) = socket.accept().await?;
    Ok((permit, stream, peer))
}

async fn handshake_and_serve(stream: TcpStream, tls: Option<TlsAcceptor>, router: Router, watcher: hyper_util::server::graceful::Watcher) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection went before it was used");
        return;
    }
    match tls {
        None => serve_connection(stream, router, watcher).await,
        Some(acceptor) => match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => serve_connection(stream, router, watcher).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        },
    }
}

async fn serve_connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    watcher: hyper_util::server::graceful::Watcher,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_headers(MAXIMUM_HEADERS)
        .max_buf_size(MAXIMUM_HEADER_BYTES)
        .serve_connection(TokioIo::new(Stalling::new(stream, WRITE_TIMEOUT)), TowerToHyperService::new(router));
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection ended early");
    }
}

fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, ServeError> {
    let file = |path: &PathBuf| {
        let path = path.clone();
        move |source| ServeError::File { path, source }
    };
    let pem = files::read(&files.certificate).map_err(file(&files.certificate))?;
    let invalid = || ServeError::Pem { path: files.certificate.clone(), expected: "certificates" };
    let chain = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>().map_err(|_| invalid())?;
    if chain.is_empty() {
        return Err(invalid());
    }
    let pem = files::read_secret(&files.key).map_err(file(&files.key))?;
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| ServeError::Pem { path: files.key.clone(), expected: "a private key" })?;
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(ServeError::Tls)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
