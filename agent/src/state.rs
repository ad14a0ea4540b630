//! The state folder: everything that the agent keeps, and the one way in which it writes it.
//!
//! ```text
//! <state folder>/            0700 (0711 where the link has a user of its own, see [`crate::ownership`]); every file in it 0600
//!   registered               written last: without it the device is no node, whatever else is there
//!   link/                    tls.key (PKCS#8 v1)  certificate.der  authority.der  connection.toml: as the device was registered
//!                            credentials  credentials.next: key, certificate and authorities of a renewal, see [`crate::link`]
//!   exec/                    identity.key  sealing.key  root.hash (32 bytes each)  floor (u64 LE, milliseconds)  connection.toml: exec's copy
//!     trust/  trust.copy/    <version>.bundle: the envelopes of all trust bundles from 1 on, twice; root.hash once more in the second
//!     journal/               the journal
//!     jobs/<order id>/       one folder a job, see [`crate::job`]
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};

use config::{Config, FileFormat};
use ed25519_dalek::SigningKey;
use flotilla_agent_core::HeldTrust;
use flotilla_link::BrokerAddress;
use flotilla_protocol::id::{FleetId, NodeId};
use flotilla_protocol::secret::SealingKey;
use nix::fcntl::OFlag;
use serde::Deserialize;
use thiserror::Error;

use crate::settings::Settings;
use crate::trust_store;

/// Largest file that is read from the state folder's keys, certificates and bundles, in bytes.
const MAXIMUM_FILE_BYTES: u64 = 128 * 1024;
/// What stands in front of the seed in the PKCS#8 v1 form of an ed25519 key (RFC 8410).
const PKCS8_PREFIX: [u8; 16] = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// In the link's folder, and a copy in exec's: [`Connection`].
pub(crate) const CONNECTION: &str = "connection.toml";
/// In the link's folder: key, certificate and authorities of the last renewal, once a connection with them has succeeded.
pub(crate) const RENEWED: &str = "credentials";
/// In the link's folder: those of a renewal with which no connection has succeeded yet.
pub(crate) const RENEWED_NEXT: &str = "credentials.next";

/// Why the state cannot be read or written.
#[derive(Debug, Error)]
pub enum StateError {
    /// The device is no node.
    #[error("this device is not registered (there is no {}); run flotilla-agent register first", .marker.display())]
    NotRegistered {
        /// The marker that is missing.
        marker: PathBuf,
    },
    /// A file or folder cannot be read.
    #[error("{} cannot be read", .path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file or folder cannot be written.
    #[error("{} cannot be written; is the agent started by the right user, and is the disk full?", .path.display())]
    NotWritable {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file holds something else.
    #[error("{} is damaged: {what}; register again with --again", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

/// Where things are in a state folder.
#[derive(Debug, Clone)]
pub struct Layout {
    folder: PathBuf,
    /// User and group of the link's files, where these are not those of whoever writes them.
    link_owner: Option<(u32, u32)>,
}

impl Layout {
    /// The layout of a state folder.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        // Only root gives files away, and the link itself needs not.
        let user = settings.link_user.as_ref().filter(|_| nix::unistd::geteuid().is_root());
        Self { folder: settings.state_folder.clone(), link_owner: user.map(|user| (user.uid, user.gid)) }
    }

    #[cfg(test)]
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), link_owner: None }
    }

    /// The marker that is written last.
    #[must_use]
    pub fn registered(&self) -> PathBuf {
        self.folder.join("registered")
    }

    /// A file of the link.
    #[must_use]
    pub fn link(&self, name: &str) -> PathBuf {
        self.folder.join("link").join(name)
    }

    /// A file or folder of exec.
    #[must_use]
    pub fn exec(&self, name: &str) -> PathBuf {
        self.folder.join("exec").join(name)
    }

    /// The trust bundle of a version.
    #[must_use]
    pub fn bundle(&self, version: u32) -> PathBuf {
        self.exec("trust").join(format!("{version}.bundle"))
    }

    /// Makes the folders that are missing.
    ///
    /// # Errors
    /// [`StateError::NotWritable`] names the folder.
    pub fn create(&self) -> Result<(), StateError> {
        make_folder(&self.folder)?;
        make_folder(&self.folder.join("link"))?;
        make_folder(&self.folder.join("exec"))?;
        ["trust", "trust.copy", "journal", "jobs"].into_iter().try_for_each(|name| make_folder(&self.exec(name)))
    }

    /// Writes a file of the link as [`replace_file`] does, and has it belong to the link's user before it is there.
    ///
    /// # Errors
    /// [`StateError::NotWritable`].
    pub fn write_link(&self, name: &str, bytes: &[u8]) -> Result<(), StateError> {
        let path = self.link(name);
        replace_file_as(&path, bytes, self.link_owner).map_err(|source| StateError::NotWritable { path, source })
    }

    /// Gives exec its copy of where the broker is, where the device was registered before there was one: exec may have no right to look into
    /// the link's folder.
    ///
    /// # Errors
    /// [`StateError`]; what the link has is there as before.
    pub(crate) fn keep_connection(&self) -> Result<(), StateError> {
        let (own, of_link) = (self.exec(CONNECTION), self.link(CONNECTION));
        if own.exists() || !of_link.exists() {
            return Ok(());
        }
        let connection = Connection::load(&of_link)?;
        write_atomically(&own, connection.to_toml().as_bytes())
    }

    /// # Errors
    /// [`StateError::NotRegistered`].
    pub(crate) fn require_registered(&self) -> Result<(), StateError> {
        let marker = self.registered();
        if marker.exists() { Ok(()) } else { Err(StateError::NotRegistered { marker }) }
    }
}

