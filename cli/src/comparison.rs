//! A key that is compared with values, as people type it: `KEY=VALUE,…`, and `!=`, `^=`, `<` or `>` instead of `=`.

/// How operators are written, each before those that are a part of it, and SSM's words for them.
const OPERATORS: [(&str, &str); 5] = [("!=", "NotEqual"), ("^=", "BeginWith"), ("=", "Equal"), ("<", "LessThan"), (">", "GreaterThan")];

/// Reads the key, SSM's word for the operator, and the values.
///
/// # Errors
/// A sentence on what to write, where there is no operator, no key or no value.
pub(crate) fn read(text: &str) -> Result<(String, String, Vec<String>), String> {
    // The first operator in the text counts: values may hold others.
    let found = OPERATORS.iter().filter_map(|(sign, operator)| Some((text.find(sign)?, *sign, *operator)));
    let (at, sign, operator) = found.min_by_key(|(at, _, _)| *at).ok_or("write KEY=VALUE, or !=, ^=, < or > between them")?;
    let (key, rest) = text.split_at(at);
    let values = rest.strip_prefix(sign).unwrap_or_default();
    if key.is_empty() || values.is_empty() {
        return Err("write a key before the operator and a value behind it".to_owned());
    }
    Ok((key.to_owned(), operator.to_owned(), values.split(',').map(str::to_owned).collect()))
}
