//! `flotilla run`: runs a command line or a document on chosen nodes, waits, and tells the worst result.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use clap::{ArgAction, ArgGroup, Args};
use flotilla_api::client::CallError;
use flotilla_api::commands::{Command, SendCommandRequest, Target};

use crate::arguments::{NameValue, duration, name_value};
use crate::clock;
use crate::connection::Connection;
use crate::error::{CliError, SUCCESS};
use crate::interrupt::Interrupt;
use crate::invocation::{self, Outcome};
use crate::output::{Format, Output};
use crate::progress::{Progress, ProgressLine, has_ended};
use crate::quoting::script;

/// The document that runs shell text.
const SHELL_DOCUMENT: &str = "AWS-RunShellScript";
/// Its parameter that holds the text.
const SHELL_PARAMETER: &str = "commands";
/// Nodes that one request can name; the API's own limit, said here with a better hint.
const NODES_LIMIT: usize = 50;
/// Up to so many nodes their states are listed at each look; beyond, the command's own counts must do.
const LISTED_LIMIT: i32 = 200;
/// First wait between two looks: short, since most commands are.
const FIRST_LOOK: Duration = Duration::from_millis(100);
/// Longest wait between two looks.
const SLOWEST_LOOK: Duration = Duration::from_secs(2);
/// How long the bridge may be away while we wait: as long as a restart takes, with room.
const LOST_AFTER: Duration = Duration::from_secs(60);

/// Run a command line or a document on nodes and wait for the results.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("target").args(["nodes", "tags", "all"]).required(true).multiple(true),
    after_help = "\
Without --document, the words after -- are a shell command: several words are a command with its arguments, quoted so \
that the node's shell sees these very words; a single word is a script as it is.

Examples:
  flotilla run --all -- uptime
  flotilla run --node mi-0123456789abcdef0 -- 'df -h | sort'
  flotilla run --tag site=north --max-concurrency 10% --max-errors 2 -- systemctl restart app
  flotilla run --tag site=north --document My-Document --parameter level=3 --no-wait"
)]
pub(crate) struct RunArguments {
    /// Run on this node; may be given several times.
    #[arg(long = "node", value_name = "ID", conflicts_with_all = ["tags", "all"])]
    nodes: Vec<String>,
    /// Run on nodes with this tag. Several values of one key are alternatives; several keys must all hold.
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = name_value, conflicts_with = "all")]
    tags: Vec<NameValue>,
    /// Run on every node of the fleet.
    #[arg(long)]
    all: bool,
    /// Document to run.
    #[arg(long, value_name = "NAME", conflicts_with = "words")]
    document: Option<String>,
    /// Parameter of the document; given several times for one name, it is a list.
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = name_value)]
    parameters: Vec<NameValue>,
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
    /// Wait for the results (the default).
    #[arg(long, action = ArgAction::SetTrue, overrides_with = "no_wait")]
    wait: bool,
    /// Print the command's id and return at once.
    #[arg(long, action = ArgAction::SetTrue, overrides_with = "wait")]
    no_wait: bool,
    /// How long to wait; the command goes on after it.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = duration)]
    wait_timeout: Duration,
    /// The command to run.
    #[arg(last = true, value_name = "COMMAND")]
    words: Vec<String>,
}

/// What to send for these arguments.
pub(crate) fn request(arguments: &RunArguments) -> Result<SendCommandRequest, CliError> {
    if arguments.nodes.len() > NODES_LIMIT {
        let text = format!("at most {NODES_LIMIT} nodes can be named; give them a tag and use --tag");
        return Err(CliError::Usage(text));
    }
    let parameters = parameters(arguments)?;
    let timeout_seconds = arguments.timeout.map(|timeout| i32::try_from(timeout.as_secs())).transpose();
    Ok(SendCommandRequest {
        document_name: arguments.document.clone().unwrap_or_else(|| SHELL_DOCUMENT.to_owned()),
        instance_ids: Some(arguments.nodes.clone()).filter(|nodes| !nodes.is_empty()),
        targets: targets(arguments),
        parameters: Some(parameters).filter(|parameters| !parameters.is_empty()),
        timeout_seconds: timeout_seconds.map_err(|_error| CliError::Usage("--timeout is too long".to_owned()))?,
        max_concurrency: arguments.max_concurrency.clone(),
        max_errors: arguments.max_errors.clone(),
        comment: arguments.comment.clone(),
        ..SendCommandRequest::default()
    })
}

