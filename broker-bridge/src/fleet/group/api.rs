//! The endpoints of groups: make, show, list and remove them, and list the nodes in one.

use super::query::{MANAGED_INSTANCE_TYPE, Query, bad};
use super::store::{self, Group, MAXIMUM_GROUPS};
use crate::fleet::tag::check_new;
use crate::fleet::{ACCOUNT, Fleet};
use crate::platform::http::{Access, ApiError, Caller, Registry};
use crate::platform::page::{TokenScope, cut, cut_part, page_size, part_end};
use crate::platform::time::to_column;
use flotilla_api::groups::{
    self, CreateGroupRequest, CreateGroupResponse, DeleteGroupRequest, Filter, GetGroupQueryRequest, GetGroupQueryResponse,
    GetGroupRequest, GroupAnswer, GroupIdentifier, GroupQuery, ListGroupResourcesRequest, ListGroupResourcesResponse, ListGroupsRequest,
    ListGroupsResponse, Resource, ResourceIdentifier, ResourceQuery, SearchResourcesRequest, SearchResourcesResponse, TAG_FILTERS,
};
use flotilla_api::tags::Tag;
use sqlx::QueryBuilder;

/// Begins names that groups cannot have, in any case.
const RESERVED_PREFIX: &str = "aws";

/// Adds the endpoints.
pub fn endpoints(registry: &mut Registry<Fleet>) {
    registry.rest_endpoint::<CreateGroupRequest>(Access::Operator, create_group);
    registry.rest_endpoint::<DeleteGroupRequest>(Access::Operator, delete_group);
    registry.rest_endpoint::<GetGroupRequest>(Access::Viewer, get_group);
    registry.rest_endpoint::<GetGroupQueryRequest>(Access::Viewer, get_group_query);
    registry.rest_endpoint::<ListGroupsRequest>(Access::Viewer, list_groups);
    registry.rest_endpoint::<ListGroupResourcesRequest>(Access::Viewer, list_group_resources);
    registry.rest_endpoint::<SearchResourcesRequest>(Access::Viewer, search_resources);
}

impl Group {
    fn arn(&self, fleet: &Fleet) -> String {
        format!("{}{}", arn_prefix(fleet), self.name)
    }

    fn shown(&self, fleet: &Fleet) -> groups::Group {
        groups::Group {
            group_arn: self.arn(fleet),
            name: self.name.clone(),
            description: self.description.clone(),
            criticality: self.criticality.and_then(|criticality| i32::try_from(criticality).ok()),
            owner: self.owner.clone(),
            display_name: self.display_name.clone(),
        }
    }

    fn identifier(&self, fleet: &Fleet) -> GroupIdentifier {
        let groups::Group { group_arn, name, description, criticality, owner, display_name } = self.shown(fleet);
        GroupIdentifier { group_name: Some(name), group_arn: Some(group_arn), description, criticality, owner, display_name }
    }

    fn resource_query(&self) -> ResourceQuery {
        ResourceQuery { kind: TAG_FILTERS.to_owned(), query: self.query.clone() }
    }
}

fn arn_prefix(fleet: &Fleet) -> String {
    format!("arn:aws:resource-groups:{}:{ACCOUNT}:group/", fleet.settings.region)
}

async fn create_group(fleet: &Fleet, caller: &Caller, request: CreateGroupRequest) -> Result<CreateGroupResponse, ApiError> {
    if request.name.get(..RESERVED_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(RESERVED_PREFIX)) {
        return Err(bad(format!("the name of a group does not begin with {RESERVED_PREFIX}")));
    }
    if request.configuration.as_ref().is_some_and(|configuration| !configuration.is_empty()) {
        return Err(bad("groups with a Configuration are not supported: leave it out and give a ResourceQuery"));
    }
    let query = request.resource_query.as_ref().ok_or_else(|| bad(format!("give a ResourceQuery of type {TAG_FILTERS}")))?;
    Query::parse(query)?;
    let tags = request.tags.clone().unwrap_or_default();
    check_new(&tags.iter().map(|(key, value)| Tag { key: key.clone(), value: value.clone() }).collect::<Vec<_>>())
        .map_err(|error| bad(error.message))?;
    let group = Group {
        name: request.name,
        description: request.description,
        criticality: request.criticality.map(i64::from),
        owner: request.owner,
        display_name: request.display_name,
        query: query.query.clone(),
        tags: serde_json::to_string(&tags).map_err(ApiError::internal)?,
    };
    let mut write = fleet.store.write().await?;
    if !store::insert(&mut write, &group, to_column(fleet.clock.now_ms())).await? {
        return Err(bad(format!("there is a group {} already", group.name)));
    }
    if store::count(&mut write).await? > MAXIMUM_GROUPS {
        return Err(bad(format!("a fleet has at most {MAXIMUM_GROUPS} groups")));
    }
    write.commit().await?;
    tracing::info!(group = group.name, user = caller.user, "a resource group was made");
    let tags = Some(tags).filter(|tags| !tags.is_empty());
    Ok(CreateGroupResponse { group: Some(group.shown(fleet)), resource_query: request.resource_query, tags })
}

