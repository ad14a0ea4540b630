//! From a document and the values that were given to the plan that is signed and sent.

use super::model::{Action, ControlInputs, Document, DocumentInputs, Interpolation, Number, ParameterType, Schema, ShellInputs, Step};
use super::parameter::{self, ParameterError, Resolved};
use super::plugin;
use super::secret::{self, Secret};
use super::template::{Scope, is_plain, plain_text};
use flotilla_protocol::capability::command::Parameter;
use flotilla_protocol::document::{
    Action as PlanAction, Control, MAXIMUM_DEPTH, MAXIMUM_ENVIRONMENT, MAXIMUM_LINES, MAXIMUM_TEXT_BYTES, OnFailure, Plan, Precondition,
    Refuse, RunShellScript, Segment, Step as PlanStep, TIMEOUT_S, Template, Test,
};
use flotilla_protocol::wire::MAXIMUM_MESSAGE_BYTES;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

mod docker;
mod download;
mod inventory;

/// How long a script may run where its step does not say, in seconds (AWS: 3600).
const DEFAULT_TIMEOUT_S: u32 = 3600;
/// Longest text that parameters are filled into here, in bytes: what the bridge must know is no longer than what an order holds.
const MAXIMUM_FILLED_BYTES: usize = MAXIMUM_MESSAGE_BYTES;
/// Begins the environment variables of parameters with ENV_VAR.
const ENVIRONMENT_PREFIX: &str = "SSM_";
/// What a precondition calls the node's platform.
const PLATFORM_TYPE: &str = "platformType";
/// Begin references to the parameter store, without their spaces.
const STORE_REFERENCES: [&str; 2] = ["{{ssm:", "{{ssm-secure:"];

/// A document ready to be ordered: the plan and the parameters as data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiled {
    /// The steps, with places for the parameters.
    pub plan: Plan,
    /// The parameters in the order that the plan names them.
    pub parameters: Vec<Parameter>,
    /// The values of the secrets among them, by rising index.
    pub secrets: Vec<Secret>,
}

/// A document that a step runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// Its name.
    pub name: String,
    /// Its version, where the step names one.
    pub version: Option<String>,
}

/// The documents that steps run, as far as they were read.
pub type Library = BTreeMap<Reference, Document>;

/// Why a document cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// A value is missing, unknown, or not allowed.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// A step runs a document that is not in the library: add it and compile again.
    #[error("the document {} was not read", .0.name)]
    Needs(Reference),
}

/// Compiles a document with the values that a command gives. Documents that steps run are taken from the library.
///
/// # Errors
/// See [`CompileError`].
pub fn compile(document: &Document, given: &BTreeMap<String, Vec<String>>, library: &Library) -> Result<Compiled, CompileError> {
    let mut compiler = Compiler { library, parameters: Vec::new(), secrets: Vec::new(), bytes_left: MAXIMUM_MESSAGE_BYTES };
    let plan = compiler.document(document, given, "", 1)?;
    secret::check_sizes(&compiler.secrets)?;
    Ok(Compiled { plan, parameters: compiler.parameters, secrets: compiler.secrets })
}

struct Compiler<'a> {
    library: &'a Library,
    parameters: Vec<Parameter>,
    secrets: Vec<Secret>,
    /// How much an order may still hold: documents that run documents could become far more than was read.
    bytes_left: usize,
}

/// What the steps of one document share.
struct Frame<'a> {
    document: &'a Document,
    values: &'a [Resolved],
    /// The index of its first parameter.
    first: usize,
    scope: Scope<'a>,
    /// Begins the names of parameters of documents that its steps run.
    prefix: &'a str,
    depth: usize,
}

