//! A managed node is a device whose agent has registered with this fleet; these operations list nodes, say whether
//! one is reachable, and remove one.
//!
//! Members, limits and errors are those of the SSM service model, version 2014-11-06. Timestamps are epoch seconds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::operation::Operation;
use crate::timestamp::Timestamp;

/// Lists the managed nodes with what they last reported; paged.
///
/// # Errors
/// By the model: `InternalServerError`, `InvalidInstanceId`, `InvalidNextToken`,
/// `InvalidInstanceInformationFilterValue`, `InvalidFilterKey`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DescribeInstanceInformationRequest {
    /// Filters in the older form; not together with `filters`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_information_filter_list: Option<Vec<InstanceInformationFilter>>,
    /// Filters; all must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filters: Option<Vec<InstanceInformationStringFilter>>,
    /// Entries on a page at most. Limits: 5…50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_results: Option<i32>,
    /// Where the next page begins, as the answer before gave it; absent in the answer: it was the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

impl Operation for DescribeInstanceInformationRequest {
    const NAME: &'static str = "DescribeInstanceInformation";
    type Response = DescribeInstanceInformationResult;
}

/// The answer to [`DescribeInstanceInformationRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeInstanceInformationResult {
    /// The nodes of this page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_information_list: Option<Vec<InstanceInformation>>,
    /// Where the next page begins, as the answer before gave it; absent in the answer: it was the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Removes a node from the fleet: its identity is refused from then on.
///
/// # Errors
/// By the model: `InvalidInstanceId`, `InternalServerError`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DeregisterManagedInstanceRequest {
    /// The node: `mi-` and 17 hexadecimal digits. Limits: 20…124 characters; pattern
    /// `(^mi-[0-9a-f]{17}$)|(^eks_c:[0-9A-Za-z][A-Za-z0-9\-_]{0,99}_\w{17}$)`.
    pub instance_id: String,
}

impl Operation for DeregisterManagedInstanceRequest {
    const NAME: &'static str = "DeregisterManagedInstance";
    type Response = DeregisterManagedInstanceResult;
}

/// The answer to [`DeregisterManagedInstanceRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeregisterManagedInstanceResult {}

/// Asks whether a node is connected right now.
///
/// # Errors
/// By the model: `InternalServerError`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct GetConnectionStatusRequest {
    /// The node. Limits: 1…400 characters.
    pub target: String,
}

impl Operation for GetConnectionStatusRequest {
    const NAME: &'static str = "GetConnectionStatus";
    type Response = GetConnectionStatusResponse;
}

/// The answer to [`GetConnectionStatusRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetConnectionStatusResponse {
    /// The node. Limits: 1…400 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// State. Limits: one of `connected`, `notconnected`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// What the node last said of how it is, when that came, and how many of its reports did not come; absent before it has said anything.
    /// No member of the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<serde_json::Value>,
}

/// Lists the managed nodes with what is known of the machines; paged.
///
/// # Errors
/// By the model: `InvalidNextToken`, `InvalidFilterKey`, `InvalidInstanceId`, `InvalidActivationId`,
/// `InvalidInstancePropertyFilterValue`, `InternalServerError`, `InvalidDocument`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DescribeInstancePropertiesRequest {
    /// Filters in the older form; not together with `filters_with_operator`. Limits: 1…40 entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_property_filter_list: Option<Vec<InstancePropertyFilter>>,
    /// Filters; all must hold. Limits: 1…40 entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filters_with_operator: Option<Vec<InstancePropertyStringFilter>>,
    /// Entries on a page at most. Limits: 5…1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_results: Option<i32>,
    /// Where the next page begins, as the answer before gave it; absent in the answer: it was the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

impl Operation for DescribeInstancePropertiesRequest {
    const NAME: &'static str = "DescribeInstanceProperties";
    type Response = DescribeInstancePropertiesResult;
}

/// The answer to [`DescribeInstancePropertiesRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeInstancePropertiesResult {
    /// The nodes of this page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_properties: Option<Vec<InstanceProperty>>,
    /// Where the next page begins, as the answer before gave it; absent in the answer: it was the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// The older form of a filter on properties of nodes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct InstancePropertyFilter {
    /// What is compared. Limits: one of `InstanceIds`, `AgentVersion`, `PingStatus`, `PlatformTypes`, `DocumentName`,
    /// `ActivationIds`, `IamRole`, `ResourceType`, `AssociationStatus`.
    #[serde(rename = "key")]
    pub key: String,
    /// Values, of which one must equal. Limits: 1…40 entries.
    #[serde(rename = "valueSet")]
    pub value_set: Vec<String>,
}

/// A filter on properties of nodes; all filters must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct InstancePropertyStringFilter {
    /// What is compared, as in [`InstancePropertyFilter`], or `tag-key` or `tag:` and a key.
    pub key: String,
    /// Values. Limits: 1…40 entries.
    pub values: Vec<String>,
    /// How they are compared. Limits: one of `Equal` (also where nothing is said), `NotEqual`, `BeginWith`, `LessThan`, `GreaterThan`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
}

