//! Ingest through topics, with simulated nodes.

use super::test_kit::{Kit, SimulatedNode};
use crate::capability::run_command::reconcile::round;
use crate::capability::run_command::tests::{request, send};
use crate::fleet::activation::claim::tests::sealed_claim;
use crate::fleet::node::store as node_store;
use crate::platform::audit::Filter;
use crate::platform::http::Registry;
use crate::platform::mqtt::Arrival;
use ed25519_dalek::SigningKey;
use flotilla_protocol::capability::ReportPayload;
use flotilla_protocol::capability::command::CommandProgress;
use flotilla_protocol::enrolment::{Activation, ClaimRefusal, ClaimReplyBody, Enrolled, RenewalBody};
use flotilla_protocol::envelope::{Domain, Envelope, seal};
use flotilla_protocol::hello::Held;
use flotilla_protocol::hello::WelcomeBody;
use flotilla_protocol::id::{ClaimId, FleetId, NodeId, OrderId};
use flotilla_protocol::report::{LossCause, MemoryLost};
use flotilla_protocol::status::Admission;
use flotilla_protocol::topic::{DownKind, Topic, UpKind};
use flotilla_protocol::trust::{Role, Trust};
use flotilla_protocol::wire::{Payload, decode};

fn any_report() -> ReportPayload {
    ReportPayload::Admission(Admission::Accepted { order: OrderId([1; 16]) })
}

fn another_report() -> ReportPayload {
    ReportPayload::Admission(Admission::Accepted { order: OrderId([2; 16]) })
}

#[tokio::test]
async fn a_hello_is_welcomed_and_makes_a_node_online() {
    let mut kit = Kit::new().await;
    let node = kit.online_node(20).await;
    let welcomes = kit.published_to(node.id, DownKind::Welcome);
    let envelope = Envelope::parse(&welcomes[0], Domain::Welcome).unwrap();
    assert_eq!(kit.fleet.signer.trust().require(Role::Freshness, &envelope), Ok(()));
    let welcome: WelcomeBody = decode(envelope.body()).unwrap();
    assert_eq!((welcome.nonce, welcome.time_ms, welcome.bundles.len()), ([9; 32], super::test_kit::NOW_MS, 0));
    assert_eq!(kit.count("SELECT COUNT(*) FROM node WHERE online = 1 AND platform_name = 'Debian'").await, 1);
    let online = |payload: &[u8]| (Topic::Online { fleet: FleetId([0; 8]), node: node.id }, payload.to_vec());
    kit.take([online(b"0")]).await;
    assert_eq!(kit.count("SELECT online FROM node").await, 0);
    kit.take([online(b"1")]).await;
    assert_eq!(kit.count("SELECT online FROM node").await, 1);
    kit.take_arrivals(&[Arrival::Disconnected]).await;
    assert_eq!(kit.count("SELECT COUNT(*) FROM node WHERE online = 1").await, 0);
    kit.take([online(b"yes")]).await;
    assert_eq!(kit.count("SELECT COUNT(*) FROM dead_letter").await, 1);
}

/// A broker's word that a node is gone can be about a connection before this one, and its word that it is there can be lost.
#[tokio::test]
async fn a_node_that_is_heard_is_online_whatever_the_broker_says() {
    let kit = Kit::new().await;
    let mut node = kit.online_node(20).await;
    let gone = (Topic::Online { fleet: FleetId([0; 8]), node: node.id }, b"0".to_vec());
    kit.take([gone.clone()]).await;
    send(&kit, request(&[&node])).await.unwrap();
    let (online, waits) = ("SELECT COUNT(*) FROM node WHERE online = 1", "SELECT COUNT(*) FROM invocation WHERE next_send_ms IS NULL");
    assert_eq!((kit.count(online).await, kit.count(waits).await), (0, 1));
    kit.take([node.report(&any_report())]).await;
    assert_eq!((kit.count(online).await, kit.count(waits).await), (1, 0), "what waits for it is due");
    // The late word and what is signed after it, in one batch and in two.
    kit.take([gone.clone(), node.report(&any_report())]).await;
    assert_eq!((kit.count(online).await, kit.count(waits).await), (1, 0));
    kit.take([node.report(&any_report()), gone]).await;
    assert_eq!((kit.count(online).await, kit.count(waits).await), (0, 1), "the last word counts");
    let output = node.output(OrderId([1; 16]), flotilla_protocol::report::OutputStream::Stdout, 0, b"x");
    kit.take([output]).await;
    assert_eq!((kit.count(online).await, kit.count(waits).await), (1, 0));
    // Another node's signature, or none, says nothing.
    let stranger = SimulatedNode { id: node.id, ..SimulatedNode::new(21) }.report(&any_report());
    kit.take([(Topic::Online { fleet: FleetId([0; 8]), node: node.id }, b"0".to_vec()), stranger]).await;
    assert_eq!((kit.count(online).await, kit.count(waits).await), (0, 1));
}

