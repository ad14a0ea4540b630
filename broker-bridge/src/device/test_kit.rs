//! A fleet in a temporary folder without a broker, and nodes that sign like real ones.

use super::router::Router;
use crate::clock::Clock;
use crate::fleet::activation::claim::Enrolment;
use crate::fleet::node::store::{Registration, register};
use crate::fleet::pace::Pace;
use crate::fleet::signer::Signer;
use crate::fleet::webhook::Webhooks;
use crate::fleet::{Fleet, FleetSettings, Nudges};
use crate::platform::http::{Access, Caller, SignedLinks};
use crate::platform::ingest::take_batch;
use crate::platform::mqtt::{Arrival, Inbound, Publisher};
use crate::platform::pki::{Authorities, FleetCa};
use crate::platform::seal::Sealer;
use crate::platform::store::Store;
use crate::randomness::Randomness;
use crate::schema::MIGRATIONS;
use ed25519_dalek::SigningKey;
use flotilla_link::Publish;
use flotilla_protocol::capability::ReportPayload;
use flotilla_protocol::envelope::{Domain, Envelope, seal};
use flotilla_protocol::hello::{Facts, Held, HelloBody};
use flotilla_protocol::id::{BootId, NodeId, OrderId};
use flotilla_protocol::report::{Gap, OutputBody, OutputStream, ReceiptBody, ReportBody, Stream};
use flotilla_protocol::secret::SealingKey;
use flotilla_protocol::topic::{DownKind, Topic, UpKind};
use flotilla_protocol::wire::{decode, encode};
use std::sync::Arc;
use tokio::sync::mpsc;

/// 21 November 2026.
pub(crate) const NOW_MS: u64 = 1_795_219_200_000;

pub(crate) struct Kit {
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) router: Router,
    pub(crate) clock: Clock,
    sent: mpsc::Receiver<Publish>,
    _sender: mpsc::Sender<Publish>,
    pub(crate) folder: tempfile::TempDir,
}

impl Kit {
    pub(crate) async fn new() -> Self {
        Self::at(crate::fleet::signer::tests::write_home).await
    }

