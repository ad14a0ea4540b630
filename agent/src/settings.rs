//! The agent's settings: a TOML file, and over it the environment.
//!
//! A setting `name` is `FLOTILLA_AGENT__NAME` in the environment. Unknown names are refused in both, because a setting that
//! is silently ignored is the one that somebody relied on.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::Read as _;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use config::{Config, ConfigError, Environment, File, FileFormat};
use flotilla_agent_core::RebootRule;
use serde::Deserialize;
use thiserror::Error;

use crate::arguments::{DEFAULT_SETTINGS_FILE, SettingsFile};
use crate::inventory::file::Rule;
use crate::inventory::{Kind, Scope};
use crate::job::profile::GivenLimits;
use crate::job::tools::{ObjectStore, Tools};
use crate::ownership::{LinkUser, LinkUserError};
use crate::policy::PolicyPlace;

/// Prefix of every setting in the environment; what follows it is two underscores and the name.
const ENVIRONMENT_PREFIX: &str = "FLOTILLA_AGENT";
/// Where the node's own policy is unless the settings say otherwise.
const DEFAULT_POLICY_FILE: &str = "/etc/flotilla/policy.toml";
/// How the site's own types are named together.
const CUSTOM_TYPES: &str = "Custom:*";
/// Where they are unless the settings say otherwise.
const DEFAULT_CUSTOM_INVENTORY: &str = "/etc/flotilla/inventory";
/// Six hours.
const DEFAULT_INVENTORY_INTERVAL_S: u64 = 6 * 3600;
/// Nobody writes this much by hand.
const MAXIMUM_FILE_BYTES: u64 = 64 * 1024;
/// More jobs at once than this would starve a small device.
const MAXIMUM_JOBS: RangeInclusive<u64> = 1..=64;
/// Below it a result's own excerpt would be cut, above it a device's disk fills up.
const OUTPUT_LIMIT_BYTES: RangeInclusive<u64> = 64 * 1024..=64 * 1024 * 1024;
/// Below it nothing of use can be downloaded, above it no device has the disk.
const DOWNLOAD_LIMIT_BYTES: RangeInclusive<u64> = 1024..=1024 * 1024 * 1024 * 1024;
/// Shorter ones cost wire, longer ones outlive the state of most NATs.
const KEEP_ALIVE_S: RangeInclusive<u64> = 5..=1200;
/// Beyond an hour a node that could be back is missing.
const RECONNECT_MAXIMUM_S: RangeInclusive<u64> = 1..=3600;
/// Beyond an hour nobody waits for a reboot any more.
const REBOOT_PATIENCE_S: RangeInclusive<u64> = 1..=3600;
/// More often than every second is no news; a node that says nothing for a day looks like a dead one.
const HEALTH_INTERVAL_S: RangeInclusive<u64> = 1..=86_400;
/// Below it not even one report has room, above it telemetry would take the journal's room from orders.
const TELEMETRY_SPOOL_BYTES: RangeInclusive<u64> = 1024..=1024 * 1024;
/// With less not even the agent's own part of a job would run; more than any device has is no limit.
const JOB_MEMORY_LIMIT_BYTES: RangeInclusive<u64> = 16 * 1024 * 1024..=1024 * 1024 * 1024 * 1024;
/// More often than every second is no news; beyond a month nobody knows any more what is there.
const INVENTORY_INTERVAL_S: RangeInclusive<u64> = 1..=30 * 86_400;
/// Files and folders of one device's inventory, at most.
const MAXIMUM_FILE_RULES: usize = 32;
/// With fewer not even a pipe of a shell would run; the kernel counts no further.
const JOB_TASKS_LIMIT: RangeInclusive<u64> = 8..=4_194_304;
/// The longest path of a local socket that Linux takes, without its final NUL.
const MAXIMUM_SOCKET_BYTES: usize = 107;