/// The bridge loses the broker and finds it again. Nothing is said of the node, which has nothing to say itself: it was there before.
#[tokio::test]
async fn a_node_of_which_the_broker_says_nothing_is_sent_what_waits() {
    let mut kit = Kit::new().await;
    let (node, gone) = (kit.online_node(20).await, kit.online_node(21).await);
    send(&kit, request(&[&node, &gone])).await.unwrap();
    kit.published();
    kit.fleet.publisher.pretend_connected(None);
    kit.take_arrivals(&[Arrival::Disconnected]).await;
    round(&kit.fleet).await.unwrap();
    assert_eq!(kit.count("SELECT COUNT(*) FROM node WHERE online = 1").await, 0);
    kit.clock.advance(std::time::Duration::from_secs(60));
    let now_ms = kit.fleet.clock.now_ms();
    kit.fleet.publisher.pretend_connected(Some(now_ms));
    kit.take_arrivals(&[Arrival::Connected]).await;
    kit.take([(Topic::Online { fleet: FleetId([0; 8]), node: gone.id }, b"0".to_vec())]).await;
    assert_eq!(round(&kit.fleet).await.unwrap().next_due_ms, Some(now_ms + 30_000), "the broker may still say that it is gone");
    assert!(kit.published().is_empty());
    kit.clock.advance(std::time::Duration::from_secs(30));
    round(&kit.fleet).await.unwrap();
    let sent: Vec<Topic> = kit.published().into_iter().map(|(topic, _)| topic).collect();
    assert!(matches!(sent.as_slice(), [Topic::Down { node: to, kind: DownKind::Order, .. }] if *to == node.id), "{sent:?}");
    // Not for ever: a node that is there says hello within 75 minutes.
    kit.clock.advance(std::time::Duration::from_secs(90 * 60));
    assert_eq!(kit.count("SELECT COUNT(*) FROM node WHERE online = 2").await, 1);
    while round(&kit.fleet).await.unwrap().more {}
    assert_eq!(kit.count("SELECT COUNT(*) FROM node WHERE online = 2").await, 0);
}

#[tokio::test]
async fn reports_are_receipted_in_order_and_duplicates_again() {
    let mut kit = Kit::new().await;
    let mut node = kit.node(20).await;
    let (first, second, third) = (node.report(&any_report()), node.report(&any_report()), node.report(&any_report()));
    kit.take([first.clone(), second.clone()]).await;
    assert_eq!(kit.receipts(node.id), [2], "one receipt for the batch");
    kit.take([first]).await;
    assert_eq!(kit.receipts(node.id), [2], "the head again");
    let fourth = node.report(&any_report());
    kit.take([fourth.clone()]).await;
    assert!(kit.receipts(node.id).is_empty(), "ahead: it comes again in its turn");
    kit.take([third, fourth, second]).await;
    assert_eq!(kit.receipts(node.id), [4]);
    assert_eq!(kit.count("SELECT COUNT(*) FROM node_event").await, 0);
    assert_eq!(kit.count("SELECT COUNT(*) FROM dead_letter").await, 0);
}

