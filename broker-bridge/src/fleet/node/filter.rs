//! Filters on nodes, as conditions of SQL: the keys of `DescribeInstanceInformation` and `DescribeInstanceProperties`.
//!
//! All filters must hold. Of the values of one filter, one must hold; of those of `NotEqual`, all.

use super::parse_node_id;
use crate::fleet::Fleet;
use crate::platform::http::ApiError;
use sqlx::{QueryBuilder, Sqlite};
use std::cmp::Ordering;

/// Longest key or value of a filter, in bytes: a tag's value and its prefix fit.
const MAXIMUM_FILTER_BYTES: usize = 512;
/// Most versions of the agent that a comparison looks at; a fleet has a handful.
const MAXIMUM_VERSIONS: i64 = 1_000;
/// Most values of all `BeginWith` of one request: each is compared with every node that is looked at.
const MAXIMUM_BEGINNINGS: usize = 100;
const KEYS: &str = "InstanceIds, AgentVersion, PingStatus, PlatformTypes, ActivationIds, IamRole, ResourceType, AssociationStatus, \
                    SourceTypes, SourceIds, tag-key or tag:<key>";

/// A quarantined node is known by its id only and not by what it says, so it is shown as one that is not used.
const PING_STATUS: &str = "CASE WHEN quarantined_ms IS NOT NULL THEN 'Inactive' WHEN online = 1 THEN 'Online' ELSE 'ConnectionLost' END";

/// How values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    BeginWith,
    LessThan,
    GreaterThan,
}

/// A filter in one form, whichever it came in.
#[derive(Debug)]
pub(super) struct Filter {
    pub(super) key: String,
    pub(super) operator: Operator,
    pub(super) values: Vec<String>,
}

impl Filter {
    /// Whether it lets through a few nodes only, by their ids.
    pub(super) fn names_nodes(&self) -> bool {
        self.operator == Operator::Equal && matches!(self.key.as_str(), "InstanceIds" | "InstanceId")
    }
}

/// How an operation names what is wrong with a filter, and its limits.
#[derive(Debug)]
pub(super) struct Words {
    /// Most filters of one request.
    pub(super) maximum_filters: usize,
    /// Most values of one filter.
    pub(super) maximum_values: usize,
    /// The error for a value that cannot be one.
    pub(super) invalid_value: &'static str,
}

impl Words {
    /// Adds the conditions of the filters to a query over `node` that has a `WHERE` already.
    pub(super) async fn apply(&self, query: &mut QueryBuilder<Sqlite>, filters: &[Filter], fleet: &Fleet) -> Result<(), ApiError> {
        let beginnings =
            filters.iter().filter(|filter| filter.operator == Operator::BeginWith).map(|filter| filter.values.len()).sum::<usize>();
        if beginnings > MAXIMUM_BEGINNINGS {
            return Err(ApiError::validation(format!("BeginWith is taken with at most {MAXIMUM_BEGINNINGS} values in one request")));
        }
        let compares = |filter: &Filter| matches!(filter.operator, Operator::LessThan | Operator::GreaterThan);
        let versions = if filters.iter().any(compares) { known_versions(fleet).await? } else { Vec::new() };
        if filters.len() > self.maximum_filters {
            return Err(ApiError::validation(format!("at most {} filters are taken", self.maximum_filters)));
        }
        for filter in filters {
            let fits = |text: &String| (1..=MAXIMUM_FILTER_BYTES).contains(&text.len());
            if !(1..=self.maximum_values).contains(&filter.values.len()) || !filter.values.iter().all(fits) || !fits(&filter.key) {
                let most = self.maximum_values;
                return Err(self.invalid(&filter.key, &format!("give 1 to {most} values of 1 to {MAXIMUM_FILTER_BYTES} bytes")));
            }
            self.condition(query, filter, &versions)?;
        }
        Ok(())
    }

