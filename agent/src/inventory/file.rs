//! `AWS:File`: files that the settings name, by folder and pattern, with limits.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use flotilla_protocol::capability::inventory::{MAXIMUM_VALUE_BYTES, Row};
use serde::{Deserialize, Serialize};

use super::{GatherError, Scope, iso_8601, row};

/// SSM's names.
pub(super) const ATTRIBUTES: &[&str] = &["InstalledDir", "ModificationTime", "Name", "Size"];

/// Files of one inventory at most (SSM: 500).
const MAXIMUM_FILES: usize = 500;
/// Entries that are looked at in all, whatever is taken.
const MAXIMUM_LOOKS: usize = 200_000;
/// Folders within folders, at most.
const MAXIMUM_DEPTH: usize = 16;

/// Which files of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The folder: absolute.
    pub folder: PathBuf,
    /// Patterns of names: `*` is any text, `?` any character.
    pub patterns: Vec<String>,
    /// Whether folders within it are looked at, too.
    pub is_recursive: bool,
}

/// What was found, and up to where the rule of now may go on.
#[derive(Debug, Default)]
struct Found {
    rows: Vec<Row>,
    looks: usize,
    maximum_rows: usize,
    maximum_looks: usize,
    /// Files whose folder or name is longer than a value of an inventory.
    skipped: usize,
}

/// The files. Each rule has its share of what may be taken and looked at, and what it leaves goes to those after it.
pub(super) fn rows(scope: &Scope) -> Result<Vec<Row>, GatherError> {
    let mut found = Found::default();
    for (rule, rules_left) in scope.files.iter().zip((1..=scope.files.len()).rev()) {
        found.maximum_rows = found.rows.len() + (MAXIMUM_FILES - found.rows.len()) / rules_left;
        found.maximum_looks = found.looks + MAXIMUM_LOOKS.saturating_sub(found.looks) / rules_left;
        let folder = scope.root.join(rule.folder.strip_prefix("/").unwrap_or(&rule.folder));
        walk(&folder, rule, MAXIMUM_DEPTH, &mut found);
    }
    if found.skipped > 0 {
        tracing::warn!(skipped = found.skipped, "files of the inventory have longer names than an inventory takes");
    }
    Ok(found.rows)
}

/// A folder that cannot be read has no files: the next one may.
fn walk(folder: &Path, rule: &Rule, depth: usize, found: &mut Found) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.filter_map(Result::ok) {
        if found.rows.len() >= found.maximum_rows || found.looks >= found.maximum_looks {
            return;
        }
        found.looks += 1;
        let name = entry.file_name().to_string_lossy().into_owned();
        // Links are not followed: not into themselves, and not out of the folder.
        let Ok(metadata) = entry.path().symlink_metadata() else { continue };
        if metadata.is_dir() && rule.is_recursive && depth > 0 {
            walk(&entry.path(), rule, depth - 1, found);
        } else if metadata.is_file() && rule.patterns.iter().any(|pattern| fits(pattern, &name)) {
            let (folder, name) = (plain(&folder.to_string_lossy()), plain(&name));
            if folder.len().max(name.len()) > MAXIMUM_VALUE_BYTES {
                found.skipped += 1;
                continue;
            }
            found.rows.push(row(
                ATTRIBUTES,
                [
                    ("InstalledDir", folder),
                    ("ModificationTime", iso_8601(metadata.mtime())),
                    ("Name", name),
                    ("Size", metadata.len().to_string()),
                ],
            ));
        }
    }
}

fn plain(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).collect()
}

/// Whether a pattern fits the whole name. The last `*` that was seen takes one character more whenever the rest does not fit, so that the
/// time is bounded by the product of the lengths.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut star, mut place) = (0, None, 0);
    while place < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, place));
                at += 1;
            }
            Some(character) if *character == '?' || Some(character) == name.get(place) => {
                at += 1;
                place += 1;
            }
            _ => {
                let Some((before, taken)) = star else { return false };
                star = Some((before, taken + 1));
                at = before + 1;
                place = taken + 1;
            }
        }
    }
    pattern.iter().skip(at).all(|character| *character == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf.d", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b", "xxaxxbxx", false),
            ("", "", true),
            ("*", "", true),
            ("ä?", "äö", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
        assert!(!fits(&"*a".repeat(50), &"a".repeat(49)) && fits(&"*a".repeat(50), &"a".repeat(50)));
    }

    #[test]
    fn folders_patterns_and_links() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("etc/app");
        fs::create_dir_all(folder.join("deep")).unwrap();
        for name in ["a.conf", "b.txt", "deep/c.conf"] {
            fs::File::create(folder.join(name)).unwrap();
        }
        std::os::unix::fs::symlink(&folder, folder.join("deep/loop")).unwrap();
        let scope = |is_recursive| Scope {
            kinds: super::super::Kind::ALL.into(),
            has_custom: false,
            root: root.path().to_owned(),
            search_path: String::new(),
            has_details: false,
            files: vec![Rule { folder: "/etc/app".into(), patterns: vec!["*.conf".to_owned()], is_recursive }],
            custom: root.path().join("none"),
        };
        assert_eq!(rows(&scope(false)).unwrap().len(), 1);
        assert_eq!(rows(&scope(true)).unwrap().len(), 2);
    }

    #[test]
    fn no_rule_takes_the_places_of_another_and_long_names_are_skipped() {
        let root = tempfile::tempdir().unwrap();
        for (folder, count) in [("many", MAXIMUM_FILES + 50), ("few", 3)] {
            fs::create_dir(root.path().join(folder)).unwrap();
            (0..count).for_each(|number| drop(fs::File::create(root.path().join(folder).join(format!("{number}"))).unwrap()));
        }
        // Each byte that is no text becomes three; the path itself is one that the system takes.
        use std::os::unix::ffi::OsStrExt as _;
        let mut deep = root.path().join("few");
        for _ in 0..7 {
            deep.push(std::ffi::OsStr::from_bytes(&[0xff; 250]));
        }
        fs::create_dir_all(&deep).unwrap();
        fs::File::create(deep.join("x")).unwrap();
        let rule = |folder: &str| Rule { folder: folder.into(), patterns: vec!["*".to_owned()], is_recursive: true };
        let scope = Scope {
            kinds: super::super::Kind::ALL.into(),
            has_custom: false,
            root: root.path().to_owned(),
            search_path: String::new(),
            has_details: false,
            files: vec![rule("/many"), rule("/few")],
            custom: root.path().join("none"),
        };
        let rows = rows(&scope).unwrap();
        let of = |name: &str| rows.iter().filter(|row| row[0].ends_with(name)).count();
        assert_eq!((of("many"), of("few"), rows.len()), (MAXIMUM_FILES / 2, 3, MAXIMUM_FILES / 2 + 3));
        assert!(rows[0][1].ends_with('Z'), "{:?}", rows[0]);
    }
}
