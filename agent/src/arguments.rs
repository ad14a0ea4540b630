//! The command line: roles as subcommands.

use std::ffi::OsString;
use std::path::PathBuf;

use flotilla_agent_core::Attempt;
use lexopt::{Arg, Parser, ValueExt as _};
use thiserror::Error;

/// Where the settings are when nobody says.
pub const DEFAULT_SETTINGS_FILE: &str = "/etc/flotilla/agent.toml";

/// What `--help` prints.
pub const HELP: &str = "\
flotilla-agent: runs signed orders on this device and reports what came of them.

Usage:
  flotilla-agent register --activation '<string>' [--again] [--settings FILE]
  flotilla-agent run [--settings FILE]

Commands:
  register   Make this device a node of a fleet. Prints the node's id.
               --activation -           reads the activation string that the operator gave you from standard input
               --activation-file FILE   reads it from a file, for example a credential of systemd
               --activation '<string>'  takes it from the command line, where other users of this device can see it
               --again                  enrol once more with the same key, for example after the broker has moved
  run        Run the agent in the foreground until SIGTERM or Ctrl-C.

Options:
  --settings FILE   default /etc/flotilla/agent.toml; without that file every setting has its default.
                    Every setting can be given in the environment: FLOTILLA_AGENT__STATE_FOLDER=/srv/agent
  --version         Print the version.
  --help            Print this text.

Examples:
  flotilla-agent register --activation - < activation.txt
  flotilla-agent register --activation 'fl1_…'
  FLOTILLA_AGENT__STATE_FOLDER=$HOME/agent flotilla-agent run

The parts of a running agent (link, exec, job, step, prepare, clean, collect) are started by it or by a service, and not by hand.
";

/// Which settings file to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingsFile {
    /// The file named on the command line: it must exist.
    Named(PathBuf),
    /// [`DEFAULT_SETTINGS_FILE`], where it exists.
    Default,
}

/// Where the activation string is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActivationFrom {
    /// On the command line.
    Argument(String),
    /// The first line of standard input.
    Input,
    /// The first line of a file.
    File(PathBuf),
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Print the help.
    Help,
    /// Print the version.
    Version,
    /// Run link and exec and keep them running.
    Run {
        /// Where the settings are.
        settings: SettingsFile,
    },
    /// The role link.
    Link {
        /// Where the settings are.
        settings: SettingsFile,
        /// The process to stop with.
        supervisor: Option<u32>,
    },
    /// The role exec.
    Exec {
        /// Where the settings are.
        settings: SettingsFile,
        /// The process to stop with.
        supervisor: Option<u32>,
        /// How often the supervisor has started it again.
        restarts: Option<u32>,
    },
    /// Makes folders and their owners what the settings say, and ends: for a service whose halves have not the right to.
    Prepare {
        /// Where the settings are.
        settings: SettingsFile,
    },
    /// The role job.
    Job {
        /// The job's folder.
        folder: PathBuf,
        /// Which start of its order it is.
        attempt: Attempt,
        /// Where the boot id is read instead of the kernel's.
        boot_id_file: Option<PathBuf>,
        /// The control group that it joins.
        cgroup: Option<PathBuf>,
    },
    /// Gathers the inventory.
    Collect {
        /// The folder with what is to be gathered; the results come into it.
        folder: PathBuf,
        /// The process to die with.
        supervisor: Option<u32>,
        /// The control group that it joins.
        cgroup: Option<PathBuf>,
    },
    /// Removes what a job has left.
    Clean {
        /// The job's folder.
        folder: PathBuf,
        /// Not the folder, but what downloads may have left; what the job was to run is the standard input.
        downloads: bool,
    },
    /// Becomes the shell of one step.
    Step {
        /// The file that says what to run.
        plan: PathBuf,
    },
    /// Make this device a node.
    Register {
        /// Where the settings are.
        settings: SettingsFile,
        /// The activation string.
        activation: ActivationFrom,
        /// Also when the device is a node already.
        again: bool,
    },
}

