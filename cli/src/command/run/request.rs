//! From the arguments of `flotilla run` to the request that is sent.

use std::collections::BTreeMap;
use std::path::Path;

use clap::ValueEnum as _;
use flotilla_api::commands::{NotificationConfig, SendCommandRequest, Target};
use zeroize::Zeroizing;

use super::RunArguments;
use crate::arguments::NameValue;
use crate::error::CliError;
use crate::files;
use crate::quoting::script;

/// The document that runs shell text.
const SHELL_DOCUMENT: &str = "AWS-RunShellScript";
/// Its parameter that holds the text.
const SHELL_PARAMETER: &str = "commands";
/// Instead of a file: the standard input.
const STANDARD_INPUT: &str = "-";
/// Nodes that one request can name; the API's own limit, said here with a better hint.
const NODES_LIMIT: usize = 50;
/// Hexadecimal digits of a Sha256 and of a Sha1.
const SHA256_DIGITS: usize = 64;
const SHA1_DIGITS: usize = 40;

/// Reads a hash whose algorithm its length tells.
pub(super) fn hash(text: &str) -> Result<String, String> {
    let is_hash = matches!(text.len(), SHA256_DIGITS | SHA1_DIGITS) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hash { Ok(text.to_owned()) } else { Err("write 64 hexadecimal digits (Sha256) or 40 (Sha1)".to_owned()) }
}

/// What to send for these arguments.
pub(crate) fn request(arguments: &RunArguments) -> Result<SendCommandRequest, CliError> {
    if arguments.nodes.len() > NODES_LIMIT {
        let text = format!("at most {NODES_LIMIT} nodes can be named; give them a tag and use --tag");
        return Err(CliError::Usage(text));
    }
    let parameters = parameters(arguments)?;
    let timeout_seconds = arguments.timeout.map(|timeout| i32::try_from(timeout.as_secs())).transpose();
    Ok(SendCommandRequest {
        document_name: arguments.document.clone().unwrap_or_else(|| SHELL_DOCUMENT.to_owned()),
        instance_ids: Some(arguments.nodes.clone()).filter(|nodes| !nodes.is_empty()),
        targets: targets(arguments),
        parameters: Some(parameters).filter(|parameters| !parameters.is_empty()),
        timeout_seconds: timeout_seconds.map_err(|_error| CliError::Usage("--timeout is too long".to_owned()))?,
        max_concurrency: arguments.max_concurrency.clone(),
        max_errors: arguments.max_errors.clone(),
        comment: arguments.comment.clone(),
        document_version: arguments.document_version.clone(),
        document_hash: arguments.document_hash.clone(),
        document_hash_type: arguments
            .document_hash
            .as_ref()
            .map(|hash| if hash.len() == SHA1_DIGITS { "Sha1" } else { "Sha256" }.to_owned()),
        ..SendCommandRequest::default()
    })
}

fn parameters(arguments: &RunArguments) -> Result<BTreeMap<String, Vec<String>>, CliError> {
    let mut parameters: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for parameter in &arguments.parameters {
        parameters.entry(parameter.name.clone()).or_default().push(parameter.value.clone());
    }
    if arguments.parameter_files.iter().filter(|parameter| parameter.value == STANDARD_INPUT).count() > 1 {
        return Err(CliError::Usage("--parameter-file can read the standard input once only".to_owned()));
    }
    for parameter in &arguments.parameter_files {
        parameters.entry(parameter.name.clone()).or_default().push(value_in(parameter)?);
    }
    if arguments.document.is_none() {
        match (arguments.words.is_empty(), parameters.contains_key(SHELL_PARAMETER)) {
            (true, false) => {
                let text = "nothing to run: write the command after --, as in `flotilla run --all -- uptime`";
                return Err(CliError::Usage(text.to_owned()));
            }
            (false, true) => {
                let text = "give the command after -- or as --parameter commands=…, not both";
                return Err(CliError::Usage(text.to_owned()));
            }
            (true, true) => {}
            (false, false) => {
                parameters.insert(SHELL_PARAMETER.to_owned(), vec![script(&arguments.words)]);
            }
        }
    }
    Ok(parameters)
}