#[tokio::test]
async fn a_gap_is_noted_and_accepted_and_a_fork_is_noted_and_not_applied() {
    let mut kit = Kit::new().await;
    let mut node = kit.node(20).await;
    let first = node.report(&any_report());
    kit.take([first]).await;
    let mut clone = node.clone();
    drop(node.report(&any_report()));
    node.oldest_held = 3;
    let third = node.report(&any_report());
    kit.receipts(node.id);
    kit.take([third]).await;
    assert_eq!(kit.receipts(node.id), [3]);
    assert_eq!(kit.count("SELECT COUNT(*) FROM node_event WHERE kind = 'gap'").await, 1);
    // A clone of the node goes its own way from the first report on.
    clone.oldest_held = 1;
    drop(clone.report(&another_report()));
    kit.take([clone.report(&another_report())]).await;
    assert!(kit.receipts(node.id).is_empty());
    assert_eq!(kit.count("SELECT COUNT(*) FROM node_event WHERE kind = 'fork'").await, 1);
    let next_of_clone = clone.report(&another_report());
    kit.take([next_of_clone]).await;
    assert_eq!(kit.count("SELECT COUNT(*) FROM node_event WHERE kind = 'fork'").await, 1, "said once");
    assert_eq!(kit.count("SELECT sequence FROM node_stream").await, 3);
}

#[tokio::test]
async fn a_database_of_an_older_copy_goes_on_where_the_hello_says() {
    let mut kit = Kit::new().await;
    let mut node = kit.node(20).await;
    let first = node.report(&any_report());
    kit.take([first]).await;
    // Reports 2 and 3 were receipted by the database that is not there any more.
    let [_, _, fourth, fifth] = [(); 4].map(|()| {
        node.oldest_held = 2;
        let before = node.previous;
        (node.report(&any_report()), before)
    });
    let (fourth, before) = fourth;
    kit.receipts(node.id);
    // Made when report 2 was still held, it does not say that the chain goes on with it; the next one alone must not pass it over.
    node.oldest_held = 4;
    let sixth = node.report(&any_report());
    kit.take([fourth.clone(), fifth.0.clone(), sixth.clone()]).await;
    assert!(kit.receipts(node.id).is_empty());
    node.control = Held { oldest: 4, before, next: 7 };
    kit.take([node.hello(&[])]).await;
    assert_eq!(kit.count("SELECT COUNT(*) FROM node_event WHERE kind = 'gap'").await, 1);
    assert_eq!(kit.count("SELECT sequence FROM node_stream").await, 3);
    kit.take([fourth, fifth.0, sixth]).await;
    assert_eq!(kit.receipts(node.id).last(), Some(&6));
    // The same hello, late, changes nothing, and a clone's is noted.
    kit.take([node.hello(&[])]).await;
    node.control = Held { oldest: 7, before: [9; 32], next: 7 };
    kit.take([node.hello(&[])]).await;
    let kinds = "SELECT (SELECT COUNT(*) FROM node_event WHERE kind = 'gap') * 10 + (SELECT COUNT(*) FROM node_event WHERE kind = 'fork')";
    assert_eq!(kit.count(kinds).await, 11);
    assert_eq!(kit.count("SELECT sequence FROM node_stream").await, 6);
}

#[tokio::test]
async fn what_is_not_signed_by_the_node_of_the_topic_is_set_aside() {
    let mut kit = Kit::new().await;
    let mut node = kit.node(20).await;
    let other = kit.node(21).await;
    let (topic, payload) = node.report(&any_report());
    let foreign_topic = Topic::Up { fleet: FleetId([0; 8]), node: other.id, kind: UpKind::Report };
    let stranger = SimulatedNode::new(22).report(&any_report());
    let mut flipped = payload.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let resigned = {
        let body = Envelope::parse(&payload, Domain::Report).unwrap().body().to_vec();
        seal(Domain::Report, &body, &[&other.key])
    };
    kit.take([
        (foreign_topic, payload.clone()),
        (foreign_topic, resigned.clone()),
        (topic, flipped),
        (topic, resigned),
        (topic, b"FL".to_vec()),
        stranger,
    ])
    .await;
    assert!(kit.published().is_empty());
    assert_eq!(kit.count("SELECT COUNT(*) FROM dead_letter").await, 6);
    assert_eq!(kit.count("SELECT COUNT(*) FROM node_stream").await, 0);
    kit.take([(topic, payload)]).await;
    assert_eq!(kit.receipts(node.id), [1], "the stream goes on");
}

