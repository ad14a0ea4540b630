//! `flotilla nodes`: the nodes of the fleet and whether they are connected.

mod properties;

use clap::{Args, Subcommand};
use flotilla_api::nodes::{
    DeregisterManagedInstanceRequest, DescribeInstanceInformationRequest, GetConnectionStatusRequest, InstanceInformation,
    InstanceInformationStringFilter, UpdateManagedInstanceRoleRequest,
};

use super::date;
use crate::arguments::{NameValue, name_value};
use crate::connection::Connection;
use crate::error::{CliError, SUCCESS};
use crate::output::{Format, Output};
use crate::paging::{self, PAGE_SIZE};

const EXAMPLES: &str = "\
Examples:
  flotilla nodes
  flotilla nodes --online --tag site=north
  flotilla nodes list --agent-version 0.1.0 --output json
  flotilla nodes properties --filter 'AgentVersion<0.2.0'
  flotilla nodes deregister mi-0123456789abcdef0";

/// List the nodes of the fleet, and manage them.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub(crate) struct NodesArguments {
    #[command(subcommand)]
    command: Option<NodesCommand>,
    #[command(flatten)]
    list: ListArguments,
}

#[derive(Debug, Subcommand)]
enum NodesCommand {
    /// List the nodes of the fleet.
    #[command(after_help = EXAMPLES)]
    List(Box<ListArguments>),
    Properties(properties::PropertiesArguments),
    /// Say whether a node is connected right now.
    #[command(after_help = "Example:\n  flotilla nodes status mi-0123456789abcdef0")]
    Status {
        /// Id of the node.
        #[arg(value_name = "ID")]
        node: String,
    },
    /// Say how a node is, as it last said itself: every hour unless its settings say otherwise.
    #[command(after_help = "Example:\n  flotilla nodes health mi-0123456789abcdef0")]
    Health {
        /// Id of the node.
        #[arg(value_name = "ID")]
        node: String,
    },
    /// Give a node another role, which the fleet keeps and shows.
    #[command(after_help = "Example:\n  flotilla nodes role mi-0123456789abcdef0 kiosk")]
    Role {
        /// Id of the node.
        #[arg(value_name = "ID")]
        node: String,
        /// The role.
        role: String,
    },
    /// Remove nodes from the fleet: their identities are refused from then on, for ever.
    #[command(after_help = "Example:\n  flotilla nodes deregister mi-0123456789abcdef0 mi-0123456789abcdef1")]
    Deregister {
        /// Ids of the nodes.
        #[arg(value_name = "ID", required = true)]
        nodes: Vec<String>,
    },
}

/// Values of one option are alternatives; several options must all hold.
#[derive(Debug, Default, Args)]
struct ListArguments {
    /// Only nodes with this tag; may be given several times, all must hold.
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = name_value)]
    tags: Vec<NameValue>,
    /// Only nodes with a tag of this key.
    #[arg(long = "tag-key", value_name = "KEY")]
    tag_keys: Vec<String>,
    /// Only nodes that are connected.
    #[arg(long, conflicts_with = "status")]
    online: bool,
    /// Only nodes in this state: Online, ConnectionLost or Inactive.
    #[arg(long, value_name = "STATUS")]
    status: Vec<String>,
    /// Only this node; may be given several times.
    #[arg(long = "node", value_name = "ID")]
    nodes: Vec<String>,
    /// Only nodes whose agent has this version.
    #[arg(long, value_name = "VERSION")]
    agent_version: Vec<String>,
    /// Only nodes that registered with this activation.
    #[arg(long, value_name = "ID")]
    activation: Vec<String>,
    /// Only nodes with this role.
    #[arg(long)]
    role: Vec<String>,
    /// Only nodes of this platform: Linux, Windows or MacOS.
    #[arg(long)]
    platform: Vec<String>,
    /// Only nodes of this kind: ManagedInstance or EC2Instance.
    #[arg(long, value_name = "TYPE")]
    resource_type: Vec<String>,
    /// Only nodes whose associations are in this state.
    #[arg(long, value_name = "STATUS")]
    association_status: Vec<String>,
    /// Only nodes with a thing of this kind behind them.
    #[arg(long, value_name = "TYPE")]
    source_type: Vec<String>,
    /// Only nodes with this thing behind them.
    #[arg(long, value_name = "ID")]
    source_id: Vec<String>,
}

