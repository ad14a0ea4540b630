//! Sessions: a key that a node and the bridge share for a while, so that reports at a high rate cost a hash and not a signature each.
//!
//! The bridge makes the key and offers it in the signed welcome ([`crate::hello::WelcomeBody::offers`]), sealed to the node's X25519 key
//! ([`SealedSession`]). From then on a report of a stream that may be dropped can carry a MAC in the place of its signature: one entry of the
//! envelope with [`ALGORITHM_SESSION_MAC`], the session's id as key id, and the 32 bytes of HMAC-SHA256 under the session's key over exactly
//! what a signature covers. It stands alone: beside another entry it counts for nothing, and so in every other domain and for control.
//!
//! Whoever can check a MAC can make it, so it proves nothing to a third. That suffices for what may be lost anyway; what a node did is signed.
//!
//! Sealed is with HPKE as in [`crate::secret`]: `info` is `"flotilla/session" ‖ version u8 ‖ 0x00 ‖ fleet (8) ‖ node id as text (20) ‖ nonce of
//! the hello (32)`, `aad` is the id. What was sealed for another node or hello does not open. Who sealed is said by the signature of the
//! welcome.
//!
//! Sealing, opening and MACs need the feature `seal`; reading the form does not.
//!
//! [`ALGORITHM_SESSION_MAC`]: crate::signature::ALGORITHM_SESSION_MAC

use crate::id::{FleetId, NodeId};
use crate::version;
use crate::wire::{Check, DecodeError};
use alloc::string::ToString as _;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// A session that the bridge offers to one node in the answer to one hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedSession {
    /// By which MACs name the session: chosen by the bridge, and of no meaning to the node.
    pub id: [u8; 8],
    /// HPKE's encapsulated key: an X25519 public key made for this session alone.
    pub encapsulated: [u8; 32],
    /// The session's key, sealed.
    pub ciphertext: [u8; 32],
    /// The tag of the sealed key.
    pub tag: [u8; 16],
}

impl Check for SealedSession {
    fn check(&self) -> Result<(), DecodeError> {
        Ok(())
    }
}

/// To what a session is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionBinding {
    /// The fleet.
    pub fleet: FleetId,
    /// The node that can open it.
    pub node: NodeId,
    /// The nonce of the hello that it answers.
    pub nonce: [u8; 32],
}

impl SessionBinding {
    /// HPKE's `info`.
    #[must_use]
    pub fn info(&self) -> Vec<u8> {
        let node = self.node.to_string();
        [b"flotilla/session".as_slice(), &[version::VERSION, 0], &self.fleet.0, node.as_bytes(), &self.nonce].concat()
    }
}

#[cfg(feature = "seal")]
pub use self::keyed::{SessionKey, open, seal};

#[cfg(feature = "seal")]
mod keyed {
    use super::{SealedSession, SessionBinding};
    use crate::secret::{SealError, SealingKey, receiver, sender};
    use core::fmt;
    use hmac::{Hmac, KeyInit as _, Mac as _};
    use sha2::Sha256;
    use zeroize::Zeroizing;

    /// The key of a session; it is wiped when it is dropped.
    #[derive(Clone)]
    pub struct SessionKey {
        id: [u8; 8],
        key: Zeroizing<[u8; 32]>,
    }

    impl SessionKey {
        /// The session of this id with this key: 32 bytes that nobody can foresee.
        #[must_use]
        pub fn new(id: [u8; 8], key: [u8; 32]) -> Self {
            Self { id, key: Zeroizing::new(key) }
        }

        /// By which MACs name the session.
        #[must_use]
        pub fn id(&self) -> [u8; 8] {
            self.id
        }

        /// HMAC-SHA256 over these parts, one after the other.
        #[must_use]
        pub(crate) fn mac(&self, parts: [&[u8]; 2]) -> [u8; 32] {
            self.keyed(parts).finalize().into_bytes().into()
        }

        /// Whether `mac` is the whole HMAC-SHA256 over these parts. How long it takes does not depend on where they differ.
        #[must_use]
        pub(crate) fn verifies(&self, parts: [&[u8]; 2], mac: &[u8]) -> bool {
            self.keyed(parts).verify_slice(mac).is_ok()
        }

        fn keyed(&self, parts: [&[u8]; 2]) -> Hmac<Sha256> {
            let mut mac = Hmac::<Sha256>::new_from_slice(self.key.as_slice()).expect("HMAC takes keys of any length");
            parts.into_iter().for_each(|part| mac.update(part));
            mac
        }
    }

