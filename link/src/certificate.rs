//! The two things that a node reads of a certificate by itself: where one ends and the next begins, and how long it is valid.
//!
//! Whether a certificate is to be believed is TLS's to say. The reader is strict all the same, see [`DerReader`], and knows the two
//! forms of time that X.509 allows.

use crate::der::{DerReader, NotDer};
use thiserror::Error;

/// Most authorities that are trusted at once: the newest, and those that a rotation has not yet dropped.
pub const MAXIMUM_AUTHORITIES: usize = 4;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The explicitly tagged version, absent in version 1.
const VERSION: u8 = 0xa0;

/// Bytes that are not a certificate, or not as many as allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not an X.509 certificate in DER form, or more than {MAXIMUM_AUTHORITIES} of them")]
pub struct InvalidCertificate;

impl From<NotDer> for InvalidCertificate {
    fn from(NotDer: NotDer) -> Self {
        Self
    }
}

/// The certificates that stand one after the other in `der`: 1 to [`MAXIMUM_AUTHORITIES`].
///
/// # Errors
/// There is none, there are too many, or something else stands between or behind them.
pub fn certificates_in(der: &[u8]) -> Result<Vec<&[u8]>, InvalidCertificate> {
    let mut found = Vec::new();
    let mut rest = DerReader::new(der);
    while !rest.is_empty() {
        let before = rest.rest();
        rest.expect(SEQUENCE)?;
        if found.len() == MAXIMUM_AUTHORITIES {
            return Err(InvalidCertificate);
        }
        found.push(before.get(..before.len() - rest.rest().len()).ok_or(InvalidCertificate)?);
    }
    if found.is_empty() { Err(InvalidCertificate) } else { Ok(found) }
}

/// From when to when a certificate is valid, in seconds since 1970, both inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// `notBefore`
    pub not_before_s: u64,
    /// `notAfter`
    pub not_after_s: u64,
}

impl Validity {
    /// Reads the validity of one certificate.
    ///
    /// # Errors
    /// The bytes are no certificate, or a time in it is before 1970.
    pub fn of(certificate_der: &[u8]) -> Result<Self, InvalidCertificate> {
        let mut outer = DerReader::new(certificate_der);
        let mut certificate = DerReader::new(outer.expect(SEQUENCE)?);
        let mut body = DerReader::new(certificate.expect(SEQUENCE)?);
        if body.rest().first() == Some(&VERSION) {
            body.expect(VERSION)?;
        }
        body.expect(INTEGER)?;
        body.expect(SEQUENCE)?;
        body.expect(SEQUENCE)?;
        let mut validity = DerReader::new(body.expect(SEQUENCE)?);
        let not_before_s = time(validity.element()?)?;
        let not_after_s = time(validity.element()?)?;
        if not_after_s < not_before_s || !validity.is_empty() {
            return Err(InvalidCertificate);
        }
        Ok(Self { not_before_s, not_after_s })
    }

    /// How long it is valid, in seconds.
    #[must_use]
    pub fn life_s(&self) -> u64 {
        self.not_after_s - self.not_before_s
    }
}

/// `YYMMDDHHMMSSZ` for the years 1950 to 2049, `YYYYMMDDHHMMSSZ` for others (RFC 5280, section 4.1.2.5).
fn time((tag, text): (u8, &[u8])) -> Result<u64, InvalidCertificate> {
    let (digits, end) = text.split_at_checked(text.len().saturating_sub(1)).ok_or(InvalidCertificate)?;
    if end != b"Z" || !digits.iter().all(u8::is_ascii_digit) {
        return Err(InvalidCertificate);
    }
    let mut pairs = digits.chunks(2).map(|pair| pair.iter().fold(0_u64, |value, digit| value * 10 + u64::from(digit - b'0')));
    let mut next = || pairs.next().ok_or(InvalidCertificate);
    let year = match (tag, digits.len()) {
        (UTC_TIME, 12) => match next()? {
            year @ 0..=49 => 2000 + year,
            year => 1900 + year,
        },
        (GENERALIZED_TIME, 14) => next()? * 100 + next()?,
        _ => return Err(InvalidCertificate),
    };
    let (month, day, hour, minute, second) = (next()?, next()?, next()?, next()?, next()?);
    let leap = |year: u64| (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400);
    let lengths = [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = usize::try_from(month).ok().and_then(|month| lengths.get(month.checked_sub(1)?)).ok_or(InvalidCertificate)?;
    if year < 1970 || !(1..=*length).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return Err(InvalidCertificate);
    }
    let days_of_years: u64 = (1970..year).map(|year| if leap(year) { 366 } else { 365 }).sum();
    let days_of_months: u64 = lengths.iter().zip(1..month).map(|(length, _)| *length).sum();
    Ok((((days_of_years + days_of_months + day - 1) * 24 + hour) * 60 + minute) * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, PKCS_ED25519, date_time_ymd};

    fn certificate(from: (i32, u8, u8), to: (i32, u8, u8)) -> Vec<u8> {
        let mut parameters = CertificateParams::default();
        parameters.not_before = date_time_ymd(from.0, from.1, from.2);
        parameters.not_after = date_time_ymd(to.0, to.1, to.2);
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        parameters.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn the_validity_is_what_was_written() {
        for (from, to, from_s, to_s) in [
            ((1970, 1, 1), (2000, 2, 29), 0, 951_782_400),
            ((2024, 2, 29), (2024, 3, 1), 1_709_164_800, 1_709_251_200),
            ((2049, 12, 31), (2050, 1, 1), 2_524_521_600, 2_524_608_000),
            ((2099, 12, 31), (2100, 3, 1), 4_102_358_400, 4_107_542_400),
        ] {
            let validity = Validity::of(&certificate(from, to)).unwrap();
            assert_eq!((validity.not_before_s, validity.not_after_s), (from_s, to_s), "{from:?} {to:?}");
            assert_eq!(validity.life_s(), to_s - from_s);
        }
        assert_eq!(Validity::of(&certificate((1969, 12, 31), (1990, 1, 1))), Err(InvalidCertificate));
    }

    #[test]
    fn every_cut_and_every_changed_byte_is_read_or_refused_without_a_panic() {
        let whole = certificate((2024, 1, 1), (2025, 1, 1));
        for length in 0..whole.len() {
            assert_eq!(Validity::of(&whole[..length]), Err(InvalidCertificate), "cut at {length}");
            assert_eq!(certificates_in(&whole[..length]), Err(InvalidCertificate), "cut at {length}");
        }
        for place in 0..whole.len() {
            for value in [0, 0x7f, 0x80, 0x81, 0x82, 0xff] {
                let mut changed = whole.clone();
                changed[place] = value;
                let _read_or_refused = (Validity::of(&changed), certificates_in(&changed));
            }
        }
    }

    #[test]
    fn certificates_one_after_the_other_are_told_apart() {
        let (one, other) = (certificate((2024, 1, 1), (2025, 1, 1)), certificate((2025, 1, 1), (2026, 1, 1)));
        assert_eq!(certificates_in(&one), Ok(vec![one.as_slice()]));
        let both = [one.clone(), other.clone()].concat();
        assert_eq!(certificates_in(&both), Ok(vec![one.as_slice(), other.as_slice()]));
        assert_eq!(certificates_in(&[]), Err(InvalidCertificate));
        assert_eq!(certificates_in(&one.repeat(MAXIMUM_AUTHORITIES + 1)), Err(InvalidCertificate));
        assert_eq!(certificates_in(&[both, vec![0]].concat()), Err(InvalidCertificate));
    }
}
