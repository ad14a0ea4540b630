//! Rotation on a home that `init` made.

use super::*;
use crate::command::init::{InitOptions, VALIDITY_DAYS, init};
use std::net::SocketAddr;
use tempfile::TempDir;

async fn home() -> (TempDir, Home, Clock) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("home");
    let clock = Clock::system();
    let listen = |port| Some(SocketAddr::from(([127, 0, 0, 1], port)));
    let options = InitOptions {
        home: path.clone(),
        name: "north".into(),
        listen_host: vec!["bridge.example".into()],
        api_listen: listen(1),
        broker_listen: listen(2),
        claim_listen: listen(3),
        if_missing: false,
    };
    init(&options, &clock).await.unwrap();
    (folder, Home::new(&path), clock)
}

#[tokio::test]
async fn a_rotation_goes_from_one_authority_by_two_to_one() {
    let (_folder, home, clock) = home().await;
    let perform = async |action: Action| perform(home.path(), &action, &clock).await;
    let first = home.read_authority().unwrap();
    assert!(matches!(perform(Action::Finish { force: true }).await, Err(CaError::NotRotating)));
    let old_broker = home.read_certificate("broker").unwrap();

    perform(Action::Rotate).await.unwrap();
    assert!(matches!(perform(Action::Rotate).await, Err(CaError::Rotating)));
    let both = home.read_authorities().unwrap();
    assert_eq!(both.former.as_ref().unwrap().certificate_der(), first.certificate_der());
    assert_ne!(both.current.certificate_der(), first.certificate_der());
    let kept = home.read_certificate("broker").unwrap().certificate_der;
    assert_eq!(kept, old_broker.certificate_der, "nodes that are away know no other");
    assert!(perform(Action::Status).await.unwrap().contains("former one alone: 0"));

    perform(Action::Finish { force: false }).await.unwrap();
    let last = home.read_authorities().unwrap();
    assert!(last.former.is_none());
    assert_eq!(last.current.certificate_der(), both.current.certificate_der());
    for name in OWN_CERTIFICATES {
        let issued = home.read_certificate(name).unwrap();
        assert!(last.current.has_issued(&issued.certificate_der) && !first.has_issued(&issued.certificate_der), "{name}");
    }
    let new_broker = home.read_certificate("broker").unwrap();
    assert_eq!(new_broker.private_key_pkcs8_der, old_broker.private_key_pkcs8_der, "one file at a time");
    assert!(new_broker.certificate_der.windows(14).any(|window| window == b"bridge.example"), "the names are those of before");
}

#[tokio::test]
async fn a_rotation_that_was_cut_leaves_a_home_that_can_be_read() {
    let (_folder, home, clock) = home().await;
    let before = home.read_authority().unwrap();
    let new = FleetCa::create("north", clock.now_ms() / 1000).unwrap();
    // What is on the disk after each of the steps, in their order.
    let steps: [(&str, PathBuf, Vec<u8>); 5] = [
        ("the old key", home.key("ca-former"), before.key_pem().as_bytes().to_vec()),
        ("the old certificate", home.former_authority(), before.certificate_der().to_vec()),
        ("the new key beside", home.key("ca-next"), new.key_pem().as_bytes().to_vec()),
        ("the new certificate", home.authority(), new.certificate_der().to_vec()),
        ("the new key", home.key("ca"), new.key_pem().as_bytes().to_vec()),
    ];
    let mut seen = Vec::new();
    for (what, path, content) in steps {
        replace_secret(&path, &content).unwrap();
        let authorities = home.read_authorities().unwrap_or_else(|error| panic!("after {what}: {error}"));
        seen.push((authorities.current.certificate_der() == new.certificate_der(), authorities.former.is_some()));
    }
    assert_eq!(seen, [(false, false), (false, false), (false, false), (true, true), (true, true)]);
}

#[tokio::test]
async fn own_certificates_are_renewed_when_a_third_remains() {
    let (_folder, home, clock) = home().await;
    let now_s = clock.now_ms() / 1000;
    let before = home.read_certificate("broker").unwrap().certificate_der;
    let third_s = u64::from(VALIDITY_DAYS) * 86_400 / 3;
    renew_own(&home, now_s + third_s).unwrap();
    assert_eq!(home.read_certificate("broker").unwrap().certificate_der, before);
    renew_own(&home, now_s + 2 * third_s + 86_400).unwrap();
    let after = home.read_certificate("broker").unwrap().certificate_der;
    assert_ne!(after, before);
    assert!(home.read_authority().unwrap().has_issued(&after));
}

#[tokio::test]
async fn nodes_that_were_not_told_keep_a_rotation_open() {
    let (_folder, home, clock) = home().await;
    let perform = async |action: Action| perform(home.path(), &action, &clock).await;
    perform(Action::Rotate).await.unwrap();
    let add = async |number: u8, told: Option<&str>, gone: Option<i64>| {
        let store = Store::open(&home.database(), MIGRATIONS).await.unwrap();
        let mut write = store.write().await.unwrap();
        let node = flotilla_protocol::id::NodeId::of_key(&[number; 32]).to_string();
        let key = [number; 32];
        let registration = node_store::Registration {
            node: node.parse().unwrap(),
            identity_key: key,
            sealing_key: key,
            tls_key: key,
            activation_id: "",
            name: None,
            iam_role: "role",
            facts: &flotilla_protocol::hello::Facts::default(),
        };
        node_store::register(&mut write, &registration, 1).await.unwrap();
        if let Some(told) = told {
            node_store::set_authorities(&mut write, node.parse().unwrap(), told).await.unwrap();
        }
        sqlx::query("UPDATE node SET deregistered_ms = $2 WHERE node_id = $1")
            .bind(&node)
            .bind(gone)
            .execute(write.connection())
            .await
            .unwrap();
        write.commit().await.unwrap();
        store.close().await;
        node
    };
    let both = home.read_authorities().unwrap().hash_text();
    add(1, Some(&both), None).await;
    add(2, None, Some(5)).await;
    assert!(perform(Action::Status).await.unwrap().contains("former one alone: 0"), "one was told, and one is gone");
    let behind = add(3, Some("another"), None).await;
    let refused = perform(Action::Finish { force: false }).await.unwrap_err();
    assert!(matches!(&refused, CaError::Behind { behind: 1, some } if *some == behind), "{refused}");
    assert!(home.read_authorities().unwrap().former.is_some(), "nothing was changed");
    assert!(perform(Action::Finish { force: true }).await.unwrap().contains(&behind));
    assert!(home.read_authorities().unwrap().former.is_none());
}