/// What exec knows of itself and of the fleet.
#[derive(Debug)]
pub struct ExecState {
    /// The node's id, computed from its key.
    pub node: NodeId,
    /// The fleet.
    pub fleet: FleetId,
    /// The node's identity: signs its reports.
    pub identity: SigningKey,
    /// The X25519 secret to which secrets are sealed.
    pub sealing_key: SealingKey,
    /// SHA-256 of the body of trust bundle 1.
    pub root_hash: [u8; 32],
    /// Unix time in milliseconds that is certainly past: from the enrolment.
    pub first_floor_ms: u64,
    /// The broker, for the facts.
    pub broker: BrokerAddress,
    /// Where exec's files are.
    pub layout: Layout,
}

impl ExecState {
    /// Reads exec's part of the state.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn load(settings: &Settings) -> Result<Self, StateError> {
        let layout = Layout::new(settings);
        layout.require_registered()?;
        let identity = SigningKey::from_bytes(&read_32(&layout.exec("identity.key"))?);
        let root_hash = trust_store::root_hash(&layout)?;
        let own = layout.exec(CONNECTION);
        let connection = Connection::load(&if own.exists() { own } else { layout.link(CONNECTION) })?;
        Ok(Self {
            node: NodeId::of_key(identity.verifying_key().as_bytes()),
            fleet: FleetId::of_root_hash(&root_hash),
            sealing_key: SealingKey::new(read_32(&layout.exec("sealing.key"))?),
            first_floor_ms: read_floor(&layout)?,
            broker: connection.broker,
            identity,
            root_hash,
            layout,
        })
    }

    /// The trust bundles, as far as they follow from the pinned root; copies that are damaged are written anew.
    #[must_use]
    pub fn held_trust(&self) -> HeldTrust {
        trust_store::load(&self.layout, self.root_hash)
    }

    /// Keeps a trust bundle that was verified to follow the newest one, in both copies. They are on disk when this returns.
    ///
    /// # Errors
    /// [`StateError::NotWritable`].
    pub fn store_bundle(&self, version: u32, envelope: &[u8]) -> Result<(), StateError> {
        trust_store::store(&self.layout, version, envelope)
    }
}

