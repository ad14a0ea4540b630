//! `flotilla-bridge webhook-secret`: makes what signs the messages of a webhook.

use crate::platform::files;
use crate::platform::webhook::WebhookSecret;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub(super) enum WebhookCommandError {
    #[error("no secret was made: the operating system gave no random bytes: {0}")]
    Random(getrandom::Error),
    #[error("cannot write {path}; it must not exist yet")]
    Output {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

pub(super) fn make_secret(output: &Path) -> Result<String, WebhookCommandError> {
    let secret = WebhookSecret::create().map_err(WebhookCommandError::Random)?;
    let failed = |source| WebhookCommandError::Output { path: output.to_owned(), source };
    files::create_secret(output, format!("{}\n", secret.as_str()).as_bytes()).map_err(failed)?;
    Ok(format!("Wrote the secret of a webhook to {}; its receiver checks signatures with it", output.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_written_once_to_a_private_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ops.secret");
        let message = make_secret(&path).unwrap();
        let text = files::read_secret(&path).unwrap();
        let text = std::str::from_utf8(&text).unwrap();
        assert!(WebhookSecret::parse(text).is_some() && !message.contains(text.trim_ascii_end()));
        assert!(matches!(make_secret(&path), Err(WebhookCommandError::Output { .. })));
    }
}
