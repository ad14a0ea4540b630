//! A broker, and a bridge that answers claims and listens.

use std::convert::Infallible;
use std::fs::File;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ed25519_dalek::SigningKey;
use flotilla_link::{BackoffLimits, BrokerAddress, Event, Publish, fleet_client};
use flotilla_protocol::enrolment::{Activation, ClaimBody, ClaimRefusal, ClaimReplyBody, ClaimRequest, Enrolled, claim_mac_matches};
use flotilla_protocol::envelope::{Domain, Envelope, seal};
use flotilla_protocol::id::{ActivationId, FleetId, NodeId};
use flotilla_protocol::topic::Topic;
use flotilla_protocol::trust::{Role, RoleEntry, TrustBundle, TrustKey};
use flotilla_protocol::wire::{ByteVec, decode, encode};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_ED25519, PublicKeyData, SignatureAlgorithm};
use rustls::pki_types::PrivatePkcs8KeyDer;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::timeout;

const MOSQUITTO: &str = "/usr/sbin/mosquitto";
const CODE: [u8; 20] = [4; 20];
const TIME_MS: u64 = 1_800_000_000_000;
const PATIENCE: Duration = Duration::from_secs(30);

/// What the bridge answers a claim.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    Enrol,
    Refuse(ClaimRefusal),
    /// Signed by a key that is not the bridge's.
    Forged,
    /// With a certificate for another key.
    OtherCertificate,
}

pub(crate) struct Fleet {
    broker: Child,
    // Removed when the test ends.
    _folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
    authority: Vec<u8>,
    pub(crate) root_hash: [u8; 32],
    bundle: Vec<u8>,
    nodes_port: u16,
    claims_port: u16,
    publishes: mpsc::Sender<Publish>,
    events: mpsc::Receiver<Event>,
}

struct RawKey([u8; 32]);

impl PublicKeyData for RawKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }
    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ED25519
    }
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn key_pair(key: &SigningKey) -> KeyPair {
    KeyPair::try_from(&PrivatePkcs8KeyDer::from(flotilla_agent::state::pkcs8(key))).unwrap()
}

fn bundle() -> (Vec<u8>, [u8; 32]) {
    let named = |seed, person: &str| TrustKey::new(key(seed).verifying_key().to_bytes().into(), person);
    let body = encode(&TrustBundle::beginning(
        vec![named(1, "root"), named(2, "bridge")],
        vec![RoleEntry { role: Role::Root, threshold: 1, keys: vec![0] }, RoleEntry { role: Role::Bridge, threshold: 1, keys: vec![1] }],
        Vec::new(),
    ));
    (seal(Domain::Trust, &body, &[&key(1)]), flotilla_protocol::sha256(&[&body]))
}

impl Fleet {
    /// Starts it; nothing, and a line of output, if Mosquitto is not installed.
    pub(crate) async fn start() -> Option<Self> {
        if !Path::new(MOSQUITTO).exists() {
            println!("skipped: mosquitto is not installed");
            return None;
        }
        let ca_key = key(10);
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.distinguished_name.push(DnType::CommonName, "test fleet");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = parameters.self_signed(&key_pair(&ca_key)).unwrap();
        let issuer = Issuer::new(parameters, key_pair(&ca_key));
        let (bundle, root_hash) = bundle();
        let folder = tempfile::tempdir().unwrap();
        let [nodes_port, claims_port] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
        let server = certificate(&issuer, "broker", vec!["127.0.0.1".to_owned()], key(11).verifying_key().to_bytes());
        write(folder.path(), "ca.pem", &authority.pem());
        write(folder.path(), "server.pem", &server.pem());
        write(folder.path(), "server.key", &key_pair(&key(11)).serialize_pem());
        let broker = start_broker(folder.path(), nodes_port, claims_port).await;

        let bridge = certificate(&issuer, "bridge", Vec::new(), key(12).verifying_key().to_bytes());
        let authority = authority.der().to_vec();
        let settings = flotilla_link::Settings {
            address: BrokerAddress { host: "127.0.0.1".into(), port: nodes_port },
            tls: fleet_client(&authority, bridge.der(), &flotilla_agent::state::pkcs8(&key(12)), None).unwrap(),
            client_id: "bridge".into(),
            // Of all fleets, so that claims under a wrong root are heard, too.
            subscriptions: vec!["fl/1/+/+/+/u/#".into(), "fl/1/+/+/+/s/online".into(), "fl/1/+/claim/+/u".into()],
            will: None,
            keep_alive: Duration::from_secs(60),
            maximum_packet_bytes: 128 * 1024,
            in_flight: 16,
            backoff: BackoffLimits::default(),
        };
        let (publishes, to_publish) = mpsc::channel(16);
        let (to_handle, events) = mpsc::channel(16);
        tokio::spawn(flotilla_link::run(settings, to_publish, to_handle));
        let mut fleet = Self { broker, _folder: folder, issuer, authority, root_hash, bundle, nodes_port, claims_port, publishes, events };
        assert_eq!(fleet.next_event().await, Event::Connected);
        Some(fleet)
    }

