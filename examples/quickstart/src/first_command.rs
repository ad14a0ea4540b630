//! The first command: sent to every node through the API, like any other.

use std::collections::BTreeMap;
use std::time::Duration;

use flotilla_api::client::{CallError, Client};
use flotilla_api::commands::{GetCommandInvocationRequest, GetCommandInvocationResult, SendCommandRequest};

use crate::error::QuickstartError;
use crate::session::Session;
use crate::story::{Step, indented, say};

/// How long the result may take; the command itself takes no time.
const RESULT_LIMIT: Duration = Duration::from_secs(60);
/// What runs on every node.
const SCRIPT: [&str; 2] = ["echo \"Hello from $(uname -n), where I run as $(id -un)\"", "uname -srm"];
/// The states in which an invocation stays.
const FINAL: [&str; 4] = ["Success", "Cancelled", "Failed", "TimedOut"];

/// Runs the command and shows what each node answered. Returns whether it succeeded on every one.
pub(crate) fn run(nodes: &[String], client: &Client, session: &mut Session) -> Result<bool, QuickstartError> {
    let step = Step::begin();
    let sent = client.call(&SendCommandRequest {
        instance_ids: Some(nodes.to_vec()),
        document_name: "AWS-RunShellScript".to_owned(),
        parameters: Some(BTreeMap::from([("commands".to_owned(), SCRIPT.map(str::to_owned).to_vec())])),
        comment: Some("the first command of cargo quickstart".to_owned()),
        ..SendCommandRequest::default()
    })?;
    let missing = QuickstartError::Answer { operation: "SendCommand", member: "CommandId" };
    let command_id = sent.command.and_then(|command| command.command_id).ok_or(missing)?;
    let mut results = Vec::with_capacity(nodes.len());
    for node in nodes {
        let result = session.wait_for(&format!("the result of {node}"), RESULT_LIMIT, || result(client, &command_id, node))?;
        results.push((node, result));
    }
    step.done(&format!("ran a first command, {command_id}"));
    for (node, result) in &results {
        show(node, result);
    }
    Ok(results.iter().all(|(_, result)| result.status.as_deref() == Some("Success")))
}

fn result(client: &Client, command_id: &str, node: &str) -> Result<Option<GetCommandInvocationResult>, QuickstartError> {
    let request = GetCommandInvocationRequest { command_id: command_id.to_owned(), instance_id: node.to_owned(), plugin_name: None };
    match client.call(&request) {
        Ok(result) if FINAL.contains(&result.status.as_deref().unwrap_or_default()) => Ok(Some(result)),
        Ok(_) => Ok(None),
        Err(CallError::Refused { kind, .. }) if kind == "InvocationDoesNotExist" => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn show(node: &str, result: &GetCommandInvocationResult) {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    say(&format!("\n    {node}: {}, exit code {}", text(&result.status_details), result.response_code.unwrap_or(-1)));
    for (name, content) in [("output", &result.standard_output_content), ("errors", &result.standard_error_content)] {
        let content = text(content);
        if !content.trim().is_empty() {
            say(&indented(&content, &format!("    {name} | ")));
        }
    }
}
