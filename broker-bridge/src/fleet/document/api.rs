//! The endpoints of documents: make, read, describe, list, delete.

use super::content::{ContentError, Format, SCHEMA_VERSION};
use super::model::{Document, ParameterType};
use super::store::{self, Listed, MAXIMUM_DOCUMENTS, NewDocument, StoredDocument, VERSION};
use crate::fleet::{ACCOUNT, Fleet, tag};
use crate::platform::http::{Access, ApiError, Caller, Registry};
use crate::platform::page::{TokenScope, cut, page_size};
use crate::platform::time::to_column;
use flotilla_api::Timestamp;
use flotilla_api::documents::{
    CreateDocumentRequest, CreateDocumentResult, DeleteDocumentRequest, DeleteDocumentResult, DescribeDocumentRequest,
    DescribeDocumentResult, DocumentDescription, DocumentIdentifier, DocumentKeyValuesFilter, DocumentParameter, GetDocumentRequest,
    GetDocumentResult, ListDocumentsRequest, ListDocumentsResult,
};
use std::collections::BTreeMap;

/// Most filters of a list (the model's limit).
const MAXIMUM_FILTERS: usize = 6;
/// Prefixes that no operator's document has, in any case.
const RESERVED_PREFIXES: [&str; 3] = ["aws", "amazon", "amzn"];
const PLATFORM: &str = "Linux";
const COMMAND: &str = "Command";

/// Adds the endpoints.
pub fn endpoints(registry: &mut Registry<Fleet>) {
    registry.endpoint::<CreateDocumentRequest>(Access::Operator, create_document);
    registry.endpoint::<GetDocumentRequest>(Access::Viewer, get_document);
    registry.endpoint::<DescribeDocumentRequest>(Access::Viewer, describe_document);
    registry.endpoint::<ListDocumentsRequest>(Access::Viewer, list_documents);
    registry.endpoint::<DeleteDocumentRequest>(Access::Operator, delete_document);
}

impl From<ContentError> for ApiError {
    fn from(error: ContentError) -> Self {
        let kind = match &error {
            ContentError::TooLarge { .. } => "MaxDocumentSizeExceeded",
            ContentError::SchemaVersion { .. } => "InvalidDocumentSchemaVersion",
            ContentError::Content(_) => "InvalidDocumentContent",
        };
        Self::new(kind, error.to_string())
    }
}

async fn create_document(fleet: &Fleet, caller: &Caller, request: CreateDocumentRequest) -> Result<CreateDocumentResult, ApiError> {
    check_new(&request)?;
    let format = format(request.document_format.as_deref())?.unwrap_or(Format::Json);
    Document::parse(&request.content, format)?;
    let tags = tag::check_new(request.tags.as_deref().unwrap_or_default())?;
    let new = NewDocument {
        name: &request.name,
        format,
        content: &request.content,
        display_name: request.display_name.as_deref(),
        version_name: request.version_name.as_deref(),
        target_type: request.target_type.as_deref(),
        created_by: &caller.user,
        created_ms: to_column(fleet.clock.now_ms()),
    };
    let mut write = fleet.store.write().await?;
    if store::count(&mut write).await? >= MAXIMUM_DOCUMENTS {
        return Err(ApiError::new("DocumentLimitExceeded", format!("the fleet has {MAXIMUM_DOCUMENTS} documents; delete some")));
    }
    if store::exists(&mut write, new.name).await? || !store::add(&mut write, &new).await? {
        return Err(ApiError::new("DocumentAlreadyExists", format!("there is a document {} already", new.name)));
    }
    tag::put(&mut write, tag::DOCUMENT, new.name, &tags).await?;
    write.commit().await?;
    let stored = store::find(&fleet.store, &request.name, None).await?;
    Ok(CreateDocumentResult { document_description: Some(describe(fleet, &stored).await?) })
}

fn check_new(request: &CreateDocumentRequest) -> Result<(), ApiError> {
    let name = &request.name;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if !(3..=128).contains(&name.len()) || !name.bytes().all(plain) {
        return Err(ApiError::validation(format!(
            "Name: {name:?} is no name of a document; use 3 to 128 of a-z, A-Z, 0-9, '_', '-' and '.'"
        )));
    }
    if RESERVED_PREFIXES.iter().any(|prefix| name.to_ascii_lowercase().starts_with(prefix)) {
        return Err(ApiError::validation(format!("Name: {name:?} begins with a reserved word; choose one without aws, amazon or amzn")));
    }
    if let Some(kind) = request.document_type.as_deref().filter(|kind| *kind != COMMAND) {
        return Err(ApiError::validation(format!("DocumentType: {kind} is not built in this bridge; built: {COMMAND}")));
    }
    if request.requires.as_ref().is_some_and(|list| !list.is_empty()) || request.attachments.as_ref().is_some_and(|list| !list.is_empty()) {
        return Err(ApiError::validation("Requires and Attachments are not built in this bridge; leave them out"));
    }
    let printable = |name: &str, text: Option<&String>, longest: usize| match text {
        Some(text) if text.is_empty() || text.len() > longest || text.contains(char::is_control) => {
            Err(ApiError::validation(format!("{name} must have 1 to {longest} printable characters")))
        }
        _ => Ok(()),
    };
    printable("DisplayName", request.display_name.as_ref(), 1024)?;
    printable("VersionName", request.version_name.as_ref(), 128)?;
    printable("TargetType", request.target_type.as_ref(), 200)
}

