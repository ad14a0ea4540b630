//! `flotilla activation`: permits with which devices register.

use std::time::Duration;

use clap::{Args, Subcommand};
use flotilla_api::Timestamp;
use flotilla_api::activations::{
    Activation, CreateActivationRequest, CreateActivationResult, DeleteActivationRequest, DescribeActivationsRequest,
};
use flotilla_api::tags::Tag;

use super::date;
use crate::arguments::{NameValue, duration, name_value};
use crate::clock;
use crate::connection::Connection;
use crate::error::{CliError, SUCCESS};
use crate::output::{Format, Output};
use crate::paging::{self, PAGE_SIZE};
use crate::quoting::quote;

/// The API wants a role; a fleet gives it no meaning.
const ROLE: &str = "none";

/// Make, list and withdraw the permits with which devices register.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  flotilla activation create --name gateway --limit 20 --expires 7d --tag site=north
  flotilla activation list
  flotilla activation delete 0e4c1f3a-0000-4000-8000-000000000000")]
pub(crate) struct ActivationArguments {
    #[command(subcommand)]
    command: ActivationCommand,
}

#[derive(Debug, Subcommand)]
enum ActivationCommand {
    /// Make an activation and print its string, which is a secret, with the command for the device.
    #[command(after_help = "\
Examples:
  flotilla activation create
  flotilla activation create --name gateway --limit 20 --expires 7d --tag site=north
  flotilla activation create --output text | cut -f2     (the activation string alone)")]
    Create(CreateArguments),
    /// List activations; their strings are not shown again.
    #[command(after_help = "Example:\n  flotilla activation list --output json")]
    List,
    /// Withdraw an activation. Nodes that registered with it stay.
    #[command(after_help = "Example:\n  flotilla activation delete 0e4c1f3a-0000-4000-8000-000000000000")]
    Delete {
        /// Id of the activation.
        #[arg(value_name = "ID")]
        activation_id: String,
    },
}

#[derive(Debug, Args)]
struct CreateArguments {
    /// Name that nodes get when they register.
    #[arg(long)]
    name: Option<String>,
    /// How many devices may register with it, 1 to 1000.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..=1000))]
    limit: i32,
    /// How long devices may register: 90s, 15m, 24h, 7d.
    #[arg(long, default_value = "24h", value_parser = duration)]
    expires: Duration,
    /// Tag that nodes get when they register; may be given several times.
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = name_value)]
    tags: Vec<NameValue>,
}

pub(crate) fn run(connection: &Connection, output: Output, arguments: &ActivationArguments) -> Result<u8, CliError> {
    match &arguments.command {
        ActivationCommand::Create(create) => {
            let now_ms = clock::today().as_millisecond();
            let request = create_request(create, now_ms);
            let made = connection.client.call_repeatable(&request, clock::sleep);
            let look = || connection.command_line("activation list");
            let made = made.map_err(|error| CliError::of_repeated("the activation", error, look))?;
            match output.format {
                Format::Json => output.print_json(&made)?,
                Format::Text => output.print(&made_for_scripts(&made))?,
                Format::Table => output.print(&made_for_people(&made, &request))?,
            }
        }
        ActivationCommand::List => {
            let activations = paging::read(usize::MAX, |next_token| {
                let page = connection.client.call(&DescribeActivationsRequest {
                    max_results: Some(PAGE_SIZE),
                    next_token,
                    ..DescribeActivationsRequest::default()
                })?;
                Ok((page.activation_list, page.next_token))
            })?;
            output.print_list(&activations, &HEADER, row)?;
        }
        ActivationCommand::Delete { activation_id } => {
            let answer = connection.client.call(&DeleteActivationRequest { activation_id: activation_id.clone() })?;
            match output.format {
                Format::Json => output.print_json(&answer)?,
                Format::Table => output.print(&format!("activation {activation_id} is withdrawn\n"))?,
                Format::Text => {}
            }
        }
    }
    Ok(SUCCESS)
}

