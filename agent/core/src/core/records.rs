//! Records made, applied, and summed up in a snapshot.

use super::Core;
use crate::interface::Output;
use crate::orders::{Lane, Order, Phase, Rebooting, Signed};
use crate::record::{End, RebootTries, Record, RecordError};
use flotilla_protocol::capability::command::CommandOrder;
use flotilla_protocol::capability::{OrderPayload, ReportPayload};
use flotilla_protocol::envelope::{Domain, Envelope};
use flotilla_protocol::id::OrderId;
use flotilla_protocol::order::OrderBody;
use flotilla_protocol::report::{OutputStream, ReportBody};
use flotilla_protocol::status::Admission;
use flotilla_protocol::wire::decode;

impl Core {
    /// Queues a record and applies it.
    pub(super) fn record(&mut self, record: Record) {
        self.outputs.push_back(Output::Persist(record.clone()));
        let applied = self.apply(record);
        debug_assert_eq!(applied, Ok(()), "a record of our own making applies");
    }

    pub(super) fn apply(&mut self, record: Record) -> Result<(), RecordError> {
        match record {
            Record::Accepted { body, report } => {
                let order = decode(&body).map_err(|_| RecordError::Malformed)?;
                self.take(order, (Signed::Body(body), Vec::new()), report)?;
            }
            Record::Taken { envelope, node_data, report } => {
                let parsed = Envelope::parse(&envelope, Domain::Order).map_err(|_| RecordError::Malformed)?;
                let order = decode(parsed.body()).map_err(|_| RecordError::Malformed)?;
                self.take(order, (Signed::Envelope(envelope), node_data), report)?;
            }
            Record::Starting { order: id, boot, report } => {
                self.take_report(report)?;
                let order = self.orders.known.get_mut(&id).ok_or(RecordError::UnknownOrder(id))?;
                if let Phase::Waiting(command) | Phase::Rebooting(command) = &mut order.phase {
                    let command = taken(command);
                    order.phase = Phase::Running { command, boot };
                }
                self.orders.pass_in_lane(id);
            }
            Record::NotStarted { order: id, tries } => {
                let order = self.orders.known.get_mut(&id).ok_or(RecordError::UnknownOrder(id))?;
                order.tries = tries;
                if let Phase::Running { command, .. } = &mut order.phase {
                    let command = taken(command);
                    order.phase = if order.reboot.is_some() { Phase::Rebooting(command) } else { Phase::Waiting(command) };
                }
            }
            Record::Rebooting { order: id, reboot, report } => {
                self.take_report(report)?;
                let order = self.orders.known.get_mut(&id).ok_or(RecordError::UnknownOrder(id))?;
                // In a snapshot no start stands before it.
                if let Phase::Running { command, .. } | Phase::Waiting(command) = &mut order.phase {
                    order.phase = Phase::Rebooting(taken(command));
                    order.reboot = Some(Box::new(Rebooting { asked: *reboot, tries: RebootTries::default(), given_up: None }));
                    order.tries = 0;
                }
                self.orders.pass_in_lane(id);
            }
            Record::RebootTried { order: id, tries } => {
                let order = self.orders.known.get_mut(&id).ok_or(RecordError::UnknownOrder(id))?;
                if let Some(reboot) = &mut order.reboot {
                    reboot.tries = tries;
                }
            }
            Record::Ended { order: id, report } => {
                let order = self.orders.known.get_mut(&id).ok_or(RecordError::UnknownOrder(id))?;
                let has_folder = !matches!(order.phase, Phase::Waiting(_));
                order.phase = Phase::Ended { has_folder, end: end_in(&report) };
                order.signed = Signed::Nothing;
                order.node_data = Vec::new();
                order.lane = None;
                order.reboot = None;
                self.plan_uploads(&report);
                self.uploads.end(id);
                self.spool.replay(report)?;
            }
            Record::Refused { order, not_after_ms, report } => {
                let end = end_in(&report);
                self.spool.replay(report)?;
                self.orders.insert_ended(order, not_after_ms, false, end);
            }
            Record::Report { report } => {
                if let Some(spool) = self.spool_of(&report)? {
                    spool.replay(report)?;
                }
            }
            Record::Receipted { up_to } => {
                self.spool.forget(up_to);
            }
            Record::Forgotten { order } => {
                self.uploads.forget(order);
                if let Some(Phase::Ended { has_folder, .. }) = self.orders.known.get_mut(&order).map(|order| &mut order.phase) {
                    *has_folder = false;
                }
            }
            Record::Floor { floor_ms } => {
                if self.has_gone_by && self.trust.least().1 > 0 {
                    self.time.recall_floor(floor_ms);
                } else {
                    self.time.raise_floor(floor_ms);
                }
                let spool = &self.spool;
                self.orders.evict(self.time.floor_ms(), |order| spool.holds_result_of(order));
            }
            Record::Chain { sequence, head, receipted } => self.spool.restore(sequence, head, receipted),
            Record::Known { order, not_after_ms, has_folder } => self.orders.insert_ended(order, not_after_ms, has_folder, None),
            Record::KnownEnd { order, not_after_ms, has_folder, end } => {
                self.orders.insert_ended(order, not_after_ms, has_folder, Some(end));
            }
            Record::Upload { order, step, stream, kept_bytes } => self.uploads.grew((order, step, stream), kept_bytes, true),
            Record::Lane { requester, lane, sequence, not_after_ms } => {
                self.orders.lanes.insert((requester, lane), Lane { sequence, not_after_ms });
            }
            Record::MemoryLost { cause, sequence } => self.memory.lost = Some((cause, sequence)),
            Record::MemoryRegained { barrier_ms, sequence, report } => {
                self.memory.lost = None;
                self.memory.barrier_ms = self.memory.barrier_ms.max(barrier_ms);
                self.spool.begin_anew(sequence);
                self.spool.replay(report)?;
            }
            Record::Barrier { barrier_ms } => self.memory.barrier_ms = self.memory.barrier_ms.max(barrier_ms),
            Record::StreamChain { stream, sequence, head, receipted } => {
                if let Some(spool) = self.droppable_spool(stream)? {
                    spool.restore(sequence, head, receipted);
                }
            }
            Record::StreamReceipted { stream, up_to } => {
                if let Some(spool) = self.droppable_spool(stream)? {
                    spool.forget(up_to);
                }
            }
            Record::RebootGivenUp { order: id, reboot, why } => {
                let order = self.orders.known.get_mut(&id).ok_or(RecordError::UnknownOrder(id))?;
                let tries = order.reboot.as_ref().map_or_else(RebootTries::default, |reboot| reboot.tries);
                if let Phase::Running { command, .. } | Phase::Waiting(command) | Phase::Rebooting(command) = &mut order.phase {
                    order.phase = Phase::Rebooting(taken(command));
                    order.reboot = Some(Box::new(Rebooting { asked: *reboot, tries, given_up: Some(why) }));
                    order.tries = 0;
                }
                self.orders.pass_in_lane(id);
            }
            Record::ToldToReboot { boot, until } => {
                if boot == self.boot {
                    self.told_to_reboot_until = until;
                }
            }
            Record::Trust { version, epoch } => self.gone_by(version, epoch),
        }
        Ok(())
    }

