use super::*;
use crate::model::{Lines, Number};

const MINIMAL: &str =
    r#"{"schemaVersion":"2.2","mainSteps":[{"action":"aws:runShellScript","name":"a","inputs":{"runCommand":["true"]}}]}"#;

fn refused(text: &str) -> String {
    Document::parse(text, Format::Json).unwrap_err().to_string()
}

/// The minimal document with one piece of its text replaced.
fn refused_with(from: &str, to: &str) -> String {
    assert!(MINIMAL.contains(from), "{from}");
    refused(&MINIMAL.replacen(from, to, 1))
}

#[test]
fn json_and_yaml_say_the_same() {
    let json = r#"{
      "schemaVersion": "2.2", "description": "d",
      "parameters": {"who": {"type": "String", "default": "world", "allowedPattern": "[a-z]+"}},
      "mainSteps": [{"action": "aws:runShellScript", "name": "greet",
        "precondition": {"StringEquals": ["platformType", "Linux"]},
        "inputs": {"runCommand": ["echo {{ who }}"], "timeoutSeconds": 60, "workingDirectory": "/tmp"}}]
    }"#;
    let yaml = "
schemaVersion: '2.2'
description: d
parameters:
  who:
    type: String
    default: world
    allowedPattern: '[a-z]+'
mainSteps:
  - action: aws:runShellScript
    name: greet
    precondition:
      StringEquals: [platformType, Linux]
    inputs:
      runCommand:
        - echo {{ who }}
      timeoutSeconds: 60
      workingDirectory: /tmp
";
    let document = Document::parse(json, Format::Json).unwrap();
    assert_eq!(document.json, json, "JSON stays as it was written");
    let from_yaml = Document::parse(yaml, Format::Yaml).unwrap();
    assert_eq!(document, Document { json: json.to_owned(), ..from_yaml.clone() });
    let again = Document::parse(&from_yaml.json, Format::Json).unwrap();
    assert_eq!(again, from_yaml, "YAML becomes JSON that says the same");
    let Action::RunShellScript(inputs) = &document.steps[0].action else { panic!("another action") };
    assert_eq!(inputs.run_command, Lines::Several(vec!["echo {{ who }}".to_owned()]));
    assert_eq!(inputs.timeout_seconds, Some(Number::Whole(60)));
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    for (message, named) in [
        (refused_with("\"mainSteps\"", "\"colour\":1,\"mainSteps\""), "colour"),
        (refused_with("\"name\":\"a\"", "\"name\":\"a\",\"colour\":1"), "mainSteps[0]"),
        (refused_with("\"runCommand\"", "\"colour\":1,\"runCommand\""), "line 1, mainSteps[0].inputs.colour"),
        (refused_with("[\"true\"]", "[1]"), "line 1, mainSteps[0].inputs.runCommand"),
        (refused_with("[\"true\"]", "[]"), "runCommand: it has 0 lines"),
        (refused_with("\"name\":\"a\"", "\"name\":\"a/b\""), "\"a/b\""),
        (refused_with("\"name\":\"a\",", ""), "name"),
        (refused_with("aws:runShellScript", "aws:runRubyScript"), "mainSteps[0].action: aws:runRubyScript"),
        (refused_with("aws:runShellScript", "aws:runRubyScript"), "supported: aws:runShellScript"),
        (refused_with("\"inputs\"", "\"precondition\":{\"StringEquals\":\"Linux\"},\"inputs\""), "mainSteps[0].precondition.StringEquals"),
        (refused_with("\"runCommand\"", "\"timeoutSeconds\":4,\"runCommand\""), "time-out"),
        (refused_with("\"runCommand\"", "\"timeoutSeconds\":\"soon\",\"runCommand\""), "\"soon\""),
        (refused_with("\"runCommand\"", "\"environment\":{\"A=B\":\"x\"},\"runCommand\""), "A=B"),
        (refused_with("\"runCommand\"", "\"onFailure\":\"abort\",\"runCommand\""), "inputs.onFailure: onFailure is \"abort\""),
        (refused_with("\"runCommand\"", "\"onSuccess\":\"successAndExit\",\"runCommand\""), "it is exit"),
        (refused_with("\"runCommand\"", "\"finallyStep\":\"yes\",\"runCommand\""), "true or false"),
        (refused_with("\"runCommand\"", "\"finallyStep\":1,\"runCommand\""), "no word"),
        (refused("{\"schemaVersion\":\"2.2\",\"mainSteps\":[]}"), "0 steps"),
        (refused("{\"schemaVersion\":\"2.2\"}"), "mainSteps is missing"),
        (refused("[]"), "object"),
        (refused("{"), "not JSON"),
        (refused(&MINIMAL.replacen("\"mainSteps\"", "\"parameters\":{\"a-b\":{\"type\":\"String\"}},\"mainSteps\"", 1)), "a-b"),
        (refused(&MINIMAL.replacen("\"mainSteps\"", "\"parameters\":{\"a\":{\"type\":\"Text\"}},\"mainSteps\"", 1)), "parameters.a.type"),
        (
            refused(&MINIMAL.replacen("\"mainSteps\"", "\"parameters\":{\"a\":{\"type\":\"Integer\",\"default\":\"x\"}},\"mainSteps\"", 1)),
            "default",
        ),
        (
            refused(&MINIMAL.replacen(
                "\"mainSteps\"",
                "\"parameters\":{\"a\":{\"type\":\"String\",\"allowedPattern\":\"(\"}},\"mainSteps\"",
                1,
            )),
            "allowedPattern",
        ),
    ] {
        assert!(message.contains(named), "{named}: {message}");
    }
}