/// What is wrong with a command line.
#[derive(Debug, Error)]
pub enum ArgumentsError {
    /// An option that is unknown, lacks its value or has one too many.
    #[error("{0}; see flotilla-agent --help")]
    Syntax(#[from] lexopt::Error),
    /// There is no such command.
    #[error("there is no command \"{0}\"; the commands are register and run, see flotilla-agent --help")]
    Unknown(String),
    /// No command was given.
    #[error("say what to do: flotilla-agent register or flotilla-agent run, see flotilla-agent --help")]
    Missing,
    /// A command lacks an option that it needs.
    #[error("{command} needs {option}; see flotilla-agent --help")]
    Needs {
        /// The command.
        command: &'static str,
        /// The option with its value.
        option: &'static str,
    },
    /// An option that belongs to another command.
    #[error("{command} takes no {option}; see flotilla-agent --help")]
    Foreign {
        /// The command.
        command: String,
        /// The option.
        option: &'static str,
    },
}

/// Options as they were given, before it is known which belong to the command.
#[derive(Default)]
struct Given {
    settings: Option<PathBuf>,
    supervisor: Option<u32>,
    restarts: Option<u32>,
    folder: Option<PathBuf>,
    attempt: Option<Attempt>,
    boot_id_file: Option<PathBuf>,
    cgroup: Option<PathBuf>,
    downloads: Option<()>,
    plan: Option<PathBuf>,
    activation: Option<String>,
    activation_file: Option<PathBuf>,
    again: Option<()>,
}

/// Reads the arguments after the program's name.
///
/// # Errors
/// A sentence for the person who typed them.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, ArgumentsError> {
    let mut parser = Parser::from_args(arguments);
    let mut command = None;
    let mut given = Given::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => return Ok(Command::Help),
            Arg::Long("version") | Arg::Short('V') => return Ok(Command::Version),
            Arg::Long("settings") => given.settings = Some(parser.value()?.into()),
            Arg::Long("supervised") => given.supervisor = Some(parser.value()?.parse()?),
            Arg::Long("restarts") => given.restarts = Some(parser.value()?.parse()?),
            Arg::Long("folder") => given.folder = Some(parser.value()?.into()),
            Arg::Long("attempt") => given.attempt = Some(parser.value()?.parse()?),
            Arg::Long("boot-id-file") => given.boot_id_file = Some(parser.value()?.into()),
            Arg::Long("cgroup") => given.cgroup = Some(parser.value()?.into()),
            Arg::Long("downloads") => given.downloads = Some(()),
            Arg::Long("plan") => given.plan = Some(parser.value()?.into()),
            Arg::Long("activation") => given.activation = Some(parser.value()?.string()?),
            Arg::Long("activation-file") => given.activation_file = Some(parser.value()?.into()),
            Arg::Long("again") => given.again = Some(()),
            Arg::Value(name) if command.is_none() => command = Some(name.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let command = command.ok_or(ArgumentsError::Missing)?;
    let mut settings = || given.settings.take().map_or(SettingsFile::Default, SettingsFile::Named);
    let parsed = match command.as_str() {
        "run" => Command::Run { settings: settings() },
        "link" => Command::Link { settings: settings(), supervisor: given.supervisor.take() },
        "exec" => Command::Exec { settings: settings(), supervisor: given.supervisor.take(), restarts: given.restarts.take() },
        "prepare" => Command::Prepare { settings: settings() },
        "job" => Command::Job {
            folder: needed(given.folder.take(), "job", "--folder FOLDER")?,
            attempt: given.attempt.take().unwrap_or_default(),
            boot_id_file: given.boot_id_file.take(),
            cgroup: given.cgroup.take(),
        },
        "collect" => Command::Collect {
            folder: needed(given.folder.take(), "collect", "--folder FOLDER")?,
            supervisor: given.supervisor.take(),
            cgroup: given.cgroup.take(),
        },
        "clean" => {
            Command::Clean { folder: needed(given.folder.take(), "clean", "--folder FOLDER")?, downloads: given.downloads.take().is_some() }
        }
        "step" => Command::Step { plan: needed(given.plan.take(), "step", "--plan FILE")? },
        "register" => Command::Register {
            settings: settings(),
            activation: match given.activation_file.take() {
                Some(file) => ActivationFrom::File(file),
                None => match needed(given.activation.take(), "register", "--activation '<string>'")? {
                    text if text == "-" => ActivationFrom::Input,
                    text => ActivationFrom::Argument(text),
                },
            },
            again: given.again.take().is_some(),
        },
        _ => return Err(ArgumentsError::Unknown(command)),
    };
    // What a command takes was taken out above.
    match given.left_over() {
        Some(option) => Err(ArgumentsError::Foreign { command, option }),
        None => Ok(parsed),
    }
}

fn needed<T>(value: Option<T>, command: &'static str, option: &'static str) -> Result<T, ArgumentsError> {
    value.ok_or(ArgumentsError::Needs { command, option })
}

impl Given {
    fn left_over(&self) -> Option<&'static str> {
        let left = [
            (self.settings.is_some(), "--settings"),
            (self.supervisor.is_some(), "--supervised"),
            (self.restarts.is_some(), "--restarts"),
            (self.folder.is_some(), "--folder"),
            (self.attempt.is_some(), "--attempt"),
            (self.boot_id_file.is_some(), "--boot-id-file"),
            (self.cgroup.is_some(), "--cgroup"),
            (self.downloads.is_some(), "--downloads"),
            (self.plan.is_some(), "--plan"),
            (self.activation.is_some(), "--activation"),
            (self.activation_file.is_some(), "--activation-file"),
            (self.again.is_some(), "--again"),
        ];
        left.into_iter().find_map(|(given, option)| given.then_some(option))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(OsString::from)).map_err(|error| error.to_string())
    }

    #[test]
    fn commands_are_read_with_their_options() {
        assert_eq!(parse_words("run"), Ok(Command::Run { settings: SettingsFile::Default }));
        assert_eq!(parse_words("run --settings a.toml"), Ok(Command::Run { settings: SettingsFile::Named("a.toml".into()) }));
        assert_eq!(parse_words("link --supervised 7"), Ok(Command::Link { settings: SettingsFile::Default, supervisor: Some(7) }));
        assert_eq!(parse_words("prepare"), Ok(Command::Prepare { settings: SettingsFile::Default }));
        let job = |attempt| Command::Job { folder: "f".into(), attempt, boot_id_file: None, cgroup: None };
        assert_eq!(parse_words("job --folder f"), Ok(job(Attempt::default())));
        assert_eq!(parse_words("job --attempt 2.1 --folder f"), Ok(job(Attempt { reboots: 2, tries: 1 })));
        let register = |activation, again| Command::Register { settings: SettingsFile::Default, activation, again };
        let argument = ActivationFrom::Argument("x".into());
        assert_eq!(parse_words("register --again --activation x"), Ok(register(argument, true)));
        assert_eq!(parse_words("register --activation -"), Ok(register(ActivationFrom::Input, false)));
        assert_eq!(parse_words("register --activation-file -"), Ok(register(ActivationFrom::File("-".into()), false)));
        assert_eq!(parse_words("clean --folder f --downloads"), Ok(Command::Clean { folder: "f".into(), downloads: true }));
        let collect = Command::Collect { folder: "f".into(), supervisor: Some(7), cgroup: None };
        assert_eq!(parse_words("collect --folder f --supervised 7"), Ok(collect));
        assert_eq!(parse_words("run --help"), Ok(Command::Help));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, expected) in [
            ("", "say what to do"),
            ("start", "no command \"start\""),
            ("register", "register needs --activation"),
            ("run --again", "run takes no --again"),
            ("job --folder f --settings s", "job takes no --settings"),
            ("run --folder", "--folder"),
            ("run --unknown", "--unknown"),
            ("register --activation x --activation-file f", "--activation"),
            ("clean --downloads", "clean needs --folder"),
            ("job --folder f --downloads", "job takes no --downloads"),
            ("link --restarts 1", "--restarts"),
            ("collect", "collect needs --folder"),
            ("link --supervised x", "\"x\""),
            ("job --folder f --attempt 2", "\"2\""),
            ("run --attempt 2.1", "run takes no --attempt"),
        ] {
            let error = parse_words(line).unwrap_err();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }
}
