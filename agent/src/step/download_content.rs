//! `aws:downloadContent`: files from a web server, a Git repository, an object store, or a document that came with the order.
//!
//! The rules of names and places are those of the public agent's `downloadcontent`: a relative destination is one in the job's own
//! folder, where scripts run; a destination that is a folder, or ends in `/`, takes a file under its own name.

use std::fmt;
use std::path::{Component, Path};
use std::time::Duration;

use flotilla_protocol::capability::command::Parameter;
use flotilla_protocol::document::Template;
use flotilla_protocol::document::download::{Credentials, DownloadContent, Source};
use flotilla_protocol::status::StepStatus;

use super::Ending;
use super::download::{DownloadTask, Login, SourceTask, git, http, s3};
use super::launch::{Launch, own_variables};
use super::step_process::Work;
use crate::job::capture::Capture;
use crate::job::host::Host;
use crate::job::secrets::StepSecrets;
use crate::job::spec::JobSpec;

/// Longest value after the parameters were filled in, in bytes; a private key is the longest that makes sense.
const MAXIMUM_VALUE_BYTES: usize = 16 * 1024;

/// What will be downloaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownloadPlan {
    pub(crate) task: DownloadTask,
    timeout: Duration,
}

impl fmt::Display for DownloadPlan {
    /// Without the query of an address and without credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a download of {}, at most {} s", self.task.source, self.timeout.as_secs())
    }
}

/// Fills the parameters in.
///
/// # Errors
/// A value that is missing, too long, or refused; a sentence says why.
pub fn plan(download: &DownloadContent, spec: &JobSpec) -> Result<DownloadPlan, String> {
    let values = Values(&spec.parameters);
    let source = match &download.source {
        Source::Http(source) => SourceTask::Http(http::plan(source, &values)?),
        Source::Git(source) => SourceTask::Git(git::plan(source, &values)?),
        Source::S3(source) => SourceTask::S3(s3::plan(source, &values, &spec.tools.s3)?),
        Source::Text(text) => SourceTask::Text { name: text.name.clone(), content: text.content.clone() },
    };
    let destination = values.text("destinationPath", download.destination_path.as_ref())?.unwrap_or_default();
    check_destination(&destination)?;
    let task = DownloadTask { source, destination, partial: format!(".flotilla-{}.partial", spec.order), tools: spec.tools.clone() };
    Ok(DownloadPlan { task, timeout: Duration::from_secs(download.timeout_s.into()) })
}

/// A relative one stays in the job's folder.
fn check_destination(destination: &str) -> Result<(), String> {
    let path = Path::new(destination);
    let leaves = path.is_relative() && path.components().any(|component| component == Component::ParentDir);
    if leaves { Err(format!("destinationPath {destination} leaves the job's folder; give an absolute path")) } else { Ok(()) }
}

/// Downloads, in a process of its own.
pub(crate) async fn apply(plan: DownloadPlan, host: &mut Host<'_>, captures: [Capture; 2]) -> Ending {
    let DownloadPlan { task, timeout } = plan;
    let leftovers = task.leftovers(&host.folder.work());
    let launch = Launch {
        files: Vec::new(),
        work: Work::Download(Box::new(task)),
        working_directory: None,
        environment: own_variables(host.spec).into(),
        secrets: StepSecrets::default(),
        timeout,
        user: host.spec.job_user.clone(),
    };
    let ending = launch.run(host, captures).await;
    if ending.status != StepStatus::Succeeded {
        // One that was killed could not clean up after itself.
        leftovers.remove();
    }
    ending
}

/// The parameters of an order, and how their values are taken.
pub(crate) struct Values<'a>(&'a [Parameter]);

impl Values<'_> {
    /// A text without the space around it; none when nothing is left.
    pub(crate) fn text(&self, name: &str, template: Option<&Template>) -> Result<Option<String>, String> {
        let Some(template) = template else { return Ok(None) };
        let filled = template.fill_within(self.0, MAXIMUM_VALUE_BYTES);
        let filled = filled.ok_or_else(|| format!("{name} has more than {MAXIMUM_VALUE_BYTES} bytes"))?;
        let text = filled.trim();
        if text.contains('\0') {
            return Err(format!("{name} holds a zero byte"));
        }
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }

    /// A text of one line that may not be empty.
    pub(crate) fn line(&self, name: &str, template: &Template) -> Result<String, String> {
        let text = self.text(name, Some(template))?.ok_or_else(|| format!("{name} is empty"))?;
        if text.chars().any(char::is_control) { Err(format!("{name} holds a control character")) } else { Ok(text) }
    }

    /// A name and a password.
    pub(crate) fn login(&self, credentials: Option<&Credentials>) -> Result<Option<Login>, String> {
        let Some(Credentials { username, password }) = credentials else { return Ok(None) };
        let part = |name, template| self.text(name, Some(template)).map(Option::unwrap_or_default);
        let (username, password) = (part("username", username)?, part("password", password)?);
        if username.contains(':') || username.chars().chain(password.chars()).any(char::is_control) {
            return Err("username holds a colon, or username or password a control character".to_owned());
        }
        Ok(Some(Login { username, password }))
    }
}
