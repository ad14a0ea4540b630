//! The endpoints of versions: add one, make one the default, list them.

use super::api::{check_labels, describe, format};
use super::store::{self, MAXIMUM_VERSIONS, NewVersion};
use crate::fleet::{ACCOUNT, Fleet};
use crate::platform::http::{Access, ApiError, Caller, Registry};
use crate::platform::page::{TokenScope, cut, page_size};
use crate::platform::time::to_column;
use flotilla_api::Timestamp;
use flotilla_api::documents::{
    DocumentDefaultVersionDescription, DocumentVersionInfo, ListDocumentVersionsRequest, ListDocumentVersionsResult,
    UpdateDocumentDefaultVersionRequest, UpdateDocumentDefaultVersionResult, UpdateDocumentRequest, UpdateDocumentResult,
};
use flotilla_document::Document;
use flotilla_document::Format;

/// Adds the endpoints.
pub(super) fn endpoints(registry: &mut Registry<Fleet>) {
    registry.endpoint::<UpdateDocumentRequest>(Access::Operator, update_document);
    registry.endpoint::<UpdateDocumentDefaultVersionRequest>(Access::Operator, update_document_default_version);
    registry.endpoint::<ListDocumentVersionsRequest>(Access::Viewer, list_document_versions);
}

/// Only the latest version can be updated, and the caller says so: with `$LATEST` or its number.
async fn update_document(fleet: &Fleet, caller: &Caller, request: UpdateDocumentRequest) -> Result<UpdateDocumentResult, ApiError> {
    if request.attachments.as_ref().is_some_and(|list| !list.is_empty()) {
        return Err(ApiError::new("InvalidDocumentOperation", "Attachments are not built in this bridge; leave them out"));
    }
    check_labels(request.display_name.as_deref(), request.version_name.as_deref(), request.target_type.as_deref())?;
    let latest = store::find_text(&fleet.store, &request.name, Some(store::LATEST)).await?;
    if latest.owner != ACCOUNT {
        return Err(ApiError::new("InvalidDocumentOperation", format!("{} is part of the bridge and cannot be changed", latest.name)));
    }
    let format = format(request.document_format.as_deref())?.unwrap_or(Format::Json);
    Document::parse(&request.content, format)?;

    let mut write = fleet.store.write().await?;
    let unknown = || ApiError::new("InvalidDocument", format!("there is no document {:?}", latest.name));
    let known = store::known_to_write(&mut write, &latest.name).await?.ok_or_else(unknown)?;
    let named = request.document_version.as_deref().and_then(|version| match version {
        store::DEFAULT => None,
        version => known.number(version),
    });
    // The latest that was read is still the latest, so what is compared below is what is replaced.
    if named != Some(known.latest_version) || known.latest_version != latest.version {
        let message = format!("DocumentVersion must be $LATEST or {}: only the latest version can be updated", known.latest_version);
        return Err(ApiError::new("InvalidDocumentVersion", message));
    }
    if latest.content == request.content && latest.format == format {
        let message = format!("the content is that of version {}, the latest of {}", latest.version, latest.name);
        return Err(ApiError::new("DuplicateDocumentContent", message));
    }
    if let Some(version_name) = &request.version_name
        && store::has_version_named(&mut write, &latest.name, version_name).await?
    {
        let message = format!("{} has a version named {version_name:?} already", latest.name);
        return Err(ApiError::new("DuplicateDocumentVersionName", message));
    }
    if store::count_versions(&mut write, &latest.name).await? >= MAXIMUM_VERSIONS {
        let message = format!("{} has {MAXIMUM_VERSIONS} versions; delete some", latest.name);
        return Err(ApiError::new("DocumentVersionLimitExceeded", message));
    }
    let new = NewVersion {
        name: &latest.name,
        version: known.last_version.saturating_add(1),
        format,
        content: &request.content,
        display_name: request.display_name.as_deref().or(latest.display_name.as_deref()),
        version_name: request.version_name.as_deref(),
        target_type: request.target_type.as_deref().or(latest.target_type.as_deref()),
        created_by: &caller.user,
        created_ms: to_column(fleet.clock.now_ms()),
    };
    store::add_version(&mut write, &new).await?;
    write.commit().await?;
    let stored = store::find(&fleet.store, &latest.name, Some(&new.version.to_string())).await?;
    Ok(UpdateDocumentResult { document_description: Some(describe(fleet, &stored).await?) })
}

async fn update_document_default_version(
    fleet: &Fleet,
    _caller: &Caller,
    request: UpdateDocumentDefaultVersionRequest,
) -> Result<UpdateDocumentDefaultVersionResult, ApiError> {
    // Here the model knows numbers only.
    if !request.document_version.bytes().all(|byte| byte.is_ascii_digit()) {
        let message = format!("DocumentVersion: {:?} is not the number of a version", request.document_version);
        return Err(ApiError::new("InvalidDocumentVersion", message));
    }
    let stored = store::find_text(&fleet.store, &request.name, Some(&request.document_version)).await?;
    if stored.owner == ACCOUNT {
        let mut write = fleet.store.write().await?;
        if !store::set_default(&mut write, &stored.name, stored.version).await? {
            let message = format!("{} has no version {} any more", stored.name, stored.version);
            return Err(ApiError::new("InvalidDocumentVersion", message));
        }
        write.commit().await?;
    }
    Ok(UpdateDocumentDefaultVersionResult {
        description: Some(DocumentDefaultVersionDescription {
            name: Some(stored.name),
            default_version: Some(stored.version.to_string()),
            default_version_name: stored.version_name,
        }),
    })
}

async fn list_document_versions(
    fleet: &Fleet,
    _caller: &Caller,
    request: ListDocumentVersionsRequest,
) -> Result<ListDocumentVersionsResult, ApiError> {
    let document = store::find_text(&fleet.store, &request.name, None).await?;
    let size = page_size(request.max_results, 1..=50)?;
    let scope = TokenScope::new("ListDocumentVersions", &document.name);
    let below = scope.after(request.next_token.as_deref())?.and_then(|last| last.parse().ok()).unwrap_or(i64::MAX);
    let mut versions = store::list_versions(&fleet.store, &document.name, below, size.saturating_add(1)).await?;
    let next_token = cut(&mut versions, size, &scope, |version| version.version.to_string());
    let versions = versions.into_iter().map(|version| DocumentVersionInfo {
        name: Some(document.name.clone()),
        display_name: version.display_name,
        document_version: Some(version.version.to_string()),
        version_name: version.version_name,
        created_date: Some(Timestamp::from_milliseconds(version.created_ms)),
        is_default_version: Some(version.version == document.default_version),
        document_format: Some(version.format),
        status: Some("Active".to_owned()),
        ..DocumentVersionInfo::default()
    });
    Ok(ListDocumentVersionsResult { document_versions: Some(versions.collect()), next_token })
}
