//! Objects of S3, and of stores that speak like it.
//!
//! An address may be `s3://bucket/key`, one of Amazon's, or one of the store that the settings name. Only a request to Amazon, or to that
//! store, is ever signed.

use std::path::PathBuf;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use flotilla_protocol::document::download::S3Source;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::Event;
use serde::{Deserialize, Serialize};

use super::http::{Client, is_https};
use super::place::{self, Budget};
use super::{DownloadError, DownloadTask, KeyPair};
use crate::clock;
use crate::job::tools::ObjectStore;
use crate::step::download_content::Values;

/// The service's name in signatures.
const SERVICE: &str = "s3";
/// The region where nothing names one.
const DEFAULT_REGION: &str = "us-east-1";
/// Ends the hosts of Amazon.
const AMAZON: [&str; 2] = ["amazonaws.com", "amazonaws.com.cn"];
/// Host names with addresses of IPv4 and IPv6; the bucket is found without it.
const DUAL_STACK: &str = "dualstack";
/// Host names of the service that is near everywhere: it names no region.
const ACCELERATED: &str = "s3-accelerate";
/// Largest page of a list of objects, in bytes: a thousand keys of 1,024 bytes, percent-encoded, with what stands beside them.
const MAXIMUM_PAGE_BYTES: u64 = 8 * 1024 * 1024;
/// What stays as it is in the path of an object.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');
/// What stays as it is in a query.
const QUERY: &AsciiSet = &PATH.add(b'/');

/// An object, or those below a prefix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct S3Task {
    /// What stands before keys: `https://host/bucket` or `https://bucket.host`.
    pub(crate) base: String,
    pub(crate) key: String,
    pub(crate) region: String,
    /// Whether the node's keys are for this address.
    pub(crate) may_be_signed: bool,
    pub(crate) sha256: Option<[u8; 32]>,
}

/// Reads the address.
pub(crate) fn plan(source: &S3Source, values: &Values<'_>, store: &ObjectStore) -> Result<S3Task, String> {
    let path = values.line("path", &source.path)?;
    Ok(S3Task { sha256: source.sha256, ..address(&path, store)? })
}

fn address(path: &str, store: &ObjectStore) -> Result<S3Task, String> {
    let of_store = || store.region.clone().unwrap_or_else(|| DEFAULT_REGION.to_owned());
    let (bucket, key, amazon) = match path.strip_prefix("s3://") {
        Some(rest) => {
            let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
            (bucket.to_owned(), key.to_owned(), None)
        }
        None => {
            let is_https = is_https(path).map_err(|why| format!("path: {why}"))?;
            let (front, rest) = path.split_once("://").unwrap_or_default();
            let (host, rest) = rest.split_once('/').unwrap_or((rest, ""));
            // In these addresses a plus is a space, as Amazon's own agent has it.
            let decoded =
                percent_decode_str(&rest.replace('+', "%20")).decode_utf8().map_err(|_| "path is not UTF-8".to_owned())?.into_owned();
            let in_path = || match decoded.split_once('/') {
                Some((bucket, key)) => (bucket.to_owned(), key.to_owned()),
                None => (decoded.clone(), String::new()),
            };
            let origin = format!("{front}://{host}");
            match amazon_host(host) {
                Some(AmazonHost { bucket, region, ending }) => {
                    let (bucket, key) = bucket.map_or_else(in_path, |bucket| (bucket, decoded.clone()));
                    (bucket, key, Some((region, ending)))
                }
                None if store.endpoint.as_deref().is_some_and(|endpoint| endpoint != origin) => {
                    return Err(format!(
                        "path is not of the object store of this node ({}); use HTTP for others",
                        store.endpoint.as_deref().unwrap_or_default()
                    ));
                }
                None if !is_https && store.endpoint.is_none() => {
                    return Err("path is not https; a store without it must be named by the agent's setting s3.endpoint".to_owned());
                }
                None => {
                    let (bucket, key) = in_path();
                    check_names(&bucket, &key)?;
                    let may_be_signed = store.endpoint.is_some();
                    return Ok(S3Task { base: format!("{origin}/{bucket}"), key, region: of_store(), may_be_signed, sha256: None });
                }
            }
        }
    };
    check_names(&bucket, &key)?;
    let (named_region, ending) = amazon.unwrap_or((None, AMAZON[0]));
    let (endpoint, region) = match &store.endpoint {
        Some(endpoint) => (endpoint.clone(), of_store()),
        // What the address names is where the bucket is.
        None => {
            let region = named_region.unwrap_or_else(of_store);
            (format!("https://s3.{region}.{ending}"), region)
        }
    };
    Ok(S3Task { base: format!("{endpoint}/{bucket}"), key, region, may_be_signed: true, sha256: None })
}

