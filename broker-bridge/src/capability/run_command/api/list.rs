//! ListCommands and ListCommandInvocations: newest first, a page at a time. What a page examines is bounded: see [`super::walk`].

use super::super::output::OutputLinks;
use super::super::store::{self, NewCommand};
use super::detail;
use super::filter::Filters;
use super::source::{commands_walk, ids, invocations_walk};
use super::walk::Key;
use crate::fleet::Fleet;
use crate::platform::http::{ApiError, Caller};
use crate::platform::page::{TokenScope, page_size};
use flotilla_api::Timestamp;
use flotilla_api::commands::{
    Command, CommandInvocation, ListCommandInvocationsRequest, ListCommandInvocationsResult, ListCommandsRequest, ListCommandsResult,
};
use sqlx::{QueryBuilder, Sqlite};

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

/// A command as it stands, if there is one.
pub(super) async fn command(fleet: &Fleet, command_id: &str) -> Result<Option<Command>, ApiError> {
    let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("SELECT ");
    query.push(COMMAND_COLUMNS).push(" FROM command WHERE command_id = ").push_bind(command_id);
    let row: Option<CommandRow> = query.build_query_as().fetch_optional(fleet.store.reader()).await?;
    Ok(row.map(CommandRow::into_command))
}

pub(crate) async fn list_commands(fleet: &Fleet, _caller: &Caller, request: ListCommandsRequest) -> Result<ListCommandsResult, ApiError> {
    let size = page_size(request.max_results, 1..=50)?;
    let scope = TokenScope::new("ListCommands", &(&request.command_id, &request.instance_id, &request.filters));
    let after = scope.after(request.next_token.as_deref())?.map(|after| Key::of_token(&after));
    let filters = Filters::parse(request.filters.as_deref())?;
    let Ok(walk) = commands_walk(&filters, ids(request.command_id.as_deref(), request.instance_id.as_deref())?) else {
        return Ok(ListCommandsResult { commands: Some(Vec::new()), next_token: None });
    };
    // One look at the database for what fits and what is shown of it.
    let mut snapshot = fleet.store.reader().begin().await?;
    let found = walk.page(&mut snapshot, after, usize::try_from(size).unwrap_or(usize::MAX)).await?;
    let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("SELECT ");
    query.push(COMMAND_COLUMNS).push(" FROM command WHERE command_id IN (");
    let mut separated = query.separated(", ");
    for key in &found.keys {
        separated.push_bind(key.command_id.clone());
    }
    query.push(") ORDER BY command_id DESC");
    let rows: Vec<CommandRow> = query.build_query_as().fetch_all(&mut *snapshot).await?;
    snapshot.rollback().await?;
    let next_token = found.next.map(|next| scope.token(&next.to_token()));
    Ok(ListCommandsResult { commands: Some(rows.into_iter().map(CommandRow::into_command).collect()), next_token })
}

pub(crate) async fn list_command_invocations(
    fleet: &Fleet,
    caller: &Caller,
    request: ListCommandInvocationsRequest,
) -> Result<ListCommandInvocationsResult, ApiError> {
    let size = page_size(request.max_results, 1..=50)?;
    let details = request.details.unwrap_or(false);
    let scope = TokenScope::new("ListCommandInvocations", &(&request.command_id, &request.instance_id, &request.filters));
    let after = scope.after(request.next_token.as_deref())?.map(|after| Key::of_token(&after));
    let filters = Filters::parse(request.filters.as_deref())?;
    let Ok(walk) = invocations_walk(&filters, ids(request.command_id.as_deref(), request.instance_id.as_deref())?) else {
        return Ok(ListCommandInvocationsResult { command_invocations: Some(Vec::new()), next_token: None });
    };
    // One look at the database for what fits and what is shown of it. It ends before the steps are read, by way of other readers.
    let mut snapshot = fleet.store.reader().begin().await?;
    let found = walk.page(&mut snapshot, after, usize::try_from(size).unwrap_or(usize::MAX)).await?;
    let mut rows: Vec<detail::Row> = Vec::with_capacity(found.keys.len());
    for key in found.keys {
        let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("SELECT ");
        query.push(detail::COLUMNS).push(detail::FROM).push(" WHERE invocation.command_id = ").push_bind(key.command_id);
        query.push(" AND invocation.node_id = ").push_bind(key.node_id);
        rows.extend(query.build_query_as::<detail::Row>().fetch_optional(&mut *snapshot).await?);
    }
    snapshot.rollback().await?;
    let next_token = found.next.map(|next| scope.token(&next.to_token()));
    let links = if details { Some(OutputLinks::of(fleet, caller).await?) } else { None };
    let mut invocations = Vec::with_capacity(rows.len());
    for row in rows {
        let state = store::parse_state(&row.state)?;
        let words = row.words(state);
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
