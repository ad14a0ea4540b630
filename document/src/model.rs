//! A document after it was read: what is in it has the right types, and its names are sound.

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The schemas of Command documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Schema {
    /// 1.0: plugins by name.
    V1_0,
    /// 1.2: the same.
    V1_2,
    /// 2.0: steps in their order.
    V2_0,
    /// 2.0.1
    V2_0_1,
    /// 2.0.2
    V2_0_2,
    /// 2.0.3
    V2_0_3,
    /// 2.2: steps with preconditions.
    V2_2,
}

impl Schema {
    /// All, from the oldest on. Source: `parseDocumentContent` of the public agent.
    pub const ALL: [Self; 7] = [Self::V1_0, Self::V1_2, Self::V2_0, Self::V2_0_1, Self::V2_0_2, Self::V2_0_3, Self::V2_2];

    /// As documents write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::V1_0 => "1.0",
            Self::V1_2 => "1.2",
            Self::V2_0 => "2.0",
            Self::V2_0_1 => "2.0.1",
            Self::V2_0_2 => "2.0.2",
            Self::V2_0_3 => "2.0.3",
            Self::V2_2 => "2.2",
        }
    }

    /// The schema of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|schema| schema.name() == name)
    }

    /// Whether plugins stand in `runtimeConfig` and not in `mainSteps`.
    #[must_use]
    pub fn has_runtime_config(self) -> bool {
        self < Self::V2_0
    }
}

/// A Command document.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Its schema.
    pub schema: Schema,
    /// For people.
    pub description: Option<String>,
    /// The parameters by name. Their order here is their order in the plan.
    pub parameters: BTreeMap<String, ParameterDefinition>,
    /// The steps, at least one.
    pub steps: Vec<Step>,
    /// The whole document as JSON, for steps that download it: its own text where that is JSON.
    pub json: String,
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
    /// A text that only the nodes of a command can read: a secret.
    SecureString,
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
            Self::SecureString => "SecureString",
        }
    }
}

/// A step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Unique in the document.
    pub name: String,
    /// The plugin's name.
    pub plugin: String,
    /// Preconditions: operators and their arguments, as they stand.
    pub precondition: BTreeMap<String, Vec<String>>,
    /// What its end means.
    pub control: ControlInputs,
    /// What it does.
    pub action: Action,
}

/// The inputs of every plugin that say what its end means; texts may hold `{{ name }}`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ControlInputs {
    /// `exit` or `successAndExit`
    pub on_failure: Option<String>,
    /// `exit`
    pub on_success: Option<String>,
    /// `true` or `false`; without meaning unless it is the last step.
    pub finally_step: Option<String>,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// `aws:runShellScript`
    RunShellScript(ShellInputs),
    /// `aws:runPowerShellScript`
    RunPowerShellScript(ShellInputs),
    /// `aws:runDocument`
    RunDocument(DocumentInputs),
    /// `aws:downloadContent`
    DownloadContent(DownloadInputs),
    /// `aws:runDockerAction`
    RunDockerAction(DockerInputs),
    /// `aws:softwareInventory`
    SoftwareInventory(InventoryInputs),
    /// A plugin of schema 1.x with several properties: it runs with one after the other.
    Several(Vec<Step>),
    /// A plugin of SSM that nodes do not run.
    NotRun(&'static str),
}

/// The inputs of `aws:runDocument`; every text may hold `{{ name }}`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DocumentInputs {
    /// `SSMDocument`, or `LocalPath`, which is not run.
    pub document_type: String,
    /// The document: `name` or `name:version`.
    pub document_path: String,
    /// Its parameters: an object, or a text that holds or becomes one.
    #[serde(default)]
    pub document_parameters: Value,
}

/// The inputs of `aws:downloadContent`; every text may hold `{{ name }}`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DownloadInputs {
    /// `HTTP`, `Git`, `GitHub`, `S3` or `SSMDocument`.
    pub source_type: String,
    /// Where the content is: an object, or a text that holds or becomes one.
    pub source_info: Value,
    /// Where it goes.
    pub destination_path: Option<String>,
    /// How long it may take, in seconds.
    pub timeout_seconds: Option<Number>,
}

/// The inputs of `aws:runDockerAction`; every text may hold `{{ name }}`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DockerInputs {
    /// What is done: `Run`, `Stop` and so on.
    pub action: String,
    /// A container's name or id.
    pub container: Option<String>,
    /// An image.
    pub image: Option<String>,
    /// What runs in the container.
    pub cmd: Option<String>,
    /// The container's memory.
    pub memory: Option<Number>,
    /// The container's share of the processor.
    pub cpu_shares: Option<Number>,
    /// Mounts.
    pub volume: Option<Lines>,
    /// One environment variable: `NAME=value`.
    pub env: Option<String>,
    /// Who runs in the container.
    pub user: Option<Number>,
    /// Published ports.
    pub publish: Option<Number>,
    /// Where `docker` runs.
    pub working_directory: Option<String>,
    /// How long it may run, in seconds.
    pub timeout_seconds: Option<Number>,
}

/// The inputs of `aws:softwareInventory`; every text may hold `{{ name }}`. Most are `Enabled` or `Disabled`; none is `Disabled`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InventoryInputs {
    /// `AWS:Application`
    pub applications: Option<String>,
    /// Components of Amazon's own, which a fleet does not have.
    pub aws_components: Option<String>,
    /// `AWS:File`: rules as a text. A node has its own, and goes by them where there is something here.
    pub files: Option<Value>,
    /// `AWS:Network`
    pub network_config: Option<String>,
    /// For Windows.
    pub windows_updates: Option<String>,
    /// `AWS:InstanceDetailedInformation`
    pub instance_detailed_information: Option<String>,
    /// `AWS:Service`
    pub services: Option<String>,
    /// For Windows.
    pub windows_registry: Option<Value>,
    /// For Windows.
    pub windows_roles: Option<String>,
    /// `Custom:*`
    pub custom_inventory: Option<String>,
    /// A node has its own folder.
    pub custom_inventory_directory: Option<String>,
    /// Of Amazon's own.
    pub billing_info: Option<String>,
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
