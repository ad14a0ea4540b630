//! `flotilla documents lint`, which needs no bridge and no settings.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::{flotilla, texts};

const GOOD: &str =
    "schemaVersion: \"2.2\"\nmainSteps:\n  - action: aws:runShellScript\n    name: one\n    inputs:\n      runCommand: [\"true\"]\n";
const WARNED: &str = "schemaVersion: \"2.2\"\nparameters:\n  path:\n    type: String\n    description: a path\nmainSteps:\n  - action: aws:runShellScript\n    name: one\n    inputs:\n      runCommand:\n        - ls {{ path }}\n";
const WRONG: &str = "{\n  \"schemaVersion\": \"2.2\",\n  \"mainSteps\": [\n    {\n      \"action\": \"aws:runShellScript\",\n      \"name\": \"one\",\n      \"inputs\": {\n        \"runCommand\": [\"true\"],\n        \"timeoutSeconds\": 1\n      }\n    },\n    {\n      \"action\": \"aws:nothing\",\n      \"name\": \"two\"\n    }\n  ]\n}\n";

/// Runs lint in a folder with these three documents.
fn lint(arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("good.yaml", GOOD), ("warned.yml", WARNED), ("wrong.json", WRONG)] {
        std::fs::File::create(folder.path().join(name)).unwrap().write_all(text.as_bytes()).unwrap();
    }
    let mut command = flotilla(&[&["documents", "lint"], arguments].concat());
    let mut child = command.current_dir(folder.path()).stdin(Stdio::piped()).spawn().unwrap();
    // It may end before it reads.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let (out, errors) = texts(&output);
    (output.status.code(), out, errors)
}

#[test]
fn what_is_good_is_silent() {
    assert_eq!(lint(&["good.yaml"], ""), (Some(0), String::new(), String::new()));
    assert_eq!(lint(&["-"], GOOD), (Some(0), String::new(), String::new()));
    assert_eq!(lint(&["good.yaml", "--output", "table"], "").1, "1 file, nothing found\n");
    assert_eq!(lint(&["good.yaml", "--output", "json"], "").1, "[]\n");
}

#[test]
fn warnings_count_only_when_asked() {
    let (code, out, errors) = lint(&["good.yaml", "warned.yml"], "");
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert!(out.starts_with("warned.yml:11: warning: mainSteps[0].inputs.runCommand[0]: "), "{out}");
    assert!(out.contains("[injection]; hint: ") && out.contains("\"$SSM_path\"") && out.lines().count() == 1, "{out}");
    assert_eq!(lint(&["--strict", "warned.yml"], "").0, Some(1));
    assert_eq!(lint(&["--strict", "good.yaml"], "").0, Some(0));
}

#[test]
fn errors_have_places_in_every_form() {
    let (code, out, _) = lint(&["wrong.json"], "");
    let starts: Vec<_> = out.lines().map(|line| line.split(": ").take(3).collect::<Vec<_>>().join(": ")).collect();
    assert_eq!(code, Some(1));
    assert_eq!(starts, ["wrong.json:9: error: mainSteps[0].inputs.timeoutSeconds", "wrong.json:13: error: mainSteps[1].action"], "{out}");
    let (code, out, _) = lint(&["--output", "json", "-"], WRONG);
    let findings: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(code, Some(1));
    assert_eq!((&findings[1]["File"], &findings[1]["Line"], &findings[1]["Severity"]), (&json!("-"), &json!(13), &json!("error")));
    assert!(findings[1]["Message"].as_str().unwrap().contains("aws:nothing") && findings[1]["Hint"].is_string(), "{out}");
}

#[test]
fn what_cannot_be_read_is_wrong_usage() {
    let (code, out, errors) = lint(&["good.yaml", "nowhere.yaml"], "");
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(errors.contains("nowhere.yaml cannot be read"), "{errors}");
    assert_eq!(lint(&[], "").0, Some(2));
}