pub(crate) fn run(connection: &Connection, output: Output, arguments: &NodesArguments) -> Result<u8, CliError> {
    match &arguments.command {
        None => list(connection, output, &arguments.list)?,
        Some(NodesCommand::List(arguments)) => list(connection, output, arguments)?,
        Some(NodesCommand::Properties(arguments)) => properties::list(connection, output, arguments)?,
        Some(NodesCommand::Status { node }) => {
            let answer = connection.client.call(&GetConnectionStatusRequest { target: node.clone() })?;
            match output.format {
                Format::Json => output.print_json(&answer)?,
                Format::Table | Format::Text => output.print(&format!("{}\n", answer.status.unwrap_or_default()))?,
            }
        }
        Some(NodesCommand::Health { node }) => {
            let answer = connection.client.call(&GetConnectionStatusRequest { target: node.clone() })?;
            let health = answer.health.unwrap_or_default();
            match (output.format, health.as_object()) {
                (Format::Json, _) => output.print_json(&health)?,
                (Format::Table | Format::Text, Some(members)) => {
                    let lines: Vec<String> = members.iter().map(|(name, value)| format!("{name} {value}\n")).collect();
                    output.print(&lines.concat())?;
                }
                (Format::Table | Format::Text, None) => output.print(&format!("{node} has not said anything yet\n"))?,
            }
        }
        Some(NodesCommand::Role { node, role }) => {
            let request = UpdateManagedInstanceRoleRequest { instance_id: node.clone(), iam_role: role.clone() };
            let answer = connection.client.call(&request)?;
            output.print_done(&answer, &format!("{node} has the role {role}\n"))?;
        }
        Some(NodesCommand::Deregister { nodes }) => {
            for node in nodes {
                let answer = connection.client.call(&DeregisterManagedInstanceRequest { instance_id: node.clone() })?;
                output.print_done(&answer, &format!("{node} is no longer in the fleet\n"))?;
            }
        }
    }
    Ok(SUCCESS)
}

fn list(connection: &Connection, output: Output, arguments: &ListArguments) -> Result<(), CliError> {
    let filters = filters(arguments);
    let nodes = paging::read(usize::MAX, |next_token| {
        let page = connection.client.call(&DescribeInstanceInformationRequest {
            filters: filters.clone(),
            max_results: Some(PAGE_SIZE),
            next_token,
            ..DescribeInstanceInformationRequest::default()
        })?;
        Ok((page.instance_information_list, page.next_token))
    })?;
    output.print_list(&nodes, &HEADER, row)
}

fn filters(arguments: &ListArguments) -> Option<Vec<InstanceInformationStringFilter>> {
    let filter = |key: &str, values: &[String]| InstanceInformationStringFilter { key: key.to_owned(), values: values.to_vec() };
    let tags = arguments.tags.iter().map(|tag| filter(&format!("tag:{}", tag.name), std::slice::from_ref(&tag.value)));
    let online = arguments.online.then(|| filter("PingStatus", &["Online".to_owned()]));
    let lists = [
        ("tag-key", &arguments.tag_keys),
        ("PingStatus", &arguments.status),
        ("InstanceIds", &arguments.nodes),
        ("AgentVersion", &arguments.agent_version),
        ("ActivationIds", &arguments.activation),
        ("IamRole", &arguments.role),
        ("PlatformTypes", &arguments.platform),
        ("ResourceType", &arguments.resource_type),
        ("AssociationStatus", &arguments.association_status),
        ("SourceTypes", &arguments.source_type),
        ("SourceIds", &arguments.source_id),
    ];
    let lists = lists.into_iter().filter(|(_, values)| !values.is_empty()).map(|(key, values)| filter(key, values));
    let filters: Vec<_> = tags.chain(online).chain(lists).collect();
    Some(filters).filter(|filters| !filters.is_empty())
}

const HEADER: [&str; 7] = ["NODE", "NAME", "STATUS", "PLATFORM", "AGENT", "ADDRESS", "LAST SEEN"];

fn row(node: &InstanceInformation) -> Vec<String> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let platform = [&node.platform_name, &node.platform_version].map(text).join(" ");
    vec![
        text(&node.instance_id),
        text(if node.name.is_some() { &node.name } else { &node.computer_name }),
        text(&node.ping_status),
        platform.trim().to_owned(),
        text(&node.agent_version),
        text(&node.ip_address),
        date(node.last_ping_date_time),
    ]
}

#[cfg(test)]
mod tests {
    use flotilla_api::Timestamp;

    use super::*;
    use crate::output::table;

    #[test]
    fn a_node_is_a_line() {
        let some = |text: &str| Some(text.to_owned());
        let full = InstanceInformation {
            instance_id: some("mi-0123456789abcdef0"),
            ping_status: some("Online"),
            platform_name: some("Debian GNU/Linux"),
            platform_version: some("12"),
            agent_version: some("0.1.0"),
            computer_name: some("gateway"),
            ip_address: some("10.0.0.7"),
            last_ping_date_time: Some(Timestamp::from_milliseconds(1_763_764_000_999)),
            ..InstanceInformation::default()
        };
        let rows = [row(&full), row(&InstanceInformation::default())];
        insta::assert_snapshot!(table(&HEADER, &rows), @r"
        NODE                  NAME     STATUS  PLATFORM             AGENT  ADDRESS   LAST SEEN
        mi-0123456789abcdef0  gateway  Online  Debian GNU/Linux 12  0.1.0  10.0.0.7  2025-11-21T22:26:40Z
        ");
    }

    #[test]
    fn options_are_filters() {
        assert_eq!(filters(&ListArguments::default()), None);
        let tag = NameValue { name: "site".to_owned(), value: "north".to_owned() };
        let some = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
        let arguments =
            ListArguments { tags: vec![tag], online: true, agent_version: some(&["0.1.0", "0.2.0"]), ..ListArguments::default() };
        let keys: Vec<_> = filters(&arguments).unwrap().into_iter().map(|filter| (filter.key, filter.values)).collect();
        let expected = [("tag:site", some(&["north"])), ("PingStatus", some(&["Online"])), ("AgentVersion", some(&["0.1.0", "0.2.0"]))];
        assert_eq!(keys, expected.map(|(key, values)| (key.to_owned(), values)));
    }
}
