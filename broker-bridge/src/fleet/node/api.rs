//! The endpoints of nodes: list them, ask whether one is connected, remove one.

use super::{parse_node_id, store, token_scope};
use crate::fleet::Fleet;
use crate::platform::http::{Access, ApiError, Caller, Registry};
use crate::platform::page::{cut, page_size};
use flotilla_api::Timestamp;
use flotilla_api::nodes::{
    DeregisterManagedInstanceRequest, DeregisterManagedInstanceResult, DescribeInstanceInformationRequest,
    DescribeInstanceInformationResult, GetConnectionStatusRequest, GetConnectionStatusResponse, InstanceInformation,
};
use sqlx::{QueryBuilder, Sqlite};

/// Most filters of one request.
const MAXIMUM_FILTERS: usize = 10;
/// Most values of one filter (the model's limit).
const MAXIMUM_VALUES: usize = 100;
/// Longest key or value of a filter, in bytes: a tag's value and its prefix fit.
const MAXIMUM_FILTER_BYTES: usize = 512;

/// Adds the endpoints.
pub fn endpoints(registry: &mut Registry<Fleet>) {
    registry.endpoint::<DescribeInstanceInformationRequest>(Access::Viewer, describe_instance_information);
    registry.endpoint::<GetConnectionStatusRequest>(Access::Viewer, get_connection_status);
    registry.endpoint::<DeregisterManagedInstanceRequest>(Access::Admin, deregister_managed_instance);
}

/// A filter in one form, whichever it came in.
struct Filter {
    key: String,
    values: Vec<String>,
}

fn filters(request: &DescribeInstanceInformationRequest) -> Result<Vec<Filter>, ApiError> {
    let older = request.instance_information_filter_list.as_deref().unwrap_or_default();
    let newer = request.filters.as_deref().unwrap_or_default();
    if !older.is_empty() && !newer.is_empty() {
        return Err(ApiError::validation("give Filters or InstanceInformationFilterList, not both"));
    }
    let older = older.iter().map(|filter| (&filter.key, &filter.value_set));
    let newer = newer.iter().map(|filter| (&filter.key, &filter.values));
    let filters: Vec<Filter> = older.chain(newer).map(|(key, values)| Filter { key: key.clone(), values: values.clone() }).collect();
    if filters.len() > MAXIMUM_FILTERS {
        return Err(ApiError::validation(format!("at most {MAXIMUM_FILTERS} filters are taken")));
    }
    for filter in &filters {
        let fits = |text: &String| (1..=MAXIMUM_FILTER_BYTES).contains(&text.len());
        if !(1..=MAXIMUM_VALUES).contains(&filter.values.len()) || !filter.values.iter().all(fits) || !fits(&filter.key) {
            let message = format!("filter {}: give 1 to {MAXIMUM_VALUES} values that are not empty", filter.key);
            return Err(ApiError::new("InvalidInstanceInformationFilterValue", message));
        }
    }
    Ok(filters)
}

/// Adds `AND column IN (values)`.
fn is_one_of(query: &mut QueryBuilder<Sqlite>, column: &'static str, values: &[String]) {
    query.push(" AND ").push(column).push(" IN (");
    let mut separated = query.separated(", ");
    for value in values {
        separated.push_bind(value.clone());
    }
    query.push(")");
}

