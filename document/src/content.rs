//! From the text of a document to a [`Document`], or to a sentence that says what is wrong and where.

use super::compile;
use super::model::{
    Action, ControlInputs, DockerInputs, Document, DocumentInputs, DownloadInputs, InventoryInputs, ParameterDefinition, Schema,
    ShellInputs, Step,
};
use super::parameter;
use super::place::{Fault, Path};
use super::plugin;
use flotilla_protocol::capability::command::{MAXIMUM_NAME_BYTES, MAXIMUM_PARAMETERS, MAXIMUM_STEPS};
use flotilla_protocol::document::MAXIMUM_PRECONDITIONS;
use serde::de::DeserializeOwned;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Largest content of a document, in bytes (AWS: 64 KB).
pub const MAXIMUM_CONTENT_BYTES: usize = 64 * 1024;
/// Deepest nesting of a YAML document; JSON has serde_json's limit of 128.
const MAXIMUM_DEPTH: usize = 64;
/// Most nodes of a YAML document, aliases followed: four times what fits into the content without aliases.
const MAXIMUM_NODES: usize = 64 * 1024;

/// The member of a step that holds its preconditions.
pub(crate) const PRECONDITION: &str = "precondition";

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
    #[error("schemaVersion is {found}; Command documents have schemaVersion {}, as a text", schema_names())]
    SchemaVersion {
        /// What it says.
        found: String,
    },
    /// Anything else, with its place.
    #[error("{0}")]
    Content(Fault),
}

impl From<Fault> for ContentError {
    fn from(fault: Fault) -> Self {
        Self::Content(fault)
    }
}

fn schema_names() -> String {
    Schema::ALL.map(|schema| format!("\"{}\"", schema.name())).join(", ")
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
    pub(crate) fn read(self, text: &str) -> Result<Value, String> {
        match self {
            Self::Json => serde_json::from_str::<Unique>(text).map(|unique| unique.0).map_err(|error| error.to_string()),
            Self::Yaml => serde_saphyr::from_str_with_options::<Unique>(text, yaml_options())
                .map(|unique| unique.0)
                .map_err(|error| error.to_string()),
        }
    }

    /// The line, from 1 on, on which reading a text fails, where the reader knows it.
    pub(crate) fn failing_line(self, text: &str) -> Option<u64> {
        match self {
            Self::Json => u64::try_from(serde_json::from_str::<Unique>(text).err()?.line()).ok(),
            Self::Yaml => Some(serde_saphyr::from_str_with_options::<Unique>(text, yaml_options()).err()?.location()?.line()),
        }
    }

    /// Writes a text of this format in another one.
    ///
    /// # Errors
    /// It is not of this format, or has what the other cannot say; a sentence says which.
    pub fn rewrite(self, text: &str, wanted: Self) -> Result<String, String> {
        wanted.write(&self.read(text)?)
    }

    /// Writes a tree as a text.
    fn write(self, value: &Value) -> Result<String, String> {
        match self {
            Self::Json => serde_json::to_string_pretty(value).map_err(|error| error.to_string()),
            Self::Yaml => serde_saphyr::to_string(value).map_err(|error| error.to_string()),
        }
    }
}

/// How YAML is read: bounded, and with the words of YAML 1.2.
pub(crate) fn yaml_options() -> serde_saphyr::Options {
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
    options
}

impl Document {
    /// Reads a document.
    ///
    /// # Errors
    /// What is wrong, and where: the line and the path.
    pub fn parse(text: &str, format: Format) -> Result<Self, ContentError> {
        if text.len() > MAXIMUM_CONTENT_BYTES {
            return Err(ContentError::TooLarge { bytes: text.len() });
        }
        Self::read(text, format).map_err(|error| match error {
            ContentError::Content(fault) => ContentError::Content(fault.find_line(text, format)),
            other => other,
        })
    }

    fn read(text: &str, format: Format) -> Result<Self, ContentError> {
        let content = |message: String| Fault::new(Path::default(), format!("the content is not {}: {message}", format.name()));
        let value = format.read(text).map_err(content)?;
        let json = match format {
            Format::Json => text.to_owned(),
            Format::Yaml => Format::Json.write(&value).map_err(content)?,
        };
        Self::of_value(value, json)
    }

