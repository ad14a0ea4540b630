//! `flotilla inventory export`: the inventory of the whole fleet, a page at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use flotilla_api::inventory::{InventoryEntry, InventoryFilter, InventoryResultItem};
use serde::Serialize;

use super::cyclonedx::{self, Node};
use super::find::{self, INSTANCE_INFORMATION};
use crate::connection::Connection;
use crate::error::CliError;
use crate::files;
use crate::output::Output;

/// The type of packages.
const APPLICATION: &str = "AWS:Application";
/// More pages than a fleet of a million nodes fills; more means that the bridge gives tokens for ever.
const PAGES_LIMIT: usize = 1_000_000;

/// Export the inventory of the whole fleet, or of one node.
#[derive(Debug, Args)]
#[command(after_help = "\
csv has a line for each entry: the node, the type, its version, when it was gathered, and a column for each attribute of the types. A value \
that a spreadsheet could take for a formula begins with '. json-lines has one object for each entry. cyclonedx has the packages of a node \
as a CycloneDX 1.5 document with package URLs: a file for each node in --folder, or one document for --node.

Examples:
  flotilla inventory export --format csv --type AWS:Application >packages.csv
  flotilla inventory export --format json-lines >inventory.jsonl
  flotilla inventory export --format cyclonedx --folder sboms
  flotilla inventory export --format cyclonedx --node mi-0123456789abcdef0")]
pub(super) struct ExportArguments {
    /// The form.
    #[arg(long, value_enum)]
    format: Form,
    /// Only this type; may be given several times [default: all types; cyclonedx: AWS:Application].
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Only this node.
    #[arg(long, value_name = "ID")]
    node: Option<String>,
    /// The folder for documents, which is made where it is not there; documents that are there are replaced.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Csv,
    JsonLines,
    Cyclonedx,
}

/// A line of JSON.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Line<'a> {
    instance_id: &'a str,
    type_name: &'a str,
    schema_version: &'a str,
    capture_time: Option<&'a str>,
    entry: &'a InventoryEntry,
}

pub(super) fn run(connection: &Connection, output: Output, arguments: &ExportArguments) -> Result<(), CliError> {
    let filters: Vec<InventoryFilter> = arguments.node.iter().map(|node| of_node(node)).collect();
    if arguments.format == Form::Cyclonedx {
        if !arguments.types.is_empty() {
            return Err(CliError::Usage("a CycloneDX document has AWS:Application; leave --type out".to_owned()));
        }
        return documents(connection, output, arguments, &filters);
    }
    if arguments.folder.is_some() {
        return Err(CliError::Usage("--folder is for --format cyclonedx; redirect the output of other forms to a file".to_owned()));
    }
    let schemas = super::schemas(connection, None)?;
    let wanted = |name: &String| arguments.types.is_empty() || arguments.types.contains(name);
    let types: Vec<_> =
        if arguments.types.is_empty() { schemas.iter().map(|schema| schema.type_name.clone()).collect() } else { arguments.types.clone() };
    let of_wanted = schemas.iter().filter(|schema| wanted(&schema.type_name));
    let attributes: BTreeSet<&str> =
        of_wanted.flat_map(|schema| schema.attributes.iter().map(|attribute| attribute.name.as_str())).collect();
    if arguments.format == Form::Csv {
        let header = ["InstanceId", "TypeName", "SchemaVersion", "CaptureTime"].into_iter().chain(attributes.iter().copied());
        output.print(&csv(header))?;
    }
    for type_name in &types {
        each(connection, &filters, type_name, |node, item| {
            let mut text = String::new();
            for entry in &item.content {
                let time = item.capture_time.as_deref();
                if arguments.format == Form::Csv {
                    let first = [node, type_name, item.schema_version.as_str(), time.unwrap_or_default()];
                    let values = attributes.iter().map(|name| entry.get(*name).map_or("", String::as_str));
                    text.push_str(&csv(first.into_iter().chain(values)));
                } else {
                    let (schema_version, capture_time) = (item.schema_version.as_str(), time);
                    let line = Line { instance_id: node, type_name, schema_version, capture_time, entry };
                    text.push_str(&serde_json::to_string(&line)?);
                    text.push('\n');
                }
            }
            output.print(&text)
        })?;
    }
    Ok(())
}

