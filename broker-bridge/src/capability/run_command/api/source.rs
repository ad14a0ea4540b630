//! Which index a list walks over for its filters. Of several that would do, the one that leads past the fewest entries.
//!
//! Every source is one range of one index in the order of the keys, checked by `EXPLAIN QUERY PLAN` for every combination of
//! filters. What the source does not serve decides about each entry. `INDEXED BY` is SQLite's: without statistics it takes the
//! primary key where the range has two ends, although the partial index holds next to nothing.

use super::super::model::{Aside, DELAYED_SENDS, InvocationState};
use super::filter::{Filters, Nothing, Shown, is_unfinished};
use super::parse_command_id;
use super::walk::{Conditions, Walk};
use crate::fleet::node::parse_node_id;
use crate::platform::http::ApiError;
use std::collections::{BTreeMap, BTreeSet};

/// The condition of the index `command_unfinished`, to the letter.
const UNFINISHED: &str = "command.count_pending + command.count_sent + command.count_active > 0";
/// After every node id, and between a command id and the next: digits come before it.
const AFTER_ID: char = '~';

/// The ids that a request names.
#[derive(Debug, Clone, Default)]
pub(super) struct Ids {
    pub(super) command_id: Option<String>,
    pub(super) node_id: Option<String>,
}

/// Reads the ids that a request names.
///
/// # Errors
/// One of them is no id.
pub(super) fn ids(command_id: Option<&str>, node_id: Option<&str>) -> Result<Ids, ApiError> {
    let command_id = command_id.map(|id| Ok::<_, ApiError>(parse_command_id(id)?.to_string())).transpose()?;
    let node_id = node_id.map(|id| Ok::<_, ApiError>(parse_node_id(id)?.to_string())).transpose()?;
    Ok(Ids { command_id, node_id })
}

impl Ids {
    /// The range of command ids: of the time that was asked for, and the one command.
    fn range(&self, filters: &Filters) -> (String, String) {
        let (low, high) = filters.range();
        match &self.command_id {
            None => (low, high),
            Some(id) => (low.max(id.clone()), high.min(format!("{id}{AFTER_ID}"))),
        }
    }
}

/// What ListCommands walks over.
pub(super) fn commands_walk(filters: &Filters, ids: Ids) -> Result<Walk, Nothing> {
    let (low, high) = ids.range(filters);
    let document = filters.document()?;
    let shown = filters.commands();
    let statuses: BTreeSet<&str> = shown.iter().map(|(status, _)| *status).collect();
    let (mut source, mut deciding) = (Conditions::default(), Conditions::default());
    let (mut from, mut command_id) = ("command", "command.command_id");
    let (mut words_are_served, mut document_is_served) = (!filters.has_words(), document.is_none());
    if let Some(node_id) = ids.node_id {
        from = "invocation AS of_node CROSS JOIN command ON command.command_id = of_node.command_id";
        command_id = "of_node.command_id";
        source.hold_with("of_node.node_id = ", node_id, "");
    } else if let Some(status) = statuses.first().filter(|_| statuses.len() == 1) {
        source.hold_with("command.status = ", *status, "");
        words_are_served = filters.is_status(status);
    } else if let Some(document) = document {
        source.hold_with("command.document_name = ", document, "");
        document_is_served = true;
    } else if !statuses.is_empty() && statuses.iter().all(|status| is_unfinished(status)) {
        from = "command INDEXED BY command_unfinished";
        source.hold(UNFINISHED);
        words_are_served = true;
    }
    if shown.is_empty() {
        return Err(Nothing);
    }
    if !words_are_served {
        let fits: Vec<String> = shown
            .iter()
            .map(|(status, details)| format!("(command.status = '{status}' AND command.status_details = '{details}')"))
            .collect();
        deciding.hold(format!("({})", fits.join(" OR ")));
    }
    if let Some(document) = document.filter(|_| !document_is_served) {
        deciding.hold_with("command.document_name = ", document, "");
    }
    Ok(Walk { from, command_id, node_id: None, low, high, source, deciding })
}

