//! Roles and classes as people write them.

use flotilla_protocol::trust::{Class, Role};

/// What begins the name of an operator's place.
const OPERATOR: &str = "operator:";

/// What a key can be given with one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A role.
    Role(Role),
    /// The rule of a class that has the class's name: who is in it may have orders of the class run, everywhere and at all times, unless
    /// `set-rule` says otherwise.
    Class(Class),
}

/// The name of a place.
pub(super) fn name(place: Place) -> String {
    match place {
        Place::Role(role) => role.as_str().to_owned(),
        Place::Class(class) => format!("{OPERATOR}{}", class.as_str()),
    }
}

/// One place.
pub(super) fn place(text: &str) -> Result<Place, String> {
    let found = match text.strip_prefix(OPERATOR) {
        Some(class) => Class::of_name(class).map(Place::Class),
        None => Role::of_name(text).map(Place::Role),
    };
    let all = || Role::ALL.iter().copied().map(Place::Role).chain(Class::ALL.iter().copied().map(Place::Class)).map(name);
    found.ok_or_else(|| format!("write one of {}", all().collect::<Vec<_>>().join(", ")))
}

/// One class.
pub(super) fn class(text: &str) -> Result<Class, String> {
    let all = || Class::ALL.iter().map(|class| class.as_str()).collect::<Vec<_>>().join(", ");
    Class::of_name(text).ok_or_else(|| format!("write one of {}", all()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_read_as_they_are_written() {
        for text in ["root", "release", "freshness", "bridge", "operator:inventory", "operator:command", "operator:self-update"] {
            assert_eq!(place(text).map(name).as_deref(), Ok(text));
        }
        for wrong in ["operator", "operator:", "operator:root", "command", "unknown", ""] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
        assert_eq!(class("patch"), Ok(Class::Patch));
        assert!(class("patches").unwrap_err().contains("inventory, command"));
    }
}
