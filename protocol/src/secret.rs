//! Sealed secrets: values of an order that only one node can read.
//!
//! A plan, which is the same for all nodes and signed, holds a place ([`crate::document::Segment::Secret`]) and never a value. The values are in
//! the node data of the delivery ([`crate::delivery::NodeData`]), sealed to the X25519 key of that node; its hash is in the node's leaf, so
//! the signature over the targets covers it and nobody can exchange it.
//!
//! Sealed is with HPKE (RFC 9180) in base mode: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305. One encapsulation serves all
//! secrets of a delivery; they are sealed and opened in their order under its sequence numbers. `info` is
//! `"flotilla/secret" ‖ version u8 ‖ 0x00 ‖ fleet (8) ‖ order (16) ‖ node id as text (20)`, `aad` is the parameter's name: what was sealed for
//! another node, order or name does not open. Who sealed is not said by HPKE in this mode, but by the signature over the order.
//!
//! Sealing and opening need the feature `seal`; reading and checking the form does not.

use crate::id::{FleetId, NodeId, OrderId};
use crate::version;
use crate::wire::{Check, DecodeError, bytes, limit};
use alloc::string::ToString as _;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Most secrets of one order.
pub const MAXIMUM_SECRETS: usize = 16;
/// Longest value of one secret, in bytes.
pub const MAXIMUM_SECRET_BYTES: usize = 8 * 1024;
/// Longest values of all secrets of one order together, in bytes: sealed they fit into [`crate::delivery::MAXIMUM_NODE_DATA_BYTES`].
pub const MAXIMUM_SECRETS_BYTES: usize = 15 * 1024;
/// How many bytes longer a sealed value is.
const TAG_BYTES: usize = 16;

/// The secrets of one delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedSecrets {
    /// HPKE's encapsulated key: an X25519 public key made for this delivery alone.
    pub encapsulated: [u8; 32],
    /// The values, by rising parameter. At least one, at most [`MAXIMUM_SECRETS`].
    pub secrets: Vec<SealedSecret>,
}

/// One sealed value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedSecret {
    /// The index in the order's list of parameters, whose name is bound to the value.
    pub parameter: u16,
    /// The value with its tag, 16 bytes longer than the value.
    #[serde(with = "bytes")]
    pub ciphertext: Vec<u8>,
}

impl Check for SealedSecrets {
    fn check(&self) -> Result<(), DecodeError> {
        limit((1..=MAXIMUM_SECRETS).contains(&self.secrets.len()), "the number of secrets")?;
        let rises = self.secrets.is_sorted_by(|earlier, later| earlier.parameter < later.parameter);
        limit(rises, "the order of secrets")?;
        let has_length = |secret: &SealedSecret| (TAG_BYTES..=TAG_BYTES + MAXIMUM_SECRET_BYTES).contains(&secret.ciphertext.len());
        limit(self.secrets.iter().all(has_length), "the length of a secret")
    }
}

/// To what a sealed value is bound, besides its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// The fleet.
    pub fleet: FleetId,
    /// The node that can open it.
    pub node: NodeId,
    /// The order that it belongs to.
    pub order: OrderId,
}

impl Binding {
    /// HPKE's `info`.
    #[must_use]
    pub fn info(&self) -> Vec<u8> {
        let node = self.node.to_string();
        [b"flotilla/secret".as_slice(), &[version::VERSION, 0], &self.fleet.0, &self.order.0, node.as_bytes()].concat()
    }
}

#[cfg(feature = "seal")]
pub use self::hpke_box::{OpenError, OpenedSecret, PlainSecret, SealError, SealingKey, open, seal};
#[cfg(feature = "seal")]
pub(crate) use self::hpke_box::{receiver, sender};

#[cfg(feature = "seal")]
mod hpke_box {
    use super::{Binding, MAXIMUM_SECRET_BYTES, MAXIMUM_SECRETS, MAXIMUM_SECRETS_BYTES, SealedSecret, SealedSecrets};
    use alloc::vec::Vec;
    use core::convert::Infallible;
    use core::fmt;
    use hpke::aead::{AeadCtxR, AeadCtxS, ChaCha20Poly1305};
    use hpke::kdf::HkdfSha256;
    use hpke::kem::X25519HkdfSha256;
    use hpke::rand_core::{TryCryptoRng, TryRng};
    use hpke::{Deserializable as _, Kem, OpModeR, OpModeS, Serializable as _, setup_receiver, setup_sender_with_rng};
    use zeroize::Zeroizing;

