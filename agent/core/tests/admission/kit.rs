//! A node in memory whose every message is made by hand: the bridge and the operators of these tests say what they should not.

use ed25519_dalek::SigningKey;
use flotilla_agent_core::{Core, Floor, HeldTrust, Input, JobEnd, Output, Record, Recovery, Settings, Telemetry};
use flotilla_protocol::capability::command::CommandOrder;
use flotilla_protocol::capability::{OrderPayload, ReportPayload};
use flotilla_protocol::delivery::Delivery;
use flotilla_protocol::document::{Action as StepAction, Plan, RunShellScript, Step, Template};
use flotilla_protocol::envelope::{Domain, Envelope, seal};
use flotilla_protocol::hello::{Facts, HelloBody, WelcomeBody};
use flotilla_protocol::id::{BootId, NodeId, OrderId};
use flotilla_protocol::order::{OnCrash, OrderBody, Targets};
use flotilla_protocol::report::{LossCause, ReceiptBody, ReportBody, Stream};
use flotilla_protocol::session::{self, SessionBinding, SessionKey};
use flotilla_protocol::status::{Admission, Outcome, RejectReason};
use flotilla_protocol::target;
use flotilla_protocol::topic::{DownKind, Topic, UpKind};
use flotilla_protocol::trust::{Class, OperatorRule, Role, RoleEntry, Trust, TrustBundle, TrustKey};
use flotilla_protocol::wire::{decode, encode};
use std::collections::BTreeMap;

pub(crate) const START_MS: u64 = 1_800_000_000_000;
pub(crate) const HOUR_MS: u64 = 3_600_000;
/// Whose key has which number.
pub(crate) const OPERATOR: u8 = 2;
pub(crate) const BRIDGE: u8 = 3;
pub(crate) const CLOCK: u8 = 4;
/// May sign patches, and no commands.
pub(crate) const PATCHER: u8 = 5;
pub(crate) const STRANGER: u8 = 6;

pub(crate) fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

pub(crate) fn node_key() -> SigningKey {
    key(100)
}

pub(crate) fn node() -> NodeId {
    NodeId::of_key(&node_key().verifying_key().to_bytes())
}

pub(crate) fn trust(expires_ms: u64) -> Trust {
    let keys = (1..=PATCHER).map(|seed| TrustKey::new(key(seed).verifying_key().to_bytes().into(), &format!("{seed}"))).collect();
    let roles = [(0, Role::Root), (2, Role::Bridge), (3, Role::Freshness)];
    let roles = roles.map(|(index, role)| RoleEntry { role, threshold: 1, keys: vec![index] }).to_vec();
    let rules = vec![OperatorRule::any_of(Class::Command, vec![1]), OperatorRule::any_of(Class::Patch, vec![4])];
    let bundle = TrustBundle { expires_ms, epoch: 5, minimum_agent_version: [0, 1, 0], ..TrustBundle::beginning(keys, roles, rules) };
    let body = encode(&bundle);
    Trust::from_pinned(&flotilla_protocol::sha256(&[&body]), [seal(Domain::Trust, &body, &[&key(1)]).as_slice()]).unwrap()
}

pub(crate) fn order_id(number: u8) -> OrderId {
    OrderId([number; 16])
}

pub(crate) fn leaf(node_data: &[u8]) -> [u8; 32] {
    target::leaf(&node_key().verifying_key().to_bytes(), node_data)
}

/// An order that a node takes.
pub(crate) fn order(number: u8) -> OrderBody {
    let script =
        RunShellScript { run_command: vec![Template::text("true")], working_directory: None, environment: BTreeMap::new(), timeout_s: 60 };
    let plan = Plan { steps: vec![Step::new("run", &StepAction::RunShellScript(script))] };
    let command = CommandOrder { document: "d".into(), document_version: "1".into(), parameters: Vec::new(), plan };
    OrderBody {
        id: order_id(number),
        fleet: trust(u64::MAX).fleet(),
        targets: Targets { count: 1, root: leaf(b"") },
        requester: "operator".into(),
        lane: 0,
        sequence: 0,
        epoch: 5,
        not_before_ms: START_MS - 1000,
        not_after_ms: START_MS + 3 * HOUR_MS,
        minimum_trust_version: 1,
        on_crash: OnCrash::Never,
        payload: OrderPayload::Command(command).encode(),
    }
}

pub(crate) fn in_lane(number: u8, sequence: u64) -> OrderBody {
    OrderBody { lane: 1, sequence, ..order(number) }
}

pub(crate) fn delivery_of(envelope: Vec<u8>) -> Delivery {
    Delivery { envelope, index: 0, proof: Vec::new(), node_data: Vec::new() }
}

pub(crate) fn delivery(order: &OrderBody) -> Vec<u8> {
    encode(&delivery_of(seal(Domain::Order, &encode(order), &[&key(OPERATOR)])))
}