    impl fmt::Debug for SessionKey {
        /// Without the key.
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("SessionKey").field("id", &self.id).finish_non_exhaustive()
        }
    }

    /// Seals a session to a node. `randomness` is 32 fresh bytes from the operating system, used for this call alone: whoever knows them can
    /// open what is sealed.
    ///
    /// # Errors
    /// [`SealError::Key`]: the node's public key is none that can be sealed to.
    pub fn seal(
        binding: &SessionBinding,
        sealing_key: &[u8; 32],
        session: &SessionKey,
        randomness: &[u8; 32],
    ) -> Result<SealedSession, SealError> {
        let (encapsulated, mut context) = sender(sealing_key, &binding.info(), randomness).ok_or(SealError::Key)?;
        let sealed = context.seal(session.key.as_slice(), &session.id).map_err(|_| SealError::Key)?;
        let (ciphertext, tag) = sealed.split_first_chunk().ok_or(SealError::Key)?;
        Ok(SealedSession { id: session.id, encapsulated, ciphertext: *ciphertext, tag: tag.try_into().map_err(|_| SealError::Key)? })
    }

    /// Opens a session that was offered in a welcome; nothing where it was sealed to another key, for another node or hello, or was changed.
    #[must_use]
    pub fn open(binding: &SessionBinding, key: &SealingKey, sealed: &SealedSession) -> Option<SessionKey> {
        let mut context = receiver(key, &sealed.encapsulated, &binding.info())?;
        let ciphertext = [sealed.ciphertext.as_slice(), &sealed.tag].concat();
        let opened = Zeroizing::new(context.open(&ciphertext, &sealed.id).ok()?);
        Some(SessionKey { id: sealed.id, key: Zeroizing::new(opened.as_slice().try_into().ok()?) })
    }
}

#[cfg(test)]
#[cfg(feature = "seal")]
mod tests {
    use super::*;
    use crate::envelope::{self, Domain, Envelope};
    use crate::secret::{SealError, SealingKey};
    use crate::signature::ALGORITHM_SESSION_MAC;
    use crate::wire::{decode, encode};
    use ed25519_dalek::SigningKey;

    fn binding() -> SessionBinding {
        SessionBinding { fleet: FleetId([1; 8]), node: NodeId::of_key(&[2; 32]), nonce: [3; 32] }
    }

    fn node_key() -> SealingKey {
        SealingKey::new([7; 32])
    }

    fn session() -> SessionKey {
        SessionKey::new([4; 8], [5; 32])
    }

    fn sealed() -> SealedSession {
        seal(&binding(), &node_key().public(), &session(), &[9; 32]).unwrap()
    }

    fn signed(domain: Domain, body: &[u8]) -> Vec<u8> {
        envelope::seal(domain, body, &[&SigningKey::from_bytes(&[1; 32])])
    }

    fn with_mac(body: &[u8]) -> Vec<u8> {
        Envelope::parse(&signed(Domain::Report, body), Domain::Report).unwrap().under_session(&session()).unwrap()
    }

    fn counts(bytes: &[u8], session: &SessionKey) -> bool {
        Envelope::parse(bytes, Domain::Report).is_ok_and(|envelope| envelope.is_of_session(session))
    }

    /// An envelope of one entry, made by hand.
    fn by_hand(domain: Domain, algorithm: u8, id: [u8; 8], mac: &[u8], body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(mac.len()).unwrap().to_le_bytes();
        [b"FL".as_slice(), &[version::VERSION, domain as u8, 1, algorithm], &id, &length, mac, body].concat()
    }

    #[test]
    fn what_is_sealed_opens_for_its_node_and_its_hello_alone() {
        let sealed = sealed();
        assert_eq!(encode(&sealed).len(), 88);
        assert_eq!(decode::<SealedSession>(&encode(&sealed)), Ok(sealed));
        let opened = open(&binding(), &node_key(), &sealed).unwrap();
        assert_eq!(opened.id(), [4; 8]);
        assert!(counts(&with_mac(b"body"), &opened), "it is the same key");
        assert!(open(&binding(), &SealingKey::new([8; 32]), &sealed).is_none(), "another node's key");
        let elsewhere = [
            SessionBinding { fleet: FleetId([9; 8]), ..binding() },
            SessionBinding { node: NodeId::of_key(&[9; 32]), ..binding() },
            SessionBinding { nonce: [9; 32], ..binding() },
        ];
        for other in elsewhere {
            assert!(open(&other, &node_key(), &sealed).is_none(), "{other:?}");
        }
        // A secret of an order is no session, and the other way round.
        assert!(!binding().info().starts_with(b"flotilla/secret"));
    }

