//! `flotilla inventory find` and `count`: nodes by what they have, and how many have what.

use clap::Args;
use flotilla_api::inventory::{
    GetInventoryRequest, InventoryAggregator, InventoryEntry, InventoryFilter, InventoryResultEntity, ResultAttribute,
};

use crate::comparison;
use crate::connection::Connection;
use crate::error::CliError;
use crate::output::Output;
use crate::paging::{self, PAGE_SIZE};

/// The type that says what a node is.
pub(super) const INSTANCE_INFORMATION: &str = "AWS:InstanceInformation";

/// Find nodes by what they have.
#[derive(Debug, Args)]
#[command(after_help = "\
A filter is a type, a dot and an attribute; an operator; and values with commas between: = is one of them, != is none of them, ^= begins \
with one of them, < and > count digits as numbers. Filters on one type hold for one and the same entry; where a type has nothing but !=, \
nodes are found that have no such entry.

Examples:
  flotilla inventory find --filter AWS:Application.Name=openssl
  flotilla inventory find --filter AWS:Application.Name=openssl --filter 'AWS:Application.Version<3.0.11'
  flotilla inventory find --filter AWS:Application.Name!=telnetd --filter AWS:Tag.Key=site --output json")]
pub(super) struct FindArguments {
    /// Only nodes for which this holds; may be given several times, all must hold.
    #[arg(long = "filter", value_name = "TYPE.ATTRIBUTE=VALUE,…", value_parser = filter, required = true)]
    filters: Vec<InventoryFilter>,
}

/// Count nodes by the values of an attribute, or of several together.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  flotilla inventory count AWS:InstanceInformation.PlatformName AWS:InstanceInformation.PlatformVersion
  flotilla inventory count AWS:Application.Version --filter AWS:Application.Name=openssl
  flotilla inventory count Custom:Rack.Room --output json")]
pub(super) struct CountArguments {
    /// The attributes, each with its type and a dot before it.
    #[arg(value_name = "TYPE.ATTRIBUTE", required = true)]
    expressions: Vec<String>,
    /// Only nodes for which this holds; may be given several times, all must hold. Written as for `find`.
    #[arg(long = "filter", value_name = "TYPE.ATTRIBUTE=VALUE,…", value_parser = filter)]
    filters: Vec<InventoryFilter>,
}

/// Reads `KEY=VALUE,…` with any operator.
pub(super) fn filter(text: &str) -> Result<InventoryFilter, String> {
    let (key, operator, values) = comparison::read(text)?;
    Ok(InventoryFilter { key, values, r#type: Some(operator) })
}

/// All nodes for which filters hold, with what they have of a type.
pub(super) fn entities(
    connection: &Connection,
    filters: &[InventoryFilter],
    type_name: &str,
) -> Result<Vec<InventoryResultEntity>, CliError> {
    paging::read(usize::MAX, |next_token| page(connection, filters, type_name, next_token))
}

/// One page of them.
pub(super) fn page(
    connection: &Connection,
    filters: &[InventoryFilter],
    type_name: &str,
    next_token: Option<String>,
) -> Result<paging::Page<InventoryResultEntity>, CliError> {
    let page = connection.client.call(&GetInventoryRequest {
        filters: Some(filters.to_vec()).filter(|filters| !filters.is_empty()),
        result_attributes: Some(vec![ResultAttribute { type_name: type_name.to_owned() }]),
        next_token,
        max_results: Some(PAGE_SIZE),
        ..GetInventoryRequest::default()
    })?;
    Ok((page.entities, page.next_token))
}

pub(super) fn find(connection: &Connection, output: Output, arguments: &FindArguments) -> Result<(), CliError> {
    let entities = entities(connection, &arguments.filters, INSTANCE_INFORMATION)?;
    output.print_list(&entities, &["NODE", "NAME", "STATUS", "PLATFORM", "AGENT", "ADDRESS"], row)
}

fn row(entity: &InventoryResultEntity) -> Vec<String> {
    let data = entity.data.as_ref().and_then(|data| data.get(INSTANCE_INFORMATION));
    let entry = data.and_then(|item| item.content.first()).cloned().unwrap_or_default();
    let value = |name: &str| entry.get(name).cloned().unwrap_or_default();
    let platform = [value("PlatformName"), value("PlatformVersion")].join(" ");
    let id = entity.id.clone().unwrap_or_default();
    vec![id, value("ComputerName"), value("InstanceStatus"), platform.trim().to_owned(), value("AgentVersion"), value("IpAddress")]
}

pub(super) fn count(connection: &Connection, output: Output, arguments: &CountArguments) -> Result<(), CliError> {
    let answer = connection.client.call(&GetInventoryRequest {
        filters: Some(arguments.filters.clone()).filter(|filters| !filters.is_empty()),
        aggregators: aggregator(&arguments.expressions).map(|aggregator| vec![aggregator]),
        ..GetInventoryRequest::default()
    })?;
    let data = answer.entities.unwrap_or_default().into_iter().filter_map(|entity| entity.data);
    let counts: Vec<InventoryEntry> = data.flat_map(|data| data.into_values().flat_map(|item| item.content)).collect();
    super::print_entries(output, &counts)
}

/// The first attribute with the others within it.
fn aggregator(expressions: &[String]) -> Option<InventoryAggregator> {
    let (first, rest) = expressions.split_first()?;
    let aggregators = aggregator(rest).map(|aggregator| vec![aggregator]);
    Some(InventoryAggregator { expression: Some(first.clone()), aggregators, groups: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read() {
        for (text, key, operator, values) in [
            ("AWS:Application.Name=a,b", "AWS:Application.Name", "Equal", vec!["a", "b"]),
            ("Name!=a", "Name", "NotEqual", vec!["a"]),
            ("AWS:Application.Version<1=2", "AWS:Application.Version", "LessThan", vec!["1=2"]),
        ] {
            let read = filter(text).unwrap();
            assert_eq!(
                (read.key.as_str(), read.r#type.as_deref(), read.values),
                (key, Some(operator), values.iter().map(|v| (*v).to_owned()).collect())
            );
        }
        for wrong in ["", "Name", "=x", "Name="] {
            assert!(filter(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn attributes_are_counted_within_one_another() {
        let nested = aggregator(&["A:B.C".to_owned(), "A:B.D".to_owned()]).unwrap();
        let inner = nested.aggregators.as_deref().and_then(<[_]>::first).unwrap();
        assert_eq!((nested.expression.as_deref(), inner.expression.as_deref(), &inner.aggregators), (Some("A:B.C"), Some("A:B.D"), &None));
    }
}
