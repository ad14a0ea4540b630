//! The client against a server that answers what the test says: what it sends, and how it reads every answer.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use flotilla_api::client::{ANSWER_LIMIT, CallError, Client, ClientSettings, SecretAccessKey, SettingsError};
use flotilla_api::commands::{ListCommandsRequest, SendCommandRequest};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};

const SECRET: &str = "the-secret-that-must-not-travel";

struct Seen {
    first_line: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Seen {
    fn header(&self, wanted: &str) -> &str {
        self.headers.iter().find(|(name, _)| name == wanted).map_or("", |(_, value)| value.as_str())
    }
}

/// A server that takes one request, answers the given text, and hands back what it saw.
fn serve_once(answer: String) -> (String, JoinHandle<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let seen = read_request(&mut &stream);
        // A client that has read enough may be gone.
        drop((&stream).write_all(answer.as_bytes()));
        seen
    });
    (endpoint, server)
}

fn read_request(stream: &mut impl Read) -> Seen {
    let mut lines = BufReader::new(stream);
    let mut read_line = || {
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    };
    let first_line = read_line();
    let mut headers = Vec::new();
    loop {
        let line = read_line();
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut seen = Seen { first_line, headers, body: String::new() };
    let mut body = vec![0; seen.header("content-length").parse().unwrap()];
    lines.read_exact(&mut body).unwrap();
    seen.body = String::from_utf8(body).unwrap();
    seen
}

/// The same over TLS, with a certificate for 127.0.0.1 from an authority of its own; gives that authority as PEM too.
fn serve_once_over_tls(answer: String) -> (String, String, JoinHandle<Option<Seen>>) {
    let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("https://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut session = ServerConnection::new(Arc::new(config)).unwrap();
        // A client that does not accept the certificate ends the handshake.
        session.complete_io(&mut socket).ok()?;
        let mut stream = Stream::new(&mut session, &mut socket);
        let seen = read_request(&mut stream);
        stream.write_all(answer.as_bytes()).unwrap();
        Some(seen)
    });
    (endpoint, cert.pem(), server)
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

fn settings(endpoint: &str) -> ClientSettings {
    ClientSettings {
        endpoint: endpoint.to_owned(),
        access_key_id: "AKIDEXAMPLE".to_owned(),
        secret_access_key: SecretAccessKey::new(SECRET.to_owned()),
        region: "eu-central-1".to_owned(),
        ca_certificate_pem: None,
    }
}

fn client(endpoint: &str) -> Client {
    Client::new(settings(endpoint)).unwrap()
}

#[test]
fn sends_a_signed_post_and_reads_the_response() {
    let (endpoint, server) = serve_once(answer("200 OK", r#"{"Command":{"CommandId":"c","NewMember":1},"Other":[]}"#));
    let request = SendCommandRequest { document_name: "AWS-RunShellScript".to_owned(), ..SendCommandRequest::default() };
    let response = client(&endpoint).call(&request).unwrap();
    assert_eq!(response.command.unwrap().command_id.as_deref(), Some("c"));

    let seen = server.join().unwrap();
    assert_eq!(seen.first_line, "POST / HTTP/1.1");
    assert_eq!(seen.header("x-amz-target"), "AmazonSSM.SendCommand");
    assert_eq!(seen.header("content-type"), "application/x-amz-json-1.1");
    assert_eq!(seen.header("host"), endpoint.strip_prefix("http://").unwrap());
    assert_eq!(seen.body, r#"{"DocumentName":"AWS-RunShellScript"}"#);

    let date = seen.header("x-amz-date");
    assert!(date.len() == 16 && date.ends_with('Z'), "{date}");
    let day = date.split_once('T').unwrap().0;
    let expected = format!(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{day}/eu-central-1/ssm/aws4_request, \
         SignedHeaders=amz-sdk-invocation-id;content-type;host;x-amz-date;x-amz-target, Signature="
    );
    let signature = seen.header("authorization").strip_prefix(&expected).unwrap();
    assert!(signature.len() == 64 && signature.bytes().all(|byte| byte.is_ascii_hexdigit()), "{signature}");
    assert!(seen.headers.iter().all(|(_, value)| !value.contains(SECRET)));
}

/// A server that answers each request in turn, by closing the connection where the answer is empty.
fn serve_in_turn(answers: Vec<String>) -> (String, JoinHandle<Vec<Seen>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let answer_next = |answer: String| {
            let (stream, _) = listener.accept().unwrap();
            let seen = read_request(&mut &stream);
            drop((&stream).write_all(answer.as_bytes()));
            seen
        };
        answers.into_iter().map(answer_next).collect()
    });
    (endpoint, server)
}

fn throttled() -> String {
    answer("400 Bad Request", r#"{"__type":"ThrottlingException","message":"busy"}"#)
}

#[test]
fn a_call_whose_answer_is_lost_is_made_again_under_its_name() {
    let made = answer("200 OK", r#"{"Command":{"CommandId":"c"}}"#);
    let unavailable = answer("503 Service Unavailable", "<html>");
    let (endpoint, server) = serve_in_turn(vec![String::new(), throttled(), unavailable, made]);
    let request = SendCommandRequest { document_name: "AWS-RunShellScript".to_owned(), ..SendCommandRequest::default() };
    let mut pauses = Vec::new();
    let response = client(&endpoint).call_repeatable(&request, |pause| {
        pauses.push(pause);
        true
    });
    assert_eq!(response.unwrap().command.unwrap().command_id.as_deref(), Some("c"));
    let seen = server.join().unwrap();
    assert!(seen[0].header("amz-sdk-invocation-id").len() == 32);
    for (index, attempt) in seen.iter().enumerate() {
        assert_eq!(attempt.header("amz-sdk-invocation-id"), seen[0].header("amz-sdk-invocation-id"));
        assert_eq!(attempt.header("amz-sdk-request"), format!("attempt={}; max=4", index + 1));
        assert_eq!(attempt.body, seen[0].body);
    }
    assert!(seen.windows(2).all(|pair| pair[0].header("authorization") != pair[1].header("authorization")));
    assert!(pauses.len() == 3 && pauses.iter().all(|pause| pause.as_millis() >= 1_100), "{pauses:?}");
}

#[test]
fn what_repeated_calls_may_have_done_is_said() {
    let call = |endpoint: &str, goes_on: bool| {
        let error = client(endpoint).call_repeatable(&SendCommandRequest::default(), |_| goes_on).unwrap_err();
        (error.may_have_arrived, error.source)
    };
    // Lost once, and then the bridge is busy: the first may have been done.
    let (endpoint, server) = serve_in_turn(vec![String::new(), throttled(), throttled(), throttled()]);
    assert!(matches!(call(&endpoint, true), (true, CallError::Refused { .. })));
    assert_eq!(server.join().unwrap().len(), 4);
    // Busy only.
    let (endpoint, server) = serve_in_turn(vec![throttled()]);
    assert!(matches!(call(&endpoint, false), (false, CallError::Refused { .. })));
    server.join().unwrap();
    // A refusal for good is not asked twice.
    let (endpoint, server) = serve_in_turn(vec![answer("400 Bad Request", r#"{"__type":"InvalidDocument","message":""}"#)]);
    assert!(matches!(call(&endpoint, true), (false, CallError::Refused { .. })));
    server.join().unwrap();
    // Nothing listens there any more.
    assert!(matches!(call(&endpoint, true), (false, CallError::Connect { .. })));
}

#[test]
fn a_refusal_keeps_its_name_and_words() {
    let body = r#"{"__type":"com.amazonaws.ssm#InvalidFilterKey","message":"no such key"}"#;
    let (endpoint, server) = serve_once(answer("400 Bad Request", body));
    let error = client(&endpoint).call(&ListCommandsRequest::default()).unwrap_err();
    server.join().unwrap();
    match error {
        CallError::Refused { operation: "ListCommands", kind, message, status: 400 } => {
            assert_eq!((kind.as_str(), message.as_str()), ("InvalidFilterKey", "no such key"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_not_the_api_is_malformed() {
    let elsewhere = "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n".to_owned();
    for wrong in [answer("200 OK", "<html>"), answer("502 Bad Gateway", "<html>"), elsewhere] {
        let (endpoint, server) = serve_once(wrong.clone());
        let error = client(&endpoint).call(&ListCommandsRequest::default()).unwrap_err();
        server.join().unwrap();
        assert!(matches!(error, CallError::Malformed { .. }), "{wrong}: {error:?}");
    }
}

#[test]
fn nothing_listening_says_what_to_do() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = client(&endpoint).call(&ListCommandsRequest::default()).unwrap_err();
    assert!(matches!(error, CallError::Connect { .. }), "{error:?}");
    assert!(error.to_string().contains("start the bridge"), "{error}");
}

#[test]
fn operator_env_is_read_only_while_private() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("operator.env");
    let lines = "# made by a test\nAWS_ENDPOINT_URL_SSM=http://127.0.0.1:1\nAWS_ACCESS_KEY_ID=id\n\n\
                 AWS_SECRET_ACCESS_KEY=a+b/c==\nAWS_DEFAULT_REGION=eu-central-1\n";
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).unwrap();
    file.write_all(lines.as_bytes()).unwrap();
    let settings = ClientSettings::from_operator_env(&path).unwrap();
    assert_eq!(settings.endpoint, "http://127.0.0.1:1");
    assert_eq!(settings.secret_access_key.expose(), "a+b/c==");
    assert_eq!(settings.region, "eu-central-1");

    file.write_all(b"no equals sign\n").unwrap();
    assert!(matches!(ClientSettings::from_operator_env(&path), Err(SettingsError::Line { line: 7, .. })));

    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(ClientSettings::from_operator_env(&path), Err(SettingsError::Exposed { .. })));
    assert!(matches!(ClientSettings::from_operator_env(&folder.path().join("absent")), Err(SettingsError::Unreadable { .. })));
}

#[test]
fn a_certificate_that_is_none_is_refused_at_once() {
    for pem in ["", "no pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
        let mut settings = settings("https://bridge.example");
        settings.ca_certificate_pem = Some(pem.to_owned());
        assert!(matches!(Client::new(settings), Err(SettingsError::Certificate)), "{pem:?}");
    }
}

#[test]
fn https_is_spoken_with_the_authority_that_is_given_and_no_other() {
    let (endpoint, authority, server) = serve_once_over_tls(answer("200 OK", "{}"));
    let mut known = settings(&endpoint);
    known.ca_certificate_pem = Some(authority.clone());
    assert!(Client::new(known).unwrap().call(&ListCommandsRequest::default()).is_ok());
    assert_eq!(server.join().unwrap().unwrap().header("x-amz-target"), "AmazonSSM.ListCommands");

    // The public authorities, and that of another fleet, vouch for nothing here.
    for wrong in [None, Some(authority)] {
        let (endpoint, _, server) = serve_once_over_tls(answer("200 OK", "{}"));
        let mut unknown = settings(&endpoint);
        unknown.ca_certificate_pem = wrong;
        let error = Client::new(unknown).unwrap().call(&ListCommandsRequest::default()).unwrap_err();
        assert!(error.to_string().contains("--ca-certificate"), "{error}: {error:?}");
        assert!(server.join().unwrap().is_none(), "no request was made");
    }
}

#[test]
fn an_answer_that_is_too_long_is_not_read() {
    let length = usize::try_from(ANSWER_LIMIT).unwrap() + 1;
    let long = answer("200 OK", &format!("{{}}{}", " ".repeat(length - 2)));
    let (endpoint, server) = serve_once(long);
    let error = client(&endpoint).call(&ListCommandsRequest::default()).unwrap_err();
    assert!(matches!(&error, CallError::Malformed { reason, .. } if reason.contains("longer")), "{error:?}");
    drop(server.join());
}
