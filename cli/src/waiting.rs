//! Looking at a command until it has ended.

use std::time::{Duration, Instant};

use flotilla_api::client::CallError;
use flotilla_api::commands::Command;

use crate::clock;
use crate::connection::Connection;
use crate::error::CliError;
use crate::interrupt::Interrupt;
use crate::invocation::{self, Outcome};
use crate::progress::{Progress, ProgressLine, has_ended};

/// Up to so many nodes their states are listed at each look; beyond, the command's own counts must do.
const LISTED_LIMIT: i32 = 200;
/// First wait between two looks: short, since most commands are.
const FIRST_LOOK: Duration = Duration::from_millis(100);
/// Longest wait between two looks.
const SLOWEST_LOOK: Duration = Duration::from_secs(2);
/// How long the bridge may be away while we wait: as long as a restart takes, with room.
const LOST_AFTER: Duration = Duration::from_secs(60);

/// What is waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wait<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) command_id: &'a str,
    /// Only on this node.
    pub(crate) node: Option<&'a str>,
    /// How long at most.
    pub(crate) timeout: Duration,
}

impl Wait<'_> {
    /// Waits until the command has ended, and reads what came of it.
    pub(crate) fn outcome(&self, interrupt: &Interrupt) -> Result<Outcome, CliError> {
        let ended = self.until_ended(interrupt)?;
        // Reading from many nodes takes a while, and nothing of it is to be undone.
        if interrupt.end_at_once() {
            return Err(CliError::Interrupted { hint: how_to_look(self.connection, self.command_id) });
        }
        invocation::outcome(&self.connection.client, ended, self.node).map_err(|error| self.unseen(error))
    }

    fn unseen(&self, source: CliError) -> CliError {
        let hint = how_to_look(self.connection, self.command_id);
        CliError::Unseen { command_id: self.command_id.to_owned(), hint, source: Box::new(source) }
    }

    /// Looks at the command until it has ended, and shows how far it is; says on standard error which command it is first.
    fn until_ended(&self, interrupt: &Interrupt) -> Result<Command, CliError> {
        let mut line = ProgressLine::new();
        line.announce(&format!("command {}", self.command_id));
        let ended = self.look_on(interrupt, &mut line);
        line.finish();
        ended
    }

    fn look_on(&self, interrupt: &Interrupt, line: &mut ProgressLine) -> Result<Command, CliError> {
        let began = clock::now();
        let mut pause = FIRST_LOOK;
        let mut lost_since: Option<Instant> = None;
        loop {
            match self.look() {
                Ok(look) => {
                    lost_since = None;
                    if look.has_ended {
                        return Ok(look.command);
                    }
                    line.show(&look.progress.summary());
                }
                // A bridge that is busy, and a proxy whose bridge is away, are as passing as a lost connection.
                Err(CliError::Call(source)) if source.is_passing() => {
                    let now = clock::now();
                    if now.duration_since(*lost_since.get_or_insert(now)) >= LOST_AFTER {
                        return Err(CliError::Lost { hint: how_to_look(self.connection, self.command_id), source });
                    }
                    line.show(match source {
                        CallError::Refused { .. } => "the bridge is busy, trying again",
                        _ => "lost the bridge, trying again",
                    });
                }
                Err(error @ CliError::Call(_)) => return Err(self.unseen(error)),
                Err(error) => return Err(error),
            }
            let left = self.timeout.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Err(CliError::TimedOut { hint: how_to_look(self.connection, self.command_id) });
            }
            if interrupt.sleep(pause.min(left)) {
                return Err(CliError::Interrupted { hint: how_to_look(self.connection, self.command_id) });
            }
            pause = slower(pause);
        }
    }

    fn look(&self) -> Result<Look, CliError> {
        let client = &self.connection.client;
        let command = invocation::command(client, self.command_id)?;
        let command_has_ended = command.status.as_deref().is_some_and(has_ended);
        if let Some(node) = self.node {
            let invocations = invocation::invocations(client, self.command_id, Some(node), false)?;
            if invocations.is_empty() && command_has_ended {
                return Err(CliError::Usage(format!("the command {} did not go to the node {node}", self.command_id)));
            }
            let ended = |status: &Option<String>| status.as_deref().is_some_and(has_ended);
            let has_ended = !invocations.is_empty() && invocations.iter().all(|invocation| ended(&invocation.status));
            let progress = Progress::of_invocations(&Command { target_count: Some(1), ..Command::default() }, &invocations);
            return Ok(Look { command, progress, has_ended });
        }
        let progress = if command.target_count.unwrap_or(0) <= LISTED_LIMIT {
            Progress::of_invocations(&command, &invocation::invocations(client, self.command_id, None, false)?)
        } else {
            Progress::of_command(&command)
        };
        Ok(Look { command, progress, has_ended: command_has_ended })
    }
}

struct Look {
    command: Command,
    progress: Progress,
    has_ended: bool,
}

/// The command lines with which to look at a command and to stop it.
pub(crate) fn how_to_look(connection: &Connection, command_id: &str) -> String {
    let look = connection.command_line(&format!("commands show {command_id}"));
    let wait = connection.command_line(&format!("wait {command_id}"));
    let stop = connection.command_line(&format!("commands cancel {command_id}"));
    format!("look at it:  {look}\n  wait for it: {wait}\n  stop it:     {stop}")
}

/// Half as long again, up to the slowest.
fn slower(pause: Duration) -> Duration {
    (pause * 3 / 2).min(SLOWEST_LOOK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_become_slower_to_a_limit() {
        let mut pause = FIRST_LOOK;
        for _ in 0..20 {
            pause = slower(pause);
        }
        assert_eq!(pause, SLOWEST_LOOK);
    }
}
