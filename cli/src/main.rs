//! `flotilla`, the operator's command line: over the API only, like every other client of it. Operators' own keys and the trust that they
//! sign are files here, and no bridge takes part.

mod arguments;
mod bundles;
mod clock;
mod command;
mod comparison;
mod connection;
mod difference;
mod error;
mod files;
mod interrupt;
mod invocation;
mod keys;
mod output;
mod paging;
mod progress;
mod quoting;
mod state;
mod waiting;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;

use crate::arguments::Arguments;

fn main() -> ExitCode {
    match command::run(Arguments::parse()) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            // When even standard error is gone, the exit code is all that is left to tell.
            drop(io::stderr().write_all(error.report().as_bytes()));
            ExitCode::from(error.exit_code())
        }
    }
}
