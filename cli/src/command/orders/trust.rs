//! The fleet's trust as this machine knows it: the bundles that the bridge gives, verified from a root that was seen or named before.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use flotilla_api::audit::Hex;
use flotilla_protocol::envelope::{Domain, Envelope};
use flotilla_protocol::trust::{Class, Trust, TrustError, TrustKey};
use serde::{Deserialize, Serialize};

use super::{OrderError, RootArguments};
use crate::connection::Connection;
use crate::error::CliError;
use crate::{bundles, clock, files, state};

/// What is remembered of the trust behind an address. The address and not the fleet names it: a bridge that is exchanged would name
/// another fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Remembered {
    endpoint: String,
    root_hash: Hex<32>,
    version: u32,
    bundle_hash: Hex<32>,
}

/// The trust, and how it came to be known.
#[derive(Debug)]
pub(crate) struct KnownTrust {
    trust: Trust,
    root_hash: Hex<32>,
    is_first_look: bool,
}

impl KnownTrust {
    /// Reads the bundles from the bridge, verifies them, and remembers the newest.
    pub(crate) fn of(connection: &Connection, arguments: &RootArguments) -> Result<Self, CliError> {
        let endpoint = connection.client.endpoint();
        let path = memory(&state::folder(arguments.state.as_deref())?, endpoint);
        let remembered = recall(&path)?;
        let bundles: Vec<Vec<u8>> = bundles::read(&connection.client)?.into_iter().map(|bundle| bundle.0).collect();
        let known = Self::verified(&bundles, arguments.root_hash, remembered.as_ref())?;
        let now_ms = u64::try_from(clock::today().as_millisecond()).unwrap_or(0);
        let version = known.trust.bundle().version;
        if known.trust.is_expired(now_ms) {
            return Err(OrderError::TrustExpired { version }.into());
        }
        let seen = Remembered { endpoint: endpoint.to_owned(), root_hash: known.root_hash, version, bundle_hash: Hex(known.trust.hash()) };
        if remembered.as_ref() != Some(&seen) {
            remember(&path, &seen)?;
        }
        Ok(known)
    }

    /// Follows the bundles from the root that is named, else remembered, else the first that is seen.
    fn verified(bundles: &[Vec<u8>], named: Option<Hex<32>>, remembered: Option<&Remembered>) -> Result<Self, OrderError> {
        let first = bundles.first().ok_or(OrderError::Trust(TrustError::Empty))?;
        let envelope = Envelope::parse(first, Domain::Trust).map_err(|error| OrderError::Trust(TrustError::Envelope(error)))?;
        let found = Hex(flotilla_protocol::sha256(&[envelope.body()]));
        let root_hash = named.or_else(|| remembered.map(|remembered| remembered.root_hash)).unwrap_or(found);
        if root_hash != found {
            return Err(OrderError::Root { known: root_hash, found });
        }
        // A root that was named anew begins a new memory.
        let remembered = remembered.filter(|remembered| remembered.root_hash == root_hash);
        let mut trust = Trust::from_pinned(&root_hash.0, [first.as_slice()]).map_err(OrderError::Trust)?;
        let mut is_same = remembered.is_none_or(|seen| seen.version != 1 || seen.bundle_hash.0 == trust.hash());
        for bundle in bundles.iter().skip(1) {
            trust = trust.successor(bundle).map_err(OrderError::Trust)?;
            is_same &= remembered.is_none_or(|seen| seen.version != trust.bundle().version || seen.bundle_hash.0 == trust.hash());
        }
        let version = trust.bundle().version;
        match remembered {
            Some(seen) if seen.version > version || !is_same => Err(OrderError::RolledBack { seen: seen.version, found: version }),
            _ => Ok(Self { trust, root_hash, is_first_look: named.is_none() && remembered.is_none() }),
        }
    }

    pub(crate) fn trust(&self) -> &Trust {
        &self.trust
    }

    pub(super) fn root_hash(&self) -> Hex<32> {
        self.root_hash
    }

    /// Whether the root was taken as the bridge gave it.
    pub(super) fn is_first_look(&self) -> bool {
        self.is_first_look
    }

    /// The keys that may sign orders of a class at a Unix time in milliseconds: those of its rules that have not run out.
    pub(crate) fn keys(&self, class: Class, now_ms: u64) -> Vec<&TrustKey> {
        let bundle = self.trust.bundle();
        let rules = bundle.rules.iter().filter(|rule| rule.class == class && rule.is_understood());
        let indices: BTreeSet<u16> = rules.flat_map(|rule| rule.keys.iter().copied()).collect();
        let keys = indices.into_iter().filter_map(|index| bundle.keys.get(usize::from(index)));
        keys.filter(|key| key.not_after_ms.is_none_or(|end_ms| now_ms < end_ms)).collect()
    }
}

