//! A document is a named, versioned text that says what a command does on a node, with typed parameters.
//!
//! Members, limits and errors are those of the SSM service model, version 2014-11-06. Timestamps are epoch seconds.

use serde::{Deserialize, Serialize};

use crate::operation::Operation;
use crate::tags::Tag;
use crate::timestamp::Timestamp;

/// Stores a new document as version 1.
///
/// # Errors
/// By the model: `DocumentAlreadyExists`, `MaxDocumentSizeExceeded`, `InternalServerError`,
/// `InvalidDocumentContent`, `DocumentLimitExceeded`, `InvalidDocumentSchemaVersion`, `TooManyUpdates`,
/// `NoLongerSupportedException`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct CreateDocumentRequest {
    /// The text of the document. Limits: at least 1 characters.
    pub content: String,
    /// Documents that it needs. Limits: at least 1 entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires: Option<Vec<DocumentRequires>>,
    /// Files to attach. Limits: 0…20 entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachments: Option<Vec<AttachmentsSource>>,
    /// Name of the document. Limits: pattern `^[a-zA-Z0-9_\-.]{3,128}$`.
    pub name: String,
    /// Name for people. Limits: at most 1024 characters; pattern `^[\w\.\-\:\/ ]*$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Name of the version. Limits: pattern `^[a-zA-Z0-9_\-.]{1,128}$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_name: Option<String>,
    /// Kind of document. Limits: 17 words of the model's `DocumentType`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_type: Option<String>,
    /// Form of the text. Limits: one of `YAML`, `JSON`, `TEXT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_format: Option<String>,
    /// Kind of resource it runs on. Limits: at most 200 characters; pattern `^\/[\w\.\-\:\/]*$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_type: Option<String>,
    /// Tags. Limits: at most 1000 entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<Tag>>,
}

impl Operation for CreateDocumentRequest {
    const NAME: &'static str = "CreateDocument";
    type Response = CreateDocumentResult;
}

/// The answer to [`CreateDocumentRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateDocumentResult {
    /// The document made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_description: Option<DocumentDescription>,
}

/// Reads the content of a document.
///
/// # Errors
/// By the model: `InternalServerError`, `InvalidDocument`, `InvalidDocumentVersion`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct GetDocumentRequest {
    /// Name of the document. Limits: pattern `^[a-zA-Z0-9_\-.:/]{3,128}$`.
    pub name: String,
    /// Name of the version. Limits: pattern `^[a-zA-Z0-9_\-.]{1,128}$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_name: Option<String>,
    /// Version of the document: a number, `$LATEST` or `$DEFAULT`. Limits: pattern
    /// `([$]LATEST|[$]DEFAULT|^[1-9][0-9]*$)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_version: Option<String>,
    /// Form of the text. Limits: one of `YAML`, `JSON`, `TEXT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_format: Option<String>,
}

impl Operation for GetDocumentRequest {
    const NAME: &'static str = "GetDocument";
    type Response = GetDocumentResult;
}

/// The answer to [`GetDocumentRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetDocumentResult {
    /// Name. Limits: pattern `^[a-zA-Z0-9_\-.:/]{3,128}$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_date: Option<Timestamp>,
    /// Name for people. Limits: at most 1024 characters; pattern `^[\w\.\-\:\/ ]*$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Name of the version. Limits: pattern `^[a-zA-Z0-9_\-.]{1,128}$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_name: Option<String>,
    /// Version of the document: a number, `$LATEST` or `$DEFAULT`. Limits: pattern
    /// `([$]LATEST|[$]DEFAULT|^[1-9][0-9]*$)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_version: Option<String>,
    /// State. Limits: one of `Creating`, `Active`, `Updating`, `Deleting`, `Failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Why the state is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_information: Option<String>,
    /// The text of the document. Limits: at least 1 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Kind of document. Limits: 17 words of the model's `DocumentType`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_type: Option<String>,
    /// Form of the text. Limits: one of `YAML`, `JSON`, `TEXT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_format: Option<String>,
    /// Documents that it needs. Limits: at least 1 entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires: Option<Vec<DocumentRequires>>,
    /// Files attached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachments_content: Option<Vec<AttachmentContent>>,
    /// State of the review. Limits: one of `APPROVED`, `NOT_REVIEWED`, `PENDING`, `REJECTED`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review_status: Option<String>,
}

