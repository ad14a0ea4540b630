//! A claim: a device asks to become a node. The decision is a pure function of the claim and of what the database knows.

use super::{SEAL_TABLE, store};
use crate::fleet::node::store as node_store;
use crate::fleet::{Fleet, audit};
use crate::platform::allowance::Allowance;
use crate::platform::pki::{Authorities, PkiError};
use crate::platform::store::{StoreError, Write};
use ed25519_dalek::Signature;
use flotilla_protocol::enrolment::{ClaimBody, ClaimRefusal, ClaimRequest, Enrolled, claim_mac_matches, tls_proof_bytes};
use flotilla_protocol::envelope::{Domain, Envelope};
use flotilla_protocol::id::NodeId;
use flotilla_protocol::signature::strong_key;
use flotilla_protocol::wire::decode;
use std::sync::{Mutex, PoisonError};

/// Certificates that one node gets in a minute. It asks again where an answer was lost; beyond that somebody repeats its claims.
const CERTIFICATES_OF_A_NODE: u32 = 6;
/// Nodes that get certificates in one minute.
const NODES_CERTIFIED: usize = 1 << 17;
/// Most lines a minute about refused claims.
const LOGGED_REFUSALS: u32 = 20;

/// A claim whose signatures fit: whoever sent it holds the identity key and the TLS key.
#[derive(Debug)]
pub struct ProvenClaim {
    /// The node that the identity key makes.
    pub node: NodeId,
    /// The signed body.
    pub body: ClaimBody,
    /// The request in it.
    pub request: ClaimRequest,
}

/// What the database knows about a claim's activation and its key.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The code, unsealed.
    pub code: [u8; 20],
    /// When the activation expires: Unix time in milliseconds.
    pub expires_ms: u64,
    /// Whether it was deleted.
    pub deleted: bool,
    /// Registrations left.
    pub left: i64,
}

/// How a claim was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The device becomes a node and uses one registration.
    Register,
    /// The node is one already: it gets a fresh certificate and uses nothing.
    Renew,
    /// It is refused.
    Refuse(ClaimRefusal),
}

/// Reads a claim and checks every signature in it that needs no database; `None` when something does not fit.
#[must_use]
pub fn prove(payload: &[u8]) -> Option<ProvenClaim> {
    let envelope = Envelope::parse(payload, Domain::Claim).ok()?;
    // The key that signs is named inside the body, so the body is read before it is believed: decoding is bounded.
    let body: ClaimBody = decode(envelope.body()).ok()?;
    let request: ClaimRequest = decode(&body.request).ok()?;
    let identity = strong_key(&request.identity_key).ok()?;
    if !envelope.is_signed_by(&identity) {
        return None;
    }
    let tls = strong_key(&request.tls_key).ok()?;
    let proven = tls_proof_bytes(&request.identity_key, &request.tls_key, &request.nonce);
    tls.verify_strict(&proven, &Signature::from_bytes(&request.tls_proof)).ok()?;
    Some(ProvenClaim { node: NodeId::of_key(&request.identity_key), body, request })
}

/// Whether the key of a claim is that of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// It is not known yet.
    No,
    /// It is a node's.
    Member,
    /// The node was removed.
    Deregistered,
    /// Two devices speak under the node's identity.
    Quarantined,
}

/// Decides about a proven claim.
///
/// A node needs no activation for a new certificate: its own key has signed the claim, which is all that an activation was needed for once.
/// So a node whose certificate has expired comes back, and one that lost the answer to its first claim asks again, however much later.
///
/// Of an activation it is not told apart whether it is unknown or the code wrong, and nothing else is told to who does not know the code.
#[must_use]
pub fn decide(claim: &ProvenClaim, standing: Option<&Standing>, known: Known, now_ms: u64) -> Decision {
    match known {
        Known::No => {}
        Known::Member => return Decision::Renew,
        Known::Deregistered => return Decision::Refuse(ClaimRefusal::Deregistered),
        Known::Quarantined => return Decision::Refuse(ClaimRefusal::Quarantined),
    }
    let Some(standing) = standing.filter(|standing| claim_mac_matches(&standing.code, &claim.body)) else {
        return Decision::Refuse(ClaimRefusal::UnknownActivation);
    };
    if standing.deleted {
        Decision::Refuse(ClaimRefusal::Revoked)
    } else if now_ms >= standing.expires_ms {
        Decision::Refuse(ClaimRefusal::Expired)
    } else if standing.left <= 0 {
        Decision::Refuse(ClaimRefusal::UsedUp)
    } else {
        Decision::Register
    }
}

/// Where nodes connect once they are enrolled, and who certifies them.
#[derive(Debug)]
pub struct Enrolment {
    /// The fleet's certificate authorities.
    pub authorities: Authorities,
    /// How long a node's certificate is valid, in seconds.
    pub life_s: u64,
    /// Host name or address of the broker's listener for nodes.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How often refusals are logged.
    pub refusals: RefusalLog,
    /// How often is logged what is no claim at all. On its own: it must not crowd out the refusals.
    pub malformed: RefusalLog,
    /// How many certificates a node gets.
    pub certificates: Allowance<NodeId>,
}

