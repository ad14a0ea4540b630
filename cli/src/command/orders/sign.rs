//! Signing a prepared order, and handing the signature in.

use std::collections::BTreeSet;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;

use flotilla_api::Blob;
use flotilla_api::audit::Hex;
use flotilla_api::orders::{AWAITING, PreparedOrder, PutOrderSignatureRequest};
use flotilla_protocol::id::KeyId;
use flotilla_protocol::trust::{Class, TrustKey};

use super::{Description, KnownTrust, OrderError, ReadOrder, SignArguments};
use crate::clock;
use crate::connection::Connection;
use crate::error::{CliError, SUCCESS};
use crate::keys::{KeysArguments, PassphraseArguments, Signer, open};
use crate::output::{Format, Output, clean};

/// With which key to sign.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ChosenKey<'a> {
    /// In a file: a name in the folder of keys, or a path.
    File(&'a str),
    /// In the ssh-agent.
    Agent(&'a str),
}

impl ChosenKey<'_> {
    /// Opens the key, asking for its passphrase where it has one.
    pub(crate) fn open(self, keys: &KeysArguments, passphrase: &PassphraseArguments) -> Result<Signer, CliError> {
        match self {
            Self::Agent(wanted) => Ok(Signer::of_agent(wanted)?),
            Self::File(name) => {
                let path = if name.contains('/') { PathBuf::from(name) } else { keys.folder()?.private(name)? };
                let key = open(&path, || passphrase.of(&path))?;
                Ok(Signer::of_file(&key)?)
            }
        }
    }
}

pub(super) fn run(connection: &Connection, output: Output, arguments: &SignArguments) -> Result<u8, CliError> {
    let known = KnownTrust::of(connection, &arguments.root)?;
    let order = ReadOrder::of_bridge(connection, &arguments.order_id, known.trust())?;
    order.must_be_in_time(now_ms())?;
    order.must_be_whole()?;
    if let Some(wanted) = arguments.sha256
        && wanted != order.sha256()?
    {
        return Err(OrderError::Other(format!("its bytes have the sha256 {}", order.sha256()?)).into());
    }
    let description = Description::new(&order, &known);
    if !description.is_readable() {
        return Err(OrderError::Unreadable("not all of what it does can be shown".to_owned()).into());
    }
    show(output, &description)?;
    let chosen = match arguments.agent.as_deref() {
        Some(wanted) => ChosenKey::Agent(wanted),
        None => ChosenKey::File(arguments.key.as_deref().unwrap_or_default()),
    };
    if !arguments.yes {
        agree()?;
    }
    let mut signer = chosen.open(&arguments.keys, &arguments.passphrase)?;
    let key = key_of(&known, order.class, &signer)?.clone();
    let signed = put(connection, &order, &mut signer, &key)?;
    print_signed(output, &signed, &key.person)?;
    Ok(SUCCESS)
}

/// The key of the bundle that this signer holds, when it may sign orders of the class.
pub(crate) fn key_of<'a>(known: &'a KnownTrust, class: Class, signer: &Signer) -> Result<&'a TrustKey, OrderError> {
    let (raw, keys) = (signer.raw(), known.keys(class, now_ms()));
    keys.iter().copied().find(|key| key.public_key.raw() == raw).ok_or_else(|| {
        let persons: BTreeSet<&str> = keys.iter().map(|key| key.person.as_str()).collect();
        let version = known.trust().bundle().version;
        OrderError::Key { class: class.as_str(), version, persons: persons.into_iter().collect::<Vec<_>>().join(", ") }
    })
}

/// Shows what is about to be signed: on standard output, or beside it where a program reads that.
pub(crate) fn show(output: Output, description: &Description) -> Result<(), CliError> {
    if output.format == Format::Json {
        let text = clean(&description.text());
        return io::stderr().lock().write_all(text.as_bytes()).map_err(CliError::Output);
    }
    output.print(&description.text())
}

/// Asks on the terminal.
pub(crate) fn agree() -> Result<(), CliError> {
    if !io::stdin().is_terminal() {
        return Err(OrderError::NotAgreed.into());
    }
    let mut terminal = io::stderr().lock();
    terminal.write_all(b"Sign this? Write yes: ").and_then(|()| terminal.flush()).map_err(CliError::Output)?;
    let mut answer = String::new();
    // A line is enough, and nobody writes a long one.
    io::Read::take(io::stdin().lock(), 100).read_line(&mut answer).map_err(CliError::Output)?;
    if answer.trim() == "yes" { Ok(()) } else { Err(OrderError::NotAgreed.into()) }
}

/// Signs the bytes that were read, and hands the signature in.
pub(crate) fn put(connection: &Connection, order: &ReadOrder, signer: &mut Signer, key: &TrustKey) -> Result<PreparedOrder, CliError> {
    let covered = order.envelope()?.covered();
    let signature = signer.sign(&key.public_key, &covered)?;
    let mut raw = [0; 32];
    if key.public_key.raw().len() == raw.len() {
        raw.copy_from_slice(key.public_key.raw());
    }
    let request = PutOrderSignatureRequest {
        order_id: order.body.id.to_string(),
        body_sha256: order.sha256()?,
        algorithm: key.public_key.algorithm(),
        key_id: Hex(KeyId::of_key(&raw).0),
        signature: Blob(signature),
    };
    Ok(connection.client.call(&request)?.order)
}

/// Says what the signature came to.
pub(crate) fn print_signed(output: Output, order: &PreparedOrder, person: &str) -> Result<(), CliError> {
    match output.format {
        Format::Json => output.print_json(order),
        Format::Table | Format::Text if order.state == AWAITING => {
            let more = order.may_sign.join(", ");
            output.print(&format!("signed as {person}; {} more must sign, of: {more}\n", order.missing))
        }
        Format::Table | Format::Text => output.print(&format!("signed as {person}; the bridge says: {}\n", order.state)),
    }
}

/// Unix time in milliseconds.
pub(crate) fn now_ms() -> u64 {
    u64::try_from(clock::today().as_millisecond()).unwrap_or(0)
}
