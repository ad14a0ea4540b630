//! From the text of a document to a [`Document`], or to a sentence that says what is wrong and where.

use super::compile;
use super::model::{Action, Document, ParameterDefinition, ShellInputs, Step};
use super::parameter;
use flotilla_protocol::capability::command::{MAXIMUM_NAME_BYTES, MAXIMUM_PARAMETERS, MAXIMUM_STEPS};
use serde::de::DeserializeOwned;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Largest content of a document, in bytes (AWS: 64 KB).
pub const MAXIMUM_CONTENT_BYTES: usize = 64 * 1024;
/// The schema that Command documents have.
pub(super) const SCHEMA_VERSION: &str = "2.2";
/// Deepest nesting of a YAML document; JSON has serde_json's limit of 128.
const MAXIMUM_DEPTH: usize = 64;
/// Most nodes of a YAML document, aliases followed: four times what fits into the content without aliases.
const MAXIMUM_NODES: usize = 64 * 1024;

/// Why a text is not a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// It is too large.
    #[error("the document has {bytes} bytes; at most {MAXIMUM_CONTENT_BYTES} are allowed")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// It is of another schema.
    #[error("schemaVersion is {found}; Command documents have schemaVersion \"{SCHEMA_VERSION}\"")]
    SchemaVersion {
        /// What it says.
        found: String,
    },
    /// Anything else, as a sentence that names the place.
    #[error("{0}")]
    Content(String),
}

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON
    Json,
    /// YAML 1.2
    Yaml,
}

impl Format {
    /// The format's name in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Yaml => "YAML",
        }
    }

    /// The format of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Json, Self::Yaml].into_iter().find(|format| format.name() == name)
    }

    /// Reads a text as a tree; a key that comes twice is an error.
    pub(super) fn read(self, text: &str) -> Result<Value, String> {
        match self {
            Self::Json => serde_json::from_str::<Unique>(text).map(|unique| unique.0).map_err(|error| error.to_string()),
            Self::Yaml => {
                let mut options = serde_saphyr::Options::default();
                if let Some(budget) = &mut options.budget {
                    budget.max_reader_input_bytes = Some(MAXIMUM_CONTENT_BYTES);
                    budget.max_depth = MAXIMUM_DEPTH;
                    budget.max_nodes = MAXIMUM_NODES;
                    budget.max_documents = 1;
                }
                // "no" and "on" are words, as in YAML 1.2.
                options.strict_booleans = true;
                options.with_snippet = false;
                serde_saphyr::from_str_with_options::<Unique>(text, options).map(|unique| unique.0).map_err(|error| error.to_string())
            }
        }
    }

    /// Writes a tree as a text.
    pub(super) fn write(self, value: &Value) -> Result<String, String> {
        match self {
            Self::Json => serde_json::to_string_pretty(value).map_err(|error| error.to_string()),
            Self::Yaml => serde_saphyr::to_string(value).map_err(|error| error.to_string()),
        }
    }
}

impl Document {
    /// Reads a document.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn parse(text: &str, format: Format) -> Result<Self, ContentError> {
        if text.len() > MAXIMUM_CONTENT_BYTES {
            return Err(ContentError::TooLarge { bytes: text.len() });
        }
        let content = |message: String| ContentError::Content(format!("the content is not {}: {message}", format.name()));
        let value = format.read(text).map_err(content)?;
        let Value::Object(mut members) = value else {
            return Err(ContentError::Content("a document is an object with schemaVersion and mainSteps".to_owned()));
        };
        match members.remove("schemaVersion") {
            Some(Value::String(version)) if version == SCHEMA_VERSION => {}
            Some(found) => return Err(ContentError::SchemaVersion { found: found.to_string() }),
            None => return Err(ContentError::SchemaVersion { found: "missing".to_owned() }),
        }
        let description = members.remove("description").map(|value| typed("description", value)).transpose()?;
        let parameters = members.remove("parameters").map(|value| typed("parameters", value)).transpose()?.unwrap_or_default();
        let steps: Vec<Value> = match members.remove("mainSteps") {
            Some(steps) => typed("mainSteps", steps)?,
            None => return Err(ContentError::Content("mainSteps is missing".to_owned())),
        };
        if let Some(unknown) = members.keys().next() {
            let known = "schemaVersion, description, parameters and mainSteps";
            return Err(ContentError::Content(format!("{unknown} is not known; a Command document has {known}")));
        }
        check_parameters(&parameters)?;
        let document = Self { description, parameters, steps: read_steps(steps)? };
        compile::check(&document)?;
        Ok(document)
    }
}

