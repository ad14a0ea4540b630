//! `flotilla documents`: what commands run, by name and version.

mod lint;
mod table;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use flotilla_api::client::SettingsError;
use flotilla_api::documents::{
    CreateDocumentRequest, DeleteDocumentRequest, DescribeDocumentRequest, DocumentKeyValuesFilter, GetDocumentRequest,
    ListDocumentVersionsRequest, ListDocumentsRequest, UpdateDocumentDefaultVersionRequest, UpdateDocumentRequest,
};
use flotilla_api::tags::Tag;

use self::table::{HEADER, VERSIONS_HEADER, description_rows, print_description, row, version_row};
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
  flotilla documents lint disk-report.yaml
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
    Lint(lint::LintArguments),
    #[command(flatten)]
    OfFleet(FleetCommand),
}

/// What is asked of the bridge.
#[derive(Debug, Subcommand)]
enum FleetCommand {
    /// List documents.
    #[command(after_help = "Examples:\n  flotilla documents list\n  flotilla documents list --own --name Disk --tag team=a")]
    List {
        /// Only those that operators of this fleet made.
        #[arg(long)]
        own: bool,
        /// Only those whose names begin so.
        #[arg(long)]
        name: Option<String>,
        /// Only those with this text in their names.
        #[arg(long, value_name = "TEXT")]
        keyword: Option<String>,
        /// Only those with this tag; may be given several times, all must hold.
        #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = name_value)]
        tags: Vec<NameValue>,
    },
    /// Say what is known of a document: its parameters, hash, versions and tags.
    #[command(
        after_help = "Examples:\n  flotilla documents describe AWS-RunShellScript\n  flotilla documents describe Disk-Report --version 2"
    )]
    Describe {
        /// Its name.
        name: String,
        /// A number, $LATEST or $DEFAULT.
        #[arg(long)]
        version: Option<String>,
    },
    /// Make a version the default, which commands run from now on.
    #[command(after_help = "Example:\n  flotilla documents default Disk-Report 2")]
    Default {
        /// Its name.
        name: String,
        /// Number of the version.
        version: String,
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

/// `open` is asked only for what needs a bridge.
pub(crate) fn run(
    open: impl FnOnce() -> Result<Connection, SettingsError>,
    output: Output,
    arguments: &DocumentsArguments,
) -> Result<u8, CliError> {
    match &arguments.command {
        DocumentsCommand::Lint(arguments) => lint::run(output, arguments),
        DocumentsCommand::OfFleet(command) => call(&open()?, output, command),
    }
}

fn call(connection: &Connection, output: Output, command: &FleetCommand) -> Result<u8, CliError> {
    let client = &connection.client;
    match command {
        FleetCommand::List { own, name, keyword, tags } => {
            let filters = filters(*own, name.as_deref(), keyword.as_deref(), tags);
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
        FleetCommand::Show { name, versions: true, .. } => {
            let versions = paging::read(usize::MAX, |next_token| {
                let page = client.call(&ListDocumentVersionsRequest { name: name.clone(), max_results: Some(PAGE_SIZE), next_token })?;
                Ok((page.document_versions, page.next_token))
            })?;
            output.print_list(&versions, &VERSIONS_HEADER, version_row)?;
        }
        FleetCommand::Show { name, version, .. } => {
            let request = GetDocumentRequest { name: name.clone(), document_version: version.clone(), ..GetDocumentRequest::default() };
            let document = client.call(&request)?;
            match output.format {
                Format::Json => output.print_json(&document)?,
                Format::Table | Format::Text => output.print(&ended(document.content.as_deref().unwrap_or_default()))?,
            }
        }
        FleetCommand::Describe { name, version } => {
            let request =
                DescribeDocumentRequest { name: name.clone(), document_version: version.clone(), ..DescribeDocumentRequest::default() };
            let document = client.call(&request)?.document.unwrap_or_default();
            match output.format {
                Format::Json => output.print_json(&document)?,
                Format::Table | Format::Text => output.print_list(&description_rows(&document), &["WHAT", "VALUE"], Vec::clone)?,
            }
        }
        FleetCommand::Default { name, version } => {
            let request = UpdateDocumentDefaultVersionRequest { name: name.clone(), document_version: version.clone() };
            let answer = client.call(&request)?;
            output.print_done(&answer, &format!("{name} now runs version {version}\n"))?;
        }
        FleetCommand::Create { name, file, version_name, tags } => {
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
        FleetCommand::Update { name, file, version_name, make_default } => {
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
        FleetCommand::Delete { name, version } => {
            let request =
                DeleteDocumentRequest { name: name.clone(), document_version: version.clone(), ..DeleteDocumentRequest::default() };
            let answer = client.call(&request)?;
            let what = version.as_ref().map_or_else(|| name.clone(), |version| format!("version {version} of {name}"));
            output.print_done(&answer, &format!("{what} is deleted\n"))?;
        }
        FleetCommand::Diff { name, file, from, to } => {
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

fn filters(own: bool, name: Option<&str>, keyword: Option<&str>, tags: &[NameValue]) -> Option<Vec<DocumentKeyValuesFilter>> {
    let filter = |key: &str, value: &str| DocumentKeyValuesFilter { key: Some(key.to_owned()), values: Some(vec![value.to_owned()]) };
    let single = [("Owner", own.then_some("Self")), ("Name", name), ("SearchKeyword", keyword)];
    let single = single.into_iter().filter_map(|(key, value)| Some(filter(key, value?)));
    let tags = tags.iter().map(|tag| filter(&format!("tag:{}", tag.name), &tag.value));
    let filters: Vec<_> = single.chain(tags).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(filters(false, None, None, &[]), None);
        let tag = NameValue { name: "team".to_owned(), value: "a".to_owned() };
        let keys: Vec<_> = filters(true, Some("Disk"), None, &[tag]).unwrap().into_iter().map(|filter| filter.key.unwrap()).collect();
        assert_eq!(keys, ["Owner", "Name", "tag:team"]);
    }
}
