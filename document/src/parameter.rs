//! Parameters: from what a caller gives, through the document's rules, to values that templates take.

use super::model::{Document, ParameterDefinition, ParameterType};
use flotilla_protocol::capability::command::Parameter;
use flotilla_protocol::document::Value as PlanValue;
use flotilla_protocol::secret::MAXIMUM_SECRET_BYTES;
use regex::{Regex, RegexBuilder};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// Largest compiled form of an allowedPattern, in bytes: far more than the patterns of documents need.
const MAXIMUM_PATTERN_BYTES: usize = 256 * 1024;

/// What is wrong with a parameter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {message}")]
pub struct ParameterError {
    /// The parameter.
    pub name: String,
    /// What is wrong, as a sentence that says what is expected.
    pub message: String,
}

fn error(name: &str, message: impl Into<String>) -> ParameterError {
    ParameterError { name: name.to_owned(), message: message.into() }
}

/// Checks a parameter of a new document: its pattern can be read, and its default keeps its own rules.
pub(crate) fn check_definition(name: &str, definition: &ParameterDefinition) -> Result<(), ParameterError> {
    if let Some(pattern) = &definition.allowed_pattern {
        compile_pattern(name, pattern)?;
    }
    if definition.r#type == ParameterType::SecureString {
        for (member, is_there) in [("default", definition.default.is_some()), ("allowedValues", definition.allowed_values.is_some())] {
            if is_there {
                return Err(error(name, format!("a SecureString has no {member}: whoever may read the document would read it")));
            }
        }
    }
    if let Some(default) = &definition.default {
        check_value(name, definition, default).map_err(|wrong| error(name, format!("the default is refused: {}", wrong.message)))?;
    }
    Ok(())
}

/// A parameter with its value.
#[derive(Clone, PartialEq)]
pub(crate) struct Resolved {
    pub(crate) name: String,
    kind: ParameterType,
    pub(crate) value: Value,
}

impl fmt::Debug for Resolved {
    /// Without the value, which may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Resolved({} {})", self.name, self.kind.name())
    }
}

impl Resolved {
    /// As the plan carries it. `prefix` tells the parameters of documents that steps run from those of the document itself.
    pub(crate) fn to_parameter(&self, prefix: &str) -> Parameter {
        Parameter { name: format!("{prefix}{}", self.name), value: plan_value(self.kind, &self.value) }
    }

    /// The value, where it is a secret.
    pub(crate) fn secret(&self) -> Option<&str> {
        self.value.as_str().filter(|_| self.kind == ParameterType::SecureString)
    }

    /// The form inside other text.
    pub(crate) fn text(&self) -> String {
        text(&self.value)
    }
}