#[test]
fn other_schemas_have_their_own_error() {
    for version in ["\"1.1\"", "\"2.3\"", "\"2.0.4\"", "2.2", "null", "\"\""] {
        let error = Document::parse(&MINIMAL.replacen("\"2.2\"", version, 1), Format::Json).unwrap_err();
        assert!(matches!(error, ContentError::SchemaVersion { .. }), "{version}: {error}");
    }
    assert!(matches!(Document::parse("{\"mainSteps\":[]}", Format::Json), Err(ContentError::SchemaVersion { .. })));
}

#[test]
fn a_key_that_comes_twice_is_refused_in_both_formats() {
    let message = refused_with("\"runCommand\":[\"true\"]", "\"runCommand\":[\"true\"],\"runCommand\":[\"false\"]");
    assert!(message.contains("twice"), "{message}");
    let yaml = "schemaVersion: '2.2'\nschemaVersion: '2.2'\nmainSteps: []\n";
    assert!(matches!(Document::parse(yaml, Format::Yaml), Err(ContentError::Content(_))));
}

#[test]
fn two_steps_cannot_share_a_name() {
    let step = r#"{"action":"aws:runShellScript","name":"a","inputs":{"runCommand":["true"]}}"#;
    let message = refused(&format!("{{\"schemaVersion\":\"2.2\",\"mainSteps\":[{step},{step}]}}"));
    assert!(message.contains("two steps"), "{message}");
}

#[test]
fn size_depth_and_aliases_are_bounded() {
    let large = MINIMAL.replacen("true", &"x".repeat(MAXIMUM_CONTENT_BYTES), 1);
    assert!(matches!(Document::parse(&large, Format::Json), Err(ContentError::TooLarge { .. })));
    let deep = "[".repeat(30_000);
    assert!(Document::parse(&deep, Format::Json).is_err());
    assert!(Document::parse(&deep, Format::Yaml).is_err());
    assert!(Document::parse(&"{a: ".repeat(10_000), Format::Yaml).is_err());
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let below = level - 1;
        bomb.push_str(&format!("a{level}: &a{level} [*a{below}, *a{below}, *a{below}, *a{below}, *a{below}, *a{below}, *a{below}]\n"));
    }
    assert!(Document::parse(&bomb, Format::Yaml).is_err());
    assert!(Document::parse("--- a\n--- b\n", Format::Yaml).is_err());
}

#[test]
fn a_text_becomes_the_same_tree_in_the_other_format() {
    let value = Format::Json.read(MINIMAL).unwrap();
    let yaml = Format::Yaml.write(&value).unwrap();
    assert_eq!(Format::Yaml.read(&yaml).unwrap(), value, "{yaml}");
}

