//! THE LIST of built-in documents. Their owner is Amazon, as their callers expect; their texts are ours.

use super::content::Format;

/// A document that is part of the program.
#[derive(Debug, Clone, Copy)]
pub struct Builtin {
    pub name: &'static str,
    pub content: &'static str,
}

/// How they are written.
pub const FORMAT: Format = Format::Json;
/// When the first of them was written, 21 November 2026: their creation time, since they have no other.
pub const CREATED_MS: i64 = 1_795_219_200_000;

/// All of them, by name.
pub const BUILTIN: &[Builtin] = &[
    Builtin { name: "AWS-GatherSoftwareInventory", content: include_str!("builtin/AWS-GatherSoftwareInventory.json") },
    Builtin { name: "AWS-RunShellScript", content: include_str!("builtin/AWS-RunShellScript.json") },
];

/// The one of this name.
pub fn find(name: &str) -> Option<&'static Builtin> {
    BUILTIN.iter().find(|builtin| builtin.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Document;

    #[test]
    fn every_builtin_is_a_document() {
        assert!(BUILTIN.is_sorted_by(|left, right| left.name < right.name));
        for builtin in BUILTIN {
            Document::parse(builtin.content, FORMAT).unwrap();
        }
    }
}
