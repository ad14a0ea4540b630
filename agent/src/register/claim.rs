//! A claim, and what makes an answer to it believed.

use flotilla_protocol::enrolment::{
    Activation, ClaimBody, ClaimReplyBody, ClaimRequest, Enrolled, NO_ACTIVATION, claim_mac, tls_proof_bytes,
};
use flotilla_protocol::envelope::{Domain, Envelope, seal};
use flotilla_protocol::hello::Facts;
use flotilla_protocol::trust::{Role, Trust, TrustError};
use flotilla_protocol::wire::{decode, encode};

use ed25519_dalek::{Signer as _, SigningKey};

use super::RegisterError;
use super::store::Keys;

/// A claim that was made and may be sent any number of times.
pub(crate) struct Claim {
    nonce: [u8; 32],
    envelope: Vec<u8>,
}

/// An answer that was believed.
pub(crate) struct Accepted {
    /// The envelopes of all trust bundles from 1 on.
    pub(crate) bundles: Vec<Vec<u8>>,
    pub(crate) enrolled: Enrolled,
}

impl Claim {
    pub(super) fn new(activation: &Activation, keys: &Keys, facts: Facts) -> Result<Self, RegisterError> {
        let mut nonce = [0; 32];
        getrandom::fill(&mut nonce).map_err(RegisterError::Randomness)?;
        let identity_key = keys.identity.verifying_key().to_bytes();
        let tls_key = keys.tls.verifying_key().to_bytes();
        let request = encode(&ClaimRequest {
            activation: activation.id,
            identity_key,
            sealing_key: keys.sealing_public(),
            tls_key,
            tls_proof: keys.tls.sign(&tls_proof_bytes(&identity_key, &tls_key, &nonce)).to_bytes(),
            nonce,
            facts,
        });
        let mac = claim_mac(&activation.code, &request);
        Ok(Self { nonce, envelope: seal(Domain::Claim, &encode(&ClaimBody { request, mac }), &[&keys.identity]) })
    }

    /// The claim of a node that asks for a new certificate: its own signature is what counts, and no activation. The TLS key is the link's,
    /// which has signed `nonce`.
    pub(crate) fn of_node(identity: &SigningKey, tls: ([u8; 32], [u8; 64]), sealing_key: [u8; 32], nonce: [u8; 32], facts: Facts) -> Self {
        let (tls_key, tls_proof) = tls;
        let identity_key = identity.verifying_key().to_bytes();
        let request = encode(&ClaimRequest { activation: NO_ACTIVATION, identity_key, sealing_key, tls_key, tls_proof, nonce, facts });
        Self { nonce, envelope: seal(Domain::Claim, &encode(&ClaimBody { request, mac: [0; 32] }), &[identity]) }
    }

    pub(crate) fn envelope(&self) -> &[u8] {
        &self.envelope
    }