    fn condition(&self, query: &mut QueryBuilder<Sqlite>, filter: &Filter, versions: &[String]) -> Result<(), ApiError> {
        match filter.key.as_str() {
            "InstanceIds" | "InstanceId" => {
                if filter.operator != Operator::BeginWith {
                    for value in &filter.values {
                        parse_node_id(value)?;
                    }
                }
                self.column(query, "node_id", filter)
            }
            "AgentVersion" => match filter.operator {
                Operator::LessThan => self.versions(query, filter, versions, Ordering::Less),
                Operator::GreaterThan => self.versions(query, filter, versions, Ordering::Greater),
                _ => self.column(query, "agent_version", filter),
            },
            "ActivationIds" | "ActivationId" => self.column(query, "activation_id", filter),
            "IamRole" => self.column(query, "iam_role", filter),
            "PingStatus" => {
                self.one_of(filter, &["Online", "ConnectionLost", "Inactive"])?;
                self.column(query, PING_STATUS, filter)
            }
            // Every node of a fleet runs Linux and is a managed instance that stands for itself.
            "PlatformTypes" | "PlatformType" => {
                self.one_of(filter, &["Windows", "Linux", "MacOS"])?;
                self.column(query, "'Linux'", filter)
            }
            "ResourceType" => {
                self.one_of(filter, &["ManagedInstance", "EC2Instance"])?;
                self.column(query, "'ManagedInstance'", filter)
            }
            "SourceTypes" | "SourceType" => self.column(query, "'AWS::SSM::ManagedInstance'", filter),
            // No node has an association, or another thing behind it.
            "AssociationStatus" | "SourceIds" | "SourceId" => self.column(query, "''", filter),
            key => self.tag(query, key, filter),
        }
    }

    /// Adds `AND column IN (values)`, or what the operator says.
    fn column(&self, query: &mut QueryBuilder<Sqlite>, column: &'static str, filter: &Filter) -> Result<(), ApiError> {
        match filter.operator {
            Operator::Equal => is_one_of(query, column, " IN (", &filter.values),
            Operator::NotEqual => is_one_of(query, column, " NOT IN (", &filter.values),
            Operator::BeginWith => {
                query.push(" AND (1 = 0");
                for value in &filter.values {
                    query
                        .push(" OR substr(")
                        .push(column)
                        .push(", 1, length(")
                        .push_bind(value.clone())
                        .push(")) = ")
                        .push_bind(value.clone());
                }
                query.push(")");
            }
            Operator::LessThan | Operator::GreaterThan => {
                return Err(self.invalid(&filter.key, "LessThan and GreaterThan compare AgentVersion only"));
            }
        }
        Ok(())
    }

    /// Versions are compared number by number, which SQL cannot; so those that the fleet has are compared here.
    fn versions(&self, query: &mut QueryBuilder<Sqlite>, filter: &Filter, known: &[String], wanted: Ordering) -> Result<(), ApiError> {
        let mut limits = Vec::new();
        for value in &filter.values {
            limits.push(version(value).ok_or_else(|| self.invalid(&filter.key, &format!("{value:?} is no version such as 1.2.3")))?);
        }
        let holds = |text: &&String| version(text).is_some_and(|known| limits.iter().any(|limit| known.cmp(limit) == wanted));
        let kept: Vec<String> = known.iter().filter(holds).cloned().collect();
        is_one_of(query, "agent_version", " IN (", &kept);
        Ok(())
    }

    fn tag(&self, query: &mut QueryBuilder<Sqlite>, key: &str, filter: &Filter) -> Result<(), ApiError> {
        const TAG: &str = "EXISTS (SELECT 1 FROM tag WHERE resource_type = 'ManagedInstance' AND resource_id = node_id";
        let tag = key.strip_prefix("tag:").filter(|tag| !tag.is_empty());
        if tag.is_none() && key != "tag-key" {
            return Err(ApiError::new("InvalidFilterKey", format!("{key:?} is no filter key; use {KEYS}")));
        }
        // A node without the tag at all is not equal either.
        query.push(if filter.operator == Operator::NotEqual { " AND NOT " } else { " AND " }).push(TAG);
        let column = match tag {
            Some(tag) => {
                query.push(" AND tag_key = ").push_bind(tag.to_owned());
                "tag_value"
            }
            None => "tag_key",
        };
        let operator = if filter.operator == Operator::NotEqual { Operator::Equal } else { filter.operator };
        self.column(query, column, &Filter { key: key.to_owned(), operator, values: filter.values.clone() })?;
        query.push(")");
        Ok(())
    }

