//! What test documents reach: web servers, a store of objects, a Git repository, and a stand-in for `docker`, which a build machine need
//! not have: it is a script that prints its arguments and its standard input, so that what is tested is what docker would be given.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flotilla_agent::job::tools::{DEFAULT_SEARCH_PATH, ObjectStore, Tools};
use tempfile::TempDir;

use crate::server::{KEY_ID, REGION, SECRET, Server};

/// Prints each argument in brackets, and what it was given to read.
const DOCKER: &str = "#!/bin/sh\nfor argument in \"$@\"; do printf '[%s]' \"$argument\"; done\necho\n\
    case \" $* \" in *' /dev/stdin '*) cat /dev/stdin ;; esac\nenv | grep TOKEN\ntrue\n";

pub(crate) struct Surroundings {
    // Removed when the test ends.
    folder: TempDir,
    pub(crate) http: Server,
    pub(crate) https: Server,
    /// The commit before the last one of the default branch.
    commit: String,
}

impl Surroundings {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let (https, certificate) = Server::https();
        write(&folder.path().join("authorities.pem"), &certificate, 0o644);
        let keys =
            format!("# keys\n[default]\naws_access_key_id = {KEY_ID}\naws_secret_access_key={SECRET}\n[other]\naws_access_key_id = x\n");
        write(&folder.path().join("keys"), &keys, 0o600);
        std::fs::create_dir(folder.path().join("programs")).unwrap();
        write(&folder.path().join("programs/docker"), DOCKER, 0o755);
        let commit = make_repository(&folder.path().join("repository"));
        Self { http: Server::http(), https, folder, commit }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn repository(&self) -> String {
        format!("file://{}", self.path().join("repository").display())
    }

    /// Git takes no repository of somebody else.
    #[expect(clippy::disallowed_methods, reason = "tests use the system's own program")]
    pub(crate) fn give_repository_to(&self, user: &str) {
        let status = Command::new("chown").arg("-R").arg(user).arg(self.path().join("repository")).status().unwrap();
        assert!(status.success());
    }

    /// A repository of files with the same content: it is small, and they are not.
    pub(crate) fn make_bomb(&self, name: &str, files: usize, bytes: usize) {
        let path = self.path().join(name);
        std::fs::create_dir(&path).unwrap();
        let git = |arguments: &[&str]| git(&path, arguments);
        git(&["init", "--quiet", "--initial-branch=main"]);
        let content = "x".repeat(bytes);
        (0..files).for_each(|number| write(&path.join(number.to_string()), &content, 0o644));
        git(&["add", "--all"]);
        git(&["commit", "--quiet", "--message=bomb"]);
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http.port)
    }

    pub(crate) fn secure_url(&self) -> String {
        format!("https://127.0.0.1:{}", self.https.port)
    }

    /// The values of parameters by name.
    pub(crate) fn parameters(&self) -> BTreeMap<&'static str, String> {
        [
            ("server", self.url()),
            ("secureServer", self.secure_url()),
            ("store", self.url()),
            ("repository", self.repository()),
            ("commit", self.commit.clone()),
        ]
        .into()
    }

    pub(crate) fn tools(&self) -> Tools {
        Tools {
            search_path: format!("{}:{DEFAULT_SEARCH_PATH}", self.path().join("programs").display()),
            certificate_authorities: Some(self.path().join("authorities.pem")),
            s3: ObjectStore {
                endpoint: Some(self.url()),
                region: Some(REGION.to_owned()),
                credentials_file: Some(self.path().join("keys")),
            },
            ..Tools::default()
        }
    }

    /// A text without what differs from run to run.
    pub(crate) fn hide(&self, text: &str) -> String {
        let programs = format!("{}:", self.path().join("programs").display());
        let text = text.replace(&self.repository(), "REPOSITORY").replace(&programs, "");
        text.replace(&self.secure_url(), "SECURE-SERVER").replace(&self.url(), "SERVER").replace(&self.commit, "COMMIT")
    }
}

pub(crate) fn write(path: &Path, text: &str, mode: u32) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// Two commits on `main` and one on `next`, with a hook that must never run and a link that leads out.
fn make_repository(path: &Path) -> String {
    std::fs::create_dir(path).unwrap();
    let git = |arguments: &[&str]| git(path, arguments);
    git(&["init", "--quiet", "--initial-branch=main"]);
    write(&path.join("version"), "one\n", 0o644);
    std::fs::create_dir(path.join("scripts")).unwrap();
    write(&path.join("scripts/run.sh"), "#!/bin/sh\necho ran\n", 0o755);
    std::os::unix::fs::symlink("/etc", path.join("out")).unwrap();
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--message=one"]);
    let first = git(&["rev-parse", "HEAD"]).trim().to_owned();
    let change = |text: &str, branch: &str| {
        std::fs::remove_file(path.join("version")).unwrap();
        write(&path.join("version"), text, 0o644);
        git(&["commit", "--quiet", "--all", &format!("--message={branch}")]);
    };
    change("two\n", "two");
    git(&["checkout", "--quiet", "-b", "next"]);
    change("next\n", "next");
    git(&["checkout", "--quiet", "main"]);
    first
}

#[expect(clippy::disallowed_methods, reason = "tests make a repository with the real program")]
fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    let person = [("NAME", "A. Tester"), ("EMAIL", "tester@example.org")];
    for (name, value) in person {
        command.env(format!("GIT_AUTHOR_{name}"), value).env(format!("GIT_COMMITTER_{name}"), value);
    }
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").current_dir(folder).stdin(Stdio::null());
    let output = command.args(arguments).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The names of what is in a folder, hidden ones included.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<String> = std::fs::read_dir(PathBuf::from(folder)).unwrap().map(name).collect();
    names.sort();
    names
}
