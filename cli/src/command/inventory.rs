//! `flotilla inventory`: what is on the nodes.

mod cyclonedx;
mod export;
mod find;
mod put;

use std::collections::BTreeSet;
use std::path::Path;

use clap::{Args, Subcommand};
use flotilla_api::inventory::{
    DeleteInventoryRequest, DescribeInventoryDeletionsRequest, GetInventorySchemaRequest, InventoryDeletionStatusItem, InventoryEntry,
    InventoryFilter, InventoryItemSchema, InventoryItemState, ListInventoryEntriesRequest, ListInventoryItemsRequest, MAXIMUM_ITEMS_PAGE,
};

use super::date;
use crate::connection::Connection;
use crate::error::{CliError, SUCCESS};
use crate::output::Output;
use crate::paging::{self, PAGE_SIZE};

/// Types on a page of `GetInventorySchema`.
const SCHEMA_PAGE: i32 = 200;
const EXAMPLES: &str = "\
Examples:
  flotilla inventory
  flotilla inventory show mi-0123456789abcdef0 AWS:Application
  flotilla inventory find --filter AWS:Application.Name=openssl --filter 'AWS:Application.Version<3.0.11'
  flotilla inventory count AWS:InstanceInformation.PlatformName AWS:InstanceInformation.PlatformVersion
  flotilla inventory put mi-0123456789abcdef0 rack.json
  flotilla inventory export --format cyclonedx --folder sboms";

/// List what is on the nodes, find nodes by it, count, add to it and export it.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub(crate) struct InventoryArguments {
    #[command(subcommand)]
    command: Option<InventoryCommand>,
    #[command(flatten)]
    list: ListArguments,
}

#[derive(Debug, Subcommand)]
enum InventoryCommand {
    /// List which node has how much of which type, and whether that is stale.
    #[command(after_help = "Examples:\n  flotilla inventory list\n  flotilla inventory list --type AWS:Application --output json")]
    List(ListArguments),
    /// Show the entries that a node has of a type.
    #[command(after_help = "\
Examples:
  flotilla inventory show mi-0123456789abcdef0 AWS:Application
  flotilla inventory show mi-0123456789abcdef0 AWS:Application --filter Name^=lib --output json")]
    Show {
        /// Id of the node.
        #[arg(value_name = "ID")]
        node: String,
        /// The type.
        #[arg(value_name = "TYPE")]
        type_name: String,
        /// Only entries for which this holds; may be given several times, all must hold. Written as for `find`.
        #[arg(long = "filter", value_name = "ATTRIBUTE=VALUE,…", value_parser = find::filter)]
        filters: Vec<InventoryFilter>,
    },
    Find(find::FindArguments),
    Count(find::CountArguments),
    /// List types and their attributes.
    #[command(after_help = "Examples:\n  flotilla inventory schema\n  flotilla inventory schema Custom:")]
    Schema {
        /// Only types whose names begin so.
        #[arg(value_name = "PREFIX")]
        prefix: Option<String>,
    },
    Put(put::PutArguments),
    /// Delete a type of the fleet's own from all nodes.
    #[command(after_help = "\
Examples:
  flotilla inventory delete Custom:Rack --dry-run
  flotilla inventory delete Custom:Rack --forget-type")]
    Delete {
        /// The type: it begins with Custom:.
        #[arg(value_name = "TYPE")]
        type_name: String,
        /// Only say what would be deleted.
        #[arg(long)]
        dry_run: bool,
        /// The type itself goes, too, until somebody puts it anew.
        #[arg(long, conflicts_with = "disable")]
        forget_type: bool,
        /// Take nothing of this version of the type, or an older one, any more.
        #[arg(long)]
        disable: bool,
    },
    /// List deletions of types, the newest first.
    #[command(after_help = "Example:\n  flotilla inventory deletions")]
    Deletions {
        /// Only this one.
        #[arg(value_name = "ID")]
        id: Option<String>,
    },
    Export(export::ExportArguments),
}

#[derive(Debug, Default, Args)]
struct ListArguments {
    /// Only this node.
    #[arg(long, value_name = "ID")]
    node: Option<String>,
    /// Only this type.
    #[arg(long = "type", value_name = "TYPE")]
    type_name: Option<String>,
}

pub(crate) fn run(connection: &Connection, output: Output, arguments: &InventoryArguments) -> Result<u8, CliError> {
    match &arguments.command {
        None => list(connection, output, &arguments.list)?,
        Some(InventoryCommand::List(arguments)) => list(connection, output, arguments)?,
        Some(InventoryCommand::Show { node, type_name, filters }) => show(connection, output, node, type_name, filters)?,
        Some(InventoryCommand::Find(arguments)) => find::find(connection, output, arguments)?,
        Some(InventoryCommand::Count(arguments)) => find::count(connection, output, arguments)?,
        Some(InventoryCommand::Schema { prefix }) => {
            let schemas = schemas(connection, prefix.as_deref())?;
            output.print_list(&schemas, &["TYPE", "VERSION", "ATTRIBUTES"], schema_row)?;
        }
        Some(InventoryCommand::Put(arguments)) => put::run(connection, output, arguments)?,
        Some(InventoryCommand::Delete { type_name, dry_run, forget_type, disable }) => {
            let option = if *forget_type { Some("DeleteSchema") } else { disable.then_some("DisableSchema") };
            let answer = connection.client.call(&DeleteInventoryRequest {
                type_name: type_name.clone(),
                schema_delete_option: option.map(str::to_owned),
                dry_run: Some(*dry_run),
                client_token: None,
            })?;
            let count = answer.deletion_summary.as_ref().and_then(|summary| summary.total_count).unwrap_or_default();
            let done = if *dry_run { "would be deleted" } else { "is deleted" };
            output.print_done(&answer, &format!("{type_name} {done} from {count} nodes\n"))?;
        }
        Some(InventoryCommand::Deletions { id }) => {
            let deletions = paging::read(usize::MAX, |next_token| {
                let request = DescribeInventoryDeletionsRequest { deletion_id: id.clone(), next_token, max_results: Some(PAGE_SIZE) };
                let page = connection.client.call(&request)?;
                Ok((page.inventory_deletions, page.next_token))
            })?;
            output.print_list(&deletions, &["DELETION", "TYPE", "STATUS", "NODES", "LEFT", "BEGAN"], deletion_row)?;
        }
        Some(InventoryCommand::Export(arguments)) => export::run(connection, output, arguments)?,
    }
    Ok(SUCCESS)
}