/// The group that a request names in the newer or the older form.
async fn named(fleet: &Fleet, group: Option<&str>, group_name: Option<&str>) -> Result<Group, ApiError> {
    let ((Some(text), None) | (None, Some(text))) = (group, group_name) else {
        return Err(bad("give Group or GroupName, and not both"));
    };
    let prefix = arn_prefix(fleet);
    let name = text.strip_prefix(&prefix).unwrap_or(text);
    let unknown = || ApiError::new("NotFoundException", format!("there is no group {name:?} in this fleet"));
    store::find(&fleet.store, name).await?.ok_or_else(unknown)
}

async fn get_group(fleet: &Fleet, _caller: &Caller, request: GetGroupRequest) -> Result<GroupAnswer, ApiError> {
    let group = named(fleet, request.group.as_deref(), request.group_name.as_deref()).await?;
    Ok(GroupAnswer { group: Some(group.shown(fleet)) })
}

async fn get_group_query(fleet: &Fleet, _caller: &Caller, request: GetGroupQueryRequest) -> Result<GetGroupQueryResponse, ApiError> {
    let group = named(fleet, request.group.as_deref(), request.group_name.as_deref()).await?;
    let resource_query = group.resource_query();
    Ok(GetGroupQueryResponse { group_query: Some(GroupQuery { group_name: group.name, resource_query }) })
}

async fn delete_group(fleet: &Fleet, caller: &Caller, request: DeleteGroupRequest) -> Result<GroupAnswer, ApiError> {
    let group = named(fleet, request.group.as_deref(), request.group_name.as_deref()).await?;
    let mut write = fleet.store.write().await?;
    store::delete(&mut write, &group.name).await?;
    write.commit().await?;
    tracing::info!(group = group.name, user = caller.user, "a resource group was removed");
    Ok(GroupAnswer { group: Some(group.shown(fleet)) })
}

async fn list_groups(fleet: &Fleet, _caller: &Caller, request: ListGroupsRequest) -> Result<ListGroupsResponse, ApiError> {
    let size = page_size(request.max_results, 1..=50)?;
    let scope = TokenScope::new("ListGroups", &request.filters);
    let after = scope.after(ours(request.next_token).as_deref())?;
    let filters = request.filters.unwrap_or_default();
    let mut kept = Vec::new();
    for group in store::all(&fleet.store).await? {
        let later = after.as_ref().is_none_or(|after| group.name > *after);
        if later && holds_all(&group, &filters)? {
            kept.push(group);
        }
    }
    kept.truncate(usize::try_from(size + 1).unwrap_or(usize::MAX));
    let next_token = theirs(cut(&mut kept, size, &scope, |group| group.name.clone()));
    Ok(ListGroupsResponse {
        group_identifiers: Some(kept.iter().map(|group| group.identifier(fleet)).collect()),
        groups: Some(kept.iter().map(|group| group.shown(fleet)).collect()),
        next_token,
    })
}

