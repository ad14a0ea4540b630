//! `aws:downloadContent`: what its `sourceInfo` says, by source.
//!
//! `sourceInfo` is an object, or a text that holds one, as SSM has it. Its texts stay templates, so that values reach the node as data.
//! A text that is an object only after values were filled in is read after that; then what was filled in is never filled again.

use super::super::content::Format;
use super::super::model::{Document, DownloadInputs, Step};
use super::super::template::{Scope, is_plain, plain_text};
use super::{CompileError, Compiler, Frame, fill_tree, filled, is_reference, of_step, reference, timeout_s};
use flotilla_protocol::capability::command::Parameter;
use flotilla_protocol::document::download::{
    Credentials, DownloadContent, GitSource, GitVersion, HttpSource, MAXIMUM_TEXT_CONTENT_BYTES, S3Source, Source, TextSource,
};
use flotilla_protocol::document::{Segment, Template};
use serde_json::{Map, Value};

/// What a source needs, and what else it takes.
struct Members {
    source: &'static str,
    needed: &'static [&'static str],
    optional: &'static [&'static str],
}

/// The sources. Source: the public agent's `downloadcontent`; `sha256` of all, and `allowInsecureDownload` of Git, are ours.
const SOURCES: [Members; 5] = [
    Members { source: "HTTP", needed: &["url"], optional: &["authMethod", "username", "password", "allowInsecureDownload", "sha256"] },
    Members {
        source: "Git",
        needed: &["repository"],
        optional: &["getOptions", "privateSSHKey", "skipHostKeyChecking", "username", "password", "allowInsecureDownload"],
    },
    Members { source: "GitHub", needed: &["owner", "repository"], optional: &["path", "getOptions", "tokenInfo"] },
    Members { source: "S3", needed: &["path"], optional: &["sha256"] },
    Members { source: "SSMDocument", needed: &["name"], optional: &[] },
];

impl Compiler<'_> {
    pub(super) fn download(&self, frame: &Frame<'_>, step: &Step, inputs: &DownloadInputs) -> Result<DownloadContent, CompileError> {
        let fault = |message: String| of_step(step, message);
        let scope = Scope::of_data(frame.document, frame.first);
        let kind = filled(&scope.split(&inputs.source_type), &self.parameters).map_err(fault)?;
        let members = find_source(&kind).map_err(fault)?;
        let info = Info::read(frame, &scope, &self.parameters, &inputs.source_info).map_err(fault)?;
        check_members(members, &info.members).map_err(fault)?;
        let source = match members.source {
            "HTTP" => info.http(),
            "Git" => info.git(),
            "GitHub" => info.git_hub(),
            "S3" => info.s3(),
            _ => return Ok(self.finish(&scope, step, inputs, self.text(step, &info)?)?),
        };
        let source = source.map_err(|message| fault(format!("sourceInfo: {message}")))?;
        Ok(self.finish(&scope, step, inputs, source)?)
    }

    fn finish(
        &self,
        scope: &Scope<'_>,
        step: &Step,
        inputs: &DownloadInputs,
        source: Source,
    ) -> Result<DownloadContent, super::ParameterError> {
        Ok(DownloadContent {
            source,
            destination_path: inputs.destination_path.as_deref().map(|path| scope.split(path)),
            timeout_s: timeout_s(scope, step, inputs.timeout_seconds.as_ref(), &self.parameters)?,
        })
    }

    /// The document travels with the order: it is read and signed now.
    fn text(&self, step: &Step, info: &Info<'_>) -> Result<Source, CompileError> {
        let fault = |message: String| of_step(step, message);
        let name = info.filled("name").map_err(fault)?.unwrap_or_default();
        let reference = reference(&name).ok_or_else(|| fault("sourceInfo: name is empty".to_owned()))?;
        let Some(document) = self.library.get(&reference) else { return Err(CompileError::Needs(reference)) };
        let bytes = document.json.len();
        if bytes > MAXIMUM_TEXT_CONTENT_BYTES {
            let what = format!("the document {name} has {bytes} bytes as JSON; an order carries at most {MAXIMUM_TEXT_CONTENT_BYTES}");
            return Err(fault(format!("{what}, so put it on a server and download it with HTTP or S3")).into());
        }
        Ok(Source::Text(TextSource { name: reference.name, content: document.json.clone() }))
    }
}

