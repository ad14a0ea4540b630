//! The inventory of this device, gathered by itself: one table a type ([`flotilla_protocol::capability::inventory::Table`]).
//!
//! THE LIST of types is [`Kind::ALL`]; whatever a site adds lies in files, see [`custom`]. Everything is read natively from where the system
//! has it, a line at a time; only rpm and the service managers are asked through their programs. A type that cannot be gathered leaves the
//! others alone, and what was known of it before stands.

pub mod application;
pub mod collect;
pub mod custom;
pub mod file;
pub mod hardware;
pub mod network;
pub mod service;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use flotilla_protocol::capability::inventory::{Row, Table, TableError};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::package_manager::PackageError;

/// A type that the agent gathers by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// Installed packages.
    Application,
    /// Network interfaces.
    Network,
    /// Services of the service manager.
    Service,
    /// Processor, memory, board, firmware and disks.
    Hardware,
    /// Files that the settings name.
    File,
}

impl Kind {
    /// THE LIST.
    pub const ALL: [Self; 5] = [Self::Application, Self::Network, Self::Service, Self::Hardware, Self::File];

    /// The type's name in SSM.
    #[must_use]
    pub const fn type_name(self) -> &'static str {
        match self {
            Self::Application => "AWS:Application",
            Self::Network => "AWS:Network",
            Self::Service => "AWS:Service",
            Self::Hardware => "AWS:InstanceDetailedInformation",
            Self::File => "AWS:File",
        }
    }

    /// The version of its attributes, major and minor, as SSM counts it.
    #[must_use]
    pub const fn schema_version(self) -> (u32, u32) {
        match self {
            Self::Application => (1, 1),
            Self::Network | Self::Service | Self::Hardware | Self::File => (1, 0),
        }
    }

    /// Its attributes, ascending. Names are SSM's where it has them.
    #[must_use]
    pub const fn attributes(self) -> &'static [&'static str] {
        match self {
            Self::Application => application::ATTRIBUTES,
            Self::Network => network::ATTRIBUTES,
            Self::Service => service::ATTRIBUTES,
            Self::Hardware => hardware::ATTRIBUTES,
            Self::File => file::ATTRIBUTES,
        }
    }
}

/// What is gathered from where, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// The types of [`Kind::ALL`] that are gathered.
    pub kinds: BTreeSet<Kind>,
    /// Whether the site's own types are gathered.
    pub has_custom: bool,
    /// The root of the system that is looked at: `/`, or another one in tests.
    pub root: PathBuf,
    /// Where programs are looked for, with `:` between.
    pub search_path: String,
    /// Whether publisher, section, address and summary of packages are gathered, too: four times the bytes.
    pub has_details: bool,
    /// Folders and patterns of `AWS:File`.
    pub files: Vec<file::Rule>,
    /// The folder of the site's own types.
    pub custom: PathBuf,
}

/// Why a type cannot be gathered.
#[derive(Debug, Error)]
pub enum GatherError {
    /// The package database.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// A file or folder cannot be read.
    #[error("{} cannot be read", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A program failed.
    #[error("{program}: {why}")]
    Program {
        /// Which.
        program: &'static str,
        /// Why, for people.
        why: String,
    },
    /// A file of the site's own types is malformed.
    #[error("{}: {what}", .path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The table is beyond a limit.
    #[error("{type_name}: {why}")]
    Table {
        /// Of which type.
        type_name: String,
        /// Which limit.
        why: TableError,
    },
}

/// What is gathered of a type.
#[derive(Debug)]
pub struct Gathered {
    /// The type's name; of a file of the site's own that cannot be read the file's.
    pub type_name: String,
    /// Version of its attributes, major and minor.
    pub schema_version: (u32, u32),
    /// Its table, or why there is none.
    pub table: Result<Table, GatherError>,
}

