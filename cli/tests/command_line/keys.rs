//! `flotilla keys`, with the real OpenSSH beside it.

use std::fs;

use serde_json::Value;

use crate::desk::{Desk, PASSPHRASE};

#[test]
fn a_key_is_made_once_and_only_its_owner_reads_it() {
    let desk = Desk::new();
    let line = desk.generate("ann");
    assert!(line.starts_with("ssh-ed25519 AAAA") && line.ends_with(" ann\n"), "{line}");
    let file = desk.key_file("ann");
    assert_eq!((desk.mode(&file), desk.mode(file.parent().unwrap()), desk.mode(&desk.key_file("ann.pub"))), (0o600, 0o700, 0o644));
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----\n"), "{text}");
    assert_eq!(fs::read_to_string(desk.key_file("ann.pub")).unwrap(), line);
    desk.with_passphrase(&["keys", "generate", "ann"]).refused(2, "cannot write");
    assert_eq!(fs::read_to_string(&file).unwrap(), text, "the key that is there stays");
    let listed: Value = serde_json::from_str(&desk.run(&["keys", "list", "--output", "json"]).good()).unwrap();
    assert_eq!((listed[0]["Name"].as_str(), listed[0]["Algorithm"].as_str()), (Some("ann"), Some("ssh-ed25519")));
    assert_eq!(desk.run(&["keys", "show", "ann"]).good(), line);
    // Two keys differ, in their secrets and in their salts.
    assert_ne!(desk.generate("bob"), line);
    assert_eq!(desk.run(&["keys", "list"]).good().lines().count(), 2);
}

#[test]
fn who_is_cut_off_while_writing_leaves_no_half_of_a_key_or_bundle() {
    let desk = Desk::new();
    let cut = desk.cut_off(&["keys", "generate", "ann", "--passphrase-file", "pass"]);
    assert_ne!(cut.code, Some(0), "{cut:?}");
    assert!(!desk.key_file("ann").exists(), "half a key is in the way of the next");
    desk.generate("ann");
    assert_eq!(desk.mode(&desk.key_file("ann")), 0o600);
    desk.run(&["trust", "init", "fleet", "ann"]).good();
    desk.sign("ann").good();
    let cut = desk.cut_off(&["trust", "finish", "fleet"]);
    assert_ne!(cut.code, Some(0), "{cut:?}");
    assert!(!desk.path("fleet/1.bundle").exists() && desk.path("fleet/next.draft").exists());
    desk.run(&["trust", "finish", "fleet"]).good();
    desk.run(&["trust", "verify", "fleet"]).good();
}

#[test]
fn passphrases_come_from_files_and_descriptors_and_must_be_good() {
    let desk = Desk::new();
    desk.run_with(&["keys", "generate", "a", "--passphrase-file", "-"], b"correct horse\nignored").good();
    desk.run_with(&["keys", "generate", "b", "--passphrase-file", "/dev/fd/0"], b"correct horse\r\n").good();
    desk.run_with(&["keys", "generate", "c", "--passphrase-file", "-"], b"short\n").refused(2, "too short");
    desk.run_with(&["keys", "generate", "c", "--passphrase-file", "-"], b"\n").refused(2, "empty");
    desk.run_with(&["keys", "generate", "c", "--passphrase-file", "-"], &[0xff; 20]).refused(2, "no text");
    desk.run_with(&["keys", "generate", "c", "--passphrase-file", "-"], &[b'x'; 2000]).refused(2, "too long");
    desk.write("shown", b"correct horse\n", 0o644);
    desk.run(&["keys", "generate", "c", "--passphrase-file", "shown"]).refused(2, "chmod 600");
    desk.run(&["keys", "generate", "c", "--passphrase-file", "nowhere"]).refused(2, "cannot read nowhere");
    assert!(!desk.key_file("c").exists() && !desk.key_file("c.pub").exists(), "nothing is made without a passphrase");
    // A passphrase as an argument would be for everybody to read: there is no such option.
    desk.run(&["keys", "generate", "c", "--passphrase", "correct horse"]).refused(2, "unexpected argument");
    for name in ["../c", "", ".c", "-c", "a/b", "c.pub", "a b"] {
        assert_eq!(desk.with_passphrase(&["keys", "generate", "--", name]).code, Some(2), "{name:?}");
    }
}

