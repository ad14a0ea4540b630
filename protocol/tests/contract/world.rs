//! A fleet with its keys, one message of every domain, and what their readers make of an envelope: the checks of nodes, bridge and new
//! devices that this contract can make, in their order. What needs a memory (an order that comes twice) is judged by the agent's core.

use crate::messages::{self, key, node};
use ed25519_dalek::{Signature, SigningKey};
use flotilla_protocol::delivery::Delivery;
use flotilla_protocol::enrolment::{ClaimBody, ClaimReplyBody, ClaimRequest, RenewalBody, claim_mac_matches, tls_proof_bytes};
use flotilla_protocol::envelope::{Domain, Envelope, seal};
use flotilla_protocol::hello::{HelloBody, WelcomeBody};
use flotilla_protocol::id::NodeId;
use flotilla_protocol::order::{CancelBody, OrderBody};
use flotilla_protocol::report::{OutputBody, OutputReceiptBody, ReceiptBody, ReportBody};
use flotilla_protocol::sha256;
use flotilla_protocol::signature::strong_key;
use flotilla_protocol::target::{is_proven, leaf};
use flotilla_protocol::tenure::TenureBody;
use flotilla_protocol::trust::{Asked, Class, Labels, OperatorRule, Role, RoleEntry, Trust, TrustBundle, TrustKey};
use flotilla_protocol::wire::{ByteVec, Check, decode, encode};
use serde::de::DeserializeOwned;

/// Why a reader refuses an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// No envelope of the domain.
    Envelope,
    /// Nobody has signed it who may.
    Signature,
    /// Not the body of the domain.
    Body,
    /// Of another fleet.
    Fleet,
    /// Of or for another node.
    Node,
    /// Answers another question.
    Nonce,
    /// Another activation's code.
    Code,
    /// Another trust root.
    Root,
}

/// The seeds of the keys of a fleet. The node's is always that of [`messages::identity`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seeds {
    pub(crate) root: u8,
    pub(crate) operator: u8,
    pub(crate) bridge: u8,
    pub(crate) freshness: u8,
}

/// The node's.
pub(crate) const IDENTITY: u8 = 5;
/// Those of the golden messages.
pub(crate) const GOLDEN: Seeds = Seeds { root: 1, operator: 2, bridge: 3, freshness: 4 };
/// One key has every right, and is the node's besides: nothing but what a signature covers tells its messages apart.
pub(crate) const ONE_KEY: Seeds = Seeds { root: IDENTITY, operator: IDENTITY, bridge: IDENTITY, freshness: IDENTITY };

pub(crate) struct World {
    pub(crate) seeds: Seeds,
    trust: Trust,
    /// The envelope of bundle 1.
    first: Vec<u8>,
}

impl World {
    pub(crate) fn new(seeds: Seeds) -> Self {
        Self::expiring(seeds, messages::bundle().expires_ms)
    }

    /// With another time, another fleet of the same people.
    pub(crate) fn expiring(seeds: Seeds, expires_ms: u64) -> Self {
        let mut keys: Vec<TrustKey> = Vec::new();
        let mut index = |seed: u8, person| {
            let named = TrustKey::new(key(seed).verifying_key().to_bytes().into(), person);
            let found = keys.iter().position(|known| known.public_key == named.public_key).unwrap_or(keys.len());
            if found == keys.len() {
                keys.push(named);
            }
            u16::try_from(found).unwrap()
        };
        let [root, operator] = [index(seeds.root, "root"), index(seeds.operator, "operator")];
        let [bridge, freshness] = [index(seeds.bridge, "bridge"), index(seeds.freshness, "freshness")];
        let one = |role, key| RoleEntry { role, threshold: 1, keys: vec![key] };
        let roles = vec![one(Role::Root, root), one(Role::Bridge, bridge), one(Role::Freshness, freshness)];
        let rules = vec![OperatorRule::any_of(Class::Command, vec![operator])];
        let bundle = TrustBundle { expires_ms, keys, roles, rules, ..messages::bundle() };
        let first = seal(Domain::Trust, &encode(&bundle), &[&key(seeds.root)]);
        let trust = Trust::from_pinned(&sha256(&[&encode(&bundle)]), [first.as_slice()]).unwrap();
        Self { seeds, trust, first }
    }

