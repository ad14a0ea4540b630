//! The few fields of an X.509 certificate that the bridge reads: issuer, subject, public key.
//!
//! Only certificates that TLS has verified, or our own authority's, come here; the reader is strict all the same and takes
//! definite, minimal lengths only. It understands no extension: what a certificate may be used for is TLS's to decide.

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
        let mut outer = Reader(certificate_der);
        let mut certificate = Reader(outer.expect(SEQUENCE)?);
        let mut body = Reader(certificate.expect(SEQUENCE)?);
        if body.0.first() == Some(&VERSION) {
            body.expect(VERSION)?;
        }
        body.expect(INTEGER)?;
        body.expect(SEQUENCE)?;
        let issuer = body.expect(SEQUENCE)?;
        body.expect(SEQUENCE)?;
        let subject = body.expect(SEQUENCE)?;
        let before = body.0;
        body.expect(SEQUENCE)?;
        let length = before.len() - body.0.len();
        let public_key_info = before.get(..length).ok_or(InvalidCertificate)?;
        Ok(Self { issuer, subject, public_key_info, rest: body.0 })
    }

    /// What is inside the OCTET STRING of an extension, by its object identifier; nothing where there is no such extension.
    pub(super) fn extension(&self, oid: &[u8]) -> Result<Option<&'a [u8]>, InvalidCertificate> {
        let mut parts = Reader(self.rest);
        while !parts.0.is_empty() {
            let (tag, content) = parts.next()?;
            if tag != EXTENSIONS {
                continue;
            }
            let mut extensions = Reader(Reader(content).expect(SEQUENCE)?);
            while !extensions.0.is_empty() {
                let mut extension = Reader(extensions.expect(SEQUENCE)?);
                let found = extension.expect(OBJECT_IDENTIFIER)?;
                if extension.0.first() == Some(&BOOLEAN) {
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
        let mut name = Reader(self.subject);
        while !name.0.is_empty() {
            let mut attributes = Reader(name.expect(SET)?);
            while !attributes.0.is_empty() {
                let mut attribute = Reader(attributes.expect(SEQUENCE)?);
                if attribute.expect(OBJECT_IDENTIFIER)? != COMMON_NAME {
                    continue;
                }
                let (tag, value) = attribute.next()?;
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

/// Reads DER elements one after the other.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(u8, &'a [u8]), InvalidCertificate> {
        let (tag, rest) = self.0.split_first().ok_or(InvalidCertificate)?;
        let (first, rest) = rest.split_first().ok_or(InvalidCertificate)?;
        let (length, rest) = match *first {
            short @ 0..=0x7f => (usize::from(short), rest),
            0x81 => {
                let (length, rest) = rest.split_first_chunk::<1>().ok_or(InvalidCertificate)?;
                (usize::from(length[0]), rest)
            }
            0x82 => {
                let (length, rest) = rest.split_first_chunk::<2>().ok_or(InvalidCertificate)?;
                (usize::from(u16::from_be_bytes(*length)), rest)
            }
            // More than 64 KiB is no certificate of ours.
            _ => return Err(InvalidCertificate),
        };
        let least = match *first {
            0x81 => 0x80,
            0x82 => 0x100,
            _ => 0,
        };
        if length < least {
            return Err(InvalidCertificate);
        }
        let (content, rest) = rest.split_at_checked(length).ok_or(InvalidCertificate)?;
        self.0 = rest;
        Ok((*tag, content))
    }

    fn expect(&mut self, tag: u8) -> Result<&'a [u8], InvalidCertificate> {
        let (found, content) = self.next()?;
        if found == tag { Ok(content) } else { Err(InvalidCertificate) }
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