/// Gathers all types, one after the other.
pub fn gather(scope: &Scope, mut take: impl FnMut(Gathered)) {
    for kind in Kind::ALL.into_iter().filter(|kind| scope.kinds.contains(kind)) {
        let rows = match kind {
            Kind::Application => application::rows(scope),
            Kind::Network => network::rows(&scope.root),
            Kind::Service => service::rows(scope),
            Kind::Hardware => hardware::rows(&scope.root),
            Kind::File => file::rows(scope),
        };
        let table = rows.and_then(|rows| {
            let attributes = kind.attributes().iter().map(|name| (*name).to_owned()).collect();
            Table::new(attributes, rows).map_err(|why| GatherError::Table { type_name: kind.type_name().to_owned(), why })
        });
        take(Gathered { type_name: kind.type_name().to_owned(), schema_version: kind.schema_version(), table });
    }
    if scope.has_custom {
        custom::gather(&scope.root.join(scope.custom.strip_prefix("/").unwrap_or(&scope.custom)), take);
    }
}

/// A row whose values are named; an attribute without a value is empty.
fn row<const N: usize>(attributes: &[&str], values: [(&str, String); N]) -> Row {
    debug_assert!(values.iter().all(|(name, _)| attributes.contains(name)), "a value of no attribute");
    let find = |attribute: &&str| values.iter().find(|(name, _)| name == attribute).map(|(_, value)| value.clone()).unwrap_or_default();
    attributes.iter().map(find).collect()
}

/// A moment as SSM's inventories have it: `2019-03-25T14:32:10Z`, of seconds since 1970; empty beyond the years 1 to 9999.
fn iso_8601(seconds: i64) -> String {
    const DAY_S: i64 = 86_400;
    /// The first second of the year 1, and the last of 9999.
    const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
    if !SECONDS.contains(&seconds) {
        return String::new();
    }
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_of = |year: i64| if is_leap(year) { 366 } else { 365 };
    let (mut year, mut days, second) = (1970, seconds.div_euclid(DAY_S), seconds.rem_euclid(DAY_S));
    while days < 0 {
        year -= 1;
        days += days_of(year);
    }
    while days >= days_of(year) {
        days -= days_of(year);
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year:04}-{month:02}-{:02}T{:02}:{:02}:{:02}Z", days + 1, second / 3600, second / 60 % 60, second % 60)
}

/// A small file of the kernel's, trimmed; nothing where it is not there or says nothing.
fn small_file(path: &Path) -> Option<String> {
    use std::io::Read as _;
    /// What the kernel says in one file of /sys, in bytes.
    const MAXIMUM_BYTES: u64 = 4096;
    let mut text = Vec::new();
    std::fs::File::open(path).ok()?.take(MAXIMUM_BYTES).read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text);
    let text: String =
        text.trim_matches(|character: char| character.is_whitespace() || character == '\0').chars().filter(|c| !c.is_control()).collect();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flotilla_protocol::capability::inventory::{is_attribute, is_type_name};

    #[test]
    fn attributes_are_names_in_order() {
        for kind in Kind::ALL {
            assert!(is_type_name(kind.type_name()));
            assert!(kind.attributes().is_sorted_by(|one, next| one < next), "{}", kind.type_name());
            assert!(kind.attributes().iter().all(|name| is_attribute(name)));
        }
    }

    #[test]
    fn moments_as_date_says_them() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_553_524_330, "2019-03-25T14:32:10Z"),
            (1_609_459_199, "2020-12-31T23:59:59Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (-62_135_596_800, "0001-01-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
            (253_402_300_800, ""),
            (i64::MIN, ""),
        ] {
            assert_eq!(iso_8601(seconds), expected);
        }
    }

    #[test]
    fn this_machine_is_gathered() {
        let folder = tempfile::tempdir().unwrap();
        let scope = Scope {
            kinds: Kind::ALL.into(),
            has_custom: true,
            root: "/".into(),
            search_path: "/usr/bin:/bin".to_owned(),
            has_details: false,
            files: Vec::new(),
            custom: folder.path().join("none"),
        };
        let mut seen = Vec::new();
        gather(&scope, |gathered| seen.push((gathered.type_name, gathered.table.map(|table| table.rows().len()).ok())));
        let rows = |name: &str| seen.iter().find(|(of, _)| of == name).and_then(|(_, rows)| *rows);
        assert_eq!(rows("AWS:InstanceDetailedInformation"), Some(1));
        assert!(rows("AWS:Network").is_some_and(|rows| rows > 0), "there is a loopback at least");
    }
}
