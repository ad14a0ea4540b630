//! An operator's desk: a folder with a home, a passphrase and the real programs of OpenSSH.

use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use tempfile::TempDir;

use crate::{flotilla, program, texts};

/// The passphrase of every key here.
pub(crate) const PASSPHRASE: &str = "correct horse battery";

/// What a program said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) errors: String,
}

impl Said {
    /// It must have succeeded.
    pub(crate) fn good(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.errors);
        self.out
    }

    /// It must have failed with this code, and said this.
    pub(crate) fn refused(self, code: i32, words: &str) {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.errors);
        assert!(self.errors.contains(words), "{words:?} is not in {:?}", self.errors);
    }
}

pub(crate) struct Desk {
    folder: TempDir,
    agent: Option<Child>,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap(), agent: None };
        desk.write("pass", format!("{PASSPHRASE}\n").as_bytes(), 0o600);
        desk
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn key_file(&self, name: &str) -> PathBuf {
        self.path(".config/flotilla/keys").join(name)
    }

    pub(crate) fn mode(&self, path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    pub(crate) fn write(&self, name: &str, content: &[u8], mode: u32) {
        let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(self.path(name)).unwrap();
        file.write_all(content).unwrap();
    }

    /// `flotilla` in this folder, with nothing on its standard input.
    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        self.run_with(arguments, b"")
    }

    /// `flotilla`, which the system ends at the first byte that it writes into a file: as a cut of the power, or a disk that is full.
    pub(crate) fn cut_off(&self, arguments: &[&str]) -> Said {
        let mut command = program("/bin/sh");
        command.args(["-c", r#"ulimit -c 0 && ulimit -f 0 && exec "$@""#, "sh", env!("CARGO_BIN_EXE_flotilla")]).args(arguments);
        command.env_clear().current_dir(self.folder.path()).env("HOME", self.folder.path()).stdin(Stdio::null());
        let output = command.output().unwrap();
        let (out, errors) = texts(&output);
        Said { code: output.status.code(), out, errors }
    }

    pub(crate) fn run_with(&self, arguments: &[&str], input: &[u8]) -> Said {
        let mut command = flotilla(arguments);
        command.current_dir(self.folder.path()).env("HOME", self.folder.path()).stdin(Stdio::piped());
        if self.agent.is_some() {
            command.env("SSH_AUTH_SOCK", self.path("agent.sock"));
        }
        let mut child = command.spawn().unwrap();
        drop(child.stdin.take().unwrap().write_all(input));
        let output = child.wait_with_output().unwrap();
        let (out, errors) = texts(&output);
        Said { code: output.status.code(), out, errors }
    }

    /// `flotilla` with the passphrase from its file.
    pub(crate) fn with_passphrase(&self, arguments: &[&str]) -> Said {
        self.run(&[arguments, &["--passphrase-file", "pass"]].concat())
    }

    pub(crate) fn generate(&self, name: &str) -> String {
        self.with_passphrase(&["keys", "generate", name]).good()
    }

    pub(crate) fn sign(&self, name: &str) -> Said {
        self.with_passphrase(&["trust", "sign", "fleet", "--yes", "--key", name])
    }

    /// A program of OpenSSH in this folder; nothing, with a line that says so, where it is not installed.
    pub(crate) fn openssh(&self, name: &str, arguments: &[&str]) -> Option<Said> {
        let mut command = program(name);
        command.args(arguments).current_dir(self.folder.path()).env("HOME", self.folder.path()).stdin(Stdio::null());
        if self.agent.is_some() {
            // ssh-add asks this program, and no terminal.
            self.write("answer", format!("#!/bin/sh\necho '{PASSPHRASE}'\n").as_bytes(), 0o700);
            command.env("SSH_AUTH_SOCK", self.path("agent.sock"));
            command.env("SSH_ASKPASS", self.path("answer")).env("SSH_ASKPASS_REQUIRE", "force");
        }
        match command.output() {
            Ok(output) => {
                let (out, errors) = texts(&output);
                Some(Said { code: output.status.code(), out, errors })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                println!("SKIPPED: {name} is not installed (Debian: openssh-client)");
                None
            }
            Err(error) => panic!("{name}: {error}"),
        }
    }

    /// Starts an ssh-agent of our own; false where it is not installed.
    pub(crate) fn start_agent(&mut self) -> bool {
        let socket = self.path("agent.sock");
        let mut command = program("ssh-agent");
        command.arg("-D").arg("-a").arg(&socket).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        match command.spawn() {
            Ok(child) => self.agent = Some(child),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                println!("SKIPPED: ssh-agent is not installed (Debian: openssh-client)");
                return false;
            }
            Err(error) => panic!("ssh-agent: {error}"),
        }
        for _ in 0..1000 {
            if std::os::unix::net::UnixStream::connect(&socket).is_ok() {
                return true;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("the ssh-agent does not listen");
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if let Some(agent) = &mut self.agent {
            drop(agent.kill());
            drop(agent.wait());
        }
    }
}
