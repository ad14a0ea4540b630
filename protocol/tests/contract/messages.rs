//! One message of every type, with fixed keys and values.

use ed25519_dalek::{Signer as _, SigningKey};
use flotilla_protocol::capability::command::{
    Captured, CommandOrder, CommandProgress, CommandRebooting, CommandResult, Parameter, StepResult,
};
use flotilla_protocol::capability::health::{NodeHealth, SpoolState};
use flotilla_protocol::capability::inventory::InventoryReport;
use flotilla_protocol::capability::{OrderPayload, ReportPayload};
use flotilla_protocol::delivery::{Delivery, NodeData};
use flotilla_protocol::document::docker::{DockerAction, RunDockerAction};
use flotilla_protocol::document::download::{
    Credentials, DownloadContent, GitSource, GitVersion, HttpSource, S3Source, Source, TextSource,
};
use flotilla_protocol::document::{
    Action, Control, OnFailure, Plan, Precondition, Refuse, RunShellScript, Segment, SoftwareInventory, Step, Template, Test, Value,
};
use flotilla_protocol::enrolment::{
    ClaimBody, ClaimRefusal, ClaimReplyBody, ClaimRequest, Enrolled, RenewalBody, claim_mac, tls_proof_bytes,
};
use flotilla_protocol::envelope::{Domain, Envelope, SignatureEntry, seal};
use flotilla_protocol::hello::{Facts, Held, HelloBody, WelcomeBody};
use flotilla_protocol::id::{ActivationId, BootId, FleetId, KeyId, NodeId, OrderId};
use flotilla_protocol::order::{CancelBody, OnCrash, OrderBody, Targets};
use flotilla_protocol::report::{Gap, LossCause, MemoryLost, OutputBody, OutputReceiptBody, OutputStream, ReceiptBody, ReportBody, Stream};
use flotilla_protocol::secret::{self, Binding, PlainSecret, SealingKey};
use flotilla_protocol::session::{self, SealedSession, SessionBinding, SessionKey};
use flotilla_protocol::signature::{
    ALGORITHM_SK_ED25519, ALGORITHM_SSH_ED25519, PublicKey, SshHash, security_key_message, security_key_signature, ssh_frame, ssh_signature,
};
use flotilla_protocol::status::{Admission, Outcome, RejectReason, StepStatus};
use flotilla_protocol::target::{TargetTree, leaf};
use flotilla_protocol::tenure::TenureBody;
use flotilla_protocol::trust::{Class, Label, NodeLabels, OperatorRule, Role, RoleEntry, TrustBundle, TrustKey, Window};
use flotilla_protocol::wire::{ByteVec, Payload, encode};
use flotilla_protocol::{enrolment, sha256};
use std::collections::BTreeMap;

/// The time at which everything happens.
pub(crate) const NOW_MS: u64 = 1_800_000_000_000;

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub(crate) fn root() -> SigningKey {
    key(1)
}
pub(crate) fn operator() -> SigningKey {
    key(2)
}
pub(crate) fn bridge() -> SigningKey {
    key(3)
}
pub(crate) fn freshness() -> SigningKey {
    key(4)
}
pub(crate) fn identity() -> SigningKey {
    key(5)
}

pub(crate) fn node() -> NodeId {
    NodeId::of_key(&identity().verifying_key().to_bytes())
}

pub(crate) fn order_id() -> OrderId {
    "0198c0de-0000-7000-8000-000000000001".parse().unwrap()
}

pub(crate) fn boot() -> BootId {
    "11111111-2222-4333-8444-555555555555".parse().unwrap()
}

pub(crate) fn bundle() -> TrustBundle {
    let persons = [("root", root()), ("operator", operator()), ("bridge", bridge()), ("freshness", freshness())];
    let keys = persons.iter().map(|(person, key)| TrustKey::new(key.verifying_key().to_bytes().into(), person));
    let one = |role, key| RoleEntry { role, threshold: 1, keys: vec![key] };
    let roles = vec![one(Role::Root, 0), one(Role::Bridge, 2), one(Role::Freshness, 3)];
    TrustBundle {
        expires_ms: NOW_MS + 1_000_000,
        minimum_agent_version: [0, 1, 0],
        ..TrustBundle::beginning(keys.collect(), roles, vec![OperatorRule::any_of(Class::Command, vec![1])])
    }
}

