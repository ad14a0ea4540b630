//! `flotilla keys`: an operator's own keys. No bridge is asked, and no secret leaves the machine.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;
use ssh_key::HashAlg;
use ssh_key::private::PrivateKey;
use zeroize::Zeroizing;

use crate::error::{CliError, SUCCESS};
use crate::keys::{Agent, KeyError, KeysArguments, KeysFolder, PassphraseArguments, comment, encrypted, of_seed, open};
use crate::output::{Format, Output};

/// Make, list and show your own keys, which sign trust bundles; no bridge is needed.
#[derive(Debug, Args)]
#[command(after_help = "\
A key is an ed25519 key in the format of OpenSSH, protected by a passphrase: ssh-add and ssh-keygen take it too. A passphrase is asked for on \
the terminal or read from --passphrase-file, and never taken from an argument or a variable.

Examples:
  flotilla keys generate ann
  flotilla keys list
  flotilla keys list --agent")]
pub(crate) struct KeyCommandArguments {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Make a key in a file that a passphrase protects.
    #[command(
        after_help = "Examples:\n  flotilla keys generate ann\n  flotilla keys generate ann --comment 'Ann Miller' --passphrase-file /dev/fd/3 3< secret"
    )]
    Generate {
        /// What to call it.
        name: String,
        /// Whose key it is, as bundles will name the person [default: the name].
        #[arg(long)]
        comment: Option<String>,
        #[command(flatten)]
        keys: KeysArguments,
        #[command(flatten)]
        passphrase: PassphraseArguments,
    },
    /// List keys: those in files, or those of an ssh-agent.
    #[command(after_help = "Examples:\n  flotilla keys list --output json\n  flotilla keys list --agent")]
    List {
        /// The keys that the ssh-agent holds, those on security keys among them.
        #[arg(long)]
        agent: bool,
        #[command(flatten)]
        keys: KeysArguments,
    },
    /// Show the public half of a key, to give to whoever prepares a trust bundle.
    #[command(after_help = "Example:\n  flotilla keys show ann")]
    Show {
        /// The key's name.
        name: String,
        #[command(flatten)]
        keys: KeysArguments,
    },
    /// Take over a key: an ed25519 key of OpenSSH, or 32 raw bytes as `flotilla-bridge init` makes them.
    #[command(after_help = "\
The file that is imported stays; when the new one has been tried, remove the old one and its copies.

Example:\n  flotilla keys import root .flotilla/keys/root.key")]
    Import {
        /// What to call it.
        name: String,
        /// The file, which only you may read. One with a passphrase keeps it, and is asked for it once.
        file: PathBuf,
        /// Whose key it is [default: its comment, else the name].
        #[arg(long)]
        comment: Option<String>,
        #[command(flatten)]
        keys: KeysArguments,
        #[command(flatten)]
        passphrase: PassphraseArguments,
    },
}

/// A key as it is shown.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    name: String,
    algorithm: String,
    fingerprint: String,
    comment: String,
    public_key: String,
}

pub(crate) fn run(output: Output, arguments: &KeyCommandArguments) -> Result<u8, CliError> {
    match &arguments.command {
        KeyCommand::Generate { name, comment, keys, passphrase } => {
            let folder = keys.folder()?;
            let mut seed = Zeroizing::new([0; 32]);
            getrandom::fill(seed.as_mut_slice()).map_err(KeyError::Random)?;
            let key = of_seed(&seed, comment.as_deref().unwrap_or(name))?;
            is_free(&folder, name)?;
            let path = add(&folder, name, &key, &passphrase.new_one()?)?;
            print_added(output, name, &key, &path)?;
        }
        KeyCommand::Import { name, file, comment, keys, passphrase } => {
            let folder = keys.folder()?;
            is_free(&folder, name)?;
            let mut asked = None;
            let mut key = open(file, || {
                let given = passphrase.of(file)?;
                asked = Some(given.clone());
                Ok(given)
            })?;
            if key.comment().is_empty() || comment.is_some() {
                key.set_comment(comment.as_deref().unwrap_or(name));
            }
            let asked = asked.map_or_else(|| passphrase.new_one(), Ok)?;
            let path = add(&folder, name, &key, &asked)?;
            print_added(output, name, &key, &path)?;
        }
        KeyCommand::List { agent: true, .. } => {
            let identities = Agent::connect()?.identities()?;
            print(output, &identities.into_iter().map(|identity| entry("-", &identity.key)).collect::<Vec<_>>())?;
        }
        KeyCommand::List { agent: false, keys } => {
            let found = keys.folder()?.list()?;
            print(output, &found.iter().map(|(name, key)| entry(name, key)).collect::<Vec<_>>())?;
        }
        KeyCommand::Show { name, keys } => {
            let entry = entry(name, &keys.folder()?.public(name)?);
            match output.format {
                Format::Json => output.print_json(&entry)?,
                Format::Table => output.print(&format!("{}\n{} {}\n", entry.public_key, entry.algorithm, entry.fingerprint))?,
                Format::Text => output.print(&format!("{}\n", entry.public_key))?,
            }
        }
    }
    Ok(SUCCESS)
}

/// Before anybody is asked for a passphrase.
fn is_free(folder: &KeysFolder, name: &str) -> Result<(), KeyError> {
    let path = folder.private(name)?;
    if path.exists() {
        return Err(KeyError::File { action: "write", path, source: std::io::Error::from(std::io::ErrorKind::AlreadyExists) });
    }
    Ok(())
}

fn add(folder: &KeysFolder, name: &str, key: &PrivateKey, passphrase: &str) -> Result<PathBuf, KeyError> {
    let public = key.public_key().to_openssh().map_err(KeyError::Encode)?;
    folder.add(name, &encrypted(key, passphrase)?, &(public + "\n"))
}

fn entry(name: &str, key: &ssh_key::PublicKey) -> Entry {
    Entry {
        name: name.to_owned(),
        algorithm: key.algorithm().to_string(),
        fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
        comment: comment(key).to_owned(),
        public_key: key.to_openssh().unwrap_or_default(),
    }
}

fn print_added(output: Output, name: &str, key: &PrivateKey, path: &Path) -> Result<(), CliError> {
    let entry = entry(name, key.public_key());
    match output.format {
        Format::Json => output.print_json(&entry),
        Format::Table => output.print(&format!("Wrote {}, and {0}.pub for others:\n{}\n", path.display(), entry.public_key)),
        Format::Text => output.print(&format!("{}\n", entry.public_key)),
    }
}

fn print(output: Output, entries: &[Entry]) -> Result<(), CliError> {
    let row = |entry: &Entry| vec![entry.name.clone(), entry.algorithm.clone(), entry.fingerprint.clone(), entry.comment.clone()];
    output.print_list(entries, &["NAME", "ALGORITHM", "FINGERPRINT", "COMMENT"], row)
}