fn holds_all(group: &Group, filters: &[Filter]) -> Result<bool, ApiError> {
    let query = Query::parse_text(&group.query)?;
    let mut holds = true;
    for filter in filters {
        let is = |value: Option<&str>| filter.values.iter().any(|wanted| Some(wanted.as_str()) == value);
        holds &= match filter.name.as_str() {
            "resource-type" => filter.values.iter().any(|kind| query.covers(kind)),
            "owner" => is(group.owner.as_deref()),
            "display-name" => is(group.display_name.as_deref()),
            "criticality" => is(group.criticality.map(|criticality| criticality.to_string()).as_deref()),
            // No group here has a configuration.
            "configuration-type" => false,
            other => return Err(bad(format!("{other:?} is no filter of groups"))),
        };
    }
    Ok(holds)
}

async fn list_group_resources(
    fleet: &Fleet,
    _caller: &Caller,
    request: ListGroupResourcesRequest,
) -> Result<ListGroupResourcesResponse, ApiError> {
    let group = named(fleet, request.group.as_deref(), request.group_name.as_deref()).await?;
    let scope = TokenScope::new("ListGroupResources", &(&group.name, &request.filters));
    let mut wanted = true;
    for filter in request.filters.iter().flatten() {
        if filter.name != "resource-type" {
            return Err(bad(format!("{:?} is no filter of resources; use resource-type", filter.name)));
        }
        wanted &= filter.values.iter().any(|kind| kind == MANAGED_INSTANCE_TYPE);
    }
    let query = Query::parse_text(&group.query)?;
    let page = Page { max_results: request.max_results, next_token: request.next_token, scope };
    let (identifiers, next_token) = page.read(fleet, &query, wanted).await?;
    let resources = identifiers.iter().map(|identifier| Resource { identifier: Some(identifier.clone()) }).collect();
    Ok(ListGroupResourcesResponse { resources: Some(resources), resource_identifiers: Some(identifiers), next_token })
}

async fn search_resources(fleet: &Fleet, _caller: &Caller, request: SearchResourcesRequest) -> Result<SearchResourcesResponse, ApiError> {
    let query = Query::parse(&request.resource_query)?;
    let scope = TokenScope::new("SearchResources", &request.resource_query);
    let page = Page { max_results: request.max_results, next_token: request.next_token, scope };
    let (identifiers, next_token) = page.read(fleet, &query, true).await?;
    Ok(SearchResourcesResponse { resource_identifiers: Some(identifiers), next_token })
}

/// A page of resources that is asked for.
#[derive(Debug)]
struct Page {
    max_results: Option<i32>,
    next_token: Option<String>,
    scope: TokenScope,
}

impl Page {
    async fn read(self, fleet: &Fleet, group: &Query, wanted: bool) -> Result<(Vec<ResourceIdentifier>, Option<String>), ApiError> {
        let size = page_size(self.max_results, 1..=50)?;
        let mut query = QueryBuilder::new("SELECT node_id FROM node WHERE deregistered_ms IS NULL");
        group.push(&mut query);
        if !wanted {
            query.push(" AND 1 = 0");
        }
        let after = self.scope.after(ours(self.next_token).as_deref())?;
        let end = if wanted { part_end(&fleet.store, "node", "node_id", after.as_deref()).await? } else { None };
        if let Some(after) = after {
            query.push(" AND node_id > ").push_bind(after);
        }
        if let Some(end) = &end {
            query.push(" AND node_id <= ").push_bind(end.clone());
        }
        query.push(" ORDER BY node_id LIMIT ").push_bind(size + 1);
        let mut ids: Vec<String> = query.build_query_scalar().fetch_all(fleet.store.reader()).await?;
        let next_token = theirs(cut_part(&mut ids, size, &self.scope, end, Clone::clone));
        let region = &fleet.settings.region;
        let identifier = |id: &String| ResourceIdentifier {
            resource_arn: Some(format!("arn:aws:ssm:{region}:{ACCOUNT}:managed-instance/{id}")),
            resource_type: Some(MANAGED_INSTANCE_TYPE.to_owned()),
        };
        Ok((ids.iter().map(identifier).collect(), next_token))
    }
}

/// The model of resource groups has tokens in the older alphabet of base64: `+` and `/` where ours have `-` and `_`.
fn theirs(token: Option<String>) -> Option<String> {
    token.map(|token| token.replace('-', "+").replace('_', "/"))
}

fn ours(token: Option<String>) -> Option<String> {
    token.map(|token| token.replace('+', "-").replace('/', "_"))
}
