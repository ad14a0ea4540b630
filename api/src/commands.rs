//! A command is one document sent to chosen nodes; an invocation is that command on one of them.
//!
//! Members, limits and errors are those of the SSM service model, version 2014-11-06. Timestamps are epoch seconds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::operation::Operation;
use crate::timestamp::Timestamp;

/// Runs a document on nodes. Names the nodes by `instance_ids` or by `targets`, not both.
///
/// # Errors
/// By the model: `DuplicateInstanceId`, `InternalServerError`, `InvalidInstanceId`, `InvalidDocument`,
/// `InvalidDocumentVersion`, `InvalidOutputFolder`, `InvalidParameters`, `UnsupportedPlatformType`,
/// `MaxDocumentSizeExceeded`, `InvalidRole`, `InvalidNotificationConfig`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct SendCommandRequest {
    /// Nodes by id. Limits: 0…50 entries; each: pattern `(^i-(\w{8}|\w{17})$)|(^mi-\w{17}$)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_ids: Option<Vec<String>>,
    /// Nodes by choice. Limits: 0…5 entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<Vec<Target>>,
    /// The document. Limits: pattern `^[a-zA-Z0-9_\-.:/]{3,128}$`.
    pub document_name: String,
    /// Version of the document: a number, `$LATEST` or `$DEFAULT`. Limits: pattern
    /// `([$]LATEST|[$]DEFAULT|^[1-9][0-9]*$)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_version: Option<String>,
    /// Hash that the content must have. Limits: at most 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_hash: Option<String>,
    /// Algorithm of the hash. Limits: one of `Sha256`, `Sha1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_hash_type: Option<String>,
    /// Seconds within which the command must have started on a node, else Delivery Timed Out; 3600 where absent.
    /// Limits: 30…2592000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<i32>,
    /// Text for people. Limits: at most 100 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Parameters by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<BTreeMap<String, Vec<String>>>,
    /// Region of the bucket. Limits: 3…20 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_s3_region: Option<String>,
    /// Bucket for output. Limits: 3…63 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_s3_bucket_name: Option<String>,
    /// Prefix of output in the bucket. Limits: at most 500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_s3_key_prefix: Option<String>,
    /// Nodes at the same time: a number or a percentage; 50 where absent. Limits: 1…7 characters; pattern
    /// `^([1-9][0-9]*|[1-9][0-9]%|[1-9]%|100%)$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrency: Option<String>,
    /// Errors after which no further node is started, when exceeded: a number or a percentage; 0 where absent.
    /// Limits: 1…7 characters; pattern `^([1-9][0-9]*|[0]|[1-9][0-9]%|[0-9]%|100%)$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_errors: Option<String>,
    /// Role for notifications.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_role_arn: Option<String>,
    /// Notifications.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification_config: Option<NotificationConfig>,
    /// Copy of the output to a log group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_watch_output_config: Option<CloudWatchOutputConfig>,
    /// Alarms that stop it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm_configuration: Option<AlarmConfiguration>,
}

impl Operation for SendCommandRequest {
    const NAME: &'static str = "SendCommand";
    type Response = SendCommandResult;
}

/// The answer to [`SendCommandRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SendCommandResult {
    /// The command made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Command>,
}

/// Lists commands, newest first; paged.
///
/// # Errors
/// By the model: `InternalServerError`, `InvalidCommandId`, `InvalidInstanceId`, `InvalidFilterKey`,
/// `InvalidNextToken`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct ListCommandsRequest {
    /// The command: a UUID. Limits: exactly 36 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_id: Option<String>,
    /// The node: `mi-` and 17 hexadecimal digits. Limits: pattern `(^i-(\w{8}|\w{17})$)|(^mi-\w{17}$)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
    /// Entries on a page at most. Limits: 1…50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_results: Option<i32>,
    /// Where the next page begins, as the answer before gave it; absent in the answer: it was the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
    /// Filters; all must hold. Limits: 1…5 entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filters: Option<Vec<CommandFilter>>,
}

impl Operation for ListCommandsRequest {
    const NAME: &'static str = "ListCommands";
    type Response = ListCommandsResult;
}