/// The states in which an invocation has ended, and not well: the condition of the index `invocation_unsuccessful`, to the letter.
const UNSUCCESSFUL: &str = "invocation.state <> 'pending' AND invocation.state <> 'sent' AND invocation.state <> 'accepted' \
    AND invocation.state <> 'running' AND invocation.state <> 'succeeded'";

/// What ListCommandInvocations walks over.
pub(super) fn invocations_walk(filters: &Filters, ids: Ids) -> Result<Walk, Nothing> {
    // A command that found no node is examined like others: it must count.
    const OF_COMMANDS: &str = "command LEFT JOIN invocation ON invocation.command_id = command.command_id";
    let (low, high) = ids.range(filters);
    let document = filters.document()?;
    let shown = filters.invocations();
    if shown.is_empty() {
        return Err(Nothing);
    }
    let (mut source, mut deciding) = (Conditions::default(), Conditions::default());
    let (mut from, mut command_id) = ("invocation", "invocation.command_id");
    let mut document_is_served = document.is_none();
    let is_unsuccessful = |state: InvocationState| state.is_terminal() && state != InvocationState::Succeeded;
    if let Some(node_id) = ids.node_id {
        source.hold_with("invocation.node_id = ", node_id, "");
    } else if shown.iter().all(|(state, _)| is_unsuccessful(*state)) {
        from = "invocation INDEXED BY invocation_unsuccessful";
        source.hold(UNSUCCESSFUL);
    } else if shown.iter().all(|(state, _)| !state.is_terminal()) {
        from = "command INDEXED BY command_unfinished CROSS JOIN invocation ON invocation.command_id = command.command_id";
        command_id = "command.command_id";
        source.hold(UNFINISHED);
    } else if let Some(document) = document {
        (from, command_id) = (OF_COMMANDS, "command.command_id");
        source.hold_with("command.document_name = ", document, "");
        deciding.hold("invocation.node_id IS NOT NULL");
        document_is_served = true;
    }
    if filters.has_words() {
        deciding.hold(states(&shown));
    }
    if let Some(document) = document.filter(|_| !document_is_served) {
        let named = "EXISTS (SELECT 1 FROM command AS named WHERE named.command_id = invocation.command_id AND named.document_name = ";
        deciding.hold_with(named, document, ")");
    }
    Ok(Walk { from, command_id, node_id: Some("invocation.node_id"), low, high, source, deciding })
}

/// The condition that an invocation is in one of these.
fn states(shown: &[Shown]) -> String {
    let mut by_asides: BTreeMap<[bool; 3], Vec<String>> = BTreeMap::new();
    for state in InvocationState::ALL {
        let asides = Aside::ALL.map(|aside| shown.contains(&(*state, aside)));
        by_asides.entry(asides).or_default().push(format!("'{}'", state.as_str()));
    }
    let mut any = Vec::new();
    for (asides, states) in by_asides {
        if let Some(and) = asides_condition(asides) {
            any.push(format!("(invocation.state IN ({}){and})", states.join(", ")));
        }
    }
    format!("({})", any.join(" OR "))
}

/// What [`Aside::of`] says, as a condition on rows: each of [`Aside::ALL`] is wanted or not. Nothing where none is.
fn asides_condition(wanted: [bool; 3]) -> Option<String> {
    let asked = "invocation.cancel_asked_ms IS NOT NULL";
    let delayed = format!("(invocation.next_send_ms IS NULL OR invocation.send_count >= {DELAYED_SENDS})");
    let condition = match wanted {
        [false, false, false] => return None,
        [true, true, true] => return Some(String::new()),
        [false, true, false] => asked.to_owned(),
        [true, false, true] => "invocation.cancel_asked_ms IS NULL".to_owned(),
        [true, false, false] => format!("invocation.cancel_asked_ms IS NULL AND NOT {delayed}"),
        [false, false, true] => format!("invocation.cancel_asked_ms IS NULL AND {delayed}"),
        [true, true, false] => format!("({asked} OR NOT {delayed})"),
        [false, true, true] => format!("({asked} OR {delayed})"),
    };
    Some(format!(" AND {condition}"))
}
