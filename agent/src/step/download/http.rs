//! Files from web servers.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flotilla_protocol::document::download::HttpSource;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use ureq::config::RedirectAuthHeaders;
use ureq::http::Uri;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig};
use ureq::{Agent, ResponseExt as _};

use super::place::{self, Budget, Incoming};
use super::{DownloadError, DownloadTask, Login};
use crate::job::tools::Tools;
use crate::step::download_content::Values;

/// Most redirects that are followed.
const MAXIMUM_REDIRECTS: u32 = 5;
/// How long a name may take to be looked up and a connection to be made, each.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);
/// How long a server may say nothing.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);
/// The name of a file whose address has none.
const NAMELESS: &str = "download";
/// Largest file of certificates, in bytes: those of distributions have a quarter of a megabyte.
const MAXIMUM_CERTIFICATES_BYTES: u64 = 8 * 1024 * 1024;
/// Where distributions have the certificates of authorities: Debian and Alpine; Fedora; openSUSE; others.
const CERTIFICATE_FILES: [&str; 4] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"];

/// A file on a web server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HttpTask {
    pub(crate) url: String,
    pub(crate) login: Option<Login>,
    /// Whether every request must be https; else the first is not, as the document allows.
    pub(crate) https_only: bool,
    pub(crate) sha256: Option<[u8; 32]>,
}

/// Reads the address.
pub(crate) fn plan(source: &HttpSource, values: &Values<'_>) -> Result<HttpTask, String> {
    let url = values.line("url", &source.url)?;
    let login = values.login(source.credentials.as_ref())?;
    let https_only = is_https(&url)?;
    if !https_only && !source.allow_insecure {
        return Err("url is not https; use https, or set allowInsecureDownload to true".to_owned());
    }
    Ok(HttpTask { url, login, https_only, sha256: source.sha256 })
}

/// Whether an address of a web server is one of https.
pub(crate) fn is_https(url: &str) -> Result<bool, String> {
    let shown = without_query(url);
    let uri: Uri = url.parse().map_err(|error| format!("{shown:?} is no address of a web server: {error}"))?;
    let authority = uri.authority().map(|authority| authority.as_str()).filter(|authority| !authority.starts_with(':'));
    match (uri.scheme_str(), authority) {
        (_, Some(authority)) if authority.contains('@') => {
            Err("the address holds a user; give username and password in sourceInfo instead".to_owned())
        }
        (Some("https"), Some(_)) => Ok(true),
        (Some("http"), Some(_)) => Ok(false),
        _ => Err(format!("{shown:?} is no address of a web server; it begins with https:// or http://")),
    }
}

/// An address as it may be shown: queries hold secrets.
pub(crate) fn without_query(url: &str) -> &str {
    url.split_once(['?', '#']).map_or(url, |(front, _)| front)
}

/// Downloads a file.
pub(crate) fn fetch(task: &HttpTask, all: &DownloadTask, budget: &mut Budget) -> Result<PathBuf, DownloadError> {
    let path = place::target(&all.destination, &file_name(&task.url));
    let client = Client::new(&all.tools, task.https_only, MAXIMUM_REDIRECTS)?;
    let header = task.login.as_ref().map(|Login { username, password }| {
        ("authorization".to_owned(), format!("Basic {}", STANDARD.encode(format!("{username}:{password}"))))
    });
    client.save(&task.url, header.as_slice(), &path, &all.partial, task.sha256, budget)?;
    Ok(path)
}

/// The last name of an address.
fn file_name(url: &str) -> String {
    let path = url.parse::<Uri>().map(|uri| uri.path().to_owned()).unwrap_or_default();
    let last = path.rsplit('/').next().unwrap_or_default();
    let name = percent_decode_str(last).decode_utf8_lossy().into_owned();
    let sound = place::relative(&name).is_ok_and(|path| path.components().count() == 1) && !name.chars().any(char::is_control);
    if sound { name } else { NAMELESS.to_owned() }
}

/// A client of web servers.
pub(crate) struct Client {
    agent: Agent,
    https_only: bool,
}

