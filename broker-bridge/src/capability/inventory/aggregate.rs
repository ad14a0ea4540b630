//! `GetInventory` with aggregators: how many nodes have which value, and how many are in which group.
//!
//! A node counts once for each value that it has. Values of attributes of one type belong to one and the same entry: `Name` with `Version`
//! counts packages, not every name with every version.

use super::error;
use super::find::{Finder, each_entry, each_of_nodes};
use super::own::{Part, TAG, is_own};
use super::rules::{Selection, key};
use super::schema;
use crate::fleet::Fleet;
use crate::platform::http::ApiError;
use flotilla_api::inventory::{InventoryAggregator, InventoryEntry, InventoryGroup, InventoryResultEntity, InventoryResultItem};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Attributes within attributes.
const MAXIMUM_DEPTH: usize = 5;
/// Counts of one request: expressions and groups, nested ones too.
const MAXIMUM_COUNTS: usize = 30;
/// Different values of one count.
const MAXIMUM_VALUES: usize = 10_000;
/// Values of one node for one count.
const MAXIMUM_VALUES_OF_A_NODE: usize = 100_000;
/// Different entries of a type whose values are counted.
const MAXIMUM_ENTRIES: usize = 200_000;

/// What all counts of a request hold together, in bytes, about: each of a thousand nodes' packages and what is in between.
const MAXIMUM_BYTES: usize = 64 * 1024 * 1024;
/// Bytes of a text or of a list beside its letters, about.
const OVERHEAD: usize = 40;
/// Nodes whose values are held together.
const NODES: usize = 64;

/// What is left of [`MAXIMUM_BYTES`].
#[derive(Debug)]
struct Room(usize);

impl Room {
    /// Takes so many bytes; whether there were as many.
    fn takes(&mut self, bytes: usize) -> bool {
        let left = self.0.checked_sub(bytes);
        self.0 = left.unwrap_or(0);
        left.is_some()
    }

    fn take(&mut self, bytes: usize) -> Result<(), ApiError> {
        if self.takes(bytes) { Ok(()) } else { Err(too_much()) }
    }
}

fn too_much() -> ApiError {
    let megabytes = MAXIMUM_BYTES / 1024 / 1024;
    error::aggregator(format!("the values to be counted have more than {megabytes} MiB together; count fewer, or shorter ones, at once"))
}

fn bytes_of(values: &[String]) -> usize {
    values.iter().fold(OVERHEAD, |sum, value| sum.saturating_add(value.len()).saturating_add(OVERHEAD))
}

/// Types and attributes whose values are counted together.
type Path = Vec<(String, String)>;

/// A count of values.
#[derive(Debug)]
struct ValueCount {
    path: Path,
    /// The types of the path with their attributes, in the order of the path.
    types: Vec<(String, Vec<String>)>,
    /// By type, what entries say, by their numbers.
    entries: BTreeMap<String, BTreeMap<i64, Vec<String>>>,
    counts: BTreeMap<Vec<String>, u64>,
}

/// A count of a group.
#[derive(Debug)]
struct GroupCount<'g> {
    group: &'g InventoryGroup,
    selection: Selection,
    matching: u64,
    others: u64,
}

