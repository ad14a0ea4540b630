//! A bundle in plain words: what a person reads before signing it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use flotilla_protocol::envelope::Envelope;
use flotilla_protocol::trust::{Role, RoleEntry, Trust, TrustBundle, TrustKey};

use super::roles::{ROLES, name};
use crate::keys::fingerprint;

/// Who has signed for the root of a bundle, of how many who must.
pub(super) struct Progress {
    /// Persons, each once.
    pub(super) signed: BTreeSet<String>,
    /// Persons who have not.
    pub(super) others: BTreeSet<String>,
    /// How many must.
    pub(super) threshold: usize,
}

impl Progress {
    /// The progress of `envelope` by the root of `trust`.
    pub(super) fn of(trust: &Trust, envelope: &Envelope<'_>) -> Self {
        let mut progress = Self { signed: BTreeSet::new(), others: BTreeSet::new(), threshold: 0 };
        let Some(root) = entry(trust.bundle(), Role::Root) else { return progress };
        progress.threshold = usize::from(root.threshold);
        for index in &root.keys {
            let Some(key) = trust.bundle().keys.get(usize::from(*index)) else { continue };
            if trust.has_signed(*index, envelope) {
                progress.signed.insert(key.person.clone());
            }
        }
        let persons = persons(trust.bundle(), root);
        progress.others = persons.into_iter().filter(|person| !progress.signed.contains(*person)).map(str::to_owned).collect();
        progress
    }

    /// Whether enough have signed.
    pub(super) fn is_enough(&self) -> bool {
        self.threshold > 0 && self.signed.len() >= self.threshold
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let list = |persons: &BTreeSet<String>| persons.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let mut text = format!("{} of {}", self.signed.len(), self.threshold);
        if !self.signed.is_empty() {
            // Writing to a String does not fail.
            _ = write!(text, " ({})", list(&self.signed));
        }
        if !self.is_enough() {
            _ = write!(text, "; missing {} of: {}", self.threshold.saturating_sub(self.signed.len()), list(&self.others));
        }
        text
    }
}

/// A bundle, what it changes, and who has signed it.
pub(super) fn describe(before: Option<&Trust>, trust: &Trust, envelope: &Envelope<'_>) -> String {
    let bundle = trust.bundle();
    let mut text = format!("Trust bundle {} of the fleet {}\n", bundle.version, trust.fleet());
    let mut line = |words: String| {
        text.push_str("  ");
        text.push_str(&words);
        text.push('\n');
    };
    line(format!("sha256 {}", hex(&trust.hash())));
    match before {
        None => line("the first: nodes pin its sha256 when they register".to_owned()),
        Some(before) => line(format!("follows bundle {}, sha256 {}", before.bundle().version, hex(&before.hash()))),
    }
    line(format!("runs out at {}", date(bundle.expires_ms)));
    let [major, minor, patch] = bundle.minimum_agent_version;
    line(format!("agents older than {major}.{minor}.{patch} take no orders"));
    if let Some(before) = before {
        changes(before.bundle(), bundle, &mut line);
    }
    for (role_name, role) in ROLES {
        let Some(entry) = entry(bundle, role) else { continue };
        let persons = persons(bundle, entry).len();
        line(format!("{role_name}: {} of {persons} {} must sign", entry.threshold, plural(persons, "person", "persons")));
        for key in keys(bundle, entry) {
            line(format!("  {}: {}", key.person, fingerprint(&key.public_key)));
        }
    }
    for warning in warnings(bundle) {
        line(format!("CAUTION: {warning}"));
    }
    if let Some(before) = before {
        let version = before.bundle().version;
        line(format!("signed for the root of bundle {version}: {}", Progress::of(before, envelope).text()));
    }
    line(format!("signed for the root of bundle {}: {}", bundle.version, Progress::of(trust, envelope).text()));
    text
}

