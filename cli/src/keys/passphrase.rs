//! Passphrases: asked for on the terminal, or read from a file or file descriptor. Never an argument and never a variable of the
//! environment, which other users and child processes can read.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::Args;
use zeroize::Zeroizing;

use super::KeyError;
use crate::files;

/// Shortest new passphrase, in characters. Together with the slow hash it keeps a stolen file from being opened by trying.
const MINIMUM_CHARACTERS: usize = 10;
/// Longest passphrase, in bytes.
const MAXIMUM_BYTES: usize = 1024;

/// Where the passphrase comes from.
#[derive(Debug, Args)]
pub(crate) struct PassphraseArguments {
    /// Read the passphrase from the first line of this file, which only you may read; - is the standard input, /dev/fd/3 a file
    /// descriptor [default: ask on the terminal].
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl PassphraseArguments {
    /// The passphrase of a key that is there.
    pub(crate) fn of(&self, path: &Path) -> Result<Zeroizing<String>, KeyError> {
        match &self.passphrase_file {
            Some(file) => read(file),
            None => ask(&format!("Passphrase of {}: ", path.display())),
        }
    }

    /// A passphrase for a new file: long enough, and typed twice.
    pub(crate) fn new_one(&self) -> Result<Zeroizing<String>, KeyError> {
        let passphrase = match &self.passphrase_file {
            Some(file) => read(file)?,
            None => {
                let first = ask("New passphrase: ")?;
                if *ask("The same again: ")? != *first {
                    return Err(KeyError::Passphrase("the two passphrases are not the same"));
                }
                first
            }
        };
        if passphrase.chars().count() < MINIMUM_CHARACTERS {
            return Err(KeyError::Passphrase("the passphrase is too short: take 10 characters or more"));
        }
        Ok(passphrase)
    }
}

fn ask(prompt: &str) -> Result<Zeroizing<String>, KeyError> {
    rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(KeyError::NoTerminal)
}

fn read(file: &Path) -> Result<Zeroizing<String>, KeyError> {
    let failed = |source| KeyError::File { action: "read", path: file.to_owned(), source };
    let content = if file.as_os_str() == "-" {
        let mut content = Zeroizing::new(Vec::with_capacity(MAXIMUM_BYTES + 1));
        let limit = u64::try_from(MAXIMUM_BYTES + 1).unwrap_or(u64::MAX);
        io::stdin().lock().take(limit).read_to_end(&mut content).map_err(failed)?;
        content
    } else {
        files::read_secret(file).map_err(failed)?
    };
    let line = content.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = std::str::from_utf8(line).ok().filter(|text| !text.is_empty() && text.len() <= MAXIMUM_BYTES);
    let text = text.ok_or(KeyError::Passphrase("the passphrase is empty, too long, or no text"))?;
    Ok(Zeroizing::new(text.to_owned()))
}
