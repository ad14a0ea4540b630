//! `flotilla-bridge init`: makes a fleet, all of it or nothing.
//!
//! Everything is made in a folder beside the wanted home, which takes the home's name at the very end. So a home exists
//! whole or not at all, whatever happens in between.

use crate::clock::Clock;
use crate::fleet::audit;
use crate::fleet::signer::{SignerError, heads_of};
use crate::fleet::user::{self, AccessKey, UserError};
use crate::platform::files;
use crate::platform::http::Access;
use crate::platform::pki::{FleetCa, IssuedCertificate, PkiError, certificate_pem};
use crate::platform::seal::{SealError, Sealer};
use crate::platform::store::{Store, StoreError};
use crate::schema::MIGRATIONS;
use crate::settings::{DEFAULT_REGION, Home, HostPort, Settings, SettingsError, check_name};
use clap::Args;
use ed25519_dalek::SigningKey;
use flotilla_protocol::envelope::{Domain, seal};
use flotilla_protocol::trust::{Class, OperatorRule, Role, RoleEntry, TrustBundle, TrustKey};
use flotilla_protocol::wire::encode;
use std::io;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// How long trust bundle 1 counts, and the certificates of broker and bridge: ten years.
pub(super) const VALIDITY_DAYS: u32 = 3650;
const DAY_MS: u64 = 86_400_000;
/// The name of the first user.
const FIRST_USER: &str = "admin";
/// Names that the broker's certificate always has.
const LOCAL_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// What `init` is told.
#[derive(Debug, Clone, Args)]
pub struct InitOptions {
    /// The folder to make; it must not exist, or be empty
    #[arg(long)]
    pub home: PathBuf,
    /// The fleet's name, for people
    #[arg(long, default_value = "fleet")]
    pub name: String,
    /// A DNS name or IP address by which nodes reach the broker; the first one is what they are told
    #[arg(long)]
    pub listen_host: Vec<String>,
    /// Where the API listens
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub api_listen: Option<std::net::SocketAddr>,
    /// Where the broker listens for nodes
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub broker_listen: Option<std::net::SocketAddr>,
    /// Where the broker listens for claims
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub claim_listen: Option<std::net::SocketAddr>,
    /// Succeed without a change when the home is there already, whole
    #[arg(long)]
    pub if_missing: bool,
}

