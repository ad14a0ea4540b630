//! The real binary against a bridge that answers what the test says: output, exit codes, what is sent.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bridge;
mod coverage;
#[cfg(test)]
mod desk;
mod inventory;
#[cfg(test)]
mod keys;
mod lint;
mod nouns;
mod passing;
#[cfg(test)]
mod shells;
#[cfg(test)]
mod trust;
mod wait;

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::bridge::Bridge;

const COMMAND_ID: &str = "0198c0de-0000-7000-8000-000000000000";

#[expect(clippy::disallowed_methods, reason = "these tests are about a program that is started")]
pub(crate) fn program(name: &str) -> Command {
    Command::new(name)
}

/// `flotilla` without any settings of the machine that the test runs on.
fn flotilla(arguments: &[&str]) -> Command {
    let mut command = program(env!("CARGO_BIN_EXE_flotilla"));
    command.args(arguments).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn flotilla_at(bridge: &Bridge, arguments: &[&str]) -> Command {
    let mut command = flotilla(arguments);
    command.env("AWS_ENDPOINT_URL_SSM", bridge.endpoint()).env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE").env("AWS_SECRET_ACCESS_KEY", "secret");
    command
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

/// A bridge that knows one command to two nodes; it ends when it has been looked at a few times.
fn bridge_with_a_command(ends_as: &'static str, second_node: &'static str) -> (Bridge, Arc<Mutex<Vec<Value>>>) {
    let sent = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&sent);
    let looks = AtomicUsize::new(0);
    let bridge = Bridge::start(move |operation, request| match operation {
        "SendCommand" => {
            sent.lock().unwrap().push(request);
            (200, json!({ "Command": { "CommandId": COMMAND_ID, "Status": "Pending", "TargetCount": 2 } }))
        }
        "ListCommands" => {
            let ended = ends_as != "never" && looks.fetch_add(1, Ordering::Relaxed) >= 2;
            let (status, completed) = if ended { (ends_as, 2) } else { ("InProgress", 1) };
            let command = json!({
                "CommandId": COMMAND_ID, "Status": status, "TargetCount": 2, "CompletedCount": completed, "ErrorCount": 0
            });
            (200, json!({ "Commands": [command] }))
        }
        // Two pages, so that a client that reads only the first is noticed.
        "ListCommandInvocations" => match request["NextToken"].as_str() {
            None => {
                let node = json!({ "InstanceId": "mi-1", "Status": "Success", "CommandPlugins": [{ "Name": "a" }] });
                (200, json!({ "CommandInvocations": [node], "NextToken": "2" }))
            }
            Some(_) => (200, json!({ "CommandInvocations": [{ "InstanceId": "mi-2", "Status": second_node }] })),
        },
        "GetCommandInvocation" => {
            let first = request["InstanceId"] == "mi-1";
            (
                200,
                json!({
                    "InstanceId": request["InstanceId"],
                    "Status": if first { "Success" } else { second_node },
                    "StatusDetails": if first { "Success" } else { second_node },
                    "ResponseCode": if first { 0 } else { 7 },
                    "StandardOutputContent": if first { "hello\u{1b}[31m" } else { "" },
                    "StandardErrorContent": if first { "" } else { "broken\n" },
                }),
            )
        }
        _ => bridge::refuse("InvalidCommandId", "no such command"),
    });
    (bridge, seen)
}

#[test]
fn run_waits_and_tells_the_worst() {
    let (bridge, sent) = bridge_with_a_command("Failed", "Failed");
    let output = flotilla_at(&bridge, &["run", "--all", "--", "echo", "it's"]).output().unwrap();
    let (out, error) = texts(&output);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert_eq!(
        out,
        "== mi-1  Success  exit code 0 ==\nhello\u{1b}[31m\n\n\
         == mi-2  Failed  exit code 7 ==\n-- standard error --\nbroken\n",
        "output that is no terminal's is the node's, byte for byte"
    );
    assert!(error.contains("2 of 2 nodes ended (1 Failed, 1 Success)"), "{error}");
    let sent = sent.lock().unwrap();
    assert_eq!(sent.len(), 1, "a command is sent once");
    assert_eq!(sent[0]["Parameters"]["commands"], json!([r"echo 'it'\''s'"]));
    assert_eq!(sent[0]["Targets"], json!([{ "Key": "InstanceIds", "Values": ["*"] }]));
}

#[test]
fn run_that_succeeds_everywhere_is_success_and_json_is_whole() {
    let (bridge, _) = bridge_with_a_command("Success", "Success");
    let output = flotilla_at(&bridge, &["run", "--node", "mi-1", "--output", "json", "--", "x"]).output().unwrap();
    let (out, error) = texts(&output);
    assert_eq!(output.status.code(), Some(0), "{error}");
    let outcome: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(outcome["Command"]["Status"], "Success");
    assert_eq!(outcome["Invocations"].as_array().unwrap().len(), 2);
    assert_eq!(outcome["Invocations"][0]["StandardOutputContent"], "hello\u{1b}[31m");
    assert!(!out.contains('\u{1b}'), "JSON is safe to show");
}

#[test]
fn run_without_waiting_prints_the_id() {
    let (bridge, _) = bridge_with_a_command("never", "Success");
    let output = flotilla_at(&bridge, &["run", "--all", "--no-wait", "--", "x"]).output().unwrap();
    assert_eq!((output.status.code(), texts(&output).0), (Some(0), format!("{COMMAND_ID}\n")));
}

#[test]
fn waiting_ends_and_says_that_the_command_goes_on() {
    let (bridge, _) = bridge_with_a_command("never", "InProgress");
    let output = flotilla_at(&bridge, &["run", "--all", "--wait-timeout", "1s", "--", "x"]).output().unwrap();
    let (out, error) = texts(&output);
    assert_eq!((output.status.code(), out.as_str()), (Some(5), ""), "{error}");
    assert!(error.contains(&format!("flotilla commands show {COMMAND_ID}")), "{error}");
}

#[test]
fn ctrl_c_says_that_the_command_goes_on() {
    let (bridge, _) = bridge_with_a_command("never", "InProgress");
    let mut child = flotilla_at(&bridge, &["run", "--all", "--", "x"]).spawn().unwrap();
    // It says which command it waits for when it has begun to listen for Ctrl-C.
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut first = String::new();
    stderr.read_line(&mut first).unwrap();
    assert_eq!(first, format!("command {COMMAND_ID}\n"));
    interrupt(&child);
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
    assert!(rest.contains("the command goes on") && rest.contains("flotilla commands cancel"), "{rest}");
}

fn interrupt(child: &Child) {
    assert!(program("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn each_who_must_act_has_an_exit_code() {
    let (bridge, _) = bridge_with_a_command("never", "InProgress");
    let code = |mut command: Command| {
        let output = command.output().unwrap();
        (output.status.code().unwrap(), texts(&output).1)
    };
    let (refused, words) = code(flotilla_at(&bridge, &["commands", "cancel", "no-such-id"]));
    assert_eq!(refused, 3);
    assert!(words.contains("InvalidCommandId: no such command") && words.contains("`flotilla commands`"), "{words}");

    let (usage, words) = code(flotilla_at(&bridge, &["run", "--all"]));
    assert_eq!(usage, 2);
    assert!(words.contains("nothing to run"), "{words}");

    let (settings, words) = code(flotilla(&["nodes"]));
    assert_eq!(settings, 2);
    assert!(words.contains("AWS_ENDPOINT_URL_SSM is not set"), "{words}");

    let (insecure, words) = code(flotilla_at(&bridge, &["nodes", "--endpoint-url", "http://bridge.example"]));
    assert_eq!(insecure, 2);
    assert!(words.contains("write https://"), "{words}");

    let gone = bridge.endpoint().to_owned();
    drop(bridge);
    let mut command = flotilla(&["nodes", "--endpoint-url", &gone]);
    command.env("AWS_ACCESS_KEY_ID", "id").env("AWS_SECRET_ACCESS_KEY", "secret");
    let (unreachable, words) = code(command);
    assert_eq!(unreachable, 4);
    assert!(words.contains("start the bridge"), "{words}");
}

#[test]
fn home_names_the_bridge_and_the_key() {
    let bridge = Bridge::start(|operation, request| match operation {
        "DescribeInstanceInformation" => {
            assert_eq!(request["Filters"], json!([{ "Key": "PingStatus", "Values": ["Online"] }]));
            let node = json!({ "InstanceId": "mi-1", "ComputerName": "a\tb\u{7}", "PingStatus": "Online" });
            (200, json!({ "InstanceInformationList": [node] }))
        }
        _ => bridge::refuse("InvalidFilterKey", ""),
    });
    let home = home_of(&bridge);
    let path = home.path().to_str().unwrap();
    for arguments in [["--home", path, "nodes", "--online"].as_slice(), &["nodes", "list", "--home", path, "--online"]] {
        let output = flotilla(arguments).output().unwrap();
        let (out, error) = texts(&output);
        assert_eq!(out, "mi-1\ta b\tOnline\t\t\t\t\n", "{error}");
        assert_eq!(output.status.code(), Some(0));
    }
}

#[test]
fn an_activation_is_made_listed_and_withdrawn() {
    let bridge = Bridge::start(|operation, request| match operation {
        "CreateActivation" => {
            assert_eq!((&request["RegistrationLimit"], &request["Tags"][0]["Key"]), (&json!(3), &json!("site")));
            (200, json!({ "ActivationId": "an-id", "ActivationCode": "the code" }))
        }
        "DescribeActivations" => {
            let one = json!({ "ActivationId": "an-id", "RegistrationLimit": 3, "RegistrationsCount": 3 });
            (200, json!({ "ActivationList": [one] }))
        }
        "DeleteActivation" => (200, json!({})),
        _ => bridge::refuse("InvalidParameters", ""),
    });
    let out = |arguments: &[&str]| {
        let output = flotilla_at(&bridge, arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", texts(&output).1);
        texts(&output).0
    };
    let create = ["activation", "create", "--limit", "3", "--tag", "site=north"];
    assert_eq!(out(&create), "an-id\tthe code\n");
    let shown = out(&[&create[..], &["--output", "table"]].concat());
    assert!(shown.contains("flotilla-agent register --activation 'the code'"), "{shown}");
    assert_eq!(out(&["activation", "list"]), "an-id\t\t3 of 3\t\tused up\t\n");
    assert_eq!(out(&["activation", "delete", "an-id"]), "");
}

#[test]
fn commands_shows_output() {
    let (bridge, _) = bridge_with_a_command("never", "Failed");
    let show = flotilla_at(&bridge, &["commands", "show", COMMAND_ID, "--output", "table"]).output().unwrap();
    let (out, error) = texts(&show);
    assert_eq!(show.status.code(), Some(0), "{error}");
    assert!(out.contains("1 of 2") && out.contains("== mi-2  Failed  exit code 7 =="), "{out}");
    let list = flotilla_at(&bridge, &["commands"]).output().unwrap();
    assert!(texts(&list).0.starts_with(&format!("{COMMAND_ID}\t")));
}

fn home_of(bridge: &Bridge) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    let path: PathBuf = home.path().join("operator.env");
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    let endpoint = bridge.endpoint();
    write!(file, "AWS_ENDPOINT_URL_SSM={endpoint}\nAWS_ACCESS_KEY_ID=id\nAWS_SECRET_ACCESS_KEY=secret\n").unwrap();
    home
}

/// Calls by the names of their operations.
type Calls = Arc<Mutex<Vec<(String, Value)>>>;

/// A bridge with one document of two versions; what it is asked is kept.
fn bridge_with_a_document() -> (Bridge, Calls) {
    let sent = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&sent);
    let bridge = Bridge::start(move |operation, request| {
        sent.lock().unwrap().push((operation.to_owned(), request.clone()));
        match operation {
            "GetDocument" => {
                let line = if request["DocumentVersion"] == "1" { "one" } else { "two" };
                (200, json!({ "Name": "Doc", "Content": format!("a: 1\nb: {line}\n"), "DocumentFormat": "YAML" }))
            }
            "UpdateDocument" => {
                let description = json!({ "Name": "Doc", "DocumentVersion": "3", "DefaultVersion": "1" });
                (200, json!({ "DocumentDescription": description }))
            }
            "UpdateDocumentDefaultVersion" => (200, json!({ "Description": { "Name": "Doc", "DefaultVersion": "3" } })),
            _ => bridge::refuse("InvalidDocument", "line 3, mainSteps[0].name: no such document"),
        }
    });
    (bridge, seen)
}

#[test]
fn documents_are_compared_updated_and_refused_with_their_place() {
    let (bridge, sent) = bridge_with_a_document();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("doc.yaml");
    OpenOptions::new().write(true).create_new(true).open(&path).unwrap().write_all(b"a: 1\nb: two\n").unwrap();
    let file = path.to_str().unwrap();
    let run = |arguments: &[&str]| {
        let output = flotilla_at(&bridge, arguments).output().unwrap();
        let (out, error) = texts(&output);
        (output.status.code(), out, error)
    };
    let nothing = (Some(0), String::new(), String::new());
    assert_eq!(run(&["documents", "diff", "Doc", file]), nothing);
    let different = (Some(1), "  a: 1\n- b: one\n+ b: two\n".to_owned(), String::new());
    assert_eq!(run(&["documents", "diff", "Doc", "--from", "1", "--to", "2"]), different);
    assert_eq!(run(&["documents", "show", "Doc", "--version", "1"]), (Some(0), "a: 1\nb: one\n".to_owned(), String::new()));
    assert_eq!(run(&["documents", "diff", "Doc"]).0, Some(2));

    sent.lock().unwrap().clear();
    assert_eq!(run(&["documents", "update", "Doc", file, "--make-default"]), (Some(0), "Doc\t3\t3\n".to_owned(), String::new()));
    let calls = std::mem::take(&mut *sent.lock().unwrap());
    let names: Vec<&str> = calls.iter().map(|(operation, _)| operation.as_str()).collect();
    assert_eq!(names, ["UpdateDocument", "UpdateDocumentDefaultVersion"]);
    let expected = json!({ "Name": "Doc", "Content": "a: 1\nb: two\n", "DocumentFormat": "YAML", "DocumentVersion": "$LATEST" });
    assert_eq!(calls[0].1, expected);

    let (code, _, error) = run(&["documents", "create", "Doc", file]);
    assert_eq!(code, Some(3));
    assert!(error.contains("line 3, mainSteps[0].name"), "{error}");
}
