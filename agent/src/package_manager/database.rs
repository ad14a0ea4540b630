//! Package databases that are text: paragraphs of fields, read a line at a time with bounded memory, whatever is in them.

use std::io::{self, BufRead};

/// Longest line that is read whole, in bytes; of a longer one the rest is skipped.
const MAXIMUM_LINE_BYTES: usize = 16 * 1024;
/// Largest database, in bytes: that of a desktop with 5,000 packages has 10 million.
const MAXIMUM_DATABASE_BYTES: u64 = 256 * 1024 * 1024;

/// What a database's lines mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'l> {
    /// A field with the first line of its value.
    Field {
        /// The name as it is written.
        name: &'l str,
        /// The first line of the value.
        value: &'l str,
    },
    /// The paragraph is over. It comes after the last one, too, and after empty ones.
    End,
}

/// Reads a database of paragraphs with an empty line between them and fields `Name: value`. Lines that go on with the field before (they
/// begin with white space) are skipped, and so is what is no field: half a line that a power cut has left must not hide the rest.
///
/// # Errors
/// Whatever the reader says, and a database that is larger than any.
pub(super) fn read(mut database: impl BufRead, mut take: impl FnMut(Piece<'_>)) -> io::Result<()> {
    let mut line = Vec::new();
    let mut read_bytes = 0;
    while let Some(length) = read_line(&mut database, &mut line)? {
        read_bytes += length;
        if read_bytes > MAXIMUM_DATABASE_BYTES {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the package database is larger than 256 MiB"));
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            take(Piece::End);
            continue;
        }
        if line.first().is_some_and(u8::is_ascii_whitespace) {
            continue;
        }
        let text = String::from_utf8_lossy(&line);
        if let Some((name, value)) = text.split_once(':') {
            take(Piece::Field { name: name.trim_end(), value: value.trim() });
        }
    }
    take(Piece::End);
    Ok(())
}

/// Reads a line without its end; how many bytes it took of the database. Nothing at the end.
fn read_line(database: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Option<u64>> {
    line.clear();
    let mut taken = 0;
    loop {
        let available = match database.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            available => available?,
        };
        if available.is_empty() {
            return Ok((taken > 0).then_some(taken));
        }
        let end = available.iter().position(|byte| *byte == b'\n');
        let piece = available.get(..end.unwrap_or(available.len())).unwrap_or_default();
        line.extend(piece.iter().take(MAXIMUM_LINE_BYTES.saturating_sub(line.len())));
        let used = end.map_or(available.len(), |end| end + 1);
        database.consume(used);
        taken += u64::try_from(used).unwrap_or(u64::MAX);
        if end.is_some() {
            return Ok(Some(taken));
        }
    }
}

/// A value as an inventory takes it: without control characters, and not longer than `maximum` bytes.
pub(super) fn plain(value: &str, maximum: usize) -> String {
    let mut text: String = value.trim().chars().filter(|character| !character.is_control()).take(maximum).collect();
    text.truncate(text.floor_char_boundary(maximum));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(database: &[u8]) -> Vec<String> {
        let mut seen = Vec::new();
        read(database, |piece| {
            seen.push(match piece {
                Piece::Field { name, value } => format!("{name}={value}"),
                Piece::End => "end".to_owned(),
            });
        })
        .unwrap();
        seen
    }

    #[test]
    fn paragraphs_fields_and_what_is_neither() {
        let database = b"A: 1\nLong: first\n more\n\tand more\nB:2\r\n\nhalf a li\nC: x:y\n\n\n: nameless\n";
        assert_eq!(fields(database), ["A=1", "Long=first", "B=2", "end", "C=x:y", "end", "end", "=nameless", "end"]);
        assert_eq!(fields(b""), ["end"]);
        assert_eq!(fields(b"A: no end of line"), ["A=no end of line", "end"]);
        assert_eq!(fields(b"A: \xff\xfe\x00\n"), ["A=\u{fffd}\u{fffd}\0", "end"]);
    }

    #[test]
    fn a_line_of_any_length_takes_bounded_memory() {
        let mut database = b"A: ".to_vec();
        database.resize(3 * MAXIMUM_LINE_BYTES, b'x');
        database.extend(b"\nB: 2\n");
        let seen = fields(&database);
        assert_eq!(seen[0].len(), MAXIMUM_LINE_BYTES - 1);
        assert_eq!(seen[1..], ["B=2", "end"]);
    }

    #[test]
    fn values_are_plain() {
        assert_eq!(plain(" a\u{1b}[31m\0b\n ", 100), "a[31mb");
        assert_eq!(plain("ää", 3), "ä");
    }
}