impl Client {
    /// A client that checks servers by the system's authorities.
    pub(crate) fn new(tools: &Tools, https_only: bool, redirects: u32) -> Result<Self, DownloadError> {
        let authorities = match authorities(tools.certificate_authorities.as_deref()) {
            Ok(authorities) => authorities,
            // Not needed, unless it redirects to https: then no server is taken.
            Err(_) if !https_only => Vec::new(),
            Err(error) => return Err(error),
        };
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .root_certs(RootCerts::Specific(Arc::new(authorities)))
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .https_only(https_only)
            .proxy(None)
            .max_redirects(redirects)
            .redirect_auth_headers(RedirectAuthHeaders::SameHost)
            .save_redirect_history(true)
            .user_agent(concat!("flotilla-agent/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(Some(CONNECT_LIMIT))
            .timeout_connect(Some(CONNECT_LIMIT))
            .timeout_recv_response(Some(SILENCE_LIMIT))
            .timeout_per_read(Some(SILENCE_LIMIT))
            .build();
        Ok(Self { agent: config.new_agent(), https_only })
    }

    /// Asks for an address.
    pub(crate) fn get(&self, url: &str, headers: &[(String, String)]) -> Result<ureq::http::Response<ureq::Body>, DownloadError> {
        let shown = without_query(url).to_owned();
        let request = headers.iter().fold(self.agent.get(url), |request, (name, value)| request.header(name, value));
        let response = request.call().map_err(|error| match error {
            ureq::Error::RequireHttpsOnly(_) if self.https_only => DownloadError::Downgrade { url: shown.clone() },
            source => DownloadError::Http { url: shown.clone(), source: Box::new(source) },
        })?;
        let mut was_https = false;
        for uri in response.get_redirect_history().unwrap_or_default() {
            let is_https = uri.scheme_str() == Some("https");
            if was_https && !is_https {
                return Err(DownloadError::Downgrade { url: shown });
            }
            was_https = is_https;
        }
        // A redirect that is not followed is an answer like any other to the client.
        match response.status() {
            status if status.is_success() => Ok(response),
            status => Err(DownloadError::NoContent { url: shown, status: status.as_u16() }),
        }
    }

    /// Asks for an address and keeps what comes under a path.
    pub(crate) fn save(
        &self,
        url: &str,
        headers: &[(String, String)],
        path: &Path,
        partial: &str,
        sha256: Option<[u8; 32]>,
        budget: &mut Budget,
    ) -> Result<(), DownloadError> {
        let shown = || without_query(url).to_owned();
        let mut response = self.get(url, headers)?;
        let announced = response.body().content_length();
        announced.map_or(Ok(()), |bytes| budget.foresee(bytes))?;
        let mut incoming = Incoming::create(path, partial, budget)?;
        // One byte more than there may be, so that too much is told from just enough.
        let reader = response.body_mut().with_config().limit(budget.limit().saturating_add(1)).reader();
        let failed = |error: io::Error| match error.downcast::<ureq::Error>() {
            Ok(source) => DownloadError::Http { url: shown(), source: Box::new(source) },
            Err(error) => DownloadError::Http { url: shown(), source: Box::new(error.into()) },
        };
        let received = incoming.write_all_of(reader, budget, failed)?;
        match announced {
            Some(announced) if announced != received => Err(DownloadError::Cut { url: shown(), received, announced }),
            _ => incoming.finish(sha256),
        }
    }
}

/// The file of the authorities that servers are checked by.
pub(crate) fn authorities_file(given: Option<&Path>) -> Option<PathBuf> {
    given.map(Path::to_owned).or_else(|| CERTIFICATE_FILES.map(PathBuf::from).into_iter().find(|path| path.is_file()))
}

fn authorities(given: Option<&Path>) -> Result<Vec<Certificate<'static>>, DownloadError> {
    let path = authorities_file(given).ok_or(DownloadError::NoCertificates)?;
    let failed = |source| DownloadError::Certificates { path: path.clone(), source };
    if fs::metadata(&path).map_err(failed)?.len() > MAXIMUM_CERTIFICATES_BYTES {
        return Err(failed(io::ErrorKind::FileTooLarge.into()));
    }
    let pem = fs::read(&path).map_err(failed)?;
    let mut certificates = Vec::new();
    for item in ureq::tls::parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| failed(io::Error::other(error)))? {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidData, "it holds no certificate")));
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_name_their_files() {
        for (url, name) in [
            ("https://a.example/x/install.sh?token=1#y", "install.sh"),
            ("https://a.example/a%20b", "a b"),
            ("https://a.example/", "download"),
            ("https://a.example", "download"),
            ("https://a.example/x/", "download"),
            ("https://a.example/x/..", "download"),
            ("https://a.example/%2e%2e", "download"),
            ("https://a.example/..%2fpasswd", "download"),
            ("https://a.example/a%00b", "download"),
            ("https://a.example/a%0ab", "download"),
        ] {
            assert_eq!(file_name(url), name, "{url}");
        }
        assert_eq!(without_query("https://a.example/x?secret=1"), "https://a.example/x");
    }

    #[test]
    fn only_addresses_of_web_servers_are_taken() {
        assert_eq!(is_https("https://a.example/x"), Ok(true));
        assert_eq!(is_https("http://127.0.0.1:80/x"), Ok(false));
        for (url, expected) in [
            ("https://user:secret@a.example/x", "holds a user"),
            ("ftp://a.example/x", "begins with https://"),
            ("file:///etc/passwd", "no address of a web server"),
            ("/etc/passwd", "begins with https://"),
            ("https://", "no address"),
            ("a b", "no address"),
        ] {
            let error = is_https(url).unwrap_err();
            assert!(error.contains(expected) && !error.contains("secret"), "{url}: {error}");
        }
    }
}