/// Reads a member into its type; an error names the place.
fn typed<T: DeserializeOwned>(place: &str, value: Value) -> Result<T, ContentError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let place = match path.as_str() {
            "." => place.to_owned(),
            path if path.starts_with('[') => format!("{place}{path}"),
            path => format!("{place}.{path}"),
        };
        ContentError::Content(format!("{place}: {}", error.into_inner()))
    })
}

fn check_parameters(parameters: &BTreeMap<String, ParameterDefinition>) -> Result<(), ContentError> {
    if parameters.len() > MAXIMUM_PARAMETERS {
        return Err(ContentError::Content(format!("the document has more than {MAXIMUM_PARAMETERS} parameters")));
    }
    for (name, definition) in parameters {
        let sound = (1..=MAXIMUM_NAME_BYTES).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !sound {
            return Err(ContentError::Content(format!("parameters: {name:?} is no name of a parameter; use a-z, A-Z and 0-9")));
        }
        parameter::check_definition(name, definition).map_err(|error| ContentError::Content(format!("parameters.{error}")))?;
    }
    Ok(())
}

fn read_steps(values: Vec<Value>) -> Result<Vec<Step>, ContentError> {
    if !(1..=MAXIMUM_STEPS).contains(&values.len()) {
        return Err(ContentError::Content(format!("mainSteps has {} steps; 1 to {MAXIMUM_STEPS} are allowed", values.len())));
    }
    let mut names = BTreeSet::new();
    let mut steps = Vec::with_capacity(values.len());
    for (index, value) in values.into_iter().enumerate() {
        let step = read_step(index, value)?;
        if !names.insert(step.name.clone()) {
            return Err(ContentError::Content(format!("two steps have the name {}", step.name)));
        }
        steps.push(step);
    }
    Ok(steps)
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStep {
    action: String,
    name: String,
    #[serde(default)]
    inputs: Value,
    precondition: Option<BTreeMap<String, Vec<String>>>,
    /// For people; not kept.
    #[serde(rename = "description")]
    _description: Option<String>,
}

fn read_step(index: usize, value: Value) -> Result<Step, ContentError> {
    let raw: RawStep = typed(&format!("mainSteps[{index}]"), value)?;
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if !(1..=MAXIMUM_NAME_BYTES).contains(&raw.name.len()) || !raw.name.bytes().all(sound) {
        let name = raw.name;
        return Err(ContentError::Content(format!(
            "mainSteps[{index}]: {name:?} is no name of a step; use a-z, A-Z, 0-9, '_', '-' and '.'"
        )));
    }
    if let Some(precondition) = &raw.precondition {
        check_precondition(&raw.name, precondition)?;
    }
    let action = match raw.action.as_str() {
        "aws:runShellScript" => Action::RunShellScript(typed::<ShellInputs>(&format!("step {}: inputs", raw.name), raw.inputs)?),
        other => {
            let supported = Action::NAMES.join(", ");
            return Err(ContentError::Content(format!("step {}: the plugin {other} is not supported; supported: {supported}", raw.name)));
        }
    };
    Ok(Step { name: raw.name, action })
}

/// The one precondition that holds on every node, since all of them run Linux. Others would have to skip steps.
fn check_precondition(step: &str, precondition: &BTreeMap<String, Vec<String>>) -> Result<(), ContentError> {
    let holds = |arguments: &Vec<String>| {
        let [left, right] = arguments.as_slice() else { return false };
        let is_linux = |name: &str, value: &str| name == "platformType" && value.eq_ignore_ascii_case("Linux");
        is_linux(left, right) || is_linux(right, left)
    };
    if precondition.len() == 1 && precondition.get("StringEquals").is_some_and(holds) {
        return Ok(());
    }
    let supported = "{\"StringEquals\": [\"platformType\", \"Linux\"]}";
    Err(ContentError::Content(format!("step {step}: this precondition is not supported yet; supported: {supported}")))
}

/// A tree in which no object has a key twice: two readers of such a document could take different values.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Self)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(Unique(element)) = sequence.next_element()? {
            elements.push(element);
        }
        Ok(Value::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some((key, Unique(value))) = access.next_entry::<String, Unique>()? {
            if members.contains_key(&key) {
                return Err(A::Error::custom(format!("the key {key:?} comes twice")));
            }
            members.insert(key, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests;
