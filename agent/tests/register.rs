//! The command line as a person meets it: help, settings, and registering against nobody.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use flotilla_protocol::enrolment::Activation;
use flotilla_protocol::id::ActivationId;

#[expect(clippy::disallowed_methods, reason = "tests start the real binary")]
fn agent(arguments: &[&str], state: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flotilla-agent"));
    command.args(arguments).env("FLOTILLA_AGENT__STATE_FOLDER", state).output().unwrap()
}

fn error_of(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(text.lines().count(), 1, "one sentence: {text}");
    text
}

fn activation(port: u16) -> String {
    Activation { id: ActivationId([1; 16]), code: [2; 20], host: "127.0.0.1".into(), port, root_hash: [3; 32] }.to_text()
}

#[test]
fn help_and_version_are_printed() {
    let nowhere = Path::new("/nowhere");
    let help = agent(&["--help"], nowhere);
    assert!(help.status.success() && String::from_utf8(help.stdout).unwrap().contains("register --activation"));
    let version = agent(&["--version"], nowhere);
    assert_eq!(String::from_utf8(version.stdout).unwrap(), format!("flotilla-agent {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_command_lines_and_settings_exit_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = agent(&["regster"], folder.path());
    assert_eq!(wrong.status.code(), Some(2));
    assert!(error_of(&wrong).contains("no command \"regster\""));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::OpenOptions::new()
        .write(true)
        .open(file.path())
        .map(|mut file| std::io::Write::write_all(&mut file, b"socke = 1"))
        .unwrap()
        .unwrap();
    let wrong = agent(&["run", "--settings", file.path().to_str().unwrap()], folder.path());
    assert_eq!(wrong.status.code(), Some(2));
    let error = error_of(&wrong);
    assert!(error.contains("socke") && error.contains(file.path().to_str().unwrap()), "{error}");
}

#[test]
fn an_unregistered_device_is_told_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    for role in ["run", "link", "exec"] {
        let output = agent(&[role], folder.path());
        assert_eq!(output.status.code(), Some(1), "{role}");
        assert!(error_of(&output).contains("run flotilla-agent register first"), "{role}");
    }
}

#[test]
fn a_bridge_that_is_down_is_said_and_leaves_nothing_half_registered() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let keys = || ["exec/identity.key", "exec/sealing.key", "link/tls.key"].map(|name| std::fs::read(state.join(name)).unwrap());
    let mut earlier = None;
    for _ in 0..2 {
        let output = agent(&["register", "--activation", &activation(port)], &state);
        assert_eq!(output.status.code(), Some(1));
        let error = error_of(&output);
        assert!(error.contains(&format!("127.0.0.1:{port} cannot be reached")) && error.contains("refused"), "{error}");
        assert!(!state.join("registered").exists() && !state.join("exec/root.hash").exists());
        assert!(output.stdout.is_empty());
        let keys = keys();
        assert_eq!(*earlier.get_or_insert_with(|| keys.clone()), keys, "the keys of an unfinished try are used again");
    }
}

#[test]
fn damaged_activations_and_unusable_folders_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let text = activation(1);
    let cut = agent(&["register", "--activation", text.get(..40).unwrap()], folder.path());
    assert!(error_of(&cut).contains("copy it again, whole"));
    let other = agent(&["register", "--activation", "hello"], folder.path());
    assert!(error_of(&other).contains("begins with fl1_"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was made for it");
    let file = tempfile::NamedTempFile::new().unwrap();
    let blocked = agent(&["register", "--activation", &text], &file.path().join("state"));
    assert!(error_of(&blocked).contains("cannot be written"), "{}", error_of(&blocked));
}
