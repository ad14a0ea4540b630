use super::*;
use crate::builtin;
use crate::content::Format;
use flotilla_protocol::document::docker::DockerAction;
use flotilla_protocol::document::download::{GitVersion, Source};

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

/// Documents of which each runs the next one in as many steps, and the last one says a text.
fn nested(depth: usize, steps: usize, text: &str) -> (Document, Library) {
    let step = |number: usize, name: &str| {
        format!("\n  - {{action: 'aws:runDocument', name: r{number}, inputs: {{documentType: SSMDocument, documentPath: {name}}}}}")
    };
    let mut library = Library::new();
    let mut last = document(&one_step("aws:runShellScript", &format!("runCommand: ['{text}']")));
    for number in 1..depth {
        let name = format!("D{number}");
        library.insert(reference(&name, None), last);
        let all: String = (0..steps).map(|number| step(number, &name)).collect();
        last = document(&format!("schemaVersion: '2.2'\nmainSteps:{all}\n"));
    }
    (last, library)
}

#[test]
fn documents_run_documents_as_deep_as_a_plan_may_be_and_no_deeper() {
    let compiled = |depth: usize| {
        let (document, library) = nested(depth, 1, "true");
        super::compile(&document, &given(&[]), &library).map_err(|error| error.to_string())
    };
    let deepest = compiled(MAXIMUM_DEPTH).unwrap();
    deepest.plan.check(deepest.parameters.len()).unwrap();
    let error = compiled(MAXIMUM_DEPTH + 1).unwrap_err();
    assert!(error.contains("more than 3 deep"), "{error}");
}

