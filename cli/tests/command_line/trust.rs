//! `flotilla trust`: ceremonies as people do them, and what must not pass.

use std::fs;

use ed25519_dalek::{Signer as _, SigningKey};
use flotilla_protocol::signature::{SshHash, security_key_message, ssh_frame};
use serde_json::Value;
use ssh_key::public::{Ed25519PublicKey, KeyData, SkEd25519};
use ssh_key::{Algorithm, HashAlg, LineEnding, Signature, SshSig};

use crate::desk::Desk;

/// A fleet whose root is Ann alone.
fn fleet_of_ann() -> Desk {
    let desk = Desk::new();
    desk.generate("ann");
    desk.run(&["trust", "init", "fleet", "ann"]).good();
    desk.sign("ann").good();
    desk.run(&["trust", "finish", "fleet"]).good();
    desk
}

#[test]
fn a_fleet_begins_grows_and_loses_a_person() {
    let desk = Desk::new();
    for name in ["ann", "bob", "cleo", "ann-new"] {
        desk.generate(name);
    }
    desk.run(&["trust", "init", "fleet", "ann", "--person", "Ann", "--expires", "365d"]).good();
    desk.run(&["trust", "add-key", "fleet", "bob", "--role", "root", "--role", "operator:command"]).good();
    let said = desk.run(&["trust", "set-threshold", "fleet", "--role", "root", "2"]).good();
    assert!(said.contains("root: 2 of 2 persons must sign") && said.contains("CAUTION"), "{said}");
    assert!(said.contains("signed for the root of bundle 1: 0 of 2; missing 2 of: Ann, bob"), "{said}");
    // Nobody, then one, then both.
    desk.run(&["trust", "finish", "fleet"]).refused(1, "too few persons");
    desk.sign("ann").good();
    desk.sign("ann").good();
    desk.run(&["trust", "finish", "fleet"]).refused(1, "1 of 2 (Ann)");
    desk.sign("cleo").refused(2, "not of the root");
    assert!(desk.sign("bob").good().contains("2 of 2 (Ann, bob)"));
    desk.run(&["trust", "add-key", "fleet", "cleo", "--role", "root"]).refused(2, "signed already");
    desk.run(&["trust", "finish", "fleet"]).good();
    assert!(!desk.path("fleet/next.draft").exists());
    let verified = desk.run(&["trust", "verify", "fleet"]).good();
    assert!(verified.starts_with("Bundle 1 holds"), "{verified}");
    let root = verified.lines().last().unwrap().rsplit(' ').next().unwrap().to_owned();
    desk.run(&["trust", "verify", "fleet", "--root-hash", &root]).good();
    desk.run(&["trust", "verify", "fleet", "--root-hash", &root.replace(['0', '1', '2', '3'], "a")]).refused(1, "another than the one");

    // Bundle 2: Cleo comes, Ann has a new key. Two of the old root and two of the new one must sign; Ann's new key counts for the new one.
    desk.run(&["trust", "add-key", "fleet", "cleo", "--role", "root"]).good();
    let said = desk.run(&["trust", "rotate", "fleet", "ann-new", "--old", "ann"]).good();
    for words in ["ADDS the key of cleo", "REMOVES the key of Ann", "GIVES root to cleo", "GIVES root to Ann", "TAKES root from Ann"] {
        assert!(said.contains(words), "{words:?} is not in {said}");
    }
    desk.sign("ann").good();
    assert!(desk.sign("ann-new").good().contains("Signed for the root of bundle 2: 1 of 2 (Ann)"));
    desk.run(&["trust", "finish", "fleet"]).refused(1, "bundle 1: 1 of 2 (Ann); missing 1 of: bob");
    desk.sign("bob").good();
    desk.run(&["trust", "finish", "fleet"]).good();

    // Bundle 3: Bob goes, and with him the role that only he had.
    let said = desk.run(&["trust", "revoke", "fleet", "--person", "bob"]).good();
    assert!(said.contains("REMOVES the key of bob") && said.contains("ENDS operator:command"), "{said}");
    desk.sign("ann").refused(2, "not of the root");
    desk.sign("cleo").good();
    desk.sign("ann-new").good();
    desk.run(&["trust", "finish", "fleet"]).good();
    assert!(desk.run(&["trust", "verify", "fleet"]).good().starts_with("Bundles 1 to 3 hold"));
    let shown: Value = serde_json::from_str(&desk.run(&["trust", "show", "fleet", "--output", "json"]).good()).unwrap();
    assert_eq!((&shown["Version"], &shown["Roles"][0]["Threshold"], shown["Keys"].as_array().unwrap().len()), (&3.into(), &2.into(), 2));
    assert!(desk.run(&["trust", "show", "fleet", "--version", "1"]).good().contains("nodes pin its sha256"));
    desk.run(&["trust", "show", "fleet", "--version", "9"]).refused(2, "no bundle 9");

    // A folder that somebody has touched.
    fs::copy(desk.path("fleet/1.bundle"), desk.path("fleet/4.bundle")).unwrap();
    desk.run(&["trust", "verify", "fleet"]).refused(1, "bundle 4");
    fs::remove_file(desk.path("fleet/4.bundle")).unwrap();
    let mut bytes = fs::read(desk.path("fleet/2.bundle")).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    desk.write("fleet/2.bundle", &bytes, 0o644);
    desk.run(&["trust", "verify", "fleet"]).refused(1, "bundle 2");
    desk.run(&["trust", "revoke", "fleet", "--person", "cleo"]).refused(1, "bundle 2");
}

