//! How far a command has come, and the line that says so.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write as _};

use flotilla_api::commands::{Command, CommandInvocation};

use crate::output::clean;

/// Longest line on a terminal: one that wraps could not be overwritten.
const LINE_LIMIT: usize = 78;

/// Whether a status of a command or an invocation is final.
pub(crate) fn has_ended(status: &str) -> bool {
    matches!(status, "Success" | "Failed" | "TimedOut" | "Cancelled")
}

/// How many nodes are where: as much as is known of those that ended and of those that did not, in words.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    targets: usize,
    ended: usize,
    ended_words: String,
    open_words: String,
}

impl Progress {
    /// Counted over the invocations; nodes that have none yet are pending.
    pub(crate) fn of_invocations(command: &Command, invocations: &[CommandInvocation]) -> Self {
        let mut by_status: BTreeMap<String, usize> = BTreeMap::new();
        for invocation in invocations {
            *by_status.entry(invocation.status.clone().unwrap_or_default()).or_default() += 1;
        }
        let targets = count(command.target_count).max(invocations.len());
        let missing = targets - invocations.len();
        if missing > 0 {
            *by_status.entry("Pending".to_owned()).or_default() += missing;
        }
        let (ended, open): (Vec<_>, Vec<_>) = by_status.into_iter().partition(|(status, _)| has_ended(status));
        let total = ended.iter().map(|(_, nodes)| nodes).sum();
        Self { targets, ended: total, ended_words: words(&ended), open_words: words(&open) }
    }

    /// From the command's own counts, for commands to more nodes than one wants to list again and again. They do not tell who succeeded
    /// from who was cancelled or refused, nor who has begun.
    pub(crate) fn of_command(command: &Command) -> Self {
        let targets = count(command.target_count);
        let ended = count(command.completed_count).min(targets);
        let errors = count(command.error_count).min(ended);
        let undelivered = count(command.delivery_timed_out_count).min(ended - errors);
        let known: Vec<_> =
            [("with an error", errors), ("not delivered in time", undelivered)].into_iter().filter(|(_, nodes)| *nodes > 0).collect();
        Self { targets, ended, ended_words: words(&known), open_words: String::new() }
    }

    /// `3 of 5 nodes ended (1 Failed, 2 Success), 2 open (1 InProgress, 1 Pending)`
    pub(crate) fn summary(&self) -> String {
        let Self { targets, ended, ended_words, open_words } = self;
        if *targets == 0 {
            return "no nodes yet".to_owned();
        }
        let nodes = if *targets == 1 { "node" } else { "nodes" };
        let mut text = format!("{ended} of {targets} {nodes} ended{ended_words}");
        if targets > ended {
            text.push_str(&format!(", {} open{open_words}", targets - ended));
        }
        text
    }
}

/// ` (1 Failed, 2 Success)`; empty for nothing.
fn words(parts: &[(impl std::fmt::Display, usize)]) -> String {
    let words: Vec<_> = parts.iter().map(|(what, nodes)| format!("{nodes} {what}")).collect();
    if words.is_empty() { String::new() } else { format!(" ({})", words.join(", ")) }
}

fn count(number: Option<i32>) -> usize {
    usize::try_from(number.unwrap_or(0)).unwrap_or(0)
}

/// Shows progress on standard error: one line that changes on a terminal, a line a change elsewhere.
#[derive(Debug)]
pub(crate) struct ProgressLine {
    is_terminal: bool,
    last: String,
}

impl ProgressLine {
    pub(crate) fn new() -> Self {
        Self { is_terminal: io::stderr().is_terminal(), last: String::new() }
    }

    /// Shows text that stays, on a line of its own.
    pub(crate) fn announce(&mut self, text: &str) {
        self.finish();
        drop(io::stderr().write_all(render(text, false).as_bytes()));
    }

    /// Shows the text if it is new. Progress that cannot be shown is no reason to stop.
    pub(crate) fn show(&mut self, text: &str) {
        if text == self.last {
            return;
        }
        self.last = text.to_owned();
        drop(io::stderr().write_all(render(text, self.is_terminal).as_bytes()));
    }

    /// Takes the changing line away, so that what follows starts on a line of its own.
    pub(crate) fn finish(&mut self) {
        if self.is_terminal && !self.last.is_empty() {
            drop(io::stderr().write_all(b"\r\x1b[K"));
        }
        self.last.clear();
    }
}

fn render(text: &str, is_terminal: bool) -> String {
    let text = clean(text);
    if is_terminal {
        let shown: String = text.chars().take(LINE_LIMIT).collect();
        format!("\r\x1b[K{shown}")
    } else {
        format!("{text}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invocation(status: &str) -> CommandInvocation {
        CommandInvocation { status: Some(status.to_owned()), ..CommandInvocation::default() }
    }

    fn command(targets: i32, completed: i32, errors: i32, undelivered: i32) -> Command {
        Command {
            target_count: Some(targets),
            completed_count: Some(completed),
            error_count: Some(errors),
            delivery_timed_out_count: Some(undelivered),
            ..Command::default()
        }
    }

    #[test]
    fn counts_by_status() {
        let summary = |targets, statuses: &[&str]| {
            let invocations: Vec<_> = statuses.iter().map(|status| invocation(status)).collect();
            Progress::of_invocations(&command(targets, 0, 0, 0), &invocations).summary()
        };
        insta::assert_snapshot!(summary(0, &[]), @"no nodes yet");
        insta::assert_snapshot!(summary(1, &[]), @"0 of 1 node ended, 1 open (1 Pending)");
        insta::assert_snapshot!(summary(5, &["Success", "InProgress", "Failed", "Success"]), @"3 of 5 nodes ended (1 Failed, 2 Success), 2 open (1 InProgress, 1 Pending)");
        insta::assert_snapshot!(summary(2, &["Success", "Success"]), @"2 of 2 nodes ended (2 Success)");
    }

    #[test]
    fn counts_of_a_large_command_and_of_a_confused_one() {
        insta::assert_snapshot!(Progress::of_command(&command(1000, 700, 2, 1)).summary(), @"700 of 1000 nodes ended (2 with an error, 1 not delivered in time), 300 open");
        insta::assert_snapshot!(Progress::of_command(&command(2, 9, 9, 9)).summary(), @"2 of 2 nodes ended (2 with an error)");
        assert_eq!(Progress::of_command(&command(-1, -1, -1, -1)), Progress::default());
    }

    #[test]
    fn a_terminal_line_is_overwritten_and_never_wraps() {
        assert_eq!(render("a\u{1b}b", true), "\r\u{1b}[Kab");
        assert_eq!(render(&"x".repeat(500), true).chars().filter(|letter| *letter == 'x').count(), LINE_LIMIT);
        assert_eq!(render("a", false), "a\n");
    }
}