/// The bundle after [`bundle`]: its root is two of three people, each with a key of another algorithm, and a key of the future.
pub(crate) fn next_bundle() -> TrustBundle {
    let raw = |seed| key(seed).verifying_key().to_bytes();
    let mut next = TrustBundle { version: 2, previous: root_hash(), epoch: 1, ..bundle() };
    let security_key = PublicKey::SecurityKey { key: raw(12), application: "ssh:flotilla".into() };
    let unknown = PublicKey::Unknown { algorithm: 200, bytes: vec![1, 2, 3] };
    for (person, public_key) in [("ann", PublicKey::Ssh(raw(11))), ("bob", security_key), ("cleo", unknown)] {
        next.keys.push(TrustKey::new(public_key, person));
    }
    next.keys[1].not_after_ms = Some(NOW_MS + 500_000);
    let label = |key: &str, value: &str| Label { key: key.into(), value: value.into() };
    next.rules.push(OperatorRule {
        name: "patches in Berlin at night".into(),
        class: Class::Patch,
        keys: vec![1, 4, 5],
        threshold: 2,
        approvals: 1,
        scope: vec![label("kind", "kiosk"), label("site", "berlin")],
        hours: vec![Window { days: 0b0001_1111, from_minute: 22 * 60, to_minute: 4 * 60 }],
        conditions: Vec::new(),
    });
    let conditions = vec![Payload { kind: 900, body: vec![1] }];
    next.rules.push(OperatorRule { name: "of the future".into(), conditions, ..OperatorRule::any_of(Class::Unknown(77), vec![5]) });
    next.roles.push(RoleEntry { role: Role::Unknown(99), threshold: 1, keys: vec![4] });
    next.labels.push(NodeLabels { node: node(), labels: vec![label("site", "berlin")] });
    next.extensions.push(Payload { kind: 901, body: vec![2, 3] });
    next.roles[0] = RoleEntry { role: Role::Root, threshold: 2, keys: vec![0, 4, 5, 6] };
    next
}

/// An envelope with the signature of an SSH key, as `ssh-keygen -Y sign` makes it.
pub(crate) fn with_ssh_signature(envelope: &[u8], domain: Domain, key: &SigningKey, hash: SshHash) -> Vec<u8> {
    let parsed = Envelope::parse(envelope, domain).unwrap();
    let signature = ssh_signature(hash, &key.sign(&ssh_frame(hash, &parsed.covered())).to_bytes());
    with_signature(envelope, domain, ALGORITHM_SSH_ED25519, key, &signature)
}

/// An envelope with the signature of a security key, which sets `flags`.
pub(crate) fn with_security_key(envelope: &[u8], domain: Domain, key: &SigningKey, flags: u8) -> Vec<u8> {
    let parsed = Envelope::parse(envelope, domain).unwrap();
    let (hash, counter) = (SshHash::Sha512, 9_u32.to_be_bytes());
    let message = security_key_message(&sha256(&[b"ssh:flotilla"]), flags, counter, &ssh_frame(hash, &parsed.covered()));
    let signature = security_key_signature(hash, flags, counter, &key.sign(&message).to_bytes());
    with_signature(envelope, domain, ALGORITHM_SK_ED25519, key, &signature)
}

/// An envelope with a signature that says whatever it says.
pub(crate) fn with_signature(envelope: &[u8], domain: Domain, algorithm: u8, key: &SigningKey, bytes: &[u8]) -> Vec<u8> {
    let entry = SignatureEntry { algorithm, key: KeyId::of_key(key.verifying_key().as_bytes()), bytes };
    Envelope::parse(envelope, domain).unwrap().with_signature(entry).unwrap()
}

/// [`next_bundle`] signed by the old root, by Ann's SSH key and by Bob's security key.
pub(crate) fn next_envelope(hash: SshHash) -> Vec<u8> {
    let sealed = seal(Domain::Trust, &encode(&next_bundle()), &[&root()]);
    with_security_key(&with_ssh_signature(&sealed, Domain::Trust, &key(11), hash), Domain::Trust, &key(12), 1)
}

