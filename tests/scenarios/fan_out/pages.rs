//! Walks over the pages of ListCommandInvocations.

use flotilla_api::commands::{CommandFilter, ListCommandInvocationsRequest};
use flotilla_tests::Fleet;
use std::collections::BTreeMap;

/// The most that a page may have.
const PAGE: i32 = 50;
/// All words of the model's `CommandInvocationStatus`.
const STATUSES: [&str; 8] = ["Pending", "InProgress", "Delayed", "Success", "Cancelled", "TimedOut", "Failed", "Cancelling"];

/// What a page says of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) status: String,
    pub(crate) details: String,
}

/// Reads all pages of a command's invocations, by node.
///
/// # Panics
/// When a node is on two pages or twice on one, or a page but the last is not full.
pub(crate) fn walk(fleet: &Fleet, command: &str, filters: &[(&str, &str)]) -> BTreeMap<String, Page> {
    let filters: Vec<CommandFilter> =
        filters.iter().map(|(key, value)| CommandFilter { key: (*key).to_owned(), value: (*value).to_owned() }).collect();
    let mut found = BTreeMap::new();
    let mut next_token = None;
    loop {
        let page = fleet.call(&ListCommandInvocationsRequest {
            command_id: Some(command.to_owned()),
            max_results: Some(PAGE),
            filters: (!filters.is_empty()).then(|| filters.clone()),
            next_token,
            ..Default::default()
        });
        let invocations = page.command_invocations.unwrap();
        assert!(page.next_token.is_none() || invocations.len() == usize::try_from(PAGE).unwrap(), "a page with a successor is full");
        for invocation in invocations {
            let (node, status, details) = (invocation.instance_id.unwrap(), invocation.status.unwrap(), invocation.status_details.unwrap());
            assert_eq!(found.insert(node.clone(), Page { status, details }), None, "{node} is on two pages of {command}");
        }
        next_token = page.next_token;
        if next_token.is_none() {
            return found;
        }
    }
}

/// Checks that the filters by status and by stage part the invocations of a command that is at rest.
///
/// # Panics
/// When they do not.
pub(crate) fn filters_part(fleet: &Fleet, command: &str, all: &BTreeMap<String, Page>) {
    let mut parted = BTreeMap::new();
    for status in STATUSES {
        let part = walk(fleet, command, &[("Status", status)]);
        assert!(part.values().all(|page| page.status == status), "filter {status}: {part:?}");
        let before = parted.len();
        let count = part.len();
        parted.extend(part);
        assert_eq!(parted.len(), before + count, "filter {status} shows what another shows");
    }
    assert_eq!(&parted, all, "the filters together show everything");
    assert_eq!(walk(fleet, command, &[("ExecutionStage", "Executing")]).len(), 0);
    assert_eq!(&walk(fleet, command, &[("ExecutionStage", "Complete")]), all);
    let late = walk(fleet, command, &[("Status", "DeliveryTimedOut")]);
    assert_eq!(late.len(), all.values().filter(|page| page.details == "Delivery Timed Out").count());
}
