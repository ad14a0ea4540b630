//! `DescribeInstanceProperties`: nodes with what is known of their machines, filtered with operators.

use super::description::{self, Description, known};
use super::filter::{Filter, Operator, Words};
use crate::fleet::Fleet;
use crate::platform::http::{ApiError, Caller};
use crate::platform::page::{TokenScope, page_size};
use flotilla_api::Timestamp;
use flotilla_api::nodes::{DescribeInstancePropertiesRequest, DescribeInstancePropertiesResult, InstanceProperty};

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

fn property(node: Description) -> InstanceProperty {
    let ping_status = node.ping_status();
    InstanceProperty {
        name: node.name,
        instance_id: Some(node.node_id),
        architecture: known(node.architecture),
        ip_address: known(node.ip_address),
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
        computer_name: known(node.computer_name),
        source_type: Some("AWS::SSM::ManagedInstance".to_owned()),
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
    let (page, next_token) = description::page(fleet, &WORDS, &filters(&request)?, &scope, request.next_token.as_deref(), size).await?;
    let properties = page.into_iter().map(property).collect();
    Ok(DescribeInstancePropertiesResult { instance_properties: Some(properties), next_token })
}