/// Lets a line through for each refusal, and a few a minute when somebody tries many: anybody can send claims.
#[derive(Debug, Default)]
pub struct RefusalLog(Mutex<RefusalCounts>);

#[derive(Debug, Default)]
struct RefusalCounts {
    minute: u64,
    logged: u32,
    unsaid: u64,
}

impl RefusalLog {
    /// Whether to log one more refusal now, and how many went unsaid before it.
    fn may_log(&self, now_ms: u64) -> Option<u64> {
        // A poisoned lock holds counts that are as good as before.
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.minute != now_ms / 60_000 {
            (counts.minute, counts.logged) = (now_ms / 60_000, 0);
        }
        if counts.logged >= LOGGED_REFUSALS {
            counts.unsaid += 1;
            return None;
        }
        counts.logged += 1;
        Some(std::mem::take(&mut counts.unsaid))
    }
}

/// Takes up a claim within a transaction; returns the signed answer, or nothing for what is no claim at all.
///
/// # Errors
/// What the database says.
pub async fn take(fleet: &Fleet, enrolment: &Enrolment, write: &mut Write<'_>, payload: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    let now_ms = fleet.clock.now_ms();
    let Some(claim) = prove(payload) else {
        if let Some(unsaid) = enrolment.malformed.may_log(now_ms) {
            tracing::warn!(bytes = payload.len(), unsaid, "what came as a claim is malformed, or its signatures do not fit");
        }
        return Ok(None);
    };
    let id = claim.request.activation.to_string();
    let standing = match store::standing(write.connection(), &id).await? {
        None => None,
        Some((row, sealed)) => match fleet.sealer.open(SEAL_TABLE, &id, &sealed).map(|code| <[u8; 20]>::try_from(code.as_slice())) {
            Ok(Ok(code)) => Some(row.into_standing(code)),
            _ => {
                tracing::error!(activation = id, "the code of an activation cannot be unsealed");
                return Ok(reply(fleet, claim.request.nonce, Err(ClaimRefusal::TryAgain)));
            }
        },
    };
    let known = node_store::find(write.connection(), claim.node).await?;
    let known = known.map_or(Known::No, |node| match (node.deregistered, node.quarantined) {
        (true, _) => Known::Deregistered,
        (false, true) => Known::Quarantined,
        (false, false) => Known::Member,
    });
    let decision = match decide(&claim, standing.as_ref(), known, now_ms) {
        Decision::Register | Decision::Renew if !enrolment.certificates.takes(claim.node, now_ms) => {
            Decision::Refuse(ClaimRefusal::TryAgain)
        }
        decision => decision,
    };
    if let Decision::Refuse(refusal) = decision {
        if let Some(unsaid) = enrolment.refusals.may_log(now_ms) {
            tracing::warn!(node = %claim.node, activation = id, ?refusal, unsaid, "a claim was refused");
        }
        return Ok(reply(fleet, claim.request.nonce, Err(refusal)));
    }
    let certificate = enrolment.certificate(&claim, now_ms);
    let certificate = match certificate {
        Ok(certificate) => certificate,
        Err(error) => {
            tracing::error!(node = %claim.node, %error, "no certificate could be made");
            return Ok(reply(fleet, claim.request.nonce, Err(ClaimRefusal::TryAgain)));
        }
    };
    match decision {
        Decision::Register => store::admit(write, &id, &claim, now_ms).await?,
        _ => node_store::renew(write, claim.node, &claim.request.sealing_key, &claim.request.tls_key, now_ms).await?,
    }
    node_store::set_authorities(write, claim.node, &enrolment.authorities.hash_text()).await?;
    write.record(audit::enrolled(claim.node, &id, decision == Decision::Register, &certificate, now_ms));
    tracing::info!(node = %claim.node, activation = id, ?decision, "a claim was accepted");
    let enrolled = Enrolled {
        authority: enrolment.authorities.der(),
        certificate,
        host: enrolment.host.clone(),
        port: enrolment.port,
        time_ms: now_ms,
    };
    Ok(reply(fleet, claim.request.nonce, Ok(enrolled)))
}

/// The signed answer; nothing where the bridge's key was revoked, which its log has said.
fn reply(fleet: &Fleet, nonce: [u8; 32], outcome: Result<Enrolled, ClaimRefusal>) -> Option<Vec<u8>> {
    fleet.signer.claim_reply(nonce, outcome).ok()
}

impl Enrolment {
    /// For nodes that connect there, with certificates of so many seconds.
    #[must_use]
    pub fn new(authorities: Authorities, host: String, port: u16, life_s: u64) -> Self {
        let (refusals, malformed) = (RefusalLog::default(), RefusalLog::default());
        let certificates = Allowance::new(CERTIFICATES_OF_A_NODE, NODES_CERTIFIED);
        Self { authorities, life_s, host, port, refusals, malformed, certificates }
    }

