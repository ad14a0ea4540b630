//! `flotilla documents`: what commands run, by name and version.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use flotilla_api::documents::{
    CreateDocumentRequest, DeleteDocumentRequest, DocumentDescription, DocumentIdentifier, DocumentKeyValuesFilter, DocumentVersionInfo,
    GetDocumentRequest, ListDocumentVersionsRequest, ListDocumentsRequest, UpdateDocumentDefaultVersionRequest, UpdateDocumentRequest,
};
use flotilla_api::tags::Tag;

use super::date;
use crate::arguments::{NameValue, name_value};
use crate::connection::Connection;
use crate::difference::difference;
use crate::error::{CliError, SUCCESS};
use crate::output::{Format, Output};
use crate::paging::{self, PAGE_SIZE};

/// As of `diff`: there is a difference.
const DIFFERENT: u8 = 1;
const COMMAND: &str = "Command";
const LATEST: &str = "$LATEST";
const EXAMPLES: &str = "\
Examples:
  flotilla documents list --own
  flotilla documents create Disk-Report disk-report.yaml
  flotilla documents update Disk-Report disk-report.yaml --make-default
  flotilla documents diff Disk-Report disk-report.yaml";

/// Manage the documents that commands run.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DocumentsArguments {
    #[command(subcommand)]
    command: DocumentsCommand,
}

#[derive(Debug, Subcommand)]
enum DocumentsCommand {
    /// List documents.
    #[command(after_help = "Examples:\n  flotilla documents list\n  flotilla documents list --own --name Disk")]
    List {
        /// Only those that operators of this fleet made.
        #[arg(long)]
        own: bool,
        /// Only those whose names begin so.
        #[arg(long)]
        name: Option<String>,
    },
    /// Print the text of a document, or list its versions.
    #[command(after_help = "Examples:\n  flotilla documents show AWS-RunShellScript\n  flotilla documents show Disk-Report --versions")]
    Show {
        /// Its name.
        name: String,
        /// A number, $LATEST or $DEFAULT.
        #[arg(long, conflicts_with = "versions")]
        version: Option<String>,
        /// List its versions instead.
        #[arg(long)]
        versions: bool,
    },
    /// Make a document from a file.
    #[command(after_help = "Example:\n  flotilla documents create Disk-Report disk-report.yaml --tag team=a")]
    Create {
        /// Its name.
        name: String,
        /// Its text: .yaml, .yml or .json.
        file: PathBuf,
        /// A name for its first version.
        #[arg(long)]
        version_name: Option<String>,
        /// Tag of the document; may be given several times.
        #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = name_value)]
        tags: Vec<NameValue>,
    },
    /// Add a version from a file. Commands go on running the default version.
    #[command(after_help = "Example:\n  flotilla documents update Disk-Report disk-report.yaml --make-default")]
    Update {
        /// Its name.
        name: String,
        /// Its text: .yaml, .yml or .json.
        file: PathBuf,
        /// A name for the new version.
        #[arg(long)]
        version_name: Option<String>,
        /// Commands run the new version from now on.
        #[arg(long)]
        make_default: bool,
    },
    /// Delete a document, or one version of it.
    #[command(after_help = "Examples:\n  flotilla documents delete Disk-Report\n  flotilla documents delete Disk-Report --version 2")]
    Delete {
        /// Its name.
        name: String,
        /// Only this version, which must not be the default: a number or $LATEST.
        #[arg(long)]
        version: Option<String>,
    },
    /// Compare a document with a file, or with another version of itself. The exit code is 1 when they differ.
    #[command(
        after_help = "Examples:\n  flotilla documents diff Disk-Report disk-report.yaml\n  flotilla documents diff Disk-Report --from 1 --to 2"
    )]
    Diff {
        /// Its name.
        name: String,
        /// What to compare it with.
        #[arg(required_unless_present = "to", conflicts_with = "to")]
        file: Option<PathBuf>,
        /// The version on the left: a number, $LATEST or $DEFAULT.
        #[arg(long, default_value = LATEST)]
        from: String,
        /// The version on the right, where no file is.
        #[arg(long)]
        to: Option<String>,
    },
}

