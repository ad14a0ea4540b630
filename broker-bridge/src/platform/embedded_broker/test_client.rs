//! A small MQTT 5 client for tests: it says exactly what a test wants, wrong things included, and shows every reason code.

use crate::platform::pki::IssuedCertificate;
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Longest wait for anything; a test that meets it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const NOT_AUTHORIZED: u8 = 0x87;
pub(crate) const CLIENT_ID_NOT_VALID: u8 = 0x85;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) retain: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Packet {
    ConnectAck { reason: u8, assigned: Vec<u8> },
    PublishAck { reason: u8 },
    SubscribeAck { reason: u8 },
    UnsubscribeAck,
    Publish(Message),
    Disconnect { reason: u8 },
    PingAck,
}

/// What a client says of itself when it connects.
#[derive(Clone, Copy)]
pub(crate) struct Hello<'a> {
    pub(crate) client_id: &'a str,
    /// Topic, payload and whether it is retained.
    pub(crate) will: Option<(&'a str, &'a str, bool)>,
    pub(crate) level: u8,
    pub(crate) keep_alive_s: u16,
}

impl<'a> Hello<'a> {
    pub(crate) fn new(client_id: &'a str) -> Self {
        Self { client_id, will: None, level: 5, keep_alive_s: 60 }
    }
}

/// The way to a listener.
pub(crate) struct Way {
    pub(crate) address: SocketAddr,
    pub(crate) authority_der: Vec<u8>,
    pub(crate) identity: Option<IssuedCertificate>,
}

impl Way {
    /// Connects; `Err` holds the reason code, or 0 when the connection broke before one came.
    pub(crate) async fn connect(&self, hello: Hello<'_>) -> Result<TestClient, u8> {
        let Ok(stream) = self.dial().await else { return Err(0) };
        let mut client = TestClient { stream, waiting: VecDeque::new() };
        if client.send(&connect_packet(hello)).await.is_err() {
            return Err(0);
        }
        match client.read().await {
            Ok(Packet::ConnectAck { reason: 0, .. }) => Ok(client),
            Ok(Packet::ConnectAck { reason, .. } | Packet::Disconnect { reason }) => Err(reason),
            Ok(other) => panic!("{other:?} instead of an answer to the connect"),
            Err(_) => Err(0),
        }
    }

    /// Only the TLS connection, without a word of MQTT.
    pub(crate) async fn dial(&self) -> io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(self.authority_der.clone())).unwrap();
        let builder = rustls::ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match &self.identity {
            Some(identity) => {
                let key = PrivatePkcs8KeyDer::from(identity.private_key_pkcs8_der.to_vec());
                let chain = vec![CertificateDer::from(identity.certificate_der.clone())];
                builder.with_client_auth_cert(chain, PrivateKeyDer::Pkcs8(key)).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("localhost").unwrap();
        timeout(PATIENCE, TlsConnector::from(Arc::new(config)).connect(name, stream)).await.unwrap()
    }
}

/// A connected client. Dropping it breaks the connection without a goodbye.
pub(crate) struct TestClient {
    stream: TlsStream<TcpStream>,
    /// Messages that came while an acknowledgement was awaited.
    waiting: VecDeque<Message>,
}

impl TestClient {
    /// Publishes with quality of service 1 and returns the reason code of the acknowledgement.
    pub(crate) async fn publish(&mut self, topic: &str, payload: &[u8], retain: bool) -> io::Result<u8> {
        self.send(&publish_packet(topic, payload, retain)).await?;
        loop {
            match self.read().await? {
                Packet::PublishAck { reason } => return Ok(reason),
                Packet::Publish(message) => self.waiting.push_back(message),
                Packet::Disconnect { reason } => return Err(io::Error::other(format!("disconnected: {reason:#x}"))),
                other => panic!("{other:?} instead of an acknowledgement"),
            }
        }
    }

    /// Subscribes to one filter and returns its reason code: 1 is granted.
    pub(crate) async fn subscribe(&mut self, filter: &str) -> u8 {
        self.ask(filter).await.unwrap()
    }

    /// The same, for a filter that may end the connection.
    pub(crate) async fn ask(&mut self, filter: &str) -> io::Result<u8> {
        self.send(&subscribe_packet(filter)).await?;
        loop {
            match self.read().await? {
                Packet::SubscribeAck { reason } => return Ok(reason),
                Packet::Publish(message) => self.waiting.push_back(message),
                Packet::Disconnect { reason } => return Err(io::Error::other(format!("disconnected: {reason:#x}"))),
                other => panic!("{other:?} instead of an acknowledgement"),
            }
        }
    }