/// Counts the nodes that a selection leaves.
pub(super) async fn count(
    fleet: &Fleet,
    selection: &Selection,
    aggregators: &[InventoryAggregator],
    types: &BTreeSet<String>,
) -> Result<Vec<InventoryResultEntity>, ApiError> {
    let (mut values, mut groups) = (Vec::new(), Vec::new());
    for aggregator in aggregators {
        read(aggregator, &[], types, &mut values, &mut groups)?;
    }
    let mut room = Room(MAXIMUM_BYTES);
    let mut values = prepared(fleet, values, &mut room).await?;
    let mut groups = groups.into_iter().map(|group| GroupCount::new(group, aggregators, types)).collect::<Result<Vec<_>, _>>()?;
    let finder = Finder::new(fleet, selection).await?;
    room.take(finder.held().saturating_mul(size_of::<i64>() * 2))?;
    let mut of_groups = Vec::new();
    for group in &groups {
        let finder = Finder::new(fleet, &group.selection).await?;
        room.take(finder.held().saturating_mul(size_of::<i64>() * 2))?;
        of_groups.push(finder);
    }
    let has_tags = finder.has_tags()
        || of_groups.iter().any(Finder::has_tags)
        || values.iter().any(|count| count.types.iter().any(|(type_name, _)| type_name == TAG));
    let only = selection.named_nodes();
    let (mut after, mut tallies) = (String::new(), vec![(0_u64, 0_u64); groups.len()]);
    loop {
        let part = Part::read(fleet, &after, &only, has_tags).await?;
        let nodes = finder.matching(fleet, &part).await?;
        for (finder, tally) in of_groups.iter().zip(&mut tallies) {
            let matching = finder.matching(fleet, &part).await?.intersection(&nodes).count();
            tally.0 += u64::try_from(matching).unwrap_or(0);
            tally.1 += u64::try_from(nodes.len().saturating_sub(matching)).unwrap_or(0);
        }
        for count in &mut values {
            count.add(fleet, &part, &nodes, &mut room).await?;
        }
        if !part.has_more {
            break;
        }
        after = part.last().unwrap_or_default().to_owned();
    }
    drop(of_groups);
    for (group, (matching, others)) in groups.iter_mut().zip(tallies) {
        (group.matching, group.others) = (matching, others);
    }
    let mut entities: Vec<_> = values.iter().map(ValueCount::entity).collect();
    if !groups.is_empty() {
        let data = groups.iter().map(|group| (group.group.name.clone(), group.item())).collect();
        entities.push(InventoryResultEntity { id: None, data: Some(data) });
    }
    Ok(entities)
}

fn read<'a>(
    aggregator: &'a InventoryAggregator,
    before: &[(String, String)],
    types: &BTreeSet<String>,
    values: &mut Vec<Path>,
    groups: &mut Vec<&'a InventoryGroup>,
) -> Result<(), ApiError> {
    let (of_groups, nested) = (aggregator.groups.as_deref().unwrap_or_default(), aggregator.aggregators.as_deref().unwrap_or_default());
    if !of_groups.is_empty() && !before.is_empty() {
        return Err(error::aggregator("groups are counted by themselves, not within an expression"));
    }
    groups.extend(of_groups);
    if let Some(expression) = &aggregator.expression {
        let words = "write the type, a dot and the attribute, for example AWS:Application.Name";
        let key = key(expression, types).ok_or_else(|| error::aggregator(format!("expression {expression:?}: {words}")))?;
        if before.contains(&key) {
            return Err(error::aggregator(format!("expression {expression:?} is within itself")));
        }
        let path: Path = before.iter().cloned().chain([key]).collect();
        if path.len() > MAXIMUM_DEPTH {
            return Err(error::aggregator(format!("at most {MAXIMUM_DEPTH} expressions are within one another")));
        }
        for aggregator in nested {
            read(aggregator, &path, types, values, groups)?;
        }
        if nested.is_empty() {
            values.push(path);
        }
    } else if of_groups.is_empty() || !nested.is_empty() {
        return Err(error::aggregator("an aggregator has an Expression, with or without Aggregators, or Groups"));
    }
    if values.len() + groups.len() > MAXIMUM_COUNTS {
        return Err(error::aggregator(format!("at most {MAXIMUM_COUNTS} counts are taken in one request")));
    }
    Ok(())
}

async fn prepared(fleet: &Fleet, paths: Vec<Path>, room: &mut Room) -> Result<Vec<ValueCount>, ApiError> {
    let mut counts = Vec::new();
    for path in paths {
        let mut types: Vec<(String, Vec<String>)> = Vec::new();
        for (type_name, attribute) in &path {
            match types.iter_mut().find(|(known, _)| known == type_name) {
                Some((_, attributes)) => attributes.push(attribute.clone()),
                None => types.push((type_name.clone(), vec![attribute.clone()])),
            }
        }
        let mut entries = BTreeMap::new();
        for (type_name, attributes) in &types {
            if !schema::exists(fleet, type_name).await? {
                return Err(error::no_type(type_name));
            }
            if !is_own(type_name) {
                entries.insert(type_name.clone(), values_of(fleet, type_name, attributes, room).await?);
            }
        }
        counts.push(ValueCount { path, types, entries, counts: BTreeMap::new() });
    }
    Ok(counts)
}