/// Reads what a document is, with its parameters, without its content.
///
/// # Errors
/// By the model: `InternalServerError`, `InvalidDocument`, `InvalidDocumentVersion`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DescribeDocumentRequest {
    /// Name of the document. Limits: pattern `^[a-zA-Z0-9_\-.:/]{3,128}$`.
    pub name: String,
    /// Version of the document: a number, `$LATEST` or `$DEFAULT`. Limits: pattern
    /// `([$]LATEST|[$]DEFAULT|^[1-9][0-9]*$)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_version: Option<String>,
    /// Name of the version. Limits: pattern `^[a-zA-Z0-9_\-.]{1,128}$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_name: Option<String>,
}

impl Operation for DescribeDocumentRequest {
    const NAME: &'static str = "DescribeDocument";
    type Response = DescribeDocumentResult;
}

/// The answer to [`DescribeDocumentRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeDocumentResult {
    /// The document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<DocumentDescription>,
}

/// Lists documents; paged.
///
/// # Errors
/// By the model: `InternalServerError`, `InvalidNextToken`, `InvalidFilterKey`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct ListDocumentsRequest {
    /// Filters in the older form; not together with `filters`. Limits: at least 1 entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_filter_list: Option<Vec<DocumentFilter>>,
    /// Filters; all must hold. Limits: 0…6 entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filters: Option<Vec<DocumentKeyValuesFilter>>,
    /// Entries on a page at most. Limits: 1…50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_results: Option<i32>,
    /// Where the next page begins, as the answer before gave it; absent in the answer: it was the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

impl Operation for ListDocumentsRequest {
    const NAME: &'static str = "ListDocuments";
    type Response = ListDocumentsResult;
}

/// The answer to [`ListDocumentsRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListDocumentsResult {
    /// The documents of this page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_identifiers: Option<Vec<DocumentIdentifier>>,
    /// Where the next page begins, as the answer before gave it; absent in the answer: it was the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Deletes a document, or one version of it.
///
/// # Errors
/// By the model: `InternalServerError`, `InvalidDocument`, `InvalidDocumentOperation`, `AssociatedInstances`,
/// `TooManyUpdates`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DeleteDocumentRequest {
    /// Name of the document. Limits: pattern `^[a-zA-Z0-9_\-.]{3,128}$`.
    pub name: String,
    /// Version of the document: a number, `$LATEST` or `$DEFAULT`. Limits: pattern
    /// `([$]LATEST|[$]DEFAULT|^[1-9][0-9]*$)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_version: Option<String>,
    /// Name of the version. Limits: pattern `^[a-zA-Z0-9_\-.]{1,128}$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_name: Option<String>,
    /// Delete although it is in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force: Option<bool>,
}

impl Operation for DeleteDocumentRequest {
    const NAME: &'static str = "DeleteDocument";
    type Response = DeleteDocumentResult;
}

/// The answer to [`DeleteDocumentRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteDocumentResult {}