#[test]
fn changes_that_no_node_would_take_are_refused() {
    let desk = fleet_of_ann();
    desk.generate("bob");
    let trust = |arguments: &[&str]| desk.run(&[&["trust"], arguments].concat());
    trust(&["init", "fleet", "ann"]).refused(2, "has a bundle or a draft already");
    trust(&["set-threshold", "fleet", "--role", "root", "2"]).refused(2, "2 of 1 persons would have to sign for root");
    trust(&["set-threshold", "fleet", "--role", "root", "0"]).refused(2, "0 of 1 persons");
    trust(&["set-threshold", "fleet", "--role", "release", "1"]).refused(2, "nobody has the role release");
    trust(&["revoke", "fleet", "--person", "ann"]).refused(2, "nobody would be root");
    trust(&["revoke", "fleet", "--person", "zoe"]).refused(2, "does not name this key or person");
    trust(&["revoke", "fleet", "--key", "bob"]).refused(2, "does not name this key or person");
    trust(&["rotate", "fleet", "bob", "--old", "bob"]).refused(2, "does not name the old key");
    trust(&["add-key", "fleet", "ann", "--person", "Another", "--role", "root"]).refused(2, "names this key already");
    trust(&["add-key", "fleet", "bob", "--person", " ", "--role", "root"]).refused(2, "say whose key it is");
    trust(&["add-key", "fleet", "bob", "--role", "captain"]).refused(2, "write one of root");
    trust(&["add-key", "fleet", "nonsense", "--role", "root"]).refused(2, "is no public key");
    trust(&["add-key", "fleet", &"00".repeat(32), "--person", "weak", "--role", "bridge"]).refused(2, "weak key");
    trust(&["add-key", "fleet", "bob", "--person", &"x".repeat(129), "--role", "root"]).refused(2, "no node would take");
    trust(&["sign", "fleet", "--key", "ann", "--yes"]).refused(2, "no draft");
    trust(&["finish", "fleet"]).refused(2, "no draft");
    trust(&["show", "nowhere"]).refused(2, "holds no trust bundle");
    assert!(!desk.path("fleet/next.draft").exists(), "nothing that is refused is written");
    // Ann alone may sign for both, but not what has run out.
    trust(&["set-threshold", "fleet", "--role", "root", "1", "--expires", "0s"]).good();
    desk.with_passphrase(&["trust", "sign", "fleet", "--key", "ann"]).refused(2, "nothing was signed");
    desk.sign("ann").good();
    trust(&["finish", "fleet"]).refused(1, "has run out");
}

