//! The endpoints of nodes: list them, ask whether one is connected, give one a role, remove one.

use super::description::{self, Description, known};
use super::filter::{Filter, Operator, Words};
use super::{health, parse_node_id, properties, store, token_scope};
use crate::fleet::Fleet;
use crate::platform::http::{Access, ApiError, Caller, Registry};
use crate::platform::page::page_size;
use flotilla_api::Timestamp;
use flotilla_api::nodes::{
    DeregisterManagedInstanceRequest, DeregisterManagedInstanceResult, DescribeInstanceInformationRequest,
    DescribeInstanceInformationResult, DescribeInstancePropertiesRequest, GetConnectionStatusRequest, GetConnectionStatusResponse,
    InstanceInformation, UpdateManagedInstanceRoleRequest, UpdateManagedInstanceRoleResult,
};

/// How `DescribeInstanceInformation` names what is wrong with a filter, and its limits.
const WORDS: Words = Words { maximum_filters: 10, maximum_values: 100, invalid_value: "InvalidInstanceInformationFilterValue" };
/// Longest role, in characters (the model's limit).
const MAXIMUM_ROLE: usize = 64;

/// Adds the endpoints.
pub fn endpoints(registry: &mut Registry<Fleet>) {
    registry.endpoint::<DescribeInstanceInformationRequest>(Access::Viewer, describe_instance_information);
    registry.endpoint::<DescribeInstancePropertiesRequest>(Access::Viewer, properties::describe_instance_properties);
    registry.endpoint::<UpdateManagedInstanceRoleRequest>(Access::Admin, update_managed_instance_role);
    registry.endpoint::<GetConnectionStatusRequest>(Access::Viewer, get_connection_status);
    registry.endpoint::<DeregisterManagedInstanceRequest>(Access::Admin, deregister_managed_instance);
}

fn filters(request: &DescribeInstanceInformationRequest) -> Result<Vec<Filter>, ApiError> {
    let older = request.instance_information_filter_list.as_deref().unwrap_or_default();
    let newer = request.filters.as_deref().unwrap_or_default();
    if !older.is_empty() && !newer.is_empty() {
        return Err(ApiError::validation("give Filters or InstanceInformationFilterList, not both"));
    }
    let older = older.iter().map(|filter| (&filter.key, &filter.value_set));
    let newer = newer.iter().map(|filter| (&filter.key, &filter.values));
    let both = older.chain(newer);
    Ok(both.map(|(key, values)| Filter { key: key.clone(), operator: Operator::Equal, values: values.clone() }).collect())
}

fn information(node: Description) -> InstanceInformation {
    let ping_status = node.ping_status();
    InstanceInformation {
        instance_id: Some(node.node_id),
        ping_status: Some(ping_status.to_owned()),
        last_ping_date_time: Some(Timestamp::from_milliseconds(node.last_seen_ms)),
        agent_version: known(node.agent_version),
        platform_type: Some("Linux".to_owned()),
        platform_name: known(node.platform_name),
        platform_version: known(node.platform_version),
        activation_id: known(node.activation_id),
        iam_role: known(node.iam_role),
        registration_date: Some(Timestamp::from_milliseconds(node.registered_ms)),
        resource_type: Some("ManagedInstance".to_owned()),
        name: node.name,
        ip_address: known(node.ip_address),
        computer_name: known(node.computer_name),
        source_type: Some("AWS::SSM::ManagedInstance".to_owned()),
        ..InstanceInformation::default()
    }
}

pub(crate) async fn describe_instance_information(
    fleet: &Fleet,
    _caller: &Caller,
    request: DescribeInstanceInformationRequest,
) -> Result<DescribeInstanceInformationResult, ApiError> {
    let size = page_size(request.max_results, 5..=50)?;
    let scope = token_scope(&(&request.instance_information_filter_list, &request.filters));
    let (page, next_token) = description::page(fleet, &WORDS, &filters(&request)?, &scope, request.next_token.as_deref(), size).await?;
    let list = page.into_iter().map(information).collect();
    Ok(DescribeInstanceInformationResult { instance_information_list: Some(list), next_token })
}

pub(crate) async fn get_connection_status(
    fleet: &Fleet,
    _caller: &Caller,
    request: GetConnectionStatusRequest,
) -> Result<GetConnectionStatusResponse, ApiError> {
    if !(1..=400).contains(&request.target.chars().count()) {
        return Err(ApiError::validation("Target must have 1 to 400 characters"));
    }
    let online: Option<i64> = sqlx::query_scalar("SELECT online FROM node WHERE node_id = $1 AND deregistered_ms IS NULL")
        .bind(&request.target)
        .fetch_optional(fleet.store.reader())
        .await?;
    // As at AWS, a target that nobody knows is not connected.
    let status = if online == Some(1) { "connected" } else { "notconnected" };
    let health = health::read(fleet.store.reader(), &request.target).await?;
    Ok(GetConnectionStatusResponse { target: Some(request.target), status: Some(status.to_owned()), health })
}

pub(crate) async fn deregister_managed_instance(
    fleet: &Fleet,
    caller: &Caller,
    request: DeregisterManagedInstanceRequest,
) -> Result<DeregisterManagedInstanceResult, ApiError> {
    let node = parse_node_id(&request.instance_id)?;
    let now_ms = fleet.clock.now_ms();
    let mut write = fleet.store.write().await?;
    if !store::deregister(&mut write, node, now_ms).await? {
        return Err(ApiError::new("InvalidInstanceId", format!("{node} is not a node of this fleet")));
    }
    sqlx::query("DELETE FROM tag WHERE resource_type = 'ManagedInstance' AND resource_id = $1")
        .bind(node.to_string())
        .execute(write.connection())
        .await?;
    // What belongs to rows of `inventory_node` goes with them.
    for sql in [
        "DELETE FROM node_health WHERE node_id = $1",
        "DELETE FROM inventory_node WHERE node_id = $1",
        "DELETE FROM inventory_piece WHERE node_id = $1",
    ] {
        sqlx::query(sql).bind(node.to_string()).execute(write.connection()).await?;
    }
    write.commit().await?;
    tracing::info!(%node, user = caller.user, "a node was deregistered");
    fleet.revocations.revoke(node);
    // Its open invocations end with the next round of dispatch; the nudge makes that now.
    fleet.nudge.dispatch.notify_one();
    Ok(DeregisterManagedInstanceResult {})
}

pub(crate) async fn update_managed_instance_role(
    fleet: &Fleet,
    caller: &Caller,
    request: UpdateManagedInstanceRoleRequest,
) -> Result<UpdateManagedInstanceRoleResult, ApiError> {
    let node = parse_node_id(&request.instance_id)?;
    if request.iam_role.chars().count() > MAXIMUM_ROLE {
        return Err(ApiError::validation(format!("IamRole has at most {MAXIMUM_ROLE} characters")));
    }
    let mut write = fleet.store.write().await?;
    if !store::set_role(&mut write, node, &request.iam_role).await? {
        return Err(ApiError::new("InvalidInstanceId", format!("{node} is not a node of this fleet")));
    }
    write.commit().await?;
    tracing::info!(%node, user = caller.user, role = request.iam_role, "a node has another role");
    Ok(UpdateManagedInstanceRoleResult {})
}