#[tokio::test]
async fn a_node_cannot_crowd_out_what_is_written_down_of_others() {
    let mut kit = Kit::new().await;
    let (mut node, other) = (kit.node(20).await, kit.node(21).await);
    let garbage = |node: NodeId| (Topic::Up { fleet: FleetId([0; 8]), node, kind: UpKind::Report }, b"garbage".to_vec());
    kit.take((0..500).map(|_| garbage(node.id))).await;
    kit.take([garbage(other.id)]).await;
    assert_eq!(kit.count("SELECT COUNT(*) FROM dead_letter").await, 61);
    let lost = ReportPayload::MemoryLost(MemoryLost { cause: LossCause::Damaged, barrier_ms: 1 });
    let reports: Vec<_> = (0..100).map(|_| node.report(&lost)).collect();
    kit.take(reports).await;
    assert_eq!(kit.receipts(node.id), [100], "what is not written down is taken up all the same");
    assert_eq!(kit.count("SELECT COUNT(*) FROM node_event").await, 60);
    kit.clock.advance(std::time::Duration::from_secs(60));
    kit.take([garbage(node.id)]).await;
    assert_eq!(kit.count("SELECT COUNT(*) FROM dead_letter").await, 62);
}

/// A stolen device says hello as fast as it can, and holds nothing of what it has taken.
#[tokio::test]
async fn a_node_cannot_have_the_bridge_send_without_end() {
    let mut kit = Kit::new().await;
    let (mut node, other) = (kit.online_node(20).await, kit.node(21).await);
    for _ in 0..40 {
        let order = send(&kit, request(&[&node])).await.unwrap();
        kit.take([node.report(&ReportPayload::Admission(Admission::Accepted { order }))]).await;
    }
    kit.clock.advance(std::time::Duration::from_secs(60));
    kit.published();
    for _ in 0..100 {
        kit.take([node.hello(&[])]).await;
    }
    kit.take([other.hello(&[])]).await;
    let published = kit.published();
    let of = |wanted: DownKind, of: NodeId| {
        published.iter().filter(|(topic, _)| matches!(topic, Topic::Down { node, kind, .. } if (*kind, *node) == (wanted, of))).count()
    };
    assert_eq!((of(DownKind::Welcome, node.id), of(DownKind::Order, node.id)), (20, 4 * 32));
    assert_eq!(of(DownKind::Welcome, other.id), 1);
    kit.clock.advance(std::time::Duration::from_secs(60));
    kit.take([node.hello(&[])]).await;
    assert_eq!(kit.published().len(), 1 + 32);
}

#[tokio::test]
async fn a_signed_report_that_cannot_be_used_is_set_aside_and_receipted() {
    let mut kit = Kit::new().await;
    let mut node = kit.node(20).await;
    let unknown = node.raw_report(Payload { kind: 999, body: vec![1, 2, 3] });
    let damaged = node.raw_report(Payload { kind: 1, body: vec![9] });
    let good = node.report(&any_report());
    kit.take([unknown, damaged, good]).await;
    assert_eq!(kit.receipts(node.id), [3]);
    assert_eq!(kit.count("SELECT COUNT(*) FROM dead_letter").await, 2);
}

#[tokio::test]
async fn a_removed_node_is_ignored() {
    let mut kit = Kit::new().await;
    let mut node = kit.online_node(20).await;
    kit.published();
    let mut write = kit.fleet.store.write().await.unwrap();
    assert!(node_store::deregister(&mut write, node.id, 5).await.unwrap());
    assert!(!node_store::deregister(&mut write, node.id, 6).await.unwrap());
    write.commit().await.unwrap();
    let online = (Topic::Online { fleet: FleetId([0; 8]), node: node.id }, b"1".to_vec());
    kit.take([node.hello(&[]), node.report(&any_report()), online]).await;
    assert!(kit.published().is_empty());
    assert_eq!(kit.count("SELECT online FROM node").await, 0);
    assert_eq!(kit.count("SELECT COUNT(*) FROM dead_letter").await, 0);
}

async fn activation(kit: &Kit, limit: i32) -> Activation {
    let mut registry = Registry::new();
    crate::fleet::activation::api::endpoints(&mut registry);
    let request = flotilla_api::activations::CreateActivationRequest {
        iam_role: "role".into(),
        registration_limit: Some(limit),
        default_instance_name: Some("sensor".into()),
        tags: Some(vec![flotilla_api::tags::Tag { key: "site".into(), value: "north".into() }]),
        ..Default::default()
    };
    let created = crate::fleet::activation::api::create_activation(&kit.fleet, &Kit::caller(), request).await.unwrap();
    Activation::parse(&created.activation_code.unwrap()).unwrap()
}

