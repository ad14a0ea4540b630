//! `flotilla commands`: what was sent, how it went, and stopping it.

use clap::{Args, Subcommand};
use flotilla_api::commands::{CancelCommandRequest, Command, ListCommandsRequest};

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
    #[command(after_help = "Example:\n  flotilla commands show 0198c0de-0000-7000-8000-000000000000 --output json")]
    Show {
        /// Id of the command.
        #[arg(value_name = "ID")]
        command_id: String,
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
    /// How many to list at most.
    #[arg(long, default_value_t = 20)]
    limit: usize,
}

pub(crate) fn run(connection: &Connection, output: Output, arguments: &CommandsArguments) -> Result<u8, CliError> {
    match &arguments.command {
        None => list(connection, output, &arguments.list)?,
        Some(CommandsCommand::List(arguments)) => list(connection, output, arguments)?,
        Some(CommandsCommand::Show { command_id }) => {
            let command = invocation::command(&connection.client, command_id)?;
            if output.format == Format::Table {
                output.print(&crate::output::table(&HEADER, &[row(&command)]))?;
                output.print("\n")?;
            }
            invocation::outcome(&connection.client, command)?.print(output)?;
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
            max_results: Some(page_size),
            next_token,
            ..ListCommandsRequest::default()
        })?;
        Ok((page.commands, page.next_token))
    })?;
    output.print_list(&commands, &HEADER, row)
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