/// What the link needs.
#[derive(Debug)]
pub struct LinkState {
    /// The node's id: client id and name of the certificate.
    pub node: NodeId,
    /// The fleet.
    pub fleet: FleetId,
    /// The broker's listener for nodes.
    pub broker: BrokerAddress,
    /// The claim listener, where certificates are renewed; nothing for a device that was registered before there was that.
    pub claim: Option<BrokerAddress>,
    /// Unix time in seconds that is certainly past.
    pub time_floor_s: u64,
    /// The fleet's certificate authority, DER.
    pub authority: Vec<u8>,
    /// The link's certificate, DER.
    pub certificate: Vec<u8>,
    /// The link's key, PKCS#8 v1 DER.
    pub key: Vec<u8>,
}

impl LinkState {
    /// Reads the link's part of the state.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn load(settings: &Settings) -> Result<Self, StateError> {
        let layout = Layout::new(settings);
        layout.require_registered()?;
        let connection = Connection::load(&layout.link(CONNECTION))?;
        Ok(Self {
            node: connection.node,
            fleet: connection.fleet,
            broker: connection.broker,
            claim: connection.claim,
            time_floor_s: connection.enrolled_at_s,
            authority: read(&layout.link("authority.der"))?,
            certificate: read(&layout.link("certificate.der"))?,
            key: read(&layout.link("tls.key"))?,
        })
    }
}

/// Where the link connects to, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// The broker's listener for nodes.
    pub broker: BrokerAddress,
    /// The claim listener.
    pub claim: Option<BrokerAddress>,
    /// The fleet.
    pub fleet: FleetId,
    /// The node.
    pub node: NodeId,
    /// Unix time in seconds of the enrolment: certificates are never judged by an earlier one.
    pub enrolled_at_s: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConnectionText {
    host: String,
    port: u16,
    claim_host: Option<String>,
    claim_port: Option<u16>,
    fleet: String,
    node: String,
    enrolled_at_s: u64,
}

impl Connection {
    /// The file's text. The host is one that [`BrokerAddress`] takes: it needs no quoting.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let Self { broker: BrokerAddress { host, port }, claim, fleet, node, enrolled_at_s } = self;
        let claim = claim.as_ref().map(|BrokerAddress { host, port }| format!("claim_host = \"{host}\"\nclaim_port = {port}\n"));
        let claim = claim.unwrap_or_default();
        format!("host = \"{host}\"\nport = {port}\n{claim}fleet = \"{fleet}\"\nnode = \"{node}\"\nenrolled_at_s = {enrolled_at_s}\n")
    }

    fn load(path: &Path) -> Result<Self, StateError> {
        let text = String::from_utf8(read(path)?).map_err(|error| damaged(path, &error))?;
        Self::parse(&text).map_err(|error| damaged(path, error.as_ref()))
    }

    fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error>> {
        let built = Config::builder().add_source(config::File::from_str(text, FileFormat::Toml)).build()?;
        let ConnectionText { host, port, claim_host, claim_port, fleet, node, enrolled_at_s } = built.try_deserialize()?;
        let broker = BrokerAddress { host, port }.to_string().parse()?;
        let claim = claim_host.zip(claim_port).map(|(host, port)| BrokerAddress { host, port }.to_string().parse()).transpose()?;
        Ok(Self { broker, claim, fleet: fleet.parse()?, node: node.parse()?, enrolled_at_s })
    }
}

/// An ed25519 key in the form that TLS libraries read.
#[must_use]
pub fn pkcs8(key: &SigningKey) -> Vec<u8> {
    [PKCS8_PREFIX.as_slice(), key.as_bytes()].concat()
}

/// The key in what [`pkcs8`] has written.
#[must_use]
pub fn from_pkcs8(bytes: &[u8]) -> Option<SigningKey> {
    let seed: &[u8; 32] = bytes.strip_prefix(&PKCS8_PREFIX)?.try_into().ok()?;
    Some(SigningKey::from_bytes(seed))
}

/// The node's first floor: Unix time in milliseconds.
pub(crate) fn read_floor(layout: &Layout) -> Result<u64, StateError> {
    let path = layout.exec("floor");
    let bytes = read(&path)?;
    let bytes: [u8; 8] = bytes.as_slice().try_into().map_err(|_| damaged(&path, &"it must have 8 bytes"))?;
    Ok(u64::from_le_bytes(bytes))
}

