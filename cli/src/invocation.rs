//! The outcome of a command on its nodes: read from the bridge, and written for people or programs.

use flotilla_api::client::Client;
use flotilla_api::commands::{
    Command, CommandInvocation, GetCommandInvocationRequest, GetCommandInvocationResult, ListCommandInvocationsRequest, ListCommandsRequest,
};
use serde::Serialize;

use crate::error::{CliError, NODE_FAILED, SUCCESS};
use crate::output::{Format, Output};
use crate::paging::{self, PAGE_SIZE};

/// A command with its outcome on every node, step by step.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Outcome {
    pub(crate) command: Command,
    /// One for each step of each node.
    pub(crate) invocations: Vec<GetCommandInvocationResult>,
    /// Whether it is that of one node only, and the others do not count.
    #[serde(skip)]
    is_of_one_node: bool,
}

/// The command of this id.
pub(crate) fn command(client: &Client, command_id: &str) -> Result<Command, CliError> {
    let request = ListCommandsRequest { command_id: Some(command_id.to_owned()), ..ListCommandsRequest::default() };
    let found = client.call(&request)?.commands.unwrap_or_default();
    found
        .into_iter()
        .find(|command| command.command_id.as_deref() == Some(command_id))
        .ok_or_else(|| CliError::Usage(format!("there is no command {command_id}; `flotilla commands` lists them")))
}

/// The invocations of a command, or that on one node, all pages; with `details` their steps too.
pub(crate) fn invocations(
    client: &Client,
    command_id: &str,
    node: Option<&str>,
    details: bool,
) -> Result<Vec<CommandInvocation>, CliError> {
    paging::read(usize::MAX, |next_token| {
        let page = client.call(&ListCommandInvocationsRequest {
            command_id: Some(command_id.to_owned()),
            instance_id: node.map(str::to_owned),
            details: Some(details),
            max_results: Some(PAGE_SIZE),
            next_token,
            ..ListCommandInvocationsRequest::default()
        })?;
        Ok((page.command_invocations, page.next_token))
    })
}

/// A command with everything that its nodes said, or one of them. One call a node, since a list cuts the output shorter.
pub(crate) fn outcome(client: &Client, command: Command, node: Option<&str>) -> Result<Outcome, CliError> {
    let command_id = command.command_id.clone().unwrap_or_default();
    let mut results = Vec::new();
    for invocation in invocations(client, &command_id, node, true)? {
        let steps: Vec<String> = invocation.command_plugins.unwrap_or_default().into_iter().filter_map(|step| step.name).collect();
        let mut read = |plugin_name: Option<String>| -> Result<(), CliError> {
            results.push(client.call(&GetCommandInvocationRequest {
                command_id: command_id.clone(),
                instance_id: invocation.instance_id.clone().unwrap_or_default(),
                plugin_name,
            })?);
            Ok(())
        };
        // With several steps the API wants to know which; with one it must not matter what it is called.
        match steps.as_slice() {
            [] | [_] => read(None)?,
            several => several.iter().try_for_each(|name| read(Some(name.clone())))?,
        }
    }
    Ok(Outcome { command, invocations: results, is_of_one_node: node.is_some() })
}

impl Outcome {
    /// Puts the whole output, as far as the bridge keeps it, in place of what calls cut. Bytes that are no text become �.
    pub(crate) fn fetch_whole(&mut self, client: &Client) -> Result<(), CliError> {
        for invocation in &mut self.invocations {
            let streams = [
                (&invocation.standard_output_url, &mut invocation.standard_output_content),
                (&invocation.standard_error_url, &mut invocation.standard_error_content),
            ];
            for (link, content) in streams {
                if let Some(link) = link.as_deref().filter(|link| !link.is_empty()) {
                    *content = Some(String::from_utf8_lossy(&client.fetch_link(link)?).into_owned());
                }
            }
        }
        Ok(())
    }

    /// The exit code that tells the worst result: success only when it succeeded on every node, and there was one.
    pub(crate) fn exit_code(&self) -> u8 {
        let good = |status: &Option<String>| status.as_deref() == Some("Success");
        let all = self.invocations.iter().all(|invocation| good(&invocation.status));
        if (self.is_of_one_node || good(&self.command.status)) && all && !self.invocations.is_empty() { SUCCESS } else { NODE_FAILED }
    }

    /// Prints the outcome: as JSON, or for people.
    pub(crate) fn print(&self, output: Output) -> Result<(), CliError> {
        match output.format {
            Format::Json => output.print_json(self),
            Format::Table | Format::Text => output.print(&self.text()),
        }
    }

