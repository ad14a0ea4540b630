//! GetCommandInvocation, and the steps that ListCommandInvocations shows with details.

use super::super::ingest::stream_column;
use super::super::model::{Aside, InvocationState, Words};
use super::super::output::{Ends, OutputLinks, Place};
use super::super::store;
use super::parse_command_id;
use crate::fleet::Fleet;
use crate::fleet::node::parse_node_id;
use crate::platform::http::{ApiError, Caller};
use crate::platform::time::{iso, iso_duration};
use flotilla_api::Timestamp;
use flotilla_api::commands::{CommandPlugin, GetCommandInvocationRequest, GetCommandInvocationResult};
use flotilla_protocol::capability::command::{Captured, CommandResult, StepResult};
use flotilla_protocol::report::OutputStream;
use flotilla_protocol::status::StepStatus;
use serde::{Deserialize, Serialize};

/// Characters of standard output that are shown (the model's limit).
const STDOUT_CHARACTERS: usize = 24_000;
/// Characters of standard error that are shown (the model's limit).
const STDERR_CHARACTERS: usize = 8_000;
/// Characters of a step's output that a list shows (the model's limit).
const PLUGIN_CHARACTERS: usize = 2_500;
/// Longest form of a character in UTF-8, in bytes.
const BYTES_OF_CHARACTER: usize = 4;
/// The response code of what has not ended, or has no exit code.
const NO_RESPONSE_CODE: i32 = -1;

/// A step of a command's document, as the command keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct StepName {
    pub(super) name: String,
    /// The plugin, for example `aws:runShellScript`.
    pub(super) action: String,
}

#[derive(sqlx::FromRow)]
pub(super) struct Row {
    pub(super) command_id: String,
    pub(super) node_id: String,
    pub(super) requested_ms: i64,
    pub(super) state: String,
    cancel_asked_ms: Option<i64>,
    next_send_ms: Option<i64>,
    send_count: i64,
    started_ms: Option<i64>,
    ended_ms: Option<i64>,
    explanation: String,
    result: Option<Vec<u8>>,
    pub(super) document_name: String,
    pub(super) document_version: String,
    pub(super) comment: String,
    steps: String,
    pub(super) instance_name: Option<String>,
    pub(super) notification: String,
    pub(super) service_role: String,
    rebooting: i64,
}

/// What stands in the details of a command that runs and waits for a reboot of its node. The model leaves details open.
const REBOOTING: &str = "Rebooting";

pub(super) const COLUMNS: &str = "invocation.command_id, invocation.node_id, invocation.requested_ms, state, invocation.cancel_asked_ms, \
    next_send_ms, send_count, started_ms, ended_ms, explanation, result, document_name, document_version, comment, steps, \
    notification, service_role, rebooting, \
    (SELECT COALESCE(name, computer_name) FROM node WHERE node.node_id = invocation.node_id) AS instance_name";
pub(super) const FROM: &str = " FROM invocation JOIN command ON command.command_id = invocation.command_id";

impl Row {
    /// SSM's words for the invocation as a whole.
    pub(super) fn words(&self, state: InvocationState) -> Words {
        let aside = Aside::of(self.cancel_asked_ms.is_some(), self.next_send_ms.is_some(), self.send_count);
        let words = state.words(aside);
        let is_rebooting = state == InvocationState::Running && aside != Aside::CancelAsked && self.rebooting != 0;
        if is_rebooting { Words { details: REBOOTING, ..words } } else { words }
    }

    fn result(&self) -> Option<CommandResult> {
        self.result.as_deref().and_then(|result| flotilla_protocol::wire::decode(result).ok())
    }

    fn steps(&self) -> Vec<StepName> {
        serde_json::from_str(&self.steps).unwrap_or_default()
    }
}

