//! Secrets on the whole path, by our own client, `flotilla run` and the real `aws`: a SecureString parameter reaches the script and nothing
//! else. It is looked for in every file of bridge, broker and nodes (database and its log, journal, folders of jobs, logs) and in the arguments
//! and environments of all processes, while the command runs and after it.
#![cfg(test)]

use flotilla_api::audit::Hex;
use flotilla_api::commands::{ListCommandsRequest, SendCommandRequest};
use flotilla_api::documents::CreateDocumentRequest;
use flotilla_tests::leaks::{Account, Finder, Place, Secret};
use flotilla_tests::process::{self, binary, command, output};
use flotilla_tests::python::Python;
use flotilla_tests::random::Random;
use flotilla_tests::wait;
use flotilla_tests::{Broker, Fleet};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// Says the hash of the secret that it gets as a file, prints it in all encodings, and waits until it was looked at.
const FILE: &str = r#"{"schemaVersion":"2.2","parameters":{"key":{"type":"SecureString"},"wait":{"type":"String"}},"mainSteps":[
    {"action":"aws:runShellScript","name":"use","inputs":{"runCommand":[
        "printf 'hash %s\n' \"$(sha256sum < {{ key }} | cut -c1-64)\"",
        "cat {{ key }}; echo; base64 < {{ key }}; od -An -v -tx1 {{ key }}; od -An -v -tx1 {{ key }} | tr -d ' \n'; echo",
        "od -An -v -tx1 {{ key }} | tr -d '\n' | sed 's/ /%/g'; echo; cat {{ key }} >&2",
        "touch '{{ wait }}.started'; while ! test -e '{{ wait }}'; do sleep 0.1; done"]}}]}"#;

/// The same with the secret as a variable, by the parameter's interpolation and by the step's environment.
const VARIABLE: &str = r#"{"schemaVersion":"2.2","parameters":{"key":{"type":"SecureString","interpolationType":"ENV_VAR"},
    "other":{"type":"SecureString"},"wait":{"type":"String"}},"mainSteps":[
    {"action":"aws:runShellScript","name":"use","inputs":{"environment":{"OTHER":"<{{ other }}>"},"runCommand":[
        "printf 'hash %s\n' \"$(printf %s \"$SSM_key\" | sha256sum | cut -c1-64)\"; printf '%s %s\n' \"$SSM_key\" \"$OTHER\"; set -x",
        "touch '{{ wait }}.started'; while ! test -e '{{ wait }}'; do sleep 0.1; done"]}}]}"#;

fn make(fleet: &Fleet, name: &str, content: &str) {
    let request = CreateDocumentRequest {
        name: name.to_owned(),
        content: content.to_owned(),
        document_type: Some("Command".to_owned()),
        document_format: Some("JSON".to_owned()),
        ..CreateDocumentRequest::default()
    };
    let _made = fleet.call(&request);
}

/// A secret that is nowhere on this machine.
fn fresh() -> String {
    let mut bytes = [0; 18];
    getrandom::fill(&mut bytes).unwrap();
    format!("s+{}/ä", bytes.map(|byte| char::from(b'a' + byte % 26)).iter().collect::<String>())
}

/// SHA-256 of a secret, as scripts print it.
fn hash(secret: &str) -> String {
    Hex(flotilla_protocol::sha256(&[secret.as_bytes()])).to_string()
}

/// Looks for these. Where the document asks for it they may be in environments.
fn finder(secrets: &[&str], is_variable: bool) -> Finder {
    let secrets: Vec<Secret> = secrets.iter().map(|value| Secret { value: (*value).to_owned(), is_variable }).collect();
    Finder::new(&secrets, &mut Random::new(1))
}

/// Every process of this machine.
fn all() -> [String; 1] {
    [String::new()]
}

/// Whether anything of them is in the environment of a process.
fn is_in_an_environment(finder: &Finder) -> bool {
    process::find(|_| true).iter().any(|found| {
        let environment = std::fs::read(format!("/proc/{}/environ", found.pid)).unwrap_or_default();
        !finder.find(&environment, Place::Text).is_empty()
    })
}

fn given(values: &[(&str, &str)]) -> Option<BTreeMap<String, Vec<String>>> {
    Some(values.iter().map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()])).collect())
}

/// Neither in a file of the fleet, nor in an argument or, but where it may be, in an environment of any process.
fn assert_nowhere(fleet: &Fleet, finder: &Finder, when: &str) {
    let mut account = Account::default();
    account.look_below(finder, fleet.folder());
    account.look_at_processes(finder, &all());
    assert_eq!(account.hits, Vec::<String>::new(), "{when}");
    assert!(account.files.len() > 20, "{when}: {} files are too few", account.files.len());
}

