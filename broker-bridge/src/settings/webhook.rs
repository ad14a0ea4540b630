//! Webhooks in the settings: `[webhooks.NAME]` says where notifications of commands are posted, and which secret signs them.

use super::{Home, SettingsError};
use axum::http::Uri;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

/// Most webhooks: each has a task and a few threads of its own while it is busy.
const MAXIMUM_WEBHOOKS: usize = 16;
/// Longest name of a webhook. It stands in ARNs.
const MAXIMUM_NAME_BYTES: usize = 64;
/// Longest address, in bytes.
const MAXIMUM_URL_BYTES: usize = 2048;

/// Where notifications can go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookSettings {
    /// The address that takes them: HTTPS, or HTTP on this machine.
    pub url: String,
    /// The file of the secret that signs them, mode 0600; `flotilla-bridge webhook-secret` makes one.
    pub secret_file: PathBuf,
    /// Certificates (PEM) to trust in place of the system's.
    pub ca_file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookSection {
    url: String,
    secret_file: PathBuf,
    ca_file: Option<PathBuf>,
}

pub(super) fn check(home: &Home, sections: BTreeMap<String, WebhookSection>) -> Result<BTreeMap<String, WebhookSettings>, SettingsError> {
    if sections.len() > MAXIMUM_WEBHOOKS {
        let value = sections.len().to_string();
        return Err(SettingsError::Value { key: "webhooks", value, expected: "there are at most 16 webhooks" });
    }
    sections
        .into_iter()
        .map(|(name, WebhookSection { url, secret_file, ca_file })| {
            // Variables know no capital letters, so neither do names.
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
            if !(1..=MAXIMUM_NAME_BYTES).contains(&name.len()) || !name.bytes().all(plain) {
                let expected = "a webhook's name has 1 to 64 of a-z, 0-9, '-' and '_'";
                return Err(SettingsError::Value { key: "webhooks", value: name, expected });
            }
            if !is_private_address(&url) {
                let expected = "an address as https://hooks.example/flotilla, or http:// on a loopback address, without a user name";
                return Err(SettingsError::WebhookAddress { webhook: name, expected });
            }
            let settings = WebhookSettings { url, secret_file: home.join(&secret_file), ca_file: ca_file.map(|path| home.join(&path)) };
            Ok((name, settings))
        })
        .collect()
}

/// The setting `api.public_url` as links begin.
pub(super) fn check_public_url(url: String) -> Result<String, SettingsError> {
    let bare = url.trim_end_matches('/');
    if is_private_address(bare) && !bare.contains('?') {
        return Ok(bare.to_owned());
    }
    let expected = "an address as https://bridge.example, or http:// on a loopback address, without a query";
    Err(SettingsError::Value { key: "api.public_url", value: url, expected })
}

/// Whether nobody on the way reads what goes to an address: HTTPS, or HTTP that does not leave the machine.
fn is_private_address(url: &str) -> bool {
    let Ok(parsed) = url.parse::<Uri>() else { return false };
    let (Some(host), Some(authority)) = (parsed.host(), parsed.authority()) else { return false };
    // What follows a # is no part of an address that is sent, and the parser drops it in silence.
    if url.len() > MAXIMUM_URL_BYTES || host.is_empty() || authority.as_str().contains('@') || url.contains('#') {
        return false;
    }
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let local = host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match parsed.scheme_str() {
        Some("https") => true,
        Some("http") => local,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(url: &str) -> WebhookSection {
        WebhookSection { url: url.to_owned(), secret_file: "a.secret".into(), ca_file: Some("/etc/ca.pem".into()) }
    }

    #[test]
    fn files_lie_in_the_home_where_their_path_is_relative() {
        let home = Home::new("/srv/home".as_ref());
        let webhooks = check(&home, BTreeMap::from([("on-call_1".to_owned(), section("https://hooks.example/a?b=c"))])).unwrap();
        let webhook = &webhooks["on-call_1"];
        assert_eq!(webhook.secret_file, PathBuf::from("/srv/home/a.secret"));
        assert_eq!(webhook.ca_file, Some(PathBuf::from("/etc/ca.pem")));
    }

    #[test]
    fn an_address_is_https_or_on_this_machine() {
        for good in ["https://hooks.example", "https://10.0.0.1:8443/a", "http://127.0.0.1:80/a", "http://[::1]:80", "http://localhost/"] {
            assert!(is_private_address(good), "{good}");
        }
        let long = format!("https://hooks.example/{}", "a".repeat(MAXIMUM_URL_BYTES));
        for bad in [
            "http://hooks.example",
            "http://localhost.example",
            "http://10.0.0.1",
            "https://a:b@hooks.example",
            "https://hooks.example/#a",
            "ftp://127.0.0.1",
            "hooks.example",
            "/a",
            "",
            &long,
        ] {
            assert!(!is_private_address(bad), "{bad}");
        }
    }

    #[test]
    fn wrong_names_and_addresses_are_refused_by_their_setting() {
        let home = Home::new("/srv/home".as_ref());
        let refused = |name: &str, url: &str| check(&home, BTreeMap::from([(name.to_owned(), section(url))])).unwrap_err().to_string();
        for name in ["", "On-Call", "a b", "a:b", &"a".repeat(65)] {
            assert!(refused(name, "https://hooks.example").contains("webhooks"), "{name}");
        }
        let secret = refused("a", "http://hooks.example/T0/the-secret?token=another");
        assert!(secret.contains("webhooks.a.url") && secret.contains("https://"), "{secret}");
        assert!(!secret.contains("the-secret") && !secret.contains("another"), "{secret}");
        let many = (0..=MAXIMUM_WEBHOOKS).map(|number| (format!("w{number}"), section("https://hooks.example"))).collect();
        assert!(check(&home, many).unwrap_err().to_string().contains("at most 16"));
        assert_eq!(check_public_url("https://bridge.example:8/x/".to_owned()).unwrap(), "https://bridge.example:8/x");
        assert!(check_public_url("https://bridge.example/?a=b".to_owned()).is_err());
    }
}