fn changes(before: &TrustBundle, bundle: &TrustBundle, line: &mut impl FnMut(String)) {
    let has = |bundle: &TrustBundle, key: &TrustKey| bundle.keys.contains(key);
    let named = |key: &TrustKey| format!("the key of {}, {}", key.person, fingerprint(&key.public_key));
    for key in before.keys.iter().filter(|key| !has(bundle, key)) {
        line(format!("REMOVES {}", named(key)));
    }
    for key in bundle.keys.iter().filter(|key| !has(before, key)) {
        line(format!("ADDS {}", named(key)));
    }
    for (role_name, role) in ROLES {
        let (old, new) = (entry(before, role), entry(bundle, role));
        let holders = |bundle: &TrustBundle, entry: Option<&RoleEntry>| {
            entry.map(|entry| keys(bundle, entry).map(|key| (key.person.clone(), fingerprint(&key.public_key))).collect::<BTreeSet<_>>())
        };
        match (old, new) {
            (Some(old), Some(new)) if old.threshold != new.threshold => {
                line(format!("CHANGES {role_name}: {} must sign where {} did", count(new.threshold), count(old.threshold)));
            }
            (Some(_), None) => line(format!("ENDS {role_name}: nobody may sign for it any more")),
            (None, Some(new)) => line(format!("BEGINS {role_name}: {} must sign", count(new.threshold))),
            _ => {}
        }
        let (old, new) = (holders(before, old).unwrap_or_default(), holders(bundle, new).unwrap_or_default());
        for (person, key) in old.difference(&new) {
            line(format!("TAKES {role_name} from {person}, {key}"));
        }
        for (person, key) in new.difference(&old) {
            line(format!("GIVES {role_name} to {person}, {key}"));
        }
    }
    if before.expires_ms != bundle.expires_ms {
        line(format!("CHANGES when it runs out, which was {}", date(before.expires_ms)));
    }
    if before.epoch != bundle.epoch {
        line(format!("CHANGES the epoch from {} to {}: nodes forget how far their time had come", before.epoch, bundle.epoch));
    }
    if before.minimum_agent_version != bundle.minimum_agent_version {
        let [major, minor, patch] = before.minimum_agent_version;
        line(format!("CHANGES the oldest agent, which was {major}.{minor}.{patch}"));
    }
}

/// What is allowed and hardly ever meant.
fn warnings(bundle: &TrustBundle) -> Vec<String> {
    let mut found = Vec::new();
    let mut seen: Vec<(String, &str)> = Vec::new();
    for key in &bundle.keys {
        let folded = key.person.trim().to_lowercase();
        if let Some((_, other)) = seen.iter().find(|(known, other)| *known == folded && *other != key.person) {
            found.push(format!("{:?} and {other:?} count as two persons", key.person));
        }
        seen.push((folded, &key.person));
    }
    if entry(bundle, Role::Root).is_some_and(|root| persons(bundle, root).len() == usize::from(root.threshold)) {
        found.push("when one person of the root loses a key, nobody can change this trust any more".to_owned());
    }
    found
}

/// The entry of a role.
pub(super) fn entry(bundle: &TrustBundle, role: Role) -> Option<&RoleEntry> {
    bundle.roles.iter().find(|entry| entry.role == role)
}

/// The keys of a role.
pub(super) fn keys<'a>(bundle: &'a TrustBundle, entry: &'a RoleEntry) -> impl Iterator<Item = &'a TrustKey> {
    entry.keys.iter().filter_map(|index| bundle.keys.get(usize::from(*index)))
}

/// The persons of a role, each once.
pub(super) fn persons<'a>(bundle: &'a TrustBundle, entry: &'a RoleEntry) -> BTreeSet<&'a str> {
    keys(bundle, entry).map(|key| key.person.as_str()).collect()
}

/// Unix milliseconds as people read them.
pub(super) fn date(unix_ms: u64) -> String {
    let time = i64::try_from(unix_ms).ok().and_then(|time| jiff::Timestamp::from_millisecond(time).ok());
    time.map_or_else(|| "no time that anybody lives to see".to_owned(), |time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// Lower-case digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn count(persons: u8) -> String {
    format!("{persons} {}", plural(usize::from(persons), "person", "persons"))
}

fn plural(count: usize, one: &'static str, several: &'static str) -> &'static str {
    if count == 1 { one } else { several }
}

/// The name of a role, for other files.
pub(super) fn role_name(role: Role) -> &'static str {
    name(role)
}
