//! `aws:runDockerAction`: one call of `docker`, where the node has it.
//!
//! The arguments are those of the public agent's `dockercontainer`, with these differences: every volume has its own `--volume` (there,
//! only the first has one), `cmd` is split into words as a shell would (there, it is the name of one program), and no variable of the
//! environment stands among the arguments, which every user of the node can read: it comes on standard input.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use flotilla_protocol::document::Template;
use flotilla_protocol::document::docker::{DockerAction, MAXIMUM_VOLUMES, RunDockerAction};

use super::Ending;
use super::launch::{Launch, own_variables};
use super::step_process::Work;
use crate::job::capture::Capture;
use crate::job::host::Host;
use crate::job::secrets::StepSecrets;
use crate::job::spec::JobSpec;
use crate::process::find_program;

/// The program.
const PROGRAM: &str = "docker";
/// Longest value after the parameters were filled in, in bytes.
const MAXIMUM_VALUE_BYTES: usize = 16 * 1024;
/// Longest elements of `volume` together, likewise.
const MAXIMUM_VOLUMES_BYTES: usize = 64 * 1024;
/// What `docker` is told to read the container's variables from.
const VARIABLES_FILE: &str = "/dev/stdin";

/// What `docker` will be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerPlan {
    /// The arguments after the program's name.
    pub arguments: Vec<String>,
    /// Its standard input: the container's variables, one a line.
    pub variables: Option<String>,
    /// Where it runs; none: the job's own working folder.
    pub working_directory: Option<PathBuf>,
    /// The variables that say what runs.
    pub environment: BTreeMap<String, String>,
    /// How long it may run.
    pub timeout: Duration,
    /// Who runs it; none: the job's own user.
    pub user: Option<String>,
}

impl fmt::Display for DockerPlan {
    /// Without what runs in the container, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let action = self.arguments.first().map_or("", String::as_str);
        write!(f, "docker {action} with {} arguments, at most {} s", self.arguments.len(), self.timeout.as_secs())
    }
}

/// The arguments of `docker`.
///
/// # Errors
/// A value that an action needs is missing, or one is nothing that `docker` takes: none can become an option.
pub fn plan(docker: &RunDockerAction, spec: &JobSpec) -> Result<DockerPlan, String> {
    let fill = |name: &'static str, template: &Option<Template>| {
        let Some(template) = template else { return Ok(None) };
        let text = template.fill_within(&spec.parameters, MAXIMUM_VALUE_BYTES);
        value(name, &text.ok_or_else(|| format!("{name} has more than {MAXIMUM_VALUE_BYTES} bytes"))?)
    };
    let container = fill("container", &docker.container)?.map(|text| checked("container", text, is_container)).transpose()?;
    let image = fill("image", &docker.image)?.map(|text| checked("image", text, is_image)).transpose()?;
    let user = fill("user", &docker.user)?.map(|text| checked("user", text, is_user)).transpose()?;
    let words = fill("cmd", &docker.cmd)?.map(|text| split_words(&text)).transpose()?.unwrap_or_default();
    let needed = |name: &str, value: &Option<String>| {
        value.clone().ok_or_else(|| format!("the action {} of aws:runDockerAction needs the input {name}", docker.action.name()))
    };
    let mut arguments: Vec<String> = Vec::new();
    let mut variables = None;
    let mut add = |texts: &[&str]| arguments.extend(texts.iter().map(|text| (*text).to_owned()));
    match docker.action {
        DockerAction::Create | DockerAction::Run => {
            add(if docker.action == DockerAction::Run { &["run", "-d"] } else { &["create"] });
            for volume in volumes(docker, spec)? {
                add(&["--volume", &volume]);
            }
            let options = [
                ("--name", container),
                ("--memory", fill("memory", &docker.memory)?.map(|text| checked("memory", text, is_memory)).transpose()?),
                ("--cpu-shares", fill("cpuShares", &docker.cpu_shares)?.map(|text| checked("cpuShares", text, is_number)).transpose()?),
                ("--publish", fill("publish", &docker.publish)?.map(|text| checked("publish", text, is_publish)).transpose()?),
            ];
            options.iter().for_each(|(option, text)| text.iter().for_each(|text| add(&[option, text])));
            variables = fill("env", &docker.env)?.map(|text| checked("env", text, is_variable)).transpose()?;
            if variables.is_some() {
                add(&["--env-file", VARIABLES_FILE]);
            }
            user.iter().for_each(|user| add(&["--user", user]));
            add(&[&needed("image", &image)?]);
            words.iter().for_each(|word| add(&[word]));
        }
        DockerAction::Exec => {
            add(&["exec"]);
            user.iter().for_each(|user| add(&["--user", user]));
            add(&[&needed("container", &container)?]);
            needed("cmd", &words.first().cloned())?;
            words.iter().for_each(|word| add(&[word]));
        }
        DockerAction::Start => add(&["start", &needed("container", &container)?]),
        DockerAction::Stop => add(&["stop", &needed("container", &container)?]),
        DockerAction::Rm => add(&["rm", &needed("container", &container)?]),
        DockerAction::Logs => add(&["logs", &needed("container", &container)?]),
        DockerAction::Pull => add(&["pull", &needed("image", &image)?]),
        DockerAction::Rmi => add(&["rmi", &needed("image", &image)?]),
        DockerAction::Inspect => {
            needed("container or image", &container.clone().or_else(|| image.clone()))?;
            add(&["inspect"]);
            container.iter().chain(&image).for_each(|text| add(&[text]));
        }
        DockerAction::Stats => {
            add(&["stats", "--no-stream"]);
            container.iter().for_each(|container| add(&[container]));
        }
        DockerAction::Ps => add(&["ps", "--all"]),
        DockerAction::Images => add(&["images"]),
    }
    Ok(DockerPlan {
        arguments,
        variables,
        working_directory: fill("workingDirectory", &docker.working_directory)?.map(PathBuf::from),
        environment: own_variables(spec).into(),
        timeout: Duration::from_secs(docker.timeout_s.into()),
        user: spec.job_user.clone(),
    })
}