#[test]
fn rules_say_who_together_where_and_when() {
    let desk = fleet_of_ann();
    for name in ["bob", "cleo"] {
        desk.generate(name);
    }
    let trust = |arguments: &[&str]| desk.run(&[&["trust"], arguments].concat());
    trust(&["set-rule", "fleet", "command", "--person", "Zoe"]).refused(2, "names no key of Zoe");
    trust(&["set-rule", "fleet", "command", "--key", "bob"]).refused(2, "does not name this key");
    trust(&["set-rule", "fleet", "of my own", "--person", "ann"]).refused(2, "say with --class");
    trust(&["set-rule", "fleet", "command"]).refused(2, "say whose signatures count");
    trust(&["remove-rule", "fleet", "command"]).refused(2, "there is no rule");
    trust(&["set-rule", "fleet", "command", "--person", "ann", "--threshold", "2"]).refused(2, "2 of 1 persons would have to sign");
    trust(&["set-rule", "fleet", "command", "--person", "ann", "--threshold", "0"]).refused(2, "0 of 1 persons");
    trust(&["set-rule", "fleet", "command", "--person", "ann", "--approvals", "2"]).refused(2, "2 of 1 persons");
    trust(&["set-rule", "fleet", "command", "--person", "ann", "--hours", "always"]).refused(2, "write days and UTC times");
    trust(&["set-rule", "fleet", "command", "--person", "ann", "--scope", "berlin"]).refused(2, "write key=value");
    trust(&["set-rule", "fleet", "command", "--person", "ann", "--scope", "a=1", "--scope", "a=2"]).refused(2, "said twice");
    trust(&["add-key", "fleet", "bob", "--role", "root", "--until", "90d"]).refused(2, "a key with an end cannot be of the role root");

    let said = trust(&["add-key", "fleet", "bob", "--person", "Bob", "--until", "90d"]).good();
    assert!(said.contains("ADDS the key of Bob") && said.contains("may sign for nothing yet"), "{said}");
    let said = trust(&["add-key", "fleet", "cleo", "--person", "Cleo", "--role", "operator:command"]).good();
    assert!(said.contains("BEGINS operator:command: 1 of 1 person must sign") && said.contains("GIVES operator:command to Cleo"), "{said}");
    let said = trust(&["set-rule", "fleet", "command", "--person", "Bob", "--person", "Cleo", "--approvals", "1"]).good();
    assert!(said.contains("CAUTION: operator:command goes by who asked for an order"), "{said}");
    let said = trust(&["set-rule", "fleet", "command", "--threshold", "2"]).good();
    assert!(said.contains("operator:command: 2 of 2 persons must sign, at least 1 of them not who asked for the order"), "{said}");
    assert!(!said.contains("goes by who asked"), "{said}");
    let night = [
        "set-rule",
        "fleet",
        "at night",
        "--class",
        "patch",
        "--person",
        "Bob",
        "--scope",
        "site=berlin",
        "--hours",
        "Fri-Sun 22:00-04:00",
    ];
    let said = trust(&night).good();
    let words =
        "operator:patch rule \"at night\": 1 of 1 person must sign, only for nodes with site=berlin, only at Fri,Sat,Sun 22:00-04:00 UTC";
    assert!(said.contains(words), "{said}");
    let said = trust(&["label", "fleet", "mi-0123456789abcdef0", "site=berlin", "kind=kiosk"]).good();
    assert!(said.contains("SAYS that mi-0123456789abcdef0 is kind=kiosk, site=berlin"), "{said}");
    desk.sign("ann").good();
    trust(&["finish", "fleet"]).good();

    let shown: Value = serde_json::from_str(&trust(&["show", "fleet", "--output", "json"]).good()).unwrap();
    let rules = shown["Rules"].as_array().unwrap();
    assert_eq!((rules.len(), &rules[0]["Threshold"], &rules[0]["Approvals"]), (2, &2.into(), &1.into()));
    assert_eq!(
        (&rules[1]["Class"], &rules[1]["Hours"][0], &rules[1]["Scope"][0]),
        (&"patch".into(), &"Fri,Sat,Sun 22:00-04:00".into(), &"site=berlin".into())
    );
    assert_eq!(shown["Labels"][0]["Node"], "mi-0123456789abcdef0");

    let said = trust(&["set-rule", "fleet", "at night", "--always", "--all-nodes"]).good();
    assert!(
        said.contains("CHANGES operator:patch rule \"at night\" to: 1 of 1 person must sign; it was: 1 of 1 person must sign, only for"),
        "{said}"
    );
    trust(&["revoke", "fleet", "--person", "Bob"]).refused(2, "2 of 1 persons would have to sign for the rule \"command\"");
    trust(&["set-threshold", "fleet", "--role", "operator:command", "1"]).good();
    let said = trust(&["revoke", "fleet", "--person", "Bob"]).good();
    assert!(said.contains("ENDS operator:patch rule \"at night\"") && said.contains("TAKES operator:command from Bob"), "{said}");
    let said = trust(&["label", "fleet", "mi-0123456789abcdef0"]).good();
    assert!(said.contains("TAKES BACK what was said of mi-0123456789abcdef0"), "{said}");
    let said = trust(&["remove-rule", "fleet", "command"]).good();
    assert!(said.contains("ENDS operator:command: nothing is allowed by it any more"), "{said}");
}

