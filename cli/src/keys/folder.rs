//! The folder of an operator's keys: `NAME` is a private key, 0600, and `NAME.pub` its public half.

use std::path::{Path, PathBuf};

use clap::Args;
use ssh_key::PublicKey;

use super::KeyError;
use crate::files;

/// Longest name of a key.
const MAXIMUM_NAME: usize = 48;
/// Ending of public keys.
const PUBLIC: &str = ".pub";

/// Where keys are.
#[derive(Debug, Args)]
pub(crate) struct KeysArguments {
    /// Folder of the keys [default: flotilla/keys in $XDG_CONFIG_HOME or ~/.config].
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
}

impl KeysArguments {
    /// The folder, which may not be there yet.
    pub(crate) fn folder(&self) -> Result<KeysFolder, KeyError> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let standard = || set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config"))).map(|folder| folder.join("flotilla/keys"));
        self.keys.clone().or_else(standard).map(KeysFolder).ok_or(KeyError::NoFolder)
    }
}

/// The folder of an operator's keys.
#[derive(Debug)]
pub(crate) struct KeysFolder(PathBuf);

impl KeysFolder {
    /// The file of the private key of this name.
    pub(crate) fn private(&self, name: &str) -> Result<PathBuf, KeyError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if !begins || name.len() > MAXIMUM_NAME || !name.bytes().all(allowed) || name.ends_with(PUBLIC) {
            return Err(KeyError::Name(name.to_owned()));
        }
        Ok(self.0.join(name))
    }

    /// The public key of this name.
    pub(crate) fn public(&self, name: &str) -> Result<PublicKey, KeyError> {
        read_public(&public_file(&self.private(name)?))
    }

    /// Adds a key, whose name must be free; returns the file of its private half.
    pub(crate) fn add(&self, name: &str, private: &str, public: &str) -> Result<PathBuf, KeyError> {
        let path = self.private(name)?;
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| KeyError::File { action: "write", path, source }
        };
        files::create_folder(&self.0).map_err(failed(&self.0))?;
        // The secret first: a public half without it would pass for a key that can sign.
        files::create_secret(&path, private.as_bytes()).map_err(failed(&path))?;
        let beside = public_file(&path);
        files::create_public(&beside, public.as_bytes()).map_err(failed(&beside))?;
        Ok(path)
    }

    /// All keys by name, with their public halves.
    pub(crate) fn list(&self) -> Result<Vec<(String, PublicKey)>, KeyError> {
        let failed = |source| KeyError::File { action: "read", path: self.0.clone(), source };
        let entries = match std::fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(PUBLIC));
            if let Some(name) = name {
                found.push((name.to_owned(), read_public(&path)?));
            }
        }
        found.sort_by(|left, right| left.0.cmp(&right.0));
        Ok(found)
    }
}

fn public_file(private: &Path) -> PathBuf {
    let mut name = private.as_os_str().to_owned();
    name.push(PUBLIC);
    PathBuf::from(name)
}

/// Reads a file with one public key of OpenSSH.
fn read_public(path: &Path) -> Result<PublicKey, KeyError> {
    let bytes = files::read(path).map_err(|source| KeyError::File { action: "read", path: path.to_owned(), source })?;
    PublicKey::from_openssh(String::from_utf8_lossy(&bytes).trim()).map_err(|source| KeyError::Malformed { path: path.to_owned(), source })
}
