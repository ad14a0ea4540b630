//! Python with the real boto3 and the real `aws`, for tests against the programs that operators use.

use crate::fleet::Fleet;
use crate::process;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names a Python environment with awscli and boto3; `tests/run` makes one and sets it.
const VENV: &str = "FLOTILLA_VENV";

/// A Python that has boto3, and an `aws`.
#[derive(Debug)]
pub struct Python {
    interpreter: PathBuf,
    aws: PathBuf,
}

impl Python {
    /// From the environment that `FLOTILLA_VENV` names, else from the path. Nothing, and a line that says so, where there is none.
    ///
    /// # Panics
    /// When `FLOTILLA_VENV` is set and does not hold both: whoever sets it wants these tests.
    #[must_use]
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    pub fn find() -> Option<Self> {
        let venv = std::env::var_os(VENV).map(|folder| PathBuf::from(folder).join("bin"));
        let named = |name: &str| venv.as_ref().map_or_else(|| PathBuf::from(name), |folder| folder.join(name));
        let found = Self { interpreter: named("python3"), aws: named("aws") };
        let works = runs(&found.interpreter, &["-c", "import boto3"]) && runs(&found.aws, &["--version"]);
        assert!(works || venv.is_none(), "{VENV} names {venv:?}, which lacks awscli or boto3");
        if !works {
            eprintln!("skipped: there is no Python with boto3 and no aws; tests/run makes both");
        }
        works.then_some(found)
    }

    /// Runs a Python script against a fleet, with the variables of its operator.env; it must succeed. `aws` is in its variable AWS.
    ///
    /// # Panics
    /// When it does not; what it wrote is in the message.
    #[expect(clippy::print_stderr, reason = "what a script checked is of interest when the test is watched")]
    pub fn run(&self, fleet: &Fleet, script: &str, arguments: &[&str]) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let mut command = process::command(&self.interpreter);
        command.arg("-u").arg(folder.join(script)).args(arguments).env("AWS", &self.aws);
        self.operator(&mut command, fleet);
        let output = process::output(command);
        let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{script} failed:\n{said}\n{errors}");
        eprintln!("{said}");
    }

    fn operator(&self, command: &mut Command, fleet: &Fleet) {
        // Nothing of this machine's own AWS settings: only what operator.env says.
        for name in ["AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_CA_BUNDLE"] {
            command.env_remove(name);
        }
        let absent = fleet.folder().join("none");
        command.env("AWS_CONFIG_FILE", &absent).env("AWS_SHARED_CREDENTIALS_FILE", &absent);
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_PAGER", "").env("NO_PROXY", "*");
        let text = std::fs::read_to_string(fleet.home().operator_environment()).expect("init writes operator.env");
        for (name, value) in text.lines().filter_map(|line| line.split_once('=')) {
            command.env(name, value);
        }
    }
}

fn runs(program: &Path, arguments: &[&str]) -> bool {
    let mut command = process::command(program);
    command.args(arguments);
    command.output().is_ok_and(|output| output.status.success())
}
