//! The settings: `bridge.toml` in the bridge's home, then the environment, `FLOTILLA_BRIDGE__API__LISTEN` for `api.listen`.
//!
//! Parsed once into types that cannot be wrong; an unknown key is refused by its name.

mod home;
mod webhook;

pub use home::{Home, HomeError, OWN_CERTIFICATES};
pub use webhook::WebhookSettings;

use crate::platform::audit::keep;
use crate::platform::http::TlsFiles;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Port of the API where none is set.
pub const DEFAULT_API_PORT: u16 = 8474;
/// Port of the broker where none is set: MQTT over TLS.
pub const DEFAULT_BROKER_PORT: u16 = 8883;
/// Port of the claim listener where none is set.
pub const DEFAULT_CLAIM_PORT: u16 = 8884;
/// The region of a fleet where none is set. It stands in signatures and ARNs and means nothing else.
pub const DEFAULT_REGION: &str = "local-1";
/// How far ahead an activation may expire where nothing is set, in days: AWS's limit.
pub const DEFAULT_ACTIVATION_DAYS: u32 = 30;
/// What the setting `limits.activation_days` may be.
const ACTIVATION_DAYS: std::ops::RangeInclusive<u32> = 1..=3650;
/// Shortest and longest pause before what is not answered is sent again, where nothing is set, in seconds.
pub const DEFAULT_RESEND_S: (u32, u32) = (5, 600);
/// What the settings `limits.resend_minimum_s` and `limits.resend_maximum_s` may be.
const RESEND_S: std::ops::RangeInclusive<u32> = 1..=3600;
/// Entries of the audit log: about 400 bytes each. Fewer than the least would be gone before anybody looks.
const AUDIT_ENTRIES: std::ops::RangeInclusive<u64> = 10_000..=1_000_000_000;
/// How long commands are kept where nothing is set, in days, and what can be set.
const DEFAULT_RETENTION_DAYS: u32 = 90;
const RETENTION_DAYS: std::ops::RangeInclusive<u32> = 1..=3650;
/// How long a node's certificate is valid where nothing is set, and what can be set, in seconds.
const DEFAULT_CERTIFICATE_LIFE_S: u64 = 365 * 86_400;
const CERTIFICATE_LIFE_S: std::ops::RangeInclusive<u64> = 10..=10 * 365 * 86_400;
/// Begins the names of environment variables that change settings.
pub const ENVIRONMENT_PREFIX: &str = "FLOTILLA_BRIDGE";

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file or a variable cannot be read, has an unknown key, or a value of the wrong kind.
    #[error("the settings in {path}, or a variable {ENVIRONMENT_PREFIX}__…, cannot be used: {message}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What and where.
        message: String,
    },
    /// A value that does not fit.
    #[error("the setting {key} cannot be {value:?}: {expected}")]
    Value {
        /// The setting.
        key: &'static str,
        /// Its value.
        value: String,
        /// What is expected.
        expected: &'static str,
    },
    /// The address of a webhook, which often holds a secret and is not shown.
    #[error("the setting webhooks.{webhook}.url cannot be used: {expected}")]
    WebhookAddress {
        /// Which webhook.
        webhook: String,
        /// What is expected.
        expected: &'static str,
    },
}

/// Which broker carries the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BrokerMode {
    /// The one inside the bridge.
    Embedded,
    /// Another program, on this machine or elsewhere.
    External,
}

/// A host with a port, as nodes are told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// DNS name or IP address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl std::fmt::Display for HostPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') { write!(f, "[{}]:{}", self.host, self.port) } else { write!(f, "{}:{}", self.host, self.port) }
    }
}

impl FromStr for HostPort {
    type Err = ();

    /// `host:port`, `address:port` or `[IPv6 address]:port`; port 0 is none.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (host, port) = text.rsplit_once(':').ok_or(())?;
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').filter(|address| address.parse::<std::net::Ipv6Addr>().is_ok()).ok_or(())?,
            None => host,
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':');
        let port: u16 = port.parse().map_err(|_| ())?;
        let fits = (1..=flotilla_protocol::enrolment::MAXIMUM_HOST_BYTES).contains(&host.len()) && host.bytes().all(plain);
        if fits && port > 0 && (!host.contains(':') || text.starts_with('[')) { Ok(Self { host: host.to_owned(), port }) } else { Err(()) }
    }
}

/// The API's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Its certificate and key; without them it listens on loopback only.
    pub tls: Option<TlsFiles>,
    /// What others reach it by, without a slash at its end, where that is not what their requests say; it begins links.
    pub public_url: Option<String>,
}

