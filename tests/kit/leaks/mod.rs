//! Looking for secrets where none may be: many secrets in all of their encodings at once, in everything that a fleet has.
//!
//! [`secrets`] makes them, [`encodings`] are the ways in which a job prints them and in which they are looked for. A long encoding is looked
//! for by pieces of it, so that half a secret is found, too. What is so short that random bytes hold it by chance is looked for in texts
//! alone: see [`SHORT_BYTES`].

pub mod encodings;
pub mod secrets;

use self::encodings::{ENCODINGS, Encoding};
use crate::process;
use crate::random::Random;
use aho_corasick::{AhoCorasick, AhoCorasickKind};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A secret of fewer bytes is looked for as it is and in texts alone: ids, hashes and signatures hold any four bytes sooner or later.
pub const SHORT_BYTES: usize = 6;
/// Length of a piece of an encoding, in bytes.
const PIECE_BYTES: usize = 24;
/// Pieces from the middle of a long encoding, beside its first and its last.
const INNER_PIECES: usize = 2;

/// A secret, and who may know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// Its value, as a caller gives it.
    pub value: String,
    /// The document asks for it as a variable, so environments may hold it.
    pub is_variable: bool,
}

/// Where is looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Output, logs, answers, arguments.
    Text,
    /// The same, where variables of the environment are.
    Environment,
    /// Anything, such as the pages of a database.
    Binary,
}

/// What is looked for.
#[derive(Debug)]
pub struct Finder {
    automaton: AhoCorasick,
    patterns: Vec<Pattern>,
}

/// Whose a pattern is. Secrets may share it: one is the beginning of another, and runs of one character are alike.
#[derive(Debug)]
struct Pattern {
    /// The first of its secrets.
    owner: usize,
    is_short: bool,
    /// It is a part of one that may be in environments.
    is_variable: bool,
}

impl Finder {
    /// Looks for these secrets; `random` chooses the inner pieces.
    ///
    /// # Panics
    /// When they are too many for one automaton.
    #[must_use]
    pub fn new(secrets: &[Secret], random: &mut Random) -> Self {
        let mut forms_of: BTreeMap<Vec<u8>, Pattern> = BTreeMap::new();
        for (owner, Secret { value, .. }) in secrets.iter().enumerate() {
            for form in forms(value, random) {
                let pattern = Pattern { owner, is_short: is_short(value), is_variable: false };
                forms_of.entry(form).or_insert(pattern);
            }
        }
        let automaton = AhoCorasick::builder().kind(Some(AhoCorasickKind::ContiguousNFA)).prefilter(false).build(forms_of.keys());
        let automaton = automaton.expect("so many patterns fit");
        let mut patterns: Vec<Pattern> = forms_of.into_values().collect();
        for Secret { value, .. } in secrets.iter().filter(|secret| secret.is_variable) {
            for found in automaton.find_overlapping_iter(value) {
                if let Some(pattern) = patterns.get_mut(found.pattern().as_usize()) {
                    pattern.is_variable = true;
                }
            }
        }
        Self { automaton, patterns }
    }

    /// How many patterns are looked for.
    #[must_use]
    pub fn forms(&self) -> usize {
        self.patterns.len()
    }

    /// The secrets of which there is anything in `bytes`, by their index.
    #[must_use]
    pub fn find(&self, bytes: &[u8], place: Place) -> BTreeSet<usize> {
        let found = self.automaton.find_overlapping_iter(bytes).filter_map(|found| self.patterns.get(found.pattern().as_usize()));
        let counts = |pattern: &&Pattern| match place {
            Place::Text => true,
            Place::Environment => !pattern.is_variable,
            Place::Binary => !pattern.is_short,
        };
        found.filter(counts).map(|pattern| pattern.owner).collect()
    }
}

fn is_short(value: &str) -> bool {
    value.trim_ascii().len() < SHORT_BYTES
}

/// Everything by which a secret is found: itself, quoted as JSON and as Rust's `Debug` do, and each encoding; the long ones by pieces.
fn forms(value: &str, random: &mut Random) -> Vec<Vec<u8>> {
    let core = value.trim_ascii();
    let json = serde_json::to_string(core).expect("a text is JSON");
    let quoted = [json, format!("{core:?}")].map(|quoted| quoted.trim_matches('"').to_owned().into_bytes());
    let plain = std::iter::once(core.as_bytes().to_vec()).chain(quoted);
    if is_short(value) {
        return plain.collect();
    }
    // As printed: with the white space around it.
    let encoded = ENCODINGS.iter().map(|Encoding { inner, .. }| inner(value.as_bytes()));
    plain.chain(encoded).flat_map(|form| pieces(form, random)).collect()
}

fn pieces(form: Vec<u8>, random: &mut Random) -> Vec<Vec<u8>> {
    if form.len() <= 2 * PIECE_BYTES {
        return vec![form];
    }
    let last = form.len() - PIECE_BYTES;
    let mut begins = vec![0, last];
    begins.extend((0..INNER_PIECES).map(|_| random.index(last)));
    begins.iter().filter_map(|begin| form.get(*begin..begin + PIECE_BYTES)).map(<[u8]>::to_vec).collect()
}

