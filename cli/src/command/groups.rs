//! `flotilla groups`: resource groups, which are named queries over tags.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use flotilla_api::groups::{
    CreateGroupRequest, DeleteGroupRequest, GetGroupQueryRequest, GetGroupRequest, Group, GroupIdentifier, ListGroupResourcesRequest,
    ListGroupsRequest, ResourceIdentifier, ResourceQuery, SearchResourcesRequest, TAG_FILTERS, TagFilter, TagQuery,
};
use serde::Serialize;

use crate::arguments::{NameValue, name_value};
use crate::connection::Connection;
use crate::error::{CliError, SUCCESS};
use crate::output::{Format, Output};
use crate::paging::{self, PAGE_SIZE};

/// The type of a node in queries.
const NODE_TYPE: &str = "AWS::SSM::ManagedInstance";
const EXAMPLES: &str = "\
Examples:
  flotilla groups
  flotilla groups create kiosks --tag kind=kiosk --tag site=north --tag site=south
  flotilla groups nodes kiosks
  flotilla run --group kiosks -- uptime";

/// Manage groups: named queries over tags, which commands take as a target.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct GroupsArguments {
    #[command(subcommand)]
    command: Option<GroupsCommand>,
}

#[derive(Debug, Subcommand)]
enum GroupsCommand {
    /// List the groups.
    #[command(after_help = "Example:\n  flotilla groups list --output json")]
    List,
    /// Show a group and its query.
    #[command(after_help = "Example:\n  flotilla groups show kiosks")]
    Show {
        /// Its name.
        name: String,
    },
    /// Make a group of the nodes with these tags.
    #[command(after_help = "Example:\n  flotilla groups create kiosks --tag kind=kiosk --tag site=north --tag site=south")]
    Create {
        /// Its name.
        name: String,
        #[command(flatten)]
        query: Query,
        /// What it is for.
        #[arg(long)]
        description: Option<String>,
        /// Who answers for it.
        #[arg(long)]
        owner: Option<String>,
    },
    /// Delete a group; its nodes stay.
    #[command(after_help = "Example:\n  flotilla groups delete kiosks")]
    Delete {
        /// Its name.
        name: String,
    },
    /// List the nodes of a group.
    #[command(after_help = "Example:\n  flotilla groups nodes kiosks")]
    Nodes {
        /// Its name.
        name: String,
    },
    /// List the nodes that a group of these tags would have.
    #[command(after_help = "Example:\n  flotilla groups search --tag kind=kiosk --tag-key site")]
    Search {
        #[command(flatten)]
        query: Query,
    },
}

/// Tags that nodes must have.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct Query {
    /// Nodes with this tag. Several values of one key are alternatives; several keys must all hold.
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = name_value)]
    tags: Vec<NameValue>,
    /// Nodes with a tag of this key, whatever its value.
    #[arg(long = "tag-key", value_name = "KEY")]
    tag_keys: Vec<String>,
}

impl Query {
    fn to_api(&self) -> Result<ResourceQuery, CliError> {
        let mut by_key: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for key in &self.tag_keys {
            by_key.entry(key).or_default();
        }
        for tag in &self.tags {
            by_key.entry(&tag.name).or_default().push(tag.value.clone());
        }
        let tag_filters = by_key.into_iter().map(|(key, values)| TagFilter { key: key.to_owned(), values }).collect();
        let query = TagQuery { resource_type_filters: vec![NODE_TYPE.to_owned()], tag_filters };
        Ok(ResourceQuery { kind: TAG_FILTERS.to_owned(), query: serde_json::to_string(&query)? })
    }
}