/// The broker's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerSettings {
    /// Which broker.
    pub mode: BrokerMode,
    /// Where the embedded broker listens for nodes.
    pub listen: SocketAddr,
    /// Where the embedded broker listens for claims.
    pub claim_listen: SocketAddr,
    /// What nodes and the bridge connect to.
    pub address: HostPort,
    /// What devices connect to for their claim; it stands in activation strings.
    pub claim_address: HostPort,
    /// Whether an external broker is a Mosquitto with its dynamic security plugin, which throws out who is deregistered.
    pub dynamic_security: bool,
}

/// All settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where everything lies.
    pub home: Home,
    /// The fleet's name, for people.
    pub name: String,
    /// The region in signatures and ARNs.
    pub region: String,
    /// The API.
    pub api: ApiSettings,
    /// The broker.
    pub broker: BrokerSettings,
    /// How far ahead an activation may expire, in days; AWS allows 30.
    pub longest_activation_days: u32,
    /// How long commands are kept after they have ended, with their output, in days.
    pub retention_days: u32,
    /// Entries of the audit log that are kept; older ones are removed.
    pub audit_entries: u64,
    /// First pause before what is not answered is sent again, by us and by nodes, in seconds; it doubles up to `resend_maximum_s`.
    pub resend_minimum_s: u32,
    /// Longest pause before what is not answered is sent again, in seconds.
    pub resend_maximum_s: u32,
    /// How long a node's certificate is valid, in seconds; it is renewed when a third of that remains.
    pub certificate_life_s: u64,
    /// Where notifications of commands can go, by name.
    pub webhooks: BTreeMap<String, WebhookSettings>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    #[serde(default = "default_region")]
    region: String,
    #[serde(default)]
    api: ApiSection,
    #[serde(default)]
    broker: BrokerSection,
    #[serde(default)]
    limits: LimitsSection,
    #[serde(default)]
    webhooks: BTreeMap<String, webhook::WebhookSection>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ApiSection {
    listen: Option<String>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    public_url: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct BrokerSection {
    mode: Option<BrokerMode>,
    listen: Option<String>,
    claim_listen: Option<String>,
    address: Option<String>,
    claim_address: Option<String>,
    dynamic_security: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LimitsSection {
    activation_days: Option<u32>,
    retention_days: Option<u32>,
    audit_entries: Option<u64>,
    resend_minimum_s: Option<u32>,
    resend_maximum_s: Option<u32>,
    certificate_life_s: Option<u64>,
}

fn default_region() -> String {
    DEFAULT_REGION.to_owned()
}

impl Settings {
    /// Reads the settings of a home.
    ///
    /// # Errors
    /// The file or a variable cannot be used; the message names the key.
    pub fn load(home: &Path) -> Result<Self, SettingsError> {
        Self::load_with(home, None)
    }

    /// As [`Settings::load`], from the file alone.
    ///
    /// # Errors
    /// The file cannot be used; the message names the key.
    pub fn load_file(home: &Path) -> Result<Self, SettingsError> {
        Self::load_with(home, Some(config::Map::new()))
    }

    /// With other variables than those of the process.
    fn load_with(home: &Path, variables: Option<config::Map<String, String>>) -> Result<Self, SettingsError> {
        let home = Home::new(home);
        let path = home.settings();
        let unreadable = |error: config::ConfigError| SettingsError::Unreadable { path: path.clone(), message: error.to_string() };
        let environment = config::Environment::with_prefix(ENVIRONMENT_PREFIX).prefix_separator("__").separator("__").source(variables);
        let file: File = config::Config::builder()
            .add_source(config::File::from(path.as_path()).format(config::FileFormat::Toml))
            .add_source(environment)
            .build()
            .and_then(config::Config::try_deserialize)
            .map_err(unreadable)?;
        Self::check(home, file)
    }

    fn check(home: Home, file: File) -> Result<Self, SettingsError> {
        let File { name, region, api, broker, limits, webhooks } = file;
        check_name("name", &name)?;
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !(1..=32).contains(&region.len()) || !region.bytes().all(plain) {
            return Err(SettingsError::Value { key: "region", value: region, expected: "1 to 32 of a-z, 0-9 and '-'" });
        }
        let tls = match (api.certificate, api.key) {
            (Some(certificate), Some(key)) => Some(TlsFiles { certificate: home.join(&certificate), key: home.join(&key) }),
            (None, None) => None,
            (Some(path), None) | (None, Some(path)) => {
                let expected = "api.certificate and api.key are set together";
                return Err(SettingsError::Value { key: "api.certificate", value: path.display().to_string(), expected });
            }
        };
        let listen = socket("broker.listen", broker.listen, DEFAULT_BROKER_PORT)?;
        let claim_listen = socket("broker.claim_listen", broker.claim_listen, DEFAULT_CLAIM_PORT)?;
        let broker = BrokerSettings {
            mode: broker.mode.unwrap_or(BrokerMode::Embedded),
            address: host_port("broker.address", broker.address, listen)?,
            claim_address: host_port("broker.claim_address", broker.claim_address, claim_listen)?,
            listen,
            claim_listen,
            dynamic_security: broker.dynamic_security.unwrap_or(false),
        };
        let public_url = api.public_url.map(webhook::check_public_url).transpose()?;
        let api = ApiSettings { listen: socket("api.listen", api.listen, DEFAULT_API_PORT)?, tls, public_url };
        let webhooks = webhook::check(&home, webhooks)?;
        let longest_activation_days = limits.activation_days.unwrap_or(DEFAULT_ACTIVATION_DAYS);
        if !ACTIVATION_DAYS.contains(&longest_activation_days) {
            let value = longest_activation_days.to_string();
            return Err(SettingsError::Value { key: "limits.activation_days", value, expected: "1 to 3650 days" });
        }
        let retention_days = limits.retention_days.unwrap_or(DEFAULT_RETENTION_DAYS);
        if !RETENTION_DAYS.contains(&retention_days) {
            let value = retention_days.to_string();
            return Err(SettingsError::Value { key: "limits.retention_days", value, expected: "1 to 3650 days" });
        }
        let audit_entries = limits.audit_entries.unwrap_or(keep::DEFAULT_KEPT);
        if !AUDIT_ENTRIES.contains(&audit_entries) {
            let value = audit_entries.to_string();
            return Err(SettingsError::Value { key: "limits.audit_entries", value, expected: "10000 to 1000000000 entries" });
        }
        let resend_minimum_s = limits.resend_minimum_s.unwrap_or(DEFAULT_RESEND_S.0);
        if !RESEND_S.contains(&resend_minimum_s) {
            let value = resend_minimum_s.to_string();
            return Err(SettingsError::Value { key: "limits.resend_minimum_s", value, expected: "1 to 3600 seconds" });
        }
        let resend_maximum_s = limits.resend_maximum_s.unwrap_or_else(|| resend_minimum_s.max(DEFAULT_RESEND_S.1));
        if !RESEND_S.contains(&resend_maximum_s) || resend_maximum_s < resend_minimum_s {
            let (value, expected) = (resend_maximum_s.to_string(), "limits.resend_minimum_s to 3600 seconds");
            return Err(SettingsError::Value { key: "limits.resend_maximum_s", value, expected });
        }
        let certificate_life_s = limits.certificate_life_s.unwrap_or(DEFAULT_CERTIFICATE_LIFE_S);
        if !CERTIFICATE_LIFE_S.contains(&certificate_life_s) {
            let (value, expected) = (certificate_life_s.to_string(), "10 to 315360000 seconds");
            return Err(SettingsError::Value { key: "limits.certificate_life_s", value, expected });
        }
        Ok(Self {
            home,
            name,
            region,
            api,
            broker,
            longest_activation_days,
            retention_days,
            audit_entries,
            resend_minimum_s,
            resend_maximum_s,
            certificate_life_s,
            webhooks,
        })
    }
}

/// Checks a fleet's name, which certificates carry.
///
/// # Errors
/// It is empty, too long, or has other characters.
pub fn check_name(key: &'static str, name: &str) -> Result<(), SettingsError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if (1..=crate::platform::pki::MAX_FLEET_NAME).contains(&name.len()) && name.bytes().all(plain) {
        return Ok(());
    }
    Err(SettingsError::Value { key, value: name.to_owned(), expected: "1 to 48 of a-z, A-Z, 0-9, '.', '_' and '-'" })
}

fn socket(key: &'static str, value: Option<String>, port: u16) -> Result<SocketAddr, SettingsError> {
    match value {
        None => Ok(SocketAddr::from(([127, 0, 0, 1], port))),
        Some(value) => {
            value.parse().map_err(|_| SettingsError::Value { key, value, expected: "an IP address and a port, as 127.0.0.1:8474" })
        }
    }
}

/// What others are told: the setting, or the listening address where it is one that can be connected to.
fn host_port(key: &'static str, value: Option<String>, listen: SocketAddr) -> Result<HostPort, SettingsError> {
    let expected = "a host and a port that nodes can reach, as bridge.example:8883";
    match value {
        Some(value) => value.parse().map_err(|()| SettingsError::Value { key, value, expected }),
        None if listen.ip().is_unspecified() => {
            let expected = "it must be set where the broker listens on all addresses, as bridge.example:8883";
            Err(SettingsError::Value { key, value: String::new(), expected })
        }
        None => Ok(HostPort { host: listen.ip().to_string(), port: listen.port() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let folder = tempfile::tempdir().unwrap();
        crate::platform::files::create_secret(&Home::new(folder.path()).settings(), text.as_bytes()).unwrap();
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Settings::load_with(folder.path(), Some(variables))
    }

    #[test]
    fn a_name_is_enough() {
        let settings = load("name = 'test'", &[]).unwrap();
        assert_eq!(settings.api.listen.to_string(), "127.0.0.1:8474");
        assert_eq!((settings.broker.address.to_string(), settings.region.as_str()), ("127.0.0.1:8883".to_owned(), "local-1"));
        assert_eq!(settings.broker.mode, BrokerMode::Embedded);
    }

    #[test]
    fn the_environment_wins() {
        let text = "name = 'test'\n[api]\nlisten = '127.0.0.1:1'\n[broker]\nlisten = '0.0.0.0:8883'\naddress = 'bridge.example:8883'\n";
        let settings =
            load(text, &[("FLOTILLA_BRIDGE__API__LISTEN", "[::1]:2"), ("FLOTILLA_BRIDGE__BROKER__CLAIM_ADDRESS", "[::1]:3")]).unwrap();
        assert_eq!(settings.api.listen.to_string(), "[::1]:2");
        assert_eq!(settings.broker.claim_address, HostPort { host: "::1".to_owned(), port: 3 });
        assert_eq!(settings.broker.claim_address.to_string(), "[::1]:3");
    }

    #[test]
    fn what_is_unknown_or_wrong_is_refused_by_its_name() {
        for (text, variables, named) in [
            ("name = 'test'\ncolour = 1", [].as_slice(), "colour"),
            ("name = 'test'\n[api]\nport = 1", &[], "port"),
            ("name = 'test'", &[("FLOTILLA_BRIDGE__API__PORT", "1")], "port"),
            ("region = 'x'", &[], "name"),
            ("name = 'a b'", &[], "name"),
            ("name = 'test'\nregion = 'Local'", &[], "region"),
            ("name = 'test'\n[api]\nlisten = 'localhost'", &[], "api.listen"),
            ("name = 'test'\n[api]\ncertificate = 'a'", &[], "api.certificate"),
            ("name = 'test'\n[broker]\nmode = 'none'", &[], "none"),
            ("name = 'test'\n[broker]\nlisten = '0.0.0.0:8883'", &[], "broker.address"),
            ("name = 'test'\n[broker]\naddress = 'a/b:8883'", &[], "broker.address"),
            ("name = 'test'\n[broker]\naddress = '::1:8883'", &[], "broker.address"),
            ("name = 'test'\n[broker]\naddress = 'a:0'", &[], "broker.address"),
            ("name = 'test'\n[limits]\nactivation_days = 0", &[], "limits.activation_days"),
            ("name = 'test'\n[limits]\naudit_entries = 9999", &[], "limits.audit_entries"),
            ("name = 'test'\n[limits]\nretention_days = 0", &[], "limits.retention_days"),
            ("name = 'test'\n[limits]\ncertificate_life_s = 9", &[], "limits.certificate_life_s"),
            ("name = 'test'\n[limits]\nresend_minimum_s = 0", &[], "limits.resend_minimum_s"),
            ("name = 'test'\n[limits]\nresend_minimum_s = 9\nresend_maximum_s = 8", &[], "limits.resend_maximum_s"),
            ("name = 'test'\n[api]\npublic_url = 'http://bridge.example'", &[], "api.public_url"),
            ("name = 'test'\n[webhooks.ops]\nurl = 'http://hooks.example'\nsecret_file = 'ops.secret'", &[], "webhooks.ops.url"),
            ("name = 'test'\n[webhooks.ops]\nurl = 'https://hooks.example'\n", &[], "secret_file"),
            ("name = 'test'\n[webhooks.ops]\nurl = 'https://hooks.example'\nsecret_file = 'a'\ncolour = 1", &[], "colour"),
            ("name =", &[], "bridge.toml"),
        ] {
            let error = load(text, variables).unwrap_err().to_string();
            assert!(error.contains(named), "{text:?}: {error}");
        }
    }
}
