//! `flotilla-bridge`: reads its arguments, runs one command, and says how it went.

use std::process::ExitCode;

fn main() -> ExitCode {
    flotilla_broker_bridge::command::main()
}