/// What a node has said and done.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) refused: Vec<RejectReason>,
    pub(crate) started: Vec<OrderId>,
    pub(crate) cancelled: Vec<OrderId>,
    pub(crate) records: Vec<Record>,
    pub(crate) reports: Vec<(ReportBody, [u8; 32])>,
    /// Every envelope that went up.
    pub(crate) sent: Vec<(Domain, Vec<u8>)>,
    pub(crate) hello: Option<HelloBody>,
    /// Versions of trust bundles that are to be kept.
    pub(crate) kept: Vec<u32>,
}

impl Heard {
    /// What was heard afterwards.
    pub(crate) fn add(&mut self, later: Self) {
        self.refused.extend(later.refused);
        self.started.extend(later.started);
        self.cancelled.extend(later.cancelled);
        self.records.extend(later.records);
        self.reports.extend(later.reports);
        self.sent.extend(later.sent);
        self.hello = later.hello.or_else(|| self.hello.take());
        self.kept.extend(later.kept);
    }

    pub(crate) fn accepted(&self) -> Vec<OrderId> {
        let accepted = self.payloads().into_iter().filter_map(|payload| match payload {
            ReportPayload::Admission(Admission::Accepted { order }) => Some(order),
            _ => None,
        });
        accepted.collect()
    }

    pub(crate) fn answers(&self) -> Vec<(OrderId, RejectReason)> {
        let answers = self.payloads().into_iter().filter_map(|payload| match payload {
            ReportPayload::Admission(Admission::Rejected { order, reason }) => Some((order, reason)),
            _ => None,
        });
        answers.collect()
    }

    pub(crate) fn outcomes(&self) -> Vec<(OrderId, Outcome)> {
        let outcomes = self.payloads().into_iter().filter_map(|payload| match payload {
            ReportPayload::CommandResult(result) => Some((result.order, result.outcome)),
            _ => None,
        });
        outcomes.collect()
    }

    fn payloads(&self) -> Vec<ReportPayload> {
        self.reports.iter().map(|(body, _)| ReportPayload::decode(&body.payload).unwrap()).collect()
    }
}

pub(crate) struct Node {
    pub(crate) core: Core,
    /// Uptime in milliseconds.
    pub(crate) now: u64,
    trust: Trust,
    connections: u8,
    /// The streams that welcomes name.
    pub(crate) chains: Vec<(Stream, u64)>,
    /// The session that welcomes offer.
    pub(crate) session: Option<SessionKey>,
}

fn recovery(trust: impl Into<HeldTrust>) -> Recovery {
    Recovery::new(Settings {
        identity: node_key(),
        trust: trust.into(),
        boot: BootId([1; 16]),
        facts: Facts::default(),
        agent_version: [0, 1, 0],
        maximum_jobs: 2,
        first_floor_ms: START_MS - HOUR_MS,
    })
    .with_sealing_key(crate::secrets::sealing_key())
}

impl Node {
    /// A node that was never welcomed.
    pub(crate) fn new() -> Self {
        Self::trusting(trust(u64::MAX))
    }

    pub(crate) fn trusting(trust: Trust) -> Self {
        Self { core: recovery(trust.clone()).finish(), now: 1000, trust, connections: 0, chains: Vec::new(), session: None }
    }

    /// A node that tells how it is every minute, more or less, where welcomes name these streams; it is not connected yet.
    pub(crate) fn telling(chains: &[(Stream, u64)]) -> Self {
        let trust = trust(u64::MAX);
        let telemetry = Telemetry { interval_ms: 60_000, spool_bytes: 1500, restarts: Some(3) };
        let core = recovery(trust.clone()).with_telemetry(telemetry).finish();
        Self { core, now: 1000, trust, connections: 0, chains: chains.to_vec(), session: None }
    }

    /// A node that knows the time.
    pub(crate) fn welcomed() -> Self {
        Self::new().online()
    }

    pub(crate) fn online(mut self) -> Self {
        let hello = self.connect();
        let heard = self.welcome(hello.nonce, START_MS);
        assert_eq!(heard.refused, []);
        self
    }

    /// The agent is started anew in the same boot, from these records and this floor.
    pub(crate) fn restarted(&self, records: &[Record], floor: &Floor, lost: Option<LossCause>) -> Self {
        self.recovered(recovery(self.trust.clone()), records, floor, lost)
    }

    /// As [`Node::restarted`], with another trust on its disk.
    pub(crate) fn restarted_with(&self, trust: HeldTrust, records: &[Record], floor: &Floor) -> Self {
        self.recovered(recovery(trust), records, floor, None)
    }

    fn recovered(&self, mut recovery: Recovery, records: &[Record], floor: &Floor, lost: Option<LossCause>) -> Self {
        for record in records {
            recovery.replay(record.clone()).unwrap();
        }
        recovery.remember(floor, lost);
        let (trust, chains) = (self.trust.clone(), self.chains.clone());
        Self { core: recovery.finish(), now: self.now, trust, connections: self.connections, chains, session: None }
    }

