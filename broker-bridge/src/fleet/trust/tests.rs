//! Bundles that come while the bridge runs: what is taken, what is sent to whom, and what is signed afterwards.

use super::api::{get_trust_status, put_trust_bundle};
use crate::device::test_kit::{Kit, NOW_MS};
use crate::fleet::signer::api::list_trust_bundles;
use crate::fleet::signer::{Signer, SignerError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use flotilla_api::audit::HexBytes;
use flotilla_api::trust::{GetTrustStatusRequest, ListTrustBundlesRequest, PutTrustBundleRequest};
use flotilla_protocol::envelope::{Domain, Envelope, seal};
use flotilla_protocol::hello::WelcomeBody;
use flotilla_protocol::topic::{DownKind, Topic};
use flotilla_protocol::trust::{Role, Trust, TrustBundle};
use flotilla_protocol::wire::{decode, encode};

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

/// The envelope of the next bundle, changed like this and signed by these.
fn next(trust: &Trust, change: impl FnOnce(&mut TrustBundle), signers: &[u8]) -> Vec<u8> {
    let mut bundle = trust.bundle().clone();
    (bundle.version, bundle.previous) = (bundle.version + 1, trust.hash());
    change(&mut bundle);
    let keys: Vec<SigningKey> = signers.iter().map(|seed| key(*seed)).collect();
    seal(Domain::Trust, &encode(&bundle), &keys.iter().collect::<Vec<_>>())
}

/// Another key in the place of the one that has this index in a home of the kit.
fn replace(index: usize, seed: u8) -> impl FnOnce(&mut TrustBundle) {
    move |bundle| bundle.keys[index].public_key = key(seed).verifying_key().to_bytes().into()
}

fn put(bundle: &[u8]) -> PutTrustBundleRequest {
    PutTrustBundleRequest { bundle: STANDARD.encode(bundle) }
}

#[tokio::test]
async fn a_bundle_that_follows_counts_at_once_and_goes_to_all_nodes() {
    let mut kit = Kit::new().await;
    let bundle = next(&kit.fleet.signer.trust(), |_| {}, &[1]);
    let wrong = [
        ("no base64", PutTrustBundleRequest { bundle: "!".into() }),
        ("no bundle", put(b"no bundle")),
        ("by nobody of the root", put(&next(&kit.fleet.signer.trust(), |_| {}, &[2]))),
        ("one after the next", put(&next(&kit.fleet.signer.trust(), |bundle| bundle.version += 1, &[1]))),
        ("run out", put(&next(&kit.fleet.signer.trust(), |bundle| bundle.expires_ms = NOW_MS, &[1]))),
    ];
    for (what, request) in wrong {
        let error = put_trust_bundle(&kit.fleet, &Kit::caller(), request).await.unwrap_err();
        assert_eq!(error.kind, "ValidationException", "{what}: {error}");
    }
    assert_eq!((kit.published().len(), kit.fleet.signer.trust().bundle().version), (0, 1));
    for is_new in [true, false] {
        let result = put_trust_bundle(&kit.fleet, &Kit::caller(), put(&bundle)).await.unwrap();
        assert_eq!((result.version, result.is_new), (2, is_new));
        let fleet = kit.fleet.settings.fleet;
        assert_eq!(kit.published(), [(Topic::AllTrust { fleet }, bundle.clone())], "who missed it gets it once more");
    }
    assert_eq!(kit.fleet.signer.trust().bundle().version, 2);
    assert_eq!(kit.count("SELECT COUNT(*) FROM audit_entry WHERE kind = 'trust-bundle'").await, 1);
    let status = get_trust_status(&kit.fleet, &Kit::caller(), GetTrustStatusRequest {}).await.unwrap();
    let request = ListTrustBundlesRequest { after_version: Some(1) };
    let read = list_trust_bundles(&kit.fleet, &Kit::caller(), request).await.unwrap();
    assert_eq!((status.version, read.bundles), (2, Some(vec![HexBytes(bundle)])));
}

#[tokio::test]
async fn a_node_that_is_behind_gets_bundles_and_before_the_welcome_where_it_could_not_read_that() {
    let mut kit = Kit::new().await;
    let node = kit.online_node(20).await;
    drop(kit.published());
    let first = kit.fleet.signer.trust();
    let same_clock = next(&first, |_| {}, &[1]);
    put_trust_bundle(&kit.fleet, &Kit::caller(), put(&same_clock)).await.unwrap();
    drop(kit.published());
    let welcome_of = |published: &[(Topic, Vec<u8>)]| {
        let place = published.iter().position(|(topic, _)| matches!(topic, Topic::Down { kind: DownKind::Welcome, .. })).unwrap();
        let envelope = Envelope::parse(&published[place].1, Domain::Welcome).unwrap();
        (place, decode::<WelcomeBody>(envelope.body()).unwrap().bundles.len())
    };
    kit.take([node.hello_of(1)]).await;
    assert_eq!(welcome_of(&kit.published()), (0, 1), "its welcome carries what it lacks");
    // A new clock: a node at version 2 cannot verify what it signs.
    kit.write_secret("keys/freshness.next.key", &[44; 32]);
    let new_clock = next(&kit.fleet.signer.trust(), replace(3, 44), &[1]);
    put_trust_bundle(&kit.fleet, &Kit::caller(), put(&new_clock)).await.unwrap();
    drop(kit.published());
    kit.take([node.hello_of(2)]).await;
    let published = kit.published();
    let topic = Topic::Down { fleet: kit.fleet.settings.fleet, node: node.id, kind: DownKind::Trust };
    assert_eq!(published[0], (topic, new_clock), "bundles first");
    assert_eq!(welcome_of(&published), (1, 1));
    kit.take([node.hello_of(3)]).await;
    let published = kit.published();
    assert_eq!(welcome_of(&published), (0, 0));
    let envelope = Envelope::parse(&published[0].1, Domain::Welcome).unwrap();
    assert_eq!(kit.fleet.signer.trust().require(Role::Freshness, &envelope), Ok(()), "signed by the new clock");
    // One that has fallen back is told of.
    kit.take([node.hello_of(0)]).await;
    assert_eq!(kit.count("SELECT COUNT(*) FROM node_event WHERE kind = 'trust-lost'").await, 1);
    assert_eq!(kit.published().iter().filter(|(topic, _)| matches!(topic, Topic::Down { kind: DownKind::Trust, .. })).count(), 3);
}

#[tokio::test]
async fn a_bridge_key_that_was_revoked_signs_nothing_and_the_error_says_which() {
    let mut kit = Kit::new().await;
    let mut node = kit.online_node(20).await;
    let revoked = next(&kit.fleet.signer.trust(), replace(2, 33), &[1]);
    put_trust_bundle(&kit.fleet, &Kit::caller(), put(&revoked)).await.unwrap();
    drop(kit.published());
    kit.take([node.report(&flotilla_protocol::capability::ReportPayload::Unsupported(999))]).await;
    assert!(kit.receipts(node.id).is_empty(), "nodes would refuse it");
    let cancel = flotilla_protocol::order::CancelBody {
        fleet: kit.fleet.settings.fleet,
        node: node.id,
        order: flotilla_protocol::id::OrderId([1; 16]),
        not_after_ms: 1,
    };
    let error = kit.fleet.signer.cancel(&cancel).unwrap_err();
    assert!(matches!(&error, SignerError::Role { role: Role::Bridge, version: 2, .. }), "{error}");
    assert!(error.to_string().contains("bridge.key"), "{error}");
    // The next key takes its place with the bundle that names it, and a restart keeps it.
    kit.write_secret("keys/bridge.next.key", &[34; 32]);
    let renewed = next(&kit.fleet.signer.trust(), replace(2, 34), &[1]);
    put_trust_bundle(&kit.fleet, &Kit::caller(), put(&renewed)).await.unwrap();
    let sealed = kit.fleet.signer.cancel(&cancel).unwrap();
    assert_eq!(kit.count("SELECT COUNT(*) FROM audit_entry WHERE kind = 'bridge-key-changed'").await, 1, "the log is signed by it, too");
    for signer in [None, Some(Signer::load(kit.home(), NOW_MS).unwrap())] {
        let trust = signer.map_or_else(|| kit.fleet.signer.trust(), |signer| signer.trust());
        assert_eq!(trust.bundle().version, 3);
        assert_eq!(trust.require(Role::Bridge, &Envelope::parse(&sealed, Domain::Cancel).unwrap()), Ok(()));
    }
}