/// The values of all parameters in the document's order: given ones, defaults for the others.
pub(crate) fn resolve(document: &Document, given: &BTreeMap<String, Vec<String>>) -> Result<Vec<Resolved>, ParameterError> {
    if let Some(unknown) = given.keys().find(|name| !document.parameters.contains_key(*name)) {
        let known = document.parameters.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let known = if known.is_empty() { "none".to_owned() } else { known };
        return Err(error(unknown, format!("the document has no such parameter; it has: {known}")));
    }
    let resolved = document.parameters.iter().map(|(name, definition)| {
        let value = match (given.get(name), &definition.default) {
            (Some(texts), _) => read_given(name, definition.r#type, texts)?,
            (None, Some(default)) => default.clone(),
            (None, None) => return Err(error(name, format!("a value is needed, of type {}", definition.r#type.name()))),
        };
        check_value(name, definition, &value)?;
        Ok(Resolved { name: name.clone(), kind: definition.r#type, value })
    });
    resolved.collect()
}

/// The API gives every value as a list of texts; what they stand for depends on the type.
fn read_given(name: &str, kind: ParameterType, texts: &[String]) -> Result<Value, ParameterError> {
    // A reference would reach the script as it stands, which nobody means.
    if texts.iter().any(|text| text.replace(' ', "").contains("{{ssm:")) {
        return Err(error(name, "references to the parameter store are not supported yet; give the value itself"));
    }
    let one = || match texts {
        [text] => Ok(text),
        _ => Err(error(name, format!("{} takes one value, not {}", kind.name(), texts.len()))),
    };
    let json =
        |text: &String| serde_json::from_str(text).map_err(|wrong| error(name, format!("{} is given as JSON: {wrong}", kind.name())));
    match kind {
        ParameterType::String | ParameterType::SecureString => one().map(|text| Value::from(text.as_str())),
        ParameterType::StringList => Ok(Value::from(texts.to_vec())),
        ParameterType::Boolean => match one()?.as_str() {
            "true" | "True" => Ok(Value::from(true)),
            "false" | "False" => Ok(Value::from(false)),
            other => Err(error(name, format!("{other:?} is not true or false"))),
        },
        ParameterType::Integer => {
            let text = one()?;
            text.parse::<i64>().map(Value::from).map_err(|_| error(name, format!("{text:?} is not a whole number")))
        }
        ParameterType::StringMap => json(one()?),
        // The whole list as one JSON text, or an object a text.
        ParameterType::MapList => match texts {
            [text] if text.trim_start().starts_with('[') => json(text),
            texts => texts.iter().map(json).collect::<Result<Vec<Value>, _>>().map(Value::Array),
        },
    }
}

/// Checks a typed value against the rules of its parameter.
fn check_value(name: &str, definition: &ParameterDefinition, value: &Value) -> Result<(), ParameterError> {
    let fits = match definition.r#type {
        ParameterType::String | ParameterType::SecureString => value.is_string(),
        ParameterType::StringList => value.as_array().is_some_and(|list| list.iter().all(Value::is_string)),
        ParameterType::Boolean => value.is_boolean(),
        ParameterType::Integer => value.is_i64() || value.is_u64(),
        ParameterType::StringMap => value.is_object(),
        ParameterType::MapList => value.as_array().is_some_and(|list| list.iter().all(Value::is_object)),
    };
    if !fits {
        return Err(error(name, format!("the value is not of the type {}", definition.r#type.name())));
    }
    if definition.r#type == ParameterType::SecureString {
        return check_secret(name, definition, value.as_str().unwrap_or_default());
    }
    let elements: &[Value] = value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
    if let Some(allowed) = &definition.allowed_values
        && let Some(wrong) = elements.iter().find(|element| !allowed.iter().any(|value| text(value) == text(element)))
    {
        let allowed = allowed.iter().map(text).collect::<Vec<_>>().join(", ");
        return Err(error(name, format!("{:?} is not allowed; allowed: {allowed}", text(wrong))));
    }
    if let Some(pattern) = &definition.allowed_pattern {
        let compiled = compile_pattern(name, pattern)?;
        if let Some(wrong) = elements.iter().find(|element| !compiled.is_match(&text(element))) {
            return Err(error(name, format!("{:?} does not match the pattern {pattern}", text(wrong))));
        }
    }
    if let Value::String(string) = value {
        check_count(name, string.chars().count(), "characters", definition.min_chars, definition.max_chars)?;
    }
    if let Value::Array(list) = value {
        check_count(name, list.len(), "elements", definition.min_items, definition.max_items)?;
    }
    Ok(())
}

/// As [`check_value`], and no error tells anything of the value.
fn check_secret(name: &str, definition: &ParameterDefinition, value: &str) -> Result<(), ParameterError> {
    if value.len() > MAXIMUM_SECRET_BYTES {
        return Err(error(name, format!("the value has more than {MAXIMUM_SECRET_BYTES} bytes")));
    }
    if value.contains('\0') {
        return Err(error(name, "the value holds a zero byte, which no variable of an environment can hold"));
    }
    if let Some(pattern) = &definition.allowed_pattern
        && !compile_pattern(name, pattern)?.is_match(value)
    {
        return Err(error(name, format!("the value does not match the pattern {pattern}")));
    }
    let count = value.chars().count();
    let fits = definition.min_chars.is_none_or(|minimum| count >= minimum) && definition.max_chars.is_none_or(|maximum| count <= maximum);
    if fits { Ok(()) } else { Err(error(name, "the value has too few or too many characters")) }
}

fn check_count(name: &str, count: usize, what: &str, minimum: Option<usize>, maximum: Option<usize>) -> Result<(), ParameterError> {
    match (minimum, maximum) {
        (Some(minimum), _) if count < minimum => Err(error(name, format!("it has {count} {what}; at least {minimum} are needed"))),
        (_, Some(maximum)) if count > maximum => Err(error(name, format!("it has {count} {what}; at most {maximum} are allowed"))),
        _ => Ok(()),
    }
}

/// A pattern speaks of the whole value: a caller must not get past it by adding text around what matches.
pub(crate) fn compile_pattern(name: &str, pattern: &str) -> Result<Regex, ParameterError> {
    RegexBuilder::new(&format!("\\A(?:{pattern})\\z"))
        .size_limit(MAXIMUM_PATTERN_BYTES)
        .build()
        .map_err(|wrong| error(name, format!("the allowedPattern {pattern} cannot be used: {wrong}")))
}

/// The form inside other text: a string as it is, everything else as JSON.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn plan_value(kind: ParameterType, value: &Value) -> PlanValue {
    // The node has it from elsewhere.
    if kind == ParameterType::SecureString {
        return PlanValue::string("");
    }
    let elements = value.as_array().filter(|_| kind == ParameterType::StringList);
    PlanValue { text: text(value), list: elements.map(|elements| elements.iter().map(text).collect()) }
}

#[cfg(test)]
mod tests;
