//! Downloads, as the process of a step does them: it blocks, writes what it did to its standard output, and is killed when it is to stop.

pub(crate) mod git;
pub(crate) mod http;
pub(crate) mod place;
pub(crate) mod s3;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::job::tools::Tools;
use place::{Budget, Incoming};

/// Most files and folders that one step downloads.
pub(crate) const MAXIMUM_ENTRIES: u64 = 100_000;
/// Largest file of credentials, in bytes.
const MAXIMUM_CREDENTIALS_BYTES: u64 = 16 * 1024;
/// What others may not do with it.
const OTHERS: u32 = 0o077;

/// What to download, and where to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DownloadTask {
    pub(crate) source: SourceTask,
    /// From the job's working folder on.
    pub(crate) destination: String,
    /// The name of what is not complete yet, in the folder of what it becomes.
    pub(crate) partial: String,
    pub(crate) tools: Tools,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum SourceTask {
    Http(http::HttpTask),
    Git(git::GitTask),
    S3(s3::S3Task),
    Text { name: String, content: String },
}

/// A name and a password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Login {
    pub(crate) username: String,
    pub(crate) password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(…)")
    }
}

/// Keys of an object store.
pub(crate) struct KeyPair {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
    pub(crate) session_token: Option<String>,
}

impl fmt::Display for SourceTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(task) => f.write_str(http::without_query(&task.url)),
            Self::Git(task) => f.write_str(&task.repository),
            Self::S3(task) => write!(f, "{}/{}", task.base, task.key),
            Self::Text { name, .. } => write!(f, "the document {name}"),
        }
    }
}

/// Why nothing was downloaded, or not all.
#[derive(Debug, Error)]
pub enum DownloadError {
    /// The certificates of authorities cannot be read.
    #[error("the certificates of authorities in {} cannot be read; see the agent's setting certificate_authorities", .path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There are none where distributions have them.
    #[error(
        "this node has no certificates of authorities, by which https servers are checked; install the package ca-certificates, or set certificate_authorities"
    )]
    NoCertificates,
    /// A server did not give it.
    #[error("{url} cannot be downloaded")]
    Http {
        /// The address, without its query.
        url: String,
        /// Why.
        source: Box<ureq::Error>,
    },
    /// A server answers, and not with content: most often it sends us elsewhere.
    #[error(
        "{url} was answered with the status {status} and no content; an object store that answers 301 or 307 has it in another region or at another address, see the agent's settings s3.region and s3.endpoint"
    )]
    NoContent {
        /// The address, without its query.
        url: String,
        /// The status of HTTP.
        status: u16,
    },
    /// A server sent us from https to http.
    #[error("{url} redirects from https to http, which is not followed")]
    Downgrade {
        /// The address, without its query.
        url: String,
    },
    /// The connection ended early.
    #[error("{url} ended after {received} of {announced} bytes")]
    Cut {
        /// The address, without its query.
        url: String,
        /// What came.
        received: u64,
        /// What was to come.
        announced: u64,
    },
    /// There is more than a node takes.
    #[error("there is more than {limit} bytes to download; see the agent's setting download_limit_bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// There are more files than a step downloads.
    #[error("there are more than {MAXIMUM_ENTRIES} files to download")]
    TooMany,
    /// It is something else than what was asked for.
    #[error("the content has the SHA-256 {found} and not {expected}; nothing was kept")]
    Sha256 {
        /// What was asked for.
        expected: String,
        /// What came.
        found: String,
    },
    /// A file or folder cannot be written.
    #[error("{} cannot be written", .path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The keys of the object store cannot be used.
    #[error("the credentials in {} cannot be used: {why}; see the agent's setting s3.credentials_file", .path.display())]
    Credentials {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A request cannot be signed.
    #[error("the request to the object store cannot be signed: {0}")]
    Signing(String),
    /// The object store's list of objects is none.
    #[error("the object store's list of objects cannot be read: {0}")]
    Listing(String),
    /// There is nothing.
    #[error("there is nothing at {0}")]
    Nothing(String),
    /// A name that leaves the destination.
    #[error("{0:?} is no name of a file below the destination")]
    Name(String),
    /// There is no Git.
    #[error("aws:downloadContent with Git needs git, which this node does not have in {0}; install git there")]
    NoGit(String),
    /// Git cannot work where this user is.
    #[error(
        "git needs a folder to which the user that runs the steps can walk from the root, and the job's own folder is none; give an absolute destinationPath, or leave out the agent's setting job_user"
    )]
    Unwalkable,
    /// Git says no; its own words are above.
    #[error("git {command} has failed: {why}")]
    Git {
        /// What it was to do.
        command: &'static str,
        /// Its end.
        why: String,
    },
}

