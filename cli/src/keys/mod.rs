//! An operator's own keys: ed25519 keys in passphrase-protected files, or in an `ssh-agent`, possibly on a security key. They never leave the
//! operator's machine; what leaves it is their public half and their signatures.

mod agent;
mod file;
mod folder;
mod passphrase;
mod public;
mod signer;

use std::io;
use std::path::PathBuf;

pub(crate) use agent::Agent;
pub(crate) use file::{encrypted, of_seed, open};
pub(crate) use folder::{KeysArguments, KeysFolder};
pub(crate) use passphrase::PassphraseArguments;
pub(crate) use public::{comment, fingerprint, of_ssh_signature, parse_public, to_text};
pub(crate) use signer::Signer;

/// Why something with a key came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    /// A file could not be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was to be done.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// There is no place for keys.
    #[error("there is no folder for keys, since neither XDG_CONFIG_HOME nor HOME is set")]
    NoFolder,
    /// The name of a key does not fit.
    #[error("{0:?} is no name for a key: 1 to 48 of letters, digits, dot, underscore and dash, beginning with a letter or digit")]
    Name(String),
    /// A key file is damaged, or not of a kind that is used here.
    #[error("{} is no key that can be used", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: ssh_key::Error,
    },
    /// Other than ed25519, or not protected as it should be.
    #[error("{}: {what}", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// Why not.
        what: &'static str,
    },
    /// The passphrase does not open the file.
    #[error("the passphrase does not open {}", path.display())]
    WrongPassphrase {
        /// The file.
        path: PathBuf,
    },
    /// A new passphrase is too short, or was not repeated.
    #[error("{0}")]
    Passphrase(&'static str),
    /// There is nobody to ask.
    #[error("the passphrase cannot be asked for")]
    NoTerminal(#[source] io::Error),
    /// A text is no public key.
    #[error("{0:?} is no public key")]
    Public(String),
    /// There is no agent.
    #[error("there is no ssh-agent: SSH_AUTH_SOCK is not set")]
    NoAgent,
    /// The agent cannot be spoken to.
    #[error("the ssh-agent does not answer")]
    Agent(#[source] io::Error),
    /// The agent does not have a key, or may not use it.
    #[error("the ssh-agent {0}")]
    AgentRefused(&'static str),
    /// The key cannot sign by the algorithm that is asked for.
    #[error("this key cannot sign as the bundle asks: {0}")]
    Algorithm(&'static str),
    /// The system gave no random bytes.
    #[error("the system gives no random bytes")]
    Random(#[source] getrandom::Error),
    /// The library could not encode a key: a fault of this program.
    #[error("the key cannot be encoded")]
    Encode(#[source] ssh_key::Error),
}

impl KeyError {
    /// What the operator can do.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoFolder => "name one with --keys",
            Self::Public(_) => {
                "give a line such as `ssh-ed25519 AAAA… ann`, a file that holds one, the name of a key of yours, or 64 hexadecimal digits of plain ed25519"
            }
            Self::NoTerminal(_) => "give it with --passphrase-file, which may be a file descriptor such as /dev/fd/3",
            Self::NoAgent => "start one: eval \"$(ssh-agent)\", and add the key: ssh-add FILE",
            Self::AgentRefused(_) => "`flotilla keys list --agent` lists its keys",
            Self::Malformed { .. } | Self::Unfit { .. } => "`flotilla keys import` takes ed25519 keys of OpenSSH and 32 raw bytes",
            _ => return None,
        })
    }
}