#[test]
fn documents_that_run_documents_cannot_become_more_than_an_order_holds() {
    let compiled = |bytes: usize| {
        let (document, library) = nested(3, 5, &"x".repeat(bytes));
        super::compile(&document, &given(&[]), &library).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(compiled(1000), Ok(()), "25 times a kilobyte");
    let error = compiled(3000).unwrap_err();
    assert!(error.contains("which no order holds"), "{error}");
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

/// One step of a plugin, with these inputs.
fn one_step(plugin: &str, inputs: &str) -> String {
    format!(
        "schemaVersion: '2.2'\nparameters:\n  word: {{type: String, default: w}}\n  secret: {{type: String, default: s, interpolationType: ENV_VAR}}\n  \
         info: {{type: StringMap, default: {{path: 's3://bucket/{{{{ word }}}}'}}}}\n  infoText: {{type: String, default: '{{\"path\": \"s3://bucket/{{{{ word }}}}\"}}'}}\n  \
         list: {{type: StringList, default: ['/a:/a', '/b:/b']}}\nmainSteps:\n  - {{action: '{plugin}', name: d, inputs: {{{inputs}}}}}\n"
    )
}

fn action_of(plugin: &str, inputs: &str) -> Result<PlanAction, String> {
    let document = Document::parse(&one_step(plugin, inputs), Format::Yaml).map_err(|error| error.to_string())?;
    let library = Library::from([(reference("Inner", None), self::document(INNER))]);
    let compiled = super::compile(&document, &given(&[]), &library).map_err(|error| error.to_string())?;
    compiled.plan.check(compiled.parameters.len()).unwrap();
    Ok(compiled.plan.steps[0].action().unwrap())
}

fn source_of(kind: &str, info: &str) -> Result<Source, String> {
    match action_of("aws:downloadContent", &format!("sourceType: {kind}, sourceInfo: {info}"))? {
        PlanAction::DownloadContent(download) => Ok(download.source),
        other => panic!("{other:?}"),
    }
}

/// Source: `sourceInfo` in the user guide and in each `parseSourceInfo` of the public agent.
#[test]
fn source_info_is_an_object_or_a_text_and_values_stay_data() {
    let word = || Segment::Parameter(4);
    let path = |info: &str| match source_of("S3", info).unwrap() {
        Source::S3(source) => source.path.0,
        other => panic!("{other:?}"),
    };
    let open = vec![Segment::Text("s3://bucket/".into()), word()];
    assert_eq!(path("{path: 's3://bucket/{{ word }}'}"), open);
    assert_eq!(path("'{\"path\": \"s3://bucket/{{ word }}\"}'"), open);
    // Filled in before it was read: what came in is never filled again.
    let closed = vec![Segment::Text("s3://bucket/{{ word }}".into())];
    assert_eq!(path("'{{ info }}'"), closed);
    assert_eq!(path("'{{ infoText }}'"), closed);
    // ENV_VAR keeps values out of scripts; an address is none.
    assert_eq!(path("{path: 's3://{{ secret }}/a'}"), [Segment::Text("s3://".into()), Segment::Parameter(3), Segment::Text("/a".into())]);
}

#[test]
fn each_source_takes_its_own_members() {
    let Source::Http(http) =
        source_of("HTTP", "{url: 'https://a/b', authMethod: Basic, username: u, password: '{{ word }}', allowInsecureDownload: 'True'}")
            .unwrap()
    else {
        panic!("another source")
    };
    assert!(http.allow_insecure && http.credentials.is_some() && http.sha256.is_none());
    let Source::Git(git) =
        source_of("GitHub", "{owner: '{{ word }}', repository: tools, path: bin, getOptions: 'branch:{{ word }}'}").unwrap()
    else {
        panic!("another source")
    };
    assert_eq!(
        git.repository.0,
        [Segment::Text("https://github.com/".into()), Segment::Parameter(4), Segment::Text("/".into()), Segment::Text("tools".into())]
    );
    assert_eq!(git.version, GitVersion::Branch(Template(vec![Segment::Parameter(4)])));
    let Source::Git(git) = source_of("Git", "{repository: 'https://a/b', getOptions: 'commitID: 00'}").unwrap() else {
        panic!("another source")
    };
    assert_eq!(git.version, GitVersion::Commit(Template::text("00")));
    let Source::Text(text) = source_of("SSMDocument", "{name: 'arn:aws:ssm:a:0:document/Inner'}").unwrap() else {
        panic!("another source")
    };
    assert_eq!(text.name, "Inner");
    assert_eq!(Document::parse(&text.content, Format::Json).unwrap().steps, document(INNER).steps);
}

#[test]
fn what_is_wrong_with_a_download_is_said() {
    let hash = "0".repeat(63);
    for (kind, info, expected) in [
        ("FTP", "{}", "sourceType: sourceType is \"FTP\"; it is one of HTTP, Git, GitHub, S3, SSMDocument"),
        ("HTTP", "{}", "url is missing"),
        ("HTTP", "7", "no object"),
        ("HTTP", "'no JSON'", "no JSON object"),
        ("HTTP", "'{\"url\": \"a\", \"url\": \"b\"}'", "no JSON object"),
        ("HTTP", "{url: a, colour: red}", "colour is no member of sourceInfo for HTTP"),
        ("HTTP", "{url: a, authMethod: Digest}", "Digest is not built"),
        ("HTTP", "{url: a, authMethod: Magic}", "it is None or Basic"),
        ("HTTP", "{url: a, authMethod: Basic}", "username and password are missing"),
        ("HTTP", "{url: a, allowInsecureDownload: maybe}", "it is true or false"),
        ("HTTP", &format!("{{url: a, sha256: '{hash}'}}"), "64 hexadecimal digits"),
        ("HTTP", "{url: a, authMethod: Basic, username: u, password: '{{ssm-secure:p}}'}", "parameter store"),
        ("Git", "{repository: a, getOptions: 'tag:x'}", "branch:<name> or commitID:<id>"),
        ("Git", "{repository: a, getOptions: 'branch:'}", "branch:<name> or commitID:<id>"),
        ("Git", "{repository: a, getOptions: 'branch:a:b'}", "branch:<name> or commitID:<id>"),
        ("GitHub", "{owner: 'a/b', repository: c}", "no name on GitHub"),
        ("GitHub", "{owner: a, repository: '..'}", "no name on GitHub"),
        ("GitHub", "{owner: a, repository: b, tokenInfo: x}", "tokenInfo names the parameter store"),
        ("S3", "{path: ''}", "path is missing"),
        ("SSMDocument", "{name: Missing}", "the document Missing was not read"),
    ] {
        let error = source_of(kind, info).unwrap_err();
        assert!(error.contains(expected), "{kind} {info}: {error}");
    }
    let error = action_of("aws:downloadContent", "sourceType: S3, sourceInfo: {path: a}, timeoutSeconds: 1").unwrap_err();
    assert!(error.contains("timeoutSeconds"), "{error}");
}

#[test]
fn a_document_that_no_order_holds_is_refused_with_its_size() {
    let big = one_step("aws:runShellScript", &format!("runCommand: ['{}']", "x".repeat(50_000)));
    let library = Library::from([(reference("Big", None), document(&big))]);
    let download = document(&one_step("aws:downloadContent", "sourceType: SSMDocument, sourceInfo: {name: Big}"));
    let error = super::compile(&download, &given(&[]), &library).unwrap_err().to_string();
    assert!(error.contains("the document Big has 5") && error.contains("49152"), "{error}");
}

/// Source: `runCommands` of the public agent's `dockercontainer`.
#[test]
fn docker_actions_are_checked_as_far_as_values_are_known() {
    let docker = |inputs: &str| action_of("aws:runDockerAction", inputs);
    let Ok(PlanAction::RunDockerAction(run)) =
        docker("action: Run, image: '{{ word }}', volume: '{{ list }}', cpuShares: 512, env: 'A={{ secret }}'")
    else {
        panic!("refused")
    };
    assert_eq!(
        (run.action, run.image, run.cpu_shares),
        (DockerAction::Run, Some(Template(vec![Segment::Parameter(4)])), Some(Template::text("512")))
    );
    assert_eq!(run.env, Some(Template(vec![Segment::Text("A=".into()), Segment::Parameter(3)])));
    for (inputs, expected) in [
        ("action: Fly", "action is \"Fly\"; it is one of Create, Start"),
        ("action: '{{ word }}'", "action is \"w\""),
        ("action: Run", "the action Run needs the input image"),
        ("action: Exec, container: a", "the action Exec needs the input cmd"),
        ("action: Inspect", "container or image"),
        ("action: Ps, colour: red", "colour"),
        ("action: Ps, timeoutSeconds: 1", "timeoutSeconds"),
    ] {
        let error = docker(inputs).unwrap_err();
        assert!(error.contains(expected), "{inputs}: {error}");
    }
    let many = vec!["'/a:/a'"; 65].join(", ");
    assert!(docker(&format!("action: Run, image: a, volume: [{many}]")).unwrap_err().contains("65 elements"));
}

#[test]
fn a_template_that_names_a_large_parameter_often_is_refused_before_it_is_filled() {
    let places = "{{ a }}".repeat(9000);
    let refused = |inputs: &str| {
        let text = format!("schemaVersion: '2.2'\nparameters: {{a: {{type: String}}}}\nmainSteps: [{inputs}]\n");
        compile(&document(&text), &given(&[("a", &[&"x".repeat(4096)])])).unwrap_err().message
    };
    for inputs in [
        format!("{{action: aws:downloadContent, name: s, inputs: {{sourceType: HTTP, sourceInfo: {{url: '{places}'}}}}}}"),
        format!("{{action: aws:downloadContent, name: s, inputs: {{sourceType: HTTP, sourceInfo: 'x{places}'}}}}"),
        format!("{{action: aws:downloadContent, name: s, inputs: {{sourceType: 'x{places}', sourceInfo: {{url: x}}}}}}"),
        format!("{{action: aws:runDockerAction, name: s, inputs: {{action: 'x{places}'}}}}"),
        format!("{{action: aws:runShellScript, name: s, inputs: {{runCommand: ['true'], onFailure: 'x{places}'}}}}"),
    ] {
        let message = refused(&inputs);
        assert!(message.contains("has more than 65536 bytes"), "{:.200}: {:.200}", inputs, message);
    }
}
