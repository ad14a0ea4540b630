//! The trust bundles on the node's disk: two copies of each, in two folders.
//!
//! A bundle proves itself by its signatures and by the one before it, so a copy that is torn, rotten or exchanged is seen, and written anew
//! from the other one. The first copy is on disk before the second is touched: a cut at any moment leaves one whole. Where both are
//! damaged, or put back to older ones, the node is in quarantine until it gets them again, see [`flotilla_agent_core::HeldTrust`].

use std::path::{Path, PathBuf};

use flotilla_agent_core::HeldTrust;
use flotilla_protocol::trust::Trust;

use crate::state::{Layout, StateError, read, read_32, replace_file, write_atomically};

/// Most bundles that a node keeps. A bridge keeps fewer, see `MAXIMUM_TRUST_BUNDLES` there.
const MAXIMUM_BUNDLES: u32 = 1024;
/// The second copy of the pinned hash, in the second folder.
const ROOT: &str = "root.hash";

/// Reads the pinned hash. Where its two copies differ, the one counts of which bundle 1 is; the other is written anew. Where bundle 1 proves
/// neither of them, nothing is written over: the first counts, and the other may still be the right one.
///
/// # Errors
/// Neither can be read.
pub(crate) fn root_hash(layout: &Layout) -> Result<[u8; 32], StateError> {
    let (first, second) = (layout.exec("root.hash"), layout.exec("trust.copy").join(ROOT));
    let is_proven = |hash: &[u8; 32]| {
        let mut bundles = copies(layout, 1).into_iter().filter_map(|path| read(&path).ok());
        bundles.any(|bundle| Trust::from_pinned(hash, [bundle.as_slice()]).is_ok())
    };
    match (read_32(&first), read_32(&second)) {
        (Ok(hash), Ok(copy)) if hash == copy => Ok(hash),
        (Ok(hash), _) if is_proven(&hash) => {
            tracing::warn!(path = %second.display(), "the copy of the pinned trust root is missing or damaged and is written anew");
            repair(&second, &hash);
            Ok(hash)
        }
        (first_read, Ok(copy)) if first_read.is_err() || is_proven(&copy) => {
            tracing::warn!(path = %first.display(), "the pinned trust root was damaged and is written anew from its copy");
            repair(&first, &copy);
            Ok(copy)
        }
        (Ok(hash), _) => {
            tracing::error!(path = %first.display(), "bundle 1 is not of the pinned trust root, or its copies differ and none is proven");
            Ok(hash)
        }
        (Err(error), _) => Err(error),
    }
}

/// Follows the bundles from the pinned root, by whichever copy of each follows, and writes anew the other one.
#[must_use]
pub(crate) fn load(layout: &Layout, root_hash: [u8; 32]) -> HeldTrust {
    let least_version = newest_name(layout);
    let mut newest: Option<Trust> = None;
    for version in 1..=least_version {
        let paths = copies(layout, version);
        let follows = |bytes: &Vec<u8>| match &newest {
            Some(newest) => newest.successor(bytes).ok(),
            None => Trust::from_pinned(&root_hash, [bytes.as_slice()]).ok(),
        };
        let found = paths.each_ref().map(|path| read(path).ok());
        let good = found.iter().flatten().find_map(|bytes| Some((follows(bytes)?, bytes.clone())));
        let Some((next, bytes)) = good else {
            tracing::error!(version, "no copy of a trust bundle is whole: the node is in quarantine until it gets it again");
            break;
        };
        for (path, found) in paths.iter().zip(&found) {
            if found.as_ref() != Some(&bytes) {
                tracing::warn!(path = %path.display(), "a copy of a trust bundle is missing or damaged and is written anew");
                repair(path, &bytes);
            }
        }
        newest = Some(next);
    }
    HeldTrust::new(root_hash, newest, least_version)
}

