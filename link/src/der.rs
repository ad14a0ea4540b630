//! The outer form of DER (X.690): elements of a tag, a length and content.

use thiserror::Error;

/// Bytes that are not elements in DER, or another element than was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not the expected DER")]
pub struct NotDer;

/// Reads elements one after the other. Strict: definite, minimal lengths only, and no content of 64 KiB or more, which no certificate of a
/// fleet has.
#[derive(Debug, Clone, Copy)]
pub struct DerReader<'a>(&'a [u8]);

impl<'a> DerReader<'a> {
    /// A reader of these bytes.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// What was not read yet.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// Whether everything was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tag and the content of the next element.
    ///
    /// # Errors
    /// The bytes end before it does, or its length is not of the form.
    pub fn element(&mut self) -> Result<(u8, &'a [u8]), NotDer> {
        let (tag, rest) = self.0.split_first().ok_or(NotDer)?;
        let (first, rest) = rest.split_first().ok_or(NotDer)?;
        let (length, least, rest) = match *first {
            short @ 0..=0x7f => (usize::from(short), 0, rest),
            0x81 => {
                let (length, rest) = rest.split_first_chunk::<1>().ok_or(NotDer)?;
                (usize::from(length[0]), 0x80, rest)
            }
            0x82 => {
                let (length, rest) = rest.split_first_chunk::<2>().ok_or(NotDer)?;
                (usize::from(u16::from_be_bytes(*length)), 0x100, rest)
            }
            _ => return Err(NotDer),
        };
        let (content, rest) = rest.split_at_checked(length).filter(|_| length >= least).ok_or(NotDer)?;
        self.0 = rest;
        Ok((*tag, content))
    }

    /// The content of the next element, which must have this tag.
    ///
    /// # Errors
    /// As [`Self::element`], or it has another tag.
    pub fn expect(&mut self, tag: u8) -> Result<&'a [u8], NotDer> {
        let (found, content) = self.element()?;
        if found == tag { Ok(content) } else { Err(NotDer) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_minimal_definite_lengths_are_read() {
        let long = [&[0x30, 0x82, 0x01, 0x00][..], &[7; 256]].concat();
        let middle = [&[0x30, 0x81, 0x80][..], &[7; 128]].concat();
        for (bytes, length) in [(&[0x30, 0x00][..], 0), (&[0x30, 0x01, 7, 9], 1), (&middle, 128), (&long, 256)] {
            let mut reader = DerReader::new(bytes);
            assert_eq!(reader.expect(0x30).map(<[u8]>::len), Ok(length));
            assert_eq!(reader.is_empty(), bytes.len() != 4);
        }
        let padded = [&[0x30, 0x82, 0x00, 0x80][..], &[7; 128]].concat();
        for wrong in [&[][..], &[0x30], &[0x30, 0x02, 7], &[0x30, 0x81, 0x01, 7], &padded, &[0x30, 0x80, 0, 0], &[0x30, 0x83, 0, 0, 1, 7]] {
            assert_eq!(DerReader::new(wrong).element(), Err(NotDer), "{wrong:?}");
        }
        assert_eq!(DerReader::new(&[0x31, 0]).expect(0x30), Err(NotDer), "another tag");
    }
}
