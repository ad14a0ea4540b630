//! What the bridge shows of how commands ended, held against what nodes have signed: the table of commands is not in the log, and whoever has
//! the database can write `Success` into it.

use std::collections::BTreeMap;

use flotilla_api::client::Client;
use flotilla_api::commands::ListCommandInvocationsRequest;
use flotilla_protocol::capability::ReportPayload;
use flotilla_protocol::report::ReportBody;
use flotilla_protocol::status::Outcome;

use crate::error::CliError;
use crate::paging;

/// The detail of an entry that says how an order ended.
pub(super) const OUTCOME: &str = "Outcome";
/// So many of the newest invocations are compared.
const COMPARED: usize = 1_000;

/// How the bridge shows an end that only a node can tell, and what the node has signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ShownEnd {
    shown: Outcome,
    signed: Option<Outcome>,
}

impl ShownEnd {
    /// An end that is shown, of which nothing signed is known yet; nothing for a state that the bridge may conclude by itself.
    pub(super) fn of_details(status_details: &str) -> Option<Self> {
        let shown = match status_details {
            "Success" => Outcome::Succeeded,
            "Execution Timed Out" => Outcome::TimedOut,
            _ => return None,
        };
        Some(Self { shown, signed: None })
    }

    /// The node has signed this about the order.
    pub(super) fn signs(&mut self, report: &ReportBody) {
        if let Ok(ReportPayload::CommandResult(result)) = ReportPayload::decode(&report.payload) {
            self.signed = Some(result.outcome);
        }
    }

    /// What is shown and not signed, in words.
    pub(super) fn contradiction(&self) -> Option<String> {
        let shown = name(self.shown);
        match self.signed {
            Some(signed) if signed == self.shown => None,
            Some(signed) => Some(format!("{shown}, and the node has signed {}", name(signed))),
            None => Some(format!("{shown}, and no end that the node has signed is in the log")),
        }
    }
}

/// An outcome as entries name it.
pub(super) fn name(outcome: Outcome) -> String {
    format!("{outcome:?}")
}

/// The newest ends that the bridge shows, by command and node. To be read before the head of the log: an end is there with its entry or not
/// at all. What was asked for before `since_ms` is left out: its entries may have been removed as old.
pub(super) fn ends(client: &Client, since_ms: u64) -> Result<BTreeMap<(String, String), ShownEnd>, CliError> {
    let invocations = paging::read(COMPARED, |next_token| {
        let max_results = Some(paging::PAGE_SIZE);
        let page = client.call(&ListCommandInvocationsRequest { max_results, next_token, ..Default::default() })?;
        Ok((page.command_invocations, page.next_token))
    })?;
    let is_new = |requested_ms: i64| u64::try_from(requested_ms).is_ok_and(|requested_ms| requested_ms >= since_ms);
    Ok(invocations
        .into_iter()
        .filter(|invocation| invocation.requested_date_time.is_none_or(|time| is_new(time.milliseconds())))
        .filter_map(|invocation| {
            let end = ShownEnd::of_details(&invocation.status_details?)?;
            Some(((invocation.command_id?, invocation.instance_id?), end))
        })
        .collect())
}