pub(crate) async fn get_command_invocation(
    fleet: &Fleet,
    caller: &Caller,
    request: GetCommandInvocationRequest,
) -> Result<GetCommandInvocationResult, ApiError> {
    let command_id = parse_command_id(&request.command_id)?.to_string();
    let node_id = parse_node_id(&request.instance_id)?.to_string();
    let sql = format!("SELECT {COLUMNS}{FROM} WHERE invocation.command_id = $1 AND invocation.node_id = $2");
    let row: Option<Row> =
        sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(&command_id).bind(&node_id).fetch_optional(fleet.store.reader()).await?;
    let Some(row) = row else {
        let message = format!("command {command_id} was not sent to {node_id}, or is not known");
        return Err(ApiError::new("InvocationDoesNotExist", message));
    };
    let state = store::parse_state(&row.state)?;
    let steps = row.steps();
    let chosen = choose(&steps, request.plugin_name.as_deref())?;
    let result = row.result();
    let shown = chosen.clone().map(|index| StepView::new(&row, state, result.as_ref(), index));
    let ends = Ends::read(fleet, &command_id, &node_id, steps.len()).await?;
    let mut views = Vec::new();
    for view in shown {
        views.push(view.with_output(fleet, &ends, STDOUT_CHARACTERS, STDERR_CHARACTERS).await?);
    }
    let single = chosen.len() == 1;
    let words = views
        .first()
        .filter(|_| single && steps.len() > 1 && state.is_terminal())
        .map_or_else(|| row.words(state), |view| Words { status: view.status, details: view.details });
    let code = views.iter().map(|view| view.code).find(|code| *code != 0).unwrap_or(0);
    let started = views.iter().find_map(|view| view.started_ms).or(row.started_ms);
    let ended = views.iter().rev().find_map(|view| view.ended_ms).or_else(|| row.ended_ms.filter(|_| started.is_some()));
    let links = OutputLinks::of(fleet, caller).await?;
    let place =
        |stream| Place { command_id: &row.command_id, node_id: &row.node_id, step: if single { Some(chosen.start) } else { None }, stream };
    let (stdout_bytes, stderr_bytes) = views.iter().fold((0, 0), |(out, error), view| (out + view.stdout_bytes, error + view.stderr_bytes));
    let stdout_url = links.link(&place(OutputStream::Stdout), stdout_bytes);
    let stderr_url = links.link(&place(OutputStream::Stderr), stderr_bytes);
    let joined = |texts: Vec<&str>, limit: usize| texts.concat().chars().take(limit).collect::<String>();
    let mut stderr = joined(views.iter().map(|view| view.stderr.as_str()).collect(), STDERR_CHARACTERS);
    if !row.explanation.is_empty() && stderr.chars().count() + row.explanation.chars().count() < STDERR_CHARACTERS {
        if !stderr.is_empty() && !stderr.ends_with('\n') {
            stderr.push('\n');
        }
        stderr.push_str(&row.explanation);
    }
    Ok(GetCommandInvocationResult {
        plugin_name: Some(if single { views.first().map_or_else(String::new, |view| view.name.clone()) } else { String::new() }),
        response_code: Some(if state.is_terminal() && !views.is_empty() { code } else { NO_RESPONSE_CODE }),
        execution_start_date_time: Some(started.map_or_else(String::new, iso)),
        execution_end_date_time: Some(ended.map_or_else(String::new, iso)),
        execution_elapsed_time: Some(started.zip(ended).map_or_else(String::new, |(started, ended)| iso_duration(ended - started))),
        status: Some(words.status.to_owned()),
        status_details: Some(words.details.to_owned()),
        standard_output_content: Some(joined(views.iter().map(|view| view.stdout.as_str()).collect(), STDOUT_CHARACTERS)),
        standard_output_url: Some(stdout_url),
        standard_output_bytes: Some(stdout_bytes),
        standard_error_content: Some(stderr),
        standard_error_url: Some(stderr_url),
        standard_error_bytes: Some(stderr_bytes),
        command_id: Some(row.command_id),
        instance_id: Some(row.node_id),
        comment: Some(row.comment),
        document_name: Some(row.document_name),
        document_version: Some(row.document_version),
        ..GetCommandInvocationResult::default()
    })
}

