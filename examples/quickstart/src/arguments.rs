//! What can be written on the command line.

use std::path::PathBuf;

use clap::Parser;

/// Most nodes on this machine: as many as one request of the API can name.
pub(crate) const MAXIMUM_NODES: u16 = 50;

/// Starts a small fleet on this machine and runs a first command on it.
///
/// Builds Flotilla, starts a bridge with its embedded broker and an agent for this machine, runs a command through the
/// API, and leaves everything running until Ctrl-C. The next start goes on with the same fleet.
#[derive(Debug, Parser)]
#[command(
    name = "cargo quickstart",
    bin_name = "cargo quickstart",
    version,
    after_help = "\
Examples:
  cargo quickstart
  cargo quickstart --nodes 3
  cargo quickstart --home /tmp/trial --once     (stop after the first result; the exit status tells)

Everything is in the home folder: the fleet's keys and database, operator.env (the access key), logs, and the nodes' state.
To start anew, stop it and remove the folder."
)]
pub(crate) struct Arguments {
    /// Folder with all state [default: .flotilla in the clone]
    #[arg(long, value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
    /// Agents on this machine, 1 to 50 [default: as many as the home has, else 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=i64::from(MAXIMUM_NODES)))]
    pub(crate) nodes: Option<u16>,
    /// Stop after the first command's result; the exit status is 0 only when it succeeded
    #[arg(long)]
    pub(crate) once: bool,
    /// Use the programs beside this one as they are
    #[arg(long)]
    pub(crate) no_build: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_definition_of_arguments_is_sound() {
        Arguments::command().debug_assert();
        assert!(Arguments::try_parse_from(["quickstart", "--nodes", "50"]).is_ok());
        for wrong in [["quickstart", "--nodes", "0"], ["quickstart", "--nodes", "51"], ["quickstart", "--node", "1"]] {
            assert!(Arguments::try_parse_from(wrong).is_err(), "{wrong:?}");
        }
    }
}
