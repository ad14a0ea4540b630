//! `flotilla run --sign`: has the bridge prepare the order, reads it back from its bytes, compares it with what was asked for, and signs it.

use flotilla_api::client::CallError;
use flotilla_api::commands::SendCommandRequest;
use flotilla_api::orders::{AWAITING, GetPreparedOrderRequest, NOT_FOUND, RELEASED};
use flotilla_protocol::trust::Class;

use super::super::orders::{ChosenKey, Description, KnownTrust, OrderError, ReadOrder, agree, key_of, now_ms, print_signed, put, show};
use super::RunArguments;
use crate::connection::Connection;
use crate::error::CliError;
use crate::output::{Output, clean};

/// What is ready before the bridge is asked for anything.
pub(super) struct Desk<'a> {
    known: KnownTrust,
    key: ChosenKey<'a>,
}

/// What came of it.
pub(super) enum Signed {
    /// It goes out.
    Released,
    /// Others must sign, too; that was printed.
    Awaiting,
    /// The bridge has signed the command by itself, and it went out.
    ByTheBridge,
}

/// Gets ready what can fail, so that no order is left behind that nobody signs; nothing where the order is not to be signed here.
pub(super) fn desk<'a>(connection: &Connection, arguments: &'a RunArguments) -> Result<Option<Desk<'a>>, CliError> {
    let key = match (&arguments.sign, &arguments.sign_agent) {
        (Some(name), _) => ChosenKey::File(name),
        (None, Some(wanted)) => ChosenKey::Agent(wanted),
        (None, None) => return Ok(None),
    };
    if arguments.yes && arguments.document.is_some() {
        return Err(OrderError::Unread("with --yes nobody would have read what the steps of the document do").into());
    }
    Ok(Some(Desk { known: KnownTrust::of(connection, &arguments.root)?, key }))
}

/// What to tell people whose command awaits signatures, and who did not ask to sign it; nothing where it goes out without them, or where the
/// bridge does not say.
pub(super) fn awaits(connection: &Connection, command_id: &str) -> Option<String> {
    let answer = connection.client.call(&GetPreparedOrderRequest { order_id: command_id.to_owned() }).ok()?;
    let order = answer.order;
    if order.state != AWAITING {
        return None;
    }
    let (missing, persons) = (order.missing, order.may_sign.join(", "));
    let line = |rest: &str| connection.command_line(rest);
    Some(clean(&format!(
        "command {command_id} awaits signatures: no node takes it before {missing} of {persons} have signed it\n  {}\n  {}\n  {}",
        line(&format!("orders show {command_id}")),
        line(&format!("orders sign {command_id} --key NAME")),
        line(&format!("orders reject {command_id} --reason '…'")),
    )))
}

impl Desk<'_> {
    /// Reads, compares, shows and signs the order that the bridge has prepared for this request.
    pub(super) fn sign(
        &self,
        connection: &Connection,
        output: Output,
        arguments: &RunArguments,
        request: &SendCommandRequest,
        command_id: &str,
    ) -> Result<Signed, CliError> {
        let order = match ReadOrder::of_bridge(connection, command_id, self.known.trust()) {
            Err(CliError::Call(CallError::Refused { kind, .. })) if kind == NOT_FOUND => return Ok(Signed::ByTheBridge),
            order => order?,
        };
        order.must_be_in_time(now_ms())?;
        order.must_be_whole()?;
        let unknown = order.must_be_what_was_asked(request, now_ms())?;
        let description = Description::new(&order, &self.known).with_unchecked(unknown);
        if !description.is_readable() {
            return Err(OrderError::Unreadable("not all of what it does can be shown".to_owned()).into());
        }
        show(output, &description)?;
        if !arguments.yes {
            agree()?;
        }
        let mut signer = self.key.open(&arguments.keys, &arguments.passphrase)?;
        let key = key_of(&self.known, Class::Command, &signer)?.clone();
        if key.person != order.body.requester {
            let (requester, person) = (order.body.requester.clone(), key.person);
            return Err(OrderError::Requester { requester, person }.into());
        }
        let signed = put(connection, &order, &mut signer, &key)?;
        if signed.state == RELEASED {
            return Ok(Signed::Released);
        }
        print_signed(output, &signed, &key.person)?;
        Ok(Signed::Awaiting)
    }
}
