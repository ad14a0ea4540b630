//! Prepared orders: commands that people must sign before they go out.
//!
//! A *prepared order* is a command whose bytes and nodes are fixed and whose envelope has too few signatures for any node to take it. It
//! awaits signatures until enough persons have signed (*released*), somebody rejects or cancels it, or its time is over. Released, it is a
//! command like any other, and takes further signatures while a node has not taken it: a rule for certain nodes may be met before that of others
//! is, and a node's own policy may ask for more persons. Who may sign and how many must is the trust's to say ([`crate::fleet::signer::authority`]), and judged anew with
//! every signature and under every new bundle; what the bridge collects here proves nothing to a node, which counts for itself.

pub(super) mod api;
mod store;
#[cfg(test)]
mod tests;

use crate::fleet::Fleet;
use crate::fleet::audit;
use crate::fleet::signer::authority::{self, Judgement};
use crate::platform::store::{StoreError, Write};
use crate::platform::time::to_column;
use flotilla_api::orders::{AWAITING, CANCELLED, EXPIRED, REJECTED, RELEASED};
use flotilla_protocol::envelope::{Domain, Envelope, SignatureEntry, seal};
use flotilla_protocol::id::KeyId;
use flotilla_protocol::order::OrderBody;
use flotilla_protocol::trust::{Class, Trust};
use flotilla_protocol::wire::decode;
use sqlx::SqliteConnection;
use store::{Prepared, Signature};
pub(super) use store::{close, insert};

/// Who has handed in the bridge's own signatures, in the place of a user.
const BRIDGE: &str = "(the bridge)";
/// Most prepared orders that one look at a new trust bundle takes up at a time.
const BATCH: i64 = 256;

/// Where a prepared order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Waits for signatures.
    AwaitingSignature,
    /// Goes out like any command.
    Released,
    /// Somebody said no.
    Rejected,
    /// Its command was cancelled.
    Cancelled,
    /// Its time was over.
    Expired,
}

impl State {
    const ALL: [Self; 5] = [Self::AwaitingSignature, Self::Released, Self::Rejected, Self::Cancelled, Self::Expired];

    /// The word in the database and in the API.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::AwaitingSignature => AWAITING,
            Self::Released => RELEASED,
            Self::Rejected => REJECTED,
            Self::Cancelled => CANCELLED,
            Self::Expired => EXPIRED,
        }
    }

    fn parse(text: &str) -> Result<Self, StoreError> {
        let found = Self::ALL.into_iter().find(|state| state.as_str() == text);
        found.ok_or_else(|| StoreError::Unusable(format!("a prepared order is in the unknown state {text:?}")))
    }
}

/// A prepared order, read and taken apart.
#[derive(Debug)]
struct Order {
    prepared: Prepared,
    state: State,
    body: OrderBody,
    class: Class,
    /// The order without signatures.
    unsigned: Vec<u8>,
    signatures: Vec<Signature>,
}

impl Order {
    /// Reads a prepared order.
    async fn find(connection: &mut SqliteConnection, command_id: &str) -> Result<Option<Self>, StoreError> {
        let Some(prepared) = store::find(connection, command_id).await? else { return Ok(None) };
        let signatures = store::signatures(connection, command_id).await?;
        let damaged = || StoreError::Unusable(format!("the prepared order {command_id} is damaged"));
        let envelope = Envelope::parse(&prepared.envelope, Domain::Order).map_err(|_| damaged())?;
        let body: OrderBody = decode(envelope.body()).map_err(|_| damaged())?;
        let class = body.payload().ok().and_then(|payload| payload.class()).ok_or_else(damaged)?;
        let unsigned = seal(Domain::Order, envelope.body(), &[]);
        Ok(Some(Self { state: State::parse(&prepared.state)?, body, class, unsigned, signatures, prepared }))
    }

    /// Where it stands at a time: its end is written a little later than it comes.
    fn state_at(&self, now_ms: u64) -> State {
        if self.state == State::AwaitingSignature && self.body.not_after_ms <= now_ms { State::Expired } else { self.state }
    }

    /// The order with this signature alone.
    fn signed_by(&self, signature: &Signature) -> Option<Vec<u8>> {
        Envelope::parse(&self.unsigned, Domain::Order).ok()?.with_signature(signature.entry()?).ok()
    }

    /// Whether a signature counts under this trust at a time.
    fn counts(&self, trust: &Trust, signature: &Signature, now_ms: u64) -> bool {
        self.signed_by(signature).is_some_and(|signed| {
            let envelope = Envelope::parse(&signed, Domain::Order);
            envelope.is_ok_and(|envelope| authority::key_of(trust, self.class, &envelope, now_ms).is_some())
        })
    }