fn format(name: Option<&str>) -> Result<Option<Format>, ApiError> {
    let unknown = |name| ApiError::validation(format!("DocumentFormat: {name:?} is not JSON or YAML"));
    name.map(|name| Format::named(name).ok_or_else(|| unknown(name))).transpose()
}

async fn find(fleet: &Fleet, name: &str, version: Option<&str>, version_name: Option<&str>) -> Result<StoredDocument, ApiError> {
    let stored = store::find(&fleet.store, name, version).await?;
    match version_name {
        Some(wanted) if stored.version_name.as_deref() != Some(wanted) => {
            Err(ApiError::new("InvalidDocumentVersion", format!("{name} has no version named {wanted:?}")))
        }
        _ => Ok(stored),
    }
}

async fn get_document(fleet: &Fleet, _caller: &Caller, request: GetDocumentRequest) -> Result<GetDocumentResult, ApiError> {
    let stored = find(fleet, &request.name, request.document_version.as_deref(), request.version_name.as_deref()).await?;
    let wanted = format(request.document_format.as_deref())?.unwrap_or(stored.format);
    let content = if wanted == stored.format {
        stored.content
    } else {
        let converted = stored.format.read(&stored.content).and_then(|value| wanted.write(&value));
        converted.map_err(|error| ApiError::internal(std::io::Error::other(error)))?
    };
    Ok(GetDocumentResult {
        name: Some(stored.name),
        created_date: Some(Timestamp::from_milliseconds(stored.created_ms)),
        display_name: stored.display_name,
        version_name: stored.version_name,
        document_version: Some(VERSION.to_owned()),
        status: Some("Active".to_owned()),
        content: Some(content),
        document_type: Some(COMMAND.to_owned()),
        document_format: Some(wanted.name().to_owned()),
        ..GetDocumentResult::default()
    })
}

async fn describe_document(fleet: &Fleet, _caller: &Caller, request: DescribeDocumentRequest) -> Result<DescribeDocumentResult, ApiError> {
    let stored = find(fleet, &request.name, request.document_version.as_deref(), request.version_name.as_deref()).await?;
    Ok(DescribeDocumentResult { document: Some(describe(fleet, &stored).await?) })
}

async fn describe(fleet: &Fleet, stored: &StoredDocument) -> Result<DocumentDescription, ApiError> {
    let parameters = stored.document.parameters.iter().map(|(name, definition)| DocumentParameter {
        name: Some(name.clone()),
        r#type: Some(api_type(definition.r#type).to_owned()),
        description: definition.description.clone(),
        default_value: definition.default.as_ref().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
    });
    let tags = tag::list(&fleet.store, tag::DOCUMENT, &stored.name).await?;
    Ok(DocumentDescription {
        hash: Some(stored.sha256.clone()),
        hash_type: Some("Sha256".to_owned()),
        name: Some(stored.name.clone()),
        display_name: stored.display_name.clone(),
        version_name: stored.version_name.clone(),
        owner: Some(stored.owner.to_owned()),
        created_date: Some(Timestamp::from_milliseconds(stored.created_ms)),
        status: Some("Active".to_owned()),
        document_version: Some(VERSION.to_owned()),
        description: stored.document.description.clone(),
        parameters: Some(parameters.collect()),
        platform_types: Some(vec![PLATFORM.to_owned()]),
        document_type: Some(COMMAND.to_owned()),
        schema_version: Some(SCHEMA_VERSION.to_owned()),
        latest_version: Some(VERSION.to_owned()),
        default_version: Some(VERSION.to_owned()),
        document_format: Some(stored.format.name().to_owned()),
        target_type: stored.target_type.clone(),
        tags: Some(tags),
        ..DocumentDescription::default()
    })
}

/// The model knows two types only; what is a list of texts is StringList, everything else a String.
fn api_type(kind: ParameterType) -> &'static str {
    if kind == ParameterType::StringList { "StringList" } else { "String" }
}

