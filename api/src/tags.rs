//! A tag is a key with a value that an operator attaches to a node or a document, to select it later.
//!
//! Members, limits and errors are those of the SSM service model, version 2014-11-06. Timestamps are epoch seconds.

use serde::{Deserialize, Serialize};

use crate::operation::Operation;

/// Adds tags to a resource, or gives existing keys new values.
///
/// # Errors
/// By the model: `InvalidResourceType`, `InvalidResourceId`, `InternalServerError`, `TooManyTagsError`,
/// `TooManyUpdates`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct AddTagsToResourceRequest {
    /// Kind of resource. Limits: 10 words of the model's `ResourceTypeForTagging`.
    pub resource_type: String,
    /// Id of the resource.
    pub resource_id: String,
    /// Tags. Limits: at most 1000 entries.
    pub tags: Vec<Tag>,
}

impl Operation for AddTagsToResourceRequest {
    const NAME: &'static str = "AddTagsToResource";
    type Response = AddTagsToResourceResult;
}

/// The answer to [`AddTagsToResourceRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct AddTagsToResourceResult {}

/// Removes tags from a resource by their keys; absent keys are no error.
///
/// # Errors
/// By the model: `InvalidResourceType`, `InvalidResourceId`, `InternalServerError`, `TooManyUpdates`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct RemoveTagsFromResourceRequest {
    /// Kind of resource. Limits: 10 words of the model's `ResourceTypeForTagging`.
    pub resource_type: String,
    /// Id of the resource.
    pub resource_id: String,
    /// Keys to remove. Limits: each: 1…128 characters; pattern `^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$`.
    pub tag_keys: Vec<String>,
}

impl Operation for RemoveTagsFromResourceRequest {
    const NAME: &'static str = "RemoveTagsFromResource";
    type Response = RemoveTagsFromResourceResult;
}

/// The answer to [`RemoveTagsFromResourceRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RemoveTagsFromResourceResult {}

/// Lists the tags of one resource.
///
/// # Errors
/// By the model: `InvalidResourceType`, `InvalidResourceId`, `InternalServerError`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct ListTagsForResourceRequest {
    /// Kind of resource. Limits: 10 words of the model's `ResourceTypeForTagging`.
    pub resource_type: String,
    /// Id of the resource.
    pub resource_id: String,
}

impl Operation for ListTagsForResourceRequest {
    const NAME: &'static str = "ListTagsForResource";
    type Response = ListTagsForResourceResult;
}

/// The answer to [`ListTagsForResourceRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListTagsForResourceResult {
    /// The tags. Limits: at most 1000 entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag_list: Option<Vec<Tag>>,
}

/// A key with its value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Tag {
    /// Key. Limits: 1…128 characters; pattern `^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$`.
    pub key: String,
    /// Value. Limits: 0…256 characters; pattern `^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$`.
    pub value: String,
}
