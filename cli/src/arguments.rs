//! What can be written on the command line, apart from what each command adds, and the forms of single values.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser};

use crate::command::Command;
use crate::output::Format;

const GLOBAL: &str = "Global options";

const EXIT_CODES: &str = "\
Exit codes:
  0    done; for `run` and `wait`: the command succeeded on every node
  1    the command ran, and on at least one node it did not succeed; for `documents diff`: there is a difference; for \
`documents lint`: there are errors; for `trust`: bundles do not hold, have run out, or lack signatures; for `audit verify`: the log was \
changed, or reports of nodes were hidden or forged; for `orders` and `run --sign`: what the bridge gives does not hold, and nothing was signed
  2    wrong usage or settings
  3    the bridge refused the request
  4    the bridge cannot be reached
  5    waiting took longer than --wait-timeout of `run` or --timeout of `wait`; the command goes on
  6    the output could not be written
  130  interrupted while waiting; the command goes on

Credentials come from the environment (AWS_ENDPOINT_URL_SSM, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, \
AWS_CA_BUNDLE) or from operator.env in the folder that --home names; never from arguments.

Examples:
  flotilla --home DIR nodes
  flotilla activation create --name gateway
  flotilla run --all -- uptime
  flotilla documents lint disk-report.yaml";

/// Runs commands on a fleet of devices and looks at the results.
#[derive(Debug, Parser)]
#[command(name = "flotilla", version, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: GlobalArguments,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that every command takes.
#[derive(Debug, Args)]
pub(crate) struct GlobalArguments {
    /// Address of the bridge, https://host:port, or http:// to this machine [default: from the settings].
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "URL")]
    pub(crate) endpoint_url: Option<String>,
    /// Folder with an operator.env, as quickstart and `flotilla-bridge init` write it.
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
    /// Region that signatures name [default: from the settings, else us-east-1].
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub(crate) region: Option<String>,
    /// PEM file with the certificate authority of the bridge.
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "FILE")]
    pub(crate) ca_certificate: Option<PathBuf>,
    /// Form of the output [default: table on a terminal, else text].
    #[arg(long, global = true, help_heading = GLOBAL, value_enum, action = ArgAction::Set)]
    pub(crate) output: Option<Format>,
}

/// A name and its value, written `name=value`; the value may hold further equals signs and may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NameValue {
    pub(crate) name: String,
    pub(crate) value: String,
}

/// Reads `name=value`.
pub(crate) fn name_value(text: &str) -> Result<NameValue, String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok(NameValue { name: name.to_owned(), value: value.to_owned() }),
        _ => Err("write name=value".to_owned()),
    }
}

/// Reads a duration of one number and one unit: 90s, 15m, 24h, 7d.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, u64); 4] = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)];
    let wrong = || "write a number and a unit, such as 90s, 15m, 24h or 7d".to_owned();
    let (number, seconds) = UNITS.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, *seconds))).ok_or_else(wrong)?;
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let number: u64 = number.parse().map_err(|_error| wrong())?;
    // A century is past every limit of the API, and keeps additions to the present far from overflow.
    const MAXIMUM_SECONDS: u64 = 100 * 366 * 86_400;
    match number.checked_mul(seconds) {
        Some(total) if total <= MAXIMUM_SECONDS => Ok(Duration::from_secs(total)),
        _ => Err("that is longer than a century".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_of_arguments_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples_in_its_help() {
        fn check(command: &clap::Command) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Example"), "{} has no examples", command.get_name());
            command.get_subcommands().for_each(check);
        }
        check(&Arguments::command());
    }

    #[test]
    fn durations() {
        for (text, seconds) in [("0s", 0), ("90s", 90), ("15m", 900), ("24h", 86_400), ("7d", 604_800)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for wrong in ["", "s", "5", "-5s", "+5s", "1.5h", "5 m", "1h30m", "5w", "99999999999999999999d", "1000000d"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_and_values() {
        let pair = |name: &str, value: &str| Ok(NameValue { name: name.to_owned(), value: value.to_owned() });
        assert_eq!(name_value("site=north"), pair("site", "north"));
        assert_eq!(name_value("commands=a=b"), pair("commands", "a=b"));
        assert_eq!(name_value("site="), pair("site", ""));
        assert!(name_value("site").is_err() && name_value("=north").is_err());
    }
}
