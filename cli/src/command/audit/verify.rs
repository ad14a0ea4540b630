//! The check of the log, and what is said of it.

use flotilla_api::audit::{
    BridgeKeys, GetAuditHeadRequest, GetAuditHeadResult, Hex, HexBytes, Remembered, SignedHead, Tampering, Verified, Verifier,
};
use flotilla_api::client::{Client, SettingsError};
use serde::Serialize;

use super::memory::Memory;
use super::reports::{Reported, Reports};
use super::{VerifyArguments, bundles, export, moment, shown};
use crate::connection::Connection;
use crate::error::{CliError, NODE_FAILED, SUCCESS};
use crate::output::{Format, Output};

/// The ends that a bridge shows, by command and node.
type Ends = std::collections::BTreeMap<(String, String), shown::ShownEnd>;

/// How often the check begins anew because the bridge removed old entries meanwhile.
const ATTEMPTS: u32 = 3;

/// What is printed of a log.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Shown {
    holds: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<Hex<32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<SignedHead>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remembered: Option<Remembered>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    verified: Option<Verified>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nodes: Option<Reported>,
}

/// A log that holds.
struct Checked {
    fleet: Hex<8>,
    /// SHA-256 of the bundle from which the bridge's keys were followed; nothing where somebody said the key and no bundles came with the log.
    root: Option<Hex<32>>,
    head: SignedHead,
    remembered: Option<Remembered>,
    verified: Verified,
    /// What nodes have signed in it.
    reported: Reported,
}

impl Checked {
    /// The number of the newest entry when the log was looked at before.
    fn seen(&self) -> u64 {
        self.remembered.as_ref().map_or(0, |remembered| remembered.sequence)
    }
}

pub(super) fn run(
    open: impl FnOnce() -> Result<Connection, SettingsError>,
    output: Output,
    wanted: &VerifyArguments,
) -> Result<u8, CliError> {
    let memory = Memory::open(wanted.state.as_deref())?;
    let checked = match &wanted.file {
        Some(_) => of_file(&memory, wanted),
        None => of_bridge(&open()?.client, &memory, wanted),
    };
    let checked = match checked {
        Err(CliError::Tampered(tampering)) if output.format == Format::Json => {
            let problem = Some(tampering.to_string());
            output.print_json(&Shown { holds: false, problem, root: None, head: None, remembered: None, verified: None, nodes: None })?;
            return Ok(NODE_FAILED);
        }
        checked => checked?,
    };
    // What the bridge complained of before the last look was told then.
    let seen = checked.seen();
    let fresh: Vec<u64> = checked.verified.complaints.iter().copied().filter(|sequence| *sequence > seen).collect();
    let holds = fresh.is_empty() && checked.reported.fresh(seen).is_empty();
    show(output, &checked, &fresh, holds)?;
    // A copy may be older than what is remembered, and is nothing new.
    if wanted.file.is_none() {
        let Checked { fleet, root, head: SignedHead { sequence, hash, time_ms, key, .. }, .. } = checked;
        memory.remember(&Remembered { fleet, key, root, sequence, hash, time_ms })?;
    }
    Ok(if holds { SUCCESS } else { NODE_FAILED })
}

fn of_bridge(client: &Client, memory: &Memory, wanted: &VerifyArguments) -> Result<Checked, CliError> {
    let mut attempts = 1;
    loop {
        let base = client.call(&GetAuditHeadRequest {})?.base;
        let ends = shown::ends(client, base.as_ref().map_or(0, |base| base.time_ms))?;
        let checked = of_answer(client, ends, memory, wanted);
        if matches!(checked, Err(CliError::Tampered(_))) && attempts < ATTEMPTS && client.call(&GetAuditHeadRequest {})?.base != base {
            attempts += 1;
            continue;
        }
        return checked;
    }
}

fn of_answer(client: &Client, ends: Ends, memory: &Memory, wanted: &VerifyArguments) -> Result<Checked, CliError> {
    // After the ends, so that what tells of them is behind no newer head.
    let GetAuditHeadResult { fleet, head, base } = client.call(&GetAuditHeadRequest {})?;
    let head = head.ok_or(Tampering::NoHead)?;
    let remembered = if wanted.forget { None } else { memory.recall(fleet)? };
    let (root, keys) = believed(wanted, fleet, remembered.as_ref(), &crate::bundles::read(client)?)?;
    let mut verifier = Verifier::begin(fleet, keys, base.as_ref(), remembered.as_ref())?;
    let after = verifier.position();
    let mut reports = Reports::begin(base.is_some(), ends);
    export::entries(client, after, head.sequence, |entry| {
        verifier.take(&entry)?;
        reports.take(&entry);
        Ok(())
    })?;
    let verified = verifier.finish(&head)?;
    Ok(Checked { fleet, root, head, remembered, verified, reported: reports.finish() })
}