/// Adds a version to a document. It does not become the default.
///
/// # Errors
/// By the model: `MaxDocumentSizeExceeded`, `DocumentVersionLimitExceeded`, `InternalServerError`,
/// `DuplicateDocumentContent`, `DuplicateDocumentVersionName`, `InvalidDocumentContent`,
/// `InvalidDocumentVersion`, `InvalidDocumentSchemaVersion`, `InvalidDocument`, `InvalidDocumentOperation`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct UpdateDocumentRequest {
    /// The text of the new version. Limits: at least 1 characters.
    pub content: String,
    /// Files to attach. Limits: 0…20 entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachments: Option<Vec<AttachmentsSource>>,
    /// Name of the document. Limits: pattern `^[a-zA-Z0-9_\-.]{3,128}$`.
    pub name: String,
    /// Name for people. Limits: at most 1024 characters; pattern `^[\w\.\-\:\/ ]*$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Name of the new version. Limits: pattern `^[a-zA-Z0-9_\-.]{1,128}$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_name: Option<String>,
    /// The version that is updated, which must be the latest: its number or `$LATEST`. Limits: pattern
    /// `([$]LATEST|[$]DEFAULT|^[1-9][0-9]*$)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_version: Option<String>,
    /// Form of the text. Limits: one of `YAML`, `JSON`, `TEXT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_format: Option<String>,
    /// Kind of resource it runs on. Limits: at most 200 characters; pattern `^\/[\w\.\-\:\/]*$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_type: Option<String>,
}

impl Operation for UpdateDocumentRequest {
    const NAME: &'static str = "UpdateDocument";
    type Response = UpdateDocumentResult;
}

/// The answer to [`UpdateDocumentRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct UpdateDocumentResult {
    /// The document with its new version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_description: Option<DocumentDescription>,
}

/// Makes a version the one that is used where none is named.
///
/// # Errors
/// By the model: `InternalServerError`, `InvalidDocument`, `InvalidDocumentVersion`, `InvalidDocumentSchemaVersion`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct UpdateDocumentDefaultVersionRequest {
    /// Name of the document. Limits: pattern `^[a-zA-Z0-9_\-.]{3,128}$`.
    pub name: String,
    /// Number of the version. Limits: pattern `(^[1-9][0-9]*$)`.
    pub document_version: String,
}

impl Operation for UpdateDocumentDefaultVersionRequest {
    const NAME: &'static str = "UpdateDocumentDefaultVersion";
    type Response = UpdateDocumentDefaultVersionResult;
}

/// The answer to [`UpdateDocumentDefaultVersionRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct UpdateDocumentDefaultVersionResult {
    /// The document and its default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<DocumentDefaultVersionDescription>,
}

/// Lists the versions of a document, the newest first; paged.
///
/// # Errors
/// By the model: `InternalServerError`, `InvalidNextToken`, `InvalidDocument`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct ListDocumentVersionsRequest {
    /// Name of the document. Limits: pattern `^[a-zA-Z0-9_\-.:/]{3,128}$`.
    pub name: String,
    /// Entries on a page at most. Limits: 1…50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_results: Option<i32>,
    /// Where the next page begins, as the answer before gave it; absent in the answer: it was the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

impl Operation for ListDocumentVersionsRequest {
    const NAME: &'static str = "ListDocumentVersions";
    type Response = ListDocumentVersionsResult;
}

/// The answer to [`ListDocumentVersionsRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListDocumentVersionsResult {
    /// The versions of this page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_versions: Option<Vec<DocumentVersionInfo>>,
    /// Where the next page begins, as the answer before gave it; absent in the answer: it was the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// One version in a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DocumentVersionInfo {
    /// Name of the document. Limits: pattern `^[a-zA-Z0-9_\-.]{3,128}$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Name for people. Limits: at most 1024 characters; pattern `^[\w\.\-\:\/ ]*$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Number of the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_version: Option<String>,
    /// Name of the version. Limits: pattern `^[a-zA-Z0-9_\-.]{1,128}$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_name: Option<String>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_date: Option<Timestamp>,
    /// Whether it is used where no version is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_default_version: Option<bool>,
    /// Form of the text. Limits: one of `YAML`, `JSON`, `TEXT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_format: Option<String>,
    /// State. Limits: one of `Creating`, `Active`, `Updating`, `Deleting`, `Failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Why the state is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_information: Option<String>,
    /// State of the review. Limits: one of `APPROVED`, `NOT_REVIEWED`, `PENDING`, `REJECTED`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review_status: Option<String>,
}

