//! The plans that the bridge makes of its test documents (`document/tests/documents`), run by the real job. Each document says in its
//! first line where its rule comes from; its result stands beside it.

use std::path::{Path, PathBuf};

use flotilla_agent::clock;
use flotilla_agent::job::folder::JobState;
use flotilla_agent::job::spec::JobSpec;
use flotilla_protocol::capability::command::CommandOrder;
use flotilla_protocol::document::Value;
use flotilla_protocol::report::OutputStream::{Stderr, Stdout};
use flotilla_protocol::wire::decode;

use crate::kit::{Job, of_plan};
use crate::surroundings::Surroundings;

/// Where the agent finds PowerShell; its result says that there is none.
const POWER_SHELL: &str = "power-shell";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../document/tests/documents")
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

/// Runs an order and writes down what came of it. What a document reaches over the network is put into its parameters.
fn result_of(order: CommandOrder, surroundings: &Surroundings) -> String {
    let CommandOrder { document, document_version, mut parameters, plan } = order;
    for parameter in &mut parameters {
        if let Some(value) = surroundings.parameters().remove(parameter.name.as_str()) {
            parameter.value = Value::string(value);
        }
    }
    let (boot, tools) = (clock::boot_id().unwrap(), surroundings.tools());
    let spec = JobSpec { document, document_version, parameters, boot, tools, ..of_plan(plan) };
    let mut job = Job::new(&spec);
    let mut reboots = String::new();
    let report = loop {
        assert_eq!(job.start().wait().code(), Some(0));
        match job.folder.state().unwrap() {
            JobState::RebootAsked(asked) => {
                let name = &asked.steps.last().unwrap().name;
                reboots.push_str(&format!("because: the step {name} has asked for a reboot and is run again\n"));
            }
            _ => break job.report(),
        }
        job.reboot(&spec);
    };
    let mut text = format!("{:?}\n{reboots}", report.outcome);
    if !report.explanation.is_empty() {
        text.push_str(&format!("because: {}\n", report.explanation));
    }
    for (index, step) in (0_u16..).zip(&report.steps) {
        text.push_str(&format!("{}: {:?} {}\n", step.name, step.status, step.exit_code));
        assert!(step.started_uptime_ms <= step.ended_uptime_ms);
        for (mark, stream) in [("|", Stdout), ("!", Stderr)] {
            job.output(index, stream).lines().for_each(|line| text.push_str(&format!("  {mark} {line}\n")));
        }
    }
    surroundings.hide(&text)
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a result is written by hand and looked at before it is committed")]
fn every_document_has_its_result() {
    let is_plan = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "plan");
    let mut plans: Vec<PathBuf> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).filter(is_plan).collect();
    plans.sort();
    assert!(plans.len() >= 20, "{}", plans.len());
    let surroundings = Surroundings::new();
    for path in plans {
        let has_power_shell = || ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(Path::new);
        if path.file_stem().is_some_and(|name| name == POWER_SHELL) && has_power_shell().iter().any(|place| place.join("pwsh").exists()) {
            continue;
        }
        let order: CommandOrder = decode(&unhex(&std::fs::read_to_string(&path).unwrap())).unwrap();
        let result = result_of(order, &surroundings);
        let golden = path.with_extension("result");
        if !golden.exists() && std::env::var_os("FLOTILLA_WRITE_GOLDEN").is_some() {
            std::fs::write(&golden, &result).unwrap();
        }
        let expected =
            std::fs::read_to_string(&golden).unwrap_or_else(|error| panic!("{}: {error}; see README.md there", golden.display()));
        assert_eq!(result, expected, "{}", path.display());
    }
}