    #[test]
    fn no_bit_of_what_is_sealed_can_be_changed() {
        let good = encode(&sealed());
        for bit in 0..good.len() * 8 {
            let mut changed = good.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&binding(), &node_key(), &decode(&changed).unwrap()).is_none(), "bit {bit}");
        }
    }

    #[test]
    fn a_weak_key_gets_no_session_and_other_randomness_shares_nothing() {
        assert_eq!(seal(&binding(), &[0; 32], &session(), &[9; 32]), Err(SealError::Key));
        let other = seal(&binding(), &node_key().public(), &session(), &[10; 32]).unwrap();
        assert!(other.encapsulated != sealed().encapsulated && other.ciphertext != sealed().ciphertext);
    }

    #[test]
    fn a_mac_counts_over_its_body_in_its_session_alone() {
        let bytes = with_mac(b"body");
        let envelope = Envelope::parse(&bytes, Domain::Report).unwrap();
        assert_eq!((envelope.session_id(), envelope.body()), (Some([4; 8]), b"body".as_slice()));
        assert!(envelope.is_of_session(&session()));
        assert!(!envelope.is_of_session(&SessionKey::new([4; 8], [6; 32])), "another key");
        assert!(!envelope.is_of_session(&SessionKey::new([6; 8], [5; 32])), "another id");
        assert!(!envelope.is_signed_by(&SigningKey::from_bytes(&[1; 32]).verifying_key()));
        let mac = envelope.signatures()[0].bytes.to_vec();
        assert_eq!(mac.len(), 32);
        let by_hand = |algorithm, mac: &[u8]| by_hand(Domain::Report, algorithm, [4; 8], mac, b"body");
        assert_eq!(by_hand(ALGORITHM_SESSION_MAC, &mac), bytes);
        for length in 0..32 {
            assert!(!counts(&by_hand(ALGORITHM_SESSION_MAC, &mac[..length]), &session()), "{length} bytes");
        }
        assert!(!counts(&by_hand(ALGORITHM_SESSION_MAC, &[mac.as_slice(), &[0]].concat()), &session()), "33 bytes");
        for algorithm in [1, 2, 3, 5] {
            assert!(!counts(&by_hand(algorithm, &mac), &session()), "algorithm {algorithm}");
        }
    }

    #[test]
    fn no_single_bit_of_an_envelope_with_a_mac_can_be_flipped() {
        let good = with_mac(&[7; 300]);
        for bit in 0..good.len() * 8 {
            let mut flipped = good.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!counts(&flipped, &session()), "bit {bit}");
        }
    }

    #[test]
    fn only_reports_have_macs() {
        for domain in Domain::ALL {
            let bytes = signed(domain, b"body");
            let made = Envelope::parse(&bytes, domain).unwrap().under_session(&session());
            assert_eq!(made.is_some(), domain == Domain::Report, "{domain:?}");
            // Made by hand, over what a signature would cover.
            let covered = Envelope::parse(&bytes, domain).unwrap().covered();
            let bytes = by_hand(domain, ALGORITHM_SESSION_MAC, [4; 8], &session().mac([&covered, b""]), b"body");
            let envelope = Envelope::parse(&bytes, domain).unwrap();
            assert_eq!(envelope.is_of_session(&session()), domain == Domain::Report, "{domain:?}");
            assert_eq!(envelope.session_id().is_some(), domain == Domain::Report, "{domain:?}");
        }
        // A MAC of another domain, under the header of reports.
        let cancel = signed(Domain::Cancel, b"body");
        let covered = Envelope::parse(&cancel, Domain::Cancel).unwrap().covered();
        let moved = by_hand(Domain::Report, ALGORITHM_SESSION_MAC, [4; 8], &session().mac([&covered, b""]), b"body");
        assert!(!counts(&moved, &session()));
    }

    #[test]
    fn beside_a_signature_a_mac_counts_for_nothing() {
        let (bytes, sealed) = (with_mac(b"body"), signed(Domain::Report, b"body"));
        let mac = Envelope::parse(&bytes, Domain::Report).unwrap();
        let both = Envelope::parse(&sealed, Domain::Report).unwrap().with_signature(mac.signatures()[0]).unwrap();
        let both = Envelope::parse(&both, Domain::Report).unwrap();
        assert!(both.is_signed_by(&SigningKey::from_bytes(&[1; 32]).verifying_key()));
        assert!(!both.is_of_session(&session()) && both.session_id().is_none());
        assert_eq!(both.under_session(&session()).unwrap(), bytes, "nothing stays of what was there");
    }

    #[test]
    fn nothing_prints_a_key() {
        assert_eq!(alloc::format!("{:?}", session()), "SessionKey { id: [4, 4, 4, 4, 4, 4, 4, 4], .. }");
    }
}