    type Suite = X25519HkdfSha256;

    /// A value that is to be sealed.
    #[derive(Clone, Copy)]
    pub struct PlainSecret<'a> {
        /// The index in the order's list of parameters.
        pub parameter: u16,
        /// The name there.
        pub name: &'a str,
        /// The value, at most [`MAXIMUM_SECRET_BYTES`].
        pub value: &'a [u8],
    }

    impl fmt::Debug for PlainSecret<'_> {
        /// Without the value.
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "PlainSecret({} {})", self.parameter, self.name)
        }
    }

    /// A value that was opened; it is wiped when it is dropped.
    #[derive(Clone, PartialEq, Eq)]
    pub struct OpenedSecret {
        /// The index in the order's list of parameters.
        pub parameter: u16,
        /// The value.
        pub value: Zeroizing<Vec<u8>>,
    }

    impl fmt::Debug for OpenedSecret {
        /// Without the value.
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "OpenedSecret({})", self.parameter)
        }
    }

    /// A node's X25519 secret; it is wiped when it is dropped.
    #[derive(Clone)]
    pub struct SealingKey(Zeroizing<[u8; 32]>);

    impl SealingKey {
        /// The key of these bytes, as RFC 7748 has them.
        #[must_use]
        pub fn new(bytes: [u8; 32]) -> Self {
            Self(Zeroizing::new(bytes))
        }

        /// The public half, to which others seal.
        #[must_use]
        pub fn public(&self) -> [u8; 32] {
            private(self).map_or([0; 32], |key| Suite::sk_to_pk(&key).to_bytes().into())
        }
    }

    impl fmt::Debug for SealingKey {
        /// Without the key.
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("SealingKey")
        }
    }

    /// Why nothing was sealed.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum SealError {
        /// There are too many secrets or none, they do not rise by parameter, or are too long.
        BeyondLimit,
        /// The node's public key is none that can be sealed to.
        Key,
    }

    impl fmt::Display for SealError {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::BeyondLimit => "the secrets are too many or too long",
                Self::Key => "the node's key is none that secrets can be sealed to",
            })
        }
    }

    impl core::error::Error for SealError {}

    /// Why nothing was opened.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum OpenError {
        /// The order has no such parameter.
        UnknownParameter(u16),
        /// Sealed to another key, for another fleet, node, order or name, or changed.
        Sealed,
    }

    impl fmt::Display for OpenError {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self {
                Self::UnknownParameter(index) => write!(f, "a secret is for parameter {index}, which the order does not have"),
                Self::Sealed => f.write_str("a secret does not open: it was sealed to another key or for another order, or was changed"),
            }
        }
    }

    impl core::error::Error for OpenError {}

    /// Seals the secrets of one delivery. `randomness` is 32 fresh bytes from the operating system, used for this call alone: whoever knows
    /// them can open what is sealed, and with those of another call both are open.
    ///
    /// # Errors
    /// See [`SealError`].
    pub fn seal(
        binding: &Binding,
        sealing_key: &[u8; 32],
        secrets: &[PlainSecret<'_>],
        randomness: &[u8; 32],
    ) -> Result<SealedSecrets, SealError> {
        let lengths = secrets.iter().map(|secret| secret.value.len());
        let is_within = (1..=MAXIMUM_SECRETS).contains(&secrets.len())
            && lengths.clone().all(|length| length <= MAXIMUM_SECRET_BYTES)
            && lengths.sum::<usize>() <= MAXIMUM_SECRETS_BYTES
            && secrets.is_sorted_by(|earlier, later| earlier.parameter < later.parameter);
        if !is_within {
            return Err(SealError::BeyondLimit);
        }
        let (encapsulated, mut context) = sender(sealing_key, &binding.info(), randomness).ok_or(SealError::Key)?;
        let sealed = secrets.iter().map(|secret| {
            let ciphertext = context.seal(secret.value, secret.name.as_bytes()).map_err(|_| SealError::BeyondLimit)?;
            Ok(SealedSecret { parameter: secret.parameter, ciphertext })
        });
        Ok(SealedSecrets { secrets: sealed.collect::<Result<_, _>>()?, encapsulated })
    }

    /// Opens the secrets of one delivery. `name_of` says the name of a parameter of the order.
    ///
    /// # Errors
    /// See [`OpenError`]: all of them open, or none is handed out.
    pub fn open<'a>(
        binding: &Binding,
        key: &SealingKey,
        sealed: &SealedSecrets,
        name_of: impl Fn(u16) -> Option<&'a str>,
    ) -> Result<Vec<OpenedSecret>, OpenError> {
        let mut context = receiver(key, &sealed.encapsulated, &binding.info()).ok_or(OpenError::Sealed)?;
        let opened = sealed.secrets.iter().map(|secret| {
            let name = name_of(secret.parameter).ok_or(OpenError::UnknownParameter(secret.parameter))?;
            let value = context.open(&secret.ciphertext, name.as_bytes()).map_err(|_| OpenError::Sealed)?;
            Ok(OpenedSecret { parameter: secret.parameter, value: Zeroizing::new(value) })
        });
        opened.collect()
    }

    /// The encapsulated key for a node, and what seals under it; nothing where nothing can be sealed to the node's key.
    pub(crate) fn sender(
        sealing_key: &[u8; 32],
        info: &[u8],
        randomness: &[u8; 32],
    ) -> Option<([u8; 32], AeadCtxS<ChaCha20Poly1305, HkdfSha256, Suite>)> {
        let key = <Suite as Kem>::PublicKey::from_bytes(sealing_key).ok()?;
        let (encapsulated, context) = setup_sender_with_rng::<_, _, Suite>(&OpModeS::Base, &key, info, &mut Given(randomness)).ok()?;
        Some((encapsulated.to_bytes().into(), context))
    }

    /// What opens under an encapsulated key; nothing where it is none.
    pub(crate) fn receiver(
        key: &SealingKey,
        encapsulated: &[u8; 32],
        info: &[u8],
    ) -> Option<AeadCtxR<ChaCha20Poly1305, HkdfSha256, Suite>> {
        let encapsulated = <Suite as Kem>::EncappedKey::from_bytes(encapsulated).ok()?;
        setup_receiver(&OpModeR::Base, &private(key)?, &encapsulated, info).ok()
    }

    fn private(key: &SealingKey) -> Option<<Suite as Kem>::PrivateKey> {
        <Suite as Kem>::PrivateKey::from_bytes(key.0.as_slice()).ok()
    }

    /// Randomness that was given: exactly what one ephemeral key needs.
    struct Given<'a>(&'a [u8; 32]);

    impl TryRng for Given<'_> {
        type Error = Infallible;

        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            hpke::rand_core::utils::next_word_via_fill(self)
        }

        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            hpke::rand_core::utils::next_word_via_fill(self)
        }

        fn try_fill_bytes(&mut self, destination: &mut [u8]) -> Result<(), Infallible> {
            destination.iter_mut().zip(self.0.iter().cycle()).for_each(|(byte, random)| *byte = *random);
            Ok(())
        }
    }

    impl TryCryptoRng for Given<'_> {}
}