/// Downloads and says on standard output where to.
pub(crate) fn run(task: &DownloadTask, keys: Option<&KeyPair>, environment: &BTreeMap<String, String>) -> Result<(), DownloadError> {
    let mut budget = Budget::new(task.tools.download_limit_bytes);
    let place = match &task.source {
        SourceTask::Http(http) => http::fetch(http, task, &mut budget)?,
        SourceTask::Git(git) => git::fetch(git, task, environment, &mut budget)?,
        SourceTask::S3(s3) => s3::fetch(s3, task, keys, &mut budget)?,
        SourceTask::Text { name, content } => {
            let path = place::target(&task.destination, &place::relative(&format!("{name}.json"))?.display().to_string());
            let mut incoming = Incoming::create(&path, &task.partial, &mut budget)?;
            incoming.write(content.as_bytes(), &mut budget)?;
            incoming.finish(None)?;
            path
        }
    };
    // The words of SSM's agent. Whoever reads them may be gone, and the content is there all the same.
    let _said = writeln!(io::stdout(), "Content downloaded to {}", place::shown(&place).display());
    Ok(())
}

impl DownloadTask {
    /// The keys of the object store, where they are needed and there are any.
    pub(crate) fn credentials(&self) -> Result<Option<KeyPair>, DownloadError> {
        match (&self.source, &self.tools.s3.credentials_file) {
            (SourceTask::S3(task), Some(file)) if task.may_be_signed => read_keys(file).map(Some),
            _ => Ok(None),
        }
    }

    /// What a process that was killed may have left.
    pub(crate) fn leftovers(&self, work: &Path) -> Leftovers {
        let destination = work.join(&self.destination);
        let folders = [Some(destination.clone()), destination.parent().map(Path::to_owned), Some(work.to_owned())];
        let paths = folders.into_iter().flatten().map(|folder| folder.join(&self.partial)).collect();
        // Only what comes from below a prefix goes to folders deeper down.
        let below = matches!(self.source, SourceTask::S3(_)).then_some(destination);
        Leftovers { paths, below, partial: self.partial.clone() }
    }
}

/// Paths that nobody needs any more; their name holds the order's id.
#[derive(Debug)]
pub(crate) struct Leftovers {
    paths: Vec<PathBuf>,
    /// A folder in which one may lie at any depth.
    below: Option<PathBuf>,
    partial: String,
}

impl Leftovers {
    /// Removes what is there.
    pub(crate) fn remove(&self) {
        for path in self.paths.iter().chain(&self.find_below()) {
            let removed = match fs::symlink_metadata(path) {
                Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
                Ok(_) => fs::remove_file(path),
                Err(_) => continue,
            };
            if let Err(error) = removed {
                tracing::warn!(path = %path.display(), %error, "what a download has left cannot be removed");
            }
        }
    }
}

impl Leftovers {
    /// Follows no links, and looks at no more entries than a step makes.
    fn find_below(&self) -> Vec<PathBuf> {
        let (mut found, mut folders) = (Vec::new(), Vec::from_iter(self.below.clone()));
        let mut looks = MAXIMUM_ENTRIES;
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                looks = looks.saturating_sub(1);
                if looks == 0 {
                    return found;
                }
                if entry.file_name() == self.partial.as_str() {
                    found.push(entry.path());
                } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push(entry.path());
                }
            }
        }
        found
    }
}

/// Reads keys as the AWS command line has them, from the first section of a file that only its owner reads.
fn read_keys(path: &Path) -> Result<KeyPair, DownloadError> {
    let unusable = |why: String| DownloadError::Credentials { path: path.to_owned(), why };
    let file = fs::File::open(path).map_err(|error| unusable(error.to_string()))?;
    let mode = file.metadata().map_err(|error| unusable(error.to_string()))?.permissions().mode();
    if mode & OTHERS != 0 {
        return Err(unusable(format!("others may use it (mode {:o}); make it 0600", mode & 0o777)));
    }
    let mut text = String::new();
    file.take(MAXIMUM_CREDENTIALS_BYTES).read_to_string(&mut text).map_err(|error| unusable(error.to_string()))?;
    let mut values = BTreeMap::new();
    let mut sections = 0;
    for line in text.lines().map(str::trim) {
        sections += u32::from(line.starts_with('['));
        if let Some((name, value)) = line.split_once('=')
            && sections <= 1
            && !line.starts_with('#')
        {
            values.insert(name.trim().to_owned(), value.trim().to_owned());
        }
    }
    let mut take = |name: &str| values.remove(name).filter(|value| !value.is_empty());
    let needed = |name: &str, value: Option<String>| value.ok_or_else(|| unusable(format!("{name} is missing")));
    Ok(KeyPair {
        access_key_id: needed("aws_access_key_id", take("aws_access_key_id"))?,
        secret_access_key: needed("aws_secret_access_key", take("aws_secret_access_key"))?,
        session_token: take("aws_session_token"),
    })
}

#[cfg(test)]
mod tests;
