//! Inventory is what is on the nodes, a table a type: `AWS:Application`, `AWS:Network`, `Custom:Rack`; these operations find nodes by it, count
//! them, read it and add to it.
//!
//! Members, limits and errors are those of the SSM service model, version 2014-11-06. Timestamps are epoch seconds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::operation::Operation;
use crate::timestamp::Timestamp;

/// An entry of a type: its attributes with their values. Limits: at most 50 attributes; names 1…64 characters, values at most 4096.
pub type InventoryEntry = BTreeMap<String, String>;

/// Finds nodes by their inventory and reads a type of it, or counts them; paged.
///
/// # Errors
/// By the model: `InternalServerError`, `InvalidFilter`, `InvalidInventoryGroupException`, `InvalidNextToken`,
/// `InvalidTypeNameException`, `InvalidAggregatorException`, `InvalidResultAttributeException`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct GetInventoryRequest {
    /// Filters; all must hold. Limits: 1…5 entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filters: Option<Vec<InventoryFilter>>,
    /// What is counted; without it nodes are listed. Limits: 1…10 entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aggregators: Option<Vec<InventoryAggregator>>,
    /// The type that is read; `AWS:InstanceInformation` where nothing is said. Limits: 1 entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_attributes: Option<Vec<ResultAttribute>>,
    /// Where the next page begins, as the answer before gave it; absent in the answer: it was the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
    /// Nodes on a page at most. Limits: 1…50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_results: Option<i32>,
}

impl Operation for GetInventoryRequest {
    const NAME: &'static str = "GetInventory";
    type Response = GetInventoryResult;
}

/// The answer to [`GetInventoryRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetInventoryResult {
    /// The nodes, or the counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entities: Option<Vec<InventoryResultEntity>>,
    /// Where the next page begins, as the answer before gave it; absent in the answer: it was the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// A filter on one attribute of one type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct InventoryFilter {
    /// The type and the attribute with a dot between: `AWS:Application.Name`. Limits: 1…200 characters.
    pub key: String,
    /// Values. Limits: 1…40 entries.
    pub values: Vec<String>,
    /// How they are compared. Limits: one of `Equal` (also where nothing is said), `NotEqual`, `BeginWith`, `LessThan`, `GreaterThan`, `Exists`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
}

/// What is counted: the values of an attribute, each alone or with those of others, or groups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct InventoryAggregator {
    /// The type and the attribute with a dot between. Limits: 1…1000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
    /// Attributes whose values are counted together with this one. Limits: 1…10 entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aggregators: Option<Vec<Self>>,
    /// Groups of nodes. Limits: 1…15 entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<InventoryGroup>>,
}

/// A group: the nodes for which filters hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct InventoryGroup {
    /// Its name. Limits: 1…200 characters.
    pub name: String,
    /// The filters; all must hold. Limits: 1…5 entries.
    pub filters: Vec<InventoryFilter>,
}

/// A type that is read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct ResultAttribute {
    /// Name of the type. Limits: 1…100 characters; pattern `^(AWS|Custom):.*$`.
    pub type_name: String,
}

/// A node with its inventory, or counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct InventoryResultEntity {
    /// The node; absent for counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The items, by the names of their types; counts by the type or the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<BTreeMap<String, InventoryResultItem>>,
}

/// What a node has of a type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct InventoryResultItem {
    /// Name of the type. Limits: 1…100 characters; pattern `^(AWS|Custom):.*$`.
    pub type_name: String,
    /// Version of the type's attributes, `1.0`. Limits: pattern `^([0-9]{1,6})(\.[0-9]{1,6})$`.
    pub schema_version: String,
    /// When it was gathered: `2026-11-21T22:26:40Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture_time: Option<String>,
    /// Hash of the content; what `PutInventory` was given, or the bridge's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_hash: Option<String>,
    /// The entries. Limits: at most 10,000.
    pub content: Vec<InventoryEntry>,
}

/// Lists the types with their attributes; paged.
///
/// # Errors
/// By the model: `InternalServerError`, `InvalidTypeNameException`, `InvalidNextToken`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct GetInventorySchemaRequest {
    /// Only types whose names begin so. Limits: at most 100 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub type_name: Option<String>,
    /// Where the next page begins, as the answer before gave it; absent in the answer: it was the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
    /// Types on a page at most. Limits: 50…200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_results: Option<i32>,
    /// Only types that can be counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aggregator: Option<bool>,
    /// The types within types.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub_type: Option<bool>,
}

impl Operation for GetInventorySchemaRequest {
    const NAME: &'static str = "GetInventorySchema";
    type Response = GetInventorySchemaResult;
}

