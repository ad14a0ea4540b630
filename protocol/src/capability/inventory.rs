//! What is on a node: its software, its network, its services, its hardware, and whatever its site adds.
//!
//! An inventory is a table a type: attributes as columns, entries as rows, in one order that both sides know ([`Table`]). A node says a
//! whole table once; after that it says what has changed, and nothing where nothing has. Each report names the hash of the table that it
//! changes and the hash of what comes out, so that a bridge which has another table sees that at once and keeps what it has until a whole
//! one comes. What a report carries is compressed with DEFLATE (RFC 1951), column by column, because neighbours in a column are alike.

use crate::wire::{Check, DecodeError, bytes, limit};
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::marker::PhantomData;
use serde::{Deserialize, Deserializer, Serialize, de};

/// Longest name of a type, in bytes (SSM: `InventoryItemTypeName`).
pub const MAXIMUM_TYPE_BYTES: usize = 100;
/// Most types of a node (SSM: `InventoryItemList`).
pub const MAXIMUM_TYPES: usize = 30;
/// Most attributes of a type (SSM: `InventoryItemEntry`).
pub const MAXIMUM_ATTRIBUTES: usize = 50;
/// Longest name of an attribute, in bytes.
pub const MAXIMUM_ATTRIBUTE_BYTES: usize = 64;
/// Most entries of a type (SSM: `InventoryItemEntryList`).
pub const MAXIMUM_ENTRIES: usize = 10_000;
/// Longest value, in bytes (SSM: `InventoryItemEntry`).
pub const MAXIMUM_VALUE_BYTES: usize = 4096;
/// Largest table, and largest change, before it is compressed, in bytes: a node of 64 MB of memory bears it.
pub const MAXIMUM_TABLE_BYTES: usize = 2 * 1024 * 1024;
/// Largest piece of a compressed change in one report, in bytes.
pub const MAXIMUM_PIECE_BYTES: usize = 16 * 1024;
/// Largest number in the version of a type's attributes: a person counts them, and nobody goes beyond what another may still count up from.
pub const MAXIMUM_SCHEMA_VERSION: u32 = 999_999;
/// Most pieces of a change.
pub const MAXIMUM_PIECES: u16 = 64;

/// A piece of what changed in a type.
///
/// The pieces of a change come one after the other in one chain, each with the same type, base and hash. Whoever reads a piece that does not
/// follow the one before forgets what it has of the change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryReport {
    /// `AWS:Application`, `Custom:Rack` or the like.
    pub type_name: String,
    /// Version of the type's attributes, major and minor: 1 and 1 are `1.1`. Each at most [`MAXIMUM_SCHEMA_VERSION`].
    pub schema_version: (u32, u32),
    /// [`Table::hash`] of the table that is changed; nothing where the change makes the table from an empty one.
    pub base: Option<[u8; 32]>,
    /// [`Table::hash`] of the table that comes out.
    pub hash: [u8; 32],
    /// Which piece, from 0.
    pub piece: u16,
    /// How many there are.
    pub pieces: u16,
    /// The piece: of the postcard form of a [`Change`], compressed. At most [`MAXIMUM_PIECE_BYTES`].
    #[serde(with = "bytes")]
    pub bytes: Vec<u8>,
}

impl Check for InventoryReport {
    fn check(&self) -> Result<(), DecodeError> {
        limit(is_type_name(&self.type_name), "the name of an inventory type")?;
        let (major, minor) = self.schema_version;
        limit(major.max(minor) <= MAXIMUM_SCHEMA_VERSION, "the version of an inventory type")?;
        limit(self.pieces > 0 && self.pieces <= MAXIMUM_PIECES && self.piece < self.pieces, "the pieces of an inventory")?;
        limit(!self.bytes.is_empty() && self.bytes.len() <= MAXIMUM_PIECE_BYTES, "a piece of an inventory")
    }
}