/// A document and its default version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DocumentDefaultVersionDescription {
    /// Name of the document. Limits: pattern `^[a-zA-Z0-9_\-.]{3,128}$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Number of the default version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_version: Option<String>,
    /// Name of the default version. Limits: pattern `^[a-zA-Z0-9_\-.]{1,128}$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_version_name: Option<String>,
}

/// Another document that a document needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DocumentRequires {
    /// Name of the document that is needed. Limits: pattern `^[a-zA-Z0-9_\-.:/]{3,128}$`.
    pub name: String,
    /// Version that is needed. Limits: pattern `([$]LATEST|[$]DEFAULT|^[1-9][0-9]*$)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Kind of need. Limits: at most 128 characters; pattern `^[a-zA-Z0-9_\-.]{1,128}$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_type: Option<String>,
    /// Name of the version that is needed. Limits: pattern `^[a-zA-Z0-9_\-.]{1,128}$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_name: Option<String>,
}

/// Where the files attached to a document come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct AttachmentsSource {
    /// Kind of source. Limits: one of `SourceUrl`, `S3FileUrl`, `AttachmentReference`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The source. Limits: exactly 1 entries; each: 1…1024 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<String>>,
    /// Name of the file. Limits: pattern `^[a-zA-Z0-9_\-.]{3,128}$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What a document is, without its content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DocumentDescription {
    /// SHA-1 of the content; no longer given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha1: Option<String>,
    /// Hash of the content. Limits: at most 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// Algorithm of the hash. Limits: one of `Sha256`, `Sha1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash_type: Option<String>,
    /// Name. Limits: pattern `^[a-zA-Z0-9_\-.:/]{3,128}$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Name for people. Limits: at most 1024 characters; pattern `^[\w\.\-\:\/ ]*$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Name of the version. Limits: pattern `^[a-zA-Z0-9_\-.]{1,128}$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_name: Option<String>,
    /// Who owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_date: Option<Timestamp>,
    /// State. Limits: one of `Creating`, `Active`, `Updating`, `Deleting`, `Failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Why the state is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_information: Option<String>,
    /// Version of the document: a number, `$LATEST` or `$DEFAULT`. Limits: pattern
    /// `([$]LATEST|[$]DEFAULT|^[1-9][0-9]*$)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_version: Option<String>,
    /// Text for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Parameters that it declares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Vec<DocumentParameter>>,
    /// Operating systems it runs on. Limits: each: one of `Windows`, `Linux`, `MacOS`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_types: Option<Vec<String>>,
    /// Kind of document. Limits: 17 words of the model's `DocumentType`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_type: Option<String>,
    /// Version of the document schema. Limits: pattern `([0-9]+)\.([0-9]+)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_version: Option<String>,
    /// Newest version. Limits: pattern `([$]LATEST|[$]DEFAULT|^[1-9][0-9]*$)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_version: Option<String>,
    /// Version used where none is named. Limits: pattern `([$]LATEST|[$]DEFAULT|^[1-9][0-9]*$)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_version: Option<String>,
    /// Form of the text. Limits: one of `YAML`, `JSON`, `TEXT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_format: Option<String>,
    /// Kind of resource it runs on. Limits: at most 200 characters; pattern `^\/[\w\.\-\:\/]*$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_type: Option<String>,
    /// Tags. Limits: at most 1000 entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<Tag>>,
    /// Files attached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachments_information: Option<Vec<AttachmentInformation>>,
    /// Documents that it needs. Limits: at least 1 entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires: Option<Vec<DocumentRequires>>,
    /// Who wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Reviews. Limits: at least 1 entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review_information: Option<Vec<ReviewInformation>>,
    /// Version that was approved. Limits: pattern `([$]LATEST|[$]DEFAULT|^[1-9][0-9]*$)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_version: Option<String>,
    /// Version under review. Limits: pattern `([$]LATEST|[$]DEFAULT|^[1-9][0-9]*$)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_review_version: Option<String>,
    /// State of the review. Limits: one of `APPROVED`, `NOT_REVIEWED`, `PENDING`, `REJECTED`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review_status: Option<String>,
    /// Categories. Limits: 0…3 entries; each: at most 128 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<Vec<String>>,
    /// Categories as fixed words. Limits: 0…3 entries; each: at most 128 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category_enum: Option<Vec<String>>,
}

