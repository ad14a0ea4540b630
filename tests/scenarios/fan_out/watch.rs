//! Looks at a command again and again while it runs, and holds what it sees together.

use super::pages::{self, Page};
use flotilla_api::commands::Command;
use flotilla_tests::calls::is_terminal;
use flotilla_tests::{Fleet, wait};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(180);
/// Between two walks, so that they do not take all of the machine.
const PAUSE: Duration = Duration::from_millis(200);

/// A command that is watched.
pub(crate) struct Watch<'a> {
    fleet: &'a Fleet,
    command: &'a str,
    nodes: BTreeSet<&'a str>,
    /// What was seen last of each node: how far it was.
    seen: BTreeMap<String, Page>,
    counts: [i32; 4],
    walks: usize,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(fleet: &'a Fleet, command: &'a str, nodes: &'a [String]) -> Self {
        let nodes = nodes.iter().map(String::as_str).collect();
        Self { fleet, command, nodes, seen: BTreeMap::new(), counts: [0; 4], walks: 0 }
    }

    /// How often all pages were read.
    pub(crate) fn walks(&self) -> usize {
        self.walks
    }

    /// Watches until `done` holds for the command.
    pub(crate) fn until(&mut self, done: impl Fn(&Command) -> bool) -> Command {
        wait::until(LIMIT, "the command that is watched goes on", || {
            let command = self.look();
            let is_done = done(&command);
            if !is_done {
                wait::let_pass(PAUSE);
            }
            is_done.then_some(command)
        })
    }

    /// Reads the command, all pages, and the command again.
    fn look(&mut self) -> Command {
        let before = self.command();
        let pages = pages::walk(self.fleet, self.command, &[]);
        let after = self.command();
        self.walks += 1;
        let seen: BTreeSet<&str> = pages.keys().map(String::as_str).collect();
        assert_eq!(seen, self.nodes, "the pages together show each node once, at any time");
        let ended = pages.values().filter(|page| is_terminal(Some(&page.status))).count();
        let (least, most) = (before.completed_count.unwrap(), after.completed_count.unwrap());
        assert!((least..=most).contains(&i32::try_from(ended).unwrap()), "the pages show {ended} ended, the command {least} to {most}");
        for (node, page) in &pages {
            self.goes_forward(node, page);
        }
        self.one_of(&pages);
        self.seen = pages;
        after
    }

    /// The command; its counts only grow, and it has all targets from the first moment.
    fn command(&mut self) -> Command {
        let command = self.fleet.command(self.command);
        let counts = [command.target_count, command.completed_count, command.error_count, command.delivery_timed_out_count];
        let counts = counts.map(Option::unwrap);
        let [targets, completed, errors, late] = counts;
        assert_eq!(usize::try_from(targets).unwrap(), self.nodes.len());
        assert!(counts.iter().zip(self.counts).all(|(now, then)| *now >= then), "{counts:?} after {:?}", self.counts);
        assert!(completed <= targets && errors + late <= completed, "{counts:?}");
        assert_eq!(completed == targets, is_terminal(command.status.as_deref()), "{command:?}");
        self.counts = counts;
        command
    }

    fn goes_forward(&self, node: &str, page: &Page) {
        let Some(then) = self.seen.get(node) else { return };
        assert!(step(&page.status) >= step(&then.status), "{node} went back from {then:?} to {page:?}");
        assert!(!is_terminal(Some(&then.status)) || then == page, "{node} had ended as {then:?} and is now {page:?}");
    }

    /// GetCommandInvocation says of a node what the pages say, or what comes after it.
    fn one_of(&self, pages: &BTreeMap<String, Page>) {
        let Some((node, page)) = pages.iter().nth(self.walks * 37 % pages.len()) else { return };
        let invocation = self.fleet.invocation(self.command, node);
        let (status, details) = (invocation.status.unwrap(), invocation.status_details.unwrap());
        assert!(step(&status) >= step(&page.status), "{node}: {page:?}, then {status} {details}");
        if is_terminal(Some(&page.status)) {
            assert_eq!((&status, &details), (&page.status, &page.details), "{node}");
        }
    }
}

/// How far a status is.
fn step(status: &str) -> u8 {
    match status {
        // Delayed while its node is offline, pending again when it is back.
        "Pending" | "Delayed" => 0,
        "InProgress" => 1,
        "Cancelling" => 2,
        _ => 3,
    }
}