/// The answer to [`ListCommandsRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListCommandsResult {
    /// The commands of this page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commands: Option<Vec<Command>>,
    /// Where the next page begins, as the answer before gave it; absent in the answer: it was the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Lists invocations of commands, newest first; paged.
///
/// # Errors
/// By the model: `InternalServerError`, `InvalidCommandId`, `InvalidInstanceId`, `InvalidFilterKey`,
/// `InvalidNextToken`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct ListCommandInvocationsRequest {
    /// The command: a UUID. Limits: exactly 36 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_id: Option<String>,
    /// The node: `mi-` and 17 hexadecimal digits. Limits: pattern `(^i-(\w{8}|\w{17})$)|(^mi-\w{17}$)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
    /// Entries on a page at most. Limits: 1…50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_results: Option<i32>,
    /// Where the next page begins, as the answer before gave it; absent in the answer: it was the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
    /// Filters; all must hold. Limits: 1…5 entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filters: Option<Vec<CommandFilter>>,
    /// Whether steps and their output are given too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<bool>,
}

impl Operation for ListCommandInvocationsRequest {
    const NAME: &'static str = "ListCommandInvocations";
    type Response = ListCommandInvocationsResult;
}

/// The answer to [`ListCommandInvocationsRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListCommandInvocationsResult {
    /// The invocations of this page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_invocations: Option<Vec<CommandInvocation>>,
    /// Where the next page begins, as the answer before gave it; absent in the answer: it was the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Reads the outcome of a command on one node.
///
/// # Errors
/// By the model: `InternalServerError`, `InvalidCommandId`, `InvalidInstanceId`, `InvalidPluginName`,
/// `InvocationDoesNotExist`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct GetCommandInvocationRequest {
    /// The command: a UUID. Limits: exactly 36 characters.
    pub command_id: String,
    /// The node: `mi-` and 17 hexadecimal digits. Limits: pattern `(^i-(\w{8}|\w{17})$)|(^mi-\w{17}$)`.
    pub instance_id: String,
    /// The step, by name. Limits: at least 4 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin_name: Option<String>,
}

impl Operation for GetCommandInvocationRequest {
    const NAME: &'static str = "GetCommandInvocation";
    type Response = GetCommandInvocationResult;
}

/// The answer to [`GetCommandInvocationRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetCommandInvocationResult {
    /// The command: a UUID. Limits: exactly 36 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_id: Option<String>,
    /// The node: `mi-` and 17 hexadecimal digits. Limits: pattern `(^i-(\w{8}|\w{17})$)|(^mi-\w{17}$)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
    /// Text for people. Limits: at most 100 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The document. Limits: pattern `^[a-zA-Z0-9_\-.]{3,128}$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_name: Option<String>,
    /// Version of the document: a number, `$LATEST` or `$DEFAULT`. Limits: pattern
    /// `([$]LATEST|[$]DEFAULT|^[1-9][0-9]*$)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_version: Option<String>,
    /// The step, by name. Limits: at least 4 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin_name: Option<String>,
    /// Exit code; -1 where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_code: Option<i32>,
    /// When it began, ISO 8601 in UTC; empty before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution_start_date_time: Option<String>,
    /// How long it ran, ISO 8601 duration; empty before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution_elapsed_time: Option<String>,
    /// When it ended, ISO 8601 in UTC; empty before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution_end_date_time: Option<String>,
    /// State. Limits: one of `Pending`, `InProgress`, `Delayed`, `Success`, `Cancelled`, `TimedOut`, `Failed`,
    /// `Cancelling`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// State in more words. Limits: 0…100 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_details: Option<String>,
    /// Standard output, cut to 24000 characters. Limits: at most 24000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_output_content: Option<String>,
    /// Where the whole standard output is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_output_url: Option<String>,
    /// How many bytes of standard output the bridge has: an addition of Flotilla, which the service model does not have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_output_bytes: Option<i64>,
    /// Standard error, cut to 8000 characters. Limits: at most 8000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_error_content: Option<String>,
    /// Where the whole standard error is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_error_url: Option<String>,
    /// How many bytes of standard error the bridge has: an addition of Flotilla, which the service model does not have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_error_bytes: Option<i64>,
    /// Copy of the output to a log group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_watch_output_config: Option<CloudWatchOutputConfig>,
}

