//! `flotilla-agent`: parses the command line, runs one role, and maps its end to an exit code.

use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;

use flotilla_agent::arguments::{self, ActivationFrom, Command};
use flotilla_agent::inventory::collect;
use flotilla_agent::job::clean;
use flotilla_agent::settings::Settings;
use flotilla_agent::{clock, exec, job, link, ownership, process, register, step, supervise};

/// The role could not do its work.
const FAILED: u8 = 1;
/// The command line or the settings are wrong.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    match arguments::parse(std::env::args_os().skip(1)) {
        Ok(command) => run(command),
        Err(error) => failed(&error, USAGE),
    }
}

fn run(command: Command) -> ExitCode {
    match command {
        Command::Help => print(arguments::HELP),
        Command::Version => print(concat!("flotilla-agent ", env!("CARGO_PKG_VERSION"), "\n")),
        Command::Step { plan } => match step::step_process::run(&plan) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&error, error.exit_code()),
        },
        Command::Clean { folder, downloads } => {
            let done = if downloads { clean::remove_downloads(&folder, std::io::stdin()) } else { clean::remove_folder(&folder) };
            done.map_or_else(|error| failed(&error, FAILED), |()| ExitCode::SUCCESS)
        }
        Command::Collect { folder, supervisor, cgroup } => {
            begin();
            collect::run(&folder, supervisor, cgroup.as_deref()).map_or_else(|error| failed(&error, FAILED), |()| ExitCode::SUCCESS)
        }
        Command::Job { folder, attempt, boot_id_file, cgroup } => with_runtime(async {
            if let Some(file) = boot_id_file {
                clock::use_boot_id_of(file);
            }
            match job::run(&folder, attempt, cgroup.as_deref()).await {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => failed(&error, error.exit_code()),
            }
        }),
        Command::Register { settings, activation, again } => with_settings(&settings, async |settings| {
            let activation = match activation {
                ActivationFrom::Argument(text) => text,
                ActivationFrom::Input => register::activation_line(std::io::stdin())?,
                ActivationFrom::File(file) => register::activation_file(&file)?,
            };
            let registered = register::register(&settings, &activation, again).await?;
            writeln!(std::io::stdout(), "{}", registered.node)?;
            Ok(())
        }),
        Command::Run { settings: file } => with_settings(&file.clone(), async |settings| Ok(supervise::run(&settings, &file).await?)),
        Command::Prepare { settings } => with_settings(&settings, async |settings| Ok(ownership::establish(&settings)?)),
        Command::Link { settings, supervisor } => confined_link(&settings, supervisor),
        Command::Exec { settings, supervisor, restarts } => with_settings(&settings, async |settings| {
            process::stop_with_supervisor(supervisor)?;
            Ok(exec::run(settings, restarts).await?)
        }),
    }
}

/// The link without the rights of whoever started it. They are given up before there is a second thread, and before the kernel is asked to
/// stop it with its supervisor: a change of user would revoke that.
fn confined_link(file: &arguments::SettingsFile, supervisor: Option<u32>) -> ExitCode {
    let settings = match Settings::load(file) {
        Ok(settings) => settings,
        Err(error) => return failed(&error, USAGE),
    };
    begin();
    if let Err(error) = link::confine(&settings) {
        return failed(&error, FAILED);
    }
    in_runtime(async {
        if let Err(error) = process::stop_with_supervisor(supervisor) {
            return failed(&error, FAILED);
        }
        match link::run(settings).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&error, FAILED),
        }
    })
}

fn with_settings(file: &arguments::SettingsFile, role: impl AsyncFnOnce(Settings) -> Result<(), Box<dyn Error>>) -> ExitCode {
    let settings = match Settings::load(file) {
        Ok(settings) => settings,
        Err(error) => return failed(&error, USAGE),
    };
    with_runtime(async {
        match role(settings).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(error.as_ref(), FAILED),
        }
    })
}

fn with_runtime(role: impl Future<Output = ExitCode>) -> ExitCode {
    begin();
    in_runtime(role)
}

/// What every role does first.
fn begin() {
    process::end_at_any_panic();
    // A log that cannot be written is no reason to stop: its reader may be gone.
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).with_target(false).log_internal_errors(false).init();
}

fn in_runtime(role: impl Future<Output = ExitCode>) -> ExitCode {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let code = runtime.block_on(role);
            // A name that is being looked up, or a read that hangs, does not keep the process.
            runtime.shutdown_background();
            code
        }
        Err(error) => failed(&error, FAILED),
    }
}

fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(FAILED),
    }
}

/// Says on standard error what went wrong, in one line with its causes.
fn failed(error: &(dyn Error + 'static), code: u8) -> ExitCode {
    let mut text = format!("flotilla-agent: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    // When standard error is gone, the exit code still tells.
    let _written = writeln!(std::io::stderr(), "{text}");
    ExitCode::from(code)
}
