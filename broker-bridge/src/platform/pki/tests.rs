//! The chains, as rustls and as OpenSSL see them.

use super::*;
use rustls::RootCertStore;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::ring;
use rustls::pki_types::{ServerName, UnixTime};
use std::path::Path;
use std::sync::Arc;

const NOW: u64 = 1_800_000_000;
const NODE: &str = "mi-66687aadf862bd776";

fn node_key() -> ed25519_dalek::SigningKey {
    ed25519_dalek::SigningKey::from_bytes(&[7; 32])
}

fn roots(authority: &FleetCa) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(authority.certificate_der().to_vec())).unwrap();
    Arc::new(roots)
}

fn client_is_accepted(authority: &FleetCa, certificate: &[u8], at_s: u64) -> bool {
    let provider = Arc::new(ring::default_provider());
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(roots(authority), provider);
    let at = UnixTime::since_unix_epoch(Duration::from_secs(at_s));
    verifier.build().unwrap().verify_client_cert(&CertificateDer::from(certificate), &[], at).is_ok()
}

fn server_is_accepted(authority: &FleetCa, certificate: &[u8], name: &'static str) -> bool {
    let provider = Arc::new(ring::default_provider());
    let verifier = rustls::client::WebPkiServerVerifier::builder_with_provider(roots(authority), provider);
    let at = UnixTime::since_unix_epoch(Duration::from_secs(NOW));
    let name = ServerName::try_from(name).unwrap();
    let certificate = CertificateDer::from(certificate);
    verifier.build().unwrap().verify_server_cert(&certificate, &[], &name, &[], at).is_ok()
}

#[test]
fn a_server_certificate_answers_to_its_names_only() {
    let authority = FleetCa::create("north", NOW).unwrap();
    let names = ["broker.example.net".to_owned(), "192.0.2.7".to_owned(), "::1".to_owned()];
    let server = authority.issue_server(&names, NOW, 90).unwrap();
    for (name, expected) in
        [("broker.example.net", true), ("192.0.2.7", true), ("::1", true), ("other.example.net", false), ("192.0.2.8", false)]
    {
        assert_eq!(server_is_accepted(&authority, &server.certificate_der, name), expected, "{name}");
    }
    assert!(!client_is_accepted(&authority, &server.certificate_der, NOW), "a server is no client");
    let other = FleetCa::create("north", NOW).unwrap();
    assert!(!server_is_accepted(&other, &server.certificate_der, "broker.example.net"), "another authority");
}

#[test]
fn a_client_certificate_is_valid_from_an_hour_ago_to_its_last_day() {
    let authority = FleetCa::create("north", NOW).unwrap();
    let public_key = node_key().verifying_key().to_bytes();
    let node = authority.certify_client_key(NODE, &public_key, NOW, 30).unwrap();
    let bridge = authority.issue_client("flotilla-bridge", NOW, 30).unwrap().certificate_der;
    for certificate in [&node, &bridge] {
        for (at, expected) in [
            (NOW - BACKDATING_S - 1, false),
            (NOW - BACKDATING_S, true),
            (NOW, true),
            (NOW + 30 * DAY_S, true),
            (NOW + 30 * DAY_S + 1, false),
        ] {
            assert_eq!(client_is_accepted(&authority, certificate, at), expected, "at {at}");
        }
        assert!(!server_is_accepted(&authority, certificate, "localhost"), "a client is no server");
    }
    assert_eq!(common_name(&node), Ok(NODE));
    let expected = [&[0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0][..], &public_key].concat();
    assert_eq!(Fields::of(&node).unwrap().public_key_info, expected);
}

#[test]
fn a_loaded_authority_signs_what_the_first_one_is_trusted_for() {
    let authority = FleetCa::create("north", NOW).unwrap();
    for certificate in [authority.certificate_der().to_vec(), authority.certificate_pem().into_bytes()] {
        let loaded = FleetCa::load(&certificate, &authority.key_pem()).unwrap();
        assert_eq!(loaded.certificate_der(), authority.certificate_der());
        assert_eq!(*loaded.key_pem(), *authority.key_pem());
        let client = loaded.issue_client("flotilla-bridge", NOW, 1).unwrap();
        assert!(client_is_accepted(&authority, &client.certificate_der, NOW));
    }
}

