//! Orders that people sign: what counts, what is refused and by which name, and that nothing goes out before.

use super::super::api::cancel::cancel_command;
use super::super::reconcile::{judge_and_send, round};
use super::super::retention::prune;
use super::super::tests::{request, send};
use super::api::{get_prepared_order, list_prepared_order_targets, list_prepared_orders, put_order_signature, reject_prepared_order};
use super::judge_all;
use crate::device::test_kit::{Kit, NOW_MS, SimulatedNode};
use crate::fleet::signer::tests::{bundle, trust_of, write_home_of};
use crate::platform::http::ApiError;
use ed25519_dalek::{Signer as _, SigningKey};
use flotilla_api::Blob;
use flotilla_api::audit::Hex;
use flotilla_api::commands::{CancelCommandRequest, ListCommandsRequest};
use flotilla_api::orders::{
    ALREADY_SIGNED, AWAITING, CANCELLED, EXPIRED, GetPreparedOrderRequest, INVALID_SIGNATURE, KEY_NOT_AUTHORISED,
    ListPreparedOrderTargetsRequest, ListPreparedOrdersRequest, NOT_FOUND, ORDER_CANCELLED, ORDER_EXPIRED, ORDER_RELEASED, OTHER_BYTES,
    PreparedOrder, PutOrderSignatureRequest, REJECTED, RELEASED, RejectPreparedOrderRequest,
};
use flotilla_protocol::capability::ReportPayload;
use flotilla_protocol::delivery::Delivery;
use flotilla_protocol::envelope::{Domain, Envelope, seal};
use flotilla_protocol::id::{KeyId, NodeId, OrderId};
use flotilla_protocol::order::OrderBody;
use flotilla_protocol::status::Admission;
use flotilla_protocol::target::{TargetTree, is_proven, leaf};
use flotilla_protocol::topic::DownKind;
use flotilla_protocol::trust::{Asked, Class, Label, OperatorRule, TrustBundle, TrustKey};
use flotilla_protocol::wire::{decode, encode};
use std::time::Duration;

/// Ann has two keys.
const OPERATORS: [(u8, &str); 4] = [(10, "Ann"), (11, "Ann"), (12, "Bob"), (13, "Cleo")];