fn list(connection: &Connection, output: Output, arguments: &ListArguments) -> Result<(), CliError> {
    let items = paging::read(usize::MAX, |next_token| {
        let page = connection.client.call(&ListInventoryItemsRequest {
            instance_id: arguments.node.clone(),
            type_name: arguments.type_name.clone(),
            max_results: Some(MAXIMUM_ITEMS_PAGE),
            next_token,
        })?;
        Ok((Some(page.items), page.next_token))
    })?;
    output.print_list(&items, &["NODE", "TYPE", "VERSION", "ENTRIES", "BYTES", "GATHERED", "FROM", "STATE"], item_row)
}

fn item_row(item: &InventoryItemState) -> Vec<String> {
    vec![
        item.instance_id.clone(),
        item.type_name.clone(),
        item.schema_version.clone(),
        item.entries.to_string(),
        item.bytes.to_string(),
        item.capture_time.clone().unwrap_or_default(),
        item.source.clone(),
        if item.is_stale { "stale" } else { "current" }.to_owned(),
    ]
}

fn show(connection: &Connection, output: Output, node: &str, type_name: &str, filters: &[InventoryFilter]) -> Result<(), CliError> {
    let entries = paging::read(usize::MAX, |next_token| {
        let page = connection.client.call(&ListInventoryEntriesRequest {
            instance_id: node.to_owned(),
            type_name: type_name.to_owned(),
            filters: Some(filters.to_vec()).filter(|filters| !filters.is_empty()),
            next_token,
            max_results: Some(PAGE_SIZE),
        })?;
        Ok((page.entries, page.next_token))
    })?;
    print_entries(output, &entries)
}

/// Prints entries with a column for each attribute that one of them has; `Name` and `Version` first.
fn print_entries(output: Output, entries: &[InventoryEntry]) -> Result<(), CliError> {
    let columns = columns(entries);
    let header: Vec<&str> = columns.iter().map(String::as_str).collect();
    output.print_list(entries, &header, |entry| columns.iter().map(|name| entry.get(name).cloned().unwrap_or_default()).collect())
}

fn columns(entries: &[InventoryEntry]) -> Vec<String> {
    let mut names: BTreeSet<&String> = entries.iter().flat_map(InventoryEntry::keys).collect();
    let first: Vec<&String> = ["Name", "Version"].iter().filter_map(|first| names.iter().find(|name| **name == first).copied()).collect();
    names.retain(|name| !first.contains(name));
    first.into_iter().chain(names).cloned().collect()
}

fn schemas(connection: &Connection, prefix: Option<&str>) -> Result<Vec<InventoryItemSchema>, CliError> {
    paging::read(usize::MAX, |next_token| {
        let page = connection.client.call(&GetInventorySchemaRequest {
            type_name: prefix.map(str::to_owned),
            next_token,
            max_results: Some(SCHEMA_PAGE),
            ..GetInventorySchemaRequest::default()
        })?;
        Ok((page.schemas, page.next_token))
    })
}

fn schema_row(schema: &InventoryItemSchema) -> Vec<String> {
    let names: Vec<&str> = schema.attributes.iter().map(|attribute| attribute.name.as_str()).collect();
    vec![schema.type_name.clone(), schema.version.clone().unwrap_or_default(), names.join(" ")]
}

fn deletion_row(deletion: &InventoryDeletionStatusItem) -> Vec<String> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let summary = deletion.deletion_summary.clone().unwrap_or_default();
    let number = |number: Option<i32>| number.unwrap_or_default().to_string();
    vec![
        text(&deletion.deletion_id),
        text(&deletion.type_name),
        text(&deletion.last_status),
        number(summary.total_count),
        number(summary.remaining_count),
        date(deletion.deletion_start_time),
    ]
}

/// A file, or standard input for `-`.
fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == "-"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(pairs: &[(&str, &str)]) -> InventoryEntry {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn names_and_versions_are_the_first_columns() {
        let entries = [entry(&[("Architecture", "amd64"), ("Name", "bash")]), entry(&[("Version", "1"), ("Release", "2")])];
        assert_eq!(columns(&entries), ["Name", "Version", "Architecture", "Release"]);
        assert_eq!(columns(&[]), Vec::<String>::new());
    }

    #[test]
    fn an_item_is_a_line() {
        let item = InventoryItemState { type_name: "AWS:File".to_owned(), entries: 7, is_stale: true, ..InventoryItemState::default() };
        assert_eq!(item_row(&item), ["", "AWS:File", "", "7", "0", "", "", "stale"]);
    }
}
