//! Files from Git repositories, by the node's own `git`.
//!
//! Git is made to ask nobody and to run nothing: no terminal, no hooks, no settings of the system or of a user, only the transports that
//! the document allows. What the document says is never an option: it stands behind `--` or cannot begin with `-`. A password or a key is
//! in a file that only this user reads, in a folder that goes when the download ends.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use flotilla_protocol::document::download::{GitSource, GitVersion};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use super::http::{authorities_file, is_https};
use super::place::{self, Budget, write_error};
use super::{DownloadError, DownloadTask, Login};
use crate::process;
use crate::step::download_content::Values;

/// The program.
const PROGRAM: &str = "git";
/// Length of a commit's full id, in hexadecimal digits.
const COMMIT_DIGITS: usize = 40;
/// Longest line of a list of files, in bytes: longer than any path that Linux takes.
const MAXIMUM_LISTED_BYTES: u64 = 64 * 1024;
/// Settings of every call: none of them can be changed by a repository.
const SETTINGS: [&str; 7] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "credential.helper=",
    "gc.auto=0",
    // What comes is one file, whose length is limited, and not a file for each object.
    "fetch.unpackLimit=1",
    "submodule.recurse=false",
    "advice.detachedHead=false",
];

/// A Git repository.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GitTask {
    pub(crate) repository: String,
    pub(crate) transport: Transport,
    pub(crate) version: Version,
    /// A file or folder in it; none: all.
    pub(crate) path: Option<String>,
    pub(crate) login: Option<Login>,
    pub(crate) private_key: Option<String>,
    pub(crate) skip_host_key_check: bool,
}

impl std::fmt::Debug for GitTask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GitTask({} {:?} {:?})", self.repository, self.transport, self.version)
    }
}

/// How a repository is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Transport {
    Https,
    Ssh,
    /// Nobody checks who answers.
    Http,
    /// The same.
    Git,
    /// A folder of this node.
    File,
}

impl Transport {
    /// As Git names it.
    fn name(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Ssh => "ssh",
            Self::Http => "http",
            Self::Git => "git",
            Self::File => "file",
        }
    }

    fn is_secure(self) -> bool {
        matches!(self, Self::Https | Self::Ssh)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Version {
    Default,
    Branch(String),
    Commit(String),
}

/// Reads the address and the version.
pub(crate) fn plan(source: &GitSource, values: &Values<'_>) -> Result<GitTask, String> {
    let repository = values.line("repository", &source.repository)?;
    let transport = transport(&repository)?;
    if !transport.is_secure() && !source.allow_insecure {
        let name = transport.name();
        return Err(format!(
            "repository is reached by {name}, where nobody checks who answers; use https or ssh, or set allowInsecureDownload to true"
        ));
    }
    let version = match &source.version {
        GitVersion::Default => Version::Default,
        GitVersion::Branch(name) => Version::Branch(branch(values.line("the branch in getOptions", name)?)?),
        GitVersion::Commit(id) => Version::Commit(commit(values.line("the commitID in getOptions", id)?)?),
    };
    let path = values.text("path", source.path.as_ref())?.map(|path| path.trim_matches('/').to_owned()).filter(|path| !path.is_empty());
    if let Some(path) = &path {
        place::relative(path).map_err(|error| format!("path: {error}"))?;
    }
    let login = values.login(source.credentials.as_ref())?;
    if login.is_some() && transport != Transport::Https {
        return Err("username and password are for https repositories".to_owned());
    }
    let private_key = values.text("privateSSHKey", source.private_key.as_ref())?;
    if private_key.is_some() && transport != Transport::Ssh {
        return Err("privateSSHKey is for ssh repositories".to_owned());
    }
    Ok(GitTask { repository, transport, version, path, login, private_key, skip_host_key_check: source.skip_host_key_check })
}

/// An address stands in the arguments of programs, in reports and in logs.
const NO_SECRETS: &str = "repository holds a query or a password, which every user of this node could read; give username and password, or privateSSHKey, in sourceInfo instead";

/// How a repository is reached: by its scheme, or by ssh for `user@host:path`.
fn transport(repository: &str) -> Result<Transport, String> {
    let refused =
        || format!("repository is {repository:?}, which is no address of a Git repository; it is https://…, ssh://… or user@host:path");
    let Some((scheme, rest)) = repository.split_once("://") else {
        let (host, path) = repository.split_once(':').ok_or_else(refused)?;
        if path.contains('@') && !host.contains('@') {
            return Err(NO_SECRETS.to_owned());
        }
        let sound = |text: &str| !text.is_empty() && !text.starts_with(['-', ':']);
        let host_name = host.rsplit_once('@').map_or(host, |(_, name)| name);
        return if sound(host) && sound(host_name) && sound(path) && !host.contains('/') { Ok(Transport::Ssh) } else { Err(refused()) };
    };
    let host = rest.split('/').next().unwrap_or_default();
    if scheme != "file" && (repository.contains(['?', '#']) || host.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))) {
        return Err(NO_SECRETS.to_owned());
    }
    let transport = match scheme {
        "https" | "http" => {
            is_https(repository).map_err(|why| format!("repository: {why}"))?;
            if scheme == "https" { Transport::Https } else { Transport::Http }
        }
        "ssh" => Transport::Ssh,
        "git" => Transport::Git,
        "file" => Transport::File,
        _ => return Err(refused()),
    };
    let host_name = host.rsplit_once('@').map_or(host, |(_, name)| name);
    let has_host = !host_name.is_empty() && !host_name.starts_with('-') && !host.starts_with('-');
    if has_host || (transport == Transport::File && rest.starts_with('/')) { Ok(transport) } else { Err(refused()) }
}