    /// A fleet whose home this writes.
    pub(crate) async fn at(write_home: impl FnOnce(&std::path::Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_home(folder.path());
        let clock = Clock::fixed(NOW_MS);
        let signer = Signer::load(folder.path(), NOW_MS).unwrap();
        let (sender, sent) = mpsc::channel(4096);
        let store = Store::open(&folder.path().join("fleet.db"), MIGRATIONS).await.unwrap();
        store.audit().sign_with(signer.heads());
        let settings = FleetSettings {
            fleet: signer.fleet(),
            name: "test".into(),
            region: "local-1".into(),
            broker_host: "broker.example".into(),
            broker_port: 8883,
            claim_host: "broker.example".into(),
            claim_port: 8884,
            pace: Pace::default(),
            longest_activation_ms: 30 * 86_400_000,
            retention_ms: 90 * 86_400_000,
        };
        let fleet = Arc::new(Fleet {
            store,
            clock: clock.clone(),
            randomness: Randomness::system(),
            sealer: Sealer::new(&[7; 32]),
            settings,
            signer: Arc::new(signer),
            nudge: Nudges::default(),
            publisher: Publisher::into_channel(&sender),
            revocations: Arc::default(),
            webhooks: Webhooks::default(),
            links: SignedLinks::new(&Sealer::new(&[7; 32]), None, false),
        });
        let authority = FleetCa::create("test", NOW_MS / 1000).unwrap();
        let router =
            Router::new(Arc::clone(&fleet), Enrolment::new(Authorities::one(authority), "broker.example".into(), 8883, 365 * 86_400));
        Self { fleet, router, clock, sent, _sender: sender, folder }
    }

    pub(crate) fn caller() -> Caller {
        Caller { user: "tester".into(), access: Access::Admin, host: "127.0.0.1:8474".into(), call: None }
    }

    /// A registered node, which is offline.
    pub(crate) async fn node(&self, seed: u8) -> SimulatedNode {
        let node = SimulatedNode::new(seed);
        let identity_key = node.key.verifying_key().to_bytes();
        let registration = Registration {
            node: node.id,
            identity_key,
            sealing_key: sealing_key(seed).public(),
            tls_key: [0; 32],
            activation_id: "",
            name: None,
            iam_role: "role",
            facts: &Facts::default(),
        };
        let mut write = self.fleet.store.write().await.unwrap();
        register(&mut write, &registration, NOW_MS).await.unwrap();
        write.commit().await.unwrap();
        node
    }

    /// A registered node that has said hello.
    pub(crate) async fn online_node(&self, seed: u8) -> SimulatedNode {
        let node = self.node(seed).await;
        self.take([node.hello(&[])]).await;
        node
    }

    /// Takes messages up as one batch.
    pub(crate) async fn take(&self, messages: impl IntoIterator<Item = (Topic, Vec<u8>)>) {
        let batch: Vec<Arrival> = messages
            .into_iter()
            .map(|(topic, payload)| Arrival::Message(Inbound { topic: self.of_fleet(topic), payload: payload.into() }))
            .collect();
        self.take_arrivals(&batch).await;
    }

    pub(crate) async fn take_arrivals(&self, batch: &[Arrival]) {
        drop(take_batch(&self.fleet.store, &self.clock, &self.router, &self.fleet.publisher, batch).await);
    }

    fn of_fleet(&self, topic: Topic) -> Topic {
        let fleet = self.fleet.settings.fleet;
        match topic {
            Topic::Up { node, kind, .. } => Topic::Up { fleet, node, kind },
            Topic::Online { node, .. } => Topic::Online { fleet, node },
            Topic::ClaimUp { claim, .. } => Topic::ClaimUp { fleet, claim },
            other => other,
        }
    }

    /// The home of its keys and trust.
    pub(crate) fn home(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub(crate) fn write_secret(&self, name: &str, bytes: &[u8]) {
        crate::platform::files::create_secret(&self.home().join(name), bytes).unwrap();
    }

    /// From now on every attempt to publish fails, though the bridge counts as connected.
    pub(crate) fn refuse_publishes(&mut self) {
        self.sent.close();
    }

    /// What was published since the last call.
    pub(crate) fn published(&mut self) -> Vec<(Topic, Vec<u8>)> {
        let mut published = Vec::new();
        while let Ok(publish) = self.sent.try_recv() {
            published.push((publish.topic.parse().unwrap(), publish.payload.to_vec()));
        }
        published
    }

    /// The published messages of one kind to one node.
    pub(crate) fn published_to(&mut self, node: NodeId, wanted: DownKind) -> Vec<Vec<u8>> {
        let to_node = |topic: &Topic| matches!(topic, Topic::Down { node: to, kind, .. } if *to == node && *kind == wanted);
        self.published().into_iter().filter(|(topic, _)| to_node(topic)).map(|(_, payload)| payload).collect()
    }

    /// The sequences up to which receipts were published to a node.
    pub(crate) fn receipts(&mut self, node: NodeId) -> Vec<u64> {
        let payloads = self.published_to(node, DownKind::Receipt);
        let read = |payload: &Vec<u8>| {
            let envelope = Envelope::parse(payload, Domain::Receipt).unwrap();
            decode::<ReceiptBody>(envelope.body()).unwrap().up_to
        };
        payloads.iter().map(read).collect()
    }

    /// The node's sealing key becomes one that nothing can be sealed to.
    pub(crate) async fn weaken_sealing_key(&self, node: NodeId) {
        let mut write = self.fleet.store.write().await.unwrap();
        let weak = sqlx::query("UPDATE node SET sealing_key = $2 WHERE node_id = $1").bind(node.to_string()).bind([0_u8; 32].as_slice());
        weak.execute(write.connection()).await.unwrap();
        write.commit().await.unwrap();
    }

    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(self.fleet.store.reader()).await.unwrap()
    }
}

/// The X25519 secret of a node.
pub(crate) fn sealing_key(seed: u8) -> SealingKey {
    SealingKey::new([seed; 32])
}

/// A node with its key and its chain of reports.
#[derive(Clone)]
pub(crate) struct SimulatedNode {
    pub(crate) id: NodeId,
    pub(crate) key: SigningKey,
    pub(crate) stream: Stream,
    pub(crate) sequence: u64,
    pub(crate) previous: [u8; 32],
    pub(crate) oldest_held: u64,
    /// What its hellos say of the chain.
    pub(crate) control: Held,
    pub(crate) droppable: Vec<(Stream, Held)>,
}

impl SimulatedNode {
    pub(crate) fn new(seed: u8) -> Self {
        let key = SigningKey::from_bytes(&[seed; 32]);
        let id = NodeId::of_key(&key.verifying_key().to_bytes());
        Self {
            id,
            key,
            stream: Stream::Control,
            sequence: 0,
            previous: [0; 32],
            oldest_held: 1,
            control: Held { oldest: 1, before: [0; 32], next: 1 },
            droppable: Vec::new(),
        }
    }

