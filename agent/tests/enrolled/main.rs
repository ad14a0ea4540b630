//! A device becomes a node and comes online, against a real Mosquitto and a bridge that is played by the test.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test that cannot go on fails, and one that is skipped says so")]

mod fleet;
mod systemd;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use fleet::{Answer, Fleet};
use flotilla_agent::processes;
use flotilla_protocol::enrolment::ClaimRefusal;
use flotilla_protocol::envelope::{Domain, Envelope};
use flotilla_protocol::hello::HelloBody;
use flotilla_protocol::topic::{Topic, UpKind};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Longer than anything that a test waits for should take, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(30);

#[expect(clippy::disallowed_methods, reason = "tests start the real binary")]
fn agent(arguments: &[&str], state: &Path) -> Command {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_flotilla-agent"));
    command.args(arguments).env("FLOTILLA_AGENT__STATE_FOLDER", state).env("FLOTILLA_AGENT__RECONNECT_MAXIMUM_S", "1");
    let mut command = Command::from(command);
    command.kill_on_drop(true);
    command
}

/// Registers while the bridge gives `answer`; what was printed, or the sentence of the failure.
async fn register(fleet: &mut Fleet, state: &Path, arguments: &[&str], root_hash: [u8; 32], answer: Answer) -> Result<String, String> {
    let activation = fleet.activation(root_hash);
    let arguments = [&["register", "--activation", &activation], arguments].concat();
    let mut command = agent(&arguments, state);
    let output = tokio::select! {
        output = command.output() => output.unwrap(),
        never = fleet.answer_claims(answer) => match never {},
    };
    let text = |bytes| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

#[tokio::test]
async fn a_device_is_enrolled_once_and_again_with_the_same_key() {
    let Some(mut fleet) = Fleet::start().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let state = &folder.path().join("state");
    let root = fleet.root_hash;

    let refused = register(&mut fleet, state, &[], root, Answer::Refuse(ClaimRefusal::Expired)).await.unwrap_err();
    assert!(refused.contains("the activation has expired: ask the operator"), "{refused}");
    let wrong_root = register(&mut fleet, state, &[], [9; 32], Answer::Enrol).await.unwrap_err();
    assert!(wrong_root.contains("another trust root than the activation string says"), "{wrong_root}");
    let forged = register(&mut fleet, state, &[], root, Answer::Forged).await.unwrap_err();
    assert!(forged.contains("not to be trusted"), "{forged}");
    let foreign = register(&mut fleet, state, &[], root, Answer::OtherCertificate).await.unwrap_err();
    assert!(foreign.contains("a certificate that cannot be used"), "{foreign}");
    assert!(!state.join("registered").exists() && !state.join("exec/root.hash").exists());

    let node = register(&mut fleet, state, &[], root, Answer::Enrol).await.unwrap();
    assert!(node.trim().parse::<flotilla_protocol::id::NodeId>().is_ok(), "{node}");
    let earlier = register(&mut fleet, state, &[], root, Answer::Enrol).await.unwrap_err();
    assert!(earlier.contains(node.trim()) && earlier.contains("--again"), "{earlier}");
    assert_eq!(register(&mut fleet, state, &["--again"], root, Answer::Enrol).await, Ok(node.clone()));
    let other = register(&mut fleet, state, &["--again"], [9; 32], Answer::Enrol).await.unwrap_err();
    assert!(other.contains("another fleet"), "{other}");
    assert!(state.join("registered").exists());
    private(state);
}

/// Every folder 0700, every file 0600.
fn private(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = std::fs::metadata(path).unwrap();
    let mode = metadata.permissions().mode() & 0o777;
    assert_eq!(mode, if metadata.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
    if metadata.is_dir() {
        std::fs::read_dir(path).unwrap().for_each(|entry| private(&entry.unwrap().path()));
    }
}

fn pid(child: &Child) -> i32 {
    i32::try_from(child.id().unwrap()).unwrap()
}

/// The half of a running agent with this role: its arguments and its supervisor tell it.
fn half(supervisor: i32, role: &str) -> Option<i32> {
    let is_half = |pid: i32| {
        let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        arguments.starts_with(format!("flotilla-agent\0{role}\0--supervised\0{supervisor}\0").as_bytes())
    };
    processes::find(|process| is_half(process.pid)).first().map(|process| process.pid)
}

async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(seen) = look() {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

#[tokio::test]
async fn an_agent_comes_online_says_hello_and_survives_the_death_of_its_halves() {
    let Some(mut fleet) = Fleet::start().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let root = fleet.root_hash;
    let node = register(&mut fleet, folder.path(), &[], root, Answer::Enrol).await.unwrap();
    let node: flotilla_protocol::id::NodeId = node.trim().parse().unwrap();
    let online = Topic::Online { fleet: fleet.id(), node };
    let hello = Topic::Up { fleet: fleet.id(), node, kind: UpKind::Hello };

    let mut supervisor = agent(&["run"], folder.path()).spawn().unwrap();
    let pid = pid(&supervisor);
    assert_eq!(fleet.next_on(online).await, b"1");
    let sealed = fleet.next_on(hello).await;
    let envelope = Envelope::parse(&sealed, Domain::Hello).unwrap();
    let body: HelloBody = flotilla_protocol::wire::decode(envelope.body()).unwrap();
    assert_eq!((body.node, body.facts.ip_address.as_str()), (node, "127.0.0.1"));

    for role in ["exec", "link"] {
        let victim = half(pid, role).unwrap();
        kill(Pid::from_raw(victim), Signal::SIGKILL).unwrap();
        assert_eq!(fleet.next_on(online).await, b"0", "without its {role} the node is not there");
        assert_eq!(fleet.next_on(online).await, b"1");
        fleet.next_on(hello).await;
        assert_ne!(half(pid, role), Some(victim));
    }

    let halves = ["exec", "link"].map(|role| half(pid, role).unwrap());
    supervisor.kill().await.unwrap();
    assert_eq!(fleet.next_on(online).await, b"0");
    for half in halves {
        until("the halves to die with their supervisor", || processes::find(|process| process.pid == half).is_empty().then_some(())).await;
    }

    let mut supervisor = agent(&["run"], folder.path()).spawn().unwrap();
    assert_eq!(fleet.next_on(online).await, b"1");
    kill(Pid::from_raw(self::pid(&supervisor)), Signal::SIGTERM).unwrap();
    let status = timeout(PATIENCE, supervisor.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{status}");
    assert_eq!(fleet.next_on(online).await, b"0");
}

/// What keeps failing is not started for ever by this process: whoever started it may know an older version that works.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "what a test spoils need not be kept over a power cut")]
async fn an_agent_whose_link_cannot_live_ends() {
    let Some(mut fleet) = Fleet::start().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let root = fleet.root_hash;
    let node = register(&mut fleet, folder.path(), &[], root, Answer::Enrol).await.unwrap();
    let online = Topic::Online { fleet: fleet.id(), node: node.trim().parse().unwrap() };
    let supervisor = agent(&["run"], folder.path()).stderr(Stdio::piped()).spawn().unwrap();
    assert_eq!(fleet.next_on(online).await, b"1");
    let halves = ["exec", "link"].map(|role| half(pid(&supervisor), role).unwrap());

    std::fs::write(folder.path().join("link/tls.key"), "what is no key").unwrap();
    // That somebody kills it is none of its failures.
    kill(Pid::from_raw(halves[1]), Signal::SIGKILL).unwrap();
    // The pauses between ten ends are 23 seconds together.
    let ended = timeout(2 * PATIENCE, supervisor.wait_with_output()).await.unwrap().unwrap();
    let text = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{text}");
    assert!(text.contains("the link half of the agent has ended 10 times in a row, last with exit status: 1"), "{text}");
    assert_eq!(text.matches("a half of the agent ended").count(), 11, "{text}");
    assert!(processes::find(|process| halves.contains(&process.pid)).is_empty(), "exec has ended, too");
}

/// A user who may do nothing.
const LINK_USER: &str = "nobody";
/// Starts a program without capabilities.
const SETPRIV: &str = "/usr/bin/setpriv";

/// As two services of a system start the agent: exec as a root without capabilities, in the link user's group; the link as its own user.
#[tokio::test]
async fn halves_of_two_users_and_without_any_capability_are_one_node() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    if !nix::unistd::geteuid().is_root() || !Path::new(SETPRIV).exists() {
        return println!("SKIPPED: halves of two users: this needs root and setpriv (Debian: util-linux)");
    }
    let Some(mut fleet) = Fleet::start().await else { return };
    let user = nix::unistd::User::from_name(LINK_USER).unwrap().unwrap();
    let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    let state = &folder.path().join("state");
    let socket = folder.path().join("run/agent.sock");
    // Where the link's user may start it.
    let program = folder.path().join("flotilla-agent");
    std::fs::copy(env!("CARGO_BIN_EXE_flotilla-agent"), &program).unwrap();
    let with_settings = |mut command: Command| {
        command.env("FLOTILLA_AGENT__STATE_FOLDER", state).env("FLOTILLA_AGENT__RECONNECT_MAXIMUM_S", "1");
        command.env("FLOTILLA_AGENT__LINK_USER", LINK_USER).env("FLOTILLA_AGENT__SOCKET", &socket).kill_on_drop(true);
        command
    };

    // Registered as a node without that setting; what a service runs first with all rights of root mends it.
    let root = fleet.root_hash;
    let node = register(&mut fleet, state, &[], root, Answer::Enrol).await.unwrap();
    let node: flotilla_protocol::id::NodeId = node.trim().parse().unwrap();
    std::fs::remove_file(state.join("exec/connection.toml")).unwrap();
    let prepared = with_settings(agent(&["prepare"], state)).output().await.unwrap();
    assert!(prepared.status.success(), "{}", String::from_utf8_lossy(&prepared.stderr));
    let link = std::fs::metadata(state.join("link")).unwrap();
    assert_eq!((link.uid(), link.gid(), link.mode() & 0o777), (uid, gid, 0o700));

    #[expect(clippy::disallowed_methods, reason = "tests start the real binary")]
    let plain = |program: &Path| Command::from(std::process::Command::new(program));
    let mut exec = plain(Path::new(SETPRIV));
    exec.args(["--bounding-set=-all", "--inh-caps=-all", &format!("--groups={gid}")]).arg(&program).arg("exec");
    let exec = with_settings(exec).spawn().unwrap();
    let mut link = plain(&program);
    link.arg("link").uid(uid).gid(gid);
    let link = with_settings(link).spawn().unwrap();
    assert_eq!(fleet.next_on(Topic::Online { fleet: fleet.id(), node }).await, b"1");
    fleet.next_on(Topic::Up { fleet: fleet.id(), node, kind: UpKind::Hello }).await;

    let status = |pid: i32, name: &str| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned()
    };
    assert_eq!(status(pid(&exec), "CapEff:"), "0000000000000000");
    assert_eq!((status(pid(&link), "CapEff:").as_str(), status(pid(&link), "NoNewPrivs:").as_str()), ("0000000000000000", "1"));
    let listening = std::fs::metadata(&socket).unwrap();
    assert_eq!((listening.uid(), listening.gid(), listening.mode() & 0o777), (0, gid, 0o660));

    // Somebody else finds the way to the socket closed, and the state, too.
    let mut stranger = plain(Path::new(SETPRIV));
    stranger.args(["--reuid=54321", "--regid=54321", "--clear-groups", "/bin/sh", "-c"]);
    stranger.arg(format!("ls '{0}' || ls '{0}/exec' || ls '{0}/link' || ls '{1}'", state.display(), socket.display()));
    assert!(!stranger.output().await.unwrap().status.success(), "a stranger sees something of the agent's");
}