    fn one_of(&self, filter: &Filter, words: &[&str]) -> Result<(), ApiError> {
        let wrong = filter.values.iter().find(|value| !words.contains(&value.as_str()));
        match wrong.filter(|_| filter.operator != Operator::BeginWith) {
            None => Ok(()),
            Some(value) => Err(self.invalid(&filter.key, &format!("{value:?} is none of {}", words.join(", ")))),
        }
    }

    fn invalid(&self, key: &str, what: &str) -> ApiError {
        let key: String = key.chars().take(MAXIMUM_FILTER_BYTES).collect();
        ApiError::new(self.invalid_value, format!("filter {key}: {what}"))
    }
}

/// The versions of the agent that the fleet has, removed nodes included: each is one step in an index.
const VERSIONS: &str = "WITH RECURSIVE known (version) AS (SELECT min(agent_version) FROM node UNION ALL \
    SELECT (SELECT min(agent_version) FROM node WHERE agent_version > known.version) FROM known WHERE known.version IS NOT NULL LIMIT $1) \
    SELECT version FROM known WHERE version IS NOT NULL";

async fn known_versions(fleet: &Fleet) -> Result<Vec<String>, ApiError> {
    Ok(sqlx::query_scalar(VERSIONS).bind(MAXIMUM_VERSIONS).fetch_all(fleet.store.reader()).await?)
}

fn is_one_of(query: &mut QueryBuilder<Sqlite>, column: &'static str, operator: &'static str, values: &[String]) {
    if values.is_empty() {
        query.push(" AND 1 = 0");
        return;
    }
    query.push(" AND ").push(column).push(operator);
    let mut separated = query.separated(", ");
    for value in values {
        separated.push_bind(value.clone());
    }
    query.push(")");
}

/// The numbers of a version, `1.2.3`.
fn version(text: &str) -> Option<Vec<u64>> {
    text.split('.').map(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn versions_are_found_without_looking_at_every_node() {
        let kit = crate::device::test_kit::Kit::new().await;
        let store = &kit.fleet.store;
        for seed in 1..=6 {
            let id = kit.node(seed).await.id.to_string();
            let mut write = store.write().await.unwrap();
            let version = if seed % 2 == 0 { "0.10.0" } else { "0.9.0" };
            let sql = "UPDATE node SET agent_version = $2 WHERE node_id = $1";
            sqlx::query(sql).bind(id).bind(version).execute(write.connection()).await.unwrap();
            write.commit().await.unwrap();
        }
        assert_eq!(known_versions(&kit.fleet).await.unwrap(), ["0.10.0", "0.9.0"]);
        let sql = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {VERSIONS}"));
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(sql).bind(10_i64).fetch_all(store.reader()).await.unwrap();
        let of_nodes: Vec<&str> = plan.iter().map(|(.., step)| step.as_str()).filter(|step| step.contains(" node")).collect();
        assert!(
            !of_nodes.is_empty() && of_nodes.iter().all(|step| step.starts_with("SEARCH") && step.contains("node_by_agent_version")),
            "{plan:?}"
        );
    }

    #[tokio::test]
    async fn beginnings_are_bounded_over_all_filters() {
        let kit = crate::device::test_kit::Kit::new().await;
        let words = Words { maximum_filters: 40, maximum_values: 40, invalid_value: "InvalidFilterValue" };
        let filter = |_| Filter { key: "IamRole".to_owned(), operator: Operator::BeginWith, values: vec!["a".to_owned(); 10] };
        for (count, fits) in [(10, true), (11, false)] {
            let mut query = QueryBuilder::new("SELECT 1 FROM node WHERE 1 = 1");
            let filters: Vec<Filter> = (0..count).map(filter).collect();
            assert_eq!(words.apply(&mut query, &filters, &kit.fleet).await.is_ok(), fits);
        }
    }

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert!(version("0.10.0") > version("0.9.12") && version("1.0") < version("1.0.1"));
        assert_eq!(version("1.x"), None);
        assert_eq!(version(""), None);
    }
}