pub(crate) fn root_hash() -> [u8; 32] {
    sha256(&[&encode(&bundle())])
}

pub(crate) fn fleet() -> FleetId {
    FleetId::of_root_hash(&root_hash())
}

pub(crate) fn command() -> CommandOrder {
    let action = Action::RunShellScript(RunShellScript {
        run_command: vec![Template(vec![Segment::Text("echo ".into()), Segment::Parameter(0)]), Template(vec![Segment::Parameter(1)])],
        working_directory: Some(Template::text("/tmp")),
        environment: BTreeMap::from([("LANG".into(), Template::text("C"))]),
        timeout_s: 3600,
    });
    let list = Value { text: "[\"true\",\"false\"]".into(), list: Some(vec!["true".into(), "false".into()]) };
    CommandOrder {
        document: "AWS-RunShellScript".into(),
        document_version: "1".into(),
        parameters: vec![
            Parameter { name: "word".into(), value: Value::string("grüße; $(reboot)") },
            Parameter { name: "commands".into(), value: list },
        ],
        plan: Plan { steps: steps(action) },
    }
}

/// A step of every kind and with every member.
fn steps(action: Action) -> Vec<Step> {
    let precondition = |text: &str, test| Precondition { text: text.into(), test };
    let preconditions = vec![
        precondition("\"StringEquals\": [platformType, Linux]", Test::Platform("Linux".into())),
        precondition("\"StringEquals\": [{{ word }}, a]", Test::Equal(Template(vec![Segment::Parameter(0)]), Template::text("a"))),
        precondition("unrecognized operator: \"IsOdd\"", Test::Malformed),
    ];
    let control = Control { on_failure: OnFailure::SuccessAndExit, exit_on_success: true, finally: false };
    let Action::RunShellScript(script) = &action else { unreachable!("the one above") };
    let inner = Plan { steps: vec![Step::new("inner", &Action::RunPowerShellScript(script.clone()))] };
    let refuse = Action::Refuse(Refuse { why: "aws:psModule is for Windows".into() });
    let last = Control { finally: true, ..Control::default() };
    vec![
        Step { preconditions, control, ..Step::new("runShellScript", &action) },
        Step::new("runDocument", &Action::RunPlan(inner)),
        Step { control: last, ..Step::new("psModule", &refuse) },
    ]
}

/// An order of the kinds of steps that came after the first ones: downloads from everywhere, and `docker`.
pub(crate) fn downloads() -> OrderBody {
    let word = || Template(vec![Segment::Parameter(0)]);
    let login = || Some(Credentials { username: Template::text("admin"), password: word() });
    let git = |version, private_key| GitSource {
        repository: Template::text("ssh://git@example.org/tools.git"),
        version,
        path: Some(Template::text("bin")),
        credentials: None,
        private_key,
        skip_host_key_check: true,
        allow_insecure: false,
    };
    let sources = [
        Source::Http(HttpSource {
            url: Template::text("https://example.org/a"),
            credentials: login(),
            allow_insecure: true,
            sha256: Some([7; 32]),
        }),
        Source::Git(git(GitVersion::Default, None)),
        Source::Git(git(GitVersion::Branch(word()), Some(Template::text("key")))),
        Source::Git(GitSource { credentials: login(), ..git(GitVersion::Commit(Template::text("00")), None) }),
        Source::S3(S3Source { path: Template::text("s3://bucket/key"), sha256: None }),
        Source::Text(TextSource { name: "Inner".into(), content: "{\"schemaVersion\": \"2.2\"}".into() }),
    ];
    let download = |(index, source)| {
        let destination_path = Some(Template::text("tools/"));
        Step::new(format!("download{index}"), &Action::DownloadContent(DownloadContent { source, destination_path, timeout_s: 60 }))
    };
    let mut steps: Vec<Step> = sources.into_iter().enumerate().map(download).collect();
    let text = |text: &str| Some(Template::text(text));
    let docker = RunDockerAction {
        action: DockerAction::Run,
        container: text("web"),
        image: Some(word()),
        cmd: text("serve"),
        memory: text("64m"),
        cpu_shares: text("512"),
        volume: vec![Template::text("/srv:/srv")],
        env: text("A=b"),
        user: text("app"),
        publish: text("80:80"),
        working_directory: None,
        timeout_s: 3600,
    };
    steps.push(Step::new("docker", &Action::RunDockerAction(docker)));
    let command = CommandOrder { plan: Plan { steps }, ..command() };
    OrderBody { payload: OrderPayload::Command(command).encode(), ..order() }
}

