//! Every document of `document/tests/documents`, which each stand for one rule of Command documents, through the API, the bridge, the broker
//! and a real node: made with CreateDocument, sent with SendCommand, and what the API says of its steps is what stands beside it.
//!
//! Left out are those that need a server, a repository, docker or a missing PowerShell around them: the agent's own tests run these.
#![cfg(test)]

use flotilla_api::commands::{CommandPlugin, GetCommandInvocationRequest, SendCommandRequest};
use flotilla_api::documents::CreateDocumentRequest;
use flotilla_tests::{Broker, Fleet};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
/// What the agent's tests put around these is not there.
const LEFT_OUT: [&str; 4] = ["download-git", "download-http", "download-s3", "power-shell"];
const LEFT_OUT_TOO: [&str; 3] = ["download-http-insecure", "download-https", "run-docker-action"];
/// The model's shortest PluginName.
const SHORTEST_PLUGIN_NAME: usize = 4;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../document/tests/documents")
}

/// A step as the result beside a document has it.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    name: String,
    status: String,
    code: i32,
    stdout: String,
    stderr: String,
}

/// The outcome and the steps of a result.
fn expected(text: &str) -> (String, Vec<Step>) {
    let mut lines = text.lines();
    let outcome = lines.next().unwrap().to_owned();
    let mut steps: Vec<Step> = Vec::new();
    for line in lines.filter(|line| !line.starts_with("because: ")) {
        match (line.strip_prefix("  | "), line.strip_prefix("  ! "), steps.last_mut()) {
            (Some(written), _, Some(step)) => step.stdout.push_str(&format!("{written}\n")),
            (_, Some(written), Some(step)) => step.stderr.push_str(&format!("{written}\n")),
            _ => {
                let (name, end) = line.rsplit_once(": ").unwrap();
                let (status, code) = end.split_once(' ').unwrap();
                let (stdout, stderr) = (String::new(), String::new());
                steps.push(Step { name: name.to_owned(), status: status.to_owned(), code: code.parse().unwrap(), stdout, stderr });
            }
        }
    }
    (outcome, steps)
}

/// SSM's word for one of ours.
fn word(ours: &str) -> &str {
    match ours {
        "Succeeded" | "Skipped" => "Success",
        "TimedOut" => "TimedOut",
        "Failed" => "Failed",
        other => panic!("a result says {other}"),
    }
}

fn check_step(fleet: &Fleet, what: &str, command: &str, plugin: &CommandPlugin, step: &Step, is_only: bool) {
    let said = (plugin.name.as_deref(), plugin.status.as_deref(), plugin.response_code);
    assert_eq!(said, (Some(step.name.as_str()), Some(word(&step.status)), Some(step.code)), "{what}: {plugin:?}");
    if step.status == "Skipped" {
        assert_eq!(plugin.status_details.as_deref(), Some("Skipped"), "{what}: {plugin:?}");
    }
    if !is_only && step.name.len() < SHORTEST_PLUGIN_NAME {
        return;
    }
    let request = GetCommandInvocationRequest {
        command_id: command.to_owned(),
        instance_id: fleet.nodes[0].id(),
        plugin_name: (!is_only).then(|| step.name.clone()),
    };
    let found = fleet.call(&request);
    let written = (found.standard_output_content.unwrap_or_default(), found.standard_error_content.unwrap_or_default());
    assert_eq!(written.0.trim_end(), step.stdout.trim_end(), "{what}, step {}", step.name);
    // The bridge adds the explanation of the whole command.
    assert!(written.1.starts_with(step.stderr.trim_end()), "{what}, step {}: {}, not {}", step.name, written.1, step.stderr);
}

#[test]
fn documents_of_every_rule_run_on_a_node_as_the_rule_says() {
    let fleet = Fleet::with_nodes(Broker::Embedded, 1);
    let mut documents: BTreeMap<String, PathBuf> = BTreeMap::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let format = match path.extension().and_then(|ending| ending.to_str()) {
            Some("json") => "JSON",
            Some("yaml") => "YAML",
            _ => continue,
        };
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let request = CreateDocumentRequest {
            name: name.clone(),
            content: std::fs::read_to_string(&path).unwrap(),
            document_type: Some("Command".to_owned()),
            document_format: Some(format.to_owned()),
            ..CreateDocumentRequest::default()
        };
        let _made = fleet.call(&request);
        if !LEFT_OUT.contains(&name.as_str()) && !LEFT_OUT_TOO.contains(&name.as_str()) {
            documents.insert(name, path);
        }
    }
    let (mut ran, mut seen_steps) = (0, 0);
    for (name, path) in documents {
        let (outcome, steps) = expected(&std::fs::read_to_string(path.with_extension("result")).unwrap());
        let request = SendCommandRequest {
            document_name: name.clone(),
            instance_ids: Some(vec![fleet.nodes[0].id()]),
            ..SendCommandRequest::default()
        };
        let command = fleet.send(&request);
        let ended = fleet.await_command(&command, LIMIT);
        let invocation = fleet.invocations(Some(&command)).remove(0);
        assert_eq!(invocation.status.as_deref(), Some(word(&outcome)), "{name}: {ended:?}");
        let plugins = invocation.command_plugins.unwrap();
        assert_eq!(plugins.len(), steps.len(), "{name}: {plugins:?}");
        for (plugin, step) in plugins.iter().zip(&steps) {
            check_step(&fleet, &name, &command, plugin, step, steps.len() == 1);
            seen_steps += 1;
        }
        ran += 1;
    }
    assert!(ran >= 20, "{ran}");
    println!("{ran} documents with {seen_steps} steps have run on a node as their rules say");
}