/// Whether a text may name a type: `AWS:` or `Custom:`, and then letters, digits, `.`, `-` and `_`.
#[must_use]
pub fn is_type_name(name: &str) -> bool {
    let rest = name.strip_prefix("AWS:").or_else(|| name.strip_prefix("Custom:"));
    name.len() <= MAXIMUM_TYPE_BYTES && rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(is_of_name))
}

/// Whether a text may name an attribute: letters, digits, `.`, `-` and `_`.
#[must_use]
pub fn is_attribute(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAXIMUM_ATTRIBUTE_BYTES && name.bytes().all(is_of_name)
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')
}

/// Values of one entry, in the order of the table's attributes; an empty text where the entry lacks one.
pub type Row = Vec<String>;

/// The entries of a type, each once, in ascending order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    attributes: Vec<String>,
    rows: BTreeSet<Row>,
}

/// What changes in a table. On the wire it is columns: an attribute's values of all added rows stand together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The attributes from now on. Where they are others than before, all rows of before must be removed.
    #[serde(deserialize_with = "at_most::<_, _, MAXIMUM_ATTRIBUTES>")]
    attributes: Vec<String>,
    /// Places of the rows that go, counted in the order of the base; each is given as its distance from the one before, the first from 0.
    #[serde(deserialize_with = "at_most::<_, _, MAXIMUM_ENTRIES>")]
    removed: Vec<u32>,
    /// How many rows come.
    added: u32,
    /// Their values, column by column: `added` for each attribute.
    #[serde(deserialize_with = "at_most::<_, _, MAXIMUM_VALUES>")]
    values: Vec<String>,
}

/// Most values of a change.
const MAXIMUM_VALUES: usize = MAXIMUM_ENTRIES * MAXIMUM_ATTRIBUTES;

/// Reads a list of at most `MAXIMUM` elements: a longer one is refused before it takes memory, for an empty text is one byte of a change and a
/// whole `String` of memory.
fn at_most<'de, D, T, const MAXIMUM: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Visitor<T, const MAXIMUM: usize>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>, const MAXIMUM: usize> de::Visitor<'de> for Visitor<T, MAXIMUM> {
        type Value = Vec<T>;
        fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            write!(f, "a list of at most {MAXIMUM}")
        }
        fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let announced = list.size_hint().unwrap_or(0);
            if announced > MAXIMUM {
                return Err(de::Error::invalid_length(announced, &self));
            }
            let mut elements = Vec::new();
            while let Some(element) = list.next_element()? {
                if elements.len() == MAXIMUM {
                    return Err(de::Error::invalid_length(MAXIMUM + 1, &self));
                }
                elements.push(element);
            }
            Ok(elements)
        }
    }
    deserializer.deserialize_seq(Visitor::<T, MAXIMUM>(PhantomData))
}

impl Check for Change {
    fn check(&self) -> Result<(), DecodeError> {
        limit(self.attributes.len() <= MAXIMUM_ATTRIBUTES, "the number of attributes of an inventory")?;
        limit(self.attributes.iter().all(|name| is_attribute(name)), "the name of an attribute of an inventory")?;
        limit(self.attributes.is_sorted_by(|one, next| one < next), "the order of the attributes of an inventory")?;
        limit(self.removed.len() <= MAXIMUM_ENTRIES, "the number of removed entries of an inventory")?;
        let added = usize::try_from(self.added).unwrap_or(usize::MAX);
        limit(added <= MAXIMUM_ENTRIES && (added == 0 || !self.attributes.is_empty()), "the number of entries of an inventory")?;
        limit(self.values.len() == added * self.attributes.len(), "the number of values of an inventory")?;
        limit(self.values.iter().all(|value| value.len() <= MAXIMUM_VALUE_BYTES), "a value of an inventory")
    }
}

