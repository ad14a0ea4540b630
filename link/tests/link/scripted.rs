//! A broker that says exactly what a test wants: TLS without client certificates, and raw MQTT packets.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::certificates::Authority;
use crate::harness::within;

pub(crate) const CONNECT: u8 = 1;
pub(crate) const PUBLISH: u8 = 3;
pub(crate) const PUBACK: u8 = 4;
pub(crate) const SUBSCRIBE: u8 = 8;
pub(crate) const PINGREQ: u8 = 12;
pub(crate) const DISCONNECT: u8 = 14;

/// CONNACK: success, no properties.
pub(crate) const WELCOME: &[u8] = &[0x20, 3, 0, 0, 0];
/// SUBACK of packet 1: QoS 1 granted.
pub(crate) const GRANTED: &[u8] = &[0x90, 4, 0, 1, 0, 1];

pub(crate) struct ScriptedBroker {
    /// Nothing while it is closed.
    listener: Option<TcpListener>,
    acceptor: TlsAcceptor,
    pub(crate) authority: Authority,
    pub(crate) port: u16,
}

/// One connection of a client.
pub(crate) struct Session(TlsStream<TcpStream>);

impl ScriptedBroker {
    pub(crate) async fn start() -> Self {
        let authority = Authority::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = TlsAcceptor::from(Arc::clone(&authority.server_config()));
        Self { listener: Some(listener), acceptor, authority, port }
    }

    pub(crate) async fn accept(&self) -> Session {
        let (tcp, _) = within("a connection", self.listener().accept()).await.unwrap();
        self.shake_hands(tcp).await
    }

    async fn shake_hands(&self, tcp: TcpStream) -> Session {
        tcp.set_nodelay(true).unwrap();
        Session(within("a handshake", self.acceptor.accept(tcp)).await.unwrap())
    }

    fn listener(&self) -> &TcpListener {
        self.listener.as_ref().expect("the broker is open")
    }

    /// Nobody can connect any more.
    pub(crate) fn close(&mut self) {
        self.listener = None;
    }

    /// Listens again on the same port.
    pub(crate) async fn open_again(&mut self) {
        self.listener = Some(TcpListener::bind(("127.0.0.1", self.port)).await.unwrap());
    }

    /// As [`Self::accept_with`], without a limit for the first step.
    pub(crate) async fn accept_patiently(&self, welcome: &[u8], granted: &[u8]) -> Session {
        let (tcp, _) = self.listener().accept().await.unwrap();
        let mut session = self.shake_hands(tcp).await;
        session.welcome(welcome, granted).await;
        session
    }

    /// Accepts a connection and lets its handshake fail.
    pub(crate) async fn accept_and_fail(&self) {
        let (tcp, _) = within("a connection", self.listener().accept()).await.unwrap();
        assert!(within("a handshake", self.acceptor.accept(tcp)).await.is_err());
    }

    /// Accepts a connection and answers CONNECT and SUBSCRIBE with these packets.
    pub(crate) async fn accept_with(&self, welcome: &[u8], granted: &[u8]) -> Session {
        let mut session = self.accept().await;
        session.welcome(welcome, granted).await;
        session
    }
}

impl Session {
    async fn welcome(&mut self, welcome: &[u8], granted: &[u8]) {
        self.expect(CONNECT).await;
        self.send(welcome).await;
        self.expect(SUBSCRIBE).await;
        self.send(granted).await;
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// The next packet: its type and what follows the fixed header.
    pub(crate) async fn packet(&mut self) -> (u8, Vec<u8>) {
        within("a packet", async {
            let first = self.0.read_u8().await.unwrap();
            let (mut length, mut shift) = (0_usize, 0);
            loop {
                let byte = self.0.read_u8().await.unwrap();
                length |= usize::from(byte & 0x7f) << shift;
                shift += 7;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            let mut rest = vec![0; length];
            self.0.read_exact(&mut rest).await.unwrap();
            (first >> 4, rest)
        })
        .await
    }

    /// The next packet, which must be of this type.
    pub(crate) async fn expect(&mut self, kind: u8) -> Vec<u8> {
        let (found, rest) = self.packet().await;
        assert_eq!(found, kind, "{rest:?}");
        rest
    }
}