pub(crate) fn run(connection: &Connection, output: Output, arguments: &GroupsArguments) -> Result<u8, CliError> {
    let client = &connection.client;
    match &arguments.command {
        None | Some(GroupsCommand::List) => {
            let groups = paging::read(usize::MAX, |next_token| {
                let page = client.call_rest(&ListGroupsRequest { max_results: Some(PAGE_SIZE), next_token, filters: None })?;
                Ok((page.group_identifiers, page.next_token))
            })?;
            output.print_list(&groups, &HEADER, row)?;
        }
        Some(GroupsCommand::Show { name }) => {
            let group = client.call_rest(&GetGroupRequest { group: Some(name.clone()), group_name: None })?.group.unwrap_or_default();
            let answer = client.call_rest(&GetGroupQueryRequest { group: Some(name.clone()), group_name: None })?;
            show(output, group, answer.group_query.map(|query| query.resource_query).unwrap_or_default())?;
        }
        Some(GroupsCommand::Create { name, query, description, owner }) => {
            let answer = client.call_rest(&CreateGroupRequest {
                name: name.clone(),
                description: description.clone(),
                owner: owner.clone(),
                resource_query: Some(query.to_api()?),
                ..CreateGroupRequest::default()
            })?;
            output.print_done(&answer, &format!("made the group {name}; run on it with --group {name}\n"))?;
        }
        Some(GroupsCommand::Delete { name }) => {
            let answer = client.call_rest(&DeleteGroupRequest { group: Some(name.clone()), group_name: None })?;
            output.print_done(&answer, &format!("{name} is deleted\n"))?;
        }
        Some(GroupsCommand::Nodes { name }) => {
            let resources = paging::read(usize::MAX, |next_token| {
                let page = client.call_rest(&ListGroupResourcesRequest {
                    group: Some(name.clone()),
                    max_results: Some(PAGE_SIZE),
                    next_token,
                    ..ListGroupResourcesRequest::default()
                })?;
                Ok((page.resources, page.next_token))
            })?;
            let resources: Vec<_> = resources.into_iter().filter_map(|resource| resource.identifier).collect();
            output.print_list(&resources, &NODES_HEADER, node_row)?;
        }
        Some(GroupsCommand::Search { query }) => {
            let resource_query = query.to_api()?;
            let resources = paging::read(usize::MAX, |next_token| {
                let resource_query = resource_query.clone();
                let page = client.call_rest(&SearchResourcesRequest { resource_query, max_results: Some(PAGE_SIZE), next_token })?;
                Ok((page.resource_identifiers, page.next_token))
            })?;
            output.print_list(&resources, &NODES_HEADER, node_row)?;
        }
    }
    Ok(SUCCESS)
}

/// A group with its query.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Shown {
    group: Group,
    resource_query: ResourceQuery,
}

fn show(output: Output, group: Group, resource_query: ResourceQuery) -> Result<(), CliError> {
    match output.format {
        Format::Json => output.print_json(&Shown { group, resource_query }),
        Format::Table | Format::Text => {
            let row = vec![
                group.name.clone(),
                query_text(&resource_query),
                group.owner.clone().unwrap_or_default(),
                group.description.clone().unwrap_or_default(),
            ];
            output.print_list(&[row], &["GROUP", "QUERY", "OWNER", "DESCRIPTION"], Vec::clone)
        }
    }
}

/// `kind=kiosk, site=north|south`; a query of another form as it stands.
fn query_text(query: &ResourceQuery) -> String {
    let Ok(read) = serde_json::from_str::<TagQuery>(&query.query) else { return query.query.clone() };
    let one = |filter: &TagFilter| {
        if filter.values.is_empty() { filter.key.clone() } else { format!("{}={}", filter.key, filter.values.join("|")) }
    };
    read.tag_filters.iter().map(one).collect::<Vec<_>>().join(", ")
}

const HEADER: [&str; 3] = ["GROUP", "OWNER", "DESCRIPTION"];

fn row(group: &GroupIdentifier) -> Vec<String> {
    [&group.group_name, &group.owner, &group.description].map(|text| text.clone().unwrap_or_default()).to_vec()
}

const NODES_HEADER: [&str; 2] = ["NODE", "TYPE"];

fn node_row(resource: &ResourceIdentifier) -> Vec<String> {
    let arn = resource.resource_arn.as_deref().unwrap_or_default();
    let id = arn.rsplit_once('/').map_or(arn, |(_, id)| id);
    vec![id.to_owned(), resource.resource_type.clone().unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_a_query_and_back() {
        let tag = |name: &str, value: &str| NameValue { name: name.to_owned(), value: value.to_owned() };
        let tags = vec![tag("site", "north"), tag("kind", "kiosk"), tag("site", "south")];
        let query = Query { tags, tag_keys: vec!["room".to_owned()] }.to_api().unwrap();
        insta::assert_snapshot!(query.query, @r#"{"ResourceTypeFilters":["AWS::SSM::ManagedInstance"],"TagFilters":[{"Key":"kind","Values":["kiosk"]},{"Key":"room","Values":[]},{"Key":"site","Values":["north","south"]}]}"#);
        assert_eq!(query_text(&query), "kind=kiosk, room, site=north|south");
        assert_eq!(query_text(&ResourceQuery { kind: String::new(), query: "other".to_owned() }), "other");
    }

    #[test]
    fn a_node_is_the_end_of_its_arn() {
        let resource = ResourceIdentifier {
            resource_arn: Some("arn:aws:ssm:us-east-1:000000000000:managed-instance/mi-0123456789abcdef0".to_owned()),
            resource_type: Some(NODE_TYPE.to_owned()),
        };
        assert_eq!(node_row(&resource), ["mi-0123456789abcdef0", NODE_TYPE]);
        assert_eq!(node_row(&ResourceIdentifier::default()), ["", ""]);
    }
}