/// What was searched, and what was found.
#[derive(Debug, Default)]
pub struct Account {
    /// Bytes that were looked through, all in all.
    pub bytes: u64,
    /// Files that were looked into.
    pub files: BTreeSet<PathBuf>,
    /// Processes whose arguments and environment were looked into.
    pub processes: BTreeSet<i32>,
    /// Where something was found, and of which secrets.
    pub hits: Vec<String>,
}

impl Account {
    /// Looks into anything.
    pub fn look(&mut self, finder: &Finder, bytes: &[u8], place: Place, name: &str) {
        self.bytes += u64::try_from(bytes.len()).unwrap_or(0);
        let found = finder.find(bytes, place);
        if !found.is_empty() {
            self.hits.push(format!("{name}: {found:?}"));
        }
    }

    /// Looks into every file below a folder, and at its name.
    pub fn look_below(&mut self, finder: &Finder, folder: &Path) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => self.look_below(finder, &path),
                Ok(kind) if kind.is_file() => {
                    let content = std::fs::read(&path).unwrap_or_default();
                    let name = path.display().to_string();
                    self.look(finder, name.as_bytes(), Place::Text, "the name of a file");
                    self.look(finder, &content, place_of(&content), &name);
                    self.files.insert(path);
                }
                _ => {}
            }
        }
    }

    /// Looks at the arguments and the environment of each process whose arguments hold one of `marks`.
    pub fn look_at_processes(&mut self, finder: &Finder, marks: &[String]) {
        for process in process::find(|found| marks.iter().any(|mark| found.arguments.contains(mark))) {
            for (what, place) in [("cmdline", Place::Text), ("environ", Place::Environment)] {
                let content = std::fs::read(format!("/proc/{}/{what}", process.pid)).unwrap_or_default();
                self.look(finder, &content, place, &format!("{what} of {} ({})", process.pid, process.arguments));
            }
            self.processes.insert(process.pid);
        }
    }

    /// Adds another account.
    pub fn add(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.files.extend(other.files);
        self.processes.extend(other.processes);
        self.hits.extend(other.hits);
    }
}

fn place_of(content: &[u8]) -> Place {
    if std::str::from_utf8(content).is_ok_and(|text| !text.contains('\0')) { Place::Text } else { Place::Binary }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(value: &str) -> Secret {
        Secret { value: value.to_owned(), is_variable: false }
    }

    fn finder(values: &[&str]) -> Finder {
        let secrets: Vec<Secret> = values.iter().map(|value| secret(value)).collect();
        Finder::new(&secrets, &mut Random::new(1))
    }

    #[test]
    fn a_secret_is_found_in_each_encoding_and_by_half_of_it() {
        let mut random = Random::new(7);
        let secrets: Vec<Secret> = secrets::make(60, &mut random).into_iter().filter(|secret| !is_short(&secret.value)).collect();
        let finder = Finder::new(&secrets, &mut random);
        for (index, secret) in secrets.iter().enumerate() {
            for encoding in ENCODINGS {
                let printed = [b"x: ".as_slice(), &(encoding.encode)(secret.value.as_bytes()), b"\n"].concat();
                assert!(!finder.find(&printed, Place::Binary).is_empty(), "{} of {index}", encoding.name);
                let (first, second) = printed.split_at(printed.len() / 2);
                if first.len() > 4 * PIECE_BYTES {
                    assert!(!finder.find(first, Place::Text).is_empty(), "the first half in {} of {index}", encoding.name);
                    assert!(!finder.find(second, Place::Text).is_empty(), "the second half in {} of {index}", encoding.name);
                }
            }
            let quoted = serde_json::to_vec(&[&secret.value]).unwrap();
            assert!(!finder.find(&quoted, Place::Binary).is_empty(), "{index} in JSON");
        }
        assert!(finder.find(b"nothing of it: **** and ****", Place::Text).is_empty());
    }

    #[test]
    fn short_secrets_are_looked_for_in_texts_and_variables_not_in_environments() {
        let finder = finder(&["ab#1", "a longer one"]);
        assert_eq!(finder.find(b"[ab#1]", Place::Text), BTreeSet::from([0]));
        assert_eq!(finder.find(b"[ab#1]", Place::Binary), BTreeSet::new());
        let variable = Secret { is_variable: true, ..secret("in a variable") };
        let finder = Finder::new(&[variable, secret("in none at all")], &mut Random::new(1));
        assert_eq!(finder.find(b"A=in a variable\0B=in none at all", Place::Environment), BTreeSet::from([1]));
        assert_eq!(finder.find(b"A=in a variable\0B=in none at all", Place::Text), BTreeSet::from([0, 1]));
    }

    #[test]
    fn files_are_found_with_what_they_hold() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        let base64 = ENCODINGS.iter().find(|encoding| encoding.name.starts_with("base64")).unwrap();
        for (name, content) in [("clean", b"****".to_vec()), ("leaky", (base64.encode)(b"correct horse"))] {
            let mut file = std::fs::File::create(inner.join(name)).unwrap();
            std::io::Write::write_all(&mut file, &content).unwrap();
        }
        let mut account = Account::default();
        account.look_below(&finder(&["correct horse"]), folder.path());
        assert_eq!((account.files.len(), account.hits.len()), (2, 1), "{account:?}");
        assert!(account.hits[0].contains("leaky"));
    }
}
