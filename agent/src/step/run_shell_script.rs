//! `aws:runShellScript`: the lines as one script for `/bin/sh`.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flotilla_protocol::capability::command::Parameter;
use flotilla_protocol::document::{RunShellScript, Segment, Template};
use flotilla_protocol::status::StepStatus;
use nix::unistd::{User, chown};

use super::Ending;
use super::shell_process::ShellProcess;
use crate::job::capture::Capture;
use crate::job::child::ChildEnd;
use crate::job::host::Host;
use crate::job::spec::JobSpec;
use crate::process::ORDER_VARIABLE;
use crate::record;

/// Where a script finds programs, whatever the agent itself was started with.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Variable that names the document.
const DOCUMENT_VARIABLE: &str = "FLOTILLA_DOCUMENT";
/// Exit code of a step that we have stopped: SSM's, 128 + SIGKILL.
pub(crate) const STOPPED_EXIT_CODE: i32 = 137;
/// Largest script with its environment after the parameters were filled in.
const MAXIMUM_FILLED_BYTES: usize = 1024 * 1024;
/// What shells add to the number of the signal that has ended a program.
const SIGNAL_EXIT_CODE: i32 = 128;

/// What a step will run: the document with the parameters filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShellPlan {
    /// The whole script.
    pub script: String,
    /// Where it runs; none: the job's own working folder.
    pub working_directory: Option<PathBuf>,
    /// The document's variables and those that say what runs; the defaults of a shell come below them.
    pub environment: BTreeMap<String, String>,
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
    let filled_bytes = templates.map(|template| filled_length(template, parameters)).fold(0, usize::saturating_add);
    if filled_bytes > MAXIMUM_FILLED_BYTES {
        return Err(format!("the script and its environment would have {filled_bytes} bytes; 1 MiB is the limit"));
    }
    let mut text = String::new();
    for line in script.run_command.iter().flat_map(|line| line.fill_lines(parameters)) {
        text.push_str(&line);
        text.push('\n');
    }
    let mut environment: BTreeMap<String, String> =
        script.environment.iter().map(|(name, value)| (name.clone(), value.fill(parameters))).collect();
    // Last, so that no document can pass for another order: what an order leaves running is found by this.
    environment.insert(ORDER_VARIABLE.to_owned(), spec.order.to_string());
    environment.insert(DOCUMENT_VARIABLE.to_owned(), spec.document.clone());
    let folder = script.working_directory.as_ref().map(|folder| folder.fill(parameters));
    Ok(ShellPlan {
        script: text,
        working_directory: folder.filter(|folder| !folder.is_empty()).map(PathBuf::from),
        environment,
        timeout: Duration::from_secs(script.timeout_s.into()),
        user: spec.job_user.clone(),
    })
}

/// At least as much as the template becomes, without making it.
fn filled_length(template: &Template, parameters: &[Parameter]) -> usize {
    let length = |segment: &Segment| match segment {
        Segment::Text(text) => text.len(),
        Segment::Parameter(index) => parameters.get(usize::from(*index)).map_or(0, |parameter| {
            let lines = parameter.value.list.iter().flatten().map(|line| line.len() + 1).fold(0, usize::saturating_add);
            parameter.value.text.len().max(lines)
        }),
    };
    template.0.iter().map(length).fold(1, usize::saturating_add)
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
    if let Some(folder) = &plan.working_directory
        && !folder.is_dir()
    {
        return Ending::not_run(captures, format!("the working directory {} does not exist", folder.display()));
    }
    let user = match plan.user.as_deref().map(find_user).transpose() {
        Ok(user) => user,
        Err(why) => return Ending::not_run(captures, why),
    };
    let file = match prepare(plan, interpreter, host, user.as_ref()) {
        Ok(file) => file,
        Err(error) => return Ending::failed(captures, "the script cannot be put into the job's folder", &error),
    };
    match host.start(&file) {
        Ok(child) => {
            let (end, captured) = host.attend(child, plan.timeout, captures).await;
            ending(end, plan.timeout, captured)
        }
        Err(error) => Ending::failed(captures, "the script cannot be started", &error),
    }
}