/// What can be known before values are given.
pub(super) fn check(document: &Document, inputs: &DownloadInputs) -> Result<(), (&'static str, String)> {
    let scope = Scope::of_data(document, 0);
    let kind = scope.split(&inputs.source_type);
    if !is_plain(&kind) {
        return Ok(());
    }
    let members = find_source(&plain_text(&kind)).map_err(|what| ("sourceType", what))?;
    let info = match &inputs.source_info {
        Value::Object(info) => info.clone(),
        Value::String(text) => match Format::Json.read(text) {
            Ok(Value::Object(info)) => info,
            _ if !is_plain(&scope.split(text)) => return Ok(()),
            _ => return Err(("sourceInfo", "it holds no JSON object".to_owned())),
        },
        other => return Err(("sourceInfo", format!("{other} is no object and no text that holds one"))),
    };
    check_members(members, &info).map_err(|what| ("sourceInfo", what))
}

fn find_source(name: &str) -> Result<&'static Members, String> {
    let names = SOURCES.each_ref().map(|members| members.source).join(", ");
    SOURCES.iter().find(|members| members.source == name).ok_or_else(|| format!("sourceType is {name:?}; it is one of {names}"))
}

fn check_members(members: &Members, info: &Map<String, Value>) -> Result<(), String> {
    let Members { source, needed, optional } = members;
    let known = || needed.iter().chain(*optional);
    if let Some(unknown) = info.keys().find(|name| !known().any(|known| known == name)) {
        let known: Vec<&str> = known().copied().collect();
        return Err(format!("{unknown} is no member of sourceInfo for {source}; it has {}", known.join(", ")));
    }
    let missing = needed.iter().find(|name| info.get(**name).and_then(Value::as_str).is_none_or(|text| text.trim().is_empty()));
    missing.map_or(Ok(()), |name| Err(format!("{name} is missing in sourceInfo, or no text")))
}

/// `sourceInfo`, with or without places for parameters.
struct Info<'a> {
    members: Map<String, Value>,
    /// None: values were filled in already.
    scope: Option<&'a Scope<'a>>,
    parameters: &'a [Parameter],
}

impl<'a> Info<'a> {
    fn read(frame: &Frame<'_>, scope: &'a Scope<'a>, parameters: &'a [Parameter], info: &Value) -> Result<Self, String> {
        let no_object = || "sourceInfo is no JSON object, and no text that holds one".to_owned();
        let open = |members| Ok(Self { members, scope: Some(scope), parameters });
        let text = match info {
            Value::Object(members) => return open(members.clone()),
            Value::String(text) => text,
            _ => return Err(no_object()),
        };
        if let Ok(Value::Object(members)) = Format::Json.read(text) {
            return open(members);
        }
        let whole = match scope.split(text).0.as_slice() {
            [Segment::Parameter(_)] => fill_tree(frame, scope, info)?,
            _ => Value::String(filled(&scope.split(text), parameters)?),
        };
        let value = match whole {
            Value::String(text) => Format::Json.read(&text).map_err(|error| format!("sourceInfo is no JSON: {error}"))?,
            other => other,
        };
        match value {
            Value::Object(members) => Ok(Self { members, scope: None, parameters }),
            _ => Err(no_object()),
        }
    }

    fn template(&self, text: &str) -> Result<Template, String> {
        let template = self.scope.map_or_else(|| Template::text(text), |scope| scope.split(text));
        if is_reference(text) || is_reference(&filled(&template, self.parameters)?) {
            return Err("the parameter store ({{ssm:…}}, {{ssm-secure:…}}) is not built yet; give the value as a parameter".to_owned());
        }
        Ok(template)
    }

