//! Jobs with secrets: what a script gets, what nobody else finds, and what is shown of its output.

use std::collections::BTreeMap;
use std::path::Path;

use flotilla_agent::job::secrets::JobSecrets;
use flotilla_agent::job::spec::JobSpec;
use flotilla_protocol::capability::command::Parameter;
use flotilla_protocol::document::{RunShellScript, Segment, Template, Value};
use flotilla_protocol::secret::OpenedSecret;
use flotilla_protocol::status::Outcome;

use crate::kit::{Job, script, spec};

const SECRETS: [&str; 2] = ["correct horse battery", "another one"];

fn line(before: &str, index: u16, after: &str) -> Template {
    Template(vec![Segment::Text(before.into()), Segment::Secret(index), Segment::Text(after.into())])
}

fn with_parameters(scripts: Vec<RunShellScript>) -> JobSpec {
    let parameters = ["host", "key", "token"].map(|name| Parameter { name: name.into(), value: Value::string("") });
    JobSpec { parameters: parameters.into(), ..spec(scripts) }
}

fn secrets() -> JobSecrets {
    let opened = (1..).zip(SECRETS).map(|(parameter, value)| OpenedSecret { parameter, value: value.as_bytes().to_vec().into() });
    JobSecrets::of_order(opened.collect()).unwrap()
}

fn has_secret(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return has_secret(&path);
        }
        let content = std::fs::read(&path).unwrap();
        SECRETS.iter().any(|secret| content.windows(secret.len()).any(|bytes| bytes == secret.as_bytes()))
    })
}

#[test]
fn a_script_reads_its_secrets_from_files_and_variables_and_no_file_of_the_job_holds_them() {
    let mut first = script(&[]);
    first.run_command = vec![
        line("test \"$(cat ", 1, ")\" = 'correct'' horse battery' && echo file"),
        line("test \"$(cat ", 1, ")\" = 'correct'' horse battery' && echo again"),
        Template::text("test \"$TOKEN\" = '<another'' one>' && echo variable; test -t 0 || echo no terminal; cat; env | grep -c another"),
        Template::text("ls /proc/self/fd | grep -c '^10[0-9]$'; tr '\\0' ' ' < /proc/$$/cmdline | grep -c horse; exit 0"),
    ];
    first.environment = BTreeMap::from([("TOKEN".into(), line("<", 2, ">"))]);
    let mut second = script(&["env | grep -c -e another -e horse; ls /proc/self/fd | grep -c '^10[0-9]$'"]);
    second.run_command.push(Template::text("exit 0"));
    let job = Job::new(&with_parameters(vec![first, second]));
    let report = job.run_with(&secrets());
    assert_eq!((report.outcome, report.explanation.as_str()), (Outcome::Succeeded, ""), "{}", job.stdout());
    assert_eq!(job.stdout(), "file\nagain\nvariable\nno terminal\n1\n1\n0\n");
    assert_eq!(job.output(1, flotilla_protocol::report::OutputStream::Stdout), "0\n0\n", "a step gets only what it names");
    assert!(!has_secret(job.folder.path()));
}

#[test]
fn output_is_shown_without_secrets_however_slowly_they_are_written() {
    let mut slow = script(&[]);
    slow.run_command = vec![
        line("cat ", 1, "; echo; base64 < /proc/self/fd/100; cat /proc/self/fd/100 >&2"),
        Template::text("printf 'ends: corr'; sleep 1.5; printf 'ect horse'; sleep 1.5; echo ' battery'; printf 'and: corr'"),
    ];
    let job = Job::new(&with_parameters(vec![slow]));
    let report = job.run_with(&secrets());
    assert_eq!(report.outcome, Outcome::Succeeded);
    let shown = job.stdout();
    assert!(shown.starts_with("****\n****\nends: ****") && shown.ends_with("\nand: ****"), "{shown}");
    assert!(!shown.contains("horse") && !shown.contains("battery") && !shown.contains("Y29ycmVjd"), "{shown}");
    assert_eq!(job.output(0, flotilla_protocol::report::OutputStream::Stderr), "****");
    assert_eq!(report.steps[0].stdout.written_bytes, u64::try_from(shown.len()).unwrap());
    assert!(!has_secret(job.folder.path()));
}

#[test]
fn a_job_that_was_handed_no_secrets_runs_nothing() {
    let mut only = script(&[]);
    only.run_command = vec![line("touch ran; cat ", 1, "")];
    let job = Job::new(&with_parameters(vec![only]));
    let report = job.run();
    assert_eq!(report.outcome, Outcome::Failed);
    assert!(report.explanation.contains("not handed"), "{}", report.explanation);
    assert!(!job.folder.path().join("work/ran").exists());
}