impl Compiler<'_> {
    fn document(
        &mut self,
        document: &Document,
        given: &BTreeMap<String, Vec<String>>,
        prefix: &str,
        depth: usize,
    ) -> Result<Plan, CompileError> {
        let values = parameter::resolve(document, given)?;
        let first = self.parameters.len();
        for (index, value) in (first..).zip(&values) {
            let Some(text) = value.secret() else { continue };
            // What an outer document hands on is in its plan.
            if depth > 1 {
                let message = "it is a SecureString; only the document that a command names itself can have one".to_owned();
                return Err(ParameterError { name: value.name.clone(), message }.into());
            }
            let Ok(parameter) = u16::try_from(index) else { continue };
            self.secrets.push(Secret { parameter, name: value.name.clone(), value: text.to_owned().into() });
        }
        self.parameters.extend(values.iter().map(|value| value.to_parameter(prefix)));
        let frame = Frame { document, values: &values, first, scope: Scope::of(document, first), prefix, depth };
        self.steps(&frame, &document.steps)
    }

    fn steps(&mut self, frame: &Frame<'_>, steps: &[Step]) -> Result<Plan, CompileError> {
        let last = steps.len().saturating_sub(1);
        let steps = steps.iter().enumerate().map(|(index, step)| {
            let action = self.action(frame, step)?;
            let is_plan = matches!(action, PlanAction::RunPlan(_));
            let action = action.encode();
            // What a plan holds was counted step by step.
            self.take(step, step.name.len() + if is_plan { 1 } else { action.body.len() })?;
            Ok(PlanStep {
                name: step.name.clone(),
                preconditions: preconditions(frame, step),
                control: control(frame, &step.control, index == last, &self.parameters).map_err(|message| of_step(step, message))?,
                action,
            })
        });
        Ok(Plan { steps: steps.collect::<Result<_, CompileError>>()? })
    }

    fn take(&mut self, step: &Step, bytes: usize) -> Result<(), CompileError> {
        let left = self.bytes_left.checked_sub(bytes);
        self.bytes_left = left.ok_or_else(|| {
            of_step(step, format!("the steps up to it have more than {MAXIMUM_MESSAGE_BYTES} bytes, which no order holds"))
        })?;
        Ok(())
    }

    fn action(&mut self, frame: &Frame<'_>, step: &Step) -> Result<PlanAction, CompileError> {
        Ok(match &step.action {
            Action::RunShellScript(inputs) => PlanAction::RunShellScript(self.script(frame, step, inputs)?),
            Action::RunPowerShellScript(inputs) => PlanAction::RunPowerShellScript(self.script(frame, step, inputs)?),
            Action::RunDocument(inputs) => self.run_document(frame, step, inputs)?,
            Action::DownloadContent(inputs) => PlanAction::DownloadContent(self.download(frame, step, inputs)?),
            Action::RunDockerAction(inputs) => PlanAction::RunDockerAction(self.docker(frame, step, inputs)?),
            Action::SoftwareInventory(inputs) => PlanAction::SoftwareInventory(self.inventory(frame, step, inputs)?),
            Action::Several(parts) => PlanAction::RunPlan(self.steps(frame, parts)?),
            Action::NotRun(name) => PlanAction::Refuse(Refuse { why: plugin::why(name) }),
        })
    }

    fn script(&self, frame: &Frame<'_>, step: &Step, inputs: &ShellInputs) -> Result<RunShellScript, CompileError> {
        let script = RunShellScript {
            run_command: inputs.run_command.as_slice().iter().map(|line| frame.scope.split(line)).collect(),
            working_directory: inputs.working_directory.as_deref().map(|text| frame.scope.split(text)),
            environment: environment(frame.document, &frame.scope, frame.first, inputs),
            timeout_s: timeout_s(&frame.scope, step, inputs.timeout_seconds.as_ref(), &self.parameters)?,
        };
        self.check_lines(step, &script)?;
        Ok(script)
    }

    /// Lists become lines on the node, so their lengths count too.
    fn check_lines(&self, step: &Step, script: &RunShellScript) -> Result<(), CompileError> {
        let lines: usize = script.run_command.iter().map(|line| self.count_lines(line)).sum();
        if lines > MAXIMUM_LINES {
            return Err(of_step(step, format!("runCommand becomes {lines} lines; at most {MAXIMUM_LINES} are allowed")).into());
        }
        Ok(())
    }

    fn run_document(&mut self, frame: &Frame<'_>, step: &Step, inputs: &DocumentInputs) -> Result<PlanAction, CompileError> {
        let fill = |text: &str| filled(&frame.scope.split(text), &self.parameters).map_err(|message| of_step(step, message));
        match fill(&inputs.document_type)?.as_str() {
            "SSMDocument" => {}
            "LocalPath" => {
                let why = "aws:runDocument with documentType LocalPath is not run: only what was signed decides what a node does, and a file on \
                           the node was not; make it a document and use SSMDocument, or run the file with aws:runShellScript";
                return Ok(PlanAction::Refuse(Refuse { why: why.to_owned() }));
            }
            other => return Err(of_step(step, format!("documentType is {other:?}; it is SSMDocument or LocalPath")).into()),
        }
        if frame.depth >= MAXIMUM_DEPTH {
            return Err(of_step(step, format!("documents run documents more than {MAXIMUM_DEPTH} deep")).into());
        }
        let path = fill(&inputs.document_path)?;
        let reference = reference(&path).ok_or_else(|| of_step(step, "documentPath is empty".to_owned()))?;
        let Some(document) = self.library.get(&reference) else { return Err(CompileError::Needs(reference)) };
        let given = fill_tree(frame, &frame.scope, &inputs.document_parameters);
        let given = given.and_then(read_parameters).map_err(|message| of_step(step, format!("documentParameters: {message}")))?;
        let prefix = format!("{}{}.", frame.prefix, step.name);
        let plan = self.document(document, &given, &prefix, frame.depth + 1).map_err(|error| match error {
            CompileError::Parameter(ParameterError { name, message }) => {
                of_step(step, format!("the document {path}: {name}: {message}")).into()
            }
            needs => needs,
        })?;
        Ok(PlanAction::RunPlan(plan))
    }
}

