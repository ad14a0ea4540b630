//! The first look at a request: does it keep the limits that the service model sets, member by member?
//!
//! A violation is answered in AWS's words, with the value and its path as the model's clients know them
//! (`filters.1.member.key`), all violations at once. Members of the wrong type and members that the model does not have are left to the
//! request's own type, which is read afterwards.

use super::ApiError;
use flotilla_api::model::{Member, Pattern, Shape, Span};
use regex::Regex;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Most violations that one answer names.
const MAXIMUM_VIOLATIONS: usize = 20;
/// Longest value that is shown in an answer, in characters.
const MAXIMUM_SHOWN: usize = 200;

/// The patterns of the requests that have an endpoint, compiled once.
#[derive(Debug, Default)]
pub(super) struct Patterns(BTreeMap<&'static str, Regex>);

impl Patterns {
    /// Compiles the patterns that a request reaches.
    ///
    /// # Panics
    /// When the table holds a pattern that is none, which no start of the program survives.
    pub(super) fn add(&mut self, request: &'static Shape) {
        let (mut left, mut seen) = (vec![request], BTreeSet::new());
        while let Some(shape) = left.pop() {
            // A shape can hold itself.
            if !seen.insert(std::ptr::from_ref(shape)) {
                continue;
            }
            match shape {
                Shape::Structure(members) => left.extend(members.iter().map(|member| member.shape)),
                Shape::List(_, entry) => left.push(entry),
                Shape::Map(_, key, value) => left.extend([*key, *value]),
                Shape::Text(_, Some(pattern)) => {
                    self.0.entry(pattern.rust).or_insert_with(|| compile(pattern));
                }
                Shape::Text(_, None) | Shape::Word(_) | Shape::Number(_) | Shape::Free => {}
            }
        }
    }

    /// Checks a request.
    ///
    /// # Errors
    /// `ValidationException` with every violation, up to [`MAXIMUM_VIOLATIONS`].
    pub(super) fn check(&self, shape: &Shape, request: &Value) -> Result<(), ApiError> {
        let mut violations = Violations { patterns: self, found: Vec::new() };
        violations.look(shape, request, "", false);
        let Violations { found, .. } = violations;
        match found.len() {
            0 => Ok(()),
            1 => Err(ApiError::validation(format!("1 validation error detected: {}", found.join("; ")))),
            count => Err(ApiError::validation(format!("{count} validation errors detected: {}", found.join("; ")))),
        }
    }

    fn matches(&self, pattern: &Pattern, text: &str) -> bool {
        // Every pattern of a request with an endpoint was added; one that was not refuses, as the safer side.
        self.0.get(pattern.rust).is_some_and(|regex| regex.is_match(text))
    }
}

/// A pattern of the models holds for the whole text.
fn compile(pattern: &Pattern) -> Regex {
    Regex::new(&format!(r"\A(?:{})\z", pattern.rust)).unwrap_or_else(|error| panic!("the model's pattern {}: {error}", pattern.model))
}

struct Violations<'a> {
    patterns: &'a Patterns,
    found: Vec<String>,
}

