//! Package managers: what is installed, read from their own databases, a line at a time.
//!
//! THE LIST is [`Manager::ALL`]. To add one: a file here that reads its database, a line there, and what it writes in `tests/captured`.

pub mod apk;
mod database;
pub mod dpkg;
pub mod pacman;
pub mod rpm;

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

use flotilla_protocol::capability::inventory::MAXIMUM_ENTRIES;
use thiserror::Error;

/// Longest of a package's texts that is kept, in bytes.
const MAXIMUM_TEXT_BYTES: usize = 256;
/// Piece in which a database is read, in bytes.
const READ_BYTES: usize = 16 * 1024;

/// A package manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    /// dpkg and apt.
    Dpkg,
    /// opkg.
    Opkg,
    /// apk.
    Apk,
    /// pacman.
    Pacman,
    /// rpm and dnf, yum or zypper.
    Rpm,
}

impl Manager {
    /// THE LIST.
    pub const ALL: [Self; 5] = [Self::Dpkg, Self::Opkg, Self::Apk, Self::Pacman, Self::Rpm];

    /// Its name as an inventory says it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dpkg => "dpkg",
            Self::Opkg => "opkg",
            Self::Apk => "apk",
            Self::Pacman => "pacman",
            Self::Rpm => "rpm",
        }
    }

    /// Where its database may be: a file, or a folder for pacman and rpm.
    const fn databases(self) -> &'static [&'static str] {
        match self {
            Self::Dpkg => &["/var/lib/dpkg/status"],
            Self::Opkg => &["/usr/lib/opkg/status", "/var/lib/opkg/status", "/opt/lib/opkg/status"],
            Self::Apk => &["/lib/apk/db/installed", "/usr/lib/apk/db/installed"],
            Self::Pacman => &["/var/lib/pacman/local"],
            Self::Rpm => &["/usr/lib/sysimage/rpm", "/var/lib/rpm"],
        }
    }
}

/// Whether a package is well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum State {
    /// It is.
    #[default]
    Installed,
    /// It is, and somebody keeps it from being upgraded.
    Held,
    /// It is unpacked or removed in part, or its scripts have failed.
    Broken,
}

/// A package that is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version without epoch and release.
    pub version: String,
    /// What the distribution counts: `1~deb12u3`, `r9`, `27.el9`; may be empty.
    pub release: String,
    /// The epoch; mostly empty.
    pub epoch: String,
    /// As the package manager names it.
    pub architecture: String,
    /// Debian's section, rpm's group, Alpine's origin.
    pub section: String,
    /// Who made the package.
    pub publisher: String,
    /// Where its software comes from.
    pub url: String,
    /// One line.
    pub summary: String,
    /// When it was installed, in seconds since 1970, where the package manager says so.
    pub installed_s: Option<u64>,
    /// Whether it is well.
    pub state: State,
}

impl Package {
    fn set(&mut self, field: impl Fn(&mut Self) -> &mut String, value: &str) {
        *field(self) = database::plain(value, MAXIMUM_TEXT_BYTES);
    }

    fn set_name(&mut self, value: &str) {
        self.set(|package| &mut package.name, value);
    }

    /// `[epoch:]version[-release]`; the release follows the last hyphen (deb-version(7); apk and pacman do the same).
    fn set_version(&mut self, value: &str) {
        let (epoch, rest) =
            value.split_once(':').filter(|(epoch, _)| epoch.bytes().all(|byte| byte.is_ascii_digit())).unwrap_or(("", value));
        let (version, release) = rest.rsplit_once('-').unwrap_or((rest, ""));
        self.set(|package| &mut package.epoch, epoch);
        self.set(|package| &mut package.version, version);
        self.set(|package| &mut package.release, release);
    }

    /// The version as the package manager writes it.
    #[must_use]
    pub fn full_version(&self) -> String {
        let mut full = String::new();
        if !self.epoch.is_empty() {
            full.extend([&self.epoch, ":"]);
        }
        full.push_str(&self.version);
        if !self.release.is_empty() {
            full.extend(["-", &self.release]);
        }
        full
    }
}

/// What a database holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Packages {
    /// The packages.
    pub list: Vec<Package>,
    /// How many entries have no name or no version, or cannot be understood.
    pub skipped: u32,
    is_too_long: bool,
}

impl Packages {
    fn add(&mut self, package: Package) {
        if package.name.is_empty() || package.version.is_empty() {
            self.skipped = self.skipped.saturating_add(1);
        } else if self.list.len() == MAXIMUM_ENTRIES {
            self.is_too_long = true;
        } else {
            self.list.push(package);
        }
    }

    fn finish(self) -> Result<Self, PackageError> {
        if self.is_too_long { Err(PackageError::TooMany) } else { Ok(self) }
    }
}

/// Why packages cannot be read.
#[derive(Debug, Error)]
pub enum PackageError {
    /// The database, or what a program says of it.
    #[error("the package database cannot be read")]
    Unreadable(#[source] io::Error),
    /// There are more than an inventory takes.
    #[error("there are more than {MAXIMUM_ENTRIES} packages")]
    TooMany,
}

/// The package managers whose databases are under `root`, each with its database. One of which the system does not say whether it is there is
/// among them: reading it says why, and a package manager is not gone because a disk fails.
pub fn found(root: &Path) -> impl Iterator<Item = (Manager, std::path::PathBuf)> + '_ {
    let places = Manager::ALL.into_iter().flat_map(|manager| manager.databases().iter().map(move |place| (manager, *place)));
    places.filter_map(|(manager, place)| {
        let path = root.join(place.trim_start_matches('/'));
        path.try_exists().unwrap_or_else(|error| error.kind() != io::ErrorKind::NotADirectory).then_some((manager, path))
    })
}

/// Reads a database that is text.
///
/// # Errors
/// See [`PackageError`]; rpm's is no text, and is asked through `rpm` ([`rpm::QUERY`]).
pub fn read(manager: Manager, path: &Path) -> Result<Packages, PackageError> {
    let open = || File::open(path).map(|file| BufReader::with_capacity(READ_BYTES, file)).map_err(PackageError::Unreadable);
    match manager {
        Manager::Dpkg | Manager::Opkg => dpkg::read(open()?),
        Manager::Apk => apk::read(open()?),
        Manager::Pacman => pacman::read(path),
        Manager::Rpm => Err(PackageError::Unreadable(io::Error::new(io::ErrorKind::Unsupported, "rpm reads its database by itself"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_fall_apart_and_together_again() {
        for (full, expected) in [
            ("1:3.0.17-1~deb12u3", ["1", "3.0.17", "1~deb12u3"]),
            ("2.36", ["", "2.36", ""]),
            ("1.0-2-3", ["", "1.0-2", "3"]),
            ("a:1", ["", "a:1", ""]),
        ] {
            let mut package = Package::default();
            package.set_version(full);
            assert_eq!([&package.epoch, &package.version, &package.release], expected);
            assert_eq!(package.full_version(), full);
        }
    }
}