/// Why a table cannot be made, or a change does not fit one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableError {
    /// Something is beyond its limit, or malformed.
    Refused(DecodeError),
    /// A row has not as many values as there are attributes.
    Ragged,
    /// A row is removed that is not there, or one is added that is.
    Unfit,
}

impl core::fmt::Display for TableError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Refused(why) => why.fmt(f),
            Self::Ragged => f.write_str("an entry of the inventory has not as many values as there are attributes"),
            Self::Unfit => f.write_str("the change of the inventory does not fit what it changes"),
        }
    }
}

impl core::error::Error for TableError {}

impl From<DecodeError> for TableError {
    fn from(why: DecodeError) -> Self {
        Self::Refused(why)
    }
}

impl Table {
    /// A table of these attributes, ascending, and these rows in any order. Rows that are the same are one.
    ///
    /// # Errors
    /// What is beyond a limit, or a row that is too short or too long.
    pub fn new(attributes: Vec<String>, rows: impl IntoIterator<Item = Row>) -> Result<Self, TableError> {
        let mut table = Self { attributes, rows: BTreeSet::new() };
        let mut room = MAXIMUM_TABLE_BYTES;
        for row in rows {
            if row.len() != table.attributes.len() {
                return Err(TableError::Ragged);
            }
            let size = row.iter().try_fold(0_usize, |sum, value| {
                limit(value.len() <= MAXIMUM_VALUE_BYTES, "a value of an inventory").map(|()| sum.saturating_add(value.len() + 3))
            })?;
            room = room.checked_sub(size).ok_or(DecodeError::BeyondLimit("the size of an inventory"))?;
            table.rows.insert(row);
            limit(table.rows.len() <= MAXIMUM_ENTRIES, "the number of entries of an inventory")?;
        }
        Change { attributes: table.attributes.clone(), removed: Vec::new(), added: 0, values: Vec::new() }.check()?;
        Ok(table)
    }

    /// The names of the columns, ascending.
    #[must_use]
    pub fn attributes(&self) -> &[String] {
        &self.attributes
    }

    /// The rows, ascending.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &Row> {
        self.rows.iter()
    }

    /// SHA-256 of the postcard form of the change that makes this table from an empty one.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        crate::sha256(&[&self.whole().to_bytes()])
    }

    /// The change that makes this table from an empty one.
    #[must_use]
    pub fn whole(&self) -> Change {
        self.change_with(Vec::new(), self.rows.iter())
    }

    /// The change that makes this table from `base`.
    #[must_use]
    pub fn change_from(&self, base: &Self) -> Change {
        let is_same_kind = self.attributes == base.attributes;
        let stays = |row: &Row, other: &Self| is_same_kind && other.rows.contains(row);
        let mut before = 0;
        let removed = (0_u32..).zip(&base.rows).filter(|(_, row)| !stays(row, self)).map(|(place, _)| {
            let distance = place - before;
            before = place;
            distance
        });
        let removed = removed.collect();
        self.change_with(removed, self.rows.iter().filter(|row| !stays(row, base)))
    }

    fn change_with<'r>(&self, removed: Vec<u32>, added: impl Iterator<Item = &'r Row>) -> Change {
        let added: Vec<&Row> = added.collect();
        let columns = 0..self.attributes.len();
        let values = columns.flat_map(|column| added.iter().filter_map(move |row| row.get(column).cloned())).collect();
        Change { attributes: self.attributes.clone(), removed, added: u32::try_from(added.len()).unwrap_or(u32::MAX), values }
    }

    /// The table that a change makes of this one.
    ///
    /// # Errors
    /// [`TableError::Unfit`] where the change was made for another table; what is beyond a limit.
    pub fn changed_by(&self, change: &Change) -> Result<Self, TableError> {
        change.check()?;
        let mut removed = BTreeSet::new();
        let mut place = 0_u32;
        for (index, distance) in change.removed.iter().enumerate() {
            if index > 0 && *distance == 0 {
                return Err(TableError::Unfit);
            }
            place = place.checked_add(*distance).ok_or(TableError::Unfit)?;
            removed.insert(place);
        }
        let is_outside = |place: &u32| usize::try_from(*place).is_ok_and(|place| place >= self.rows.len());
        if removed.last().is_some_and(is_outside) || (change.attributes != self.attributes && removed.len() != self.rows.len()) {
            return Err(TableError::Unfit);
        }
        let kept = (0_u32..).zip(&self.rows).filter(|(place, _)| !removed.contains(place)).map(|(_, row)| row.clone());
        let added = usize::try_from(change.added).unwrap_or(usize::MAX);
        let row = |index: usize| -> Row { change.values.iter().skip(index).step_by(added.max(1)).cloned().collect() };
        let expected = self.rows.len() - removed.len() + added;
        let table = Self::new(change.attributes.clone(), kept.chain((0..added).map(row)))?;
        // A row that comes and was there, or comes twice: the other side has made the change of something else.
        if table.rows.len() == expected { Ok(table) } else { Err(TableError::Unfit) }
    }
}