/// The highest version of which any file bears the name, whatever is in it, and whatever is missing before it.
fn newest_name(layout: &Layout) -> u32 {
    let names = [layout.exec("trust"), layout.exec("trust.copy")].into_iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten();
    let version = |name: &std::ffi::OsStr| name.to_str()?.strip_suffix(".bundle")?.parse::<u32>().ok();
    let versions = names.filter_map(|entry| version(&entry.ok()?.file_name()));
    versions.filter(|version| *version <= MAXIMUM_BUNDLES).max().unwrap_or(0)
}

/// Keeps both copies of a bundle that was verified to follow the one before. They are on disk when this returns.
///
/// # Errors
/// [`StateError::NotWritable`]; the first copy may be there.
pub(crate) fn store(layout: &Layout, version: u32, envelope: &[u8]) -> Result<(), StateError> {
    let [first, second] = copies(layout, version);
    write_atomically(&first, envelope)?;
    if let Some(folder) = second.parent() {
        crate::state::make_folder(folder)?;
    }
    write_atomically(&second, envelope)
}

/// Keeps both copies of the pinned hash.
///
/// # Errors
/// [`StateError::NotWritable`].
pub(crate) fn store_root(layout: &Layout, root_hash: &[u8; 32]) -> Result<(), StateError> {
    write_atomically(&layout.exec("root.hash"), root_hash)?;
    write_atomically(&layout.exec("trust.copy").join(ROOT), root_hash)
}

/// The two copies of a bundle.
pub(crate) fn copies(layout: &Layout, version: u32) -> [PathBuf; 2] {
    [layout.bundle(version), layout.exec("trust.copy").join(format!("{version}.bundle"))]
}