    /// Believes an answer whose signature leads back to the pinned root.
    ///
    /// The body is decoded before its signature is verified, the only such place: the keys to verify with are in it. Nothing
    /// else of it is used until then.
    pub(crate) fn accept(&self, answer: &[u8], root_hash: &[u8; 32]) -> Result<Accepted, RegisterError> {
        let envelope = Envelope::parse(answer, Domain::ClaimReply).map_err(|error| RegisterError::Unreadable(error.into()))?;
        let body: ClaimReplyBody = decode(envelope.body()).map_err(|error| RegisterError::Unreadable(error.into()))?;
        let trust = Trust::from_pinned(root_hash, body.bundles.iter().map(|bundle| bundle.0.as_slice())).map_err(|error| match error {
            TrustError::AnotherRoot => RegisterError::AnotherRoot,
            error => RegisterError::Untrusted(error),
        })?;
        trust.require(Role::Bridge, &envelope).map_err(RegisterError::Untrusted)?;
        if body.nonce != self.nonce {
            return Err(RegisterError::OtherNonce);
        }
        let enrolled = body.outcome.map_err(RegisterError::Refused)?;
        if trust.bundle().expires_ms <= enrolled.time_ms {
            return Err(RegisterError::ExpiredTrust);
        }
        Ok(Accepted { bundles: body.bundles.into_iter().map(|bundle| bundle.0).collect(), enrolled })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::SigningKey;
    use flotilla_protocol::enrolment::{ClaimRefusal, claim_mac_matches};
    use flotilla_protocol::id::ActivationId;
    use flotilla_protocol::trust::{RoleEntry, TrustBundle, TrustKey};
    use flotilla_protocol::wire::ByteVec;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    /// The bundle of a fleet whose root is key 1 and whose bridge is key 2.
    fn bundle(expires_ms: u64) -> (Vec<u8>, [u8; 32]) {
        let named = |seed: u8, person: &str| TrustKey::new(key(seed).verifying_key().to_bytes().into(), person);
        let role = |role, key| RoleEntry { role, threshold: 1, keys: vec![key] };
        let (keys, roles) = (vec![named(1, "root"), named(2, "bridge")], vec![role(Role::Root, 0), role(Role::Bridge, 1)]);
        let body = encode(&TrustBundle { expires_ms, ..TrustBundle::beginning(keys, roles, Vec::new()) });
        (seal(Domain::Trust, &body, &[&key(1)]), flotilla_protocol::sha256(&[&body]))
    }

    fn claim() -> (Claim, Activation) {
        let keys = Keys { identity: key(5), tls: key(6), sealing: [7; 32] };
        let activation = Activation { id: ActivationId([1; 16]), code: [2; 20], host: "h".into(), port: 1, root_hash: [0; 32] };
        (Claim::new(&activation, &keys, Facts::default()).unwrap(), activation)
    }

    fn answer(claim: &Claim, signer: u8, bundle: &[u8], outcome: Result<Enrolled, ClaimRefusal>) -> Vec<u8> {
        let body = ClaimReplyBody { nonce: claim.nonce, bundles: vec![ByteVec(bundle.to_vec())], outcome };
        seal(Domain::ClaimReply, &encode(&body), &[&key(signer)])
    }

    fn enrolled() -> Enrolled {
        Enrolled { authority: vec![1], certificate: vec![2], host: "h".into(), port: 1, time_ms: 1000 }
    }

    #[test]
    fn a_claim_proves_its_keys_and_hides_its_code() {
        let (claim, activation) = claim();
        let envelope = Envelope::parse(claim.envelope(), Domain::Claim).unwrap();
        assert!(envelope.is_signed_by(&key(5).verifying_key()));
        let body: ClaimBody = decode(envelope.body()).unwrap();
        assert!(claim_mac_matches(&activation.code, &body));
        assert!(!claim_mac_matches(&[3; 20], &body));
        let request: ClaimRequest = decode(&body.request).unwrap();
        let proof = tls_proof_bytes(&request.identity_key, &request.tls_key, &request.nonce);
        key(6).verifying_key().verify_strict(&proof, &ed25519_dalek::Signature::from_bytes(&request.tls_proof)).unwrap();
        assert!(!claim.envelope().windows(20).any(|window| window == activation.code));
    }

    #[test]
    fn only_a_trusted_answer_to_this_claim_is_believed() {
        let (claim, _) = claim();
        let (bundle_1, root_hash) = bundle(2000);
        let good = answer(&claim, 2, &bundle_1, Ok(enrolled()));
        assert_eq!(claim.accept(&good, &root_hash).unwrap().enrolled, enrolled());

        let refused = |bytes: &[u8], root_hash: &[u8; 32]| claim.accept(bytes, root_hash).err().unwrap();
        assert!(matches!(refused(&good, &[9; 32]), RegisterError::AnotherRoot));
        let other_signer = answer(&claim, 1, &bundle_1, Ok(enrolled()));
        assert!(matches!(refused(&other_signer, &root_hash), RegisterError::Untrusted(TrustError::Threshold(Role::Bridge))));
        let other_claim = answer(&self::claim().0, 2, &bundle_1, Ok(enrolled()));
        assert!(matches!(refused(&other_claim, &root_hash), RegisterError::OtherNonce));
        let used_up = answer(&claim, 2, &bundle_1, Err(ClaimRefusal::UsedUp));
        assert!(matches!(refused(&used_up, &root_hash), RegisterError::Refused(ClaimRefusal::UsedUp)));
        // A refusal that is not signed by the bridge is not believed either.
        let forged = answer(&claim, 3, &bundle_1, Err(ClaimRefusal::Revoked));
        assert!(matches!(refused(&forged, &root_hash), RegisterError::Untrusted(_)));
        let (expired, expired_hash) = bundle(1000);
        assert!(matches!(refused(&answer(&claim, 2, &expired, Ok(enrolled())), &expired_hash), RegisterError::ExpiredTrust));
        for length in 0..good.len() {
            assert!(claim.accept(&good[..length], &root_hash).is_err(), "{length} bytes");
        }
        for byte in 0..good.len() {
            let mut flipped = good.clone();
            flipped[byte] ^= 1;
            assert!(claim.accept(&flipped, &root_hash).is_err(), "byte {byte}");
        }
    }
}