/// What the agent goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Keys, journal and jobs. Default `/var/lib/flotilla-agent`.
    pub state_folder: PathBuf,
    /// Where link and exec meet. Default `agent.sock` in the state folder.
    pub socket: PathBuf,
    /// How many jobs run at once, 1 to 64. Default 4.
    pub maximum_jobs: usize,
    /// How much of a stream of a step is kept, in bytes, 64 KiB to 64 MiB. Default 1 MiB.
    pub output_limit_bytes: u64,
    /// Who runs the steps, where the agent is root. Default: the agent's own user.
    pub job_user: Option<String>,
    /// Who the link runs as, where root starts the agent. Default: the agent's own user.
    pub link_user: Option<LinkUser>,
    /// Pause between two pings to the broker, in seconds, 5 to 1,200. Default 300.
    pub keep_alive_s: u64,
    /// Longest pause between two attempts to connect, in seconds, 1 to 3,600. Default 30.
    pub reconnect_maximum_s: u64,
    /// What steps that ask for a reboot get: `reboot`, `reboot_command`, `reboot_patience_s` and `boot_id_file`.
    pub reboots: Reboots,
    /// Pause between two reports of how the node is, in seconds, 1 to 86,400. Default 3,600; an eighth more or less.
    pub health_interval_s: u64,
    /// How much is kept of reports that may be dropped until the bridge has them, in bytes, 1 KiB to 1 MiB. Default 64 KiB.
    pub telemetry_spool_bytes: u64,
    /// The node's own policy: `policy_file`, which must be there where it is given. Default `/etc/flotilla/policy.toml`, where it exists.
    pub policy: PolicyPlace,
    /// Who starts and holds the processes of jobs: `job_runner`. Default `auto`.
    pub job_runner: JobRunner,
    /// What a job may use at most, instead of what its profile says: `job_memory_limit_bytes`, 16 MiB to 1 TiB, and `job_tasks_limit`, 8 to
    /// 4,194,304.
    pub job_limits: GivenLimits,
    /// What is gathered of the device, and how often: `inventory_interval_s`, `inventory_types`, `inventory_details`, `inventory_files` and
    /// `custom_inventory_folder`.
    pub inventory: InventorySettings,
    /// What steps are told: `search_path`, `download_limit_bytes`, `certificate_authorities` and `[s3]`.
    pub tools: Tools,
}

/// How this device reboots when a step asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reboots {
    /// Whether steps may have it. Default: `allow`.
    pub are_allowed: bool,
    /// A program with its arguments that reboots the system, or refuses with an exit code other than 0. Default: `systemctl reboot`, which
    /// minds what inhibits reboots, or `reboot` where systemd does not run.
    pub command: Option<Vec<String>>,
    /// After so many seconds in the same boot the reboot counts as one that did not happen, 1 to 3,600. Default 600.
    pub patience_s: u64,
    /// Where the boot id is read instead of the kernel's; for tests, which play a reboot.
    pub boot_id_file: Option<PathBuf>,
}

/// What is gathered of the device, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InventorySettings {
    /// Between two collections, in milliseconds; an eighth more or less. 0: none. Default six hours.
    pub interval_ms: u64,
    /// What is gathered from where.
    pub scope: Scope,
}

/// Who starts and holds the processes of jobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum JobRunner {
    /// systemd where it has started the agent as root, else the agent.
    #[default]
    Auto,
    /// The agent.
    Process,
    /// systemd: each job is a unit of its own.
    Systemd,
}

impl Reboots {
    /// What the core goes by.
    #[must_use]
    pub fn rule(&self) -> RebootRule {
        RebootRule { is_allowed: self.are_allowed, patience_ms: self.patience_s.saturating_mul(1000) }
    }
}

