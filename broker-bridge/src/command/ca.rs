//! `flotilla-bridge ca`: replaces the fleet's certificate authority without a visit to any node.
//!
//! `rotate` makes a new authority, which signs from the next start of the bridge on; the former one stays trusted, and the broker's
//! certificate stays under it. Nodes are told when they say hello, and renew their certificates. `finish` puts the broker's and the bridge's
//! certificates under the new authority and forgets the former one.
//!
//! Every step leaves files with which the bridge starts, wherever it is cut; see [`Home::read_authorities`].

use crate::clock::Clock;
use crate::fleet::node::store as node_store;
use crate::platform::files;
use crate::platform::pki::{Authorities, FleetCa, PkiError};
use crate::platform::store::{Store, StoreError};
use crate::schema::MIGRATIONS;
use crate::settings::{Home, HomeError, OWN_CERTIFICATES, Settings, SettingsError};
use clap::Subcommand;
use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Show the authorities, and how many nodes still trust the former one alone
    Status,
    /// Make a new authority beside the present one; the bridge must be stopped
    Rotate,
    /// Forget the former authority, when every node knows the new one; the bridge must be stopped
    Finish {
        /// Even though nodes still trust the former authority alone. They come back by the claim listener
        #[arg(long)]
        force: bool,
    },
}

