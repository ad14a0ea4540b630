//! A resource group is a named query over tags; commands take it as a target by its name.
//!
//! The operations are those of the service model of AWS Resource Groups, version 2017-11-27, which the bridge serves at the same address
//! as SSM. On the wire they are REST with JSON: `POST` to [`RestOperation::PATH`], signed for the service [`SIGNING_SERVICE`]; members
//! that the model puts into the address are named in [`RestOperation::QUERY`]. An error is named in the header [`ERROR_HEADER`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::operation::Operation;

/// The service name in the credential scope of a signature.
pub const SIGNING_SERVICE: &str = "resource-groups";
/// The content type of requests and answers.
pub const CONTENT_TYPE: &str = "application/json";
/// The header of an answer that names the error.
pub const ERROR_HEADER: &str = "x-amzn-errortype";
/// The only kind of query that a group can have here: a [`TagQuery`] as JSON.
pub const TAG_FILTERS: &str = "TAG_FILTERS_1_0";

/// An operation with an address of its own.
pub trait RestOperation: Operation {
    /// The path of its address.
    const PATH: &'static str;
    /// The members that are parameters of the address: their names there and in the request.
    const QUERY: &'static [(&'static str, &'static str)] = &[];
}

macro_rules! operation {
    ($request:ty, $name:literal, $path:literal, $response:ty, $query:expr) => {
        impl Operation for $request {
            const NAME: &'static str = $name;
            type Response = $response;
        }

        impl RestOperation for $request {
            const PATH: &'static str = $path;
            const QUERY: &'static [(&'static str, &'static str)] = $query;
        }
    };
}

/// Makes a group.
///
/// # Errors
/// By the model: `BadRequestException`, `ForbiddenException`, `TooManyRequestsException`, `InternalServerErrorException`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct CreateGroupRequest {
    /// Its name: 1…300 letters, digits, `_`, `.` and `-`; not beginning with `aws`.
    pub name: String,
    /// What it is for. At most 1,024 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Which resources are in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_query: Option<ResourceQuery>,
    /// Tags of the group itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, String>>,
    /// Configurations for AWS's services; none is known here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Vec<serde_json::Value>>,
    /// How much depends on it, 1…10; kept and shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub criticality: Option<i32>,
    /// Who answers for it; kept and shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// A name for people; kept and shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
}

operation!(CreateGroupRequest, "CreateGroup", "/groups", CreateGroupResponse, &[]);

/// The answer to [`CreateGroupRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateGroupResponse {
    /// The group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
    /// Its query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_query: Option<ResourceQuery>,
    /// Its tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, String>>,
}

/// Shows a group.
///
/// # Errors
/// By the model: `BadRequestException`, `ForbiddenException`, `NotFoundException`, `InternalServerErrorException`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct GetGroupRequest {
    /// Its name, in the older form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_name: Option<String>,
    /// Its name or ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

operation!(GetGroupRequest, "GetGroup", "/get-group", GroupAnswer, &[]);

/// Shows a group's query.
///
/// # Errors
/// As [`GetGroupRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct GetGroupQueryRequest {
    /// Its name, in the older form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_name: Option<String>,
    /// Its name or ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

operation!(GetGroupQueryRequest, "GetGroupQuery", "/get-group-query", GetGroupQueryResponse, &[]);

/// The answer to [`GetGroupQueryRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetGroupQueryResponse {
    /// The query with the name of its group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_query: Option<GroupQuery>,
}

/// A query with the name of its group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GroupQuery {
    /// The group's name.
    pub group_name: String,
    /// The query.
    pub resource_query: ResourceQuery,
}

/// Removes a group; its resources stay.
///
/// # Errors
/// As [`GetGroupRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DeleteGroupRequest {
    /// Its name, in the older form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_name: Option<String>,
    /// Its name or ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

operation!(DeleteGroupRequest, "DeleteGroup", "/delete-group", GroupAnswer, &[]);

/// The answer to [`GetGroupRequest`] and [`DeleteGroupRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GroupAnswer {
    /// The group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
}

