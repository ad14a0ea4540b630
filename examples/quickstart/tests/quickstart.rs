//! The quickstart as people use it, on the programs that cargo built beside it: run `cargo build --workspace` first, as
//! `tests/run` does. Every process is started and ended here, by its id.

#![cfg(test)]

use std::io::Read as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// More than any of these takes on a slow and busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// One at a time: between choosing free ports and listening on them, another fleet could take them.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(clippy::disallowed_methods, reason = "a test starts the program that it tests")]
fn quickstart(home: &Path, arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flotilla-quickstart"));
    command.arg("--no-build").arg("--home").arg(home).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // What a developer has set for another fleet does not matter to this one.
    command.env("FLOTILLA_AGENT__STATE_FOLDER", "/nowhere").env("FLOTILLA_BRIDGE__API__LISTEN", "nowhere");
    command.spawn().unwrap()
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
}

/// Waits for the end, for [`LIMIT`] at most, and gives what was printed.
#[expect(clippy::disallowed_methods, reason = "a test limits how long it waits")]
fn end(mut child: Child) -> Output {
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > LIMIT {
            signal(&child, Signal::SIGTERM);
            let output = child.wait_with_output().unwrap();
            panic!("no end within {LIMIT:?}: {output:?}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().unwrap()
}

fn texts(output: &Output) -> (String, String) {
    (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The ids of the nodes that were said to be online.
fn nodes(story: &str) -> Vec<String> {
    let after = |line: &str| line.split_once("is online: ").map(|(_, rest)| rest.split_whitespace().next().unwrap().to_owned());
    story.lines().filter_map(after).collect()
}

/// The processes whose arguments name this folder.
fn processes_of(home: &Path) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap();
    let processes = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let words = processes.filter_map(|process| std::fs::read_to_string(format!("/proc/{process}/cmdline")).ok());
    words.filter(|words| words.contains(home.to_str().unwrap())).collect()
}

#[test]
fn a_first_command_runs_and_the_next_start_goes_on_with_the_same_fleet() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("fleet");
    let first = end(quickstart(&home, &["--once", "--nodes", "2"]));
    let (story, errors) = texts(&first);
    assert!(first.status.success(), "{story}\n{errors}");
    assert_eq!(story.matches("output | Hello from ").count(), 2, "{story}");
    assert_eq!(processes_of(&home), Vec::<String>::new());

    let second = end(quickstart(&home, &["--once"]));
    let (next_story, errors) = texts(&second);
    assert!(second.status.success(), "{next_story}\n{errors}");
    assert!(next_story.contains("goes on") && !next_story.contains("registered"), "{next_story}");
    assert_eq!(nodes(&story).len(), 2);
    assert_eq!(nodes(&next_story), nodes(&story));
}

#[test]
fn it_goes_on_until_it_is_told_and_says_when_something_dies() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("fleet");
    let mut running = quickstart(&home, &[]);
    let mut story = until(&mut running, "Try next");
    assert!(story.contains("access key"), "{story}");

    // A second one on the same home does not disturb the first.
    let other = end(quickstart(&home, &["--once"]));
    assert_eq!(other.status.code(), Some(1));
    assert!(texts(&other).1.contains(&format!("process {}", running.id())), "{other:?}");

    signal(&running, Signal::SIGINT);
    let ended = end(running);
    story.push_str(&texts(&ended).0);
    assert!(ended.status.success() && story.contains("stopped"), "{ended:?}");
    assert_eq!(processes_of(&home), Vec::<String>::new());

    // The bridge is killed by somebody else.
    let mut running = quickstart(&home, &[]);
    until(&mut running, "Try next");
    let bridge = child_of(running.id(), "flotilla-bridge");
    kill(Pid::from_raw(bridge), Signal::SIGKILL).unwrap();
    let ended = end(running);
    let (_, errors) = texts(&ended);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(errors.contains("the bridge ended unexpectedly") && errors.contains("bridge.log"), "{errors}");
    assert_eq!(processes_of(&home), Vec::<String>::new());
}

#[test]
fn a_port_in_use_and_a_foreign_folder_are_sentences() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("fleet");
    let made = end(quickstart(&home, &["--once"]));
    assert!(made.status.success(), "{made:?}");
    let settings = std::fs::read_to_string(home.join("bridge.toml")).unwrap();
    let listen = settings.lines().find_map(|line| line.strip_prefix("claim_listen = ")).unwrap();
    let taken = TcpListener::bind(listen.trim_matches('"')).unwrap();
    let refused = end(quickstart(&home, &["--once"]));
    let (_, errors) = texts(&refused);
    assert_eq!(refused.status.code(), Some(1));
    assert!(errors.contains("broker.claim_listen") && errors.contains("ss -ltnp"), "{errors}");
    drop(taken);

    let foreign = folder.path().join("foreign");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::File::create(foreign.join("letter")).unwrap();
    let refused = end(quickstart(&foreign, &["--once"]));
    assert_eq!(refused.status.code(), Some(1));
    assert!(texts(&refused).1.contains("choose another folder"), "{refused:?}");
    assert_eq!(std::fs::read_dir(&foreign).unwrap().count(), 1);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test limits how long it waits")]
fn nothing_stays_behind_when_it_is_killed() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("fleet");
    let mut running = quickstart(&home, &[]);
    until(&mut running, "Try next");
    assert!(processes_of(&home).len() > 3, "bridge, agent, link and exec");
    running.kill().unwrap();
    running.wait().unwrap();
    let begun = Instant::now();
    while !processes_of(&home).is_empty() {
        assert!(begun.elapsed() < LIMIT, "{:?}", processes_of(&home));
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Reads what is printed until there is this text.
fn until(child: &mut Child, wanted: &str) -> String {
    let output = child.stdout.as_mut().unwrap();
    let mut story = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&story).contains(wanted) {
        let count = output.read(&mut buffer).unwrap();
        if count == 0 {
            let mut errors = String::new();
            child.stderr.as_mut().unwrap().read_to_string(&mut errors).unwrap();
            panic!("it ended before {wanted:?}: {}\n{errors}", String::from_utf8_lossy(&story));
        }
        story.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8_lossy(&story).into_owned()
}

/// The id of a process's child by the child's name.
fn child_of(parent: u32, name: &str) -> i32 {
    let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
    let is_it = |process: &&str| std::fs::read_to_string(format!("/proc/{process}/cmdline")).is_ok_and(|words| words.contains(name));
    children.split_whitespace().find(is_it).unwrap().parse().unwrap()
}
