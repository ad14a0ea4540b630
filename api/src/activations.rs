//! An activation is a permit that lets a limited number of devices register as nodes until it expires.
//!
//! Members, limits and errors are those of the SSM service model, version 2014-11-06. Timestamps are epoch seconds.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::operation::Operation;
use crate::tags::Tag;
use crate::timestamp::Timestamp;

/// Makes an activation, with which devices register.
///
/// # Errors
/// By the model: `InvalidParameters`, `InternalServerError`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct CreateActivationRequest {
    /// Text for people. Limits: 0…256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Name that a node gets when it registers. Limits: 0…256 characters; pattern
    /// `^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_instance_name: Option<String>,
    /// The role given to nodes; the fleet keeps it and gives it no meaning. Limits: at most 64 characters.
    pub iam_role: String,
    /// Nodes that may register at most; one where absent. Limits: 1…1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration_limit: Option<i32>,
    /// From when on nobody registers with it; 24 hours on where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiration_date: Option<Timestamp>,
    /// Tags. Limits: at most 1000 entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<Tag>>,
    /// Further keys and values to keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration_metadata: Option<Vec<RegistrationMetadataItem>>,
}

impl Operation for CreateActivationRequest {
    const NAME: &'static str = "CreateActivation";
    type Response = CreateActivationResult;
}

/// The answer to [`CreateActivationRequest`].
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateActivationResult {
    /// The activation: a UUID. Limits: pattern `^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation_id: Option<String>,
    /// The secret: the whole string that a device registers with. Limits: 20…250 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation_code: Option<String>,
}

impl fmt::Debug for CreateActivationResult {
    /// Leaves the code out: it is a secret, and `Debug` ends up in logs.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("CreateActivationResult").field("activation_id", &self.activation_id).finish_non_exhaustive()
    }
}

/// Lists activations, never with their codes; paged.
///
/// # Errors
/// By the model: `InvalidFilter`, `InvalidNextToken`, `InternalServerError`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DescribeActivationsRequest {
    /// Filters; all must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filters: Option<Vec<DescribeActivationsFilter>>,
    /// Entries on a page at most. Limits: 1…50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_results: Option<i32>,
    /// Where the next page begins, as the answer before gave it; absent in the answer: it was the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

impl Operation for DescribeActivationsRequest {
    const NAME: &'static str = "DescribeActivations";
    type Response = DescribeActivationsResult;
}

/// The answer to [`DescribeActivationsRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeActivationsResult {
    /// The activations of this page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation_list: Option<Vec<Activation>>,
    /// Where the next page begins, as the answer before gave it; absent in the answer: it was the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Withdraws an activation; nodes that it registered stay.
///
/// # Errors
/// By the model: `InvalidActivationId`, `InvalidActivation`, `InternalServerError`, `TooManyUpdates`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DeleteActivationRequest {
    /// The activation: a UUID. Limits: pattern `^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`.
    pub activation_id: String,
}

impl Operation for DeleteActivationRequest {
    const NAME: &'static str = "DeleteActivation";
    type Response = DeleteActivationResult;
}

/// The answer to [`DeleteActivationRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteActivationResult {}

/// A key with its value that is kept with an activation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct RegistrationMetadataItem {
    /// Key. Limits: 1…128 characters; pattern `^(?!\s*$).+`.
    pub key: String,
    /// Value. Limits: 1…2048 characters; pattern `^(?!\s*$).+`.
    pub value: String,
}

/// A filter on activations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DescribeActivationsFilter {
    /// What is compared. Limits: one of `ActivationIds`, `DefaultInstanceName`, `IamRole`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter_key: Option<String>,
    /// Values, of which one must equal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter_values: Option<Vec<String>>,
}

/// One activation, without its code.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Activation {
    /// The activation: a UUID. Limits: pattern `^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation_id: Option<String>,
    /// Text for people. Limits: 0…256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Name that a node gets when it registers. Limits: 0…256 characters; pattern
    /// `^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_instance_name: Option<String>,
    /// The role given to nodes; the fleet keeps it and gives it no meaning. Limits: at most 64 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iam_role: Option<String>,
    /// Nodes that may register at most; one where absent. Limits: 1…1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration_limit: Option<i32>,
    /// Nodes that have registered with it. Limits: 1…1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registrations_count: Option<i32>,
    /// From when on nobody registers with it; 24 hours on where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiration_date: Option<Timestamp>,
    /// Whether it has expired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired: Option<bool>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_date: Option<Timestamp>,
    /// Tags. Limits: at most 1000 entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<Tag>>,
}