fn memory(folder: &Path, endpoint: &str) -> PathBuf {
    let name: String = flotilla_protocol::sha256(&[endpoint.as_bytes()]).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    folder.join(format!("trust-{name}.json"))
}

/// A file that cannot be read is an error and not a fleet that was never seen.
fn recall(path: &Path) -> Result<Option<Remembered>, CliError> {
    let unusable = |reason: String| CliError::Usage(format!("{} cannot be used: {reason}", path.display()));
    match fs::read(path) {
        Ok(content) => serde_json::from_slice(&content).map(Some).map_err(|error| unusable(error.to_string())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unusable(error.to_string())),
    }
}

fn remember(path: &Path, seen: &Remembered) -> Result<(), CliError> {
    let content = serde_json::to_vec_pretty(seen)?;
    let written = path.parent().map_or(Ok(()), files::create_folder).and_then(|()| files::replace_public(path, &content));
    written.map_err(|error| CliError::Usage(format!("{} cannot be written: {error}", path.display())))
}

#[cfg(test)]
impl KnownTrust {
    pub(super) fn for_tests(trust: Trust) -> Self {
        Self { root_hash: Hex(trust.hash()), trust, is_first_look: true }
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;
    use flotilla_protocol::envelope::seal;
    use flotilla_protocol::trust::{Role, RoleEntry, TrustBundle};
    use flotilla_protocol::wire::encode;

    use super::*;

    /// A chain of so many bundles, which differs from others from version 2 on.
    fn chain(root: u8, length: u32, variant: u64) -> Vec<Vec<u8>> {
        let key = SigningKey::from_bytes(&[root; 32]);
        let mut bundles: Vec<Vec<u8>> = Vec::new();
        let mut previous = [0; 32];
        for version in 1..=length {
            let expires_ms = if version == 1 { u64::MAX } else { u64::MAX - variant };
            let keys = vec![TrustKey::new(key.verifying_key().to_bytes().into(), "root")];
            let roles = vec![RoleEntry { role: Role::Root, threshold: 1, keys: vec![0] }];
            let body = encode(&TrustBundle { version, previous, expires_ms, ..TrustBundle::beginning(keys, roles, Vec::new()) });
            previous = flotilla_protocol::sha256(&[&body]);
            bundles.push(seal(Domain::Trust, &body, &[&key]));
        }
        bundles
    }

    fn seen(bundles: &[Vec<u8>]) -> Remembered {
        let known = KnownTrust::verified(bundles, None, None).unwrap();
        let (version, bundle_hash) = (known.trust.bundle().version, Hex(known.trust.hash()));
        Remembered { endpoint: String::new(), root_hash: known.root_hash, version, bundle_hash }
    }

    #[test]
    fn the_first_root_is_kept_and_an_older_or_other_history_refused() {
        let three = chain(1, 3, 0);
        let known = KnownTrust::verified(&three, None, None).unwrap();
        assert!(known.is_first_look);
        let memory = seen(&three);
        assert!(!KnownTrust::verified(&chain(1, 4, 0), None, Some(&memory)).unwrap().is_first_look);
        for (what, bundles) in [("older", chain(1, 2, 0)), ("another history", chain(1, 3, 1)), ("a longer one", chain(1, 5, 1))] {
            let refused = KnownTrust::verified(&bundles, None, Some(&memory)).unwrap_err();
            assert!(matches!(refused, OrderError::RolledBack { seen: 3, .. }), "{what}: {refused}");
        }
        let other = chain(2, 3, 0);
        assert!(matches!(KnownTrust::verified(&other, None, Some(&memory)), Err(OrderError::Root { .. })));
        assert!(matches!(KnownTrust::verified(&other, Some(memory.root_hash), None), Err(OrderError::Root { .. })));
        assert!(KnownTrust::verified(&other, Some(seen(&other).root_hash), Some(&memory)).is_ok(), "named by a person");
        assert!(matches!(KnownTrust::verified(&[], None, None), Err(OrderError::Trust(TrustError::Empty))));
        let [first, .., last] = three.as_slice() else { panic!() };
        assert!(matches!(KnownTrust::verified(&[first.clone(), last.clone()], None, None), Err(OrderError::Trust(_))), "with a gap");
    }

    #[test]
    fn a_memory_that_cannot_be_read_is_no_first_look() {
        let folder = tempfile::tempdir().unwrap();
        let path = memory(&folder.path().join("new"), "https://bridge.example");
        assert_eq!(recall(&path).unwrap(), None);
        let remembered = seen(&chain(1, 1, 0));
        remember(&path, &remembered).unwrap();
        remember(&path, &remembered).unwrap();
        assert_eq!(recall(&path).unwrap(), Some(remembered));
        files::replace_public(&path, b"{").unwrap();
        assert!(recall(&path).is_err());
        assert_ne!(memory(folder.path(), "https://a.example"), memory(folder.path(), "https://b.example"));
    }
}