async fn list_documents(fleet: &Fleet, _caller: &Caller, request: ListDocumentsRequest) -> Result<ListDocumentsResult, ApiError> {
    let filters = filters(&request)?;
    let size = page_size(request.max_results, 1..=50)?;
    let scope = TokenScope::new("ListDocuments", &filters);
    let after = scope.after(request.next_token.as_deref())?.unwrap_or_default();
    let tags = tag::all_of(&fleet.store, tag::DOCUMENT).await?;
    let mut entries: Vec<Listed> = store::list(&fleet.store).await?;
    entries.retain(|entry| entry.name > after && filters.iter().all(|filter| matches(filter, entry, &tags)));
    let next_token = cut(&mut entries, size, &scope, |entry| entry.name.clone());
    let identifiers = entries.into_iter().map(|entry| DocumentIdentifier {
        owner: Some(store::owner(&entry.name).to_owned()),
        tags: Some(tags.get(&entry.name).cloned().unwrap_or_default()),
        name: Some(entry.name),
        created_date: Some(Timestamp::from_milliseconds(entry.created_ms)),
        display_name: entry.display_name,
        version_name: entry.version_name,
        platform_types: Some(vec![PLATFORM.to_owned()]),
        document_version: Some(VERSION.to_owned()),
        document_type: Some(COMMAND.to_owned()),
        schema_version: Some(SCHEMA_VERSION.to_owned()),
        document_format: Some(entry.format),
        target_type: entry.target_type,
        ..DocumentIdentifier::default()
    });
    Ok(ListDocumentsResult { document_identifiers: Some(identifiers.collect()), next_token })
}

/// Both forms of filters as one, with known keys.
fn filters(request: &ListDocumentsRequest) -> Result<Vec<(String, Vec<String>)>, ApiError> {
    let old = request.document_filter_list.iter().flatten().map(|filter| (filter.key.clone(), vec![filter.value.clone()]));
    let new = request.filters.iter().flatten().map(|filter| {
        let DocumentKeyValuesFilter { key, values } = filter;
        (key.clone().unwrap_or_default(), values.clone().unwrap_or_default())
    });
    let filters: Vec<(String, Vec<String>)> = old.chain(new).collect();
    if filters.len() > MAXIMUM_FILTERS {
        return Err(ApiError::validation(format!("Filters has more than {MAXIMUM_FILTERS} entries")));
    }
    let known = |key: &str| matches!(key, "Name" | "Owner" | "PlatformTypes" | "DocumentType" | "TargetType") || key.starts_with("tag:");
    if let Some((key, _)) = filters.iter().find(|(key, _)| !known(key)) {
        let expected = "Name, Owner, PlatformTypes, DocumentType, TargetType or tag:<key>";
        return Err(ApiError::new("InvalidFilterKey", format!("{key:?} is no filter of documents; use {expected}")));
    }
    Ok(filters)
}

fn matches(filter: &(String, Vec<String>), entry: &Listed, tags: &BTreeMap<String, Vec<flotilla_api::tags::Tag>>) -> bool {
    let (key, values) = filter;
    values.iter().any(|value| match key.as_str() {
        "Name" => entry.name.starts_with(value.as_str()),
        "Owner" => match value.as_str() {
            "All" | "Public" => true,
            "Self" | "Private" => store::owner(&entry.name) == ACCOUNT,
            owner => store::owner(&entry.name) == owner,
        },
        "PlatformTypes" => value.eq_ignore_ascii_case(PLATFORM),
        "DocumentType" => value == COMMAND,
        "TargetType" => entry.target_type.as_ref() == Some(value),
        key => {
            let key = key.strip_prefix("tag:").unwrap_or_default();
            tags.get(&entry.name).is_some_and(|tags| tags.iter().any(|tag| tag.key == key && tag.value == *value))
        }
    })
}

async fn delete_document(fleet: &Fleet, _caller: &Caller, request: DeleteDocumentRequest) -> Result<DeleteDocumentResult, ApiError> {
    let stored = find(fleet, &request.name, request.document_version.as_deref(), request.version_name.as_deref()).await?;
    if stored.owner != ACCOUNT {
        return Err(ApiError::new("InvalidDocumentOperation", format!("{} is part of the bridge and cannot be deleted", stored.name)));
    }
    let mut write = fleet.store.write().await?;
    if !store::remove(&mut write, &stored.name).await? {
        return Err(ApiError::new("InvalidDocument", format!("there is no document {:?}", stored.name)));
    }
    tag::clear(&mut write, tag::DOCUMENT, &stored.name).await?;
    write.commit().await?;
    Ok(DeleteDocumentResult {})
}
