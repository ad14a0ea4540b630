//! From a document and the values that were given to the plan that is signed and sent.

use super::content::ContentError;
use super::model::{Action, Document, Interpolation, ShellInputs, Step};
use super::parameter::{self, ParameterError};
use super::template::{Scope, is_plain, plain_text};
use flotilla_protocol::capability::command::Parameter;
use flotilla_protocol::document::{
    Action as PlanAction, MAXIMUM_ENVIRONMENT, MAXIMUM_LINES, Plan, RunShellScript, Segment, Step as PlanStep, TIMEOUT_S, Template,
};
use std::collections::{BTreeMap, BTreeSet};

/// How long a script may run where its step does not say, in seconds (AWS: 3600).
const DEFAULT_TIMEOUT_S: u32 = 3600;
/// Begins the environment variables of parameters with ENV_VAR.
const ENVIRONMENT_PREFIX: &str = "SSM_";

/// A document ready to be ordered: the plan and the parameters as data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiled {
    /// The steps, with places for the parameters.
    pub plan: Plan,
    /// The parameters in the order that the plan names them.
    pub parameters: Vec<Parameter>,
}

/// Compiles a document with the values that a command gives.
///
/// # Errors
/// A value is missing, unknown, or not allowed by the document.
pub fn compile(document: &Document, given: &BTreeMap<String, Vec<String>>) -> Result<Compiled, ParameterError> {
    let parameters = parameter::resolve(document, given)?;
    let scope = Scope::of(document);
    let steps = document.steps.iter().map(|step| {
        let Action::RunShellScript(inputs) = &step.action;
        let timeout_s = timeout_s(&scope, step, inputs, &parameters)?;
        let script = run_shell_script(document, &scope, inputs, timeout_s);
        Ok(PlanStep { name: step.name.clone(), action: PlanAction::RunShellScript(script).encode() })
    });
    let plan = Plan { steps: steps.collect::<Result<_, ParameterError>>()? };
    let compiled = Compiled { plan, parameters };
    check_lines(&compiled)?;
    Ok(compiled)
}

/// Checks what can be known of a document before values are given: limits, and time-outs that are written out.
pub(super) fn check(document: &Document) -> Result<(), ContentError> {
    let scope = Scope::of(document);
    for step in &document.steps {
        let Action::RunShellScript(inputs) = &step.action;
        let wrong = |what: String| Err(ContentError::Content(format!("step {}: {what}", step.name)));
        let lines = inputs.run_command.as_slice();
        if lines.is_empty() || lines.len() > MAXIMUM_LINES {
            return wrong(format!("runCommand has {} lines; 1 to {MAXIMUM_LINES} are allowed", lines.len()));
        }
        let variables: BTreeSet<String> = environment(document, &scope, inputs).into_keys().collect();
        if variables.len() > MAXIMUM_ENVIRONMENT {
            return wrong(format!("the environment has more than {MAXIMUM_ENVIRONMENT} variables"));
        }
        if let Some(name) = variables.iter().find(|name| name.is_empty() || name.contains(['=', '\0'])) {
            return wrong(format!("{name:?} is no name of an environment variable"));
        }
        if let Some(timeout) = &inputs.timeout_seconds {
            let template = scope.split(&timeout.text());
            if is_plain(&template)
                && let Err(what) = read_timeout(&plain_text(&template))
            {
                return wrong(what);
            }
        }
    }
    Ok(())
}

/// Lists become lines on the node, so their lengths count too.
fn check_lines(compiled: &Compiled) -> Result<(), ParameterError> {
    for step in &compiled.plan.steps {
        if let Ok(PlanAction::RunShellScript(script)) = step.action() {
            let longest = |template: &Template| match template.0.as_slice() {
                [Segment::Parameter(index)] => {
                    let list = compiled.parameters.get(usize::from(*index)).and_then(|parameter| parameter.value.list.as_ref());
                    list.map_or(1, Vec::len)
                }
                _ => 1,
            };
            let lines: usize = script.run_command.iter().map(longest).sum();
            if lines > MAXIMUM_LINES {
                let message = format!("runCommand becomes {lines} lines; at most {MAXIMUM_LINES} are allowed");
                return Err(ParameterError { name: format!("step {}", step.name), message });
            }
        }
    }
    Ok(())
}

fn run_shell_script(document: &Document, scope: &Scope<'_>, inputs: &ShellInputs, timeout_s: u32) -> RunShellScript {
    RunShellScript {
        run_command: inputs.run_command.as_slice().iter().map(|line| scope.split(line)).collect(),
        working_directory: inputs.working_directory.as_deref().map(|text| scope.split(text)),
        environment: environment(document, scope, inputs),
        timeout_s,
    }
}

fn environment(document: &Document, scope: &Scope<'_>, inputs: &ShellInputs) -> BTreeMap<String, Template> {
    let mut variables: BTreeMap<String, Template> =
        inputs.environment.iter().map(|(name, text)| (name.clone(), scope.split(text))).collect();
    for (index, (name, definition)) in (0_u16..).zip(&document.parameters) {
        if definition.interpolation_type == Interpolation::EnvironmentVariable {
            variables.insert(format!("{ENVIRONMENT_PREFIX}{name}"), Template(vec![Segment::Parameter(index)]));
        }
    }
    variables
}

/// The time-out decides what the bridge tells, so it is filled in here and not on the node.
fn timeout_s(scope: &Scope<'_>, step: &Step, inputs: &ShellInputs, parameters: &[Parameter]) -> Result<u32, ParameterError> {
    let Some(timeout) = &inputs.timeout_seconds else { return Ok(DEFAULT_TIMEOUT_S) };
    let template = scope.split(&timeout.text());
    read_timeout(&template.fill(parameters)).map_err(|message| {
        let named = template.0.iter().find_map(|segment| match segment {
            Segment::Parameter(index) => parameters.get(usize::from(*index)).map(|parameter| parameter.name.clone()),
            Segment::Text(_) => None,
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
