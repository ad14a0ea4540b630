//! A webhook is an address, declared in the settings, to which the bridge posts what happens.
//!
//! What is to be posted is a row of the [`outbox`], written in the transaction that made it happen: nothing that was committed goes
//! untold, and nothing is told that was not committed. [`deliver`] posts it, at least once, with one id over all attempts.

pub mod deliver;
pub mod outbox;

use crate::platform::files;
use crate::platform::webhook::{RootsError, Sender, WebhookSecret};
use crate::settings::WebhookSettings;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Why a webhook of the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// A file cannot be read.
    #[error("the webhook {webhook}: cannot read {path}; `flotilla-bridge webhook-secret --output FILE` makes a secret")]
    File {
        /// Which webhook.
        webhook: String,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The secret is none.
    #[error("the webhook {webhook}: {path} does not hold a secret, which is whsec_ and the base64 of 24 to 64 bytes")]
    Secret {
        /// Which webhook.
        webhook: String,
        /// Which file.
        path: PathBuf,
    },
    /// There are no certificates to trust.
    #[error("the webhook {webhook} has no certificates to trust; set its ca_file")]
    Roots {
        /// Which webhook.
        webhook: String,
        /// Where they were looked for.
        #[source]
        source: RootsError,
    },
}

/// A webhook that can be posted to.
#[derive(Debug)]
pub struct Webhook {
    name: String,
    sender: Sender,
}

/// The webhooks of the settings, by name.
#[derive(Debug, Default)]
pub struct Webhooks(BTreeMap<String, Arc<Webhook>>);

impl Webhooks {
    /// Reads the secrets and certificates of the webhooks.
    ///
    /// # Errors
    /// A file cannot be read or used.
    pub fn load(settings: &BTreeMap<String, WebhookSettings>) -> Result<Self, WebhookError> {
        let load = |(name, settings): (&String, &WebhookSettings)| {
            let WebhookSettings { url, secret_file, ca_file } = settings;
            let file = |path: &PathBuf| {
                let (webhook, path) = (name.clone(), path.clone());
                move |source| WebhookError::File { webhook, path, source }
            };
            let text = files::read_secret(secret_file).map_err(file(secret_file))?;
            let secret = std::str::from_utf8(&text).ok().and_then(WebhookSecret::parse);
            let secret = secret.ok_or_else(|| WebhookError::Secret { webhook: name.clone(), path: secret_file.clone() })?;
            let authorities = ca_file.as_ref().map(|path| files::read(path).map_err(file(path))).transpose()?;
            let sender = Sender::new(url, secret, authorities.as_deref());
            let sender = sender.map_err(|source| WebhookError::Roots { webhook: name.clone(), source })?;
            Ok((name.clone(), Arc::new(Webhook { name: name.clone(), sender })))
        };
        settings.iter().map(load).collect::<Result<_, _>>().map(Self)
    }

    /// Whether there is one of this name.
    #[must_use]
    pub fn knows(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The one of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Arc<Webhook>> {
        self.0.get(name).cloned()
    }

    /// Their names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(content: &[u8], ca: Option<&[u8]>, url: &str) -> Result<Webhooks, WebhookError> {
        let folder = tempfile::tempdir().unwrap();
        let secret_file = folder.path().join("a.secret");
        files::create_secret(&secret_file, content).unwrap();
        let ca_file = ca.map(|content| {
            let path = folder.path().join("ca.pem");
            files::create_public(&path, content).unwrap();
            path
        });
        Webhooks::load(&BTreeMap::from([("a".to_owned(), WebhookSettings { url: url.to_owned(), secret_file, ca_file })]))
    }

    #[test]
    fn a_webhook_needs_a_private_file_with_a_secret_and_certificates_in_pem() {
        let secret = WebhookSecret::create().unwrap();
        let webhooks = load(secret.as_bytes(), None, "http://127.0.0.1:1").unwrap();
        assert!(webhooks.knows("a") && !webhooks.knows("b"));
        assert!(matches!(load(b"secret", None, "http://127.0.0.1:1"), Err(WebhookError::Secret { .. })));
        assert!(matches!(load(secret.as_bytes(), Some(b"none"), "https://hooks.example"), Err(WebhookError::Roots { .. })));
        let missing = WebhookSettings { url: "http://127.0.0.1:1".into(), secret_file: "/does/not/exist".into(), ca_file: None };
        let error = Webhooks::load(&BTreeMap::from([("a".to_owned(), missing)])).unwrap_err();
        assert!(error.to_string().contains("webhook-secret"), "{error}");
    }
}