fn of_step(step: &Step, message: String) -> ParameterError {
    ParameterError { name: format!("step {}", step.name), message }
}

/// `name` or `name:version`, where an ARN has colons of its own.
fn reference(path: &str) -> Option<Reference> {
    let path = path.rsplit_once(":document/").map_or(path, |(_, name)| name).trim();
    let (name, version) = path.split_once(':').map_or((path, None), |(name, version)| (name, Some(version.to_owned())));
    (!name.is_empty()).then(|| Reference { name: name.to_owned(), version })
}

/// Fills parameters into a text that is needed here and not only on the node.
fn filled(template: &Template, parameters: &[Parameter]) -> Result<String, String> {
    template.fill_within(parameters, MAXIMUM_FILLED_BYTES).ok_or_else(too_long)
}

fn too_long() -> String {
    format!("with its parameters filled in it has more than {MAXIMUM_FILLED_BYTES} bytes")
}

/// Fills parameters into data: alone as their typed value, inside other text as text.
fn fill_tree(frame: &Frame<'_>, scope: &Scope<'_>, value: &Value) -> Result<Value, String> {
    let mut left = MAXIMUM_FILLED_BYTES;
    fill_branch(frame, scope, value, &mut left)
}

fn fill_branch(frame: &Frame<'_>, scope: &Scope<'_>, value: &Value, left: &mut usize) -> Result<Value, String> {
    let value_at = |index: u16| usize::from(index).checked_sub(frame.first).and_then(|index| frame.values.get(index));
    let mut take = |text: String| match left.checked_sub(text.len()) {
        Some(rest) => {
            *left = rest;
            Ok(text)
        }
        None => Err(too_long()),
    };
    Ok(match value {
        Value::String(text) => {
            let template = scope.split(text);
            match template.0.as_slice() {
                [Segment::Parameter(index)] => match value_at(*index) {
                    Some(resolved) => take(resolved.text()).map(|_| resolved.value.clone())?,
                    None => Value::Null,
                },
                segments => {
                    let text = |segment: &Segment| match segment {
                        Segment::Secret(_) => Err("a SecureString can stand in runCommand and environment of a script only".to_owned()),
                        Segment::Text(text) => take(text.clone()),
                        Segment::Parameter(index) => take(value_at(*index).map(Resolved::text).unwrap_or_default()),
                    };
                    Value::String(segments.iter().map(text).collect::<Result<_, _>>()?)
                }
            }
        }
        Value::Array(list) => list.iter().map(|element| fill_branch(frame, scope, element, left)).collect::<Result<_, _>>()?,
        Value::Object(members) => {
            let filled = members.iter().map(|(name, member)| Ok((name.clone(), fill_branch(frame, scope, member, left)?)));
            Value::Object(filled.collect::<Result<_, String>>()?)
        }
        other => other.clone(),
    })
}