/// Source: `parseDocumentContent` of the public agent: 1.0 and 1.2 have runtimeConfig, 2.0, 2.0.1 to 2.0.3 and 2.2 have mainSteps.
#[test]
fn every_schema_of_the_public_agent_is_read() {
    for version in ["2.0", "2.0.1", "2.0.2", "2.0.3", "2.2"] {
        let document = Document::parse(&MINIMAL.replacen("2.2", version, 1), Format::Json).unwrap();
        assert_eq!((document.schema.name(), document.steps[0].plugin.as_str()), (version, "aws:runShellScript"));
    }
    let config = r#""runtimeConfig":{"aws:runShellScript":{"properties":[{"id":"0.aws:runShellScript","runCommand":["true"]}]}}"#;
    for version in ["1.0", "1.2"] {
        let document = Document::parse(&format!("{{\"schemaVersion\":\"{version}\",{config}}}"), Format::Json).unwrap();
        assert_eq!((document.schema.name(), document.steps[0].name.as_str()), (version, "aws:runShellScript"));
        let Action::RunShellScript(inputs) = &document.steps[0].action else { panic!("another action") };
        assert_eq!(inputs.run_command.as_slice(), ["true"]);
        let message = refused(&MINIMAL.replacen("2.2", version, 1));
        assert!(message.contains("mainSteps: it is not known") && message.contains("runtimeConfig"), "{message}");
    }
    let message = refused(&format!("{{\"schemaVersion\":\"2.2\",{config}}}"));
    assert!(message.contains("runtimeConfig: it is not known"), "{message}");
}

/// Source: `runPlugin` of the public agent, which runs a plugin once for each of its properties.
#[test]
fn a_plugin_of_schema_1_runs_each_of_its_properties() {
    let one = r#"{"runCommand":["true"]}"#;
    let plugin = |properties: &str| {
        format!("{{\"schemaVersion\":\"1.2\",\"runtimeConfig\":{{\"aws:runShellScript\":{{\"properties\":{properties}}}}}}}")
    };
    let parse = |properties: &str| Document::parse(&plugin(properties), Format::Json).unwrap().steps;
    assert_eq!(parse(one), parse(&format!("[{one}]")));
    let [step] = parse(&format!("[{one},{one}]")).try_into().unwrap();
    assert!(matches!(&step.action, Action::Several(parts) if parts.len() == 2), "{step:?}");
    assert!(refused(&plugin("[]")).contains("0 steps"));
    let message = refused(&plugin(r#"[{"runCommand":["true"]},{"colour":1}]"#));
    assert!(message.contains("runtimeConfig.aws:runShellScript.properties[1]"), "{message}");
}

/// Source: `allPlugins` of the public agent. What it knows is a document; what it does not is none.
#[test]
fn plugins_of_ssm_are_taken_and_others_are_not() {
    for plugin in ["aws:psModule", "aws:applications", "aws:configurePackage", "aws:updateSsmAgent"] {
        let text = MINIMAL.replacen("aws:runShellScript", plugin, 1);
        let document = Document::parse(&text, Format::Json).unwrap();
        assert_eq!(document.steps[0].action, Action::NotRun(plugin::not_run(plugin).unwrap()));
    }
    for plugin in ["aws:runRubyScript", "aws:executeScript", "runShellScript", ""] {
        assert!(refused_with("aws:runShellScript", plugin).contains("no plugin of SSM"), "{plugin}");
    }
}

#[test]
fn a_fault_has_its_line_in_both_formats() {
    let yaml = "schemaVersion: '2.2'\nmainSteps:\n  - action: aws:runShellScript\n    name: a\n    inputs:\n      runCommand: ['true']\n      timeoutSeconds: 1\n";
    let message = Document::parse(yaml, Format::Yaml).unwrap_err().to_string();
    assert!(message.starts_with("line 7, mainSteps[0].inputs.timeoutSeconds: the time-out"), "{message}");
    let json = "{\n\"schemaVersion\": \"2.2\",\n\"mainSteps\": [\n{\"action\": \"aws:runShellScript\", \"name\": \"a\",\n\"inputs\": {\n\"runCommand\": [\"true\"],\n\"timeoutSeconds\": 1}}]}";
    let message = refused(json);
    assert!(message.starts_with("line 7, mainSteps[0].inputs.timeoutSeconds: the time-out"), "{message}");
    let message = Document::parse("schemaVersion: '2.2'\nmainSteps:\n  - a: [1\n", Format::Yaml).unwrap_err().to_string();
    assert!(message.contains("not YAML") && message.contains("line"), "{message}");
    let message = refused("{\n\n\"schemaVersion\"}");
    assert!(message.contains("not JSON") && message.contains("line 3"), "{message}");
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,200}", yaml in "([a-z]{1,5}|[-:&*!|>{}\\[\\],'\"#%@ \n]){0,80}") {
        for text in [&text, &yaml] {
            for format in [Format::Json, Format::Yaml] {
                drop(Document::parse(text, format));
            }
        }
    }
}
