//! `flotilla nodes`: the nodes of the fleet and whether they are connected.

use clap::{Args, Subcommand};
use flotilla_api::nodes::{DescribeInstanceInformationRequest, InstanceInformation, InstanceInformationStringFilter};

use super::date;
use crate::arguments::{NameValue, name_value};
use crate::connection::Connection;
use crate::error::{CliError, SUCCESS};
use crate::output::Output;
use crate::paging::{self, PAGE_SIZE};

const EXAMPLES: &str = "\
Examples:
  flotilla nodes
  flotilla nodes --online
  flotilla nodes list --tag site=north --output json";

/// List the nodes of the fleet.
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
    List(ListArguments),
}

#[derive(Debug, Args)]
struct ListArguments {
    /// Only nodes with this tag; may be given several times, all must hold.
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = name_value)]
    tags: Vec<NameValue>,
    /// Only nodes that are connected.
    #[arg(long)]
    online: bool,
}

pub(crate) fn run(connection: &Connection, output: Output, arguments: &NodesArguments) -> Result<u8, CliError> {
    let list = match &arguments.command {
        Some(NodesCommand::List(list)) => list,
        None => &arguments.list,
    };
    let filters = filters(list);
    let nodes = paging::read(usize::MAX, |next_token| {
        let page = connection.client.call(&DescribeInstanceInformationRequest {
            filters: filters.clone(),
            max_results: Some(PAGE_SIZE),
            next_token,
            ..DescribeInstanceInformationRequest::default()
        })?;
        Ok((page.instance_information_list, page.next_token))
    })?;
    output.print_list(&nodes, &HEADER, row)?;
    Ok(SUCCESS)
}

fn filters(arguments: &ListArguments) -> Option<Vec<InstanceInformationStringFilter>> {
    let filter = |key: String, value: &str| InstanceInformationStringFilter { key, values: vec![value.to_owned()] };
    let mut filters: Vec<_> = arguments.tags.iter().map(|tag| filter(format!("tag:{}", tag.name), &tag.value)).collect();
    if arguments.online {
        filters.push(filter("PingStatus".to_owned(), "Online"));
    }
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
    fn no_options_are_no_filters() {
        assert_eq!(filters(&ListArguments { tags: Vec::new(), online: false }), None);
        let tag = NameValue { name: "site".to_owned(), value: "north".to_owned() };
        let keys: Vec<_> = filters(&ListArguments { tags: vec![tag], online: true })
            .unwrap()
            .into_iter()
            .map(|filter| (filter.key, filter.values))
            .collect();
        let expected = [("tag:site", "north"), ("PingStatus", "Online")];
        assert_eq!(keys, expected.map(|(key, value)| (key.to_owned(), vec![value.to_owned()])));
    }
}