/// The parameters of a document that a step runs, as if a command had given them.
fn read_parameters(value: Value) -> Result<BTreeMap<String, Vec<String>>, String> {
    let members = match value {
        Value::Null => return Ok(BTreeMap::new()),
        Value::String(text) if text.trim().is_empty() => return Ok(BTreeMap::new()),
        Value::String(text) => serde_json::from_str(&text).map_err(|error| format!("it is no JSON object: {error}"))?,
        Value::Object(members) => members,
        other => return Err(format!("{other} is no object")),
    };
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let texts = |value: Value| match value {
        Value::Array(list) => list.into_iter().map(text).collect(),
        one => vec![text(one)],
    };
    Ok(members.into_iter().map(|(name, value)| (name, texts(value))).collect())
}

/// What the node will judge. The rules are those of `evaluatePreconditions` in the public agent.
fn preconditions(frame: &Frame<'_>, step: &Step) -> Vec<Precondition> {
    step.precondition.iter().map(|(operator, arguments)| precondition(frame, operator, arguments)).collect()
}

fn precondition(frame: &Frame<'_>, operator: &str, arguments: &[String]) -> Precondition {
    let malformed = |text: &str| Precondition { text: cut(format!("{operator:?}: {text}")), test: Test::Malformed };
    if frame.document.schema < Schema::V2_2 {
        return malformed("preconditions need schemaVersion 2.2");
    }
    if operator != "StringEquals" {
        return malformed("there is no such operator; there is StringEquals");
    }
    let [left, right] = arguments else { return malformed("it takes exactly 2 arguments") };
    if left == right {
        return malformed("its arguments cannot be identical");
    }
    if is_reference(left) || is_reference(right) {
        return malformed("its arguments cannot name the parameter store");
    }
    // A comparison is data: what reaches scripts as environment can be compared, too.
    let scope = Scope::of_data(frame.document, frame.first);
    let (left_template, right_template) = (scope.split(left), scope.split(right));
    let test = match (left == PLATFORM_TYPE, right == PLATFORM_TYPE) {
        (true, _) if is_plain(&right_template) => Test::Platform(cut(right.clone())),
        (_, true) if is_plain(&left_template) => Test::Platform(cut(left.clone())),
        (true, _) | (_, true) => return malformed("platformType cannot be compared with a parameter"),
        _ if is_plain(&left_template) && is_plain(&right_template) => {
            return malformed("one of its arguments must name a parameter of the document");
        }
        _ => Test::Equal(left_template, right_template),
    };
    Precondition { text: cut(format!("{operator:?}: [{left}, {right}]")), test }
}

/// Whether a text names a value of the parameter store.
fn is_reference(text: &str) -> bool {
    let text = text.replace(' ', "");
    STORE_REFERENCES.iter().any(|reference| text.contains(reference))
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAXIMUM_TEXT_BYTES));
    text
}

/// The step control, which decides on the node and is known here.
fn control(frame: &Frame<'_>, inputs: &ControlInputs, is_last: bool, parameters: &[Parameter]) -> Result<Control, String> {
    let fill = |text: &Option<String>| text.as_ref().map(|text| filled(&frame.scope.split(text), parameters)).transpose();
    Ok(Control {
        on_failure: fill(&inputs.on_failure)?.map_or(Ok(OnFailure::Continue), |text| read_on_failure(&text))?,
        exit_on_success: fill(&inputs.on_success)?.map_or(Ok(false), |text| read_on_success(&text))?,
        // In SSM, too, it has no meaning for a step that is not the last.
        finally: fill(&inputs.finally_step)?.map_or(Ok(false), |text| read_finally(&text))? && is_last,
    })
}

fn read_on_failure(text: &str) -> Result<OnFailure, String> {
    match text {
        "exit" => Ok(OnFailure::Exit),
        "successAndExit" => Ok(OnFailure::SuccessAndExit),
        other => Err(format!("onFailure is {other:?}; it is exit or successAndExit")),
    }
}

fn read_on_success(text: &str) -> Result<bool, String> {
    if text == "exit" { Ok(true) } else { Err(format!("onSuccess is {text:?}; it is exit")) }
}

fn read_finally(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| format!("finallyStep is {text:?}; it is true or false"))
}

