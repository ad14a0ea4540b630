//! `Custom:*`: types of the site's own, from files in a folder.
//!
//! A file `NAME.json` is an object with the members `TypeName`, `SchemaVersion` and `Content`, as the SSM agent takes them: `Content` is an
//! object, or a list of objects, whose members are texts, numbers or true and false. A script of the site's writes the files when it likes; the
//! agent reads them each time that it gathers. Names that begin with a dot, such as those of a file that is being written, are left alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use flotilla_protocol::capability::inventory::{self, MAXIMUM_ATTRIBUTES, MAXIMUM_ENTRIES, MAXIMUM_SCHEMA_VERSION, MAXIMUM_TYPES, Table};
use flotilla_protocol::document::CUSTOM_TYPES;
use nix::fcntl::OFlag;
use serde::Deserialize;

use super::{GatherError, Gathered};

/// Largest file, in bytes.
const MAXIMUM_FILE_BYTES: u64 = 1024 * 1024;

/// A file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Given {
    type_name: String,
    schema_version: String,
    content: Content,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Content {
    One(BTreeMap<String, Value>),
    Many(Vec<BTreeMap<String, Value>>),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Value {
    Text(String),
    Bool(bool),
    Whole(i64),
    Number(f64),
}

impl Value {
    fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Bool(value) => value.to_string(),
            Self::Whole(value) => value.to_string(),
            Self::Number(value) => value.to_string(),
        }
    }
}

/// Gathers the types of a folder, in the order of the files' names. Two files of one type are refused, for nobody knew which counts. Where there
/// is no folder there are no types; a folder that cannot be read is a failure of [`CUSTOM_TYPES`], and says nothing of what is gone.
pub(super) fn gather(folder: &Path, mut take: impl FnMut(Gathered)) {
    let names = match names_in(folder) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(source) => {
            let error = GatherError::Unreadable { path: folder.to_owned(), source };
            return take(Gathered { type_name: CUSTOM_TYPES.to_owned(), schema_version: (0, 0), table: Err(error) });
        }
    };
    let mut seen = BTreeSet::new();
    for name in names.into_iter().filter(|name| name.ends_with(".json") && !name.starts_with('.')).take(MAXIMUM_TYPES) {
        let path = folder.join(&name);
        match read(&path) {
            Ok((type_name, schema_version, _)) if !seen.insert(type_name.clone()) => {
                let what = format!("another file of the folder has the type {type_name}, too");
                take(Gathered { type_name, schema_version, table: Err(GatherError::Malformed { path, what }) });
            }
            Ok((type_name, schema_version, table)) => take(Gathered { type_name, schema_version, table: Ok(table) }),
            Err(error) => take(Gathered { type_name: name, schema_version: (0, 0), table: Err(error) }),
        }
    }
}

fn names_in(folder: &Path) -> io::Result<BTreeSet<String>> {
    let names = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.file_name().into_string().ok()));
    names.filter_map(Result::transpose).collect()
}

fn read(path: &Path) -> Result<(String, (u32, u32), Table), GatherError> {
    let malformed = |what: String| GatherError::Malformed { path: path.to_owned(), what };
    let unreadable = |source| GatherError::Unreadable { path: path.to_owned(), source };
    // Whoever opens a pipe waits for a writer, and a link may lead anywhere; what is asked is what was opened.
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path).map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(malformed("it is no file".to_owned()));
    }
    let mut bytes = Vec::new();
    file.take(MAXIMUM_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAXIMUM_FILE_BYTES) {
        return Err(malformed("it is larger than 1 MiB".to_owned()));
    }
    let given: Given = serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
    if !given.type_name.starts_with("Custom:") || !inventory::is_type_name(&given.type_name) {
        return Err(malformed(format!(
            "the type must be Custom: and a name of letters, digits, \".\", \"-\" and \"_\", not \"{}\"",
            given.type_name
        )));
    }
    let version = version_of(&given.schema_version).ok_or_else(|| {
        malformed(format!(
            "SchemaVersion must be two numbers up to {MAXIMUM_SCHEMA_VERSION} as in \"1.0\", not \"{}\"",
            given.schema_version
        ))
    })?;
    let entries = match given.content {
        Content::One(entry) => vec![entry],
        Content::Many(entries) => entries,
    };
    // Both before any row is made: each row has a value for every attribute.
    if entries.len() > MAXIMUM_ENTRIES {
        return Err(malformed(format!("it has more than {MAXIMUM_ENTRIES} entries")));
    }
    let mut attributes = BTreeSet::new();
    for name in entries.iter().flat_map(BTreeMap::keys) {
        attributes.insert(name.as_str());
        if attributes.len() > MAXIMUM_ATTRIBUTES {
            return Err(malformed(format!("it has more than {MAXIMUM_ATTRIBUTES} attributes")));
        }
    }
    let attributes: Vec<String> = attributes.into_iter().map(str::to_owned).collect();
    let rows = entries.into_iter().map(|mut entry| {
        let value = |name: &String| entry.remove(name).map(Value::into_text).unwrap_or_default();
        attributes.iter().map(value).collect()
    });
    let table = Table::new(attributes.clone(), rows).map_err(|why| malformed(why.to_string()))?;
    Ok((given.type_name, version, table))
}