/// An order that asks for the inventory.
pub(crate) fn order_of_inventory() -> OrderBody {
    let inventory = SoftwareInventory { types: ["AWS:Application", "Custom:*"].map(str::to_owned).to_vec() };
    let steps = vec![Step::new("inventory", &Action::SoftwareInventory(inventory))];
    let command = CommandOrder { plan: Plan { steps }, ..command() };
    OrderBody { payload: OrderPayload::Command(command).encode(), ..order() }
}

/// The targets: this node and two strangers, and the index of this node among them.
pub(crate) fn tree() -> (TargetTree, u32) {
    let mut keys = [5, 6, 7].map(|seed| key(seed).verifying_key().to_bytes());
    keys.sort_unstable();
    let own = identity().verifying_key().to_bytes();
    let index = keys.iter().position(|key| *key == own).unwrap();
    (TargetTree::new(keys.iter().map(|key| leaf(key, b"")).collect()), u32::try_from(index).unwrap())
}

pub(crate) fn order() -> OrderBody {
    OrderBody {
        id: order_id(),
        fleet: fleet(),
        targets: Targets { count: 3, root: tree().0.root() },
        requester: "admin".into(),
        lane: 1,
        sequence: 2,
        epoch: 0,
        not_before_ms: NOW_MS,
        not_after_ms: NOW_MS + 3_600_000,
        minimum_trust_version: 1,
        on_crash: OnCrash::Never,
        payload: OrderPayload::Command(command()).encode(),
    }
}

pub(crate) fn delivery() -> Delivery {
    let (tree, index) = tree();
    let proof = tree.proof(usize::try_from(index).unwrap()).unwrap();
    Delivery { envelope: seal(Domain::Order, &encode(&order()), &[&operator()]), index, proof, node_data: Vec::new() }
}

/// The node's X25519 secret.
pub(crate) fn sealing_key() -> SealingKey {
    SealingKey::new([0x5e; 32])
}

pub(crate) fn binding() -> Binding {
    Binding { fleet: fleet(), node: node(), order: order_id() }
}

/// The values of the parameters `password` and `token`.
pub(crate) const SECRETS: [(u16, &str, &[u8]); 2] = [(1, "password", "grüße; $(reboot)".as_bytes()), (2, "token", b"")];

/// An order to one node whose script names secrets, in its lines and in its environment.
pub(crate) fn order_with_secrets(node_data: &[u8]) -> OrderBody {
    let of = |segment| Template(vec![Segment::Text("login --password-file ".into()), segment]);
    let script = RunShellScript {
        run_command: vec![of(Segment::Secret(1))],
        working_directory: None,
        environment: BTreeMap::from([("SSM_token".into(), Template(vec![Segment::Secret(2)]))]),
        timeout_s: 60,
    };
    let command = CommandOrder {
        document: "Login".into(),
        document_version: "1".into(),
        parameters: ["host", "password", "token"].map(|name| Parameter { name: name.into(), value: Value::string("") }).into(),
        plan: Plan { steps: vec![Step::new("login", &Action::RunShellScript(script))] },
    };
    let root = leaf(&identity().verifying_key().to_bytes(), node_data);
    OrderBody { targets: Targets { count: 1, root }, payload: OrderPayload::Command(command).encode(), ..order() }
}

/// As [`delivery`], with sealed secrets as node data.
pub(crate) fn delivery_with_secrets() -> Delivery {
    let plain = SECRETS.map(|(parameter, name, value)| PlainSecret { parameter, name, value });
    let sealed = secret::seal(&binding(), &sealing_key().public(), &plain, &[0xe9; 32]).unwrap();
    let node_data = encode(&NodeData::of_secrets(&sealed));
    let envelope = seal(Domain::Order, &encode(&order_with_secrets(&node_data)), &[&operator()]);
    Delivery { envelope, index: 0, proof: Vec::new(), node_data }
}