    fn topic(&self, kind: UpKind) -> Topic {
        Topic::Up { fleet: flotilla_protocol::id::FleetId([0; 8]), node: self.id, kind }
    }

    pub(crate) fn hello(&self, held: &[OrderId]) -> (Topic, Vec<u8>) {
        self.hello_saying(held, 1)
    }

    /// A hello of a node that goes by this version of trust.
    pub(crate) fn hello_of(&self, trust_version: u32) -> (Topic, Vec<u8>) {
        self.hello_saying(&[], trust_version)
    }

    fn hello_saying(&self, held: &[OrderId], trust_version: u32) -> (Topic, Vec<u8>) {
        let body = HelloBody {
            node: self.id,
            boot: BootId([1; 16]),
            nonce: [9; 32],
            oldest_version: 0,
            newest_version: 0,
            trust_version,
            floor_ms: 0,
            held: held.to_vec(),
            control: self.control,
            droppable: self.droppable.clone(),
            facts: Facts { agent_version: "0.1.0".into(), platform_name: "Debian".into(), ..Facts::default() },
            refused: Vec::new(),
        };
        (self.topic(UpKind::Hello), seal(Domain::Hello, &encode(&body), &[&self.key]))
    }

    /// The next report of the chain.
    pub(crate) fn report(&mut self, payload: &ReportPayload) -> (Topic, Vec<u8>) {
        self.raw_report(payload.encode())
    }

    pub(crate) fn raw_report(&mut self, payload: flotilla_protocol::wire::Payload) -> (Topic, Vec<u8>) {
        self.sequence += 1;
        let body = encode(&ReportBody {
            node: self.id,
            stream: self.stream,
            boot: BootId([1; 16]),
            sequence: self.sequence,
            previous: self.previous,
            oldest_held: self.oldest_held,
            time_ms: None,
            payload,
        });
        self.previous = flotilla_protocol::sha256(&[&body]);
        (self.topic(UpKind::Report), seal(Domain::Report, &body, &[&self.key]))
    }

    /// The next `count` reports are dropped: the gap in their place.
    pub(crate) fn gap(&mut self, count: u64) -> (Topic, Vec<u8>) {
        let (from, before) = (self.sequence + 1, self.previous);
        (0..count).for_each(|_| drop(self.report(&ReportPayload::Unsupported(999))));
        let (head, oldest_held) = (std::mem::replace(&mut self.previous, before), std::mem::replace(&mut self.oldest_held, from));
        self.sequence -= 1;
        let gap = self.report(&ReportPayload::Gap(Gap { from, head }));
        (self.previous, self.oldest_held) = (head, oldest_held);
        gap
    }

    pub(crate) fn output(&self, order: OrderId, stream: OutputStream, offset: u64, bytes: &[u8]) -> (Topic, Vec<u8>) {
        self.output_of_step(order, 0, stream, offset, bytes)
    }

    pub(crate) fn output_of_step(&self, order: OrderId, step: u16, stream: OutputStream, offset: u64, bytes: &[u8]) -> (Topic, Vec<u8>) {
        let body = OutputBody { node: self.id, order, step, stream, offset, bytes: bytes.to_vec() };
        (self.topic(UpKind::Output), seal(Domain::Output, &encode(&body), &[&self.key]))
    }
}