#[test]
fn copies_of_a_draft_are_signed_apart_and_put_together() {
    let desk = fleet_of_ann();
    desk.generate("bob");
    desk.run(&["trust", "add-key", "fleet", "bob", "--role", "root"]).good();
    desk.run(&["trust", "set-threshold", "fleet", "--role", "root", "2"]).good();
    let unsigned = fs::read(desk.path("fleet/next.draft")).unwrap();
    desk.with_passphrase(&["trust", "sign", "fleet", "--yes", "--key", "ann", "--out", "by-ann"]).good();
    desk.with_passphrase(&["trust", "sign", "fleet", "--yes", "--key", "bob", "--out", "by-bob"]).good();
    assert_eq!(fs::read(desk.path("fleet/next.draft")).unwrap(), unsigned, "only the copies are signed");
    desk.run(&["trust", "attach", "fleet", "by-bob"]).good();
    desk.run(&["trust", "finish", "fleet"]).refused(1, "bundle 1: 0 of 1; missing 1 of: ann");
    // A signature that was damaged on the way.
    let mut damaged = fs::read(desk.path("by-ann")).unwrap();
    damaged[40] ^= 1;
    desk.write("damaged", &damaged, 0o644);
    desk.run(&["trust", "attach", "fleet", "damaged"]).refused(2, "not a good signature");
    desk.write("nobody", &unsigned, 0o644);
    desk.run(&["trust", "attach", "fleet", "nobody"]).refused(2, "nobody of the root");
    desk.run(&["trust", "attach", "fleet", "fleet/1.bundle"]).refused(2, "draft of another bundle");
    desk.run(&["trust", "attach", "fleet", "pass"]).refused(2, "no signature of ssh-keygen");
    desk.run(&["trust", "attach", "fleet", "by-ann"]).good();
    desk.run(&["trust", "finish", "fleet"]).good();
}

