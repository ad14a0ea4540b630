//! The whole device half on a real embedded broker: a device enrols, connects, gets an order and answers it.

use super::test_kit::SimulatedNode;
use super::{Device, Listeners};
use crate::capability;
use crate::clock::Clock;
use crate::command::init::{InitOptions, init};
use crate::fleet::activation::claim::tests::sealed_claim;
use crate::fleet::{self, Fleet};
use crate::platform::http::{Api, Listener, Registry};
use crate::platform::mqtt::ConnectionEnd;
use crate::platform::shutdown::{ShutdownSwitch, shutdown};
use crate::settings::Settings;
use ed25519_dalek::SigningKey;
use flotilla_api::Operation;
use flotilla_api::client::{CallError, Client as ApiClient, ClientSettings};
use flotilla_api::commands::{GetCommandInvocationRequest, SendCommandRequest};
use flotilla_api::nodes::{DeregisterManagedInstanceRequest, DescribeInstanceInformationRequest};
use flotilla_link::{BackoffLimits, BrokerAddress, Event, Publish};
use flotilla_protocol::capability::ReportPayload;
use flotilla_protocol::capability::command::{Captured, CommandResult, StepResult};
use flotilla_protocol::delivery::Delivery;
use flotilla_protocol::enrolment::{Activation, ClaimReplyBody};
use flotilla_protocol::envelope::{Domain, Envelope};
use flotilla_protocol::id::ClaimId;
use flotilla_protocol::order::OrderBody;
use flotilla_protocol::status::{Admission, Outcome, StepStatus};
use flotilla_protocol::topic::{DownKind, Topic, UpKind, node_filters};
use flotilla_protocol::wire::decode;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

const PATIENCE: Duration = Duration::from_secs(20);

/// A link of a device, with the messages that it gets.
struct Client {
    publishes: mpsc::Sender<Publish>,
    events: mpsc::Receiver<Event>,
    link: tokio::task::JoinHandle<flotilla_link::StopReason>,
}

impl Client {
    fn start(port: u16, tls: Arc<rustls::ClientConfig>, client_id: String, subscriptions: Vec<String>) -> Self {
        let (publishes, queue) = mpsc::channel(64);
        let (happened, events) = mpsc::channel(64);
        let settings = flotilla_link::Settings {
            address: BrokerAddress { host: "127.0.0.1".into(), port },
            tls,
            client_id,
            subscriptions,
            will: None,
            keep_alive: Duration::from_secs(30),
            maximum_packet_bytes: 128 * 1024,
            in_flight: 16,
            backoff: BackoffLimits { minimum: Duration::from_millis(50), maximum: Duration::from_millis(200) },
        };
        Self { publishes, events, link: tokio::spawn(flotilla_link::run(settings, queue, happened)) }
    }

    async fn publish(&self, topic: Topic, payload: Vec<u8>) {
        let publish = Publish { id: 1, topic: topic.to_string(), payload: payload.into(), retain: false };
        self.publishes.send(publish).await.unwrap();
    }