#[derive(Debug, thiserror::Error)]
pub(super) enum CaError {
    #[error("the settings cannot be read")]
    Settings(#[from] SettingsError),
    #[error("the authorities cannot be read")]
    Home(#[from] HomeError),
    #[error("the database cannot be opened")]
    Store(#[from] StoreError),
    #[error("the authority or a certificate cannot be made")]
    Pki(#[from] PkiError),
    #[error(transparent)]
    Running(#[from] super::run::RunError),
    #[error("cannot write {path}; may you write there, and is there space? Run the command again, it goes on where it was")]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("a rotation is not finished; see `flotilla-bridge ca status`, and then `flotilla-bridge ca finish`")]
    Rotating,
    #[error("no rotation has begun; `flotilla-bridge ca rotate` begins one")]
    NotRotating,
    #[error(
        "{behind} nodes still trust the former authority alone: {some}. Wait until they have said hello, or deregister those that will \
         not; with --force they come back by the claim listener, each when it has found that the broker does not let it in"
    )]
    Behind { behind: u64, some: String },
}

pub(super) async fn perform(home: &Path, action: &Action, clock: &Clock) -> Result<String, CaError> {
    let settings = Settings::load(home)?;
    let home = &settings.home;
    let now_s = clock.now_ms() / 1000;
    match action {
        Action::Status => status(home).await,
        Action::Rotate => {
            let _lock = super::run::lock(home.path())?;
            rotate(home, &settings.name, now_s)
        }
        Action::Finish { force } => {
            let _lock = super::run::lock(home.path())?;
            finish(home, *force, now_s).await
        }
    }
}

async fn status(home: &Home) -> Result<String, CaError> {
    let authorities = home.read_authorities()?;
    let current = fingerprint(&authorities.current);
    let Some(former) = &authorities.former else {
        let (behind, _) = behind(home, &authorities).await?;
        return Ok(format!("Authority:        {current}\nNo rotation has begun.\nNodes that trust others: {behind}"));
    };
    let (behind, some) = behind(home, &authorities).await?;
    let next = match behind {
        0 => "Every node knows the new authority: stop the bridge and run `flotilla-bridge ca finish`.".to_owned(),
        _ => format!("Among them: {some}"),
    };
    Ok(format!(
        "New authority:    {current}\nFormer authority: {}\nNodes that trust the former one alone: {behind}\n{next}",
        fingerprint(former)
    ))
}

/// The nodes that were not yet told of the authorities, and the first of them.
async fn behind(home: &Home, authorities: &Authorities) -> Result<(u64, String), CaError> {
    let store = Store::open(&home.database(), MIGRATIONS).await?;
    let (count, first) = node_store::with_other_authorities(store.reader(), &authorities.hash_text()).await?;
    store.close().await;
    let more = if count > u64::try_from(first.len()).unwrap_or(0) { ", …" } else { "" };
    Ok((count, format!("{}{more}", first.join(", "))))
}

fn rotate(home: &Home, name: &str, now_s: u64) -> Result<String, CaError> {
    let authorities = home.read_authorities()?;
    if authorities.former.is_some() {
        return Err(CaError::Rotating);
    }
    let former = &authorities.current;
    let new = FleetCa::create(name, now_s)?;
    // Two files cannot be replaced at once: the certificate is what decides, and a key is looked for in both places.
    replace_secret(&home.key("ca-former"), former.key_pem().as_bytes())?;
    replace(&home.former_authority(), former.certificate_der())?;
    replace_secret(&home.key("ca-next"), new.key_pem().as_bytes())?;
    replace(&home.authority(), new.certificate_der())?;
    replace_secret(&home.key("ca"), new.key_pem().as_bytes())?;
    remove(&home.key("ca-next"))?;
    replace(&home.certificates().join("authority.pem"), home.read_authorities()?.pem().as_bytes())?;
    Ok(format!(
        "New authority:    {}\nFormer authority: {}\n\
         Start the bridge: nodes renew their certificates when they say hello, and trust both until the rotation is finished.\n\
         A Mosquitto needs a new folder by `flotilla-bridge mosquitto` first, or it does not know the new authority.\n\
         See how far it is:  flotilla-bridge ca status --home {}",
        fingerprint(&new),
        fingerprint(former),
        home.path().display()
    ))
}

async fn finish(home: &Home, force: bool, now_s: u64) -> Result<String, CaError> {
    let authorities = home.read_authorities()?;
    if authorities.former.is_none() {
        return Err(CaError::NotRotating);
    }
    let (behind, some) = behind(home, &authorities).await?;
    if behind > 0 && !force {
        return Err(CaError::Behind { behind, some });
    }
    // While the former authority is there, a bridge that starts trusts both: the certificates may be changed one by one.
    for name in OWN_CERTIFICATES {
        let issued = home.read_certificate(name)?;
        if !authorities.current.has_issued(&issued.certificate_der) {
            home.replace_certificate(name, &authorities.current.certify_again(&issued, now_s, super::init::VALIDITY_DAYS)?)?;
        }
    }
    remove(&home.former_authority())?;
    remove(&home.key("ca-former"))?;
    replace(&home.certificates().join("authority.pem"), authorities.current.certificate_pem().as_bytes())?;
    let left = if behind > 0 { format!("\n{behind} nodes come back by the claim listener: {some}") } else { String::new() };
    Ok(format!(
        "The former authority is forgotten; every certificate is under {}.{left}\n\
         Start the bridge. A Mosquitto needs a new folder by `flotilla-bridge mosquitto`.",
        fingerprint(&authorities.current)
    ))
}

/// Gives broker and bridge new certificates where a third of the life of theirs remains. For the start of the bridge.
///
/// # Errors
/// A file of the home cannot be read or written.
pub(super) fn renew_own(home: &Home, now_s: u64) -> Result<(), CaError> {
    let authorities = home.read_authorities()?;
    for name in OWN_CERTIFICATES {
        let issued = home.read_certificate(name)?;
        let validity = flotilla_link::Validity::of(&issued.certificate_der);
        let is_due = validity.is_ok_and(|validity| now_s.saturating_add(validity.life_s() / 3) >= validity.not_after_s);
        if is_due {
            // Under the authority of before: during a rotation, nodes that were away know no other.
            let issuer = authorities.issuer_of(&issued.certificate_der);
            home.replace_certificate(name, &issuer.certify_again(&issued, now_s, super::init::VALIDITY_DAYS)?)?;
            tracing::info!(name, "the certificate was renewed");
        }
    }
    Ok(())
}

/// What a person compares: the first half of the SHA-256 of the certificate.
fn fingerprint(authority: &FleetCa) -> String {
    flotilla_protocol::sha256(&[authority.certificate_der()]).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn replace(path: &Path, content: &[u8]) -> Result<(), CaError> {
    files::replace(path, content, 0o644).map_err(|source| CaError::Write { path: path.to_owned(), source })
}

fn replace_secret(path: &Path, content: &[u8]) -> Result<(), CaError> {
    files::replace(path, content, 0o600).map_err(|source| CaError::Write { path: path.to_owned(), source })
}

fn remove(path: &Path) -> Result<(), CaError> {
    files::remove(path).map_err(|source| CaError::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests;
