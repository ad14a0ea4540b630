//! Where the bridge is and who calls: from the environment or from an `operator.env`, never from arguments, since
//! arguments are seen by every user of the machine.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ureq::http::Uri;
use zeroize::Zeroizing;

/// Largest settings file or certificate file that is read, in bytes.
const FILE_LIMIT: u64 = 256 * 1024;
/// The region where none is set: the fleet gives regions no meaning, but a signature must name one.
pub const DEFAULT_REGION: &str = "us-east-1";

const ENDPOINT_OF_SERVICE: &str = "AWS_ENDPOINT_URL_SSM";
const ENDPOINT: &str = "AWS_ENDPOINT_URL";
const ACCESS_KEY_ID: &str = "AWS_ACCESS_KEY_ID";
const SECRET_ACCESS_KEY: &str = "AWS_SECRET_ACCESS_KEY";
const REGION: &str = "AWS_REGION";
const REGION_BY_DEFAULT: &str = "AWS_DEFAULT_REGION";
const CERTIFICATE: &str = "AWS_CA_BUNDLE";

/// What a [`super::Client`] needs to know.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// Address of the bridge: `https://host[:port]`, or `http://` to this machine only.
    pub endpoint: String,
    /// Public part of the access key.
    pub access_key_id: String,
    /// Secret part of the access key.
    pub secret_access_key: SecretAccessKey,
    /// Region that signatures name.
    pub region: String,
    /// Certificate authorities that the bridge's certificate may come from, as PEM; the public ones where absent.
    pub ca_certificate_pem: Option<String>,
}

/// The secret part of an access key. Wiped from memory when dropped, and left out of `Debug`.
#[derive(Clone)]
pub struct SecretAccessKey(Zeroizing<String>);

impl SecretAccessKey {
    /// Takes the key over.
    #[must_use]
    pub fn new(key: String) -> Self {
        Self(Zeroizing::new(key))
    }

    /// The key itself, to sign with.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretAccessKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretAccessKey(…)")
    }
}

/// Why there are no usable settings. All of these are the operator's to correct.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A setting is absent.
    #[error("{name} is not set; set it in the environment, or name a folder with an operator.env by --home")]
    Missing {
        /// Name of the variable.
        name: &'static str,
    },
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
    /// The settings file can be read by other users although it holds a secret.
    #[error("{} can be read by other users, and holds a secret; run: chmod 600 {}", path.display(), path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// A line of the settings file has no `=`.
    #[error("line {line} of {} is not KEY=value", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// The endpoint is no address of the API.
    #[error("the endpoint {endpoint:?} is not usable: {reason}")]
    Endpoint {
        /// The endpoint as given.
        endpoint: String,
        /// What is wrong, and what is right.
        reason: &'static str,
    },
    /// The certificate is no PEM, or holds no certificate.
    #[error("the CA certificate is not usable: no PEM certificate in it")]
    Certificate,
}

impl ClientSettings {
    /// From `AWS_ENDPOINT_URL_SSM` (or `AWS_ENDPOINT_URL`), `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`
    /// (or `AWS_DEFAULT_REGION`, or [`DEFAULT_REGION`]) and `AWS_CA_BUNDLE` of the environment.
    ///
    /// # Errors
    /// When a needed one is absent, or the certificate file cannot be read.
    pub fn from_environment() -> Result<Self, SettingsError> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    /// From a file of plain `KEY=value` lines with the same names; empty lines and lines that begin with `#` are
    /// skipped, and nothing is unquoted.
    ///
    /// # Errors
    /// When the file cannot be read, is open to other users, or lacks a needed line.
    pub fn from_operator_env(path: &Path) -> Result<Self, SettingsError> {
        let text = Zeroizing::new(read_private(path)?);
        let variables = key_value_lines(&text, path)?;
        Self::from_variables(|name| variables.get(name).map(|value| (*value).to_owned()))
    }

    /// From any source of variables by the names of [`Self::from_environment`]; an empty value counts as absent.
    ///
    /// # Errors
    /// When a needed one is absent, or the certificate file cannot be read.
    pub fn from_variables(source: impl Fn(&'static str) -> Option<String>) -> Result<Self, SettingsError> {
        let read = |name| source(name).filter(|value| !value.is_empty());
        let need = |name| read(name).ok_or(SettingsError::Missing { name });
        Ok(Self {
            endpoint: read(ENDPOINT_OF_SERVICE).or_else(|| read(ENDPOINT)).ok_or(SettingsError::Missing { name: ENDPOINT_OF_SERVICE })?,
            access_key_id: need(ACCESS_KEY_ID)?,
            secret_access_key: SecretAccessKey::new(need(SECRET_ACCESS_KEY)?),
            region: read(REGION).or_else(|| read(REGION_BY_DEFAULT)).unwrap_or_else(|| DEFAULT_REGION.to_owned()),
            ca_certificate_pem: read(CERTIFICATE).map(|path| read_certificate(Path::new(&path))).transpose()?,
        })
    }

    /// Takes the certificate authorities from a PEM file.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn set_ca_certificate(&mut self, path: &Path) -> Result<(), SettingsError> {
        self.ca_certificate_pem = Some(read_certificate(path)?);
        Ok(())
    }