#[test]
fn keys_of_others_are_imported() {
    let desk = Desk::new();
    desk.write("root.key", &[7; 32], 0o600);
    let line = desk.with_passphrase(&["keys", "import", "root", "root.key"]).good();
    assert!(line.ends_with(" root\n"), "{line}");
    assert!(!fs::read_to_string(desk.key_file("root")).unwrap().is_empty());
    // The key that has just been made, under another name, keeps its passphrase and its comment.
    let file = desk.key_file("root").to_str().unwrap().to_owned();
    assert_eq!(desk.with_passphrase(&["keys", "import", "again", &file]).good(), line);
    desk.run_with(&["keys", "import", "wrong", &file, "--passphrase-file", "-"], b"another passphrase").refused(2, "does not open");
    desk.write("open.key", &[7; 32], 0o644);
    desk.with_passphrase(&["keys", "import", "open", "open.key"]).refused(2, "chmod 600");
    desk.write("short.key", &[7; 31], 0o600);
    desk.with_passphrase(&["keys", "import", "short", "short.key"]).refused(2, "no key that can be used");
    let Some(said) = desk.openssh("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", "Cleo", "-f", "cleo"]) else { return };
    said.good();
    assert!(desk.with_passphrase(&["keys", "import", "cleo", "cleo"]).good().ends_with(" Cleo\n"));
    desk.openssh("ssh-keygen", &["-q", "-t", "ecdsa", "-N", "", "-f", "other"]).unwrap().good();
    assert_eq!(desk.with_passphrase(&["keys", "import", "other", "other"]).code, Some(2));
}

#[test]
fn openssh_opens_what_is_made_here() {
    let desk = Desk::new();
    let line = desk.generate("ann");
    let file = desk.key_file("ann").to_str().unwrap().to_owned();
    let Some(said) = desk.openssh("ssh-keygen", &["-y", "-P", PASSPHRASE, "-f", &file]) else { return };
    assert_eq!(said.good(), line);
    assert_ne!(desk.openssh("ssh-keygen", &["-y", "-P", "another passphrase", "-f", &file]).unwrap().code, Some(0));
    let fingerprint = desk.openssh("ssh-keygen", &["-l", "-f", &file]).unwrap().good();
    let shown: Value = serde_json::from_str(&desk.run(&["keys", "show", "ann", "--output", "json"]).good()).unwrap();
    assert!(fingerprint.contains(shown["Fingerprint"].as_str().unwrap()), "{fingerprint} {shown}");
}

#[test]
fn an_agent_is_asked_for_its_keys() {
    let mut desk = Desk::new();
    desk.run(&["keys", "list", "--agent"]).refused(2, "SSH_AUTH_SOCK is not set");
    desk.generate("ann");
    if !desk.start_agent() {
        return;
    }
    assert_eq!(desk.run(&["keys", "list", "--agent"]).good(), "");
    let file = desk.key_file("ann").to_str().unwrap().to_owned();
    desk.openssh("ssh-add", &["-q", &file]).unwrap().good();
    // A key of another kind is of no use, and does not disturb.
    desk.openssh("ssh-keygen", &["-q", "-t", "ecdsa", "-N", "", "-f", "other"]).unwrap().good();
    desk.openssh("ssh-add", &["-q", "other"]).unwrap().good();
    let listed = desk.run(&["keys", "list", "--agent"]).good();
    assert!(listed.lines().count() == 1 && listed.contains("ssh-ed25519"), "{listed}");
}
