//! Places in a document: the way from its root to a value, and the line on which that value stands.

use super::content::Format;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;
use std::fmt;

/// The way from the root to a value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Path(Vec<Key>);

/// One step of the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    Member(String),
    Element(usize),
}

impl Path {
    /// A member of the root.
    pub(crate) fn of(name: &str) -> Self {
        Self::default().member(name)
    }

    /// A member of the object here.
    pub(crate) fn member(&self, name: &str) -> Self {
        self.with(Key::Member(name.to_owned()))
    }

    /// An element of the list here.
    pub(crate) fn element(&self, index: usize) -> Self {
        self.with(Key::Element(index))
    }

    /// The way on as serde has gone it.
    pub(crate) fn join(&self, further: &serde_path_to_error::Path) -> Self {
        use serde_path_to_error::Segment;
        further.iter().fold(self.clone(), |path, segment| match segment {
            Segment::Seq { index } => path.element(*index),
            Segment::Map { key } => path.member(key),
            Segment::Enum { .. } | Segment::Unknown => path,
        })
    }

    /// The steps of the way.
    pub(crate) fn keys(&self) -> &[Key] {
        &self.0
    }

    fn with(&self, key: Key) -> Self {
        let mut keys = self.0.clone();
        keys.push(key);
        Self(keys)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, key) in self.0.iter().enumerate() {
            match key {
                Key::Member(name) if index == 0 => f.write_str(name)?,
                Key::Member(name) => write!(f, ".{name}")?,
                Key::Element(element) => write!(f, "[{element}]")?,
            }
        }
        Ok(())
    }
}

/// What is wrong with a document, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    path: Path,
    /// From 1 on; none before it was looked up.
    line: Option<u64>,
    message: String,
}

impl Fault {
    /// The line, from 1 on, where it is known.
    #[must_use]
    pub fn line(&self) -> Option<u64> {
        self.line
    }

    /// The path, such as `mainSteps[0].inputs.timeoutSeconds`; empty for the whole document.
    #[must_use]
    pub fn path(&self) -> String {
        self.path.to_string()
    }

    /// The way to it.
    pub(crate) fn place(&self) -> &Path {
        &self.path
    }

    /// What is wrong there.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn new(path: Path, message: impl Into<String>) -> Self {
        Self { path, line: None, message: message.into() }
    }

    /// Looks the line up in the text. A document is read twice only when something is wrong with it.
    pub(crate) fn find_line(mut self, text: &str, format: Format) -> Self {
        if !self.path.0.is_empty() {
            self.line = line_of(text, format, &self.path);
        }
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.path.0.is_empty(), self.line) {
            (false, Some(line)) => write!(f, "line {line}, {}: {}", self.path, self.message),
            (false, None) => write!(f, "{}: {}", self.path, self.message),
            (true, _) => f.write_str(&self.message),
        }
    }
}

/// The line of the value at a path, or of the last value on the way that there is.
fn line_of(text: &str, format: Format, path: &Path) -> Option<u64> {
    match format {
        // A reader of JSON knows its line only when it fails: one that fails where the path ends tells it.
        Format::Json => (0..=path.0.len()).rev().find_map(|length| {
            let error = Seek(path.0.get(..length)?).deserialize(&mut serde_json::Deserializer::from_str(text)).err()?;
            error.to_string().contains(HERE).then(|| u64::try_from(error.line()).ok())?
        }),
        Format::Yaml => {
            let root: Spanned<Node> = serde_saphyr::from_str_with_options(text, super::content::yaml_options()).ok()?;
            let mut here = &root;
            for key in &path.0 {
                here = match (key, &here.value) {
                    (Key::Member(name), Node::Map(members)) => match members.iter().find(|(known, _)| known == name) {
                        Some((_, value)) => value,
                        None => break,
                    },
                    (Key::Element(index), Node::List(elements)) => match elements.get(*index) {
                        Some(element) => element,
                        None => break,
                    },
                    _ => break,
                };
            }
            Some(here.referenced.line())
        }
    }
}

/// A value of YAML as far as places need it.
enum Node {
    Map(Vec<(String, Spanned<Self>)>),
    List(Vec<Spanned<Self>>),
    Scalar,
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, _value: bool) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_i64<E>(self, _value: i64) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_u64<E>(self, _value: u64) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_f64<E>(self, _value: f64) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_str<E>(self, _value: &str) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Node, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = sequence.next_element()? {
            elements.push(element);
        }
        Ok(Node::List(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = access.next_entry()? {
            members.push(member);
        }
        Ok(Node::Map(members))
    }
}

/// The words by which our own failure is known.
const HERE: &str = "this is the place that was sought";

#[derive(Clone, Copy)]
struct Seek<'a>(&'a [Key]);

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A scalar is no map: the reader says so, with the line.
        f.write_str(if self.0.is_empty() { HERE } else { "a list or an object" })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        let Some((Key::Element(wanted), further)) = self.0.split_first() else { return Err(A::Error::custom(HERE)) };
        for _ in 0..*wanted {
            sequence.next_element::<IgnoredAny>()?;
        }
        sequence.next_element_seed(Seek(further))?;
        while sequence.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        let Some((Key::Member(wanted), further)) = self.0.split_first() else { return Err(A::Error::custom(HERE)) };
        while let Some(key) = access.next_key::<String>()? {
            if key == *wanted {
                access.next_value_seed(Seek(further))?;
            } else {
                access.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = "{\n  \"a\": 1,\n  \"steps\": [\n    {\"name\": \"x\"},\n    {\n      \"name\": \"y\",\n      \"lines\": [\n        \"one\",\n        2\n      ]\n    }\n  ]\n}\n";
    const YAML: &str = "a: 1\nsteps:\n  - name: x\n  - name: y\n    lines:\n      - one\n      - 2\n";

    #[test]
    fn every_value_has_its_line_in_both_formats() {
        let steps = Path::of("steps");
        let second = steps.element(1);
        let lines = second.member("lines");
        for (path, json, yaml) in [
            (Path::of("a"), 2, 1),
            (second.member("name"), 6, 4),
            (lines.element(0), 8, 6),
            (lines.element(1), 9, 7),
            // What is missing has the line of what should hold it, or of its first member.
            (second.member("action"), 5, 4),
        ] {
            let near = |line: Option<u64>, expected: u64| line.is_some_and(|line| line == expected || line == expected + 1);
            assert_eq!(line_of(YAML, Format::Yaml, &path), Some(yaml), "{path}");
            assert!(near(line_of(JSON, Format::Json, &path), json), "{path}: {:?}", line_of(JSON, Format::Json, &path));
        }
        assert_eq!(lines.element(1).to_string(), "steps[1].lines[1]");
    }
}
