//! `aws:runShellScript`: the lines as one script for `/bin/sh`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use flotilla_protocol::document::{RunShellScript, Template};

use super::Ending;
use super::launch::{Launch, own_variables};
use super::step_process::Work;
use crate::job::capture::Capture;
use crate::job::host::Host;
use crate::job::spec::JobSpec;

/// Largest script with its environment after the parameters were filled in.
const MAXIMUM_FILLED_BYTES: usize = 1024 * 1024;

/// What a step will run: the document with the parameters filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShellPlan {
    /// The whole script.
    pub script: String,
    /// Where it runs; none: the job's own working folder.
    pub working_directory: Option<PathBuf>,
    /// The document's variables and those that say what runs; the defaults of a shell come below them.
    pub environment: BTreeMap<String, String>,
    /// The document's variables that hold secrets: filled only into what the step's process is handed.
    pub secret_environment: BTreeMap<String, Template>,
    /// Its lines that name secrets.
    pub secret_lines: Vec<Template>,
    /// How long it may run.
    pub timeout: Duration,
    /// Who runs it; none: the job's own user.
    pub user: Option<String>,
}

impl fmt::Display for ShellPlan {
    /// Without the script and the environment, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a script of {} lines, at most {} s", self.script.lines().count(), self.timeout.as_secs())?;
        if let Some(folder) = &self.working_directory {
            write!(f, ", in {}", folder.display())?;
        }
        match &self.user {
            Some(user) => write!(f, ", as {user}"),
            None => Ok(()),
        }
    }
}

/// Fills the parameters in.
///
/// # Errors
/// The script and its environment would be larger than 1 MiB, as an order of a few kilobytes can ask for by naming a large
/// parameter often.
pub fn plan(script: &RunShellScript, spec: &JobSpec) -> Result<ShellPlan, String> {
    let parameters = &spec.parameters;
    let templates = script.run_command.iter().chain(&script.working_directory).chain(script.environment.values());
    let filled_bytes = templates.map(|template| template.filled_length(parameters)).fold(0, usize::saturating_add);
    if filled_bytes > MAXIMUM_FILLED_BYTES {
        return Err(format!("the script and its environment would have {filled_bytes} bytes; 1 MiB is the limit"));
    }
    let mut text = String::new();
    for line in script.run_command.iter().flat_map(|line| line.fill_lines(parameters)) {
        text.push_str(&line);
        text.push('\n');
    }
    let has_secret = |template: &Template| template.secrets().next().is_some();
    let (secret, plain): (Vec<_>, Vec<_>) = script.environment.iter().partition(|(_, value)| has_secret(value));
    let mut environment: BTreeMap<String, String> = plain.into_iter().map(|(name, value)| (name.clone(), value.fill(parameters))).collect();
    let mut secret_environment: BTreeMap<String, Template> =
        secret.into_iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    // Last, so that no document can pass for another order: what an order leaves running is found by this.
    environment.extend(own_variables(spec));
    secret_environment.retain(|name, _| !environment.contains_key(name));
    let folder = script.working_directory.as_ref().map(|folder| folder.fill(parameters));
    Ok(ShellPlan {
        script: text,
        working_directory: folder.filter(|folder| !folder.is_empty()).map(PathBuf::from),
        environment,
        secret_environment,
        secret_lines: script.run_command.iter().filter(|line| has_secret(line)).cloned().collect(),
        timeout: Duration::from_secs(script.timeout_s.into()),
        user: spec.job_user.clone(),
    })
}

/// What reads a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interpreter {
    /// An absolute path.
    pub(crate) program: PathBuf,
    /// What stands before the script.
    pub(crate) arguments: Vec<String>,
    /// Ends the name of the script's file.
    pub(crate) ending: &'static str,
}

impl Interpreter {
    /// `/bin/sh`
    pub(crate) fn shell() -> Self {
        Self { program: PathBuf::from("/bin/sh"), arguments: Vec::new(), ending: "sh" }
    }
}

/// Runs the script and waits for its end.
pub(crate) async fn apply(plan: &ShellPlan, interpreter: &Interpreter, host: &mut Host<'_>, captures: [Capture; 2]) -> Ending {
    let secrets = match host.secrets.for_step(&plan.secret_lines, &plan.secret_environment, &host.spec.parameters) {
        Ok(secrets) => secrets,
        Err(why) => return Ending::not_run(captures, why),
    };
    let script = host.file(interpreter.ending);
    let launch = Launch {
        files: vec![(script.clone(), plan.script.clone().into_bytes(), 0o700)],
        work: Work::Script { interpreter: interpreter.program.clone(), arguments: interpreter.arguments.clone(), script },
        working_directory: plan.working_directory.clone(),
        environment: plan.environment.clone(),
        secrets,
        timeout: plan.timeout,
        user: plan.user.clone(),
    };
    launch.run(host, captures).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::ORDER_VARIABLE;
    use flotilla_protocol::capability::command::Parameter;
    use flotilla_protocol::document::{Plan, Segment, Template, Value};
    use flotilla_protocol::id::{BootId, OrderId};
    use std::path::Path;

    #[test]
    fn a_plan_has_its_parameters_filled_in_and_prints_no_values() {
        let script = RunShellScript {
            run_command: vec![Template::text("echo begin"), Template(vec![Segment::Parameter(0)])],
            working_directory: Some(Template(vec![Segment::Text("/srv/".into()), Segment::Parameter(1)])),
            environment: [("A".to_owned(), Template(vec![Segment::Parameter(1)])), (ORDER_VARIABLE.to_owned(), Template::text("x"))].into(),
            timeout_s: 60,
        };
        let list = Value { text: "[\"one\",\"two\"]".into(), list: Some(vec!["one".into(), "two".into()]) };
        let spec = JobSpec {
            order: OrderId([0; 16]),
            document: "Document".into(),
            document_version: "1".into(),
            parameters: vec![Parameter { name: "lines".into(), value: list }, Parameter { name: "a".into(), value: Value::string("$x") }],
            plan: Plan::default(),
            output_limit_bytes: 1,
            job_user: None,
            boot: BootId([0; 16]),
            tools: Default::default(),
            without_reboot: None,
        };
        let plan = plan(&script, &spec).unwrap();
        assert_eq!(plan.script, "echo begin\none\ntwo\n");
        assert_eq!(plan.working_directory.as_deref(), Some(Path::new("/srv/$x")));
        assert_eq!(plan.environment["A"], "$x");
        assert_eq!(plan.environment[ORDER_VARIABLE], "00000000-0000-0000-0000-000000000000");
        let bomb = RunShellScript { run_command: vec![Template(vec![Segment::Parameter(0); 200_000])], ..script };
        assert!(super::plan(&bomb, &spec).unwrap_err().contains("1 MiB"));
        assert_eq!(plan.to_string(), "a script of 3 lines, at most 60 s, in /srv/$x");
    }
}
