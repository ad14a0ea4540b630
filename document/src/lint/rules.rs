//! The rules of warnings: each says what it saw, and what to do.

use super::Remark;
use crate::compile::compile;
use crate::model::{Action, ControlInputs, Document, Interpolation, ParameterDefinition, ParameterType, Step};
use crate::place::Path;
use crate::plugin;
use flotilla_protocol::document::Test;
use regex_syntax::hir::{Class, ClassBytesRange, Hir, HirKind};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The plugins whose lines a shell reads.
const SHELL_PLUGINS: [&str; 2] = ["aws:runShellScript", "aws:runPowerShellScript"];
/// Parts of names of parameters that hold secrets, in small letters.
const SECRET_NAMES: [&str; 7] = ["password", "passwd", "secret", "token", "apikey", "privatekey", "credential"];
/// Characters with which a value gets out of its word in a script.
const HOSTILE: [char; 11] = [';', '|', '&', '$', '`', '\'', '"', '\n', '<', '(', '\\'];
/// Begin references to the parameter store.
const STORE: [&str; 2] = ["ssm:", "ssm-secure:"];

/// Where a text of a step stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// A line that a shell reads.
    Script,
    /// An argument of a precondition, where every parameter can be named.
    Precondition,
    /// Any other input.
    Input,
}

struct Text<'a> {
    place: Path,
    role: Role,
    text: &'a str,
}

/// All warnings about a document and the tree that it was read from.
pub(super) fn warnings(document: &Document, value: &Value) -> Vec<Remark> {
    let texts = texts(value);
    let mut remarks = Vec::new();
    let used = references_of(document, &texts, &mut remarks);
    parameters(document, &used, &texts, &mut remarks);
    keys(&Path::default(), value, &mut remarks);
    steps(document, &mut remarks);
    preconditions(document, &mut remarks);
    remarks
}

/// The texts of all steps in which parameters can be named.
fn texts(value: &Value) -> Vec<Text<'_>> {
    let mut found = Vec::new();
    for (index, step) in value.get("mainSteps").and_then(Value::as_array).into_iter().flatten().enumerate() {
        let place = Path::of("mainSteps").element(index);
        let plugin = step.get("action").and_then(Value::as_str).unwrap_or_default();
        if let Some(precondition) = step.get("precondition") {
            gather(place.member("precondition"), Role::Precondition, precondition, &mut found);
        }
        if let Some(inputs) = step.get("inputs") {
            inputs_of(plugin, &place.member("inputs"), inputs, &mut found);
        }
    }
    for (plugin, config) in value.get("runtimeConfig").and_then(Value::as_object).into_iter().flatten() {
        let place = Path::of("runtimeConfig").member(plugin).member("properties");
        match config.get("properties") {
            Some(Value::Array(all)) => {
                all.iter().enumerate().for_each(|(index, inputs)| inputs_of(plugin, &place.element(index), inputs, &mut found));
            }
            Some(inputs) => inputs_of(plugin, &place, inputs, &mut found),
            None => {}
        }
    }
    found
}

fn inputs_of<'a>(plugin: &str, place: &Path, inputs: &'a Value, found: &mut Vec<Text<'a>>) {
    for (name, input) in inputs.as_object().into_iter().flatten() {
        let is_script = SHELL_PLUGINS.contains(&plugin) && name == "runCommand";
        gather(place.member(name), if is_script { Role::Script } else { Role::Input }, input, found);
    }
}

fn gather<'a>(place: Path, role: Role, value: &'a Value, found: &mut Vec<Text<'a>>) {
    match value {
        Value::String(text) => found.push(Text { place, role, text }),
        Value::Array(list) => list.iter().enumerate().for_each(|(index, one)| gather(place.element(index), role, one, found)),
        Value::Object(members) => members.iter().for_each(|(name, one)| gather(place.member(name), role, one, found)),
        _ => {}
    }
}

