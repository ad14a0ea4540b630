//! `DescribeInstanceProperties`: nodes with what is known of their machines, filtered with operators.

use super::api::ping_status;
use super::filter::{Filter, Operator, Words};
use crate::fleet::Fleet;
use crate::platform::http::{ApiError, Caller};
use crate::platform::page::{TokenScope, cut, page_size};
use flotilla_api::Timestamp;
use flotilla_api::nodes::{DescribeInstancePropertiesRequest, DescribeInstancePropertiesResult, InstanceProperty};
use sqlx::QueryBuilder;

const WORDS: Words = Words { maximum_filters: 40, maximum_values: 40, invalid_value: "InvalidInstancePropertyFilterValue" };

/// Which nodes a command went to is asked of `ListCommandInvocations`; this bridge keeps no other tie to a document.
const DOCUMENT_NAME: &str = "DocumentName";

fn filters(request: &DescribeInstancePropertiesRequest) -> Result<Vec<Filter>, ApiError> {
    let older = request.instance_property_filter_list.as_deref().unwrap_or_default();
    let newer = request.filters_with_operator.as_deref().unwrap_or_default();
    if !older.is_empty() && !newer.is_empty() {
        return Err(ApiError::validation("give FiltersWithOperator or InstancePropertyFilterList, not both"));
    }
    let older = older.iter().map(|filter| (&filter.key, None, &filter.value_set));
    let newer = newer.iter().map(|filter| (&filter.key, filter.operator.as_deref(), &filter.values));
    let mut filters = Vec::new();
    for (key, operator, values) in older.chain(newer) {
        if key == DOCUMENT_NAME {
            let message = "DocumentName selects nodes by association, which this bridge does not have yet; use ListCommandInvocations";
            return Err(ApiError::new("InvalidFilterKey", message));
        }
        filters.push(Filter { key: key.clone(), operator: named(operator)?, values: values.clone() });
    }
    Ok(filters)
}

fn named(operator: Option<&str>) -> Result<Operator, ApiError> {
    match operator {
        None | Some("Equal") => Ok(Operator::Equal),
        Some("NotEqual") => Ok(Operator::NotEqual),
        Some("BeginWith") => Ok(Operator::BeginWith),
        Some("LessThan") => Ok(Operator::LessThan),
        Some("GreaterThan") => Ok(Operator::GreaterThan),
        Some(other) => {
            Err(ApiError::validation(format!("{other:?} is no operator; use Equal, NotEqual, BeginWith, LessThan or GreaterThan")))
        }
    }
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
    architecture: String,
    computer_name: String,
    ip_address: String,
}

impl Row {
    fn into_property(self) -> InstanceProperty {
        let known = |text: String| Some(text).filter(|text| !text.is_empty());
        InstanceProperty {
            name: self.name,
            instance_id: Some(self.node_id),
            architecture: known(self.architecture),
            ip_address: known(self.ip_address),
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
            computer_name: known(self.computer_name),
            source_type: Some("AWS::SSM::ManagedInstance".to_owned()),
        }
    }
}

pub(crate) async fn describe_instance_properties(
    fleet: &Fleet,
    _caller: &Caller,
    request: DescribeInstancePropertiesRequest,
) -> Result<DescribeInstancePropertiesResult, ApiError> {
    let size = page_size(request.max_results, 5..=1000)?;
    let filters_as_given = (&request.instance_property_filter_list, &request.filters_with_operator);
    let scope = TokenScope::new("DescribeInstanceProperties", &filters_as_given);
    let mut query = QueryBuilder::new(
        "SELECT node_id, activation_id, name, iam_role, registered_ms, online, last_seen_ms, agent_version, platform_name, \
         platform_version, architecture, computer_name, ip_address FROM node WHERE deregistered_ms IS NULL",
    );
    WORDS.apply(&mut query, &filters(&request)?, fleet).await?;
    if let Some(after) = scope.after(request.next_token.as_deref())? {
        query.push(" AND node_id > ").push_bind(after);
    }
    query.push(" ORDER BY node_id LIMIT ").push_bind(size + 1);
    let mut rows: Vec<Row> = query.build_query_as().fetch_all(fleet.store.reader()).await?;
    let next_token = cut(&mut rows, size, &scope, |row| row.node_id.clone());
    let properties = rows.into_iter().map(Row::into_property).collect();
    Ok(DescribeInstancePropertiesResult { instance_properties: Some(properties), next_token })
}
