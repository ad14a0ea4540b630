//! A web server on a loopback port, with and without TLS, and on it a store of objects that checks the signature of every request with the
//! official implementation. It serves one request a connection.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

pub(crate) const KEY_ID: &str = "AKIDEXAMPLE";
pub(crate) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
pub(crate) const REGION: &str = "local-1";
/// `admin:open sesame`
const BASIC: &str = "Basic YWRtaW46b3BlbiBzZXNhbWU=";
const SCRIPT: &str = "#!/bin/sh\necho hello\n";
const KEY_CHARACTERS: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'/');

/// A running server; it ends with the test's process.
pub(crate) struct Server {
    pub(crate) port: u16,
    /// The paths that were asked for.
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
    /// Where requests to `/elsewhere/…` are sent.
    pub(crate) elsewhere: Arc<Mutex<String>>,
}

struct Request {
    target: String,
    headers: BTreeMap<String, String>,
}

impl Server {
    /// Plain.
    pub(crate) fn http() -> Self {
        Self::start(None).0
    }

    /// With TLS; also the certificate by which it is checked, in PEM.
    pub(crate) fn https() -> (Self, String) {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        let (server, ()) = Self::start(Some(Arc::new(config)));
        (server, made.cert.pem())
    }

    fn start(tls: Option<Arc<ServerConfig>>) -> (Self, ()) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (asked, elsewhere) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(String::new())));
        let (log, other) = (asked.clone(), elsewhere.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, tls, log, other) = (stream.unwrap(), tls.clone(), log.clone(), other.clone());
                std::thread::spawn(move || {
                    // A client that goes away in the midst is what some tests are about.
                    let _served = match tls {
                        Some(config) => serve(&mut StreamOwned::new(ServerConnection::new(config).unwrap(), stream), port, &log, &other),
                        None => serve(&mut { stream }, port, &log, &other),
                    };
                });
            }
        });
        (Self { port, asked, elsewhere }, ())
    }
}

fn read_request(stream: &mut impl Read) -> std::io::Result<Request> {
    let mut bytes = Vec::new();
    let mut one = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        if stream.read(&mut one)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        bytes.push(one[0]);
    }
    let text = String::from_utf8(bytes).unwrap();
    let mut lines = text.lines();
    let target = lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
    let headers = lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    Ok(Request { target, headers: headers.collect() })
}

fn serve(stream: &mut (impl Read + Write), port: u16, asked: &Mutex<Vec<String>>, elsewhere: &Mutex<String>) -> std::io::Result<()> {
    let request = read_request(stream)?;
    let path = request.target.split('?').next().unwrap().to_owned();
    asked.lock().unwrap().push(path.clone());
    let authorized = request.headers.get("authorization").is_some_and(|given| given == BASIC);
    let redirect = |stream: &mut dyn Write, to: &str| {
        stream.write_all(format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").as_bytes())
    };
    match path.as_str() {
        "/files/hello.sh" => answer(stream, 200, SCRIPT.as_bytes())?,
        "/private/hello.txt" if authorized => answer(stream, 200, b"open\n")?,
        "/private/hello.txt" => answer(stream, 401, b"")?,
        "/big" => answer(stream, 200, &vec![7; 200_000])?,
        "/big-unannounced" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")?;
            stream.write_all(&vec![7; 200_000])?;
        }
        "/cut" => stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\nconnection: close\r\n\r\nonly this")?,
        "/slow" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\nconnection: close\r\n\r\nbegun")?;
            stream.flush()?;
            loop {
                std::thread::sleep(Duration::from_millis(100));
                stream.write_all(b".")?;
                stream.flush()?;
            }
        }
        "/elsewhere" => redirect(stream, &elsewhere.lock().unwrap().clone())?,
        path if path.starts_with("/redirects/") => {
            let left: u32 = path.rsplit('/').next().unwrap().parse().unwrap();
            let to = if left == 0 { "/files/hello.sh".to_owned() } else { format!("/redirects/{}", left - 1) };
            redirect(stream, &to)?;
        }
        // As Amazon answers for a bucket in another region.
        "/bucket/moved/301" => answer(stream, 301, b"<Error><Code>PermanentRedirect</Code></Error>")?,
        "/bucket/moved/307" => redirect_with(stream, 307, "/files/hello.sh", b"<Error><Code>TemporaryRedirect</Code></Error>")?,
        path if path.starts_with("/bucket/") => match is_signed(&request, port) {
            true => store(stream, &request)?,
            false => answer(stream, 403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>")?,
        },
        _ => answer(stream, 404, b"nothing here")?,
    }
    stream.flush()
}

