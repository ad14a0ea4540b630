//! Filters on inventory, as conditions on entries.
//!
//! All filters must hold, each for one of its values. Filters on one type must hold for one and the same entry: `Name` and `Version` of one
//! package. Where a type has nothing but `NotEqual`, no entry of the node may be equal: `Name` `NotEqual` finds nodes without a package.

use super::error;
use super::model::name_beginning;
use super::own::INSTANCE_INFORMATION;
use crate::platform::http::ApiError;
use flotilla_api::inventory::{InventoryEntry, InventoryFilter};
use flotilla_protocol::capability::inventory::{is_attribute, is_type_name};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// Longest value that is looked at, in bytes (that of an inventory).
const MAXIMUM_VALUE: usize = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    BeginWith,
    LessThan,
    GreaterThan,
    Exists,
}

/// One filter.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    attribute: String,
    operator: Operator,
    values: Vec<String>,
}

/// A type and an attribute: `AWS:Application.Name`. Names of the fleet's own types and of their attributes may have dots: the longest name of
/// `types` that fits counts; where none does, the last dot divides.
pub(super) fn key(text: &str, types: &BTreeSet<String>) -> Option<(String, String)> {
    let known = || text.rmatch_indices('.').filter_map(|(dot, _)| text.split_at_checked(dot)).find(|(name, _)| types.contains(*name));
    let (type_name, attribute) = if text.starts_with("AWS:") {
        text.split_once('.')?
    } else {
        known().and_then(|(name, rest)| Some((name, rest.strip_prefix('.')?))).or_else(|| text.rsplit_once('.'))?
    };
    (is_type_name(type_name) && is_attribute(attribute)).then(|| (type_name.to_owned(), attribute.to_owned()))
}

/// What filters demand of one type.
#[derive(Debug, Default)]
pub(super) struct Demand {
    /// All of these of one entry.
    pub(super) one: Vec<Condition>,
    /// None of these of any entry.
    pub(super) none: Vec<Condition>,
}

/// What filters demand, by type.
#[derive(Debug, Default)]
pub(super) struct Selection(pub(super) BTreeMap<String, Demand>);

impl Selection {
    /// Reads filters; `types` are the fleet's own. `Exists` counts only with what is counted.
    pub(super) fn read(filters: &[InventoryFilter], is_counted: bool, types: &BTreeSet<String>) -> Result<Self, ApiError> {
        let mut selection = Self::default();
        for filter in filters {
            let words = "write the type, a dot and the attribute, for example AWS:Application.Name";
            let (type_name, attribute) =
                key(&filter.key, types).ok_or_else(|| error::filter(format!("filter {:?}: {words}", filter.key)))?;
            selection.add(type_name, Condition::read(attribute, filter, is_counted)?);
        }
        Ok(selection.settled())
    }

    /// Reads filters on one type, whose keys may leave the type out.
    pub(super) fn of_type(type_name: &str, filters: &[InventoryFilter]) -> Result<Demand, ApiError> {
        let mut selection = Self::default();
        for filter in filters {
            let attribute = filter.key.strip_prefix(type_name).and_then(|rest| rest.strip_prefix('.')).unwrap_or(&filter.key);
            if !is_attribute(attribute) || attribute.contains(':') {
                return Err(error::filter(format!("filter {:?}: write an attribute of {type_name}, for example Name", filter.key)));
            }
            selection.add(type_name.to_owned(), Condition::read(attribute.to_owned(), filter, false)?);
        }
        Ok(selection.0.remove(type_name).unwrap_or_default())
    }

    fn add(&mut self, type_name: String, condition: Condition) {
        let demand = self.0.entry(type_name).or_default();
        let is_absent = condition.operator == Operator::Exists && condition.values.iter().all(|value| value == "false");
        if is_absent { demand.none.push(condition) } else { demand.one.push(condition) }
    }

    fn settled(mut self) -> Self {
        for demand in self.0.values_mut() {
            if demand.one.iter().all(|condition| condition.operator == Operator::NotEqual) {
                let equal = |condition: Condition| Condition { operator: Operator::Equal, ..condition };
                demand.none.extend(demand.one.drain(..).map(equal));
            }
        }
        self
    }

    /// The nodes that are named one by one, if they are.
    pub(super) fn named_nodes(&self) -> Vec<String> {
        let named = |condition: &&Condition| condition.operator == Operator::Equal && condition.attribute == "InstanceId";
        let demand = self.0.get(INSTANCE_INFORMATION);
        demand.and_then(|demand| demand.one.iter().find(named)).map(|condition| condition.values.clone()).unwrap_or_default()
    }
}

