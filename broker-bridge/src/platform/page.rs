//! Pages of a list: how many entries, and an opaque token that says where the next page begins.
//!
//! A token is bound to its operation and its filters: it names the last entry of the page before, so entries that come or go
//! meanwhile neither repeat nor shift what follows.

use super::http::ApiError;
use super::store::{Store, StoreError};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flotilla_protocol::sha256;
use serde::Serialize;
use sqlx::{QueryBuilder, Sqlite};
use std::ops::RangeInclusive;

/// Longest token that is looked at, in characters.
const MAXIMUM_TOKEN: usize = 1024;
/// Bytes of the checksum in a token: it tells mistakes, not attackers; a token opens nothing that its caller may not see.
const CHECKSUM_BYTES: usize = 8;

/// Entries that a page of such a list looks at, whatever its filters let through: tens of milliseconds of a reader. Smaller fleets see
/// every page full.
pub const PART: i64 = 20_000;

/// What a list's tokens are bound to.
#[derive(Debug, Clone, Copy)]
pub struct TokenScope([u8; 32]);

impl TokenScope {
    /// The scope of an operation with these filters.
    #[must_use]
    pub fn new(operation: &str, filters: &impl Serialize) -> Self {
        // A filter that cannot be written as JSON cannot have come as JSON.
        let filters = serde_json::to_vec(filters).unwrap_or_default();
        Self(sha256(&[operation.as_bytes(), &[0], &filters]))
    }

    /// The token for a page that ends with this entry.
    #[must_use]
    pub fn token(&self, last: &str) -> String {
        let mut bytes = self.checksum(last);
        bytes.extend_from_slice(last.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The entry after which the page begins; nothing for the first page.
    ///
    /// # Errors
    /// `InvalidNextToken`, when the token was not made for this operation and these filters.
    pub fn after(&self, token: Option<&str>) -> Result<Option<String>, ApiError> {
        let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(None) };
        let invalid = || ApiError::new("InvalidNextToken", "the token was not given for this list with these filters; begin without one");
        if token.len() > MAXIMUM_TOKEN {
            return Err(invalid());
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| invalid())?;
        let (checksum, last) = bytes.split_first_chunk::<CHECKSUM_BYTES>().ok_or_else(invalid)?;
        let last = std::str::from_utf8(last).map_err(|_| invalid())?;
        if checksum.as_slice() == self.checksum(last) { Ok(Some(last.to_owned())) } else { Err(invalid()) }
    }

    fn checksum(&self, last: &str) -> Vec<u8> {
        sha256(&[&self.0, last.as_bytes()]).iter().take(CHECKSUM_BYTES).copied().collect()
    }
}

/// How many entries a page has: what was asked for, else the most.
///
/// # Errors
/// `ValidationException`, when what was asked for is not within `limits`.
pub fn page_size(asked: Option<i32>, limits: RangeInclusive<i32>) -> Result<i64, ApiError> {
    match asked {
        None => Ok(i64::from(*limits.end())),
        Some(size) if limits.contains(&size) => Ok(i64::from(size)),
        Some(size) => Err(ApiError::validation(format!("MaxResults must be from {} to {}, not {size}", limits.start(), limits.end()))),
    }
}

/// Cuts a list that was read with one entry too many to a page of `size`; the token of the next page, where there is one.
pub fn cut<T>(entries: &mut Vec<T>, size: i64, scope: &TokenScope, key: impl Fn(&T) -> String) -> Option<String> {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if entries.len() <= size {
        return None;
    }
    entries.truncate(size);
    entries.last().map(|last| scope.token(&key(last)))
}

/// A list whose filters no index serves looks at a part of its table with each page: up to the entry that this finds, and to the end
/// where it finds none. The part is examined whole, so a page can be short or empty and still have a next one.
///
/// # Errors
/// What the database says.
pub async fn part_end(store: &Store, table: &'static str, key: &'static str, after: Option<&str>) -> Result<Option<String>, StoreError> {
    let mut query: QueryBuilder<Sqlite> = QueryBuilder::new("SELECT ");
    query.push(key).push(" FROM ").push(table).push(" WHERE ").push(key).push(" > ").push_bind(after.unwrap_or_default().to_owned());
    query.push(" ORDER BY ").push(key).push(" LIMIT 1 OFFSET ").push_bind(PART - 1);
    Ok(query.build_query_scalar().fetch_optional(store.reader()).await?)
}

/// Cuts a part that was read with one entry too many to a page of `size`; the token of the next page, where there is one.
pub fn cut_part<T>(
    entries: &mut Vec<T>,
    size: i64,
    scope: &TokenScope,
    part_end: Option<String>,
    key: impl Fn(&T) -> String,
) -> Option<String> {
    cut(entries, size, scope, key).or_else(|| part_end.map(|end| scope.token(&end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_works_only_where_it_was_given() {
        let scope = TokenScope::new("ListCommands", &["a"]);
        let token = scope.token("entry-7");
        assert_eq!(scope.after(Some(&token)).unwrap().as_deref(), Some("entry-7"));
        assert_eq!(scope.after(None).unwrap(), None);
        for (other, token) in [
            (TokenScope::new("ListCommands", &["b"]), token.as_str()),
            (TokenScope::new("ListDocuments", &["a"]), token.as_str()),
            (scope, "AAAA"),
            (scope, "not a token"),
            (scope, &"A".repeat(2000)),
        ] {
            assert_eq!(other.after(Some(token)).unwrap_err().kind, "InvalidNextToken");
        }
    }

    #[test]
    fn a_page_is_cut_only_when_more_follows() {
        let scope = TokenScope::new("x", &());
        let mut three = vec![1, 2, 3];
        assert_eq!(cut(&mut three, 3, &scope, ToString::to_string), None);
        assert_eq!(cut(&mut three, 2, &scope, ToString::to_string), Some(scope.token("2")));
        assert_eq!(three, [1, 2]);
        assert!(page_size(Some(0), 1..=50).is_err());
        assert_eq!(page_size(None, 5..=50).unwrap(), 50);
    }
}
