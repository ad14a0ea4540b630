//! `flotilla trust`: who may sign what in a fleet, and how that changes.
//!
//! A *trust folder* holds the bundles `1.bundle`, `2.bundle` and so on, as the bridge's home has it, and at most one *draft*: the next bundle,
//! which collects signatures. Steps that change a draft refuse one that somebody has signed. No bridge is asked and nothing is believed that
//! does not verify, but to publish a bundle and to say how far the nodes have come; the rules are those of `flotilla_protocol::trust`, by which nodes judge.

mod edit;
mod folder;
mod hours;
mod publish;
mod roles;
mod rule;
mod show;
mod sign;
mod words;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use flotilla_api::client::SettingsError;
use flotilla_protocol::trust::TrustError;

use crate::connection::Connection;
use crate::error::CliError;
use crate::keys::KeyError;
use crate::output::Output;

/// Show, check and change who may sign what in a fleet; a bridge is needed only to publish what was changed.
#[derive(Debug, Args)]
#[command(after_help = "\
DIR is the trust folder: `trust` in the bridge's home, or a copy of it. A change is a draft, DIR/next.draft, that is made in steps (add-key, \
set-threshold, set-rule, remove-rule, label, rotate, revoke), signed by one person after the other, and then finished: enough persons of the root of the old bundle and of the \
new one must have signed it. Then it is published.

Examples:
  flotilla trust show .flotilla/trust
  flotilla trust add-key .flotilla/trust ann --person Ann --role root
  flotilla trust sign .flotilla/trust --key ann
  flotilla trust finish .flotilla/trust
  flotilla trust publish .flotilla/trust")]
pub(crate) struct TrustArguments {
    #[command(subcommand)]
    command: TrustCommand,
}

#[derive(Debug, Subcommand)]
enum TrustCommand {
    Show(show::ShowArguments),
    Verify(show::VerifyArguments),
    Export(show::ExportArguments),
    Init(edit::InitArguments),
    AddKey(edit::AddKeyArguments),
    SetThreshold(edit::SetThresholdArguments),
    Rotate(edit::RotateArguments),
    Revoke(edit::RevokeArguments),
    SetRule(rule::SetRuleArguments),
    RemoveRule(rule::RemoveRuleArguments),
    Label(rule::LabelArguments),
    Sign(sign::SignArguments),
    Attach(sign::AttachArguments),
    Finish(sign::FinishArguments),
    Publish(publish::PublishArguments),
    Nodes(publish::NodesArguments),
}

/// Which folder, and which draft in it.
#[derive(Debug, Args)]
struct Place {
    /// The trust folder.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The draft [default: DIR/next.draft].
    #[arg(long, value_name = "FILE")]
    draft: Option<PathBuf>,
}

impl Place {
    fn draft(&self) -> PathBuf {
        self.draft.clone().unwrap_or_else(|| self.folder.join("next.draft"))
    }
}

/// Why something with trust came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrustCommandError {
    /// A file could not be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was to be done.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A bundle of the folder does not follow from those before.
    #[error("bundle {version} in {} cannot be trusted", folder.display())]
    Bundle {
        /// The version of the file.
        version: u32,
        /// The folder.
        folder: PathBuf,
        /// What is wrong.
        #[source]
        source: TrustError,
    },
    /// There is no bundle.
    #[error("{} holds no trust bundle", folder.display())]
    NoBundle {
        /// The folder.
        folder: PathBuf,
    },
    /// There is no draft.
    #[error("there is no draft {}", path.display())]
    NoDraft {
        /// The file.
        path: PathBuf,
    },
    /// No node would take the draft, whoever signs it.
    #[error("no node would take {}", path.display())]
    Draft {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: TrustError,
    },
    /// The draft has signatures, which a change would make void.
    #[error("{} is signed already and cannot be changed", path.display())]
    Signed {
        /// The file.
        path: PathBuf,
    },
    /// Too few have signed.
    #[error("too few persons have signed: {0}")]
    Missing(String),
    /// The newest bundle has run out.
    #[error("bundle {version} has run out at {at}")]
    Expired {
        /// The version.
        version: u32,
        /// When.
        at: String,
    },
    /// What is asked for cannot be done to the bundle.
    #[error("{0}")]
    Change(String),
    /// A signature is not wanted, or does not verify.
    #[error("{what} cannot be added to the draft: {why}")]
    Signature {
        /// Whose, or from where.
        what: String,
        /// Why not.
        why: &'static str,
    },
    /// The operator did not agree.
    #[error("nothing was signed")]
    NotAgreed,
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl TrustCommandError {
    /// What the operator can do.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoDraft { .. } => "begin one with add-key, set-threshold, rotate or revoke, or with init for a new fleet",
            Self::NoBundle { .. } => "name the folder `trust` of a bridge's home, or begin a fleet with `flotilla trust init`",
            Self::Signed { .. } => "finish it; or remove the file, and begin again",
            Self::Missing(_) => "`flotilla trust show` says who can sign",
            Self::Expired { .. } => "sign the next bundle with a later --expires",
            Self::NotAgreed => "answer yes, or say --yes where nobody can be asked",
            Self::Key(error) => return error.hint(),
            _ => return None,
        })
    }
}

pub(crate) fn run(
    open: impl FnOnce() -> Result<Connection, SettingsError>,
    output: Output,
    arguments: &TrustArguments,
) -> Result<u8, CliError> {
    match &arguments.command {
        TrustCommand::Show(arguments) => show::show(output, arguments),
        TrustCommand::Verify(arguments) => show::verify(output, arguments),
        TrustCommand::Export(arguments) => show::export(arguments),
        TrustCommand::Init(arguments) => edit::init(output, arguments),
        TrustCommand::AddKey(arguments) => edit::add_key(output, arguments),
        TrustCommand::SetThreshold(arguments) => edit::set_threshold(output, arguments),
        TrustCommand::Rotate(arguments) => edit::rotate(output, arguments),
        TrustCommand::Revoke(arguments) => edit::revoke(output, arguments),
        TrustCommand::SetRule(arguments) => rule::set_rule(output, arguments),
        TrustCommand::RemoveRule(arguments) => rule::remove_rule(output, arguments),
        TrustCommand::Label(arguments) => rule::label_node(output, arguments),
        TrustCommand::Sign(arguments) => sign::sign(output, arguments),
        TrustCommand::Attach(arguments) => sign::attach(output, arguments),
        TrustCommand::Finish(arguments) => sign::finish(output, arguments),
        TrustCommand::Publish(arguments) => publish::publish(&open()?, output, arguments),
        TrustCommand::Nodes(_) => publish::nodes(&open()?, output),
    }
}