fn of_file(memory: &Memory, wanted: &VerifyArguments) -> Result<Checked, CliError> {
    let path = wanted.file.as_deref().ok_or_else(|| CliError::Usage("give --file".to_owned()))?;
    // The head stands in the last line, so the lines are read twice.
    let (export, ()) = export::read(path, |_| Ok(()), |(), _| Ok(()))?;
    let head = export.head.ok_or(Tampering::NoHead)?;
    let remembered = if wanted.forget { None } else { memory.recall(export.fleet)? };
    let (root, keys) = believed(wanted, export.fleet, remembered.as_ref(), &export.bundles)?;
    // An old copy is no log that was cut.
    let comparable = remembered.filter(|remembered| remembered.sequence <= head.sequence);
    let (_, (verifier, reports)) = export::read(
        path,
        |export| {
            let verifier = Verifier::begin(export.fleet, keys, export.base.as_ref(), comparable.as_ref())?;
            // What the bridge shows is not in an export.
            Ok((verifier, Reports::begin(export.base.is_some(), Ends::new())))
        },
        |(verifier, reports), entry| {
            verifier.take(&entry)?;
            reports.take(&entry);
            Ok(())
        },
    )?;
    let verified = verifier.finish(&head)?;
    Ok(Checked { fleet: export.fleet, root, head, remembered: comparable, verified, reported: reports.finish() })
}

/// The bridge's keys, and the root from which they follow: by the bundles that came with the log, followed from the root that somebody says, that
/// was there before, or, at the first look, that they begin with; and of what is signed now by the key that somebody says.
fn believed(
    wanted: &VerifyArguments,
    fleet: Hex<8>,
    remembered: Option<&Remembered>,
    bundles: &[HexBytes],
) -> Result<(Option<Hex<32>>, BridgeKeys), CliError> {
    let pinned = wanted.root_hash.or_else(|| remembered.and_then(|remembered| remembered.root));
    let (root, keys) = match (bundles, pinned, wanted.key) {
        // An export of before bundles came with it.
        ([], None, Some(_)) => (None, BridgeKeys::default()),
        _ => {
            let followed = bundles::follow(bundles, fleet, pinned)?;
            (Some(followed.root), followed.keys)
        }
    };
    Ok((root, wanted.key.into_iter().fold(keys, BridgeKeys::with_present)))
}

fn show(output: Output, checked: &Checked, fresh: &[u64], holds: bool) -> Result<(), CliError> {
    let Checked { root, head, remembered, verified, reported, .. } = checked;
    match output.format {
        Format::Json => output.print_json(&Shown {
            holds,
            problem: (!holds).then(|| problem(checked, fresh)),
            root: *root,
            head: Some(head.clone()),
            remembered: remembered.clone(),
            verified: Some(verified.clone()),
            nodes: Some(reported.clone()),
        }),
        Format::Text => {
            let words = if holds { "holds" } else { "changed" };
            let log = format!("{words}\t{}\t{}\t{}\t{}\n", verified.removed, verified.entries, head.sequence, head.hash);
            output.print(&(log + &reported.lines()))
        }
        Format::Table => output.print(&(sentences(checked, fresh) + &reported.sentences(checked.seen()))),
    }
}

/// What is wrong, on one line.
fn problem(checked: &Checked, fresh: &[u64]) -> String {
    let found = checked.reported.fresh(checked.seen()).into_iter().map(|finding| finding.words().to_owned());
    (!fresh.is_empty()).then(|| complaint(fresh)).into_iter().chain(found).collect::<Vec<_>>().join("; ")
}

fn complaint(fresh: &[u64]) -> String {
    let numbers: Vec<String> = fresh.iter().map(u64::to_string).collect();
    format!("the bridge itself found the log changed and says so in entry {}", numbers.join(", "))
}

