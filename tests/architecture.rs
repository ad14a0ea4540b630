//! The dependency rules of ARCHITECTURE.md, read from the manifests and the `use` lines.
#![cfg(test)]

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// A source file: its path from the root of the repository, and its text.
struct Source {
    path: String,
    text: String,
}

/// The Rust files below folders.
fn sources(folders: &[&str]) -> Vec<Source> {
    let root = root();
    let mut found = Vec::new();
    let mut left: Vec<PathBuf> = folders.iter().map(|folder| root.join(folder)).collect();
    while let Some(next) = left.pop() {
        for entry in std::fs::read_dir(&next).unwrap_or_else(|error| panic!("{}: {error}", next.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push(Source { path: path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(), text });
            }
        }
    }
    assert!(!found.is_empty(), "{folders:?} hold no sources");
    found
}

const PRODUCT: [&str; 9] = [
    "protocol/src",
    "api/src",
    "document/src",
    "link/src",
    "agent/core/src",
    "agent/src",
    "broker-bridge/src",
    "cli/src",
    "examples/quickstart/src",
];
const ALL_TESTS: [&str; 7] = ["protocol/tests", "api/tests", "document/tests", "link/tests", "agent/core/tests", "cli/tests", "tests"];

/// The code of a file: without comments, and without the tests at its end.
fn code(source: &Source) -> String {
    let without_tests = source.text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let uncommented = |line: &str| if line.trim_start().starts_with("//") { String::new() } else { line.to_owned() };
    without_tests.lines().map(uncommented).collect::<Vec<_>>().join("\n")
}

fn is_test_file(path: &str) -> bool {
    path.ends_with("tests.rs") || path.contains("/tests/") || path.contains("test_")
}

/// Lines of product code that hold one of `needles`, in files for which `exempt` is false.
fn lines_with(folders: &[&str], needles: &[&str], exempt: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources(folders) {
        if exempt(&source.path) || is_test_file(&source.path) {
            continue;
        }
        for line in code(&source).lines().filter(|line| needles.iter().any(|needle| line.contains(needle))) {
            found.push(format!("{}: {}", source.path, line.trim()));
        }
    }
    found
}

/// The workspace's own crates that a manifest depends on, tests and build scripts left out.
fn own_dependencies(manifest: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join(manifest)).unwrap();
    let section = text.split("\n[dependencies]\n").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    let names = section.lines().filter_map(|line| line.split(['.', ' ', '=']).next());
    names.filter(|name| name.starts_with("flotilla-")).map(str::to_owned).collect()
}

#[test]
fn crates_depend_only_downwards() {
    let rules: [(&str, &[&str]); 8] = [
        ("protocol", &[]),
        ("api", &[]),
        ("document", &["flotilla-protocol"]),
        ("link", &[]),
        ("agent/core", &["flotilla-protocol"]),
        ("agent", &["flotilla-agent-core", "flotilla-link", "flotilla-protocol"]),
        ("broker-bridge", &["flotilla-api", "flotilla-document", "flotilla-link", "flotilla-protocol"]),
        ("cli", &["flotilla-api", "flotilla-document", "flotilla-protocol"]),
    ];
    for (name, allowed) in rules {
        let dependencies = own_dependencies(&format!("{name}/Cargo.toml"));
        let wrong: Vec<&String> = dependencies.iter().filter(|dependency| !allowed.contains(&dependency.as_str())).collect();
        assert!(wrong.is_empty(), "{name} may depend on {allowed:?} of ours, and depends on {wrong:?}");
    }
}

#[test]
fn what_decides_has_no_input_and_output() {
    let protocol = std::fs::read_to_string(root().join("protocol/src/lib.rs")).unwrap();
    assert!(protocol.contains("#![no_std]"));
    let banned = ["std::fs", "std::net", "std::io", "std::process", "std::time::Instant", "std::time::SystemTime", "std::thread", "tokio"];
    assert_eq!(lines_with(&["protocol/src", "document/src", "agent/core/src"], &banned, |_| false), Vec::<String>::new());
}

#[test]
fn in_the_bridge_capability_uses_fleet_uses_platform_and_never_back() {
    let back = ["crate::capability", "crate::fleet", "crate::device", "crate::command"];
    assert_eq!(lines_with(&["broker-bridge/src/platform"], &back, |_| false), Vec::<String>::new(), "platform knows nothing of fleets");
    let back = ["crate::capability", "crate::device", "crate::command"];
    assert_eq!(lines_with(&["broker-bridge/src/fleet"], &back, |_| false), Vec::<String>::new(), "nouns know no verbs");
    let back = ["crate::device", "crate::command"];
    assert_eq!(lines_with(&["broker-bridge/src/capability"], &back, |_| false), Vec::<String>::new());
}