    pub(crate) fn id(&self) -> FleetId {
        FleetId::of_root_hash(&self.root_hash)
    }

    /// Where nodes connect.
    pub(crate) fn nodes_port(&self) -> u16 {
        self.nodes_port
    }

    /// Kills the broker.
    pub(crate) fn stop_broker(&mut self) {
        self.broker.kill().unwrap();
        self.broker.wait().unwrap();
    }

    pub(crate) fn activation(&self, root_hash: [u8; 32]) -> String {
        Activation { id: ActivationId([3; 16]), code: CODE, host: "127.0.0.1".into(), port: self.claims_port, root_hash }.to_text()
    }

    /// Answers every claim, until dropped.
    pub(crate) async fn answer_claims(&mut self, answer: Answer) -> Infallible {
        loop {
            let Ok(Some(Event::Message { topic, payload, .. })) = timeout(PATIENCE, self.events.recv()).await else { continue };
            if let Ok(Topic::ClaimUp { fleet, claim }) = topic.parse() {
                let reply = self.reply(&payload, answer);
                let topic = Topic::ClaimDown { fleet, claim }.to_string();
                self.publishes.send(Publish { id: 0, topic, payload: reply.into(), retain: false }).await.unwrap();
            }
        }
    }

    fn reply(&self, claim: &[u8], answer: Answer) -> Vec<u8> {
        let envelope = Envelope::parse(claim, Domain::Claim).unwrap();
        let body: ClaimBody = decode(envelope.body()).unwrap();
        assert!(claim_mac_matches(&CODE, &body));
        let request: ClaimRequest = decode(&body.request).unwrap();
        let node = NodeId::of_key(&request.identity_key);
        let certified = if matches!(answer, Answer::OtherCertificate) { key(13).verifying_key().to_bytes() } else { request.tls_key };
        let outcome = match answer {
            Answer::Refuse(refusal) => Err(refusal),
            _ => Ok(Enrolled {
                authority: self.authority.clone(),
                certificate: certificate(&self.issuer, &node.to_string(), Vec::new(), certified).der().to_vec(),
                host: "127.0.0.1".into(),
                port: self.nodes_port,
                time_ms: TIME_MS,
            }),
        };
        let reply = ClaimReplyBody { nonce: request.nonce, bundles: vec![ByteVec(self.bundle.clone())], outcome };
        let signer = if matches!(answer, Answer::Forged) { key(3) } else { key(2) };
        seal(Domain::ClaimReply, &encode(&reply), &[&signer])
    }

    /// The next message on a topic; others are passed over.
    pub(crate) async fn next_on(&mut self, wanted: Topic) -> Vec<u8> {
        loop {
            if let Event::Message { topic, payload, .. } = self.next_event().await
                && topic.parse() == Ok(wanted)
            {
                return payload.to_vec();
            }
        }
    }

    async fn next_event(&mut self) -> Event {
        timeout(PATIENCE, self.events.recv()).await.unwrap().unwrap()
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if self.broker.kill().is_ok() {
            drop(self.broker.wait());
        }
    }
}

fn certificate(issuer: &Issuer<'static, KeyPair>, name: &str, names: Vec<String>, public_key: [u8; 32]) -> rcgen::Certificate {
    let mut parameters = CertificateParams::new(names).unwrap();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.signed_by(&RawKey(public_key), issuer).unwrap()
}

fn write(folder: &Path, name: &str, text: &str) {
    File::create(folder.join(name)).unwrap().write_all(text.as_bytes()).unwrap();
}

#[expect(clippy::disallowed_methods, reason = "the broker is a child of the test")]
async fn start_broker(folder: &Path, nodes_port: u16, claims_port: u16) -> Child {
    let place = folder.display();
    let tls = format!("cafile {place}/ca.pem\ncertfile {place}/server.pem\nkeyfile {place}/server.key\n");
    write(
        folder,
        "mosquitto.conf",
        &format!(
            "per_listener_settings true\nuser root\npersistence false\nset_tcp_nodelay true\n\
             listener {nodes_port} 127.0.0.1\n{tls}require_certificate true\nuse_identity_as_username true\n\
             listener {claims_port} 127.0.0.1\n{tls}allow_anonymous true\n"
        ),
    );
    let log = File::create(folder.join("log")).unwrap();
    let child =
        Command::new(MOSQUITTO).arg("-c").arg(folder.join("mosquitto.conf")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
    let child = child.unwrap();
    for port in [nodes_port, claims_port] {
        for _ in 0..500 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    child
}