#[test]
fn the_bridges_root_hands_over_to_people() {
    // As `flotilla-bridge init` makes it: 32 raw bytes, plain ed25519.
    let desk = Desk::new();
    desk.write("root.key", &[7; 32], 0o600);
    desk.with_passphrase(&["keys", "import", "root", "root.key"]).good();
    let digits: String = SigningKey::from_bytes(&[7; 32]).verifying_key().to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let said = desk.run(&["trust", "init", "fleet", &digits, "--person", "root"]).good();
    assert!(said.contains("root: ed25519 SHA256:"), "{said}");
    desk.sign("root").good();
    desk.run(&["trust", "finish", "fleet"]).good();
    // The same key from now on as an SSH key: it signs by both algorithms.
    desk.run(&["trust", "rotate", "fleet", "root", "--old", &digits]).good();
    let said = desk.sign("root").good();
    assert!(said.contains("bundle 1: 1 of 1 (root)") && said.contains("bundle 2: 1 of 1 (root)"), "{said}");
    desk.run(&["trust", "finish", "fleet"]).good();
    desk.run(&["trust", "verify", "fleet"]).good();
}

#[test]
fn what_ssh_keygen_signs_counts() {
    let desk = fleet_of_ann();
    let Some(said) = desk.openssh("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", "Dora", "-f", "dora"]) else { return };
    said.good();
    desk.run(&["trust", "add-key", "fleet", "dora.pub", "--role", "root"]).good();
    desk.run(&["trust", "set-threshold", "fleet", "--role", "root", "2"]).good();
    desk.run(&["trust", "export", "fleet", "to-sign"]).good();
    desk.run(&["trust", "export", "fleet", "to-sign"]).refused(2, "cannot write to-sign");
    let keygen = |arguments: &[&str]| desk.openssh("ssh-keygen", arguments).unwrap().good();
    for (name, hash, namespace) in [("wrong", "sha512", "git"), ("short", "sha256", "flotilla"), ("long", "sha512", "flotilla")] {
        let file = format!("to-sign-{name}");
        fs::copy(desk.path("to-sign"), desk.path(&file)).unwrap();
        keygen(&["-Y", "sign", "-n", namespace, "-O", &format!("hashalg={hash}"), "-f", "dora", &file]);
    }
    desk.run(&["trust", "attach", "fleet", "to-sign-wrong.sig"]).refused(2, "another namespace");
    desk.write("another", b"another text", 0o644);
    keygen(&["-Y", "sign", "-n", "flotilla", "-f", "dora", "another"]);
    desk.run(&["trust", "attach", "fleet", "another.sig"]).refused(2, "not a good signature");
    keygen(&["-q", "-t", "ed25519", "-N", "", "-f", "stranger"]);
    fs::copy(desk.path("to-sign"), desk.path("to-sign-stranger")).unwrap();
    keygen(&["-Y", "sign", "-n", "flotilla", "-f", "stranger", "to-sign-stranger"]);
    desk.run(&["trust", "attach", "fleet", "to-sign-stranger.sig"]).refused(2, "not of the root");
    let draft = fs::read(desk.path("fleet/next.draft")).unwrap();
    for signature in ["to-sign-short.sig", "to-sign-long.sig"] {
        desk.write("fleet/next.draft", &draft, 0o644);
        assert!(desk.run(&["trust", "attach", "fleet", signature]).good().contains("1 of 2 (Dora)"));
    }
    desk.sign("ann").good();
    desk.run(&["trust", "finish", "fleet"]).good();
    desk.run(&["trust", "verify", "fleet"]).good();
}