fn version_of(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    let number = |text: &str| text.parse().ok().filter(|number| *number <= MAXIMUM_SCHEMA_VERSION);
    Some((number(major)?, number(minor)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("rack.json", r#"{"TypeName":"Custom:Rack","SchemaVersion":"1.0","Content":{"Location":"B2","Unit":17,"Locked":true}}"#),
            ("sensors.json", r#"{"TypeName":"Custom:Sensor","SchemaVersion":"1.0","Content":[{"Name":"t1"},{"Name":"t2","Unit":"C"}]}"#),
            ("twice.json", r#"{"TypeName":"Custom:Rack","SchemaVersion":"1.0","Content":[]}"#),
            ("aws.json", r#"{"TypeName":"AWS:Application","SchemaVersion":"1.0","Content":[]}"#),
            ("nested.json", r#"{"TypeName":"Custom:Nested","SchemaVersion":"1.0","Content":{"A":{"B":1}}}"#),
            ("unknown.json", r#"{"TypeName":"Custom:X","SchemaVersion":"1.0","Content":[],"More":1}"#),
            ("version.json", r#"{"TypeName":"Custom:Y","SchemaVersion":"one","Content":[]}"#),
            ("large.json", r#"{"TypeName":"Custom:Z","SchemaVersion":"1.1000000","Content":[]}"#),
            ("broken.json", "{"),
            (".rack.json", "{"),
            ("notes.txt", "nothing"),
        ] {
            io::Write::write_all(&mut fs::File::create(folder.path().join(name)).unwrap(), text.as_bytes()).unwrap();
        }
        std::os::unix::fs::symlink("rack.json", folder.path().join("link.json")).unwrap();
        nix::unistd::mkfifo(&folder.path().join("pipe.json"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let mut seen = BTreeMap::new();
        gather(folder.path(), |gathered| {
            let rows = gathered.table.map(|table| table.rows().map(|row| row.join("|")).collect::<Vec<_>>());
            if let Ok(rows) = rows {
                seen.insert(gathered.type_name, rows);
            } else {
                *seen.entry("refused".to_owned()).or_default() = vec![gathered.type_name];
            }
        });
        assert_eq!(seen["Custom:Rack"], ["B2|true|17"]);
        assert_eq!(seen["Custom:Sensor"], ["t1|", "t2|C"]);
        assert_eq!(seen.len(), 3, "{seen:?}");
    }

    #[test]
    fn counts_are_looked_at_before_rows_are_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("many.json");
        let refused = |content: &str| {
            let text = format!(r#"{{"TypeName":"Custom:Many","SchemaVersion":"1.0","Content":[{content}]}}"#);
            io::Write::write_all(&mut fs::File::create(&path).unwrap(), text.as_bytes()).unwrap();
            read(&path).err().map(|error| error.to_string())
        };
        let other_names: Vec<String> = (0..9_000).map(|number| format!(r#"{{"a{number}":""}}"#)).collect();
        assert!(refused(&other_names.join(",")).unwrap().ends_with("more than 50 attributes"));
        assert!(refused(&vec![r#"{"a":""}"#; MAXIMUM_ENTRIES + 1].join(",")).unwrap().ends_with("more than 10000 entries"));
        assert_eq!(refused(r#"{"a":""}"#), None);
    }

    #[test]
    fn a_folder_that_cannot_be_read_is_not_an_empty_one() {
        let place = tempfile::tempdir().unwrap();
        let seen = |folder: &Path| {
            let mut seen = Vec::new();
            gather(folder, |gathered| seen.push((gathered.type_name, gathered.table.is_err())));
            seen
        };
        assert_eq!(seen(&place.path().join("none")), []);
        fs::File::create(place.path().join("file")).unwrap();
        assert_eq!(seen(&place.path().join("file")), [(CUSTOM_TYPES.to_owned(), true)]);
    }
}
