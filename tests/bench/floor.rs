//! The floor under a command's round trip: what the same machine needs for the parts that cannot be left out.
//!
//! MQTT QoS 1 there and back through the fleet's own broker over TLS, fork and exec of `/bin/true`, and one durable append on each
//! side, in the node's state folder and in the bridge's home.

use bytes::Bytes;
use flotilla_link::{BackoffLimits, BrokerAddress, Event, Publish, Settings};
use flotilla_protocol::id::ClaimId;
use flotilla_protocol::topic::Topic;
use flotilla_tests::{Fleet, clock, process};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

/// How long one echo may take before the benchmark gives up.
const LIMIT: Duration = Duration::from_secs(20);
/// Bytes of a message and of a commit: about an order, and about a record of the journal.
const PAYLOAD: [u8; 512] = [7; 512];

/// The times of the parts of one trial.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts {
    pub(crate) echo: Duration,
    pub(crate) process: Duration,
    pub(crate) commits: Duration,
}

impl Parts {
    pub(crate) fn total(self) -> Duration {
        self.echo + self.process + self.commits
    }
}

/// Two clients of the broker and two files.
pub(crate) struct Floor {
    runtime: Runtime,
    asker: Client,
    question: String,
    files: [File; 2],
    sent: u64,
}

struct Client {
    publishes: mpsc::Sender<Publish>,
    events: mpsc::Receiver<Event>,
}

impl Floor {
    /// Connects both clients.
    pub(crate) fn of(fleet: &Fleet) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime can be made");
        // Answers to claims that nobody made: nobody else of the fleet listens there.
        let topic = |number: u8| Topic::ClaimDown { fleet: fleet.id(), claim: ClaimId([number; 16]) }.to_string();
        let (question, answer) = (topic(1), topic(2));
        let asker = connect(&runtime, fleet, "flotilla-bridge-1", &answer);
        let echo = connect(&runtime, fleet, "flotilla-bridge-2", &question);
        runtime.spawn(answer_all(echo, answer));
        let node = fleet.nodes.first().expect("the fleet has a node").state();
        let files = [fleet.home().path(), node.as_path()].map(append_to);
        Self { runtime, asker, question, files, sent: 0 }
    }

    /// Measures each part once.
    pub(crate) fn trial(&mut self) -> Parts {
        let began = clock::now();
        self.echo();
        let echoed = clock::now();
        let status = process::command(Path::new("/bin/true")).status().expect("/bin/true can be run");
        assert!(status.success(), "/bin/true fails");
        let ran = clock::now();
        for file in &mut self.files {
            file.write_all(&PAYLOAD).and_then(|()| file.sync_data()).expect("the file can be written");
        }
        Parts { echo: echoed - began, process: ran - echoed, commits: ran.elapsed() }
    }

    fn echo(&mut self) {
        self.sent += 1;
        let publish = Publish { id: self.sent, topic: self.question.clone(), payload: Bytes::from_static(&PAYLOAD), retain: false };
        let Client { publishes, events } = &mut self.asker;
        let trip = async {
            publishes.send(publish).await.expect("the link lives");
            while !matches!(events.recv().await, Some(Event::Message { .. })) {}
        };
        self.runtime.block_on(async { tokio::time::timeout(LIMIT, trip).await }).expect("the echo comes in time");
    }
}

/// Sends back what arrives.
async fn answer_all(mut client: Client, topic: String) {
    let mut id = 0;
    while let Some(event) = client.events.recv().await {
        if let Event::Message { payload, .. } = event {
            id += 1;
            let publish = Publish { id, topic: topic.clone(), payload, retain: false };
            if client.publishes.send(publish).await.is_err() {
                return;
            }
        }
    }
}

fn connect(runtime: &Runtime, fleet: &Fleet, name: &str, subscription: &str) -> Client {
    let authority = fleet.home().read_authority().expect("the home has an authority");
    let certificate = authority.issue_client(name, clock::unix_ms() / 1000, 1).expect("a certificate can be issued");
    let tls =
        flotilla_link::fleet_client(authority.certificate_der(), &certificate.certificate_der, &certificate.private_key_pkcs8_der, None);
    let [_, listen, _] = fleet.addresses();
    let settings = Settings {
        address: BrokerAddress { host: listen.ip().to_string(), port: listen.port() },
        tls: tls.expect("the certificate can be used"),
        client_id: name.to_owned(),
        subscriptions: vec![subscription.to_owned()],
        will: None,
        keep_alive: Duration::from_secs(60),
        maximum_packet_bytes: 128 * 1024,
        in_flight: 16,
        backoff: BackoffLimits::default(),
    };
    let (publishes, taken) = mpsc::channel(16);
    let (given, mut events) = mpsc::channel(64);
    runtime.spawn(flotilla_link::run(settings, taken, given));
    let connected = async {
        loop {
            match events.recv().await {
                Some(Event::Connected) => return,
                Some(Event::Disconnected { reason }) => panic!("{name} is not let in: {reason}"),
                Some(_) => {}
                None => panic!("the link of {name} ended"),
            }
        }
    };
    runtime.block_on(async { tokio::time::timeout(LIMIT, connected).await }).expect("the broker answers in time");
    Client { publishes, events }
}

fn append_to(folder: &Path) -> File {
    OpenOptions::new().append(true).create(true).open(folder.join("floor")).expect("the folder can be written")
}
