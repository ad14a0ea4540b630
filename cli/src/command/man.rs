//! `flotilla man`: the manual pages, made from the same definition as `--help`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory as _};

use crate::arguments::Arguments;
use crate::error::{CliError, SUCCESS};
use crate::output::Output;

/// Write the manual pages.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  flotilla man | man -l -
  flotilla man --directory /usr/local/share/man/man1")]
pub(crate) struct ManArguments {
    /// Write a page for every command into this folder, which is made where it is missing [default: print the first page].
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

pub(crate) fn run(output: Output, arguments: &ManArguments) -> Result<u8, CliError> {
    let definition = Arguments::command();
    match &arguments.directory {
        Some(directory) => {
            let written = fs::create_dir_all(directory).and_then(|()| clap_mangen::generate_to(definition, directory));
            written.map_err(|error| unwritable(directory, &error))?;
        }
        None => {
            let mut page = Vec::new();
            // As for pages in a folder, where `help` has none.
            clap_mangen::Man::new(definition.disable_help_subcommand(true)).render(&mut page)?;
            output.print(&String::from_utf8_lossy(&page))?;
        }
    }
    Ok(SUCCESS)
}

fn unwritable(directory: &Path, error: &io::Error) -> CliError {
    CliError::Usage(format!("{} cannot be written: {error}", directory.display()))
}
