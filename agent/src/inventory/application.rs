//! `AWS:Application`: the installed packages.

use std::io::BufReader;
use std::process::Stdio;

use flotilla_protocol::capability::inventory::Row;

use super::{GatherError, Scope, row};
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

/// The packages of all package managers that are found.
pub(super) fn rows(scope: &Scope) -> Result<Vec<Row>, GatherError> {
    let mut rows = Vec::new();
    let mut seen = Vec::new();
    for (manager, database) in package_manager::found(&scope.root) {
        // A link from an old place to a new one is the same database.
        let database = database.canonicalize().unwrap_or(database);
        if seen.contains(&database) {
            continue;
        }
        let packages = match manager {
            Manager::Rpm => ask_rpm(scope)?,
            _ => package_manager::read(manager, &database)?,
        };
        if packages.skipped > 0 {
            tracing::warn!(manager = manager.as_str(), skipped = packages.skipped, "entries of the package database make no sense");
        }
        seen.push(database);
        rows.extend(packages.list.into_iter().map(|package| row_of(manager, package, scope.has_details)));
    }
    Ok(rows)
}

fn row_of(manager: Manager, package: Package, has_details: bool) -> Row {
    let detail = |value: String| if has_details { value } else { String::new() };
    let installed = package.installed_s.filter(|_| has_details).map(|seconds| seconds.to_string()).unwrap_or_default();
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