    /// Reads a document from a tree; places have no lines yet. `json` is its text as JSON.
    pub(crate) fn of_value(value: Value, json: String) -> Result<Self, ContentError> {
        let Value::Object(mut members) = value else {
            return Err(Fault::new(Path::default(), "a document is an object with schemaVersion and mainSteps").into());
        };
        let version = members.remove("schemaVersion");
        let Some(schema) = version.as_ref().and_then(Value::as_str).and_then(Schema::named) else {
            let found = version.map_or_else(|| "missing".to_owned(), |found| found.to_string());
            return Err(ContentError::SchemaVersion { found });
        };
        let description = members.remove("description").map(|value| typed(&Path::of("description"), value)).transpose()?;
        let parameters = members.remove("parameters").map(|value| typed(&Path::of("parameters"), value)).transpose()?.unwrap_or_default();
        check_parameters(&parameters)?;
        let steps_member = if schema.has_runtime_config() { "runtimeConfig" } else { "mainSteps" };
        let steps = members.remove(steps_member);
        if let Some(unknown) = members.keys().next() {
            let known = format!("schemaVersion, description, parameters and {steps_member}");
            let message = format!("it is not known; a Command document of schema {} has {known}", schema.name());
            return Err(Fault::new(Path::of(unknown), message).into());
        }
        let path = Path::of(steps_member);
        let Some(steps) = steps else {
            return Err(Fault::new(Path::default(), format!("{steps_member} is missing")).into());
        };
        let mut document = Self { schema, description, parameters, steps: Vec::new(), json };
        document.steps =
            if schema.has_runtime_config() { read_plugins(&document, &path, steps)? } else { read_steps(&document, &path, steps)? };
        Ok(document)
    }
}

/// Reads a member into its type; an error names the place.
fn typed<T: DeserializeOwned>(place: &Path, value: Value) -> Result<T, Fault> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = place.join(error.path());
        Fault::new(path, error.into_inner().to_string())
    })
}

fn check_parameters(parameters: &BTreeMap<String, ParameterDefinition>) -> Result<(), Fault> {
    let all = Path::of("parameters");
    if parameters.len() > MAXIMUM_PARAMETERS {
        return Err(Fault::new(all, format!("the document has more than {MAXIMUM_PARAMETERS} parameters")));
    }
    for (name, definition) in parameters {
        let sound = (1..=MAXIMUM_NAME_BYTES).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !sound {
            return Err(Fault::new(all.member(name), format!("{name:?} is no name of a parameter; use a-z, A-Z and 0-9")));
        }
        parameter::check_definition(name, definition).map_err(|error| Fault::new(all.member(name), error.message))?;
    }
    Ok(())
}

/// Schema 2.x: a list of steps.
fn read_steps(document: &Document, path: &Path, steps: Value) -> Result<Vec<Step>, Fault> {
    let values: Vec<Value> = typed(path, steps)?;
    check_count(path, values.len())?;
    let mut names = BTreeSet::new();
    let mut steps = Vec::with_capacity(values.len());
    for (index, value) in values.into_iter().enumerate() {
        let path = path.element(index);
        let step = read_step(document, &path, value)?;
        if !names.insert(step.name.clone()) {
            return Err(Fault::new(path.member("name"), format!("two steps have the name {}", step.name)));
        }
        steps.push(step);
    }
    Ok(steps)
}

fn check_count(path: &Path, count: usize) -> Result<(), Fault> {
    if (1..=MAXIMUM_STEPS).contains(&count) {
        return Ok(());
    }
    Err(Fault::new(path.clone(), format!("it has {count} steps; 1 to {MAXIMUM_STEPS} are allowed")))
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStep {
    action: String,
    name: String,
    #[serde(default)]
    inputs: Map<String, Value>,
    #[serde(default)]
    precondition: BTreeMap<String, Vec<String>>,
    /// For people; not kept.
    #[serde(rename = "description")]
    _description: Option<String>,
}

fn read_step(document: &Document, path: &Path, value: Value) -> Result<Step, Fault> {
    let RawStep { action: plugin, name, mut inputs, precondition, .. } = typed(path, value)?;
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if !(1..=MAXIMUM_NAME_BYTES).contains(&name.len()) || !name.bytes().all(sound) {
        let message = format!("{name:?} is no name of a step; use a-z, A-Z, 0-9, '_', '-' and '.'");
        return Err(Fault::new(path.member("name"), message));
    }
    if precondition.len() > MAXIMUM_PRECONDITIONS {
        let message = format!("it has {} operators; at most {MAXIMUM_PRECONDITIONS} are allowed", precondition.len());
        return Err(Fault::new(path.member(PRECONDITION), message));
    }
    let inputs_path = path.member("inputs");
    let control = read_control(&inputs_path, &mut inputs)?;
    let action = read_action(&path.member("action"), &inputs_path, &plugin, Value::Object(inputs))?;
    let step = Step { name, plugin, precondition, control, action };
    compile::check(document, &step).map_err(|(member, message)| {
        let of_step = if member == PRECONDITION { path } else { &inputs_path };
        Fault::new(of_step.member(member), message)
    })?;
    Ok(step)
}

/// Takes the inputs that every plugin has out of those of this one.
fn read_control(path: &Path, inputs: &mut Map<String, Value>) -> Result<ControlInputs, Fault> {
    let mut take = |name: &str| match inputs.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Bool(value)) => Ok(Some(value.to_string())),
        Some(other) => Err(Fault::new(path.member(name), format!("{other} is no word"))),
    };
    Ok(ControlInputs { on_failure: take("onFailure")?, on_success: take("onSuccess")?, finally_step: take("finallyStep")? })
}

