//! `cargo quickstart`: from a fresh clone to a command that ran on a managed node, on real parts.
//!
//! It builds bridge, agent and command line, makes a fleet in one folder, starts a bridge with the embedded broker and an
//! agent for this machine, runs a first command through the API, and leaves it all running until Ctrl-C. It knows nothing
//! that an operator does not know: everything goes over the programs' command lines and the API.

mod arguments;
mod binaries;
mod child;
mod clock;
mod error;
mod first_command;
mod home;
mod nodes;
mod ports;
mod quickstart;
mod session;
mod signals;
mod story;

use std::process::ExitCode;

use clap::Parser as _;

use crate::arguments::Arguments;
use crate::error::{QuickstartError, report};
use crate::signals::Signals;

/// Something went wrong, or the first command did.
const FAILED: u8 = 1;
/// Ended by Ctrl-C before there was a result, by the custom of shells.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|word| word == child::ROLE) {
        return child::become_program(words);
    }
    let arguments = Arguments::parse();
    // Before anything is started: threads and children are to begin with the signals blocked.
    let signals = match Signals::block() {
        Ok(signals) => signals,
        Err(error) => return report(&error, FAILED),
    };
    match quickstart::run(&arguments, signals) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FAILED),
        Err(error @ QuickstartError::Interrupted) => report(&error, INTERRUPTED),
        Err(error) => report(&error, FAILED),
    }
}
