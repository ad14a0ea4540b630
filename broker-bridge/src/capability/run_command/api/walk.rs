//! A walk over an index, from the newest command on, a window at a time: what a page of a list examines is bounded, whatever
//! its filters let through.
//!
//! A walk has a *source*, which an index serves in the order of the keys, and conditions that decide about each entry. When
//! [`MAXIMUM_EXAMINED`] entries were looked at the page ends, short or even empty, with a token of the last one that was
//! examined. Keys never change, so an entry that fits all the while comes exactly once, an entry never comes twice, and one
//! that begins or ceases to fit meanwhile comes or not as it stood when its place was examined.

use crate::platform::store::StoreError;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

/// Most entries that one page looks at: some tens of milliseconds of a reader.
pub(super) const MAXIMUM_EXAMINED: usize = 5_000;
/// Entries of a window but the first.
const WINDOW: usize = 1_000;
/// Entries of the first window: many lists are short, and many filters let most through.
const FIRST_WINDOW: usize = 200;

/// Where an entry stands in a list: by its command and, for invocations, its node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) command_id: String,
    /// Empty in a list of commands.
    pub(super) node_id: String,
}

impl Key {
    /// The form in a token.
    pub(super) fn to_token(&self) -> String {
        format!("{}/{}", self.command_id, self.node_id)
    }

    /// The key of a token.
    pub(super) fn of_token(text: &str) -> Self {
        let (command_id, node_id) = text.split_once('/').unwrap_or((text, ""));
        Self { command_id: command_id.to_owned(), node_id: node_id.to_owned() }
    }
}

/// Conditions of SQL, each with the value that follows it.
#[derive(Debug, Clone, Default)]
pub(super) struct Conditions(Vec<(String, Option<String>, &'static str)>);

impl Conditions {
    /// Adds a condition without a value.
    pub(super) fn hold(&mut self, sql: impl Into<String>) {
        self.0.push((sql.into(), None, ""));
    }

    /// Adds a condition: text, a value, and what follows the value.
    pub(super) fn hold_with(&mut self, sql: impl Into<String>, value: impl Into<String>, rest: &'static str) {
        self.0.push((sql.into(), Some(value.into()), rest));
    }

    fn push(&self, query: &mut QueryBuilder<Sqlite>) {
        for (sql, value, rest) in &self.0 {
            query.push(" AND ").push(sql);
            if let Some(value) = value {
                query.push_bind(value.clone()).push(*rest);
            }
        }
    }
}

/// What is walked over.
#[derive(Debug, Clone)]
pub(super) struct Walk {
    /// The tables. Where there are two, the first is walked over and leads to the entries of the second.
    pub(super) from: &'static str,
    /// The column of the command's id that the source is ordered by.
    pub(super) command_id: &'static str,
    /// The column of the node's id; nothing in a list of commands.
    pub(super) node_id: Option<&'static str>,
    /// Command ids from here on …
    pub(super) low: String,
    /// … and below this.
    pub(super) high: String,
    /// What the index serves.
    pub(super) source: Conditions,
    /// What decides about each entry.
    pub(super) deciding: Conditions,
}

/// What a page found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The entries of the page, newest first.
    pub(super) keys: Vec<Key>,
    /// After which entry the next page begins; nothing at the end of the list.
    pub(super) next: Option<Key>,
    /// How many entries were looked at.
    pub(super) examined: usize,
}

impl Walk {
    /// Looks for up to `size` entries after a key.
    pub(super) async fn page(&self, connection: &mut SqliteConnection, after: Option<Key>, size: usize) -> Result<Found, StoreError> {
        let mut found = Found::default();
        let mut after = after;
        loop {
            let window = self.window_size(found.examined, size);
            let entries = self.window(connection, after.as_ref(), window).await?;
            found.examined += entries.len();
            let is_end = entries.len() < window;
            for (key, fits) in entries {
                if found.keys.len() < size {
                    found.keys.extend(fits.then(|| key.clone()));
                    after = Some(key);
                } else if fits {
                    found.next = found.keys.last().cloned();
                    return Ok(found);
                }
            }
            if is_end {
                return Ok(found);
            }
            if found.keys.len() == size || found.examined >= MAXIMUM_EXAMINED {
                found.next = after;
                return Ok(found);
            }
        }
    }

    fn window_size(&self, examined: usize, size: usize) -> usize {
        match examined {
            // Everything fits: one more than the page says whether there is a next one.
            _ if self.deciding.0.is_empty() => size + 1,
            0 => FIRST_WINDOW.max(size + 1),
            _ => WINDOW.min(MAXIMUM_EXAMINED - examined),
        }
    }

    /// The next entries, and whether each fits: first the rest of the command that the last page ended in, then older commands.
    async fn window(&self, connection: &mut SqliteConnection, after: Option<&Key>, size: usize) -> Result<Vec<(Key, bool)>, StoreError> {
        let mut entries = Vec::new();
        for mut query in self.queries(after) {
            let left = size - entries.len();
            if left == 0 {
                break;
            }
            query.push(" LIMIT ").push_bind(i64::try_from(left).unwrap_or(i64::MAX));
            let rows: Vec<(String, String, i64)> = query.build_query_as().fetch_all(&mut *connection).await?;
            entries.extend(rows.into_iter().map(|(command_id, node_id, fits)| (Key { command_id, node_id }, fits == 1)));
        }
        Ok(entries)
    }

    /// The queries that a window is made of, but for their limits. They are two, since only so each is one range of an index.
    pub(super) fn queries(&self, after: Option<&Key>) -> Vec<QueryBuilder<Sqlite>> {
        let mut queries = Vec::new();
        let mut below = &self.high;
        if let Some(after) = after {
            if let Some(node_id) = self.node_id.filter(|_| self.low <= after.command_id && after.command_id < self.high) {
                let mut rest = Conditions::default();
                rest.hold_with(format!("{} = ", self.command_id), &after.command_id, "");
                rest.hold_with(format!("{node_id} < "), &after.node_id, "");
                queries.push(self.query(&rest));
            }
            below = below.min(&after.command_id);
        }
        let mut older = Conditions::default();
        older.hold_with(format!("{} < ", self.command_id), below, "");
        older.hold_with(format!("{} >= ", self.command_id), &self.low, "");
        queries.push(self.query(&older));
        queries
    }

    fn query(&self, range: &Conditions) -> QueryBuilder<Sqlite> {
        let Self { from, command_id, node_id, source, deciding, .. } = self;
        let mut query = QueryBuilder::new("SELECT ");
        query.push(*command_id).push(", COALESCE(").push(node_id.unwrap_or("NULL")).push(", ''), CASE WHEN 1 = 1");
        deciding.push(&mut query);
        query.push(" THEN 1 ELSE 0 END FROM ").push(*from).push(" WHERE 1 = 1");
        range.push(&mut query);
        source.push(&mut query);
        query.push(" ORDER BY ").push(*command_id).push(" DESC");
        if let Some(node_id) = node_id {
            query.push(", ").push(*node_id).push(" DESC");
        }
        query
    }
}
