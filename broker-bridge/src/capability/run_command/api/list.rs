//! ListCommands and ListCommandInvocations: newest first, a page at a time.

use super::super::model::InvocationState;
use super::super::output::OutputLinks;
use super::super::store::{self, NewCommand};
use super::{detail, parse_command_id};
use crate::fleet::Fleet;
use crate::fleet::node::parse_node_id;
use crate::platform::http::{ApiError, Caller};
use crate::platform::page::{TokenScope, cut, page_size};
use crate::platform::time::from_iso;
use flotilla_api::Timestamp;
use flotilla_api::commands::{
    Command, CommandFilter, CommandInvocation, ListCommandInvocationsRequest, ListCommandInvocationsResult, ListCommandsRequest,
    ListCommandsResult,
};
use sqlx::{QueryBuilder, Sqlite};

/// Most filters of one request (the model's limit).
const MAXIMUM_FILTERS: usize = 5;

/// A filter that was understood.
enum Filter {
    /// Asked for at this time or later.
    After(i64),
    /// Asked for before this time.
    Before(i64),
    /// In this status, or with these details written without spaces.
    Status(String),
    /// Of this document.
    Document(String),
    /// Ended, or not.
    Complete(bool),
}

fn parse_filters(filters: Option<&[CommandFilter]>) -> Result<Vec<Filter>, ApiError> {
    let filters = filters.unwrap_or_default();
    if filters.len() > MAXIMUM_FILTERS {
        return Err(ApiError::validation(format!("at most {MAXIMUM_FILTERS} filters are taken")));
    }
    filters.iter().map(parse_filter).collect()
}

fn parse_filter(filter: &CommandFilter) -> Result<Filter, ApiError> {
    let CommandFilter { key, value } = filter;
    if !(1..=128).contains(&value.chars().count()) {
        return Err(ApiError::validation(format!("the value of filter {key} must have 1 to 128 characters")));
    }
    let time =
        || from_iso(value).ok_or_else(|| ApiError::validation(format!("filter {key}: {value:?} is no time such as 2026-07-07T00:00:00Z")));
    match key.as_str() {
        "InvokedAfter" => time().map(Filter::After),
        "InvokedBefore" => time().map(Filter::Before),
        "Status" => Ok(Filter::Status(value.clone())),
        "DocumentName" => Ok(Filter::Document(value.clone())),
        "ExecutionStage" => match value.as_str() {
            "Executing" => Ok(Filter::Complete(false)),
            "Complete" => Ok(Filter::Complete(true)),
            _ => Err(ApiError::validation(format!("filter ExecutionStage is Executing or Complete, not {value:?}"))),
        },
        _ => Err(ApiError::new(
            "InvalidFilterKey",
            format!("{key:?} is no filter key; use InvokedAfter, InvokedBefore, Status, ExecutionStage or DocumentName"),
        )),
    }
}

#[derive(sqlx::FromRow)]
struct CommandRow {
    command_id: String,
    document_name: String,
    document_version: String,
    comment: String,
    parameters: String,
    instance_ids: String,
    targets: String,
    requested_ms: i64,
    expires_ms: i64,
    timeout_seconds: i64,
    max_concurrency: String,
    max_errors: String,
    status: String,
    status_details: String,
    total: i64,
    completed: i64,
    errors: i64,
    delivery_timed_out: i64,
    notification: String,
    service_role: String,
}

const COMMAND_COLUMNS: &str = "command_id, document_name, document_version, comment, parameters, instance_ids, targets, requested_ms, \
    expires_ms, timeout_seconds, max_concurrency, max_errors, status, status_details, notification, service_role, \
    count_pending + count_sent + count_active + count_succeeded + count_failed + count_execution_timed_out + count_cancelled \
    + count_delivery_timed_out + count_refused + count_undeliverable + count_terminated AS total, \
    count_succeeded + count_failed + count_execution_timed_out + count_cancelled + count_delivery_timed_out + count_refused \
    + count_undeliverable + count_terminated AS completed, \
    count_failed + count_execution_timed_out AS errors, count_delivery_timed_out AS delivery_timed_out";

