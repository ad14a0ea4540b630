//! The fleet's trust bundles, followed from their root: whose signatures over the log count is said by people and not by the bridge.

use flotilla_api::audit::{BridgeKeys, Hex, HexBytes, Tampering};
use flotilla_protocol::envelope::{Domain, Envelope};
use flotilla_protocol::trust::{Role, Trust, TrustError};

/// What the bundles of a fleet say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Followed {
    /// SHA-256 of bundle 1.
    pub(super) root: Hex<32>,
    /// The bridge's keys.
    pub(super) keys: BridgeKeys,
}

/// Follows bundles from their root to the newest. The root is `pinned`, where that is known, and else what bundle 1 says; the fleet's id is a part
/// of it.
pub(super) fn follow(bundles: &[HexBytes], fleet: Hex<8>, pinned: Option<Hex<32>>) -> Result<Followed, Tampering> {
    let failed = |error: TrustError| Tampering::Trust { reason: error.to_string() };
    let first = bundles.first().ok_or_else(|| failed(TrustError::Empty))?;
    let envelope = Envelope::parse(&first.0, Domain::Trust).map_err(|error| failed(TrustError::Envelope(error)))?;
    let root = pinned.unwrap_or_else(|| Hex(flotilla_protocol::sha256(&[envelope.body()])));
    let versions = Trust::versions_from_pinned(&root.0, bundles.iter().map(|bundle| bundle.0.as_slice())).map_err(failed)?;
    let newest = versions.last().ok_or_else(|| failed(TrustError::Empty))?;
    if newest.fleet().0 != fleet.0 {
        return Err(Tampering::Trust { reason: format!("they are of the fleet {}, and the log of {fleet}", newest.fleet()) });
    }
    let present = newest.plain_keys_of(Role::Bridge).map(Hex);
    let all = versions.iter().flat_map(|trust| trust.plain_keys_of(Role::Bridge)).map(Hex);
    Ok(Followed { root, keys: BridgeKeys::new(present, all) })
}

#[cfg(test)]
pub(super) mod tests {
    use ed25519_dalek::SigningKey;
    use flotilla_protocol::envelope::seal;
    use flotilla_protocol::trust::{RoleEntry, TrustBundle, TrustKey};
    use flotilla_protocol::wire::encode;

    use super::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    pub(in crate::command::audit) fn public(seed: u8) -> Hex<32> {
        Hex(key(seed).verifying_key().to_bytes())
    }

    /// The root is key 1, and the bridge has one key after the other. Returns SHA-256 of bundle 1 and the bundles.
    pub(in crate::command::audit) fn chain(bridges: &[u8]) -> (Hex<32>, Vec<HexBytes>) {
        let mut previous = [0; 32];
        let mut hashes = Vec::new();
        let bundles = (1..).zip(bridges).map(|(version, bridge)| {
            let keys = [1, *bridge].map(|seed| TrustKey::new(public(seed).0.into(), &format!("person {seed}")));
            let role = |role, key| RoleEntry { role, threshold: 1, keys: vec![key] };
            let roles = vec![role(Role::Root, 0), role(Role::Bridge, 1)];
            let body = encode(&TrustBundle { version, previous, ..TrustBundle::beginning(keys.to_vec(), roles, Vec::new()) });
            previous = flotilla_protocol::sha256(&[&body]);
            hashes.push(Hex(previous));
            HexBytes(seal(Domain::Trust, &body, &[&key(1)]))
        });
        let bundles = bundles.collect();
        (hashes[0], bundles)
    }

    #[test]
    fn keys_come_from_a_chain_that_holds_and_from_nothing_else() {
        let (root, bundles) = chain(&[3, 4]);
        let fleet = Hex(root.0[..8].try_into().unwrap());
        let expected = Followed { root, keys: BridgeKeys::new([public(4)], [public(3), public(4)]) };
        assert_eq!(follow(&bundles, fleet, None), Ok(expected.clone()));
        assert_eq!(follow(&bundles, fleet, Some(root)), Ok(expected));
        let (other_root, others) = chain(&[9]);
        for (bundles, pinned, reason) in [
            (&[][..], None, "there is no trust bundle"),
            (&others, Some(root), "another than the one"),
            (&others, Some(other_root), "of the fleet"),
            (&others, None, "of the fleet"),
            (&[bundles[0].clone(), others[0].clone()], None, "came where"),
            (&[bundles[1].clone()], None, "came where"),
        ] {
            let found = follow(bundles, fleet, pinned);
            assert!(found.as_ref().is_err_and(|error| error.to_string().contains(reason)), "{reason}: {found:?}");
        }
    }
}