fn apply(query: &mut QueryBuilder<Sqlite>, filter: &Filter) -> Result<(), ApiError> {
    let allowed = |words: &[&str]| match filter.values.iter().find(|value| !words.contains(&value.as_str())) {
        None => Ok(()),
        Some(value) => {
            let message = format!("filter {}: {value:?} is none of {}", filter.key, words.join(", "));
            Err(ApiError::new("InvalidInstanceInformationFilterValue", message))
        }
    };
    // Every node of a fleet runs Linux, is a managed instance and has no association; such filters keep all nodes or none.
    let constant = |query: &mut QueryBuilder<Sqlite>, value: &str| {
        if !filter.values.iter().any(|wanted| wanted == value) {
            query.push(" AND 1 = 0");
        }
    };
    match filter.key.as_str() {
        "InstanceIds" => {
            for value in &filter.values {
                parse_node_id(value)?;
            }
            is_one_of(query, "node_id", &filter.values);
        }
        "AgentVersion" => is_one_of(query, "agent_version", &filter.values),
        "ActivationIds" => is_one_of(query, "activation_id", &filter.values),
        "IamRole" => is_one_of(query, "iam_role", &filter.values),
        "PingStatus" => {
            allowed(&["Online", "ConnectionLost", "Inactive"])?;
            let has = |word: &str| filter.values.iter().any(|value| value == word);
            match (has("Online"), has("ConnectionLost")) {
                (true, true) => {}
                (true, false) => drop(query.push(" AND online = 1")),
                (false, true) => drop(query.push(" AND online = 0")),
                (false, false) => drop(query.push(" AND 1 = 0")),
            }
        }
        "PlatformTypes" => {
            allowed(&["Windows", "Linux", "MacOS"])?;
            constant(query, "Linux");
        }
        "ResourceType" => {
            allowed(&["ManagedInstance", "EC2Instance"])?;
            constant(query, "ManagedInstance");
        }
        "AssociationStatus" => drop(query.push(" AND 1 = 0")),
        "tag-key" => {
            query.push(" AND EXISTS (SELECT 1 FROM tag WHERE resource_type = 'ManagedInstance' AND resource_id = node_id");
            is_one_of(query, "tag_key", &filter.values);
            query.push(")");
        }
        key => {
            let Some(tag) = key.strip_prefix("tag:").filter(|tag| !tag.is_empty()) else {
                let message = format!(
                    "{key:?} is no filter key; use InstanceIds, AgentVersion, PingStatus, PlatformTypes, ActivationIds, IamRole, \
                     ResourceType, AssociationStatus, tag-key or tag:<key>"
                );
                return Err(ApiError::new("InvalidFilterKey", message));
            };
            query.push(" AND EXISTS (SELECT 1 FROM tag WHERE resource_type = 'ManagedInstance' AND resource_id = node_id AND tag_key = ");
            query.push_bind(tag.to_owned());
            is_one_of(query, "tag_value", &filter.values);
            query.push(")");
        }
    }
    Ok(())
}

#[derive(sqlx::FromRow)]
struct Row {
    node_id: String,
    activation_id: String,
    name: Option<String>,
    iam_role: String,
    registered_ms: i64,
    online: i64,
    last_seen_ms: i64,
    agent_version: String,
    platform_name: String,
    platform_version: String,
    computer_name: String,
    ip_address: String,
}

impl Row {
    fn into_information(self) -> InstanceInformation {
        let known = |text: String| Some(text).filter(|text| !text.is_empty());
        InstanceInformation {
            instance_id: Some(self.node_id),
            ping_status: Some(ping_status(self.online != 0).to_owned()),
            last_ping_date_time: Some(Timestamp::from_milliseconds(self.last_seen_ms)),
            agent_version: known(self.agent_version),
            platform_type: Some("Linux".to_owned()),
            platform_name: known(self.platform_name),
            platform_version: known(self.platform_version),
            activation_id: known(self.activation_id),
            iam_role: known(self.iam_role),
            registration_date: Some(Timestamp::from_milliseconds(self.registered_ms)),
            resource_type: Some("ManagedInstance".to_owned()),
            name: self.name,
            ip_address: known(self.ip_address),
            computer_name: known(self.computer_name),
            source_type: Some("AWS::SSM::ManagedInstance".to_owned()),
            ..InstanceInformation::default()
        }
    }
}

fn ping_status(online: bool) -> &'static str {
    if online { "Online" } else { "ConnectionLost" }
}

pub(crate) async fn describe_instance_information(
    fleet: &Fleet,
    _caller: &Caller,
    request: DescribeInstanceInformationRequest,
) -> Result<DescribeInstanceInformationResult, ApiError> {
    let size = page_size(request.max_results, 5..=50)?;
    let scope = token_scope(&(&request.instance_information_filter_list, &request.filters));
    let mut query = QueryBuilder::new(
        "SELECT node_id, activation_id, name, iam_role, registered_ms, online, last_seen_ms, agent_version, platform_name, \
         platform_version, computer_name, ip_address FROM node WHERE deregistered_ms IS NULL",
    );
    for filter in filters(&request)? {
        apply(&mut query, &filter)?;
    }
    if let Some(after) = scope.after(request.next_token.as_deref())? {
        query.push(" AND node_id > ").push_bind(after);
    }
    query.push(" ORDER BY node_id LIMIT ").push_bind(size + 1);
    let mut rows: Vec<Row> = query.build_query_as().fetch_all(fleet.store.reader()).await?;
    let next_token = cut(&mut rows, size, &scope, |row| row.node_id.clone());
    let list = rows.into_iter().map(Row::into_information).collect();
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
    Ok(GetConnectionStatusResponse { target: Some(request.target), status: Some(status.to_owned()) })
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
    write.commit().await?;
    tracing::info!(%node, user = caller.user, "a node was deregistered");
    // Its open invocations end with the next round of dispatch; the nudge makes that now.
    fleet.nudge.dispatch.notify_one();
    Ok(DeregisterManagedInstanceResult {})
}