/// Checks what can be known of a step before values are given: limits, and words and time-outs that are written out. The error is the
/// member of its inputs and what is wrong with it.
pub(crate) fn check(document: &Document, step: &Step) -> Result<(), (&'static str, String)> {
    secret::check_places(document, step)?;
    let scope = Scope::of(document, 0);
    let written_out = |text: &Option<String>| {
        let template = scope.split(text.as_deref()?);
        is_plain(&template).then(|| plain_text(&template))
    };
    let ControlInputs { on_failure, on_success, finally_step } = &step.control;
    written_out(on_failure).map_or(Ok(()), |text| read_on_failure(&text).map(drop)).map_err(|what| ("onFailure", what))?;
    written_out(on_success).map_or(Ok(()), |text| read_on_success(&text).map(drop)).map_err(|what| ("onSuccess", what))?;
    written_out(finally_step).map_or(Ok(()), |text| read_finally(&text).map(drop)).map_err(|what| ("finallyStep", what))?;
    let check_timeout = |timeout: &Option<Number>| {
        let timeout = timeout.as_ref().map(Number::text);
        written_out(&timeout).map_or(Ok(()), |text| read_timeout(&text).map(drop)).map_err(|what| ("timeoutSeconds", what))
    };
    let inputs = match &step.action {
        Action::RunShellScript(inputs) | Action::RunPowerShellScript(inputs) => inputs,
        Action::DownloadContent(inputs) => {
            download::check(document, inputs)?;
            return check_timeout(&inputs.timeout_seconds);
        }
        Action::RunDockerAction(inputs) => {
            docker::check(document, inputs)?;
            return check_timeout(&inputs.timeout_seconds);
        }
        Action::SoftwareInventory(inputs) => return inventory::check(document, inputs),
        Action::RunDocument(_) | Action::Several(_) | Action::NotRun(_) => return Ok(()),
    };
    let lines = inputs.run_command.as_slice();
    if lines.is_empty() || lines.len() > MAXIMUM_LINES {
        return Err(("runCommand", format!("it has {} lines; 1 to {MAXIMUM_LINES} are allowed", lines.len())));
    }
    let variables: BTreeSet<String> = environment(document, &scope, 0, inputs).into_keys().collect();
    if variables.len() > MAXIMUM_ENVIRONMENT {
        return Err(("environment", format!("it has more than {MAXIMUM_ENVIRONMENT} variables")));
    }
    if let Some(name) = variables.iter().find(|name| name.is_empty() || name.contains(['=', '\0'])) {
        return Err(("environment", format!("{name:?} is no name of an environment variable")));
    }
    check_timeout(&inputs.timeout_seconds)
}

fn environment(document: &Document, scope: &Scope<'_>, first: usize, inputs: &ShellInputs) -> BTreeMap<String, Template> {
    let mut variables: BTreeMap<String, Template> =
        inputs.environment.iter().map(|(name, text)| (name.clone(), scope.split(text))).collect();
    for (index, (name, definition)) in (first..).zip(&document.parameters) {
        if definition.interpolation_type == Interpolation::EnvironmentVariable
            && let Ok(index) = u16::try_from(index)
        {
            let is_secret = definition.r#type == ParameterType::SecureString;
            let value = if is_secret { Segment::Secret(index) } else { Segment::Parameter(index) };
            variables.insert(format!("{ENVIRONMENT_PREFIX}{name}"), Template(vec![value]));
        }
    }
    variables
}

/// The time-out decides what the bridge tells, so it is filled in here and not on the node.
fn timeout_s(scope: &Scope<'_>, step: &Step, timeout: Option<&Number>, parameters: &[Parameter]) -> Result<u32, ParameterError> {
    let Some(timeout) = timeout else { return Ok(DEFAULT_TIMEOUT_S) };
    let template = scope.split(&timeout.text());
    filled(&template, parameters).and_then(|text| read_timeout(&text)).map_err(|message| {
        let named = template.0.iter().find_map(|segment| match segment {
            Segment::Parameter(index) => parameters.get(usize::from(*index)).map(|parameter| parameter.name.clone()),
            Segment::Text(_) | Segment::Secret(_) => None,
        });
        ParameterError { name: named.unwrap_or_else(|| format!("step {}", step.name)), message }
    })
}

fn read_timeout(text: &str) -> Result<u32, String> {
    let seconds = text.trim().parse().ok().filter(|seconds| TIMEOUT_S.contains(seconds));
    seconds.ok_or_else(|| format!("the time-out {text:?} is not a number of seconds from {} to {}", TIMEOUT_S.start(), TIMEOUT_S.end()))
}

#[cfg(test)]
mod tests;
