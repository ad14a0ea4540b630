//! The whole log as lines of JSON, and such lines read again: the first with fleet and base, then one
//! for each trust bundle, one for each entry, the last with the head.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use flotilla_api::audit::{
    Entry, GetAuditHeadRequest, GetAuditHeadResult, Hex, HexBytes, ListAuditEntriesRequest, MAXIMUM_PAGE, SignedHead,
};
use flotilla_api::client::Client;
use serde::{Deserialize, Serialize};

use crate::bundles;
use crate::connection::Connection;
use crate::error::{CliError, SUCCESS};
use crate::output::Output;

/// Longest line of an export that is read, in bytes: an entry has at most some 24 details of 512 characters.
const MAXIMUM_LINE: u64 = 1024 * 1024;

/// A line of an export.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
enum Line {
    #[serde(rename_all = "PascalCase")]
    Log {
        fleet: Hex<8>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base: Option<SignedHead>,
    },
    Trust(HexBytes),
    Entry(Entry),
    Head(SignedHead),
}

pub(super) fn run(connection: &Connection, output: Output) -> Result<u8, CliError> {
    let GetAuditHeadResult { fleet, head, base } = connection.client.call(&GetAuditHeadRequest {})?;
    let print = |line: &Line| -> Result<(), CliError> { output.print(&(serde_json::to_string(line)? + "\n")) };
    let (after, up_to) = (base.as_ref().map_or(0, |base| base.sequence), head.as_ref().map_or(u64::MAX, |head| head.sequence));
    print(&Line::Log { fleet, base })?;
    bundles::read(&connection.client)?.into_iter().try_for_each(|bundle| print(&Line::Trust(bundle)))?;
    entries(&connection.client, after, up_to, |entry| print(&Line::Entry(entry)))?;
    head.map_or(Ok(()), |head| print(&Line::Head(head)))?;
    Ok(SUCCESS)
}

/// Reads all entries behind one and up to another, in the order of the bridge's answers.
pub(super) fn entries(
    client: &Client,
    after: u64,
    up_to: u64,
    mut take: impl FnMut(Entry) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let mut request = ListAuditEntriesRequest { after_sequence: Some(after), max_results: Some(MAXIMUM_PAGE), ..Default::default() };
    loop {
        let page = client.call(&request)?;
        for entry in page.entries.unwrap_or_default() {
            // What came after the head that was read is vouched for by a later one.
            if entry.sequence > up_to {
                return Ok(());
            }
            take(entry)?;
        }
        match page.next_token.filter(|token| !token.is_empty()) {
            Some(token) if request.next_token.as_ref() == Some(&token) => {
                return Err(CliError::Senseless("the same page again and again".to_owned()));
            }
            Some(token) => request.next_token = Some(token),
            None => return Ok(()),
        }
    }
}

/// What the first and the last line of an export say, with the entries between them.
pub(super) struct Export {
    pub(super) fleet: Hex<8>,
    pub(super) base: Option<SignedHead>,
    pub(super) bundles: Vec<HexBytes>,
    pub(super) head: Option<SignedHead>,
}

/// Reads an export. Its first line goes to `begin` before any entry goes to `take`.
pub(super) fn read<State>(
    path: &Path,
    begin: impl FnOnce(&Export) -> Result<State, CliError>,
    mut take: impl FnMut(&mut State, Entry) -> Result<(), CliError>,
) -> Result<(Export, State), CliError> {
    let wrong = |reason: &str| CliError::Usage(format!("{}: {reason}", path.display()));
    let file = File::open(path).map_err(|error| wrong(&error.to_string()))?;
    let mut reader = BufReader::new(file);
    let mut next = || -> Result<Option<Line>, CliError> {
        let mut line = Vec::new();
        let length = reader.by_ref().take(MAXIMUM_LINE).read_until(b'\n', &mut line).map_err(|error| wrong(&error.to_string()))?;
        if length == 0 {
            return Ok(None);
        }
        serde_json::from_slice(&line).map(Some).map_err(|error| wrong(&format!("a line is not one of an export: {error}")))
    };
    let Some(Line::Log { fleet, base }) = next()? else { return Err(wrong("the first line names no fleet: it is not an export")) };
    let mut export = Export { fleet, base, bundles: Vec::new(), head: None };
    let mut state = begin(&export)?;
    while let Some(line) = next()? {
        match line {
            Line::Trust(bundle) if export.bundles.len() < bundles::MAXIMUM_BUNDLES => export.bundles.push(bundle),
            Line::Entry(entry) if export.head.is_none() => take(&mut state, entry)?,
            Line::Head(head) if export.head.is_none() => export.head = Some(head),
            _ => return Err(wrong("a line stands behind the head, or a second beginning among the entries")),
        }
    }
    Ok((export, state))
}