fn parameters(arguments: &RunArguments) -> Result<BTreeMap<String, Vec<String>>, CliError> {
    let mut parameters: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for parameter in &arguments.parameters {
        parameters.entry(parameter.name.clone()).or_default().push(parameter.value.clone());
    }
    if arguments.document.is_none() {
        match (arguments.words.is_empty(), parameters.contains_key(SHELL_PARAMETER)) {
            (true, false) => {
                let text = "nothing to run: write the command after --, as in `flotilla run --all -- uptime`";
                return Err(CliError::Usage(text.to_owned()));
            }
            (false, true) => {
                let text = "give the command after -- or as --parameter commands=…, not both";
                return Err(CliError::Usage(text.to_owned()));
            }
            (true, true) => {}
            (false, false) => {
                parameters.insert(SHELL_PARAMETER.to_owned(), vec![script(&arguments.words)]);
            }
        }
    }
    Ok(parameters)
}

fn targets(arguments: &RunArguments) -> Option<Vec<Target>> {
    if arguments.all {
        return Some(vec![target("InstanceIds".to_owned(), vec!["*".to_owned()])]);
    }
    let mut by_key: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for tag in &arguments.tags {
        by_key.entry(format!("tag:{}", tag.name)).or_default().push(tag.value.clone());
    }
    let targets: Vec<_> = by_key.into_iter().map(|(key, values)| target(key, values)).collect();
    Some(targets).filter(|targets| !targets.is_empty())
}

fn target(key: String, values: Vec<String>) -> Target {
    Target { key: Some(key), values: Some(values) }
}

pub(crate) fn run(connection: &Connection, output: Output, arguments: &RunArguments, request: &SendCommandRequest) -> Result<u8, CliError> {
    // Before sending: from here on, Ctrl-C must be able to say which command goes on.
    let interrupt = if arguments.no_wait { None } else { Some(Interrupt::listen()?) };
    let command = connection.client.call(request)?.command.unwrap_or_default();
    let Some(command_id) = command.command_id.clone() else {
        return Err(CliError::Senseless("a command without an id".to_owned()));
    };
    let Some(interrupt) = interrupt else {
        match output.format {
            Format::Json => output.print_json(&command)?,
            Format::Text => output.print(&format!("{command_id}\n"))?,
            Format::Table => output.print(&format!("sent {command_id}\n  {}\n", how_to_look(connection, &command_id)))?,
        }
        return Ok(SUCCESS);
    };
    let mut line = ProgressLine::new();
    line.announce(&format!("command {command_id}"));
    let ended = wait(connection, &command_id, arguments.wait_timeout, &interrupt, &mut line);
    line.finish();
    let outcome: Outcome = invocation::outcome(&connection.client, ended?)?;
    outcome.print(output)?;
    Ok(outcome.exit_code())
}

fn how_to_look(connection: &Connection, command_id: &str) -> String {
    let look = connection.command_line(&format!("commands show {command_id}"));
    let stop = connection.command_line(&format!("commands cancel {command_id}"));
    format!("look at it: {look}\n  stop it:    {stop}")
}

/// Looks at the command until it has ended.
fn wait(
    connection: &Connection,
    command_id: &str,
    wait_timeout: Duration,
    interrupt: &Interrupt,
    line: &mut ProgressLine,
) -> Result<Command, CliError> {
    let began = clock::now();
    let mut pause = FIRST_LOOK;
    let mut lost_since: Option<Instant> = None;
    loop {
        match look(connection, command_id) {
            Ok((command, progress)) => {
                lost_since = None;
                if command.status.as_deref().is_some_and(has_ended) {
                    return Ok(command);
                }
                line.show(&progress.summary());
            }
            Err(CliError::Call(source @ CallError::Connect { .. })) => {
                let now = clock::now();
                if now.duration_since(*lost_since.get_or_insert(now)) >= LOST_AFTER {
                    return Err(CliError::Lost { hint: how_to_look(connection, command_id), source });
                }
                line.show("lost the bridge, trying again");
            }
            Err(error) => return Err(error),
        }
        let left = wait_timeout.saturating_sub(began.elapsed());
        if left.is_zero() {
            return Err(CliError::TimedOut { hint: how_to_look(connection, command_id) });
        }
        if interrupt.sleep(pause.min(left)) {
            return Err(CliError::Interrupted { hint: how_to_look(connection, command_id) });
        }
        pause = slower(pause);
    }
}

