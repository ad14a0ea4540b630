//! Every target over its corpus, and over every message and document that the repository holds: what was found once stays found, and what
//! the fuzzer starts from is not lost.
//!
//! With `FLOTILLA_WRITE_CORPUS=1` the seeds are written into the corpus, for the first run of a new target.
#![cfg(test)]

use flotilla_agent::job::spec::{CapturedFile, JobReport, JobSpec, JobStep, Level, RebootAsked, Started};
use flotilla_agent::job::tools::Tools;
use flotilla_agent::record;
use flotilla_fuzz::{TARGETS, Target, find};
use flotilla_protocol::document::Plan;
use flotilla_protocol::envelope::{Domain, Envelope};
use flotilla_protocol::id::{BootId, OrderId};
use flotilla_protocol::sha256;
use flotilla_protocol::status::{Outcome, StepStatus};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn corpus(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![folder.to_owned()];
    while let Some(next) = left.pop() {
        for entry in std::fs::read_dir(&next).unwrap_or_else(|error| panic!("{}: {error}", next.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() { left.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// The bytes of a golden file, or of a hostile one, which says two lines about itself first.
fn message(path: &Path) -> Vec<u8> {
    let text = std::fs::read_to_string(path).unwrap();
    let text = if path.starts_with(root().join("protocol/hostile")) { text.split_once("\n\n").unwrap_or_default().1 } else { &text };
    unhex(text)
}

/// A chunk of a history: a kind, a length and bytes.
fn input(kind: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap().to_le_bytes();
    [&[kind], length.as_slice(), bytes].concat()
}

/// Each kind of file of a job.
fn job_files() -> Vec<Vec<u8>> {
    let boot = BootId([7; 16]);
    let spec = JobSpec {
        order: OrderId([9; 16]),
        document: "AWS-RunShellScript".to_owned(),
        document_version: "1".to_owned(),
        parameters: Vec::new(),
        plan: Plan { steps: Vec::new() },
        output_limit_bytes: 1 << 20,
        job_user: Some("nobody".to_owned()),
        boot,
        tools: Tools::default(),
        without_reboot: Some("it was refused".to_owned()),
    };
    let step = JobStep {
        name: "one".to_owned(),
        status: StepStatus::Succeeded,
        exit_code: 194,
        started_uptime_ms: Some(5),
        ended_uptime_ms: None,
        stdout: CapturedFile::default(),
        stderr: CapturedFile::default(),
    };
    let report = JobReport { outcome: Outcome::Succeeded, explanation: "well".to_owned(), steps: vec![step.clone()] };
    let level = Level { step: 1, ended_by: None, statuses: vec![StepStatus::Succeeded], explanation: String::new() };
    let asked =
        RebootAsked { step: 1, ended_by: Some("two".to_owned()), explanation: String::new(), steps: vec![step], within: vec![level] };
    [record::encode(&spec), record::encode(&Started { pid: 12, boot }), record::encode(&report), record::encode(&asked)]
        .into_iter()
        .zip(0..)
        .map(|(bytes, kind): (_, u8)| [&[kind], bytes.unwrap().as_slice()].concat())
        .collect()
}

/// What the fuzzer starts from, by target.
fn seeds() -> BTreeMap<&'static str, Vec<Vec<u8>>> {
    let mut seeds: BTreeMap<&'static str, Vec<Vec<u8>>> = BTreeMap::new();
    let mut add = |target: &'static str, bytes: Vec<u8>| seeds.entry(find(target).unwrap().name).or_default().push(bytes);
    for path in [files(&root().join("protocol/golden")), files(&root().join("protocol/hostile"))].concat() {
        let bytes = message(&path);
        add("envelope", bytes.clone());
        add("delivery", bytes.clone());
        for domain in [Domain::Order, Domain::Cancel, Domain::Receipt, Domain::Welcome, Domain::Hello, Domain::Report, Domain::Trust] {
            let Ok(envelope) = Envelope::parse(&bytes, domain) else { continue };
            let body = envelope.body();
            (0..20).for_each(|number: u8| add("body", [&[number], body].concat()));
            add("trust", body.to_vec());
            let kind = match domain {
                Domain::Cancel => 3,
                Domain::Receipt => 4,
                Domain::Welcome => 6,
                _ => 7,
            };
            add("core", [input(0, &[]), input(kind, body), input(9, &[1]), input(10, &[])].concat());
        }
        if let Ok(delivery) = flotilla_protocol::wire::decode::<flotilla_protocol::delivery::Delivery>(&bytes)
            && let Ok(envelope) = Envelope::parse(&delivery.envelope, Domain::Order)
        {
            add("order", envelope.body().to_vec());
            add("body", [&[0], envelope.body()].concat());
            add("core", [input(0, &[]), input(2, envelope.body()), input(9, &[200]), input(10, &[]), input(1, &[])].concat());
        }
        if let Ok(text) = std::str::from_utf8(&bytes) {
            add("topic", text.as_bytes().to_vec());
            add("activation", text.as_bytes().to_vec());
        }
        add("frame", input(0, &bytes));
        add("journal", [&u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_le_bytes(), bytes.as_slice()].concat());
    }
    for file in job_files() {
        add("file", file);
    }
    for folder in ["document/tests/documents", "examples/documents"] {
        for path in files(&root().join(folder)) {
            if path.extension().is_some_and(|ending| ending == "yaml" || ending == "json") {
                add("document", std::fs::read(path).unwrap());
            }
        }
    }
    seeds
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the corpus is written by hand and looked at before it is committed")]
fn every_seed_passes_its_target() {
    let seeds = seeds();
    for target in TARGETS {
        let of_target = seeds.get(target.name).unwrap_or_else(|| panic!("{} has no seed", target.name));
        for seed in of_target {
            (target.run)(seed);
            if std::env::var_os("FLOTILLA_WRITE_CORPUS").is_some() {
                let name: String = sha256(&[seed]).iter().take(10).map(|byte| format!("{byte:02x}")).collect();
                std::fs::create_dir_all(corpus(&target)).unwrap();
                std::fs::write(corpus(&target).join(name), seed).unwrap();
            }
        }
    }
}

#[test]
fn every_target_passes_its_corpus() {
    for target in TARGETS {
        let files = files(&corpus(&target));
        assert!(!files.is_empty(), "{} has no corpus", target.name);
        for file in files {
            (target.run)(&std::fs::read(&file).unwrap());
        }
    }
}

#[test]
fn a_target_sees_what_is_wrong() {
    // A target whose assertions cannot fail would find nothing: this one fails for the one text that is planted in it.
    let planted = Target { name: "planted", run: |bytes| assert_ne!(bytes, b"planted") };
    assert!(std::panic::catch_unwind(|| (planted.run)(b"planted")).is_err());
    assert!(TARGETS.iter().all(|target| TARGETS.iter().filter(|other| other.name == target.name).count() == 1));
}
