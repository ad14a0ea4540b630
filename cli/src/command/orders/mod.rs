//! `flotilla orders`: orders that people must sign before any node takes them.
//!
//! What is shown and signed is read from the order's own bytes, here; the bridge's words about it count for nothing. The trust bundles are
//! verified from the root that is remembered from the first time, and the nodes are put together to the root of the tree that is signed. What
//! cannot be checked here is said each time.

mod order;
mod sign;
mod trust;
mod words;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use flotilla_api::audit::Hex;
use flotilla_api::orders::{
    ListPreparedOrdersRequest, MAXIMUM_ORDERS_PAGE, MAXIMUM_REASON, PreparedOrder, RejectPreparedOrderRequest, STATES,
};
use flotilla_protocol::trust::TrustError;

use crate::connection::Connection;
use crate::error::{CliError, SUCCESS};
use crate::keys::{KeysArguments, PassphraseArguments};
use crate::output::Output;
use crate::paging;

pub(crate) use order::ReadOrder;
pub(crate) use sign::{ChosenKey, agree, key_of, now_ms, print_signed, put, show};
pub(crate) use trust::KnownTrust;
pub(crate) use words::{Description, date};

/// List, read, sign and reject orders that people must sign before any node takes them.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  flotilla orders list --state AwaitingSignature
  flotilla orders show 0198c0de-0000-7000-8000-000000000000
  flotilla orders sign 0198c0de-0000-7000-8000-000000000000 --key ann
  flotilla orders reject 0198c0de-0000-7000-8000-000000000000 --reason 'not on a Friday'")]
pub(crate) struct OrdersArguments {
    #[command(subcommand)]
    command: OrdersCommand,
}

#[derive(Debug, Subcommand)]
enum OrdersCommand {
    /// List prepared orders as the bridge tells of them, the newest first.
    #[command(after_help = "\
Examples:
  flotilla orders list
  flotilla orders list --state AwaitingSignature --output json")]
    List(ListArguments),
    /// Show what an order says, read from the bytes that are signed, and what could be checked.
    #[command(after_help = "\
Examples:
  flotilla orders show 0198c0de-0000-7000-8000-000000000000
  flotilla orders show 0198c0de-0000-7000-8000-000000000000 --output json --root-hash 64-DIGITS")]
    Show(ShowArguments),
    /// Sign an order, after reading what it says: as who asked for it, or as an approval of another's.
    #[command(after_help = "\
--yes signs without asking and so without anybody reading: name what was read before by its --sha256, as `show` prints it.

Examples:
  flotilla orders sign 0198c0de-0000-7000-8000-000000000000 --key ann
  flotilla orders sign 0198c0de-0000-7000-8000-000000000000 --agent
  flotilla orders sign 0198c0de-0000-7000-8000-000000000000 --key ann --yes --sha256 64-DIGITS --passphrase-file /dev/fd/3 3< secret")]
    Sign(SignArguments),
    /// Reject an order: its command is cancelled, and nobody can sign it any more.
    #[command(after_help = "Example:\n  flotilla orders reject 0198c0de-0000-7000-8000-000000000000 --reason 'not on a Friday'")]
    Reject(RejectArguments),
}

#[derive(Debug, Args)]
struct ListArguments {
    /// Only those in this state.
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(STATES), ignore_case = true)]
    state: Option<String>,
    /// Most orders.
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

/// By which trust an order is judged.
#[derive(Debug, Args)]
pub(crate) struct RootArguments {
    /// Folder of what is remembered [default: flotilla in $XDG_STATE_HOME, else ~/.local/state/flotilla].
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// SHA-256 of the fleet's trust bundle 1 [default: the remembered one, else that which the bridge gives, which is remembered then].
    #[arg(long, value_name = "HASH")]
    pub(crate) root_hash: Option<Hex<32>>,
}

#[derive(Debug, Args)]
struct ShowArguments {
    /// The order's id, which is its command's.
    #[arg(value_name = "ORDER_ID")]
    order_id: String,
    #[command(flatten)]
    root: RootArguments,
}

