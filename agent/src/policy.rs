//! The node's own policy, `policy.toml`: what this node lets be done to it, whoever signs. It only tightens.
//!
//! ```toml
//! classes = ["command", "patch"]     # orders of these classes only; left out: of all
//! run_as = ["kiosk"]                 # steps may run as these users only; left out: as any
//! inhibit = ["/run/kiosk/busy"]      # while one of these is there, orders wait and the device is not rebooted
//! [minimum_persons]                  # so many must sign, where that is more than the rule asks for
//! command = 2
//! [labels]                           # what the node is, for the scopes of rules
//! site = "berlin"
//! ```
//! The file belongs to root, or to the user of the agent, and nobody else can write it. It is looked at before each thing that exec does,
//! so a change counts for the next order. A file that cannot be gone by is a fault: then no order is accepted and none starts, because the
//! one line that nobody can read may be the one that forbids.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use config::{Config, FileFormat};
use flotilla_agent_core::{Policy, PolicyState};
use flotilla_protocol::trust::{Class, Label, Labels, MAXIMUM_LABELS};
use nix::unistd::{Uid, User, geteuid};
use serde::Deserialize;

/// Nobody writes this much by hand.
const MAXIMUM_FILE_BYTES: u64 = 64 * 1024;
/// More files than this to look at before each order is no policy any more.
const MAXIMUM_INHIBITORS: usize = 16;
/// Beyond it no envelope has room for signatures.
const MAXIMUM_PERSONS: u64 = 16;
/// Others than the owner may write.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Where the policy is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyPlace {
    /// The file.
    pub file: PathBuf,
    /// The settings name it: then it must be there. At its default place a missing file restricts nothing.
    pub is_required: bool,
}

/// What is in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PolicyText {
    classes: Option<Vec<String>>,
    run_as: Option<Vec<String>>,
    inhibit: Vec<PathBuf>,
    minimum_persons: BTreeMap<String, u64>,
    labels: BTreeMap<String, String>,
}

/// A policy that can be gone by.
#[derive(Debug, Default, PartialEq, Eq)]
struct Read {
    policy: Policy,
    run_as: Option<Vec<String>>,
    inhibit: Vec<PathBuf>,
}

/// By what a changed file is told: a file that is put in the place of another has another inode, one that is written another time or size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: (u64, u64),
    changed: (i64, i64),
    modified: (i64, i64),
    bytes: u64,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            inode: (metadata.dev(), metadata.ino()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            bytes: metadata.size(),
        }
    }
}

/// Watches the policy file and what inhibits.
#[derive(Debug)]
pub struct PolicyWatch {
    place: PolicyPlace,
    /// As whom steps run.
    runs_as: String,
    /// Of the file as it was read; nothing where there was none.
    stamp: Option<Stamp>,
    read: Result<Read, String>,
    /// What was said last.
    said: Option<PolicyState>,
}

impl PolicyWatch {
    /// Nothing is read yet. `job_user`: as whom steps run, where it is not the agent's own user.
    #[must_use]
    pub fn new(place: PolicyPlace, job_user: Option<&str>) -> Self {
        let runs_as = job_user.map_or_else(own_name, str::to_owned);
        Self { place, runs_as, stamp: None, read: Ok(Read::default()), said: None }
    }

    /// The policy as it is now, if it is another than was said last. With `anew` the file is read even if it looks unchanged.
    pub fn look(&mut self, anew: bool) -> Option<PolicyState> {
        // The stamp is taken before the file is read: what is written in between has another one the next time.
        let stamp = fs::metadata(&self.place.file).ok().map(|metadata| Stamp::of(&metadata));
        if anew || self.said.is_none() || self.read.is_err() || stamp != self.stamp {
            self.read = read(&self.place).map_err(|why| {
                let file = self.place.file.display();
                format!("the policy file {file} cannot be gone by, and no order is accepted until it can: {why}")
            });
            self.stamp = stamp;
        }
        let state = self.state();
        if self.said.as_ref() == Some(&state) {
            return None;
        }
        self.said = Some(state.clone());
        Some(state)
    }

    /// Whether something keeps orders from starting that may pass without anybody saying so.
    #[must_use]
    pub fn is_standing_still(&self) -> bool {
        self.said.as_ref().is_some_and(|state| state.standstill().is_some())
    }

    fn state(&self) -> PolicyState {
        let read = match &self.read {
            Ok(read) => read,
            Err(why) => return PolicyState { fault: Some(why.clone()), ..PolicyState::default() },
        };
        let is_forbidden = read.run_as.as_ref().is_some_and(|users| !users.contains(&self.runs_as));
        let fault = is_forbidden.then(|| {
            let file = self.place.file.display();
            format!("steps run as {}, which the policy {file} does not allow; see the agent's setting job_user", self.runs_as)
        });
        let inhibitor = read.inhibit.iter().find(|path| is_there(path));
        let inhibited_by = inhibitor.map(|path| format!("{} is there: orders wait until it is removed", path.display()));
        PolicyState { policy: read.policy.clone(), fault, inhibited_by }
    }
}