fn sentences(checked: &Checked, fresh: &[u64]) -> String {
    let Checked { root, head, remembered, verified, .. } = checked;
    let Verified { removed, entries, signatures, same_as_remembered, .. } = verified;
    let mut text = format!("The log holds: {entries} entries up to number {}, {signatures} signatures", head.sequence);
    if *removed > 0 {
        text.push_str(&format!("; {removed} older entries were removed by the bridge, as it has signed"));
    }
    text.push_str(&format!(".\nIts head was signed at {} by the key {}.\n", moment(head.time_ms), head.key));
    if let Some(root) = root {
        text.push_str(&format!("The fleet's trust bundles name it for the bridge; the sha256 of bundle 1 is {root}.\n"));
    }
    match (remembered, same_as_remembered) {
        (Some(_), Some(sequence)) => text.push_str(&format!("It continues what was seen before: entry {sequence} is the same.\n")),
        (Some(remembered), None) => {
            text.push_str(&format!("Entry {}, which was seen before, was removed as old since.\n", remembered.sequence));
        }
        (None, _) => text.push_str("Nothing was remembered of it before: this is the first look.\n"),
    }
    if !fresh.is_empty() {
        text.push_str(&format!("But {}: see `flotilla audit list --kind log-damaged`.\n", complaint(fresh)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_read() {
        let head =
            SignedHead { sequence: 1_205, hash: Hex([1; 32]), time_ms: 1_795_219_200_000, key: Hex([2; 32]), signature: Hex([0; 64]) };
        let remembered = Remembered { fleet: Hex([7; 8]), key: Hex([2; 32]), root: None, sequence: 1_100, hash: Hex([3; 32]), time_ms: 4 };
        let verified = Verified { removed: 1_000, entries: 205, signatures: 2, same_as_remembered: Some(1_100), complaints: vec![1_150] };
        let reported = Reported::default();
        let checked = Checked { fleet: Hex([7; 8]), root: Some(Hex([5; 32])), head, remembered: Some(remembered), verified, reported };
        insta::assert_snapshot!(sentences(&checked, &[1_150]), @r"
        The log holds: 205 entries up to number 1205, 2 signatures; 1000 older entries were removed by the bridge, as it has signed.
        Its head was signed at 2026-11-21T00:00:00Z by the key 0202020202020202020202020202020202020202020202020202020202020202.
        The fleet's trust bundles name it for the bridge; the sha256 of bundle 1 is 0505050505050505050505050505050505050505050505050505050505050505.
        It continues what was seen before: entry 1100 is the same.
        But the bridge itself found the log changed and says so in entry 1150: see `flotilla audit list --kind log-damaged`.
        ");
    }

    #[test]
    fn the_bridges_keys_come_from_the_bundles_and_the_root_stays_the_same() {
        use super::bundles::tests::{chain, public};
        let wanted = |root_hash, key| VerifyArguments { file: None, state: None, root_hash, key, forget: false };
        let (root, bundles) = chain(&[3, 4]);
        let fleet = Hex(root.0[..8].try_into().unwrap());
        let keys = BridgeKeys::new([public(4)], [public(3), public(4)]);
        let remembered = |root| Remembered { fleet, key: public(3), root, sequence: 1, hash: Hex([0; 32]), time_ms: 4 };
        // The key that signed when the log was looked at last need not be the present one, the root must be the same.
        for seen in [None, Some(remembered(None)), Some(remembered(Some(root)))] {
            let believed = believed(&wanted(None, None), fleet, seen.as_ref(), &bundles).unwrap();
            assert_eq!(believed, (Some(root), keys.clone()));
        }
        let other = Some(remembered(Some(Hex([1; 32]))));
        assert!(matches!(believed(&wanted(None, None), fleet, other.as_ref(), &bundles), Err(CliError::Tampered(Tampering::Trust { .. }))));
        assert!(believed(&wanted(Some(root), None), fleet, other.as_ref(), &bundles).is_ok(), "somebody says it");
        assert!(believed(&wanted(Some(Hex([1; 32])), None), fleet, None, &bundles).is_err());
        let said = believed(&wanted(None, Some(public(9))), fleet, None, &bundles).unwrap();
        assert_eq!(said, (Some(root), keys.with_present(public(9))));
        // An old export has no bundles, and then somebody must say the key.
        assert!(believed(&wanted(None, None), fleet, None, &[]).is_err());
        assert_eq!(believed(&wanted(None, Some(public(9))), fleet, None, &[]).unwrap(), (None, BridgeKeys::new([public(9)], [])));
    }
}
