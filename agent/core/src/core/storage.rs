//! What the core does about a journal that has no room or takes no records, and after one that was lost.

use super::{Core, MINIMUM_HELLO_PAUSE_MS, Unrecorded, WELCOME_VALID_MS};
use crate::interface::Output;
use crate::memory::{Floor, Memory};
use crate::orders::{Order, Phase};
use crate::record::Record;
use crate::room;
use flotilla_protocol::capability::ReportPayload;
use flotilla_protocol::report::{MemoryLost, Stream};

impl Core {
    /// What must never go back: the shell keeps it in two copies beside the journal, and writes them before it begins a new journal and
    /// after each [`Record::Floor`], [`Record::Trust`] and [`Record::MemoryRegained`].
    #[must_use]
    pub fn floor(&self) -> Floor {
        let (trust_version, epoch) = self.trust.least();
        let sequence = self.memory.lost.map_or_else(|| self.spool.sequence(), |(_, sequence)| sequence);
        Floor { time_ms: self.time.floor_ms(), trust_version, epoch, barrier_ms: self.memory.barrier_ms, sequence }
    }

    /// How many bytes a journal must have for what is known and for the ends of what was accepted.
    #[must_use]
    pub fn journal_need(&self) -> u64 {
        let of = |order: &Order| match &order.phase {
            Phase::Waiting(_) => room::of_waiting_order(order.bytes()),
            Phase::Running { .. } | Phase::Rebooting(_) => {
                let of_reboot = if order.reboot.is_some() { room::of_reboot() } else { 0 };
                room::of_waiting_order(order.bytes()) + room::of_running_job() + of_reboot
            }
            Phase::Ended { .. } => 0,
        };
        let open: u64 = self.orders.known.values().map(of).sum();
        let ((control, control_bytes), (others, other_bytes)) = (self.spool.held(), self.streams.held());
        let reports = (control + others, control_bytes + other_bytes);
        open + room::of_the_rest(self.orders.known.len() + self.orders.lanes.len(), reports, self.uploads.count())
    }

    /// As [`Core::snapshot`], in the place of every [`Output::Persist`] that was not taken yet: the snapshot holds what they say.
    pub fn checkpoint(&mut self) -> Vec<Record> {
        self.outputs.retain(|output| !matches!(output, Output::Persist(_)));
        self.snapshot()
    }

    pub(super) fn can_record(&self) -> bool {
        self.journal_bytes.is_some()
    }

    /// How many bytes of the journal are not spoken for.
    pub(super) fn journal_room(&self) -> Option<u64> {
        self.journal_bytes.map(|bytes| bytes.saturating_sub(self.journal_need()))
    }

    /// What had to wait for the disk goes on.
    pub(super) fn storage(&mut self, journal_bytes: Option<u64>, now: u64) {
        let was_writable = self.can_record();
        self.journal_bytes = journal_bytes;
        self.tellings.storage_failures = self.tellings.storage_failures.saturating_add(u32::from(was_writable && !self.can_record()));
        if was_writable || !self.can_record() {
            return;
        }
        self.regain_memory(now);
        for (order, end) in std::mem::take(&mut self.unrecorded_ends) {
            match end {
                Unrecorded::Over(end) => self.job_ended(order, end, now),
                Unrecorded::NeverStarted => self.never_started(order, now),
                Unrecorded::RebootAsked(asked) => self.reboot_asked(order, asked, now),
            }
        }
        if std::mem::take(&mut self.is_reboot_withheld) {
            self.reboot_withheld();
        }
        self.forget_what_is_done();
    }

    /// With the first trusted time after a loss the barrier is drawn and the chain begins anew. Both are for ever, so a time that lies far
    /// ahead of the floor must be confirmed before, as for the floor itself.
    pub(super) fn regain_memory(&mut self, now: u64) {
        let (Some((cause, last_known)), Some(time_ms)) = (self.memory.lost, self.time.believed(now)) else { return };
        if !self.can_record() {
            return;
        }
        // Trusted time may have run ahead of the bridge's by as long as a welcome may take, now and before the loss.
        let barrier_ms = time_ms.saturating_add(WELCOME_VALID_MS);
        // The floor may be gone too, and the chain may have run ahead of the time: then only the bridge knows how far it went.
        let sequence = Memory::first_sequence(last_known.max(self.bridge_has(Stream::Control)), time_ms);
        self.spool.begin_anew(sequence);
        let report = self.spool.make(&self.identity, Some(time_ms), &ReportPayload::MemoryLost(MemoryLost { cause, barrier_ms }));
        self.record(Record::MemoryRegained { barrier_ms, sequence, report });
    }

    /// While memory is lost and the time is not believed: when a second hello is due, in uptime milliseconds.
    pub(super) fn next_confirmation(&self, now: u64) -> Option<u64> {
        let is_waiting = self.memory.lost.is_some()
            && self.time.believed(now).is_none()
            && self.connection.as_ref().is_some_and(|connection| connection.is_welcomed);
        self.time.confirmation_due().filter(|_| is_waiting)
    }

    /// Asks for the time once more where nothing can be taken until it is confirmed.
    pub(super) fn ask_for_confirmation(&mut self, now: u64) {
        if self.next_confirmation(now).is_some_and(|at| at <= now) {
            if let Some(connection) = &mut self.connection {
                connection.hello_pause_ms = MINIMUM_HELLO_PAUSE_MS;
            }
            self.say_hello_anew(now);
        }
    }
}
