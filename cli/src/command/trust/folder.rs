//! The trust folder: the chain of bundles, verified from the first, and the draft of the next.

use std::io;
use std::path::{Path, PathBuf};

use flotilla_protocol::envelope::{Domain, Envelope, seal};
use flotilla_protocol::trust::{Trust, TrustBundle, TrustError};
use flotilla_protocol::wire::encode;

use super::TrustCommandError;
use crate::files;

/// Most bundles of a folder: what the bridge takes, too.
const MAXIMUM_BUNDLES: u32 = 256;

/// The bundles of a folder, each verified against the one before; none for a fleet that is not begun.
pub(super) struct Chain {
    folder: PathBuf,
    versions: Vec<(Vec<u8>, Trust)>,
}

impl Chain {
    /// Reads `1.bundle`, `2.bundle` and so on to the first that is missing, and verifies all.
    pub(super) fn read(folder: &Path) -> Result<Self, TrustCommandError> {
        let mut versions: Vec<(Vec<u8>, Trust)> = Vec::new();
        for version in 1..=MAXIMUM_BUNDLES {
            let path = file(folder, version);
            let bytes = match files::read(&path) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(source) => return Err(TrustCommandError::File { action: "read", path, source }),
            };
            let trust = match versions.last() {
                None => root_hash(&bytes).and_then(|hash| Trust::from_pinned(&hash, [bytes.as_slice()])),
                Some((_, before)) => before.successor(&bytes),
            };
            let trust = trust.map_err(|source| TrustCommandError::Bundle { version, folder: folder.to_owned(), source })?;
            versions.push((bytes, trust));
        }
        Ok(Self { folder: folder.to_owned(), versions })
    }

    /// The newest trust; nothing when there is no bundle.
    pub(super) fn newest(&self) -> Option<&Trust> {
        self.versions.last().map(|(_, trust)| trust)
    }

    /// The newest trust, which must be there.
    pub(super) fn needed(&self) -> Result<&Trust, TrustCommandError> {
        self.newest().ok_or_else(|| TrustCommandError::NoBundle { folder: self.folder.clone() })
    }

    /// The bundle of a version and the one before it, if they are there, and its envelope.
    pub(super) fn version(&self, version: u32) -> Option<(Option<&Trust>, &Trust, &[u8])> {
        let index = usize::try_from(version).ok()?.checked_sub(1)?;
        let (bytes, trust) = self.versions.get(index)?;
        Some((index.checked_sub(1).and_then(|before| self.versions.get(before)).map(|(_, trust)| trust), trust, bytes))
    }

    /// SHA-256 of bundle 1, which nodes pin.
    pub(super) fn root_hash(&self) -> Option<[u8; 32]> {
        self.versions.first().map(|(_, trust)| trust.hash())
    }

    /// The trust that a bundle with this body would make after the newest.
    pub(super) fn proposal(&self, body: &[u8]) -> Result<Trust, TrustError> {
        self.newest().map_or_else(|| Trust::first(body), |newest| newest.proposal(body))
    }

    /// The draft, if there is one. It follows from the newest bundle; who has signed it is another question.
    pub(super) fn draft(&self, path: &Path) -> Result<Option<Draft>, TrustCommandError> {
        let bytes = match files::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(TrustCommandError::File { action: "read", path: path.to_owned(), source }),
        };
        let failed = |source| TrustCommandError::Draft { path: path.to_owned(), source };
        let body = Envelope::parse(&bytes, Domain::Trust).map_err(TrustError::Envelope).map_err(failed)?.body().to_vec();
        let trust = self.proposal(&body).map_err(failed)?;
        Ok(Some(Draft { path: path.to_owned(), bytes, trust }))
    }

    /// The draft, which must be there.
    pub(super) fn needed_draft(&self, path: &Path) -> Result<Draft, TrustCommandError> {
        self.draft(path)?.ok_or_else(|| TrustCommandError::NoDraft { path: path.to_owned() })
    }

    /// A draft of this bundle without signatures, which a node must be able to take; it is not written yet.
    pub(super) fn new_draft(&self, path: &Path, bundle: &TrustBundle) -> Result<Draft, TrustCommandError> {
        let body = encode(bundle);
        let trust = self.proposal(&body).map_err(|source| TrustCommandError::Draft { path: path.to_owned(), source })?;
        Ok(Draft { path: path.to_owned(), bytes: seal(Domain::Trust, &body, &[]), trust })
    }

    /// Adds a bundle that is signed well enough as the newest.
    pub(super) fn add(&self, version: u32, bytes: &[u8]) -> Result<PathBuf, TrustCommandError> {
        let path = file(&self.folder, version);
        files::create_public(&path, bytes).map_err(|source| TrustCommandError::File { action: "write", path: path.clone(), source })?;
        Ok(path)
    }
}

fn file(folder: &Path, version: u32) -> PathBuf {
    folder.join(format!("{version}.bundle"))
}

fn root_hash(bytes: &[u8]) -> Result<[u8; 32], TrustError> {
    let envelope = Envelope::parse(bytes, Domain::Trust).map_err(TrustError::Envelope)?;
    Ok(flotilla_protocol::sha256(&[envelope.body()]))
}

/// The next bundle, which collects signatures.
pub(super) struct Draft {
    path: PathBuf,
    bytes: Vec<u8>,
    /// The trust that it would make.
    pub(super) trust: Trust,
}

impl Draft {
    /// The envelope. It was taken apart when the draft was read.
    pub(super) fn envelope(&self) -> Result<Envelope<'_>, TrustCommandError> {
        Envelope::parse(&self.bytes, Domain::Trust)
            .map_err(|error| TrustCommandError::Draft { path: self.path.clone(), source: TrustError::Envelope(error) })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The same draft with other signatures.
    pub(super) fn with_bytes(self, bytes: Vec<u8>) -> Self {
        Self { bytes, ..self }
    }

    /// Writes the draft, to its own place or another.
    pub(super) fn write(&self, out: Option<&Path>) -> Result<(), TrustCommandError> {
        let path = out.unwrap_or(&self.path);
        files::replace_public(path, &self.bytes).map_err(|source| TrustCommandError::File {
            action: "write",
            path: path.to_owned(),
            source,
        })
    }
}