/// Asks that a command be stopped, on all of its nodes or on some. It only ever stops: what ended stays as it is.
///
/// # Errors
/// By the model: `InternalServerError`, `InvalidCommandId`, `InvalidInstanceId`, `DuplicateInstanceId`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct CancelCommandRequest {
    /// The command: a UUID. Limits: exactly 36 characters.
    pub command_id: String,
    /// Nodes on which to stop; all where absent or empty. Limits: 0…50 entries; each: pattern
    /// `(^i-(\w{8}|\w{17})$)|(^mi-\w{17}$)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_ids: Option<Vec<String>>,
}

impl Operation for CancelCommandRequest {
    const NAME: &'static str = "CancelCommand";
    type Response = CancelCommandResult;
}

/// The answer to [`CancelCommandRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CancelCommandResult {}

/// A choice of nodes: those for which the key has one of the values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Target {
    /// Key. Limits: 1…163 characters; pattern
    /// `^[\p{L}\p{Z}\p{N}_.:/=\-@]*$|resource-groups:ResourceTypeFilters|resource-groups:Name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Values, of which one must equal. Limits: 0…50 entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<String>>,
}

/// Who is told when the state of a command changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct NotificationConfig {
    /// Topic to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification_arn: Option<String>,
    /// Events to tell of. Limits: each: one of `All`, `InProgress`, `Success`, `TimedOut`, `Cancelled`, `Failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification_events: Option<Vec<String>>,
    /// Whether to tell of the command or of each invocation. Limits: one of `Command`, `Invocation`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification_type: Option<String>,
}

/// Whether output also goes to a log group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct CloudWatchOutputConfig {
    /// Log group. Limits: 1…512 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_watch_log_group_name: Option<String>,
    /// Whether to copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_watch_output_enabled: Option<bool>,
}

/// Alarms that stop a command when they go off.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct AlarmConfiguration {
    /// Go on when the alarm cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignore_poll_alarm_failure: Option<bool>,
    /// The alarms. Limits: exactly 1 entries.
    pub alarms: Vec<Alarm>,
}

/// An alarm by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Alarm {
    /// Name of the alarm. Limits: 1…255 characters; pattern `^(?!\s*$).+`.
    pub name: String,
}

/// One command and how it stands over all its nodes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Command {
    /// The command: a UUID. Limits: exactly 36 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_id: Option<String>,
    /// The document. Limits: pattern `^[a-zA-Z0-9_\-.]{3,128}$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_name: Option<String>,
    /// Version of the document: a number, `$LATEST` or `$DEFAULT`. Limits: pattern
    /// `([$]LATEST|[$]DEFAULT|^[1-9][0-9]*$)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_version: Option<String>,
    /// Text for people. Limits: at most 100 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// When the command is over for nodes that have not begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_after: Option<Timestamp>,
    /// Parameters by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<BTreeMap<String, Vec<String>>>,
    /// Nodes by id. Limits: 0…50 entries; each: pattern `(^i-(\w{8}|\w{17})$)|(^mi-\w{17}$)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_ids: Option<Vec<String>>,
    /// Nodes by choice. Limits: 0…5 entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<Vec<Target>>,
    /// When it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_date_time: Option<Timestamp>,
    /// State. Limits: one of `Pending`, `InProgress`, `Success`, `Cancelled`, `Failed`, `TimedOut`, `Cancelling`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// State in more words. Limits: 0…100 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_details: Option<String>,
    /// Region of the bucket. Limits: 3…20 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_s3_region: Option<String>,
    /// Bucket for output. Limits: 3…63 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_s3_bucket_name: Option<String>,
    /// Prefix of output in the bucket. Limits: at most 500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_s3_key_prefix: Option<String>,
    /// Nodes at the same time: a number or a percentage; 50 where absent. Limits: 1…7 characters; pattern
    /// `^([1-9][0-9]*|[1-9][0-9]%|[1-9]%|100%)$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrency: Option<String>,
    /// Errors after which no further node is started, when exceeded: a number or a percentage; 0 where absent.
    /// Limits: 1…7 characters; pattern `^([1-9][0-9]*|[0]|[1-9][0-9]%|[0-9]%|100%)$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_errors: Option<String>,
    /// Nodes it is meant for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_count: Option<i32>,
    /// Nodes where it has ended, in whatever state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_count: Option<i32>,
    /// Nodes where it failed or timed out while it ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_count: Option<i32>,
    /// Nodes that it did not reach in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_timed_out_count: Option<i32>,
    /// Role for notifications.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_role: Option<String>,
    /// Notifications.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification_config: Option<NotificationConfig>,
    /// Copy of the output to a log group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_watch_output_config: Option<CloudWatchOutputConfig>,
    /// Seconds within which the command must have started on a node, else Delivery Timed Out; 3600 where absent.
    /// Limits: 30…2592000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<i32>,
    /// Alarms that stop it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm_configuration: Option<AlarmConfiguration>,
    /// Alarms that went off. Limits: exactly 1 entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub triggered_alarms: Option<Vec<AlarmStateInformation>>,
}

