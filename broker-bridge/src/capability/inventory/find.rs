//! Finds nodes by what they have, a part of the fleet at a time, and the fleet's entries by what they are.

use super::error;
use super::model::entry;
use super::own::{Part, TAG, is_own};
use super::rules::{Demand, Selection};
use super::schema;
use crate::fleet::Fleet;
use crate::platform::http::ApiError;
use flotilla_api::inventory::InventoryEntry;
use sqlx::QueryBuilder;
use std::collections::{BTreeMap, BTreeSet};

/// Different entries of a type that one request looks at: some seconds of a reader.
const MAXIMUM_LOOKED_AT: usize = 500_000;
/// Entries that are read together.
const CHUNK: i64 = 5_000;
/// So many entries are asked for by their numbers; of more, all entries of the nodes are read.
const ASKED_FOR: usize = 10_000;
/// Entries and items that one statement names.
const NAMED: usize = 2_000;
/// Items whose entries are read together.
const PLACES: usize = 64;

/// Which entries make a node one that is looked for, by the entries' numbers.
#[derive(Debug)]
struct Wanted {
    demands_one: bool,
    one: BTreeSet<i64>,
    none: BTreeSet<i64>,
}

/// Finds nodes.
#[derive(Debug)]
pub(super) struct Finder<'s> {
    selection: &'s Selection,
    wanted: BTreeMap<&'s str, Wanted>,
}

impl<'s> Finder<'s> {
    /// Looks at the fleet's entries.
    pub(super) async fn new(fleet: &Fleet, selection: &'s Selection) -> Result<Self, ApiError> {
        let mut wanted = BTreeMap::new();
        for (type_name, demand) in &selection.0 {
            if !schema::exists(fleet, type_name).await? {
                return Err(error::no_type(type_name));
            }
            if !is_own(type_name) {
                wanted.insert(type_name.as_str(), Wanted::find(fleet, type_name, demand).await?);
            }
        }
        Ok(Self { selection, wanted })
    }

    /// How many numbers of entries it holds.
    pub(super) fn held(&self) -> usize {
        self.wanted.values().map(|wanted| wanted.one.len().saturating_add(wanted.none.len())).sum()
    }

    /// Whether tags are looked at.
    pub(super) fn has_tags(&self) -> bool {
        self.selection.0.contains_key(TAG)
    }

    /// The nodes of a part for which all filters hold.
    pub(super) async fn matching(&self, fleet: &Fleet, part: &Part) -> Result<BTreeSet<String>, ApiError> {
        let mut nodes: BTreeSet<String> = part.ids().cloned().collect();
        for (type_name, demand) in self.selection.0.iter().filter(|(type_name, _)| is_own(type_name)) {
            nodes.retain(|node| demand.holds(&part.entries(node, type_name)));
        }
        for (type_name, wanted) in &self.wanted {
            if nodes.is_empty() {
                break;
            }
            if wanted.demands_one {
                let having = having(fleet, type_name, part, &wanted.one).await?;
                nodes.retain(|node| having.contains(node));
            }
            let having = having(fleet, type_name, part, &wanted.none).await?;
            nodes.retain(|node| !having.contains(node));
        }
        Ok(nodes)
    }
}

impl Wanted {
    async fn find(fleet: &Fleet, type_name: &str, demand: &Demand) -> Result<Self, ApiError> {
        let mut wanted = Self { demands_one: !demand.one.is_empty(), one: BTreeSet::new(), none: BTreeSet::new() };
        each_entry(fleet, type_name, &demand.names(), |number, entry| {
            if wanted.demands_one && demand.is_one(entry) {
                wanted.one.insert(number);
            }
            if demand.is_none(entry) {
                wanted.none.insert(number);
            }
            true
        })
        .await
        .map(|_| wanted)
    }
}

/// The next entries of a type. Both statements go along one index each, without sorting: a chunk costs what it holds.
const OF_TYPE: &str = "SELECT entry_number, content FROM inventory_entry WHERE type_name = $1 AND entry_number > $2 AND $4 = '' \
                       ORDER BY entry_number LIMIT $3";
/// The next entries of a type and a name.
const OF_NAME: &str = "SELECT entry_number, content FROM inventory_entry WHERE type_name = $1 AND entry_number > $2 AND name = $4 \
                       ORDER BY entry_number LIMIT $3";