#[derive(Debug, Args)]
struct SignArguments {
    /// The order's id, which is its command's.
    #[arg(value_name = "ORDER_ID")]
    order_id: String,
    /// The key of this name in the folder of your keys, or a file.
    #[arg(long, value_name = "NAME", required_unless_present = "agent", conflicts_with = "agent")]
    key: Option<String>,
    /// A key that the ssh-agent holds: its fingerprint or comment, or nothing when it has only one.
    #[arg(long, value_name = "KEY", num_args = 0..=1, default_missing_value = "")]
    agent: Option<String>,
    /// Sign only the order with these bytes: their SHA-256, as `show` prints it.
    #[arg(long, value_name = "HASH")]
    sha256: Option<Hex<32>>,
    /// Do not ask whether to sign.
    #[arg(long, requires = "sha256")]
    yes: bool,
    #[command(flatten)]
    root: RootArguments,
    #[command(flatten)]
    keys: KeysArguments,
    #[command(flatten)]
    passphrase: PassphraseArguments,
}

#[derive(Debug, Args)]
struct RejectArguments {
    /// The order's id, which is its command's.
    #[arg(value_name = "ORDER_ID")]
    order_id: String,
    /// Why, for people.
    #[arg(long)]
    reason: String,
}

/// Why an order was not signed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OrderError {
    /// The bytes are no order that this version understands.
    #[error("the bridge gives an order that cannot be read: {0}")]
    Unreadable(String),
    /// The order is another one than was asked for, or another fleet's.
    #[error("the bridge gives another order: {0}")]
    Other(String),
    /// The nodes do not make up what is signed.
    #[error("the nodes that the bridge names are not those of the order: {0}")]
    Targets(String),
    /// The order says something else than was asked for.
    #[error("the order says something else than you asked for: {0}")]
    Different(String),
    /// The bundles do not follow from the root.
    #[error("the fleet's trust does not hold")]
    Trust(#[source] TrustError),
    /// Another root than the one that is known.
    #[error("the bridge gives the trust root {found}, where {known} is known")]
    Root {
        /// The known one.
        known: Hex<32>,
        /// What the bridge gives.
        found: Hex<32>,
    },
    /// An older trust than was seen, or another history.
    #[error("the bridge gives trust bundle {found}, and {seen} or another one in its place was seen before")]
    RolledBack {
        /// The newest that was seen.
        seen: u32,
        /// What the bridge gives.
        found: u32,
    },
    /// The newest bundle has run out.
    #[error("trust bundle {version} has run out")]
    TrustExpired {
        /// Its version.
        version: u32,
    },
    /// No node would start the order any more.
    #[error("the order's time was over at {0}")]
    Expired(String),
    /// The key may not sign it.
    #[error("this key may not sign orders of the class {class} under trust bundle {version}; those of {persons} may")]
    Key {
        /// The class.
        class: &'static str,
        /// The version.
        version: u32,
        /// Whose may.
        persons: String,
    },
    /// An order of one's own names somebody else as who asked for it.
    #[error("the order names {requester:?} as who asked for it, and your key is that of {person:?}")]
    Requester {
        /// Who stands in it.
        requester: String,
        /// Whose key it is.
        person: String,
    },
    /// Nobody would have read it.
    #[error("{0}")]
    Unread(&'static str),
    /// The operator did not agree.
    #[error("nothing was signed")]
    NotAgreed,
}

impl OrderError {
    /// Whether the bridge gave what cannot be true, rather than that something is to be done here.
    pub(crate) fn is_deceit(&self) -> bool {
        matches!(
            self,
            Self::Unreadable(_)
                | Self::Other(_)
                | Self::Targets(_)
                | Self::Different(_)
                | Self::Trust(_)
                | Self::Root { .. }
                | Self::RolledBack { .. }
                | Self::TrustExpired { .. }
        )
    }

    /// What the operator can do.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Unreadable(_) => "if the bridge is newer than this program, take the same version; sign nothing that cannot be read",
            Self::Other(_) | Self::Targets(_) | Self::Different(_) => "sign nothing, and find out who could change the bridge",
            Self::Root { .. } => "if the fleet was made anew, give its --root-hash; else the bridge is not the one you know",
            Self::Trust(_) | Self::RolledBack { .. } => "sign nothing, and compare with others who hold keys of this fleet",
            Self::TrustExpired { .. } => "sign the next bundle with a later --expires",
            Self::Key { .. } => "`flotilla trust show` says who may sign what; `flotilla keys list` lists your keys",
            Self::Requester { .. } => {
                "call the bridge as the user that is named as your person in the trust bundle; or approve the order of another: flotilla orders sign"
            }
            Self::Unread(_) => "leave out --yes, and read",
            Self::NotAgreed => "answer yes, or say --yes where nobody can be asked",
            Self::Expired(_) => return None,
        })
    }
}