/// Runs `docker` and waits for its end.
pub(crate) async fn apply(plan: &DockerPlan, host: &mut Host<'_>, captures: [Capture; 2]) -> Ending {
    let search_path = &host.spec.tools.search_path;
    let Some(program) = find_program(search_path, PROGRAM) else {
        let why = format!("aws:runDockerAction needs {PROGRAM}, which this node does not have in {search_path}; install Docker there");
        return Ending::not_run(captures, why);
    };
    let input = plan.variables.as_ref().map(|_| host.file("variables"));
    let files = input.iter().zip(&plan.variables).map(|(path, text)| (path.clone(), format!("{text}\n").into_bytes(), 0o600));
    let launch = Launch {
        files: files.collect(),
        work: Work::Program { program, arguments: plan.arguments.clone(), input },
        working_directory: plan.working_directory.clone(),
        environment: plan.environment.clone(),
        secrets: StepSecrets::default(),
        timeout: plan.timeout,
        user: plan.user.clone(),
    };
    launch.run(host, captures).await
}

/// A value without the space around it; none when nothing is left.
fn value(name: &str, text: &str) -> Result<Option<String>, String> {
    let text = text.trim();
    if text.contains('\0') {
        return Err(format!("{name} holds a zero byte"));
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

fn checked(name: &str, text: String, is_sound: fn(&str) -> bool) -> Result<String, String> {
    if is_sound(&text) { Ok(text) } else { Err(format!("{name} is {text:?}, which docker does not take")) }
}

fn split_words(text: &str) -> Result<Vec<String>, String> {
    shlex::split(text).ok_or_else(|| "cmd has a quotation mark that is not closed".to_owned())
}

fn volumes(docker: &RunDockerAction, spec: &JobSpec) -> Result<Vec<String>, String> {
    let bytes = docker.volume.iter().map(|volume| volume.filled_length(&spec.parameters)).fold(0, usize::saturating_add);
    if bytes > MAXIMUM_VOLUMES_BYTES {
        return Err(format!("the elements of volume have more than {MAXIMUM_VOLUMES_BYTES} bytes"));
    }
    let mut volumes = Vec::new();
    for text in docker.volume.iter().flat_map(|volume| volume.fill_lines(&spec.parameters)) {
        if let Some(text) = value("volume", &text)? {
            volumes.push(checked("volume", text, is_volume)?);
        }
    }
    if volumes.len() > MAXIMUM_VOLUMES {
        return Err(format!("volume has {} elements; {MAXIMUM_VOLUMES} is the limit", volumes.len()));
    }
    Ok(volumes)
}

/// Whether a text begins with a letter, a digit or one of `first`, and goes on with letters, digits and `rest`. None begins with `-`.
fn is_made_of(text: &str, first: &str, rest: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some_and(|one| one.is_ascii_alphanumeric() || first.contains(one))
        && characters.all(|one| one.is_ascii_alphanumeric() || rest.contains(one))
}

fn is_container(text: &str) -> bool {
    is_made_of(text, "", "_.-")
}

fn is_image(text: &str) -> bool {
    is_made_of(text, "", "_.-:/@+")
}

fn is_user(text: &str) -> bool {
    is_made_of(text, "_", "_.-:")
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_memory(text: &str) -> bool {
    let number = text.strip_suffix(['b', 'k', 'm', 'g']).unwrap_or(text);
    !number.is_empty() && is_number(number)
}

fn is_publish(text: &str) -> bool {
    is_made_of(text, "[", "[]:./-")
}

fn is_volume(text: &str) -> bool {
    !text.starts_with('-') && !text.chars().any(char::is_control)
}

/// One line of a file of variables: a name, and perhaps a value.
fn is_variable(text: &str) -> bool {
    let name = text.split_once('=').map_or(text, |(name, _)| name);
    is_made_of(name, "_", "_.-") && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests;
