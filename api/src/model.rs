//! What a request may hold: the limits that the service models set on every member, as data.
//!
//! A table says for each operation which members must be there, how long text and lists are, which words an enumeration has, which
//! patterns text must match and between which numbers one lies. The bridge checks every request against it before anything else sees
//! the request. The tables are written by `generate/constraints.py`; where this bridge takes more than AWS, the script says so.

mod flotilla;
#[rustfmt::skip]
mod groups;
#[rustfmt::skip]
mod ssm;

/// A kind of value, with its limits.
#[derive(Debug, PartialEq, Eq)]
pub enum Shape {
    /// An object with members.
    Structure(&'static [Member]),
    /// A list; its length, and what an entry is.
    List(Span, &'static Self),
    /// An object whose keys are the caller's; how many there are, and what a key and a value is.
    Map(Span, &'static Self, &'static Self),
    /// Text; its length in characters, and the pattern that it must match as a whole.
    Text(Span, Option<Pattern>),
    /// One word out of these.
    Word(&'static [&'static str]),
    /// A whole number.
    Number(Span),
    /// Anything that the request's type takes.
    Free,
}

/// A member of a structure.
#[derive(Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name in the request.
    pub name: &'static str,
    /// Whether it must be there.
    pub required: bool,
    /// Whether its value must stand in no message and no log.
    pub secret: bool,
    /// What it may hold.
    pub shape: &'static Shape,
}

/// From the least to the most, both included; nothing means no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The least.
    pub least: Option<i64>,
    /// The most.
    pub most: Option<i64>,
}

/// A regular expression, in two dialects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pattern {
    /// As the model writes it, which is what messages show.
    pub model: &'static str,
    /// The same for Rust's crate `regex`.
    pub rust: &'static str,
}

/// What a request of an SSM operation may hold; nothing for a name that is no operation.
#[must_use]
pub fn of_ssm(operation: &str) -> Option<&'static Shape> {
    find(ssm::REQUESTS, operation)
}

/// What a request of one of the built operations of resource groups may hold.
#[must_use]
pub fn of_groups(operation: &str) -> Option<&'static Shape> {
    find(groups::REQUESTS, operation)
}

/// What a request of one of Flotilla's own operations may hold.
#[must_use]
pub fn of_flotilla(operation: &str) -> Option<&'static Shape> {
    find(flotilla::REQUESTS, operation)
}

fn find(table: &[(&str, &'static Shape)], operation: &str) -> Option<&'static Shape> {
    let index = table.binary_search_by(|(name, _)| (*name).cmp(operation)).ok()?;
    table.get(index).map(|(_, shape)| *shape)
}

static FREE: Shape = Shape::Free;

const fn structure(members: &'static [Member]) -> Shape {
    Shape::Structure(members)
}

const fn member(name: &'static str, shape: &'static Shape) -> Member {
    Member { name, required: false, secret: false, shape }
}

const fn required(name: &'static str, shape: &'static Shape) -> Member {
    Member { name, required: true, secret: false, shape }
}

impl Member {
    const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }
}

const fn list(least: Option<i64>, most: Option<i64>, entry: &'static Shape) -> Shape {
    Shape::List(Span { least, most }, entry)
}

const fn map(least: Option<i64>, most: Option<i64>, key: &'static Shape, value: &'static Shape) -> Shape {
    Shape::Map(Span { least, most }, key, value)
}

const fn text(least: Option<i64>, most: Option<i64>) -> Shape {
    Shape::Text(Span { least, most }, None)
}

const fn patterned(least: Option<i64>, most: Option<i64>, model: &'static str, rust: Option<&'static str>) -> Shape {
    let rust = match rust {
        Some(rust) => rust,
        None => model,
    };
    Shape::Text(Span { least, most }, Some(Pattern { model, rust }))
}

const fn word(words: &'static [&'static str]) -> Shape {
    Shape::Word(words)
}

const fn number(least: Option<i64>, most: Option<i64>) -> Shape {
    Shape::Number(Span { least, most })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations;

    #[test]
    fn every_operation_has_a_request_and_no_other_has() {
        let names: Vec<&str> = ssm::REQUESTS.iter().map(|(name, _)| *name).collect();
        let listed: Vec<&str> = operations::all().iter().map(|listed| listed.name).collect();
        assert_eq!(names, listed, "run generate/constraints.py and generate/operations.py with the same botocore");
        assert!(groups::REQUESTS.is_sorted_by(|left, right| left.0 < right.0));
        assert!(flotilla::REQUESTS.is_sorted_by(|left, right| left.0 < right.0));
        assert!(of_ssm("CreateGroup").is_none() && of_groups("CreateGroup").is_some());
    }

    #[test]
    fn a_request_holds_what_the_model_says() {
        let Some(Shape::Structure(members)) = of_ssm("ListCommands") else { panic!("a structure") };
        let most = members.iter().find(|member| member.name == "MaxResults").unwrap();
        assert_eq!((most.required, most.shape), (false, &Shape::Number(Span { least: Some(1), most: Some(50) })));
    }
}
