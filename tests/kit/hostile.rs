//! A hostile broker: a client that Mosquitto lets do anything, and orders as only a thief of the operator's key could make them.

use crate::broker::HOSTILE;
use crate::clock;
use crate::fleet::Fleet;
use bytes::Bytes;
use ed25519_dalek::SigningKey;
use flotilla_link::{BackoffLimits, BrokerAddress, Event, Publish, Settings};
use flotilla_protocol::capability::OrderPayload;
use flotilla_protocol::capability::command::CommandOrder;
use flotilla_protocol::delivery::Delivery;
use flotilla_protocol::document::{Action, Plan, RunShellScript, Step, Template};
use flotilla_protocol::envelope::{Domain, seal};
use flotilla_protocol::id::{NodeId, OrderId};
use flotilla_protocol::order::{OnCrash, OrderBody, Targets};
use flotilla_protocol::target;
use flotilla_protocol::topic::{DownKind, Topic};
use flotilla_protocol::wire::encode;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

/// How long the broker may take for anything.
const LIMIT: Duration = Duration::from_secs(20);

/// How long a node may take to say what it is waited for: it may have to connect again.
const PATIENCE: Duration = Duration::from_secs(60);

/// A client of the fleet's Mosquitto that sees every message and may publish anything, as its owner could.
#[derive(Debug)]
pub struct HostileBroker {
    runtime: Runtime,
    publishes: mpsc::Sender<Publish>,
    events: mpsc::Receiver<Event>,
    seen: Vec<(String, Vec<u8>)>,
    next_id: u64,
}

impl HostileBroker {
    /// Connects to the fleet's Mosquitto.
    ///
    /// # Panics
    /// When it does not get in.
    #[must_use]
    pub fn of(fleet: &Fleet) -> Self {
        let authority = fleet.home().read_authority().expect("the home has an authority");
        let certificate = authority.issue_client(HOSTILE, clock::unix_ms() / 1000, 1).expect("a certificate can be issued");
        let [_, listen, _] = fleet.addresses();
        let key = &certificate.private_key_pkcs8_der;
        let tls = flotilla_link::fleet_client(authority.certificate_der(), &certificate.certificate_der, key, None);
        let settings = Settings {
            address: BrokerAddress { host: listen.ip().to_string(), port: listen.port() },
            tls: tls.expect("the certificate can be used"),
            client_id: HOSTILE.to_owned(),
            subscriptions: vec!["#".to_owned()],
            will: None,
            keep_alive: Duration::from_secs(5),
            maximum_packet_bytes: 256 * 1024,
            in_flight: 16,
            backoff: BackoffLimits::default(),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime can be made");
        let (publishes, taken) = mpsc::channel(16);
        let (given, events) = mpsc::channel(1024);
        drop(runtime.spawn(flotilla_link::run(settings, taken, given)));
        let mut broker = Self { runtime, publishes, events, seen: Vec::new(), next_id: 0 };
        broker.until(|event| matches!(event, Event::Connected));
        broker
    }

    fn until(&mut self, wanted: impl Fn(&Event) -> bool) {
        let deadline = clock::now() + LIMIT;
        loop {
            let left = deadline.saturating_duration_since(clock::now());
            let event = self.runtime.block_on(async { tokio::time::timeout(left, self.events.recv()).await });
            let event = event.expect("the broker answers in time").expect("the link lives as long as we do");
            if let Event::Message { topic, payload, .. } = &event {
                self.seen.push((topic.clone(), payload.to_vec()));
            }
            if wanted(&event) {
                return;
            }
            assert!(!matches!(event, Event::Refused { .. }), "the broker refused: {event:?}");
        }
    }

    /// Publishes a message and waits until Mosquitto has it.
    ///
    /// # Panics
    /// When it does not take it.
    pub fn publish(&mut self, topic: &str, payload: &[u8], retain: bool) {
        self.next_id += 1;
        let id = self.next_id;
        let publish = Publish { id, topic: topic.to_owned(), payload: Bytes::copy_from_slice(payload), retain };
        self.runtime.block_on(self.publishes.send(publish)).expect("the link lives as long as we do");
        self.until(|event| matches!(event, Event::Acknowledged { id: acknowledged } if *acknowledged == id));
    }

    /// Waits for a message on a topic for which `wanted` holds, that was or will be published; returns the topic and the bytes.
    pub fn captured(&mut self, wanted: impl Fn(&str) -> bool) -> (String, Vec<u8>) {
        if !self.seen.iter().any(|(topic, _)| wanted(topic)) {
            self.until(|event| matches!(event, Event::Message { topic, .. } if wanted(topic)));
        }
        self.seen.iter().find(|(topic, _)| wanted(topic)).cloned().expect("it was just seen")
    }
}

impl HostileBroker {
    /// How many messages were seen so far: where [`HostileBroker::after`] begins.
    #[must_use]
    pub fn seen(&self) -> usize {
        self.seen.len()
    }

