//! The few fields of an X.509 certificate that the bridge reads: issuer, subject, public key.
//!
//! Only certificates that TLS has verified, or our own authority's, come here; the reader is strict all the same, see
//! [`DerReader`]. It understands no extension: what a certificate may be used for is TLS's to decide.

use flotilla_link::{DerReader, NotDer};

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const OBJECT_IDENTIFIER: u8 = 0x06;
const BOOLEAN: u8 = 0x01;
const OCTET_STRING: u8 = 0x04;
/// The explicitly tagged extensions.
const EXTENSIONS: u8 = 0xa3;
const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;
/// The explicitly tagged version, absent in version 1.
const VERSION: u8 = 0xa0;
/// 2.5.4.3, the common name.
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];

/// Bytes that are not a certificate, or one without exactly one common name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a certificate with exactly one common name")]
pub struct InvalidCertificate;

impl From<NotDer> for InvalidCertificate {
    fn from(NotDer: NotDer) -> Self {
        Self
    }
}

/// The common name in the certificate's subject.
///
/// # Errors
/// The bytes are no certificate, or its subject has no common name, more than one, or one that is not text.
pub fn common_name(certificate_der: &[u8]) -> Result<&str, InvalidCertificate> {
    Fields::of(certificate_der)?.common_name()
}

pub(super) struct Fields<'a> {
    /// The issuer's name: what is inside its SEQUENCE.
    pub(super) issuer: &'a [u8],
    /// The subject's name: what is inside its SEQUENCE.
    pub(super) subject: &'a [u8],
    /// The whole SubjectPublicKeyInfo, header included.
    pub(super) public_key_info: &'a [u8],
    /// What follows the public key: optional parts, extensions at the end.
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn of(certificate_der: &'a [u8]) -> Result<Self, InvalidCertificate> {
        let mut outer = DerReader::new(certificate_der);
        let mut certificate = DerReader::new(outer.expect(SEQUENCE)?);
        let mut body = DerReader::new(certificate.expect(SEQUENCE)?);
        if body.rest().first() == Some(&VERSION) {
            body.expect(VERSION)?;
        }
        body.expect(INTEGER)?;
        body.expect(SEQUENCE)?;
        let issuer = body.expect(SEQUENCE)?;
        body.expect(SEQUENCE)?;
        let subject = body.expect(SEQUENCE)?;
        let before = body.rest();
        body.expect(SEQUENCE)?;
        let length = before.len() - body.rest().len();
        let public_key_info = before.get(..length).ok_or(InvalidCertificate)?;
        Ok(Self { issuer, subject, public_key_info, rest: body.rest() })
    }

    /// What is inside the OCTET STRING of an extension, by its object identifier; nothing where there is no such extension.
    pub(super) fn extension(&self, oid: &[u8]) -> Result<Option<&'a [u8]>, InvalidCertificate> {
        let mut parts = DerReader::new(self.rest);
        while !parts.is_empty() {
            let (tag, content) = parts.element()?;
            if tag != EXTENSIONS {
                continue;
            }
            let mut extensions = DerReader::new(DerReader::new(content).expect(SEQUENCE)?);
            while !extensions.is_empty() {
                let mut extension = DerReader::new(extensions.expect(SEQUENCE)?);
                let found = extension.expect(OBJECT_IDENTIFIER)?;
                if extension.rest().first() == Some(&BOOLEAN) {
                    extension.expect(BOOLEAN)?;
                }
                let value = extension.expect(OCTET_STRING)?;
                if found == oid {
                    return Ok(Some(value));
                }
            }
        }
        Ok(None)
    }

    pub(super) fn common_name(&self) -> Result<&'a str, InvalidCertificate> {
        let mut found = None;
        let mut name = DerReader::new(self.subject);
        while !name.is_empty() {
            let mut attributes = DerReader::new(name.expect(SET)?);
            while !attributes.is_empty() {
                let mut attribute = DerReader::new(attributes.expect(SEQUENCE)?);
                if attribute.expect(OBJECT_IDENTIFIER)? != COMMON_NAME {
                    continue;
                }
                let (tag, value) = attribute.element()?;
                // Two names would let two readers see two different peers.
                if found.is_some() || !matches!(tag, UTF8_STRING | PRINTABLE_STRING) {
                    return Err(InvalidCertificate);
                }
                found = Some(std::str::from_utf8(value).map_err(|_| InvalidCertificate)?);
            }
        }
        found.ok_or(InvalidCertificate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::pki::FleetCa;
    use proptest::prelude::*;

    fn certificate() -> Vec<u8> {
        let authority = FleetCa::create("north", 1_700_000_000).unwrap();
        authority.issue_client("flotilla-bridge", 1_700_000_000, 30).unwrap().certificate_der
    }

    #[test]
    fn the_name_of_a_certificate_is_read() {
        assert_eq!(common_name(&certificate()), Ok("flotilla-bridge"));
    }

    #[test]
    fn every_cut_is_refused_before_the_subject_ends() {
        let certificate = certificate();
        for length in 0..certificate.len() {
            assert_eq!(common_name(&certificate[..length]), Err(InvalidCertificate), "cut at {length}");
        }
    }

    #[test]
    fn two_names_are_refused() {
        let name = |text: &[u8]| {
            let attribute = [&[OBJECT_IDENTIFIER, 3][..], &COMMON_NAME, &[UTF8_STRING, 1], text].concat();
            let length = u8::try_from(attribute.len()).unwrap();
            let attribute = [&[SEQUENCE, length][..], &attribute].concat();
            [&[SET, length + 2][..], &attribute].concat()
        };
        let read = |subject: &[u8]| {
            let fields = Fields { issuer: &[], subject, public_key_info: &[], rest: &[] };
            fields.common_name().map(str::to_owned)
        };
        assert_eq!(read(&name(b"a")), Ok("a".to_owned()));
        assert_eq!(read(&[name(b"a"), name(b"b")].concat()), Err(InvalidCertificate));
        assert_eq!(read(&[]), Err(InvalidCertificate));
        assert_eq!(read(&name(&[0xff])), Err(InvalidCertificate));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ignored = common_name(&bytes);
        }

        #[test]
        fn no_damaged_certificate_makes_it_panic(at in 0_usize..200, value in any::<u8>()) {
            let mut certificate = certificate();
            certificate[at] = value;
            let _ignored = common_name(&certificate);
        }
    }
}
