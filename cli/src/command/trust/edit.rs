//! Steps that make and change a draft. Each refuses what no node would take, and prints what the draft has become.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::Args;
use flotilla_protocol::signature::PublicKey;
use flotilla_protocol::trust::{Role, RoleEntry, TrustBundle, TrustKey};

use super::folder::{Chain, Draft};
use super::roles::{self, place};
use super::rule::rule_of;
use super::words::{describe, entry, persons};
use super::{Place, TrustCommandError};
use crate::arguments::duration;
use crate::error::{CliError, SUCCESS};
use crate::files;
use crate::keys::{KeysArguments, parse_public};
use crate::output::Output;

/// How long the first bundle of a fleet counts, unless it is said.
const FIRST_VALIDITY: Duration = Duration::from_secs(3650 * 86_400);

/// Options of every change.
#[derive(Debug, Args)]
pub(super) struct Change {
    #[command(flatten)]
    place: Place,
    /// When the bundle runs out, from now: 365d [default: as the bundle before; ten years for the first].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    expires: Option<Duration>,
}

/// A public key on the command line.
#[derive(Debug, Args)]
struct KeyArgument {
    /// A public key: a line of OpenSSH in quotes, a file with one, the name of a key of yours, or 64 hexadecimal digits of plain ed25519.
    #[arg(value_name = "KEY")]
    key: String,
    #[command(flatten)]
    keys: KeysArguments,
}

impl KeyArgument {
    fn read(&self) -> Result<(PublicKey, String), CliError> {
        Ok(parse_public(&self.key, &self.keys.folder()?)?)
    }
}

/// Begin the trust of a new fleet: a draft of bundle 1 with one root key.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  flotilla trust init fleet-trust ann --person Ann --expires 3650d")]
pub(super) struct InitArguments {
    #[command(flatten)]
    change: Change,
    #[command(flatten)]
    key: KeyArgument,
    /// Whose key it is [default: its comment].
    #[arg(long)]
    person: Option<String>,
}

/// Name a key and whose it is, and give it roles.
#[derive(Debug, Args)]
#[command(after_help = "\
A role that nobody had begins with a threshold of 1. A key that is named already, for the same person, gets the roles besides those it has. \
operator:CLASS is a place in the rule that has the name of the class; `set-rule` makes others, and says how many must sign, where and when.

Examples:
  flotilla trust add-key .flotilla/trust ann --person Ann --role root
  flotilla trust add-key .flotilla/trust 'sk-ssh-ed25519@openssh.com AAAA… bob' --role root --role operator:command")]
pub(super) struct AddKeyArguments {
    #[command(flatten)]
    change: Change,
    #[command(flatten)]
    key: KeyArgument,
    /// Whose key it is; thresholds count persons [default: its comment].
    #[arg(long)]
    person: Option<String>,
    /// What it may sign for; repeat it for several roles. Without one it is only named, for set-rule.
    #[arg(long, value_parser = place)]
    role: Vec<roles::Place>,
    /// It counts for no order after so long, from now; only for a key of operators.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    until: Option<Duration>,
}

/// Say how many persons must sign for a role.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  flotilla trust set-threshold .flotilla/trust --role root 2")]
pub(super) struct SetThresholdArguments {
    #[command(flatten)]
    change: Change,
    /// The role.
    #[arg(long, value_parser = place)]
    role: roles::Place,
    /// How many persons.
    threshold: u8,
}

/// Put a new key in the place of an old one of the same person.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  flotilla trust rotate .flotilla/trust ann-2026 --old ann")]
pub(super) struct RotateArguments {
    #[command(flatten)]
    change: Change,
    #[command(flatten)]
    key: KeyArgument,
    /// The key that it replaces, in the same forms.
    #[arg(long, value_name = "KEY")]
    old: String,
}

/// Take a key, or all keys of a person, out of every role and rule.
#[derive(Debug, Args)]
#[command(after_help = "\
A role or rule whose last key goes ends. Where too few persons would be left for a threshold, lower it first with set-threshold.

Examples:
  flotilla trust revoke .flotilla/trust --person Bob
  flotilla trust revoke .flotilla/trust --key 'ssh-ed25519 AAAA…'")]
pub(super) struct RevokeArguments {
    #[command(flatten)]
    change: Change,
    /// The person.
    #[arg(long, required_unless_present = "key", conflicts_with = "key")]
    person: Option<String>,
    /// The key.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    #[command(flatten)]
    keys: KeysArguments,
}