    /// Whether these records can be read back.
    pub(crate) fn reads(&self, records: &[Record]) -> bool {
        let mut recovery = recovery(self.trust.clone());
        records.iter().all(|record| recovery.replay(record.clone()).is_ok())
    }

    pub(crate) fn connect(&mut self) -> HelloBody {
        self.connections += 1;
        let nonce = [self.connections; 32];
        self.handle(Input::Connected { nonce }).hello.unwrap()
    }

    pub(crate) fn welcome(&mut self, nonce: [u8; 32], time_ms: u64) -> Heard {
        self.welcome_by(CLOCK, nonce, time_ms)
    }

    pub(crate) fn welcome_by(&mut self, signer: u8, nonce: [u8; 32], time_ms: u64) -> Heard {
        let (resend_minimum_ms, resend_maximum_ms) = (5_000, 10_000);
        let (node, bundles) = (node(), Vec::new());
        let chains = self.chains.clone();
        let binding = SessionBinding { fleet: self.trust.fleet(), node, nonce };
        let sealed = self.session.iter().map(|key| session::seal(&binding, &crate::secrets::sealing_key().public(), key, &nonce).unwrap());
        let offers = sealed.map(|sealed| WelcomeBody::offer_of_session(&sealed)).collect();
        let welcome =
            WelcomeBody { node, nonce, time_ms, bundles, resend_minimum_ms, resend_maximum_ms, reconnect_spread_s: 0, chains, offers };
        self.say(DownKind::Welcome, &seal(Domain::Welcome, &encode(&welcome), &[&key(signer)]))
    }

    pub(crate) fn deliver(&mut self, order: &OrderBody) -> Heard {
        self.say(DownKind::Order, &delivery(order))
    }

    /// A receipt for the chain up to a report.
    pub(crate) fn receipt(&mut self, up_to: u64, head: [u8; 32]) -> Heard {
        self.receipt_of(Stream::Control, up_to, head)
    }

    pub(crate) fn receipt_of(&mut self, stream: Stream, up_to: u64, head: [u8; 32]) -> Heard {
        let receipt = ReceiptBody { node: node(), stream, boot: BootId([1; 16]), up_to, head };
        self.say(DownKind::Receipt, &seal(Domain::Receipt, &encode(&receipt), &[&key(BRIDGE)]))
    }

    pub(crate) fn say(&mut self, kind: DownKind, payload: &[u8]) -> Heard {
        let topic = Topic::Down { fleet: self.trust.fleet(), node: node(), kind }.to_string();
        self.handle(Input::Message { topic: &topic, retained: false, payload })
    }

    pub(crate) fn end(&mut self, order: OrderId) -> Heard {
        let end = JobEnd { outcome: Outcome::Succeeded, explanation: String::new(), steps: Vec::new() };
        self.handle(Input::JobEnded { order, end })
    }

    pub(crate) fn storage(&mut self, is_writable: bool) -> Heard {
        self.handle(Input::Storage { is_writable, room_bytes: 1 << 30 })
    }

    /// The journal has room for this many bytes more than it needs already.
    pub(crate) fn room_left(&mut self, bytes: u64) -> Heard {
        let room_bytes = self.core.journal_need() + bytes;
        self.handle(Input::Storage { is_writable: true, room_bytes })
    }

    pub(crate) fn pass(&mut self, ms: u64) -> Heard {
        self.now += ms;
        self.handle(Input::Tick)
    }

    pub(crate) fn handle(&mut self, input: Input<'_>) -> Heard {
        self.core.handle(input, self.now);
        let mut heard = Heard::default();
        while let Some(output) = self.core.poll_output() {
            if let Output::Publish(message) = &output {
                let domain = match message.kind {
                    UpKind::Hello => Domain::Hello,
                    UpKind::Report => Domain::Report,
                    UpKind::Output => Domain::Output,
                };
                heard.sent.push((domain, message.payload.clone()));
            }
            match output {
                Output::Persist(record) => heard.records.push(record),
                Output::RunJob { order, .. } => heard.started.push(order),
                Output::CancelJob { order } => heard.cancelled.push(order),
                Output::Refused { reason, .. } => heard.refused.push(reason),
                Output::Publish(message) if message.kind == UpKind::Report => {
                    let envelope = Envelope::parse(&message.payload, Domain::Report).unwrap();
                    heard.reports.push((decode(envelope.body()).unwrap(), flotilla_protocol::sha256(&[envelope.body()])));
                }
                Output::Publish(message) if message.kind == UpKind::Hello => {
                    heard.hello = Some(decode(Envelope::parse(&message.payload, Domain::Hello).unwrap().body()).unwrap());
                }
                Output::KeepTrust { version, .. } => heard.kept.push(version),
                Output::Publish(_)
                | Output::RecoverJob { .. }
                | Output::Reboot
                | Output::ForgetJob { .. }
                | Output::ReadOutput { .. }
                | Output::RenewCertificate { .. }
                | Output::SpreadReconnect { .. } => {}
            }
        }
        heard
    }
}
