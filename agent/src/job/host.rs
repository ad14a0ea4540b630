//! What a step is given to run with.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use flotilla_protocol::report::OutputStream;
use tokio::process::Child;
use tokio::signal::unix::Signal;
use tokio::time::sleep;

use super::capture::Capture;
use super::child::{self, ChildEnd};
use super::folder::JobFolder;
use super::redaction::{Needles, Redactor};
use super::secrets::{JobSecrets, StepSecrets};
use super::spec::{JobSpec, JobStep, Level};
use crate::clock;
use crate::process;

/// How often the cancel file is looked for without a signal: exec may have died between the two.
const LOOK: Duration = Duration::from_secs(1);

/// Whether and when the job is to stop.
#[derive(Debug)]
pub(crate) struct Stop {
    terminate: Signal,
    marker: PathBuf,
}

impl Stop {
    pub(crate) fn new(terminate: Signal, marker: PathBuf) -> Self {
        Self { terminate, marker }
    }

    /// Whether the cancel file is there.
    pub(crate) fn requested(&self) -> bool {
        self.marker.exists()
    }

    /// Waits until the cancel file is there. A SIGTERM without it means nothing.
    pub(crate) async fn wait(&mut self) {
        while !self.requested() {
            tokio::select! {
                _ = self.terminate.recv() => {}
                () = sleep(LOOK) => {}
            }
        }
    }
}

/// One step's place in its job.
#[derive(Debug)]
pub struct Host<'a> {
    pub(crate) folder: &'a JobFolder,
    pub(crate) spec: &'a JobSpec,
    pub(crate) secrets: &'a JobSecrets,
    /// The secrets as output may have them.
    pub(crate) needles: Option<Arc<Needles>>,
    pub(crate) index: u16,
    pub(crate) stop: &'a mut Stop,
    /// Begins the names of the step's files; not empty for a step of a document that a step runs.
    pub(crate) prefix: String,
    /// Where the step is run again after a reboot: what it had written when it asked for that.
    pub(crate) again: Option<JobStep>,
    /// Where it goes on in documents within the step, the outermost first.
    pub(crate) within: Vec<Level>,
    /// The step asks for a reboot: how far documents within it have come, the outermost first.
    pub(crate) asks_reboot: Option<Vec<Level>>,
}

impl Host<'_> {
    /// The files for the step's output.
    pub(crate) fn captures(&self) -> io::Result<[Capture; 2]> {
        let limit_bytes = self.spec.output_limit_bytes;
        let path = |stream| self.folder.output(self.index, stream);
        let (stdout, stderr) = (path(OutputStream::Stdout), path(OutputStream::Stderr));
        let captures = match &self.again {
            Some(before) => [Capture::again(&stdout, limit_bytes, &before.stdout)?, Capture::again(&stderr, limit_bytes, &before.stderr)?],
            None => [Capture::create(&stdout, limit_bytes)?, Capture::create(&stderr, limit_bytes)?],
        };
        Ok(captures.map(|capture| capture.redacted(self.needles.clone().map(Redactor::new))))
    }

    /// The path of a file of this step in the job's folder.
    pub(crate) fn file(&self, ending: &str) -> PathBuf {
        self.folder.step_file(self.index, &format!("{}{ending}", self.prefix))
    }

    /// Starts the role step on a plan file, in a process group of its own.
    pub(crate) fn start(&self, plan: &std::path::Path, secrets: &StepSecrets) -> io::Result<Child> {
        process::start_step(plan, &self.spec.order.to_string(), secrets.to_input()?)
    }

    /// Waits for what was started, no longer than `limit`, and keeps its output.
    pub(crate) async fn attend(&mut self, child: Child, limit: Duration, captures: [Capture; 2]) -> (ChildEnd, Option<[Capture; 2]>) {
        let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let deadline_ms = clock::boottime_ms().saturating_add(limit_ms);
        child::attend(child, deadline_ms, self.stop, captures).await
    }
}
