//! An item and its entries in the forms of the database and the API.

use crate::platform::time::from_column;
use flotilla_api::inventory::{InventoryEntry, InventoryResultItem};
use flotilla_protocol::capability::inventory::{Row, Table};
use flotilla_protocol::sha256;
use std::collections::{BTreeMap, BTreeSet};

/// Length of the beginning of a name by which entries are found and ordered, in characters.
const NAME_CHARACTERS: usize = 120;

/// Who has said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The node itself.
    Node,
    /// Somebody through the API.
    Api,
}

impl Source {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Api => "api",
        }
    }
}

/// A row of `inventory_node`.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Item {
    pub(super) place: i64,
    pub(super) type_name: String,
    pub(super) schema_version: String,
    pub(super) captured_ms: i64,
    pub(super) table_hash: Option<Vec<u8>>,
    pub(super) content_hash: String,
    pub(super) attributes: String,
    pub(super) source: String,
    pub(super) entries: i64,
}

impl Item {
    /// Whether it is the table of this hash.
    pub(super) fn is_table(&self, hash: &[u8; 32]) -> bool {
        self.table_hash.as_deref() == Some(hash.as_slice())
    }

    pub(super) fn is_from(&self, source: Source) -> bool {
        self.source == source.as_str()
    }

    pub(super) fn attributes(&self) -> Vec<String> {
        serde_json::from_str(&self.attributes).unwrap_or_default()
    }

    /// The item in an answer.
    pub(super) fn result(&self, content: Vec<InventoryEntry>) -> InventoryResultItem {
        InventoryResultItem {
            type_name: self.type_name.clone(),
            schema_version: self.schema_version.clone(),
            capture_time: Some(capture_time(self.captured_ms)),
            content_hash: Some(self.content_hash.clone()).filter(|hash| !hash.is_empty()),
            content,
        }
    }
}

/// `2026-11-21T22:26:40Z`.
pub(super) fn capture_time(milliseconds: i64) -> String {
    let milliseconds = i64::try_from(from_column(milliseconds)).unwrap_or_default();
    jiff::Timestamp::from_millisecond(milliseconds).map_or_else(|_| String::new(), |time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// `1.0`.
pub(super) fn version_text((major, minor): (u32, u32)) -> String {
    format!("{major}.{minor}")
}

/// The numbers of a version; `(0, 0)` where it is none.
pub(super) fn version(text: &str) -> (u32, u32) {
    let numbers = text.split_once('.').and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    numbers.unwrap_or_default()
}

/// The entries of a table as they are kept.
pub(super) fn contents(table: &Table) -> BTreeSet<String> {
    table.rows().map(|row| content(table.attributes(), row)).collect()
}

fn content(attributes: &[String], row: &Row) -> String {
    let entry: BTreeMap<&str, &str> =
        attributes.iter().map(String::as_str).zip(row.iter().map(String::as_str)).filter(|(_, value)| !value.is_empty()).collect();
    // A map of texts is always JSON.
    serde_json::to_string(&entry).unwrap_or_default()
}

/// An entry as it is kept, read.
pub(super) fn entry(content: &str) -> InventoryEntry {
    serde_json::from_str(content).unwrap_or_default()
}

/// The row of an entry in a table of these attributes.
pub(super) fn row(attributes: &[String], content: &str) -> Row {
    let mut entry = entry(content);
    attributes.iter().map(|attribute| entry.remove(attribute).unwrap_or_default()).collect()
}

/// By which an entry is known among all entries.
pub(super) fn hash(type_name: &str, content: &str) -> Vec<u8> {
    sha256(&[type_name.as_bytes(), &[0], content.as_bytes()]).iter().take(16).copied().collect()
}

/// By which entries are found and ordered.
pub(super) fn name(entry: &InventoryEntry) -> String {
    entry.get("Name").map(|name| name.chars().take(NAME_CHARACTERS).collect()).unwrap_or_default()
}

/// The beginning of a name, as the column has it.
pub(super) fn name_beginning(name: &str) -> String {
    name.chars().take(NAME_CHARACTERS).collect()
}