fn check_names(bucket: &str, key: &str) -> Result<(), String> {
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if bucket.is_empty() || !bucket.bytes().all(sound) || bucket.starts_with('.') {
        return Err(format!("path names the bucket {bucket:?}, which is no name of a bucket"));
    }
    if key.chars().any(char::is_control) {
        return Err("path holds a control character".to_owned());
    }
    Ok(())
}

/// What a host of Amazon says.
struct AmazonHost {
    bucket: Option<String>,
    region: Option<String>,
    /// One of [`AMAZON`].
    ending: &'static str,
}

/// The bucket and the region in a host of Amazon: `s3.amazonaws.com`, `s3.region…`, `s3-region…`, `s3.dualstack.region…`, `s3-accelerate…`,
/// each with or without `bucket.` before it.
fn amazon_host(host: &str) -> Option<AmazonHost> {
    let host = host.split(':').next().unwrap_or_default();
    let (front, ending) = AMAZON.iter().find_map(|ending| Some((host.strip_suffix(ending)?.strip_suffix('.')?, *ending)))?;
    let labels: Vec<&str> = front.split('.').collect();
    let place = labels.iter().rposition(|label| *label == "s3" || label.starts_with("s3-"))?;
    let bucket = labels.get(..place).filter(|labels| !labels.is_empty()).map(|labels| labels.join("."));
    let label = labels.get(place).copied().unwrap_or_default();
    let behind = || labels.iter().skip(place + 1).find(|label| **label != DUAL_STACK).copied();
    let region = if label == ACCELERATED { None } else { label.strip_prefix("s3-").or_else(behind).map(str::to_owned) };
    Some(AmazonHost { bucket, region, ending })
}

/// Downloads an object, or all objects below a prefix that ends in `/` or is no object.
pub(crate) fn fetch(task: &S3Task, all: &DownloadTask, keys: Option<&KeyPair>, budget: &mut Budget) -> Result<PathBuf, DownloadError> {
    let store = Store { client: Client::new(&all.tools, task.base.starts_with("https://"), 0)?, task, keys };
    if !task.key.is_empty() && !task.key.ends_with('/') {
        let name = task.key.rsplit('/').next().unwrap_or_default();
        let path = place::target(&all.destination, &place::relative(name)?.display().to_string());
        match store.save(&task.key, &path, &all.partial, task.sha256, budget) {
            Err(DownloadError::Http { source, .. }) if matches!(*source, ureq::Error::StatusCode(404)) => {}
            done => return done.map(|()| path),
        }
    }
    let prefix = if task.key.is_empty() || task.key.ends_with('/') { task.key.clone() } else { format!("{}/", task.key) };
    let place = place::folder(&all.destination);
    let (mut next, mut found) = (None, false);
    loop {
        // A list without an end has an end.
        budget.take_entry()?;
        let page = store.list(&prefix, next.as_deref())?;
        for key in page.keys {
            // An object whose key ends so stands for a folder.
            let Some(rest) = key.strip_prefix(&prefix).filter(|rest| !rest.is_empty() && !rest.ends_with('/')) else { continue };
            store.save(&key, &place.join(place::relative(rest)?), &all.partial, None, budget)?;
            found = true;
        }
        match page.next {
            Some(token) if next.as_ref() != Some(&token) => next = Some(token),
            _ => break,
        }
    }
    if found { Ok(place) } else { Err(DownloadError::Nothing(format!("{}/{}", task.base, task.key))) }
}

struct Store<'a> {
    client: Client,
    task: &'a S3Task,
    keys: Option<&'a KeyPair>,
}