impl Violations<'_> {
    fn look(&mut self, shape: &Shape, value: &Value, path: &str, secret: bool) {
        if self.found.len() >= MAXIMUM_VIOLATIONS {
            return;
        }
        match (shape, value) {
            (Shape::Structure(members), Value::Object(object)) => {
                for member in *members {
                    self.member(member, object.get(member.name), path, secret);
                }
            }
            (Shape::List(span, entry), Value::Array(entries)) => {
                self.length(*span, entries.len(), value, path, secret);
                self.entries(entry, entries, value, path, secret);
            }
            (Shape::Map(span, key_shape, value_shape), Value::Object(object)) => {
                self.length(*span, object.len(), value, path, secret);
                let keys = object.keys().map(|key| Value::String(key.clone())).collect::<Vec<_>>();
                self.inner(key_shape, &keys, value, path, secret, "Map keys");
                if is_scalar(value_shape) {
                    let values = object.values().cloned().collect::<Vec<_>>();
                    self.inner(value_shape, &values, value, path, secret, "Map value");
                } else {
                    for (key, entry) in object {
                        // A key of a secret map is as secret as the rest.
                        let place = if secret { "value".to_owned() } else { shown(&Value::String(key.clone())) };
                        self.look(value_shape, entry, &format!("{path}.{place}.member"), secret);
                    }
                }
            }
            _ => {
                for constraint in self.constraints(shape, value) {
                    self.note(value, path, secret, &constraint);
                }
            }
        }
    }

    fn member(&mut self, member: &Member, value: Option<&Value>, path: &str, secret: bool) {
        let place = if path.is_empty() { lower(member.name) } else { format!("{path}.{}", lower(member.name)) };
        match value.filter(|value| !value.is_null()) {
            Some(value) => self.look(member.shape, value, &place, secret || member.secret),
            None if member.required => self.note(&Value::Null, &place, false, "Member must not be null"),
            None => {}
        }
    }

    fn entries(&mut self, shape: &Shape, entries: &[Value], whole: &Value, path: &str, secret: bool) {
        if is_scalar(shape) {
            self.inner(shape, entries, whole, path, secret, "Member");
            return;
        }
        for (index, entry) in entries.iter().enumerate() {
            if self.found.len() >= MAXIMUM_VIOLATIONS {
                return;
            }
            self.look(shape, entry, &format!("{path}.{}.member", index + 1), secret);
        }
    }

    /// The constraints that entries break are told of the list or map that holds them.
    fn inner(&mut self, shape: &Shape, entries: &[Value], whole: &Value, path: &str, secret: bool, what: &str) {
        let broken = entries.iter().map(|entry| self.constraints(shape, entry)).find(|broken| !broken.is_empty());
        if let Some(broken) = broken {
            self.note(whole, path, secret, &format!("{what} must satisfy constraint: [{}]", broken.join(", ")));
        }
    }

    fn length(&mut self, span: Span, length: usize, value: &Value, path: &str, secret: bool) {
        for constraint in outside(span, length, "length ") {
            self.note(value, path, secret, &constraint);
        }
    }

    /// What a value that holds no others breaks.
    fn constraints(&self, shape: &Shape, value: &Value) -> Vec<String> {
        match (shape, value) {
            (Shape::Text(span, pattern), Value::String(text)) => {
                let mut broken = outside(*span, text.chars().count(), "length ");
                if let Some(pattern) = pattern.filter(|pattern| !self.patterns.matches(pattern, text)) {
                    broken.push(format!("Member must satisfy regular expression pattern: {}", pattern.model));
                }
                broken
            }
            (Shape::Word(words), Value::String(text)) if !words.contains(&text.as_str()) => {
                vec![format!("Member must satisfy enum value set: [{}]", words.join(", "))]
            }
            (Shape::Number(span), Value::Number(number)) => match number.as_i64() {
                Some(number) => outside(*span, number, "value "),
                None => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    fn note(&mut self, value: &Value, path: &str, secret: bool, constraint: &str) {
        let value = match value {
            _ if secret => "Value".to_owned(),
            Value::Null => "Value null".to_owned(),
            value => format!("Value '{}'", shown(value)),
        };
        self.found.push(format!("{value} at '{path}' failed to satisfy constraint: {constraint}"));
    }
}

/// What is wrong with a number or a length outside of its span.
fn outside(span: Span, number: impl TryInto<i64>, what: &str) -> Vec<String> {
    let number = number.try_into().unwrap_or(i64::MAX);
    let too_little = span.least.filter(|least| number < *least);
    let too_much = span.most.filter(|most| number > *most);
    let little = too_little.map(|least| format!("Member must have {what}greater than or equal to {least}"));
    let much = too_much.map(|most| format!("Member must have {what}less than or equal to {most}"));
    little.into_iter().chain(much).collect()
}

fn is_scalar(shape: &Shape) -> bool {
    matches!(shape, Shape::Text(..) | Shape::Word(_) | Shape::Number(_) | Shape::Free)
}

/// `MaxResults` as messages have it: `maxResults`.
fn lower(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect()
}

/// A value for a message, cut where it is long.
fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(entries) => format!("[{}]", entries.iter().take(MAXIMUM_SHOWN).map(shown).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    };
    if text.chars().count() <= MAXIMUM_SHOWN {
        return text;
    }
    text.chars().take(MAXIMUM_SHOWN).chain("…".chars()).collect()
}

#[cfg(test)]
mod tests;
