//! A bundle in plain words: what a person reads before signing it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use flotilla_protocol::envelope::Envelope;
use flotilla_protocol::trust::{OperatorRule, Role, RoleEntry, Trust, TrustBundle, TrustKey};

use super::hours;
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
        let persons = persons(trust.bundle(), &root.keys);
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
    for entry in &bundle.roles {
        let persons = persons(bundle, &entry.keys).len();
        line(format!("{}: {} of {persons} {} must sign", entry.role.as_str(), entry.threshold, plural(persons, "person", "persons")));
        for key in keys(bundle, &entry.keys) {
            line(format!("  {}: {}", key.person, holding(key)));
        }
    }
    for rule in &bundle.rules {
        line(format!("{}: {}", rule_name(rule), rule_words(bundle, rule)));
        for key in keys(bundle, &rule.keys) {
            line(format!("  {}: {}", key.person, holding(key)));
        }
    }
    let lists = bundle.roles.iter().map(|entry| &entry.keys).chain(bundle.rules.iter().map(|rule| &rule.keys));
    let used: BTreeSet<u16> = lists.flatten().copied().collect();
    for (_, key) in (0..).zip(&bundle.keys).filter(|(index, _)| !used.contains(index)) {
        line(format!("{}: {}, and may sign for nothing yet", key.person, holding(key)));
    }
    for entry in &bundle.labels {
        let labels: Vec<String> = entry.labels.iter().map(ToString::to_string).collect();
        line(format!("{} is {}", entry.node, labels.join(", ")));
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
    let named = |key: &TrustKey| format!("the key of {}, {}", key.person, holding(key));
    for key in before.keys.iter().filter(|key| !has(bundle, key)) {
        line(format!("REMOVES {}", named(key)));
    }
    for key in bundle.keys.iter().filter(|key| !has(before, key)) {
        line(format!("ADDS {}", named(key)));
    }
    let roles = before.roles.iter().chain(&bundle.roles).map(|entry| entry.role).collect::<BTreeSet<Role>>();
    for role in roles {
        let (name, old, new) = (role.as_str(), entry(before, role), entry(bundle, role));
        match (old, new) {
            (Some(old), Some(new)) if old.threshold != new.threshold => {
                line(format!("CHANGES {name}: {} must sign where {} did", count(new.threshold), count(old.threshold)));
            }
            (Some(_), None) => line(format!("ENDS {name}: nobody may sign for it any more")),
            (None, Some(new)) => line(format!("BEGINS {name}: {} must sign", count(new.threshold))),
            _ => {}
        }
        moves(name, holders(before, old.map(|entry| &entry.keys)), holders(bundle, new.map(|entry| &entry.keys)), line);
    }
    let rules = before.rules.iter().chain(&bundle.rules).map(|rule| rule.name.as_str()).collect::<BTreeSet<_>>();
    for name in rules {
        let of = |bundle: &TrustBundle| bundle.rules.iter().find(|rule| rule.name == name).cloned();
        let (old, new) = (of(before), of(bundle));
        let named = old.as_ref().or(new.as_ref()).map(rule_name).unwrap_or_default();
        match (&old, &new) {
            (Some(old), Some(new)) => {
                let (was, is) = (rule_words(before, old), rule_words(bundle, new));
                if was != is {
                    line(format!("CHANGES {named} to: {is}; it was: {was}"));
                }
            }
            (Some(_), None) => line(format!("ENDS {named}: nothing is allowed by it any more")),
            (None, Some(new)) => line(format!("BEGINS {named}: {}", rule_words(bundle, new))),
            (None, None) => {}
        }
        moves(&named, holders(before, old.as_ref().map(|rule| &rule.keys)), holders(bundle, new.as_ref().map(|rule| &rule.keys)), line);
    }
    for entry in before.labels.iter().filter(|entry| !bundle.labels.contains(entry)) {
        line(format!("TAKES BACK what was said of {}", entry.node));
    }
    for entry in bundle.labels.iter().filter(|entry| !before.labels.contains(entry)) {
        line(format!("SAYS that {} is {}", entry.node, entry.labels.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")));
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
    for rule in bundle.rules.iter().filter(|rule| rule.approvals >= rule.threshold) {
        found.push(format!(
            "{} goes by who asked for an order, which the bridge writes; with a threshold of {} nobody could pretend to be two",
            rule_name(rule),
            rule.approvals.saturating_add(1)
        ));
    }
    if entry(bundle, Role::Root).is_some_and(|root| persons(bundle, &root.keys).len() == usize::from(root.threshold)) {
        found.push("when one person of the root loses a key, nobody can change this trust any more".to_owned());
    }
    found
}

/// The entry of a role.
pub(super) fn entry(bundle: &TrustBundle, role: Role) -> Option<&RoleEntry> {
    bundle.roles.iter().find(|entry| entry.role == role)
}

/// The keys of a role or a rule.
pub(super) fn keys<'a>(bundle: &'a TrustBundle, indices: &'a [u16]) -> impl Iterator<Item = &'a TrustKey> {
    indices.iter().filter_map(|index| bundle.keys.get(usize::from(*index)))
}

/// The persons of a role or a rule, each once.
pub(super) fn persons<'a>(bundle: &'a TrustBundle, indices: &'a [u16]) -> BTreeSet<&'a str> {
    keys(bundle, indices).map(|key| key.person.as_str()).collect()
}

/// The indices of a person's keys.
pub(super) fn person_keys(bundle: &TrustBundle, person: &str) -> Vec<u16> {
    (0..).zip(&bundle.keys).filter(|(_, key)| key.person == person).map(|(index, _)| index).collect()
}

/// Who holds a role or a rule, each with a key.
fn holders(bundle: &TrustBundle, indices: Option<&Vec<u16>>) -> BTreeSet<(String, String)> {
    let indices = indices.map(Vec::as_slice).unwrap_or_default();
    keys(bundle, indices).map(|key| (key.person.clone(), holding(key))).collect()
}

fn moves(name: &str, old: BTreeSet<(String, String)>, new: BTreeSet<(String, String)>, line: &mut impl FnMut(String)) {
    for (person, key) in old.difference(&new) {
        line(format!("TAKES {name} from {person}, {key}"));
    }
    for (person, key) in new.difference(&old) {
        line(format!("GIVES {name} to {person}, {key}"));
    }
}

/// A key, and its end if it has one.
fn holding(key: &TrustKey) -> String {
    let end = key.not_after_ms.map(|end| format!(", until {}", date(end))).unwrap_or_default();
    format!("{}{end}", fingerprint(&key.public_key))
}

/// A rule as it is named: by its class alone where it has that name.
pub(super) fn rule_name(rule: &OperatorRule) -> String {
    let class = rule.class.as_str();
    if rule.name == class { format!("operator:{class}") } else { format!("operator:{class} rule \"{}\"", rule.name) }
}

/// What a rule asks for.
pub(super) fn rule_words(bundle: &TrustBundle, rule: &OperatorRule) -> String {
    let persons = persons(bundle, &rule.keys).len();
    let mut text = format!("{} of {persons} {} must sign", rule.threshold, plural(persons, "person", "persons"));
    // Writing to a String does not fail.
    if rule.approvals > 0 {
        _ = write!(text, ", at least {} of them not who asked for the order", rule.approvals);
    }
    if !rule.scope.is_empty() {
        let labels: Vec<String> = rule.scope.iter().map(ToString::to_string).collect();
        _ = write!(text, ", only for nodes with {}", labels.join(" and "));
    }
    if !rule.hours.is_empty() {
        let windows: Vec<String> = rule.hours.iter().map(|window| hours::words(*window)).collect();
        _ = write!(text, ", only at {} UTC", windows.join(" or "));
    }
    if !rule.is_understood() {
        text.push_str(", and on conditions that this build does not know");
    }
    text
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
