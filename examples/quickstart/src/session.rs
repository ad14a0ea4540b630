//! What runs, and the waiting for it: every wait ends at a limit, at Ctrl-C, or when something that runs has died.

use std::path::PathBuf;
use std::time::Duration;

use crate::child::{self, Child, LOOK_PAUSE};
use crate::clock;
use crate::error::QuickstartError;
use crate::signals::Signals;

/// How long processes may take to stop: longer than an agent gives its own halves, five seconds.
const STOP_LIMIT: Duration = Duration::from_secs(7);
/// How often a fleet at rest is looked at.
const REST_PAUSE: Duration = Duration::from_millis(250);

/// The running parts. Dropping it stops them all.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) signals: Signals,
    /// Where to send people who ask why.
    logs: PathBuf,
    bridge: Vec<Child>,
    agents: Vec<Child>,
}

impl Session {
    /// Nothing runs yet.
    pub(crate) fn new(signals: Signals, logs: PathBuf) -> Self {
        Self { signals, logs, bridge: Vec::new(), agents: Vec::new() }
    }

    pub(crate) fn add_bridge(&mut self, bridge: Child) {
        self.bridge.push(bridge);
    }

    pub(crate) fn add_agent(&mut self, agent: Child) {
        self.agents.push(agent);
    }

    /// Looks until there is something, for `limit` at most.
    pub(crate) fn wait_for<T>(
        &mut self,
        what: &str,
        limit: Duration,
        mut look: impl FnMut() -> Result<Option<T>, QuickstartError>,
    ) -> Result<T, QuickstartError> {
        let begun = clock::now();
        loop {
            if let Some(found) = look()? {
                return Ok(found);
            }
            if begun.elapsed() >= limit {
                return Err(QuickstartError::Timeout { what: what.to_owned(), limit, logs: self.logs.clone() });
            }
            self.rest(LOOK_PAUSE)?;
        }
    }

    /// Goes on until Ctrl-C; an error when something has died.
    pub(crate) fn rest_until_told(&mut self) -> Result<(), QuickstartError> {
        loop {
            match self.rest(REST_PAUSE) {
                Ok(()) => {}
                Err(QuickstartError::Interrupted) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn rest(&mut self, pause: Duration) -> Result<(), QuickstartError> {
        self.bridge.iter_mut().chain(&mut self.agents).try_for_each(Child::check)?;
        self.signals.sleep(pause)
    }
}

impl Drop for Session {
    /// First the agents, who tell the broker that they leave.
    fn drop(&mut self) {
        child::stop(&mut self.agents, STOP_LIMIT);
        child::stop(&mut self.bridge, STOP_LIMIT);
    }
}
