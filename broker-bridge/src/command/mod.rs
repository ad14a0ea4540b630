//! The command line: `flotilla-bridge init`, `run`, `user` and the lesser ones.

mod ca;
pub(crate) mod init;
mod mosquitto;
mod run;
mod user;
mod webhook;

pub use init::{InitError, InitOptions, init};
pub use run::{RunError, registry, router, run};

use crate::clock::Clock;
use clap::{Parser, Subcommand};
use std::error::Error;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Flotilla's bridge between the broker, the fleet database and operators.
#[derive(Debug, Parser)]
#[command(name = "flotilla-bridge", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a new fleet: trust root, keys, certificates, database and the first admin's access key
    Init(InitOptions),
    /// Serve the API and speak to the nodes
    Run {
        /// The home that `init` made
        #[arg(long)]
        home: PathBuf,
    },
    /// Write a folder from which Mosquitto serves this fleet, instead of the broker inside the bridge
    Mosquitto(mosquitto::MosquittoOptions),
    /// Make a secret for a webhook of the settings, in a new file that only you can read
    WebhookSecret {
        /// The file to make; the setting webhooks.NAME.secret_file names it
        #[arg(long)]
        output: PathBuf,
    },
    /// Replace the fleet's certificate authority, without a visit to any node
    Ca {
        /// The home that `init` made
        #[arg(long, global = true, default_value = ".")]
        home: PathBuf,
        #[command(subcommand)]
        action: ca::Action,
    },
    /// Add, list and remove the users of the API
    User {
        /// The home that `init` made
        #[arg(long, global = true, default_value = ".")]
        home: PathBuf,
        #[command(subcommand)]
        action: user::Action,
    },
}

/// Reads the arguments of the process, does what they say, and tells how it went.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    start_log();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let done: Result<(), Box<dyn Error>> = runtime.block_on(async {
        let clock = Clock::system();
        match arguments.command {
            Command::Init(options) => {
                let message = init(&options, &clock).await?;
                say(&message)?;
            }
            Command::Run { home } => run(&home, clock).await?,
            Command::Mosquitto(options) => say(&mosquitto::write(&options, &clock)?)?,
            Command::WebhookSecret { output } => say(&webhook::make_secret(&output)?)?,
            Command::Ca { home, action } => say(&ca::perform(&home, &action, &clock).await?)?,
            Command::User { home, action } => say(&user::perform(&home, &action, &clock).await?)?,
        }
        Ok(())
    });
    // A thread that still waits for a webhook's answer must not keep the process from ending.
    runtime.shutdown_background();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error.as_ref()),
    }
}

/// The log goes to standard error, so that standard output holds answers only.
fn start_log() {
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false).with_ansi(false);
    if let Err(error) = log.try_init() {
        tracing::debug!(%error, "there is a log already");
    }
}

fn say(text: &str) -> Result<(), std::io::Error> {
    writeln!(std::io::stdout().lock(), "{text}")
}

fn fail(error: &dyn Error) -> ExitCode {
    let mut text = format!("flotilla-bridge: {error}");
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(&format!("\n  because: {source}"));
        next = source.source();
    }
    // Where standard error is closed nobody reads it, and the exit code still says it.
    drop(writeln!(std::io::stderr().lock(), "{text}"));
    ExitCode::FAILURE
}
