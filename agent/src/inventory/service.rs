//! `AWS:Service`: the services of systemd, OpenRC or procd.
//!
//! systemd is asked through `systemctl`, whose plain lists have had one form for ten years. OpenRC and procd have their services as files:
//! scripts in `/etc/init.d`, and links to those that start with the system (`/etc/runlevels/*/`, `/etc/rc.d/S*`).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use flotilla_protocol::capability::inventory::{MAXIMUM_ENTRIES, Row};

use super::{GatherError, Scope, row};
use crate::process;

/// SSM's names; `ServiceType` is the service manager.
pub(super) const ATTRIBUTES: &[&str] = &["DisplayName", "Name", "ServiceType", "StartType", "Status"];

/// There while systemd is what runs the system (sd_booted(3)).
const SYSTEMD: &str = "run/systemd/system";
/// Loaded units, whatever state they are in.
const UNITS: [&str; 7] = ["list-units", "--type=service", "--all", "--full", "--plain", "--no-legend", "--no-pager"];
/// Unit files, and whether they are enabled.
const UNIT_FILES: [&str; 6] = ["list-unit-files", "--type=service", "--full", "--plain", "--no-legend", "--no-pager"];

/// Units that are made for one run of something, ours among them: they come and go, and are no services of the device.
const PASSING: [&str; 3] = ["flotilla-job-", "flotilla-clean-", "flotilla-collect-"];

/// Whether a unit is such a one: those of Flotilla, and those that systemd-run names by itself, `run-u12` after the connection, `run-r` and 32
/// hexadecimal digits, or `run-p12-i345` after the process. A site's own `run-updates` is none.
fn is_passing(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_random = |text: &str| text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_of_process = |text: &str| text.split_once("-i").is_some_and(|(process, start)| is_number(process) && is_number(start));
    PASSING.iter().any(|prefix| name.starts_with(prefix))
        || name.strip_prefix("run-u").is_some_and(is_number)
        || name.strip_prefix("run-r").is_some_and(is_random)
        || name.strip_prefix("run-p").is_some_and(is_of_process)
}

/// The services.
pub(super) fn rows(scope: &Scope) -> Result<Vec<Row>, GatherError> {
    let root = &scope.root;
    if root.join(SYSTEMD).is_dir() {
        return systemd(scope);
    }
    if root.join("etc/runlevels").is_dir() {
        return of_scripts(root, "openrc", &enabled_in_runlevels(root), &names_in(&root.join("run/openrc/started")));
    }
    if root.join("sbin/procd").exists() {
        return of_scripts(root, "procd", &enabled_in_rc(root), &BTreeSet::new());
    }
    Ok(Vec::new())
}

fn systemd(scope: &Scope) -> Result<Vec<Row>, GatherError> {
    let Some(program) = process::find_program(&scope.search_path, "systemctl") else { return Ok(Vec::new()) };
    let ask = |arguments: &[&str]| {
        process::ask_program(&program, arguments, &scope.search_path, Stdio::null(), |output| lines(BufReader::new(output)))
            .map_err(|why| GatherError::Program { program: "systemctl", why: why.to_string() })
    };
    Ok(of_systemd(&ask(&UNITS)?, &ask(&UNIT_FILES)?))
}

/// Lines of a program, bounded in number and length.
fn lines(output: impl BufRead) -> Vec<String> {
    const MAXIMUM_LINE: usize = 4096;
    let lines = output.split(b'\n').map_while(Result::ok).take(MAXIMUM_ENTRIES);
    lines.map(|line| String::from_utf8_lossy(line.get(..line.len().min(MAXIMUM_LINE)).unwrap_or_default()).into_owned()).collect()
}

/// `UNIT LOAD ACTIVE SUB DESCRIPTION`, and `UNIT STATE [PRESET]`.
fn of_systemd(units: &[String], files: &[String]) -> Vec<Row> {
    let mut services: BTreeMap<&str, [&str; 3]> = BTreeMap::new();
    for line in files {
        let mut words = line.split_ascii_whitespace();
        // A template is no service until it has an instance.
        if let (Some(unit), Some(state)) = (words.next(), words.next())
            && let Some(name) = unit.strip_suffix(".service").filter(|name| !name.ends_with('@'))
        {
            services.entry(name).or_default()[1] = state;
        }
    }
    for line in units {
        let mut rest = line.trim_start_matches(|character: char| !character.is_ascii_alphanumeric() && !"-_.@:\\".contains(character));
        let mut word = || {
            let (word, after) = rest.split_once(|character: char| character.is_ascii_whitespace()).unwrap_or((rest, ""));
            rest = after.trim_start();
            word
        };
        let (unit, load, _, sub) = (word(), word(), word(), word());
        if load != "loaded" && load != "masked" {
            continue;
        }
        let Some(name) = unit.strip_suffix(".service") else { continue };
        let entry = services.entry(name).or_default();
        (entry[0], entry[2]) = (rest.trim_end(), sub);
    }
    let to_row = |(name, [description, start, status]): (&str, [&str; 3])| {
        let status = if status.is_empty() { "dead" } else { status };
        row(
            ATTRIBUTES,
            [
                ("DisplayName", description.to_owned()),
                ("Name", name.to_owned()),
                ("ServiceType", "systemd".to_owned()),
                ("StartType", start.to_owned()),
                ("Status", status.to_owned()),
            ],
        )
    };
    services.into_iter().filter(|(name, _)| !is_passing(name)).map(to_row).collect()
}