/// An alarm that went off and its state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct AlarmStateInformation {
    /// Name of the alarm. Limits: 1…255 characters; pattern `^(?!\s*$).+`.
    pub name: String,
    /// State of the alarm. Limits: one of `UNKNOWN`, `ALARM`.
    pub state: String,
}

/// A filter on commands or invocations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct CommandFilter {
    /// What is compared. Limits: one of `InvokedAfter`, `InvokedBefore`, `Status`, `ExecutionStage`,
    /// `DocumentName`.
    #[serde(rename = "key")]
    pub key: String,
    /// The value it must have. Limits: 1…128 characters.
    #[serde(rename = "value")]
    pub value: String,
}

/// One command on one node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CommandInvocation {
    /// The command: a UUID. Limits: exactly 36 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_id: Option<String>,
    /// The node: `mi-` and 17 hexadecimal digits. Limits: pattern `(^i-(\w{8}|\w{17})$)|(^mi-\w{17}$)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
    /// Name of the node. Limits: at most 255 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_name: Option<String>,
    /// Text for people. Limits: at most 100 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The document. Limits: pattern `^[a-zA-Z0-9_\-.]{3,128}$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_name: Option<String>,
    /// Version of the document: a number, `$LATEST` or `$DEFAULT`. Limits: pattern
    /// `([$]LATEST|[$]DEFAULT|^[1-9][0-9]*$)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_version: Option<String>,
    /// When it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_date_time: Option<Timestamp>,
    /// State. Limits: one of `Pending`, `InProgress`, `Delayed`, `Success`, `Cancelled`, `TimedOut`, `Failed`,
    /// `Cancelling`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// State in more words. Limits: 0…100 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_details: Option<String>,
    /// Trace of the invocation. Limits: at most 2500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_output: Option<String>,
    /// Where the whole standard output is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_output_url: Option<String>,
    /// Where the whole standard error is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_error_url: Option<String>,
    /// The steps; only with `details`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_plugins: Option<Vec<CommandPlugin>>,
    /// Role for notifications.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_role: Option<String>,
    /// Notifications.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification_config: Option<NotificationConfig>,
    /// Copy of the output to a log group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_watch_output_config: Option<CloudWatchOutputConfig>,
}

/// One step of a command on one node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CommandPlugin {
    /// Name of the step. Limits: at least 4 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// State. Limits: one of `Pending`, `InProgress`, `Success`, `TimedOut`, `Cancelled`, `Failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// State in more words. Limits: 0…100 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_details: Option<String>,
    /// Exit code; -1 where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_code: Option<i32>,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_start_date_time: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_finish_date_time: Option<Timestamp>,
    /// Output of the step, cut to 2500 characters. Limits: at most 2500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Where the whole standard output is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_output_url: Option<String>,
    /// How many bytes of standard output the bridge has: an addition of Flotilla, which the service model does not have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_output_bytes: Option<i64>,
    /// Where the whole standard error is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_error_url: Option<String>,
    /// How many bytes of standard error the bridge has: an addition of Flotilla, which the service model does not have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_error_bytes: Option<i64>,
    /// Region of the bucket. Limits: 3…20 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_s3_region: Option<String>,
    /// Bucket for output. Limits: 3…63 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_s3_bucket_name: Option<String>,
    /// Prefix of output in the bucket. Limits: at most 500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_s3_key_prefix: Option<String>,
}
