//! Fields that are swapped: two valid messages of one type by the same signer, and every single field, every pair of fields and all but
//! one of the fields of the one in the other, under the signature of either.

use crate::messages::{self, NOW_MS, key};
use crate::world::{GOLDEN, Refused, World, forged, signature_of};
use ed25519_dalek::Signer as _;
use flotilla_protocol::capability::ReportPayload;
use flotilla_protocol::delivery::Delivery;
use flotilla_protocol::enrolment::{ClaimBody, ClaimReplyBody, ClaimRequest, RenewalBody, claim_mac, tls_proof_bytes};
use flotilla_protocol::envelope::{Domain, Envelope};
use flotilla_protocol::hello::{Facts, Held, HelloBody, WelcomeBody};
use flotilla_protocol::id::{ActivationId, BootId, FleetId, NodeId, OrderId};
use flotilla_protocol::order::{CancelBody, OnCrash, OrderBody, Targets};
use flotilla_protocol::report::{Gap, OutputBody, OutputReceiptBody, OutputStream, ReceiptBody, ReportBody, Stream};
use flotilla_protocol::signature::SshHash;
use flotilla_protocol::target::{TargetTree, leaf};
use flotilla_protocol::tenure::TenureBody;
use flotilla_protocol::trust::TrustBundle;
use flotilla_protocol::wire::{ByteVec, Check, decode, encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;

/// Puts the field of the second into the first.
type Swap<Body> = fn(&mut Body, &Body);

/// All fields of a type: what puts each into another value. A new field does not compile until it stands here.
macro_rules! fields {
    ($body:ident { $($field:ident),+ }) => {{
        #[expect(dead_code, reason = "it only has to compile")]
        fn has_no_other($body { $($field: _),+ }: &$body) {}
        let swaps: Vec<(&'static str, Swap<$body>)> =
            vec![$((stringify!($field), |to: &mut $body, from: &$body| to.$field.clone_from(&from.$field))),+];
        swaps
    }};
}

/// Every choice of one field, of two, and of all but one, as bits.
fn choices(fields: usize) -> BTreeSet<u64> {
    let one = |field: usize| 1_u64 << field;
    let all = one(fields) - 1;
    let pairs = (0..fields).flat_map(|first| (0..fields).map(move |second| one(first) | one(second)));
    let chosen = pairs.chain((0..fields).map(|field| all & !one(field)));
    chosen.filter(|choice| *choice != 0 && *choice != all).collect()
}

/// Swaps the fields of two messages in every way of [`choices`], in both directions, and returns how many attacks that were.
fn swapped<Body>(domain: Domain, one: &Body, other: &Body, fields: &[(&'static str, Swap<Body>)]) -> usize
where
    Body: Clone + PartialEq + Serialize + DeserializeOwned + Check,
{
    let world = World::new(GOLDEN);
    let signer = key(world.signer(domain));
    let counts = |envelope: &[u8]| {
        let envelope = Envelope::parse(envelope, domain).unwrap();
        world.signature(domain, &envelope).is_ok() && decode::<Body>(envelope.body()).is_ok()
    };
    let mut attacks = 0;
    for (to, from) in [(one, other), (other, one)] {
        let signed = world.signed(domain, &encode(to));
        assert!(counts(&signed), "{domain:?} as it is");
        let signature = signature_of(&signed, domain);
        for choice in choices(fields.len()) {
            let mut mixed = to.clone();
            let mut names = Vec::new();
            for (_, (name, swap)) in fields.iter().enumerate().filter(|(index, _)| choice >> index & 1 == 1) {
                let before = mixed.clone();
                swap(&mut mixed, from);
                assert!(mixed != before, "{domain:?}: {name} is the same in both");
                names.push(*name);
            }
            // It is a good message but for its signature, so that nothing else can be why it is refused.
            assert!(counts(&world.signed(domain, &encode(&mixed))), "{domain:?} with another {names:?}, signed anew");
            assert!(!counts(&forged(domain, &encode(&mixed), &signer, 1, &signature)), "{domain:?} with another {names:?}");
            attacks += 1;
        }
        assert!(!counts(&forged(domain, &encode(from), &signer, 1, &signature)), "{domain:?}: the whole body");
        attacks += 1;
    }
    attacks
}

fn other_node() -> NodeId {
    NodeId::of_key(&[9; 32])
}

fn other_order() -> OrderId {
    OrderId([9; 16])
}

/// What operators sign.
fn orders() -> usize {
    let order = OrderBody {
        id: other_order(),
        fleet: FleetId([9; 8]),
        targets: Targets { count: 2, root: [9; 32] },
        requester: "Ann".into(),
        lane: 3,
        sequence: 9,
        epoch: 1,
        not_before_ms: NOW_MS + 1,
        not_after_ms: NOW_MS + 3_600_001,
        minimum_trust_version: 2,
        on_crash: OnCrash::Resume,
        payload: messages::downloads().payload,
    };
    let fields = fields!(OrderBody {
        id,
        fleet,
        targets,
        requester,
        lane,
        sequence,
        epoch,
        not_before_ms,
        not_after_ms,
        minimum_trust_version,
        on_crash,
        payload
    });
    swapped(Domain::Order, &messages::order(), &order, &fields)
}

/// What the bridge signs for nodes.
fn of_the_bridge() -> usize {
    let (node, order) = (other_node(), other_order());
    let cancel = CancelBody { fleet: FleetId([9; 8]), node, order, not_after_ms: NOW_MS };
    let receipt = ReceiptBody { node, stream: Stream::Telemetry, boot: BootId([9; 16]), up_to: 4, head: [8; 32] };
    let output = OutputReceiptBody { node, order, step: 1, stream: OutputStream::Stdout, up_to: u64::MAX };
    let tenure = TenureBody { generation: u64::MAX, instance: [9; 16] };
    let renewal = RenewalBody { node, authorities: [9; 32] };
    let [enrolled, refused] = messages::replies();
    let bundles = [enrolled.bundles.clone(), vec![ByteVec(messages::next_envelope(SshHash::Sha512))]].concat();
    let refused = ClaimReplyBody { nonce: [9; 32], bundles, ..refused };
    swapped(Domain::Cancel, &messages::cancel(), &cancel, &fields!(CancelBody { fleet, node, order, not_after_ms }))
        + swapped(Domain::Receipt, &messages::receipt(), &receipt, &fields!(ReceiptBody { node, stream, boot, up_to, head }))
        + swapped(
            Domain::OutputReceipt,
            &messages::output_receipt(),
            &output,
            &fields!(OutputReceiptBody { node, order, step, stream, up_to }),
        )
        + swapped(Domain::Tenure, &messages::tenure(), &tenure, &fields!(TenureBody { generation, instance }))
        + swapped(Domain::Renewal, &messages::renewal(), &renewal, &fields!(RenewalBody { node, authorities }))
        + swapped(Domain::ClaimReply, &enrolled, &refused, &fields!(ClaimReplyBody { nonce, bundles, outcome }))
}

/// What the freshness role and the root sign.
fn welcomes_and_bundles() -> usize {
    let welcome = WelcomeBody {
        node: other_node(),
        nonce: [9; 32],
        time_ms: NOW_MS + 1,
        bundles: vec![ByteVec(vec![9])],
        resend_minimum_ms: 5_001,
        resend_maximum_ms: 600_001,
        reconnect_spread_s: 61,
        chains: vec![(Stream::Control, 5)],
        offers: Vec::new(),
    };
    let fields =
        fields!(WelcomeBody { node, nonce, time_ms, bundles, resend_minimum_ms, resend_maximum_ms, reconnect_spread_s, chains, offers });
    let expires_ms = messages::bundle().expires_ms + 1;
    let next = TrustBundle { expires_ms, minimum_agent_version: [0, 2, 0], ..messages::next_bundle() };
    let fields_of_bundles =
        fields!(TrustBundle { version, previous, expires_ms, epoch, minimum_agent_version, keys, roles, rules, labels, extensions });
    swapped(Domain::Welcome, &messages::welcome(), &welcome, &fields)
        + swapped(Domain::Trust, &messages::bundle(), &next, &fields_of_bundles)
}

/// What nodes sign, and devices that are none yet.
fn of_nodes() -> usize {
    let hello = HelloBody {
        node: other_node(),
        boot: BootId([9; 16]),
        nonce: [9; 32],
        oldest_version: 2,
        newest_version: 3,
        trust_version: 2,
        floor_ms: NOW_MS,
        held: Vec::new(),
        control: Held { oldest: 6, before: [7; 32], next: 8 },
        droppable: Vec::new(),
        facts: Facts::default(),
        refused: Vec::new(),
    };
    let fields_of_hello = fields!(HelloBody {
        node,
        boot,
        nonce,
        oldest_version,
        newest_version,
        trust_version,
        floor_ms,
        held,
        control,
        droppable,
        facts,
        refused
    });
    let first = ReportBody { oldest_held: 2, ..messages::report(5, &messages::payloads()[0].1) };
    let second = ReportBody {
        node: other_node(),
        stream: Stream::Telemetry,
        boot: BootId([9; 16]),
        sequence: 6,
        previous: [8; 32],
        oldest_held: 3,
        time_ms: None,
        payload: ReportPayload::Gap(Gap { from: 2, head: [8; 32] }).encode(),
    };
    let fields_of_reports = fields!(ReportBody { node, stream, boot, sequence, previous, oldest_held, time_ms, payload });
    let output = OutputBody { node: other_node(), order: other_order(), step: 1, stream: OutputStream::Stdout, offset: 0, bytes: vec![1] };
    let fields_of_output = fields!(OutputBody { node, order, step, stream, offset, bytes });
    swapped(Domain::Hello, &messages::hello(), &hello, &fields_of_hello)
        + swapped(Domain::Report, &first, &second, &fields_of_reports)
        + swapped(Domain::Output, &messages::output(), &output, &fields_of_output)
        + claims()
}

/// A claim's fields, and those of the request in it: of the same device for another activation, with another link key.
fn claims() -> usize {
    let first: ClaimRequest = decode(&messages::claim().request).unwrap();
    let (tls, nonce) = (key(18), [9; 32]);
    let tls_key = tls.verifying_key().to_bytes();
    let tls_proof = tls.sign(&tls_proof_bytes(&first.identity_key, &tls_key, &nonce)).to_bytes();
    let (activation, facts) = (ActivationId([9; 16]), Facts::default());
    let second = ClaimRequest { activation, sealing_key: [9; 32], tls_key, tls_proof, nonce, facts, ..first.clone() };
    let claim = |request: &ClaimRequest| {
        let request = encode(request);
        ClaimBody { mac: claim_mac(&messages::activation().code, &request), request }
    };
    let whole = swapped(Domain::Claim, &claim(&first), &claim(&second), &fields!(ClaimBody { request, mac }));
    let world = World::new(GOLDEN);
    let signature = signature_of(&world.signed(Domain::Claim, &encode(&claim(&first))), Domain::Claim);
    // The identity key is that of the signer, and stays.
    let inner: Vec<_> = fields!(ClaimRequest { activation, identity_key, sealing_key, tls_key, tls_proof, nonce, facts });
    let inner: Vec<_> = inner.into_iter().filter(|(name, _)| *name != "identity_key").collect();
    for (name, swap) in &inner {
        let mut mixed = first.clone();
        swap(&mut mixed, &second);
        assert!(mixed != first, "{name}");
        // Even whoever knows the code, and so makes the MAC anew, does not have the identity's signature.
        let forged = forged(Domain::Claim, &encode(&claim(&mixed)), &messages::identity(), 1, &signature);
        assert_eq!(world.judge(Domain::Claim, &forged), Err(Refused::Signature), "a claim with another {name}");
    }
    whole + inner.len()
}

#[test]
fn no_message_counts_with_fields_of_another() {
    let attacks = orders() + of_the_bridge() + welcomes_and_bundles() + of_nodes();
    println!("signatures: {attacks} swaps of fields of signed messages, accepted 0");
    assert!(attacks >= 700, "{attacks} swaps");
}

/// Another delivery to the golden node: another order, another place among other targets, and data of the node.
fn other_delivery() -> Delivery {
    let own = messages::identity().verifying_key().to_bytes();
    let stranger = |seed: u8| leaf(key(seed).verifying_key().as_bytes(), b"");
    let index = (messages::delivery().index + 1) % 4;
    let mut leaves: Vec<[u8; 32]> = [21, 22, 23].map(stranger).into();
    let node_data = messages::delivery_with_secrets().node_data;
    leaves.insert(usize::try_from(index).unwrap(), leaf(&own, &node_data));
    let tree = TargetTree::new(leaves);
    let order = OrderBody { id: other_order(), targets: Targets { count: 4, root: tree.root() }, ..messages::order() };
    let envelope = World::new(GOLDEN).signed(Domain::Order, &encode(&order));
    Delivery { envelope, index, proof: tree.proof(usize::try_from(index).unwrap()).unwrap(), node_data }
}

#[test]
fn no_delivery_counts_with_parts_of_another() {
    let world = World::new(GOLDEN);
    let (one, other) = (messages::delivery(), other_delivery());
    let fields = fields!(Delivery { envelope, index, proof, node_data });
    let mut attacks = 0;
    for (to, from) in [(&one, &other), (&other, &one)] {
        assert_eq!(world.judge_delivery(to), Ok(()));
        for choice in choices(fields.len()) {
            let mut mixed = to.clone();
            let chosen = fields.iter().enumerate().filter(|(index, _)| choice >> index & 1 == 1);
            chosen.for_each(|(_, (_, swap))| swap(&mut mixed, from));
            assert!(mixed != *to && mixed != *from);
            assert!(world.judge_delivery(&mixed).is_err(), "choice {choice:#b}");
            attacks += 1;
        }
    }
    println!("signatures: {attacks} swaps of parts of deliveries, accepted 0");
    assert_eq!(attacks, 28);
}