    fn take(&mut self, order: OrderBody, kept: (Signed, Vec<u8>), report: Option<Vec<u8>>) -> Result<(), RecordError> {
        self.take_report(report)?;
        let Ok(OrderPayload::Command(command)) = order.payload() else { return Err(RecordError::Malformed) };
        let (signed, node_data) = kept;
        let known = Order {
            signed,
            node_data,
            held_until_ms: 0,
            not_before_ms: order.not_before_ms,
            not_after_ms: order.not_after_ms,
            lane: (order.lane != 0).then(|| (order.requester.clone(), order.lane)),
            sequence: order.sequence,
            arrival: 0,
            tries: 0,
            reboot: None,
            phase: Phase::Waiting(Box::new(command)),
        };
        self.orders.insert(order.id, known);
        Ok(())
    }

    fn take_report(&mut self, report: Option<Vec<u8>>) -> Result<(), RecordError> {
        report.map_or(Ok(()), |report| self.spool.replay(report))
    }

    /// A result whose output does not fit into it: the rest goes in chunks.
    fn plan_uploads(&mut self, report: &[u8]) {
        let Some(ReportPayload::CommandResult(result)) = payload_of(report) else { return };
        for (step, result_of_step) in (0_u16..).zip(&result.steps) {
            for (stream, captured) in [(OutputStream::Stdout, &result_of_step.stdout), (OutputStream::Stderr, &result_of_step.stderr)] {
                let id = (result.order, step, stream);
                if captured.kept_bytes > u64::try_from(captured.head.len()).unwrap_or(u64::MAX) {
                    self.uploads.grew(id, captured.kept_bytes, true);
                } else {
                    self.uploads.give_up(&id);
                }
            }
        }
    }

