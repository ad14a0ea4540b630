//! `flotilla run`: runs a command line or a document on chosen nodes, waits, and tells the worst result.

mod request;
mod sign;

use std::io::Write as _;
use std::time::Duration;

use clap::{ArgAction, ArgGroup, Args, ValueEnum};
use flotilla_api::commands::SendCommandRequest;

use crate::arguments::{NameValue, duration, name_value};
use crate::clock::sleep;
use crate::connection::Connection;
use crate::error::{CliError, SUCCESS};
use crate::interrupt::Interrupt;
use crate::keys::{KeysArguments, PassphraseArguments};
use crate::output::{Format, Output};
use crate::waiting::{Wait, how_to_look};

use super::orders::RootArguments;

pub(crate) use self::request::request;

/// Run a command line or a document on nodes and wait for the results.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("target").args(["nodes", "tags", "group", "targets", "all"]).required(true).multiple(true),
    after_help = "\
Without --document, the words after -- are a shell command: several words are a command with its arguments, quoted so \
that the node's shell sees these very words; a single word is a script as it is.

Examples:
  flotilla run --all -- uptime
  flotilla run --node mi-0123456789abcdef0 -- 'df -h | sort'
  flotilla run --tag site=north --max-concurrency 10% --max-errors 2 -- systemctl restart app
  flotilla run --tag site=north --document My-Document --parameter level=3 --no-wait
  flotilla run --tag site=north --document My-Login --parameter-file password=- < password.txt
  flotilla run --group kiosks --document My-Document --document-version 2 --notify operators --notify-events Failed,TimedOut
  flotilla run --node mi-0123456789abcdef0 --sign ann -- systemctl restart app
  flotilla run --tag site=north --sign-agent --timeout 14d -- apt-get upgrade -y

With --sign, where people must sign what runs: the bridge prepares the order, you read it here from its bytes, and sign it. When others must \
sign too, it waits for them and this command does not: see `flotilla orders`."
)]
pub(crate) struct RunArguments {
    /// Run on this node; may be given several times.
    #[arg(long = "node", value_name = "ID", conflicts_with_all = ["tags", "group", "targets", "all"])]
    nodes: Vec<String>,
    /// Run on nodes with this tag. Several values of one key are alternatives; several keys must all hold.
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = name_value, conflicts_with = "all")]
    tags: Vec<NameValue>,
    /// Run on the nodes of this resource group; `flotilla groups` lists them.
    #[arg(long, value_name = "NAME", conflicts_with = "all")]
    group: Option<String>,
    /// Run on the nodes that a target of the API chooses, such as tag-key=site or InstanceIds=mi-…,mi-….
    #[arg(long = "target", value_name = "KEY=VALUE,…", value_parser = name_value, conflicts_with = "all")]
    targets: Vec<NameValue>,
    /// Run on every node of the fleet.
    #[arg(long)]
    all: bool,
    /// Document to run.
    #[arg(long, value_name = "NAME", conflicts_with = "words")]
    document: Option<String>,
    /// Version of the document: a number, $LATEST or $DEFAULT.
    #[arg(long, value_name = "VERSION")]
    document_version: Option<String>,
    /// Hash that the content of the document must have: Sha256 with 64 hexadecimal digits, or Sha1 with 40.
    #[arg(long, value_name = "HASH", value_parser = request::hash)]
    document_hash: Option<String>,
    /// Parameter of the document; given several times for one name, it is a list.
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = name_value)]
    parameters: Vec<NameValue>,
    /// Parameter of the document whose value is in a file, or in the standard input for -, without the last end of a line: for
    /// secrets, which others on this machine could read among the arguments.
    #[arg(long = "parameter-file", value_name = "NAME=FILE", value_parser = name_value)]
    parameter_files: Vec<NameValue>,
    /// Nodes at the same time: a number or a percentage [default: 50].
    #[arg(long, value_name = "N|N%")]
    max_concurrency: Option<String>,
    /// Errors to tolerate before no further node is started: a number or a percentage [default: 0].
    #[arg(long, value_name = "N|N%")]
    max_errors: Option<String>,
    /// How long nodes may take to begin, 30s to 30d [default: 1h].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
    /// Text to find the command by.
    #[arg(long)]
    comment: Option<String>,
    /// Tell this webhook, by its name in the bridge's settings or as an ARN.
    #[arg(long, value_name = "NAME")]
    notify: Option<String>,
    /// Of what to tell.
    #[arg(long, value_name = "EVENT", value_enum, ignore_case = true, value_delimiter = ',', requires = "notify", default_value = "All")]
    notify_events: Vec<Event>,
    /// Tell of each node, and not only of the command.
    #[arg(long, requires = "notify")]
    notify_each: bool,
    /// Wait for the results (the default).
    #[arg(long, action = ArgAction::SetTrue, overrides_with = "no_wait")]
    wait: bool,
    /// Print the command's id and return at once.
    #[arg(long, action = ArgAction::SetTrue, overrides_with = "wait")]
    no_wait: bool,
    /// How long to wait; the command goes on after it.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = duration)]
    wait_timeout: Duration,
    /// Sign the order with your key of this name in the folder of your keys, or a file.
    #[arg(long, value_name = "KEY", conflicts_with = "sign_agent")]
    pub(super) sign: Option<String>,
    /// Sign the order with a key that the ssh-agent holds: its fingerprint or comment, or nothing when it has only one.
    #[arg(long, value_name = "KEY", num_args = 0..=1, default_missing_value = "")]
    pub(super) sign_agent: Option<String>,
    /// Do not ask whether to sign.
    #[arg(long)]
    pub(super) yes: bool,
    #[command(flatten)]
    pub(super) root: RootArguments,
    #[command(flatten)]
    pub(super) keys: KeysArguments,
    #[command(flatten)]
    pub(super) passphrase: PassphraseArguments,
    /// The command to run.
    #[arg(last = true, value_name = "COMMAND")]
    words: Vec<String>,
}

