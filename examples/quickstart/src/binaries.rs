//! The programs of the fleet: built, and found beside this one.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use crate::child;
use crate::error::QuickstartError;
use crate::signals::Signals;
use crate::story::{Step, say};

/// What is built.
const PACKAGES: [&str; 3] = ["flotilla-broker-bridge", "flotilla-agent", "flotilla-cli"];
/// What `cargo run` sets for the program that it runs. To the cargo that we start they would be changes, for which it
/// would build some crates anew.
const SET_BY_CARGO: [&str; 4] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];

/// Where the programs are.
#[derive(Debug)]
pub(crate) struct Binaries {
    pub(crate) bridge: PathBuf,
    pub(crate) agent: PathBuf,
    pub(crate) command_line: PathBuf,
}

/// The folder of the workspace: `cargo run` says where this package is.
pub(crate) fn workspace() -> Option<PathBuf> {
    let package = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR")?);
    let workspace = package.parent()?.parent()?;
    workspace.join("Cargo.lock").exists().then(|| workspace.to_owned())
}

/// Builds the programs unless told not to, and finds them.
pub(crate) fn prepare(build_first: bool, signals: &Signals) -> Result<Binaries, QuickstartError> {
    let own = std::env::current_exe().map_err(|source| QuickstartError::System { what: "find this program's own file", source })?;
    let folder = own.parent().map(Path::to_owned).unwrap_or_default();
    if build_first {
        build(&folder, signals)?;
    }
    let find = |name: &str| {
        let path = folder.join(name);
        if path.is_file() { Ok(path) } else { Err(QuickstartError::NoBinary { path }) }
    };
    Ok(Binaries { bridge: find("flotilla-bridge")?, agent: find("flotilla-agent")?, command_line: find("flotilla")? })
}

fn build(folder: &Path, signals: &Signals) -> Result<(), QuickstartError> {
    let cargo = PathBuf::from(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    say("  building the bridge, the agent and the command line; the first time this takes some minutes");
    let step = Step::begin();
    let mut command = child::bound(&cargo);
    command.args(["build", "--quiet", "--bins"]).args(PACKAGES.iter().flat_map(|package| ["--package", package]));
    // As this program itself was built, since they are looked for in its folder.
    if folder.file_name() == Some(OsStr::new("release")) {
        command.arg("--release");
    }
    if let Some(workspace) = workspace() {
        command.current_dir(workspace);
    }
    for (name, _) in std::env::vars_os() {
        if SET_BY_CARGO.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    let status = child::run_on_terminal(command, signals).map_err(|source| match source.kind() {
        io::ErrorKind::Interrupted => QuickstartError::Interrupted,
        _ => QuickstartError::NoCargo { cargo: cargo.clone(), source },
    })?;
    match status.code() {
        Some(0) => {
            step.done("built");
            Ok(())
        }
        Some(127) => Err(QuickstartError::NoCargo { cargo, source: io::Error::from(io::ErrorKind::NotFound) }),
        _ => Err(QuickstartError::Build { status }),
    }
}
