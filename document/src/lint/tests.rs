//! Each rule is found where it must be, and nowhere else.

use super::{Finding, MAXIMUM_FINDINGS, Severity, lint};
use crate::Document;
use crate::builtin::{BUILTIN, FORMAT};
use crate::content::Format;
use proptest::prelude::*;

/// Rule, line and path of every finding.
fn found(text: &str) -> Vec<(&'static str, u64, String)> {
    lint(text, Format::Yaml).into_iter().map(|finding| (finding.rule, finding.line.unwrap_or(0), finding.path)).collect()
}

fn one(rule: &'static str, line: u64, path: &str) -> Vec<(&'static str, u64, String)> {
    vec![(rule, line, path.to_owned())]
}

/// A document of one step with these lines of parameters and of a script.
fn document(parameters: &str, script: &str) -> String {
    format!(
        "schemaVersion: \"2.2\"\nparameters:\n{parameters}mainSteps:\n  - action: aws:runShellScript\n    name: one\n    inputs:\n      runCommand:\n        - {script}\n"
    )
}

fn parameter(rest: &str) -> String {
    format!("  name:\n    type: String\n    description: a name\n{rest}")
}

#[test]
fn builtin_documents_have_no_findings() {
    for builtin in BUILTIN {
        assert_eq!(lint(builtin.content, FORMAT), Vec::<Finding>::new(), "{}", builtin.name);
    }
}

#[test]
fn all_errors_are_found_at_once() {
    let text = "schemaVersion: 2.2\nparametres: {}\nparameters:\n  size:\n    type: Integer\n    default: large\n  bad_name:\n    type: String\nmainSteps:\n  - action: aws:runShelScript\n    name: one\n  - action: aws:runShellScript\n    name: two\n    inputs:\n      runCommand: [\"true\"]\n      onFailure: Continue\n  - action: aws:runShellScript\n    name: three\n    inputs:\n      runCommand: [\"true\"]\n      timeoutSeconds: 1\n";
    let findings = lint(text, Format::Yaml);
    let places: Vec<_> = findings.iter().map(|finding| (finding.line.unwrap_or(0), finding.path.as_str())).collect();
    let expected = [
        (1, "schemaVersion"),
        (2, "parametres"),
        (5, "parameters.size"),
        (8, "parameters.bad_name"),
        (10, "mainSteps[0].action"),
        (16, "mainSteps[1].inputs.onFailure"),
        (21, "mainSteps[2].inputs.timeoutSeconds"),
    ];
    assert_eq!(places, expected, "{findings:#?}");
    assert!(findings.iter().all(|finding| finding.severity == Severity::Error && !finding.hint.is_empty()));
    assert!(findings[0].hint.contains("\"2.2\"") && findings[5].hint.contains("successAndExit"), "{findings:#?}");
}

#[test]
fn what_cannot_be_read_has_its_line() {
    let yaml = lint("schemaVersion: \"2.2\"\nmainSteps:\n  - name: [\n", Format::Yaml);
    assert!(matches!(yaml.as_slice(), [finding] if finding.line.is_some_and(|line| line >= 3)), "{yaml:?}");
    let json = lint("{\n  \"schemaVersion\": \"2.2\",\n}", Format::Json);
    assert!(matches!(json.as_slice(), [finding] if finding.line == Some(3)), "{json:?}");
    let twice = lint("{\"a\": 1,\n\"a\": 2}", Format::Json);
    assert!(matches!(twice.as_slice(), [finding] if finding.line == Some(2) && finding.hint.contains("remove one")), "{twice:?}");
    let large = lint(&"x".repeat(100_000), Format::Yaml);
    assert!(matches!(large.as_slice(), [finding] if finding.severity == Severity::Error), "{large:?}");
}

