//! THE LIST of commands. To add one: a file here that is complete (arguments with examples, what it does, tests), a
//! line in [`Command`] and a line in the function `run`.

mod activation;
mod audit;
mod commands;
mod completion;
mod documents;
mod groups;
mod inventory;
mod keys;
mod man;
mod nodes;
pub(crate) mod orders;
mod run;
mod tags;
pub(crate) mod trust;
mod wait;

use clap::Subcommand;

use crate::arguments::Arguments;
use crate::connection::Connection;
use crate::error::CliError;
use crate::output::Output;

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Nodes(Box<nodes::NodesArguments>),
    Activation(activation::ActivationArguments),
    Run(Box<run::RunArguments>),
    Wait(wait::WaitArguments),
    Commands(commands::CommandsArguments),
    Orders(Box<orders::OrdersArguments>),
    Documents(documents::DocumentsArguments),
    Groups(groups::GroupsArguments),
    Tags(tags::TagsArguments),
    Inventory(Box<inventory::InventoryArguments>),
    Keys(keys::KeyCommandArguments),
    Trust(trust::TrustArguments),
    Audit(audit::AuditArguments),
    Completion(completion::CompletionArguments),
    Man(man::ManArguments),
}

/// Does what the arguments say; the result is the exit code.
pub(crate) fn run(arguments: Arguments) -> Result<u8, CliError> {
    let output = Output::new(arguments.global.output);
    let open = || Connection::open(&arguments.global);
    match arguments.command {
        Command::Nodes(command) => nodes::run(&open()?, output, &command),
        Command::Activation(command) => activation::run(&open()?, output, &command),
        Command::Run(command) => {
            // What cannot be meant is said before the settings are asked for.
            let request = run::request(&command)?;
            run::run(&open()?, output, &command, &request)
        }
        Command::Commands(command) => commands::run(&open()?, output, &command),
        Command::Orders(command) => orders::run(&open()?, output, &command),
        Command::Wait(command) => wait::run(&open()?, output, &command),
        // One of them needs no bridge.
        Command::Documents(command) => documents::run(open, output, &command),
        Command::Groups(command) => groups::run(&open()?, output, &command),
        Command::Tags(command) => tags::run(&open()?, output, &command),
        Command::Inventory(command) => inventory::run(&open()?, output, &command),
        Command::Keys(command) => keys::run(output, &command),
        // Most of them need no bridge.
        Command::Trust(command) => trust::run(open, output, &command),
        // An export is checked without a bridge.
        Command::Audit(command) => audit::run(open, output, &command),
        Command::Completion(command) => completion::run(output, &command),
        Command::Man(command) => man::run(output, &command),
    }
}

/// A timestamp of the API for people: UTC, whole seconds.
fn date(time: Option<flotilla_api::Timestamp>) -> String {
    let time = time.and_then(|time| jiff::Timestamp::from_millisecond(time.milliseconds()).ok());
    time.map_or_else(String::new, |time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}
