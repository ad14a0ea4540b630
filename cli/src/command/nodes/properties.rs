//! `flotilla nodes properties`: what is known of the machines, with filters that compare.

use clap::Args;
use flotilla_api::nodes::{DescribeInstancePropertiesRequest, InstanceProperty, InstancePropertyStringFilter};

use crate::command::date;
use crate::comparison;
use crate::connection::Connection;
use crate::error::CliError;
use crate::output::Output;
use crate::paging::{self, PAGE_SIZE};

/// List what is known of the nodes' machines.
#[derive(Debug, Args)]
#[command(after_help = "\
A filter is KEY, an operator and values with commas between: = is one of them, != is none of them, ^= begins with one of them, < and > \
compare versions of the agent. Keys: InstanceIds, AgentVersion, PingStatus, PlatformTypes, ActivationIds, IamRole, ResourceType, \
AssociationStatus, tag-key, and tag: with a tag's key.

Examples:
  flotilla nodes properties
  flotilla nodes properties --filter 'AgentVersion<0.2.0' --filter PingStatus=Online
  flotilla nodes properties --filter tag:site^=north --output json")]
pub(super) struct PropertiesArguments {
    /// Only nodes for which this holds; may be given several times, all must hold.
    #[arg(long = "filter", value_name = "KEY=VALUE,…", value_parser = filter)]
    filters: Vec<InstancePropertyStringFilter>,
}

fn filter(text: &str) -> Result<InstancePropertyStringFilter, String> {
    let (key, operator, values) = comparison::read(text)?;
    Ok(InstancePropertyStringFilter { key, values, operator: Some(operator) })
}

pub(super) fn list(connection: &Connection, output: Output, arguments: &PropertiesArguments) -> Result<(), CliError> {
    let filters = Some(arguments.filters.clone()).filter(|filters| !filters.is_empty());
    let nodes = paging::read(usize::MAX, |next_token| {
        let page = connection.client.call(&DescribeInstancePropertiesRequest {
            filters_with_operator: filters.clone(),
            max_results: Some(PAGE_SIZE),
            next_token,
            ..DescribeInstancePropertiesRequest::default()
        })?;
        Ok((page.instance_properties, page.next_token))
    })?;
    output.print_list(&nodes, &HEADER, row)
}

const HEADER: [&str; 7] = ["NODE", "NAME", "STATUS", "ARCHITECTURE", "AGENT", "ROLE", "REGISTERED"];

fn row(node: &InstanceProperty) -> Vec<String> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    vec![
        text(&node.instance_id),
        text(if node.name.is_some() { &node.name } else { &node.computer_name }),
        text(&node.ping_status),
        text(&node.architecture),
        text(&node.agent_version),
        text(&node.iam_role),
        date(node.registration_date),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read() {
        for (text, key, operator, values) in [
            ("PingStatus=Online", "PingStatus", "Equal", vec!["Online"]),
            ("tag:site!=north,south", "tag:site", "NotEqual", vec!["north", "south"]),
            ("IamRole^=a=b", "IamRole", "BeginWith", vec!["a=b"]),
            ("AgentVersion<0.2.0", "AgentVersion", "LessThan", vec!["0.2.0"]),
            ("tag:a=b!=c", "tag:a", "Equal", vec!["b!=c"]),
        ] {
            let read = filter(text).unwrap();
            assert_eq!(
                (read.key.as_str(), read.operator.as_deref(), read.values),
                (key, Some(operator), values.iter().map(|value| (*value).to_owned()).collect()),
                "{text}"
            );
        }
        for wrong in ["", "PingStatus", "=Online", "PingStatus=", "PingStatus!="] {
            assert!(filter(wrong).is_err(), "{wrong}");
        }
    }
}