pub(crate) fn cancel() -> CancelBody {
    CancelBody { fleet: fleet(), node: node(), order: order_id(), not_after_ms: NOW_MS + 3_600_000 }
}

pub(crate) fn report(sequence: u64, payload: &ReportPayload) -> ReportBody {
    let begins = matches!(payload, ReportPayload::MemoryLost(_));
    ReportBody {
        node: node(),
        stream: match payload {
            ReportPayload::Gap(_) | ReportPayload::NodeHealth(_) => Stream::Telemetry,
            ReportPayload::Inventory(_) => Stream::Inventory,
            _ => Stream::Control,
        },
        boot: boot(),
        sequence,
        previous: if sequence == 1 || begins { [0; 32] } else { [9; 32] },
        oldest_held: if begins { sequence } else { 1 },
        time_ms: Some(NOW_MS + sequence),
        payload: payload.encode(),
    }
}

pub(crate) fn result() -> CommandResult {
    let written = |text: &str| Captured {
        written_bytes: u64::try_from(text.len()).unwrap(),
        kept_bytes: u64::try_from(text.len()).unwrap(),
        sha256: sha256(&[text.as_bytes()]),
        head: text.as_bytes().to_vec(),
    };
    let step = StepResult {
        name: "runShellScript".into(),
        status: StepStatus::Failed,
        exit_code: 1,
        started_ms: Some(NOW_MS + 3),
        ended_ms: Some(NOW_MS + 4),
        stdout: written("grüße\n"),
        stderr: written(""),
    };
    CommandResult { order: order_id(), outcome: Outcome::Failed, explanation: "step runShellScript: exit code 1".into(), steps: vec![step] }
}

fn facts() -> Facts {
    Facts {
        agent_version: "0.1.0".into(),
        platform_name: "Debian GNU/Linux".into(),
        platform_version: "12".into(),
        architecture: "x86_64".into(),
        computer_name: "gateway".into(),
        ip_address: "192.0.2.7".into(),
    }
}

pub(crate) fn hello() -> HelloBody {
    HelloBody {
        node: node(),
        boot: boot(),
        nonce: [7; 32],
        oldest_version: 1,
        newest_version: 1,
        trust_version: 1,
        floor_ms: NOW_MS - 1,
        held: vec![order_id()],
        control: Held { oldest: 5, before: [6; 32], next: 7 },
        droppable: vec![(Stream::Telemetry, Held { oldest: 2, before: [8; 32], next: 4 })],
        facts: facts(),
        refused: vec![(RejectReason::Retained, 2), (RejectReason::Signature, 1)],
    }
}

pub(crate) fn welcome() -> WelcomeBody {
    WelcomeBody {
        node: node(),
        nonce: [7; 32],
        time_ms: NOW_MS,
        bundles: Vec::new(),
        resend_minimum_ms: 5_000,
        resend_maximum_ms: 600_000,
        reconnect_spread_s: 60,
        chains: vec![(Stream::Control, 4), (Stream::Telemetry, 1)],
        offers: vec![WelcomeBody::offer_of_session(&sealed_session())],
    }
}

/// The session that the welcome offers.
pub(crate) fn session() -> SessionKey {
    SessionKey::new([0x1d; 8], [0x4b; 32])
}

pub(crate) fn session_binding() -> SessionBinding {
    SessionBinding { fleet: fleet(), node: node(), nonce: [7; 32] }
}

pub(crate) fn sealed_session() -> SealedSession {
    session::seal(&session_binding(), &sealing_key().public(), &session(), &[0xe8; 32]).unwrap()
}

pub(crate) fn claim() -> ClaimBody {
    let (identity, tls) = (identity().verifying_key().to_bytes(), key(8));
    let tls_key = tls.verifying_key().to_bytes();
    let request = encode(&ClaimRequest {
        activation: ActivationId([1; 16]),
        identity_key: identity,
        sealing_key: [6; 32],
        tls_key,
        tls_proof: tls.sign(&tls_proof_bytes(&identity, &tls_key, &[7; 32])).to_bytes(),
        nonce: [7; 32],
        facts: facts(),
    });
    ClaimBody { mac: claim_mac(&[2; 20], &request), request }
}