async fn claim(kit: &mut Kit, activation: &Activation, identity: u8, code: &[u8; 20]) -> Result<Enrolled, ClaimRefusal> {
    let (identity, tls) = (SigningKey::from_bytes(&[identity; 32]), SigningKey::from_bytes(&[99; 32]));
    let id = ClaimId([identity.to_bytes()[0]; 16]);
    kit.take([(Topic::ClaimUp { fleet: FleetId([0; 8]), claim: id }, sealed_claim(&identity, &tls, activation.id, code))]).await;
    let published = kit.published();
    let [(Topic::ClaimDown { claim, .. }, payload)] = published.as_slice() else { panic!("{published:?}") };
    assert_eq!(*claim, id);
    let envelope = Envelope::parse(payload, Domain::ClaimReply).unwrap();
    let reply: ClaimReplyBody = decode(envelope.body()).unwrap();
    let trust = Trust::from_pinned(&activation.root_hash, reply.bundles.iter().map(|bundle| bundle.0.as_slice())).unwrap();
    assert_eq!(trust.require(Role::Bridge, &envelope), Ok(()));
    assert_eq!(reply.nonce, [5; 32]);
    reply.outcome
}

#[tokio::test]
async fn a_claim_makes_a_node_once_and_renews_for_ever() {
    let mut kit = Kit::new().await;
    let activation = activation(&kit, 1).await;
    let node = NodeId::of_key(&SigningKey::from_bytes(&[20; 32]).verifying_key().to_bytes()).to_string();
    for _ in 0..3 {
        let enrolled = claim(&mut kit, &activation, 20, &activation.code).await.unwrap();
        assert_eq!(crate::platform::pki::common_name(&enrolled.certificate).unwrap(), node);
        assert_eq!((enrolled.host.as_str(), enrolled.port), ("broker.example", 8883));
    }
    assert_eq!(kit.count("SELECT registrations_count FROM activation").await, 1);
    assert_eq!(kit.count("SELECT COUNT(*) FROM node WHERE name = 'sensor' AND computer_name = 'device'").await, 1);
    assert_eq!(kit.count("SELECT COUNT(*) FROM tag WHERE tag_key = 'site' AND tag_value = 'north'").await, 1);
    assert_eq!(claim(&mut kit, &activation, 21, &activation.code).await, Err(ClaimRefusal::UsedUp));
}

/// The activation is used up, expired and deleted, and what the node sends of it is wrong: its own key is what counts.
#[tokio::test]
async fn a_node_renews_with_its_own_key_alone_and_not_without_end() {
    let mut kit = Kit::new().await;
    let activation = activation(&kit, 1).await;
    claim(&mut kit, &activation, 20, &activation.code).await.unwrap();
    let request = flotilla_api::activations::DeleteActivationRequest { activation_id: activation.id.to_string() };
    crate::fleet::activation::api::delete_activation(&kit.fleet, &Kit::caller(), request).await.unwrap();
    kit.clock.advance(std::time::Duration::from_secs(400 * 86_400));
    let none = Activation { id: flotilla_protocol::enrolment::NO_ACTIVATION, ..activation };
    for _ in 0..6 {
        let enrolled = claim(&mut kit, &none, 20, &[0; 20]).await.unwrap();
        assert_eq!(enrolled.authority, kit.router.enrolment().authorities.der());
    }
    assert_eq!(claim(&mut kit, &none, 20, &[0; 20]).await, Err(ClaimRefusal::TryAgain), "somebody repeats its claims");
    assert_eq!(claim(&mut kit, &none, 21, &[0; 20]).await, Err(ClaimRefusal::UnknownActivation), "another key is no node");
    kit.clock.advance(std::time::Duration::from_secs(60));
    claim(&mut kit, &none, 20, &[0; 20]).await.unwrap();
    let mut write = kit.fleet.store.write().await.unwrap();
    node_store::quarantine(&mut write, SimulatedNode::new(20).id, 5).await.unwrap();
    write.commit().await.unwrap();
    assert_eq!(claim(&mut kit, &none, 20, &[0; 20]).await, Err(ClaimRefusal::Quarantined));
    assert_eq!(kit.count("SELECT registrations_count FROM activation").await, 1);
}