impl Demand {
    /// Whether entries are as demanded.
    pub(super) fn holds(&self, entries: &[InventoryEntry]) -> bool {
        let has_one = self.one.is_empty() || entries.iter().any(|entry| self.is_one(entry));
        has_one && !entries.iter().any(|entry| self.is_none(entry))
    }

    /// Whether an entry is one that there must be.
    pub(super) fn is_one(&self, entry: &InventoryEntry) -> bool {
        self.one.iter().all(|condition| condition.holds(entry))
    }

    /// Whether an entry is one that there must not be.
    pub(super) fn is_none(&self, entry: &InventoryEntry) -> bool {
        self.none.iter().any(|condition| condition.exists_in(entry))
    }

    /// The beginnings of the names that entries in question have, where only some names are.
    pub(super) fn names(&self) -> Vec<String> {
        let names = |conditions: &[Condition]| -> Option<Vec<String>> {
            let named = |condition: &&Condition| condition.operator == Operator::Equal && condition.attribute == "Name";
            conditions.iter().find(named).map(|condition| condition.values.iter().map(|value| name_beginning(value)).collect())
        };
        match (self.one.as_slice(), self.none.as_slice()) {
            (one, []) => names(one).unwrap_or_default(),
            ([], [only]) => names(std::slice::from_ref(only)).unwrap_or_default(),
            _ => Vec::new(),
        }
    }
}

impl Condition {
    fn read(attribute: String, filter: &InventoryFilter, is_counted: bool) -> Result<Self, ApiError> {
        let wrong = |what: &str| error::filter(format!("filter {:?}: {what}", filter.key));
        let operator = match filter.r#type.as_deref() {
            None | Some("Equal") => Operator::Equal,
            Some("NotEqual") => Operator::NotEqual,
            Some("BeginWith") => Operator::BeginWith,
            Some("LessThan") => Operator::LessThan,
            Some("GreaterThan") => Operator::GreaterThan,
            Some("Exists") if !is_counted => return Err(wrong("Exists is taken with Aggregators, and in their groups, only")),
            Some("Exists") => Operator::Exists,
            Some(_) => return Err(wrong("use Equal, NotEqual, BeginWith, LessThan, GreaterThan or Exists")),
        };
        if filter.values.iter().any(|value| value.len() > MAXIMUM_VALUE) {
            return Err(wrong("a value has at most 4096 bytes"));
        }
        let is_word = |value: &String| matches!(value.as_str(), "true" | "false");
        if operator == Operator::Exists && (filter.values.len() != 1 || !filter.values.iter().all(is_word)) {
            return Err(wrong("Exists is taken with the one value true or false"));
        }
        Ok(Self { attribute, operator, values: filter.values.clone() })
    }

    fn holds(&self, entry: &InventoryEntry) -> bool {
        let value = entry.get(&self.attribute).map_or("", String::as_str);
        let any = |holds: &dyn Fn(&str) -> bool| self.values.iter().any(|wanted| holds(wanted));
        match self.operator {
            Operator::Equal => any(&|wanted| value == wanted),
            Operator::NotEqual => !any(&|wanted| value == wanted),
            Operator::BeginWith => any(&|wanted| value.starts_with(wanted)),
            Operator::LessThan => !value.is_empty() && any(&|wanted| compared(value, wanted) == Ordering::Less),
            Operator::GreaterThan => !value.is_empty() && any(&|wanted| compared(value, wanted) == Ordering::Greater),
            Operator::Exists => !value.is_empty(),
        }
    }

    /// The condition of an entry that must not be; a missing attribute is none.
    fn exists_in(&self, entry: &InventoryEntry) -> bool {
        self.holds(entry)
    }
}

/// Compares as people count: runs of digits as numbers, the rest as text. `1.10` is more than `1.9`.
fn compared(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (one, other);
    loop {
        let ((mine, my_rest, is_mine), (theirs, their_rest, is_theirs)) = (run(one), run(other));
        let order = if is_mine && is_theirs {
            let (mine, theirs) = (mine.trim_start_matches('0'), theirs.trim_start_matches('0'));
            mine.len().cmp(&theirs.len()).then_with(|| mine.cmp(theirs))
        } else {
            mine.cmp(theirs)
        };
        if order != Ordering::Equal || (my_rest.is_empty() && their_rest.is_empty()) {
            return order;
        }
        (one, other) = (my_rest, their_rest);
    }
}