    /// Whether a node is to be nudged to ask for a new certificate, given the hash of the authorities that it was told of last. During a
    /// rotation every node is: the answer that told it may have been lost. It knows best whether it needs to.
    #[must_use]
    pub fn nudges(&self, told: Option<&str>) -> bool {
        self.authorities.former.is_some() || told.is_some_and(|told| told != self.authorities.hash_text())
    }

    fn certificate(&self, claim: &ProvenClaim, now_ms: u64) -> Result<Vec<u8>, PkiError> {
        let authority = &self.authorities.current;
        authority.certify_client_key_for(&claim.node.to_string(), &claim.request.tls_key, now_ms / 1000, self.life_s)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use ed25519_dalek::{Signer as _, SigningKey};
    use flotilla_protocol::enrolment::claim_mac;
    use flotilla_protocol::envelope::seal;
    use flotilla_protocol::hello::Facts;
    use flotilla_protocol::id::ActivationId;
    use flotilla_protocol::wire::encode;

    pub(crate) fn sealed_claim(identity: &SigningKey, tls: &SigningKey, activation: ActivationId, code: &[u8; 20]) -> Vec<u8> {
        let (identity_key, tls_key) = (identity.verifying_key().to_bytes(), tls.verifying_key().to_bytes());
        let nonce = [5; 32];
        let request = ClaimRequest {
            activation,
            identity_key,
            sealing_key: [6; 32],
            tls_key,
            tls_proof: tls.sign(&tls_proof_bytes(&identity_key, &tls_key, &nonce)).to_bytes(),
            nonce,
            facts: Facts { computer_name: "device".into(), ..Facts::default() },
        };
        let request = encode(&request);
        let mac = claim_mac(code, &request);
        seal(Domain::Claim, &encode(&ClaimBody { request, mac }), &[identity])
    }

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    #[test]
    fn a_claim_must_be_signed_by_both_keys_it_names() {
        let claim = sealed_claim(&key(1), &key(2), ActivationId([3; 16]), &[4; 20]);
        let proven = prove(&claim).unwrap();
        assert_eq!(proven.node, NodeId::of_key(&key(1).verifying_key().to_bytes()));
        for index in 0..claim.len() {
            let mut changed = claim.clone();
            changed[index] ^= 1;
            assert!(prove(&changed).is_none(), "byte {index}");
        }
        let body = Envelope::parse(&claim, Domain::Claim).unwrap().body().to_vec();
        assert!(prove(&seal(Domain::Claim, &body, &[&key(9)])).is_none(), "another signer");
        let mut request = proven.request.clone();
        request.tls_proof = key(9).sign(b"x").to_bytes();
        let body = ClaimBody { request: encode(&request), mac: [0; 32] };
        assert!(prove(&seal(Domain::Claim, &encode(&body), &[&key(1)])).is_none(), "a TLS key that is not held");
    }

    #[test]
    fn refusals_fill_no_log() {
        let log = RefusalLog::default();
        let logged = (0..1_000).filter(|_| log.may_log(5).is_some()).count();
        assert_eq!((logged, log.may_log(60_000)), (20, Some(980)));
        assert_eq!(log.may_log(60_001), Some(0));
    }

    #[test]
    fn every_refusal_and_what_is_told_to_whom() {
        let claim = prove(&sealed_claim(&key(1), &key(2), ActivationId([3; 16]), &[4; 20])).unwrap();
        let good = Standing { code: [4; 20], expires_ms: 100, deleted: false, left: 1 };
        let refuse = Decision::Refuse;
        let cases = [
            (Some(good.clone()), 99, Decision::Register),
            (Some(Standing { left: 0, ..good.clone() }), 99, refuse(ClaimRefusal::UsedUp)),
            (Some(good.clone()), 100, refuse(ClaimRefusal::Expired)),
            (Some(Standing { deleted: true, ..good.clone() }), 99, refuse(ClaimRefusal::Revoked)),
            (None, 99, refuse(ClaimRefusal::UnknownActivation)),
            (Some(Standing { code: [9; 20], deleted: true, ..good }), 999, refuse(ClaimRefusal::UnknownActivation)),
        ];
        for (standing, now_ms, expected) in cases {
            assert_eq!(decide(&claim, standing.as_ref(), Known::No, now_ms), expected, "{standing:?} {now_ms}");
            // Whatever has become of the activation: what counts of a node is its key.
            for (known, expected) in [
                (Known::Member, Decision::Renew),
                (Known::Deregistered, refuse(ClaimRefusal::Deregistered)),
                (Known::Quarantined, refuse(ClaimRefusal::Quarantined)),
            ] {
                assert_eq!(decide(&claim, standing.as_ref(), known, now_ms), expected, "{standing:?} {known:?} {now_ms}");
            }
        }
    }
}