/// The names between double braces that look like one of a parameter: `{{ .Names }}` of other tools does not.
fn references(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let name = after.split_once("}}").map(|(inside, behind)| (inside.trim_matches([' ', '\t']), behind));
        let sound = |name: &str| {
            name.starts_with(|first: char| first.is_ascii_alphanumeric())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:/".contains(&byte))
        };
        match name {
            Some((name, behind)) if sound(name) => {
                names.push(name);
                rest = behind;
            }
            _ => rest = rest.get(before.len() + 1..).unwrap_or_default(),
        }
    }
    names
}

/// Looks at every `{{ name }}`; the result is the names of parameters that are used.
fn references_of<'a>(document: &Document, texts: &[Text<'a>], remarks: &mut Vec<Remark>) -> BTreeSet<&'a str> {
    let mut used = BTreeSet::new();
    for Text { place, role, text } in texts {
        let names = references(text);
        for name in names.iter().copied().collect::<BTreeSet<_>>() {
            let mut remark = |rule, message: String, hint: String| remarks.push(Remark { place: place.clone(), rule, message, hint });
            let Some(definition) = document.parameters.get(name) else {
                if STORE.iter().any(|store| name.starts_with(store)) {
                    let message = format!("{{{{ {name} }}}} stays as it is: references to the parameter store are not built");
                    remark("parameter-store", message, "make it a parameter of the document".to_owned());
                } else {
                    let like = document.parameters.keys().find(|known| known.eq_ignore_ascii_case(name));
                    let hint = like.map_or_else(
                        || "declare the parameter, or correct the name".to_owned(),
                        |known| format!("write {{{{ {known} }}}}"),
                    );
                    remark("unknown-parameter", format!("{{{{ {name} }}}} names no parameter of the document and stays as it is"), hint);
                }
                continue;
            };
            used.insert(name);
            let is_alone =
                names.len() == 1 && text.trim().strip_prefix("{{").is_some_and(|rest| rest.trim_end_matches("}}").trim() == name);
            match (definition.interpolation_type, role) {
                (Interpolation::EnvironmentVariable, Role::Script | Role::Input) => {
                    let message = format!("{{{{ {name} }}}} stays as it is, since the parameter has interpolationType ENV_VAR");
                    remark("braces-of-env-var", message, format!("write \"$SSM_{name}\" in the script"));
                }
                (Interpolation::Literal, Role::Script) if !is_alone && lets_anything_through(definition) => {
                    let message = format!("the value of {name} becomes part of the script, which runs whatever is in it");
                    let hint = format!(
                        "give the parameter interpolationType: ENV_VAR and write \"$SSM_{name}\", or limit it with allowedValues or allowedPattern"
                    );
                    remark("injection", message, hint);
                }
                _ => {}
            }
        }
    }
    used
}