fn of_node(node: &str) -> InventoryFilter {
    let (key, values) = (format!("{INSTANCE_INFORMATION}.InstanceId"), vec![node.to_owned()]);
    InventoryFilter { key, values, r#type: Some("Equal".to_owned()) }
}

/// Shows a function what each node has of a type, a page at a time.
fn each(
    connection: &Connection,
    filters: &[InventoryFilter],
    type_name: &str,
    mut take: impl FnMut(&str, &InventoryResultItem) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let mut token = None;
    for _ in 0..PAGES_LIMIT {
        let (entities, next) = find::page(connection, filters, type_name, token)?;
        for entity in entities.unwrap_or_default() {
            let node = entity.id.unwrap_or_default();
            for item in entity.data.unwrap_or_default().values() {
                take(&node, item)?;
            }
        }
        token = next.filter(|token| !token.is_empty());
        if token.is_none() {
            return Ok(());
        }
    }
    Err(CliError::Senseless(format!("more than {PAGES_LIMIT} pages")))
}

fn documents(connection: &Connection, output: Output, arguments: &ExportArguments, filters: &[InventoryFilter]) -> Result<(), CliError> {
    if arguments.folder.is_none() && arguments.node.is_none() {
        return Err(CliError::Usage("say --folder for a document for each node, or --node for the document of one".to_owned()));
    }
    if let Some(folder) = &arguments.folder {
        std::fs::create_dir_all(folder)?;
    }
    let mut nodes = BTreeMap::new();
    each(connection, filters, INSTANCE_INFORMATION, |id, item| {
        nodes.insert(id.to_owned(), Node::new(id, item.content.first()));
        Ok(())
    })?;
    let mut written = 0_usize;
    each(connection, filters, APPLICATION, |id, item| {
        let Some(node) = nodes.get(id) else { return Ok(()) };
        let document = cyclonedx::document(node, item);
        match &arguments.folder {
            None => output.print_json(&document)?,
            Some(folder) => write(folder, id, &crate::output::json(&document)?)?,
        }
        written += 1;
        Ok(())
    })?;
    if let Some(folder) = &arguments.folder {
        return output.print_done(&serde_json::json!({ "Documents": written }), &format!("{written} documents in {}\n", folder.display()));
    }
    if written == 0 {
        return Err(CliError::Usage("the node has said nothing of its packages; `flotilla inventory` lists what is there".to_owned()));
    }
    Ok(())
}

/// Writes a document in the place of an older one. The id is the bridge's word: it must not lead out of the folder.
fn write(folder: &Path, id: &str, text: &str) -> Result<(), CliError> {
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(CliError::Senseless(format!("{id:?} is no id of a node")));
    }
    Ok(files::replace_public(&folder.join(format!("{id}.cdx.json")), text.as_bytes())?)
}

/// A line of CSV (RFC 4180).
fn csv<'a>(cells: impl Iterator<Item = &'a str>) -> String {
    let cells: Vec<String> = cells.map(cell).collect();
    cells.join(",") + "\r\n"
}

/// A cell. What a node wrote must not become a formula of whoever opens the file.
fn cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if is_formula { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_are_no_formulas() {
        let cells = ["plain", "a,b", "say \"hi\"", "two\nlines", "=cmd|' /C calc'!A1", "-1", ""];
        assert_eq!(csv(cells.into_iter()), "plain,\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\",'=cmd|' /C calc'!A1,'-1,\r\n");
    }

    #[test]
    fn an_id_does_not_lead_out_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        for wrong in ["", "../x", "a/b", "a b"] {
            assert!(write(folder.path(), wrong, "{}").is_err(), "{wrong}");
        }
        write(folder.path(), "mi-1", "{}").unwrap();
        write(folder.path(), "mi-1", "[]").unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join("mi-1.cdx.json")).unwrap(), "[]");
    }
}
