//! What a group's query may be, and the condition of SQL that it stands for.

use crate::platform::http::ApiError;
use flotilla_api::groups::{ResourceQuery, TAG_FILTERS, TagQuery};
use sqlx::{QueryBuilder, Sqlite};

/// The type of a node in queries and in lists of resources.
pub const MANAGED_INSTANCE_TYPE: &str = "AWS::SSM::ManagedInstance";
/// Stands for every type.
const ALL_TYPES: &str = "AWS::AllSupported";
/// Most filters of one query, and most values of one filter (AWS's limits).
const MAXIMUM_TAG_FILTERS: usize = 50;
const MAXIMUM_VALUES: usize = 20;
/// Longest key and value of a tag, in characters.
const MAXIMUM_KEY: usize = 128;
const MAXIMUM_VALUE: usize = 256;
/// Longest query, in characters (the model's limit).
const MAXIMUM_QUERY: usize = 4096;

/// A query that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query(TagQuery);

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    /// `BadRequestException` for a query of another kind, or one that is not of the form.
    pub fn parse(query: &ResourceQuery) -> Result<Self, ApiError> {
        if query.kind != TAG_FILTERS {
            return Err(bad(format!("the query is of type {:?}; this bridge has {TAG_FILTERS}", query.kind)));
        }
        Self::parse_text(&query.query)
    }

    /// Reads the text of a query.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_text(text: &str) -> Result<Self, ApiError> {
        if text.chars().count() > MAXIMUM_QUERY {
            return Err(bad(format!("the query has more than {MAXIMUM_QUERY} characters")));
        }
        let example = r#"{"ResourceTypeFilters":["AWS::SSM::ManagedInstance"],"TagFilters":[{"Key":"site","Values":["north"]}]}"#;
        let wrong = |error: serde_json::Error| bad(format!("the query is not of the form {example}: {error}"));
        // By way of an object, because a list of the members' values would be taken too.
        let object: serde_json::Map<_, _> = serde_json::from_str(text).map_err(wrong)?;
        let query: TagQuery = serde_json::from_value(object.into()).map_err(wrong)?;
        if query.tag_filters.len() > MAXIMUM_TAG_FILTERS {
            return Err(bad(format!("the query has more than {MAXIMUM_TAG_FILTERS} TagFilters")));
        }
        for kind in &query.resource_type_filters {
            let form = kind.strip_prefix("AWS::").is_some_and(|rest| kind == ALL_TYPES || rest.split("::").count() == 2);
            if !form {
                return Err(bad(format!("ResourceTypeFilters: {kind:?} is no type; use {MANAGED_INSTANCE_TYPE} or {ALL_TYPES}")));
            }
        }
        for filter in &query.tag_filters {
            if !(1..=MAXIMUM_KEY).contains(&filter.key.chars().count()) {
                return Err(bad(format!("TagFilters: a key has 1 to {MAXIMUM_KEY} characters")));
            }
            if filter.values.len() > MAXIMUM_VALUES || filter.values.iter().any(|value| value.chars().count() > MAXIMUM_VALUE) {
                return Err(bad(format!(
                    "TagFilters: {} has more than {MAXIMUM_VALUES} values, or one of more than {MAXIMUM_VALUE} characters",
                    filter.key
                )));
            }
        }
        Ok(Self(query))
    }

    /// Whether resources of this type can be in the group.
    #[must_use]
    pub fn covers(&self, kind: &str) -> bool {
        let types = &self.0.resource_type_filters;
        types.is_empty() || types.iter().any(|known| known == ALL_TYPES || known == kind)
    }

    /// Adds the condition to a query over `node` that has a `WHERE` already.
    pub fn push(&self, query: &mut QueryBuilder<Sqlite>) {
        if !self.covers(MANAGED_INSTANCE_TYPE) {
            query.push(" AND 1 = 0");
        }
        for filter in &self.0.tag_filters {
            query.push(" AND EXISTS (SELECT 1 FROM tag WHERE resource_type = 'ManagedInstance' AND resource_id = node_id AND tag_key = ");
            query.push_bind(filter.key.clone());
            if !filter.values.is_empty() {
                query.push(" AND tag_value IN (");
                let mut separated = query.separated(", ");
                for value in &filter.values {
                    separated.push_bind(value.clone());
                }
                query.push(")");
            }
            query.push(")");
        }
    }
}

/// A request that cannot be one, in the words of resource groups.
pub(super) fn bad(message: impl Into<String>) -> ApiError {
    ApiError::new("BadRequestException", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_queries_over_tags_are_taken() {
        let good = r#"{"ResourceTypeFilters":["AWS::AllSupported"],"TagFilters":[{"Key":"a","Values":[]}]}"#;
        assert!(Query::parse_text(good).unwrap().covers(MANAGED_INSTANCE_TYPE));
        assert!(!Query::parse_text(r#"{"ResourceTypeFilters":["AWS::EC2::Instance"]}"#).unwrap().covers(MANAGED_INSTANCE_TYPE));
        assert!(Query::parse_text("{}").unwrap().covers(MANAGED_INSTANCE_TYPE));
        let many = format!(r#"{{"TagFilters":[{}]}}"#, vec![r#"{"Key":"a"}"#; MAXIMUM_TAG_FILTERS + 1].join(","));
        for wrong in ["", "[]", r#"{"Colour":1}"#, r#"{"TagFilters":[{"Key":""}]}"#, r#"{"ResourceTypeFilters":["EC2"]}"#, &many] {
            assert_eq!(Query::parse_text(wrong).unwrap_err().kind, "BadRequestException", "{wrong}");
        }
        let stack = ResourceQuery { kind: "CLOUDFORMATION_STACK_1_0".into(), query: "{}".into() };
        assert!(Query::parse(&stack).unwrap_err().message.contains(TAG_FILTERS));
    }
}
