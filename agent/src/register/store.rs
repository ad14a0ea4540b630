//! What registering keeps: keys before the claim, everything else after a believed answer, and the marker last.

use std::fs;
use std::io;
use std::path::Path;

use curve25519_dalek::MontgomeryPoint;
use ed25519_dalek::SigningKey;
use flotilla_link::{BrokerAddress, fleet_client};
use flotilla_protocol::id::{FleetId, NodeId};

use super::RegisterError;
use super::claim::Accepted;
use crate::settings::Settings;
use crate::state::{self, Connection, ExecState, Layout, StateError, write_atomically};
use crate::trust_store;

/// The device's own keys.
pub(super) struct Keys {
    pub(super) identity: SigningKey,
    pub(super) tls: SigningKey,
    /// The X25519 secret.
    pub(super) sealing: [u8; 32],
}

impl Keys {
    /// The keys of an earlier try, and new ones where there are none.
    pub(super) fn load_or_make(layout: &Layout) -> Result<Self, RegisterError> {
        let identity = SigningKey::from_bytes(&secret(&layout.exec("identity.key"))?);
        let sealing = secret(&layout.exec("sealing.key"))?;
        let path = layout.link("tls.key");
        let tls = if path.exists() {
            let damaged = || StateError::Damaged { path: path.clone(), what: "it is not an ed25519 key".to_owned() };
            state::from_pkcs8(&state::read(&path)?).ok_or_else(damaged)?
        } else {
            let tls = SigningKey::from_bytes(&random()?);
            layout.write_link("tls.key", &state::pkcs8(&tls))?;
            tls
        };
        Ok(Self { identity, tls, sealing })
    }

    pub(super) fn node(&self) -> NodeId {
        NodeId::of_key(self.identity.verifying_key().as_bytes())
    }

    pub(super) fn sealing_public(&self) -> [u8; 32] {
        MontgomeryPoint::mul_base_clamped(self.sealing).to_bytes()
    }
}

/// Whether the device may be registered, given what it is by now.
pub(super) fn check_earlier(settings: &Settings, layout: &Layout, root_hash: &[u8; 32], again: bool) -> Result<(), RegisterError> {
    if !layout.registered().exists() {
        return Ok(());
    }
    let earlier = ExecState::load(settings);
    match earlier {
        Ok(earlier) if !again => Err(RegisterError::AlreadyRegistered { node: earlier.node }),
        Ok(earlier) if earlier.root_hash != *root_hash => Err(RegisterError::OtherFleet { folder: settings.state_folder.clone() }),
        // Registering again is what mends a damaged state.
        Err(error) if !again => Err(error.into()),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Writes what makes the device a node.
pub(super) fn store(
    layout: &Layout,
    keys: &Keys,
    root_hash: &[u8; 32],
    accepted: &Accepted,
    claim: BrokerAddress,
) -> Result<(), RegisterError> {
    let enrolled = &accepted.enrolled;
    let key = state::pkcs8(&keys.tls);
    fleet_client(&enrolled.authority, &enrolled.certificate, &key, None)
        .map_err(|error| RegisterError::Unusable { what: "a certificate", source: error.into() })?;
    let broker: BrokerAddress = BrokerAddress { host: enrolled.host.clone(), port: enrolled.port }
        .to_string()
        .parse()
        .map_err(|error: flotilla_link::AddressError| RegisterError::Unusable { what: "an address", source: error.into() })?;
    let same_root = trust_store::root_hash(layout).is_ok_and(|earlier| earlier == *root_hash);
    let earlier = trust_store::load(layout, *root_hash).least_version();
    if same_root && usize::try_from(earlier).is_ok_and(|earlier| earlier > accepted.bundles.len()) {
        return Err(RegisterError::OlderTrust);
    }

    remove(&layout.registered())?;
    // What was renewed since an earlier registration is older than what comes now.
    for name in [state::RENEWED, state::RENEWED_NEXT] {
        remove(&layout.link(name))?;
    }
    // What another root has left behind of a try that was never finished.
    for version in (1..=earlier).skip(accepted.bundles.len()) {
        trust_store::copies(layout, version).iter().try_for_each(|path| remove(path))?;
    }
    let enrolled_at_s = enrolled.time_ms / 1000;
    let connection = Connection { broker, claim: Some(claim), fleet: FleetId::of_root_hash(root_hash), node: keys.node(), enrolled_at_s };
    layout.write_link("certificate.der", &enrolled.certificate)?;
    layout.write_link("authority.der", &enrolled.authority)?;
    layout.write_link(state::CONNECTION, connection.to_toml().as_bytes())?;
    write_atomically(&layout.exec(state::CONNECTION), connection.to_toml().as_bytes())?;
    trust_store::store_root(layout, root_hash)?;
    for (version, bundle) in (1_u32..).zip(&accepted.bundles) {
        trust_store::store(layout, version, bundle)?;
    }
    let floor_ms = state::read_floor(layout).ok().filter(|_| same_root).unwrap_or(0).max(enrolled.time_ms);
    write_atomically(&layout.exec("floor"), &floor_ms.to_le_bytes())?;
    write_atomically(&layout.registered(), format!("{}\n", keys.node()).as_bytes())?;
    Ok(())
}

/// 32 secret bytes from a file, or new ones in it.
fn secret(path: &Path) -> Result<[u8; 32], RegisterError> {
    if path.exists() {
        return Ok(state::read_32(path)?);
    }
    let secret = random()?;
    write_atomically(path, &secret)?;
    Ok(secret)
}

fn random() -> Result<[u8; 32], RegisterError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(RegisterError::Randomness)?;
    Ok(bytes)
}

fn remove(path: &Path) -> Result<(), StateError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(StateError::NotWritable { path: path.to_owned(), source }),
        _ => Ok(()),
    }
}
