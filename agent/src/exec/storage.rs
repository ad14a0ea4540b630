//! The journal on a disk that may be full, read-only or broken for a while.
//!
//! A record that cannot be written stops nothing but what waits for it. The core is told that nothing can be recorded ([`Input::Storage`]): it
//! takes no orders, starts nothing and keeps the ends of jobs. The shell withholds what follows from records that are not on disk. After a
//! pause a new journal is begun from the core's memory, which holds those records too; when that succeeds everything goes on. When exec
//! ends before, the records were never acted on.
//!
//! A full disk rarely comes to that: the journal's space is there beforehand, and the core takes only as much as has room. What cannot be had
//! then is more room, and it is tried for again.

use std::time::Duration;

use flotilla_agent_core::{Core, Input, Record};

use super::journal::{Journal, JournalError};

/// First pause before the disk is tried again.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Longest pause; it doubles up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A pause that doubles.
#[derive(Debug, Clone, Copy)]
struct Retry {
    /// Uptime in milliseconds.
    at: u64,
    pause: Duration,
}

impl Retry {
    fn after(before: Option<Self>, now: u64) -> Self {
        let pause = before.map_or(FIRST_PAUSE, |before| (before.pause * 2).min(LONGEST_PAUSE));
        Self { at: now.saturating_add(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)), pause }
    }
}

/// The journal, and what is wrong with its disk.
#[derive(Debug)]
pub(super) struct Storage {
    journal: Journal,
    /// Nothing can be recorded; when it is tried again.
    blocked: Option<Retry>,
    /// There is not as much room as there should be; when it is tried again.
    short: Option<Retry>,
    /// What the core knows.
    told: Option<(bool, u64)>,
}

impl Storage {
    /// A journal that was opened and not yet begun: [`Storage::try_again`] begins it.
    pub(super) fn new(journal: Journal) -> Self {
        Self { journal, blocked: Some(Retry { at: 0, pause: FIRST_PAUSE }), short: None, told: None }
    }

    /// When [`Storage::try_again`] should be called, in uptime milliseconds: what it would not do yet is not waited for.
    pub(super) fn next_try(&self) -> Option<u64> {
        self.blocked.or(self.short).map(|retry| retry.at)
    }

    /// Appends a record that the core has made.
    pub(super) fn persist(&mut self, core: &mut Core, record: &Record, now: u64) {
        if self.blocked.is_some() {
            return;
        }
        // The core has applied the record already, so a snapshot says what it says.
        let done = if self.journal.fits(record) { self.journal.append(record) } else { self.checkpoint(core) };
        self.expect(done, now);
    }

    /// Whether every record so far is on disk, after an attempt to have it there.
    pub(super) fn is_durable(&mut self, core: &Core, now: u64) -> bool {
        if self.blocked.is_none() {
            let done = self.journal.sync_if_needed().and_then(|()| self.journal.raise_floor(&core.floor()));
            self.expect(done, now);
        }
        self.blocked.is_none()
    }

    /// Has everything durable once the core has nothing more to do, sees to the journal's room, and returns what the core must know.
    pub(super) fn settle(&mut self, core: &mut Core, now: u64) -> Option<Input<'static>> {
        if self.is_durable(core, now) && self.journal.wants_checkpoint() {
            let done = self.checkpoint(core);
            self.expect(done, now);
        }
        if self.blocked.is_none() && self.short.is_none() {
            self.make_room(core, now);
        }
        let state = (self.blocked.is_none(), self.journal.room_bytes());
        let is_news = self.told.replace(state) != Some(state);
        is_news.then_some(Input::Storage { is_writable: state.0, room_bytes: state.1 })
    }

    /// Tries what did not succeed before, when its time has come. `true` when records can be made durable since this call and could not be
    /// before.
    pub(super) fn try_again(&mut self, core: &mut Core, now: u64) -> bool {
        if self.blocked.is_none() && self.short.is_some_and(|retry| retry.at <= now) {
            self.make_room(core, now);
        }
        let Some(retry) = self.blocked.filter(|retry| retry.at <= now) else { return false };
        match self.checkpoint(core) {
            Ok(()) => {
                tracing::info!("the journal takes records");
                self.blocked = None;
                true
            }
            Err(error) => {
                if retry.pause == FIRST_PAUSE {
                    log(&error);
                }
                self.blocked = Some(Retry::after(Some(retry), now));
                false
            }
        }
    }

    /// The last chance to have lazy records on disk.
    pub(super) fn end(&mut self) {
        if self.blocked.is_none() {
            self.journal.sync().unwrap_or_else(|error| log(&error));
        }
    }

    fn checkpoint(&mut self, core: &mut Core) -> Result<(), JournalError> {
        self.journal.checkpoint(&core.checkpoint(), &core.floor())
    }

    fn make_room(&mut self, core: &mut Core, now: u64) {
        let need = core.journal_need();
        let done = match self.journal.reserve(need) {
            // Twice, because the live slot can only be changed when it is not live any more.
            Ok(true) => self.checkpoint(core).and_then(|()| self.journal.reserve(need).map(|_| ())),
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        match done {
            Ok(()) => self.short = None,
            Err(error) => {
                if self.short.is_none() {
                    log(&error);
                }
                self.short = Some(Retry::after(self.short, now));
                if matches!(self.journal.sync_if_needed(), Err(JournalError::Broken { .. })) {
                    self.blocked = Some(Retry::after(None, now));
                }
            }
        }
    }

    fn expect(&mut self, done: Result<(), JournalError>, now: u64) {
        if let Err(error) = done {
            log(&error);
            self.blocked = Some(Retry::after(self.blocked, now));
        }
    }
}

fn log(error: &JournalError) {
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    let hint = if error.is_full() { "; free some space" } else { "; is the file system read-only, or the disk broken?" };
    tracing::error!("{error}: {cause}: no orders are taken until it can{hint}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_waited_for_that_is_not_done_then() {
        let folder = tempfile::tempdir().unwrap();
        let mut storage = Storage::new(Journal::open(folder.path()).unwrap().journal);
        let at = |at| Some(Retry { at, pause: FIRST_PAUSE });
        for (blocked, short, expected) in
            [(None, None, None), (at(9), None, Some(9)), (None, at(5), Some(5)), (at(9), at(5), Some(9)), (at(5), at(9), Some(5))]
        {
            (storage.blocked, storage.short) = (blocked, short);
            assert_eq!(storage.next_try(), expected);
        }
    }
}