    /// The body of a message of the domain: the golden one where these are the golden seeds.
    pub(crate) fn body(&self, domain: Domain) -> Vec<u8> {
        let fleet = self.trust.fleet();
        match domain {
            Domain::Order => encode(&OrderBody { fleet, ..messages::order() }),
            Domain::Cancel => encode(&CancelBody { fleet, ..messages::cancel() }),
            Domain::Receipt => encode(&messages::receipt()),
            Domain::Welcome => encode(&messages::welcome()),
            Domain::Hello => encode(&messages::hello()),
            Domain::Report => encode(&messages::report(1, &messages::payloads()[0].1)),
            Domain::Output => encode(&messages::output()),
            Domain::OutputReceipt => encode(&messages::output_receipt()),
            Domain::Trust => encode(self.trust.bundle()),
            Domain::Claim => encode(&messages::claim()),
            Domain::ClaimReply => {
                let [enrolled, _] = messages::replies();
                encode(&ClaimReplyBody { bundles: vec![ByteVec(self.first.clone())], ..enrolled })
            }
            Domain::Tenure => encode(&messages::tenure()),
            Domain::Renewal => encode(&messages::renewal()),
        }
    }

    /// The seed of the key that signs messages of the domain.
    pub(crate) fn signer(&self, domain: Domain) -> u8 {
        match domain {
            Domain::Order => self.seeds.operator,
            Domain::Cancel | Domain::Receipt | Domain::OutputReceipt | Domain::ClaimReply | Domain::Tenure | Domain::Renewal => {
                self.seeds.bridge
            }
            Domain::Welcome => self.seeds.freshness,
            Domain::Hello | Domain::Report | Domain::Output | Domain::Claim => IDENTITY,
            Domain::Trust => self.seeds.root,
        }
    }

    /// A body, signed by whoever signs messages of the domain.
    pub(crate) fn signed(&self, domain: Domain, body: &[u8]) -> Vec<u8> {
        seal(domain, body, &[&key(self.signer(domain))])
    }

    pub(crate) fn message(&self, domain: Domain) -> Vec<u8> {
        self.signed(domain, &self.body(domain))
    }

    /// Whether somebody has signed who may, and nothing else.
    pub(crate) fn signature(&self, domain: Domain, envelope: &Envelope<'_>) -> Result<(), Refused> {
        let by = |trust: &Trust, role| trust.require(role, envelope).is_ok();
        let is_signed = match domain {
            Domain::Order => self.trust.has_operator(&self.trust.signers(envelope), None),
            Domain::Cancel => {
                let is_operators = self.trust.has_operator(&self.trust.signers(envelope), Some(Class::Command));
                is_operators || self.trust.knows_a_signer_of(Role::Bridge, envelope)
            }
            Domain::Receipt | Domain::OutputReceipt | Domain::Tenure | Domain::Renewal => by(&self.trust, Role::Bridge),
            Domain::Welcome => by(&self.trust, Role::Freshness),
            Domain::Hello | Domain::Report | Domain::Output => envelope.is_signed_by(&messages::identity().verifying_key()),
            Domain::Trust => by(&self.trust, Role::Root),
            // Of these two the body names the keys.
            Domain::Claim => {
                let request: ClaimRequest = body(&body::<ClaimBody>(envelope.body())?.request)?;
                strong_key(&request.identity_key).is_ok_and(|key| envelope.is_signed_by(&key))
            }
            Domain::ClaimReply => {
                let reply: ClaimReplyBody = body(envelope.body())?;
                let bundles = reply.bundles.iter().map(|bundle| bundle.0.as_slice());
                let trust = Trust::from_pinned(&self.trust.hash(), bundles).map_err(|_| Refused::Root)?;
                by(&trust, Role::Bridge)
            }
        };
        if is_signed { Ok(()) } else { Err(Refused::Signature) }
    }