pub(super) fn init(output: Output, arguments: &InitArguments) -> Result<u8, CliError> {
    let Change { place, expires } = &arguments.change;
    let (public_key, comment) = arguments.key.read()?;
    let person = person(arguments.person.as_deref(), &comment)?;
    let folder = &place.folder;
    files::create_folder(folder).map_err(|source| TrustCommandError::File { action: "make", path: folder.clone(), source })?;
    let chain = Chain::read(folder)?;
    if chain.newest().is_some() || chain.draft(&place.draft())?.is_some() {
        return Err(refused(format!("{} has a bundle or a draft already", folder.display())));
    }
    let root = RoleEntry { role: Role::Root, threshold: 1, keys: vec![0] };
    let bundle = TrustBundle {
        expires_ms: after(expires.unwrap_or(FIRST_VALIDITY)),
        ..TrustBundle::beginning(vec![TrustKey::new(public_key, &person)], vec![root], Vec::new())
    };
    let draft = chain.new_draft(&place.draft(), &bundle)?;
    write(output, &chain, &draft)
}

pub(super) fn add_key(output: Output, arguments: &AddKeyArguments) -> Result<u8, CliError> {
    let (public_key, comment) = arguments.key.read()?;
    let person = person(arguments.person.as_deref(), &comment)?;
    change(output, &arguments.change, |bundle| {
        let index = match position(bundle, &public_key) {
            Some(index) if bundle.keys.get(index).is_some_and(|known| known.person == person && known.public_key == public_key) => index,
            Some(_) => return Err("the bundle names this key already, for another person or algorithm".to_owned()),
            None => {
                bundle.keys.push(TrustKey::new(public_key, &person));
                bundle.keys.len() - 1
            }
        };
        if let (Some(until), Some(key)) = (arguments.until, bundle.keys.get_mut(index)) {
            key.not_after_ms = Some(after(until));
        }
        let index = u16::try_from(index).map_err(|_many| "the bundle has too many keys".to_owned())?;
        for place in &arguments.role {
            let keys = match place {
                roles::Place::Class(class) => &mut rule_of(bundle, class.as_str(), Some(*class))?.keys,
                roles::Place::Role(role) => {
                    if entry(bundle, *role).is_none() {
                        bundle.roles.push(RoleEntry { role: *role, threshold: 1, keys: Vec::new() });
                    }
                    let found = bundle.roles.iter_mut().find(|entry| entry.role == *role);
                    &mut found.ok_or_else(|| "there is no such role".to_owned())?.keys
                }
            };
            if !keys.contains(&index) {
                keys.push(index);
            }
        }
        Ok(())
    })
}

pub(super) fn set_threshold(output: Output, arguments: &SetThresholdArguments) -> Result<u8, CliError> {
    change(output, &arguments.change, |bundle| {
        let threshold = match arguments.role {
            roles::Place::Role(role) => bundle.roles.iter_mut().find(|entry| entry.role == role).map(|entry| &mut entry.threshold),
            roles::Place::Class(class) => bundle.rules.iter_mut().find(|rule| rule.name == class.as_str()).map(|rule| &mut rule.threshold),
        };
        let nobody = || format!("nobody has the role {}; give it to a key first", roles::name(arguments.role));
        *threshold.ok_or_else(nobody)? = arguments.threshold;
        Ok(())
    })
}

pub(super) fn rotate(output: Output, arguments: &RotateArguments) -> Result<u8, CliError> {
    let folder = arguments.key.keys.folder()?;
    let (old, _) = parse_public(&arguments.old, &folder)?;
    let (new, _) = arguments.key.read()?;
    change(output, &arguments.change, |bundle| {
        let index = position(bundle, &old).ok_or("the bundle does not name the old key")?;
        // The same key by another algorithm is no new key, and still a change that somebody may want.
        if position(bundle, &new).is_some_and(|other| other != index) {
            return Err("the bundle names the new key already".to_owned());
        }
        if let Some(key) = bundle.keys.get_mut(index) {
            key.public_key = new;
        }
        Ok(())
    })
}

