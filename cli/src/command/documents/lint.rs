//! `flotilla documents lint`: reads files as the bridge would, without a bridge, and says all that is to say about them.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::Args;
use flotilla_document::{Finding, Format as DocumentFormat, MAXIMUM_CONTENT_BYTES, Severity, lint};
use serde::Serialize;

use crate::error::{CliError, SUCCESS};
use crate::output::{Format, Output};

/// There are findings that count.
const FOUND: u8 = 1;
/// Stands for standard input.
const STANDARD_INPUT: &str = "-";

/// Check files before documents are made of them; no bridge is needed.
#[derive(Debug, Args)]
#[command(after_help = "\
A finding is a line: FILE:LINE: error or warning: path: what it is; hint: what to do. Errors are what the bridge refuses; warnings are what \
is likely not meant, or not safe. The exit code is 0 when there are no errors, 1 when there are, 2 when a file cannot be read. \
The format is told by the name, .json, .yaml or .yml, else by the content.

Examples:
  flotilla documents lint disk-report.yaml
  flotilla documents lint --strict documents/*.yaml
  flotilla documents lint --output json - < disk-report.json")]
pub(super) struct LintArguments {
    /// The files; - is the standard input.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Warnings make the exit code 1, too.
    #[arg(long)]
    strict: bool,
}

/// A finding as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    path: String,
    severity: &'static str,
    rule: &'static str,
    message: String,
    hint: String,
}

pub(super) fn run(output: Output, arguments: &LintArguments) -> Result<u8, CliError> {
    let texts = arguments.files.iter().map(|file| read(file)).collect::<Result<Vec<_>, _>>()?;
    let mut entries = Vec::new();
    let mut fails = false;
    for (file, text) in arguments.files.iter().zip(&texts) {
        for finding in lint(text, format_of(file, text)) {
            fails |= arguments.strict || finding.severity == Severity::Error;
            entries.push(entry(file, finding));
        }
    }
    match output.format {
        Format::Json => output.print_json(&entries)?,
        Format::Text => output.print(&lines(&entries))?,
        Format::Table if entries.is_empty() => {
            let (files, ending) = (texts.len(), if texts.len() == 1 { "" } else { "s" });
            output.print(&format!("{files} file{ending}, nothing found\n"))?;
        }
        Format::Table => output.print(&lines(&entries))?,
    }
    Ok(if fails { FOUND } else { SUCCESS })
}

fn read(file: &Path) -> Result<String, CliError> {
    // One byte more than is allowed, so that what is too large is seen as such.
    let limit = MAXIMUM_CONTENT_BYTES + 1;
    let read = |source: &mut dyn io::Read| -> io::Result<String> {
        let mut bytes = Vec::new();
        source.take(u64::try_from(limit).unwrap_or(u64::MAX)).read_to_end(&mut bytes)?;
        if bytes.len() >= limit {
            // Cut, perhaps within a character; only its size is told.
            return Ok(String::from_utf8_lossy(&bytes).into_owned());
        }
        String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    };
    let text = if is_standard_input(file) {
        read(&mut io::stdin().lock())
    } else {
        std::fs::File::open(file).and_then(|mut opened| read(&mut opened))
    };
    text.map_err(|error| CliError::Usage(format!("{} cannot be read: {error}", file.display())))
}

fn is_standard_input(file: &Path) -> bool {
    file.as_os_str() == STANDARD_INPUT
}

/// By the name, else by the content: only JSON begins with a brace.
fn format_of(file: &Path, text: &str) -> DocumentFormat {
    match file.extension().and_then(|ending| ending.to_str()) {
        Some("json") => DocumentFormat::Json,
        Some("yaml" | "yml") => DocumentFormat::Yaml,
        _ if text.trim_start().starts_with('{') => DocumentFormat::Json,
        _ => DocumentFormat::Yaml,
    }
}

fn entry(file: &Path, finding: Finding) -> Entry {
    let Finding { severity, rule, line, path, message, hint } = finding;
    Entry { file: file.display().to_string(), line, path, severity: severity.name(), rule, message, hint }
}

fn lines(entries: &[Entry]) -> String {
    let one_line = |text: &str| text.replace(['\n', '\t', '\r'], " ");
    let line = |entry: &Entry| {
        // What is about the whole document stands at its beginning, so that editors can go there.
        let place = format!("{}:{}", entry.file, entry.line.unwrap_or(1));
        let path = if entry.path.is_empty() { String::new() } else { format!("{}: ", entry.path) };
        let Entry { severity, rule, message, hint, .. } = entry;
        one_line(&format!("{place}: {severity}: {path}{message} [{rule}]; hint: {hint}")) + "\n"
    };
    entries.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_told_by_the_name_or_the_content() {
        for (name, text, format) in [
            ("a.json", "", DocumentFormat::Json),
            ("a.yml", "{}", DocumentFormat::Yaml),
            ("-", " \n{}", DocumentFormat::Json),
            ("a", "schemaVersion: \"2.2\"", DocumentFormat::Yaml),
        ] {
            assert_eq!(format_of(Path::new(name), text), format, "{name}");
        }
    }

    #[test]
    fn a_finding_is_one_line() {
        let finding = Finding {
            severity: Severity::Error,
            rule: "document",
            line: None,
            path: String::new(),
            message: "two\nlines".to_owned(),
            hint: "mend it".to_owned(),
        };
        let placed = Finding { line: Some(7), path: "mainSteps[0]".to_owned(), severity: Severity::Warning, ..finding.clone() };
        let entries = [finding, placed].map(|finding| entry(Path::new("a.yaml"), finding));
        insta::assert_snapshot!(lines(&entries), @r"
        a.yaml:1: error: two lines [document]; hint: mend it
        a.yaml:7: warning: mainSteps[0]: two lines [document]; hint: mend it
        ");
    }
}
