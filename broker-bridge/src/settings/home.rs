//! The bridge's home: one folder of mode 0700 with everything that the bridge keeps.

use crate::platform::files;
use crate::platform::pki::{Authorities, FleetCa, IssuedCertificate, PkiError, certificate_pem};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The names of the certificates that the authority gave to the broker and the bridge.
pub const OWN_CERTIFICATES: [&str; 2] = ["broker", "bridge"];

/// Why something in the home cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// A file cannot be read.
    #[error("cannot read {path}; is this the home that `flotilla-bridge init` made?")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A file holds something else.
    #[error("{path} does not hold {expected}; restore it from the backup made at `init`")]
    Content {
        /// Which file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// A file cannot be written.
    #[error("cannot write {path}; may you write there, and is there space?")]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The authority cannot be used.
    #[error("the fleet's certificate authority cannot be used")]
    Authority(#[source] PkiError),
}

/// The folder, and the names in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home(PathBuf);

impl Home {
    /// The home at this path.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A path of the settings: as it is when absolute, else in the home.
    #[must_use]
    pub fn join(&self, path: &Path) -> PathBuf {
        self.0.join(path)
    }

    /// `bridge.toml`
    #[must_use]
    pub fn settings(&self) -> PathBuf {
        self.0.join("bridge.toml")
    }

    /// `fleet.db`
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.0.join("fleet.db")
    }

    /// `stood-aside`: there once another bridge has taken over from this home; the bridge does not start while it is.
    #[must_use]
    pub fn stood_aside(&self) -> PathBuf {
        self.0.join("stood-aside")
    }

    /// Marks that another bridge has taken over, at this Unix time in milliseconds. The mark is on disk when this returns.
    ///
    /// # Errors
    /// What the system says; a mark that is there already is none.
    pub fn stand_aside(&self, now_ms: u64) -> std::io::Result<()> {
        let text = format!(
            "Another bridge of this fleet took over at Unix time {} s.\n\
             If that bridge is stopped for good and this home is to go on, remove this file and start the bridge again.\n",
            now_ms / 1000
        );
        match files::create_secret(&self.stood_aside(), text.as_bytes()) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            made => made.and_then(|()| files::sync_folder(&self.0)),
        }
    }

    /// `seal.key`: 32 bytes, under which secrets in the database are sealed.
    #[must_use]
    pub fn seal_key(&self) -> PathBuf {
        self.0.join("seal.key")
    }

    /// `operator.env`: how the first operator reaches the API.
    #[must_use]
    pub fn operator_environment(&self) -> PathBuf {
        self.0.join("operator.env")
    }

    /// `authority.der`: the certificate authority, which nodes and the broker trust.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.0.join("authority.der")
    }

    /// `authority-former.der`: the authority that is being replaced, where one is.
    #[must_use]
    pub fn former_authority(&self) -> PathBuf {
        self.0.join("authority-former.der")
    }

    /// `keys`: the folder of private keys.
    #[must_use]
    pub fn keys(&self) -> PathBuf {
        self.0.join("keys")
    }

    /// `keys/<name>.key`: the seed of an ed25519 key (root, operator, bridge, freshness), or the authority's key (ca, PEM).
    #[must_use]
    pub fn key(&self, name: &str) -> PathBuf {
        self.keys().join(format!("{name}.key"))
    }

    /// `trust`: the folder of trust bundles.
    #[must_use]
    pub fn trust(&self) -> PathBuf {
        self.0.join("trust")
    }

    /// `trust/<version>.bundle`: the envelope of a trust bundle.
    #[must_use]
    pub fn bundle(&self, version: u32) -> PathBuf {
        self.trust().join(format!("{version}.bundle"))
    }

    /// `certificates`: the folder of the certificates that the authority gave to the broker and the bridge.
    #[must_use]
    pub fn certificates(&self) -> PathBuf {
        self.0.join("certificates")
    }

    /// `certificates/<name>.pem` and `certificates/<name>.key` (PEM): `broker` for the server, `bridge` for our client.
    #[must_use]
    pub fn certificate(&self, name: &str) -> (PathBuf, PathBuf) {
        (self.certificates().join(format!("{name}.pem")), self.certificates().join(format!("{name}.key")))
    }

    /// Reads the certificate authority with its key.
    ///
    /// # Errors
    /// A file cannot be read or used.
    pub fn read_authority(&self) -> Result<FleetCa, HomeError> {
        self.read_authorities().map(|authorities| authorities.current)
    }

    /// Reads the certificate authority, and the former one while a rotation is not finished.
    ///
    /// A rotation that was cut between its two files has left the new authority's key as `ca-next`. One that was cut before that has left the
    /// present authority as the former one, which is none.
    ///
    /// # Errors
    /// A file cannot be read or used.
    pub fn read_authorities(&self) -> Result<Authorities, HomeError> {
        let path = self.authority();
        let current = match self.read_one_authority(&path, "ca") {
            Err(HomeError::Authority(PkiError::Key { .. })) if self.key("ca-next").exists() => self.read_one_authority(&path, "ca-next"),
            read => read,
        }?;
        let path = self.former_authority();
        if !path.exists() {
            return Ok(Authorities::one(current));
        }
        let former = self.read_one_authority(&path, "ca-former")?;
        let former = Some(former).filter(|former| former.certificate_der() != current.certificate_der());
        Ok(Authorities { current, former })
    }

    fn read_one_authority(&self, path: &Path, key: &str) -> Result<FleetCa, HomeError> {
        let (path, key_path) = (path.to_owned(), self.key(key));
        let certificate = files::read(&path).map_err(|source| HomeError::Read { path, source })?;
        let key = files::read_secret(&key_path).map_err(|source| HomeError::Read { path: key_path.clone(), source })?;
        let key = std::str::from_utf8(&key).map_err(|_| HomeError::Content { path: key_path, expected: "a private key in PEM" })?;
        FleetCa::load(&certificate, key).map_err(HomeError::Authority)
    }

    /// Puts another certificate for the same key in the place of one of [`OWN_CERTIFICATES`].
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn replace_certificate(&self, name: &str, certificate_der: &[u8]) -> Result<(), HomeError> {
        let (path, _) = self.certificate(name);
        files::replace(&path, certificate_pem(certificate_der).as_bytes(), 0o644).map_err(|source| HomeError::Write { path, source })
    }

    /// Reads a certificate with its key: `broker` or `bridge`.
    ///
    /// # Errors
    /// A file cannot be read, or holds something else.
    pub fn read_certificate(&self, name: &str) -> Result<IssuedCertificate, HomeError> {
        let (path, key_path) = self.certificate(name);
        let pem = files::read(&path).map_err(|source| HomeError::Read { path: path.clone(), source })?;
        let certificate =
            CertificateDer::from_pem_slice(&pem).map_err(|_| HomeError::Content { path, expected: "a certificate in PEM" })?;
        let pem = files::read_secret(&key_path).map_err(|source| HomeError::Read { path: key_path.clone(), source })?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(&pem)
            .map_err(|_| HomeError::Content { path: key_path, expected: "a private key in PEM" })?;
        Ok(IssuedCertificate {
            certificate_der: certificate.to_vec(),
            private_key_pkcs8_der: Zeroizing::new(key.secret_pkcs8_der().to_vec()),
        })
    }
}