/// The steps that a plugin name asks for; all of them without one. A document of one step also answers to its plugin's name.
fn choose(steps: &[StepName], name: Option<&str>) -> Result<std::ops::Range<usize>, ApiError> {
    let Some(name) = name else { return Ok(0..steps.len()) };
    let by_name = steps.iter().position(|step| step.name == name);
    let only = || (steps.len() == 1 && steps.iter().all(|step| step.action == name)).then_some(0);
    match by_name.or_else(only) {
        Some(index) => Ok(index..index + 1),
        None => {
            let names: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
            Err(ApiError::new("InvalidPluginName", format!("{name:?} is no step of the command; its steps are {}", names.join(", "))))
        }
    }
}

/// The steps of an invocation for a list.
pub(super) async fn plugins(
    fleet: &Fleet,
    links: &OutputLinks<'_>,
    row: &Row,
    state: InvocationState,
) -> Result<Vec<CommandPlugin>, ApiError> {
    let result = row.result();
    let steps = row.steps().len();
    let ends = Ends::read(fleet, &row.command_id, &row.node_id, steps).await?;
    let mut plugins = Vec::new();
    for index in 0..steps {
        let view = StepView::new(row, state, result.as_ref(), index);
        let view = view.with_output(fleet, &ends, PLUGIN_CHARACTERS, PLUGIN_CHARACTERS).await?;
        let place = |stream| Place { command_id: &row.command_id, node_id: &row.node_id, step: Some(index), stream };
        let output = if view.stderr.is_empty() { view.stdout } else { format!("{}\n----------ERROR-------\n{}", view.stdout, view.stderr) };
        plugins.push(CommandPlugin {
            name: Some(view.name),
            status: Some(view.status.to_owned()),
            status_details: Some(view.details.to_owned()),
            response_code: Some(view.code),
            response_start_date_time: view.started_ms.map(Timestamp::from_milliseconds),
            response_finish_date_time: view.ended_ms.map(Timestamp::from_milliseconds),
            output: Some(output.chars().take(PLUGIN_CHARACTERS).collect()),
            standard_output_url: Some(links.link(&place(OutputStream::Stdout), view.stdout_bytes)),
            standard_output_bytes: Some(view.stdout_bytes),
            standard_error_url: Some(links.link(&place(OutputStream::Stderr), view.stderr_bytes)),
            standard_error_bytes: Some(view.stderr_bytes),
            ..CommandPlugin::default()
        });
    }
    Ok(plugins)
}

/// A step of an invocation as it is shown.
struct StepView<'a> {
    row: &'a Row,
    index: usize,
    captured: Option<(&'a Captured, &'a Captured)>,
    name: String,
    status: &'static str,
    details: &'static str,
    code: i32,
    started_ms: Option<i64>,
    ended_ms: Option<i64>,
    stdout: String,
    stderr: String,
    /// How much of the streams the bridge has.
    stdout_bytes: i64,
    stderr_bytes: i64,
}

impl<'a> StepView<'a> {
    fn new(row: &'a Row, state: InvocationState, result: Option<&'a CommandResult>, index: usize) -> Self {
        let step: Option<&StepResult> = result.and_then(|result| result.steps.get(index));
        // The model knows no "cancelling" and no "delayed" for a step.
        let (status, details) =
            step.map_or_else(|| (state.words(Aside::Nothing).status, state.words(Aside::Nothing).details), |step| step_words(step.status));
        let time = |time_ms: Option<u64>| time_ms.and_then(|time_ms| i64::try_from(time_ms).ok());
        Self {
            row,
            index,
            captured: step.map(|step| (&step.stdout, &step.stderr)),
            name: row.steps().get(index).map_or_else(String::new, |step| step.name.clone()),
            status,
            details,
            code: step.map_or(NO_RESPONSE_CODE, |step| step.exit_code),
            started_ms: time(step.and_then(|step| step.started_ms)).or(row.started_ms),
            ended_ms: time(step.and_then(|step| step.ended_ms)).or_else(|| row.ended_ms.filter(|_| row.started_ms.is_some())),
            stdout: String::new(),
            stderr: String::new(),
            stdout_bytes: 0,
            stderr_bytes: 0,
        }
    }

