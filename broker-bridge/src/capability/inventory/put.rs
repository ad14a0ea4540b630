//! `PutInventory`: somebody writes types of a node, all of them or none.

use super::list::{is_known_node, known_node, no_node};
use super::model::{Source, contents};
use super::store::{self, NewItem, Refusal};
use super::{MAXIMUM_CUSTOM_BYTES, error, own, schema};
use crate::fleet::Fleet;
use crate::platform::http::{ApiError, Caller};
use crate::platform::store::Write;
use flotilla_api::inventory::{InventoryEntry, InventoryItem, PutInventoryRequest, PutInventoryResult};
use flotilla_protocol::capability::inventory::{
    MAXIMUM_ATTRIBUTES, MAXIMUM_ENTRIES, MAXIMUM_TABLE_BYTES, Row, Table, is_attribute, is_type_name,
};
use std::collections::BTreeSet;

/// What becomes of an item.
enum Step {
    /// It is still what it was.
    Touch { captured_ms: u64 },
    /// It becomes this.
    Replace { captured_ms: u64, table: Table, contents: BTreeSet<String> },
}

pub(super) async fn put_inventory(fleet: &Fleet, caller: &Caller, request: PutInventoryRequest) -> Result<PutInventoryResult, ApiError> {
    let node = known_node(fleet, &request.instance_id).await?;
    let mut seen = BTreeSet::new();
    let mut steps = Vec::new();
    for item in &request.items {
        if !seen.insert(&item.type_name) {
            return Err(invalid(&item.type_name, "it is there twice; put all entries of a type into one item"));
        }
        check_type(item)?;
        steps.push(step(item)?);
    }
    let mut write = fleet.store.write().await?;
    // It may have been removed since: what is written now would stay for ever.
    if !is_known_node(write.connection(), &node).await? {
        return Err(no_node(&node));
    }
    let (mut changed, count) = (0_usize, request.items.len());
    for (item, step) in request.items.iter().zip(steps) {
        changed += usize::from(take(&mut write, &node, item, step).await?);
    }
    write.commit().await?;
    tracing::debug!(node, user = caller.user, count, changed, "inventory was put");
    Ok(PutInventoryResult { message: Some(format!("{changed} of {count} types were written; the others are as they were")) })
}

fn invalid(type_name: &str, what: &str) -> ApiError {
    ApiError::new("InvalidItemContentException", format!("{type_name}: {what}"))
}

/// Whether the type, its version and its context can be put.
fn check_type(item: &InventoryItem) -> Result<(), ApiError> {
    let name = item.type_name.as_str();
    let refused = |what: &str| Err(ApiError::new("InvalidTypeNameException", format!("{name}: {what}")));
    if item.context.as_ref().is_some_and(|context| !context.is_empty()) {
        let words = format!("{name}: no type that is put here has a context; compliance is put with PutComplianceItems");
        return Err(ApiError::new("UnsupportedInventoryItemContextException", words));
    }
    if own::is_own(name) {
        return refused("the bridge makes this type of what it knows of its nodes; nobody can put it");
    }
    if name.starts_with("Custom:") {
        let words = "write Custom: and then letters, digits, \".\", \"-\" and \"_\"";
        return if is_type_name(name) { Ok(()) } else { refused(words) };
    }
    let known = schema::known(name).ok_or_else(|| error::no_type(name))?;
    if known.versions.contains(&item.schema_version.as_str()) {
        return Ok(());
    }
    let words = format!("{name} has the versions {}, not {}", known.versions.join(" and "), item.schema_version);
    Err(ApiError::new("UnsupportedInventorySchemaVersionException", words))
}

fn step(item: &InventoryItem) -> Result<Step, ApiError> {
    let name = item.type_name.as_str();
    let captured: jiff::Timestamp =
        item.capture_time.parse().map_err(|_| invalid(name, "CaptureTime is no time; write it as 2026-11-21T22:26:40Z"))?;
    let captured_ms = u64::try_from(captured.as_millisecond()).unwrap_or(0);
    let Some(content) = &item.content else {
        if item.content_hash.is_none() {
            return Err(invalid(name, "give Content, or the ContentHash of what is there to say that it has not changed"));
        }
        return Ok(Step::Touch { captured_ms });
    };
    let table = table(name, content)?;
    let contents = contents(&table);
    let bytes = contents.iter().map(String::len).sum::<usize>();
    let most = if name.starts_with("Custom:") { MAXIMUM_CUSTOM_BYTES } else { MAXIMUM_TABLE_BYTES };
    if bytes > most {
        let words = format!("{name} has {bytes} bytes as JSON, and may have {most}");
        return Err(ApiError::new("ItemSizeLimitExceededException", words));
    }
    Ok(Step::Replace { captured_ms, table, contents })
}