pub(super) fn revoke(output: Output, arguments: &RevokeArguments) -> Result<u8, CliError> {
    let folder = arguments.keys.folder()?;
    let key = arguments.key.as_deref().map(|key| parse_public(key, &folder)).transpose()?;
    change(output, &arguments.change, |bundle| {
        let goes = |known: &TrustKey| match (&key, &arguments.person) {
            (Some((key, _)), _) => known.public_key.raw() == key.raw(),
            (None, person) => person.as_deref() == Some(known.person.as_str()),
        };
        let stays: Vec<Option<u16>> = bundle
            .keys
            .iter()
            .scan(0, |next, known| {
                let index = (!goes(known)).then_some(*next);
                *next += u16::from(index.is_some());
                Some(index)
            })
            .collect();
        if stays.iter().all(Option::is_some) {
            return Err("the bundle does not name this key or person".to_owned());
        }
        bundle.keys.retain(|known| !goes(known));
        let lists = bundle.roles.iter_mut().map(|entry| &mut entry.keys).chain(bundle.rules.iter_mut().map(|rule| &mut rule.keys));
        for keys in lists {
            *keys = keys.iter().filter_map(|index| stays.get(usize::from(*index)).copied().flatten()).collect();
        }
        bundle.roles.retain(|entry| !entry.keys.is_empty());
        bundle.rules.retain(|rule| !rule.keys.is_empty());
        Ok(())
    })
}

/// Changes the draft, which begins as the bundle after the newest.
pub(super) fn change(output: Output, change: &Change, apply: impl FnOnce(&mut TrustBundle) -> Result<(), String>) -> Result<u8, CliError> {
    let chain = Chain::read(&change.place.folder)?;
    let path = change.place.draft();
    let mut bundle = match chain.draft(&path)? {
        Some(draft) if !draft.envelope()?.signatures().is_empty() => return Err(TrustCommandError::Signed { path }.into()),
        Some(draft) => draft.trust.bundle().clone(),
        None => {
            let newest = chain.needed()?;
            let version = newest.bundle().version.saturating_add(1);
            TrustBundle { version, previous: newest.hash(), ..newest.bundle().clone() }
        }
    };
    apply(&mut bundle).map_err(TrustCommandError::Change)?;
    if let Some(expires) = change.expires {
        bundle.expires_ms = after(expires);
    }
    reachable(&bundle)?;
    let draft = chain.new_draft(&path, &bundle)?;
    write(output, &chain, &draft)
}

/// Says in words what the protocol would refuse as unusable.
fn reachable(bundle: &TrustBundle) -> Result<(), CliError> {
    if entry(bundle, Role::Root).is_none() {
        return Err(refused("nobody would be root, so that nobody could ever change this trust".to_owned()));
    }
    let roles = bundle.roles.iter().map(|entry| (&entry.keys, entry.threshold, entry.threshold, entry.role.as_str().to_owned()));
    let rules = bundle.rules.iter();
    let rules = rules.map(|rule| (&rule.keys, rule.threshold, rule.threshold.max(rule.approvals), format!("the rule \"{}\"", rule.name)));
    for (keys, threshold, most, name) in roles.chain(rules) {
        let held = persons(bundle, keys).len();
        if threshold == 0 || usize::from(most) > held {
            return Err(refused(format!(
                "{most} of {held} persons would have to sign for {name}; add keys or set another threshold first"
            )));
        }
    }
    let with_an_end = |index: &u16| bundle.keys.get(usize::from(*index)).is_some_and(|key| key.not_after_ms.is_some());
    if let Some(entry) = bundle.roles.iter().find(|entry| entry.keys.iter().any(with_an_end)) {
        let role = entry.role.as_str();
        return Err(refused(format!("a key with an end cannot be of the role {role}: nodes judge it also before they know the time")));
    }
    let names: BTreeSet<&[u8]> = bundle.keys.iter().map(|key| key.public_key.raw()).collect();
    if names.len() != bundle.keys.len() {
        return Err(refused("a key would stand twice in the bundle".to_owned()));
    }
    Ok(())
}

fn write(output: Output, chain: &Chain, draft: &Draft) -> Result<u8, CliError> {
    draft.write(None)?;
    output.print(&describe(chain.newest(), &draft.trust, &draft.envelope()?))?;
    Ok(SUCCESS)
}

pub(super) fn position(bundle: &TrustBundle, key: &PublicKey) -> Option<usize> {
    bundle.keys.iter().position(|known| known.public_key.raw() == key.raw())
}

/// The name of a person: given, or the key's comment.
fn person(given: Option<&str>, comment: &str) -> Result<String, CliError> {
    let person = given.unwrap_or(comment).trim();
    if person.is_empty() || person.chars().any(char::is_control) {
        return Err(refused("say whose key it is, with --person".to_owned()));
    }
    Ok(person.to_owned())
}

fn after(duration: Duration) -> u64 {
    let now = u64::try_from(crate::clock::today().as_millisecond()).unwrap_or(0);
    now.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

fn refused(words: String) -> CliError {
    TrustCommandError::Change(words).into()
}