/// The value in a file, without the last end of a line.
fn value_in(parameter: &NameValue) -> Result<String, CliError> {
    let path = Path::new(&parameter.value);
    let read = if parameter.value == STANDARD_INPUT { files::read_input() } else { files::read(path) };
    let unreadable = |why: String| CliError::Usage(format!("--parameter-file {}={}: {why}", parameter.name, parameter.value));
    let bytes = Zeroizing::new(read.map_err(|error| unreadable(error.to_string()))?);
    let text = std::str::from_utf8(&bytes).map_err(|_| unreadable("it is no UTF-8 text".to_owned()))?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

/// Who is to be told, by a name that the bridge knows in its region.
pub(super) fn notification(arguments: &RunArguments, region: &str) -> Option<NotificationConfig> {
    let name = arguments.notify.as_deref()?;
    let arn = if name.starts_with("arn:") { name.to_owned() } else { format!("arn:aws:sns:{region}:000000000000:{name}") };
    let events = arguments.notify_events.iter().filter_map(|event| Some(event.to_possible_value()?.get_name().to_owned()));
    Some(NotificationConfig {
        notification_arn: Some(arn),
        notification_events: Some(events.collect()),
        notification_type: Some(if arguments.notify_each { "Invocation" } else { "Command" }.to_owned()),
    })
}

fn targets(arguments: &RunArguments) -> Option<Vec<Target>> {
    if arguments.all {
        return Some(vec![target("InstanceIds".to_owned(), vec!["*".to_owned()])]);
    }
    let mut by_key: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for tag in &arguments.tags {
        by_key.entry(format!("tag:{}", tag.name)).or_default().push(tag.value.clone());
    }
    if let Some(group) = &arguments.group {
        by_key.entry("resource-groups:Name".to_owned()).or_default().push(group.clone());
    }
    for chosen in &arguments.targets {
        by_key.entry(chosen.name.clone()).or_default().extend(chosen.value.split(',').map(str::to_owned));
    }
    let targets: Vec<_> = by_key.into_iter().map(|(key, values)| target(key, values)).collect();
    Some(targets).filter(|targets| !targets.is_empty())
}

fn target(key: String, values: Vec<String>) -> Target {
    Target { key: Some(key), values: Some(values) }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::arguments::Arguments;
    use crate::output::json;

    /// The request for these words after `flotilla run`, or the error.
    fn sent(words: &[&str]) -> Result<String, String> {
        let all = ["flotilla", "run"].iter().chain(words);
        let arguments = Arguments::try_parse_from(all).map_err(|error| error.kind().to_string())?;
        let crate::command::Command::Run(arguments) = arguments.command else { panic!("not run") };
        let request = request(&arguments).map_err(|error| error.report())?;
        Ok(json(&SendCommandRequest { notification_config: notification(&arguments, "local-1"), ..request }).unwrap())
    }

    #[test]
    fn a_parameter_can_come_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        files::create_secret(&path, b"hunter2 = \n\n").unwrap();
        let file = format!("password={}", path.display());
        let request = sent(&["--all", "--document", "D", "--parameter", "a=1", "--parameter-file", &file]).unwrap();
        assert!(request.contains(r#""hunter2 = \n""#), "{request}");
        let missing = sent(&["--all", "--document", "D", "--parameter-file", "password=/does/not/exist"]).unwrap_err();
        assert!(missing.contains("--parameter-file password=/does/not/exist"), "{missing}");
        let twice = sent(&["--all", "--document", "D", "--parameter-file", "a=-", "--parameter-file", "b=-"]).unwrap_err();
        assert!(twice.contains("once"), "{twice}");
    }

    #[test]
    fn words_become_a_shell_script() {
        insta::assert_snapshot!(sent(&["--all", "--", "echo", "a b"]).unwrap(), @r#"
        {
          "Targets": [
            {
              "Key": "InstanceIds",
              "Values": [
                "*"
              ]
            }
          ],
          "DocumentName": "AWS-RunShellScript",
          "Parameters": {
            "commands": [
              "echo 'a b'"
            ]
          }
        }
        "#);
    }

    #[test]
    fn tags_of_one_key_are_alternatives() {
        let words = [
            "--tag",
            "site=north",
            "--tag",
            "site=south",
            "--tag",
            "kind=a=b",
            "--document",
            "My-Document",
            "--parameter",
            "level=3",
            "--parameter",
            "level=4",
            "--max-concurrency",
            "10%",
            "--max-errors",
            "2",
            "--timeout",
            "2h",
            "--comment",
            "text",
        ];
        insta::assert_snapshot!(sent(&words).unwrap(), @r#"
        {
          "Targets": [
            {
              "Key": "tag:kind",
              "Values": [
                "a=b"
              ]
            },
            {
              "Key": "tag:site",
              "Values": [
                "north",
                "south"
              ]
            }
          ],
          "DocumentName": "My-Document",
          "TimeoutSeconds": 7200,
          "Comment": "text",
          "Parameters": {
            "level": [
              "3",
              "4"
            ]
          },
          "MaxConcurrency": "10%",
          "MaxErrors": "2"
        }
        "#);
    }

    #[test]
    fn nodes_are_named() {
        let words = ["--node", "mi-1", "--node", "mi-2", "--parameter", "executionTimeout=60", "--", "a | b"];
        insta::assert_snapshot!(sent(&words).unwrap(), @r#"
        {
          "InstanceIds": [
            "mi-1",
            "mi-2"
          ],
          "DocumentName": "AWS-RunShellScript",
          "Parameters": {
            "commands": [
              "a | b"
            ],
            "executionTimeout": [
              "60"
            ]
          }
        }
        "#);
    }

    #[test]
    fn groups_versions_hashes_and_notifications() {
        let hash = "0123456789abcdef".repeat(4);
        let words = ["--group", "kiosks", "--target", "tag-key=site,room", "--document", "My-Document", "--document-version", "2"];
        let more = ["--document-hash", &hash, "--notify", "operators", "--notify-events", "failed,TimedOut", "--notify-each"];
        let sent: serde_json::Value = serde_json::from_str(&sent(&[&words[..], &more].concat()).unwrap()).unwrap();
        let expected = serde_json::json!({
            "Targets": [{ "Key": "resource-groups:Name", "Values": ["kiosks"] }, { "Key": "tag-key", "Values": ["site", "room"] }],
            "DocumentName": "My-Document",
            "DocumentVersion": "2",
            "DocumentHash": hash,
            "DocumentHashType": "Sha256",
            "NotificationConfig": {
                "NotificationArn": "arn:aws:sns:local-1:000000000000:operators",
                "NotificationEvents": ["Failed", "TimedOut"],
                "NotificationType": "Invocation",
            },
        });
        assert_eq!(sent, expected);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let too_many: Vec<_> = (0..51).flat_map(|_| ["--node", "mi-1"]).chain(["--", "x"]).collect();
        for wrong in [
            vec!["--", "x"],
            vec!["--all"],
            vec!["--all", "--node", "mi-1", "--", "x"],
            vec!["--all", "--tag", "a=b", "--", "x"],
            vec!["--node", "mi-1", "--tag", "a=b", "--", "x"],
            vec!["--all", "--document", "d", "--", "x"],
            vec!["--all", "--parameter", "commands=x", "--", "x"],
            vec!["--all", "--timeout", "soon", "--", "x"],
            vec!["--all", "x"],
            vec!["--all", "--group", "kiosks", "--", "x"],
            vec!["--all", "--document", "d", "--document-hash", "abc"],
            vec!["--all", "--notify-events", "Failed", "--", "x"],
            vec!["--all", "--notify", "a", "--notify-events", "Sometimes", "--", "x"],
            too_many,
        ] {
            assert!(sent(&wrong).is_err(), "{wrong:?}");
        }
        insta::assert_snapshot!(sent(&["--all"]).unwrap_err(), @"flotilla: nothing to run: write the command after --, as in `flotilla run --all -- uptime`");
    }
}
