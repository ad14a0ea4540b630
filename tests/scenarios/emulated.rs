//! Every static agent that was built registers, connects to a real broker with TLS, runs a command and reports, on its own processor: those of
//! other machines are emulated.
//!
//! The binaries are those of `cross/build`, or of the folder that `FLOTILLA_CROSS_BINARIES` names: each a file `flotilla-agent` in a folder
//! that is named after its target, as in `target/cross/binaries`.
#![cfg(test)]

use flotilla_protocol::enrolment::Activation;
use flotilla_tests::calls::shell_on;
use flotilla_tests::emulation::Emulation;
use flotilla_tests::{Broker, Fleet, process, strace, tally, wait};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Names another folder of binaries.
const BINARIES: &str = "FLOTILLA_CROSS_BINARIES";
/// Targets whose emulator takes instructions that their devices do not have, unless it is told the processor. Steps begin with an empty
/// environment, so they are not held to it.
const PROCESSORS: [(&str, &str); 1] = [("armv6", "arm1176")];
/// Emulators take their time, and several suites run beside each other.
const LIMIT: Duration = Duration::from_secs(120);

#[test]
fn each_static_agent_registers_connects_runs_and_reports() {
    let binaries = binaries();
    if binaries.is_empty() {
        return tally::skipped("static agents", "none is built; cross/build makes them");
    }
    let fleet = Fleet::start(Broker::Mosquitto);
    for (target, binary) in binaries {
        let folder = fleet.folder().join(&target);
        std::fs::create_dir(&folder).unwrap();
        match Emulation::of(&binary, &folder) {
            Ok(emulation) => serves(&fleet, &target, &binary, &emulation),
            Err(why) => tally::skipped(&target, &why),
        }
    }
}

fn serves(fleet: &Fleet, target: &str, binary: &Path, emulation: &Emulation) {
    let mut enter = emulation.enter.clone();
    if let Some((_, processor)) = PROCESSORS.iter().find(|(of, _)| *of == target) {
        enter.splice(..0, ["/usr/bin/env".to_owned(), format!("QEMU_CPU={processor}")]);
    }
    let mut node = fleet.new_node_of(binary, &enter);
    node.register(&fleet.activation(1));
    node.start();
    let id = node.id();
    wait::until_true(LIMIT, &format!("{target} is online"), || fleet.online().contains(&id));
    let command = fleet.send(&shell_on(&id, "echo $((6 * 7)); echo aside >&2; exit 3"));
    let end = fleet.await_end(&command, &id, LIMIT);
    let said =
        [&end.standard_output_content, &end.standard_error_content].map(|text| text.as_deref().unwrap_or_default().trim().to_owned());
    assert_eq!((end.status.as_deref(), end.response_code), (Some("Failed"), Some(3)), "{target}: {end:?}");
    assert_eq!(said[0], "42", "{target}: {end:?}");
    assert!(said[1].starts_with("aside"), "{target}: {end:?}");
    // Otherwise this would be a proof of nothing: every process of the node is the emulator to the kernel, or the binary itself.
    let settings = node.state().parent().unwrap().join("agent.toml").display().to_string();
    let expected = emulation.emulator.clone().unwrap_or_else(|| binary.to_owned()).canonicalize().unwrap();
    let processes = process::find(|found| found.arguments.contains(&settings));
    assert_eq!(processes.len(), 3, "a supervisor and two halves: {processes:?}");
    for found in processes {
        assert_eq!(std::fs::read_link(format!("/proc/{}/exe", found.pid)).unwrap(), expected, "{target}: {found:?}");
    }
    node.stop();
    println!(
        "{target}: registered, connected over TLS, ran a command and reported{}",
        if emulation.emulator.is_some() { ", emulated" } else { "" }
    );
}

/// The agent that devices run is built so that a panic aborts. It must not come so far: an abort may leave a core, with keys in it.
#[test]
fn a_panic_ends_a_shipped_agent_before_it_can_abort() {
    if let Err(why) = strace::available() {
        return tally::skipped("panics of agents", &why);
    }
    let fleet = Fleet::start(Broker::Embedded);
    // strace would see the calls of the emulator.
    let is_native = |binary: &Path| Emulation::of(binary, fleet.folder()).is_ok_and(|way| way.emulator.is_none());
    let shipped = binaries().into_iter().filter(|(_, binary)| is_native(binary));
    let agents: Vec<_> = shipped.chain([("cargo's".to_owned(), process::binary("flotilla-agent"))]).collect();
    let mut activation = Activation::parse(&fleet.activation(1)).unwrap();
    // A name is looked up in a thread, and the library panics when the system gives none.
    activation.host = "localhost".to_owned();
    let without_threads = "strace -f -qq -o /dev/null -e trace=clone,clone3 -e inject=clone,clone3:error=EAGAIN";
    let without_threads: Vec<String> = without_threads.split(' ').map(str::to_owned).collect();
    for (target, binary) in agents {
        let output = fleet.new_node_of(&binary, &without_threads).try_register(&activation.to_text(), &[]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("panicked at"), "{target}: {said}");
        assert_eq!(output.status.code(), Some(101), "{target}: {} {said}", output.status);
    }
}

/// Target and binary, in the order of their names.
fn binaries() -> Vec<(String, PathBuf)> {
    let built = std::env::var_os(BINARIES)
        .map(PathBuf::from)
        .or_else(|| std::env::current_exe().ok()?.ancestors().map(|folder| folder.join("cross/binaries")).find(|folder| folder.is_dir()));
    let Some(entries) = built.and_then(|folder| std::fs::read_dir(folder).ok()) else { return Vec::new() };
    let mut found: Vec<_> = entries
        .filter_map(|entry| {
            let folder = entry.ok()?.path();
            let binary = folder.join("flotilla-agent");
            binary.is_file().then(|| (folder.file_name().unwrap_or_default().to_string_lossy().into_owned(), binary))
        })
        .collect();
    found.sort();
    found
}