/// Whether something has this name. What cannot be looked at counts as there.
fn is_there(path: &Path) -> bool {
    !matches!(fs::symlink_metadata(path), Err(error) if error.kind() == io::ErrorKind::NotFound)
}

fn own_name() -> String {
    let user = geteuid();
    User::from_uid(user).ok().flatten().map_or_else(|| user.to_string(), |user| user.name)
}

/// Why a policy cannot be gone by.
#[derive(Debug)]
enum Fault {
    Missing,
    Unreadable(io::Error),
    NoFile,
    Owner(u32),
    Mode(u32),
    TooLarge,
    Text(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("it is not there, and the agent's setting policy_file names it"),
            Self::Unreadable(error) => write!(f, "{error}"),
            Self::NoFile => f.write_str("it is not a file"),
            Self::Owner(owner) => write!(f, "it belongs to the user with the number {owner}, and must belong to root"),
            Self::Mode(mode) => write!(f, "others than its owner can write it (mode {mode:o}); chmod go-w it"),
            Self::TooLarge => f.write_str("it is larger than 64 KiB"),
            Self::Text(what) => f.write_str(what),
        }
    }
}

fn read(place: &PolicyPlace) -> Result<Read, Fault> {
    // A pipe under this name must not keep exec waiting.
    let opened = OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_CLOEXEC).open(&place.file);
    let mut file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !place.is_required => return Ok(Read::default()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Fault::Missing),
        Err(error) => return Err(Fault::Unreadable(error)),
    };
    // Of the file that is open, whatever has its name by now.
    check_owner(&file)?;
    let mut text = String::new();
    let mut limited = (&mut file).take(MAXIMUM_FILE_BYTES + 1);
    limited.read_to_string(&mut text).map_err(Fault::Unreadable)?;
    if u64::try_from(text.len()).is_ok_and(|length| length > MAXIMUM_FILE_BYTES) {
        return Err(Fault::TooLarge);
    }
    parse(&text).map_err(Fault::Text)
}

fn check_owner(file: &File) -> Result<(), Fault> {
    let metadata = file.metadata().map_err(Fault::Unreadable)?;
    if !metadata.is_file() {
        return Err(Fault::NoFile);
    }
    let owner = Uid::from_raw(metadata.uid());
    if !owner.is_root() && owner != geteuid() {
        return Err(Fault::Owner(metadata.uid()));
    }
    let mode = metadata.mode() & 0o7777;
    if mode & WRITABLE_BY_OTHERS == 0 { Ok(()) } else { Err(Fault::Mode(mode)) }
}