fn look(connection: &Connection, command_id: &str) -> Result<(Command, Progress), CliError> {
    let command = invocation::command(&connection.client, command_id)?;
    let progress = if command.target_count.unwrap_or(0) <= LISTED_LIMIT {
        Progress::of_invocations(&command, &invocation::invocations(&connection.client, command_id, false)?)
    } else {
        Progress::of_command(&command)
    };
    Ok((command, progress))
}

/// Half as long again, up to the slowest.
fn slower(pause: Duration) -> Duration {
    (pause * 3 / 2).min(SLOWEST_LOOK)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::arguments::Arguments;
    use crate::output::json;

    /// The request for these words after `flotilla run`, or the error.
    fn sent(words: &[&str]) -> Result<String, String> {
        let all = ["flotilla", "run"].iter().chain(words);
        let arguments = Arguments::try_parse_from(all).map_err(|error| error.kind().to_string())?;
        let crate::command::Command::Run(arguments) = arguments.command else { panic!("not run") };
        request(&arguments).map_err(|error| error.report()).map(|request| json(&request).unwrap())
    }

    #[test]
    fn words_become_a_shell_script() {
        insta::assert_snapshot!(sent(&["--all", "--", "echo", "a b"]).unwrap(), @r#"
        {
          "Targets": [
            {
              "Key": "InstanceIds",
              "Values": [
                "*"
              ]
            }
          ],
          "DocumentName": "AWS-RunShellScript",
          "Parameters": {
            "commands": [
              "echo 'a b'"
            ]
          }
        }
        "#);
    }

    #[test]
    fn tags_of_one_key_are_alternatives() {
        let words = [
            "--tag",
            "site=north",
            "--tag",
            "site=south",
            "--tag",
            "kind=a=b",
            "--document",
            "My-Document",
            "--parameter",
            "level=3",
            "--parameter",
            "level=4",
            "--max-concurrency",
            "10%",
            "--max-errors",
            "2",
            "--timeout",
            "2h",
            "--comment",
            "text",
        ];
        insta::assert_snapshot!(sent(&words).unwrap(), @r#"
        {
          "Targets": [
            {
              "Key": "tag:kind",
              "Values": [
                "a=b"
              ]
            },
            {
              "Key": "tag:site",
              "Values": [
                "north",
                "south"
              ]
            }
          ],
          "DocumentName": "My-Document",
          "TimeoutSeconds": 7200,
          "Comment": "text",
          "Parameters": {
            "level": [
              "3",
              "4"
            ]
          },
          "MaxConcurrency": "10%",
          "MaxErrors": "2"
        }
        "#);
    }

    #[test]
    fn nodes_are_named() {
        let words = ["--node", "mi-1", "--node", "mi-2", "--parameter", "executionTimeout=60", "--", "a | b"];
        insta::assert_snapshot!(sent(&words).unwrap(), @r#"
        {
          "InstanceIds": [
            "mi-1",
            "mi-2"
          ],
          "DocumentName": "AWS-RunShellScript",
          "Parameters": {
            "commands": [
              "a | b"
            ],
            "executionTimeout": [
              "60"
            ]
          }
        }
        "#);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let too_many: Vec<_> = (0..51).flat_map(|_| ["--node", "mi-1"]).chain(["--", "x"]).collect();
        for wrong in [
            vec!["--", "x"],
            vec!["--all"],
            vec!["--all", "--node", "mi-1", "--", "x"],
            vec!["--all", "--tag", "a=b", "--", "x"],
            vec!["--node", "mi-1", "--tag", "a=b", "--", "x"],
            vec!["--all", "--document", "d", "--", "x"],
            vec!["--all", "--parameter", "commands=x", "--", "x"],
            vec!["--all", "--timeout", "soon", "--", "x"],
            vec!["--all", "x"],
            too_many,
        ] {
            assert!(sent(&wrong).is_err(), "{wrong:?}");
        }
        insta::assert_snapshot!(sent(&["--all"]).unwrap_err(), @"flotilla: nothing to run: write the command after --, as in `flotilla run --all -- uptime`");
    }

    #[test]
    fn looks_become_slower_to_a_limit() {
        let mut pause = FIRST_LOOK;
        for _ in 0..20 {
            pause = slower(pause);
        }
        assert_eq!(pause, SLOWEST_LOOK);
    }
}
