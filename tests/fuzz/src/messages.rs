//! What comes over the network before anything is known of who sent it.

use crate::fleet;
use flotilla_protocol::delivery::Delivery;
use flotilla_protocol::enrolment::Activation;
use flotilla_protocol::envelope::{Domain, Envelope, seal};
use flotilla_protocol::id::{NodeId, OrderId};
use flotilla_protocol::order::OrderBody;
use flotilla_protocol::signature::PublicKey;
use flotilla_protocol::target::is_proven;
use flotilla_protocol::topic::Topic;
use flotilla_protocol::wire::{decode, encode};

/// An envelope of any domain. Nobody has signed what a fuzzer made.
pub(crate) fn envelope(bytes: &[u8]) {
    let signer = fleet::signer(Domain::Order).verifying_key();
    for domain in Domain::ALL {
        let Ok(envelope) = Envelope::parse(bytes, domain) else { continue };
        assert!(envelope.body().len() <= bytes.len());
        let mentions = envelope.signatures().iter().any(|entry| entry.key == flotilla_protocol::id::KeyId::of_key(&signer.to_bytes()));
        // A check of a signature costs far more than all else; only one that names the key is made.
        assert!(!mentions || !envelope.is_signed_by(&signer), "bytes of a fuzzer are signed by the fleet");
        signatures(&envelope);
    }
}

/// The signatures of an envelope by the algorithms that have a form of their own, whichever key they name.
fn signatures(envelope: &Envelope<'_>) {
    let key = fleet::root().verifying_key().to_bytes();
    let keys = [PublicKey::Ssh(key), PublicKey::SecurityKey { key, application: "ssh:".into() }];
    let verifiers: Vec<_> = keys.iter().filter_map(|key| key.verifier().ok().flatten()).collect();
    assert_eq!(verifiers.len(), keys.len(), "a key of ours is refused");
    for entry in envelope.signatures() {
        for verifier in verifiers.iter().filter(|verifier| verifier.algorithm() == entry.algorithm) {
            assert!(!verifier.verifies(&envelope.covered(), entry.bytes), "bytes of a fuzzer are signed by the fleet");
        }
    }
}

/// A delivery, all the way that a node reads it.
pub(crate) fn delivery(bytes: &[u8]) {
    let Ok(delivery) = decode::<Delivery>(bytes) else { return };
    assert_eq!(decode::<Delivery>(&encode(&delivery)).as_ref(), Ok(&delivery), "what was read is written otherwise");
    let Ok(envelope) = Envelope::parse(&delivery.envelope, Domain::Order) else { return };
    let Ok(order) = decode::<OrderBody>(envelope.body()) else { return };
    let _payload = order.payload();
    let _proven = is_proven([0; 32], delivery.index, order.targets.count, &delivery.proof, &order.targets.root);
}

/// A topic, and the ids in it: what is read is written as it was.
pub(crate) fn topic(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(topic) = text.parse::<Topic>() {
        assert_eq!(topic.to_string(), text, "two texts are the same topic");
    }
    if let Ok(node) = text.parse::<NodeId>() {
        assert_eq!(node.to_string(), text, "two texts are the same node");
    }
    if let Ok(order) = text.parse::<OrderId>() {
        assert_eq!(order.to_string().parse(), Ok(order));
    }
}

/// What an operator pastes on a new device.
pub(crate) fn activation(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(activation) = Activation::parse(text) {
        assert_eq!(Activation::parse(&activation.to_text()).as_ref(), Ok(&activation));
    }
}

/// A trust bundle that the root has signed, whatever is in it, as the first and as the next one.
pub(crate) fn trust(bytes: &[u8]) {
    let envelope = seal(Domain::Trust, bytes, &[&fleet::root()]);
    let first = flotilla_protocol::trust::Trust::from_pinned(&flotilla_protocol::sha256(&[bytes]), [envelope.as_slice()]);
    if let Ok(first) = first {
        assert_eq!(first.bundle().version, 1, "a first bundle is version 1");
    }
    if let Ok(next) = fleet::trust().successor(&envelope) {
        assert_eq!(next.bundle().version, fleet::trust().bundle().version + 1, "a bundle was passed over");
        assert_eq!(next.fleet(), fleet::trust().fleet(), "the fleet has changed");
    }
}