/// The answer to [`GetInventorySchemaRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetInventorySchemaResult {
    /// The types.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schemas: Option<Vec<InventoryItemSchema>>,
    /// Where the next page begins, as the answer before gave it; absent in the answer: it was the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// A type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct InventoryItemSchema {
    /// Name of the type. Limits: 1…100 characters; pattern `^(AWS|Custom):.*$`.
    pub type_name: String,
    /// Version of the type's attributes, `1.0`. Limits: pattern `^([0-9]{1,6})(\.[0-9]{1,6})$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its attributes. Limits: 1…50 entries.
    pub attributes: Vec<InventoryItemAttribute>,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
}

/// An attribute of a type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct InventoryItemAttribute {
    /// Its name.
    pub name: String,
    /// What its values are. Limits: one of `string`, `number`.
    pub data_type: String,
}

/// Lists the entries that one node has of one type; paged.
///
/// # Errors
/// By the model: `InternalServerError`, `InvalidInstanceId`, `InvalidTypeNameException`, `InvalidFilter`,
/// `InvalidNextToken`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct ListInventoryEntriesRequest {
    /// The node: `mi-` and 17 hexadecimal digits. Limits: pattern `(^i-(\w{8}|\w{17})$)|(^mi-\w{17}$)`.
    pub instance_id: String,
    /// Name of the type. Limits: 1…100 characters; pattern `^(AWS|Custom):.*$`.
    pub type_name: String,
    /// Filters; all must hold. Limits: 1…5 entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filters: Option<Vec<InventoryFilter>>,
    /// Where the next page begins, as the answer before gave it; absent in the answer: it was the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
    /// Entries on a page at most. Limits: 1…50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_results: Option<i32>,
}

impl Operation for ListInventoryEntriesRequest {
    const NAME: &'static str = "ListInventoryEntries";
    type Response = ListInventoryEntriesResult;
}

/// The answer to [`ListInventoryEntriesRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListInventoryEntriesResult {
    /// Name of the type. Limits: 1…100 characters; pattern `^(AWS|Custom):.*$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub type_name: Option<String>,
    /// The node: `mi-` and 17 hexadecimal digits. Limits: pattern `(^i-(\w{8}|\w{17})$)|(^mi-\w{17}$)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
    /// Version of the type's attributes, `1.0`. Limits: pattern `^([0-9]{1,6})(\.[0-9]{1,6})$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_version: Option<String>,
    /// When it was gathered: `2026-11-21T22:26:40Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture_time: Option<String>,
    /// The entries of this page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<Vec<InventoryEntry>>,
    /// Where the next page begins, as the answer before gave it; absent in the answer: it was the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Writes types of a node, each as a whole.
///
/// # Errors
/// By the model: `InternalServerError`, `InvalidInstanceId`, `InvalidTypeNameException`, `InvalidItemContentException`,
/// `TotalSizeLimitExceededException`, `ItemSizeLimitExceededException`, `ItemContentMismatchException`,
/// `CustomSchemaCountLimitExceededException`, `UnsupportedInventorySchemaVersionException`,
/// `UnsupportedInventoryItemContextException`, `InvalidInventoryItemContextException`,
/// `SubTypeCountLimitExceededException`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct PutInventoryRequest {
    /// The node: `mi-` and 17 hexadecimal digits. Limits: pattern `(^i-(\w{8}|\w{17})$)|(^mi-\w{17}$)`.
    pub instance_id: String,
    /// The types. Limits: 1…30 entries.
    pub items: Vec<InventoryItem>,
}

impl Operation for PutInventoryRequest {
    const NAME: &'static str = "PutInventory";
    type Response = PutInventoryResult;
}

/// The answer to [`PutInventoryRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PutInventoryResult {
    /// What was done, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What a node has of a type, as it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct InventoryItem {
    /// Name of the type. Limits: 1…100 characters; pattern `^(AWS|Custom):.*$`.
    pub type_name: String,
    /// Version of the type's attributes, `1.0`. Limits: pattern `^([0-9]{1,6})(\.[0-9]{1,6})$`.
    pub schema_version: String,
    /// When it was gathered: `2026-11-21T22:26:40Z`.
    pub capture_time: String,
    /// Hash of the content, of the caller's choice. Without `content` it must be that of what is there. Limits: at most 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_hash: Option<String>,
    /// The entries. Limits: at most 10,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Vec<InventoryEntry>>,
    /// What the entries are about, for `AWS:ComplianceItem`. Limits: at most 50 entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<BTreeMap<String, String>>,
}

