//! Roles as people write them.

use flotilla_protocol::trust::{Class, Role};

/// Every role with its name. To add one: a line here.
pub(super) const ROLES: [(&str, Role); 10] = [
    ("root", Role::Root),
    ("release", Role::Release),
    ("freshness", Role::Freshness),
    ("bridge", Role::Bridge),
    ("operator:inventory", Role::Operator(Class::Inventory)),
    ("operator:command", Role::Operator(Class::Command)),
    ("operator:patch", Role::Operator(Class::Patch)),
    ("operator:package", Role::Operator(Class::Package)),
    ("operator:session", Role::Operator(Class::Session)),
    ("operator:self-update", Role::Operator(Class::SelfUpdate)),
];

/// The name of a role.
pub(super) fn name(role: Role) -> &'static str {
    ROLES.iter().find(|(_, listed)| *listed == role).map_or("?", |(name, _)| name)
}

/// One role.
pub(super) fn role(text: &str) -> Result<Role, String> {
    let listed = ROLES.iter().find(|(name, _)| *name == text).map(|(_, role)| *role);
    listed.ok_or_else(|| format!("write one of {}", ROLES.map(|(name, _)| name).join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_read_as_they_are_written_and_none_is_forgotten() {
        for (text, listed) in ROLES {
            assert_eq!((role(text), name(listed)), (Ok(listed), text));
        }
        assert!(role("operator").is_err());
        // A new role must be named here: this stops compiling.
        let _named = |role: Role| match role {
            Role::Root | Role::Release | Role::Freshness | Role::Bridge => (),
            Role::Operator(class) => match class {
                Class::Inventory | Class::Command | Class::Patch | Class::Package | Class::Session | Class::SelfUpdate => (),
            },
        };
    }
}
