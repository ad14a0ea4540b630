//! Walks the lists (capabilities, steps, operations) and fails with the path that is missing, so that whoever adds one more is led by a
//! failing test.
#![cfg(test)]

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The modules that a file declares with `pub mod`.
fn modules(path: &str) -> Vec<String> {
    let text = read(path);
    let names = text.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    names.map(str::to_owned).collect()
}

fn missing(paths: &[String]) -> Vec<&String> {
    paths.iter().filter(|path| !root().join(path).exists()).collect()
}

/// `run_command` as file names have it: `run-command`.
fn kebab(name: &str) -> String {
    name.replace('_', "-")
}

#[test]
fn every_capability_of_the_bridge_is_complete() {
    let capabilities = modules("broker-bridge/src/capability/mod.rs");
    assert!(!capabilities.is_empty());
    let mut needed = Vec::new();
    for name in &capabilities {
        needed.push(format!("docs/capability/{}.md", kebab(name)));
        needed.extend(["mod.rs", "model.rs", "rules.rs", "store.rs"].map(|file| format!("broker-bridge/src/capability/{name}/{file}")));
    }
    assert_eq!(missing(&needed), Vec::<&String>::new(), "a capability lacks these files");
}

#[test]
fn every_capability_of_the_protocol_has_golden_messages() {
    let version = flotilla_protocol::version::VERSION;
    let capabilities = modules("protocol/src/capability/mod.rs");
    assert!(!capabilities.is_empty());
    for name in capabilities {
        let folder = format!("protocol/golden/v{version}/{}", kebab(&name));
        let messages = std::fs::read_dir(root().join(&folder)).map_or(0, Iterator::count);
        assert!(messages > 0, "{folder} is missing: the capability has no golden messages");
    }
}

#[test]
fn every_step_of_documents_is_named_where_people_look() {
    let page = read("docs/capability/run-command.md");
    let steps = modules("agent/src/step/mod.rs");
    let runnable: Vec<String> = steps.into_iter().filter(|name| has_plan_and_apply(name)).collect();
    assert!(!runnable.is_empty());
    for name in runnable {
        let action = format!("aws:{}", camel(&name));
        assert!(page.contains(&action), "docs/capability/run-command.md does not name {action}");
    }
}

/// A kind of step is a file with `plan` and `apply`; other files beside them serve several kinds.
fn has_plan_and_apply(name: &str) -> bool {
    let text = read(&format!("agent/src/step/{name}.rs"));
    text.contains("fn plan(") && text.contains("fn apply(")
}

/// `run_shell_script` as documents have it: `runShellScript`.
fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |text, word| {
        let mut letters = word.chars();
        let initial = letters.next().map(|letter| letter.to_ascii_uppercase()).into_iter();
        text + &initial.chain(letters).collect::<String>()
    })
}

#[test]
fn every_built_operation_has_an_endpoint_with_an_access_and_every_endpoint_is_listed() {
    let mut served = Vec::new();
    for path in sources("broker-bridge/src") {
        let text = std::fs::read_to_string(&path).unwrap();
        for line in text.lines().filter_map(|line| line.trim().strip_prefix("registry.endpoint::<")) {
            let (request, rest) = line.split_once('>').expect("an endpoint names its request");
            let access = rest.strip_prefix("(Access::").and_then(|rest| rest.split_once(','));
            let (access, _) = access.unwrap_or_else(|| panic!("{}: {request} names no access", path.display()));
            assert!(["Viewer", "Operator", "Admin"].contains(&access), "{request}: {access}");
            let request = request.rsplit("::").next().unwrap_or(request);
            served.push(request.strip_suffix("Request").expect("requests are named so").to_owned());
        }
    }
    served.sort();
    assert_eq!(served, flotilla_api::operations::BUILT, "the endpoints and the list of built operations differ");
}

#[test]
fn every_page_of_a_capability_is_of_a_capability() {
    let known: Vec<String> = modules("broker-bridge/src/capability/mod.rs").iter().map(|name| kebab(name) + ".md").collect();
    for entry in std::fs::read_dir(root().join("docs/capability")).expect("docs/capability is there") {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(known.contains(&name), "docs/capability/{name} describes no capability of the list");
    }
}

/// The Rust files below a folder.
fn sources(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}
