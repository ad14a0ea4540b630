//! What the link proves itself with: key, certificate and the authorities that it trusts, and beside them those of a renewal until a
//! connection with them has succeeded.
//!
//! Each set is one file, so that a cut leaves a whole one. In the order of a renewal: the next set is written beside the one in use; the
//! connection is made anew with it; when that has succeeded, its file takes the place of the other by one rename. A start tries the next
//! set first where there is one. Where it fails and the one in use succeeds, it is removed.

use std::fs;
use std::io;
use std::sync::Arc;

use flotilla_link::{BrokerAddress, KnownTime, TlsError, Validity, node_client};
use rustls::ClientConfig;
use serde::{Deserialize, Serialize};

use crate::record;
use crate::state::{self, Layout, LinkState, RENEWED, RENEWED_NEXT, StateError, write_atomically};

/// So many failed attempts with one set, and the other one is tried.
const ATTEMPTS_WITH_ONE: u32 = 3;

/// One set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    /// PKCS#8 v1 DER.
    pub(super) key: Vec<u8>,
    /// DER.
    pub(super) certificate: Vec<u8>,
    /// DER, one after the other, the newest first.
    pub(super) authorities: Vec<u8>,
    /// Host name or address of the broker's listener for nodes.
    pub(super) host: String,
    /// Its port.
    pub(super) port: u16,
}

impl Identity {
    /// Where the broker is, by this set.
    pub(super) fn broker(&self) -> BrokerAddress {
        BrokerAddress { host: self.host.clone(), port: self.port }
    }

    /// From when to when the certificate is valid; nothing for one that cannot be read.
    pub(super) fn validity(&self) -> Option<Validity> {
        Validity::of(&self.certificate).ok()
    }

    pub(super) fn tls(&self, time: &KnownTime) -> Result<Arc<ClientConfig>, TlsError> {
        if let Some(validity) = self.validity() {
            time.raise(validity.not_before_s);
        }
        node_client(&self.authorities, &self.certificate, &self.key, time)
    }
}

/// The set in use, and the next one.
#[derive(Debug)]
pub(super) struct Credentials {
    layout: Layout,
    current: Identity,
    next: Option<Identity>,
    is_next_tried: bool,
    failures: u32,
}

/// What a connection has brought about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Connected {
    /// Nothing new.
    AsBefore,
    /// The next set has replaced the one before it.
    Replaced,
    /// The next set does not work, and is gone.
    Dropped,
}

impl Credentials {
    /// Reads what is there. A set that cannot be read or used is passed over: the one of the registration is always there.
    pub(super) fn load(layout: &Layout, state: &LinkState) -> Self {
        let registered = Identity {
            key: state.key.clone(),
            certificate: state.certificate.clone(),
            authorities: state.authority.clone(),
            host: state.broker.host.clone(),
            port: state.broker.port,
        };
        let renewed = read(layout, RENEWED);
        let next = read(layout, RENEWED_NEXT);
        let is_next_tried = next.is_some();
        Self { layout: layout.clone(), current: renewed.unwrap_or(registered), next, is_next_tried, failures: 0 }
    }

    /// The set to connect with.
    pub(super) fn in_use(&self) -> &Identity {
        self.next.as_ref().filter(|_| self.is_next_tried).unwrap_or(&self.current)
    }

    /// Keeps a new set beside the one in use; it is tried from now on. On disk when this returns.
    pub(super) fn keep(&mut self, next: Identity) -> Result<(), StateError> {
        let path = self.layout.link(RENEWED_NEXT);
        let bytes =
            record::encode(&next).map_err(|error| StateError::NotWritable { path: path.clone(), source: io::Error::other(error) })?;
        write_atomically(&path, &bytes)?;
        (self.next, self.is_next_tried, self.failures) = (Some(next), true, 0);
        Ok(())
    }

    /// A connection has succeeded with the set in use.
    pub(super) fn connected(&mut self) -> Result<Connected, StateError> {
        self.failures = 0;
        let Some(next) = self.next.take() else { return Ok(Connected::AsBefore) };
        let path = self.layout.link(RENEWED_NEXT);
        let not_writable = |source| StateError::NotWritable { path: path.clone(), source };
        if self.is_next_tried {
            self.current = next;
            let replaced = fs::rename(&path, self.layout.link(RENEWED)).and_then(|()| sync(&self.layout));
            return replaced.map(|()| Connected::Replaced).map_err(not_writable);
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(not_writable(error)),
            _ => Ok(Connected::Dropped),
        }
    }

    /// An attempt to connect has failed; whether another set is in use now.
    pub(super) fn failed(&mut self) -> bool {
        self.failures += 1;
        if self.failures < ATTEMPTS_WITH_ONE || self.next.is_none() {
            return false;
        }
        self.failures = 0;
        self.is_next_tried = !self.is_next_tried;
        true
    }
}

