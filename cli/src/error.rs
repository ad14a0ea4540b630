//! What can go wrong, sorted by who must act; that decides the exit code and the hint.

use std::error::Error as _;
use std::io;

use flotilla_api::audit::Tampering;
use flotilla_api::client::{CallError, RepeatError, SettingsError};

use crate::command::orders::OrderError;
use crate::command::trust::TrustCommandError;
use crate::keys::KeyError;
use crate::output::clean;

/// Done.
pub(crate) const SUCCESS: u8 = 0;
/// The command ran, and on at least one node it did not succeed.
pub(crate) const NODE_FAILED: u8 = 1;
const USAGE: u8 = 2;
const REFUSED: u8 = 3;
const UNREACHABLE: u8 = 4;
const TIMED_OUT: u8 = 5;
const OUTPUT_LOST: u8 = 6;
const INTERRUPTED: u8 = 130;

/// Why a command of this program came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The operator wrote something that has no meaning.
    #[error("{0}")]
    Usage(String),
    /// The operator's settings are incomplete or wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The call failed; the call error says who must act.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The bridge sent more pages than any fleet has, or left out what every answer has.
    #[error("the bridge gave an answer that makes no sense: {0}")]
    Senseless(String),
    /// Waiting ended before the command did.
    #[error("the command has not ended in the given time; it goes on")]
    TimedOut {
        /// How to look at it and stop it.
        hint: String,
    },
    /// The operator pressed Ctrl-C while waiting.
    #[error("interrupted; the command goes on")]
    Interrupted {
        /// How to look at it and stop it.
        hint: String,
    },
    /// The bridge went away while a command ran.
    #[error("lost the bridge while waiting; the command goes on")]
    Lost {
        /// How to look at it and stop it.
        hint: String,
        /// The last failure.
        #[source]
        source: CallError,
    },
    /// A call that makes something got no answer that says whether it did.
    #[error("{what} may have reached the bridge all the same")]
    Unsure {
        /// What was sent.
        what: &'static str,
        /// How to look whether it arrived.
        hint: String,
        /// The failure of the last attempt.
        #[source]
        source: CallError,
    },
    /// A command was sent, and what became of it cannot be read.
    #[error("cannot see what became of the command {command_id}, which was sent")]
    Unseen {
        /// Id of the command.
        command_id: String,
        /// How to look at it and stop it.
        hint: String,
        /// Why not.
        #[source]
        source: Box<Self>,
    },
    /// An order was prepared, and not signed here.
    #[error("the order {command_id} was prepared and not signed")]
    Unsigned {
        /// Its id.
        command_id: String,
        /// How to reject it.
        hint: String,
        /// Why not.
        #[source]
        source: Box<Self>,
    },
    /// The audit log is not what it was. Somebody must look at the bridge's machine.
    #[error("the audit log was changed")]
    Tampered(#[from] Tampering),
    /// The handler for Ctrl-C could not be set.
    #[error("cannot listen for Ctrl-C")]
    Signal(#[from] ctrlc::Error),
    /// A key of the operator's own.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Trust bundles.
    #[error(transparent)]
    Trust(#[from] TrustCommandError),
    /// Prepared orders.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// Standard output could not be written.
    #[error("cannot write the output")]
    Output(#[from] io::Error),
    /// The result could not be written as JSON: a fault of this program.
    #[error("cannot write the result as JSON")]
    Json(#[from] serde_json::Error),
}

impl CliError {
    /// What a call came to that was made several times; `look` gives the command line that shows whether it arrived.
    pub(crate) fn of_repeated(what: &'static str, error: RepeatError, look: impl FnOnce() -> String) -> Self {
        let RepeatError { source, may_have_arrived } = error;
        if may_have_arrived {
            let hint = format!("before you send it again, look whether it did: {}", look());
            return Self::Unsure { what, hint, source };
        }
        Self::Call(source)
    }

    /// The exit code, as `--help` lists them.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            // The reader has seen enough and closed the pipe, as `head` does.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => SUCCESS,
            Self::Output(_) | Self::Json(_) => OUTPUT_LOST,
            Self::Tampered(_)
            | Self::Trust(TrustCommandError::Bundle { .. } | TrustCommandError::Expired { .. } | TrustCommandError::Missing(_)) => {
                NODE_FAILED
            }
            Self::Order(error) if error.is_deceit() => NODE_FAILED,
            Self::Order(_) => USAGE,
            Self::Usage(_) | Self::Settings(_) | Self::Signal(_) | Self::Key(_) | Self::Trust(_) => USAGE,
            Self::Call(CallError::Unsendable { .. }) => USAGE,
            Self::Call(CallError::Refused { .. }) => REFUSED,
            Self::Call(CallError::Connect { .. } | CallError::Malformed { .. }) => UNREACHABLE,
            Self::Senseless(_) | Self::Lost { .. } | Self::Unsure { .. } => UNREACHABLE,
            Self::Unseen { source, .. } | Self::Unsigned { source, .. } => source.exit_code(),
            Self::TimedOut { .. } => TIMED_OUT,
            Self::Interrupted { .. } => INTERRUPTED,
        }
    }

    /// What to print on standard error: the error, its causes, and what to do.
    pub(crate) fn report(&self) -> String {
        if self.exit_code() == SUCCESS {
            return String::new();
        }
        let mut text = format!("flotilla: {self}");
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        if let Some(hint) = self.hint() {
            text.push_str("\n  ");
            text.push_str(&hint);
        }
        // Part of it came from the bridge, and the bridge's words may repeat a node's.
        let mut text = clean(&text);
        text.push('\n');
        text
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::TimedOut { hint } | Self::Interrupted { hint } => Some(hint.clone()),
            Self::Lost { hint, .. } | Self::Unsure { hint, .. } | Self::Unseen { hint, .. } => Some(hint.clone()),
            Self::Unsigned { hint, source, .. } => {
                let advice = source.hint().map(|advice| format!("{advice}\n  ")).unwrap_or_default();
                Some(format!("{advice}it waits for signatures until its time is over; to reject it: {hint}"))
            }
            Self::Key(error) => error.hint().map(str::to_owned),
            Self::Trust(error) => error.hint().map(str::to_owned),
            Self::Order(error) => error.hint().map(str::to_owned),
            Self::Tampered(Tampering::RolledBack { .. } | Tampering::Rewritten { .. }) => Some(
                "if a backup of the bridge was put in place, say so with --forget; else keep the database as it is and find out who"
                    .to_owned(),
            ),
            Self::Tampered(_) => Some("keep a copy of the bridge's database as it is, and find out who could write to it".to_owned()),
            Self::Call(CallError::Refused { kind, .. }) => refusal_hint(kind).map(str::to_owned),
            Self::Call(CallError::Malformed { .. }) => Some("check the endpoint: is it the bridge's API?".to_owned()),
            _ => None,
        }
    }
}

fn refusal_hint(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature" => "check the access key, its secret and this machine's clock",
        "AccessDeniedException" => "this access key's role does not permit it; ask an administrator of the fleet",
        "InvalidInstanceId" => "`flotilla nodes` lists the nodes",
        "PreparedOrderNotFoundException"
        | "OrderExpiredException"
        | "OrderCancelledException"
        | "OrderReleasedException"
        | "OrderBytesMismatchException"
        | "AlreadySignedException" => "`flotilla orders list` lists the prepared orders",
        "KeyNotAuthorisedException" => "`flotilla orders show` says who may sign",
        "InvalidCommandId" | "InvocationDoesNotExist" => "`flotilla commands` lists the commands",
        "InvalidActivationId" | "InvalidActivation" => "`flotilla activation list` lists the activations",
        "NotFoundException" => "`flotilla groups` lists the groups",
        "InvalidDocument" => "`flotilla documents list` lists the documents",
        "ThrottlingException" => "wait a moment and try again",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(kind: &str, message: &str) -> CliError {
        CliError::Call(CallError::Refused { operation: "SendCommand", kind: kind.to_owned(), message: message.to_owned(), status: 400 })
    }

    #[test]
    fn a_refusal_says_who_what_and_what_to_do() {
        insta::assert_snapshot!(refused("InvalidInstanceId", "mi-1 is\u{1b}[31m unknown").report(), @r"
        flotilla: the bridge refused SendCommand: InvalidInstanceId: mi-1 is[31m unknown
          `flotilla nodes` lists the nodes
        ");
        assert_eq!(refused("X", "").exit_code(), 3);
    }

    #[test]
    fn going_on_is_said_with_how_to_look() {
        let error = CliError::Interrupted { hint: "flotilla commands show 1".to_owned() };
        insta::assert_snapshot!(error.report(), @r"
        flotilla: interrupted; the command goes on
          flotilla commands show 1
        ");
        assert_eq!(error.exit_code(), 130);
        assert_eq!(CliError::TimedOut { hint: String::new() }.exit_code(), 5);
    }

    #[test]
    fn a_closed_pipe_is_no_failure_and_a_full_disk_is() {
        let broken = CliError::Output(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((broken.exit_code(), broken.report().as_str()), (0, ""));
        let full = CliError::Output(io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(full.exit_code(), 6);
        insta::assert_snapshot!(full.report(), @"flotilla: cannot write the output: no storage space");
    }
}
