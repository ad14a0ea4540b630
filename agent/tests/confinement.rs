//! What a link can still do once it has given up its rights. Each test starts itself once more: what is given up stays given up.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test that cannot go on fails, and one that is skipped says so")]

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use flotilla_agent::arguments::SettingsFile;
use flotilla_agent::settings::Settings;
use flotilla_agent::state::{Layout, write_atomically};
use flotilla_agent::{link, ownership};
use nix::sys::signal::kill;
use nix::unistd::{Pid, Uid, geteuid, getgroups, getresuid, setresuid};

const USER: &str = "nobody";
/// In the environment of a test that was started by itself: the folder of the state.
const STATE: &str = "FLOTILLA_TEST_STATE";
/// The port on which it is awaited.
const PORT: &str = "FLOTILLA_TEST_PORT";
/// A descriptor that was left open for it.
const DESCRIPTOR: &str = "FLOTILLA_TEST_DESCRIPTOR";
/// The first version of Landlock that knows of TCP.
const KNOWS_TCP: i64 = 4;
/// The first that knows of signals and abstract sockets.
const KNOWS_SIGNALS: i64 = 6;

fn settings(state: &Path, user: Option<&str>) -> Settings {
    let mut variables = vec![(OsString::from("FLOTILLA_AGENT__STATE_FOLDER"), OsString::from(state))];
    variables.extend(user.map(|user| ("FLOTILLA_AGENT__LINK_USER".into(), user.into())));
    let empty = tempfile::NamedTempFile::new().unwrap();
    Settings::from_sources(&SettingsFile::Named(empty.path().to_owned()), variables.into_iter()).unwrap()
}

/// A state of which nothing is whole but who may read it.
fn enrolled(folder: &Path, user: Option<&str>) -> Settings {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o711)).unwrap();
    let settings = settings(&folder.join("state"), user);
    let layout = Layout::new(&settings);
    layout.create().unwrap();
    for path in [layout.link("tls.key"), layout.exec("identity.key"), layout.registered()] {
        write_atomically(&path, b"secret").unwrap();
    }
    settings
}

/// Starts a test of this program again, which is to be confined; what it wrote.
#[expect(clippy::disallowed_methods, reason = "tests start themselves")]
fn again(test: &str, state: &Path) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let left_open = File::open("/etc/passwd").unwrap();
    // Not closed at exec, as if somebody had forgotten it.
    let descriptor = nix::unistd::dup(&left_open).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(STATE, state);
    command.env(PORT, listener.local_addr().unwrap().port().to_string()).env(DESCRIPTOR, descriptor.as_raw_fd().to_string());
    let output = command.output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
    assert!(text.contains("confined and judged"), "{text}");
    text
}

/// The version of Landlock of this kernel as far as it matters here, 0 without.
fn landlock_version() -> i64 {
    use landlock::{ABI, Access as _, AccessFs, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _, Scope};
    let knows = |rules: Result<Ruleset, landlock::RulesetError>| rules.and_then(Ruleset::create).is_ok();
    let strict = || Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    if knows(strict().scope(Scope::from_all(ABI::V6))) {
        KNOWS_SIGNALS
    } else if knows(strict().handle_access(landlock::AccessNet::BindTcp)) {
        KNOWS_TCP
    } else {
        i64::from(knows(strict().handle_access(AccessFs::from_all(ABI::V1))))
    }
}

fn is_refused<T>(done: io::Result<T>) -> bool {
    done.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
}