#[test]
fn parameters_are_used_described_and_no_secrets() {
    assert_eq!(found(&document(&parameter(""), "echo")), one("unused-parameter", 4, "parameters.name"));
    let described = "  name:\n    type: Integer\n";
    assert_eq!(found(&document(described, "echo {{ name }}")), one("parameter-description", 4, "parameters.name"));
    let secret = "  apiToken:\n    type: String\n    description: for the service\n    interpolationType: ENV_VAR\n    default: abc\n";
    assert_eq!(found(&document(secret, "use \"$SSM_apiToken\"")), one("secret-default", 7, "parameters.apiToken.default"));
    let key = "AKIA0123456789ABCDEF";
    assert_eq!(found(&document(&parameter("    allowedValues: [a]\n"), &format!("echo {key} {{{{ name }}}}")))[0].0, "secret-in-text");
    let spoken: String =
        lint(&document(&parameter(""), &format!("echo {key}")), Format::Yaml).into_iter().map(|finding| finding.message).collect();
    assert!(!spoken.contains(key), "a finding must not repeat the secret: {spoken}");
}

#[test]
fn values_in_scripts_are_limited_or_environment() {
    let script = "echo {{ name }}";
    let place = "mainSteps[0].inputs.runCommand[0]";
    assert_eq!(found(&document(&parameter(""), script)), one("injection", 11, place));
    assert_eq!(found(&document(&parameter("    allowedPattern: \".*\"\n"), script)), one("injection", 12, place));
    for limited in ["    allowedPattern: \"[a-z/]+\"\n", "    allowedValues: [north, south]\n"] {
        assert_eq!(found(&document(&parameter(limited), script)), [], "{limited}");
    }
    for pattern in ["^https://.+$", ".{8,}", "[^a]", "it's", "(?:a|b;)+", "[ -~]", r"\\S{3}", r"\\$x"] {
        let limited = parameter(&format!("    allowedPattern: \"{pattern}\"\n"));
        assert_eq!(found(&document(&limited, script)), one("injection", 12, place), "{pattern}");
    }
    for pattern in ["^https://[a-z.]+$", "[a-z]{8,}", r"\\w+", "^(north|south)$", r"\\d+%", "a;{0}"] {
        let limited = parameter(&format!("    allowedPattern: \"{pattern}\"\n"));
        assert_eq!(found(&document(&limited, script)), [], "{pattern}");
    }
    // A parameter that is the whole line is meant to be a script.
    assert_eq!(found(&document(&parameter(""), "\"{{ name }}\"")), []);
    let variable = parameter("    interpolationType: ENV_VAR\n");
    assert_eq!(found(&document(&variable, "echo \"$SSM_name\"")), []);
    assert_eq!(found(&document(&variable, script)), one("braces-of-env-var", 12, place));
}

#[test]
fn names_that_stay_text_are_told() {
    let declared = parameter("    allowedValues: [a]\n");
    let place = "mainSteps[0].inputs.runCommand[0]";
    let findings = lint(&document(&declared, "echo {{ Name }} {{ name }}"), Format::Yaml);
    assert!(
        matches!(findings.as_slice(), [finding] if finding.rule == "unknown-parameter" && finding.hint == "write {{ name }}"),
        "{findings:?}"
    );
    assert_eq!(found(&document(&declared, "echo {{ ssm:a }} {{ name }}")), one("parameter-store", 12, place));
    // Templates of other tools.
    assert_eq!(found(&document(&declared, "docker ps --format '{{.Names}} {{ json . }}' {{ name }}")), []);
}

