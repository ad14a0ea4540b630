//! Who is who around a node without a broker: its state folder, the fleet's keys, and what they sign.

use crate::clock;
use ed25519_dalek::SigningKey;
use flotilla_agent::settings::Settings;
use flotilla_agent::state::{Connection, Layout, write_atomically};
use flotilla_link::BrokerAddress;
use flotilla_protocol::capability::OrderPayload;
use flotilla_protocol::capability::command::CommandOrder;
use flotilla_protocol::delivery::Delivery;
use flotilla_protocol::document::{Action, Plan, RunShellScript, Step, Template};
use flotilla_protocol::envelope::{Domain, seal};
use flotilla_protocol::id::{FleetId, NodeId, OrderId};
use flotilla_protocol::order::{CancelBody, OnCrash, OrderBody, Targets};
use flotilla_protocol::target;
use flotilla_protocol::trust::{Class, OperatorRule, Role, RoleEntry, TrustBundle, TrustKey};
use flotilla_protocol::wire::encode;
use std::collections::BTreeMap;

/// For how long an order is valid, in milliseconds.
const VALID_MS: u64 = 3_600_000;

/// The keys. They are no secrets: each fleet of this kind lives for one test and hears nobody but it.
#[derive(Debug)]
pub struct Identity {
    node_key: SigningKey,
    root: SigningKey,
    bridge: SigningKey,
    operator: SigningKey,
    bundle: Vec<u8>,
    root_hash: [u8; 32],
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

impl Default for Identity {
    fn default() -> Self {
        let [node_key, root, bridge, operator] = [100, 1, 2, 3].map(key);
        let named = |key: &SigningKey, person: &str| TrustKey::new(key.verifying_key().to_bytes().into(), person);
        let role = |role, index| RoleEntry { role, threshold: 1, keys: vec![index] };
        let roles = vec![role(Role::Root, 0), role(Role::Bridge, 1), role(Role::Freshness, 1)];
        let keys = vec![named(&root, "root"), named(&bridge, "bridge"), named(&operator, "operator")];
        let body = encode(&TrustBundle::beginning(keys, roles, vec![OperatorRule::any_of(Class::Command, vec![2])]));
        let bundle = seal(Domain::Trust, &body, &[&root]);
        let root_hash = flotilla_protocol::sha256(&[&body]);
        Self { node_key, root, bridge, operator, bundle, root_hash }
    }
}

impl Identity {
    /// The node.
    #[must_use]
    pub fn node(&self) -> NodeId {
        NodeId::of_key(&self.node_key.verifying_key().to_bytes())
    }

    /// The node's key.
    #[must_use]
    pub fn node_key(&self) -> &SigningKey {
        &self.node_key
    }

    /// The fleet.
    #[must_use]
    pub fn fleet(&self) -> FleetId {
        FleetId::of_root_hash(&self.root_hash)
    }

    /// Writes what registering would have written.
    ///
    /// # Panics
    /// When the folder cannot be written.
    pub fn enrol(&self, settings: &Settings) {
        let layout = Layout::new(settings);
        layout.create().expect("the state folder can be made");
        let broker = BrokerAddress { host: "127.0.0.1".to_owned(), port: 1 };
        let now_ms = clock::unix_ms();
        let connection = Connection { broker, claim: None, fleet: self.fleet(), node: self.node(), enrolled_at_s: now_ms / 1000 };
        let floor = now_ms.saturating_sub(VALID_MS).to_le_bytes();
        for (path, bytes) in [
            (layout.link("connection.toml"), connection.to_toml().as_bytes()),
            (layout.exec("identity.key"), self.node_key.as_bytes().as_slice()),
            (layout.exec("sealing.key"), self.root.as_bytes()),
            (layout.exec("root.hash"), &self.root_hash),
            (layout.exec("floor"), &floor),
            (layout.bundle(1), &self.bundle),
            (layout.registered(), b"registered\n"),
        ] {
            write_atomically(&path, bytes).expect("the state folder can be written");
        }
    }

    /// What the bridge signs.
    #[must_use]
    pub fn signed_by_bridge(&self, domain: Domain, body: &[u8]) -> Vec<u8> {
        seal(domain, body, &[&self.bridge])
    }

    /// A delivery of an order to run a script, and when it expires (Unix milliseconds).
    #[must_use]
    pub fn delivery(&self, id: OrderId, script: &str) -> (Vec<u8>, u64) {
        let action = Action::RunShellScript(RunShellScript {
            run_command: vec![Template::text(script)],
            working_directory: None,
            environment: BTreeMap::new(),
            timeout_s: 60,
        });
        let plan = Plan { steps: vec![Step::new("run", &action)] };
        let command = CommandOrder { document: "fault".to_owned(), document_version: "1".to_owned(), parameters: Vec::new(), plan };
        let leaf = target::leaf(&self.node_key.verifying_key().to_bytes(), b"");
        let now_ms = clock::unix_ms();
        let body = OrderBody {
            id,
            fleet: self.fleet(),
            targets: Targets { count: 1, root: leaf },
            requester: "operator".to_owned(),
            lane: 0,
            sequence: 0,
            epoch: 0,
            not_before_ms: now_ms.saturating_sub(1000),
            not_after_ms: now_ms + VALID_MS,
            minimum_trust_version: 1,
            on_crash: OnCrash::Never,
            payload: OrderPayload::Command(command).encode(),
        };
        let envelope = seal(Domain::Order, &encode(&body), &[&self.operator]);
        (encode(&Delivery { envelope, index: 0, proof: Vec::new(), node_data: Vec::new() }), body.not_after_ms)
    }

    /// A cancel of an order.
    #[must_use]
    pub fn cancel(&self, order: OrderId) -> Vec<u8> {
        let body = CancelBody { fleet: self.fleet(), node: self.node(), order, not_after_ms: clock::unix_ms() + VALID_MS };
        seal(Domain::Cancel, &encode(&body), &[&self.operator])
    }
}