    /// A text; none when it is absent or empty.
    fn text(&self, name: &str) -> Result<Option<Template>, String> {
        let template = match self.members.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => self.template(text).map_err(|what| format!("{name}: {what}"))?,
            Some(other) => return Err(format!("{name} is {other}, which is no text")),
        };
        let is_empty = filled(&template, self.parameters)?.trim().is_empty();
        Ok((!is_empty).then_some(template))
    }

    fn needed(&self, name: &str) -> Result<Template, String> {
        self.text(name)?.ok_or_else(|| format!("{name} is empty"))
    }

    fn filled(&self, name: &str) -> Result<Option<String>, String> {
        let text = self.text(name)?.map(|template| filled(&template, self.parameters)).transpose()?;
        Ok(text.map(|text| text.trim().to_owned()))
    }

    fn flag(&self, name: &str) -> Result<bool, String> {
        let text = match self.members.get(name) {
            Some(Value::Bool(value)) => return Ok(*value),
            _ => self.filled(name)?,
        };
        let word = |text: &str| text.to_ascii_lowercase().parse().map_err(|_| format!("{name} is {text:?}; it is true or false"));
        text.as_deref().map_or(Ok(false), word)
    }

    fn credentials(&self) -> Result<Option<Credentials>, String> {
        match (self.text("username")?, self.text("password")?) {
            (None, None) => Ok(None),
            (username, password) => {
                Ok(Some(Credentials { username: username.unwrap_or_default(), password: password.unwrap_or_default() }))
            }
        }
    }

    fn sha256(&self) -> Result<Option<[u8; 32]>, String> {
        let Some(text) = self.filled("sha256")? else { return Ok(None) };
        read_sha256(&text).map(Some).ok_or_else(|| "sha256 is not 64 hexadecimal digits".to_owned())
    }

    fn http(&self) -> Result<Source, String> {
        let credentials = match self.filled("authMethod")?.as_deref() {
            None | Some("None") => None,
            Some("Basic") => Some(self.credentials()?.ok_or("authMethod is Basic, and username and password are missing")?),
            Some("Digest") => return Err("authMethod Digest is not built; use Basic over https".to_owned()),
            Some(other) => return Err(format!("authMethod is {other:?}; it is None or Basic")),
        };
        let allow_insecure = self.flag("allowInsecureDownload")?;
        Ok(Source::Http(HttpSource { url: self.needed("url")?, credentials, allow_insecure, sha256: self.sha256()? }))
    }

    fn git(&self) -> Result<Source, String> {
        Ok(Source::Git(GitSource {
            repository: self.needed("repository")?,
            version: self.version()?,
            path: None,
            credentials: self.credentials()?,
            private_key: self.text("privateSSHKey")?,
            skip_host_key_check: self.flag("skipHostKeyChecking")?,
            allow_insecure: self.flag("allowInsecureDownload")?,
        }))
    }

    /// What the public agent asks GitHub's own API for is a repository like any other.
    fn git_hub(&self) -> Result<Source, String> {
        if self.text("tokenInfo")?.is_some() {
            return Err("tokenInfo names the parameter store, which is not built yet; use Git with username and password".to_owned());
        }
        let part = |name: &str| {
            let text = self.filled(name)?.unwrap_or_default();
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
            let sound = text.bytes().all(is_name) && !text.is_empty() && !text.starts_with(['.', '-']);
            if sound { self.needed(name) } else { Err(format!("{name} is {text:?}, which is no name on GitHub")) }
        };
        let (owner, repository) = (part("owner")?, part("repository")?);
        let between = |text: &str| Segment::Text(text.to_owned());
        let parts = [vec![between("https://github.com/")], owner.0, vec![between("/")], repository.0];
        Ok(Source::Git(GitSource {
            repository: Template(parts.into_iter().flatten().collect()),
            version: self.version()?,
            path: self.text("path")?,
            credentials: None,
            private_key: None,
            skip_host_key_check: false,
            allow_insecure: false,
        }))
    }

    fn s3(&self) -> Result<Source, String> {
        Ok(Source::S3(S3Source { path: self.needed("path")?, sha256: self.sha256()? }))
    }

    /// `branch:name` or `commitID:id`. What is in front of the colon is read here, what is behind it stays a template.
    fn version(&self) -> Result<GitVersion, String> {
        let Some(template) = self.text("getOptions")? else { return Ok(GitVersion::Default) };
        let refused = || "getOptions is branch:<name> or commitID:<id>".to_owned();
        let text = filled(&template, self.parameters)?;
        let (kind, name) = text.split_once(':').ok_or_else(refused)?;
        if name.trim().is_empty() || name.contains(':') {
            return Err(refused());
        }
        // The kind may itself be a parameter: then the whole is taken as it was filled.
        let name = match template.0.split_first() {
            Some((Segment::Text(first), rest)) if first.contains(':') => {
                let behind = first.split_once(':').map_or("", |(_, behind)| behind).trim_start().to_owned();
                Template(
                    [Segment::Text(behind)].into_iter().filter(|text| *text != Segment::Text(String::new())).chain(rest.to_vec()).collect(),
                )
            }
            _ => Template::text(name.trim()),
        };
        match kind.trim() {
            "branch" => Ok(GitVersion::Branch(name)),
            "commitID" => Ok(GitVersion::Commit(name)),
            _ => Err(refused()),
        }
    }
}

fn read_sha256(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(hash)
}
