//! `flotilla tags`: keys with values on nodes and documents.

use clap::{Args, Subcommand, ValueEnum};
use flotilla_api::tags::{AddTagsToResourceRequest, ListTagsForResourceRequest, RemoveTagsFromResourceRequest, Tag};

use crate::arguments::{NameValue, name_value};
use crate::connection::Connection;
use crate::error::{CliError, SUCCESS};
use crate::output::Output;

/// Put tags on nodes and documents, show and remove them.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  flotilla tags list mi-0123456789abcdef0
  flotilla tags add mi-0123456789abcdef0 site=north room=3
  flotilla tags remove Disk-Report team")]
pub(crate) struct TagsArguments {
    #[command(subcommand)]
    command: TagsCommand,
}

#[derive(Debug, Subcommand)]
enum TagsCommand {
    /// List the tags of a node or a document.
    #[command(after_help = "Examples:\n  flotilla tags list mi-0123456789abcdef0\n  flotilla tags list Disk-Report --output json")]
    List {
        #[command(flatten)]
        resource: Resource,
    },
    /// Add tags; a key that is there gets the new value.
    #[command(after_help = "Example:\n  flotilla tags add mi-0123456789abcdef0 site=north room=3")]
    Add {
        #[command(flatten)]
        resource: Resource,
        /// The tags.
        #[arg(value_name = "KEY=VALUE", value_parser = name_value, required = true)]
        tags: Vec<NameValue>,
    },
    /// Remove tags; a key that is not there is no error.
    #[command(after_help = "Example:\n  flotilla tags remove mi-0123456789abcdef0 site room")]
    Remove {
        #[command(flatten)]
        resource: Resource,
        /// The keys.
        #[arg(value_name = "KEY", required = true)]
        keys: Vec<String>,
    },
}

/// What has tags.
#[derive(Debug, Args)]
struct Resource {
    /// Id of a node, or name of a document.
    #[arg(value_name = "NODE|DOCUMENT")]
    id: String,
    /// Which of the two it is [default: a node when it has the form of a node's id].
    #[arg(long, value_enum)]
    kind: Option<Kind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Node,
    Document,
}

impl Resource {
    /// The kind of resource in the API's words.
    fn kind(&self) -> &'static str {
        let is_node = self.id.strip_prefix("mi-").is_some_and(|rest| rest.len() == 17 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match self.kind.unwrap_or(if is_node { Kind::Node } else { Kind::Document }) {
            Kind::Node => "ManagedInstance",
            Kind::Document => "Document",
        }
    }
}

pub(crate) fn run(connection: &Connection, output: Output, arguments: &TagsArguments) -> Result<u8, CliError> {
    let client = &connection.client;
    match &arguments.command {
        TagsCommand::List { resource } => {
            let request = ListTagsForResourceRequest { resource_type: resource.kind().to_owned(), resource_id: resource.id.clone() };
            let tags = client.call(&request)?.tag_list.unwrap_or_default();
            output.print_list(&tags, &["KEY", "VALUE"], |tag| vec![tag.key.clone(), tag.value.clone()])?;
        }
        TagsCommand::Add { resource, tags } => {
            let answer = client.call(&AddTagsToResourceRequest {
                resource_type: resource.kind().to_owned(),
                resource_id: resource.id.clone(),
                tags: tags.iter().map(|tag| Tag { key: tag.name.clone(), value: tag.value.clone() }).collect(),
            })?;
            output.print_done(&answer, &format!("{} has {} more or changed tags\n", resource.id, tags.len()))?;
        }
        TagsCommand::Remove { resource, keys } => {
            let answer = client.call(&RemoveTagsFromResourceRequest {
                resource_type: resource.kind().to_owned(),
                resource_id: resource.id.clone(),
                tag_keys: keys.clone(),
            })?;
            output.print_done(&answer, &format!("{} no longer has {}\n", resource.id, keys.join(", ")))?;
        }
    }
    Ok(SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_known_by_its_id() {
        let kind = |id: &str, kind| Resource { id: id.to_owned(), kind }.kind();
        assert_eq!(kind("mi-0123456789abcdef0", None), "ManagedInstance");
        assert_eq!((kind("mi-report", None), kind("Disk-Report", None)), ("Document", "Document"));
        assert_eq!(kind("mi-0123456789abcdef0", Some(Kind::Document)), "Document");
        assert_eq!(kind("mi-1", Some(Kind::Node)), "ManagedInstance");
    }
}