#[cfg(test)]
#[cfg(feature = "seal")]
mod tests {
    use super::*;
    use crate::wire::{decode, encode};
    use alloc::vec;

    const NAMES: [&str; 3] = ["host", "password", "token"];

    fn binding() -> Binding {
        Binding { fleet: FleetId([1; 8]), node: NodeId::of_key(&[2; 32]), order: OrderId([3; 16]) }
    }

    fn name_of(index: u16) -> Option<&'static str> {
        NAMES.get(usize::from(index)).copied()
    }

    fn key() -> SealingKey {
        SealingKey::new([7; 32])
    }

    fn sealed() -> SealedSecrets {
        let secrets = [
            PlainSecret { parameter: 1, name: "password", value: b"hunter2 \xc3\xa4" },
            PlainSecret { parameter: 2, name: "token", value: b"" },
        ];
        seal(&binding(), &key().public(), &secrets, &[9; 32]).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_on_its_node_alone() {
        let sealed = sealed();
        assert_eq!(decode::<SealedSecrets>(&encode(&sealed)), Ok(sealed.clone()));
        let opened = open(&binding(), &key(), &sealed, name_of).unwrap();
        let values: Vec<(u16, &[u8])> = opened.iter().map(|secret| (secret.parameter, secret.value.as_slice())).collect();
        assert_eq!(values, [(1, b"hunter2 \xc3\xa4".as_slice()), (2, b"")]);
        assert_eq!(open(&binding(), &SealingKey::new([8; 32]), &sealed, name_of), Err(OpenError::Sealed), "another node's key");
        let elsewhere = [
            Binding { fleet: FleetId([9; 8]), ..binding() },
            Binding { node: NodeId::of_key(&[9; 32]), ..binding() },
            Binding { order: OrderId([9; 16]), ..binding() },
        ];
        for other in elsewhere {
            assert_eq!(open(&other, &key(), &sealed, name_of), Err(OpenError::Sealed), "{other:?}");
        }
        let renamed = |index: u16| if index == 1 { Some("passwords") } else { name_of(index) };
        assert_eq!(open(&binding(), &key(), &sealed, renamed), Err(OpenError::Sealed), "another name");
        assert_eq!(open(&binding(), &key(), &sealed, |index| name_of(index).filter(|_| index < 2)), Err(OpenError::UnknownParameter(2)));
    }

    #[test]
    fn secrets_cannot_be_exchanged_within_a_delivery_or_changed_in_one_bit() {
        let mut swapped = sealed();
        let (first, second) = (swapped.secrets[0].ciphertext.clone(), swapped.secrets[1].ciphertext.clone());
        swapped.secrets[0].ciphertext = second;
        swapped.secrets[1].ciphertext = first;
        assert_eq!(open(&binding(), &key(), &swapped, name_of), Err(OpenError::Sealed));
        let good = sealed();
        for bit in 0..256 {
            let mut changed = good.clone();
            changed.encapsulated[bit / 8] ^= 1 << (bit % 8);
            // RFC 7748: the highest bit of a point is not read; HPKE takes the key's bytes into its context all the same.
            assert_eq!(open(&binding(), &key(), &changed, name_of), Err(OpenError::Sealed), "bit {bit} of the key");
        }
        for (index, secret) in good.secrets.iter().enumerate() {
            for bit in 0..secret.ciphertext.len() * 8 {
                let mut changed = good.clone();
                changed.secrets[index].ciphertext[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(open(&binding(), &key(), &changed, name_of), Err(OpenError::Sealed), "bit {bit} of secret {index}");
            }
        }
    }

    #[test]
    fn limits_hold_and_weak_keys_are_refused() {
        let one = |length: usize| {
            let value = vec![b'x'; length];
            seal(&binding(), &key().public(), &[PlainSecret { parameter: 0, name: "host", value: &value }], &[9; 32]).map(|_| ())
        };
        assert_eq!((one(MAXIMUM_SECRET_BYTES), one(MAXIMUM_SECRET_BYTES + 1)), (Ok(()), Err(SealError::BeyondLimit)));
        let value = vec![b'x'; MAXIMUM_SECRETS_BYTES / MAXIMUM_SECRETS];
        let many: Vec<PlainSecret<'_>> = (0..17).map(|parameter| PlainSecret { parameter, name: "n", value: &value }).collect();
        assert!(seal(&binding(), &key().public(), &many, &[9; 32]).is_err());
        let most = seal(&binding(), &key().public(), &many[..16], &[9; 32]).unwrap();
        let data = crate::delivery::NodeData::of_secrets(&most);
        assert!(encode(&data).len() <= crate::delivery::MAXIMUM_NODE_DATA_BYTES);
        assert!(seal(&binding(), &key().public(), &[], &[9; 32]).is_err());
        assert!(seal(&binding(), &key().public(), &[many[1], many[0]], &[9; 32]).is_err(), "they rise");
        assert_eq!(seal(&binding(), &[0; 32], &many[..1], &[9; 32]), Err(SealError::Key), "a point of small order");
    }

    #[test]
    fn what_is_sealed_with_other_randomness_shares_nothing() {
        let secrets = [PlainSecret { parameter: 1, name: "password", value: b"hunter2" }];
        let (one, two) = (
            seal(&binding(), &key().public(), &secrets, &[9; 32]).unwrap(),
            seal(&binding(), &key().public(), &secrets, &[10; 32]).unwrap(),
        );
        assert!(one.encapsulated != two.encapsulated && one.secrets[0].ciphertext != two.secrets[0].ciphertext);
    }

    #[test]
    fn nothing_prints_a_value() {
        let plain = PlainSecret { parameter: 1, name: "password", value: b"hunter2" };
        let opened = OpenedSecret { parameter: 1, value: b"hunter2".to_vec().into() };
        let printed = alloc::format!("{plain:?} {opened:?} {:?}", key());
        assert_eq!(printed, "PlainSecret(1 password) OpenedSecret(1) SealingKey");
    }
}
