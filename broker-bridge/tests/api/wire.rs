//! The door of the API: signatures, replay, access, limits, and an answer for every operation of the model.

use crate::support::{Bridge, Key, NOW_MS};
use flotilla_api::operations;
use flotilla_broker_bridge::command::registry;
use flotilla_broker_bridge::platform::files::{create_public, create_secret};
use flotilla_broker_bridge::platform::http::{Access, Api, Listener, MAXIMUM_BODY_BYTES, TlsFiles};
use flotilla_broker_bridge::platform::pki::FleetCa;
use flotilla_broker_bridge::platform::shutdown::shutdown;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const LIST: &str = "ListDocuments";

#[tokio::test]
async fn health_needs_no_signature_and_says_nothing_else() {
    let bridge = Bridge::start().await;
    let answer = bridge.exchange(b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\nok\n"), "{answer}");
    for other in ["GET / HTTP/1.1", "GET /fleet.db HTTP/1.1", "PUT /health HTTP/1.1", "POST /x HTTP/1.1"] {
        let answer = bridge.exchange(format!("{other}\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("UnknownOperationException"), "{answer}");
    }
}

#[tokio::test]
async fn only_a_fresh_and_fitting_signature_gets_in() {
    let bridge = Bridge::start().await;
    let good = bridge.sign(&bridge.admin, LIST, "{}");
    let answer = bridge.send(&good).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    assert!(answer.headers.contains("x-amzn-requestid: ") && answer.headers.contains("content-type: application/x-amz-json-1.1"));
    let wrong_secret = Key { secret: "x".repeat(40), ..bridge.admin.clone() };
    let wrong_id = Key { id: "FLAAAAAAAAAAAAAAAAAA".to_owned(), ..bridge.admin.clone() };
    let mut unsigned = good.clone();
    unsigned.headers.retain(|(name, _)| name != "authorization");
    let mut tampered = good.clone();
    tampered.body = b"{ }".to_vec();
    let old = bridge.sign_at(&bridge.admin, LIST, "{}", NOW_MS - 15 * 60_000 - 1000);
    for (request, expected) in [
        (unsigned, "MissingAuthenticationTokenException"),
        (bridge.sign(&wrong_secret, LIST, "{}"), "InvalidSignatureException"),
        (bridge.sign(&wrong_id, LIST, "{}"), "UnrecognizedClientException"),
        (tampered, "InvalidSignatureException"),
        (old, "InvalidSignatureException"),
        (good.clone().set("x-amz-target", "AmazonSSM.ListCommands"), "InvalidSignatureException"),
        (good.clone().set("host", "other.example"), "InvalidSignatureException"),
        (good.clone().set("authorization", "AWS4-HMAC-SHA256 nothing"), "IncompleteSignatureException"),
        (good.clone().set("x-amz-security-token", "x"), "UnrecognizedClientException"),
    ] {
        let answer = bridge.send(&request).await;
        assert_eq!((answer.status, answer.error()), (400, expected), "{}", answer.message());
        assert!(answer.headers.contains("x-amzn-requestid: "));
    }
}

#[tokio::test]
async fn a_captured_change_works_once_and_a_captured_look_as_often_as_it_is_fresh() {
    let bridge = Bridge::start().await;
    let node = bridge.node(1).await;
    let body = json!({"ResourceType": "ManagedInstance", "ResourceId": node, "Tags": [{"Key": "a", "Value": "b"}]}).to_string();
    let change = bridge.sign(&bridge.admin, "AddTagsToResource", &body);
    assert_eq!(bridge.send(&change).await.status, 200);
    assert_eq!(bridge.send(&change).await.error(), "InvalidSignatureException");
    let twin = change.clone().set("amz-sdk-invocation-id", "another");
    assert_eq!(bridge.send(&twin).await.status, 200, "an honest second call in the same second");
    bridge.clock.advance(Duration::from_secs(3));
    let forged = change.clone().set("amz-sdk-invocation-id", "a third");
    assert_eq!(bridge.send(&forged).await.error(), "InvalidSignatureException");
    let look = bridge.sign(&bridge.admin, LIST, "{}");
    for _ in 0..3 {
        assert_eq!(bridge.send(&look).await.status, 200);
    }
}

#[tokio::test]
async fn a_change_that_was_signed_before_the_start_is_refused_and_a_look_is_not() {
    let bridge = Bridge::start().await;
    let body = json!({"Name": "greet"}).to_string();
    let change = bridge.sign_at(&bridge.admin, "DeleteDocument", &body, NOW_MS - 1000);
    assert_eq!(bridge.send(&change).await.error(), "InvalidSignatureException");
    let look = bridge.sign_at(&bridge.admin, LIST, "{}", NOW_MS - 1000);
    assert_eq!(bridge.send(&look).await.status, 200);
}

#[tokio::test]
async fn a_refused_request_may_be_sent_again_as_it_is() {
    let bridge = Bridge::start().await;
    let key = bridge.user("eve", Access::Viewer).await;
    let request = bridge.sign(&key, "DeleteDocument", r#"{"Name":"abc"}"#);
    for _ in 0..2 {
        assert_eq!(bridge.send(&request).await.error(), "AccessDeniedException");
    }
}

#[tokio::test]
async fn every_operation_of_the_model_answers_and_none_with_a_failure() {
    let bridge = Bridge::start().await;
    let built: BTreeSet<&str> = registry().operations().map(|(name, _)| name).collect();
    for listed in operations::all() {
        let answer = bridge.call(&bridge.admin, listed.name, json!({})).await;
        assert!(answer.status < 500 || listed.unbuilt_error == "InternalServerError", "{}: {:?}", listed.name, answer.body);
        if !built.contains(listed.name) {
            assert_eq!((answer.status, answer.error()), (400, listed.unbuilt_error), "{}", listed.name);
        }
    }
    assert_eq!(bridge.call(&bridge.admin, "MakeCoffee", json!({})).await.error(), "UnknownOperationException");
}

#[test]
fn what_the_contract_calls_built_has_an_endpoint() {
    let endpoints: Vec<&str> = registry().operations().map(|(name, _)| name).collect();
    assert_eq!(endpoints, operations::BUILT);
}

#[tokio::test]
async fn roles_are_held_for_every_endpoint() {
    let bridge = Bridge::start().await;
    let keys = [
        (Access::Viewer, bridge.user("viewer", Access::Viewer).await),
        (Access::Operator, bridge.user("operator", Access::Operator).await),
        (Access::Admin, bridge.user("admin2", Access::Admin).await),
    ];
    for (operation, needed) in registry().operations() {
        let reads = ["Describe", "Get", "List"].iter().any(|verb| operation.starts_with(verb));
        assert_eq!(reads, needed == Access::Viewer, "{operation}: who looks is a viewer, who changes is not");
        for (access, key) in &keys {
            let answer = bridge.call(key, operation, json!({})).await;
            assert_eq!(answer.error() == "AccessDeniedException", *access < needed, "{operation} by {access:?}: {:?}", answer.body);
        }
    }
}

#[tokio::test]
async fn form_and_size_are_checked() {
    let bridge = Bridge::start().await;
    let unknown = bridge.call(&bridge.admin, LIST, json!({"Colour": 1})).await;
    assert_eq!(unknown.error(), "ValidationException");
    assert!(unknown.message().contains("Colour"), "{}", unknown.message());
    let form = bridge.sign(&bridge.admin, LIST, "{}").set("content-type", "application/json");
    assert_eq!(bridge.send(&form).await.error(), "ValidationException");
    let largest = " ".repeat(MAXIMUM_BODY_BYTES);
    assert_eq!(bridge.send(&bridge.sign(&bridge.admin, LIST, &largest)).await.error(), "ValidationException");
    let larger = " ".repeat(MAXIMUM_BODY_BYTES + 1);
    let answer = bridge.send(&bridge.sign(&bridge.admin, LIST, &larger)).await;
    assert_eq!((answer.status, answer.error()), (413, "RequestEntityTooLargeException"));
    let mut many = bridge.sign(&bridge.admin, LIST, "{}");
    many.headers.extend((0..100).map(|number| (format!("x-{number}"), "x".to_owned())));
    assert_eq!(bridge.send(&many).await.status, 431);
    let long = bridge.sign(&bridge.admin, LIST, "{}").set("x-long", &"x".repeat(64 * 1024));
    assert_eq!(bridge.send(&long).await.status, 431);
}

#[tokio::test]
async fn plain_http_stays_on_this_machine() {
    for address in ["0.0.0.0:0", "192.0.2.1:0", "[::]:0"] {
        let error = Listener::bind(address.parse().unwrap(), None).await.unwrap_err().to_string();
        assert!(error.contains("certificate"), "{error}");
    }
}

#[tokio::test]
async fn https_answers_with_the_certificate_that_was_set() {
    let bridge = Bridge::start().await;
    let folder = tempfile::tempdir().unwrap();
    let authority = FleetCa::create("test", NOW_MS / 1000).unwrap();
    let issued = authority.issue_server(&["localhost".to_owned()], NOW_MS / 1000, 30).unwrap();
    let files = TlsFiles { certificate: folder.path().join("api.pem"), key: folder.path().join("api.key") };
    create_public(&files.certificate, issued.certificate_pem().as_bytes()).unwrap();
    create_secret(&files.key, issued.private_key_pem().as_bytes()).unwrap();
    let listener = Listener::bind("0.0.0.0:0".parse().unwrap(), Some(&files)).await.unwrap();
    assert!(listener.url().starts_with("https://"));
    let port = listener.address().port();
    let (_switch, wish) = shutdown();
    tokio::spawn(listener.serve(Api::new(Arc::clone(&bridge.fleet), registry()).router(), wish));

    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from(authority.certificate_der().to_vec())).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer).await);
    assert!(answer.ends_with(b"ok\n"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn a_stop_ends_idle_connections_and_frees_the_port() {
    let bridge = Bridge::start().await;
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), None).await.unwrap();
    let address = listener.address();
    let (switch, wish) = shutdown();
    let serving = tokio::spawn(listener.serve(Api::new(Arc::clone(&bridge.fleet), registry()).router(), wish));
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    switch.request();
    tokio::time::timeout(Duration::from_secs(5), serving).await.expect("a kept connection does not hold the stop up").unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}