/// What is wrong with the settings.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("the settings file {} cannot be read", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is too large to be one.
    #[error("the settings file {} is larger than 64 KiB; is it the right file?", .file.display())]
    TooLarge {
        /// The file.
        file: PathBuf,
    },
    /// A key is unknown, or a value is of the wrong kind.
    #[error("{place}: {what}; see flotilla-agent --help")]
    Refused {
        /// The file, or the environment.
        place: String,
        /// What is wrong there, with the name of the key.
        what: String,
    },
    /// A number is out of its limits.
    #[error("the setting {name} must be from {minimum} to {maximum}, not {given}")]
    OutOfLimits {
        /// The setting.
        name: &'static str,
        /// The lowest value.
        minimum: u64,
        /// The highest value.
        maximum: u64,
        /// What was given.
        given: u64,
    },
    /// A path is not absolute.
    #[error("the setting {name} must be an absolute path, not \"{}\"", .given.display())]
    Relative {
        /// The setting.
        name: &'static str,
        /// What was given.
        given: PathBuf,
    },
    /// The socket's path is longer than the system takes.
    #[error("the socket's path {} is longer than 107 bytes; set socket to a shorter one", .given.display())]
    SocketTooLong {
        /// The path.
        given: PathBuf,
    },
    /// An empty name.
    #[error("the setting job_user is empty; leave it out to run steps as the agent's own user")]
    EmptyUser,
    /// The link's user.
    #[error(transparent)]
    LinkUser(#[from] LinkUserError),
    /// What a step runs as must not own the link's key.
    #[error(
        "the settings job_user and link_user both name \"{name}\", so steps could read the link's key; let the link have a user of its own"
    )]
    SharedUser {
        /// The name.
        name: String,
    },
    /// A search path with a folder that is not absolute.
    #[error("the setting search_path must be absolute paths with \":\" between them, not \"{given}\"")]
    SearchPath {
        /// What was given.
        given: String,
    },
    /// Neither of two words.
    #[error("the setting reboot must be \"allow\" or \"refuse\", not \"{given}\"")]
    Reboot {
        /// What was given.
        given: String,
    },
    /// None of three words.
    #[error("the setting job_runner must be \"auto\", \"process\" or \"systemd\", not \"{given}\"")]
    JobRunner {
        /// What was given.
        given: String,
    },
    /// The command that reboots is no command.
    #[error("the setting reboot_command must begin with an absolute path, not \"{given}\"")]
    RebootCommand {
        /// What was given.
        given: String,
    },
    /// A type of inventory that there is not.
    #[error("the setting inventory_types has \"{given}\"; the types are {known}")]
    InventoryType {
        /// What was given.
        given: String,
        /// What there is.
        known: String,
    },
    /// A rule of files that is none.
    #[error("the setting inventory_files: {what}")]
    InventoryFiles {
        /// What is wrong with it.
        what: String,
    },
    /// The address of an object store.
    #[error("the setting s3.endpoint must be https://host[:port] or http://host[:port], not \"{given}\"")]
    Endpoint {
        /// What was given.
        given: String,
    },
}

/// Settings as one source gives them.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    state_folder: Option<PathBuf>,
    socket: Option<PathBuf>,
    maximum_jobs: Option<u64>,
    output_limit_bytes: Option<u64>,
    job_user: Option<String>,
    link_user: Option<String>,
    keep_alive_s: Option<u64>,
    reconnect_maximum_s: Option<u64>,
    reboot: Option<String>,
    reboot_command: Option<String>,
    reboot_patience_s: Option<u64>,
    boot_id_file: Option<PathBuf>,
    health_interval_s: Option<u64>,
    telemetry_spool_bytes: Option<u64>,
    policy_file: Option<PathBuf>,
    job_runner: Option<String>,
    job_memory_limit_bytes: Option<u64>,
    job_tasks_limit: Option<u64>,
    inventory_interval_s: Option<u64>,
    inventory_types: Option<Words>,
    inventory_details: Option<bool>,
    inventory_files: Option<Vec<GivenFiles>>,
    custom_inventory_folder: Option<PathBuf>,
    search_path: Option<String>,
    download_limit_bytes: Option<u64>,
    certificate_authorities: Option<PathBuf>,
    #[serde(default)]
    s3: GivenObjectStore,
}

/// Several words: a list, or one text with commas between them.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Words {
    One(String),
    Many(Vec<String>),
}

impl Words {
    fn list(self) -> Vec<String> {
        match self {
            Self::One(text) => text.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect(),
            Self::Many(words) => words,
        }
    }
}

/// `[[inventory_files]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenFiles {
    path: PathBuf,
    pattern: Words,
    #[serde(default)]
    recursive: bool,
}

/// `[s3]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenObjectStore {
    endpoint: Option<String>,
    region: Option<String>,
    credentials_file: Option<PathBuf>,
}

impl Settings {
    /// Reads the settings of this process.
    ///
    /// # Errors
    /// A sentence that names the file or the variable, and the key.
    pub fn load(file: &SettingsFile) -> Result<Self, SettingsError> {
        Self::from_sources(file, std::env::vars_os())
    }

    /// Reads the settings from a file and from given environment variables.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn from_sources(file: &SettingsFile, variables: impl Iterator<Item = (OsString, OsString)>) -> Result<Self, SettingsError> {
        let file = match file {
            SettingsFile::Named(file) => Given::from_file(file)?,
            SettingsFile::Default if Path::new(DEFAULT_SETTINGS_FILE).exists() => Given::from_file(Path::new(DEFAULT_SETTINGS_FILE))?,
            SettingsFile::Default => Given::default(),
        };
        Given::from_environment(variables)?.over(file).check()
    }
}