    /// What the reader of messages of `domain` says of these bytes.
    pub(crate) fn judge(&self, domain: Domain, bytes: &[u8]) -> Result<(), Refused> {
        if domain == Domain::Order {
            let (tree, index) = messages::tree();
            let proof = tree.proof(usize::try_from(index).unwrap()).unwrap();
            return self.judge_delivery(&Delivery { envelope: bytes.to_vec(), index, proof, node_data: Vec::new() });
        }
        let envelope = Envelope::parse(bytes, domain).map_err(|_| Refused::Envelope)?;
        self.signature(domain, &envelope)?;
        let of_node = |found: NodeId| require(found == node(), Refused::Node);
        match domain {
            Domain::Order => unreachable!("judged above"),
            Domain::Cancel => {
                let cancel: CancelBody = body(envelope.body())?;
                require(cancel.fleet == self.trust.fleet(), Refused::Fleet)?;
                of_node(cancel.node)
            }
            Domain::Receipt => of_node(body::<ReceiptBody>(envelope.body())?.node),
            Domain::OutputReceipt => of_node(body::<OutputReceiptBody>(envelope.body())?.node),
            Domain::Renewal => of_node(body::<RenewalBody>(envelope.body())?.node),
            Domain::Hello => of_node(body::<HelloBody>(envelope.body())?.node),
            Domain::Report => of_node(body::<ReportBody>(envelope.body())?.node),
            Domain::Output => of_node(body::<OutputBody>(envelope.body())?.node),
            Domain::Welcome => {
                let welcome: WelcomeBody = body(envelope.body())?;
                of_node(welcome.node)?;
                require(welcome.nonce == messages::hello().nonce, Refused::Nonce)
            }
            Domain::Trust => {
                let followed = Trust::from_pinned(&self.trust.hash(), [bytes]);
                followed.map(drop).map_err(|_| Refused::Root)
            }
            Domain::Claim => {
                let claim: ClaimBody = body(envelope.body())?;
                require(claim_mac_matches(&messages::activation().code, &claim), Refused::Code)?;
                let ClaimRequest { identity_key, tls_key, tls_proof, nonce, .. } = body(&claim.request)?;
                let proof = tls_proof_bytes(&identity_key, &tls_key, &nonce);
                let is_held = strong_key(&tls_key).is_ok_and(|key| key.verify_strict(&proof, &Signature::from_bytes(&tls_proof)).is_ok());
                require(is_held, Refused::Signature)?;
                of_node(NodeId::of_key(&identity_key))
            }
            Domain::ClaimReply => {
                let reply: ClaimReplyBody = body(envelope.body())?;
                let request: ClaimRequest = body(&messages::claim().request)?;
                require(reply.nonce == request.nonce, Refused::Nonce)
            }
            Domain::Tenure => body::<TenureBody>(envelope.body()).map(drop),
        }
    }

    /// What a node says of a delivery.
    pub(crate) fn judge_delivery(&self, delivery: &Delivery) -> Result<(), Refused> {
        let envelope = Envelope::parse(&delivery.envelope, Domain::Order).map_err(|_| Refused::Envelope)?;
        self.signature(Domain::Order, &envelope)?;
        let order: OrderBody = body(envelope.body())?;
        require(order.fleet == self.trust.fleet(), Refused::Fleet)?;
        let class = order.payload().ok().and_then(|payload| payload.class()).ok_or(Refused::Body)?;
        let labels = Labels::default();
        let asked = Asked { class, requester: &order.requester, labels: Some(&labels), time_ms: Some(messages::NOW_MS) };
        self.trust.authorise(&self.trust.signers(&envelope), &asked).map_err(|_| Refused::Signature)?;
        let leaf = leaf(messages::identity().verifying_key().as_bytes(), &delivery.node_data);
        let proven = is_proven(leaf, delivery.index, order.targets.count, &delivery.proof, &order.targets.root);
        require(proven, Refused::Node)
    }
}

/// The envelope of `body` in the domain, with a signature that says to be of `named`, whoever made it and over whatever.
pub(crate) fn forged(domain: Domain, body: &[u8], named: &SigningKey, algorithm: u8, signature: &[u8]) -> Vec<u8> {
    messages::with_signature(&seal(domain, body, &[]), domain, algorithm, named, signature)
}

/// The bytes of the only signature of an envelope.
pub(crate) fn signature_of(envelope: &[u8], domain: Domain) -> Vec<u8> {
    let parsed = Envelope::parse(envelope, domain).unwrap();
    let [entry] = parsed.signatures() else { panic!("one signature") };
    entry.bytes.to_vec()
}

fn require(holds: bool, otherwise: Refused) -> Result<(), Refused> {
    if holds { Ok(()) } else { Err(otherwise) }
}

fn body<Body: DeserializeOwned + Check>(bytes: &[u8]) -> Result<Body, Refused> {
    decode(bytes).map_err(|_| Refused::Body)
}