/// A file of exactly 32 bytes.
pub(crate) fn read_32(path: &Path) -> Result<[u8; 32], StateError> {
    read(path)?.as_slice().try_into().map_err(|_| damaged(path, &"it must have 32 bytes"))
}

/// A whole file, bounded. What the link's user may have put in its place is neither followed elsewhere nor waited for.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, StateError> {
    let unreadable = |source| StateError::Unreadable { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path).map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(damaged(path, &"it is no file"));
    }
    file.take(MAXIMUM_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAXIMUM_FILE_BYTES) {
        return Err(damaged(path, &"it is larger than 128 KiB"));
    }
    Ok(bytes)
}

fn damaged(path: &Path, what: &(impl ToString + ?Sized)) -> StateError {
    StateError::Damaged { path: path.to_owned(), what: what.to_string() }
}

pub(crate) fn make_folder(path: &Path) -> Result<(), StateError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| StateError::NotWritable { path: path.to_owned(), source })
}

/// Writes a file of the state as [`replace_file`] does.
///
/// # Errors
/// [`StateError::NotWritable`].
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), StateError> {
    replace_file(path, bytes).map_err(|source| StateError::NotWritable { path: path.to_owned(), source })
}

/// Puts a file with these bytes and mode 0600 in the place of whatever is there: after a cut at any moment it is wholly old
/// or wholly new, and after the return it is on the disk. One writer at a time for a path.
///
/// # Errors
/// Whatever the file system says; the old file is then still there, or the new one is there and may not outlast a cut.
pub fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_file_as(path, bytes, None)
}

/// As [`replace_file`], for another user and group.
fn replace_file_as(path: &Path, bytes: &[u8], owner: Option<(u32, u32)>) -> io::Result<()> {
    let folder = path.parent().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let temporary = write_beside(folder, path, bytes, owner)?;
    File::open(&temporary)?.sync_all()?;
    fs::rename(&temporary, path)?;
    sync_folder(folder)
}

/// As [`replace_file`] for the processes of this boot, and without a promise about the next one: nothing waits for the disk.
///
/// # Errors
/// Whatever the file system says; the old file is then still there.
pub fn replace_file_for_this_boot(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    fs::rename(write_beside(folder, path, bytes, None)?, path)
}

fn write_beside(folder: &Path, path: &Path, bytes: &[u8], owner: Option<(u32, u32)>) -> io::Result<PathBuf> {
    let mut name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?.to_owned();
    name.push(".new");
    let temporary = folder.join(name);
    // What an earlier try has left behind may have been opened with another mode, or be linked elsewhere.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    if let Some((uid, gid)) = owner {
        fchown(&file, Some(uid), Some(gid))?;
    }
    Ok(temporary)
}

/// Has the names in a folder on the disk.
///
/// # Errors
/// Whatever the file system says.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_file_is_replaced_whole_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        // An interrupted earlier try does not hinder.
        File::create(folder.path().join("file.new")).unwrap();
        for bytes in [b"old".as_slice(), b"newer"] {
            replace_file(&path, bytes).unwrap();
            assert_eq!(read(&path).unwrap(), bytes);
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_key_reads_what_it_writes() {
        let key = SigningKey::from_bytes(&[7; 32]);
        assert_eq!(from_pkcs8(&pkcs8(&key)), Some(key.clone()));
        assert_eq!(pkcs8(&key).len(), 48);
        assert_eq!(from_pkcs8(&[0; 48]), None);
        assert_eq!(from_pkcs8(&pkcs8(&key)[..47]), None);
    }

    #[test]
    fn a_connection_reads_what_it_writes() {
        for host in ["broker.example", "2001:db8::7"] {
            let connection = Connection {
                broker: BrokerAddress { host: host.into(), port: 8883 },
                claim: (host != "broker.example").then(|| BrokerAddress { host: host.into(), port: 8884 }),
                fleet: FleetId([1; 8]),
                node: NodeId::of_key(&[0; 32]),
                enrolled_at_s: 1_800_000_000,
            };
            assert_eq!(Connection::parse(&connection.to_toml()).unwrap(), connection);
        }
        assert!(Connection::parse("host = \"a b\"").is_err());
    }
}