#[tokio::test]
async fn a_node_that_was_told_of_other_authorities_is_nudged_at_its_hello() {
    let mut kit = Kit::new().await;
    let node = kit.online_node(20).await;
    assert!(kit.published_to(node.id, DownKind::Renewal).is_empty(), "of a node of before nothing is known");
    let mut told = async |hash: &str| {
        let mut write = kit.fleet.store.write().await.unwrap();
        node_store::set_authorities(&mut write, node.id, hash).await.unwrap();
        write.commit().await.unwrap();
        kit.take([node.hello(&[])]).await;
        kit.published_to(node.id, DownKind::Renewal)
    };
    let nudges = told("others").await;
    let envelope = Envelope::parse(&nudges[0], Domain::Renewal).unwrap();
    let nudge: RenewalBody = decode(envelope.body()).unwrap();
    let own: String = nudge.authorities.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(told(&own).await.is_empty());
    assert_eq!(nudge.node, node.id);
    assert_eq!(kit.fleet.signer.trust().require(Role::Bridge, &envelope), Ok(()));
    assert_eq!(nudge.authorities, kit.router.enrolment().authorities.hash());
}

#[tokio::test]
async fn a_request_for_activations_has_bounded_filters() {
    use flotilla_api::activations::{DescribeActivationsFilter, DescribeActivationsRequest};
    let kit = Kit::new().await;
    let describe = async |count: usize, value: String| {
        let filter = DescribeActivationsFilter { filter_key: Some("IamRole".into()), filter_values: Some(vec![value]) };
        let request = DescribeActivationsRequest { filters: Some(vec![filter; count]), ..Default::default() };
        crate::fleet::activation::api::describe_activations(&kit.fleet, &Kit::caller(), request).await
    };
    assert!(describe(10, "role".into()).await.is_ok());
    assert_eq!(describe(11, "role".into()).await.unwrap_err().kind, "ValidationException");
    assert_eq!(describe(1, "x".repeat(2_000)).await.unwrap_err().kind, "InvalidFilter");
}

#[tokio::test]
async fn claims_are_refused_for_each_reason() {
    let mut kit = Kit::new().await;
    let activation = activation(&kit, 5).await;
    assert_eq!(claim(&mut kit, &activation, 20, &[1; 20]).await, Err(ClaimRefusal::UnknownActivation));
    let unknown = Activation { id: flotilla_protocol::id::ActivationId([1; 16]), ..activation.clone() };
    assert_eq!(claim(&mut kit, &unknown, 20, &activation.code).await, Err(ClaimRefusal::UnknownActivation));
    claim(&mut kit, &activation, 20, &activation.code).await.unwrap();
    let mut write = kit.fleet.store.write().await.unwrap();
    node_store::deregister(&mut write, SimulatedNode::new(20).id, 5).await.unwrap();
    write.commit().await.unwrap();
    assert_eq!(claim(&mut kit, &activation, 20, &activation.code).await, Err(ClaimRefusal::Deregistered));
    kit.clock.advance(std::time::Duration::from_secs(24 * 3600));
    assert_eq!(claim(&mut kit, &activation, 21, &activation.code).await, Err(ClaimRefusal::Expired));
    let request = flotilla_api::activations::DeleteActivationRequest { activation_id: activation.id.to_string() };
    crate::fleet::activation::api::delete_activation(&kit.fleet, &Kit::caller(), request).await.unwrap();
    assert_eq!(claim(&mut kit, &activation, 21, &activation.code).await, Err(ClaimRefusal::Revoked));
    let topic = Topic::ClaimUp { fleet: FleetId([0; 8]), claim: ClaimId([1; 16]) };
    kit.take([(topic, b"garbage".to_vec())]).await;
    assert!(kit.published().is_empty(), "what is no claim gets no answer");
    assert_eq!(kit.count("SELECT COUNT(*) FROM dead_letter").await, 0, "anybody could fill the disk");
    assert_eq!(kit.count("SELECT COUNT(*) FROM node").await, 1, "nothing half registered");
}