/// Events of a command, in the API's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Event {
    #[value(name = "All")]
    All,
    #[value(name = "InProgress")]
    InProgress,
    #[value(name = "Success")]
    Success,
    #[value(name = "TimedOut")]
    TimedOut,
    #[value(name = "Cancelled")]
    Cancelled,
    #[value(name = "Failed")]
    Failed,
}

pub(crate) fn run(connection: &Connection, output: Output, arguments: &RunArguments, request: &SendCommandRequest) -> Result<u8, CliError> {
    let desk = sign::desk(connection, arguments)?;
    // Before sending: from here on, Ctrl-C must be able to say which command goes on.
    let interrupt = if arguments.no_wait { None } else { Some(Interrupt::listen()?) };
    let notification_config = request::notification(arguments, connection.client.region());
    let request = SendCommandRequest { notification_config, ..request.clone() };
    let pause = |pause| match &interrupt {
        Some(interrupt) => !interrupt.sleep(pause),
        None => sleep(pause),
    };
    let sent = connection.client.call_repeatable(&request, pause);
    let sent = sent.map_err(|error| CliError::of_repeated("the command", error, || connection.command_line("commands list")));
    let command = sent?.command.unwrap_or_default();
    let Some(command_id) = command.command_id.clone() else {
        return Err(CliError::Senseless("a command without an id".to_owned()));
    };
    if let Some(desk) = desk {
        let signed = desk.sign(connection, output, arguments, &request, &command_id);
        match signed.map_err(|source| unsigned(connection, &command_id, source))? {
            sign::Signed::Released => {}
            sign::Signed::Awaiting => return Ok(SUCCESS),
            sign::Signed::ByTheBridge => note("the bridge signs commands of this fleet by itself: your key was not needed"),
        }
    } else if let Some(words) = sign::awaits(connection, &command_id) {
        note(&words);
    }
    let Some(interrupt) = interrupt else {
        match output.format {
            Format::Json => output.print_json(&command)?,
            Format::Text => output.print(&format!("{command_id}\n"))?,
            Format::Table => output.print(&format!("sent {command_id}\n  {}\n", how_to_look(connection, &command_id)))?,
        }
        return Ok(SUCCESS);
    };
    let wait = Wait { connection, command_id: &command_id, node: None, timeout: arguments.wait_timeout };
    let outcome = wait.outcome(&interrupt)?;
    outcome.print(output)?;
    Ok(outcome.exit_code())
}

/// What the bridge has prepared stays there until somebody signs or rejects it, or its time is over.
fn unsigned(connection: &Connection, command_id: &str, source: CliError) -> CliError {
    let hint = connection.command_line(&format!("orders reject {command_id} --reason '…'"));
    CliError::Unsigned { command_id: command_id.to_owned(), hint, source: Box::new(source) }
}

/// Tells people something beside the result.
fn note(words: &str) {
    // Where nobody reads, nothing is lost.
    drop(writeln!(std::io::stderr(), "{words}"));
}
