//! The home: the bridge's own folder, with the nodes and the logs of the quickstart beside.

use std::ffi::OsStr;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{ConfigError, FileFormat};
use serde::de::DeserializeOwned;

use crate::binaries::{self, Binaries};
use crate::child;
use crate::error::QuickstartError;
use crate::ports::Ports;
use crate::signals::Signals;
use crate::story::{Step, say};

/// The home where none is named, in the clone.
const DEFAULT_HOME: &str = ".flotilla";
/// Name of the fleet, for people.
const FLEET_NAME: &str = "quickstart";
/// How long making a fleet may take: it needs well under a second, and slow storage does exist.
const INIT_LIMIT: Duration = Duration::from_secs(60);
/// Nobody's settings are longer.
const MAXIMUM_SETTINGS_BYTES: u64 = 64 * 1024;
/// Longest path of a local socket in bytes, without its final NUL.
const MAXIMUM_SOCKET_BYTES: usize = 107;

/// A home that holds a fleet and that nobody else runs, until it is dropped.
#[derive(Debug)]
pub(crate) struct Home {
    folder: PathBuf,
    pub(crate) ports: Ports,
    _lock: File,
}

impl Home {
    /// Takes the home; makes the fleet where there is none.
    pub(crate) fn open(wanted: Option<&Path>, binaries: &Binaries, signals: &Signals) -> Result<Self, QuickstartError> {
        let folder = absolute(wanted)?;
        let settings = folder.join("bridge.toml");
        if !settings.exists() {
            make_fleet(&folder, binaries, signals)?;
        } else {
            say(&format!("  the fleet in {} goes on", folder.display()));
        }
        let lock = lock(&folder)?;
        let ports = read_ports(&folder, &settings)?;
        ports.check_free(&settings)?;
        let home = Self { folder, ports, _lock: lock };
        make_folder(&home.nodes())?;
        Ok(home)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file with the access key.
    pub(crate) fn operator_env(&self) -> PathBuf {
        self.folder.join("operator.env")
    }

    pub(crate) fn bridge_log(&self) -> PathBuf {
        self.folder.join("bridge.log")
    }

    pub(crate) fn nodes(&self) -> PathBuf {
        self.folder.join("nodes")
    }

    /// A node's state folder.
    pub(crate) fn node(&self, number: u16) -> PathBuf {
        self.nodes().join(number.to_string())
    }

    pub(crate) fn node_log(&self, number: u16) -> PathBuf {
        self.nodes().join(format!("{number}.log"))
    }

    pub(crate) fn node_settings(&self, number: u16) -> PathBuf {
        self.nodes().join(format!("{number}.toml"))
    }
}

fn absolute(wanted: Option<&Path>) -> Result<PathBuf, QuickstartError> {
    let wanted = match wanted {
        Some(home) => home.to_owned(),
        None => binaries::workspace().unwrap_or_default().join(DEFAULT_HOME),
    };
    let refused = |reason| QuickstartError::Home { home: wanted.clone(), reason };
    let folder = std::path::absolute(&wanted).map_err(|source| QuickstartError::System { what: "find the current folder", source })?;
    if folder.to_str().is_none_or(|path| path.contains(char::is_control)) {
        return Err(refused("its name is not UTF-8, or has control characters"));
    }
    let longest = folder.join("nodes").join(crate::arguments::MAXIMUM_NODES.to_string()).join("agent.sock");
    if longest.as_os_str().len() > MAXIMUM_SOCKET_BYTES {
        return Err(refused("its path is too long for the agents' sockets, which Linux limits to 107 bytes"));
    }
    Ok(folder)
}

fn make_fleet(folder: &Path, binaries: &Binaries, signals: &Signals) -> Result<(), QuickstartError> {
    let step = Step::begin();
    let ports = Ports::choose()?;
    for (port, chosen) in ports.not_default() {
        say(&format!("  port {port} is taken by another program; this fleet uses {chosen} instead"));
    }
    let [api, broker, claim] = [ports.api(), ports.broker(), ports.claim()].map(|address| address.to_string());
    let arguments = ["init", "--name", FLEET_NAME, "--api-listen", &api, "--broker-listen", &broker, "--claim-listen", &claim, "--home"];
    let arguments: Vec<&OsStr> = arguments.into_iter().map(OsStr::new).chain([folder.as_os_str()]).collect();
    child::run("making the fleet", &binaries.bridge, &arguments, "", INIT_LIMIT, signals)?;
    step.done(&format!("made a fleet (keys, certificates, database) in {}", folder.display()));
    Ok(())
}

/// Taken after `init`, which wants the folder for itself. The file says who has it.
fn lock(folder: &Path) -> Result<File, QuickstartError> {
    let path = folder.join("quickstart.lock");
    let failed = |source| QuickstartError::Write { path: path.clone(), source };
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut process = String::new();
            // Who it is, is only said to help.
            drop(file.take(16).read_to_string(&mut process));
            return Err(QuickstartError::Running { home: folder.to_owned(), process: process.trim().to_owned() });
        }
        Err(TryLockError::Error(source)) => return Err(failed(source)),
    }
    file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(failed)?;
    Ok(file)
}

fn read_ports(folder: &Path, settings: &Path) -> Result<Ports, QuickstartError> {
    let unreadable = |source| QuickstartError::Read { path: settings.to_owned(), home: folder.to_owned(), source };
    let mut text = String::new();
    File::open(settings).map_err(unreadable)?.take(MAXIMUM_SETTINGS_BYTES).read_to_string(&mut text).map_err(unreadable)?;
    Ports::read(&text).map_err(|error| QuickstartError::Content { path: settings.to_owned(), what: error.to_string() })
}

/// Reads the members of interest; others are the programs' own.
pub(crate) fn read_toml<Read: DeserializeOwned>(text: &str) -> Result<Read, ConfigError> {
    config::Config::builder().add_source(config::File::from_str(text, FileFormat::Toml)).build()?.try_deserialize()
}

pub(crate) fn make_folder(path: &Path) -> Result<(), QuickstartError> {
    let made: io::Result<()> = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| QuickstartError::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_has_one_quickstart_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let held = lock(folder.path()).unwrap();
        let error = lock(folder.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        drop(held);
        lock(folder.path()).unwrap();
    }

    #[test]
    fn a_path_that_no_socket_takes_is_refused_before_anything_is_made() {
        let long = PathBuf::from(format!("/{}", "x".repeat(100)));
        assert!(absolute(Some(&long)).unwrap_err().to_string().contains("107 bytes"));
        assert_eq!(absolute(Some(Path::new("/srv/fleet"))).unwrap(), Path::new("/srv/fleet"));
    }
}