/// A fleet whose commands two of three persons must sign. The bridge still holds a key that could sign once, and may no more.
async fn kit() -> Kit {
    Kit::at(|home| write_home_of(home, &bundle(&OPERATORS, 2))).await
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

async fn shown(kit: &Kit, order: OrderId) -> PreparedOrder {
    let request = GetPreparedOrderRequest { order_id: order.to_string() };
    get_prepared_order(&kit.fleet, &Kit::caller(), request).await.unwrap().order
}

async fn envelope(kit: &Kit, order: OrderId) -> Vec<u8> {
    let request = GetPreparedOrderRequest { order_id: order.to_string() };
    get_prepared_order(&kit.fleet, &Kit::caller(), request).await.unwrap().envelope.0
}

/// The signature of a key over the order as the bridge gives it.
async fn signature(kit: &Kit, order: OrderId, seed: u8) -> PutOrderSignatureRequest {
    let bytes = envelope(kit, order).await;
    let envelope = Envelope::parse(&bytes, Domain::Order).unwrap();
    PutOrderSignatureRequest {
        order_id: order.to_string(),
        body_sha256: Hex(flotilla_protocol::sha256(&[envelope.body()])),
        algorithm: 1,
        key_id: Hex(KeyId::of_key(key(seed).verifying_key().as_bytes()).0),
        signature: Blob(key(seed).sign(&envelope.covered()).to_bytes().to_vec()),
    }
}

async fn put(kit: &Kit, request: PutOrderSignatureRequest) -> Result<PreparedOrder, ApiError> {
    put_order_signature(&kit.fleet, &Kit::caller(), request).await.map(|answer| answer.order)
}

async fn sign(kit: &Kit, order: OrderId, seed: u8) -> Result<PreparedOrder, ApiError> {
    put(kit, signature(kit, order, seed).await).await
}

async fn refused(kit: &Kit, request: PutOrderSignatureRequest) -> String {
    put(kit, request).await.unwrap_err().kind.into_owned()
}

/// The deliveries of orders that went to a node, after a round of dispatch.
async fn delivered(kit: &mut Kit, node: &SimulatedNode) -> Vec<Delivery> {
    while round(&kit.fleet).await.unwrap().more {}
    kit.published_to(node.id, DownKind::Order).iter().map(|payload| decode(payload).unwrap()).collect()
}

async fn words(kit: &Kit, order: OrderId) -> (String, String) {
    let request = ListCommandsRequest { command_id: Some(order.to_string()), ..ListCommandsRequest::default() };
    let listed = super::super::api::list::list_commands(&kit.fleet, &Kit::caller(), request).await.unwrap();
    let command = listed.commands.unwrap().pop().unwrap();
    (command.status.unwrap(), command.status_details.unwrap())
}

async fn audited(kit: &Kit, kind: &str) -> i64 {
    let sql = "SELECT COUNT(*) FROM audit_entry WHERE kind = $1";
    sqlx::query_scalar(sql).bind(kind).fetch_one(kit.fleet.store.reader()).await.unwrap()
}

#[tokio::test]
async fn a_command_awaits_two_persons_and_goes_out_with_the_second() {
    let mut kit = kit().await;
    let (online, offline) = (kit.online_node(20).await, kit.node(21).await);
    let order = send(&kit, request(&[&online, &offline])).await.unwrap();
    assert_eq!(words(&kit, order).await, ("Pending".to_owned(), "Pending".to_owned()));
    assert_eq!(delivered(&mut kit, &online).await.len(), 0, "nothing is sent before people have signed");
    let prepared = shown(&kit, order).await;
    assert_eq!((prepared.state.as_str(), prepared.threshold, prepared.missing), (AWAITING, 2, 2));
    assert_eq!((prepared.requester.as_str(), prepared.class.as_str(), prepared.target_count), ("tester", "command", 2));
    assert_eq!(prepared.may_sign, ["Ann", "Bob", "Cleo"]);

    let first = sign(&kit, order, 10).await.unwrap();
    assert_eq!((first.state.as_str(), first.missing), (AWAITING, 1));
    // A node that says hello is told nothing of it either.
    kit.take([online.hello(&[])]).await;
    assert_eq!(delivered(&mut kit, &online).await.len(), 0, "one of two has signed");
    assert_eq!(refused(&kit, signature(&kit, order, 10).await).await, ALREADY_SIGNED, "the same key");
    assert_eq!(refused(&kit, signature(&kit, order, 11).await).await, ALREADY_SIGNED, "the same person by another key");
    assert_eq!((audited(&kit, "order-prepared").await, audited(&kit, "order-signed").await), (1, 0));

    let second = sign(&kit, order, 12).await.unwrap();
    assert_eq!((second.state.as_str(), second.missing), (RELEASED, 0));
    assert_eq!((audited(&kit, "order-approved").await, audited(&kit, "order-signed").await), (2, 1));
    let [delivery] = delivered(&mut kit, &online).await.try_into().unwrap();
    let parsed = Envelope::parse(&delivery.envelope, Domain::Order).unwrap();
    let trust = kit.fleet.signer.trust();
    let asked = Asked { class: Class::Command, requester: "tester", labels: None, time_ms: Some(NOW_MS) };
    assert!(trust.authorise(&trust.signers(&parsed), &asked).is_ok(), "a node takes it");
    let body: OrderBody = decode(parsed.body()).unwrap();
    let leaf = leaf(&online.key.verifying_key().to_bytes(), &delivery.node_data);
    assert!(is_proven(leaf, delivery.index, body.targets.count, &delivery.proof, &body.targets.root));
    // It is a command like any other: the other node gets it when it comes.
    kit.take([offline.hello(&[])]).await;
    assert_eq!(delivered(&mut kit, &offline).await.len(), 1);
    // Once every node has taken it nobody waits for another signature.
    let (mut online, mut offline) = (online, offline);
    let accepted = ReportPayload::Admission(Admission::Accepted { order });
    kit.take([online.report(&accepted), offline.report(&accepted)]).await;
    assert_eq!(refused(&kit, signature(&kit, order, 13).await).await, ORDER_RELEASED);
}

/// How many signatures each delivery to a node carries.
async fn signatures(kit: &mut Kit, node: &SimulatedNode) -> Vec<usize> {
    let count = |delivery: &Delivery| Envelope::parse(&delivery.envelope, Domain::Order).unwrap().signatures().len();
    delivered(kit, node).await.iter().map(count).collect()
}

/// Two of three everywhere; in Berlin, Cleo alone, and with `bridge` the key that the bridge holds.
fn with_berlin(bridge: Option<TrustKey>) -> TrustBundle {
    let mut bundle = bundle(&OPERATORS, 2);
    bundle.rules[0].keys = vec![3, 4, 5];
    let scope = vec![Label { key: "site".into(), value: "berlin".into() }];
    let keys = [6].into_iter().chain(bridge.as_ref().map(|_| 7)).collect();
    bundle.keys.extend(bridge);
    bundle.rules.push(OperatorRule { name: "Berlin".into(), scope, ..OperatorRule::any_of(Class::Command, keys) });
    bundle
}

#[tokio::test]
async fn nodes_outside_the_scope_of_who_has_signed_get_the_signatures_that_come_later() {
    let mut kit = Kit::at(|home| write_home_of(home, &with_berlin(None))).await;
    let (mut berlin, paris) = (kit.online_node(20).await, kit.online_node(21).await);
    let order = send(&kit, request(&[&berlin, &paris])).await.unwrap();
    assert_eq!(sign(&kit, order, 13).await.unwrap().state, RELEASED, "enough for Berlin");
    assert_eq!((signatures(&mut kit, &berlin).await, signatures(&mut kit, &paris).await), (vec![1], vec![]), "the round has sent both");
    kit.take([berlin.report(&ReportPayload::Admission(Admission::Accepted { order }))]).await;
    kit.published();

    let one_more = sign(&kit, order, 10).await.unwrap();
    assert_eq!((one_more.state.as_str(), one_more.signatures.len()), (RELEASED, 2));
    assert_eq!(sign(&kit, order, 12).await.unwrap().state, RELEASED);
    assert_eq!(refused(&kit, signature(&kit, order, 11).await).await, ALREADY_SIGNED, "it is judged as before");
    assert_eq!(signatures(&mut kit, &paris).await.last(), Some(&3), "at once, and not when the pause is over");
    kit.published();
    kit.clock.advance(Duration::from_secs(900));
    assert_eq!(signatures(&mut kit, &berlin).await.len(), 0, "who has it is not asked again");
    assert_eq!(audited(&kit, "order-signed").await, 1);
}

#[tokio::test]
async fn where_the_bridge_may_sign_for_some_nodes_alone_people_sign_for_the_others() {
    let held = |end| TrustKey { not_after_ms: end, ..TrustKey::new(key(2).verifying_key().to_bytes().into(), "the bridge") };
    let mut kit = Kit::at(|home| write_home_of(home, &with_berlin(Some(held(None))))).await;
    let node = kit.online_node(20).await;
    let order = send(&kit, request(&[&node])).await.unwrap();
    assert_eq!(signatures(&mut kit, &node).await, [1], "it goes out at once");
    let order_shown = shown(&kit, order).await;
    assert_eq!((order_shown.state.as_str(), order_shown.signatures[0].person.as_str()), (RELEASED, "the bridge"));
    for seed in [10, 12] {
        sign(&kit, order, seed).await.unwrap();
    }
    assert_eq!(signatures(&mut kit, &node).await.last(), Some(&3));
    // With a key that has run out the bridge signs nothing.
    let mut kit = Kit::at(|home| write_home_of(home, &with_berlin(Some(held(Some(NOW_MS)))))).await;
    let node = kit.online_node(20).await;
    let order = send(&kit, request(&[&node])).await.unwrap();
    assert_eq!((signatures(&mut kit, &node).await.len(), shown(&kit, order).await.state.as_str()), (0, AWAITING));
}

#[tokio::test]
async fn what_is_no_signature_of_this_order_is_refused_by_its_name() {
    let kit = kit().await;
    let node = kit.online_node(20).await;
    let order = send(&kit, request(&[&node])).await.unwrap();
    let other = send(&kit, request(&[&node])).await.unwrap();
    let good = signature(&kit, order, 10).await;
    let of_other = signature(&kit, other, 10).await;
    // Signed for something else than an order.
    let bytes = envelope(&kit, order).await;
    let envelope = Envelope::parse(&bytes, Domain::Order).unwrap();
    let cancel = [b"flotilla/".as_slice(), &[flotilla_protocol::version::VERSION, Domain::Cancel as u8, 0], envelope.body()].concat();
    let foreign = Blob(key(10).sign(&cancel).to_bytes().to_vec());
    let cases = [
        ("other bytes", PutOrderSignatureRequest { order_id: order.to_string(), ..of_other.clone() }, OTHER_BYTES),
        ("another order's signature", PutOrderSignatureRequest { signature: of_other.signature, ..good.clone() }, INVALID_SIGNATURE),
        ("another domain", PutOrderSignatureRequest { signature: foreign, ..good.clone() }, INVALID_SIGNATURE),
        (
            "Ann's in Bob's name",
            PutOrderSignatureRequest { key_id: signature(&kit, order, 12).await.key_id, ..good.clone() },
            INVALID_SIGNATURE,
        ),
        ("too short", PutOrderSignatureRequest { signature: Blob(vec![0; 63]), ..good.clone() }, INVALID_SIGNATURE),
        ("too long", PutOrderSignatureRequest { signature: Blob(vec![0; 4096]), ..good.clone() }, INVALID_SIGNATURE),
        ("another algorithm", PutOrderSignatureRequest { algorithm: 2, ..good.clone() }, KEY_NOT_AUTHORISED),
        ("a stranger", signature(&kit, order, 99).await, KEY_NOT_AUTHORISED),
        ("the root", signature(&kit, order, 1).await, KEY_NOT_AUTHORISED),
        ("the bridge", signature(&kit, order, 3).await, KEY_NOT_AUTHORISED),
        ("the bridge's former operator key", signature(&kit, order, 2).await, KEY_NOT_AUTHORISED),
        ("no such order", PutOrderSignatureRequest { order_id: OrderId([7; 16]).to_string(), ..good.clone() }, NOT_FOUND),
        ("no order id", PutOrderSignatureRequest { order_id: "x".to_owned(), ..good.clone() }, "ValidationException"),
    ];
    for (what, request, expected) in cases {
        assert_eq!(refused(&kit, request).await, expected, "{what}");
    }
    assert_eq!(kit.count("SELECT COUNT(*) FROM prepared_signature").await, 0, "nothing of it is kept");
    assert_eq!(put(&kit, good).await.unwrap().missing, 1);
}

#[tokio::test]
async fn what_is_rejected_cancelled_or_over_takes_no_signature() {
    let mut kit = kit().await;
    let node = kit.online_node(20).await;
    let [rejected, cancelled, expired] = [
        send(&kit, request(&[&node])).await.unwrap(),
        send(&kit, request(&[&node])).await.unwrap(),
        send(&kit, request(&[&node])).await.unwrap(),
    ];
    for order in [rejected, cancelled, expired] {
        sign(&kit, order, 10).await.unwrap();
    }
    let reject = RejectPreparedOrderRequest { order_id: rejected.to_string(), reason: "not today".to_owned() };
    let answer = reject_prepared_order(&kit.fleet, &Kit::caller(), reject.clone()).await.unwrap().order;
    assert_eq!(
        (answer.state.as_str(), answer.reason.as_deref(), answer.closed_by.as_deref()),
        (REJECTED, Some("not today"), Some("tester"))
    );
    assert_eq!(words(&kit, rejected).await.0, "Cancelled");
    assert_eq!(reject_prepared_order(&kit.fleet, &Kit::caller(), reject).await.unwrap_err().kind, ORDER_CANCELLED);
    assert_eq!(audited(&kit, "order-rejected").await, 1);
    let cancel = CancelCommandRequest { command_id: cancelled.to_string(), instance_ids: None };
    cancel_command(&kit.fleet, &Kit::caller(), cancel).await.unwrap();
    assert_eq!(shown(&kit, cancelled).await.state, CANCELLED);
    for order in [rejected, cancelled] {
        assert_eq!(refused(&kit, signature(&kit, order, 12).await).await, ORDER_CANCELLED);
    }
    kit.clock.advance(Duration::from_secs(3_601));
    assert_eq!(refused(&kit, signature(&kit, expired, 12).await).await, ORDER_EXPIRED, "before dispatch has looked");
    assert_eq!(shown(&kit, expired).await.state, EXPIRED);
    assert_eq!(delivered(&mut kit, &node).await.len(), 0);
    assert_eq!(words(&kit, expired).await, ("TimedOut".to_owned(), "Delivery Timed Out".to_owned()));
    assert_eq!(kit.count("SELECT COUNT(*) FROM prepared_order WHERE state = 'Expired'").await, 1);
    // Nothing of it is left when it is old.
    kit.clock.advance(Duration::from_secs(200 * 86_400));
    while prune(&kit.fleet).await.unwrap() {}
    assert_eq!(kit.count("SELECT COUNT(*) FROM prepared_order").await, 0);
    assert_eq!(kit.count("SELECT COUNT(*) FROM prepared_signature").await, 0);
}

#[tokio::test]
async fn under_another_bundle_signatures_are_judged_again() {
    let mut kit = kit().await;
    let (node, offline) = (kit.online_node(20).await, kit.node(21).await);
    let waiting = send(&kit, request(&[&node])).await.unwrap();
    sign(&kit, waiting, 10).await.unwrap();
    let held = send(&kit, request(&[&offline])).await.unwrap();
    sign(&kit, held, 12).await.unwrap();
    assert_eq!(sign(&kit, held, 13).await.unwrap().state, RELEASED);

    // Nothing changes while the trust is the same.
    judge_all(&kit.fleet, &kit.fleet.signer.trust()).await.unwrap();
    assert_eq!((shown(&kit, waiting).await.state.as_str(), shown(&kit, held).await.state.as_str()), (AWAITING, RELEASED));
    // Bob is gone: what he signed is held back.
    let without_bob = trust_of(&bundle(&[(10, "Ann"), (13, "Cleo")], 2));
    judge_all(&kit.fleet, &without_bob).await.unwrap();
    assert_eq!(shown(&kit, held).await.state, AWAITING);
    assert_eq!(audited(&kit, "order-held").await, 1);
    kit.take([offline.hello(&[])]).await;
    assert_eq!(delivered(&mut kit, &offline).await.len(), 0, "a revoked person's signature sends nothing");
    // One person is enough from now on: what one has signed goes out.
    let one = trust_of(&bundle(&OPERATORS, 1));
    judge_all(&kit.fleet, &one).await.unwrap();
    assert_eq!((shown(&kit, waiting).await.state.as_str(), shown(&kit, held).await.state.as_str()), (RELEASED, RELEASED));
    assert_eq!((delivered(&mut kit, &node).await.len(), audited(&kit, "order-signed").await), (1, 3));
}

#[tokio::test]
async fn a_bundle_that_comes_while_the_bridge_runs_judges_what_waits() {
    let mut kit = kit().await;
    let node = kit.online_node(20).await;
    let waiting = send(&kit, request(&[&node])).await.unwrap();
    sign(&kit, waiting, 10).await.unwrap();
    let mut judged = None;
    judge_and_send(&kit.fleet, &mut judged).await.unwrap();
    assert_eq!(shown(&kit, waiting).await.state, AWAITING);
    let trust = kit.fleet.signer.trust();
    let mut next = trust.bundle().clone();
    (next.version, next.previous, next.rules[0].threshold) = (2, trust.hash(), 1);
    kit.fleet.signer.add(&seal(Domain::Trust, &encode(&next), &[&key(1)]), NOW_MS).unwrap();
    judge_and_send(&kit.fleet, &mut judged).await.unwrap();
    assert_eq!(shown(&kit, waiting).await.state, RELEASED);
    assert_eq!(delivered(&mut kit, &node).await.len(), 1);
}

#[tokio::test]
async fn orders_are_listed_by_state_and_pages_with_targets_that_make_up_the_root() {
    let kit = kit().await;
    let nodes = [kit.node(20).await, kit.node(21).await, kit.node(22).await, kit.node(23).await, kit.node(24).await];
    let mut orders = Vec::new();
    for _ in 0..5 {
        orders.push(send(&kit, request(&nodes.each_ref())).await.unwrap().to_string());
    }
    let order: OrderId = orders[4].parse().unwrap();
    sign(&kit, order, 10).await.unwrap();
    sign(&kit, order, 12).await.unwrap();
    let list = async |state: Option<&str>, size| {
        let (mut found, mut token) = (Vec::new(), None);
        loop {
            let request = ListPreparedOrdersRequest { state: state.map(str::to_owned), max_results: Some(size), next_token: token };
            let page = list_prepared_orders(&kit.fleet, &Kit::caller(), request).await.unwrap();
            let ids: Vec<String> = page.orders.unwrap().into_iter().map(|order| order.order_id).collect();
            assert!(ids.len() <= usize::try_from(size).unwrap());
            found.extend(ids);
            token = page.next_token;
            if token.is_none() {
                return found;
            }
        }
    };
    let mut newest_first = orders.clone();
    newest_first.sort_by(|left, right| right.cmp(left));
    assert_eq!(list(None, 2).await, newest_first);
    assert_eq!(list(Some(RELEASED), 1).await, [order.to_string()]);
    assert_eq!(list(Some(AWAITING), 3).await.len(), 4);
    assert_eq!(list(Some(REJECTED), 3).await.len(), 0);

    let bytes = envelope(&kit, order).await;
    let body: OrderBody = decode(Envelope::parse(&bytes, Domain::Order).unwrap().body()).unwrap();
    let (mut keys, mut token) = (Vec::new(), None);
    loop {
        let request = ListPreparedOrderTargetsRequest { order_id: order.to_string(), max_results: Some(2), next_token: token };
        let page = list_prepared_order_targets(&kit.fleet, &Kit::caller(), request).await.unwrap();
        for target in page.targets.unwrap() {
            assert_eq!(NodeId::of_key(&target.identity_key.0).to_string(), target.node_id);
            keys.push(target.identity_key.0);
        }
        token = page.next_token;
        if token.is_none() {
            break;
        }
    }
    keys.sort_unstable();
    assert_eq!(keys.len(), 5);
    assert_eq!(TargetTree::new(keys.iter().map(|key| leaf(key, &[])).collect()).root(), body.targets.root);
}
