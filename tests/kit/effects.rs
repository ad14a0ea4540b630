//! What commands really did: each appends a line when it starts and one when it ends to a file that no part of the fleet reads.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How often one command started and ended, and when, in nanoseconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effect {
    /// Its starts.
    pub starts: Vec<u64>,
    /// Its ends.
    pub ends: Vec<u64>,
}

/// The file.
#[derive(Debug, Clone)]
pub struct Effects {
    path: PathBuf,
    /// Its path as scripts see it.
    seen: PathBuf,
}

impl Effects {
    /// A file in this folder.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self::seen_in(folder, folder)
    }

    /// A file in this folder, which scripts see as another: those of a [`crate::machine::Machine`].
    #[must_use]
    pub fn seen_in(folder: &Path, seen: &Path) -> Self {
        Self { path: folder.join("effects"), seen: seen.join("effects") }
    }

    /// A script that writes `mark` at its start, runs `body`, and writes it again at its end. One short line is one write to a file
    /// that is opened for appending, so lines of several nodes do not mix.
    #[must_use]
    pub fn script(&self, mark: &str, body: &str) -> String {
        let path = self.seen.display();
        format!("echo \"start {mark} $(date +%s%N)\" >> {path}\n{body}\necho \"end {mark} $(date +%s%N)\" >> {path}\necho done {mark}")
    }

    /// A line that writes `mark` when it is run: for one step of a document.
    #[must_use]
    pub fn start(&self, mark: &str) -> String {
        format!("echo \"start {mark} $(date +%s%N)\" >> {}", self.seen.display())
    }

    /// What was written so far, by mark.
    ///
    /// # Panics
    /// On a line that no script of ours writes.
    #[must_use]
    pub fn read(&self) -> BTreeMap<String, Effect> {
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        let mut effects: BTreeMap<String, Effect> = BTreeMap::new();
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [what, mark, time] = words.as_slice() else { panic!("a line of the side effects is {line:?}") };
            let effect = effects.entry((*mark).to_owned()).or_default();
            let time = time.parse().expect("date writes a number");
            match *what {
                "start" => effect.starts.push(time),
                "end" => effect.ends.push(time),
                _ => panic!("a line of the side effects is {line:?}"),
            }
        }
        effects
    }

    /// The most marks that had started and not ended at the same time.
    #[must_use]
    pub fn most_at_once(effects: &BTreeMap<String, Effect>) -> usize {
        let mut changes: Vec<(u64, i32)> = Vec::new();
        for effect in effects.values() {
            changes.extend(effect.starts.iter().map(|time| (*time, 1)));
            changes.extend(effect.ends.iter().map(|time| (*time, -1)));
        }
        changes.sort_unstable();
        let (mut running, mut most) = (0_i32, 0);
        for (_, change) in changes {
            running += change;
            most = most.max(running);
        }
        usize::try_from(most).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlaps_are_counted() {
        let effect = |start, end| Effect { starts: vec![start], ends: vec![end] };
        let effects = |list: &[(u64, u64)]| {
            list.iter().enumerate().map(|(index, (start, end))| (index.to_string(), effect(*start, *end))).collect::<BTreeMap<_, _>>()
        };
        assert_eq!(Effects::most_at_once(&effects(&[(1, 2), (3, 4)])), 1);
        assert_eq!(Effects::most_at_once(&effects(&[(1, 2), (2, 4)])), 1);
        assert_eq!(Effects::most_at_once(&effects(&[(1, 9), (2, 4), (3, 5)])), 3);
        assert_eq!(Effects::most_at_once(&BTreeMap::new()), 0);
    }
}