fn sync(layout: &Layout) -> io::Result<()> {
    layout.link(RENEWED).parent().map_or(Ok(()), state::sync_folder)
}

fn read(layout: &Layout, name: &str) -> Option<Identity> {
    let path = layout.link(name);
    if !path.exists() {
        return None;
    }
    let identity = state::read(&path).ok().and_then(|bytes| record::decode::<Identity>(&bytes).ok());
    let usable = identity.filter(|identity| identity.tls(&KnownTime::default()).is_ok());
    if usable.is_none() {
        tracing::warn!(path = %path.display(), "it holds no key and certificate that can be used, and is passed over");
    }
    usable
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::SigningKey;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PKCS_ED25519};
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use std::path::Path;

    fn layout(folder: &Path) -> Layout {
        let layout = Layout::in_folder(folder);
        layout.create().unwrap();
        layout
    }

    fn identity(seed: u8) -> Identity {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let authority_key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let authorities = parameters.self_signed(&authority_key).unwrap().der().to_vec();
        let issuer = Issuer::new(parameters, authority_key);
        let key = state::pkcs8(&SigningKey::from_bytes(&[seed; 32]));
        let pair = KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(key.as_slice()), &PKCS_ED25519).unwrap();
        let certificate = CertificateParams::default().signed_by(&pair, &issuer).unwrap().der().to_vec();
        Identity { key, certificate, authorities, host: "localhost".into(), port: 1 }
    }

    fn registered(identity: &Identity) -> LinkState {
        LinkState {
            node: flotilla_protocol::id::NodeId::of_key(&[0; 32]),
            fleet: flotilla_protocol::id::FleetId([0; 8]),
            broker: identity.broker(),
            claim: None,
            time_floor_s: 0,
            authority: identity.authorities.clone(),
            certificate: identity.certificate.clone(),
            key: identity.key.clone(),
        }
    }

    #[test]
    fn a_new_certificate_replaces_the_old_one_only_after_a_connection() {
        let folder = tempfile::tempdir().unwrap();
        let layout = layout(folder.path());
        let (old, new) = (identity(1), identity(2));
        let state = registered(&old);
        let mut credentials = Credentials::load(&layout, &state);
        assert_eq!(credentials.in_use(), &old);
        assert_eq!(credentials.connected().unwrap(), Connected::AsBefore);

        credentials.keep(new.clone()).unwrap();
        assert_eq!(credentials.in_use(), &new);
        assert!(!layout.link(RENEWED).exists(), "nothing was proved yet");
        // A cut here: the next one is tried first, and the old one is still there.
        let mut credentials = Credentials::load(&layout, &state);
        assert_eq!((credentials.in_use(), &credentials.current), (&new, &old));
        assert_eq!(credentials.connected().unwrap(), Connected::Replaced);
        assert!(!layout.link(RENEWED_NEXT).exists());
        let again = Credentials::load(&layout, &state);
        assert_eq!((again.in_use(), again.next.as_ref()), (&new, None));
    }

    #[test]
    fn a_new_certificate_that_does_not_work_gives_way_to_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let layout = layout(folder.path());
        let (old, bad) = (identity(1), identity(2));
        let mut credentials = Credentials::load(&layout, &registered(&old));
        credentials.keep(bad.clone()).unwrap();
        assert_eq!([(); 3].map(|()| credentials.failed()), [false, false, true]);
        assert_eq!(credentials.in_use(), &old);
        // Nobody is reachable: each has its turn.
        assert_eq!([(); 3].map(|()| credentials.failed()), [false, false, true]);
        assert_eq!(credentials.in_use(), &bad);
        assert_eq!([(); 3].map(|()| credentials.failed()), [false, false, true]);
        assert_eq!(credentials.connected().unwrap(), Connected::Dropped);
        assert!(!layout.link(RENEWED_NEXT).exists() && !layout.link(RENEWED).exists());
        assert_eq!([(); 4].map(|()| credentials.failed()), [false; 4], "there is nothing else to try");
    }

    #[test]
    fn a_file_that_is_cut_or_damaged_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let layout = layout(folder.path());
        let (old, new) = (identity(1), identity(2));
        let whole = record::encode(&new).unwrap();
        for length in (0..whole.len()).step_by(7) {
            for name in [RENEWED, RENEWED_NEXT] {
                write_atomically(&layout.link(name), &whole[..length]).unwrap();
            }
            assert_eq!(Credentials::load(&layout, &registered(&old)).in_use(), &old, "cut at {length}");
        }
        let foreign_key = Identity { key: old.key.clone(), ..new };
        write_atomically(&layout.link(RENEWED_NEXT), &record::encode(&foreign_key).unwrap()).unwrap();
        assert_eq!(Credentials::load(&layout, &registered(&old)).in_use(), &old);
    }
}
