use super::*;
use flotilla_protocol::capability::command::Parameter;
use flotilla_protocol::document::{Plan, Segment, Value};
use flotilla_protocol::id::{BootId, OrderId};

fn spec() -> JobSpec {
    let list = Value { text: "[\"/a:/a\",\"/b:/b\"]".into(), list: Some(vec!["/a:/a".into(), "/b:/b".into()]) };
    JobSpec {
        order: OrderId([0; 16]),
        document: "Document".into(),
        document_version: "1".into(),
        parameters: vec![
            Parameter { name: "image".into(), value: Value::string("nginx") },
            Parameter { name: "volumes".into(), value: list },
        ],
        plan: Plan::default(),
        output_limit_bytes: 1,
        job_user: None,
        boot: BootId([0; 16]),
        tools: Default::default(),
        without_reboot: None,
    }
}

fn docker(action: DockerAction, inputs: &[(&str, &str)]) -> RunDockerAction {
    let text = |name: &str| inputs.iter().find(|(known, _)| *known == name).map(|(_, text)| Template::text(*text));
    RunDockerAction {
        action,
        container: text("container"),
        image: text("image"),
        cmd: text("cmd"),
        memory: text("memory"),
        cpu_shares: text("cpuShares"),
        volume: text("volume").into_iter().collect(),
        env: text("env"),
        user: text("user"),
        publish: text("publish"),
        working_directory: text("workingDirectory"),
        timeout_s: 60,
    }
}

/// Everything that a step may give; each action takes what is its own.
const ALL: [(&str, &str); 10] = [
    ("container", "web"),
    ("image", "registry.example.org:5000/a/web:1.2"),
    ("cmd", "serve --port 80 'two words' \"\""),
    ("memory", "64m"),
    ("cpuShares", "512"),
    ("volume", "/srv:/srv:ro"),
    ("env", "A=b c"),
    ("user", "app"),
    ("publish", "8080:80/tcp"),
    ("workingDirectory", "/srv"),
];

/// Source: the cases of `runCommands` in `dockercontainer.go` of the public agent.
#[test]
fn each_action_has_its_arguments() {
    let options = "--volume|/srv:/srv:ro|--name|web|--memory|64m|--cpu-shares|512|--publish|8080:80/tcp|--env-file|/dev/stdin|--user|app";
    let command = "registry.example.org:5000/a/web:1.2|serve|--port|80|two words|";
    for action in DockerAction::ALL {
        let expected = match action {
            DockerAction::Create => format!("create|{options}|{command}"),
            DockerAction::Run => format!("run|-d|{options}|{command}"),
            DockerAction::Start => "start|web".to_owned(),
            DockerAction::Stop => "stop|web".to_owned(),
            DockerAction::Rm => "rm|web".to_owned(),
            DockerAction::Exec => "exec|--user|app|web|serve|--port|80|two words|".to_owned(),
            DockerAction::Inspect => "inspect|web|registry.example.org:5000/a/web:1.2".to_owned(),
            DockerAction::Logs => "logs|web".to_owned(),
            DockerAction::Ps => "ps|--all".to_owned(),
            DockerAction::Stats => "stats|--no-stream|web".to_owned(),
            DockerAction::Pull => "pull|registry.example.org:5000/a/web:1.2".to_owned(),
            DockerAction::Images => "images".to_owned(),
            DockerAction::Rmi => "rmi|registry.example.org:5000/a/web:1.2".to_owned(),
        };
        let plan = plan(&docker(action, &ALL), &spec()).unwrap();
        assert_eq!(plan.arguments.join("|"), expected, "{action:?}");
        let starts = matches!(action, DockerAction::Create | DockerAction::Run);
        assert_eq!(plan.variables.as_deref(), starts.then_some("A=b c"), "{action:?}: variables are no arguments");
        assert_eq!(plan.working_directory, Some(PathBuf::from("/srv")));
        assert!(!plan.to_string().contains("serve"), "{plan}");
    }
}

