//! People who hold the keys of a fleet's operators themselves, each with a machine, a user and a key of their own.

use crate::fleet::Fleet;
use crate::process::{self, binary, command, output};
use serde_json::Value;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

/// What a call of `flotilla` came to.
#[derive(Debug)]
pub struct Done {
    /// Its exit code; −1 when it was ended by force.
    pub code: i32,
    /// What it wrote on standard output.
    pub out: String,
    /// What it wrote on standard error.
    pub errors: String,
}

impl Done {
    /// Its output as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.out, self.errors))
    }

    /// The same, which must have gone well.
    ///
    /// # Panics
    /// When it has not.
    #[must_use]
    pub fn good(self) -> Self {
        assert_eq!(self.code, 0, "{}\n{}", self.out, self.errors);
        self
    }
}

/// The people of a fleet. Their things are in a folder of the fleet that the bridge never sees.
#[derive(Debug)]
pub struct People {
    folder: PathBuf,
}

impl People {
    /// Gives the operators' keys of a fleet to these persons, of whom so many must sign commands: each makes a key and gets a user of the same
    /// name, bundle 2 names the keys and revokes the bridge's, and the keys of root and operator leave the bridge's home. The bridge is started
    /// again.
    ///
    /// # Panics
    /// When a step of it fails.
    #[must_use]
    pub fn take_over(fleet: &mut Fleet, persons: &[&str], threshold: u8) -> Self {
        let people = Self { folder: fleet.folder().join("people") };
        std::fs::create_dir_all(&people.folder).expect("a folder can be made");
        let passphrase = people.folder.join("passphrase");
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(passphrase).expect("a file can be made");
        file.write_all(b"correct horse battery\n").expect("a file can be written");
        people.change_trust(fleet, |people, trust| {
            for person in persons {
                people.desk(&["keys", "generate", person, "--passphrase-file", &people.path("passphrase"), "--keys", &people.path("keys")]);
                people.add_user(fleet, person);
                let key = people.path(&format!("keys/{person}.pub"));
                people.desk(&["trust", "add-key", trust, &key, "--person", person, "--role", "operator:command"]);
            }
            people.desk(&["trust", "set-threshold", trust, "--role", "operator:command", &threshold.to_string()]);
            people.desk(&["trust", "revoke", trust, "--person", "operator"]);
        });
        people.install_trust(fleet);
        for name in ["root", "operator"] {
            std::fs::rename(fleet.home().key(name), people.folder.join(format!("{name}.key"))).expect("init has made the key");
        }
        fleet.start_bridge();
        people
    }

    /// Takes a person's keys out of the fleet's trust; the bridge is started again.
    ///
    /// # Panics
    /// When a step of it fails.
    pub fn revoke(&self, fleet: &mut Fleet, person: &str) {
        self.change_trust(fleet, |people, trust| people.desk(&["trust", "revoke", trust, "--person", person]));
        self.install_trust(fleet);
        fleet.start_bridge();
    }

    /// Prepares, signs and finishes the next bundle, in a copy of the trust.
    fn change_trust(&self, fleet: &Fleet, change: impl FnOnce(&Self, &str)) {
        let trust = self.folder.join("trust");
        if trust.exists() {
            std::fs::remove_dir_all(&trust).expect("a folder can be removed");
        }
        process::copy_folder(&fleet.home().trust(), &trust);
        let path = self.path("trust");
        change(self, &path);
        let root = [self.folder.join("root.key"), fleet.home().key("root")].into_iter().find(|key| key.exists()).expect("a root key");
        self.desk(&["trust", "sign", &path, "--yes", "--key", root.to_str().expect("a path of text")]);
        self.desk(&["trust", "finish", &path]);
    }

    /// Stops the bridge and gives it the bundles of the copy.
    fn install_trust(&self, fleet: &mut Fleet) {
        let trust = self.folder.join("trust");
        fleet.stop_bridge();
        for version in 2..100 {
            let (made, known) = (trust.join(format!("{version}.bundle")), fleet.home().bundle(version));
            if made.exists() && !known.exists() {
                std::fs::copy(made, known).expect("a bundle can be copied");
            }
        }
    }

    fn add_user(&self, fleet: &Fleet, person: &str) {
        let home = self.folder.join(person);
        std::fs::create_dir_all(&home).expect("a folder can be made");
        let mut call = command(&binary("flotilla-bridge"));
        call.args(["user", "add", person, "--role", "operator", "--output"]).arg(home.join("operator.env"));
        call.arg("--home").arg(fleet.home().path());
        let done = output(call);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    /// Calls `flotilla` where no bridge is needed; it must go well.
    fn desk(&self, arguments: &[&str]) {
        drop(self.call(None, arguments).good());
    }

    /// Calls `flotilla` as a person, on a machine that remembers what that person has seen.
    #[must_use]
    pub fn flotilla(&self, person: &str, arguments: &[&str]) -> Done {
        self.call(Some(person), arguments)
    }

    /// The same with the person's key and its passphrase.
    #[must_use]
    pub fn with_key(&self, person: &str, arguments: &[&str]) -> Done {
        let (keys, passphrase) = (self.path("keys"), self.path("passphrase"));
        let options = ["--keys", &keys, "--passphrase-file", &passphrase];
        // What is run stands at the end, behind dashes.
        let at = arguments.iter().position(|argument| *argument == "--").unwrap_or(arguments.len());
        let (before, after) = arguments.split_at(at);
        self.call(Some(person), &[before, &options, after].concat())
    }

    fn call(&self, person: Option<&str>, arguments: &[&str]) -> Done {
        let mut call = command(&binary("flotilla"));
        let own = self.folder.join(person.unwrap_or("nobody"));
        call.env_clear().env("XDG_STATE_HOME", own.join("state")).env("XDG_CONFIG_HOME", own.join("config"));
        if let Some(person) = person {
            call.arg("--home").arg(self.folder.join(person));
        }
        call.args(arguments);
        let output = output(call);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Done { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), errors: text(&output.stderr) }
    }

    /// Signs an order as a person who has read it: by what is shown of it first.
    #[must_use]
    pub fn sign(&self, person: &str, order: &str) -> Done {
        let shown = self.flotilla(person, &["orders", "show", order, "--output", "json"]).good().json();
        let sha256 = shown["BodySha256"].as_str().unwrap_or_default().to_owned();
        self.with_key(person, &["orders", "sign", order, "--key", person, "--yes", "--sha256", &sha256])
    }

    /// A path in the folder, as text.
    fn path(&self, name: &str) -> String {
        self.folder.join(name).to_str().expect("a path of text").to_owned()
    }
}