/// Lists the groups; paged.
///
/// # Errors
/// By the model: `BadRequestException`, `ForbiddenException`, `InternalServerErrorException`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct ListGroupsRequest {
    /// Filters; all must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filters: Option<Vec<Filter>>,
    /// Entries on a page at most. Limits: 1…50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_results: Option<i32>,
    /// Where the next page begins, as the answer before gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

operation!(
    ListGroupsRequest,
    "ListGroups",
    "/groups-list",
    ListGroupsResponse,
    &[("maxResults", "MaxResults"), ("nextToken", "NextToken")]
);

/// The answer to [`ListGroupsRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListGroupsResponse {
    /// The groups of this page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_identifiers: Option<Vec<GroupIdentifier>>,
    /// The same in the older form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<Group>>,
    /// Where the next page begins; absent: it was the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Lists the resources of a group; paged.
///
/// # Errors
/// As [`GetGroupRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct ListGroupResourcesRequest {
    /// The group's name, in the older form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_name: Option<String>,
    /// The group's name or ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Filters; all must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filters: Option<Vec<Filter>>,
    /// Entries on a page at most. Limits: 1…50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_results: Option<i32>,
    /// Where the next page begins, as the answer before gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

operation!(ListGroupResourcesRequest, "ListGroupResources", "/list-group-resources", ListGroupResourcesResponse, &[]);

/// The answer to [`ListGroupResourcesRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListGroupResourcesResponse {
    /// The resources of this page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Vec<Resource>>,
    /// The same in the older form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_identifiers: Option<Vec<ResourceIdentifier>>,
    /// Where the next page begins; absent: it was the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Lists the resources that a query finds; paged.
///
/// # Errors
/// By the model: `BadRequestException`, `ForbiddenException`, `InternalServerErrorException`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct SearchResourcesRequest {
    /// The query.
    pub resource_query: ResourceQuery,
    /// Entries on a page at most. Limits: 1…50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_results: Option<i32>,
    /// Where the next page begins, as the answer before gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

operation!(SearchResourcesRequest, "SearchResources", "/resources/search", SearchResourcesResponse, &[]);

/// The answer to [`SearchResourcesRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SearchResourcesResponse {
    /// The resources of this page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_identifiers: Option<Vec<ResourceIdentifier>>,
    /// Where the next page begins; absent: it was the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Which resources are in a group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct ResourceQuery {
    /// Its kind: [`TAG_FILTERS`] here; AWS also has `CLOUDFORMATION_STACK_1_0`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// The query as JSON in a text, a [`TagQuery`]. At most 4,096 characters.
    pub query: String,
}

/// What the text of a [`ResourceQuery`] holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct TagQuery {
    /// Types of resources; `AWS::AllSupported` stands for all. None means all.
    #[serde(default)]
    pub resource_type_filters: Vec<String>,
    /// Tags; all must be there.
    #[serde(default)]
    pub tag_filters: Vec<TagFilter>,
}

/// A tag that a resource must have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct TagFilter {
    /// Its key.
    pub key: String,
    /// Its value is one of these; none means any value.
    #[serde(default)]
    pub values: Vec<String>,
}

/// A filter of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Filter {
    /// What is compared, for example `resource-type`.
    pub name: String,
    /// Values, of which one must equal. 1…5 entries.
    pub values: Vec<String>,
}

/// A group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Group {
    /// Its ARN.
    pub group_arn: String,
    /// Its name.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// How much depends on it, 1…10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub criticality: Option<i32>,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
}

/// A group in a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GroupIdentifier {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_name: Option<String>,
    /// Its ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_arn: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// How much depends on it, 1…10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub criticality: Option<i32>,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
}

/// A resource of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Resource {
    /// Which one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifier: Option<ResourceIdentifier>,
}

/// Which resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ResourceIdentifier {
    /// Its ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_arn: Option<String>,
    /// Its type, `AWS::SSM::ManagedInstance` for a node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_type: Option<String>,
}