/// What the fleet knows of one node's machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct InstanceProperty {
    /// Name that the activation gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The node: `mi-` and 17 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
    /// The processor's architecture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// Address of the node as it sees it itself.
    #[serde(default, rename = "IPAddress", skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<String>,
    /// Whether the node is connected. Limits: one of `Online`, `ConnectionLost`, `Inactive`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ping_status: Option<String>,
    /// When the node was last heard of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_ping_date_time: Option<Timestamp>,
    /// Version of the agent, dotted numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_version: Option<String>,
    /// Kind of operating system. Limits: one of `Windows`, `Linux`, `MacOS`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_type: Option<String>,
    /// Name of the operating system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_name: Option<String>,
    /// Version of the operating system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_version: Option<String>,
    /// The activation: a UUID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation_id: Option<String>,
    /// The role given to the node; the fleet keeps it and gives it no meaning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iam_role: Option<String>,
    /// When the node registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration_date: Option<Timestamp>,
    /// Kind of node: `ManagedInstance`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_type: Option<String>,
    /// Host name, fully qualified where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub computer_name: Option<String>,
    /// Kind of the thing behind the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_type: Option<String>,
}

/// Gives a node another role.
///
/// # Errors
/// By the model: `InvalidInstanceId`, `InternalServerError`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct UpdateManagedInstanceRoleRequest {
    /// The node. Limits: 20…124 characters.
    pub instance_id: String,
    /// The role; the fleet keeps and shows it. Limits: at most 64 characters.
    pub iam_role: String,
}

impl Operation for UpdateManagedInstanceRoleRequest {
    const NAME: &'static str = "UpdateManagedInstanceRole";
    type Response = UpdateManagedInstanceRoleResult;
}

/// The answer to [`UpdateManagedInstanceRoleRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct UpdateManagedInstanceRoleResult {}

/// The older form of a filter on nodes; all filters must hold, any value of one suffices.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct InstanceInformationFilter {
    /// What is compared. Limits: one of `InstanceIds`, `AgentVersion`, `PingStatus`, `PlatformTypes`,
    /// `ActivationIds`, `IamRole`, `ResourceType`, `AssociationStatus`.
    #[serde(rename = "key")]
    pub key: String,
    /// Values, of which one must equal. Limits: 1…100 entries; each: at least 1 characters.
    #[serde(rename = "valueSet")]
    pub value_set: Vec<String>,
}

/// A filter on nodes; all filters must hold, any value of one suffices.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct InstanceInformationStringFilter {
    /// Key. Limits: at least 1 characters.
    pub key: String,
    /// Values, of which one must equal. Limits: 1…100 entries; each: at least 1 characters.
    pub values: Vec<String>,
}

/// What the fleet knows of one node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct InstanceInformation {
    /// The node: `mi-` and 17 hexadecimal digits. Limits: pattern `(^i-(\w{8}|\w{17})$)|(^mi-\w{17}$)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
    /// Whether the node is connected. Limits: one of `Online`, `ConnectionLost`, `Inactive`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ping_status: Option<String>,
    /// When the node was last heard of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_ping_date_time: Option<Timestamp>,
    /// Version of the agent, dotted numbers. Limits: pattern `^[0-9]{1,6}(\.[0-9]{1,6}){2,3}$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_version: Option<String>,
    /// Whether the agent is the newest that the fleet offers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_latest_version: Option<bool>,
    /// Kind of operating system. Limits: one of `Windows`, `Linux`, `MacOS`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_type: Option<String>,
    /// Name of the operating system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_name: Option<String>,
    /// Version of the operating system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_version: Option<String>,
    /// The activation: a UUID. Limits: pattern `^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation_id: Option<String>,
    /// The role given to nodes; the fleet keeps it and gives it no meaning. Limits: at most 64 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iam_role: Option<String>,
    /// When the node registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration_date: Option<Timestamp>,
    /// Kind of node. Limits: one of `ManagedInstance`, `EC2Instance`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_type: Option<String>,
    /// Name that the activation gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Address of the node as it sees it itself. Limits: 1…46 characters.
    #[serde(default, rename = "IPAddress", skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<String>,
    /// Host name, fully qualified where known. Limits: 1…255 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub computer_name: Option<String>,
    /// State of the associations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub association_status: Option<String>,
    /// When associations last ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_association_execution_date: Option<Timestamp>,
    /// When associations last ran with success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_successful_association_execution_date: Option<Timestamp>,
    /// Associations in sum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub association_overview: Option<InstanceAggregatedAssociationOverview>,
    /// Id of the thing behind the node. Limits: 0…128 characters; pattern `^[a-zA-Z0-9:_-]*$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_id: Option<String>,
    /// Kind of the thing behind the node. Limits: one of `AWS::EC2::Instance`, `AWS::IoT::Thing`,
    /// `AWS::SSM::ManagedInstance`, `Microsoft.Compute/virtualMachines`, `compute.googleapis.com/Instance`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_type: Option<String>,
    /// Where the thing behind the node is. Limits: 1…128 characters; pattern `^.{1,128}$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_location: Option<String>,
}

/// How the associations of a node stand, in sum.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct InstanceAggregatedAssociationOverview {
    /// State in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detailed_status: Option<String>,
    /// Number of associations by state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_association_status_aggregated_count: Option<BTreeMap<String, i32>>,
}
