use super::*;
use crate::fleet::document::builtin;
use crate::fleet::document::content::Format;

fn builtin() -> Document {
    Document::parse(builtin::find("AWS-RunShellScript").unwrap().content, builtin::FORMAT).unwrap()
}

fn given(values: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
    values.iter().map(|(name, texts)| ((*name).to_owned(), texts.iter().map(|text| (*text).to_owned()).collect())).collect()
}

fn script(compiled: &Compiled) -> RunShellScript {
    compiled.plan.check(compiled.parameters.len()).unwrap();
    match compiled.plan.steps[0].action().unwrap() {
        PlanAction::RunShellScript(script) => script,
        PlanAction::Unsupported(kind) => panic!("kind {kind}"),
    }
}

#[test]
fn the_builtin_runs_the_lines_that_were_given() {
    let compiled =
        compile(&builtin(), &given(&[("commands", &["echo a", "echo {{ workingDirectory }}"]), ("executionTimeout", &["60"])])).unwrap();
    let script = script(&compiled);
    let lines: Vec<String> = script.run_command.iter().flat_map(|line| line.fill_lines(&compiled.parameters)).collect();
    assert_eq!(lines, ["echo a", "echo {{ workingDirectory }}"], "a value is never a template");
    assert_eq!(script.working_directory.unwrap().fill(&compiled.parameters), "");
    assert_eq!(script.timeout_s, 60);
    let names: Vec<&str> = compiled.parameters.iter().map(|parameter| parameter.name.as_str()).collect();
    assert_eq!(names, ["commands", "executionTimeout", "workingDirectory"]);
}

#[test]
fn the_builtin_refuses_what_it_must() {
    for (values, named) in [
        (given(&[]), "commands"),
        (given(&[("commands", &[])]), "commands"),
        (given(&[("commands", &["x"]), ("executionTimeout", &["172801"])]), "executionTimeout"),
        (given(&[("commands", &["x"]), ("executionTimeout", &["4"])]), "executionTimeout"),
        (given(&[("commands", &["x"]), ("executionTimeout", &["60 "])]), "executionTimeout"),
        (given(&[("commands", &["x"]), ("command", &["y"])]), "command"),
    ] {
        assert_eq!(compile(&builtin(), &values).unwrap_err().name, named, "{values:?}");
    }
    let compiled = compile(&builtin(), &given(&[("commands", &["x"])])).unwrap();
    assert_eq!(script(&compiled).timeout_s, 3600);
}

#[test]
fn an_environment_parameter_never_touches_the_script() {
    let text = r#"{"schemaVersion":"2.2","parameters":{
        "a":{"type":"String","interpolationType":"ENV_VAR"},"b":{"type":"String","default":"B"}},
        "mainSteps":[{"action":"aws:runShellScript","name":"s",
          "inputs":{"runCommand":["echo {{ a }} {{ b }}"],"environment":{"OTHER":"x{{b}}"}}}]}"#;
    let document = Document::parse(text, Format::Json).unwrap();
    let compiled = compile(&document, &given(&[("a", &["$(reboot)"])])).unwrap();
    let script = script(&compiled);
    assert_eq!(script.run_command[0].fill(&compiled.parameters), "echo {{ a }} B");
    assert_eq!(script.environment["SSM_a"].fill(&compiled.parameters), "$(reboot)");
    assert_eq!(script.environment["OTHER"].fill(&compiled.parameters), "xB");
    assert_eq!(script.timeout_s, 3600);
}

#[test]
fn a_list_cannot_become_more_lines_than_a_script_has() {
    let lines = vec!["x".to_owned(); MAXIMUM_LINES + 1];
    let error = compile(&builtin(), &BTreeMap::from([("commands".to_owned(), lines)])).unwrap_err();
    assert!(error.message.contains("4097 lines"), "{error}");
}