impl Change {
    /// Whether nothing changes.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.removed.is_empty() && self.added == 0
    }

    /// The postcard form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        crate::wire::encode(self)
    }

    /// Reads the postcard form, which may be larger than a message: at most [`MAXIMUM_TABLE_BYTES`].
    ///
    /// # Errors
    /// As [`crate::wire::decode`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        limit(bytes.len() <= MAXIMUM_TABLE_BYTES, "the size of an inventory")?;
        let (change, rest): (Self, &[u8]) = postcard::take_from_bytes(bytes).map_err(|_| DecodeError::Malformed)?;
        if !rest.is_empty() {
            return Err(DecodeError::TrailingBytes);
        }
        change.check()?;
        Ok(change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::borrow::ToOwned;
    use alloc::format;
    use alloc::vec;
    use proptest::prelude::*;

    fn table(rows: &[[&str; 2]]) -> Table {
        let rows = rows.iter().map(|row| row.map(str::to_owned).to_vec());
        Table::new(vec!["Name".to_owned(), "Version".to_owned()], rows).unwrap()
    }

    #[test]
    fn one_upgraded_package_is_one_row_out_and_one_in() {
        let before = table(&[["a", "1"], ["b", "1"], ["c", "1"], ["d", "1"]]);
        let after = table(&[["a", "1"], ["b", "2"], ["c", "1"], ["d", "1"]]);
        let change = after.change_from(&before);
        assert_eq!((change.removed.clone(), change.added), (vec![1], 1));
        assert_eq!(before.changed_by(&change).unwrap(), after);
        assert!(before.change_from(&before).is_nothing());
        // It was made of another table; where that is not seen so, the hashes of a report tell.
        assert_eq!(Table::default().changed_by(&change), Err(TableError::Unfit));
    }

    #[test]
    fn what_malice_writes_is_refused() {
        let base = table(&[["a", "1"], ["b", "1"]]);
        let change = |removed: Vec<u32>, added, values: &[&str]| Change {
            attributes: base.attributes.clone(),
            removed,
            added,
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        };
        assert_eq!(base.changed_by(&change(vec![0, 0], 0, &[])), Err(TableError::Unfit), "one row twice");
        assert_eq!(base.changed_by(&change(vec![1, u32::MAX], 0, &[])), Err(TableError::Unfit), "beyond the end, past the largest number");
        assert_eq!(base.changed_by(&change(vec![2], 0, &[])), Err(TableError::Unfit), "beyond the end");
        assert_eq!(base.changed_by(&change(vec![], 1, &["a", "1"])), Err(TableError::Unfit), "a row that is there");
        assert!(matches!(base.changed_by(&change(vec![], 2, &["x", "1"])), Err(TableError::Refused(_))), "too few values");
        assert!(matches!(base.changed_by(&change(vec![], u32::MAX, &[])), Err(TableError::Refused(_))));
        let others = Change { attributes: vec!["Other".to_owned()], removed: vec![0], added: 0, values: vec![] };
        assert_eq!(base.changed_by(&others), Err(TableError::Unfit), "other attributes, and a row of before stays");
        let names = ["B", "A"].map(str::to_owned).to_vec();
        assert!(Table::new(names, []).is_err(), "attributes in any order would make two tables of one");
        assert_eq!(Table::new(vec!["A".to_owned()], [vec![]]), Err(TableError::Ragged));
        let long = "v".repeat(MAXIMUM_VALUE_BYTES);
        let rows = (0..MAXIMUM_TABLE_BYTES / MAXIMUM_VALUE_BYTES + 1).map(|row| vec![format!("{row}"), long.clone()]);
        assert!(Table::new(["A", "B"].map(str::to_owned).to_vec(), rows).is_err());
    }

    #[test]
    fn names_of_types() {
        for (name, is_one) in [
            ("AWS:Application", true),
            ("Custom:Rack.1_a-b", true),
            ("Custom:", false),
            ("Other:Thing", false),
            ("Custom:a b", false),
            ("Custom:../x", false),
        ] {
            assert_eq!(is_type_name(name), is_one, "{name}");
        }
        assert!(!is_type_name(&format!("Custom:{}", "x".repeat(94))) && is_type_name(&format!("Custom:{}", "x".repeat(93))));
    }

    #[test]
    fn a_list_that_is_too_long_is_refused_as_it_is_read() {
        let list = |length: usize| crate::wire::encode(&vec![String::new(); length]);
        let read = |bytes: &[u8]| {
            let mut deserializer = postcard::Deserializer::from_bytes(bytes);
            at_most::<_, String, 3>(&mut deserializer)
        };
        assert_eq!(read(&list(3)).unwrap().len(), 3);
        assert_eq!(read(&list(4)).unwrap_err(), postcard::Error::SerdeDeCustom);
        // What stands after the last one that has room is not read.
        assert_eq!(read(&[&list(4)[..], &[0xff; 16][..]].concat()).unwrap_err(), postcard::Error::SerdeDeCustom);
    }

    #[test]
    fn versions_leave_room_to_count_on() {
        let report = |schema_version| InventoryReport {
            type_name: "Custom:Rack".to_owned(),
            schema_version,
            base: None,
            hash: [0; 32],
            piece: 0,
            pieces: 1,
            bytes: vec![1],
        };
        assert!(report((MAXIMUM_SCHEMA_VERSION, MAXIMUM_SCHEMA_VERSION)).check().is_ok());
        assert!(report((MAXIMUM_SCHEMA_VERSION + 1, 0)).check().is_err() && report((1, u32::MAX)).check().is_err());
    }

    fn any_table() -> impl Strategy<Value = Table> {
        proptest::collection::btree_set([0_u8..6, 0_u8..3, 0_u8..3], 0..12).prop_map(|rows| {
            let rows = rows.into_iter().map(|row| row.map(|value| format!("{value}")).to_vec());
            Table::new(["A", "B", "C"].map(str::to_owned).to_vec(), rows).unwrap()
        })
    }

    proptest! {
        #[test]
        fn a_change_makes_the_one_table_of_the_other(one in any_table(), other in any_table()) {
            let change = other.change_from(&one);
            let read = Change::from_bytes(&change.to_bytes()).unwrap();
            prop_assert_eq!(one.changed_by(&read).unwrap(), other.clone());
            prop_assert_eq!(Table::default().changed_by(&other.whole()).unwrap().hash(), other.hash());
            prop_assert_eq!(one == other, one.hash() == other.hash());
        }

        #[test]
        fn any_bytes_are_a_change_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..64), base in any_table()) {
            if let Ok(change) = Change::from_bytes(&bytes) {
                let _fits = base.changed_by(&change);
            }
        }
    }
}