    /// The order with all signatures that count under this trust at a time, and where it stands with them.
    fn judged(&self, trust: &Trust, now_ms: u64) -> (Vec<u8>, Judgement) {
        let mut bytes = self.unsigned.clone();
        for signature in self.signatures.iter().filter(|signature| self.counts(trust, signature, now_ms)) {
            let signed = Envelope::parse(&bytes, Domain::Order).ok().and_then(|all| all.with_signature(signature.entry()?).ok());
            if let Some(signed) = signed {
                bytes = signed;
            }
        }
        // What this build wrote itself can be taken apart; else nobody has signed.
        let signers = Envelope::parse(&bytes, Domain::Order).map(|envelope| trust.signers(&envelope)).unwrap_or_default();
        let judgement = authority::judge(trust, self.class, &self.body.requester, &signers, now_ms);
        (bytes, judgement)
    }

    /// What the audit log calls the content.
    fn content(&self) -> String {
        format!("{} version {}", self.prepared.document_name, self.prepared.document_version)
    }
}

impl Signature {
    fn entry(&self) -> Option<SignatureEntry<'_>> {
        let key = KeyId(<[u8; 8]>::try_from(self.key_id.as_slice()).ok()?);
        Some(SignatureEntry { algorithm: u8::try_from(self.algorithm).ok()?, key, bytes: &self.signature })
    }
}

/// Writes that a command, which is written in the same transaction, was signed by the bridge alone and goes out, and that people may sign it as
/// well, for nodes where that does not suffice.
pub(super) async fn insert_signed(
    write: &mut Write<'_>,
    trust: &Trust,
    command_id: &str,
    class: &str,
    envelope: &[u8],
    now_ms: u64,
) -> Result<(), StoreError> {
    let parsed = Envelope::parse(envelope, Domain::Order).map_err(|error| StoreError::Unusable(error.to_string()))?;
    insert(write, command_id, class).await?;
    let keys = &trust.bundle().keys;
    let signer = (0..).zip(keys).find(|(index, _)| trust.has_signed(*index, &parsed));
    let person = signer.map(|(_, key)| key.person.clone()).unwrap_or_default();
    for SignatureEntry { algorithm, key, bytes } in parsed.signatures() {
        let signature = Signature {
            algorithm: i64::from(*algorithm),
            key_id: key.0.to_vec(),
            signature: bytes.to_vec(),
            person: person.clone(),
            user_name: BRIDGE.to_owned(),
            signed_ms: to_column(now_ms),
        };
        store::add_signature(write, command_id, &signature).await?;
    }
    store::release(write, command_id, envelope).await
}

/// Releases an order that has enough signatures, in the transaction that brought the last of them.
async fn release(write: &mut Write<'_>, order: &Order, envelope: &[u8], judgement: &Judgement, now_ms: u64) -> Result<(), StoreError> {
    store::release(write, &order.prepared.command_id, envelope).await?;
    let persons: Vec<&str> = judgement.signed.iter().map(String::as_str).collect();
    let class = order.class.as_str();
    write.record(audit::order_signed(&order.body, class, &order.content(), now_ms).with("Persons", persons.join(", ")));
    Ok(())
}

/// Judges all orders that await signatures, or were released and not sent to all of their nodes, by the newest trust: one whose signatures
/// suffice now is released, and one of which too few count any more is held back again. To be called whenever the trust is another, as dispatch
/// does.
///
/// # Errors
/// What the database says; orders that were judged before stay judged.
pub async fn judge_again(fleet: &Fleet) -> Result<(), StoreError> {
    judge_all(fleet, &fleet.signer.trust()).await
}

async fn judge_all(fleet: &Fleet, trust: &Trust) -> Result<(), StoreError> {
    let mut after = String::new();
    loop {
        let open = store::open(fleet.store.reader().acquire().await?.as_mut(), &after, BATCH).await?;
        let Some(last) = open.last().cloned() else { break };
        for command_id in open {
            judge_one(fleet, trust, &command_id).await?;
        }
        after = last;
    }
    fleet.nudge.dispatch.notify_one();
    Ok(())
}

async fn judge_one(fleet: &Fleet, trust: &Trust, command_id: &str) -> Result<(), StoreError> {
    let now_ms = fleet.clock.now_ms();
    let mut write = fleet.store.write().await?;
    let Some(order) = Order::find(write.connection(), command_id).await? else { return Ok(()) };
    let (envelope, judgement) = order.judged(trust, now_ms);
    let is_enough = judgement.is_enough && order.body.epoch == trust.bundle().epoch;
    match (order.state_at(now_ms), is_enough) {
        (State::AwaitingSignature, true) => {
            release(&mut write, &order, &envelope, &judgement, now_ms).await?;
            tracing::info!(command = command_id, "a prepared order is released: under the newest trust enough have signed it");
        }
        (State::Released, false) => {
            store::hold(&mut write, command_id).await?;
            write.record(audit::order_held(command_id, judgement.missing, now_ms));
            tracing::warn!(command = command_id, "an order is held back: under the newest trust too few have signed it");
        }
        // Other signatures count than before.
        (State::Released, true) if envelope != order.prepared.envelope => {
            store::replace_envelope(&mut write, command_id, &envelope, now_ms).await?
        }
        _ => return Ok(()),
    }
    write.commit().await
}
