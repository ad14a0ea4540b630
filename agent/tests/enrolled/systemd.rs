//! What systemd hears of both halves, on a socket that is played.

use std::os::unix::net::UnixDatagram;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Child;
use tokio::time::timeout;

use crate::fleet::{Answer, Fleet};
use crate::{PATIENCE, agent, pid, until};

/// What systemd allows between two signs of life, in milliseconds.
const WATCHDOG_MS: u32 = 1000;

/// A half, and what it says.
struct Service {
    child: Child,
    socket: UnixDatagram,
    heard: Vec<String>,
}

impl Service {
    fn start(role: &str, state: &Path, sockets: &Path) -> Self {
        let path = sockets.join(role);
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut command = agent(&[role], state);
        command.env("NOTIFY_SOCKET", path).env("WATCHDOG_USEC", (WATCHDOG_MS * 1000).to_string());
        Self { child: command.spawn().unwrap(), socket, heard: Vec::new() }
    }

    fn heard(&mut self) -> &[String] {
        let mut datagram = [0; 4096];
        while let Ok(length) = self.socket.recv(&mut datagram) {
            self.heard.push(String::from_utf8(datagram[..length].to_vec()).unwrap());
        }
        &self.heard
    }

    fn count(&mut self, text: &str) -> usize {
        self.heard().iter().filter(|heard| *heard == text).count()
    }

    async fn until_heard(&mut self, text: &str) {
        until(text, || (self.count(text) > 0).then_some(())).await;
    }
}

#[tokio::test]
async fn systemd_hears_that_both_halves_are_ready_that_they_turn_and_that_they_stop() {
    let Some(mut fleet) = Fleet::start().await else { return };
    let (state, sockets) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    register_from_file(&mut fleet, state.path(), sockets.path()).await;

    let mut exec = Service::start("exec", state.path(), sockets.path());
    exec.until_heard("READY=1").await;
    // Its socket is there by now.
    assert!(state.path().join("agent.sock").exists());
    exec.until_heard("STATUS=not connected; no job runs").await;
    let mut link = Service::start("link", state.path(), sockets.path());
    link.until_heard("READY=1").await;
    link.until_heard(&format!("STATUS=connected to 127.0.0.1:{}", fleet.nodes_port())).await;
    exec.until_heard("STATUS=connected; no job runs").await;

    // Fed while nothing happens, and no more often than at half of the time.
    let before = [exec.count("WATCHDOG=1"), link.count("WATCHDOG=1")];
    let fed = std::time::Duration::from_millis((WATCHDOG_MS * 4).into());
    tokio::time::sleep(fed).await;
    for (service, before) in [&mut exec, &mut link].into_iter().zip(before) {
        let fed = service.count("WATCHDOG=1") - before;
        assert!((4..=9).contains(&fed), "{fed} times in four of its times");
    }

    fleet.stop_broker();
    until("the link to say that there is no connection", || {
        let last = link.heard().iter().rfind(|heard| heard.starts_with("STATUS="))?;
        last.starts_with("STATUS=no connection to 127.0.0.1:").then_some(())
    })
    .await;
    for mut service in [exec, link] {
        kill(Pid::from_raw(pid(&service.child)), Signal::SIGTERM).unwrap();
        assert!(timeout(PATIENCE, service.child.wait()).await.unwrap().unwrap().success());
        assert_eq!(service.heard().last().unwrap(), "STOPPING=1");
    }
}

/// As a service does that has the activation string as a credential.
async fn register_from_file(fleet: &mut Fleet, state: &Path, folder: &Path) {
    let file = folder.join("activation");
    let activation = format!("{}\n", fleet.activation(fleet.root_hash));
    std::fs::File::create_new(&file).and_then(|mut file| std::io::Write::write_all(&mut file, activation.as_bytes())).unwrap();
    let mut command = agent(&["register", "--activation-file", file.to_str().unwrap()], state);
    let output = tokio::select! {
        output = command.output() => output.unwrap(),
        never = fleet.answer_claims(Answer::Enrol) => match never {},
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut command = agent(&["register", "--activation-file", "/nowhere/activation"], state);
    let refused = command.output().await.unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("cannot be read from /nowhere/activation"), "{refused:?}");
}