/// Why no fleet was made.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// There is a home already.
    #[error("{home} holds a fleet already; run it with `flotilla-bridge run`, or choose another folder")]
    Exists {
        /// The folder.
        home: PathBuf,
    },
    /// There is something else.
    #[error("{home} exists and is not a whole home ({missing} is missing); choose another folder, or restore it from a backup")]
    Foreign {
        /// The folder.
        home: PathBuf,
        /// The first file that is missing.
        missing: String,
    },
    /// The home cannot have this path.
    #[error("{home} cannot be a home: give a path with a name at its end")]
    Path {
        /// The path.
        home: PathBuf,
    },
    /// A file or folder could not be written.
    #[error("cannot write {path}; may you write there, and is there space?")]
    Write {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The name or a setting does not fit.
    #[error("the settings do not fit")]
    Settings(#[from] SettingsError),
    /// A certificate could not be made.
    #[error("the certificates cannot be made")]
    Pki(#[from] PkiError),
    /// A secret could not be made or sealed.
    #[error("the secrets cannot be made")]
    Seal(#[from] SealError),
    /// The database.
    #[error("the database cannot be made")]
    Store(#[from] StoreError),
    /// The audit log.
    #[error("the audit log cannot be begun")]
    Signer(#[from] SignerError),
    /// The first user.
    #[error("the first user cannot be made")]
    User(#[from] UserError),
}

/// Makes a fleet; returns what to tell the person who asked for it.
///
/// # Errors
/// See [`InitError`]; nothing is left behind then.
pub async fn init(options: &InitOptions, clock: &Clock) -> Result<String, InitError> {
    let wanted = Home::new(&options.home);
    check_name("name", &options.name)?;
    match state(&wanted)? {
        Place::Free => {}
        Place::Whole if options.if_missing => return Ok(format!("{} is there already", options.home.display())),
        Place::Whole => return Err(InitError::Exists { home: options.home.clone() }),
        Place::Broken(missing) => return Err(InitError::Foreign { home: options.home.clone(), missing }),
    }
    let name = options.home.file_name().ok_or_else(|| InitError::Path { home: options.home.clone() })?;
    let parent = match options.home.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    std::fs::create_dir_all(&parent).map_err(|source| InitError::Write { path: parent.clone(), source })?;
    let mut building = std::ffi::OsString::from(".");
    building.push(name);
    // Nobody else has this name, so nothing that is removed below belongs to anybody else.
    let mut suffix = [0; 8];
    getrandom::fill(&mut suffix).map_err(SealError::Random)?;
    building.push(format!(".init-{:016x}", u64::from_be_bytes(suffix)));
    let building = parent.join(building);
    files::create_folder(&building).map_err(|source| InitError::Write { path: building.clone(), source })?;
    let mut made_here = true;
    let made = build(&Home::new(&building), options, clock).await.and_then(|settings| {
        // An empty folder gives way to the rename; anything else in the way refuses it.
        std::fs::rename(&building, &options.home).map_err(|source| InitError::Write { path: options.home.clone(), source })?;
        made_here = false;
        files::sync_folder(&parent).map_err(|source| InitError::Write { path: parent.clone(), source })?;
        Ok(settings)
    });
    match made {
        Ok(settings) => Ok(format!(
            "Made the fleet {} in {}.\nStart it:   flotilla-bridge run --home {}\nThe API:    {}, access key in {}",
            options.name,
            options.home.display(),
            options.home.display(),
            api_url(&settings),
            wanted.operator_environment().display()
        )),
        Err(error) => {
            if made_here && let Err(left) = std::fs::remove_dir_all(&building) {
                tracing::warn!(path = %building.display(), error = %left, "an unfinished home is left; remove it");
            }
            Err(error)
        }
    }
}

enum Place {
    Free,
    Whole,
    Broken(String),
}

fn state(home: &Home) -> Result<Place, InitError> {
    let failed = |source| InitError::Write { path: home.path().to_owned(), source };
    match std::fs::read_dir(home.path()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Place::Free),
        Err(error) => return Err(failed(error)),
        Ok(mut entries) => {
            if entries.next().is_none() {
                return Ok(Place::Free);
            }
        }
    }
    let mut needed = vec![home.settings(), home.database(), home.seal_key(), home.operator_environment(), home.authority(), home.bundle(1)];
    needed.extend(["root", "operator", "bridge", "freshness", "ca"].map(|key| home.key(key)));
    for name in ["broker", "bridge"] {
        let (certificate, key) = home.certificate(name);
        needed.extend([certificate, key]);
    }
    let missing = needed.into_iter().find(|path| !path.exists());
    Ok(missing.map_or(Place::Whole, |path| Place::Broken(path.strip_prefix(home.path()).unwrap_or(&path).display().to_string())))
}

async fn build(home: &Home, options: &InitOptions, clock: &Clock) -> Result<Settings, InitError> {
    let now_ms = clock.now_ms();
    for folder in [home.keys(), home.trust(), home.certificates()] {
        files::create_folder(&folder).map_err(|source| InitError::Write { path: folder.clone(), source })?;
    }
    public(&home.settings(), settings_text(options).as_bytes())?;
    let settings = Settings::load_file(home.path())?;
    make_trust(home, now_ms)?;
    make_certificates(home, options, &settings, now_ms / 1000)?;
    let seal_key = random_seed()?;
    secret(&home.seal_key(), seal_key.as_slice())?;
    let store = Store::open(&home.database(), MIGRATIONS).await?;
    store.audit().sign_with(heads_of(home.path())?);
    let mut write = store.write().await?;
    write.record(audit::user("fleet-made", &options.name, now_ms));
    write.record(audit::user("user-added", FIRST_USER, now_ms).with("Role", Access::Admin.name()));
    let key = user::add(&mut write, &Sealer::new(&seal_key), FIRST_USER, Access::Admin, now_ms).await?;
    write.commit().await?;
    store.close().await;
    secret(&home.operator_environment(), operator_environment(&settings, &key).as_bytes())?;
    for folder in [home.keys(), home.trust(), home.certificates(), home.path().to_owned()] {
        files::sync_folder(&folder).map_err(|source| InitError::Write { path: folder, source })?;
    }
    Ok(settings)
}

/// Makes the fleet's keys and trust bundle 1, in which each key has its own person and every threshold is one.
fn make_trust(home: &Home, now_ms: u64) -> Result<(), InitError> {
    let persons = ["root", "operator", "bridge", "freshness"];
    let mut signing_keys = Vec::new();
    for person in persons {
        let seed = random_seed()?;
        secret(&home.key(person), seed.as_slice())?;
        signing_keys.push(SigningKey::from_bytes(&seed));
    }
    let keys = signing_keys.iter().zip(persons);
    let keys = keys.map(|(key, person)| TrustKey::new(key.verifying_key().to_bytes().into(), person)).collect();
    let one = |role, key| RoleEntry { role, threshold: 1, keys: vec![key] };
    let roles = vec![one(Role::Root, 0), one(Role::Release, 0), one(Role::Freshness, 3), one(Role::Bridge, 2)];
    // The bridge's one operator key allows everything, everywhere, at all times, until the fleet's people take that over.
    let rules = Class::ALL.iter().map(|class| OperatorRule::any_of(*class, vec![1])).collect();
    let expires_ms = now_ms.saturating_add(u64::from(VALIDITY_DAYS) * DAY_MS);
    let bundle = TrustBundle { expires_ms, ..TrustBundle::beginning(keys, roles, rules) };
    let root: Vec<&SigningKey> = signing_keys.iter().take(1).collect();
    public(&home.bundle(1), &seal(Domain::Trust, &encode(&bundle), &root))
}

fn make_certificates(home: &Home, options: &InitOptions, settings: &Settings, now_s: u64) -> Result<(), InitError> {
    let authority = FleetCa::create(&options.name, now_s)?;
    secret(&home.key("ca"), authority.key_pem().as_bytes())?;
    public(&home.authority(), authority.certificate_der())?;
    public(&home.certificates().join("authority.pem"), certificate_pem(authority.certificate_der()).as_bytes())?;
    let told = [settings.broker.address.host.as_str(), settings.broker.claim_address.host.as_str()];
    let mut names: Vec<String> = Vec::new();
    for name in options.listen_host.iter().map(String::as_str).chain(told).chain(LOCAL_NAMES) {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    let issued = |name: &str, issued: &IssuedCertificate| {
        let (certificate, key) = home.certificate(name);
        public(&certificate, issued.certificate_pem().as_bytes())?;
        secret(&key, issued.private_key_pem().as_bytes())
    };
    issued("broker", &authority.issue_server(&names, now_s, VALIDITY_DAYS)?)?;
    issued("bridge", &authority.issue_client("flotilla-bridge", now_s, VALIDITY_DAYS)?)
}

fn settings_text(options: &InitOptions) -> String {
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};
    // With a name for others to use, the broker listens for others.
    let host = if options.listen_host.is_empty() { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED };
    let listen = |given: Option<SocketAddr>, port: u16| given.unwrap_or_else(|| SocketAddr::new(IpAddr::V4(host), port));
    let broker = listen(options.broker_listen, crate::settings::DEFAULT_BROKER_PORT);
    let claim = listen(options.claim_listen, crate::settings::DEFAULT_CLAIM_PORT);
    let api = options.api_listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, crate::settings::DEFAULT_API_PORT)));
    let told = |listen: SocketAddr| match options.listen_host.first() {
        Some(host) if host.contains(':') => format!("[{host}]:{}", listen.port()),
        Some(host) => format!("{host}:{}", listen.port()),
        None => listen.to_string(),
    };
    format!(
        "# Settings of the bridge. A variable such as FLOTILLA_BRIDGE__API__LISTEN overrides its setting.\n\
         name = \"{}\"\n\
         region = \"{DEFAULT_REGION}\"\n\n\
         [api]\n\
         # Beyond loopback, set certificate and key (PEM) too.\n\
         listen = \"{api}\"\n\n\
         [broker]\n\
         # \"embedded\" in the bridge, or \"external\", as Mosquitto.\n\
         mode = \"embedded\"\n\
         listen = \"{broker}\"\n\
         claim_listen = \"{claim}\"\n\
         # What nodes are told to connect to.\n\
         address = \"{}\"\n\
         claim_address = \"{}\"\n",
        options.name,
        told(broker),
        told(claim)
    )
}

/// The file that tells the `aws` command line, the SDKs and `flotilla` where the API is and who calls.
pub(super) fn operator_environment(settings: &Settings, key: &AccessKey) -> Zeroizing<String> {
    let url = api_url(settings);
    Zeroizing::new(format!(
        "AWS_ENDPOINT_URL_SSM={url}\nAWS_ENDPOINT_URL_RESOURCE_GROUPS={url}\nAWS_ACCESS_KEY_ID={}\nAWS_SECRET_ACCESS_KEY={}\n\
         AWS_DEFAULT_REGION={}\n",
        key.id,
        key.secret.as_str(),
        settings.region
    ))
}

fn api_url(settings: &Settings) -> String {
    let scheme = if settings.api.tls.is_some() { "https" } else { "http" };
    let listen = settings.api.listen;
    if listen.ip().is_unspecified() {
        // Nobody can connect to "all addresses": the name that nodes use is the machine's best one.
        let host = HostPort { host: settings.broker.address.host.clone(), port: listen.port() };
        return format!("{scheme}://{host}");
    }
    format!("{scheme}://{listen}")
}

fn random_seed() -> Result<Zeroizing<[u8; 32]>, SealError> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut_slice()).map_err(SealError::Random)?;
    Ok(seed)
}

fn secret(path: &Path, content: &[u8]) -> Result<(), InitError> {
    files::create_secret(path, content).map_err(|source| InitError::Write { path: path.to_owned(), source })
}

fn public(path: &Path, content: &[u8]) -> Result<(), InitError> {
    files::create_public(path, content).map_err(|source| InitError::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests;