pub(crate) fn run(connection: &Connection, output: Output, arguments: &DocumentsArguments) -> Result<u8, CliError> {
    let client = &connection.client;
    match &arguments.command {
        DocumentsCommand::List { own, name } => {
            let filters = filters(*own, name.as_deref());
            let documents = paging::read(usize::MAX, |next_token| {
                let request = ListDocumentsRequest {
                    filters: filters.clone(),
                    max_results: Some(PAGE_SIZE),
                    next_token,
                    ..ListDocumentsRequest::default()
                };
                let page = client.call(&request)?;
                Ok((page.document_identifiers, page.next_token))
            })?;
            output.print_list(&documents, &HEADER, row)?;
        }
        DocumentsCommand::Show { name, versions: true, .. } => {
            let versions = paging::read(usize::MAX, |next_token| {
                let page = client.call(&ListDocumentVersionsRequest { name: name.clone(), max_results: Some(PAGE_SIZE), next_token })?;
                Ok((page.document_versions, page.next_token))
            })?;
            output.print_list(&versions, &VERSIONS_HEADER, version_row)?;
        }
        DocumentsCommand::Show { name, version, .. } => {
            let request = GetDocumentRequest { name: name.clone(), document_version: version.clone(), ..GetDocumentRequest::default() };
            let document = client.call(&request)?;
            match output.format {
                Format::Json => output.print_json(&document)?,
                Format::Table | Format::Text => output.print(&ended(document.content.as_deref().unwrap_or_default()))?,
            }
        }
        DocumentsCommand::Create { name, file, version_name, tags } => {
            let tags: Vec<_> = tags.iter().map(|tag| Tag { key: tag.name.clone(), value: tag.value.clone() }).collect();
            let made = client.call(&CreateDocumentRequest {
                name: name.clone(),
                content: read(file)?,
                document_type: Some(COMMAND.to_owned()),
                document_format: Some(format_of(file)?.to_owned()),
                version_name: version_name.clone(),
                tags: Some(tags).filter(|tags| !tags.is_empty()),
                ..CreateDocumentRequest::default()
            })?;
            print_description(output, made.document_description.unwrap_or_default())?;
        }
        DocumentsCommand::Update { name, file, version_name, make_default } => {
            let made = client.call(&UpdateDocumentRequest {
                name: name.clone(),
                content: read(file)?,
                document_format: Some(format_of(file)?.to_owned()),
                document_version: Some(LATEST.to_owned()),
                version_name: version_name.clone(),
                ..UpdateDocumentRequest::default()
            })?;
            let mut description = made.document_description.unwrap_or_default();
            if *make_default {
                let version = description.document_version.clone();
                let version = version.ok_or_else(|| CliError::Senseless("a new version without a number".to_owned()))?;
                client.call(&UpdateDocumentDefaultVersionRequest { name: name.clone(), document_version: version.clone() })?;
                description.default_version = Some(version);
            }
            print_description(output, description)?;
        }
        DocumentsCommand::Delete { name, version } => {
            let request =
                DeleteDocumentRequest { name: name.clone(), document_version: version.clone(), ..DeleteDocumentRequest::default() };
            let answer = client.call(&request)?;
            match output.format {
                Format::Json => output.print_json(&answer)?,
                Format::Table => output.print(&format!("{name} is deleted\n"))?,
                Format::Text => {}
            }
        }
        DocumentsCommand::Diff { name, file, from, to } => {
            let text_of = |version: &str, format: Option<&str>| -> Result<String, CliError> {
                let document = client.call(&GetDocumentRequest {
                    name: name.clone(),
                    document_version: Some(version.to_owned()),
                    document_format: format.map(str::to_owned),
                    ..GetDocumentRequest::default()
                })?;
                Ok(document.content.unwrap_or_default())
            };
            let (old, new) = match (file, to) {
                // In the file's format, so that only content differs.
                (Some(file), _) => (text_of(from, Some(format_of(file)?))?, read(file)?),
                (None, to) => (text_of(from, None)?, text_of(to.as_deref().unwrap_or(LATEST), None)?),
            };
            if let Some(text) = difference(&old, &new) {
                output.print(&text)?;
                return Ok(DIFFERENT);
            }
        }
    }
    Ok(SUCCESS)
}

