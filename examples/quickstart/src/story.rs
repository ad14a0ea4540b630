//! What the person at the terminal reads: one line for each thing that happened, with its time.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use crate::clock;

/// Where the times stand in a line.
const WIDTH: usize = 76;

/// Writes a line. A closed terminal is no reason to leave a fleet half started: it is then told by SIGHUP.
pub(crate) fn say(text: &str) {
    drop(writeln!(io::stdout().lock(), "{text}"));
}

/// Measures one step, from its making.
#[derive(Debug)]
pub(crate) struct Step(Instant);

impl Step {
    /// The step begins.
    pub(crate) fn begin() -> Self {
        Self(clock::now())
    }

    /// The step is done: what happened.
    pub(crate) fn done(self, what: &str) {
        say(&line(what, clock::now().duration_since(self.0)));
    }
}

fn line(what: &str, took: Duration) -> String {
    let milliseconds = took.as_millis();
    let took = if milliseconds < 10_000 { format!("{milliseconds} ms") } else { format!("{} s", took.as_secs()) };
    format!("  {what:<WIDTH$} {took:>8}")
}

/// A block of text, moved to the right.
pub(crate) fn indented(text: &str, by: &str) -> String {
    text.lines().map(|line| format!("{by}{line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_their_times_below_each_other() {
        let short = line("made", Duration::from_millis(7));
        let long = line("built", Duration::from_secs(75));
        assert!(short.ends_with("     7 ms") && long.ends_with("    75 s"), "{short}|{long}");
        assert_eq!(short.len(), long.len());
        assert_eq!(indented("a\nb\n", "> "), "> a\n> b");
    }
}