/// A branch as `git check-ref-format` takes it, without the characters that mean something in a refspec.
fn branch(name: String) -> Result<String, String> {
    let sound = !name.starts_with(['-', '/', '.', '+'])
        && !name.contains("..")
        && !name.ends_with(['/', '.'])
        && !name.chars().any(|one| one.is_whitespace() || one.is_control() || "~^:?*[\\".contains(one));
    if sound { Ok(name) } else { Err(format!("{name:?} is no name of a branch")) }
}

fn commit(id: String) -> Result<String, String> {
    let sound = id.len() == COMMIT_DIGITS && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if sound { Ok(id) } else { Err(format!("the commitID {id:?} is not the 40 hexadecimal digits of a whole commit id")) }
}

/// Downloads the files of a repository, without its history.
pub(crate) fn fetch(
    task: &GitTask,
    all: &DownloadTask,
    environment: &BTreeMap<String, String>,
    budget: &mut Budget,
) -> Result<PathBuf, DownloadError> {
    let search_path = &all.tools.search_path;
    let program = process::find_program(search_path, PROGRAM).ok_or_else(|| DownloadError::NoGit(search_path.clone()))?;
    // Where the files will be, so that they can be renamed; and if it is a folder that is asked for, in it.
    let place = place::folder(&all.destination);
    let near = if all.destination.is_empty() || all.destination.ends_with('/') || place.is_dir() || task.path.is_none() {
        place.clone()
    } else {
        place::parent(&place).to_owned()
    };
    place::make_folder(&near)?;
    // Git names its files from the root on.
    fs::canonicalize(&near).map_err(|_| DownloadError::Unwalkable)?;
    let folder = Partial::create(near.join(&all.partial))?;
    let git = Git::new(program, task, all, &folder.0, environment)?;
    // Every file that Git writes is below the limit; a repository comes in one.
    limit_files(budget.limit()).map_err(|error| DownloadError::Git { command: "fetch", why: error.to_string() })?;
    git.check_out(task, &mut Budget::new(budget.limit()))?;
    let files = folder.0.join("files");
    let root = files.join(".git");
    fs::remove_dir_all(&root).map_err(write_error(&root))?;
    let wanted = task.path.as_ref().map_or_else(|| files.clone(), |path| files.join(path));
    check_inside(&files, &wanted)?;
    let metadata = fs::symlink_metadata(&wanted).map_err(|_| DownloadError::Nothing(task.path.clone().unwrap_or_default()))?;
    measure(&wanted, budget)?;
    if metadata.is_dir() {
        place::make_folder(&place)?;
        merge(&wanted, &place)?;
        return Ok(place);
    }
    let name = wanted.file_name().unwrap_or_else(|| OsStr::new("download")).to_string_lossy().into_owned();
    let target = place::target(&all.destination, &name);
    fs::rename(&wanted, &target).map_err(write_error(&target))?;
    Ok(target)
}

/// Limits the files that this process and those that it starts write. A limit that is lower already stays: only root may raise it.
fn limit_files(bytes: u64) -> nix::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_FSIZE)?;
    setrlimit(Resource::RLIMIT_FSIZE, bytes.min(hard), bytes.min(hard))
}