fn create_request(arguments: &CreateArguments, now_ms: i64) -> CreateActivationRequest {
    let lasts_ms = i64::try_from(arguments.expires.as_millis()).unwrap_or(i64::MAX);
    let tags: Vec<_> = arguments.tags.iter().map(|tag| Tag { key: tag.name.clone(), value: tag.value.clone() }).collect();
    CreateActivationRequest {
        iam_role: ROLE.to_owned(),
        default_instance_name: arguments.name.clone(),
        registration_limit: Some(arguments.limit),
        expiration_date: Some(Timestamp::from_milliseconds(now_ms.saturating_add(lasts_ms))),
        tags: Some(tags).filter(|tags| !tags.is_empty()),
        ..CreateActivationRequest::default()
    }
}

fn made_for_people(made: &CreateActivationResult, request: &CreateActivationRequest) -> String {
    let code = made.activation_code.as_deref().unwrap_or_default();
    format!(
        "activation  {id}\nlimit       {limit}\nexpires     {expires}\n\n\
         The activation string, shown only now; whoever has it can register:\n\n{code}\n\n\
         Run on the device:\n\n  flotilla-agent register --activation {quoted}\n",
        id = made.activation_id.as_deref().unwrap_or_default(),
        limit = request.registration_limit.unwrap_or(1),
        expires = date(request.expiration_date),
        quoted = always_quoted(code),
    )
}

/// In quotes even where the shell would not need them: people replace the string by another.
fn always_quoted(code: &str) -> String {
    let quoted = quote(code);
    if quoted.starts_with('\'') { quoted } else { format!("'{quoted}'") }
}

fn made_for_scripts(made: &CreateActivationResult) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    crate::output::lines(&[vec![text(&made.activation_id), text(&made.activation_code)]])
}

const HEADER: [&str; 6] = ["ACTIVATION", "NAME", "REGISTERED", "EXPIRES", "STATE", "TAGS"];

fn row(activation: &Activation) -> Vec<String> {
    let used = activation.registrations_count.unwrap_or(0);
    let limit = activation.registration_limit.unwrap_or(0);
    let state = match activation.expired {
        Some(true) => "expired",
        _ if used >= limit => "used up",
        _ => "open",
    };
    let tags: Vec<_> = activation.tags.iter().flatten().map(|tag| format!("{}={}", tag.key, tag.value)).collect();
    vec![
        activation.activation_id.clone().unwrap_or_default(),
        activation.default_instance_name.clone().unwrap_or_default(),
        format!("{used} of {limit}"),
        date(activation.expiration_date),
        state.to_owned(),
        tags.join(","),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::table;

    fn arguments() -> CreateArguments {
        let tag = NameValue { name: "site".to_owned(), value: "north".to_owned() };
        let expires = Duration::from_secs(86_400);
        CreateArguments { name: Some("gateway".to_owned()), limit: 20, expires, tags: vec![tag] }
    }

    #[test]
    fn the_string_comes_with_the_command_for_the_device() {
        let made = CreateActivationResult { activation_id: Some("an-id".to_owned()), activation_code: Some("fl1.abc.def".to_owned()) };
        let request = create_request(&arguments(), 1_763_764_000_000);
        insta::assert_snapshot!(made_for_people(&made, &request), @r"
        activation  an-id
        limit       20
        expires     2025-11-22T22:26:40Z

        The activation string, shown only now; whoever has it can register:

        fl1.abc.def

        Run on the device:

          flotilla-agent register --activation 'fl1.abc.def'
        ");
        assert_eq!(made_for_scripts(&made), "an-id\tfl1.abc.def\n");
    }

    #[test]
    fn activations_say_whether_they_can_be_used() {
        let activation = |used, expired| Activation {
            activation_id: Some("an-id".to_owned()),
            registration_limit: Some(2),
            registrations_count: Some(used),
            expired: Some(expired),
            tags: Some(vec![Tag { key: "site".to_owned(), value: "north".to_owned() }]),
            ..Activation::default()
        };
        let rows = [activation(1, false), activation(2, false), activation(0, true)].map(|entry| row(&entry));
        insta::assert_snapshot!(table(&HEADER, &rows), @r"
        ACTIVATION  NAME  REGISTERED  EXPIRES  STATE    TAGS
        an-id             1 of 2               open     site=north
        an-id             2 of 2               used up  site=north
        an-id             0 of 2               expired  site=north
        ");
    }
}