impl CommandRow {
    fn into_command(self) -> Command {
        let number = |number: i64| Some(i32::try_from(number).unwrap_or(i32::MAX));
        Command {
            command_id: Some(self.command_id),
            document_name: Some(self.document_name),
            document_version: Some(self.document_version),
            comment: Some(self.comment),
            expires_after: Some(Timestamp::from_milliseconds(self.expires_ms)),
            parameters: serde_json::from_str(&self.parameters).ok(),
            instance_ids: serde_json::from_str(&self.instance_ids).ok(),
            targets: serde_json::from_str(&self.targets).ok(),
            requested_date_time: Some(Timestamp::from_milliseconds(self.requested_ms)),
            status: Some(self.status),
            status_details: Some(self.status_details),
            output_s3_bucket_name: Some(String::new()),
            output_s3_key_prefix: Some(String::new()),
            max_concurrency: Some(self.max_concurrency),
            max_errors: Some(self.max_errors),
            target_count: number(self.total),
            completed_count: number(self.completed),
            error_count: number(self.errors),
            delivery_timed_out_count: number(self.delivery_timed_out),
            timeout_seconds: number(self.timeout_seconds),
            notification_config: serde_json::from_str(&self.notification).ok(),
            service_role: Some(self.service_role),
            ..Command::default()
        }
    }
}

/// A command as the API shows it when it was just written.
pub(super) fn new_command(new: &NewCommand<'_>) -> Command {
    let row = CommandRow {
        command_id: new.command_id.to_owned(),
        document_name: new.document_name.to_owned(),
        document_version: new.document_version.to_owned(),
        comment: new.comment.to_owned(),
        parameters: new.parameters.clone(),
        instance_ids: new.instance_ids.clone(),
        targets: new.targets.clone(),
        requested_ms: new.requested_ms,
        expires_ms: new.expires_ms,
        timeout_seconds: new.timeout_seconds,
        max_concurrency: new.max_concurrency.to_owned(),
        max_errors: new.max_errors.to_owned(),
        status: new.words.status.to_owned(),
        status_details: new.words.details.to_owned(),
        total: new.counts.total(),
        completed: new.counts.completed(),
        errors: new.counts.errors(),
        delivery_timed_out: new.counts.delivery_timed_out,
        notification: new.notification.clone(),
        service_role: new.service_role.to_owned(),
    };
    row.into_command()
}

pub(crate) async fn list_commands(fleet: &Fleet, _caller: &Caller, request: ListCommandsRequest) -> Result<ListCommandsResult, ApiError> {
    let size = page_size(request.max_results, 1..=50)?;
    let scope = TokenScope::new("ListCommands", &(&request.command_id, &request.instance_id, &request.filters));
    let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("SELECT ");
    query.push(COMMAND_COLUMNS).push(" FROM command WHERE 1 = 1");
    if let Some(command_id) = &request.command_id {
        query.push(" AND command_id = ").push_bind(parse_command_id(command_id)?.to_string());
    }
    if let Some(node) = &request.instance_id {
        query.push(" AND EXISTS (SELECT 1 FROM invocation WHERE invocation.command_id = command.command_id AND node_id = ");
        query.push_bind(parse_node_id(node)?.to_string()).push(")");
    }
    for filter in parse_filters(request.filters.as_deref())? {
        match filter {
            Filter::After(time_ms) => query.push(" AND requested_ms >= ").push_bind(time_ms),
            Filter::Before(time_ms) => query.push(" AND requested_ms < ").push_bind(time_ms),
            Filter::Document(name) => query.push(" AND document_name = ").push_bind(name),
            Filter::Complete(true) => query.push(" AND status NOT IN ('Pending', 'InProgress', 'Cancelling')"),
            Filter::Complete(false) => query.push(" AND status IN ('Pending', 'InProgress', 'Cancelling')"),
            Filter::Status(word) => {
                query.push(" AND (status = ").push_bind(word.clone()).push(" OR replace(status_details, ' ', '') = ");
                query.push_bind(word).push(")")
            }
        };
    }
    // Command ids begin with their time, so their order is the order in time.
    if let Some(after) = scope.after(request.next_token.as_deref())? {
        query.push(" AND command_id < ").push_bind(after);
    }
    query.push(" ORDER BY command_id DESC LIMIT ").push_bind(size + 1);
    let mut rows: Vec<CommandRow> = query.build_query_as().fetch_all(fleet.store.reader()).await?;
    let next_token = cut(&mut rows, size, &scope, |row| row.command_id.clone());
    Ok(ListCommandsResult { commands: Some(rows.into_iter().map(CommandRow::into_command).collect()), next_token })
}