impl Given {
    fn from_file(file: &Path) -> Result<Self, SettingsError> {
        let unreadable = |source| SettingsError::Unreadable { file: file.to_owned(), source };
        let mut text = String::new();
        let opened = std::fs::File::open(file).map_err(unreadable)?;
        opened.take(MAXIMUM_FILE_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
        if u64::try_from(text.len()).is_ok_and(|length| length > MAXIMUM_FILE_BYTES) {
            return Err(SettingsError::TooLarge { file: file.to_owned() });
        }
        let built = Config::builder().add_source(File::from_str(&text, FileFormat::Toml)).build();
        Self::from_config(built, &format!("the settings file {}", file.display()))
    }

    fn from_environment(variables: impl Iterator<Item = (OsString, OsString)>) -> Result<Self, SettingsError> {
        let prefix = format!("{ENVIRONMENT_PREFIX}__");
        let own = variables
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, _)| name.starts_with(&prefix))
            .map(|(name, value)| (name, value.to_string_lossy().into_owned()))
            .collect();
        let source = Environment::with_prefix(ENVIRONMENT_PREFIX).prefix_separator("__").separator("__").source(Some(own));
        Self::from_config(Config::builder().add_source(source).build(), &format!("the environment ({prefix}…)"))
    }

    fn from_config(built: Result<Config, ConfigError>, place: &str) -> Result<Self, SettingsError> {
        let refused = |error: ConfigError| SettingsError::Refused { place: place.to_owned(), what: error.to_string() };
        built.map_err(refused)?.try_deserialize().map_err(refused)
    }

    fn over(self, lower: Self) -> Self {
        Self {
            state_folder: self.state_folder.or(lower.state_folder),
            socket: self.socket.or(lower.socket),
            maximum_jobs: self.maximum_jobs.or(lower.maximum_jobs),
            output_limit_bytes: self.output_limit_bytes.or(lower.output_limit_bytes),
            job_user: self.job_user.or(lower.job_user),
            link_user: self.link_user.or(lower.link_user),
            keep_alive_s: self.keep_alive_s.or(lower.keep_alive_s),
            reconnect_maximum_s: self.reconnect_maximum_s.or(lower.reconnect_maximum_s),
            reboot: self.reboot.or(lower.reboot),
            reboot_command: self.reboot_command.or(lower.reboot_command),
            reboot_patience_s: self.reboot_patience_s.or(lower.reboot_patience_s),
            boot_id_file: self.boot_id_file.or(lower.boot_id_file),
            health_interval_s: self.health_interval_s.or(lower.health_interval_s),
            telemetry_spool_bytes: self.telemetry_spool_bytes.or(lower.telemetry_spool_bytes),
            policy_file: self.policy_file.or(lower.policy_file),
            job_runner: self.job_runner.or(lower.job_runner),
            job_memory_limit_bytes: self.job_memory_limit_bytes.or(lower.job_memory_limit_bytes),
            job_tasks_limit: self.job_tasks_limit.or(lower.job_tasks_limit),
            inventory_interval_s: self.inventory_interval_s.or(lower.inventory_interval_s),
            inventory_types: self.inventory_types.or(lower.inventory_types),
            inventory_details: self.inventory_details.or(lower.inventory_details),
            inventory_files: self.inventory_files.or(lower.inventory_files),
            custom_inventory_folder: self.custom_inventory_folder.or(lower.custom_inventory_folder),
            search_path: self.search_path.or(lower.search_path),
            download_limit_bytes: self.download_limit_bytes.or(lower.download_limit_bytes),
            certificate_authorities: self.certificate_authorities.or(lower.certificate_authorities),
            s3: GivenObjectStore {
                endpoint: self.s3.endpoint.or(lower.s3.endpoint),
                region: self.s3.region.or(lower.s3.region),
                credentials_file: self.s3.credentials_file.or(lower.s3.credentials_file),
            },
        }
    }

    fn check(self) -> Result<Settings, SettingsError> {
        let state_folder = absolute("state_folder", self.state_folder.unwrap_or_else(|| "/var/lib/flotilla-agent".into()))?;
        let socket = absolute("socket", self.socket.unwrap_or_else(|| state_folder.join("agent.sock")))?;
        if socket.as_os_str().len() > MAXIMUM_SOCKET_BYTES {
            return Err(SettingsError::SocketTooLong { given: socket });
        }
        if self.job_user.as_deref() == Some("") {
            return Err(SettingsError::EmptyUser);
        }
        if let Some(name) = self.link_user.as_ref().filter(|name| self.job_user.as_ref() == Some(*name)) {
            return Err(SettingsError::SharedUser { name: name.clone() });
        }
        let reboots = check_reboots(self.reboot, self.reboot_command, self.reboot_patience_s, self.boot_id_file)?;
        let tools = check_tools(self.search_path, self.download_limit_bytes, self.certificate_authorities, self.s3)?;
        let given_inventory = GivenInventory {
            interval_s: self.inventory_interval_s,
            types: self.inventory_types,
            has_details: self.inventory_details.unwrap_or(false),
            files: self.inventory_files.unwrap_or_default(),
            custom: self.custom_inventory_folder,
        };
        let inventory = given_inventory.check(&tools.search_path)?;
        let limit = |name, given: Option<u64>, limits| given.map(|given| within(name, given, limits)).transpose();
        let job_limits = GivenLimits {
            memory_bytes: limit("job_memory_limit_bytes", self.job_memory_limit_bytes, JOB_MEMORY_LIMIT_BYTES)?,
            tasks: limit("job_tasks_limit", self.job_tasks_limit, JOB_TASKS_LIMIT)?,
        };
        let maximum_jobs = within("maximum_jobs", self.maximum_jobs.unwrap_or(4), MAXIMUM_JOBS)?;
        Ok(Settings {
            state_folder,
            socket,
            maximum_jobs: usize::try_from(maximum_jobs).unwrap_or(1),
            output_limit_bytes: within("output_limit_bytes", self.output_limit_bytes.unwrap_or(1024 * 1024), OUTPUT_LIMIT_BYTES)?,
            job_user: self.job_user,
            link_user: self.link_user.as_deref().map(LinkUser::find).transpose()?,
            keep_alive_s: within("keep_alive_s", self.keep_alive_s.unwrap_or(300), KEEP_ALIVE_S)?,
            reconnect_maximum_s: within("reconnect_maximum_s", self.reconnect_maximum_s.unwrap_or(30), RECONNECT_MAXIMUM_S)?,
            reboots,
            health_interval_s: within("health_interval_s", self.health_interval_s.unwrap_or(3600), HEALTH_INTERVAL_S)?,
            telemetry_spool_bytes: within("telemetry_spool_bytes", self.telemetry_spool_bytes.unwrap_or(64 * 1024), TELEMETRY_SPOOL_BYTES)?,
            policy: check_policy(self.policy_file)?,
            job_runner: check_job_runner(self.job_runner)?,
            job_limits,
            inventory,
            tools,
        })
    }
}