#[test]
fn what_an_agent_signs_counts() {
    let mut desk = fleet_of_ann();
    desk.write("root.key", &[7; 32], 0o600);
    desk.with_passphrase(&["keys", "import", "raw", "root.key"]).good();
    if !desk.start_agent() {
        return;
    }
    let digits: String = SigningKey::from_bytes(&[7; 32]).verifying_key().to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    desk.run(&["trust", "add-key", "fleet", &digits, "--person", "raw", "--role", "root"]).good();
    desk.run(&["trust", "set-threshold", "fleet", "--role", "root", "2"]).good();
    desk.run(&["trust", "sign", "fleet", "--yes", "--agent"]).refused(2, "does not have this key");
    for name in ["ann", "raw"] {
        let file = desk.key_file(name).to_str().unwrap().to_owned();
        desk.openssh("ssh-add", &["-q", &file]).unwrap().good();
    }
    desk.run(&["trust", "sign", "fleet", "--yes", "--agent"]).refused(2, "several keys");
    desk.run(&["trust", "sign", "fleet", "--yes", "--agent", "SHA256:AAAA"]).refused(2, "does not have this key");
    let listed = desk.run(&["keys", "list", "--agent"]).good();
    for name in ["ann", "raw"] {
        let of_name = listed.lines().find(|line| line.ends_with(&format!("\t{name}"))).unwrap();
        let fingerprint = of_name.split('\t').nth(2).unwrap();
        desk.run(&["trust", "sign", "fleet", "--yes", "--agent", fingerprint]).good();
    }
    desk.run(&["trust", "finish", "fleet"]).good();
    desk.run(&["trust", "verify", "fleet"]).good();
}

/// The signature of a security key of OpenSSH, as `ssh-keygen -Y sign` writes it, by a key that is no hardware.
fn by_security_key(secret: &SigningKey, covered: &[u8], flags: u8) -> String {
    let hash = flotilla_protocol::sha256(&[b"ssh:"]);
    let message = security_key_message(&hash, flags, [0, 0, 0, 7], &ssh_frame(SshHash::Sha512, covered));
    let bytes = [secret.sign(&message).to_bytes().as_slice(), &[flags, 0, 0, 0, 7]].concat();
    let signature = Signature::new(Algorithm::SkEd25519, bytes).unwrap();
    SshSig::new(public(secret), "flotilla", HashAlg::Sha512, signature).unwrap().to_pem(LineEnding::LF).unwrap()
}

fn public(secret: &SigningKey) -> KeyData {
    KeyData::SkEd25519(SkEd25519::new(Ed25519PublicKey(secret.verifying_key().to_bytes()), "ssh:"))
}

#[test]
fn what_a_security_key_signs_counts_when_it_was_touched() {
    let desk = fleet_of_ann();
    let secret = SigningKey::from_bytes(&[9; 32]);
    let line = ssh_key::PublicKey::new(public(&secret), "Eve").to_openssh().unwrap();
    assert!(line.starts_with("sk-ssh-ed25519@openssh.com "), "{line}");
    desk.run(&["trust", "add-key", "fleet", &line, "--role", "root"]).good();
    desk.run(&["trust", "set-threshold", "fleet", "--role", "root", "2"]).good();
    desk.run(&["trust", "export", "fleet", "to-sign"]).good();
    let covered = fs::read(desk.path("to-sign")).unwrap();
    desk.write("untouched.sig", by_security_key(&secret, &covered, 0).as_bytes(), 0o644);
    desk.run(&["trust", "attach", "fleet", "untouched.sig"]).refused(2, "not a good signature");
    desk.write("good.sig", by_security_key(&secret, &covered, 1).as_bytes(), 0o644);
    assert!(desk.run(&["trust", "attach", "fleet", "good.sig"]).good().contains("1 of 2 (Eve)"));
    desk.sign("ann").good();
    desk.run(&["trust", "finish", "fleet"]).good();
    // OpenSSH itself takes the same signature, so it is what its security keys make.
    desk.write("allowed", format!("eve {line}\n").as_bytes(), 0o644);
    let script = "ssh-keygen -Y verify -f allowed -I eve -n flotilla -s good.sig < to-sign";
    if desk.openssh("ssh-keygen", &["-l", "-f", "allowed"]).is_some() {
        let verified = desk.openssh("sh", &["-c", script]).unwrap().good();
        assert!(verified.contains("Good \"flotilla\" signature"), "{verified}");
    }
}