fn redirect_with(stream: &mut impl Write, status: u16, to: &str, body: &[u8]) -> std::io::Result<()> {
    let length = body.len();
    stream.write_all(
        format!("HTTP/1.1 {status} Said\r\nlocation: {to}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n").as_bytes(),
    )?;
    stream.write_all(body)
}

fn answer(stream: &mut impl Write, status: u16, body: &[u8]) -> std::io::Result<()> {
    stream.write_all(format!("HTTP/1.1 {status} Said\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len()).as_bytes())?;
    stream.write_all(body)
}

/// The objects of the bucket.
fn objects() -> BTreeMap<&'static str, &'static str> {
    [
        ("scripts/", ""),
        ("scripts/a file.txt", "open\n"),
        ("scripts/deep/b+c.txt", "deep\n"),
        ("scripts/ä&b.txt", "umlaut\n"),
        ("scriptsless.txt", "another prefix\n"),
        ("evil/../../outside", "never\n"),
    ]
    .into()
}

fn store(stream: &mut impl Write, request: &Request) -> std::io::Result<()> {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().unwrap().into_owned();
    if query.is_empty() {
        let key = decoded(path.strip_prefix("/bucket/").unwrap());
        return match objects().get(key.as_str()) {
            Some(content) => answer(stream, 200, content.as_bytes()),
            None => answer(stream, 404, b"<Error><Code>NoSuchKey</Code></Error>"),
        };
    }
    let value = |name: &str| query.split('&').find_map(|part| Some(decoded(part.strip_prefix(name)?.strip_prefix('=')?)));
    assert_eq!((value("list-type").as_deref(), value("encoding-type").as_deref()), (Some("2"), Some("url")));
    // Pages of one key.
    let (prefix, after) = (value("prefix").unwrap(), value("continuation-token").unwrap_or_default());
    let mut keys = objects().into_keys().filter(|key| key.starts_with(&prefix) && *key > after.as_str());
    let mut xml =
        "<?xml version=\"1.0\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><EncodingType>url</EncodingType>"
            .to_owned();
    if let Some(key) = keys.next() {
        xml.push_str(&format!("<Contents><Key>{}</Key><Size>1</Size></Contents>", utf8_percent_encode(key, KEY_CHARACTERS)));
        if keys.next().is_some() {
            xml.push_str(&format!("<NextContinuationToken>{key}</NextContinuationToken>"));
        }
    }
    answer(stream, 200, format!("{xml}</ListBucketResult>").as_bytes())
}

/// Signs the request as it came, with the time that it names, and compares.
fn is_signed(request: &Request, port: u16) -> bool {
    let (Some(authorization), Some(date)) = (request.headers.get("authorization"), request.headers.get("x-amz-date")) else { return false };
    if !authorization.contains(&format!("Credential={KEY_ID}/")) || !authorization.contains(&format!("/{REGION}/s3/")) {
        return false;
    }
    let identity = Credentials::new(KEY_ID, SECRET, None, None, "test").into();
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    // The formatted time is what is signed: any time in that second gives the same signature.
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(REGION)
        .name("s3")
        .time(time(date))
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let url = format!("http://127.0.0.1:{port}{}", request.target);
    let signable = SignableRequest::new("GET", url, std::iter::empty(), SignableBody::Bytes(b"")).unwrap();
    let (instructions, _) = sign(signable, &parameters).unwrap().into_parts();
    instructions.headers().any(|(name, value)| name.eq_ignore_ascii_case("authorization") && value == authorization)
}

/// `20270115T080000Z`
fn time(date: &str) -> SystemTime {
    let number = |range: std::ops::Range<usize>| date.get(range).unwrap().parse::<u64>().unwrap();
    let (year, month, day) = (number(0..4), number(4..6), number(6..8));
    // Days since 1970, with years that begin in March.
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1 - 719_468;
    SystemTime::UNIX_EPOCH + Duration::from_secs(days * 86_400 + number(9..11) * 3600 + number(11..13) * 60 + number(13..15))
}

/// Whether a port takes connections.
pub(crate) fn is_open(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}