/// A parameter that a document declares.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DocumentParameter {
    /// Name of the parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Type. Limits: one of `String`, `StringList`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
    /// Text for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Value where none is given; a list or map as JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_value: Option<String>,
}

/// A file attached to a document, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct AttachmentInformation {
    /// Name of the file. Limits: pattern `^[a-zA-Z0-9_\-.]{3,128}$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// One review of a document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ReviewInformation {
    /// When it was reviewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reviewed_time: Option<Timestamp>,
    /// State. Limits: one of `APPROVED`, `NOT_REVIEWED`, `PENDING`, `REJECTED`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Who reviewed it. Limits: at most 50 characters; pattern `^[a-zA-Z0-9_\-.]{1,128}$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reviewer: Option<String>,
}

/// A file attached to a document and where to fetch it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct AttachmentContent {
    /// Name of the file. Limits: pattern `^[a-zA-Z0-9_\-.]{3,128}$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Size in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,
    /// Hash of the content. Limits: at most 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// Algorithm of the hash. Limits: one of `Sha256`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash_type: Option<String>,
    /// Where to fetch it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// The older form of a filter on documents.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DocumentFilter {
    /// What is compared. Limits: one of `Name`, `Owner`, `PlatformTypes`, `DocumentType`.
    #[serde(rename = "key")]
    pub key: String,
    /// The value it must have. Limits: at least 1 characters.
    #[serde(rename = "value")]
    pub value: String,
}

/// A filter on documents; all filters must hold, any value of one suffices.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DocumentKeyValuesFilter {
    /// Key. Limits: 1…128 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Values, of which one must equal. Limits: each: 1…256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<String>>,
}

/// One document in a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DocumentIdentifier {
    /// Name. Limits: pattern `^[a-zA-Z0-9_\-.:/]{3,128}$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_date: Option<Timestamp>,
    /// Name for people. Limits: at most 1024 characters; pattern `^[\w\.\-\:\/ ]*$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Who owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Name of the version. Limits: pattern `^[a-zA-Z0-9_\-.]{1,128}$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_name: Option<String>,
    /// Operating systems it runs on. Limits: each: one of `Windows`, `Linux`, `MacOS`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_types: Option<Vec<String>>,
    /// Version of the document: a number, `$LATEST` or `$DEFAULT`. Limits: pattern
    /// `([$]LATEST|[$]DEFAULT|^[1-9][0-9]*$)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_version: Option<String>,
    /// Kind of document. Limits: 17 words of the model's `DocumentType`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_type: Option<String>,
    /// Version of the document schema. Limits: pattern `([0-9]+)\.([0-9]+)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_version: Option<String>,
    /// Form of the text. Limits: one of `YAML`, `JSON`, `TEXT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_format: Option<String>,
    /// Kind of resource it runs on. Limits: at most 200 characters; pattern `^\/[\w\.\-\:\/]*$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_type: Option<String>,
    /// Tags. Limits: at most 1000 entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<Tag>>,
    /// Documents that it needs. Limits: at least 1 entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires: Option<Vec<DocumentRequires>>,
    /// State of the review. Limits: one of `APPROVED`, `NOT_REVIEWED`, `PENDING`, `REJECTED`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review_status: Option<String>,
    /// Who wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
}
