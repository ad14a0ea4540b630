//! Exec's part of a renewal: it signs the claim with the node's key, and believes an answer or not. The link has the TLS key and the network.

use ed25519_dalek::SigningKey;
use flotilla_protocol::enrolment::ClaimRefusal;
use flotilla_protocol::hello::Facts;

use crate::frame::FromExec;
use crate::register::RegisterError;
use crate::register::claim::Claim;

/// What a renewal needs of the node's state.
pub(super) struct Renewal {
    pub(super) identity: SigningKey,
    /// X25519.
    pub(super) sealing_key: [u8; 32],
    /// SHA-256 of the body of trust bundle 1.
    pub(super) root_hash: [u8; 32],
    pub(super) stage: Stage,
}

/// How far it is.
#[derive(Default)]
pub(super) enum Stage {
    #[default]
    Nothing,
    /// The link was told this nonce.
    Told([u8; 32]),
    /// This claim is on its way.
    Claimed(Box<Claim>),
}

impl Renewal {
    /// The link wants a certificate: what it is to prove its key with.
    pub(super) fn begin(&mut self) -> FromExec {
        let mut nonce = [0; 32];
        if let Err(error) = getrandom::fill(&mut nonce) {
            return refused(format!("the system gives no random bytes: {error}"));
        }
        self.stage = Stage::Told(nonce);
        FromExec::RenewalTerms { identity_key: self.identity.verifying_key().to_bytes(), nonce }
    }

    /// The link has proved its key; the proof is the bridge's to judge.
    pub(super) fn claim(&mut self, tls_key: [u8; 32], tls_proof: [u8; 64], facts: Facts) -> FromExec {
        let Stage::Told(nonce) = std::mem::take(&mut self.stage) else { return refused("the link spoke out of turn".to_owned()) };
        let claim = Claim::of_node(&self.identity, (tls_key, tls_proof), self.sealing_key, nonce, facts);
        let envelope = claim.envelope().to_vec();
        self.stage = Stage::Claimed(Box::new(claim));
        FromExec::RenewalClaim { envelope }
    }

    /// An answer has come. It is believed as at the registration, and not by an older trust than the node's own.
    pub(super) fn judge(&mut self, answer: &[u8], trust_version: u32) -> FromExec {
        let Stage::Claimed(claim) = std::mem::take(&mut self.stage) else { return refused("the link spoke out of turn".to_owned()) };
        let accepted = match claim.accept(answer, &self.root_hash) {
            Ok(accepted) => accepted,
            Err(error) => {
                let is_final = matches!(error, RegisterError::Refused(ClaimRefusal::Deregistered | ClaimRefusal::Quarantined));
                return FromExec::NotRenewed { reason: error.to_string(), is_final };
            }
        };
        if u32::try_from(accepted.bundles.len()).unwrap_or(u32::MAX) < trust_version {
            return refused(RegisterError::OlderTrust.to_string());
        }
        let enrolled = accepted.enrolled;
        FromExec::Renewed { authorities: enrolled.authority, certificate: enrolled.certificate, host: enrolled.host, port: enrolled.port }
    }
}

fn refused(reason: String) -> FromExec {
    FromExec::NotRenewed { reason, is_final: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flotilla_protocol::enrolment::{ClaimBody, ClaimReplyBody, ClaimRequest, Enrolled, NO_ACTIVATION};
    use flotilla_protocol::envelope::{Domain, Envelope, seal};
    use flotilla_protocol::trust::{Role, RoleEntry, TrustBundle, TrustKey};
    use flotilla_protocol::wire::{ByteVec, decode, encode};

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    /// Bundle 1, whose root is key 1 and whose bridge is key 2.
    fn bundle() -> (Vec<u8>, [u8; 32]) {
        let named = |seed: u8| TrustKey::new(key(seed).verifying_key().to_bytes().into(), &format!("person {seed}"));
        let role = |role, key| RoleEntry { role, threshold: 1, keys: vec![key] };
        let roles = vec![role(Role::Root, 0), role(Role::Bridge, 1)];
        let body = encode(&TrustBundle { expires_ms: 1_000_000, ..TrustBundle::beginning(vec![named(1), named(2)], roles, Vec::new()) });
        (seal(Domain::Trust, &body, &[&key(1)]), flotilla_protocol::sha256(&[&body]))
    }

    fn renewal() -> Renewal {
        Renewal { identity: key(5), sealing_key: [6; 32], root_hash: bundle().1, stage: Stage::Nothing }
    }

    fn claimed(renewal: &mut Renewal) -> ClaimRequest {
        let FromExec::RenewalTerms { nonce, .. } = renewal.begin() else { panic!("no terms") };
        let FromExec::RenewalClaim { envelope } = renewal.claim([7; 32], [8; 64], Facts::default()) else { panic!("no claim") };
        let envelope = Envelope::parse(&envelope, Domain::Claim).unwrap();
        assert!(envelope.is_signed_by(&key(5).verifying_key()));
        let body: ClaimBody = decode(envelope.body()).unwrap();
        let request: ClaimRequest = decode(&body.request).unwrap();
        assert_eq!((request.activation, request.nonce, request.tls_key), (NO_ACTIVATION, nonce, [7; 32]));
        request
    }

    fn answer(nonce: [u8; 32], signer: u8, outcome: Result<(), ClaimRefusal>) -> Vec<u8> {
        let enrolled = Enrolled { authority: vec![1], certificate: vec![2], host: "h".into(), port: 3, time_ms: 4 };
        let body = ClaimReplyBody { nonce, bundles: vec![ByteVec(bundle().0)], outcome: outcome.map(|()| enrolled) };
        seal(Domain::ClaimReply, &encode(&body), &[&key(signer)])
    }

    #[test]
    fn only_the_bridges_answer_to_this_claim_renews_and_not_by_an_older_trust() {
        let mut renewal = renewal();
        let judged = |renewal: &mut Renewal, signer, stale: bool, version| {
            let nonce = claimed(renewal).nonce;
            renewal.judge(&answer(if stale { [0; 32] } else { nonce }, signer, Ok(())), version)
        };
        assert!(matches!(judged(&mut renewal, 2, false, 1), FromExec::Renewed { port: 3, .. }));
        assert!(matches!(judged(&mut renewal, 9, false, 1), FromExec::NotRenewed { is_final: false, .. }), "another signer");
        assert!(matches!(judged(&mut renewal, 2, true, 1), FromExec::NotRenewed { is_final: false, .. }), "another claim's");
        assert!(matches!(judged(&mut renewal, 2, false, 2), FromExec::NotRenewed { is_final: false, .. }), "older trust");
    }

    #[test]
    fn an_answer_counts_once_and_a_refusal_for_good_is_told_apart() {
        let mut renewal = renewal();
        let nonce = claimed(&mut renewal).nonce;
        let good = answer(nonce, 2, Ok(()));
        assert!(matches!(renewal.judge(&good, 1), FromExec::Renewed { .. }));
        assert!(matches!(renewal.judge(&good, 1), FromExec::NotRenewed { .. }));
        for (refusal, expected) in [(ClaimRefusal::Deregistered, true), (ClaimRefusal::Quarantined, true), (ClaimRefusal::TryAgain, false)]
        {
            let nonce = claimed(&mut renewal).nonce;
            let FromExec::NotRenewed { is_final, .. } = renewal.judge(&answer(nonce, 2, Err(refusal)), 1) else { panic!("renewed") };
            assert_eq!(is_final, expected, "{refusal:?}");
        }
    }
}
