//! `flotilla inventory put`: somebody writes a type of a node.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;

use clap::Args;
use flotilla_api::inventory::{InventoryItem, PutInventoryRequest};
use serde::Deserialize;
use serde_json::Value;

use crate::clock;
use crate::connection::Connection;
use crate::error::CliError;
use crate::output::Output;

/// Largest file, in bytes: the bridge takes no larger request.
const MAXIMUM_BYTES: u64 = 1024 * 1024;

/// Write a type of a node, as a whole.
#[derive(Debug, Args)]
#[command(after_help = "\
The file is one that a node can have in its own folder of inventories:
  {\"SchemaVersion\": \"1.0\", \"TypeName\": \"Custom:Rack\", \"Content\": [{\"Room\": \"B2\", \"Unit\": \"17\"}]}

Examples:
  flotilla inventory put mi-0123456789abcdef0 rack.json
  make-rack | flotilla inventory put mi-0123456789abcdef0 -")]
pub(super) struct PutArguments {
    /// Id of the node.
    #[arg(value_name = "ID")]
    node: String,
    /// The file; - is standard input.
    file: PathBuf,
}

/// The file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Given {
    schema_version: String,
    type_name: String,
    content: Content,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Content {
    One(BTreeMap<String, Value>),
    Many(Vec<BTreeMap<String, Value>>),
}

pub(super) fn run(connection: &Connection, output: Output, arguments: &PutArguments) -> Result<(), CliError> {
    let place = arguments.file.display();
    let wrong = |what: String| CliError::Usage(format!("{place}: {what}"));
    let mut text = String::new();
    let read = if super::is_standard_input(&arguments.file) {
        io::stdin().take(MAXIMUM_BYTES + 1).read_to_string(&mut text)
    } else {
        File::open(&arguments.file).and_then(|file| file.take(MAXIMUM_BYTES + 1).read_to_string(&mut text))
    };
    read.map_err(|error| wrong(error.to_string()))?;
    let item = item(&text).map_err(wrong)?;
    let sentence = format!("{} has {} entries of {}\n", arguments.node, item.content.as_ref().map_or(0, Vec::len), item.type_name);
    let answer = connection.client.call(&PutInventoryRequest { instance_id: arguments.node.clone(), items: vec![item] })?;
    output.print_done(&answer, &sentence)
}

fn item(text: &str) -> Result<InventoryItem, String> {
    if u64::try_from(text.len()).is_ok_and(|length| length > MAXIMUM_BYTES) {
        return Err("it is larger than 1 MiB".to_owned());
    }
    let given: Given = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let entries = match given.content {
        Content::One(entry) => vec![entry],
        Content::Many(entries) => entries,
    };
    let mut content = Vec::new();
    for entry in entries {
        let values = entry.into_iter().map(|(name, value)| Ok((name.clone(), plain(&name, value)?)));
        content.push(values.collect::<Result<_, String>>()?);
    }
    Ok(InventoryItem {
        type_name: given.type_name,
        schema_version: given.schema_version,
        capture_time: clock::today().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        content: Some(content),
        ..InventoryItem::default()
    })
}

fn plain(name: &str, value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
        Value::Null => Ok(String::new()),
        Value::Array(_) | Value::Object(_) => Err(format!("{name}: a value is a text, a number or true or false")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_an_item() {
        let one = item(r#"{"SchemaVersion":"1.0","TypeName":"Custom:Rack","Content":{"Unit":17,"Locked":true,"Room":"B2"}}"#).unwrap();
        let content = one.content.unwrap();
        assert_eq!((content[0]["Unit"].as_str(), content[0]["Locked"].as_str(), content.len()), ("17", "true", 1));
        for wrong in [
            "{",
            r#"{"SchemaVersion":"1.0","TypeName":"Custom:Rack"}"#,
            r#"{"SchemaVersion":"1.0","TypeName":"Custom:Rack","Content":[{"A":[1]}]}"#,
            r#"{"SchemaVersion":"1.0","TypeName":"Custom:Rack","Content":[],"More":1}"#,
        ] {
            assert!(item(wrong).is_err(), "{wrong}");
        }
    }
}