/// The one that was copied has reported this many before and after the copy was made; then the copy comes with its own.
#[tokio::test]
async fn a_copy_of_a_node_is_seen_however_far_the_other_one_is_ahead() {
    for (seed, before, ahead) in [(20, 0, 1), (21, 3, 1), (22, 3, 60), (23, 1, 120)] {
        let mut kit = Kit::new().await;
        let mut node = kit.online_node(seed).await;
        for _ in 0..before {
            kit.take([node.report(&any_report())]).await;
        }
        let mut copy = node.clone();
        for _ in 0..ahead {
            kit.take([node.report(&any_report())]).await;
        }
        kit.published();
        let quarantined = "SELECT COUNT(*) FROM node WHERE quarantined_ms IS NOT NULL AND online = 0";
        assert_eq!(kit.count(quarantined).await, 0);
        kit.take([copy.report(&another_report())]).await;
        assert_eq!(kit.count(quarantined).await, 1, "{before} before, {ahead} ahead");
        assert_eq!(kit.count("SELECT COUNT(*) FROM node_event WHERE kind = 'fork'").await, 1);
        // Neither is heard or answered any more, whatever it says, and neither counts as connected.
        let online = (Topic::Online { fleet: FleetId([0; 8]), node: node.id }, b"1".to_vec());
        kit.take([node.report(&any_report()), copy.report(&any_report()), node.hello(&[]), copy.hello(&[]), online]).await;
        assert!(kit.published().is_empty());
        assert_eq!(kit.count(quarantined).await, 1);
        assert_eq!(kit.count("SELECT sequence FROM node_stream").await, before + ahead, "only what was committed before");
    }
}

#[tokio::test]
async fn what_comes_twice_is_no_copy() {
    let mut kit = Kit::new().await;
    let mut node = kit.online_node(20).await;
    let reports: Vec<_> = (0..150).map(|_| node.report(&any_report())).collect();
    kit.take(reports.clone()).await;
    kit.take(reports.clone()).await;
    kit.take(reports.into_iter().rev()).await;
    assert_eq!(kit.receipts(node.id).last(), Some(&150));
    assert_eq!(kit.count("SELECT COUNT(*) FROM node WHERE quarantined_ms IS NOT NULL").await, 0);
    assert_eq!(kit.count("SELECT COUNT(*) FROM node_event").await, 0);
}

#[tokio::test]
async fn what_a_node_signs_of_an_order_is_told_with_its_report() {
    let kit = Kit::new().await;
    let mut node = kit.online_node(20).await;
    let order = OrderId([1; 16]);
    let mut reports = vec![node.report(&any_report())];
    reports.push(node.report(&ReportPayload::CommandProgress(CommandProgress { order })));
    let hash = flotilla_api::audit::Hex(node.previous);
    // Sent again, as nodes do until they have a receipt: told once.
    kit.take(reports.clone()).await;
    kit.take(reports).await;
    let entries = crate::platform::audit::page(&kit.fleet.store, &Filter::default(), false, Some(0), 100).await.unwrap().0;
    let told: Vec<(&str, &str, &str)> =
        entries.iter().map(|entry| (entry.kind.as_str(), entry.actor.as_str(), entry.subject.as_str())).collect();
    let (actor, subject) = (node.id.to_string(), order.to_string());
    assert_eq!(told, [("order-accepted", actor.as_str(), subject.as_str()), ("order-started", &actor, &subject)]);
    assert_eq!((&entries[1].detail["ReportSha256"], entries[1].detail["Report"].as_str()), (&hash.to_string(), "2"));
    // A node that is not believed any more is told of too.
    let mut copy = SimulatedNode::new(20);
    kit.take([copy.report(&ReportPayload::Admission(Admission::Accepted { order: OrderId([9; 16]) }))]).await;
    let newest = crate::platform::audit::newest_of(&kit.fleet.store, "node-quarantined").await.unwrap().unwrap();
    assert_eq!((newest.sequence, newest.subject), (3, actor));
}

/// Under load the end of ingest was seen first, and a bridge that should have stood aside for good started again (F17).
#[tokio::test]
async fn that_another_bridge_took_over_is_heard_though_ingest_ends_first() {
    use crate::platform::mqtt::ConnectionEnd;
    let later = async {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        ConnectionEnd::TakenOver
    };
    let end = super::first_end(later, std::future::ready(()), std::future::pending()).await;
    assert_eq!(end, ConnectionEnd::TakenOver);
    let lives_on = std::future::pending();
    let end = super::first_end(lives_on, std::future::ready(()), std::future::pending()).await;
    assert_eq!(end, ConnectionEnd::Part("ingest"), "a part that ends by itself is named");
}
