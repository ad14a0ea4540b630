//! `aws:downloadContent`: what a node fetches, and where it puts it.

use super::{TIMEOUT_S, Template};
use crate::wire::{Check, DecodeError, limit};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Largest document that travels inside an order, in bytes: an order is at most 64 KiB with everything in it.
pub const MAXIMUM_TEXT_CONTENT_BYTES: usize = 48 * 1024;
/// Longest name of a document that travels inside an order, in bytes (AWS: 128).
const MAXIMUM_DOCUMENT_NAME_BYTES: usize = 128;

/// `aws:downloadContent`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DownloadContent {
    /// Where the content is.
    pub source: Source,
    /// Where it goes: an absolute path, or one from the job's own folder; that folder when absent or empty.
    pub destination_path: Option<Template>,
    /// How long it may take, in [`TIMEOUT_S`].
    pub timeout_s: u32,
}

/// Where content is. Appended to only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// `HTTP`
    Http(HttpSource),
    /// `Git`, and `GitHub`
    Git(GitSource),
    /// `S3`, or a service that speaks like it.
    S3(S3Source),
    /// `SSMDocument`: its text stands in the order, since nodes cannot ask for it.
    Text(TextSource),
}

/// A file on a web server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpSource {
    /// Its address.
    pub url: Template,
    /// Sent as Basic authentication.
    pub credentials: Option<Credentials>,
    /// Whether `http` will do; else only `https`.
    pub allow_insecure: bool,
    /// What the content must be.
    pub sha256: Option<[u8; 32]>,
}

/// A name and a password. Both stand in the order, as everything that a document says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// The name.
    pub username: Template,
    /// The password.
    pub password: Template,
}

/// The files of a Git repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitSource {
    /// Its address, or `user@host:path`.
    pub repository: Template,
    /// Which of its versions.
    pub version: GitVersion,
    /// A file or folder in it; all of it when absent or empty.
    pub path: Option<Template>,
    /// For `https`.
    pub credentials: Option<Credentials>,
    /// For `ssh`: a private key as text.
    pub private_key: Option<Template>,
    /// Whether the key of an `ssh` server is taken as it comes.
    pub skip_host_key_check: bool,
    /// Whether `http`, `git` and `file` will do; else only `https` and `ssh`.
    pub allow_insecure: bool,
}

/// A version of a Git repository.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum GitVersion {
    /// What the repository calls its default.
    #[default]
    Default,
    /// The tip of a branch.
    Branch(Template),
    /// A commit by its full id.
    Commit(Template),
}

/// An object, or all objects below a prefix that ends in `/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct S3Source {
    /// Its address.
    pub path: Template,
    /// What the content of the object must be.
    pub sha256: Option<[u8; 32]>,
}

/// A document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextSource {
    /// Its name.
    pub name: String,
    /// Its text, in JSON. At most [`MAXIMUM_TEXT_CONTENT_BYTES`].
    pub content: String,
}

impl DownloadContent {
    pub(super) fn check_parameters<'a>(&'a self, parameters: usize) -> Result<(), DecodeError> {
        let mut templates: Vec<&Template> = self.destination_path.iter().collect();
        let both = |credentials: &'a Option<Credentials>| credentials.iter().flat_map(|both| [&both.username, &both.password]);
        match &self.source {
            Source::Http(http) => {
                templates.push(&http.url);
                templates.extend(both(&http.credentials));
            }
            Source::Git(git) => {
                templates.push(&git.repository);
                templates.extend(git.path.iter().chain(&git.private_key));
                match &git.version {
                    GitVersion::Default => {}
                    GitVersion::Branch(version) | GitVersion::Commit(version) => templates.push(version),
                }
                templates.extend(both(&git.credentials));
            }
            Source::S3(s3) => templates.push(&s3.path),
            Source::Text(_) => {}
        }
        templates.into_iter().try_for_each(|template| template.check(parameters))
    }
}

impl Check for DownloadContent {
    fn check(&self) -> Result<(), DecodeError> {
        if let Source::Text(text) = &self.source {
            limit((1..=MAXIMUM_DOCUMENT_NAME_BYTES).contains(&text.name.len()), "the name of a document in an order")?;
            // It names a file.
            limit(!text.name.chars().any(|one| one == '/' || one.is_control()), "the characters in the name of a document in an order")?;
            limit(text.content.len() <= MAXIMUM_TEXT_CONTENT_BYTES, "the text of a document in an order")?;
        }
        limit(TIMEOUT_S.contains(&self.timeout_s), "the time-out of a step")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Segment;
    use alloc::vec;

    #[test]
    fn every_template_is_checked_and_every_limit_kept() {
        let (known, unknown) = (|| Template(vec![Segment::Parameter(0)]), || Template(vec![Segment::Parameter(1)]));
        let both = |username, password| Some(Credentials { username, password });
        let http = |url, credentials| Source::Http(HttpSource { url, credentials, allow_insecure: false, sha256: None });
        let git = |repository, version, path, credentials, private_key| {
            Source::Git(GitSource {
                repository,
                version,
                path,
                credentials,
                private_key,
                skip_host_key_check: false,
                allow_insecure: false,
            })
        };
        let download = |source, destination_path| DownloadContent { source, destination_path, timeout_s: 60 };
        let good = [
            download(http(known(), both(known(), known())), Some(known())),
            download(git(known(), GitVersion::Branch(known()), Some(known()), both(known(), known()), Some(known())), None),
            download(Source::S3(S3Source { path: known(), sha256: None }), None),
        ];
        for download in good {
            assert_eq!((download.check(), download.check_parameters(1)), (Ok(()), Ok(())));
        }
        for source in [
            http(unknown(), None),
            http(known(), both(unknown(), known())),
            http(known(), both(known(), unknown())),
            git(unknown(), GitVersion::Default, None, None, None),
            git(known(), GitVersion::Branch(unknown()), None, None, None),
            git(known(), GitVersion::Commit(unknown()), None, None, None),
            git(known(), GitVersion::Default, Some(unknown()), None, None),
            git(known(), GitVersion::Default, None, both(known(), unknown()), None),
            git(known(), GitVersion::Default, None, None, Some(unknown())),
            Source::S3(S3Source { path: unknown(), sha256: None }),
        ] {
            assert!(download(source.clone(), None).check_parameters(1).is_err(), "{source:?}");
        }
        let text = |name: &str, bytes| Source::Text(TextSource { name: name.into(), content: "x".repeat(bytes) });
        assert!(download(text("A", MAXIMUM_TEXT_CONTENT_BYTES), Some(unknown())).check_parameters(1).is_err());
        assert!(download(text("A", MAXIMUM_TEXT_CONTENT_BYTES), None).check().is_ok());
        assert!(download(text("A", MAXIMUM_TEXT_CONTENT_BYTES + 1), None).check().is_err());
        for name in ["", "/etc/cron.d/x", "a/b", "a\0b", "a\nb"] {
            assert!(download(text(name, 1), None).check().is_err(), "{name:?}");
        }
        assert!(DownloadContent { timeout_s: 4, ..download(text("A", 1), None) }.check().is_err());
    }
}
