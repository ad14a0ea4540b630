//! `AWS:Application`: the installed packages.

use std::io::BufReader;
use std::process::Stdio;

use flotilla_protocol::capability::inventory::Row;

use super::collect::with_cause;
use super::{GatherError, Scope, iso_8601, row};
use crate::package_manager::{self, Manager, Package, PackageError, State, rpm};
use crate::process;

/// SSM's names, and three of our own: the package manager, the epoch's and release's place in `Version` notwithstanding, and whether all is well.
pub(super) const ATTRIBUTES: &[&str] = &[
    "ApplicationType",
    "Architecture",
    "Epoch",
    "InstalledTime",
    "Name",
    "PackageManager",
    "Publisher",
    "Release",
    "State",
    "Summary",
    "URL",
    "Version",
];

/// The packages of all package managers that are found. One that fails leaves the others alone; where all fail there is nothing.
pub(super) fn rows(scope: &Scope) -> Result<Vec<Row>, GatherError> {
    let mut rows = Vec::new();
    let mut seen = Vec::new();
    let mut failed = None;
    for (manager, database) in package_manager::found(&scope.root) {
        // A link from an old place to a new one is the same database.
        let database = database.canonicalize().unwrap_or(database);
        if seen.contains(&database) {
            continue;
        }
        let packages = match manager {
            Manager::Rpm => ask_rpm(scope),
            _ => package_manager::read(manager, &database).map_err(GatherError::from),
        };
        let packages = match packages {
            Ok(packages) => packages,
            Err(error) => {
                tracing::warn!(manager = manager.as_str(), why = with_cause(&error), "the packages of a package manager cannot be read");
                failed = Some(error);
                continue;
            }
        };
        if packages.skipped > 0 {
            tracing::warn!(manager = manager.as_str(), skipped = packages.skipped, "entries of the package database make no sense");
        }
        seen.push(database);
        rows.extend(packages.list.into_iter().map(|package| row_of(manager, package, scope.has_details)));
    }
    match failed {
        // A remnant of another one, without packages, does not say that there are none.
        Some(error) if rows.is_empty() => Err(error),
        _ => Ok(rows),
    }
}

fn row_of(manager: Manager, package: Package, has_details: bool) -> Row {
    let detail = |value: String| if has_details { value } else { String::new() };
    let installed =
        package.installed_s.filter(|_| has_details).and_then(|seconds| i64::try_from(seconds).ok()).map(iso_8601).unwrap_or_default();
    let state = match package.state {
        State::Installed => "",
        State::Held => "held",
        State::Broken => "broken",
    };
    row(
        ATTRIBUTES,
        [
            ("ApplicationType", detail(package.section)),
            ("Architecture", package.architecture),
            ("Epoch", package.epoch),
            ("InstalledTime", installed),
            ("Name", package.name),
            ("PackageManager", manager.as_str().to_owned()),
            ("Publisher", detail(package.publisher)),
            ("Release", package.release),
            ("State", state.to_owned()),
            ("Summary", detail(package.summary)),
            ("URL", detail(package.url)),
            ("Version", package.version),
        ],
    )
}

/// rpm's own answer. Where there is no rpm the folder is a remnant.
fn ask_rpm(scope: &Scope) -> Result<package_manager::Packages, GatherError> {
    let Some(program) = process::find_program(&scope.search_path, "rpm") else { return Ok(package_manager::Packages::default()) };
    process::ask_program(&program, &rpm::QUERY, &scope.search_path, Stdio::null(), |output| rpm::read(BufReader::new(output)))
        .map_err(|why| GatherError::Program { program: "rpm", why: why.to_string() })?
        .map_err(|error: PackageError| error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_manager_that_fails_leaves_the_others_alone() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &[u8]| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::io::Write::write_all(&mut std::fs::File::create(path).unwrap(), text).unwrap();
        };
        // A database that is a folder cannot be read.
        std::fs::create_dir_all(root.path().join("lib/apk/db/installed")).unwrap();
        let scope = Scope {
            kinds: super::super::Kind::ALL.into(),
            has_custom: false,
            root: root.path().to_owned(),
            search_path: String::new(),
            has_details: true,
            files: Vec::new(),
            custom: root.path().join("none"),
        };
        assert!(rows(&scope).is_err(), "it is the only one");
        write("usr/lib/opkg/status", b"Package: a\nVersion: 1\nStatus: install user installed\nInstalled-Time: 1553524330\n\n");
        let rows = rows(&scope).unwrap();
        assert_eq!(rows.len(), 1);
        assert!(rows[0].contains(&"2019-03-25T14:32:10Z".to_owned()), "{rows:?}");
    }

    #[test]
    fn a_database_of_which_nobody_knows_whether_it_is_there_is_a_failure() {
        let root = tempfile::tempdir().unwrap();
        let place = root.path().join("var/lib/dpkg/status");
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink("status", place).unwrap();
        assert!(package_manager::found(root.path()).any(|(manager, _)| manager == Manager::Dpkg), "a loop of links");
        assert!(package_manager::read(Manager::Dpkg, &root.path().join("var/lib/dpkg/status")).is_err());
    }
}
