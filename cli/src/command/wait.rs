//! `flotilla wait`: waits until a command has ended, and tells the worst result as `run` does.

use std::time::Duration;

use clap::Args;

use crate::arguments::duration;
use crate::connection::Connection;
use crate::error::CliError;
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::waiting::Wait;

/// Wait until a command has ended, and show the results.
#[derive(Debug, Args)]
#[command(after_help = "\
The exit code is that of `run`: 0 when it succeeded on every node, 1 when it did not, 5 when it has not ended in time, 130 after Ctrl-C. \
The command goes on in both of the last cases.

Examples:
  flotilla wait 0198c0de-0000-7000-8000-000000000000
  flotilla wait 0198c0de-0000-7000-8000-000000000000 --node mi-0123456789abcdef0 --timeout 10m
  flotilla wait \"$(flotilla run --all --no-wait --output text -- uptime)\"")]
pub(crate) struct WaitArguments {
    /// Id of the command.
    #[arg(value_name = "COMMAND_ID")]
    command_id: String,
    /// Only until it has ended on this node.
    #[arg(long, value_name = "ID")]
    node: Option<String>,
    /// How long to wait: 90s, 15m, 24h, 7d.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = duration)]
    timeout: Duration,
}

pub(crate) fn run(connection: &Connection, output: Output, arguments: &WaitArguments) -> Result<u8, CliError> {
    let interrupt = Interrupt::listen()?;
    let node = arguments.node.as_deref();
    let wait = Wait { connection, command_id: &arguments.command_id, node, timeout: arguments.timeout };
    let outcome = wait.outcome(&interrupt)?;
    outcome.print(output)?;
    Ok(outcome.exit_code())
}