#[test]
fn parts_that_do_not_belong_together_are_refused() {
    let authority = FleetCa::create("north", NOW).unwrap();
    let other = FleetCa::create("north", NOW).unwrap();
    let leaf = authority.issue_client("x", NOW, 1).unwrap();
    let certificate = authority.certificate_der();
    assert!(matches!(FleetCa::load(certificate, &other.key_pem()), Err(PkiError::Key { .. })));
    assert!(matches!(FleetCa::load(certificate, "nothing"), Err(PkiError::Key { .. })));
    assert!(matches!(FleetCa::load(b"-----BEGIN", &authority.key_pem()), Err(PkiError::Certificate { .. })));
    assert!(matches!(FleetCa::load(b"", &authority.key_pem()), Err(PkiError::Certificate { .. })));
    let taken = FleetCa::load(&leaf.certificate_der, &leaf.private_key_pem());
    assert!(matches!(taken, Err(PkiError::Certificate { .. })), "a leaf is no authority");
}

#[test]
fn names_keys_and_times_that_do_not_fit_are_refused() {
    let authority = FleetCa::create("north", NOW).unwrap();
    let public_key = node_key().verifying_key().to_bytes();
    for name in ["flotilla-bridge", "mi-", "", "MI-66687aadf862bd776", "mi-66687aadf862bd776/u"] {
        let refused = authority.certify_client_key(name, &public_key, NOW, 1);
        assert!(matches!(refused, Err(PkiError::NotANodeId { .. })), "{name}");
    }
    let mut off_the_curve = [0; 32];
    off_the_curve[0] = 2;
    for key in [[0; 32], off_the_curve] {
        assert!(matches!(authority.certify_client_key(NODE, &key, NOW, 1), Err(PkiError::PublicKey)));
    }
    for name in ["", "a b", "a+", "a/b", "a#", "é", &"a".repeat(65)] {
        assert!(matches!(authority.issue_client(name, NOW, 1), Err(PkiError::CommonName { .. })), "{name}");
        assert!(matches!(FleetCa::create(name, NOW), Err(PkiError::FleetName { .. })), "{name}");
    }
    for name in ["", "a b", "-a", "a..b", "a/b", "*.example.net"] {
        let refused = authority.issue_server(&[name.to_owned()], NOW, 1);
        assert!(matches!(refused, Err(PkiError::ServerName { .. })), "{name}");
    }
    assert!(matches!(authority.issue_server(&[], NOW, 1), Err(PkiError::ServerNameCount { count: 0 })));
    assert!(matches!(authority.issue_client("x", u64::MAX, 1), Err(PkiError::Validity)));
    assert!(matches!(authority.issue_client("x", NOW, u32::MAX), Err(PkiError::Validity)));
}

#[test]
fn debug_output_shows_no_key() {
    let authority = FleetCa::create("north", NOW).unwrap();
    let client = authority.issue_client("x", NOW, 1).unwrap();
    assert_eq!(format!("{authority:?} {client:?}"), "FleetCa { .. } IssuedCertificate { .. }");
}

#[expect(clippy::disallowed_methods, reason = "a test asks the real openssl")]
fn openssl(folder: &Path, arguments: &[&str]) -> (bool, String) {
    let output = std::process::Command::new("openssl").args(arguments).current_dir(folder).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
#[expect(clippy::disallowed_methods, reason = "files of a test need not be atomic")]
fn openssl_reads_the_keys_and_verifies_the_chains() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let now = UnixTime::now().as_secs();
    let authority = FleetCa::create("north", now).unwrap();
    let server = authority.issue_server(&["localhost".to_owned(), "127.0.0.1".to_owned()], now, 30).unwrap();
    let node = authority.certify_client_key(NODE, &node_key().verifying_key().to_bytes(), now, 30).unwrap();
    write("ca.pem", &authority.certificate_pem());
    write("ca.key", &authority.key_pem());
    write("server.pem", &server.certificate_pem());
    write("server.key", &server.private_key_pem());
    write("node.pem", &certificate_pem(&node));
    for key in ["ca.key", "server.key"] {
        let (success, text) = openssl(folder.path(), &["pkey", "-in", key, "-noout", "-text"]);
        assert!(success && text.contains("ED25519"), "{key}: {text}");
    }
    for (certificate, purpose, expected) in [
        ("server.pem", "sslserver", true),
        ("server.pem", "sslclient", false),
        ("node.pem", "sslclient", true),
        ("node.pem", "sslserver", false),
    ] {
        let arguments = ["verify", "-x509_strict", "-purpose", purpose, "-CAfile", "ca.pem", certificate];
        let (success, text) = openssl(folder.path(), &arguments);
        assert_eq!(success, expected, "{certificate} as {purpose}: {text}");
    }
    let (_, text) = openssl(folder.path(), &["x509", "-in", "ca.pem", "-noout", "-text"]);
    assert!(text.contains("CA:TRUE, pathlen:0") && text.contains("Certificate Sign\n"), "{text}");
}