async fn values_of(fleet: &Fleet, type_name: &str, attributes: &[String], room: &mut Room) -> Result<BTreeMap<i64, Vec<String>>, ApiError> {
    let (mut values, mut has_room) = (BTreeMap::new(), true);
    each_entry(fleet, type_name, &[], |number, entry| {
        if let Some(value) = values_in(entry, attributes) {
            has_room = room.takes(bytes_of(&value));
            values.insert(number, value);
        }
        has_room && values.len() <= MAXIMUM_ENTRIES
    })
    .await?;
    if !has_room {
        return Err(too_much());
    }
    if values.len() > MAXIMUM_ENTRIES {
        return Err(error::aggregator(format!(
            "{type_name} has more than {MAXIMUM_ENTRIES} different entries, which is too many to count"
        )));
    }
    Ok(values)
}

/// What an entry says of some attributes; nothing where it has none of them.
fn values_in(entry: &InventoryEntry, attributes: &[String]) -> Option<Vec<String>> {
    let values: Vec<String> = attributes.iter().map(|attribute| entry.get(attribute).cloned().unwrap_or_default()).collect();
    values.iter().any(|value| !value.is_empty()).then_some(values)
}

/// The values that a node has of all types, each with each.
fn combined(of_types: &[BTreeMap<&str, BTreeSet<Cow<'_, [String]>>>], node: &str, room: &Room) -> Result<Vec<Vec<String>>, ApiError> {
    let mut all: Vec<Vec<String>> = vec![Vec::new()];
    for of_nodes in of_types {
        let values = of_nodes.get(node);
        if all.len().saturating_mul(values.map_or(0, BTreeSet::len)) > MAXIMUM_VALUES_OF_A_NODE {
            return Err(error::aggregator("a node has too many combinations of these attributes; count fewer of them together"));
        }
        let (mut next, mut bytes) = (Vec::new(), 0_usize);
        for before in &all {
            for more in values.into_iter().flatten() {
                let values = [before.as_slice(), more].concat();
                bytes = bytes.saturating_add(bytes_of(&values));
                if bytes > room.0 {
                    return Err(too_much());
                }
                next.push(values);
            }
        }
        all = next;
    }
    Ok(all)
}

impl ValueCount {
    /// Adds the nodes of a part, some at a time.
    async fn add(&mut self, fleet: &Fleet, part: &Part, nodes: &BTreeSet<String>, room: &mut Room) -> Result<(), ApiError> {
        let nodes: Vec<&str> = nodes.iter().map(String::as_str).collect();
        for some in nodes.chunks(NODES) {
            self.add_some(fleet, part, some, room).await?;
        }
        Ok(())
    }

    /// Adds nodes, which stand in order.
    async fn add_some(&mut self, fleet: &Fleet, part: &Part, nodes: &[&str], room: &mut Room) -> Result<(), ApiError> {
        let (Some(first), Some(last)) = (nodes.first(), nodes.last()) else { return Ok(()) };
        // What entries say is here already; of nodes it is only pointed to.
        let mut of_types: Vec<BTreeMap<&str, BTreeSet<Cow<'_, [String]>>>> = Vec::new();
        for (type_name, attributes) in &self.types {
            let mut of_nodes: BTreeMap<&str, BTreeSet<Cow<'_, [String]>>> = BTreeMap::new();
            match self.entries.get(type_name) {
                None => {
                    for node in nodes {
                        let values = part.entries(node, type_name);
                        let values = values.iter().filter_map(|entry| values_in(entry, attributes)).map(Cow::Owned);
                        of_nodes.entry(node).or_default().extend(values);
                    }
                }
                Some(entries) => {
                    each_of_nodes(fleet, type_name, first, last, |node, number| {
                        let node = nodes.binary_search(&node).ok().and_then(|place| nodes.get(place));
                        if let (Some(node), Some(values)) = (node, entries.get(&number)) {
                            of_nodes.entry(node).or_default().insert(Cow::Borrowed(values));
                        }
                    })
                    .await?;
                }
            }
            of_types.push(of_nodes);
        }
        for node in nodes {
            for values in combined(&of_types, node, room)? {
                if let Some(count) = self.counts.get_mut(&values) {
                    *count += 1;
                    continue;
                }
                room.take(bytes_of(&values))?;
                self.counts.insert(values, 1);
                if self.counts.len() > MAXIMUM_VALUES {
                    let words = format!("there are more than {MAXIMUM_VALUES} different values; filter, or count another attribute");
                    return Err(error::aggregator(words));
                }
            }
        }
        Ok(())
    }

    fn entity(&self) -> InventoryResultEntity {
        // The values stand by type, and so do the names.
        let names: Vec<(&str, &str)> = self
            .types
            .iter()
            .flat_map(|(type_name, attributes)| attributes.iter().map(move |attribute| (type_name.as_str(), attribute.as_str())))
            .collect();
        let name = |(type_name, attribute): &(&str, &str)| {
            let is_twice = names.iter().filter(|(_, other)| other == attribute).count() > 1;
            if is_twice { format!("{type_name}.{attribute}") } else { (*attribute).to_owned() }
        };
        let row = |(values, count): (&Vec<String>, &u64)| {
            let mut entry: InventoryEntry = names.iter().map(name).zip(values.iter().cloned()).collect();
            entry.insert("Count".to_owned(), count.to_string());
            entry
        };
        let mut rows: Vec<_> = self.counts.iter().collect();
        rows.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let type_name = self.path.first().map(|(type_name, _)| type_name.clone()).unwrap_or_default();
        let content = rows.into_iter().map(row).collect();
        let item = InventoryResultItem { type_name: type_name.clone(), schema_version: "1.0".to_owned(), content, ..Default::default() };
        InventoryResultEntity { id: None, data: Some(BTreeMap::from([(type_name, item)])) }
    }
}

impl<'g> GroupCount<'g> {
    fn new(group: &'g InventoryGroup, all: &[InventoryAggregator], types: &BTreeSet<String>) -> Result<Self, ApiError> {
        let invalid = |what: String| ApiError::new("InvalidInventoryGroupException", what);
        let groups = all.iter().flat_map(|aggregator| aggregator.groups.as_deref().unwrap_or_default());
        if groups.filter(|other| other.name == group.name).count() > 1 {
            return Err(invalid(format!("two groups have the name {:?}", group.name)));
        }
        let selection =
            Selection::read(&group.filters, true, types).map_err(|error| invalid(format!("group {:?}: {}", group.name, error.message)))?;
        Ok(Self { group, selection, matching: 0, others: 0 })
    }

    fn item(&self) -> InventoryResultItem {
        let count = |name: &str, count: u64| BTreeMap::from([(name.to_owned(), count.to_string())]);
        let type_name = self.selection.0.keys().next().cloned().unwrap_or_default();
        InventoryResultItem {
            type_name,
            schema_version: "1.0".to_owned(),
            content: vec![count("matchingCount", self.matching), count("notMatchingCount", self.others)],
            ..Default::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_a_node_are_combined_as_far_as_there_is_room() {
        let values = |count: usize, length: usize| -> BTreeSet<Cow<'static, [String]>> {
            (0..count).map(|number| Cow::Owned(vec![format!("{number}{}", "x".repeat(length))])).collect()
        };
        let of_types = [BTreeMap::from([("a", values(30, 10))]), BTreeMap::from([("a", values(30, 1_000))])];
        assert_eq!(combined(&of_types, "a", &Room(MAXIMUM_BYTES)).unwrap().len(), 900);
        assert_eq!(combined(&of_types, "b", &Room(MAXIMUM_BYTES)).unwrap().len(), 0);
        let refused = combined(&of_types, "a", &Room(800_000)).unwrap_err();
        assert!(refused.message.contains("MiB"), "nine hundred of a thousand letters: {}", refused.message);
    }
}
