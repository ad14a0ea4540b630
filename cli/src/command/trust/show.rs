//! `flotilla trust show`, `verify` and `export`: they change nothing.

use std::path::PathBuf;

use clap::Args;
use flotilla_protocol::envelope::{Domain, Envelope};
use flotilla_protocol::trust::{Trust, TrustError};
use serde::Serialize;

use super::folder::Chain;
use super::words::{Progress, date, describe, hex, keys, rule_words};
use super::{Place, TrustCommandError, hours};
use crate::error::{CliError, SUCCESS};
use crate::files;
use crate::keys::{fingerprint, to_text};
use crate::output::{Format, Output};

/// Show a bundle, or the draft, in plain words: who may sign what, what it changes, who has signed it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  flotilla trust show .flotilla/trust\n  flotilla trust show .flotilla/trust --version 1 --output json")]
pub(super) struct ShowArguments {
    #[command(flatten)]
    place: Place,
    /// The bundle of this version [default: the draft, if there is one, else the newest].
    #[arg(long, value_name = "N")]
    version: Option<u32>,
}

/// Check that every bundle follows from the one before, and that the newest has not run out.
#[derive(Debug, Args)]
#[command(after_help = "\
The exit code is 0 when they do, 1 when they do not. Without --root-hash bundle 1 is taken for granted: compare its sha256 with what is in \
your records, or with an activation string.

Examples:
  flotilla trust verify .flotilla/trust
  flotilla trust verify .flotilla/trust --root-hash 8f3c…")]
pub(super) struct VerifyArguments {
    /// The trust folder.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// SHA-256 of bundle 1, in hexadecimal digits, which it must have.
    #[arg(long, value_name = "HEX")]
    root_hash: Option<String>,
}

/// Write the bytes that signatures of the draft cover, for `ssh-keygen -Y sign -n flotilla`.
#[derive(Debug, Args)]
#[command(after_help = "\
Read first what it is that you sign: flotilla trust show DIR.

Example:
  flotilla trust export .flotilla/trust to-sign
  ssh-keygen -Y sign -n flotilla -f ~/.ssh/id_ed25519_sk to-sign
  flotilla trust attach .flotilla/trust to-sign.sig")]
pub(super) struct ExportArguments {
    #[command(flatten)]
    place: Place,
    /// The file to write, which must not be there.
    file: PathBuf,
}