#[test]
fn what_is_absent_is_left_out_and_parameters_are_filled_in() {
    let minimal = |action, inputs: &[(&str, &str)]| plan(&docker(action, inputs), &spec()).unwrap().arguments.join(" ");
    assert_eq!(minimal(DockerAction::Run, &[("image", "nginx"), ("container", " "), ("env", "")]), "run -d nginx");
    assert_eq!(minimal(DockerAction::Stats, &[]), "stats --no-stream");
    assert_eq!(minimal(DockerAction::Inspect, &[("image", "nginx")]), "inspect nginx");
    let filled = RunDockerAction {
        image: Some(Template(vec![Segment::Parameter(0)])),
        volume: vec![Template(vec![Segment::Parameter(1)])],
        ..docker(DockerAction::Create, &[])
    };
    assert_eq!(plan(&filled, &spec()).unwrap().arguments.join(" "), "create --volume /a:/a --volume /b:/b nginx");
    let many = RunDockerAction { volume: vec![Template(vec![Segment::Parameter(1)]); 33], ..filled };
    assert!(plan(&many, &spec()).unwrap_err().contains("66 elements"));
}

/// Source: `ACTION_REQUIRES_PARAMETER` of the public agent.
#[test]
fn an_action_without_what_it_needs_is_refused() {
    use DockerAction::{Create, Exec, Inspect, Logs, Pull, Rm, Rmi, Run, Start, Stop};
    for (action, without) in [
        (Create, "image"),
        (Run, "image"),
        (Pull, "image"),
        (Rmi, "image"),
        (Start, "container"),
        (Stop, "container"),
        (Rm, "container"),
        (Logs, "container"),
        (Exec, "container"),
        (Exec, "cmd"),
    ] {
        let inputs: Vec<(&str, &str)> = ALL.into_iter().filter(|(name, _)| *name != without).collect();
        let error = plan(&docker(action, &inputs), &spec()).unwrap_err();
        assert!(error.contains(action.name()) && error.contains(without), "{action:?}: {error}");
    }
    assert!(plan(&docker(Inspect, &[]), &spec()).unwrap_err().contains("container or image"));
}

#[test]
fn no_value_becomes_an_option_or_something_else() {
    for (name, values) in [
        ("container", &["-f", "--time=0", "a b", "a;b", "ä", "a/b"][..]),
        ("image", &["-v/:/host", "--privileged", "a b", "a\nb", "$(x)"]),
        ("memory", &["-1", "1x", "m", "64mb", "6 4"]),
        ("cpuShares", &["-1", "1.5", "x"]),
        ("volume", &["-v", "--privileged", "/a\n/b"]),
        ("env", &["-e", "=b", "A B=c", "A=b\nDOCKER_HOST=c"]),
        ("user", &["-u", "a b", "$(id)"]),
        ("publish", &["-P", "80 --privileged", "a;b"]),
        ("cmd", &["'open", "a\0b"]),
    ] {
        for value in values {
            let mut inputs = ALL;
            inputs.iter_mut().filter(|(known, _)| *known == name).for_each(|(_, text)| *text = value);
            let error = plan(&docker(DockerAction::Run, &inputs), &spec()).unwrap_err();
            assert!(error.contains(name), "{name} {value:?}: {error}");
        }
    }
    // Behind the image everything belongs to the container.
    let inputs = [("image", "nginx"), ("cmd", "--privileged -v /:/host; rm -rf /")];
    let arguments = plan(&docker(DockerAction::Run, &inputs), &spec()).unwrap().arguments;
    assert_eq!(arguments, ["run", "-d", "nginx", "--privileged", "-v", "/:/host;", "rm", "-rf", "/"]);
    let long = "x".repeat(MAXIMUM_VALUE_BYTES + 1);
    assert!(plan(&docker(DockerAction::Pull, &[("image", &long)]), &spec()).unwrap_err().contains("16384"));
}

#[test]
fn a_template_that_names_a_large_parameter_often_is_not_filled() {
    let mut spec = spec();
    spec.parameters[0].value = Value::string("x".repeat(16 * 1024));
    spec.parameters[1].value.list = Some(vec!["/a:/a".repeat(20_000)]);
    let bomb = Template(vec![Segment::Parameter(0); 30_000]);
    let with = |change: &dyn Fn(&mut RunDockerAction)| {
        let mut docker = docker(DockerAction::Run, &[("image", "nginx")]);
        change(&mut docker);
        plan(&docker, &spec).unwrap_err()
    };
    assert!(with(&|docker| docker.cmd = Some(bomb.clone())).contains("cmd has more than 16384 bytes"));
    assert!(with(&|docker| docker.volume = vec![bomb.clone()]).contains("volume have more than 65536 bytes"));
    assert!(with(&|docker| docker.volume = vec![Template(vec![Segment::Parameter(1)])]).contains("volume have more than 65536 bytes"));
}