/// What is given of the inventory.
struct GivenInventory {
    interval_s: Option<u64>,
    types: Option<Words>,
    has_details: bool,
    files: Vec<GivenFiles>,
    custom: Option<PathBuf>,
}

impl GivenInventory {
    fn check(self, search_path: &str) -> Result<InventorySettings, SettingsError> {
        // It is asked for by its name, or by naming files.
        let is_default = |kind: &Kind| *kind != Kind::File || !self.files.is_empty();
        let (mut kinds, mut has_custom) = (BTreeSet::new(), true);
        match self.types.map(Words::list) {
            None => kinds.extend(Kind::ALL.into_iter().filter(is_default)),
            Some(types) => {
                has_custom = false;
                for given in types {
                    match Kind::ALL.into_iter().find(|kind| kind.type_name() == given) {
                        Some(kind) => drop(kinds.insert(kind)),
                        None if given == CUSTOM_TYPES => has_custom = true,
                        None => return Err(SettingsError::InventoryType { given, known: known_types() }),
                    }
                }
            }
        }
        if self.files.len() > MAXIMUM_FILE_RULES {
            return Err(SettingsError::InventoryFiles { what: format!("there are more than {MAXIMUM_FILE_RULES}") });
        }
        let rule = |GivenFiles { path, pattern, recursive }: GivenFiles| {
            let (folder, patterns) = (absolute("inventory_files.path", path)?, pattern.list());
            if patterns.is_empty() {
                return Err(SettingsError::InventoryFiles { what: format!("{} has no pattern", folder.display()) });
            }
            Ok(Rule { folder, patterns, is_recursive: recursive })
        };
        let interval_s = match self.interval_s.unwrap_or(DEFAULT_INVENTORY_INTERVAL_S) {
            0 => 0,
            given => within("inventory_interval_s", given, INVENTORY_INTERVAL_S)?,
        };
        let scope = Scope {
            kinds,
            has_custom,
            root: "/".into(),
            search_path: search_path.to_owned(),
            has_details: self.has_details,
            files: self.files.into_iter().map(rule).collect::<Result<_, _>>()?,
            custom: absolute("custom_inventory_folder", self.custom.unwrap_or_else(|| DEFAULT_CUSTOM_INVENTORY.into()))?,
        };
        Ok(InventorySettings { interval_ms: interval_s.saturating_mul(1000), scope })
    }
}