/// Removes a custom type from all nodes.
///
/// # Errors
/// By the model: `InternalServerError`, `InvalidTypeNameException`, `InvalidOptionException`,
/// `InvalidDeleteInventoryParametersException`, `InvalidInventoryRequestException`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DeleteInventoryRequest {
    /// Name of the type. Limits: 1…100 characters; pattern `^(AWS|Custom):.*$`.
    pub type_name: String,
    /// What becomes of the type itself. Limits: one of `DisableSchema`, `DeleteSchema`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_delete_option: Option<String>,
    /// Only counts what would be removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
    /// A UUID that makes the call safe to repeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_token: Option<String>,
}

impl Operation for DeleteInventoryRequest {
    const NAME: &'static str = "DeleteInventory";
    type Response = DeleteInventoryResult;
}

/// The answer to [`DeleteInventoryRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteInventoryResult {
    /// Id of the deletion: a UUID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_id: Option<String>,
    /// Name of the type. Limits: 1…100 characters; pattern `^(AWS|Custom):.*$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub type_name: Option<String>,
    /// What is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_summary: Option<InventoryDeletionSummary>,
}

/// What a deletion removes: nodes' items of the type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct InventoryDeletionSummary {
    /// How many items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_count: Option<i32>,
    /// How many are left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining_count: Option<i32>,
    /// By version of the type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary_items: Option<Vec<InventoryDeletionSummaryItem>>,
}

/// What a deletion removes of one version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct InventoryDeletionSummaryItem {
    /// Version of the type's attributes, `1.0`. Limits: pattern `^([0-9]{1,6})(\.[0-9]{1,6})$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// How many items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<i32>,
    /// How many are left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining_count: Option<i32>,
}

/// Lists deletions, the newest first; paged.
///
/// # Errors
/// By the model: `InternalServerError`, `InvalidDeletionIdException`, `InvalidNextToken`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DescribeInventoryDeletionsRequest {
    /// Only this one: a UUID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_id: Option<String>,
    /// Where the next page begins, as the answer before gave it; absent in the answer: it was the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
    /// Deletions on a page at most. Limits: 1…50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_results: Option<i32>,
}

impl Operation for DescribeInventoryDeletionsRequest {
    const NAME: &'static str = "DescribeInventoryDeletions";
    type Response = DescribeInventoryDeletionsResult;
}

/// The answer to [`DescribeInventoryDeletionsRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeInventoryDeletionsResult {
    /// The deletions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory_deletions: Option<Vec<InventoryDeletionStatusItem>>,
    /// Where the next page begins, as the answer before gave it; absent in the answer: it was the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// A deletion.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct InventoryDeletionStatusItem {
    /// Its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_id: Option<String>,
    /// Name of the type. Limits: 1…100 characters; pattern `^(AWS|Custom):.*$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub type_name: Option<String>,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_start_time: Option<Timestamp>,
    /// Limits: one of `InProgress`, `Complete`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_status: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_status_message: Option<String>,
    /// What it removes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_summary: Option<InventoryDeletionSummary>,
    /// When its state last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_status_update_time: Option<Timestamp>,
}

/// Most items of one page of [`ListInventoryItemsRequest`].
pub const MAXIMUM_ITEMS_PAGE: i32 = 500;

/// Lists which node has how much of which type, without the entries; paged. An operation of Flotilla.
///
/// # Errors
/// `ValidationException`, `InvalidNextToken`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct ListInventoryItemsRequest {
    /// Of this node only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
    /// Of this type only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub type_name: Option<String>,
    /// Items on a page at most, 1…[`MAXIMUM_ITEMS_PAGE`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_results: Option<i32>,
    /// Where the page begins: from the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

impl Operation for ListInventoryItemsRequest {
    const NAME: &'static str = "ListInventoryItems";
    const TARGET_PREFIX: &'static str = crate::audit::TARGET_PREFIX;
    type Response = ListInventoryItemsResult;
}

/// The answer to [`ListInventoryItemsRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListInventoryItemsResult {
    /// The items, by node and type.
    #[serde(default)]
    pub items: Vec<InventoryItemState>,
    /// Where the next page begins; absent: it was the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// How much a node has of a type, and how far that can be believed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct InventoryItemState {
    /// The node.
    pub instance_id: String,
    /// The type.
    pub type_name: String,
    /// Version of the type's attributes.
    pub schema_version: String,
    /// When it was gathered, in UTC; absent where nothing has come yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture_time: Option<String>,
    /// Hash of its content.
    pub content_hash: String,
    /// How many entries there are.
    pub entries: u64,
    /// Their size as JSON, in bytes.
    pub bytes: u64,
    /// Who has said it: `node`, or `api` for `PutInventory`.
    pub source: String,
    /// The node has something else by now, and will say all of it anew.
    pub is_stale: bool,
}