/// Shows a function each entry of a type, of these names where some are given, until it has seen enough.
pub(super) async fn each_entry(
    fleet: &Fleet,
    type_name: &str,
    names: &[String],
    mut look: impl FnMut(i64, &InventoryEntry) -> bool,
) -> Result<(), ApiError> {
    let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    let mut walks: Vec<(&'static str, &str)> = names.into_iter().map(|name| (OF_NAME, name)).collect();
    if walks.is_empty() {
        walks.push((OF_TYPE, ""));
    }
    let (mut after, mut seen) = (0, 0_usize);
    while let Some((sql, name)) = walks.last() {
        let rows: Vec<(i64, String)> =
            sqlx::query_as(*sql).bind(type_name).bind(after).bind(CHUNK).bind(*name).fetch_all(fleet.store.reader()).await?;
        for (number, content) in &rows {
            if !look(*number, &entry(content)) {
                return Ok(());
            }
        }
        seen = seen.saturating_add(rows.len());
        let Some((last, _)) = rows.last().filter(|_| i64::try_from(rows.len()).is_ok_and(|count| count == CHUNK)) else {
            walks.pop();
            after = 0;
            continue;
        };
        if seen >= MAXIMUM_LOOKED_AT {
            let what = format!("{type_name} has more than {MAXIMUM_LOOKED_AT} different entries; filter by an equal Name too");
            return Err(error::filter(what));
        }
        after = *last;
    }
    Ok(())
}

/// The nodes of a part that have one of these entries.
async fn having(fleet: &Fleet, type_name: &str, part: &Part, entries: &BTreeSet<i64>) -> Result<BTreeSet<String>, ApiError> {
    let (Some(first), Some(last)) = (part.first(), part.last()) else { return Ok(BTreeSet::new()) };
    let mut nodes = BTreeSet::new();
    if entries.len() > ASKED_FOR {
        each_of_nodes(fleet, type_name, first, last, |node, number| {
            if entries.contains(&number) && !nodes.contains(node) {
                nodes.insert(node.to_owned());
            }
        })
        .await?;
        return Ok(nodes);
    }
    let entries: Vec<i64> = entries.iter().copied().collect();
    for some in entries.chunks(NAMED) {
        let mut query = QueryBuilder::new(
            "SELECT DISTINCT node_id FROM inventory_node_entry JOIN inventory_node ON inventory_node.place = inventory_node_entry.place \
             WHERE node_id >= ",
        );
        query.push_bind(first.to_owned()).push(" AND node_id <= ").push_bind(last.to_owned()).push(" AND entry_number IN (");
        let mut separated = query.separated(", ");
        for number in some {
            separated.push_bind(*number);
        }
        query.push(")");
        let found: Vec<String> = query.build_query_scalar().fetch_all(fleet.store.reader()).await?;
        nodes.extend(found);
    }
    Ok(nodes)
}

/// Shows a function the numbers of all entries that the nodes from one to another have of a type.
pub(super) async fn each_of_nodes(
    fleet: &Fleet,
    type_name: &str,
    first: &str,
    last: &str,
    mut look: impl FnMut(&str, i64),
) -> Result<(), ApiError> {
    let places: Vec<(i64, String)> = sqlx::query_as(
        "SELECT place, node_id FROM inventory_node WHERE type_name = $1 AND node_id >= $2 AND node_id <= $3 ORDER BY node_id",
    )
    .bind(type_name)
    .bind(first)
    .bind(last)
    .fetch_all(fleet.store.reader())
    .await?;
    for some in places.chunks(PLACES) {
        let nodes: BTreeMap<i64, &str> = some.iter().map(|(place, node)| (*place, node.as_str())).collect();
        let mut query = QueryBuilder::new("SELECT place, entry_number FROM inventory_node_entry WHERE place IN (");
        let mut separated = query.separated(", ");
        for place in nodes.keys() {
            separated.push_bind(*place);
        }
        query.push(")");
        let rows: Vec<(i64, i64)> = query.build_query_as().fetch_all(fleet.store.reader()).await?;
        for (place, number) in rows {
            if let Some(node) = nodes.get(&place) {
                look(node, number);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::test_kit::Kit;

    #[tokio::test]
    async fn the_entries_of_a_type_are_read_along_an_index() {
        let kit = Kit::new().await;
        for (sql, index) in [(OF_TYPE, "inventory_entry_by_type"), (OF_NAME, "inventory_entry_by_name")] {
            let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")))
                .bind("Custom:X")
                .bind(0_i64)
                .bind(CHUNK)
                .bind("")
                .fetch_all(kit.fleet.store.reader())
                .await
                .unwrap();
            let steps: Vec<&str> = plan.iter().map(|(.., step)| step.as_str()).collect();
            assert!(steps.len() == 1 && steps[0].contains(index) && steps[0].contains("entry_number>?"), "{steps:?}");
        }
    }
}