fn known_types() -> String {
    let own: Vec<&str> = Kind::ALL.into_iter().map(Kind::type_name).chain([CUSTOM_TYPES]).collect();
    own.join(", ")
}

fn check_job_runner(given: Option<String>) -> Result<JobRunner, SettingsError> {
    match given.as_deref() {
        None | Some("auto") => Ok(JobRunner::Auto),
        Some("process") => Ok(JobRunner::Process),
        Some("systemd") => Ok(JobRunner::Systemd),
        Some(given) => Err(SettingsError::JobRunner { given: given.to_owned() }),
    }
}

fn check_policy(file: Option<PathBuf>) -> Result<PolicyPlace, SettingsError> {
    let is_required = file.is_some();
    Ok(PolicyPlace { file: absolute("policy_file", file.unwrap_or_else(|| DEFAULT_POLICY_FILE.into()))?, is_required })
}

fn check_reboots(
    reboot: Option<String>,
    command: Option<String>,
    patience_s: Option<u64>,
    boot_id_file: Option<PathBuf>,
) -> Result<Reboots, SettingsError> {
    let are_allowed = match reboot.as_deref() {
        None | Some("allow") => true,
        Some("refuse") => false,
        Some(given) => return Err(SettingsError::Reboot { given: given.to_owned() }),
    };
    if let Some(given) = command.as_ref().filter(|command| !command.starts_with('/')) {
        return Err(SettingsError::RebootCommand { given: given.clone() });
    }
    Ok(Reboots {
        are_allowed,
        command: command.map(|command| command.split_whitespace().map(str::to_owned).collect()),
        patience_s: within("reboot_patience_s", patience_s.unwrap_or(600), REBOOT_PATIENCE_S)?,
        boot_id_file: boot_id_file.map(|file| absolute("boot_id_file", file)).transpose()?,
    })
}

fn check_tools(
    search_path: Option<String>,
    download_limit_bytes: Option<u64>,
    certificate_authorities: Option<PathBuf>,
    s3: GivenObjectStore,
) -> Result<Tools, SettingsError> {
    let default = Tools::default();
    let search_path = search_path.unwrap_or(default.search_path);
    if !search_path.split(':').all(|folder| Path::new(folder).is_absolute()) {
        return Err(SettingsError::SearchPath { given: search_path });
    }
    if let Some(endpoint) = &s3.endpoint
        && !is_origin(endpoint)
    {
        return Err(SettingsError::Endpoint { given: endpoint.clone() });
    }
    let file = |name, file: Option<PathBuf>| file.map(|file| absolute(name, file)).transpose();
    Ok(Tools {
        search_path,
        download_limit_bytes: within(
            "download_limit_bytes",
            download_limit_bytes.unwrap_or(default.download_limit_bytes),
            DOWNLOAD_LIMIT_BYTES,
        )?,
        certificate_authorities: file("certificate_authorities", certificate_authorities)?,
        s3: ObjectStore { endpoint: s3.endpoint, region: s3.region, credentials_file: file("s3.credentials_file", s3.credentials_file)? },
    })
}

/// Scheme, host and perhaps a port, and nothing after them.
fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    host.is_some_and(|host| !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte)))
}

fn absolute(name: &'static str, given: PathBuf) -> Result<PathBuf, SettingsError> {
    if given.is_absolute() { Ok(given) } else { Err(SettingsError::Relative { name, given }) }
}

