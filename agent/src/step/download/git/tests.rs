use super::*;

#[test]
fn repositories_are_reached_as_their_address_says() {
    for (repository, expected) in [
        ("https://git.example.org/a/b.git", Transport::Https),
        ("ssh://git@git.example.org:2222/a/b.git", Transport::Ssh),
        ("git@git.example.org:a/b.git", Transport::Ssh),
        ("git.example.org:a/b.git", Transport::Ssh),
        ("http://git.example.org/a", Transport::Http),
        ("git://git.example.org/a", Transport::Git),
        ("file:///srv/a", Transport::File),
    ] {
        assert_eq!(transport(repository), Ok(expected), "{repository}");
    }
    for repository in [
        "-uploadpack=touch /tmp/x",
        "--upload-pack=x",
        "ext::sh -c 'touch /tmp/x'",
        "ext::sh",
        "ssh://-oProxyCommand=touch/x",
        "ssh://git@-oProxyCommand=x/y",
        "-oProxyCommand=x:y",
        "git@-oProxyCommand=x:y",
        "host:-x",
        "fd::17/foo",
        "/srv/a",
        "./a:b",
        "a",
        "https://",
        "https://user:secret@git.example.org/a",
        "ssh://git:secret@git.example.org/a",
        "git://-x/a",
        "https://git.example.org/a?token=secret",
        "https://git.example.org/a#secret",
        "ssh://git.example.org/a?token=secret",
        "git://user:secret@git.example.org/a",
        "http://user:secret@git.example.org/a",
        "user:secret@git.example.org:a",
        "ftp://git.example.org/a",
        "file://",
    ] {
        let error = transport(repository).unwrap_err();
        assert!(error.starts_with("repository"), "{repository}: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn versions_are_names_and_ids_and_nothing_else() {
    for name in ["main", "release/1.2", "a-b_c", "ä"] {
        assert_eq!(branch(name.to_owned()).as_deref(), Ok(name));
    }
    for name in
        ["-x", "--upload-pack=x", "+main", "a:b", "a..b", "a b", "refs/*", "a^", "a~1", "/a", "a/", "a\tb", "a.", ".a", "a[", "a\\b", "a?"]
    {
        assert!(branch(name.to_owned()).is_err(), "{name}");
    }
    assert!(commit("0".repeat(40)).is_ok());
    for id in ["abcdef", "HEAD", "-x", &"g".repeat(40), &"0".repeat(41), &"0".repeat(64)] {
        assert!(commit(id.to_owned()).is_err(), "{id}");
    }
}

fn task(transport: Transport) -> GitTask {
    GitTask {
        repository: "https://git.example.org:8443/a/b".into(),
        transport,
        version: Version::Default,
        path: None,
        login: Some(Login { username: "user@example.org".into(), password: "p:/ä\"'`$(x)".into() }),
        private_key: None,
        skip_host_key_check: false,
    }
}

#[test]
fn secrets_stand_in_files_only() {
    let folder = tempfile::tempdir().unwrap();
    let all = DownloadTask {
        source: super::super::SourceTask::Git(task(Transport::Https)),
        destination: String::new(),
        partial: ".partial".into(),
        tools: Default::default(),
    };
    let git = Git::new(PathBuf::from("/bin/true"), &task(Transport::Https), &all, folder.path(), &BTreeMap::new()).unwrap();
    let shown = format!("{:?} {:?} {:?} {}", git.settings, git.environment, all, all.source);
    assert!(!shown.contains("p:/") && !shown.contains("user@example"), "{shown}");
    let line = fs::read_to_string(folder.path().join("credentials")).unwrap();
    assert_eq!(line, "https://user%40example%2Eorg:p%3A%2F%C3%A4%22%27%60%24%28x%29@git.example.org:8443\n");
    let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(folder.path().join("credentials")).unwrap()) & 0o777;
    assert_eq!(mode, 0o600);
    // Git itself reads them, for this host and no other.
    for (host, expected) in [("git.example.org:8443", Some("password=p:/ä\"'`$(x)")), ("other.example.org", None)] {
        let answer = ask_for_credentials(&git, host);
        assert_eq!(answer.lines().find(|line| line.starts_with("password=")), expected, "{answer}");
    }
    assert_eq!(git.environment["GIT_TERMINAL_PROMPT"], "0");
    assert_eq!(git.environment["GIT_ALLOW_PROTOCOL"], "https");
}

#[test]
fn ssh_asks_nobody_and_knows_its_hosts() {
    let key = GitTask { private_key: Some("key".into()), login: None, ..task(Transport::Ssh) };
    let command = ssh_command(&key);
    for part in ["-F /dev/null", "BatchMode=yes", "-i ../key -o IdentitiesOnly=yes", "StrictHostKeyChecking=yes"] {
        assert!(command.contains(part), "{command}");
    }
    let command = ssh_command(&GitTask { skip_host_key_check: true, ..task(Transport::Ssh) });
    assert!(command.contains("StrictHostKeyChecking=no") && !command.contains("-i "), "{command}");
}

#[expect(clippy::disallowed_methods, reason = "a test asks the real program")]
fn ask_for_credentials(git: &Git, host: &str) -> String {
    use std::process::{Command, Stdio};
    let mut command = Command::new("git");
    command.args(git.settings.iter().flat_map(|setting| ["-c", setting]));
    command.args(["credential", "fill"]).envs(&git.environment).env_remove("GIT_ASKPASS").env_remove("SSH_ASKPASS");
    let mut child = command.current_dir(&git.files).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("protocol=https\nhost={host}\n\n").as_bytes()).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

#[test]
fn a_lower_limit_of_files_is_not_raised() {
    // A hard limit stays for this process, which is this test's alone: none of the tests beside it writes so much.
    let lower = 1 << 40;
    setrlimit(Resource::RLIMIT_FSIZE, lower, lower).unwrap();
    limit_files(u64::MAX).unwrap();
    assert_eq!(getrlimit(Resource::RLIMIT_FSIZE).unwrap(), (lower, lower));
    limit_files(1 << 39).unwrap();
    assert_eq!(getrlimit(Resource::RLIMIT_FSIZE).unwrap(), (1 << 39, 1 << 39));
}

#[test]
fn files_are_measured_before_they_are_written() {
    let list = b"100644 blob 1111     600\ta b\x00120000 blob 2222       5\tlink\x00160000 commit 3333       -\tmodule\0".as_slice();
    let measured = |limit| measure_list(list, &mut Budget::new(limit)).map_err(|Listing(error)| error.to_string());
    assert_eq!(measured(605), Ok(()));
    assert!(measured(604).unwrap_err().contains("more than 604 bytes"));
    // Nothing is read after the first error.
    let endless = BufReader::new(io::repeat(b'x'));
    assert!(measure_list(endless, &mut Budget::new(10)).is_err());
    for broken in [b"100644 blob 1111".as_slice(), b"100644 blob 1111 5\tx", b"\xff\0", b"\0"] {
        assert!(measure_list(broken, &mut Budget::new(10)).is_err(), "{broken:?}");
    }
}