/// What holds for every confined link, with a user of its own or without.
fn judge_confined(settings: &Settings, landlock: i64) {
    let (layout, state) = (Layout::new(settings), settings.state_folder.as_path());
    assert_eq!(fs::read(layout.link("tls.key")).unwrap(), b"secret");
    write_atomically(&layout.link("credentials"), b"new").unwrap();
    fs::rename(layout.link("credentials"), layout.link("credentials.next")).unwrap();
    fs::remove_file(layout.link("credentials.next")).unwrap();
    assert!(layout.registered().exists());
    fs::read("/etc/passwd").unwrap();
    let port: u16 = std::env::var(PORT).unwrap().parse().unwrap();
    TcpStream::connect(("127.0.0.1", port)).unwrap();
    // Through whatever this system looks names up with.
    TcpStream::connect(("localhost", port)).unwrap();
    let status = nix::sys::prctl::get_no_new_privs().unwrap();
    assert!(status, "a program could give it rights back");
    assert_eq!(nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_CORE).unwrap(), (0, 0));
    let inherited: i32 = std::env::var(DESCRIPTOR).unwrap().parse().unwrap();
    assert!(nix::unistd::close(inherited).is_err(), "a descriptor of whoever started it is still open");

    if landlock == 0 {
        return println!("SKIPPED: what Landlock refuses, which this kernel does not have");
    }
    assert!(is_refused(fs::read(layout.exec("identity.key"))), "a key of exec's can be read");
    assert!(is_refused(fs::read_dir(layout.exec(""))), "exec's folder can be read");
    assert!(is_refused(fs::read("/proc/version")), "/proc can be read");
    assert!(is_refused(File::create(state.join("other"))), "it can write outside of its folder");
    assert!(is_refused(File::create("/tmp/flotilla-confinement-test")), "it can write to /tmp");
    assert!(is_refused(UnixListener::bind(state.join("link/socket"))), "it can make sockets in its own folder");
    assert!(is_refused(start("/bin/true")), "it can start programs");
    if landlock >= KNOWS_TCP {
        assert!(is_refused(TcpListener::bind("127.0.0.1:0")), "it can listen");
    }
    if landlock >= KNOWS_SIGNALS {
        assert_eq!(kill(Pid::parent(), None), Err(nix::Error::EPERM), "it can signal others");
    }
}

#[expect(clippy::disallowed_methods, reason = "it must fail")]
fn start(program: &str) -> io::Result<()> {
    Command::new(program).status().map(drop)
}

#[test]
fn a_confined_link_reads_its_own_files_and_no_others() {
    if let Some(state) = std::env::var_os(STATE) {
        let landlock = landlock_version();
        let settings = settings(Path::new(&state), None);
        link::confine(&settings).unwrap();
        judge_confined(&settings, landlock);
        return println!("confined and judged");
    }
    let folder = tempfile::tempdir().unwrap();
    let settings = enrolled(folder.path(), None);
    let text = again("a_confined_link_reads_its_own_files_and_no_others", &settings.state_folder);
    text.lines().filter(|line| line.starts_with("SKIPPED")).for_each(|line| println!("{line}"));
}

#[test]
fn a_link_with_a_user_of_its_own_has_nothing_of_roots_left() {
    if let Some(state) = std::env::var_os(STATE) {
        let (state, landlock) = (Path::new(&state), landlock_version());
        let settings = settings(state, Some(USER));
        let user = settings.link_user.clone().unwrap();
        link::confine(&settings).unwrap();
        let now = getresuid().unwrap();
        assert_eq!([now.real, now.effective, now.saved], [Uid::from_raw(user.uid); 3]);
        assert!(getgroups().unwrap().iter().all(|group| group.as_raw() == user.gid), "groups of root are left");
        let root = Uid::from_raw(0);
        assert_eq!(setresuid(root, root, root), Err(nix::Error::EPERM), "it can become root again");
        assert!(!nix::sys::prctl::get_dumpable().unwrap(), "others of this user can look into its memory");
        // By the modes of files alone, whatever the kernel has besides.
        let layout = Layout::new(&settings);
        assert!(is_refused(fs::read(layout.exec("identity.key"))) && is_refused(fs::read_dir(layout.exec(""))));
        assert!(is_refused(fs::read_dir(state)) && is_refused(fs::read(layout.registered())));
        judge_confined(&settings, landlock);
        return println!("confined and judged");
    }
    if !geteuid().is_root() {
        return println!("SKIPPED: a link with a user of its own: this needs root");
    }
    let folder = tempfile::tempdir().unwrap();
    let settings = enrolled(folder.path(), Some(USER));
    ownership::establish(&settings).unwrap();
    again("a_link_with_a_user_of_its_own_has_nothing_of_roots_left", &settings.state_folder);
}

#[test]
fn a_link_that_was_started_as_somebody_else_does_not_run() {
    if let Some(state) = std::env::var_os(STATE) {
        // As a unit with the wrong user would start it.
        let other = Uid::from_raw(54_321);
        let settings = settings(Path::new(&state), Some(USER));
        setresuid(other, other, other).unwrap();
        let error = link::confine(&settings).unwrap_err().to_string();
        assert!(error.contains("runs as \"nobody\", and it was started as user 54321"), "{error}");
        return println!("confined and judged");
    }
    if !geteuid().is_root() {
        return println!("SKIPPED: a link that was started as somebody else: this needs root");
    }
    let folder = tempfile::tempdir().unwrap();
    let settings = enrolled(folder.path(), Some(USER));
    ownership::establish(&settings).unwrap();
    again("a_link_that_was_started_as_somebody_else_does_not_run", &settings.state_folder);
}