/// Adds the condition that an invocation shows this status, or these details without spaces.
fn shows(query: &mut QueryBuilder<Sqlite>, word: &str) {
    let mut any = false;
    query.push(" AND (");
    for state in InvocationState::ALL {
        for cancelling in [false, true] {
            let words = state.words(cancelling);
            if words.status != word && words.details.replace(' ', "") != word {
                continue;
            }
            query.push(if any { " OR (state = " } else { "(state = " }).push_bind(state.as_str());
            query.push(if cancelling {
                " AND invocation.cancel_asked_ms IS NOT NULL)"
            } else {
                " AND invocation.cancel_asked_ms IS NULL)"
            });
            any = true;
        }
    }
    query.push(if any { ")" } else { "1 = 0)" });
}

pub(crate) async fn list_command_invocations(
    fleet: &Fleet,
    caller: &Caller,
    request: ListCommandInvocationsRequest,
) -> Result<ListCommandInvocationsResult, ApiError> {
    let size = page_size(request.max_results, 1..=50)?;
    let details = request.details.unwrap_or(false);
    let scope = TokenScope::new("ListCommandInvocations", &(&request.command_id, &request.instance_id, &request.filters));
    let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("SELECT ");
    query.push(detail::COLUMNS).push(detail::FROM).push(" WHERE 1 = 1");
    if let Some(command_id) = &request.command_id {
        query.push(" AND invocation.command_id = ").push_bind(parse_command_id(command_id)?.to_string());
    }
    if let Some(node) = &request.instance_id {
        query.push(" AND invocation.node_id = ").push_bind(parse_node_id(node)?.to_string());
    }
    for filter in parse_filters(request.filters.as_deref())? {
        match filter {
            Filter::After(time_ms) => drop(query.push(" AND invocation.requested_ms >= ").push_bind(time_ms)),
            Filter::Before(time_ms) => drop(query.push(" AND invocation.requested_ms < ").push_bind(time_ms)),
            Filter::Document(name) => drop(query.push(" AND document_name = ").push_bind(name)),
            Filter::Complete(true) => drop(query.push(" AND state NOT IN ('pending', 'sent', 'accepted', 'running')")),
            Filter::Complete(false) => drop(query.push(" AND state IN ('pending', 'sent', 'accepted', 'running')")),
            Filter::Status(word) => shows(&mut query, &word),
        }
    }
    if let Some(after) = scope.after(request.next_token.as_deref())? {
        let (command_id, node_id) = after.split_once('/').unwrap_or((&after, ""));
        query.push(" AND (invocation.command_id, invocation.node_id) < (").push_bind(command_id.to_owned());
        query.push(", ").push_bind(node_id.to_owned()).push(")");
    }
    query.push(" ORDER BY invocation.command_id DESC, invocation.node_id DESC LIMIT ").push_bind(size + 1);
    let mut rows: Vec<detail::Row> = query.build_query_as().fetch_all(fleet.store.reader()).await?;
    let next_token = cut(&mut rows, size, &scope, |row| format!("{}/{}", row.command_id, row.node_id));
    let links = if details { Some(OutputLinks::of(fleet, caller).await?) } else { None };
    let mut invocations = Vec::with_capacity(rows.len());
    for row in rows {
        let state = store::parse_state(&row.state)?;
        let words = state.words(row.cancel_asked_ms.is_some());
        let plugins = match &links {
            Some(links) => detail::plugins(fleet, links, &row, state).await?,
            None => Vec::new(),
        };
        invocations.push(CommandInvocation {
            command_id: Some(row.command_id),
            instance_id: Some(row.node_id),
            instance_name: row.instance_name,
            comment: Some(row.comment),
            document_name: Some(row.document_name),
            document_version: Some(row.document_version),
            requested_date_time: Some(Timestamp::from_milliseconds(row.requested_ms)),
            status: Some(words.status.to_owned()),
            status_details: Some(words.details.to_owned()),
            standard_output_url: Some(String::new()),
            standard_error_url: Some(String::new()),
            command_plugins: Some(plugins),
            notification_config: serde_json::from_str(&row.notification).ok(),
            service_role: Some(row.service_role),
            ..CommandInvocation::default()
        });
    }
    Ok(ListCommandInvocationsResult { command_invocations: Some(invocations), next_token })
}