#[test]
fn steps_that_fail_or_never_run_are_told() {
    let steps = |first: &str, second: &str| format!("schemaVersion: \"2.2\"\nmainSteps:\n  - name: one\n{first}  - name: two\n{second}");
    let shell = |more: &str| format!("    action: aws:runShellScript\n    inputs:\n      runCommand: [\"true\"]\n{more}");
    let plain = shell("");
    assert_eq!(found(&steps(&plain, &plain)), []);
    assert_eq!(found(&steps("    action: aws:psModule\n    inputs: {}\n", &plain)), one("not-run", 3, "mainSteps[0]"));
    let windows = "    action: aws:psModule\n    precondition: {StringEquals: [platformType, Windows]}\n    inputs: {}\n";
    assert_eq!(found(&steps(windows, &plain)), []);
    let both = shell("      onSuccess: exit\n      onFailure: exit\n");
    assert_eq!(found(&steps(&both, &plain)), one("unreachable", 9, "mainSteps[1]"));
    assert_eq!(found(&steps(&both, &shell("      finallyStep: true\n"))), []);
    let stop = "    action: aws:runShellScript\n    inputs:\n      runCommand: [\"exit 168\"]\n";
    assert_eq!(found(&steps(stop, &plain)), one("unreachable", 7, "mainSteps[1]"));
    assert_eq!(found(&steps(&shell("      finallyStep: true\n"), &plain)), one("without-effect", 7, "mainSteps[0].inputs.finallyStep"));
    assert_eq!(found(&steps(&plain, &shell("      onFailure: exit\n"))), one("without-effect", 11, "mainSteps[1].inputs.onFailure"));
    assert_eq!(found(&steps(&plain, &shell("      onFailure: successAndExit\n"))), []);
}

#[test]
fn preconditions_without_meaning_are_told() {
    let with = |schema: &str, precondition: &str| {
        format!(
            "schemaVersion: \"{schema}\"\nmainSteps:\n  - name: one\n    action: aws:runShellScript\n    precondition: {precondition}\n    inputs:\n      runCommand: [\"true\"]\n"
        )
    };
    assert_eq!(found(&with("2.2", "{StringEquals: [platformType, Linux]}")), []);
    let old = lint(&with("2.0", "{StringEquals: [platformType, Linux]}"), Format::Yaml);
    assert!(matches!(old.as_slice(), [finding] if finding.rule == "precondition" && finding.message.contains("2.2")), "{old:?}");
    for wrong in ["{StringEquals: [a, b]}", "{StringLike: [platformType, Linux]}", "{StringEquals: [platformType]}"] {
        assert_eq!(found(&with("2.2", wrong)), one("precondition", 5, "mainSteps[0].precondition"), "{wrong}");
    }
}

#[test]
fn old_schemas_are_read_too() {
    let text = "{\"schemaVersion\": \"1.2\", \"parameters\": {\"a\": {\"type\": \"String\", \"description\": \"a\"}}, \"runtimeConfig\": {\"aws:runShellScript\": {\"properties\": [{\"id\": \"x\", \"runCommand\": [\"echo {{ a }}\"]}]}}}";
    let rules: Vec<_> = lint(text, Format::Json).into_iter().map(|finding| (finding.rule, finding.path)).collect();
    assert_eq!(rules, [("injection", "runtimeConfig.aws:runShellScript.properties[0].runCommand[0]".to_owned())]);
    let unknown =
        "{\"schemaVersion\": \"1.2\", \"runtimeConfig\": {\"aws:no\": {\"properties\": {}}, \"aws:neither\": {\"properties\": {}}}}";
    assert_eq!(lint(unknown, Format::Json).len(), 2);
}

#[test]
fn findings_are_bounded() {
    let unknown: String = (0..1_000).map(|number| format!("x{number}: 1\n")).collect();
    assert_eq!(lint(&unknown, Format::Yaml).len(), MAXIMUM_FINDINGS);
}

proptest! {
    /// What the bridge refuses has an error here, and what it takes has none.
    #[test]
    fn errors_are_those_of_the_bridge(lines in prop::collection::vec(0_usize..40, 0..4), noise in "[ -~]{0,12}") {
        let sample = include_str!("../../tests/documents/on-failure-exit.yaml");
        let mut text: Vec<&str> = sample.lines().collect();
        for line in lines {
            match text.get_mut(line) {
                Some(found) if line % 2 == 0 => *found = &noise,
                _ => drop((line < text.len()).then(|| text.remove(line))),
            }
        }
        let text = text.join("\n");
        let has_error = lint(&text, Format::Yaml).iter().any(|finding| finding.severity == Severity::Error);
        prop_assert_eq!(has_error, Document::parse(&text, Format::Yaml).is_err(), "{}", text);
    }
}
