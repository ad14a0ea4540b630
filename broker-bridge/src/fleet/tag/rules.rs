//! What tags may be.

use crate::platform::http::ApiError;
use flotilla_api::tags::Tag;
use regex::Regex;
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// Most tags of a resource (AWS: 50).
pub const MAXIMUM_TAGS: usize = 50;
/// Longest key, in characters.
const MAXIMUM_KEY: usize = 128;
/// Longest value, in characters.
const MAXIMUM_VALUE: usize = 256;
/// Begins keys that operators cannot have.
const RESERVED_PREFIX: &str = "aws:";

/// The model's pattern: letters, digits and separators of all scripts, and `_.:/=+-@`.
static PLAIN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\A[\p{L}\p{Z}\p{N}_.:/=+\-@]*\z").expect("the pattern is a constant, compiled in a test"));

/// Checks the tags that a request brings.
///
/// # Errors
/// `ValidationException` for a key or value that cannot be one, `TooManyTagsError` for more than [`MAXIMUM_TAGS`].
pub fn check_new(tags: &[Tag]) -> Result<Vec<Tag>, ApiError> {
    let mut keys = BTreeSet::new();
    for tag in tags {
        check_key(&tag.key)?;
        if tag.value.chars().count() > MAXIMUM_VALUE || !PLAIN.is_match(&tag.value) {
            let expected = format!("at most {MAXIMUM_VALUE} letters, digits, spaces and _.:/=+-@");
            return Err(ApiError::validation(format!("Tags: {:?} is no value of a tag; use {expected}", tag.value)));
        }
        if !keys.insert(tag.key.as_str()) {
            return Err(ApiError::validation(format!("Tags: the key {:?} comes twice", tag.key)));
        }
    }
    if tags.len() > MAXIMUM_TAGS { Err(too_many()) } else { Ok(tags.to_vec()) }
}

/// Checks a key.
pub(super) fn check_key(key: &str) -> Result<(), ApiError> {
    if !(1..=MAXIMUM_KEY).contains(&key.chars().count()) || !PLAIN.is_match(key) {
        let expected = format!("1 to {MAXIMUM_KEY} letters, digits, spaces and _.:/=+-@");
        return Err(ApiError::validation(format!("Tags: {key:?} is no key of a tag; use {expected}")));
    }
    if key.to_ascii_lowercase().starts_with(RESERVED_PREFIX) {
        return Err(ApiError::validation(format!("Tags: {key:?} begins with {RESERVED_PREFIX}, which is reserved")));
    }
    Ok(())
}

/// The refusal of one tag too many.
pub(super) fn too_many() -> ApiError {
    ApiError::new("TooManyTagsError", format!("a resource has at most {MAXIMUM_TAGS} tags"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(key: &str, value: &str) -> Tag {
        Tag { key: key.to_owned(), value: value.to_owned() }
    }

    fn kind(tags: &[Tag]) -> String {
        check_new(tags).unwrap_err().kind.into_owned()
    }

    #[test]
    fn tags_have_limits() {
        let long = |count| "ä".repeat(count);
        assert!(check_new(&[tag(&long(128), &long(256)), tag("Patch Group", ""), tag("a:b/c=d+e-f@g_h.i", "1")]).is_ok());
        for wrong in [tag("", "x"), tag(&long(129), "x"), tag("a", &long(257)), tag("a;b", "x"), tag("a", "x\n"), tag("AWS:a", "x")] {
            assert_eq!(kind(std::slice::from_ref(&wrong)), "ValidationException", "{wrong:?}");
        }
        assert_eq!(kind(&[tag("a", "1"), tag("a", "2")]), "ValidationException");
        let many: Vec<Tag> = (0..=MAXIMUM_TAGS).map(|number| tag(&number.to_string(), "")).collect();
        assert_eq!(kind(&many), "TooManyTagsError");
        assert!(check_new(&many[1..]).is_ok());
    }
}
