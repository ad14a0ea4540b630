//! A mosquitto of our own, on a free port of the loopback, with client certificates and an ACL.

use std::fs::{File, read_to_string};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::certificates::Authority;

const PROGRAM: &str = "/usr/sbin/mosquitto";

/// `alice` and `bob` may use `open/#`; beyond that everyone only their own topics.
const ACL: &str = "user alice\ntopic readwrite open/#\nuser bob\ntopic readwrite open/#\npattern readwrite own/%u/#\n";

pub(crate) struct Mosquitto {
    folder: TempDir,
    child: Child,
    pub(crate) port: u16,
    pub(crate) authority: Authority,
}

impl Mosquitto {
    /// Starts it; nothing, and a line of output, if it is not installed. `extra` are further lines of configuration.
    pub(crate) fn start(extra: &str) -> Option<Self> {
        if !Path::new(PROGRAM).exists() {
            println!("skipped: mosquitto is not installed");
            return None;
        }
        let authority = Authority::new();
        let folder = TempDir::new().unwrap();
        let server = authority.server();
        let port = free_port();
        write(folder.path(), "ca.pem", &authority.pem);
        write(folder.path(), "server.pem", &server.pem);
        write(folder.path(), "server.key", &server.key.serialize_pem());
        write(folder.path(), "acl", ACL);
        write(folder.path(), "mosquitto.conf", &configuration(folder.path(), port, extra));
        let child = spawn(folder.path());
        await_start(folder.path(), port);
        Some(Self { folder, child, port, authority })
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same port.
    pub(crate) fn restart(&mut self) {
        self.child = spawn(self.folder.path());
        await_start(self.folder.path(), self.port);
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

fn configuration(folder: &Path, port: u16, extra: &str) -> String {
    let folder = folder.display();
    format!(
        "user root\npersistence false\nset_tcp_nodelay true\nlog_dest stderr\nlog_type all\n\
         listener {port} 127.0.0.1\nallow_anonymous false\nacl_file {folder}/acl\n\
         cafile {folder}/ca.pem\ncertfile {folder}/server.pem\nkeyfile {folder}/server.key\n\
         require_certificate true\nuse_identity_as_username true\n{extra}\n"
    )
}

fn write(folder: &Path, name: &str, text: &str) {
    File::create(folder.join(name)).unwrap().write_all(text.as_bytes()).unwrap();
}

#[expect(clippy::disallowed_methods, reason = "the one place of these tests that starts a child")]
fn spawn(folder: &Path) -> Child {
    let log = File::options().create(true).append(true).open(folder.join("log")).unwrap();
    Command::new(PROGRAM)
        .arg("-c")
        .arg(folder.join("mosquitto.conf"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// Waits until it listens.
fn await_start(folder: &Path, port: u16) {
    for _ in 0..500 {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("mosquitto does not listen:\n{}", read_to_string(folder.join("log")).unwrap());
}

/// A port that nobody listens on at this moment.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
