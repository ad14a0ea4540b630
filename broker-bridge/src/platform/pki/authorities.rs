//! The authorities that a fleet trusts: the one that signs, and while it replaces another one that one, too.

use super::{FleetCa, certificate_pem};

/// One authority, or two during a rotation.
#[derive(Debug)]
pub struct Authorities {
    /// Signs every new certificate.
    pub current: FleetCa,
    /// Is still trusted. The broker's certificate stays under it until the rotation is finished, because nodes that were away know no other.
    pub former: Option<FleetCa>,
}

impl Authorities {
    /// A fleet that replaces nothing.
    #[must_use]
    pub fn one(current: FleetCa) -> Self {
        Self { current, former: None }
    }

    /// The certificates in DER form, one after the other, the newest first: what nodes are told to trust.
    #[must_use]
    pub fn der(&self) -> Vec<u8> {
        let former = self.former.as_ref().map_or(&[][..], FleetCa::certificate_der);
        [self.current.certificate_der(), former].concat()
    }

    /// The certificates as PEM text, the newest first: what a broker elsewhere is told to trust.
    #[must_use]
    pub fn pem(&self) -> String {
        let former = self.former.as_ref().map(|former| certificate_pem(former.certificate_der())).unwrap_or_default();
        self.current.certificate_pem() + &former
    }

    /// SHA-256 of [`Authorities::der`]: by this nodes are told apart that know of a rotation and that do not.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        flotilla_protocol::sha256(&[&self.der()])
    }

    /// [`Authorities::hash`] as text, for the database.
    #[must_use]
    pub fn hash_text(&self) -> String {
        self.hash().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The authority that has signed this certificate; the current one where it is neither.
    #[must_use]
    pub fn issuer_of(&self, certificate_der: &[u8]) -> &FleetCa {
        self.former.as_ref().filter(|former| former.has_issued(certificate_der)).unwrap_or(&self.current)
    }
}
