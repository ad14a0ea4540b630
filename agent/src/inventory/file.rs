//! `AWS:File`: files that the settings name, by folder and pattern, with limits.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use flotilla_protocol::capability::inventory::Row;
use serde::{Deserialize, Serialize};

use super::{GatherError, Scope, row};

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

/// The files.
pub(super) fn rows(scope: &Scope) -> Result<Vec<Row>, GatherError> {
    let (mut rows, mut looks) = (Vec::new(), 0);
    for rule in &scope.files {
        let folder = scope.root.join(rule.folder.strip_prefix("/").unwrap_or(&rule.folder));
        walk(&folder, rule, MAXIMUM_DEPTH, &mut looks, &mut rows);
    }
    Ok(rows)
}

/// A folder that cannot be read has no files: the next one may.
fn walk(folder: &Path, rule: &Rule, depth: usize, looks: &mut usize, rows: &mut Vec<Row>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.filter_map(Result::ok) {
        *looks += 1;
        if rows.len() >= MAXIMUM_FILES || *looks > MAXIMUM_LOOKS {
            return;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        // Links are not followed: not into themselves, and not out of the folder.
        let Ok(metadata) = entry.path().symlink_metadata() else { continue };
        if metadata.is_dir() && rule.is_recursive && depth > 0 {
            walk(&entry.path(), rule, depth - 1, looks, rows);
        } else if metadata.is_file() && rule.patterns.iter().any(|pattern| fits(pattern, &name)) {
            rows.push(row(
                ATTRIBUTES,
                [
                    ("InstalledDir", plain(&folder.to_string_lossy())),
                    ("ModificationTime", metadata.mtime().to_string()),
                    ("Name", plain(&name)),
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
}
