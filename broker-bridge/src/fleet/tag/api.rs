//! The endpoints of tags: add, remove, list.

use super::rules::{MAXIMUM_TAGS, check_key, check_new, too_many};
use super::{DOCUMENT, MANAGED_INSTANCE, store};
use crate::fleet::{Fleet, document};
use crate::platform::http::{Access, ApiError, Caller, Registry};
use flotilla_api::tags::{
    AddTagsToResourceRequest, AddTagsToResourceResult, ListTagsForResourceRequest, ListTagsForResourceResult,
    RemoveTagsFromResourceRequest, RemoveTagsFromResourceResult,
};

/// Adds the endpoints.
pub fn endpoints(registry: &mut Registry<Fleet>) {
    registry.endpoint::<AddTagsToResourceRequest>(Access::Operator, add_tags);
    registry.endpoint::<RemoveTagsFromResourceRequest>(Access::Operator, remove_tags);
    registry.endpoint::<ListTagsForResourceRequest>(Access::Viewer, list_tags);
}

async fn add_tags(fleet: &Fleet, _caller: &Caller, request: AddTagsToResourceRequest) -> Result<AddTagsToResourceResult, ApiError> {
    let resource_type = require_resource(fleet, &request.resource_type, &request.resource_id).await?;
    let tags = check_new(&request.tags)?;
    let mut write = fleet.store.write().await?;
    store::put(&mut write, resource_type, &request.resource_id, &tags).await?;
    if store::count(&mut write, resource_type, &request.resource_id).await? > MAXIMUM_TAGS {
        return Err(too_many());
    }
    write.commit().await?;
    Ok(AddTagsToResourceResult {})
}

async fn remove_tags(
    fleet: &Fleet,
    _caller: &Caller,
    request: RemoveTagsFromResourceRequest,
) -> Result<RemoveTagsFromResourceResult, ApiError> {
    let resource_type = require_resource(fleet, &request.resource_type, &request.resource_id).await?;
    if request.tag_keys.len() > MAXIMUM_TAGS {
        return Err(ApiError::validation(format!("TagKeys has more than {MAXIMUM_TAGS} entries")));
    }
    request.tag_keys.iter().try_for_each(|key| check_key(key))?;
    let mut write = fleet.store.write().await?;
    for key in &request.tag_keys {
        store::remove(&mut write, resource_type, &request.resource_id, key).await?;
    }
    write.commit().await?;
    Ok(RemoveTagsFromResourceResult {})
}

async fn list_tags(fleet: &Fleet, _caller: &Caller, request: ListTagsForResourceRequest) -> Result<ListTagsForResourceResult, ApiError> {
    let resource_type = require_resource(fleet, &request.resource_type, &request.resource_id).await?;
    let tags = store::list(&fleet.store, resource_type, &request.resource_id).await?;
    Ok(ListTagsForResourceResult { tag_list: Some(tags) })
}

/// The type of a resource that is there.
async fn require_resource(fleet: &Fleet, resource_type: &str, resource_id: &str) -> Result<&'static str, ApiError> {
    let unknown = |what: &str| ApiError::new("InvalidResourceId", format!("there is no {what} {resource_id:?}"));
    match resource_type {
        MANAGED_INSTANCE => {
            let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM node WHERE node_id = $1 AND deregistered_ms IS NULL")
                .bind(resource_id)
                .fetch_optional(fleet.store.reader())
                .await?;
            found.map(|_| MANAGED_INSTANCE).ok_or_else(|| unknown("node"))
        }
        DOCUMENT => match document::find_text(&fleet.store, resource_id, None).await {
            Ok(found) if found.name == resource_id => Ok(DOCUMENT),
            Ok(_) | Err(document::FindDocumentError::Unknown { .. }) => Err(unknown("document")),
            Err(error) => Err(error.into()),
        },
        other => {
            let built = format!("{MANAGED_INSTANCE} and {DOCUMENT}");
            Err(ApiError::new("InvalidResourceType", format!("{other:?} has no tags in this bridge; those of {built} are built")))
        }
    }
}