#[test]
fn a_capability_uses_another_only_along_a_declared_edge() {
    // From, to: see DESIGN.md. None is built yet but run_command, which calls nobody.
    const EDGES: [(&str, &str); 9] = [
        ("maintenance_window", "run_command"),
        ("state_manager", "run_command"),
        ("patch_manager", "run_command"),
        ("change_manager", "automation"),
        ("change_manager", "change_calendar"),
        ("incident_manager", "ops_center"),
        ("incident_manager", "automation"),
        ("automation", "run_command"),
        ("quickstart", "run_command"),
    ];
    for source in sources(&["broker-bridge/src/capability"]) {
        let own = source.path.split('/').nth(3).unwrap_or_default().to_owned();
        for line in code(&source).lines() {
            let Some((_, after)) = line.split_once("crate::capability::") else { continue };
            let other = after.split(|letter: char| !letter.is_ascii_lowercase() && letter != '_').next().unwrap_or_default();
            let allowed = other == own || EDGES.contains(&(own.as_str(), other));
            assert!(allowed, "{}: {own} uses {other}: {line}", source.path);
        }
    }
}

#[test]
fn only_one_file_knows_the_form_of_topics() {
    // Mosquitto's rules are patterns of its own language, in which the node's name is `%u`.
    let exempt = |path: &str| path == "protocol/src/topic.rs" || path == "broker-bridge/src/platform/mosquitto.rs";
    let found = lines_with(&PRODUCT, &["\"fl/1", "/d/order", "/u/report", "/s/online"], exempt);
    assert_eq!(found, Vec::<String>::new(), "topics are made and read by protocol/src/topic.rs");
}

#[test]
fn only_process_modules_start_processes() {
    let exempt = |path: &str| path.ends_with("/process.rs") || path.starts_with("examples/");
    assert_eq!(lines_with(&PRODUCT, &["Command::new("], exempt), Vec::<String>::new());
    let exempt = |path: &str| path == "tests/kit/process.rs" || path == "tests/architecture.rs" || !path.starts_with("tests/");
    assert_eq!(lines_with(&["tests"], &["Command::new("], exempt), Vec::<String>::new());
}

#[test]
fn the_device_half_and_the_command_line_have_no_sql() {
    // Quoted SQL; the words alone stand in many sentences.
    let needles = ["\"SELECT ", "\"INSERT INTO ", "\"UPDATE ", "\"DELETE FROM ", "sqlx::query"];
    let found = lines_with(&["broker-bridge/src"], &needles, |path| {
        let inside = path.strip_prefix("broker-bridge/src/").unwrap_or(path);
        !inside.starts_with("device") && !inside.starts_with("command")
    });
    assert_eq!(found, Vec::<String>::new(), "nouns and capabilities own their SQL");
}

#[test]
fn nothing_is_left_undone_and_no_test_is_switched_off() {
    // Written in two halves so that this file does not find itself.
    let needles =
        [concat!("to", "do!("), concat!("unimpl", "emented!("), concat!("#[ig", "nore"), concat!("FIX", "ME"), concat!("XX", "X:")];
    for source in sources(&[&PRODUCT[..], &ALL_TESTS[..]].concat()) {
        for needle in needles {
            assert!(!source.text.contains(needle), "{} holds {needle}", source.path);
        }
    }
}

#[test]
fn every_crate_obeys_the_workspaces_lints() {
    let workspace = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let members = workspace.split("members = [").nth(1).and_then(|rest| rest.split(']').next()).unwrap();
    for member in members.split('"').filter(|part| !part.trim().trim_matches(',').is_empty()) {
        let manifest = std::fs::read_to_string(root().join(member).join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{member} does not take the workspace's lints");
    }
}

#[test]
fn no_dependency_weakens_the_check_of_signatures() {
    for manifest in ["Cargo.toml", "protocol/Cargo.toml", "agent/Cargo.toml", "broker-bridge/Cargo.toml", "agent/core/Cargo.toml"] {
        let text = std::fs::read_to_string(root().join(manifest)).unwrap();
        assert!(!text.contains("legacy_compatibility"), "{manifest}: with it even verify_strict takes malleable signatures");
    }
    assert_eq!(
        lines_with(&PRODUCT, &[".verify(&"], |path| !path.starts_with("protocol/") && !path.starts_with("agent/core")),
        { Vec::<String>::new() },
        "verify_strict only"
    );
}