    /// The records from which a new journal begins: what the old one comes to.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Record> {
        let (sequence, head, receipted, reports) = self.spool.snapshot();
        let (version, epoch) = self.trust.least();
        // A floor is of the epoch before it.
        let mut records = vec![
            Record::Trust { version, epoch },
            Record::Floor { floor_ms: self.time.floor_ms() },
            Record::Chain { sequence, head, receipted },
        ];
        if self.memory.barrier_ms > 0 {
            records.push(Record::Barrier { barrier_ms: self.memory.barrier_ms });
        }
        if let Some((cause, sequence)) = self.memory.lost {
            records.push(Record::MemoryLost { cause, sequence });
        }
        for ((requester, lane), state) in &self.orders.lanes {
            let (sequence, not_after_ms) = (state.sequence, state.not_after_ms);
            records.push(Record::Lane { requester: requester.clone(), lane: *lane, sequence, not_after_ms });
        }
        let mut known: Vec<(&OrderId, &Order)> = self.orders.known.iter().collect();
        known.sort_by_key(|(_, order)| order.arrival);
        for (id, order) in known {
            match &order.phase {
                Phase::Waiting(_) | Phase::Running { .. } | Phase::Rebooting(_) => {
                    records.extend(order.record());
                    if let Some(reboot) = &order.reboot {
                        let asked = Box::new(reboot.asked.clone());
                        records.push(match &reboot.given_up {
                            Some(why) => Record::RebootGivenUp { order: *id, reboot: asked, why: why.clone() },
                            None => Record::Rebooting { order: *id, reboot: asked, report: None },
                        });
                        if reboot.tries != RebootTries::default() {
                            records.push(Record::RebootTried { order: *id, tries: reboot.tries });
                        }
                    }
                    // What was said of a reboot begins the count anew.
                    if order.tries > 0 {
                        records.push(Record::NotStarted { order: *id, tries: order.tries });
                    }
                    if let Phase::Running { boot, .. } = &order.phase {
                        records.push(Record::Starting { order: *id, boot: *boot, report: None });
                    }
                }
                Phase::Ended { has_folder, end } => {
                    let (order, not_after_ms, has_folder) = (*id, order.not_after_ms, *has_folder);
                    records.push(match *end {
                        Some(end) => Record::KnownEnd { order, not_after_ms, has_folder, end },
                        None => Record::Known { order, not_after_ms, has_folder },
                    });
                }
            }
        }
        if self.told_to_reboot_until.is_some() {
            records.push(Record::ToldToReboot { boot: self.boot, until: self.told_to_reboot_until });
        }
        for ((order, step, stream), kept_bytes) in self.uploads.unfinished() {
            records.push(Record::Upload { order, step, stream, kept_bytes });
        }
        records.extend(reports.into_iter().map(|report| Record::Report { report }));
        for (stream, spool) in self.streams.iter().filter(|(_, spool)| spool.sequence() > 0) {
            let (sequence, head, receipted, reports) = spool.snapshot();
            records.push(Record::StreamChain { stream, sequence, head, receipted });
            records.extend(reports.into_iter().map(|report| Record::Report { report }));
        }
        records
    }
}

fn payload_of(report: &[u8]) -> Option<ReportPayload> {
    let envelope = Envelope::parse(report, Domain::Report).ok()?;
    let body: ReportBody = decode(envelope.body()).ok()?;
    ReportPayload::decode(&body.payload).ok()
}

/// What a report says of an order that is over.
fn end_in(report: &[u8]) -> Option<End> {
    match payload_of(report)? {
        ReportPayload::CommandResult(result) => Some(End::Outcome(result.outcome)),
        ReportPayload::Admission(Admission::Rejected { reason, .. }) => Some(End::Rejected(reason)),
        _ => None,
    }
}

/// Takes what an order is to do out of a phase that ends.
fn taken(command: &mut CommandOrder) -> Box<CommandOrder> {
    Box::new(std::mem::replace(command, EMPTY_COMMAND))
}

const EMPTY_COMMAND: CommandOrder = CommandOrder {
    document: String::new(),
    document_version: String::new(),
    parameters: Vec::new(),
    plan: flotilla_protocol::document::Plan { steps: Vec::new() },
};
