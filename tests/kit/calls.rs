//! The operators' calls that tests make over and over.

use crate::fleet::Fleet;
use crate::wait;
use flotilla_api::activations::CreateActivationRequest;
use flotilla_api::client::CallError;
use flotilla_api::commands::{
    Command, CommandInvocation, GetCommandInvocationRequest, GetCommandInvocationResult, ListCommandInvocationsRequest,
    ListCommandsRequest, SendCommandRequest,
};
use flotilla_api::nodes::DescribeInstanceInformationRequest;
use flotilla_api::operation::Operation;
use flotilla_api::tags::Tag;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long a bridge may have too much to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// The document that runs shell text.
pub const SHELL: &str = "AWS-RunShellScript";

/// The states in which nothing more is expected.
#[must_use]
pub fn is_terminal(status: Option<&str>) -> bool {
    matches!(status, Some("Success" | "Cancelled" | "Failed" | "TimedOut"))
}

/// The request to run a script on nodes by their ids.
#[must_use]
pub fn shell(nodes: &[String], script: &str) -> SendCommandRequest {
    SendCommandRequest {
        document_name: SHELL.to_owned(),
        instance_ids: Some(nodes.to_vec()),
        parameters: Some(BTreeMap::from([("commands".to_owned(), vec![script.to_owned()])])),
        ..SendCommandRequest::default()
    }
}

/// The request to run a script on one node.
#[must_use]
pub fn shell_on(node: &str, script: &str) -> SendCommandRequest {
    shell(&[node.to_owned()], script)
}

impl Fleet {
    /// Makes a call that must succeed.
    ///
    /// # Panics
    /// When the bridge refuses it or is not there.
    pub fn call<Request: Operation>(&self, request: &Request) -> Request::Response {
        self.client.call(request).unwrap_or_else(|error| panic!("{}: {error}", Request::NAME))
    }

    /// Makes a call that must be refused; returns the error's name and message.
    ///
    /// # Panics
    /// When it succeeds, or fails in another way.
    pub fn refusal<Request: Operation>(&self, request: &Request) -> (String, String)
    where
        Request::Response: std::fmt::Debug,
    {
        match self.client.call(request) {
            Err(CallError::Refused { kind, message, .. }) => (kind, message),
            other => panic!("{} should have been refused: {other:?}", Request::NAME),
        }
    }

    /// A new activation string for so many nodes.
    #[must_use]
    pub fn activation(&self, limit: i32) -> String {
        let request = CreateActivationRequest {
            iam_role: "none".to_owned(),
            registration_limit: Some(limit),
            default_instance_name: Some("test".to_owned()),
            ..CreateActivationRequest::default()
        };
        self.call(&request).activation_code.expect("an activation has a code")
    }

    /// A new activation string for so many nodes, which get a tag.
    #[must_use]
    pub fn tagged_activation(&self, limit: usize, key: &str, value: &str) -> String {
        let request = CreateActivationRequest {
            iam_role: "none".to_owned(),
            registration_limit: Some(i32::try_from(limit).expect("an activation is for 1,000 nodes at most")),
            tags: Some(vec![Tag { key: key.to_owned(), value: value.to_owned() }]),
            ..CreateActivationRequest::default()
        };
        self.call(&request).activation_code.expect("an activation has a code")
    }

    /// The ids of the nodes that are online.
    #[must_use]
    pub fn online(&self) -> BTreeSet<String> {
        let mut online = BTreeSet::new();
        let mut next_token = None;
        loop {
            let page = self.call(&DescribeInstanceInformationRequest { next_token, ..Default::default() });
            for node in page.instance_information_list.unwrap_or_default() {
                if node.ping_status.as_deref() == Some("Online") {
                    online.extend(node.instance_id);
                }
            }
            next_token = page.next_token;
            if next_token.is_none() {
                return online;
            }
        }
    }

    /// Sends a command and returns its id. A bridge that has too much to do is asked again, as the SDKs do.
    ///
    /// # Panics
    /// When it is refused, or the bridge has too much to do for long.
    pub fn send(&self, request: &SendCommandRequest) -> String {
        let sent = wait::until(PATIENCE, "the bridge takes a command", || match self.client.call(request) {
            Err(CallError::Refused { kind, .. }) if kind == "ThrottlingException" => None,
            answer => Some(answer.unwrap_or_else(|error| panic!("SendCommand: {error}"))),
        });
        sent.command.and_then(|command| command.command_id).expect("a command has an id")
    }

    /// What is known of a command on a node.
    #[must_use]
    pub fn invocation(&self, command: &str, node: &str) -> GetCommandInvocationResult {
        let request = GetCommandInvocationRequest { command_id: command.to_owned(), instance_id: node.to_owned(), plugin_name: None };
        self.call(&request)
    }

    /// Waits until a command has ended on a node.
    #[must_use]
    pub fn await_end(&self, command: &str, node: &str, limit: Duration) -> GetCommandInvocationResult {
        wait::until(limit, &format!("{command} ends on {node}"), || {
            let invocation = self.invocation(command, node);
            is_terminal(invocation.status.as_deref()).then_some(invocation)
        })
    }

    /// The command as a whole.
    ///
    /// # Panics
    /// When there is none of this id.
    #[must_use]
    pub fn command(&self, command: &str) -> Command {
        let request = ListCommandsRequest { command_id: Some(command.to_owned()), ..Default::default() };
        self.call(&request).commands.unwrap_or_default().pop().expect("the command exists")
    }

    /// Waits until a command has ended on all of its nodes.
    #[must_use]
    pub fn await_command(&self, command: &str, limit: Duration) -> Command {
        wait::until(limit, &format!("{command} ends"), || {
            let command = self.command(command);
            is_terminal(command.status.as_deref()).then_some(command)
        })
    }

    /// All invocations, of one command or of all, with their steps.
    #[must_use]
    pub fn invocations(&self, command: Option<&str>) -> Vec<CommandInvocation> {
        let mut all = Vec::new();
        let mut next_token = None;
        loop {
            let command_id = command.map(str::to_owned);
            let request = ListCommandInvocationsRequest { command_id, next_token, details: Some(true), ..Default::default() };
            let page = self.call(&request);
            all.extend(page.command_invocations.unwrap_or_default());
            next_token = page.next_token;
            if next_token.is_none() {
                return all;
            }
        }
    }
}