/// A page of a list of objects.
#[derive(Debug, Default, PartialEq, Eq)]
struct Page {
    keys: Vec<String>,
    next: Option<String>,
}

impl Store<'_> {
    fn save(
        &self,
        key: &str,
        path: &std::path::Path,
        partial: &str,
        sha256: Option<[u8; 32]>,
        budget: &mut Budget,
    ) -> Result<(), DownloadError> {
        let url = format!("{}/{}", self.task.base, utf8_percent_encode(key, PATH));
        self.client.save(&url, &self.headers(&url)?, path, partial, sha256, budget)
    }

    fn list(&self, prefix: &str, next: Option<&str>) -> Result<Page, DownloadError> {
        let encoded = |text: &str| utf8_percent_encode(text, QUERY).to_string();
        let mut url = format!("{}/?encoding-type=url&list-type=2&prefix={}", self.task.base, encoded(prefix));
        if let Some(token) = next {
            url.push_str(&format!("&continuation-token={}", encoded(token)));
        }
        let mut response = self.client.get(&url, &self.headers(&url)?)?;
        let text = response.body_mut().with_config().limit(MAXIMUM_PAGE_BYTES).read_to_string();
        read_page(&text.map_err(|error| DownloadError::Listing(error.to_string()))?).map_err(DownloadError::Listing)
    }

    fn headers(&self, url: &str) -> Result<Vec<(String, String)>, DownloadError> {
        let Some(keys) = self.keys else { return Ok(Vec::new()) };
        signature(url, &self.task.region, keys, clock::time_of_day()).map_err(DownloadError::Signing)
    }
}

/// The headers that sign a `GET`.
fn signature(url: &str, region: &str, keys: &KeyPair, time: SystemTime) -> Result<Vec<(String, String)>, String> {
    let identity =
        Credentials::new(&keys.access_key_id, &keys.secret_access_key, keys.session_token.clone(), None, "flotilla settings").into();
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let parameters = v4::SigningParams::builder().identity(&identity).region(region).name(SERVICE).time(time).settings(settings).build();
    let parameters = parameters.map_err(|error| error.to_string())?.into();
    let request = SignableRequest::new("GET", url, std::iter::empty(), SignableBody::Bytes(b"")).map_err(|error| error.to_string())?;
    let (instructions, _signature) = sign(request, &parameters).map_err(|error| error.to_string())?.into_parts();
    Ok(instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// Reads the answer to ListObjectsV2. With `encoding-type=url` keys hold no character that XML cannot; a store that does not know of that
/// says nothing of it in its answer.
fn read_page(xml: &str) -> Result<Page, String> {
    let mut reader = Reader::from_str(xml);
    let (mut page, mut path, mut text) = (Page::default(), Vec::new(), String::new());
    let (mut is_list, mut is_encoded) = (false, false);
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(element) => {
                path.push(element.local_name().as_ref().to_owned());
                is_list |= path == ["ListBucketResult"];
                text.clear();
            }
            Event::Text(piece) => text.push_str(&piece),
            Event::CData(piece) => text.push_str(&piece),
            Event::GeneralRef(name) => match name.resolve_char_ref().map_err(|error| error.to_string())? {
                Some(one) => text.push(one),
                None => text.push_str(resolve_xml_entity(&name).ok_or_else(|| format!("&{};", &*name))?),
            },
            Event::End(_) => {
                let text = std::mem::take(&mut text);
                match path.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
                    ["ListBucketResult", "Contents", "Key"] => page.keys.push(text),
                    ["ListBucketResult", "NextContinuationToken"] => page.next = Some(text),
                    ["ListBucketResult", "EncodingType"] => is_encoded = text == "url",
                    _ => {}
                }
                path.pop();
            }
            Event::Eof => break,
            _ => {}
        }
    }
    if is_encoded {
        for key in &mut page.keys {
            *key = percent_decode_str(&key.replace('+', "%20")).decode_utf8().map_err(|error| error.to_string())?.into_owned();
        }
    }
    if is_list { Ok(page) } else { Err("it is no ListBucketResult".to_owned()) }
}

#[cfg(test)]
mod tests;
