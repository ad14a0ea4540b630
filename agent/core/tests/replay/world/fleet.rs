//! Keys, trust, and the orders of a fleet of one node.

use ed25519_dalek::SigningKey;
use flotilla_agent_core::{Recovery, Settings, Telemetry};
use flotilla_protocol::capability::OrderPayload;
use flotilla_protocol::capability::command::CommandOrder;
use flotilla_protocol::delivery::Delivery;
use flotilla_protocol::document::{Action as StepAction, Plan, RunShellScript, Step, Template};
use flotilla_protocol::envelope::{Domain, seal};
use flotilla_protocol::hello::Facts;
use flotilla_protocol::id::{BootId, NodeId, OrderId};
use flotilla_protocol::order::{OnCrash, OrderBody, Targets};
use flotilla_protocol::target;
use flotilla_protocol::trust::{Class, OperatorRule, Role, RoleEntry, Trust, TrustBundle, TrustKey};
use flotilla_protocol::wire::encode;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Orders 0 to 3 are there from the start; the later ones are made in time, so that a node that has lost its memory takes them again.
pub(super) const ORDERS: u8 = 6;
/// Often, and with room for few.
pub(super) const TELEMETRY: Telemetry = Telemetry { interval_ms: 45_000, spool_bytes: 1_500, restarts: Some(2) };
const OF_THE_START: u8 = 4;
pub(super) const START_MS: u64 = 1_800_000_000_000;
/// Longer than the step of the durable floor, so that the floor moves while orders are valid.
pub(super) const VALID_MS: u64 = 3 * 3_600_000;

pub(super) fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

/// Made once: each history would otherwise spend its time on signatures.
pub(super) fn trust() -> Trust {
    static TRUST: OnceLock<Trust> = OnceLock::new();
    TRUST.get_or_init(make_trust).clone()
}

pub(super) fn delivery(number: u8) -> Vec<u8> {
    static DELIVERIES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    DELIVERIES.get_or_init(|| (0..ORDERS).map(make_delivery).collect())[usize::from(number)].clone()
}

fn make_trust() -> Trust {
    let keys = (1..=4).map(|seed| TrustKey::new(key(seed).verifying_key().to_bytes().into(), &format!("{seed}"))).collect();
    let role = |role, index| RoleEntry { role, threshold: 1, keys: vec![index] };
    let roles = vec![role(Role::Root, 0), role(Role::Bridge, 2), role(Role::Freshness, 3)];
    let bundle = TrustBundle::beginning(keys, roles, vec![OperatorRule::any_of(Class::Command, vec![1])]);
    let body = encode(&bundle);
    Trust::from_pinned(&flotilla_protocol::sha256(&[&body]), [seal(Domain::Trust, &body, &[&key(1)]).as_slice()]).unwrap()
}

pub(super) fn node_key() -> SigningKey {
    key(100)
}

pub(super) fn node() -> NodeId {
    NodeId::of_key(&node_key().verifying_key().to_bytes())
}

pub(super) fn order_id(number: u8) -> OrderId {
    if number < OF_THE_START {
        return OrderId([number; 16]);
    }
    let [_, _, made_ms @ ..] = made_ms(number).to_be_bytes();
    let mut id = [0; 16];
    id[..6].copy_from_slice(&made_ms);
    (id[6], id[15]) = (0x70, number);
    OrderId(id)
}

pub(super) fn made_ms(number: u8) -> u64 {
    if number < OF_THE_START { START_MS } else { START_MS + u64::from(number - 3) * 90_000 }
}

pub(super) fn recovery(boot: u8, tells_health: bool) -> Recovery {
    let recovery = Recovery::new(Settings {
        identity: node_key(),
        trust: trust().into(),
        boot: BootId([boot; 16]),
        facts: Facts::default(),
        agent_version: [0, 1, 0],
        maximum_jobs: 2,
        first_floor_ms: START_MS - 1000,
    });
    if tells_health { recovery.with_telemetry(TELEMETRY) } else { recovery }
}

fn make_delivery(number: u8) -> Vec<u8> {
    let script =
        RunShellScript { run_command: vec![Template::text("true")], working_directory: None, environment: BTreeMap::new(), timeout_s: 60 };
    let plan = Plan { steps: vec![Step::new("run", &StepAction::RunShellScript(script))] };
    let command = CommandOrder { document: "d".into(), document_version: "1".into(), parameters: Vec::new(), plan };
    let leaf = target::leaf(&node_key().verifying_key().to_bytes(), b"");
    let order = OrderBody {
        id: order_id(number),
        fleet: trust().fleet(),
        targets: Targets { count: 1, root: leaf },
        requester: "operator".into(),
        // Orders 2 and 3 share a lane.
        lane: u16::from(number == 2 || number == 3),
        sequence: u64::from(number),
        epoch: 0,
        not_before_ms: made_ms(number),
        not_after_ms: START_MS + VALID_MS,
        minimum_trust_version: 1,
        on_crash: OnCrash::Never,
        payload: OrderPayload::Command(command).encode(),
    };
    let envelope = seal(Domain::Order, &encode(&order), &[&key(2)]);
    encode(&Delivery { envelope, index: 0, proof: Vec::new(), node_data: Vec::new() })
}