    /// Ends the subscription to a filter.
    pub(crate) async fn unsubscribe(&mut self, filter: &str) {
        self.send(&packet(0xa2, &[&[0, 1, 0][..], &text(filter)].concat())).await.unwrap();
        loop {
            match self.read().await.unwrap() {
                Packet::UnsubscribeAck => return,
                Packet::Publish(message) => self.waiting.push_back(message),
                other => panic!("{other:?} instead of an acknowledgement"),
            }
        }
    }

    /// The next message, acknowledged.
    pub(crate) async fn message(&mut self) -> Message {
        if let Some(message) = self.waiting.pop_front() {
            return message;
        }
        match self.read().await.unwrap() {
            Packet::Publish(message) => message,
            other => panic!("{other:?} instead of a message"),
        }
    }

    /// Whether the broker answers a ping; false when it has ended the connection.
    pub(crate) async fn is_alive(&mut self) -> bool {
        if self.send(&[0xc0, 0]).await.is_err() {
            return false;
        }
        loop {
            match self.read().await {
                Ok(Packet::PingAck) => return true,
                Ok(Packet::Publish(message)) => self.waiting.push_back(message),
                Ok(_) | Err(_) => return false,
            }
        }
    }

    /// Waits until the broker ends the connection.
    pub(crate) async fn until_ended(&mut self) {
        while let Ok(packet) = self.read().await {
            if matches!(packet, Packet::Disconnect { .. }) {
                return;
            }
        }
    }

    /// Bytes as they are.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    async fn read(&mut self) -> io::Result<Packet> {
        timeout(PATIENCE, self.read_packet()).await.expect("nothing came")
    }

    async fn read_packet(&mut self) -> io::Result<Packet> {
        let head = self.stream.read_u8().await?;
        let mut length = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.stream.read_u8().await?;
            length |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await?;
        Ok(match head >> 4 {
            2 => Packet::ConnectAck { reason: body[1], assigned: body[2..].to_vec() },
            3 => {
                let name_end = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
                let topic = String::from_utf8(body[2..name_end].to_vec()).unwrap();
                let mut at = name_end;
                if head & 0b110 != 0 {
                    self.send(&[0x40, 2, body[at], body[at + 1]]).await?;
                    at += 2;
                }
                assert!(body[at] < 0x80, "the properties of a test's messages are short");
                let payload = body[at + 1 + usize::from(body[at])..].to_vec();
                Packet::Publish(Message { topic, payload, retain: head & 1 == 1 })
            }
            4 => Packet::PublishAck { reason: body.get(2).copied().unwrap_or(0) },
            9 => Packet::SubscribeAck { reason: *body.last().unwrap() },
            11 => Packet::UnsubscribeAck,
            13 => Packet::PingAck,
            14 => Packet::Disconnect { reason: body.first().copied().unwrap_or(0) },
            other => panic!("packet type {other}"),
        })
    }
}

fn text(text: &str) -> Vec<u8> {
    [&u16::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat()
}

fn packet(head: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![head];
    let mut length = body.len();
    loop {
        let low = u8::try_from(length % 128).unwrap();
        length /= 128;
        bytes.push(if length > 0 { low | 0x80 } else { low });
        if length == 0 {
            break;
        }
    }
    [&bytes, body].concat()
}

pub(crate) fn connect_packet(hello: Hello<'_>) -> Vec<u8> {
    let properties: &[u8] = if hello.level == 5 { &[0] } else { &[] };
    let mut flags = 0b10;
    let mut will = Vec::new();
    if let Some((topic, payload, retain)) = hello.will {
        flags |= 0b1100 | u8::from(retain) << 5;
        will = [properties, &text(topic), &text(payload)].concat();
    }
    let keep_alive = hello.keep_alive_s.to_be_bytes();
    let body = [&text("MQTT")[..], &[hello.level, flags], &keep_alive, properties, &text(hello.client_id), &will];
    packet(0x10, &body.concat())
}

pub(crate) fn publish_packet(topic: &str, payload: &[u8], retain: bool) -> Vec<u8> {
    packet(0x32 | u8::from(retain), &[&text(topic)[..], &[0, 1, 0], payload].concat())
}

pub(crate) fn subscribe_packet(filter: &str) -> Vec<u8> {
    packet(0x82, &[&[0, 1, 0][..], &text(filter), &[1]].concat())
}