    /// Says whether requests may go to this endpoint.
    pub(super) fn check(&self) -> Result<(), SettingsError> {
        let refuse = |reason| Err(SettingsError::Endpoint { endpoint: self.endpoint.clone(), reason });
        let Ok(address) = self.endpoint.parse::<Uri>() else {
            return refuse("it is no address; write https://host:port");
        };
        let Some(host) = address.host() else {
            return refuse("it names no host; write https://host:port");
        };
        if address.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return refuse("it holds a user name; credentials come from the environment or operator.env");
        }
        if !matches!(address.path(), "" | "/") || address.query().is_some() {
            return refuse("it has a path; the API is at the root, write https://host:port");
        }
        match address.scheme_str() {
            Some("https") => Ok(()),
            Some("http") if is_this_machine(host) => Ok(()),
            Some("http") => refuse("http:// would show commands and their output to the network; write https://"),
            _ => refuse("it must begin with https://, or http:// to this machine"),
        }
    }

    /// The address to send to: the endpoint with the root path.
    pub(super) fn url(&self) -> String {
        format!("{}/", self.endpoint.trim_end_matches('/'))
    }

    /// The address of an operation with a path, which begins with a slash, and a query, which may be empty.
    pub(super) fn url_of(&self, path: &str, query: &str) -> String {
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}{path}{mark}{query}", self.endpoint.trim_end_matches('/'))
    }
}

pub(super) fn is_this_machine(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn read_private(path: &Path) -> Result<String, SettingsError> {
    let unreadable = |source| SettingsError::Unreadable { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        const OTHERS: u32 = 0o077;
        if file.metadata().map_err(unreadable)?.permissions().mode() & OTHERS != 0 {
            return Err(SettingsError::Exposed { path: path.to_owned() });
        }
    }
    read_bounded(file).map_err(unreadable)
}

fn read_certificate(path: &Path) -> Result<String, SettingsError> {
    File::open(path).and_then(read_bounded).map_err(|source| SettingsError::Unreadable { path: path.to_owned(), source })
}

fn read_bounded(file: File) -> io::Result<String> {
    let mut text = String::new();
    let length = file.take(FILE_LIMIT + 1).read_to_string(&mut text)?;
    if u64::try_from(length).is_ok_and(|length| length <= FILE_LIMIT) {
        Ok(text)
    } else {
        Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is longer than {FILE_LIMIT} bytes")))
    }
}

fn key_value_lines<'text>(text: &'text str, path: &Path) -> Result<BTreeMap<&'text str, &'text str>, SettingsError> {
    let mut variables = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((name, value)) = line.split_once('=') else {
            return Err(SettingsError::Line { path: path.to_owned(), line: index + 1 });
        };
        variables.insert(name.trim(), value.trim());
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_endpoint(endpoint: &str) -> ClientSettings {
        ClientSettings {
            endpoint: endpoint.to_owned(),
            access_key_id: "id".to_owned(),
            secret_access_key: SecretAccessKey::new("very secret".to_owned()),
            region: DEFAULT_REGION.to_owned(),
            ca_certificate_pem: None,
        }
    }

    #[test]
    fn plain_http_goes_to_this_machine_only() {
        for good in ["http://127.0.0.1:8080", "http://localhost:1/", "http://[::1]:9", "https://bridge.example"] {
            assert!(with_endpoint(good).check().is_ok(), "{good}");
        }
        for bad in [
            "http://bridge.example",
            "http://127.0.0.1.example:80",
            "http://10.0.0.1:8080",
            "https://me:word@bridge.example",
            "https://bridge.example/path",
            "https://bridge.example/?query",
            "ftp://127.0.0.1",
            "127.0.0.1:8080",
            "",
        ] {
            assert!(matches!(with_endpoint(bad).check(), Err(SettingsError::Endpoint { .. })), "{bad}");
        }
        assert_eq!(with_endpoint("http://localhost:1/").url(), "http://localhost:1/");
        assert_eq!(with_endpoint("http://localhost:1").url(), "http://localhost:1/");
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", with_endpoint("https://bridge.example"));
        assert!(shown.contains("access_key_id") && !shown.contains("very secret"), "{shown}");
    }

    #[test]
    fn the_more_special_name_wins_and_empty_is_absent() {
        let read = |pairs: &[(&str, &str)]| {
            let pairs: BTreeMap<String, String> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            ClientSettings::from_variables(move |name| pairs.get(name).cloned())
        };
        let keys = [(ACCESS_KEY_ID, "id"), (SECRET_ACCESS_KEY, "secret")];
        let both = [keys[0], keys[1], (ENDPOINT, "https://all"), (ENDPOINT_OF_SERVICE, "https://ssm"), (REGION, "")];
        let settings = read(&both).unwrap();
        assert_eq!((settings.endpoint.as_str(), settings.region.as_str()), ("https://ssm", DEFAULT_REGION));
        assert_eq!(read(&[keys[0], keys[1], (ENDPOINT, "https://all")]).unwrap().endpoint, "https://all");
        assert!(matches!(read(&keys), Err(SettingsError::Missing { name: ENDPOINT_OF_SERVICE })));
        let no_secret = [keys[0], (SECRET_ACCESS_KEY, ""), (ENDPOINT, "https://all")];
        assert!(matches!(read(&no_secret), Err(SettingsError::Missing { name: SECRET_ACCESS_KEY })));
    }
}