/// A copy that cannot be written now is written at a later start: the other one is whole.
fn repair(path: &Path, bytes: &[u8]) {
    let made = path.parent().map_or(Ok(()), |folder| crate::state::make_folder(folder).map_err(std::io::Error::other));
    if let Err(error) = made.and_then(|()| replace_file(path, bytes)) {
        tracing::warn!(path = %path.display(), %error, "a copy of the node's trust cannot be written");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::SigningKey;
    use flotilla_protocol::envelope::{Domain, seal};
    use flotilla_protocol::trust::{Role, RoleEntry, TrustBundle, TrustKey};
    use flotilla_protocol::wire::encode;

    /// The envelopes of so many bundles, and the hash of the first.
    fn chain(length: u32) -> (Vec<Vec<u8>>, [u8; 32]) {
        let key = SigningKey::from_bytes(&[1; 32]);
        let (mut envelopes, mut previous, mut root) = (Vec::new(), [0; 32], [0; 32]);
        for version in 1..=length {
            let keys = vec![TrustKey::new(key.verifying_key().to_bytes().into(), "root")];
            let roles = vec![RoleEntry { role: Role::Root, threshold: 1, keys: vec![0] }];
            let bundle = TrustBundle { version, previous, ..TrustBundle::beginning(keys, roles, Vec::new()) };
            let body = encode(&bundle);
            previous = flotilla_protocol::sha256(&[&body]);
            root = if version == 1 { previous } else { root };
            envelopes.push(seal(Domain::Trust, &body, &[&key]));
        }
        (envelopes, root)
    }

    struct Place {
        layout: Layout,
        envelopes: Vec<Vec<u8>>,
        root: [u8; 32],
        _folder: tempfile::TempDir,
    }

    fn place(length: u32) -> Place {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::in_folder(folder.path());
        layout.create().unwrap();
        let (envelopes, root) = chain(length);
        for (version, envelope) in (1..).zip(&envelopes) {
            store(&layout, version, envelope).unwrap();
        }
        store_root(&layout, &root).unwrap();
        Place { layout, envelopes, root, _folder: folder }
    }

    fn version(held: &HeldTrust) -> (u32, u32) {
        (held.version(), held.least_version())
    }

    #[test]
    fn a_damaged_copy_is_written_anew_from_the_other() {
        let damages: [fn(&Path, &[u8]); 4] = [
            |path, _| std::fs::remove_file(path).unwrap(),
            |path, bytes| replace_file(path, &bytes[..bytes.len() / 2]).unwrap(),
            |path, _| replace_file(path, b"").unwrap(),
            |path, bytes| {
                let mut bytes = bytes.to_vec();
                *bytes.last_mut().unwrap() ^= 1;
                replace_file(path, &bytes).unwrap();
            },
        ];
        for damage in damages {
            for damaged in 1..=3 {
                for copy in 0..2 {
                    let place = place(3);
                    let path = &copies(&place.layout, damaged)[copy];
                    let bytes = &place.envelopes[usize::try_from(damaged).unwrap() - 1];
                    damage(path, bytes);
                    assert_eq!(version(&load(&place.layout, place.root)), (3, 3));
                    assert_eq!(&read(path).unwrap(), bytes, "it is whole again");
                }
            }
        }
    }

    #[test]
    fn with_both_copies_damaged_it_is_known_what_there_was() {
        for damaged in 1..=3_u32 {
            let place = place(3);
            for path in copies(&place.layout, damaged) {
                replace_file(&path, b"rot").unwrap();
            }
            assert_eq!(version(&load(&place.layout, place.root)), (damaged - 1, 3), "quarantine, and no older trust");
        }
        let place = place(1);
        assert_eq!(version(&load(&place.layout, [7; 32])), (0, 1), "bundles of another root are none");
    }

    #[test]
    fn a_version_that_is_wholly_missing_hides_no_later_one() {
        let place = place(3);
        for path in copies(&place.layout, 2) {
            std::fs::remove_file(path).unwrap();
        }
        assert_eq!(version(&load(&place.layout, place.root)), (1, 3), "quarantine, and not the trust of before");
        for path in copies(&place.layout, 1) {
            std::fs::remove_file(path).unwrap();
        }
        assert_eq!(version(&load(&place.layout, place.root)), (0, 3));
    }

    #[test]
    fn a_cut_between_the_copies_leaves_the_new_bundle() {
        let place = place(2);
        let (envelopes, _) = chain(3);
        write_atomically(&place.layout.bundle(3), &envelopes[2]).unwrap();
        assert_eq!(version(&load(&place.layout, place.root)), (3, 3));
        assert_eq!(read(&copies(&place.layout, 3)[1]).unwrap(), envelopes[2]);
    }

    #[test]
    fn a_pinned_hash_that_has_rotted_is_not_copied_over_the_other() {
        for rotten in ["root.hash", "trust.copy/root.hash"] {
            let place = place(2);
            let mut hash = place.root;
            hash[7] ^= 1;
            replace_file(&place.layout.exec(rotten), &hash).unwrap();
            assert_eq!(root_hash(&place.layout).unwrap(), place.root, "{rotten}");
            assert_eq!(read(&place.layout.exec(rotten)).unwrap(), place.root, "{rotten} is whole again");
            // Without a bundle 1 nobody can say which of the two it is.
            replace_file(&place.layout.exec(rotten), &hash).unwrap();
            for path in copies(&place.layout, 1) {
                replace_file(&path, b"rot").unwrap();
            }
            root_hash(&place.layout).unwrap();
            assert_eq!(read(&place.layout.exec(rotten)).unwrap(), hash, "nothing is written over");
        }
    }

    #[test]
    fn the_pinned_hash_has_a_copy_too() {
        let place = place(1);
        replace_file(&place.layout.exec("root.hash"), b"short").unwrap();
        assert_eq!(root_hash(&place.layout).unwrap(), place.root);
        assert_eq!(read(&place.layout.exec("root.hash")).unwrap(), place.root);
        replace_file(&place.layout.exec("root.hash"), b"short").unwrap();
        replace_file(&place.layout.exec("trust.copy").join(ROOT), b"short").unwrap();
        assert!(root_hash(&place.layout).is_err());
    }
}