fn parse(text: &str) -> Result<Read, String> {
    let built = Config::builder().add_source(config::File::from_str(text, FileFormat::Toml)).build();
    let given: PolicyText = built.and_then(Config::try_deserialize).map_err(|error| error.to_string())?;
    let known = || Class::ALL.iter().map(|class| class.as_str()).collect::<Vec<_>>().join(", ");
    let class = |name: &String| Class::of_name(name).ok_or_else(|| format!("there is no class {name}; there are {}", known()));
    let classes = given.classes.map(|names| names.iter().map(class).collect::<Result<_, _>>()).transpose()?;
    let persons = |(name, count): (&String, &u64)| match u8::try_from(*count) {
        Ok(minimum) if (1..=MAXIMUM_PERSONS).contains(count) => Ok((class(name)?, minimum)),
        _ => Err(format!("minimum_persons.{name} must be from 1 to {MAXIMUM_PERSONS}")),
    };
    let minimum_persons = given.minimum_persons.iter().map(persons).collect::<Result<_, String>>()?;
    if given.inhibit.len() > MAXIMUM_INHIBITORS || !given.inhibit.iter().all(|path| path.is_absolute()) {
        return Err(format!("inhibit must be absolute paths, at most {MAXIMUM_INHIBITORS}"));
    }
    let labels: Vec<Label> = given.labels.into_iter().map(|(key, value)| Label { key, value }).collect();
    if labels.len() > MAXIMUM_LABELS {
        return Err(format!("there are more than {MAXIMUM_LABELS} labels"));
    }
    if let Some(wrong) = labels.iter().find(|label| !label.is_sound()) {
        return Err(format!("the label {wrong} is empty, too long or holds what no label may"));
    }
    Ok(Read {
        policy: Policy { labels: Labels::of_policy(labels), classes, minimum_persons },
        run_as: given.run_as,
        inhibit: given.inhibit,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;

    fn watch(file: &Path, is_required: bool) -> PolicyWatch {
        PolicyWatch::new(PolicyPlace { file: file.to_owned(), is_required }, Some("kiosk"))
    }

    fn put(path: &Path, text: &str) {
        crate::state::replace_file(path, text.as_bytes()).unwrap();
    }

    #[test]
    fn a_whole_policy_is_read() {
        let read = parse(
            "classes = [\"command\", \"self-update\"]\nrun_as = [\"kiosk\"]\ninhibit = [\"/run/busy\"]\n\
             [minimum_persons]\ncommand = 2\n[labels]\nsite = \"berlin\"\nKind = \"kiosk\"\n",
        )
        .unwrap();
        assert_eq!(read.policy.classes.unwrap().into_iter().collect::<Vec<_>>(), [Class::Command, Class::SelfUpdate]);
        assert_eq!(read.policy.minimum_persons.get(&Class::Command), Some(&2));
        for (key, value, has) in [("site", "berlin", true), ("Kind", "kiosk", true), ("kind", "kiosk", false), ("site", "paris", false)] {
            assert_eq!(read.policy.labels.has(&Label { key: key.into(), value: value.into() }), has, "{key}={value}");
        }
        assert_eq!((read.run_as.unwrap(), read.inhibit), (vec!["kiosk".to_owned()], vec![PathBuf::from("/run/busy")]));
        assert_eq!(parse("").unwrap(), Read::default());
    }

    #[test]
    fn what_is_misspelt_is_refused() {
        for (text, says) in [
            ("class = [\"command\"]", "class"),
            ("classes = [\"commands\"]", "there is no class commands"),
            ("classes = \"command\"", "classes"),
            ("[minimum_persons]\ncommand = 0", "minimum_persons.command"),
            ("[minimum_persons]\ncommand = 17", "minimum_persons.command"),
            ("[minimum_persons]\neverything = 2", "there is no class everything"),
            ("inhibit = [\"busy\"]", "absolute"),
            ("[labels]\nsite = \"\"", "the label site="),
            ("labels = 7", "labels"),
            ("classes = [", ""),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn a_change_is_seen_and_nothing_else_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let (file, busy) = (folder.path().join("policy.toml"), folder.path().join("busy"));
        let mut watch = watch(&file, false);
        assert_eq!(watch.look(false), Some(PolicyState::default()), "the first look always says something");
        assert_eq!(watch.look(true), None);
        put(&file, &format!("inhibit = [\"{}\"]\nclasses = [\"patch\"]", busy.display()));
        let state = watch.look(false).unwrap();
        assert_eq!((state.policy.classes.map(|classes| classes.len()), state.inhibited_by), (Some(1), None));
        assert_eq!(watch.look(false), None);
        File::create(&busy).unwrap();
        assert!(watch.look(false).unwrap().inhibited_by.unwrap().contains("busy is there"));
        assert!(watch.is_standing_still());
        fs::remove_file(&busy).unwrap();
        assert_eq!(watch.look(false).unwrap().standstill(), None);
        // Written in place, by whoever holds it open.
        File::options().append(true).open(&file).unwrap().write_all(b"\nnonsense").unwrap();
        assert!(watch.look(false).unwrap().fault.unwrap().contains("cannot be gone by"));
        fs::remove_file(&file).unwrap();
        assert_eq!(watch.look(false), Some(PolicyState::default()), "at its default place it need not be there");
    }

    #[test]
    fn a_file_that_others_could_have_written_is_a_fault() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("policy.toml");
        let fault = |is_required| watch(&file, is_required).look(false).unwrap().fault;
        assert!(fault(true).unwrap().contains("it is not there"));
        put(&file, "classes = [\"patch\"]");
        assert_eq!(fault(true), None);
        for mode in [0o620, 0o602, 0o666] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            assert!(fault(false).unwrap().contains("others than its owner can write it"), "{mode:o}");
        }
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(fault(false), None);
        if geteuid().is_root() {
            nix::unistd::chown(&file, Some(Uid::from_raw(12345)), None).unwrap();
            assert!(fault(false).unwrap().contains("must belong to root"));
        }
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o700)).unwrap();
        assert!(fault(false).is_some());
    }

    #[test]
    fn steps_run_as_nobody_else_than_the_policy_allows() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("policy.toml");
        put(&file, "run_as = [\"kiosk\"]");
        assert_eq!(watch(&file, true).look(false).unwrap().fault, None);
        put(&file, "run_as = [\"nobody\"]");
        assert!(watch(&file, true).look(false).unwrap().fault.unwrap().contains("steps run as kiosk"));
        let mut own = PolicyWatch::new(PolicyPlace { file: file.clone(), is_required: true }, None);
        assert!(own.look(false).unwrap().fault.unwrap().contains(&format!("steps run as {}", own_name())));
    }
}