fn reply(outcome: Result<Enrolled, ClaimRefusal>) -> ClaimReplyBody {
    ClaimReplyBody { nonce: [7; 32], bundles: vec![ByteVec(seal(Domain::Trust, &encode(&bundle()), &[&root()]))], outcome }
}

pub(crate) fn replies() -> [ClaimReplyBody; 2] {
    let enrolled = Enrolled {
        authority: vec![0x30, 1, 2],
        certificate: vec![0x30, 3, 4],
        host: "bridge.example.org".into(),
        port: 8883,
        time_ms: NOW_MS,
    };
    [reply(Ok(enrolled)), reply(Err(ClaimRefusal::UsedUp))]
}

pub(crate) fn activation() -> enrolment::Activation {
    let host = "bridge.example.org".into();
    enrolment::Activation { id: ActivationId([1; 16]), code: [2; 20], host, port: 8884, root_hash: root_hash() }
}

pub(crate) fn output() -> OutputBody {
    OutputBody { node: node(), order: order_id(), step: 0, stream: OutputStream::Stderr, offset: 24_000, bytes: vec![0, 255, 10] }
}

pub(crate) fn output_receipt() -> OutputReceiptBody {
    OutputReceiptBody { node: node(), order: order_id(), step: 0, stream: OutputStream::Stderr, up_to: 24_003 }
}

pub(crate) fn receipt() -> ReceiptBody {
    ReceiptBody { node: node(), stream: Stream::Control, boot: boot(), up_to: 3, head: [9; 32] }
}

pub(crate) fn renewal() -> RenewalBody {
    RenewalBody { node: node(), authorities: [13; 32] }
}

pub(crate) fn tenure() -> TenureBody {
    TenureBody { generation: 1_800_000_000_000, instance: [12; 16] }
}

fn health() -> NodeHealth {
    NodeHealth {
        uptime_s: 86_400,
        agent_uptime_s: 900,
        restarts: Some(1),
        jobs_running: 1,
        jobs_waiting: 2,
        storage_failures: 0,
        journal_room_bytes: Some(1_048_576),
        spool: vec![
            SpoolState { stream: Stream::Control, reports: 2, bytes: 600, dropped: 0 },
            SpoolState { stream: Stream::Telemetry, reports: 3, bytes: 900, dropped: 7 },
        ],
        refused: vec![(RejectReason::Retained, 2)],
        standstill: "somebody holds it still".into(),
    }
}

/// A piece of a change, and what it was made of does not matter to the message: a stored block of DEFLATE with one byte.
fn inventory() -> InventoryReport {
    InventoryReport {
        type_name: "AWS:Application".into(),
        schema_version: (1, 1),
        base: Some([14; 32]),
        hash: [15; 32],
        piece: 1,
        pieces: 2,
        bytes: vec![0x01, 0x01, 0x00, 0xfe, 0xff, 0x2a],
    }
}

/// What reports say, by the name of their golden message.
pub(crate) fn payloads() -> [(&'static str, ReportPayload); 9] {
    [
        ("command/accepted", ReportPayload::Admission(Admission::Accepted { order: order_id() })),
        ("command/rejected", ReportPayload::Admission(Admission::Rejected { order: order_id(), reason: RejectReason::Expired })),
        ("command/progress", ReportPayload::CommandProgress(CommandProgress { order: order_id() })),
        ("command/result", ReportPayload::CommandResult(result())),
        ("report/gap", ReportPayload::Gap(Gap { from: 2, head: [8; 32] })),
        ("report/memory-lost", ReportPayload::MemoryLost(MemoryLost { cause: LossCause::Damaged, barrier_ms: NOW_MS })),
        ("command/rebooting", ReportPayload::CommandRebooting(CommandRebooting { order: order_id(), step: 1, count: 2 })),
        ("health/node-health", ReportPayload::NodeHealth(health())),
        ("inventory/inventory-report", ReportPayload::Inventory(inventory())),
    ]
}

/// HMAC-SHA256, from its definition: so MACs are compared with something that this project has not written twice.
pub(crate) fn hmac(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let padded = |with: u8| {
        let mut block = [with; 64];
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        block
    };
    sha256(&[&padded(0x5c), &sha256(&[&padded(0x36), message])])
}