    fn text(&self) -> String {
        if self.invocations.is_empty() {
            let status = self.command.status_details.as_deref().or(self.command.status.as_deref());
            return format!("no node was chosen ({})\n", status.unwrap_or("no status"));
        }
        let mut several_steps = false;
        for pair in self.invocations.windows(2) {
            if let [one, next] = pair {
                several_steps |= one.instance_id == next.instance_id;
            }
        }
        let blocks: Vec<_> = self.invocations.iter().map(|invocation| block(invocation, several_steps)).collect();
        blocks.join("\n")
    }
}

fn block(invocation: &GetCommandInvocationResult, with_step: bool) -> String {
    let word = |text: &Option<String>| text.as_deref().unwrap_or("?").replace(['\n', '\t'], " ");
    let status = word(&invocation.status);
    let details = word(&invocation.status_details);
    let mut head = vec![word(&invocation.instance_id)];
    if with_step {
        head.push(format!("step {}", word(&invocation.plugin_name)));
    }
    // The details repeat the status where there is nothing to add.
    let adds = !matches!(invocation.status_details.as_deref(), None | Some("")) && details.replace(' ', "") != status;
    head.push(if adds { format!("{status} ({details})") } else { status });
    // A command that has no exit code answers -1.
    if let Some(code) = invocation.response_code.filter(|code| *code >= 0) {
        head.push(format!("exit code {code}"));
    }
    let mut text = format!("== {} ==\n", head.join("  "));
    push_output(&mut text, "", invocation.standard_output_content.as_deref());
    push_output(&mut text, "-- standard error --\n", invocation.standard_error_content.as_deref());
    text
}

fn push_output(text: &mut String, head: &str, content: Option<&str>) {
    let Some(content) = content.filter(|content| !content.is_empty()) else { return };
    text.push_str(head);
    text.push_str(content);
    if !content.ends_with('\n') {
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(command: &str, nodes: &[(&str, &str, i32, &str, &str)]) -> Outcome {
        let some = |text: &str| Some(text.to_owned());
        let invocations = nodes.iter().map(|(node, status, code, out, error)| GetCommandInvocationResult {
            instance_id: some(node),
            plugin_name: some("runShellScript"),
            status: some(status),
            status_details: some(if *code < 0 { "Undeliverable" } else { status }),
            response_code: Some(*code),
            standard_output_content: some(out),
            standard_error_content: some(error),
            ..GetCommandInvocationResult::default()
        });
        let command = Command { status: some(command), ..Command::default() };
        Outcome { command, invocations: invocations.collect(), is_of_one_node: false }
    }

    #[test]
    fn the_exit_code_tells_the_worst() {
        let good = ("mi-1", "Success", 0, "", "");
        assert_eq!(outcome("Success", &[good]).exit_code(), SUCCESS);
        assert_eq!(outcome("Success", &[good, ("mi-2", "Failed", 1, "", "")]).exit_code(), NODE_FAILED);
        assert_eq!(outcome("Cancelled", &[good]).exit_code(), NODE_FAILED);
        assert_eq!(outcome("Success", &[]).exit_code(), NODE_FAILED, "nothing ran anywhere");
        let of_one = |node| Outcome { is_of_one_node: true, ..outcome("InProgress", &[node]) };
        assert_eq!((of_one(good).exit_code(), of_one(("mi-2", "Failed", 1, "", "")).exit_code()), (SUCCESS, NODE_FAILED));
    }

    #[test]
    fn every_node_has_its_block() {
        let shown = outcome(
            "Failed",
            &[("mi-1", "Success", 0, "hello\n", ""), ("mi-2", "Failed", 3, "", "no such file"), ("mi-3", "TimedOut", -1, "", "")],
        );
        insta::assert_snapshot!(shown.text(), @r"
        == mi-1  Success  exit code 0 ==
        hello

        == mi-2  Failed  exit code 3 ==
        -- standard error --
        no such file

        == mi-3  TimedOut (Undeliverable) ==
        ");
        insta::assert_snapshot!(outcome("Failed", &[]).text(), @"no node was chosen (Failed)");
    }

    #[test]
    fn steps_are_named_where_there_are_several() {
        let step = ("mi-1", "Success", 0, "", "");
        insta::assert_snapshot!(outcome("Success", &[step, step]).text(), @r"
        == mi-1  step runShellScript  Success  exit code 0 ==

        == mi-1  step runShellScript  Success  exit code 0 ==
        ");
    }
}