    /// Takes up what has come and is not looked at yet, and returns everything that was seen.
    pub fn everything(&mut self) -> &[(String, Vec<u8>)] {
        while let Ok(event) = self.events.try_recv() {
            if let Event::Message { topic, payload, .. } = event {
                self.seen.push((topic, payload.to_vec()));
            }
        }
        &self.seen
    }

    /// Waits for the first message behind so many of which `pick` makes something.
    ///
    /// # Panics
    /// When none comes.
    pub fn after<T>(&mut self, seen: usize, what: &str, mut pick: impl FnMut(&str, &[u8]) -> Option<T>) -> T {
        let mut next = seen;
        crate::wait::until(PATIENCE, what, || {
            let all = self.everything();
            let found = all.get(next..).unwrap_or_default().iter().find_map(|(topic, payload)| pick(topic, payload));
            next = all.len();
            found
        })
    }
}

/// The topic of a node's orders.
///
/// # Panics
/// When `node` is no node's id.
#[must_use]
pub fn order_topic(fleet: &Fleet, node: &str) -> String {
    let node: NodeId = node.parse().expect("a node's id");
    Topic::Down { fleet: fleet.id(), node, kind: DownKind::Order }.to_string()
}

/// An order that can be spoilt before it is signed.
#[derive(Debug, Clone)]
pub struct Forgery {
    /// The body as the bridge would make it.
    pub body: OrderBody,
    /// The identity key of the node that it is for.
    pub identity_key: [u8; 32],
    /// Who signs.
    pub signer: SigningKey,
}

impl Forgery {
    /// A good order to run `script` on a node: signed by the operator's key, for this node, in time. It would be run.
    ///
    /// # Panics
    /// When the home or the node's state cannot be read.
    #[must_use]
    pub fn good(fleet: &Fleet, node_index: usize, script: &str) -> Self {
        let seed = std::fs::read(fleet.home().key("operator")).expect("the home has the operator's key");
        let seed = <[u8; 32]>::try_from(seed.as_slice()).expect("a seed has 32 bytes");
        Self::signed_by(fleet, node_index, script, SigningKey::from_bytes(&seed))
    }

    /// The same, signed by any key.
    ///
    /// # Panics
    /// When the node's state cannot be read.
    #[must_use]
    pub fn signed_by(fleet: &Fleet, node_index: usize, script: &str, signer: SigningKey) -> Self {
        let identity_key = identity_key(fleet, node_index);
        let now_ms = clock::unix_ms();
        let mut id = [0; 16];
        id.copy_from_slice(flotilla_protocol::sha256(&[script.as_bytes(), &now_ms.to_le_bytes()]).get(..16).expect("32 bytes hold 16"));
        let action = Action::RunShellScript(RunShellScript {
            run_command: vec![Template::text(script)],
            working_directory: None,
            environment: std::collections::BTreeMap::new(),
            timeout_s: 60,
        });
        let plan = Plan { steps: vec![Step::new("forged", &action)] };
        let command = CommandOrder { document: "forged".to_owned(), document_version: "1".to_owned(), parameters: Vec::new(), plan };
        let body = OrderBody {
            id: OrderId(id),
            fleet: fleet.id(),
            targets: targets_of(&identity_key),
            requester: "thief".to_owned(),
            lane: 0,
            sequence: 0,
            epoch: 0,
            not_before_ms: now_ms.saturating_sub(1000),
            not_after_ms: now_ms + 3_600_000,
            minimum_trust_version: 1,
            on_crash: OnCrash::Never,
            payload: OrderPayload::Command(command).encode(),
        };
        Self { body, identity_key, signer }
    }

    /// The delivery as it is published.
    #[must_use]
    pub fn delivery(&self) -> Vec<u8> {
        self.delivery_of(Domain::Order)
    }

    /// The delivery, signed for another domain.
    #[must_use]
    pub fn delivery_of(&self, domain: Domain) -> Vec<u8> {
        let envelope = seal(domain, &encode(&self.body), &[&self.signer]);
        encode(&Delivery { envelope, index: 0, proof: Vec::new(), node_data: Vec::new() })
    }
}

/// The frozen targets of an order for one node.
#[must_use]
pub fn targets_of(identity_key: &[u8; 32]) -> Targets {
    Targets { count: 1, root: target::leaf(identity_key, b"") }
}

/// The public identity key of a node, from its state folder.
///
/// # Panics
/// When it cannot be read.
#[must_use]
pub fn identity_key(fleet: &Fleet, node_index: usize) -> [u8; 32] {
    let node = fleet.nodes.get(node_index).expect("the fleet has this node");
    let seed = std::fs::read(node.state().join("exec/identity.key")).expect("the node is registered");
    let seed = <[u8; 32]>::try_from(seed.as_slice()).expect("a seed has 32 bytes");
    SigningKey::from_bytes(&seed).verifying_key().to_bytes()
}