/// Whether a value could hold what a shell does not take as plain text.
fn lets_anything_through(definition: &ParameterDefinition) -> bool {
    // Of a secret only a path of our own making, or a variable, reaches a script.
    let never = matches!(definition.r#type, ParameterType::Boolean | ParameterType::Integer | ParameterType::SecureString);
    if never || definition.allowed_values.is_some() {
        return false;
    }
    let pattern = definition.allowed_pattern.as_ref().and_then(|pattern| regex_syntax::parse(pattern).ok());
    pattern.is_none_or(|pattern| can_be_hostile(&pattern))
}

/// Whether some part of a pattern stands for a hostile character. Patterns are nested 250 deep at most: the parser refuses others.
fn can_be_hostile(pattern: &Hir) -> bool {
    let hostile = |text: &str| text.contains(HOSTILE);
    match pattern.kind() {
        HirKind::Empty | HirKind::Look(_) => false,
        HirKind::Literal(literal) => std::str::from_utf8(&literal.0).is_ok_and(hostile),
        HirKind::Class(Class::Unicode(class)) => {
            class.ranges().iter().any(|range| HOSTILE.iter().any(|letter| (range.start()..=range.end()).contains(letter)))
        }
        HirKind::Class(Class::Bytes(class)) => {
            let in_range = |letter: char, range: &ClassBytesRange| {
                u8::try_from(letter).is_ok_and(|letter| (range.start()..=range.end()).contains(&letter))
            };
            class.ranges().iter().any(|range| HOSTILE.iter().any(|letter| in_range(*letter, range)))
        }
        HirKind::Repetition(repetition) => repetition.max != Some(0) && can_be_hostile(&repetition.sub),
        HirKind::Capture(capture) => can_be_hostile(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().any(can_be_hostile),
    }
}

fn parameters(document: &Document, used: &BTreeSet<&str>, texts: &[Text<'_>], remarks: &mut Vec<Remark>) {
    for (name, definition) in &document.parameters {
        let place = Path::of("parameters").member(name);
        let variable = format!("SSM_{name}");
        let is_read =
            definition.interpolation_type == Interpolation::EnvironmentVariable && texts.iter().any(|text| text.text.contains(&variable));
        let mut remark =
            |place: Path, rule, message: String, hint: &str| remarks.push(Remark { place, rule, message, hint: hint.to_owned() });
        if !used.contains(name.as_str()) && !is_read {
            let hint = match definition.interpolation_type {
                Interpolation::Literal => format!("use it as {{{{ {name} }}}}, or remove it"),
                Interpolation::EnvironmentVariable => format!("use it as \"${variable}\", or remove it"),
            };
            remark(place.clone(), "unused-parameter", format!("no step uses the parameter {name}"), &hint);
        }
        if definition.description.as_deref().is_none_or(|description| description.trim().is_empty()) {
            let message = format!("the parameter {name} has no description");
            remark(place.clone(), "parameter-description", message, "say what it is for and what values make sense");
        }
        let small = name.to_lowercase();
        let has_default = definition.default.as_ref().and_then(Value::as_str).is_some_and(|default| !default.is_empty());
        if has_default && SECRET_NAMES.iter().any(|part| small.contains(part)) {
            let message = format!("the default of {name} looks like a secret; whoever may read the document reads it");
            remark(
                place.member("default"),
                "secret-default",
                message,
                "remove the default, and make it a SecureString, which only the nodes of a command can read",
            );
        }
    }
}

/// Looks for private keys and access keys in every text.
fn keys(place: &Path, value: &Value, remarks: &mut Vec<Remark>) {
    match value {
        Value::String(text) if looks_like_key(text) => remarks.push(Remark {
            place: place.clone(),
            rule: "secret-in-text",
            message: "this looks like a private key or an access key; whoever may read the document reads it".to_owned(),
            hint: "remove it, replace the key, and give the new one as a parameter of the type SecureString".to_owned(),
        }),
        Value::Array(list) => list.iter().enumerate().for_each(|(index, one)| keys(&place.element(index), one, remarks)),
        Value::Object(members) => members.iter().for_each(|(name, one)| keys(&place.member(name), one, remarks)),
        _ => {}
    }
}

fn looks_like_key(text: &str) -> bool {
    /// Letters and digits of an access key's id behind its first four.
    const REST: usize = 16;
    let is_id = |behind: &str| behind.chars().take_while(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit()).count() == REST;
    text.contains("PRIVATE KEY-----") || ["AKIA", "ASIA"].iter().any(|begin| text.split(begin).skip(1).any(is_id))
}

fn place_of(document: &Document, index: usize, step: &Step) -> Path {
    if document.schema.has_runtime_config() { Path::of("runtimeConfig").member(&step.name) } else { Path::of("mainSteps").element(index) }
}

fn steps(document: &Document, remarks: &mut Vec<Remark>) {
    let last = document.steps.len().saturating_sub(1);
    let mut ended: Option<String> = None;
    for (index, step) in document.steps.iter().enumerate() {
        let place = place_of(document, index, step);
        let (control, inputs) = (&step.control, place.member("inputs"));
        let mut remark =
            |place: Path, rule, message: String, hint: &str| remarks.push(Remark { place, rule, message, hint: hint.to_owned() });
        let is_finally = index == last && control.finally_step.as_deref() == Some("true");
        if let Some(why) = ended.take_if(|_| !is_finally) {
            remark(place.clone(), "unreachable", format!("the step {} does not run: {why}", step.name), "put it before, or remove it");
        }
        if let Some(name) = not_run(step)
            && !is_for_another_platform(step)
        {
            remark(
                place.clone(),
                "not-run",
                format!("the step fails on every node: {}", plugin::why(name)),
                "use a plugin that is supported",
            );
        }
        let without_effect = [
            ("onFailure", index == last && control.on_failure.as_deref() == Some("exit"), "it is the last step anyway; remove it"),
            ("onSuccess", index == last && control.on_success.is_some(), "it is the last step anyway; remove it"),
            ("finallyStep", index != last && control.finally_step.as_deref() == Some("true"), "move the step to the end, or remove it"),
        ];
        for (name, _, hint) in without_effect.into_iter().filter(|(_, holds, _)| *holds) {
            remark(inputs.member(name), "without-effect", format!("{name} has no effect here"), hint);
        }
        if step.precondition.is_empty() {
            ended = ended.or_else(|| ends_always(step));
        }
    }
}

/// The plugin of a step that nodes do not run.
fn not_run(step: &Step) -> Option<&'static str> {
    match &step.action {
        Action::NotRun(name) => Some(name),
        Action::Several(parts) => parts.first().and_then(not_run),
        _ => None,
    }
}

fn is_for_another_platform(step: &Step) -> bool {
    step.precondition.values().any(|arguments| {
        arguments.iter().any(|argument| argument == "platformType") && !arguments.iter().any(|argument| argument == "Linux")
    })
}

/// Why nothing runs after a step, if so.
fn ends_always(step: &Step) -> Option<String> {
    let control = &step.control;
    if control.on_success.as_deref() == Some("exit") && matches!(control.on_failure.as_deref(), Some("exit" | "successAndExit")) {
        return Some(format!("{} ends the document when it succeeds and when it fails", step.name));
    }
    let Action::RunShellScript(inputs) = &step.action else { return None };
    let last = inputs.run_command.as_slice().last()?.trim_end().lines().last()?;
    ["exit 168", "exit 169"].contains(&last).then(|| format!("the script of {} ends in `{last}`, which ends the document", step.name))
}

/// Preconditions without meaning, as the compiler judges them.
fn preconditions(document: &Document, remarks: &mut Vec<Remark>) {
    // Only preconditions are wanted of the plan: nothing else must be able to fail.
    let mut bare = document.clone();
    for definition in bare.parameters.values_mut() {
        *definition = ParameterDefinition {
            r#type: ParameterType::String,
            description: None,
            default: Some(Value::from("")),
            allowed_values: None,
            allowed_pattern: None,
            min_chars: None,
            max_chars: None,
            min_items: None,
            max_items: None,
            display_type: None,
            interpolation_type: Interpolation::Literal,
        };
    }
    for step in &mut bare.steps {
        step.control = ControlInputs::default();
        step.action = Action::NotRun("");
    }
    let Ok(compiled) = compile(&bare, &BTreeMap::new(), &BTreeMap::new()) else { return };
    for (index, (step, planned)) in document.steps.iter().zip(&compiled.plan.steps).enumerate() {
        for precondition in planned.preconditions.iter().filter(|precondition| precondition.test == Test::Malformed) {
            remarks.push(Remark {
                place: place_of(document, index, step).member("precondition"),
                rule: "precondition",
                message: format!("the step fails on every node: {}", precondition.text),
                hint: "compare platformType or a parameter with a text by StringEquals, in schemaVersion 2.2".to_owned(),
            });
        }
    }
}
