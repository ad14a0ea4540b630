//! Messages down: whom each is for, who must have signed it, and those that are no orders: receipts, renewals, welcomes.

use super::{Connection, Core, WELCOME_VALID_MS};
use crate::admission::envelope_reason;
use crate::interface::Output;
use crate::record::Record;
use crate::spool::Receipted;
use flotilla_protocol::enrolment::RenewalBody;
use flotilla_protocol::envelope::{Domain, Envelope};
use flotilla_protocol::hello::WelcomeBody;
use flotilla_protocol::report::{ReceiptBody, Stream};
use flotilla_protocol::status::RejectReason;
use flotilla_protocol::topic::{DownKind, Topic};
use flotilla_protocol::trust::Role;
use flotilla_protocol::wire::{Check, MAXIMUM_MESSAGE_BYTES, decode};

impl Core {
    pub(super) fn message(&mut self, topic: &str, retained: bool, payload: &[u8], now: u64) {
        let handled = match topic.parse() {
            Ok(Topic::Down { fleet, node, kind }) if fleet == self.trust.fleet() && node == self.node => match kind {
                DownKind::Order => {
                    self.order(retained, payload, now);
                    Ok(())
                }
                DownKind::Cancel => self.cancel(retained, payload, now),
                DownKind::Receipt => self.receipt(retained, payload, now),
                DownKind::Welcome => self.welcome(retained, payload, now),
                DownKind::OutputReceipt => self.output_receipt(retained, payload),
                DownKind::Renewal => self.renewal(retained, payload),
                DownKind::Trust => self.bundle(retained, payload, now),
            },
            Ok(Topic::Down { .. }) => Err(RejectReason::Target),
            Ok(Topic::AllTrust { fleet }) if fleet == self.trust.fleet() => self.bundle(retained, payload, now),
            Ok(Topic::AllTrust { .. }) => Err(RejectReason::Fleet),
            Ok(_) | Err(_) => Err(RejectReason::Domain),
        };
        if let Err(reason) = handled {
            self.refuse(reason);
        }
    }

    pub(super) fn refuse(&mut self, reason: RejectReason) {
        self.refuse_because(reason, None);
    }

    pub(super) fn refuse_because(&mut self, reason: RejectReason, why: Option<String>) {
        let count = self.refused.entry(reason).or_insert(0);
        *count = count.saturating_add(1);
        self.outputs.push_back(Output::Refused { reason, why });
    }

    /// A message's envelope, when it was not retained and is not too large.
    pub(super) fn envelope_of(domain: Domain, retained: bool, payload: &[u8]) -> Result<Envelope<'_>, RejectReason> {
        if retained {
            return Err(RejectReason::Retained);
        }
        if payload.len() > MAXIMUM_MESSAGE_BYTES {
            return Err(RejectReason::TooLarge);
        }
        Envelope::parse(payload, domain).map_err(envelope_reason)
    }

    /// The body of a message that must be signed by `role`, in the order of the checks: retained, size, envelope, signature, decode.
    pub(super) fn signed_by<T: serde::de::DeserializeOwned + Check>(
        &self,
        role: Role,
        domain: Domain,
        retained: bool,
        payload: &[u8],
    ) -> Result<T, RejectReason> {
        let envelope = Self::envelope_of(domain, retained, payload)?;
        self.trust.judging().ok_or(RejectReason::TrustVersion)?.require(role, &envelope).map_err(|_| RejectReason::Signature)?;
        decode(envelope.body()).map_err(|_| RejectReason::Malformed)
    }

    pub(super) fn receipt(&mut self, retained: bool, payload: &[u8], now: u64) -> Result<(), RejectReason> {
        let receipt: ReceiptBody = self.signed_by(Role::Bridge, Domain::Receipt, retained, payload)?;
        if receipt.node != self.node {
            return Err(RejectReason::Target);
        }
        // It comes again, because the reports are sent again.
        if !self.can_record() {
            return Ok(());
        }
        if receipt.stream != Stream::Control {
            return self.stream_receipt(&receipt, now);
        }
        match self.spool.receipt(&receipt, now) {
            Receipted::Nothing => Ok(()),
            Receipted::Unasked => Err(RejectReason::Unasked),
            Receipted::Freed(results) => {
                self.outputs.push_back(Output::Persist(Record::Receipted { up_to: receipt.up_to }));
                for order in results {
                    self.forget_if_done(order);
                }
                Ok(())
            }
        }
    }

    pub(super) fn renewal(&mut self, retained: bool, payload: &[u8]) -> Result<(), RejectReason> {
        let renewal: RenewalBody = self.signed_by(Role::Bridge, Domain::Renewal, retained, payload)?;
        if renewal.node != self.node {
            return Err(RejectReason::Target);
        }
        self.outputs.push_back(Output::RenewCertificate { authorities: renewal.authorities });
        Ok(())
    }

    pub(super) fn welcome(&mut self, retained: bool, payload: &[u8], now: u64) -> Result<(), RejectReason> {
        let envelope = Self::envelope_of(Domain::Welcome, retained, payload)?;
        // In quarantine too, for the bundles in it; see below.
        let trust = self.trust.newest().ok_or(RejectReason::TrustVersion)?;
        trust.require(Role::Freshness, &envelope).map_err(|_| RejectReason::Signature)?;
        let welcome: WelcomeBody = decode(envelope.body()).map_err(|_| RejectReason::Malformed)?;
        if welcome.node != self.node {
            return Err(RejectReason::Target);
        }
        let asked = |connection: &Connection| {
            connection.nonce == welcome.nonce && now <= connection.hello_at + WELCOME_VALID_MS && !connection.is_welcomed
        };
        if !self.connection.as_ref().is_some_and(asked) {
            return Err(RejectReason::Unasked);
        }
        if self.bundles_of(&welcome, payload, now)? {
            return Ok(());
        }
        let connection = self.connection.as_mut().ok_or(RejectReason::Unasked)?;
        connection.is_welcomed = true;
        let hello_at = connection.hello_at;
        self.time.learn(welcome.time_ms, hello_at);
        self.spool.set_pace(welcome.resend_minimum_ms, welcome.resend_maximum_ms);
        self.streams_welcomed(&welcome, now);
        self.trust.spread(welcome.reconnect_spread_s);
        self.say_version_later(now);
        self.outputs.push_back(Output::SpreadReconnect { seconds: welcome.reconnect_spread_s });
        self.regain_memory(now);
        for payload in std::mem::take(&mut self.awaiting_time) {
            self.order(false, &payload, now);
        }
        Ok(())
    }
}
