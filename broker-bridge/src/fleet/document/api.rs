//! The endpoints of documents: make, read, describe, list, delete. Those of their versions are in `version.rs`.

use super::store::{self, FindDocumentError, Listed, MAXIMUM_DOCUMENTS, NewVersion, StoredDocument};
use super::version;
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
use flotilla_document::{ContentError, Format};
use flotilla_document::{Document, ParameterType};
use std::collections::BTreeMap;

/// Most filters of a list (the model's limit).
const MAXIMUM_FILTERS: usize = 6;
/// Longest value of a filter, in characters (the model's limit).
const MAXIMUM_FILTER_VALUE: usize = 256;
/// Prefixes that no operator's document has, in any case.
const RESERVED_PREFIXES: [&str; 3] = ["aws", "amazon", "amzn"];
const PLATFORM: &str = "Linux";
const COMMAND: &str = "Command";

/// Adds the endpoints.
pub fn endpoints(registry: &mut Registry<Fleet>) {
    version::endpoints(registry);
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

pub(crate) async fn create_document(
    fleet: &Fleet,
    caller: &Caller,
    request: CreateDocumentRequest,
) -> Result<CreateDocumentResult, ApiError> {
    check_new(&request)?;
    let format = format(request.document_format.as_deref())?.unwrap_or(Format::Json);
    Document::parse(&request.content, format)?;
    let tags = tag::check_new(request.tags.as_deref().unwrap_or_default())?;
    let new = NewVersion {
        name: &request.name,
        version: 1,
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
    if store::exists(&mut write, new.name).await? {
        return Err(ApiError::new("DocumentAlreadyExists", format!("there is a document {} already", new.name)));
    }
    store::add(&mut write, &new).await?;
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
    check_labels(request.display_name.as_deref(), request.version_name.as_deref(), request.target_type.as_deref())
}

/// The texts that a version carries beside its content, by the model's patterns.
pub(super) fn check_labels(display_name: Option<&str>, version_name: Option<&str>, target_type: Option<&str>) -> Result<(), ApiError> {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let path = |byte: u8| word(byte) || matches!(byte, b':' | b'/');
    let check = |name: &str, text: Option<&str>, fits: &dyn Fn(&str) -> bool, expected: &str| match text {
        Some(text) if !fits(text) => Err(ApiError::validation(format!("{name}: {text:?} is not {expected}"))),
        _ => Ok(()),
    };
    let display = |text: &str| text.len() <= 1024 && text.bytes().all(|byte| path(byte) || byte == b' ');
    check("DisplayName", display_name, &display, "up to 1024 of a-z, A-Z, 0-9, '_', '-', '.', ':', '/' and spaces")?;
    let version = |text: &str| (1..=128).contains(&text.len()) && text.bytes().all(word);
    check("VersionName", version_name, &version, "1 to 128 of a-z, A-Z, 0-9, '_', '-' and '.'")?;
    let target = |text: &str| text.len() <= 200 && text.starts_with('/') && text.bytes().all(path);
    check("TargetType", target_type, &target, "a '/' and up to 199 of a-z, A-Z, 0-9, '_', '-', '.', ':' and '/'")
}

pub(super) fn format(name: Option<&str>) -> Result<Option<Format>, ApiError> {
    let unknown = |name| ApiError::validation(format!("DocumentFormat: {name:?} is not JSON or YAML"));
    name.map(|name| Format::named(name).ok_or_else(|| unknown(name))).transpose()
}

async fn get_document(fleet: &Fleet, _caller: &Caller, request: GetDocumentRequest) -> Result<GetDocumentResult, ApiError> {
    let stored =
        store::find_version_text(&fleet.store, &request.name, request.document_version.as_deref(), request.version_name.as_deref()).await?;
    let wanted = format(request.document_format.as_deref())?.unwrap_or(stored.format);
    let content = if wanted == stored.format {
        stored.content
    } else {
        let converted = stored.format.rewrite(&stored.content, wanted);
        // What was taken by other rules may be no text of its format by ours.
        converted
            .map_err(|error| ApiError::new("InvalidDocument", format!("{} cannot be written as {}: {error}", stored.name, wanted.name())))?
    };
    Ok(GetDocumentResult {
        name: Some(stored.name),
        created_date: Some(Timestamp::from_milliseconds(stored.created_ms)),
        display_name: stored.display_name,
        version_name: stored.version_name,
        document_version: Some(stored.version.to_string()),
        status: Some("Active".to_owned()),
        content: Some(content),
        document_type: Some(COMMAND.to_owned()),
        document_format: Some(wanted.name().to_owned()),
        ..GetDocumentResult::default()
    })
}

async fn describe_document(fleet: &Fleet, _caller: &Caller, request: DescribeDocumentRequest) -> Result<DescribeDocumentResult, ApiError> {
    let stored =
        store::find_version(&fleet.store, &request.name, request.document_version.as_deref(), request.version_name.as_deref()).await?;
    Ok(DescribeDocumentResult { document: Some(describe(fleet, &stored).await?) })
}

pub(super) async fn describe(fleet: &Fleet, stored: &StoredDocument) -> Result<DocumentDescription, ApiError> {
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
        document_version: Some(stored.version.to_string()),
        description: stored.document.description.clone(),
        parameters: Some(parameters.collect()),
        platform_types: Some(vec![PLATFORM.to_owned()]),
        document_type: Some(COMMAND.to_owned()),
        schema_version: Some(stored.document.schema.name().to_owned()),
        latest_version: Some(stored.latest_version.to_string()),
        default_version: Some(stored.default_version.to_string()),
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
    let mut identifiers = Vec::with_capacity(entries.len());
    for entry in entries {
        // Texts are read for the page only: those of all documents would be many megabytes.
        let schema_version = match store::find(&fleet.store, &entry.name, Some(&entry.version.to_string())).await {
            Ok(stored) => Some(stored.document.schema.name().to_owned()),
            Err(FindDocumentError::Store(error)) => return Err(error.into()),
            // It was deleted meanwhile, or is of a version that this bridge cannot read.
            Err(_) => None,
        };
        identifiers.push(DocumentIdentifier {
            owner: Some(store::owner(&entry.name).to_owned()),
            tags: Some(tags.get(&entry.name).cloned().unwrap_or_default()),
            name: Some(entry.name),
            created_date: Some(Timestamp::from_milliseconds(entry.created_ms)),
            display_name: entry.display_name,
            version_name: entry.version_name,
            platform_types: Some(vec![PLATFORM.to_owned()]),
            document_version: Some(entry.version.to_string()),
            document_type: Some(COMMAND.to_owned()),
            schema_version,
            document_format: Some(entry.format),
            target_type: entry.target_type,
            ..DocumentIdentifier::default()
        });
    }
    Ok(ListDocumentsResult { document_identifiers: Some(identifiers), next_token })
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
    let known = |key: &str| {
        matches!(key, "Name" | "Owner" | "PlatformTypes" | "DocumentType" | "TargetType" | "SearchKeyword")
            || key.strip_prefix("tag:").is_some_and(|key| !key.is_empty())
    };
    if let Some((key, _)) = filters.iter().find(|(key, _)| !known(key)) {
        let expected = "Name, Owner, PlatformTypes, DocumentType, TargetType, SearchKeyword or tag:<key>";
        return Err(ApiError::new("InvalidFilterKey", format!("{key:?} is no filter of documents; use {expected}")));
    }
    let sound = |value: &String| (1..=MAXIMUM_FILTER_VALUE).contains(&value.chars().count());
    if let Some((key, _)) = filters.iter().find(|(_, values)| values.is_empty() || !values.iter().all(sound)) {
        return Err(ApiError::validation(format!("the filter {key} needs values of 1 to {MAXIMUM_FILTER_VALUE} characters")));
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
        "SearchKeyword" => {
            let (name, display_name) = (entry.name.to_lowercase(), entry.display_name.as_deref().unwrap_or_default().to_lowercase());
            let keyword = value.to_lowercase();
            name.contains(&keyword) || display_name.contains(&keyword)
        }
        key => {
            let key = key.strip_prefix("tag:").unwrap_or_default();
            tags.get(&entry.name).is_some_and(|tags| tags.iter().any(|tag| tag.key == key && tag.value == *value))
        }
    })
}

async fn delete_document(fleet: &Fleet, _caller: &Caller, request: DeleteDocumentRequest) -> Result<DeleteDocumentResult, ApiError> {
    let (version, version_name) = (request.document_version.as_deref(), request.version_name.as_deref());
    let found = store::find_version_text(&fleet.store, &request.name, version, version_name).await;
    // The model lists no error of its own for a version here.
    let stored = found.map_err(|error| match error {
        FindDocumentError::Version { .. } => ApiError::new("InvalidDocument", error.to_string()),
        error => error.into(),
    })?;
    if stored.owner != ACCOUNT {
        return Err(ApiError::new("InvalidDocumentOperation", format!("{} is part of the bridge and cannot be deleted", stored.name)));
    }
    let named = request.document_version.is_some() || request.version_name.is_some();
    let mut write = fleet.store.write().await?;
    // Read again, where nobody can change it meanwhile.
    let known = store::known_to_write(&mut write, &stored.name).await?;
    let unknown = || ApiError::new("InvalidDocument", format!("there is no document {:?}", stored.name));
    let known = known.ok_or_else(unknown)?;
    if named {
        if known.default_version == stored.version {
            let message = format!(
                "version {} of {} is its default and cannot be deleted alone; make another the default, or delete the document",
                stored.version, stored.name
            );
            return Err(ApiError::new("InvalidDocumentOperation", message));
        }
        store::remove_version(&mut write, &stored.name, stored.version).await?;
    } else {
        store::remove(&mut write, &stored.name).await?;
        tag::clear(&mut write, tag::DOCUMENT, &stored.name).await?;
    }
    write.commit().await?;
    Ok(DeleteDocumentResult {})
}
