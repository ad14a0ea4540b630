//! Why a quickstart did not come to its end: every text says what to do next.

use std::error::Error;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use flotilla_api::client::{CallError, SettingsError};

/// See the module.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QuickstartError {
    /// Ctrl-C or SIGTERM.
    #[error("stopped before there was a result")]
    Interrupted,
    /// The system refuses something that every system gives.
    #[error("cannot {what}")]
    System {
        what: &'static str,
        #[source]
        source: io::Error,
    },
    /// cargo cannot be started.
    #[error("cannot start {}; install Rust from https://rustup.rs, or build first and use --no-build", .cargo.display())]
    NoCargo {
        cargo: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The build failed, and cargo has said why.
    #[error("the build failed ({status}); cargo's own words are above. Debian needs the package build-essential")]
    Build { status: ExitStatus },
    /// A program is not where it should be.
    #[error("{} is missing; run without --no-build, or: cargo build --workspace", .path.display())]
    NoBinary { path: PathBuf },
    /// A program cannot be started.
    #[error("cannot start {}", .program.display())]
    Start {
        program: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A short-lived program said no.
    #[error("{what} failed ({status}):\n{said}")]
    Step { what: &'static str, status: ExitStatus, said: String },
    /// A short-lived program took too long.
    #[error("{what} took longer than {} s and was stopped:\n{said}", .limit.as_secs())]
    StepTimeout { what: &'static str, limit: Duration, said: String },
    /// A file or folder of the home.
    #[error("cannot write {}; choose a folder of your own with --home, or make room", .path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A file of the home cannot be read.
    #[error("cannot read {}; is {} whole? Remove the folder to start anew", .path.display(), .home.display())]
    Read {
        path: PathBuf,
        home: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A file of the home holds something else.
    #[error("{} cannot be used: {what}; correct it, or remove the folder to start anew", .path.display())]
    Content { path: PathBuf, what: String },
    /// Another quickstart has the home.
    #[error("a quickstart runs on {} already (process {process}); stop it with Ctrl-C where it runs, or choose another --home", .home.display())]
    Running { home: PathBuf, process: String },
    /// The home's path is not usable.
    #[error("{} cannot be the home: {reason}; choose another with --home", .home.display())]
    Home { home: PathBuf, reason: &'static str },
    /// A port of an existing fleet is taken.
    #[error(
        "{address} is in use by another program, and this fleet needs it ({setting} in {}). `ss -ltnp 'sport = :{}'` shows \
         which program it is. Stop that one, or make another fleet with --home DIR, which takes free ports",
        .file.display(), .address.port()
    )]
    PortTaken { address: std::net::SocketAddr, setting: &'static str, file: PathBuf },
    /// An address of an existing fleet cannot be listened on for another reason.
    #[error("cannot listen on {address} ({setting} in {})", .file.display())]
    Listen {
        address: std::net::SocketAddr,
        setting: &'static str,
        file: PathBuf,
        #[source]
        source: io::Error,
    },
    /// No port is free.
    #[error("the system gives no free port on 127.0.0.1")]
    NoPort(#[source] io::Error),
    /// The access key.
    #[error("the access key cannot be used")]
    AccessKey(#[from] SettingsError),
    /// The API said no.
    #[error("the API refused")]
    Call(#[from] CallError),
    /// The API answered without a member that it always has.
    #[error("the bridge's answer to {operation} lacks {member}: a fault in the bridge, please report it")]
    Answer { operation: &'static str, member: &'static str },
    /// A process that was to go on has ended.
    #[error("{name} ended unexpectedly ({status}). Its log is {}; the last lines:\n{last_lines}", .log.display())]
    Died { name: String, status: ExitStatus, log: PathBuf, last_lines: String },
    /// Something did not happen in time.
    #[error("{what} did not happen within {} s; see the logs: {}", .limit.as_secs(), .logs.display())]
    Timeout { what: String, limit: Duration, logs: PathBuf },
}

/// Says on standard error what went wrong, with its causes.
pub(crate) fn report(error: &dyn Error, code: u8) -> ExitCode {
    let mut text = format!("quickstart: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!("\n  because: {error}"));
        cause = error.source();
    }
    // Where standard error is closed nobody reads it, and the exit code still tells.
    drop(writeln!(io::stderr().lock(), "{text}"));
    ExitCode::from(code)
}