fn filters(own: bool, name: Option<&str>) -> Option<Vec<DocumentKeyValuesFilter>> {
    let filter = |key: &str, value: &str| DocumentKeyValuesFilter { key: Some(key.to_owned()), values: Some(vec![value.to_owned()]) };
    let own = own.then(|| filter("Owner", "Self"));
    let filters: Vec<_> = own.into_iter().chain(name.map(|name| filter("Name", name))).collect();
    Some(filters).filter(|filters| !filters.is_empty())
}

fn read(file: &Path) -> Result<String, CliError> {
    std::fs::read_to_string(file).map_err(|error| CliError::Usage(format!("{} cannot be read: {error}", file.display())))
}

fn format_of(file: &Path) -> Result<&'static str, CliError> {
    match file.extension().and_then(|ending| ending.to_str()) {
        Some("yaml" | "yml") => Ok("YAML"),
        Some("json") => Ok("JSON"),
        _ => Err(CliError::Usage(format!("{}: a document's file ends in .yaml, .yml or .json", file.display()))),
    }
}

/// A text that ends in a line break, as files do.
fn ended(text: &str) -> String {
    if text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") }
}

fn print_description(output: Output, description: DocumentDescription) -> Result<(), CliError> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    match output.format {
        Format::Json => output.print_json(&description),
        Format::Table | Format::Text => {
            let row = [&description.name, &description.document_version, &description.default_version].map(text);
            let header = ["NAME", "VERSION", "DEFAULT"];
            output.print_list(&[row.to_vec()], &header, Vec::clone)
        }
    }
}

const HEADER: [&str; 7] = ["NAME", "OWNER", "VERSION", "SCHEMA", "FORMAT", "CREATED", "TITLE"];

fn row(document: &DocumentIdentifier) -> Vec<String> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    vec![
        text(&document.name),
        text(&document.owner),
        text(&document.document_version),
        text(&document.schema_version),
        text(&document.document_format),
        date(document.created_date),
        text(&document.display_name),
    ]
}

const VERSIONS_HEADER: [&str; 5] = ["VERSION", "NAME", "DEFAULT", "FORMAT", "CREATED"];

fn version_row(version: &DocumentVersionInfo) -> Vec<String> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let default = if version.is_default_version == Some(true) { "yes" } else { "" };
    vec![
        text(&version.document_version),
        text(&version.version_name),
        default.to_owned(),
        text(&version.document_format),
        date(version.created_date),
    ]
}

#[cfg(test)]
mod tests {
    use flotilla_api::Timestamp;

    use super::*;
    use crate::output::table;

    #[test]
    fn documents_and_versions_are_lines() {
        let some = |text: &str| Some(text.to_owned());
        let document = DocumentIdentifier {
            name: some("Disk-Report"),
            owner: some("000000000000"),
            document_version: some("2"),
            schema_version: some("2.2"),
            document_format: some("YAML"),
            created_date: Some(Timestamp::from_milliseconds(1_763_764_000_999)),
            ..DocumentIdentifier::default()
        };
        insta::assert_snapshot!(table(&HEADER, &[row(&document)]), @r"
        NAME         OWNER         VERSION  SCHEMA  FORMAT  CREATED               TITLE
        Disk-Report  000000000000  2        2.2     YAML    2025-11-21T22:26:40Z
        ");
        let version = DocumentVersionInfo { document_version: some("2"), is_default_version: Some(true), ..DocumentVersionInfo::default() };
        assert_eq!(version_row(&version)[..3], ["2", "", "yes"]);
    }

    #[test]
    fn a_file_says_its_format_by_its_name() {
        for (name, format) in [("a.yaml", "YAML"), ("a.yml", "YAML"), ("b/a.json", "JSON")] {
            assert_eq!(format_of(Path::new(name)).unwrap(), format);
        }
        assert!(matches!(format_of(Path::new("a.txt")), Err(CliError::Usage(_))));
        assert!(matches!(read(Path::new("/nowhere/at/all.yaml")), Err(CliError::Usage(_))));
    }

    #[test]
    fn no_options_are_no_filters() {
        assert_eq!(filters(false, None), None);
        let keys: Vec<_> = filters(true, Some("Disk")).unwrap().into_iter().map(|filter| filter.key.unwrap()).collect();
        assert_eq!(keys, ["Owner", "Name"]);
    }
}
