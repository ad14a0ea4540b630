//! Secrets on the whole path, by our own client, `flotilla run` and the real `aws`: a SecureString parameter reaches the script and nothing
//! else. It is looked for in every file of bridge, broker and nodes (database and its log, journal, folders of jobs, logs) and in the arguments
//! and environments of all processes, while the command runs and after it.
#![cfg(test)]

use flotilla_api::commands::{ListCommandsRequest, SendCommandRequest};
use flotilla_api::documents::CreateDocumentRequest;
use flotilla_tests::process::{binary, command, output};
use flotilla_tests::python::Python;
use flotilla_tests::wait;
use flotilla_tests::{Broker, Fleet};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The inner characters of a text in base64 when so many bytes stand before it.
fn base64(secret: &[u8], before: usize) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<u8> = secret.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let skipped = (6 - before * 8 % 6) % 6;
    let value = |bits: &[u8]| usize::from(bits.iter().fold(0, |value, bit| value << 1 | bit));
    bits[skipped..].chunks_exact(6).map(|bits| char::from(ALPHABET[value(bits)])).collect()
}

/// What must not be found anywhere.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let bytes = secret.as_bytes();
    let mut forms = vec![secret.to_owned(), hex(bytes), hex(bytes).to_uppercase()];
    forms.extend((0..3).map(|before| base64(bytes, before)));
    forms.push(bytes.iter().map(|byte| format!("%{byte:02x}")).collect());
    forms.push(bytes.iter().map(|byte| format!("{byte:02x} ")).collect::<String>().trim_end().to_owned());
    forms.into_iter().map(String::into_bytes).collect()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

fn files_below(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files_below(&path, files),
            Ok(kind) if kind.is_file() => files.push(path),
            _ => {}
        }
    }
}

/// The files of the fleet in which one of the secrets is, in whatever form; and how many were read.
fn files_with(fleet: &Fleet, secrets: &[&str]) -> (Vec<PathBuf>, usize) {
    let forms: Vec<Vec<u8>> = secrets.iter().flat_map(|secret| forms(secret)).collect();
    let mut files = Vec::new();
    files_below(fleet.folder(), &mut files);
    let mut read = 0;
    files.retain(|path| {
        let content = std::fs::read(path).unwrap_or_default();
        read += usize::from(!content.is_empty());
        forms.iter().any(|form| contains(&content, form))
    });
    (files, read)
}

/// The processes in whose `what` one of the secrets is.
fn processes_with(what: &str, secrets: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let path = entry.path().join(what);
        let content = std::fs::read(&path).unwrap_or_default();
        if secrets.iter().flat_map(|secret| forms(secret)).any(|form| contains(&content, &form)) {
            found.push(path.display().to_string());
        }
    }
    found
}

fn given(values: &[(&str, &str)]) -> Option<BTreeMap<String, Vec<String>>> {
    Some(values.iter().map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()])).collect())
}

fn assert_nowhere(fleet: &Fleet, secrets: &[&str], when: &str) {
    let (files, read) = files_with(fleet, secrets);
    assert_eq!(files, Vec::<PathBuf>::new(), "{when}, of {read} files");
    assert!(read > 20, "{when}: {read} files are too few");
    assert_eq!(processes_with("cmdline", secrets), Vec::<String>::new(), "{when}");
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
    assert_nowhere(fleet, &values, "while the command runs");
    assert_eq!(!processes_with("environ", &values).is_empty(), in_environment, "the environment is where the document asks for it");
    drop(File::create(&wait).unwrap());
    let ended = fleet.await_end(&command, &node, LIMIT);
    assert_eq!(ended.status.as_deref(), Some("Success"), "{ended:?}");
    let stdout = ended.standard_output_content.unwrap_or_default();
    let hash = hex(&flotilla_protocol::sha256(&[values[0].as_bytes()]));
    assert!(stdout.contains(&format!("hash {hash}")), "the script had the value: {stdout}");
    let shown = format!("{stdout}{}", ended.standard_error_content.unwrap_or_default());
    assert!(shown.contains("****"), "{shown}");
    let leaked = values.iter().flat_map(|value| forms(value)).find(|form| contains(shown.as_bytes(), form));
    assert!(leaked.is_none(), "{shown}");
    assert_nowhere(fleet, &values, "after the command");
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
    let hash = hex(&flotilla_protocol::sha256(&[secret.as_bytes()]));
    assert!(done.status.success() && said.contains(&hash), "{said}{}", String::from_utf8_lossy(&done.stderr));
    assert!(!contains(said.as_bytes(), secret.as_bytes()), "{said}");
    assert_nowhere(fleet, &[&secret], "after `flotilla run`");
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