fn find_user(name: &str) -> Result<User, String> {
    match User::from_name(name) {
        Ok(Some(user)) if nix::unistd::geteuid().is_root() || user.uid == nix::unistd::geteuid() => Ok(user),
        Ok(Some(_)) => Err(format!("the agent is not root and cannot run steps as the user {name}; see its setting job_user")),
        Ok(None) => Err(format!("there is no user {name}; see the agent's setting job_user")),
        Err(error) => Err(format!("the user {name} cannot be looked up: {error}")),
    }
}

/// Writes the script and what the role step needs to know, and makes the working folder.
fn prepare(plan: &ShellPlan, interpreter: &Interpreter, host: &Host<'_>, user: Option<&User>) -> io::Result<PathBuf> {
    let script = host.file(interpreter.ending);
    write_new(&script, plan.script.as_bytes(), 0o700, user)?;
    let work = host.folder.work();
    match DirBuilder::new().mode(0o700).create(&work) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => own(&work, user)?,
    }
    let home = match user {
        Some(user) => user.dir.clone(),
        None => own_home(),
    };
    let mut environment: BTreeMap<String, String> =
        [("PATH", PATH.to_owned()), ("HOME", home.display().to_string()), ("LANG", "C.UTF-8".to_owned())]
            .map(|(name, value)| (name.to_owned(), value))
            .into();
    environment.extend(plan.environment.clone());
    let process = ShellProcess {
        job: std::process::id(),
        interpreter: interpreter.program.clone(),
        arguments: interpreter.arguments.clone(),
        script,
        work,
        working_directory: plan.working_directory.clone(),
        environment,
        user: user.map(|user| user.name.clone()),
    };
    let file = host.file("plan");
    write_new(&file, &record::encode(&process).map_err(io::Error::other)?, 0o600, None)?;
    Ok(file)
}

fn own_home() -> PathBuf {
    let user = User::from_uid(nix::unistd::geteuid()).ok().flatten();
    user.map_or_else(|| PathBuf::from("/"), |user| user.dir)
}

fn write_new(path: &Path, bytes: &[u8], mode: u32, user: Option<&User>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    own(path, user)
}

fn own(path: &Path, user: Option<&User>) -> io::Result<()> {
    let Some(user) = user else { return Ok(()) };
    debug_assert!(fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_symlink()), "nobody else writes to a job's folder");
    Ok(chown(path, Some(user.uid), Some(user.gid))?)
}

fn ending(end: ChildEnd, limit: Duration, captures: Option<[Capture; 2]>) -> Ending {
    let (status, exit_code, explanation) = match end {
        ChildEnd::Exited(0) => (StepStatus::Succeeded, 0, None),
        ChildEnd::Exited(code) => (StepStatus::Failed, code, None),
        ChildEnd::Signalled(signal) => {
            let why = format!("ended by signal {signal}; its exit code stands for that");
            (StepStatus::Failed, SIGNAL_EXIT_CODE.saturating_add(signal), Some(why))
        }
        ChildEnd::TimedOut => {
            (StepStatus::TimedOut, STOPPED_EXIT_CODE, Some(format!("stopped because it ran longer than {} s", limit.as_secs())))
        }
        ChildEnd::Cancelled => (StepStatus::Cancelled, STOPPED_EXIT_CODE, Some("stopped by a cancel".to_owned())),
        ChildEnd::Unknown => (StepStatus::Failed, super::NO_EXIT_CODE, Some("the system does not say how it ended".to_owned())),
    };
    Ending { status, exit_code, explanation, captures }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flotilla_protocol::document::{Plan, Value};
    use flotilla_protocol::id::{BootId, OrderId};

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