fn table(name: &str, content: &[InventoryEntry]) -> Result<Table, ApiError> {
    // Before a row is made: rows are as wide as all attributes together.
    if content.len() > MAXIMUM_ENTRIES {
        return Err(invalid(name, &format!("it has {} entries, and may have {MAXIMUM_ENTRIES}", content.len())));
    }
    let mut attributes: BTreeSet<&String> = BTreeSet::new();
    for entry in content {
        attributes.extend(entry.keys());
        if attributes.len() > MAXIMUM_ATTRIBUTES {
            return Err(invalid(name, &format!("its entries have more than {MAXIMUM_ATTRIBUTES} attributes together")));
        }
    }
    if let Some(wrong) = attributes.iter().find(|attribute| !is_attribute(attribute)) {
        return Err(invalid(name, &format!("{wrong:?} is no attribute; use 1 to 64 letters, digits, \".\", \"-\" and \"_\"")));
    }
    if let Some(known) = schema::known(name)
        && let Some(wrong) = attributes.iter().find(|attribute| !known.attributes.contains(&attribute.as_str()))
    {
        return Err(invalid(name, &format!("{wrong:?} is not among its attributes, which are {}", known.attributes.join(", "))));
    }
    let attributes: Vec<String> = attributes.into_iter().cloned().collect();
    let row = |entry: &InventoryEntry| -> Row { attributes.iter().map(|name| entry.get(name).cloned().unwrap_or_default()).collect() };
    Table::new(attributes.clone(), content.iter().map(row)).map_err(|error| invalid(name, &error.to_string()))
}

/// Writes an item; whether it has changed.
async fn take(write: &mut Write<'_>, node: &str, item: &InventoryItem, step: Step) -> Result<bool, ApiError> {
    let name = item.type_name.as_str();
    let before = store::find(write.connection(), node, name).await?;
    if before.as_ref().is_some_and(|before| before.is_from(Source::Node)) {
        return Err(invalid(name, "the node reports this type itself, and its word counts; put another type"));
    }
    // The same hash is the same content: it is taken at its word, as at AWS.
    let same = before.as_ref().filter(|before| item.content_hash.as_ref().is_some_and(|hash| *hash == before.content_hash));
    let (captured_ms, new) = match (step, same) {
        (Step::Touch { captured_ms } | Step::Replace { captured_ms, .. }, Some(same)) => {
            let touched = store::touch(write, same, &item.schema_version, captured_ms, Source::Api).await?;
            return touched.map(|()| false).map_err(|refusal| refused(name, &refusal));
        }
        (Step::Touch { .. }, None) => {
            let words = format!("{name}: what is there has another ContentHash; send Content with it");
            return Err(ApiError::new("ItemContentMismatchException", words));
        }
        (Step::Replace { captured_ms, table, contents }, None) => (captured_ms, (table, contents)),
    };
    let (table, contents) = new;
    let table_hash = table.hash();
    let own_hash = || table_hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let new = NewItem {
        node_id: node,
        type_name: name,
        schema_version: item.schema_version.clone(),
        captured_ms,
        table: &table,
        table_hash,
        content_hash: item.content_hash.clone().unwrap_or_else(own_hash),
        contents: &contents,
        source: Source::Api,
    };
    match store::replace(write, before.as_ref(), &new).await? {
        Ok(()) => Ok(true),
        Err(refusal) => Err(refused(name, &refusal)),
    }
}

fn refused(name: &str, refusal: &Refusal) -> ApiError {
    let kind = match refusal {
        Refusal::TotalSize | Refusal::Types => "TotalSizeLimitExceededException",
        Refusal::CustomTypes => "CustomSchemaCountLimitExceededException",
        Refusal::Attributes => "InvalidItemContentException",
        Refusal::Disabled(_) => "UnsupportedInventorySchemaVersionException",
    };
    let hint = if matches!(refusal, Refusal::Disabled(_)) { "; put it with a higher SchemaVersion" } else { "" };
    ApiError::new(kind, format!("{name}: {refusal}{hint}"))
}