/// A path in the repository must not lead out of it by a symbolic link.
fn check_inside(files: &Path, wanted: &Path) -> Result<(), DownloadError> {
    let mut folder = files.to_owned();
    for part in wanted.strip_prefix(files).unwrap_or(wanted).parent().into_iter().flat_map(Path::components) {
        folder.push(part);
        if fs::symlink_metadata(&folder).is_ok_and(|metadata| metadata.is_symlink()) {
            return Err(DownloadError::Name(wanted.strip_prefix(files).unwrap_or(wanted).display().to_string()));
        }
    }
    Ok(())
}

/// The folder of what is not complete; it goes when this does.
struct Partial(PathBuf);

impl Partial {
    fn create(path: PathBuf) -> Result<Self, DownloadError> {
        DirBuilder::new().mode(0o700).create(&path).map_err(write_error(&path))?;
        Ok(Self(path))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "what is not complete cannot be removed");
        }
    }
}

struct Git {
    program: PathBuf,
    settings: Vec<String>,
    environment: BTreeMap<String, String>,
    files: PathBuf,
}

impl Git {
    fn new(
        program: PathBuf,
        task: &GitTask,
        all: &DownloadTask,
        folder: &Path,
        environment: &BTreeMap<String, String>,
    ) -> Result<Self, DownloadError> {
        let files = folder.join("files");
        DirBuilder::new().mode(0o755).create(&files).map_err(write_error(&files))?;
        make_repository(&files.join(".git"))?;
        let mut settings: Vec<String> = SETTINGS.map(str::to_owned).into();
        // Git runs in the folder beside them: no absolute path, which a user of jobs may not be able to walk.
        if let Some(login) = &task.login {
            write_secret(&folder.join("credentials"), &store_line(&task.repository, login))?;
            settings.push("credential.helper=store --file=../credentials".to_owned());
        }
        if let Some(file) = authorities_file(all.tools.certificate_authorities.as_deref()) {
            settings.push(format!("http.sslCAInfo={}", file.display()));
        }
        if let Some(key) = &task.private_key {
            write_secret(&folder.join("key"), &format!("{key}\n"))?;
        }
        let mut environment = environment.clone();
        let own = [
            ("GIT_ALLOW_PROTOCOL", task.transport.name()),
            ("GIT_ASKPASS", "true"),
            ("SSH_ASKPASS", "true"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_DIR", ".git"),
            ("GIT_WORK_TREE", "."),
            ("GIT_LFS_SKIP_SMUDGE", "1"),
            ("LC_ALL", "C.UTF-8"),
        ];
        environment.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
        environment.insert("GIT_SSH_COMMAND".to_owned(), ssh_command(task));
        Ok(Self { program, settings, environment, files })
    }

    /// Fetches one version and writes its files.
    fn check_out(&self, task: &GitTask, budget: &mut Budget) -> Result<(), DownloadError> {
        let wanted = match &task.version {
            Version::Default => "HEAD".to_owned(),
            Version::Branch(name) => format!("refs/heads/{name}"),
            Version::Commit(id) => id.clone(),
        };
        let fetched = self.run("fetch", &["--quiet", "--no-tags", "--depth=1", "--", &task.repository, &wanted]);
        let what = match (&task.version, fetched) {
            (Version::Commit(id), Err(_)) => {
                // A server need not give a commit by its id: then it is in the history of a branch.
                self.run("fetch", &["--quiet", "--no-tags", "--", &task.repository, "+refs/heads/*:refs/remotes/origin/*"])?;
                id.as_str()
            }
            (_, fetched) => {
                fetched?;
                "FETCH_HEAD"
            }
        };
        self.measure(what, budget)?;
        self.run("checkout", &["--quiet", "--force", "--detach", what, "--"])
    }

    /// Takes the files of a version out of the budget before any of them is written: a few kilobytes can stand for any number of files.
    fn measure(&self, version: &str, budget: &mut Budget) -> Result<(), DownloadError> {
        let command = "ls-tree";
        let arguments = self.arguments(command, &["-r", "-l", "-z", "--full-tree", version]);
        let status = process::read_program(&self.program, &arguments, &self.environment, &self.files, |output| {
            measure_list(BufReader::new(output), budget)
        });
        match status.map_err(|Listing(error)| error)? {
            status if status.success() => Ok(()),
            status => Err(DownloadError::Git { command, why: status.to_string() }),
        }
    }

    fn arguments(&self, command: &str, rest: &[&str]) -> Vec<String> {
        let settings = self.settings.iter().flat_map(|setting| ["-c".to_owned(), setting.clone()]);
        settings.chain([command.to_owned()]).chain(rest.iter().map(|text| (*text).to_owned())).collect()
    }

    fn run(&self, command: &'static str, rest: &[&str]) -> Result<(), DownloadError> {
        let failed = |why: String| DownloadError::Git { command, why };
        let status = process::run_program(&self.program, &self.arguments(command, rest), &self.environment, &self.files);
        let status = status.map_err(|error| failed(error.to_string()))?;
        if status.success() { Ok(()) } else { Err(failed(status.to_string())) }
    }
}

/// Why a list of files was not read to its end.
struct Listing(DownloadError);

impl From<io::Error> for Listing {
    fn from(error: io::Error) -> Self {
        Self(DownloadError::Git { command: "ls-tree", why: error.to_string() })
    }
}

/// Reads what `git ls-tree -l -z` says: `mode type id size<tab>path<zero>`, with `-` as the size of what is no file.
fn measure_list(mut list: impl BufRead, budget: &mut Budget) -> Result<(), Listing> {
    let mut entry = Vec::new();
    loop {
        entry.clear();
        list.by_ref().take(MAXIMUM_LISTED_BYTES).read_until(0, &mut entry)?;
        if entry.is_empty() {
            return Ok(());
        }
        let front = entry.strip_suffix(&[0]).and_then(|entry| entry.split(|byte| *byte == b'\t').next());
        let front = front.and_then(|front| std::str::from_utf8(front).ok());
        let size = front.and_then(|front| front.split_ascii_whitespace().nth(3)).ok_or(io::ErrorKind::InvalidData);
        let bytes = size.map_err(io::Error::from)?.parse().unwrap_or(0);
        budget.take_entry().and_then(|()| budget.take_bytes(bytes)).map_err(Listing)?;
    }
}

/// What `git init` makes, without its templates and whatever a later version of it may add.
fn make_repository(path: &Path) -> Result<(), DownloadError> {
    for folder in ["objects", "refs"] {
        let folder = path.join(folder);
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(write_error(&folder))?;
    }
    write_secret(&path.join("HEAD"), "ref: refs/heads/none\n")?;
    write_secret(&path.join("config"), "[core]\n\trepositoryformatversion = 0\n\tbare = false\n")
}

/// A line of `git credential-store`: only this host is given them.
fn store_line(repository: &str, login: &Login) -> String {
    let host = repository.strip_prefix("https://").and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    format!("https://{}:{}@{host}\n", encoded(&login.username), encoded(&login.password))
}

/// How Git calls ssh: nothing is asked, and nothing of a user is read but the hosts that they know.
fn ssh_command(task: &GitTask) -> String {
    let mut command = "ssh -F /dev/null -o BatchMode=yes -o PermitLocalCommand=no".to_owned();
    if task.private_key.is_some() {
        command.push_str(" -i ../key -o IdentitiesOnly=yes");
    }
    if task.skip_host_key_check {
        command.push_str(" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null");
    } else {
        command.push_str(" -o StrictHostKeyChecking=yes");
    }
    command
}

fn write_secret(path: &Path, text: &str) -> Result<(), DownloadError> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(write_error(path))?;
    file.write_all(text.as_bytes()).map_err(write_error(path))
}

/// Takes what is there out of the budget.
fn measure(root: &Path, budget: &mut Budget) -> Result<(), DownloadError> {
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let metadata = fs::symlink_metadata(&path).map_err(write_error(&path))?;
        budget.take_entry()?;
        if metadata.is_dir() {
            for entry in fs::read_dir(&path).map_err(write_error(&path))? {
                left.push(entry.map_err(write_error(&path))?.path());
            }
        } else {
            budget.take_bytes(metadata.len())?;
        }
    }
    Ok(())
}

/// Moves everything in a folder into another one. Files replace files; no symbolic link is followed.
fn merge(from: &Path, to: &Path) -> Result<(), DownloadError> {
    let mut left = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = left.pop() {
        for entry in fs::read_dir(&from).map_err(write_error(&from))? {
            let entry = entry.map_err(write_error(&from))?;
            let (source, target) = (entry.path(), to.join(entry.file_name()));
            let is_folder = |path: &Path| fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir());
            if is_folder(&source) && is_folder(&target) {
                left.push((source, target));
            } else {
                fs::rename(&source, &target).map_err(write_error(&target))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
