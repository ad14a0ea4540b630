//! A document after it was read: what is in it has the right types, and its names are sound.

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// A Command document of schema 2.2.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// For people.
    pub description: Option<String>,
    /// The parameters by name. Their order here is their order in the plan.
    pub parameters: BTreeMap<String, ParameterDefinition>,
    /// The steps, at least one.
    pub steps: Vec<Step>,
}

/// A parameter as the document declares it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ParameterDefinition {
    /// What values it takes.
    pub r#type: ParameterType,
    /// For people.
    pub description: Option<String>,
    /// The value where none is given; without it, one must be given.
    pub default: Option<Value>,
    /// The only values.
    pub allowed_values: Option<Vec<Value>>,
    /// A regular expression that the whole of a value, or of each element, must match.
    pub allowed_pattern: Option<String>,
    /// Fewest characters of a String.
    pub min_chars: Option<usize>,
    /// Most characters of a String.
    pub max_chars: Option<usize>,
    /// Fewest elements of a list.
    pub min_items: Option<usize>,
    /// Most elements of a list.
    pub max_items: Option<usize>,
    /// How a console shows it; not used.
    pub display_type: Option<String>,
    /// How it reaches a script: absent or LITERAL, or ENV_VAR.
    #[serde(default)]
    pub interpolation_type: Interpolation,
}

/// How a parameter reaches a script.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum Interpolation {
    /// Its value takes the place of `{{ name }}`.
    #[default]
    #[serde(rename = "LITERAL")]
    Literal,
    /// It is the environment variable `SSM_name`, and `{{ name }}` stays as it is: a value is never part of a script's text.
    #[serde(rename = "ENV_VAR")]
    EnvironmentVariable,
}

/// The types of parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum ParameterType {
    /// Text.
    String,
    /// A list of texts.
    StringList,
    /// A JSON object.
    StringMap,
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer,
    /// A list of JSON objects.
    MapList,
}

impl ParameterType {
    /// The type's name in documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "String",
            Self::StringList => "StringList",
            Self::StringMap => "StringMap",
            Self::Boolean => "Boolean",
            Self::Integer => "Integer",
            Self::MapList => "MapList",
        }
    }
}

/// A step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Unique in the document.
    pub name: String,
    /// What it does.
    pub action: Action,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// `aws:runShellScript`
    RunShellScript(ShellInputs),
}

impl Action {
    /// The plugins by the names that documents use.
    pub const NAMES: &'static [&'static str] = &["aws:runShellScript"];
}

/// The inputs of `aws:runShellScript`; every text may hold `{{ name }}`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ShellInputs {
    /// The lines: a list, or one text, which may be a list parameter.
    pub run_command: Lines,
    /// Where it runs.
    pub working_directory: Option<String>,
    /// How long it may run, in seconds.
    pub timeout_seconds: Option<Number>,
    /// Environment variables.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
}

/// One line or several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "expected a text or a list of texts")]
pub enum Lines {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl Lines {
    /// The lines.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(line) => std::slice::from_ref(line),
            Self::Several(lines) => lines,
        }
    }
}

/// A number, or a text that holds one or becomes one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "expected a whole number, or a text that holds one")]
pub enum Number {
    /// A number.
    Whole(u32),
    /// A text.
    Text(String),
}

impl Number {
    /// As text.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Whole(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}