/// The digits, or the other letters, with which a text begins; what follows; and whether they are digits.
fn run(text: &str) -> (&str, &str, bool) {
    let is_digits = text.starts_with(|letter: char| letter.is_ascii_digit());
    let end = text.find(|letter: char| letter.is_ascii_digit() != is_digits).unwrap_or(text.len());
    let (run, rest) = text.split_at(end);
    (run, rest, is_digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(key: &str, operator: &str, values: &[&str]) -> InventoryFilter {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        InventoryFilter { key: key.to_owned(), values, r#type: Some(operator.to_owned()) }
    }

    fn entry(name: &str, version: &str) -> InventoryEntry {
        [("Name", name), ("Version", version)].into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    fn holds(filters: &[InventoryFilter]) -> bool {
        let entries = [entry("openssl", "3.0.9"), entry("bash", "5.2")];
        let selection = Selection::read(filters, true, &BTreeSet::new()).unwrap();
        selection.0.values().all(|demand| demand.holds(&entries))
    }

    #[test]
    fn filters_on_one_type_hold_for_one_entry() {
        let name = |operator, value| filter("AWS:Application.Name", operator, &[value]);
        let version = |operator, value| filter("AWS:Application.Version", operator, &[value]);
        for (filters, expected) in [
            (vec![name("Equal", "openssl")], true),
            (vec![name("Equal", "Openssl")], false),
            (vec![name("BeginWith", "open")], true),
            (vec![name("Equal", "openssl"), version("Equal", "5.2")], false),
            (vec![name("Equal", "openssl"), version("LessThan", "3.0.10")], true),
            (vec![name("Equal", "openssl"), version("GreaterThan", "3.0.10")], false),
            (vec![name("Equal", "openssl"), version("NotEqual", "3.0.9")], false),
            (vec![name("Equal", "openssl"), version("NotEqual", "3.0.8")], true),
            (vec![name("NotEqual", "bash")], false),
            (vec![name("NotEqual", "zsh")], true),
            (vec![filter("AWS:Application.Name", "Exists", &["true"])], true),
            (vec![filter("AWS:Application.URL", "Exists", &["true"])], false),
            (vec![filter("AWS:Application.URL", "Exists", &["false"])], true),
            (vec![name("Equal", "bash"), filter("Custom:Rack.Unit", "Exists", &["true"])], false),
        ] {
            assert_eq!(holds(&filters), expected, "{filters:?}");
        }
    }

    #[test]
    fn filters_that_mean_nothing_are_refused() {
        for wrong in [
            filter("Name", "Equal", &["x"]),
            filter("AWS:Application", "Equal", &["x"]),
            filter("AWS:Application.", "Equal", &["x"]),
            filter("Other:X.Name", "Equal", &["x"]),
            filter("AWS:X.Name", "Like", &["x"]),
            filter("AWS:X.Name", "Exists", &["x"]),
            filter("AWS:X.Name", "Exists", &["true", "false"]),
        ] {
            assert_eq!(
                Selection::read(std::slice::from_ref(&wrong), true, &BTreeSet::new()).unwrap_err().kind,
                "InvalidFilter",
                "{wrong:?}"
            );
        }
        assert!(
            Selection::read(&[filter("AWS:X.Name", "Exists", &["true"])], false, &BTreeSet::new()).is_err(),
            "only with what is counted"
        );
    }

    #[test]
    fn a_key_is_divided_where_a_type_is_known() {
        for (types, type_name, attribute) in [
            (vec![], "Custom:Rack.1", "Unit"),
            (vec!["Custom:Rack"], "Custom:Rack", "1.Unit"),
            (vec!["Custom:Rack", "Custom:Rack.1"], "Custom:Rack.1", "Unit"),
        ] {
            let types = types.into_iter().map(str::to_owned).collect();
            assert_eq!(key("Custom:Rack.1.Unit", &types), Some((type_name.to_owned(), attribute.to_owned())), "{types:?}");
        }
    }

    #[test]
    fn versions_are_compared_as_people_count() {
        for (one, other) in [("1.9", "1.10"), ("1.2", "1.2.1"), ("9", "10"), ("1.2-3", "1.2-12"), ("a", "b"), ("1.02", "1.3")] {
            assert_eq!((compared(one, other), compared(other, one)), (Ordering::Less, Ordering::Greater), "{one} {other}");
        }
        assert_eq!(compared("1.02", "1.2"), Ordering::Equal);
    }
}