fn read_action(action_path: &Path, path: &Path, name: &str, inputs: Value) -> Result<Action, Fault> {
    match name {
        "aws:runShellScript" => Ok(Action::RunShellScript(typed::<ShellInputs>(path, inputs)?)),
        "aws:runPowerShellScript" => Ok(Action::RunPowerShellScript(typed::<ShellInputs>(path, inputs)?)),
        "aws:runDocument" => Ok(Action::RunDocument(typed::<DocumentInputs>(path, inputs)?)),
        "aws:downloadContent" => Ok(Action::DownloadContent(typed::<DownloadInputs>(path, inputs)?)),
        "aws:runDockerAction" => Ok(Action::RunDockerAction(typed::<DockerInputs>(path, inputs)?)),
        "aws:softwareInventory" => Ok(Action::SoftwareInventory(typed::<InventoryInputs>(path, inputs)?)),
        other => match plugin::not_run(other) {
            Some(name) => Ok(Action::NotRun(name)),
            None => {
                let supported = plugin::SUPPORTED.join(", ");
                Err(Fault::new(action_path.clone(), format!("{other} is no plugin of SSM; supported: {supported}")))
            }
        },
    }
}

/// Schema 1.x: an object of plugins, each with one object of properties or a list of them. They run by name: SSM promises no order.
fn read_plugins(document: &Document, path: &Path, plugins: Value) -> Result<Vec<Step>, Fault> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Plugin {
        #[serde(default)]
        properties: Value,
        /// Of `aws:cloudWatch`, which is not run.
        #[serde(rename = "settings")]
        _settings: Option<Value>,
        #[serde(rename = "description")]
        _description: Option<String>,
    }
    let plugins: BTreeMap<String, Plugin> = typed(path, plugins)?;
    check_count(path, plugins.len())?;
    let mut steps = Vec::with_capacity(plugins.len());
    for (name, Plugin { properties, .. }) in plugins {
        let (path, properties_path) = (path.member(&name), path.member(&name).member("properties"));
        let all = match properties {
            Value::Array(list) => list.into_iter().enumerate().map(|(index, one)| (properties_path.element(index), one)).collect(),
            one => vec![(properties_path.clone(), one)],
        };
        check_count(&properties_path, all.len())?;
        let mut parts = Vec::with_capacity(all.len());
        for (one_path, one) in all {
            parts.push(read_properties(document, &path, &one_path, &name, one)?);
        }
        let action = match (parts.pop(), parts.is_empty()) {
            (Some(only), true) => only.action,
            (last, _) => Action::Several(parts.into_iter().chain(last).collect()),
        };
        steps.push(Step { plugin: name.clone(), name, precondition: BTreeMap::new(), control: ControlInputs::default(), action });
    }
    Ok(steps)
}

fn read_properties(document: &Document, plugin_path: &Path, path: &Path, plugin: &str, mut value: Value) -> Result<Step, Fault> {
    // The name of the part; SSM needs it for the places of its output only.
    let id = value.as_object_mut().and_then(|members| members.remove("id"));
    let name = id.and_then(|id| id.as_str().map(str::to_owned)).filter(|id| (1..=MAXIMUM_NAME_BYTES).contains(&id.len()));
    let action = read_action(plugin_path, path, plugin, value)?;
    let step = Step {
        name: name.unwrap_or_else(|| plugin.to_owned()),
        plugin: plugin.to_owned(),
        precondition: BTreeMap::new(),
        control: ControlInputs::default(),
        action,
    };
    compile::check(document, &step).map_err(|(member, message)| Fault::new(path.member(member), message))?;
    Ok(step)
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
