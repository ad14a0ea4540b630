//! `flotilla commands`: what was sent, how it went, and stopping it.

use clap::{Args, Subcommand};
use flotilla_api::commands::{CancelCommandRequest, Command, CommandFilter, ListCommandsRequest};

use super::date;
use crate::connection::Connection;
use crate::error::{CliError, SUCCESS};
use crate::invocation;
use crate::output::{Format, Output};
use crate::paging::{self, PAGE_SIZE};

const EXAMPLES: &str = "\
Examples:
  flotilla commands
  flotilla commands list --limit 100 --node mi-0123456789abcdef0
  flotilla commands list --status Failed --after 2026-11-21T08:00:00Z
  flotilla commands show 0198c0de-0000-7000-8000-000000000000
  flotilla commands cancel 0198c0de-0000-7000-8000-000000000000";

/// List commands, show their results, stop them.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub(crate) struct CommandsArguments {
    #[command(subcommand)]
    command: Option<CommandsCommand>,
    #[command(flatten)]
    list: ListArguments,
}

#[derive(Debug, Subcommand)]
enum CommandsCommand {
    /// List commands, newest first.
    #[command(after_help = EXAMPLES)]
    List(ListArguments),
    /// Show a command on every node, with output.
    #[command(
        after_help = "Example:\n  flotilla commands show 0198c0de-0000-7000-8000-000000000000 --node mi-0123456789abcdef0 --output json"
    )]
    Show {
        /// Id of the command.
        #[arg(value_name = "ID")]
        command_id: String,
        /// Only on this node.
        #[arg(long, value_name = "ID")]
        node: Option<String>,
        /// The whole output that the bridge keeps, not only its beginning as calls give it.
        #[arg(long)]
        whole: bool,
    },
    /// Ask that a command be stopped; what has ended stays as it is.
    #[command(after_help = "\
Examples:
  flotilla commands cancel 0198c0de-0000-7000-8000-000000000000
  flotilla commands cancel 0198c0de-0000-7000-8000-000000000000 --node mi-0123456789abcdef0")]
    Cancel {
        /// Id of the command.
        #[arg(value_name = "ID")]
        command_id: String,
        /// Only on this node; may be given several times.
        #[arg(long = "node", value_name = "ID")]
        nodes: Vec<String>,
    },
}

#[derive(Debug, Args)]
struct ListArguments {
    /// Only commands to this node.
    #[arg(long, value_name = "ID")]
    node: Option<String>,
    /// Only commands in this state, such as Success, Failed or InProgress.
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,
    /// Only commands in this stage: Executing or Complete.
    #[arg(long, value_name = "STAGE")]
    stage: Option<String>,
    /// Only commands that ran this document.
    #[arg(long, value_name = "NAME")]
    document: Option<String>,
    /// Only commands that were sent after this time, such as 2026-11-21T08:00:00Z.
    #[arg(long, value_name = "TIME")]
    after: Option<String>,
    /// Only commands that were sent before this time.
    #[arg(long, value_name = "TIME")]
    before: Option<String>,
    /// How many to list at most.
    #[arg(long, default_value_t = 20)]
    limit: usize,
}

pub(crate) fn run(connection: &Connection, output: Output, arguments: &CommandsArguments) -> Result<u8, CliError> {
    match &arguments.command {
        None => list(connection, output, &arguments.list)?,
        Some(CommandsCommand::List(arguments)) => list(connection, output, arguments)?,
        Some(CommandsCommand::Show { command_id, node, whole }) => {
            let command = invocation::command(&connection.client, command_id)?;
            if output.format == Format::Table {
                output.print(&crate::output::table(&HEADER, &[row(&command)]))?;
                output.print("\n")?;
            }
            let mut outcome = invocation::outcome(&connection.client, command, node.as_deref())?;
            if *whole {
                outcome.fetch_whole(&connection.client)?;
            }
            outcome.print(output)?;
        }
        Some(CommandsCommand::Cancel { command_id, nodes }) => {
            let answer = connection.client.call(&CancelCommandRequest {
                command_id: command_id.clone(),
                instance_ids: Some(nodes.clone()).filter(|nodes| !nodes.is_empty()),
            })?;
            match output.format {
                Format::Json => output.print_json(&answer)?,
                Format::Table => {
                    let look = connection.command_line(&format!("commands show {command_id}"));
                    output.print(&format!("asked to stop {command_id}; see what came of it: {look}\n"))?;
                }
                Format::Text => {}
            }
        }
    }
    Ok(SUCCESS)
}

fn list(connection: &Connection, output: Output, arguments: &ListArguments) -> Result<(), CliError> {
    let page_size = i32::try_from(arguments.limit).unwrap_or(PAGE_SIZE).clamp(1, PAGE_SIZE);
    let commands = paging::read(arguments.limit, |next_token| {
        let page = connection.client.call(&ListCommandsRequest {
            instance_id: arguments.node.clone(),
            filters: filters(arguments),
            max_results: Some(page_size),
            next_token,
            ..ListCommandsRequest::default()
        })?;
        Ok((page.commands, page.next_token))
    })?;
    output.print_list(&commands, &HEADER, row)
}

fn filters(arguments: &ListArguments) -> Option<Vec<CommandFilter>> {
    let all = [
        ("Status", &arguments.status),
        ("ExecutionStage", &arguments.stage),
        ("DocumentName", &arguments.document),
        ("InvokedAfter", &arguments.after),
        ("InvokedBefore", &arguments.before),
    ];
    let given = all.into_iter().filter_map(|(key, value)| Some(CommandFilter { key: key.to_owned(), value: value.clone()? }));
    Some(given.collect::<Vec<_>>()).filter(|filters| !filters.is_empty())
}

const HEADER: [&str; 7] = ["COMMAND", "REQUESTED", "DOCUMENT", "STATUS", "ENDED", "ERRORS", "COMMENT"];

fn row(command: &Command) -> Vec<String> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    vec![
        text(&command.command_id),
        date(command.requested_date_time),
        text(&command.document_name),
        text(&command.status),
        format!("{} of {}", command.completed_count.unwrap_or(0), command.target_count.unwrap_or(0)),
        command.error_count.unwrap_or(0).to_string(),
        text(&command.comment),
    ]
}

#[cfg(test)]
mod tests {
    use flotilla_api::Timestamp;

    use super::*;
    use crate::output::table;

    #[test]
    fn a_command_is_a_line() {
        let some = |text: &str| Some(text.to_owned());
        let command = Command {
            command_id: some("0198c0de-0000-7000-8000-000000000000"),
            document_name: some("AWS-RunShellScript"),
            status: some("InProgress"),
            requested_date_time: Some(Timestamp::from_milliseconds(1_763_764_000_000)),
            target_count: Some(4),
            completed_count: Some(3),
            error_count: Some(1),
            ..Command::default()
        };
        insta::assert_snapshot!(table(&HEADER, &[row(&command)]), @r"
        COMMAND                               REQUESTED             DOCUMENT            STATUS      ENDED   ERRORS  COMMENT
        0198c0de-0000-7000-8000-000000000000  2025-11-21T22:26:40Z  AWS-RunShellScript  InProgress  3 of 4  1
        ");
    }
}
