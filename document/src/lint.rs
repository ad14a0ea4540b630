//! Everything that is wrong with a document at once, and what is likely not meant: for the people who write documents.
//!
//! Errors are those of [`Document::parse`], which stops at the first. Here the part that is wrong is replaced by a harmless one and the
//! document is read again, so that the next error is found, too. Warnings are looked for only in a document without errors, because parts
//! that were replaced would look unused.

mod rules;

use super::content::{ContentError, Format, MAXIMUM_CONTENT_BYTES};
use super::model::{Document, Schema};
use super::place::{Fault, Key, Path};
use serde_json::{Value, json};

/// Most findings of one document.
pub const MAXIMUM_FINDINGS: usize = 100;
/// The rule of what keeps a text from being a document.
const DOCUMENT: &str = "document";

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The bridge refuses the document.
    Error,
    /// The bridge takes the document; what it does is likely not what is meant, or not safe.
    Warning,
}

impl Severity {
    /// The word for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// Something to say about a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The name of the rule, such as `unused-parameter`; `document` for errors.
    pub rule: &'static str,
    /// The line, from 1 on, where it is known.
    pub line: Option<u64>,
    /// The path, such as `mainSteps[0].inputs.timeoutSeconds`; empty for the whole document.
    pub path: String,
    /// What it is.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// What a rule says, before its line is looked up.
struct Remark {
    place: Path,
    rule: &'static str,
    message: String,
    hint: String,
}

/// Reads a text as a document and says all that is to say about it, by line: at most [`MAXIMUM_FINDINGS`]. Nothing found means that the
/// bridge takes it.
#[must_use]
pub fn lint(text: &str, format: Format) -> Vec<Finding> {
    if text.len() > MAXIMUM_CONTENT_BYTES {
        return vec![whole(ContentError::TooLarge { bytes: text.len() }.to_string(), None)];
    }
    let value = match format.read(text) {
        Ok(value) => value,
        Err(message) => return vec![whole(format!("the content is not {}: {message}", format.name()), format.failing_line(text))],
    };
    let (errors, document) = errors(value.clone());
    let mut findings: Vec<Finding> = errors.into_iter().map(|error| of_error(error, text, format)).collect();
    let remarks = document.map(|document| rules::warnings(&document, &value)).unwrap_or_default();
    findings.extend(remarks.into_iter().take(MAXIMUM_FINDINGS).map(|remark| {
        let fault = Fault::new(remark.place, remark.message).find_line(text, format);
        Finding {
            severity: Severity::Warning,
            rule: remark.rule,
            line: fault.line(),
            path: fault.path(),
            message: fault.message().to_owned(),
            hint: remark.hint,
        }
    }));
    findings.sort_by_key(|finding| finding.line);
    findings
}

fn whole(message: String, line: Option<u64>) -> Finding {
    let hint = advice("", &message).to_owned();
    Finding { severity: Severity::Error, rule: DOCUMENT, line, path: String::new(), message, hint }
}

fn of_error(error: ContentError, text: &str, format: Format) -> Finding {
    let fault = match error {
        ContentError::Content(fault) => fault,
        ContentError::SchemaVersion { .. } => Fault::new(Path::of("schemaVersion"), error.to_string()),
        ContentError::TooLarge { .. } => return whole(error.to_string(), None),
    };
    let fault = fault.find_line(text, format);
    let hint = advice(&fault.path(), fault.message()).to_owned();
    let message = fault.message().to_owned();
    Finding { severity: Severity::Error, rule: DOCUMENT, line: fault.line(), path: fault.path(), message, hint }
}

/// All errors that can be found, and the document when there are none.
fn errors(mut value: Value) -> (Vec<ContentError>, Option<Document>) {
    let mut found = Vec::new();
    while found.len() < MAXIMUM_FINDINGS {
        match Document::of_value(value.clone(), String::new()) {
            Ok(document) => {
                let document = found.is_empty().then_some(document);
                return (found, document);
            }
            Err(error) => {
                let goes_on = replace(&mut value, &error);
                found.push(error);
                if !goes_on {
                    break;
                }
            }
        }
    }
    (found, None)
}

/// Replaces the part that is wrong by a harmless one; says whether that was possible.
fn replace(value: &mut Value, error: &ContentError) -> bool {
    let Some(members) = value.as_object_mut() else { return false };
    let fault = match error {
        ContentError::TooLarge { .. } => return false,
        ContentError::SchemaVersion { .. } => {
            let schema = if members.contains_key("runtimeConfig") { Schema::V1_2 } else { Schema::V2_2 };
            members.insert("schemaVersion".to_owned(), Value::from(schema.name()));
            return true;
        }
        ContentError::Content(fault) => fault,
    };
    match fault.place().keys() {
        [Key::Member(list), Key::Member(name), ..] if list == "parameters" => {
            let harmless = json!({ "type": "String" });
            let Some(parameters) = members.get_mut("parameters").and_then(Value::as_object_mut) else { return false };
            // Where the name itself is wrong, another definition does not help.
            if parameters.get(name) == Some(&harmless) {
                return parameters.remove(name).is_some();
            }
            parameters.insert(name.clone(), harmless).is_some()
        }
        [Key::Member(list), Key::Element(index), ..] if list == "mainSteps" => {
            let harmless =
                json!({ "action": "aws:runShellScript", "name": format!("replaced.{index}"), "inputs": { "runCommand": "true" } });
            let step = members.get_mut("mainSteps").and_then(|steps| steps.get_mut(*index));
            step.is_some_and(|step| std::mem::replace(step, harmless.clone()) != harmless)
        }
        [Key::Member(list), Key::Member(name), ..] if list == "runtimeConfig" => {
            let Some(plugins) = members.get_mut("runtimeConfig").and_then(Value::as_object_mut) else { return false };
            let is_gone = plugins.remove(name).is_some();
            if plugins.is_empty() {
                plugins.insert("aws:runShellScript".to_owned(), json!({ "properties": { "runCommand": "true" } }));
            }
            is_gone
        }
        [Key::Member(name), ..] if name != "mainSteps" && name != "runtimeConfig" => members.remove(name).is_some(),
        _ => false,
    }
}

/// What to do about an error, by the words of its message and the end of its path.
fn advice(path: &str, message: &str) -> &'static str {
    let of_message = [
        ("bytes; at most", "split it, or let a step fetch the long part"),
        ("comes twice", "remove one of the two, or give it another name"),
        ("the content is not", "look at the quotation marks, brackets and indentation on this line and the one before"),
        ("schemaVersion is", "write schemaVersion: \"2.2\", with the quotation marks"),
        ("is missing", "add it; schema 2.2 has mainSteps, a list of steps"),
        ("it is not known; a Command", "check the spelling and the indentation, or remove it"),
        ("unknown field", "check the spelling and the indentation, or remove it"),
        ("missing field", "add it"),
        ("invalid type", "look at the quotation marks, list dashes and indentation"),
        ("unknown variant", "use one of the words that are named"),
        ("the default is refused", "change the default or the rule"),
        ("is no plugin of SSM", "check the spelling; scripts are run by aws:runShellScript"),
        ("two steps have the name", "give each step a name of its own"),
        ("steps; 1 to", "a document has at least one step; split one that has too many"),
    ];
    let of_path = [
        (".onFailure", "leave it out to go on after a failure; `exit` ends the document as failed, `successAndExit` as succeeded"),
        (".onSuccess", "leave it out to go on; `exit` ends the document"),
        (".finallyStep", "write true on the last step, or leave it out"),
        (".timeoutSeconds", "write the seconds as a number, or name a parameter"),
        (".name", "change the name"),
    ];
    let named = of_message.into_iter().find(|(words, _)| message.contains(words));
    let placed = || of_path.into_iter().find(|(end, _)| path.ends_with(end));
    named.or_else(placed).map_or("docs/documents.md says what a document may hold", |(_, hint)| hint)
}

#[cfg(test)]
mod tests;
