//! The check of the log, and what is said of it.

use flotilla_api::audit::{GetAuditHeadRequest, GetAuditHeadResult, Hex, Remembered, SignedHead, Tampering, Verified, Verifier};
use flotilla_api::client::{Client, SettingsError};
use serde::Serialize;

use super::memory::Memory;
use super::{VerifyArguments, export, moment};
use crate::connection::Connection;
use crate::error::{CliError, NODE_FAILED, SUCCESS};
use crate::output::{Format, Output};

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
    head: Option<SignedHead>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remembered: Option<Remembered>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    verified: Option<Verified>,
}

/// A log that holds.
struct Checked {
    fleet: Hex<8>,
    head: SignedHead,
    remembered: Option<Remembered>,
    verified: Verified,
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
            output.print_json(&Shown { holds: false, problem, head: None, remembered: None, verified: None })?;
            return Ok(NODE_FAILED);
        }
        checked => checked?,
    };
    // What the bridge complained of before the last look was told then.
    let seen = checked.remembered.as_ref().map_or(0, |remembered| remembered.sequence);
    let fresh: Vec<u64> = checked.verified.complaints.iter().copied().filter(|sequence| *sequence > seen).collect();
    show(output, &checked, &fresh)?;
    // A copy may be older than what is remembered, and is nothing new.
    if wanted.file.is_none() {
        let Checked { fleet, head: SignedHead { sequence, hash, time_ms, key, .. }, .. } = checked;
        memory.remember(&Remembered { fleet, key, sequence, hash, time_ms })?;
    }
    Ok(if fresh.is_empty() { SUCCESS } else { NODE_FAILED })
}

fn of_bridge(client: &Client, memory: &Memory, wanted: &VerifyArguments) -> Result<Checked, CliError> {
    let mut attempts = 1;
    loop {
        let before = client.call(&GetAuditHeadRequest {})?;
        let base = before.base.clone();
        let checked = of_answer(client, before, memory, wanted);
        if matches!(checked, Err(CliError::Tampered(_))) && attempts < ATTEMPTS && client.call(&GetAuditHeadRequest {})?.base != base {
            attempts += 1;
            continue;
        }
        return checked;
    }
}

fn of_answer(client: &Client, answer: GetAuditHeadResult, memory: &Memory, wanted: &VerifyArguments) -> Result<Checked, CliError> {
    let GetAuditHeadResult { fleet, head, base } = answer;
    let head = head.ok_or(Tampering::NoHead)?;
    let remembered = if wanted.forget { None } else { memory.recall(fleet)? };
    let mut verifier = Verifier::begin(fleet, believed(wanted, remembered.as_ref(), &head), base.as_ref(), remembered.as_ref())?;
    let after = verifier.position();
    export::entries(client, after, head.sequence, |entry| Ok(verifier.take(&entry)?))?;
    let verified = verifier.finish(&head)?;
    Ok(Checked { fleet, head, remembered, verified })
}

fn of_file(memory: &Memory, wanted: &VerifyArguments) -> Result<Checked, CliError> {
    let path = wanted.file.as_deref().ok_or_else(|| CliError::Usage("give --file".to_owned()))?;
    // The key stands in the last line, so the lines are read twice.
    let (export, ()) = export::read(path, |_| Ok(()), |(), _| Ok(()))?;
    let head = export.head.ok_or(Tampering::NoHead)?;
    let remembered = if wanted.forget { None } else { memory.recall(export.fleet)? };
    let key = believed(wanted, remembered.as_ref(), &head);
    // An old copy is no log that was cut.
    let comparable = remembered.filter(|remembered| remembered.sequence <= head.sequence);
    let (_, verifier) = export::read(
        path,
        |export| Ok(Verifier::begin(export.fleet, key, export.base.as_ref(), comparable.as_ref())?),
        |verifier, entry| Ok(verifier.take(&entry)?),
    )?;
    let verified = verifier.finish(&head)?;
    Ok(Checked { fleet: export.fleet, head, remembered: comparable, verified })
}

/// The bridge's key: as somebody says, as it was before, or, at the first look, as the head names it.
fn believed(wanted: &VerifyArguments, remembered: Option<&Remembered>, head: &SignedHead) -> Hex<32> {
    wanted.key.or_else(|| remembered.map(|remembered| remembered.key)).unwrap_or(head.key)
}

fn show(output: Output, checked: &Checked, fresh: &[u64]) -> Result<(), CliError> {
    let Checked { head, remembered, verified, .. } = checked;
    match output.format {
        Format::Json => output.print_json(&Shown {
            holds: fresh.is_empty(),
            problem: (!fresh.is_empty()).then(|| complaint(fresh)),
            head: Some(head.clone()),
            remembered: remembered.clone(),
            verified: Some(verified.clone()),
        }),
        Format::Text => {
            let words = if fresh.is_empty() { "holds" } else { "changed" };
            output.print(&format!("{words}\t{}\t{}\t{}\t{}\n", verified.removed, verified.entries, head.sequence, head.hash))
        }
        Format::Table => output.print(&sentences(checked, fresh)),
    }
}

fn complaint(fresh: &[u64]) -> String {
    let numbers: Vec<String> = fresh.iter().map(u64::to_string).collect();
    format!("the bridge itself found the log changed and says so in entry {}", numbers.join(", "))
}

fn sentences(checked: &Checked, fresh: &[u64]) -> String {
    let Checked { head, remembered, verified, .. } = checked;
    let Verified { removed, entries, signatures, same_as_remembered, .. } = verified;
    let mut text = format!("The log holds: {entries} entries up to number {}, {signatures} signatures", head.sequence);
    if *removed > 0 {
        text.push_str(&format!("; {removed} older entries were removed by the bridge, as it has signed"));
    }
    text.push_str(&format!(".\nIts head was signed at {} by the key {}.\n", moment(head.time_ms), head.key));
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
        let remembered = Remembered { fleet: Hex([7; 8]), key: Hex([2; 32]), sequence: 1_100, hash: Hex([3; 32]), time_ms: 4 };
        let verified = Verified { removed: 1_000, entries: 205, signatures: 2, same_as_remembered: Some(1_100), complaints: vec![1_150] };
        let checked = Checked { fleet: Hex([7; 8]), head, remembered: Some(remembered), verified };
        insta::assert_snapshot!(sentences(&checked, &[1_150]), @r"
        The log holds: 205 entries up to number 1205, 2 signatures; 1000 older entries were removed by the bridge, as it has signed.
        Its head was signed at 2026-11-21T00:00:00Z by the key 0202020202020202020202020202020202020202020202020202020202020202.
        It continues what was seen before: entry 1100 is the same.
        But the bridge itself found the log changed and says so in entry 1150: see `flotilla audit list --kind log-damaged`.
        ");
    }
}