    /// The next message of the wanted kind; others are passed over.
    async fn message(&mut self, wanted: impl Fn(&Topic) -> bool) -> Vec<u8> {
        let found = async {
            loop {
                match self.events.recv().await.unwrap() {
                    Event::Message { topic, payload, .. } if wanted(&topic.parse().unwrap()) => return payload.to_vec(),
                    Event::Disconnected { reason } => panic!("{reason}"),
                    _ => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap()
    }

    async fn stop(self) {
        drop(self.publishes);
        self.link.await.unwrap();
    }
}

/// A whole bridge: the device half with its broker, and the API over HTTP.
struct Bridge {
    fleet: Arc<Fleet>,
    device: Device,
    listeners: Listeners,
    client: Arc<ApiClient>,
    api: tokio::task::JoinHandle<()>,
    switch: ShutdownSwitch,
}

impl Bridge {
    async fn start(folder: &std::path::Path) -> Self {
        let home = folder.join("home");
        // Ports of the settings are never 0; what is bound here is.
        let unused = Some("127.0.0.1:1".parse().unwrap());
        let options = InitOptions {
            home: home.clone(),
            name: "fleet".into(),
            listen_host: vec!["127.0.0.1".into()],
            api_listen: unused,
            broker_listen: unused,
            claim_listen: unused,
            if_missing: false,
        };
        init(&options, &Clock::system()).await.unwrap();
        let mut settings = Settings::load_file(&home).unwrap();
        settings.broker.listen = "127.0.0.1:0".parse().unwrap();
        settings.broker.claim_listen = "127.0.0.1:0".parse().unwrap();
        let fleet = Fleet::open(&settings, Clock::system()).await.unwrap();
        let device = Device::start(&fleet, &settings).await.unwrap();
        let listeners = device.listeners().unwrap();
        let mut registry = Registry::new();
        fleet::endpoints(&mut registry);
        capability::endpoints(&mut registry);
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), None).await.unwrap();
        let mut client = ClientSettings::from_operator_env(&settings.home.operator_environment()).unwrap();
        client.endpoint = listener.url();
        let (switch, wish) = shutdown();
        let api = tokio::spawn(listener.serve(Api::new(Arc::clone(&fleet), registry).router(), wish));
        Self { fleet, device, listeners, client: Arc::new(ApiClient::new(client).unwrap()), api, switch }
    }

    /// Calls the API over HTTP, as the first operator.
    async fn call<Request>(&self, request: Request) -> Result<Request::Response, CallError>
    where
        Request: Operation + Send + 'static,
        Request::Response: Send,
    {
        let client = Arc::clone(&self.client);
        tokio::task::spawn_blocking(move || client.call(&request)).await.unwrap()
    }

    async fn stop(self) {
        self.switch.request();
        tokio::time::timeout(PATIENCE, self.device.stop()).await.unwrap();
        drop(self.client);
        tokio::time::timeout(PATIENCE, self.api).await.unwrap().unwrap();
        self.fleet.store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_enrols_connects_and_runs_a_command() {
    let folder = tempfile::tempdir().unwrap();
    let bridge = Bridge::start(folder.path()).await;
    let (fleet, listeners) = (Arc::clone(&bridge.fleet), bridge.listeners);
    let request = flotilla_api::activations::CreateActivationRequest { iam_role: "role".into(), ..Default::default() };
    let created = bridge.call(request).await.unwrap();
    let activation = Activation::parse(&created.activation_code.unwrap()).unwrap();

    // Enrolment: anonymous TLS, one topic each way.
    let (mut node, tls_key) = (SimulatedNode::new(20), SigningKey::from_bytes(&[21; 32]));
    let claim = ClaimId([7; 16]);
    let fleet_id = fleet.settings.fleet;
    let down = Topic::ClaimDown { fleet: fleet_id, claim }.to_string();
    let mut client = Client::start(listeners.claims.port(), flotilla_link::unverified_client().unwrap(), claim.to_string(), vec![down]);
    let payload = sealed_claim(&node.key, &tls_key, activation.id, &activation.code);
    client.publish(Topic::ClaimUp { fleet: fleet_id, claim }, payload).await;
    let reply = client.message(|topic| matches!(topic, Topic::ClaimDown { .. })).await;
    let reply: ClaimReplyBody = decode(Envelope::parse(&reply, Domain::ClaimReply).unwrap().body()).unwrap();
    let enrolled = reply.outcome.unwrap();
    client.stop().await;

    // The node connects with its certificate and says hello.
    let mut key_der = vec![0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    key_der.extend_from_slice(&tls_key.to_bytes());
    let tls = flotilla_link::fleet_client(&enrolled.authority, &enrolled.certificate, &key_der, None).unwrap();
    let filters = node_filters(&fleet_id, &node.id).to_vec();
    let mut client = Client::start(listeners.nodes.port(), tls, node.id.to_string(), filters);
    let id = node.id;
    let up = |kind| Topic::Up { fleet: fleet_id, node: id, kind };
    let is_down = |wanted: DownKind| move |topic: &Topic| matches!(topic, Topic::Down { kind, .. } if *kind == wanted);
    client.publish(up(UpKind::Hello), node.hello(&[]).1).await;
    client.message(is_down(DownKind::Welcome)).await;

    // An order goes down, its end comes up and is receipted.
    let request = SendCommandRequest {
        document_name: "AWS-RunShellScript".into(),
        instance_ids: Some(vec![node.id.to_string()]),
        parameters: Some(BTreeMap::from([("commands".to_owned(), vec!["true".to_owned()])])),
        ..SendCommandRequest::default()
    };
    bridge.call(request).await.unwrap();
    let delivery: Delivery = decode(&client.message(is_down(DownKind::Order)).await).unwrap();
    let order: OrderBody = decode(Envelope::parse(&delivery.envelope, Domain::Order).unwrap().body()).unwrap();
    let step = StepResult {
        name: "runShellScript".into(),
        status: StepStatus::Succeeded,
        exit_code: 0,
        started_ms: None,
        ended_ms: None,
        stdout: Captured::default(),
        stderr: Captured::default(),
    };
    let accepted = node.report(&ReportPayload::Admission(Admission::Accepted { order: order.id })).1;
    let result = CommandResult { order: order.id, outcome: Outcome::Succeeded, explanation: String::new(), steps: vec![step] };
    let result = node.report(&ReportPayload::CommandResult(result)).1;
    client.publish(up(UpKind::Report), accepted).await;
    client.publish(up(UpKind::Report), result).await;
    client.message(is_down(DownKind::Receipt)).await;
    let shown = async || {
        let request = GetCommandInvocationRequest { command_id: order.id.to_string(), instance_id: node.id.to_string(), plugin_name: None };
        bridge.call(request).await.unwrap().status.unwrap()
    };
    let success = async {
        while shown().await != "Success" {
            client.message(is_down(DownKind::Receipt)).await;
        }
    };
    tokio::time::timeout(PATIENCE, success).await.unwrap();
    let nodes = async || {
        let answer = bridge.call(DescribeInstanceInformationRequest::default()).await.unwrap();
        answer.instance_information_list.unwrap().into_iter().map(|node| node.ping_status.unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(nodes().await, ["Online"]);
    let request = DeregisterManagedInstanceRequest { instance_id: node.id.to_string() };
    bridge.call(request.clone()).await.unwrap();
    assert!(nodes().await.is_empty());
    let error = bridge.call(request).await.unwrap_err();
    assert!(matches!(&error, CallError::Refused { kind, .. } if kind == "InvalidInstanceId"), "{error}");
    client.stop().await;
    bridge.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_that_ends_by_itself_is_named_and_the_rest_still_stops() {
    let folder = tempfile::tempdir().unwrap();
    let mut bridge = Bridge::start(folder.path()).await;
    assert!(tokio::time::timeout(Duration::from_millis(200), bridge.device.ended()).await.is_err(), "everything runs");
    bridge.device.ingest.abort();
    assert_eq!(tokio::time::timeout(PATIENCE, bridge.device.ended()).await.unwrap(), ConnectionEnd::Part("ingest"));
    bridge.stop().await;
}
