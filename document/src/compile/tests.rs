use super::*;
use crate::builtin;
use crate::content::Format;

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
        other => panic!("{other:?}"),
    }
}

/// Without documents that steps run.
fn compile(document: &Document, given: &BTreeMap<String, Vec<String>>) -> Result<Compiled, ParameterError> {
    super::compile(document, given, &Library::new()).map_err(|error| match error {
        CompileError::Parameter(error) => error,
        CompileError::Needs(reference) => panic!("{reference:?}"),
    })
}

fn document(text: &str) -> Document {
    Document::parse(text, Format::Yaml).unwrap()
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

fn preconditions_of(precondition: &str) -> Vec<Precondition> {
    let text = format!(
        "schemaVersion: '2.2'\nparameters:\n  word: {{type: String, default: a}}\n  secret: {{type: String, default: b, interpolationType: ENV_VAR}}\n\
         mainSteps:\n  - action: aws:runShellScript\n    name: s\n    precondition: {precondition}\n    inputs: {{runCommand: ['true']}}\n"
    );
    compile(&document(&text), &BTreeMap::new()).unwrap().plan.steps.remove(0).preconditions
}

/// Source: `evaluatePreconditions` of the public agent, case by case.
#[test]
fn preconditions_mean_what_they_mean_to_the_public_agent() {
    let test = |precondition: &str| preconditions_of(precondition).remove(0).test;
    let word = || Template(vec![Segment::Parameter(1)]);
    assert_eq!(test("{StringEquals: [platformType, Linux]}"), Test::Platform("Linux".into()));
    assert_eq!(test("{StringEquals: [windows, platformType]}"), Test::Platform("windows".into()));
    assert_eq!(test("{StringEquals: ['{{ word }}', b]}"), Test::Equal(word(), Template::text("b")));
    assert_eq!(test("{StringEquals: [b, '{{ secret }}']}"), Test::Equal(Template::text("b"), Template(vec![Segment::Parameter(0)])));
    for malformed in [
        "{StringEquals: [platformType]}",
        "{StringEquals: [platformType, Linux, MacOS]}",
        "{StringEquals: []}",
        "{StringEquals: [platformType, platformType]}",
        "{StringEquals: ['{{ word }}', '{{ word }}']}",
        "{StringEquals: [platformType, '{{ word }}']}",
        "{StringEquals: ['{{ ssm:word }}', '{{ word }}']}",
        "{StringEquals: ['{{ word }}', '{{ ssm-secure:word }}']}",
        "{StringEquals: [a, b]}",
        "{StringEquals: ['{{ unknown }}', b]}",
        "{StringLike: ['{{ word }}', b]}",
    ] {
        assert_eq!(test(malformed), Test::Malformed, "{malformed}");
    }
    assert_eq!(preconditions_of("{StringEquals: [platformType, Linux], Other: []}").len(), 2);
    assert!(preconditions_of("{StringEquals: ['{{ word }}', b]}")[0].text.contains("{{ word }}"), "values are not shown");
}

/// Source: `getStepExecutionOperation` of the public agent: "Precondition is not supported for document schema version prior to 2.2".
#[test]
fn preconditions_of_older_schemas_have_no_meaning() {
    let text = "schemaVersion: '2.0'\nmainSteps:\n  - {action: 'aws:runShellScript', name: s, precondition: {StringEquals: [platformType, Linux]}, inputs: {runCommand: ['true']}}\n";
    let plan = compile(&document(text), &BTreeMap::new()).unwrap().plan;
    assert_eq!(plan.steps[0].preconditions[0].test, Test::Malformed);
    assert!(plan.steps[0].preconditions[0].text.contains("2.2"));
}

/// Source: the user guide's "onFailure, onSuccess, finallyStep", and `getShouldPluginSkipBasedOnControlFlow` of the public agent.
#[test]
fn step_control_is_read_from_inputs_and_filled_in() {
    let text = "schemaVersion: '2.2'\nparameters:\n  end: {type: String, default: exit}\nmainSteps:\n\
        \x20 - {action: 'aws:runShellScript', name: a, inputs: {runCommand: ['true'], onFailure: '{{ end }}', finallyStep: true}}\n\
        \x20 - {action: 'aws:psModule', name: b, inputs: {onFailure: successAndExit, onSuccess: exit}}\n\
        \x20 - {action: 'aws:runShellScript', name: c, inputs: {runCommand: ['true'], finallyStep: 'true'}}\n";
    let controls = |given: &[(&str, &[&str])]| {
        let plan = compile(&document(text), &self::given(given))?.plan;
        plan.check(1).unwrap();
        Ok::<_, ParameterError>(plan.steps.iter().map(|step| step.control).collect::<Vec<_>>())
    };
    let control = |on_failure, exit_on_success, finally| Control { on_failure, exit_on_success, finally };
    let expected = [
        control(OnFailure::Exit, false, false),
        control(OnFailure::SuccessAndExit, true, false),
        control(OnFailure::Continue, false, true),
    ];
    assert_eq!(controls(&[]).unwrap(), expected, "finallyStep has no meaning before the last step");
    assert_eq!(controls(&[("end", &["stop"])]).unwrap_err().name, "step a");
}

fn running(name: &str) -> Document {
    document(&format!(
        "schemaVersion: '2.2'\nparameters:\n  greeting: {{type: String, default: hello}}\n  names: {{type: StringList, default: [a]}}\nmainSteps:\n  \
         - action: aws:runDocument\n    name: run\n    inputs:\n      documentType: SSMDocument\n      documentPath: {name}\n      \
         documentParameters: {{text: '{{{{ greeting }}}}, you', who: '{{{{ names }}}}'}}\n"
    ))
}

const INNER: &str = "schemaVersion: '2.2'\nparameters:\n  text: {type: String}\n  who: {type: StringList}\nmainSteps:\n  \
    - {action: 'aws:runShellScript', name: say, inputs: {runCommand: ['echo {{ text }}', '{{ who }}']}}\n";

fn reference(name: &str, version: Option<&str>) -> Reference {
    Reference { name: name.to_owned(), version: version.map(str::to_owned) }
}

/// Source: the user guide on aws:runDocument: SSMDocument, a path `name` or `name:version`, parameters of the document that is run.
#[test]
fn a_document_that_a_step_runs_is_compiled_into_it() {
    assert_eq!(super::compile(&running("Inner:2"), &given(&[]), &Library::new()), Err(CompileError::Needs(reference("Inner", Some("2")))));
    let library = Library::from([(reference("Inner", None), document(INNER))]);
    let compiled = super::compile(&running("Inner"), &given(&[("names", &["b", "c"])]), &library).unwrap();
    compiled.plan.check(compiled.parameters.len()).unwrap();
    let PlanAction::RunPlan(inner) = compiled.plan.steps[0].action().unwrap() else { panic!("another action") };
    let PlanAction::RunShellScript(script) = inner.steps[0].action().unwrap() else { panic!("another action") };
    let lines: Vec<String> = script.run_command.iter().flat_map(|line| line.fill_lines(&compiled.parameters)).collect();
    assert_eq!(lines, ["echo hello, you", "b", "c"], "a list stays a list");
    let names: Vec<&str> = compiled.parameters.iter().map(|parameter| parameter.name.as_str()).collect();
    assert_eq!(names, ["greeting", "names", "run.text", "run.who"]);
}

#[test]
fn documents_that_run_documents_end_at_a_depth_and_keep_their_rules() {
    let library = Library::from([(reference("Self", None), running("Self"))]);
    let CompileError::Parameter(error) = super::compile(&running("Self"), &given(&[]), &library).unwrap_err() else { panic!("needs") };
    assert!(error.message.contains("text") || error.message.contains("deep"), "{error}");
    let endless = document(
        "schemaVersion: '2.2'\nmainSteps:\n  - {action: 'aws:runDocument', name: r, inputs: {documentType: SSMDocument, documentPath: Endless}}\n",
    );
    let library = Library::from([(reference("Endless", None), endless.clone())]);
    let error = super::compile(&endless, &given(&[]), &library).unwrap_err().to_string();
    assert!(error.contains("more than 3 deep"), "{error}");
    let library = Library::from([(reference("Inner", None), builtin())]);
    let error = super::compile(&running("Inner"), &given(&[]), &library).unwrap_err().to_string();
    assert!(error.contains("step run") && error.contains("the document Inner"), "{error}");
}

#[test]
fn a_plugin_that_is_not_run_becomes_a_step_that_says_so() {
    let text = "schemaVersion: '2.2'\nmainSteps:\n  - {action: 'aws:configurePackage', name: p, inputs: {name: x, action: Install}}\n";
    let plan = compile(&document(text), &BTreeMap::new()).unwrap().plan;
    let PlanAction::Refuse(refuse) = plan.steps[0].action().unwrap() else { panic!("another action") };
    assert!(refuse.why.contains("aws:configurePackage") && refuse.why.contains("supported: aws:runShellScript"), "{}", refuse.why);
}

#[test]
fn versions_of_documents_are_read_from_paths() {
    assert_eq!(super::reference("A:$LATEST"), Some(reference("A", Some("$LATEST"))));
    assert_eq!(super::reference("arn:aws:ssm:local-1:000000000000:document/A"), Some(reference("A", None)));
    assert_eq!(super::reference(" "), None);
}