fn of_scripts(root: &Path, manager: &str, enabled: &BTreeSet<String>, started: &BTreeSet<String>) -> Result<Vec<Row>, GatherError> {
    let folder = root.join("etc/init.d");
    if !folder.is_dir() {
        return Err(GatherError::Unreadable { path: folder, source: std::io::ErrorKind::NotFound.into() });
    }
    let status = |name: &str| match manager {
        "openrc" if started.contains(name) => "started",
        "openrc" => "stopped",
        // procd tells only those who may speak to ubus.
        _ => "",
    };
    let to_row = |name: String| {
        row(
            ATTRIBUTES,
            [
                ("DisplayName", String::new()),
                ("ServiceType", manager.to_owned()),
                ("StartType", if enabled.contains(&name) { "enabled" } else { "disabled" }.to_owned()),
                ("Status", status(&name).to_owned()),
                ("Name", name),
            ],
        )
    };
    let is_service = |name: &String| !matches!(name.as_str(), "functions.sh" | "rcS" | "rcK" | "README") && !name.starts_with('.');
    Ok(names_in(&folder).into_iter().filter(is_service).map(to_row).collect())
}

/// The names in a folder, bounded; none where there is no such folder.
fn names_in(folder: &Path) -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir(folder) else { return BTreeSet::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).take(MAXIMUM_ENTRIES).collect()
}

fn enabled_in_runlevels(root: &Path) -> BTreeSet<String> {
    let runlevels = root.join("etc/runlevels");
    names_in(&runlevels).into_iter().flat_map(|level| names_in(&runlevels.join(level))).collect()
}

/// `S19dropbear` is dropbear, started at place 19.
fn enabled_in_rc(root: &Path) -> BTreeSet<String> {
    let name = |link: String| {
        let rest = link.strip_prefix('S')?.trim_start_matches(|character: char| character.is_ascii_digit());
        (!rest.is_empty()).then(|| rest.to_owned())
    };
    names_in(&root.join("etc/rc.d")).into_iter().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short(rows: &[Row]) -> Vec<String> {
        rows.iter().map(|row| row.join("|")).collect()
    }

    #[test]
    fn lists_of_systemctl() {
        let owned = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        let units = owned(&[
            "cron.service       loaded    active   running Regular background program processing daemon",
            "● broken.service   loaded    failed   failed  It is broken",
            "gone.service       not-found inactive dead    gone.service",
            "getty@tty1.service loaded    active   running Getty on tty1",
            "flotilla-collect-0a.service loaded active running Flotilla gathers the inventory",
        ]);
        let files = owned(&["cron.service enabled enabled", "getty@.service enabled enabled", "unused.service disabled enabled", ""]);
        assert_eq!(
            short(&of_systemd(&units, &files)),
            [
                "It is broken|broken|systemd||failed",
                "Regular background program processing daemon|cron|systemd|enabled|running",
                "Getty on tty1|getty@tty1|systemd||running",
                "|unused|systemd|disabled|dead",
            ]
        );
    }

    #[test]
    fn units_that_pass_are_none_of_the_device() {
        for (name, expected) in [
            ("flotilla-job-0a", true),
            ("run-u12", true),
            ("run-r0123456789abcdef0123456789abcdef", true),
            ("run-p123-i456", true),
            ("run-updates", false),
            ("run-u", false),
            ("run-reports", false),
            ("run-p123", false),
            ("run-p123-import", false),
        ] {
            assert_eq!(is_passing(name), expected, "{name}");
        }
    }

    #[test]
    fn scripts_of_openrc_and_procd() {
        let root = tempfile::tempdir().unwrap();
        for folder in ["etc/init.d", "etc/runlevels/default", "run/openrc/started", "etc/rc.d", "sbin"] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        for file in
            ["etc/init.d/sshd", "etc/init.d/chronyd", "etc/runlevels/default/sshd", "run/openrc/started/sshd", "etc/rc.d/S19chronyd"]
        {
            fs::File::create(root.path().join(file)).unwrap();
        }
        let scope = |root: &Path| Scope {
            kinds: super::super::Kind::ALL.into(),
            has_custom: false,
            root: root.to_owned(),
            search_path: String::new(),
            has_details: false,
            files: Vec::new(),
            custom: root.join("none"),
        };
        let rows_of_openrc = rows(&scope(root.path())).unwrap();
        assert_eq!(short(&rows_of_openrc), ["|chronyd|openrc|disabled|stopped", "|sshd|openrc|enabled|started"]);
        fs::remove_dir_all(root.path().join("etc/runlevels")).unwrap();
        fs::File::create(root.path().join("sbin/procd")).unwrap();
        let rows_of_procd = rows(&scope(root.path())).unwrap();
        assert_eq!(short(&rows_of_procd), ["|chronyd|procd|enabled|", "|sshd|procd|disabled|"]);
    }
}