    async fn with_output(mut self, fleet: &Fleet, ends: &Ends, stdout: usize, stderr: usize) -> Result<Self, ApiError> {
        (self.stdout, self.stdout_bytes) = self.text(fleet, ends, OutputStream::Stdout, stdout).await?;
        (self.stderr, self.stderr_bytes) = self.text(fleet, ends, OutputStream::Stderr, stderr).await?;
        Ok(self)
    }

    /// The first characters of a stream and the length of what is here of it: the head in the result, then what came in chunks; before
    /// the result, chunks alone.
    async fn text(&self, fleet: &Fleet, ends: &Ends, stream: OutputStream, characters: usize) -> Result<(String, i64), ApiError> {
        let limit = characters * BYTES_OF_CHARACTER;
        let captured = self.captured.map(|(stdout, stderr)| match stream {
            OutputStream::Stdout => stdout,
            OutputStream::Stderr => stderr,
        });
        let mut bytes = captured.map_or_else(Vec::new, |captured| captured.head.clone());
        let head = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        let kept_bytes = ends.of(self.index, stream).max(head);
        if bytes.len() < limit && head < kept_bytes {
            let chunks: Vec<(i64, Vec<u8>)> = sqlx::query_as(
                "SELECT chunk_offset, bytes FROM command_output WHERE command_id = $1 AND node_id = $2 AND step = $3 AND stream = $4 \
                 AND chunk_offset < $5 ORDER BY chunk_offset",
            )
            .bind(&self.row.command_id)
            .bind(&self.row.node_id)
            .bind(i64::try_from(self.index).unwrap_or(i64::MAX))
            .bind(stream_column(stream))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(fleet.store.reader())
            .await?;
            for (offset, chunk) in chunks {
                let skipped = usize::try_from(offset).ok().and_then(|offset| bytes.len().checked_sub(offset));
                bytes.extend_from_slice(skipped.and_then(|skipped| chunk.get(skipped..)).unwrap_or_default());
            }
        }
        Ok((String::from_utf8_lossy(&bytes).chars().take(characters).collect(), kept_bytes))
    }
}

/// `Status` and `StatusDetails` of a step that has ended.
fn step_words(status: StepStatus) -> (&'static str, &'static str) {
    match status {
        StepStatus::Succeeded => ("Success", "Success"),
        StepStatus::Failed => ("Failed", "Failed"),
        StepStatus::TimedOut => ("TimedOut", "Execution Timed Out"),
        StepStatus::Cancelled => ("Cancelled", "Canceled"),
        StepStatus::NotRun => ("Cancelled", "Terminated"),
        // Of the statuses that the model has, the one that does not change the result: a skipped step counts as a success.
        StepStatus::Skipped => ("Success", "Skipped"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Source: the model's CommandPluginStatus (Pending, InProgress, Success, TimedOut, Cancelled, Failed), and the public agent, whose
    /// ResultStatusSkipped is "Skipped" with code 0 and aggregates like Success.
    #[test]
    fn every_step_status_is_one_of_the_model() {
        use StepStatus::{Cancelled, Failed, NotRun, Skipped, Succeeded, TimedOut};
        for status in [Succeeded, Failed, TimedOut, Cancelled, NotRun, Skipped] {
            assert!(["Success", "TimedOut", "Cancelled", "Failed"].contains(&step_words(status).0), "{status:?}");
        }
        assert_eq!(step_words(Skipped), ("Success", "Skipped"));
    }
}