/// What a command with secrets leaves behind.
fn looked_at(fleet: &Fleet, document: &str, secrets: &[(&str, &str)], in_environment: bool) {
    let node = fleet.nodes[0].id();
    let wait = fleet.folder().join(format!("wait-{document}"));
    let values: Vec<&str> = secrets.iter().map(|(_, value)| *value).collect();
    let mut parameters = secrets.to_vec();
    let wait_text = wait.display().to_string();
    parameters.push(("wait", &wait_text));
    let request = SendCommandRequest {
        document_name: document.to_owned(),
        instance_ids: Some(vec![node.clone()]),
        parameters: given(&parameters),
        ..SendCommandRequest::default()
    };
    let command = fleet.send(&request);
    wait::until_true(LIMIT, "the script runs", || Path::new(&format!("{wait_text}.started")).exists());
    let finder = finder(&values, in_environment);
    assert_nowhere(fleet, &finder, "while the command runs");
    assert_eq!(is_in_an_environment(&finder), in_environment, "the environment is where the document asks for it");
    drop(File::create(&wait).unwrap());
    let ended = fleet.await_end(&command, &node, LIMIT);
    assert_eq!(ended.status.as_deref(), Some("Success"), "{ended:?}");
    let stdout = ended.standard_output_content.unwrap_or_default();
    assert!(stdout.contains(&format!("hash {}", hash(values[0]))), "the script had the value: {stdout}");
    let shown = format!("{stdout}{}", ended.standard_error_content.unwrap_or_default());
    assert!(shown.contains("****"), "{shown}");
    assert!(finder.find(shown.as_bytes(), Place::Text).is_empty(), "{shown}");
    assert_nowhere(fleet, &finder, "after the command");
    let listed = fleet.call(&ListCommandsRequest { command_id: Some(command), ..ListCommandsRequest::default() });
    let shown = listed.commands.unwrap().remove(0).parameters.unwrap();
    assert_eq!((&shown[secrets[0].0], &shown["wait"]), (&vec!["****".to_owned()], &vec![wait_text.clone()]));
}

/// A node whose key is another one refuses, and says why.
fn refused_by_a_node_with_another_key(fleet: &mut Fleet) {
    let node = fleet.nodes[0].id();
    fleet.nodes[0].stop();
    let key = fleet.nodes[0].state().join("exec/sealing.key");
    let kept = std::fs::read(&key).unwrap();
    write(&key, &[7; 32]);
    fleet.nodes[0].start();
    fleet.await_online();
    let request = SendCommandRequest {
        document_name: "Secret-File".to_owned(),
        instance_ids: Some(vec![node.clone()]),
        parameters: given(&[("key", "never read"), ("wait", "/nowhere")]),
        ..SendCommandRequest::default()
    };
    let command = fleet.send(&request);
    let ended = fleet.await_end(&command, &node, LIMIT);
    assert_eq!((ended.status.as_deref(), ended.status_details.as_deref()), (Some("Failed"), Some("Access Denied")), "{ended:?}");
    assert!(ended.standard_error_content.is_some_and(|text| text.contains("secret")), "it says why");
    fleet.nodes[0].stop();
    write(&key, &kept);
    fleet.nodes[0].start();
    fleet.await_online();
}

#[expect(clippy::disallowed_methods, reason = "a test damages a file of a node that is stopped")]
fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}

/// `flotilla run` reads a secret from its standard input.
fn by_the_command_line(fleet: &Fleet) {
    let (secret, wait) = (fresh(), fleet.folder().join("wait-cli"));
    drop(File::create(&wait).unwrap());
    let outside = tempfile::tempdir().unwrap();
    let path = outside.path().join("key");
    write(&path, format!("{secret}\n").as_bytes());
    let mut run = command(&binary("flotilla"));
    run.env_clear().arg("--home").arg(fleet.home().path()).args(["run", "--all", "--document", "Secret-File", "--parameter-file", "key=-"]);
    run.arg("--parameter").arg(format!("wait={}", wait.display())).stdin(File::open(&path).unwrap());
    let done = output(run);
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success() && said.contains(&hash(&secret)), "{said}{}", String::from_utf8_lossy(&done.stderr));
    let finder = finder(&[&secret], false);
    assert!(finder.find(said.as_bytes(), Place::Text).is_empty(), "{said}");
    assert_nowhere(fleet, &finder, "after `flotilla run`");
}

#[test]
fn a_secret_reaches_the_script_and_nothing_else() {
    let mut fleet = Fleet::with_nodes(Broker::Embedded, 1);
    make(&fleet, "Secret-File", FILE);
    make(&fleet, "Secret-Variable", VARIABLE);
    let (first, second, third) = (fresh(), fresh(), fresh());
    looked_at(&fleet, "Secret-File", &[("key", &first)], false);
    looked_at(&fleet, "Secret-Variable", &[("key", &second), ("other", &third)], true);
    by_the_command_line(&fleet);
    if let Some(python) = Python::find() {
        python.run(&fleet, "secret_parameters.py", &[&fleet.nodes[0].id(), &fleet.folder().join("wait-aws").display().to_string()]);
    }
    refused_by_a_node_with_another_key(&mut fleet);
}
