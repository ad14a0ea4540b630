//! The scripts by which services are started where systemd does not run. Neither procd nor OpenRC runs here: their functions are played, by
//! what their documents say, and write down how they were called.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const PROCD: &str = include_str!("../../cross/service/procd/flotilla-agent");
const OPENRC: &str = include_str!("../../cross/service/openrc/flotilla-agent");

/// What `/etc/rc.common` gives to a script.
const PLAYED_PROCD: &str = r#"
procd_open_instance() { echo "open $*"; }
procd_set_param() { echo "set $*"; }
procd_close_instance() { echo "close"; }
logger() { echo "logger $*"; }
"#;
/// What openrc-run gives to a script, and calls of it: `start` is its own, and runs the supervisor with what the script has set.
const PLAYED_OPENRC: &str = r#"
RC_SVCNAME=flotilla-agent
eerror() { echo "error $*"; }
need() { echo "need $*"; }
use() { echo "use $*"; }
after() { echo "after $*"; }
"#;

struct Device {
    folder: tempfile::TempDir,
}

impl Device {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes settings that name a state folder, as people write them.
    fn set(&self, line: &str) {
        put(&self.path("agent.toml"), &format!("# state_folder = \"/elsewhere\"\nlink_user = \"flotilla-link\"\n{line}\n"));
    }

    fn register(&self, state: &str) {
        fs::create_dir_all(self.path(state)).unwrap();
        put(&self.path(state).join("registered"), "");
    }

    /// Runs a script with the functions that are played, and then `calls`. The places of the device stand for those of a real one.
    #[expect(clippy::disallowed_methods, reason = "tests start a shell")]
    fn run(&self, played: &str, script: &str, calls: &str) -> Output {
        let here = |name: &str| self.path(name).display().to_string();
        let script = script
            .replace("/etc/flotilla/agent.toml", &here("agent.toml"))
            .replace("/var/lib/flotilla-agent", &here("var"))
            // The guard becomes the agent, and hands on what it is given; it has tests of its own in cross/tests.
            .replace("/usr/lib/flotilla-agent/guard", env!("CARGO_BIN_EXE_flotilla-agent"));
        put(&self.path("script"), &script);
        // As both frameworks do it: the functions first, then the script, in one shell that stops at no error.
        Command::new("/bin/sh").args(["-c", &format!("{played}\n. '{}'\n{calls}", here("script"))]).output().unwrap()
    }
}

#[expect(clippy::disallowed_methods, reason = "files of a test are not kept over a power cut")]
fn put(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// That the agent takes what a script gives it: `--help` behind it is reached only past words that are understood.
#[expect(clippy::disallowed_methods, reason = "tests start the real binary")]
fn is_understood(command: &str) {
    let mut words = command.split(' ');
    let output = Command::new(words.next().unwrap()).args(words).arg("--help").output().unwrap();
    assert!(output.status.success() && text(&output.stdout).contains("register --activation"), "{command}");
}

#[test]
fn procd_starts_a_registered_agent_and_no_other() {
    let device = Device::new();
    let start = || device.run(PLAYED_PROCD, PROCD, "start_service; echo \"ended $?\"");
    let output = start();
    let (told, done) = (text(&output.stderr), text(&output.stdout));
    assert!(told.contains("not registered") && told.contains("flotilla-agent register --activation -"), "{told}");
    assert!(!done.contains("open") && !done.contains("set") && done.contains("logger -t flotilla-agent"), "{done}");
    // A failure would be shown at each boot of an image on which nobody has registered anything yet.
    assert!(done.ends_with("ended 0\n"), "{done}");

    device.register("var");
    let output = start();
    let program = env!("CARGO_BIN_EXE_flotilla-agent");
    let done = text(&output.stdout);
    let expected = format!(
        "open \nset command {program} run\nset respawn 60 5 0\nset term_timeout 10\nset stdout 1\nset stderr 1\nset limits core=0\nclose\nended 0\n"
    );
    assert_eq!((done.as_str(), text(&output.stderr).as_str()), (expected.as_str(), ""));

    // The settings say where the state is: on OpenWrt /var is in memory.
    device.set(&format!("state_folder = \"{}\"   # on the flash", device.path("flash").display()));
    assert!(text(&start().stderr).contains("not registered"), "it is registered elsewhere");
    device.register("flash");
    let done = text(&start().stdout);
    let settings = device.path("agent.toml").display().to_string();
    let command = format!("{program} run --settings {settings}");
    assert!(done.contains(&format!("set command {command}\nset file {settings}\n")), "{done}");
    is_understood(&command);
    let values = device.run(PLAYED_PROCD, PROCD, "echo $USE_PROCD $START $STOP");
    assert_eq!(text(&values.stdout), "1 95 10\n");
}

#[test]
fn openrc_starts_a_registered_agent_and_no_other() {
    let device = Device::new();
    let start = "start_pre && echo \"$supervisor|$command $command_args|$pidfile|$respawn_delay|$respawn_max|$retry|$rc_cgroup_cleanup\"";
    let output = device.run(PLAYED_OPENRC, OPENRC, start);
    let done = text(&output.stdout);
    assert!(!output.status.success(), "openrc-run starts nothing when this fails");
    assert!(done.contains("error flotilla-agent is not started") && done.contains("register --activation -"), "{done}");

    device.register("var");
    let program = env!("CARGO_BIN_EXE_flotilla-agent");
    let rest = "/run/flotilla-agent.pid|5|0|TERM/10/KILL/5|no";
    let output = device.run(PLAYED_OPENRC, OPENRC, start);
    assert_eq!((text(&output.stdout), text(&output.stderr)), (format!("supervise-daemon|{program} run|{rest}\n"), String::new()));

    device.set(&format!("state_folder=\"{}\"", device.path("flash").display()));
    assert!(!device.run(PLAYED_OPENRC, OPENRC, start).status.success(), "it is registered elsewhere");
    device.register("flash");
    let command = format!("{program} run --settings {}", device.path("agent.toml").display());
    assert_eq!(text(&device.run(PLAYED_OPENRC, OPENRC, start).stdout), format!("supervise-daemon|{command}|{rest}\n"));
    is_understood(&command);
    let wanted = text(&device.run(PLAYED_OPENRC, OPENRC, "depend").stdout);
    assert_eq!(wanted, "need localmount\nuse dns logger net\nafter bootmisc firewall\n");
}