/// A bundle as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Shown {
    fleet: String,
    version: u32,
    sha256: String,
    previous: String,
    expires: String,
    epoch: u32,
    minimum_agent_version: String,
    keys: Vec<ShownKey>,
    roles: Vec<ShownRole>,
    rules: Vec<ShownRule>,
    labels: Vec<ShownLabels>,
    signatures: Vec<ShownProgress>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ShownKey {
    person: String,
    fingerprint: String,
    public_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ShownRole {
    role: &'static str,
    threshold: u8,
    fingerprints: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ShownRule {
    name: String,
    class: &'static str,
    threshold: u8,
    approvals: u8,
    scope: Vec<String>,
    hours: Vec<String>,
    fingerprints: Vec<String>,
    /// In plain words.
    text: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ShownLabels {
    node: String,
    labels: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ShownProgress {
    root_of_version: u32,
    threshold: usize,
    signed: Vec<String>,
    missing: Vec<String>,
    enough: bool,
}

pub(super) fn show(output: Output, arguments: &ShowArguments) -> Result<u8, CliError> {
    let chain = Chain::read(&arguments.place.folder)?;
    let draft = chain.draft(&arguments.place.draft())?;
    let (before, trust, bytes) = match (arguments.version, &draft) {
        (None, Some(draft)) => (chain.newest(), &draft.trust, draft.bytes()),
        (None, None) => {
            let newest = chain.needed()?.bundle().version;
            chain.version(newest).ok_or_else(|| missing(newest))?
        }
        (Some(version), _) => chain.version(version).ok_or_else(|| missing(version))?,
    };
    let broken = |error| TrustCommandError::Bundle {
        version: trust.bundle().version,
        folder: arguments.place.folder.clone(),
        source: TrustError::Envelope(error),
    };
    let envelope = Envelope::parse(bytes, Domain::Trust).map_err(broken)?;
    match output.format {
        Format::Json => output.print_json(&shown(before, trust, &envelope))?,
        Format::Table | Format::Text => output.print(&describe(before, trust, &envelope))?,
    }
    Ok(SUCCESS)
}

fn missing(version: u32) -> CliError {
    TrustCommandError::Change(format!("there is no bundle {version}")).into()
}

fn shown(before: Option<&Trust>, trust: &Trust, envelope: &Envelope<'_>) -> Shown {
    let bundle = trust.bundle();
    let [major, minor, patch] = bundle.minimum_agent_version;
    let progress = |trust: &Trust| {
        let progress = Progress::of(trust, envelope);
        ShownProgress {
            root_of_version: trust.bundle().version,
            threshold: progress.threshold,
            enough: progress.is_enough(),
            signed: progress.signed.into_iter().collect(),
            missing: progress.others.into_iter().collect(),
        }
    };
    Shown {
        fleet: trust.fleet().to_string(),
        version: bundle.version,
        sha256: hex(&trust.hash()),
        previous: hex(&bundle.previous),
        expires: date(bundle.expires_ms),
        epoch: bundle.epoch,
        minimum_agent_version: format!("{major}.{minor}.{patch}"),
        keys: bundle
            .keys
            .iter()
            .map(|key| ShownKey {
                person: key.person.clone(),
                fingerprint: fingerprint(&key.public_key),
                public_key: to_text(&key.public_key),
                until: key.not_after_ms.map(date),
            })
            .collect(),
        roles: bundle
            .roles
            .iter()
            .map(|entry| ShownRole {
                role: entry.role.as_str(),
                threshold: entry.threshold,
                fingerprints: keys(bundle, &entry.keys).map(|key| fingerprint(&key.public_key)).collect(),
            })
            .collect(),
        rules: bundle
            .rules
            .iter()
            .map(|rule| ShownRule {
                name: rule.name.clone(),
                class: rule.class.as_str(),
                threshold: rule.threshold,
                approvals: rule.approvals,
                scope: rule.scope.iter().map(ToString::to_string).collect(),
                hours: rule.hours.iter().map(|window| hours::words(*window)).collect(),
                fingerprints: keys(bundle, &rule.keys).map(|key| fingerprint(&key.public_key)).collect(),
                text: rule_words(bundle, rule),
            })
            .collect(),
        labels: bundle
            .labels
            .iter()
            .map(|entry| ShownLabels { node: entry.node.to_string(), labels: entry.labels.iter().map(ToString::to_string).collect() })
            .collect(),
        signatures: before.into_iter().chain([trust]).map(progress).collect(),
    }
}

pub(super) fn verify(output: Output, arguments: &VerifyArguments) -> Result<u8, CliError> {
    let chain = Chain::read(&arguments.folder)?;
    let newest = chain.needed()?;
    let root_hash = chain.root_hash().unwrap_or_default();
    if arguments.root_hash.as_ref().is_some_and(|wanted| !wanted.eq_ignore_ascii_case(&hex(&root_hash))) {
        let source = TrustError::AnotherRoot;
        return Err(TrustCommandError::Bundle { version: 1, folder: arguments.folder.clone(), source }.into());
    }
    let bundle = newest.bundle();
    let now = u64::try_from(crate::clock::today().as_millisecond()).unwrap_or(0);
    if newest.is_expired(now) {
        return Err(TrustCommandError::Expired { version: bundle.version, at: date(bundle.expires_ms) }.into());
    }
    let versions = if bundle.version == 1 { "Bundle 1 holds".to_owned() } else { format!("Bundles 1 to {} hold", bundle.version) };
    output.print(&format!(
        "{versions} for the fleet {}; the newest runs out at {}\nsha256 of bundle 1: {}\n",
        newest.fleet(),
        date(bundle.expires_ms),
        hex(&root_hash)
    ))?;
    Ok(SUCCESS)
}

pub(super) fn export(arguments: &ExportArguments) -> Result<u8, CliError> {
    let chain = Chain::read(&arguments.place.folder)?;
    let draft = chain.needed_draft(&arguments.place.draft())?;
    let failed = |source| TrustCommandError::File { action: "write", path: arguments.file.clone(), source };
    files::create_public(&arguments.file, &draft.envelope()?.covered()).map_err(failed)?;
    Ok(SUCCESS)
}
