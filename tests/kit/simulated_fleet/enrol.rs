//! The claims of many devices: the real messages, checked as the agent checks them, many over one connection of the claim listener.

use ed25519_dalek::{Signer as _, SigningKey};
use flotilla_link::{BackoffLimits, BrokerAddress, Event, Publish, unverified_client};
use flotilla_protocol::enrolment::{Activation, ClaimBody, ClaimReplyBody, ClaimRequest, Enrolled, claim_mac, tls_proof_bytes};
use flotilla_protocol::envelope::{Domain, Envelope, seal};
use flotilla_protocol::hello::Facts;
use flotilla_protocol::id::{ClaimId, FleetId, NodeId};
use flotilla_protocol::topic::Topic;
use flotilla_protocol::trust::{Role, Trust};
use flotilla_protocol::wire::{decode, encode};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Connections that claim, about: the broker takes 60 at once from one address.
const CONNECTIONS: usize = 45;
/// Devices that share a connection, at least.
const DEVICES_OF_A_CONNECTION: usize = 10;
/// Between two claims: the broker takes ten messages a second of a connection that claims.
const PACE: Duration = Duration::from_millis(125);
/// How long all claims together may take.
const LIMIT: Duration = Duration::from_secs(90);

/// A device that has become a node.
pub(super) struct Member {
    pub(super) id: NodeId,
    pub(super) facts: Facts,
    pub(super) identity: SigningKey,
    pub(super) tls: SigningKey,
    pub(super) trust: Trust,
    pub(super) enrolled: Enrolled,
}

/// A device whose claim has no answer yet.
struct Device {
    facts: Facts,
    identity: SigningKey,
    tls: SigningKey,
    envelope: Vec<u8>,
}

/// Enrols as many devices with each activation as stands beside it.
pub(super) async fn enrol(activations: &[(Activation, usize)]) -> Vec<Member> {
    let total: usize = activations.iter().map(|(_, count)| count).sum();
    let share = total.div_ceil(CONNECTIONS).max(DEVICES_OF_A_CONNECTION);
    let mut connections = JoinSet::new();
    let mut first = 0;
    for (activation, count) in activations {
        let end = first + count;
        for begin in (first..end).step_by(share) {
            let devices = (begin..(begin + share).min(end)).map(|number| device(activation, number)).collect();
            let claim = claim_all(activation.clone(), devices);
            drop(connections.spawn(async { tokio::time::timeout(LIMIT, claim).await.expect("the bridge answers every claim in time") }));
        }
        first = end;
    }
    let mut members: Vec<Member> = connections.join_all().await.into_iter().flatten().collect();
    members.sort_by(|one, other| one.facts.computer_name.cmp(&other.facts.computer_name));
    members
}

fn device(activation: &Activation, number: usize) -> ([u8; 32], Device) {
    let (identity, tls, nonce) = (SigningKey::from_bytes(&random()), SigningKey::from_bytes(&random()), random());
    let facts = Facts {
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        platform_name: "Simulated".to_owned(),
        platform_version: "1".to_owned(),
        architecture: "x86_64".to_owned(),
        computer_name: format!("simulated-{number:05}"),
        ip_address: "192.0.2.1".to_owned(),
    };
    let (identity_key, tls_key) = (identity.verifying_key().to_bytes(), tls.verifying_key().to_bytes());
    let request = encode(&ClaimRequest {
        activation: activation.id,
        identity_key,
        sealing_key: random(),
        tls_key,
        tls_proof: tls.sign(&tls_proof_bytes(&identity_key, &tls_key, &nonce)).to_bytes(),
        nonce,
        facts: facts.clone(),
    });
    let mac = claim_mac(&activation.code, &request);
    let envelope = seal(Domain::Claim, &encode(&ClaimBody { request, mac }), &[&identity]);
    (nonce, Device { facts, identity, tls, envelope })
}

/// One connection: its claims go out one after the other, and again as long as they have no answer.
async fn claim_all(activation: Activation, mut devices: BTreeMap<[u8; 32], Device>) -> Vec<Member> {
    let (fleet, claim) = (FleetId::of_root_hash(&activation.root_hash), ClaimId(random()));
    let settings = flotilla_link::Settings {
        address: BrokerAddress { host: activation.host.clone(), port: activation.port },
        tls: unverified_client().expect("the build has TLS"),
        client_id: claim.to_string(),
        subscriptions: vec![Topic::ClaimDown { fleet, claim }.to_string()],
        will: None,
        keep_alive: Duration::from_secs(60),
        maximum_packet_bytes: 128 * 1024,
        in_flight: 16,
        backoff: BackoffLimits { minimum: Duration::from_millis(500), maximum: Duration::from_secs(5) },
    };
    let (publishes, taken) = mpsc::channel(16);
    let (given, mut events) = mpsc::channel(16);
    let link = tokio::spawn(flotilla_link::run(settings, taken, given));
    let up = Topic::ClaimUp { fleet, claim }.to_string();
    let (mut members, mut is_connected, mut last) = (Vec::new(), false, None);
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !devices.is_empty() {
        tokio::select! {
            event = events.recv() => match event.expect("the link lives as long as we do") {
                Event::Connected => is_connected = true,
                Event::Disconnected { .. } => is_connected = false,
                Event::Message { payload, .. } => members.extend(accept(&payload, &activation.root_hash, &mut devices)),
                Event::Acknowledged { .. } => {}
                Event::Refused { reason, .. } => panic!("the broker refused a claim: {reason}"),
            },
            _ = pace.tick(), if is_connected => {
                // Round and round through those without an answer.
                let next = last.and_then(|last| devices.range(last..).nth(1)).or_else(|| devices.first_key_value());
                if let Some((nonce, device)) = next {
                    last = Some(*nonce);
                    let publish = Publish { id: 0, topic: up.clone(), payload: device.envelope.clone().into(), retain: false };
                    drop(publishes.try_send(publish));
                }
            }
        }
    }
    link.abort();
    members
}

/// Believes an answer as the agent does: the chain of trust from the pinned root, and the bridge's signature. Nothing for an answer that
/// was given before.
fn accept(payload: &[u8], root_hash: &[u8; 32], devices: &mut BTreeMap<[u8; 32], Device>) -> Option<Member> {
    let envelope = Envelope::parse(payload, Domain::ClaimReply).expect("the bridge answers in envelopes");
    let body: ClaimReplyBody = decode(envelope.body()).expect("the bridge's answers can be read");
    let device = devices.remove(&body.nonce)?;
    let trust = Trust::from_pinned(root_hash, body.bundles.iter().map(|bundle| bundle.0.as_slice())).expect("the fleet's trust");
    trust.require(Role::Bridge, &envelope).expect("the bridge has signed its answer");
    let enrolled = body.outcome.unwrap_or_else(|refusal| panic!("a claim was refused: {refusal:?}"));
    let Device { facts, identity, tls, .. } = device;
    Some(Member { id: NodeId::of_key(identity.verifying_key().as_bytes()), facts, identity, tls, trust, enrolled })
}

pub(super) fn random<const LENGTH: usize>() -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}