fn within(name: &'static str, given: u64, limits: RangeInclusive<u64>) -> Result<u64, SettingsError> {
    if limits.contains(&given) {
        return Ok(given);
    }
    Err(SettingsError::OutOfLimits { name, minimum: *limits.start(), maximum: *limits.end(), given })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn read(text: &str, variables: &[(&str, &str)]) -> Result<Settings, String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        Settings::from_sources(&SettingsFile::Named(file.path().to_owned()), variables)
            .map_err(|error| error.to_string().replace(&file.path().display().to_string(), "FILE"))
    }

    #[test]
    fn defaults_then_the_file_then_the_environment() {
        let settings = read("", &[("OTHER", "x")]).unwrap();
        assert_eq!(settings.state_folder, Path::new("/var/lib/flotilla-agent"));
        assert_eq!(settings.socket, Path::new("/var/lib/flotilla-agent/agent.sock"));
        assert_eq!((settings.maximum_jobs, settings.output_limit_bytes, settings.job_user), (4, 1024 * 1024, None));
        assert_eq!((settings.keep_alive_s, settings.reconnect_maximum_s), (300, 30));
        assert_eq!((settings.health_interval_s, settings.telemetry_spool_bytes), (3600, 64 * 1024));

        assert_eq!((settings.job_runner, settings.job_limits), (JobRunner::Auto, GivenLimits::default()));
        let settings = read("job_runner = \"systemd\"\njob_tasks_limit = 64", &[("FLOTILLA_AGENT__JOB_RUNNER", "process")]).unwrap();
        assert_eq!((settings.job_runner, settings.job_limits.tasks), (JobRunner::Process, Some(64)));

        let settings = read("", &[]).unwrap();
        let variables = [("FLOTILLA_AGENT__STATE_FOLDER", "/b"), ("FLOTILLA_AGENT__MAXIMUM_JOBS", "9")];
        assert_eq!(settings.tools, Tools::default());
        let text = "download_limit_bytes = 2048\n[s3]\nendpoint = \"https://storage:9000\"\nregion = \"local\"";
        let settings = read(text, &[("FLOTILLA_AGENT__S3__REGION", "other"), ("FLOTILLA_AGENT__SEARCH_PATH", "/opt/bin:/bin")]).unwrap();
        let s3 = ObjectStore { endpoint: Some("https://storage:9000".into()), region: Some("other".into()), credentials_file: None };
        let expected = Tools { search_path: "/opt/bin:/bin".into(), download_limit_bytes: 2048, s3, ..Tools::default() };
        assert_eq!(settings.tools, expected);

        let defaults = Reboots { are_allowed: true, command: None, patience_s: 600, boot_id_file: None };
        assert_eq!(read("", &[]).unwrap().reboots, defaults);
        let text = "reboot = \"refuse\"\nreboot_command = \"/bin/systemctl reboot\"\nboot_id_file = \"/b\"";
        let reboots = read(text, &[("FLOTILLA_AGENT__REBOOT_PATIENCE_S", "9")]).unwrap().reboots;
        let command = Some(vec!["/bin/systemctl".to_owned(), "reboot".to_owned()]);
        assert_eq!(reboots, Reboots { are_allowed: false, command, patience_s: 9, boot_id_file: Some("/b".into()) });

        let settings = read("state_folder = \"/a\"\nkeep_alive_s = 5\njob_user = \"nobody\"", &variables).unwrap();
        assert_eq!(settings.socket, Path::new("/b/agent.sock"));
        assert_eq!((settings.maximum_jobs, settings.keep_alive_s, settings.job_user.as_deref()), (9, 5, Some("nobody")));
    }

    #[test]
    fn what_is_gathered_is_chosen_by_name() {
        let scope = |text: &str, variables: &[(&str, &str)]| read(text, variables).unwrap().inventory.scope;
        let default = read("", &[]).unwrap().inventory;
        assert_eq!((default.interval_ms, default.scope.has_custom, default.scope.has_details), (6 * 3_600_000, true, false));
        let without_files = [Kind::Application, Kind::Network, Kind::Service, Kind::Hardware];
        assert_eq!(default.scope.kinds, BTreeSet::from(without_files));
        assert_eq!(default.scope.custom, Path::new("/etc/flotilla/inventory"));
        assert_eq!(read("inventory_interval_s = 0", &[]).unwrap().inventory.interval_ms, 0, "it is off");
        let files = scope("[[inventory_files]]\npath = \"/etc\"\npattern = [\"*.conf\", \"hosts\"]\nrecursive = true", &[]);
        let rule = Rule { folder: "/etc".into(), patterns: vec!["*.conf".into(), "hosts".into()], is_recursive: true };
        assert_eq!((files.files, files.kinds.contains(&Kind::File)), (vec![rule], true));
        let chosen = scope("inventory_types = [\"AWS:File\"]", &[("FLOTILLA_AGENT__INVENTORY_TYPES", "AWS:Network, Custom:*")]);
        assert_eq!((chosen.kinds, chosen.has_custom), (BTreeSet::from([Kind::Network]), true));
        assert!(!scope("inventory_types = [\"AWS:File\"]", &[]).has_custom);
    }

    #[test]
    fn unknown_keys_are_refused_with_their_name_and_place() {
        let error = read("state_foldr = \"/a\"", &[]).unwrap_err();
        assert!(error.contains("settings file FILE") && error.contains("state_foldr"), "{error}");
        let error = read("", &[("FLOTILLA_AGENT__MAXIMUM_JOB", "1")]).unwrap_err();
        assert!(error.contains("environment") && error.contains("maximum_job"), "{error}");
        let error = read("", &[("FLOTILLA_AGENT__KEEP_ALIVE_S__X", "1")]).unwrap_err();
        assert!(error.contains("keep_alive_s"), "{error}");
    }

    #[test]
    fn wrong_values_are_refused_in_a_sentence() {
        for (text, expected) in [
            ("maximum_jobs = 0", "maximum_jobs must be from 1 to 64, not 0"),
            ("maximum_jobs = 65", "not 65"),
            ("output_limit_bytes = 65535", "output_limit_bytes must be from 65536"),
            ("keep_alive_s = 4", "keep_alive_s"),
            ("keep_alive_s = 1201", "keep_alive_s"),
            ("reconnect_maximum_s = 0", "reconnect_maximum_s"),
            ("health_interval_s = 0", "health_interval_s must be from 1"),
            ("inventory_interval_s = 2592001", "inventory_interval_s must be from 1 to 2592000"),
            (
                "inventory_types = [\"AWS:Application\", \"AWS:Aplication\"]",
                "inventory_types has \"AWS:Aplication\"; the types are AWS:Application,",
            ),
            ("inventory_types = \"Custom:Rack\"", "Custom:*"),
            ("custom_inventory_folder = \"inventory\"", "custom_inventory_folder must be an absolute path"),
            ("[[inventory_files]]\npath = \"etc\"\npattern = \"*\"", "inventory_files.path must be an absolute path"),
            ("[[inventory_files]]\npath = \"/etc\"\npattern = []", "/etc has no pattern"),
            ("[[inventory_files]]\npath = \"/etc\"\npatern = \"*\"", "inventory_files"),
            ("telemetry_spool_bytes = 1023", "telemetry_spool_bytes must be from 1024"),
            ("maximum_jobs = \"many\"", "maximum_jobs"),
            ("maximum_jobs = -1", "maximum_jobs"),
            ("state_folder = \"a\"", "absolute path"),
            ("job_user = \"\"", "job_user is empty"),
            ("link_user = \"flotilla-nobody-at-all\"", "link_user names \"flotilla-nobody-at-all\", and this system has no such user"),
            ("link_user = \"\"", "no such user"),
            ("link_user = \"root\"", "which is root"),
            ("link_user = \"nobody\"\njob_user = \"nobody\"", "both name \"nobody\""),
            ("search_path = \"/bin:usr/bin\"", "search_path must be absolute"),
            ("search_path = \"\"", "search_path must be absolute"),
            ("download_limit_bytes = 1", "download_limit_bytes must be from 1024"),
            ("certificate_authorities = \"ca.pem\"", "certificate_authorities must be an absolute path"),
            ("job_runner = \"docker\"", "\"auto\", \"process\" or \"systemd\", not \"docker\""),
            ("job_memory_limit_bytes = 1048576", "job_memory_limit_bytes must be from 16777216"),
            ("job_tasks_limit = 7", "job_tasks_limit must be from 8"),
            ("reboot = \"maybe\"", "\"allow\" or \"refuse\""),
            ("reboot_command = \"reboot\"", "reboot_command must begin with an absolute path"),
            ("reboot_command = \"\"", "reboot_command must begin with an absolute path"),
            ("reboot_patience_s = 0", "reboot_patience_s must be from 1"),
            ("boot_id_file = \"b\"", "boot_id_file must be an absolute path"),
            ("[s3]\nendpoint = \"storage\"", "s3.endpoint must be https://host"),
            ("[s3]\nendpoint = \"https://storage/bucket\"", "s3.endpoint must be"),
            ("[s3]\ncredentials_file = \"k\"", "s3.credentials_file must be an absolute path"),
            ("[s3]\nbucket = \"b\"", "bucket"),
            ("maximum_jobs =", "settings file FILE"),
        ] {
            let error = read(text, &[]).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let long = format!("socket = \"/{}\"", "x".repeat(107));
        assert!(read(&long, &[]).unwrap_err().contains("107 bytes"));
        let missing = Settings::from_sources(&SettingsFile::Named("/nowhere/agent.toml".into()), std::iter::empty()).unwrap_err();
        assert!(missing.to_string().contains("/nowhere/agent.toml"));
    }
}
