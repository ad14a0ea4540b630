//! `flotilla audit`: the audit log of the bridge, and whether anybody has changed it.

mod bundles;
mod export;
mod memory;
mod reports;
mod shown;
mod verify;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use flotilla_api::Timestamp;
use flotilla_api::audit::{Entry, Hex, ListAuditEntriesRequest, MAXIMUM_PAGE};
use flotilla_api::client::SettingsError;

use super::date;
use crate::arguments::duration;
use crate::clock;
use crate::connection::Connection;
use crate::error::{CliError, SUCCESS};
use crate::output::Output;
use crate::paging;

/// List, check and export the audit log: who asked for what, what was signed, what nodes signed in answer.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  flotilla audit list --since 24h
  flotilla audit verify
  flotilla audit export > audit.jsonl")]
pub(crate) struct AuditArguments {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// List entries, the newest first.
    #[command(after_help = "\
Examples:
  flotilla audit list --limit 20
  flotilla audit list --actor ann --since 7d --output json
  flotilla audit list --kind order-started --subject 0199c3c5-0000-7000-8000-000000000000")]
    List(ListArguments),
    /// Check the whole log: that no entry was changed, removed or put in, that it is signed by keys that the fleet's trust bundles name for the
    /// bridge, and that it continues what was seen before. Checks what nodes have signed in it: that no report of a node is missing between others
    /// and that the bridge shows no end that none has signed; says when each node was heard last. Remembers the head.
    #[command(after_help = "\
The exit code is 1 when the log was changed, or reports of nodes were hidden or forged since the last look. What is remembered lies in DIR of --state, one file for each fleet; keep it where the \
bridge's machine cannot write.

Examples:
  flotilla audit verify
  flotilla audit verify --output json
  flotilla audit verify --file audit.jsonl     (an export, without a bridge)
  flotilla audit verify --forget               (after a restored backup: remember the log as it is now)")]
    Verify(VerifyArguments),
    /// Write the whole log as lines of JSON: its base, the fleet's trust bundles, the entries, the head.
    #[command(after_help = "Example:\n  flotilla audit export > audit.jsonl && flotilla audit verify --file audit.jsonl")]
    Export,
}

#[derive(Debug, Args)]
struct ListArguments {
    /// Entries of this kind, such as api-call, order-signed or order-started.
    #[arg(long)]
    kind: Option<String>,
    /// Entries of this user or node.
    #[arg(long)]
    actor: Option<String>,
    /// Entries about this operation, order or node.
    #[arg(long)]
    subject: Option<String>,
    /// Not older than this: 90s, 15m, 24h, 7d.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    since: Option<Duration>,
    /// Older than this: 90s, 15m, 24h, 7d.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    until: Option<Duration>,
    /// Most entries.
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

#[derive(Debug, Args)]
struct VerifyArguments {
    /// An export to check, instead of the log of the bridge.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Folder of what is remembered [default: flotilla in $XDG_STATE_HOME, else ~/.local/state/flotilla].
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// SHA-256 of trust bundle 1, from which the bridge's keys are followed, as 64 hexadecimal digits [default: the remembered one, else that of
    /// the bundles that come with the log]. `flotilla trust verify DIR` prints it.
    #[arg(long, value_name = "HASH")]
    root_hash: Option<Hex<32>>,
    /// The bridge's public key now, as 64 hexadecimal digits [default: those that the newest trust bundle names].
    #[arg(long, value_name = "KEY")]
    key: Option<Hex<32>>,
    /// Compare with nothing that is remembered, and remember the log as it is now.
    #[arg(long)]
    forget: bool,
}

pub(crate) fn run(
    open: impl FnOnce() -> Result<Connection, SettingsError>,
    output: Output,
    arguments: &AuditArguments,
) -> Result<u8, CliError> {
    match &arguments.command {
        AuditCommand::List(wanted) => list(&open()?, output, wanted),
        AuditCommand::Verify(wanted) => verify::run(open, output, wanted),
        AuditCommand::Export => export::run(&open()?, output),
    }
}

fn list(connection: &Connection, output: Output, wanted: &ListArguments) -> Result<u8, CliError> {
    let now_ms = u64::try_from(clock::today().as_millisecond()).unwrap_or(0);
    let ago = |duration: Duration| now_ms.saturating_sub(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
    let entries = paging::read(wanted.limit, |next_token| {
        let page = connection.client.call(&ListAuditEntriesRequest {
            after_sequence: None,
            kind: wanted.kind.clone(),
            actor: wanted.actor.clone(),
            subject: wanted.subject.clone(),
            since_ms: wanted.since.map(ago),
            until_ms: wanted.until.map(ago),
            max_results: Some(i32::try_from(wanted.limit).map_or(MAXIMUM_PAGE, |limit| limit.clamp(1, MAXIMUM_PAGE))),
            next_token,
        })?;
        Ok((page.entries, page.next_token))
    })?;
    output.print_list(&entries, &HEADER, row)?;
    Ok(SUCCESS)
}

const HEADER: [&str; 6] = ["ENTRY", "TIME", "KIND", "ACTOR", "SUBJECT", "DETAIL"];

fn row(entry: &Entry) -> Vec<String> {
    let Entry { sequence, time_ms, kind, actor, subject, detail, .. } = entry;
    let detail: Vec<String> = detail.iter().map(|(name, value)| format!("{name}={value}")).collect();
    vec![sequence.to_string(), moment(*time_ms), kind.clone(), actor.clone(), subject.clone(), detail.join(" ")]
}

/// A Unix time in milliseconds, for people.
fn moment(time_ms: u64) -> String {
    date(i64::try_from(time_ms).ok().map(Timestamp::from_milliseconds))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn an_entry_is_a_line() {
        let detail = BTreeMap::from([("Outcome".to_owned(), "Success".to_owned()), ("Source".to_owned(), "127.0.0.1".to_owned())]);
        let texts = ["api-call", "ada", "SendCommand"].map(str::to_owned);
        let entry = Entry::chained(6, &Hex([0; 32]), 1_795_219_200_000, texts, detail);
        insta::assert_snapshot!(row(&entry).join("|"), @"7|2026-11-21T00:00:00Z|api-call|ada|SendCommand|Outcome=Success Source=127.0.0.1");
    }
}