pub(crate) fn run(connection: &Connection, output: Output, arguments: &OrdersArguments) -> Result<u8, CliError> {
    match &arguments.command {
        OrdersCommand::List(wanted) => list(connection, output, wanted),
        OrdersCommand::Show(wanted) => {
            let trust = KnownTrust::of(connection, &wanted.root)?;
            let order = ReadOrder::of_bridge(connection, &wanted.order_id, trust.trust())?;
            Description::new(&order, &trust).print(output)?;
            Ok(SUCCESS)
        }
        OrdersCommand::Sign(wanted) => sign::run(connection, output, wanted),
        OrdersCommand::Reject(wanted) => reject(connection, output, wanted),
    }
}

fn list(connection: &Connection, output: Output, wanted: &ListArguments) -> Result<u8, CliError> {
    let state = wanted.state.as_deref().and_then(|wanted| STATES.iter().find(|state| state.eq_ignore_ascii_case(wanted)));
    let orders = paging::read(wanted.limit, |next_token| {
        let page = connection.client.call(&ListPreparedOrdersRequest {
            state: state.map(|state| (*state).to_owned()),
            max_results: Some(i32::try_from(wanted.limit).map_or(MAXIMUM_ORDERS_PAGE, |limit| limit.clamp(1, MAXIMUM_ORDERS_PAGE))),
            next_token,
        })?;
        Ok((page.orders, page.next_token))
    })?;
    output.print_list(&orders, &HEADER, row)?;
    Ok(SUCCESS)
}

const HEADER: [&str; 8] = ["ORDER", "STATE", "REQUESTER", "DOCUMENT", "TARGETS", "SIGNED BY", "MISSING", "UNTIL"];

fn row(order: &PreparedOrder) -> Vec<String> {
    let signed: Vec<&str> =
        order.signatures.iter().filter(|signature| signature.counts).map(|signature| signature.person.as_str()).collect();
    vec![
        order.order_id.clone(),
        order.state.clone(),
        order.requester.clone(),
        order.document_name.clone(),
        order.target_count.to_string(),
        signed.join(","),
        order.missing.to_string(),
        date(order.not_after_ms),
    ]
}

fn reject(connection: &Connection, output: Output, wanted: &RejectArguments) -> Result<u8, CliError> {
    let length = wanted.reason.chars().count();
    if !i64::try_from(length).is_ok_and(|length| (1..=MAXIMUM_REASON).contains(&length)) {
        return Err(CliError::Usage(format!("--reason has 1 to {MAXIMUM_REASON} characters")));
    }
    let request = RejectPreparedOrderRequest { order_id: wanted.order_id.clone(), reason: wanted.reason.clone() };
    let answer = connection.client.call(&request)?;
    output.print_done(&answer.order, &format!("rejected {}\n", wanted.order_id))?;
    Ok(SUCCESS)
}

#[cfg(test)]
mod tests {
    use flotilla_api::orders::{AWAITING, CollectedSignature};

    use super::*;

    #[test]
    fn an_order_is_a_line_with_who_counts() {
        let signature = |person: &str, counts| CollectedSignature { person: person.to_owned(), counts, ..CollectedSignature::default() };
        let order = PreparedOrder {
            order_id: "0198c0de".to_owned(),
            state: AWAITING.to_owned(),
            requester: "Ann".to_owned(),
            document_name: "AWS-RunShellScript".to_owned(),
            target_count: 3,
            missing: 1,
            not_after_ms: 1_795_219_200_000,
            signatures: vec![signature("Ann", true), signature("Bob", false)],
            ..PreparedOrder::default()
        };
        insta::assert_snapshot!(row(&order).join("|"), @"0198c0de|AwaitingSignature|Ann|AWS-RunShellScript|3|Ann|1|2026-11-21T00:00:00Z");
    }
}
